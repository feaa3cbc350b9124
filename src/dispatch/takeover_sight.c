/*
 * takeover_sight.c - whether a node still reaches those that a dispatcher is between, or another
 * one may (HD-19): a port may be up and yet nothing comes through.
 *
 * Servers are checked by every node, so each can say what it sees: SEES when by every port that has
 * checked servers one of them has just answered, BLIND when by some port none does any more. Who
 * plays the dispatcher and is blind hands over to one that sees.
 *
 * Firewalls answer only the node that plays it, as the others have no address there. When not one
 * of them answers for its address, and no other node is heard on their segment, nobody can tell
 * which of the nodes is cut off. Nothing passes here then, so another may try; who was cut off
 * plays it no more of its own will until it has heard another one there.
 */
#include "dispatch/dispatch.h"
#include "dispatch/takeover.h"

#define TRY_NS 10000000000ULL /* so long between two tries, and twice as long after each */

/* --- servers --------------------------------------------------------------------------------- */

/* Of the port by which it is; the last one: by the host's own routes. */
static unsigned port_index(const struct target *t)
{
	return t->port < PARAMS_PORTS ? t->port : PARAMS_PORTS;
}

static uint32_t port_bit(const struct target *t)
{
	return 1u << port_index(t);
}

static bool is_checked(const struct params *p, uint16_t i)
{
	return p->targets[i].check.kind != CHECK_NONE && p->targets[i].member == PARAMS_NONE &&
	       p->targets[i].n_via == 0;
}

/* What a check asks after another target by the same port has answered it misses because of the
 * target; what it had asked before, perhaps because this node was cut off. */
static void look_for_witnesses(struct dispatch *d)
{
	uint64_t hit_ns[PARAMS_PORTS + 1] = {0};

	for (uint16_t i = 0; i < d->params->n_targets; i++) {
		struct target *t = &d->targets[i];
		uint64_t *last = &hit_ns[port_index(t)];

		if (is_checked(d->params, i) && t->hit_ns > *last)
			*last = t->hit_ns;
	}
	for (uint16_t i = 0; i < d->params->n_targets; i++) {
		struct target *t = &d->targets[i];

		if (t->bad > 0 && t->witness_ns == 0 && hit_ns[port_index(t)] > t->miss_ns)
			t->witness_ns = d->node->now_ns;
	}
}

void takeover_look(struct dispatch *d)
{
	uint32_t checked = 0, answers = 0, judged = 0, up = 0;

	look_for_witnesses(d);

	for (uint16_t i = 0; i < d->params->n_targets; i++) {
		const struct target *t = &d->targets[i];

		if (!is_checked(d->params, i))
			continue;
		checked |= port_bit(t);
		answers |= t->good > 0 ? port_bit(t) : 0;
		judged |= t->checked ? port_bit(t) : 0;
		up |= t->check_up ? port_bit(t) : 0;
	}
	d->sees_servers = (checked & ~answers) == 0;
	d->lost_servers = (judged & ~up) != 0;
}

static bool another_sees(const struct dispatch *d, uint32_t dispatcher)
{
	const struct dispatcher_params *p = &d->params->dispatchers[dispatcher];

	for (uint32_t k = 0; k < p->n_nodes; k++)
		if (takeover_fresh(d, p->nodes[k], dispatcher) &&
		    takeover_sees(d->takeover->peers[p->nodes[k]].roles[dispatcher].flags))
			return true;
	return false;
}

bool takeover_doubts(const struct dispatch *d, uint16_t target)
{
	const struct target *t = &d->targets[target];

	if (!is_checked(d->params, target) || t->check_up)
		return false;
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		if (!takeover_shared(d, i) || !d->takeover ||
		    d->params->dispatchers[i].role == DISPATCH_OUTER)
			continue;
		if (!takeover_is_active(d, (uint16_t)i))
			return true; /* the verdict is another's */
		if (t->good > 0 || t->told_ns <= d->takeover->roles[i].since_ns)
			return true; /* it is coming; it was found before this node played it */
		return t->bad < 2 * d->params->targets[target].check.fall && !t->vouched &&
		       another_sees(d, i);
	}
	return false;
}

/* --- firewalls -------------------------------------------------------------------------------- */

static bool is_heard_on(const struct dispatch *d, uint32_t dispatcher, uint16_t port)
{
	const struct dispatcher_params *p = &d->params->dispatchers[dispatcher];

	for (uint32_t k = 0; k < p->n_nodes; k++) {
		uint64_t heard_ns = d->takeover->peers[p->nodes[k]].segment_ns[port];

		if (heard_ns != 0 && d->node->now_ns - heard_ns < takeover_dead_ns(d))
			return true;
	}
	return false;
}

/* --- a role ---------------------------------------------------------------------------------- */

void takeover_judge_sight(struct dispatch *d, uint32_t i)
{
	const struct dispatcher_params *p = &d->params->dispatchers[i];
	struct takeover_role *r = &d->takeover->roles[i];
	bool servers = p->role != DISPATCH_OUTER, sees, lost, cut = r->cut;

	sees = !servers || d->sees_servers;
	lost = servers && d->lost_servers;
	if (p->firewall_port != PARAMS_NO_PORT) {
		if (is_heard_on(d, i, p->firewall_port))
			cut = false;
		else if (r->state == WIRE_ROLE_ACTIVE)
			cut = path_none_answers(d, &d->dispatchers[i]);
	}
	if (sees == r->sees && lost == r->lost_servers && cut == r->cut)
		return;
	if (takeover_is_blind(r) && !lost && !cut)
		r->able_ns = d->node->now_ns; /* take-back-delay begins */
	r->sees = sees;
	r->lost_servers = lost;
	r->cut = cut;
	d->takeover->changed = true;
}

const char *takeover_better_there(const struct dispatch *d, uint32_t i, uint8_t flags)
{
	const struct takeover_role *r = &d->takeover->roles[i];
	uint64_t wait = r->flaps == 0 ? 0 : TRY_NS << r->flaps;

	if (!(flags & WIRE_ROLE_ABLE) || !(flags & WIRE_ROLE_SYNCED))
		return NULL;
	if (r->lost_servers && takeover_sees(flags))
		return "yields: no server answers here any more, but there";
	if (r->cut && !(flags & WIRE_ROLE_BLIND) && d->node->now_ns - r->flap_ns >= wait)
		return "yields: no firewall answers here any more, perhaps there";
	return NULL;
}
