/*
 * What has to fit together around services by L7 and their routes.
 */
#include <string.h>

#include "base/name_id.h"
#include "conf/reader.h"
#include "conf/value.h"

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

static void refuse_all(struct reader *r, cfg_t *s, const char *const *options,
		       const char *goes_with)
{
	for (; *options; options++)
		refuse(r, s, *options, goes_with);
}

/* --- what goes without L7, and with it -------------------------------------------------------- */

#define BY_L7 "technology = \"l7/2\" or \"l7/3\""

const char *reader_l7_word(const struct service_params *s)
{
	return s->technology == TECHNOLOGY_L7_2 ? "l7/2" : "l7/3";
}

#define TIMEOUT_KEY(field, key, def) key,
static const char *const l7_only[] = {
	"content",	 "cookie",     "cookie-name",	    "cookie-pattern",
	"cookie-domain", "cookie-age", "cookie-secure",	    "cookie-epoch",
	"cookie-drain",	 "forwarded",  "forwarded-believe", "proxy-protocol",
	"relay",	 "max-idle",   "max-queue",	    L7_TIMEOUT_LIST(TIMEOUT_KEY) NULL};
#undef TIMEOUT_KEY

/* "l4/2" is also what stands there for a bad word. */
static bool is_l4(cfg_t *s, const struct service_params *service)
{
	const struct kept_value *v = reader_value(s, "technology", 0);

	return v && (service->technology == TECHNOLOGY_L4_3 || strcmp(v->text, "l4/2") == 0);
}

static void check_l4(struct reader *r, cfg_t *s)
{
	refuse_all(r, s, l7_only, BY_L7);
	if (cfg_size(s, "route") > 0) {
		cfg_t *route = cfg_getnsec(s, "route", 0);

		reader_error(r, reader_section_pos(r, route), route, NULL,
			     "goes with " BY_L7 " only; l4 reads no requests");
	}
}

/* --- protocol and ports ----------------------------------------------------------------------- */

static void check_listens(struct reader *r, cfg_t *section, const struct service_params *s)
{
	const char *word = reader_l7_word(s);
	uint32_t n = 0;

	if (s->proto != 0 && s->proto != 6)
		reader_error(r, reader_option_pos(r, section, "protocol"), section, "protocol",
			     "technology \"%s\" is for TCP; allowed is tcp", word);
	if (cfg_size(section, "ports") == 0)
		reader_error(r, reader_section_pos(r, section), section, NULL,
			     "option \"ports\" is missing or empty; technology \"%s\" listens on "
			     "each, give at least one port",
			     word);
	for (uint32_t i = 0; i < s->n_ports; i++)
		n += (uint32_t)s->ports[i].hi - s->ports[i].lo + 1;
	if (n > PARAMS_L7_PORTS)
		reader_error(r, reader_option_pos(r, section, "ports"), section, "ports",
			     "%u ports; technology \"%s\" listens on each, allowed are %d", n, word,
			     PARAMS_L7_PORTS);
}

/* A port that both take, or 0. */
static uint32_t common_port(const struct service_params *a, const struct service_params *b)
{
	static const struct range all = {.lo = 1, .hi = UINT16_MAX};

	for (uint32_t i = 0; i < a->n_ports || i == 0; i++)
		for (uint32_t j = 0; j < b->n_ports || j == 0; j++) {
			struct range x = a->n_ports ? a->ports[i] : all;
			struct range y = b->n_ports ? b->ports[j] : all;

			if (x.lo <= y.hi && y.lo <= x.hi)
				return x.lo > y.lo ? x.lo : y.lo;
		}
	return 0;
}

static const struct ipaddr *common_address(const struct service_params *a,
					   const struct service_params *b)
{
	for (uint32_t i = 0; i < a->n_addresses; i++)
		for (uint32_t j = 0; j < b->n_addresses; j++)
			if (ipaddr_eq(&a->addresses[i], &b->addresses[j]))
				return &a->addresses[i];
	return NULL;
}

/* A connection that the private stack has accepted has no other service to go to. */
bool reader_check_shared(struct reader *r, uint32_t service)
{
	const struct params *p = r->params;
	const struct service_params *s = &p->services[service];
	cfg_t *section = r->service_section[service];

	for (uint32_t i = 0; i < service; i++) {
		const struct service_params *other = &p->services[i];
		const struct ipaddr *a = common_address(s, other);
		uint32_t port = common_port(s, other);
		struct endpoint at = {.port = (uint16_t)port};
		char text[ADDR_TEXT];

		if (!a || port == 0 || s->proto != other->proto ||
		    (!technology_is_l7(s->technology) && !technology_is_l7(other->technology)) ||
		    !reader_is_judged(r, i))
			continue;
		at.addr = *a;
		reader_error(
			r, reader_section_pos(r, section), section, NULL,
			"%s is also what service \"%s\" in line %u takes; where one of them is "
			"by L7, an address and port is one service's alone",
			endpoint_text(text, &at), other->name, other->line);
		return true;
	}
	return false;
}

/* --- cookies ---------------------------------------------------------------------------------- */

static bool is_domain(const char *text)
{
	return value_is_host(*text == '.' ? text + 1 : text);
}

/* As l7/cookie.h has it: one '%', one '*' at most, and something between the two. */
static const char *pattern_error(const char *text)
{
	const char *percent = strchr(text, '%'), *star = strchr(text, '*');

	if (!percent)
		return "has no '%', which stands for the server's name";
	if (strchr(percent + 1, '%') || (star && strchr(star + 1, '*')))
		return "has two '%' or two '*'; one is allowed";
	if (star && (star == percent + 1 || percent == star + 1))
		return "has nothing between '%' and '*', so nothing says where the name ends";
	if (strlen(text) > 64)
		return "is too long; allowed are 64 characters";
	return NULL;
}

static void check_cookie_own(struct reader *r, cfg_t *section, const struct l7_params *l7)
{
	const char *wrong = *l7->cookie_pattern ? pattern_error(l7->cookie_pattern) : NULL;

	if (!is_given(section, "cookie-pattern") || !*l7->cookie_pattern)
		reader_error(r, reader_option_pos(r, section, "cookie"), section, NULL,
			     "option \"cookie-pattern\" is missing; cookie = \"own\" needs to know "
			     "where in the cookie the name of the server is, as in \"*.%%\"");
	else if (wrong)
		reader_error(r, reader_option_pos(r, section, "cookie-pattern"), section,
			     "cookie-pattern", "\"%.64s\" %s", l7->cookie_pattern, wrong);
}

static void check_cookie(struct reader *r, cfg_t *section, const struct l7_params *l7)
{
	static const char *const any[] = {"cookie-name", "cookie-drain", NULL};
	static const char *const keyed[] = {"cookie-age", "cookie-epoch", NULL};
	static const char *const inserted[] = {"cookie-domain", "cookie-secure", NULL};
	bool made = l7->cookie == L7_COOKIE_INSERT || l7->cookie == L7_COOKIE_PREFIX;

	if (l7->cookie == L7_COOKIE_NONE)
		refuse_all(r, section, any, "\"cookie\"");
	else if (!is_given(section, "cookie-name"))
		reader_error(r, reader_option_pos(r, section, "cookie"), section, NULL,
			     "option \"cookie-name\" is missing; give the name of the cookie");
	if (!made)
		refuse_all(r, section, keyed, "cookie = \"insert\" or \"prefix\"");
	if (l7->cookie != L7_COOKIE_INSERT)
		refuse_all(r, section, inserted, "cookie = \"insert\"");
	if (l7->cookie == L7_COOKIE_OWN)
		check_cookie_own(r, section, l7);
	else
		refuse(r, section, "cookie-pattern", "cookie = \"own\"");
	if (*l7->cookie_domain && !is_domain(l7->cookie_domain))
		reader_error(r, reader_option_pos(r, section, "cookie-domain"), section,
			     "cookie-domain",
			     "\"%.60s\" is not valid; allowed is the name of a domain, such as "
			     "\"example.org\"",
			     l7->cookie_domain);
	if (made && !r->params->cluster.enabled)
		reader_error(r, reader_option_pos(r, section, "cookie"), section, "cookie",
			     "needs a section cluster { }: the keys of cookies are made of the "
			     "cluster's, so that all dispatchers understand them");
}

/* --- relays ----------------------------------------------------------------------------------- */

static bool is_by_config(const struct l7_params *l7)
{
	return l7->relay == L7_RELAY_CONFIG || l7->relay == L7_RELAY_BOTH;
}

static void check_relay(struct reader *r, cfg_t *section, const struct l7_params *l7)
{
	const struct params *p = r->params;
	struct report_pos at = reader_option_pos(r, section, "relay");

	if (l7->relay != L7_RELAY_ASK && l7->relay != L7_RELAY_BOTH)
		refuse(r, section, "relay-timeout", "relay = \"ask\" or \"both\"");
	if (l7->relay == L7_RELAY_NONE)
		return;
	if (l7->cookie == L7_COOKIE_NONE)
		refuse(r, section, "relay", "\"cookie\"");
	else if (l7->cookie == L7_COOKIE_OWN && !p->cluster.enabled) /* of others said already */
		reader_error(r, at, section, "relay",
			     "needs a section cluster { }: relays go to other members");
	if (p->cluster.enabled && p->n_members == 1)
		reader_warning(r, at, section, "relay",
			       "there is no member but this node, so nobody to relay to");
}

/* A word that is none is reported by itself, and stands for "none". */
static bool is_relay_known(const struct reader *r, uint32_t service)
{
	const struct service_params *s = &r->params->services[service];
	cfg_t *section = r->service_section[s->route_of == PARAMS_NONE ? service : s->route_of];
	const struct kept_value *v = reader_value(section, "relay", 0);

	return (technology_is_l7(s->technology) || is_l4(section, s)) &&
	       (s->l7.relay != L7_RELAY_NONE || !v || strcmp(v->text, "none") == 0);
}

void reader_check_remote(struct reader *r, uint32_t service, const char *option,
			 const struct target_params *t)
{
	const struct service_params *s = &r->params->services[service];
	cfg_t *section = r->service_section[service];
	const char *allowed = NULL;

	if (!is_relay_known(r, service))
		return;
	if (!technology_is_l7(s->technology) || !is_by_config(&s->l7))
		allowed = "allowed with services by L7 that have relay = \"config\" or \"both\"";
	else if (strcmp(option, "sorry") == 0)
		allowed = "allowed is one that is";
	if (allowed)
		reader_error(r, reader_name_pos(r, section, option, t->name), section, option,
			     "target \"%s\" is not connected to this node, but \"via\" others; %s",
			     t->name, allowed);
}

/* New clients would have nobody. */
void reader_check_any_near(struct reader *r, uint32_t service)
{
	const struct params *p = r->params;
	const struct service_params *s = &p->services[service];
	cfg_t *section = r->service_section[service];

	for (uint32_t i = 0; i < s->targets.n; i++)
		if (p->targets[p->target_lists[s->targets.first + i]].n_via == 0)
			return;
	if (s->targets.n > 0 && technology_is_l7(s->technology) && is_by_config(&s->l7))
		reader_error(r, reader_option_pos(r, section, "targets"), section, "targets",
			     "none of them is connected to this node, all are \"via\" others; give "
			     "at least one that is");
}

/* --- a service -------------------------------------------------------------------------------- */

static bool is_used_by(const struct service_params *s, const struct params *p, uint16_t target)
{
	for (uint32_t i = 0; i < s->targets.n; i++)
		if (p->target_lists[s->targets.first + i] == target)
			return true;
	return s->sorry == target;
}

/* Targets of the service or its routes; where the number is that of a cookie, it must name one. */
static bool belongs_to(const struct params *p, uint32_t service, uint16_t target)
{
	for (uint32_t i = service;
	     i < p->n_services && (i == service || p->services[i].route_of == service); i++)
		if (is_used_by(&p->services[i], p, target))
			return true;
	return false;
}

static void check_ids(struct reader *r, uint32_t service)
{
	const struct params *p = r->params;
	cfg_t *section = r->service_section[service];
	uint32_t ids[PARAMS_TARGETS], n = 0;
	uint16_t targets[PARAMS_TARGETS];

	for (uint16_t t = 0; t < p->n_targets; t++) {
		if (!belongs_to(p, service, t))
			continue;
		ids[n] = name_id(p->targets[t].name);
		for (uint32_t i = 0; i < n; i++)
			if (ids[i] == ids[n] && *p->targets[t].name)
				reader_error(r, reader_section_pos(r, r->target_section[t]),
					     section, NULL,
					     "cookies cannot tell the targets \"%s\" and \"%s\" "
					     "apart: their names have the same number; rename one",
					     p->targets[targets[i]].name, p->targets[t].name);
		targets[n++] = t;
	}
}

static void check_tls(struct reader *r, cfg_t *section)
{
	static const char *const of_requests[] = {"cookie",
						  "cookie-name",
						  "cookie-drain",
						  "forwarded",
						  "forwarded-believe",
						  "keep-timeout",
						  "idle-timeout",
						  "max-idle",
						  "relay",
						  "relay-timeout",
						  NULL};

	refuse_all(r, section, of_requests,
		   "content = \"http\"; of TLS nothing but the server's name is read,");
}

static void check_service(struct reader *r, uint32_t i)
{
	const struct service_params *s = &r->params->services[i];
	cfg_t *section = r->service_section[i];

	check_listens(r, section, s);
	if (s->l7.content == L7_CONTENT_TLS) {
		check_tls(r, section);
	} else {
		check_cookie(r, section, &s->l7);
		check_relay(r, section, &s->l7);
	}
	if (s->l7.forwarded == L7_FORWARDED_NONE)
		refuse(r, section, "forwarded-believe", "\"forwarded\"");
	check_ids(r, i);
}

/* --- a route ---------------------------------------------------------------------------------- */

static bool is_route_host(const char *text)
{
	size_t size = strlen(text);

	if (strncmp(text, "*.", 2) == 0)
		text += 2;
	if (*text == '[')
		return size > 2 && text[strlen(text) - 1] == ']';
	return value_is_host(text);
}

/* The bytes that a path has in a request; a '?' would begin what is no part of it. */
static bool is_route_path(const char *text)
{
	if (*text != '/')
		return false;
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || strchr("\"#<>?", *text))
			return false;
	return true;
}

static bool is_field_value(const char *text)
{
	size_t size = strlen(text);

	for (size_t i = 0; i < size; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
			return false;
	return size == 0 || (!strchr(" \t", text[0]) && !strchr(" \t", text[size - 1]));
}

static void bad_condition(struct reader *r, cfg_t *s, const char *option, const char *text,
			  const char *allowed)
{
	reader_error(r, reader_option_pos(r, s, option), s, option,
		     "\"%.60s\" is not valid; allowed is %s", text, allowed);
}

static void check_conditions(struct reader *r, cfg_t *s, const struct l7_route_params *route)
{
	if (*route->host && !is_route_host(route->host))
		bad_condition(r, s, "host", route->host,
			      "a name such as \"www.example.org\" or \"*.example.org\"");
	if (*route->path && !is_route_path(route->path))
		bad_condition(r, s, "path", route->path,
			      "the beginning of a path such as \"/img\", escaped as in a request");
	if (!is_field_value(route->header_value))
		bad_condition(r, s, "header-value", route->header_value,
			      "the value of a field, without white space around it");
	if (*route->header_value && !*route->header && !is_given(s, "header"))
		reader_error(r, reader_option_pos(r, s, "header-value"), s, "header-value",
			     "goes with \"header\", its name, only");
}

static void check_route(struct reader *r, uint32_t i)
{
	static const char *const conditions[] = {"host",   "path",	   "method",
						 "header", "header-value", "cookie"};
	static const char *const of_requests[] = {"path",	  "method", "header",
						  "header-value", "cookie", NULL};
	const struct service_params *s = &r->params->services[i];
	cfg_t *section = r->service_section[i];
	bool any = false;

	for (unsigned c = 0; c < sizeof(conditions) / sizeof(conditions[0]); c++) {
		const struct kept_value *v = reader_value(section, conditions[c], 0);

		any |= v && *v->text;
	}
	if (!any)
		reader_error(r, reader_section_pos(r, section), section, NULL,
			     "no condition; give at least one of host, path, method, header and "
			     "cookie");
	if (s->l7.content == L7_CONTENT_TLS)
		refuse_all(r, section, of_requests,
			   "content = \"http\"; of TLS nothing but the server's name (\"host\") is "
			   "read,");
	check_conditions(r, section, &s->route);
}

void reader_check_l7(struct reader *r, uint32_t service)
{
	const struct service_params *s = &r->params->services[service];
	cfg_t *section = r->service_section[service];

	if (s->route_of != PARAMS_NONE)
		check_route(r, service);
	else if (technology_is_l7(s->technology))
		check_service(r, service);
	else if (is_l4(section, s))
		check_l4(r, section);
}

/* --- the node --------------------------------------------------------------------------------- */

/* Something that nothing goes by. */
static void check_l7_target(struct reader *r, uint16_t target, const char *option)
{
	const struct params *p = r->params;
	cfg_t *s = r->target_section[target];
	bool l4 = false;

	for (uint32_t i = 0; i < p->n_services; i++) {
		if (!is_used_by(&p->services[i], p, target))
			continue;
		if (technology_is_l7(p->services[i].technology))
			return;
		l4 |= is_l4(r->service_section[i], &p->services[i]);
	}
	if (l4)
		refuse(r, s, option, "services of " BY_L7);
}

static bool is_stack_name(const char *name)
{
	return strcmp(name, READER_STACK) == 0 || strcmp(name, READER_STACK_SERVERS) == 0;
}

static void check_stack_ports(struct reader *r, uint32_t n_stacks)
{
	const struct params *p = r->params;
	const uint32_t max = PARAMS_PORTS - n_stacks;

	for (uint32_t i = 0; i < p->n_ports; i++) {
		const struct port_params *port = &p->ports[i];
		const char *name = is_stack_name(port->name) ? port->name : port->segment;

		if (is_stack_name(name))
			reader_error(r, reader_section_pos(r, r->port_section[i]),
				     r->port_section[i], NULL,
				     "the name \"%s\" is taken by the private stack of services by "
				     "L7; allowed is any other",
				     name);
	}
	if (p->n_ports > max)
		reader_error(r, reader_section_pos(r, r->port_section[max]), r->port_section[max],
			     NULL,
			     "a port too many; the private stack%s of services by L7 %s, too, "
			     "allowed are %u beside %s",
			     n_stacks > 1 ? "s" : "", n_stacks > 1 ? "are two" : "is one", max,
			     n_stacks > 1 ? "them" : "it");
}

void reader_check_l7_node(struct reader *r)
{
	const struct params *p = r->params;
	cfg_t *s = reader_section(r->root, "l7");
	const uint32_t n_stacks = reader_n_stacks(p);

	if (n_stacks > 0)
		check_stack_ports(r, n_stacks);
	for (uint16_t i = 0; i < p->n_targets; i++)
		if (p->targets[i].max_connections > 0)
			check_l7_target(r, i, "max-connections");
	/* of a remote one each service has been checked */
	for (uint16_t i = 0; i < p->n_targets; i++)
		if (p->targets[i].n_via == 0)
			check_l7_target(r, i, "via");
	if (s && p->l7.log == L7_LOG_NONE && *p->l7.log_file)
		refuse(r, s, "access-log-file", "access-log = \"combined\" or \"json\"");
}
