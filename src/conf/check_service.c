/*
 * What has to fit together around services and their targets.
 */
#include <ctype.h>
#include <string.h>

#include "conf/reader.h"

/* --- targets --------------------------------------------------------------------------------- */

static bool is_given(cfg_t *s, const char *option)
{
	return reader_value(s, option, 0) != NULL;
}

static void refuse(struct reader *r, cfg_t *s, const char *option, const char *goes_with)
{
	if (is_given(s, option))
		reader_error(r, reader_option_pos(r, s, option), s, option, "goes with %s only",
			     goes_with);
}

/* A dispatcher of the next stage is known, found and watched as a member. */
static void check_member_target(struct reader *r, cfg_t *s)
{
	static const char *const of_servers[] = {"addresses",  "port",	     "check",
						 "check-port", "check-path", "check-host",
						 "agent-port", "via",	     NULL};

	for (unsigned i = 0; of_servers[i]; i++)
		refuse(r, s, of_servers[i], "a server, not with \"member\",");
}

static void check_options(struct reader *r, const struct target_params *t, cfg_t *s)
{
	const struct check_params *c = &t->check;

	if (c->kind == CHECK_NONE) {
		refuse(r, s, "check-port", "check = \"tcp\" or \"http\"");
		refuse(r, s, "check-rise", "check = \"tcp\" or \"http\"");
		refuse(r, s, "check-fall", "check = \"tcp\" or \"http\"");
		if (c->agent_port == 0) {
			refuse(r, s, "check-interval", "\"check\" or \"agent-port\"");
			refuse(r, s, "check-timeout", "\"check\" or \"agent-port\"");
		}
	}
	if (c->kind != CHECK_HTTP) {
		refuse(r, s, "check-path", "check = \"http\"");
		refuse(r, s, "check-host", "check = \"http\"");
	}
}

/* Both become part of the request as they are. */
static void check_request(struct reader *r, cfg_t *s, const char *option, const char *text)
{
	for (; *text; text++)
		if (!isgraph((unsigned char)*text)) {
			reader_error(r, reader_option_pos(r, s, option), s, option,
				     "white space or another byte that HTTP does not allow there; "
				     "allowed are printable ASCII characters");
			return;
		}
}

static void check_server_address(struct reader *r, cfg_t *s, const struct ipaddr *a)
{
	const struct port_params *own = reader_own_address(r->params, a);

	if (own)
		reader_error(r, reader_host_pos(r, s, "addresses", a), s, "addresses",
			     "an address of this node's port \"%s\"; allowed are addresses of "
			     "the server",
			     own->name);
}

static void check_target(struct reader *r, uint32_t i)
{
	const struct target_params *t = &r->params->targets[i];
	cfg_t *s = r->target_section[i];

	if (is_given(s, "member")) {
		check_member_target(r, s);
		return;
	}
	if (cfg_size(s, "addresses") == 0 && t->n_via == 0)
		reader_error(r, reader_section_pos(r, s), s, NULL,
			     "neither \"addresses\" of a server nor \"member\"; give one of them");
	/* of a remote one it is another network's */
	if (t->has_v4 && t->n_via == 0)
		check_server_address(r, s, &t->v4);
	if (t->has_v6 && t->n_via == 0)
		check_server_address(r, s, &t->v6);
	check_options(r, t, s);
	check_request(r, s, "check-path", t->check.path);
	check_request(r, s, "check-host", t->check.host);
}

/* --- a service and one of its targets -------------------------------------------------------- */

struct use {
	uint32_t index;
	const struct service_params *service; /* of a route that whose it is, which has addresses */
	cfg_t *section;
	const char *option; /* "targets" or "sorry" */
	const struct target_params *target;
};

/* Looked for only when there is something to say: lists may be long. */
static struct report_pos use_pos(const struct reader *r, const struct use *u)
{
	return reader_name_pos(r, u->section, u->option, u->target->name);
}

static void check_use_family(struct reader *r, const struct use *u)
{
	const struct service_params *s = u->service;

	for (uint32_t i = 0; i < s->n_addresses; i++) {
		bool v4 = ipaddr_is_v4(&s->addresses[i]);

		if (v4 ? u->target->has_v4 : u->target->has_v6)
			continue;
		reader_error(
			r, use_pos(r, u), u->section, u->option,
			"target \"%s\" has no %s address, but the service has; both must be of "
			"the same families",
			u->target->name, v4 ? "IPv4" : "IPv6");
		return;
	}
}

/* Towards a next stage that is this node, or one before it, flows would go in a circle. */
static void check_use_member(struct reader *r, const struct use *u)
{
	const struct params *p = r->params;
	const char *name = p->members[u->target->member].name;

	if (strcmp(name, p->node) == 0)
		reader_error(r, use_pos(r, u), u->section, u->option,
			     "target \"%s\" is this node itself; allowed are servers and other "
			     "members",
			     u->target->name);
	for (uint32_t i = 0; i < p->n_dispatchers; i++)
		for (uint32_t j = 0; j < p->dispatchers[i].n_from; j++)
			if (p->dispatchers[i].from[j] == u->target->member)
				reader_error(r, use_pos(r, u), u->section, u->option,
					     "target \"%s\" is in \"from\" of dispatcher \"%s\", "
					     "so flows would go in a circle; allowed are servers "
					     "and later stages",
					     u->target->name, p->dispatchers[i].name);
}

/* Whether a server with that address can be on a segment of a dispatcher: on the network of one of
 * their ports, on one that only the host knows, or on one that a route says is on the link. */
static bool may_be_near(const struct params *p, const struct ipaddr *a)
{
	for (uint32_t i = 0; i < p->n_dispatchers; i++) {
		const struct dispatcher_params *d = &p->dispatchers[i];

		if (d->firewall_port != PARAMS_NO_PORT &&
		    reader_may_be_on(&p->ports[d->firewall_port], a))
			return true;
		for (uint32_t j = 0; j < d->n_ports; j++)
			if (reader_may_be_on(&p->ports[d->ports[j]], a))
				return true;
	}
	for (uint32_t i = 0; i < p->n_routes; i++)
		if (ipaddr_is_unspecified(&p->routes[i].via) &&
		    prefix_contains(&p->routes[i].dst, a))
			return true;
	return p->n_dispatchers == 0;
}

static bool has_family(const struct ipaddr *a, uint32_t n, bool v4);

static const char *word(const struct use *u)
{
	return technology_is_l7(u->service->technology) ? reader_l7_word(u->service) : "l4/2";
}

/* l4/2, l7/2: frames go to the server's MAC address. */
static void check_use_near(struct reader *r, const struct use *u)
{
	const struct service_params *s = u->service;
	char text[ADDR_TEXT];

	for (unsigned v4 = 0; v4 < 2; v4++) {
		const struct ipaddr *a = v4 ? &u->target->v4 : &u->target->v6;

		if (!(v4 ? u->target->has_v4 : u->target->has_v6) ||
		    !has_family(s->addresses, s->n_addresses, v4) || may_be_near(r->params, a))
			continue;
		reader_error(r, use_pos(r, u), u->section, u->option,
			     "target \"%s\": %s is on the network of no port of a dispatcher; "
			     "allowed with technology \"%s\" are servers on a segment of one",
			     u->target->name, ipaddr_text(text, a), word(u));
	}
}

static bool has_address(const struct service_params *s, const struct ipaddr *a);

/* Its packets would come back to where they are sent from. */
static void check_use_own(struct reader *r, const struct use *u)
{
	const struct target_params *t = u->target;
	bool v4 = t->has_v4 && has_address(u->service, &t->v4);
	char text[ADDR_TEXT];

	if (v4 || (t->has_v6 && has_address(u->service, &t->v6)))
		reader_error(r, use_pos(r, u), u->section, u->option,
			     "target \"%s\" has an address of the service itself, %s; allowed are "
			     "addresses of servers",
			     t->name, ipaddr_text(text, v4 ? &t->v4 : &t->v6));
}

/* "l4/2" said so: it is also what stands there for a bad word. */
static bool is_by_mac(const struct use *u)
{
	const struct kept_value *v;

	if (u->service->technology != TECHNOLOGY_L4_2)
		return u->service->technology == TECHNOLOGY_L7_2;
	v = reader_value(u->section, "technology", 0);
	return v && strcmp(v->text, "l4/2") == 0;
}

static void check_use(struct reader *r, const struct use *u)
{
	const struct target_params *t = u->target;
	bool l7 = technology_is_l7(u->service->technology);

	if (t->member != PARAMS_NONE && l7)
		reader_error(r, use_pos(r, u), u->section, u->option,
			     "target \"%s\" is a member; allowed with technology \"%s\" are "
			     "servers, with \"addresses\"",
			     t->name, word(u));
	else if (t->member != PARAMS_NONE)
		check_use_member(r, u);
	else if (t->n_via > 0)
		reader_check_remote(r, u->index, u->option, t);
	if (t->member != PARAMS_NONE || t->n_via > 0)
		return;
	if ((t->has_v4 || t->has_v6) && u->service->technology != TECHNOLOGY_L7_3)
		check_use_family(r, u);
	if (is_by_mac(u))
		check_use_near(r, u);
	else
		check_use_own(r, u);
	if (t->port != 0 && is_by_mac(u))
		reader_error(r, use_pos(r, u), u->section, u->option,
			     "target \"%s\" has a \"port\" of its own; allowed with technology "
			     "\"l4/3\" or \"l7/3\" only, %s leaves the port as it is",
			     t->name, word(u));
}

static void check_targets_of(struct reader *r, uint32_t service, cfg_t *section)
{
	const struct params *p = r->params;
	const struct service_params *s = &p->services[service];
	struct use u = {.index = service, .service = s, .section = section, .option = "targets"};

	if (s->route_of != PARAMS_NONE)
		u.service = &p->services[s->route_of];
	for (uint32_t i = 0; i < s->targets.n; i++) {
		uint16_t index = p->target_lists[s->targets.first + i];

		u.target = &p->targets[index];
		check_use(r, &u);
		if (index == s->sorry)
			reader_error(r, reader_option_pos(r, section, "sorry"), section, "sorry",
				     "\"%s\" is in \"targets\", too; allowed is one that steps in "
				     "when none of them is up",
				     u.target->name);
	}
	if (s->sorry == PARAMS_NONE)
		return;
	u.option = "sorry";
	u.target = &p->targets[s->sorry];
	check_use(r, &u);
}

/* Each target that is checked has a port to be checked by: one of its own, or one of a service, or
 * HTTP's. */
static void check_ports_known(struct reader *r)
{
	const struct params *p = r->params;
	bool used[PARAMS_TARGETS] = {false}, known[PARAMS_TARGETS] = {false};

	for (uint32_t i = 0; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];

		for (uint32_t j = 0; j <= s->targets.n; j++) {
			uint16_t t =
				j < s->targets.n ? p->target_lists[s->targets.first + j] : s->sorry;
			if (t == PARAMS_NONE)
				continue;
			used[t] = true;
			known[t] |= s->n_ports > 0;
		}
	}
	for (uint32_t i = 0; i < p->n_targets; i++) {
		const struct target_params *t = &p->targets[i];
		cfg_t *s = r->target_section[i];

		if (t->check.kind == CHECK_TCP && used[i] && !known[i] && t->check.port == 0 &&
		    t->port == 0 && !is_given(s, "member"))
			reader_error(r, reader_option_pos(r, s, "check"), s, "check",
				     "by which port? none of its services lists any; give "
				     "\"check-port\"");
	}
}

/* --- a service ------------------------------------------------------------------------------- */

static bool has_family(const struct ipaddr *a, uint32_t n, bool v4)
{
	for (uint32_t i = 0; i < n; i++)
		if (ipaddr_is_v4(&a[i]) == v4)
			return true;
	return false;
}

static bool is_answered(const struct params *p, const struct ipaddr *a)
{
	for (uint32_t i = 0; i < p->n_ports; i++)
		for (uint32_t j = 0; j < p->ports[i].n_answers; j++)
			if (ipaddr_eq(&p->ports[i].answers[j], a))
				return true;
	return reader_own_address(p, a) != NULL;
}

static bool is_on_link(const struct params *p, const struct ipaddr *a)
{
	for (uint32_t i = 0; i < p->n_ports; i++)
		for (uint32_t j = 0; j < p->ports[i].n_addresses; j++) {
			struct prefix net = p->ports[i].addresses[j];

			net.addr = ipaddr_mask(net.addr, net.len);
			if (prefix_contains(&net, a))
				return true;
		}
	return false;
}

/* Servers ask for an address on their network by ARP; another may be routed to this node. */
static void check_sources_answered(struct reader *r, const struct service_params *s, cfg_t *section)
{
	for (uint32_t i = 0; i < s->n_sources; i++) {
		const struct ipaddr *a = &s->sources[i];
		struct report_pos at = reader_host_pos(r, section, "sources", a);
		char text[ADDR_TEXT];

		ipaddr_text(text, a);
		if (is_answered(r->params, a))
			continue;
		if (is_on_link(r->params, a))
			reader_error(r, at, section, "sources",
				     "no port answers for %s, so servers would not find it; put it "
				     "into \"answer-for\" of their port",
				     text);
		else
			reader_warning(r, at, section, "sources",
				       "no port answers for %s; servers need a route to it by this "
				       "node, or \"answer-for\" of their port",
				       text);
	}
}

static void check_sources(struct reader *r, const struct service_params *s, cfg_t *section)
{
	struct report_pos at = reader_option_pos(r, section, "sources");

	if (s->n_sources == 0)
		return;
	if (s->technology != TECHNOLOGY_L4_3)
		reader_error(r, at, section, "sources", "goes with technology = \"l4/3\" only; %s",
			     s->technology == TECHNOLOGY_L4_2 ? "l4/2 rewrites no address"
			     : s->technology == TECHNOLOGY_L7_2
				     ? "with l7/2 servers see the client's"
				     : "with l7/3 servers see the node's own address");
	else
		check_sources_answered(r, s, section);
	for (unsigned v4 = 0; s->n_addresses > 0 && v4 < 2; v4++) {
		const char *family = v4 ? "IPv4" : "IPv6";
		bool asked = has_family(s->addresses, s->n_addresses, v4);
		bool source = has_family(s->sources, s->n_sources, v4);

		if (asked && !source)
			reader_error(
				r, at, section, "sources",
				"no %s address, but the service has one; give a source of each "
				"family",
				family);
		if (source && !asked)
			reader_error(r, at, section, "sources",
				     "an %s address, but the service has none; allowed are sources "
				     "of its families",
				     family);
	}
}

static bool has_address(const struct service_params *s, const struct ipaddr *a)
{
	for (uint32_t i = 0; i < s->n_addresses; i++)
		if (ipaddr_eq(&s->addresses[i], a))
			return true;
	return false;
}

/* The last port from `from` on that the service takes without a gap; from - 1 when it does not take
 * that one. */
static uint32_t taken_to(const struct service_params *s, uint32_t from)
{
	if (s->n_ports == 0)
		return UINT16_MAX;
	for (uint32_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].lo <= from && from <= s->ports[i].hi)
			return s->ports[i].hi;
	return from - 1;
}

bool reader_is_judged(const struct reader *r, uint32_t service)
{
	const struct service_params *s = &r->params->services[service];

	return s->proto != 0 && s->n_ports == cfg_size(r->service_section[service], "ports");
}

/* The earlier service that takes `port` of address `a` first, NULL when none does; *last becomes
 * the last port it takes in a row. */
static const struct service_params *taken_by(const struct reader *r, uint32_t service,
					     const struct ipaddr *a, uint32_t port, uint32_t *last)
{
	const struct params *p = r->params;

	for (uint32_t i = 0; i < service; i++) {
		const struct service_params *s = &p->services[i];

		if (s->proto != p->services[service].proto || !has_address(s, a) ||
		    !reader_is_judged(r, i))
			continue;
		*last = taken_to(s, port);
		if (*last >= port)
			return s;
	}
	return NULL;
}

/* The earlier service that hides a whole range of ports of an address, with others perhaps. */
static const struct service_params *hidden_by(const struct reader *r, uint32_t service,
					      const struct ipaddr *a, struct range range)
{
	const struct service_params *first = NULL;

	for (uint32_t port = range.lo; port <= range.hi;) {
		uint32_t last;
		const struct service_params *s = taken_by(r, service, a, port, &last);

		if (!s)
			return NULL;
		if (!first)
			first = s;
		port = last + 1;
	}
	return first;
}

/* Packets go to the first service in the file that matches. */
static void check_hidden(struct reader *r, uint32_t service)
{
	const struct params *p = r->params;
	const struct service_params *s = &p->services[service], *by = NULL;
	const struct range all = {.lo = 1, .hi = UINT16_MAX};
	cfg_t *section = r->service_section[service];

	for (uint32_t i = 0; i < s->n_addresses; i++)
		for (uint32_t j = 0; j < s->n_ports || j == 0; j++) {
			by = hidden_by(r, service, &s->addresses[i],
				       s->n_ports ? s->ports[j] : all);
			if (!by)
				return;
		}
	if (by)
		reader_error(r, reader_section_pos(r, section), section, NULL,
			     "can never match: earlier services take all its addresses and ports, "
			     "such as service \"%s\" in line %u; the first that matches serves",
			     by->name, by->line);
}

/* Weights that differ, but that nothing goes by. */
static void check_round_robin(struct reader *r, const struct service_params *s, cfg_t *section)
{
	const struct params *p = r->params;
	const struct target_params *one = NULL;

	if (s->algorithm != CHOICE_ROUND_ROBIN)
		return;
	for (uint32_t i = 0; i < s->targets.n; i++) {
		const struct target_params *t = &p->targets[p->target_lists[s->targets.first + i]];

		if (t->weight == 0 || t->n_via > 0)
			continue;
		if (one && one->weight != t->weight) {
			const struct target_params *heavy = t->weight > one->weight ? t : one;

			reader_warning(r, reader_option_pos(r, section, "algorithm"), section,
				       "algorithm",
				       "\"round-robin\"%s ignores the weights of targets, such as "
				       "%u of \"%s\"; \"weighted-round-robin\" goes by them",
				       is_given(section, "algorithm") ? "" : ", the default,",
				       heavy->weight, heavy->name);
			return;
		}
		one = t;
	}
}

static bool is_used(const struct params *p, uint32_t target)
{
	for (uint32_t i = 0; i < p->n_services; i++)
		if (p->services[i].sorry == target)
			return true;
	for (uint32_t i = 0; i < p->n_target_lists; i++)
		if (p->target_lists[i] == target)
			return true;
	return false;
}

/* One line for all: a list of targets may serve many nodes. */
static void check_unused(struct reader *r)
{
	const struct params *p = r->params;
	const struct target_params *first = NULL;
	unsigned n = 0;

	if (p->n_services == 0)
		return;
	for (uint32_t i = 0; i < p->n_targets; i++) {
		if (is_used(p, i))
			continue;
		if (!first)
			first = &p->targets[i];
		n++;
	}
	if (n == 0)
		return;
	cfg_t *s = r->target_section[first - p->targets];
	if (n == 1)
		reader_warning(r, reader_section_pos(r, s), s, NULL,
			       "no service of this node names it; it is not used");
	else
		reader_warning(r, reader_section_pos(r, s), s, NULL,
			       "no service of this node names it, nor others, %u in all; they are "
			       "not used",
			       n);
}

static bool is_served(struct reader *r)
{
	for (uint32_t i = 0; i < r->params->n_dispatchers; i++)
		if (!reader_has_role(r, i) || r->params->dispatchers[i].role != DISPATCH_OUTER)
			return true;
	return false;
}

void reader_check_services(struct reader *r)
{
	const struct params *p = r->params;

	for (uint32_t i = 0; i < p->n_targets; i++)
		check_target(r, i);
	for (uint32_t i = 0; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];
		cfg_t *section = r->service_section[i];

		check_targets_of(r, i, section);
		reader_check_any_near(r, i);
		reader_check_l7(r, i);
		check_round_robin(r, s, section);
		if (s->route_of != PARAMS_NONE)
			continue;
		check_sources(r, s, section);
		if (reader_is_judged(r, i) && !reader_check_shared(r, i))
			check_hidden(r, i);
	}
	check_ports_known(r);
	check_unused(r);
	if (p->n_services > 0 && !is_served(r))
		reader_error(r, reader_section_pos(r, r->service_section[0]), r->service_section[0],
			     NULL,
			     "no dispatcher of this node serves it; give one with role = \"inner\" "
			     "or \"stage\"");
}
