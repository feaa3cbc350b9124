/*
 * check_proxy_http.c - requests and responses through a whole proxy.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy_world.h"

#define GET "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"

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

/* proves: HD-8 */
START_TEST(a_request_and_its_response)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	ck_assert_uint_eq(counts(w)->requests, 1);
	ck_assert_uint_eq(counts(w)->requests_open, 0);
	ck_assert_uint_eq(counts(w)->status_2xx, 1);
	ck_assert_uint_eq(counts(w)->bytes_out, 2);
	ck_assert_uint_eq(w->targets[a].counts.requests, 1);
	ck_assert_uint_eq(w->targets[a].counts.bytes_out, 2);
	ck_assert_uint_eq(w->targets[a].n_flows, 1);
	ck_assert_uint_eq(w->n_records, 1);
	ck_assert_str_eq(world_last(w)->method, "GET");
	ck_assert_str_eq(world_last(w)->target, "/a");
	ck_assert_str_eq(world_last(w)->host, "x");
	ck_assert_str_eq(world_last(w)->server, "a");
	ck_assert_str_eq(world_last(w)->name, "web");
	ck_assert_uint_eq(world_last(w)->record.status, 200);
	ck_assert_uint_eq(world_last(w)->record.sent, 2);
	world_free(w);
}
END_TEST

/* proves: HD-16 */
START_TEST(connections_are_kept_on_both_sides)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;
	unsigned calls;

	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	calls = w->n_calls;
	for (unsigned i = 0; i < 3; i++) {
		world_send(w, client, GET);
		world_expect(w, server, GET);
		world_send(w, server, OK);
		world_expect(w, client, OK);
	}
	ck_assert_uint_eq(w->targets[a].n_connects, 1);
	ck_assert_uint_eq(w->targets[a].counts.reused, 3);
	/* One readiness for the request, one for the response. */
	ck_assert_uint_eq(w->n_calls - calls, 6);
	world_free(w);
}
END_TEST

/* proves: HD-16 */
START_TEST(two_clients_take_turns_on_one_connection)
{
	struct world *w = world_new(conf_new());
	int x = world_client(w, web), y = world_client(w, web), server;

	for (unsigned i = 0; i < 4; i++) {
		world_send(w, x, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
		if (i == 0)
			server = world_server(w, a);
		world_expect(w, server, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
		world_send(w, server, OK);
		world_expect(w, x, OK);
		world_expect_nothing(w, y);
		world_send(w, y, "GET /y HTTP/1.1\r\nHost: y\r\n\r\n");
		world_expect(w, server, "GET /y HTTP/1.1\r\nHost: y\r\n\r\n");
		world_send(w, server, NO_CONTENT);
		world_expect(w, y, NO_CONTENT);
		world_expect_nothing(w, x);
	}
	ck_assert_uint_eq(w->targets[a].n_connects, 1);
	world_free(w);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client,
		   "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
		   "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
	server = world_server(w, a);
	world_expect(w, server, "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	world_send(w, client, "GET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
	world_expect_nothing(w, server);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	world_expect(w, server, "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
	world_send(w, server, NO_CONTENT);
	world_expect(w, client, NO_CONTENT);
	world_expect(w, server, "GET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
	world_send(w, server, OK);
	world_expect(w, client, OK);
	ck_assert_uint_eq(counts(w)->requests, 3);
	ck_assert_uint_eq(counts(w)->bytes_in, 3);
	world_free(w);
}
END_TEST

static const char split_request[] =
	"POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n";
static const char split_response[] =
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	"4\r\nwxyz\r\n0\r\n\r\n";

/* A request and a response, cut at each byte. */
START_TEST(messages_come_in_any_pieces)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server = -1;
	size_t n = sizeof(split_request) - 1, m = sizeof(split_response) - 1;

	for (size_t cut = 0; cut < n || cut < m; cut++) {
		size_t i = cut < n ? cut : n, k = cut < m ? cut : m;

		world_send_bytes(w, client, split_request, i);
		world_send_bytes(w, client, split_request + i, n - i);
		if (server < 0)
			server = world_server(w, a);
		world_expect(w, server, split_request);
		world_send_bytes(w, server, split_response, k);
		world_send_bytes(w, server, split_response + k, m - k);
		world_expect(w, client, split_response);
	}
	for (size_t i = 0; i < n; i++)
		world_send_bytes(w, client, split_request + i, 1);
	world_expect(w, server, split_request);
	for (size_t i = 0; i < m; i++)
		world_send_bytes(w, server, split_response + i, 1);
	world_expect(w, client, split_response);
	ck_assert_uint_eq(w->targets[a].n_connects, 1);
	world_free(w);
}
END_TEST

START_TEST(clients_of_1_0)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	server = world_server(w, a);
	world_expect(w, server, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	world_send(w, server, "HTTP/1.1 100 Continue\r\n\r\n");
	world_expect_nothing(w, client);
	world_send(w, server,
		   "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi");
	world_expect(w, client,
		     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi");
	world_send(w, client, "GET / HTTP/1.0\r\n\r\n");
	world_expect(w, server, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	world_send(w, server, "HTTP/1.1 200 OK\r\n\r\nto the end");
	world_expect(w, client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end");
	world_close(w, server);
	world_expect_end(w, client);
	ck_assert(!world_is_open(w, client));
	ck_assert_uint_eq(counts(w)->status_1xx, 0);
	world_free(w);
}
END_TEST

START_TEST(responses_without_content)
{
	struct world *w = world_new(conf_new());
	int client = world_client(w, web), server;

	world_send(w, client, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
	server = world_server(w, a);
	world_expect(w, server, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
	world_send(w, server, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
	world_expect(w, client, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
	world_send(w, client, GET);
	world_expect(w, server, GET);
	world_send(w, server, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
	world_expect(w, client, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
	world_send(w, client, GET);
	world_expect(w, server, GET);
	ck_assert_uint_eq(w->targets[a].n_connects, 1);
	world_free(w);
}
END_TEST

START_TEST(a_client_waits_for_100)
{
	struct params *conf = conf_new();
	struct world *w;
	int client, server;

	world_l7(conf, web)->client_ms = 1000;
	world_l7(conf, web)->server_ms = 5000;
	w = world_new(conf);
	client = world_client(w, web);
	world_send(w, client,
		   "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: "
		   "100-continue\r\n\r\n");
	server = world_server(w, a);
	world_expect(w, server,
		     "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: "
		     "100-continue\r\n\r\n");
	world_advance(w, 2000); /* it is the server's turn */
	world_send(w, server, "HTTP/1.1 100 Continue\r\n\r\n");
	world_expect(w, client, "HTTP/1.1 100 Continue\r\n\r\n");
	world_send(w, client, "abc");
	world_expect(w, server, "abc");
	world_send(w, server, NO_CONTENT);
	world_expect(w, client, NO_CONTENT);
	ck_assert_uint_eq(counts(w)->status_1xx, 1);
	world_free(w);
}
END_TEST

/* --- bodies ----------------------------------------------------------------------------------- */

#define BODY_SIZE 3000000

static uint8_t *body_new(void)
{
	uint8_t *x = malloc(BODY_SIZE);
	uint32_t r = 1;

	for (size_t i = 0; i < BODY_SIZE; i++) {
		r = r * 1664525 + 1013904223;
		x[i] = (uint8_t)(r >> 24);
	}
	return x;
}

/* The body as chunks of growing size; how long it is. */
static size_t chunked(uint8_t *out, const uint8_t *body)
{
	size_t n = 0, at = 0, chunk = 1;

	while (at < BODY_SIZE) {
		size_t k = chunk < BODY_SIZE - at ? chunk : BODY_SIZE - at;

		n += (size_t)sprintf((char *)out + n, "%zx\r\n", k);
		memcpy(out + n, body + at, k);
		n += k;
		memcpy(out + n, "\r\n", 2);
		n += 2;
		at += k;
		chunk = chunk * 3 + 1;
		if (chunk > 200000)
			chunk = 5;
	}
	memcpy(out + n, "0\r\n\r\n", 5);
	return n + 5;
}

/* `head`, then the bytes, from one end to the other. */
static void move(struct world *w, int from, int to, const char *head, const uint8_t *data,
		 size_t size)
{
	uint8_t buf[65536];
	uint64_t hash = world_hash(0, data, size), seen = 0;
	size_t sent = 0, got = 0, headed = strlen(head);

	while (got < size) {
		size_t n = sent < size ? world_send_some(w, from, data + sent, size - sent) : 0;

		sent += n;
		world_run(w);
		n = world_recv(w, to, buf, sizeof(buf));
		if (headed > 0 && n > 0) {
			ck_assert_uint_ge(n, headed);
			ck_assert_mem_eq(buf, head, headed);
			n -= headed;
			memmove(buf, buf + headed, n);
			headed = 0;
		}
		seen = world_hash(seen, buf, n);
		got += n;
	}
	ck_assert_uint_eq(got, size);
	ck_assert(seen == hash);
}

START_TEST(long_bodies_pass_unchanged)
{
	struct world *w = world_new(conf_new());
	uint8_t *body = body_new(), *chunks = malloc(BODY_SIZE * 2);
	size_t n = chunked(chunks, body);
	char head[200];
	int client, server;

	w->buffer = _i == 0 ? 0 : 4096;
	client = world_client(w, web);
	sprintf(head, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", BODY_SIZE);
	world_send(w, client, head);
	server = world_server(w, a);
	move(w, client, server, head, body, BODY_SIZE);
	sprintf(head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY_SIZE);
	world_send(w, server, head);
	move(w, server, client, head, body, BODY_SIZE);
	sprintf(head, "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	world_send(w, client, head);
	move(w, client, server, head, chunks, n);
	sprintf(head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	world_send(w, server, head);
	move(w, server, client, head, chunks, n);
	ck_assert_uint_eq(counts(w)->bytes_in, 2 * BODY_SIZE);
	ck_assert_uint_eq(counts(w)->bytes_out, 2 * BODY_SIZE);
	ck_assert_uint_eq(w->targets[a].n_connects, 1);
	free(body);
	free(chunks);
	world_free(w);
}
END_TEST

/* A long head that the client takes slowly, with content behind it. */
START_TEST(long_heads_pass_slowly)
{
	struct world *w = world_new(conf_new());
	static char head[40000], value[8001];
	int client, server;

	memset(value, 'v', 8000);
	value[8000] = 0;
	w->buffer = 1;
	client = world_client(w, web);
	sprintf(head, "GET / HTTP/1.1\r\nHost: x\r\nA: %s\r\nB: %s\r\n\r\n", value, value);
	/* Before the proxy has a connection, it takes all of it. */
	world_send(w, client, head);
	server = world_server(w, a);
	ck_assert(world_recv_hash(w, server, strlen(head)) == world_hash(0, head, strlen(head)));
	sprintf(head,
		"HTTP/1.1 200 OK\r\nA: %s\r\nB: %.6000s\r\nContent-Length: 9000\r\n\r\n%s%.1000s",
		value, value, value, value);
	move(w, server, client, "", (uint8_t *)head, strlen(head));
	world_free(w);
}
END_TEST

/* --- many at once -------------------------------------------------------------------------------
 */

#define MANY 12

/* Clients that each ask for bodies of their own, while a server answers whatever comes, and things
 * become ready in any order: nobody gets what is another's. */
START_TEST(nothing_is_mixed_up)
{
	struct params *conf = conf_new();
	static char got[65536], request[200], answer[4096], body[3000];
	int clients[MANY], servers[MANY];
	unsigned n_servers = 0, done[MANY] = {0}, seed = (unsigned)_i * 7919 + 1;
	struct world *w;

	conf->targets[a].max_connections = 3;
	w = world_new(conf);
	w->services[web].chosen = a;
	for (unsigned i = 0; i < MANY; i++) {
		clients[i] = world_client(w, web);
		snprintf(request, sizeof(request), "GET /%u/0 HTTP/1.1\r\nHost: x\r\n\r\n", i);
		ck_assert_uint_eq(world_send_some(w, clients[i], request, strlen(request)),
				  strlen(request));
	}
	for (unsigned round = 0; round < 1000; round++) {
		unsigned i, k, who, what;
		ssize_t n;

		seed = seed * 1103515245 + 12345;
		for (i = 0; i < 1 + (seed >> 16) % 3; i++)
			world_step(w, seed >> 8);
		/* A server answers what it has been asked. */
		if (n_servers < 3 && (servers[n_servers] = world_server_try(w, a)) >= 0)
			n_servers++;
		for (k = 0; k < n_servers; k++) {
			n = recv(servers[k], got, sizeof(got) - 1, MSG_DONTWAIT);
			if (n <= 0)
				continue;
			got[n] = 0;
			ck_assert_int_eq(
				sscanf(got, "GET /%u/%u HTTP/1.1\r\nHost: x\r\n\r\n", &who, &what),
				2);
			ck_assert_ptr_null(strstr(got + 1, "GET"));
			memset(body, 'A' + (int)who, sizeof(body));
			snprintf(answer, sizeof(answer),
				 "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n%.*s", what * 10 + 1,
				 (int)what * 10 + 1, body);
			ck_assert_uint_eq(world_send_some(w, servers[k], answer, strlen(answer)),
					  strlen(answer));
		}
		/* A client that has its answer asks again. */
		i = (seed >> 20) % MANY;
		n = recv(clients[i], got, sizeof(got) - 1, MSG_DONTWAIT);
		if (n <= 0)
			continue;
		got[n] = 0;
		memset(body, 'A' + (int)i, sizeof(body));
		snprintf(answer, sizeof(answer),
			 "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n%.*s", done[i] * 10 + 1,
			 (int)done[i] * 10 + 1, body);
		ck_assert_str_eq(got, answer);
		done[i] = (done[i] + 1) % 250;
		snprintf(request, sizeof(request), "GET /%u/%u HTTP/1.1\r\nHost: x\r\n\r\n", i,
			 done[i]);
		ck_assert_uint_eq(world_send_some(w, clients[i], request, strlen(request)),
				  strlen(request));
	}
	ck_assert_uint_gt(counts(w)->status_2xx, 50);
	ck_assert_uint_eq(w->targets[a].n_connects, 3);
	world_free(w);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("proxy_http");
	TCase *t = tcase_create("proxy_http");

	tcase_add_test(t, a_request_and_its_response);
	tcase_add_test(t, connections_are_kept_on_both_sides);
	tcase_add_test(t, two_clients_take_turns_on_one_connection);
	tcase_add_test(t, pipelined_requests_are_answered_in_order);
	tcase_add_test(t, messages_come_in_any_pieces);
	tcase_add_test(t, clients_of_1_0);
	tcase_add_test(t, responses_without_content);
	tcase_add_test(t, a_client_waits_for_100);
	tcase_add_loop_test(t, long_bodies_pass_unchanged, 0, 2);
	tcase_add_test(t, long_heads_pass_slowly);
	tcase_add_loop_test(t, nothing_is_mixed_up, 0, 3);
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
