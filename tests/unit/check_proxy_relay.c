/*
 * check_proxy_relay.c - requests whose cookie names a server that another dispatcher is connected
 * to (HD-18): found, sought, relayed, and what becomes of them when that fails.
 */
#include <errno.h>

#include "relay_conf.h"

/* --- relayed out ------------------------------------------------------------------------------ */

/* proves: HD-18 */
/* As the client sent it, from the client's address, for the service's: the other dispatcher does
 * all the rest. */
START_TEST(a_request_goes_to_who_has_its_server)
{
	struct params *conf = conf_new();
	char text[512], answer[512];
	int client, relay;
	struct world *w;

	world_l7(conf, web)->forwarded = L7_FORWARDED_X;
	world_l7(conf, web)->proxy_protocol = true;
	world_l7(conf, web)->cookie = _i == 0 ? L7_COOKIE_INSERT : L7_COOKIE_PREFIX;
	w = start_found(conf);
	snprintf(text, sizeof(text), "%s", request(w, "elsewhere"));
	if (_i == 1) { /* the server's own value is behind it */
		char *end = strstr(text, "\r\n\r\n");

		snprintf(end, sizeof(text) - (size_t)(end - text), "~own\r\n\r\n");
	}
	client = client_at(w, "198.51.100.9", 3000);
	world_send(w, client, text);
	relay = world_server(w, world_relay(far));
	world_expect(w, relay, text);
	ck_assert(is_from(w, relay, "198.51.100.9"));
	ck_assert_uint_eq(world_to(w, relay).port, 80);
	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 200 OK\r\nSet-Cookie: SRV=x; Path=/\r\nContent-Length: 2\r\n\r\nhi");
	world_send(w, relay, answer);
	world_expect(w, client, answer);
	ck_assert_uint_eq(w->find.server, name_id("elsewhere"));
	ck_assert_uint_eq(w->find.n_asked, 1);
	ck_assert_uint_eq(counts(w)->cookie_valid, 1);
	ck_assert_uint_eq(counts(w)->cookie_made, 0);
	ck_assert_str_eq(world_last(w)->server, "far");
	ck_assert_str_eq(world_last(w)->cookie, "valid");
	ck_assert_uint_eq(w->peers[far].relay.counts.requests, 1);
	ck_assert_uint_eq(w->peers[far].relay.counts.bytes_out, 2);
	ck_assert_uint_eq(w->peers[far].relay.n_flows, 1);
	ck_assert_uint_eq(w->services[web].n_chosen, 0);
	/* It is kept for the client's next. */
	world_send(w, client, text);
	world_expect(w, relay, text);
	ck_assert_uint_eq(w->peers[far].relay.counts.reused, 1);
	world_free(w);
}
END_TEST

/* A target that the configuration says is connected elsewhere; and one of this node's. */
START_TEST(who_is_asked_for)
{
	struct world *w = start_found(conf_new());
	int client = world_client(w, web);

	world_send(w, client, request(w, "via"));
	world_expect_start(w, world_server(w, world_relay(far)), "GET", NULL);
	ck_assert_uint_eq(w->find.server, name_id("via"));
	client = world_client(w, web);
	world_send(w, client, request(w, "b"));
	world_expect_start(w, world_server(w, b), "GET", NULL);
	ck_assert_uint_eq(w->find.n_asked, 1);
	world_free(w);
}
END_TEST

START_TEST(nobody_is_asked)
{
	struct params *conf = conf_new();
	struct world *w;
	int client;

	world_l7(conf, web)->relay = L7_RELAY_NONE; /* the world asserts that it is not asked */
	w = start_found(conf);
	client = world_client(w, web);
	world_send(w, client, request(w, _i == 0 ? "via" : "elsewhere"));
	world_expect_start(w, world_server(w, a), "GET", NULL);
	ck_assert_uint_eq(counts(w)->cookie_moved, 1);
	world_free(w);
}
END_TEST

static const struct {
	const char *cookie;
	const char *sought; /* NULL: nobody */
	bool own;	    /* b */
} own_cookies[] = {
	{"SRV=1.elsewhere", "elsewhere", false},
	{"SRV=1.via", "via", false},
	{"SRV=1.b", NULL, true},
	{"SRV=1.elsewhere; SRV=1.b", NULL, true},
	{"SRV=1.b; SRV=1.a", NULL, true},
	{"SRV=1.elsewhere; SRV=other", "elsewhere", false},
	{"SRV=1.one; SRV=1.two", "one", false},
	{"SRV=elsewhere", NULL, false},
	{"SRV=1.", NULL, false},
};

START_TEST(servers_that_name_themselves)
{
	struct params *conf = conf_new();
	char text[256];
	struct world *w;
	uint16_t to = a;
	int client;

	world_l7(conf, web)->cookie = L7_COOKIE_OWN;
	w = start_found(conf);
	if (own_cookies[_i].own)
		to = b;
	if (own_cookies[_i].sought)
		to = world_relay(far);
	client = world_client(w, web);
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n",
		 own_cookies[_i].cookie);
	world_send(w, client, text);
	world_expect(w, world_server(w, to), text);
	ck_assert_uint_eq(w->find.n_asked, own_cookies[_i].sought != NULL);
	if (own_cookies[_i].sought)
		ck_assert_uint_eq(w->find.server, name_id(own_cookies[_i].sought));
	world_free(w);
}
END_TEST

/* A target of another route of the service: the cookie is left alone, as one of this node's is. */
START_TEST(a_cookie_of_another_route)
{
	struct params *conf = conf_new();
	uint16_t route = world_route(conf, web, "r"), c = world_target(conf, route, "c");
	struct world *w;
	char rest[65536];
	int client, server;

	snprintf(conf->services[route].route.path, sizeof(conf->services[route].route.path), "/a");
	w = start_found(conf);
	client = world_client(w, web);
	world_send(w, client, request(w, "via"));
	server = world_server(w, c);
	world_expect_start(w, server, "GET", NULL);
	world_send(w, server, OK);
	world_expect_start(w, client, "HTTP/1.1 200", rest);
	ck_assert_ptr_null(strstr(rest, "Set-Cookie"));
	ck_assert_uint_eq(w->find.n_asked, 0);
	world_free(w);
}
END_TEST

/* --- relays that fail ------------------------------------------------------------------------- */

/* Down, refused, silent: another server has the client from then on. */
START_TEST(a_relay_that_is_of_no_use)
{
	struct params *conf = conf_new();
	struct world *w;
	char rest[65536];
	int client, server;

	w = start_found(conf);
	if (_i == 0)
		world_stand(w, world_relay(far), L7_TARGET_DOWN);
	w->peers[far].relay.connect = _i == 1	? WORLD_REFUSES
				      : _i == 2 ? WORLD_SILENT
						: WORLD_FAILS;
	w->peers[far].relay.connect_error = EHOSTUNREACH;
	client = world_client(w, web);
	world_send(w, client, request(w, "elsewhere"));
	if (_i == 2)
		world_advance(w, 6000);
	server = world_server(w, a);
	world_expect(w, server, GET); /* the cookie is taken out, as ever */
	world_send(w, server, OK);
	world_expect_start(w, client, "HTTP/1.1 200", rest);
	ck_assert_ptr_nonnull(strstr(rest, "Set-Cookie: SRV="));
	ck_assert_uint_eq(counts(w)->cookie_moved, 1);
	ck_assert_uint_eq(counts(w)->cookie_made, 1);
	ck_assert_uint_eq(w->peers[far].relay.n_connects, _i != 0);
	ck_assert_str_eq(world_last(w)->server, "a");
	world_free(w);
}
END_TEST

/* 0: before the head; 1: behind it; 2: on a connection that was kept, and the next serves. */
START_TEST(a_relay_that_dies)
{
	struct world *w = start_found(conf_new());
	int client = world_client(w, web), relay;
	const char *text = request(w, "elsewhere");

	world_send(w, client, text);
	relay = world_server(w, world_relay(far));
	world_expect(w, relay, text);
	if (_i == 1)
		world_send(w, relay, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi");
	if (_i == 2) {
		world_send(w, relay, OK);
		world_expect(w, client, OK);
		world_send(w, client, text);
	}
	world_close(w, relay);
	if (_i == 0)
		expect_status(w, client, 502);
	if (_i == 1)
		world_expect_abort(w, client);
	if (_i < 2) {
		world_free(w);
		return;
	}
	relay = world_server(w, world_relay(far));
	world_expect(w, relay, text);
	world_send(w, relay, OK);
	world_expect(w, client, OK);
	ck_assert_uint_eq(counts(w)->retries, 1);
	world_free(w);
}
END_TEST

#define MISDIRECTED                                                                                \
	"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* proves: HD-17 HD-18 */
/* Who is connected to the server says that it is not to be had: 0: one of this node's serves, with
 * a new cookie; 1: also what is not idempotent; 2: not what has not been kept, but the client gets
 * the cookie for the next time; 3: nor where no other is; 4: what a server itself says passes. */
START_TEST(the_server_is_not_there)
{
	static char text[100000], rest[65536];
	struct world *w = start_found(conf_new());
	int client = world_client(w, web), relay, server;

	snprintf(text, sizeof(text), "%s", request(w, "elsewhere"));
	if (_i == 1 || _i == 2)
		snprintf(text, sizeof(text),
			 "POST /a HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%0*d",
			 cookie(w, "elsewhere"), _i == 1 ? 4 : 60000, _i == 1 ? 4 : 60000, 7);
	w->services[web].chosen = _i == 3 ? PARAMS_NONE : a;
	world_send(w, client, text);
	relay = world_server(w, world_relay(far));
	world_expect(w, relay, text);
	world_send(w, relay, MISDIRECTED);
	if (_i == 2 || _i == 3) {
		world_expect_start(w, client, "HTTP/1.1 421", rest);
		ck_assert_int_eq(strstr(rest, "Set-Cookie: SRV=") != NULL, _i == 2);
		ck_assert_uint_eq(w->targets[a].n_connects, 0);
		world_free(w);
		return;
	}
	server = world_server(w, a);
	world_expect_start(w, server, _i == 1 ? "POST" : "GET", rest);
	ck_assert_ptr_null(strstr(rest, "SRV="));
	if (_i == 1)
		ck_assert_str_eq(rest + strlen(rest) - 4, "0007");
	world_send(w, server, _i == 4 ? MISDIRECTED : OK);
	world_expect_start(w, client, _i == 4 ? "HTTP/1.1 421" : "HTTP/1.1 200", rest);
	ck_assert_ptr_nonnull(strstr(rest, "Set-Cookie: SRV="));
	ck_assert_uint_eq(counts(w)->cookie_moved, 1);
	ck_assert_uint_eq(counts(w)->retries, 1);
	ck_assert_uint_eq(w->targets[a].n_connects, 1);
	world_expect_abort(w, relay);
	world_free(w);
}
END_TEST

/* Idle connections end; what was asked and not answered goes to a server of this node's. */
START_TEST(a_relay_goes_down)
{
	struct world *w = start_found(conf_new());
	int x = client_at(w, "198.51.100.1", 1), y = client_at(w, "198.51.100.2", 1), idle, busy;
	const char *text = request(w, "elsewhere");

	world_send(w, x, text);
	idle = world_server(w, world_relay(far));
	world_expect(w, idle, text);
	world_send(w, idle, OK);
	world_expect(w, x, OK);
	world_send(w, y, text);
	busy = world_server(w, world_relay(far));
	world_expect(w, busy, text);
	world_stand(w, world_relay(far), L7_TARGET_DOWN);
	world_advance(w, 1100);
	world_expect_end(w, idle);
	world_expect_abort(w, busy);
	busy = world_server(w, a);
	world_expect(w, busy, GET);
	world_send(w, busy, OK);
	expect_status(w, y, 200);
	ck_assert_uint_eq(counts(w)->cookie_moved, 1);
	world_free(w);
}
END_TEST

/* --- word that comes later -------------------------------------------------------------------- */

enum outcome { IS_FOUND, IS_NOBODY, IS_LATE, IS_OWN, RELAY_OFF, SERVICE_GOES, ENDS };

/* The configuration becomes another while a client waits. */
static void reload(struct world *w, enum outcome how)
{
	struct params *conf = conf_new();

	if (how == IS_OWN)
		b = world_target(conf, web, "elsewhere");
	if (how == RELAY_OFF)
		world_l7(conf, web)->relay = L7_RELAY_NONE;
	if (how == SERVICE_GOES)
		snprintf(conf->services[web].name, sizeof(conf->services[web].name), "other");
	world_configure(w, conf);
}

static void happen(struct world *w, enum outcome how)
{
	switch (how) {
	case IS_FOUND:
	case IS_NOBODY:
		w->find.found = how == IS_FOUND ? L7_FOUND : L7_FOUND_NOBODY;
		w->find.relay = world_relay(far);
		world_found(w);
		break;
	case IS_LATE:
		world_advance(w, 490);
		ck_assert_int_eq(world_server_try(w, a), -1);
		world_advance(w, 50);
		break;
	case ENDS:
		break;
	default:
		reload(w, how);
	}
}

START_TEST(word_comes_later)
{
	enum outcome how = (enum outcome)_i;
	struct world *w = start(conf_new());
	int client = world_client(w, web), server;
	char text[512];

	snprintf(text, sizeof(text), "%s", request(w, "elsewhere"));
	w->find.found = L7_FOUND_LATER;
	world_send(w, client, text);
	ck_assert_int_eq(world_server_try(w, a), -1);
	world_found(w); /* of somebody else's */
	ck_assert_uint_eq(w->find.n_asked, 2);
	ck_assert_int_eq(world_server_try(w, a), -1);
	ck_assert_uint_eq(counts(w)->requests_open, 1);
	happen(w, how);
	if (how == ENDS) {
		world_free(w);
		return;
	}
	if (how == SERVICE_GOES) {
		expect_status(w, client, 503);
		world_free(w);
		return;
	}
	server = world_server(w, how == IS_FOUND ? world_relay(far) : how == IS_OWN ? b : a);
	world_expect(w, server, how == IS_FOUND ? text : GET);
	world_send(w, server, OK);
	expect_status(w, client, 200);
	ck_assert_uint_eq(counts(w)->cookie_valid, how == IS_FOUND || how == IS_OWN);
	ck_assert_uint_eq(counts(w)->cookie_unknown, how != IS_FOUND && how != IS_OWN);
	ck_assert_str_eq(world_last(w)->cookie,
			 how == IS_FOUND || how == IS_OWN ? "valid" : "unknown");
	world_free(w);
}
END_TEST

/* With a reset: there is something that it has not read. One that has only said all waits on. */
START_TEST(the_client_goes_meanwhile)
{
	struct world *w = start(conf_new());
	int client = world_client(w, web), other = world_client(w, web), server;

	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	w->find.found = L7_FOUND_LATER;
	world_send(w, client, request(w, "elsewhere"));
	world_send(w, other, request(w, "elsewhere"));
	world_shutdown(w, other);
	ck_assert_uint_eq(counts(w)->requests_open, 2);
	world_close(w, client);
	ck_assert_uint_eq(counts(w)->requests_open, 1);
	ck_assert_uint_eq(counts(w)->aborted_client, 1);
	w->find.found = L7_FOUND_NOBODY;
	world_found(w);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	expect_status(w, other, 200);
	world_free(w);
}
END_TEST

/* Several wait, one whose next request is there already and waits in its turn. */
START_TEST(all_that_wait_are_told)
{
	struct world *w = start(conf_new());
	int clients[3];
	char text[1024], other[512];

	w->find.found = L7_FOUND_LATER;
	snprintf(other, sizeof(other), "%s", request(w, "one"));
	snprintf(text, sizeof(text), "%s%s", other, request(w, "two"));
	for (unsigned i = 0; i < 3; i++) {
		clients[i] = world_client(w, web);
		world_send(w, clients[i], i == 1 ? text : other);
	}
	w->find.found = L7_FOUND_NOBODY;
	world_found(w);
	for (unsigned i = 0; i < 3; i++) {
		int server = world_server(w, a);

		world_expect(w, server, GET);
		w->find.found = L7_FOUND_LATER;
		world_send(w, server, OK);
		expect_status(w, clients[i], 200);
	}
	ck_assert_uint_eq(counts(w)->requests_open, 1);
	ck_assert_uint_eq(w->find.server, name_id("two"));
	world_advance(w, 600);
	ck_assert_uint_eq(counts(w)->cookie_unknown, 4);
	world_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proxy_relay");
	TCase *t = tcase_create("relay");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, a_request_goes_to_who_has_its_server, 0, 2);
	tcase_add_test(t, who_is_asked_for);
	tcase_add_loop_test(t, nobody_is_asked, 0, 2);
	tcase_add_loop_test(t, servers_that_name_themselves, 0,
			    sizeof(own_cookies) / sizeof(own_cookies[0]));
	tcase_add_test(t, a_cookie_of_another_route);
	tcase_add_loop_test(t, a_relay_that_is_of_no_use, 0, 4);
	tcase_add_loop_test(t, a_relay_that_dies, 0, 3);
	tcase_add_loop_test(t, the_server_is_not_there, 0, 5);
	tcase_add_test(t, a_relay_goes_down);
	tcase_add_loop_test(t, word_comes_later, 0, ENDS + 1);
	tcase_add_test(t, the_client_goes_meanwhile);
	tcase_add_test(t, all_that_wait_are_told);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
