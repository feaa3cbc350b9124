/*
 * server.c - connections to servers: asked for, granted, returned, waited for.
 *
 * A pool is of one target at one address, as one client or none. Its connections are idle, or in
 *`others`: those that are connecting, and those that sessions have. All pools of a target share the
 *target's limit, so a place that becomes free goes to the wish that has waited longest in any of
 *them.
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
void wish_settle(struct proxy *p, struct server_wish *w, enum server_trouble denied)
{
	w->state = WISH_SETTLED;
	w->denied = (uint8_t)denied;
	ring_append(&p->told, &w->link);
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

void wish_dequeue(struct proxy *p, struct server_wish *w)
{
	struct server_pool *pool = w->pool;

	ring_unlink(&w->link);
	pool->n_queue--;
	pool->of->n_queue--;
	pool_count(p, pool, waiting, -1);
	clock_stop(&p->clock, &w->timer);
	pool_check(p, pool);
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
	struct server_target *t = w->pool->of;

	if (t->n_queue >= l7->max_queue)
		return deny(w, SERVER_QUEUE_FULL, 0);
	w->state = WISH_QUEUED;
	ring_append(&t->queue, &w->link);
	w->pool->n_queue++;
	t->n_queue++;
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
	c->pool->of->n_idle--;
	pool_count(p, c->pool, idle, -1);
	ring_unlink(&c->in_target);
	ring_unlink(&c->link);
	ring_insert(&c->pool->others, &c->link);
	clock_set(&p->clock, &c->timer, UINT64_MAX);
}

/* It is in no list when this returns, and gone. */
void conn_close(struct proxy *p, struct server_conn *c, bool abort)
{
	struct server_pool *pool = c->pool;

	if (c->idle)
		conn_busy(p, c);
	ring_unlink(&c->link);
	pool->n_open--;
	pool->of->n_open--;
	pool_count(p, pool, open, -1);
	pool_check(p, pool);
	clock_stop(&p->clock, &c->timer);
	p->world.unwatch(p->world.arg, &c->watch);
	if (abort)
		stream_abort(&c->stream);
	else
		stream_close(&c->stream);
	free(c);
}

/* The connection of a target that has been idle for longest is closed to make room. `t` may be
 * NULL. */
static bool give_up_idle(struct proxy *p, const struct server_target *t)
{
	struct server_conn *c = t ? target_oldest_idle(t) : NULL;

	if (!c)
		return false;
	conn_close(p, c, false);
	return true;
}

static bool has_room(struct proxy *p, uint16_t target)
{
	const struct server_target *t = target_at(p, target);
	uint32_t max = l7_is_relay(target) ? 0 : p->params->targets[target].max_connections;

	while (max > 0 && t->n_open >= max)
		if (!give_up_idle(p, t))
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
	const struct ipaddr *from = ipaddr_is_unspecified(&pool->from) ? NULL : &pool->from;
	int fd = p->world.connect(p->world.arg, pool->target, from, &pool->to);

	for (unsigned i = 0; fd < 0 && is_shortage(-fd) && i < ROOM_TRIES; i++) {
		if (!give_up_idle(p, target_with_idle(p)))
			break;
		fd = p->world.connect(p->world.arg, pool->target, from, &pool->to);
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
	ring_insert(&pool->others, &c->link);
	pool->n_open++;
	pool->of->n_open++;
	pool_count(p, pool, open, 1);
	await(p, c, w);
	proxy_want(p, &c->watch, STREAM_WRITE);
	return 0;
}

/* One that is connecting for nobody, as a client that went left it. */
static bool adopt(struct proxy *p, struct server_wish *w)
{
	struct server_pool *pool = w->pool;
	struct ring *at = pool->others.next;

	if (pool->n_orphans == 0)
		return false;
	while (conn_of(at)->wish)
		at = at->next;
	pool->n_orphans--;
	await(p, conn_of(at), w);
	return true;
}

/* An idle connection, still good, that becomes the wish's. */
static bool reuse(struct proxy *p, struct server_wish *w)
{
	struct server_pool *pool = w->pool;

	while (pool->n_idle > 0) {
		struct server_conn *c = conn_of(pool->idle.next);

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

/* A connection that nobody has goes to the idle ones; another of the target gives way where there
 * are as many as may be. */
static void conn_keep(struct proxy *p, struct server_conn *c, uint16_t service)
{
	const struct l7_params *l7 = rules(p, service);
	struct server_pool *pool = c->pool;

	if (p->ending || c->private || pool->target == PARAMS_NONE || l7->max_idle == 0) {
		conn_close(p, c, false);
		return;
	}
	if (pool->of->n_idle >= l7->max_idle)
		(void)give_up_idle(p, pool->of);
	ring_unlink(&c->link);
	ring_insert(&pool->idle, &c->link);
	ring_insert(&pool->of->idle, &c->in_target);
	c->idle = true;
	pool->n_idle++;
	pool->of->n_idle++;
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
	struct server_wish *w = target_next_wish(pool->of);

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
	wish_dequeue(p, w);
	grant(c, w);
	wish_settle(p, w, SERVER_FINE);
}

/* Each tries once, so this ends. */
void serve_waiting(struct proxy *p, uint16_t target)
{
	struct server_wish *w;
	int rc;

	if (target == PARAMS_NONE || p->ending)
		return;
	while ((w = target_next_wish(target_at(p, target))) && has_room(p, target)) {
		wish_dequeue(p, w);
		rc = conn_open(p, w);
		if (rc == 0)
			continue;
		w->error = -rc;
		wish_settle(p, w, SERVER_REFUSED);
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

enum wish_answer server_ask(struct proxy *p, struct server_wish *w, const struct endpoint *to,
			    const struct ipaddr *from)
{
	int rc;

	assert(w->state == WISH_NONE);
	w->asked_ns = p->now_ns;
	w->conn = NULL;
	w->error = 0;
	w->denied = SERVER_FINE;
	if (!target_exists(p, w->target))
		return deny(w, SERVER_GONE, 0);
	w->pool = pool_get(p, w->target, to, from);
	if (!w->pool)
		return deny(w, SERVER_REFUSED, ENOMEM);
	if (target_next_wish(w->pool->of))
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
	struct server_wish *next = target_next_wish(pool->of);

	c->wish = NULL;
	if (!next && !c->private) {
		pool->n_orphans++;
		return;
	}
	if (!next || next->pool != pool) {
		conn_drop(p, c, false);
		return;
	}
	wish_dequeue(p, next);
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
		wish_dequeue(p, w);
	if (state == WISH_SETTLED)
		ring_unlink(&w->link);
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
		wish_settle(p, w, why);
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
		wish_settle(p, c->wish, SERVER_FINE);
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
		wish_dequeue(p, w);
		wish_settle(p, w, SERVER_QUEUE_TIMEOUT);
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
	while (!ring_is_empty(&p->told)) {
		struct server_wish *w = wish_of(p->told.next);

		ring_unlink(&w->link);
		if (w->denied != SERVER_FINE) {
			deny(w, (enum server_trouble)w->denied, w->error);
			session_denied(p, w);
			continue;
		}
		(void)granted_reused(p, w);
		session_granted(p, w);
	}
}
