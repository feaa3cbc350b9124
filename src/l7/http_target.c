/*
 * Request targets and Host (RFC 9112 section 3.2, RFC 9110 section 7.2). Both name the host; where
 * both do, they must name the same.
 */
#include "base/addr.h"
#include "l7/http_parts.h"

struct authority {
	struct text host;
	uint16_t port;
};

/* A literal IPv6 address between brackets; no zone, no future version. */
static bool read_literal(struct text t)
{
	struct ipaddr a;
	char address[ADDR_TEXT];

	if (t.size < 4 || t.size - 2 >= sizeof(address) ||
	    text_find(t, ':') == t.size) /* no IPv4 address */
		return false;
	memcpy(address, t.p + 1, t.size - 2);
	address[t.size - 2] = '\0';
	return ipaddr_parse(&a, address) == 0;
}

/* Labels of letters, digits, '-' and '_', not empty; one final dot. Narrower than reg-name of RFC
 * 3986, which allows percent-encoding and punctuation that no host's name has. */
static bool read_name(struct text t)
{
	size_t label = 0;

	if (t.size == 0 || t.size > HTTP_HOST_MAX || !text_all(t, TEXT_HOST))
		return false;
	for (size_t i = 0; i < t.size; i++) {
		if (t.p[i] == '.' && label == 0)
			return false;
		label = t.p[i] == '.' ? 0 : label + 1;
	}
	return true;
}

static bool read_port(struct text t, uint16_t *port)
{
	uint64_t n = 0;

	if (t.size == 0)
		return true;
	if (!text_decimal(t, &n) || t.size > 5 || n == 0 || n > UINT16_MAX)
		return false;
	*port = (uint16_t)n;
	return true;
}

/* uri-host [ ":" port ] */
static bool read_authority(struct text t, struct authority *out)
{
	bool literal = t.size > 0 && t.p[0] == '[';
	size_t end = text_find(t, literal ? ']' : ':') + (literal ? 1 : 0);
	struct text host = text_first(t, end), rest = text_after(t, end);

	*out = (struct authority){.host = host};
	if (!(literal ? end <= t.size && read_literal(host) : read_name(host)))
		return false;
	if (!literal && host.p[host.size - 1] == '.')
		out->host.size--;
	if (rest.size == 0)
		return true;
	return rest.p[0] == ':' && read_port(text_after(rest, 1), &out->port);
}

static bool same_authority(const struct authority *x, const struct authority *y)
{
	uint16_t x_port = x->port ? x->port : 80, y_port = y->port ? y->port : 80;

	return x_port == y_port && text_eq_nocase(x->host, y->host);
}

static struct span sub_span(const struct http_head *h, struct text t)
{
	return (struct span){(uint32_t)(t.p - h->data), (uint32_t)t.size};
}

static void set_authority(struct http_head *h, struct text whole, const struct authority *a)
{
	h->authority = sub_span(h, whole);
	h->host = sub_span(h, a->host);
	h->port = a->port;
}

/* Each '%' is followed by two hexadecimal digits that do not make a NUL. */
static bool escapes_right(struct text path)
{
	for (size_t i = 0; i < path.size; i++) {
		if (path.p[i] != '%')
			continue;
		if (path.size - i < 3 || text_hex(path.p[i + 1]) < 0 || text_hex(path.p[i + 2]) < 0)
			return false;
		if (path.p[i + 1] == '0' && path.p[i + 2] == '0')
			return false;
	}
	return true;
}

/* What follows the authority, or is all there is: path and query. */
static enum http_reason read_path(struct http_head *h, struct text t)
{
	size_t end = text_find(t, '?');

	h->path = sub_span(h, text_first(t, end));
	h->query = sub_span(h, text_after(t, end));
	return escapes_right(text_first(t, end)) ? HTTP_REASON_NONE : HTTP_REASON_TARGET_ESCAPE;
}

static enum http_reason read_absolute(struct http_head *h, struct text t, struct authority *a)
{
	static const struct text scheme = TEXT("http://");
	struct text rest = text_after(t, scheme.size), authority;
	size_t end = 0;

	if (!text_eq_nocase(text_first(t, scheme.size), scheme))
		return HTTP_REASON_TARGET_FORM;
	while (end < rest.size && rest.p[end] != '/' && rest.p[end] != '?')
		end++;
	authority = text_first(rest, end);
	if (!read_authority(authority, a))
		return HTTP_REASON_HOST_BAD;
	h->form = FORM_ABSOLUTE;
	set_authority(h, authority, a);
	return read_path(h, text_after(rest, end));
}

static enum http_reason read_connect(struct http_head *h, struct text t, struct authority *a)
{
	if (!read_authority(t, a) || a->port == 0)
		return HTTP_REASON_TARGET_FORM;
	h->form = FORM_AUTHORITY;
	set_authority(h, t, a);
	h->path = h->query = (struct span){h->target.at + h->target.size, 0};
	return HTTP_REASON_NONE;
}

/* Which of the forms fits: by the method first, then by the first byte. */
static enum http_reason read_form(struct http_head *h, struct authority *a)
{
	struct text t = http_text(h, h->target);

	if (h->method == METHOD_CONNECT)
		return read_connect(h, t, a);
	if (t.p[0] == '/') {
		h->form = FORM_ORIGIN;
		return read_path(h, t);
	}
	if (text_eq(t, TEXT("*")) && h->method == METHOD_OPTIONS) {
		h->form = FORM_ASTERISK;
		return read_path(h, t);
	}
	return read_absolute(h, t, a);
}

enum http_reason http_target_read(struct http_head *h)
{
	struct authority target = {.port = 0}, host;
	unsigned at = 0;
	const struct http_field *f;
	enum http_reason r = read_form(h, &target);

	if (r != HTTP_REASON_NONE)
		return r;
	f = http_field_next(h, FIELD_HOST, &at);
	if (!f)
		return h->minor == 0 ? HTTP_REASON_NONE : HTTP_REASON_HOST_MISSING;
	if (http_field_next(h, FIELD_HOST, &at))
		return HTTP_REASON_HOST_MANY;
	if (!read_authority(http_text(h, f->value), &host))
		return HTTP_REASON_HOST_BAD;
	if (h->form == FORM_ABSOLUTE || h->form == FORM_AUTHORITY)
		return same_authority(&target, &host) ? HTTP_REASON_NONE
						      : HTTP_REASON_HOST_MISMATCH;
	set_authority(h, http_text(h, f->value), &host);
	return HTTP_REASON_NONE;
}
