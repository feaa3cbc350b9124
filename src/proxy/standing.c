/*
 * standing.c - connections to targets that are down, gone or elsewhere; life of all pools.
 */
#include <assert.h>
#include <stdlib.h>

#include "proxy/pool.h"

/* Who waits shall choose anew. What sessions have is theirs. */
static void pool_dismiss(struct proxy *p, struct server_pool *pool)
{
	struct ring *at, *next;

	for (at = pool->of->queue.next; pool->n_queue > 0; at = next) {
		struct server_wish *w = wish_of(at);

		next = at->next;
		if (w->pool != pool)
			continue;
		wish_dequeue(p, w);
		wish_settle(p, w, SERVER_GONE);
	}
	while (pool->n_idle > 0)
		conn_close(p, conn_of(pool->idle.next), false);
	for (at = pool->others.next; at != &pool->others; at = next) {
		struct server_conn *c = conn_of(at);

		next = at->next;
		if (c->connected)
			continue;
		if (c->wish) {
			c->wish->conn = NULL;
			wish_settle(p, c->wish, SERVER_GONE);
		} else {
			pool->n_orphans--;
		}
		conn_close(p, c, false);
	}
}

/* Sessions may end here, but none other than the one that is asked; and pools stay. */
static void pool_strand(struct proxy *p, struct server_pool *pool)
{
	struct ring *at, *next;

	for (at = pool->others.next; at != &pool->others; at = next) {
		struct server_conn *c = conn_of(at);

		next = at->next;
		if (c->wish && c->wish->state == WISH_HAS)
			session_stranded(p, c->wish);
	}
}

static void target_check(struct proxy *p, struct server_target *t, uint16_t target)
{
	struct ring *at;
	uint64_t since;

	if (ring_is_empty(&t->pools) ||
	    p->world.standing(p->world.arg, target, &since) != L7_TARGET_DOWN)
		return;
	for (at = t->pools.next; at != &t->pools; at = at->next)
		pool_dismiss(p, pool_of(at));
	for (at = t->pools.next; at != &t->pools; at = at->next)
		pool_strand(p, pool_of(at));
}

void servers_check(struct proxy *p)
{
	uint16_t n = (uint16_t)p->params->n_targets;

	for (uint16_t i = 0; i < n; i++)
		target_check(p, &p->targets[i], i);
	for (uint16_t i = 0; i < p->params->n_members; i++)
		target_check(p, &p->targets[n + i], (uint16_t)(L7_RELAY + i));
	pools_sweep(p);
}

/* --- life ------------------------------------------------------------------------------------- */

static void target_init(struct server_target *t)
{
	ring_init(&t->pools);
	ring_init(&t->idle);
	ring_init(&t->queue);
}

struct server_target *server_targets_new(const struct params *params)
{
	uint32_t n = params->n_targets + params->n_members;
	struct server_target *t = calloc(n + 1, sizeof(*t));

	for (uint32_t i = 0; t && i < n; i++)
		target_init(&t[i]);
	return t;
}

void servers_init(struct proxy *p)
{
	ring_init(&p->told);
	ring_init(&p->empty);
	target_init(&p->parted);
}

void servers_fini(struct proxy *p)
{
	for (uint32_t i = 0; i < p->params->n_targets + p->params->n_members; i++) {
		struct server_target *t = &p->targets[i];

		for (struct ring *at = t->pools.next; at != &t->pools; at = at->next)
			pool_dismiss(p, pool_of(at));
	}
	pools_sweep(p);
	assert(p->n_pools == 0 && ring_is_empty(&p->told));
	free(p->buckets);
	free(p->targets);
}

/* --- another configuration -------------------------------------------------------------------- */

uint16_t proxy_map_service(const struct proxy_map *m, uint16_t i)
{
	return i != PARAMS_NONE ? m->services[i] : PARAMS_NONE;
}

uint16_t proxy_map_target(const struct proxy_map *m, uint16_t i)
{
	uint16_t member;

	if (!l7_is_relay(i))
		return i != PARAMS_NONE ? m->targets[i] : PARAMS_NONE;
	member = m->members[l7_relay_member(i)];
	return member != PARAMS_NONE ? (uint16_t)(L7_RELAY + member) : PARAMS_NONE;
}

static void wish_remap(struct server_wish *w, const struct proxy_map *m)
{
	w->service = proxy_map_service(m, w->service);
	w->target = proxy_map_target(m, w->target);
}

static void pool_remap(struct server_pool *pool, const struct proxy_map *m)
{
	for (struct ring *at = pool->others.next; at != &pool->others; at = at->next) {
		struct server_conn *c = conn_of(at);

		if (c->wish)
			wish_remap(c->wish, m);
		c->service = proxy_map_service(m, c->service);
	}
	pool->target = proxy_map_target(m, pool->target);
}

/* All that is of the one is of the other from now on. */
static void target_remap(struct server_target *to, struct server_target *from,
			 const struct proxy_map *m)
{
	struct ring *at;

	for (at = from->queue.next; at != &from->queue; at = at->next)
		wish_remap(wish_of(at), m);
	for (at = from->pools.next; at != &from->pools; at = at->next) {
		pool_remap(pool_of(at), m);
		pool_of(at)->of = to;
	}
	ring_move(&to->pools, &from->pools);
	ring_move(&to->idle, &from->idle);
	ring_move(&to->queue, &from->queue);
	to->n_open += from->n_open;
	to->n_idle += from->n_idle;
	to->n_queue += from->n_queue;
}

static void pools_part(struct proxy *p, struct server_target *t)
{
	struct ring *at, *next;

	for (at = t->pools.next; at != &t->pools; at = next) {
		struct server_pool *pool = pool_of(at);

		next = at->next;
		if (pool_is_right(p, pool))
			continue;
		pool_dismiss(p, pool);
		if (pool->target != PARAMS_NONE)
			pool_part(p, pool);
	}
}

static void targets_remap(struct proxy *p, const struct proxy_map *m, struct server_target *old,
			  uint32_t n, uint16_t first)
{
	for (uint16_t i = 0; i < n; i++) {
		uint16_t to = proxy_map_target(m, (uint16_t)(first + i));

		target_remap(to != PARAMS_NONE ? target_at(p, to) : &p->parted, &old[i], m);
	}
}

void servers_remap(struct proxy *p, const struct proxy_map *m, struct server_target *old)
{
	uint32_t n = p->params->n_targets, members = p->params->n_members;

	for (struct ring *at = p->parted.pools.next; at != &p->parted.pools; at = at->next)
		pool_remap(pool_of(at), m);
	targets_remap(p, m, old, m->n_targets, 0);
	targets_remap(p, m, old + m->n_targets, m->n_members, L7_RELAY);
	pools_rehash(p);
	for (uint32_t i = 0; i < n + members; i++)
		pools_part(p, &p->targets[i]);
	pools_part(p, &p->parted);
	pools_sweep(p);
	for (uint16_t i = 0; i < n; i++)
		serve_waiting(p, i);
}
