/* Heads of requests and responses that are right: what they are taken for. */
/* proves: HD-8 */
#include "l7_rig.h"

static struct http_head h;

static const struct http_asked get = {.method = METHOD_GET, .minor = 1};
static const struct http_asked head = {.method = METHOD_HEAD, .minor = 1};
static const struct http_asked connect_to = {.method = METHOD_CONNECT, .minor = 1};
static const struct http_asked upgrade = {.method = METHOD_GET, .minor = 1, .upgrade = true};
static const struct http_asked old = {.method = METHOD_GET, .minor = 0};

struct sample {
	const struct http_asked *asked;
	const char *text;
	const char *golden;
};

static const char *framing_name(const struct http_head *x)
{
	static const char *const names[] = {"none", "length", "chunked", "close", "tunnel"};

	return names[x->framing];
}

static void describe(char *out, size_t size)
{
	static const char *const forms[] = {"origin", "absolute", "authority", "asterisk"};
	char what[256];

	if (h.kind == HTTP_KIND_REQUEST)
		snprintf(what, sizeof(what), "%.*s %s path=%.*s query=%.*s host=%.*s:%u",
			 (int)h.method_name.size, h.data + h.method_name.at, forms[h.form],
			 (int)h.path.size, h.data + h.path.at, (int)h.query.size,
			 h.data + h.query.at, (int)h.host.size, h.data + h.host.at, h.port);
	else
		snprintf(what, sizeof(what), "%u \"%.*s\"", h.status, (int)h.phrase.size,
			 h.data + h.phrase.at);
	snprintf(out, size, "%s 1.%u %s %s %llu%s%s fields=%u", what, h.minor,
		 h.keep_alive ? "keep" : "end", framing_name(&h), (unsigned long long)h.length,
		 h.expect_continue ? " expect" : "", h.upgrade ? " upgrade" : "", h.n_fields);
}

static const struct sample requests[] = {
	{NULL, "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.1 keep none 0 fields=1"},
	{NULL, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.1 keep none 0 fields=1"},
	{NULL, "GET /a/b?c=d&e HTTP/1.1\r\nHost: www.example.org:8080\r\nAccept: */*\r\n\r\n",
	 "GET origin path=/a/b query=?c=d&e host=www.example.org:8080 1.1 keep none 0 fields=2"},
	{NULL, "GET /? HTTP/1.1\r\nHOST:\t a.b.  \t\r\n\r\n",
	 "GET origin path=/ query=? host=a.b:0 1.1 keep none 0 fields=1"},
	{NULL, "GET //x?{|}^`[]\\%zz HTTP/1.1\r\nhost: [2001:db8::1]:80\r\n\r\n",
	 "GET origin path=//x query=?{|}^`[]\\%zz host=[2001:db8::1]:80 1.1 keep none 0 fields=1"},
	{NULL, "GET / HTTP/1.0\r\n\r\n",
	 "GET origin path=/ query= host=:0 1.0 end none 0 fields=0"},
	{NULL, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: a:\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.0 keep none 0 fields=2"},
	{NULL, "GET / HTTP/1.1\r\nHost: a\r\nConnection: foo , close,\r\nFoo: 1\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.1 end none 0 fields=3"},
	{NULL, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.1 end none 0 fields=3"},
	{NULL, "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
	 "POST origin path=/f query= host=a:0 1.1 keep length 5 fields=2"},
	{NULL, "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	 "POST origin path=/f query= host=a:0 1.1 keep none 0 fields=2"},
	{NULL, "PUT /f HTTP/1.1\r\nHost: a\r\nContent-Length:9223372036854775807\r\n\r\n",
	 "PUT origin path=/f query= host=a:0 1.1 keep length 9223372036854775807 fields=2"},
	{NULL,
	 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n",
	 "POST origin path=/ query= host=a:0 1.1 keep chunked 0 expect fields=3"},
	{NULL, "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.1 keep none 0 fields=2"},
	{NULL, "POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
	 "POST origin path=/ query= host=:0 1.0 end length 1 fields=2"},
	{NULL, "GET http://A.b/c?d HTTP/1.1\r\nHost: a.B:80\r\n\r\n",
	 "GET absolute path=/c query=?d host=A.b:0 1.1 keep none 0 fields=1"},
	{NULL, "GET HTTP://a:81?x HTTP/1.1\r\nHost: a:81\r\n\r\n",
	 "GET absolute path= query=?x host=a:81 1.1 keep none 0 fields=1"},
	{NULL, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
	 "OPTIONS asterisk path=* query= host=a:0 1.1 keep none 0 fields=1"},
	{NULL, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
	 "CONNECT authority path= query= host=a:443 1.1 keep none 0 fields=1"},
	{NULL, "PROPFIND / HTTP/1.1\r\nHost: a_b-1\r\nX:\r\nY: caf\xc3\xa9\r\n\r\n",
	 "PROPFIND origin path=/ query= host=a_b-1:0 1.1 keep none 0 fields=3"},
	{NULL,
	 "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket"
	 "\r\nSec-WebSocket-Key: x\r\n\r\n",
	 "GET origin path=/ws query= host=a:0 1.1 keep none 0 upgrade fields=4"},
	{NULL, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.1 keep none 0 fields=3"},
	{NULL,
	 "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.1 keep none 0 fields=3"},
	{NULL,
	 "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	 "Content-Length: 3\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.1 keep length 3 fields=4"},
	{NULL,
	 "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	 "Upgrade: h2c\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.1 keep none 0 fields=4"},
	{NULL, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
	 "GET origin path=/ query= host=a:0 1.1 keep none 0 fields=2"},
};

static const struct sample responses[] = {
	{&get, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
	 "200 \"OK\" 1.1 keep length 12 fields=1"},
	{&get, "HTTP/1.1 200\r\n\r\n", "200 \"\" 1.1 end close 0 fields=0"},
	{&get, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 \"\" 1.1 keep none 0 fields=1"},
	{&get, "HTTP/1.0 404 Not Found\r\nContent-Length: 1\r\n\r\n",
	 "404 \"Not Found\" 1.0 end length 1 fields=1"},
	{&get, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n",
	 "200 \"OK\" 1.0 keep length 1 fields=2"},
	{&get, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
	 "200 \"OK\" 1.0 end close 0 fields=1"},
	{&get, "HTTP/1.1 200 gr\xc3\xbc\xc3\x9f dich\t!\r\nTransfer-Encoding: chunked\r\n\r\n",
	 "200 \"gr\xc3\xbc\xc3\x9f dich\t!\" 1.1 keep chunked 0 fields=1"},
	{&head, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
	 "200 \"OK\" 1.1 keep none 12 fields=1"},
	{&head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	 "200 \"OK\" 1.1 keep none 0 fields=1"},
	{&head, "HTTP/1.1 200 OK\r\n\r\n", "200 \"OK\" 1.1 keep none 0 fields=0"},
	{&get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n",
	 "304 \"Not Modified\" 1.1 keep none 12 fields=1"},
	{&get, "HTTP/1.1 204 No Content\r\n\r\n", "204 \"No Content\" 1.1 keep none 0 fields=0"},
	{&get, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
	 "204 \"No Content\" 1.1 keep none 0 fields=1"},
	{&get, "HTTP/1.1 100 Continue\r\n\r\n", "100 \"Continue\" 1.1 keep none 0 fields=0"},
	{&get, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
	 "103 \"Early Hints\" 1.1 keep none 0 fields=1"},
	{&upgrade,
	 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
	 "101 \"Switching Protocols\" 1.1 end tunnel 0 upgrade fields=2"},
	{&upgrade,
	 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: upgrade\r\n"
	 "Upgrade: websocket\r\n\r\n",
	 "200 \"OK\" 1.1 keep length 3 fields=3"},
	{&connect_to, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
	 "200 \"OK\" 1.1 end tunnel 3 fields=1"},
	{&connect_to, "HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\n",
	 "407 \"No\" 1.1 keep length 3 fields=1"},
	{&old, "HTTP/1.1 200 OK\r\n\r\n", "200 \"OK\" 1.1 end close 0 fields=0"},
};

#define N_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

static void check_sample(const struct sample *s)
{
	char text[512];

	rig_right(&h, s->asked, s->text);
	ck_assert_uint_eq(h.size, strlen(s->text));
	describe(text, sizeof(text));
	ck_assert_str_eq(text, s->golden);
}

START_TEST(request_samples)
{
	check_sample(&requests[_i]);
}
END_TEST

START_TEST(response_samples)
{
	check_sample(&responses[_i]);
}
END_TEST

/* What follows a head does not change it, and is not looked at. */
START_TEST(bytes_behind)
{
	static struct http_head alone;
	const char *text = requests[_i].text;
	char more[1024];
	struct http_scan scan;

	ck_assert_int_eq(rig_whole(&alone, &rig_limits, NULL, text, strlen(text)), L7_MATCH);
	snprintf(more, sizeof(more), "%s%s", text, "\n\r\r\1GET / HTTP/1.1\r\n\r\n");
	http_scan_init(&scan, HTTP_KIND_REQUEST);
	ck_assert_int_eq(rig_show(&h, &scan, &rig_limits, NULL, more, strlen(more)), L7_MATCH);
	alone.data = more;
	rig_same(&h, &alone);
}
END_TEST

START_TEST(fields)
{
	const struct http_field *f;
	unsigned at = 0;

	rig_right(&h, NULL,
		  "GET / HTTP/1.1\r\nhOst: a\r\nX-One:\r\nCookie: a=b\r\nx-tWo:\t 2 2 \t \r\n"
		  "cookie: c=d\r\n\r\n");
	ck_assert_uint_eq(h.n_fields, 5);
	RIG_TEXT(http_text(&h, h.fields[0].name), "hOst");
	RIG_TEXT(http_text(&h, h.fields[1].value), "");
	RIG_TEXT(http_text(&h, h.fields[3].name), "x-tWo");
	RIG_TEXT(http_text(&h, h.fields[3].value), "2 2");
	RIG_TEXT(http_field_find(&h, TEXT("X-TWO")), "2 2");
	ck_assert_ptr_nonnull(http_field_find(&h, TEXT("x-one")).p);
	ck_assert_ptr_null(http_field_find(&h, TEXT("x-three")).p);
	f = http_field_next(&h, FIELD_COOKIE, &at);
	RIG_TEXT(http_text(&h, f->value), "a=b");
	f = http_field_next(&h, FIELD_COOKIE, &at);
	RIG_TEXT(http_text(&h, f->value), "c=d");
	ck_assert_ptr_null(http_field_next(&h, FIELD_COOKIE, &at));
}
END_TEST

/* Fields that end here: by their nature, and because Connection names them. */
START_TEST(hop_by_hop)
{
	static const char *const gone[] = {"Connection", "Keep-Alive", "Proxy-Connection",
					   "TE",	 "Upgrade",    "HTTP2-Settings",
					   "X-Mine"};

	rig_right(&h, NULL,
		  "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-mine, TE\r\nKeep-Alive: 1\r\n"
		  "Proxy-Connection: close\r\nTE: trailers\r\nUpgrade: h2c\r\nX-Mine: 1\r\n"
		  "HTTP2-Settings: AAA\r\nX-Yours: 2\r\nTrailer: x\r\n\r\n");
	ck_assert(h.keep_alive); /* Proxy-Connection is nobody's word for it */
	for (unsigned i = 0; i < h.n_fields; i++) {
		struct text name = http_text(&h, h.fields[i].name);
		bool want = false;

		for (int j = 0; j < N_OF(gone); j++)
			want |= text_eq_nocase(name, (struct text){gone[j], strlen(gone[j])});
		ck_assert_msg(h.fields[i].drop == want, "%.*s", (int)name.size, name.p);
	}
}
END_TEST

/* Heads of exactly the limit pass, one byte more does not; the same for each limit. */
START_TEST(limits)
{
	const char *text = "GET /12345 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
	struct http_limits l = {.bytes = (uint32_t)strlen(text), .target = 6, .fields = 2};

	ck_assert_int_eq(rig_read(&h, &l, NULL, text, strlen(text)), L7_MATCH);
	l.bytes--;
	ck_assert_int_eq(rig_read(&h, &l, NULL, text, strlen(text)), L7_NO);
	ck_assert_int_eq(h.reason, HTTP_REASON_HEAD_LONG);
	l.bytes = 8; /* ends inside the target */
	ck_assert_int_eq(rig_read(&h, &l, NULL, text, strlen(text)), L7_NO);
	ck_assert_int_eq(h.reason, HTTP_REASON_TARGET_LONG);
	l.bytes = 100;
	l.target = 5;
	ck_assert_int_eq(rig_read(&h, &l, NULL, text, strlen(text)), L7_NO);
	ck_assert_int_eq(h.reason, HTTP_REASON_TARGET_LONG);
	l.target = 6;
	l.fields = 1;
	ck_assert_int_eq(rig_read(&h, &l, NULL, text, strlen(text)), L7_NO);
	ck_assert_int_eq(h.reason, HTTP_REASON_FIELDS_MANY);
}
END_TEST

/* As many fields and bytes as there can be at all. */
START_TEST(largest)
{
	static const struct http_limits most = {HTTP_BYTES_MAX, HTTP_BYTES_MAX, HTTP_FIELDS_MAX};
	char *text = malloc(HTTP_BYTES_MAX);
	size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n");

	ck_assert_ptr_nonnull(text);
	for (unsigned i = 2; i < HTTP_FIELDS_MAX; i++)
		n += (size_t)sprintf(text + n, "a%u: b\r\n", i);
	n += (size_t)sprintf(text + n, "z:");
	memset(text + n, 'x', HTTP_BYTES_MAX - n);
	memcpy(text + HTTP_BYTES_MAX - 4, "\r\n\r\n", 4);
	ck_assert_int_eq(rig_whole(&h, &most, NULL, text, HTTP_BYTES_MAX), L7_MATCH);
	ck_assert_uint_eq(h.n_fields, HTTP_FIELDS_MAX);
	ck_assert_uint_eq(h.fields[HTTP_FIELDS_MAX - 1].value.size, HTTP_BYTES_MAX - 4 - n);
	free(text);
}
END_TEST

START_TEST(methods)
{
	ck_assert(http_method_idempotent(METHOD_GET));
	ck_assert(http_method_idempotent(METHOD_PUT));
	ck_assert(!http_method_idempotent(METHOD_POST));
	ck_assert(!http_method_idempotent(METHOD_PATCH));
	ck_assert(!http_method_idempotent(METHOD_CONNECT));
	ck_assert(!http_method_idempotent(METHOD_OTHER));
	rig_right(&h, NULL, "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n");
	ck_assert_int_eq(h.method, METHOD_PATCH);
	rig_right(&h, NULL, "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n");
	ck_assert_int_eq(h.method, METHOD_OTHER);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_head");
	TCase *t = tcase_create("http_head");

	tcase_add_loop_test(t, request_samples, 0, N_OF(requests));
	tcase_add_loop_test(t, response_samples, 0, N_OF(responses));
	tcase_add_loop_test(t, bytes_behind, 0, N_OF(requests));
	tcase_add_test(t, fields);
	tcase_add_test(t, hop_by_hop);
	tcase_add_test(t, limits);
	tcase_add_test(t, largest);
	tcase_add_test(t, methods);
	suite_add_tcase(suite, t);
	return rig_run(suite);
}
