/*
 * session.c - one client's connection: its states, its end.
 */
#include "proxy/session.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX
#define LINGER_MS 2000
#define LINGER_BYTES 1048576 /* that a client may still send in vain */

static void began(struct proxy *p, struct session *s);
static void heads_run(struct proxy *p, struct session *s);
static void last_run(struct proxy *p, struct session *s);
static void linger_run(struct proxy *p, struct session *s);

static struct session *session_of_timer(struct timer *t)
{
	return (struct session *)(void *)((char *)t - offsetof(struct session, timer));
}

static struct session *session_of_wish(struct server_wish *w)
{
	return (struct session *)(void *)((char *)w - offsetof(struct session, wish));
}

const struct l7_params *session_rules(const struct proxy *p, const struct session *s)
{
#define DEFAULT_TIMEOUT(field, key, def) .field##_ms = (def),
	static const struct l7_params of_none = {L7_TIMEOUT_LIST(DEFAULT_TIMEOUT)};
#undef DEFAULT_TIMEOUT

	return s->service != PARAMS_NONE ? &proxy_service_params(p, s->service)->l7 : &of_none;
}

static void idle_add(struct proxy *p, struct session *s)
{
	s->idle_next = NULL;
	s->idle_prev = p->idle_last;
	if (p->idle_last)
		p->idle_last->idle_next = s;
	else
		p->idle_first = s;
	p->idle_last = s;
}

static void idle_remove(struct proxy *p, struct session *s)
{
	if (s->idle_prev)
		s->idle_prev->idle_next = s->idle_next;
	else
		p->idle_first = s->idle_next;
	if (s->idle_next)
		s->idle_next->idle_prev = s->idle_prev;
	else
		p->idle_last = s->idle_prev;
}

void session_to(struct proxy *p, struct session *s, enum session_state state, uint64_t due_ns)
{
	if (s->state == SESSION_IDLE && state != SESSION_IDLE)
		idle_remove(p, s);
	if (s->state != SESSION_IDLE && state == SESSION_IDLE)
		idle_add(p, s);
	s->state = (uint8_t)state;
	clock_set(&p->clock, &s->timer, due_ns);
}

/* --- life ------------------------------------------------------------------------------------- */

static void list_add(struct session **list, struct session *s)
{
	s->prev = NULL;
	s->next = *list;
	if (*list)
		(*list)->prev = s;
	*list = s;
}

static void list_remove(struct session **list, struct session *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		*list = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

struct session *session_new(struct proxy *p, uint16_t service, int fd, const struct endpoint *from,
			    const struct endpoint *to, uint16_t relay)
{
	const struct l7_params *l7 = &proxy_service_params(p, service)->l7;
	struct session *s = calloc(1, sizeof(*s));
	bool tls = l7->content == L7_CONTENT_TLS;

	if (!s)
		return NULL;
	s->hello = tls ? calloc(1, sizeof(*s->hello)) : NULL;
	if (tls && !s->hello) {
		free(s);
		return NULL;
	}
	stream_init(&s->client, fd);
	s->watch = (struct proxy_watch){.fd = fd, .kind = WATCH_CLIENT};
	s->timer = (struct timer){.due_ns = NEVER, .kind = TIMER_SESSION};
	s->tls = tls;
	s->service = s->pool = service;
	s->target = PARAMS_NONE;
	s->relay = relay;
	s->relayed = relay != PARAMS_NONE;
	s->from = *from;
	s->to = *to;
	way_init(&s->up, &s->in, 0, FRAMING_NONE, 0);
	way_init(&s->down, &s->out, 0, FRAMING_NONE, 0);
	http_scan_init(&s->scan, HTTP_KIND_REQUEST);
	s->state = SESSION_DEAD; /* not among the idle yet */
	began(p, s);
	list_add(&p->sessions, s);
	p->n_sessions++;
	account_connection(p, s, true);
	session_to(p, s, tls ? SESSION_HELLO : SESSION_IDLE, proxy_in_ms(p, l7->head_ms));
	if (tls) {
		client_hello_init(s->hello);
		hello_run(p, s);
	} else {
		heads_run(p, s);
	}
	return s;
}

void session_drop_server(struct proxy *p, struct session *s, bool abort)
{
	way_fini(p, &s->up);
	way_fini(p, &s->down);
	relay_stop(s);
	if (s->wish.state == WISH_HAS)
		server_close(p, &s->wish, abort);
	else
		server_forget(p, &s->wish);
}

void session_end(struct proxy *p, struct session *s, bool abort)
{
	session_drop_server(p, s, true);
	account_end(p, s, !abort && s->state == SESSION_TUNNEL);
	account_connection(p, s, false);
	session_to(p, s, SESSION_DEAD, NEVER);
	clock_stop(&p->clock, &s->timer);
	p->world.unwatch(p->world.arg, &s->watch);
	if (abort)
		stream_abort(&s->client);
	else
		stream_close(&s->client);
	buffer_give(&p->buffers, &s->in);
	buffer_give(&p->buffers, &s->out);
	free(s->hello);
	free(s->texts);
	s->hello = NULL;
	s->texts = NULL;
	list_remove(&p->sessions, s);
	p->n_sessions--;
	list_add(&p->dead, s);
}

bool sessions_displace(struct proxy *p)
{
	struct session *s = p->idle_first;

	if (!s)
		return false;
	if (s->service != PARAMS_NONE)
		p->world.service_counts(p->world.arg, s->service)->displaced++;
	session_end(p, s, false);
	return true;
}

void sessions_close(struct proxy *p)
{
	while (p->sessions)
		session_end(p, p->sessions, true);
}

void sessions_bury(struct proxy *p)
{
	while (p->dead) {
		struct session *s = p->dead;

		p->dead = s->next;
		free(s);
	}
}

/* --- heads ------------------------------------------------------------------------------------ */

static void began(struct proxy *p, struct session *s)
{
	s->x = (struct exchange){.began_ns = p->now_ns,
				 .wall_ms = p->world.wall_ms(p->world.arg),
				 .stick = PARAMS_NONE,
				 .next = PARAMS_NONE,
				 .queue_us = ACCESS_LOG_UNKNOWN,
				 .connect_us = ACCESS_LOG_UNKNOWN,
				 .first_byte_us = ACCESS_LOG_UNKNOWN};
}

/* What is left in the buffer is the next request's, which begins at its front. */
static void between(struct proxy *p, struct session *s)
{
	struct buffer *x = s->in;

	http_scan_init(&s->scan, HTTP_KIND_REQUEST);
	began(p, s);
	s->pool = s->service;
	s->target = PARAMS_NONE;
	way_init(&s->up, &s->in, 0, FRAMING_NONE, 0);
	way_init(&s->down, &s->out, 0, FRAMING_NONE, 0);
	buffer_give(&p->buffers, &s->out);
	if (x && x->start == x->end) {
		buffer_give(&p->buffers, &s->in);
	} else if (x) {
		memmove(x->bytes, x->bytes + x->start, x->end - x->start);
		x->end -= x->start;
		x->start = 0;
	}
}

static void head_started(struct proxy *p, struct session *s)
{
	if (s->state != SESSION_IDLE)
		return;
	began(p, s);
	session_to(p, s, SESSION_HEAD, proxy_in_ms(p, session_rules(p, s)->head_ms));
}

/* False: the head is not whole yet. */
static bool head_read(struct proxy *p, struct session *s)
{
	struct buffer *x = s->in;

	if (buffer_used(x) == 0)
		return false;
	head_started(p, s);
	switch (http_head_read(&p->head, &s->scan, &p->limits, NULL, x->bytes + x->start,
			       buffer_used(x))) {
	case L7_MORE:
		return false;
	case L7_NO:
		session_refuse(p, s, p->head.reason);
		return true;
	case L7_MATCH:
		request_begin(p, s);
	}
	return true;
}

/* Heads come until one is whole. */
static void heads_run(struct proxy *p, struct session *s)
{
	enum way_result r = WAY_MOVED;

	while (!head_read(p, s)) {
		if (r == WAY_MOVED && s->client.ended)
			r = WAY_ENDED;
		if (r == WAY_MOVED)
			r = way_get(p, &s->up, &s->client, p->buffers.size);
		if (r == WAY_MOVED)
			continue;
		if (r != WAY_READS) {
			session_end(p, s, false);
			return;
		}
		way_rest(p, &s->up);
		proxy_want(p, &s->watch, STREAM_READ);
		return;
	}
}

void session_next(struct proxy *p, struct session *s, bool keep)
{
	bool more = buffer_used(s->in) > 0 || s->up.waits != WAY_DONE || s->up.failed;

	if (keep && s->service != PARAMS_NONE && !p->ending) {
		between(p, s);
		/* What is there now was there when the response ended. */
		s->up.dry = !s->client.ended;
		session_to(p, s, SESSION_IDLE, proxy_in_ms(p, session_rules(p, s)->keep_ms));
		heads_run(p, s);
		return;
	}
	/* A reset for what is not read would take the response with it. */
	if (!more && (s->client.ended || stream_is_quiet(&s->client))) {
		session_end(p, s, false);
		return;
	}
	buffer_give(&p->buffers, &s->in);
	buffer_give(&p->buffers, &s->out);
	session_to(p, s, SESSION_LINGER, proxy_in_ms(p, LINGER_MS));
	linger_run(p, s);
}

bool session_listen(struct proxy *p, struct session *s)
{
	struct buffer *x = s->in;
	uint32_t room;
	size_t n;

	if (s->up.dry || s->client.ended)
		return true;
	if (!x)
		x = s->in = buffer_take(&p->buffers);
	room = x ? p->buffers.size - x->end : 0;
	if (room == 0)
		return true;
	switch (stream_read(&s->client, x->bytes + x->end, room, &n)) {
	case STREAM_OK:
		x->end += (uint32_t)n;
		s->up.dry = true; /* told again, if there is more */
		return true;
	case STREAM_AGAIN:
		s->up.dry = true;
		return true;
	case STREAM_END:
		return true; /* it may have closed its direction only */
	default:
		return false;
	}
}

/* --- the last words --------------------------------------------------------------------------- */

static bool page_write(struct proxy *p, struct session *s, unsigned status)
{
	struct wcur w;

	buffer_give(&p->buffers, &s->out);
	s->out = buffer_take(&p->buffers);
	if (!s->out)
		return false;
	w = wcur_init(s->out->bytes, p->buffers.size);
	http_write_error(&w, status, s->x.method == METHOD_HEAD, (struct text){NULL, 0});
	s->out->end = (uint32_t)wcur_size(&w);
	return wcur_ok(&w);
}

void session_error(struct proxy *p, struct session *s, unsigned status, const char *reason)
{
	/* Part of another response is under way. */
	bool late = s->x.responded || s->down.ready > 0;

	s->x.reason = reason;
	session_drop_server(p, s, true);
	if (s->tls) {
		session_end(p, s, false);
		return;
	}
	if (late || !page_write(p, s, status)) {
		session_end(p, s, true);
		return;
	}
	account_status(p, s, status);
	account_end(p, s, true);
	buffer_give(&p->buffers, &s->in);
	session_to(p, s, SESSION_LAST, proxy_in_ms(p, session_rules(p, s)->client_ms));
	last_run(p, s);
}

void session_refuse(struct proxy *p, struct session *s, enum http_reason reason)
{
	if (!s->x.open)
		account_begin(p, s);
	session_count(p, s, refused, 1);
	session_error(p, s, http_reason_status(reason), http_reason_name(reason));
}

static void last_run(struct proxy *p, struct session *s)
{
	struct iovec iov = {s->out->bytes + s->out->start, buffer_used(s->out)};
	size_t n;

	switch (stream_write(&s->client, &iov, 1, false, &n)) {
	case STREAM_OK:
		buffer_give(&p->buffers, &s->out);
		session_to(p, s, SESSION_LINGER, proxy_in_ms(p, LINGER_MS));
		linger_run(p, s);
		break;
	case STREAM_AGAIN:
		buffer_eat(s->out, n);
		proxy_want(p, &s->watch, STREAM_WRITE);
		break;
	default:
		session_end(p, s, false);
	}
}

static void linger_run(struct proxy *p, struct session *s)
{
	uint64_t taken;

	if (!s->client.shut) {
		s->x.length = s->client.received;
		if (stream_shutdown(&s->client) == STREAM_FAILED) {
			session_end(p, s, false);
			return;
		}
	}
	taken = s->client.received - s->x.length;
	if (s->client.ended || taken >= LINGER_BYTES ||
	    stream_discard(&s->client, LINGER_BYTES - taken) != STREAM_AGAIN) {
		session_end(p, s, false);
		return;
	}
	proxy_want(p, &s->watch, STREAM_READ);
}

/* --- what happens ----------------------------------------------------------------------------- */

/* While the request waits its turn. Who closes has lost patience; who does so while the connection
 * is being opened may as well have said all. */
static void wait_run(struct proxy *p, struct session *s)
{
	bool here = session_listen(p, s);

	if (here && s->client.ended && s->wish.state == WISH_QUEUED)
		here = false;
	if (!here) {
		session_count(p, s, aborted_client, 1);
		session_end(p, s, false);
		return;
	}
	proxy_want(p, &s->watch, s->up.dry && !s->client.ended ? STREAM_READ : 0);
}

void session_client_ready(struct proxy *p, struct proxy_watch *w, uint8_t what)
{
	struct session *s = (struct session *)(void *)w;

	if (what & STREAM_READ)
		s->up.dry = false;
	switch ((enum session_state)s->state) {
	case SESSION_IDLE:
	case SESSION_HEAD:
		heads_run(p, s);
		break;
	case SESSION_HELLO:
		hello_run(p, s);
		break;
	case SESSION_WAIT:
		wait_run(p, s);
		break;
	case SESSION_EXCHANGE:
		exchange_run(p, s);
		break;
	case SESSION_TUNNEL:
		tunnel_run(p, s);
		break;
	case SESSION_LAST:
		last_run(p, s);
		break;
	case SESSION_LINGER:
		linger_run(p, s);
		break;
	case SESSION_DEAD:
		break;
	}
}

void session_server_ready(struct proxy *p, struct server_conn *c, uint8_t what)
{
	struct session *s = session_of_wish(c->wish);

	if (what & STREAM_READ)
		s->down.dry = false;
	if (what == 0)
		exchange_due_server(p, s);
	else if (s->state == SESSION_TUNNEL)
		tunnel_run(p, s);
	else
		exchange_run(p, s);
}

void session_granted(struct proxy *p, struct server_wish *w)
{
	request_send(p, session_of_wish(w), false);
}

void session_denied(struct proxy *p, struct server_wish *w)
{
	request_denied(p, session_of_wish(w));
}

void session_stranded(struct proxy *p, struct server_wish *w)
{
	struct session *s = session_of_wish(w);

	if (s->state == SESSION_EXCHANGE)
		(void)request_stranded(p, s);
}

void session_due(struct proxy *p, struct timer *t)
{
	struct session *s = session_of_timer(t);

	switch ((enum session_state)s->state) {
	case SESSION_HEAD:
		account_begin(p, s);
		session_error(p, s, 408, NULL);
		break;
	case SESSION_EXCHANGE:
		exchange_due_client(p, s);
		break;
	case SESSION_WAIT: /* wishes have a timer of their own */
		relay_due(p, s);
		break;
	default:
		session_end(p, s, false);
	}
}

/* --- another configuration -------------------------------------------------------------------- */

void sessions_remap(struct proxy *p, const struct proxy_map *m)
{
	struct session *s, *next;

	for (s = p->sessions; s; s = next) {
		next = s->next;
		s->service = proxy_map_service(m, s->service);
		s->pool = proxy_map_service(m, s->pool);
		s->target = proxy_map_target(m, s->target);
		s->x.stick = proxy_map_target(m, s->x.stick);
		s->x.next = proxy_map_target(m, s->x.next);
		s->relay = s->relay != PARAMS_NONE ? m->members[s->relay] : PARAMS_NONE;
		if (s->wish.state == WISH_NONE) {
			s->wish.service = proxy_map_service(m, s->wish.service);
			s->wish.target = proxy_map_target(m, s->wish.target);
		}
		if (s->service == PARAMS_NONE && s->state <= SESSION_HELLO)
			session_end(p, s, false);
	}
}
