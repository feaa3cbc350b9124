/*
 * neighbour.c - asking for MAC addresses, and telling them (RFC 826, RFC 4861).
 */
#include <string.h>

#include "node/node_priv.h"

/* --- asking ---------------------------------------------------------------------------------- */

bool neighbour_request(struct node *n, uint16_t port, const struct neighbour_request *r)
{
	static const struct macaddr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct build_eth eth = {.src = r->mac, .vlan = n->params->ports[port].vlan};
	uint8_t *room = n->links[port].up ? actions_room(n->out, BUILD_MAX) : NULL;
	const uint8_t *a = r->target->b;

	if (!room)
		return false;
	if (ipaddr_is_v4(r->target)) {
		struct arp arp = {.op = 1,
				  .sender_mac = r->mac,
				  .sender_ip = *r->from,
				  .target_ip = *r->target};
		eth.dst = r->to ? *r->to : broadcast;
		return originate_frame(n, port, room,
				       build_arp(n->build, &eth, &arp, room, BUILD_MAX));
	}
	struct nd nd = {.type = 135,
			.src = *r->from,
			.target = *r->target,
			.has_mac = !ipaddr_is_unspecified(r->from),
			.mac = r->mac};
	if (r->to) {
		nd.dst = *r->target;
		eth.dst = *r->to;
	} else { /* solicited-node group, RFC 4291 section 2.7.1 */
		nd.dst = (struct ipaddr){
			.b = {0xff, 0x02, [11] = 0x01, [12] = 0xff, a[13], a[14], a[15]}};
		eth.dst = (struct macaddr){{0x33, 0x33, 0xff, a[13], a[14], a[15]}};
	}
	return originate_frame(n, port, room, build_nd(n->build, &eth, &nd, room, BUILD_MAX));
}

/* The MAC address that neighbours find behind an own address: a kernel's one behind the daemon's
 * would be out of their reach. */
static struct macaddr neighbour_mac_of(const struct node *n, uint16_t port,
				       const struct ipaddr *own)
{
	const struct node_address *a = node_address_find(n, own);

	return a && a->is_virtual ? n->links[port].mac : n->links[port].host_mac;
}

void neighbour_ask(struct node *n, const struct neigh *e)
{
	const struct ipaddr *from = node_source(n, e->port, &e->addr);
	bool unicast = e->state == NEIGH_PROBE && e->tries < 3;
	struct neighbour_request r = {
		.from = from, .target = &e->addr, .to = unicast ? &e->mac : NULL};

	if (!from)
		return;
	r.mac = neighbour_mac_of(n, e->port, from);
	if (neighbour_request(n, e->port, &r))
		node_count(n, COUNTER_NEIGHBOUR_ASKED);
}

uint16_t neighbour_index(struct node *n, uint16_t port, const struct ipaddr *next)
{
	bool evicted;
	uint16_t i = neigh_get(n->neighbours, port, next, n->now_ns, &evicted);

	if (evicted) /* some flow may remember the index that changed hands */
		n->route_generation++;
	return i;
}

struct neigh *neighbour_entry(struct node *n, uint16_t port, const struct ipaddr *next,
			      struct hop *hop)
{
	struct neigh *e = hop->neigh != NEIGH_NONE ? neigh_at(n->neighbours, hop->neigh) : NULL;

	if (e && e->port == port && ipaddr_eq(&e->addr, next))
		return e;
	hop->neigh = neighbour_index(n, port, next);
	hop->generation = (uint16_t)(n->route_generation - 1); /* no hop of node_forward */
	return hop->neigh != NEIGH_NONE ? neigh_at(n->neighbours, hop->neigh) : NULL;
}

const struct macaddr *node_watch(struct node *n, uint16_t port, const struct ipaddr *next,
				 struct hop *hop, uint64_t max_age_ns)
{
	struct neigh *e = n->links[port].up ? neighbour_entry(n, port, next, hop) : NULL;
	bool ask, usable;

	if (!e)
		return NULL;
	usable = neigh_confirm(e, max_age_ns, n->now_ns, &ask);
	if (ask)
		neighbour_ask(n, e);
	return usable ? &e->mac : NULL;
}

const struct macaddr *node_resolve(struct node *n, uint16_t port, const struct ipaddr *next,
				   struct hop *hop)
{
	return node_watch(n, port, next, hop, NEIGH_REACHABLE_NS);
}

const struct macaddr *node_neighbour_used(struct node *n, uint16_t index)
{
	struct neigh *e =
		index < neigh_capacity(n->neighbours) ? neigh_at(n->neighbours, index) : NULL;
	bool ask = false;

	if (!e || !n->links[e->port].up || !neigh_use(e, n->now_ns, &ask))
		return NULL;
	if (ask)
		neighbour_ask(n, e);
	return &e->mac;
}

/* --- learning -------------------------------------------------------------------------------- */

static void neighbour_release(struct node *n, struct neigh *e)
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
	bool moved;

	if (i == NEIGH_NONE || (mac->b[0] & 1))
		return;
	e = neigh_at(n->neighbours, i);
	moved = neigh_usable(e) && !macaddr_eq(&e->mac, mac);
	if (neigh_learn(e, mac, n->now_ns))
		n->neighbour_changes++;
	if (moved)
		node_void_offload(n);
	neighbour_release(n, e);
}

/* Nobody has that address: those whose packets waited are told (RFC 1812 section 5.2.7.1). Packets
 * of other neighbours may begin to wait meanwhile, never of this one, which has just failed. */
static void neighbour_in_vain(struct node *n, struct neigh *e)
{
	struct held_queue waiting = e->waiting;
	struct held *h;
	struct pkt pkt;

	n->neighbour_changes++;
	node_void_offload(n);
	e->waiting = (struct held_queue){0};
	while ((h = held_pop(&waiting))) {
		if (pkt_decode(&pkt, &h->frame) == DROP_NONE && pkt.kind == PKT_IP)
			originate_host_unreachable(n, &pkt);
		node_drop_held(n, h, DROP_NEIGHBOUR_FAILED);
	}
}

/* There is no address to ask from, as on a node that only stands by: silence says nothing. What
 * waits goes on waiting if there is one soon, which is only being probed. */
static bool neighbour_not_asked(struct node *n, struct neigh *e)
{
	bool waits = !neigh_usable(e);

	if (node_source(n, e->port, &e->addr) || (waits && !(n->silent_ports & 1u << e->port)))
		return false;
	neigh_unasked(e);
	if (waits)
		neighbour_in_vain(n, e);
	return true;
}

uint64_t neighbour_tick(struct node *n)
{
	bool ask, failed;
	uint64_t next;
	uint16_t i;

	while ((i = neigh_due(n->neighbours, n->now_ns, &ask, &failed, &next)) != NEIGH_NONE) {
		struct neigh *e = neigh_at(n->neighbours, i);
		if (ask && neighbour_not_asked(n, e))
			continue;
		if (ask)
			neighbour_ask(n, e);
		if (failed)
			neighbour_in_vain(n, e);
	}
	return next;
}

/* --- telling --------------------------------------------------------------------------------- */

/* Room for an answer if the daemon answers for the address on that port, or NULL. */
static uint8_t *neighbour_answers(struct node *n, uint16_t port, const struct ipaddr *target)
{
	const struct node_address *a = announce_find(n, port, target);

	if (!a)
		return NULL;
	if (a->is_taken)
		node_count(n, COUNTER_ADDRESS_TAKEN);
	return node_address_answers(a) ? actions_room(n->out, BUILD_MAX) : NULL;
}

static struct build_eth neighbour_eth(const struct node *n, const struct pkt *pkt)
{
	uint16_t port = pkt->frame->port;

	return (struct build_eth){.dst = pkt->eth_src,
				  .src = n->links[port].mac,
				  .vlan = n->params->ports[port].vlan};
}

static void neighbour_answer(struct node *n, const struct pkt *pkt, uint8_t *room, size_t size)
{
	if (originate_frame(n, pkt->frame->port, room, size))
		node_count(n, COUNTER_NEIGHBOUR_ANSWERED);
}

static void arp_answer(struct node *n, const struct pkt *pkt, const struct arp *arp, uint8_t *room)
{
	struct build_eth eth = neighbour_eth(n, pkt);
	struct arp reply = {.op = 2,
			    .sender_mac = eth.src,
			    .sender_ip = arp->target_ip,
			    .target_mac = arp->sender_mac,
			    .target_ip = arp->sender_ip};

	neighbour_answer(n, pkt, room, build_arp(n->build, &eth, &reply, room, BUILD_MAX));
}

void node_arp(struct node *n, struct pkt *pkt)
{
	uint16_t port = pkt->frame->port;
	struct arp arp;
	enum drop d = arp_parse(&arp, pkt->frame, pkt->l3);
	uint8_t *room;
	bool probe;

	if (d != DROP_NONE) {
		node_drop_frame(n, pkt->frame, d);
		return;
	}
	probe = ipaddr_is_unspecified(&arp.sender_ip);
	announce_heard(n, port, probe ? &arp.target_ip : &arp.sender_ip, &arp.sender_mac, probe);
	neighbour_learn(n, port, &arp.sender_ip, &arp.sender_mac);
	room = arp.op == 1 ? neighbour_answers(n, port, &arp.target_ip) : NULL;
	if (room)
		arp_answer(n, pkt, &arp, room);
	node_drop_frame(n, pkt->frame, DROP_ARP);
}

static void nd_answer(struct node *n, const struct pkt *pkt, const struct nd *nd, uint8_t *room)
{
	static const struct ipaddr all_nodes = {.b = {0xff, 0x02, [15] = 1}};
	bool probe = ipaddr_is_unspecified(&nd->src);
	struct build_eth eth = neighbour_eth(n, pkt);
	struct nd reply = {.type = 136,
			   .src = nd->target,
			   .dst = probe ? all_nodes : nd->src,
			   .target = nd->target,
			   .has_mac = true,
			   .mac = eth.src,
			   .router = true,
			   .solicited = !probe,
			   .override = true};

	if (probe)
		eth.dst = (struct macaddr){{0x33, 0x33, 0, 0, 0, 1}};
	neighbour_answer(n, pkt, room, build_nd(n->build, &eth, &reply, room, BUILD_MAX));
}

/* What a solicitation or an advertisement says of its sender. */
static void nd_learn(struct node *n, const struct pkt *pkt, const struct nd *nd)
{
	const struct macaddr *mac = nd->has_mac ? &nd->mac : &pkt->eth_src;
	bool probe = nd->type == 135 && ipaddr_is_unspecified(&nd->src);
	uint16_t port = pkt->frame->port;

	if (nd->type != 135 && nd->type != 136)
		return;
	announce_heard(n, port, nd->type == 136 || probe ? &nd->target : &nd->src, mac, probe);
	if (nd->type == 136)
		neighbour_learn(n, port, &nd->target, mac);
	else if (nd->has_mac && !probe)
		neighbour_learn(n, port, &nd->src, mac);
}

void node_nd(struct node *n, struct pkt *pkt)
{
	struct nd nd;
	enum drop d = nd_parse(&nd, pkt);
	uint8_t *room;

	if (d != DROP_NONE) {
		node_drop_frame(n, pkt->frame, d);
		return;
	}
	nd_learn(n, pkt, &nd);
	room = nd.type == 135 ? neighbour_answers(n, pkt->frame->port, &nd.target) : NULL;
	if (room)
		nd_answer(n, pkt, &nd, room);
	node_drop_frame(n, pkt->frame, DROP_ND);
}
