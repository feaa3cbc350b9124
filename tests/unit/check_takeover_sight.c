/*
 * check_takeover_sight.c - who plays a dispatcher when its node, whose ports are all up, reaches no
 * server or no firewall any more: one engine, n1, preferred as inner, and n0 as the other. Servers
 * a and b are on port "s", c is on port "b"; checks fail when two in a row have.
 *
 * proves: HD-12 HD-19 HD-23
 */
#include "takeover_rig.h"

#define SEES (BOTH | WIRE_ROLE_SEES)
enum { A, B, C };

static void begin(void)
{
	rig_inner = "nodes = {\"n1\", \"n0\"} take-back-delay = \"1s\"";
	rig_more = "target \"a\" { addresses = {\"10.4.0.11\"} check = \"tcp\" check-port = 80 "
		   "check-fall = 2 check-rise = 2 }\n"
		   "target \"b\" { addresses = {\"10.4.0.12\"} check = \"tcp\" check-port = 80 "
		   "check-fall = 2 check-rise = 1 }\n"
		   "target \"c\" { addresses = {\"10.4.0.13\"} }\n"
		   "service \"web\" { addresses = {\"198.51.100.80\"} protocol = \"tcp\" "
		   "ports = {\"80\"} technology = \"l4/2\" targets = {\"a\", \"b\", \"c\"} }\n";
	rig_begin();
	rig_about_inner();
}

static void answers(unsigned target)
{
	engine_target_health(rig.e, (uint16_t)target, true, "answers", now(), rig.a);
	call_at(rig.now + RIG_MS);
}

static void fails(unsigned target)
{
	engine_target_health(rig.e, (uint16_t)target, false, "silence", now(), rig.a);
	call_at(rig.now + RIG_MS);
}

static void all_fail(void)
{
	for (unsigned n = 0; n < 2; n++) {
		fails(A);
		fails(B);
	}
}

static bool lost(unsigned target)
{
	return target_lost(&rig.e->dispatch, (uint16_t)target);
}

/* n1 plays inner, n0 stands by, and the servers have answered. */
static void plays(unsigned flags)
{
	activate();
	answers(A);
	answers(B);
	say(0, WIRE_ROLE_STANDBY, flags, 2);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert(role()->sees);
}

/* --- servers ------------------------------------------------------------------------------------
 */

START_TEST(to_who_sees_them)
{
	plays(SEES);
	fails(A);
	fails(B);
	fails(A);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert(!target_usable(&rig.e->dispatch, A));
	ck_assert(!lost(A)); /* perhaps n0 reaches it */
	fails(B);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	ck_assert_str_eq(role()->why, "yields: no server answers here any more, but there");
	ck_assert_uint_eq(role()->successor, 1);
	ck_assert(!lost(A) && !lost(B));
	ck_assert_uint_eq(takeover_flags(&rig.e->dispatch, 1) & (WIRE_ROLE_BLIND | WIRE_ROLE_SEES),
			  WIRE_ROLE_BLIND);
}
END_TEST

/* One that has no tables, no port, or sees no more itself, is not better. */
START_TEST(nobody_sees_them)
{
	static const unsigned flags[] = {BOTH, SEES & ~WIRE_ROLE_SYNCED, SEES & ~WIRE_ROLE_ABLE,
					 SEES | WIRE_ROLE_BLIND};

	plays(flags[_i]);
	all_fail();
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert(lost(A) && lost(B));
}
END_TEST

START_TEST(nobody_is_there)
{
	activate();
	answers(A);
	fails(A);
	fails(A);
	ck_assert(lost(A));
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* Another server answers, and then this one does not: it is not this node that is cut off. */
START_TEST(witness)
{
	plays(SEES);
	fails(A);
	answers(B);
	fails(A);
	ck_assert(!lost(A)); /* it may have been asked before */
	fails(A);
	ck_assert(lost(A));
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert(!role()->lost_servers);
}
END_TEST

/* The cut ends; a check that was begun in it fails afterwards. */
START_TEST(late_witness)
{
	plays(SEES);
	fails(B);
	answers(B);
	fails(A);
	fails(A);
	ck_assert(!lost(A));
	answers(B);
	run_to(at() + 100);
	ck_assert(!lost(A));
	fails(A);
	ck_assert(!lost(A));
	answers(A);
	answers(A);
	ck_assert(target_usable(&rig.e->dispatch, A));
	fails(A); /* what was seen before says nothing of this one */
	fails(A);
	ck_assert(!target_usable(&rig.e->dispatch, A) && !lost(A));
}
END_TEST

/* One that sees is gone, or stops to see. */
START_TEST(doubt_ends)
{
	plays(SEES);
	fails(A);
	fails(A);
	ck_assert(!lost(A));
	if (_i == 0)
		run_to(at() + DEAD);
	else if (_i == 1)
		say(0, WIRE_ROLE_STANDBY, BOTH, 2);
	else
		fails(A), fails(A); /* nothing more can be known */
	run_to(at() + 100);
	ck_assert(lost(A));
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* Whoever stands by has no say, and what it has found counts as soon as it plays. */
START_TEST(verdict_of_a_standby)
{
	answers(A);
	answers(B);
	say(0, WIRE_ROLE_ACTIVE, SEES, 1);
	fails(A);
	fails(A);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	ck_assert(!target_usable(&rig.e->dispatch, A) && !lost(A));
	answers(B);
	run_to(at() + DEAD + 100);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert(!lost(A)); /* until it is found anew */
	fails(A);
	fails(A);
	ck_assert(lost(A));
}
END_TEST

START_TEST(it_is_coming)
{
	answers(A);
	answers(B);
	say(0, WIRE_ROLE_ACTIVE, SEES, 1);
	fails(A);
	fails(A);
	run_to(at() + DEAD + 100);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	engine_target_health(rig.e, A, true, "answers", now(), rig.a);
	call_at(rig.now + RIG_MS);
	ck_assert(!target_usable(&rig.e->dispatch, A) && !lost(A));
}
END_TEST

/* Before a check has answered there is nothing to see. */
START_TEST(not_yet_checked)
{
	activate();
	ck_assert(!role()->sees && !role()->lost_servers);
	answers(A);
	run_to(at() + 100);
	ck_assert(role()->sees);
}
END_TEST

static void stands_by_for(unsigned flags, unsigned ms)
{
	unsigned end = at() + ms;

	rig.flags = flags;
	while (at() < end) {
		say(0, WIRE_ROLE_ACTIVE, BOTH | flags, 1);
		run_to(at() + 50);
	}
}

/* The preferred one asks for it only when it sees as much as who has it. */
START_TEST(taken_back_by_who_sees)
{
	stands_by_for(WIRE_ROLE_SEES, 2500);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	ck_assert(!role()->wants);
	answers(B);
	stands_by_for(WIRE_ROLE_SEES, 100);
	ck_assert(role()->wants);
	all_fail();
	stands_by_for(WIRE_ROLE_SEES, 100);
	ck_assert(!role()->wants && role()->lost_servers);
	stands_by_for(WIRE_ROLE_BLIND, 100); /* not worse than that one */
	ck_assert(role()->wants);
}
END_TEST

START_TEST(order_to_who_sees_nothing)
{
	all_fail();
	say(0, WIRE_ROLE_ACTIVE, SEES, 1);
	ck_assert_int_eq(engine_take_over(rig.e, "inner", now(), rig.a), -EHOSTUNREACH);
	say(0, WIRE_ROLE_ACTIVE, BOTH | WIRE_ROLE_BLIND, 1);
	ck_assert_int_eq(engine_take_over(rig.e, "inner", now(), rig.a), 0);
	done();
}
END_TEST

/* Nobody plays it: the preferred one leaves it to one that sees. */
START_TEST(blind_ones_come_last)
{
	all_fail();
	say(0, WIRE_ROLE_STANDBY, SEES, 0);
	for (unsigned i = 0; i < 10; i++) {
		run_to(at() + 100);
		say(0, WIRE_ROLE_STANDBY, SEES, 0);
	}
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	run_to(at() + DEAD); /* better than nobody */
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* --- firewalls ----------------------------------------------------------------------------------
 */

/* n0 stands by, and is heard by that port (or the cluster link). */
static void keep_standby(unsigned by, unsigned ms)
{
	unsigned end = at() + ms;

	rig.by = by;
	while (at() < end) {
		say(0, WIRE_ROLE_STANDBY, SEES, 2);
		run_to(at() + 50);
	}
}

/* The firewall, which nobody ever asked to answer here, does not: the path is down. */
START_TEST(cut_from_the_firewalls)
{
	activate();
	answers(A);
	keep_standby(0, 8000);
	ck_assert_int_ne(state(), WIRE_ROLE_ACTIVE);
	ck_assert_str_eq(role()->why, "yields: no firewall answers here any more, perhaps there");
	ck_assert(role()->cut);
	ck_assert(takeover_flags(&rig.e->dispatch, 1) & WIRE_ROLE_BLIND);
	stands_by_for(WIRE_ROLE_SEES, 9000); /* and more than take-back-delay */
	ck_assert(!role()->wants);
	ck_assert_int_eq(engine_take_over(rig.e, "inner", now(), rig.a), -EHOSTUNREACH);
	rig.by = 1 + 2;
	stands_by_for(WIRE_ROLE_SEES, 100);
	ck_assert(!role()->cut && !role()->wants);
	stands_by_for(WIRE_ROLE_SEES, 2000); /* take-back-delay, twice as long for the loss */
	ck_assert(role()->wants);
}
END_TEST

/* The other is on the segment, so it hears as little. */
START_TEST(firewalls_are_gone)
{
	activate();
	answers(A);
	keep_standby(1 + 2, 8000);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert(!role()->cut);
	ck_assert(path_none_answers(&rig.e->dispatch, &rig.e->dispatch.dispatchers[1]));
	keep_standby(0, 400); /* now that one is not heard there any more */
	ck_assert_int_ne(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* It comes back and there is nobody here either: the next try is later, and the one after later
 * still. */
START_TEST(tries_are_rare)
{
	unsigned first, second, third;

	activate();
	answers(A);
	for (first = at(); state() == WIRE_ROLE_ACTIVE; first = at())
		keep_standby(0, 50);
	run_to(at() + 2000); /* silent: it is this node's again */
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	for (second = at(); state() == WIRE_ROLE_ACTIVE; second = at())
		keep_standby(0, 50);
	ck_assert_uint_ge(second - first, 19900);
	ck_assert_uint_le(second - first, 20500);
	run_to(at() + 2000);
	for (third = at(); state() == WIRE_ROLE_ACTIVE; third = at())
		keep_standby(0, 50);
	ck_assert_uint_ge(third - second, 39900);
	ck_assert_uint_le(third - second, 40500);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("takeover sight");
	TCase *servers = tcase_create("servers"), *firewalls = tcase_create("firewalls");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(servers, begin, rig_end);
	tcase_add_test(servers, to_who_sees_them);
	tcase_add_loop_test(servers, nobody_sees_them, 0, 4);
	tcase_add_test(servers, nobody_is_there);
	tcase_add_test(servers, witness);
	tcase_add_test(servers, late_witness);
	tcase_add_loop_test(servers, doubt_ends, 0, 3);
	tcase_add_test(servers, verdict_of_a_standby);
	tcase_add_test(servers, it_is_coming);
	tcase_add_test(servers, not_yet_checked);
	tcase_add_test(servers, taken_back_by_who_sees);
	tcase_add_test(servers, order_to_who_sees_nothing);
	tcase_add_test(servers, blind_ones_come_last);
	suite_add_tcase(suite, servers);
	tcase_add_checked_fixture(firewalls, begin, rig_end);
	tcase_add_test(firewalls, cut_from_the_firewalls);
	tcase_add_test(firewalls, firewalls_are_gone);
	tcase_add_test(firewalls, tries_are_rare);
	suite_add_tcase(suite, firewalls);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
