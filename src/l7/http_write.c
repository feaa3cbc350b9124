#include "l7/http_write.h"

#include "l7/cookie.h"
#include "l7/http_write_parts.h"

void http_put_number(struct wcur *w, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	wcur_bytes(w, digits + at, sizeof(digits) - at);
}

/* Connection, where something must be said: a 1.1 connection stays unless told otherwise, a 1.0
 * connection closes unless told otherwise (RFC 9112 section 9.3). */
static void write_hold(struct wcur *w, const struct http_head *h, enum http_hold hold,
		       uint8_t minor)
{
	unsigned at = 0;
	const struct http_field *f;

	if (hold == HOLD_UPGRADE && h->upgrade) {
		f = http_field_next(h, FIELD_UPGRADE, &at);
		put(w, TEXT("Connection: Upgrade\r\n"));
		if (f)
			put_field(w, TEXT("Upgrade"), http_text(h, f->value));
	} else if (hold == HOLD_CLOSE) {
		put(w, TEXT("Connection: close\r\n"));
	} else if (minor == 0) {
		put(w, TEXT("Connection: keep-alive\r\n"));
	}
}

static void write_length(struct wcur *w, const struct http_head *h)
{
	/* None of its own: the message has no body and cannot say how long one would be. */
	if (h->kind == HTTP_KIND_RESPONSE && (h->status < 200 || h->status == 204))
		return;
	put(w, TEXT("Content-Length: "));
	http_put_number(w, h->length);
	put(w, TEXT("\r\n"));
}

static bool is_tunnel(const struct http_head *h)
{
	return h->framing == FRAMING_TUNNEL;
}

/* A field that is nobody else's to write. */
static void write_field(struct wcur *w, const struct http_head *h, const struct http_field *f)
{
	switch ((enum http_field_id)f->id) {
	case FIELD_CONTENT_LENGTH:
		if (!is_tunnel(h))
			write_length(w, h);
		break;
	case FIELD_TRANSFER_ENCODING:
		break;
	default:
		put_field(w, http_text(h, f->name), http_text(h, f->value));
		break;
	}
}

static void write_coding(struct wcur *w, const struct http_head *h)
{
	unsigned at = 0;

	/* Also of a response without a body to HEAD: it says what GET would have got. */
	if (!is_tunnel(h) && http_field_next(h, FIELD_TRANSFER_ENCODING, &at))
		put(w, TEXT("Transfer-Encoding: chunked\r\n"));
}

/* --- request ---------------------------------------------------------------------------------- */

static void write_target(struct wcur *w, const struct http_head *h)
{
	if (h->form != FORM_ABSOLUTE) {
		put(w, http_text(h, h->target));
		return;
	}
	if (h->path.size > 0)
		put(w, http_text(h, h->path));
	else /* RFC 9112 section 3.2.4: OPTIONS of the whole server */
		put(w, h->method == METHOD_OPTIONS && h->query.size == 0 ? TEXT("*") : TEXT("/"));
	put(w, http_text(h, h->query));
}

static void write_request_field(struct wcur *w, const struct http_head *h,
				const struct http_field *f, const struct http_request_edit *e)
{
	if (f->drop || f->id == FIELD_HOST || http_forwarded_replaces(e, f->id))
		return;
	if (f->id == FIELD_EXPECT && e->continued)
		return;
	if (f->id == FIELD_COOKIE && e->cookie != COOKIE_KEEP)
		http_write_cookie(w, http_text(h, f->value), e);
	else
		write_field(w, h, f);
}

void http_write_request(struct wcur *w, const struct http_head *h,
			const struct http_request_edit *e)
{
	put(w, http_text(h, h->method_name));
	put(w, TEXT(" "));
	write_target(w, h);
	put(w, h->minor == 0 ? TEXT(" HTTP/1.0\r\n") : TEXT(" HTTP/1.1\r\n"));
	if (h->authority.size > 0)
		put_field(w, TEXT("Host"), http_text(h, h->authority));
	for (unsigned i = 0; i < h->n_fields; i++)
		write_request_field(w, h, &h->fields[i], e);
	http_write_forwarded(w, h, e);
	write_coding(w, h);
	put(w, e->lines);
	write_hold(w, h, e->hold, h->minor);
	put(w, TEXT("\r\n"));
}

/* --- cookies ---------------------------------------------------------------------------------- */

static void write_unprefixed(struct wcur *w, const struct cookie_pair *p)
{
	put(w, p->name);
	put(w, TEXT("="));
	put(w, text_after(p->value, COOKIE_TOKEN + 1));
}

void http_write_cookie(struct wcur *w, struct text value, const struct http_request_edit *e)
{
	struct cookie_pair pair;
	bool begun = false;

	while (cookie_next(&value, &pair)) {
		bool named = text_eq(pair.name, e->cookie_name);

		if (named && e->cookie == COOKIE_STRIP)
			continue;
		put(w, begun ? TEXT("; ") : TEXT("Cookie: "));
		if (named && e->cookie == COOKIE_UNPREFIX && cookie_prefix(pair.value).size > 0)
			write_unprefixed(w, &pair);
		else
			put(w, pair.whole);
		begun = true;
	}
	if (begun)
		put(w, TEXT("\r\n"));
}

void http_write_set_cookie(struct wcur *w, const struct http_set_cookie *c)
{
	put(w, TEXT("Set-Cookie: "));
	put(w, c->name);
	put(w, TEXT("="));
	put(w, c->value);
	put(w, TEXT("; Path=/"));
	if (c->max_age_s > 0) {
		put(w, TEXT("; Max-Age="));
		http_put_number(w, c->max_age_s);
	}
	if (c->domain.size > 0) {
		put(w, TEXT("; Domain="));
		put(w, c->domain);
	}
	put(w, c->secure ? TEXT("; HttpOnly; Secure; SameSite=Lax\r\n")
			 : TEXT("; HttpOnly; SameSite=Lax\r\n"));
}

/* --- response --------------------------------------------------------------------------------- */

/* Set-Cookie with the token in front of the value; attributes and all as they were. */
static void write_prefixed(struct wcur *w, const struct http_head *h, const struct http_field *f,
			   const struct http_response_edit *e)
{
	struct text value = http_text(h, f->value);
	struct cookie_pair pair = cookie_set_pair(value);
	size_t behind = (size_t)(pair.value.p - value.p);

	put(w, TEXT("Set-Cookie: "));
	put(w, pair.name);
	put(w, TEXT("="));
	put(w, e->prefix_token);
	wcur_u8(w, COOKIE_SEPARATOR);
	put(w, text_after(value, behind));
	put(w, TEXT("\r\n"));
}

static void write_response_field(struct wcur *w, const struct http_head *h,
				 const struct http_field *f, const struct http_response_edit *e)
{
	if (f->drop)
		return;
	if (f->id == FIELD_SET_COOKIE && e->prefix_name.size > 0 &&
	    text_eq(cookie_set_pair(http_text(h, f->value)).name, e->prefix_name))
		write_prefixed(w, h, f, e);
	else
		write_field(w, h, f);
}

void http_write_response(struct wcur *w, const struct http_head *h,
			 const struct http_response_edit *e)
{
	enum http_hold hold = h->framing == FRAMING_CLOSE ? HOLD_CLOSE : e->hold;

	put(w, TEXT("HTTP/1.1 "));
	http_put_number(w, h->status);
	put(w, TEXT(" "));
	put(w, http_text(h, h->phrase));
	put(w, TEXT("\r\n"));
	for (unsigned i = 0; i < h->n_fields; i++)
		write_response_field(w, h, &h->fields[i], e);
	write_coding(w, h);
	put(w, e->lines);
	/* An interim response says nothing about the connection (RFC 9110 section 15.2). */
	if (h->status >= 200 || h->upgrade)
		write_hold(w, h, hold, e->minor);
	put(w, TEXT("\r\n"));
}
