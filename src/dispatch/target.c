/*
 * target.c - who may serve: where targets are, whether they are up, what share they take (HD-10,
 * HD-12, HD-24).
 *
 * A target is up when it is known where it is (its port's link is up, a member is heard), its check
 * has not failed, and its agent does not say otherwise. What checks, agents, operators and other
 * dispatchers say is kept apart in struct target; target_judge makes the candidate of it.
 */
#include <string.h>

#include "dispatch/agent.h"
#include "dispatch/dispatch.h"

#define REFRESH_NS 100000000ULL
#define RATE_NS 1000000000ULL
#define GRACE_NS 3000000000ULL /* for what has never been up: devices, routes and members come */

/* --- where they are --------------------------------------------------------------------------- */

/* The dispatcher that has services: inner or a later stage. */
static const struct dispatcher_params *target_dispatcher(const struct params *p)
{
	for (uint32_t i = 0; i < p->n_dispatchers; i++)
		if (p->dispatchers[i].role != DISPATCH_OUTER)
			return &p->dispatchers[i];
	return NULL;
}

static bool is_port_of(const struct dispatcher_params *x, uint16_t port)
{
	for (uint32_t i = 0; i < x->n_ports; i++)
		if (x->ports[i] == port)
			return true;
	return false;
}

/* The dispatcher's port by which `a` is reached, and its next hop there. */
static uint16_t target_hop(const struct node *n, const struct dispatcher_params *x,
			   const struct ipaddr *a, struct ipaddr *next)
{
	const struct route *r;

	*next = *a;
	for (size_t i = 0; i < n->n_addresses; i++) {
		const struct node_address *own = &n->addresses[i];
		if (!own->is_passed && prefix_contains(&own->prefix, a) && is_port_of(x, own->port))
			return own->port;
	}
	r = route_table_find(n->routes, a);
	if (!r || !is_port_of(x, r->port))
		return PARAMS_NO_PORT;
	if (!ipaddr_is_unspecified(&r->via))
		*next = r->via;
	return r->port;
}

static void target_place_server(struct dispatch *d, uint16_t i)
{
	const struct dispatcher_params *x = target_dispatcher(d->params);
	const struct target_params *p = &d->params->targets[i];
	const struct ipaddr *own[2] = {p->has_v4 ? &p->v4 : NULL, p->has_v6 ? &p->v6 : NULL};
	struct target *t = &d->targets[i];

	t->port = PARAMS_NO_PORT;
	memset(t->addr, 0, sizeof(t->addr));
	for (unsigned family = 0; x && family < 2; family++) {
		struct ipaddr next;
		uint16_t port =
			own[family] ? target_hop(d->node, x, own[family], &next) : PARAMS_NO_PORT;

		/* A target is on one port: an address elsewhere cannot be sent to. */
		if (port == PARAMS_NO_PORT || (t->port != PARAMS_NO_PORT && t->port != port))
			continue;
		t->port = port;
		t->addr[family] = next;
	}
}

static bool link_works(const struct dispatch *d, uint16_t port)
{
	return d->node->links[port].up || !(d->links_seen & 1u << port);
}

static const char *target_reached(const struct dispatch *d, uint16_t i)
{
	uint16_t member = d->params->targets[i].member, port = d->targets[i].port;

	if (d->targets[i].by_host)
		return NULL;
	if (member != PARAMS_NONE && (!d->channel || !channel_member(d->channel, member)->up))
		return "the member is down";
	if (port == PARAMS_NO_PORT)
		return member != PARAMS_NONE ? "no segment is shared with it" : "no route to it";
	return link_works(d, port) ? NULL : "the port is down";
}

/* --- up or down, and its share ---------------------------------------------------------------- */

static uint32_t target_weight(const struct target *t)
{
	uint32_t weight = t->weight * t->load_percent / 100;

	if (t->drained || t->agent_drained)
		return 0;
	return weight == 0 && t->weight > 0 && t->load_percent > 0 ? 1 : weight;
}

/* NULL = up. */
static const char *target_trouble(const struct dispatch *d, uint16_t i)
{
	const struct target *t = &d->targets[i];
	const char *why = target_reached(d, i);

	if (d->params->targets[i].n_via > 0)
		return "connected to other dispatchers";
	if (why)
		return why;
	if (t->agent_maint)
		return "its agent says maintenance";
	if (t->agent_down)
		return "its agent says down";
	return t->check_up ? NULL : t->said;
}

static bool service_uses(const struct params *p, const struct service_params *s, uint16_t target)
{
	for (uint32_t i = 0; i < s->targets.n; i++)
		if (p->target_lists[s->targets.first + i] == target)
			return true;
	return false;
}

static void target_mark_stale(struct dispatch *d, uint16_t target)
{
	for (uint32_t i = 0; d->service_states && i < d->params->n_services; i++)
		if (service_uses(d->params, &d->params->services[i], target))
			d->service_states[i].stale = d->targets_stale = true;
}

/* Let the choices know what has changed since the last time. */
void target_update(struct dispatch *d)
{
	for (uint32_t i = 0; d->targets_stale && i < d->params->n_services; i++) {
		struct service_state *s = &d->service_states[i];
		if (s->stale && s->choice)
			choice_update(s->choice, d->target_candidates);
		s->stale = false;
	}
	d->targets_stale = false;
}

/* It is not up, but nor has this process been there for long: devices, routes and members come. */
static bool target_expected(const struct dispatch *d, uint16_t i)
{
	const struct target *t = &d->targets[i];
	uint64_t since_ns = t->since_ns > d->start_ns ? t->since_ns : d->start_ns;

	return !t->was_up && t->check_up && d->node->now_ns < since_ns + GRACE_NS;
}

bool target_lost(const struct dispatch *d, uint16_t i)
{
	return !target_usable(d, i) && !target_expected(d, i) && !d->targets[i].doubted;
}

bool target_awaited(const struct dispatch *d, const struct service_params *s)
{
	for (uint32_t i = 0; i < s->targets.n; i++)
		if (target_expected(d, d->params->target_lists[s->targets.first + i]))
			return true;
	return false;
}

static void target_tell_verdict(struct dispatch *d, uint16_t i, bool up)
{
	struct target *t = &d->targets[i];
	struct note *note;

	if (up != t->told_down || d->params->targets[i].n_via > 0)
		return;
	if (!up && target_expected(d, i))
		return;
	t->told_down = !up;
	note = node_note(d->node, up ? NOTE_TARGET_UP : NOTE_TARGET_DOWN);
	if (!note)
		return;
	note->target = i;
	note->detail = t->why;
}

/* Whether this node plays a dispatcher that has services: else affinities are a copy of another's.
 */
static bool target_serves(const struct dispatch *d)
{
	for (uint16_t i = 0; i < d->n_dispatchers; i++)
		if (d->params->dispatchers[i].role != DISPATCH_OUTER && takeover_is_active(d, i))
			return true;
	return false;
}

/* Its flows are to move or to end, unless every service that uses it keeps them. */
static void target_lose_flows(struct dispatch *d, uint16_t target)
{
	bool keep = true;

	for (uint32_t i = 0; i < d->params->n_services; i++) {
		const struct service_params *s = &d->params->services[i];
		if (s->target_down != DOWN_KEEP &&
		    (s->sorry == target || service_uses(d->params, s, target)))
			keep = false;
	}
	if (keep)
		return;
	dflow_sweep_soon(d);
	if (d->affinities && target_serves(d))
		affinity_forget_target(d->affinities, target);
}

/* What is known of the target has changed: its candidate, and all that follows from it. */
void target_judge(struct dispatch *d, uint16_t i)
{
	struct candidate *c = &d->target_candidates[i];
	struct target *t = &d->targets[i];
	const char *trouble = target_trouble(d, i);
	uint32_t weight = target_weight(t);
	bool up = !trouble, was = c->up, told = t->told_down, doubted = t->doubted;

	t->why = trouble ? trouble : t->said;
	if (weight > 0)
		t->drained_ns = 0;
	else if (t->drained_ns == 0)
		t->drained_ns = d->node->now_ns;
	if (up != was || weight != c->weight) {
		c->up = up;
		c->weight = weight;
		target_mark_stale(d, i);
	}
	if (up != was) {
		t->since_ns = d->node->now_ns;
		node_void_offload(d->node);
	}
	if (up)
		t->was_up = true;
	target_tell_verdict(d, i, up);
	t->doubted = trouble == t->said && takeover_doubts(d, i);
	if (!up && !t->doubted && (was || doubted || t->told_down != told))
		target_lose_flows(d, i);
}

bool target_usable(const struct dispatch *d, uint16_t target)
{
	return d->target_candidates[target].up;
}

void target_refresh(struct dispatch *d)
{
	bool routes = d->targets_generation != d->node->route_generation;

	for (uint32_t i = 0; i < d->params->n_ports; i++)
		if (d->node->links[i].up)
			d->links_seen |= 1u << i;
	for (uint16_t i = 0; i < d->params->n_targets; i++) {
		uint16_t member = d->params->targets[i].member;
		struct target *t = &d->targets[i];
		struct macaddr mac;

		if (member == PARAMS_NONE && routes)
			target_place_server(d, i);
		else if (member != PARAMS_NONE && !stage_member_mac(d, member, &t->port, &mac))
			t->port = PARAMS_NO_PORT;
		target_judge(d, i);
	}
	takeover_look(d);
	d->targets_generation = d->node->route_generation;
	d->targets_due_ns = d->node->now_ns + REFRESH_NS;
	target_update(d);
}

/* --- life ------------------------------------------------------------------------------------- */

static bool target_moved(const struct target *t, const struct target_params *p)
{
	static const struct ipaddr none;

	return !ipaddr_eq(&t->server[0], p->has_v4 ? &p->v4 : &none) ||
	       !ipaddr_eq(&t->server[1], p->has_v6 ? &p->v6 : &none);
}

/* Up until proven otherwise. */
static void target_forget_check(struct target *t, const struct target_params *p)
{
	t->checked = false;
	t->check_up = true;
	t->good = t->bad = 0;
	t->said = p->check.kind == CHECK_NONE ? "not checked" : "not checked yet";
}

static void target_forget_agent(struct target *t)
{
	t->load_percent = 100;
	t->agent_down = t->agent_drained = t->agent_maint = false;
}

static void target_begin(struct target *t, const struct target_params *p, uint64_t now_ns)
{
	target_forget_check(t, p);
	target_forget_agent(t);
	t->weight = t->configured = p->weight;
	t->since_ns = now_ns;
}

/* A target that was there before the reload. What was set at run time stays; but a weight that is
 * new in the file is as if it had been set now. */
static void target_go_on(struct dispatch *d, uint16_t i)
{
	const struct target_params *p = &d->params->targets[i];
	struct target *t = &d->targets[i];

	if (p->check.kind == CHECK_NONE || target_moved(t, p))
		target_forget_check(t, p);
	if (p->check.agent_port == 0 || target_moved(t, p))
		target_forget_agent(t);
	if (t->configured == p->weight)
		return;
	t->weight = t->configured = p->weight;
	if (t->version > 0)
		target_share(d, i);
}

/* Services by l7/3 reach it by the host's own stack, whose routes need not lead over the node's
 * ports: only its check can tell whether it is there. */
static bool target_is_by_host(const struct params *p, uint16_t target)
{
	bool l7 = false;

	for (uint32_t i = 0; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];

		if (s->sorry != target && !service_uses(p, s, target))
			continue;
		if (s->technology != TECHNOLOGY_L7_3)
			return false;
		l7 = true;
	}
	return l7;
}

int target_init(struct dispatch *d)
{
	static const struct ipaddr none;
	uint64_t now = d->node->now_ns;

	if (d->target_rate_ns == 0) { /* not after a reload */
		d->target_rate_ns = now + RATE_NS;
		target_share_init(d);
	}
	for (uint16_t i = 0; i < d->params->n_targets; i++) {
		const struct target_params *p = &d->params->targets[i];
		struct target *t = &d->targets[i];

		d->target_candidates[i].identity = choice_identity(p->name);
		t->by_host = target_is_by_host(d->params, i);
		if (t->said)
			target_go_on(d, i);
		else
			target_begin(t, p, now);
		t->server[0] = p->has_v4 ? p->v4 : none;
		t->server[1] = p->has_v6 ? p->v6 : none;
	}
	for (uint32_t i = 0; i < d->params->n_services; i++)
		d->service_states[i].stale = d->targets_stale = true;
	d->targets_generation = (uint16_t)(d->node->route_generation - 1);
	target_refresh(d);
	return 0;
}

/* --- checks and agents ------------------------------------------------------------------------ */

void dispatch_target_health(struct dispatch *d, uint16_t target, bool up, const char *why)
{
	struct target *t = &d->targets[target];
	const struct check_params *p = &d->params->targets[target].check;

	t->said = why;
	t->vouched = !up && t->bad > 0 && t->witness_ns != 0 && t->witness_ns < t->told_ns;
	t->told_ns = d->node->now_ns;
	t->good = up ? t->good + 1 : 0;
	if (up) {
		t->hit_ns = d->node->now_ns;
	} else if (t->bad == 0) {
		t->miss_ns = d->node->now_ns;
		t->witness_ns = 0;
	}
	t->bad = up ? 0 : t->bad + 1;
	if (up && (!t->checked || t->good >= p->rise))
		t->check_up = t->checked = true;
	if (!up && t->bad >= p->fall) {
		t->check_up = false;
		t->checked = true;
	}
	target_judge(d, target);
	target_update(d);
	takeover_look(d);
}

void dispatch_target_load(struct dispatch *d, uint16_t target, int percent)
{
	struct target *t = &d->targets[target];
	bool was = d->target_candidates[target].up;

	switch (percent) {
	case AGENT_DOWN:
		t->agent_down = true;
		break;
	case AGENT_UP:
		t->agent_down = false;
		break;
	case AGENT_DRAIN:
		t->agent_drained = true;
		break;
	case AGENT_MAINT:
		t->agent_maint = true;
		break;
	case AGENT_READY:
		t->agent_drained = t->agent_maint = false;
		break;
	default:
		if (percent >= 0)
			t->load_percent = (uint8_t)(percent < 100 ? percent : 100);
	}
	target_judge(d, target);
	/* Many agents whose loads vary a little share one rebuild of the choice, at the next tick.
	 */
	if (was != d->target_candidates[target].up)
		target_update(d);
}

/* --- rates ------------------------------------------------------------------------------------ */

static void target_rates(struct dispatch *d)
{
	for (uint32_t i = 0; i < d->params->n_targets; i++) {
		struct target *t = &d->targets[i];
		struct candidate *c = &d->target_candidates[i];
		uint32_t packets = (uint32_t)(t->to.packets + t->from.packets);

		c->rate = (uint32_t)(((uint64_t)c->rate + (packets - t->rate_packets)) / 2);
		t->rate_packets = packets;
	}
	d->target_rate_ns = d->node->now_ns + RATE_NS;
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

uint64_t target_tick(struct dispatch *d)
{
	uint64_t now = d->node->now_ns;

	if (d->params->n_targets == 0)
		return UINT64_MAX;
	if (now >= d->targets_due_ns || d->targets_generation != d->node->route_generation)
		target_refresh(d);
	if (now >= d->target_rate_ns)
		target_rates(d);
	target_update(d);
	return earlier(earlier(d->targets_due_ns, d->target_rate_ns), target_share_tick(d));
}
