/*
 * pool.c - the table of pools: an array in the order of targets and addresses.
 *
 * There are as many as targets, or, where targets have no port of their own, as many as targets and
 * ports of services; one is made once and asked for with every request. So looking is quick, and
 * the pools of one target lie side by side.
 */
#include "proxy/pool.h"

#include <stdlib.h>
#include <string.h>

static int compare(const struct server_pool *x, uint16_t target, const struct endpoint *to)
{
	int d;

	if (x->target != target)
		return x->target < target ? -1 : 1;
	d = memcmp(x->to.addr.b, to->addr.b, sizeof(to->addr.b));
	return d != 0 ? d : (int)x->to.port - (int)to->port;
}

/* The first pool that is not before that target's at that address. */
static uint32_t lower_bound(const struct proxy *p, uint16_t target, const struct endpoint *to)
{
	uint32_t lo = 0, hi = p->n_pools;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (compare(p->pools[mid], target, to) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct server_pool *pool_new(uint16_t target, const struct endpoint *to)
{
	struct server_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->target = target;
	pool->to = *to;
	pool->idle.next = pool->idle.prev = &pool->idle;
	pool->others.next = pool->others.prev = &pool->others;
	pool->queue.next = pool->queue.prev = &pool->queue;
	return pool;
}

struct server_pool *pool_get(struct proxy *p, uint16_t target, const struct endpoint *to)
{
	uint32_t at = lower_bound(p, target, to);
	struct server_pool **more, *pool;

	if (at < p->n_pools && compare(p->pools[at], target, to) == 0)
		return p->pools[at];
	more = realloc(p->pools, (p->n_pools + 1) * sizeof(struct server_pool *));
	if (!more)
		return NULL;
	p->pools = more;
	pool = pool_new(target, to);
	if (!pool)
		return NULL;
	memmove(&more[at + 1], &more[at], (p->n_pools - at) * sizeof(struct server_pool *));
	more[at] = pool;
	p->n_pools++;
	return pool;
}

void pools_sweep(struct proxy *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_pools; i++) {
		struct server_pool *pool = p->pools[i];

		if (pool->n_open > 0 || pool->n_queue > 0)
			p->pools[n++] = pool;
		else
			free(pool);
	}
	p->n_pools = n;
}

static int in_order(const void *x, const void *y)
{
	const struct server_pool *const *a = x, *const *b = y;

	return compare(*a, (*b)->target, &(*b)->to);
}

void pools_sort(struct proxy *p)
{
	if (p->n_pools > 0)
		qsort(p->pools, p->n_pools, sizeof(struct server_pool *), in_order);
}

/* Walks over the pools of one target, from `*at` on; NULL behind the last. */
static struct server_pool *next_of(const struct proxy *p, uint16_t target, uint32_t *at)
{
	if (*at >= p->n_pools || p->pools[*at]->target != target)
		return NULL;
	return p->pools[(*at)++];
}

static uint32_t first_of(const struct proxy *p, uint16_t target)
{
	static const struct endpoint lowest;

	return lower_bound(p, target, &lowest);
}

uint32_t pool_idle(const struct proxy *p, uint16_t target)
{
	uint32_t at = first_of(p, target), n = 0;
	const struct server_pool *pool;

	while ((pool = next_of(p, target, &at)))
		n += pool->n_idle;
	return n;
}

uint32_t pool_waiting(const struct proxy *p, uint16_t target)
{
	uint32_t at = first_of(p, target), n = 0;
	const struct server_pool *pool;

	while ((pool = next_of(p, target, &at)))
		n += pool->n_queue;
	return n;
}

struct server_wish *pool_longest_wait(const struct proxy *p, uint16_t target)
{
	struct server_wish *longest = NULL;
	struct server_pool *pool;
	uint32_t at;

	if (p->n_waiting == 0)
		return NULL;
	at = first_of(p, target);
	while ((pool = next_of(p, target, &at))) {
		struct server_wish *w = pool->queue.next;

		if (pool->n_queue > 0 && (!longest || w->turn < longest->turn))
			longest = w;
	}
	return longest;
}

struct server_pool *pool_with_idle(const struct proxy *p, uint16_t target)
{
	uint32_t at = target == PARAMS_NONE ? 0 : first_of(p, target);
	struct server_pool *most = NULL;

	for (; at < p->n_pools; at++) {
		struct server_pool *pool = p->pools[at];

		if (target != PARAMS_NONE && pool->target != target)
			break;
		if (pool->n_idle > (most ? most->n_idle : 0))
			most = pool;
	}
	return most;
}

bool pool_is_right(const struct proxy *p, const struct server_pool *pool)
{
	const struct target_params *t;

	if (pool->target == PARAMS_NONE)
		return false;
	t = &p->params->targets[pool->target];
	if (t->port != 0 && t->port != pool->to.port)
		return false;
	return (t->has_v4 && ipaddr_eq(&t->v4, &pool->to.addr)) ||
	       (t->has_v6 && ipaddr_eq(&t->v6, &pool->to.addr));
}

void pool_part(struct proxy *p, struct server_pool *pool)
{
	pool_count(p, pool, open, -(int64_t)pool->n_open);
	if (pool->target != PARAMS_NONE)
		p->target_open[pool->target] -= pool->n_open;
	pool->target = PARAMS_NONE;
}
