/*
 * view_l7.c - what is counted of services by L7: requests, connections, cookies; and what goes by
 * MAC address for them: relays, and the matching table (HD-18).
 */
#include <string.h>

#include "dispatch/leg.h"
#include "engine/view.h"
#include "engine/view_parts.h"

bool view_l7_has(const struct params *p, uint16_t target)
{
	for (uint32_t i = 0; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];

		if (!technology_is_l7(s->technology))
			continue;
		for (uint32_t k = 0; k < s->targets.n; k++)
			if (p->target_lists[s->targets.first + k] == target)
				return true;
		if (s->sorry == target)
			return true;
	}
	return false;
}

#define SET(field, name) json_object_set_new(o, name, json_integer((json_int_t)c->field));

json_t *view_l7_service(const struct engine *e, uint16_t service)
{
	static const char *const contents[] = {"http", "tls"};
	static const char *const relays[] = {"none", "config", "ask", "both"};
	const struct l7_service_counts *c = &e->dispatch.service_states[service].l7;
	const struct service_params *s = &e->params->services[service];
	json_t *o;

	if (!technology_is_l7(s->technology))
		return json_null();
	o = json_pack("{s:s, s:s}", "content", contents[s->l7.content], "relay",
		      relays[s->l7.relay]);
	L7_SERVICE_COUNT_LIST(SET)
	return o;
}

json_t *view_l7_target(const struct engine *e, uint16_t target)
{
	const struct l7_target_counts *c = &e->dispatch.targets[target].l7;
	json_t *o;

	if (!view_l7_has(e->params, target))
		return json_null();
	o = json_pack("{s:I}", "max_connections",
		      (json_int_t)e->params->targets[target].max_connections);
	L7_TARGET_COUNT_LIST(SET)
	return o;
}

/* X(field, JSON name) */
#define COOKIE_LIST(X)                                                                             \
	X(cookie_made, "made")                                                                     \
	X(cookie_valid, "valid")                                                                   \
	X(cookie_absent, "absent")                                                                 \
	X(cookie_forged, "forged")                                                                 \
	X(cookie_unknown, "unknown")                                                               \
	X(cookie_expired, "expired")                                                               \
	X(cookie_moved, "moved")

static json_t *cookie_object(const struct engine *e, uint16_t service)
{
	static const char *const kinds[] = {"none", "insert", "prefix", "own"};
	const struct l7_params *p = &e->params->services[service].l7;
	struct l7_service_counts sum = {0}, *c = &sum;
	json_t *o = json_pack("{s:s, s:s, s:s}", "service", e->params->services[service].name,
			      "kind", kinds[p->cookie], "name", p->cookie_name);

	for (uint32_t i = 0; i < e->params->n_services; i++) {
		const struct l7_service_counts *more = &e->dispatch.service_states[i].l7;

		if (i != service && e->params->services[i].route_of != service)
			continue;
#define ADD(field, name) sum.field += more->field;
		COOKIE_LIST(ADD)
#undef ADD
	}
	COOKIE_LIST(SET)
	return o;
}

json_t *view_cookies(const struct engine *e)
{
	json_t *list = json_array();

	for (uint16_t i = 0; e->dispatch.service_states && i < e->params->n_services; i++) {
		const struct service_params *s = &e->params->services[i];

		if (technology_is_l7(s->technology) && s->route_of == PARAMS_NONE &&
		    s->l7.cookie != L7_COOKIE_NONE)
			json_array_append_new(list, cookie_object(e, i));
	}
	return list;
}

/* --- relays ----------------------------------------------------------------------------------- */

/* Targets that the configuration says are connected to that member, and not to this node. */
static json_t *relay_targets(const struct params *p, uint16_t member)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < p->n_targets; i++)
		for (uint32_t k = 0; k < p->targets[i].n_via; k++)
			if (p->targets[i].via[k] == member)
				json_array_append_new(list, text(p->targets[i].name));
	return list;
}

static json_t *relay_to(const struct l7_target_counts *c)
{
	json_t *o = json_object();

	L7_TARGET_COUNT_LIST(SET)
	return o;
}

static json_t *relay_from(const struct l7_relay_counts *c)
{
	json_t *o = json_object();

	L7_RELAY_COUNT_LIST(SET)
	return o;
}

static bool is_used(const struct relay *r)
{
	static const struct relay unused;

	return memcmp(r, &unused, sizeof(unused)) != 0;
}

json_t *view_relays(const struct engine *e)
{
	const struct dispatch *d = &e->dispatch;
	json_t *list = json_array();

	for (uint16_t i = 0; e->channel && d->n_dispatchers > 0 && i < e->params->n_members; i++) {
		const struct relay *r = &d->relays[i];
		json_t *targets = relay_targets(e->params, i);
		uint32_t n_found = finds_at(d, i);

		if (i == e->params->self ||
		    (!is_used(r) && n_found == 0 && json_array_size(targets) == 0)) {
			json_decref(targets);
			continue;
		}
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:b, s:o, s:I, s:o, s:o}", "member",
						member_name(e->params, i), "state",
						channel_member(e->channel, i)->up ? "up" : "down",
						"reached", legs_reach(d, i), "targets", targets,
						"asked", (json_int_t)n_found, "to",
						relay_to(&r->to), "from", relay_from(&r->from)));
	}
	return list;
}

/* --- the matching table ----------------------------------------------------------------------- */

/* The port where the other end is, and its MAC address, as far as they are known. */
static uint16_t leg_place(const struct engine *e, const struct leg *leg, const struct macaddr **m)
{
	const struct target *t;
	uint16_t i = NEIGH_NONE;

	*m = NULL;
	if (leg->kind != LEG_TO_SERVER) {
		if (leg->port != PARAMS_NO_PORT)
			*m = &leg->mac;
		return leg->port;
	}
	if (leg->target >= e->params->n_targets)
		return PARAMS_NO_PORT;
	t = &e->dispatch.targets[leg->target];
	for (unsigned family = 0; i == NEIGH_NONE && t->port != PARAMS_NO_PORT && family < 2;
	     family++)
		if (!ipaddr_is_unspecified(&t->addr[family]))
			i = neigh_find(e->node.neighbours, t->port, &t->addr[family]);
	if (i != NEIGH_NONE && neigh_usable(neigh_at(e->node.neighbours, i)))
		*m = &neigh_at(e->node.neighbours, i)->mac;
	return t->port;
}

/* Of one whose descriptor is closed nothing but its end is still awaited. */
static const char *leg_state(const struct leg *leg)
{
	return leg->flags & LEG_ENDED ? "ended" : dflow_state_name((enum dflow_state)leg->state);
}

static json_t *leg_object(const struct engine *e, const struct leg *leg, uint64_t now_ns)
{
	static const char *const kinds[] = {"server", "to", "from"};
	const struct params *p = e->params;
	const struct macaddr *there;
	uint16_t port = leg_place(e, leg, &there);

	return with(flow_object(&leg->entry.key, leg->flags & LEG_ORIGIN_B ? 1 : 0),
		    json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:f, s:o, s:o}", "kind",
			      kinds[leg->kind], "service",
			      leg->service < p->n_services ? text(p->services[leg->service].name)
							   : json_null(),
			      "member",
			      leg->member < p->n_members ? text(member_name(p, leg->member))
							 : json_null(),
			      "target",
			      leg->target < p->n_targets ? text(p->targets[leg->target].name)
							 : json_null(),
			      "mac", there ? mac(there) : json_null(), "port", port_name(p, port),
			      "state", leg_state(leg), "age_s", age_s(now_ns, leg->created_ms),
			      "packets", both(leg->packets[0], leg->packets[1]), "bytes",
			      both(leg->bytes[0], leg->bytes[1])));
}

json_t *view_matching(const struct engine *e, uint32_t *cursor, uint32_t limit, uint64_t now_ns)
{
	json_t *list = json_array();
	const struct leg *leg = NULL;

	while (e->dispatch.legs && json_array_size(list) < limit &&
	       (leg = legs_next(&e->dispatch, cursor)))
		json_array_append_new(list, leg_object(e, leg, now_ns));
	if (!leg)
		*cursor = 0;
	return list;
}

void view_l7_config(const struct params *p, json_t *list)
{
	static const char *const logs[] = {"none", "combined", "json"};
	bool any = false;

	for (uint32_t i = 0; i < p->n_services; i++)
		any = any || technology_is_l7(p->services[i].technology);
	if (!any)
		return;
	setting(list, "l7.max-connections", "%u", p->l7.max_connections);
	setting(list, "l7.max-head", "%u", p->l7.max_head);
	setting(list, "l7.access-log", "%s%s%s", logs[p->l7.log], p->l7.log_file[0] ? " to " : "",
		p->l7.log_file);
}
