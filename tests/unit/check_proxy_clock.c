/*
 * check_proxy_clock.c - the wheel of deadlines, beside a list that is searched from end to end; and
 * the stock of buffers.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "proxy/buffer.h"
#include "proxy/clock.h"

#define TICK_NS (UINT64_C(1000000) * CLOCK_TICK_MS)
#define TURN_NS (TICK_NS * CLOCK_SLOTS)
#define TIMERS 200
#define START_NS UINT64_C(123456789012)

/* The same deadlines in the wheel and in plain numbers. */
struct model {
	struct clock clock;
	struct timer timers[TIMERS];
	uint64_t due[TIMERS];  /* UINT64_MAX: not set */
	uint64_t owed[TIMERS]; /* the same, but not before it was set */
	uint64_t now;
	struct rng rng;
	unsigned n_fired;
	bool meddle; /* timers that are due set and stop others */
};

static struct model *model_new(void)
{
	struct model *m = calloc(1, sizeof(*m));

	m->now = START_NS;
	m->rng.key.k0 = 7;
	clock_init(&m->clock, m->now);
	for (unsigned i = 0; i < TIMERS; i++)
		m->due[i] = m->owed[i] = UINT64_MAX;
	return m;
}

static uint64_t draw(struct model *m, uint64_t below)
{
	return rng_u64(&m->rng) % below;
}

static void set(struct model *m, unsigned i, uint64_t due)
{
	clock_set(&m->clock, &m->timers[i], due);
	m->due[i] = due;
	m->owed[i] = due > m->now ? due : m->now;
}

static void stop(struct model *m, unsigned i)
{
	clock_stop(&m->clock, &m->timers[i]);
	m->due[i] = m->owed[i] = UINT64_MAX;
	ck_assert_ptr_null(m->timers[i].next);
}

/* Far and near, already over, and exactly on a tick. */
static uint64_t some_time(struct model *m)
{
	switch (draw(m, 5)) {
	case 0:
		return m->now + draw(m, 10 * TURN_NS);
	case 1:
		return m->now - draw(m, TURN_NS);
	case 2:
		return (m->now / TICK_NS + draw(m, 3 * CLOCK_SLOTS)) * TICK_NS;
	case 3:
		return m->now + draw(m, 3 * TICK_NS);
	default:
		return m->now + draw(m, TURN_NS);
	}
}

static void on_due(void *arg, struct timer *t)
{
	struct model *m = arg;
	unsigned i = (unsigned)(t - m->timers), k;

	ck_assert_uint_lt(i, TIMERS);
	ck_assert_ptr_null(t->next);
	ck_assert_uint_eq(t->due_ns, UINT64_MAX);
	ck_assert_msg(m->due[i] <= m->now, "too early");
	m->due[i] = m->owed[i] = UINT64_MAX;
	m->n_fired++;
	if (!m->meddle)
		return;
	k = (unsigned)draw(m, TIMERS);
	if (draw(m, 2))
		set(m, k, some_time(m));
	else
		stop(m, k);
	if (draw(m, 4) == 0)
		set(m, i, some_time(m));
}

static uint64_t earliest(const struct model *m)
{
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; i < TIMERS; i++)
		if (m->owed[i] < first)
			first = m->owed[i];
	return first;
}

/* Nothing is left that has been due for a tick, and the next call comes in time. */
static void compare(const struct model *m)
{
	uint64_t next = clock_next(&m->clock), first = earliest(m);

	if (m->clock.n == 0)
		ck_assert_uint_eq(next, UINT64_MAX);
	if (first == UINT64_MAX)
		return;
	ck_assert_uint_gt(first + TICK_NS, m->now);
	ck_assert_uint_le(next, first + TICK_NS);
}

static void run(struct model *m)
{
	clock_run(&m->clock, m->now, on_due, m);
	compare(m);
}

START_TEST(met_within_a_tick)
{
	struct model *m = model_new();

	for (unsigned i = 0; i < TIMERS; i++) {
		uint64_t due = m->now + draw(m, 5 * TURN_NS) + 1;

		set(m, 0, due);
		while (m->due[0] != UINT64_MAX) {
			uint64_t next = clock_next(&m->clock);

			ck_assert_uint_gt(next, m->now);
			ck_assert_uint_lt(next, due + TICK_NS);
			if (due < m->now + TURN_NS - 2 * TICK_NS)
				ck_assert_uint_ge(next, due); /* not called in vain */
			m->now = next;
			run(m);
		}
		ck_assert_uint_ge(m->now, due);
	}
	ck_assert_uint_eq(m->n_fired, TIMERS);
	ck_assert_uint_eq(clock_next(&m->clock), UINT64_MAX);
	free(m);
}
END_TEST

/* Loop: whether what is due meddles with others. */
START_TEST(as_a_list_would)
{
	struct model *m = model_new();

	m->meddle = _i == 1;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)draw(m, TIMERS);

		switch (draw(m, 8)) {
		case 0:
			stop(m, i);
			break;
		case 1:
			m->now += draw(m, 20) == 0 ? draw(m, 3 * TURN_NS) : draw(m, 4 * TICK_NS);
			run(m);
			break;
		case 2:
			if (clock_next(&m->clock) != UINT64_MAX && clock_next(&m->clock) > m->now) {
				m->now = clock_next(&m->clock);
				run(m);
			}
			break;
		case 3:
			set(m, i, UINT64_MAX);
			break;
		default:
			set(m, i, some_time(m));
		}
	}
	m->meddle = false;
	m->now += 20 * TURN_NS;
	run(m);
	ck_assert_uint_eq(earliest(m), UINT64_MAX);
	ck_assert_uint_eq(m->clock.n, 0);
	ck_assert_uint_gt(m->n_fired, 1000);
	free(m);
}
END_TEST

/* What a connection does with each byte. */
START_TEST(later_is_one_store)
{
	struct model *m = model_new();
	struct timer *next;

	set(m, 0, m->now + 10 * TICK_NS);
	next = m->timers[0].next;
	for (unsigned i = 11; i < 1000; i++) {
		uint64_t slot = m->timers[0].slot_ns;

		set(m, 0, m->now + i * TICK_NS);
		ck_assert_ptr_eq(m->timers[0].next, next);
		ck_assert_uint_eq(m->timers[0].slot_ns, slot);
	}
	m->now += 500 * TICK_NS;
	run(m);
	ck_assert_uint_eq(m->n_fired, 0);
	set(m, 0, UINT64_MAX);
	m->now += 500 * TICK_NS;
	run(m);
	ck_assert_uint_eq(m->n_fired, 0);
	ck_assert_uint_eq(m->clock.n, 0);
	free(m);
}
END_TEST

/* All in one slot, each stops the one behind it. */
static void stop_next(void *arg, struct timer *t)
{
	struct model *m = arg;
	unsigned i = (unsigned)(t - m->timers);

	m->n_fired++;
	if (i + 1 < TIMERS)
		clock_stop(&m->clock, &m->timers[i + 1]);
}

START_TEST(stopped_while_it_runs)
{
	struct model *m = model_new();

	for (unsigned i = 0; i < TIMERS; i++)
		set(m, i, m->now + TICK_NS);
	m->now += 3 * TICK_NS;
	clock_run(&m->clock, m->now, stop_next, m);
	ck_assert_uint_eq(m->n_fired, TIMERS / 2);
	ck_assert_uint_eq(m->clock.n, 0);
	free(m);
}
END_TEST

/* --- buffers ---------------------------------------------------------------------------------- */

START_TEST(buffers_are_bounded)
{
	struct buffers b;
	struct buffer *x[1000], *none = NULL;

	buffers_init(&b, 100, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		x[i] = buffer_take(&b);
		ck_assert_ptr_nonnull(x[i]);
		memset(x[i]->bytes, 'x', 100);
	}
	ck_assert_ptr_null(buffer_take(&b));
	for (unsigned i = 0; i < 1000; i++) {
		buffer_give(&b, &x[i]);
		ck_assert_ptr_null(x[i]);
	}
	ck_assert_uint_eq(b.n_out, 0);
	ck_assert_uint_eq(b.n_stock, 256);
	buffer_give(&b, &none);
	ck_assert_uint_eq(b.n_out, 0);
	x[0] = buffer_take(&b);
	ck_assert_uint_eq(b.n_stock, 255);
	ck_assert_uint_eq(buffer_used(x[0]), 0);
	buffer_give(&b, &x[0]);
	buffers_fini(&b);
}
END_TEST

START_TEST(room_in_a_buffer)
{
	struct buffers b;
	struct buffer *x;

	buffers_init(&b, 8, 1);
	x = buffer_take(&b);
	ck_assert_uint_eq(buffer_used(NULL), 0);
	ck_assert_uint_eq(buffer_room(&b, x), 8);
	memcpy(x->bytes, "12345678", 8);
	x->end = 7;
	buffer_eat(x, 3);
	ck_assert_uint_eq(buffer_room(&b, x), 1);
	ck_assert_uint_eq(x->start, 3);
	x->end = 8;
	ck_assert_uint_eq(buffer_room(&b, x), 3);
	ck_assert_uint_eq(buffer_used(x), 5);
	ck_assert_int_eq(memcmp(x->bytes + x->start, "45678", 5), 0);
	buffer_eat(x, 5);
	ck_assert_uint_eq(buffer_used(x), 0);
	ck_assert_uint_eq(buffer_room(&b, x), 8);
	x->end = 8;
	ck_assert_uint_eq(buffer_room(&b, x), 0);
	buffer_give(&b, &x);
	buffers_fini(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proxy_clock");
	TCase *t = tcase_create("clock");
	SRunner *sr;
	int failed;

	tcase_add_test(t, met_within_a_tick);
	tcase_add_loop_test(t, as_a_list_would, 0, 2);
	tcase_add_test(t, later_is_one_store);
	tcase_add_test(t, stopped_while_it_runs);
	tcase_add_test(t, buffers_are_bounded);
	tcase_add_test(t, room_in_a_buffer);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
