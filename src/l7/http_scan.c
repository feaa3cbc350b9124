#include "l7/http_scan.h"

#include "l7/text.h"

#define TLS_HANDSHAKE 0x16

void http_scan_init(struct http_scan *s, enum http_kind kind)
{
	*s = (struct http_scan){.kind = (uint8_t)kind};
	if (kind == HTTP_KIND_RESPONSE)
		s->state = SCAN_VERSION;
	else if (kind == HTTP_KIND_TRAILER)
		s->state = SCAN_FIELD;
}

static enum http_reason to(struct http_scan *s, enum http_scan_state state)
{
	s->state = (uint8_t)state;
	return HTTP_REASON_NONE;
}

/* Why a byte that fits nowhere does not; `otherwise` when nothing is wrong with it by itself. */
static enum http_reason misfit(uint8_t c, enum http_reason otherwise)
{
	if (c == '\0')
		return HTTP_REASON_NUL;
	if (c == '\n')
		return HTTP_REASON_BARE_LF;
	if ((c < 0x20 && c != '\r' && c != '\t') || c == 0x7f)
		return HTTP_REASON_CONTROL;
	return otherwise;
}

static enum http_reason at_start(struct http_scan *s, uint8_t c)
{
	if (c == '\r' && s->state == SCAN_START)
		return to(s, SCAN_SKIP_LF);
	if (c == TLS_HANDSHAKE && s->state == SCAN_START)
		return HTTP_REASON_TLS;
	if (!text_is(c, TEXT_TOKEN))
		return misfit(c, HTTP_REASON_START);
	s->mark = s->at;
	s->start = (uint16_t)s->at;
	return to(s, SCAN_METHOD);
}

static enum http_reason at_method_end(struct http_scan *s, uint8_t c)
{
	if (c != ' ')
		return misfit(c, HTTP_REASON_METHOD_BAD);
	s->mark = s->at + 1;
	return to(s, SCAN_TARGET);
}

static enum http_reason at_target_end(struct http_scan *s, uint8_t c)
{
	if ((c == ' ' || c == '\r') && s->at == s->mark)
		return HTTP_REASON_TARGET_EMPTY;
	if (c == '\r')
		return HTTP_REASON_HTTP09;
	if (c != ' ')
		return misfit(c, HTTP_REASON_TARGET_BYTE);
	s->matched = 0;
	return to(s, SCAN_VERSION);
}

/* HTTP-version = "HTTP/" DIGIT "." DIGIT; the first digit is ours alone. */
static enum http_reason in_version(struct http_scan *s, uint8_t c)
{
	static const char version[] = "HTTP/1.";
	unsigned i = s->matched++;

	if (i == 5 && c != '1' && text_is(c, TEXT_DIGIT))
		return HTTP_REASON_VERSION_UNKNOWN;
	if (i < 7)
		return c == (uint8_t)version[i] ? HTTP_REASON_NONE
						: misfit(c, i == 0 && s->kind == HTTP_KIND_RESPONSE
								    ? HTTP_REASON_START
								    : HTTP_REASON_VERSION_BAD);
	if (c == '0' || c == '1')
		return to(s, SCAN_VERSION_END);
	return text_is(c, TEXT_DIGIT) ? HTTP_REASON_VERSION_UNKNOWN
				      : misfit(c, HTTP_REASON_VERSION_BAD);
}

static enum http_reason at_version_end(struct http_scan *s, uint8_t c)
{
	if (s->kind == HTTP_KIND_REQUEST)
		return c == '\r' ? to(s, SCAN_LF) : misfit(c, HTTP_REASON_VERSION_BAD);
	s->matched = 0;
	return c == ' ' ? to(s, SCAN_STATUS) : misfit(c, HTTP_REASON_VERSION_BAD);
}

static enum http_reason in_status(struct http_scan *s, uint8_t c)
{
	bool right = s->matched == 0 ? c >= '1' && c <= '5' : text_is(c, TEXT_DIGIT);

	if (!right)
		return misfit(c, HTTP_REASON_STATUS_BAD);
	return ++s->matched == 3 ? to(s, SCAN_STATUS_END) : HTTP_REASON_NONE;
}

/* The space is there even where the phrase is empty; many servers leave both out. */
static enum http_reason at_status_end(struct http_scan *s, uint8_t c)
{
	if (c == ' ')
		return to(s, SCAN_PHRASE);
	return c == '\r' ? to(s, SCAN_LF) : misfit(c, HTTP_REASON_STATUS_BAD);
}

static enum http_reason at_field(struct http_scan *s, const struct http_limits *l, uint8_t c)
{
	if (c == '\r')
		return to(s, SCAN_END_LF);
	if (c == ' ' || c == '\t')
		return HTTP_REASON_OBS_FOLD;
	if (!text_is(c, TEXT_TOKEN))
		return misfit(c, HTTP_REASON_FIELD_NAME);
	if (s->fields >= l->fields || s->fields == UINT16_MAX)
		return HTTP_REASON_FIELDS_MANY;
	s->fields++;
	return to(s, SCAN_NAME);
}

static enum http_reason at_name_end(struct http_scan *s, uint8_t c)
{
	if (c == ':')
		return to(s, SCAN_VALUE);
	if (c == ' ' || c == '\t')
		return HTTP_REASON_SPACE_BEFORE_COLON;
	return c == '\r' ? HTTP_REASON_NO_COLON : misfit(c, HTTP_REASON_FIELD_NAME);
}

/* A line feed must follow. */
static enum http_reason at_lf(struct http_scan *s, uint8_t c, enum http_scan_state next)
{
	return c == '\n' ? to(s, next) : HTTP_REASON_BARE_CR;
}

/* The byte at s->at, where no run goes on. */
static enum http_reason step(struct http_scan *s, const struct http_limits *l, uint8_t c)
{
	switch ((enum http_scan_state)s->state) {
	case SCAN_START:
	case SCAN_FIRST:
		return at_start(s, c);
	case SCAN_SKIP_LF:
		return at_lf(s, c, SCAN_FIRST);
	case SCAN_METHOD:
		return at_method_end(s, c);
	case SCAN_TARGET:
		return at_target_end(s, c);
	case SCAN_VERSION:
		return in_version(s, c);
	case SCAN_VERSION_END:
		return at_version_end(s, c);
	case SCAN_STATUS:
		return in_status(s, c);
	case SCAN_STATUS_END:
		return at_status_end(s, c);
	case SCAN_PHRASE:
	case SCAN_VALUE:
		return c == '\r' ? to(s, SCAN_LF) : misfit(c, HTTP_REASON_CONTROL);
	case SCAN_LF:
		return at_lf(s, c, SCAN_FIELD);
	case SCAN_FIELD:
		return at_field(s, l, c);
	case SCAN_NAME:
		return at_name_end(s, c);
	case SCAN_END_LF:
		return at_lf(s, c, SCAN_DONE);
	case SCAN_DONE:
	case SCAN_REFUSED:
		break;
	}
	return HTTP_REASON_NONE;
}

/* Bytes of this class leave the state as it is: most bytes of a head are taken in such runs. */
static unsigned run_class(uint8_t state)
{
	switch (state) {
	case SCAN_METHOD:
	case SCAN_NAME:
		return TEXT_TOKEN;
	case SCAN_TARGET:
		return TEXT_TARGET;
	case SCAN_PHRASE:
	case SCAN_VALUE:
		return TEXT_VALUE;
	default:
		return 0;
	}
}

static size_t run(unsigned class, const uint8_t *p, size_t size)
{
	size_t n = 0;

	while (n < size && (text_classes[p[n]] & class) != 0)
		n++;
	return n;
}

/* Behind a run, and so at the same byte however the message was cut. */
static enum http_reason too_long(const struct http_scan *s, const struct http_limits *l)
{
	if (s->state == SCAN_METHOD && s->at - s->mark > HTTP_METHOD_MAX)
		return HTTP_REASON_METHOD_UNKNOWN;
	if (s->state == SCAN_TARGET && s->at - s->mark > l->target)
		return HTTP_REASON_TARGET_LONG;
	return HTTP_REASON_NONE;
}

static enum http_reason at_limit(const struct http_scan *s)
{
	if (s->kind == HTTP_KIND_TRAILER)
		return HTTP_REASON_TRAILER_LONG;
	return s->state == SCAN_TARGET ? HTTP_REASON_TARGET_LONG : HTTP_REASON_HEAD_LONG;
}

static enum l7_answer refuse(struct http_scan *s, enum http_reason r)
{
	s->state = SCAN_REFUSED;
	s->reason = (uint8_t)r;
	return L7_NO;
}

enum l7_answer http_scan_piece(struct http_scan *s, const struct http_limits *l, const void *piece,
			       size_t size)
{
	const uint8_t *p = piece;
	size_t room = l->bytes > s->at ? l->bytes - s->at : 0;
	size_t i = 0, end = size < room ? size : room;

	while (s->state != SCAN_DONE && s->state != SCAN_REFUSED) {
		unsigned class = run_class(s->state);
		size_t n = class ? run(class, p + i, end - i) : 0;
		enum http_reason r;

		i += n;
		s->at += (uint32_t)n;
		r = too_long(s, l);
		if (r == HTTP_REASON_NONE && i == end) {
			if (s->at < l->bytes)
				return L7_MORE;
			r = at_limit(s);
		}
		if (r == HTTP_REASON_NONE)
			r = step(s, l, p[i]);
		if (r != HTTP_REASON_NONE)
			return refuse(s, r);
		i++;
		s->at++;
	}
	return s->state == SCAN_DONE ? L7_MATCH : L7_NO;
}

enum l7_answer http_scan(struct http_scan *s, const struct http_limits *l, const void *data,
			 size_t size)
{
	size_t seen = s->at < size ? s->at : size;

	return http_scan_piece(s, l, (const uint8_t *)data + seen, size - seen);
}
