/*
 * Fields that are about the connection (RFC 9110 section 7.6 to 7.8, 10.1.1; RFC 9112 section 9),
 * and the framing of the body (RFC 9112 section 6).
 */
#include "l7/http_parts.h"

/* What the Connection fields say. */
struct options {
	bool close, keep_alive, upgrade;
};

/* Fields that stop here even where Connection does not name them. */
static bool hop_by_hop(uint8_t id)
{
	switch (id) {
	case FIELD_CONNECTION:
	case FIELD_KEEP_ALIVE:
	case FIELD_PROXY_CONNECTION:
	case FIELD_TE:
	case FIELD_UPGRADE:
	case FIELD_HTTP2_SETTINGS:
		return true;
	default:
		return false;
	}
}

/* Without these the message would mean something else to the next reader. */
static bool not_removable(uint8_t id)
{
	return id == FIELD_HOST || id == FIELD_CONTENT_LENGTH || id == FIELD_TRANSFER_ENCODING;
}

/* A field that Connection names ends here too. */
static enum http_reason drop_named(struct http_head *h, struct text name)
{
	if (not_removable((uint8_t)http_field_id(name)))
		return HTTP_REASON_CONNECTION_BAD;
	for (unsigned i = 0; i < h->n_fields; i++)
		if (text_eq_nocase(http_text(h, h->fields[i].name), name))
			h->fields[i].drop = true;
	return HTTP_REASON_NONE;
}

static enum http_reason read_option(struct http_head *h, struct options *o, struct text option)
{
	if (!text_all(option, TEXT_TOKEN))
		return HTTP_REASON_CONNECTION_BAD;
	if (text_eq_nocase(option, TEXT("close")))
		o->close = true;
	else if (text_eq_nocase(option, TEXT("keep-alive")))
		o->keep_alive = true;
	else if (text_eq_nocase(option, TEXT("upgrade")))
		o->upgrade = true;
	else
		return drop_named(h, option);
	return HTTP_REASON_NONE;
}

static enum http_reason read_connection(struct http_head *h, struct options *o)
{
	const struct http_field *f;
	enum http_reason r = HTTP_REASON_NONE;
	unsigned at = 0;

	while (r == HTTP_REASON_NONE && (f = http_field_next(h, FIELD_CONNECTION, &at)) != NULL) {
		struct text list = http_text(h, f->value), option;

		while (r == HTTP_REASON_NONE && text_next(&list, &option))
			r = read_option(h, o, option);
	}
	return r;
}

/* WebSocket and nothing else: another protocol behind an Upgrade that the next server understands
 * and this one does not (h2c) would be a way around everything that is checked here. */
static bool asks_websocket(const struct http_head *h)
{
	unsigned at = 0;
	const struct http_field *f = http_field_next(h, FIELD_UPGRADE, &at);

	return f && !http_field_next(h, FIELD_UPGRADE, &at) &&
	       text_eq_nocase(http_text(h, f->value), TEXT("websocket"));
}

static enum http_reason read_expect(struct http_head *h)
{
	const struct http_field *f;
	unsigned at = 0;

	while ((f = http_field_next(h, FIELD_EXPECT, &at)) != NULL) {
		if (!text_eq_nocase(http_text(h, f->value), TEXT("100-continue")))
			return HTTP_REASON_EXPECT_UNKNOWN;
		h->expect_continue = h->minor == 1;
	}
	return HTTP_REASON_NONE;
}

enum http_reason http_fields_read(struct http_head *h, const struct http_asked *asked)
{
	struct options o = {.close = false};
	enum http_reason r = read_connection(h, &o);

	if (r != HTTP_REASON_NONE)
		return r;
	for (unsigned i = 0; i < h->n_fields; i++)
		h->fields[i].drop |= hop_by_hop(h->fields[i].id);
	h->keep_alive = !o.close && (h->minor == 1 || o.keep_alive);
	h->upgrade = h->minor == 1 && o.upgrade && asks_websocket(h);
	if (!asked)
		return read_expect(h);
	h->upgrade = h->upgrade && h->status == 101;
	if (h->status == 101 && !(h->upgrade && asked->upgrade))
		return HTTP_REASON_SWITCH_UNASKED;
	return HTTP_REASON_NONE;
}

/* --- framing ---------------------------------------------------------------------------------- */

/* Exactly one field, exactly one number. */
static enum http_reason read_length(struct http_head *h)
{
	unsigned at = 0;
	const struct http_field *f = http_field_next(h, FIELD_CONTENT_LENGTH, &at);

	if (!f)
		return HTTP_REASON_NONE;
	if (http_field_next(h, FIELD_CONTENT_LENGTH, &at))
		return HTTP_REASON_LENGTH_MANY;
	h->has_length = true;
	return text_decimal(http_text(h, f->value), &h->length) ? HTTP_REASON_NONE
								: HTTP_REASON_LENGTH_BAD;
}

/* Only "chunked", once: other codings could be passed on, but not be checked. */
static enum http_reason read_coding(const struct http_head *h, bool *chunked)
{
	const struct http_field *f;
	bool there = false, unknown = false;
	unsigned at = 0;

	while ((f = http_field_next(h, FIELD_TRANSFER_ENCODING, &at)) != NULL) {
		struct text list = http_text(h, f->value), coding;

		there = true;
		while (text_next(&list, &coding)) {
			if (*chunked)
				return HTTP_REASON_CODING_BAD;
			*chunked = text_eq_nocase(coding, TEXT("chunked"));
			unknown |= !*chunked;
		}
	}
	if (there && !*chunked)
		return HTTP_REASON_CODING_BAD;
	return unknown ? HTTP_REASON_CODING_UNKNOWN : HTTP_REASON_NONE;
}

static void frame_request(struct http_head *h, bool chunked)
{
	if (chunked)
		h->framing = FRAMING_CHUNKED;
	else
		h->framing = h->length > 0 ? FRAMING_LENGTH : FRAMING_NONE;
	/* What would be switched to begins where the body ends, and a server that refuses the
	 * switch reads on: too much to go wrong for what no browser does. */
	h->upgrade = h->upgrade && h->framing == FRAMING_NONE && h->method == METHOD_GET;
	h->expect_continue = h->expect_continue && h->framing != FRAMING_NONE;
}

/* In the order of RFC 9112 section 6.3. */
static enum http_reason frame_response(struct http_head *h, const struct http_asked *asked,
				       bool chunked)
{
	bool no_body = h->status < 200 || h->status == 204;

	/* Content-Length: 0 in a 204 is wrong, frequent and harmless. */
	if (no_body && (chunked || h->length > 0))
		return HTTP_REASON_BODY_UNEXPECTED;
	if (h->upgrade || (asked->method == METHOD_CONNECT && h->status / 100 == 2))
		h->framing = FRAMING_TUNNEL;
	else if (no_body || h->status == 304 || asked->method == METHOD_HEAD)
		h->framing = FRAMING_NONE;
	else if (chunked)
		h->framing = FRAMING_CHUNKED;
	else if (h->has_length)
		h->framing = h->length > 0 ? FRAMING_LENGTH : FRAMING_NONE;
	else
		h->framing = FRAMING_CLOSE;
	if (h->framing == FRAMING_CLOSE || h->framing == FRAMING_TUNNEL)
		h->keep_alive = false;
	return HTTP_REASON_NONE;
}

enum http_reason http_framing_read(struct http_head *h, const struct http_asked *asked,
				   const struct http_judged *j)
{
	bool chunked = false;
	enum http_reason r = read_length(h);

	if (r == HTTP_REASON_NONE)
		r = read_coding(h, &chunked);
	if (r != HTTP_REASON_NONE)
		return r;
	if (chunked && h->has_length)
		return HTTP_REASON_LENGTH_CODING;
	if (chunked && (h->minor == 0 || (asked && asked->minor == 0)))
		return HTTP_REASON_CODING_OLD;
	if (h->has_length != j->has_length || chunked != j->chunked || chunked != j->has_coding ||
	    (h->has_length && h->length != j->length))
		return HTTP_REASON_DISAGREE;
	if (asked)
		return frame_response(h, asked, chunked);
	if ((h->method == METHOD_TRACE || h->method == METHOD_CONNECT) &&
	    (chunked || h->length > 0))
		return HTTP_REASON_BODY_UNEXPECTED;
	frame_request(h, chunked);
	return HTTP_REASON_NONE;
}
