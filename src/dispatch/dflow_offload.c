/*
 * dflow_offload.c - flows of dispatchers whose packets the kernel passes on (HD-1 to HD-7).
 */
#include "dispatch/dispatch.h"

static bool dflow_may_offload(const struct dflow *f, const struct pkt *pkt)
{
	if (f->state != DFLOW_OPEN || f->flags & DFLOW_ANNOUNCED)
		return false;
	if (f->entry.key.proto == IPPROTO_NUM_UDP)
		return true;
	return f->entry.key.proto == IPPROTO_NUM_TCP &&
	       !(pkt->tcp.flags & (TCP_SYN | TCP_FIN | TCP_RST));
}

/* The sender's MAC address counts: it says which firewall, or which stage, the packet came by. */
void dflow_offer(struct dispatch *d, struct dflow *f, unsigned side, const struct pkt *pkt,
		 uint32_t n_sent)
{
	const struct actions *out = d->node->out;

	if (!offload_worth(d->node->offload, f->packets[side]) || out->n_frames != n_sent + 1 ||
	    pkt->icmp_error || !dflow_may_offload(f, pkt))
		return;
	bool right = offload_offer(d->node->offload,
				   &(struct offload_offer){.kind = OFFLOAD_DISPATCH,
							   .owner = flow_table_index(d->flows, f),
							   .side = side,
							   .packets = f->packets[side],
							   .pkt = pkt,
							   .sent = &out->frames[n_sent],
							   .check_sender = true},
				   d->node->now_ns);
	if (!right)
		dflow_offload_end(d, f);
}

static void traffic_add(struct traffic *t, const struct offload_traffic *more)
{
	t->packets += more->packets;
	t->bytes += more->bytes;
}

/* As if the packets of that side had been here. */
static void dflow_credit(struct dispatch *d, struct dflow *f, unsigned side,
			 const struct offload_traffic *t)
{
	struct dispatcher *x = &d->dispatchers[f->entry.key.zone];
	bool to_firewalls = dispatch_to_firewalls(d, f, side);

	dflow_count_many(f, side, (uint32_t)t->packets, t->bytes);
	if (f->entry.key.proto == IPPROTO_NUM_TCP)
		f->ack[side] = t->ack;
	if (f->path != PARAMS_NONE && !to_firewalls && !f->upstream)
		path_heard(d, x, f->path);
	if (f->path != PARAMS_NONE && (to_firewalls ? x->paths[f->path].on_segment : !f->upstream))
		traffic_add(to_firewalls ? &x->paths[f->path].to : &x->paths[f->path].from, t);
	if (f->target != PARAMS_NONE)
		traffic_add(to_firewalls ? &d->targets[f->target].from : &d->targets[f->target].to,
			    t);
	if (f->service != PARAMS_NONE && (f->target != PARAMS_NONE || dispatch_by_stack(d, f)))
		traffic_add(to_firewalls ? &d->service_states[f->service].from
					 : &d->service_states[f->service].to,
			    t);
	if (to_firewalls && f->upstream && f->path != PARAMS_NONE)
		d->node->counters[COUNTER_DISPATCH_BYPASS] += t->packets;
	d->node->counters[COUNTER_DISPATCH_HIT] += t->packets;
	d->node->counters[COUNTER_OFFLOADED] += t->packets;
	d->node->counters[COUNTER_OFFLOADED_BYTES] += t->bytes;
}

static void dflow_renew(struct dispatch *d, struct dflow *f, unsigned side)
{
	const struct macaddr *mac;

	if (dispatch_by_stack(d, f) && !dispatch_to_firewalls(d, f, side))
		mac = &d->node->links[d->params->stack_port].peer;
	else
		mac = node_neighbour_used(d->node, f->hop[side].neigh);
	if (mac)
		offload_renew(d->node->offload, OFFLOAD_DISPATCH, flow_table_index(d->flows, f),
			      side, mac, d->node->now_ns);
}

bool dflow_offload_take(struct dispatch *d, struct dflow *f)
{
	const struct dispatcher *x = &d->dispatchers[f->entry.key.zone];
	struct offload_traffic t[2];
	uint64_t last_ns;

	if (!d->node->offload || !offload_take(d->node->offload, OFFLOAD_DISPATCH,
					       flow_table_index(d->flows, f), t, &last_ns))
		return false;
	for (unsigned side = 0; side < 2; side++) {
		if (t[side].packets == 0)
			continue;
		dflow_credit(d, f, side, &t[side]);
		dflow_renew(d, f, side);
	}
	flow_table_arm_since(d->flows, f, last_ns, d->node->now_ns, dflow_timeout(f, x->params));
	return flow_table_left_ms(d->flows, f, d->node->now_ns) > 0;
}

void dflow_offload_end(struct dispatch *d, struct dflow *f)
{
	uint32_t index;

	if (!d->node->offload)
		return;
	index = flow_table_index(d->flows, f);
	dflow_offload_take(d, f);
	offload_end(d->node->offload, OFFLOAD_DISPATCH, index);
}

void dflow_offload_tick(struct dispatch *d, uint32_t index)
{
	struct dflow *f = d->flows ? flow_table_at(d->flows, index) : NULL;

	if (f)
		dflow_offload_take(d, f);
}
