/*
 * pool.h - the pools that server.c keeps connections in: one for each target, address that was
 * asked for, and client as which it was asked for; found by all three. Internal to server.c,
 * standing.c and pool.c.
 *
 * What the pools of one target are together is kept with the target, so nothing has to look at all
 * of them: where connections are made as the client (l7/2, relays) there are as many as clients.
 * Pools stay where they are in memory; empty ones go when pools_sweep comes by.
 */
#ifndef PROXY_POOL_H
#define PROXY_POOL_H

#include "proxy/impl.h"
#include "proxy/ring.h"

struct server_pool {
	uint16_t target; /* or relay; PARAMS_NONE: gone; what sessions have is closed behind them */
	struct server_target *of;
	struct endpoint to;
	struct ipaddr from;	  /* unspecified: as this node */
	struct server_pool *next; /* in its chain of the table */
	struct ring link;	  /* among the target's pools */
	struct ring empty;	  /* among those that may be empty */
	struct ring idle;	  /* head of connections; the one used last comes first */
	struct ring others;	  /* head */
	uint32_t n_open;	  /* all of idle and others */
	uint32_t n_idle, n_orphans, n_queue;
};

static inline struct server_conn *conn_of(struct ring *link)
{
	return ring_entry(link, struct server_conn, link);
}

static inline struct server_conn *conn_of_target(struct ring *link)
{
	return ring_entry(link, struct server_conn, in_target);
}

static inline struct server_wish *wish_of(struct ring *link)
{
	return ring_entry(link, struct server_wish, link);
}

static inline struct server_pool *pool_of(struct ring *link)
{
	return ring_entry(link, struct server_pool, link);
}

static inline struct server_wish *wish_of_timer(struct timer *t)
{
	return (struct server_wish *)(void *)((char *)t - offsetof(struct server_wish, timer));
}

/* Count in the target's counters, where there is a target. */
#define pool_count(p, pool, field, n)                                                              \
	do {                                                                                       \
		if ((pool)->target != PARAMS_NONE)                                                 \
			(p)->world.target_counts((p)->world.arg, (pool)->target)->field +=         \
				(uint64_t)(n);                                                     \
	} while (0)

/* --- pool.c --- */

/* What is kept of a target or relay of the configuration. */
static inline struct server_target *target_at(const struct proxy *p, uint16_t target)
{
	return &p->targets[l7_is_relay(target) ? p->params->n_targets + l7_relay_member(target)
					       : target];
}

static inline bool target_exists(const struct proxy *p, uint16_t target)
{
	return l7_is_relay(target) ? l7_relay_member(target) < p->params->n_members
				   : target < p->params->n_targets;
}

/* Of all pools of a target together: the wish that has been in line longest, or NULL. */
static inline struct server_wish *target_next_wish(const struct server_target *t)
{
	return ring_is_empty(&t->queue) ? NULL : wish_of(t->queue.next);
}

/* The connection that has been idle for longest, or NULL. */
static inline struct server_conn *target_oldest_idle(const struct server_target *t)
{
	return ring_is_empty(&t->idle) ? NULL : conn_of_target(t->idle.prev);
}

/* The target with the most idle connections, or NULL. */
struct server_target *target_with_idle(const struct proxy *p);

/* Made when there is none. `from` may be NULL. NULL without memory. */
struct server_pool *pool_get(struct proxy *p, uint16_t target, const struct endpoint *to,
			     const struct ipaddr *from);
/* It may be empty now: pools_sweep shall look. */
void pool_check(struct proxy *p, struct server_pool *pool);
void pools_sweep(struct proxy *p);
/* Targets have got other indices. */
void pools_rehash(struct proxy *p);
/* Whether the pool's target is still reached at the pool's address. */
bool pool_is_right(const struct proxy *p, const struct server_pool *pool);
/* It is none of its target's any more, and what is in it no longer counts for that. */
void pool_part(struct proxy *p, struct server_pool *pool);

/* --- server.c, for standing.c --- */

void wish_settle(struct proxy *p, struct server_wish *w, enum server_trouble denied);
void wish_dequeue(struct proxy *p, struct server_wish *w);
void conn_close(struct proxy *p, struct server_conn *c, bool abort);
/* Those that wait for a place at a target get what places there are. */
void serve_waiting(struct proxy *p, uint16_t target);

#endif
