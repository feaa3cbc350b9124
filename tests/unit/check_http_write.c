/* Heads written anew, error pages and the PROXY header: byte for byte. */
/* proves: HD-8 HD-17 */
#include "l7/cookie.h"
#include "l7/http_write.h"
#include "l7/proxy_v2.h"
#include "l7_rig.h"

#define TOKEN "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_"
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

static const struct http_asked get = {.method = METHOD_GET, .minor = 1};
static const struct http_asked head = {.method = METHOD_HEAD, .minor = 1};
static const struct http_asked upgrade = {.method = METHOD_GET, .minor = 1, .upgrade = true};

static struct http_head h;
static char out[8192];

_Static_assert(sizeof(TOKEN) - 1 == COOKIE_TOKEN, "as long as a token");

static struct endpoint endpoint(const char *address, uint16_t port)
{
	struct endpoint e = {.port = port};

	ck_assert_int_eq(ipaddr_parse(&e.addr, address), 0);
	return e;
}

/* What `write` writes; and that it writes nothing beyond any smaller buffer. */
#define WRITTEN(want, write)                                                                       \
	do {                                                                                       \
		size_t size_;                                                                      \
		struct wcur w = wcur_init(out, sizeof(out) - 1);                                   \
		write;                                                                             \
		ck_assert(wcur_ok(&w));                                                            \
		size_ = wcur_size(&w);                                                             \
		out[size_] = '\0';                                                                 \
		ck_assert_str_eq(out, want);                                                       \
		for (size_t n = 0; n < size_; n++) {                                               \
			uint8_t *small = guard_copy(NULL, n);                                      \
			w = wcur_init(small, n);                                                   \
			write;                                                                     \
			ck_assert(!wcur_ok(&w));                                                   \
			guard_free(small, n);                                                      \
		}                                                                                  \
	} while (0)

static void request(const char *text, const struct http_request_edit *e, const char *want)
{
	static struct http_head again;

	rig_right(&h, NULL, text);
	WRITTEN(want, http_write_request(&w, &h, e));
	/* What is written is right again, and means the same. */
	rig_right(&again, NULL, want);
	ck_assert_int_eq(again.framing, h.framing);
	ck_assert_uint_eq(again.length, h.length);
	ck_assert_int_eq(again.method, h.method);
}

static void response(const struct http_asked *asked, const char *text,
		     const struct http_response_edit *e, const char *want)
{
	static struct http_head again;

	rig_right(&h, asked, text);
	WRITTEN(want, http_write_response(&w, &h, e));
	rig_right(&again, asked, want);
	ck_assert_int_eq(again.framing, h.framing);
	ck_assert_uint_eq(again.length, h.length);
	ck_assert_int_eq(again.status, h.status);
}

START_TEST(requests)
{
	struct http_request_edit e = {.hold = HOLD_KEEP};

	request("GET /a?b HTTP/1.1\r\nAccept:*/*\r\nhost:  a  \r\nX-1: \t y \r\n\r\n", &e,
		"GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-1: y\r\n\r\n");
	request("GET http://a/b?c HTTP/1.1\r\nHost: A:80\r\n\r\n", &e,
		"GET /b?c HTTP/1.1\r\nHost: a\r\n\r\n");
	request("GET http://a?c HTTP/1.1\r\nHost: a\r\n\r\n", &e,
		"GET /?c HTTP/1.1\r\nHost: a\r\n\r\n");
	request("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", &e,
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
	request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0007\r\n\r\n", &e,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n");
	request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,CHUNKED\r\nB: c\r\n\r\n", &e,
		"POST / HTTP/1.1\r\nHost: a\r\nB: c\r\nTransfer-Encoding: chunked\r\n\r\n");
	/* hop by hop */
	request(GET "Connection: close, X-Mine\r\nKeep-Alive: 3\r\nX-Mine: 1\r\nTE: trailers\r\n"
		    "Upgrade: h2c\r\nHTTP2-Settings: A\r\nProxy-Connection: x\r\nX: y\r\n\r\n",
		&e, GET "X: y\r\n\r\n");
	/* 1.0 closes unless told, 1.1 stays unless told */
	request("GET / HTTP/1.0\r\n\r\n", &e, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	e.hold = HOLD_CLOSE;
	e.lines = TEXT("X-Ours: 1\r\n");
	request(GET "\r\n", &e, GET "X-Ours: 1\r\nConnection: close\r\n\r\n");
	e = (struct http_request_edit){.hold = HOLD_UPGRADE};
	request(GET "Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n", &e,
		GET "X: y\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
	request(GET "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", &e, GET "\r\n");
}
END_TEST

START_TEST(expectation)
{
	struct http_request_edit e = {.hold = HOLD_KEEP};
	const char *text = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
			   "Content-Length: 1\r\n\r\n";

	request(text, &e, text);
	e.continued = true;
	request(text, &e, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
}
END_TEST

START_TEST(forwarded)
{
	struct endpoint c = endpoint("192.0.2.1", 1234), s = endpoint("2001:db8::1", 80);
	struct http_request_edit e = {.forwarded = FORWARDED_X, .client = &c, .service = &s};
	const char *text = GET "X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n"
			       "x-forwarded-for: 10.0.0.2 \r\n\r\n";

	request(text, &e, GET "Forwarded: for=10.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
	e.believe = true;
	request(text, &e,
		GET "Forwarded: for=10.0.0.1\r\n"
		    "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 192.0.2.1\r\n\r\n");
	e.forwarded = FORWARDED_BOTH;
	request(text, &e,
		GET "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 192.0.2.1\r\nForwarded: for=10.0.0.1, "
		    "for=192.0.2.1;by=\"[2001:db8::1]\";host=\"a\";proto=http\r\n\r\n");
	e = (struct http_request_edit){.forwarded = FORWARDED_RFC7239, .client = &s};
	request("GET / HTTP/1.0\r\nX-Forwarded-For: x\r\n\r\n", &e,
		"GET / HTTP/1.0\r\nX-Forwarded-For: x\r\n"
		"Forwarded: for=\"[2001:db8::1]\";proto=http\r\nConnection: keep-alive\r\n\r\n");
	/* what Connection names is not carried over either */
	e = (struct http_request_edit){.forwarded = FORWARDED_X, .client = &c, .believe = true};
	request(GET "X-Forwarded-For: 1\r\nConnection: X-Forwarded-For\r\n\r\n", &e,
		GET "X-Forwarded-For: 192.0.2.1\r\n\r\n");
}
END_TEST

START_TEST(cookies_to_server)
{
	struct http_request_edit e = {.cookie = COOKIE_STRIP, .cookie_name = TEXT("SRV")};

	request(GET "Cookie: a=b; SRV=x; c=\"d\"\r\n\r\n", &e, GET "Cookie: a=b; c=\"d\"\r\n\r\n");
	request(GET "Cookie: SRV=x\r\n\r\n", &e, GET "\r\n");
	request(GET "Cookie: SRV=x; SRV=y;SRV=\r\nCookie: b;=c;SRVX=1;srv=2;SRV=3\r\n\r\n", &e,
		GET "Cookie: b; =c; SRVX=1; srv=2\r\n\r\n");
	e.cookie = COOKIE_UNPREFIX;
	request(GET "Cookie: SRV=" TOKEN "~abc~d; X=" TOKEN "~e; SRV=f\r\n\r\n", &e,
		GET "Cookie: SRV=abc~d; X=" TOKEN "~e; SRV=f\r\n\r\n");
	request(GET "Cookie: SRV=" TOKEN "~\r\n\r\n", &e, GET "Cookie: SRV=\r\n\r\n");
	e.cookie = COOKIE_KEEP;
	request(GET "Cookie: SRV=" TOKEN "~abc\r\n\r\n", &e,
		GET "Cookie: SRV=" TOKEN "~abc\r\n\r\n");
}
END_TEST

START_TEST(responses)
{
	struct http_response_edit e = {.hold = HOLD_KEEP, .minor = 1};

	response(&get,
		 "HTTP/1.1 200 OK\r\nA:b\r\nContent-Length: 03\r\nConnection: a2\r\nA2: x\r\n\r\n",
		 &e, "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\n");
	response(&get, "HTTP/1.0 200\r\nConnection: keep-alive\r\n\r\n", &e,
		 "HTTP/1.1 200 \r\nConnection: close\r\n\r\n");
	response(&get, "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nTrailer: x\r\n\r\n", &e,
		 "HTTP/1.1 200 OK\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	response(&head, "HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n", &e,
		 "HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n");
	response(&get, "HTTP/1.1 204 No\r\nContent-Length: 0\r\nA: b\r\n\r\n", &e,
		 "HTTP/1.1 204 No\r\nA: b\r\n\r\n");
	e.minor = 0;
	e.lines = TEXT("Set-Cookie: a=b\r\n");
	response(&get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", &e,
		 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\n"
		 "Connection: keep-alive\r\n\r\n");
	e = (struct http_response_edit){.hold = HOLD_CLOSE, .minor = 1};
	response(&get, "HTTP/1.1 100 Go\r\n\r\n", &e, "HTTP/1.1 100 Go\r\n\r\n");
	e.hold = HOLD_UPGRADE;
	response(&upgrade,
		 "HTTP/1.1 101 Go\r\nUPGRADE: websocket\r\nConnection: upgrade\r\nA: b\r\n\r\n", &e,
		 "HTTP/1.1 101 Go\r\nA: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}
END_TEST

START_TEST(cookies_to_client)
{
	struct http_response_edit e = {
		.minor = 1, .prefix_name = TEXT("SID"), .prefix_token = TEXT(TOKEN)};
	struct http_set_cookie c = {.name = TEXT("SRV"), .value = TEXT(TOKEN)};

	response(&get,
		 "HTTP/1.1 304 N\r\nSet-Cookie: SID = abc; Path=/; SID=x\r\nSet-Cookie: X=SID\r\n"
		 "Set-Cookie: SID=;Secure\r\nSet-Cookie: SID\r\nSet-Cookie:\r\n\r\n",
		 &e,
		 "HTTP/1.1 304 N\r\nSet-Cookie: SID=" TOKEN "~abc; Path=/; SID=x\r\n"
		 "Set-Cookie: X=SID\r\nSet-Cookie: SID=" TOKEN "~;Secure\r\nSet-Cookie: SID\r\n"
		 "Set-Cookie: \r\n\r\n");
	WRITTEN("Set-Cookie: SRV=" TOKEN "; Path=/; HttpOnly; SameSite=Lax\r\n",
		http_write_set_cookie(&w, &c));
	c.max_age_s = 3600;
	c.domain = TEXT("example.org");
	c.secure = true;
	WRITTEN("Set-Cookie: SRV=" TOKEN "; Path=/; Max-Age=3600; Domain=example.org; HttpOnly; "
		"Secure; SameSite=Lax\r\n",
		http_write_set_cookie(&w, &c));
}
END_TEST

/* Every status there is makes a response that is right. */
static void check_error(unsigned status)
{
	struct http_scan scan;
	struct wcur w = wcur_init(out, sizeof(out));

	http_write_error(&w, status, false, TEXT("Retry-After: 1\r\n"));
	ck_assert(wcur_ok(&w));
	http_scan_init(&scan, HTTP_KIND_RESPONSE);
	ck_assert_int_eq(http_head_read(&h, &scan, &rig_limits, &get, out, wcur_size(&w)),
			 L7_MATCH);
	ck_assert_uint_eq(h.status, status);
	ck_assert(!h.keep_alive);
	ck_assert_uint_eq(h.size + h.length, wcur_size(&w));
	RIG_TEXT(http_field_find(&h, TEXT("retry-after")), "1");
}

START_TEST(errors)
{
	for (unsigned status = 400; status < 600; status++)
		check_error(status);
}
END_TEST

START_TEST(error_page)
{
	WRITTEN("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n"
		"Content-Length: 68\r\nConnection: close\r\n\r\n"
		"<!DOCTYPE html>\n<title>502 Bad Gateway</title>\n<h1>Bad Gateway</h1>\n",
		http_write_error(&w, 502, false, TEXT("")));
	WRITTEN("HTTP/1.1 504 Gateway Timeout\r\nContent-Type: text/html\r\n"
		"Cache-Control: no-store\r\nContent-Length: 76\r\nConnection: close\r\n\r\n",
		http_write_error(&w, 504, true, TEXT("")));
	WRITTEN("HTTP/1.1 100 Continue\r\n\r\n", http_write_continue(&w));
}
END_TEST

#define SIGNATURE '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'

static void proxied(const uint8_t *want, size_t size, const struct endpoint *c,
		    const struct endpoint *s)
{
	uint8_t *buf = guard_copy(NULL, size);
	struct wcur w = wcur_init(buf, size);

	if (c)
		proxy_v2_write(&w, c, s);
	else
		proxy_v2_write_local(&w);
	ck_assert(wcur_ok(&w));
	ck_assert_uint_eq(wcur_size(&w), size);
	ck_assert_uint_le(size, PROXY_V2_MAX);
	ck_assert_mem_eq(buf, want, size);
	guard_free(buf, size);
}

START_TEST(proxy_header)
{
	static const uint8_t v4[] = {SIGNATURE, 0x21, 0x11, 0, 12, 192,	 0,    2,   1,
				     198,	51,   100,  2, 4,  0xd2, 0x01, 0xbb};
	static const uint8_t v6[] = {
		SIGNATURE, 0x21, 0x21, 0,    36,   0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0,
		0,	   0,	 0,    0,    0,	   0,	 1,    0,    0,	   0, 0, 0, 0, 0,
		0,	   0,	 0,    0xff, 0xff, 198,	 51,   100,  2,	   0, 1, 0, 80};
	static const uint8_t local[] = {SIGNATURE, 0x20, 0, 0, 0};
	struct endpoint c = endpoint("192.0.2.1", 1234), s = endpoint("198.51.100.2", 443);
	struct endpoint c6 = endpoint("2001:db8::1", 1);

	proxied(v4, sizeof(v4), &c, &s);
	s.port = 80;
	proxied(v6, sizeof(v6), &c6, &s);
	proxied(local, sizeof(local), NULL, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_write");
	TCase *t = tcase_create("http_write");

	tcase_add_test(t, requests);
	tcase_add_test(t, expectation);
	tcase_add_test(t, forwarded);
	tcase_add_test(t, cookies_to_server);
	tcase_add_test(t, responses);
	tcase_add_test(t, cookies_to_client);
	tcase_add_test(t, errors);
	tcase_add_test(t, error_page);
	tcase_add_test(t, proxy_header);
	suite_add_tcase(suite, t);
	return rig_run(suite);
}
