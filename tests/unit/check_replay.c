/*
 * check_replay.c - the replay window.
 */
/* proves: FC-15 */
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cluster/replay.h"

static struct replay r;

static void setup(void)
{
	replay_init(&r);
}

static enum replay_result see(uint64_t counter)
{
	enum replay_result result = replay_check(&r, counter);

	if (result == REPLAY_NEW)
		replay_update(&r, counter);
	return result;
}

START_TEST(in_order)
{
	ck_assert_int_eq(replay_check(&r, 0), REPLAY_OLD);
	for (uint64_t i = 1; i < 30000; i++) {
		ck_assert_int_eq(see(i), REPLAY_NEW);
		ck_assert_int_eq(see(i), REPLAY_SEEN);
	}
	ck_assert_int_eq(replay_check(&r, 0), REPLAY_OLD);
}
END_TEST

START_TEST(checking_changes_nothing)
{
	replay_update(&r, 5);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(replay_check(&r, 1000000), REPLAY_NEW);
	ck_assert_int_eq(replay_check(&r, 4), REPLAY_NEW);
}
END_TEST

/* Both edges, wherever in its block the head lies. */
START_TEST(edges)
{
	uint64_t head = 1000000 + (uint64_t)_i;

	ck_assert_uint_ge(REPLAY_WINDOW, 4096);
	ck_assert_int_eq(see(head), REPLAY_NEW);
	ck_assert_int_eq(see(head - REPLAY_WINDOW), REPLAY_OLD);
	ck_assert_int_eq(see(head - REPLAY_WINDOW + 1), REPLAY_NEW);
	ck_assert_int_eq(see(head - REPLAY_WINDOW + 1), REPLAY_SEEN);
	for (uint64_t i = 1; i < REPLAY_WINDOW - 1; i++)
		ck_assert_int_eq(see(head - i), REPLAY_NEW);
	for (uint64_t i = 0; i < REPLAY_WINDOW; i++)
		ck_assert_int_eq(see(head - i), REPLAY_SEEN);
	ck_assert_int_eq(see(head + 1), REPLAY_NEW);
	ck_assert_int_eq(see(head - REPLAY_WINDOW + 1), REPLAY_OLD);
}
END_TEST

START_TEST(jumps_ahead)
{
	static const uint64_t jumps[] = {1, 63, 64, 65, 8127, 8128, 8129, 8191, 8192, 8193, 100000};
	uint64_t head = 1;

	see(head);
	for (unsigned k = 0; k < sizeof(jumps) / sizeof(jumps[0]); k++) {
		uint64_t before = head;

		head += jumps[k];
		ck_assert_int_eq(see(head), REPLAY_NEW);
		ck_assert_int_eq(see(before), jumps[k] >= REPLAY_WINDOW ? REPLAY_OLD : REPLAY_SEEN);
		if (jumps[k] > 1)
			ck_assert_int_eq(see(head - 1), REPLAY_NEW);
	}
}
END_TEST

START_TEST(end_of_numbers)
{
	ck_assert_int_eq(see(UINT64_MAX), REPLAY_NEW);
	ck_assert_int_eq(see(UINT64_MAX), REPLAY_SEEN);
	ck_assert_int_eq(see(UINT64_MAX - 1), REPLAY_NEW);
	ck_assert_int_eq(see(1), REPLAY_OLD);
}
END_TEST

START_TEST(floor_refuses_the_past)
{
	uint64_t floor = 500 + (uint64_t)_i;

	see(3);
	replay_floor(&r, floor);
	for (uint64_t i = 1; i <= floor; i++)
		ck_assert_int_ne(replay_check(&r, i), REPLAY_NEW);
	for (uint64_t i = floor + 20000; i > floor + 20000 - REPLAY_WINDOW; i--)
		ck_assert_int_eq(see(i), REPLAY_NEW);
	replay_init(&r);
	replay_floor(&r, floor);
	for (uint64_t i = floor + 1; i < floor + 10000; i++)
		ck_assert_int_eq(see(i), REPLAY_NEW);
	replay_floor(&r, floor); /* never backwards */
	ck_assert_int_eq(see(floor + 9999), REPLAY_SEEN);
}
END_TEST

/* Against a plain array of everything seen, under random reordering, loss and duplication. */
START_TEST(against_model)
{
	struct rng rng = {.key = {(uint64_t)_i, 1}};
	uint64_t head = 0, n = 200000;
	bool *seen = calloc(n + 20000, sizeof(*seen));

	for (uint64_t i = 1; i < n; i++) {
		uint64_t back = rng_u64(&rng) % (rng_u64(&rng) % 8 == 0 ? 9000 : 50);
		uint64_t jump = rng_u64(&rng) % 1000 == 0 ? rng_u64(&rng) % 10000 : 0;
		uint64_t c = i + jump > back ? i + jump - back : 1;
		enum replay_result want = c > head		      ? REPLAY_NEW
					  : head - c >= REPLAY_WINDOW ? REPLAY_OLD
					  : seen[c]		      ? REPLAY_SEEN
								      : REPLAY_NEW;

		if (see(c) != want) /* a passing ck_assert writes a file, too slow here */
			ck_abort_msg("round %d: number %llu", _i, (unsigned long long)c);
		seen[c] = true;
		head = c > head ? c : head;
	}
	free(seen);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("replay");
	TCase *t = tcase_create("window");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, in_order);
	tcase_add_test(t, checking_changes_nothing);
	tcase_add_loop_test(t, edges, 0, 65);
	tcase_add_test(t, jumps_ahead);
	tcase_add_test(t, end_of_numbers);
	tcase_add_loop_test(t, floor_refuses_the_past, 0, 65);
	tcase_add_loop_test(t, against_model, 0, 3);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
