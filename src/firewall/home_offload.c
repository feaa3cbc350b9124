/*
 * home_offload.c - flows of the state table whose packets the kernel passes on (FC-13, FC-14).
 */
#include "firewall/firewall.h"

static uint32_t index_of(const struct firewall *f, const struct state *s)
{
	return flow_table_index(f->states, s);
}

/* Datagrams have no end that would have to be seen; a connection is left to the kernel while it is
 * established, both ways, since each side's window is known by the other's packets. */
static bool home_may_offload(const struct state *s, const struct pkt *pkt, const struct lookup *l)
{
	if (l->from != NOTE_NO_MEMBER || l->delivering || l->frag)
		return false;
	if (s->entry.key.proto == IPPROTO_NUM_UDP)
		return true;
	return s->entry.key.proto == IPPROTO_NUM_TCP && tcp_track_settled(&s->tcp) &&
	       !(pkt->tcp.flags & (TCP_SYN | TCP_FIN | TCP_RST));
}

void home_offer(struct firewall *f, struct state *s, const struct pkt *pkt, const struct lookup *l,
		uint32_t n_sent)
{
	const struct actions *out = f->node->out;
	unsigned side = state_side(s, l->dir);
	bool tcp = s->entry.key.proto == IPPROTO_NUM_TCP;

	if (!offload_worth(f->node->offload, s->packets[side]) || out->n_frames != n_sent + 1 ||
	    !home_may_offload(s, pkt, l))
		return;
	bool right = offload_offer(f->node->offload,
				   &(struct offload_offer){.kind = OFFLOAD_HOME,
							   .owner = index_of(f, s),
							   .side = side,
							   .packets = s->packets[side],
							   .pkt = pkt,
							   .sent = &out->frames[n_sent],
							   .track = tcp ? &s->tcp : NULL,
							   .both = tcp},
				   f->node->now_ns);
	if (!right)
		home_offload_end(f, s);
}

void home_offload_sync(struct firewall *f, struct state *s)
{
	if (f->node->offload && offload_worth(f->node->offload, s->packets[0] + s->packets[1]))
		offload_sync(f->node->offload, OFFLOAD_HOME, index_of(f, s), &s->tcp);
}

void home_offload_moved(struct firewall *f, struct state *s)
{
	if (!offload_worth(f->node->offload, s->packets[0] + s->packets[1]))
		return;
	if (tcp_track_settled(&s->tcp))
		home_offload_sync(f, s);
	else
		home_offload_end(f, s);
}

static void home_renew(struct firewall *f, struct state *s, unsigned side)
{
	const struct macaddr *mac = node_neighbour_used(f->node, s->hop[side]);

	if (mac)
		offload_renew(f->node->offload, OFFLOAD_HOME, index_of(f, s), side, mac,
			      f->node->now_ns);
}

bool home_offload_take(struct firewall *f, struct state *s)
{
	struct node *n = f->node;
	struct offload_traffic t[2];
	uint64_t last_ns;

	if (!n->offload || !offload_take(n->offload, OFFLOAD_HOME, index_of(f, s), t, &last_ns))
		return false;
	for (unsigned side = 0; side < 2; side++) {
		state_count_many(s, side, (uint32_t)t[side].packets, t[side].bytes);
		n->counters[COUNTER_OFFLOADED] += t[side].packets;
		n->counters[COUNTER_OFFLOADED_BYTES] += t[side].bytes;
		n->counters[COUNTER_STATE_HIT] += t[side].packets;
		if (t[side].packets > 0)
			home_renew(f, s, side);
	}
	home_offload_sync(f, s);
	flow_table_arm_since(f->states, s, last_ns, n->now_ns,
			     state_timeout(s, &f->params->firewall.timeout_ms));
	return flow_table_left_ms(f->states, s, n->now_ns) > 0;
}

void home_offload_end(struct firewall *f, struct state *s)
{
	uint32_t index;

	if (!f->node->offload)
		return;
	index = index_of(f, s);
	home_offload_take(f, s);
	offload_end(f->node->offload, OFFLOAD_HOME, index);
}

void home_offload_tick(struct firewall *f, uint32_t index)
{
	struct state *s = flow_table_at(f->states, index);

	if (s)
		home_offload_take(f, s);
}
