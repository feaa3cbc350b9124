/* Where bodies end, and which of their bytes are content: in one piece, in two, byte by byte. */
/* proves: HD-8 */
#include "l7/http_body.h"
#include "l7_rig.h"

static const struct http_body_limits limits = HTTP_BODY_LIMITS_DEFAULT;

/* What came of a body. */
struct outcome {
	enum l7_answer answer;
	enum http_reason reason;
	size_t used;
	char content[256];
	size_t size;
};

/* One piece, run by run; the content is gathered. */
static enum l7_answer feed(struct http_body *b, struct outcome *o, const char *data, size_t size)
{
	uint8_t *copy = guard_copy(data, size);
	size_t at = 0, used;
	bool content;

	o->answer = http_body_step(b, &limits, copy, 0, &used, &content);
	while (o->answer == L7_MORE && at < size) {
		o->answer = http_body_step(b, &limits, copy + at, size - at, &used, &content);
		ck_assert(used > 0 || o->answer == L7_NO);
		if (content) {
			ck_assert_uint_le(o->size + used, sizeof(o->content));
			memcpy(o->content + o->size, copy + at, used);
			o->size += used;
		}
		at += used;
	}
	o->used += at;
	o->reason = b->reason;
	guard_free(copy, size);
	return o->answer;
}

static void same(const struct outcome *x, const struct outcome *y, const char *text)
{
	ck_assert_msg(x->answer == y->answer, "\"%s\": %d, %d", text, x->answer, y->answer);
	ck_assert_msg(x->used == y->used, "\"%s\": %zu, %zu", text, x->used, y->used);
	ck_assert_int_eq(x->reason, y->reason);
	ck_assert_uint_eq(x->size, y->size);
	ck_assert_int_eq(memcmp(x->content, y->content, x->size), 0);
}

static struct outcome whole(enum http_framing framing, uint64_t length, const char *data,
			    size_t size)
{
	struct outcome o = {.used = 0};
	struct http_body b;

	http_body_init(&b, framing, length);
	feed(&b, &o, data, size);
	ck_assert_uint_eq(b.total, o.used);
	ck_assert_uint_eq(b.content, o.size);
	return o;
}

/* In every way; all must come to the same. */
static struct outcome read_all(enum http_framing framing, uint64_t length, const char *data,
			       size_t size)
{
	struct outcome first = whole(framing, length, data, size), o = {.used = 0};
	struct http_body b;

	for (size_t cut = 0; cut <= size; cut++) {
		o = (struct outcome){.used = 0};
		http_body_init(&b, framing, length);
		if (feed(&b, &o, data, cut) == L7_MORE)
			feed(&b, &o, data + cut, size - cut);
		same(&first, &o, data);
		ck_assert_msg(cut >= first.used || o.used > cut || first.answer != L7_MATCH,
			      "\"%s\" ended at %zu", data, cut);
	}
	o = (struct outcome){.used = 0};
	http_body_init(&b, framing, length);
	feed(&b, &o, data, 0);
	for (size_t i = 0; i < size && o.answer == L7_MORE; i++)
		feed(&b, &o, data + i, 1);
	same(&first, &o, data);
	return first;
}

static struct outcome chunked(const char *data, size_t size)
{
	return read_all(FRAMING_CHUNKED, 0, data, size);
}

struct sample {
	const char *text;
	const char *content;
};

static const struct sample samples[] = {
	{"0\r\n\r\n", ""},
	{"000\r\n\r\n", ""},
	{"5\r\nhello\r\n0\r\n\r\n", "hello"},
	{"00000000000000A\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
	{"a\r\n0123456789\r\n1\r\nx\r\n00\r\n\r\n", "0123456789x"},
	{"3\r\n\r\n0\r\n3\r\n\r\n\r\r\n0\r\n\r\n", "\r\n0\r\n\r"},
	{"3;a\r\nabc\r\n0;b=c\r\n\r\n", "abc"},
	{"3 ; a = \"b;\\\"\r=\";c\t;d=e\r\nabc\r\n0\r\n\r\n", NULL}, /* CR in quotes */
	{"3 ;\ta = \"b;\\\" \\\\ =\" ; c\t;d=e\r\nabc\r\n0\r\n\r\n", "abc"},
	{"1;a=\"\"\r\nx\r\n0\r\n\r\n", "x"},
	{"1\r\nx\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n", "x"},
	{"0\r\nContent-Lengthy: 1\r\nTEE: x\r\n\r\n", ""},
	{"0\r\nA-Name-That-Is-Longer-Than-All-That-Is-Refused: x\r\n\r\n", ""},
};

START_TEST(chunked_samples)
{
	const struct sample *s = &samples[_i];
	char more[256];
	struct outcome o;
	size_t size = strlen(s->text);

	snprintf(more, sizeof(more), "%sGET / HTTP/1.1\r\n", s->text);
	o = chunked(more, strlen(more));
	if (!s->content) {
		ck_assert_int_eq(o.answer, L7_NO);
		return;
	}
	ck_assert_int_eq(o.answer, L7_MATCH);
	ck_assert_uint_eq(o.used, size);
	ck_assert_uint_eq(o.size, strlen(s->content));
	ck_assert_int_eq(memcmp(o.content, s->content, o.size), 0);
	for (size_t n = 0; n < size; n++)
		ck_assert_int_eq(whole(FRAMING_CHUNKED, 0, more, n).answer, L7_MORE);
}
END_TEST

struct refused {
	const char *text;
	size_t size;
	enum http_reason reason;
};

#define REFUSED(text, reason)                                                                      \
	{                                                                                          \
		text, sizeof(text) - 1, HTTP_REASON_##reason                                       \
	}

static const struct refused refused[] = {
	REFUSED("\r\n", CHUNK_SIZE),
	REFUSED("\n", BARE_LF),
	REFUSED(" 5\r\n", CHUNK_SIZE),
	REFUSED("+5\r\n", CHUNK_SIZE),
	REFUSED("-5\r\n", CHUNK_SIZE),
	REFUSED("0x5\r\n", CHUNK_SIZE),
	REFUSED("5h\r\n", CHUNK_SIZE),
	REFUSED("g\r\n", CHUNK_SIZE),
	REFUSED("5_0\r\n", CHUNK_SIZE),
	REFUSED("5\0\r\n", NUL),
	REFUSED("5\n", BARE_LF),
	REFUSED("5\rh", BARE_CR),
	REFUSED("5\r\r\n", BARE_CR),
	REFUSED("5 \r\n", CHUNK_EXTENSION),
	REFUSED("5 5\r\n", CHUNK_EXTENSION),
	REFUSED("0000000000000000\r\n", CHUNK_SIZE),
	REFUSED("ffffffffffffffff\r\n", CHUNK_SIZE),
	REFUSED("10000000000000001\r\n", CHUNK_SIZE),
	REFUSED(";a\r\n", CHUNK_SIZE),
	REFUSED("5;\r\n", CHUNK_EXTENSION),
	REFUSED("5;;a\r\n", CHUNK_EXTENSION),
	REFUSED("5;a\n", BARE_LF),
	REFUSED("5;\n", BARE_LF),
	REFUSED("5;a=\n", BARE_LF),
	REFUSED("5;a=b\n", BARE_LF),
	REFUSED("5;a=\"\n\"\r\n", BARE_LF),
	REFUSED("5;a=\"\\\n\"\r\n", BARE_LF),
	REFUSED("5;a=\"\"\n", BARE_LF),
	REFUSED("5;a \n", BARE_LF),
	REFUSED("5;a \r\n", CHUNK_EXTENSION),
	REFUSED("5;a=b \r\n", CHUNK_EXTENSION),
	REFUSED("5;a=b c\r\n", CHUNK_EXTENSION),
	REFUSED("5;a=\"b\"c\r\n", CHUNK_EXTENSION),
	REFUSED("5;a==b\r\n", CHUNK_EXTENSION),
	REFUSED("5;=b\r\n", CHUNK_EXTENSION),
	REFUSED("5;a=\"b\r\n", CHUNK_EXTENSION),
	REFUSED("5;a\0\r\n", NUL),
	REFUSED("5;a\rb\r\n", BARE_CR),
	REFUSED("5\r\nhelloX", CHUNK_END),
	REFUSED("5\r\nhello0\r\n\r\n", CHUNK_END),
	REFUSED("5\r\nhello\n", BARE_LF),
	REFUSED("5\r\nhello\rX", BARE_CR),
	REFUSED("5\r\nhello\r\n\r\n", CHUNK_SIZE),
	REFUSED("0\r\n\n", BARE_LF),
	REFUSED("0\r\n\rX", BARE_CR),
	REFUSED("0\r\nX\r\n", NO_COLON),
	REFUSED("0\r\nX : 1\r\n", SPACE_BEFORE_COLON),
	REFUSED("0\r\n X: 1\r\n", OBS_FOLD),
	REFUSED("0\r\nX: 1\r\n Y: 1\r\n", OBS_FOLD),
	REFUSED("0\r\nX: 1\n", BARE_LF),
	REFUSED("0\r\nX: \0\r\n", NUL),
	REFUSED("0\r\n: 1\r\n", FIELD_NAME),
	REFUSED("0\r\nGET / HTTP/1.1\r\n", SPACE_BEFORE_COLON),
	REFUSED("0\r\nContent-Length: 1\r\n", TRAILER_FIELD),
	REFUSED("0\r\ntransfer-ENCODING: chunked\r\n", TRAILER_FIELD),
	REFUSED("0\r\nA: 1\r\nHost:b\r\n", TRAILER_FIELD),
	REFUSED("0\r\nTE:b\r\n", TRAILER_FIELD),
	REFUSED("0\r\nSet-Cookie: a=b\r\n", TRAILER_FIELD),
	REFUSED("0\r\nproxy-authorization: a\r\n", TRAILER_FIELD),
};

START_TEST(chunked_refused)
{
	const struct refused *r = &refused[_i];
	struct outcome o = chunked(r->text, r->size);

	ck_assert_msg(o.answer == L7_NO, "\"%s\" was not refused", r->text);
	ck_assert_msg(o.reason == r->reason, "\"%s\": %s", r->text, http_reason_name(o.reason));
}
END_TEST

START_TEST(length)
{
	const char *text = "0123456789GET /";
	struct outcome o = read_all(FRAMING_LENGTH, 10, text, strlen(text));

	ck_assert_int_eq(o.answer, L7_MATCH);
	ck_assert_uint_eq(o.used, 10);
	ck_assert_uint_eq(o.size, 10);
	o = read_all(FRAMING_LENGTH, 16, text, strlen(text));
	ck_assert_int_eq(o.answer, L7_MORE);
	ck_assert_uint_eq(o.used, strlen(text));
	ck_assert_int_eq(read_all(FRAMING_NONE, 10, text, strlen(text)).answer, L7_MATCH);
	ck_assert_uint_eq(read_all(FRAMING_NONE, 10, text, strlen(text)).used, 0);
	ck_assert_int_eq(read_all(FRAMING_LENGTH, 0, text, strlen(text)).answer, L7_MATCH);
	o = read_all(FRAMING_CLOSE, 3, text, strlen(text));
	ck_assert_int_eq(o.answer, L7_MORE);
	ck_assert_uint_eq(o.size, strlen(text));
	ck_assert_int_eq(read_all(FRAMING_TUNNEL, 0, text, strlen(text)).answer, L7_MORE);
}
END_TEST

/* All that belongs to the message in one call, framing and content together. */
START_TEST(read_in_one_call)
{
	const char *text = "5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\nHTTP/1.1";
	struct http_body b;
	size_t used;

	http_body_init(&b, FRAMING_CHUNKED, 0);
	ck_assert_int_eq(http_body_read(&b, &limits, text, strlen(text), &used), L7_MATCH);
	ck_assert_uint_eq(used, strlen(text) - 8);
	ck_assert_uint_eq(b.content, 8);
	ck_assert_int_eq(http_body_read(&b, &limits, text, strlen(text), &used), L7_MATCH);
	ck_assert_uint_eq(used, 0);
	http_body_init(&b, FRAMING_CHUNKED, 0);
	ck_assert_int_eq(http_body_read(&b, &limits, "1\r\nab", 5, &used), L7_NO);
	ck_assert_uint_eq(used, 4);
	ck_assert_int_eq(http_body_read(&b, &limits, "\r\n", 2, &used), L7_NO);
	ck_assert_uint_eq(used, 0);
}
END_TEST

/* Content that is moved without being looked at. */
START_TEST(unseen)
{
	struct http_body b;
	size_t used;

	http_body_init(&b, FRAMING_CHUNKED, 0);
	ck_assert_uint_eq(http_body_unseen(&b), 0);
	ck_assert_int_eq(http_body_read(&b, &limits, "1000\r\n", 6, &used), L7_MORE);
	ck_assert_uint_eq(http_body_unseen(&b), 4096);
	ck_assert_int_eq(http_body_passed(&b, 4000), L7_MORE);
	ck_assert_uint_eq(http_body_unseen(&b), 96);
	ck_assert_int_eq(http_body_passed(&b, 0), L7_MORE);
	ck_assert_int_eq(http_body_passed(&b, 96), L7_MORE);
	ck_assert_uint_eq(http_body_unseen(&b), 0);
	ck_assert(!http_body_may_close(&b));
	ck_assert_int_eq(http_body_read(&b, &limits, "\r\n0\r\n\r\n", 7, &used), L7_MATCH);
	ck_assert_uint_eq(used, 7);
	ck_assert_uint_eq(b.content, 4096);
	ck_assert_uint_eq(b.total, 4096 + 13);
	ck_assert(http_body_may_close(&b));

	http_body_init(&b, FRAMING_LENGTH, UINT64_MAX / 2);
	ck_assert_int_eq(http_body_passed(&b, UINT64_MAX / 2 - 1), L7_MORE);
	ck_assert(!http_body_may_close(&b));
	ck_assert_int_eq(http_body_passed(&b, 1), L7_MATCH);

	http_body_init(&b, FRAMING_CLOSE, 0);
	ck_assert_int_eq(http_body_passed(&b, UINT64_MAX / 2), L7_MORE);
	ck_assert_uint_eq(http_body_unseen(&b), UINT64_MAX);
	ck_assert(http_body_may_close(&b));
}
END_TEST

/* The largest chunk that 15 digits can say is not too large to count. */
START_TEST(largest_chunk)
{
	struct http_body b;
	size_t used;

	http_body_init(&b, FRAMING_CHUNKED, 0);
	ck_assert_int_eq(http_body_read(&b, &limits, "fffffffffffffff\r\n", 17, &used), L7_MORE);
	ck_assert_uint_eq(http_body_unseen(&b), 0xfffffffffffffffULL);
}
END_TEST

static enum l7_answer with_limits(const struct http_body_limits *l, const char *text,
				  enum http_reason *reason)
{
	struct http_body b;
	size_t used;
	enum l7_answer answer;

	http_body_init(&b, FRAMING_CHUNKED, 0);
	answer = http_body_read(&b, l, text, strlen(text), &used);
	*reason = b.reason;
	return answer;
}

START_TEST(body_limits)
{
	const char *trailer = "0\r\nA: b\r\nC: d\r\n\r\n",
		   *ext = "1;ab=c\r\nx\r\n1;d\r\nx\r\n0\r\n\r\n";
	struct http_body_limits l = {.trailer = {14, 1, 2}, .extensions = 7};
	enum http_reason reason;

	ck_assert_int_eq(with_limits(&l, trailer, &reason), L7_MATCH);
	ck_assert_int_eq(with_limits(&l, ext, &reason), L7_MATCH);
	l.trailer.bytes--;
	ck_assert_int_eq(with_limits(&l, trailer, &reason), L7_NO);
	ck_assert_int_eq(reason, HTTP_REASON_TRAILER_LONG);
	l.trailer.bytes = 100;
	l.trailer.fields = 1;
	ck_assert_int_eq(with_limits(&l, trailer, &reason), L7_NO);
	ck_assert_int_eq(reason, HTTP_REASON_FIELDS_MANY);
	l.extensions--;
	ck_assert_int_eq(with_limits(&l, ext, &reason), L7_NO);
	ck_assert_int_eq(reason, HTTP_REASON_CHUNK_EXTENSION_LONG);
}
END_TEST

#define N_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *suite = suite_create("http_body");
	TCase *t = tcase_create("http_body");

	tcase_add_loop_test(t, chunked_samples, 0, N_OF(samples));
	tcase_add_loop_test(t, chunked_refused, 0, N_OF(refused));
	tcase_add_test(t, length);
	tcase_add_test(t, read_in_one_call);
	tcase_add_test(t, unseen);
	tcase_add_test(t, largest_chunk);
	tcase_add_test(t, body_limits);
	suite_add_tcase(suite, t);
	return rig_run(suite);
}
