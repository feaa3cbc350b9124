#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/reader.h"
#include "conf/value.h"

/* Grow an array of params to hold one more; false, with a report, when it may not. */
static bool room(struct reader *r, void **array, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	uint32_t grown_cap = *cap * 2 + 64;
	void *grown = realloc(*array, grown_cap * size);
	if (!grown) {
		report_no_memory(r->report);
		return false;
	}
	*array = grown;
	*cap = grown_cap;
	return true;
}

static bool add_prefix(struct reader *r, struct slice *slice, struct prefix p, struct report_pos at)
{
	struct firewall_params *f = &r->params->firewall;

	if (f->n_prefixes == PARAMS_PREFIXES) {
		report_error(r->report, at, "too many addresses in all rules; allowed are %d",
			     PARAMS_PREFIXES);
		return false;
	}
	if (!room(r, (void **)&f->prefixes, f->n_prefixes, &r->cap_prefixes, sizeof(p)))
		return false;
	if (slice->n == 0)
		slice->first = f->n_prefixes;
	f->prefixes[f->n_prefixes++] = p;
	slice->n++;
	return true;
}

static bool add_range(struct reader *r, struct slice *slice, struct range range,
		      struct report_pos at)
{
	struct firewall_params *f = &r->params->firewall;

	if (f->n_ranges == PARAMS_RANGES) {
		report_error(r->report, at, "too many ports and types in all rules; allowed are %d",
			     PARAMS_RANGES);
		return false;
	}
	if (!room(r, (void **)&f->ranges, f->n_ranges, &r->cap_ranges, sizeof(range)))
		return false;
	if (slice->n == 0)
		slice->first = f->n_ranges;
	f->ranges[f->n_ranges++] = range;
	slice->n++;
	return true;
}

static void bad_address(struct reader *r, cfg_t *section, const char *option,
			const struct kept_value *v)
{
	reader_error(r, reader_pos(r, v), section, option,
		     "\"%.60s\" is no address or network; allowed is such as \"192.0.2.1\", "
		     "\"10.0.0.0/8\", \"2001:db8::/32\"",
		     v->text);
}

/* All addresses of "@name". */
static bool add_set(struct reader *r, struct slice *slice, cfg_t *section, const char *option,
		    const struct kept_value *v)
{
	cfg_t *firewall = reader_section(r->root, "firewall");
	cfg_t *set = cfg_gettsec(firewall, "set", v->text + 1);
	const unsigned n = set ? cfg_size(set, "addresses") : 0;

	if (!set) {
		reader_error(r, reader_pos(r, v), section, option,
			     "no set \"%.40s\"; write set \"%.40s\" { addresses = {...} } in the "
			     "firewall section",
			     v->text + 1, v->text + 1);
		return false;
	}
	for (unsigned i = 0; i < n; i++) {
		struct prefix p;
		/* a bad address is reported where the set is */
		if (prefix_parse(&p, reader_value(set, "addresses", i)->text) == 0 &&
		    !add_prefix(r, slice, p, reader_pos(r, v)))
			return false;
	}
	return true;
}

/* False when the list holds an error, so that what is left of it proves nothing. */
static bool read_prefixes(struct reader *r, cfg_t *section, const char *option, struct slice *slice)
{
	const unsigned n = cfg_size(section, option);
	bool good = true;

	for (unsigned i = 0; i < n; i++) {
		const struct kept_value *v = reader_value(section, option, i);
		struct prefix p;
		if (v->text[0] == '@') {
			good &= add_set(r, slice, section, option, v);
		} else if (prefix_parse(&p, v->text) != 0) {
			bad_address(r, section, option, v);
			good = false;
		} else {
			good &= add_prefix(r, slice, p, reader_pos(r, v));
		}
	}
	return good;
}

static void read_protocols(struct reader *r, cfg_t *section, struct slice *slice)
{
	const unsigned n = cfg_size(section, "protocol");

	for (unsigned i = 0; i < n; i++) {
		const struct kept_value *v = reader_value(section, "protocol", i);
		uint32_t number;
		if (value_protocol(&number, v->text) != 0) {
			reader_error(
				r, reader_pos(r, v), section, "protocol",
				"\"%.60s\" is not valid; allowed is tcp, udp, icmp, icmp6, any, "
				"or a number 0..255",
				v->text);
		} else if (number == VALUE_ANY_PROTOCOL && n > 1) {
			reader_error(r, reader_pos(r, v), section, "protocol",
				     "\"any\" stands with others; allowed is \"any\" alone");
		} else if (number != VALUE_ANY_PROTOCOL) {
			uint16_t p = (uint16_t)number;
			add_range(r, slice, (struct range){.lo = p, .hi = p}, reader_pos(r, v));
		}
	}
}

static void read_ports(struct reader *r, cfg_t *section, const char *option, struct slice *slice)
{
	const unsigned n = cfg_size(section, option);

	for (unsigned i = 0; i < n; i++) {
		const struct kept_value *v = reader_value(section, option, i);
		struct range range;
		int rc = value_ports(&range, v->text);
		if (rc == 0)
			add_range(r, slice, range, reader_pos(r, v));
		else
			reader_error(r, reader_pos(r, v), section, option,
				     "\"%.60s\" is %s; allowed are ports 0..65535 and ranges from "
				     "low to high such as \"8000-8100\"",
				     v->text, rc == -ERANGE ? "out of range" : "not valid");
	}
}

static bool names_protocol(const struct firewall_params *f, const struct rule_params *rule,
			   uint16_t number)
{
	for (uint32_t i = 0; i < rule->protocols.n; i++)
		if (f->ranges[rule->protocols.first + i].lo == number)
			return true;
	return false;
}

/* Only protocols out of `a` and `b`, and at least one. */
static bool only_protocols(const struct firewall_params *f, const struct rule_params *rule,
			   uint16_t a, uint16_t b)
{
	for (uint32_t i = 0; i < rule->protocols.n; i++) {
		uint16_t p = f->ranges[rule->protocols.first + i].lo;
		if (p != a && p != b)
			return false;
	}
	return rule->protocols.n > 0;
}

static void read_icmp_type(struct reader *r, cfg_t *section, struct rule_params *rule,
			   const struct kept_value *v)
{
	const struct firewall_params *f = &r->params->firewall;
	struct range range;
	bool added = false;

	if (names_protocol(f, rule, 1) && value_icmp_type(&range, v->text, false) == 0)
		added |= add_range(r, &rule->icmp_types, range, reader_pos(r, v));
	if (names_protocol(f, rule, 58) && value_icmp_type(&range, v->text, true) == 0) {
		range.lo = (uint16_t)(range.lo + PARAMS_ICMP6);
		added |= add_range(r, &rule->icmp_types, range, reader_pos(r, v));
	}
	if (!added)
		reader_error(
			r, reader_pos(r, v), section, "icmp-types",
			"\"%.60s\" is no type of the rule's protocol; allowed is a name such as "
			"\"echo-request\", a type 0..255, or \"type/code\"",
			v->text);
}

static void read_icmp_types(struct reader *r, cfg_t *section, struct rule_params *rule)
{
	const unsigned n = cfg_size(section, "icmp-types");

	if (n == 0)
		return;
	if (!only_protocols(&r->params->firewall, rule, 1, 58)) {
		reader_error(r, reader_option_pos(r, section, "icmp-types"), section, "icmp-types",
			     "needs an ICMP protocol; write protocol = {\"icmp\"}, {\"icmp6\"} or "
			     "both, and no other");
		return;
	}
	for (unsigned i = 0; i < n; i++)
		read_icmp_type(r, section, rule, reader_value(section, "icmp-types", i));
}

static void check_rule_ports(struct reader *r, cfg_t *section, const struct rule_params *rule,
			     const char *option)
{
	if (cfg_size(section, option) > 0 && !only_protocols(&r->params->firewall, rule, 6, 17))
		reader_error(
			r, reader_option_pos(r, section, option), section, option,
			"needs a protocol with ports; write protocol = {\"tcp\"}, {\"udp\"} or "
			"both, and no other");
}

#define FAMILY_4 1u
#define FAMILY_6 2u

static unsigned families(const struct firewall_params *f, const struct slice *s)
{
	unsigned out = s->n == 0 ? FAMILY_4 | FAMILY_6 : 0;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct prefix *p = &f->prefixes[s->first + i];
		out |= p->len >= 96 && ipaddr_is_v4(&p->addr) ? FAMILY_4 : FAMILY_6;
	}
	return out;
}

static void check_families(struct reader *r, cfg_t *section, const struct rule_params *rule)
{
	const struct firewall_params *f = &r->params->firewall;
	unsigned both = families(f, &rule->from) & families(f, &rule->to);

	if (both == 0) {
		reader_error(
			r, reader_option_pos(r, section, "to"), section, NULL,
			"can never match: \"from\" and \"to\" have no address family in common; "
			"IPv4 goes to IPv4 and IPv6 to IPv6");
	} else if (rule->protocols.n == 1 &&
		   ((names_protocol(f, rule, 1) && !(both & FAMILY_4)) ||
		    (names_protocol(f, rule, 58) && !(both & FAMILY_6)))) {
		reader_error(r, reader_option_pos(r, section, "protocol"), section, "protocol",
			     "can never match: icmp goes with IPv4 addresses, icmp6 with IPv6");
	}
}

/* A list that is given but empty would silently mean "any". */
static void check_empty(struct reader *r, cfg_t *section, const char *option,
			const struct slice *slice)
{
	cfg_opt_t *opt = cfg_getopt(section, option);

	if (slice->n == 0 && opt && (opt->flags & CFGF_MODIFIED))
		reader_error(r, reader_section_pos(r, section), section, option,
			     "the list is empty; leave the option out to match everything");
}

static void read_rule(struct reader *r, cfg_t *section, struct rule_params *rule)
{
	reader_title(r, section, rule->name);
	if (strcmp(rule->name, "default") == 0)
		reader_error(r, reader_section_pos(r, section), section, NULL,
			     "the name means what no rule matches; choose another");
	rule->line = reader_section_pos(r, section).line;
	reader_options(r, section, &schema_rule, rule);
	bool from = read_prefixes(r, section, "from", &rule->from);
	bool to = read_prefixes(r, section, "to", &rule->to);
	unsigned errors = report_count(r->report);
	read_protocols(r, section, &rule->protocols);
	bool protocols = report_count(r->report) == errors;
	read_ports(r, section, "source-ports", &rule->sports);
	read_ports(r, section, "ports", &rule->dports);
	if (protocols) {
		read_icmp_types(r, section, rule);
		check_rule_ports(r, section, rule, "source-ports");
		check_rule_ports(r, section, rule, "ports");
	}
	if (from && to) {
		check_empty(r, section, "from", &rule->from);
		check_empty(r, section, "to", &rule->to);
		check_families(r, section, rule);
	}
}

static void read_rules(struct reader *r, cfg_t *firewall)
{
	struct firewall_params *f = &r->params->firewall;
	const unsigned n = cfg_size(firewall, "rule");

	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(firewall, "rule", i);
		if (f->n_rules == PARAMS_RULES) {
			reader_error(r, reader_section_pos(r, section), section, NULL,
				     "too many rules; allowed are %d", PARAMS_RULES);
			return;
		}
		if (!room(r, (void **)&f->rules, f->n_rules, &r->cap_rules, sizeof(*f->rules)))
			return;
		struct rule_params *rule = &f->rules[f->n_rules++];
		memset(rule, 0, sizeof(*rule));
		read_rule(r, section, rule);
	}
}

/* Sets are read where rules use them; here each is looked at once. */
static void check_sets(struct reader *r, cfg_t *firewall)
{
	const unsigned n_sets = cfg_size(firewall, "set");

	for (unsigned i = 0; i < n_sets; i++) {
		cfg_t *set = cfg_getnsec(firewall, "set", i);
		const unsigned n = cfg_size(set, "addresses");
		char name[PARAMS_NAME];
		reader_title(r, set, name);
		if (n == 0)
			reader_error(r, reader_section_pos(r, set), set, "addresses",
				     "the set is empty; give at least one address or network");
		for (unsigned j = 0; j < n; j++) {
			const struct kept_value *v = reader_value(set, "addresses", j);
			struct prefix p;
			if (prefix_parse(&p, v->text) != 0)
				bad_address(r, set, "addresses", v);
		}
	}
}

void reader_firewall(struct reader *r)
{
	struct firewall_params *f = &r->params->firewall;
	cfg_t *section = reader_section(r->root, "firewall");
	cfg_t *timeouts = section ? reader_section(section, "timeouts") : NULL;

	f->enabled = section != NULL;
	reader_options(r, section, &schema_firewall, f);
	reader_options(r, timeouts, &schema_timeouts, &f->timeout_ms);
	if (f->max_half_open == 0)
		f->max_half_open = f->max_flows / 2;
	if (!section)
		return;
	check_sets(r, section);
	read_rules(r, section);
}
