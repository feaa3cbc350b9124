/*
 * forward.c - a router's duties for one packet (FC-14; RFC 1812, RFC 8200).
 */
#include <string.h>

#include "node/node.h"
#include "packet/checksum.h"
#include "packet/rewrite.h"
#include "packet/segment.h"

#define ICMP_TIME_EXCEEDED 11
#define ICMP_UNREACHABLE 3
#define ICMP_UNREACHABLE_HOST 1
#define ICMP_UNREACHABLE_NET 0
#define ICMP_UNREACHABLE_FRAG 4
#define ICMP_UNREACHABLE_PROHIBITED 13
#define ICMP6_UNREACHABLE 1
#define ICMP6_TOO_BIG 2
#define ICMP6_TIME_EXCEEDED 3
#define ICMP6_UNREACHABLE_ROUTE 0
#define ICMP6_UNREACHABLE_PROHIBITED 1
#define ICMP6_UNREACHABLE_ADDRESS 3

#define FORWARD_PIECES 1024 /* of one packet or super-frame */
#define FRAGMENT_OVERHEAD (FRAME_HEADROOM + 18 + 60)
#define ECHO_TTL 64

static uint16_t forward_hop(struct node *n, const struct pkt *pkt, struct hop *hop);
static enum drop forward_to_neighbour(struct node *n, struct pkt *pkt, struct neigh *e);

/* Send a packet the node made itself back by the port that `pkt` came from. */
static bool originate(struct node *n, const struct pkt *pkt, const uint8_t *data, size_t size)
{
	struct frame f = {.data = (uint8_t *)data, .len = (uint32_t)size};

	n->counters[COUNTER_FRAMES_MADE]++;
	return node_emit(n, &f, pkt->frame->port);
}

static struct build_eth originate_eth(const struct node *n, const struct pkt *pkt)
{
	uint16_t port = pkt->frame->port;

	return (struct build_eth){.dst = pkt->eth_src,
				  .src = n->links[port].mac,
				  .vlan = n->params->ports[port].vlan};
}

static bool originate_allowed(struct node *n)
{
	if (bucket_take(&n->originate, 1, n->now_ns))
		return true;
	node_count(n, COUNTER_ORIGINATE_LIMIT);
	return false;
}

/* Send an IP packet of this node's own by the route to its destination: the frame that caused it
 * may have been handed over by another member, so its sender's MAC address says nothing. */
static bool originate_ip(struct node *n, uint8_t *data, size_t size)
{
	struct frame f = {.data = data, .len = (uint32_t)size, .port = NODE_ORIGINATED};
	struct hop hop = {.neigh = NEIGH_NONE};
	struct pkt pkt;
	uint16_t index;

	if (size == 0 || pkt_decode(&pkt, &f) != DROP_NONE || pkt.kind != PKT_IP)
		return false;
	index = forward_hop(n, &pkt, &hop);
	if (index == NEIGH_NONE)
		return false;
	n->counters[COUNTER_FRAMES_MADE]++;
	return forward_to_neighbour(n, &pkt, neigh_at(n->neighbours, index)) == DROP_NONE;
}

/* FRAME_HEADROOM of arena memory before the bytes that a packet is built into. */
static uint8_t *originate_room(struct node *n)
{
	uint8_t *room = actions_room(n->out, BUILD_MAX + FRAME_HEADROOM);
	return room ? room + FRAME_HEADROOM : NULL;
}

void node_icmp_error(struct node *n, const struct pkt *pkt, uint8_t type, uint8_t code,
		     uint32_t mtu)
{
	struct build_icmp icmp = {.type = type, .code = code, .mtu = mtu};
	struct build_eth eth = {.vlan = 0};
	const struct ipaddr *from;
	uint16_t port = pkt->frame->port;
	uint8_t *room;

	from = port < n->params->n_ports ? node_source(n, port, &pkt->tuple.src) : NULL;
	if (!from) {
		port = node_route_port(n, &pkt->tuple.src);
		from = port != PARAMS_NO_PORT ? node_source(n, port, &pkt->tuple.src) : NULL;
	}
	if (!from || pkt->frame->port == NODE_ORIGINATED || !originate_allowed(n))
		return;
	room = originate_room(n);
	if (!room)
		return;
	icmp.from = *from;
	if (originate_ip(n, room, build_icmp_error(n->build, &eth, pkt, &icmp, room, BUILD_MAX)))
		node_count(n, COUNTER_ICMP_SENT);
}

void node_reset(struct node *n, const struct pkt *pkt)
{
	struct build_eth eth = {.vlan = 0};
	uint8_t *room;

	if (pkt->frame->port == NODE_ORIGINATED || !originate_allowed(n))
		return;
	room = originate_room(n);
	if (room && originate_ip(n, room, build_tcp_reset(n->build, &eth, pkt, room, BUILD_MAX)))
		node_count(n, COUNTER_RESET_SENT);
}

void node_reject(struct node *n, const struct pkt *pkt)
{
	if (pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4)
		node_reset(n, pkt);
	else if (pkt->version == 4)
		node_icmp_error(n, pkt, ICMP_UNREACHABLE, ICMP_UNREACHABLE_PROHIBITED, 0);
	else
		node_icmp_error(n, pkt, ICMP6_UNREACHABLE, ICMP6_UNREACHABLE_PROHIBITED, 0);
}

bool node_ttl_expired(struct node *n, struct pkt *pkt)
{
	if (pkt->ttl > 1)
		return false;
	if (pkt->version == 4)
		node_icmp_error(n, pkt, ICMP_TIME_EXCEEDED, 0, 0);
	else
		node_icmp_error(n, pkt, ICMP6_TIME_EXCEEDED, 0, 0);
	node_drop(n, pkt, DROP_TTL);
	return true;
}

static enum drop forward_no_route(struct node *n, struct pkt *pkt)
{
	if (pkt->version == 4)
		node_icmp_error(n, pkt, ICMP_UNREACHABLE, ICMP_UNREACHABLE_NET, 0);
	else
		node_icmp_error(n, pkt, ICMP6_UNREACHABLE, ICMP6_UNREACHABLE_ROUTE, 0);
	return node_drop(n, pkt, DROP_NO_ROUTE);
}

/* Look up the way anew. */
static uint16_t forward_find_hop(struct node *n, const struct pkt *pkt, struct hop *hop)
{
	const struct route *r;
	const struct ipaddr *next;
	struct ipaddr unspecified = {.q = {0, 0}};
	bool evicted;

	r = route_table_find(n->routes, &pkt->tuple.dst);
	if (!r)
		return NEIGH_NONE;
	next = ipaddr_eq(&r->via, &unspecified) ? &pkt->tuple.dst : &r->via;
	hop->neigh = neigh_get(n->neighbours, r->port, next, n->now_ns, &evicted);
	if (evicted) /* some flow may remember the index that changed hands */
		n->route_generation++;
	hop->generation = n->route_generation;
	return hop->neigh;
}

/* Index of the neighbour a packet goes to next; NEIGH_NONE = no route (or no room for one). */
static uint16_t forward_hop(struct node *n, const struct pkt *pkt, struct hop *hop)
{
	if (hop->neigh != NEIGH_NONE && hop->generation == n->route_generation)
		return hop->neigh;
	return forward_find_hop(n, pkt, hop);
}

static void forward_ask_neighbour(struct node *n, const struct neigh *e)
{
	static const struct macaddr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	const struct ipaddr *from = node_source(n, e->port, &e->addr);
	bool unicast = e->state == NEIGH_PROBE && e->tries < 3;
	struct build_eth eth = {.src = n->links[e->port].mac,
				.vlan = n->params->ports[e->port].vlan};
	uint8_t *room = actions_room(n->out, BUILD_MAX);
	struct frame f = {.data = room};

	if (!from || !room || !n->links[e->port].up)
		return;
	if (ipaddr_is_v4(&e->addr)) {
		struct arp arp = {
			.op = 1, .sender_mac = eth.src, .sender_ip = *from, .target_ip = e->addr};
		eth.dst = unicast ? e->mac : broadcast;
		f.len = (uint32_t)build_arp(n->build, &eth, &arp, room, BUILD_MAX);
	} else {
		struct nd nd = {.type = 135,
				.src = *from,
				.target = e->addr,
				.has_mac = true,
				.mac = eth.src};
		const uint8_t *a = e->addr.b;
		if (unicast) {
			nd.dst = e->addr;
			eth.dst = e->mac;
		} else { /* solicited-node group, RFC 4291 section 2.7.1 */
			nd.dst = (struct ipaddr){
				.b = {0xff, 0x02, [11] = 0x01, [12] = 0xff, a[13], a[14], a[15]}};
			eth.dst = (struct macaddr){{0x33, 0x33, 0xff, a[13], a[14], a[15]}};
		}
		f.len = (uint32_t)build_nd(n->build, &eth, &nd, room, BUILD_MAX);
	}
	if (f.len == 0)
		return;
	n->counters[COUNTER_FRAMES_MADE]++;
	if (node_emit(n, &f, e->port))
		node_count(n, COUNTER_NEIGHBOUR_ASKED);
}

static void forward_host_unreachable(struct node *n, const struct pkt *pkt)
{
	if (pkt->version == 4)
		node_icmp_error(n, pkt, ICMP_UNREACHABLE, ICMP_UNREACHABLE_HOST, 0);
	else
		node_icmp_error(n, pkt, ICMP6_UNREACHABLE, ICMP6_UNREACHABLE_ADDRESS, 0);
}

/* A neighbour that cannot be sent to just now, or has to be asked whether it is still there. */
static enum drop forward_unconfirmed(struct node *n, struct pkt *pkt, struct neigh *e)
{
	const struct node_link *link = &n->links[e->port];
	struct held *h;
	bool ask = false, usable = neigh_use(e, n->now_ns, &ask);

	if (ask)
		forward_ask_neighbour(n, e);
	if (!usable && e->state == NEIGH_FAILED) {
		forward_host_unreachable(n, pkt);
		return node_drop(n, pkt, DROP_NEIGHBOUR_FAILED);
	}
	rewrite_ethernet(pkt, &e->mac, &link->mac, n->params->ports[e->port].vlan);
	if (usable)
		return node_emit(n, pkt->frame, e->port) ? DROP_NONE : DROP_NO_BUFFER;
	h = e->waiting.n < NEIGH_QUEUE ? node_hold(n, pkt) : NULL;
	if (!h)
		return node_drop(n, pkt, DROP_NEIGHBOUR_QUEUE);
	held_push(&e->waiting, h);
	return DROP_NONE;
}

/* The frame is ready but for the destination MAC address. */
static enum drop forward_to_neighbour(struct node *n, struct pkt *pkt, struct neigh *e)
{
	const struct node_link *link = &n->links[e->port];

	if (!link->up)
		return node_drop(n, pkt, DROP_PORT_DOWN);
	if (!link->is_capture && !neigh_use_confirmed(e, n->now_ns))
		return forward_unconfirmed(n, pkt, e);
	rewrite_ethernet(pkt, &e->mac, &link->mac, n->params->ports[e->port].vlan);
	return node_emit(n, pkt->frame, e->port) ? DROP_NONE : DROP_NO_BUFFER;
}

/* Several frames made from one: counted as made, less the one they replace. */
static enum drop forward_pieces(struct node *n, struct pkt *pkt, struct neigh *e,
				const struct frame *pieces, int count)
{
	for (int i = 0; i < count; i++) {
		struct frame piece = pieces[i];
		struct pkt part = *pkt;

		piece.port = pkt->frame->port;
		part.frame = &piece;
		if (i > 0)
			n->counters[COUNTER_FRAMES_MADE]++;
		forward_to_neighbour(n, &part, e);
	}
	return DROP_NONE;
}

static struct frame *forward_piece_room(struct node *n, size_t count)
{
	if (count == 0 || count > FORWARD_PIECES)
		return NULL;
	return (struct frame *)(void *)actions_room(n->out, count * sizeof(struct frame));
}

static enum drop forward_fragments(struct node *n, struct pkt *pkt, struct neigh *e, uint32_t mtu)
{
	unsigned max = mtu < 68 ? 0 : pkt->ip_len / ((mtu - 60) & ~7u) + 2;
	size_t size = pkt->ip_len + (size_t)max * FRAGMENT_OVERHEAD;
	struct frame *pieces = forward_piece_room(n, max);
	uint8_t *room = pieces ? actions_room(n->out, size) : NULL;
	int count;

	if (!room)
		return node_drop(n, pkt, DROP_NO_BUFFER);
	rewrite_ttl(pkt);
	csum_complete(pkt->frame);
	count = segment_fragment(pkt, mtu, pieces, max, room, size);
	if (count < 0)
		return node_drop(n, pkt, DROP_TOO_BIG);
	return forward_pieces(n, pkt, e, pieces, count);
}

static enum drop forward_too_big(struct node *n, struct pkt *pkt, struct neigh *e, uint32_t mtu)
{
	if (pkt->version == 4 && !pkt->dont_fragment && pkt->frame->vnet.gso_type == VNET_GSO_NONE)
		return forward_fragments(n, pkt, e, mtu);
	if (pkt->version == 4)
		node_icmp_error(n, pkt, ICMP_UNREACHABLE, ICMP_UNREACHABLE_FRAG, mtu);
	else
		node_icmp_error(n, pkt, ICMP6_TOO_BIG, 0, mtu);
	return node_drop(n, pkt, DROP_TOO_BIG);
}

/* The port cannot send super-frames: cut them here. */
static enum drop forward_segments(struct node *n, struct pkt *pkt, struct neigh *e)
{
	unsigned segments;
	size_t size = segment_gso_size(pkt, &segments);
	struct frame *pieces = forward_piece_room(n, segments);
	uint8_t *room = pieces ? actions_room(n->out, size) : NULL;
	int count;

	if (!room)
		return node_drop(n, pkt, DROP_NO_BUFFER);
	count = segment_gso(pkt, pieces, segments, room, size);
	if (count < 0)
		return node_drop(n, pkt, DROP_TX_SIZE);
	return forward_pieces(n, pkt, e, pieces, count);
}

enum drop node_forward(struct node *n, struct pkt *pkt, struct hop *hop)
{
	uint16_t index;
	struct neigh *e;
	const struct node_link *link;

	if (pkt->ttl <= 1 && node_ttl_expired(n, pkt))
		return DROP_TTL;
	index = forward_hop(n, pkt, hop);
	if (index == NEIGH_NONE) /* no route, or no place in the table of neighbours */
		return node_route_port(n, &pkt->tuple.dst) == PARAMS_NO_PORT
			       ? forward_no_route(n, pkt)
			       : node_drop(n, pkt, DROP_NEIGHBOUR_QUEUE);
	e = neigh_at(n->neighbours, index);
	link = &n->links[e->port];
	if (pkt->ip_len > link->mtu && pkt_wire_len(pkt) > link->mtu && link->up)
		return forward_too_big(n, pkt, e, link->mtu);
	rewrite_ttl(pkt);
	if (pkt->frame->vnet.gso_type != VNET_GSO_NONE && !link->takes_gso)
		return forward_segments(n, pkt, e);
	if ((pkt->frame->vnet.flags & VNET_F_NEEDS_CSUM) && !link->takes_partial_csum)
		csum_complete(pkt->frame);
	return forward_to_neighbour(n, pkt, e);
}

enum drop node_send_l2(struct node *n, struct pkt *pkt, uint16_t port, const struct macaddr *dst)
{
	if (!n->links[port].up)
		return node_drop(n, pkt, DROP_PORT_DOWN);
	rewrite_ethernet(pkt, dst, &n->links[port].mac, n->params->ports[port].vlan);
	return node_emit(n, pkt->frame, port) ? DROP_NONE : DROP_NO_BUFFER;
}

/* --- neighbours ------------------------------------------------------------------------------ */

static void forward_release_waiting(struct node *n, struct neigh *e)
{
	struct held *h;

	while ((h = held_pop(&e->waiting))) {
		memcpy(h->frame.data, e->mac.b, sizeof(e->mac.b));
		node_emit(n, &h->frame, e->port);
		pool_retire(n->pool, h);
	}
}

/* Only entries that somebody asked for are filled: nobody fills the table from outside. */
static void neighbour_learn(struct node *n, uint16_t port, const struct ipaddr *addr,
			    const struct macaddr *mac)
{
	uint16_t i = neigh_find(n->neighbours, port, addr);
	struct neigh *e;

	if (i == NEIGH_NONE || (mac->b[0] & 1))
		return;
	e = neigh_at(n->neighbours, i);
	neigh_learn(e, mac, n->now_ns);
	forward_release_waiting(n, e);
}

static const struct node_address *virtual_on(const struct node *n, const struct ipaddr *a,
					     uint16_t port)
{
	const struct node_address *own = node_address_find(n, a);
	return own && own->is_virtual && own->port == port ? own : NULL;
}

static void neighbour_answer(struct node *n, const struct pkt *pkt, const uint8_t *room,
			     size_t size)
{
	if (size > 0 && originate(n, pkt, room, size))
		node_count(n, COUNTER_NEIGHBOUR_ANSWERED);
}

void node_arp(struct node *n, struct pkt *pkt)
{
	uint16_t port = pkt->frame->port;
	struct arp arp, reply;
	enum drop d = arp_parse(&arp, pkt->frame, pkt->l3);
	uint8_t *room;
	struct build_eth eth;

	if (d != DROP_NONE) {
		node_drop_frame(n, pkt->frame, d);
		return;
	}
	neighbour_learn(n, port, &arp.sender_ip, &arp.sender_mac);
	room = arp.op == 1 && virtual_on(n, &arp.target_ip, port) ? actions_room(n->out, BUILD_MAX)
								  : NULL;
	if (room) {
		eth = originate_eth(n, pkt);
		reply = (struct arp){.op = 2,
				     .sender_mac = eth.src,
				     .sender_ip = arp.target_ip,
				     .target_mac = arp.sender_mac,
				     .target_ip = arp.sender_ip};
		neighbour_answer(n, pkt, room, build_arp(n->build, &eth, &reply, room, BUILD_MAX));
	}
	node_drop_frame(n, pkt->frame, DROP_ARP);
}

void node_nd(struct node *n, struct pkt *pkt)
{
	uint16_t port = pkt->frame->port;
	struct nd nd, reply;
	enum drop d = nd_parse(&nd, pkt);
	uint8_t *room = NULL;
	struct build_eth eth;

	if (d != DROP_NONE) {
		node_drop_frame(n, pkt->frame, d);
		return;
	}
	if (nd.type == 135 && nd.has_mac && !ipaddr_is_unspecified(&nd.src))
		neighbour_learn(n, port, &nd.src, &nd.mac);
	else if (nd.type == 136)
		neighbour_learn(n, port, &nd.target, nd.has_mac ? &nd.mac : &pkt->eth_src);
	if (nd.type == 135 && virtual_on(n, &nd.target, port))
		room = actions_room(n->out, BUILD_MAX);
	if (room) {
		static const struct ipaddr all_nodes = {.b = {0xff, 0x02, [15] = 1}};
		bool probe = ipaddr_is_unspecified(&nd.src);

		eth = originate_eth(n, pkt);
		if (probe)
			eth.dst = (struct macaddr){{0x33, 0x33, 0, 0, 0, 1}};
		reply = (struct nd){.type = 136,
				    .src = nd.target,
				    .dst = probe ? all_nodes : nd.src,
				    .target = nd.target,
				    .has_mac = true,
				    .mac = eth.src,
				    .router = true,
				    .solicited = !probe,
				    .override = true};
		neighbour_answer(n, pkt, room, build_nd(n->build, &eth, &reply, room, BUILD_MAX));
	}
	node_drop_frame(n, pkt->frame, DROP_ND);
}

/* What was left of the request's time to live need not suffice for the way back. */
static void echo_fresh_ttl(struct pkt *pkt)
{
	uint8_t *ip = pkt->frame->data + pkt->l3;
	uint16_t sum;

	pkt->ttl = ECHO_TTL;
	if (pkt->version == 6) {
		ip[7] = ECHO_TTL;
		return;
	}
	ip[8] = ECHO_TTL;
	memset(ip + 10, 0, 2);
	sum = csum_fold(csum_add(0, ip, (size_t)(ip[0] & 15) * 4));
	memcpy(ip + 10, &sum, sizeof(sum));
}

/* Turn the request around in place: swapping addresses leaves every checksum as it is, and the
 * type changes it by a constant (RFC 1624). */
void node_echo(struct node *n, struct pkt *pkt)
{
	uint8_t *ip = pkt->frame->data + pkt->l3;
	uint8_t *icmp = pkt->frame->data + pkt->l4;
	size_t addr = pkt->version == 4 ? 12 : 8, len = pkt->version == 4 ? 4 : 16;
	bool request = pkt->icmp_type == (pkt->version == 4 ? 8 : 128);
	uint8_t tmp[16];
	uint32_t sum;

	if (!request || pkt->fragment || !originate_allowed(n)) {
		node_drop(n, pkt, DROP_TO_HOST);
		return;
	}
	csum_complete(pkt->frame);
	memcpy(tmp, ip + addr, len);
	memcpy(ip + addr, ip + addr + len, len);
	memcpy(ip + addr + len, tmp, len);
	icmp[0] = pkt->version == 4 ? 0 : 129;
	sum = (uint32_t)(icmp[2] << 8 | icmp[3]);
	sum = pkt->version == 4 ? sum + 0x0800 : (sum + 0xffff - 0x0100);
	sum = (sum & 0xffff) + (sum >> 16);
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	echo_fresh_ttl(pkt);
	node_send_l2(n, pkt, pkt->frame->port, &pkt->eth_src);
}

/* Nobody has that address: those whose packets waited are told (RFC 1812 section 5.2.7.1). Packets
 * of other neighbours may begin to wait meanwhile, never of this one, which has just failed. */
static void forward_waited_in_vain(struct node *n, struct neigh *e)
{
	struct held_queue waiting = e->waiting;
	struct held *h;
	struct pkt pkt;

	e->waiting = (struct held_queue){0};
	while ((h = held_pop(&waiting))) {
		if (pkt_decode(&pkt, &h->frame) == DROP_NONE && pkt.kind == PKT_IP)
			forward_host_unreachable(n, &pkt);
		node_drop_held(n, h, DROP_NEIGHBOUR_FAILED);
	}
}

uint64_t node_tick(struct node *n)
{
	bool ask, failed;
	uint64_t next;
	uint16_t i;

	while ((i = neigh_due(n->neighbours, n->now_ns, &ask, &failed, &next)) != NEIGH_NONE) {
		struct neigh *e = neigh_at(n->neighbours, i);
		if (ask)
			forward_ask_neighbour(n, e);
		if (failed)
			forward_waited_in_vain(n, e);
	}
	return next;
}
