#include "dispatch/rendezvous.h"

#include <stdlib.h>

#include "base/hash.h"

/* With that many buckets a share is off by 0.7 % among 3 bidders, 3 % among 64, 1.4 % among 100 and
 * 4.4 % among 1,000 (one standard deviation: sqrt(bidders / (2 * buckets))). More buckets would
 * take longer to fill, in which time no packet is served, and would not stay in the cache. */
#define BITS_FEW 15
#define BITS_MANY 18

#define ROUNDS 3
#define LOG_BITS 8 /* of a mantissa: steps of the table of logarithms */
#define LOG_FRACTION 27
#define LOG_E 193635250U /* of e, rounded down */
#define BATCH 32

/* A bid: its time above, the bidder's rank by identity in the lowest 16 bits, so that bids made at
 * the same time have an order, too, and not that of anybody's configuration. */
#define RANK_BITS 16
#define RANK_MASK 0xffffU
#define NO_BID UINT64_MAX

struct bidder {
	uint64_t identity;
	uint64_t pace; /* 2^32 / weight: what a step of time is multiplied with */
	uint32_t weight;
	uint32_t n_buckets;
	uint16_t position;    /* in the caller's array */
	bool lowered, raised; /* only while updating */
	uint32_t start, mul[ROUNDS], inverse[ROUNDS];
};

struct rendezvous {
	uint64_t seed;
	unsigned bits;
	uint32_t n, n_bidding;
	bool known;			    /* who the bidders are */
	struct bidder *bidders;		    /* by identity */
	uint16_t *rank;			    /* of the bidder at a position of the caller's array */
	uint16_t *owner;		    /* position of a bucket's owner; NULL without a table */
	uint64_t *best;			    /* the owner's bid */
	uint32_t log[(1U << LOG_BITS) + 1]; /* binary logarithm of 1..2 */
};

/* ---- integer arithmetic ---- */

/* log2(1 + i / 256) by repeated squaring: each gives one bit. */
static uint32_t log_of_step(uint32_t i)
{
	uint64_t x = (uint64_t)((1U << LOG_BITS) + i) << (31 - LOG_BITS); /* 31 bits of fraction */
	uint32_t log = 0;

	if (i == 1U << LOG_BITS)
		return 1U << LOG_FRACTION;
	for (unsigned bit = 0; bit < LOG_FRACTION; bit++) {
		x = x * x >> 31;
		log <<= 1;
		if (x >> 32) {
			x >>= 1;
			log |= 1;
		}
	}
	return log;
}

/* When a bidder of weight 1 asks for the bucket of that rank in its order: -log2 of what is left of
 * 1 in the middle of the step. Grows with the rank; fits in 32 bits. */
static uint32_t time_of_rank(const struct rendezvous *r, uint32_t rank)
{
	uint32_t left = (((1U << r->bits) - rank) << 1) - 1;
	unsigned whole = 31 - (unsigned)__builtin_clz(left);
	uint32_t mantissa = left << (31 - whole); /* highest bit set */
	uint32_t step = mantissa << 1 >> (32 - LOG_BITS);
	uint64_t within = mantissa & ((1U << (31 - LOG_BITS)) - 1);
	uint32_t low = r->log[step], high = r->log[step + 1];
	uint32_t log = low + (uint32_t)((high - low) * within >> (31 - LOG_BITS));

	return ((r->bits + 1 - whole) << LOG_FRACTION) - log;
}

static uint32_t inverse_of(uint32_t odd)
{
	uint32_t x = odd; /* right in the lowest 3 bits; each step doubles them */

	for (unsigned i = 0; i < 4; i++)
		x *= 2 - odd * x;
	return x;
}

static uint32_t mask_of(const struct rendezvous *r)
{
	return (1U << r->bits) - 1;
}

/* A shift by half of the bits or more undoes itself. */
static uint32_t fold(const struct rendezvous *r, uint32_t x)
{
	return x ^ x >> ((r->bits + 1) / 2);
}

static uint32_t bucket_of_rank(const struct rendezvous *r, const struct bidder *b, uint32_t rank)
{
	uint32_t mask = mask_of(r), x = (rank + b->start) & mask;

	for (unsigned i = 0; i < ROUNDS; i++)
		x = fold(r, x * b->mul[i] & mask);
	return x;
}

static uint32_t rank_of_bucket(const struct rendezvous *r, const struct bidder *b, uint32_t bucket)
{
	uint32_t mask = mask_of(r), x = bucket;

	for (unsigned i = ROUNDS; i-- > 0;)
		x = fold(r, x) * b->inverse[i] & mask;
	return (x - b->start) & mask;
}

static uint64_t bid_of_rank(const struct rendezvous *r, const struct bidder *b, uint32_t rank)
{
	uint64_t time = time_of_rank(r, rank) * b->pace >> RANK_BITS;

	return time << RANK_BITS | (uint64_t)(b - r->bidders);
}

/* ---- bidders ---- */

static int compare_bidders(const void *left, const void *right)
{
	const struct bidder *x = left, *y = right;

	if (x->identity != y->identity)
		return x->identity < y->identity ? -1 : 1;
	return x->position < y->position ? -1 : 1;
}

static void bidder_init(const struct rendezvous *r, struct bidder *b, uint64_t identity)
{
	struct hash_key key = {.k0 = r->seed, .k1 = 0x7072696f72697479ULL};

	b->identity = identity;
	for (uint64_t i = 0; i <= ROUNDS; i++) {
		uint64_t words[2] = {identity, i};
		uint32_t x = (uint32_t)(hash_words(&key, words, 2) >> 32);
		if (i == ROUNDS) {
			b->start = x;
		} else {
			b->mul[i] = x | 1;
			b->inverse[i] = inverse_of(x | 1);
		}
	}
}

static void meet(struct rendezvous *r, const struct bid *bids)
{
	for (uint32_t i = 0; i < r->n; i++) {
		r->bidders[i] = (struct bidder){.position = (uint16_t)i};
		bidder_init(r, &r->bidders[i], bids[i].identity);
	}
	qsort(r->bidders, r->n, sizeof(*r->bidders), compare_bidders);
	for (uint32_t i = 0; i < r->n; i++)
		r->rank[r->bidders[i].position] = (uint16_t)i;
	r->known = true;
}

static bool knows(const struct rendezvous *r, const struct bid *bids)
{
	for (uint32_t i = 0; i < r->n && r->known; i++)
		if (r->bidders[i].identity != bids[r->bidders[i].position].identity)
			return false;
	return r->known;
}

static void weigh(struct bidder *b, uint32_t weight)
{
	b->lowered = weight < b->weight;
	b->raised = weight > b->weight;
	b->weight = weight;
	b->pace = weight ? (1ULL << 32) / weight : 0;
}

/* Ask everybody. Most are too late even by the straight line below the curve of times, which costs
 * less to know than the time. */
static uint64_t best_bid(const struct rendezvous *r, uint32_t bucket)
{
	uint64_t best = NO_BID, slope = LOG_E >> r->bits;

	for (uint32_t i = 0; i < r->n; i++) {
		const struct bidder *b = &r->bidders[i];
		if (b->weight == 0)
			continue;
		uint32_t rank = rank_of_bucket(r, b, bucket);
		if (rank * slope * b->pace > (best | RANK_MASK))
			continue;
		uint64_t bid = bid_of_rank(r, b, rank);
		best = bid < best ? bid : best;
	}
	return best;
}

static uint16_t bid_position(const struct rendezvous *r, uint64_t bid)
{
	if (bid == NO_BID)
		return RENDEZVOUS_NONE;
	return r->bidders[bid & RANK_MASK].position;
}

/* ---- the table ---- */

/* How many bids a bidder makes up to `limit`. */
static uint32_t reach(const struct rendezvous *r, const struct bidder *b, uint64_t limit)
{
	uint32_t low = 0, high = mask_of(r) + 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (bid_of_rank(r, b, middle) > limit)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Make all bids of a bidder up to `limit`. In batches, so that the buckets, which lie anywhere, are
 * on their way to the cache while the next bids are computed. */
static void offer(struct rendezvous *r, const struct bidder *b, uint64_t limit)
{
	uint32_t end = reach(r, b, limit), bucket[BATCH];

	for (uint32_t rank = 0; rank < end; rank += BATCH) {
		uint32_t n = end - rank < BATCH ? end - rank : BATCH;
		for (uint32_t i = 0; i < n; i++) {
			bucket[i] = bucket_of_rank(r, b, rank + i);
			__builtin_prefetch(&r->best[bucket[i]], 1);
		}
		for (uint32_t i = 0; i < n; i++) {
			uint64_t bid = bid_of_rank(r, b, rank + i), *best = &r->best[bucket[i]];
			*best = bid < *best ? bid : *best;
		}
	}
}

/* After the bids: who owns what. */
static void conclude(struct rendezvous *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		r->bidders[i].n_buckets = 0;
	for (uint32_t b = 0; b <= mask_of(r); b++) {
		r->owner[b] = bid_position(r, r->best[b]);
		if (r->owner[b] != RENDEZVOUS_NONE)
			r->bidders[r->rank[r->owner[b]]].n_buckets++;
	}
}

static unsigned bits_for(uint32_t n)
{
	return n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0;
}

/* Bids that it takes to fill the table. */
static uint64_t fill_cost(const struct rendezvous *r)
{
	return (bits_for(r->n_bidding) + 2ULL) << r->bits;
}

/* The time by which all but one of n_bidding buckets are taken: the few that are left are then
 * settled by asking everybody. */
static uint64_t fill_limit(const struct rendezvous *r)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->n; i++)
		sum += r->bidders[i].weight;
	return sum ? (((uint64_t)bits_for(r->n_bidding) << 32) / sum) << LOG_FRACTION : 0;
}

static void fill(struct rendezvous *r)
{
	uint64_t limit = fill_limit(r);

	for (uint32_t b = 0; b <= mask_of(r); b++)
		r->best[b] = NO_BID;
	for (uint32_t i = 0; i < r->n; i++)
		if (r->bidders[i].weight)
			offer(r, &r->bidders[i], limit);
	for (uint32_t b = 0; b <= mask_of(r); b++)
		if (r->best[b] == NO_BID)
			r->best[b] = best_bid(r, b);
}

/* Buckets whose owner now bids less than before are asked about again. False, and nothing done:
 * that costs more than to fill the table. */
static bool settle_lowered(struct rendezvous *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->n; i++)
		if (r->bidders[i].lowered)
			n += r->bidders[i].n_buckets;
	if (n * r->n_bidding > fill_cost(r))
		return false;
	for (uint32_t b = 0; b <= mask_of(r) && n > 0; b++) {
		if (!r->bidders[r->rank[r->owner[b]]].lowered)
			continue;
		r->best[b] = best_bid(r, b);
		n--;
	}
	return true;
}

/* Those who bid more than before win what they win, nobody else anything. */
static bool offer_raised(struct rendezvous *r)
{
	uint64_t latest = 0, n = 0;

	for (uint32_t b = 0; b <= mask_of(r); b++)
		latest = r->best[b] > latest ? r->best[b] : latest;
	for (uint32_t i = 0; i < r->n; i++)
		if (r->bidders[i].raised)
			n += reach(r, &r->bidders[i], latest);
	if (n > fill_cost(r))
		return false;
	for (uint32_t i = 0; i < r->n; i++)
		if (r->bidders[i].raised)
			offer(r, &r->bidders[i], latest);
	return true;
}

void rendezvous_update(struct rendezvous *r, const struct bid *bids)
{
	bool anew = !knows(r, bids) || r->n_bidding == 0, changed = anew;

	if (anew)
		meet(r, bids);
	r->n_bidding = 0;
	for (uint32_t i = 0; i < r->n; i++) {
		struct bidder *b = &r->bidders[i];
		weigh(b, bids[b->position].weight);
		changed |= b->lowered || b->raised;
		r->n_bidding += b->weight > 0;
	}
	if (!r->owner || !changed)
		return;
	if (anew || r->n_bidding == 0 || !settle_lowered(r) || !offer_raised(r))
		fill(r);
	conclude(r);
}

uint16_t rendezvous_pick(const struct rendezvous *r, uint64_t hash)
{
	uint32_t bucket = (uint32_t)(hash >> (64 - r->bits));

	return r->owner ? r->owner[bucket] : bid_position(r, best_bid(r, bucket));
}

uint32_t rendezvous_buckets(const struct rendezvous *r)
{
	return 1U << r->bits;
}

size_t rendezvous_memory(const struct rendezvous *r)
{
	size_t table = ((size_t)1 << r->bits) * (sizeof(*r->owner) + sizeof(*r->best));

	return sizeof(*r) + r->n * (sizeof(*r->bidders) + sizeof(*r->rank)) +
	       (r->owner ? table : 0);
}

struct rendezvous *rendezvous_new(uint64_t seed, uint32_t n, bool table)
{
	struct rendezvous *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->seed = seed;
	r->n = n;
	r->bits = n <= RENDEZVOUS_FEW ? BITS_FEW : BITS_MANY;
	for (uint32_t i = 0; i <= 1U << LOG_BITS; i++)
		r->log[i] = log_of_step(i);
	r->bidders = calloc(n ? n : 1, sizeof(*r->bidders));
	r->rank = calloc(n ? n : 1, sizeof(*r->rank));
	if (table) {
		r->owner = calloc(1U << r->bits, sizeof(*r->owner));
		r->best = calloc(1U << r->bits, sizeof(*r->best));
	}
	if (!r->bidders || !r->rank || (table && (!r->owner || !r->best))) {
		rendezvous_free(r);
		return NULL;
	}
	for (uint32_t b = 0; table && b <= mask_of(r); b++)
		r->owner[b] = RENDEZVOUS_NONE;
	return r;
}

void rendezvous_free(struct rendezvous *r)
{
	if (!r)
		return;
	free(r->bidders);
	free(r->rank);
	free(r->owner);
	free(r->best);
	free(r);
}
