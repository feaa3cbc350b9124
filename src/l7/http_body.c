#include "l7/http_body.h"

#include <assert.h>

#include "l7/text.h"

#define CHUNK_DIGITS 15 /* hexadecimal: what 15 digits hold cannot overflow */

/*
 * chunked-body = *( chunk-size [ chunk-ext ] CRLF chunk-data CRLF ) 1*"0" [ chunk-ext ] CRLF
 *                *( field-line CRLF ) CRLF
 * chunk-ext    = *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )
 */
enum http_body_state {
	BODY_CONTENT, /* FRAMING_LENGTH, FRAMING_CLOSE, FRAMING_TUNNEL */
	BODY_SIZE,
	BODY_SIZE_LF,
	BODY_CHUNK,
	BODY_CHUNK_CR,
	BODY_CHUNK_LF,
	BODY_EXT_SPACE,	  /* white space before ';' */
	BODY_EXT_BEGIN,	  /* behind ';' */
	BODY_EXT_NAME,	  /* */
	BODY_EXT_NAMED,	  /* white space behind the name */
	BODY_EXT_EQUALS,  /* behind '=' */
	BODY_EXT_VALUE,	  /* */
	BODY_EXT_QUOTED,  /* */
	BODY_EXT_ESCAPED, /* behind '\' */
	BODY_EXT_END,	  /* behind a value or its quotes */
	BODY_TRAILER,
	BODY_DONE,
	BODY_REFUSED,
};

void http_body_init(struct http_body *b, enum http_framing framing, uint64_t length)
{
	*b = (struct http_body){.framing = (uint8_t)framing, .state = BODY_CONTENT};
	switch (framing) {
	case FRAMING_NONE:
		b->state = BODY_DONE;
		break;
	case FRAMING_LENGTH:
		b->left = length;
		if (length == 0)
			b->state = BODY_DONE;
		break;
	case FRAMING_CHUNKED:
		b->state = BODY_SIZE;
		break;
	case FRAMING_CLOSE:
	case FRAMING_TUNNEL:
		b->left = UINT64_MAX;
		break;
	}
}

static enum http_reason to(struct http_body *b, enum http_body_state state)
{
	b->state = (uint8_t)state;
	return HTTP_REASON_NONE;
}

static enum http_reason misfit(uint8_t c, enum http_reason otherwise)
{
	if (c == '\n')
		return HTTP_REASON_BARE_LF;
	return c == '\0' ? HTTP_REASON_NUL : otherwise;
}

/* Line feed behind a chunk size and its extensions: the chunk, or the trailer behind the last. */
static enum http_reason size_line_end(struct http_body *b)
{
	b->digits = 0;
	if (b->left > 0)
		return to(b, BODY_CHUNK);
	http_scan_init(&b->scan, HTTP_KIND_TRAILER);
	return to(b, BODY_TRAILER);
}

static enum http_reason in_size(struct http_body *b, uint8_t c)
{
	int digit = text_hex((char)c);

	if (digit >= 0) {
		if (b->digits++ == CHUNK_DIGITS)
			return HTTP_REASON_CHUNK_SIZE;
		b->left = b->left << 4 | (uint64_t)digit;
		return HTTP_REASON_NONE;
	}
	if (b->digits == 0)
		return misfit(c, HTTP_REASON_CHUNK_SIZE);
	if (c == '\r')
		return to(b, BODY_SIZE_LF);
	if (c == ';')
		return to(b, BODY_EXT_BEGIN);
	if (c == ' ' || c == '\t')
		return to(b, BODY_EXT_SPACE);
	return misfit(c, HTTP_REASON_CHUNK_SIZE);
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* What may stand in quotes but '"' and '\' is what may stand in a field's value. */
static enum http_reason in_quotes(struct http_body *b, uint8_t c)
{
	if (!text_is(c, TEXT_VALUE))
		return misfit(c, HTTP_REASON_CHUNK_EXTENSION);
	if (b->state == BODY_EXT_ESCAPED)
		return to(b, BODY_EXT_QUOTED);
	if (c == '"')
		return to(b, BODY_EXT_END);
	return to(b, c == '\\' ? BODY_EXT_ESCAPED : BODY_EXT_QUOTED);
}

/* Behind a whole extension: the line's end, the next one, or white space before the next. */
static enum http_reason after_extension(struct http_body *b, uint8_t c)
{
	if (c == '\r')
		return to(b, BODY_SIZE_LF);
	if (c == ';')
		return to(b, BODY_EXT_BEGIN);
	return is_space(c) ? to(b, BODY_EXT_SPACE) : misfit(c, HTTP_REASON_CHUNK_EXTENSION);
}

static enum http_reason in_extension(struct http_body *b, uint8_t c)
{
	bool token = text_is(c, TEXT_TOKEN);

	switch ((enum http_body_state)b->state) {
	case BODY_EXT_SPACE:
		if (is_space(c))
			return HTTP_REASON_NONE;
		return c == ';' ? to(b, BODY_EXT_BEGIN) : misfit(c, HTTP_REASON_CHUNK_EXTENSION);
	case BODY_EXT_BEGIN:
		if (is_space(c))
			return HTTP_REASON_NONE;
		return token ? to(b, BODY_EXT_NAME) : misfit(c, HTTP_REASON_CHUNK_EXTENSION);
	case BODY_EXT_NAME:
		if (token)
			return HTTP_REASON_NONE;
		if (c == '=')
			return to(b, BODY_EXT_EQUALS);
		return is_space(c) ? to(b, BODY_EXT_NAMED) : after_extension(b, c);
	case BODY_EXT_NAMED:
		if (is_space(c))
			return HTTP_REASON_NONE;
		if (c == '=')
			return to(b, BODY_EXT_EQUALS);
		return c == ';' ? to(b, BODY_EXT_BEGIN) : misfit(c, HTTP_REASON_CHUNK_EXTENSION);
	case BODY_EXT_EQUALS:
		if (is_space(c))
			return HTTP_REASON_NONE;
		if (c == '"')
			return to(b, BODY_EXT_QUOTED);
		return token ? to(b, BODY_EXT_VALUE) : misfit(c, HTTP_REASON_CHUNK_EXTENSION);
	case BODY_EXT_VALUE:
		return token ? HTTP_REASON_NONE : after_extension(b, c);
	case BODY_EXT_QUOTED:
	case BODY_EXT_ESCAPED:
		return in_quotes(b, c);
	default:
		return after_extension(b, c);
	}
}

/* Fields that say where a message ends, where it goes, who sent it or how it is to be read: a
 * reader that merges trailers into the head would read another message (RFC 9110 section 6.5.1). */
static bool refused_in_trailer(struct text name)
{
	static const struct text names[] = {TEXT("authorization"),
					    TEXT("cache-control"),
					    TEXT("connection"),
					    TEXT("content-encoding"),
					    TEXT("content-length"),
					    TEXT("content-range"),
					    TEXT("content-type"),
					    TEXT("cookie"),
					    TEXT("expect"),
					    TEXT("forwarded"),
					    TEXT("host"),
					    TEXT("keep-alive"),
					    TEXT("location"),
					    TEXT("max-forwards"),
					    TEXT("proxy-authorization"),
					    TEXT("proxy-connection"),
					    TEXT("range"),
					    TEXT("set-cookie"),
					    TEXT("te"),
					    TEXT("trailer"),
					    TEXT("transfer-encoding"),
					    TEXT("upgrade"),
					    TEXT("vary"),
					    TEXT("x-forwarded-for"),
					    TEXT("x-forwarded-proto"),
					    TEXT("x-forwarded-host")};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (text_eq(name, names[i]))
			return true;
	return false;
}

/* One byte of the trailer: a name is kept until its colon, however it is cut. */
static enum http_reason in_trailer(struct http_body *b, const struct http_body_limits *l, uint8_t c)
{
	uint8_t before = b->scan.state;

	switch (http_scan_piece(&b->scan, &l->trailer, &c, 1)) {
	case L7_NO:
		return b->scan.reason;
	case L7_MATCH:
		return to(b, BODY_DONE);
	case L7_MORE:
		break;
	}
	if (before == SCAN_FIELD)
		b->name_size = 0;
	if (b->scan.state == SCAN_NAME) {
		if (b->name_size < HTTP_TRAILER_NAME)
			b->name[b->name_size++] = text_lower((char)c);
	} else if (before == SCAN_NAME &&
		   refused_in_trailer((struct text){b->name, b->name_size})) {
		return HTTP_REASON_TRAILER_FIELD;
	}
	return HTTP_REASON_NONE;
}

/* One byte of framing. */
static enum http_reason framing_byte(struct http_body *b, const struct http_body_limits *l,
				     uint8_t c)
{
	if (b->state >= BODY_EXT_SPACE && b->state <= BODY_EXT_END) {
		if (b->extensions++ >= l->extensions)
			return HTTP_REASON_CHUNK_EXTENSION_LONG;
		return in_extension(b, c);
	}
	switch ((enum http_body_state)b->state) {
	case BODY_SIZE:
		return in_size(b, c);
	case BODY_SIZE_LF:
		return c == '\n' ? size_line_end(b) : HTTP_REASON_BARE_CR;
	case BODY_CHUNK_CR:
		return c == '\r' ? to(b, BODY_CHUNK_LF) : misfit(c, HTTP_REASON_CHUNK_END);
	case BODY_CHUNK_LF:
		return c == '\n' ? to(b, BODY_SIZE) : HTTP_REASON_BARE_CR;
	default:
		return in_trailer(b, l, c);
	}
}

static enum l7_answer answer_of(const struct http_body *b)
{
	if (b->state == BODY_DONE)
		return L7_MATCH;
	return b->state == BODY_REFUSED ? L7_NO : L7_MORE;
}

uint64_t http_body_unseen(const struct http_body *b)
{
	return b->state == BODY_CONTENT || b->state == BODY_CHUNK ? b->left : 0;
}

enum l7_answer http_body_passed(struct http_body *b, uint64_t n)
{
	assert(n <= http_body_unseen(b));
	b->content += n;
	b->total += n;
	if (b->framing == FRAMING_CLOSE || b->framing == FRAMING_TUNNEL)
		return answer_of(b);
	b->left -= n;
	if (n > 0 && b->left == 0)
		b->state = b->state == BODY_CHUNK ? BODY_CHUNK_CR : BODY_DONE;
	return answer_of(b);
}

/* Bytes of framing until content begins, the message ends, or the bytes do. */
static size_t framing_run(struct http_body *b, const struct http_body_limits *l, const uint8_t *p,
			  size_t size)
{
	size_t i = 0;

	while (i < size && answer_of(b) == L7_MORE && http_body_unseen(b) == 0) {
		enum http_reason r = framing_byte(b, l, p[i]);

		if (r != HTTP_REASON_NONE) {
			b->reason = (uint8_t)r;
			b->state = BODY_REFUSED;
			break;
		}
		i++;
	}
	b->total += i;
	return i;
}

enum l7_answer http_body_step(struct http_body *b, const struct http_body_limits *l,
			      const void *data, size_t size, size_t *used, bool *content)
{
	uint64_t unseen = http_body_unseen(b);

	*content = unseen > 0;
	if (unseen > 0) {
		*used = unseen < size ? (size_t)unseen : size;
		return http_body_passed(b, *used);
	}
	*used = framing_run(b, l, data, size);
	return answer_of(b);
}

enum l7_answer http_body_read(struct http_body *b, const struct http_body_limits *l,
			      const void *data, size_t size, size_t *used)
{
	enum l7_answer answer = answer_of(b);

	*used = 0;
	while (answer == L7_MORE && *used < size) {
		size_t n;
		bool content;

		answer = http_body_step(b, l, (const uint8_t *)data + *used, size - *used, &n,
					&content);
		*used += n;
	}
	return answer;
}

bool http_body_may_close(const struct http_body *b)
{
	return b->state == BODY_DONE || b->framing == FRAMING_CLOSE || b->framing == FRAMING_TUNNEL;
}
