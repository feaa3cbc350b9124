/*
 * leg.c - packets of the servers' stack, which go by MAC: to servers (l7/2), to other dispatchers
 * and from them (relays: HD-8, HD-18).
 *
 * A relay's SYN carries the mark, which is the path option with the id 0; it is believed from the
 * MAC of a live member alone, so that no client's connection is ever taken for a relayed one.
 */
#include "dispatch/leg.h"

#include "packet/stamp.h"

/* --- who sent it --------------------------------------------------------------------------------
 */

/* The live member whose MAC address the frame comes from, or PARAMS_NONE. */
static uint16_t leg_sender(const struct dispatch *d, const struct pkt *pkt)
{
	uint32_t m;

	if (!d->channel)
		return PARAMS_NONE;
	m = channel_member_by_mac(d->channel, d->segment_ids[pkt->frame->port], &pkt->eth_src);
	return m != CHANNEL_ALL && channel_member(d->channel, m)->up ? (uint16_t)m : PARAMS_NONE;
}

/* Whether it comes from the leg's other end. */
static bool leg_from_there(const struct dispatch *d, const struct leg *leg, const struct pkt *pkt)
{
	const uint16_t port = pkt->frame->port;

	if (leg->flags & LEG_GONE)
		return false;
	if (leg->kind == LEG_TO_SERVER)
		return port == d->targets[leg->target].port;
	return (port == leg->port && macaddr_eq(&pkt->eth_src, &leg->mac)) ||
	       leg_sender(d, pkt) == leg->member;
}

/* The leg of a packet from outside, or of the packet that an ICMP error from there quotes: what is
 * to go into the stack. *side: the other end's. */
static struct leg *leg_of(const struct dispatch *d, const struct pkt *pkt, unsigned *side)
{
	const struct pkt_tuple *t = pkt->icmp_error ? &pkt->inner : &pkt->tuple;
	struct leg *leg;

	if (!d->legs || t->proto != IPPROTO_NUM_TCP || pkt->fragment || !pkt->l4 ||
	    (pkt->icmp_error && pkt->inner_fragment))
		return NULL;
	leg = leg_find(d, t, pkt->version, side);
	if (!leg)
		return NULL;
	if (pkt->icmp_error)
		*side = !*side;
	return *side != leg_stack_side(leg) && leg_from_there(d, leg, pkt) ? leg : NULL;
}

/* --- to the stack -------------------------------------------------------------------------------
 */

static void leg_deliver(struct dispatch *d, struct pkt *pkt, struct leg *leg, unsigned side)
{
	if (leg->kind == LEG_TO_SERVER) {
		d->targets[leg->target].from.packets++;
		d->targets[leg->target].from.bytes += pkt->ip_len;
	} else {
		leg->port = pkt->frame->port;
		leg->mac = pkt->eth_src;
	}
	if (pkt->icmp_error ? stamp_erase_quoted(pkt) > 0 : stamp_remove(pkt) > 0)
		node_count(d->node, COUNTER_STAMP_STRIPPED);
	if (!pkt->icmp_error)
		leg_touch(d, leg, pkt, side);
	node_deliver(d->node, pkt, d->params->legs_port);
}

static bool legs_work(const struct dispatch *d)
{
	const struct node_link *l;

	if (!d->legs || d->params->legs_port >= d->params->n_ports)
		return false;
	l = &d->node->links[d->params->legs_port];
	return l->up && l->has_peer;
}

/* A leg of another kind, or of another member, that is still open. */
static bool relay_collides(const struct leg *leg, unsigned side, uint16_t member)
{
	return leg && !(leg->flags & LEG_ENDED) &&
	       (side != 0 || leg->kind != LEG_FROM_MEMBER || leg->member != member);
}

/* The SYN of that leg has come before; but not by way of what that member was before a restart. */
static bool relay_goes_on(const struct leg *leg, uint32_t generation)
{
	return leg && !(leg->flags & (LEG_ENDED | LEG_GONE)) && leg->state != DFLOW_CLOSED &&
	       leg->generation == generation;
}

/* The leg of a relay's SYN: a new one, or that which it was the SYN of before. */
static enum drop relay_begin(struct dispatch *d, const struct pkt *pkt, uint16_t member,
			     struct leg **leg)
{
	const uint32_t generation = channel_member(d->channel, member)->generation;
	unsigned side = 0;

	if (!legs_work(d) || !leg_relayed(d, leg_service(d, &pkt->tuple.dst, pkt->tuple.dport)))
		return DROP_RELAY_REFUSED;
	*leg = leg_find(d, &pkt->tuple, pkt->version, &side);
	if (relay_collides(*leg, side, member))
		return DROP_RELAY_REFUSED;
	if (relay_goes_on(*leg, generation))
		return DROP_NONE;
	*leg = leg_new(d, &pkt->tuple, pkt->version, LEG_FROM_MEMBER);
	if (!*leg)
		return DROP_FLOW_TABLE_FULL;
	(*leg)->member = member;
	(*leg)->generation = generation;
	node_count(d->node, COUNTER_RELAY_IN);
	return DROP_NONE;
}

static bool relay_expected(const struct dispatch *d, const struct pkt *pkt)
{
	return legs_work(d) && leg_relayed(d, leg_service(d, &pkt->tuple.dst, pkt->tuple.dport));
}

/* A SYN with the mark. False: its sender may not say so, and it is an ordinary one. */
static bool relay_syn(struct dispatch *d, struct pkt *pkt)
{
	const uint16_t member = leg_sender(d, pkt);
	struct leg *leg;
	enum drop why;

	/* A member that is not known yet sends it again. Taken for a client's own it would be
	 * answered past that member. */
	if (member == PARAMS_NONE && relay_expected(d, pkt)) {
		node_drop(d->node, pkt, DROP_RELAY_REFUSED);
		return true;
	}
	if (member == PARAMS_NONE)
		return false;
	stamp_remove(pkt);
	why = relay_begin(d, pkt, member, &leg);
	if (why == DROP_NONE) {
		leg_deliver(d, pkt, leg, 0);
		return true;
	}
	node_reset(d->node, pkt);
	node_drop(d->node, pkt, why);
	return true;
}

static bool is_first(const struct pkt *pkt)
{
	return pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4 && !pkt->fragment &&
	       (pkt->tcp.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

bool legs_in(struct dispatch *d, struct pkt *pkt)
{
	struct leg *leg;
	unsigned side;

	if (d->params->ports[pkt->frame->port].is_stack)
		return false;
	if (is_first(pkt) && stamp_is_relay(pkt))
		return relay_syn(d, pkt);
	leg = leg_of(d, pkt, &side);
	if (leg)
		leg_deliver(d, pkt, leg, side);
	return leg != NULL;
}

/* --- of legs that are forgotten -----------------------------------------------------------------
 */

/* From a server of l7/2, that speaks as the service; or, as the client or the service, from another
 * dispatcher that relays. */
static bool leg_was_known(const struct dispatch *d, const struct pkt *pkt)
{
	const struct pkt_tuple *t = &pkt->tuple;
	const uint16_t from = leg_service(d, &t->src, t->sport);
	const struct dispatcher_params *x =
		d->dispatchers[d->port_dispatcher[pkt->frame->port]].params;

	if (x->role == DISPATCH_OUTER)
		return false;
	if (from != PARAMS_NONE && pkt->frame->port != x->firewall_port &&
	    d->params->services[from].technology == TECHNOLOGY_L7_2)
		return true;
	return (leg_relayed(d, from) || leg_relayed(d, leg_service(d, &t->dst, t->dport))) &&
	       leg_sender(d, pkt) != PARAMS_NONE;
}

bool legs_forgotten(struct dispatch *d, struct pkt *pkt)
{
	if (!d->legs || pkt->tuple.proto != IPPROTO_NUM_TCP || !pkt->l4 || pkt->fragment ||
	    is_first(pkt) || d->params->ports[pkt->frame->port].is_stack || !leg_was_known(d, pkt))
		return false;
	if (!(pkt->tcp.flags & TCP_RST))
		node_reset(d->node, pkt);
	node_drop(d->node, pkt, DROP_NO_LEG);
	return true;
}

bool legs_own(const struct dispatch *d, const struct pkt *pkt)
{
	unsigned side;

	if (!d->legs || pkt->frame->port == d->params->legs_port)
		return false;
	return leg_of(d, pkt, &side) || (pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4 &&
					 !pkt->fragment && leg_was_known(d, pkt));
}

/* --- from the stack -----------------------------------------------------------------------------
 */

static enum drop leg_to_server(struct dispatch *d, struct pkt *pkt, struct leg *leg)
{
	struct target *t;

	if (leg->target == PARAMS_NONE)
		return node_drop(d->node, pkt, DROP_TARGET_DOWN);
	t = &d->targets[leg->target];
	t->to.packets++;
	t->to.bytes += pkt->ip_len;
	if (t->port == PARAMS_NO_PORT)
		return node_drop(d->node, pkt, DROP_NO_ROUTE);
	return node_forward_to(d->node, pkt, t->port, serve_next_hop(t, pkt), &leg->hop);
}

/* Where it is now: its MAC address may have changed. */
static enum drop leg_to_member(struct dispatch *d, struct pkt *pkt, struct leg *leg)
{
	if (leg->member == PARAMS_NONE || !stage_member_mac(d, leg->member, &leg->port, &leg->mac))
		return node_drop(d->node, pkt, DROP_TARGET_DOWN);
	if (node_ttl_expired(d->node, pkt)) /* it is to quote the packet without the mark */
		return DROP_TTL;
	if (is_first(pkt) && !stamp_insert(pkt, STAMP_RELAY, d->node->links[leg->port].mtu)) {
		node_reset(d->node, pkt); /* else it would be taken for the client's own */
		return node_drop(d->node, pkt, DROP_NO_LEG);
	}
	return node_forward_mac(d->node, pkt, leg->port, &leg->mac);
}

static enum drop leg_send(struct dispatch *d, struct pkt *pkt, struct leg *leg)
{
	switch ((enum leg_kind)leg->kind) {
	case LEG_TO_SERVER:
		return leg_to_server(d, pkt, leg);
	case LEG_TO_MEMBER:
		return leg_to_member(d, pkt, leg);
	case LEG_FROM_MEMBER:
		break;
	}
	return node_forward_mac(d->node, pkt, leg->port, &leg->mac);
}

/* The stack must not wait for what nobody will answer. */
static void leg_stray(struct dispatch *d, struct pkt *pkt)
{
	if (pkt->tuple.proto != IPPROTO_NUM_TCP || !pkt->l4 || pkt->fragment) {
		node_drop(d->node, pkt, DROP_STACK_STRAY);
		return;
	}
	node_reset(d->node, pkt);
	node_drop(d->node, pkt, DROP_NO_LEG);
}

void legs_out(struct dispatch *d, struct pkt *pkt)
{
	const bool about = pkt->icmp_error && !pkt->inner_fragment;
	const struct pkt_tuple *t = about ? &pkt->inner : &pkt->tuple;
	struct leg *leg = NULL;
	unsigned side = 0;

	if (d->legs && t->proto == IPPROTO_NUM_TCP && pkt->l4 && !pkt->fragment)
		leg = leg_find(d, t, pkt->version, &side);
	if (about)
		side = !side;
	if (!leg || side != leg_stack_side(leg) || leg->flags & LEG_GONE) {
		leg_stray(d, pkt);
		return;
	}
	if (!about)
		leg_touch(d, leg, pkt, side);
	leg_send(d, pkt, leg);
}

/* --- resets -------------------------------------------------------------------------------------
 */

/* The number that the side expects. Who has sent a SYN and heard nothing yet expects that to be
 * acknowledged. False: nothing was ever heard of it. */
static bool leg_said(const struct leg *leg, unsigned side, struct tcp_seg *said)
{
	if (leg->flags & (side ? LEG_ACKED_1 : LEG_ACKED_0))
		*said = (struct tcp_seg){.flags = TCP_ACK, .ack = leg->ack[side]};
	else
		*said = (struct tcp_seg){.flags = TCP_SYN, .seq = leg->first};
	return said->flags == TCP_ACK || (side == 0 && leg->packets[0] > 0);
}

void leg_reset_side(struct dispatch *d, struct leg *leg, unsigned side)
{
	const struct pkt_tuple tuple = leg_tuple(leg, side);
	const bool to_stack = side == leg_stack_side(leg);
	struct tcp_seg said;
	struct frame frame;
	struct pkt pkt;

	if (!leg_said(leg, side, &said) ||
	    (!to_stack && !bucket_take(&d->node->originate, 1, d->node->now_ns)) ||
	    !dflow_reset_frame(d, &tuple, leg->entry.key.version, &said, &frame) ||
	    pkt_decode(&pkt, &frame) != DROP_NONE)
		return;
	d->node->counters[COUNTER_FRAMES_MADE]++;
	node_count(d->node, COUNTER_RESET_SENT);
	if (to_stack)
		node_deliver(d->node, &pkt, d->params->legs_port);
	else
		leg_send(d, &pkt, leg);
}
