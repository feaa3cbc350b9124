/*
 * pool.h - bounded memory for packets that must outlive their batch (waiting for a neighbour, a
 * query or a first fragment).
 *
 * Two sizes of buffer, both allocated once and touched only when used. A packet that has been sent
 * is retired, not freed: the action refers to its bytes until the caller has carried it out, so it
 * returns to the pool at the next pool_reclaim.
 */
#ifndef NODE_POOL_H
#define NODE_POOL_H

#include <stdint.h>

#include "packet/frame.h"

#define POOL_SMALL 2048

struct held {
	struct held *next;
	struct frame frame;
	uint8_t *memory; /* FRAME_HEADROOM before frame.data at first */
	uint8_t small;
	uint8_t from_member; /* index + 1 of the member that forwarded it, 0 = none */
	uint64_t when_ns;    /* held since, for owners that care */
};

struct held_queue {
	struct held *head, *tail;
	uint32_t n;
};

struct pool;

struct pool *pool_new(uint32_t n_small, uint32_t n_large);
void pool_free(struct pool *p);

/* A copy of the frame, or NULL when the pool is empty. */
struct held *pool_hold(struct pool *p, const struct frame *frame);
/* Give back at once (dropped) or after the current actions are done (sent). */
void pool_drop(struct pool *p, struct held *h);
void pool_retire(struct pool *p, struct held *h);
void pool_reclaim(struct pool *p);
uint32_t pool_used(const struct pool *p); /* held and not retired */

void held_push(struct held_queue *q, struct held *h);
struct held *held_pop(struct held_queue *q);

#endif
