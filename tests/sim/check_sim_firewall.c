/*
 * check_sim_firewall.c - thousands of seeded schedules of a firewall cluster.
 *
 * Each schedule draws the number of members, how bad the cluster link is, what is cut or restarted
 * when, and a set of conversations whose packets come in by whichever member the dice say. What
 * must hold in every one:
 *   - a packet that belongs to no conversation is never delivered;
 *   - a packet is delivered at most once, and handed from member to member at most once; the one
 *     exception is a SYN-ACK after the host itself had to send its SYN again (two homes may
 *     answer);
 *   - where nothing was lost, repeated, cut or restarted, every packet is delivered exactly once,
 *     without the hosts sending anything again;
 *   - frames in = frames out + held + drops, at every member;
 *   - no forward entry outlives its last use by more than its expiry;
 *   - when the trouble is over all members see each other again within a second and a half, and
 *     new conversations work at once.
 *
 * proves: FC-1 FC-2 FC-3 FC-4 FC-5 FC-6 FC-7 FC-8 FC-9 FC-10 FC-11
 */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define FLOWS 12
#define SCHEDULES_PER_TEST 100
#define RETRY_NS (300 * SIM_MS)
#define TRIES 6
#define FRAGMENTS 3

enum flow_kind {
	FLOW_TCP,
	FLOW_UDP,
	FLOW_ECHO,
	FLOW_FRAGMENTS,
	FLOW_ERROR,
	FLOW_STRAY,
	FLOW_KINDS
};

struct flow {
	enum flow_kind kind;
	struct pkt_tuple there, back; /* as sent by the inside, by the outside */
	struct flow_key key;
	uint32_t seq[2];
	unsigned step, tries, resent;
	unsigned arrived; /* packets of the step */
	bool done, conflict, syn_again;
	bool spray;	/* every packet by a member of its own */
	unsigned by[2]; /* else these */
};

struct script {
	struct sim *sim;
	struct flow flows[FLOWS + 1];
	unsigned n_flows;
	unsigned resent;
	uint32_t id_step[SIM_IDS];
};

/* The dialogue of a TCP conversation: who sends what. */
static const struct {
	enum sim_side to;
	uint8_t flags;
	uint16_t len;
} tcp_steps[] = {
	{SIM_OUTSIDE, TCP_SYN, 0},
	{SIM_INSIDE, TCP_SYN | TCP_ACK, 0},
	{SIM_OUTSIDE, TCP_ACK, 0},
	{SIM_OUTSIDE, TCP_ACK | TCP_PSH, 100},
	{SIM_INSIDE, TCP_ACK | TCP_PSH, 700},
	{SIM_OUTSIDE, TCP_ACK | TCP_PSH, 50},
	{SIM_INSIDE, TCP_ACK | TCP_PSH, 1400},
	{SIM_OUTSIDE, TCP_ACK, 0},
	{SIM_OUTSIDE, TCP_ACK | TCP_FIN, 0},
	{SIM_INSIDE, TCP_ACK | TCP_FIN, 0},
	{SIM_OUTSIDE, TCP_ACK, 0},
};
#define TCP_STEPS (sizeof(tcp_steps) / sizeof(tcp_steps[0]))

static uint64_t dice(struct sim *s, uint64_t n)
{
	return rng_u64(&s->rng) % n;
}

static unsigned live_member(struct sim *s)
{
	unsigned m;

	do
		m = (unsigned)dice(s, s->params.n_members);
	while (s->members[m].dead);
	return m;
}

static unsigned flow_member(struct script *sc, const struct flow *f, enum sim_side to)
{
	if (f->spray || sc->sim->members[f->by[to]].dead)
		return live_member(sc->sim);
	return f->by[to];
}

static void flow_step(struct script *sc, unsigned index);

/* --- sending one step ----------------------------------------------------------------------------
 */

static void send_packet(struct script *sc, unsigned index, enum sim_side to, const uint8_t *ip,
			size_t size, uint32_t id, uint64_t delay_ns)
{
	struct flow *f = &sc->flows[index];

	sc->id_step[id] = f->step;
	sim_send(sc->sim, id, flow_member(sc, f, to), ip, size, delay_ns);
}

/* Sequence numbers follow from the steps before. */
static void send_tcp(struct script *sc, unsigned index)
{
	struct flow *f = &sc->flows[index];
	enum sim_side to = tcp_steps[f->step].to;
	uint32_t sent[2] = {f->seq[0], f->seq[1]};
	struct sim_tcp h = {.flags = tcp_steps[f->step].flags};
	uint32_t id = sim_packet_new(sc->sim, (int)index, to);
	uint8_t ip[2048];
	size_t size;

	for (unsigned i = 0; i < f->step; i++)
		sent[tcp_steps[i].to] +=
			tcp_steps[i].len + (tcp_steps[i].flags & (TCP_SYN | TCP_FIN) ? 1u : 0u);
	h.seq = sent[to];
	h.ack = h.flags & TCP_ACK ? sent[!to] : 0;
	size = sim_tcp(ip, to == SIM_OUTSIDE ? &f->there : &f->back, &h, id,
		       tcp_steps[f->step].len);
	send_packet(sc, index, to, ip, size, id, 0);
}

static void send_datagram(struct script *sc, unsigned index)
{
	struct flow *f = &sc->flows[index];
	enum sim_side to = f->step % 2 ? SIM_INSIDE : SIM_OUTSIDE;
	const struct pkt_tuple *t = to == SIM_OUTSIDE ? &f->there : &f->back;
	uint32_t id = sim_packet_new(sc->sim, (int)index, to);
	uint8_t ip[2048];
	size_t size = f->kind == FLOW_ECHO ? sim_echo(ip, t, to == SIM_INSIDE, id)
					   : sim_udp(ip, t, id, 40);

	send_packet(sc, index, to, ip, size, id, 0);
}

static void send_fragments(struct script *sc, unsigned index)
{
	struct flow *f = &sc->flows[index];
	enum sim_side to = f->step % 2 ? SIM_INSIDE : SIM_OUTSIDE;
	uint32_t frag_id = (uint32_t)dice(sc->sim, 65536);
	unsigned start = (unsigned)dice(sc->sim, FRAGMENTS);
	uint8_t ip[256];

	for (unsigned k = 0; k < FRAGMENTS; k++) {
		unsigned i = (start + k) % FRAGMENTS;
		uint32_t id = sim_packet_new(sc->sim, (int)index, to);
		size_t size = sim_fragment(ip, to == SIM_OUTSIDE ? &f->there : &f->back, i,
					   FRAGMENTS, frag_id, id);
		send_packet(sc, index, to, ip, size, id, k * 5000);
	}
}

/* An error about the datagram of step 0. */
static void send_error(struct script *sc, unsigned index)
{
	struct flow *f = &sc->flows[index];
	uint32_t id = sim_packet_new(sc->sim, (int)index, SIM_INSIDE);
	uint8_t about[256], ip[512];
	size_t size = sim_udp(about, &f->there, 0xffffffff, 40);

	size = sim_unreachable(ip, about, size, id);
	send_packet(sc, index, SIM_INSIDE, ip, size, id, 0);
}

/* What no conversation explains: an acknowledgement, a reset, a datagram from outside. */
static void send_stray(struct script *sc, unsigned index)
{
	struct flow *f = &sc->flows[index];
	uint32_t id = sim_packet_new(sc->sim, (int)index, SIM_INSIDE);
	struct sim_tcp h = {.seq = 1, .ack = 2, .flags = f->step ? TCP_ACK : TCP_RST | TCP_ACK};
	uint8_t ip[256];
	size_t size = f->there.proto == IPPROTO_NUM_TCP ? sim_tcp(ip, &f->back, &h, id, 0)
							: sim_udp(ip, &f->back, id, 10);

	send_packet(sc, index, SIM_INSIDE, ip, size, id, 0);
}

static unsigned step_packets(const struct flow *f)
{
	return f->kind == FLOW_FRAGMENTS ? FRAGMENTS : 1;
}

static unsigned flow_steps(const struct flow *f)
{
	switch (f->kind) {
	case FLOW_TCP:
		return TCP_STEPS;
	case FLOW_ERROR:
		return 2;
	case FLOW_STRAY:
		return 1;
	default:
		return 6;
	}
}

static struct script *script_of(struct sim *s)
{
	return s->arg;
}

/* The host sends a step again when it has not come through. */
static void flow_retry(struct sim *s, uint64_t word)
{
	struct script *sc = script_of(s);
	unsigned index = (unsigned)(word & 0xff), step = (unsigned)(word >> 8);
	struct flow *f = &sc->flows[index];

	if (f->done || f->step != step || f->kind == FLOW_STRAY)
		return;
	if (f->tries >= TRIES) {
		f->done = true;
		return;
	}
	sc->resent++;
	f->resent++;
	if (f->kind == FLOW_TCP && f->step <= 1)
		f->syn_again = true;
	if (f->kind == FLOW_TCP && f->step == 1)
		f->step = 0; /* the client does not know that its SYN arrived */
	flow_step(sc, index);
}

static void flow_step(struct script *sc, unsigned index)
{
	struct flow *f = &sc->flows[index];

	f->tries++;
	f->arrived = 0;
	sim_at(sc->sim, sc->sim->now_ns + RETRY_NS * f->tries, flow_retry, f->step << 8 | index);
	switch (f->kind) {
	case FLOW_TCP:
		send_tcp(sc, index);
		break;
	case FLOW_FRAGMENTS:
		send_fragments(sc, index);
		break;
	case FLOW_STRAY:
		send_stray(sc, index);
		break;
	case FLOW_ERROR:
		if (f->step == 1) {
			send_error(sc, index);
			break;
		}
		send_datagram(sc, index);
		break;
	default:
		send_datagram(sc, index);
	}
}

static void arrival(void *arg, struct sim *s, uint32_t id, const struct pkt *pkt)
{
	struct script *sc = arg;
	unsigned index = (unsigned)s->packets[id].flow;
	struct flow *f = &sc->flows[index];

	(void)pkt;
	if (f->kind == FLOW_STRAY || sc->id_step[id] != f->step || f->done)
		return;
	if (++f->arrived < step_packets(f))
		return;
	f->step++;
	f->tries = 0;
	if (f->step == flow_steps(f))
		f->done = true;
	else
		flow_step(sc, index);
}

static void conflict(void *arg, const struct flow_key *key)
{
	struct script *sc = arg;

	for (unsigned i = 0; i < sc->n_flows; i++)
		if (flow_key_eq(&sc->flows[i].key, key))
			sc->flows[i].conflict = true;
}

/* --- drawing a schedule
 * ---------------------------------------------------------------------------- */

static struct ipaddr host(bool v6, bool inside, unsigned n)
{
	uint8_t v4[4] = {inside ? 10 : 192, inside ? 1 : 0, inside ? 1 : 2, (uint8_t)(100 + n)};
	uint8_t six_in[16] = {0xfd, 0, 0, 1, [13] = 1, [15] = (uint8_t)n};
	uint8_t six_out[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 2, [13] = 1, [15] = (uint8_t)n};

	if (v6)
		return ipaddr_v6(inside ? six_in : six_out);
	return ipaddr_v4(v4);
}

static void flow_draw(struct script *sc, struct flow *f, unsigned index)
{
	struct sim *s = sc->sim;
	bool v6 = dice(s, 3) == 0;
	uint8_t icmp = v6 ? IPPROTO_NUM_ICMP6 : IPPROTO_NUM_ICMP;

	memset(f, 0, sizeof(*f));
	f->kind = (enum flow_kind)dice(s, FLOW_KINDS);
	f->there.src = host(v6, true, index);
	f->there.dst = host(v6, false, (unsigned)dice(s, 4));
	f->there.sport = (uint16_t)(1024 + dice(s, 60000));
	f->there.dport = f->kind == FLOW_ECHO ? f->there.sport : 80;
	f->there.proto = f->kind == FLOW_TCP || (f->kind == FLOW_STRAY && dice(s, 2))
				 ? IPPROTO_NUM_TCP
			 : f->kind == FLOW_ECHO ? icmp
						: IPPROTO_NUM_UDP;
	f->back = (struct pkt_tuple){.src = f->there.dst,
				     .dst = f->there.src,
				     .sport = f->there.dport,
				     .dport = f->there.sport,
				     .proto = f->there.proto};
	flow_key_make(&f->key, &f->there, v6 ? 6 : 4);
	f->seq[0] = (uint32_t)rng_u64(&s->rng);
	f->seq[1] = (uint32_t)rng_u64(&s->rng);
	f->spray = dice(s, 2);
	f->by[0] = (unsigned)dice(s, s->params.n_members);
	f->by[1] = (unsigned)dice(s, s->params.n_members);
}

static void flow_begin(struct sim *s, uint64_t index)
{
	flow_step(script_of(s), (unsigned)index);
}

static void trouble_cut(struct sim *s, uint64_t word)
{
	for (unsigned m = 0; m < s->params.n_members; m++)
		s->members[m].group = (unsigned)(word >> m & 1);
}

static void trouble_kill(struct sim *s, uint64_t m)
{
	unsigned alive = 0;

	for (unsigned i = 0; i < s->params.n_members; i++)
		alive += !s->members[i].dead;
	if (alive > 1 && !s->members[m].dead)
		sim_kill(s, (unsigned)m);
}

static void trouble_start(struct sim *s, uint64_t m)
{
	if (s->members[m].dead)
		sim_start(s, (unsigned)m);
}

static void draw_trouble(struct sim *s, uint64_t from_ns, uint64_t span_ns)
{
	unsigned n = (unsigned)dice(s, 4);

	for (unsigned i = 0; i < n; i++) {
		uint64_t at = from_ns + dice(s, span_ns);
		uint64_t m = dice(s, s->params.n_members);

		if (dice(s, 2)) {
			sim_at(s, at, trouble_cut, rng_u64(&s->rng));
			sim_at(s, at + dice(s, 3000 * SIM_MS), trouble_cut, 0);
		} else {
			sim_at(s, at, trouble_kill, m);
			sim_at(s, at + dice(s, 3000 * SIM_MS), trouble_start, m);
		}
	}
}

static struct sim_params draw_params(uint64_t seed, bool calm)
{
	struct rng r = {.key = {seed, ~seed}};
	unsigned x = (unsigned)(rng_u64(&r) % 15), y = (unsigned)(rng_u64(&r) % 15);

	return (struct sim_params){.seed = seed,
				   .offload = seed & 1,
				   .n_members = 2 + (x < y ? x : y), /* small clusters more often */
				   .loss = calm ? 0 : (unsigned)(rng_u64(&r) % 200),
				   .duplicate = calm ? 0 : (unsigned)(rng_u64(&r) % 50),
				   .jitter_ns = rng_u64(&r) % (3 * SIM_MS) + 1,
				   .hold = rng_u64(&r) % 2,
				   .tunnel = rng_u64(&r) % 2,
				   .unicast = rng_u64(&r) % 3 == 0,
				   .query_timeout_ms = 20,
				   .forward_ms = 5000,
				   /* check_sim_backup is about these; here they cost time */
				   .cluster = seed % 8 ? "backup = false" : NULL};
}

/* --- what must hold
 * -------------------------------------------------------------------------------- */

static void judge_packet(const struct script *sc, uint32_t id, uint64_t seed, bool calm)
{
	const struct sim_packet *p = &sc->sim->packets[id];
	const struct flow *f = &sc->flows[p->flow];
	unsigned most = f->syn_again ? SIM_MEMBERS : 1;

	if (f->kind == FLOW_STRAY)
		ck_assert_msg(p->delivered == 0, "seed %llu: stray packet %u was delivered",
			      (unsigned long long)seed, id);
	else
		ck_assert_msg(p->delivered <= most,
			      "seed %llu: packet %u, flow kind %d, step %u, delivered %u times",
			      (unsigned long long)seed, id, f->kind, sc->id_step[id], p->delivered);
	ck_assert_msg(p->relayed <= 1, "seed %llu: packet %u went from member to member %u times",
		      (unsigned long long)seed, id, p->relayed);
	if (calm && f->kind != FLOW_STRAY && !f->conflict)
		ck_assert_msg(p->delivered == 1,
			      "seed %llu: packet %u, flow kind %d, step %u, was lost",
			      (unsigned long long)seed, id, f->kind, sc->id_step[id]);
}

static void judge_balance(const struct sim *s, uint64_t seed)
{
	char why[128];

	ck_assert_msg(sim_balanced(s, why, sizeof(why)), "seed %llu: %s", (unsigned long long)seed,
		      why);
}

static void judge_forwards_gone(const struct sim *s, uint64_t seed)
{
	for (unsigned m = 0; m < s->params.n_members; m++)
		ck_assert_msg(flow_table_count(s->members[m].engine->firewall.forwards) == 0,
			      "seed %llu: member %u keeps forward entries",
			      (unsigned long long)seed, m);
}

static bool all_met(const struct sim *s)
{
	for (unsigned m = 0; m < s->params.n_members; m++)
		if (channel_n_up(s->members[m].engine->firewall.channel) + 1 != s->params.n_members)
			return false;
	return true;
}

/* A conversation begun now must work without anything being sent again. Where hellos were lost to
 * the end, members may have to meet first. */
static void judge_healed(struct script *sc, uint64_t seed)
{
	struct sim *s = sc->sim;
	struct flow *f = &sc->flows[sc->n_flows];
	uint64_t latest = s->now_ns + 1500 * SIM_MS;

	flow_draw(sc, f, 99);
	f->kind = FLOW_TCP;
	f->there.proto = f->back.proto = IPPROTO_NUM_TCP;
	f->there.dport = f->back.sport = 443;
	sc->n_flows++;
	s->params.loss = s->params.duplicate = 0;
	while (!all_met(s) && s->now_ns < latest)
		sim_run(s, s->now_ns + 10 * SIM_MS);
	ck_assert_msg(all_met(s), "seed %llu: they do not see each other",
		      (unsigned long long)seed);
	flow_step(sc, sc->n_flows - 1);
	sim_run(s, s->now_ns + 1000 * SIM_MS);
	ck_assert_msg(f->done && f->resent == 0, "seed %llu: not healed, stopped at step %u",
		      (unsigned long long)seed, f->step);
}

/* Returns how many packets went past the engines. */
static uint64_t run_schedule(uint64_t seed, bool calm)
{
	struct sim_params params = draw_params(seed, calm);
	struct script *sc = calloc(1, sizeof(*sc));
	struct sim *s = sim_new(&params);
	uint64_t start, passed;

	sc->sim = s;
	s->arg = sc;
	s->arrival = arrival;
	s->conflict = conflict;
	sim_run(s, s->now_ns + 1500 * SIM_MS); /* everybody has met */
	s->disturbed = false;
	start = s->now_ns;
	for (sc->n_flows = 0; sc->n_flows < FLOWS; sc->n_flows++) {
		flow_draw(sc, &sc->flows[sc->n_flows], sc->n_flows);
		sim_at(s, start + dice(s, 200 * SIM_MS), flow_begin, sc->n_flows);
	}
	if (!calm)
		draw_trouble(s, start, 2000 * SIM_MS);
	sim_run(s, start + 8000 * SIM_MS);
	judge_balance(s, seed);
	for (uint32_t id = 0; id < s->n_packets; id++)
		judge_packet(sc, id, seed, calm);
	if (calm)
		ck_assert_msg(sc->resent == 0 || s->n_conflicts > 0,
			      "seed %llu: %u packets were sent again", (unsigned long long)seed,
			      sc->resent);
	judge_healed(sc, seed);
	sim_run(s, s->now_ns + 6000 * SIM_MS);
	judge_forwards_gone(s, seed);
	judge_balance(s, seed);
	passed = sim_kernel_passed(s);
	sim_free(s);
	free(sc);
	return passed;
}

/* SIM_SEED=n runs one schedule, for looking at it; SIM_ROUNDS multiplies their number, SIM_SHARE
 * divides it. */
static unsigned number(const char *variable)
{
	const char *v = getenv(variable);
	unsigned long n = v ? strtoul(v, NULL, 10) : 1;

	return n > 0 ? (unsigned)n : 1;
}

static void run_block(int block, bool calm)
{
	const char *one = getenv("SIM_SEED");
	uint64_t passed = 0;

	if (one) {
		if (block == 0)
			run_schedule(strtoull(one, NULL, 10), calm);
		return;
	}
	for (unsigned r = 0; r < number("SIM_ROUNDS"); r++)
		for (unsigned i = 0; i < SCHEDULES_PER_TEST / number("SIM_SHARE"); i++)
			passed += run_schedule((uint64_t)(r * 100000) +
						       (uint64_t)block * SCHEDULES_PER_TEST + i + 1,
					       calm);
	ck_assert(passed > 0);
}

START_TEST(test_calm)
{
	run_block(_i, true);
}
END_TEST

START_TEST(test_trouble)
{
	run_block(_i, false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sim firewall");
	TCase *calm = tcase_create("calm"), *trouble = tcase_create("trouble");
	SRunner *sr;
	int failed;

	/* Fixed, or large tables would come from the heap and be cleared for every schedule. */
	mallopt(M_MMAP_THRESHOLD, 1 << 17);
	tcase_add_loop_test(calm, test_calm, 0, 8);
	tcase_add_loop_test(trouble, test_trouble, 0, 14);
	tcase_set_timeout(calm, 600);
	tcase_set_timeout(trouble, 600);
	suite_add_tcase(suite, calm);
	suite_add_tcase(suite, trouble);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
