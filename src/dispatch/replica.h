/*
 * replica.h - the nodes that stand by for a dispatcher have its tables (HD-19, HD-23).
 *
 *   plays it (source)                              stands by (copy)
 *     │ flow is confirmed, moved, closing, ended        │
 *     ├── SYNC: what changed in 2 ms shares one ───────▶│ same tables, same functions; sends
 * nothing ├── SYNC, state: its number, and firewalls ──────▶│ every hello-interval: was one missed?
 *     │◀── SYNC_ASK ────────────────────────────────────┤ has just come, or missed one
 *     ├── SYNC: begin … all flows … end ───────────────▶│ what was not among them goes
 *
 * Flows that have not been confirmed are not told: they may be forged, and cost nothing here. But a
 * node that hands a dispatcher over tells its successor of these, too (at most 16,384). A
 * flow that goes on is told again before its copy would expire. Each receiver has numbers of its
 * own; a copy that sees a gap asks for all, and is not called synced until it has them.
 *
 * Who has yielded goes on telling its successor what still begins with it, and after two have
 * played one dispatcher the one that yields tells the other all it has; of that only what is new
 * there counts.
 *
 * Files: replica.c (what is told), replica_hold.c (what is heard), replica_life.c (who tells whom).
 */
#ifndef DISPATCH_REPLICA_H
#define DISPATCH_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster/channel.h"
#include "cluster/wire_sync.h"
#include "dispatch/flow.h"

struct dispatch;
struct dispatcher;

enum replica_role { REPLICA_OFF, REPLICA_SOURCE, REPLICA_COPY };

#define REPLICA_DIRTY 1	 /* to be told */
#define REPLICA_LINKED 2 /* in the list of those */
#define REPLICA_TOLD 4	 /* others have it */

/* Beside the flow with the same index. */
struct replica_mark {
	uint32_t next; /* in the list of those to be told */
	uint32_t sent_ms;
	uint32_t bulk; /* copy: the walk in which it came last, by this node's count */
	uint8_t flags;
};

/* A node that is told. */
struct replica_peer {
	uint32_t seq;	 /* of the last message */
	bool bulk;	 /* a walk over all flows is under way for it */
	bool flows_done; /* of which the affinities are left */
	bool halves;	 /* over those that are not confirmed, and nothing else */
	uint32_t pos, n; /* where the walk is, flows told in it */
	uint32_t number; /* of the walk */
};

#define REPLICA_GONE 16

/* One dispatcher. */
struct replica_side {
	enum replica_role role;
	bool merge;	 /* source: has yielded; told is `successor` alone */
	bool merge_bulk; /* and that all flows */
	uint32_t source; /* copy: member that plays it */
	uint32_t successor;
	uint32_t epoch;
	/* source */
	uint32_t before; /* member that played it until it handed it over, then */
	uint64_t before_ns;
	struct replica_peer peers[PARAMS_MEMBERS];
	struct flow_key gone[REPLICA_GONE];
	uint8_t n_gone;
	uint64_t state_ns; /* when to say again what the last number is */
	uint32_t n_told;
	/* copy */
	bool synced;
	uint32_t seq;	 /* of the last message heard */
	uint32_t bulk;	 /* walk under way, 0 = none; the last one when it is over */
	uint32_t number; /* which the source gave it; another source may give the same */
	bool in_bulk;
	bool sweeping; /* those that were not in it are looked for */
	uint32_t sweep_pos;
	uint64_t ask_ns; /* when to ask, UINT64_MAX = not */
	uint32_t n_heard;
};

struct replica {
	struct replica_mark *marks;
	uint32_t first, last; /* flows to be told */
	uint64_t flush_ns;
	uint32_t bulk;	/* number of the last walk */
	uint32_t walks; /* heard of, for all sides */
	struct replica_side sides[PARAMS_DISPATCHERS];
};

/* 0 or -ENOMEM; does nothing where no dispatcher may be played by another node. */
int replica_init(struct dispatch *d);
void replica_fini(struct dispatch *d);
/* Members may have other indices now: everybody is told all anew. */
int replica_configure(struct dispatch *d);

/* The election says what this node is; `source`: member that plays the dispatcher. */
void replica_role(struct dispatch *d, uint32_t dispatcher, enum replica_role role, uint32_t source);
/* This node is about to tell that it yields to that member; all: the two have played it at the same
 * time. */
void replica_yield(struct dispatch *d, uint32_t dispatcher, uint32_t successor, bool all);
bool replica_synced(const struct dispatch *d, uint32_t dispatcher);

/* A flow is to be told, again if it was; or has just ended. */
void replica_changed(struct dispatch *d, const struct dflow *f);
void replica_gone(struct dispatch *d, const struct dflow *f);
/* It has traffic: told again from time to time. */
void replica_seen(struct dispatch *d, const struct dflow *f, uint32_t timeout_ms);
/* All that waits is told now. */
void replica_flush(struct dispatch *d);
uint64_t replica_tick(struct dispatch *d);
/* When it is due, which a change brings forward. */
uint64_t replica_next(const struct dispatch *d);

/* WIRE_SYNC, WIRE_SYNC_ASK */
void replica_message(struct dispatch *d, struct channel_message *msg);

/* --- between the three files --- */
/* Begin to tell that member all. */
void replica_bulk(struct dispatch *d, uint32_t dispatcher, uint32_t member);
/* Tell it those that are not confirmed; the first of them at once. */
void replica_halves(struct dispatch *d, uint32_t dispatcher, uint32_t member);
void replica_hear(struct dispatch *d, uint32_t i, uint32_t member, const struct wire_sync_head *h,
		  struct rcur *c);
uint64_t replica_hold_tick(struct dispatch *d, uint32_t i);
void replica_ask_soon(struct dispatch *d, struct replica_side *s);

#endif
