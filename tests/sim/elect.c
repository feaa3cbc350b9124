#include "elect.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"

#define DELAY_NS 50000ULL
#define EVENT_BYTES 1600
#define PROBE_PORT 4000
#define MAC_HOST 0xee

enum event_kind { DATAGRAM, FRAME, WAKE };

struct elect_event {
	struct heap_item item; /* first */
	enum event_kind kind;
	unsigned to, from;
	enum elect_way way;
	bool multicast;
	uint64_t word;
	size_t size;
	uint8_t room[FRAME_HEADROOM];
	uint8_t data[];
};

const struct elect_claim elect_claims[ELECT_CLAIMS] = {
	{WAY_OUTSIDE, {198, 51, 100, 254}}, {WAY_OUTSIDE, {198, 51, 100, 80}},
	{WAY_FRONT, {10, 2, 0, 254}},	    {WAY_BACK, {10, 3, 0, 254}},
	{WAY_FARM, {10, 4, 0, 254}},
};

static const char *const names[ELECT_NODES] = {"n0", "n1", "n2", "n3"};
static const char *const way_names[WAYS] = {"", "outside", "front", "back", "farm"};
static const char *const dispatcher_names[DISPATCHERS] = {"outer", "inner"};

static const char key_text[] =
	"1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f active\n";

uint64_t elect_dice(struct elect *w, uint64_t sides)
{
	return rng_u64(&w->rng) % sides;
}

static uint64_t own_ns(const struct elect *w, const struct elect_node *node)
{
	return w->now_ns + node->clock_ns;
}

static struct macaddr mac_of(unsigned node, enum elect_way way)
{
	return (struct macaddr){{2, 0, 0, (uint8_t)(node + 1), 0, (uint8_t)way}};
}

static struct macaddr host_mac(enum elect_way way)
{
	return (struct macaddr){{2, 0, 0, MAC_HOST, 0, (uint8_t)way}};
}

/* --- what is asked of the world -----------------------------------------------------------------
 */

const struct takeover_role *elect_role(const struct elect_node *node, enum elect_dispatcher d)
{
	if (!node->engine || node->dispatcher[d] < 0)
		return NULL;
	return &node->engine->dispatch.takeover->roles[node->dispatcher[d]];
}

bool elect_is(const struct elect_node *node, enum elect_dispatcher d, enum wire_role_state state)
{
	const struct takeover_role *r = elect_role(node, d);

	return r && r->state == state;
}

unsigned elect_rank(const struct elect *w, enum elect_dispatcher d, unsigned node)
{
	const char *order = elect_layout(&w->plan)->order[d];
	const char *at = strchr(order, (int)('0' + node));

	return at ? (unsigned)(at - order) : ELECT_NOBODY;
}

bool elect_able(const struct elect_node *node, enum elect_dispatcher d)
{
	if (!node->engine || node->dispatcher[d] < 0 || node->leaving)
		return false;
	for (unsigned way = 1; way < WAYS; way++)
		if (elect_way_dispatcher(way) == d && !node->up[way])
			return false;
	return true;
}

/* --- links --------------------------------------------------------------------------------------
 */

static void touch(struct elect *w, unsigned a)
{
	for (unsigned b = 0; b < w->n_nodes; b++)
		w->changed_ns[a][b] = w->changed_ns[b][a] = w->now_ns;
}

void elect_set_link(struct elect *w, enum elect_way way, unsigned from, unsigned to,
		    const struct elect_link *link)
{
	w->links[way][from][to] = *link;
	w->changed_ns[from][to] = w->changed_ns[to][from] = w->now_ns;
}

void elect_heal(struct elect *w)
{
	struct elect_link clean = {.jitter_ns = w->clean_jitter_ns};

	for (unsigned way = 0; way < WAYS; way++)
		for (unsigned a = 0; a < w->n_nodes; a++)
			for (unsigned b = 0; b < w->n_nodes; b++)
				elect_set_link(w, way, a, b, &clean);
}

static bool joined(const struct elect *w, enum elect_way way, unsigned from, unsigned to)
{
	return w->nodes[from].engine && w->nodes[to].engine && w->nodes[from].up[way] &&
	       w->nodes[to].up[way];
}

static bool clean(const struct elect *w, enum elect_way way, unsigned from, unsigned to)
{
	const struct elect_link *l = &w->links[way][from][to];

	return joined(w, way, from, to) && !l->cut && l->loss == 0 &&
	       l->jitter_ns <= w->clean_jitter_ns;
}

bool elect_hears_segment(const struct elect *w, unsigned from, unsigned to)
{
	for (unsigned way = 1; way < WAYS; way++)
		if (clean(w, way, from, to))
			return true;
	return false;
}

bool elect_hears(const struct elect *w, unsigned from, unsigned to)
{
	return clean(w, WAY_CLUSTER, from, to) || elect_hears_segment(w, from, to);
}

bool elect_deaf(const struct elect *w, unsigned from, unsigned to)
{
	for (unsigned way = 0; way < WAYS; way++)
		if (joined(w, way, from, to) && !w->links[way][from][to].cut)
			return false;
	return true;
}

/* --- events -------------------------------------------------------------------------------------
 */

static struct elect_event *event_push(struct elect *w, uint64_t delay_ns, const void *data,
				      size_t size)
{
	struct elect_event *e = malloc(offsetof(struct elect_event, data) + size);

	if (!e || size > EVENT_BYTES)
		abort();
	memset(e, 0, offsetof(struct elect_event, room));
	e->item.when_ns = w->now_ns + delay_ns;
	e->size = size;
	if (size)
		memcpy(e->data, data, size);
	heap_push(&w->heap, &e->item);
	return e;
}

static void carry(struct elect *w, enum elect_way way, unsigned from, unsigned to, const void *data,
		  size_t size, bool multicast)
{
	const struct elect_link *l = &w->links[way][from][to];
	unsigned copies = elect_dice(w, 1000) < l->duplicate ? 2 : 1;

	if (from == to || !joined(w, way, from, to) || l->cut || elect_dice(w, 1000) < l->loss)
		return;
	while (copies--) {
		uint64_t delay = DELAY_NS + (l->jitter_ns ? elect_dice(w, l->jitter_ns) : 0);
		struct elect_event *e = event_push(w, delay, data, size);

		e->kind = way == WAY_CLUSTER ? DATAGRAM : FRAME;
		e->way = way;
		e->from = from;
		e->to = to;
		e->multicast = multicast;
	}
}

static void host_sends(struct elect *w, enum elect_way way, unsigned to, const void *data,
		       size_t size, uint64_t delay_ns)
{
	struct elect_event *e = event_push(w, delay_ns, data, size);

	e->kind = FRAME;
	e->way = way;
	e->from = to;
	e->to = to;
}

/* --- the hosts ----------------------------------------------------------------------------------
 */

static struct ipaddr v4(const uint8_t a[4])
{
	return ipaddr_v4(a);
}

/* ELECT_CLAIMS: it is no dispatcher's. */
static unsigned claim_of(enum elect_way way, const struct ipaddr *a)
{
	unsigned i;

	for (i = 0; i < ELECT_CLAIMS; i++) {
		struct ipaddr own = v4(elect_claims[i].address);
		if (elect_claims[i].way == way && ipaddr_eq(&own, a))
			break;
	}
	return i;
}

static size_t put_arp(uint8_t *out, const struct arp *arp, const struct macaddr *dst)
{
	struct wcur c = wcur_init(out, 64);

	wcur_bytes(&c, dst->b, 6);
	wcur_bytes(&c, arp->sender_mac.b, 6);
	wcur_u16(&c, ETH_ARP);
	wcur_u16(&c, 1);
	wcur_u16(&c, ETH_IPV4);
	wcur_u8(&c, 6);
	wcur_u8(&c, 4);
	wcur_u16(&c, arp->op);
	wcur_bytes(&c, arp->sender_mac.b, 6);
	wcur_bytes(&c, arp->sender_ip.b + 12, 4);
	wcur_bytes(&c, arp->target_mac.b, 6);
	wcur_bytes(&c, arp->target_ip.b + 12, 4);
	return wcur_size(&c);
}

static void wrong(const struct elect *w, const struct elect_node *node, const char *what)
{
	ck_abort_msg("%.3f: %s %s", (double)w->now_ns / 1e6, names[node->index], what);
}

/* All that says an address of the dispatcher is here teaches hosts that. */
static void host_hears_arp(struct elect *w, struct elect_node *node, enum elect_way way,
			   const struct pkt *pkt)
{
	enum elect_dispatcher d = elect_way_dispatcher(way);
	struct arp arp;
	unsigned claim;

	if (arp_parse(&arp, pkt->frame, pkt->l3) != DROP_NONE)
		wrong(w, node, "sends a malformed ARP message");
	claim = claim_of(way, &arp.sender_ip);
	if (claim < ELECT_CLAIMS) {
		if (!elect_is(node, d, WIRE_ROLE_ACTIVE) && node->before[d] != WIRE_ROLE_ACTIVE)
			wrong(w, node, "claims an address of a dispatcher that it does not play");
		w->claimed[claim] = node->index;
		w->n_answers += arp.op == 2;
	}
	if (arp.op == 1 && claim_of(way, &arp.target_ip) == ELECT_CLAIMS) {
		struct arp reply = {.op = 2,
				    .sender_mac = host_mac(way),
				    .sender_ip = arp.target_ip,
				    .target_mac = arp.sender_mac,
				    .target_ip = arp.sender_ip};
		uint8_t out[64];

		host_sends(w, way, node->index, out, put_arp(out, &reply, &arp.sender_mac),
			   DELAY_NS);
	}
}

static void host_hears(struct elect *w, struct elect_node *node, enum elect_way way,
		       struct frame *frame)
{
	enum elect_dispatcher d = elect_way_dispatcher(way);
	struct pkt pkt;

	if (pkt_decode(&pkt, frame) != DROP_NONE)
		wrong(w, node, "sends a frame that nobody understands");
	if (pkt.kind == PKT_ARP)
		host_hears_arp(w, node, way, &pkt);
	if (pkt.kind == PKT_CLUSTER)
		w->n_roles++;
	if (pkt.kind != PKT_IP || pkt.tuple.dport != PROBE_PORT)
		return;
	if (!elect_is(node, d, WIRE_ROLE_ACTIVE) && !elect_is(node, d, WIRE_ROLE_YIELDING))
		wrong(w, node, "forwards a packet of a dispatcher that it does not play");
	w->n_forwarded++;
}

void elect_probe(struct elect *w, unsigned node, enum elect_dispatcher d)
{
	static const uint8_t client[4] = {203, 0, 113, 5}, vip[4] = {198, 51, 100, 80},
			     server[4] = {10, 4, 0, 11};
	enum elect_way way = d == OUTER ? WAY_OUTSIDE : WAY_BACK;
	struct pkt_tuple t = {.src = v4(client),
			      .dst = v4(d == OUTER ? vip : server),
			      .sport = (uint16_t)(1024 + elect_dice(w, 20)),
			      .dport = PROBE_PORT,
			      .proto = IPPROTO_NUM_UDP};
	struct macaddr to = mac_of(node, way), from = host_mac(way);
	uint8_t data[256];
	struct wcur c = wcur_init(data, sizeof(data));

	wcur_bytes(&c, to.b, 6);
	wcur_bytes(&c, from.b, 6);
	wcur_u16(&c, ETH_IPV4);
	host_sends(w, way, node, data, 14 + sim_udp(data + 14, &t, 1, 0), 0);
}

void elect_ask(struct elect *w, unsigned claim)
{
	static const struct macaddr all = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	enum elect_way way = elect_claims[claim].way;
	struct arp arp = {
		.op = 1, .sender_mac = host_mac(way), .target_ip = v4(elect_claims[claim].address)};
	uint8_t data[64];
	size_t size;

	arp.sender_ip = arp.target_ip;
	arp.sender_ip.b[15] = 1;
	size = put_arp(data, &arp, &all);
	for (unsigned i = 0; i < w->n_nodes; i++)
		host_sends(w, way, i, data, size, 0);
}

/* --- what a node does ---------------------------------------------------------------------------
 */

static bool is_for(const struct datagram *d, unsigned node)
{
	return d->multicast || d->to.addr.b[15] == node + 1;
}

static void trace_note(const struct elect *w, const struct elect_node *node, const struct note *n)
{
	printf("%9.3f %s %-14s %s member %d port %d %s\n", (double)w->now_ns / 1e6,
	       names[node->index], note_name(n->type),
	       n->dispatcher < node->params->n_dispatchers
		       ? node->params->dispatchers[n->dispatcher].name
		       : "",
	       n->member < node->params->n_members ? node->params->members[n->member].id - 1 : -1,
	       (int16_t)n->port, n->detail ? n->detail : "");
}

static void carry_out(struct elect *w, struct elect_node *node)
{
	struct actions *a = w->actions;

	for (uint32_t i = 0; i < a->n_frames; i++) {
		enum elect_way way = WAY_CLUSTER;

		while (node->port[way] != a->frames[i].port)
			way++;
		if (!node->up[way])
			continue;
		host_hears(w, node, way, &a->frames[i]);
		for (unsigned to = 0; a->frames[i].data[0] & 1 && to < w->n_nodes; to++)
			carry(w, way, node->index, to, a->frames[i].data, a->frames[i].len, true);
	}
	for (uint32_t i = 0; i < a->n_datagrams; i++)
		for (unsigned to = 0; to < w->n_nodes; to++)
			if (is_for(&a->datagrams[i], to))
				carry(w, WAY_CLUSTER, node->index, to, a->datagrams[i].data,
				      a->datagrams[i].size, a->datagrams[i].multicast);
	for (uint32_t i = 0; i < a->n_notes; i++) {
		if (w->trace)
			trace_note(w, node, &a->notes[i]);
		if (w->note)
			w->note(w, node, &a->notes[i]);
	}
	actions_reset(a);
	if (w->observe)
		w->observe(w);
}

/* What it is as a call begins: it may play a dispatcher no more when the call ends. */
static void begin(struct elect_node *node)
{
	for (unsigned d = 0; d < DISPATCHERS; d++) {
		const struct takeover_role *r = elect_role(node, d);

		node->before[d] = r ? r->state : WIRE_ROLE_WAITING;
	}
}

static void tick(struct elect *w, struct elect_node *node)
{
	begin(node);
	engine_tick(node->engine, own_ns(w, node), w->actions);
	carry_out(w, node);
	if (!node->leaving || engine_leaving(node->engine))
		return;
	engine_goodbye(node->engine, own_ns(w, node), w->actions);
	carry_out(w, node);
	elect_kill(w, node->index);
}

static void arrive(struct elect *w, struct elect_node *node, struct elect_event *e)
{
	uint8_t address[4] = {10, 9, 0, (uint8_t)(e->from + 1)};
	struct endpoint from = {.addr = v4(address), .port = 7067};
	struct frame f = {.data = e->data, .len = (uint32_t)e->size};

	begin(node);
	if (e->kind == DATAGRAM) {
		engine_datagram(node->engine, e->data, e->size, &from, e->multicast,
				own_ns(w, node), w->actions);
	} else if (node->port[e->way] >= 0 && node->up[e->way]) {
		f.port = (uint16_t)node->port[e->way];
		engine_frames(node->engine, &f, 1, own_ns(w, node), w->actions);
	} else {
		return;
	}
	carry_out(w, node);
}

static void happen(struct elect *w, struct elect_event *e)
{
	struct elect_node *node = &w->nodes[e->to];

	if (e->kind == WAKE) {
		if (node->stalled && node->wake_ns == e->word)
			elect_wake(w, e->to);
	} else if (node->stalled) {
		if (node->n_waiting < node->room) {
			node->waiting[node->n_waiting++] = e;
			return;
		}
	} else if (node->engine) {
		arrive(w, node, e);
	}
	free(e);
}

/* --- what is done to nodes ----------------------------------------------------------------------
 */

static bool runs(const struct elect_node *node)
{
	return node->engine && !node->stalled;
}

static void note_able(struct elect *w, struct elect_node *node, const bool before[DISPATCHERS])
{
	for (unsigned d = 0; d < DISPATCHERS; d++)
		if (!before[d] && elect_able(node, d))
			node->able_ns[d] = w->now_ns;
}

static void find_ports(struct elect_node *node)
{
	const struct params *p = node->params;

	for (unsigned way = 0; way < WAYS; way++) {
		node->port[way] = -1;
		for (unsigned i = 0; i < p->n_ports; i++)
			if (strcmp(p->ports[i].name, way_names[way]) == 0)
				node->port[way] = (int)i;
		if (way != WAY_CLUSTER && node->port[way] < 0)
			node->up[way] = false;
	}
	for (unsigned d = 0; d < DISPATCHERS; d++) {
		node->dispatcher[d] = -1;
		for (unsigned i = 0; i < p->n_dispatchers; i++)
			if (strcmp(p->dispatchers[i].name, dispatcher_names[d]) == 0)
				node->dispatcher[d] = (int)i;
	}
}

static void set_port(struct elect *w, struct elect_node *node, enum elect_way way)
{
	struct engine_link link = {.up = node->up[way],
				   .mac = mac_of(node->index, way),
				   .mtu = 1500,
				   .ifindex = (uint32_t)way};

	if (node->port[way] < 0)
		return;
	begin(node);
	engine_set_link(node->engine, (uint16_t)node->port[way], &link, own_ns(w, node),
			w->actions);
	carry_out(w, node);
}

void elect_port(struct elect *w, unsigned n, enum elect_way way, bool up)
{
	struct elect_node *node = &w->nodes[n];
	bool before[DISPATCHERS] = {elect_able(node, OUTER), elect_able(node, INNER)};

	if (!runs(node) || way == WAY_CLUSTER || node->port[way] < 0 || node->up[way] == up)
		return;
	node->up[way] = up;
	touch(w, n);
	note_able(w, node, before);
	set_port(w, node, way);
}

void elect_start(struct elect *w, unsigned n)
{
	struct elect_node *node = &w->nodes[n];
	struct engine_seed seed;
	struct keyring *keys;
	char err[128];
	bool before[DISPATCHERS] = {false, false};

	if (node->engine)
		return;
	for (unsigned i = 0; i < 8; i++)
		seed.words[i] = rng_u64(&w->rng);
	for (unsigned i = 0; i < 16; i++)
		seed.boot_id[i] = (uint8_t)rng_u64(&w->rng);
	keys = keyring_parse(key_text, sizeof(key_text) - 1, err, sizeof(err));
	node->params = elect_params(&w->plan, n, (unsigned)elect_dice(w, ELECT_VARIANTS));
	node->engine = engine_new(node->params, keys, &seed, own_ns(w, node));
	if (!node->engine)
		abort();
	/* Elections alone: tables that are on their way would hold up what is preferred. */
	replica_fini(&node->engine->dispatch);
	find_ports(node);
	if (w->trace || w->note)
		engine_want_notes(node->engine, UINT32_MAX);
	node->leaving = node->stalled = false;
	node->started_ns = w->now_ns;
	touch(w, n);
	note_able(w, node, before);
	for (unsigned way = 1; way < WAYS; way++)
		set_port(w, node, way);
}

static void waiting_free(struct elect_node *node)
{
	for (unsigned i = 0; i < node->n_waiting; i++)
		free(node->waiting[i]);
	node->n_waiting = 0;
}

void elect_kill(struct elect *w, unsigned n)
{
	struct elect_node *node = &w->nodes[n];

	waiting_free(node);
	engine_free(node->engine);
	node->engine = NULL;
	node->stalled = node->leaving = false;
	touch(w, n);
	if (w->trace)
		printf("%9.3f %s is dead\n", (double)w->now_ns / 1e6, names[n]);
	if (w->observe)
		w->observe(w);
}

void elect_leave(struct elect *w, unsigned n)
{
	struct elect_node *node = &w->nodes[n];

	if (!runs(node) || node->leaving)
		return;
	node->leaving = true;
	touch(w, n);
	begin(node);
	engine_leave(node->engine, own_ns(w, node), w->actions);
	carry_out(w, node);
	if (engine_leaving(node->engine))
		return;
	engine_goodbye(node->engine, own_ns(w, node), w->actions);
	carry_out(w, node);
	elect_kill(w, n);
}

void elect_stall(struct elect *w, unsigned n, uint64_t for_ns)
{
	const struct elect_timing *t = elect_timing(&w->plan);
	struct elect_node *node = &w->nodes[n];
	struct elect_event *e;

	if (!runs(node))
		return;
	node->stalled = true;
	node->stalled_ns = w->now_ns;
	node->wake_ns = w->now_ns + for_ns;
	node->out_of_lease = for_ns + 2 * ELECT_MS > (t->dead_ms - t->hello_ms) * ELECT_MS;
	node->room = elect_dice(w, 3) ? ELECT_QUEUE : (unsigned)elect_dice(w, 64);
	if (node->out_of_lease)
		touch(w, n);
	else
		node->room = ELECT_QUEUE;
	e = event_push(w, for_ns, NULL, 0);
	e->kind = WAKE;
	e->to = n;
	e->word = node->wake_ns;
	if (w->trace)
		printf("%9.3f n%u stands still for %.3f\n", (double)w->now_ns / 1e6, n,
		       (double)for_ns / 1e6);
}

static uint64_t n_stalled(const struct elect_node *node)
{
	return node->engine ? engine_counters(node->engine)[COUNTER_STALLED] : 0;
}

void elect_wake(struct elect *w, unsigned n)
{
	struct elect_node *node = &w->nodes[n];
	struct elect_event *waiting[ELECT_QUEUE];
	unsigned count = node->n_waiting;
	uint64_t before = n_stalled(node);

	if (!node->stalled)
		return;
	node->stalled = false;
	if (node->out_of_lease) {
		touch(w, n);
		w->n_stalls++;
	}
	memcpy(waiting, node->waiting, count * sizeof(waiting[0]));
	node->n_waiting = 0;
	if (node->out_of_lease && elect_dice(w, 4) == 0)
		tick(w, node);
	for (unsigned i = 0; i < count; i++) {
		if (node->engine)
			arrive(w, node, waiting[i]);
		free(waiting[i]);
	}
	if (node->engine && engine_next(node->engine) <= own_ns(w, node))
		tick(w, node);
	if (node->engine && n_stalled(node) != before)
		for (unsigned d = 0; d < DISPATCHERS; d++)
			node->able_ns[d] = w->now_ns;
}

void elect_reload(struct elect *w, unsigned n, unsigned variant)
{
	struct elect_node *node = &w->nodes[n];

	if (!runs(node))
		return;
	node->params = elect_params(&w->plan, n, variant);
	begin(node);
	if (engine_reload(node->engine, node->params, NULL, own_ns(w, node), w->actions) < 0)
		abort();
	replica_fini(&node->engine->dispatch);
	carry_out(w, node);
}

int elect_order(struct elect *w, unsigned n, enum elect_dispatcher d)
{
	struct elect_node *node = &w->nodes[n];
	int rc;

	if (!runs(node))
		return -1;
	begin(node);
	rc = engine_take_over(node->engine, dispatcher_names[d], own_ns(w, node), w->actions);
	if (w->trace)
		printf("%9.3f %s is ordered to play %s: %d\n", (double)w->now_ns / 1e6, names[n],
		       dispatcher_names[d], rc);
	carry_out(w, node);
	return rc;
}

/* --- time ---------------------------------------------------------------------------------------
 */

static uint64_t next_tick(const struct elect *w, unsigned *node)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < w->n_nodes; i++) {
		const struct elect_node *n = &w->nodes[i];
		uint64_t t = runs(n) ? engine_next(n->engine) : UINT64_MAX;

		if (t == UINT64_MAX)
			continue;
		t = (t > n->clock_ns ? t - n->clock_ns : 0) + w->late_ns;
		if (t < best) {
			best = t;
			*node = i;
		}
	}
	return best;
}

void elect_run(struct elect *w, uint64_t until_ns)
{
	for (;;) {
		unsigned node = 0;
		uint64_t due = next_tick(w, &node), event = heap_when(&w->heap);
		uint64_t when = due < event ? due : event;

		if (when > until_ns)
			break;
		if (when > w->now_ns)
			w->now_ns = when;
		if (event <= due)
			happen(w, (struct elect_event *)(void *)heap_pop(&w->heap));
		else
			tick(w, &w->nodes[node]);
	}
	w->now_ns = until_ns;
}

/* Some clocks pass 2^32 milliseconds or microseconds in the schedule. */
static uint64_t clock_start(struct elect *w)
{
	uint64_t soon = elect_dice(w, 8 * ELECT_SEC);

	switch (elect_dice(w, 4)) {
	case 0:
		return (1ULL << 32) * ELECT_MS - soon;
	case 1:
		return (1ULL << 32) * 1000 - soon;
	case 2:
		return elect_dice(w, 1ULL << 60);
	default:
		return 0;
	}
}

struct elect *elect_new(uint64_t seed, const struct elect_plan *plan, struct actions *actions)
{
	struct elect *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->plan = *plan;
	w->trace = getenv("SIM_TRACE") != NULL;
	if (w->trace)
		setvbuf(stdout, NULL, _IOLBF, 0);
	w->now_ns = ELECT_SEC;
	w->rng = (struct rng){.key = {seed, seed * 77 + 5}};
	w->actions = actions;
	w->n_nodes = elect_layout(plan)->n_nodes;
	w->clean_jitter_ns = elect_dice(w, 2) * ELECT_MS;
	w->late_ns = (uint64_t[]){0, 50000, 300000, 900000}[seed / 240 % 4];
	for (unsigned i = 0; i < ELECT_CLAIMS; i++)
		w->claimed[i] = ELECT_NOBODY;
	for (unsigned i = 0; i < w->n_nodes; i++) {
		struct elect_node *node = &w->nodes[i];

		node->index = i;
		node->clock_ns = clock_start(w);
		node->dispatcher[OUTER] = node->dispatcher[INNER] = -1;
		for (unsigned way = 0; way < WAYS; way++) {
			node->port[way] = -1;
			node->up[way] = true;
		}
	}
	elect_heal(w);
	return w;
}

void elect_free(struct elect *w)
{
	for (unsigned i = 0; i < w->n_nodes; i++) {
		engine_free(w->nodes[i].engine);
		waiting_free(&w->nodes[i]);
	}
	heap_fini(&w->heap);
	free(w);
}
