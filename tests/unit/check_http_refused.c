/* Messages that must not pass, and the reason each is refused for. */
/* proves: HD-8 */
#include "l7_rig.h"

static const struct http_asked get = {.method = METHOD_GET, .minor = 1};
static const struct http_asked old = {.method = METHOD_GET, .minor = 0};
static const struct http_asked upgrade = {.method = METHOD_GET, .minor = 1, .upgrade = true};

struct refused {
	const struct http_asked *asked;
	const char *text;
	size_t size;
	enum http_reason reason;
};

#define TO(asked, text, reason)                                                                    \
	{                                                                                          \
		asked, text, sizeof(text) - 1, HTTP_REASON_##reason                                \
	}
#define REQUEST(text, reason) TO(NULL, text, reason)
#define RESPONSE(text, reason) TO(&get, text, reason)
#define H "GET / HTTP/1.1\r\nHost: a\r\n"
#define P "POST / HTTP/1.1\r\nHost: a\r\n"
#define OK "HTTP/1.1 200 OK\r\n"

static const struct refused requests[] = {
	/* where a request begins */
	REQUEST(" GET / HTTP/1.1\r\n", START),
	REQUEST("\r\n\r\nGET / HTTP/1.1\r\n", START),
	REQUEST("\nGET / HTTP/1.1\r\n", BARE_LF),
	REQUEST("\rGET / HTTP/1.1\r\n", BARE_CR),
	REQUEST("\0", NUL),
	REQUEST("\x80", START),
	REQUEST("\x16\x03\x01\x02", TLS),
	REQUEST("\x1f", CONTROL),
	/* request line */
	REQUEST("GET\t/ HTTP/1.1\r\n", METHOD_BAD),
	REQUEST("GET\r\n", METHOD_BAD),
	REQUEST("G(T / HTTP/1.1\r\n", METHOD_BAD),
	REQUEST("G\0T / HTTP/1.1\r\n", NUL),
	REQUEST("get / HTTP/1.1\r\nHost: a\r\n\r\n", METHOD_UNKNOWN),
	REQUEST("FOO / HTTP/1.1\r\nHost: a\r\n\r\n", METHOD_UNKNOWN),
	REQUEST("GETX / HTTP/1.1\r\nHost: a\r\n\r\n", METHOD_UNKNOWN),
	REQUEST("DESCRIBE / HTTP/1.1\r\nHost: a\r\n\r\n", METHOD_UNKNOWN),
	REQUEST("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n", METHOD_UNKNOWN),
	REQUEST("GET  / HTTP/1.1\r\n", TARGET_EMPTY),
	REQUEST("GET \r\n", TARGET_EMPTY),
	REQUEST("GET /\r\n", HTTP09),
	REQUEST("GET /\n", BARE_LF),
	REQUEST("GET /a\tb HTTP/1.1\r\n", TARGET_BYTE),
	REQUEST("GET /a#b HTTP/1.1\r\n", TARGET_BYTE),
	REQUEST("GET /a\"b HTTP/1.1\r\n", TARGET_BYTE),
	REQUEST("GET /<b> HTTP/1.1\r\n", TARGET_BYTE),
	REQUEST("GET /caf\xc3\xa9 HTTP/1.1\r\n", TARGET_BYTE),
	REQUEST("GET /a\x7f HTTP/1.1\r\n", CONTROL),
	REQUEST("GET /a\x01 HTTP/1.1\r\n", CONTROL),
	REQUEST("GET /a\0 HTTP/1.1\r\n", NUL),
	REQUEST("GET /  HTTP/1.1\r\n", VERSION_BAD),
	REQUEST("GET / HTTP/1.1 \r\n", VERSION_BAD),
	REQUEST("GET / a HTTP/1.1\r\n", VERSION_BAD),
	REQUEST("GET / http/1.1\r\n", VERSION_BAD),
	REQUEST("GET / HTTP/1.1\n", BARE_LF),
	REQUEST("GET / HTTP/1.1\rHost: a\r\n", BARE_CR),
	REQUEST("GET / HTTP/1.1\r\r\n", BARE_CR),
	REQUEST("GET / HTTP/1.10\r\n", VERSION_BAD),
	REQUEST("GET / HTTP/1,1\r\n", VERSION_BAD),
	REQUEST("GET / HTTP/1.\r\n", VERSION_BAD),
	REQUEST("GET / HTTP/11\r\n", VERSION_BAD),
	REQUEST("GET / HTTP/1.2\r\n", VERSION_UNKNOWN),
	REQUEST("GET / HTTP/0.9\r\n", VERSION_UNKNOWN),
	REQUEST("GET / HTTP/3.0\r\n", VERSION_UNKNOWN),
	REQUEST("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION_UNKNOWN),
	REQUEST("GET / RTSP/1.0\r\n", VERSION_BAD),
	REQUEST("GET / HTTP/1.1\r\n Host: a\r\n", OBS_FOLD),
	/* forms of the target */
	REQUEST("GET a HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_FORM),
	REQUEST("GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_FORM),
	REQUEST("GET * HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_FORM),
	REQUEST("OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_FORM),
	REQUEST("GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", TARGET_FORM),
	REQUEST("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_FORM),
	REQUEST("GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_FORM),
	REQUEST("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", HOST_BAD),
	REQUEST("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", HOST_MISMATCH),
	REQUEST("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", HOST_MISMATCH),
	REQUEST("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", HOST_BAD),
	REQUEST("GET http://a/ HTTP/1.1\r\n\r\n", HOST_MISSING),
	REQUEST("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_FORM),
	REQUEST("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_FORM),
	REQUEST("CONNECT a:80 HTTP/1.1\r\nHost: b:80\r\n\r\n", HOST_MISMATCH),
	REQUEST("GET /a%0 HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_ESCAPE),
	REQUEST("GET /a%g0b HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_ESCAPE),
	REQUEST("GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_ESCAPE),
	/* Host */
	REQUEST("GET / HTTP/1.1\r\n\r\n", HOST_MISSING),
	REQUEST(H "Host: a\r\n\r\n", HOST_MANY),
	REQUEST(H "hOSt: b\r\n\r\n", HOST_MANY),
	REQUEST("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", HOST_MANY),
	REQUEST("GET / HTTP/1.1\r\nHost:\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: a%41\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: .a\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: .\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: a:080000\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: []\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", HOST_BAD),
	REQUEST("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", HOST_BAD),
	/* field lines */
	REQUEST(H " folded\r\n", OBS_FOLD),
	REQUEST(H "X: 1\r\n\tfolded\r\n", OBS_FOLD),
	REQUEST(H "X : 1\r\n", SPACE_BEFORE_COLON),
	REQUEST(H "Content-Length : 1\r\n", SPACE_BEFORE_COLON),
	REQUEST(H "X\t: 1\r\n", SPACE_BEFORE_COLON),
	REQUEST(H ": 1\r\n", FIELD_NAME),
	REQUEST(H "X\r\n", NO_COLON),
	REQUEST(H "X\n", BARE_LF),
	REQUEST(H "X@: 1\r\n", FIELD_NAME),
	REQUEST(H "X(: 1\r\n", FIELD_NAME),
	REQUEST(H "\xc3\xa9: 1\r\n", FIELD_NAME),
	REQUEST(H "X\0: 1\r\n", NUL),
	REQUEST(H "X\x0b: 1\r\n", CONTROL),
	REQUEST(H "X: 1\0\r\n", NUL),
	REQUEST(H "X: 1\x01\r\n", CONTROL),
	REQUEST(H "X: 1\x7f\r\n", CONTROL),
	REQUEST(H "X: 1\n", BARE_LF),
	REQUEST(H "X: 1\n\n", BARE_LF),
	REQUEST(H "X: 1\rY: 2\r\n", BARE_CR),
	REQUEST(H "X: 1\r\r\n", BARE_CR),
	REQUEST(H "\n", BARE_LF),
	REQUEST(H "\rX", BARE_CR),
	REQUEST(H "\r\r\n", BARE_CR),
	/* Content-Length */
	REQUEST(P "Content-Length: \r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: a\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: -1\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: +1\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: 0x10\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: 1 2\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: 5, 5\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: 5,\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: 5\xa0\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: 5\t\r\n\r\n", LENGTH_BAD), /* llhttp knows no tab here */
	REQUEST(P "Content-Length: 9223372036854775808\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: 18446744073709551616\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: 99999999999999999999999\r\n\r\n", LENGTH_BAD),
	REQUEST(P "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", LENGTH_MANY),
	REQUEST(P "Content-Length: 5\r\ncontent-length: 5\r\n\r\n", LENGTH_MANY),
	REQUEST(P "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", LENGTH_CODING),
	REQUEST(P "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", LENGTH_CODING),
	REQUEST(P "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", LENGTH_CODING),
	REQUEST(P "Transfer-Encoding: x\r\nContent-Length: 5\r\n\r\n", LENGTH_CODING),
	/* Transfer-Encoding */
	REQUEST(P "Transfer-Encoding: \r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: gzip\r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: identity\r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: xchunked\r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: chunkedx\r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: \"chunked\"\r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: chunked;q=1\r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: chunked, chunked\r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: chunked, gzip\r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", CODING_BAD),
	REQUEST(P "Transfer-Encoding: gzip, chunked\r\n\r\n", CODING_UNKNOWN),
	REQUEST(P "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n", CODING_UNKNOWN),
	REQUEST(P "Transfer-Encoding: chunked\t\r\n\r\n", DISAGREE),
	REQUEST("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", CODING_OLD),
	/* bodies that cannot be */
	REQUEST("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", BODY_UNEXPECTED),
	REQUEST("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\n", BODY_UNEXPECTED),
	REQUEST("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n",
		BODY_UNEXPECTED),
	/* Connection, Expect */
	REQUEST(H "Connection: host\r\n\r\n", CONNECTION_BAD),
	REQUEST(P "Connection: close, Content-Length\r\nContent-Length: 1\r\n\r\n", CONNECTION_BAD),
	REQUEST(P "Connection: transfer-encoding\r\n\r\n", CONNECTION_BAD),
	REQUEST(H "Connection: a b\r\n\r\n", CONNECTION_BAD),
	REQUEST(H "Connection: \"close\"\r\n\r\n", CONNECTION_BAD),
	REQUEST(P "Expect: 200-ok\r\n\r\n", EXPECT_UNKNOWN),
	REQUEST(P "Expect: 100-continue, x\r\n\r\n", EXPECT_UNKNOWN),
};

static const struct refused responses[] = {
	RESPONSE("\r\nHTTP/1.1 200 OK\r\n\r\n", START),
	RESPONSE("ICY 200 OK\r\n\r\n", START),
	RESPONSE("<html>", START),
	RESPONSE("\x15\x03\x01", CONTROL),
	RESPONSE("\0", NUL),
	RESPONSE("http/1.1 200 OK\r\n", START),
	RESPONSE("HTTP/1.1  200 OK\r\n", STATUS_BAD),
	RESPONSE("HTTP/1.1\t200 OK\r\n", VERSION_BAD),
	RESPONSE("HTTP/1.1200 OK\r\n", VERSION_BAD),
	RESPONSE("HTTP/2 200\r\n", VERSION_UNKNOWN),
	RESPONSE("HTTP/1.2 200 OK\r\n", VERSION_UNKNOWN),
	RESPONSE("HTTP/1.1 099 OK\r\n", STATUS_BAD),
	RESPONSE("HTTP/1.1 600 OK\r\n", STATUS_BAD),
	RESPONSE("HTTP/1.1 20 OK\r\n", STATUS_BAD),
	RESPONSE("HTTP/1.1 2000 OK\r\n", STATUS_BAD),
	RESPONSE("HTTP/1.1 200\tOK\r\n", STATUS_BAD),
	RESPONSE("HTTP/1.1 200 O\x01K\r\n", CONTROL),
	RESPONSE("HTTP/1.1 200 O\0K\r\n", NUL),
	RESPONSE("HTTP/1.1 200 OK\n", BARE_LF),
	RESPONSE("HTTP/1.1 200 OK\rX: 1\r\n", BARE_CR),
	RESPONSE(OK " folded\r\n", OBS_FOLD),
	RESPONSE(OK "X: 1\r\n folded\r\n", OBS_FOLD),
	RESPONSE(OK "X : 1\r\n", SPACE_BEFORE_COLON),
	RESPONSE(OK "X: 1\n", BARE_LF),
	RESPONSE(OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", LENGTH_MANY),
	RESPONSE(OK "Content-Length: 1, 1\r\n\r\n", LENGTH_BAD),
	RESPONSE(OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", LENGTH_CODING),
	RESPONSE(OK "Transfer-Encoding: gzip\r\n\r\n", CODING_BAD),
	RESPONSE(OK "Transfer-Encoding: chunked, chunked\r\n\r\n", CODING_BAD),
	RESPONSE(OK "Transfer-Encoding: gzip, chunked\r\n\r\n", CODING_UNKNOWN),
	RESPONSE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CODING_OLD),
	TO(&old, OK "Transfer-Encoding: chunked\r\n\r\n", CODING_OLD),
	RESPONSE("HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\n", BODY_UNEXPECTED),
	RESPONSE("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", BODY_UNEXPECTED),
	RESPONSE("HTTP/1.1 100 Go\r\nContent-Length: 1\r\n\r\n", BODY_UNEXPECTED),
	RESPONSE("HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
		 SWITCH_UNASKED),
	TO(&upgrade, "HTTP/1.1 101 Go\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
	   SWITCH_UNASKED),
	TO(&upgrade, "HTTP/1.1 101 Go\r\n\r\n", SWITCH_UNASKED),
	RESPONSE(OK "Connection: Set-Cookie, content-length\r\n\r\n", CONNECTION_BAD),
};

#define N_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

START_TEST(refused_requests)
{
	const struct refused *r = &requests[_i];

	rig_refused(r->asked, r->text, r->size, r->reason);
}
END_TEST

START_TEST(refused_responses)
{
	const struct refused *r = &responses[_i];

	rig_refused(r->asked, r->text, r->size, r->reason);
}
END_TEST

/* Each control byte, in each part of a head, by itself. */
START_TEST(control_bytes)
{
	static const char text[] = "GET /x HTTP/1.1\r\nHost: a\r\nName: value\r\n\r\n";
	static struct http_head h;
	char copy[sizeof(text)];

	for (size_t i = 0; i < 33 * (sizeof(text) - 1); i++) {
		size_t at = i / 33;
		int c = i % 33 == 32 ? 0x7f : (int)(i % 33);

		memcpy(copy, text, sizeof(text));
		if (copy[at] == (char)c || c == '\t')
			continue;
		copy[at] = (char)c;
		ck_assert_msg(rig_whole(&h, &rig_limits, NULL, copy, sizeof(text) - 1) == L7_NO,
			      "byte %d at %zu", c, at);
	}
}
END_TEST

/* No byte can be put into the lines' ends, or taken out of them. */
START_TEST(line_ends)
{
	static const char text[] = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
	static struct http_head h;
	char copy[sizeof(text) + 1];

	for (size_t at = 0; at < sizeof(text) - 1; at++) {
		if (text[at] != '\r' && text[at] != '\n')
			continue;
		memcpy(copy, text, at);
		memcpy(copy + at, text + at + 1, sizeof(text) - at - 1);
		ck_assert_int_ne(rig_whole(&h, &rig_limits, NULL, copy, sizeof(text) - 2),
				 L7_MATCH);
	}
}
END_TEST

START_TEST(reasons)
{
	for (unsigned i = HTTP_REASON_NONE + 1; i < HTTP_REASON_COUNT; i++) {
		enum http_reason r = (enum http_reason)i;
		unsigned status = http_reason_status(r);

		ck_assert(strlen(http_reason_name(r)) > 0);
		ck_assert(strlen(http_reason_text(r)) > 0);
		ck_assert(status >= 400 && status <= 599);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_refused");
	TCase *t = tcase_create("http_refused");

	tcase_add_loop_test(t, refused_requests, 0, N_OF(requests));
	tcase_add_loop_test(t, refused_responses, 0, N_OF(responses));
	tcase_add_test(t, control_bytes);
	tcase_add_test(t, line_ends);
	tcase_add_test(t, reasons);
	suite_add_tcase(suite, t);
	return rig_run(suite);
}
