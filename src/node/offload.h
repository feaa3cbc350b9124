/*
 * offload.h - established flows whose packets the kernel passes on, by the daemon's orders.
 *
 * A role offers a flow with a packet of it that has just been sent on: how it came and how it left
 * is what the kernel program is to do with the next ones (offload_map.h). Nothing else has to be
 * known of why, so every role and every technology is offloaded in the same way. Who owns a flow
 * here is a table of flows and an index into it. What the kernel has done is taken back from time
 * to time, into the flow's own counters, deadline and TCP tracking.
 *
 * No system call: keys are put into and taken out of the kernel's hash by the caller of
 * offload_next_change. Without memory (no port has offload = true) there is no struct offload.
 */
#ifndef NODE_OFFLOAD_H
#define NODE_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/tcp.h"
#include "node/offload_map.h"
#include "packet/decode.h"

/* Packets of one side before a flow is offered: most flows are too short to be worth it. Then again
 * whenever their number has doubled. */
#define OFFLOAD_AFTER 16

/* Tables of flows that own slots. */
enum offload_owner { OFFLOAD_HOME, OFFLOAD_DISPATCH, OFFLOAD_OWNERS };

/* Zeroed, shared with the kernel program, the caller's. */
struct offload_memory {
	struct offload_slot *slots;
	uint32_t n_slots;
	struct offload_control *control;
	uint32_t after; /* packets of a side before a flow is offered; 0 = OFFLOAD_AFTER */
};

struct offload_change {
	bool add; /* else remove */
	struct offload_key key;
	uint32_t value; /* OFFLOAD_VALUE */
};

struct offload_offer {
	enum offload_owner kind;
	uint32_t owner;	  /* index of the flow */
	unsigned side;	  /* that sent the packet: 0 originator, 1 responder */
	uint32_t packets; /* of that side so far */
	const struct pkt *pkt;
	const struct frame *sent; /* as it left; `port` is where */
	struct tcp_track *track;  /* to be judged by, or NULL */
	bool check_sender;	  /* only frames from the same MAC address */
	bool both;		  /* not before the other side has been offered, too */
};

struct offload_traffic {
	uint64_t packets, bytes;
	uint32_t ack; /* TCP: last number acknowledged by that side */
};

struct node_link;
struct offload;

/* `owners[kind]` = capacity of each table. NULL when memory does not suffice. */
struct offload *offload_new(const struct offload_memory *m, const uint32_t owners[OFFLOAD_OWNERS],
			    const struct node_link *links);
void offload_free(struct offload *o);

/* Before a role gets a packet: offers compare with how it looked here. */
void offload_arrived(struct offload *o, const struct pkt *pkt);
/* Whether an offer with the `packets`th packet of a side can come to anything. */
bool offload_worth(const struct offload *o, uint32_t packets);
/* False: the kernel has the flow, but could not pass on this packet (it came by another port, say):
 * the caller ends it. */
bool offload_offer(struct offload *o, const struct offload_offer *w, uint64_t now_ns);

/* Packets of that side have been passed on to the neighbour `mac`, which is still the right one:
 * the lease goes on without a packet for the daemon. */
void offload_renew(struct offload *o, enum offload_owner kind, uint32_t owner, unsigned side,
		   const struct macaddr *mac, uint64_t now_ns);

/* Way and rules may have changed for any flow: all come back to the daemon with their next packet,
 * and are offered anew with it. */
void offload_void(struct offload *o);

/* The flow, if it has been accepted, is the daemon's again. */
void offload_end(struct offload *o, enum offload_owner kind, uint32_t owner);
bool offload_has(const struct offload *o, enum offload_owner kind, uint32_t owner);
/* What both, daemon and kernel, know of the connection is made known to each other. */
void offload_sync(struct offload *o, enum offload_owner kind, uint32_t owner, struct tcp_track *t);
/* What the kernel has passed on since the last call, by side, and when last (`last_ns`,
 * CLOCK_MONOTONIC). False: nothing. */
bool offload_take(struct offload *o, enum offload_owner kind, uint32_t owner,
		  struct offload_traffic t[2], uint64_t *last_ns);

/* Walk over owners, a few at a time: call with the same `*pos` (0 at first) until it returns false,
 * which it does after `budget` slots; it begins again at the end. */
bool offload_next(struct offload *o, uint32_t *pos, unsigned *budget, enum offload_owner *kind,
		  uint32_t *owner);

bool offload_pending(const struct offload *o); /* there are changes */
/* The next key to put into the kernel's hash, or to take out. False: none. */
bool offload_next_change(struct offload *o, uint64_t now_ns, struct offload_change *c);
/* That one, an addition, could not be made. */
void offload_failed(struct offload *o, const struct offload_change *c);

/* Flows that the kernel has, and how many it can have. */
uint32_t offload_count(const struct offload *o);
uint32_t offload_capacity(const struct offload *o);

#endif
