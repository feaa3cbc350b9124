/*
 * check_proxy_error.c - what the proxy makes of clients and servers that fail, wait, or take too
 * long.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_world.h"

#define GET "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
#define SWITCHED "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

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

/* --- what is refused, and errors -------------------------------------------------------------- */

static const struct {
	const char *request;
	unsigned status;
	const char *reason;
} refused[] = {
	{"GET / HTTP/1.1\r\n\r\n", 400, "host-missing"},
	{"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 501, "method-unknown"},
	{"GET / HTTP/2.0\r\n", 505, "version-unknown"},
	{"\x16\x03\x01", 400, "tls"},
};

/* proves: HD-16 */
START_TEST(idle_clients_make_room)
{
	struct params *conf = conf_new();
	int first, second, third, fourth, server;
	struct world *w;

	conf->l7.max_connections = 2;
	w = world_new(conf);
	first = world_client(w, web);
	world_send(w, first, GET);
	server = world_server(w, a);
	world_expect_start(w, server, "GET", NULL);
	second = world_client(w, web);
	world_send(w, second, GET);
	world_send(w, server, OK);
	expect_status(w, first, 200); /* idle now; the other waits for its answer */
	third = world_client(w, web);
	world_expect_end(w, first);
	ck_assert_uint_eq(counts(w)->displaced, 1);
	world_send(w, third, GET);
	ck_assert(proxy_full(w->proxy)); /* both are busy */
	fourth = world_client(w, web);
	world_expect_end(w, fourth);
	ck_assert(world_is_open(w, second));
	ck_assert(world_is_open(w, third));
	ck_assert_uint_eq(counts(w)->displaced, 1);
	ck_assert_uint_eq(counts(w)->connections_open, 2);
	world_free(w);
}
END_TEST

/* Who has been idle for longest goes first, whoever came first. */
START_TEST(the_longest_idle_goes_first)
{
	struct params *conf = conf_new();
	int clients[3], server = -1, next;
	struct world *w;

	conf->l7.max_connections = 3;
	w = world_new(conf);
	for (unsigned i = 0; i < 3; i++)
		clients[i] = world_client(w, web);
	for (unsigned i = 0; i < 2; i++) { /* the first two have asked since */
		world_send(w, clients[i], GET);
		next = world_server_try(w, a);
		server = next >= 0 ? next : server;
		world_expect_start(w, server, "GET", NULL);
		world_send(w, server, OK);
		expect_status(w, clients[i], 200);
	}
	world_client(w, web);
	world_expect_end(w, clients[2]);
	ck_assert(world_is_open(w, clients[0]));
	world_client(w, web);
	world_expect_end(w, clients[0]);
	ck_assert(world_is_open(w, clients[1]));
	world_free(w);
}
END_TEST

START_TEST(requests_are_refused)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web);

	world_send(w, client, refused[_i].request);
	expect_status(w, client, refused[_i].status);
	world_expect_end(w, client);
	ck_assert(world_is_open(w, client)); /* so that the client gets the page */
	world_send(w, client, "more");
	world_shutdown(w, client);
	ck_assert(!world_is_open(w, client));
	ck_assert_uint_eq(counts(w)->refused, 1);
	ck_assert_uint_eq(w->n_records, 1);
	ck_assert_uint_eq(world_last(w)->record.status, refused[_i].status);
	ck_assert_str_eq(world_last(w)->reason, refused[_i].reason);
	ck_assert_int_eq(world_server_try(w, a), -1);
	world_free(w);
}
END_TEST

START_TEST(lingering_ends)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web);

	world_send(w, client, "nonsense \r\n\r\n");
	expect_status(w, client, 400);
	world_advance(w, 2100);
	ck_assert(!world_is_open(w, client));
	world_free(w);
}
END_TEST

START_TEST(no_target_is_up)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web);

	w->services[web].chosen = PARAMS_NONE;
	world_send(w, client, GET);
	expect_status(w, client, 503);
	ck_assert_uint_eq(counts(w)->unrouted, 1);
	ck_assert_uint_eq(counts(w)->status_5xx, 1);
	world_free(w);
}
END_TEST

START_TEST(a_server_that_refuses_or_is_silent)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web);

	w->targets[a].connect = WORLD_REFUSES;
	world_send(w, client, GET);
	expect_status(w, client, 502);
	w->targets[a].connect = WORLD_FAILS;
	w->targets[a].connect_error = 24; /* EMFILE */
	client = world_client(w, web);
	world_send(w, client, GET);
	expect_status(w, client, 503);
	w->targets[a].connect = WORLD_SILENT;
	client = world_client(w, web);
	world_send(w, client, GET);
	world_advance(w, 4100);
	expect_status(w, client, 504);
	ck_assert_uint_eq(counts(w)->server_errors, 3);
	ck_assert_uint_eq(w->targets[a].counts.errors, 3);
	world_free(w);
}
END_TEST

START_TEST(a_server_without_a_proper_response)
{
	static const char *const answers[] = {"", "HTTP/1.1 20", "nonsense\r\n\r\n", SWITCHED};
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, server, answers[_i]);
	if (_i < 2)
		world_close(w, server);
	expect_status(w, client, 502);
	ck_assert_uint_eq(counts(w)->server_errors, 1);
	ck_assert_uint_eq(counts(w)->retries, 0);
	world_free(w);
}
END_TEST

static void serve_one(struct world *w, int client, int *server)
{
	world_send(w, client, GET);
	*server = world_server(w, a);
	world_expect(w, *server, GET);
	world_send(w, *server, OK);
	world_expect(w, client, OK);
}

START_TEST(a_kept_connection_that_fails_is_tried_again)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	serve_one(w, client, &server);
	world_send(w, client, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	if (_i == 0)
		world_expect(w, server,
			     "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	world_close(w, server);
	server = world_server(w, a);
	world_expect(w, server, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	world_send(w, server, OK);
	world_expect(w, client, OK);
	ck_assert_uint_eq(counts(w)->retries, 1);
	ck_assert_uint_eq(w->n_records, 2);
	/* A second time is one too many. */
	world_send(w, client, GET);
	world_close(w, server);
	server = world_server(w, a);
	world_close(w, server);
	expect_status(w, client, 502);
	ck_assert_uint_eq(counts(w)->retries, 2);
	world_free(w);
}
END_TEST

START_TEST(what_is_not_idempotent_is_not_tried_again)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	serve_one(w, client, &server);
	world_send(w, client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	world_close(w, server);
	expect_status(w, client, 502);
	ck_assert_uint_eq(counts(w)->retries, 0);
	world_free(w);
}
END_TEST

START_TEST(a_server_goes_in_the_middle)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhix\r\n"};
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, server, answers[_i]);
	if (_i < 2)
		world_close(w, server);
	world_expect_abort(w, client);
	ck_assert_uint_eq(counts(w)->aborted_server, 1);
	ck_assert_uint_eq(world_last(w)->record.status, 200);
	world_free(w);
}
END_TEST

START_TEST(a_client_goes_in_the_middle)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc");
	server = world_server(w, a);
	world_close(w, client);
	world_expect_abort(w, server);
	ck_assert_uint_eq(counts(w)->aborted_client, 1);
	client = world_client(w, web);
	world_send(w, client, GET);
	server = world_server(w, a);
	world_send(w, server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi");
	world_close(w, client); /* unread: reset */
	world_expect_abort(w, server);
	ck_assert_uint_eq(counts(w)->aborted_client, 2);
	world_free(w);
}
END_TEST

START_TEST(a_client_that_has_said_all)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, GET GET);
	world_shutdown(w, client);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	world_expect_end(w, client);
	ck_assert(!world_is_open(w, client));
	world_free(w);
}
END_TEST

START_TEST(a_response_before_the_request_is_whole)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc");
	server = world_server(w, a);
	world_expect_start(w, server, "POST", NULL);
	world_send(w, server, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	world_expect(w, client,
		     "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	world_expect_end(w, client);
	world_expect_abort(w, server);
	world_send(w, client, "more of it");
	world_close(w, client);
	world_free(w);
}
END_TEST

START_TEST(nothing_behind_a_response_is_anybodys)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, server, OK "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	world_expect(w, client, OK);
	world_expect_end(w, server);
	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_free(w);
}
END_TEST

/* --- time ------------------------------------------------------------------------------------- */

START_TEST(heads_take_too_long)
{
	struct world *w = world_new(conf_new());
	int silent = world_client(w, web), slow = world_client(w, web);

	for (unsigned i = 0; i < 9; i++) {
		world_send(w, slow, i == 0 ? "GET / HT" : "T");
		world_advance(w, 1000);
		if (i == 0)
			world_send(w, slow, "TP/1.1\r\nX: ");
	}
	ck_assert(world_is_open(w, silent));
	ck_assert_int_eq(world_server_try(w, a), -1); /* a slow client holds no server */
	world_advance(w, 1100);
	world_expect_end(w, silent);
	expect_status(w, slow, 408);
	ck_assert_uint_eq(w->n_records, 1);
	world_free(w);
}
END_TEST

START_TEST(clients_are_not_kept_for_ever)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	serve_one(w, client, &server);
	world_advance(w, 59000);
	ck_assert(world_is_open(w, client));
	world_advance(w, 1100);
	world_expect_end(w, client);
	ck_assert_uint_eq(w->n_records, 1);
	world_free(w);
}
END_TEST

START_TEST(bodies_and_responses_take_too_long)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc");
	world_advance(w, 29000);
	world_send(w, client, "d");
	world_advance(w, 29000);
	ck_assert(world_is_open(w, client));
	world_advance(w, 1100);
	expect_status(w, client, 408);
	client = world_client(w, web);
	world_send(w, client, GET);
	world_advance(w, 60100);
	expect_status(w, client, 504);
	client = world_client(w, web);
	world_send(w, client, GET);
	(void)world_server(w, a);
	(void)world_server(w, a);
	server = world_server(w, a);
	world_send(w, server, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc");
	world_advance(w, 60100);
	world_expect_abort(w, client);
	ck_assert_uint_eq(counts(w)->aborted_server, 1);
	world_free(w);
}
END_TEST

/* --- waiting ---------------------------------------------------------------------------------- */

START_TEST(requests_wait_for_a_place)
{
	struct params *conf = conf_new();
	struct world *w;
	int x, y, z, server;

	conf->targets[a].max_connections = 1;
	w = world_new(conf);
	x = world_client(w, web);
	y = world_client(w, web);
	z = world_client(w, web);
	world_send(w, x, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, y, GET);
	world_send(w, z, "GET /z HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_uint_eq(counts(w)->queued, 2);
	world_close(w, y); /* has lost patience */
	ck_assert_uint_eq(counts(w)->aborted_client, 1);
	world_send(w, server, OK);
	world_expect(w, x, OK);
	world_expect(w, server, "GET /z HTTP/1.1\r\nHost: x\r\n\r\n");
	world_send(w, x, GET);
	world_advance(w, 10100);
	expect_status(w, x, 503);
	ck_assert_uint_eq(counts(w)->queue_timeouts, 1);
	world_send(w, server, OK);
	world_expect(w, z, OK);
	world_free(w);
}
END_TEST

/* --- reload ----------------------------------------------------------------------------------- */

START_TEST(a_service_goes)
{
	struct world *w = world_new(conf_new());
	int idle = world_client(w, web), busy = world_client(w, web), server;
	struct params *conf = world_conf();
	uint16_t other = world_service(conf, "other");

	world_target(conf, other, "b");
	world_send(w, busy, GET);
	server = world_server(w, a);
	world_configure(w, conf);
	world_expect_end(w, idle);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	world_expect(w, busy,
		     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
	world_expect_end(w, busy);
	world_free(w);
}
END_TEST

START_TEST(indices_change)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;
	struct params *conf = world_conf();
	uint16_t other = world_service(conf, "other"), service = world_service(conf, "web");

	world_send(w, client, GET);
	server = world_server(w, a);
	world_target(conf, other, "c");
	b = world_target(conf, service, "b");
	a = world_target(conf, service, "a");
	world_configure(w, conf);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	ck_assert_uint_eq(w->services[service].counts.status_2xx, 1);
	ck_assert_uint_eq(w->targets[a].counts.requests, 1);
	world_send(w, client, GET);
	server = world_server(w, b);
	world_expect(w, server, GET);
	world_free(w);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("proxy_error");
	TCase *t = tcase_create("proxy_error");

	tcase_add_loop_test(t, requests_are_refused, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(t, lingering_ends);
	tcase_add_test(t, no_target_is_up);
	tcase_add_test(t, a_server_that_refuses_or_is_silent);
	tcase_add_test(t, idle_clients_make_room);
	tcase_add_test(t, the_longest_idle_goes_first);
	tcase_add_loop_test(t, a_server_without_a_proper_response, 0, 4);
	tcase_add_loop_test(t, a_kept_connection_that_fails_is_tried_again, 0, 2);
	tcase_add_test(t, what_is_not_idempotent_is_not_tried_again);
	tcase_add_loop_test(t, a_server_goes_in_the_middle, 0, 3);
	tcase_add_test(t, a_client_goes_in_the_middle);
	tcase_add_test(t, a_client_that_has_said_all);
	tcase_add_test(t, a_response_before_the_request_is_whole);
	tcase_add_test(t, nothing_behind_a_response_is_anybodys);
	tcase_add_test(t, heads_take_too_long);
	tcase_add_test(t, clients_are_not_kept_for_ever);
	tcase_add_test(t, bodies_and_responses_take_too_long);
	tcase_add_test(t, requests_wait_for_a_place);
	tcase_add_test(t, a_service_goes);
	tcase_add_test(t, indices_change);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	signal(SIGPIPE, SIG_IGN);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
