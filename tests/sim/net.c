#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "packet/build.h"

#define FRAME_DELAY_NS 20000ULL
#define DATAGRAM_DELAY_NS 50000ULL
#define EVENT_BYTES 2048

struct net_event {
	struct heap_item item; /* first */
	struct net_nic *nic;   /* a frame arrives there */
	struct net_node *to;   /* a datagram arrives there */
	unsigned from;
	bool multicast;
	void (*fn)(struct net *, uint64_t);
	uint64_t word;
	size_t size;
	uint8_t room[FRAME_HEADROOM];
	uint8_t data[];
};

static const char key_text[] =
	"1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f active\n";

uint64_t net_dice(struct net *n, uint64_t sides)
{
	return rng_u64(&n->rng) % sides;
}

/* No larger than its bytes, so that a read behind them is found. */
static struct net_event *event_push(struct net *n, uint64_t delay_ns, const void *data, size_t size)
{
	struct net_event *e = malloc(offsetof(struct net_event, data) + size);

	if (!e || size > EVENT_BYTES)
		abort();
	memset(e, 0, offsetof(struct net_event, room));
	e->item.when_ns = n->now_ns + delay_ns;
	e->size = size;
	if (size)
		memcpy(e->data, data, size);
	heap_push(&n->heap, &e->item);
	return e;
}

/* --- segments ----------------------------------------------------------------------------------
 */

struct net_nic *net_nic_add(struct net *n, unsigned segment, const struct macaddr *mac,
			    net_receive *receive, void *owner)
{
	struct net_nic *nic = &n->nics[n->n_nics++];

	if (n->n_nics > NET_NICS)
		abort();
	*nic = (struct net_nic){
		.segment = segment, .mac = *mac, .receive = receive, .owner = owner};
	return nic;
}

static struct net_nic *learnt(struct net *n, unsigned segment, const uint8_t *mac)
{
	for (unsigned i = 0; i < n->n_nics; i++)
		if (n->nics[i].segment == segment && n->nics[i].heard &&
		    memcmp(n->nics[i].mac.b, mac, 6) == 0)
			return &n->nics[i];
	return NULL;
}

static void hear(struct net *n, const struct net_nic *nic)
{
	n->nics[nic - n->nics].heard = true;
}

void net_send(struct net *n, const struct net_nic *nic, const uint8_t *data, size_t size,
	      uint64_t delay_ns)
{
	struct net_nic *to = data[0] & 1 ? NULL : learnt(n, nic->segment, data);

	if (memcmp(data + 6, nic->mac.b, 6) != 0)
		abort(); /* nobody here sends as somebody else */
	hear(n, nic);
	for (unsigned i = 0; i < n->n_nics; i++) {
		struct net_nic *other = &n->nics[i];
		if (other == nic || other->segment != nic->segment || (to && other != to))
			continue;
		event_push(n, FRAME_DELAY_NS + delay_ns, data, size)->nic = other;
	}
}

void net_send_ip(struct net *n, const struct net_nic *nic, const struct macaddr *dst,
		 const uint8_t *ip, size_t size, uint64_t delay_ns)
{
	uint8_t frame[EVENT_BYTES];

	memcpy(frame, dst->b, 6);
	memcpy(frame + 6, nic->mac.b, 6);
	frame[12] = ip[0] >> 4 == 6 ? 0x86 : 0x08;
	frame[13] = ip[0] >> 4 == 6 ? 0xdd : 0x00;
	memcpy(frame + 14, ip, size);
	net_send(n, nic, frame, size + 14, delay_ns);
}

bool net_answer(struct net *n, const struct net_nic *nic, const struct pkt *pkt,
		bool (*holds)(const struct net_nic *nic, const struct ipaddr *a))
{
	struct build_eth eth = {.dst = pkt->eth_src, .src = nic->mac};
	uint8_t out[256];
	struct arp arp;
	struct nd nd;

	if (pkt->kind == PKT_ARP && arp_parse(&arp, pkt->frame, pkt->l3) == DROP_NONE &&
	    arp.op == 1 && holds(nic, &arp.target_ip)) {
		struct arp reply = {.op = 2,
				    .sender_mac = eth.src,
				    .sender_ip = arp.target_ip,
				    .target_mac = arp.sender_mac,
				    .target_ip = arp.sender_ip};
		net_send(n, nic, out, build_arp(n->build, &eth, &reply, out, sizeof(out)), 0);
	}
	if (pkt->kind == PKT_ND && nd_parse(&nd, pkt) == DROP_NONE && nd.type == 135 &&
	    holds(nic, &nd.target)) {
		struct nd reply = {.type = 136,
				   .src = nd.target,
				   .dst = nd.src,
				   .target = nd.target,
				   .has_mac = true,
				   .mac = eth.src,
				   .solicited = true,
				   .override = true};
		net_send(n, nic, out, build_nd(n->build, &eth, &reply, out, sizeof(out)), 0);
	}
	return pkt->kind != PKT_IP;
}

/* --- nodes ---------------------------------------------------------------------------------------
 */

static struct endpoint cluster_endpoint(unsigned cluster)
{
	uint8_t a[4] = {10, 9, 0, (uint8_t)cluster};
	return (struct endpoint){.addr = ipaddr_v4(a), .port = 7067};
}

static void datagram_to(struct net *n, const struct net_node *from, struct net_node *to,
			const struct datagram *d)
{
	unsigned copies = net_dice(n, 1000) < n->duplicate ? 2 : 1;

	if (to == from || to->cluster == 0 || net_dice(n, 1000) < n->loss)
		return;
	while (copies--) {
		uint64_t delay = DATAGRAM_DELAY_NS;
		struct net_event *e;
		if (n->jitter_ns)
			delay += net_dice(n, n->jitter_ns);
		e = event_push(n, delay, d->data, d->size);
		e->to = to;
		e->from = from->cluster;
		e->multicast = d->multicast;
	}
}

static void datagram_out(struct net *n, const struct net_node *from, const struct datagram *d)
{
	for (unsigned i = 0; i < n->n_nodes; i++) {
		struct endpoint ep = cluster_endpoint(n->nodes[i].cluster);
		if (d->multicast || ipaddr_eq(&d->to.addr, &ep.addr))
			datagram_to(n, from, &n->nodes[i], d);
	}
}

static void trace_note(const struct net *n, const struct net_node *node, const struct note *note)
{
	char flow[FLOW_KEY_TEXT] = "";

	if (note->has_flow)
		flow_key_text(flow, &note->key, note->dir);
	printf("%9.3f %-8s %-14s %s path %d target %d service %d %s %s\n", (double)n->now_ns / 1e6,
	       node->name, note_name(note->type), flow, (int16_t)note->path, (int16_t)note->target,
	       (int16_t)note->service, note->reason ? drop_name(note->reason) : "",
	       note->detail ? note->detail : "");
}

void net_carry_out(struct net *n, struct net_node *node)
{
	struct actions *a = n->actions;

	for (uint32_t i = 0; i < a->n_frames; i++)
		net_send(n, node->nics[a->frames[i].port], a->frames[i].data, a->frames[i].len, 0);
	for (uint32_t i = 0; i < a->n_datagrams; i++)
		datagram_out(n, node, &a->datagrams[i]);
	for (uint32_t i = 0; i < a->n_notes; i++) {
		if (n->trace)
			trace_note(n, node, &a->notes[i]);
		if (n->note)
			n->note(n, node, &a->notes[i]);
	}
	actions_reset(a);
	if (node->kernel)
		kernel_apply(node->kernel, node->engine);
}

static void node_receive(struct net *n, struct net_nic *nic, struct frame *frame)
{
	struct net_node *node = nic->owner;

	if (!node->engine)
		return;
	if (node->kernel && kernel_pass(node->kernel, frame, n->now_ns)) {
		net_send(n, node->nics[frame->port], frame->data, frame->len, 0);
		return;
	}
	engine_frames(node->engine, frame, 1, n->now_ns, n->actions);
	net_carry_out(n, node);
}

static struct params *parse(const char *name, const char *text)
{
	struct params *p = conf_parse(name, text, stderr, NULL);

	if (!p)
		abort();
	return p;
}

static struct params *node_params(const struct net_node *node)
{
	return node->params[node->n_params - 1];
}

/* Who is at the other end of a private stack's port. */
static struct macaddr peer_of(const struct net *n, const struct net_nic *nic)
{
	for (unsigned i = 0; i < n->n_nics; i++)
		if (&n->nics[i] != nic && n->nics[i].segment == nic->segment)
			return n->nics[i].mac;
	abort();
}

void net_node_start(struct net *n, struct net_node *node)
{
	struct engine_seed seed;
	struct keyring *keys = NULL;
	char err[128];

	for (unsigned i = 0; i < 8; i++)
		seed.words[i] = rng_u64(&n->rng);
	for (unsigned i = 0; i < 16; i++)
		seed.boot_id[i] = (uint8_t)rng_u64(&n->rng);
	if (node->cluster)
		keys = keyring_parse(key_text, sizeof(key_text) - 1, err, sizeof(err));
	node->engine = engine_new(node_params(node), keys, &seed, n->now_ns);
	if (!node->engine)
		abort();
	if (n->offload)
		node->kernel = kernel_new(node->engine);
	if (n->trace || n->note)
		engine_want_notes(node->engine, UINT32_MAX);
	for (uint16_t port = 0; port < node->n_nics; port++) {
		struct engine_link link = {.up = true,
					   .mac = node->nics[port]->mac,
					   .mtu = 1500,
					   .is_ours = true,
					   .ifindex = port + 1u,
					   .offload = n->offload,
					   .has_peer = node_params(node)->ports[port].is_stack};
		if (link.has_peer)
			link.peer = peer_of(n, node->nics[port]);
		engine_set_link(node->engine, port, &link, n->now_ns, n->actions);
		net_carry_out(n, node);
	}
}

struct net_node *net_node_add(struct net *n, const char *name, const char *text,
			      const unsigned *segments, unsigned cluster)
{
	struct net_node *node = &n->nodes[n->n_nodes++];

	if (n->n_nodes > NET_NODES)
		abort();
	node->name = name;
	node->cluster = cluster;
	node->params[node->n_params++] = parse(name, text);
	node->n_nics = node_params(node)->n_ports;
	for (uint16_t i = 0; i < node->n_nics; i++) {
		struct macaddr mac = {{2, 0, 0, (uint8_t)n->n_nodes, 0, (uint8_t)segments[i]}};
		node->nics[i] = net_nic_add(n, segments[i], &mac, node_receive, node);
		node->nics[i]->port = i;
	}
	net_node_start(n, node);
	return node;
}

static void kernel_gone(struct net *n, struct net_node *node)
{
	if (node->kernel)
		n->kernel_passed += node->kernel->passed;
	kernel_free(node->kernel);
	node->kernel = NULL;
}

uint64_t net_kernel_passed(const struct net *n)
{
	uint64_t sum = n->kernel_passed;

	for (unsigned i = 0; i < n->n_nodes; i++)
		if (n->nodes[i].kernel)
			sum += n->nodes[i].kernel->passed;
	return sum;
}

void net_node_kill(struct net *n, struct net_node *node)
{
	engine_free(node->engine);
	node->engine = NULL;
	kernel_gone(n, node);
}

void net_node_reload(struct net *n, struct net_node *node, const char *text)
{
	if (node->n_params == NET_RELOADS)
		abort();
	node->params[node->n_params++] = parse(node->name, text);
	if (engine_reload(node->engine, node_params(node), NULL, n->now_ns, n->actions) < 0)
		abort();
	net_carry_out(n, node);
}

bool net_balanced(const struct net_node *node, char *why, size_t size)
{
	const uint64_t *c = engine_counters(node->engine), *d = engine_drops(node->engine);
	uint64_t in, out;

	in = c[COUNTER_FRAMES_IN] + c[COUNTER_FRAMES_TUNNEL_IN] + c[COUNTER_FRAMES_MADE];
	out = c[COUNTER_FRAMES_OUT] + engine_held(node->engine);
	for (unsigned i = 1; i < DROP_COUNT; i++)
		out += d[i];
	snprintf(why, size, "%s: %llu in, %llu accounted for", node->name, (unsigned long long)in,
		 (unsigned long long)out);
	return in == out;
}

/* --- time ----------------------------------------------------------------------------------------
 */

void net_at(struct net *n, uint64_t when_ns, void (*fn)(struct net *, uint64_t), uint64_t word)
{
	struct net_event *e = event_push(n, when_ns - n->now_ns, NULL, 0);

	e->fn = fn;
	e->word = word;
}

static void happen(struct net *n, struct net_event *e)
{
	if (e->nic) {
		struct frame f = {.data = e->data, .len = (uint32_t)e->size, .port = e->nic->port};
		if (n->tap)
			n->tap(n, e->nic, &f);
		e->nic->receive(n, e->nic, &f);
	} else if (e->to && e->to->engine) {
		struct endpoint from = cluster_endpoint(e->from);
		engine_datagram(e->to->engine, e->data, e->size, &from, e->multicast, n->now_ns,
				n->actions);
		net_carry_out(n, e->to);
	} else if (e->fn) {
		e->fn(n, e->word);
	}
	free(e);
}

static uint64_t next_tick(struct net *n, struct net_node **node)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < n->n_nodes; i++) {
		struct engine *e = n->nodes[i].engine;
		uint64_t t = e ? engine_next(e) : UINT64_MAX;
		if (t < best) {
			best = t;
			*node = &n->nodes[i];
		}
	}
	return best;
}

void net_run(struct net *n, uint64_t until_ns)
{
	for (;;) {
		struct net_node *node = NULL;
		uint64_t tick = next_tick(n, &node), event = heap_when(&n->heap);
		uint64_t when = tick < event ? tick : event;

		if (when > until_ns)
			break;
		if (when > n->now_ns)
			n->now_ns = when;
		if (event <= tick) {
			happen(n, (struct net_event *)(void *)heap_pop(&n->heap));
		} else {
			engine_tick(node->engine, n->now_ns, n->actions);
			net_carry_out(n, node);
		}
	}
	n->now_ns = until_ns;
}

struct net *net_new(uint64_t seed, struct actions *actions)
{
	struct net *n = calloc(1, sizeof(*n));

	if (!n)
		abort();
	n->trace = getenv("SIM_TRACE") != NULL;
	if (n->trace)
		setvbuf(stdout, NULL, _IOLBF, 0);
	n->offload = seed & 1;
	n->now_ns = 1000000000ULL;
	n->rng = (struct rng){.key = {seed, seed * 77 + 5}};
	n->actions = actions;
	n->build = build_new();
	return n;
}

void net_free(struct net *n)
{
	for (unsigned i = 0; i < n->n_nodes; i++) {
		engine_free(n->nodes[i].engine);
		kernel_gone(n, &n->nodes[i]);
		for (unsigned j = 0; j < n->nodes[i].n_params; j++)
			conf_free(n->nodes[i].params[j]);
	}
	heap_fini(&n->heap);
	build_free(n->build);
	free(n);
}
