#include <string.h>

#include "conf/conf.h"
#include "conf/schema.h"

struct comparison {
	FILE *out;
	unsigned n;
};

/* Compare the options of a section that only a restart can change. */
static void compare(struct comparison *c, const struct schema_section *s, const char *name,
		    const void *old, const void *new)
{
	for (const struct schema_option *o = s->options; o->name; o++) {
		const char *a = (const char *)old + o->offset, *b = (const char *)new + o->offset;
		bool text = o->kind == SCHEMA_TEXT || o->kind == SCHEMA_NAME ||
			    o->kind == SCHEMA_DEVICE || o->kind == SCHEMA_PATH;
		if (!(o->flags & SCHEMA_RESTART))
			continue;
		if (text ? strcmp(a, b) == 0 : memcmp(a, b, o->size) == 0)
			continue;
		fprintf(c->out, "%s%s%s%s%s: \"%s\" has changed, which needs a restart\n", s->name,
			name ? " \"" : "", name ? name : "", name ? "\"" : "",
			s == &schema_root ? "node" : "", o->name);
		c->n++;
	}
}

/* The private stacks' ports are the last, and not of the file. */
static uint32_t n_stacks(const struct params *p)
{
	if (p->stack_port == PARAMS_NO_PORT)
		return 0;
	return p->legs_port == PARAMS_NO_PORT ? 1 : 2;
}

static void compare_stacks(struct comparison *c, const struct params *old, const struct params *new)
{
	const uint32_t n_old = n_stacks(old), n_new = n_stacks(new);
	const bool all = n_old == 0 || n_new == 0;

	if (n_old == n_new)
		return;
	fprintf(c->out, "the %s service by %s was %s, which needs a restart\n",
		n_new > n_old ? "first" : "last",
		all ? "L7" : "technology \"l7/2\" or with \"relay\"",
		n_new > n_old ? "added" : "removed");
	c->n++;
}

static void compare_ports(struct comparison *c, const struct params *old, const struct params *new)
{
	const uint32_t n_old = old->n_ports - n_stacks(old), n_new = new->n_ports - n_stacks(new);

	for (uint32_t i = 0; i < n_old && i < n_new; i++) {
		const struct port_params *a = &old->ports[i], *b = &new->ports[i];
		if (strcmp(a->name, b->name) != 0) {
			fprintf(c->out,
				"port \"%s\" stands where port \"%s\" stood, which needs a "
				"restart\n",
				b->name, a->name);
			c->n++;
			continue;
		}
		compare(c, &schema_port, a->name, a, b);
	}
	if (n_old != n_new) {
		fprintf(c->out, "the number of ports has changed, which needs a restart\n");
		c->n++;
	}
	compare_stacks(c, old, new);
}

/* Flows belong to a dispatcher by its place in the file. */
static void compare_dispatchers(struct comparison *c, const struct params *old,
				const struct params *new)
{
	for (uint32_t i = 0; i < old->n_dispatchers && i < new->n_dispatchers; i++) {
		const struct dispatcher_params *a = &old->dispatchers[i], *b = &new->dispatchers[i];

		if (strcmp(a->name, b->name) != 0) {
			fprintf(c->out,
				"dispatcher \"%s\" stands where dispatcher \"%s\" stood, which "
				"needs a restart\n",
				b->name, a->name);
			c->n++;
			continue;
		}
		compare(c, &schema_dispatcher, a->name, a, b);
	}
	if (old->n_dispatchers != new->n_dispatchers) {
		fprintf(c->out, "the number of dispatchers has changed, which needs a restart\n");
		c->n++;
	}
}

static void compare_firewall(struct comparison *c, const struct params *old,
			     const struct params *new)
{
	if (old->firewall.enabled != new->firewall.enabled) {
		fprintf(c->out, "section \"firewall\" was %s, which needs a restart\n",
			new->firewall.enabled ? "added" : "removed");
		c->n++;
		return;
	}
	compare(c, &schema_firewall, NULL, &old->firewall, &new->firewall);
}

static const struct member_params *self(const struct params *p)
{
	return &p->members[p->self];
}

static void compare_cluster(struct comparison *c, const struct params *old,
			    const struct params *new)
{
	if (old->cluster.enabled != new->cluster.enabled) {
		fprintf(c->out, "section \"cluster\" was %s, which needs a restart\n",
			new->cluster.enabled ? "added" : "removed");
		c->n++;
		return;
	}
	if (!new->cluster.enabled)
		return;
	compare(c, &schema_cluster, NULL, &old->cluster, &new->cluster);
	if (old->node_id != new->node_id) {
		fprintf(c->out, "the id of this member has changed, which needs a restart\n");
		c->n++;
	}
	/* the cluster socket is bound to them */
	if (self(old)->udp_port != self(new)->udp_port ||
	    !ipaddr_eq(&self(old)->address, &self(new)->address)) {
		fprintf(c->out, "the address of this member has changed, which needs a restart\n");
		c->n++;
	}
}

unsigned conf_restart_only(const struct params *old, const struct params *new, FILE *out)
{
	struct comparison c = {.out = out};

	compare(&c, &schema_root, NULL, old, new);
	compare(&c, &schema_control, NULL, old, new);
	compare(&c, &schema_log, NULL, old, new);
	compare_ports(&c, old, new);
	if (old->stack_port != PARAMS_NO_PORT && new->stack_port != PARAMS_NO_PORT)
		compare(&c, &schema_l7, NULL, old, new);
	compare_cluster(&c, old, new);
	compare_firewall(&c, old, new);
	compare_dispatchers(&c, old, new);
	return c.n;
}
