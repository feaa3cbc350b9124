/* The server's name in a ClientHello, however it is cut into pieces and records. */
/* proves: HD-11 */
#include "client_hello_samples.h"
#include "l7/client_hello.h"
#include "l7_rig.h"

/* A message under construction. */
struct bytes {
	uint8_t p[32768];
	size_t size;
};

static void add(struct bytes *b, const void *data, size_t size)
{
	ck_assert_uint_le(b->size + size, sizeof(b->p));
	memcpy(b->p + b->size, data, size);
	b->size += size;
}

static void add_u8(struct bytes *b, unsigned v)
{
	uint8_t byte = (uint8_t)v;

	add(b, &byte, 1);
}

static void add_u16(struct bytes *b, unsigned v)
{
	add_u8(b, v >> 8);
	add_u8(b, v & 255);
}

static void add_zeros(struct bytes *b, size_t n)
{
	while (n-- > 0)
		add_u8(b, 0);
}

/* The parts of a ClientHello, in which something can be wrong. */
struct parts {
	const char *extensions;
	size_t extensions_size;
	unsigned version, session_id, suites, compressions;
	int handshake_length; /* added to what it should be */
	int extensions_length;
};

static const struct parts right = {.version = 0x0303, .suites = 4, .compressions = 1};

static void make_message(struct bytes *b, const struct parts *p)
{
	size_t body;

	*b = (struct bytes){.size = 4};
	add_u16(b, p->version);
	add_zeros(b, 32);
	add_u8(b, p->session_id);
	add_zeros(b, p->session_id);
	add_u16(b, p->suites);
	add_zeros(b, p->suites);
	add_u8(b, p->compressions);
	add_zeros(b, p->compressions);
	if (p->extensions) {
		add_u16(b, (unsigned)((int)p->extensions_size + p->extensions_length));
		add(b, p->extensions, p->extensions_size);
	}
	body = (size_t)((int)b->size - 4 + p->handshake_length);
	b->p[0] = 1;
	b->p[1] = (uint8_t)(body >> 16);
	b->p[2] = (uint8_t)(body >> 8);
	b->p[3] = (uint8_t)body;
}

/* In records of at most `each` bytes. */
static void make_records(struct bytes *out, const uint8_t *message, size_t size, size_t each)
{
	out->size = 0;
	for (size_t at = 0; at < size; at += each) {
		size_t n = size - at < each ? size - at : each;

		add_u8(out, 22);
		add_u16(out, 0x0301);
		add_u16(out, (unsigned)n);
		add(out, message + at, n);
	}
}

static enum l7_answer show(struct client_hello *c, const uint8_t *data, size_t size)
{
	uint8_t *copy = guard_copy(data, size);
	enum l7_answer answer = client_hello_read(c, copy, size);

	guard_free(copy, size);
	return answer;
}

static enum l7_answer whole(struct client_hello *c, const uint8_t *data, size_t size)
{
	client_hello_init(c);
	return show(c, data, size);
}

static void same(const struct client_hello *x, const struct client_hello *y)
{
	ck_assert_int_eq(x->answer, y->answer);
	ck_assert_int_eq(x->reason, y->reason);
	ck_assert_str_eq(x->name, y->name);
	ck_assert_uint_eq(x->name_size, y->name_size);
	ck_assert_uint_eq(x->alpn_size, y->alpn_size);
	ck_assert_int_eq(memcmp(x->alpn, y->alpn, x->alpn_size), 0);
	if (x->answer == L7_MATCH)
		ck_assert_int_eq(x->tls13, y->tls13);
}

/* In every way; all must come to the same. Returns what one call says. */
static enum l7_answer read_all(struct client_hello *c, const uint8_t *data, size_t size)
{
	enum l7_answer answer = whole(c, data, size);
	struct client_hello other;
	size_t end = 0;

	client_hello_init(&other);
	while (other.answer == L7_MORE && end < size)
		show(&other, data, ++end);
	ck_assert_int_eq(other.answer, answer);
	if (answer == L7_MORE)
		return answer;
	same(c, &other);
	for (size_t cut = 0; cut < size; cut++) {
		client_hello_init(&other);
		ck_assert_msg(show(&other, data, cut) == (cut < end ? L7_MORE : answer),
			      "%zu of %zu, end %zu", cut, size, end);
		show(&other, data, size);
		same(c, &other);
	}
	return answer;
}

static struct client_hello c;

START_TEST(real_clients)
{
	ck_assert_int_eq(read_all(&c, hello_tls13, sizeof(hello_tls13)), L7_MATCH);
	ck_assert_str_eq(c.name, "www.example.org");
	ck_assert(c.tls13);
	ck_assert(client_hello_speaks(&c, TEXT("h2")));
	ck_assert(client_hello_speaks(&c, TEXT("http/1.1")));
	ck_assert(!client_hello_speaks(&c, TEXT("http/1.0")));
	ck_assert(!client_hello_speaks(&c, TEXT("h")));
	ck_assert_int_eq(read_all(&c, hello_tls12, sizeof(hello_tls12)), L7_MATCH);
	ck_assert_str_eq(c.name, "example.org");
	ck_assert(!c.tls13);
	ck_assert(!client_hello_speaks(&c, TEXT("h2")));
	ck_assert_int_eq(read_all(&c, hello_no_name, sizeof(hello_no_name)), L7_MATCH);
	ck_assert_str_eq(c.name, "");
}
END_TEST

/* The same message in records of many sizes; bytes behind it change nothing. */
START_TEST(records)
{
	static const size_t sizes[] = {1, 15, 17, 20, 33, 100, 255, sizeof(hello_tls13) - 6};
	static struct bytes b;
	size_t size = sizeof(hello_tls13) - 5, each = sizes[_i];

	make_records(&b, hello_tls13 + 5, size, each);
	add(&b, "\x17\x03\x03\x00\x00", 5);
	if ((size + each - 1) / each > CLIENT_HELLO_RECORDS) {
		ck_assert_int_eq(read_all(&c, b.p, b.size), L7_NO);
		ck_assert_int_eq(c.reason, HELLO_REASON_LONG);
		return;
	}
	ck_assert_int_eq(read_all(&c, b.p, b.size), L7_MATCH);
	ck_assert_str_eq(c.name, "www.example.org");
}
END_TEST

struct sample {
	const char *extensions;
	size_t size;
	int reason; /* HELLO_REASON_NONE: right */
	const char *name;
};

#define SAMPLE(text, reason, name)                                                                 \
	{                                                                                          \
		text, sizeof(text) - 1, HELLO_REASON_##reason, name                                \
	}

static const struct sample samples[] = {
	SAMPLE("", NONE, ""),
	SAMPLE("\x7a\x7a\0\1\0", NONE, ""),
	SAMPLE("\0\0\0\6\0\4\0\0\1a", NONE, "a"),
	SAMPLE("\x0a\x0a\0\0\0\0\0\x0a\0\x08\0\0\5A.b-C\0\x17\0\0", NONE, "a.b-c"),
	SAMPLE("\0\0\0\7\0\5\0\0\2a.", NONE, "a"),
	SAMPLE("\0\0\0\6\0\4\0\0\1.", NAME, NULL),
	SAMPLE("\0\0\0\x9\0\7\0\0\4a..b", NAME, NULL),
	SAMPLE("\0\0\0\x8\0\6\0\0\3a\0b", NAME, NULL),
	SAMPLE("\0\0\0\x8\0\6\0\0\3a b", NAME, NULL),
	SAMPLE("\0\0\0\x8\0\6\0\0\3a\nb", NAME, NULL),
	SAMPLE("\0\0\0\7\0\5\0\0\2\xc3\xa4", NAME, NULL),
	SAMPLE("\0\0\0\5\0\3\0\0\0", NAME, NULL),
	SAMPLE("\0\0\0\2\0\0", MALFORMED, NULL),
	SAMPLE("\0\0\0\0", MALFORMED, NULL),
	SAMPLE("\0\0\0\6\0\4\1\0\1a", NAME, NULL),
	SAMPLE("\0\0\0\xa\0\x8\0\0\1a\0\0\1b", NAME, NULL),
	SAMPLE("\0\0\0\6\0\4\0\0\1a\0\0\0\6\0\4\0\0\1a", NAME, NULL),
	SAMPLE("\0\0\0\6\0\4\0\0\2a", MALFORMED, NULL),
	SAMPLE("\0\0\0\6\0\5\0\0\1a", MALFORMED, NULL),
	SAMPLE("\0\0\0\6\0\3\0\0\1a", MALFORMED, NULL),
	SAMPLE("\0\0\0\7\0\4\0\0\1a", MALFORMED, NULL),
	SAMPLE("\0\0\0\5\0\4\0\0\1a", MALFORMED, NULL),
	SAMPLE("\0\x10\0\5\0\3\2h2", NONE, ""),
	SAMPLE("\0\x10\0\5\0\3\3h2", MALFORMED, NULL),
	SAMPLE("\0\x10\0\5\0\3\1h2", MALFORMED, NULL),
	SAMPLE("\0\x10\0\4\0\2\0\0", MALFORMED, NULL),
	SAMPLE("\0\x10\0\2\0\0", MALFORMED, NULL),
	SAMPLE("\0\x10\0\5\0\3\2h2\0\x10\0\5\0\3\2h2", MALFORMED, NULL),
	SAMPLE("\0\x2b\0\5\4\x7a\x7a\3\4", NONE, ""),
	SAMPLE("\0\x2b\0\4\3\3\4\3", MALFORMED, NULL),
	SAMPLE("\0\x2b\0\1\0", MALFORMED, NULL),
	SAMPLE("\0", MALFORMED, NULL),
	SAMPLE("\0\0\0", MALFORMED, NULL),
	SAMPLE("\1\1\0\1", MALFORMED, NULL),
};

#define N_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

START_TEST(extensions)
{
	const struct sample *s = &samples[_i];
	struct parts p = right;
	static struct bytes message, b;

	p.extensions = s->extensions;
	p.extensions_size = s->size;
	make_message(&message, &p);
	for (size_t each = 16; each <= 16384; each *= 32) {
		make_records(&b, message.p, message.size, each);
		ck_assert_int_eq(read_all(&c, b.p, b.size), s->name ? L7_MATCH : L7_NO);
		ck_assert_int_eq(c.reason, s->reason);
		if (s->name)
			ck_assert_str_eq(c.name, s->name);
		else
			ck_assert_str_eq(c.name, "");
	}
}
END_TEST

static int reason_of(const struct parts *p)
{
	static struct bytes message, b;

	make_message(&message, p);
	make_records(&b, message.p, message.size, 16384);
	add_zeros(&b, 4);
	return read_all(&c, b.p, b.size) == L7_MORE ? -1 : c.reason;
}

START_TEST(fixed_parts)
{
	struct parts p = right;

	ck_assert_int_eq(reason_of(&p), HELLO_REASON_NONE); /* no extensions: TLS 1.0 */
	p.session_id = 32;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_NONE);
	p.session_id = 33;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_MALFORMED);
	p = right;
	p.version = 0x0200;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_MALFORMED);
	p = right;
	p.suites = 3;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_MALFORMED);
	p.suites = 0;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_MALFORMED);
	p = right;
	p.compressions = 0;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_MALFORMED);
	p = right;
	p.extensions = "\1\1\0\0";
	p.extensions_size = 4;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_NONE);
	p.extensions_length = 1;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_MALFORMED);
	p.extensions_length = -1;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_MALFORMED);
	p.extensions_length = 0;
	p.handshake_length = -1;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_MALFORMED);
	p.handshake_length = -40;
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_MALFORMED);
	p.handshake_length = 1; /* the zeros behind: no record */
	ck_assert_int_eq(reason_of(&p), HELLO_REASON_RECORD);
}
END_TEST

START_TEST(records_refused)
{
	static const struct {
		const char *data;
		size_t size;
		enum hello_reason reason;
	} bad[] = {
		{"GET / HTTP/1.1\r\n", 16, HELLO_REASON_NOT_TLS},
		{"\x15\x03\x01\x00\x02\x01\x00", 7, HELLO_REASON_NOT_TLS},
		{"\x80\x2e\x01\x03\x01", 5, HELLO_REASON_NOT_TLS}, /* SSL 2 */
		{"\x16\x02\x00\x00\x04", 5, HELLO_REASON_NOT_TLS},
		{"\x16\x03\x01\x00\x00", 5, HELLO_REASON_RECORD},
		{"\x16\x03\x01\x40\x01", 5, HELLO_REASON_RECORD},
		{"\x16\x03\x01\x00\x04\x02\x00\x00\x01", 9, HELLO_REASON_MESSAGE},
		{"\x16\x03\x01\x00\x01\x01\x15\x03\x01", 9, HELLO_REASON_RECORD},
		{"\x16\x03\x01\x00\x01\x01\x16\x02\x01", 9, HELLO_REASON_RECORD},
		{"\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x00", 11, HELLO_REASON_RECORD},
		{"\x16\x03\x01\x00\x04\x01\x00\x48\x01", 9, HELLO_REASON_LONG},
		{"\x16\x03\x01\x00\x01\x01\x17\x03\x01\x00\x03\xff\xff\xff", 14,
		 HELLO_REASON_RECORD},
	};

	for (int i = 0; i < N_OF(bad); i++) {
		ck_assert_msg(read_all(&c, (const uint8_t *)bad[i].data, bad[i].size) == L7_NO,
			      "%d", i);
		ck_assert_msg(c.reason == bad[i].reason, "%d: %s", i,
			      hello_reason_name((enum hello_reason)c.reason));
	}
}
END_TEST

/* As long as can be, by one extension that means nothing here; and one byte longer. */
START_TEST(longest)
{
	static struct bytes ext, message, b;
	struct parts p = right;

	for (unsigned n = CLIENT_HELLO_MAX - 63;; n++) {
		ext.size = 0;
		add_u16(&ext, 0x1234);
		add_u16(&ext, n);
		add_zeros(&ext, n);
		p.extensions = (const char *)ext.p;
		p.extensions_size = ext.size;
		make_message(&message, &p);
		make_records(&b, message.p, message.size, 16384);
		if (b.size > CLIENT_HELLO_MAX)
			break;
		ck_assert_int_eq(whole(&c, b.p, b.size), L7_MATCH);
		ck_assert_int_eq(whole(&c, b.p, b.size - 1), L7_MORE);
	}
	ck_assert_uint_eq(b.size, CLIENT_HELLO_MAX + 1);
	ck_assert_int_eq(whole(&c, b.p, CLIENT_HELLO_MAX - 1), L7_MORE);
	ck_assert_int_eq(whole(&c, b.p, CLIENT_HELLO_MAX), L7_NO);
	ck_assert_int_eq(c.reason, HELLO_REASON_LONG);
	ck_assert_int_eq(whole(&c, b.p, b.size), L7_NO);
	ck_assert_int_eq(c.reason, HELLO_REASON_LONG);
}
END_TEST

/* What does not fit the list of protocols is left out; what fits is whole. */
START_TEST(many_protocols)
{
	static struct bytes message, b, ext;
	struct parts p = right;

	ext.size = 0;
	add_u16(&ext, 16);
	add_u16(&ext, 2 + 30 * 8 + 3);
	add_u16(&ext, 30 * 8 + 3);
	for (int i = 0; i < 30; i++)
		add(&ext, "\7abcdefg", 8);
	add(&ext, "\2h2", 3);
	p.extensions = (const char *)ext.p;
	p.extensions_size = ext.size;
	make_message(&message, &p);
	make_records(&b, message.p, message.size, 16384);
	ck_assert_int_eq(read_all(&c, b.p, b.size), L7_MATCH);
	ck_assert_uint_le(c.alpn_size, CLIENT_HELLO_ALPN);
	ck_assert(client_hello_speaks(&c, TEXT("abcdefg")));
}
END_TEST

/* A name that would fit but for the byte with its length. */
START_TEST(protocols_to_the_brim)
{
	static struct bytes message, b, ext;
	struct parts p = right;

	ext.size = 0;
	add_u16(&ext, 16);
	add_u16(&ext, 2 + CLIENT_HELLO_ALPN - 1 + 2);
	add_u16(&ext, CLIENT_HELLO_ALPN - 1 + 2);
	add_u8(&ext, CLIENT_HELLO_ALPN - 2);
	add_zeros(&ext, CLIENT_HELLO_ALPN - 2);
	add(&ext, "\1x", 2);
	p.extensions = (const char *)ext.p;
	p.extensions_size = ext.size;
	make_message(&message, &p);
	make_records(&b, message.p, message.size, 16384);
	ck_assert_int_eq(read_all(&c, b.p, b.size), L7_MATCH);
	ck_assert_uint_eq(c.alpn_size, CLIENT_HELLO_ALPN - 1);
	ck_assert(!client_hello_speaks(&c, TEXT("x")));
}
END_TEST

START_TEST(reason_names)
{
	for (int r = 0; r < HELLO_REASON_COUNT; r++) {
		ck_assert(strlen(hello_reason_name((enum hello_reason)r)) > 0);
		ck_assert(strlen(hello_reason_text((enum hello_reason)r)) > 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client_hello");
	TCase *t = tcase_create("client_hello");

	tcase_add_test(t, real_clients);
	tcase_add_loop_test(t, records, 0, 8);
	tcase_add_loop_test(t, extensions, 0, N_OF(samples));
	tcase_add_test(t, fixed_parts);
	tcase_add_test(t, records_refused);
	tcase_add_test(t, longest);
	tcase_add_test(t, many_protocols);
	tcase_add_test(t, protocols_to_the_brim);
	tcase_add_test(t, reason_names);
	suite_add_tcase(suite, t);
	return rig_run(suite);
}
