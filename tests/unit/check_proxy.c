/*
 * check_proxy.c - the proxy's life and configuration: what follows from it, what stays when it is
 * replaced, keys for cookies. Without sessions.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "proxy_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct text text(const char *s)
{
	return (struct text){s, strlen(s)};
}

/* --- configuration ---------------------------------------------------------------------------- */

START_TEST(targets_have_ids)
{
	struct world *w = bench_new(conf_new());

	ck_assert_uint_ne(proxy_name_id("a"), proxy_name_id("b"));
	ck_assert_uint_eq(proxy_target_by_id(w->proxy, proxy_name_id("a")), a);
	ck_assert_uint_eq(proxy_target_by_id(w->proxy, proxy_name_id("b")), b);
	ck_assert_uint_eq(proxy_target_by_id(w->proxy, proxy_name_id("c")), PARAMS_NONE);
	ck_assert_uint_eq(proxy_target_by_id(w->proxy, 0), PARAMS_NONE);
	bench_free(w);
}
END_TEST

static uint32_t route_to(const struct world *w, uint16_t service, const char *host)
{
	const struct http_route_rule *r =
		http_route_find_name(w->proxy->services[service].routes, text(host));

	return r ? r->pool : PARAMS_NONE;
}

START_TEST(routes_of_each_service)
{
	struct params *conf = world_conf();
	uint16_t one = world_service(conf, "one"), x = world_route(conf, one, "x"),
		 y = world_route(conf, one, "y"), two = world_service(conf, "two"),
		 z = world_route(conf, two, "z"), three = world_service(conf, "three");
	struct world *w;

	strcpy(conf->services[x].route.host, "x.example");
	strcpy(conf->services[y].route.host, "*.example");
	strcpy(conf->services[z].route.host, "z.example");
	world_target(conf, three, "t");
	w = bench_new(conf);
	ck_assert_uint_eq(route_to(w, one, "x.example"), x);
	ck_assert_uint_eq(route_to(w, one, "z.example"), y);
	ck_assert_uint_eq(route_to(w, one, "z.test"), PARAMS_NONE);
	ck_assert_uint_eq(route_to(w, two, "x.example"), PARAMS_NONE);
	ck_assert_uint_eq(route_to(w, two, "z.example"), z);
	ck_assert_ptr_null(w->proxy->services[three].routes);
	ck_assert_ptr_null(w->proxy->services[x].routes);
	bench_free(w);
}
END_TEST

START_TEST(pattern_of_the_servers_cookie)
{
	struct params *conf = conf_new();
	struct world *w;
	struct text server;

	world_l7(conf, web)->cookie = L7_COOKIE_OWN;
	strcpy(world_l7(conf, web)->cookie_pattern, "*.%");
	w = bench_new(conf);
	ck_assert(cookie_pattern_match(&w->proxy->services[web].pattern, text("5f2a.b"), &server));
	ck_assert_uint_eq(server.size, 1);
	ck_assert_int_eq(server.p[0], 'b');
	bench_free(w);
}
END_TEST

START_TEST(heads_fit_their_buffers)
{
	struct params *conf = conf_new(), *less = conf_new(), *more = conf_new();
	struct world *w;

	conf->l7.max_head = 20000;
	less->l7.max_head = 4000;
	more->l7.max_head = 40000;
	more->l7.max_connections = 5000;
	w = bench_new(conf);
	ck_assert_uint_eq(w->proxy->limits.bytes, 20000);
	ck_assert_uint_eq(w->proxy->limits.target, 8192);
	ck_assert_uint_eq(w->proxy->buffers.size, 20000 + 1024);
	ck_assert_uint_ge(w->proxy->buffers.max, 2000);
	world_configure(w, less);
	ck_assert_uint_eq(w->proxy->limits.bytes, 4000);
	ck_assert_uint_eq(w->proxy->limits.target, 4000);
	ck_assert_uint_eq(w->proxy->body_limits.trailer.bytes, 4000);
	/* Buffers stay as they are. */
	world_configure(w, more);
	ck_assert_uint_eq(w->proxy->limits.bytes, 20000);
	ck_assert_uint_eq(w->proxy->buffers.size, 20000 + 1024);
	ck_assert_uint_ge(w->proxy->buffers.max, 10000);
	bench_free(w);
}
END_TEST

/* A path that no route can have stands for memory that is not to be had. */
START_TEST(configured_wholly_or_not_at_all)
{
	struct params *conf = conf_new(), *bad = conf_new();
	uint16_t route = world_route(bad, web, "x");
	struct world *w = bench_new(conf);
	const struct proxy_service *services = w->proxy->services;
	int server = get(w, 0, a);

	strcpy(bad->services[route].route.path, "no-slash");
	give_back(w, 0);
	ck_assert_int_eq(proxy_configure(w->proxy, bad, w->now_ns), -ENOMEM);
	ck_assert_ptr_eq(w->proxy->params, conf);
	ck_assert_ptr_eq(w->proxy->services, services);
	ck_assert(world_is_open(w, server));
	ck_assert_int_eq(ask(w, 1, a), WISH_GRANTED);
	world_conf_free(bad);
	bench_free(w);
}
END_TEST

/* The other way to see that: nothing is changed by a change that is given up. */
START_TEST(given_up)
{
	struct params *conf = conf_new(), *other = conf_new();
	struct world *w = bench_new(conf);
	struct proxy_change *change = proxy_prepare(w->proxy, other);

	ck_assert_ptr_nonnull(change);
	proxy_change_free(change);
	ck_assert_ptr_eq(w->proxy->params, conf);
	world_conf_free(other);
	bench_free(w);
}
END_TEST

/* The service is no longer by L7: what waits is served, what is returned is not kept. */
START_TEST(service_gone)
{
	struct params *conf = conf_new(), *other = conf_new();
	struct world *w;
	int server;

	conf->targets[a].max_connections = other->targets[a].max_connections = 1;
	other->services[web].technology = TECHNOLOGY_L4_3;
	w = bench_new(conf);
	server = get(w, 0, a);
	ask(w, 1, a);
	world_configure(w, other);
	ck_assert_uint_eq(user(0)->wish.service, PARAMS_NONE);
	ck_assert_uint_eq(user(1)->wish.service, PARAMS_NONE);
	give_back(w, 0);
	ck_assert_uint_gt(user(1)->granted, 0);
	ck_assert(world_is_open(w, server));
	give_back(w, 1);
	world_expect_end(w, server);
	bench_free(w);
}
END_TEST

/* --- cookies ---------------------------------------------------------------------------------- */

static const uint8_t secret_1[COOKIE_SECRET] = {1}, secret_2[COOKIE_SECRET] = {2};

static enum cookie_verdict judge(const struct world *w, uint16_t service, const char *token,
				 struct cookie_token *t)
{
	return cookie_token_read(t, &w->proxy->services[service].keys, text(token), 1000);
}

static void make(const struct world *w, uint16_t service, const char *target, char *token)
{
	struct cookie_token t = {.server = proxy_name_id(target), .expires_s = 2000, .salt = 5};

	cookie_token_make(token, &w->proxy->services[service].keys, &t);
}

START_TEST(keys_are_of_all_services)
{
	struct params *conf = conf_new(), *other = conf_new();
	uint16_t shop = world_service(conf, "shop");
	char token[COOKIE_TOKEN + 1];
	struct cookie_token t;
	struct world *w = bench_new(conf);

	ck_assert_int_eq(proxy_add_cookie_key(w->proxy, 1, secret_1, true), 0);
	ck_assert_int_eq(proxy_add_cookie_key(w->proxy, 1, secret_2, true), -EEXIST);
	make(w, web, "b", token);
	ck_assert_int_eq(judge(w, web, token, &t), COOKIE_VALID);
	ck_assert_uint_eq(proxy_target_by_id(w->proxy, t.server), b);
	ck_assert_int_eq(judge(w, shop, token, &t), COOKIE_FORGED);
	/* Another key makes them; this one is still read. */
	ck_assert_int_eq(proxy_add_cookie_key(w->proxy, 2, secret_2, true), 0);
	ck_assert_int_eq(judge(w, web, token, &t), COOKIE_VALID);
	/* Keys stay, an epoch ends. */
	other->services[web].l7.cookie_epoch = 0;
	world_configure(w, other);
	ck_assert_int_eq(judge(w, web, token, &t), COOKIE_VALID);
	other = conf_new();
	other->services[web].l7.cookie_epoch = 1;
	world_configure(w, other);
	ck_assert_int_eq(judge(w, web, token, &t), COOKIE_UNKNOWN);
	proxy_forget_cookie_keys(w->proxy);
	ck_assert_uint_eq(w->proxy->services[web].keys.n, 0);
	for (uint8_t id = 1; id <= COOKIE_KEYS; id++)
		ck_assert_int_eq(proxy_add_cookie_key(w->proxy, id, secret_1, id == 1), 0);
	ck_assert_int_eq(proxy_add_cookie_key(w->proxy, 9, secret_1, false), -ENOSPC);
	bench_free(w);
}
END_TEST

/* proves: HD-17 */
/* Another dispatcher has other services and targets beside these, in another order. */
START_TEST(the_same_on_every_dispatcher)
{
	struct params *conf = world_conf();
	uint16_t first = world_service(conf, "first"), service = world_service(conf, "web");
	char token[COOKIE_TOKEN + 1];
	struct cookie_token t;
	struct world *w = bench_new(conf_new());

	ck_assert_int_eq(proxy_add_cookie_key(w->proxy, 1, secret_1, true), 0);
	make(w, web, "b", token);
	bench_free(w);
	world_target(conf, first, "c");
	world_target(conf, service, "b");
	w = bench_new(conf);
	ck_assert_int_eq(proxy_add_cookie_key(w->proxy, 1, secret_1, true), 0);
	ck_assert_int_eq(judge(w, service, token, &t), COOKIE_VALID);
	ck_assert_uint_eq(proxy_target_by_id(w->proxy, t.server), 1);
	bench_free(w);
}
END_TEST

/* --- life ------------------------------------------------------------------------------------- */

/* proves: HD-16 */
START_TEST(no_more_clients_than_allowed)
{
	struct params *conf = conf_new();
	struct world *w;
	int client;

	conf->l7.max_connections = 2;
	w = bench_new(conf);
	ck_assert(!proxy_full(w->proxy));
	ck_assert_uint_eq(proxy_connections(w->proxy), 0);
	w->proxy->n_sessions = 2;
	ck_assert(proxy_full(w->proxy));
	ck_assert_uint_eq(proxy_connections(w->proxy), 2);
	client = world_client(w, web);
	world_expect_end(w, client);
	ck_assert_uint_eq(bench->n_accepted, 0);
	w->proxy->n_sessions = 0;
	/* Without memory for a session as well. */
	client = world_client(w, web);
	ck_assert_uint_eq(bench->n_accepted, 1);
	world_expect_end(w, client);
	ck_assert_uint_eq(w->n_unwatched, 2); /* the world may have noted something of them */
	bench_free(w);
}
END_TEST

START_TEST(nothing)
{
	proxy_free(NULL);
	proxy_change_free(NULL);
}
END_TEST

/* Nothing wakes the process when there is nothing to look at. */
START_TEST(sleeps_when_there_is_nothing)
{
	struct world *w = bench_new(conf_new());

	ck_assert_uint_eq(proxy_next(w->proxy), UINT64_MAX);
	get(w, 0, a);
	ck_assert_uint_lt(proxy_next(w->proxy), UINT64_MAX);
	finish(w, 0);
	world_advance(w, 2000);
	ck_assert_uint_eq(proxy_next(w->proxy), UINT64_MAX);
	bench_free(w);
}
END_TEST

/* Whatever is under way; the world asserts that nothing is left. Loop: how far it got. */
START_TEST(freed_in_the_middle)
{
	struct params *conf = conf_new();
	struct world *w;

	conf->targets[a].max_connections = 2;
	w = bench_new(conf);
	w->targets[b].connect = WORLD_SILENT;
	get(w, 0, a);
	get(w, 1, a);
	if (_i > 0)
		ask(w, 2, a);
	if (_i > 1)
		ask(w, 3, b);
	if (_i > 2)
		forget(w, 3);
	if (_i > 3)
		give_back(w, 1);
	if (_i > 4)
		give_back(w, 0);
	bench_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proxy");
	TCase *t = tcase_create("proxy");
	SRunner *sr;
	int failed;

	tcase_add_test(t, targets_have_ids);
	tcase_add_test(t, routes_of_each_service);
	tcase_add_test(t, pattern_of_the_servers_cookie);
	tcase_add_test(t, heads_fit_their_buffers);
	tcase_add_test(t, configured_wholly_or_not_at_all);
	tcase_add_test(t, given_up);
	tcase_add_test(t, service_gone);
	tcase_add_test(t, keys_are_of_all_services);
	tcase_add_test(t, the_same_on_every_dispatcher);
	tcase_add_test(t, no_more_clients_than_allowed);
	tcase_add_test(t, nothing);
	tcase_add_test(t, sleeps_when_there_is_nothing);
	tcase_add_loop_test(t, freed_in_the_middle, 0, 6);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
