/*
 * view_dispatch.c - what the dispatchers know: firewalls, services, targets and flows.
 */
#include "engine/view.h"

#include <string.h>

#include "engine/view_parts.h"

static const char *const roles[] = {"outer", "inner", "stage"};
static const char *const algorithms[] = {
	"static",	 "round-robin", "weighted-round-robin", "least-connections",
	"least-packets", "source"};
static const char *const unknowns[] = {"drop", "reset", "pass"};
static const char *const downs[] = {"move", "reset", "keep"};
static const char *const technologies[] = {"l4/2", "l4/3", "l7/3", "l7/2"};
static const char *const checks[] = {"none", "tcp", "http"};

static json_t *text_or_null(const char *s)
{
	return s ? text(s) : json_null();
}

static json_t *path_name(const struct params *p, uint16_t path)
{
	return path < p->n_paths ? text(p->paths[path].name) : json_null();
}

static json_t *target_name(const struct params *p, uint16_t target)
{
	return target < p->n_targets ? text(p->targets[target].name) : json_null();
}

/* The one of this node that has services, or NULL. */
static const struct dispatcher *server_of(const struct engine *e)
{
	for (uint32_t i = 0; i < e->dispatch.n_dispatchers; i++)
		if (e->dispatch.dispatchers[i].params->role != DISPATCH_OUTER)
			return &e->dispatch.dispatchers[i];
	return NULL;
}

/* --- dispatchers -------------------------------------------------------------------------------
 */

static json_t *path_probe_object(const struct dispatcher *x, const struct path *p, uint64_t now_ns)
{
	const char *state = p->waiting ? "waiting" : p->bad > 0 ? "missed" : "answered";

	if (!x->params->probe.enabled || p->sent_ns == 0)
		return json_null();
	return json_pack("{s:s, s:f, s:I, s:I}", "state", state, "age_s",
			 seconds(now_ns, p->sent_ns), "answered", (json_int_t)p->good, "missed",
			 (json_int_t)p->bad);
}

static json_t *path_object(const struct engine *e, const struct dispatcher *x, uint32_t i,
			   uint64_t now_ns)
{
	const struct path_params *params = &e->params->paths[i];
	const struct candidate *c = &x->path_candidates[i];
	const struct path *p = &x->paths[i];
	uint64_t since_ns = p->since_ns ? p->since_ns : e->dispatch.start_ns;

	return json_pack("{s:s, s:i, s:o, s:o, s:s, s:f, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
			 "path", params->name, "id", (int)params->id, "address", address(&p->addr),
			 "mac", p->has_mac ? mac(&p->mac) : json_null(), "state",
			 c->up ? "up" : "down", "since_s", seconds(now_ns, since_ns), "why",
			 text_or_null(p->why), "weight", (json_int_t)c->weight, "flows",
			 (json_int_t)c->n_flows, "flows_total", (json_int_t)p->flows_total, "rate",
			 (json_int_t)c->rate, "packets", both(p->to.packets, p->from.packets),
			 "bytes", both(p->to.bytes, p->from.bytes), "probe",
			 path_probe_object(x, p, now_ns));
}

static json_t *dispatcher_ports(const struct engine *e, const struct dispatcher_params *p)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < p->n_ports; i++)
		json_array_append_new(list, port_name(e->params, p->ports[i]));
	return list;
}

/* --- take-over (HD-19) --- */

static json_t *member_by_id(const struct params *p, uint16_t id)
{
	for (uint32_t i = 0; i < p->n_members; i++)
		if (id != 0 && p->members[i].id == id)
			return text(p->members[i].name);
	return json_null();
}

static json_t *takeover_peer_object(const struct engine *e, uint32_t i, uint32_t member,
				    uint64_t now_ns)
{
	const struct takeover_peer *peer = &e->dispatch.takeover->peers[member];
	const struct takeover_said *s = &peer->roles[i];
	bool fresh = takeover_fresh(&e->dispatch, member, i);

	return json_pack(
		"{s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:o, s:b}", "member",
		member_name(e->params, member), "state",
		fresh ? takeover_state_name(s->state) : "silent", "able",
		fresh && s->flags & WIRE_ROLE_ABLE, "synced", fresh && s->flags & WIRE_ROLE_SYNCED,
		"blind", fresh && s->flags & WIRE_ROLE_BLIND, "wants",
		fresh && s->flags & WIRE_ROLE_WANTS, "hears_us", fresh && peer->hears_us, "heard_s",
		peer->heard ? json_real(seconds(now_ns, peer->heard_ns)) : json_null(), "differs",
		s->differs);
}

static json_t *takeover_object(const struct engine *e, uint32_t i, uint64_t now_ns)
{
	const struct dispatcher_params *p = e->dispatch.dispatchers[i].params;
	const struct takeover_role *r;
	json_t *peers;

	if (!e->dispatch.takeover || !takeover_is_shared(p))
		return json_null();
	r = &e->dispatch.takeover->roles[i];
	peers = json_array();
	for (uint32_t k = 0; k < p->n_nodes; k++)
		if (p->nodes[k] != e->params->self)
			json_array_append_new(peers,
					      takeover_peer_object(e, i, p->nodes[k], now_ns));
	return json_pack("{s:s, s:o, s:f, s:o, s:o, s:b, s:b, s:b, s:b, s:I, s:o}", "state",
			 takeover_state_name(r->state), "active",
			 member_by_id(e->params, takeover_active_id(&e->dispatch, i)), "since_s",
			 seconds(now_ns, r->since_ns), "why", text_or_null(r->why), "other",
			 r->other < e->params->n_members ? text(member_name(e->params, r->other))
							 : json_null(),
			 "able", r->able, "synced", takeover_synced(&e->dispatch, i), "blind",
			 takeover_is_blind(r), "wants", r->wants, "times_active",
			 (json_int_t)r->n_active, "peers", peers);
}

static json_t *dispatcher_object(const struct engine *e, const struct dispatcher *x,
				 uint64_t now_ns)
{
	const struct dispatcher_params *p = x->params;
	json_t *paths = json_array();

	for (uint32_t i = 0; x->paths && i < e->params->n_paths; i++)
		if (x->paths[i].on_segment)
			json_array_append_new(paths, path_object(e, x, i, now_ns));
	return json_pack("{s:s, s:s, s:o, s:o, s:s, s:b, s:s, s:s, s:o, s:I, s:o, s:o}",
			 "dispatcher", p->name, "role", roles[p->role], "firewall_port",
			 port_name(e->params, p->firewall_port), "ports", dispatcher_ports(e, p),
			 "algorithm", algorithms[p->algorithm], "learn", p->learn, "unknown",
			 unknowns[p->unknown], "on_path_down", downs[p->path_down], "probe",
			 p->probe.enabled ? address(&p->probe.to) : json_null(), "flows",
			 (json_int_t)x->n_flows, "paths", paths, "takeover",
			 takeover_object(e, x->index, now_ns));
}

json_t *view_dispatchers(const struct engine *e, uint64_t now_ns)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < e->dispatch.n_dispatchers; i++)
		json_array_append_new(list,
				      dispatcher_object(e, &e->dispatch.dispatchers[i], now_ns));
	return list;
}

/* --- targets -----------------------------------------------------------------------------------
 */

/* What clients of its services would find. */
static const char *target_state(const struct engine *e, uint16_t target)
{
	if (e->params->targets[target].n_via > 0)
		return "remote";
	if (!target_usable(&e->dispatch, target))
		return "down";
	return e->dispatch.target_candidates[target].weight ? "up" : "drained";
}

static const char *target_why(const struct engine *e, uint16_t target)
{
	const struct target *t = &e->dispatch.targets[target];

	if (strcmp(target_state(e, target), "drained") != 0)
		return t->why;
	return t->drained	  ? "drained by the operator"
	       : t->agent_drained ? "its agent says drain"
	       : t->weight == 0	  ? "its weight is 0"
				  : "its agent wants no load";
}

static json_t *target_addresses(const struct target_params *p)
{
	json_t *list = json_array();

	if (p->has_v4)
		json_array_append_new(list, address(&p->v4));
	if (p->has_v6)
		json_array_append_new(list, address(&p->v6));
	return list;
}

/* The dispatchers that it is connected to, when this node is not one of them. */
static json_t *target_via(const struct params *p, const struct target_params *t)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->n_via; i++)
		json_array_append_new(list, text(member_name(p, t->via[i])));
	return list;
}

static bool service_has(const struct params *p, const struct service_params *s, uint16_t target)
{
	for (uint32_t i = 0; i < s->targets.n; i++)
		if (p->target_lists[s->targets.first + i] == target)
			return true;
	return s->sorry == target;
}

static json_t *target_services(const struct params *p, uint16_t target)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < p->n_services; i++)
		if (service_has(p, &p->services[i], target))
			json_array_append_new(list, text(p->services[i].name));
	return list;
}

/* The member that has set weight or drain, or null: they are as configured. */
static json_t *target_setter(const struct params *p, const struct target *t)
{
	for (uint32_t i = 0; i < p->n_members; i++)
		if (t->set_by && p->members[i].id == t->set_by)
			return text(p->members[i].name);
	return t->set_by == 0 ? json_null() : text(t->set_by == p->node_id ? p->node : "?");
}

static json_t *target_weight(const struct engine *e, uint16_t target)
{
	const struct target *t = &e->dispatch.targets[target];

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:o}", "target",
			 e->params->targets[target].name, "configured",
			 (json_int_t)e->params->targets[target].weight, "weight",
			 (json_int_t)t->weight, "load", (json_int_t)t->load_percent, "effective",
			 (json_int_t)e->dispatch.target_candidates[target].weight, "drained",
			 t->drained || t->agent_drained, "set_by", target_setter(e->params, t));
}

static json_t *target_object(const struct engine *e, uint16_t target, uint64_t now_ns)
{
	const struct target_params *p = &e->params->targets[target];
	const struct candidate *c = &e->dispatch.target_candidates[target];
	const struct target *t = &e->dispatch.targets[target];
	bool member = p->member != PARAMS_NONE;
	json_t *o = target_weight(e, target);

	return with(
		o,
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:f, s:o, s:s, s:I, s:I, s:I, s:o, s:o, "
			  "s:o, s:o}",
			  "addresses", target_addresses(p), "via", target_via(e->params, p),
			  "member", member ? text(member_name(e->params, p->member)) : json_null(),
			  "port", p->port ? json_integer(p->port) : json_null(), "out",
			  port_name(e->params, t->port), "state", target_state(e, target),
			  "since_s",
			  seconds(now_ns, t->since_ns ? t->since_ns : e->dispatch.start_ns), "why",
			  text_or_null(target_why(e, target)), "check", checks[p->check.kind],
			  "flows", (json_int_t)c->n_flows, "flows_total",
			  (json_int_t)t->flows_total, "rate", (json_int_t)c->rate, "packets",
			  both(t->to.packets, t->from.packets), "bytes",
			  both(t->to.bytes, t->from.bytes), "services",
			  target_services(e->params, target), "l7", view_l7_target(e, target)));
}

json_t *view_targets(const struct engine *e, uint64_t now_ns)
{
	json_t *list = json_array();

	for (unsigned l7 = 0; l7 < 2; l7++) /* those of services by L7 have columns of their own */
		for (uint16_t i = 0; e->dispatch.targets && i < e->params->n_targets; i++)
			if (view_l7_has(e->params, i) == l7)
				json_array_append_new(list, target_object(e, i, now_ns));
	return list;
}

json_t *view_takeover(const struct engine *e, const char *dispatcher)
{
	json_t *list = json_array();

	for (uint32_t i = 0; e->dispatch.takeover && i < e->dispatch.n_dispatchers; i++) {
		const struct dispatcher_params *p = e->dispatch.dispatchers[i].params;
		uint8_t state = e->dispatch.takeover->roles[i].state;

		if (strcmp(p->name, dispatcher) == 0)
			json_array_append_new(list, json_pack("{s:s, s:s}", "dispatcher", p->name,
							      "state", takeover_state_name(state)));
	}
	return list;
}

json_t *view_weight(const struct engine *e, const char *target)
{
	json_t *list = json_array();

	for (uint32_t i = 0; e->dispatch.targets && i < e->params->n_targets; i++)
		if (strcmp(e->params->targets[i].name, target) == 0)
			json_array_append_new(list, target_weight(e, (uint16_t)i));
	return list;
}

/* --- services ----------------------------------------------------------------------------------
 */

static json_t *service_addresses(const struct service_params *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->n_addresses; i++)
		json_array_append_new(list, address(&s->addresses[i]));
	return list;
}

static json_t *service_ports(const struct service_params *s)
{
	json_t *list = json_array();
	char buf[16];

	/* A route has those of its service. */
	for (uint32_t i = 0; s->route_of == PARAMS_NONE && i < s->n_ports; i++) {
		const struct range *r = &s->ports[i];
		if (r->lo == r->hi)
			snprintf(buf, sizeof(buf), "%u", r->lo);
		else
			snprintf(buf, sizeof(buf), "%u-%u", r->lo, r->hi);
		json_array_append_new(list, text(buf));
	}
	return list;
}

static json_t *service_targets(const struct engine *e, const struct service_params *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->targets.n; i++) {
		uint16_t t = e->params->target_lists[s->targets.first + i];
		json_array_append_new(
			list, json_pack("{s:o, s:s, s:I, s:b}", "target", target_name(e->params, t),
					"state", target_state(e, t), "weight",
					(json_int_t)e->dispatch.target_candidates[t].weight,
					"sorry", false));
	}
	if (s->sorry != PARAMS_NONE)
		json_array_append_new(
			list, json_pack("{s:o, s:s, s:I, s:b}", "target",
					target_name(e->params, s->sorry), "state",
					target_state(e, s->sorry), "weight",
					(json_int_t)e->dispatch.target_candidates[s->sorry].weight,
					"sorry", true));
	return list;
}

static json_t *service_object(const struct engine *e, uint16_t i)
{
	const struct service_params *p = &e->params->services[i];
	const struct service_state *s = &e->dispatch.service_states[i];
	const struct dispatcher *x = server_of(e);
	char proto[8];

	return json_pack(
		"{s:s, s:o, s:o, s:o, s:s, s:o, s:s, s:s, s:o, s:s, s:I, s:I, s:o, s:o, s:o, s:o}",
		"service", p->name, "route_of",
		p->route_of < e->params->n_services ? text(e->params->services[p->route_of].name)
						    : json_null(),
		"dispatcher", x ? text(x->params->name) : json_null(), "addresses",
		service_addresses(p), "proto", flow_proto_text(proto, p->proto), "ports",
		service_ports(p), "technology", technologies[p->technology], "algorithm",
		algorithms[p->algorithm], "affinity_s",
		p->affinity ? json_real(p->affinity_ms / 1000.0) : json_null(), "on_target_down",
		downs[p->target_down], "flows_total", (json_int_t)s->flows_total, "refused",
		(json_int_t)s->refused, "packets", both(s->to.packets, s->from.packets), "bytes",
		both(s->to.bytes, s->from.bytes), "targets", service_targets(e, p), "l7",
		view_l7_service(e, i));
}

json_t *view_services(const struct engine *e)
{
	json_t *list = json_array();

	for (unsigned l7 = 0; l7 < 2; l7++)
		for (uint16_t i = 0; e->dispatch.service_states && i < e->params->n_services; i++)
			if (technology_is_l7(e->params->services[i].technology) == l7)
				json_array_append_new(list, service_object(e, i));
	return list;
}

/* --- flows -------------------------------------------------------------------------------------
 */

/* The flow as its server sees it, where addresses are rewritten. */
static json_t *flow_server(const struct engine *e, const struct dflow *f)
{
	const struct dflow *twin =
		f->twin == FLOW_NO_INDEX ? NULL : flow_table_at(e->dispatch.flows, f->twin);
	struct pkt_tuple t;

	if (!twin)
		return json_null();
	t = dflow_tuple(twin, 0);
	return json_pack("{s:o, s:i, s:o, s:i}", "src", address(&t.src), "sport", (int)t.sport,
			 "dst", address(&t.dst), "dport", (int)t.dport);
}

static json_t *flow_by(unsigned by)
{
	return by == DFLOW_BY_NONE ? json_null() : text(dflow_by_name((enum dflow_by)by));
}

static double flow_idle_s(const struct engine *e, const struct dflow *f, uint32_t left_ms)
{
	uint32_t life_ms = dflow_timeout(f, e->dispatch.dispatchers[f->entry.key.zone].params);

	return life_ms > left_ms ? (life_ms - left_ms) / 1000.0 : 0.0;
}

static uint64_t flow_bytes(const struct dflow *f, unsigned side)
{
	return (uint64_t)f->bytes_hi[side] << 32 | f->bytes_lo[side];
}

/* Who takes part in it, and why they do. */
static json_t *flow_choice(const struct engine *e, const struct dflow *f)
{
	const struct params *p = e->params;
	const struct service_params *s =
		f->service < p->n_services ? &p->services[f->service] : NULL;

	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "dispatcher",
			 e->dispatch.dispatchers[f->entry.key.zone].params->name, "path",
			 path_name(p, f->path), "path_by", flow_by(f->path_by), "service",
			 s ? text(s->name) : json_null(), "technology",
			 s ? text(technologies[s->technology]) : json_null(), "target",
			 target_name(p, f->target), "target_by", flow_by(f->target_by), "server",
			 flow_server(e, f), "upstream",
			 f->upstream ? text(member_name(p, f->upstream - 1u)) : json_null());
}

static json_t *dispatch_flow(const struct engine *e, const struct dflow *f, uint64_t now_ns)
{
	const struct dispatch *d = &e->dispatch;
	json_t *o = flow_object(&f->entry.key, f->flags & DFLOW_ORIGIN_B ? 1 : 0);
	uint32_t left_ms = flow_table_left_ms(d->flows, f, now_ns);

	with(o, flow_choice(e, f));
	return with(
		o,
		json_pack("{s:s, s:o, s:f, s:f, s:f, s:o, s:o, s:s}", "state",
			  f->flags & DFLOW_ANNOUNCED ? "announced" : dflow_state_name(f->state),
			  "in", port_name(e->params, f->origin_port), "age_s",
			  age_s(now_ns, f->created_ms), "idle_s", flow_idle_s(e, f, left_ms),
			  "expires_s", left_ms / 1000.0, "packets",
			  both(f->packets[0], f->packets[1]), "bytes",
			  both(flow_bytes(f, 0), flow_bytes(f, 1)), "by",
			  passed_by(e, OFFLOAD_DISPATCH, flow_table_index(e->dispatch.flows, f))));
}

void view_dispatch_flows(const struct engine *e, json_t *list, uint32_t *cursor, uint32_t limit,
			 uint64_t now_ns)
{
	const struct dflow *f = NULL;

	while (e->dispatch.flows && json_array_size(list) < limit &&
	       (f = flow_table_next(e->dispatch.flows, cursor)))
		if (!(f->flags & DFLOW_TWIN))
			json_array_append_new(list, dispatch_flow(e, f, now_ns));
	if (!f)
		*cursor = 0;
}

/* --- is all well? ------------------------------------------------------------------------------
 */

json_t *view_dispatch_summary(const struct engine *e)
{
	const struct dispatch *d = &e->dispatch;
	json_t *list = json_array();

	for (uint32_t k = 0; k < d->n_dispatchers; k++) {
		const struct dispatcher *x = &d->dispatchers[k];
		uint32_t n_targets = x == server_of(e) ? e->params->n_targets : 0;
		int paths = 0, paths_up = 0, targets = 0, targets_up = 0;

		for (uint32_t i = 0; x->paths && i < e->params->n_paths; i++) {
			paths += x->paths[i].on_segment;
			paths_up += x->paths[i].on_segment && x->path_candidates[i].up;
		}
		for (uint32_t i = 0; i < n_targets; i++) {
			targets += e->params->targets[i].n_via == 0;
			targets_up += target_usable(d, (uint16_t)i);
		}
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:I}", "dispatcher",
					x->params->name, "role", roles[x->params->role], "paths_up",
					paths_up, "paths", paths, "targets_up", targets_up,
					"targets", targets, "flows", (json_int_t)x->n_flows,
					"max_flows", (json_int_t)x->params->max_flows));
	}
	return list;
}

static void path_problems(const struct engine *e, const struct dispatcher *x, json_t *problems)
{
	char line[128];

	for (uint32_t i = 0; x->paths && i < e->params->n_paths; i++) {
		if (!x->paths[i].on_segment || x->path_candidates[i].up)
			continue;
		snprintf(line, sizeof(line), "path \"%s\" of dispatcher \"%s\" is down",
			 e->params->paths[i].name, x->params->name);
		json_array_append_new(problems, text(line));
	}
}

/* A target that is down is the others' load; a service without any is what clients notice. */
static void service_problem(const struct engine *e, const struct service_params *s,
			    json_t *problems)
{
	bool any_up = false, sorry;
	char line[160];

	if (s->targets.n == 0 && technology_is_l7(s->technology))
		return; /* its routes have them */
	for (uint32_t i = 0; i < s->targets.n; i++) {
		const char *state = target_state(e, e->params->target_lists[s->targets.first + i]);
		if (strcmp(state, "up") == 0)
			return;
		any_up |= strcmp(state, "drained") == 0;
	}
	sorry = s->sorry != PARAMS_NONE && strcmp(target_state(e, s->sorry), "up") == 0;
	snprintf(line, sizeof(line), "service \"%s\": no target %s%s%s%s", s->name,
		 any_up ? "takes new flows" : "is up", sorry ? ", \"" : "",
		 sorry ? e->params->targets[s->sorry].name : "", sorry ? "\" serves instead" : "");
	json_array_append_new(problems, text(line));
}

void view_dispatch_problems(const struct engine *e, json_t *problems)
{
	for (uint32_t i = 0; i < e->dispatch.n_dispatchers; i++)
		path_problems(e, &e->dispatch.dispatchers[i], problems);
	for (uint32_t i = 0; e->dispatch.targets && i < e->params->n_services; i++)
		service_problem(e, &e->params->services[i], problems);
}

/* --- configuration -----------------------------------------------------------------------------
 */

static void config_dispatcher(json_t *list, const struct params *p,
			      const struct dispatcher_params *x)
{
	char buf[ADDR_TEXT];

	setting(list, "dispatcher", "%s, %s", x->name, roles[x->role]);
	if (x->firewall_port < p->n_ports)
		setting(list, "dispatcher.firewall-port", "%s", p->ports[x->firewall_port].name);
	for (uint32_t i = 0; i < x->n_ports; i++)
		setting(list, "dispatcher.port", "%s", p->ports[x->ports[i]].name);
	for (uint32_t i = 0; i < x->n_from; i++)
		setting(list, "dispatcher.from", "%s", member_name(p, x->from[i]));
	setting(list, "dispatcher.algorithm", "%s%s", algorithms[x->algorithm],
		x->learn ? "" : ", nothing learnt");
	setting(list, "dispatcher.unknown", "%s", unknowns[x->unknown]);
	setting(list, "dispatcher.on-path-down", "%s", downs[x->path_down]);
	setting(list, "dispatcher.max-flows", "%u", x->max_flows);
	if (x->role == DISPATCH_STAGE)
		setting(list, "dispatcher.bypass", "%s", x->bypass ? "true" : "false");
	if (x->probe.enabled)
		setting(list, "dispatcher.probe", "%s every %ums, timeout %ums, rise %u, fall %u",
			ipaddr_text(buf, &x->probe.to), x->probe.interval_ms, x->probe.timeout_ms,
			x->probe.rise, x->probe.fall);
}

void view_dispatch_config(const struct params *p, json_t *list)
{
	for (uint32_t i = 0; i < p->n_paths; i++)
		setting(list, "path", "%s id %u weight %u", p->paths[i].name, p->paths[i].id,
			p->paths[i].weight);
	for (uint32_t i = 0; i < p->n_dispatchers; i++)
		config_dispatcher(list, p, &p->dispatchers[i]);
	if (p->n_services > 0)
		setting(list, "services", "%u", p->n_services);
	if (p->n_targets > 0)
		setting(list, "targets", "%u", p->n_targets);
	view_l7_config(p, list);
}
