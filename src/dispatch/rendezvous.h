/*
 * rendezvous.h - who of several bidders gets a hash: in proportion to their weights, the same in
 * every process with the same seed and the same bidders, and with as little change as there can be
 * when a bidder comes, goes or changes its weight.
 *
 * The hashes fall into buckets. Every bidder has an order of its own for the buckets (a permutation
 * made from its identity and the seed) and asks for one after the other; how long after, is an
 * exponential distribution cut into as many steps as there are buckets, divided by its weight. Who
 * asks first gets the bucket. That is weighted rendezvous hashing, so a bidder that goes loses only
 * its own buckets, one that comes takes only those that it wins, and which those are depends on
 * nothing but who bids; but the bids that come early can be listed without looking at the others,
 * so a table for 1,000 bidders takes some ten bids per bucket to fill instead of 1,000.
 *
 * Integers alone. What is computed here is agreed between dispatchers of all versions, as a
 * message's format is: the vectors in tests/unit/check_rendezvous.c must not change.
 */
#ifndef DISPATCH_RENDEZVOUS_H
#define DISPATCH_RENDEZVOUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RENDEZVOUS_NONE 0xffff

/* Up to so many bidders there is one number of buckets, beyond another: who has more in his
 * configuration disagrees with who has fewer, even when the same of them bid. */
#define RENDEZVOUS_FEW 64

struct bid {
	uint64_t identity;
	uint32_t weight; /* 0 = does not bid. Meant for up to 2^16; larger ones round */
};

struct rendezvous;

/* For `n` bidders, fewer than RENDEZVOUS_NONE. With `table` a pick is one look-up; without, the
 * result is the same, but found anew among all bidders each time. NULL without memory. */
struct rendezvous *rendezvous_new(uint64_t seed, uint32_t n, bool table);
void rendezvous_free(struct rendezvous *r);
/* The bids of all n. Costs what has changed, at most twice as much as a new table. */
void rendezvous_update(struct rendezvous *r, const struct bid *bids);
/* Position of the bidder that gets `hash`, or RENDEZVOUS_NONE when nobody bids. */
uint16_t rendezvous_pick(const struct rendezvous *r, uint64_t hash);
uint32_t rendezvous_buckets(const struct rendezvous *r);
size_t rendezvous_memory(const struct rendezvous *r);

#endif
