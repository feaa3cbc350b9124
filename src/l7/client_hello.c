#include "l7/client_hello.h"

#include <assert.h>

#include "base/cursor.h"

#define RECORD_HEADER 5
#define RECORD_HANDSHAKE 22
#define RECORD_MAX 16384
#define MESSAGE_HEADER 4
#define MESSAGE_CLIENT_HELLO 1
#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ALPN 16
#define EXTENSION_VERSIONS 43
#define NAME_HOST 0
#define NAME_MAX_SIZE 255
#define VERSION_TLS13 0x0304

void client_hello_init(struct client_hello *c)
{
	*c = (struct client_hello){.answer = L7_MORE};
}

#define HELLO_REASON_NAME(sym, name, text) name,
#define HELLO_REASON_TEXT(sym, name, text) text,

const char *hello_reason_name(enum hello_reason r)
{
	static const char *const names[] = {HELLO_REASON_LIST(HELLO_REASON_NAME)};

	assert(r < HELLO_REASON_COUNT);
	return names[r];
}

const char *hello_reason_text(enum hello_reason r)
{
	static const char *const texts[] = {HELLO_REASON_LIST(HELLO_REASON_TEXT)};

	assert(r < HELLO_REASON_COUNT);
	return texts[r];
}

/* --- the message in its records --------------------------------------------------------------- */

/*
 * A cursor over the handshake bytes, which steps over the headers of records. `left` is what is
 * left of the vector that is being read; like base/cursor.h it has a sticky error.
 */
struct hello_cursor {
	struct rcur records;
	uint32_t record_left; /* of the current record's fragment */
	bool bad;
};

static uint8_t next_u8(struct hello_cursor *c)
{
	if (c->record_left == 0 && rcur_left(&c->records) > 0) {
		rcur_skip(&c->records, RECORD_HEADER - 2);
		c->record_left = rcur_u16(&c->records);
	}
	if (c->record_left == 0 || rcur_left(&c->records) == 0) {
		c->bad = true;
		return 0;
	}
	c->record_left--;
	return rcur_u8(&c->records);
}

/* A vector inside the message (RFC 8446 section 3.4): reads beyond it fail. */
struct vector {
	struct hello_cursor *c;
	uint32_t left;
};

static uint8_t get_u8(struct vector *v)
{
	if (v->left == 0) {
		v->c->bad = true;
		return 0;
	}
	v->left--;
	return next_u8(v->c);
}

static uint16_t get_u16(struct vector *v)
{
	unsigned high = get_u8(v);

	return (uint16_t)(high << 8 | get_u8(v));
}

static void skip(struct vector *v, uint32_t n)
{
	if (n > v->left) {
		v->c->bad = true;
		return;
	}
	while (n-- > 0 && !v->c->bad)
		(void)get_u8(v);
}

/* The next `n` bytes of `v` as a vector of its own; they are taken from `v` at once. */
static struct vector get_vector(struct vector *v, uint32_t n)
{
	if (n > v->left) {
		v->c->bad = true;
		n = 0;
	}
	v->left -= n;
	return (struct vector){v->c, n};
}

/* --- extensions ------------------------------------------------------------------------------- */

struct seen {
	bool name, alpn, versions;
};

/* Lower case; the dot at the end that some put there is left out. */
static enum hello_reason read_name(struct client_hello *c, struct vector *v)
{
	uint32_t size = v->left;

	if (size == 0 || size > NAME_MAX_SIZE)
		return HELLO_REASON_NAME;
	for (uint32_t i = 0; i < size; i++) {
		uint8_t b = get_u8(v);

		if (!text_is(b, TEXT_HOST) || (b == '.' && (i == 0 || c->name[i - 1] == '.')))
			return v->c->bad ? HELLO_REASON_MALFORMED : HELLO_REASON_NAME;
		c->name[i] = text_lower((char)b);
	}
	if (c->name[size - 1] == '.')
		size--;
	c->name[size] = '\0';
	c->name_size = (uint8_t)size;
	return HELLO_REASON_NONE;
}

/* One list with one name of the only type there is. */
static enum hello_reason read_server_name(struct client_hello *c, struct vector *v)
{
	struct vector list = get_vector(v, get_u16(v)), name;

	if (v->left > 0 || list.left == 0)
		return HELLO_REASON_MALFORMED;
	if (get_u8(&list) != NAME_HOST)
		return HELLO_REASON_NAME;
	name = get_vector(&list, get_u16(&list));
	if (v->c->bad)
		return HELLO_REASON_MALFORMED;
	return list.left > 0 ? HELLO_REASON_NAME : read_name(c, &name);
}

/* What does not fit is not kept: more than a client has any use for. */
static enum hello_reason read_alpn(struct client_hello *c, struct vector *v)
{
	struct vector list = get_vector(v, get_u16(v));

	if (v->left > 0 || list.left < 2)
		return HELLO_REASON_MALFORMED;
	while (list.left > 0 && !v->c->bad) {
		uint8_t size = get_u8(&list);
		struct vector name = get_vector(&list, size);
		bool keep = (unsigned)c->alpn_size + 1 + size <= CLIENT_HELLO_ALPN;
		uint8_t *to = c->alpn + c->alpn_size;

		if (name.left == 0)
			return HELLO_REASON_MALFORMED;
		if (!keep) {
			skip(&name, name.left);
			continue;
		}
		*to++ = size;
		while (name.left > 0)
			*to++ = get_u8(&name);
		c->alpn_size = (uint8_t)(c->alpn_size + 1 + size);
	}
	return HELLO_REASON_NONE;
}

static enum hello_reason read_versions(struct client_hello *c, struct vector *v)
{
	struct vector list = get_vector(v, get_u8(v));

	if (v->left > 0 || list.left < 2 || list.left % 2 != 0)
		return HELLO_REASON_MALFORMED;
	while (list.left > 0) {
		uint16_t version = get_u16(&list);

		/* Values like 0x7a7a are made up to keep readers honest (RFC 8701). */
		c->tls13 |= version >> 8 == VERSION_TLS13 >> 8 && version >= VERSION_TLS13;
	}
	return HELLO_REASON_NONE;
}

/* Each of those at most once (RFC 8446 section 4.2). */
static bool again(bool *seen)
{
	bool before = *seen;

	*seen = true;
	return before;
}

static enum hello_reason read_extension(struct client_hello *c, struct vector *v, struct seen *s)
{
	uint16_t type = get_u16(v);
	struct vector data = get_vector(v, get_u16(v));

	switch (type) {
	case EXTENSION_SERVER_NAME:
		return again(&s->name) ? HELLO_REASON_NAME : read_server_name(c, &data);
	case EXTENSION_ALPN:
		return again(&s->alpn) ? HELLO_REASON_MALFORMED : read_alpn(c, &data);
	case EXTENSION_VERSIONS:
		return again(&s->versions) ? HELLO_REASON_MALFORMED : read_versions(c, &data);
	default:
		skip(&data, data.left);
		return HELLO_REASON_NONE;
	}
}

/* ClientHello of TLS 1.0 to 1.3; without extensions it may end behind the compression methods. */
static enum hello_reason read_message(struct client_hello *c, struct vector *v)
{
	struct vector part;
	struct seen seen = {.name = false};
	enum hello_reason r = HELLO_REASON_NONE;

	if (get_u16(v) >> 8 != 3)
		return HELLO_REASON_MALFORMED;
	skip(v, 32); /* random */
	part = get_vector(v, get_u8(v));
	if (part.left > 32)
		return HELLO_REASON_MALFORMED;
	skip(&part, part.left); /* session id */
	part = get_vector(v, get_u16(v));
	if (part.left < 2 || part.left % 2 != 0)
		return HELLO_REASON_MALFORMED;
	skip(&part, part.left); /* cipher suites */
	part = get_vector(v, get_u8(v));
	if (part.left == 0)
		return HELLO_REASON_MALFORMED;
	skip(&part, part.left); /* compression methods */
	if (v->left == 0)
		return v->c->bad ? HELLO_REASON_MALFORMED : HELLO_REASON_NONE;
	part = get_vector(v, get_u16(v));
	if (v->left > 0)
		return HELLO_REASON_MALFORMED;
	while (part.left > 0 && !v->c->bad && r == HELLO_REASON_NONE)
		r = read_extension(c, &part, &seen);
	return v->c->bad ? HELLO_REASON_MALFORMED : r;
}

/* --- records ---------------------------------------------------------------------------------- */

static enum l7_answer answer(struct client_hello *c, enum hello_reason r)
{
	c->reason = (uint8_t)r;
	c->answer = r == HELLO_REASON_NONE ? L7_MATCH : L7_NO;
	if (r != HELLO_REASON_NONE) {
		c->name[0] = '\0';
		c->name_size = c->alpn_size = 0;
	}
	return c->answer;
}

/* What is there of a record's header: is it that of a handshake record? */
static enum hello_reason check_header(const struct client_hello *c, struct rcur r)
{
	size_t there = rcur_left(&r);
	uint8_t type = rcur_u8(&r), major = rcur_u8(&r);
	uint16_t length;

	if (there >= 1 && type != RECORD_HANDSHAKE)
		return c->records == 0 ? HELLO_REASON_NOT_TLS : HELLO_REASON_RECORD;
	if (there >= 2 && major != 3)
		return c->records == 0 ? HELLO_REASON_NOT_TLS : HELLO_REASON_RECORD;
	rcur_skip(&r, 1);
	length = rcur_u16(&r);
	if (there >= RECORD_HEADER && (length == 0 || length > RECORD_MAX))
		return HELLO_REASON_RECORD;
	return HELLO_REASON_NONE;
}

/* The bytes of those records whose headers have been found right. */
static struct hello_cursor checked(const struct client_hello *c, const uint8_t *data, size_t size)
{
	return (struct hello_cursor){.records = rcur_init(data, c->size < size ? c->size : size)};
}

/* Type and length of the message, as soon as they are there. */
static enum hello_reason check_message(struct client_hello *c, const uint8_t *data, size_t size)
{
	struct hello_cursor cursor = checked(c, data, size);
	uint32_t length = 0;
	uint8_t type = next_u8(&cursor);

	if (!cursor.bad && type != MESSAGE_CLIENT_HELLO)
		return HELLO_REASON_MESSAGE;
	for (int i = 0; i < 3; i++)
		length = length << 8 | next_u8(&cursor);
	if (cursor.bad)
		return HELLO_REASON_NONE;
	if (length > CLIENT_HELLO_MAX)
		return HELLO_REASON_LONG;
	c->want = MESSAGE_HEADER + length;
	return HELLO_REASON_NONE;
}

/* The header of the record that begins at c->size; true when it is there, and right. */
static bool take_record(struct client_hello *c, const uint8_t *data, size_t size,
			enum hello_reason *why)
{
	struct rcur r = rcur_init(data + c->size, size - c->size);

	*why = check_header(c, r);
	if (*why != HELLO_REASON_NONE || rcur_left(&r) < RECORD_HEADER)
		return false;
	if (c->records == CLIENT_HELLO_RECORDS) {
		*why = HELLO_REASON_LONG;
		return false;
	}
	rcur_skip(&r, RECORD_HEADER - 2);
	c->message += rcur_u16(&r);
	c->size = c->message + RECORD_HEADER * ++c->records;
	return true;
}

/* What the message is, when it is whole. */
static enum l7_answer read_whole(struct client_hello *c, const uint8_t *data, size_t size)
{
	struct hello_cursor cursor = checked(c, data, size);
	struct vector all = {&cursor, c->want};

	skip(&all, MESSAGE_HEADER);
	return answer(c, read_message(c, &all));
}

/* Handshake bytes among the first `size` bytes, all but the last record being whole. */
static uint32_t message_there(const struct client_hello *c, size_t size)
{
	return c->size > size ? c->message - (uint32_t)(c->size - size) : c->message;
}

enum l7_answer client_hello_read(struct client_hello *c, const void *data, size_t size)
{
	enum hello_reason why = HELLO_REASON_NONE;
	size_t end = size < CLIENT_HELLO_MAX ? size : CLIENT_HELLO_MAX;

	if (c->answer != L7_MORE)
		return c->answer;
	for (;;) {
		if (c->want == 0 && c->records > 0)
			why = check_message(c, data, end);
		if (why != HELLO_REASON_NONE)
			return answer(c, why);
		if (c->want > 0 && message_there(c, end) >= c->want)
			return read_whole(c, data, end);
		if (c->size >= end || !take_record(c, data, end, &why))
			break;
	}
	if (why == HELLO_REASON_NONE && end == CLIENT_HELLO_MAX)
		why = HELLO_REASON_LONG;
	return why == HELLO_REASON_NONE ? L7_MORE : answer(c, why);
}

bool client_hello_speaks(const struct client_hello *c, struct text protocol)
{
	struct rcur r = rcur_init(c->alpn, c->alpn_size);

	while (rcur_left(&r) > 0) {
		size_t size = rcur_u8(&r);
		const uint8_t *name = rcur_take(&r, size);

		if (name && text_eq((struct text){(const char *)name, size}, protocol))
			return true;
	}
	return false;
}
