/*
 * flow.h - what a dispatcher remembers of a flow: the firewall it runs through and who serves it.
 *
 * One table for all dispatchers of a node; the key's zone is the dispatcher's index, so that outer
 * and inner may live in one process and each have their own entry for the same flow. A flow whose
 * addresses are rewritten (l4/3) has a second entry, its twin, keyed as the server sees it.
 *
 * A dispatcher may see one direction only (answers go past the first stage), so TCP is followed
 * loosely: opening until the originator has sent something after its SYN, closing after a FIN,
 * closed after a reset or FINs of both.
 */
#ifndef DISPATCH_FLOW_H
#define DISPATCH_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/params.h"
#include "flow/table.h"
#include "node/node.h"

/* X(symbol, name) - by what the path or target was chosen */
#define DFLOW_BY_LIST(X)                                                                           \
	X(NONE, "-")                                                                               \
	X(ALGORITHM, "algorithm")                                                                  \
	X(AFFINITY, "affinity")                                                                    \
	X(LEARNT, "learnt")   /* from the frame of a firewall */                                   \
	X(STAMP, "stamp")     /* from the SYN */                                                   \
	X(MESSAGE, "message") /* from the stage before, by cluster message */                      \
	X(MOVED, "moved")     /* the one before was down */                                        \
	X(SORRY, "sorry")     /* no other target was up */

#define DFLOW_BY_ENUM(sym, name) DFLOW_BY_##sym,
enum dflow_by { DFLOW_BY_LIST(DFLOW_BY_ENUM) DFLOW_BY_COUNT };
#undef DFLOW_BY_ENUM

const char *dflow_by_name(enum dflow_by by);

enum dflow_state { DFLOW_OPENING, DFLOW_OPEN, DFLOW_CLOSING, DFLOW_CLOSED };

const char *dflow_state_name(enum dflow_state s);

#define DFLOW_ORIGIN_B 1 /* endpoint b of the key is the originator */
#define DFLOW_TWIN 2	 /* this entry is the twin: only `entry` and `twin` mean anything */
#define DFLOW_INSIDE 4	 /* began on the inner side of this dispatcher (servers, inside hosts) */
#define DFLOW_FIN_0 8	 /* FIN seen from the originator */
#define DFLOW_FIN_1 16
#define DFLOW_ANNOUNCED 32 /* path known by message, no packet seen yet */
#define DFLOW_HALF 64	   /* not confirmed: the first to give way when the table is full */
#define DFLOW_COUNTED 128  /* counted among the open flows of its path and target */

struct dflow {
	struct flow_entry entry; /* first; key as clients see the flow */
	uint32_t twin;		 /* index of the other entry, FLOW_NO_INDEX = none */
	uint32_t created_ms;
	uint32_t packets[2]; /* by originator / responder */
	uint32_t bytes_lo[2];
	uint16_t bytes_hi[2];
	uint32_t ack[2];   /* next sequence number each side expects: for resets (HD-4) */
	struct hop hop[2]; /* towards the responder / the originator */
	uint16_t path, service, target; /* indices or PARAMS_NONE */
	uint16_t upstream;		/* stage: member index + 1 it came by, 0 = none */
	uint16_t affinity_service;	/* holds this affinity entry open, or PARAMS_NONE */
	uint8_t flags;
	uint8_t state;			    /* enum dflow_state */
	uint8_t path_by : 4, target_by : 4; /* enum dflow_by */
	uint8_t origin_port;		    /* port the first packet came by */
};

/* 0 originator, 1 responder: the side that sends packets of direction `dir`. */
static inline unsigned dflow_side(const struct dflow *f, unsigned dir)
{
	return dir ^ (f->flags & DFLOW_ORIGIN_B ? 1u : 0u);
}

static inline void dflow_count(struct dflow *f, unsigned side, uint32_t bytes)
{
	uint32_t before = f->bytes_lo[side];

	f->packets[side]++;
	f->bytes_lo[side] += bytes;
	if (f->bytes_lo[side] < before)
		f->bytes_hi[side]++;
}

static inline void dflow_count_many(struct dflow *f, unsigned side, uint32_t packets,
				    uint64_t bytes)
{
	uint64_t sum = ((uint64_t)f->bytes_hi[side] << 32 | f->bytes_lo[side]) + bytes;

	f->packets[side] += packets;
	f->bytes_lo[side] = (uint32_t)sum;
	f->bytes_hi[side] = (uint16_t)(sum >> 32);
}

/* Idle time after which the flow ends. */
uint32_t dflow_timeout(const struct dflow *f, const struct dispatcher_params *p);
/* A SYN that begins a new connection on the endpoints of one that is closing or closed. */
bool dflow_reopens(const struct dflow *f, const struct pkt *pkt, unsigned side);

#endif
