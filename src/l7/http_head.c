#include "l7/http_head.h"

#include <assert.h>

#include "l7/http_parts.h"

struct name {
	struct text text;
	uint8_t id;
};

static const struct name methods[] = {
	{TEXT("GET"), METHOD_GET},	   {TEXT("HEAD"), METHOD_HEAD},
	{TEXT("POST"), METHOD_POST},	   {TEXT("PUT"), METHOD_PUT},
	{TEXT("DELETE"), METHOD_DELETE},   {TEXT("CONNECT"), METHOD_CONNECT},
	{TEXT("OPTIONS"), METHOD_OPTIONS}, {TEXT("TRACE"), METHOD_TRACE},
	{TEXT("PATCH"), METHOD_PATCH},
};

static const struct name field_names[] = {
	{TEXT("connection"), FIELD_CONNECTION},
	{TEXT("content-length"), FIELD_CONTENT_LENGTH},
	{TEXT("cookie"), FIELD_COOKIE},
	{TEXT("expect"), FIELD_EXPECT},
	{TEXT("forwarded"), FIELD_FORWARDED},
	{TEXT("host"), FIELD_HOST},
	{TEXT("http2-settings"), FIELD_HTTP2_SETTINGS},
	{TEXT("keep-alive"), FIELD_KEEP_ALIVE},
	{TEXT("proxy-connection"), FIELD_PROXY_CONNECTION},
	{TEXT("referer"), FIELD_REFERER},
	{TEXT("set-cookie"), FIELD_SET_COOKIE},
	{TEXT("te"), FIELD_TE},
	{TEXT("transfer-encoding"), FIELD_TRANSFER_ENCODING},
	{TEXT("upgrade"), FIELD_UPGRADE},
	{TEXT("user-agent"), FIELD_USER_AGENT},
	{TEXT("via"), FIELD_VIA},
	{TEXT("x-forwarded-for"), FIELD_X_FORWARDED_FOR},
};

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

enum http_field_id http_field_id(struct text name)
{
	for (size_t i = 0; i < N_OF(field_names); i++)
		if (text_eq_nocase(name, field_names[i].text))
			return field_names[i].id;
	return FIELD_OTHER;
}

bool http_method_idempotent(enum http_method m)
{
	switch (m) {
	case METHOD_GET:
	case METHOD_HEAD:
	case METHOD_PUT:
	case METHOD_DELETE:
	case METHOD_OPTIONS:
	case METHOD_TRACE:
		return true;
	default:
		return false;
	}
}

const struct http_field *http_field_next(const struct http_head *h, enum http_field_id id,
					 unsigned *at)
{
	while (*at < h->n_fields) {
		const struct http_field *f = &h->fields[(*at)++];

		if (f->id == id)
			return f;
	}
	return NULL;
}

struct text http_field_find(const struct http_head *h, struct text name)
{
	for (unsigned i = 0; i < h->n_fields; i++)
		if (text_eq_nocase(http_text(h, h->fields[i].name), name))
			return http_text(h, h->fields[i].value);
	return (struct text){NULL, 0};
}

static enum http_method method_of(struct text name)
{
	for (size_t i = 0; i < N_OF(methods); i++)
		if (text_eq(name, methods[i].text))
			return methods[i].id;
	return METHOD_OTHER;
}

static struct span span_of(const struct http_head *h, struct text t)
{
	return (struct span){(uint32_t)(t.p - h->data), (uint32_t)t.size};
}

/* The scanner has seen to it that the spaces and the version are where they belong. */
static enum http_reason request_line(struct http_head *h, struct text line)
{
	struct text method = text_first(line, text_find(line, ' '));
	struct text rest = text_after(line, method.size + 1);
	struct text target = text_first(rest, text_find(rest, ' '));

	if (rest.size != target.size + sizeof(" HTTP/1.x") - 1)
		return HTTP_REASON_VERSION_BAD;
	h->method_name = span_of(h, method);
	h->method = method_of(method);
	h->target = span_of(h, target);
	h->minor = rest.p[rest.size - 1] == '1';
	return HTTP_REASON_NONE;
}

static enum http_reason status_line(struct http_head *h, struct text line)
{
	uint64_t status = 0;

	if (line.size < sizeof("HTTP/1.x 200") - 1 ||
	    !text_decimal(text_first(text_after(line, 9), 3), &status))
		return HTTP_REASON_STATUS_BAD;
	h->minor = line.p[7] == '1';
	h->status = (uint16_t)status;
	h->phrase = span_of(h, text_after(line, 13));
	return HTTP_REASON_NONE;
}

static enum http_reason start_line(struct http_head *h, unsigned start)
{
	struct text head = {h->data + start, h->size - start};
	struct text line = text_first(head, text_find(head, '\r'));

	return h->kind == HTTP_KIND_REQUEST ? request_line(h, line) : status_line(h, line);
}

static bool agrees(const struct http_head *h, const struct http_judged *j,
		   const struct http_scan *scan)
{
	if (h->n_fields != scan->fields || h->minor != j->minor)
		return false;
	if (h->kind == HTTP_KIND_RESPONSE)
		return h->status == j->status;
	return h->target.at == j->target.at && h->target.size == j->target.size;
}

static enum http_reason take_apart(struct http_head *h, const struct http_scan *scan,
				   const struct http_asked *asked)
{
	struct http_judged judged;
	enum http_reason r = http_judge(h, &judged);

	if (r == HTTP_REASON_NONE)
		r = start_line(h, scan->start);
	if (r == HTTP_REASON_NONE && !agrees(h, &judged, scan))
		r = HTTP_REASON_DISAGREE;
	if (r == HTTP_REASON_NONE && h->kind == HTTP_KIND_REQUEST)
		r = http_target_read(h);
	if (r == HTTP_REASON_NONE)
		r = http_fields_read(h, asked);
	if (r == HTTP_REASON_NONE)
		r = http_framing_read(h, asked, &judged);
	return r;
}

enum l7_answer http_head_read(struct http_head *h, struct http_scan *scan,
			      const struct http_limits *limits, const struct http_asked *asked,
			      const void *data, size_t size)
{
	enum l7_answer answer;

	assert(limits->fields <= HTTP_FIELDS_MAX && limits->bytes <= HTTP_BYTES_MAX);
	assert((scan->kind == HTTP_KIND_REQUEST) == (asked == NULL));
	answer = http_scan(scan, limits, data, size);
	if (answer == L7_MORE)
		return L7_MORE;
	/* All but the fields, which are written as they are found. */
	memset(h, 0, offsetof(struct http_head, fields));
	h->data = data;
	h->size = scan->at;
	h->kind = scan->kind;
	h->reason = answer == L7_NO ? scan->reason : take_apart(h, scan, asked);
	return h->reason == HTTP_REASON_NONE ? L7_MATCH : L7_NO;
}
