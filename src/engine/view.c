#include "engine/view.h"

#include <stdio.h>

#include "engine/engine_priv.h"
#include "engine/view_parts.h"

/* --- status ------------------------------------------------------------------------------------
 */

/* `n_opening` flows give way to others: a flood of beginnings alone refuses nobody. */
#define STATUS_OPENING_SHARE 16
static void status_full(json_t *problems, const char *table, const char *option,
			const struct flow_table *t, uint32_t n_opening)
{
	char line[128];

	if (!t || flow_table_count(t) < flow_table_capacity(t) ||
	    n_opening >= flow_table_capacity(t) / STATUS_OPENING_SHARE)
		return;
	snprintf(line, sizeof(line), "the %s is full (%u flows): see \"%s\"", table,
		 flow_table_capacity(t), option);
	json_array_append_new(problems, text(line));
}

static json_t *status_problems(const struct engine *e)
{
	const struct params *p = e->params;
	json_t *problems = json_array();
	char line[128];

	for (uint32_t i = 0; i < p->n_ports; i++) {
		if (e->node.links[i].up)
			continue;
		snprintf(line, sizeof(line), "port \"%s\" is down", p->ports[i].name);
		json_array_append_new(problems, text(line));
	}
	for (uint32_t i = 0; e->channel && i < channel_n_members(e->channel); i++) {
		const struct channel_member *m = channel_member(e->channel, i);
		const char *what = !m->up	       ? "is down"
				   : m->config_differs ? "has another cluster configuration"
						       : NULL;
		if (i == p->self || !what)
			continue;
		snprintf(line, sizeof(line), "member \"%s\" %s", p->members[i].name, what);
		json_array_append_new(problems, text(line));
	}
	for (size_t i = 0; i < e->node.n_addresses; i++) {
		const struct node_address *a = &e->node.addresses[i];
		char buf[ADDR_TEXT];
		if (!a->is_taken || a->port >= p->n_ports)
			continue;
		snprintf(line, sizeof(line), "another host answers for %s on port \"%s\"",
			 ipaddr_text(buf, &a->prefix.addr), p->ports[a->port].name);
		json_array_append_new(problems, text(line));
	}
	status_full(problems, "state table", "max-flows", e->firewall.states,
		    e->firewall.n_half_open);
	status_full(problems, "forward table", "max-forwards", e->firewall.forwards, 0);
	status_full(problems, "dispatchers' table", "max-flows", e->dispatch.flows,
		    e->dispatch.n_opening);
	view_dispatch_problems(e, problems);
	return problems;
}

static uint64_t drops_total(const struct engine *e)
{
	uint64_t n = 0;

	for (unsigned i = 1; i < DROP_COUNT; i++)
		if (drop_class(i) != DROP_CLASS_INFO)
			n += e->node.drops[i];
	return n;
}

/* Flows that others hold for this node, that it holds for others, and what became of those. */
static json_t *status_backup(const struct engine *e)
{
	const struct backup *b = e->firewall.backup;

	if (!b)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "backed_up", (json_int_t)b->n_backed, "held",
			 (json_int_t)(flow_table_count(b->flows) - b->n_ended), "sent",
			 (json_int_t)e->node.counters[COUNTER_BACKUP_SENT], "taken_over",
			 (json_int_t)e->node.counters[COUNTER_BACKUP_PROMOTED], "handed_over",
			 (json_int_t)e->node.counters[COUNTER_BACKUP_HANDED]);
}

json_t *view_drain(const struct engine *e)
{
	return json_pack("[{s:s, s:b, s:I}]", "node", e->params->node, "drained", e->is_drained,
			 "flows", (json_int_t)flow_table_count(e->firewall.states));
}

json_t *view_status(const struct engine *e, const char *version, uint64_t now_ns)
{
	const struct firewall *f = &e->firewall;
	json_t *problems = status_problems(e);
	bool ok = json_array_size(problems) == 0;
	json_t *s = json_pack(
		"{s:s, s:s, s:i, s:f, s:b, s:i, s:i, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:o, s:s, s:o, s:I, s:I, s:o, s:o}",
		"node", e->params->node, "version", version, "id", (int)e->params->node_id,
		"uptime_s", seconds(now_ns, e->start_ns), "cluster", e->channel != NULL,
		"members_up", e->channel ? (int)channel_n_up(e->channel) + 1 : 1, "members",
		e->channel ? (int)e->params->n_members : 1, "firewall",
		e->params->firewall.enabled || e->params->n_dispatchers == 0, "flows",
		(json_int_t)flow_table_count(f->states), "max_flows",
		(json_int_t)flow_table_capacity(f->states), "forwards",
		(json_int_t)(f->forwards ? flow_table_count(f->forwards) : 0), "queries_open",
		(json_int_t)(f->queries ? flow_table_count(f->queries) : 0), "held",
		(json_int_t)pool_used(e->node.pool), "frames_in",
		(json_int_t)e->node.counters[COUNTER_FRAMES_IN], "frames_out",
		(json_int_t)e->node.counters[COUNTER_FRAMES_OUT], "drops",
		(json_int_t)drops_total(e), "dispatchers", view_dispatch_summary(e), "health",
		ok ? "ok" : "degraded", "problems", problems, "offloaded",
		(json_int_t)(e->node.offload ? offload_count(e->node.offload) : 0), "max_offloaded",
		(json_int_t)(e->node.offload ? offload_capacity(e->node.offload) : 0), "backup",
		status_backup(e), "drained_s",
		e->is_drained ? json_real(seconds(now_ns, e->drained_ns)) : json_null());

	return json_pack("[o]", s);
}

/* --- members -----------------------------------------------------------------------------------
 */

static json_t *member_segments(const struct engine *e, const struct wire_segment *v, unsigned n)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++) {
		uint16_t port = relay_port_of_segment(&e->firewall, v[i].name);
		char name[PARAMS_NAME];
		const struct port_params *p =
			port < e->params->n_ports ? &e->params->ports[port] : NULL;

		if (p)
			snprintf(name, sizeof(name), "%s", p->segment[0] ? p->segment : p->name);
		else
			snprintf(name, sizeof(name), "%016llx", (unsigned long long)v[i].name);
		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "segment", name, "mac",
						      mac(&v[i].mac), "port",
						      port_name(e->params, port)));
	}
	return list;
}

/* Whether it goes with this node's. */
static const char *member_config(const struct channel_member *m, bool self)
{
	if (self)
		return "same";
	if (m->unreadable)
		return "unreadable";
	return m->version == 0 ? "unknown" : m->config_differs ? "differs" : "same";
}

static json_t *member_object(const struct engine *e, uint32_t index, uint64_t now_ns)
{
	const struct channel_member *m = channel_member(e->channel, index);
	bool self = index == e->params->self;
	char buf[ADDR_TEXT];
	json_t *where = m->has_endpoint ? text(endpoint_text(buf, &m->endpoint)) : json_null();
	json_t *heard =
		m->heard_ns ? json_real(seconds(now_ns, m->heard_ns) * 1000.0) : json_null();
	const char *state = self			? "self"
			    : m->up			? "up"
			    : !m->proven && m->heard_ns ? "unproven"
							: "down";

	return json_pack(
		"{s:s, s:i, s:b, s:s, s:o, s:f, s:o, s:I, s:s, s:s, s:o, s:o}", "name",
		e->params->members[index].name, "id", (int)e->params->members[index].id, "self",
		self, "state", state, "address", where, "since_s",
		seconds(now_ns, m->since_ns ? m->since_ns : e->start_ns), "heard_ms", heard,
		"flows", (json_int_t)(self ? flow_table_count(e->firewall.states) : m->n_flows),
		"path",
		e->params->cluster.transport == TRANSPORT_UNICAST || m->by_unicast ? "unicast"
										   : "multicast",
		"config", member_config(m, self), "version",
		self	     ? json_integer(WIRE_VERSION)
		: m->version ? json_integer(m->version)
			     : json_null(),
		"segments", member_segments(e, m->segments, m->n_segments));
}

json_t *view_members(const struct engine *e, uint64_t now_ns)
{
	json_t *list = json_array();

	for (uint32_t i = 0; e->channel && i < channel_n_members(e->channel); i++)
		json_array_append_new(list, member_object(e, i, now_ns));
	return list;
}

/* --- flows, forwards, queries ------------------------------------------------------------------
 */

static json_t *flow_askers(const struct engine *e, const struct state *s)
{
	json_t *list = json_array();

	for (uint32_t m = 0; m < e->params->n_members; m++)
		if (s->askers & 1u << m)
			json_array_append_new(list, text(member_name(e->params, m)));
	return list;
}

static json_t *state_object(const struct engine *e, const struct state *s, uint64_t now_ns)
{
	const struct firewall *f = &e->firewall;
	json_t *o = flow_object(&s->entry.key, s->flags & STATE_ORIGIN_B ? 1 : 0);
	json_t *more = json_pack(
		"{s:s, s:o, s:o, s:s, s:f, s:f, s:[I,I], s:[I,I], s:s, s:o, s:s, s:o}", "state",
		state_name(s), "in", port_name(e->params, s->in_port), "out",
		port_name(e->params, s->out_port), "rule", policy_rule_name(f->policy, s->rule),
		"age_s", age_s(now_ns, s->created_ms), "expires_s",
		flow_table_left_ms(f->states, s, now_ns) / 1000.0, "packets",
		(json_int_t)s->packets[0], (json_int_t)s->packets[1], "bytes",
		(json_int_t)state_bytes(s, 0), (json_int_t)state_bytes(s, 1), "home",
		e->params->node, "askers", flow_askers(e, s), "by",
		passed_by(e, OFFLOAD_HOME, flow_table_index(f->states, s)), "backup",
		s->backup ? text(member_name(e->params, s->backup - 1u)) : json_null());

	json_object_update(o, more);
	json_decref(more);
	return o;
}

/* Tables are far smaller than this: cursors above are places in the dispatchers' table. */
#define CURSOR_DISPATCH (1u << 31)

json_t *view_flows(const struct engine *e, uint32_t *cursor, uint32_t limit, uint64_t now_ns)
{
	uint32_t pos = *cursor & ~CURSOR_DISPATCH;
	json_t *list = json_array();

	if (!(*cursor & CURSOR_DISPATCH)) {
		const struct state *s = NULL;

		while (e->firewall.states && json_array_size(list) < limit &&
		       (s = flow_table_next(e->firewall.states, &pos)))
			json_array_append_new(list, state_object(e, s, now_ns));
		*cursor = pos;
		if (s)
			return list;
		pos = 0;
	}
	view_dispatch_flows(e, list, &pos, limit, now_ns);
	*cursor = pos ? CURSOR_DISPATCH | pos : 0;
	return list;
}

json_t *view_forwards(const struct engine *e, uint32_t *cursor, uint32_t limit, uint64_t now_ns)
{
	const struct flow_table *t = e->firewall.forwards;
	json_t *list = json_array();
	const struct forward *fw = NULL;

	while (t && json_array_size(list) < limit && (fw = flow_table_next(t, cursor))) {
		json_t *o = flow_object(&fw->entry.key, fw->dir);
		json_t *more = json_pack(
			"{s:s, s:s, s:f, s:f, s:I}", "home", member_name(e->params, fw->member),
			"via", fw->tunnel ? "tunnel" : "l2", "age_s", age_s(now_ns, fw->created_ms),
			"expires_s", flow_table_left_ms(t, fw, now_ns) / 1000.0, "packets",
			(json_int_t)fw->packets);
		json_object_update(o, more);
		json_decref(more);
		json_array_append_new(list, o);
	}
	if (!fw)
		*cursor = 0;
	return list;
}

json_t *view_queries(const struct engine *e, uint64_t now_ns)
{
	json_t *list = json_array();
	const struct query *q;
	uint32_t pos = 0;

	while (e->firewall.queries && (q = flow_table_next(e->firewall.queries, &pos))) {
		json_t *o = flow_object(&q->entry.key, q->dir);
		json_t *more =
			json_pack("{s:o, s:f, s:i, s:i, s:s}", "id", hex64(q->id), "age_ms",
				  seconds(now_ns, q->sent_ns) * 1000.0, "tries", (int)q->tries,
				  "held", (int)q->held.n, "mode", q->carried ? "carry" : "hold");
		json_object_update(o, more);
		json_decref(more);
		json_array_append_new(list, o);
	}
	return list;
}

/* --- counters, rules ---------------------------------------------------------------------------
 */

json_t *view_drops(const struct engine *e)
{
	json_t *list = json_array();

	for (unsigned i = 1; i < DROP_COUNT; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:I, s:s}", "reason", drop_name(i), "class",
					drop_class_name(drop_class(i)), "packets",
					(json_int_t)e->node.drops[i], "text", drop_text(i)));
	return list;
}

json_t *view_counters(const struct engine *e)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "name", counter_name(i),
						      "value", (json_int_t)e->node.counters[i],
						      "text", counter_text(i)));
	return list;
}

static json_t *rule_object(const struct policy *p, uint16_t rule)
{
	static const char *const actions[] = {"pass", "drop", "reject"};
	const struct policy_rule_stats *s = policy_stats(p, rule);

	return json_pack("{s:s, s:s, s:I, s:I, s:I}", "rule", policy_rule_name(p, rule), "action",
			 actions[policy_rule_action(p, rule)], "line",
			 (json_int_t)policy_rule_line(p, rule), "packets", (json_int_t)s->packets,
			 "bytes", (json_int_t)s->bytes);
}

json_t *view_rules(const struct engine *e)
{
	const struct policy *p = e->firewall.policy;
	json_t *list = json_array();

	for (uint32_t i = 0; i < policy_n_rules(p); i++)
		json_array_append_new(list, rule_object(p, (uint16_t)i));
	json_array_append_new(list, rule_object(p, POLICY_DEFAULT));
	return list;
}

/* --- the way out -------------------------------------------------------------------------------
 */

json_t *view_neighbours(const struct engine *e, uint64_t now_ns)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < neigh_capacity(e->node.neighbours); i++) {
		const struct neigh *n = neigh_at(e->node.neighbours, i);
		bool known = n->state == NEIGH_REACHABLE || n->state == NEIGH_STALE ||
			     n->state == NEIGH_PROBE;
		if (n->state == NEIGH_FREE)
			continue;
		json_array_append_new(
			list, json_pack("{s:o, s:o, s:o, s:s, s:f, s:i}", "address",
					address(&n->addr), "port", port_name(e->params, n->port),
					"mac", known ? mac(&n->mac) : json_null(), "state",
					neigh_state_name(n->state), "age_s",
					n->since_ns ? seconds(now_ns, n->since_ns) : 0.0, "waiting",
					(int)n->waiting.n));
	}
	return list;
}

json_t *view_routes(const struct engine *e)
{
	json_t *list = json_array();
	char buf[ADDR_TEXT];

	for (size_t i = 0; i < route_table_count(e->node.routes); i++) {
		const struct route *r = route_table_at(e->node.routes, i);
		json_t *via = ipaddr_is_unspecified(&r->via) ? json_null() : address(&r->via);
		json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:s, s:I}", "prefix",
						      prefix_text(buf, &r->dst), "via", via, "port",
						      port_name(e->params, r->port), "from",
						      r->from_config ? "config" : "kernel",
						      "metric", (json_int_t)r->metric));
	}
	return list;
}

json_t *view_port(const struct engine *e, uint16_t port)
{
	const struct port_params *p = &e->params->ports[port];
	const struct node_link *l = &e->node.links[port];
	static const char *const backends[] = {"packet", "pcap", "file"};
	json_t *addresses = json_array(), *answers = json_array(), *taken = json_array();
	char buf[ADDR_TEXT];

	for (size_t i = 0; i < e->node.n_addresses; i++) {
		const struct node_address *a = &e->node.addresses[i];
		if (a->port != port)
			continue;
		if (a->is_passed)
			json_array_append_new(answers, address(&a->prefix.addr));
		else
			json_array_append_new(addresses, text(prefix_text(buf, &a->prefix)));
		if (a->is_taken)
			json_array_append_new(taken, address(&a->prefix.addr));
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:s, s:o, s:o, s:o}", "name", p->name,
			 "device", p->device, "backend", backends[p->backend], "state",
			 l->up ? "up" : "down", "mac", mac(&l->mac), "host_mac", mac(&l->host_mac),
			 "mtu", (json_int_t)l->mtu, "segment", p->segment[0] ? p->segment : p->name,
			 "addresses", addresses, "answers", answers, "taken", taken);
}

/* --- configuration -----------------------------------------------------------------------------
 */

static void config_port(json_t *list, const struct port_params *p)
{
	char buf[ADDR_TEXT];

	setting(list, "port", "%s on %s%s%s", p->name, p->device, p->has_mac ? " mac " : "",
		p->has_mac ? macaddr_text(buf, &p->mac) : "");
}

static void config_cluster(json_t *list, const struct cluster_params *c)
{
	static const char *const transports[] = {"multicast", "unicast"};
	static const char *const queries[] = {"carry", "hold"};
	static const char *const forwards[] = {"auto", "l2", "tunnel"};
	static const char *const exceptions[] = {"drop", "reset", "pass"};
	static const char *const trackings[] = {"loose", "strict"};
	static const char *const ciphers[] = {"chacha20-poly1305", "aes-256-gcm"};
	char buf[ADDR_TEXT];

	setting(list, "cluster.id", "%u", c->id);
	setting(list, "cluster.device", "%s", c->device);
	setting(list, "cluster.transport", "%s", transports[c->transport]);
	if (c->transport == TRANSPORT_MULTICAST)
		setting(list, "cluster.group", "%s", ipaddr_text(buf, &c->group));
	setting(list, "cluster.udp-port", "%u", c->udp_port);
	setting(list, "cluster.key-file", "%s", c->key_file);
	setting(list, "cluster.cipher", "%s", ciphers[c->cipher]);
	setting(list, "cluster.query", "%s", queries[c->query]);
	setting(list, "cluster.forward", "%s", forwards[c->forward]);
	setting(list, "cluster.exception", "%s", exceptions[c->exception]);
	setting(list, "cluster.hello-interval", "%ums", c->hello_ms);
	setting(list, "cluster.dead-after", "%ums", c->dead_ms);
	setting(list, "cluster.query-timeout", "%ums", c->query_timeout_ms);
	setting(list, "cluster.query-retries", "%u", c->query_retries);
	setting(list, "cluster.negative-ttl", "%ums", c->negative_ms);
	setting(list, "cluster.forward-ttl", "%ums", c->forward_ms);
	setting(list, "cluster.backup", "%s", c->backup ? "true" : "false");
	setting(list, "cluster.backup-delay", "%ums", c->backup_delay_ms);
	setting(list, "cluster.backup-refresh", "%ums", c->backup_refresh_ms);
	setting(list, "cluster.backup-tracking", "%s", trackings[c->backup_tracking]);
}

json_t *view_config(const struct params *p)
{
	json_t *list = json_array();

	setting(list, "file", "%s", p->file);
	setting(list, "node", "%s", p->node);
	for (uint32_t i = 0; i < p->n_ports; i++)
		config_port(list, &p->ports[i]);
	if (p->cluster.enabled)
		config_cluster(list, &p->cluster);
	for (uint32_t i = 0; i < p->n_members; i++)
		setting(list, "member", "%s id %u", p->members[i].name, p->members[i].id);
	if (p->firewall.enabled) {
		setting(list, "firewall.max-flows", "%u", p->firewall.max_flows);
		setting(list, "firewall.max-half-open", "%u", p->firewall.max_half_open);
		setting(list, "firewall.rules", "%u", p->firewall.n_rules);
	}
	view_dispatch_config(p, list);
	setting(list, "control.socket", "%s", p->control_socket);
	return list;
}

/* --- events ------------------------------------------------------------------------------------
 */

json_t *view_event(const struct engine *e, const struct note *n, const char *time)
{
	const struct params *p = e->params;
	json_t *o = json_pack("{s:i, s:s, s:s, s:s}", "schema", 1, "event", note_name(n->type),
			      "time", time, "node", p->node);

	if (n->has_flow)
		json_object_set_new(o, "flow", flow_object(&n->key, n->dir));
	if (n->member != NOTE_NO_MEMBER)
		json_object_set_new(o, "member", text(member_name(p, n->member)));
	if (n->port < p->n_ports)
		json_object_set_new(o, "port", port_name(p, n->port));
	if (n->path < p->n_paths)
		json_object_set_new(o, "path", text(p->paths[n->path].name));
	if (n->service < p->n_services)
		json_object_set_new(o, "service", text(p->services[n->service].name));
	if (n->target < p->n_targets)
		json_object_set_new(o, "target", text(p->targets[n->target].name));
	if (n->has_address)
		json_object_set_new(o, "address", address(&n->address));
	if (n->type == NOTE_RULE || n->type == NOTE_HOME_CREATED)
		json_object_set_new(o, "rule", text(policy_rule_name(e->firewall.policy, n->rule)));
	if (n->reason != DROP_NONE)
		json_object_set_new(o, "reason", text(drop_name(n->reason)));
	if (n->n_flows > 0)
		json_object_set_new(o, "flows", json_integer(n->n_flows));
	if (n->query_id)
		json_object_set_new(o, "query", hex64(n->query_id));
	if (n->detail)
		json_object_set_new(o, "detail", text(n->detail));
	return o;
}
