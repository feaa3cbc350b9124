/*
 * l7_listen.c - listeners: in the clients' stack one for each address and port of each service by
 * L7, and in the servers' stack the same for services that other dispatchers may relay to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/l7.h"

#define LISTEN_BACKLOG 4096
#define LISTEN_BATCH 64 /* connections taken in one wake-up */
#define LISTEN_PAUSE_NS 100000000ULL
#define LISTEN_SAY_NS 60000000000ULL

static bool is_scarce(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

static void listeners_pause(struct l7 *l, uint64_t until_ns)
{
	l->paused_until_ns = until_ns;
	if (l->paused)
		return;
	l->paused = true;
	for (uint32_t i = 0; i < l->n_listeners; i++)
		event_del(l->listeners[i]->event);
}

static void listeners_scarce(struct l7 *l, int error)
{
	uint64_t now = daemon_now_ns();

	if (l->said_ns == 0 || now >= l->said_ns + LISTEN_SAY_NS) {
		log_warning("l7: no connection can be taken for now: %s; raise the limit of open "
			    "files or lower l7 max-connections",
			    strerror(-error));
		l->said_ns = now;
	}
	listeners_pause(l, now + LISTEN_PAUSE_NS);
}

void l7_listen_pace(struct l7 *l)
{
	if (!l->paused) {
		if (proxy_full(l->proxy))
			listeners_pause(l, 0);
		return;
	}
	if (proxy_full(l->proxy) || daemon_now_ns() < l->paused_until_ns)
		return;
	l->paused = false;
	l->paused_until_ns = 0;
	for (uint32_t i = 0; i < l->n_listeners; i++)
		event_add(l->listeners[i]->event, NULL);
}

static void listener_take(struct l7_listener *s, int fd, const struct endpoint *from,
			  const struct endpoint *to)
{
	uint16_t member = PARAMS_NONE;

	if (s->relay) {
		member = l7_leg_accept(s->l7, fd, from, to);
		if (member == PARAMS_NONE) {
			close(fd);
			return;
		}
	}
	proxy_accept(s->l7->proxy, s->service, fd, from, to, member, daemon_now_ns());
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct l7_listener *s = arg;
	struct l7 *l = s->l7;

	(void)what;
	for (unsigned i = 0; i < LISTEN_BATCH && !proxy_full(l->proxy); i++) {
		struct endpoint from, to;
		int new = stack_accept(fd, &from, &to);

		if (is_scarce(new))
			listeners_scarce(l, new);
		if (new == -EAGAIN || is_scarce(new))
			break;
		if (new >= 0)
			listener_take(s, new, &from, &to);
	}
	l->daemon->rounds++;
	l7_listen_pace(l);
	l7_arm(l);
}

static void listener_free(struct l7_listener *s)
{
	if (s->event)
		event_free(s->event);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

void l7_listen_close(struct l7 *l)
{
	for (uint32_t i = 0; i < l->n_listeners; i++)
		listener_free(l->listeners[i]);
	free(l->listeners);
	l->listeners = NULL;
	l->n_listeners = 0;
}

static struct l7_listener *listener_find(struct l7 *l, const struct endpoint *at, bool relay)
{
	for (uint32_t i = 0; i < l->n_listeners; i++)
		if (l->listeners[i]->at.port == at->port && l->listeners[i]->relay == relay &&
		    ipaddr_eq(&l->listeners[i]->at.addr, &at->addr))
			return l->listeners[i];
	return NULL;
}

static int listener_new(struct l7 *l, uint16_t service, const struct endpoint *at, bool relay)
{
	struct stack_socket_request r = {.kind = STACK_LISTEN,
					 .local = *at,
					 .transparent = relay,
					 .backlog = LISTEN_BACKLOG};
	struct l7_listener *s, **more;

	more = realloc(l->listeners, (l->n_listeners + 1) * sizeof(struct l7_listener *));
	if (!more)
		return -ENOMEM;
	l->listeners = more;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct l7_listener){
		.l7 = l, .service = service, .at = *at, .relay = relay, .keep = true};
	s->fd = stack_socket(relay ? l->servers : l->clients, &r);
	s->event = s->fd < 0 ? NULL
			     : event_new(l->daemon->base, s->fd, EV_READ | EV_PERSIST,
					 on_connection, s);
	if (!s->event) {
		int error = s->fd < 0 ? s->fd : -ENOMEM;

		listener_free(s);
		return error;
	}
	l->listeners[l->n_listeners++] = s;
	if (!l->paused)
		event_add(s->event, NULL);
	return 0;
}

/* 1 when it cannot be. */
static unsigned listener_want(struct l7 *l, uint16_t service, const struct endpoint *at, bool relay)
{
	struct l7_listener *s = listener_find(l, at, relay);
	char text[ADDR_TEXT];
	int rc;

	if (s) {
		s->keep = true;
		s->service = service;
		return 0;
	}
	rc = listener_new(l, service, at, relay);
	if (rc == 0)
		return 0;
	log_error("service \"%s\": cannot listen at %s: %s",
		  l->daemon->params->services[service].name, endpoint_text(text, at),
		  strerror(-rc));
	return 1;
}

static unsigned listen_service(struct l7 *l, uint16_t service)
{
	const struct service_params *s = &l->daemon->params->services[service];
	unsigned failed = 0;

	for (uint32_t a = 0; a < s->n_addresses; a++)
		for (uint32_t r = 0; r < s->n_ports; r++)
			for (uint32_t port = s->ports[r].lo; port <= s->ports[r].hi; port++) {
				struct endpoint at = {.addr = s->addresses[a],
						      .port = (uint16_t)port};

				failed += listener_want(l, service, &at, false);
				if (l->servers && s->l7.relay != L7_RELAY_NONE)
					failed += listener_want(l, service, &at, true);
			}
	return failed;
}

unsigned l7_listen(struct l7 *l)
{
	const struct params *p = l->daemon->params;
	unsigned failed = 0;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->n_listeners; i++)
		l->listeners[i]->keep = false;
	for (uint16_t i = 0; i < p->n_services; i++)
		if (technology_is_l7(p->services[i].technology))
			failed += listen_service(l, i);
	for (uint32_t i = 0; i < l->n_listeners; i++) {
		if (l->listeners[i]->keep)
			l->listeners[kept++] = l->listeners[i];
		else
			listener_free(l->listeners[i]);
	}
	l->n_listeners = kept;
	return failed;
}
