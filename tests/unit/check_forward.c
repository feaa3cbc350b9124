/*
 * check_forward.c - a router's duties when the next hop is given: as a neighbour's address or as a
 * MAC address (see check_node.c for packets that go by the routes).
 *
 * proves: FC-14 HD-3
 */
#include "node/node.h"
#include "packet/checksum.h"
#include "rig.h"

#define PASS "firewall { rule \"all\" { action = \"pass\" } }\n"

static const struct macaddr target = {{2, 7, 7, 7, 7, 7}};

static const struct rig_packet udp = {.src = "192.0.2.9",
				      .dst = "198.51.100.80", /* no route leads there */
				      .proto = IPPROTO_NUM_UDP,
				      .sport = 1000,
				      .dport = 53,
				      .len = 100};

static struct ipaddr addr(const char *text)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(&a, text), 0);
	return a;
}

/* How a packet is sent in a test. */
enum how { BY_NEIGHBOUR, BY_MAC, HOW_COUNT };

struct sent {
	struct sample sample;
	struct frame frame;
	struct pkt pkt;
};

static struct node *node_of(struct rig *r)
{
	return &r->engine->node;
}

static void ready(struct rig *r, struct sent *s, const struct rig_packet *p)
{
	rig_clear(r);
	rig_make(&s->sample, p);
	s->frame = rig_ready(&s->sample, OUTSIDE);
	ck_assert_int_eq(pkt_decode(&s->pkt, &s->frame), DROP_NONE);
	node_begin(node_of(r), r->now_ns, r->actions);
	r->engine->node.counters[COUNTER_FRAMES_IN]++;
}

/* Send it to the segment "inside". */
static enum drop send_ready(struct rig *r, struct sent *s, int how, struct hop *hop)
{
	struct ipaddr next = addr("10.1.0.77");
	enum drop d = how == BY_MAC ? node_forward_mac(node_of(r), &s->pkt, INSIDE, &target)
				    : node_forward_to(node_of(r), &s->pkt, INSIDE, &next, hop);

	rig_collect(r);
	return d;
}

static enum drop forward(struct rig *r, const struct rig_packet *p, int how)
{
	static struct sent s;
	struct hop hop = {.neigh = NEIGH_NONE};

	ready(r, &s, p);
	return send_ready(r, &s, how, &hop);
}

START_TEST(forwarded)
{
	struct rig *r = rig_new("", PASS);
	struct macaddr host = rig_host_mac(INSIDE), own = rig_mac(INSIDE);
	const struct pkt *pkt;

	ck_assert_int_eq(forward(r, &udp, _i), DROP_NONE);
	pkt = rig_only(r, INSIDE);
	ck_assert_uint_eq(pkt->ttl, 63);
	ck_assert(macaddr_eq(&pkt->eth_dst, _i == BY_MAC ? &target : &host));
	ck_assert(macaddr_eq(&pkt->eth_src, &own));
	ck_assert_uint_eq(r->asked, _i == BY_NEIGHBOUR);
	rig_free(r);
}
END_TEST

START_TEST(duties)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = udp;

	r->links[INSIDE].mtu = 1280;
	rig_link(r, INSIDE);
	p.ttl = 1;
	ck_assert_int_eq(forward(r, &p, _i), DROP_TTL);
	ck_assert_uint_eq(rig_only(r, OUTSIDE)->icmp_type, 11);
	p.ttl = 64;
	p.len = 1253;
	p.df = true;
	ck_assert_int_eq(forward(r, &p, _i), DROP_TOO_BIG);
	ck_assert_uint_eq(rig_only(r, OUTSIDE)->icmp_type, 3);
	p.df = false;
	p.id = 5;
	ck_assert_int_eq(forward(r, &p, _i), DROP_NONE);
	ck_assert_uint_eq(r->n_out, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_le(r->out[i].pkt.ip_len, 1280);
		ck_assert_uint_eq(r->out[i].pkt.ttl, 63);
	}
	r->links[INSIDE].up = false;
	rig_link(r, INSIDE);
	ck_assert_int_eq(forward(r, &udp, _i), DROP_PORT_DOWN);
	ck_assert_uint_eq(r->n_out, 0);
	rig_free(r);
}
END_TEST

START_TEST(super_frame)
{
	static struct sent s;
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = {.src = "192.0.2.9",
			       .dst = "198.51.100.80",
			       .proto = IPPROTO_NUM_TCP,
			       .sport = 1000,
			       .dport = 80,
			       .flags = TCP_ACK,
			       .len = 14480,
			       .df = true};
	struct hop hop = {.neigh = NEIGH_NONE};

	for (unsigned whole = 0; whole < 2; whole++) {
		r->links[INSIDE].takes_gso = r->links[INSIDE].takes_partial_csum = whole;
		rig_link(r, INSIDE);
		ready(r, &s, &p);
		s.frame.vnet = (struct vnet){.flags = VNET_F_NEEDS_CSUM,
					     .gso_type = VNET_GSO_TCPV4,
					     .hdr_len = 54,
					     .gso_size = 1448,
					     .csum_start = 34,
					     .csum_offset = 16};
		ck_assert_int_eq(send_ready(r, &s, _i, &hop), DROP_NONE);
		ck_assert_uint_eq(r->n_out, whole ? 1 : 10);
		for (unsigned i = 0; i < r->n_out; i++)
			ck_assert_uint_eq(r->out[i].pkt.ttl, 63);
	}
	rig_free(r);
}
END_TEST

/* A partial checksum is completed for a port that cannot take it. */
START_TEST(partial_checksum)
{
	static struct sent s;
	struct rig *r = rig_new("", PASS);
	struct hop hop = {.neigh = NEIGH_NONE};
	uint64_t sum;
	uint16_t folded;

	ready(r, &s, &udp);
	sum = csum_pseudo(&s.pkt.tuple.src, &s.pkt.tuple.dst, IPPROTO_NUM_UDP, 108);
	folded = (uint16_t)~csum_fold(sum);
	memcpy(s.frame.data + s.pkt.l4 + 6, &folded, 2);
	s.frame.vnet =
		(struct vnet){.flags = VNET_F_NEEDS_CSUM, .csum_start = s.pkt.l4, .csum_offset = 6};
	ck_assert_int_eq(send_ready(r, &s, _i, &hop), DROP_NONE);
	ck_assert_uint_eq(r->out[0].frame.vnet.flags, 0);
	ck_assert(csum_l4_ok(rig_only(r, INSIDE)));
	rig_free(r);
}
END_TEST

/* To be asked before a rewrite: the sender has been told of the packet as it sent it. */
START_TEST(too_big)
{
	static struct sent s;
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = udp;

	r->links[INSIDE].mtu = 1280;
	rig_link(r, INSIDE);
	for (unsigned k = 0; k < 3; k++) {
		bool expect = k == 1;
		p.len = k == 0 ? 1252 : 1253;
		p.df = k < 2;
		ready(r, &s, &p);
		ck_assert_int_eq(node_too_big(node_of(r), &s.pkt, INSIDE), expect);
		if (!expect) /* it has not been touched: leave it */
			node_drop(node_of(r), &s.pkt, DROP_TO_HOST);
		rig_collect(r);
		ck_assert_uint_eq(r->n_out, expect);
		if (!expect)
			continue;
		ck_assert_uint_eq(rig_only(r, OUTSIDE)->inner.dport, 53);
		ck_assert_uint_eq(sample_get16(r->out[0].frame.data + r->out[0].pkt.l4 + 6), 1280);
		ck_assert_dropped(r, DROP_TOO_BIG, 1);
	}
	rig_free(r);
}
END_TEST

/* A hop that was another neighbour's, or whose place another has got, is looked up anew. */
START_TEST(hop_is_checked)
{
	struct rig *r = rig_new("", PASS);
	struct node *n = node_of(r);
	struct hop hop = {.neigh = NEIGH_NONE}, routed;
	struct ipaddr a = addr("10.1.0.77"), b = addr("10.1.0.78");
	const struct macaddr *mac;

	for (unsigned k = 0; k < 4; k++) {
		const struct ipaddr *next = k % 2 ? &b : &a;
		node_begin(n, r->now_ns, r->actions);
		mac = node_resolve(n, INSIDE, next, &hop);
		ck_assert(k < 2 ? !mac : mac != NULL);
		ck_assert(ipaddr_eq(&neigh_at(n->neighbours, hop.neigh)->addr, next));
		rig_collect(r);
		ck_assert_uint_eq(r->asked, k < 2 ? k + 1 : 2);
	}
	node_begin(n, r->now_ns, r->actions);
	node_resolve(n, OUTSIDE, &b, &hop); /* the same address elsewhere */
	ck_assert_uint_eq(neigh_at(n->neighbours, hop.neigh)->port, OUTSIDE);
	rig_collect(r);
	routed = hop;
	ck_assert_uint_ne(routed.generation, n->route_generation); /* none for node_forward */
	hop.neigh = 4000;					   /* beyond the table */
	ck_assert_ptr_nonnull(node_resolve(n, INSIDE, &b, &hop));
	rig_free(r);
}
END_TEST

START_TEST(watched_neighbours_are_asked_again)
{
	struct rig *r = rig_new("", PASS);
	struct node *n = node_of(r);
	struct hop hop = {.neigh = NEIGH_NONE};
	struct ipaddr a = addr(_i ? "fd00:1::77" : "10.1.0.77");

	for (unsigned k = 0; k < 50; k++) {
		node_begin(n, r->now_ns, r->actions);
		node_watch(n, INSIDE, &a, &hop, 1000 * RIG_MS);
		rig_collect(r);
		rig_wait(r, 100);
	}
	ck_assert_uint_ge(r->asked, 4);
	ck_assert_uint_le(r->asked, 6);
	r->answer = false;
	rig_wait(r, 1000);
	for (unsigned k = 0; k < 20; k++) {
		node_begin(n, r->now_ns, r->actions);
		node_watch(n, INSIDE, &a, &hop, 1000 * RIG_MS);
		rig_collect(r);
		rig_wait(r, 100);
		if (neigh_at(n->neighbours, hop.neigh)->state == NEIGH_FAILED)
			break;
	}
	ck_assert_uint_eq(neigh_at(n->neighbours, hop.neigh)->state, NEIGH_FAILED);
	rig_free(r);
}
END_TEST

START_TEST(echo_of_our_own)
{
	struct rig *r = rig_new("", PASS);
	struct node *n = node_of(r);
	const char *src = _i ? "fd00:1::1" : "10.1.0.1", *dst = _i ? "fd00:9::9" : "10.9.0.9";
	struct pkt_tuple to = {.src = addr(src), .dst = addr(dst), .sport = 0xabcd};
	const uint8_t data[5] = {1, 2, 3, 4, 5};
	struct macaddr own = rig_mac(INSIDE);
	const struct pkt *pkt;
	bool request = false;

	node_begin(n, r->now_ns, r->actions);
	ck_assert(node_send_echo(n, INSIDE, &target, &to, 0x1234, data, sizeof(data)));
	rig_collect(r);
	pkt = rig_only(r, INSIDE);
	ck_assert(node_is_echo(pkt, &request) && request);
	ck_assert(macaddr_eq(&pkt->eth_dst, &target));
	ck_assert(macaddr_eq(&pkt->eth_src, &own));
	ck_assert(ipaddr_eq(&pkt->tuple.src, &to.src) && ipaddr_eq(&pkt->tuple.dst, &to.dst));
	ck_assert_uint_eq(pkt->tuple.sport, 0xabcd);
	ck_assert_uint_eq(sample_get16(pkt->frame->data + pkt->l4 + 6), 0x1234);
	ck_assert_mem_eq(pkt->frame->data + pkt->l4 + 8, data, sizeof(data));
	to.src = addr(_i ? "10.1.0.1" : "fd00:1::1"); /* families mixed */
	rig_clear(r);
	node_begin(n, r->now_ns, r->actions);
	ck_assert(!node_send_echo(n, INSIDE, &target, &to, 1, data, sizeof(data)));
	to.src = addr(src);
	r->links[INSIDE].up = false;
	rig_link(r, INSIDE);
	node_begin(n, r->now_ns, r->actions);
	ck_assert(!node_send_echo(n, INSIDE, &target, &to, 1, data, sizeof(data)));
	rig_collect(r);
	ck_assert_uint_eq(r->n_out, 0);
	rig_free(r);
}
END_TEST

/* Of several own addresses the one in the peer's network speaks. */
START_TEST(source_in_the_network_of_the_peer)
{
	struct rig *r = rig_new("", PASS);
	struct node *n = node_of(r);
	struct engine_address host = {.port = INSIDE};
	struct ipaddr far = addr("10.77.0.9"), near = addr("10.1.200.9");
	struct ipaddr theirs = addr("10.77.0.1"), ours = addr("10.1.0.1");

	ck_assert_int_eq(prefix_parse_host(&host.prefix, "10.77.0.1/24"), 0);
	engine_set_addresses(r->engine, &host, 1);
	ck_assert(ipaddr_eq(node_source(n, INSIDE, &far), &theirs));
	ck_assert(ipaddr_eq(node_source(n, INSIDE, &near), &ours));
	ck_assert(node_on_link(n, INSIDE, &far) && node_on_link(n, INSIDE, &near));
	ck_assert(!node_on_link(n, OUTSIDE, &far));
	rig_free(r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("forward");
	TCase *t = tcase_create("forward");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, forwarded, 0, HOW_COUNT);
	tcase_add_loop_test(t, duties, 0, HOW_COUNT);
	tcase_add_loop_test(t, super_frame, 0, HOW_COUNT);
	tcase_add_loop_test(t, partial_checksum, 0, HOW_COUNT);
	tcase_add_test(t, too_big);
	tcase_add_test(t, hop_is_checked);
	tcase_add_loop_test(t, watched_neighbours_are_asked_again, 0, 2);
	tcase_add_loop_test(t, echo_of_our_own, 0, 2);
	tcase_add_test(t, source_in_the_network_of_the_peer);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
