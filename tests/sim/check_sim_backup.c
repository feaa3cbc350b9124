/*
 * check_sim_backup.c - seeded schedules in which a home is lost while its flows go on.
 *
 * Conversations over TCP and UDP run through three to five members, each packet by whichever the
 * dice say; what does not arrive is sent again by its host. Then one member is killed, leaves,
 * is drained, restarts, stands still or is cut off for a while and returns with all it had; then,
 * perhaps, another is killed. What must hold in every schedule:
 *   - where the link loses nothing, each flow that was answered and older than its delay and two
 *     flushes goes on within the time of detection and query, and each that was answered when its
 *     home left or was drained; where it loses, each that a live member held;
 *   - no packet is delivered twice, or goes from member to member more than once;
 *   - when all is over each flow has one home, and not the member that returned;
 *   - frames in = frames out + held + drops; at last every table is empty.
 *
 * proves: FC-17
 */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define FLOWS 6
#define SCHEDULES_PER_TEST 40
#define TESTS 12
#define DELAY_MS 300
#define RETRY_NS (250 * SIM_MS)
#define TRIES 12 /* 3 s: a member is down after 1.5 s, a query has run out 0.3 s later */
#define TRIES_LOSSY 24

enum loss { LOSS_KILL, LOSS_LEAVE, LOSS_DRAIN, LOSS_RESTART, LOSS_CUT, LOSS_STALL, LOSSES };

struct flow {
	struct pkt_tuple there, back;
	struct flow_key key;
	uint32_t seq[2]; /* next of the inside's, of the outside's */
	unsigned by[2];
	unsigned step, tries;
	enum sim_side to; /* of the step under way */
	unsigned len;
	uint64_t since_ns; /* answered for the first time */
	bool tcp, spray, broken, close, closing, done, must_live;
};

struct script {
	struct sim *sim;
	struct flow flows[FLOWS];
	enum loss loss;
	unsigned victim;
	uint64_t avoid_ns; /* until then */
	bool avoid; /* the hosts do not use the member that is cut off; else nothing is asked of
		       flows that run by both sides but that they end up with one home */
	bool twice; /* then another is lost */
	uint64_t seed;
	uint32_t id_step[SIM_IDS];
	unsigned n_taken; /* flows that the victim was home of, and that had to live */
};

static uint64_t dice(struct sim *s, uint64_t n)
{
	return rng_u64(&s->rng) % n;
}

static struct script *script_of(struct sim *s)
{
	return s->arg;
}

static bool usable(const struct script *sc, unsigned m)
{
	const struct sim *s = sc->sim;

	return !s->members[m].dead && !(sc->avoid && m == sc->victim && s->now_ns < sc->avoid_ns);
}

static unsigned pick(struct script *sc, const struct flow *f, enum sim_side to)
{
	unsigned m = f->by[to];

	while (f->spray || !usable(sc, m)) {
		m = (unsigned)dice(sc->sim, sc->sim->params.n_members);
		if (usable(sc, m))
			break;
	}
	return m;
}

/* --- conversations -----------------------------------------------------------------------------
 */

/* Steps 0 to 2 are the handshake; then either side says something; at last FIN, FIN, ACK. */
static uint8_t step_flags(const struct flow *f, unsigned closing)
{
	static const uint8_t begin[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK};
	static const uint8_t end[] = {TCP_ACK | TCP_FIN, TCP_ACK | TCP_FIN, TCP_ACK};

	if (closing > 0)
		return end[closing - 1];
	return f->step < 3 ? begin[f->step] : TCP_ACK | TCP_PSH;
}

static unsigned closing_step(const struct flow *f)
{
	return f->closing ? f->step - 1000 + 1 : 0;
}

static void flow_send(struct script *sc, unsigned index)
{
	struct flow *f = &sc->flows[index];
	const struct pkt_tuple *t = f->to == SIM_OUTSIDE ? &f->there : &f->back;
	uint32_t id = sim_packet_new(sc->sim, (int)index, f->to);
	unsigned from = f->to == SIM_OUTSIDE ? 0 : 1;
	struct sim_tcp h = {.flags = step_flags(f, closing_step(f)), .seq = f->seq[from]};
	uint8_t ip[2048];
	size_t size;

	h.ack = h.flags & TCP_ACK ? f->seq[!from] : 0;
	size = f->tcp ? sim_tcp(ip, t, &h, id, f->len) : sim_udp(ip, t, id, f->len);
	sc->id_step[id] = f->step;
	sim_send(sc->sim, id, pick(sc, f, f->to), ip, size, 0);
}

static void flow_retry(struct sim *s, uint64_t word)
{
	struct script *sc = script_of(s);
	unsigned index = (unsigned)(word & 0xff), step = (unsigned)(word >> 8);
	struct flow *f = &sc->flows[index];

	if (f->done || f->broken || f->step != step)
		return;
	if (++f->tries >= (s->params.loss ? TRIES_LOSSY : TRIES)) {
		f->broken = true;
		return;
	}
	flow_send(sc, index);
	sim_at(s, s->now_ns + RETRY_NS, flow_retry, word);
}

static void flow_step(struct sim *s, uint64_t index)
{
	struct script *sc = script_of(s);
	struct flow *f = &sc->flows[index];
	unsigned closing;

	if (f->done || f->broken)
		return;
	if (f->close && !f->closing) {
		f->closing = true;
		f->step = 1000;
	}
	closing = closing_step(f);
	f->tries = 0;
	f->len = f->tcp && (f->step < 3 || closing) ? 0 : 10 + (unsigned)dice(s, 1000);
	if (f->step < 3)
		f->to = f->step == 1 ? SIM_INSIDE : SIM_OUTSIDE;
	else if (closing)
		f->to = closing == 2 ? SIM_INSIDE : SIM_OUTSIDE;
	else
		f->to = dice(s, 2) ? SIM_INSIDE : SIM_OUTSIDE;
	flow_send(sc, (unsigned)index);
	sim_at(s, s->now_ns + RETRY_NS, flow_retry, (uint64_t)f->step << 8 | index);
}

static void arrival(void *arg, struct sim *s, uint32_t id, const struct pkt *pkt)
{
	struct script *sc = arg;
	unsigned index = (unsigned)s->packets[id].flow;
	struct flow *f = &sc->flows[index];
	unsigned from = f->to == SIM_OUTSIDE ? 0 : 1;
	uint8_t flags;

	(void)pkt;
	if (sc->id_step[id] != f->step || f->done || f->broken)
		return;
	flags = step_flags(f, closing_step(f));
	f->seq[from] += f->len + (f->tcp && flags & (TCP_SYN | TCP_FIN) ? 1u : 0u);
	f->step++;
	if (f->step == 3)
		f->since_ns = s->now_ns;
	if (f->closing && f->step == 1003)
		f->done = true;
	else
		sim_at(s, s->now_ns + (f->step < 3 ? SIM_MS : (20 + dice(s, 150)) * SIM_MS),
		       flow_step, index);
}

static void flow_close(struct sim *s, uint64_t index)
{
	struct flow *f = &script_of(s)->flows[index];

	if (!f->tcp || f->broken) {
		f->done = true;
		return;
	}
	f->close = true; /* after what is under way */
}

static void flow_draw(struct script *sc, unsigned index)
{
	struct flow *f = &sc->flows[index];
	struct sim *s = sc->sim;
	uint8_t in[16] = {0xfd, 0, 0, 1, [13] = 1, [15] = (uint8_t)index};
	uint8_t out[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 2, [13] = 1, [15] = 1};
	uint8_t in4[4] = {10, 1, 1, (uint8_t)(100 + index)}, out4[4] = {192, 0, 2, 100};
	bool v6 = dice(s, 3) == 0;

	f->tcp = dice(s, 3) > 0;
	f->spray = dice(s, 2);
	f->by[0] = (unsigned)dice(s, s->params.n_members);
	f->by[1] = (unsigned)dice(s, s->params.n_members);
	f->there = (struct pkt_tuple){.src = v6 ? ipaddr_v6(in) : ipaddr_v4(in4),
				      .dst = v6 ? ipaddr_v6(out) : ipaddr_v4(out4),
				      .sport = (uint16_t)(1024 + dice(s, 60000)),
				      .dport = 80,
				      .proto = f->tcp ? IPPROTO_NUM_TCP : IPPROTO_NUM_UDP};
	f->back = (struct pkt_tuple){.src = f->there.dst,
				     .dst = f->there.src,
				     .sport = 80,
				     .dport = f->there.sport,
				     .proto = f->there.proto};
	flow_key_make(&f->key, &f->there, v6 ? 6 : 4);
	f->seq[0] = (uint32_t)rng_u64(&s->rng);
	f->seq[1] = (uint32_t)rng_u64(&s->rng);
}

/* --- who has what ------------------------------------------------------------------------------
 */

static const struct state *state_at(const struct sim *s, unsigned m, const struct flow_key *key)
{
	const struct firewall *f;
	const struct state *st;

	if (s->members[m].dead)
		return NULL;
	f = &s->members[m].engine->firewall;
	st = flow_table_find(f->states, key, flow_table_hash(f->states, key));
	return st && !state_is_over(st) ? st : NULL;
}

static bool held_at(const struct sim *s, unsigned m, const struct flow_key *key)
{
	const struct flow_table *t;

	if (s->members[m].dead)
		return false;
	t = s->members[m].engine->firewall.backup->flows;
	return flow_table_find(t, key, flow_table_hash(t, key)) != NULL;
}

static bool held_elsewhere(const struct sim *s, unsigned but, const struct flow_key *key)
{
	for (unsigned m = 0; m < s->params.n_members; m++)
		if (m != but && held_at(s, m, key))
			return true;
	return false;
}

/* --- the loss ----------------------------------------------------------------------------------
 */

/* Which flows have to live, judged in the instant before; of two losses each may end some. */
static void expect(struct script *sc, bool first)
{
	struct sim *s = sc->sim;
	bool calm = s->params.loss == 0;

	for (unsigned i = 0; i < FLOWS; i++) {
		struct flow *f = &sc->flows[i];
		bool home = state_at(s, sc->victim, &f->key) != NULL;
		bool lives = first || f->must_live;
		bool old = f->since_ns && !f->broken &&
			   s->now_ns - f->since_ns >= (DELAY_MS + 40) * SIM_MS;

		if (sc->loss == LOSS_LEAVE ||
		    sc->loss == LOSS_DRAIN) /* handed over, however young */
			old = true;
		f->must_live = !home || (calm ? old : held_elsewhere(s, sc->victim, &f->key));
		f->must_live = f->must_live && lives && f->since_ns && !f->broken &&
			       (sc->loss != LOSS_CUT || sc->avoid);
		sc->n_taken += home && f->must_live;
	}
}

static void member_back(struct sim *s, uint64_t m)
{
	if (s->members[m].dead)
		sim_start(s, (unsigned)m);
	s->members[m].group = 0;
}

static void gone(struct sim *s, uint64_t m)
{
	sim_kill(s, (unsigned)m);
	sim_at(s, s->now_ns + 5000 * SIM_MS, member_back, m);
}

/* As the daemon does it. */
static void leave(struct sim *s, uint64_t m)
{
	if (engine_leaving(s->members[m].engine)) {
		sim_at(s, s->now_ns + SIM_MS, leave, m);
		return;
	}
	engine_goodbye(s->members[m].engine, s->now_ns, s->actions);
	sim_carry_out(s, (unsigned)m);
	gone(s, m);
}

static unsigned draw_victim(struct script *sc);

/* The one that was cut off has been back for a second; another is killed now. */
static void lose_another(struct sim *s, uint64_t word)
{
	struct script *sc = script_of(s);

	(void)word;
	sc->loss = LOSS_KILL;
	sc->victim = draw_victim(sc);
	expect(sc, false);
	gone(s, sc->victim);
}

static void stand_still(struct script *sc)
{
	struct sim *s = sc->sim;
	uint64_t for_ns = (10 + dice(s, sc->avoid ? 3500 : 2500)) * SIM_MS;

	sim_stall(s, sc->victim, for_ns);
	sc->avoid_ns = s->now_ns + for_ns;
	sc->twice = dice(s, 2);
	if (sc->twice)
		sim_at(s, sc->avoid_ns + (1000 + dice(s, 1500)) * SIM_MS, lose_another, 0);
}

static void lose(struct sim *s, uint64_t word)
{
	struct script *sc = script_of(s);
	unsigned v = sc->victim;
	uint64_t back_ns;

	(void)word;
	expect(sc, true);
	switch (sc->loss) {
	case LOSS_LEAVE:
		engine_leave(s->members[v].engine, s->now_ns, s->actions);
		sim_carry_out(s, v);
		leave(s, v);
		break;
	case LOSS_DRAIN: /* and switched off without a word */
		engine_drain_node(s->members[v].engine, true, s->now_ns, s->actions);
		sim_carry_out(s, v);
		sim_at(s, s->now_ns + 1500 * SIM_MS, gone, v);
		break;
	case LOSS_KILL:
		gone(s, v);
		break;
	case LOSS_RESTART:
		sim_kill(s, v);
		sim_start(s, v);
		break;
	case LOSS_STALL:
		stand_still(sc);
		break;
	default:
		s->members[v].group = 1;
		back_ns = s->now_ns + (2500 + dice(s, 2000)) * SIM_MS;
		sc->avoid_ns = back_ns + 1000 * SIM_MS; /* it knows the others again by then */
		sim_at(s, back_ns, member_back, v);
		if (!sc->avoid)
			break;
		sc->twice = dice(s, 2);
		if (sc->twice)
			sim_at(s, sc->avoid_ns + dice(s, 1500 * SIM_MS), lose_another, 0);
	}
}

/* --- what must hold ----------------------------------------------------------------------------
 */

static void judge_packets(const struct script *sc)
{
	const struct sim *s = sc->sim;
	/* Who has just restarted does not know the others' MAC addresses, and may take a frame that
	 * a member forwards to its former boot for a host's. Who hands a flow over forwards what
	 * comes for it from members that have not heard. */
	unsigned most = sc->loss == LOSS_KILL || sc->loss == LOSS_CUT ? 1 : 2;
	char why[128];

	for (uint32_t id = 0; id < s->n_packets; id++) {
		ck_assert_msg(s->packets[id].delivered <= 1,
			      "seed %llu: packet %u of flow %d was delivered %u times",
			      (unsigned long long)sc->seed, id, s->packets[id].flow,
			      s->packets[id].delivered);
		ck_assert_msg(s->packets[id].relayed <= most,
			      "seed %llu: packet %u of flow %d was passed on %u times",
			      (unsigned long long)sc->seed, id, s->packets[id].flow,
			      s->packets[id].relayed);
	}
	ck_assert_msg(sim_balanced(s, why, sizeof(why)), "seed %llu: %s",
		      (unsigned long long)sc->seed, why);
}

static void judge_flows(const struct script *sc)
{
	for (unsigned i = 0; i < FLOWS; i++) {
		const struct flow *f = &sc->flows[i];

		ck_assert_msg(!f->broken || !f->must_live,
			      "seed %llu: flow %u broke at step %u (%s)",
			      (unsigned long long)sc->seed, i, f->step, f->tcp ? "tcp" : "udp");
	}
}

/* TCP: one home, and not the member that came back, unless its flow was never taken. */
static void judge_homes(const struct script *sc)
{
	const struct sim *s = sc->sim;

	for (unsigned i = 0; i < FLOWS; i++) {
		const struct flow *f = &sc->flows[i];
		unsigned n = 0, terms = 0;

		if (!f->tcp || f->step < 3 || f->broken)
			continue;
		for (unsigned m = 0; m < s->params.n_members; m++) {
			const struct state *st = state_at(s, m, &f->key);
			n += st != NULL;
			terms += st && f->must_live && state_term(st) > 0 && m == sc->victim;
		}
		ck_assert_msg(n == 1, "seed %llu: flow %u has %u homes",
			      (unsigned long long)sc->seed, i, n);
		ck_assert_msg(terms == 0, "seed %llu: flow %u went back to member %u",
			      (unsigned long long)sc->seed, i, sc->victim);
	}
}

static void judge_empty(const struct script *sc)
{
	const struct sim *s = sc->sim;

	for (unsigned m = 0; m < s->params.n_members; m++) {
		const struct firewall *f = &s->members[m].engine->firewall;

		ck_assert_msg(
			flow_table_count(f->states) == 0 && flow_table_count(f->forwards) == 0 &&
				flow_table_count(f->backup->flows) == 0 && f->backup->n_backed == 0,
			"seed %llu: member %u keeps %u states, %u forwards, %u backups",
			(unsigned long long)sc->seed, m, flow_table_count(f->states),
			flow_table_count(f->forwards), flow_table_count(f->backup->flows));
	}
}

/* --- schedules ---------------------------------------------------------------------------------
 */

static struct sim_params draw_params(uint64_t seed)
{
	struct rng r = {.key = {seed, ~seed}};
	bool calm = rng_u64(&r) % 3 > 0;

	return (struct sim_params){
		.seed = seed,
		.offload = rng_u64(&r) % 2,
		.n_members = 3 + (unsigned)(rng_u64(&r) % 3),
		.loss = calm ? 0 : (unsigned)(rng_u64(&r) % 150),
		.duplicate = calm ? 0 : (unsigned)(rng_u64(&r) % 50),
		.jitter_ns = rng_u64(&r) % (3 * SIM_MS) + 1,
		.hold = rng_u64(&r) % 2,
		.tunnel = rng_u64(&r) % 2,
		.unicast = rng_u64(&r) % 3 == 0,
		.query_timeout_ms = 20,
		.forward_ms = 2000,
		.cluster =
			rng_u64(&r) % 2
				? "backup = true backup-delay = \"300ms\" backup-refresh = \"1s\""
				: "backup = true backup-delay = \"300ms\" backup-refresh = \"1s\" "
				  "backup-tracking = strict",
		.rules = "timeouts { tcp-syn-sent = \"3s\" tcp-syn-received = \"3s\" "
			 "tcp-time-wait = \"1s\" tcp-closed = \"1s\" "
			 "tcp-established = \"8s\" udp-new = \"3s\" udp-stream = \"4s\" }",
	};
}

/* A member that is home of something, if any is. */
static unsigned draw_victim(struct script *sc)
{
	struct sim *s = sc->sim;
	unsigned first = (unsigned)dice(s, FLOWS);

	for (unsigned i = 0; i < FLOWS; i++)
		for (unsigned m = 0; m < s->params.n_members; m++)
			if (state_at(s, m, &sc->flows[(first + i) % FLOWS].key))
				return m;
	return (unsigned)dice(s, s->params.n_members);
}

static void begin_lose(struct sim *s, uint64_t word)
{
	script_of(s)->victim = draw_victim(script_of(s));
	lose(s, word);
}

static unsigned run_schedule(uint64_t seed)
{
	struct sim_params params = draw_params(seed);
	struct script *sc = calloc(1, sizeof(*sc));
	struct sim *s = sim_new(&params);
	uint64_t start;
	unsigned n;

	sc->sim = s;
	sc->seed = seed;
	s->arg = sc;
	s->arrival = arrival;
	sim_run(s, s->now_ns + 2000 * SIM_MS);
	start = s->now_ns;
	sc->loss = (enum loss)dice(s, LOSSES);
	sc->avoid = dice(s, 2);
	for (unsigned i = 0; i < FLOWS; i++) {
		flow_draw(sc, i);
		sim_at(s, start + dice(s, 1500 * SIM_MS), flow_step, i);
	}
	sim_at(s, start + (600 + dice(s, 1500)) * SIM_MS, begin_lose, 0);
	sim_run(s, start + 9000 * SIM_MS);
	if (sc->twice)
		sim_run(s, start + 14000 * SIM_MS);
	judge_packets(sc);
	judge_flows(sc);
	judge_homes(sc);
	for (unsigned i = 0; i < FLOWS; i++)
		sim_at(s, s->now_ns + dice(s, 100 * SIM_MS), flow_close, i);
	sim_run(s, s->now_ns + 12000 * SIM_MS);
	judge_packets(sc);
	judge_flows(sc);
	judge_empty(sc);
	n = sc->n_taken;
	sim_free(s);
	free(sc);
	return n;
}

/* SIM_SEED=n runs one schedule; SIM_ROUNDS multiplies their number, SIM_SHARE divides it. */
static unsigned number(const char *variable)
{
	const char *v = getenv(variable);
	unsigned long n = v ? strtoul(v, NULL, 10) : 1;

	return n > 0 ? (unsigned)n : 1;
}

START_TEST(test_lost_homes)
{
	const char *one = getenv("SIM_SEED");
	unsigned n = SCHEDULES_PER_TEST / number("SIM_SHARE"), taken = 0;

	if (one) {
		if (_i == 0)
			run_schedule(strtoull(one, NULL, 10));
		return;
	}
	for (unsigned r = 0; r < number("SIM_ROUNDS"); r++)
		for (unsigned i = 0; i < n; i++)
			taken += run_schedule((uint64_t)(r * 100000) +
					      (uint64_t)_i * SCHEDULES_PER_TEST + i + 1);
	ck_assert_uint_gt(taken, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sim backup");
	TCase *c = tcase_create("lost homes");
	SRunner *sr;
	int failed;

	mallopt(M_MMAP_THRESHOLD, 1 << 17);
	tcase_add_loop_test(c, test_lost_homes, 0, TESTS);
	tcase_set_timeout(c, 600);
	suite_add_tcase(suite, c);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
