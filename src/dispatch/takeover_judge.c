/*
 * takeover_judge.c - who plays a dispatcher, by what the nodes say of it.
 */
#include "dispatch/dispatch.h"
#include "dispatch/takeover.h"

#define TAKEOVER_MS_NS 1000000ULL
#define TAKEOVER_YIELD_NS 100000000ULL	 /* a handed-over dispatcher forwards for so long */
#define TAKEOVER_FLAP_NS 600000000000ULL /* after so long without one, flaps are forgotten */
#define TAKEOVER_FLAPS 4		 /* 16 times the wait for taking back is the longest */

/* --- what follows from a state ----------------------------------------------------------------
 */

void takeover_apply(struct dispatch *d)
{
	uint32_t elected = 0, silent = 0, shut = 0;

	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		uint32_t ports = takeover_ports(d->params, &d->params->dispatchers[i]);
		uint8_t state = d->takeover->roles[i].state;

		if (!takeover_shared(d, i))
			continue;
		elected |= ports;
		silent |= state == WIRE_ROLE_ACTIVE ? 0 : ports;
		shut |= state == WIRE_ROLE_ACTIVE || state == WIRE_ROLE_YIELDING ? 0 : ports;
	}
	d->takeover->ports = elected;
	node_set_roles(d->node, elected, silent, shut);
}

/* `other`: the member that had part in it, or CHANNEL_ALL. */
void takeover_become(struct dispatch *d, uint32_t i, enum wire_role_state state, uint32_t other,
		     const char *why)
{
	struct takeover_role *r = &d->takeover->roles[i];
	struct note *note;

	r->state = state;
	r->since_ns = d->node->now_ns;
	r->wants = r->conflict = false;
	r->deaf_ns = 0;
	d->takeover->changed = true;
	takeover_apply(d);
	if (!why)
		return;
	r->why = why;
	r->other = other;
	note = node_note(d->node, NOTE_ROLE);
	if (!note)
		return;
	note->dispatcher = (uint16_t)i;
	note->detail = why;
	if (other != CHANNEL_ALL)
		note->member = other;
}

void takeover_announce(struct dispatch *d, uint32_t i)
{
	uint32_t ports = takeover_ports(d->params, &d->params->dispatchers[i]);

	for (uint16_t port = 0; port < d->params->n_ports; port++)
		if (ports & 1u << port)
			node_announce(d->node, port);
}

static void takeover_activate(struct dispatch *d, uint32_t i, uint32_t other, const char *why)
{
	struct takeover_role *r = &d->takeover->roles[i];

	r->forced = r->forced && d->node->now_ns < r->forced_ns;
	r->successor = 0;
	r->n_active++;
	node_count(d->node, COUNTER_TAKEN_OVER);
	takeover_become(d, i, WIRE_ROLE_ACTIVE, other, why);
	dflow_sweep_soon(d); /* from now on this node's verdicts count */
}

void takeover_flap(struct dispatch *d, struct takeover_role *r)
{
	if (d->node->now_ns - r->flap_ns > TAKEOVER_FLAP_NS)
		r->flaps = 0;
	if (r->flaps < TAKEOVER_FLAPS)
		r->flaps++;
	r->flap_ns = d->node->now_ns;
}

/* Hand it to `member`, or to nobody in particular (CHANNEL_ALL). */
static void takeover_yield(struct dispatch *d, uint32_t i, uint32_t member, const char *why)
{
	struct takeover_role *r = &d->takeover->roles[i];
	uint64_t now = d->node->now_ns;

	r->successor = member == CHANNEL_ALL ? 0 : d->params->members[member].id;
	r->successor_ns = now + takeover_dead_ns(d);
	r->until_ns = now + TAKEOVER_YIELD_NS;
	r->forced = false;
	node_count(d->node, COUNTER_YIELDED);
	replica_yield(d, i, member, r->conflict);
	takeover_become(d, i, WIRE_ROLE_YIELDING, member, why);
}

/* --- who plays it, and who should -------------------------------------------------------------
 */

static const struct takeover_said *said(const struct dispatch *d, uint32_t member, uint32_t i)
{
	return &d->takeover->peers[member].roles[i];
}

/* The fresh member that says it plays it; of several, the preferred one. CHANNEL_ALL: none. */
static uint32_t heard_active(const struct dispatch *d, uint32_t i)
{
	const struct dispatcher_params *p = &d->params->dispatchers[i];

	for (uint32_t k = 0; k < p->n_nodes; k++)
		if (takeover_fresh(d, p->nodes[k], i) &&
		    said(d, p->nodes[k], i)->state == WIRE_ROLE_ACTIVE)
			return p->nodes[k];
	return CHANNEL_ALL;
}

uint16_t takeover_active_id(const struct dispatch *d, uint32_t i)
{
	const struct takeover_role *r = &d->takeover->roles[i];
	uint32_t member;

	if (r->state == WIRE_ROLE_ACTIVE)
		return d->params->node_id;
	member = heard_active(d, i);
	if (member != CHANNEL_ALL)
		return d->params->members[member].id;
	return d->node->now_ns < r->successor_ns ? r->successor : 0;
}

/* Another hears somebody active, or has handed it to somebody, whom this node does not hear as that
 * (yet). Only what a node hears itself is told to others, so that two cannot go on believing each
 * other. */
static bool hearsay_active(const struct dispatch *d, uint32_t i)
{
	const struct dispatcher_params *p = &d->params->dispatchers[i];

	for (uint32_t k = 0; k < p->n_nodes; k++) {
		uint16_t id;

		if (!takeover_fresh(d, p->nodes[k], i))
			continue;
		id = said(d, p->nodes[k], i)->active;
		if (id != 0 && id != d->params->node_id)
			return true;
	}
	return false;
}

/* Another has come into the cluster, or back into it, just now, and has had no time yet to say what
 * it plays. */
static bool has_yet_to_say(const struct dispatch *d, uint32_t i)
{
	const struct dispatcher_params *p = &d->params->dispatchers[i];

	for (uint32_t k = 0; k < p->n_nodes; k++)
		if (d->node->now_ns < takeover_says_by(d, p->nodes[k]))
			return true;
	return false;
}

/* The active one has handed it to this node. */
static uint32_t handed_over_by(const struct dispatch *d, uint32_t i)
{
	const struct dispatcher_params *p = &d->params->dispatchers[i];

	for (uint32_t k = 0; k < p->n_nodes; k++) {
		const struct takeover_said *s = said(d, p->nodes[k], i);

		if (takeover_fresh(d, p->nodes[k], i) && s->state == WIRE_ROLE_YIELDING &&
		    s->active == d->params->node_id)
			return p->nodes[k];
	}
	return CHANNEL_ALL;
}

/* How well a node could play it: larger is better. */
static uint32_t fitness(const struct dispatcher_params *p, uint32_t member, uint8_t flags)
{
	return (flags & WIRE_ROLE_ABLE ? 8u * PARAMS_NODES : 0) +
	       (flags & WIRE_ROLE_BLIND ? 0 : 4u * PARAMS_NODES) +
	       (flags & WIRE_ROLE_SYNCED ? 2u * PARAMS_NODES : 0) +
	       (PARAMS_NODES - takeover_rank(p, member));
}

static uint32_t own_fitness(const struct dispatch *d, uint32_t i)
{
	return fitness(&d->params->dispatchers[i], d->params->self, takeover_flags(d, i));
}

static uint32_t peer_fitness(const struct dispatch *d, uint32_t member, uint32_t i)
{
	return fitness(&d->params->dispatchers[i], member, said(d, member, i)->flags);
}

/* The best of the others that stand by, or CHANNEL_ALL. */
static uint32_t best_standby(const struct dispatch *d, uint32_t i, bool also_waiting)
{
	const struct dispatcher_params *p = &d->params->dispatchers[i];
	uint32_t best = CHANNEL_ALL, best_fitness = 0;

	for (uint32_t k = 0; k < p->n_nodes; k++) {
		uint32_t m = p->nodes[k], fit;
		uint8_t state = said(d, m, i)->state;

		if (!takeover_fresh(d, m, i) ||
		    (state != WIRE_ROLE_STANDBY && !(also_waiting && state == WIRE_ROLE_WAITING)))
			continue;
		fit = peer_fitness(d, m, i);
		if (best == CHANNEL_ALL || fit > best_fitness) {
			best = m;
			best_fitness = fit;
		}
	}
	return best;
}

static bool is_best(const struct dispatch *d, uint32_t i, bool also_waiting)
{
	uint32_t other = best_standby(d, i, also_waiting);

	return other == CHANNEL_ALL || own_fitness(d, i) > peer_fitness(d, other, i);
}

/* --- the states ------------------------------------------------------------------------------- */

static bool all_are_fresh(const struct dispatch *d, uint32_t i)
{
	const struct dispatcher_params *p = &d->params->dispatchers[i];

	for (uint32_t k = 0; k < p->n_nodes; k++)
		if (p->nodes[k] != d->params->self && !takeover_fresh(d, p->nodes[k], i))
			return false;
	return true;
}

static void judge_waiting(struct dispatch *d, uint32_t i)
{
	struct takeover_role *r = &d->takeover->roles[i];

	if (d->node->now_ns >= r->until_ns || heard_active(d, i) != CHANNEL_ALL ||
	    (r->cold && all_are_fresh(d, i) && is_best(d, i, true)))
		takeover_become(d, i, WIRE_ROLE_STANDBY, CHANNEL_ALL, NULL);
}

uint64_t takeover_back_at(const struct dispatch *d, uint32_t i)
{
	const struct takeover_role *r = &d->takeover->roles[i];
	unsigned flaps = d->node->now_ns - r->flap_ns > TAKEOVER_FLAP_NS ? 0 : r->flaps;

	return r->able_ns + (d->params->dispatchers[i].take_back_ms * TAKEOVER_MS_NS << flaps);
}

bool takeover_worse_here(const struct dispatch *d, uint32_t i)
{
	const struct takeover_role *r = &d->takeover->roles[i];
	uint32_t active = heard_active(d, i);

	return takeover_is_blind(r) && active != CHANNEL_ALL &&
	       !(said(d, active, i)->flags & WIRE_ROLE_BLIND);
}

static bool takeover_wants(struct dispatch *d, uint32_t i, uint32_t active)
{
	const struct dispatcher_params *p = &d->params->dispatchers[i];
	struct takeover_role *r = &d->takeover->roles[i];

	if (r->forced && d->node->now_ns >= r->forced_ns)
		r->forced = false;
	if (!r->able || r->leaving || active == CHANNEL_ALL)
		return false;
	if (takeover_worse_here(d, i))
		return false;
	if (r->forced)
		return true;
	return p->take_back && !(said(d, active, i)->flags & WIRE_ROLE_FORCED) &&
	       takeover_synced(d, i) &&
	       (r->sees || !(said(d, active, i)->flags & WIRE_ROLE_SEES)) &&
	       takeover_rank(p, d->params->self) < takeover_rank(p, active) &&
	       d->node->now_ns >= takeover_back_at(d, i);
}

static const char *activation_reason(const struct takeover_role *r)
{
	if (r->n_active == 0 && r->other == CHANNEL_ALL)
		return "active: nobody else plays it";
	return "active: nobody plays it any more";
}

static void judge_standby(struct dispatch *d, uint32_t i)
{
	struct takeover_role *r = &d->takeover->roles[i];
	uint32_t active = heard_active(d, i), from = handed_over_by(d, i);
	bool wants, read;

	if (r->leaving)
		return;
	if (active != CHANNEL_ALL)
		r->other = active; /* who will be missed */
	/* What waits to be read is younger than what was: by now another may play it, or have taken
	 * back what it had handed over. */
	read = d->node->now_ns >= d->takeover->listen_ns;
	if (active == CHANNEL_ALL && from != CHANNEL_ALL && read) {
		takeover_activate(d, i, from, "active: it was handed over");
		return;
	}
	if (active == CHANNEL_ALL && read && d->node->now_ns >= r->successor_ns &&
	    !hearsay_active(d, i) && !has_yet_to_say(d, i) && is_best(d, i, false)) {
		takeover_activate(d, i, r->other, activation_reason(r));
		return;
	}
	wants = takeover_wants(d, i, active);
	if (wants != r->wants)
		d->takeover->changed = true;
	r->wants = wants;
}

/* Another plays it, too. True: this node does no more. */
static bool judge_conflict(struct dispatch *d, uint32_t i, uint32_t other)
{
	struct takeover_role *r = &d->takeover->roles[i];
	const struct dispatcher_params *p = &d->params->dispatchers[i];
	bool other_able = said(d, other, i)->flags & WIRE_ROLE_ABLE, better;

	if (!r->conflict) {
		r->conflict = d->takeover->changed = true;
		node_count(d->node, COUNTER_ROLE_CONFLICT);
	}
	if (!d->takeover->peers[other].hears_us) {
		/* Perhaps not yet: what it says may be older than what it was told. */
		if (r->deaf_ns == 0)
			r->deaf_ns = d->node->now_ns;
		if (d->node->now_ns - r->deaf_ns < 2 * takeover_hello_ns(d))
			return false;
		takeover_yield(d, i, other,
			       "yields: two play it, and the other does not hear this node");
		return true;
	}
	r->deaf_ns = 0;
	better = other_able != r->able
			 ? other_able
			 : takeover_rank(p, other) < takeover_rank(p, d->params->self);
	if (better)
		takeover_yield(d, i, other, "yields: two play it, and the other is preferred");
	return better;
}

static void judge_active(struct dispatch *d, uint32_t i)
{
	const struct dispatcher_params *p = &d->params->dispatchers[i];
	struct takeover_role *r = &d->takeover->roles[i];
	uint32_t other = heard_active(d, i);
	const char *why;

	if (other != CHANNEL_ALL) {
		judge_conflict(d, i, other);
		return;
	}
	r->deaf_ns = 0;
	if (r->conflict) { /* the last to announce the addresses may have been the other one */
		r->conflict = false;
		takeover_announce(d, i);
	}
	other = best_standby(d, i, false);
	if (other == CHANNEL_ALL || !(said(d, other, i)->flags & WIRE_ROLE_ABLE))
		other = CHANNEL_ALL;
	if (r->leaving) {
		takeover_yield(d, i, other, "yields: this node leaves");
		return;
	}
	if (!r->able && other != CHANNEL_ALL) {
		takeover_flap(d, r);
		takeover_yield(d, i, other, "yields: a port is down");
		return;
	}
	why = other != CHANNEL_ALL ? takeover_better_there(d, i, said(d, other, i)->flags) : NULL;
	if (why) {
		takeover_flap(d, r);
		takeover_yield(d, i, other, why);
		return;
	}
	for (uint32_t k = 0; k < p->n_nodes; k++) {
		uint32_t m = p->nodes[k];
		uint8_t flags = said(d, m, i)->flags;

		if (!takeover_fresh(d, m, i) || said(d, m, i)->state != WIRE_ROLE_STANDBY ||
		    !(flags & WIRE_ROLE_WANTS) || !(flags & WIRE_ROLE_ABLE))
			continue;
		if (!(flags & WIRE_ROLE_FORCED) &&
		    (r->forced || takeover_rank(p, m) > takeover_rank(p, d->params->self)))
			continue;
		takeover_yield(d, i, m,
			       flags & WIRE_ROLE_FORCED ? "yields: the operator wants it elsewhere"
							: "yields: the preferred node is back");
		return;
	}
}

static void judge_able(struct dispatch *d, uint32_t i)
{
	struct takeover_role *r = &d->takeover->roles[i];
	uint32_t ports = takeover_ports(d->params, &d->params->dispatchers[i]);
	bool able = !r->leaving;

	for (uint16_t port = 0; port < d->params->n_ports; port++)
		if (ports & 1u << port && !d->node->links[port].up &&
		    !d->params->ports[port].is_stack)
			able = false;
	if (able == r->able)
		return;
	r->able = able;
	r->able_ns = d->node->now_ns;
	d->takeover->changed = true;
}

/* Others wait for what this node believes: they are told at once. */
static void judge_belief(struct dispatch *d, uint32_t i)
{
	struct takeover_role *r = &d->takeover->roles[i];
	uint16_t active = takeover_active_id(d, i);

	if (active != r->active)
		d->takeover->changed = true;
	r->active = active;
}

/* Until then this node goes on forwarding; when the other one is lost, until it plays it again
 * itself, or somebody else does. Who leaves does not wait for ever. */
static bool has_arrived(const struct dispatch *d, uint32_t i)
{
	return heard_active(d, i) != CHANNEL_ALL ||
	       (d->takeover->roles[i].leaving && d->takeover->roles[i].successor == 0);
}

/* Whom it was handed to does not come; or cannot have it after all: both were under way at once. */
static bool is_declined(const struct dispatch *d, uint32_t i)
{
	const struct dispatcher_params *p = &d->params->dispatchers[i];
	const struct takeover_role *r = &d->takeover->roles[i];

	if (d->node->now_ns >= r->successor_ns)
		return true;
	for (uint32_t k = 0; k < p->n_nodes; k++)
		if (d->params->members[p->nodes[k]].id == r->successor)
			return takeover_fresh(d, p->nodes[k], i) &&
			       !(said(d, p->nodes[k], i)->flags & WIRE_ROLE_ABLE);
	return false;
}

static void judge_one(struct dispatch *d, uint32_t i)
{
	struct takeover_role *r = &d->takeover->roles[i];

	judge_able(d, i);
	takeover_judge_sight(d, i);
	if (r->state == WIRE_ROLE_WAITING)
		judge_waiting(d, i);
	if (r->state == WIRE_ROLE_YIELDING && is_declined(d, i)) {
		r->successor = 0;
		r->successor_ns = 0;
	}
	if (r->state == WIRE_ROLE_YIELDING && d->node->now_ns >= r->until_ns && has_arrived(d, i))
		takeover_become(d, i, WIRE_ROLE_STANDBY, CHANNEL_ALL, NULL);
	if (r->state == WIRE_ROLE_STANDBY ||
	    (r->state == WIRE_ROLE_YIELDING && r->successor == 0)) /* that one was lost */
		judge_standby(d, i);
	else if (r->state == WIRE_ROLE_ACTIVE)
		judge_active(d, i);
	judge_belief(d, i);
}

/* Whose tables this node has, or gives. */
static void judge_tables(struct dispatch *d, uint32_t i)
{
	uint8_t state = d->takeover->roles[i].state;

	if (state == WIRE_ROLE_ACTIVE)
		replica_role(d, i, REPLICA_SOURCE, CHANNEL_ALL);
	else if (state != WIRE_ROLE_YIELDING)
		replica_role(d, i, REPLICA_COPY, heard_active(d, i));
}

void takeover_judge(struct dispatch *d)
{
	uint32_t unheard = 0;

	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		if (!takeover_shared(d, i))
			continue;
		judge_one(d, i);
		judge_tables(d, i);
		if (!all_are_fresh(d, i))
			unheard |= takeover_ports(d->params, &d->params->dispatchers[i]);
	}
	node_set_unheard(d->node, unheard);
}
