/*
 * check_rendezvous.c - shares, and what moves when bidders change.
 *
 * proves: HD-1 HD-2
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "dispatch/rendezvous.h"

#define MANY 1000

struct owners {
	uint32_t n;
	uint16_t *of;
};

/* As ck_assert, for what is asked a million times. */
static void must(bool holds, uint32_t bucket)
{
	if (!holds)
		ck_abort_msg("not so for bucket %u", bucket);
}

static uint64_t hash_of_bucket(const struct rendezvous *r, uint32_t bucket)
{
	return (uint64_t)bucket * (UINT64_MAX / rendezvous_buckets(r) + 1);
}

static struct owners owners_of(const struct rendezvous *r)
{
	struct owners o = {.n = rendezvous_buckets(r)};

	o.of = calloc(o.n, sizeof(*o.of));
	ck_assert_ptr_nonnull(o.of);
	for (uint32_t b = 0; b < o.n; b++) {
		o.of[b] = rendezvous_pick(r, hash_of_bucket(r, b));
		must(o.of[b] == rendezvous_pick(r, hash_of_bucket(r, b + 1) - 1), b);
	}
	return o;
}

static struct rendezvous *made(uint64_t seed, uint32_t n, const struct bid *bids)
{
	struct rendezvous *r = rendezvous_new(seed, n, true);

	ck_assert_ptr_nonnull(r);
	rendezvous_update(r, bids);
	return r;
}

static void make_bids(struct bid *bids, uint32_t n, uint32_t (*weight)(uint32_t))
{
	for (uint32_t i = 0; i < n; i++)
		bids[i] = (struct bid){.identity = 1000 + i, .weight = weight(i)};
}

static uint32_t one(uint32_t i)
{
	(void)i;
	return 1;
}

static uint32_t rising(uint32_t i)
{
	return 1 + i % 16;
}

static uint32_t uneven(uint32_t i)
{
	return i % 3 == 0 ? 256 : i % 3 == 1 ? 17 : 1;
}

static uint32_t by_percent(uint32_t i)
{
	return rising(i) * 25 * 256;
}

/* The squared errors of the shares, summed up as in a chi-square test, per degree of freedom. */
static double unfairness(uint64_t seed, uint32_t n, const struct bid *bids)
{
	struct rendezvous *r = made(seed, n, bids);
	struct owners o = owners_of(r);
	double *share = calloc(n, sizeof(*share)), sum = 0, squares = 0;

	ck_assert_ptr_nonnull(share);
	for (uint32_t b = 0; b < o.n; b++) {
		must(o.of[b] < n, b);
		share[o.of[b]]++;
	}
	for (uint32_t i = 0; i < n; i++)
		sum += bids[i].weight;
	for (uint32_t i = 0; i < n; i++) {
		double due = o.n * (bids[i].weight / sum), off = share[i] - due;
		squares += off * off / due;
	}
	free(share);
	free(o.of);
	rendezvous_free(r);
	return squares / (n - 1);
}

START_TEST(shares_follow_weights)
{
	static const uint32_t sizes[] = {2, 3, 10, 64, 65, 100, MANY};
	uint32_t (*const weights[])(uint32_t) = {one, rising, uneven, by_percent};
	struct bid bids[MANY];
	uint32_t n = sizes[_i % 7];

	make_bids(bids, n, weights[_i / 7]);
	double sum = 0;
	for (uint64_t seed = 0; seed < 2; seed++) {
		double u = unfairness(seed, n, bids);
		/* Picks at random would give 1 on average; so much less than once in 10^6. */
		ck_assert_double_lt(u, n < 4 ? 16 : n < 65 ? 4 : 2);
		sum += u;
	}
	if (n >= 64)
		ck_assert_double_lt(sum / 2, 1.1);
	if (n >= 100)
		ck_assert_double_gt(sum / 2, 0.2); /* the measure itself measures something */
}
END_TEST

START_TEST(each_of_a_thousand_within_a_fifth)
{
	struct bid bids[MANY];
	uint32_t share[MANY] = {0};

	make_bids(bids, MANY, one);
	struct rendezvous *r = made(1, MANY, bids);
	struct owners o = owners_of(r);
	for (uint32_t b = 0; b < o.n; b++)
		share[o.of[b]]++;
	for (uint32_t i = 0; i < MANY; i++) {
		ck_assert_uint_gt(share[i], o.n / MANY * 4 / 5);
		ck_assert_uint_lt(share[i], o.n / MANY * 6 / 5);
	}
	free(o.of);
	rendezvous_free(r);
}
END_TEST

static uint64_t digest(const struct owners *o)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (uint32_t b = 0; b < o->n; b++)
		h = (h ^ o->of[b]) * 0x100000001b3ULL;
	return h;
}

/* Dispatchers of different versions and machines must agree. If this fails, what changed is not
 * this program's alone. The first three are those of a model in another language, with logarithms
 * in floating point. */
START_TEST(vectors)
{
	static const struct {
		uint64_t seed;
		uint32_t n;
		uint32_t (*weight)(uint32_t);
		uint64_t digest;
	} rows[] = {
		{0, 3, one, 0x6eb0b3ae06cab579ULL},
		{0, 3, rising, 0xea21eb3a1ecc1109ULL},
		{7, 64, uneven, 0xdded7adf0f028b71ULL},
		{7, 100, rising, 0x8a34ecbbe564c753ULL},
		{0x123456789abcdef0ULL, MANY, by_percent, 0x2636ac2f345ef376ULL},
	};
	static const uint16_t first[16] = {2, 2, 0, 1, 0, 2, 0, 1, 2, 1, 1, 0, 1, 2, 0, 0};
	struct bid bids[MANY];

	make_bids(bids, rows[_i].n, rows[_i].weight);
	struct rendezvous *r = made(rows[_i].seed, rows[_i].n, bids);
	struct owners o = owners_of(r);
	if (_i == 0)
		ck_assert_mem_eq(o.of, first, sizeof(first));
	ck_assert_msg(digest(&o) == rows[_i].digest, "digest is 0x%llx",
		      (unsigned long long)digest(&o));
	free(o.of);
	rendezvous_free(r);
}
END_TEST

START_TEST(nobody_bids)
{
	struct bid bids[3] = {{.identity = 1}, {.identity = 2}, {.identity = 3}};

	for (int table = 0; table < 2; table++) {
		struct rendezvous *r = rendezvous_new(1, 3, table);
		ck_assert_uint_eq(rendezvous_pick(r, 0), RENDEZVOUS_NONE); /* nobody has yet */
		rendezvous_update(r, bids);
		ck_assert_uint_eq(rendezvous_pick(r, UINT64_MAX), RENDEZVOUS_NONE);
		bids[1].weight = 5;
		rendezvous_update(r, bids);
		ck_assert_uint_eq(rendezvous_pick(r, 0), 1);
		ck_assert_uint_eq(rendezvous_pick(r, UINT64_MAX), 1);
		bids[1].weight = 0;
		rendezvous_update(r, bids);
		ck_assert_uint_eq(rendezvous_pick(r, 0), RENDEZVOUS_NONE);
		ck_assert_uint_eq(rendezvous_pick(r, UINT64_MAX), RENDEZVOUS_NONE);
		rendezvous_free(r);
	}
	struct rendezvous *r = made(1, 0, NULL);
	ck_assert_uint_eq(rendezvous_pick(r, 77), RENDEZVOUS_NONE);
	rendezvous_free(r);
	rendezvous_free(NULL);
}
END_TEST

/* One of n goes and comes back. */
START_TEST(leaving_moves_only_its_own)
{
	static const uint32_t sizes[] = {2, 3, 64, MANY};
	struct bid bids[MANY];
	uint32_t n = sizes[_i], gone = n / 2, moved = 0;

	make_bids(bids, n, rising);
	struct rendezvous *r = made(3, n, bids);
	struct owners before = owners_of(r);
	uint32_t weight = bids[gone].weight;
	bids[gone].weight = 0;
	rendezvous_update(r, bids);
	struct owners without = owners_of(r);
	for (uint32_t b = 0; b < before.n; b++) {
		must(without.of[b] != gone, b);
		if (before.of[b] == gone)
			moved++;
		else
			must(without.of[b] == before.of[b], b);
	}
	ck_assert_uint_gt(moved, 0);
	bids[gone].weight = weight;
	rendezvous_update(r, bids);
	struct owners again = owners_of(r);
	ck_assert_mem_eq(again.of, before.of, before.n * sizeof(*before.of));
	free(before.of);
	free(without.of);
	free(again.of);
	rendezvous_free(r);
}
END_TEST

/* What the one that left had goes to all the others, in proportion. */
START_TEST(what_is_left_is_shared)
{
	struct bid bids[4];
	uint32_t got[4] = {0}, moved = 0;

	make_bids(bids, 4, rising); /* weights 1 2 3 4 */
	struct rendezvous *r = made(5, 4, bids);
	struct owners before = owners_of(r);
	bids[3].weight = 0;
	rendezvous_update(r, bids);
	struct owners after = owners_of(r);
	for (uint32_t b = 0; b < before.n; b++)
		if (before.of[b] == 3) {
			got[after.of[b]]++;
			moved++;
		}
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_double_eq_tol((double)got[i] / moved, (i + 1) / 6.0, 0.02);
	free(before.of);
	free(after.of);
	rendezvous_free(r);
}
END_TEST

/* The table for n + 1 beside the one for n: made anew, as after a reload. */
START_TEST(a_new_one_takes_its_share_and_no_more)
{
	static const uint32_t sizes[] = {2, 3, 10, 63, 999};
	struct bid bids[MANY];
	uint32_t n = sizes[_i], moved = 0;

	make_bids(bids, n + 1, one);
	struct rendezvous *few = made(9, n, bids), *more = made(9, n + 1, bids);
	struct owners before = owners_of(few), after = owners_of(more);
	ck_assert_uint_eq(before.n, after.n);
	for (uint32_t b = 0; b < before.n; b++) {
		if (before.of[b] == after.of[b])
			continue;
		must(after.of[b] == n, b);
		moved++;
	}
	double due = (double)before.n / (n + 1);
	ck_assert_double_gt(moved, due * 0.8);
	ck_assert_double_lt(moved, due * 1.2);
	free(before.of);
	free(after.of);
	rendezvous_free(few);
	rendezvous_free(more);
}
END_TEST

/* More weight only takes, and only for itself; less only gives. */
START_TEST(weights_move_what_they_must)
{
	struct bid bids[10];

	make_bids(bids, 10, rising);
	struct rendezvous *r = made(2, 10, bids);
	struct owners before = owners_of(r);
	bids[4].weight = 50;
	rendezvous_update(r, bids);
	struct owners raised = owners_of(r);
	bids[4].weight = 2;
	rendezvous_update(r, bids);
	struct owners lowered = owners_of(r);
	for (uint32_t b = 0; b < before.n; b++) {
		if (raised.of[b] != before.of[b])
			must(raised.of[b] == 4, b);
		if (lowered.of[b] != raised.of[b])
			must(raised.of[b] == 4, b);
		if (before.of[b] == 4)
			must(raised.of[b] == 4, b);
	}
	free(before.of);
	free(raised.of);
	free(lowered.of);
	rendezvous_free(r);
}
END_TEST

static void same_as_made_anew(const struct rendezvous *r, uint64_t seed, uint32_t n,
			      const struct bid *bids)
{
	struct rendezvous *anew = made(seed, n, bids);
	struct owners x = owners_of(r), y = owners_of(anew);

	ck_assert_mem_eq(x.of, y.of, x.n * sizeof(*x.of));
	free(x.of);
	free(y.of);
	rendezvous_free(anew);
}

/* Whatever the way to the present weights: the table is the one made from them alone. */
START_TEST(history_does_not_matter)
{
	struct rng rng = {.key = {.k0 = (uint64_t)_i}};
	uint32_t n = _i % 4 == 3 ? 200 : (uint32_t)(2 + rng_u64(&rng) % 63);
	struct bid bids[200];

	make_bids(bids, n, rising);
	struct rendezvous *r = made((uint64_t)_i, n, bids);
	for (unsigned step = 0; step < 12; step++) {
		/* from one to all of them change */
		uint64_t n_changes = step % 4 == 3 ? n : 1 + rng_u64(&rng) % 3;
		for (; n_changes > 0; n_changes--) {
			uint32_t i = (uint32_t)(rng_u64(&rng) % n);
			bids[i].weight = (uint32_t)(rng_u64(&rng) % 4 ? rng_u64(&rng) % 257 : 0);
		}
		if (step == 6)
			for (uint32_t i = 0; i < n; i++)
				bids[i].weight = 0;
		if (step == 9)
			bids[0].identity++;
		rendezvous_update(r, bids);
		same_as_made_anew(r, (uint64_t)_i, n, bids);
	}
	rendezvous_free(r);
}
END_TEST

/* Without a table the answers are the same. */
START_TEST(table_or_not)
{
	static const uint32_t sizes[] = {1, 3, 64, 300};
	uint32_t (*const weights[])(uint32_t) = {one, uneven};
	struct bid bids[300];
	uint32_t n = sizes[_i / 2];

	make_bids(bids, n, weights[_i % 2]);
	struct rendezvous *table = made(4, n, bids), *none = rendezvous_new(4, n, false);
	rendezvous_update(none, bids);
	for (uint32_t b = 0; b<rendezvous_buckets(table); b += n> 64 ? 29 : 1) {
		uint64_t hash = hash_of_bucket(table, b);
		must(rendezvous_pick(table, hash) == rendezvous_pick(none, hash), b);
	}
	ck_assert_uint_lt(rendezvous_memory(none) + 100000, rendezvous_memory(table));
	rendezvous_free(table);
	rendezvous_free(none);
}
END_TEST

/* Identity decides, not the place in the array, nor who else is in it without bidding. */
START_TEST(order_does_not_matter)
{
	struct bid bids[40], shuffled[60];

	make_bids(bids, 40, uneven);
	for (uint32_t i = 0; i < 40; i++)
		shuffled[i * 7 % 40] = bids[i];
	for (uint32_t i = 40; i < 60; i++)
		shuffled[i] = (struct bid){.identity = i};
	struct rendezvous *x = made(6, 40, bids), *y = made(6, 60, shuffled);
	for (uint32_t b = 0; b < rendezvous_buckets(x); b++) {
		uint64_t hash = hash_of_bucket(x, b);
		must(bids[rendezvous_pick(x, hash)].identity ==
			     shuffled[rendezvous_pick(y, hash)].identity,
		     b);
	}
	rendezvous_free(x);
	rendezvous_free(y);
}
END_TEST

/* With another seed everything falls anew. */
START_TEST(seed_matters)
{
	struct bid bids[2];
	uint32_t same = 0;

	make_bids(bids, 2, one);
	struct rendezvous *x = made(1, 2, bids), *y = made(2, 2, bids);
	for (uint32_t b = 0; b < rendezvous_buckets(x); b++) {
		uint64_t hash = hash_of_bucket(x, b);
		same += rendezvous_pick(x, hash) == rendezvous_pick(y, hash);
	}
	ck_assert_double_eq_tol((double)same / rendezvous_buckets(x), 0.5, 0.03);
	rendezvous_free(x);
	rendezvous_free(y);
}
END_TEST

/* The same identity twice, extreme weights: still somebody, and the same one each time. */
START_TEST(odd_bids)
{
	struct bid twins[2] = {{.identity = 1, .weight = 3}, {.identity = 1, .weight = 3}};
	struct bid giants[3] = {{.identity = 1, .weight = UINT32_MAX},
				{.identity = 2, .weight = UINT32_MAX},
				{.identity = 3, .weight = 1}};
	uint32_t share[3] = {0};

	struct rendezvous *r = made(1, 2, twins);
	for (uint32_t b = 0; b < rendezvous_buckets(r); b++)
		must(rendezvous_pick(r, hash_of_bucket(r, b)) == 0, b);
	rendezvous_free(r);
	r = made(1, 3, giants);
	for (uint32_t b = 0; b < rendezvous_buckets(r); b++)
		share[rendezvous_pick(r, hash_of_bucket(r, b))]++;
	ck_assert_uint_le(share[2], 1);
	ck_assert_uint_gt(share[0], share[1] * 9 / 10);
	ck_assert_uint_gt(share[1], share[0] * 9 / 10);
	same_as_made_anew(r, 1, 3, giants);
	rendezvous_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rendezvous");
	TCase *t = tcase_create("rendezvous");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, shares_follow_weights, 0, 28);
	tcase_add_test(t, each_of_a_thousand_within_a_fifth);
	tcase_add_loop_test(t, vectors, 0, 5);
	tcase_add_test(t, nobody_bids);
	tcase_add_loop_test(t, leaving_moves_only_its_own, 0, 4);
	tcase_add_test(t, what_is_left_is_shared);
	tcase_add_loop_test(t, a_new_one_takes_its_share_and_no_more, 0, 5);
	tcase_add_test(t, weights_move_what_they_must);
	tcase_add_loop_test(t, history_does_not_matter, 0, 8);
	tcase_add_loop_test(t, table_or_not, 0, 8);
	tcase_add_test(t, order_does_not_matter);
	tcase_add_test(t, seed_matters);
	tcase_add_test(t, odd_bids);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
