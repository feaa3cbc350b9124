/*
 * check_proxy_cookie.c - clients that stay with their server by a cookie, through a whole proxy.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_world.h"

#define OK "HTTP/1.1 204 No Content\r\n\r\n"

static uint16_t web, a, b;
static const uint8_t secret[COOKIE_SECRET] = {1, 2, 3};

static struct params *conf_new(enum l7_cookie kind)
{
	struct params *conf = world_conf();
	struct l7_params *l7;

	web = world_service(conf, "web");
	l7 = world_l7(conf, web);
	l7->cookie = kind;
	l7->cookie_drain_s = 60;
	snprintf(l7->cookie_name, sizeof(l7->cookie_name), "SRV");
	snprintf(l7->cookie_pattern, sizeof(l7->cookie_pattern), "*.%%");
	a = world_target(conf, web, "a");
	b = world_target(conf, web, "b");
	return conf;
}

static struct world *world_with_key(struct params *conf)
{
	struct world *w = world_new(conf);

	ck_assert_int_eq(proxy_add_cookie_key(w->proxy, 1, secret, true), 0);
	return w;
}

static const struct l7_service_counts *counts(const struct world *w)
{
	return &w->services[web].counts;
}

static void send_request(struct world *w, int client, const char *cookie)
{
	char request[512];

	snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: x\r\n%s%s%s\r\n",
		 cookie[0] ? "Cookie: " : "", cookie, cookie[0] ? "\r\n" : "");
	world_send(w, client, request);
}

/* The value that the response sets, from the start of `rest`; "" = none. */
static void cookie_of(const char *response, char out[256])
{
	const char *at = strstr(response, "Set-Cookie: SRV=");
	size_t n = at ? strcspn(at + 16, ";\r") : 0;

	ck_assert_uint_lt(n, 256);
	memcpy(out, at ? at + 16 : "", n);
	out[n] = 0;
}

/* One request of a client of its own; the target that it came to, and the cookie it was given. */
static uint16_t visit(struct world *w, const char *cookie, const char *answer, char seen[256],
		      char given[256])
{
	static int servers[2] = {-1, -1};
	static const struct world *of;
	static char request[65536], response[65536];
	uint16_t target = PARAMS_NONE;
	int client = world_client(w, web);

	if (of != w)
		servers[0] = servers[1] = -1;
	of = w;
	send_request(w, client, cookie);
	for (unsigned i = 0; i < 2 && target == PARAMS_NONE; i++) {
		int next = world_server_try(w, i == 0 ? a : b);

		if (next >= 0)
			servers[i] = next;
		if (servers[i] < 0)
			continue;
		request[0] = 0;
		size_t n = world_recv(w, servers[i], request, sizeof(request) - 1);

		request[n] = 0;
		if (n > 0) {
			target = i == 0 ? a : b;
			world_send(w, servers[i], answer);
		}
	}
	ck_assert_uint_ne(target, PARAMS_NONE);
	if (seen)
		snprintf(seen, 256, "%.255s",
			 strstr(request, "Cookie: ") ? strstr(request, "Cookie: ") : "");
	world_expect_start(w, client, "HTTP/1.1 2", response);
	cookie_of(response, given);
	world_close(w, client);
	return target;
}

/* proves: HD-17 */
START_TEST(an_inserted_cookie_keeps_its_client)
{
	struct world *w = world_with_key(conf_new(L7_COOKIE_INSERT));
	char given[256], again[256], cookie[300], seen[256];

	w->services[web].chosen = b;
	ck_assert_uint_eq(visit(w, "", OK, NULL, given), b);
	ck_assert_uint_eq(strlen(given), COOKIE_TOKEN);
	ck_assert_uint_eq(counts(w)->cookie_absent, 1);
	ck_assert_uint_eq(counts(w)->cookie_made, 1);
	w->services[web].chosen = a;
	snprintf(cookie, sizeof(cookie), "x=1; SRV=%s", given);
	ck_assert_uint_eq(visit(w, cookie, OK, seen, again), b);
	ck_assert_str_eq(again, "");
	ck_assert_ptr_nonnull(strstr(seen, "x=1"));
	ck_assert_ptr_null(strstr(seen, "SRV")); /* the server does not see it */
	ck_assert_uint_eq(counts(w)->cookie_valid, 1);
	ck_assert_str_eq(world_last(w)->cookie, "valid");
	/* Half of its time has passed. */
	world_advance(w, 13 * 3600 * 1000);
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), b);
	ck_assert_uint_eq(strlen(again), COOKIE_TOKEN);
	world_advance(w, 12 * 3600 * 1000);
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), a);
	ck_assert_uint_eq(counts(w)->cookie_expired, 1);
	cookie[10] ^= 1;
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), a);
	ck_assert_uint_eq(counts(w)->cookie_forged + counts(w)->cookie_unknown, 1);
	world_free(w);
}
END_TEST

/* proves: HD-17 */
/* One that lasts for so long is renewed when half of that has passed, and says so. */
START_TEST(cookies_that_last_are_renewed)
{
	struct params *conf = conf_new(L7_COOKIE_INSERT);
	char given[256], again[256], cookie[300];
	struct world *w;

	world_l7(conf, web)->cookie_age_s = 1000;
	w = world_with_key(conf);
	w->services[web].chosen = b;
	ck_assert_uint_eq(visit(w, "", OK, NULL, given), b);
	snprintf(cookie, sizeof(cookie), "SRV=%s", given);
	w->services[web].chosen = a;
	world_advance(w, 499000);
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), b);
	ck_assert_str_eq(again, "");
	world_advance(w, 2000);
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), b);
	ck_assert_uint_eq(strlen(again), COOKIE_TOKEN);
	ck_assert_uint_eq(counts(w)->cookie_made, 2);
	/* The old one ends when it was to end, the new one lasts. */
	world_advance(w, 500000);
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, given), a);
	ck_assert_uint_eq(counts(w)->cookie_expired, 1);
	snprintf(cookie, sizeof(cookie), "SRV=%s", again);
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, given), b);
	world_free(w);
}
END_TEST

START_TEST(servers_that_are_down_or_drained_lose_their_clients)
{
	struct world *w = world_with_key(conf_new(L7_COOKIE_INSERT));
	char given[256], again[256], cookie[300];

	w->services[web].chosen = b;
	ck_assert_uint_eq(visit(w, "", OK, NULL, given), b);
	w->services[web].chosen = a;
	snprintf(cookie, sizeof(cookie), "SRV=%s", given);
	world_stand(w, b, L7_TARGET_DRAINED);
	world_advance(w, 59000);
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), b);
	world_advance(w, 1100);
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), a);
	ck_assert_uint_eq(strlen(again), COOKIE_TOKEN);
	ck_assert_uint_eq(counts(w)->cookie_moved, 1);
	world_stand(w, b, L7_TARGET_TAKES);
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), b);
	world_stand(w, b, L7_TARGET_DOWN);
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), a);
	ck_assert_uint_eq(counts(w)->cookie_moved, 2);
	world_free(w);
}
END_TEST

/* proves: HD-17 */
START_TEST(a_prefix_is_put_on_and_taken_off)
{
	struct world *w = world_with_key(conf_new(L7_COOKIE_PREFIX));
	char given[256], again[256], cookie[300], seen[256];

	w->services[web].chosen = b;
	ck_assert_uint_eq(
		visit(w, "", "HTTP/1.1 204 No Content\r\nSet-Cookie: SRV=abc\r\n\r\n", NULL, given),
		b);
	ck_assert_uint_eq(strlen(given), COOKIE_TOKEN + 4);
	ck_assert_str_eq(given + COOKIE_TOKEN, "~abc");
	w->services[web].chosen = a;
	snprintf(cookie, sizeof(cookie), "SRV=%s", given);
	ck_assert_uint_eq(visit(w, cookie, OK, seen, again), b);
	ck_assert_str_eq(again, "");
	ck_assert_str_eq(seen, "Cookie: SRV=abc\r\n\r\n");
	ck_assert_uint_eq(counts(w)->cookie_made, 1);
	world_free(w);
}
END_TEST

/* proves: HD-17 */
START_TEST(a_server_names_itself)
{
	struct world *w = world_with_key(conf_new(L7_COOKIE_OWN));
	char given[256], seen[256];

	w->services[web].chosen = a;
	ck_assert_uint_eq(visit(w, "SRV=5f2a.b", OK, seen, given), b);
	ck_assert_str_eq(seen, "Cookie: SRV=5f2a.b\r\n\r\n");
	ck_assert_uint_eq(visit(w, "SRV=5f2a.nobody", OK, NULL, given), a);
	ck_assert_uint_eq(visit(w, "SRV=plain", OK, NULL, given), a);
	ck_assert_str_eq(given, "");
	ck_assert_uint_eq(counts(w)->cookie_valid, 1);
	ck_assert_uint_eq(counts(w)->cookie_forged, 2);
	world_free(w);
}
END_TEST

/* The head that the client gets is longer than the one that came, and the client takes nothing for
 * now: head and body wait, and come out whole. */
START_TEST(heads_that_grow_wait_for_their_client)
{
	struct world *w = world_with_key(conf_new(L7_COOKIE_INSERT));
	const char *request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	const char *answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", *at;
	static char got[65536], seen[64];
	unsigned asked = 0, n = 0;
	int client, server;
	size_t size = 0;

	w->buffer = 1;
	client = world_client(w, web);
	for (unsigned i = 0; i < 100; i++)
		world_send(w, client, request);
	server = world_server(w, a);
	do { /* as long as the proxy asks for more, and then as the client reads */
		while (world_recv(w, server, seen, strlen(request)) > 0) {
			world_send(w, server, answer);
			asked++;
		}
		n += asked == 100;
		size += world_recv(w, client, got + size, sizeof(got) - 1 - size);
	} while (n < 2);
	got[size] = 0;
	at = got;
	for (n = 0; n < 100; n++) {
		ck_assert_int_eq(
			strncmp(at, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: SRV=", 52),
			0);
		at = strstr(at, "\r\n\r\nhello");
		ck_assert_ptr_nonnull(at);
		at += 9;
	}
	ck_assert_str_eq(at, "");
	world_free(w);
}
END_TEST

/* proves: HD-17 */
START_TEST(without_a_key_nobody_is_kept)
{
	struct world *w = world_new(conf_new(L7_COOKIE_INSERT));
	char given[256];

	ck_assert_uint_eq(visit(w, "", OK, NULL, given), a);
	ck_assert_str_eq(given, "");
	world_free(w);
}
END_TEST

/* proves: HD-17 */
START_TEST(a_server_that_cannot_be_reached_gives_way)
{
	struct world *w = world_with_key(conf_new(L7_COOKIE_INSERT));
	char given[256], again[256], cookie[300];

	w->services[web].chosen = b;
	ck_assert_uint_eq(visit(w, "", OK, NULL, given), b);
	snprintf(cookie, sizeof(cookie), "SRV=%s", given);
	world_stand(w, b, L7_TARGET_DOWN); /* its idle connection goes */
	world_advance(w, 1100);
	world_stand(w, b, L7_TARGET_TAKES);
	w->targets[b].connect = WORLD_REFUSES;
	w->services[web].chosen = a;
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), a);
	ck_assert_uint_eq(strlen(again), COOKIE_TOKEN);
	ck_assert_uint_eq(counts(w)->cookie_moved, 1);
	ck_assert_uint_eq(counts(w)->retries, 1);
	ck_assert_uint_eq(counts(w)->server_errors, 0);
	world_free(w);
}
END_TEST

/* proves: HD-17 */
START_TEST(a_cookie_of_another_route_is_left_alone)
{
	struct params *conf = conf_new(L7_COOKIE_INSERT);
	uint16_t r = world_route(conf, web, "img"), y = world_target(conf, r, "y");
	char given[256], again[256], cookie[300], request[400], response[65536];
	struct world *w;
	int client, server;

	snprintf(conf->services[r].route.path, sizeof(conf->services[r].route.path), "/img");
	w = world_with_key(conf);
	w->services[web].chosen = b;
	w->services[r].chosen = y;
	ck_assert_uint_eq(visit(w, "", OK, NULL, given), b);
	snprintf(cookie, sizeof(cookie), "SRV=%s", given);
	snprintf(request, sizeof(request), "GET /img/1 HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n",
		 cookie);
	client = world_client(w, web);
	world_send(w, client, request);
	server = world_server(w, y);
	world_expect_start(w, server, "GET /img/1", NULL);
	world_send(w, server, OK);
	world_expect_start(w, client, "HTTP/1.1 204", response);
	ck_assert_ptr_null(strstr(response, "Set-Cookie"));
	ck_assert_uint_eq(w->services[r].counts.cookie_moved, 0);
	w->services[web].chosen = a;
	ck_assert_uint_eq(visit(w, cookie, OK, NULL, again), b);
	ck_assert_str_eq(again, "");
	world_free(w);
}
END_TEST

START_TEST(routes_have_their_own_targets)
{
	struct params *conf = world_conf();
	uint16_t service = world_service(conf, "web"), r = world_route(conf, service, "r");
	uint16_t x = world_target(conf, service, "x"), y = world_target(conf, r, "y");
	struct world *w;
	int client, server;

	snprintf(conf->services[r].route.path, sizeof(conf->services[r].route.path), "/app");
	w = world_new(conf);
	client = world_client(w, service);
	world_send(w, client, "GET /app/1 HTTP/1.1\r\nHost: x\r\n\r\n");
	server = world_server(w, y);
	world_expect_start(w, server, "GET /app/1", NULL);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	world_send(w, client, "GET /apple HTTP/1.1\r\nHost: x\r\n\r\n");
	server = world_server(w, x);
	world_expect_start(w, server, "GET /apple", NULL);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	ck_assert_uint_eq(w->services[r].counts.requests, 1);
	ck_assert_uint_eq(w->services[service].counts.requests, 1);
	ck_assert_uint_eq(w->services[service].counts.connections, 1);
	ck_assert_str_eq(world_last(w)->name, "web");
	world_free(w);
}
END_TEST

START_TEST(forwarded_fields_say_who_asks)
{
	struct params *conf = conf_new(L7_COOKIE_NONE);
	struct world *w;
	int client, server;

	world_l7(conf, web)->forwarded = L7_FORWARDED_X;
	w = world_new(conf);
	client = world_client(w, web);
	world_send(w, client, "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n");
	server = world_server(w, a);
	world_expect(w, server,
		     "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n");
	world_free(w);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("proxy_cookie");
	TCase *t = tcase_create("proxy_cookie");

	tcase_add_test(t, an_inserted_cookie_keeps_its_client);
	tcase_add_test(t, cookies_that_last_are_renewed);
	tcase_add_test(t, servers_that_are_down_or_drained_lose_their_clients);
	tcase_add_test(t, a_prefix_is_put_on_and_taken_off);
	tcase_add_test(t, a_server_names_itself);
	tcase_add_test(t, heads_that_grow_wait_for_their_client);
	tcase_add_test(t, without_a_key_nobody_is_kept);
	tcase_add_test(t, routes_have_their_own_targets);
	tcase_add_test(t, a_server_that_cannot_be_reached_gives_way);
	tcase_add_test(t, a_cookie_of_another_route_is_left_alone);
	tcase_add_test(t, forwarded_fields_say_who_asks);
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
