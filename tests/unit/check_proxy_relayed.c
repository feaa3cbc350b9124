/*
 * check_proxy_relayed.c - connections that are made as the client: to servers (l7/2), and from
 * dispatcher to dispatcher (HD-18), the whole way.
 */
#include <stdlib.h>

#include "relay_conf.h"

#define SWITCH_ASK                                                                                 \
	"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s\r\n"
#define SWITCHED "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"

/* --- as the client ---------------------------------------------------------------------------- */

static struct params *conf_by_mac(void)
{
	struct params *conf = conf_new();

	conf->services[web].technology = TECHNOLOGY_L7_2;
	world_l7(conf, web)->cookie = L7_COOKIE_NONE;
	return conf;
}

static void serve(struct world *w, int client, int server)
{
	world_send(w, client, GET);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	world_expect(w, client, OK);
}

/* proves: HD-8 */
/* What was opened as one client serves that client alone, on whichever of its connections. */
START_TEST(each_client_has_its_own_connections)
{
	struct world *w = start(conf_by_mac());
	int x = client_at(w, "198.51.100.1", 2000), y = client_at(w, "198.51.100.2", 2000);
	int z = client_at(w, "198.51.100.1", 2001), of_x, of_y;
	struct endpoint to;

	world_send(w, x, GET);
	of_x = world_server(w, a);
	world_expect(w, of_x, GET);
	to = world_to(w, of_x);
	ck_assert(ipaddr_eq(&to.addr, &w->conf->services[web].addresses[0]));
	ck_assert_uint_eq(to.port, 80);
	ck_assert(is_from(w, of_x, "198.51.100.1"));
	world_send(w, of_x, OK);
	world_expect(w, x, OK);
	world_send(w, y, GET);
	of_y = world_server(w, a);
	ck_assert(is_from(w, of_y, "198.51.100.2"));
	world_expect(w, of_y, GET);
	world_send(w, of_y, OK);
	world_expect(w, y, OK);
	serve(w, z, of_x);
	serve(w, y, of_y);
	serve(w, x, of_x);
	ck_assert_uint_eq(w->targets[a].n_connects, 2);
	ck_assert_uint_eq(w->targets[a].counts.idle, 2);
	world_free(w);
}
END_TEST

/* A place is taken from another client's idle connection, the one not used for longest. */
START_TEST(idle_ones_of_others_make_room)
{
	struct params *conf = conf_by_mac();
	int clients[3], servers[3];
	struct world *w;

	conf->targets[a].max_connections = 2;
	w = start(conf);
	for (unsigned i = 0; i < 3; i++) {
		char address[32];

		snprintf(address, sizeof(address), "198.51.100.%u", i + 1);
		clients[i] = client_at(w, address, 2000);
		if (i == 2) /* the first has been used since */
			serve(w, clients[0], servers[0]);
		world_send(w, clients[i], GET);
		servers[i] = world_server(w, a);
		world_expect(w, servers[i], GET);
		world_send(w, servers[i], OK);
		world_expect(w, clients[i], OK);
	}
	world_expect_end(w, servers[1]);
	ck_assert(world_is_open(w, servers[0]));
	ck_assert_uint_eq(w->targets[a].counts.open, 2);
	world_free(w);
}
END_TEST

/* A server that has another address by now is another machine. */
START_TEST(by_mac_over_a_reload)
{
	struct params *same = conf_by_mac(), *moved = conf_by_mac();
	struct world *w = start(conf_by_mac());
	int client = client_at(w, "198.51.100.1", 2000), server;

	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	world_configure(w, same);
	serve(w, client, server);
	ck_assert_int_eq(ipaddr_parse(&moved->targets[a].v4, "10.99.0.1"), 0);
	world_configure(w, moved);
	world_expect_end(w, server);
	world_send(w, client, GET);
	server = world_server(w, a);
	world_expect(w, server, GET);
	world_free(w);
}
END_TEST

/* --- relayed in ------------------------------------------------------------------------------- */

/* proves: HD-18 */
START_TEST(what_another_dispatcher_relays)
{
	struct endpoint from = world_endpoint("198.51.100.7", 40000);
	struct params *conf = conf_new();
	const struct l7_relay_counts *c;
	struct world *w;
	int client, server;
	char rest[65536];

	world_l7(conf, web)->forwarded = L7_FORWARDED_X;
	w = start_found(conf);
	c = &w->peers[near].counts;
	client = world_client_relayed(w, web, &from, near);
	ck_assert_uint_eq(c->connections, 1);
	ck_assert_uint_eq(c->connections_open, 1);
	world_send(w, client, request(w, "b"));
	server = world_server(w, b);
	world_expect_start(w, server, "GET", rest);
	ck_assert_ptr_nonnull(strstr(rest, "X-Forwarded-For: 198.51.100.7\r\n"));
	ck_assert_uint_eq(w->serves, b);
	ck_assert_uint_eq(w->served.port, 40000);
	ck_assert(ipaddr_eq(&w->served.addr, &from.addr));
	ck_assert_uint_eq(c->requests_open, 1);
	world_send(w, server, OK);
	world_expect(w, client, OK);
	ck_assert_uint_eq(w->serves, PARAMS_NONE);
	ck_assert_int_eq(w->serving, 0);
	ck_assert_uint_eq(c->requests_open, 0);
	ck_assert_uint_eq(c->bytes_out, 2);
	/* One that is not here, either: it is not sent on, but stays. */
	world_send(w, client, request(w, "elsewhere"));
	server = world_server(w, a);
	world_expect_start(w, server, "GET", NULL);
	world_send(w, server, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
	world_expect_start(w, client, "HTTP/1.1 503", rest);
	ck_assert_ptr_nonnull(strstr(rest, "Set-Cookie: SRV="));
	ck_assert_uint_eq(w->find.n_asked, 0);
	ck_assert_uint_eq(c->requests, 2);
	ck_assert_uint_eq(c->errors, 1);
	/* Not to its end. */
	world_send(w, client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	world_send(w, server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi");
	world_close(w, server);
	ck_assert_uint_eq(c->errors, 2);
	ck_assert_uint_eq(c->bytes_in, 3);
	ck_assert_uint_eq(c->connections_open, 0);
	ck_assert_uint_eq(w->peers[far].counts.connections, 0);
	world_free(w);
}
END_TEST

/* Who relays it may have servers that can: 0: none is up here; 1: it refuses; 2: it is silent. */
START_TEST(what_nobody_here_serves)
{
	struct endpoint from = world_endpoint("198.51.100.7", 40000);
	struct world *w = start_found(conf_new());
	const unsigned own[] = {503, 502, 504};

	if (_i == 0)
		w->services[web].chosen = PARAMS_NONE;
	w->targets[a].connect = w->targets[b].connect = _i == 1 ? WORLD_REFUSES : WORLD_SILENT;
	for (unsigned i = 0; i < 2; i++) {
		int client = i ? world_client(w, web) : world_client_relayed(w, web, &from, near);

		world_send(w, client, GET);
		if (_i == 2)
			world_advance(w, 20000);
		expect_status(w, client, i ? own[_i] : 421);
	}
	world_free(w);
}
END_TEST

/* --- two dispatchers -------------------------------------------------------------------------- */

/* What comes out of the one's relay goes into the other, and back, until nothing moves. An end of
 * the one is an end of the other. */
struct bridge {
	struct world *w[2];
	int fd[2]; /* 0: the relay's end, 1: the client's end at the other dispatcher */
};

static bool carry(struct bridge *x, unsigned from)
{
	static char bytes[65536];
	size_t n = world_recv(x->w[from], x->fd[from], bytes, sizeof(bytes));

	if (n > 0)
		world_send_bytes(x->w[!from], x->fd[!from], bytes, n);
	return n > 0;
}

static void bridge_run(struct bridge *x)
{
	bool up, down;

	do {
		up = carry(x, 0);
		down = carry(x, 1);
	} while (up || down);
}

static struct bridge bridge_new(struct world *here, struct world *there)
{
	struct bridge x = {.w = {here, there}};
	struct endpoint from = {.port = 50000};

	x.fd[0] = world_server(here, world_relay(far));
	from.addr = world_from(here, x.fd[0]);
	x.fd[1] = world_client_relayed(there, web, &from, near);
	return x;
}

/* Here there is only "a"; there, "b" as well, by MAC. */
static struct world *here_new(void)
{
	struct world *w = start_found(conf_new());

	w->not_alone = true;
	return w;
}

static struct world *there_new(void)
{
	struct params *conf = conf_new();
	struct world *w;

	conf->services[web].technology = TECHNOLOGY_L7_2;
	w = start(conf);
	w->not_alone = true;
	return w;
}

#define PIPELINED 5
#define BODY 20000

struct pair {
	struct bridge x;
	int client, server; /* -1: not yet */
	uint8_t body[BODY]; /* that both send, and nobody else */
};

/* All requests at once; the n-th has a longer body. */
static void pair_asks(struct world *here, struct pair *y, unsigned i)
{
	char head[512], address[32];

	snprintf(address, sizeof(address), "198.51.100.%u", i + 1);
	memset(y->body, 'x' + (int)i, BODY);
	y->client = client_at(here, address, 2000);
	y->server = -1;
	for (unsigned n = 0; n < PIPELINED; n++) {
		snprintf(head, sizeof(head),
			 "PUT /%u/%u HTTP/1.1\r\nHost: x\r\n%sContent-Length: %u\r\n\r\n", i, n,
			 cookie(here, "via"), 1000 * n);
		world_send_some(here, y->client, head, strlen(head));
		world_send_some(here, y->client, y->body, 1000 * n);
	}
}

/* What has come begins so, and ends in so much of the pair's own. */
static void pair_got(struct world *w, int fd, const struct pair *y, const char *start, size_t body)
{
	char *got = calloc(1, 65536);
	size_t size = world_recv(w, fd, got, 65535);

	ck_assert_int_eq(strncmp(got, start, strlen(start)), 0);
	ck_assert_mem_eq(got + size - body, y->body, body);
	free(got);
}

/* proves: HD-18 */
/* Two clients of one relay, requests in a row, bodies both ways: each gets its own. */
START_TEST(two_dispatchers)
{
	struct world *here = here_new(), *there = there_new();
	struct pair *pairs = calloc(2, sizeof(*pairs));
	char text[128], address[32];

	for (unsigned i = 0; i < 2; i++) {
		pair_asks(here, &pairs[i], i);
		pairs[i].x = bridge_new(here, there);
	}
	there->services[web].chosen = b;
	for (unsigned k = 0; k < 2 * PIPELINED; k++) {
		unsigned i = k % 2, n = k / 2;
		struct pair *y = &pairs[i];

		bridge_run(&y->x);
		y->server = n == 0 ? world_server(there, b) : y->server;
		snprintf(address, sizeof(address), "198.51.100.%u", i + 1);
		ck_assert(is_from(there, y->server, address));
		snprintf(text, sizeof(text), "PUT /%u/%u HTTP/1.1\r\n", i, n);
		pair_got(there, y->server, y, text, 1000 * n);
		snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n",
			 2000 * n);
		world_send(there, y->server, text);
		world_send_bytes(there, y->server, y->body, 2000 * n);
		bridge_run(&y->x);
		pair_got(here, y->client, y, "HTTP/1.1 200 OK\r\n", 2000 * n);
	}
	ck_assert_uint_eq(there->peers[near].counts.requests, 2 * PIPELINED);
	ck_assert_uint_eq(there->peers[near].counts.errors, 0);
	ck_assert_uint_eq(there->find.n_asked, 0);
	ck_assert_uint_eq(here->peers[far].relay.n_connects, 2);
	ck_assert_uint_eq(counts(here)->cookie_made, 0);
	free(pairs);
	world_free(there);
	world_free(here);
}
END_TEST

/* A long body each way, by splice; then the other dispatcher goes in the middle of one. */
START_TEST(long_bodies_and_an_end)
{
	struct world *here = here_new(), *there = there_new();
	uint8_t *body = malloc(1000000);
	uint64_t hash = 0, got = 0;
	struct bridge x;
	int client, server;
	char text[65536];

	for (unsigned i = 0; i < 1000000; i++)
		body[i] = (uint8_t)(i * 7 + i / 251);
	hash = world_hash(0, body, 1000000);
	client = world_client(here, web);
	world_send(here, client, request(here, "via"));
	x = bridge_new(here, there);
	there->services[web].chosen = b;
	bridge_run(&x);
	server = world_server(there, b);
	world_expect_start(there, server, "GET", NULL);
	world_send(there, server, "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n");
	for (size_t at = 0, taken = 0; taken < 1000000;) {
		size_t n;

		at += world_send_some(there, server, body + at,
				      at + 40000 > 1000000 ? 1000000 - at : 40000);
		bridge_run(&x);
		n = world_recv(here, client, text, sizeof(text));
		if (taken == 0 && n > 0) {
			char *end = strstr(text, "\r\n\r\n");

			ck_assert_ptr_nonnull(end);
			n -= (size_t)(end + 4 - text);
			memmove(text, end + 4, n);
		}
		got = n > 0 ? world_hash(got, text, n) : got;
		taken += n;
	}
	ck_assert_uint_eq(got, hash);
	world_close(here, x.fd[0]);
	world_expect_abort(here, client);
	ck_assert_uint_eq(counts(here)->aborted_server, 1);
	world_close(there, x.fd[1]);
	world_send(there, server, "more");
	world_expect_abort(there, server);
	ck_assert_uint_eq(there->peers[near].counts.errors, 1);
	free(body);
	world_free(there);
	world_free(here);
}
END_TEST

START_TEST(websocket_over_a_relay)
{
	struct world *here = here_new(), *there = there_new();
	int client = world_client(here, web), server;
	char text[512];
	struct bridge x;

	snprintf(text, sizeof(text), SWITCH_ASK, cookie(here, "via"));
	world_send(here, client, text);
	x = bridge_new(here, there);
	there->services[web].chosen = b;
	bridge_run(&x);
	server = world_server(there, b);
	world_expect_start(there, server, "GET /ws", NULL);
	world_send(there, server, SWITCHED "first");
	bridge_run(&x);
	world_expect_start(here, client, "HTTP/1.1 101 Switching", NULL);
	for (unsigned i = 0; i < 3; i++) {
		world_send(here, client, "ping");
		bridge_run(&x);
		world_expect(there, server, "ping");
		world_send(there, server, "pong");
		bridge_run(&x);
		world_expect(here, client, "pong");
	}
	ck_assert_uint_eq(there->serves, b);
	world_close(here, client);
	world_expect_end(here, x.fd[0]);
	world_close(there, x.fd[1]);
	world_expect_end(there, server);
	world_close(there, server);
	ck_assert_int_eq(there->serving, 0);
	world_close(here, x.fd[0]);
	ck_assert_uint_eq(here->peers[far].relay.counts.open, 0);
	world_free(there);
	world_free(here);
}
END_TEST

/* --- reload ----------------------------------------------------------------------------------- */

/* Members have other indices (0), or the relay's dispatcher is gone (1). */
START_TEST(members_change)
{
	struct params *conf = conf_new(), *other = world_conf();
	struct endpoint from = world_endpoint("198.51.100.7", 40000);
	struct world *w = start_found(conf);
	int x = client_at(w, "198.51.100.1", 1), y = client_at(w, "198.51.100.2", 1), idle, busy;
	int relayed = world_client_relayed(w, web, &from, near);
	const char *text = request(w, "elsewhere");

	world_send(w, x, text);
	idle = world_server(w, world_relay(far));
	world_expect(w, idle, text);
	world_send(w, idle, OK);
	world_expect(w, x, OK);
	world_send(w, y, text);
	busy = world_server(w, world_relay(far));
	world_expect(w, busy, text);
	/* The other way round, and with other targets. */
	if (_i == 0)
		far = world_member(other, "far");
	world_member(other, "third");
	near = world_member(other, "near");
	web = world_service(other, "web");
	other->services[web].l7 = conf->services[web].l7;
	b = world_target(other, web, "b");
	world_configure(w, other);
	w->find.relay = world_relay(far);
	ck_assert_uint_eq(w->peers[near].counts.connections_open, 1);
	world_send(w, busy, OK);
	world_expect(w, y, OK);
	ck_assert_str_eq(world_last(w)->server, _i == 0 ? "far" : "");
	if (_i == 0) {
		world_send(w, x, text);
		world_expect(w, idle, text);
		ck_assert_uint_eq(w->peers[far].relay.counts.open, 2);
	} else {
		world_expect_end(w, idle);
		world_expect_end(w, busy);
	}
	world_close(w, relayed);
	ck_assert_uint_eq(w->peers[near].counts.connections_open, 0);
	world_free(w);
}
END_TEST

/* The dispatcher that relays is gone from the configuration: its clients are served, and still
 * nobody is asked about them. */
START_TEST(who_relays_is_gone)
{
	struct endpoint from = world_endpoint("198.51.100.7", 40000);
	struct params *other = conf_new();
	struct world *w = start_found(conf_new());
	int relayed = world_client_relayed(w, web, &from, near);

	snprintf(other->members[near].name, sizeof(other->members[near].name), "new");
	world_configure(w, other);
	world_send(w, relayed, request(w, "elsewhere"));
	world_expect_start(w, world_server(w, a), "GET", NULL);
	ck_assert_uint_eq(w->find.n_asked, 0);
	ck_assert_uint_eq(w->serves, a);
	world_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proxy_relayed");
	TCase *t = tcase_create("relayed");
	SRunner *r;
	int failed;

	tcase_add_test(t, each_client_has_its_own_connections);
	tcase_add_test(t, idle_ones_of_others_make_room);
	tcase_add_test(t, by_mac_over_a_reload);
	tcase_add_test(t, what_another_dispatcher_relays);
	tcase_add_loop_test(t, what_nobody_here_serves, 0, 3);
	tcase_add_test(t, two_dispatchers);
	tcase_add_test(t, long_bodies_and_an_end);
	tcase_add_test(t, websocket_over_a_relay);
	tcase_add_loop_test(t, members_change, 0, 2);
	tcase_add_test(t, who_relays_is_gone);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
