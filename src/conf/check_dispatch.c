/*
 * What has to fit together around dispatchers: firewalls, ports, members.
 */
#include <string.h>

#include "conf/reader.h"

static unsigned line_of(const struct reader *r, cfg_t *section)
{
	return reader_section_pos(r, section).line;
}

/* --- firewalls ------------------------------------------------------------------------------- */

static void check_path_pair(struct reader *r, uint32_t i, uint32_t j)
{
	const struct path_params *a = &r->params->paths[j], *b = &r->params->paths[i];
	cfg_t *s = r->path_section[i];

	if (b->id != 0 && a->id == b->id)
		reader_error(r, reader_option_pos(r, s, "id"), s, "id",
			     "%u is the id of path \"%s\" in line %u; ids must differ", b->id,
			     a->name, line_of(r, r->path_section[j]));
	for (uint32_t x = 0; x < a->n_addresses; x++)
		for (uint32_t y = 0; y < b->n_addresses; y++)
			if (ipaddr_eq(&a->addresses[x], &b->addresses[y]))
				reader_error(r,
					     reader_host_pos(r, s, "addresses", &b->addresses[y]),
					     s, "addresses",
					     "an address of path \"%s\" in line %u; each firewall "
					     "has its own",
					     a->name, line_of(r, r->path_section[j]));
}

static void check_path_own(struct reader *r, uint32_t i)
{
	const struct path_params *path = &r->params->paths[i];
	cfg_t *s = r->path_section[i];

	for (uint32_t x = 0; x < path->n_addresses; x++) {
		const struct port_params *own = reader_own_address(r->params, &path->addresses[x]);

		if (own)
			reader_error(r, reader_host_pos(r, s, "addresses", &path->addresses[x]), s,
				     "addresses",
				     "an address of this node's port \"%s\"; allowed are addresses "
				     "of the firewall",
				     own->name);
	}
}

static void check_paths(struct reader *r)
{
	for (uint32_t i = 0; i < r->params->n_paths; i++) {
		check_path_own(r, i);
		for (uint32_t j = 0; j < i; j++)
			check_path_pair(r, i, j);
	}
}

bool reader_may_be_on(const struct port_params *port, const struct ipaddr *a)
{
	bool given = false;

	for (uint32_t i = 0; i < port->n_addresses; i++) {
		struct prefix net = port->addresses[i];

		if (ipaddr_is_v4(&net.addr) != ipaddr_is_v4(a))
			continue;
		given = true;
		net.addr = ipaddr_mask(net.addr, net.len);
		if (prefix_contains(&net, a))
			return true;
	}
	return !given;
}

static void check_path_on(struct reader *r, uint32_t i, const struct dispatcher_params *d)
{
	const struct path_params *path = &r->params->paths[i];
	const struct port_params *port = &r->params->ports[d->firewall_port];
	cfg_t *s = r->path_section[i];

	for (uint32_t x = 0; x < path->n_addresses; x++)
		if (reader_may_be_on(port, &path->addresses[x]))
			return;
	if (path->n_addresses > 0)
		reader_error(r, reader_option_pos(r, s, "addresses"), s, "addresses",
			     "none lies on the networks of port \"%s\", the firewall-port of "
			     "dispatcher \"%s\"; one must",
			     port->name, d->name);
}

static void check_firewall_port(struct reader *r, uint32_t i)
{
	const struct params *p = r->params;
	const struct dispatcher_params *d = &p->dispatchers[i];
	cfg_t *s = r->dispatcher_section[i];

	if (d->firewall_port == PARAMS_NO_PORT) {
		if (d->role != DISPATCH_STAGE && reader_has_role(r, i) &&
		    !reader_value(s, "firewall-port", 0))
			reader_error(
				r, reader_section_pos(r, s), s, NULL,
				"option \"firewall-port\" is missing; only role \"stage\" goes "
				"without");
		return;
	}
	if (cfg_size(r->root, "path") == 0)
		reader_error(r, reader_option_pos(r, s, "firewall-port"), s, "firewall-port",
			     "there is no firewall; give path \"name\" { id = ... addresses = "
			     "{...} } for each");
	for (uint32_t j = 0; j < p->n_paths; j++)
		check_path_on(r, j, d);
}

/* --- ports ----------------------------------------------------------------------------------- */

static bool has_port(const struct dispatcher_params *d, uint16_t port)
{
	if (d->firewall_port == port)
		return true;
	for (uint32_t i = 0; i < d->n_ports; i++)
		if (d->ports[i] == port)
			return true;
	return false;
}

/* A frame comes in by a port, and that says which dispatcher it is for. */
static void check_port_once(struct reader *r, uint32_t i, uint16_t port, const char *option)
{
	const struct params *p = r->params;
	cfg_t *s = r->dispatcher_section[i];
	const char *name = p->ports[port].name;

	for (uint32_t j = 0; j < i; j++)
		if (has_port(&p->dispatchers[j], port))
			reader_error(r, reader_name_pos(r, s, option, name), s, option,
				     "\"%s\" belongs to dispatcher \"%s\" in line %u; each "
				     "dispatcher has ports of its own",
				     name, p->dispatchers[j].name,
				     line_of(r, r->dispatcher_section[j]));
}

static void check_dispatcher_ports(struct reader *r, uint32_t i)
{
	const struct dispatcher_params *d = &r->params->dispatchers[i];
	cfg_t *s = r->dispatcher_section[i];

	if (d->firewall_port != PARAMS_NO_PORT)
		check_port_once(r, i, d->firewall_port, "firewall-port");
	for (uint32_t x = 0; x < d->n_ports; x++) {
		const char *name = r->params->ports[d->ports[x]].name;

		check_port_once(r, i, d->ports[x], "ports");
		if (d->ports[x] == d->firewall_port)
			reader_error(r, reader_name_pos(r, s, "ports", name), s, "ports",
				     "\"%s\" is the firewall-port; allowed are the others", name);
	}
}

/* The firewall role never sees a frame from a dispatcher's port. */
static void check_rules(struct reader *r)
{
	const struct params *p = r->params;
	cfg_t *firewall = reader_section(r->root, "firewall");

	for (uint32_t i = 0; i < p->firewall.n_rules; i++) {
		cfg_t *s = cfg_getnsec(firewall, "rule", i);
		uint16_t in = p->firewall.rules[i].in_port;

		for (uint32_t j = 0; in != PARAMS_NO_PORT && j < p->n_dispatchers; j++)
			if (has_port(&p->dispatchers[j], in))
				reader_error(r, reader_option_pos(r, s, "in"), s, "in",
					     "can never match: port \"%s\" belongs to dispatcher "
					     "\"%s\"; rules apply to the other ports",
					     p->ports[in].name, p->dispatchers[j].name);
	}
}

/* --- role ------------------------------------------------------------------------------------ */

static void only_stage(struct reader *r, cfg_t *s, const char *option)
{
	if (reader_value(s, option, 0))
		reader_error(r, reader_option_pos(r, s, option), s, option,
			     "goes with role = \"stage\" only");
}

static void check_from(struct reader *r, uint32_t i)
{
	const struct params *p = r->params;
	const struct dispatcher_params *d = &p->dispatchers[i];
	cfg_t *s = r->dispatcher_section[i];

	for (uint32_t x = 0; x < d->n_from; x++) {
		const char *name = p->members[d->from[x]].name;

		if (strcmp(name, p->node) == 0)
			reader_error(r, reader_name_pos(r, s, "from", name), s, "from",
				     "\"%s\" is this node; allowed are the members that hand flows "
				     "to it",
				     name);
	}
}

bool reader_has_role(const struct reader *r, uint32_t dispatcher)
{
	const struct kept_value *v = reader_value(r->dispatcher_section[dispatcher], "role", 0);

	/* "outer" is also what stands there for a bad word */
	return v && (r->params->dispatchers[dispatcher].role != DISPATCH_OUTER ||
		     strcmp(v->text, "outer") == 0);
}

static void check_role(struct reader *r, uint32_t i)
{
	const struct dispatcher_params *d = &r->params->dispatchers[i];
	cfg_t *s = r->dispatcher_section[i];

	if (!reader_has_role(r, i))
		return;
	if (d->role == DISPATCH_STAGE) {
		check_from(r, i);
		if (d->firewall_port != PARAMS_NO_PORT && cfg_size(s, "from") == 0)
			reader_error(r, reader_section_pos(r, s), s, NULL,
				     "option \"from\" is missing; a stage with a \"firewall-port\" "
				     "learns from those members what firewall a flow runs through");
		if (d->firewall_port == PARAMS_NO_PORT && reader_value(s, "bypass", 0) && d->bypass)
			reader_error(
				r, reader_option_pos(r, s, "bypass"), s, "bypass",
				"needs \"firewall-port\", by which answers get to the firewalls");
		return;
	}
	only_stage(r, s, "from");
	only_stage(r, s, "bypass");
	only_stage(r, s, "path-wait");
}

/* Services and targets are those of one dispatcher. */
static void check_one_serves(struct reader *r)
{
	const struct params *p = r->params;
	cfg_t *first = NULL;

	for (uint32_t i = 0; i < p->n_dispatchers; i++) {
		cfg_t *s = r->dispatcher_section[i];

		if (p->dispatchers[i].role == DISPATCH_OUTER)
			continue;
		if (first)
			reader_error(r, reader_option_pos(r, s, "role"), s, "role",
				     "dispatcher \"%s\" in line %u is an inner or a stage "
				     "already; one of them is allowed per node, beside outer ones",
				     cfg_title(first), line_of(r, first));
		else
			first = s;
	}
}

/* --- choice and probes ----------------------------------------------------------------------- */

static void check_learn(struct reader *r, uint32_t i)
{
	const struct dispatcher_params *d = &r->params->dispatchers[i];
	cfg_t *s = r->dispatcher_section[i];

	if (!d->learn && d->algorithm != CHOICE_STATIC)
		reader_error(r, reader_option_pos(r, s, "learn"), s, "learn",
			     "false needs algorithm = \"static\": only that gives the same answer "
			     "for every packet of a flow");
}

static const struct path_params *path_with(const struct params *p, const struct ipaddr *a)
{
	for (uint32_t i = 0; i < p->n_paths; i++)
		for (uint32_t j = 0; j < p->paths[i].n_addresses; j++)
			if (ipaddr_eq(&p->paths[i].addresses[j], a))
				return &p->paths[i];
	return NULL;
}

/* The source of a probe is an address of the port, so the answer finds back. */
static bool can_probe_from(const struct port_params *port, bool v4)
{
	for (uint32_t i = 0; i < port->n_addresses; i++)
		if (ipaddr_is_v4(&port->addresses[i].addr) == v4)
			return true;
	return false;
}

static void check_probe_to(struct reader *r, uint32_t i)
{
	const struct params *p = r->params;
	const struct dispatcher_params *d = &p->dispatchers[i];
	cfg_t *s = r->dispatcher_section[i];
	struct report_pos at = reader_option_pos(r, s, "probe");
	const struct port_params *own = reader_own_address(p, &d->probe.to);
	const struct path_params *path = path_with(p, &d->probe.to);
	bool v4 = ipaddr_is_v4(&d->probe.to);

	if (ipaddr_is_multicast(&d->probe.to) || ipaddr_is_loopback(&d->probe.to) ||
	    ipaddr_is_broadcast(&d->probe.to))
		reader_error(r, at, s, "probe",
			     "no address of a host; allowed is a unicast address");
	else if (own && has_port(d, (uint16_t)(own - p->ports)))
		reader_error(r, at, s, "probe",
			     "an address of this dispatcher itself; allowed is one of the other "
			     "dispatcher, behind the firewalls");
	else if (path)
		reader_error(r, at, s, "probe",
			     "an address of path \"%s\", a firewall; allowed is one of the other "
			     "dispatcher, behind the firewalls",
			     path->name);
	else if (d->firewall_port != PARAMS_NO_PORT &&
		 !can_probe_from(&p->ports[d->firewall_port], v4))
		reader_error(r, at, s, "probe",
			     "an %s address, but port \"%s\" has none in \"addresses\" that the "
			     "probe could come from; give it one",
			     v4 ? "IPv4" : "IPv6", p->ports[d->firewall_port].name);
}

static void check_probe(struct reader *r, uint32_t i)
{
	const struct dispatcher_params *d = &r->params->dispatchers[i];
	cfg_t *s = r->dispatcher_section[i];

	if (!d->probe.enabled)
		return;
	if (d->role == DISPATCH_STAGE && d->firewall_port == PARAMS_NO_PORT)
		reader_error(r, reader_option_pos(r, s, "probe"), s, "probe",
			     "needs \"firewall-port\"; without it there is no firewall to probe");
	check_probe_to(r, i);
}

/* --- who may play it ------------------------------------------------------------------------- */

static bool is_node(const struct params *p, const struct dispatcher_params *d)
{
	for (uint32_t i = 0; i < d->n_nodes; i++)
		if (strcmp(p->members[d->nodes[i]].name, p->node) == 0)
			return true;
	return false;
}

static void need_nodes(struct reader *r, cfg_t *s, const char *option)
{
	if (reader_value(s, option, 0))
		reader_error(r, reader_option_pos(r, s, option), s, option,
			     "needs \"nodes\"; without it this node alone plays the dispatcher");
}

/* HD-19 */
static void check_nodes(struct reader *r, uint32_t i)
{
	const struct params *p = r->params;
	const struct dispatcher_params *d = &p->dispatchers[i];
	cfg_t *s = r->dispatcher_section[i];
	struct report_pos at = reader_option_pos(r, s, "nodes");

	if (cfg_size(s, "nodes") == 0) {
		need_nodes(r, s, "take-back");
		need_nodes(r, s, "take-back-delay");
		return;
	}
	if (d->role == DISPATCH_STAGE)
		reader_error(r, at, s, "nodes",
			     "goes with role = \"outer\" or \"inner\"; later stages stand in for "
			     "each other as targets");
	else if (d->n_nodes == cfg_size(s, "nodes") && !is_node(p, d))
		reader_error(r, at, s, "nodes",
			     "this node, \"%s\", is not among them; add it, or leave the "
			     "dispatcher out",
			     p->node);
	else if (cfg_size(s, "nodes") < 2)
		reader_error(r, at, s, "nodes",
			     "one alone has nobody to take over from; give at least two, or leave "
			     "the option out");
}

/* Weights that differ, but that nothing goes by. */
static void check_weights(struct reader *r)
{
	const struct params *p = r->params;
	uint32_t weight = 0;
	bool differ = false;

	for (uint32_t i = 0; i < p->n_paths; i++) {
		differ |= weight != 0 && p->paths[i].weight != 0 && p->paths[i].weight != weight;
		weight = p->paths[i].weight ? p->paths[i].weight : weight;
	}
	for (uint32_t i = 0; differ && i < p->n_dispatchers; i++) {
		cfg_t *s = r->dispatcher_section[i];

		if (p->dispatchers[i].algorithm == CHOICE_ROUND_ROBIN &&
		    p->dispatchers[i].firewall_port != PARAMS_NO_PORT)
			reader_warning(r, reader_option_pos(r, s, "algorithm"), s, "algorithm",
				       "\"round-robin\" ignores the weights of the paths; "
				       "\"weighted-round-robin\" goes by them");
	}
}

void reader_check_dispatchers(struct reader *r)
{
	check_paths(r);
	for (uint32_t i = 0; i < r->params->n_dispatchers; i++) {
		check_role(r, i);
		check_firewall_port(r, i);
		check_dispatcher_ports(r, i);
		check_learn(r, i);
		check_probe(r, i);
		check_nodes(r, i);
	}
	check_one_serves(r);
	check_weights(r);
	check_rules(r);
}
