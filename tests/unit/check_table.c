/* proves: FC-3 FC-6 FC-13 */
#include "table_items.h"

/* What the due callback was called for. */
struct due_log {
	struct flow_table *table;
	unsigned count;
	uint32_t last;
	uint64_t now_ns;
	uint32_t rearm_ms; /* 0 = remove */
};

static void log_due(void *arg, void *entry)
{
	struct due_log *log = arg;

	log->count++;
	log->last = ((struct item *)entry)->number;
	if (log->rearm_ms)
		flow_table_arm(log->table, entry, log->now_ns, log->rearm_ms);
	else
		flow_table_remove(log->table, entry);
}

static uint64_t expire(struct due_log *log, uint64_t now_ns)
{
	log->now_ns = now_ns;
	return flow_table_expire(log->table, now_ns, 1000, log_due, log);
}

/* Follow the table's own advice on when to call, until `n` entries came due; the time of the last
 * in ms after START. */
static uint64_t run_until_due(struct due_log *log, uint64_t now_ns, unsigned n)
{
	for (unsigned calls = 0; log->count < n; calls++) {
		uint64_t next = expire(log, now_ns);
		if (log->count >= n)
			break;
		ck_assert_uint_lt(calls, 1000);
		ck_assert_uint_ne(next, UINT64_MAX);
		ck_assert_uint_gt(next, now_ns);
		now_ns = next;
	}
	return (now_ns - START + MS - 1) / MS;
}

START_TEST(refuses_impossible_sizes)
{
	ck_assert_ptr_null(flow_table_new(sizeof(struct flow_entry) - 1, 1, &secret, 0));
	ck_assert_ptr_null(flow_table_new(sizeof(struct item), 0, &secret, 0));
	ck_assert_ptr_null(flow_table_new(sizeof(struct item), UINT32_MAX, &secret, 0));
	flow_table_free(NULL);
}
END_TEST

START_TEST(fills_to_capacity_and_empties)
{
	const uint32_t capacities[] = {1, 2, 3, 7, 64, 1000, 1024};

	for (size_t c = 0; c < sizeof(capacities) / sizeof(*capacities); c++) {
		uint32_t n = capacities[c];
		struct flow_table *t = table_of(n);
		ck_assert_uint_eq(flow_table_capacity(t), n);
		for (int round = 0; round < 3; round++) {
			for (uint32_t i = 0; i < n; i++)
				ck_assert_ptr_nonnull(insert(t, i));
			ck_assert_ptr_null(insert(t, n));
			ck_assert_uint_eq(flow_table_count(t), n);
			for (uint32_t i = 0; i < n; i++)
				ck_assert_uint_eq(find(t, i)->number, i);
			ck_assert_ptr_null(find(t, n));
			for (uint32_t i = 0; i < n; i++)
				flow_table_remove(t, find(t, (i * 7919) % n)
							     ? find(t, (i * 7919) % n)
							     : find(t, i));
			ck_assert_uint_eq(flow_table_count(t), 0);
		}
		flow_table_free(t);
	}
}
END_TEST

START_TEST(new_entries_are_zero)
{
	struct flow_table *t = table_of(1);
	struct item *item = insert(t, 1);

	memset(item->pad, 0xff, sizeof(item->pad));
	flow_table_remove(t, item);
	item = insert(t, 2);
	for (size_t i = 0; i < sizeof(item->pad) / sizeof(*item->pad); i++)
		ck_assert_uint_eq(item->pad[i], 0);
	flow_table_free(t);
}
END_TEST

START_TEST(index_and_back)
{
	struct flow_table *t = table_of(4);
	struct item *a = insert(t, 1), *b = insert(t, 2);
	uint32_t index = flow_table_index(t, b);

	ck_assert_uint_ne(flow_table_index(t, a), index);
	ck_assert_ptr_eq(flow_table_at(t, index), b);
	flow_table_remove(t, b);
	ck_assert_ptr_null(flow_table_at(t, index));
	ck_assert_ptr_null(flow_table_at(t, 3));
	ck_assert_ptr_null(flow_table_at(t, 4));
	ck_assert_ptr_null(flow_table_at(t, FLOW_NO_INDEX));
	flow_table_free(t);
}
END_TEST

START_TEST(walk_survives_removal)
{
	struct flow_table *t = table_of(100);
	uint32_t pos = 0, seen = 0;
	struct item *item;

	for (uint32_t i = 0; i < 100; i++)
		flow_table_arm(t, insert(t, i), START, i * 100);
	while ((item = flow_table_next(t, &pos))) {
		seen++;
		if (item->number % 3 != 0)
			flow_table_remove(t, item);
	}
	ck_assert_uint_eq(seen, 100);
	ck_assert_uint_eq(flow_table_count(t), 34);
	for (uint32_t i = 0; i < 100; i++)
		ck_assert_int_eq(find(t, i) != NULL, i % 3 == 0);
	flow_table_free(t);
}
END_TEST

/* One deadline at a time, from the shortest to the longest, at many phases of the wheel: never
 * early, at most 9 ms late, and with few calls in between. */
START_TEST(deadlines_are_met)
{
	const uint32_t timeouts[] = {0,	    1,	   7,	  8,	 9,	  10,	    63,
				     64,    511,   512,	  513,	 1000,	  4095,	    4096,
				     30000, 32767, 32768, 60000, 7200000, 86400000, 1U << 30};
	const uint64_t phases[] = {
		0,	  1,	    3 * MS,	8 * MS - 1,	504 * MS,
		511 * MS, 512 * MS, 32767 * MS, 12345678901ULL, 40 * DAY_MS * MS};

	for (size_t p = 0; p < sizeof(phases) / sizeof(*phases); p++) {
		for (size_t i = 0; i < sizeof(timeouts) / sizeof(*timeouts); i++) {
			struct flow_table *t = table_of(4);
			struct due_log log = {.table = t};
			uint64_t now = START + phases[p];
			flow_table_arm(t, insert(t, 1), now, timeouts[i]);
			uint64_t due = run_until_due(&log, now, 1);
			uint64_t wanted = phases[p] / MS + timeouts[i];
			ck_assert_uint_ge(due, wanted);
			ck_assert_uint_le(due, wanted + 10);
			ck_assert_uint_eq(expire(&log, now), UINT64_MAX);
			flow_table_free(t);
		}
	}
}
END_TEST

START_TEST(deadline_moves_later_and_earlier)
{
	struct flow_table *t = table_of(4);
	struct due_log log = {.table = t};
	struct item *item = insert(t, 1);

	flow_table_arm(t, item, START, 1000);
	flow_table_arm(t, item, START, 5000);
	ck_assert_uint_eq(flow_table_left_ms(t, item, START), 5000);
	ck_assert_uint_eq(flow_table_left_ms(t, item, START + 4000 * MS), 1000);
	ck_assert_uint_eq(flow_table_left_ms(t, item, START + 6000 * MS), 0);
	expire(&log, START + 4999 * MS);
	ck_assert_uint_eq(log.count, 0);
	flow_table_arm(t, item, START + 4999 * MS, 7200000);
	flow_table_arm(t, item, START + 4999 * MS, 20);
	ck_assert_uint_le(run_until_due(&log, START + 5000 * MS, 1), 5030);
	flow_table_free(t);
}
END_TEST

/* An entry that is touched again and again with the same timeout stays, and goes when left alone.
 */
START_TEST(touched_entry_stays)
{
	struct flow_table *t = table_of(4);
	struct due_log log = {.table = t};
	struct item *item = insert(t, 1);
	uint64_t now = START;

	for (unsigned i = 0; i < 100000; i++, now += 77 * MS) {
		flow_table_arm(t, item, now, 100);
		expire(&log, now);
	}
	ck_assert_uint_eq(log.count, 0);
	expire(&log, now + 200 * MS);
	ck_assert_uint_eq(log.count, 1);
	flow_table_free(t);
}
END_TEST

START_TEST(unarmed_entry_never_expires)
{
	struct flow_table *t = table_of(4);
	struct due_log log = {.table = t};

	insert(t, 1);
	ck_assert_uint_eq(expire(&log, START + DAY_MS * MS), UINT64_MAX);
	ck_assert_uint_eq(log.count, 0);
	flow_table_free(t);
}
END_TEST

START_TEST(budget_bounds_the_work)
{
	struct flow_table *t = table_of(1000);
	struct due_log log = {.table = t};
	uint64_t now = START + 100 * MS;

	for (uint32_t i = 0; i < 1000; i++)
		flow_table_arm(t, insert(t, i), START, i % 2 ? 10 : 60000);
	for (unsigned call = 1; call <= 10; call++) {
		uint64_t next = flow_table_expire(t, now, 50, log_due, &log);
		ck_assert_uint_eq(log.count, call * 50);
		ck_assert_int_eq(next == now, call < 10 || next == now);
	}
	ck_assert_uint_gt(flow_table_expire(t, now, 50, log_due, &log), now);
	ck_assert_uint_eq(flow_table_count(t), 500);
	now = START + 61000 * MS;
	while (flow_table_expire(t, now, 7, log_due, &log) == now)
		;
	ck_assert_uint_eq(flow_table_count(t), 0);
	flow_table_free(t);
}
END_TEST

START_TEST(callback_may_arm_anew)
{
	struct flow_table *t = table_of(10);
	struct due_log log = {.table = t, .rearm_ms = 10};
	uint64_t now = START;

	for (uint32_t i = 0; i < 10; i++)
		flow_table_arm(t, insert(t, i), START, 10);
	for (unsigned ms = 0; ms < 1000; ms++, now += MS)
		expire(&log, now);
	ck_assert_uint_ge(log.count, 10 * 1000 / 20);
	ck_assert_uint_le(log.count, 10 * 1000 / 10);
	ck_assert_uint_eq(flow_table_count(t), 10);
	flow_table_free(t);
}
END_TEST

/* A callback that takes out all others, those in the same bucket too. */
static void remove_all(void *arg, void *entry)
{
	struct due_log *log = arg;
	uint32_t pos = 0;
	void *other;

	(void)entry;
	log->count++;
	while ((other = flow_table_next(log->table, &pos)))
		flow_table_remove(log->table, other);
	insert(log->table, 99);
}

START_TEST(callback_may_remove_others)
{
	struct flow_table *t = table_of(10);
	struct due_log log = {.table = t};

	for (uint32_t i = 0; i < 10; i++)
		flow_table_arm(t, insert(t, i), START, 10 + i % 2);
	flow_table_expire(t, START + 100 * MS, 1000, remove_all, &log);
	ck_assert_uint_eq(log.count, 1);
	ck_assert_uint_eq(flow_table_count(t), 1);
	ck_assert_ptr_nonnull(find(t, 99));
	flow_table_free(t);
}
END_TEST

/* The 32-bit clock goes round after 49.7 days. */
START_TEST(clock_goes_round)
{
	const uint64_t round = (1ULL << 32) * MS;

	for (uint64_t turn = 1; turn <= 3; turn++) {
		struct flow_table *t = table_of(10);
		struct due_log log = {.table = t};
		uint64_t now = START + turn * round - 5000 * MS;
		flow_table_arm(t, insert(t, 1), now, 2000);
		flow_table_arm(t, insert(t, 2), now, 8000);
		flow_table_arm(t, insert(t, 3), now, 7200000);
		ck_assert_uint_eq(flow_table_left_ms(t, find(t, 2), now + 6000 * MS), 2000);
		flow_table_arm(t, find(t, 1), now + 1000 * MS, 6000);
		expire(&log, now + 6990 * MS);
		ck_assert_uint_eq(log.count, 0);
		expire(&log, now + 7010 * MS);
		ck_assert_uint_eq(log.last, 1);
		expire(&log, now + 8010 * MS);
		ck_assert_uint_eq(log.last, 2);
		expire(&log, now + 7199000 * MS);
		ck_assert_uint_eq(log.count, 2);
		expire(&log, now + 7200010 * MS);
		ck_assert_uint_eq(log.count, 3);
		flow_table_free(t);
	}
}
END_TEST

/* Years pass between two calls, and the wheel is right again at once. */
START_TEST(idle_table_costs_nothing)
{
	struct flow_table *t = table_of(10);
	struct due_log log = {.table = t};
	uint64_t now = START + 1000 * DAY_MS * MS;

	expire(&log, now);
	flow_table_arm(t, insert(t, 1), now, 100);
	ck_assert_uint_eq(flow_table_expire(t, now, 0, log_due, &log) > now, 1);
	ck_assert_uint_le(run_until_due(&log, now, 1), (now - START) / MS + 110);
	flow_table_free(t);
}
END_TEST

START_TEST(costs_at_most_128_bytes_per_flow)
{
	struct flow_table *t = flow_table_new(112, 1000000, &secret, 0);

	ck_assert_ptr_nonnull(t);
	ck_assert_uint_le(flow_table_memory(t), 128 * 1000000ULL);
	flow_table_free(t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("table");
	TCase *tc = tcase_create("table");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, refuses_impossible_sizes);
	tcase_add_test(tc, fills_to_capacity_and_empties);
	tcase_add_test(tc, new_entries_are_zero);
	tcase_add_test(tc, index_and_back);
	tcase_add_test(tc, walk_survives_removal);
	tcase_add_test(tc, deadlines_are_met);
	tcase_add_test(tc, deadline_moves_later_and_earlier);
	tcase_add_test(tc, touched_entry_stays);
	tcase_add_test(tc, unarmed_entry_never_expires);
	tcase_add_test(tc, budget_bounds_the_work);
	tcase_add_test(tc, callback_may_arm_anew);
	tcase_add_test(tc, callback_may_remove_others);
	tcase_add_test(tc, clock_goes_round);
	tcase_add_test(tc, idle_table_costs_nothing);
	tcase_add_test(tc, costs_at_most_128_bytes_per_flow);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
