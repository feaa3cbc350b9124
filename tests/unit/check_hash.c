/* The keyed hash against vectors of another implementation (CPython's hash of bytes, which is
 * SipHash-1-3), and the properties that the tables rely on. */
#include <check.h>

#include "base/hash.h"

START_TEST(vectors)
{
	static const struct {
		uint64_t k0, k1;
		size_t n;
		uint64_t hash;
	} rows[] = {
		{0x0000000000000000ULL, 0x0000000000000000ULL, 1, 0x8662046e52264db8ULL},
		{0x0000000000000000ULL, 0x0000000000000000ULL, 2, 0xe75bff64b89e365bULL},
		{0x0000000000000000ULL, 0x0000000000000000ULL, 3, 0xf7461f2fedf1dc51ULL},
		{0x0000000000000000ULL, 0x0000000000000000ULL, 5, 0x76ff678c5751c56aULL},
		{0xdc504fd368cd90afULL, 0xb920bb9ffe99e9c1ULL, 1, 0x009f3909b890b8a2ULL},
		{0xdc504fd368cd90afULL, 0xb920bb9ffe99e9c1ULL, 2, 0xc70f4510ab7d6448ULL},
		{0xdc504fd368cd90afULL, 0xb920bb9ffe99e9c1ULL, 3, 0xce869fc3b6283d28ULL},
		{0xdc504fd368cd90afULL, 0xb920bb9ffe99e9c1ULL, 5, 0x4a2d0ad7d023baf1ULL},
	};
	uint64_t words[5];

	for (unsigned i = 0; i < 5; i++)
		words[i] = 0x0123456789abcdefULL * (i + 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hash_key key = {rows[i].k0, rows[i].k1};

		ck_assert(hash_words(&key, words, rows[i].n) == rows[i].hash);
	}
}
END_TEST

/* Changing one bit of key or input changes about half of the output. */
START_TEST(avalanche)
{
	struct hash_key key = {1, 2};
	uint64_t in[2] = {3, 4};
	uint64_t h = hash_words(&key, in, 2);
	int changed = 0;

	for (unsigned bit = 0; bit < 128; bit++) {
		struct hash_key other = key;
		uint64_t flipped[2] = {in[0], in[1]};

		*(bit < 64 ? &other.k0 : &other.k1) ^= 1ULL << bit % 64;
		flipped[bit / 64] ^= 1ULL << bit % 64;
		int by_key = __builtin_popcountll(h ^ hash_words(&other, in, 2));
		int by_input = __builtin_popcountll(h ^ hash_words(&key, flipped, 2));
		ck_assert_int_ge(by_key, 8);
		ck_assert_int_ge(by_input, 8);
		changed += by_key + by_input;
	}
	ck_assert_int_gt(changed, 256 * 28);
	ck_assert_int_lt(changed, 256 * 36);
}
END_TEST

/* Neighbouring inputs, as an attacker or a port scan makes them, spread over 256 buckets. */
START_TEST(distribution)
{
	struct hash_key key = {0x1111, 0x2222};
	unsigned low[256] = {0}, high[256] = {0};

	for (uint64_t i = 0; i < 25600; i++) {
		uint64_t h = hash_words(&key, &i, 1);

		low[h & 255]++;
		high[h >> 56]++;
	}
	for (unsigned i = 0; i < 256; i++) { /* 100 expected, standard deviation 10 */
		ck_assert_uint_gt(low[i], 50);
		ck_assert_uint_lt(low[i], 150);
		ck_assert_uint_gt(high[i], 50);
		ck_assert_uint_lt(high[i], 150);
	}
}
END_TEST

START_TEST(rng_streams)
{
	struct rng a = {.key = {1, 2}}, b = {.key = {1, 2}}, other = {.key = {1, 3}};
	unsigned same = 0;

	for (unsigned i = 0; i < 1000; i++) {
		uint64_t x = rng_u64(&a);

		ck_assert(x == rng_u64(&b));
		same += x == rng_u64(&other);
	}
	ck_assert_uint_eq(same, 0);
	ck_assert(a.counter == 1000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hash");
	TCase *t = tcase_create("hash");

	tcase_add_test(t, vectors);
	tcase_add_test(t, avalanche);
	tcase_add_test(t, distribution);
	tcase_add_test(t, rng_streams);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
