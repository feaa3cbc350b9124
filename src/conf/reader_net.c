#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/reader.h"
#include "conf/value.h"

static bool is_host_address(const struct ipaddr *a)
{
	return !ipaddr_is_unspecified(a) && !ipaddr_is_multicast(a) && !ipaddr_is_broadcast(a) &&
	       !ipaddr_is_loopback(a);
}

static void read_addresses(struct reader *r, cfg_t *section, struct port_params *port)
{
	const unsigned n = cfg_size(section, "addresses");

	for (unsigned i = 0; i < n; i++) {
		const struct kept_value *v = reader_value(section, "addresses", i);
		struct prefix p;
		bool good = prefix_parse_host(&p, v->text) == 0 && is_host_address(&p.addr);

		if (good && !strchr(v->text, '/')) {
			reader_error(r, reader_pos(r, v), section, "addresses",
				     "\"%.60s\" lacks the length of its network; write it behind "
				     "the address, as in \"%.60s/%d\"",
				     v->text, v->text, ipaddr_is_v4(&p.addr) ? 24 : 64);
		} else if (!good) {
			reader_error(
				r, reader_pos(r, v), section, "addresses",
				"\"%.60s\" is no address of a host; allowed are addresses with "
				"the length of their network, such as \"10.1.0.254/24\"",
				v->text);
		} else if (port->n_addresses == PARAMS_PORT_ADDRS) {
			reader_error(r, reader_pos(r, v), section, "addresses",
				     "too many; allowed are %d", PARAMS_PORT_ADDRS);
			return;
		} else {
			port->addresses[port->n_addresses++] = p;
		}
	}
}

/* Add one address to a list; false when nothing more can be taken. */
static bool add_host(struct reader *r, cfg_t *section, const char *option,
		     const struct kept_value *v, struct ipaddr *out, uint32_t max, uint32_t *n)
{
	struct ipaddr a;

	if (ipaddr_parse(&a, v->text) != 0 || !is_host_address(&a)) {
		reader_error(r, reader_pos(r, v), section, option,
			     "\"%.60s\" is no address of a host; allowed is such as \"192.0.2.80\" "
			     "or \"2001:db8::80\"",
			     v->text);
		return true;
	}
	for (uint32_t i = 0; i < *n; i++)
		if (ipaddr_eq(&out[i], &a)) {
			reader_error(r, reader_pos(r, v), section, option,
				     "%.60s is given twice; once is allowed", v->text);
			return true;
		}
	if (*n == max) {
		reader_error(r, reader_pos(r, v), section, option, "too many; allowed are %u", max);
		return false;
	}
	out[(*n)++] = a;
	return true;
}

void reader_hosts(struct reader *r, cfg_t *section, const char *option, struct ipaddr *out,
		  uint32_t max, uint32_t *n)
{
	const unsigned size = cfg_size(section, option);

	for (unsigned i = 0; i < size; i++)
		if (!add_host(r, section, option, reader_value(section, option, i), out, max, n))
			return;
}

struct report_pos reader_host_pos(const struct reader *r, cfg_t *section, const char *option,
				  const struct ipaddr *a)
{
	const unsigned size = cfg_size(section, option);

	for (unsigned i = 0; i < size; i++) {
		const struct kept_value *v = reader_value(section, option, i);
		struct ipaddr b;
		if (ipaddr_parse(&b, v->text) == 0 && ipaddr_eq(a, &b))
			return reader_pos(r, v);
	}
	return reader_option_pos(r, section, option);
}

struct report_pos reader_name_pos(const struct reader *r, cfg_t *section, const char *option,
				  const char *name)
{
	const unsigned size = cfg_size(section, option);

	for (unsigned i = 0; i < size; i++) {
		const struct kept_value *v = reader_value(section, option, i);
		if (strcmp(v->text, name) == 0)
			return reader_pos(r, v);
	}
	return reader_option_pos(r, section, option);
}

void reader_ports(struct reader *r)
{
	struct params *p = r->params;
	const unsigned n = cfg_size(r->root, "port");

	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(r->root, "port", i);
		if (p->n_ports == PARAMS_PORTS) {
			reader_error(r, reader_section_pos(r, section), section, NULL,
				     "too many ports; allowed are %d", PARAMS_PORTS);
			return;
		}
		struct port_params *port = &p->ports[p->n_ports];
		r->port_section[p->n_ports++] = section;
		reader_title(r, section, port->name);
		reader_options(r, section, &schema_port, port);
		if (!*port->segment)
			memcpy(port->segment, port->name, sizeof(port->segment));
		port->has_mac = !macaddr_eq(&port->mac, &(struct macaddr){{0}});
		read_addresses(r, section, port);
		reader_hosts(r, section, "answer-for", port->answers, PARAMS_PORT_ANSWERS,
			     &port->n_answers);
	}
}

void reader_routes(struct reader *r)
{
	struct params *p = r->params;
	const unsigned n = cfg_size(r->root, "route");

	if (n == 0)
		return;
	p->routes = calloc(n, sizeof(*p->routes));
	r->route_section = calloc(n, sizeof(cfg_t *));
	if (!p->routes || !r->route_section) {
		report_no_memory(r->report);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(r->root, "route", i);
		if (p->n_routes == PARAMS_ROUTES) {
			reader_error(r, reader_section_pos(r, section), section, NULL,
				     "too many routes; allowed are %d", PARAMS_ROUTES);
			return;
		}
		struct route_params *route = &p->routes[p->n_routes];
		reader_options(r, section, &schema_route, route);
		if (prefix_parse(&route->dst, cfg_title(section)) != 0) {
			reader_error(r, reader_section_pos(r, section), section, NULL,
				     "not valid as a destination; allowed are networks such as "
				     "\"0.0.0.0/0\" and \"2001:db8::/32\"");
			continue;
		}
		r->route_section[p->n_routes++] = section;
	}
}

void reader_cluster(struct reader *r)
{
	struct cluster_params *c = &r->params->cluster;
	cfg_t *section = reader_section(r->root, "cluster");

	c->enabled = section != NULL;
	reader_options(r, section, &schema_cluster, c);
}

void reader_members(struct reader *r)
{
	struct params *p = r->params;
	const unsigned n = cfg_size(r->root, "member");

	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(r->root, "member", i);
		if (p->n_members == PARAMS_MEMBERS) {
			reader_error(r, reader_section_pos(r, section), section, NULL,
				     "too many members; allowed are %d", PARAMS_MEMBERS);
			return;
		}
		struct member_params *m = &p->members[p->n_members];
		r->member_section[p->n_members++] = section;
		reader_title(r, section, m->name);
		reader_options(r, section, &schema_member, m);
		m->has_address = !ipaddr_is_unspecified(&m->address);
		if (m->has_address && !is_host_address(&m->address))
			reader_error(r, reader_option_pos(r, section, "address"), section,
				     "address",
				     "no address of a host; allowed is a unicast address");
	}
}
