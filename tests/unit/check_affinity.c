/*
 * check_affinity.c - clients stay with their target for a time, in a table of fixed size.
 *
 * proves: HD-11
 */
#include <check.h>
#include <stdlib.h>

#include "base/params.h"
#include "dispatch/affinity.h"

#define MS 1000000ULL
#define LIFE 1000 /* ms */

static const struct hash_key secret = {3, 4};

static struct ipaddr client(uint32_t i)
{
	uint8_t b[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

	return ipaddr_v4(b);
}

static struct affinity *get(struct affinity_table *t, uint16_t service, uint32_t i, uint64_t now_ms)
{
	struct ipaddr a = client(i);

	return affinity_get(t, service, &a, LIFE, now_ms * MS);
}

static struct affinity *find(struct affinity_table *t, uint16_t service, uint32_t i,
			     uint64_t now_ms)
{
	struct ipaddr a = client(i);

	return affinity_find(t, service, &a, now_ms * MS);
}

static struct affinity_table *table(uint32_t capacity)
{
	struct affinity_table *t = affinity_table_new(capacity, &secret);

	ck_assert_ptr_nonnull(t);
	return t;
}

START_TEST(made_and_found)
{
	struct affinity_table *t = table(100);

	ck_assert_ptr_null(find(t, 1, 5, 0));
	struct affinity *a = get(t, 1, 5, 0);
	ck_assert_ptr_nonnull(a);
	ck_assert_uint_eq(a->target, PARAMS_NONE);
	ck_assert_uint_eq(a->path, PARAMS_NONE);
	ck_assert_uint_eq(a->service, 1);
	ck_assert_uint_eq(a->n_flows, 0);
	a->target = 7;
	ck_assert_ptr_eq(find(t, 1, 5, 1), a);
	ck_assert_ptr_eq(get(t, 1, 5, 1), a);
	ck_assert_uint_eq(a->target, 7);
	ck_assert_ptr_null(find(t, 2, 5, 1)); /* another service, another client */
	ck_assert_ptr_null(find(t, 1, 6, 1));
	ck_assert_uint_eq(affinity_count(t), 1);
	ck_assert_ptr_ne(get(t, 2, 5, 1), a);
	ck_assert_uint_eq(affinity_count(t), 2);
	affinity_table_free(t);
	affinity_table_free(NULL);
}
END_TEST

START_TEST(both_families)
{
	struct affinity_table *t = table(16);
	struct ipaddr a, b;

	ck_assert_int_eq(ipaddr_parse(&a, "2001:db8::1"), 0);
	ck_assert_int_eq(ipaddr_parse(&b, "2001:db8:0:1::1"), 0);
	struct affinity *x = affinity_get(t, 0, &a, LIFE, 0);
	ck_assert_ptr_eq(affinity_find(t, 0, &a, 0), x);
	ck_assert_ptr_null(affinity_find(t, 0, &b, 0));
	affinity_table_free(t);
}
END_TEST

START_TEST(ends_when_unused)
{
	struct affinity_table *t = table(100);

	get(t, 1, 5, 0);
	ck_assert_ptr_nonnull(find(t, 1, 5, LIFE - 1));
	get(t, 1, 5, LIFE - 1); /* begins anew; finding alone does not */
	find(t, 1, 5, LIFE + 10);
	ck_assert_ptr_nonnull(find(t, 1, 5, 2 * LIFE - 2));
	ck_assert_ptr_null(find(t, 1, 5, 2 * LIFE - 1));
	ck_assert_uint_eq(affinity_count(t), 0);
	/* what comes next is a new one */
	get(t, 1, 6, 0)->target = 3;
	ck_assert_uint_eq(get(t, 1, 6, LIFE)->target, PARAMS_NONE);
	ck_assert_uint_eq(affinity_count(t), 1);
	affinity_table_free(t);
}
END_TEST

START_TEST(open_flows_hold_it)
{
	struct affinity_table *t = table(8);
	struct affinity *a = get(t, 1, 5, 0);

	a->target = 2;
	a->n_flows = 1;
	ck_assert_ptr_eq(find(t, 1, 5, 100 * LIFE), a);
	ck_assert_uint_eq(affinity_expire(t, 100 * LIFE * MS, 8), 0);
	/* not even a flood of others ends it */
	for (uint32_t i = 0; i < 1000; i++)
		if (!get(t, 0, 1000 + i, 100 * LIFE + i))
			ck_abort_msg("no room for %u", i);
	ck_assert_ptr_eq(find(t, 1, 5, 100 * LIFE), a);
	ck_assert_uint_eq(a->target, 2);
	a->n_flows = 0;
	ck_assert_ptr_null(find(t, 1, 5, 100 * LIFE));
	affinity_table_free(t);
}
END_TEST

START_TEST(all_held)
{
	struct affinity_table *t = table(8);

	for (uint32_t i = 0; i < 8; i++)
		get(t, 0, i, 0)->n_flows = 1;
	ck_assert_ptr_null(get(t, 0, 8, 0));
	ck_assert_ptr_null(get(t, 0, 8, 100 * LIFE));
	ck_assert_uint_eq(affinity_count(t), 8);
	for (uint32_t i = 0; i < 8; i++)
		ck_assert_ptr_nonnull(find(t, 0, i, 100 * LIFE));
	find(t, 0, 3, 0)->n_flows = 0;
	ck_assert_ptr_nonnull(get(t, 0, 8, 0));
	ck_assert_ptr_null(find(t, 0, 3, 0));
	ck_assert_uint_eq(affinity_count(t), 8);
	affinity_table_free(t);
}
END_TEST

START_TEST(nearest_to_its_end_gives_way)
{
	struct affinity_table *t = table(8);

	for (uint32_t i = 0; i < 8; i++)
		get(t, 0, i, i);
	get(t, 0, 0, 100);
	get(t, 0, 1, 100);
	find(t, 0, 2, 100)->n_flows = 1;
	get(t, 0, 8, 100);
	ck_assert_ptr_null(find(t, 0, 3, 100));
	for (uint32_t i = 0; i < 9; i++)
		if (i != 3)
			ck_assert_ptr_nonnull(find(t, 0, i, 100));
	/* what is over goes before anything that is not */
	get(t, 0, 9, LIFE + 4);
	ck_assert_ptr_null(find(t, 0, 4, LIFE + 4));
	ck_assert_ptr_nonnull(find(t, 0, 5, LIFE + 4));
	affinity_table_free(t);
}
END_TEST

static uint32_t kept_of(struct affinity_table *t, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		kept += find(t, (uint16_t)(i % 256), i, 0) != NULL;
	return kept;
}

/* Nothing that lives is lost before 70 in 100 places are used, and little at 90. */
START_TEST(nearly_all_places_are_used)
{
	const uint32_t capacity = 65536, most = capacity / 100 * 70, nearly = capacity / 100 * 90;
	struct affinity_table *t = table(capacity);

	for (uint32_t i = 0; i < most; i++)
		get(t, (uint16_t)(i % 256), i, 0);
	ck_assert_uint_eq(kept_of(t, most), most);
	for (uint32_t i = most; i < nearly; i++)
		get(t, (uint16_t)(i % 256), i, 0);
	ck_assert_uint_gt(kept_of(t, nearly), nearly / 100 * 98);
	/* and it never holds more than its places, whoever comes */
	for (uint32_t i = 0; i < 2 * capacity; i++)
		get(t, 0, 1000000 + i, 0);
	ck_assert_uint_le(affinity_count(t), capacity);
	ck_assert_uint_gt(affinity_count(t), capacity / 100 * 99);
	affinity_table_free(t);
}
END_TEST

START_TEST(expire_goes_round)
{
	struct affinity_table *t = table(1000);
	uint32_t gone = 0;

	for (uint32_t i = 0; i < 500; i++)
		get(t, 0, i, i < 300 ? 0 : 1);
	for (unsigned i = 0; i < 10; i++)
		gone += affinity_expire(t, LIFE * MS, 100);
	ck_assert_uint_eq(gone, 300);
	ck_assert_uint_eq(affinity_count(t), 200);
	ck_assert_uint_eq(affinity_expire(t, 2 * LIFE * MS, 1000), 200);
	affinity_table_free(t);
}
END_TEST

START_TEST(forget_target)
{
	struct affinity_table *t = table(100);

	for (uint32_t i = 0; i < 30; i++)
		get(t, 0, i, 0)->target = (uint16_t)(i % 3);
	find(t, 0, 1, 0)->n_flows = 2;
	find(t, 0, 1, 0)->path = 5;
	ck_assert_uint_eq(affinity_forget_target(t, 1), 10);
	ck_assert_uint_eq(affinity_forget_target(t, 1), 0);
	ck_assert_uint_eq(affinity_count(t), 21);
	ck_assert_ptr_null(find(t, 0, 4, 0));
	ck_assert_uint_eq(find(t, 0, 5, 0)->target, 2);
	/* The held one stays for its flows to be counted, and keeps its firewall. */
	ck_assert_uint_eq(find(t, 0, 1, 0)->target, PARAMS_NONE);
	ck_assert_uint_eq(find(t, 0, 1, 0)->n_flows, 2);
	ck_assert_uint_eq(find(t, 0, 1, 0)->path, 5);
	affinity_table_free(t);
}
END_TEST

/* proves: HD-24 */
START_TEST(remap)
{
	static const uint16_t services[3] = {2, PARAMS_NONE, 0};
	static const uint16_t targets[3] = {1, 0, PARAMS_NONE};
	static const uint16_t paths[2] = {PARAMS_NONE, 7};
	struct affinity_table *t = table(4000);

	for (uint32_t i = 0; i < 900; i++) {
		struct affinity *a = get(t, (uint16_t)(i % 3), i, 0);
		a->target = i == 0 ? PARAMS_NONE : (uint16_t)(i / 3 % 3);
		a->path = i == 2 ? PARAMS_NONE : (uint16_t)(i % 2);
	}
	find(t, 0, 6, 0)->n_flows = 1; /* its target goes */
	find(t, 1, 7, 0)->n_flows = 1; /* its service goes */
	affinity_remap(t, services, targets, paths);
	for (uint32_t i = 0; i < 900; i++) {
		static const uint16_t now[3] = {2, 1, 0};
		struct affinity *a = find(t, now[i % 3], i, 0);
		bool kept = i % 3 != 1 && (i == 0 || i == 6 || i / 3 % 3 != 2);
		if (!kept) {
			ck_assert_ptr_null(a);
			continue;
		}
		ck_assert_ptr_nonnull(a);
		ck_assert_uint_eq(a->service, now[i % 3]);
		ck_assert_uint_eq(a->target, i == 0 || i == 6 ? PARAMS_NONE : targets[i / 3 % 3]);
		ck_assert_uint_eq(a->path, i == 2 ? PARAMS_NONE : paths[i % 2]);
	}
	ck_assert_uint_eq(affinity_count(t), 401);
	/* Reload after reload, the old ones are found and no new one is mistaken for them. */
	for (uint16_t round = 0; round < 600; round++) {
		static const uint16_t turn[3] = {1, 2, 0}, same[8] = {0, 1, 2, 3, 4, 5, 6, 7};
		affinity_remap(t, turn, same, same);
		struct affinity *a = find(t, (uint16_t)((2 + round + 1) % 3), 3, 0);
		ck_assert_ptr_nonnull(a);
		ck_assert_ptr_null(find(t, (uint16_t)((2 + round) % 3), 3, 0));
		ck_assert_ptr_null(find(t, (uint16_t)((2 + round + 2) % 3), 3, 0));
	}
	ck_assert_uint_eq(affinity_count(t), 401);
	for (uint16_t i = 0; i < 256; i++)
		if (i != 2)
			ck_assert_ptr_ne(get(t, i, 3, 0), find(t, 2, 3, 0));
	ck_assert_uint_eq(affinity_count(t), 401 + 255);
	affinity_table_free(t);
}
END_TEST

START_TEST(walk)
{
	struct affinity_table *t = table(64);
	const struct affinity *a;
	uint32_t pos = 0, n = 0;
	bool seen[20] = {false};

	ck_assert_ptr_null(affinity_next(t, &pos));
	for (uint32_t i = 0; i < 20; i++)
		get(t, 0, i, 0);
	for (pos = 0; (a = affinity_next(t, &pos)) != NULL; n++) {
		ck_assert(!seen[a->client.b[15]]);
		seen[a->client.b[15]] = true;
	}
	ck_assert_uint_eq(n, 20);
	ck_assert_ptr_null(affinity_next(t, &pos));
	affinity_table_free(t);
}
END_TEST

/* Sizes that are no multiple of a set, and none at all. */
START_TEST(sizes)
{
	for (uint32_t capacity = 0; capacity < 40; capacity++) {
		struct affinity_table *t = table(capacity);
		for (uint32_t i = 0; i < 100; i++)
			if (!get(t, 0, i, 0) || !find(t, 0, i, 0))
				ck_abort_msg("no room for %u of %u", i, capacity);
		ck_assert_uint_ge(affinity_count(t), capacity / 2);
		affinity_table_free(t);
	}
}
END_TEST

/* Random use beside a plain list: as long as there is room, the same answers. */
START_TEST(model)
{
	struct rng rng = {.key = {.k0 = (uint64_t)_i}};
	struct affinity_table *t = table(4096);
	uint64_t ends[300] = {0}, now = 0;
	uint32_t held[300] = {0};

	for (unsigned step = 0; step < 20000; step++) {
		uint64_t x = rng_u64(&rng);
		uint32_t i = (uint32_t)(x >> 32) % 300;
		now += x % 20;
		bool there = held[i] > 0 || now < ends[i];
		struct affinity *a = find(t, (uint16_t)(i % 7), i, now);
		if ((a != NULL) != there || (a && a->n_flows != held[i]))
			ck_abort_msg("step %u: client %u", step, i);
		if (a && x >> 8 & 1 && held[i] > 0) {
			a->n_flows = --held[i];
		} else if (x >> 9 & 1) {
			a = get(t, (uint16_t)(i % 7), i, now);
			ends[i] = now + LIFE;
			a->n_flows = held[i] += x >> 10 & 1;
		}
		affinity_expire(t, now * MS, x >> 12 & 63);
	}
	affinity_table_free(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("affinity");
	TCase *t = tcase_create("affinity");

	tcase_add_test(t, made_and_found);
	tcase_add_test(t, both_families);
	tcase_add_test(t, ends_when_unused);
	tcase_add_test(t, open_flows_hold_it);
	tcase_add_test(t, all_held);
	tcase_add_test(t, nearest_to_its_end_gives_way);
	tcase_add_test(t, nearly_all_places_are_used);
	tcase_add_test(t, expire_goes_round);
	tcase_add_test(t, forget_target);
	tcase_add_test(t, remap);
	tcase_add_test(t, walk);
	tcase_add_test(t, sizes);
	tcase_add_loop_test(t, model, 0, 10);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
