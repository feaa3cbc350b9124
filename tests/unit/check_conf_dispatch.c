/* proves: HD-20 */
#define _GNU_SOURCE 1 /* asprintf */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

/* What one reading gave. */
struct outcome {
	struct params *params;
	char *errors;
	unsigned n_errors;
};

static struct outcome outcome(const char *text, const char *path)
{
	struct outcome o = {.n_errors = 99};
	size_t size;
	FILE *f = open_memstream(&o.errors, &size);

	o.params =
		text ? conf_parse("t.conf", text, f, &o.n_errors) : conf_load(path, f, &o.n_errors);
	fclose(f); /* also brings `errors` up to date */
	ck_assert_msg((o.params != NULL) == (o.n_errors == 0), "configuration and %u errors: %s",
		      o.n_errors, o.errors);
	return o;
}

static void done(struct outcome *o)
{
	conf_free(o->params);
	free(o->errors);
}

static char *source_file(const char *name)
{
	const char *dir = getenv("srcdir");
	char *path;

	ck_assert_int_gt(asprintf(&path, "%s/%s", dir ? dir : ".", name), 0);
	return path;
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	ck_assert_msg(f != NULL, "cannot read %s", path);
	ck_assert_int_ge(getdelim(&text, &size, '\0', f), 0);
	fclose(f);
	return text;
}

#define PORTS                                                                                      \
	"port \"back\" { device = eth0 addresses = {10.3.0.254/24, \"fd00:3::fe/64\"} }\n"         \
	"port \"farm\" { device = eth1 addresses = {10.4.0.254/24} }\n"                            \
	"port \"spare\" { device = eth2 }\n"
#define PATHS                                                                                      \
	"path \"fw1\" { id = 1 addresses = {10.3.0.1} }\n"                                         \
	"path \"fw2\" { id = 2 addresses = {10.3.0.2} }\n"
#define INNER "dispatcher \"inner\" { role = inner firewall-port = back ports = {farm} }\n"
#define CLUSTER                                                                                    \
	"cluster { device = eth3 }\n"                                                              \
	"member \"a\" { id = 1 }\nmember \"b\" { id = 2 }\nmember \"c\" { id = 3 }\n"
#define TARGETS                                                                                    \
	"target \"web1\" { addresses = {10.4.0.11} }\n"                                            \
	"target \"web2\" { addresses = {10.4.0.12} }\n"
/* nine lines up to here, twelve with the cluster */
#define NODE "node = a\n" PORTS PATHS TARGETS INNER
#define SERVICE(more)                                                                              \
	"service \"web\" { addresses = {192.0.2.80} protocol = tcp technology = l4/2 targets = "   \
	"{web1, web2} " more " }\n"

/* --- what is read ---------------------------------------------------------------------------- */

START_TEST(defaults)
{
	struct outcome o = outcome(NODE SERVICE(""), NULL);
	ck_assert_str_eq(o.errors, "");
	const struct params *p = o.params;
	const struct dispatcher_params *d = &p->dispatchers[0];
	const struct service_params *s = &p->services[0];
	const struct target_params *t = &p->targets[0];

	ck_assert(!p->firewall.enabled);
	ck_assert_uint_eq(p->n_dispatchers, 1);
	ck_assert_uint_eq(p->n_paths, 2);
	ck_assert_uint_eq(p->paths[1].weight, 1);
	ck_assert_int_eq(d->role, DISPATCH_INNER);
	ck_assert_uint_eq(d->firewall_port, 0);
	ck_assert_uint_eq(d->n_ports, 1);
	ck_assert_uint_eq(d->ports[0], 1);
	ck_assert_int_eq(d->algorithm, CHOICE_STATIC);
	ck_assert(d->learn);
	ck_assert_int_eq(d->unknown, UNKNOWN_DROP);
	ck_assert_int_eq(d->path_down, DOWN_MOVE);
	ck_assert(d->bypass);
	ck_assert_uint_eq(d->seed, 0);
	ck_assert_uint_eq(d->max_flows, 262144);
	ck_assert_uint_eq(d->max_affinities, 65536);
	ck_assert_uint_eq(d->max_fragments, 1024);
	ck_assert_uint_eq(d->tcp_open_ms, 30000);
	ck_assert_uint_eq(d->tcp_ms, 7200000);
	ck_assert_uint_eq(d->tcp_close_ms, 120000);
	ck_assert_uint_eq(d->udp_ms, 180000);
	ck_assert_uint_eq(d->other_ms, 30000);
	ck_assert_uint_eq(d->path_wait_ms, 20);
	ck_assert(!d->probe.enabled);
	ck_assert_uint_eq(d->probe.interval_ms, 500);
	ck_assert_uint_eq(d->probe.timeout_ms, 250);
	ck_assert_uint_eq(d->probe.rise, 2);
	ck_assert_uint_eq(d->probe.fall, 3);
	ck_assert_uint_eq(s->n_ports, 0);
	ck_assert_int_eq(s->algorithm, CHOICE_ROUND_ROBIN);
	ck_assert(!s->affinity);
	ck_assert_uint_eq(s->affinity_ms, 300000);
	ck_assert_uint_eq(s->sorry, PARAMS_NONE);
	ck_assert_uint_eq(s->n_sources, 0);
	ck_assert_int_eq(s->target_down, DOWN_RESET);
	ck_assert_uint_eq(t->member, PARAMS_NONE);
	ck_assert_uint_eq(t->port, 0);
	ck_assert_uint_eq(t->weight, 1);
	ck_assert_int_eq(t->check.kind, CHECK_NONE);
	ck_assert_str_eq(t->check.path, "/");
	ck_assert_str_eq(t->check.host, "");
	ck_assert_uint_eq(t->check.interval_ms, 2000);
	ck_assert_uint_eq(t->check.timeout_ms, 1000);
	ck_assert_uint_eq(t->check.rise, 2);
	ck_assert_uint_eq(t->check.fall, 3);
	ck_assert_uint_eq(t->check.agent_port, 0);
	done(&o);
}
END_TEST

/* Every option with a value of its own. */
static const char everything[] =
	"node = \"a\"\n" CLUSTER "member \"d\" { id = 4 } port \"outside\" { device = eth0 "
	"addresses = {\"198.51.100.254/24\"}\n"
	"  answer-for = {198.51.100.80, \"2001:db8::80\"} answer-for += {198.51.100.81} }\n"
	"port \"front\" { device = eth1 addresses = {10.2.0.254/24, \"fd00:2::fe/64\"} }\n"
	"port \"back\" { device = eth2 addresses = {10.3.0.254/24, \"fd00:3::fe/64\"} }\n"
	"port \"farm\" { device = eth4 }\n"
	"port \"stages\" { device = eth5 answer-for = {10.4.0.250, 10.4.0.251} }\n"
	"dispatcher \"o\" { role = outer firewall-port = front ports = {outside}\n"
	"  algorithm = weighted-round-robin unknown = reset on-path-down = keep hash-seed = "
	"4294967295\n"
	"  max-flows = 2048 max-affinities = 16 max-fragments = 17 tcp-open-timeout = 1s\n"
	"  tcp-timeout = 2s tcp-close-timeout = 3s udp-timeout = 4s other-timeout = 5s\n"
	"  probe = 10.3.0.254 probe-interval = 100ms probe-timeout = 100ms probe-rise = 4\n"
	"  probe-fall = 5 }\n"
	"dispatcher \"s\" { role = stage firewall-port = back ports = {stages, farm}\n"
	"  learn = no unknown = pass on-path-down = reset from = {b, c} bypass = false\n"
	"  path-wait = 1s }\n"
	"service \"dns\" { addresses = {198.51.100.80} protocol = udp ports = {53, \"5300-5399\"}\n"
	"  technology = \"l4/3\" algorithm = source affinity = source affinity-timeout = 1m\n"
	"  targets = {next, s1} sorry = s2 sources = {10.4.0.250, 10.4.0.251}\n"
	"  on-target-down = keep }\n"
	"service \"web\" { addresses = {198.51.100.80, \"2001:db8::80\"} protocol = tcp\n"
	"  technology = l4/2 algorithm = least-packets targets = {s2} on-target-down = move }\n"
	"target \"s1\" { addresses = {10.4.0.11} port = 5353 weight = 256 check = http\n"
	"  check-port = 80 check-path = \"/up?x=1\" check-host = \"www.example.org\"\n"
	"  check-interval = 1m check-timeout = 59s check-rise = 7 check-fall = 8\n"
	"  agent-port = 9999 }\n"
	"target \"s2\" { addresses = {\"fd00:4::12\", 10.4.0.12} weight = 0 check = tcp check-port "
	"= 8 }\n"
	"target \"next\" { member = d weight = 3 }\n"
	"path \"fw2\" { id = 65535 addresses = {10.2.0.2, 10.3.0.2, \"fd00:2::2\"} weight = 0 }\n"
	"path \"fw1\" { id = 7 addresses = {\"fd00:3::1\", 10.2.0.1} weight = 256 }\n";

START_TEST(every_option_of_dispatchers)
{
	struct outcome o = outcome(everything, NULL);
	ck_assert_str_eq(o.errors, "");
	const struct params *p = o.params;
	const struct dispatcher_params *d = &p->dispatchers[0], *e = &p->dispatchers[1];
	char text[ADDR_TEXT];

	ck_assert_uint_eq(p->ports[0].n_answers, 3);
	ck_assert_str_eq(ipaddr_text(text, &p->ports[0].answers[1]), "2001:db8::80");
	ck_assert_str_eq(ipaddr_text(text, &p->ports[0].answers[2]), "198.51.100.81");

	ck_assert_uint_eq(p->n_paths, 2);
	ck_assert_str_eq(p->paths[0].name, "fw2");
	ck_assert_uint_eq(p->paths[0].id, 65535);
	ck_assert_uint_eq(p->paths[0].weight, 0);
	ck_assert_uint_eq(p->paths[0].n_addresses, 3);
	ck_assert_str_eq(ipaddr_text(text, &p->paths[0].addresses[2]), "fd00:2::2");
	ck_assert_uint_eq(p->paths[1].weight, 256);
	ck_assert_uint_eq(p->paths[1].line, 34);

	ck_assert_uint_eq(p->n_dispatchers, 2);
	ck_assert_int_eq(d->role, DISPATCH_OUTER);
	ck_assert_uint_eq(d->line, 12);
	ck_assert_uint_eq(d->firewall_port, 1);
	ck_assert_int_eq(d->algorithm, CHOICE_WEIGHTED);
	ck_assert_int_eq(d->unknown, UNKNOWN_RESET);
	ck_assert_int_eq(d->path_down, DOWN_KEEP);
	ck_assert_uint_eq(d->seed, 4294967295U);
	ck_assert_uint_eq(d->max_flows, 2048);
	ck_assert_uint_eq(d->max_affinities, 16);
	ck_assert_uint_eq(d->max_fragments, 17);
	ck_assert_uint_eq(d->tcp_open_ms, 1000);
	ck_assert_uint_eq(d->tcp_ms, 2000);
	ck_assert_uint_eq(d->tcp_close_ms, 3000);
	ck_assert_uint_eq(d->udp_ms, 4000);
	ck_assert_uint_eq(d->other_ms, 5000);
	ck_assert(d->probe.enabled);
	ck_assert_str_eq(ipaddr_text(text, &d->probe.to), "10.3.0.254");
	ck_assert_uint_eq(d->probe.interval_ms, 100);
	ck_assert_uint_eq(d->probe.timeout_ms, 100);
	ck_assert_uint_eq(d->probe.rise, 4);
	ck_assert_uint_eq(d->probe.fall, 5);
	ck_assert_int_eq(e->role, DISPATCH_STAGE);
	ck_assert_uint_eq(e->n_ports, 2);
	ck_assert_uint_eq(e->ports[0], 4);
	ck_assert_uint_eq(e->ports[1], 3);
	ck_assert(!e->learn);
	ck_assert_int_eq(e->unknown, UNKNOWN_PASS);
	ck_assert_int_eq(e->path_down, DOWN_RESET);
	ck_assert_uint_eq(e->n_from, 2);
	ck_assert_uint_eq(e->from[0], 1);
	ck_assert_uint_eq(e->from[1], 2);
	ck_assert(!e->bypass);
	ck_assert_uint_eq(e->path_wait_ms, 1000);

	done(&o);
}
END_TEST

START_TEST(every_option_of_services)
{
	struct outcome o = outcome(everything, NULL);
	ck_assert_str_eq(o.errors, "");
	const struct params *p = o.params;
	const struct service_params *s = p->services;
	const struct target_params *t = p->targets;
	char text[ADDR_TEXT];

	ck_assert_uint_eq(p->n_services, 2);
	ck_assert_uint_eq(s[0].line, 21);
	ck_assert_uint_eq(s[0].proto, 17);
	ck_assert_uint_eq(s[0].n_ports, 2);
	ck_assert_uint_eq(s[0].ports[1].lo, 5300);
	ck_assert_uint_eq(s[0].ports[1].hi, 5399);
	ck_assert_int_eq(s[0].technology, TECHNOLOGY_L4_3);
	ck_assert_int_eq(s[0].algorithm, CHOICE_SOURCE);
	ck_assert(s[0].affinity);
	ck_assert_uint_eq(s[0].affinity_ms, 60000);
	ck_assert_uint_eq(s[0].targets.n, 2);
	ck_assert_uint_eq(p->target_lists[s[0].targets.first], 2);
	ck_assert_uint_eq(p->target_lists[s[0].targets.first + 1], 0);
	ck_assert_uint_eq(s[0].sorry, 1);
	ck_assert_uint_eq(s[0].n_sources, 2);
	ck_assert_int_eq(s[0].target_down, DOWN_KEEP);
	ck_assert_uint_eq(s[1].proto, 6);
	ck_assert_uint_eq(s[1].n_addresses, 2);
	ck_assert_int_eq(s[1].algorithm, CHOICE_LEAST_PACKETS);
	ck_assert_int_eq(s[1].target_down, DOWN_MOVE);
	ck_assert_uint_eq(s[1].targets.n, 1);
	ck_assert_uint_eq(p->target_lists[s[1].targets.first], 1);

	ck_assert_uint_eq(p->n_targets, 3);
	ck_assert(t[0].has_v4 && !t[0].has_v6);
	ck_assert_uint_eq(t[0].port, 5353);
	ck_assert_uint_eq(t[0].weight, 256);
	ck_assert_int_eq(t[0].check.kind, CHECK_HTTP);
	ck_assert_uint_eq(t[0].check.port, 80);
	ck_assert_str_eq(t[0].check.path, "/up?x=1");
	ck_assert_str_eq(t[0].check.host, "www.example.org");
	ck_assert_uint_eq(t[0].check.interval_ms, 60000);
	ck_assert_uint_eq(t[0].check.timeout_ms, 59000);
	ck_assert_uint_eq(t[0].check.rise, 7);
	ck_assert_uint_eq(t[0].check.fall, 8);
	ck_assert_uint_eq(t[0].check.agent_port, 9999);
	ck_assert(t[1].has_v4 && t[1].has_v6);
	ck_assert_str_eq(ipaddr_text(text, &t[1].v4), "10.4.0.12");
	ck_assert_str_eq(ipaddr_text(text, &t[1].v6), "fd00:4::12");
	ck_assert_int_eq(t[1].check.kind, CHECK_TCP);
	ck_assert_uint_eq(t[1].weight, 0);
	ck_assert_uint_eq(t[2].member, 3);
	ck_assert_uint_eq(t[2].weight, 3);
	ck_assert_uint_eq(t[2].line, 32);
	done(&o);
}
END_TEST

#define NODES_AND(role, more)                                                                      \
	"node = a\n" CLUSTER PORTS PATHS TARGETS "dispatcher \"d\" { role = " role                 \
	" firewall-port = back ports = {farm} " more " }\n"

/* HD-19 */
START_TEST(nodes)
{
	struct outcome o = outcome(NODES_AND("outer", ""), NULL);
	const struct dispatcher_params *d;

	ck_assert_str_eq(o.errors, "");
	d = &o.params->dispatchers[0];
	ck_assert_uint_eq(d->n_nodes, 0);
	ck_assert(d->take_back);
	ck_assert_uint_eq(d->take_back_ms, 10000);
	done(&o);
	o = outcome(NODES_AND("inner", "nodes = {c, a} take-back = false take-back-delay = 0ms"),
		    NULL);
	ck_assert_str_eq(o.errors, "");
	d = &o.params->dispatchers[0];
	ck_assert_uint_eq(d->n_nodes, 2);
	ck_assert_uint_eq(d->nodes[0], 2);
	ck_assert_uint_eq(d->nodes[1], 0);
	ck_assert(!d->take_back);
	ck_assert_uint_eq(d->take_back_ms, 0);
	done(&o);
	o = outcome(NODES_AND("outer", "nodes = {a, b, c} take-back-delay = 1h"), NULL);
	ck_assert_str_eq(o.errors, "");
	ck_assert_uint_eq(o.params->dispatchers[0].take_back_ms, 3600000);
	done(&o);
}
END_TEST

static const char *const algorithm_words[] = {
	"static",	 "round-robin", "weighted-round-robin", "least-connections",
	"least-packets", "source"};

START_TEST(algorithms)
{
	char *text;
	struct outcome o;

	ck_assert_int_gt(asprintf(&text,
				  "node = a\n" PORTS PATHS TARGETS
				  "dispatcher \"d\" { role = inner firewall-port = back ports = "
				  "{farm} algorithm = %s }\n"
				  "service \"s\" { addresses = {192.0.2.80} protocol = tcp "
				  "technology = l4/2 targets = {web1, web2} algorithm = %s }\n",
				  algorithm_words[_i == CHOICE_SOURCE ? 0 : _i],
				  algorithm_words[_i]),
			 0);
	o = outcome(text, NULL);
	ck_assert_str_eq(o.errors, "");
	ck_assert_int_eq(o.params->dispatchers[0].algorithm, _i == CHOICE_SOURCE ? 0 : _i);
	ck_assert_int_eq(o.params->services[0].algorithm, _i);
	done(&o);
	free(text);
}
END_TEST

/* --- what is allowed though it looks odd -------------------------------------------------------
 */

static const struct {
	const char *why, *text;
} good[] = {
	{"only an outer dispatcher, no service",
	 "node = a\n" PORTS PATHS
	 "dispatcher \"o\" { role = outer firewall-port = back ports = {spare} }\n"},
	{"only a dispatcher, no firewalls",
	 "node = a\n" PORTS TARGETS
	 "dispatcher \"d\" { role = stage ports = {farm} }\n" SERVICE("")},
	{"a firewall on the ports that are left",
	 NODE SERVICE("") "firewall { rule \"r\" { action = pass in = spare out = farm } }\n"},
	{"one list of targets for all nodes: only what a service uses is judged",
	 NODE CLUSTER "target \"self\" { member = a }\n"
		      "target \"v6\" { addresses = {\"fd00:4::9\"} check = tcp }\n" SERVICE("")},
	{"the same server by two ports",
	 NODE "target \"one\" { addresses = {10.4.0.9} port = 8080 }\n"
	      "target \"two\" { addresses = {10.4.0.9} port = 8081 }\n"
	      "service \"s\" { addresses = {192.0.2.9} protocol = tcp technology = l4/3\n"
	      "  targets = {one, two} }\n"},
	{"narrow before wide",
	 NODE SERVICE("ports = {80}") "service \"rest\" { addresses = {192.0.2.80} protocol = tcp "
				      "technology = l4/2\n"
				      "  targets = {web1} }\n"},
	{"hidden by address and port, but not by protocol",
	 NODE SERVICE("") "service \"u\" { addresses = {192.0.2.80} protocol = udp technology = "
			  "l4/2 targets = {web1} }\n"},
	{"hidden for one address of two",
	 NODE SERVICE("") "service \"t\" { addresses = {192.0.2.80, 192.0.2.81} protocol = tcp "
			  "technology = l4/2 targets = {web1} }\n"},
	{"one port of three is left",
	 NODE SERVICE("ports = {\"79-80\", 82}") "service \"t\" { addresses = {192.0.2.80} "
						 "protocol = tcp technology = l4/2\n"
						 "  ports = {\"80-82\"} targets = {web1} }\n"},
	{"a check of a target takes the port of one of its services",
	 NODE "target \"t\" { addresses = {10.4.0.9} check = tcp }\n"
	      "service \"u\" { addresses = {192.0.2.9} protocol = udp technology = l4/2\n"
	      "  ports = {53} targets = {t} }\n"
	      "service \"s\" { addresses = {192.0.2.9} protocol = tcp technology = l4/2\n"
	      "  targets = {web1} sorry = t }\n"},
	{"an address of the host's own on the firewall-port: nobody here knows its network",
	 "node = a\n" PORTS "path \"fw1\" { id = 1 addresses = {172.16.0.1} }\n"
	 "dispatcher \"o\" { role = outer firewall-port = spare ports = {farm} }\n"},
	{"a firewall that is known by IPv6 alone, which here is the host's",
	 "node = a\n" PORTS "path \"fw1\" { id = 1 addresses = {\"fd00:4::1\"} }\n"
	 "dispatcher \"o\" { role = outer firewall-port = farm ports = {spare} }\n"},
	{"the service's address is a virtual address of the node, too",
	 NODE "service \"s\" { addresses = {10.4.0.254} protocol = tcp technology = l4/2\n"
	      "  ports = {80} targets = {web1} }\n"},
	{"a server on a segment that a route alone tells of",
	 NODE "route \"10.5.0.0/24\" { port = farm }\n"
	      "target \"t\" { addresses = {10.5.0.9} }\n" SERVICE("sorry = t")},
	{"a server on a segment of a port whose network only the host knows",
	 "node = a\n" PORTS PATHS TARGETS "target \"t\" { addresses = {10.5.0.9} }\n"
	 "dispatcher \"i\" { role = inner firewall-port = back ports = {farm, spare} }\n" SERVICE(
		 "sorry = t")},
	{"sources that the port of the servers answers for",
	 "node = a\n" PORTS PATHS TARGETS
	 "port \"x\" { device = e answer-for = {10.4.0.240} }\n" INNER
	 "service \"s\" { addresses = {192.0.2.2} protocol = tcp technology = l4/3\n"
	 "targets = {web1, web2} sources = {10.4.0.240} }\n"},
	{"the other dispatcher in the same process is probed",
	 "node = a\n" PORTS "path \"fw1\" { id = 1 addresses = {10.3.0.1, 10.4.0.1} }\n"
	 "port \"net\" { device = eth5 }\nport \"servers\" { device = eth6 }\n"
	 "dispatcher \"o\" { role = outer firewall-port = back ports = {net} probe = 10.4.0.254 }\n"
	 "dispatcher \"i\" { role = inner firewall-port = farm ports = {servers}\n"
	 "  probe = 10.3.0.254 }\n"},
};

START_TEST(allowed)
{
	struct outcome o = outcome(good[_i].text, NULL);

	ck_assert_msg(o.n_errors == 0, "%s:\n%s", good[_i].why, o.errors);
	done(&o);
}
END_TEST

/* --- what is refused ----------------------------------------------------------------------------
 */

START_TEST(all_errors_in_one_run)
{
	char *path = source_file("tests/unit/data/errors-dispatch.conf");
	char *text = slurp(path), *line, *rest = text;
	struct outcome o = outcome(NULL, path);
	unsigned number = 1, expected = 0;

	while ((line = strsep(&rest, "\n"))) {
		for (char *mark = strstr(line, "#! "), *next; mark; mark = next) {
			char *want;
			next = strstr(mark + 1, " #! ");
			if (next)
				*next++ = '\0';
			ck_assert_int_gt(asprintf(&want, "%s:%u: %s", path, number, mark + 3), 0);
			ck_assert_msg(strstr(o.errors, want) != NULL, "not reported: %s", want);
			free(want);
			expected++;
		}
		number++;
	}
	ck_assert_uint_ge(expected, 30);
	ck_assert_msg(o.n_errors == expected, "%u errors for %u:\n%.4000s", o.n_errors, expected,
		      o.errors);
	done(&o);
	free(text);
	free(path);
}
END_TEST

#define OUTER_AND(more)                                                                            \
	"node = a\n" PORTS PATHS TARGETS                                                           \
	"dispatcher \"d\" { role = outer firewall-port = back ports = {farm} " more " }\n"
#define STAGE_AND(more)                                                                            \
	"node = a\n" CLUSTER PORTS PATHS TARGETS                                                   \
	"dispatcher \"d\" { role = stage firewall-port = back ports = {farm} " more " }\n"
#define TARGET_AND(more) NODE "target \"t\" { addresses = {10.4.0.9} " more " }\n"

/* A text, and the one error it must give. */
static const struct {
	const char *text, *error;
} bad[] = {
	/* nodes */
	{NODES_AND("outer", "nodes = {\na}"),
	 "t.conf:14: dispatcher \"d\": nodes: one alone has nobody to take over from; give at "
	 "least two, or leave the option out"},
	{NODES_AND("outer", "nodes = {b, c}"),
	 "nodes: this node, \"a\", is not among them; add it, or leave the dispatcher out"},
	{NODES_AND("outer", "nodes = {b}"), "nodes: this node, \"a\", is not among them"},
	{NODES_AND("outer", "nodes = {a, d}"), "nodes: no member \"d\"; the members are a, b, c"},
	{NODES_AND("outer", "nodes = {a, b, a}"), "nodes: \"a\" is given twice"},
	{STAGE_AND("from = {b} nodes = {a, b}"),
	 "nodes: goes with role = \"outer\" or \"inner\"; later stages stand in for each other "
	 "as targets"},
	{NODES_AND("outer", "take-back = false"),
	 "take-back: needs \"nodes\"; without it this node alone plays the dispatcher"},
	{NODES_AND("outer", "take-back-delay = 5s"),
	 "take-back-delay: needs \"nodes\"; without it this node alone plays the dispatcher"},
	{NODES_AND("outer", "nodes = {a, b} take-back-delay = 2h"),
	 "take-back-delay: \"2h\" is out of range; allowed is"},
	{NODES_AND("outer", "nodes = {a, b} take-back = perhaps"), "take-back: \"perhaps\""},
	/* ports */
	{"node = a\n" PORTS "port \"x\" { device = e addresses = {10.5.0.1/24}\n"
	 "answer-for = {10.5.0.1} }\nfirewall { }\n",
	 "t.conf:6: port \"x\": answer-for: 10.5.0.1 is one of the addresses of port \"x\", "
	 "answered"},
	{"node = a\n" PORTS "port \"x\" { device = e answer-for = {10.4.0.254} }\nfirewall { }\n",
	 "answer-for: 10.4.0.254 is one of the addresses of port \"farm\""},
	{"node = a\n" PORTS "port \"x\" { device = e answer-for = {10.5.0.1, 10.5.0.1} }\n"
	 "firewall { }\n",
	 "answer-for: 10.5.0.1 is given twice"},
	{"node = a\n" PORTS "port \"x\" { device = e answer-for = {10.5.0.0/24} }\nfirewall { }\n",
	 "answer-for: \"10.5.0.0/24\" is no address of a host; allowed is such as \"192.0.2.80\""},
	/* no role at all */
	{"node = a\n" PORTS PATHS, "t.conf:6: section \"firewall\" is missing; without it or a "
				   "section \"dispatcher\" the node has no role"},
	/* paths */
	{OUTER_AND("") "path \"x\" { addresses = {10.3.0.3} }\n",
	 "t.conf:10: path \"x\": option \"id\" is missing"},
	{OUTER_AND("") "path \"x\" { id = 0 addresses = {10.3.0.3} }\n", "id: \"0\" is out of"},
	{OUTER_AND("") "path \"x\" { id = 65536 addresses = {10.3.0.3} }\n",
	 "id: \"65536\" is out"},
	{OUTER_AND("") "path \"x\" { id = 3 addresses = {10.3.0.3} weight = 257 }\n",
	 "path \"x\": weight: \"257\" is out of range; allowed is a number 0..256"},
	{OUTER_AND("") "path \"x\" { id = 3 }\n",
	 "path \"x\": option \"addresses\" is missing or empty; give at least one address of the"},
	{OUTER_AND("") "path \"x\" { id = 2 addresses = {10.3.0.3} }\n",
	 "t.conf:10: path \"x\": id: 2 is the id of path \"fw2\" in line 6; ids must differ"},
	{OUTER_AND("") "path \"x\" { id = 3 addresses = {10.3.0.3,\n10.3.0.2} }\n",
	 "t.conf:11: path \"x\": addresses: an address of path \"fw2\" in line 6"},
	{OUTER_AND("") "path \"x\" { id = 3 addresses = {10.3.0.254} }\n",
	 "addresses: an address of this node's port \"back\"; allowed are addresses of the "
	 "firewall"},
	{OUTER_AND("") "path \"x\" { id = 3 addresses = {10.4.0.3, 10.5.0.3} }\n",
	 "t.conf:10: path \"x\": addresses: none lies on the networks of port \"back\", the "
	 "firewall-port of dispatcher \"d\"; one must"},
	{OUTER_AND("") "path \"x\" { id = 3 addresses = {\"fd00:4::3\"} }\n", "none lies on the"},
	{"node = a\n" PORTS "port \"x\" { device = e addresses = {\n10.5.0.254} }\nfirewall { }\n",
	 "t.conf:6: port \"x\": addresses: \"10.5.0.254\" lacks the length of its network; write "
	 "it "
	 "behind the address, as in \"10.5.0.254/24\""},
	{"node = a\n" PORTS "port \"x\" { device = e addresses = {\"fd00::1\"} }\nfirewall { }\n",
	 "addresses: \"fd00::1\" lacks the length of its network; write it behind the address, as "
	 "in \"fd00::1/64\""},
	/* dispatchers */
	{"node = a\n" PORTS PATHS "dispatcher \"d\" { firewall-port = back ports = {farm} }\n",
	 "t.conf:7: dispatcher \"d\": option \"role\" is missing"},
	{"node = a\n" PORTS PATHS TARGETS "dispatcher \"d\" { role = iner ports = {farm}\n"
	 "bypass = true }\n" SERVICE(""),
	 "role: \"iner\" is not valid; allowed is outer, inner, stage"},
	{"node = a\n" PORTS PATHS "dispatcher \"d\" { role = outer ports = {farm} }\n",
	 "dispatcher \"d\": option \"firewall-port\" is missing; only role \"stage\" goes without"},
	{"node = a\n" PORTS
	 "dispatcher \"d\" { role = inner firewall-port = back ports = {farm} }\n",
	 "firewall-port: there is no firewall; give path \"name\" { id = ... addresses = {...} }"},
	{"node = a\n" PORTS PATHS "dispatcher \"d\" { role = outer firewall-port = back }\n",
	 "option \"ports\" is missing or empty; give at least one port"},
	{"node = a\n" PORTS PATHS
	 "dispatcher \"d\" { role = outer firewall-port = fornt ports = {farm} }\n",
	 "firewall-port: no port \"fornt\"; the ports are back, farm, spare"},
	{"node = a\n" PORTS PATHS
	 "dispatcher \"d\" { role = outer firewall-port = back ports = {farm,\nfram} }\n",
	 "t.conf:8: dispatcher \"d\": ports: no port \"fram\"; the ports are back, farm, spare"},
	{"node = a\n" PORTS PATHS
	 "dispatcher \"d\" { role = outer firewall-port = back ports = {farm, farm} }\n",
	 "ports: \"farm\" is given twice"},
	{"node = a\n" PORTS PATHS
	 "dispatcher \"d\" { role = outer firewall-port = back ports = {farm,\nback} }\n",
	 "t.conf:8: dispatcher \"d\": ports: \"back\" is the firewall-port; allowed are the "
	 "others"},
	{OUTER_AND("") "dispatcher \"e\" { role = stage ports = {spare,\nfarm} }\n",
	 "t.conf:11: dispatcher \"e\": ports: \"farm\" belongs to dispatcher \"d\" in line 9; "
	 "each"},
	{OUTER_AND("") "dispatcher \"e\" { role = outer firewall-port = back ports = {spare} }\n",
	 "firewall-port: \"back\" belongs to dispatcher \"d\" in line 9"},
	{"node = a\n" PORTS PATHS INNER "dispatcher \"e\" { ports = {spare}\nrole = stage }\n",
	 "t.conf:9: dispatcher \"e\": role: dispatcher \"inner\" in line 7 is an inner or a stage "
	 "already; one of them is allowed per node, beside outer ones"},
	{OUTER_AND("algorithm = source"), "algorithm: \"source\" is not valid; allowed is static, "
					  "round-robin, weighted-round-robin"},
	{OUTER_AND("algorithm = round-robin\nlearn = false"),
	 "t.conf:10: dispatcher \"d\": learn: false needs algorithm = \"static\""},
	{OUTER_AND("hash-seed = 4294967296"), "hash-seed: \"4294967296\" is out of range"},
	{OUTER_AND("max-flows = 1023"), "max-flows: \"1023\" is out of range"},
	{OUTER_AND("udp-timeout = 30"), "udp-timeout: \"30\" lacks its unit"},
	{OUTER_AND("bypass = true"), "bypass: goes with role = \"stage\" only"},
	{OUTER_AND("path-wait = 1s"), "path-wait: goes with role = \"stage\" only"},
	{"node = a\n" CLUSTER PORTS PATHS
	 "dispatcher \"d\" { role = inner firewall-port = back ports = {farm} from = {b} }\n",
	 "from: goes with role = \"stage\" only"},
	{OUTER_AND("probe = 10.3.0.254"), "probe: an address of this dispatcher itself; allowed"},
	{OUTER_AND("probe = 10.4.0.254"), "probe: an address of this dispatcher itself; allowed"},
	{OUTER_AND("probe = 224.0.0.1"), "probe: no address of a host"},
	{OUTER_AND("\nprobe = 10.3.0.2"),
	 "t.conf:10: dispatcher \"d\": probe: an address of path \"fw2\", a firewall; allowed is "
	 "one of the other dispatcher, behind the firewalls"},
	{STAGE_AND(""), "t.conf:13: dispatcher \"d\": option \"from\" is missing; a stage with a "
			"\"firewall-port\" learns from those members"},
	{"node = a\n" PORTS "path \"fw1\" { id = 1 addresses = {10.4.0.1} }\n"
	 "dispatcher \"d\" { role = outer firewall-port = farm ports = {spare}\n"
	 "probe = \"fd00:9::1\" }\n",
	 "t.conf:7: dispatcher \"d\": probe: an IPv6 address, but port \"farm\" has none in "
	 "\"addresses\" that the probe could come from; give it one"},
	{"node = a\n" PORTS TARGETS
	 "dispatcher \"d\" { role = stage ports = {farm} probe = 10.5.0.1 }\n",
	 "probe: needs \"firewall-port\"; without it there is no firewall to probe"},
	{"node = a\n" PORTS TARGETS
	 "dispatcher \"d\" { role = stage ports = {farm} bypass = true }\n",
	 "bypass: needs \"firewall-port\", by which answers get to the firewalls"},
	{STAGE_AND("from = {b,\na}"), "t.conf:14: dispatcher \"d\": from: \"a\" is this node; "
				      "allowed are the members that hand"},
	{STAGE_AND("from = {b, d}"), "from: no member \"d\"; the members are a, b, c"},
	{STAGE_AND("from = {b, b}"), "from: \"b\" is given twice"},
	{"node = a\n" PORTS PATHS
	 "dispatcher \"d\" { role = stage firewall-port = back ports = {farm} from = {b} }\n",
	 "from: no member \"b\"; there is no section member \"name\" { } at all"},
	{NODE "firewall { rule \"r\" { action = pass\nin = farm } }\n",
	 "t.conf:11: rule \"r\": in: can never match: port \"farm\" belongs to dispatcher "
	 "\"inner\""},
	/* targets */
	{NODE "target \"t\" { }\n",
	 "t.conf:10: target \"t\": neither \"addresses\" of a server nor \"member\"; give one of"},
	{NODE CLUSTER "target \"t\" { member = b\naddresses = {10.4.0.9} }\n",
	 "t.conf:15: target \"t\": addresses: goes with a server, not with \"member\", only"},
	{NODE CLUSTER "target \"t\" { member = b check = tcp }\n", "check: goes with a server"},
	{NODE CLUSTER "target \"t\" { member = b agent-port = 1 }\n", "agent-port: goes with a"},
	{NODE "target \"t\" { member = b }\n", "member: no member \"b\"; there is no section "},
	{NODE "target \"t\" { addresses = {10.4.0.9,\n10.4.0.8} }\n",
	 "t.conf:11: target \"t\": addresses: a second IPv4 address; allowed is one of each "
	 "family"},
	{NODE "target \"t\" { addresses = {10.4.0.254} }\n",
	 "addresses: an address of this node's port \"farm\"; allowed are addresses of the server"},
	{NODE "target \"t\" { addresses = {10.4.0.255.1} }\n", "addresses: \"10.4.0.255.1\" is no"},
	{TARGET_AND("weight = 257"), "weight: \"257\" is out of range; allowed is a number 0..256"},
	{TARGET_AND("port = 65536"), "port: \"65536\" is out of range"},
	{TARGET_AND("check = ping"), "check: \"ping\" is not valid; allowed is none, tcp, http"},
	{TARGET_AND("check-port = 80"), "check-port: goes with check = \"tcp\" or \"http\" only"},
	{TARGET_AND("check-fall = 2"), "check-fall: goes with check = \"tcp\" or \"http\" only"},
	{TARGET_AND("check-interval = 2s"),
	 "check-interval: goes with \"check\" or \"agent-port\""},
	{TARGET_AND("check = tcp check-path = /x"), "check-path: goes with check = \"http\" only"},
	{TARGET_AND("check = tcp check-host = x"), "check-host: goes with check = \"http\" only"},
	{TARGET_AND("check = http check-path = \"up\""), "check-path: \"up\" is not valid"},
	{TARGET_AND("check = http check-path = \"/a b\""), "check-path: white space or another"},
	{TARGET_AND("check = http check-host = \"a b\""), "check-host: white space or another"},
	/* services */
	{NODE "service \"s\" { addresses = {192.0.2.1} technology = l4/2 targets = {web1} }\n",
	 "t.conf:10: service \"s\": option \"protocol\" is missing"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = icmp technology = l4/2\n"
	      "targets = {web1} }\n",
	 "protocol: \"icmp\" is not valid; allowed is tcp, udp"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp targets = {web1} }\n",
	 "service \"s\": option \"technology\" is missing"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l4/4\n"
	      "targets = {web1} }\n",
	 "t.conf:10: service \"s\": technology: \"l4/4\" is not valid; allowed is l4/2, l4/3"},
	{NODE "service \"s\" { protocol = tcp technology = l4/2 targets = {web1} }\n",
	 "option \"addresses\" is missing or empty; give at least one address that clients ask "
	 "for"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l4/2 }\n",
	 "t.conf:10: service \"s\": option \"targets\" is missing or empty; give at least one "
	 "target"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l4/2\n"
	      "targets = {} }\n",
	 "t.conf:10: service \"s\": option \"targets\" is missing or empty"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l4/2\n"
	      "targets = {web1, web2,\nweb1} }\n",
	 "t.conf:12: service \"s\": targets: \"web1\" is given twice; once is allowed"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l4/2\n"
	      "targets = {web1, web3} }\n",
	 "t.conf:11: service \"s\": targets: no target \"web3\"; the targets are web1, web2"},
	{NODE "service \"s\" { addresses = {192.0.2.1, 192.0.2.1} protocol = tcp\n"
	      "technology = l4/2 targets = {web1} }\n",
	 "addresses: 192.0.2.1 is given twice"},
	{NODE SERVICE("ports = {0}"), "ports: \"0\" is not valid; allowed are ports 1..65535"},
	{NODE SERVICE("ports = {65536}"), "ports: \"65536\" is not valid"},
	{NODE SERVICE("ports = {81-80}"), "ports: \"81-80\" is not valid"},
	{NODE SERVICE("ports = {a}") "service \"t\" { addresses = {192.0.2.80} protocol = tcp\n"
				     "technology = l4/2 targets = {web1} }\n",
	 "ports: \"a\" is not valid"},
	{NODE SERVICE("ports = {}"), "ports: the list is empty; leave the option out"},
	{NODE SERVICE("sorry = web3"), "sorry: no target \"web3\"; the targets are web1, web2"},
	{NODE SERVICE("\nsorry = web2"),
	 "t.conf:11: service \"web\": sorry: \"web2\" is in \"targets\", too; allowed is one that"},
	{NODE SERVICE("sources = {10.4.0.250}"),
	 "sources: goes with technology = \"l4/3\" only; l4/2 rewrites no address"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l4/3\n"
	      "targets = {web1} sources = {10.4.0.254,\n\"fd00:4::1\"} }\n",
	 "sources: an IPv6 address, but the service has none; allowed are sources of its"},
	{NODE "target \"t\" { addresses = {10.4.0.9, \"fd00:4::9\"} }\n"
	      "service \"s\" { addresses = {192.0.2.1, \"2001:db8::1\"} protocol = tcp\n"
	      "technology = l4/3 targets = {t} sources = {10.4.0.254} }\n",
	 "t.conf:12: service \"s\": sources: no IPv6 address, but the service has one; give a"},
	{NODE "service \"s\" { addresses = {192.0.2.1, \"2001:db8::1\"} protocol = tcp\n"
	      "technology = l4/3 targets = {web1} }\n",
	 "t.conf:11: service \"s\": targets: target \"web1\" has no IPv6 address, but the service"},
	{NODE "target \"t\" { addresses = {\"fd00:4::9\"} }\n" SERVICE("sorry = t"),
	 "t.conf:11: service \"web\": sorry: target \"t\" has no IPv4 address, but the service "
	 "has"},
	{NODE "target \"t\" { addresses = {10.4.0.9} port = 8080 }\n" SERVICE("sorry = t"),
	 "sorry: target \"t\" has a \"port\" of its own; allowed with technology \"l4/3\" or "
	 "\"l7/3\" only, l4/2 leaves the port as it is"},
	{NODE CLUSTER "target \"t\" { member = a }\n" SERVICE("sorry = t"),
	 "sorry: target \"t\" is this node itself; allowed are servers and other members"},
	{NODE "target \"t\" { addresses = {10.5.0.9} }\n" SERVICE("\nsorry = t"),
	 "t.conf:12: service \"web\": sorry: target \"t\": 10.5.0.9 is on the network of no port "
	 "of "
	 "a dispatcher; allowed with technology \"l4/2\" are servers on a segment of one"},
	{NODE
	 "target \"t\" { addresses = {192.0.2.1} }\n"
	 "service \"s\" { addresses = {192.0.2.2, 192.0.2.1} protocol = tcp technology = l4/3\n"
	 "targets = {t} }\n",
	 "t.conf:12: service \"s\": targets: target \"t\" has an address of the service itself, "
	 "192.0.2.1; allowed are addresses of servers"},
	{NODE "service \"s\" { addresses = {192.0.2.2} protocol = tcp technology = l4/3\n"
	      "targets = {web1} sources = {10.4.0.254,\n10.4.0.240} }\n",
	 "t.conf:12: service \"s\": sources: no port answers for 10.4.0.240, so servers would not "
	 "find it; put it into \"answer-for\" of their port"},
	{STAGE_AND("from = {b}") "target \"t\" { member = b }\n"
				 "service \"s\" { addresses = {192.0.2.1} protocol = tcp "
				 "technology = l4/2\n"
				 "targets = {web1, t} }\n",
	 "t.conf:16: service \"s\": targets: target \"t\" is in \"from\" of dispatcher \"d\", so"},
	{NODE "target \"t\" { addresses = {10.4.0.9}\ncheck = tcp }\n" SERVICE("sorry = t"),
	 "t.conf:11: target \"t\": check: by which port? none of its services lists any; give"},
	{NODE SERVICE(
		 "ports = {80, \"443-450\"}") "service \"t\" { addresses = {192.0.2.80} protocol = "
					      "tcp technology = l4/2\n"
					      "ports = {444, \"449-450\", 80} targets = {web1} }\n",
	 "t.conf:11: service \"t\": can never match: earlier services take all its addresses and "
	 "ports, such as service \"web\" in line 10; the first that matches serves"},
	{NODE SERVICE("ports = {\"1-99\"}") "service \"t\" { addresses = {192.0.2.80} protocol = "
					    "tcp technology = l4/2\n"
					    "ports = {\"100-65535\"} targets = {web1} }\n"
					    "service \"u\" { addresses = {192.0.2.80} protocol = "
					    "tcp technology = l4/2\n"
					    "targets = {web1} }\n",
	 "t.conf:13: service \"u\": can never match: earlier services take all its addresses"},
	{OUTER_AND("") SERVICE(""),
	 "t.conf:10: service \"web\": no dispatcher of this node serves it; give one with role = "
	 "\"inner\" or \"stage\""},
	{"node = a\n" PORTS TARGETS SERVICE("") "firewall { }\n",
	 "t.conf:7: service \"web\": no dispatcher of this node serves it"},
};

START_TEST(one_error)
{
	struct outcome o = outcome(bad[_i].text, NULL);

	ck_assert_ptr_null(o.params);
	ck_assert_msg(strstr(o.errors, bad[_i].error) != NULL, "\"%s\" gave:\n%s", bad[_i].text,
		      o.errors);
	ck_assert_msg(o.n_errors == 1, "\"%s\" gave:\n%s", bad[_i].text, o.errors);
	done(&o);
}
END_TEST

/* --- what is allowed but hardly meant ----------------------------------------------------------
 */

#define WEIGHTED "target \"heavy\" { addresses = {10.4.0.9} weight = 3 }\n"
#define WEB(targets, more)                                                                         \
	"service \"web\" { addresses = {192.0.2.80} protocol = tcp technology = l4/2\ntargets = "  \
	"{" targets "} " more " }\n"

/* A text, and all that is said of it. */
static const struct {
	const char *text, *said;
} warned[] = {
	{NODE WEB("web1", ""),
	 "t.conf:8: warning: target \"web2\": no service of this node names it; it is not used\n"},
	{NODE WEIGHTED "target \"more\" { addresses = {10.4.0.8} }\n" WEB("web2", "sorry = heavy"),
	 "t.conf:7: warning: target \"web1\": no service of this node names it, nor others, 2 in "
	 "all; they are not used\n"},
	{NODE, ""}, /* no service: nothing that a target could be forgotten in */
	{NODE WEIGHTED WEB("web1, web2, heavy", ""),
	 "t.conf:11: warning: service \"web\": algorithm: \"round-robin\", the default, ignores "
	 "the "
	 "weights of targets, such as 3 of \"heavy\"; \"weighted-round-robin\" goes by them\n"},
	{NODE WEIGHTED WEB("heavy, web1, web2", "\nalgorithm = round-robin"),
	 "t.conf:13: warning: service \"web\": algorithm: \"round-robin\" ignores the weights of "
	 "targets, such as 3 of \"heavy\"; \"weighted-round-robin\" goes by them\n"},
	{NODE WEIGHTED WEB("web1, web2, heavy", "algorithm = weighted-round-robin"), ""},
	{NODE "target \"drained\" { addresses = {10.4.0.9} weight = 0 }\n" WEB(
		 "web1, web2, drained", ""),
	 ""},
	{"node = a\n" PORTS PATHS "path \"fw3\" { id = 3 addresses = {10.3.0.3} weight = 2 }\n"
	 "dispatcher \"d\" { role = outer firewall-port = back ports = {farm}\n"
	 "algorithm = round-robin }\n",
	 "t.conf:9: warning: dispatcher \"d\": algorithm: \"round-robin\" ignores the weights of "
	 "the "
	 "paths; \"weighted-round-robin\" goes by them\n"},
	{NODE "service \"s\" { addresses = {192.0.2.2} protocol = tcp technology = l4/3\n"
	      "targets = {web1, web2} sources = {10.9.0.1} }\n",
	 "t.conf:11: warning: service \"s\": sources: no port answers for 10.9.0.1; servers need a "
	 "route to it by this node, or \"answer-for\" of their port\n"},
	/* of a configuration with errors nothing of the kind is said */
	{NODE WEB("web1", "sorry = web9"),
	 "t.conf:11: service \"web\": sorry: no target \"web9\"; the targets are web1, web2\n"},
};

START_TEST(warnings)
{
	struct outcome o = outcome(warned[_i].text, NULL);

	ck_assert_str_eq(o.errors, warned[_i].said);
	ck_assert_uint_eq(o.n_errors, *warned[_i].said && !strstr(o.errors, ": warning: "));
	done(&o);
}
END_TEST

/* --- limits --------------------------------------------------------------------------------------
 */

struct limit {
	const char *before, *item, *after; /* item: one %u and up to two more of the same */
	unsigned max;
	const char *error; /* for one more */
};

static const struct limit limits[] = {
	{NODE, "path \"p%u\" { id = %u addresses = {10.3.0.%u} }\n", "", PARAMS_PATHS - 2,
	 "too many of these sections; allowed are 64"},
	{"node = a\n" PORTS PATHS
	 "dispatcher \"d\" { role = outer firewall-port = back ports = {farm} }\n",
	 "port \"f%u\" { device = f%u }\nport \"n%u\" { device = n%u }\n"
	 "dispatcher \"d%u\" { role = outer firewall-port = f%u ports = {n%u} }\n",
	 "", PARAMS_DISPATCHERS - 1, "too many of these sections; allowed are 4"},
	{NODE, "target \"t%u\" { addresses = {10.4.0.200} }\n", "", PARAMS_TARGETS - 2,
	 "too many of these sections; allowed are 1024"},
	{NODE,
	 "service \"s%u\" { addresses = {192.0.2.1} protocol = tcp ports = {%u}\n"
	 "technology = l4/2 targets = {web1} }\n",
	 "", PARAMS_SERVICES, "too many of these sections; allowed are 256"},
	{NODE "service \"s\" { protocol = tcp technology = l4/2 targets = {web1}\naddresses = {",
	 "192.0.2.%u,", "} }\n", PARAMS_SERVICE_ADDRS, "addresses: too many; allowed are 16"},
	{NODE "service \"s\" { protocol = tcp technology = l4/2 targets = {web1}\n"
	      "addresses = {192.0.2.1} ports = {",
	 "%u,", "} }\n", PARAMS_SERVICE_RANGES, "ports: too many; allowed are 16"},
	{NODE "service \"s\" { protocol = tcp technology = l4/3 targets = {web1}\n"
	      "addresses = {192.0.2.1} sources = {",
	 "10.9.0.%u,", "} }\n", PARAMS_SOURCES, "sources: too many; allowed are 16"},
	{NODE "path \"x\" { id = 9 addresses = {", "10.3.0.%u,", "} }\n", PARAMS_PATH_ADDRS,
	 "addresses: too many; allowed are 8"},
	{NODE "port \"x\" { device = e answer-for = {", "192.0.2.%u,", "} }\n", PARAMS_PORT_ANSWERS,
	 "answer-for: too many; allowed are 64"},
};

static char *filled(const struct limit *l, unsigned n)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(l->before, f);
	for (unsigned i = 10; i < n + 10; i++)
		for (const char *c = l->item; *c; c++) {
			bool number = c[0] == '%' && c[1] == 'u';
			if (number)
				fprintf(f, "%u", i);
			else
				fputc(*c, f);
			c += number;
		}
	fputs(l->after, f);
	fclose(f);
	return text;
}

START_TEST(at_the_limit)
{
	char *text = filled(&limits[_i], limits[_i].max);
	struct outcome o = outcome(text, NULL);

	ck_assert_msg(o.n_errors == 0, "%s", o.errors);
	done(&o);
	free(text);

	text = filled(&limits[_i], limits[_i].max + 1);
	o = outcome(text, NULL);
	ck_assert_msg(strstr(o.errors, limits[_i].error) && o.n_errors == 1, "%s", o.errors);
	done(&o);
	free(text);
}
END_TEST

/* Sixteen services name all targets; the next one finds no room. */
START_TEST(target_lists_have_a_limit)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct outcome o;

	fputs(NODE, f);
	for (unsigned i = 2; i < PARAMS_TARGETS; i++)
		fprintf(f, "target \"t%u\" { addresses = {10.4.0.9} }\n", i);
	for (unsigned i = 0; i < PARAMS_TARGET_LISTS / (PARAMS_TARGETS - 2) + 1; i++) {
		fprintf(f,
			"service \"s%u\" { addresses = {192.0.2.%u} protocol = tcp technology = "
			"l4/2\ntargets = {",
			i, i + 1);
		for (unsigned j = 2; j < PARAMS_TARGETS; j++)
			fprintf(f, "t%u,", j);
		fputs("} }\n", f);
	}
	fclose(f);
	o = outcome(text, NULL);
	ck_assert_msg(
		strstr(o.errors, "service \"s16\": targets: too many names; allowed are 32") &&
			o.n_errors == 1,
		"%s", o.errors);
	done(&o);
	free(text);
}
END_TEST

/* --- reload
 * ---------------------------------------------------------------------------------------- */

static unsigned compare(const char *old_text, const char *new_text, char **out)
{
	struct outcome a = outcome(old_text, NULL), b = outcome(new_text, NULL);
	size_t size;
	FILE *f = open_memstream(out, &size);
	unsigned n;

	ck_assert_str_eq(a.errors, "");
	ck_assert_str_eq(b.errors, "");
	n = conf_restart_only(a.params, b.params, f);
	fclose(f);
	done(&a);
	done(&b);
	return n;
}

#define DISPATCHER(more)                                                                           \
	"dispatcher \"d\" { role = outer firewall-port = back ports = {farm} " more " }\n"

static const struct {
	const char *old, *new, *said; /* "" = a reload does it */
} reloads[] = {
	{NODE SERVICE(""),
	 NODE "target \"t\" { addresses = {10.4.0.9} weight = 3 }\n" SERVICE(
		 "sorry = t ports = {80} affinity = source"),
	 ""},
	{NODE SERVICE(""),
	 "node = a\n" PORTS "path \"fw3\" { id = 3 addresses = {10.3.0.3} }\n" TARGETS
	 "dispatcher \"inner\" { role = inner firewall-port = back ports = {spare, farm}\n"
	 "algorithm = round-robin unknown = reset probe = 10.2.0.1 hash-seed = 9 }\n",
	 ""},
	{"node = a\n" PORTS PATHS DISPATCHER(""),
	 "node = a\n" PORTS PATHS DISPATCHER("max-flows = 2048"),
	 "dispatcher \"d\": \"max-flows\" has changed, which needs a restart\n"},
	{"node = a\n" PORTS PATHS DISPATCHER(""),
	 "node = a\n" PORTS PATHS DISPATCHER("max-affinities = 2048 max-fragments = 99"),
	 "dispatcher \"d\": \"max-affinities\" has changed, which needs a restart\n"
	 "dispatcher \"d\": \"max-fragments\" has changed, which needs a restart\n"},
	{"node = a\n" PORTS PATHS DISPATCHER(""),
	 "node = a\n" PORTS PATHS "dispatcher \"d\" { role = stage ports = {farm} }\n",
	 "dispatcher \"d\": \"role\" has changed, which needs a restart\n"},
	{"node = a\n" PORTS PATHS DISPATCHER(""), NODE,
	 "dispatcher \"inner\" stands where dispatcher \"d\" stood, which needs a restart\n"},
	{"node = a\n" PORTS PATHS DISPATCHER(""),
	 "node = a\n" PORTS PATHS DISPATCHER("") "dispatcher \"e\" { role = stage ports = {spare} "
						 "}\n",
	 "the number of dispatchers has changed, which needs a restart\n"},
	{"node = a\n" PORTS PATHS DISPATCHER(""),
	 "node = a\n" PORTS PATHS DISPATCHER("") "firewall { }\n",
	 "section \"firewall\" was added, which needs a restart\n"},
	{"node = a\n" PORTS PATHS DISPATCHER("") "firewall { }\n",
	 "node = a\n" PORTS PATHS DISPATCHER(""),
	 "section \"firewall\" was removed, which needs a restart\n"},
};

START_TEST(reload_or_restart)
{
	char *said;
	unsigned n = compare(reloads[_i].old, reloads[_i].new, &said), lines = 0;

	ck_assert_str_eq(said, reloads[_i].said);
	for (const char *c = said; *c; c++)
		lines += *c == '\n';
	ck_assert_uint_eq(n, lines);
	free(said);
}
END_TEST

#define N(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("conf_dispatch");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, defaults);
	tcase_add_test(tc, every_option_of_dispatchers);
	tcase_add_test(tc, every_option_of_services);
	tcase_add_test(tc, nodes);
	tcase_add_loop_test(tc, algorithms, 0, N(algorithm_words));
	tcase_add_loop_test(tc, allowed, 0, N(good));
	tcase_add_test(tc, all_errors_in_one_run);
	tcase_add_loop_test(tc, one_error, 0, N(bad));
	tcase_add_loop_test(tc, warnings, 0, N(warned));
	tcase_add_loop_test(tc, at_the_limit, 0, N(limits));
	tcase_add_test(tc, target_lists_have_a_limit);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, reload_or_restart, 0, N(reloads));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
