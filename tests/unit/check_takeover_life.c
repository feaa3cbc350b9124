/*
 * check_takeover_life.c - taking back, orders, standing still, messages, reloads and what is shown:
 * one engine, n1 of n0 to n3, and what the others say is made by hand.
 *
 * proves: HD-19 HD-23
 */
#include "takeover_rig.h"

/* --- taking back --------------------------------------------------------------------------------
 */

static bool wants(void)
{
	return role()->wants;
}

START_TEST(taken_back_after_a_while)
{
	standby(2); /* able since 0; the delay is 1000 ms */
	while (at() < 990) {
		ck_assert(!wants());
		run_to(at() + 10);
		say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
	}
	run_to(999);
	ck_assert(!wants());
	run_to(1000);
	ck_assert(wants());
	port(0, false);
	ck_assert(!wants());
	port(0, true);
	keep_active(2, 999);
	ck_assert(!wants());
	run_to(at() + 1);
	ck_assert(wants());
}
END_TEST

START_TEST(not_taken_back)
{
	standby(0); /* from a preferred one */
	keep_active(0, 1500);
	ck_assert(!wants());
	restart();
	standby(2);
	rig.flags = WIRE_ROLE_FORCED; /* from one that has it by order */
	keep_active(2, 1500);
	ck_assert(!wants());
	rig.flags = 0;
	keep_active(2, 10);
	ck_assert(wants());
	restart();
	rig.params->dispatchers[0].take_back = false;
	standby(2);
	keep_active(2, 1500);
	ck_assert(!wants());
}
END_TEST

START_TEST(each_flap_doubles_the_wait)
{
	for (unsigned n = 1; n <= 6; n++) {
		unsigned shift = n < 4 ? n : 4;

		activate();
		say(2, WIRE_ROLE_STANDBY, BOTH, 2);
		port(0, false);
		ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
		ck_assert_uint_eq(role()->flaps, shift);
		port(0, true);
		ck_assert_uint_eq(takeover_back_at(&rig.e->dispatch, 0),
				  now() + (1000 * RIG_MS << shift));
		say(2, WIRE_ROLE_ACTIVE, BOTH, 3);
		gone(2);
		run_to(at() + 100);
	}
	run_to(at() + 600000);
	port(0, false);
	port(0, true);
	ck_assert_uint_eq(takeover_back_at(&rig.e->dispatch, 0), now() + (1000 * RIG_MS));
}
END_TEST

/* What the active one does when asked. */
START_TEST(asked_for_it)
{
	static const struct {
		unsigned node, state, flags;
		bool given;
	} cases[] = {
		{0, WIRE_ROLE_STANDBY, BOTH | WIRE_ROLE_WANTS, true},
		{0, WIRE_ROLE_STANDBY, BOTH, false},
		{0, WIRE_ROLE_STANDBY, WIRE_ROLE_SYNCED | WIRE_ROLE_WANTS, false},
		{0, WIRE_ROLE_WAITING, BOTH | WIRE_ROLE_WANTS, false},
		{2, WIRE_ROLE_STANDBY, BOTH | WIRE_ROLE_WANTS, false},
		{2, WIRE_ROLE_STANDBY, BOTH | WIRE_ROLE_WANTS | WIRE_ROLE_FORCED, true},
		{2, WIRE_ROLE_WAITING, BOTH | WIRE_ROLE_WANTS | WIRE_ROLE_FORCED, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		restart();
		activate();
		say(cases[i].node, cases[i].state, cases[i].flags, 2);
		ck_assert_msg((state() == WIRE_ROLE_YIELDING) == cases[i].given, "case %u", i);
		if (cases[i].given)
			ck_assert_uint_eq(role()->successor, cases[i].node + 1);
	}
}
END_TEST

/* --- orders -------------------------------------------------------------------------------------
 */

static int order(const char *dispatcher)
{
	int rc = engine_take_over(rig.e, dispatcher, now(), rig.a);

	done();
	return rc;
}

START_TEST(orders_refused)
{
	ck_assert_int_eq(order("none"), -ENOENT);
	ck_assert_int_eq(order("inner"), -EINVAL);
	port(0, false);
	ck_assert_int_eq(order("outer"), -EAGAIN);
}
END_TEST

START_TEST(ordered_here)
{
	standby(0);
	ck_assert_int_eq(order("outer"), 0);
	ck_assert(wants() && role()->forced);
	say(0, WIRE_ROLE_YIELDING, BOTH, 2);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert(role()->forced);
	/* The preferred one does not get it back by wishing; by order, it does. */
	say(0, WIRE_ROLE_STANDBY, BOTH | WIRE_ROLE_WANTS, 2);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	say(0, WIRE_ROLE_STANDBY, BOTH | WIRE_ROLE_WANTS | WIRE_ROLE_FORCED, 2);
	ck_assert_int_eq(state(), WIRE_ROLE_YIELDING);
	ck_assert(!role()->forced);
}
END_TEST

START_TEST(order_is_forgotten)
{
	standby(0);
	ck_assert_int_eq(order("outer"), 0);
	keep_active(0, 4999);
	ck_assert(wants());
	run_to(at() + 1);
	ck_assert(!wants());
}
END_TEST

/* --- standing still -----------------------------------------------------------------------------
 */

START_TEST(stood_still)
{
	uint64_t lease = (DEAD - HELLO) * RIG_MS - HELLO * RIG_MS / 8, waited;

	activate();
	run_to_next_send();
	call_at(rig.e->dispatch.takeover->send_ns + lease);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert_uint_eq(counter(COUNTER_STALLED), 0);
	call_at(rig.e->dispatch.takeover->send_ns + lease + 1);
	ck_assert_int_eq(state(), WIRE_ROLE_WAITING);
	ck_assert_uint_eq(counter(COUNTER_STALLED), 1);
	ck_assert_uint_eq(role()->flaps, 1);
	ck_assert_uint_eq(rig.e->node.shut_ports, 3);
	ck_assert_uint_eq(role()->able_ns, now());
	waited = now() + DEAD * RIG_MS;
	run_to(at() + DEAD - 1);
	ck_assert_int_eq(state(), WIRE_ROLE_WAITING);
	call_at(waited);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* A process that takes long to begin has not stood still. */
START_TEST(slow_to_begin)
{
	rig_end();
	rig_make();
	hold_up(3 * DEAD);
	ck_assert_int_eq(state(), WIRE_ROLE_WAITING);
	ck_assert(role()->cold);
	ck_assert_uint_eq(counter(COUNTER_STALLED), 0);
	for (uint16_t p = 0; p < 4; p++)
		port(p, true);
	run_to(at() + LISTEN - 1);
	ck_assert_int_eq(state(), WIRE_ROLE_WAITING);
	run_to(at() + 1);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* Whatever the first call after it is. */
START_TEST(stood_still_before_anything)
{
	for (unsigned i = 0; i < 5; i++) {
		struct endpoint from = {.addr = {.b = {[15] = 1}}, .port = 1};
		uint8_t junk[8] = {0};

		restart();
		activate();
		rig.now += 10 * DEAD * RIG_MS;
		switch (i) {
		case 0:
			engine_datagram(rig.e, junk, sizeof(junk), &from, false, now(), rig.a);
			break;
		case 1:
			engine_frames(rig.e, NULL, 0, now(), rig.a);
			break;
		case 2:
			engine_reload(rig.e, rig.params, NULL, now(), rig.a);
			break;
		case 3:
			engine_take_over(rig.e, "outer", now(), rig.a);
			break;
		default:
			ck_assert(!engine_leave(rig.e, now(), rig.a));
		}
		done();
		ck_assert_msg(state() == WIRE_ROLE_WAITING, "case %u", i);
	}
}
END_TEST

/* --- messages -----------------------------------------------------------------------------------
 */

START_TEST(overtaken)
{
	standby(0);
	rig.seq[0] -= 2;
	say(0, WIRE_ROLE_STANDBY, BOTH, 0);
	ck_assert_uint_eq(counter(COUNTER_ROLE_LATE), 1);
	ck_assert_int_eq(rig.e->dispatch.takeover->peers[index_of(0)].roles[0].state,
			 WIRE_ROLE_ACTIVE);
}
END_TEST

START_TEST(numbers_wrap_around)
{
	rig.seq[0] = UINT32_MAX - 1;
	standby(0); /* with UINT32_MAX */
	say(0, WIRE_ROLE_STANDBY, BOTH, 0);
	ck_assert_uint_eq(counter(COUNTER_ROLE_LATE), 0);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	ck_assert_int_eq(rig.e->dispatch.takeover->peers[index_of(0)].roles[0].state,
			 WIRE_ROLE_STANDBY);
}
END_TEST

/* By the other way: it says that its sender is there, and nothing new. */
START_TEST(the_same_again)
{
	uint64_t received;

	standby(0);
	received = counter(COUNTER_ROLE_RECEIVED);
	run_to(at() + 200);
	rig.seq[0]--;
	say(0, WIRE_ROLE_STANDBY, BOTH, 0);
	ck_assert_uint_eq(counter(COUNTER_ROLE_RECEIVED), received);
	run_to(at() + DEAD - 1);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	run_to(at() + 1);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

START_TEST(a_new_boot_counts_anew)
{
	rig.seq[0] = 1000;
	standby(0);
	rig.seq[0] = 0;
	boot(0, 7);
	say(0, WIRE_ROLE_WAITING, BOTH, 0);
	ck_assert_uint_eq(counter(COUNTER_ROLE_LATE), 0);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

START_TEST(malformed)
{
	struct channel_message msg = {.type = WIRE_ROLE, .member = index_of(0)};
	uint8_t junk[3] = {0};

	msg.body = rcur_init(junk, sizeof(junk));
	node_begin(&rig.e->node, now(), rig.a);
	takeover_message(&rig.e->dispatch, &msg);
	done();
	ck_assert_uint_eq(counter(COUNTER_MSG_MALFORMED), 1);
}
END_TEST

/* What must agree is compared, and told once. */
START_TEST(configuration_differs)
{
	standby(0);
	ck_assert_uint_eq(rig.n_differs, 0);
	rig.config ^= 1;
	say(0, WIRE_ROLE_ACTIVE, BOTH, 1);
	say(0, WIRE_ROLE_ACTIVE, BOTH, 1);
	ck_assert_uint_eq(rig.n_differs, 1);
	rig.config ^= 1;
	say(0, WIRE_ROLE_ACTIVE, BOTH, 1);
	ck_assert(!rig.e->dispatch.takeover->peers[index_of(0)].roles[0].differs);
}
END_TEST

/* A dispatcher of another name, or one that its configuration does not let it play. */
START_TEST(no_word_about_it)
{
	standby(0);
	rig.name = "other";
	say(0, WIRE_ROLE_ACTIVE, BOTH, 1);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE); /* it plays this one no more */
	restart();
	run_to(10);
	rig.name = "inner";
	say(0, WIRE_ROLE_ACTIVE, BOTH, 1);
	ck_assert_int_eq(state(), WIRE_ROLE_WAITING);
}
END_TEST

/* --- reload -------------------------------------------------------------------------------------
 */

START_TEST(members_in_another_order)
{
	standby(0);
	reload(true, "");
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	ck_assert_uint_eq(takeover_active_id(&rig.e->dispatch, 0), 1);
	run_to(at() + DEAD - 1);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
	run_to(at() + 1);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

START_TEST(reload_keeps_it)
{
	activate();
	rig.n_announced = 0;
	reload(true, "");
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
	ck_assert_uint_eq(rig.e->node.shut_ports, 0);
	reload(false, "take-back = false");
	run_to(at() + 10);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}
END_TEST

/* --- what is shown ------------------------------------------------------------------------------
 */

static const char *text_of(json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

START_TEST(shown)
{
	json_t *list, *t, *peer;

	standby(0);
	say(2, WIRE_ROLE_STANDBY, WIRE_ROLE_ABLE | WIRE_ROLE_WANTS, 1);
	run_to(at() + 100);
	list = view_dispatchers(rig.e, now());
	t = json_object_get(json_array_get(list, 0), "takeover");
	ck_assert_str_eq(text_of(t, "state"), "standby");
	ck_assert_str_eq(text_of(t, "active"), "n0");
	ck_assert(json_is_true(json_object_get(t, "able")));
	ck_assert_uint_eq(json_array_size(json_object_get(t, "peers")), 3);
	peer = json_array_get(json_object_get(t, "peers"), 0);
	ck_assert_str_eq(text_of(peer, "member"), "n0");
	ck_assert_str_eq(text_of(peer, "state"), "active");
	ck_assert(json_is_true(json_object_get(peer, "hears_us")));
	ck_assert(json_number_value(json_object_get(peer, "heard_s")) > 0.09);
	peer = json_array_get(json_object_get(t, "peers"), 1);
	ck_assert_str_eq(text_of(peer, "state"), "standby");
	ck_assert(json_is_true(json_object_get(peer, "able")));
	ck_assert(json_is_false(json_object_get(peer, "synced")));
	ck_assert(json_is_true(json_object_get(peer, "wants")));
	peer = json_array_get(json_object_get(t, "peers"), 2);
	ck_assert_str_eq(text_of(peer, "state"), "silent");
	ck_assert(json_is_null(json_object_get(peer, "heard_s")));
	ck_assert(json_is_null(json_object_get(json_array_get(list, 1), "takeover")));
	json_decref(list);
	list = view_takeover(rig.e, "outer");
	ck_assert_str_eq(text_of(json_array_get(list, 0), "state"), "standby");
	json_decref(list);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		taken_back_after_a_while,
		not_taken_back,
		each_flap_doubles_the_wait,
		asked_for_it,
		orders_refused,
		ordered_here,
		order_is_forgotten,
		stood_still,
		slow_to_begin,
		stood_still_before_anything,
		overtaken,
		numbers_wrap_around,
		the_same_again,
		a_new_boot_counts_anew,
		malformed,
		configuration_differs,
		no_word_about_it,
		members_in_another_order,
		reload_keeps_it,
		shown,
	};
	Suite *suite = suite_create("takeover life");
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
