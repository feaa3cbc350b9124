/*
 * check_limits.c - the small memories that keep a flood cheap.
 *
 * proves: FC-10 FC-13 FC-16
 */
#include <check.h>

#include "firewall/limits.h"

#define S 1000000000ULL

static const struct hash_key secret = {3, 4};

static struct ipaddr v4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	uint8_t x[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};
	return ipaddr_v4(x);
}

START_TEST(negative_lives_until_its_time)
{
	struct negative_cache *c = negative_new();

	ck_assert(!negative_has(c, 0, 0));
	ck_assert(!negative_has(c, 42, 0));
	negative_put(c, 42, 5 * S);
	ck_assert(negative_has(c, 42, 5 * S - 1));
	ck_assert(!negative_has(c, 42, 5 * S));
	ck_assert(!negative_has(c, 43, 0));
	negative_put(c, 42, 9 * S); /* longer, in the same place */
	ck_assert(negative_has(c, 42, 8 * S));
	ck_assert_uint_eq(negative_clear(c), 1);
	ck_assert(!negative_has(c, 42, 0));
	ck_assert_uint_eq(negative_clear(c), 0);
	negative_free(c);
}
END_TEST

/* Five flows of one set: the one that ends first makes room, the others stay. */
START_TEST(negative_set_overflow)
{
	struct negative_cache *c = negative_new();
	static const unsigned ends[] = {4, 2, 5, 3};

	for (unsigned i = 0; i < 4; i++)
		negative_put(c, 7 + ((uint64_t)i << 40), ends[i] * S);
	negative_put(c, 7 + (4ULL << 40), 6 * S);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(negative_has(c, 7 + ((uint64_t)i << 40), S), i != 1);
	negative_free(c);
}
END_TEST

START_TEST(negative_is_bounded)
{
	struct negative_cache *c = negative_new();
	struct rng r = {.key = {5, 6}};
	uint32_t n;

	for (unsigned i = 0; i < 200000; i++)
		negative_put(c, rng_u64(&r), S);
	n = negative_clear(c);
	ck_assert_uint_gt(n, 30000);
	ck_assert_uint_le(n, 32768);
	negative_free(c);
}
END_TEST

START_TEST(bucket_of_a_prefix)
{
	struct source_buckets *b = source_buckets_new(&secret);
	struct ipaddr a = v4(10, 0, 0, 1), same = v4(10, 0, 0, 250), other = v4(10, 0, 1, 1);

	for (unsigned i = 0; i < 5; i++)
		ck_assert(source_buckets_take(b, i % 2 ? &a : &same, 10, 5, S));
	ck_assert(!source_buckets_take(b, &a, 10, 5, S));
	ck_assert(!source_buckets_take(b, &same, 10, 5, S));
	ck_assert(source_buckets_take(b, &other, 10, 5, S));
	ck_assert(source_buckets_take(b, &a, 10, 5, S + S / 10));
	ck_assert(!source_buckets_take(b, &a, 10, 5, S + S / 10));
	source_buckets_free(b);
}
END_TEST

START_TEST(bucket_of_a_prefix_v6)
{
	struct source_buckets *b = source_buckets_new(&secret);
	struct ipaddr a, same, other;

	ck_assert_int_eq(ipaddr_parse(&a, "2001:db8:0:1::1"), 0);
	ck_assert_int_eq(ipaddr_parse(&same, "2001:db8:0:1:ffff::9"), 0);
	ck_assert_int_eq(ipaddr_parse(&other, "2001:db8:0:2::1"), 0);
	ck_assert(source_buckets_take(b, &a, 1, 1, S));
	ck_assert(!source_buckets_take(b, &same, 1, 1, S));
	ck_assert(source_buckets_take(b, &other, 1, 1, S));
	source_buckets_free(b);
}
END_TEST

START_TEST(counts_of_a_source)
{
	struct source_counts *c = source_counts_new(&secret);
	struct ipaddr a = v4(10, 0, 0, 1), b = v4(10, 0, 0, 2);

	ck_assert_uint_eq(source_counts_get(c, &a), 0);
	source_counts_add(c, &a, 1);
	source_counts_add(c, &a, 1);
	ck_assert_uint_eq(source_counts_get(c, &a), 2);
	ck_assert_uint_eq(source_counts_get(c, &b), 0);
	source_counts_add(c, &a, -1);
	ck_assert_uint_eq(source_counts_get(c, &a), 1);
	source_counts_free(c);
}
END_TEST

/* Never too low, seldom too high, and back to nothing when all flows have ended. */
START_TEST(counts_err_upwards)
{
	struct source_counts *c = source_counts_new(&secret);
	unsigned high = 0;

	for (unsigned i = 0; i < 20000; i++) {
		struct ipaddr a = v4(10, i >> 16, i >> 8 & 255, i & 255);
		source_counts_add(c, &a, 1);
	}
	for (unsigned i = 0; i < 20000; i++) {
		struct ipaddr a = v4(10, i >> 16, i >> 8 & 255, i & 255);
		ck_assert_uint_ge(source_counts_get(c, &a), 1);
		high += source_counts_get(c, &a) > 1;
	}
	ck_assert_uint_lt(high, 20000 / 5);
	for (unsigned i = 0; i < 20000; i++) {
		struct ipaddr a = v4(10, i >> 16, i >> 8 & 255, i & 255);
		source_counts_add(c, &a, -1);
	}
	for (unsigned i = 0; i < 20000; i++) {
		struct ipaddr a = v4(10, i >> 16, i >> 8 & 255, i & 255);
		ck_assert_uint_eq(source_counts_get(c, &a), 0);
	}
	source_counts_free(c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *t = tcase_create("limits");
	SRunner *sr;
	int failed;

	tcase_add_test(t, negative_lives_until_its_time);
	tcase_add_test(t, negative_set_overflow);
	tcase_add_test(t, negative_is_bounded);
	tcase_add_test(t, bucket_of_a_prefix);
	tcase_add_test(t, bucket_of_a_prefix_v6);
	tcase_add_test(t, counts_of_a_source);
	tcase_add_test(t, counts_err_upwards);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
