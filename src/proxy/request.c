/*
 * request.c - what becomes of a request whose head is whole: refusals, route, target, and how it is
 * sent to the server.
 */
#include <assert.h>
#include <errno.h>

#include "l7/proxy_v2.h"
#include "proxy/session.h"

#define PLACES_MAX 4 /* targets that are tried when they go while the request waits for them */
#define CHOICES 4    /* for one that is not the one that failed */
#define NEVER UINT64_MAX
#define MISDIRECTED 421

/* --- what the head says ----------------------------------------------------------------------- */

static struct span value_of(const struct http_head *h, enum http_field_id id)
{
	unsigned at = 0;
	const struct http_field *f = http_field_next(h, id, &at);

	return f ? f->value : (struct span){0, 0};
}

static void note(struct session *s, const struct http_head *h)
{
	struct exchange *x = &s->x;

	x->method_name = h->method_name;
	x->target = h->target;
	x->host = h->host;
	x->referer = value_of(h, FIELD_REFERER);
	x->agent = value_of(h, FIELD_USER_AGENT);
	x->length = h->length;
	x->framing = (uint8_t)h->framing;
	x->method = (uint8_t)h->method;
	x->minor = h->minor;
	x->keep = h->keep_alive;
	x->upgrade = h->upgrade;
	x->expects = h->expect_continue && h->framing != FRAMING_NONE;
}

/* From here on the head stays at the front of the buffer, and the body passes behind it. */
static void body_begin(struct session *s)
{
	bool dry = s->up.dry;
	uint32_t size = s->scan.at;

	assert(s->in->start == 0);
	s->in->start = size;
	way_init(&s->up, &s->in, size, (enum http_framing)s->x.framing, s->x.length);
	s->up.dry = dry;
	way_init(&s->down, &s->out, 0, FRAMING_NONE, 0);
}

static uint16_t route_of(const struct proxy *p, const struct session *s, const struct http_head *h)
{
	const struct proxy_service *service = &p->services[s->service];
	const struct http_route_rule *rule =
		service->routes ? http_route_find(service->routes, h) : NULL;

	return rule ? (uint16_t)rule->pool : s->service;
}

void request_begin(struct proxy *p, struct session *s)
{
	const struct http_head *h = &p->head;

	note(s, h);
	body_begin(s);
	if (h->method == METHOD_CONNECT) {
		session_refuse(p, s, HTTP_REASON_METHOD_UNKNOWN);
		return;
	}
	s->pool = route_of(p, s, h);
	account_begin(p, s);
	if (sticky_judge(p, s, h))
		request_place(p, s, true);
}

/* --- the target ------------------------------------------------------------------------------- */

/* Where a target is reached: of the client's family if it is of both, at the port that was asked
 * for if it has none of its own. */
static struct endpoint endpoint_of(const struct session *s, const struct target_params *t)
{
	bool v4 = t->has_v4 && (!t->has_v6 || ipaddr_is_v4(&s->to.addr));

	return (struct endpoint){.addr = v4 ? t->v4 : t->v6,
				 .port = t->port ? t->port : s->to.port};
}

/* A header of the PROXY protocol, which another dispatcher writes itself. */
static bool has_preface(const struct proxy *p, const struct session *s)
{
	return session_rules(p, s)->proxy_protocol && !l7_is_relay(s->target);
}

static void ask(struct proxy *p, struct session *s, bool known)
{
	const struct ipaddr *from = s->x.by_mac ? &s->from.addr : NULL;
	struct endpoint to = s->x.by_mac ? s->to : endpoint_of(s, &p->params->targets[s->target]);

	s->wish.service = s->pool;
	s->wish.target = s->target;
	s->wish.private = s->tls || has_preface(p, s);
	session_to(p, s, SESSION_WAIT, NEVER);
	switch (server_ask(p, &s->wish, &to, from)) {
	case WISH_GRANTED:
		request_send(p, s, known);
		break;
	case WISH_WAITS:
		if (s->wish.state == WISH_QUEUED)
			session_count(p, s, queued, 1);
		/* What follows on the head may lie in the buffer; the end may have been seen. */
		proxy_want(p, &s->watch, s->client.ended ? 0 : STREAM_READ);
		break;
	case WISH_DENIED:
		request_denied(p, s);
	}
}

/* Another than `other_than`, if there is one. The static algorithms go by the client's port, too.
 */
static uint16_t choose(struct proxy *p, const struct session *s, uint16_t other_than)
{
	struct endpoint from = s->from;
	uint16_t target = PARAMS_NONE;

	for (unsigned i = 0; i < CHOICES; i++) {
		target = p->world.choose(p->world.arg, s->pool, &from, &s->to);
		if (target == PARAMS_NONE || target != other_than)
			return target;
		from.port++;
	}
	return PARAMS_NONE;
}

static void place(struct proxy *p, struct session *s, uint16_t target, bool known)
{
	account_flow(p, s, false);
	s->target = target;
	s->x.by_mac = l7_is_relay(target) ||
		      proxy_service_params(p, s->pool)->technology == TECHNOLOGY_L7_2;
	account_flow(p, s, true);
	ask(p, s, known);
}

/* Nobody of this node's has seen anything of the request. Who has relayed it may have servers of
 * its own (RFC 9110 section 15.5.20). */
static void unserved(struct proxy *p, struct session *s, unsigned status)
{
	session_error(p, s, s->relayed ? MISDIRECTED : status, NULL);
}

void request_place(struct proxy *p, struct session *s, bool known)
{
	uint16_t target = PARAMS_NONE;

	if (s->pool == PARAMS_NONE)
		s->pool = s->service;
	if (s->x.n_places++ < PLACES_MAX && s->pool != PARAMS_NONE)
		target = s->x.stick != PARAMS_NONE ? s->x.stick : choose(p, s, PARAMS_NONE);
	if (target != PARAMS_NONE) {
		place(p, s, target, known);
		return;
	}
	account_flow(p, s, false);
	s->target = PARAMS_NONE;
	session_count(p, s, unrouted, 1);
	unserved(p, s, 503);
}

/* One that the request may go to instead of its own, or PARAMS_NONE. */
static uint16_t other_place(struct proxy *p, const struct session *s)
{
	if (s->x.n_places >= PLACES_MAX || s->pool == PARAMS_NONE)
		return PARAMS_NONE;
	return choose(p, s, s->target);
}

static void place_other(struct proxy *p, struct session *s, uint16_t target)
{
	s->x.n_places++;
	session_count(p, s, retries, 1);
	if (s->x.stick != PARAMS_NONE)
		session_count(p, s, cookie_moved, 1);
	s->x.stick = PARAMS_NONE;
	place(p, s, target, false);
}

/* No connection could be opened, and nothing of the request was sent: another target may have it
 * before the checks find out. False: there is none. */
static bool place_elsewhere(struct proxy *p, struct session *s)
{
	uint16_t target = other_place(p, s);

	if (target == PARAMS_NONE)
		return false;
	place_other(p, s, target);
	return true;
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL || error == ENOBUFS ||
	       error == ENOMEM || error == EAGAIN;
}

void request_denied(struct proxy *p, struct session *s)
{
	switch ((enum server_trouble)s->wish.denied) {
	case SERVER_QUEUE_TIMEOUT:
		session_count(p, s, queue_timeouts, 1);
		session_error(p, s, 503, NULL);
		break;
	case SERVER_REFUSED:
		if (!is_shortage(s->wish.error) && place_elsewhere(p, s))
			break;
		account_server_error(p, s);
		unserved(p, s, is_shortage(s->wish.error) ? 503 : 502);
		break;
	case SERVER_TIMEOUT:
		if (place_elsewhere(p, s))
			break;
		account_server_error(p, s);
		unserved(p, s, 504);
		break;
	case SERVER_GONE:
		s->x.stick = PARAMS_NONE;
		request_place(p, s, false);
		break;
	default:
		session_error(p, s, 503, NULL);
	}
}

/* --- the way to the server -------------------------------------------------------------------- */

static struct http_request_edit edit_of(const struct proxy *p, const struct session *s)
{
	const struct l7_params *l7 = session_rules(p, s);
	struct http_request_edit e = {
		.hold = s->wish.private ? HOLD_CLOSE : HOLD_KEEP,
		.forwarded = (enum http_forwarded)l7->forwarded,
		.believe = l7->forwarded_believe,
		.client = &s->from,
		.service = &s->to,
		.cookie_name = {l7->cookie_name, strlen(l7->cookie_name)},
	};

	if (s->x.upgrade)
		e.hold = HOLD_UPGRADE;
	if (l7_is_relay(s->target)) /* all else is done there, as for its own clients */
		return (struct http_request_edit){.hold = e.hold};
	if (l7->cookie == L7_COOKIE_INSERT)
		e.cookie = COOKIE_STRIP;
	if (l7->cookie == L7_COOKIE_PREFIX)
		e.cookie = COOKIE_UNPREFIX;
	return e;
}

/* Read again the head that was right before. */
static void head_again(struct proxy *p, struct session *s)
{
	struct http_scan scan;
	enum l7_answer a;

	http_scan_init(&scan, HTTP_KIND_REQUEST);
	a = http_head_read(&p->head, &scan, &p->limits, NULL, s->in->bytes, s->up.floor);
	if (a != L7_MATCH) /* limits became smaller by a reload */
		p->head.size = 0;
}

/* What goes in front of the body, into `out`. */
static bool front_write(struct proxy *p, struct session *s, bool known)
{
	struct http_request_edit e = edit_of(p, s);
	struct wcur w;

	s->out = s->out ? s->out : buffer_take(&p->buffers);
	if (!s->out)
		return false;
	w = wcur_init(s->out->bytes, p->buffers.size);
	if (has_preface(p, s))
		proxy_v2_write(&w, &s->from, &s->to);
	if (!s->tls) {
		if (!known)
			head_again(p, s);
		if (p->head.size == 0)
			return false;
		http_write_request(&w, &p->head, &e);
	}
	s->out->start = 0;
	s->out->end = (uint32_t)wcur_size(&w);
	s->up.prefix = &s->out;
	if (s->out->end == 0) {
		buffer_give(&p->buffers, &s->out);
		s->up.prefix = NULL;
	}
	return wcur_ok(&w);
}

void request_send(struct proxy *p, struct session *s, bool known)
{
	account_granted(p, s);
	s->x.server_received = session_server(s)->received;
	if (!front_write(p, s, known)) {
		s->up.prefix = NULL;
		session_count(p, s, refused, 1);
		session_error(p, s, 431, http_reason_name(HTTP_REASON_HEAD_LONG));
		return;
	}
	if (s->tls) {
		tunnel_begin(p, s);
		return;
	}
	http_scan_init(&s->scan, HTTP_KIND_RESPONSE);
	/* Nothing can have come yet. */
	s->down.dry = true;
	s->client_turn = s->server_turn = false;
	session_to(p, s, SESSION_EXCHANGE, NEVER);
	exchange_run(p, s);
}

/* What has been sent can be sent once more, and nothing has come of it. */
static bool can_be_repeated(const struct session *s)
{
	return !s->x.retried && !s->x.responded && !s->up.lost &&
	       s->wish.conn->stream.received == s->x.server_received &&
	       http_method_idempotent((enum http_method)s->x.method) && s->target != PARAMS_NONE;
}

/* As before it was sent. */
static void take_back(struct proxy *p, struct session *s)
{
	bool dry = s->up.dry;

	s->x.retried = true;
	session_drop_server(p, s, true);
	buffer_give(&p->buffers, &s->out);
	s->in->start = s->up.floor;
	way_init(&s->up, &s->in, s->up.floor, (enum http_framing)s->x.framing, s->x.length);
	way_init(&s->down, &s->out, 0, FRAMING_NONE, 0);
	s->up.dry = dry;
}

bool request_again(struct proxy *p, struct session *s)
{
	if (s->wish.conn->requests == 0 || !can_be_repeated(s))
		return false;
	session_count(p, s, retries, 1);
	take_back(p, s);
	s->wish.fresh = true;
	ask(p, s, false);
	s->wish.fresh = false;
	return true;
}

bool request_stranded(struct proxy *p, struct session *s)
{
	uint16_t target;

	if (!can_be_repeated(s) || !stream_is_quiet(session_server(s)))
		return false;
	target = other_place(p, s);
	if (target == PARAMS_NONE)
		return false;
	take_back(p, s);
	place_other(p, s, target);
	return true;
}

bool request_misdirected(struct proxy *p, struct session *s)
{
	uint16_t target;

	if (p->head.status != MISDIRECTED || !l7_is_relay(s->target))
		return false;
	target = other_place(p, s);
	if (target == PARAMS_NONE)
		return false;
	if (s->up.lost || s->x.retried) {
		s->x.next = target;
		return false;
	}
	take_back(p, s);
	place_other(p, s, target);
	return true;
}
