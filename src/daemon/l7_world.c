/*
 * l7_world.c - what the proxy is given: readiness by libevent, connections from the host's own
 * stack, the engine's word about targets.
 *
 * What is waited for is changed lazily: an event that is no longer wanted stays until it comes
 * once. So a connection that alternates between waiting and working costs no system call for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "daemon/l7.h"
#include "io/stream.h"

struct l7_watch {
	struct l7 *l7;
	struct proxy_watch *watch;
	struct event *read, *write;
};

static void watch_ready(struct l7_watch *lw, struct event *event, uint8_t what)
{
	struct l7 *l = lw->l7;
	struct proxy_watch *w = lw->watch;

	if (!(w->want & what)) {
		event_del(event);
		w->armed = (uint8_t)(w->armed & ~what);
		return;
	}
	proxy_ready(l->proxy, w, what, daemon_now_ns());
	l->daemon->rounds++;
	l7_listen_pace(l);
	l7_arm(l);
	/* What was written lies in front of the stacks' ports now, and at the others wait answers
	 * to what was sent. Taken every few turns, the frames of all connections together never
	 * fill a port's buffer, and what TCP measures, here and at servers, is the way to the other
	 * end, not a queue in here. */
	loop_drain(l->daemon);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
	struct l7_watch *lw = arg;

	(void)fd;
	(void)what;
	watch_ready(lw, lw->read, STREAM_READ);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
	struct l7_watch *lw = arg;

	(void)fd;
	(void)what;
	watch_ready(lw, lw->write, STREAM_WRITE);
}

static struct l7_watch *watch_new(struct l7 *l, struct proxy_watch *w)
{
	struct l7_watch *lw = calloc(1, sizeof(*lw));

	if (!lw)
		return NULL;
	lw->l7 = l;
	lw->watch = w;
	lw->read = event_new(l->daemon->base, w->fd, EV_READ | EV_PERSIST, on_read, lw);
	lw->write = event_new(l->daemon->base, w->fd, EV_WRITE | EV_PERSIST, on_write, lw);
	w->event = lw;
	w->armed = 0;
	return lw;
}

/* Without memory the connection is left to its timeout. */
static void world_watch(void *arg, struct proxy_watch *w)
{
	struct l7_watch *lw = w->event ? w->event : watch_new(arg, w);
	uint8_t missing = (uint8_t)(w->want & ~w->armed);

	if (!lw)
		return;
	if (missing & STREAM_READ && lw->read && event_add(lw->read, NULL) == 0)
		w->armed |= STREAM_READ;
	if (missing & STREAM_WRITE && lw->write && event_add(lw->write, NULL) == 0)
		w->armed |= STREAM_WRITE;
}

static void world_unwatch(void *arg, struct proxy_watch *w)
{
	struct l7_watch *lw = w->event;

	l7_leg_end(arg, w->fd);
	if (!lw)
		return;
	if (lw->read)
		event_free(lw->read);
	if (lw->write)
		event_free(lw->write);
	free(lw);
	w->event = NULL;
	w->armed = 0;
}

static int world_connect(void *arg, uint16_t target, const struct ipaddr *from,
			 const struct endpoint *to)
{
	struct stack_socket_request r = {.kind = STACK_CONNECT, .remote = *to};

	return from ? l7_leg_connect(arg, target, from, to) : stack_socket(NULL, &r);
}

static struct engine *engine_of(void *arg)
{
	struct l7 *l = arg;

	return l->daemon->engine;
}

static uint16_t world_choose(void *arg, uint16_t service, const struct endpoint *client,
			     const struct endpoint *to)
{
	return engine_l7_choose(engine_of(arg), service, client, to, daemon_now_ns());
}

static enum l7_standing world_standing(void *arg, uint16_t target, uint64_t *since_ns)
{
	return engine_l7_standing(engine_of(arg), target, since_ns);
}

static void world_flow(void *arg, uint16_t target, bool begins)
{
	engine_l7_flow(engine_of(arg), target, begins);
}

static struct l7_service_counts *world_service_counts(void *arg, uint16_t service)
{
	return engine_l7_service_counts(engine_of(arg), service);
}

static struct l7_target_counts *world_target_counts(void *arg, uint16_t target)
{
	return engine_l7_target_counts(engine_of(arg), target);
}

static enum l7_found world_find(void *arg, uint16_t service, uint32_t server, uint16_t *target)
{
	struct l7 *l = arg;

	l->asks = true;
	return engine_l7_find(l->daemon->engine, service, server, target, daemon_now_ns());
}

static struct l7_relay_counts *world_relay_counts(void *arg, uint16_t member)
{
	return engine_l7_relay_counts(engine_of(arg), member);
}

static void world_serves(void *arg, const struct endpoint *from, const struct endpoint *to,
			 uint16_t target)
{
	engine_l7_leg_serves(engine_of(arg), from, to, target);
}

static void world_log(void *arg, uint16_t service, const struct access_record *r)
{
	struct l7 *l = arg;

	(void)service;
	l7_log_record(l->log, r);
}

static uint64_t world_wall_ms(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void l7_world(struct l7 *l, struct proxy_world *world)
{
	*world = (struct proxy_world){.arg = l,
				      .watch = world_watch,
				      .unwatch = world_unwatch,
				      .connect = world_connect,
				      .choose = world_choose,
				      .standing = world_standing,
				      .flow = world_flow,
				      .service_counts = world_service_counts,
				      .target_counts = world_target_counts,
				      .find = world_find,
				      .relay_counts = world_relay_counts,
				      .serves = world_serves,
				      .log = world_log,
				      .wall_ms = world_wall_ms};
}
