#include <stdlib.h>
#include <string.h>

#include "conf/reader.h"
#include "conf/value.h"

/* Whether one more of `n` sections of that kind may be read. */
static bool may_add(struct reader *r, cfg_t *section, uint32_t n, uint32_t max)
{
	if (n < max)
		return true;
	reader_error(r, reader_section_pos(r, section), section, NULL,
		     "too many of these sections; allowed are %u", max);
	return false;
}

void reader_need_list(struct reader *r, cfg_t *section, const char *option, const char *give)
{
	if (cfg_size(section, option) == 0)
		reader_error(r, reader_section_pos(r, section), section, NULL,
			     "option \"%s\" is missing or empty; give at least one %s", option,
			     give);
}

void reader_names(struct reader *r, cfg_t *section, const char *option, enum schema_kind kind,
		  uint16_t *out, uint32_t max, uint32_t *n)
{
	const unsigned size = cfg_size(section, option);
	bool seen[PARAMS_TARGETS] = {false};

	_Static_assert(PARAMS_PORTS <= PARAMS_TARGETS && PARAMS_MEMBERS <= PARAMS_TARGETS, "seen");
	for (unsigned i = 0; i < size; i++) {
		const struct kept_value *v = reader_value(section, option, i);
		int index = reader_find(r->params, kind, v->text);
		if (index < 0) {
			reader_unknown(r, section, option, kind, v);
		} else if (seen[index]) {
			reader_error(r, reader_pos(r, v), section, option,
				     "\"%.40s\" is given twice; once is allowed", v->text);
		} else if (*n == max) {
			reader_error(r, reader_pos(r, v), section, option,
				     "too many names; allowed are %u", max);
			return;
		} else {
			seen[index] = true;
			out[(*n)++] = (uint16_t)index;
		}
	}
}

/* --- firewalls ------------------------------------------------------------------------------- */

void reader_paths(struct reader *r)
{
	struct params *p = r->params;
	const unsigned n = cfg_size(r->root, "path");

	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(r->root, "path", i);
		struct path_params *path = &p->paths[p->n_paths];

		if (!may_add(r, section, p->n_paths, PARAMS_PATHS))
			return;
		r->path_section[p->n_paths++] = section;
		reader_title(r, section, path->name);
		path->line = reader_section_pos(r, section).line;
		reader_options(r, section, &schema_path, path);
		reader_hosts(r, section, "addresses", path->addresses, PARAMS_PATH_ADDRS,
			     &path->n_addresses);
		reader_need_list(r, section, "addresses", "address of the firewall");
	}
}

/* --- targets --------------------------------------------------------------------------------- */

static void read_target_addresses(struct reader *r, cfg_t *section, struct target_params *t)
{
	struct ipaddr addresses[PARAMS_PORT_ANSWERS];
	uint32_t n = 0;

	reader_hosts(r, section, "addresses", addresses, PARAMS_PORT_ANSWERS, &n);
	for (uint32_t i = 0; i < n; i++) {
		bool v4 = ipaddr_is_v4(&addresses[i]);
		bool *has = v4 ? &t->has_v4 : &t->has_v6;

		if (*has)
			reader_error(r, reader_host_pos(r, section, "addresses", &addresses[i]),
				     section, "addresses",
				     "a second %s address; allowed is one of each family",
				     v4 ? "IPv4" : "IPv6");
		else
			*(v4 ? &t->v4 : &t->v6) = addresses[i];
		*has = true;
	}
}

/* A list with this node in it says no more than none: the file may serve many nodes. */
static void read_target_via(struct reader *r, cfg_t *section, struct target_params *t)
{
	const int self = reader_find(r->params, SCHEMA_MEMBER, r->params->node);

	reader_names(r, section, "via", SCHEMA_MEMBER, t->via, PARAMS_VIA, &t->n_via);
	for (uint32_t i = 0; i < t->n_via; i++)
		if (t->via[i] == self)
			t->n_via = 0;
}

void reader_targets(struct reader *r)
{
	struct params *p = r->params;
	const unsigned n = cfg_size(r->root, "target");

	if (n == 0)
		return;
	p->targets = calloc(n, sizeof(*p->targets));
	r->target_section = calloc(n, sizeof(cfg_t *));
	if (!p->targets || !r->target_section) {
		report_no_memory(r->report);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(r->root, "target", i);
		struct target_params *t = &p->targets[p->n_targets];

		if (!may_add(r, section, p->n_targets, PARAMS_TARGETS))
			return;
		r->target_section[p->n_targets++] = section;
		reader_title(r, section, t->name);
		if (strcmp(t->name, "node") == 0)
			reader_error(r, reader_section_pos(r, section), section, NULL,
				     "a target cannot be called \"node\", which stands for the "
				     "node itself in \"fwclusterctl drain node\"");
		t->line = reader_section_pos(r, section).line;
		reader_options(r, section, &schema_target, t);
		read_target_addresses(r, section, t);
		read_target_via(r, section, t);
	}
}

/* --- dispatchers ----------------------------------------------------------------------------- */

void reader_dispatchers(struct reader *r)
{
	struct params *p = r->params;
	const unsigned n = cfg_size(r->root, "dispatcher");

	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(r->root, "dispatcher", i);
		struct dispatcher_params *d = &p->dispatchers[p->n_dispatchers];

		if (!may_add(r, section, p->n_dispatchers, PARAMS_DISPATCHERS))
			return;
		r->dispatcher_section[p->n_dispatchers++] = section;
		reader_title(r, section, d->name);
		d->line = reader_section_pos(r, section).line;
		reader_options(r, section, &schema_dispatcher, d);
		d->probe.enabled = !ipaddr_is_unspecified(&d->probe.to);
		reader_names(r, section, "ports", SCHEMA_PORT, d->ports, PARAMS_PORTS, &d->n_ports);
		reader_need_list(r, section, "ports", "port beside the firewalls'");
		reader_names(r, section, "from", SCHEMA_MEMBER, d->from, PARAMS_MEMBERS,
			     &d->n_from);
		reader_names(r, section, "nodes", SCHEMA_MEMBER, d->nodes, PARAMS_NODES,
			     &d->n_nodes);
	}
}
