/*
 * serve_l7.c - services by L7: their clients' packets to and from the private stack, and targets
 * for the requests that are read there (HD-8, HD-10, HD-11, HD-12).
 */
#include "dispatch/dispatch.h"

/* --- packets ------------------------------------------------------------------------------------
 */

bool serve_stack_works(const struct dispatch *d)
{
	const struct node_link *l;

	if (d->params->stack_port >= d->params->n_ports)
		return false;
	l = &d->node->links[d->params->stack_port];
	return l->up && l->has_peer;
}

enum drop serve_to_stack(struct dispatch *d, struct pkt *pkt, struct dflow *f)
{
	struct service_state *s = &d->service_states[f->service];

	s->to.packets++;
	s->to.bytes += pkt->ip_len;
	if (d->params->stack_port >= d->params->n_ports)
		return node_drop(d->node, pkt, DROP_NO_STACK);
	return node_deliver(d->node, pkt, d->params->stack_port);
}

bool serve_may_speak(struct dispatch *d, struct pkt *pkt, const struct dispatch_lookup *l,
		     const struct dflow *f)
{
	bool served = f && dispatch_by_stack(d, f), from_stack = dispatch_from_stack(d, pkt);
	unsigned speaker;

	if (!served && !from_stack)
		return true;
	/* An error speaks of a packet of the other side. */
	speaker = served ? dflow_side(f, l->dir) ^ (pkt->icmp_error ? 1u : 0u) : 0;
	if (from_stack && (!served || speaker == 0)) {
		node_drop(d->node, pkt, DROP_STACK_STRAY);
		return false;
	}
	if (!from_stack && speaker == 1) {
		node_drop(d->node, pkt, DROP_SPOOFED);
		return false;
	}
	return true;
}

/* --- requests -----------------------------------------------------------------------------------
 */

/* The dispatcher that serves; there is one at most. */
static const struct dispatcher *serving(const struct dispatch *d)
{
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		if (d->dispatchers[i].params->role != DISPATCH_OUTER)
			return &d->dispatchers[i];
	return NULL;
}

/* A request is chosen for like a flow from the client to the service: the static algorithms give
 * all requests of one connection to the same target. */
uint16_t dispatch_l7_choose(struct dispatch *d, uint16_t service, const struct endpoint *client,
			    const struct endpoint *to)
{
	struct pkt_tuple t = {.src = client->addr,
			      .dst = to->addr,
			      .sport = client->port,
			      .dport = to->port,
			      .proto = IPPROTO_NUM_TCP};
	const struct dispatcher *x = serving(d);
	struct serve_pick pick;
	struct flow_key key;

	if (!x || service >= d->params->n_services)
		return PARAMS_NONE;
	flow_key_make(&key, &t, ipaddr_is_v4(&client->addr) ? 4 : 6);
	pick = serve_pick(d, x, service, &key, &client->addr);
	/* Who was told that nobody is up asks anew next time. */
	if (pick.affinity && pick.target != PARAMS_NONE && pick.by != DFLOW_BY_SORRY)
		pick.affinity->target = pick.target;
	if (d->params->services[service].route_of != PARAMS_NONE)
		d->service_states[service].flows_total++;
	return pick.target;
}

static enum l7_standing relay_standing(const struct dispatch *d, uint16_t member,
				       uint64_t *since_ns)
{
	if (d->channel && member < d->params->n_members)
		*since_ns = channel_member(d->channel, member)->since_ns;
	return legs_reach(d, member) ? L7_TARGET_TAKES : L7_TARGET_DOWN;
}

enum l7_standing dispatch_l7_standing(const struct dispatch *d, uint16_t target, uint64_t *since_ns)
{
	const struct target *t;

	*since_ns = 0;
	if (l7_is_relay(target))
		return relay_standing(d, l7_relay_member(target), since_ns);
	if (d->n_dispatchers == 0 || target >= d->params->n_targets)
		return L7_TARGET_DOWN;
	t = &d->targets[target];
	*since_ns = t->since_ns;
	if (!target_usable(d, target))
		return L7_TARGET_DOWN;
	if (t->drained_ns == 0)
		return L7_TARGET_TAKES;
	*since_ns = t->drained_ns;
	return L7_TARGET_DRAINED;
}

void dispatch_l7_flow(struct dispatch *d, uint16_t target, bool begins)
{
	struct candidate *c;

	if (d->n_dispatchers == 0 || target >= d->params->n_targets)
		return;
	c = &d->target_candidates[target];
	if (begins) {
		c->n_flows++;
		d->targets[target].flows_total++;
	} else if (c->n_flows > 0) {
		c->n_flows--;
	}
}
