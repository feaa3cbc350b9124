/*
 * check_leg.c - connections by MAC: those of services by l7/2 to their servers, and those between
 * dispatchers for a client whose server hangs on the other one.
 *
 * proves: HD-8 HD-18 HD-24
 */
#include <errno.h>

#include "leg_rig.h"

#define S1 0
#define S2 1
#define RELAY_A (L7_RELAY + A)
#define RELAY_B (L7_RELAY + B)
#define PORT 1025 /* of the client's address, of a's part */
#define FIRST 1000
#define SERVER_FIRST 7000

#define WEB                                                                                        \
	"service \"web\" { addresses = {\"" VIP "\", \"" VIP6                                      \
	"\"} protocol = \"tcp\" ports = {\"80\"} technology = \"l7/2\" cookie = \"insert\" "       \
	"cookie-name = \"C\""                                                                      \
	" relay = \"both\" targets = {\"s1\", \"s2\"} }\n"
#define ALONE                                                                                      \
	"service \"alone\" { addresses = {\"" VIP "\", \"" VIP6                                    \
	"\"} protocol = \"tcp\" ports = {\"90\"} technology = \"l7/3\" targets = {\"s3\"} }\n"
#define T1 "target \"s1\" { addresses = {\"10.1.0.81\", \"fd00:1::81\"} via = {\"a\"} }\n"
#define T2 "target \"s2\" { addresses = {\"10.1.0.82\", \"fd00:1::82\"} via = {\"b\"} }\n"
#define T3 "target \"s3\" { addresses = {\"10.1.0.83\", \"fd00:1::83\"} }\n"
#define FEW "l7 { max-connections = 16 }\n"
#define ALL WEB ALONE T1 T2 T3

static struct leg_rig *start(void)
{
	return leg_begin(ALL, ALL);
}

static struct endpoint at(const char *addr, unsigned port)
{
	struct endpoint e = {.port = (uint16_t)port};

	ck_assert_int_eq(ipaddr_parse(&e.addr, addr), 0);
	return e;
}

static int open_leg(struct leg_rig *r, unsigned node, uint16_t target, const char *client,
		    unsigned port, const char *vip)
{
	struct endpoint from = at(client, port), to = at(vip, 80);

	return engine_l7_leg(r->engine[node], target, &from, &to, r->now_ns);
}

static uint16_t accept_leg(struct leg_rig *r, unsigned node)
{
	struct endpoint from = at(CLIENT, PORT), to = at(VIP, 80);

	return engine_l7_leg_from(r->engine[node], &from, &to, r->now_ns);
}

static void end_leg(struct leg_rig *r, unsigned node)
{
	struct endpoint from = at(CLIENT, PORT), to = at(VIP, 80);

	engine_l7_leg_end(r->engine[node], &from, &to, r->now_ns);
}

static struct rig_packet by_client(unsigned flags)
{
	return (struct rig_packet){.src = CLIENT,
				   .dst = VIP,
				   .proto = IPPROTO_NUM_TCP,
				   .sport = PORT,
				   .dport = 80,
				   .flags = flags,
				   .seq = flags & TCP_SYN ? FIRST : FIRST + 1,
				   .ack = flags & TCP_ACK ? SERVER_FIRST + 1 : 0};
}

static struct rig_packet by_service(unsigned flags)
{
	return (struct rig_packet){.src = VIP,
				   .dst = CLIENT,
				   .proto = IPPROTO_NUM_TCP,
				   .sport = 80,
				   .dport = PORT,
				   .flags = flags,
				   .seq = flags & TCP_SYN ? SERVER_FIRST : SERVER_FIRST + 1,
				   .ack = flags & TCP_ACK ? FIRST + 1 : 0};
}

static void put(struct leg_rig *r, unsigned node, unsigned port, struct rig_packet p)
{
	leg_put(r, node, port, &p);
}

/* It came out there, goes to `mac`, and is what went in. */
static void expect(struct leg_rig *r, unsigned node, unsigned port, struct macaddr mac,
		   const struct rig_packet *p)
{
	struct pkt out = leg_got(r, node, port);
	struct macaddr from = leg_mac(node, port);
	struct endpoint src = at(p->src, p->sport), dst = at(p->dst, p->dport);

	ck_assert(macaddr_eq(&out.eth_dst, &mac));
	ck_assert(macaddr_eq(&out.eth_src, &from));
	ck_assert(ipaddr_eq(&out.tuple.src, &src.addr));
	ck_assert(ipaddr_eq(&out.tuple.dst, &dst.addr));
	ck_assert_uint_eq(out.tuple.sport, src.port);
	ck_assert_uint_eq(out.tuple.dport, dst.port);
	ck_assert_uint_eq(out.tcp.flags, p->flags);
	ck_assert_uint_eq(out.tcp.seq, p->seq);
	ck_assert_uint_eq(out.tcp.len, p->len);
	ck_assert(!stamp_present(&out));
}

static void passes(struct leg_rig *r, unsigned node, unsigned in, unsigned out, struct rig_packet p)
{
	leg_put(r, node, in, &p);
	expect(r, node, out, rig_host_mac(out), &p);
}

/* What goes in at one dispatcher comes out at the other's stack. */
static void crosses(struct leg_rig *r, unsigned from, struct rig_packet p)
{
	leg_put(r, from, LEGS, &p);
	expect(r, !from, LEGS, rig_host_mac(LEGS), &p);
	ck_assert_uint_eq(r->n_out, 2);
}

/* A reset of those numbers has come out there, and nothing else. */
static void expect_reset(struct leg_rig *r, unsigned node, unsigned port, uint32_t seq)
{
	struct pkt out = leg_got(r, node, port);

	ck_assert_uint_eq(out.tcp.flags, TCP_RST);
	ck_assert_uint_eq(out.tcp.seq, seq);
}

static uint32_t n_legs(const struct leg_rig *r, unsigned node)
{
	uint32_t pos = 0, n = 0;

	while (legs_next(&r->engine[node]->dispatch, &pos))
		n++;
	return n;
}

static const struct leg *only_leg(const struct leg_rig *r, unsigned node)
{
	uint32_t pos = 0;

	ck_assert_uint_eq(n_legs(r, node), 1);
	return legs_next(&r->engine[node]->dispatch, &pos);
}

static void dropped(const struct leg_rig *r, unsigned node, enum drop why, uint64_t n)
{
	ck_assert_msg(leg_drops(r, node, why) == n, "%s: %llu", drop_name(why),
		      (unsigned long long)leg_drops(r, node, why));
}

/* --- to servers ---------------------------------------------------------------------------------
 */

static const struct {
	const char *client, *vip;
} orders[] = {
	{CLIENT, VIP}, {"223.0.113.9", VIP}, {"5.0.0.9", VIP}, {CLIENT6, VIP6}, {"2a00::9", VIP6},
};

static struct rig_packet among(struct rig_packet p, unsigned i)
{
	p.src = p.sport == 80 ? orders[i].vip : orders[i].client;
	p.dst = p.sport == 80 ? orders[i].client : orders[i].vip;
	return p;
}

START_TEST(to_a_server_and_back)
{
	struct leg_rig *r = start();
	struct rig_packet p;
	const struct target *t;

	ck_assert_int_eq(open_leg(r, A, S1, orders[_i].client, PORT, orders[_i].vip), 0);
	passes(r, A, LEGS, INSIDE, among(by_client(TCP_SYN), (unsigned)_i));
	passes(r, A, INSIDE, LEGS, among(by_service(TCP_SYN | TCP_ACK), (unsigned)_i));
	p = among(by_client(TCP_ACK), (unsigned)_i);
	p.len = 100;
	passes(r, A, LEGS, INSIDE, p);
	p = among(by_service(TCP_ACK), (unsigned)_i);
	p.len = 1000;
	passes(r, A, INSIDE, LEGS, p);
	t = &r->engine[A]->dispatch.targets[S1];
	ck_assert_uint_eq(t->to.packets, 2);
	ck_assert_uint_eq(t->from.packets, 2);
	ck_assert_uint_eq(only_leg(r, A)->packets[0], 2);
	ck_assert_uint_eq(only_leg(r, A)->packets[1], 2);
	ck_assert_uint_gt(only_leg(r, A)->bytes[1], 1000);
	ck_assert_uint_eq(only_leg(r, A)->state, DFLOW_OPEN);
	ck_assert_uint_eq(only_leg(r, A)->service, 0);
	ck_assert_uint_eq(leg_counter(r, A, COUNTER_LEG_OPENED), 1);
	ck_assert_uint_eq(flow_table_count(r->engine[A]->dispatch.flows), 0);
	leg_free(r);
}
END_TEST

/* Not to the firewalls: only a server has such a packet, and one that comes by another port, or
 * speaks as the client, is of no leg. */
START_TEST(by_the_targets_port_alone)
{
	struct leg_rig *r = start();

	ck_assert_int_eq(open_leg(r, A, S1, CLIENT, PORT, VIP), 0);
	put(r, A, OUTSIDE, by_service(TCP_ACK));
	ck_assert_uint_eq(only_leg(r, A)->packets[1], 0);
	for (unsigned i = 0; i < r->n_out; i++)
		ck_assert_uint_ne(r->out[i].port, LEGS);
	put(r, A, INSIDE, by_client(TCP_ACK));
	ck_assert_uint_eq(only_leg(r, A)->packets[0], 0);
	for (unsigned i = 0; i < r->n_out; i++)
		ck_assert_uint_ne(r->out[i].port, LEGS);
	leg_free(r);
}
END_TEST

START_TEST(strays_of_the_stack)
{
	struct leg_rig *r = start();
	struct rig_packet p = by_client(TCP_SYN);

	put(r, A, LEGS, p); /* told at once */
	ck_assert_uint_eq(leg_got(r, A, LEGS).tcp.flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(leg_got(r, A, LEGS).tcp.ack, FIRST + 1);
	dropped(r, A, DROP_NO_LEG, 1);
	put(r, A, LEGS, by_client(TCP_ACK));
	expect_reset(r, A, LEGS, SERVER_FIRST + 1);
	dropped(r, A, DROP_NO_LEG, 2);
	put(r, A, LEGS, by_client(TCP_RST));
	ck_assert_uint_eq(r->n_out, 0);
	dropped(r, A, DROP_NO_LEG, 3);
	p.proto = IPPROTO_NUM_UDP;
	put(r, A, LEGS, p);
	dropped(r, A, DROP_STACK_STRAY, 1);
	p = by_client(TCP_SYN);
	p.more = true;
	p.len = 44;
	ck_assert_int_eq(open_leg(r, A, S1, CLIENT, PORT, VIP), 0);
	put(r, A, LEGS, p);
	dropped(r, A, DROP_STACK_STRAY, 2);
	put(r, A, LEGS, by_service(TCP_ACK)); /* the other side's part */
	dropped(r, A, DROP_NO_LEG, 4);
	/* the clients' stack has no part in it */
	put(r, A, STACK, by_client(TCP_SYN));
	dropped(r, A, DROP_STACK_STRAY, 3);
	put(r, A, STACK, by_service(TCP_ACK));
	dropped(r, A, DROP_STACK_STRAY, 4);
	leg_free(r);
}
END_TEST

/* The client has a connection of the same addresses and ports. */
START_TEST(beside_the_clients_own)
{
	struct leg_rig *r = start();

	ck_assert_int_eq(open_leg(r, A, S1, CLIENT, PORT, VIP), 0);
	passes(r, A, OUTSIDE, STACK, by_client(TCP_SYN));
	passes(r, A, LEGS, INSIDE, by_client(TCP_SYN));
	passes(r, A, STACK, OUTSIDE, by_service(TCP_SYN | TCP_ACK));
	passes(r, A, INSIDE, LEGS, by_service(TCP_SYN | TCP_ACK));
	passes(r, A, LEGS, INSIDE, by_client(TCP_ACK));
	passes(r, A, OUTSIDE, STACK, by_client(TCP_ACK));
	passes(r, A, INSIDE, LEGS, by_service(TCP_ACK));
	passes(r, A, STACK, OUTSIDE, by_service(TCP_ACK));
	ck_assert_uint_eq(flow_table_count(r->engine[A]->dispatch.flows), 1);
	ck_assert_uint_eq(only_leg(r, A)->packets[0], 2);
	leg_free(r);
}
END_TEST

START_TEST(who_cannot_be_reached)
{
	struct leg_rig *r = start();

	ck_assert_int_eq(open_leg(r, A, S2, CLIENT, PORT, VIP), -EHOSTUNREACH); /* via b */
	ck_assert_int_eq(open_leg(r, A, 99, CLIENT, PORT, VIP), -EHOSTUNREACH);
	ck_assert_int_eq(open_leg(r, A, PARAMS_NONE, CLIENT, PORT, VIP), -EHOSTUNREACH);
	ck_assert_int_eq(open_leg(r, A, RELAY_A, CLIENT, PORT, VIP), -EHOSTUNREACH); /* itself */
	ck_assert_int_eq(open_leg(r, A, L7_RELAY + 5, CLIENT, PORT, VIP), -EHOSTUNREACH);
	r->cut = true;
	leg_wait(r, 3000);
	ck_assert_int_eq(open_leg(r, A, RELAY_B, CLIENT, PORT, VIP), -EHOSTUNREACH);
	ck_assert_uint_eq(n_legs(r, A), 0);
	leg_free(r);
}
END_TEST

/* --- relays -------------------------------------------------------------------------------------
 */

static void relay(struct leg_rig *r)
{
	ck_assert_int_eq(open_leg(r, A, RELAY_B, CLIENT, PORT, VIP), 0);
	crosses(r, A, by_client(TCP_SYN));
	crosses(r, B, by_service(TCP_SYN | TCP_ACK));
	crosses(r, A, by_client(TCP_ACK));
	ck_assert_uint_eq(accept_leg(r, B), A);
}

START_TEST(from_one_to_the_other)
{
	struct leg_rig *r = start();
	struct rig_packet p = among(by_client(TCP_SYN), (unsigned)_i);
	struct macaddr b = leg_mac(B, INSIDE);
	struct endpoint from = at(orders[_i].client, PORT), to = at(orders[_i].vip, 80);
	struct pkt wire;

	ck_assert_int_eq(open_leg(r, A, RELAY_B, orders[_i].client, PORT, orders[_i].vip), 0);
	put(r, A, LEGS, p);
	wire = leg_sent(r, A, INSIDE);
	ck_assert(stamp_is_relay(&wire));
	ck_assert(macaddr_eq(&wire.eth_dst, &b));
	crosses(r, A, p); /* once more, and without the mark in b's stack */
	crosses(r, B, among(by_service(TCP_SYN | TCP_ACK), (unsigned)_i));
	crosses(r, A, among(by_client(TCP_ACK), (unsigned)_i));
	ck_assert_uint_eq(engine_l7_leg_from(r->engine[B], &from, &to, r->now_ns), A);
	ck_assert_uint_eq(only_leg(r, B)->target, PARAMS_NONE);
	engine_l7_leg_serves(r->engine[B], &from, &to, S2);
	ck_assert_uint_eq(only_leg(r, B)->target, S2);
	p = among(by_client(TCP_ACK | TCP_PSH), (unsigned)_i);
	p.len = 500;
	crosses(r, A, p);
	p = among(by_service(TCP_ACK), (unsigned)_i);
	p.len = 1400;
	crosses(r, B, p);
	ck_assert_uint_eq(only_leg(r, A)->kind, LEG_TO_MEMBER);
	ck_assert_uint_eq(only_leg(r, B)->kind, LEG_FROM_MEMBER);
	ck_assert_uint_eq(only_leg(r, B)->member, A);
	ck_assert_uint_eq(leg_counter(r, A, COUNTER_RELAY_OUT), 1);
	ck_assert_uint_eq(leg_counter(r, B, COUNTER_RELAY_IN), 1);
	ck_assert_uint_eq(leg_counter(r, B, COUNTER_STAMP_STRIPPED), 0);
	ck_assert_uint_eq(flow_table_count(r->engine[B]->dispatch.flows), 0);
	leg_free(r);
}
END_TEST

/* b's own client, of the same address and port, has a connection with b. */
START_TEST(relayed_beside_the_clients_own)
{
	struct leg_rig *r = start();

	passes(r, B, OUTSIDE, STACK, by_client(TCP_SYN));
	relay(r);
	passes(r, B, STACK, OUTSIDE, by_service(TCP_SYN | TCP_ACK));
	passes(r, B, OUTSIDE, STACK, by_client(TCP_ACK));
	crosses(r, A, by_client(TCP_ACK));
	crosses(r, B, by_service(TCP_ACK));
	passes(r, B, STACK, OUTSIDE, by_service(TCP_ACK));
	ck_assert_uint_eq(flow_table_count(r->engine[B]->dispatch.flows), 1);
	ck_assert_uint_eq(only_leg(r, B)->packets[0], 3);
	leg_free(r);
}
END_TEST

/* A mark is believed from a member's MAC address, while that is up. */
START_TEST(forged_marks)
{
	struct leg_rig *r = start();
	struct rig_packet p = by_client(TCP_SYN);
	struct macaddr firewall = rig_host_mac(OUTSIDE), member = leg_mac(A, INSIDE);

	leg_send_from(r, B, OUTSIDE, &firewall, &p, STAMP_RELAY);
	dropped(r, B, DROP_RELAY_REFUSED, 1);
	leg_send_from(r, B, OUTSIDE, &member, &p, STAMP_RELAY); /* not his there */
	dropped(r, B, DROP_RELAY_REFUSED, 2);
	r->cut = true;
	leg_wait(r, 3000);
	p.sport = 5000;
	r->n_out = 0;
	leg_send_from(r, B, INSIDE, &member, &p, STAMP_RELAY);
	dropped(r, B, DROP_RELAY_REFUSED, 3);
	ck_assert_uint_eq(n_legs(r, B), 0);
	for (unsigned i = 0; i < r->n_out; i++) { /* no reset, either: a member would give up */
		ck_assert_uint_ne(r->out[i].port, LEGS);
		ck_assert_uint_ne(r->out[i].port, STACK);
		ck_assert(r->out[i].pkt.tuple.proto != IPPROTO_NUM_TCP);
	}
	leg_free(r);
}
END_TEST

/* A path id in a member's SYN is none, and no mark at all is none. */
START_TEST(unmarked)
{
	struct leg_rig *r = start();
	struct rig_packet p = by_client(TCP_SYN);
	struct macaddr member = leg_mac(A, INSIDE);

	leg_send_from(r, B, INSIDE, &member, &p, _i ? 7 : -1);
	ck_assert_uint_eq(n_legs(r, B), 0);
	ck_assert_uint_eq(leg_counter(r, B, COUNTER_RELAY_IN), 0);
	for (unsigned i = 0; i < r->n_out; i++)
		ck_assert_uint_ne(r->out[i].port, LEGS);
	leg_free(r);
}
END_TEST

/* Answers and data of a relay from anybody but that dispatcher are none. */
START_TEST(answers_of_strangers)
{
	struct leg_rig *r = start();
	struct rig_packet p = by_client(TCP_ACK);
	struct macaddr host = rig_host_mac(INSIDE);

	relay(r);
	p.len = 10;
	leg_send_from(r, B, INSIDE, &host, &p, -1);
	ck_assert_uint_eq(only_leg(r, B)->packets[0], 2);
	for (unsigned i = 0; i < r->n_out; i++)
		ck_assert_uint_ne(r->out[i].port, LEGS);
	p = by_service(TCP_ACK);
	leg_send_from(r, A, INSIDE, &host, &p, -1);
	ck_assert_uint_eq(only_leg(r, A)->packets[1], 1);
	for (unsigned i = 0; i < r->n_out; i++)
		ck_assert_uint_ne(r->out[i].port, LEGS);
	/* the firewalls' segment: a's MAC address there is known, too */
	host = leg_mac(A, OUTSIDE);
	p = by_client(TCP_ACK);
	leg_send_from(r, B, OUTSIDE, &host, &p, -1);
	expect(r, B, LEGS, rig_host_mac(LEGS), &p);
	leg_free(r);
}
END_TEST

/* A service that takes none, no service at all, no stack: a reset, which a's stack believes. */
START_TEST(refused)
{
	struct leg_rig *r = start();
	struct rig_packet p = by_client(TCP_SYN);
	struct macaddr member = leg_mac(A, INSIDE);
	struct pkt out;

	p.dport = _i == 0 ? 90 : _i == 1 ? 91 : 80;
	if (_i == 2)
		leg_link(r, B, LEGS, false);
	leg_send_from(r, B, INSIDE, &member, &p, STAMP_RELAY);
	out = leg_got(r, B, INSIDE);
	ck_assert_uint_eq(out.tcp.flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(out.tcp.ack, FIRST + 1);
	ck_assert(macaddr_eq(&out.eth_dst, &member));
	dropped(r, B, DROP_RELAY_REFUSED, 1);
	ck_assert_uint_eq(n_legs(r, B), 0);
	if (_i == 2) {
		ck_assert_int_eq(open_leg(r, A, RELAY_B, CLIENT, PORT, VIP), 0);
		put(r, A, LEGS, by_client(TCP_SYN));
		ck_assert_uint_eq(leg_got(r, A, LEGS).tcp.flags, TCP_RST | TCP_ACK);
		dropped(r, B, DROP_RELAY_REFUSED, 2);
	}
	leg_free(r);
}
END_TEST

/* Both have taken the very same port of the client: whoever comes later gives way. */
START_TEST(collisions)
{
	struct leg_rig *r = start();

	ck_assert_int_eq(open_leg(r, B, S2, CLIENT, PORT, VIP), 0);
	ck_assert_int_eq(open_leg(r, A, RELAY_B, CLIENT, PORT, VIP), 0);
	put(r, A, LEGS, by_client(TCP_SYN));
	dropped(r, B, DROP_RELAY_REFUSED, 1);
	ck_assert_uint_eq(leg_got(r, A, LEGS).tcp.flags, TCP_RST | TCP_ACK);
	end_leg(r, B);
	end_leg(r, A);
	relay(r);
	ck_assert_int_eq(open_leg(r, B, S2, CLIENT, PORT, VIP), -EHOSTUNREACH);
	leg_free(r);
}
END_TEST

/* The SYN of a port that was used before begins anew. */
START_TEST(the_port_again)
{
	struct leg_rig *r = start();

	relay(r);
	crosses(r, A, by_client(TCP_FIN | TCP_ACK));
	crosses(r, B, by_service(TCP_FIN | TCP_ACK));
	end_leg(r, A);
	end_leg(r, B);
	ck_assert_uint_eq(accept_leg(r, B), PARAMS_NONE);
	relay(r);
	ck_assert_uint_eq(leg_counter(r, B, COUNTER_RELAY_IN), 2);
	ck_assert_uint_eq(only_leg(r, B)->state, DFLOW_OPEN);
	ck_assert_uint_eq(only_leg(r, B)->packets[0], 2);
	leg_free(r);
}
END_TEST

/* --- forgotten ----------------------------------------------------------------------------------
 */

/* b knows nothing of it: a is told, and its stack. */
START_TEST(forgotten_by_the_server_side)
{
	struct leg_rig *r = start();

	ck_assert_int_eq(open_leg(r, A, RELAY_B, CLIENT, PORT, VIP), 0);
	put(r, A, LEGS, by_client(TCP_ACK));
	expect_reset(r, A, LEGS, SERVER_FIRST + 1);
	dropped(r, B, DROP_NO_LEG, 1);
	put(r, A, LEGS, by_client(TCP_RST)); /* no answer */
	ck_assert_uint_eq(r->n_out, 1);
	dropped(r, B, DROP_NO_LEG, 2);
	leg_free(r);
}
END_TEST

/* a knows nothing of it: b is told, also on the firewalls' segment. */
START_TEST(forgotten_by_the_clients_side)
{
	struct leg_rig *r = start();
	struct rig_packet p = by_service(TCP_ACK);
	unsigned port = _i ? OUTSIDE : INSIDE;
	struct macaddr member = leg_mac(B, port);

	leg_send_from(r, A, port, &member, &p, -1);
	expect_reset(r, A, port, FIRST + 1);
	ck_assert(macaddr_eq(&r->out[0].pkt.eth_dst, &member));
	dropped(r, A, DROP_NO_LEG, 1);
	leg_free(r);
}
END_TEST

/* A server of l7/2 goes on with what nobody knows; of l7/3 that is not a leg's. */
START_TEST(forgotten_by_both)
{
	struct leg_rig *r = start();

	put(r, A, INSIDE, by_service(TCP_ACK));
	expect_reset(r, A, INSIDE, FIRST + 1);
	dropped(r, A, DROP_NO_LEG, 1);
	put(r, A, INSIDE, by_service(TCP_RST));
	ck_assert_uint_eq(r->n_out, 0);
	dropped(r, A, DROP_NO_LEG, 2);
	leg_free(r);
}
END_TEST

/* --- lost ---------------------------------------------------------------------------------------
 */

enum loss { SILENT, RESTARTED, LEFT, LOSSES };

static void lose(struct leg_rig *r, unsigned node, enum loss how)
{
	leg_clear(r);
	if (how == LEFT) {
		engine_goodbye(r->engine[node], r->now_ns, r->actions);
		leg_collect(r, node);
	}
	leg_stop(r, node);
	if (how == RESTARTED)
		leg_start(r, node);
	leg_wait(r, how == LEFT ? 20 : 3000);
}

static unsigned n_resets(const struct leg_rig *r, unsigned node, unsigned port, uint32_t seq)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_out; i++) {
		const struct leg_out *o = &r->out[i];

		if (o->node != node || o->port != port || o->pkt.tuple.proto != IPPROTO_NUM_TCP)
			continue;
		ck_assert_uint_eq(o->pkt.tcp.flags, TCP_RST);
		ck_assert_uint_eq(o->pkt.tcp.seq, seq);
		n++;
	}
	return n;
}

/* The client's side hears of it: the next number that its stack expects. */
START_TEST(server_side_lost)
{
	struct leg_rig *r = start();
	struct rig_packet p = by_client(TCP_ACK);

	relay(r);
	p.ack = SERVER_FIRST + 1 + 5000;
	crosses(r, A, p);
	ck_assert_int_eq(open_leg(r, A, S1, CLIENT, PORT + 1, VIP), 0);
	lose(r, B, (enum loss)_i);
	ck_assert_uint_eq(n_resets(r, A, LEGS, SERVER_FIRST + 1 + 5000), 1);
	ck_assert_uint_eq(only_leg(r, A)->kind, LEG_TO_SERVER);
	ck_assert_uint_eq(leg_counter(r, A, COUNTER_LEG_RESET), 1);
	if (_i == RESTARTED)
		relay(r); /* with the new one */
	leg_free(r);
}
END_TEST

/* The server's side hears of it. */
START_TEST(clients_side_lost)
{
	struct leg_rig *r = start();
	struct rig_packet p = by_service(TCP_ACK);

	relay(r);
	p.ack = FIRST + 1 + 300;
	crosses(r, B, p);
	lose(r, A, (enum loss)_i);
	ck_assert_uint_eq(n_resets(r, B, LEGS, FIRST + 1 + 300), 1);
	ck_assert_uint_eq(n_legs(r, B), 0);
	leg_free(r);
}
END_TEST

/* Nothing was heard yet but the SYN. */
START_TEST(lost_before_the_answer)
{
	struct leg_rig *r = start();
	bool told = false;

	leg_link(r, B, LEGS, true);
	ck_assert_int_eq(open_leg(r, A, RELAY_B, CLIENT, PORT, VIP), 0);
	crosses(r, A, by_client(TCP_SYN));
	lose(r, B, SILENT);
	for (unsigned i = 0; i < r->n_out; i++) {
		const struct pkt *p = &r->out[i].pkt;

		if (r->out[i].node != A || r->out[i].port != LEGS)
			continue;
		ck_assert(!told);
		told = true;
		ck_assert_uint_eq(p->tcp.flags, TCP_RST | TCP_ACK);
		ck_assert_uint_eq(p->tcp.ack, FIRST + 1);
	}
	ck_assert(told);
	leg_free(r);
}
END_TEST

/* Whose descriptor is closed is told nothing. */
START_TEST(lost_and_ended)
{
	struct leg_rig *r = start();

	relay(r);
	end_leg(r, A);
	lose(r, B, SILENT);
	ck_assert_uint_eq(n_resets(r, A, LEGS, 0), 0);
	ck_assert_uint_eq(n_legs(r, A), 0);
	ck_assert_uint_eq(leg_counter(r, A, COUNTER_LEG_RESET), 0);
	leg_free(r);
}
END_TEST

/* --- the end ------------------------------------------------------------------------------------
 */

START_TEST(lingering)
{
	struct leg_rig *r = start();

	ck_assert_int_eq(open_leg(r, A, S1, CLIENT, PORT, VIP), 0);
	passes(r, A, LEGS, INSIDE, by_client(TCP_SYN));
	leg_wait(r, 200000); /* for as long as the daemon has it */
	passes(r, A, INSIDE, LEGS, by_service(TCP_SYN | TCP_ACK));
	end_leg(r, A);
	leg_wait(r, 100000);
	passes(r, A, LEGS, INSIDE, by_client(TCP_FIN | TCP_ACK));
	leg_wait(r, 100000);
	passes(r, A, INSIDE, LEGS, by_service(TCP_ACK));
	if (_i == 0) {
		leg_wait(r, 121000);
	} else {
		passes(r, A, INSIDE, LEGS, by_service(_i == 1 ? TCP_FIN | TCP_ACK : TCP_RST));
		leg_wait(r, 9000);
		passes(r, A, LEGS, INSIDE, by_client(TCP_ACK)); /* keeps it no longer */
		leg_wait(r, 2000);
	}
	ck_assert_uint_eq(n_legs(r, A), 0);
	leg_free(r);
}
END_TEST

/* Nobody has accepted it: both ends are told. */
START_TEST(not_accepted)
{
	struct leg_rig *r = start();
	bool a = false, b = false;

	ck_assert_int_eq(open_leg(r, A, RELAY_B, CLIENT, PORT, VIP), 0);
	crosses(r, A, by_client(TCP_SYN));
	crosses(r, B, by_service(TCP_SYN | TCP_ACK));
	crosses(r, A, by_client(TCP_ACK));
	leg_wait(r, 29000);
	ck_assert_uint_eq(n_legs(r, B), 1);
	leg_clear(r);
	leg_wait(r, 2000);
	ck_assert_uint_eq(n_legs(r, B), 0);
	for (unsigned i = 0; i < r->n_out; i++) {
		const struct leg_out *o = &r->out[i];

		if (o->port != LEGS)
			continue;
		ck_assert_uint_eq(o->pkt.tcp.flags, TCP_RST);
		ck_assert_uint_eq(o->pkt.tcp.seq, o->node == A ? SERVER_FIRST + 1 : FIRST + 1);
		*(o->node == A ? &a : &b) = true;
	}
	ck_assert(a && b);
	ck_assert_uint_eq(accept_leg(r, B), PARAMS_NONE);
	leg_free(r);
}
END_TEST

START_TEST(table_full)
{
	struct leg_rig *r = leg_begin(FEW ALL, FEW ALL);
	struct macaddr member = leg_mac(A, INSIDE);
	struct rig_packet p = by_client(TCP_SYN);
	unsigned port = PORT;

	for (unsigned i = 0; i < 1024; i++)
		ck_assert_int_eq(open_leg(r, B, S2, CLIENT, port++, VIP), 0);
	ck_assert_int_eq(open_leg(r, B, S2, CLIENT, port, VIP), -ENOMEM);
	p.sport = 9000;
	leg_send_from(r, B, INSIDE, &member, &p, STAMP_RELAY);
	ck_assert_uint_eq(leg_got(r, B, INSIDE).tcp.flags, TCP_RST | TCP_ACK);
	dropped(r, B, DROP_FLOW_TABLE_FULL, 1);
	end_leg(r, B);
	leg_send_from(r, B, INSIDE, &member, &p, STAMP_RELAY);
	leg_got(r, B, LEGS);
	ck_assert_int_eq(open_leg(r, B, S2, CLIENT, port, VIP), -ENOMEM);
	ck_assert_uint_eq(n_legs(r, B), 1024);
	/* all at once, a few in each tick */
	leg_clear(r);
	lose(r, A, SILENT);
	ck_assert_uint_eq(n_legs(r, B), 1023);
	leg_free(r);
}
END_TEST

/* --- ICMP ---------------------------------------------------------------------------------------
 */

static void put_error(struct leg_rig *r, unsigned node, unsigned port, const struct macaddr *src,
		      const char *from, const struct rig_packet *about, int stamp)
{
	static struct sample s, quoted;
	struct macaddr dst = leg_mac(node, port);
	struct frame f;
	struct pkt pkt;

	leg_clear(r);
	rig_make(&quoted, about);
	f = rig_ready(&quoted, port);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	if (stamp >= 0)
		ck_assert(stamp_insert(&pkt, (uint16_t)stamp, 1500));
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_ICMP, from, about->src, NULL, 0);
	sample_icmp(&s, 3, 4, 1200);
	sample_add(&s, f.data + pkt.l3, f.len - pkt.l3);
	sample_end(&s);
	f = rig_ready(&s, port);
	memcpy(f.data, dst.b, 6);
	memcpy(f.data + 6, src->b, 6);
	leg_pass(r, node, &f);
}

/* About what the stack has sent, from where that went: it hears of it. */
START_TEST(icmp_errors)
{
	struct leg_rig *r = start();
	struct rig_packet syn = by_client(TCP_SYN), answer = by_service(TCP_ACK);
	struct macaddr server = rig_host_mac(INSIDE), firewall = rig_host_mac(OUTSIDE);
	struct macaddr a = leg_mac(A, INSIDE), b = leg_mac(B, INSIDE);
	struct pkt out;

	ck_assert_int_eq(open_leg(r, A, S1, CLIENT, PORT, VIP), 0);
	put_error(r, A, INSIDE, &server, "10.1.0.81", &syn, -1);
	out = leg_got(r, A, LEGS);
	ck_assert_uint_eq(out.inner.dport, 80);
	ck_assert_uint_eq(out.icmp_code, 4);
	put_error(r, A, OUTSIDE, &firewall, "192.0.2.11", &syn, -1);
	ck_assert(r->n_out == 0 || r->out[0].port != LEGS);
	put_error(r, A, INSIDE, &server, "10.1.0.81", &answer, -1); /* about its own */
	ck_assert(r->n_out == 0 || r->out[0].port != LEGS);
	end_leg(r, A);
	relay(r);
	put_error(r, A, INSIDE, &b, "10.1.0.2", &syn, STAMP_RELAY);
	out = leg_got(r, A, LEGS);
	ck_assert_uint_eq(stamp_erase_quoted(&out), 0); /* it is gone already */
	ck_assert_uint_eq(leg_counter(r, A, COUNTER_STAMP_STRIPPED), 1);
	put_error(r, A, INSIDE, &server, "10.1.0.81", &syn, -1);
	ck_assert(r->n_out == 0 || r->out[0].port != LEGS);
	put_error(r, B, INSIDE, &a, "10.1.0.1", &answer, -1);
	out = leg_got(r, B, LEGS);
	ck_assert_uint_eq(out.inner.sport, 80);
	leg_free(r);
}
END_TEST

/* --- standing, counts, targets that hang on others ----------------------------------------------
 */

START_TEST(standings)
{
	struct leg_rig *r = start();
	struct engine *e = r->engine[A];
	uint64_t since;

	ck_assert_int_eq(engine_l7_standing(e, S1, &since), L7_TARGET_TAKES);
	ck_assert_int_eq(engine_l7_standing(e, S2, &since), L7_TARGET_DOWN);
	ck_assert_str_eq(e->dispatch.targets[S2].why, "connected to other dispatchers");
	ck_assert_int_eq(engine_l7_standing(e, RELAY_B, &since), L7_TARGET_TAKES);
	ck_assert_int_eq(engine_l7_standing(e, RELAY_A, &since), L7_TARGET_DOWN);
	ck_assert_int_eq(engine_l7_standing(e, L7_RELAY + C, &since), L7_TARGET_DOWN);
	for (unsigned i = 0; i < 100; i++) {
		struct endpoint from = at(CLIENT, 1000 + i), to = at(VIP, 80);
		ck_assert_uint_eq(engine_l7_choose(e, 0, &from, &to, r->now_ns), S1);
	}
	engine_l7_target_counts(e, RELAY_B)->requests = 5;
	engine_l7_relay_counts(e, B)->requests = 6;
	ck_assert_uint_eq(e->dispatch.relays[B].to.requests, 5);
	ck_assert_uint_eq(e->dispatch.relays[B].from.requests, 6);
	engine_l7_flow(e, RELAY_B, true);
	engine_l7_flow(e, RELAY_B, false);
	r->cut = true;
	leg_wait(r, 3000);
	ck_assert_int_eq(engine_l7_standing(e, RELAY_B, &since), L7_TARGET_DOWN);
	ck_assert_uint_gt(since, r->now_ns - 3000 * RIG_MS);
	r->cut = false;
	leg_wait(r, 1000);
	ck_assert_int_eq(engine_l7_standing(e, RELAY_B, &since), L7_TARGET_TAKES);
	leg_free(r);
}
END_TEST

/* A server by l7/2 is reached by its port, not by the host's routes. */
START_TEST(server_behind_a_port)
{
	struct leg_rig *r = start();
	uint64_t since;

	leg_link(r, A, INSIDE, false);
	leg_wait(r, 500);
	ck_assert_int_eq(engine_l7_standing(r->engine[A], S1, &since), L7_TARGET_DOWN);
	leg_free(r);
}
END_TEST

/* --- another configuration ----------------------------------------------------------------------
 */

static void reload(struct leg_rig *r, unsigned node, const char *rest)
{
	struct params *p = leg_params(node, rest);

	leg_clear(r);
	ck_assert_int_eq(engine_reload(r->engine[node], p, NULL, r->now_ns, r->actions), 0);
	leg_collect(r, node);
	conf_free(r->params[node]);
	r->params[node] = p;
	leg_wait(r, 200);
}

static const struct {
	const char *rest;
	bool server, from; /* stay */
} reloads[] = {
	{ALL, true, true},
	{ALONE WEB T3 T2 T1, true, true}, /* another order */
	{WEB ALONE T2 T3
	 "target \"s1\" { addresses = {\"10.1.0.91\", \"fd00:1::81\"} via = {\"a\"} }\n",
	 false, true},
	{WEB ALONE T3 "target \"s1\" { addresses = {\"10.1.0.81\", \"fd00:1::81\"}"
		      " via = {\"b\"} }\n"
		      "target \"s2\" { addresses = {\"10.1.0.82\", \"fd00:1::82\"} }\n",
	 false, true},
	{"service \"other\" { addresses = {\"" VIP "\"} protocol = \"tcp\" ports = {\"80\"}"
	 " technology = \"l7/2\" cookie = \"insert\" cookie-name = \"C\" relay = \"both\" targets "
	 "= {\"s1\", \"s2\"} "
	 "}\n" ALONE T1 T2 T3,
	 true, false},
	{"service \"web\" { addresses = {\"" VIP "\"} protocol = \"tcp\" ports = {\"80\"}"
	 " technology = \"l7/2\" cookie = \"insert\" cookie-name = \"C\" targets = {\"s1\", "
	 "\"s2\"} "
	 "}\n" ALONE T3 "target \"s1\" { addresses = {\"10.1.0.81\", \"fd00:1::81\"} }\n"
	 "target \"s2\" { addresses = {\"10.1.0.82\", \"fd00:1::82\"} }\n",
	 true, false},
};

static void seen(const struct leg_rig *r, unsigned node, bool server, bool from)
{
	bool s = false, f = false;
	uint32_t pos = 0;
	const struct leg *leg;

	while ((leg = legs_next(&r->engine[node]->dispatch, &pos)))
		*(leg->kind == LEG_TO_SERVER ? &s : &f) = true;
	ck_assert_int_eq(s, server);
	ck_assert_int_eq(f, from);
}

START_TEST(after_a_reload)
{
	struct leg_rig *r = start();
	unsigned n = 0;
	struct rig_packet p = by_client(TCP_SYN), ack = by_service(TCP_ACK | TCP_SYN);

	/* b's relay to a, from where a leg goes on to its server */
	ck_assert_int_eq(open_leg(r, B, RELAY_A, CLIENT, PORT, VIP), 0);
	crosses(r, B, by_client(TCP_SYN));
	crosses(r, A, by_service(TCP_SYN | TCP_ACK));
	ck_assert_uint_eq(accept_leg(r, A), B);
	p.sport = ack.dport = 2000;
	ck_assert_int_eq(open_leg(r, A, S1, CLIENT, 2000, VIP), 0);
	passes(r, A, LEGS, INSIDE, p);
	passes(r, A, INSIDE, LEGS, ack);
	reload(r, A, reloads[_i].rest);
	for (unsigned i = 0; i < r->n_out; i++)
		n += r->out[i].node == A && r->out[i].port == LEGS;
	ck_assert_uint_eq(n, !reloads[_i].server + !reloads[_i].from);
	seen(r, A, reloads[_i].server, reloads[_i].from);
	if (reloads[_i].server) {
		p = by_client(TCP_ACK);
		p.sport = 2000;
		passes(r, A, LEGS, INSIDE, p);
	}
	if (reloads[_i].from)
		crosses(r, B, by_client(TCP_ACK));
	leg_free(r);
}
END_TEST

/* Counts of relays belong to members. */
START_TEST(counts_live_on)
{
	struct leg_rig *r = start();

	engine_l7_target_counts(r->engine[A], RELAY_B)->requests = 5;
	reload(r, A, ALL);
	ck_assert_uint_eq(engine_l7_target_counts(r->engine[A], RELAY_B)->requests, 5);
	leg_free(r);
}
END_TEST

/* The service has an address of the dispatchers themselves. */
START_TEST(own_address)
{
	struct leg_rig *r = start();
	struct params *p[NODES];
	struct node_address *own[NODES];

	for (unsigned i = 0; i < NODES; i++) {
		struct port_params *port;

		p[i] = leg_params(i, ALL);
		port = &p[i]->ports[OUTSIDE];
		ck_assert_int_eq(prefix_parse(&port->addresses[port->n_addresses++], VIP "/32"), 0);
		ck_assert_int_eq(engine_reload(r->engine[i], p[i], NULL, r->now_ns, r->actions), 0);
		leg_collect(r, i);
		conf_free(r->params[i]);
		r->params[i] = p[i];
		own[i] = r->engine[i]->node.addresses;
		ck_assert_ptr_nonnull(own[i]);
	}
	leg_wait(r, 5000);
	relay(r);
	crosses(r, B, by_service(TCP_ACK));
	end_leg(r, A);
	end_leg(r, B);
	ck_assert_int_eq(open_leg(r, A, S1, CLIENT, PORT, VIP), 0);
	passes(r, A, LEGS, INSIDE, by_client(TCP_SYN));
	passes(r, A, INSIDE, LEGS, by_service(TCP_SYN | TCP_ACK));
	put(r, B, OUTSIDE, by_service(TCP_ACK)); /* nobody else speaks so */
	dropped(r, B, DROP_SPOOFED, 1);
	leg_free(r);
}
END_TEST

static void add_relays(Suite *s)
{
	TCase *tc = tcase_create("relays");

	tcase_add_loop_test(tc, from_one_to_the_other, 0, sizeof(orders) / sizeof(*orders));
	tcase_add_test(tc, relayed_beside_the_clients_own);
	tcase_add_test(tc, forged_marks);
	tcase_add_loop_test(tc, unmarked, 0, 2);
	tcase_add_test(tc, answers_of_strangers);
	tcase_add_loop_test(tc, refused, 0, 3);
	tcase_add_test(tc, collisions);
	tcase_add_test(tc, the_port_again);
	tcase_add_test(tc, forgotten_by_the_server_side);
	tcase_add_loop_test(tc, forgotten_by_the_clients_side, 0, 2);
	tcase_add_loop_test(tc, server_side_lost, 0, LOSSES);
	tcase_add_loop_test(tc, clients_side_lost, 0, LOSSES);
	tcase_add_test(tc, lost_before_the_answer);
	tcase_add_test(tc, lost_and_ended);
	tcase_add_test(tc, not_accepted);
	suite_add_tcase(s, tc);
}

int main(void)
{
	Suite *s = suite_create("leg");
	TCase *tc = tcase_create("legs");
	SRunner *sr;
	int n;

	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, to_a_server_and_back, 0, sizeof(orders) / sizeof(*orders));
	tcase_add_test(tc, by_the_targets_port_alone);
	tcase_add_test(tc, strays_of_the_stack);
	tcase_add_test(tc, beside_the_clients_own);
	tcase_add_test(tc, who_cannot_be_reached);
	tcase_add_test(tc, forgotten_by_both);
	tcase_add_loop_test(tc, lingering, 0, 3);
	tcase_add_test(tc, table_full);
	tcase_add_test(tc, icmp_errors);
	tcase_add_test(tc, standings);
	tcase_add_test(tc, server_behind_a_port);
	tcase_add_loop_test(tc, after_a_reload, 0, sizeof(reloads) / sizeof(*reloads));
	tcase_add_test(tc, counts_live_on);
	tcase_add_test(tc, own_address);
	suite_add_tcase(s, tc);
	add_relays(s);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	n = srunner_ntests_failed(sr);
	srunner_free(sr);
	return n > 0;
}
