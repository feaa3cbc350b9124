/*
 * check_proxy_server.c - connections to servers: kept and shared, opened and failed, given up when
 * their target is down or gone.
 */
#include "proxy_bench.h"

#include <errno.h>
#include <sys/socket.h>

/* --- keeping ---------------------------------------------------------------------------------- */

START_TEST(kept_and_used_again)
{
	struct world *w = bench_new(conf_new());
	struct server_conn *c;
	int server = get(w, 0, a);

	c = user(0)->wish.conn;
	ck_assert_uint_eq(c->requests, 0);
	ck_assert_uint_eq(counts(w, a)->open, 1);
	give_back(w, 0);
	ck_assert_uint_eq(counts(w, a)->idle, 1);
	ck_assert_int_eq(ask(w, 1, a), WISH_GRANTED);
	ck_assert_ptr_eq(user(1)->wish.conn, c);
	ck_assert_uint_eq(c->requests, 1);
	ck_assert_uint_eq(counts(w, a)->reused, 1);
	ck_assert_uint_eq(counts(w, a)->idle, 0);
	ck_assert_uint_eq(counts(w, a)->opened, 1);
	/* Another target's are another's. */
	get(w, 2, b);
	ck_assert_ptr_ne(user(2)->wish.conn, c);
	finish(w, 1);
	world_expect_end(w, server);
	ck_assert_uint_eq(counts(w, a)->open, 0);
	bench_free(w);
}
END_TEST

START_TEST(the_one_used_last_first)
{
	struct world *w = bench_new(conf_new());
	struct server_conn *c[3];

	for (unsigned i = 0; i < 3; i++) {
		get(w, i, a);
		c[i] = user(i)->wish.conn;
	}
	for (unsigned i = 0; i < 3; i++)
		give_back(w, i);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(ask(w, i, a), WISH_GRANTED);
		ck_assert_ptr_eq(user(i)->wish.conn, c[2 - i]);
	}
	bench_free(w);
}
END_TEST

START_TEST(idle_ones_age)
{
	struct params *conf = conf_new();
	struct world *w;
	int first, second;

	world_l7(conf, web)->idle_ms = 5000;
	w = bench_new(conf);
	first = get(w, 0, a);
	second = get(w, 1, a);
	give_back(w, 0);
	world_advance(w, 3000);
	give_back(w, 1);
	world_advance(w, 1999);
	ck_assert(world_is_open(w, first));
	world_advance(w, 20);
	world_expect_end(w, first);
	ck_assert(world_is_open(w, second));
	world_advance(w, 3000);
	world_expect_end(w, second);
	ck_assert_uint_eq(counts(w, a)->open, 0);
	/* One that is in use does not. */
	first = get(w, 0, a);
	give_back(w, 0);
	world_advance(w, 4000);
	ck_assert_int_eq(ask(w, 0, a), WISH_GRANTED);
	world_advance(w, 100000);
	ck_assert(world_is_open(w, first));
	ck_assert_uint_eq(user(0)->n_due, 0);
	bench_free(w);
}
END_TEST

START_TEST(idle_ones_that_speak_or_end)
{
	struct world *w = bench_new(conf_new());
	int server = get(w, 0, a);

	give_back(w, 0);
	world_close(w, server);
	ck_assert_uint_eq(counts(w, a)->open, 0);
	server = get(w, 0, a);
	give_back(w, 0);
	world_send(w, server, "HTTP/1.1 408 Request Timeout\r\n\r\n");
	ck_assert(!world_is_open(w, server));
	ck_assert_uint_eq(counts(w, a)->open, 0);
	ck_assert_uint_eq(counts(w, a)->errors, 0);
	ck_assert_uint_eq(counts(w, a)->connect_failed, 0);
	bench_free(w);
}
END_TEST

/* Before the loop could tell. Loop: a byte, the end. */
START_TEST(not_quiet_when_asked_for)
{
	struct world *w = bench_new(conf_new());
	int server = get(w, 0, a);

	give_back(w, 0);
	if (_i == 0)
		ck_assert_uint_eq(world_send_some(w, server, "x", 1), 1);
	else
		ck_assert_int_eq(shutdown(server, SHUT_WR), 0);
	get(w, 1, a);
	ck_assert(!world_is_open(w, server));
	ck_assert_uint_eq(counts(w, a)->reused, 0);
	bench_free(w);
}
END_TEST

/* proves: HD-16 */
/* What a server sends behind a response is never read as the next one's. */
START_TEST(not_quiet_when_passed_on)
{
	struct params *conf = conf_new();
	struct world *w;
	int server;

	conf->targets[a].max_connections = 1;
	w = bench_new(conf);
	server = get(w, 0, a);
	ck_assert_int_eq(ask(w, 1, a), WISH_WAITS);
	ck_assert_uint_eq(world_send_some(w, server, "x", 1), 1);
	give_back(w, 0);
	ck_assert_uint_gt(user(1)->granted, 0);
	ck_assert(!world_is_open(w, server));
	ck_assert_uint_eq(user(1)->wish.conn->requests, 0);
	bench_free(w);
}
END_TEST

START_TEST(private_ones_are_not_shared)
{
	struct world *w = bench_new(conf_new());
	int shared = get(w, 0, a), private;

	give_back(w, 0);
	user(1)->wish.private = true;
	private = get(w, 1, a);
	ck_assert(world_is_open(w, shared));
	give_back(w, 1);
	world_expect_end(w, private);
	ck_assert_uint_eq(counts(w, a)->idle, 1);
	bench_free(w);
}
END_TEST

START_TEST(fresh_ones)
{
	struct params *conf = conf_new();
	struct world *w;
	int old;

	conf->targets[a].max_connections = 1;
	w = bench_new(conf);
	old = get(w, 0, a);
	give_back(w, 0);
	user(1)->wish.fresh = true;
	get(w, 1, a);
	world_expect_end(w, old);
	/* And who waits for a fresh one does not get one that was used. */
	user(2)->wish.fresh = true;
	ck_assert_int_eq(ask(w, 2, a), WISH_WAITS);
	give_back(w, 1);
	ck_assert_uint_gt(user(2)->granted, 0);
	ck_assert_uint_eq(user(2)->wish.conn->requests, 0);
	bench_free(w);
}
END_TEST

/* --- connecting ------------------------------------------------------------------------------- */

START_TEST(connect_timeout)
{
	struct params *conf = conf_new();
	struct world *w;

	conf->targets[a].max_connections = 1;
	world_l7(conf, web)->connect_ms = 1000;
	w = bench_new(conf);
	w->targets[a].connect = WORLD_SILENT;
	ck_assert_int_eq(ask(w, 0, a), WISH_WAITS);
	ck_assert_int_eq(ask(w, 1, a), WISH_WAITS);
	ck_assert_uint_eq(counts(w, a)->open, 1);
	world_advance(w, 999);
	ck_assert_uint_eq(user(0)->n_denied, 0);
	w->targets[a].connect = WORLD_ANSWERS;
	world_advance(w, 20);
	ck_assert(denied(0, SERVER_TIMEOUT));
	ck_assert_uint_eq(counts(w, a)->connect_failed, 1);
	/* The next in line tries for itself. */
	ck_assert_uint_gt(user(1)->granted, 0);
	ck_assert_uint_eq(w->targets[a].n_connects, 2);
	bench_free(w);
}
END_TEST

START_TEST(refused_is_told_to_one)
{
	struct params *conf = conf_new();
	struct world *w;

	conf->targets[a].max_connections = 1;
	w = bench_new(conf);
	w->targets[a].connect = WORLD_SILENT;
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(ask(w, i, a), WISH_WAITS);
	w->targets[a].connect = WORLD_REFUSES;
	forget(w, 0); /* and the second has the connection that is under way */
	ck_assert_uint_eq(counts(w, a)->waiting, 2);
	ck_assert_uint_eq(w->targets[a].n_connects, 1);
	world_answer(w, a);
	ck_assert_uint_gt(user(1)->granted, 0);
	finish(w, 1);
	ck_assert(denied(2, SERVER_REFUSED));
	ck_assert_int_eq(user(2)->wish.error, ECONNRESET);
	ck_assert(denied(3, SERVER_REFUSED));
	ck_assert_uint_eq(w->targets[a].n_connects, 3);
	ck_assert_uint_eq(counts(w, a)->connect_failed, 2);
	ck_assert_uint_eq(counts(w, a)->opened, 1);
	bench_free(w);
}
END_TEST

START_TEST(refused_at_once)
{
	struct params *conf = conf_new();
	struct world *w;

	conf->targets[a].max_connections = 1;
	w = bench_new(conf);
	get(w, 0, a);
	for (unsigned i = 1; i < 4; i++)
		ask(w, i, a);
	w->targets[a].connect = WORLD_FAILS;
	w->targets[a].connect_error = ENETUNREACH;
	ck_assert_int_eq(ask(w, 4, a), WISH_WAITS);
	finish(w, 0);
	for (unsigned i = 1; i < 5; i++) {
		ck_assert(denied(i, SERVER_REFUSED));
		ck_assert_int_eq(user(i)->wish.error, ENETUNREACH);
	}
	ck_assert_uint_eq(w->targets[a].n_connects, 5);
	ck_assert_int_eq(ask(w, 0, a), WISH_DENIED);
	ck_assert_int_eq(user(0)->wish.denied, SERVER_REFUSED);
	ck_assert_int_eq(user(0)->wish.error, ENETUNREACH);
	bench_free(w);
}
END_TEST

START_TEST(no_descriptors)
{
	struct world *w = bench_new(conf_new());

	for (unsigned i = 0; i < 12; i++)
		get(w, i, b);
	for (unsigned i = 0; i < 12; i++)
		give_back(w, i);
	w->targets[a].connect = WORLD_FAILS;
	w->targets[a].connect_error = EMFILE;
	ck_assert_int_eq(ask(w, 20, a), WISH_DENIED);
	ck_assert_int_eq(user(20)->wish.denied, SERVER_REFUSED);
	ck_assert_int_eq(user(20)->wish.error, EMFILE);
	/* Idle connections were given up for it, some of them. */
	ck_assert_uint_eq(w->targets[a].n_connects, 9);
	ck_assert_uint_eq(counts(w, b)->idle, 4);
	ck_assert_uint_eq(counts(w, a)->connect_failed, 1);
	/* For what is no shortage none are. */
	w->targets[a].connect_error = ECONNREFUSED;
	ck_assert_int_eq(ask(w, 20, a), WISH_DENIED);
	ck_assert_uint_eq(counts(w, b)->idle, 4);
	bench_free(w);
}
END_TEST

START_TEST(forgotten_while_connecting)
{
	struct world *w = bench_new(conf_new());
	int server;

	w->targets[a].connect = WORLD_SILENT;
	ask(w, 0, a);
	server = world_server(w, a);
	forget(w, 0);
	ck_assert(world_is_open(w, server));
	world_answer(w, a);
	ck_assert_uint_eq(counts(w, a)->idle, 1);
	ck_assert_int_eq(ask(w, 1, a), WISH_GRANTED);
	ck_assert_uint_eq(user(1)->wish.conn->requests, 0);
	ck_assert_uint_eq(counts(w, a)->reused, 0);
	bench_free(w);
}
END_TEST

START_TEST(under_way_for_nobody)
{
	struct world *w = bench_new(conf_new());
	int server;

	w->targets[a].connect = WORLD_SILENT;
	ask(w, 0, a);
	server = world_server(w, a);
	forget(w, 0);
	/* Whoever asks next has it, with all the time there is. */
	world_advance(w, 3000);
	ask(w, 1, a);
	ck_assert_uint_eq(w->targets[a].n_connects, 1);
	world_advance(w, 3000);
	ck_assert_uint_eq(user(1)->n_denied, 0);
	world_answer(w, a);
	ck_assert_uint_gt(user(1)->granted, 0);
	finish(w, 1);
	world_expect_end(w, server);
	/* Nobody asks, and nobody answers. */
	ask(w, 2, a);
	server = world_server(w, a);
	forget(w, 2);
	world_advance(w, 4100);
	world_expect_end(w, server);
	/* One client's own is of use to nobody else. */
	user(3)->wish.private = true;
	ask(w, 3, a);
	server = world_server(w, a);
	forget(w, 3);
	world_expect_end(w, server);
	bench_free(w);
}
END_TEST

/* Granted in the same breath, but not told yet. */
START_TEST(forgotten_before_it_is_told)
{
	struct params *conf = conf_new();
	struct world *w;

	conf->targets[a].max_connections = 2;
	w = bench_new(conf);
	get(w, 0, a);
	get(w, 1, a);
	ask(w, 2, a);
	ask(w, 3, a);
	ask(w, 4, a);
	user(2)->forgets = user(3);
	server_return(w->proxy, &user(0)->wish);
	server_return(w->proxy, &user(1)->wish);
	proxy_settle(w->proxy);
	ck_assert_uint_gt(user(2)->granted, 0);
	ck_assert_uint_eq(user(3)->granted, 0);
	ck_assert_uint_gt(user(4)->granted, 0);
	ck_assert_uint_eq(w->targets[a].n_connects, 2);
	bench_free(w);
}
END_TEST

/* --- targets that are down or gone ------------------------------------------------------------ */

START_TEST(target_down)
{
	struct params *conf = conf_new();
	struct world *w;
	int idle, busy, silent;

	conf->targets[a].max_connections = 2;
	w = bench_new(conf);
	idle = get(w, 0, b);
	give_back(w, 0);
	busy = get(w, 1, a);
	w->targets[a].connect = WORLD_SILENT;
	ask(w, 2, a);
	silent = world_server(w, a);
	ask(w, 3, a);
	world_stand(w, b, L7_TARGET_DRAINED);
	world_advance(w, 1100);
	ck_assert(world_is_open(w, idle));
	world_stand(w, b, L7_TARGET_DOWN);
	world_stand(w, a, L7_TARGET_DOWN);
	world_advance(w, 1100);
	world_expect_end(w, idle);
	ck_assert(world_is_open(w, busy));
	ck_assert_uint_gt(user(1)->n_stranded, 0); /* its own business */
	ck_assert_uint_eq(user(0)->n_stranded, 0);
	ck_assert(denied(2, SERVER_GONE));
	ck_assert(denied(3, SERVER_GONE));
	world_expect_end(w, silent);
	ck_assert_uint_eq(counts(w, a)->connect_failed, 0);
	bench_free(w);
}
END_TEST

/* a is gone, b has another index and the service, too. */
static struct params *conf_without_a(void)
{
	struct params *conf = world_conf();
	uint16_t first = world_service(conf, "first");

	web = world_service(conf, "web");
	world_target(conf, first, "c");
	b = world_target(conf, web, "b");
	return conf;
}

START_TEST(target_gone)
{
	struct params *conf = conf_new();
	struct world *w;
	int idle_a, idle_b, busy_a, busy_b;

	conf->targets[a].max_connections = 3;
	w = bench_new(conf);
	idle_a = get(w, 0, a);
	busy_a = get(w, 1, a);
	idle_b = get(w, 2, b);
	busy_b = get(w, 3, b);
	give_back(w, 0);
	give_back(w, 2);
	w->targets[a].connect = WORLD_SILENT;
	ask(w, 4, a); /* gets the idle one */
	ask(w, 5, a);
	ask(w, 6, a);
	ck_assert_uint_eq(counts(w, a)->waiting, 1);
	give_back(w, 4); /* and 6 has it now */
	world_configure(w, conf_without_a());
	ck_assert(denied(5, SERVER_GONE));
	ck_assert(world_is_open(w, busy_a));
	ck_assert(world_is_open(w, idle_a));
	ck_assert(world_is_open(w, idle_b));
	ck_assert_uint_eq(user(3)->wish.target, b);
	ck_assert_uint_eq(user(3)->wish.service, web);
	ck_assert_uint_eq(counts(w, b)->open, 2);
	ck_assert_uint_eq(counts(w, b)->idle, 1);
	give_back(w, 3);
	ck_assert_uint_eq(counts(w, b)->idle, 2);
	ck_assert(world_is_open(w, busy_b));
	ck_assert_int_eq(ask(w, 7, b), WISH_GRANTED);
	give_back(w, 1);
	world_expect_end(w, busy_a);
	finish(w, 6);
	world_expect_end(w, idle_a);
	bench_free(w);
}
END_TEST

START_TEST(target_elsewhere)
{
	struct params *conf = conf_new(), *other = conf_new();
	struct world *w = bench_new(conf);
	int idle = get(w, 0, a), busy = get(w, 1, a);

	give_back(w, 0);
	ck_assert_int_eq(ipaddr_parse(&other->targets[a].v4, "10.99.0.1"), 0);
	world_configure(w, other);
	world_expect_end(w, idle);
	ck_assert(world_is_open(w, busy));
	ck_assert_uint_eq(counts(w, a)->open, 0);
	get(w, 2, a);
	ck_assert_uint_eq(counts(w, a)->open, 1);
	give_back(w, 1);
	world_expect_end(w, busy);
	ck_assert_uint_eq(counts(w, a)->open, 1);
	bench_free(w);
}
END_TEST

START_TEST(limit_raised)
{
	struct params *conf = conf_new(), *other = conf_new();
	struct world *w;

	conf->targets[a].max_connections = 1;
	other->targets[a].max_connections = 3;
	w = bench_new(conf);
	get(w, 0, a);
	for (unsigned i = 1; i < 4; i++)
		ask(w, i, a);
	world_configure(w, other);
	ck_assert_uint_gt(user(1)->granted, 0);
	ck_assert_uint_gt(user(2)->granted, 0);
	ck_assert_uint_eq(user(3)->granted, 0);
	ck_assert_uint_eq(counts(w, a)->open, 3);
	bench_free(w);
}
END_TEST

START_TEST(not_a_target)
{
	struct world *w = bench_new(conf_new());
	struct endpoint to = {.port = 80};

	user(0)->wish.target = PARAMS_NONE;
	ck_assert_int_eq(server_ask(w->proxy, &user(0)->wish, &to, NULL), WISH_DENIED);
	ck_assert_int_eq(user(0)->wish.denied, SERVER_GONE);
	bench_free(w);
}
END_TEST

static void add_keeping(Suite *s)
{
	TCase *t = tcase_create("keeping");

	tcase_add_test(t, kept_and_used_again);
	tcase_add_test(t, the_one_used_last_first);
	tcase_add_test(t, idle_ones_age);
	tcase_add_test(t, idle_ones_that_speak_or_end);
	tcase_add_loop_test(t, not_quiet_when_asked_for, 0, 2);
	tcase_add_test(t, not_quiet_when_passed_on);
	tcase_add_test(t, private_ones_are_not_shared);
	tcase_add_test(t, fresh_ones);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
}

static void add_connecting(Suite *s)
{
	TCase *t = tcase_create("connecting");

	tcase_add_test(t, connect_timeout);
	tcase_add_test(t, refused_is_told_to_one);
	tcase_add_test(t, refused_at_once);
	tcase_add_test(t, no_descriptors);
	tcase_add_test(t, forgotten_while_connecting);
	tcase_add_test(t, under_way_for_nobody);
	tcase_add_test(t, forgotten_before_it_is_told);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
}

static void add_leaving(Suite *s)
{
	TCase *t = tcase_create("leaving");

	tcase_add_test(t, target_down);
	tcase_add_test(t, target_gone);
	tcase_add_test(t, target_elsewhere);
	tcase_add_test(t, limit_raised);
	tcase_add_test(t, not_a_target);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
}

int main(void)
{
	Suite *s = suite_create("proxy_server");
	SRunner *sr;
	int failed;

	add_keeping(s);
	add_connecting(s);
	add_leaving(s);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
