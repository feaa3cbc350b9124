/*
 * check_node.c - a router's duties, seen from the wire.
 *
 * proves: FC-14
 */
#include "rig.h"

#define PASS "firewall { rule \"all\" { action = \"pass\" } }\n"

static const struct rig_packet udp4 = {.src = "10.1.0.9",
				       .dst = "192.0.2.9",
				       .proto = IPPROTO_NUM_UDP,
				       .sport = 1000,
				       .dport = 53,
				       .len = 100};
static const struct rig_packet udp6 = {.src = "fd00:1::9",
				       .dst = "2001:db8:2::9",
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

/* Both checksums of a packet that came out, by a loop of its own. */
static void assert_sums(const struct pkt *pkt)
{
	const uint8_t *l3 = pkt->frame->data + pkt->l3, *l4 = pkt->frame->data + pkt->l4;

	if (pkt->version == 4)
		ck_assert_uint_eq(sample_fold(sample_words(0, l3, (l3[0] & 15u) * 4)), 0);
	if (!pkt->fragment)
		ck_assert_uint_eq(sample_l4_sum(l3, pkt->version, pkt->tuple.proto, l4,
						pkt->ip_len - (size_t)(pkt->l4 - pkt->l3)),
				  0);
}

static void assert_from_to(const struct pkt *pkt, const char *src, const char *dst)
{
	char text[ADDR_TEXT];

	ck_assert_str_eq(ipaddr_text(text, &pkt->tuple.src), src);
	ck_assert_str_eq(ipaddr_text(text, &pkt->tuple.dst), dst);
}

/* One ICMP error has gone back to where the packet came from. */
static void assert_error(struct rig *r, bool v6, unsigned type, unsigned code, unsigned mtu)
{
	const struct pkt *pkt = rig_only(r, INSIDE);
	struct macaddr host = rig_host_mac(INSIDE), own = rig_mac(INSIDE);
	const uint8_t *l4 = pkt->frame->data + pkt->l4;

	ck_assert(pkt->icmp_error);
	ck_assert_uint_eq(pkt->icmp_type, type);
	ck_assert_uint_eq(pkt->icmp_code, code);
	ck_assert_uint_eq(sample_get16(l4 + 6), mtu);
	assert_from_to(pkt, v6 ? "fd00:1::1" : "10.1.0.1", v6 ? "fd00:1::9" : "10.1.0.9");
	assert_sums(pkt);
	ck_assert_uint_eq(pkt->inner.sport, 1000);
	ck_assert_uint_eq(pkt->inner.dport, 53);
	ck_assert(macaddr_eq(&pkt->eth_dst, &host));
	ck_assert(macaddr_eq(&pkt->eth_src, &own));
	ck_assert_uint_eq(rig_counter(r, COUNTER_ICMP_SENT), 1);
}

/* --- time to live --------------------------------------------------------------------------------
 */

START_TEST(forwarded_with_one_hop_less)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = _i ? udp6 : udp4;
	struct macaddr host = rig_host_mac(OUTSIDE), own = rig_mac(OUTSIDE);
	const struct pkt *pkt;

	for (unsigned ttl = 2; ttl < 256; ttl++) {
		p.ttl = ttl;
		rig_send(r, INSIDE, &p);
		pkt = rig_only(r, OUTSIDE);
		ck_assert_uint_eq(pkt->ttl, ttl - 1);
		assert_sums(pkt);
		assert_from_to(pkt, p.src, p.dst);
		ck_assert(macaddr_eq(&pkt->eth_dst, &host));
		ck_assert(macaddr_eq(&pkt->eth_src, &own));
	}
	rig_free(r);
}
END_TEST

START_TEST(ttl_used_up)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = _i ? udp6 : udp4;

	p.ttl = 1;
	rig_send(r, INSIDE, &p);
	assert_error(r, _i, _i ? 3 : 11, 0, 0);
	ck_assert_dropped(r, DROP_TTL, 1);
	ck_assert_uint_eq(flow_table_count(r->engine->firewall.states), 0);
	p.ttl = 64; /* of a known flow, too */
	rig_send(r, INSIDE, &p);
	rig_only(r, OUTSIDE);
	p.ttl = 1;
	rig_send(r, INSIDE, &p);
	rig_only(r, INSIDE);
	ck_assert_dropped(r, DROP_TTL, 2);
	rig_free(r);
}
END_TEST

START_TEST(errors_are_rate_limited)
{
	struct rig *r = rig_new("", "firewall { originate-rate = 5 rule \"all\" { action = "
				    "\"pass\" } }\n");
	struct rig_packet p = udp4;

	p.ttl = 1;
	for (unsigned i = 0; i < 50; i++)
		rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(rig_counter(r, COUNTER_ICMP_SENT), 5);
	ck_assert_uint_eq(rig_counter(r, COUNTER_ORIGINATE_LIMIT), 45);
	ck_assert_dropped(r, DROP_TTL, 50);
	rig_wait(r, 1000);
	rig_send(r, INSIDE, &p);
	rig_only(r, INSIDE);
	rig_free(r);
}
END_TEST

START_TEST(no_error_about_an_error)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet error = {.src = "192.0.2.9", .dst = "10.1.0.9", .proto = 1, .type = 3};

	rig_send(r, INSIDE, &udp4);
	error.ttl = 1;
	rig_send_error(r, OUTSIDE, &error, &udp4);
	error.ttl = 0;
	ck_assert_uint_eq(r->n_out, 1); /* without a TTL of 1 it passes */
	rig_free(r);
}
END_TEST

/* --- sizes ---------------------------------------------------------------------------------------
 */

START_TEST(too_big)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = _i ? udp6 : udp4;

	r->links[OUTSIDE].mtu = 1280;
	rig_link(r, OUTSIDE);
	p.df = true;
	p.len = 1280 - (_i ? 48 : 28);
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(rig_only(r, OUTSIDE)->ip_len, 1280);
	p.len++;
	rig_send(r, INSIDE, &p);
	assert_error(r, _i, _i ? 2 : 3, _i ? 0 : 4, 1280);
	ck_assert_dropped(r, DROP_TOO_BIG, 1);
	rig_free(r);
}
END_TEST

/* Put the pieces together again: the same bytes, no piece over the MTU. */
static void assert_pieces(struct rig *r, const struct rig_packet *p, uint32_t mtu)
{
	static struct sample s;
	static uint8_t whole[SAMPLE_MAX];
	size_t end = 0, seen = 0;

	rig_make(&s, p);
	for (unsigned i = 0; i < r->n_out; i++) {
		const struct pkt *pkt = &r->out[i].pkt;
		size_t header = (size_t)(pkt->frame->data[pkt->l3] & 15u) * 4;

		ck_assert_int_eq(r->out[i].decoded, DROP_NONE);
		ck_assert_uint_eq(r->out[i].port, OUTSIDE);
		ck_assert_uint_le(pkt->ip_len, mtu);
		ck_assert_uint_eq(pkt->ttl, 63);
		assert_sums(pkt);
		memcpy(whole + pkt->frag_offset, pkt->frame->data + pkt->l3 + header,
		       pkt->frag_len);
		seen += pkt->frag_len;
		if (!pkt->more_fragments)
			end = pkt->frag_offset + pkt->frag_len;
	}
	ck_assert_uint_eq(end, s.len - s.l4);
	ck_assert_uint_eq(seen, end);
	ck_assert_mem_eq(whole, sample_data(&s) + s.l4, end);
}

START_TEST(fragmented_without_df)
{
	static const uint32_t mtus[] = {1499, 1280, 576, 68};
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = udp4;

	p.id = 77;
	p.len = 1472;
	for (unsigned i = 0; i < 4; i++) {
		r->links[OUTSIDE].mtu = mtus[i];
		rig_link(r, OUTSIDE);
		rig_send(r, INSIDE, &p);
		ck_assert_uint_gt(r->n_out, 1);
		assert_pieces(r, &p, mtus[i]);
		rig_balance(r);
	}
	rig_free(r);
}
END_TEST

/* A datagram of 9000 bytes over a link with a tiny MTU makes more than a hundred pieces. */
START_TEST(fragmented_into_many)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = udp4;

	p.id = 78;
	p.len = 8900;
	r->links[INSIDE].mtu = 9000;
	r->links[OUTSIDE].mtu = 100;
	rig_link(r, INSIDE);
	rig_link(r, OUTSIDE);
	rig_send(r, INSIDE,
		 &(struct rig_packet){.src = p.src, .dst = p.dst, .proto = 17, .dport = 9});
	rig_send(r, INSIDE, &p);
	assert_pieces(r, &p, 100);
	ck_assert_uint_gt(r->n_out, 100);
	rig_free(r);
}
END_TEST

/* A super-frame of `segments` segments of `mss` bytes. */
static struct frame super_frame(struct sample *s, unsigned mss, unsigned segments)
{
	struct rig_packet p = {.src = "10.1.0.9",
			       .dst = "192.0.2.9",
			       .proto = IPPROTO_NUM_TCP,
			       .sport = 1000,
			       .dport = 53,
			       .flags = TCP_ACK | TCP_PSH,
			       .seq = 1001,
			       .ack = 2001,
			       .len = (size_t)mss * segments,
			       .df = true};
	struct frame f;

	rig_make(s, &p);
	f = rig_ready(s, INSIDE);
	f.vnet = (struct vnet){.flags = VNET_F_NEEDS_CSUM,
			       .gso_type = VNET_GSO_TCPV4,
			       .hdr_len = 54,
			       .gso_size = (uint16_t)mss,
			       .csum_start = 34,
			       .csum_offset = 16};
	return f;
}

static void handshake(struct rig *r)
{
	struct rig_packet p = {.src = "10.1.0.9",
			       .dst = "192.0.2.9",
			       .proto = IPPROTO_NUM_TCP,
			       .sport = 1000,
			       .dport = 53,
			       .flags = TCP_SYN,
			       .seq = 1000};
	struct rig_packet back = {.src = "192.0.2.9",
				  .dst = "10.1.0.9",
				  .proto = IPPROTO_NUM_TCP,
				  .sport = 53,
				  .dport = 1000,
				  .flags = TCP_SYN | TCP_ACK,
				  .seq = 2000,
				  .ack = 1001};

	rig_send(r, INSIDE, &p);
	rig_only(r, OUTSIDE);
	rig_send(r, OUTSIDE, &back);
	rig_only(r, INSIDE);
	p.flags = TCP_ACK;
	p.seq = 1001;
	p.ack = 2001;
	rig_send(r, INSIDE, &p);
	rig_only(r, OUTSIDE);
}

static void send_super(struct rig *r, unsigned mss, unsigned segments)
{
	static struct sample s;
	struct frame f = super_frame(&s, mss, segments);

	rig_clear(r);
	rig_frame(r, &f);
}

START_TEST(super_frame_whole)
{
	struct rig *r = rig_new("", PASS);

	r->links[OUTSIDE].takes_gso = r->links[OUTSIDE].takes_partial_csum = true;
	rig_link(r, OUTSIDE);
	handshake(r);
	send_super(r, 1448, 15);
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_uint_eq(r->out[0].frame.vnet.gso_size, 1448);
	ck_assert_uint_eq(r->out[0].frame.len, 54 + 1448 * 15);
	rig_free(r);
}
END_TEST

START_TEST(super_frame_cut)
{
	static const struct {
		unsigned mss, segments;
	} cases[] = {{1448, 15}, {1448, 1}, {536, 50}, {250, 100}};
	struct rig *r = rig_new("", PASS);
	uint32_t seq = 1001;

	handshake(r);
	send_super(r, cases[_i].mss, cases[_i].segments);
	ck_assert_uint_eq(r->n_out, cases[_i].segments);
	for (unsigned i = 0; i < r->n_out; i++) {
		const struct pkt *pkt = &r->out[i].pkt;

		ck_assert_int_eq(r->out[i].decoded, DROP_NONE);
		ck_assert_uint_eq(pkt->tcp.seq, seq);
		ck_assert_uint_eq(pkt->tcp.len, cases[_i].mss);
		ck_assert_uint_eq(pkt->ttl, 63);
		assert_sums(pkt);
		seq += cases[_i].mss;
	}
	rig_free(r);
}
END_TEST

/* What counts is the size on the wire, not that of the super-frame. */
START_TEST(super_frame_too_big)
{
	struct rig *r = rig_new("", PASS);

	handshake(r);
	r->links[OUTSIDE].mtu = 1400;
	r->links[OUTSIDE].takes_gso = _i;
	rig_link(r, OUTSIDE);
	send_super(r, 1448, 15);
	assert_error(r, false, 3, 4, 1400);
	send_super(r, 1360, 15);
	ck_assert_uint_eq(r->n_out, _i ? 1 : 15);
	rig_free(r);
}
END_TEST

/* --- neighbours ----------------------------------------------------------------------------------
 */

static bool is_request(const struct rig_out *o, const char *target, bool broadcast)
{
	struct ipaddr want = addr(target);
	struct arp arp;
	struct nd nd;

	if (o->decoded != DROP_NONE || !!(o->pkt.eth_dst.b[0] & 1) != broadcast)
		return false;
	if (o->pkt.kind == PKT_ARP)
		return arp_parse(&arp, &o->frame, o->pkt.l3) == DROP_NONE && arp.op == 1 &&
		       ipaddr_eq(&arp.target_ip, &want);
	return o->pkt.kind == PKT_ND && nd_parse(&nd, &o->pkt) == DROP_NONE && nd.type == 135 &&
	       ipaddr_eq(&nd.target, &want);
}

static void answer_now(struct rig *r, const struct frame *request)
{
	uint8_t room[FRAME_HEADROOM + 256];
	struct frame f = {.data = room + FRAME_HEADROOM, .port = request->port};

	f.len = (uint32_t)rig_answer(r, request, f.data, 256);
	ck_assert_uint_gt(f.len, 0);
	rig_clear(r);
	rig_frame(r, &f);
}

START_TEST(packets_wait_in_order)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = _i ? udp6 : udp4;
	struct frame request;
	uint8_t bytes[FRAME_HEADROOM + 256];

	r->answer = false;
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert(is_request(&r->out[0], p.dst, true));
	request = r->out[0].frame;
	request.data = memcpy(bytes, request.data, request.len);
	for (unsigned i = 1; i < 40; i++) {
		p.len = 100 + i;
		rig_send(r, INSIDE, &p);
		ck_assert_uint_eq(r->n_out, 0);
	}
	ck_assert_dropped(r, DROP_NEIGHBOUR_QUEUE, 40 - NEIGH_QUEUE);
	ck_assert_uint_eq(engine_held(r->engine), NEIGH_QUEUE);
	rig_balance(r);
	answer_now(r, &request);
	ck_assert_uint_eq(r->n_out, NEIGH_QUEUE);
	for (unsigned i = 0; i < r->n_out; i++) {
		struct macaddr host = rig_host_mac(OUTSIDE);
		ck_assert_uint_eq(r->out[i].pkt.ip_len, (_i ? 148 : 128) + i);
		ck_assert(macaddr_eq(&r->out[i].pkt.eth_dst, &host));
		assert_sums(&r->out[i].pkt);
	}
	ck_assert_uint_eq(engine_held(r->engine), 0);
	rig_free(r);
}
END_TEST

static void resolve_sender(struct rig *r, bool v6)
{
	rig_send(r, OUTSIDE,
		 &(struct rig_packet){.src = v6 ? "2001:db8:2::77" : "192.0.2.77",
				      .dst = v6 ? udp6.src : udp4.src,
				      .proto = IPPROTO_NUM_UDP,
				      .sport = 9,
				      .dport = 9});
	rig_only(r, INSIDE);
}

START_TEST(neighbour_does_not_answer)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = _i ? udp6 : udp4;
	unsigned requests = 0, errors = 0;

	resolve_sender(r, _i);
	r->answer = false;
	rig_send(r, INSIDE, &p);
	requests += is_request(&r->out[0], p.dst, true);
	rig_clear(r);
	rig_wait(r, 1500);
	for (unsigned i = 0; i < r->n_out; i++) {
		requests += is_request(&r->out[i], p.dst, true);
		errors += r->out[i].port == INSIDE && r->out[i].pkt.icmp_error &&
			  r->out[i].pkt.icmp_type == (_i ? 1 : 3) &&
			  r->out[i].pkt.icmp_code == (_i ? 3 : 1);
	}
	ck_assert_uint_eq(requests, 4);
	ck_assert_dropped(r, DROP_NEIGHBOUR_FAILED, 1);
	ck_assert_uint_eq(engine_held(r->engine), 0);
	ck_assert_uint_eq(errors, 1); /* the one that waited is told, RFC 1812 section 5.2.7.1 */
	rig_free(r);
}
END_TEST

START_TEST(failed_neighbour_is_told_at_once)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = _i ? udp6 : udp4;

	resolve_sender(r, _i);
	r->answer = false;
	rig_send(r, INSIDE, &p);
	rig_wait(r, 1000);
	r->answer = true;
	rig_clear(r);
	p.sport = 1001;
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_uint_eq(r->out[0].port, INSIDE);
	ck_assert_uint_eq(r->out[0].pkt.icmp_type, _i ? 1 : 3);
	ck_assert_uint_eq(r->out[0].pkt.icmp_code, _i ? 3 : 1);
	rig_wait(r, 3000);
	rig_send(r, INSIDE, &p); /* and asked again a second later */
	rig_only(r, OUTSIDE);
	rig_free(r);
}
END_TEST

/* Another node has the addresses of that port, or this one again. */
static void silence(struct rig *r, unsigned port, bool silent)
{
	node_begin(&r->engine->node, r->now_ns, r->actions);
	node_set_roles(&r->engine->node, 1u << port, silent ? 1u << port : 0, 0);
	rig_collect(r);
	rig_clear(r);
}

/* One that has not been asked has not failed to answer (HD-23). */
START_TEST(neighbour_is_not_asked)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = _i ? udp6 : udp4;

	rig_send(r, INSIDE, &p);
	rig_only(r, OUTSIDE);
	r->answer = false;
	silence(r, OUTSIDE, true);
	rig_wait(r, 31000); /* the answer is too old to go by it unasked */
	for (unsigned i = 0; i < 5; i++) {
		rig_clear(r);
		rig_send(r, INSIDE, &p);
		rig_only(r, OUTSIDE);
		rig_wait(r, 1000);
	}
	ck_assert_dropped(r, DROP_NEIGHBOUR_FAILED, 0);
	silence(r, OUTSIDE, false);
	rig_clear(r);
	rig_send(r, INSIDE, &p); /* asked when there is an address, it does fail */
	rig_wait(r, 1500);
	rig_send(r, INSIDE, &p);
	ck_assert_dropped(r, DROP_NEIGHBOUR_FAILED, 1);
	rig_free(r);
}
END_TEST

/* What waits for one that cannot be asked waits in vain; asked with the next use, it answers. */
START_TEST(unknown_neighbour_is_not_asked)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = _i ? udp6 : udp4;

	silence(r, OUTSIDE, true);
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(engine_held(r->engine), 1);
	rig_wait(r, 500);
	ck_assert_uint_eq(engine_held(r->engine), 0);
	ck_assert_dropped(r, DROP_NEIGHBOUR_FAILED, 1);
	silence(r, OUTSIDE, false);
	rig_clear(r);
	rig_send(r, INSIDE, &p);
	rig_only(r, OUTSIDE);
	ck_assert_dropped(r, DROP_NEIGHBOUR_FAILED, 1);
	rig_free(r);
}
END_TEST

START_TEST(scan_does_not_stop_known_flows)
{
	struct rig *r = rig_new("", "firewall { originate-rate = 0 rule \"all\" { action = "
				    "\"pass\" } }\n");
	struct rig_packet known = udp4, scan = udp4;
	char text[32];

	known.src = "192.0.2.9";
	known.dst = "10.1.0.9";
	scan.src = "192.0.2.66";
	rig_send(r, OUTSIDE, &known);
	rig_only(r, INSIDE);
	r->answer = false;
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "10.1.%u.%u", 20 + i / 250, 1 + i % 250);
		scan.dst = text;
		rig_send(r, OUTSIDE, &scan);
		if (i % 100)
			continue;
		rig_send(r, OUTSIDE, &known);
		ck_assert_uint_eq(rig_only(r, INSIDE)->tuple.dst.b[15], 9);
		r->now_ns += RIG_MS;
	}
	ck_assert_dropped(r, DROP_NO_ROUTE, 0);
	ck_assert_uint_gt(rig_drops(r, DROP_NEIGHBOUR_QUEUE), 0);
	rig_free(r);
}
END_TEST

/* --- answering for addresses ---------------------------------------------------------------------
 */

static void send_arp(struct rig *r, unsigned port, const char *from, const char *target)
{
	uint8_t room[FRAME_HEADROOM + 256];
	struct build_eth eth = {.dst = {{255, 255, 255, 255, 255, 255}}, .src = rig_host_mac(port)};
	struct arp arp = {.op = 1, .sender_mac = eth.src};
	struct frame f = {.data = room + FRAME_HEADROOM, .port = (uint16_t)port};

	arp.sender_ip = addr(from);
	arp.target_ip = addr(target);
	eth.vlan = r->params->ports[port].vlan;
	f.len = (uint32_t)build_arp(r->build, &eth, &arp, f.data, 256);
	rig_clear(r);
	rig_frame(r, &f);
}

START_TEST(arp_for_virtual_addresses_only)
{
	struct rig *r = rig_new("", PASS);
	static const struct engine_address own = {.port = INSIDE};
	struct engine_address host = own;
	struct arp arp;

	ck_assert_int_eq(prefix_parse_host(&host.prefix, "10.1.0.2/16"), 0);
	engine_set_addresses(r->engine, &host, 1);
	send_arp(r, INSIDE, "10.1.0.9", "10.1.0.1");
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_int_eq(arp_parse(&arp, &r->out[0].frame, r->out[0].pkt.l3), DROP_NONE);
	ck_assert_uint_eq(arp.op, 2);
	ck_assert(macaddr_eq(&arp.sender_mac, &(struct macaddr){{2, 0, 0, 0, 0, 1}}));
	ck_assert_uint_eq(arp.sender_ip.b[15], 1);
	ck_assert_uint_eq(rig_counter(r, COUNTER_NEIGHBOUR_ANSWERED), 1);
	send_arp(r, INSIDE, "10.1.0.9", "10.1.0.3"); /* nobody's */
	ck_assert_uint_eq(r->n_out, 0);
	send_arp(r, INSIDE, "10.1.0.9", "10.1.0.2"); /* the kernel's */
	ck_assert_uint_eq(r->n_out, 0);
	send_arp(r, OUTSIDE, "192.0.2.9", "10.1.0.1"); /* of the other port */
	ck_assert_uint_eq(r->n_out, 0);
	send_arp(r, INSIDE, "0.0.0.0", "10.1.0.1"); /* a probe before somebody takes it */
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_dropped(r, DROP_ARP, 5);
	rig_free(r);
}
END_TEST

static void send_solicitation(struct rig *r, const char *from, const char *target)
{
	uint8_t room[FRAME_HEADROOM + 256];
	struct build_eth eth = {.dst = {{0x33, 0x33, 0xff, 0, 0, 1}}, .src = rig_host_mac(INSIDE)};
	struct nd nd = {.type = 135, .has_mac = true, .mac = eth.src};
	struct frame f = {.data = room + FRAME_HEADROOM, .port = INSIDE};

	nd.src = addr(from);
	nd.target = addr(target);
	nd.dst = addr("ff02::1:ff00:1");
	nd.has_mac = !ipaddr_is_unspecified(&nd.src);
	f.len = (uint32_t)build_nd(r->build, &eth, &nd, f.data, 256);
	ck_assert_uint_gt(f.len, 0);
	rig_clear(r);
	rig_frame(r, &f);
}

START_TEST(nd_for_virtual_addresses_only)
{
	struct rig *r = rig_new("", PASS);
	struct macaddr host = rig_host_mac(INSIDE), own = rig_mac(INSIDE);
	struct nd nd;

	send_solicitation(r, "fd00:1::9", "fd00:1::1");
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_int_eq(nd_parse(&nd, &r->out[0].pkt), DROP_NONE);
	ck_assert_uint_eq(nd.type, 136);
	ck_assert(nd.solicited && nd.override && nd.has_mac && macaddr_eq(&nd.mac, &own));
	ck_assert(macaddr_eq(&r->out[0].pkt.eth_dst, &host));
	send_solicitation(r, "fd00:1::9", "fd00:1::2");
	ck_assert_uint_eq(r->n_out, 0);
	send_solicitation(r, "fe80::9", "2001:db8:2::1");
	ck_assert_uint_eq(r->n_out, 0);
	rig_free(r);
}
END_TEST

START_TEST(echo_to_a_virtual_address)
{
	static const struct {
		const char *src, *dst;
		unsigned proto, request, reply;
	} cases[] = {{"10.1.0.9", "10.1.0.1", 1, 8, 0},
		     {"fd00:1::9", "fd00:1::1", 58, 128, 129},
		     {"10.1.0.9", "192.0.2.1", 1, 8, 0}};
	struct rig *r = rig_new("", "firewall { originate-rate = 100000 }\n");
	struct rig_packet p = {.src = cases[_i].src,
			       .dst = cases[_i].dst,
			       .proto = cases[_i].proto,
			       .type = cases[_i].request};

	for (unsigned i = 0; i < 66000; i += 17) { /* every carry of the checksum */
		p.sport = i & 0xffff;
		p.dport = 0xffff - p.sport;
		p.len = i % 64;
		p.ttl = i % 2 ? 1 : 64;
		rig_send(r, INSIDE, &p);
		const struct pkt *pkt = rig_only(r, INSIDE);
		ck_assert_uint_eq(pkt->icmp_type, cases[_i].reply);
		assert_from_to(pkt, p.dst, p.src);
		assert_sums(pkt);
		ck_assert_uint_eq(pkt->tuple.sport, p.sport);
		ck_assert_uint_eq(pkt->ttl, 64); /* the way back may be longer */
		ck_assert_uint_eq(pkt->ip_len, (_i == 1 ? 48 : 28) + p.len);
		r->now_ns += RIG_MS;
	}
	rig_free(r);
}
END_TEST

START_TEST(own_addresses_are_not_forwarded_to)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = udp4;

	p.dst = "192.0.2.1";
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert_dropped(r, DROP_TO_HOST, 1);
	p = (struct rig_packet){.src = "10.1.0.9", .dst = "10.1.0.1", .proto = 1, .type = 0};
	rig_send(r, INSIDE, &p); /* a reply nobody asked for */
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert_dropped(r, DROP_TO_HOST, 2);
	rig_free(r);
}
END_TEST

/* --- what may not be forwarded -------------------------------------------------------------------
 */

START_TEST(spoofed_own_source)
{
	static const char *const own[] = {"10.1.0.1", "192.0.2.1", "198.51.100.7"};
	struct rig *r = rig_new("", PASS);
	struct engine_address host = {.port = PARAMS_NO_PORT}; /* on the management interface */
	struct rig_packet p = udp4;

	ck_assert_int_eq(prefix_parse_host(&host.prefix, "198.51.100.7/24"), 0);
	engine_set_addresses(r->engine, &host, 1);
	for (unsigned i = 0; i < 3; i++) {
		p.src = own[i];
		rig_send(r, i % 2, &p);
		ck_assert_uint_eq(r->n_out, 0);
		ck_assert_dropped(r, DROP_SPOOFED, i + 1);
	}
	p = udp6;
	p.src = "fd00:1::1";
	rig_send(r, OUTSIDE, &p);
	ck_assert_dropped(r, DROP_SPOOFED, 4);
	rig_free(r);
}
END_TEST

static void send_raw(struct rig *r, const struct rig_packet *p, const struct macaddr *dst,
		     const struct macaddr *src)
{
	static struct sample s;
	struct frame f;

	rig_clear(r);
	rig_make(&s, p);
	f = rig_ready(&s, INSIDE);
	if (dst)
		memcpy(f.data, dst->b, 6);
	if (src)
		memcpy(f.data + 6, src->b, 6);
	rig_frame(r, &f);
}

START_TEST(ethernet_addresses)
{
	static const struct macaddr broadcast = {{255, 255, 255, 255, 255, 255}},
				    group = {{1, 0, 0x5e, 1, 1, 1}}, other = {{2, 9, 9, 9, 9, 9}};
	struct rig *r = rig_new("", PASS);
	struct macaddr own = rig_mac(INSIDE);

	send_raw(r, &udp4, &broadcast, NULL);
	ck_assert_dropped(r, DROP_LINK_CONTROL, 1);
	send_raw(r, &udp4, &group, NULL);
	ck_assert_dropped(r, DROP_LINK_CONTROL, 2);
	send_raw(r, &udp4, &other, NULL);
	ck_assert_dropped(r, DROP_OTHER_HOST, 1);
	send_raw(r, &udp4, NULL, &own);
	ck_assert_dropped(r, DROP_SPOOFED, 1);
	ck_assert_uint_eq(r->n_out + r->asked, 0);
	rig_free(r);
}
END_TEST

START_TEST(addresses_that_stay_on_their_link)
{
	static const struct {
		const char *src, *dst;
		enum drop reason;
	} cases[] = {
		{"169.254.1.1", "192.0.2.9", DROP_LINK_LOCAL},
		{"10.1.0.9", "169.254.1.1", DROP_LINK_LOCAL},
		{"fe80::9", "2001:db8:2::9", DROP_LINK_LOCAL},
		{"fd00:1::9", "fe80::9", DROP_LINK_LOCAL},
		{"127.0.0.1", "192.0.2.9", DROP_MARTIAN},
		{"10.1.0.9", "127.0.0.1", DROP_MARTIAN},
		{"224.0.0.5", "192.0.2.9", DROP_MARTIAN},
		{"::1", "2001:db8:2::9", DROP_MARTIAN},
	};
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = udp4;

	p.src = cases[_i].src;
	p.dst = cases[_i].dst;
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert_dropped(r, cases[_i].reason, 1);
	rig_free(r);
}
END_TEST

START_TEST(no_route)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = _i ? udp6 : udp4;

	p.dst = _i ? "2001:db8:9::1" : "198.51.100.1";
	rig_send(r, INSIDE, &p);
	assert_error(r, _i, _i ? 1 : 3, 0, 0);
	ck_assert_dropped(r, DROP_NO_ROUTE, 1);
	rig_free(r);
}
END_TEST

START_TEST(port_is_down)
{
	struct rig *r = rig_new("", PASS);

	r->answer = false;
	rig_send(r, INSIDE, &udp4);
	r->links[OUTSIDE].up = false;
	rig_link(r, OUTSIDE);
	ck_assert_dropped(r, DROP_PORT_DOWN, 1); /* it waited for a neighbour there */
	rig_send(r, INSIDE, &udp4);
	ck_assert_dropped(r, DROP_PORT_DOWN, 2);
	r->links[OUTSIDE].up = true;
	rig_link(r, OUTSIDE);
	r->answer = true;
	rig_send(r, INSIDE, &udp4);
	rig_only(r, OUTSIDE);
	rig_free(r);
}
END_TEST

/* --- a MAC address of the daemon's own -----------------------------------------------------------
 */

static const struct macaddr daemons = {{2, 0xfc, 0, 0, 1, 1}};
#define OWN_MAC "mac = \"02:fc:00:00:01:01\""

/* Frames to it and to the device's address are taken, frames from either are not; they leave with
 * it, and virtual addresses have it. */
START_TEST(own_mac)
{
	static const struct macaddr other = {{2, 0xfc, 0, 0, 1, 2}};
	struct rig *r = rig_new(OWN_MAC, PASS);
	struct macaddr device = rig_mac(INSIDE);
	struct rig_packet p = {.src = "10.1.0.9", .dst = "10.1.0.1", .proto = 1, .type = 8};
	struct arp arp;
	struct nd nd;

	for (unsigned i = 0; i < 2; i++) {
		send_raw(r, &udp4, i ? &daemons : &device, NULL);
		ck_assert(macaddr_eq(&rig_only(r, OUTSIDE)->eth_src, &daemons));
		send_raw(r, &udp4, NULL, i ? &daemons : &device);
		ck_assert_dropped(r, DROP_SPOOFED, i + 1);
		send_raw(r, &p, i ? &daemons : &device, NULL);
		ck_assert(macaddr_eq(&rig_only(r, INSIDE)->eth_src, &daemons));
	}
	send_raw(r, &udp4, &other, NULL);
	ck_assert_dropped(r, DROP_OTHER_HOST, 1);
	send_arp(r, INSIDE, "10.1.0.9", "10.1.0.1");
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_int_eq(arp_parse(&arp, &r->out[0].frame, r->out[0].pkt.l3), DROP_NONE);
	ck_assert(macaddr_eq(&arp.sender_mac, &daemons));
	ck_assert(macaddr_eq(&r->out[0].pkt.eth_src, &daemons));
	send_solicitation(r, "fd00:1::9", "fd00:1::1");
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_int_eq(nd_parse(&nd, &r->out[0].pkt), DROP_NONE);
	ck_assert(macaddr_eq(&nd.mac, &daemons));
	ck_assert(macaddr_eq(&r->out[0].pkt.eth_src, &daemons));
	rig_free(r);
}
END_TEST

/* Neighbours learn from requests: an address of the kernel's must not come to lie behind the
 * daemon's MAC address, which the kernel does not listen to. */
START_TEST(own_mac_asks)
{
	struct rig *r = rig_new(OWN_MAC, PASS);
	struct engine_address host = {.port = OUTSIDE};
	struct macaddr device = rig_mac(OUTSIDE);
	struct rig_packet p = _i % 2 ? udp6 : udp4;
	const struct macaddr *want = _i / 2 ? &device : &daemons;
	const struct rig_out *out = &r->out[0];
	struct arp arp;
	struct nd nd;

	if (_i / 2) {
		ck_assert_int_eq(prefix_parse_host(&host.prefix,
						   _i % 2 ? "2001:db8:2::7/64" : "192.0.2.7/24"),
				 0);
		engine_set_addresses(r->engine, &host, 1);
	}
	r->answer = false;
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_uint_eq(out->port, OUTSIDE);
	ck_assert(macaddr_eq(&out->pkt.eth_src, want));
	if (_i % 2) {
		ck_assert_int_eq(nd_parse(&nd, &out->pkt), DROP_NONE);
		ck_assert(nd.has_mac && macaddr_eq(&nd.mac, want));
		ck_assert_uint_eq(nd.src.b[15], _i / 2 ? 7 : 1);
	} else {
		ck_assert_int_eq(arp_parse(&arp, &out->frame, out->pkt.l3), DROP_NONE);
		ck_assert(macaddr_eq(&arp.sender_mac, want));
		ck_assert_uint_eq(arp.sender_ip.b[15], _i / 2 ? 7 : 1);
	}
	rig_free(r);
}
END_TEST

/* --- kinds of ports ------------------------------------------------------------------------------
 */

START_TEST(vlan_ports)
{
	struct rig *r = rig_new("vlan = 7", PASS);
	struct rig_packet p = udp4;

	rig_send(r, INSIDE, &p);
	p.vlan = 8;
	rig_send(r, INSIDE, &p);
	ck_assert_dropped(r, DROP_BAD_VLAN, 2);
	p.vlan = 7;
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(rig_only(r, OUTSIDE)->vlan, 7);
	ck_assert_uint_eq(r->asked, 1); /* answered with the tag only */
	assert_sums(&r->out[0].pkt);
	send_arp(r, INSIDE, "10.1.0.9", "10.1.0.1");
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_uint_eq(r->out[0].pkt.vlan, 7);
	p.ttl = 1;
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(rig_only(r, INSIDE)->vlan, 7);
	rig_free(r);
}
END_TEST

/* From a tagged to an untagged segment and back. */
START_TEST(vlan_translated)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = udp4, back = {.src = "192.0.2.9",
					    .dst = "10.1.0.9",
					    .proto = IPPROTO_NUM_UDP,
					    .sport = 53,
					    .dport = 1000,
					    .len = 1400};

	r->params->ports[INSIDE].vlan = 9;
	p.vlan = 9;
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(rig_only(r, OUTSIDE)->vlan, 0);
	rig_send(r, OUTSIDE, &back);
	ck_assert_uint_eq(rig_only(r, INSIDE)->vlan, 9);
	ck_assert_uint_eq(r->out[0].frame.len, 18 + 1428);
	rig_free(r);
}
END_TEST

START_TEST(capture_ports)
{
	static const struct macaddr other = {{2, 9, 9, 9, 9, 9}};
	struct rig *r = rig_new("", PASS);

	r->answer = false;
	for (unsigned port = 0; port < 2; port++) {
		r->links[port].is_capture = true;
		rig_link(r, (uint16_t)port);
	}
	send_raw(r, &udp4, &other, NULL);
	ck_assert_uint_eq(rig_only(r, OUTSIDE)->ttl, 63); /* nobody is asked */
	rig_free(r);
}
END_TEST

/* --- what the node originates --------------------------------------------------------------------
 */

/* The MAC address a packet came from may be another member's: the answer takes the route. */
START_TEST(originated_by_the_route)
{
	struct rig *r = rig_new("", "route \"10.5.0.0/16\" { via = \"10.1.0.77\" port = \"inside\" "
				    "}\n"
				    "firewall { rule \"tcp\" { action = \"reject\" } }\n");
	struct rig_packet p = {.src = "10.5.0.1",
			       .dst = "192.0.2.9",
			       .proto = IPPROTO_NUM_TCP,
			       .sport = 1,
			       .dport = 80,
			       .flags = TCP_SYN,
			       .seq = 7};
	const struct pkt *pkt;

	r->answer = false;
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert(is_request(&r->out[0], "10.1.0.77", true));
	ck_assert_uint_eq(engine_held(r->engine), 1);
	r->answer = true;
	rig_clear(r);
	rig_wait(r, 100);
	pkt = rig_only(r, INSIDE);
	ck_assert_uint_eq(pkt->tcp.flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(pkt->tcp.ack, 8);
	assert_from_to(pkt, "192.0.2.9", "10.5.0.1");
	assert_sums(pkt);
	ck_assert_uint_eq(rig_counter(r, COUNTER_RESET_SENT), 1);
	rig_free(r);
}
END_TEST

/* Never more than was sent: an error about a packet that cannot be told ends there. */
START_TEST(originated_without_answer)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = udp4;

	r->answer = false;
	p.ttl = 1;
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(engine_held(r->engine), 1);
	rig_clear(r);
	rig_wait(r, 5000);
	for (unsigned i = 0; i < r->n_out; i++)
		ck_assert(is_request(&r->out[i], p.src, true));
	ck_assert_dropped(r, DROP_NEIGHBOUR_FAILED, 1);
	ck_assert_uint_eq(engine_held(r->engine), 0);
	rig_free(r);
}
END_TEST

/* A cached next hop does not outlive the route it came from. */
START_TEST(routes_change_under_a_flow)
{
	struct rig *r = rig_new("", PASS);
	struct rig_packet p = udp4;
	struct engine_route to = {.port = OUTSIDE};

	p.dst = "203.0.113.1";
	ck_assert_int_eq(prefix_parse(&to.dst, "203.0.113.0/24"), 0);
	to.via = addr("192.0.2.50");
	ck_assert_int_eq(engine_set_routes(r->engine, &to, 1), 0);
	rig_send(r, INSIDE, &p);
	rig_only(r, OUTSIDE);
	ck_assert_uint_eq(r->asked, 1);
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(r->asked, 0);
	to.via = addr("192.0.2.51");
	ck_assert_int_eq(engine_set_routes(r->engine, &to, 1), 0);
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(r->asked, 1); /* the new gateway */
	to.via = addr("10.1.0.50");
	to.port = INSIDE;
	ck_assert_int_eq(engine_set_routes(r->engine, &to, 1), 0);
	rig_send(r, INSIDE, &p);
	rig_only(r, INSIDE);
	ck_assert_int_eq(engine_set_routes(r->engine, NULL, 0), 0);
	rig_send(r, INSIDE, &p);
	ck_assert_dropped(r, DROP_NO_ROUTE, 1);
	rig_free(r);
}
END_TEST

static void add_routing(TCase *t)
{
	tcase_add_loop_test(t, forwarded_with_one_hop_less, 0, 2);
	tcase_add_loop_test(t, ttl_used_up, 0, 2);
	tcase_add_test(t, errors_are_rate_limited);
	tcase_add_test(t, no_error_about_an_error);
	tcase_add_loop_test(t, too_big, 0, 2);
	tcase_add_test(t, fragmented_without_df);
	tcase_add_test(t, fragmented_into_many);
	tcase_add_test(t, super_frame_whole);
	tcase_add_loop_test(t, super_frame_cut, 0, 4);
	tcase_add_loop_test(t, super_frame_too_big, 0, 2);
	tcase_add_loop_test(t, packets_wait_in_order, 0, 2);
	tcase_add_loop_test(t, neighbour_does_not_answer, 0, 2);
	tcase_add_loop_test(t, neighbour_is_not_asked, 0, 2);
	tcase_add_loop_test(t, unknown_neighbour_is_not_asked, 0, 2);
	tcase_add_loop_test(t, failed_neighbour_is_told_at_once, 0, 2);
	tcase_add_test(t, scan_does_not_stop_known_flows);
}

static void add_addresses(TCase *t)
{
	tcase_add_test(t, arp_for_virtual_addresses_only);
	tcase_add_test(t, nd_for_virtual_addresses_only);
	tcase_add_loop_test(t, echo_to_a_virtual_address, 0, 3);
	tcase_add_test(t, own_addresses_are_not_forwarded_to);
	tcase_add_test(t, spoofed_own_source);
	tcase_add_test(t, ethernet_addresses);
	tcase_add_loop_test(t, addresses_that_stay_on_their_link, 0, 8);
	tcase_add_loop_test(t, no_route, 0, 2);
	tcase_add_test(t, port_is_down);
	tcase_add_test(t, own_mac);
	tcase_add_loop_test(t, own_mac_asks, 0, 4);
	tcase_add_test(t, vlan_ports);
	tcase_add_test(t, vlan_translated);
	tcase_add_test(t, capture_ports);
	tcase_add_test(t, originated_by_the_route);
	tcase_add_test(t, originated_without_answer);
	tcase_add_test(t, routes_change_under_a_flow);
}

int main(void)
{
	Suite *suite = suite_create("node");
	TCase *routing = tcase_create("routing"), *addresses = tcase_create("addresses");
	SRunner *sr;
	int failed;

	tcase_set_timeout(routing, 60);
	tcase_set_timeout(addresses, 60);
	add_routing(routing);
	add_addresses(addresses);
	suite_add_tcase(suite, routing);
	suite_add_tcase(suite, addresses);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
