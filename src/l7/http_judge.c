/*
 * What llhttp makes of a head. The head is whole and lies in one piece, so each part of it comes as
 * one span; should llhttp ever cut one, the pieces are joined.
 */
#include <llhttp.h>

#include "l7/http_parts.h"

struct judging {
	struct http_head *h;
	struct http_judged *j;
	bool in_name;
	bool bad; /* more fields than the scanner has counted: cannot be, and is not relied on */
};

static struct judging *judging_of(llhttp_t *p)
{
	return p->data;
}

static struct span span_at(const struct judging *g, const char *at, size_t size)
{
	return (struct span){(uint32_t)(at - g->h->data), (uint32_t)size};
}

static void span_join(struct span *s, struct span next)
{
	if (s->size == 0)
		*s = next;
	else if (s->at + s->size == next.at)
		s->size += next.size;
}

static int on_url(llhttp_t *p, const char *at, size_t size)
{
	struct judging *g = judging_of(p);

	span_join(&g->j->target, span_at(g, at, size));
	return 0;
}

static int on_name(llhttp_t *p, const char *at, size_t size)
{
	struct judging *g = judging_of(p);
	struct http_head *h = g->h;

	if (!g->in_name) {
		if (h->n_fields == HTTP_FIELDS_MAX) {
			g->bad = true;
			return -1;
		}
		h->fields[h->n_fields++] = (struct http_field){.id = FIELD_OTHER};
		g->in_name = true;
	}
	span_join(&h->fields[h->n_fields - 1].name, span_at(g, at, size));
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t size)
{
	struct judging *g = judging_of(p);

	g->in_name = false;
	if (g->h->n_fields > 0)
		span_join(&g->h->fields[g->h->n_fields - 1].value, span_at(g, at, size));
	return 0;
}

static int on_value_end(llhttp_t *p)
{
	judging_of(p)->in_name = false;
	return 0;
}

/* The body is http_body.h's: llhttp stops here. */
static int on_head(llhttp_t *p)
{
	(void)p;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_header_value_complete = on_value_end,
	.on_headers_complete = on_head,
};

static enum http_reason reason_of(llhttp_errno_t e)
{
	switch (e) {
	case HPE_INVALID_METHOD:
	case HPE_INVALID_CONSTANT: /* a method, but of RTSP */
		return HTTP_REASON_METHOD_UNKNOWN;
	case HPE_INVALID_URL:
		return HTTP_REASON_TARGET_FORM;
	case HPE_INVALID_VERSION:
		return HTTP_REASON_VERSION_UNKNOWN;
	case HPE_INVALID_CONTENT_LENGTH:
		return HTTP_REASON_LENGTH_BAD;
	case HPE_INVALID_TRANSFER_ENCODING:
		return HTTP_REASON_CODING_BAD;
	default:
		return HTTP_REASON_DISAGREE;
	}
}

/* llhttp reports two different things as HPE_UNEXPECTED_CONTENT_LENGTH: a second length while it
 * reads fields, and a length beside a coding at their end. */
static enum http_reason length_reason(const struct http_head *h)
{
	const struct http_field *last = h->n_fields > 0 ? &h->fields[h->n_fields - 1] : NULL;

	if (last && http_field_id(http_text(h, last->name)) == FIELD_CONTENT_LENGTH &&
	    last->value.size == 0)
		return HTTP_REASON_LENGTH_MANY;
	return HTTP_REASON_LENGTH_CODING;
}

static void trim_values(struct http_head *h)
{
	for (unsigned i = 0; i < h->n_fields; i++) {
		struct http_field *f = &h->fields[i];
		struct text t = text_trim(http_text(h, f->value));

		if (f->value.size == 0)
			t.p = h->data + f->name.at + f->name.size + 1;
		f->value = (struct span){(uint32_t)(t.p - h->data), (uint32_t)t.size};
		f->id = (uint8_t)http_field_id(http_text(h, f->name));
	}
}

enum http_reason http_judge(struct http_head *h, struct http_judged *j)
{
	struct judging g = {.h = h, .j = j};
	llhttp_errno_t e;
	llhttp_t p;

	llhttp_init(&p, h->kind == HTTP_KIND_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	p.data = &g;
	h->n_fields = 0;
	*j = (struct http_judged){.length = 0};
	e = llhttp_execute(&p, h->data, h->size);
	if (g.bad)
		return HTTP_REASON_FIELDS_MANY;
	if (e == HPE_UNEXPECTED_CONTENT_LENGTH)
		return length_reason(h);
	if (e != HPE_PAUSED)
		return reason_of(e);
	j->has_length = (p.flags & F_CONTENT_LENGTH) != 0;
	j->has_coding = (p.flags & F_TRANSFER_ENCODING) != 0;
	j->chunked = (p.flags & F_CHUNKED) != 0;
	j->length = p.content_length;
	j->minor = p.http_minor;
	j->status = p.status_code;
	trim_values(h);
	return HTTP_REASON_NONE;
}
