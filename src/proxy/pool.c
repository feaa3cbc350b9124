/*
 * pool.c - the table of pools, by a keyed hash: clients choose their addresses.
 *
 * Targets have one pool in use, or one for each port that was asked for; where connections are made
 * as the client, one for each client. The one asked for last is tried first: then nothing has to be
 * hashed where there is only one.
 */
#include "proxy/pool.h"

#include <stdlib.h>

#define BUCKETS_MIN 64

static const struct ipaddr nobody;

static bool is_same(const struct server_pool *x, uint16_t target, const struct endpoint *to,
		    const struct ipaddr *from)
{
	return x->target == target && x->to.port == to->port && ipaddr_eq(&x->to.addr, &to->addr) &&
	       ipaddr_eq(&x->from, from);
}

static struct server_pool **bucket_of(const struct proxy *p, uint16_t target,
				      const struct endpoint *to, const struct ipaddr *from)
{
	uint64_t words[] = {to->addr.q[0], to->addr.q[1], from->q[0], from->q[1],
			    (uint64_t)target << 16 | to->port};

	return &p->buckets[hash_words(&p->key, words, 5) & (p->n_buckets - 1)];
}

static void chain(struct proxy *p, struct server_pool *pool)
{
	struct server_pool **at = bucket_of(p, pool->target, &pool->to, &pool->from);

	pool->next = *at;
	*at = pool;
}

static void unchain(struct proxy *p, struct server_pool *pool)
{
	struct server_pool **at = bucket_of(p, pool->target, &pool->to, &pool->from);

	while (*at != pool)
		at = &(*at)->next;
	*at = pool->next;
}

/* All chains as one. */
static struct server_pool *take_all(struct proxy *p)
{
	struct server_pool *all = NULL;

	for (uint32_t i = 0; i < p->n_buckets; i++)
		while (p->buckets[i]) {
			struct server_pool *x = p->buckets[i];

			p->buckets[i] = x->next;
			x->next = all;
			all = x;
		}
	return all;
}

static void chain_all(struct proxy *p, struct server_pool *all)
{
	while (all) {
		struct server_pool *x = all;

		all = x->next;
		chain(p, x);
	}
}

void pools_rehash(struct proxy *p)
{
	chain_all(p, take_all(p));
}

/* Chains become longer without memory. False: there are none at all. */
static bool grow(struct proxy *p)
{
	uint32_t n = p->n_buckets ? p->n_buckets * 2 : BUCKETS_MIN;
	struct server_pool **more = calloc(n, sizeof(struct server_pool *)), *all;

	if (!more)
		return p->n_buckets > 0;
	all = take_all(p);
	free(p->buckets);
	p->buckets = more;
	p->n_buckets = n;
	chain_all(p, all);
	return true;
}

static struct server_pool *pool_new(struct proxy *p, uint16_t target, const struct endpoint *to,
				    const struct ipaddr *from)
{
	struct server_pool *pool;

	if (p->n_pools >= p->n_buckets && !grow(p))
		return NULL;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	pool->target = target;
	pool->of = target_at(p, target);
	pool->to = *to;
	pool->from = *from;
	ring_init(&pool->idle);
	ring_init(&pool->others);
	ring_insert(&pool->of->pools, &pool->link);
	chain(p, pool);
	p->n_pools++;
	pool_check(p, pool);
	return pool;
}

struct server_pool *pool_get(struct proxy *p, uint16_t target, const struct endpoint *to,
			     const struct ipaddr *from)
{
	struct server_target *t = target_at(p, target);
	struct server_pool *pool = t->recent;

	from = from ? from : &nobody;
	if (pool && is_same(pool, target, to, from))
		return pool;
	pool = p->n_buckets > 0 ? *bucket_of(p, target, to, from) : NULL;
	while (pool && !is_same(pool, target, to, from))
		pool = pool->next;
	if (!pool)
		pool = pool_new(p, target, to, from);
	if (pool)
		t->recent = pool;
	return pool;
}

void pool_check(struct proxy *p, struct server_pool *pool)
{
	if (pool->n_open == 0 && pool->n_queue == 0 && !pool->empty.next)
		ring_insert(&p->empty, &pool->empty);
}

void pools_sweep(struct proxy *p)
{
	while (!ring_is_empty(&p->empty)) {
		struct server_pool *pool = ring_entry(p->empty.next, struct server_pool, empty);

		ring_unlink(&pool->empty);
		if (pool->n_open > 0 || pool->n_queue > 0)
			continue;
		if (pool->of->recent == pool)
			pool->of->recent = NULL;
		unchain(p, pool);
		ring_unlink(&pool->link);
		p->n_pools--;
		free(pool);
	}
}

struct server_target *target_with_idle(const struct proxy *p)
{
	uint32_t n = p->params->n_targets + p->params->n_members;
	struct server_target *most = NULL;

	for (uint32_t i = 0; i < n; i++)
		if (p->targets[i].n_idle > (most ? most->n_idle : 0))
			most = &p->targets[i];
	return most;
}

bool pool_is_right(const struct proxy *p, const struct server_pool *pool)
{
	const struct target_params *t;

	if (pool->target == PARAMS_NONE)
		return false;
	if (l7_is_relay(pool->target) || !ipaddr_is_unspecified(&pool->from))
		return !pool->of->moved;
	t = &p->params->targets[pool->target];
	if (t->port != 0 && t->port != pool->to.port)
		return false;
	return (t->has_v4 && ipaddr_eq(&t->v4, &pool->to.addr)) ||
	       (t->has_v6 && ipaddr_eq(&t->v6, &pool->to.addr));
}

/* The pool has no idle connections and no queue any more. It is found under no target's index. */
void pool_part(struct proxy *p, struct server_pool *pool)
{
	pool_count(p, pool, open, -(int64_t)pool->n_open);
	pool->of->n_open -= pool->n_open;
	if (pool->of->recent == pool)
		pool->of->recent = NULL;
	ring_unlink(&pool->link);
	unchain(p, pool);
	pool->target = PARAMS_NONE;
	pool->of = &p->parted;
	pool->of->n_open += pool->n_open;
	ring_insert(&pool->of->pools, &pool->link);
	chain(p, pool);
}
