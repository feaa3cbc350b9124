/*
 * check_replica.c - three nodes that may play one inner dispatcher: the tables of those that stand
 * by are the same as those of the one that plays it, whatever happens to the messages.
 *
 * proves: HD-19 HD-23
 */
#include "base/name_id.h"
#include "cluster/keyring.h"
#include "rig.h"

#define NODES 3
#define QUEUE 16384
#define DELAY_NS 200000ULL

static const char key_text[] =
	"1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f active\n";

struct event {
	uint64_t at_ns;
	unsigned from, to;
	bool multicast;
	size_t size;
	uint8_t *data;
};

struct node_options {
	const char *order; /* of targets, services and paths */
	unsigned max_flows;
	bool no_second; /* neither the second target nor the second firewall is known */
};

struct world {
	uint64_t now_ns;
	struct rng rng;
	struct engine *engines[NODES];
	struct params *params[NODES];
	struct actions *actions;
	struct build *build;
	struct event queue[QUEUE];
	unsigned n_queue;
	/* of messages about tables, in thousandths */
	unsigned loss, duplicate, late;
	bool cut[NODES];   /* no message about tables comes to it */
	bool still[NODES]; /* nothing is called; what comes waits */
	unsigned n_sync, n_out[NODES];
	char last_dst[64]; /* of the last IP packet that came out */
};

static const char paths[2][80] = {"path \"fw1\" { id = 7 addresses = {\"192.0.2.11\"} }\n",
				  "path \"fw2\" { id = 8 addresses = {\"192.0.2.12\"} }\n"};
static const char targets[2][80] = {"target \"s\" { addresses = {\"10.1.0.80\"} }\n",
				    "target \"t\" { addresses = {\"10.1.0.81\"} }\n"};

static struct params *params_of(unsigned node, const struct node_options *o)
{
	bool back = o->order && o->order[0] == 'r';
	const char *both = o->no_second ? "{\"s\"}" : "{\"s\", \"t\"}";
	char services[2][400], text[4096];

	snprintf(services[0], sizeof(services[0]),
		 "service \"web\" { addresses = {\"203.0.113.80\"} protocol = \"tcp\" ports = "
		 "{\"80\"} technology = \"l4/3\" algorithm = \"round-robin\" affinity = \"source\" "
		 "affinity-timeout = \"600s\" targets = %s }\n",
		 both);
	snprintf(services[1], sizeof(services[1]),
		 "service \"dns\" { addresses = {\"203.0.113.53\"} protocol = \"udp\" ports = "
		 "{\"53\"} technology = \"l4/2\" targets = %s }\n",
		 both);
	snprintf(text, sizeof(text),
		 "node = \"n%u\"\n%s%s%s%s%s%s"
		 "dispatcher \"inner\" { role = \"inner\" firewall-port = \"outside\" "
		 "ports = {\"inside\"} nodes = {\"n0\", \"n1\", \"n2\"} take-back = false "
		 "max-flows = %u }\n"
		 "cluster { id = 2 device = \"c\" key-file = \"/none\" hello-interval = \"100ms\" "
		 "dead-after = \"400ms\" }\n"
		 "member \"n%u\" { id = %u address = \"10.9.0.%u\" }\n"
		 "member \"n1\" { id = 2 address = \"10.9.0.2\" }\n"
		 "member \"n%u\" { id = %u address = \"10.9.0.%u\" }\n",
		 node, o->no_second ? "" : paths[!back], paths[back], services[back],
		 services[!back], o->no_second ? "" : targets[!back], targets[back],
		 o->max_flows ? o->max_flows : 4096, back ? 2 : 0, back ? 3 : 1, back ? 3 : 1,
		 back ? 0 : 2, back ? 1 : 3, back ? 1 : 3);
	return rig_params("", text);
}

/* --- the network --------------------------------------------------------------------------------
 */

static bool chance(struct world *w, unsigned thousandths)
{
	return rng_u64(&w->rng) % 1000 < thousandths;
}

static void push(struct world *w, unsigned from, unsigned to, const struct datagram *d,
		 uint64_t delay_ns)
{
	struct event *e = &w->queue[w->n_queue++];

	ck_assert_uint_lt(w->n_queue, QUEUE);
	*e = (struct event){.at_ns = w->now_ns + delay_ns,
			    .from = from,
			    .to = to,
			    .multicast = d->multicast,
			    .size = d->size,
			    .data = malloc(d->size)};
	memcpy(e->data, d->data, d->size);
}

static void carry(struct world *w, unsigned from, unsigned to, const struct datagram *d)
{
	struct wire_header h;
	uint64_t delay = DELAY_NS;

	ck_assert_int_eq(wire_get_header(&h, d->data, d->size), WIRE_OK);
	if (h.type == WIRE_SYNC || h.type == WIRE_SYNC_ASK) {
		w->n_sync++;
		if (w->cut[to] || chance(w, w->loss))
			return;
		if (chance(w, w->duplicate))
			push(w, from, to, d, delay + rng_u64(&w->rng) % 5000000);
		if (chance(w, w->late))
			delay += rng_u64(&w->rng) % 5000000;
	}
	push(w, from, to, d, delay);
}

static void call_end(struct world *w, unsigned node);

/* Everybody on a segment is there and has a MAC address of its own. */
static struct macaddr host_mac(unsigned port, unsigned last)
{
	return (struct macaddr){{2, 0xee, 0, 0, (uint8_t)port, (uint8_t)last}};
}

static size_t answer(struct world *w, unsigned node, const struct frame *f, uint8_t *out)
{
	struct frame copy = *f;
	struct pkt pkt;
	struct arp arp;

	if (pkt_decode(&pkt, &copy) != DROP_NONE)
		return 0;
	if (pkt.kind == PKT_IP)
		ipaddr_text(w->last_dst, &pkt.tuple.dst);
	if (pkt.kind != PKT_ARP) {
		w->n_out[node] += pkt.kind == PKT_IP && pkt.tuple.proto != IPPROTO_NUM_ICMP;
		return 0;
	}
	if (arp_parse(&arp, &copy, pkt.l3) != DROP_NONE || arp.op != 1 ||
	    ipaddr_eq(&arp.sender_ip, &arp.target_ip) || arp.target_ip.b[15] < 10)
		return 0;
	struct build_eth eth = {.dst = rig_mac(f->port),
				.src = host_mac(f->port, arp.target_ip.b[15]),
				.vlan = w->params[node]->ports[f->port].vlan};
	struct arp reply = {.op = 2,
			    .sender_mac = eth.src,
			    .sender_ip = arp.target_ip,
			    .target_mac = arp.sender_mac,
			    .target_ip = arp.sender_ip};
	return build_arp(w->build, &eth, &reply, out, 256);
}

static void call_end(struct world *w, unsigned node)
{
	struct actions *a = w->actions;
	struct rig_reply *replies = calloc(a->n_frames + 1, sizeof(*replies));
	unsigned n = 0;

	for (uint32_t i = 0; i < a->n_datagrams; i++) {
		const struct datagram *d = &a->datagrams[i];

		if (!d->multicast && channel_is_segment(&d->to))
			continue;
		for (unsigned to = 0; to < NODES; to++)
			if (to != node && (d->multicast || d->to.addr.b[15] == to + 1))
				carry(w, node, to, d);
	}
	for (uint32_t i = 0; i < a->n_frames; i++) {
		replies[n].port = a->frames[i].port;
		replies[n].size = answer(w, node, &a->frames[i], replies[n].bytes + FRAME_HEADROOM);
		n += replies[n].size > 0;
	}
	actions_reset(a);
	for (unsigned i = 0; i < n; i++) {
		struct frame f = {.data = replies[i].bytes + FRAME_HEADROOM,
				  .len = (uint32_t)replies[i].size,
				  .port = replies[i].port};
		engine_frames(w->engines[node], &f, 1, w->now_ns, a);
		call_end(w, node);
	}
	free(replies);
}

static void deliver(struct world *w, unsigned i)
{
	struct event e = w->queue[i];
	uint8_t a[4] = {10, 9, 0, (uint8_t)(e.from + 1)};
	struct endpoint from = {.addr = ipaddr_v4(a), .port = 7067};

	memmove(&w->queue[i], &w->queue[i + 1], (--w->n_queue - i) * sizeof(e));
	if (w->engines[e.to]) {
		engine_datagram(w->engines[e.to], e.data, e.size, &from, e.multicast, w->now_ns,
				w->actions);
		call_end(w, e.to);
	}
	free(e.data);
}

static void run(struct world *w, uint64_t ms)
{
	uint64_t until = w->now_ns + ms * RIG_MS;

	for (;;) {
		uint64_t best = UINT64_MAX;
		unsigned event = QUEUE, node = NODES;

		for (unsigned i = 0; i < w->n_queue; i++)
			if (w->queue[i].at_ns < best && !w->still[w->queue[i].to]) {
				best = w->queue[i].at_ns;
				event = i;
			}
		for (unsigned i = 0; i < NODES; i++)
			if (w->engines[i] && !w->still[i] && engine_next(w->engines[i]) < best) {
				best = engine_next(w->engines[i]);
				node = i;
			}
		if (best > until)
			break;
		w->now_ns = best > w->now_ns ? best : w->now_ns;
		if (node == NODES) {
			deliver(w, event);
		} else {
			engine_tick(w->engines[node], w->now_ns, w->actions);
			call_end(w, node);
		}
	}
	w->now_ns = until;
}

/* --- nodes --------------------------------------------------------------------------------------
 */

static void node_start(struct world *w, unsigned node, const struct node_options *o)
{
	static const struct node_options usual;
	struct engine_seed seed;
	char err[128];

	for (unsigned i = 0; i < 8; i++)
		seed.words[i] = rng_u64(&w->rng);
	for (unsigned i = 0; i < 16; i++)
		seed.boot_id[i] = (uint8_t)rng_u64(&w->rng);
	w->params[node] = params_of(node, o ? o : &usual);
	w->engines[node] = engine_new(
		w->params[node], keyring_parse(key_text, sizeof(key_text) - 1, err, sizeof(err)),
		&seed, w->now_ns);
	ck_assert_ptr_nonnull(w->engines[node]);
	for (uint16_t port = 0; port < w->params[node]->n_ports; port++) {
		struct engine_link link = {
			.up = true, .mac = rig_mac(port), .mtu = 1500, .is_ours = true};
		engine_set_link(w->engines[node], port, &link, w->now_ns, w->actions);
		call_end(w, node);
	}
}

static void node_kill(struct world *w, unsigned node)
{
	engine_free(w->engines[node]);
	conf_free(w->params[node]);
	w->engines[node] = NULL;
	w->params[node] = NULL;
}

static struct dispatch *table(struct world *w, unsigned node)
{
	return &w->engines[node]->dispatch;
}

static struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	w->rng.counter = seed << 32;
	w->now_ns = 1000000000000ULL;
	w->actions = actions_new();
	w->build = build_new();
	return w;
}

/* All nodes run, the first plays it and the others have its tables. */
static struct world *world_ready(uint64_t seed)
{
	struct world *w = world_new(seed);

	for (unsigned i = 0; i < NODES; i++) {
		node_start(w, i, NULL);
		run(w, i == 0 ? 1500 : 100);
	}
	run(w, 1500);
	ck_assert(takeover_is_active(table(w, 0), 0));
	ck_assert(replica_synced(table(w, 1), 0) && replica_synced(table(w, 2), 0));
	return w;
}

static void world_free(struct world *w)
{
	for (unsigned i = 0; i < NODES; i++)
		if (w->engines[i])
			node_kill(w, i);
	for (unsigned i = 0; i < w->n_queue; i++)
		free(w->queue[i].data);
	actions_free(w->actions);
	build_free(w->build);
	free(w);
}

static uint64_t counted(struct world *w, unsigned node, enum counter c)
{
	return engine_counters(w->engines[node])[c];
}

/* --- traffic ------------------------------------------------------------------------------------
 */

static void send_packet(struct world *w, unsigned node, unsigned port, unsigned from,
			const struct rig_packet *p)
{
	static struct sample s;
	struct macaddr mac = host_mac(port, from);
	struct frame f;

	rig_make(&s, p);
	f = rig_ready(&s, port);
	memcpy(f.data + 6, mac.b, 6);
	engine_frames(w->engines[node], &f, 1, w->now_ns, w->actions);
	call_end(w, node);
}

/* From client n, whose firewall is one of the two. */
static void client_sends(struct world *w, unsigned node, unsigned n, unsigned flags)
{
	char client[32];
	struct rig_packet p = {.src = client,
			       .dst = "203.0.113.80",
			       .proto = IPPROTO_NUM_TCP,
			       .sport = 4000 + n / 200,
			       .dport = 80,
			       .flags = flags,
			       .seq = 1000,
			       .ack = 2000};

	snprintf(client, sizeof(client), "198.51.100.%u", n % 200 + 1);
	send_packet(w, node, OUTSIDE, n % 2 ? 12 : 11, &p);
}

static void client_asks(struct world *w, unsigned node, unsigned n)
{
	char client[32];
	struct rig_packet p = {.src = client,
			       .dst = "203.0.113.53",
			       .proto = IPPROTO_NUM_UDP,
			       .sport = 4000 + n / 200,
			       .dport = 53};

	snprintf(client, sizeof(client), "198.51.100.%u", n % 200 + 1);
	send_packet(w, node, OUTSIDE, n % 2 ? 12 : 11, &p);
	send_packet(w, node, OUTSIDE, n % 2 ? 12 : 11, &p);
}

static void client_opens(struct world *w, unsigned node, unsigned n)
{
	client_sends(w, node, n, TCP_SYN);
	client_sends(w, node, n, TCP_ACK);
}

/* The server that client n's last packet went to answers, `flags` after `flags`. */
static void server_sends(struct world *w, unsigned node, unsigned n, const unsigned *flags,
			 unsigned n_flags)
{
	char client[32], server[64];
	struct rig_packet p = {.src = server,
			       .dst = client,
			       .proto = IPPROTO_NUM_TCP,
			       .sport = 80,
			       .dport = 4000 + n / 200,
			       .seq = 5000,
			       .ack = 1001};

	snprintf(client, sizeof(client), "198.51.100.%u", n % 200 + 1);
	snprintf(server, sizeof(server), "%s", w->last_dst);
	for (unsigned i = 0; i < n_flags; i++) {
		p.flags = flags[i];
		send_packet(w, node, INSIDE, server[8] == '1' ? 81 : 80, &p);
	}
}

/* --- what a table says ---------------------------------------------------------------------------
 */

static void mix(uint64_t *h, const void *data, size_t size)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < size; i++)
		*h = (*h ^ b[i]) * 0x100000001b3;
}

static uint64_t flow_digest(const struct dispatch *d, const struct dflow *f)
{
	const struct params *p = d->params;
	uint64_t h = 0xcbf29ce484222325;
	uint32_t names[3] = {f->path == PARAMS_NONE ? 0 : p->paths[f->path].id,
			     f->service == PARAMS_NONE ? 0 : name_id(p->services[f->service].name),
			     f->target == PARAMS_NONE ? 0 : name_id(p->targets[f->target].name)};
	uint8_t flags = f->flags &
			(DFLOW_ORIGIN_B | DFLOW_INSIDE | DFLOW_FIN_0 | DFLOW_FIN_1 | DFLOW_COUNTED);
	uint8_t held = f->affinity_service != PARAMS_NONE;

	mix(&h, &f->entry.key, sizeof(f->entry.key));
	if (f->twin != FLOW_NO_INDEX) {
		const struct dflow *twin = flow_table_at(d->flows, f->twin);
		mix(&h, &twin->entry.key, sizeof(twin->entry.key));
	}
	mix(&h, names, sizeof(names));
	mix(&h, &flags, 1);
	mix(&h, &f->state, 1);
	mix(&h, &held, 1);
	return h;
}

struct digest {
	uint64_t sum;
	unsigned n, twins, half;
};

static struct digest digest(const struct dispatch *d)
{
	struct digest g = {.sum = 0};
	uint32_t pos = 0;
	const struct dflow *f;

	while ((f = flow_table_next(d->flows, &pos))) {
		g.twins += !!(f->flags & DFLOW_TWIN);
		g.half += !!(f->flags & DFLOW_HALF);
		if (f->flags & (DFLOW_TWIN | DFLOW_HALF))
			continue;
		g.n++;
		g.sum += flow_digest(d, f);
	}
	return g;
}

/* Who has how many flows must be true of the flows there are. */
static void balanced(const struct dispatch *d)
{
	uint32_t by_target[PARAMS_TARGETS] = {0}, by_path[PARAMS_PATHS] = {0}, pos = 0, n = 0;
	const struct dflow *f;

	while ((f = flow_table_next(d->flows, &pos))) {
		if (f->flags & DFLOW_TWIN || !(f->flags & DFLOW_COUNTED))
			continue;
		n++;
		if (f->target != PARAMS_NONE)
			by_target[f->target]++;
		if (f->path != PARAMS_NONE)
			by_path[f->path]++;
	}
	ck_assert_uint_eq(d->dispatchers[0].n_flows, n);
	for (uint32_t i = 0; i < d->params->n_targets; i++)
		ck_assert_uint_eq(d->target_candidates[i].n_flows, by_target[i]);
	for (uint32_t i = 0; i < d->params->n_paths; i++)
		ck_assert_uint_eq(d->dispatchers[0].path_candidates[i].n_flows, by_path[i]);
}

static void same(struct world *w, unsigned x, unsigned y)
{
	struct digest a = digest(table(w, x)), b = digest(table(w, y));

	balanced(table(w, x));
	balanced(table(w, y));
	ck_assert_msg(a.n == b.n, "%u has %u flows, %u has %u", x, a.n, y, b.n);
	ck_assert_uint_eq(b.half, 0);
	ck_assert_msg(a.sum == b.sum, "the same number of flows (%u), but not the same", a.n);
	ck_assert_uint_eq(flow_table_count(table(w, y)->flows), b.n + b.twins);
}

static struct dflow *only_flow(struct world *w, unsigned node)
{
	uint32_t pos = 0;
	struct dflow *f;

	while ((f = flow_table_next(table(w, node)->flows, &pos)))
		if (!(f->flags & DFLOW_TWIN))
			return f;
	return NULL;
}

/* --- changes ------------------------------------------------------------------------------------
 */

/* Within 5 ms of being confirmed. Beginnings cost nobody anything. */
START_TEST(changes_are_told)
{
	struct world *w = world_ready(1);
	unsigned before;

	before = w->n_sync;
	for (unsigned n = 100; n < 150; n++)
		client_sends(w, 0, n, TCP_SYN);
	ck_assert_uint_eq(digest(table(w, 0)).half, 50);
	run(w, 20);
	ck_assert_uint_eq(flow_table_count(table(w, 1)->flows), 0);
	ck_assert_uint_le(w->n_sync - before, 2); /* the one that says which is the last */
	for (unsigned n = 0; n < 50; n++) {
		client_opens(w, 0, n);
		client_asks(w, 0, n);
	}
	run(w, 5);
	same(w, 0, 1);
	same(w, 0, 2);
	ck_assert_uint_eq(digest(table(w, 1)).n, 100);
	ck_assert_uint_eq(digest(table(w, 1)).twins, 50);
	for (unsigned n = 0; n < 20; n++)
		client_sends(w, 0, n, n % 2 ? TCP_RST : TCP_FIN | TCP_ACK);
	run(w, 5);
	same(w, 0, 1);
	ck_assert_uint_eq(affinity_count(table(w, 1)->affinities), 50);
	ck_assert_uint_eq(counted(w, 1, COUNTER_SYNC_SKIPPED), 0);
	ck_assert_uint_eq(counted(w, 1, COUNTER_SYNC_GAPS), 0);
	ck_assert_uint_eq(w->n_out[1] + w->n_out[2], 0);
	world_free(w);
}
END_TEST

/* Idle flows end everywhere, those that go on live everywhere. */
START_TEST(time_passes)
{
	struct world *w = world_ready(2);

	client_asks(w, 0, 1);
	client_asks(w, 0, 2);
	for (unsigned i = 0; i < 40; i++) {
		run(w, 10000);
		client_asks(w, 0, 1);
	}
	run(w, 10);
	ck_assert_uint_eq(digest(table(w, 0)).n, 1);
	same(w, 0, 1);
	same(w, 0, 2);
	ck_assert_uint_gt(only_flow(w, 1)->packets[0], 60);
	run(w, 600000);
	ck_assert_uint_eq(flow_table_count(table(w, 0)->flows), 0);
	same(w, 0, 1);
	world_free(w);
}
END_TEST

/* --- losses -------------------------------------------------------------------------------------
 */

static void traffic(struct world *w, unsigned node, unsigned steps)
{
	while (steps--) {
		unsigned n = (unsigned)(rng_u64(&w->rng) % 600), what = rng_u64(&w->rng) % 8;

		if (what < 3)
			client_opens(w, node, n);
		else if (what < 5)
			client_asks(w, node, n);
		else
			client_sends(w, node, n,
				     what == 5	 ? TCP_FIN | TCP_ACK
				     : what == 6 ? TCP_RST
						 : TCP_SYN);
		if (rng_u64(&w->rng) % 4 == 0)
			run(w, rng_u64(&w->rng) % 4);
	}
}

START_TEST(lost_repeated_overtaken)
{
	struct world *w = world_ready((uint64_t)_i + 10);

	w->loss = (unsigned)_i % 4 * 60;
	w->duplicate = (unsigned)_i % 3 * 100;
	w->late = (unsigned)_i % 5 * 50;
	traffic(w, 0, 1500);
	w->loss = w->duplicate = w->late = 0;
	run(w, 3000);
	ck_assert(replica_synced(table(w, 1), 0) && replica_synced(table(w, 2), 0));
	same(w, 0, 1);
	same(w, 0, 2);
	ck_assert_uint_gt(digest(table(w, 0)).n, 100);
	world_free(w);
}
END_TEST

/* The last message before a silence. */
START_TEST(last_one_is_missed)
{
	struct world *w = world_ready(3);

	w->cut[1] = true;
	client_opens(w, 0, 1);
	run(w, 10);
	w->cut[1] = false;
	ck_assert_uint_eq(digest(table(w, 1)).n, 0);
	run(w, 400);
	ck_assert_uint_eq(counted(w, 1, COUNTER_SYNC_GAPS), 1);
	ck_assert_uint_eq(counted(w, 2, COUNTER_SYNC_GAPS), 0);
	same(w, 0, 1);
	world_free(w);
}
END_TEST

/* There was no memory for a message: it is missed like one that the network lost. */
START_TEST(no_room_to_send)
{
	struct world *w = world_ready(4);

	client_opens(w, 0, 1);
	w->now_ns += 3 * RIG_MS;
	w->actions->arena_used = ACTIONS_ARENA;
	engine_tick(w->engines[0], w->now_ns, w->actions);
	call_end(w, 0);
	run(w, 1000);
	same(w, 0, 1);
	same(w, 0, 2);
	world_free(w);
}
END_TEST

/* --- all of it ----------------------------------------------------------------------------------
 */

START_TEST(newcomer_under_load)
{
	struct world *w = world_ready(5);

	traffic(w, 0, 2000);
	node_kill(w, 2);
	run(w, 1000);
	node_start(w, 2, NULL);
	for (unsigned i = 0; i < 40; i++) {
		traffic(w, 0, 30);
		run(w, 20);
	}
	run(w, 1000);
	ck_assert(replica_synced(table(w, 2), 0));
	same(w, 0, 1);
	same(w, 0, 2);
	ck_assert_uint_eq(affinity_count(table(w, 2)->affinities),
			  affinity_count(table(w, 0)->affinities));
	world_free(w);
}
END_TEST

/* A change that waits to be told is news to the others even if a walk for one tells it first. */
START_TEST(walk_for_one_hides_nothing_from_others)
{
	struct world *w = world_ready(6);

	client_opens(w, 0, 1);
	replica_bulk(table(w, 0), 0, 2);
	engine_tick(w->engines[0], w->now_ns, w->actions); /* before changes are due */
	call_end(w, 0);
	run(w, 20);
	same(w, 0, 2);
	same(w, 0, 1);
	world_free(w);
}
END_TEST

/* A walk must not tell of a flow before the end of the one that had its key. */
START_TEST(walk_after_the_end)
{
	struct world *w = world_ready(7);

	client_opens(w, 0, 1);
	run(w, 20);
	dflow_remove(table(w, 0), only_flow(w, 0), DROP_NONE);
	client_opens(w, 0, 1);
	replica_bulk(table(w, 0), 0, 1);
	engine_tick(w->engines[0], w->now_ns, w->actions);
	call_end(w, 0);
	run(w, 20);
	ck_assert_uint_eq(digest(table(w, 0)).n, 1);
	same(w, 0, 1);
	world_free(w);
}
END_TEST

/* Walks of two nodes may have the same number. */
START_TEST(numbers_of_two_sources)
{
	struct world *w = world_new(8);

	node_start(w, 0, NULL);
	run(w, 1500);
	node_start(w, 2, NULL);
	run(w, 1500);
	node_start(w, 1, NULL);
	run(w, 1500);
	for (unsigned n = 0; n < 20; n++)
		client_opens(w, 0, n);
	run(w, 20);
	same(w, 0, 1);
	same(w, 0, 2);
	w->cut[2] = true;
	node_kill(w, 0);
	run(w, 1000);
	ck_assert(takeover_is_active(table(w, 1), 0));
	dflow_remove(table(w, 1), only_flow(w, 1), DROP_NONE);
	run(w, 20);
	w->cut[2] = false;
	run(w, 1000);
	ck_assert(replica_synced(table(w, 2), 0));
	ck_assert_uint_eq(digest(table(w, 1)).n, 19);
	same(w, 1, 2);
	world_free(w);
}
END_TEST

/* The end of one was missed, and the server has begun another under the same key. */
START_TEST(another_in_its_place)
{
	struct world *w = world_ready(9);
	static const unsigned begins[] = {TCP_SYN, TCP_ACK};

	client_opens(w, 0, 1);
	run(w, 20);
	same(w, 0, 1);
	w->cut[1] = true;
	dflow_remove(table(w, 0), only_flow(w, 0), DROP_NONE);
	run(w, 20);
	w->cut[1] = false;
	server_sends(w, 0, 1, begins, 2);
	run(w, 1000);
	ck_assert_uint_eq(digest(table(w, 0)).n, 1);
	same(w, 0, 1);
	same(w, 0, 2);
	world_free(w);
}
END_TEST

/* --- nodes that differ --------------------------------------------------------------------------
 */

START_TEST(another_configuration)
{
	struct world *w = world_new(20);
	struct node_options less = {.no_second = true};
	unsigned known = 0;
	uint32_t pos = 0;
	const struct dflow *f;

	node_start(w, 0, NULL);
	run(w, 1500);
	node_start(w, 1, &less);
	run(w, 1500);
	for (unsigned n = 0; n < 60; n++)
		client_opens(w, 0, n);
	run(w, 20);
	while ((f = flow_table_next(table(w, 0)->flows, &pos)))
		known += !(f->flags & DFLOW_TWIN) &&
			 strcmp(w->params[0]->paths[f->path].name, "fw1") == 0 &&
			 strcmp(w->params[0]->targets[f->target].name, "s") == 0;
	ck_assert_uint_gt(known, 0);
	ck_assert_uint_eq(digest(table(w, 1)).n, known);
	ck_assert_uint_eq(counted(w, 1, COUNTER_SYNC_SKIPPED), 60 - known);
	balanced(table(w, 1));
	world_free(w);
}
END_TEST

/* Members, firewalls, services and targets stand in another order. */
START_TEST(another_order)
{
	struct world *w = world_new(21);
	struct node_options other = {.order = "reverse"};

	node_start(w, 0, NULL);
	run(w, 1500);
	node_start(w, 1, &other);
	node_start(w, 2, NULL);
	run(w, 1500);
	traffic(w, 0, 500);
	run(w, 20);
	same(w, 0, 1);
	same(w, 0, 2);
	world_free(w);
}
END_TEST

START_TEST(reload_in_another_order)
{
	struct world *w = world_ready(22);
	struct node_options other = {.order = "reverse"};

	traffic(w, 0, 500);
	for (unsigned i = 0; i < 2; i++) {
		struct params *p = params_of(i, &other);

		ck_assert_int_eq(engine_reload(w->engines[i], p, NULL, w->now_ns, w->actions), 0);
		call_end(w, i);
		conf_free(w->params[i]);
		w->params[i] = p;
		traffic(w, 0, 200);
		run(w, 1000);
		ck_assert(takeover_is_active(table(w, 0), 0));
		same(w, 0, 1);
		same(w, 0, 2);
	}
	world_free(w);
}
END_TEST

START_TEST(copy_is_full)
{
	struct world *w = world_new(23);
	struct node_options small = {.max_flows = 1024};

	node_start(w, 0, NULL);
	run(w, 1500);
	node_start(w, 1, &small);
	run(w, 1500);
	for (unsigned n = 0; n < 1000; n++)
		client_opens(w, 0, n);
	run(w, 100);
	ck_assert_uint_eq(digest(table(w, 0)).n, 1000);
	ck_assert_uint_eq(flow_table_count(table(w, 1)->flows), 1024);
	ck_assert_uint_eq(digest(table(w, 1)).half, 0);
	ck_assert_uint_gt(counted(w, 1, COUNTER_SYNC_SKIPPED), 400);
	balanced(table(w, 1));
	world_free(w);
}
END_TEST

/* --- who plays it changes -----------------------------------------------------------------------
 */

START_TEST(flows_go_on)
{
	struct world *w = world_ready(30);
	char dst[40][64];

	for (unsigned n = 0; n < 40; n++) {
		client_opens(w, 0, n);
		memcpy(dst[n], w->last_dst, sizeof(dst[n]));
	}
	run(w, 5);
	node_kill(w, 0);
	run(w, 700);
	ck_assert(takeover_is_active(table(w, 1), 0));
	for (unsigned n = 0; n < 40; n++) {
		unsigned before = w->n_out[1];

		client_sends(w, 1, n, TCP_ACK);
		run(w, 2);
		ck_assert_uint_eq(w->n_out[1], before + 1);
		ck_assert_str_eq(w->last_dst, dst[n]);
	}
	ck_assert_uint_eq(engine_drops(w->engines[1])[DROP_NO_FLOW], 0);
	run(w, 1000);
	ck_assert(replica_synced(table(w, 2), 0));
	same(w, 1, 2);
	node_start(w, 0, NULL);
	run(w, 2000);
	ck_assert(replica_synced(table(w, 0), 0));
	same(w, 1, 0);
	world_free(w);
}
END_TEST

/* Who has not been heard for a while is told nothing, and is to find out what it has missed. */
START_TEST(copy_stood_still)
{
	struct world *w = world_ready(32);

	w->still[1] = true;
	run(w, 800);
	for (unsigned n = 0; n < 10; n++)
		client_opens(w, 0, n);
	run(w, 700);
	w->still[1] = false;
	run(w, 3000);
	ck_assert(replica_synced(table(w, 1), 0));
	same(w, 0, 1);
	world_free(w);
}
END_TEST

static void all_down(struct world *w, unsigned node)
{
	for (uint16_t i = 0; i < 3 * w->params[node]->n_targets; i++)
		engine_target_health(w->engines[node], i / 3, false, "the test says so", w->now_ns,
				     w->actions);
	call_end(w, node);
	run(w, 50);
}

/* A node that stands by may be cut off from the servers: the flows, and what clients are tied to,
 * are another's. When it plays the dispatcher its verdicts count. */
START_TEST(servers_that_a_copy_cannot_reach)
{
	static const unsigned answer[] = {TCP_ACK};
	struct world *w = world_ready(31);

	for (unsigned n = 0; n < 40; n++) {
		client_opens(w, 0, n);
		server_sends(w, 0, n, answer, n < 20);
	}
	run(w, 5);
	all_down(w, 1);
	same(w, 0, 1);
	ck_assert_uint_eq(affinity_count(table(w, 1)->affinities), 40);
	engine_flush(w->engines[1], ENGINE_FLUSH_FLOWS, w->now_ns,
		     w->actions); /* at the wrong node */
	call_end(w, 1);
	same(w, 0, 1);
	ck_assert(replica_synced(table(w, 1), 0));
	/* Have said all, and wait for an answer; of the others answers do not come by here, and one
	 * FIN is as much as is ever seen of their end. */
	for (unsigned n = 0; n < 30; n++)
		client_sends(w, 0, n, TCP_ACK | TCP_FIN);
	run(w, 5);
	node_kill(w, 0);
	run(w, 1000);
	ck_assert(takeover_is_active(table(w, 1), 0));
	ck_assert_uint_eq(flow_table_count(table(w, 1)->flows), 0);
	ck_assert_uint_eq(counted(w, 1, COUNTER_FLOWS_RESET), 40);
	ck_assert_uint_eq(counted(w, 1, COUNTER_RESET_SENT), 20 + 10);
	world_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("replica");
	TCase *t = tcase_create("replica");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, changes_are_told);
	tcase_add_test(t, time_passes);
	tcase_add_loop_test(t, lost_repeated_overtaken, 0, 20);
	tcase_add_test(t, last_one_is_missed);
	tcase_add_test(t, no_room_to_send);
	tcase_add_test(t, newcomer_under_load);
	tcase_add_test(t, walk_for_one_hides_nothing_from_others);
	tcase_add_test(t, walk_after_the_end);
	tcase_add_test(t, numbers_of_two_sources);
	tcase_add_test(t, another_in_its_place);
	tcase_add_test(t, another_configuration);
	tcase_add_test(t, another_order);
	tcase_add_test(t, reload_in_another_order);
	tcase_add_test(t, copy_is_full);
	tcase_add_test(t, flows_go_on);
	tcase_add_test(t, copy_stood_still);
	tcase_add_test(t, servers_that_a_copy_cannot_reach);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
