/*
 * life.c - the dispatchers of a node from start to end, and across a reload: flows name firewalls,
 * services and targets by index, so they are found again by id and name (HD-24).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/dispatch.h"

/* --- the tables that follow from the configuration ----------------------------------------------
 */

struct tables {
	struct path *paths[PARAMS_DISPATCHERS];
	struct candidate *path_candidates[PARAMS_DISPATCHERS];
	struct choice *path_choices[PARAMS_DISPATCHERS];
	struct service_table *services;
	struct service_state *service_states;
	uint32_t n_services;
	struct target *targets;
	struct candidate *target_candidates;
};

static void tables_free(struct tables *t)
{
	for (unsigned i = 0; i < PARAMS_DISPATCHERS; i++) {
		free(t->paths[i]);
		free(t->path_candidates[i]);
		choice_free(t->path_choices[i]);
	}
	for (uint32_t i = 0; t->service_states && i < t->n_services; i++)
		choice_free(t->service_states[i].choice);
	service_table_free(t->services);
	free(t->service_states);
	free(t->targets);
	free(t->target_candidates);
	memset(t, 0, sizeof(*t));
}

static int tables_make_paths(struct tables *t, const struct params *p, unsigned i)
{
	uint16_t all[PARAMS_PATHS];

	for (uint16_t j = 0; j < p->n_paths; j++)
		all[j] = j;
	t->paths[i] = calloc(p->n_paths + 1, sizeof(**t->paths));
	t->path_candidates[i] = calloc(p->n_paths + 1, sizeof(**t->path_candidates));
	t->path_choices[i] =
		choice_new(p->dispatchers[i].algorithm, p->dispatchers[i].seed, all, p->n_paths);
	return t->paths[i] && t->path_candidates[i] && t->path_choices[i] ? 0 : -ENOMEM;
}

/* The dispatcher that serves: inner or stage; there is one at most. Services are chosen for with
 * its seed. */
static uint64_t serving_seed(const struct params *p)
{
	for (uint32_t i = 0; i < p->n_dispatchers; i++)
		if (p->dispatchers[i].role != DISPATCH_OUTER)
			return p->dispatchers[i].seed;
	return 0;
}

static int tables_make(struct tables *t, const struct params *p)
{
	memset(t, 0, sizeof(*t));
	for (uint32_t i = 0; i < p->n_dispatchers; i++)
		if (tables_make_paths(t, p, i) < 0)
			return -ENOMEM;
	t->services = service_table_new(p);
	t->n_services = p->n_services;
	t->service_states = calloc(p->n_services + 1, sizeof(*t->service_states));
	t->targets = calloc(p->n_targets + 1, sizeof(*t->targets));
	t->target_candidates = calloc(p->n_targets + 1, sizeof(*t->target_candidates));
	if (!t->services || !t->service_states || !t->targets || !t->target_candidates)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];
		t->service_states[i].choice =
			choice_new(s->algorithm, serving_seed(p),
				   p->target_lists + s->targets.first, s->targets.n);
		if (!t->service_states[i].choice)
			return -ENOMEM;
	}
	return 0;
}

/* --- old indices to new ones
 * ----------------------------------------------------------------------- */

struct maps {
	uint16_t paths[PARAMS_PATHS], services[PARAMS_SERVICES], targets[PARAMS_TARGETS];
};

static void maps_make(struct maps *m, const struct params *old, const struct params *new)
{
	for (uint32_t i = 0; i < old->n_paths; i++)
		m->paths[i] = path_by_id(new, old->paths[i].id);
	for (uint32_t i = 0; i < old->n_services; i++) {
		m->services[i] = PARAMS_NONE;
		for (uint16_t j = 0; j < new->n_services; j++)
			if (strcmp(old->services[i].name, new->services[j].name) == 0)
				m->services[i] = j;
	}
	for (uint32_t i = 0; i < old->n_targets; i++) {
		m->targets[i] = PARAMS_NONE;
		for (uint16_t j = 0; j < new->n_targets; j++)
			if (strcmp(old->targets[i].name, new->targets[j].name) == 0)
				m->targets[i] = j;
	}
}

/* What is known of firewalls, services and targets at run time. */
static void tables_inherit(struct tables *t, const struct dispatch *d, const struct maps *m)
{
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		for (uint32_t j = 0; j < d->params->n_paths; j++) {
			uint16_t to = m->paths[j];
			if (to == PARAMS_NONE)
				continue;
			t->paths[i][to] = d->dispatchers[i].paths[j];
			t->path_candidates[i][to] = d->dispatchers[i].path_candidates[j];
		}
	}
	for (uint32_t i = 0; i < d->params->n_services; i++) {
		struct choice *choice;
		uint16_t to = m->services[i];
		if (to == PARAMS_NONE)
			continue;
		choice = t->service_states[to].choice;
		t->service_states[to] = d->service_states[i];
		t->service_states[to].choice = choice;
	}
	for (uint32_t i = 0; i < d->params->n_targets; i++) {
		uint16_t to = m->targets[i];
		if (to == PARAMS_NONE)
			continue;
		t->targets[to] = d->targets[i];
		t->target_candidates[to] = d->target_candidates[i];
	}
}

static uint16_t map(const uint16_t *m, uint16_t index)
{
	return index == PARAMS_NONE ? PARAMS_NONE : m[index];
}

/* Whether the private stack serves the flow, or does by the new configuration, but not both, or as
 * another service: what one has begun the other does not know. */
static bool flow_changes_hands(const struct dispatch *d, const struct dflow *f,
			       const struct tables *t, const struct params *new, uint16_t service)
{
	struct pkt_tuple to = dflow_tuple(f, 0);

	if (!dispatch_by_stack(d, f))
		return technology_is_l7(new->services[service].technology);
	return !technology_is_l7(new->services[service].technology) ||
	       service_find(t->services, &to.dst, to.proto, to.dport) != service;
}

/* Flows of a service or target that the configuration no longer has end, before the swap, while
 * their servers can still be told. A flow whose firewall is gone finds another. */
static void flows_end(struct dispatch *d, const struct maps *m, const struct tables *t,
		      const struct params *new)
{
	uint32_t pos = 0;
	struct dflow *f;

	while ((f = flow_table_next(d->flows, &pos))) {
		uint16_t service;

		if (f->flags & DFLOW_TWIN)
			continue;
		service = map(m->services, f->service);
		if ((f->service == PARAMS_NONE ||
		     (service != PARAMS_NONE && !flow_changes_hands(d, f, t, new, service))) &&
		    (f->target == PARAMS_NONE || m->targets[f->target] != PARAMS_NONE))
			continue;
		dflow_reset(d, f);
		dflow_remove(d, f, DROP_FLUSHED);
	}
}

static void flows_remap(struct dispatch *d, const struct maps *m)
{
	uint32_t pos = 0;
	struct dflow *f;

	while ((f = flow_table_next(d->flows, &pos))) {
		if (f->flags & DFLOW_TWIN)
			continue;
		f->service = map(m->services, f->service);
		f->target = map(m->targets, f->target);
		f->affinity_service = map(m->services, f->affinity_service);
		if (f->path == PARAMS_NONE)
			continue;
		f->path = m->paths[f->path];
		if (f->path == PARAMS_NONE) {
			struct dispatcher *x = &d->dispatchers[f->entry.key.zone];
			dflow_set_path(d, f, balance_choose(x, &f->entry.key), DFLOW_BY_MOVED);
		}
	}
}

/* --- life
 * --------------------------------------------------------------------------------------------- */

static void dispatch_install(struct dispatch *d, struct tables *t, const struct params *p)
{
	for (unsigned i = 0; i < PARAMS_DISPATCHERS; i++) {
		struct dispatcher *x = &d->dispatchers[i];
		x->params = &p->dispatchers[i];
		x->index = (uint16_t)i;
		x->paths = t->paths[i];
		x->path_candidates = t->path_candidates[i];
		x->path_choice = t->path_choices[i];
	}
	d->services = t->services;
	d->service_states = t->service_states;
	d->targets = t->targets;
	d->target_candidates = t->target_candidates;
	d->n_dispatchers = p->n_dispatchers;
	d->params = p;
}

static struct tables dispatch_tables(const struct dispatch *d)
{
	struct tables t = {.services = d->services,
			   .service_states = d->service_states,
			   .n_services = d->params ? d->params->n_services : 0,
			   .targets = d->targets,
			   .target_candidates = d->target_candidates};

	for (unsigned i = 0; i < PARAMS_DISPATCHERS; i++) {
		t.paths[i] = d->dispatchers[i].paths;
		t.path_candidates[i] = d->dispatchers[i].path_candidates;
		t.path_choices[i] = d->dispatchers[i].path_choice;
	}
	return t;
}

static void dispatch_map_ports(struct dispatch *d)
{
	const struct params *p = d->params;

	for (unsigned i = 0; i < PARAMS_PORTS; i++)
		d->port_dispatcher[i] = PARAMS_NONE;
	d->node->back_ports = 0;
	d->has_stack = p->stack_port < p->n_ports && p->ports[p->stack_port].is_stack;
	for (uint32_t i = 0; i < p->n_ports; i++)
		d->segment_ids[i] = wire_segment_id(p->ports[i].segment[0] ? p->ports[i].segment
									   : p->ports[i].name);
	for (uint16_t i = 0; i < p->n_dispatchers; i++) {
		const struct dispatcher_params *x = &p->dispatchers[i];
		if (x->firewall_port != PARAMS_NO_PORT)
			d->port_dispatcher[x->firewall_port] = i;
		for (uint32_t j = 0; j < x->n_ports; j++)
			d->port_dispatcher[x->ports[j]] = i;
	}
	for (uint32_t i = 0; i < p->n_ports; i++)
		if (d->port_dispatcher[i] != PARAMS_NONE)
			d->node->back_ports |= 1u << i;
}

static int dispatch_start(struct dispatch *d)
{
	int rc = 0;

	dispatch_map_ports(d);
	dispatch_members_changed(d);
	for (uint32_t i = 0; i < d->n_dispatchers && rc == 0; i++)
		rc = path_init(d, &d->dispatchers[i]);
	return rc < 0 ? rc : target_init(d);
}

static int dispatch_make_tables(struct dispatch *d, const uint64_t seed[10])
{
	struct hash_key flows = {seed[0], seed[1]}, waits = {seed[2], seed[3]};
	struct hash_key affinities = {seed[4], seed[5]}, frags = {seed[6], seed[7]};
	struct hash_key legs = {seed[8], seed[9]};
	uint32_t n_flows = 0, n_affinities = 0;

	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		struct dispatcher *x = &d->dispatchers[i];
		struct frag_params frag = {.capacity = x->params->max_fragments,
					   .per_source = x->params->max_fragments / 4 + 1,
					   .timeout_ms = x->params->other_ms};
		x->early_due_ns = UINT64_MAX;
		x->fragments = frag_table_new(&frag, &frags, d->node->now_ns);
		if (!x->fragments)
			return -ENOMEM;
		n_flows += x->params->max_flows;
		n_affinities += x->params->max_affinities;
	}
	d->flows = flow_table_new(sizeof(struct dflow), n_flows, &flows, d->node->now_ns);
	d->affinities = affinity_table_new(n_affinities, &affinities);
	if (!d->flows || !d->affinities || legs_init(d, &legs) < 0)
		return -ENOMEM;
	return stage_init(d, &waits);
}

int dispatch_init(struct dispatch *d, struct node *node, struct channel *channel,
		  const uint64_t seed[10])
{
	struct tables t;
	int rc;

	memset(d, 0, sizeof(*d));
	d->node = node;
	d->channel = channel;
	d->params = node->params;
	d->start_ns = node->now_ns;
	if (finds_init(d) < 0) /* also who dispatches nothing is asked */
		return -ENOMEM;
	if (node->params->n_dispatchers == 0)
		return 0;
	rc = tables_make(&t, node->params);
	dispatch_install(d, &t, node->params);
	if (rc == 0)
		rc = dispatch_make_tables(d, seed);
	if (rc == 0)
		rc = dispatch_start(d);
	if (rc == 0)
		rc = replica_init(d);
	if (rc == 0)
		rc = takeover_init(d);
	if (rc < 0)
		dispatch_fini(d);
	return rc;
}

void dispatch_fini(struct dispatch *d)
{
	struct tables t = dispatch_tables(d);

	tables_free(&t);
	takeover_fini(d);
	replica_fini(d);
	finds_fini(d);
	legs_fini(d);
	flow_table_free(d->flows);
	flow_table_free(d->waits);
	affinity_table_free(d->affinities);
	for (unsigned i = 0; i < PARAMS_DISPATCHERS; i++)
		frag_table_free(d->dispatchers[i].fragments);
	memset(d, 0, sizeof(*d));
}

int dispatch_configure(struct dispatch *d, const struct params *params)
{
	const struct params *before = d->params;
	struct tables old, t;
	struct maps *m;
	int rc;

	if (d->n_dispatchers == 0) {
		d->params = params;
		return 0;
	}
	m = malloc(sizeof(*m));
	if (!m || tables_make(&t, params) < 0) {
		if (m)
			tables_free(&t);
		free(m);
		return -ENOMEM;
	}
	maps_make(m, d->params, params);
	flows_end(d, m, &t, params);
	affinity_remap(d->affinities, m->services, m->targets, m->paths);
	tables_inherit(&t, d, m);
	old = dispatch_tables(d);
	dispatch_install(d, &t, params);
	tables_free(&old);
	finds_configure(d);
	memset(d->first_stages, 0, sizeof(d->first_stages)); /* said again before long */
	dispatch_start(d);
	flows_remap(d, m);
	legs_configure(d, before);
	free(m);
	rc = replica_configure(d);
	takeover_configure(d, before);
	return rc;
}

/* --- members
 * ------------------------------------------------------------------------------------------ */

void dispatch_members_changed(struct dispatch *d)
{
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		struct dispatcher *x = &d->dispatchers[i];

		x->from_macs = 0;
		for (uint32_t j = 0; d->channel && j < x->params->n_from; j++) {
			const struct channel_member *m =
				channel_member(d->channel, x->params->from[j]);
			for (unsigned k = 0; k < m->n_segments; k++)
				x->from_macs |= 1ULL << (m->segments[k].mac.b[5] & 63);
		}
	}
	finds_members_changed(d);
}

void dispatch_member_up(struct dispatch *d, uint32_t member)
{
	if (d->n_dispatchers == 0)
		return;
	dispatch_members_changed(d);
	target_member_up(d, member);
}
