/*
 * check_firewall.c - one firewall without a cluster: flows, policy, limits, fragments, reload.
 *
 * Every test ends with frames in = out + held + drops (rig_free).
 *
 * proves: FC-1 FC-3 FC-9 FC-12 FC-13
 */
#include "packet/checksum.h"
#include "rig.h"

#define OUT_RULE "rule \"out\" { action = \"pass\" in = \"inside\" out = \"outside\" }"
#define PASS_OUT "firewall { " OUT_RULE " }\n"

static const struct rig_packet syn = {.src = "10.1.0.9",
				      .dst = "192.0.2.9",
				      .proto = IPPROTO_NUM_TCP,
				      .sport = 1000,
				      .dport = 80,
				      .flags = TCP_SYN,
				      .seq = 1000};

static struct rig_packet segment(bool back, unsigned flags, uint32_t seq, uint32_t ack)
{
	struct rig_packet p = syn;

	if (back) {
		p.src = syn.dst;
		p.dst = syn.src;
		p.sport = syn.dport;
		p.dport = syn.sport;
	}
	p.flags = flags;
	p.seq = seq;
	p.ack = ack;
	return p;
}

static bool passes(struct rig *r, unsigned port, const struct rig_packet *p)
{
	rig_send(r, port, p);
	if (r->n_out == 0)
		return false;
	rig_only(r, !port);
	return true;
}

static bool sends(struct rig *r, bool back, unsigned flags, uint32_t seq, uint32_t ack)
{
	struct rig_packet p = segment(back, flags, seq, ack);

	return passes(r, back ? OUTSIDE : INSIDE, &p);
}

static void establish(struct rig *r)
{
	ck_assert(sends(r, false, TCP_SYN, 1000, 0));
	ck_assert(sends(r, true, TCP_SYN | TCP_ACK, 2000, 1001));
	ck_assert(sends(r, false, TCP_ACK, 1001, 2001));
}

static void finish(struct rig *r)
{
	ck_assert(sends(r, false, TCP_ACK | TCP_FIN, 1001, 2001));
	ck_assert(sends(r, true, TCP_ACK | TCP_FIN, 2001, 1002));
	ck_assert(sends(r, false, TCP_ACK, 1002, 2002));
}

static uint32_t n_flows(const struct rig *r)
{
	return flow_table_count(r->engine->firewall.states);
}

static uint64_t rule_packets(const struct rig *r, uint16_t rule)
{
	return policy_stats(r->engine->firewall.policy, rule)->packets;
}

/* --- flows ---------------------------------------------------------------------------------------
 */

/* The answer may overtake whatever happens after the SYN has left: the state is there before. */
START_TEST(state_before_the_syn_leaves)
{
	struct rig *r = rig_new("", PASS_OUT);

	r->answer = false;
	rig_send(r, INSIDE, &syn);
	ck_assert_uint_eq(engine_held(r->engine), 1); /* waits for its next hop */
	ck_assert_uint_eq(n_flows(r), 1);
	ck_assert_uint_eq(rig_counter(r, COUNTER_FLOWS_CREATED), 1);
	ck_assert_uint_eq(r->n_notes[NOTE_HOME_CREATED], 1);
	r->answer = true;
	ck_assert(sends(r, true, TCP_SYN | TCP_ACK, 2000, 1001));
	rig_free(r);
}
END_TEST

START_TEST(connection)
{
	struct rig *r = rig_new("", PASS_OUT);

	establish(r);
	ck_assert_uint_eq(rig_counter(r, COUNTER_STATE_HIT), 2);
	ck_assert_uint_eq(r->engine->firewall.n_half_open, 0);
	ck_assert_uint_eq(rule_packets(r, 0), 1); /* judged once */
	finish(r);
	ck_assert_uint_eq(n_flows(r), 1);
	rig_wait(r, 61000);
	ck_assert_uint_eq(n_flows(r), 0);
	ck_assert_uint_eq(rig_counter(r, COUNTER_FLOWS_ENDED), 1);
	rig_free(r);
}
END_TEST

/* What belongs to no flow and begins none. */
START_TEST(strays)
{
	static const struct {
		bool back;
		unsigned flags;
	} cases[] = {{false, TCP_ACK},		 {true, TCP_ACK},
		     {true, TCP_SYN | TCP_ACK},	 {false, TCP_RST},
		     {true, TCP_RST | TCP_ACK},	 {false, TCP_FIN | TCP_ACK},
		     {false, TCP_SYN | TCP_ACK}, {true, TCP_SYN}};
	struct rig *r = rig_new("", PASS_OUT);

	ck_assert(!sends(r, cases[_i].back, cases[_i].flags, 1, 1));
	ck_assert_uint_eq(rig_drops(r, DROP_NO_FLOW) + rig_drops(r, DROP_POLICY), 1);
	ck_assert_uint_eq(n_flows(r), 0);
	ck_assert_uint_eq(r->asked, 0);
	rig_free(r);
}
END_TEST

START_TEST(only_the_own_flow)
{
	struct rig *r = rig_new("", PASS_OUT);
	struct rig_packet p;

	establish(r);
	p = segment(true, TCP_ACK, 2001, 1001);
	p.sport = 81;
	ck_assert(!passes(r, OUTSIDE, &p));
	p = segment(true, TCP_ACK, 2001, 1001);
	p.src = "192.0.2.10";
	ck_assert(!passes(r, OUTSIDE, &p));
	p = segment(true, TCP_RST, 99999999, 0);
	ck_assert(!passes(r, OUTSIDE, &p));
	ck_assert_dropped(r, DROP_TCP_RESET, 1);
	p = segment(true, TCP_ACK, 2001 + 0x10000000, 1001);
	ck_assert(!passes(r, OUTSIDE, &p));
	ck_assert_dropped(r, DROP_TCP_WINDOW, 1);
	ck_assert(sends(r, true, TCP_ACK, 2001, 1001));
	rig_free(r);
}
END_TEST

START_TEST(datagrams)
{
	struct rig *r = rig_new("", PASS_OUT);
	struct rig_packet p = {.src = "10.1.0.9",
			       .dst = "192.0.2.9",
			       .proto = IPPROTO_NUM_UDP,
			       .sport = 5,
			       .dport = 53},
			  back = {.src = "192.0.2.9",
				  .dst = "10.1.0.9",
				  .proto = IPPROTO_NUM_UDP,
				  .sport = 53,
				  .dport = 5};

	ck_assert(!passes(r, OUTSIDE, &back));
	ck_assert(passes(r, INSIDE, &p));
	ck_assert_uint_eq(r->engine->firewall.n_half_open, 1);
	ck_assert(passes(r, OUTSIDE, &back));
	ck_assert_uint_eq(r->engine->firewall.n_half_open, 0);
	rig_wait(r, 179000); /* udp-stream */
	ck_assert(passes(r, OUTSIDE, &back));
	rig_wait(r, 181000);
	ck_assert(!passes(r, OUTSIDE, &back));
	rig_free(r);
}
END_TEST

START_TEST(echo)
{
	struct rig *r = rig_new("", PASS_OUT);
	struct rig_packet p = {
		.src = "10.1.0.9", .dst = "192.0.2.9", .proto = 1, .type = 8, .sport = 7};
	struct rig_packet back = {
		.src = "192.0.2.9", .dst = "10.1.0.9", .proto = 1, .type = 0, .sport = 7};

	ck_assert(!passes(r, OUTSIDE, &back));
	ck_assert(passes(r, INSIDE, &p));
	ck_assert(passes(r, OUTSIDE, &back));
	back.type = 8; /* a request the other way is no answer */
	ck_assert(!passes(r, OUTSIDE, &back));
	back.type = 0;
	back.sport = 8;
	ck_assert(!passes(r, OUTSIDE, &back));
	rig_free(r);
}
END_TEST

/* --- policy --------------------------------------------------------------------------------------
 */

START_TEST(pass_drop_reject)
{
	struct rig *r = rig_new(
		"",
		"firewall { rule \"web\" { action = \"pass\" protocol = \"tcp\" "
		"ports = \"80\" } rule \"mail\" { action = \"reject\" protocol = {\"tcp\", "
		"\"udp\"} ports = "
		"{\"25\", \"53\"} } rule \"log\" { action = \"drop\" protocol = \"udp\" ports = "
		"\"99\" log = true } }\n");
	struct rig_packet p = syn;
	const struct pkt *pkt;

	ck_assert(passes(r, INSIDE, &p));
	p.dport = 25;
	rig_send(r, INSIDE, &p);
	pkt = rig_only(r, INSIDE);
	ck_assert_uint_eq(pkt->tcp.flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(pkt->tcp.ack, 1001);
	ck_assert_dropped(r, DROP_REJECTED, 1);
	p.proto = IPPROTO_NUM_UDP;
	p.dport = 53;
	rig_send(r, INSIDE, &p);
	pkt = rig_only(r, INSIDE);
	ck_assert_uint_eq(pkt->icmp_type, 3);
	ck_assert_uint_eq(pkt->icmp_code, 13);
	p.dport = 99;
	ck_assert(!passes(r, INSIDE, &p));
	ck_assert_uint_eq(r->n_notes[NOTE_RULE], 1);
	p.dport = 100;
	ck_assert(!passes(r, INSIDE, &p));
	ck_assert_dropped(r, DROP_POLICY, 2);
	ck_assert_dropped(r, DROP_REJECTED, 2);
	ck_assert_uint_eq(rule_packets(r, 0), 1);
	ck_assert_uint_eq(rule_packets(r, 1), 2);
	ck_assert_uint_eq(rule_packets(r, 2), 1);
	ck_assert_uint_eq(rule_packets(r, POLICY_DEFAULT), 1);
	ck_assert_uint_eq(n_flows(r), 1);
	rig_free(r);
}
END_TEST

/* A reflector would send more than it got; a rate limit applies to resets, too. */
START_TEST(rejects_are_limited)
{
	struct rig *r = rig_new("", "firewall { originate-rate = 10 default = \"reject\" }\n");
	struct rig_packet p = syn;

	for (unsigned i = 0; i < 100; i++) {
		p.sport = 1000 + i;
		rig_send(r, INSIDE, &p);
		ck_assert_uint_le(r->n_out, 1);
		if (r->n_out)
			ck_assert_uint_le(r->out[0].frame.len, 60);
	}
	ck_assert_uint_eq(rig_counter(r, COUNTER_RESET_SENT), 10);
	ck_assert_dropped(r, DROP_REJECTED, 100);
	rig_free(r);
}
END_TEST

static void reload(struct rig *r, const char *rest)
{
	struct params *p = rig_params("", rest), *old = r->params;

	r->params = p;
	ck_assert_int_eq(engine_reload(r->engine, p, NULL, r->now_ns, r->actions), 0);
	rig_collect(r);
	conf_free(old);
}

static const struct state *the_flow(const struct rig *r)
{
	uint32_t pos = 0;

	return flow_table_next(r->engine->firewall.states, &pos);
}

START_TEST(reload_keeps_flows)
{
	struct rig *r = rig_new("", PASS_OUT);
	struct rig_packet other = syn;

	other.sport = 1001;
	establish(r);
	reload(r, "firewall { rule \"first\" { action = \"drop\" protocol = \"tcp\" ports = \"7\" "
		  "} " OUT_RULE " }\n");
	ck_assert_uint_eq(the_flow(r)->rule, 1); /* the same rule at another place */
	ck_assert_uint_eq(rule_packets(r, 1), 1);
	ck_assert_uint_eq(rule_packets(r, 0), 0);
	ck_assert(sends(r, true, TCP_ACK, 2001, 1001));
	ck_assert(passes(r, INSIDE, &other));
	reload(r, "firewall { rule \"none\" { action = \"drop\" } }\n");
	ck_assert_uint_eq(the_flow(r)->rule, POLICY_DEFAULT);
	ck_assert(sends(r, false, TCP_ACK, 1001, 2001)); /* known flows go on */
	other.sport = 1002;
	ck_assert(!passes(r, INSIDE, &other));
	rig_free(r);
}
END_TEST

START_TEST(flush_ends_flows)
{
	struct rig *r = rig_new("", PASS_OUT);

	establish(r);
	ck_assert_uint_eq(engine_flush(r->engine, ENGINE_FLUSH_FLOWS, r->now_ns, r->actions), 1);
	rig_collect(r);
	ck_assert_uint_eq(n_flows(r), 0);
	ck_assert(!sends(r, true, TCP_ACK, 2001, 1001));
	ck_assert_dropped(r, DROP_NO_FLOW, 1);
	ck_assert_uint_eq(r->n_notes[NOTE_FLOW_ENDED], 1);
	ck_assert_uint_eq(engine_flush(r->engine, ENGINE_FLUSH_FORWARDS, r->now_ns, r->actions), 0);
	ck_assert_uint_eq(engine_flush(r->engine, ENGINE_FLUSH_NEGATIVE, r->now_ns, r->actions), 0);
	rig_free(r);
}
END_TEST

/* --- the same endpoints again --------------------------------------------------------------------
 */

START_TEST(reopened_in_time_wait)
{
	struct rig *r = rig_new("", PASS_OUT);

	establish(r);
	finish(r);
	ck_assert_int_eq(the_flow(r)->tcp.state, TCP_STATE_TIME_WAIT);
	ck_assert(sends(r, false, TCP_SYN, 500000, 0));
	ck_assert_uint_eq(rig_counter(r, COUNTER_FLOWS_CREATED), 2);
	ck_assert_uint_eq(n_flows(r), 1);
	ck_assert_uint_eq(rule_packets(r, 0), 2); /* judged again */
	ck_assert(sends(r, true, TCP_SYN | TCP_ACK, 700000, 500001));
	ck_assert(sends(r, false, TCP_ACK, 500001, 700001));
	ck_assert_int_eq(the_flow(r)->tcp.state, TCP_STATE_ESTABLISHED);
	rig_free(r);
}
END_TEST

START_TEST(reopening_is_judged)
{
	struct rig *r = rig_new("", PASS_OUT);

	establish(r);
	finish(r);
	reload(r, "firewall { rule \"none\" { action = \"drop\" } }\n");
	ck_assert(!sends(r, false, TCP_SYN, 500000, 0));
	ck_assert_dropped(r, DROP_POLICY, 1);
	ck_assert_uint_eq(n_flows(r), 0);
	rig_free(r);
}
END_TEST

/* --- limits --------------------------------------------------------------------------------------
 */

#define FLOOD 1000000
#define BATCH 32

/* SYNs of random sources, made by patching one; in batches as a port delivers them. */
static void flood(struct rig *r, struct rng *rng, unsigned n)
{
	static struct sample s[BATCH];
	struct frame frames[BATCH];

	for (unsigned i = 0; i < BATCH; i++)
		rig_make(&s[i], &syn);
	r->quiet = true;
	for (unsigned sent = 0; sent < n; sent += BATCH) {
		for (unsigned i = 0; i < BATCH; i++) {
			uint64_t x = rng_u64(rng);
			uint8_t *ip;
			uint16_t sum;

			frames[i] = rig_ready(&s[i], INSIDE);
			frames[i].vnet.flags = VNET_F_DATA_VALID;
			ip = frames[i].data + 14;
			ip[8] = 64;
			memcpy(ip + 12, (uint8_t[]){11, (uint8_t)x, (uint8_t)(x >> 8), 1}, 4);
			memcpy(ip + 20, (uint8_t[]){(uint8_t)(x >> 16 | 4), (uint8_t)(x >> 24)}, 2);
			memset(ip + 10, 0, 2);
			sum = csum_fold(csum_add(0, ip, 20));
			memcpy(ip + 10, &sum, 2);
		}
		r->now_ns += 10000;
		engine_frames(r->engine, frames, BATCH, r->now_ns, r->actions);
		rig_collect(r);
	}
	r->quiet = false;
}

START_TEST(syn_flood)
{
	struct rig *r =
		rig_new("", "firewall { max-flows = 1024 max-half-open = 300 " OUT_RULE " }\n");
	struct rng rng = {.key = {1, 2}};
	uint64_t evicted;

	establish(r);
	for (unsigned i = 0; i < 100; i++) {
		struct rig_packet p = syn, back = segment(true, TCP_SYN | TCP_ACK, 2000, 1001);

		/* In the middle of the flood, a host whose handshake takes its time. */
		p.sport = back.dport = 2000 + i;
		flood(r, &rng, 32);
		ck_assert(passes(r, INSIDE, &p));
		flood(r, &rng, 128);
		ck_assert(passes(r, OUTSIDE, &back));
		p.flags = TCP_ACK;
		p.seq = 1001;
		p.ack = 2001;
		ck_assert(passes(r, INSIDE, &p));
	}
	flood(r, &rng, FLOOD);
	evicted = rig_counter(r, COUNTER_FLOWS_EVICTED);
	ck_assert_uint_gt(evicted, FLOOD - 1000);
	ck_assert_uint_le(r->engine->firewall.n_half_open, 300);
	ck_assert_uint_le(n_flows(r), 401);
	ck_assert_dropped(r, DROP_FLOW_TABLE_FULL, 0);
	for (unsigned i = 0; i < 100; i++) {
		struct rig_packet back = segment(true, TCP_ACK, 2001, 1001);

		back.dport = 2000 + i;
		ck_assert(passes(r, OUTSIDE, &back));
	}
	rig_wait(r, 31000);
	ck_assert_uint_eq(n_flows(r), 101);
	ck_assert_uint_eq(r->engine->firewall.n_half_open, 0);
	rig_free(r);
}
END_TEST

/* A table full of established flows refuses new ones, and says why. */
START_TEST(table_full)
{
	struct rig *r = rig_new("", "firewall { max-flows = 1024 " OUT_RULE " }\n");
	struct rig_packet p = syn, back = segment(true, TCP_SYN | TCP_ACK, 2000, 1001);

	for (unsigned i = 0; i < 1024; i++) {
		p.sport = back.dport = 1000 + i;
		ck_assert(passes(r, INSIDE, &p));
		ck_assert(passes(r, OUTSIDE, &back));
		p.flags = TCP_ACK;
		p.seq++;
		p.ack = 2001;
		ck_assert(passes(r, INSIDE, &p));
		p = syn;
	}
	p.sport = 3000;
	ck_assert(!passes(r, INSIDE, &p));
	ck_assert_dropped(r, DROP_FLOW_TABLE_FULL, 1);
	ck_assert_uint_eq(rig_counter(r, COUNTER_FLOWS_EVICTED), 0);
	ck_assert_uint_eq(n_flows(r), 1024);
	rig_free(r);
}
END_TEST

START_TEST(flows_per_source)
{
	struct rig *r = rig_new("", "firewall { max-per-source = 10 " OUT_RULE " }\n");
	struct rig_packet p = syn;

	for (unsigned i = 0; i < 15; i++) {
		p.sport = 1000 + i;
		ck_assert_int_eq(passes(r, INSIDE, &p), i < 10);
	}
	ck_assert_dropped(r, DROP_SOURCE_LIMIT, 5);
	p.src = "10.1.0.10"; /* others are not touched */
	ck_assert(passes(r, INSIDE, &p));
	rig_wait(r, 31000);
	p.src = syn.src;
	ck_assert(passes(r, INSIDE, &p));
	rig_free(r);
}
END_TEST

/* --- ICMP errors ---------------------------------------------------------------------------------
 */

START_TEST(errors_follow_the_inner_header)
{
	struct rig *r = rig_new("", PASS_OUT);
	struct rig_packet about = segment(false, TCP_ACK, 1001, 2001);
	struct rig_packet error = {
		.src = "192.0.2.200", .dst = "10.1.0.9", .proto = 1, .type = 3, .code = 4};

	establish(r);
	rig_send_error(r, OUTSIDE, &error, &about);
	ck_assert(rig_only(r, INSIDE)->icmp_error);
	error.type = 11;
	error.code = 0;
	rig_send_error(r, OUTSIDE, &error, &about);
	rig_only(r, INSIDE);
	ck_assert_int_eq(the_flow(r)->tcp.state, TCP_STATE_ESTABLISHED);
	rig_free(r);
}
END_TEST

START_TEST(forged_errors)
{
	struct rig *r = rig_new("", PASS_OUT);
	struct rig_packet about = segment(false, TCP_ACK, 1001, 2001);
	struct rig_packet error = {.src = "192.0.2.200", .dst = "10.1.0.9", .proto = 1, .type = 3};

	establish(r);
	about.seq = 0x70000000; /* never sent */
	rig_send_error(r, OUTSIDE, &error, &about);
	ck_assert_dropped(r, DROP_ICMP_UNRELATED, 1);
	about.seq = 1001;
	about.sport = 1001; /* no such flow */
	rig_send_error(r, OUTSIDE, &error, &about);
	ck_assert_dropped(r, DROP_ICMP_UNRELATED, 2);
	about.sport = 1000;
	error.dst = "10.1.0.10"; /* to somebody who did not send what it quotes */
	rig_send_error(r, OUTSIDE, &error, &about);
	ck_assert_uint_eq(r->n_out, 0);
	error.dst = "10.1.0.9";
	rig_send_error(r, OUTSIDE, &error, &about);
	rig_only(r, INSIDE);
	rig_free(r);
}
END_TEST

/* --- fragments -----------------------------------------------------------------------------------
 */

static bool fragment(struct rig *r, unsigned id, unsigned index, unsigned n)
{
	struct rig_packet p = {.src = "10.1.0.9",
			       .dst = "192.0.2.9",
			       .proto = IPPROTO_NUM_UDP,
			       .sport = 5,
			       .dport = 53,
			       .id = id,
			       .len = index == 0 ? 56 : 64,
			       .offset = index * 64,
			       .more = index + 1 < n};

	rig_send(r, INSIDE, &p);
	return r->n_out > 0;
}

START_TEST(fragments_in_each_order)
{
	static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					      {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	struct rig *r = rig_new("", PASS_OUT);
	unsigned out = 0;

	for (unsigned i = 0; i < 3; i++) {
		fragment(r, 100 + (unsigned)_i, orders[_i][i], 3);
		out += r->n_out;
		if (orders[_i][i] != 0 && out == 0)
			ck_assert_uint_eq(engine_held(r->engine), i + 1);
	}
	ck_assert_uint_eq(out, 3);
	ck_assert_uint_eq(engine_held(r->engine), 0);
	ck_assert_uint_eq(n_flows(r), 1);
	rig_free(r);
}
END_TEST

START_TEST(overlapping_fragments)
{
	struct rig *r = rig_new("", PASS_OUT);
	struct rig_packet p = {.src = "10.1.0.9",
			       .dst = "192.0.2.9",
			       .proto = IPPROTO_NUM_UDP,
			       .id = 9,
			       .len = 64,
			       .offset = 32,
			       .more = true};

	ck_assert(fragment(r, 9, 0, 3));
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert(!fragment(r, 9, 1, 3)); /* condemned whole */
	ck_assert(!fragment(r, 9, 2, 3));
	ck_assert_dropped(r, DROP_FRAG_OVERLAP, 3);
	ck_assert(fragment(r, 10, 0, 3)); /* another datagram */
	rig_free(r);
}
END_TEST

/* Fragments of a refused datagram do not slip through behind it. */
START_TEST(refused_fragments)
{
	struct rig *r = rig_new("", "firewall { rule \"dns\" { action = \"drop\" protocol = "
				    "\"udp\" ports = \"53\" } " OUT_RULE " }\n");

	ck_assert(!fragment(r, 7, 2, 3));
	ck_assert(!fragment(r, 7, 0, 3));
	ck_assert(!fragment(r, 7, 1, 3));
	ck_assert_uint_eq(engine_held(r->engine), 0);
	ck_assert_dropped(r, DROP_POLICY, 3);
	rig_free(r);
}
END_TEST

START_TEST(first_fragment_never_comes)
{
	struct rig *r = rig_new("", PASS_OUT);

	for (unsigned i = 0; i < 1100; i++)
		fragment(r, 1 + i, 1, 3);
	ck_assert_uint_le(engine_held(r->engine), 1024);
	ck_assert_uint_ge(rig_drops(r, DROP_FRAG_LIMIT), 76);
	rig_wait(r, 31000);
	ck_assert_uint_eq(engine_held(r->engine), 0);
	ck_assert_uint_gt(rig_drops(r, DROP_FRAG_TIMEOUT), 0);
	ck_assert_uint_eq(n_flows(r), 0);
	rig_free(r);
}
END_TEST

static void add_flows(TCase *t)
{
	tcase_add_test(t, state_before_the_syn_leaves);
	tcase_add_test(t, connection);
	tcase_add_loop_test(t, strays, 0, 8);
	tcase_add_test(t, only_the_own_flow);
	tcase_add_test(t, datagrams);
	tcase_add_test(t, echo);
	tcase_add_test(t, pass_drop_reject);
	tcase_add_test(t, rejects_are_limited);
	tcase_add_test(t, reload_keeps_flows);
	tcase_add_test(t, flush_ends_flows);
	tcase_add_test(t, reopened_in_time_wait);
	tcase_add_test(t, reopening_is_judged);
}

static void add_limits(TCase *t)
{
	tcase_add_test(t, syn_flood);
	tcase_add_test(t, table_full);
	tcase_add_test(t, flows_per_source);
	tcase_add_test(t, errors_follow_the_inner_header);
	tcase_add_test(t, forged_errors);
	tcase_add_loop_test(t, fragments_in_each_order, 0, 6);
	tcase_add_test(t, overlapping_fragments);
	tcase_add_test(t, refused_fragments);
	tcase_add_test(t, first_fragment_never_comes);
}

int main(void)
{
	Suite *suite = suite_create("firewall");
	TCase *flows = tcase_create("flows"), *limits = tcase_create("limits");
	SRunner *sr;
	int failed;

	tcase_set_timeout(flows, 60);
	tcase_set_timeout(limits, 120);
	add_flows(flows);
	add_limits(limits);
	suite_add_tcase(suite, flows);
	suite_add_tcase(suite, limits);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
