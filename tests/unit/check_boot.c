/*
 * check_boot.c - no recording of an earlier life is taken for the present.
 */
/* proves: FC-15 */
#include "channel_verdict.h"

START_TEST(restart)
{
	uint32_t generation = net_member(net, 0, 1)->generation;
	struct wire_header old = header(WIRE_QUERY);

	net_start(net, 1);
	net_run(net, 1);
	ck_assert(net_complete(net));
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_RESTART][1], 1);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_DOWN][1], 0);
	ck_assert_uint_gt(net_member(net, 0, 1)->generation, generation);
	ck_assert_mem_eq(net_member(net, 0, 1)->boot_id, net->nodes[1].boot_id, WIRE_BOOT_ID);
	snapshot();
	inject_forged(&old, key1, 10);
	assert_only(0, COUNTER_MSG_STALE_BOOT, 1);
	ck_assert_uint_eq(net->nodes[0].received[WIRE_QUERY], 0);
}
END_TEST

/* The last four boots are remembered as stale; older ones are merely unproven. */
START_TEST(stale_boots_are_remembered)
{
	struct wire_header h[6];

	for (unsigned i = 0; i < 6; i++) {
		h[i] = header(WIRE_QUERY);
		net_start(net, 1);
		net_run(net, 1000);
	}
	for (unsigned i = 0; i < 6; i++) {
		snapshot();
		inject_forged(&h[i], key1, 10);
		assert_only(0, i < 2 ? COUNTER_MSG_UNPROVEN_BOOT : COUNTER_MSG_STALE_BOOT, 1);
	}
}
END_TEST

/* All that was ever said, said again to a member that has just restarted and knows no old boot.
 * Only it and the attacker are there: nothing comes up, nothing is handed up. */
START_TEST(whole_conversation_replayed)
{
	net_start(net, 0); /* the recording holds restarts and challenges of every kind */
	net_run(net, 500);
	for (unsigned i = 0; i < 20; i++) {
		net_send(net, 1, WIRE_QUERY, 7, 40, CHANNEL_ALL);
		net_send(net, 1, WIRE_CONFIRM, 7, 40, 0);
		net_run(net, 10);
	}
	channel_goodbye(net->nodes[2].ch);
	net_run(net, 500);
	net_stop(net, 1);
	net_stop(net, 2);
	net_start(net, 0);
	snapshot();

	unsigned n = net->n_record;
	ck_assert_uint_gt(n, 80);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < n; i++) {
			const struct net_datagram *d = &net->record[i];
			struct endpoint from = net_endpoint(d->from);

			net_input(net, 0, &from, d->multicast, d->data, d->size);
			net_run(net, round);
		}
	}
	net_run(net, 3000);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_IN], 0);
	ck_assert_uint_gt(net->nodes[0].counters[COUNTER_MSG_UNPROVEN_BOOT], 0);
	ck_assert_uint_gt(net->nodes[0].counters[COUNTER_MSG_CHALLENGE_BAD], 0);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(i == 0 || !net_member(net, 0, i)->proven);
		for (unsigned e = 0; e < NET_EVENTS; e++)
			ck_assert_uint_eq(net->nodes[0].events[e][i], 0);
	}
	for (unsigned t = 0; t < 256; t++)
		ck_assert_uint_eq(net->nodes[0].received[t], 0);
	/* The true members still get in. */
	net_start(net, 1);
	net_start(net, 2);
	net_run(net, 1000);
	ck_assert(net_complete(net));
}
END_TEST

/* A member that did not restart itself: what it sent before we did is no news either. */
START_TEST(recording_of_the_living_boot)
{
	net_forget(net);
	for (unsigned i = 0; i < 20; i++)
		net_send(net, 1, WIRE_QUERY, 7, 40, CHANNEL_ALL);
	net_deliver(net);
	unsigned n = net->n_record;

	net_start(net, 0);
	net_run(net, 300);
	ck_assert(net_complete(net));
	snapshot();
	for (unsigned i = 0; i < n; i++)
		inject(net->record[i].data, net->record[i].size);
	assert_only(0, COUNTER_MSG_REPLAY, n);
	ck_assert_uint_eq(net->nodes[0].received[WIRE_QUERY], 0);
	net_send(net, 1, WIRE_QUERY, 7, 40, CHANNEL_ALL);
	net_deliver(net);
	ck_assert_uint_eq(net->nodes[0].received[WIRE_QUERY], 1);
}
END_TEST

static bool no_responses(struct net *n, const struct net_datagram *d, unsigned to)
{
	(void)n;
	(void)to;
	return d->data[6] != WIRE_RESPONSE;
}

/* The first response that node 1 sent to node 0 since the record was last forgotten. */
static const struct net_datagram *find_response(void)
{
	for (unsigned i = 0; i < net->n_record; i++) {
		const struct net_datagram *d = &net->record[i];
		struct endpoint to = net_endpoint(0);

		if (d->data[6] == WIRE_RESPONSE && d->from == 1 && ipaddr_eq(&d->to.addr, &to.addr))
			return d;
	}
	ck_abort_msg("no response");
	return NULL;
}

/* Restart node 1, hold its answer back for `wait_ms` and then deliver it. */
static void late_answer(unsigned wait_ms)
{
	net_forget(net);
	net->filter = no_responses;
	net_start(net, 1);
	net_run(net, 0);
	const struct net_datagram *d = find_response();
	net_stop(net, 1);
	net_run(net, wait_ms);
	snapshot();
	inject(d->data, d->size);
}

START_TEST(answer_in_time)
{
	late_answer(1990);
	assert_only(0, COUNTER_MSG_IN, 1);
	ck_assert(net_member(net, 0, 1)->proven);
	ck_assert_uint_eq(net_member(net, 0, 1)->boot_id[0], 2);
}
END_TEST

START_TEST(answer_too_late)
{
	late_answer(2010);
	assert_only(0, COUNTER_MSG_CHALLENGE_BAD, 1);
	ck_assert_uint_eq(net_member(net, 0, 1)->boot_id[0], 1);
}
END_TEST

/* Held back until its sender was gone and the next boot proven: that one is not shut out. */
START_TEST(answer_of_one_that_died)
{
	const struct net_datagram *d;

	net_forget(net);
	net->filter = no_responses;
	net_start(net, 1);
	net_run(net, 0);
	d = find_response();
	net->filter = NULL;
	net_start(net, 1);
	net_run(net, 100);
	ck_assert(net_complete(net));
	snapshot();
	inject(d->data, d->size);
	assert_only(0, COUNTER_MSG_CHALLENGE_BAD, 1);
	ck_assert_uint_eq(net_member(net, 0, 1)->boot_id[0], 3);
	net_send(net, 1, WIRE_QUERY, 7, 40, CHANNEL_ALL);
	net_deliver(net);
	ck_assert_uint_eq(net->nodes[0].received[WIRE_QUERY], 1);
}
END_TEST

START_TEST(answer_counts_once)
{
	net_forget(net);
	net_start(net, 1);
	net_run(net, 100);
	const struct net_datagram *d = find_response();
	snapshot();
	inject(d->data, d->size);
	assert_only(0, COUNTER_MSG_REPLAY, 1);

	struct wire_header h = header(WIRE_RESPONSE); /* authentic, but nothing is open */
	inject_forged(&h, key1, WIRE_NONCE);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_CHALLENGE_BAD],
			  before[0][COUNTER_MSG_CHALLENGE_BAD] + 1);
}
END_TEST

START_TEST(wrong_nonce)
{
	struct wire_header h = header(WIRE_HELLO);

	memset(h.boot_id, 0x77, WIRE_BOOT_ID);
	snapshot();
	inject_forged(&h, key1, 22); /* the content is not looked at before it is proven */
	assert_only(0, COUNTER_MSG_UNPROVEN_BOOT, 1);
	h.type = WIRE_RESPONSE;
	h.counter++;
	snapshot();
	inject_forged(&h, key1, WIRE_NONCE);
	assert_only(0, COUNTER_MSG_CHALLENGE_BAD, 1);
	h.counter++;
	snapshot();
	inject_forged(&h, key1, WIRE_NONCE - 1);
	assert_only(0, COUNTER_MSG_MALFORMED, 1);
	ck_assert(net_complete(net));
}
END_TEST

START_TEST(unproven_boot_is_not_obeyed)
{
	static const uint8_t types[] = {WIRE_GOODBYE, WIRE_QUERY,   WIRE_CONFIRM, WIRE_NOT_HOME,
					WIRE_RELEASE, WIRE_FORWARD, WIRE_YIELD,	  99};
	struct wire_header h = header(WIRE_HELLO);

	memset(h.boot_id, 0x77, WIRE_BOOT_ID);
	inject_forged(&h, key1, 22);
	for (unsigned i = 0; i < sizeof(types); i++) {
		h.type = types[i];
		h.counter++;
		snapshot();
		inject_forged(&h, key1, 0);
		assert_only(0, COUNTER_MSG_UNPROVEN_BOOT, 1);
		memset(h.boot_id, 0x78, WIRE_BOOT_ID); /* the same for one never heard of */
		snapshot();
		inject_forged(&h, key1, 0);
		assert_only(0, COUNTER_MSG_UNPROVEN_BOOT, 1);
		memset(h.boot_id, 0x77, WIRE_BOOT_ID);
	}
	ck_assert(net_complete(net));
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_LEFT][1], 0);
}
END_TEST

START_TEST(challenge_for_another_boot)
{
	struct wire_header h = header(WIRE_CHALLENGE);

	snapshot();
	inject_forged(&h, key1, WIRE_BOOT_ID + WIRE_NONCE);
	assert_only(0, COUNTER_MSG_CHALLENGE_BAD, 1);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_CHALLENGE],
			  before[0][COUNTER_MSG_CHALLENGE]);
}
END_TEST

/* A recording of our own earlier boot is not a living namesake: counted, but no alarm. */
START_TEST(own_earlier_boot)
{
	net_forget(net);
	net_run(net, 1000);
	unsigned n = net->n_record;
	net_start(net, 0);
	net_run(net, 1);
	snapshot();
	unsigned own = 0;
	for (unsigned i = 0; i < n; i++) {
		if (net->record[i].from != 0)
			continue;
		own++;
		inject(net->record[i].data, net->record[i].size);
		net_run(net, 1);
	}
	ck_assert_uint_gt(own, 0);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_DUPLICATE_ID], own);
	net_run(net, 3000);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_DUPLICATE_ID][0], 0);
}
END_TEST

START_TEST(challenges_are_answered_within_limits)
{
	struct wire_header h = header(WIRE_CHALLENGE);
	struct wire_challenge c = {.nonce = {1}};
	uint8_t payload[32], data[100];
	struct wcur w = wcur_init(payload, sizeof(payload));

	memcpy(c.boot_id, net->nodes[0].boot_id, WIRE_BOOT_ID);
	wire_put_challenge(&w, &c);
	net_run(net, 2000);
	snapshot();
	net_forget(net);
	for (unsigned i = 0; i < 100; i++) {
		h.counter++;
		inject(data, net_forge(data, &h, key1, payload, sizeof(payload)));
	}
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_CHALLENGE] -
				  before[0][COUNTER_MSG_CHALLENGE],
			  10);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_BOOT_LIMIT], 90);
	ck_assert_uint_eq(net->n_record, 20);
}
END_TEST

/* Garbage with correct headers costs a bounded number of key derivations. */
START_TEST(unknown_boots_are_limited)
{
	struct wire_header h = header(WIRE_HELLO);

	snapshot();
	for (unsigned i = 0; i < 1000; i++) {
		h.boot_id[0] = (uint8_t)i;
		h.boot_id[1] = (uint8_t)(i >> 8);
		inject_forged(&h, foreign_key, 22);
	}
	uint64_t *c = net->nodes[0].counters;
	ck_assert_uint_eq(c[COUNTER_MSG_WRONG_KEY], 100);
	ck_assert_uint_eq(c[COUNTER_MSG_BOOT_LIMIT], 900);
	net_run(net, 1000); /* and it passes */
	net_start(net, 1);
	net_run(net, 1);
	ck_assert(net_complete(net));
}
END_TEST

/* Authentic recordings of many boots: two are asked, the others wait, and a true restart gets in
 * while they come. */
START_TEST(candidates_are_limited)
{
	struct wire_header h = header(WIRE_HELLO);

	net_run(net, 1000);
	net_forget(net);
	snapshot();
	for (unsigned i = 0; i < 5; i++) {
		memset(h.boot_id, 0x40 + (int)i, WIRE_BOOT_ID);
		inject_forged(&h, key1, 22);
	}
	uint64_t *c = net->nodes[0].counters;
	ck_assert_uint_eq(c[COUNTER_MSG_UNPROVEN_BOOT] - before[0][COUNTER_MSG_UNPROVEN_BOOT], 2);
	ck_assert_uint_eq(c[COUNTER_MSG_BOOT_LIMIT], 3);
	ck_assert_uint_eq(net->n_record, 2);
	net_start(net, 1);
	for (unsigned i = 0; i < 100 && net_member(net, 0, 1)->boot_id[0] != 2; i++) {
		memset(h.boot_id, 0x50 + (int)i, WIRE_BOOT_ID);
		inject_forged(&h, key1, 22);
		net_run(net, 20);
	}
	ck_assert(net_complete(net));
	ck_assert_uint_eq(net_member(net, 0, 1)->boot_id[0], 2);
}
END_TEST

/* A recording is asked a few times and then forgotten. */
START_TEST(candidate_expires)
{
	struct wire_header h = header(WIRE_HELLO);

	net_stop(net, 1);
	memset(h.boot_id, 0x77, WIRE_BOOT_ID);
	net_forget(net);
	inject_forged(&h, key1, 22);
	net_run(net, 3000);
	unsigned asked = 0;
	for (unsigned i = 0; i < net->n_record; i++)
		asked += net->record[i].data[6] == WIRE_CHALLENGE;
	ck_assert_uint_eq(asked, 4);
}
END_TEST

static bool no_first_challenge(struct net *n, const struct net_datagram *d, unsigned to)
{
	(void)to;
	return d->data[6] != WIRE_CHALLENGE || rng_u64(&n->rng) % 4 == 0;
}

START_TEST(lost_challenges_are_repeated)
{
	net->filter = no_first_challenge;
	net_start(net, 1);
	net_run(net, 3000);
	ck_assert(net_complete(net));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("boot");
	TCase *boots = tcase_create("boots");
	TCase *limits = tcase_create("limits");

	tcase_add_checked_fixture(boots, setup, teardown);
	tcase_add_test(boots, restart);
	tcase_add_test(boots, stale_boots_are_remembered);
	tcase_add_test(boots, whole_conversation_replayed);
	tcase_add_test(boots, recording_of_the_living_boot);
	tcase_add_test(boots, answer_in_time);
	tcase_add_test(boots, answer_too_late);
	tcase_add_test(boots, answer_of_one_that_died);
	tcase_add_test(boots, answer_counts_once);
	tcase_add_test(boots, wrong_nonce);
	tcase_add_test(boots, unproven_boot_is_not_obeyed);
	tcase_add_test(boots, challenge_for_another_boot);
	tcase_add_test(boots, own_earlier_boot);
	suite_add_tcase(s, boots);

	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_test(limits, challenges_are_answered_within_limits);
	tcase_add_test(limits, unknown_boots_are_limited);
	tcase_add_test(limits, candidates_are_limited);
	tcase_add_test(limits, candidate_expires);
	tcase_add_test(limits, lost_challenges_are_repeated);
	suite_add_tcase(s, limits);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
