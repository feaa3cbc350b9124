/*
 * choice.h - one of several: which firewall or which target takes a new flow (HD-2, HD-12).
 *
 * The candidates of one node (all its firewalls, or all its targets) are one array that their owner
 * keeps up to date; a choice is one algorithm over some of them. Pure: no time, no I/O.
 *
 * The static algorithms (CHOICE_STATIC, CHOICE_SOURCE) give the same answer in every dispatcher
 * that has the same seed and the same candidates up with the same weights. They look into a table
 * of buckets, each filled by weighted rendezvous hashing, so a pick costs one look-up, and when a
 * candidate goes only its own buckets move, when one comes only those it wins (HD-1: few flows
 * move). Integer arithmetic alone, so that machines of different kinds agree.
 */
#ifndef DISPATCH_CHOICE_H
#define DISPATCH_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/params.h"
#include "flow/key.h"

struct candidate {
	uint64_t identity; /* the same in every dispatcher: path id, or choice_identity of a name */
	uint32_t weight;   /* effective; 0 = takes no new flows */
	bool up;
	uint32_t n_flows; /* open now */
	uint32_t rate;	  /* packets per second, averaged */
};

uint64_t choice_identity(const char *name);

struct choice;

/* `which` (copied): indices into the candidates. NULL without memory. Nothing is picked before the
 * first choice_update. */
struct choice *choice_new(enum choice_algorithm algorithm, uint64_t seed, const uint16_t *which,
			  uint32_t n);
void choice_free(struct choice *c);

/* To be called whenever `weight` or `up` of a candidate has changed. */
void choice_update(struct choice *c, const struct candidate *all);

/* What the static algorithms go by: the flow in both directions alike, or its client's address. */
uint64_t choice_hash_flow(uint64_t seed, const struct flow_key *key);
uint64_t choice_hash_address(uint64_t seed, const struct ipaddr *a);

/* The index of the candidate for a new flow, PARAMS_NONE when none is up with a weight. `hash`:
 * from choice_hash_flow (CHOICE_STATIC) or choice_hash_address (CHOICE_SOURCE), for others unused.
 */
uint16_t choice_pick(struct choice *c, const struct candidate *all, uint64_t hash);

/* The static pick whatever the algorithm is: what both dispatchers agree on when a flow has to
 * move. */
uint16_t choice_pick_static(struct choice *c, const struct candidate *all, uint64_t hash);

size_t choice_memory(const struct choice *c);

#endif
