/*
 * Services, the routes of those by L7, and the ports of the private stacks that these make
 * necessary.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/reader.h"
#include "conf/value.h"

static void read_service_ports(struct reader *r, cfg_t *section, struct service_params *s)
{
	const unsigned n = cfg_size(section, "ports");

	for (unsigned i = 0; i < n; i++) {
		const struct kept_value *v = reader_value(section, "ports", i);
		struct range range;

		if (value_ports(&range, v->text) != 0 || range.lo == 0) {
			reader_error(
				r, reader_pos(r, v), section, "ports",
				"\"%.60s\" is not valid; allowed are ports 1..65535 and ranges "
				"from low to high such as \"8000-8010\"",
				v->text);
		} else if (s->n_ports == PARAMS_SERVICE_RANGES) {
			reader_error(r, reader_pos(r, v), section, "ports",
				     "too many; allowed are %d", PARAMS_SERVICE_RANGES);
			return;
		} else {
			s->ports[s->n_ports++] = range;
		}
	}
}

/* A list that is given but empty would silently mean "all". */
static void check_empty_ports(struct reader *r, cfg_t *section, bool l7)
{
	const cfg_opt_t *opt = cfg_getopt(section, "ports");

	if (cfg_size(section, "ports") == 0 && opt && (opt->flags & CFGF_MODIFIED) && !l7)
		reader_error(r, reader_section_pos(r, section), section, "ports",
			     "the list is empty; leave the option out to serve every port");
}

static void read_service(struct reader *r, cfg_t *section, struct service_params *s)
{
	s->route_of = PARAMS_NONE;
	reader_title(r, section, s->name);
	s->line = reader_section_pos(r, section).line;
	reader_options(r, section, &schema_service, s);
	reader_hosts(r, section, "addresses", s->addresses, PARAMS_SERVICE_ADDRS, &s->n_addresses);
	reader_need_list(r, section, "addresses", "address that clients ask for");
	read_service_ports(r, section, s);
	check_empty_ports(r, section, technology_is_l7(s->technology));
	reader_service_targets(r, section, s);
	reader_hosts(r, section, "sources", s->sources, PARAMS_SOURCES, &s->n_sources);
}

/* Adds what the service may need: entries for itself and its routes, and places in lists. */
static void count_service(cfg_t *section, size_t *n_all, size_t *n_lists)
{
	const unsigned n = cfg_size(section, "route");

	*n_all += 1 + n;
	*n_lists += cfg_size(section, "targets");
	for (unsigned i = 0; i < n; i++)
		*n_lists += cfg_size(cfg_getnsec(section, "route", i), "targets");
}

void reader_services(struct reader *r)
{
	struct params *p = r->params;
	const unsigned n = cfg_size(r->root, "service");
	size_t n_all = 0, n_lists = 0;

	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++)
		count_service(cfg_getnsec(r->root, "service", i), &n_all, &n_lists);
	if (n_lists > PARAMS_TARGET_LISTS)
		n_lists = PARAMS_TARGET_LISTS;
	p->services = calloc(n_all, sizeof(*p->services));
	p->target_lists = calloc(n_lists + 1, sizeof(*p->target_lists));
	r->service_section = calloc(n_all, sizeof(cfg_t *));
	if (!p->services || !p->target_lists || !r->service_section) {
		report_no_memory(r->report);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(r->root, "service", i);

		if (p->n_services == PARAMS_SERVICES) {
			reader_error(r, reader_section_pos(r, section), section, NULL,
				     "too many of these sections; allowed are %d, routes of "
				     "services by L7 included",
				     PARAMS_SERVICES);
			return;
		}
		r->service_section[p->n_services] = section;
		read_service(r, section, &p->services[p->n_services++]);
		if (technology_is_l7(p->services[p->n_services - 1].technology))
			reader_l7_routes(r, section);
	}
}

void reader_service_targets(struct reader *r, cfg_t *section, struct service_params *s)
{
	struct params *p = r->params;

	s->targets.first = p->n_target_lists;
	reader_names(r, section, "targets", SCHEMA_TARGET, p->target_lists + p->n_target_lists,
		     PARAMS_TARGET_LISTS - p->n_target_lists, &s->targets.n);
	p->n_target_lists += s->targets.n;
	reader_need_list(r, section, "targets", "target that serves it");
}

/* --- routes ---------------------------------------------------------------------------------- */

/* "service/route" */
static void name_route(struct reader *r, cfg_t *section, struct service_params *s,
		       const char *service)
{
	char name[PARAMS_NAME];
	size_t size = strlen(service);

	reader_title(r, section, name);
	if (size + 1 + strlen(name) >= sizeof(s->name)) {
		reader_error(r, reader_section_pos(r, section), section, NULL,
			     "the name is too long behind \"%s/\"; both are allowed %zu characters "
			     "together",
			     service, sizeof(s->name) - 2);
		return;
	}
	memcpy(s->name, service, size);
	s->name[size] = '/';
	memcpy(s->name + size + 1, name, strlen(name) + 1);
}

/* What the options of a route do not say is as in its service. */
static void read_route(struct reader *r, cfg_t *section, uint16_t service)
{
	struct params *p = r->params;
	struct service_params *s = &p->services[p->n_services];

	*s = p->services[service];
	s->route_of = service;
	s->n_addresses = 0;
	s->n_sources = 0;
	s->targets = (struct slice){0};
	name_route(r, section, s, p->services[service].name);
	s->line = reader_section_pos(r, section).line;
	reader_options(r, section, &schema_l7_route, s);
	reader_service_targets(r, section, s);
	r->service_section[p->n_services++] = section;
}

void reader_l7_routes(struct reader *r, cfg_t *section)
{
	struct params *p = r->params;
	const uint16_t service = (uint16_t)(p->n_services - 1);
	const unsigned n = cfg_size(section, "route");

	for (unsigned i = 0; i < n; i++) {
		cfg_t *route = cfg_getnsec(section, "route", i);

		if (i == PARAMS_L7_ROUTES || p->n_services == PARAMS_SERVICES) {
			reader_error(r, reader_section_pos(r, route), route, NULL,
				     "too many routes; allowed are %d of one service, and %d "
				     "services and routes together",
				     PARAMS_L7_ROUTES, PARAMS_SERVICES);
			return;
		}
		read_route(r, route, service);
	}
}

/* --- the private stacks ---------------------------------------------------------------------- */

uint32_t reader_n_stacks(const struct params *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];

		if (!technology_is_l7(s->technology))
			continue;
		if (s->technology == TECHNOLOGY_L7_2 || s->l7.relay != L7_RELAY_NONE)
			return 2;
		n = 1;
	}
	return n;
}

static uint16_t add_stack_port(struct reader *r, const char *name, struct dispatcher_params *d)
{
	struct params *p = r->params;
	const uint16_t index = (uint16_t)p->n_ports++;
	struct port_params *port = &p->ports[index];

	reader_options(r, NULL, &schema_port, port);
	memcpy(port->name, name, strlen(name) + 1);
	memcpy(port->segment, name, strlen(name) + 1);
	port->is_stack = true;
	d->ports[d->n_ports++] = index;
	return index;
}

/* Checked before: one dispatcher serves, the names are free, and there is room. */
static void add_stack_ports(struct reader *r)
{
	struct params *p = r->params;
	const uint32_t n = reader_n_stacks(p);
	struct dispatcher_params *serving = NULL;

	for (uint32_t i = 0; i < p->n_dispatchers; i++)
		if (p->dispatchers[i].role != DISPATCH_OUTER)
			serving = &p->dispatchers[i];
	if (n == 0 || !serving)
		return;
	p->stack_port = add_stack_port(r, READER_STACK, serving);
	if (n > 1)
		p->legs_port = add_stack_port(r, READER_STACK_SERVERS, serving);
}

void reader_finish_l7(struct reader *r)
{
	struct params *p = r->params;

	add_stack_ports(r);
	for (uint32_t i = 0; i < p->n_targets; i++)
		if (p->targets[i].n_via > 0) {
			p->targets[i].check.kind = CHECK_NONE;
			p->targets[i].check.agent_port = 0;
		}
}
