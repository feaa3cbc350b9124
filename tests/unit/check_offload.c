/*
 * check_offload.c - flows that the daemon leaves to the kernel: when, what the kernel is told, when
 * they come back, and that both know the same of them. The kernel is a model (tests/sim/kernel.h).
 *
 * proves: FC-12 FC-13 FC-14 HD-3 HD-5 HD-8
 */
#include "../sim/kernel.h"
#include "rig.h"

#define OUT_RULE "rule \"out\" { action = \"pass\" in = \"inside\" out = \"outside\" }"
#define PASS_OUT "firewall { timeouts { udp-new = 10s udp-stream = 10s } " OUT_RULE " }\n"
#define LEASE_MS 4000

struct both {
	struct rig *r;
	struct kernel *k;
	uint32_t seq[2]; /* next numbers of client and server */
};

enum by { NOBODY, DAEMON, KERNEL };

static struct both *both_new(const char *rest)
{
	struct both *b = calloc(1, sizeof(*b));

	b->r = rig_new("", rest);
	b->k = kernel_new(b->r->engine);
	for (uint16_t port = 0; port < 2; port++) {
		b->r->links[port].ifindex = port + 1u;
		b->r->links[port].offload = true;
		rig_link(b->r, port);
	}
	return b;
}

static void both_free(struct both *b)
{
	rig_free(b->r);
	kernel_free(b->k);
	free(b);
}

/* Put a packet in; who has passed it on. What came out is r->out[0], also of the kernel. */
static enum by put_from(struct both *b, unsigned port, const struct rig_packet *p,
			const struct macaddr *sender)
{
	static struct sample s;
	struct frame f;

	rig_clear(b->r);
	rig_make(&s, p);
	f = rig_ready(&s, port);
	if (sender)
		memcpy(f.data + 6, sender->b, sizeof(sender->b));
	if (kernel_pass(b->k, &f, b->r->now_ns)) {
		rig_keep(b->r, &f);
		return KERNEL;
	}
	rig_frame(b->r, &f);
	kernel_apply(b->k, b->r->engine);
	return b->r->n_out == 1 && b->r->out[0].pkt.tuple.proto == p->proto ? DAEMON : NOBODY;
}

static enum by put(struct both *b, unsigned port, const struct rig_packet *p)
{
	return put_from(b, port, p, NULL);
}

static struct rig_packet segment(bool back, unsigned flags, uint32_t seq, uint32_t ack, size_t len)
{
	return (struct rig_packet){.src = back ? "192.0.2.9" : "10.1.0.9",
				   .dst = back ? "10.1.0.9" : "192.0.2.9",
				   .proto = IPPROTO_NUM_TCP,
				   .sport = back ? 80 : 1000,
				   .dport = back ? 1000 : 80,
				   .flags = flags,
				   .seq = seq,
				   .ack = ack,
				   .len = len};
}

/* The side's next segment, of `len` bytes. */
static enum by says(struct both *b, bool back, unsigned flags, size_t len)
{
	struct rig_packet p = segment(back, flags, b->seq[back], b->seq[!back], len);

	b->seq[back] += (uint32_t)len + !!(flags & (TCP_SYN | TCP_FIN));
	return put(b, back ? OUTSIDE : INSIDE, &p);
}

static enum by there(struct both *b)
{
	return says(b, false, TCP_ACK, 10);
}

static enum by back(struct both *b)
{
	return says(b, true, TCP_ACK, 20);
}

static void shake_hands(struct both *b)
{
	b->seq[0] = 1000;
	b->seq[1] = 2000;
	ck_assert_int_eq(says(b, false, TCP_SYN, 0), DAEMON);
	ck_assert_int_eq(says(b, true, TCP_SYN | TCP_ACK, 0), DAEMON);
	ck_assert_int_eq(says(b, false, TCP_ACK, 0), DAEMON);
}

/* Packets both ways until the kernel has the connection. */
static void settle(struct both *b)
{
	shake_hands(b);
	for (unsigned i = 0; i < 8; i++) {
		there(b);
		back(b);
	}
	ck_assert_int_eq(there(b), KERNEL);
	ck_assert_int_eq(back(b), KERNEL);
}

static struct rig_packet datagram(bool back, size_t len)
{
	struct rig_packet p = segment(back, 0, 0, 0, len);

	p.proto = IPPROTO_NUM_UDP;
	return p;
}

static enum by sends(struct both *b, bool back)
{
	struct rig_packet p = datagram(back, 30);

	return put(b, back ? OUTSIDE : INSIDE, &p);
}

/* --- the rule that both sides apply --------------------------------------------------------------
 */

static void same_track(const struct tcp_track *t, const struct offload_track *k)
{
	for (unsigned side = 0; side < 2; side++) {
		ck_assert_uint_eq(t->peer[side].end, k->peer[side].end);
		ck_assert_uint_eq(t->peer[side].max_end, k->peer[side].max_end);
		ck_assert_uint_eq(t->peer[side].una, k->peer[side].una);
		ck_assert_uint_eq(t->max_win[side], k->max_win[side]);
	}
}

static void random_handshake(struct rng *rng, struct tcp_track *t)
{
	bool reopened, scaled = rng_u64(rng) % 2;
	uint32_t isn[2] = {(uint32_t)rng_u64(rng), (uint32_t)rng_u64(rng)};
	struct tcp_seg syn = {.seq = isn[0],
			      .win = (uint16_t)rng_u64(rng),
			      .flags = TCP_SYN,
			      .wscale = scaled ? (uint8_t)(rng_u64(rng) % 15) : 0xff};
	struct tcp_seg answer = {.seq = isn[1],
				 .ack = isn[0] + 1,
				 .win = (uint16_t)rng_u64(rng),
				 .flags = TCP_SYN | TCP_ACK,
				 .wscale = scaled ? (uint8_t)(rng_u64(rng) % 15) : 0xff};
	struct tcp_seg ack = {.seq = isn[0] + 1,
			      .ack = isn[1] + 1,
			      .win = (uint16_t)rng_u64(rng),
			      .flags = TCP_ACK,
			      .wscale = 0xff};
	struct tcp_seg first = {.seq = isn[1] + 1,
				.ack = isn[0] + 1,
				.win = (uint16_t)rng_u64(rng),
				.flags = TCP_ACK,
				.wscale = 0xff};

	tcp_track_open(t, &syn);
	ck_assert_int_eq(tcp_track_segment(t, 1, &answer, &reopened), DROP_NONE);
	ck_assert(!tcp_track_settled(t));
	ck_assert_int_eq(tcp_track_segment(t, 0, &ack, &reopened), DROP_NONE);
	ck_assert_int_eq(tcp_track_segment(t, 1, &first, &reopened), DROP_NONE);
	ck_assert(tcp_track_settled(t));
}

/* Picked up midway, with shifts that are known (a flow taken over) or not. */
static void random_midway(struct rng *rng, struct tcp_track *t)
{
	bool reopened, scaled = rng_u64(rng) % 2;
	unsigned from = rng_u64(rng) & 1;
	struct tcp_seg first = {.seq = (uint32_t)rng_u64(rng),
				.ack = (uint32_t)rng_u64(rng),
				.win = (uint16_t)rng_u64(rng),
				.flags = TCP_ACK,
				.wscale = 0xff};
	struct tcp_seg answer = {.seq = first.ack,
				 .ack = first.seq,
				 .win = (uint16_t)rng_u64(rng),
				 .flags = TCP_ACK,
				 .wscale = 0xff};

	*t = (struct tcp_track){0};
	t->scale[0] = (uint8_t)(rng_u64(rng) % 15);
	t->scale[1] = (uint8_t)(rng_u64(rng) % 15);
	if (scaled)
		tcp_track_resume(t, from, &first);
	else
		tcp_track_pickup(t, from, &first);
	ck_assert(tcp_track_midway(t));
	ck_assert(!tcp_track_settled(t)); /* the other side was not heard */
	ck_assert_int_eq(tcp_track_segment(t, !from, &answer, &reopened), DROP_NONE);
	ck_assert(tcp_track_settled(t));
}

static uint32_t near(struct rng *rng, uint32_t x)
{
	static const uint32_t reach[] = {1, 3, 2000, 66000, 1u << 20, 1u << 30};
	uint32_t r = reach[rng_u64(rng) % 6];

	return x + (uint32_t)(rng_u64(rng) % (2 * (uint64_t)r)) - r;
}

START_TEST(test_rule)
{
	struct rng rng = {.key = {(uint64_t)_i, 5}};
	unsigned passed = 0, refused = 0;

	for (unsigned i = 0; i < 300; i++) {
		struct offload_track k = {0};
		struct tcp_track t;

		if (i % 2)
			random_handshake(&rng, &t);
		else
			random_midway(&rng, &t);
		for (unsigned side = 0; side < 2; side++) {
			k.peer[side] = (struct offload_peer){t.peer[side].end, t.peer[side].max_end,
							     t.peer[side].una};
			k.max_win[side] = t.max_win[side];
			k.scale[side] =
				t.scale[side] == TCP_SCALE_NONE ? TCP_SCALE_MAX : t.scale[side];
			if (tcp_track_midway(&t))
				k.scale[side] |= OFFLOAD_MIDWAY;
		}
		for (unsigned n = 0; n < 60; n++) {
			unsigned from = rng_u64(&rng) & 1;
			bool reopened;
			struct tcp_seg seg = {.seq = near(&rng, t.peer[from].end),
					      .ack = near(&rng, t.peer[!from].end),
					      .len = (uint32_t)(rng_u64(&rng) % 65000),
					      .win = (uint16_t)rng_u64(&rng),
					      .flags = TCP_ACK,
					      .wscale = 0xff};
			bool pass = tcp_track_segment(&t, from, &seg, &reopened) == DROP_NONE;

			ck_assert_int_eq(
				offload_tcp_pass(&k, from, seg.seq, seg.len, seg.ack, seg.win),
				pass);
			same_track(&t, &k);
			passed += pass;
			refused += !pass;
		}
	}
	ck_assert_uint_gt(passed, 1000);
	ck_assert_uint_gt(refused, 1000);
}
END_TEST

/* --- there and back ------------------------------------------------------------------------------
 */

START_TEST(test_connection)
{
	struct both *b = both_new(PASS_OUT);
	const struct pkt *pkt;

	settle(b);
	ck_assert_int_eq(there(b), KERNEL);
	pkt = rig_only(b->r, OUTSIDE);
	ck_assert_uint_eq(pkt->ttl, 63);
	ck_assert(macaddr_eq(&pkt->eth_dst, &(struct macaddr){{2, 0xee, 0, 0, 0, 2}}));
	ck_assert(macaddr_eq(&pkt->eth_src, &(struct macaddr){{2, 0, 0, 0, 0, 2}}));
	/* Its end is the daemon's business, both halves of it, and nothing is left with the kernel.
	 */
	ck_assert_int_eq(says(b, false, TCP_FIN | TCP_ACK, 0), DAEMON);
	ck_assert_uint_eq(b->k->n_keys, 0);
	for (unsigned i = 0; i < 40; i++) {
		ck_assert_int_eq(back(b), DAEMON);
		ck_assert_int_eq(says(b, false, TCP_ACK, 0), DAEMON);
	}
	ck_assert_int_eq(says(b, true, TCP_FIN | TCP_ACK, 0), DAEMON);
	ck_assert_int_eq(says(b, false, TCP_ACK, 0), DAEMON);
	both_free(b);
}
END_TEST

START_TEST(test_not_before)
{
	struct both *b = both_new(PASS_OUT);

	shake_hands(b);
	for (unsigned i = 0; i < 40; i++) /* the other side's window is not known well enough */
		ck_assert_int_eq(there(b), DAEMON);
	ck_assert_int_eq(says(b, true, TCP_ACK, 0), DAEMON);
	ck_assert_int_eq(says(b, true, TCP_ACK, 0), KERNEL);
	ck_assert_int_eq(there(b), KERNEL);
	both_free(b);
}
END_TEST

START_TEST(test_datagrams)
{
	struct both *b = both_new(PASS_OUT);

	for (unsigned i = 0; i < KERNEL_AFTER; i++)
		ck_assert_int_eq(sends(b, false), DAEMON);
	ck_assert_int_eq(sends(b, false), KERNEL);
	ck_assert_int_eq(sends(b, true), DAEMON);
	ck_assert_int_eq(sends(b, true), DAEMON);
	ck_assert_int_eq(sends(b, true), KERNEL);
	both_free(b);
}
END_TEST

/* --- what the kernel leaves to the daemon
 * ---------------------------------------------------------- */

START_TEST(test_windows)
{
	struct both *b = both_new(PASS_OUT);
	struct rig_packet p;

	settle(b);
	p = segment(false, TCP_ACK, b->seq[0] + 500000, b->seq[1], 10);
	ck_assert_int_eq(put(b, INSIDE, &p), NOBODY);
	ck_assert_dropped(b->r, DROP_TCP_WINDOW, 1);
	/* A reset must hit the number exactly; by what the kernel has seen, not what the daemon
	 * saw. */
	p = segment(false, TCP_RST, b->seq[0] + 1, 0, 0);
	ck_assert_int_eq(put(b, INSIDE, &p), NOBODY);
	ck_assert_dropped(b->r, DROP_TCP_RESET, 1);
	ck_assert_int_eq(there(b), KERNEL);
	p = segment(false, TCP_RST, b->seq[0], 0, 0);
	ck_assert_int_eq(put(b, INSIDE, &p), DAEMON);
	ck_assert_uint_eq(b->k->n_keys, 0);
	both_free(b);
}
END_TEST

START_TEST(test_router)
{
	struct both *b = both_new(PASS_OUT);
	struct rig_packet p = datagram(false, 30);

	for (unsigned i = 0; i < KERNEL_AFTER + 1; i++)
		sends(b, false);
	p.ttl = 1;
	ck_assert_int_eq(put(b, INSIDE, &p), NOBODY);
	ck_assert_uint_eq(b->r->out[0].pkt.icmp_type, 11);
	p = datagram(false, 1490);
	p.df = true;
	ck_assert_int_eq(put(b, INSIDE, &p), NOBODY);
	ck_assert_uint_eq(b->r->out[0].pkt.icmp_type, 3);
	ck_assert_int_eq(sends(b, false), KERNEL);
	both_free(b);
}
END_TEST

/* An error about what only the kernel has seen is believed, one about anything else is not. */
START_TEST(test_error)
{
	struct both *b = both_new(PASS_OUT);
	struct rig_packet error = {.src = "192.0.2.77",
				   .dst = "10.1.0.9",
				   .proto = IPPROTO_NUM_ICMP,
				   .type = 3,
				   .code = 1};
	struct rig_packet about;

	settle(b);
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_int_eq(says(b, false, TCP_ACK, 1000), KERNEL);
		ck_assert_int_eq(back(b), KERNEL);
	}
	ck_assert_int_eq(says(b, false, TCP_ACK, 1000), KERNEL);
	about = segment(false, TCP_ACK, b->seq[0] - 1000, b->seq[1], 8);
	rig_send_error(b->r, OUTSIDE, &error, &about);
	rig_only(b->r, INSIDE);
	about.seq = b->seq[0] + 100000;
	rig_send_error(b->r, OUTSIDE, &error, &about);
	ck_assert_dropped(b->r, DROP_ICMP_UNRELATED, 1);
	both_free(b);
}
END_TEST

/* --- it comes back
 * ---------------------------------------------------------------------------------
 */

START_TEST(test_lease)
{
	struct both *b = both_new(PASS_OUT);

	settle(b);
	rig_wait(b->r, LEASE_MS + 10);
	ck_assert_int_eq(there(b), DAEMON);
	ck_assert_int_eq(there(b), KERNEL);
	ck_assert_int_eq(back(b), DAEMON);
	ck_assert_int_eq(back(b), KERNEL);
	both_free(b);
}
END_TEST

/* Traffic keeps a lease as long as the neighbour, who is asked now and then, is there. */
START_TEST(test_renewal)
{
	struct both *b = both_new(PASS_OUT);
	uint64_t asked;
	unsigned s = 0;

	settle(b);
	asked = rig_counter(b->r, COUNTER_NEIGHBOUR_ASKED);
	for (unsigned i = 0; i < 100; i++) {
		rig_wait(b->r, 1000);
		ck_assert_int_eq(there(b), KERNEL);
		ck_assert_int_eq(back(b), KERNEL);
	}
	ck_assert_uint_gt(rig_counter(b->r, COUNTER_NEIGHBOUR_ASKED), asked + 2);
	b->r->answer = false;
	while (there(b) == KERNEL) {
		ck_assert_uint_lt(s++, 60);
		rig_wait(b->r, 1000);
	}
	both_free(b);
}
END_TEST

enum cause { LINK_MTU, LINK_DOWN, ROUTES, NEIGHBOUR, RELOAD, CAUSES };

static void happens(struct both *b, enum cause cause)
{
	struct rig *r = b->r;
	struct engine_route route = {.dst = {.len = 0}, .port = OUTSIDE};
	struct macaddr moved = {{2, 0xee, 0, 0, 9, 9}};
	struct build_eth eth = {.dst = rig_mac(OUTSIDE), .src = moved};
	uint8_t bytes[FRAME_HEADROOM + 128];
	struct frame f = {.data = bytes + FRAME_HEADROOM, .port = OUTSIDE};
	struct arp reply = {.op = 2,
			    .sender_mac = moved,
			    .sender_ip = ipaddr_v4((uint8_t[]){192, 0, 2, 9}),
			    .target_mac = rig_mac(OUTSIDE),
			    .target_ip = ipaddr_v4((uint8_t[]){192, 0, 2, 1})};

	switch (cause) {
	case LINK_MTU:
		r->links[OUTSIDE].mtu = 1400;
		rig_link(r, OUTSIDE);
		break;
	case LINK_DOWN:
		r->links[OUTSIDE].up = false;
		rig_link(r, OUTSIDE);
		break;
	case ROUTES:
		engine_set_routes(r->engine, &route, 1);
		break;
	case NEIGHBOUR:
		f.len = (uint32_t)build_arp(r->build, &eth, &reply, f.data, 128);
		rig_frame(r, &f);
		break;
	case RELOAD:
		ck_assert_int_eq(engine_reload(r->engine, r->params, NULL, r->now_ns, r->actions),
				 0);
		rig_collect(r);
		break;
	case CAUSES:
		break;
	}
}

START_TEST(test_void)
{
	struct both *b = both_new(PASS_OUT);

	settle(b);
	happens(b, (enum cause)_i);
	if (_i == LINK_DOWN) {
		ck_assert_int_eq(there(b), NOBODY);
		ck_assert_dropped(b->r, DROP_PORT_DOWN, 1);
		both_free(b);
		return;
	}
	ck_assert_int_eq(there(b), DAEMON);
	if (_i == NEIGHBOUR)
		ck_assert_uint_eq(rig_only(b->r, OUTSIDE)->eth_dst.b[5], 9);
	/* The other direction is not let go by this one's new lease. */
	ck_assert_int_eq(back(b), DAEMON);
	ck_assert_int_eq(there(b), KERNEL);
	ck_assert_int_eq(back(b), KERNEL);
	if (_i == NEIGHBOUR) {
		there(b);
		ck_assert_uint_eq(rig_only(b->r, OUTSIDE)->eth_dst.b[5], 9);
	}
	both_free(b);
}
END_TEST

START_TEST(test_flush)
{
	struct both *b = both_new(PASS_OUT);

	settle(b);
	engine_flush(b->r->engine, ENGINE_FLUSH_FLOWS, b->r->now_ns, b->r->actions);
	rig_collect(b->r);
	kernel_apply(b->k, b->r->engine);
	ck_assert_uint_eq(b->k->n_keys, 0);
	ck_assert_int_eq(there(b), NOBODY);
	both_free(b);
}
END_TEST

/* --- counters and time
 * ------------------------------------------------------------------------------
 */

START_TEST(test_alive)
{
	struct both *b = both_new(PASS_OUT);
	uint64_t before;

	sends(b, false);
	for (unsigned i = 0; i < 30; i++) { /* its timeout is 10 s */
		rig_wait(b->r, 1000);
		ck_assert_int_ne(sends(b, false), NOBODY);
	}
	ck_assert_uint_eq(rig_counter(b->r, COUNTER_FLOWS_CREATED), 1);
	before = rig_counter(b->r, COUNTER_OFFLOADED);
	ck_assert_uint_gt(before, 20);
	rig_wait(b->r, 2000);
	ck_assert_uint_eq(rig_counter(b->r, COUNTER_OFFLOADED) +
				  rig_counter(b->r, COUNTER_FRAMES_IN) - b->r->asked,
			  31 + 1 /* the neighbour's answer */);
	ck_assert_uint_eq(rig_counter(b->r, COUNTER_OFFLOADED_BYTES),
			  58 * rig_counter(b->r, COUNTER_OFFLOADED));
	rig_wait(b->r, 10000);
	ck_assert_uint_eq(rig_counter(b->r, COUNTER_FLOWS_ENDED), 1);
	kernel_apply(b->k, b->r->engine);
	ck_assert_uint_eq(b->k->n_keys, 0);
	both_free(b);
}
END_TEST

/* --- not enough room
 * --------------------------------------------------------------------------------
 */

static enum by nth(struct both *b, unsigned i)
{
	struct rig_packet p = datagram(false, 30);

	p.sport = 2000 + i;
	return put(b, INSIDE, &p);
}

START_TEST(test_room)
{
	struct both *b = both_new(PASS_OUT);

	for (unsigned round = 0; round < KERNEL_AFTER; round++)
		for (unsigned i = 0; i < KERNEL_SLOTS + 20; i++)
			ck_assert_int_eq(nth(b, i), DAEMON);
	for (unsigned i = 0; i < KERNEL_SLOTS + 20; i++)
		ck_assert_int_eq(nth(b, i), i < KERNEL_SLOTS ? KERNEL : DAEMON);
	/* When the first have ended there is room for the others. */
	for (unsigned s = 0; s < 12; s++) {
		rig_wait(b->r, 1000);
		for (unsigned i = KERNEL_SLOTS; i < KERNEL_SLOTS + 20; i++)
			ck_assert_int_ne(nth(b, i), NOBODY);
	}
	for (unsigned i = 0; i < 6; i++) /* to the next power of two */
		nth(b, KERNEL_SLOTS);
	ck_assert_int_eq(nth(b, KERNEL_SLOTS), KERNEL);
	both_free(b);
}
END_TEST

/* A program on another processor may still look at a slot that was given back just now. */
START_TEST(test_rest)
{
	struct both *b = both_new(PASS_OUT);

	for (unsigned round = 0; round < KERNEL_AFTER; round++)
		for (unsigned i = 0; i < KERNEL_SLOTS; i++)
			nth(b, i);
	engine_flush(b->r->engine, ENGINE_FLUSH_FLOWS, b->r->now_ns, b->r->actions);
	rig_collect(b->r);
	kernel_apply(b->k, b->r->engine);
	for (unsigned i = 0; i < KERNEL_AFTER + 1; i++)
		ck_assert_int_eq(nth(b, 0), DAEMON);
	rig_wait(b->r, 30);
	nth(b, 0);
	ck_assert_int_eq(nth(b, 0), KERNEL);
	both_free(b);
}
END_TEST

START_TEST(test_hash_full)
{
	struct both *b = both_new(PASS_OUT);

	memset(b->k->keys, 0xff, sizeof(b->k->keys)); /* of somebody else */
	b->k->n_keys = 2 * KERNEL_SLOTS;
	for (unsigned i = 0; i < 40; i++)
		ck_assert_int_eq(sends(b, false), DAEMON);
	b->k->n_keys = 0;
	for (unsigned i = 0; i < 24; i++) /* 64 in all */
		ck_assert_int_eq(sends(b, false), DAEMON);
	ck_assert_int_eq(sends(b, false), KERNEL);
	both_free(b);
}
END_TEST

/* --- dispatchers
 * ------------------------------------------------------------------------------------
 */

#define CLIENT "198.51.100.9"
#define SERVICE "203.0.113.80"

/* An inner dispatcher: one firewall outside, one server inside, whose address is not the service's.
 */
static struct both *inner_new(void)
{
	struct both *b = both_new(
		"path \"fw1\" { id = 7 addresses = {\"192.0.2.11\"} }\n"
		"dispatcher \"inner\" { role = \"inner\" ports = {\"inside\"}"
		" firewall-port = \"outside\" udp-timeout = 10s }\n"
		"service \"udp\" { addresses = {\"" SERVICE "\"}"
		" protocol = \"udp\" technology = \"l4/3\" targets = {\"s\"} }\n"
		"service \"tcp\" { addresses = {\"" SERVICE "\"}"
		" protocol = \"tcp\" technology = \"l4/3\" targets = {\"s\"} }\n"
		"target \"s\" { addresses = {\"10.1.0.80\"} port = 8080 check = \"tcp\" }\n");

	engine_target_health(b->r->engine, 0, true, "test", b->r->now_ns, b->r->actions);
	rig_collect(b->r);
	rig_wait(b->r, 1500); /* the firewall's MAC address is known */
	rig_clear(b->r);
	return b;
}

static struct rig_packet asks(unsigned proto, unsigned flags)
{
	return (struct rig_packet){.src = CLIENT,
				   .dst = SERVICE,
				   .proto = proto,
				   .sport = 1000,
				   .dport = 80,
				   .flags = flags,
				   .seq = 1,
				   .ack = 1,
				   .len = 30};
}

static struct rig_packet replies(unsigned proto, unsigned flags)
{
	return (struct rig_packet){.src = "10.1.0.80",
				   .dst = CLIENT,
				   .proto = proto,
				   .sport = 8080,
				   .dport = 1000,
				   .flags = flags,
				   .seq = 1,
				   .ack = 1,
				   .len = 30};
}

static void dispatched(struct both *b, unsigned proto)
{
	struct rig_packet p = asks(proto, TCP_SYN), q = replies(proto, TCP_ACK);

	ck_assert_int_eq(put(b, OUTSIDE, &p), DAEMON);
	p.flags = TCP_ACK;
	for (unsigned i = 0; i < 4; i++) {
		put(b, OUTSIDE, &p);
		put(b, INSIDE, &q);
	}
	ck_assert_int_eq(put(b, OUTSIDE, &p), KERNEL);
	ck_assert_int_eq(put(b, INSIDE, &q), KERNEL);
}

START_TEST(test_translated)
{
	struct both *b = inner_new();
	unsigned proto = _i ? IPPROTO_NUM_TCP : IPPROTO_NUM_UDP;
	struct rig_packet p = asks(proto, TCP_ACK), q = replies(proto, TCP_ACK);
	const struct pkt *pkt;

	dispatched(b, proto);
	ck_assert_int_eq(put(b, OUTSIDE, &p), KERNEL);
	pkt = rig_only(b->r, INSIDE);
	ck_assert(ipaddr_eq(&pkt->tuple.dst,
			    &(struct ipaddr){.b = {[10] = 0xff, 0xff, 10, 1, 0, 80}}));
	ck_assert_uint_eq(pkt->tuple.dport, 8080);
	ck_assert_uint_eq(pkt->tuple.sport, 1000);
	ck_assert_int_eq(put(b, INSIDE, &q), KERNEL);
	pkt = rig_only(b->r, OUTSIDE);
	ck_assert(ipaddr_eq(&pkt->tuple.src,
			    &(struct ipaddr){.b = {[10] = 0xff, 0xff, 203, 0, 113, 80}}));
	ck_assert_uint_eq(pkt->tuple.sport, 80);
	rig_wait(b->r, 1100);
	ck_assert_uint_eq(b->r->engine->dispatch.targets[0].to.packets +
				  b->r->engine->dispatch.targets[0].from.packets,
			  1 + 2 * 4 + 2 + 2);
	both_free(b);
}
END_TEST

/* What comes from anybody but the flow's firewall is for the daemon to judge. */
START_TEST(test_wrong_sender)
{
	struct both *b = inner_new();
	struct rig_packet p = asks(IPPROTO_NUM_UDP, 0);
	struct macaddr other = {{2, 0xee, 0, 0, 7, 7}};

	dispatched(b, IPPROTO_NUM_UDP);
	ck_assert_int_eq(put_from(b, OUTSIDE, &p, &other), NOBODY);
	ck_assert_dropped(b->r, DROP_UNKNOWN_PATH, 1);
	ck_assert_int_eq(put(b, OUTSIDE, &p), KERNEL);
	both_free(b);
}
END_TEST

START_TEST(test_dispatched_ends)
{
	struct both *b = inner_new();
	struct rig_packet fin = asks(IPPROTO_NUM_TCP, TCP_FIN | TCP_ACK);

	dispatched(b, IPPROTO_NUM_TCP);
	ck_assert_int_eq(put(b, OUTSIDE, &fin), DAEMON);
	ck_assert_uint_eq(b->k->n_keys, 0);
	fin.flags = TCP_ACK;
	for (unsigned i = 0; i < 40; i++)
		ck_assert_int_eq(put(b, OUTSIDE, &fin), DAEMON);
	dispatched(b, IPPROTO_NUM_UDP);
	engine_flush(b->r->engine, ENGINE_FLUSH_FLOWS, b->r->now_ns, b->r->actions);
	rig_collect(b->r);
	kernel_apply(b->k, b->r->engine);
	ck_assert_uint_eq(b->k->n_keys, 0);
	both_free(b);
}
END_TEST

START_TEST(test_dispatched_alive)
{
	struct both *b = inner_new();
	struct rig_packet p = asks(IPPROTO_NUM_UDP, 0);

	dispatched(b, IPPROTO_NUM_UDP);
	for (unsigned i = 0; i < 30; i++) {
		rig_wait(b->r, 1000);
		ck_assert_int_eq(put(b, OUTSIDE, &p), KERNEL);
	}
	ck_assert_uint_eq(rig_counter(b->r, COUNTER_DISPATCH_NEW), 1);
	rig_wait(b->r, 12000);
	ck_assert_uint_eq(rig_counter(b->r, COUNTER_DISPATCH_ENDED), 1);
	both_free(b);
}
END_TEST

/* Its target goes down: the next packet is the daemon's. */
START_TEST(test_target_down)
{
	struct both *b = inner_new();
	struct rig_packet p = asks(IPPROTO_NUM_UDP, 0);

	dispatched(b, IPPROTO_NUM_UDP);
	for (unsigned i = 0; i < 3; i++)
		engine_target_health(b->r->engine, 0, false, "test", b->r->now_ns, b->r->actions);
	rig_collect(b->r);
	ck_assert_int_eq(put(b, OUTSIDE, &p), NOBODY);
	both_free(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("offload");
	TCase *t = tcase_create("offload");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, test_rule, 0, 4);
	tcase_add_test(t, test_connection);
	tcase_add_test(t, test_not_before);
	tcase_add_test(t, test_datagrams);
	tcase_add_test(t, test_windows);
	tcase_add_test(t, test_router);
	tcase_add_test(t, test_error);
	tcase_add_test(t, test_lease);
	tcase_add_test(t, test_renewal);
	tcase_add_loop_test(t, test_void, 0, CAUSES);
	tcase_add_test(t, test_flush);
	tcase_add_test(t, test_alive);
	tcase_add_test(t, test_room);
	tcase_add_test(t, test_rest);
	tcase_add_test(t, test_hash_full);
	tcase_add_loop_test(t, test_translated, 0, 2);
	tcase_add_test(t, test_wrong_sender);
	tcase_add_test(t, test_dispatched_ends);
	tcase_add_test(t, test_dispatched_alive);
	tcase_add_test(t, test_target_down);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
