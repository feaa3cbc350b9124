/*
 * talk.c - conversations through a firewall sandwich, each step answered or sent again, and what no
 * conversation may ever see.
 */
#include "talk.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_NS (300 * NET_MS)
#define TRIES 30
#define FRAGMENTS 3
#define BEHIND_STAGES (0x3cu | 1u << HOST_STACK_STAGE) /* bits: hosts */

/* Who says what. */
struct step {
	unsigned side;
	uint8_t flags;
	uint16_t len;
};
static const struct step tcp_steps[] = {
	{0, TCP_SYN, 0},
	{1, TCP_SYN | TCP_ACK, 0},
	{0, TCP_ACK, 0},
	{0, TCP_ACK | TCP_PSH, 100},
	{1, TCP_ACK | TCP_PSH, 700},
	{0, TCP_ACK | TCP_PSH, 50},
	{1, TCP_ACK | TCP_PSH, 1400},
	{0, TCP_ACK, 0},
	{0, TCP_ACK | TCP_FIN, 0},
	{1, TCP_ACK | TCP_FIN, 0},
	{0, TCP_ACK, 0},
};
static const struct step udp_steps[] = {{0, 0, 10}, {1, 0, 300}, {0, 0, 20}, {1, 0, 40}};
/* The error is the third: about the answer. Or the second: about the request. */
static const struct step error_steps[] = {{0, 0, 10}, {1, 0, 300}, {0, 0, 0}};
static const struct step stray_steps[] = {{0, TCP_ACK, 100}};

static const struct step *steps_of(const struct flow *f, unsigned *n)
{
	switch (f->kind) {
	case FLOW_TCP:
		*n = sizeof(tcp_steps) / sizeof(tcp_steps[0]);
		return tcp_steps;
	case FLOW_ERROR:
		*n = f->full ? 2 : 3;
		return error_steps;
	case FLOW_STRAY:
		*n = 1;
		return stray_steps;
	default:
		*n = f->kind == FLOW_FRAGMENTS ? 2 : 4;
		return udp_steps;
	}
}

static bool is_error(const struct flow *f, unsigned step)
{
	unsigned n;

	steps_of(f, &n);
	return f->kind == FLOW_ERROR && step + 1 == n;
}

const char *flow_text(const struct script *sc, int index)
{
	static const char *const kinds[] = {"tcp", "udp", "echo", "fragments", "error", "stray"};
	static char text[256];
	const struct flow *f = &sc->flows[index];
	char key[FLOW_KEY_TEXT];
	struct flow_key k;
	unsigned dir = flow_key_make(&k, &f->there, ipaddr_is_v4(&f->there.src) ? 4 : 6);

	snprintf(text, sizeof(text), "flow %d, %s %s service %d step %u%s%s", index, kinds[f->kind],
		 flow_key_text(key, &k, dir), f->service, f->step, f->forged ? " forged" : "",
		 f->touched ? " touched" : "");
	return text;
}

uint64_t dice(struct script *sc, uint64_t n)
{
	return net_dice(sc->net->net, n);
}

void trace(const struct script *sc, const char *what, int flow, unsigned where)
{
	if (sc->net->net->trace)
		printf("%9.3f %s %u: %s\n", (double)sc->net->net->now_ns / 1e6, what, where,
		       flow < 0 ? "?" : flow_text(sc, flow));
}

/* --- sending one step ----------------------------------------------------------------------------
 */

static struct pkt_tuple reversed(const struct pkt_tuple *t)
{
	return (struct pkt_tuple){.src = t->dst,
				  .dst = t->src,
				  .sport = t->dport,
				  .dport = t->sport,
				  .proto = t->proto};
}

static uint32_t packet_new(struct script *sc, struct flow *f, unsigned side)
{
	if (sc->n_packets == IDS)
		abort();
	sc->packets[sc->n_packets] = (struct packet){
		.flow = (int)(f - sc->flows), .step = f->step, .attempt = f->attempt, .side = side};
	return sc->n_packets++;
}

static size_t make_tcp(struct script *sc, struct flow *f, const struct pkt_tuple *t, uint32_t id,
		       uint8_t *ip)
{
	unsigned n, side;
	const struct step *steps = steps_of(f, &n), *step = &steps[f->step];
	uint32_t sent[2] = {f->seq[0], f->seq[1]};
	struct sim_tcp h = {.flags = step->flags};

	side = step->side;
	for (unsigned i = 0; i < f->step; i++)
		sent[steps[i].side] +=
			steps[i].len + (steps[i].flags & (TCP_SYN | TCP_FIN) ? 1u : 0u);
	h.seq = sent[side];
	h.ack = h.flags & TCP_ACK ? sent[!side] : 0;
	if (h.flags & TCP_ACK && f->acked[side] != h.ack) {
		f->acked_before[side] = f->acked[side];
		f->acked[side] = h.ack;
	}
	if (h.flags & TCP_SYN) {
		h.stamp = f->forged ? (uint16_t)(7 + dice(sc, 2) * 293) : 0;
		h.full = f->full;
	}
	return sim_tcp(ip, t, &h, id, step->len);
}

static void send_one(struct script *sc, struct flow *f, unsigned side, const struct pkt_tuple *t,
		     const uint8_t *ip, size_t size, uint64_t delay_ns)
{
	sandwich_send(sc->net, f->ends[side], ip, size, &t->dst, delay_ns);
}

static void send_fragments(struct script *sc, struct flow *f, unsigned side,
			   const struct pkt_tuple *t)
{
	uint32_t frag_id = (uint32_t)dice(sc, 1 << 16);
	unsigned first = (unsigned)dice(sc, FRAGMENTS);
	uint8_t ip[2048];

	for (unsigned i = 0; i < FRAGMENTS; i++) {
		unsigned index = (first + i) % FRAGMENTS;
		size_t size =
			sim_fragment(ip, t, index, FRAGMENTS, frag_id, packet_new(sc, f, side));
		send_one(sc, f, side, t, ip, size, i * 1000);
	}
}

static void flow_due(struct net *n, uint64_t word);

/* For flow_due, with attempt << 8 | step added. */
static uint64_t due(const struct script *sc, unsigned index)
{
	return (uint64_t)sc->act << 40 | (uint64_t)index << 32;
}

static void flow_step(struct script *sc, unsigned index)
{
	struct flow *f = &sc->flows[index];
	unsigned n, side = steps_of(f, &n)[f->step].side;
	struct pkt_tuple t = side ? reversed(&f->received) : f->there;
	uint8_t ip[2048];
	size_t size = 0;
	uint32_t id;

	f->sent_ns = sc->net->net->now_ns;
	f->lossy = f->lossy || sc->net->net->now_ns < sc->lossy_ns;
	if (f->kind == FLOW_FRAGMENTS) {
		send_fragments(sc, f, side, &t);
	} else {
		id = packet_new(sc, f, side);
		if (f->kind == FLOW_TCP || f->kind == FLOW_STRAY)
			size = make_tcp(sc, f, &t, id, ip);
		else if (f->kind == FLOW_ECHO)
			size = sim_echo(ip, &t, side == 1, id);
		else if (is_error(f, f->step))
			size = sim_unreachable(ip, f->quote[side], f->quote_size[side], id);
		else
			size = sim_udp(ip, &t, id, steps_of(f, &n)[f->step].len);
		send_one(sc, f, side, &t, ip, size, 0);
	}
	trace(sc, "step, from host", (int)index, f->ends[side]);
	if (f->kind != FLOW_STRAY)
		net_at(sc->net->net, sc->net->net->now_ns + RETRY_NS, flow_due,
		       due(sc, index) | 1u << 31 | f->attempt << 8 | f->step);
}

/* The next step, or a step that has not been answered in time. A datagram's sender begins anew. */
static void flow_due(struct net *n, uint64_t word)
{
	struct script *sc = ((struct sandwich *)n->arg)->arg;
	unsigned index = word >> 32 & 255, step = word & 255;
	bool retry = word & 1u << 31;
	struct flow *f = &sc->flows[index];

	if (word >> 40 != sc->act || f->done || f->reset || f->step != step ||
	    f->attempt != (word >> 8 & 0x7fffff))
		return;
	if (retry) {
		if (++f->tries > TRIES)
			return;
		f->resent++;
		f->attempt++;
		f->arrived = 0;
		if (f->kind != FLOW_TCP)
			f->step = 0;
	}
	flow_step(sc, index);
}

/* --- arrivals
 * -------------------------------------------------------------------------------------- */

static int flow_by_tuple(const struct script *sc, const struct pkt_tuple *t, unsigned *side)
{
	for (unsigned i = 0; i < sc->n_flows; i++) {
		const struct flow *f = &sc->flows[i];
		struct pkt_tuple back = reversed(&f->there);

		*side = 0;
		if (memcmp(&back.src, &t->src, 16) == 0 && memcmp(&back.dst, &t->dst, 16) == 0 &&
		    back.sport == t->sport && back.dport == t->dport && back.proto == t->proto)
			return (int)i;
		*side = 1;
		if (memcmp(&f->received.src, &t->src, 16) == 0 &&
		    memcmp(&f->received.dst, &t->dst, 16) == 0 && f->received.sport == t->sport &&
		    f->received.dport == t->dport && f->received.proto == t->proto)
			return (int)i;
	}
	return -1;
}

/* Made by a dispatcher: a reset, or an ICMP error. */
static void made_arrives(struct script *sc, const struct pkt *pkt)
{
	unsigned side;
	int index = flow_by_tuple(sc, &pkt->tuple, &side);
	struct flow *f = &sc->flows[index < 0 ? 0 : index];

	if (pkt->tuple.proto != IPPROTO_NUM_TCP || index < 0)
		return;
	if (!(pkt->tcp.flags & TCP_RST))
		broken(sc, "%s: a segment that nobody sent", flow_text(sc, index));
	if (f->kind == FLOW_STRAY)
		return;
	trace(sc, "reset at side", index, side);
	if (!f->touched)
		broken(sc, "%s: reset", flow_text(sc, index));
	if (f->acked[side] && pkt->tcp.seq != f->acked[side] &&
	    pkt->tcp.seq != f->acked_before[side])
		broken(sc, "%s: reset of number %u, expected %u", flow_text(sc, index),
		       pkt->tcp.seq, f->acked[side]);
	f->reset = true;
}

static bool same_tuple(const struct pkt_tuple *x, const struct pkt_tuple *y)
{
	return ipaddr_eq(&x->src, &y->src) && ipaddr_eq(&x->dst, &y->dst) && x->sport == y->sport &&
	       x->dport == y->dport && x->proto == y->proto;
}

/* What the originator gets must be the answer to what it sent; what comes to a server tells how it
 * is to answer. */
static void judge_addresses(struct script *sc, struct flow *f, unsigned host, const struct pkt *pkt,
			    unsigned side)
{
	struct pkt_tuple back = reversed(&f->there);
	bool later = pkt->fragment && pkt->frag_offset > 0, ok;
	int index = (int)(f - sc->flows);

	if (side == 1 && pkt->icmp_error)
		ok = same_tuple(&pkt->inner, &f->there);
	else if (side == 1 && later)
		ok = ipaddr_eq(&pkt->tuple.src, &back.src) && ipaddr_eq(&pkt->tuple.dst, &back.dst);
	else
		ok = side == 0 || same_tuple(&pkt->tuple, &back);
	if (!ok)
		broken(sc, "%s: comes back with other addresses", flow_text(sc, index));
	if (side == 0 && !pkt->icmp_error && !later)
		f->received = pkt->tuple;
	if (side == 0 && !later) {
		f->ends[1] = host;
		f->servers |= 1u << host;
	}
}

static void arrive(struct script *sc, struct packet *p, const struct pkt *pkt)
{
	struct flow *f = &sc->flows[p->flow];
	unsigned n, size = pkt->ip_len < QUOTE ? pkt->ip_len : QUOTE, to = !p->side;

	steps_of(f, &n);
	memcpy(f->quote[to], pkt->frame->data + pkt->l3, size);
	f->quote_size[to] = size;
	if (f->done || f->reset || p->step != f->step || p->attempt != f->attempt ||
	    ++f->arrived < (f->kind == FLOW_FRAGMENTS ? FRAGMENTS : 1))
		return;
	f->arrived = f->tries = 0;
	f->attempt++;
	f->step++;
	if (f->step >= 3 && f->open_ns == 0)
		f->open_ns = sc->net->net->now_ns;
	f->done = f->step == n;
	if (!f->done)
		net_at(sc->net->net, sc->net->net->now_ns + dice(sc, f->pace_ns), flow_due,
		       due(sc, (unsigned)p->flow) | f->attempt << 8 | f->step);
}

static void on_arrival(struct sandwich *s, unsigned host, const struct pkt *pkt)
{
	struct script *sc = s->arg;
	uint32_t id = sim_identity(pkt);
	struct packet *p;
	struct flow *f;

	if (id >= sc->n_packets ||
	    (pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4 && pkt->tcp.flags & TCP_RST)) {
		made_arrives(sc, pkt);
		return;
	}
	p = &sc->packets[id];
	f = &sc->flows[p->flow];
	trace(sc, "arrives at host", p->flow, host);
	if (pkt->icmp_error && !is_error(f, p->step))
		return; /* made by a dispatcher, quoting one of the script's */
	if (f->kind == FLOW_STRAY)
		broken(sc, "%s: delivered", flow_text(sc, p->flow));
	if (++p->delivered > 1)
		broken(sc, "%s: packet %u delivered again", flow_text(sc, p->flow), id);
	if (p->side == 1 && host != f->ends[0])
		broken(sc, "%s: answer at host %u", flow_text(sc, p->flow), host);
	judge_addresses(sc, f, host, pkt, p->side);
	arrive(sc, p, pkt);
}

/* --- on the way
 * ------------------------------------------------------------------------------------ */

static void on_crossing(struct sandwich *s, unsigned wall, const struct pkt *pkt, enum fate fate)
{
	struct script *sc = s->arg;
	uint32_t id = sim_identity(pkt);
	struct flow *f;

	if (id >= sc->n_packets)
		return;
	f = &sc->flows[sc->packets[id].flow];
	f->elsewhere = f->elsewhere || (f->struck && !(sc->died & 1u << wall));
	if (fate == FATE_PASSED) {
		f->walls |= 1u << wall;
	} else if (fate == FATE_LOST) {
		f->touched = true;
		f->walls |= 1u << wall;
	}
	if (fate != FATE_PASSED)
		trace(sc, fate == FATE_LOST ? "lost at firewall" : "refused by firewall",
		      sc->packets[id].flow, wall + 1);
	if (f->kind == FLOW_STRAY || (f->walls & sc->died) || f->touched) {
		f->touched = f->touched || fate != FATE_PASSED;
		f->walls |= 1u << wall;
		sc->moved++;
		return;
	}
	if (fate != FATE_PASSED)
		broken(sc, "%s: firewall %u does not know it", flow_text(sc, sc->packets[id].flow),
		       wall + 1);
	if (f->walls & (f->walls - 1))
		broken(sc, "%s: runs through firewalls %x", flow_text(sc, sc->packets[id].flow),
		       f->walls);
}

/* Bytes of TCP options, found without the code under test. */
static bool has_stamp(const uint8_t *ip, size_t size)
{
	size_t l3 = ip[0] >> 4 == 6 ? 40 : (size_t)(ip[0] & 15) * 4, end, i;

	if ((ip[0] >> 4 == 6 ? ip[6] : ip[9]) != IPPROTO_NUM_TCP || size < l3 + 20)
		return false;
	end = l3 + (size_t)(ip[l3 + 12] >> 4) * 4;
	for (i = l3 + 20; i < end && i < size && ip[i];) {
		if (ip[i] == 253)
			return true;
		i += ip[i] == 1 || i + 1 >= size || ip[i + 1] < 2 ? 1 : ip[i + 1];
	}
	return false;
}

/* Clients and servers may forge; what they send is not what they are sent. */
static void on_frame(struct net *n, const struct net_nic *nic, const struct frame *frame)
{
	struct sandwich *s = n->arg;
	struct script *sc = s->arg;
	bool model = !nic->owner, for_it = memcmp(frame->data, nic->mac.b, 6) == 0;
	struct frame copy = *frame;
	struct pkt pkt;
	uint32_t id;

	if (!for_it || frame->len < 34 || pkt_decode(&pkt, &copy) != DROP_NONE ||
	    pkt.kind != PKT_IP)
		return;
	if (model && has_stamp(frame->data + pkt.l3, pkt.ip_len))
		broken(sc, "a stamp comes to a model on segment %u", nic->segment);
	id = sim_identity(&pkt);
	if (id >= sc->n_packets || nic->owner != s->inner || sc->packets[id].side != 1)
		return;
	if (sc->flows[sc->packets[id].flow].servers & BEHIND_STAGES)
		sc->answers_at_inner += nic->segment != OUTSIDE && nic->segment != FRONT;
}

/* --- what is drawn
 * ----------------------------------------------------------------------------------- */

static void draw_kind(struct script *sc, struct flow *f)
{
	f->kind = (enum flow_kind)dice(sc, FLOW_KINDS);
	f->inside = dice(sc, 4) == 0;
	f->service = -1;
	f->forged = dice(sc, 4) == 0;
	f->full = dice(sc, 4) == 0;
	f->pace_ns = (1 + dice(sc, 200)) * NET_MS * sc->slow;
	if (f->kind == FLOW_STRAY)
		f->inside = dice(sc, 2);
	if (f->inside || f->kind == FLOW_ECHO)
		return;
	do
		f->service = (int)dice(sc, SERVICES);
	while ((services[f->service].proto == IPPROTO_NUM_TCP) !=
		       (f->kind == FLOW_TCP || f->kind == FLOW_STRAY) ||
	       (sc->net->plan.twins && f->service == DESK));
}

void draw_flow(struct script *sc)
{
	unsigned index = sc->n_flows++;
	struct flow *f = &sc->flows[index];
	bool v6 = dice(sc, 2);
	struct pkt_tuple *t = &f->there;
	struct ipaddr client = sandwich_client(1 + (unsigned)dice(sc, 200), v6);
	uint64_t start = sc->net->net->now_ns + dice(sc, 1500) * NET_MS;

	draw_kind(sc, f);
	f->ends[0] = f->inside ? (dice(sc, 2) ? HOST_INSIDE : 0) : HOST_WORLD;
	t->proto = f->kind == FLOW_ECHO ? (v6 ? IPPROTO_NUM_ICMP6 : IPPROTO_NUM_ICMP)
		   : f->kind == FLOW_TCP || f->kind == FLOW_STRAY ? IPPROTO_NUM_TCP
								  : IPPROTO_NUM_UDP;
	t->sport = (uint16_t)(2000 + (sc->act * FLOWS + index) * 64 + dice(sc, 64));
	t->dport = f->kind == FLOW_ECHO ? t->sport
		   : f->service >= 0	? services[f->service].port
					: 25;
	t->src = f->inside ? sandwich_host(f->ends[0], v6) : client;
	t->dst = f->inside	   ? client
		 : f->service >= 0 ? sandwich_vip(v6)
				   : sandwich_host(HOST_INSIDE, v6);
	f->seq[0] = (uint32_t)dice(sc, 1ULL << 32);
	f->seq[1] = (uint32_t)dice(sc, 1ULL << 32);
	f->touched = sc->touched && sc->touched(f);
	if (dice(sc, 3) == 0)
		start = sc->rush_ns + dice(sc, 60) * NET_MS;
	net_at(sc->net->net, start, flow_due, due(sc, index));
}

struct plan draw_plan(struct rng *rng)
{
	static const char *const algorithms[] = {
		"static",	 "round-robin", "weighted-round-robin", "least-connections",
		"least-packets", "source"};
	static const char *const unknown[] = {"drop", "reset", "pass"};
	static const char *const down[] = {"move", "reset", "keep"};
	struct plan p = {0};

	p.learn = rng_u64(rng) % 5 != 0;
	p.outer_algorithm = p.learn ? algorithms[rng_u64(rng) % 5] : "static";
	p.inner_algorithm = p.learn ? algorithms[rng_u64(rng) % 5] : "static";
	for (unsigned i = 0; i < 4; i++)
		p.algorithms[i] = algorithms[rng_u64(rng) % 6];
	p.unknown = unknown[rng_u64(rng) % 3];
	p.path_down = down[rng_u64(rng) % 3];
	p.target_down = down[rng_u64(rng) % 3];
	p.bypass = rng_u64(rng) % 4 != 0;
	p.probe = rng_u64(rng) % 2;
	p.one_box = rng_u64(rng) % 4 == 0;
	p.affinity = rng_u64(rng) % 2;
	return p;
}

/* --- the whole
 * --------------------------------------------------------------------------------------------- */

struct script *script_of(struct net *n)
{
	return ((struct sandwich *)n->arg)->arg;
}

struct script *script_new(uint64_t seed, const struct plan *plan, struct actions *actions)
{
	struct script *sc = calloc(1, sizeof(*sc));

	if (!sc)
		abort();
	sc->seed = seed;
	sc->slow = 1;
	sc->net = sandwich_new(seed, plan, actions);
	sc->net->arg = sc;
	sc->net->arrival = on_arrival;
	sc->net->crossing = on_crossing;
	sc->net->net->tap = on_frame;
	return sc;
}

void script_free(struct script *sc)
{
	sandwich_free(sc->net);
	free(sc);
}

void script_act(struct script *sc, unsigned act, unsigned trouble)
{
	sc->act = act;
	sc->trouble = trouble;
	sc->n_flows = sc->n_packets = sc->died = sc->moved = sc->answers_at_inner = 0;
	memset(sc->flows, 0, sizeof(sc->flows));
	if (sc->net->net->trace)
		printf("act %u, trouble %u\n", act, trouble);
}

void judge_balance(struct script *sc)
{
	struct net *n = sc->net->net;
	char why[256];

	for (unsigned i = 0; i < n->n_nodes; i++)
		if (!net_balanced(&n->nodes[i], why, sizeof(why)))
			broken(sc, "%s", why);
}

unsigned number(const char *variable)
{
	const char *v = getenv(variable);
	unsigned long n = v ? strtoul(v, NULL, 10) : 1;

	return n > 0 ? (unsigned)n : 1;
}

int script_main(const char *name, const TTest *test, int n_tests)
{
	Suite *suite = suite_create(name);
	TCase *schedules = tcase_create("schedules");
	SRunner *sr;
	int failed;

	/* Fixed, or large tables would come from the heap and be cleared for every schedule. */
	mallopt(M_MMAP_THRESHOLD, 1 << 17);
	tcase_add_loop_test(schedules, test, 0, n_tests);
	tcase_set_timeout(schedules, 600);
	suite_add_tcase(suite, schedules);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
