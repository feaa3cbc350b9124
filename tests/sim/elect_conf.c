/*
 * elect_conf.c - the configurations of nodes that take over for each other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "elect.h"

#define COUNT(a) ((unsigned)(sizeof(a) / sizeof((a)[0])))
#define TEXT 8192

static const struct elect_layout layouts[] = {
	{2, {"01", "10"}}, {2, {"01", "01"}},	 {2, {"10", ""}},   {3, {"012", "120"}},
	{3, {"01", "12"}}, {3, {"021", "210"}},	 {3, {"", "201"}},  {4, {"0123", "3210"}},
	{4, {"01", "23"}}, {4, {"012", "1230"}}, {4, {"0213", ""}}, {3, {"201", "201"}},
};

static const struct elect_timing timings[] = {
	{100, 300, false}, {50, 200, true}, {500, 1500, false}, {100, 210, false}, {100, 350, true},
};

static const struct elect_back backs[] = {{true, 0}, {true, 700}, {false, 0}, {true, 150}};

const struct elect_layout *elect_layout(const struct elect_plan *plan)
{
	return &layouts[plan->layout % COUNT(layouts)];
}

const struct elect_timing *elect_timing(const struct elect_plan *plan)
{
	return &timings[plan->timing % COUNT(timings)];
}

const struct elect_back *elect_back(const struct elect_plan *plan)
{
	return &backs[plan->back % COUNT(backs)];
}

struct text {
	char s[TEXT];
	size_t len;
};

#define add(t, ...)                                                                                \
	((t)->len += (size_t)snprintf((t)->s + (t)->len, sizeof((t)->s) - (t)->len, __VA_ARGS__))

static void add_dispatcher(struct text *t, const struct elect_plan *plan, enum elect_dispatcher d)
{
	const struct elect_back *back = elect_back(plan);
	const char *order = elect_layout(plan)->order[d];

	if (d == OUTER)
		add(t, "port \"outside\" { device = \"o\" addresses = {\"198.51.100.254/24\"} "
		       "answer-for = {\"198.51.100.80\"} }\n"
		       "port \"front\" { device = \"f\" addresses = {\"10.2.0.254/24\"} }\n"
		       "route \"0.0.0.0/0\" { via = \"198.51.100.1\" port = \"outside\" }\n"
		       "dispatcher \"outer\" { role = \"outer\" firewall-port = \"front\" "
		       "ports = {\"outside\"} ");
	else
		add(t, "port \"back\" { device = \"b\" addresses = {\"10.3.0.254/24\"} }\n"
		       "port \"farm\" { device = \"s\" addresses = {\"10.4.0.254/24\"} }\n"
		       "dispatcher \"inner\" { role = \"inner\" firewall-port = \"back\" "
		       "ports = {\"farm\"} ");
	add(t, "nodes = {");
	for (const char *c = order; *c; c++)
		add(t, "%s\"n%c\"", c == order ? "" : ", ", *c);
	add(t,
	    "} algorithm = \"round-robin\" take-back = %s take-back-delay = \"%ums\" max-flows = "
	    "1024 max-affinities = 64 "
	    "max-fragments = 16 }\n",
	    back->take_back ? "true" : "false", back->delay_ms);
}

static struct params *make(const struct elect_plan *plan, unsigned node, unsigned variant)
{
	const struct elect_layout *layout = elect_layout(plan);
	const struct elect_timing *timing = elect_timing(plan);
	struct text t = {.len = 0};
	struct params *p;

	add(&t, "node = \"n%u\"\n", node);
	for (unsigned d = 0; d < DISPATCHERS; d++)
		if (strchr(layout->order[d], (int)('0' + node)))
			add_dispatcher(&t, plan, d);
	add(&t,
	    "path \"fw\" { id = 7 addresses = {\"10.2.0.1\", \"10.3.0.1\"} }\n"
	    "firewall { max-flows = 1024 }\n"
	    "cluster { id = 2 device = \"c\" key-file = \"/none\" max-forwards = 1024 "
	    "max-queries = 512 hello-interval = \"%ums\" dead-after = \"%ums\" %s}\n",
	    timing->hello_ms, timing->dead_ms, timing->unicast ? "transport = \"unicast\" " : "");
	for (unsigned i = 0; i < layout->n_nodes; i++) {
		unsigned k = (i + variant) % layout->n_nodes;
		add(&t, "member \"n%u\" { id = %u address = \"10.9.0.%u\" }\n", k, k + 1, k + 1);
	}
	p = conf_parse("elect", t.s, stderr, NULL);
	if (!p)
		abort();
	return p;
}

static struct params **cache_at(unsigned i)
{
	static struct params *cache[COUNT(layouts) * COUNT(timings) * COUNT(backs) * ELECT_NODES *
				    ELECT_VARIANTS];

	return i < COUNT(cache) ? &cache[i] : NULL;
}

const struct params *elect_params(const struct elect_plan *plan, unsigned node, unsigned variant)
{
	unsigned i = plan->layout % COUNT(layouts);
	struct params **p;

	i = i * COUNT(timings) + plan->timing % COUNT(timings);
	i = i * COUNT(backs) + plan->back % COUNT(backs);
	p = cache_at((i * ELECT_NODES + node) * ELECT_VARIANTS + variant);
	if (!*p)
		*p = make(plan, node, variant);
	return *p;
}

void elect_params_free(void)
{
	struct params **p;

	for (unsigned i = 0; (p = cache_at(i)); i++) {
		conf_free(*p);
		*p = NULL;
	}
}
