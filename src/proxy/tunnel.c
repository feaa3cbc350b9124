/*
 * tunnel.c - what passes unread: TLS, of which only the server's name is read, and what two ends
 * have agreed on by a response 101 (WebSocket).
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/session.h"

/* --- the name --------------------------------------------------------------------------------- */

static void hello_refused(struct proxy *p, struct session *s, enum hello_reason reason)
{
	account_begin(p, s);
	session_count(p, s, refused, 1);
	s->x.reason = hello_reason_name(reason);
	session_end(p, s, false);
}

static void hello_whole(struct proxy *p, struct session *s)
{
	const struct http_route *routes = p->services[s->service].routes;
	struct text name = {s->hello->name, s->hello->name_size};
	const struct http_route_rule *rule = routes ? http_route_find_name(routes, name) : NULL;

	if (rule)
		s->pool = (uint16_t)rule->pool;
	account_begin(p, s);
	request_place(p, s, false);
}

void hello_run(struct proxy *p, struct session *s)
{
	enum way_result r = WAY_MOVED;

	while (r == WAY_MOVED) {
		enum l7_answer a = L7_MORE;

		if (buffer_used(s->in) > 0)
			a = client_hello_read(s->hello, s->in->bytes, s->in->end);
		if (a == L7_MATCH) {
			hello_whole(p, s);
			return;
		}
		if (a == L7_NO) {
			hello_refused(p, s, (enum hello_reason)s->hello->reason);
			return;
		}
		r = way_get(p, &s->up, &s->client, p->buffers.size);
	}
	if (r == WAY_READS) {
		way_rest(p, &s->up);
		proxy_want(p, &s->watch, STREAM_READ);
	} else if (r == WAY_REFUSED) {
		hello_refused(p, s, HELLO_REASON_LONG);
	} else {
		session_end(p, s, false);
	}
}

/* --- both ways -------------------------------------------------------------------------------- */

/* A tunnel may last for days, and is not to hold a buffer for its record in the log. Without memory
 * it does. */
static void texts_keep(struct session *s)
{
	if (s->up.floor == 0)
		return;
	s->texts = malloc(s->up.floor);
	if (!s->texts)
		return;
	memcpy(s->texts, s->in->bytes, s->up.floor);
	s->up.floor = 0;
}

void tunnel_begin(struct proxy *p, struct session *s)
{
	struct buffer **prefix = s->up.prefix;
	bool dry = s->up.dry;

	texts_keep(s);
	way_init(&s->up, &s->in, s->up.floor, FRAMING_TUNNEL, 0);
	s->up.prefix = prefix;
	s->up.dry = dry;
	if (s->tls)
		way_init(&s->down, &s->out, 0, FRAMING_TUNNEL, 0);
	session_count(p, s, tunnels, 1);
	clock_stop(&p->clock, &s->wish.conn->timer);
	session_to(p, s, SESSION_TUNNEL, proxy_in_ms(p, session_rules(p, s)->tunnel_ms));
	tunnel_run(p, s);
}

/* One way. False: it has failed, and so has the tunnel. */
static bool pass(struct proxy *p, struct way *w, struct stream *from, struct stream *to)
{
	if (w->failed) /* its source has ended */
		return true;
	switch (way_run(p, w, from, to)) {
	case WAY_READS:
	case WAY_WRITES:
		return true;
	case WAY_ENDED:
		w->failed = true;
		way_rest(p, w);
		return stream_shutdown(to) == STREAM_OK;
	default:
		return false;
	}
}

static uint8_t wants(const struct way *reads, const struct way *writes)
{
	return (uint8_t)((reads->waits == WAY_READS ? STREAM_READ : 0) |
			 (writes->waits == WAY_WRITES ? STREAM_WRITE : 0));
}

void tunnel_run(struct proxy *p, struct session *s)
{
	struct stream *client = &s->client, *server = session_server(s);
	uint64_t before = client->received + server->received + client->sent + server->sent;
	bool works = pass(p, &s->up, client, server);

	/* What goes before the client's bytes lies where the server's would be read. */
	if (works && !s->up.prefix)
		works = pass(p, &s->down, server, client);
	if (!works) {
		session_end(p, s, true);
		return;
	}
	if (s->up.failed && s->down.failed) {
		session_drop_server(p, s, false);
		session_end(p, s, false);
		return;
	}
	proxy_want(p, &s->watch, wants(&s->up, &s->down));
	proxy_want(p, &s->wish.conn->watch, s->up.prefix ? STREAM_WRITE : wants(&s->down, &s->up));
	if (client->received + server->received + client->sent + server->sent != before)
		clock_set(&p->clock, &s->timer, proxy_in_ms(p, session_rules(p, s)->tunnel_ms));
}
