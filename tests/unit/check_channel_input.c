/*
 * check_channel_input.c - each datagram has exactly one verdict, and keys can be changed under way.
 */
/* proves: FC-15 */
#include "channel_verdict.h"
#include "cluster/replay.h"

START_TEST(accepted_and_handed_up)
{
	struct wire_header h = header(WIRE_QUERY);

	snapshot();
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_IN, 1);
	ck_assert_uint_eq(net->nodes[0].received[WIRE_QUERY], 1);
	ck_assert_uint_eq(net->nodes[0].last_member, 1);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_BYTES_IN] -
				  before[0][COUNTER_MSG_BYTES_IN],
			  10 + WIRE_OVERHEAD);
}
END_TEST

START_TEST(every_prefix_is_short)
{
	struct wire_header h = header(WIRE_QUERY);
	uint8_t payload[20] = {0}, data[100];
	size_t size = net_forge(data, &h, key1, payload, sizeof(payload));

	for (size_t i = 0; i < size; i++) {
		snapshot();
		inject(data, i);
		assert_only(0, COUNTER_MSG_SHORT, 1);
	}
	snapshot();
	inject(data, size + 1); /* and one byte more than it says */
	assert_only(0, COUNTER_MSG_SHORT, 1);
	snapshot();
	inject(data, size);
	assert_only(0, COUNTER_MSG_IN, 1);
}
END_TEST

START_TEST(every_altered_byte_is_found)
{
	struct wire_header h = header(WIRE_QUERY);
	uint8_t payload[20] = {0}, data[100];
	size_t size = net_forge(data, &h, key1, payload, sizeof(payload));
	uint64_t good = net->nodes[0].counters[COUNTER_MSG_IN];

	for (size_t i = 0; i < size; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			data[i] ^= (uint8_t)(1u << bit);
			inject(data, size);
			data[i] ^= (uint8_t)(1u << bit);
		}
	}
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_IN], good);
	ck_assert_uint_eq(net->nodes[0].received[WIRE_QUERY], 0);
	inject(data, size); /* nothing of this has moved the window */
	ck_assert_uint_eq(net->nodes[0].received[WIRE_QUERY], 1);
}
END_TEST

START_TEST(verdicts_of_the_header)
{
	struct wire_header h;

	snapshot();
	uint8_t junk[100] = {0};
	inject(junk, sizeof(junk));
	assert_only(0, COUNTER_MSG_MAGIC, 1);

	snapshot();
	h = header(WIRE_QUERY);
	h.version = 2;
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_VERSION, 1);

	snapshot();
	h = header(WIRE_QUERY);
	h.cluster_id = 8;
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_CLUSTER_ID, 1);

	snapshot();
	h = header(WIRE_QUERY);
	h.node_id = 4711;
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_UNKNOWN_MEMBER, 1);

	snapshot();
	h = header(WIRE_QUERY);
	h.key_id = 3;
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_UNKNOWN_KEY, 1);
}
END_TEST

START_TEST(unknown_cipher)
{
	struct wire_header h = header(WIRE_QUERY);
	uint8_t data[100];
	size_t size = net_forge(data, &h, key1, data, 10);

	data[12] = 2;
	snapshot();
	inject(data, size);
	assert_only(0, COUNTER_MSG_CIPHER, 1);
}
END_TEST

START_TEST(wrong_key)
{
	struct wire_header h = header(WIRE_QUERY);

	snapshot();
	inject_forged(&h, foreign_key, 10);
	inject_forged(&h, key2, 10); /* a loaded key under the other's id */
	assert_only(0, COUNTER_MSG_WRONG_KEY, 2);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_WRONG_KEY][1], 1);
	net_run(net, 9000);
	inject_forged(&h, foreign_key, 10);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_WRONG_KEY][1], 1);
	net_run(net, 1000);
	inject_forged(&h, foreign_key, 10);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_WRONG_KEY][1], 2);
	ck_assert(net_complete(net));
}
END_TEST

/* A member configured with another key never comes up, and the others say why. */
START_TEST(member_with_wrong_key)
{
	net_stop(net, 1);
	net->nodes[1].keys = "1 5500000000000000000000000000000000000000000000000000000000000000\n";
	net_run(net, 2000);
	net_start(net, 1);
	snapshot();
	net_run(net, 5000);
	ck_assert(!net_member(net, 0, 1)->up);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_WRONG_KEY][1], 1);
	ck_assert_uint_gt(net->nodes[0].counters[COUNTER_MSG_WRONG_KEY], 20);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_UNPROVEN_BOOT],
			  before[0][COUNTER_MSG_UNPROVEN_BOOT]);
}
END_TEST

START_TEST(type_and_content)
{
	struct wire_header h = header(200);

	snapshot();
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_TYPE, 1);

	static const uint8_t handled[] = {WIRE_HELLO, WIRE_CHALLENGE, WIRE_GOODBYE};
	for (unsigned i = 0; i < sizeof(handled); i++) {
		h = header(handled[i]);
		h.counter += i + 1;
		snapshot();
		inject_forged(&h, key1, 3);
		assert_only(0, COUNTER_MSG_MALFORMED, 1);
	}
	h = header(WIRE_RESPONSE);
	h.counter += 9;
	snapshot();
	inject_forged(&h, key1, WIRE_NONCE);
	assert_only(0, COUNTER_MSG_CHALLENGE_BAD, 1);
	ck_assert(net_complete(net));
}
END_TEST

/* proves: HD-19 */
/* From a segment come role, challenge, response and hello, and none of them says
 * who is alive on the cluster link or where. */
START_TEST(types_from_a_segment)
{
	static const struct {
		uint8_t type;
		size_t size;
		enum counter verdict;
	} cases[] = {
		{WIRE_ROLE, 6, COUNTER_MSG_IN},
		{WIRE_HELLO, 3, COUNTER_MSG_IN}, /* not even read */
		{WIRE_CHALLENGE, 3, COUNTER_MSG_MALFORMED},
		{WIRE_RESPONSE, WIRE_NONCE, COUNTER_MSG_CHALLENGE_BAD},
		{WIRE_GOODBYE, 0, COUNTER_MSG_TYPE},
		{WIRE_QUERY, 10, COUNTER_MSG_TYPE},
		{WIRE_FORWARD, 10, COUNTER_MSG_TYPE},
		{WIRE_TAKEN, 10, COUNTER_MSG_TYPE},
		{WIRE_PATH, 10, COUNTER_MSG_TYPE},
		{200, 10, COUNTER_MSG_TYPE},
	};
	struct endpoint way = channel_segment_way(1);
	const struct endpoint before_endpoint = net_member(net, 0, 1)->endpoint;
	const uint64_t heard = net_member(net, 0, 1)->heard_ns;

	net->now_ns += NET_MS;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire_header h = header(cases[i].type);
		uint8_t payload[512] = {0}, data[600];

		h.counter += i;
		snapshot();
		net_input(net, 0, &way, true, data,
			  net_forge(data, &h, key1, payload, cases[i].size));
		ck_assert_msg(net->nodes[0].counters[cases[i].verdict] ==
				      before[0][cases[i].verdict] + 1,
			      "case %u", i);
	}
	ck_assert_uint_eq(net->nodes[0].received[WIRE_ROLE], 1);
	ck_assert(net_member(net, 0, 1)->up);
	ck_assert_uint_eq(net_member(net, 0, 1)->heard_ns, heard);
	ck_assert(ipaddr_eq(&net_member(net, 0, 1)->endpoint.addr, &before_endpoint.addr));
	ck_assert_uint_eq(net_member(net, 0, 1)->endpoint.port, before_endpoint.port);
}
END_TEST

/* proves: HD-19 */
/* A segment keeps nobody alive who is silent on the link. */
START_TEST(no_liveness_from_a_segment)
{
	struct endpoint way = channel_segment_way(1);
	struct wire_header h = header(WIRE_ROLE);
	uint8_t payload[6] = {0}, data[100];

	net_stop(net, 1);
	for (unsigned i = 0; i < 2 * NET_DEAD_MS / 100; i++) {
		h.counter++;
		net_input(net, 0, &way, true, data,
			  net_forge(data, &h, key1, payload, sizeof(payload)));
		net_run(net, 100);
	}
	ck_assert_uint_eq(net->nodes[0].received[WIRE_ROLE], 2 * NET_DEAD_MS / 100);
	ck_assert(!net_member(net, 0, 1)->up);
}
END_TEST

/* proves: HD-19 */
/* A new boot that is first heard on a segment is challenged there. */
START_TEST(challenged_by_a_segment)
{
	struct endpoint way = channel_segment_way(1);
	struct wire_header h = header(WIRE_ROLE);
	uint8_t payload[6] = {0}, data[100];
	const struct net_datagram *last;

	h.boot_id[0] ^= 0x55;
	h.counter = 1;
	snapshot();
	net_input(net, 0, &way, true, data, net_forge(data, &h, key1, payload, sizeof(payload)));
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_UNPROVEN_BOOT],
			  before[0][COUNTER_MSG_UNPROVEN_BOOT] + 1);
	ck_assert_uint_eq(net->nodes[0].received[WIRE_ROLE], 0);
	ck_assert_uint_gt(net->n_record, 0);
	last = &net->record[net->n_record - 1];
	ck_assert_uint_eq(last->from, 0);
	ck_assert_uint_eq(last->data[6], WIRE_CHALLENGE);
	ck_assert(channel_is_segment(&last->to));
	ck_assert_uint_eq(last->to.port, 1);
}
END_TEST

/* A message under the type of another does not open. */
START_TEST(type_cannot_be_changed)
{
	struct wire_header h = header(WIRE_QUERY);
	uint8_t data[100];
	size_t size = net_forge(data, &h, key1, data, 10);

	data[6] = WIRE_CONFIRM;
	snapshot();
	inject(data, size);
	assert_only(0, COUNTER_MSG_WRONG_KEY, 1);
}
END_TEST

START_TEST(reflection)
{
	net_forget(net);
	net_send(net, 0, WIRE_QUERY, 1, 10, CHANNEL_ALL);
	snapshot();
	inject(net->record[0].data, net->record[0].size);
	assert_only(0, COUNTER_MSG_OWN, 1);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_DUPLICATE_ID][0], 0);
}
END_TEST

START_TEST(replay_and_reordering)
{
	struct wire_header h = header(WIRE_QUERY);

	h.counter = 20000;
	inject_forged(&h, key1, 10);
	snapshot();
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_REPLAY, 1);
	snapshot();
	for (unsigned i = 1; i < 100; i++) { /* late, but new */
		h.counter = 20000 - i;
		inject_forged(&h, key1, 10);
	}
	assert_only(0, COUNTER_MSG_IN, 99);
	snapshot();
	h.counter = 20000 - REPLAY_WINDOW + 1;
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_IN, 1);
	snapshot();
	h.counter = 20000 - REPLAY_WINDOW;
	inject_forged(&h, key1, 10);
	h.counter = 0;
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_TOO_OLD, 2);
	/* The window is the boot's: another loaded key does not open it anew. */
	snapshot();
	h.counter = 20000;
	h.key_id = 2;
	inject_forged(&h, key2, 10);
	assert_only(0, COUNTER_MSG_REPLAY, 1);
}
END_TEST

/* Make before break: both load the new key, then each switches, then the old one goes. */
START_TEST(rotation)
{
	uint64_t ups = net->nodes[0].events[CHANNEL_MEMBER_UP][1];
	static const char only2[] = "2 " NET_KEY2 "\n";

	for (unsigned step = 0; step < 2; step++) {
		for (unsigned i = 0; i < 3; i++) {
			struct net_node *n = &net->nodes[i];

			channel_configure(n->ch, &n->params, net_keys(step ? only2 : NET_KEYS_2),
					  net->now_ns);
			net_run(net, 300);
			ck_assert(net_send(net, i, WIRE_QUERY, 1, 10, CHANNEL_ALL));
			net_deliver(net);
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(net->nodes[i].received[WIRE_QUERY], 4);
		ck_assert_uint_eq(net->nodes[i].counters[COUNTER_MSG_WRONG_KEY], 0);
		ck_assert_uint_eq(net->nodes[i].counters[COUNTER_MSG_UNKNOWN_KEY], 0);
		ck_assert_uint_eq(net->nodes[i].counters[COUNTER_MSG_REPLAY], 0);
	}
	ck_assert(net_complete(net));
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_UP][1], ups);
	/* The old key opens nothing any more. */
	struct wire_header h = header(WIRE_QUERY);
	snapshot();
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_UNKNOWN_KEY, 1);
}
END_TEST

/* A key id that now stands for other bytes: nothing derived from the old ones survives. */
START_TEST(key_replaced_under_its_id)
{
	struct wire_header h = header(WIRE_QUERY);

	channel_configure(net->nodes[0].ch, &net->nodes[0].params, net_keys("1 " NET_KEY2 "\n"),
			  net->now_ns);
	snapshot();
	inject_forged(&h, key1, 10);
	assert_only(0, COUNTER_MSG_WRONG_KEY, 1);
	snapshot();
	inject_forged(&h, key2, 10);
	assert_only(0, COUNTER_MSG_IN, 1);
}
END_TEST

START_TEST(ciphers_mix)
{
	if (!seal_available(CIPHER_AES_256_GCM))
		return; /* then there is only one */
	net->nodes[1].params.cluster.cipher = CIPHER_AES_256_GCM;
	channel_configure(net->nodes[1].ch, &net->nodes[1].params, NULL, net->now_ns);
	net_run(net, 2000);
	ck_assert(net_complete(net));
	snapshot();
	ck_assert(net_send(net, 1, WIRE_QUERY, 1, 10, CHANNEL_ALL));
	net_deliver(net);
	assert_only(0, COUNTER_MSG_IN, 1);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_WRONG_KEY], 0);
	ck_assert_uint_eq(net->record[net->n_record - 1].data[12], 1);
}
END_TEST

/* A member that could speak a newer version is told of once, and understood. */
START_TEST(newer_version)
{
	struct wire_hello hello = {.hello_ms = 500, .dead_ms = 1500};
	struct wire_header h = header(WIRE_HELLO);
	uint8_t payload[128], data[256];
	struct wcur body = wcur_init(payload, sizeof(payload));
	unsigned *told = &net->nodes[0].events[CHANNEL_VERSION_DIFFERS][1];

	wire_put_hello(&body, &hello);
	ck_assert_uint_eq(net_member(net, 0, 1)->version, WIRE_VERSION);
	ck_assert_uint_eq(*told, 0);
	for (unsigned i = 0; i < 2; i++) {
		h = header(WIRE_HELLO);
		h.version_max = WIRE_VERSION + 1;
		h.counter += i;
		inject(data, net_forge(data, &h, key1, payload, wcur_size(&body)));
		ck_assert_uint_eq(net_member(net, 0, 1)->version, WIRE_VERSION + 1);
		ck_assert(!net_member(net, 0, 1)->unreadable);
		ck_assert_uint_eq(*told, 1);
	}
	h = header(WIRE_HELLO);
	h.counter += 2;
	inject(data, net_forge(data, &h, key1, payload, wcur_size(&body)));
	ck_assert_uint_eq(net_member(net, 0, 1)->version, WIRE_VERSION);
	ck_assert_uint_eq(*told, 1);
}
END_TEST

/* Who cannot be understood is only known by its address; a member that is understood is believed.
 */
START_TEST(other_version)
{
	struct wire_header h = header(WIRE_HELLO);
	unsigned *told = &net->nodes[0].events[CHANNEL_VERSION_DIFFERS][1];

	h.version = WIRE_VERSION + 1;
	inject_forged(&h, key1, 30);
	ck_assert_uint_eq(*told, 0);
	ck_assert(!net_member(net, 0, 1)->unreadable);
	net->nodes[1].stalled = true;
	net_run(net, 5000);
	ck_assert(!net_member(net, 0, 1)->up);
	for (unsigned i = 0; i < 3; i++) {
		inject_forged(&h, key1, 30);
		ck_assert_uint_eq(*told, 1);
		ck_assert(net_member(net, 0, 1)->unreadable);
		ck_assert_uint_eq(net_member(net, 0, 1)->version, WIRE_VERSION + 1);
	}
	net_run(net, 11000);
	inject_forged(&h, key1, 30);
	ck_assert_uint_eq(*told, 2);
	net->nodes[1].stalled = false;
	net_run(net, 5000);
	ck_assert(net_member(net, 0, 1)->up);
	ck_assert(!net_member(net, 0, 1)->unreadable);
	ck_assert_uint_eq(*told, 2);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("channel_input");
	TCase *verdicts = tcase_create("verdicts");
	TCase *keys = tcase_create("keys");

	tcase_add_checked_fixture(verdicts, setup, teardown);
	tcase_add_test(verdicts, accepted_and_handed_up);
	tcase_add_test(verdicts, every_prefix_is_short);
	tcase_add_test(verdicts, every_altered_byte_is_found);
	tcase_add_test(verdicts, verdicts_of_the_header);
	tcase_add_test(verdicts, unknown_cipher);
	tcase_add_test(verdicts, wrong_key);
	tcase_add_test(verdicts, member_with_wrong_key);
	tcase_add_test(verdicts, type_and_content);
	tcase_add_test(verdicts, types_from_a_segment);
	tcase_add_test(verdicts, no_liveness_from_a_segment);
	tcase_add_test(verdicts, challenged_by_a_segment);
	tcase_add_test(verdicts, type_cannot_be_changed);
	tcase_add_test(verdicts, reflection);
	tcase_add_test(verdicts, replay_and_reordering);
	tcase_add_test(verdicts, newer_version);
	tcase_add_test(verdicts, other_version);
	suite_add_tcase(s, verdicts);

	tcase_add_checked_fixture(keys, setup, teardown);
	tcase_add_test(keys, rotation);
	tcase_add_test(keys, key_replaced_under_its_id);
	tcase_add_test(keys, ciphers_mix);
	suite_add_tcase(s, keys);
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
