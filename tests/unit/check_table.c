/* proves: FC-3 FC-6 FC-13 */
#include <check.h>
#include <stdlib.h>

#include "flow/table.h"

#define MS 1000000ULL
#define START 5000000123ULL
#define DAY_MS 86400000ULL

static const struct hash_key secret = {.k0 = 0x0123456789abcdefULL, .k1 = 0xfedcba9876543210ULL};

struct item {
	struct flow_entry flow;
	uint32_t number;
	uint32_t pad[9];
};

static struct flow_key key_of(uint32_t n)
{
	uint8_t src[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	uint8_t dst[4] = {192, 0, 2, 1};
	struct pkt_tuple t = {.src = ipaddr_v4(src),
			      .dst = ipaddr_v4(dst),
			      .sport = (uint16_t)(n >> 24),
			      .dport = 80,
			      .proto = IPPROTO_NUM_TCP};
	struct flow_key key;

	flow_key_make(&key, &t, 4);
	return key;
}

static struct flow_table *table_of(uint32_t capacity)
{
	struct flow_table *t = flow_table_new(sizeof(struct item), capacity, &secret, START);

	ck_assert_ptr_nonnull(t);
	return t;
}

static struct item *insert(struct flow_table *t, uint32_t n)
{
	struct flow_key key = key_of(n);
	struct item *item = flow_table_insert(t, &key, flow_table_hash(t, &key));

	if (item)
		item->number = n;
	return item;
}

static struct item *find(const struct flow_table *t, uint32_t n)
{
	struct flow_key key = key_of(n);
	uint64_t hash = flow_table_hash(t, &key);

	flow_table_prefetch_slot(t, hash);
	flow_table_prefetch_entry(t, hash);
	return flow_table_find(t, &key, hash);
}

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

/* ---- against a naive model ---- */

/* Check's own assertions write to a file each time, too slow for these loops. */
#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

#define MODEL_FLOWS 3000
#define MODEL_CAPACITY 2000

struct model {
	struct flow_table *table;
	uint64_t now_ns;
	uint64_t deadline_ms[MODEL_FLOWS]; /* 0 = not in the table, UINT64_MAX = not armed */
	uint32_t count;
	unsigned random;
	unsigned n_due, n_touched;
};

static unsigned draw(struct model *m, unsigned below)
{
	m->random = m->random * 1664525U + 1013904223U;
	return (unsigned)(((uint64_t)m->random * below) >> 32);
}

static uint64_t model_ms(const struct model *m)
{
	return (m->now_ns - START) / MS;
}

static uint32_t draw_timeout(struct model *m)
{
	const uint32_t scales[] = {20, 500, 10000, 300000, 7200000};
	return draw(m, scales[draw(m, 5)]);
}

static void model_arm(struct model *m, struct item *item)
{
	uint32_t timeout = draw_timeout(m);

	flow_table_arm(m->table, item, m->now_ns, timeout);
	m->deadline_ms[item->number] = (m->now_ns - START + MS - 1) / MS + timeout;
}

static void model_remove(struct model *m, struct item *item)
{
	MUST(m->deadline_ms[item->number] != 0);
	m->deadline_ms[item->number] = 0;
	m->count--;
	flow_table_remove(m->table, item);
}

static void model_insert(struct model *m)
{
	uint32_t n = draw(m, MODEL_FLOWS);

	if (m->deadline_ms[n] != 0)
		return;
	struct item *item = insert(m->table, n);
	MUST((item != NULL) == (m->count < MODEL_CAPACITY));
	if (!item)
		return;
	m->count++;
	m->deadline_ms[n] = UINT64_MAX;
	if (draw(m, 10) != 0)
		model_arm(m, item);
}

static void model_due(void *arg, void *entry)
{
	struct model *m = arg;
	struct item *item = entry;

	MUST(m->deadline_ms[item->number] <= model_ms(m));
	m->n_due++;
	switch (draw(m, 8)) {
	case 0:
		model_arm(m, item);
		return;
	case 1: /* removes itself and another one, any other */
		model_remove(m, item);
		item = find(m->table, draw(m, MODEL_FLOWS));
		if (item)
			model_remove(m, item);
		return;
	case 2:
		model_remove(m, item);
		model_insert(m);
		return;
	default:
		model_remove(m, item);
	}
}

static void model_expire(struct model *m)
{
	const unsigned steps_ms[] = {3, 100, 3000, 60000, 3000000};
	unsigned budget = draw(m, 4) ? 5000 : 1 + draw(m, 20);

	m->now_ns += draw(m, steps_ms[draw(m, 5)]) * MS + draw(m, MS);
	uint64_t next = flow_table_expire(m->table, m->now_ns, budget, model_due, m);
	if (next == m->now_ns)
		return;
	MUST(next > m->now_ns);
	for (uint32_t n = 0; n < MODEL_FLOWS; n++) {
		if (m->deadline_ms[n] == 0 || m->deadline_ms[n] == UINT64_MAX)
			continue;
		/* nobody is overdue, and nobody will be more than a tick late */
		MUST(m->deadline_ms[n] + 8 >= model_ms(m));
		MUST(next <= START + (m->deadline_ms[n] + 16) * MS);
	}
}

static void model_walk(struct model *m)
{
	uint32_t pos = 0, seen = 0, removed = 0, before = m->count;
	struct item *item;

	while ((item = flow_table_next(m->table, &pos))) {
		seen++;
		MUST(m->deadline_ms[item->number] != 0);
		if (draw(m, 50) == 0) {
			model_remove(m, item);
			removed++;
		}
	}
	MUST((seen) == (before));
	MUST((flow_table_count(m->table)) == (before - removed));
}

static void model_step(struct model *m)
{
	uint32_t n = draw(m, MODEL_FLOWS);
	struct item *item = find(m->table, n);

	MUST((item != NULL) == (m->deadline_ms[n] != 0));
	if (item)
		MUST((flow_table_at(m->table, flow_table_index(m->table, item))) == (item));
	switch (draw(m, 100)) {
	case 0 ... 59:
		model_insert(m);
		break;
	case 60 ... 79:
		if (item) {
			m->n_touched++;
			model_arm(m, item);
		}
		break;
	case 80 ... 94:
		if (item)
			model_remove(m, item);
		break;
	case 95 ... 98:
		model_expire(m);
		break;
	default:
		if (draw(m, 20) == 0)
			model_walk(m);
	}
	MUST((flow_table_count(m->table)) == (m->count));
}

START_TEST(agrees_with_a_naive_model)
{
	struct model *m = calloc(1, sizeof(*m));

	/* close to the point where the 32-bit clock goes round */
	m->table = table_of(MODEL_CAPACITY);
	m->now_ns = START + ((1ULL << 32) - 20 * 60000) * MS;
	m->random = (unsigned)_i + 1;
	for (unsigned i = 0; i < 50000; i++)
		model_step(m);
	ck_assert_uint_gt(m->n_due, 1000);
	ck_assert_uint_gt(m->n_touched, 1000);
	flow_table_free(m->table);
	free(m);
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
	tcase_add_loop_test(tc, agrees_with_a_naive_model, 0, 4);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
