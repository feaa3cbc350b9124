/*
 * check_proxy_pool.c - limits of targets and the queues before them; and whether all that is
 * counted stays true whatever happens in whatever order.
 */
#include "proxy_bench.h"

#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "proxy/pool.h"

/* --- limits and queues ------------------------------------------------------------------------ */

/* proves: HD-16 */
START_TEST(in_line)
{
	struct params *conf = conf_new();
	struct world *w;

	conf->targets[a].max_connections = 2;
	w = bench_new(conf);
	get(w, 0, a);
	get(w, 1, a);
	for (unsigned i = 2; i < 6; i++)
		ck_assert_int_eq(ask(w, i, a), WISH_WAITS);
	ck_assert_uint_eq(counts(w, a)->waiting, 4);
	ck_assert_uint_eq(w->targets[a].n_connects, 2);
	give_back(w, 1);
	ck_assert_uint_eq(user(2)->granted, 3);
	ck_assert_uint_eq(w->targets[a].n_connects, 2);
	forget(w, 3);
	ck_assert_uint_eq(counts(w, a)->waiting, 2);
	finish(w, 0);
	ck_assert_uint_eq(user(3)->granted, 0);
	ck_assert_uint_eq(user(4)->granted, 4);
	ck_assert_uint_eq(w->targets[a].n_connects, 3);
	/* Another target has its own limit. */
	get(w, 10, b);
	give_back(w, 2);
	ck_assert_uint_gt(user(5)->granted, 0);
	ck_assert_uint_eq(counts(w, a)->waiting, 0);
	ck_assert_uint_eq(counts(w, a)->open, 2);
	bench_free(w);
}
END_TEST

START_TEST(one_limit_for_all_ports)
{
	struct params *conf = conf_new();
	struct world *w;
	int at_80;

	conf->targets[a].max_connections = 1;
	conf->targets[a].port = 0;
	w = bench_new(conf);
	ck_assert_int_eq(ask_at(w, 0, a, 80), WISH_WAITS);
	at_80 = world_server(w, a);
	ck_assert_int_eq(ask_at(w, 1, a, 81), WISH_WAITS);
	ck_assert_uint_eq(user(1)->granted, 0);
	ck_assert_int_eq(ask_at(w, 2, a, 80), WISH_WAITS);
	/* Who was first is first, wherever. */
	give_back(w, 0);
	world_expect_end(w, at_80);
	ck_assert_uint_gt(user(1)->granted, 0);
	ck_assert_uint_eq(user(1)->wish.conn->pool->to.port, 81);
	ck_assert_uint_eq(user(2)->granted, 0);
	finish(w, 1);
	ck_assert_uint_gt(user(2)->granted, 0);
	give_back(w, 2);
	/* An idle one makes room. */
	ck_assert_uint_eq(counts(w, a)->idle, 1);
	ck_assert_int_eq(ask_at(w, 3, a, 81), WISH_WAITS);
	ck_assert_uint_gt(user(3)->granted, 0);
	ck_assert_uint_eq(counts(w, a)->open, 1);
	ck_assert_uint_eq(counts(w, a)->idle, 0);
	bench_free(w);
}
END_TEST

START_TEST(no_more_idle_than_allowed)
{
	struct params *conf = conf_new();
	struct world *w;
	int servers[4];

	world_l7(conf, web)->max_idle = 2;
	w = bench_new(conf);
	for (unsigned i = 0; i < 4; i++)
		servers[i] = get(w, i, a);
	for (unsigned i = 0; i < 4; i++)
		give_back(w, i);
	ck_assert_uint_eq(counts(w, a)->idle, 2);
	ck_assert_uint_eq(counts(w, a)->open, 2);
	/* The newer ones are kept. */
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(world_is_open(w, servers[i]), i >= 2);
	bench_free(w);
}
END_TEST

START_TEST(queue_full)
{
	struct params *conf = conf_new();
	struct world *w;

	conf->targets[a].max_connections = 1;
	conf->targets[a].port = 0;
	world_l7(conf, web)->max_queue = 2;
	w = bench_new(conf);
	ck_assert_int_eq(ask_at(w, 0, a, 80), WISH_WAITS);
	ck_assert_int_eq(ask_at(w, 1, a, 80), WISH_WAITS);
	ck_assert_int_eq(ask_at(w, 2, a, 81), WISH_WAITS);
	ck_assert_int_eq(ask_at(w, 3, a, 80), WISH_DENIED);
	ck_assert_int_eq(user(3)->wish.denied, SERVER_QUEUE_FULL);
	ck_assert_uint_eq(user(3)->n_denied, 0);
	forget(w, 1);
	ck_assert_int_eq(ask_at(w, 3, a, 80), WISH_WAITS);
	bench_free(w);
}
END_TEST

START_TEST(queue_timeout)
{
	struct params *conf = conf_new();
	struct world *w;

	conf->targets[a].max_connections = 1;
	world_l7(conf, web)->queue_ms = 2000;
	w = bench_new(conf);
	get(w, 0, a);
	ask(w, 1, a);
	world_advance(w, 1000);
	ask(w, 2, a);
	world_advance(w, 999);
	ck_assert_uint_eq(user(1)->n_denied, 0);
	world_advance(w, 20);
	ck_assert(denied(1, SERVER_QUEUE_TIMEOUT));
	ck_assert_uint_eq(user(2)->n_denied, 0);
	ck_assert_uint_eq(counts(w, a)->waiting, 1);
	give_back(w, 0);
	ck_assert_uint_gt(user(2)->granted, 0);
	world_advance(w, 5000);
	ck_assert_uint_eq(user(2)->n_denied, 0);
	bench_free(w);
}
END_TEST

/* --- pools of many clients -------------------------------------------------------------------- */

static enum wish_answer ask_as_number(struct world *w, unsigned i, uint16_t target, unsigned client)
{
	char address[32];

	snprintf(address, sizeof(address), "10.0.%u.%u", client / 250, client % 250 + 1);
	return ask_as(w, i, target, address);
}

#define CLIENTS 1000

/* As many pools as clients, and of one target no more idle connections than may be; pools go when
 * they are empty. */
START_TEST(a_pool_for_each_client)
{
	struct params *conf = conf_new();
	uint16_t far = world_member(conf, "far"), target;
	struct world *w;

	world_l7(conf, web)->max_idle = 100;
	w = bench_new(conf);
	target = _i == 0 ? a : world_relay(far);
	for (unsigned i = 0; i < CLIENTS; i++) {
		ck_assert_int_eq(ask_as_number(w, 0, target, i), WISH_WAITS);
		ck_assert_uint_gt(user(0)->granted, 0);
		world_server(w, target);
		give_back(w, 0);
	}
	ck_assert_uint_eq(world_at(w, target)->counts.idle, 100);
	ck_assert_uint_eq(world_at(w, target)->n_connects, CLIENTS);
	world_advance(w, 1100);
	ck_assert_uint_eq(w->proxy->n_pools, 100);
	/* The last ones are there, each for its own client. */
	for (unsigned i = CLIENTS - 100; i < CLIENTS; i++) {
		ck_assert_int_eq(ask_as_number(w, 0, target, i), WISH_GRANTED);
		give_back(w, 0);
	}
	ck_assert_int_eq(ask_as_number(w, 0, target, CLIENTS - 101), WISH_WAITS);
	finish(w, 0);
	world_advance(w, 40000);
	ck_assert_uint_eq(w->proxy->n_pools, 0);
	ck_assert_uint_eq(world_at(w, target)->counts.open, 0);
	bench_free(w);
}
END_TEST

/* Without descriptors, another target's idle connection gives way, the oldest of where there are
 * most. */
START_TEST(another_target_gives_way)
{
	struct world *w = bench_new(conf_new());
	int first, second, of_b;

	first = get(w, 0, a);
	second = get(w, 1, a);
	of_b = get(w, 2, b);
	for (unsigned i = 0; i < 3; i++)
		give_back(w, i);
	w->targets[b].connect = WORLD_FAILS;
	w->targets[b].connect_error = EMFILE;
	user(3)->wish.private = true;
	ck_assert_int_eq(ask(w, 3, b), WISH_DENIED);
	world_expect_end(w, first);
	world_expect_end(w, second);
	world_expect_end(w, of_b);
	ck_assert_int_eq(user(3)->wish.error, EMFILE);
	ck_assert_uint_eq(w->targets[b].n_connects, 5); /* one, and one more for each */
	bench_free(w);
}
END_TEST

/* --- anything, in any order ------------------------------------------------------------------- */

/* What is kept of a target is what its pools have; and all pools are found. */
static void check_target(struct world *w, const struct server_target *t, uint16_t target)
{
	uint32_t open = 0, idle = 0, queue = 0, n_idle = 0, n_queue = 0;

	for (struct ring *at = t->pools.next; at != &t->pools; at = at->next) {
		const struct server_pool *x = pool_of(at);

		open += x->n_open;
		idle += x->n_idle;
		queue += x->n_queue;
		ck_assert_uint_eq(x->target, target);
		ck_assert_ptr_eq(x->of, t);
		ck_assert_ptr_eq(pool_get(w->proxy, target, &x->to, &x->from), x);
	}
	for (struct ring *at = t->idle.next; at != &t->idle; at = at->next)
		n_idle++;
	for (struct ring *at = t->queue.next; at != &t->queue; at = at->next)
		n_queue++;
	ck_assert_uint_eq(open, t->n_open);
	ck_assert_uint_eq(open, world_at(w, target)->counts.open);
	ck_assert_uint_eq(idle, t->n_idle);
	ck_assert_uint_eq(idle, n_idle);
	ck_assert_uint_eq(idle, world_at(w, target)->counts.idle);
	ck_assert_uint_eq(queue, t->n_queue);
	ck_assert_uint_eq(queue, n_queue);
	ck_assert_uint_eq(queue, world_at(w, target)->counts.waiting);
	ck_assert_uint_le(idle, world_l7(w->conf, web)->max_idle);
}

static void check_all(struct world *w)
{
	struct proxy *p = w->proxy;

	for (uint16_t t = 0; t < w->conf->n_targets; t++) {
		const struct server_target *x = &p->targets[t];
		uint32_t max = w->conf->targets[t].max_connections;

		check_target(w, x, t);
		if (max > 0)
			ck_assert_uint_le(x->n_open, max);
		if (x->n_queue > 0) {
			ck_assert_uint_eq(x->n_idle, 0);
			ck_assert_uint_eq(x->n_open, max);
		}
	}
	for (uint16_t i = 0; i < w->conf->n_members; i++)
		check_target(w, &p->targets[w->conf->n_targets + i], world_relay(i));
	for (unsigned i = 0; i < USERS; i++)
		if (user(i)->wish.conn)
			ck_assert_ptr_eq(user(i)->wish.conn->wish, &user(i)->wish);
}

/* Or the relay. */
static uint16_t some_target(struct rng *r)
{
	uint16_t t = (uint16_t)(rng_u64(r) % 3);

	return t < 2 ? t : world_relay(0);
}

static void some_user(struct world *w, struct rng *r, unsigned i)
{
	struct server_wish *x = &user(i)->wish;

	if (x->state == WISH_HAS) {
		switch (rng_u64(r) % 4) {
		case 0:
			server_close(w->proxy, x, rng_u64(r) % 2);
			break;
		case 1:
			break;
		default:
			server_return(w->proxy, x);
		}
	} else if (x->state == WISH_NONE) {
		x->private = rng_u64(r) % 8 == 0;
		x->fresh = rng_u64(r) % 8 == 0;
		if (rng_u64(r) % 2)
			ask_at(w, i, (uint16_t)(rng_u64(r) % 2), (uint16_t)(80 + rng_u64(r) % 2));
		else
			ask_as_number(w, i, some_target(r), (unsigned)(rng_u64(r) % 4));
	} else if (rng_u64(r) % 4 == 0) {
		server_forget(w->proxy, x);
	}
}

static void some_server(struct world *w, struct rng *r)
{
	uint16_t t = some_target(r);
	struct world_target *x = world_at(w, t);
	int fd = world_server_try(w, t);

	x->connect = (enum world_connect)(rng_u64(r) % 4);
	x->connect_error = rng_u64(r) % 2 ? EMFILE : ECONNREFUSED;
	if (x->connect != WORLD_SILENT && rng_u64(r) % 2)
		x->connect = WORLD_ANSWERS;
	if (fd >= 0)
		world_close(w, fd);
	if (rng_u64(r) % 2)
		world_answer(w, t);
	if (rng_u64(r) % 16 == 0)
		world_stand(w, t, (enum l7_standing)(rng_u64(r) % 3));
}

/* With small limits; now and then a server is at another address, a dispatcher has another name. */
static struct params *conf_small(struct rng *r, uint32_t most)
{
	struct params *conf = conf_new();

	conf->targets[a].port = conf->targets[b].port = 0;
	conf->targets[a].max_connections = 4;
	conf->targets[b].max_connections = most;
	world_l7(conf, web)->max_idle = 3;
	world_member(conf, rng_u64(r) % 2 ? "far" : "farther");
	if (rng_u64(r) % 4 == 0)
		conf->targets[a].v4 = world_endpoint("10.99.0.1", 0).addr;
	return conf;
}

START_TEST(anything)
{
	struct rng r = {.key = {.k0 = (uint64_t)_i}};
	struct world *w = bench_new(conf_small(&r, 1 + (uint32_t)_i));

	for (unsigned n = 0; n < 1500; n++) {
		some_user(w, &r, (unsigned)(rng_u64(&r) % 16));
		proxy_settle(w->proxy);
		world_run(w);
		check_all(w);
		if (n % 4 == 0)
			some_server(w, &r);
		if (n % 128 == 0)
			world_configure(w, conf_small(&r, 1 + (uint32_t)_i));
		if (n % 8 == 0)
			world_advance(w, rng_u64(&r) % 3000);
		check_all(w);
	}
	ck_assert_uint_gt(bench->n_granted, 20);
	bench_free(w);
}
END_TEST

static void add_limits(Suite *s)
{
	TCase *t = tcase_create("limits");

	tcase_add_test(t, in_line);
	tcase_add_test(t, one_limit_for_all_ports);
	tcase_add_test(t, no_more_idle_than_allowed);
	tcase_add_test(t, queue_full);
	tcase_add_test(t, queue_timeout);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
}

static void add_anything(Suite *s)
{
	TCase *t = tcase_create("anything");

	tcase_add_loop_test(t, a_pool_for_each_client, 0, 2);
	tcase_add_test(t, another_target_gives_way);
	tcase_add_loop_test(t, anything, 0, 4);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
}

int main(void)
{
	Suite *s = suite_create("proxy_pool");
	SRunner *sr;
	int failed;

	add_limits(s);
	add_anything(s);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
