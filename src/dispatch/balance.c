/*
 * balance.c - between the two sides of a sandwich: every packet of a flow, both ways, through one
 * firewall (HD-1 to HD-5).
 */
#include "dispatch/dispatch.h"
#include "packet/peek.h"

uint16_t balance_choose(struct dispatcher *x, const struct flow_key *key)
{
	return choice_pick(x->path_choice, x->path_candidates,
			   choice_hash_flow(x->params->seed, key));
}

/* What both dispatchers agree on without a word, whatever the algorithm is. */
static uint16_t balance_agreed(struct dispatcher *x, const struct flow_key *key)
{
	return choice_pick_static(x->path_choice, x->path_candidates,
				  choice_hash_flow(x->params->seed, key));
}

/* --- learning --------------------------------------------------------------------------------- */

/* Who chose the firewall stays with its choice as long as that is up; the other side follows what
 * it sees, so that the two never chase one another. */
void balance_learn(struct dispatch *d, const struct dispatch_lookup *l, struct dflow *f)
{
	bool chosen = f->path_by == DFLOW_BY_ALGORITHM, moved = f->path != PARAMS_NONE;

	if (l->path == PARAMS_NONE || l->path == f->path)
		return;
	if (f->path != PARAMS_NONE && chosen && l->d->path_candidates[f->path].up)
		return;
	node_count(d->node, COUNTER_PATH_LEARNT);
	dflow_set_path(d, f, l->path, DFLOW_BY_LEARNT);
	if (moved) {
		node_count(d->node, COUNTER_PATH_MOVED);
		dispatch_note(d, NOTE_DISPATCH_MOVED, f, "followed its packets");
	}
	if (f->target != PARAMS_NONE && d->params->targets[f->target].member != PARAMS_NONE)
		stage_tell(d, f, d->params->targets[f->target].member);
}

/* --- towards a firewall ------------------------------------------------------------------------
 */

/* The flow's firewall is down. DROP_NONE: there is another now. A flow that is to be reset is left
 * to the sweep, which comes with the verdict; its packets are dropped meanwhile. */
static enum drop balance_move(struct dispatch *d, struct dispatcher *x, struct dflow *f)
{
	uint16_t path;

	if (x->params->path_down == DOWN_KEEP)
		return DROP_NONE;
	if (x->paths[f->path].jointly)
		return DROP_NO_PATH;
	if (x->params->path_down == DOWN_RESET && f->entry.key.proto == IPPROTO_NUM_TCP)
		return DROP_PATH_DOWN;
	path = balance_agreed(x, &f->entry.key);
	if (path == PARAMS_NONE)
		return DROP_NO_PATH;
	dflow_set_path(d, f, path, DFLOW_BY_MOVED);
	node_count(d->node, COUNTER_PATH_MOVED);
	dispatch_note(d, NOTE_DISPATCH_MOVED, f, "its firewall is down");
	return DROP_NONE;
}

static enum drop balance_send(struct dispatch *d, struct pkt *pkt, struct dispatcher *x,
			      uint16_t path, struct hop *hop)
{
	struct path *p = &x->paths[path];

	p->to.packets++;
	p->to.bytes += pkt->ip_len;
	return node_forward_to(d->node, pkt, x->params->firewall_port, &p->addr, hop);
}

enum drop balance_to_path(struct dispatch *d, struct pkt *pkt, struct dflow *f, unsigned side)
{
	struct dispatcher *x = &d->dispatchers[f->entry.key.zone];
	bool back = f->upstream &&
		    (f->path == PARAMS_NONE || !x->params->bypass || !x->paths[f->path].on_segment);
	enum drop why;

	if (back)
		return stage_back(d, pkt, f);
	if (f->path == PARAMS_NONE)
		return node_forward(d->node, pkt, &f->hop[side]);
	why = x->path_candidates[f->path].up ? DROP_NONE : balance_move(d, x, f);
	if (why != DROP_NONE)
		return node_drop(d->node, pkt, why);
	if (f->upstream)
		node_count(d->node, COUNTER_DISPATCH_BYPASS);
	return balance_send(d, pkt, x, f->path, &f->hop[side]);
}

void balance_static(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	struct hop hop = {.neigh = NEIGH_NONE};
	uint16_t path = balance_agreed(l->d, &l->key);

	if (path == PARAMS_NONE) {
		node_drop(d->node, pkt, DROP_NO_PATH);
		return;
	}
	node_count(d->node, COUNTER_DISPATCH_STATIC);
	balance_send(d, pkt, l->d, path, &hop);
}

/* --- a packet that passes ----------------------------------------------------------------------
 */

/* A flow begins, or is met in its middle by a frame from a firewall, which has judged it. */
static struct dflow *balance_begin(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	bool from_firewall = l->path != PARAMS_NONE;
	bool outer = l->d->params->role == DISPATCH_OUTER;
	uint16_t path = from_firewall ? l->path : balance_choose(l->d, &l->key);
	struct dflow *f;

	if (path == PARAMS_NONE) {
		node_drop(d->node, pkt, DROP_NO_PATH);
		return NULL;
	}
	if (node_ttl_expired(d->node, pkt))
		return NULL;
	f = dflow_new(d, l);
	if (!f) {
		node_drop(d->node, pkt, DROP_FLOW_TABLE_FULL);
		return NULL;
	}
	if (from_firewall == outer)
		f->flags |= DFLOW_INSIDE;
	f->origin_port = (uint8_t)pkt->frame->port;
	dflow_set_path(d, f, path, from_firewall ? DFLOW_BY_LEARNT : DFLOW_BY_ALGORITHM);
	if (from_firewall)
		node_count(d->node, COUNTER_PATH_LEARNT);
	dispatch_note(d, NOTE_DISPATCHED, f, NULL);
	return f;
}

/* Nothing is kept of it: from the firewalls by the routes, to them by the static choice. */
static void balance_pass(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	struct hop hop = {.neigh = NEIGH_NONE};

	if (l->path == PARAMS_NONE) {
		balance_static(d, pkt, l);
		return;
	}
	node_count(d->node, COUNTER_DISPATCH_STATIC);
	node_forward(d->node, pkt, &hop);
}

void balance_packet(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l, struct dflow *f)
{
	unsigned side;

	if (f) {
		balance_learn(d, l, f);
	} else if (!l->d->params->learn) {
		balance_pass(d, pkt, l);
		return;
	} else if (l->path == PARAMS_NONE && !pkt_starts_flow(pkt)) {
		dispatch_unknown(d, pkt, l);
		return;
	} else {
		f = balance_begin(d, pkt, l);
		if (!f)
			return;
	}
	side = dflow_side(f, l->dir);
	dflow_touch(d, f, pkt, side);
	dispatch_send(d, pkt, f, side);
}
