/*
 * forward.c - a router's duties for one packet (FC-14; RFC 1812, RFC 8200).
 */
#include "node/node_priv.h"
#include "packet/checksum.h"
#include "packet/rewrite.h"
#include "packet/segment.h"

#define ICMP_UNREACHABLE 3
#define ICMP_UNREACHABLE_NET 0
#define ICMP_UNREACHABLE_FRAG 4
#define ICMP6_UNREACHABLE 1
#define ICMP6_TOO_BIG 2
#define ICMP6_UNREACHABLE_ROUTE 0

#define FORWARD_PIECES 1024 /* of one packet or super-frame */
#define FRAGMENT_OVERHEAD (FRAME_HEADROOM + 18 + 60)

/* Where a packet goes: to a neighbour, whose MAC address may still have to be found out, or to a
 * MAC address. */
struct forward_way {
	uint16_t port;
	struct neigh *neigh; /* or NULL: */
	const struct macaddr *mac;
	bool ends; /* there: the time to live stays */
};

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
	const struct route *r = route_table_find(n->routes, &pkt->tuple.dst);

	if (!r)
		return NEIGH_NONE;
	hop->neigh = neighbour_index(n, r->port,
				     ipaddr_is_unspecified(&r->via) ? &pkt->tuple.dst : &r->via);
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

/* A neighbour that cannot be sent to just now, or has to be asked whether it is still there. */
static enum drop forward_unconfirmed(struct node *n, struct pkt *pkt, struct neigh *e)
{
	const struct node_link *link = &n->links[e->port];
	struct held *h;
	bool ask = false, usable = neigh_use(e, n->now_ns, &ask);

	if (ask)
		neighbour_ask(n, e);
	if (!usable && e->state == NEIGH_FAILED) {
		originate_host_unreachable(n, pkt);
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

/* The frame is ready but for its Ethernet header. */
static enum drop forward_out(struct node *n, struct pkt *pkt, const struct forward_way *w)
{
	const struct node_link *link = &n->links[w->port];
	struct neigh *e = w->neigh;

	if (!link->up)
		return node_drop(n, pkt, DROP_PORT_DOWN);
	if (e && !link->is_capture && !neigh_use_confirmed(e, n->now_ns))
		return forward_unconfirmed(n, pkt, e);
	rewrite_ethernet(pkt, e ? &e->mac : w->mac, &link->mac, n->params->ports[w->port].vlan);
	return node_emit(n, pkt->frame, w->port) ? DROP_NONE : DROP_NO_BUFFER;
}

/* Several frames made from one: counted as made, less the one they replace. */
static enum drop forward_pieces(struct node *n, struct pkt *pkt, const struct forward_way *w,
				const struct frame *pieces, int count)
{
	for (int i = 0; i < count; i++) {
		struct frame piece = pieces[i];
		struct pkt part = *pkt;

		piece.port = pkt->frame->port;
		part.frame = &piece;
		if (i > 0)
			n->counters[COUNTER_FRAMES_MADE]++;
		forward_out(n, &part, w);
	}
	return DROP_NONE;
}

static struct frame *forward_piece_room(struct node *n, size_t count)
{
	if (count == 0 || count > FORWARD_PIECES)
		return NULL;
	return (struct frame *)(void *)actions_room(n->out, count * sizeof(struct frame));
}

static enum drop forward_fragments(struct node *n, struct pkt *pkt, const struct forward_way *w)
{
	uint32_t mtu = n->links[w->port].mtu;
	unsigned max = mtu < 68 ? 0 : pkt->ip_len / ((mtu - 60) & ~7u) + 2;
	size_t size = pkt->ip_len + (size_t)max * FRAGMENT_OVERHEAD;
	struct frame *pieces = forward_piece_room(n, max);
	uint8_t *room = pieces ? actions_room(n->out, size) : NULL;
	int count;

	if (!room)
		return node_drop(n, pkt, DROP_NO_BUFFER);
	if (!w->ends)
		rewrite_ttl(pkt);
	csum_complete(pkt->frame);
	count = segment_fragment(pkt, mtu, pieces, max, room, size);
	if (count < 0)
		return node_drop(n, pkt, DROP_TOO_BIG);
	return forward_pieces(n, pkt, w, pieces, count);
}

static bool forward_may_fragment(const struct pkt *pkt)
{
	return pkt->version == 4 && !pkt->dont_fragment &&
	       pkt->frame->vnet.gso_type == VNET_GSO_NONE;
}

static enum drop forward_too_big(struct node *n, struct pkt *pkt, uint32_t mtu)
{
	if (pkt->version == 4)
		node_icmp_error(n, pkt, ICMP_UNREACHABLE, ICMP_UNREACHABLE_FRAG, mtu);
	else
		node_icmp_error(n, pkt, ICMP6_TOO_BIG, 0, mtu);
	return node_drop(n, pkt, DROP_TOO_BIG);
}

/* The port cannot send super-frames: cut them here. */
static enum drop forward_segments(struct node *n, struct pkt *pkt, const struct forward_way *w)
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
	return forward_pieces(n, pkt, w, pieces, count);
}

static inline bool forward_fits(const struct pkt *pkt, const struct node_link *link)
{
	return pkt->ip_len <= link->mtu || pkt_wire_len(pkt) <= link->mtu || !link->up;
}

bool node_too_big(struct node *n, struct pkt *pkt, uint16_t port)
{
	const struct node_link *link = &n->links[port];

	if (forward_fits(pkt, link) || forward_may_fragment(pkt))
		return false;
	forward_too_big(n, pkt, link->mtu);
	return true;
}

/* All duties but those that concern the choice of the way. */
static enum drop forward_by(struct node *n, struct pkt *pkt, const struct forward_way *w)
{
	const struct node_link *link = &n->links[w->port];

	if (!forward_fits(pkt, link))
		return forward_may_fragment(pkt) ? forward_fragments(n, pkt, w)
						 : forward_too_big(n, pkt, link->mtu);
	if (!w->ends)
		rewrite_ttl(pkt);
	if (pkt->frame->vnet.gso_type != VNET_GSO_NONE && !link->takes_gso)
		return forward_segments(n, pkt, w);
	if ((pkt->frame->vnet.flags & VNET_F_NEEDS_CSUM) && !link->takes_partial_csum)
		csum_complete(pkt->frame);
	return forward_out(n, pkt, w);
}

enum drop node_forward(struct node *n, struct pkt *pkt, struct hop *hop)
{
	struct forward_way w = {0};
	uint16_t index;

	if (pkt->ttl <= 1 && node_ttl_expired(n, pkt))
		return DROP_TTL;
	index = forward_hop(n, pkt, hop);
	if (index == NEIGH_NONE) /* no route, or no place in the table of neighbours */
		return node_route_port(n, &pkt->tuple.dst) == PARAMS_NO_PORT
			       ? forward_no_route(n, pkt)
			       : node_drop(n, pkt, DROP_NEIGHBOUR_QUEUE);
	w.neigh = neigh_at(n->neighbours, index);
	w.port = w.neigh->port;
	return forward_by(n, pkt, &w);
}

enum drop node_forward_to(struct node *n, struct pkt *pkt, uint16_t port, const struct ipaddr *next,
			  struct hop *hop)
{
	struct forward_way w = {.port = port};

	if (pkt->ttl <= 1 && node_ttl_expired(n, pkt))
		return DROP_TTL;
	w.neigh = neighbour_entry(n, port, next, hop);
	if (!w.neigh)
		return node_drop(n, pkt, DROP_NEIGHBOUR_QUEUE);
	return forward_by(n, pkt, &w);
}

enum drop node_forward_mac(struct node *n, struct pkt *pkt, uint16_t port,
			   const struct macaddr *mac)
{
	struct forward_way w = {.port = port, .mac = mac};

	if (pkt->ttl <= 1 && node_ttl_expired(n, pkt))
		return DROP_TTL;
	return forward_by(n, pkt, &w);
}

enum drop node_deliver(struct node *n, struct pkt *pkt, uint16_t port)
{
	const struct node_link *link = &n->links[port];
	struct forward_way w = {.port = port, .mac = &link->peer, .ends = true};

	if (!link->up || !link->has_peer)
		return node_drop(n, pkt, DROP_NO_STACK);
	return forward_by(n, pkt, &w);
}

bool forward_own(struct node *n, struct pkt *pkt)
{
	struct hop hop = {.neigh = NEIGH_NONE};
	struct forward_way w = {0};
	uint16_t index = forward_hop(n, pkt, &hop);

	if (index == NEIGH_NONE)
		return false;
	w.neigh = neigh_at(n->neighbours, index);
	w.port = w.neigh->port;
	n->counters[COUNTER_FRAMES_MADE]++;
	return forward_out(n, pkt, &w) == DROP_NONE;
}

enum drop node_send_l2(struct node *n, struct pkt *pkt, uint16_t port, const struct macaddr *dst)
{
	if (!n->links[port].up)
		return node_drop(n, pkt, DROP_PORT_DOWN);
	rewrite_ethernet(pkt, dst, &n->links[port].mac, n->params->ports[port].vlan);
	return node_emit(n, pkt->frame, port) ? DROP_NONE : DROP_NO_BUFFER;
}
