/* proves: FC-3 FC-6 FC-13 */
/* 200000 random operations on the flow table, each compared with a naive model. */
#include "table_items.h"

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
	Suite *suite = suite_create("table_model");
	TCase *tc = tcase_create("table_model");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, agrees_with_a_naive_model, 0, 4);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
