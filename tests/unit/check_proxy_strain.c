/*
 * check_proxy_strain.c - what does not fit, is refused half-way or finds no memory; and servers
 * that vanish without a word while they have a request.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "l7/client_hello.h"
#include "proxy/impl.h"
#include "proxy_world.h"

#define GET "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define CHUNKED "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

static uint16_t web, a, b;

static struct params *conf_new(void)
{
	struct params *conf = world_conf();

	web = world_service(conf, "web");
	a = world_target(conf, web, "a");
	b = world_target(conf, web, "b");
	return conf;
}

static const struct l7_service_counts *counts(const struct world *w)
{
	return &w->services[web].counts;
}

static void expect_status(struct world *w, int client, unsigned status)
{
	char start[32];

	snprintf(start, sizeof(start), "HTTP/1.1 %u ", status);
	world_expect_start(w, client, start, NULL);
}

/* Memory of so many bytes, all the same. */
static char *filled(size_t n, char c)
{
	char *text = malloc(n + 1);

	memset(text, c, n);
	text[n] = 0;
	return text;
}

/* --- too long --------------------------------------------------------------------------------- */

/* A request target of so many characters. */
static void ask_for(struct world *w, int client, size_t n)
{
	char *path = filled(n, 'a');

	path[0] = '/';
	world_send(w, client, "GET ");
	world_send(w, client, path);
	world_send(w, client, " HTTP/1.1\r\nHost: x\r\n\r\n");
	free(path);
}

START_TEST(targets_too_long)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web);

	ask_for(w, client, 8193);
	expect_status(w, client, 414);
	ck_assert_str_eq(world_last(w)->reason, "target-long");
	ck_assert_uint_eq(counts(w)->refused, 1);
	client = world_client(w, web);
	ask_for(w, client, 8192);
	world_expect_start(w, world_server(w, a), "GET /aaa", NULL);
	world_free(w);
}
END_TEST

/* The head was right when it came; meanwhile the limit has become smaller. */
START_TEST(a_head_that_does_not_fit_any_more)
{
	struct params *conf = conf_new(), *less = conf_new();
	int first, second, server;
	struct world *w;

	conf->targets[a].max_connections = less->targets[a].max_connections = 1;
	less->l7.max_head = 512;
	w = world_new(conf);
	w->services[web].chosen = a;
	first = world_client(w, web);
	second = world_client(w, web);
	world_send(w, first, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	ask_for(w, second, 2000);
	world_configure(w, less);
	world_send(w, server, OK);
	world_expect(w, first, OK);
	expect_status(w, second, 431);
	ck_assert_str_eq(world_last(w)->reason, "head-long");
	ck_assert_uint_eq(counts(w)->refused, 1);
	world_free(w);
}
END_TEST

/* --- trailers --------------------------------------------------------------------------------- */

static const struct {
	const char *rest;
	unsigned status;
	const char *reason;
} trailers[] = {
	{"3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n", 400, "trailer-field"},
	{"3\r\nabc\r\n0\r\nHost: y\r\n\r\n", 400, "trailer-field"},
	{"3\r\nabc\r\n0\r\nX Y: z\r\n\r\n", 400, NULL},
};

START_TEST(trailers_of_requests)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, CHUNKED);
	server = world_server(w, a);
	world_expect_start(w, server, "PUT", NULL);
	world_send(w, client, trailers[_i].rest);
	expect_status(w, client, trailers[_i].status);
	if (trailers[_i].reason)
		ck_assert_str_eq(world_last(w)->reason, trailers[_i].reason);
	/* And the server does not take it for the whole. */
	world_expect_abort(w, server);
	ck_assert_uint_eq(counts(w)->refused, 1);
	world_free(w);
}
END_TEST

START_TEST(a_trailer_too_long)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web);
	char *much = filled(9000, 'a');

	world_send(w, client, CHUNKED);
	world_send(w, client, "0\r\nX: ");
	world_send(w, client, much);
	expect_status(w, client, 431);
	ck_assert_str_eq(world_last(w)->reason, "trailer-long");
	free(much);
	world_free(w);
}
END_TEST

START_TEST(trailers_of_responses)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	world_send(w, server, trailers[_i].rest);
	world_expect_abort(w, client);
	ck_assert_uint_eq(counts(w)->aborted_server, 1);
	world_free(w);
}
END_TEST

/* --- no memory -------------------------------------------------------------------------------- */

/* So many buffers as the loop says; at first there is none for the head, then none for what goes to
 * the server, then none for what goes to the client. */
START_TEST(no_buffers)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;
	char got[4096];

	w->proxy->buffers.max = (uint32_t)_i;
	world_send(w, client, GET);
	if (_i == 0) {
		ck_assert(!world_is_open(w, client));
		ck_assert_uint_eq(w->n_records, 0);
		world_free(w);
		return;
	}
	server = world_server(w, a);
	if (_i == 1) { /* not even one for the answer */
		world_expect_abort(w, client);
		world_free(w);
		return;
	}
	world_expect(w, server, GET);
	world_send(w, server, OK);
	if (_i == 2) /* the request's head has one, the response another */
		ck_assert_uint_eq(world_recv(w, client, got, sizeof(got)) > 0,
				  world_is_open(w, client));
	else
		world_expect(w, client, OK);
	w->proxy->buffers.max = 100;
	/* Others are served. */
	client = world_client(w, web);
	world_send(w, client, GET);
	server = _i == 2 ? world_server(w, a) : server;
	world_expect(w, server, GET);
	world_free(w);
}
END_TEST

/* --- in the middle of a request --------------------------------------------------------------- */

/* The server closes while the request is under way; it may have said why. */
START_TEST(a_server_that_does_not_want_it_all)
{
	static const char why[] = "HTTP/1.1 413 Long\r\nContent-Length: 0\r\n\r\n";
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
	server = world_server(w, a);
	world_expect_start(w, server, "POST", NULL);
	if (_i == 0)
		ck_assert_uint_eq(world_send_some(w, server, why, strlen(why)), strlen(why));
	ck_assert_uint_eq(world_send_some(w, client, "def", 3), 3);
	world_close(w, server);
	expect_status(w, client, _i == 0 ? 413 : 502);
	world_expect_end(w, client);
	ck_assert_uint_eq(counts(w)->retries, 0);
	world_free(w);
}
END_TEST

START_TEST(gone_while_one_waits_for_it)
{
	struct params *conf = conf_new(), *other = world_conf();
	int first, second, server, of_b;
	struct world *w;

	conf->targets[a].max_connections = 1;
	w = world_new(conf);
	first = world_client(w, web);
	second = world_client(w, web);
	world_send(w, first, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	w->services[web].chosen = a;
	world_send(w, second, "GET /second HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_uint_eq(counts(w)->queued, 1);
	web = world_service(other, "web");
	b = world_target(other, web, "b");
	world_configure(w, other);
	of_b = world_server(w, b);
	world_expect(w, of_b, "GET /second HTTP/1.1\r\nHost: x\r\n\r\n");
	world_send(w, of_b, OK);
	world_expect(w, second, OK);
	world_send(w, server, OK);
	world_expect(w, first, OK);
	world_expect_end(w, server);
	ck_assert_uint_eq(counts(w)->server_errors, 0);
	world_free(w);
}
END_TEST

/* --- servers that vanish ---------------------------------------------------------------------- */

#define PUT "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"

static const struct {
	const char *sent; /* by the client */
	const char *answered;
	bool goes; /* to another server */
} stranded[] = {
	{GET, "", true},
	{PUT "abc", "", true},
	{PUT "ab", "", true}, /* the last byte is still to come */
	{POST "abc", "", false},
	{GET, "H", false},
	{GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", false},
	{GET, "HTTP/1.1 103 Early\r\n\r\n", false},
};

/* One that says no more when it was asked on a connection that had served before, and of which it
 * is known a little later that it is down. */
START_TEST(asked_when_it_had_gone)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	world_send(w, client, stranded[_i].sent);
	world_send(w, server, stranded[_i].answered);
	world_advance(w, 2000);
	ck_assert_int_eq(world_server_try(w, b), -1);
	world_stand(w, a, L7_TARGET_DOWN);
	world_advance(w, 1100);
	ck_assert_uint_eq(counts(w)->retries, stranded[_i].goes);
	if (!stranded[_i].goes) {
		ck_assert_int_eq(world_server_try(w, b), -1);
		ck_assert(world_is_open(w, server)); /* it may come to life again */
		world_free(w);
		return;
	}
	world_expect_abort(w, server);
	server = world_server(w, b);
	world_expect(w, server, stranded[_i].sent);
	if (_i == 2) {
		world_send(w, client, "c");
		world_expect(w, server, "c");
	}
	world_send(w, server, OK);
	world_expect(w, client, OK);
	ck_assert_uint_eq(w->targets[a].counts.requests_open, 0);
	ck_assert_uint_eq(w->targets[b].counts.requests, 1);
	ck_assert_str_eq(world_last(w)->server, "b");
	world_free(w);
}
END_TEST

/* Who has been sent twice is not sent a third time: it may be what brings them down. */
START_TEST(twice_at_most)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, GET);
	world_expect(w, world_server(w, a), GET);
	world_stand(w, a, L7_TARGET_DOWN);
	world_advance(w, 1100);
	server = world_server(w, b);
	world_expect(w, server, GET);
	world_stand(w, b, L7_TARGET_DOWN);
	world_stand(w, a, L7_TARGET_TAKES);
	world_advance(w, 1100);
	ck_assert_int_eq(world_server_try(w, a), -1);
	world_advance(w, 60000);
	expect_status(w, client, 504);
	world_free(w);
}
END_TEST

/* There is no other; and one whose timeout is over just when the server was seen to be down. */
START_TEST(in_time)
{
	struct params *conf = conf_new();
	struct world *w;
	int client, server;

	world_l7(conf, web)->server_ms = 300;
	w = world_new(conf);
	client = world_client(w, web);
	world_send(w, client, GET);
	world_expect(w, world_server(w, a), GET);
	world_advance(w, 100); /* all have been looked at */
	world_stand(w, a, L7_TARGET_DOWN);
	if (_i == 0)
		world_stand(w, b, L7_TARGET_DOWN);
	world_advance(w, 250);
	if (_i == 0) {
		expect_status(w, client, 504);
		world_free(w);
		return;
	}
	server = world_server(w, b);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	world_free(w);
}
END_TEST

/* --- the first message of TLS ----------------------------------------------------------------- */

static void put(uint8_t **at, unsigned n, unsigned value)
{
	while (n-- > 0)
		*(*at)++ = (uint8_t)(value >> 8 * n);
}

/* A ClientHello of `size` bytes with its records' headers: for a.example, and padded. */
static size_t hello(uint8_t *out, unsigned size)
{
	uint8_t *message = calloc(1, 20000), *at = message;
	unsigned n = size - 10; /* two records */

	put(&at, 1, 1);
	put(&at, 3, n - 4);
	put(&at, 2, 0x303);
	at += 32;
	put(&at, 1, 0);
	put(&at, 2, 2);
	put(&at, 2, 0x1301);
	put(&at, 2, 0x100);
	put(&at, 2, n - 47);
	put(&at, 2, 0);
	put(&at, 2, 14);
	put(&at, 2, 12);
	put(&at, 1, 0);
	put(&at, 2, 9);
	memcpy(at, "a.example", 9);
	at += 9;
	put(&at, 2, 21); /* padding */
	put(&at, 2, n - 47 - 18 - 4);
	at = out;
	put(&at, 3, 0x160301);
	put(&at, 2, 16384);
	memcpy(at, message, 16384);
	at += 16384;
	put(&at, 3, 0x160301);
	put(&at, 2, n - 16384);
	memcpy(at, message + 16384, n - 16384);
	free(message);
	return size;
}

/* As long as it may be, whatever heads may be; and a byte more. */
START_TEST(a_long_hello)
{
	struct params *conf = conf_new();
	uint8_t *bytes = malloc(20000), *got = malloc(20000);
	size_t size = hello(bytes, CLIENT_HELLO_MAX + (unsigned)(_i / 2));
	struct world *w;
	int client;

	world_l7(conf, web)->content = L7_CONTENT_TLS;
	if (_i % 2)
		conf->l7.max_head = 512;
	w = world_new(conf);
	client = world_client(w, web);
	world_send_bytes(w, client, bytes, size);
	if (_i < 2) {
		int server = world_server(w, a);

		ck_assert_uint_eq(world_recv(w, server, got, 20000), size);
		ck_assert_mem_eq(got, bytes, size);
		world_send(w, server, "hi");
		world_expect(w, client, "hi");
	} else {
		ck_assert(!world_is_open(w, client));
		ck_assert_str_eq(world_last(w)->reason, "long");
	}
	free(bytes);
	free(got);
	world_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proxy_strain");
	TCase *t = tcase_create("strain");
	SRunner *r;
	int failed;

	tcase_add_test(t, targets_too_long);
	tcase_add_test(t, a_head_that_does_not_fit_any_more);
	tcase_add_loop_test(t, trailers_of_requests, 0, sizeof(trailers) / sizeof(trailers[0]));
	tcase_add_test(t, a_trailer_too_long);
	tcase_add_loop_test(t, trailers_of_responses, 0, sizeof(trailers) / sizeof(trailers[0]));
	tcase_add_loop_test(t, no_buffers, 0, 4);
	tcase_add_loop_test(t, a_server_that_does_not_want_it_all, 0, 2);
	tcase_add_test(t, gone_while_one_waits_for_it);
	tcase_add_loop_test(t, asked_when_it_had_gone, 0, sizeof(stranded) / sizeof(stranded[0]));
	tcase_add_test(t, twice_at_most);
	tcase_add_loop_test(t, in_time, 0, 2);
	tcase_add_loop_test(t, a_long_hello, 0, 4);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
