/*
 * check_channel.c - members find each other, lose each other and reach each other.
 */
/* proves: FC-8 FC-15 */
#include <check.h>

#include "channel_net.h"

static struct net *net;

static void teardown(void)
{
	net_free(net);
	net = NULL;
}

static void start(unsigned n, enum cluster_transport transport, bool addresses)
{
	net = net_new(n, transport, addresses);
	net_start_all(net);
}

/* Nothing but accepted messages at any node. */
static void assert_clean(void)
{
	for (unsigned i = 0; i < net->n; i++) {
		for (unsigned c = COUNTER_MSG_SHORT; c <= COUNTER_MSG_CHALLENGE_BAD; c++) {
			if (c != COUNTER_MSG_CHALLENGE && c != COUNTER_MSG_UNPROVEN_BOOT)
				ck_assert_msg(net->nodes[i].counters[c] == 0, "node %u: %u", i, c);
		}
	}
}

START_TEST(start_together)
{
	start(4, TRANSPORT_MULTICAST, false);
	net_run(net, 1);
	ck_assert(net_complete(net));
	assert_clean();
	net_run(net, 10000);
	ck_assert(net_complete(net));
	assert_clean();
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(channel_n_up(net->nodes[i].ch), 3);
		for (unsigned j = 0; j < 4; j++) {
			ck_assert_uint_eq(net->nodes[i].events[CHANNEL_MEMBER_UP][j], i != j);
			ck_assert(!net_member(net, i, j)->by_unicast);
		}
	}
}
END_TEST

/* Every order of start, with pauses within and beyond a hello interval. */
START_TEST(start_in_any_order)
{
	static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					      {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	unsigned pause = (unsigned)(_i / 12) * 150;
	enum cluster_transport t = _i % 2 ? TRANSPORT_UNICAST : TRANSPORT_MULTICAST;

	net = net_new(3, t, true);
	for (unsigned k = 0; k < 3; k++) {
		net_start(net, orders[_i / 2 % 6][k]);
		net_run(net, pause + 1);
		ck_assert(net_complete(net));
	}
	assert_clean();
}
END_TEST

START_TEST(endpoint_is_learnt_or_configured)
{
	start(2, TRANSPORT_MULTICAST, false);
	net_run(net, 1);
	struct endpoint other = net_endpoint(1);
	const struct channel_member *m = net_member(net, 0, 1);
	ck_assert(m->has_endpoint && ipaddr_eq(&m->endpoint.addr, &other.addr));
	ck_assert_uint_eq(m->endpoint.port, NET_PORT);
	net_free(net);

	net = net_new(2, TRANSPORT_UNICAST, true);
	net->nodes[0].params.members[1].udp_port = 99;
	net_start_all(net);
	ck_assert_uint_eq(net_member(net, 0, 1)->endpoint.port, 99);
	net_run(net, 1);
	ck_assert_uint_eq(net_member(net, 0, 1)->endpoint.port, 99);
}
END_TEST

START_TEST(down_after_dead_time)
{
	start(3, TRANSPORT_MULTICAST, false);
	net_run(net, 5000);
	uint64_t heard = net_member(net, 0, 1)->heard_ns;
	uint32_t generation = net_member(net, 0, 1)->generation;

	net_stop(net, 1);
	net_run(net, 2000);
	ck_assert(net_complete(net));
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_DOWN][1], 1);
	ck_assert_uint_eq(net->nodes[0].event_ns[CHANNEL_MEMBER_DOWN][1],
			  heard + NET_DEAD_MS * NET_MS);
	ck_assert_uint_gt(net_member(net, 0, 1)->generation, generation);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_DOWN][2], 0);
	ck_assert(!net_send(net, 0, WIRE_QUERY, 1, 4, 1));
	ck_assert(net_send(net, 0, WIRE_QUERY, 1, 4, 2));
}
END_TEST

static bool mute_1(struct net *n, const struct net_datagram *d, unsigned to)
{
	(void)n;
	(void)to;
	return d->from != 1;
}

/* The same boot comes back: up again without a new challenge. */
START_TEST(silent_and_back)
{
	start(2, TRANSPORT_MULTICAST, false);
	net_run(net, 1000);
	uint64_t answered = net->nodes[1].counters[COUNTER_MSG_CHALLENGE];

	net->filter = mute_1;
	net_run(net, 3000);
	ck_assert(!net_member(net, 0, 1)->up);
	ck_assert(net_member(net, 1, 0)->up);
	net->filter = NULL;
	net_run(net, NET_HELLO_MS);
	ck_assert(net_complete(net));
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_UP][1], 2);
	ck_assert_uint_eq(net->nodes[1].counters[COUNTER_MSG_CHALLENGE], answered);
}
END_TEST

START_TEST(goodbye)
{
	start(3, TRANSPORT_MULTICAST, false);
	net_run(net, 1000);
	channel_goodbye(net->nodes[2].ch);
	net_deliver(net);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(net->nodes[i].events[CHANNEL_MEMBER_LEFT][2], 1);
		ck_assert(!net_member(net, i, 2)->up);
		ck_assert(!net_member(net, i, 2)->proven);
	}
	net_run(net, 2000); /* it says no hello any more, and is not reported twice */
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_DOWN][2], 0);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_STALE_BOOT], 0);
	net_send(net, 2, WIRE_QUERY, 1, 4, CHANNEL_ALL);
	net_deliver(net);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_STALE_BOOT], 1);
	ck_assert_uint_eq(net->nodes[0].received[WIRE_QUERY], 0);
	net_start(net, 2);
	net_run(net, 1);
	ck_assert(net_complete(net));
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_UP][2], 2);
}
END_TEST

static bool lossy(struct net *n, const struct net_datagram *d, unsigned to)
{
	(void)d;
	(void)to;
	return rng_u64(&n->rng) % 100 >= 30;
}

START_TEST(start_with_loss)
{
	net = net_new(4, _i % 2 ? TRANSPORT_UNICAST : TRANSPORT_MULTICAST, true);
	net->rng.key.k1 = (uint64_t)_i;
	net->filter = lossy;
	net_start_all(net);
	net_run(net, 6000);
	net->filter = NULL;
	net_run(net, NET_HELLO_MS);
	ck_assert(net_complete(net));
}
END_TEST

START_TEST(sends_reach_whom_they_should)
{
	start(3, _i ? TRANSPORT_UNICAST : TRANSPORT_MULTICAST, true);
	net_run(net, 1000);
	net_forget(net);
	ck_assert(net_send(net, 0, WIRE_QUERY, 0xaa, 33, CHANNEL_ALL));
	ck_assert_uint_eq(net->n_record, _i ? 2 : 1);
	if (_i) /* one sealed datagram, copied */
		ck_assert_mem_eq(net->record[0].data, net->record[1].data, 33 + WIRE_OVERHEAD);
	ck_assert(net_send(net, 1, WIRE_CONFIRM, 0xbb, 5, 0));
	net_deliver(net);
	ck_assert_uint_eq(net->nodes[1].received[WIRE_QUERY], 1);
	ck_assert_uint_eq(net->nodes[2].received[WIRE_QUERY], 1);
	ck_assert_uint_eq(net->nodes[2].last_body[32], 0xaa);
	ck_assert_uint_eq(net->nodes[2].last_body[33], 0);
	ck_assert_uint_eq(net->nodes[2].last_member, 0);
	ck_assert_uint_eq(net->nodes[0].received[WIRE_CONFIRM], 1);
	ck_assert_uint_eq(net->nodes[0].last_member, 1);
	ck_assert_uint_eq(net->nodes[2].received[WIRE_CONFIRM], 0);
	assert_clean();
}
END_TEST

START_TEST(refuses_to_send)
{
	struct wcur body;

	start(2, TRANSPORT_MULTICAST, true);
	ck_assert(!net_send(net, 0, WIRE_QUERY, 0, 4, CHANNEL_ALL)); /* nobody is up yet */
	ck_assert(!net_send(net, 0, WIRE_QUERY, 0, 4, 1));
	net_run(net, 1);
	ck_assert(!net_send(net, 0, WIRE_QUERY, 0, 4, 0)); /* ourselves */
	net_forget(net);
	ck_assert(channel_begin(net->nodes[0].ch, 4, &body));
	wcur_u64(&body, 1);
	ck_assert(!channel_send(net->nodes[0].ch, WIRE_QUERY, &body, 1));
	ck_assert(!channel_send(net->nodes[0].ch, WIRE_QUERY, &body, CHANNEL_ALL));
	ck_assert_uint_eq(net->n_record, 0);
	ck_assert(!channel_begin(net->nodes[0].ch, WIRE_DATAGRAM_MAX - WIRE_OVERHEAD + 1, &body));
	ck_assert(!channel_begin(net->nodes[0].ch, SIZE_MAX, &body));
	ck_assert(net_send(net, 0, WIRE_FORWARD, 1, WIRE_DATAGRAM_MAX - WIRE_OVERHEAD, 1));
	net_deliver(net);
	ck_assert_uint_eq(net->nodes[1].received[WIRE_FORWARD], 1);
}
END_TEST

static bool no_multicast(struct net *n, const struct net_datagram *d, unsigned to)
{
	(void)n;
	(void)to;
	return !d->multicast;
}

/* The group never works: members with addresses find each other and stay up by unicast. */
START_TEST(multicast_broken_from_start)
{
	net = net_new(3, TRANSPORT_MULTICAST, true);
	net->filter = no_multicast;
	net_start_all(net);
	net_run(net, 1);
	ck_assert(net_complete(net));
	net_run(net, 3000);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned j = 0; j < 3; j++) {
			ck_assert(net_member(net, i, j)->by_unicast == (i != j));
			ck_assert_uint_eq(net->nodes[i].events[CHANNEL_MEMBER_DOWN][j], 0);
		}
	}
	net_send(net, 0, WIRE_QUERY, 1, 4, CHANNEL_ALL);
	net_deliver(net);
	ck_assert_uint_eq(net->nodes[1].received[WIRE_QUERY], 1);
	ck_assert_uint_eq(net->nodes[2].received[WIRE_QUERY], 1);
	assert_clean();
}
END_TEST

/* The group stops working (snooping without a querier) and works again. */
START_TEST(multicast_breaks_and_heals)
{
	start(3, TRANSPORT_MULTICAST, true);
	net_run(net, 5000);
	net->filter = no_multicast;
	net_run(net, 3000);
	ck_assert(net_complete(net));
	ck_assert(net_member(net, 0, 1)->by_unicast);
	net_send(net, 0, WIRE_QUERY, 1, 4, CHANNEL_ALL);
	net_deliver(net);
	ck_assert_uint_eq(net->nodes[1].received[WIRE_QUERY], 1);
	net->filter = NULL;
	net_run(net, 1000);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned j = 0; j < 3; j++)
			ck_assert(!net_member(net, i, j)->by_unicast);
	}
	net_forget(net);
	net_send(net, 0, WIRE_QUERY, 1, 4, CHANNEL_ALL);
	ck_assert_uint_eq(net->n_record, 1);
	net_deliver(net);
	ck_assert_uint_eq(net->nodes[1].received[WIRE_QUERY], 2);
	assert_clean();
}
END_TEST

static bool no_multicast_to_1(struct net *n, const struct net_datagram *d, unsigned to)
{
	(void)n;
	return !d->multicast || to != 1;
}

/* Node 1 does not get the group's messages, all others do, and nobody has an address in the
 * configuration: those that know where 1 is send it copies, and only it. */
START_TEST(one_member_is_deaf)
{
	net = net_new(3, TRANSPORT_MULTICAST, false);
	net->filter = no_multicast_to_1;
	net_start_all(net);
	net_run(net, 3000);
	ck_assert(net_complete(net));
	ck_assert(net_member(net, 0, 1)->by_unicast);
	ck_assert(net_member(net, 2, 1)->by_unicast);
	ck_assert(!net_member(net, 0, 2)->by_unicast);
	net_forget(net);
	net_send(net, 0, WIRE_QUERY, 1, 4, CHANNEL_ALL);
	ck_assert_uint_eq(net->n_record, 2);
	net_deliver(net);
	net_send(net, 1, WIRE_QUERY, 1, 4, CHANNEL_ALL);
	net_deliver(net);
	ck_assert_uint_eq(net->nodes[0].received[WIRE_QUERY], 1);
	ck_assert_uint_eq(net->nodes[1].received[WIRE_QUERY], 1);
	ck_assert_uint_eq(net->nodes[2].received[WIRE_QUERY], 2);
	assert_clean();
}
END_TEST

/* This node was stopped for long: it hears the others before it judges them. */
START_TEST(stall_is_not_death_of_others)
{
	start(2, TRANSPORT_MULTICAST, true);
	net_run(net, 1000);
	net->nodes[0].stalled = true;
	net_run(net, 5000);
	ck_assert(!net_member(net, 1, 0)->up);
	net->nodes[0].stalled = false;
	net_run(net, NET_HELLO_MS);
	ck_assert(net_complete(net));
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_DOWN][1], 0);
	net_stop(net, 1);
	net_run(net, 2 * NET_DEAD_MS);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_DOWN][1], 1);
}
END_TEST

START_TEST(hellos_are_spread)
{
	uint64_t last = 0, shortest = UINT64_MAX, longest = 0;

	start(2, TRANSPORT_MULTICAST, false);
	net_stop(net, 1);
	for (unsigned ms = 0; ms < 20000; ms++) {
		net_forget(net);
		net_run(net, 1);
		if (net->n_record == 0)
			continue;
		ck_assert_uint_eq(net->n_record, 1);
		uint64_t gap = net->now_ns - last;
		if (last) {
			shortest = gap < shortest ? gap : shortest;
			longest = gap > longest ? gap : longest;
		}
		last = net->now_ns;
	}
	ck_assert_uint_ge(shortest, (NET_HELLO_MS * 7 / 8 - 1) * NET_MS);
	ck_assert_uint_le(longest, (NET_HELLO_MS + 1) * NET_MS);
	ck_assert_uint_gt(longest - shortest, NET_HELLO_MS / 20 * NET_MS);
}
END_TEST

START_TEST(hello_tells_segments_and_flows)
{
	struct wire_segment seg = {
		.name = wire_segment_id("lan"), .mac = {{2, 0, 0, 0, 0, 9}}, .vlan = 5};

	start(2, TRANSPORT_MULTICAST, false);
	channel_set_segments(net->nodes[1].ch, &seg, 1);
	channel_set_flows(net->nodes[1].ch, 12345);
	net_run(net, 1);
	const struct channel_member *m = net_member(net, 0, 1);
	ck_assert_uint_eq(m->n_flows, 12345);
	ck_assert_uint_eq(m->n_segments, 1);
	ck_assert_uint_eq(m->segments[0].name, seg.name);
	ck_assert(macaddr_eq(&m->segments[0].mac, &seg.mac));
	ck_assert_uint_eq(m->segments[0].vlan, 5);
}
END_TEST

START_TEST(room_for_payload)
{
	start(2, TRANSPORT_MULTICAST, true);
	struct channel *ch = net->nodes[0].ch;

	ck_assert_uint_eq(channel_room(ch), 1500 - 20 - 8 - 56);
	channel_set_mtu(ch, 9000);
	ck_assert_uint_eq(channel_room(ch), 9000 - 84);
	net->nodes[0].params.cluster.mtu = 1400;
	ck_assert_uint_eq(channel_room(ch), 1400 - 84);
	net->nodes[0].params.cluster.group = (struct ipaddr){.b = {0xff, 0x12}};
	ck_assert_uint_eq(channel_room(ch), 1400 - 104);
	net->nodes[0].params.cluster.mtu = 50;
	ck_assert_uint_eq(channel_room(ch), 0);
	net->nodes[0].params.cluster.mtu = UINT32_MAX;
	ck_assert_uint_eq(channel_room(ch), WIRE_DATAGRAM_MAX - 104);
}
END_TEST

START_TEST(config_differs_is_told_once)
{
	net = net_new(2, TRANSPORT_MULTICAST, true);
	strcpy(net->nodes[1].params.members[0].name, "other");
	net_start_all(net);
	net_run(net, 5000);
	ck_assert(net_complete(net));
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_CONFIG_DIFFERS][1], 1);
	ck_assert_uint_eq(net->nodes[1].events[CHANNEL_CONFIG_DIFFERS][0], 1);
	strcpy(net->nodes[1].params.members[0].name, "third");
	channel_configure(net->nodes[1].ch, &net->nodes[1].params, NULL, net->now_ns);
	net_run(net, 5000);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_CONFIG_DIFFERS][1], 2);
	ck_assert(net_member(net, 0, 1)->config_differs);
	net->nodes[1].params.members[0] = net->nodes[0].params.members[0];
	channel_configure(net->nodes[1].ch, &net->nodes[1].params, NULL, net->now_ns);
	net_run(net, 5000);
	ck_assert(!net_member(net, 0, 1)->config_differs);
}
END_TEST

/* The order of the members in the file and their addresses are each node's own affair. */
START_TEST(config_order_does_not_matter)
{
	net = net_new(2, TRANSPORT_MULTICAST, true);
	struct params *p = &net->nodes[1].params;
	struct member_params first = p->members[0];

	p->members[0] = p->members[1];
	p->members[1] = first;
	p->members[1].has_address = false;
	p->self = 0;
	net_start_all(net);
	net_run(net, 2000);
	ck_assert(net_member(net, 0, 1)->up);
	ck_assert(net_member(net, 1, 1)->up);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_CONFIG_DIFFERS][1], 0);
	ck_assert_uint_eq(net->nodes[1].events[CHANNEL_CONFIG_DIFFERS][1], 0);
}
END_TEST

/* One member goes, another comes, the others change places and keep their state. */
START_TEST(reload_moves_members)
{
	start(3, TRANSPORT_MULTICAST, true);
	net_run(net, 1000);
	uint32_t kept = net_member(net, 0, 2)->generation;
	uint32_t gone = net_member(net, 0, 1)->generation;
	struct params p = net->nodes[0].params;

	p.n_members = 3; /* 30 | 10 (self) | 77 */
	p.members[0] = net->nodes[0].params.members[2];
	p.members[1] = net->nodes[0].params.members[0];
	p.members[2].id = 77;
	p.self = 1;
	channel_configure(net->nodes[0].ch, &p, NULL, net->now_ns);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_LEFT][1], 1);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_MEMBER_LEFT][2], 0);
	ck_assert(net_member(net, 0, 0)->up);
	ck_assert_uint_eq(net_member(net, 0, 0)->params->id, net_id(2));
	ck_assert_uint_eq(net_member(net, 0, 0)->generation, kept);
	ck_assert(net_member(net, 0, 1)->up); /* self */
	ck_assert(!net_member(net, 0, 2)->up);
	ck_assert_uint_gt(net_member(net, 0, 2)->generation, gone);
	ck_assert_uint_eq(channel_n_up(net->nodes[0].ch), 1);
	net_run(net, 2000);
	ck_assert(net_member(net, 0, 0)->up);
	ck_assert_uint_gt(net->nodes[0].counters[COUNTER_MSG_UNKNOWN_MEMBER], 0);
	ck_assert(net_send(net, 2, WIRE_CONFIRM, 1, 4, 0));
	net_deliver(net);
	ck_assert_uint_eq(net->nodes[0].last_member, 0);
	net_stop(net, 0); /* its parameters lie on this stack */
}
END_TEST

/* A node that is given another id is a stranger to the others, and proves itself again. */
START_TEST(reload_changes_own_id)
{
	start(3, TRANSPORT_MULTICAST, true);
	net_run(net, 1000);
	net_stop(net, 1);
	net_run(net, 2000);
	struct params p = net->nodes[0].params;

	p.self = 1; /* takes over the id of node 1 */
	p.node_id = net_id(1);
	channel_configure(net->nodes[0].ch, &p, NULL, net->now_ns);
	net_run(net, 2000);
	ck_assert(net_member(net, 2, 1)->up);
	ck_assert(!net_member(net, 2, 0)->up);
	ck_assert(net_member(net, 0, 2)->up);
	ck_assert(!net_member(net, 0, 0)->up);
	ck_assert_uint_eq(net->nodes[0].counters[COUNTER_MSG_DUPLICATE_ID], 0);
	net_stop(net, 0);
}
END_TEST

START_TEST(duplicate_id_is_told)
{
	start(3, TRANSPORT_MULTICAST, true);
	net_run(net, 1000);
	/* Node 2 now claims the id of node 0. */
	net->nodes[2].params.node_id = net_id(0);
	net->nodes[2].params.self = 0;
	net_start(net, 2);
	net_run(net, 9000);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_DUPLICATE_ID][0], 1);
	ck_assert_uint_eq(net->nodes[2].events[CHANNEL_DUPLICATE_ID][0], 1);
	ck_assert_uint_gt(net->nodes[0].counters[COUNTER_MSG_DUPLICATE_ID], 20);
	net_run(net, 4000);
	ck_assert_uint_eq(net->nodes[0].events[CHANNEL_DUPLICATE_ID][0], 2);
	ck_assert(net_member(net, 0, 0)->up);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("channel");
	TCase *members = tcase_create("members");
	TCase *reach = tcase_create("reach");
	TCase *config = tcase_create("config");

	tcase_add_checked_fixture(members, NULL, teardown);
	tcase_add_test(members, start_together);
	tcase_add_loop_test(members, start_in_any_order, 0, 36);
	tcase_add_test(members, endpoint_is_learnt_or_configured);
	tcase_add_test(members, down_after_dead_time);
	tcase_add_test(members, silent_and_back);
	tcase_add_test(members, goodbye);
	tcase_add_loop_test(members, start_with_loss, 0, 20);
	tcase_add_test(members, stall_is_not_death_of_others);
	tcase_add_test(members, hellos_are_spread);
	tcase_add_test(members, duplicate_id_is_told);
	suite_add_tcase(s, members);

	tcase_add_checked_fixture(reach, NULL, teardown);
	tcase_add_loop_test(reach, sends_reach_whom_they_should, 0, 2);
	tcase_add_test(reach, refuses_to_send);
	tcase_add_test(reach, multicast_broken_from_start);
	tcase_add_test(reach, multicast_breaks_and_heals);
	tcase_add_test(reach, one_member_is_deaf);
	tcase_add_test(reach, room_for_payload);
	suite_add_tcase(s, reach);

	tcase_add_checked_fixture(config, NULL, teardown);
	tcase_add_test(config, hello_tells_segments_and_flows);
	tcase_add_test(config, config_differs_is_told_once);
	tcase_add_test(config, config_order_does_not_matter);
	tcase_add_test(config, reload_moves_members);
	tcase_add_test(config, reload_changes_own_id);
	suite_add_tcase(s, config);
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
