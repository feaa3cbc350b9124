/*
 * leg.h - a leg: one TCP connection of the servers' stack, whose packets go by MAC (l7/2, relays).
 *
 *   kind         the stack is   its packets go to             the others' come from
 *   TO_SERVER    the client     the target's MAC              the target's port
 *   TO_MEMBER    the client     the dispatcher's MAC,         that MAC
 *                               the SYN with the mark
 *   FROM_MEMBER  the service    where the SYN came from       that member's MAC
 *
 * All look like the client's own connection to the service, which may exist at the same time: so
 * legs have a table of their own, and who sends a packet decides which of the two it is of.
 */
#ifndef DISPATCH_LEG_H
#define DISPATCH_LEG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "dispatch/dispatch.h"
#include "flow/table.h"
#include "node/node.h"

enum leg_kind { LEG_TO_SERVER, LEG_TO_MEMBER, LEG_FROM_MEMBER };

#define LEG_ORIGIN_B 1	/* endpoint b of the key is the client */
#define LEG_ACKED_0 2	/* ack[0] is known */
#define LEG_ACKED_1 4	/* ack[1] is */
#define LEG_FIN_0 8	/* FIN seen from the client's end */
#define LEG_FIN_1 16	/* from the service's */
#define LEG_ACCEPTED 32 /* FROM_MEMBER: the daemon has it */
#define LEG_ENDED 64	/* the descriptor is closed: it lingers, and gives way to others */
#define LEG_GONE 128	/* the other end is no more: it is reset by the next tick */

/* Sides: 0 the client's end, 1 the service's. */
struct leg {
	struct flow_entry entry; /* first; zone 0 */
	uint32_t ack[2];	 /* next number that each side expects */
	uint32_t first;		 /* of the client's SYN */
	uint32_t created_ms;
	uint32_t packets[2]; /* by sender */
	uint64_t bytes[2];
	uint32_t generation; /* of the member when it began: another one knows nothing of it */
	struct hop hop;	     /* TO_SERVER */
	uint16_t target;     /* TO_SERVER; FROM_MEMBER: what serves it now, or PARAMS_NONE */
	uint16_t member;     /* the others, else PARAMS_NONE */
	uint16_t service;    /* of its address, or PARAMS_NONE */
	uint16_t port;	     /* where the member was last seen, PARAMS_NO_PORT = not yet */
	struct macaddr mac;  /* there */
	uint8_t kind;	     /* enum leg_kind */
	uint8_t state;	     /* enum dflow_state */
	uint8_t flags;
};

_Static_assert(sizeof(struct leg) <= 136, "there are four for each connection of a client");

struct leg_table {
	struct flow_table *legs;
	uint32_t evict_hand;
	uint32_t sweep_pos;
	bool sweeping; /* some may have lost their other end */
};

/* The side that the stack is on. */
static inline unsigned leg_stack_side(const struct leg *leg)
{
	return leg->kind == LEG_FROM_MEMBER;
}

/* The tuple of packets of that side. */
static inline struct pkt_tuple leg_tuple(const struct leg *leg, unsigned side)
{
	return flow_key_tuple(&leg->entry.key, side ^ (leg->flags & LEG_ORIGIN_B ? 1u : 0u));
}

/* For views: all of them, from *pos = 0 to NULL. */
const struct leg *legs_next(const struct dispatch *d, uint32_t *pos);

/* leg_table.c, for leg.c */
/* The leg of a packet with that tuple, and the side that sends it; NULL: none. */
struct leg *leg_find(const struct dispatch *d, const struct pkt_tuple *t, uint8_t version,
		     unsigned *side);
/* A new one from t->src (the client's end) to t->dst; one that lingers gives way when the table is
 * full, or had the same endpoints. NULL: no room. */
struct leg *leg_new(struct dispatch *d, const struct pkt_tuple *t, uint8_t version,
		    enum leg_kind kind);
/* After every packet: count, follow, and when its descriptor is closed, how long it lingers. */
void leg_touch(struct dispatch *d, struct leg *leg, const struct pkt *pkt, unsigned side);
/* The service that a leg to `to` is for. */
uint16_t leg_service(const struct dispatch *d, const struct ipaddr *to, uint16_t port);
/* Whether that service takes what others relay. */
bool leg_relayed(const struct dispatch *d, uint16_t service);

/* leg.c, for leg_table.c */
/* Tell that side by a reset that it believes: with the very number it expects. */
void leg_reset_side(struct dispatch *d, struct leg *leg, unsigned side);

#endif
