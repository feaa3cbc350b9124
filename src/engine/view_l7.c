/*
 * view_l7.c - what is counted of services by L7: requests, connections, cookies.
 */
#include <string.h>

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
	const struct l7_service_counts *c = &e->dispatch.service_states[service].l7;
	const struct service_params *s = &e->params->services[service];
	json_t *o;

	if (!technology_is_l7(s->technology))
		return json_null();
	o = json_pack("{s:s}", "content", contents[s->l7.content]);
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
