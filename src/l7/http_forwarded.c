/*
 * X-Forwarded-For, as everybody has it, and Forwarded (RFC 7239): who sent a request. What a client
 * says of itself is worth nothing, so it is kept only where the configuration believes the sender.
 */
#include "l7/http_write_parts.h"

static bool writes_x(const struct http_request_edit *e)
{
	return e->forwarded == FORWARDED_X || e->forwarded == FORWARDED_BOTH;
}

static bool writes_rfc7239(const struct http_request_edit *e)
{
	return e->forwarded == FORWARDED_RFC7239 || e->forwarded == FORWARDED_BOTH;
}

bool http_forwarded_replaces(const struct http_request_edit *e, uint8_t id)
{
	return (id == FIELD_X_FORWARDED_FOR && writes_x(e)) ||
	       (id == FIELD_FORWARDED && writes_rfc7239(e));
}

/* One field with what all fields of that id said, in order, and the list separator behind. */
static void begin(struct wcur *w, const struct http_head *h, const struct http_request_edit *e,
		  enum http_field_id id, struct text name)
{
	const struct http_field *f;
	unsigned at = 0;

	put(w, name);
	put(w, TEXT(": "));
	while (e->believe && (f = http_field_next(h, id, &at)) != NULL) {
		if (f->drop || f->value.size == 0)
			continue;
		put(w, http_text(h, f->value));
		put(w, TEXT(", "));
	}
}

/* RFC 7239 section 6: an IPv6 address is in brackets, and so in quotes. */
static void put_node(struct wcur *w, const struct ipaddr *a)
{
	char text[ADDR_TEXT];

	ipaddr_text(text, a);
	put(w, ipaddr_is_v4(a) ? TEXT("") : TEXT("\"["));
	put_str(w, text);
	put(w, ipaddr_is_v4(a) ? TEXT("") : TEXT("]\""));
}

static void write_rfc7239(struct wcur *w, const struct http_head *h,
			  const struct http_request_edit *e)
{
	begin(w, h, e, FIELD_FORWARDED, TEXT("Forwarded"));
	put(w, TEXT("for="));
	put_node(w, &e->client->addr);
	if (e->service) {
		put(w, TEXT(";by="));
		put_node(w, &e->service->addr);
	}
	if (h->authority.size > 0) { /* letters, digits, "-._:[]": needs no escapes */
		put(w, TEXT(";host=\""));
		put(w, http_text(h, h->authority));
		put(w, TEXT("\""));
	}
	put(w, TEXT(";proto=http\r\n"));
}

void http_write_forwarded(struct wcur *w, const struct http_head *h,
			  const struct http_request_edit *e)
{
	char text[ADDR_TEXT];

	if (writes_x(e)) {
		begin(w, h, e, FIELD_X_FORWARDED_FOR, TEXT("X-Forwarded-For"));
		put_str(w, ipaddr_text(text, &e->client->addr));
		put(w, TEXT("\r\n"));
	}
	if (writes_rfc7239(e))
		write_rfc7239(w, h, e);
}
