#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "packet/build.h"

#define FRAME_DELAY_NS 20000ULL
#define DATAGRAM_DELAY_NS 50000ULL
#define EVENT_BYTES 2048

enum event_kind { EVENT_FRAME, EVENT_WORLD, EVENT_DATAGRAM, EVENT_CALL };

struct sim_event {
	struct heap_item item;	/* first */
	struct sim_event *next; /* that waits for the same member */
	bool waited;
	enum event_kind kind;
	unsigned member; /* receiver */
	uint16_t port;	 /* EVENT_FRAME: port; EVENT_WORLD: side */
	unsigned from;	 /* EVENT_DATAGRAM: sender */
	bool multicast;
	void (*fn)(struct sim *, uint64_t);
	uint64_t word;
	size_t size;
	uint8_t room[FRAME_HEADROOM];
	uint8_t data[EVENT_BYTES];
};

static const uint8_t key_text[] =
	"1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f active\n";

static struct sim_event *event_new(struct sim *s, enum event_kind kind, uint64_t delay_ns,
				   const void *data, size_t size)
{
	struct sim_event *e = malloc(sizeof(*e));

	if (!e || size > EVENT_BYTES)
		abort();
	memset(e, 0, offsetof(struct sim_event, room));
	e->kind = kind;
	e->item.when_ns = s->now_ns + delay_ns;
	e->size = size;
	if (size)
		memcpy(e->data, data, size);
	return e;
}

/* --- addresses -----------------------------------------------------------------------------------
 */

static struct macaddr xac(unsigned member, uint16_t port)
{
	return (struct macaddr){{2, 0, 0, (uint8_t)port, 0, (uint8_t)(member + 1)}};
}

static struct macaddr world_mac(uint16_t side)
{
	return (struct macaddr){{2, 0, 0, 0xee, 0, (uint8_t)side}};
}

static struct endpoint member_endpoint(unsigned member)
{
	uint8_t a[4] = {10, 9, 0, (uint8_t)(member + 1)};
	return (struct endpoint){.addr = ipaddr_v4(a), .port = 7067};
}

/* --- carrying out
 * --------------------------------------------------------------------------------- */

static void wire_frame(struct sim *s, unsigned from, const struct frame *f)
{
	struct macaddr dst;
	struct sim_event *e;
	bool group = f->data[0] & 1;

	memcpy(dst.b, f->data, 6);
	for (unsigned m = 0; m < s->params.n_members; m++) {
		struct macaddr mac = xac(m, f->port);
		if (m == from || (!group && !macaddr_eq(&mac, &dst)))
			continue;
		e = event_new(s, EVENT_FRAME, FRAME_DELAY_NS, f->data, f->len);
		e->member = m;
		e->port = f->port;
		heap_push(&s->heap, &e->item);
	}
	if (group || dst.b[3] == 0xee) {
		e = event_new(s, EVENT_WORLD, FRAME_DELAY_NS, f->data, f->len);
		e->member = from;
		e->port = f->port;
		heap_push(&s->heap, &e->item);
	}
}

static void wire_datagram_to(struct sim *s, unsigned from, unsigned to, const struct datagram *d)
{
	unsigned copies = 1;

	if (to == from || s->members[to].dead)
		return;
	if (s->members[to].group != s->members[from].group) {
		s->disturbed = true;
		return;
	}
	if (rng_u64(&s->rng) % 1000 < s->params.loss) {
		s->disturbed = true;
		return;
	}
	if (rng_u64(&s->rng) % 1000 < s->params.duplicate)
		copies = 2;
	while (copies--) {
		uint64_t delay = DATAGRAM_DELAY_NS;
		struct sim_event *e;
		if (s->params.jitter_ns)
			delay += rng_u64(&s->rng) % s->params.jitter_ns;
		e = event_new(s, EVENT_DATAGRAM, delay, d->data, d->size);
		e->member = to;
		e->from = from;
		e->multicast = d->multicast;
		heap_push(&s->heap, &e->item);
	}
}

static void wire_datagram(struct sim *s, unsigned from, const struct datagram *d)
{
	if (s->tap)
		s->tap(s->arg, from, d);
	for (unsigned m = 0; m < s->params.n_members; m++) {
		struct endpoint ep = member_endpoint(m);
		if (d->multicast || ipaddr_eq(&d->to.addr, &ep.addr))
			wire_datagram_to(s, from, m, d);
	}
}

/* SIM_TRACE=1: what every engine notes, for looking at one schedule. */
static void trace_note(const struct sim *s, unsigned member, const struct note *n)
{
	char flow[FLOW_KEY_TEXT] = "";

	if (n->has_flow)
		flow_key_text(flow, &n->key, n->dir);
	printf("%9.3f m%u %-14s %s member %d query %016llx %s %s\n", (double)s->now_ns / 1e6,
	       member, note_name(n->type), flow, (int)n->member, (unsigned long long)n->query_id,
	       n->reason ? drop_name(n->reason) : "", n->detail ? n->detail : "");
}

static void carry_out(struct sim *s, unsigned member)
{
	struct actions *a = s->actions;

	for (uint32_t i = 0; i < a->n_frames; i++)
		wire_frame(s, member, &a->frames[i]);
	for (uint32_t i = 0; i < a->n_datagrams; i++)
		wire_datagram(s, member, &a->datagrams[i]);
	for (uint32_t i = 0; i < a->n_notes; i++) {
		const struct note *n = &a->notes[i];
		if (s->trace)
			trace_note(s, member, n);
		if (n->type == NOTE_QUERY)
			s->n_query_notes++;
		if (n->type == NOTE_HOME_CONFLICT) {
			s->n_conflicts++;
			if (s->conflict)
				s->conflict(s->arg, &n->key);
		}
	}
	actions_reset(a);
	if (s->members[member].kernel)
		kernel_apply(s->members[member].kernel, s->members[member].engine);
}

/* --- the worlds
 * ------------------------------------------------------------------------------------ */

static void world_answer(struct sim *s, unsigned member, uint16_t side, const uint8_t *data,
			 size_t size)
{
	struct sim_event *e = event_new(s, EVENT_FRAME, FRAME_DELAY_NS, data, size);

	e->member = member;
	e->port = side;
	heap_push(&s->heap, &e->item);
}

static void world_arp(struct sim *s, struct build *b, unsigned member, uint16_t side,
		      const struct pkt *pkt)
{
	struct build_eth eth = {.dst = xac(member, side), .src = world_mac(side)};
	uint8_t out[256];
	struct arp arp, reply;
	struct nd nd, answer;

	if (pkt->kind == PKT_ARP && arp_parse(&arp, pkt->frame, pkt->l3) == DROP_NONE &&
	    arp.op == 1) {
		reply = (struct arp){.op = 2,
				     .sender_mac = eth.src,
				     .sender_ip = arp.target_ip,
				     .target_mac = arp.sender_mac,
				     .target_ip = arp.sender_ip};
		world_answer(s, member, side, out, build_arp(b, &eth, &reply, out, sizeof(out)));
	}
	if (pkt->kind == PKT_ND && nd_parse(&nd, pkt) == DROP_NONE && nd.type == 135) {
		answer = (struct nd){.type = 136,
				     .src = nd.target,
				     .dst = nd.src,
				     .target = nd.target,
				     .has_mac = true,
				     .mac = eth.src,
				     .solicited = true,
				     .override = true};
		world_answer(s, member, side, out, build_nd(b, &eth, &answer, out, sizeof(out)));
	}
}

static void world_receive(struct sim *s, struct sim_event *ev)
{
	struct frame f = {.data = ev->data, .len = (uint32_t)ev->size, .port = ev->port};
	struct build *b;
	struct pkt pkt;
	uint32_t id;

	if (pkt_decode(&pkt, &f) != DROP_NONE)
		return;
	if (pkt.kind != PKT_IP) {
		b = build_new();
		world_arp(s, b, ev->member, ev->port, &pkt);
		build_free(b);
		return;
	}
	id = sim_identity(&pkt);
	if (id >= s->n_packets || s->packets[id].to != ev->port)
		return;
	s->packets[id].delivered++;
	if (s->trace)
		printf("%9.3f world %d: packet %u of flow %d arrives by m%u\n",
		       (double)s->now_ns / 1e6, ev->port, id, s->packets[id].flow, ev->member);
	if (s->packets[id].delivered == 1 && s->arrival)
		s->arrival(s->arg, s, id, &pkt);
}

/* --- members
 * --------------------------------------------------------------------------------------- */

/* The members in the order of `order`, `n` of them; NULL: all. */
static void member_text(const struct sim *s, unsigned m, const unsigned *order, unsigned n_order,
			char *text, size_t size)
{
	const struct sim_params *p = &s->params;
	int n = snprintf(
		text, size,
		"node = \"m%u\"\n"
		"port \"inside\" { device = \"i\" addresses = {\"10.1.0.%u/16\", "
		"\"fd00:1::%x/64\"} }\n"
		"port \"outside\" { device = \"o\" addresses = {\"192.0.2.%u/24\", "
		"\"2001:db8:2::%x/64\"} }\n"
		"cluster { id = 1 device = \"c\" transport = \"%s\" query = \"%s\" "
		"forward = \"%s\" query-timeout = \"%ums\" forward-ttl = \"%ums\" "
		"max-forwards = 1024 max-queries = 512 hello-interval = \"500ms\" "
		"dead-after = \"1500ms\" key-file = \"/none\" %s }\n"
		"firewall { max-flows = 1024 rule \"out\" { action = \"pass\" in = \"inside\" "
		"out = \"outside\" } %s }\n",
		m, m + 1, m + 1, m + 1, m + 1, p->unicast ? "unicast" : "multicast",
		p->hold ? "hold" : "carry", p->tunnel ? "tunnel" : "l2", p->query_timeout_ms,
		p->forward_ms, p->cluster ? p->cluster : "", p->rules ? p->rules : "");
	for (unsigned i = 0; i < (order ? n_order : p->n_members); i++) {
		unsigned x = order ? order[i] : i;
		n += snprintf(text + n, size - (size_t)n,
			      "member \"m%u\" { id = %u address = \"10.9.0.%u\" }\n", x, x + 1,
			      x + 1);
	}
}

void sim_reload(struct sim *s, unsigned m, const unsigned *members, unsigned n, const char *cluster)
{
	struct sim_member *member = &s->members[m];
	const char *before = s->params.cluster;
	struct params *params;
	char text[4096];

	s->params.cluster = cluster;
	member_text(s, m, members, n, text, sizeof(text));
	s->params.cluster = before;
	params = conf_parse("sim", text, stderr, NULL);
	if (!params || engine_reload(member->engine, params, NULL, s->now_ns, s->actions) < 0)
		abort();
	carry_out(s, m);
	conf_free(member->params);
	member->params = params;
}

void sim_start(struct sim *s, unsigned m)
{
	struct sim_member *member = &s->members[m];
	struct engine_seed seed;
	struct keyring *keys;
	char text[4096], err[128];

	if (!member->params) {
		member_text(s, m, NULL, 0, text, sizeof(text));
		member->params = conf_parse("sim", text, stderr, NULL);
		if (!member->params)
			abort();
	}
	for (unsigned i = 0; i < 8; i++)
		seed.words[i] = rng_u64(&s->rng);
	for (unsigned i = 0; i < 16; i++)
		seed.boot_id[i] = (uint8_t)rng_u64(&s->rng);
	keys = keyring_parse((const char *)key_text, sizeof(key_text) - 1, err, sizeof(err));
	member->engine = engine_new(member->params, keys, &seed, s->now_ns);
	if (!member->engine)
		abort();
	member->dead = false;
	if (s->params.offload)
		member->kernel = kernel_new(member->engine);
	if (member->boots++)
		s->disturbed = true;
	engine_want_notes(member->engine,
			  s->trace ? UINT32_MAX : 1u << NOTE_QUERY | 1u << NOTE_HOME_CONFLICT);
	for (uint16_t port = 0; port < 2; port++) {
		struct engine_link link = {.up = true,
					   .mac = xac(m, port),
					   .mtu = 1500,
					   .is_ours = true,
					   .ifindex = port + 1u,
					   .offload = s->params.offload};
		engine_set_link(member->engine, port, &link, s->now_ns, s->actions);
		carry_out(s, m);
	}
}

static void kernel_gone(struct sim *s, struct sim_member *m)
{
	if (m->kernel)
		s->kernel_passed += m->kernel->passed;
	kernel_free(m->kernel);
	m->kernel = NULL;
}

uint64_t sim_kernel_passed(const struct sim *s)
{
	uint64_t sum = s->kernel_passed;

	for (unsigned i = 0; i < s->params.n_members; i++)
		if (s->members[i].kernel)
			sum += s->members[i].kernel->passed;
	return sum;
}

/* --- standing still ------------------------------------------------------------------------------
 */

static void waiting_push(struct sim_member *m, struct sim_event *e)
{
	struct sim_event **list = &m->waiting[e->kind == EVENT_FRAME ? e->port : SIM_SOCKETS - 1];

	e->waited = true;
	e->next = *list;
	*list = e;
}

static void waiting_drop(struct sim_member *m)
{
	for (unsigned i = 0; i < SIM_SOCKETS; i++) {
		for (struct sim_event *e; (e = m->waiting[i]);) {
			m->waiting[i] = e->next;
			free(e);
		}
	}
}

/* What waits in a socket is read from `when_ns` on, a microsecond for each; returns the end. */
static uint64_t waiting_read(struct sim *s, struct sim_event **list, uint64_t when_ns)
{
	uint64_t n = 0, end;

	for (const struct sim_event *e = *list; e; e = e->next)
		n++;
	end = when_ns + n * 1000;
	for (struct sim_event *e; (e = *list); n--) {
		*list = e->next;
		e->item.when_ns = when_ns + n * 1000;
		heap_push(&s->heap, &e->item);
	}
	return end;
}

static void wake(struct sim *s, uint64_t word)
{
	struct sim_member *m = &s->members[word & 0xff];
	uint64_t end = s->now_ns, first = rng_u64(&s->rng);

	if (!m->stalled || m->boots != word >> 8)
		return;
	m->stalled = false;
	for (unsigned i = 0; i < SIM_SOCKETS; i++)
		end = waiting_read(s, &m->waiting[(first + i) % SIM_SOCKETS], end);
	m->tick_ns =
		s->now_ns + (rng_u64(&s->rng) % 2 ? rng_u64(&s->rng) % (end - s->now_ns + 1) : 0);
}

void sim_stall(struct sim *s, unsigned m, uint64_t for_ns)
{
	s->members[m].stalled = s->disturbed = true;
	sim_at(s, s->now_ns + for_ns, wake, (uint64_t)s->members[m].boots << 8 | m);
}

void sim_kill(struct sim *s, unsigned m)
{
	waiting_drop(&s->members[m]);
	s->members[m].stalled = false;
	s->members[m].tick_ns = 0;
	engine_free(s->members[m].engine);
	s->members[m].engine = NULL;
	kernel_gone(s, &s->members[m]);
	s->members[m].dead = true;
	s->disturbed = true;
}

/* True: the event is the member's from here on. */
static bool member_receive(struct sim *s, struct sim_event *ev)
{
	struct sim_member *m = &s->members[ev->member];
	struct endpoint from = member_endpoint(ev->from);
	struct frame f = {.data = ev->data, .len = (uint32_t)ev->size, .port = ev->port};

	if (m->dead)
		return false;
	if (ev->kind == EVENT_FRAME && !ev->waited && m->kernel &&
	    kernel_pass(m->kernel, &f, s->now_ns)) {
		wire_frame(s, ev->member, &f);
		return false;
	}
	if (m->stalled) {
		waiting_push(m, ev);
		return true;
	}
	if (ev->kind == EVENT_FRAME)
		engine_frames(m->engine, &f, 1, s->now_ns, s->actions);
	else
		engine_datagram(m->engine, ev->data, ev->size, &from, ev->multicast, s->now_ns,
				s->actions);
	carry_out(s, ev->member);
	return false;
}

static void relay_seen(struct sim *s, const struct sim_event *ev)
{
	struct frame f = {.data = (uint8_t *)ev->data, .len = (uint32_t)ev->size, .port = ev->port};
	struct pkt pkt;
	uint32_t id;

	/* From one member's MAC address to another's. */
	if (ev->data[9] == 0xee || pkt_decode(&pkt, &f) != DROP_NONE || pkt.kind != PKT_IP)
		return;
	id = sim_identity(&pkt);
	if (id < s->n_packets)
		s->packets[id].relayed++;
}

/* --- running
 * --------------------------------------------------------------------------------------- */

static uint64_t next_tick(const struct sim *s, unsigned *member)
{
	uint64_t best = UINT64_MAX;

	for (unsigned m = 0; m < s->params.n_members; m++) {
		const struct sim_member *x = &s->members[m];
		uint64_t t = UINT64_MAX;

		if (!x->dead && !x->stalled)
			t = engine_next(x->engine);
		if (t < x->tick_ns)
			t = x->tick_ns;
		if (t < best) {
			best = t;
			*member = m;
		}
	}
	return best;
}

static void happen(struct sim *s, struct sim_event *e)
{
	switch (e->kind) {
	case EVENT_FRAME:
		if (!e->waited)
			relay_seen(s, e);
		if (member_receive(s, e))
			return;
		break;
	case EVENT_DATAGRAM:
		if (member_receive(s, e))
			return;
		break;
	case EVENT_WORLD:
		world_receive(s, e);
		break;
	case EVENT_CALL:
		e->fn(s, e->word);
		break;
	}
	free(e);
}

void sim_run(struct sim *s, uint64_t until_ns)
{
	for (;;) {
		unsigned m = 0;
		uint64_t tick = next_tick(s, &m), event = heap_when(&s->heap);
		uint64_t when = tick < event ? tick : event;

		if (when > until_ns)
			break;
		if (when > s->now_ns)
			s->now_ns = when;
		if (event <= tick) {
			happen(s, (struct sim_event *)(void *)heap_pop(&s->heap));
		} else {
			engine_tick(s->members[m].engine, s->now_ns, s->actions);
			carry_out(s, m);
		}
	}
	s->now_ns = until_ns;
}

/* --- the script's side
 * ------------------------------------------------------------------------------ */

uint32_t sim_packet_new(struct sim *s, int flow, enum sim_side to)
{
	if (s->n_packets == SIM_IDS)
		abort();
	s->packets[s->n_packets] = (struct sim_packet){.flow = flow, .to = to};
	return s->n_packets++;
}

void sim_send(struct sim *s, uint32_t id, unsigned member, const uint8_t *ip, size_t size,
	      uint64_t delay_ns)
{
	uint16_t side = s->packets[id].to == SIM_INSIDE ? SIM_OUTSIDE : SIM_INSIDE;
	struct macaddr dst = xac(member, side), src = world_mac(side);
	struct sim_event *e = event_new(s, EVENT_FRAME, FRAME_DELAY_NS + delay_ns, NULL, 0);

	memcpy(e->data, dst.b, 6);
	memcpy(e->data + 6, src.b, 6);
	e->data[12] = ip[0] >> 4 == 6 ? 0x86 : 0x08;
	e->data[13] = ip[0] >> 4 == 6 ? 0xdd : 0x00;
	memcpy(e->data + 14, ip, size);
	e->size = 14 + size;
	e->member = member;
	e->port = side;
	s->packets[id].sent++;
	heap_push(&s->heap, &e->item);
}

void sim_at(struct sim *s, uint64_t when_ns, void (*fn)(struct sim *, uint64_t), uint64_t word)
{
	struct sim_event *e = event_new(s, EVENT_CALL, when_ns - s->now_ns, NULL, 0);

	e->fn = fn;
	e->word = word;
	heap_push(&s->heap, &e->item);
}

void sim_inject(struct sim *s, unsigned from, unsigned to, const uint8_t *data, size_t size,
		bool multicast)
{
	struct sim_event *e = event_new(s, EVENT_DATAGRAM, DATAGRAM_DELAY_NS, data, size);

	e->member = to;
	e->from = from;
	e->multicast = multicast;
	heap_push(&s->heap, &e->item);
}

void sim_carry_out(struct sim *s, unsigned member)
{
	carry_out(s, member);
}

bool sim_balanced(const struct sim *s, char *why, size_t size)
{
	for (unsigned m = 0; m < s->params.n_members; m++) {
		const struct engine *e = s->members[m].engine;
		const uint64_t *c, *d;
		uint64_t in, out;

		if (s->members[m].dead)
			continue;
		c = engine_counters(e);
		d = engine_drops(e);
		in = c[COUNTER_FRAMES_IN] + c[COUNTER_FRAMES_TUNNEL_IN] + c[COUNTER_FRAMES_MADE];
		out = c[COUNTER_FRAMES_OUT] + engine_held(e);
		for (unsigned i = 1; i < DROP_COUNT; i++)
			out += d[i];
		if (in == out)
			continue;
		snprintf(why, size, "member %u: %llu in, %llu accounted for", m,
			 (unsigned long long)in, (unsigned long long)out);
		return false;
	}
	return true;
}

struct sim *sim_new(const struct sim_params *params)
{
	struct sim *s = calloc(1, sizeof(*s));

	s->params = *params;
	s->trace = getenv("SIM_TRACE") != NULL;
	s->now_ns = 1000000000ULL;
	s->rng = (struct rng){.key = {params->seed, params->seed * 77 + 5}};
	s->actions = actions_new();
	for (unsigned m = 0; m < params->n_members; m++)
		s->members[m].dead = true;
	for (unsigned m = 0; m < params->n_members; m++)
		sim_start(s, m);
	s->disturbed = false;
	return s;
}

void sim_free(struct sim *s)
{
	for (unsigned m = 0; m < s->params.n_members; m++) {
		waiting_drop(&s->members[m]);
		engine_free(s->members[m].engine);
		kernel_gone(s, &s->members[m]);
		conf_free(s->members[m].params);
	}
	heap_fini(&s->heap);
	actions_free(s->actions);
	free(s);
}
