/*
 * server.c - connections to servers: asked for, granted, returned, waited for.
 *
 * A pool is of one target at one address. Its connections are idle, or in `others`: those that are
 * connecting, and those that sessions have. All pools of a target share the target's limit, so a
 * place that becomes free goes to the wish that has waited longest in any of them.
 *
 *	          ┌────────── forgotten ──────────┐
 *	connecting ── OK ──▶ granted ── returned ─┴▶ idle ── asked for ──▶ granted
 *	     └ fails, too late   └ closed               └ closed by the server, too old, place
 *needed
 */
#include "proxy/server.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "proxy/pool.h"

#define ROOM_TRIES 8 /* idle connections given up for one that cannot be opened */

static void serve_waiting(struct proxy *p, uint16_t target);

/* By whose rules a wish waits. Those whose service has gone since wait as others would. */
static const struct l7_params *rules(const struct proxy *p, uint16_t service)
{
#define DEFAULT_TIMEOUT(field, key, def) .field##_ms = (def),
	static const struct l7_params of_none = {L7_TIMEOUT_LIST(DEFAULT_TIMEOUT)};
#undef DEFAULT_TIMEOUT

	return service < p->params->n_services ? &proxy_service_params(p, service)->l7 : &of_none;
}

/* --- wishes ----------------------------------------------------------------------------------- */

/* To be told by servers_settle. */
static void settle(struct proxy *p, struct server_wish *w, enum server_trouble denied)
{
	w->state = WISH_SETTLED;
	w->denied = (uint8_t)denied;
	wish_append(&p->told, w);
}

static void grant(struct server_conn *c, struct server_wish *w)
{
	c->wish = w;
	c->service = w->service;
	c->private = w->private;
	w->conn = c;
	w->pool = c->pool;
}

/* It is connecting, and has the whole time for it from now on. */
static void await(struct proxy *p, struct server_conn *c, struct server_wish *w)
{
	grant(c, w);
	w->state = WISH_CONNECTING;
	clock_set(&p->clock, &c->timer, proxy_in_ms(p, rules(p, w->service)->connect_ms));
}

static void dequeue(struct proxy *p, struct server_wish *w)
{
	wish_unlink(w);
	w->pool->n_queue--;
	p->n_waiting--;
	pool_count(p, w->pool, waiting, -1);
	clock_stop(&p->clock, &w->timer);
}

static enum wish_answer deny(struct server_wish *w, enum server_trouble why, int error)
{
	w->state = WISH_NONE;
	w->denied = (uint8_t)why;
	w->error = error;
	w->pool = NULL;
	return WISH_DENIED;
}

static enum wish_answer enqueue(struct proxy *p, struct server_wish *w)
{
	const struct l7_params *l7 = rules(p, w->service);

	if (pool_waiting(p, w->target) >= l7->max_queue)
		return deny(w, SERVER_QUEUE_FULL, 0);
	w->state = WISH_QUEUED;
	w->turn = p->n_turns++;
	wish_append(&w->pool->queue, w);
	w->pool->n_queue++;
	p->n_waiting++;
	pool_count(p, w->pool, waiting, 1);
	w->timer.kind = TIMER_QUEUE;
	clock_set(&p->clock, &w->timer, proxy_in_ms(p, l7->queue_ms));
	return WISH_WAITS;
}

/* --- connections ------------------------------------------------------------------------------ */

/* No longer idle. */
static void conn_busy(struct proxy *p, struct server_conn *c)
{
	c->idle = false;
	c->pool->n_idle--;
	pool_count(p, c->pool, idle, -1);
	conn_unlink(c);
	conn_insert(&c->pool->others, c);
	clock_set(&p->clock, &c->timer, UINT64_MAX);
}

/* It is in no list when this returns, and gone. */
static void conn_close(struct proxy *p, struct server_conn *c, bool abort)
{
	struct server_pool *pool = c->pool;

	if (c->idle)
		conn_busy(p, c);
	conn_unlink(c);
	pool->n_open--;
	if (pool->target != PARAMS_NONE)
		p->target_open[pool->target]--;
	pool_count(p, pool, open, -1);
	clock_stop(&p->clock, &c->timer);
	p->world.unwatch(p->world.arg, &c->watch);
	if (abort)
		stream_abort(&c->stream);
	else
		stream_close(&c->stream);
	free(c);
}

/* The idle connection of a target, or of any (PARAMS_NONE), that was used least recently in its
 * pool is closed to make room. */
static bool give_up_idle(struct proxy *p, uint16_t target)
{
	struct server_pool *pool = pool_with_idle(p, target);

	if (!pool)
		return false;
	conn_close(p, pool->idle.prev, false);
	return true;
}

static bool has_room(struct proxy *p, uint16_t target)
{
	uint32_t max = p->params->targets[target].max_connections;

	while (max > 0 && p->target_open[target] >= max)
		if (!give_up_idle(p, target))
			return false;
	return true;
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL || error == ENOBUFS ||
	       error == ENOMEM || error == EAGAIN;
}

/* A descriptor that is connecting, or negative errno. */
static int start(struct proxy *p, const struct server_pool *pool)
{
	int fd = p->world.connect(p->world.arg, pool->target, &pool->to);

	for (unsigned i = 0; fd < 0 && is_shortage(-fd) && i < ROOM_TRIES; i++) {
		if (!give_up_idle(p, PARAMS_NONE))
			break;
		fd = p->world.connect(p->world.arg, pool->target, &pool->to);
	}
	return fd;
}

/* For one wish; there is room. 0, or negative errno. */
static int conn_open(struct proxy *p, struct server_wish *w)
{
	struct server_conn *c = calloc(1, sizeof(*c));
	struct server_pool *pool = w->pool;
	int fd = c ? start(p, pool) : -ENOMEM;

	if (fd < 0) {
		pool_count(p, pool, connect_failed, 1);
		free(c);
		return fd;
	}
	stream_init(&c->stream, fd);
	c->watch = (struct proxy_watch){.fd = fd, .kind = WATCH_SERVER};
	c->timer.kind = TIMER_SERVER;
	c->pool = pool;
	c->began_ns = p->now_ns;
	conn_insert(&pool->others, c);
	pool->n_open++;
	p->target_open[pool->target]++;
	pool_count(p, pool, open, 1);
	await(p, c, w);
	proxy_want(p, &c->watch, STREAM_WRITE);
	return 0;
}

/* One that is connecting for nobody, as a client that went left it. */
static bool adopt(struct proxy *p, struct server_wish *w)
{
	struct server_pool *pool = w->pool;
	struct server_conn *c = pool->others.next;

	if (pool->n_orphans == 0)
		return false;
	while (c->wish)
		c = c->next;
	pool->n_orphans--;
	await(p, c, w);
	return true;
}

/* An idle connection, still good, that becomes the wish's. */
static bool reuse(struct proxy *p, struct server_wish *w)
{
	struct server_pool *pool = w->pool;

	while (pool->n_idle > 0) {
		struct server_conn *c = pool->idle.next;

		if (!stream_is_quiet(&c->stream)) {
			conn_close(p, c, false);
			continue;
		}
		conn_busy(p, c);
		grant(c, w);
		return true;
	}
	return false;
}

/* A connection that nobody has goes to the idle ones, if there may be one more. */
static void conn_keep(struct proxy *p, struct server_conn *c, uint16_t service)
{
	const struct l7_params *l7 = rules(p, service);
	struct server_pool *pool = c->pool;

	if (p->ending || c->private || pool->target == PARAMS_NONE ||
	    pool_idle(p, pool->target) >= l7->max_idle) {
		conn_close(p, c, false);
		return;
	}
	conn_unlink(c);
	conn_insert(&pool->idle, c);
	c->idle = true;
	pool->n_idle++;
	pool_count(p, pool, idle, 1);
	clock_set(&p->clock, &c->timer, proxy_in_ms(p, l7->idle_ms));
	proxy_want(p, &c->watch, STREAM_READ);
}

/* A connected one that a wish had goes to who waits longest, when it is of use there; `service`:
 * by whose rules it is kept otherwise. */
static void conn_pass_on(struct proxy *p, struct server_conn *c, uint16_t service)
{
	struct server_pool *pool = c->pool;
	uint16_t target = pool->target;
	struct server_wish *w = target != PARAMS_NONE ? pool_longest_wait(p, target) : NULL;

	c->wish = NULL;
	if (!w) {
		conn_keep(p, c, service);
		return;
	}
	if (c->private || w->pool != pool || w->private || w->fresh ||
	    !stream_is_quiet(&c->stream)) {
		conn_close(p, c, false);
		serve_waiting(p, target);
		return;
	}
	dequeue(p, w);
	grant(c, w);
	settle(p, w, SERVER_FINE);
}

/* Those that wait for a place at a target get what places there are. Each tries once, so this
 * ends. */
static void serve_waiting(struct proxy *p, uint16_t target)
{
	struct server_wish *w;
	int rc;

	if (target == PARAMS_NONE || p->ending)
		return;
	while ((w = pool_longest_wait(p, target)) && has_room(p, target)) {
		dequeue(p, w);
		rc = conn_open(p, w);
		if (rc == 0)
			continue;
		w->error = -rc;
		settle(p, w, SERVER_REFUSED);
	}
}

static void conn_drop(struct proxy *p, struct server_conn *c, bool abort)
{
	uint16_t target = c->pool->target;

	conn_close(p, c, abort);
	serve_waiting(p, target);
}

/* --- for sessions ----------------------------------------------------------------------------- */

static enum wish_answer granted_reused(struct proxy *p, struct server_wish *w)
{
	w->state = WISH_HAS;
	if (w->conn->requests > 0)
		pool_count(p, w->pool, reused, 1);
	return WISH_GRANTED;
}

enum wish_answer server_ask(struct proxy *p, struct server_wish *w, const struct endpoint *to)
{
	int rc;

	assert(w->state == WISH_NONE);
	w->asked_ns = p->now_ns;
	w->conn = NULL;
	w->error = 0;
	w->denied = SERVER_FINE;
	if (w->target >= p->params->n_targets)
		return deny(w, SERVER_GONE, 0);
	w->pool = pool_get(p, w->target, to);
	if (!w->pool)
		return deny(w, SERVER_REFUSED, ENOMEM);
	if (pool_longest_wait(p, w->target))
		return enqueue(p, w);
	if (!w->private && !w->fresh && reuse(p, w))
		return granted_reused(p, w);
	if (adopt(p, w))
		return WISH_WAITS;
	if (!has_room(p, w->target))
		return enqueue(p, w);
	rc = conn_open(p, w);
	return rc < 0 ? deny(w, SERVER_REFUSED, -rc) : WISH_WAITS;
}

/* A connection under way is of use to the next in line, or the next that asks. */
static void forget_connecting(struct proxy *p, struct server_conn *c)
{
	struct server_pool *pool = c->pool;
	struct server_wish *next = pool_longest_wait(p, pool->target);

	c->wish = NULL;
	if (!next && !c->private) {
		pool->n_orphans++;
		return;
	}
	if (!next || next->pool != pool) {
		conn_drop(p, c, false);
		return;
	}
	dequeue(p, next);
	await(p, c, next);
}

void server_forget(struct proxy *p, struct server_wish *w)
{
	struct server_conn *c = w->conn;
	enum wish_state state = w->state;

	assert(state != WISH_HAS);
	w->state = WISH_NONE;
	w->conn = NULL;
	if (state == WISH_QUEUED)
		dequeue(p, w);
	if (state == WISH_SETTLED)
		wish_unlink(w);
	w->pool = NULL;
	if (state == WISH_CONNECTING)
		forget_connecting(p, c);
	else if (c)
		conn_pass_on(p, c, w->service);
}

static struct server_conn *take_back(struct server_wish *w)
{
	struct server_conn *c = w->conn;

	assert(w->state == WISH_HAS);
	w->state = WISH_NONE;
	w->conn = NULL;
	w->pool = NULL;
	return c;
}

void server_return(struct proxy *p, struct server_wish *w)
{
	struct server_conn *c = take_back(w);

	c->requests++;
	clock_set(&p->clock, &c->timer, UINT64_MAX);
	conn_pass_on(p, c, w->service);
}

void server_close(struct proxy *p, struct server_wish *w, bool abort)
{
	conn_drop(p, take_back(w), abort);
}

/* --- what happens ----------------------------------------------------------------------------- */

static void connect_failed(struct proxy *p, struct server_conn *c, enum server_trouble why,
			   int error)
{
	struct server_wish *w = c->wish;

	pool_count(p, c->pool, connect_failed, 1);
	if (w) {
		w->conn = NULL;
		w->error = error;
		settle(p, w, why);
	} else {
		c->pool->n_orphans--;
	}
	conn_drop(p, c, false);
}

static void connect_done(struct proxy *p, struct server_conn *c)
{
	uint16_t service = c->service;

	c->connected = true;
	clock_set(&p->clock, &c->timer, UINT64_MAX);
	proxy_want(p, &c->watch, 0);
	pool_count(p, c->pool, opened, 1);
	if (c->wish) {
		settle(p, c->wish, SERVER_FINE);
		return;
	}
	c->pool->n_orphans--;
	conn_pass_on(p, c, service);
}

void server_ready(struct proxy *p, struct server_conn *c, uint8_t what)
{
	(void)what;
	if (c->wish && c->connected) /* granted, and not told yet */
		return;
	if (c->connected) {
		conn_drop(p, c, false);
		return;
	}
	switch (stream_connected(&c->stream)) {
	case STREAM_OK:
		connect_done(p, c);
		break;
	case STREAM_AGAIN:
		break;
	default:
		connect_failed(p, c, SERVER_REFUSED, c->stream.error);
	}
}

void server_due(struct proxy *p, struct timer *t)
{
	struct server_conn *c;
	struct server_wish *w;

	if (t->kind == TIMER_QUEUE) {
		w = wish_of_timer(t);
		dequeue(p, w);
		settle(p, w, SERVER_QUEUE_TIMEOUT);
		return;
	}
	c = server_conn_of_timer(t);
	if (c->connected)
		conn_drop(p, c, false);
	else
		connect_failed(p, c, SERVER_TIMEOUT, ETIMEDOUT);
}

void servers_settle(struct proxy *p)
{
	while (p->told.next != &p->told) {
		struct server_wish *w = p->told.next;

		wish_unlink(w);
		if (w->denied != SERVER_FINE) {
			deny(w, (enum server_trouble)w->denied, w->error);
			session_denied(p, w);
			continue;
		}
		(void)granted_reused(p, w);
		session_granted(p, w);
	}
}

/* --- targets that are down or gone ------------------------------------------------------------ */

/* Who waits shall choose anew. What sessions have is theirs until they see that it fails. */
static void pool_dismiss(struct proxy *p, struct server_pool *pool)
{
	struct server_conn *c, *next;

	while (pool->queue.next != &pool->queue) {
		struct server_wish *w = pool->queue.next;

		dequeue(p, w);
		settle(p, w, SERVER_GONE);
	}
	while (pool->n_idle > 0)
		conn_close(p, pool->idle.next, false);
	for (c = pool->others.next; c != &pool->others; c = next) {
		next = c->next;
		if (c->connected)
			continue;
		if (c->wish) {
			c->wish->conn = NULL;
			settle(p, c->wish, SERVER_GONE);
		} else {
			pool->n_orphans--;
		}
		conn_close(p, c, false);
	}
}

void servers_check(struct proxy *p)
{
	uint64_t since;

	for (uint32_t i = 0; i < p->n_pools; i++) {
		struct server_pool *pool = p->pools[i];

		if (pool->target != PARAMS_NONE &&
		    p->world.standing(p->world.arg, pool->target, &since) == L7_TARGET_DOWN)
			pool_dismiss(p, pool);
	}
	pools_sweep(p);
}

/* --- life ------------------------------------------------------------------------------------- */

void servers_init(struct proxy *p)
{
	p->told.next = p->told.prev = &p->told;
}

void servers_fini(struct proxy *p)
{
	for (uint32_t i = 0; i < p->n_pools; i++)
		pool_dismiss(p, p->pools[i]);
	pools_sweep(p);
	assert(p->n_pools == 0 && p->told.next == &p->told);
	free(p->pools);
}

static void wish_remap(struct server_wish *w, const uint16_t *services, const uint16_t *targets)
{
	if (w->service != PARAMS_NONE)
		w->service = services[w->service];
	if (w->target != PARAMS_NONE)
		w->target = targets[w->target];
}

static void pool_remap(struct proxy *p, struct server_pool *pool, const uint16_t *services,
		       const uint16_t *targets)
{
	struct server_conn *c;
	struct server_wish *w;

	for (w = pool->queue.next; w != &pool->queue; w = w->next)
		wish_remap(w, services, targets);
	for (c = pool->others.next; c != &pool->others; c = c->next) {
		if (c->wish)
			wish_remap(c->wish, services, targets);
		c->service = c->service != PARAMS_NONE ? services[c->service] : PARAMS_NONE;
	}
	if (pool->target == PARAMS_NONE)
		return;
	pool->target = targets[pool->target];
	if (pool->target != PARAMS_NONE)
		p->target_open[pool->target] += pool->n_open;
}

void servers_remap(struct proxy *p, const uint16_t *services, const uint16_t *targets)
{
	for (uint32_t i = 0; i < p->n_pools; i++)
		pool_remap(p, p->pools[i], services, targets);
	for (uint32_t i = 0; i < p->n_pools; i++) {
		struct server_pool *pool = p->pools[i];

		if (pool_is_right(p, pool))
			continue;
		pool_dismiss(p, pool);
		pool_part(p, pool);
	}
	pools_sort(p);
	pools_sweep(p);
	for (uint16_t t = 0; t < p->params->n_targets; t++)
		serve_waiting(p, t);
}
