#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_priv.h"
#include "packet/decode.h"

#define ENGINE_ETHERNET 18		   /* with a VLAN tag */
#define ENGINE_CHUNK 32			   /* packets in flight between the prefetching passes */
#define ENGINE_BUSY_TICK_NS 2000000ULL	   /* while something short-lived is pending */
#define ENGINE_IDLE_TICK_NS 100000000ULL   /* otherwise */
#define ENGINE_OFFLOAD_TICK_NS 50000000ULL /* a walk over 65,536 flows takes a second or so */
#define ENGINE_OFFLOAD_BUDGET 4096

/* --- what the channel asks of us -------------------------------------------------------------- */

static uint8_t *engine_room(void *arg, size_t size)
{
	struct engine *e = arg;
	return actions_room(e->node.out, size);
}

/* By a segment of this node's own, to all members there: no switch keeps a group of its own kind
 * from anybody. */
static void engine_emit_segment(struct engine *e, uint16_t port, const uint8_t *data, size_t size)
{
	static const struct macaddr group = {{0x03, 0x00, 0x46, 0x57, 0x43, 0x31}};
	const struct node_link *l = &e->node.links[port];
	uint16_t vlan = e->params->ports[port].vlan;
	uint8_t *room = actions_room(e->node.out, FRAME_HEADROOM + ENGINE_ETHERNET + size);
	struct frame frame = {.port = NODE_ORIGINATED};
	struct wcur c;

	if (!room || !l->up)
		return;
	frame.data = room + FRAME_HEADROOM;
	c = wcur_init(frame.data, ENGINE_ETHERNET + size);
	wcur_bytes(&c, group.b, sizeof(group.b));
	wcur_bytes(&c, l->mac.b, sizeof(l->mac.b));
	if (vlan) {
		wcur_u16(&c, ETH_VLAN);
		wcur_u16(&c, vlan);
	}
	wcur_u16(&c, ETH_CLUSTER);
	wcur_bytes(&c, data, size);
	frame.len = (uint32_t)wcur_size(&c);
	e->node.counters[COUNTER_FRAMES_MADE]++;
	node_emit(&e->node, &frame, port);
}

static void engine_emit(void *arg, const struct endpoint *to, const uint8_t *data, size_t size)
{
	struct engine *e = arg;
	struct actions *out = e->node.out;
	struct datagram *d;

	if (to && channel_is_segment(to)) {
		engine_emit_segment(e, to->port, data, size);
		return;
	}
	if (out->n_datagrams == ACTIONS_DATAGRAMS)
		return; /* as if lost on the link; the counters of the messages tell */
	d = &out->datagrams[out->n_datagrams++];
	*d = (struct datagram){.multicast = !to, .data = data, .size = (uint32_t)size};
	if (to)
		d->to = *to;
}

static void engine_member_event(void *arg, enum channel_event event, uint32_t member)
{
	static const enum note_type notes[] = {
		[CHANNEL_MEMBER_UP] = NOTE_MEMBER_UP,
		[CHANNEL_MEMBER_RESTART] = NOTE_MEMBER_RESTART,
		[CHANNEL_MEMBER_DOWN] = NOTE_MEMBER_DOWN,
		[CHANNEL_MEMBER_LEFT] = NOTE_MEMBER_LEFT,
		[CHANNEL_DUPLICATE_ID] = NOTE_DUPLICATE_ID,
		[CHANNEL_CONFIG_DIFFERS] = NOTE_CONFIG_DIFFERS,
		[CHANNEL_WRONG_KEY] = NOTE_WRONG_KEY,
		[CHANNEL_VERSION_DIFFERS] = NOTE_CONFIG_DIFFERS,
	};
	struct engine *e = arg;
	struct note *note = node_note(&e->node, notes[event]);
	bool lost = event == CHANNEL_MEMBER_RESTART || event == CHANNEL_MEMBER_DOWN ||
		    event == CHANNEL_MEMBER_LEFT;

	if (e->firewall_ready && lost)
		relay_member_gone(&e->firewall, member);
	if (e->firewall_ready)
		backup_member_event(&e->firewall, event, member);
	if (e->firewall_ready && (lost || event == CHANNEL_MEMBER_UP)) {
		ask_again(&e->firewall);
		e->next_ns = e->node.now_ns;
	}
	if (e->dispatch_ready && lost) {
		legs_members_lost(&e->dispatch);
		e->next_ns = e->node.now_ns;
	}
	if (e->dispatch_ready && (event == CHANNEL_MEMBER_RESTART || event == CHANNEL_MEMBER_LEFT))
		takeover_member_gone(&e->dispatch, member);
	if (e->dispatch_ready && (event == CHANNEL_MEMBER_UP || event == CHANNEL_MEMBER_RESTART))
		dispatch_member_up(&e->dispatch, member);
	if (note)
		note->member = member;
	if (note && event == CHANNEL_VERSION_DIFFERS)
		note->detail = "it speaks another version of the protocol";
}

/* --- life ------------------------------------------------------------------------------------- */

static void engine_subseed(struct rng *r, uint64_t *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		out[i] = rng_u64(r);
}

static int engine_make_channel(struct engine *e, struct keyring *keys,
			       const struct engine_seed *seed, struct rng *rng, uint64_t now_ns)
{
	struct channel_io io = {.arg = e,
				.room = engine_room,
				.emit = engine_emit,
				.event = engine_member_event,
				.counters = e->node.counters};
	struct rng own;

	if (!e->params->cluster.enabled) {
		keyring_free(keys);
		return 0;
	}
	own = (struct rng){.key = {rng_u64(rng), rng_u64(rng)}};
	e->channel = channel_new(e->params, keys, seed->boot_id, own, &io, now_ns);
	return e->channel ? 0 : -ENOMEM;
}

struct engine *engine_new(const struct params *params, struct keyring *keys,
			  const struct engine_seed *seed, uint64_t now_ns)
{
	struct rng rng = {.key = {seed->words[0] ^ seed->words[2], seed->words[1] ^ seed->words[3]},
			  .counter = seed->words[4]};
	struct engine *e = calloc(1, sizeof(*e));
	uint64_t words[10];

	if (!e)
		return NULL;
	e->params = params;
	e->start_ns = now_ns;
	e->next_ns = now_ns;
	engine_subseed(&rng, words, 6);
	if (node_init(&e->node, params, words, now_ns) < 0) {
		free(e);
		return NULL;
	}
	engine_subseed(&rng, words, 10);
	if (engine_make_channel(e, keys, seed, &rng, now_ns) < 0 ||
	    firewall_init(&e->firewall, &e->node, e->channel, words) < 0) {
		engine_free(e);
		return NULL;
	}
	e->firewall_ready = true;
	engine_subseed(&rng, words, 10);
	if (dispatch_init(&e->dispatch, &e->node, e->channel, words) < 0) {
		engine_free(e);
		return NULL;
	}
	e->dispatch_ready = true;
	return e;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	if (e->dispatch_ready)
		dispatch_fini(&e->dispatch);
	if (e->firewall_ready)
		firewall_fini(&e->firewall);
	channel_free(e->channel);
	node_fini(&e->node);
	free(e);
}

/* --- what the host tells ---------------------------------------------------------------------- */

static void engine_tell_segments(struct engine *e)
{
	struct wire_segment v[PARAMS_PORTS];
	unsigned n = 0;

	if (!e->channel)
		return;
	for (uint32_t i = 0; i < e->params->n_ports; i++) {
		const struct port_params *p = &e->params->ports[i];
		if (!e->node.links[i].up || p->is_stack)
			continue;
		v[n++] = (struct wire_segment){
			.name = wire_segment_id(p->segment[0] ? p->segment : p->name),
			.mac = e->node.links[i].mac,
			.vlan = p->vlan};
	}
	channel_set_segments(e->channel, v, n);
}

void engine_set_link(struct engine *e, uint16_t port, const struct engine_link *link,
		     uint64_t now_ns, struct actions *out)
{
	const struct port_params *p = &e->params->ports[port];
	struct node_link l = {.up = link->up,
			      .mac = p->has_mac ? p->mac : link->mac,
			      .host_mac = link->mac,
			      .mtu = link->mtu,
			      .takes_gso = link->takes_gso,
			      .takes_partial_csum = link->takes_partial_csum,
			      .is_capture = link->is_capture,
			      .is_ours = link->is_ours,
			      .ifindex = link->ifindex,
			      .offload = link->offload,
			      .has_peer = link->has_peer,
			      .peer = link->peer};
	bool changed = l.up != e->node.links[port].up;
	struct note *note;

	node_begin(&e->node, now_ns, out);
	node_set_link(&e->node, port, &l);
	engine_tell_segments(e);
	note = changed ? node_note(&e->node, l.up ? NOTE_PORT_UP : NOTE_PORT_DOWN) : NULL;
	if (note)
		note->port = port;
	e->next_ns = now_ns;
}

void engine_set_cluster_mtu(struct engine *e, uint32_t mtu)
{
	if (e->channel)
		channel_set_mtu(e->channel, mtu);
}

void engine_set_addresses(struct engine *e, const struct engine_address *v, size_t n)
{
	struct node_address *copy = calloc(n ? n : 1, sizeof(*copy));

	if (!copy)
		return;
	for (size_t i = 0; i < n; i++)
		copy[i] = (struct node_address){.prefix = v[i].prefix, .port = v[i].port};
	node_set_addresses(&e->node, copy, n);
	free(copy);
}

int engine_set_routes(struct engine *e, const struct engine_route *v, size_t n)
{
	struct route *copy = calloc(n ? n : 1, sizeof(*copy));
	int rc;

	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		copy[i] = (struct route){.dst = v[i].dst,
					 .via = v[i].via,
					 .port = v[i].port,
					 .metric = v[i].metric + 1};
	rc = node_set_routes(&e->node, copy, n);
	free(copy);
	return rc;
}

/* --- frames ----------------------------------------------------------------------------------- */

/* What is for this node's role to judge, and not for somebody else or the host. DROP_NONE = go on;
 * anything else has been dealt with. */
static enum drop engine_classify(struct engine *e, struct pkt *pkt)
{
	struct node *n = &e->node;
	const struct node_link *link = &n->links[pkt->frame->port];
	bool group = pkt->eth_dst.b[0] & 1;

	if (pkt->kind == PKT_CLUSTER && !(n->elected_ports & 1u << pkt->frame->port))
		return DROP_LINK_CONTROL;

	if (pkt->vlan != e->params->ports[pkt->frame->port].vlan)
		return DROP_BAD_VLAN;
	if (!group && !link->is_capture && !node_link_has(link, &pkt->eth_dst))
		return DROP_OTHER_HOST;
	if (node_link_has(link, &pkt->eth_src))
		return DROP_SPOOFED;
	if (pkt->kind != PKT_IP)
		return DROP_NONE;
	if (group)
		return DROP_LINK_CONTROL;
	return node_is_shut(n, pkt->frame->port) ? DROP_STANDBY : DROP_NONE;
}

/* A message of a member, by a segment. */
static void engine_cluster_frame(struct engine *e, struct pkt *pkt)
{
	struct frame *f = pkt->frame;
	struct endpoint way = channel_segment_way(f->port);
	struct channel_message msg;

	if (e->channel && channel_input(e->channel, f->data + pkt->l3, f->len - pkt->l3, &way, true,
					e->node.now_ns, &msg)) {
		dispatch_message(&e->dispatch, &msg);
		e->next_ns = e->node.now_ns;
	}
	node_drop_frame(&e->node, f, DROP_CLUSTER);
}

static bool engine_is_icmp(const struct pkt *pkt)
{
	return pkt->l4 &&
	       (pkt->tuple.proto == IPPROTO_NUM_ICMP || pkt->tuple.proto == IPPROTO_NUM_ICMP6);
}

/* Packets to and from the node's own addresses never reach a role, but for those of a dispatcher:
 * services and rewritten sources may have an address of the node. */
static enum drop engine_own_address(struct engine *e, struct pkt *pkt)
{
	const struct node_address *own = node_address_find(&e->node, &pkt->tuple.dst);
	const struct node_address *src = node_address_find(&e->node, &pkt->tuple.src);
	bool icmp = engine_is_icmp(pkt), dispatched;
	bool served = src && src->is_virtual && e->params->ports[pkt->frame->port].is_stack;

	dispatched = dispatch_owns(&e->dispatch, pkt->frame->port);
	if (own && own->is_virtual && icmp && dispatched && dispatch_probe(&e->dispatch, pkt))
		return DROP_COUNT; /* taken over */
	if (src && !served && !(src->is_virtual && dispatched && legs_own(&e->dispatch, pkt)) &&
	    !(src->is_virtual && dispatch_may_meet_own(&e->dispatch, pkt->frame->port, src->port)))
		return DROP_SPOOFED;
	if (!own)
		return DROP_NONE;
	if (own->is_virtual && icmp && !(dispatched && pkt->icmp_error)) {
		node_echo(&e->node, pkt);
		return DROP_COUNT;
	}
	return own->is_virtual && dispatched ? DROP_NONE : DROP_TO_HOST;
}

static bool engine_accept(struct engine *e, struct pkt *pkt)
{
	enum drop d = engine_classify(e, pkt);

	if (d == DROP_NONE && pkt->kind == PKT_ARP) {
		node_arp(&e->node, pkt);
		return false;
	}
	if (d == DROP_NONE && pkt->kind == PKT_ND) {
		node_nd(&e->node, pkt);
		return false;
	}
	if (d == DROP_NONE && pkt->kind == PKT_CLUSTER) {
		engine_cluster_frame(e, pkt);
		return false;
	}
	if (d == DROP_NONE)
		d = engine_own_address(e, pkt);
	if (d != DROP_NONE && d != DROP_COUNT)
		node_drop(&e->node, pkt, d);
	return d == DROP_NONE;
}

/* A packet on its way to the role that its port belongs to. */
struct engine_item {
	struct pkt pkt;
	bool dispatched;
	union {
		struct lookup firewall;
		struct dispatch_lookup dispatch;
	} lookup;
};

static void engine_prepare(struct engine *e, struct engine_item *item)
{
	item->dispatched = dispatch_owns(&e->dispatch, item->pkt.frame->port);
	if (item->dispatched)
		dispatch_prepare(&e->dispatch, &item->pkt, &item->lookup.dispatch);
	else
		firewall_prepare(&e->firewall, &item->pkt, &item->lookup.firewall);
}

static void engine_prefetch(struct engine *e, const struct engine_item *item)
{
	if (item->dispatched)
		dispatch_prefetch(&e->dispatch, &item->lookup.dispatch);
	else
		firewall_prefetch(&e->firewall, &item->lookup.firewall);
}

static void engine_packet(struct engine *e, struct engine_item *item)
{
	if (e->node.offload)
		offload_arrived(e->node.offload, &item->pkt);
	if (item->dispatched)
		dispatch_packet(&e->dispatch, &item->pkt, &item->lookup.dispatch);
	else
		firewall_packet(&e->firewall, &item->pkt, &item->lookup.firewall);
}

/* Up to ENGINE_CHUNK frames, in three passes (see firewall.h). */
static void engine_chunk(struct engine *e, struct frame *frames, unsigned n)
{
	struct engine_item items[ENGINE_CHUNK];
	unsigned n_items = 0;

	for (unsigned i = 0; i < n; i++) {
		struct pkt *pkt = &items[n_items].pkt;
		enum drop d;

		e->node.counters[COUNTER_BYTES_IN] += frames[i].len;
		d = pkt_decode(pkt, &frames[i]);
		if (d != DROP_NONE) {
			node_drop_frame(&e->node, &frames[i], d);
			continue;
		}
		if (!engine_accept(e, pkt))
			continue;
		engine_prepare(e, &items[n_items]);
		n_items++;
	}
	for (unsigned i = 0; i < n_items; i++)
		engine_prefetch(e, &items[i]);
	for (unsigned i = 0; i < n_items; i++)
		engine_packet(e, &items[i]);
}

static uint64_t earlier(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

static void engine_wake(struct engine *e)
{
	const struct firewall *f = &e->firewall;
	bool busy = pool_used(e->node.pool) > 0 || f->release_due_ns != UINT64_MAX;
	uint64_t soon = e->node.now_ns + (busy ? ENGINE_BUSY_TICK_NS : ENGINE_IDLE_TICK_NS);

	soon = earlier(soon, backup_next(f));
	soon = earlier(soon, replica_next(&e->dispatch));
	if (soon < e->next_ns)
		e->next_ns = soon;
}

/* As node_begin, of a call by which something comes in: after a stall this node may be somebody
 * else. */
static void engine_begin(struct engine *e, uint64_t now_ns, struct actions *out)
{
	node_begin(&e->node, now_ns, out);
	takeover_wake(&e->dispatch);
	if (now_ns > e->next_ns && firewall_late(&e->firewall, now_ns - e->next_ns))
		e->next_ns = now_ns;
}

void engine_frames(struct engine *e, struct frame *frames, unsigned n, uint64_t now_ns,
		   struct actions *out)
{
	engine_begin(e, now_ns, out);
	e->node.counters[COUNTER_FRAMES_IN] += n;
	for (unsigned i = 0; i < n; i += ENGINE_CHUNK)
		engine_chunk(e, frames + i, n - i < ENGINE_CHUNK ? n - i : ENGINE_CHUNK);
	engine_wake(e);
}

static bool is_for_dispatch(uint8_t type)
{
	return type == WIRE_PATH || type == WIRE_PATH_ASK || type == WIRE_TARGETS ||
	       type == WIRE_WHO_HAS || type == WIRE_HAVE || type == WIRE_ROLE ||
	       type == WIRE_SYNC || type == WIRE_SYNC_ASK;
}

void engine_datagram(struct engine *e, uint8_t *data, size_t size, const struct endpoint *from,
		     bool multicast, uint64_t now_ns, struct actions *out)
{
	struct channel_message msg;

	engine_begin(e, now_ns, out);
	if (!e->channel)
		return;
	if (!channel_input(e->channel, data, size, from, multicast, now_ns, &msg)) {
		firewall_members_changed(&e->firewall); /* a hello may have brought new MACs */
		dispatch_members_changed(&e->dispatch);
	} else if (is_for_dispatch(msg.type)) {
		dispatch_message(&e->dispatch, &msg);
		if (msg.type >= WIRE_ROLE)
			e->next_ns = now_ns;
	} else {
		firewall_message(&e->firewall, &msg);
	}
	engine_wake(e);
}

/* --- flows that the kernel passes on ------------------------------------------------------------
 */

int engine_set_offload(struct engine *e, const struct offload_memory *m)
{
	const uint32_t owners[OFFLOAD_OWNERS] = {
		[OFFLOAD_HOME] = flow_table_capacity(e->firewall.states),
		[OFFLOAD_DISPATCH] =
			e->dispatch.flows ? flow_table_capacity(e->dispatch.flows) : 0};

	e->node.offload = offload_new(m, owners, e->node.links);
	return e->node.offload ? 0 : -ENOMEM;
}

bool engine_offload_pending(const struct engine *e)
{
	return e->node.offload && offload_pending(e->node.offload);
}

bool engine_offload_change(struct engine *e, struct offload_change *c)
{
	return e->node.offload && offload_next_change(e->node.offload, e->node.now_ns, c);
}

void engine_offload_failed(struct engine *e, const struct offload_change *c)
{
	offload_failed(e->node.offload, c);
}

/* What the kernel has done is counted a few flows at a time. */
static uint64_t engine_offload_tick(struct engine *e)
{
	unsigned budget = ENGINE_OFFLOAD_BUDGET;
	enum offload_owner kind;
	uint32_t owner;

	if (!e->node.offload || offload_count(e->node.offload) == 0)
		return UINT64_MAX;
	if (e->node.now_ns < e->offload_due_ns)
		return e->offload_due_ns;
	while (offload_next(e->node.offload, &e->offload_pos, &budget, &kind, &owner)) {
		if (kind == OFFLOAD_HOME)
			home_offload_tick(&e->firewall, owner);
		else
			dflow_offload_tick(&e->dispatch, owner);
	}
	e->offload_due_ns = e->node.now_ns + ENGINE_OFFLOAD_TICK_NS;
	return e->offload_due_ns;
}

uint64_t engine_tick(struct engine *e, uint64_t now_ns, struct actions *out)
{
	uint64_t next;

	engine_begin(e, now_ns, out);
	next = takeover_tick(&e->dispatch); /* first: addresses are announced as it says */
	next = earlier(next, node_tick(&e->node));
	if (e->channel) {
		channel_set_flows(e->channel, flow_table_count(e->firewall.states));
		next = earlier(next, channel_tick(e->channel, now_ns));
	}
	next = earlier(next, firewall_tick(&e->firewall));
	next = earlier(next, dispatch_tick(&e->dispatch));
	next = earlier(next, engine_offload_tick(e));
	e->next_ns = next;
	engine_wake(e);
	return e->next_ns;
}

uint64_t engine_next(const struct engine *e)
{
	return e->next_ns;
}

/* --- reload ----------------------------------------------------------------------------------- */

int engine_reload(struct engine *e, const struct params *params, struct keyring *keys,
		  uint64_t now_ns, struct actions *out)
{
	int rc;

	engine_begin(e, now_ns, out);
	rc = node_configure(&e->node, params);
	if (rc < 0) {
		keyring_free(keys);
		return rc;
	}
	if (e->channel) {
		answer_flush_releases(&e->firewall); /* they name members by the old list */
		channel_configure(e->channel, params, keys, now_ns);
	} else {
		keyring_free(keys);
	}
	e->params = params;
	rc = firewall_configure(&e->firewall, params);
	if (rc == 0)
		rc = dispatch_configure(&e->dispatch, params);
	engine_tell_segments(e);
	e->next_ns = now_ns;
	return rc;
}
