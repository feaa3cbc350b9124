/*
 * handover_flows.c - the flows of dispatchers that are restarted, and what is known of firewalls
 * and targets (HD-24, doc/restart.md). Flows of services by L7 are not among them: their
 * connections end in the process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/name_id.h"
#include "dispatch/handover.h"

#define FLAGS_KEPT                                                                                 \
	(DFLOW_ORIGIN_B | DFLOW_INSIDE | DFLOW_FIN_0 | DFLOW_FIN_1 | DFLOW_ANNOUNCED |             \
	 DFLOW_HALF | DFLOW_COUNTED)
#define TARGET_DRAINED 1
#define TARGET_CHECKED 2
#define TARGET_UP 4
#define TARGET_AGENT_DRAINED 8
#define TARGET_AGENT_DOWN 16
#define TARGET_AGENT_MAINT 32
#define NAME_SLOTS 4096 /* a power of two, well over PARAMS_TARGETS */
#define MS_NS 1000000ULL

static uint32_t now_ms(const struct dispatch *d)
{
	return (uint32_t)(d->node->now_ns / MS_NS);
}

static uint32_t service_id(const struct dispatch *d, uint16_t service)
{
	return service == PARAMS_NONE ? 0 : name_id(d->params->services[service].name);
}

static uint32_t target_id(const struct dispatch *d, uint16_t target)
{
	return target == PARAMS_NONE ? 0 : name_id(d->params->targets[target].name);
}

/* Path ids begin with 1. */
static uint16_t path_id(const struct dispatch *d, uint16_t path)
{
	return path == PARAMS_NONE ? 0 : d->params->paths[path].id;
}

static uint16_t member_id(const struct dispatch *d, uint16_t upstream)
{
	return upstream ? d->params->members[upstream - 1].id : 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void save_paths(const struct dispatch *d, struct sections_out *out)
{
	sections_type(out, HANDOVER_PATHS, HANDOVER_VERSION);
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		for (uint16_t k = 0; k < d->params->n_paths; k++) {
			const struct path *p = &d->dispatchers[i].paths[k];
			struct wcur *c = sections_item(out);

			wcur_u32(c, name_id(d->dispatchers[i].params->name));
			wcur_u16(c, d->params->paths[k].id);
			wcur_u8(c, (uint8_t)(p->failed | p->jointly << 1));
			wcur_u32(c, (uint32_t)((d->node->now_ns - p->since_ns) / MS_NS));
			wcur_u8(c, p->has_mac);
			wcur_bytes(c, p->addr.b, sizeof(p->addr.b));
			wcur_bytes(c, p->mac.b, sizeof(p->mac.b));
			wcur_u16(c, p->sequence);
			sections_item_end(out);
		}
}

static uint8_t target_flags(const struct target *t)
{
	return (uint8_t)((t->drained ? TARGET_DRAINED : 0) | (t->checked ? TARGET_CHECKED : 0) |
			 (t->check_up ? TARGET_UP : 0) |
			 (t->agent_drained ? TARGET_AGENT_DRAINED : 0) |
			 (t->agent_down ? TARGET_AGENT_DOWN : 0) |
			 (t->agent_maint ? TARGET_AGENT_MAINT : 0));
}

static void save_targets(const struct dispatch *d, struct sections_out *out)
{
	sections_type(out, HANDOVER_TARGETS, HANDOVER_VERSION);
	for (uint16_t i = 0; i < d->params->n_targets; i++) {
		const struct target *t = &d->targets[i];
		struct wcur *c = sections_item(out);

		wcur_u32(c, target_id(d, i));
		wcur_u8(c, target_flags(t));
		wcur_u32(c, t->configured);
		wcur_u32(c, t->weight);
		wcur_u64(c, t->version);
		wcur_u16(c, t->set_by);
		wcur_u8(c, t->load_percent);
		for (unsigned k = 0; k < 2; k++)
			wcur_bytes(c, t->server[k].b, sizeof(t->server[k].b));
		sections_item_end(out);
	}
}

static void save_affinities(const struct dispatch *d, struct sections_out *out)
{
	const struct affinity *a;

	sections_type(out, HANDOVER_AFFINITIES, HANDOVER_VERSION);
	for (uint32_t pos = 0; (a = affinity_next(d->affinities, &pos));) {
		uint64_t left =
			a->expires_ns > d->node->now_ns ? a->expires_ns - d->node->now_ns : 0;
		struct wcur *c = sections_item(out);

		wcur_bytes(c, a->client.b, sizeof(a->client.b));
		wcur_u32(c, service_id(d, a->service));
		wcur_u32(c, target_id(d, a->target));
		wcur_u16(c, path_id(d, a->path));
		wcur_u32(c, (uint32_t)(left / MS_NS));
		sections_item_end(out);
	}
}

static void put_flow(struct wcur *c, const struct dispatch *d, const struct dflow *f)
{
	const struct dflow *twin =
		f->twin == FLOW_NO_INDEX ? NULL : flow_table_at(d->flows, f->twin);

	wcur_u32(c, name_id(d->dispatchers[f->entry.key.zone].params->name));
	wire_put_key(c, &f->entry.key);
	wcur_u8(c, f->flags & FLAGS_KEPT);
	wcur_u8(c, f->state);
	wcur_u8(c, f->path_by);
	wcur_u8(c, f->target_by);
	wcur_u16(c, path_id(d, f->path));
	wcur_u32(c, service_id(d, f->service));
	wcur_u32(c, target_id(d, f->target));
	wcur_u32(c, service_id(d, f->affinity_service));
	wcur_u16(c, member_id(d, f->upstream));
	wcur_u32(c, now_ms(d) - f->created_ms);
	wcur_u32(c, flow_table_left_ms(d->flows, f, d->node->now_ns));
	for (unsigned i = 0; i < 2; i++) {
		wcur_u32(c, f->packets[i]);
		wcur_u64(c, (uint64_t)f->bytes_hi[i] << 32 | f->bytes_lo[i]);
		wcur_u32(c, f->ack[i]);
	}
	wcur_u32(c, f->origin_port < d->params->n_ports
			    ? name_id(d->params->ports[f->origin_port].name)
			    : 0);
	wcur_u8(c, twin != NULL);
	if (!twin)
		return;
	wcur_u8(c, twin->flags & DFLOW_ORIGIN_B);
	wire_put_key(c, &twin->entry.key);
}

static void save_flows(struct dispatch *d, struct sections_out *out)
{
	struct dflow *f;

	sections_type(out, HANDOVER_DFLOWS, HANDOVER_VERSION);
	for (uint32_t pos = 0; (f = flow_table_next(d->flows, &pos));) {
		if (f->flags & DFLOW_TWIN || dispatch_by_stack(d, f))
			continue;
		dflow_offload_take(d, f);
		put_flow(sections_item(out), d, f);
		sections_item_end(out);
	}
}

void dispatch_save(struct dispatch *d, struct sections_out *out)
{
	if (d->n_dispatchers == 0)
		return;
	save_paths(d, out);
	save_targets(d, out);
	save_affinities(d, out);
	save_flows(d, out);
	takeover_save(d, out);
}

/* --- names ------------------------------------------------------------------------------------ */

struct names {
	uint16_t slots[NAME_SLOTS]; /* index + 1, 0 = free */
	uint32_t ids[PARAMS_TARGETS];
};

static void names_add(struct names *n, uint32_t id, uint16_t index)
{
	uint32_t slot = id & (NAME_SLOTS - 1);

	while (n->slots[slot])
		slot = (slot + 1) & (NAME_SLOTS - 1);
	n->slots[slot] = (uint16_t)(index + 1);
	n->ids[index] = id;
}

static uint16_t names_find(const struct names *n, uint32_t id)
{
	for (uint32_t slot = id & (NAME_SLOTS - 1); n->slots[slot];
	     slot = (slot + 1) & (NAME_SLOTS - 1))
		if (n->ids[n->slots[slot] - 1] == id)
			return (uint16_t)(n->slots[slot] - 1);
	return PARAMS_NONE;
}

struct dispatch_restore {
	struct dispatch *d;
	struct handover_report *report;
	bool members;
	struct names services, targets;
};

struct dispatch_restore *dispatch_restore_new(struct dispatch *d, struct handover_report *report,
					      bool members)
{
	struct dispatch_restore *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->d = d;
	r->report = report;
	r->members = members;
	for (uint16_t i = 0; i < d->params->n_services; i++)
		names_add(&r->services, service_id(d, i), i);
	for (uint16_t i = 0; i < d->params->n_targets; i++)
		names_add(&r->targets, target_id(d, i), i);
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		path_init(d, &d->dispatchers[i]); /* where they are, by the host's addresses */
	return r;
}

void dispatch_restore_free(struct dispatch_restore *r)
{
	struct dispatch *d = r ? r->d : NULL;

	for (uint32_t i = 0; r && i < d->n_dispatchers; i++)
		path_init(d, &d->dispatchers[i]);
	if (r && d->n_dispatchers > 0) {
		dispatch_members_changed(d);
		target_refresh(d);
	}
	free(r);
}

static uint32_t left_of(const struct dispatch_restore *r, uint32_t left_ms)
{
	uint32_t elapsed = handover_elapsed_ms(r->report);

	return left_ms > elapsed ? left_ms - elapsed : 0;
}

static uint16_t dispatcher_of(const struct dispatch *d, uint32_t id)
{
	for (uint16_t i = 0; i < d->n_dispatchers; i++)
		if (name_id(d->dispatchers[i].params->name) == id)
			return i;
	return PARAMS_NONE;
}

/* --- firewalls and targets -------------------------------------------------------------------- */

static bool restore_path(struct dispatch_restore *r, struct rcur *c)
{
	struct dispatch *d = r->d;
	uint16_t dispatcher = dispatcher_of(d, rcur_u32(c)),
		 path = path_by_id(d->params, rcur_u16(c));
	uint8_t failed = rcur_u8(c);
	bool has_mac;
	uint32_t age_ms = rcur_u32(c);
	struct macaddr mac;
	struct ipaddr addr;
	struct path *p;

	has_mac = rcur_u8(c);
	rcur_bytes(c, addr.b, sizeof(addr.b));
	rcur_bytes(c, mac.b, sizeof(mac.b));
	if (!rcur_ok(c) || dispatcher == PARAMS_NONE || path == PARAMS_NONE)
		return false;
	p = &d->dispatchers[dispatcher].paths[path];
	p->failed = failed != 0;
	p->jointly = failed & 2;
	p->since_ns = d->node->now_ns - age_ms * MS_NS - r->report->elapsed_ns;
	p->sequence = rcur_u16(c);
	if (has_mac && p->on_segment && ipaddr_eq(&p->addr, &addr)) {
		p->has_mac = true;
		p->mac = mac;
	}
	return true;
}

/* As at a reload: what was set at run time stays, unless the file has another weight now; what a
 * check has found holds for a server that is where it was. */
static bool restore_target(struct dispatch_restore *r, struct rcur *c)
{
	uint16_t i = names_find(&r->targets, rcur_u32(c));
	uint8_t flags = rcur_u8(c);
	uint32_t configured = rcur_u32(c), weight = rcur_u32(c);
	uint64_t version = rcur_u64(c);
	uint16_t set_by = rcur_u16(c);
	uint8_t percent = rcur_u8(c);
	struct ipaddr server[2];
	struct target *t;

	rcur_bytes(c, server[0].b, sizeof(server[0].b));
	rcur_bytes(c, server[1].b, sizeof(server[1].b));
	if (!rcur_ok(c) || i == PARAMS_NONE || weight > PARAMS_WEIGHT_MAX || percent > 100)
		return false;
	t = &r->d->targets[i];
	if (t->configured == configured) {
		t->weight = weight;
		t->drained = flags & TARGET_DRAINED;
		t->version = version;
		t->set_by = set_by;
		if (r->d->version_max < version)
			r->d->version_max = version;
	}
	if (!ipaddr_eq(&server[0], &t->server[0]) || !ipaddr_eq(&server[1], &t->server[1]))
		return true;
	if (r->d->params->targets[i].check.kind != CHECK_NONE && flags & TARGET_CHECKED) {
		t->checked = true;
		t->check_up = flags & TARGET_UP;
	}
	if (r->d->params->targets[i].check.agent_port != 0) {
		t->load_percent = percent;
		t->agent_drained = flags & TARGET_AGENT_DRAINED;
		t->agent_down = flags & TARGET_AGENT_DOWN;
		t->agent_maint = flags & TARGET_AGENT_MAINT;
	}
	return true;
}

static bool restore_affinity(struct dispatch_restore *r, struct rcur *c)
{
	struct dispatch *d = r->d;
	struct ipaddr client;
	uint16_t service, target, path;
	uint32_t left_ms;
	struct affinity *a;

	rcur_bytes(c, client.b, sizeof(client.b));
	service = names_find(&r->services, rcur_u32(c));
	target = names_find(&r->targets, rcur_u32(c));
	path = path_by_id(d->params, rcur_u16(c));
	left_ms = left_of(r, rcur_u32(c));
	if (!rcur_ok(c) || service == PARAMS_NONE)
		return false;
	a = affinity_get(d->affinities, service, &client, left_ms, d->node->now_ns);
	if (!a)
		return false;
	a->target = target;
	a->path = path;
	return true;
}

/* --- flows ------------------------------------------------------------------------------------ */

struct saved_flow {
	struct dflow f; /* the fields that are copied */
	uint64_t bytes[2];
	uint32_t service, target, affinity_service, age_ms, left_ms, origin_port;
	uint16_t path, upstream;
	bool has_twin, twin_origin_b;
	struct flow_key twin;
};

static bool get_twin(struct rcur *c, struct saved_flow *v)
{
	v->has_twin = rcur_u8(c);
	if (!v->has_twin)
		return rcur_ok(c);
	v->twin_origin_b = rcur_u8(c) & DFLOW_ORIGIN_B;
	return wire_get_key(c, &v->twin);
}

static bool get_flow(struct rcur *c, const struct dispatch *d, struct saved_flow *v)
{
	uint16_t zone = dispatcher_of(d, rcur_u32(c));
	uint8_t by[2];

	memset(v, 0, sizeof(*v));
	if (!wire_get_key(c, &v->f.entry.key) || zone == PARAMS_NONE)
		return false;
	v->f.entry.key.zone = zone;
	v->f.flags = rcur_u8(c) & FLAGS_KEPT;
	v->f.state = rcur_u8(c);
	by[0] = rcur_u8(c);
	by[1] = rcur_u8(c);
	v->path = rcur_u16(c);
	v->service = rcur_u32(c);
	v->target = rcur_u32(c);
	v->affinity_service = rcur_u32(c);
	v->upstream = rcur_u16(c);
	v->age_ms = rcur_u32(c);
	v->left_ms = rcur_u32(c);
	for (unsigned i = 0; i < 2; i++) {
		v->f.packets[i] = rcur_u32(c);
		v->bytes[i] = rcur_u64(c);
		v->f.ack[i] = rcur_u32(c);
	}
	v->origin_port = rcur_u32(c);
	v->f.path_by = by[0] & 15u;
	v->f.target_by = by[1] & 15u;
	return get_twin(c, v) && v->f.state <= DFLOW_CLOSED && by[0] < DFLOW_BY_COUNT &&
	       by[1] < DFLOW_BY_COUNT;
}

static uint16_t upstream_of(const struct dispatch_restore *r, uint16_t id)
{
	const struct params *p = r->d->params;

	for (uint16_t m = 0; id && m < p->n_members; m++)
		if (p->members[m].id == id)
			return (uint16_t)(m + 1);
	return 0;
}

/* What the flow names must be there still: as at a reload, one whose service or target is gone
 * ends, and one whose firewall is gone finds another. */
static bool find_names(const struct dispatch_restore *r, const struct saved_flow *v,
		       struct dflow *to)
{
	const struct dispatch *d = r->d;

	to->service = v->service ? names_find(&r->services, v->service) : PARAMS_NONE;
	to->target = v->target ? names_find(&r->targets, v->target) : PARAMS_NONE;
	to->affinity_service =
		v->affinity_service ? names_find(&r->services, v->affinity_service) : PARAMS_NONE;
	to->upstream = upstream_of(r, v->upstream);
	if ((v->service && to->service == PARAMS_NONE) || (v->target && to->target == PARAMS_NONE))
		return false;
	return to->service == PARAMS_NONE ||
	       !technology_is_l7(d->params->services[to->service].technology);
}

static void hold_affinity(struct dispatch *d, struct dflow *f)
{
	struct ipaddr client = dflow_client(f);
	struct affinity *a = NULL;

	if (f->affinity_service != PARAMS_NONE)
		a = affinity_find(d->affinities, f->affinity_service, &client, d->node->now_ns);
	if (a)
		a->n_flows++;
	else
		f->affinity_service = PARAMS_NONE;
}

static void place_flow(struct dispatch_restore *r, struct dflow *f, const struct saved_flow *v,
		       const struct dflow *names)
{
	struct dispatch *d = r->d;
	struct dispatcher *x = &d->dispatchers[f->entry.key.zone];
	uint16_t path = v->path ? path_by_id(d->params, v->path) : PARAMS_NONE;

	for (unsigned i = 0; i < 2; i++) {
		f->packets[i] = v->f.packets[i];
		f->bytes_lo[i] = (uint32_t)v->bytes[i];
		f->bytes_hi[i] = (uint16_t)(v->bytes[i] >> 32);
		f->ack[i] = v->f.ack[i];
	}
	f->flags = (uint8_t)(v->f.flags & ~DFLOW_COUNTED);
	f->state = v->f.state;
	f->service = names->service;
	f->upstream = names->upstream;
	f->affinity_service = names->affinity_service;
	f->created_ms = now_ms(d) - v->age_ms - handover_elapsed_ms(r->report);
	for (uint32_t i = 0; i < d->params->n_ports; i++)
		if (name_id(d->params->ports[i].name) == v->origin_port)
			f->origin_port = (uint8_t)i;
	hold_affinity(d, f);
	if (v->path && path == PARAMS_NONE)
		dflow_set_path(d, f, balance_choose(x, &f->entry.key), DFLOW_BY_MOVED);
	else
		dflow_set_path(d, f, path, (enum dflow_by)v->f.path_by);
	dflow_set_target(d, f, names->target, (enum dflow_by)v->f.target_by);
	dflow_resume(d, f, v->f.flags & DFLOW_COUNTED);
	flow_table_arm(d->flows, f, d->node->now_ns, left_of(r, v->left_ms));
}

static bool restore_twin(struct dispatch *d, struct dflow *f, const struct saved_flow *v)
{
	struct pkt_tuple t = flow_key_tuple(&v->twin, v->twin_origin_b);

	return !v->has_twin || dflow_add_twin(d, f, &t, v->twin.version);
}

static bool restore_flow(struct dispatch_restore *r, struct rcur *c)
{
	struct dispatch *d = r->d;
	struct dispatch_lookup l = {0};
	struct saved_flow v;
	struct dflow names, *f;

	if (!get_flow(c, d, &v) || left_of(r, v.left_ms) == 0 || !find_names(r, &v, &names))
		return false;
	l.d = &d->dispatchers[v.f.entry.key.zone];
	l.key = v.f.entry.key;
	l.hash = flow_table_hash(d->flows, &l.key);
	l.dir = v.f.flags & DFLOW_ORIGIN_B ? 1 : 0;
	if (flow_table_find(d->flows, &l.key, l.hash))
		return false;
	f = dflow_new(d, &l);
	if (!f)
		return false;
	dflow_begin_resume(d, f);
	if (!restore_twin(d, f, &v)) {
		dflow_remove(d, f, DROP_NONE);
		return false;
	}
	place_flow(r, f, &v, &names);
	return true;
}

bool dispatch_restore_item(struct dispatch_restore *r, uint16_t type, struct rcur *item)
{
	if (r->d->n_dispatchers == 0)
		return false;
	switch (type) {
	case HANDOVER_PATHS:
		return restore_path(r, item);
	case HANDOVER_TARGETS:
		return restore_target(r, item);
	case HANDOVER_AFFINITIES:
		return restore_affinity(r, item);
	case HANDOVER_DFLOWS:
		return restore_flow(r, item);
	case HANDOVER_ROLES:
		return r->members && takeover_restore(r->d, item, r->report);
	default:
		return false;
	}
}
