/*
 * neigh.h - who has that address? The daemon resolves next hops itself (RFC 826, RFC 4861).
 *
 * A table of (port, address) with a stable index, so flows remember the index. Pure bookkeeping:
 * the owner sends the requests that neigh_tick and neigh_use ask for. States follow RFC 4861
 * section 7.3.2: incomplete, reachable, stale, probe, failed; packets wait in a bounded queue while
 * incomplete.
 */
#ifndef NODE_NEIGH_H
#define NODE_NEIGH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/hash.h"
#include "node/pool.h"

#define NEIGH_NONE 0xffff
#define NEIGH_QUEUE 32
#define NEIGH_REACHABLE_NS 30000000000ULL /* a confirmation is believed for so long */

enum neigh_state {
	NEIGH_FREE,
	NEIGH_INCOMPLETE,
	NEIGH_REACHABLE,
	NEIGH_STALE,
	NEIGH_PROBE,
	NEIGH_FAILED
};

const char *neigh_state_name(enum neigh_state s);

struct neigh {
	struct ipaddr addr;
	uint16_t port;
	uint8_t state;
	uint8_t tries;
	struct macaddr mac;
	uint64_t due_ns;   /* next step of the state machine */
	uint64_t since_ns; /* last confirmation */
	uint64_t used_ns;
	struct held_queue waiting;
	uint16_t chain; /* hash chain */
};

struct neigh_table;

struct neigh_table *neigh_table_new(uint16_t capacity, const struct hash_key *secret);
void neigh_table_free(struct neigh_table *t);

/* Index of the entry, made if need be (an unused one is taken over when full); NEIGH_NONE when
 * every entry is busy. *evicted is set when another entry lost its place. */
uint16_t neigh_get(struct neigh_table *t, uint16_t port, const struct ipaddr *addr, uint64_t now_ns,
		   bool *evicted);
uint16_t neigh_find(const struct neigh_table *t, uint16_t port, const struct ipaddr *addr);
struct neigh *neigh_at(struct neigh_table *t, uint16_t index);

static inline bool neigh_usable(const struct neigh *n)
{
	return n->state == NEIGH_REACHABLE || n->state == NEIGH_STALE || n->state == NEIGH_PROBE;
}

/* A packet is about to be sent to this neighbour. True: `mac` is usable. *ask is set when a request
 * is to be sent now (unicast when the MAC is known). */
bool neigh_use(struct neigh *n, uint64_t now_ns, bool *ask);

/* The same, but a confirmation is believed for max_age_ns only. */
bool neigh_confirm(struct neigh *n, uint64_t max_age_ns, uint64_t now_ns, bool *ask);

/* The same for a neighbour of whom nothing has to be asked; false = call neigh_use. */
static inline bool neigh_use_confirmed(struct neigh *n, uint64_t now_ns)
{
	if (n->state != NEIGH_REACHABLE || now_ns - n->since_ns >= NEIGH_REACHABLE_NS)
		return false;
	n->used_ns = now_ns;
	return true;
}

/* The neighbour has told its MAC address. Returns true when it changed or became usable. */
bool neigh_learn(struct neigh *n, const struct macaddr *mac, uint64_t now_ns);

/* Steps that are due: at most one entry per call. Returns its index with *ask (send a request) or
 * *failed (drop what waits); NEIGH_NONE when nothing is due. *next = when to call again. */
uint16_t neigh_due(struct neigh_table *t, uint64_t now_ns, bool *ask, bool *failed, uint64_t *next);

/* When one that has not answered (NEIGH_FAILED) was asked the last time. */
uint64_t neigh_failed_asked_ns(const struct neigh *n);

/* One that was to be asked (NEIGH_PROBE, NEIGH_INCOMPLETE) could not be: it is as it was before,
 * and is asked with the next use. */
void neigh_unasked(struct neigh *n);

/* Forget everything learnt on a port that went down. The owner has emptied the queues. */
void neigh_reset_port(struct neigh_table *t, uint16_t port);
uint16_t neigh_capacity(const struct neigh_table *t);

#endif
