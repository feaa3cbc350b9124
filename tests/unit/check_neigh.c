/*
 * check_neigh.c - the neighbour table: its states, its retries, who gives way when it is full.
 *
 * proves: FC-14
 */
#include <check.h>

#include "node/neigh.h"

#define MS 1000000ULL
#define S 1000000000ULL

static const struct hash_key secret = {5, 6};
static const struct macaddr mac1 = {{2, 0, 0, 0, 0, 1}}, mac2 = {{2, 0, 0, 0, 0, 2}};

static struct ipaddr host(unsigned n)
{
	uint8_t a[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	return ipaddr_v4(a);
}

static uint16_t get(struct neigh_table *t, unsigned n, uint64_t now)
{
	struct ipaddr a = host(n);
	bool evicted;

	return neigh_get(t, 0, &a, now, &evicted);
}

static bool use(struct neigh_table *t, uint16_t i, uint64_t now, bool *ask)
{
	return neigh_use(neigh_at(t, i), now, ask);
}

START_TEST(found_by_port_and_address)
{
	struct neigh_table *t = neigh_table_new(8, &secret);
	struct ipaddr a = host(1);
	bool evicted;
	uint16_t i = neigh_get(t, 0, &a, S, &evicted), j = neigh_get(t, 1, &a, S, &evicted);

	ck_assert(!evicted);
	ck_assert_uint_ne(i, j);
	ck_assert_uint_eq(neigh_find(t, 0, &a), i);
	ck_assert_uint_eq(neigh_find(t, 1, &a), j);
	ck_assert_uint_eq(neigh_find(t, 2, &a), NEIGH_NONE);
	ck_assert_uint_eq(neigh_get(t, 0, &a, S, &evicted), i);
	ck_assert_ptr_null(neigh_at(t, 2));
	ck_assert_ptr_null(neigh_at(t, NEIGH_NONE));
	neigh_table_free(t);
}
END_TEST

/* One request, sent again at 50 ms and then every 300 ms; four in all, then failed for a second. */
START_TEST(asked_four_times_then_failed)
{
	struct neigh_table *t = neigh_table_new(8, &secret);
	uint16_t i = get(t, 1, S);
	uint64_t next, now = S;
	bool ask, failed;
	static const uint64_t gaps[] = {50 * MS, 300 * MS, 300 * MS, 300 * MS};

	ck_assert(!use(t, i, now, &ask));
	ck_assert(ask);
	ck_assert(!use(t, i, now, &ask));
	ck_assert(!ask);
	for (unsigned k = 0; k < 4; k++) {
		ck_assert_uint_eq(neigh_due(t, now + gaps[k] - 1, &ask, &failed, &next),
				  NEIGH_NONE);
		ck_assert_uint_eq(next, now + gaps[k]);
		now += gaps[k];
		ck_assert_uint_eq(neigh_due(t, now, &ask, &failed, &next), i);
		ck_assert_int_eq(ask, k < 3);
		ck_assert_int_eq(failed, k == 3);
	}
	ck_assert_uint_eq(neigh_at(t, i)->state, NEIGH_FAILED);
	ck_assert(!use(t, i, now, &ask));
	ck_assert(!ask);
	now += S;
	ck_assert_uint_eq(neigh_due(t, now, &ask, &failed, &next), NEIGH_NONE);
	ck_assert(!use(t, i, now, &ask));
	ck_assert(ask);
	neigh_table_free(t);
}
END_TEST

START_TEST(learnt_and_asked_again_when_old)
{
	struct neigh_table *t = neigh_table_new(8, &secret);
	uint16_t i = get(t, 1, S);
	bool ask, failed;
	uint64_t next;

	use(t, i, S, &ask);
	ck_assert(neigh_learn(neigh_at(t, i), &mac1, S));
	ck_assert(!neigh_learn(neigh_at(t, i), &mac1, S));
	ck_assert(neigh_learn(neigh_at(t, i), &mac2, S));
	ck_assert(use(t, i, 31 * S - 1, &ask));
	ck_assert(!ask);
	ck_assert(use(t, i, 31 * S, &ask)); /* still used while it is probed */
	ck_assert(ask);
	ck_assert_uint_eq(neigh_at(t, i)->state, NEIGH_PROBE);
	ck_assert(use(t, i, 31 * S + 1, &ask));
	ck_assert(!ask);
	neigh_learn(neigh_at(t, i), &mac2, 31 * S + 2);
	ck_assert_uint_eq(neigh_due(t, 40 * S, &ask, &failed, &next), NEIGH_NONE);
	ck_assert_uint_eq(next, UINT64_MAX);
	neigh_table_free(t);
}
END_TEST

START_TEST(probe_without_answer_fails)
{
	struct neigh_table *t = neigh_table_new(8, &secret);
	uint16_t i = get(t, 1, S);
	bool ask, failed = false;
	uint64_t next, now = 40 * S;
	unsigned asked = 0;

	neigh_learn(neigh_at(t, i), &mac1, S);
	ck_assert(use(t, i, now, &ask));
	while (!failed && now < 50 * S) {
		neigh_due(t, now, &ask, &failed, &next);
		asked += ask;
		now += 10 * MS;
	}
	ck_assert(failed);
	ck_assert_uint_eq(asked, 3);
	ck_assert(!use(t, i, now, &ask));
	neigh_table_free(t);
}
END_TEST

START_TEST(full_gives_way_by_age)
{
	struct neigh_table *t = neigh_table_new(4, &secret);
	struct ipaddr a = host(9), gone = host(2);
	bool ask, evicted;
	uint16_t i;

	for (unsigned n = 0; n < 4; n++) {
		i = get(t, n, S);
		use(t, i, n == 2 ? S : 2 * S, &ask);
		neigh_learn(neigh_at(t, i), &mac1, S);
	}
	i = neigh_get(t, 0, &a, 100 * S, &evicted);
	ck_assert(evicted);
	ck_assert_uint_ne(i, NEIGH_NONE);
	ck_assert_uint_eq(neigh_find(t, 0, &gone), NEIGH_NONE);
	ck_assert_uint_eq(neigh_find(t, 0, &a), i);
	ck_assert_uint_eq(neigh_at(t, i)->state, NEIGH_FREE);
	neigh_table_free(t);
}
END_TEST

START_TEST(failed_gives_way_first)
{
	struct neigh_table *t = neigh_table_new(2, &secret);
	struct ipaddr old = host(1), a = host(9);
	bool ask, failed = false, evicted;
	uint64_t next, now = 2 * S;
	uint16_t i = get(t, 1, S), j = get(t, 2, S);

	neigh_learn(neigh_at(t, i), &mac1, S);
	use(t, j, now, &ask);
	while (!failed)
		neigh_due(t, now += 10 * MS, &ask, &failed, &next);
	ck_assert_uint_eq(neigh_get(t, 0, &a, now, &evicted), j);
	ck_assert_uint_eq(neigh_find(t, 0, &old), i);
	neigh_table_free(t);
}
END_TEST

/* A scan of unused addresses must not push out neighbours in use (RFC 6583 section 6). */
START_TEST(scan_keeps_neighbours_in_use)
{
	struct neigh_table *t = neigh_table_new(64, &secret);
	static struct held packets[4096];
	struct ipaddr gateway = host(1);
	uint16_t i = get(t, 1, S);
	uint64_t next, now = S;
	bool ask, failed, evicted;

	neigh_learn(neigh_at(t, i), &mac1, now);
	for (unsigned n = 0; n < 4096; n++) {
		struct ipaddr a = host(1000 + n);
		uint16_t j;

		now += MS;
		ck_assert_uint_eq(neigh_find(t, 0, &gateway), i);
		ck_assert(use(t, i, now, &ask));
		j = neigh_get(t, 0, &a, now, &evicted);
		if (j == NEIGH_NONE)
			continue;
		use(t, j, now, &ask);
		held_push(&neigh_at(t, j)->waiting, &packets[n]);
		while ((j = neigh_due(t, now, &ask, &failed, &next)) != NEIGH_NONE)
			while (failed && held_pop(&neigh_at(t, j)->waiting))
				;
	}
	neigh_table_free(t);
}
END_TEST

START_TEST(busy_entries_stay)
{
	struct neigh_table *t = neigh_table_new(2, &secret);
	struct ipaddr a = host(9);
	struct held h[2];
	bool ask, evicted;

	for (unsigned n = 0; n < 2; n++) {
		uint16_t i = get(t, n, S);
		use(t, i, S, &ask);
		held_push(&neigh_at(t, i)->waiting, &h[n]);
	}
	ck_assert_uint_eq(neigh_get(t, 0, &a, 2 * S, &evicted), NEIGH_NONE);
	ck_assert(!evicted);
	neigh_table_free(t);
}
END_TEST

START_TEST(port_down_forgets)
{
	struct neigh_table *t = neigh_table_new(8, &secret);
	struct ipaddr a = host(1);
	bool ask, failed, evicted;
	uint64_t next;
	uint16_t i = neigh_get(t, 0, &a, S, &evicted), j = neigh_get(t, 1, &a, S, &evicted);

	neigh_learn(neigh_at(t, i), &mac1, S);
	neigh_learn(neigh_at(t, j), &mac1, S);
	neigh_reset_port(t, 0);
	ck_assert(!use(t, i, S, &ask));
	ck_assert(ask);
	ck_assert(use(t, j, S, &ask));
	neigh_reset_port(t, 0);
	ck_assert_uint_eq(neigh_due(t, 9 * S, &ask, &failed, &next), NEIGH_NONE);
	neigh_table_free(t);
}
END_TEST

/* Many entries in the same chains: all are found, also after others were taken out. */
START_TEST(chains)
{
	struct neigh_table *t = neigh_table_new(4096, &secret);
	bool evicted;

	for (unsigned n = 0; n < 4096; n++)
		ck_assert_uint_ne(get(t, n, S + n), NEIGH_NONE);
	for (unsigned n = 0; n < 4096; n++) {
		struct ipaddr a = host(n);
		ck_assert_uint_eq(neigh_find(t, 0, &a), n);
	}
	for (unsigned n = 0; n < 500; n++) {
		struct ipaddr a = host(100000 + n);
		ck_assert_uint_eq(neigh_get(t, 0, &a, 2 * S, &evicted), n);
		ck_assert(evicted);
	}
	for (unsigned n = 500; n < 4096; n++) {
		struct ipaddr a = host(n);
		ck_assert_uint_eq(neigh_find(t, 0, &a), n);
	}
	neigh_table_free(t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("neigh");
	TCase *t = tcase_create("neigh");
	SRunner *sr;
	int failed;

	tcase_add_test(t, found_by_port_and_address);
	tcase_add_test(t, asked_four_times_then_failed);
	tcase_add_test(t, learnt_and_asked_again_when_old);
	tcase_add_test(t, probe_without_answer_fails);
	tcase_add_test(t, full_gives_way_by_age);
	tcase_add_test(t, failed_gives_way_first);
	tcase_add_test(t, scan_keeps_neighbours_in_use);
	tcase_add_test(t, busy_entries_stay);
	tcase_add_test(t, port_down_forgets);
	tcase_add_test(t, chains);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
