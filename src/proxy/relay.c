/*
 * relay.c - requests with the cookie of a server that this node is not connected to: another
 * dispatcher that is gets them, which answers as if the client had come to it (HD-18).
 *
 *	cookie names none of this node's ── find ──▶ FOUND ──▶ its relay is the request's target
 *	                                      │ LATER  ▲
 *	                                      ▼        │ proxy_found
 *	                                    WAIT ──────┤
 *	                                      │        ▼
 *	                                      └ time ▶ NOBODY ──▶ as without the cookie
 *
 * Who waits does so with nothing but its head.
 */
#include "proxy/session.h"

bool relay_may_seek(const struct proxy *p, const struct session *s)
{
	return !s->relayed && session_rules(p, s)->relay != L7_RELAY_NONE;
}

/* The configuration may have become another since it was asked first. */
static enum l7_found find(const struct proxy *p, const struct session *s, uint16_t *target)
{
	*target = PARAMS_NONE;
	if (s->service == PARAMS_NONE || !relay_may_seek(p, s))
		return L7_FOUND_NOBODY;
	*target = proxy_target_by_id(p, s->x.server);
	if (*target != PARAMS_NONE && p->params->targets[*target].n_via == 0)
		return L7_FOUND;
	*target = PARAMS_NONE;
	return p->world.find(p->world.arg, s->service, s->x.server, target);
}

bool relay_seek(struct proxy *p, struct session *s, uint32_t server)
{
	uint16_t target;

	s->x.server = server;
	if (find(p, s, &target) != L7_FOUND_LATER) {
		sticky_found(p, s, target);
		return true;
	}
	s->seeks = true;
	ring_append(&p->finding, &s->finding);
	session_to(p, s, SESSION_WAIT, proxy_in_ms(p, session_rules(p, s)->relay_ms));
	proxy_want(p, &s->watch, s->client.ended ? 0 : STREAM_READ);
	return false;
}

void relay_stop(struct session *s)
{
	if (s->seeks)
		ring_unlink(&s->finding);
	s->seeks = false;
}

static void go_on(struct proxy *p, struct session *s, uint16_t target)
{
	relay_stop(s);
	sticky_found(p, s, target);
	request_place(p, s, false);
}

void relay_due(struct proxy *p, struct session *s)
{
	go_on(p, s, PARAMS_NONE);
}

/* Each once: the next request of one that goes on may wait, too. */
void sessions_seek(struct proxy *p)
{
	struct ring asking;
	uint16_t target;

	ring_init(&asking);
	ring_move(&asking, &p->finding);
	while (!ring_is_empty(&asking)) {
		struct session *s = ring_entry(asking.next, struct session, finding);

		if (find(p, s, &target) != L7_FOUND_LATER) {
			go_on(p, s, target);
			continue;
		}
		ring_unlink(&s->finding);
		ring_append(&p->finding, &s->finding);
	}
}
