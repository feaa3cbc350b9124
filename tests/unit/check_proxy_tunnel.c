/*
 * check_proxy_tunnel.c - what passes the proxy unread: WebSocket, TLS, the PROXY protocol.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_world.h"

#define UPGRADE                                                                                    \
	"GET /ws HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"           \
	"Sec-WebSocket-Version: 13\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCHED                                                                                   \
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

static uint16_t web, a, b, route;

static struct params *conf_new(bool tls)
{
	struct params *conf = world_conf();

	web = world_service(conf, "web");
	world_l7(conf, web)->content = tls ? L7_CONTENT_TLS : L7_CONTENT_HTTP;
	route = world_route(conf, web, "b");
	snprintf(conf->services[route].route.host, 256, "b.example");
	a = world_target(conf, web, "a");
	b = world_target(conf, route, "b");
	return conf;
}

static const struct l7_service_counts *counts(const struct world *w)
{
	return &w->services[web].counts;
}

static void open_websocket(struct world *w, int *client, int *server, const char *early)
{
	char answer[512];

	*client = world_client(w, web);
	world_send(w, *client, UPGRADE);
	*server = world_server(w, a);
	world_expect(w, *server, UPGRADE);
	snprintf(answer, sizeof(answer), "%s%s", SWITCHED, early);
	world_send(w, *server, answer);
	world_expect(w, *client, answer);
}

START_TEST(websocket_passes_both_ways)
{
	struct world *w = world_new(conf_new(false));
	int client, server;

	open_websocket(w, &client, &server, "early");
	world_send(w, client, "ping");
	world_expect(w, server, "ping");
	world_send(w, server, "pong");
	world_expect(w, client, "pong");
	ck_assert_uint_eq(w->n_records, 0);
	ck_assert_int_eq(w->targets[a].flows, 1);
	/* Half of it ends, the other stays. */
	world_shutdown(w, client);
	world_expect_end(w, server);
	world_send(w, server, "still here");
	world_expect(w, client, "still here");
	world_close(w, server);
	world_expect_end(w, client);
	ck_assert(!world_is_open(w, client));
	ck_assert_uint_eq(counts(w)->tunnels, 1);
	ck_assert_uint_eq(counts(w)->status_1xx, 1);
	ck_assert_uint_eq(w->n_records, 1);
	ck_assert_uint_eq(world_last(w)->record.status, 101);
	ck_assert_uint_eq(world_last(w)->record.received, 4);
	ck_assert_uint_eq(world_last(w)->record.sent, 19);
	ck_assert_str_eq(world_last(w)->target, "/ws");
	world_free(w);
}
END_TEST

START_TEST(a_tunnel_that_is_silent_ends)
{
	struct world *w = world_new(conf_new(false));
	int client, server;

	open_websocket(w, &client, &server, "");
	for (unsigned i = 0; i < 3; i++) {
		world_advance(w, 3000000);
		ck_assert(world_is_open(w, client));
		world_send(w, i % 2 ? client : server, "x");
		world_expect(w, i % 2 ? server : client, "x");
	}
	world_advance(w, 3600100);
	ck_assert(!world_is_open(w, client));
	ck_assert(!world_is_open(w, server));
	world_free(w);
}
END_TEST

START_TEST(a_server_that_does_not_switch)
{
	struct world *w = world_new(conf_new(false));
	int client = world_client(w, web), server;

	world_send(w, client, UPGRADE "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	server = world_server(w, a);
	world_expect(w, server, UPGRADE);
	world_send(w, server, "HTTP/1.1 204 No Content\r\n\r\n");
	world_expect(w, client, "HTTP/1.1 204 No Content\r\n\r\n");
	world_expect(w, server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	world_free(w);
}
END_TEST

/* --- TLS -------------------------------------------------------------------------------------- */

/* A ClientHello for that name, and nothing but what must be there. */
static size_t hello(uint8_t *out, const char *name)
{
	static const uint8_t front[] = {0x16, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3};
	size_t n = strlen(name), at = sizeof(front);

	memcpy(out, front, at);
	memset(out + at, 7, 32);
	at += 32;
	memcpy(out + at, "\0\0\2\x13\x01\1\0", 7); /* session id, one suite, no compression */
	at += 7;
	out[at++] = 0;
	out[at++] = (uint8_t)(n + 9);
	out[at++] = 0; /* server_name */
	out[at++] = 0;
	out[at++] = 0;
	out[at++] = (uint8_t)(n + 5);
	out[at++] = 0;
	out[at++] = (uint8_t)(n + 3);
	out[at++] = 0;
	out[at++] = 0;
	out[at++] = (uint8_t)n;
	memcpy(out + at, name, n);
	at += n;
	out[4] = (uint8_t)(at - 5);
	out[8] = (uint8_t)(at - 9);
	return at;
}

/* proves: HD-8 */
START_TEST(tls_goes_by_name)
{
	struct world *w = world_new(conf_new(true));
	uint8_t bytes[256], got[256];
	size_t size = hello(bytes, _i == 0 ? "a.example" : "b.example");
	int client = world_client(w, web), server;

	for (size_t i = 0; i < size; i++)
		world_send_bytes(w, client, bytes + i, 1);
	server = world_server(w, _i == 0 ? a : b);
	ck_assert_uint_eq(world_recv(w, server, got, sizeof(got)), size);
	ck_assert_mem_eq(got, bytes, size);
	world_send(w, server, "server hello");
	world_expect(w, client, "server hello");
	world_send(w, client, "finished");
	world_expect(w, server, "finished");
	world_close(w, server);
	world_expect_end(w, client);
	world_close(w, client);
	ck_assert_uint_eq(w->n_records, 1);
	ck_assert_str_eq(world_last(w)->host, _i == 0 ? "a.example" : "b.example");
	ck_assert_str_eq(world_last(w)->server, _i == 0 ? "a" : "b");
	ck_assert_uint_eq(world_last(w)->record.received, size + 8);
	ck_assert_uint_eq(w->services[_i == 0 ? web : route].counts.tunnels, 1);
	world_free(w);
}
END_TEST

START_TEST(tls_is_refused)
{
	struct world *w = world_new(conf_new(true));
	int client = world_client(w, web);

	world_send(w, client, "GET / HTTP/1.1\r\n\r\n");
	ck_assert(!world_is_open(w, client));
	ck_assert_uint_eq(counts(w)->refused, 1);
	ck_assert_str_eq(world_last(w)->reason, "not-tls");
	client = world_client(w, web);
	world_send(w, client, "\x16\x03\x01");
	world_advance(w, 10100);
	world_expect_end(w, client);
	world_free(w);
}
END_TEST

START_TEST(tls_without_a_server)
{
	struct world *w = world_new(conf_new(true));
	uint8_t bytes[256];
	size_t size = hello(bytes, "a.example");
	int client = world_client(w, web);

	w->services[web].chosen = PARAMS_NONE;
	world_send_bytes(w, client, bytes, size);
	world_expect_end(w, client); /* and no page */
	w->services[web].chosen = a;
	w->targets[a].connect = WORLD_REFUSES;
	client = world_client(w, web);
	world_send_bytes(w, client, bytes, size);
	world_expect_end(w, client);
	ck_assert_uint_eq(counts(w)->unrouted, 1);
	ck_assert_uint_eq(counts(w)->server_errors, 1);
	world_free(w);
}
END_TEST

/* --- PROXY protocol --------------------------------------------------------------------------- */

static const uint8_t signature[] = {13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10, 0x21, 0x11};

START_TEST(proxy_protocol_goes_first)
{
	struct params *conf = conf_new(_i == 1);
	uint8_t bytes[256], got[512];
	const char *request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	size_t size = _i == 1 ? hello(bytes, "a.example") : 0;
	struct world *w;
	int client, server;

	world_l7(conf, web)->proxy_protocol = true;
	w = world_new(conf);
	client = world_client(w, web);
	for (unsigned i = 0; i < 2 && (_i == 0 || i == 0); i++) {
		if (_i == 1)
			world_send_bytes(w, client, bytes, size);
		else
			world_send(w, client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		server = world_server(w, a);
		ck_assert_uint_eq(world_recv(w, server, got, sizeof(got)),
				  28 + (_i == 1 ? size : strlen(request)));
		ck_assert_mem_eq(got, signature, sizeof(signature));
		ck_assert_mem_eq(got + 16, "\306\063\144\001", 4);
		ck_assert_mem_eq(got + 28, _i == 1 ? (void *)bytes : (const void *)request,
				 _i == 1 ? size : strlen(request));
		if (_i == 1)
			break;
		world_send(w, server, "HTTP/1.1 204 No Content\r\n\r\n");
		world_expect(w, client, "HTTP/1.1 204 No Content\r\n\r\n");
		world_expect_end(w, server); /* never another's */
	}
	world_free(w);
}
END_TEST

START_TEST(a_long_tunnel)
{
	struct world *w = world_new(conf_new(false));
	static uint8_t up[400000], down[400000], got[65536];
	uint64_t up_hash, down_hash, up_seen = 0, down_seen = 0;
	size_t sent[2] = {0, 0}, came[2] = {0, 0};
	int client, server;

	for (size_t i = 0; i < sizeof(up); i++) {
		up[i] = (uint8_t)(i * 7 >> 3);
		down[i] = (uint8_t)(i * 11 >> 5);
	}
	up_hash = world_hash(0, up, sizeof(up));
	down_hash = world_hash(0, down, sizeof(down));
	w->buffer = 4096;
	open_websocket(w, &client, &server, "");
	while (came[0] < sizeof(up) || came[1] < sizeof(down)) {
		size_t n;

		if (sent[0] < sizeof(up))
			sent[0] += world_send_some(w, client, up + sent[0], sizeof(up) - sent[0]);
		if (sent[1] < sizeof(down))
			sent[1] +=
				world_send_some(w, server, down + sent[1], sizeof(down) - sent[1]);
		n = world_recv(w, server, got, 1000);
		up_seen = world_hash(up_seen, got, n);
		came[0] += n;
		n = world_recv(w, client, got, 3000);
		down_seen = world_hash(down_seen, got, n);
		came[1] += n;
	}
	ck_assert(up_seen == up_hash && down_seen == down_hash);
	world_free(w);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("proxy_tunnel");
	TCase *t = tcase_create("proxy_tunnel");

	tcase_add_test(t, websocket_passes_both_ways);
	tcase_add_test(t, a_tunnel_that_is_silent_ends);
	tcase_add_test(t, a_server_that_does_not_switch);
	tcase_add_loop_test(t, tls_goes_by_name, 0, 2);
	tcase_add_test(t, tls_is_refused);
	tcase_add_test(t, tls_without_a_server);
	tcase_add_loop_test(t, proxy_protocol_goes_first, 0, 2);
	tcase_add_test(t, a_long_tunnel);
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
