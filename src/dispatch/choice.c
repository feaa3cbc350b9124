#include "dispatch/choice.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/rendezvous.h"

/* Separate the kinds of hashes under one seed. */
#define DOMAIN_FLOW 0x666c6f77666c6f77ULL
#define DOMAIN_ADDRESS 0x6164647261646472ULL

/* What a choice remembers of a candidate between picks. */
struct seat {
	int64_t credit; /* CHOICE_WEIGHTED */
	uint32_t rate;	/* CHOICE_LEAST_PACKETS: when it was last looked at, and how many flows */
	uint32_t taken; /* it got since; their packets are not in the rate yet */
};

struct choice {
	enum choice_algorithm algorithm;
	uint32_t n;
	uint32_t turn; /* whose turn it is */
	uint16_t *which;
	struct seat *seats;
	struct bid *bids;
	struct rendezvous *rendezvous;
};

/* FNV-1a. */
uint64_t choice_identity(const char *name)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ULL;
	return h;
}

uint64_t choice_hash_flow(uint64_t seed, const struct flow_key *key)
{
	struct hash_key secret = {.k0 = seed, .k1 = DOMAIN_FLOW};
	uint64_t words[5] = {be64toh(key->a.q[0]), be64toh(key->a.q[1]), be64toh(key->b.q[0]),
			     be64toh(key->b.q[1]),
			     (uint64_t)key->aport << 32 | (uint64_t)key->bport << 16 | key->proto};

	return hash_words(&secret, words, 5);
}

uint64_t choice_hash_address(uint64_t seed, const struct ipaddr *a)
{
	struct hash_key secret = {.k0 = seed, .k1 = DOMAIN_ADDRESS};
	uint64_t words[2] = {be64toh(a->q[0]), be64toh(a->q[1])};

	return hash_words(&secret, words, 2);
}

static bool is_static(enum choice_algorithm a)
{
	return a == CHOICE_STATIC || a == CHOICE_SOURCE;
}

struct choice *choice_new(enum choice_algorithm algorithm, uint64_t seed, const uint16_t *which,
			  uint32_t n)
{
	struct choice *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->algorithm = algorithm;
	c->n = n;
	c->which = calloc(n + 1, sizeof(*c->which));
	c->seats = calloc(n + 1, sizeof(*c->seats));
	c->bids = calloc(n + 1, sizeof(*c->bids));
	c->rendezvous = rendezvous_new(seed, n, is_static(algorithm));
	if (!c->which || !c->seats || !c->bids || !c->rendezvous) {
		choice_free(c);
		return NULL;
	}
	if (n)
		memcpy(c->which, which, n * sizeof(*which));
	return c;
}

void choice_free(struct choice *c)
{
	if (!c)
		return;
	free(c->which);
	free(c->seats);
	free(c->bids);
	rendezvous_free(c->rendezvous);
	free(c);
}

/* 0: takes no new flows. */
static uint32_t weight_of(const struct candidate *x)
{
	return x->up ? x->weight : 0;
}

void choice_update(struct choice *c, const struct candidate *all)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct candidate *x = &all[c->which[i]];
		c->bids[i] = (struct bid){.identity = x->identity, .weight = weight_of(x)};
		if (c->bids[i].weight == 0)
			c->seats[i].credit = 0;
	}
	rendezvous_update(c->rendezvous, c->bids);
}

static uint32_t seat_after(const struct choice *c, uint32_t i)
{
	return i + 1 == c->n ? 0 : i + 1;
}

static uint16_t take(struct choice *c, uint32_t i)
{
	if (i == c->n)
		return PARAMS_NONE;
	c->turn = seat_after(c, i);
	return c->which[i];
}

static uint16_t pick_turn(struct choice *c, const struct candidate *all)
{
	for (uint32_t n = 0, i = c->turn; n < c->n; n++, i = seat_after(c, i))
		if (weight_of(&all[c->which[i]]))
			return take(c, i);
	return PARAMS_NONE;
}

/* Everybody earns his weight, the richest is taken and pays what all have earned: in proportion to
 * the weights, and as evenly spread as can be. */
static uint16_t pick_weighted(struct choice *c, const struct candidate *all)
{
	uint32_t best = c->n;
	int64_t sum = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t weight = weight_of(&all[c->which[i]]);
		if (weight == 0)
			continue;
		sum += weight;
		c->seats[i].credit += weight;
		if (best == c->n || c->seats[i].credit > c->seats[best].credit)
			best = i;
	}
	if (best != c->n)
		c->seats[best].credit -= sum;
	return take(c, best);
}

/* Packets per second of a flow, on average, at least 1. */
static uint64_t rate_per_flow(const struct choice *c, const struct candidate *all)
{
	uint64_t rate = 0, n_flows = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		rate += all[c->which[i]].rate;
		n_flows += all[c->which[i]].n_flows;
	}
	return n_flows && rate > n_flows ? rate / n_flows : 1;
}

/* The rate is measured from time to time. Until the next time flows that were given out count as
 * average ones, else all of them would go to the same candidate. */
static uint64_t expected_rate(struct seat *seat, const struct candidate *x, uint64_t per_flow)
{
	if (seat->rate != x->rate) {
		seat->rate = x->rate;
		seat->taken = 0;
	}
	return x->rate + (seat->taken + 1) * per_flow;
}

/* Least load, the new flow's included, for its weight; those alike in turn. */
static uint16_t pick_least(struct choice *c, const struct candidate *all)
{
	bool packets = c->algorithm == CHOICE_LEAST_PACKETS;
	uint64_t per_flow = packets ? rate_per_flow(c, all) : 1, best_load = 0, best_weight = 0;
	uint32_t best = c->n;

	for (uint32_t n = 0, i = c->turn; n < c->n; n++, i = seat_after(c, i)) {
		const struct candidate *x = &all[c->which[i]];
		uint64_t weight = weight_of(x), load = x->n_flows + 1ULL;
		if (weight == 0)
			continue;
		if (packets)
			load = expected_rate(&c->seats[i], x, per_flow);
		if (load > UINT32_MAX)
			load = UINT32_MAX;
		if (best == c->n || load * best_weight < best_load * weight) {
			best = i;
			best_load = load;
			best_weight = weight;
		}
	}
	if (packets && best != c->n && c->seats[best].taken < UINT32_MAX)
		c->seats[best].taken++;
	return take(c, best);
}

uint16_t choice_pick(struct choice *c, const struct candidate *all, uint64_t hash)
{
	switch (c->algorithm) {
	case CHOICE_ROUND_ROBIN:
		return pick_turn(c, all);
	case CHOICE_WEIGHTED:
		return pick_weighted(c, all);
	case CHOICE_LEAST_FLOWS:
	case CHOICE_LEAST_PACKETS:
		return pick_least(c, all);
	case CHOICE_STATIC:
	case CHOICE_SOURCE:
		break;
	}
	return choice_pick_static(c, all, hash);
}

uint16_t choice_pick_static(struct choice *c, const struct candidate *all, uint64_t hash)
{
	uint16_t i = rendezvous_pick(c->rendezvous, hash);

	(void)all;
	return i == RENDEZVOUS_NONE ? PARAMS_NONE : c->which[i];
}

size_t choice_memory(const struct choice *c)
{
	return sizeof(*c) +
	       (c->n + 1) * (sizeof(*c->which) + sizeof(*c->seats) + sizeof(*c->bids)) +
	       rendezvous_memory(c->rendezvous);
}
