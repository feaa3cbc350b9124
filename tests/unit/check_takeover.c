/*
 * check_takeover.c - who plays a dispatcher, rule by rule: one engine, n1 of n0 to n3, and what the
 * others say is made by hand.
 *
 * proves: HD-19 HD-23
 */
#include "takeover_rig.h"

/* --- to begin ----------------------------------------------------------------------------------
 */

/* And for as long as it may take until a boot is believed. */
START_TEST(listens_for_dead_after)
{
	ck_assert_int_eq(state(), WIRE_ROLE_WAITING);
	ck_assert_uint_eq(rig.e->node.elected_ports, 3);
	ck_assert_uint_eq(rig.e->node.silent_ports, 3);
	ck_assert_uint_eq(rig.e->node.shut_ports, 3);
	run_to(LISTEN - 1);
	ck_assert_int_eq(state(), WIRE_ROLE_WAITING);
	run_to(LISTEN);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert_str_eq(role()->why, "active: nobody else plays it");
	ck_assert_uint_eq(rig.e->node.silent_ports, 0);
	ck_assert_uint_eq(rig.e->node.shut_ports, 0);
	ck_assert_uint_eq(counter(COUNTER_TAKEN_OVER), 1);
}
END_TEST

/* All are there, and just begin: the best need not wait. */
START_TEST(cold_start)
{
	say(2, WIRE_ROLE_WAITING, BOTH, 0);
	say(3, WIRE_ROLE_STANDBY, BOTH, 0);
	ck_assert_int_eq(state(), WIRE_ROLE_WAITING);
	say(0, WIRE_ROLE_WAITING, WIRE_ROLE_SYNCED, 0); /* a port of it is down */
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

START_TEST(cold_start_of_another)
{
	say(2, WIRE_ROLE_WAITING, BOTH, 0);
	say(3, WIRE_ROLE_WAITING, BOTH, 0);
	say(0, WIRE_ROLE_WAITING, BOTH, 0);
	ck_assert_int_eq(state(), WIRE_ROLE_WAITING);
	say(0, WIRE_ROLE_ACTIVE, BOTH, 1);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
}
END_TEST

/* --- silence ------------------------------------------------------------------------------------
 */

START_TEST(silent_for_dead_after)
{
	standby(0);
	run_to(at() + DEAD - 1);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	run_to(at() + 1);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert_str_eq(role()->why, "active: nobody plays it any more");
	ck_assert_uint_eq(role()->other, 0);
}
END_TEST

/* Of those that stand by the best one: able before not, synced before not, then the order. */
START_TEST(best_of_those_that_stand_by)
{
	static const struct {
		unsigned node, flags;
		bool ours;
	} cases[] = {
		{0, BOTH, false}, {0, WIRE_ROLE_ABLE, true}, {0, WIRE_ROLE_SYNCED, true},
		{0, 0, true},	  {2, BOTH, true},	     {3, BOTH, true},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		restart();
		standby(cases[i].node == 3 ? 2 : 3);
		run_to(at() + DEAD - 20);
		say(cases[i].node, WIRE_ROLE_STANDBY, cases[i].flags, 0);
		run_to(at() + 40);
		ck_assert_msg((state() == WIRE_ROLE_ACTIVE) == cases[i].ours, "case %u", i);
	}
}
END_TEST

START_TEST(unable_one_yields_to_any_able_one)
{
	standby(0);
	port(0, false);
	run_to(at() + DEAD - 20);
	say(3, WIRE_ROLE_STANDBY, BOTH, 0);
	run_to(at() + 40);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
}
END_TEST

/* One that only listens is not waited for. */
START_TEST(waiting_one_is_not_waited_for)
{
	standby(2);
	run_to(at() + DEAD - 20);
	say(0, WIRE_ROLE_WAITING, BOTH, 0);
	run_to(at() + 40);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

START_TEST(others_hear_it)
{
	standby(0);
	run_to(at() + DEAD - 20);
	say(2, WIRE_ROLE_STANDBY, BOTH, 1);
	run_to(at() + 100);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	say(2, WIRE_ROLE_STANDBY, BOTH, 2); /* itself, or this node: nobody */
	ck_assert_int_eq(state(),
			 WIRE_ROLE_ACTIVE == state() ? WIRE_ROLE_ACTIVE : WIRE_ROLE_STANDBY);
	say(2, WIRE_ROLE_STANDBY, BOTH, 0);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* Their word ends with them. */
START_TEST(others_heard_it_and_are_silent)
{
	standby(0);
	run_to(at() + DEAD - 20);
	say(2, WIRE_ROLE_STANDBY, BOTH, 1);
	run_to(at() + DEAD - 1);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	run_to(at() + 1);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* Word that nobody plays it any more is passed on at once. */
START_TEST(belief_is_told_at_once)
{
	uint64_t sent;

	standby(0);
	run_to(at() + DEAD - 1);
	say(2, WIRE_ROLE_STANDBY, BOTH, 1);
	sent = counter(COUNTER_ROLE_SENT);
	run_to(at() + 1);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	ck_assert_uint_eq(takeover_active_id(&rig.e->dispatch, 0), 0);
	ck_assert_uint_ge(counter(COUNTER_ROLE_SENT), sent + 1);
}
END_TEST

/* What waits in the sockets of a process that was held up may tell that others are there. */
START_TEST(late_tick_listens_first)
{
	standby(0);
	run_to(at() + 250);
	hold_up(DEAD - HELLO - HELLO / 8);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	run_to(at() + 9);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	run_to(at() + 1);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* As every timer is by a little. */
START_TEST(always_a_little_late)
{
	unsigned begin;

	standby(0);
	begin = at();
	for (unsigned i = 0; i < 1000 && state() != WIRE_ROLE_ACTIVE; i++)
		call_at(engine_next(rig.e) + RIG_MS / 2);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert_uint_le(at(), begin + DEAD + 4);
	ck_assert_uint_ge(at(), begin + DEAD + 1);
}
END_TEST

/* --- handing over -------------------------------------------------------------------------------
 */

START_TEST(handed_to_this_node)
{
	standby(2);
	say(0, WIRE_ROLE_STANDBY, BOTH, 3);
	say(2, WIRE_ROLE_YIELDING, BOTH, 2);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert_str_eq(role()->why, "active: it was handed over");
	ck_assert_uint_eq(role()->other, 2);
}
END_TEST

/* It was, while this process stood still; what was said afterwards lies behind that in the socket.
 */
START_TEST(handed_over_and_taken_back_meanwhile)
{
	standby(2);
	hold_up(DEAD);
	ck_assert_int_eq(state(), WIRE_ROLE_WAITING);
	say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	say(2, WIRE_ROLE_YIELDING, BOTH, 2);
	ck_assert_int_ne(state(), WIRE_ROLE_ACTIVE);
	say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	run_to(at() + HELLO);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	ck_assert_uint_eq(role()->n_active, 0);
}
END_TEST

START_TEST(handed_over_meanwhile)
{
	standby(2);
	hold_up(DEAD);
	say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	say(2, WIRE_ROLE_YIELDING, BOTH, 2);
	run_to(at() + 10);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert_str_eq(role()->why, "active: it was handed over");
}
END_TEST

/* The preferred one does not run ahead of whom it was handed to. */
START_TEST(handed_to_another)
{
	standby(2);
	say(3, WIRE_ROLE_STANDBY, BOTH, 3);
	say(2, WIRE_ROLE_YIELDING, BOTH, 4);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	run_to(at() + 60);
	say(2, WIRE_ROLE_STANDBY, BOTH, 4);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	say(3, WIRE_ROLE_STANDBY, BOTH, 0);
	say(2, WIRE_ROLE_STANDBY, BOTH, 0); /* it believes no longer that it comes */
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

START_TEST(leaves_to_the_best)
{
	activate();
	say(3, WIRE_ROLE_STANDBY, BOTH, 2);
	say(2, WIRE_ROLE_STANDBY, BOTH, 2);
	say(0, WIRE_ROLE_STANDBY, 0, 2);
	ck_assert(engine_leave(rig.e, now(), rig.a));
	done();
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	ck_assert_str_eq(role()->why, "yields: this node leaves");
	ck_assert_uint_eq(role()->successor, 3);
	ck_assert_uint_eq(rig.e->node.silent_ports, 3);
	ck_assert_uint_eq(rig.e->node.shut_ports, 0);
	ck_assert(engine_leaving(rig.e));
	run_to(at() + 50);
	say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	run_to(at() + 49);
	ck_assert(engine_leaving(rig.e));
	run_to(at() + 1);
	ck_assert(!engine_leaving(rig.e));
	ck_assert_uint_eq(rig.e->node.shut_ports, 3);
	run_to(at() + 2 * DEAD); /* and never again */
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
}
END_TEST

START_TEST(leaves_to_nobody)
{
	activate();
	say(0, WIRE_ROLE_STANDBY, WIRE_ROLE_SYNCED, 2);
	ck_assert(engine_leave(rig.e, now(), rig.a));
	done();
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	ck_assert_uint_eq(role()->successor, 0);
}
END_TEST

START_TEST(leaves_and_plays_nothing)
{
	standby(0);
	ck_assert(!engine_leave(rig.e, now(), rig.a));
	done();
	run_to(at() + 2 * DEAD);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
}
END_TEST

/* A goodbye of whom it was handed to. */
START_TEST(successor_is_lost)
{
	activate();
	say(0, WIRE_ROLE_STANDBY, BOTH | WIRE_ROLE_WANTS, 2);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	ck_assert_str_eq(role()->why, "yields: the preferred node is back");
	gone(0);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* Its word that it leaves, or has lost a port, was under way when it was given the dispatcher. */
START_TEST(successor_declines)
{
	activate();
	say(0, WIRE_ROLE_STANDBY, BOTH | WIRE_ROLE_WANTS, 2);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	say(0, WIRE_ROLE_STANDBY, BOTH & ~WIRE_ROLE_ABLE, 2);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* What nobody plays any more is forwarded all the same until somebody does. */
START_TEST(forwards_until_somebody_plays_it)
{
	activate();
	say(2, WIRE_ROLE_STANDBY, BOTH, 2);
	port(0, false);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	for (unsigned i = 0; i < 8; i++) {
		run_to(at() + 50);
		say(2, WIRE_ROLE_STANDBY, BOTH, 0);
	}
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
}
END_TEST

/* It never spoke up. */
START_TEST(successor_is_silent)
{
	activate();
	say(0, WIRE_ROLE_STANDBY, BOTH | WIRE_ROLE_WANTS, 2);
	run_to(at() + DEAD - 1);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING); /* somebody has to forward */
	ck_assert_uint_eq(takeover_active_id(&rig.e->dispatch, 0), 1);
	run_to(at() + 1);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

START_TEST(goodbye_of_the_active_one)
{
	standby(0);
	gone(0);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* One that has just come up may play it, and had no time yet to say so. */
START_TEST(goodbye_while_another_comes_up)
{
	for (unsigned speaks = 0; speaks < 2; speaks++) {
		restart();
		standby(2);
		member_up(0);
		gone(2);
		ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
		run_to(at() + HELLO - 1);
		ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
		if (speaks)
			say(0, WIRE_ROLE_ACTIVE, BOTH, 1);
		run_to(at() + 1);
		ck_assert_int_eq(state(), speaks ? WIRE_ROLE_STANDBY : WIRE_ROLE_ACTIVE);
	}
}
END_TEST

/* What it said before counts only if it was up then. */
START_TEST(goodbye_while_another_comes_back)
{
	standby(2);
	say(0, WIRE_ROLE_STANDBY, WIRE_ROLE_SYNCED, 3);
	run_to(at() + DEAD - 50);
	say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	run_to(at() + 100);
	member_up(0);
	gone(2);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	run_to(at() + HELLO);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* --- ports --------------------------------------------------------------------------------------
 */

START_TEST(port_down)
{
	activate();
	port(1, false);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE); /* nobody could do better */
	say(3, WIRE_ROLE_STANDBY, WIRE_ROLE_SYNCED, 2);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	say(2, WIRE_ROLE_STANDBY, BOTH, 2);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	ck_assert_str_eq(role()->why, "yields: a port is down");
	ck_assert_uint_eq(role()->successor, 3);
	ck_assert_uint_eq(role()->flaps, 1);
}
END_TEST

/* --- two of them --------------------------------------------------------------------------------
 */

START_TEST(preferred_one_keeps_it)
{
	activate();
	say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert_uint_eq(counter(COUNTER_ROLE_CONFLICT), 1);
	rig.n_announced = 0;
	say(2, WIRE_ROLE_YIELDING, BOTH, 2);
	ck_assert_uint_gt(rig.n_announced, 0);
	ck_assert(!role()->conflict);
}
END_TEST

START_TEST(other_one_yields)
{
	activate();
	say(0, WIRE_ROLE_ACTIVE, BOTH, 1);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	ck_assert_str_eq(role()->why, "yields: two play it, and the other is preferred");
	ck_assert_uint_eq(role()->successor, 1);
}
END_TEST

START_TEST(able_one_keeps_it)
{
	activate();
	say(0, WIRE_ROLE_ACTIVE, WIRE_ROLE_SYNCED, 1);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	restart();
	activate();
	port(0, false);
	say(3, WIRE_ROLE_ACTIVE, BOTH, 4);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
}
END_TEST

/* What it says may be older than what it was told: two hellos of patience. */
START_TEST(deaf_one_keeps_it)
{
	activate();
	rig.deaf = true;
	say(3, WIRE_ROLE_ACTIVE, BOTH, 4);
	for (unsigned t = 0; t < 2 * HELLO - 50; t += 50) {
		run_to(at() + 50);
		say(3, WIRE_ROLE_ACTIVE, BOTH, 4);
		ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	}
	run_to(at() + 49);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	run_to(at() + 1);
	say(3, WIRE_ROLE_ACTIVE, BOTH, 4);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	ck_assert_str_eq(role()->why, "yields: two play it, and the other does not hear this node");
}
END_TEST

START_TEST(deaf_one_hears_after_all)
{
	activate();
	rig.deaf = true;
	say(0, WIRE_ROLE_ACTIVE, BOTH, 1);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	rig.deaf = false;
	say(0, WIRE_ROLE_ACTIVE, BOTH, 1);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
}
END_TEST

/* Each word of one that may not know yet is answered. */
START_TEST(deaf_one_is_answered)
{
	uint64_t sent;

	activate();
	rig.deaf = true;
	say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	sent = counter(COUNTER_ROLE_SENT);
	say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	ck_assert_uint_eq(counter(COUNTER_ROLE_SENT), sent + 1);
	rig.deaf = false;
	say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	ck_assert_uint_eq(counter(COUNTER_ROLE_SENT), sent + 1);
}
END_TEST

/* It may have played it in between, and hosts have heard. */
START_TEST(announced_when_one_was_not_heard)
{
	activate();
	say(2, WIRE_ROLE_STANDBY, BOTH, 2);
	rig.n_announced = 0;
	say(2, WIRE_ROLE_STANDBY, BOTH, 2);
	rig.seq[2] += 1;
	say(2, WIRE_ROLE_STANDBY, BOTH, 2);
	ck_assert_uint_eq(rig.n_announced, 0);
	rig.seq[2] += 2;
	say(2, WIRE_ROLE_STANDBY, BOTH, 2);
	ck_assert_uint_gt(rig.n_announced, 0);
	rig.n_announced = 0;
	say(2, WIRE_ROLE_YIELDING, BOTH, 2); /* its word of playing it was lost */
	ck_assert_uint_gt(rig.n_announced, 0);
	rig.n_announced = 0;
	say(3, WIRE_ROLE_STANDBY, BOTH, 2); /* heard for the first time */
	ck_assert_uint_gt(rig.n_announced, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		listens_for_dead_after,
		cold_start,
		cold_start_of_another,
		silent_for_dead_after,
		best_of_those_that_stand_by,
		unable_one_yields_to_any_able_one,
		waiting_one_is_not_waited_for,
		others_hear_it,
		others_heard_it_and_are_silent,
		belief_is_told_at_once,
		late_tick_listens_first,
		always_a_little_late,
		handed_to_this_node,
		handed_over_and_taken_back_meanwhile,
		handed_over_meanwhile,
		handed_to_another,
		leaves_to_the_best,
		leaves_to_nobody,
		leaves_and_plays_nothing,
		successor_is_lost,
		successor_declines,
		forwards_until_somebody_plays_it,
		successor_is_silent,
		goodbye_of_the_active_one,
		goodbye_while_another_comes_up,
		goodbye_while_another_comes_back,
		port_down,
		preferred_one_keeps_it,
		other_one_yields,
		able_one_keeps_it,
		deaf_one_keeps_it,
		deaf_one_hears_after_all,
		deaf_one_is_answered,
		announced_when_one_was_not_heard,
	};
	Suite *suite = suite_create("takeover");
	TCase *tc = tcase_create("rules");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
