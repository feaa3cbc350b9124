/*
 * pool.h - the pools that server.c keeps connections in: one for each target and address that was
 * asked for, found by both, and what the pools of one target are together. Internal to server.c and
 * pool.c.
 *
 * Lists are rings with a head that is no member. Pools stay where they are in memory; they go when
 * pools_sweep finds them empty.
 */
#ifndef PROXY_POOL_H
#define PROXY_POOL_H

#include <stddef.h>

#include "proxy/impl.h"

struct server_pool {
	uint16_t target; /* PARAMS_NONE: gone; what sessions still have is closed behind them */
	struct endpoint to;
	struct server_conn idle;   /* head; the one used last comes first */
	struct server_conn others; /* head */
	struct server_wish queue;  /* head; who came first is first */
	uint32_t n_open;	   /* all of idle and others */
	uint32_t n_idle, n_orphans, n_queue;
};

static inline void wish_append(struct server_wish *head, struct server_wish *w)
{
	w->next = head;
	w->prev = head->prev;
	head->prev->next = w;
	head->prev = w;
}

static inline void wish_unlink(struct server_wish *w)
{
	w->next->prev = w->prev;
	w->prev->next = w->next;
	w->next = w->prev = NULL;
}

/* In front. */
static inline void conn_insert(struct server_conn *head, struct server_conn *c)
{
	c->prev = head;
	c->next = head->next;
	head->next->prev = c;
	head->next = c;
}

static inline void conn_unlink(struct server_conn *c)
{
	c->next->prev = c->prev;
	c->prev->next = c->next;
	c->next = c->prev = NULL;
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

/* Made when there is none. NULL without memory. */
struct server_pool *pool_get(struct proxy *p, uint16_t target, const struct endpoint *to);
/* Free those that have neither connections nor a queue. */
void pools_sweep(struct proxy *p);
/* Targets have got other indices. */
void pools_sort(struct proxy *p);

/* Of all pools of a target together: */
/* Idle connections; wishes in line. */
uint32_t pool_idle(const struct proxy *p, uint16_t target);
uint32_t pool_waiting(const struct proxy *p, uint16_t target);
/* The wish that has been in line longest, or NULL. */
struct server_wish *pool_longest_wait(const struct proxy *p, uint16_t target);
/* The pool with the most idle connections, or NULL; PARAMS_NONE: of any target. */
struct server_pool *pool_with_idle(const struct proxy *p, uint16_t target);

/* Whether the pool's target is still reached at the pool's address. */
bool pool_is_right(const struct proxy *p, const struct server_pool *pool);
/* It is none of its target's any more, and what is in it no longer counts for that. */
void pool_part(struct proxy *p, struct server_pool *pool);

#endif
