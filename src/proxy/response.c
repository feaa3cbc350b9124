/*
 * response.c - the exchange of a request and its response, both ways at once, and what the client
 * is told of the response's head.
 */
#include <assert.h>
#include <string.h>

#include "proxy/session.h"

#define NEVER UINT64_MAX

static uint64_t moved(const struct stream *s)
{
	return s->received + s->sent;
}

static bool up_is_open(const struct session *s)
{
	return s->up.waits != WAY_DONE && !s->up.failed;
}

/* Nothing of the request is still to come. */
static bool up_is_whole(const struct session *s)
{
	return s->up.waits == WAY_DONE && !s->up.failed;
}

/* --- ends ------------------------------------------------------------------------------------- */

static void client_gone(struct proxy *p, struct session *s)
{
	session_count(p, s, aborted_client, 1);
	session_end(p, s, true);
}

static void server_gone(struct proxy *p, struct session *s)
{
	session_count(p, s, aborted_server, 1);
	session_end(p, s, true);
}

static void no_response(struct proxy *p, struct session *s, unsigned status, const char *reason)
{
	account_server_error(p, s);
	session_error(p, s, status, reason);
}

/* Both sides have all. */
static void exchange_done(struct proxy *p, struct session *s)
{
	bool whole = up_is_whole(s), closes = s->down.body.framing == FRAMING_CLOSE;
	bool server_keeps = whole && !closes && s->x.server_keeps && !s->wish.private &&
			    buffer_used(s->out) == 0;

	way_fini(p, &s->up);
	way_fini(p, &s->down);
	if (server_keeps)
		server_return(p, &s->wish);
	else
		server_close(p, &s->wish, !whole);
	account_end(p, s, true);
	session_next(p, s, s->x.keep && whole && !closes);
}

/* --- the response's head ---------------------------------------------------------------------- */

/* What the client has not taken of the head goes in front of the body. It fits: when the head was
 * read, HTTP_WRITE_ROOM was left free. */
static void put_back(struct session *s, const uint8_t *rest, uint32_t size, uint32_t room)
{
	struct buffer *x = s->out;
	uint32_t used = x->end - x->start;

	if (x->start < size) {
		assert(size + used <= room);
		memmove(x->bytes + size, x->bytes + x->start, used);
		x->start = size;
		x->end = size + used;
	}
	x->start -= size;
	memcpy(x->bytes + x->start, rest, size);
	s->down.ready += size;
}

/* The head in `head`, and what is ready of the body, in one go. */
static enum way_result send_both(struct proxy *p, struct session *s, const struct buffer *head)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)head->bytes, head->end},
			       {s->out->bytes + s->out->start, s->down.ready}};
	size_t n, of_body = 0;
	enum stream_result rc = stream_write(&s->client, iov, s->down.ready > 0 ? 2 : 1, false, &n);

	if (rc == STREAM_FAILED)
		return WAY_WRITE_FAILED;
	if (n > head->end)
		of_body = n - head->end;
	s->out->start += (uint32_t)of_body;
	s->down.ready -= (uint32_t)of_body;
	if (n < head->end)
		put_back(s, head->bytes + n, head->end - (uint32_t)n, p->buffers.size);
	return rc == STREAM_OK ? WAY_MOVED : WAY_WRITES;
}

static bool head_write(struct proxy *p, struct session *s, struct buffer *to)
{
	size_t room = p->head.size + HTTP_WRITE_ROOM;
	struct wcur w = wcur_init(to->bytes, room < p->buffers.size ? room : p->buffers.size);
	struct http_response_edit e = {.hold = s->x.keep ? HOLD_KEEP : HOLD_CLOSE,
				       .minor = s->x.minor};
	struct sticky sticky;

	if (p->head.framing == FRAMING_TUNNEL)
		e.hold = HOLD_UPGRADE;
	if (p->head.status >= 200)
		sticky_edit(p, s, &p->head, &e, &sticky);
	http_write_response(&w, &p->head, &e);
	to->end = (uint32_t)wcur_size(&w);
	return wcur_ok(&w);
}

/* p->head, which begins at the front of `out`, to the client. WAY_REFUSED: it does not fit. */
static enum way_result head_send(struct proxy *p, struct session *s)
{
	struct buffer *head = buffer_take(&p->buffers);
	enum way_result r = WAY_REFUSED;

	if (!head)
		return WAY_NO_MEMORY;
	if (head_write(p, s, head)) {
		s->out->start += p->head.size;
		account_status(p, s, p->head.status);
		if (s->x.responded)
			(void)way_look(p, &s->down);
		r = send_both(p, s, head);
	}
	buffer_give(&p->buffers, &head);
	return r;
}

/* 100, 103 and the like: nothing that a client of 1.0 knows of (RFC 9110 section 15.2). */
static enum way_result interim(struct proxy *p, struct session *s)
{
	enum way_result r = WAY_MOVED;

	s->x.expects = false;
	if (s->x.minor > 0)
		r = head_send(p, s);
	else
		s->out->start += p->head.size;
	http_scan_init(&s->scan, HTTP_KIND_RESPONSE);
	return r;
}

/* p->head is whole, and final. */
static enum way_result final(struct proxy *p, struct session *s)
{
	const struct http_head *h = &p->head;
	bool dry = s->down.dry, tunnel = h->framing == FRAMING_TUNNEL;
	enum way_result r;

	if (tunnel && !up_is_whole(s))
		return WAY_REFUSED;
	s->x.first_byte_us = account_us(p, s);
	session_count(p, s, us_first_byte, s->x.first_byte_us);
	s->x.server_keeps = h->keep_alive;
	/* A response that does not wait for the request's end closes behind both (RFC 9112
	 * section 9.5), as does the connection of a service that is gone. */
	s->x.keep = s->x.keep && up_is_whole(s) && s->service != PARAMS_NONE;
	s->x.responded = true;
	way_init(&s->down, &s->out, 0, h->framing, h->length);
	s->down.dry = dry;
	if (h->status >= 500)
		session_count_target(p, s, status_5xx, 1);
	r = head_send(p, s);
	if (r == WAY_REFUSED)
		s->x.responded = false;
	else if (tunnel && r != WAY_WRITE_FAILED && r != WAY_NO_MEMORY)
		tunnel_begin(p, s);
	return r;
}

static enum way_result head_whole(struct proxy *p, struct session *s)
{
	if (p->head.status < 200 && p->head.framing != FRAMING_TUNNEL)
		return interim(p, s);
	return final(p, s);
}

static enum l7_answer head_read(struct proxy *p, struct session *s)
{
	struct http_asked asked = {.method = (enum http_method)s->x.method,
				   .minor = s->x.minor,
				   .upgrade = s->x.upgrade};

	if (buffer_used(s->out) == 0)
		return L7_MORE;
	return http_head_read(&p->head, &s->scan, &p->limits, &asked, s->out->bytes + s->out->start,
			      buffer_used(s->out));
}

/* Until the response's head is whole and sent, as far as that goes. WAY_MOVED: it is. */
static enum way_result head_run(struct proxy *p, struct session *s)
{
	struct way *w = &s->down;
	enum way_result r = WAY_MOVED;

	while (r == WAY_MOVED && !s->x.responded) {
		if (w->ready > 0) {
			r = way_put(p, w, &s->client);
			continue;
		}
		switch (head_read(p, s)) {
		case L7_MATCH:
			if (request_misdirected(p, s))
				return WAY_ELSEWHERE;
			r = head_whole(p, s);
			break;
		case L7_NO:
			s->x.reason = http_reason_name(p->head.reason);
			return WAY_REFUSED;
		case L7_MORE:
			r = way_get(p, w, session_server(s), p->buffers.size - HTTP_WRITE_ROOM);
		}
	}
	if (r == WAY_READS)
		way_rest(p, w);
	w->waits = (uint8_t)r;
	return r;
}

/* --- both ways -------------------------------------------------------------------------------- */

/* False: the exchange has ended. */
static bool up_run(struct proxy *p, struct session *s)
{
	if (!up_is_open(s)) {
		if (session_listen(p, s))
			return true;
		client_gone(p, s);
		return false;
	}
	switch (way_run(p, &s->up, &s->client, session_server(s))) {
	case WAY_REFUSED:
		session_refuse(p, s, (enum http_reason)s->up.body.reason);
		return false;
	case WAY_ENDED:
	case WAY_READ_FAILED:
		client_gone(p, s);
		return false;
	case WAY_WRITE_FAILED:
		/* It may have said why. */
		way_fini(p, &s->up);
		if (s->up.prefix)
			buffer_give(&p->buffers, s->up.prefix);
		s->up.prefix = NULL;
		s->up.failed = true;
		session_server(s)->error = 0;
		s->down.dry = false;
		return true;
	case WAY_NO_MEMORY:
		session_error(p, s, 503, NULL);
		return false;
	default:
		if (s->up.body.total > 0)
			s->x.expects = false;
		return true;
	}
}

/* The server has closed, or `failed`. */
static void server_ended(struct proxy *p, struct session *s, bool failed)
{
	if (s->x.responded && !failed && http_body_may_close(&s->down.body))
		exchange_done(p, s);
	else if (s->x.responded)
		server_gone(p, s);
	else if (!request_again(p, s))
		no_response(p, s, 502, NULL);
}

static void response_refused(struct proxy *p, struct session *s)
{
	if (s->x.responded)
		server_gone(p, s);
	else
		no_response(p, s, 502, s->x.reason);
}

/* False: the exchange has ended, or is a tunnel now. */
static bool down_run(struct proxy *p, struct session *s)
{
	enum way_result r;

	if (s->up.prefix) /* in the buffer that the response needs */
		return true;
	r = s->x.responded ? WAY_MOVED : head_run(p, s);
	if (s->state != SESSION_EXCHANGE || r == WAY_ELSEWHERE)
		return false;
	if (r == WAY_MOVED)
		r = way_run(p, &s->down, session_server(s), &s->client);
	switch (r) {
	case WAY_DONE:
		exchange_done(p, s);
		return false;
	case WAY_ENDED:
	case WAY_READ_FAILED:
		server_ended(p, s, r == WAY_READ_FAILED);
		return false;
	case WAY_WRITE_FAILED:
		client_gone(p, s);
		return false;
	case WAY_REFUSED:
		response_refused(p, s);
		return false;
	case WAY_NO_MEMORY:
		session_error(p, s, 503, NULL);
		return false;
	default:
		return true;
	}
}

/* --- whose turn it is ------------------------------------------------------------------------- */

static void turn_set(struct proxy *p, struct timer *t, bool *was, bool is, uint64_t due_ns)
{
	if (is || *was)
		clock_set(&p->clock, t, is ? due_ns : NEVER);
	*was = is;
}

static void wait_for(struct proxy *p, struct session *s, bool client_moved, bool server_moved)
{
	const struct l7_params *l7 = session_rules(p, s);
	bool up_reads = up_is_open(s) && s->up.waits == WAY_READS;
	bool up_writes = up_is_open(s) && s->up.waits == WAY_WRITES;
	bool down_writes = s->down.waits == WAY_WRITES;
	bool down_reads = s->down.waits == WAY_READS && !s->up.prefix;
	bool listens = up_is_whole(s) && s->up.dry && !s->client.ended;
	bool client = (up_reads && !s->x.expects) || down_writes;
	bool server = up_writes || (down_reads && (!up_reads || s->x.expects || s->x.responded));

	proxy_want(p, &s->watch,
		   (uint8_t)((up_reads || listens ? STREAM_READ : 0) |
			     (down_writes ? STREAM_WRITE : 0)));
	proxy_want(p, &s->wish.conn->watch,
		   (uint8_t)((down_reads ? STREAM_READ : 0) | (up_writes ? STREAM_WRITE : 0)));
	if (client_moved || client != s->client_turn)
		turn_set(p, &s->timer, &s->client_turn, client, proxy_in_ms(p, l7->client_ms));
	if (server_moved || server != s->server_turn)
		turn_set(p, &s->wish.conn->timer, &s->server_turn, server,
			 proxy_in_ms(p, l7->server_ms));
}

void exchange_run(struct proxy *p, struct session *s)
{
	uint64_t client = moved(&s->client), server = moved(session_server(s));

	if (up_run(p, s) && down_run(p, s))
		wait_for(p, s, moved(&s->client) != client, moved(session_server(s)) != server);
}

void exchange_due_client(struct proxy *p, struct session *s)
{
	s->client_turn = false;
	if (s->x.responded || s->down.ready > 0)
		client_gone(p, s);
	else
		session_error(p, s, 408, NULL);
}

/* Since a moment ago: whoever looks at all targets has not been here yet. */
static bool is_down(const struct proxy *p, const struct session *s)
{
	uint64_t since;

	return s->target != PARAMS_NONE &&
	       p->world.standing(p->world.arg, s->target, &since) == L7_TARGET_DOWN;
}

void exchange_due_server(struct proxy *p, struct session *s)
{
	s->server_turn = false;
	if (s->x.responded)
		server_gone(p, s);
	else if (!is_down(p, s) || !request_stranded(p, s))
		no_response(p, s, 504, NULL);
}
