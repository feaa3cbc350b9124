#include "firewall/classify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int rows_init(struct rows *r, uint32_t n_rules)
{
	*r = (struct rows){.words = (n_rules + 63) / 64, .n_slots = 64};
	if (r->words == 0)
		r->words = 1;
	r->slots = calloc(r->n_slots, sizeof(*r->slots));
	return r->slots ? 0 : -ENOMEM;
}

void rows_fini(struct rows *r)
{
	free(r->bits);
	free(r->slots);
	*r = (struct rows){0};
}

/* Rules come from the operator: nobody aims for collisions. */
static uint64_t hash_row(const struct rows *r, const uint64_t *bits)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < r->words; i++) {
		h = (h ^ bits[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	return h;
}

/* The slot of a row with these bits, or the empty one where it belongs. */
static uint32_t *find_slot(const struct rows *r, const uint64_t *bits)
{
	uint32_t mask = r->n_slots - 1;
	uint32_t i = (uint32_t)(hash_row(r, bits) >> 32) & mask;

	while (r->slots[i] != 0 &&
	       memcmp(rows_at(r, r->slots[i] - 1), bits, r->words * sizeof(*bits)) != 0)
		i = (i + 1) & mask;
	return &r->slots[i];
}

static int grow_slots(struct rows *r)
{
	uint32_t *old = r->slots;

	r->slots = calloc((size_t)r->n_slots * 2, sizeof(*r->slots));
	if (!r->slots) {
		r->slots = old;
		return -ENOMEM;
	}
	r->n_slots *= 2;
	for (uint32_t i = 0; i < r->n; i++)
		*find_slot(r, rows_at(r, i)) = i + 1;
	free(old);
	return 0;
}

uint32_t rows_intern(struct rows *r, const uint64_t *bits)
{
	uint32_t *slot = find_slot(r, bits);

	if (*slot != 0)
		return *slot - 1;
	if (r->n == r->cap) {
		uint32_t cap = r->cap * 2 + 16;
		uint64_t *grown = realloc(r->bits, (size_t)cap * r->words * sizeof(*grown));
		if (!grown)
			return UINT32_MAX;
		r->bits = grown;
		r->cap = cap;
	}
	memcpy(r->bits + (size_t)r->n * r->words, bits, r->words * sizeof(*bits));
	*slot = ++r->n;
	if (r->n * 2 > r->n_slots && grow_slots(r) != 0)
		return UINT32_MAX;
	return r->n - 1;
}

/* At `key`, rule `rule` begins to match by one span more (or less). */
struct edge {
	axis_key key;
	uint32_t rule;
	int32_t step;
};

static int compare_edges(const void *x, const void *y)
{
	const struct edge *a = x, *b = y;

	return a->key < b->key ? -1 : a->key > b->key;
}

static struct edge *make_edges(const struct axis_span *spans, size_t n_spans, size_t *n_edges)
{
	struct edge *edges = calloc(n_spans * 2 + 1, sizeof(*edges));
	size_t n = 0;

	if (!edges)
		return NULL;
	for (size_t i = 0; i < n_spans; i++) {
		edges[n++] = (struct edge){.key = spans[i].lo, .rule = spans[i].rule, .step = 1};
		if (spans[i].hi + 1 != 0) /* the last key of all has nothing behind it */
			edges[n++] = (struct edge){
				.key = spans[i].hi + 1, .rule = spans[i].rule, .step = -1};
	}
	qsort(edges, n, sizeof(*edges), compare_edges);
	*n_edges = n;
	return edges;
}

/* What a sweep over the edges carries. */
struct sweep {
	uint64_t *bits;	 /* rules that match at the present key */
	uint32_t *depth; /* spans of each rule that are open */
};

static void step(struct sweep *s, const struct edge *e)
{
	s->depth[e->rule] += (uint32_t)e->step;
	if (s->depth[e->rule] > 0)
		s->bits[e->rule / 64] |= 1ULL << (e->rule % 64);
	else
		s->bits[e->rule / 64] &= ~(1ULL << (e->rule % 64));
}

/* From `key` on, the row is that of `bits`. */
static int append(struct axis *a, struct rows *rows, axis_key key, const uint64_t *bits)
{
	uint32_t row = rows_intern(rows, bits);

	if (row == UINT32_MAX)
		return -ENOMEM;
	if (a->n > 0 && a->row[a->n - 1] == row)
		return 0;
	a->start[a->n] = key;
	a->row[a->n++] = row;
	return 0;
}

static int run(struct axis *a, struct rows *rows, struct sweep *s, const struct edge *edges,
	       size_t n)
{
	size_t i = 0;
	axis_key key = 0;

	for (;;) {
		while (i < n && edges[i].key == key)
			step(s, &edges[i++]);
		if (append(a, rows, key, s->bits) != 0)
			return -ENOMEM;
		if (i == n)
			return 0;
		key = edges[i].key;
	}
}

int axis_build(struct axis *a, struct rows *rows, const uint64_t *any,
	       const struct axis_span *spans, size_t n_spans)
{
	size_t n_edges = 0, size = rows->words * sizeof(*any);
	struct edge *edges = make_edges(spans, n_spans, &n_edges);
	struct sweep s = {.bits = malloc(size),
			  .depth = calloc((size_t)rows->words * 64, sizeof(*s.depth))};
	int rc = -ENOMEM;

	*a = (struct axis){.start = calloc(n_edges + 1, sizeof(*a->start)),
			   .row = calloc(n_edges + 1, sizeof(*a->row))};
	if (edges && s.bits && s.depth && a->start && a->row) {
		memcpy(s.bits, any, size);
		rc = run(a, rows, &s, edges, n_edges);
	}
	free(edges);
	free(s.bits);
	free(s.depth);
	return rc;
}

void axis_fini(struct axis *a)
{
	free(a->start);
	free(a->row);
	*a = (struct axis){0};
}
