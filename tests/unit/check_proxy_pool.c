/*
 * check_proxy_pool.c - limits of targets and the queues before them; and whether all that is
 * counted stays true whatever happens in whatever order.
 */
#include "proxy_bench.h"

#include <errno.h>

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

	world_l7(conf, web)->max_idle = 2;
	w = bench_new(conf);
	for (unsigned i = 0; i < 4; i++)
		get(w, i, a);
	for (unsigned i = 0; i < 4; i++)
		give_back(w, i);
	ck_assert_uint_eq(counts(w, a)->idle, 2);
	ck_assert_uint_eq(counts(w, a)->open, 2);
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

/* --- anything, in any order ------------------------------------------------------------------- */

static void check_all(struct world *w)
{
	struct proxy *p = w->proxy;

	for (uint16_t t = 0; t < w->conf->n_targets; t++) {
		uint32_t open = 0, max = w->conf->targets[t].max_connections;

		for (uint32_t i = 0; i < p->n_pools; i++)
			if (p->pools[i]->target == t)
				open += p->pools[i]->n_open;
		ck_assert_uint_eq(open, p->target_open[t]);
		ck_assert_uint_eq(open, counts(w, t)->open);
		ck_assert_uint_eq(pool_idle(p, t), counts(w, t)->idle);
		ck_assert_uint_eq(pool_waiting(p, t), counts(w, t)->waiting);
		if (max > 0)
			ck_assert_uint_le(open, max);
		if (pool_waiting(p, t) > 0) {
			ck_assert_uint_eq(pool_idle(p, t), 0);
			ck_assert_uint_eq(open, max);
		}
	}
	for (unsigned i = 0; i < USERS; i++)
		if (user(i)->wish.conn)
			ck_assert_ptr_eq(user(i)->wish.conn->wish, &user(i)->wish);
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
		ask_at(w, i, (uint16_t)(rng_u64(r) % 2), (uint16_t)(80 + rng_u64(r) % 2));
	} else if (rng_u64(r) % 4 == 0) {
		server_forget(w->proxy, x);
	}
}

static void some_server(struct world *w, struct rng *r)
{
	uint16_t t = (uint16_t)(rng_u64(r) % 2);
	int fd = world_server_try(w, t);

	w->targets[t].connect = (enum world_connect)(rng_u64(r) % 4);
	w->targets[t].connect_error = rng_u64(r) % 2 ? EMFILE : ECONNREFUSED;
	if (w->targets[t].connect != WORLD_SILENT && rng_u64(r) % 2)
		w->targets[t].connect = WORLD_ANSWERS;
	if (fd >= 0)
		world_close(w, fd);
	if (rng_u64(r) % 2)
		world_answer(w, t);
	if (rng_u64(r) % 16 == 0)
		world_stand(w, t, (enum l7_standing)(rng_u64(r) % 3));
}

START_TEST(anything)
{
	struct params *conf = conf_new();
	struct rng r = {.key = {.k0 = (uint64_t)_i}};
	struct world *w;

	conf->targets[a].port = conf->targets[b].port = 0;
	conf->targets[a].max_connections = 4;
	conf->targets[b].max_connections = 1 + (uint32_t)_i;
	world_l7(conf, web)->max_idle = 3;
	w = bench_new(conf);
	for (unsigned n = 0; n < 1500; n++) {
		some_user(w, &r, (unsigned)(rng_u64(&r) % 16));
		proxy_settle(w->proxy);
		world_run(w);
		check_all(w);
		if (n % 4 == 0)
			some_server(w, &r);
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
