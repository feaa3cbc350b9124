#include "node/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

#define POOL_LARGE FRAME_MAX

/* Buffers of one size: those given back first, then those never used, so that an idle pool touches
 * no memory. */
struct pool_class {
	struct held *free;
	struct held *nodes;
	uint8_t *memory;
	uint32_t n, fresh; /* nodes[fresh..n) were never used */
	size_t size;
};

struct pool {
	struct pool_class small, large;
	struct held *retired;
	uint32_t used;
};

static bool pool_class_init(struct pool_class *c, uint32_t n, size_t size)
{
	c->n = n;
	c->size = size + FRAME_HEADROOM;
	c->nodes = calloc(n, sizeof(*c->nodes));
	c->memory = pages_alloc(n * c->size);
	return c->nodes && (c->memory || n == 0);
}

static void pool_class_fini(struct pool_class *c)
{
	free(c->nodes);
	pages_open(c->memory, c->fresh * c->size);
	pages_free(c->memory, c->n * c->size);
}

struct pool *pool_new(uint32_t n_small, uint32_t n_large)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (!pool_class_init(&p->small, n_small, POOL_SMALL) ||
	    !pool_class_init(&p->large, n_large, POOL_LARGE)) {
		pool_free(p);
		return NULL;
	}
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pool_class_fini(&p->small);
	pool_class_fini(&p->large);
	free(p);
}

static struct held *pool_take(struct pool_class *c)
{
	struct held *h = c->free;

	if (h) {
		c->free = h->next;
		pages_open(h->memory, c->size);
		return h;
	}
	if (c->fresh == c->n)
		return NULL;
	h = &c->nodes[c->fresh];
	h->memory = c->memory + c->fresh++ * c->size;
	return h;
}

struct held *pool_hold(struct pool *p, const struct frame *frame)
{
	struct held *h = NULL;

	if (frame->len > POOL_LARGE)
		return NULL;
	if (frame->len <= POOL_SMALL)
		h = pool_take(&p->small);
	if (h)
		h->small = 1;
	else
		h = pool_take(&p->large);
	if (!h)
		return NULL;
	h->frame = *frame;
	h->frame.data = h->memory + FRAME_HEADROOM;
	memcpy(h->frame.data, frame->data, frame->len);
	h->next = NULL;
	h->from_member = 0;
	p->used++;
	return h;
}

static void pool_put(struct pool *p, struct held *h)
{
	struct pool_class *c = h->small ? &p->small : &p->large;

	h->next = c->free;
	c->free = h;
	pages_shut(h->memory, c->size);
}

void pool_drop(struct pool *p, struct held *h)
{
	p->used--;
	pool_put(p, h);
}

void pool_retire(struct pool *p, struct held *h)
{
	p->used--;
	h->next = p->retired;
	p->retired = h;
}

void pool_reclaim(struct pool *p)
{
	while (p->retired) {
		struct held *h = p->retired;
		p->retired = h->next;
		pool_put(p, h);
	}
}

uint32_t pool_used(const struct pool *p)
{
	return p->used;
}

void held_push(struct held_queue *q, struct held *h)
{
	h->next = NULL;
	if (q->tail)
		q->tail->next = h;
	else
		q->head = h;
	q->tail = h;
	q->n++;
}

struct held *held_pop(struct held_queue *q)
{
	struct held *h = q->head;

	if (!h)
		return NULL;
	q->head = h->next;
	if (!q->head)
		q->tail = NULL;
	q->n--;
	h->next = NULL;
	return h;
}
