/*
 * check_route.c - longest-prefix match, against a plain search through the list.
 *
 * proves: FC-14
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/route.h"

static const struct hash_key secret = {1, 2};

static struct ipaddr addr(const char *text)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(&a, text), 0);
	return a;
}

static struct route route(const char *dst, uint16_t port, uint32_t metric)
{
	struct route r = {.port = port, .metric = metric};

	ck_assert_int_eq(prefix_parse_host(&r.dst, dst), 0);
	return r;
}

static int port_for(const struct route_table *t, const char *text)
{
	struct ipaddr a = addr(text);
	const struct route *r = route_table_find(t, &a);

	return r ? r->port : -1;
}

START_TEST(longest_wins)
{
	struct route v[] = {route("0.0.0.0/0", 1, 5),	   route("10.0.0.0/8", 2, 5),
			    route("10.1.0.0/16", 3, 5),	   route("10.1.2.3/32", 4, 5),
			    route("2001:db8::/32", 5, 5),  route("::/0", 6, 5),
			    route("2001:db8::1/128", 7, 5)};
	struct route_table *t = route_table_new(v, 7, &secret);

	ck_assert_uint_eq(route_table_count(t), 7);
	ck_assert_int_eq(port_for(t, "192.0.2.1"), 1);
	ck_assert_int_eq(port_for(t, "10.200.0.1"), 2);
	ck_assert_int_eq(port_for(t, "10.1.2.2"), 3);
	ck_assert_int_eq(port_for(t, "10.1.2.3"), 4);
	ck_assert_int_eq(port_for(t, "2001:db8::2"), 5);
	ck_assert_int_eq(port_for(t, "2001:db8::1"), 7);
	ck_assert_int_eq(port_for(t, "2001:db9::1"), 6);
	route_table_free(t);
}
END_TEST

/* ::/0 contains every mapped address, yet says nothing about IPv4. */
START_TEST(families_are_apart)
{
	struct route v6 = route("::/0", 1, 0), v4 = route("0.0.0.0/0", 2, 0);
	struct route_table *t = route_table_new(&v6, 1, &secret);

	ck_assert_int_eq(port_for(t, "10.0.0.1"), -1);
	ck_assert_int_eq(port_for(t, "2001:db8::1"), 1);
	route_table_free(t);
	t = route_table_new(&v4, 1, &secret);
	ck_assert_int_eq(port_for(t, "10.0.0.1"), 2);
	ck_assert_int_eq(port_for(t, "2001:db8::1"), -1);
	route_table_free(t);
}
END_TEST

START_TEST(smallest_metric_stays)
{
	struct route v[] = {route("10.0.0.0/8", 1, 7), route("10.0.0.0/8", 2, 3),
			    route("10.9.9.9/8", 3, 5)};
	struct route_table *t = route_table_new(v, 3, &secret);

	ck_assert_uint_eq(route_table_count(t), 1);
	ck_assert_int_eq(port_for(t, "10.1.1.1"), 2);
	ck_assert_ptr_nonnull(route_table_at(t, 0));
	ck_assert_ptr_null(route_table_at(t, 1));
	route_table_free(t);
}
END_TEST

START_TEST(empty)
{
	struct route_table *t = route_table_new(NULL, 0, &secret);

	ck_assert_int_eq(port_for(t, "10.1.1.1"), -1);
	ck_assert_int_eq(port_for(t, "::1"), -1);
	ck_assert_uint_eq(route_table_count(t), 0);
	route_table_free(t);
	route_table_free(NULL);
}
END_TEST

static const struct route *model_find(const struct route *v, size_t n, const struct ipaddr *a)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < n; i++) {
		struct ipaddr net = ipaddr_mask(v[i].dst.addr, v[i].dst.len);
		struct ipaddr masked = ipaddr_mask(*a, v[i].dst.len);

		if (!ipaddr_eq(&net, &masked) || ipaddr_is_v4(a) != ipaddr_is_v4(&v[i].dst.addr))
			continue;
		if (!best || v[i].dst.len > best->dst.len ||
		    (v[i].dst.len == best->dst.len && v[i].metric < best->metric))
			best = &v[i];
	}
	return best;
}

static struct ipaddr draw_addr(struct rng *r)
{
	uint64_t x = rng_u64(r);
	uint8_t four[4] = {10, (uint8_t)(x & 3), (uint8_t)(x >> 8 & 7), (uint8_t)(x >> 16)};
	uint8_t six[16] = {0x20,
			   1,
			   0xd,
			   0xb8,
			   (uint8_t)(x & 1),
			   [8] = (uint8_t)(x >> 8 & 3),
			   [15] = (uint8_t)(x >> 16 & 3)};

	return x >> 63 ? ipaddr_v4(four) : ipaddr_v6(six);
}

START_TEST(like_the_model)
{
	struct rng r = {.key = {(uint64_t)_i, 77}};
	static struct route v[400];
	struct route_table *t;

	for (unsigned i = 0; i < 400; i++) {
		v[i] = (struct route){.port = (uint16_t)i, .metric = i};
		v[i].dst.addr = draw_addr(&r);
		v[i].dst.len = (uint8_t)(ipaddr_is_v4(&v[i].dst.addr) ? 96 + rng_u64(&r) % 33
								      : rng_u64(&r) % 129);
	}
	t = route_table_new(v, 400, &secret);
	for (unsigned i = 0; i < 2000; i++) {
		struct ipaddr a = draw_addr(&r);
		const struct route *want = model_find(v, 400, &a);
		const struct route *got = route_table_find(t, &a);

		ck_assert_int_eq(got != NULL, want != NULL);
		if (want)
			ck_assert_uint_eq(got->port, want->port);
	}
	route_table_free(t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("route");
	TCase *t = tcase_create("route");
	SRunner *sr;
	int failed;

	tcase_add_test(t, longest_wins);
	tcase_add_test(t, families_are_apart);
	tcase_add_test(t, smallest_metric_stays);
	tcase_add_test(t, empty);
	tcase_add_loop_test(t, like_the_model, 0, 8);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
