#include "dispatch/affinity.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/params.h"

/*
 * A client may be in one of two sets of places, a new one goes where more are free: so nothing has
 * to give way before seven in ten places are used, and little before nine. A tag per place, 0 =
 * free, tells most of what a set does not hold from one word of memory.
 *
 * The index of a service changes at a reload, the place of an entry does not: what is hashed is a
 * number that the service keeps as long as it has entries (`salt`). Two services may come to share
 * one, then their entries for the same client lie in the same sets.
 */
#define WAYS 8
#define NS_PER_MS 1000000ULL

struct set {
	uint16_t tags[WAYS];
	struct affinity entries[WAYS];
};

struct affinity_table {
	struct set *sets;
	uint32_t n_sets, count;
	uint32_t hand; /* place that affinity_expire looks at next */
	struct hash_key secret;
	uint16_t salts[PARAMS_SERVICES];
};

/* Where an entry may be. */
struct spot {
	struct set *sets[2];
	uint16_t tag;
};

struct affinity_table *affinity_table_new(uint32_t capacity, const struct hash_key *secret)
{
	struct affinity_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->n_sets = capacity / WAYS + (capacity % WAYS != 0);
	if (t->n_sets == 0)
		t->n_sets = 1;
	t->secret = *secret;
	for (uint16_t i = 0; i < PARAMS_SERVICES; i++)
		t->salts[i] = i;
	t->sets = calloc(t->n_sets, sizeof(*t->sets));
	if (!t->sets) {
		free(t);
		return NULL;
	}
	return t;
}

void affinity_table_free(struct affinity_table *t)
{
	if (!t)
		return;
	free(t->sets);
	free(t);
}

static struct spot spot_of(const struct affinity_table *t, uint16_t service,
			   const struct ipaddr *client)
{
	uint64_t words[3] = {client->q[0], client->q[1], t->salts[service]};
	uint64_t hash = hash_words(&t->secret, words, 3);
	uint32_t first = (uint32_t)((hash >> 32) * t->n_sets >> 32), second = first;

	if (t->n_sets > 1)
		second = (uint32_t)((first + 1 + (hash >> 16 & UINT16_MAX) % (t->n_sets - 1)) %
				    t->n_sets);
	return (struct spot){.sets = {&t->sets[first], &t->sets[second]},
			     .tag = (uint16_t)(hash | 1)};
}

static bool is_over(const struct affinity *a, uint64_t now_ns)
{
	return a->n_flows == 0 && now_ns >= a->expires_ns;
}

static void drop_entry(struct affinity_table *t, struct set *s, unsigned way)
{
	s->tags[way] = 0;
	t->count--;
}

struct affinity *affinity_find(struct affinity_table *t, uint16_t service,
			       const struct ipaddr *client, uint64_t now_ns)
{
	assert(service < PARAMS_SERVICES);
	struct spot spot = spot_of(t, service, client);

	for (unsigned i = 0; i < 2; i++) {
		struct set *s = spot.sets[i];
		for (unsigned way = 0; way < WAYS; way++) {
			struct affinity *a = &s->entries[way];
			if (s->tags[way] != spot.tag || a->service != service ||
			    !ipaddr_eq(&a->client, client))
				continue;
			if (!is_over(a, now_ns))
				return a;
			drop_entry(t, s, way);
			return NULL;
		}
	}
	return NULL;
}

/* A free place of a set, or WAYS, and how many there are. What is over makes room. */
static unsigned free_way(struct affinity_table *t, struct set *s, uint64_t now_ns, unsigned *n_free)
{
	unsigned found = WAYS;

	*n_free = 0;
	for (unsigned way = WAYS; way-- > 0;) {
		if (s->tags[way] && is_over(&s->entries[way], now_ns))
			drop_entry(t, s, way);
		if (s->tags[way])
			continue;
		found = way;
		++*n_free;
	}
	return found;
}

/* Make room in one of two full sets: the entry nearest to its end goes. NULL: all are held. */
static struct set *evict(struct affinity_table *t, const struct spot *spot, unsigned *way)
{
	struct affinity *nearest = NULL;
	struct set *found = NULL;

	for (unsigned i = 0; i < 2; i++)
		for (unsigned w = 0; w < WAYS; w++) {
			struct affinity *a = &spot->sets[i]->entries[w];
			if (a->n_flows || (nearest && a->expires_ns >= nearest->expires_ns))
				continue;
			nearest = a;
			found = spot->sets[i];
			*way = w;
		}
	if (found)
		drop_entry(t, found, *way);
	return found;
}

static struct affinity *add(struct affinity_table *t, uint16_t service, const struct ipaddr *client,
			    uint64_t now_ns)
{
	struct spot spot = spot_of(t, service, client);
	unsigned n_free[2], ways[2], way;
	struct set *s;

	for (unsigned i = 0; i < 2; i++)
		ways[i] = free_way(t, spot.sets[i], now_ns, &n_free[i]);
	unsigned emptier = n_free[1] > n_free[0];
	if (n_free[emptier]) {
		s = spot.sets[emptier];
		way = ways[emptier];
	} else {
		s = evict(t, &spot, &way);
		if (!s)
			return NULL;
	}
	s->tags[way] = spot.tag;
	s->entries[way] = (struct affinity){
		.client = *client, .service = service, .target = PARAMS_NONE, .path = PARAMS_NONE};
	t->count++;
	return &s->entries[way];
}

struct affinity *affinity_get(struct affinity_table *t, uint16_t service,
			      const struct ipaddr *client, uint32_t life_ms, uint64_t now_ns)
{
	struct affinity *a = affinity_find(t, service, client, now_ns);

	if (!a)
		a = add(t, service, client, now_ns);
	if (a)
		a->expires_ns = now_ns + life_ms * NS_PER_MS;
	return a;
}

static uint32_t n_places(const struct affinity_table *t)
{
	return t->n_sets * WAYS;
}

uint32_t affinity_expire(struct affinity_table *t, uint64_t now_ns, uint32_t n)
{
	uint32_t gone = 0;

	for (; n > 0; n--) {
		struct set *s = &t->sets[t->hand / WAYS];
		unsigned way = t->hand % WAYS;
		if (s->tags[way] && is_over(&s->entries[way], now_ns)) {
			drop_entry(t, s, way);
			gone++;
		}
		t->hand = t->hand + 1 == n_places(t) ? 0 : t->hand + 1;
	}
	return gone;
}

/* Its target is no more. What open flows hold stays, so that they can be counted down. */
static void lose_target(struct affinity_table *t, struct set *s, unsigned way)
{
	s->entries[way].target = PARAMS_NONE;
	if (s->entries[way].n_flows == 0)
		drop_entry(t, s, way);
}

uint32_t affinity_forget_target(struct affinity_table *t, uint16_t target)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_sets; i++)
		for (unsigned way = 0; way < WAYS; way++) {
			struct set *s = &t->sets[i];
			if (!s->tags[way] || s->entries[way].target != target)
				continue;
			lose_target(t, s, way);
			n++;
		}
	return n;
}

void affinity_remap(struct affinity_table *t, const uint16_t *services, const uint16_t *targets,
		    const uint16_t *paths)
{
	uint16_t salts[PARAMS_SERVICES];

	for (uint16_t i = 0; i < PARAMS_SERVICES; i++)
		salts[i] = i;
	for (uint32_t i = 0; i < n_places(t); i++) {
		struct set *s = &t->sets[i / WAYS];
		struct affinity *a = &s->entries[i % WAYS];
		if (!s->tags[i % WAYS])
			continue;
		uint16_t service = services[a->service];
		if (service == PARAMS_NONE) {
			drop_entry(t, s, i % WAYS);
			continue;
		}
		salts[service] = t->salts[a->service];
		a->service = service;
		if (a->path != PARAMS_NONE)
			a->path = paths[a->path];
		if (a->target == PARAMS_NONE)
			continue;
		a->target = targets[a->target];
		if (a->target == PARAMS_NONE)
			lose_target(t, s, i % WAYS);
	}
	memcpy(t->salts, salts, sizeof(salts));
}

uint32_t affinity_count(const struct affinity_table *t)
{
	return t->count;
}

const struct affinity *affinity_next(const struct affinity_table *t, uint32_t *pos)
{
	while (*pos < n_places(t)) {
		uint32_t i = (*pos)++;
		const struct set *s = &t->sets[i / WAYS];
		if (s->tags[i % WAYS])
			return &s->entries[i % WAYS];
	}
	return NULL;
}
