/*
 * check_conf_l7.c - the configuration of services by L7.
 *
 * proves: HD-8 HD-16 HD-17 HD-18 HD-20
 */
#define _GNU_SOURCE 1 /* asprintf */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name_id.h"
#include "conf/conf.h"

/* What one reading gave. */
struct outcome {
	struct params *params;
	char *errors;
	unsigned n_errors;
};

static struct outcome outcome(const char *text)
{
	struct outcome o = {.n_errors = 99};
	size_t size;
	FILE *f = open_memstream(&o.errors, &size);

	o.params = conf_parse("t.conf", text, f, &o.n_errors);
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

/* eight lines, twelve with the cluster */
#define PORTS                                                                                      \
	"port \"outside\" { device = eth0 addresses = {198.51.100.254/24} }\n"                     \
	"port \"farm\" { device = eth1 addresses = {10.4.0.254/24} }\n"
#define TARGETS                                                                                    \
	"target \"web1\" { addresses = {10.4.0.11} port = 8080 }\n"                                \
	"target \"web2\" { addresses = {10.77.0.12} }\n"                                           \
	"target \"six\" { addresses = {\"fd00:4::13\"} }\n"
#define STAGE "dispatcher \"lb\" { role = stage ports = {outside, farm} }\n"
#define NODE "\nnode = a\n" PORTS TARGETS STAGE
#define CLUSTER "cluster { device = eth3 }\nmember \"a\" { id = 1 }\nmember \"b\" { id = 2 }\n\n"
#define SERVICE(more)                                                                              \
	"service \"web\" { addresses = {192.0.2.80} protocol = tcp ports = {80} technology = "     \
	"l7/3 targets = {web1, web2, six} " more " }\n"
#define ROUTE(more) SERVICE("\nroute \"r\" { targets = {web1} " more " }\n")

/* --- what is read ---------------------------------------------------------------------------- */

START_TEST(defaults)
{
	struct outcome o = outcome(NODE SERVICE(""));

	ck_assert_str_eq(o.errors, "");
	const struct params *p = o.params;
	const struct service_params *s = &p->services[0];

	ck_assert_uint_eq(p->n_services, 1);
	ck_assert_int_eq(s->technology, TECHNOLOGY_L7_3);
	ck_assert_uint_eq(s->route_of, PARAMS_NONE);
	ck_assert_uint_eq(s->l7.content, L7_CONTENT_HTTP);
	ck_assert_uint_eq(s->l7.cookie, L7_COOKIE_NONE);
	ck_assert_str_eq(s->l7.cookie_name, "");
	ck_assert_uint_eq(s->l7.cookie_age_s, 0);
	ck_assert_uint_eq(s->l7.cookie_epoch, 0);
	ck_assert_uint_eq(s->l7.cookie_drain_s, 3600);
	ck_assert(!s->l7.cookie_secure);
	ck_assert_uint_eq(s->l7.forwarded, L7_FORWARDED_NONE);
	ck_assert_uint_eq(s->l7.relay, L7_RELAY_NONE);
	ck_assert_uint_eq(p->legs_port, PARAMS_NO_PORT);
	ck_assert(!s->l7.forwarded_believe);
	ck_assert(!s->l7.proxy_protocol);
	ck_assert_uint_eq(s->l7.max_idle, 1024);
	ck_assert_uint_eq(s->l7.max_queue, 1024);
#define IS_DEFAULT(field, key, def) ck_assert_uint_eq(s->l7.field##_ms, def);
	L7_TIMEOUT_LIST(IS_DEFAULT)
#undef IS_DEFAULT
	ck_assert_uint_eq(p->targets[0].max_connections, 0);
	ck_assert_uint_eq(p->l7.max_connections, 8192);
	ck_assert_uint_eq(p->l7.max_head, 16384);
	ck_assert_uint_eq(p->l7.log, L7_LOG_NONE);
	ck_assert_str_eq(p->l7.log_file, "");
	done(&o);
}
END_TEST

/* The stack is one more port, of the dispatcher that serves. */
START_TEST(private_stack)
{
	struct outcome o =
		outcome("node = a\n" PORTS TARGETS "port \"front\" { device = eth5 }\n"
			"port \"net\" { device = eth6 }\n"
			"path \"fw1\" { id = 1 addresses = {10.2.0.1, 198.51.100.1} }\n"
			"dispatcher \"o\" { role = outer firewall-port = front ports = {net} }\n"
			"dispatcher \"i\" { role = inner firewall-port = outside ports = {farm} "
			"}\n" SERVICE(""));
	ck_assert_str_eq(o.errors, "");
	const struct params *p = o.params;
	const struct port_params *stack = &p->ports[4];

	ck_assert_uint_eq(p->n_ports, 5);
	ck_assert_uint_eq(p->stack_port, 4);
	ck_assert_str_eq(stack->name, "stack");
	ck_assert_str_eq(stack->segment, "stack");
	ck_assert_str_eq(stack->device, "");
	ck_assert(stack->is_stack);
	ck_assert(!stack->has_mac);
	ck_assert_int_eq(stack->backend, BACKEND_PACKET);
	ck_assert_uint_eq(stack->rx_buffer, 16777216);
	ck_assert_uint_eq(stack->n_addresses, 0);
	ck_assert_uint_eq(p->dispatchers[0].n_ports, 1);
	ck_assert_uint_eq(p->dispatchers[1].n_ports, 2);
	ck_assert_uint_eq(p->dispatchers[1].ports[0], 1);
	ck_assert_uint_eq(p->dispatchers[1].ports[1], 4);
	done(&o);
}
END_TEST

START_TEST(no_private_stack)
{
	struct outcome o = outcome(NODE "service \"web\" { addresses = {192.0.2.80} protocol = tcp "
					"technology = l4/3 targets = {web1, web2} }\n");
	const struct params *p = o.params;

	ck_assert_uint_eq(o.n_errors, 0);
	ck_assert_uint_eq(p->stack_port, PARAMS_NO_PORT);
	ck_assert_uint_eq(p->legs_port, PARAMS_NO_PORT);
	ck_assert_uint_eq(p->n_ports, 2);
	ck_assert_uint_eq(p->dispatchers[0].n_ports, 2);
	done(&o);
	o = outcome("node = a\n" PORTS "firewall { }\n");
	ck_assert_uint_eq(o.params->stack_port, PARAMS_NO_PORT);
	ck_assert_uint_eq(o.params->legs_port, PARAMS_NO_PORT);
	done(&o);
}
END_TEST

START_TEST(every_option_of_cookies)
{
	struct outcome o = outcome(
		NODE CLUSTER SERVICE("content = http cookie = insert cookie-name = \"__Host-S!\"\n"
				     "cookie-domain = .example.org cookie-age = 365d cookie-secure "
				     "= yes cookie-epoch = 4294967295 cookie-drain = 90s"));
	ck_assert_str_eq(o.errors, "");
	const struct l7_params *l = &o.params->services[0].l7;

	ck_assert_uint_eq(l->cookie, L7_COOKIE_INSERT);
	ck_assert_str_eq(l->cookie_name, "__Host-S!");
	ck_assert_str_eq(l->cookie_domain, ".example.org");
	ck_assert_uint_eq(l->cookie_age_s, 31536000);
	ck_assert(l->cookie_secure);
	ck_assert_uint_eq(l->cookie_epoch, 4294967295U);
	ck_assert_uint_eq(l->cookie_drain_s, 90);
	done(&o);

	o = outcome(NODE CLUSTER SERVICE("cookie = prefix cookie-name = JSESSIONID cookie-age = 2h "
					 "cookie-epoch = 7 cookie-drain = 0s"));
	ck_assert_str_eq(o.errors, "");
	l = &o.params->services[0].l7;
	ck_assert_uint_eq(l->cookie, L7_COOKIE_PREFIX);
	ck_assert_uint_eq(l->cookie_age_s, 7200);
	ck_assert_uint_eq(l->cookie_drain_s, 0);
	done(&o);

	/* no key is needed for the server's own */
	o = outcome(NODE SERVICE("cookie = own cookie-name = S cookie-pattern = \"*.%\""));
	ck_assert_str_eq(o.errors, "");
	l = &o.params->services[0].l7;
	ck_assert_uint_eq(l->cookie, L7_COOKIE_OWN);
	ck_assert_str_eq(l->cookie_pattern, "*.%");
	done(&o);
}
END_TEST

START_TEST(every_other_option)
{
	struct outcome o = outcome(
		NODE "l7 { max-connections = 1048576 max-head = 65536 access-log = json "
		     "congestion-control = bbr\n"
		     "access-log-file = /var/log/x }\n"
		     "target \"t\" { addresses = {10.4.0.9} max-connections = 7 }\n" SERVICE(
			     "sorry = t forwarded = both forwarded-believe = true proxy-protocol = "
			     "on max-idle = 0 max-queue = 1 head-timeout = 11ms keep-timeout = 12s "
			     "client-timeout = 13s connect-timeout = 14s server-timeout = 15s "
			     "queue-timeout = 16s idle-timeout = 17s tunnel-timeout = 7d"));
	ck_assert_str_eq(o.errors, "");
	const struct params *p = o.params;
	const struct l7_params *l = &p->services[0].l7;

	ck_assert_uint_eq(p->l7.max_connections, 1048576);
	ck_assert_str_eq(p->l7.congestion, "bbr");
	ck_assert_uint_eq(p->l7.max_head, 65536);
	ck_assert_uint_eq(p->l7.log, L7_LOG_JSON);
	ck_assert_str_eq(p->l7.log_file, "/var/log/x");
	ck_assert_uint_eq(p->targets[3].max_connections, 7);
	ck_assert_uint_eq(l->forwarded, L7_FORWARDED_BOTH);
	ck_assert(l->forwarded_believe);
	ck_assert(l->proxy_protocol);
	ck_assert_uint_eq(l->max_idle, 0);
	ck_assert_uint_eq(l->max_queue, 1);
	ck_assert_uint_eq(l->head_ms, 11);
	ck_assert_uint_eq(l->keep_ms, 12000);
	ck_assert_uint_eq(l->client_ms, 13000);
	ck_assert_uint_eq(l->connect_ms, 14000);
	ck_assert_uint_eq(l->server_ms, 15000);
	ck_assert_uint_eq(l->queue_ms, 16000);
	ck_assert_uint_eq(l->idle_ms, 17000);
	ck_assert_uint_eq(l->tunnel_ms, 604800000);
	done(&o);
}
END_TEST

static const char with_routes[] =
	NODE "service \"one\" { addresses = {192.0.2.1} protocol = tcp technology = l7/3\n"
	     "ports = {80, \"8000-8001\"} targets = {six} affinity = source affinity-timeout = 1m\n"
	     "forwarded = forwarded algorithm = least-connections\n"
	     "route \"first\" { host = \"*.example.org\" path = \"/a%20b/\" method = GET\n"
	     "  header = X-A header-value = \"a b\" cookie = beta targets = {web2, web1}\n"
	     "  algorithm = static sorry = six }\n"
	     "route \"2\" { path = \"/\" targets = {web1} }\n"
	     "}\n"
	     "service \"two\" { addresses = {192.0.2.1} protocol = tcp technology = l4/3\n"
	     "  ports = {443} targets = {web1} }\n"
	     "service \"tls\" { addresses = {192.0.2.2, \"2001:db8::2\"} protocol = tcp\n"
	     "  technology = l7/3 ports = {443} content = tls targets = {web1}\n"
	     "  proxy-protocol = yes head-timeout = 1s tunnel-timeout = 1d\n"
	     "  route \"first\" { host = www.example.org targets = {web2} } }\n";

START_TEST(routes)
{
	struct outcome o = outcome(with_routes);
	ck_assert_str_eq(o.errors, "");
	const struct params *p = o.params;
	const struct service_params *s = p->services;

	ck_assert_uint_eq(p->n_services, 6);
	ck_assert_str_eq(s[0].name, "one");
	ck_assert_str_eq(s[1].name, "one/first");
	ck_assert_str_eq(s[2].name, "one/2");
	ck_assert_str_eq(s[3].name, "two");
	ck_assert_str_eq(s[4].name, "tls");
	ck_assert_str_eq(s[5].name, "tls/first");
	ck_assert_uint_eq(s[0].route_of, PARAMS_NONE);
	ck_assert_uint_eq(s[1].route_of, 0);
	ck_assert_uint_eq(s[2].route_of, 0);
	ck_assert_uint_eq(s[3].route_of, PARAMS_NONE);
	ck_assert_uint_eq(s[5].route_of, 4);

	ck_assert_uint_eq(s[1].n_addresses, 0);
	ck_assert_uint_eq(s[1].line, 12);
	ck_assert_int_eq(s[1].technology, TECHNOLOGY_L7_3);
	ck_assert_int_eq(s[1].algorithm, CHOICE_STATIC);
	ck_assert_uint_eq(s[1].targets.n, 2);
	ck_assert_uint_eq(p->target_lists[s[1].targets.first], 1);
	ck_assert_uint_eq(p->target_lists[s[1].targets.first + 1], 0);
	ck_assert_uint_eq(s[1].sorry, 2);
	ck_assert(s[1].affinity);
	ck_assert_uint_eq(s[1].affinity_ms, 60000);
	ck_assert_uint_eq(s[1].l7.forwarded, L7_FORWARDED_RFC7239);
	ck_assert_str_eq(s[1].route.host, "*.example.org");
	ck_assert_str_eq(s[1].route.path, "/a%20b/");
	ck_assert_str_eq(s[1].route.method, "GET");
	ck_assert_str_eq(s[1].route.header, "X-A");
	ck_assert_str_eq(s[1].route.header_value, "a b");
	ck_assert_str_eq(s[1].route.cookie, "beta");
	ck_assert_int_eq(s[2].algorithm, CHOICE_ROUND_ROBIN);
	ck_assert_uint_eq(s[2].sorry, PARAMS_NONE);
	ck_assert_str_eq(s[2].route.host, "");
	ck_assert_uint_eq(s[5].l7.content, L7_CONTENT_TLS);
	done(&o);
}
END_TEST

/* Ports, and so the port that a check takes, are those of the service. */
START_TEST(ports_of_routes)
{
	struct outcome o =
		outcome(NODE "target \"t\" { addresses = {10.4.0.9} check = tcp }\n" SERVICE(
			"route \"r\" { path = /x targets = {t} }"));

	ck_assert_str_eq(o.errors, "");
	ck_assert_uint_eq(o.params->services[1].n_ports, 1);
	ck_assert_uint_eq(o.params->services[1].ports[0].lo, 80);
	done(&o);
}
END_TEST

START_TEST(numbers_of_names)
{
	ck_assert_uint_eq(name_id("web1"), 0x93c3efe0); /* in cookies that are out: for ever */
	ck_assert_uint_eq(name_id(""), 0x811c9dc5);
	ck_assert_uint_eq(name_id("web16ad"), name_id("webcyzx"));
}
END_TEST

/* --- l7/2 and relays ---------------------------------------------------------------------------
 */

#define L72(more)                                                                                  \
	"service \"web\" { addresses = {192.0.2.80} protocol = tcp ports = {80} technology = "     \
	"l7/2 targets = {near} " more " }\n"
#define NEAR "target \"near\" { addresses = {10.4.0.20} check = tcp }\n"
#define TWO CLUSTER NEAR
#define REMOTE "target \"far\" { via = {b} }\n"
#define RELAY(relay, more)                                                                         \
	TWO REMOTE SERVICE("cookie = insert cookie-name = S relay = " relay "\nsorry = "           \
			   "near " more)

static void is_stack(const struct params *p, uint16_t index, const char *name)
{
	const struct port_params *port = &p->ports[index];

	ck_assert_str_eq(port->name, name);
	ck_assert_str_eq(port->segment, name);
	ck_assert_str_eq(port->device, "");
	ck_assert(port->is_stack);
	ck_assert(!port->has_mac);
	ck_assert_int_eq(port->backend, BACKEND_PACKET);
	ck_assert_uint_eq(port->rx_buffer, 16777216);
}

/* Requests by MAC address come out of a stack of their own; routes are as their service. */
START_TEST(by_mac)
{
	struct outcome o = outcome(NODE NEAR L72("route \"r\" { path = /x targets = {near} }"));

	ck_assert_msg(o.n_errors == 0, "%s", o.errors); /* others are not used */
	const struct params *p = o.params;

	ck_assert_int_eq(p->services[0].technology, TECHNOLOGY_L7_2);
	ck_assert_int_eq(p->services[1].technology, TECHNOLOGY_L7_2);
	ck_assert_uint_eq(p->services[1].route_of, 0);
	ck_assert(technology_is_l7(p->services[0].technology));
	ck_assert_uint_eq(p->n_ports, 4);
	ck_assert_uint_eq(p->stack_port, 2);
	ck_assert_uint_eq(p->legs_port, 3);
	is_stack(p, 2, "stack");
	is_stack(p, 3, "stack-servers");
	ck_assert_uint_eq(p->dispatchers[0].n_ports, 4);
	ck_assert_uint_eq(p->dispatchers[0].ports[2], 2);
	ck_assert_uint_eq(p->dispatchers[0].ports[3], 3);
	ck_assert_int_eq(p->targets[3].check.kind, CHECK_TCP);
	done(&o);
}
END_TEST

static const struct {
	const char *text;
	uint32_t relay, timeout_ms;
	bool legs;
} relays[] = {
	{NODE RELAY("none", ""), L7_RELAY_NONE, 500, false},
	{NODE RELAY("config", ""), L7_RELAY_CONFIG, 500, true},
	{NODE RELAY("ask", "relay-timeout = 10ms"), L7_RELAY_ASK, 10, true},
	{NODE RELAY("both", "relay-timeout = 1s"), L7_RELAY_BOTH, 1000, true},
	{NODE TWO SERVICE(
		 "sorry = near cookie = own cookie-name = S cookie-pattern = % relay = ask"),
	 L7_RELAY_ASK, 500, true},
};

START_TEST(relay_of_service)
{
	struct outcome o = outcome(relays[_i].text);

	ck_assert_msg(o.n_errors == 0, "%s", o.errors);
	const struct params *p = o.params;

	ck_assert_uint_eq(p->services[0].l7.relay, relays[_i].relay);
	ck_assert_uint_eq(p->services[0].l7.relay_ms, relays[_i].timeout_ms);
	ck_assert_uint_eq(p->stack_port, 2);
	ck_assert_uint_eq(p->legs_port, relays[_i].legs ? 3 : PARAMS_NO_PORT);
	ck_assert_uint_eq(p->n_ports, relays[_i].legs ? 4 : 3);
	done(&o);
}
END_TEST

/* One text for all: what this node is connected to is its own, the rest can be reached by relay. */
static const char shared[] =
	PORTS "dispatcher \"lb\" { role = stage ports = {outside, farm} }\n"
	      "cluster { device = eth3 }\n"
	      "member \"a\" { id = 1 }\nmember \"b\" { id = 2 }\nmember \"c\" { id = 3 }\n"
	      "target \"s1\" { addresses = {10.4.0.11} via = {a} check = http agent-port = 9 }\n"
	      "target \"s2\" { addresses = {10.4.0.254} via = {c, b} check = tcp port = 8080 }\n"
	      "target \"s3\" { addresses = {10.4.0.13} via = {c, a, b} check = tcp }\n"
	      "target \"s4\" { addresses = {10.4.0.14} weight = 9 }\n"
	      "target \"s5\" { via = {c} weight = 9 }\n"
	      "service \"web\" { addresses = {192.0.2.80} protocol = tcp ports = {80}\n"
	      "technology = l7/2 cookie = prefix cookie-name = S relay = both sorry = s4\n"
	      "targets = {s1, s2, s3, s5} route \"r\" { path = /x targets = {s2, s3} } }\n";

static struct outcome shared_at(const char *node)
{
	struct outcome o;
	char *text;

	ck_assert_int_ge(asprintf(&text, "node = %s\n%s", node, shared), 0);
	o = outcome(text);
	free(text);
	return o;
}

START_TEST(targets_elsewhere)
{
	struct outcome o = shared_at("a");

	ck_assert_str_eq(o.errors, "");
	const struct target_params *t = o.params->targets;

	ck_assert_uint_eq(t[0].n_via, 0);
	ck_assert_int_eq(t[0].check.kind, CHECK_HTTP);
	ck_assert_uint_eq(t[0].check.agent_port, 9);
	ck_assert_uint_eq(t[1].n_via, 2);
	ck_assert_uint_eq(t[1].via[0], 2);
	ck_assert_uint_eq(t[1].via[1], 1);
	ck_assert_int_eq(t[1].check.kind, CHECK_NONE);
	ck_assert_uint_eq(t[2].n_via, 0);
	ck_assert_int_eq(t[2].check.kind, CHECK_TCP);
	ck_assert_uint_eq(t[3].n_via, 0);
	ck_assert_uint_eq(t[4].n_via, 1);
	ck_assert(!t[4].has_v4 && !t[4].has_v6);
	done(&o);
}
END_TEST

/* The same file by another node: its own are others, and what is wrong with them is told there. */
START_TEST(targets_elsewhere_seen_from_there)
{
	struct outcome o = shared_at("b");

	ck_assert_ptr_nonnull(strstr(o.errors, "target \"s2\" has a \"port\" of its own"));
	ck_assert_ptr_nonnull(strstr(o.errors, "s2\": addresses: an address of this node's port"));
	ck_assert_uint_eq(o.n_errors, 3); /* the first of a service and of a route */
	done(&o);
}
END_TEST

/* Nothing watches what this node is not connected to. */
START_TEST(agent_elsewhere)
{
	struct outcome o = outcome(
		NODE CLUSTER NEAR
		"target \"far\" { via = {b} agent-port = 7 check = http check-path = /x "
		"}\n" SERVICE("cookie = insert cookie-name = S relay = config sorry = near\n"
			      "route \"r\" { path = / targets = {far, web1} }"));

	ck_assert_str_eq(o.errors, "");
	ck_assert_uint_eq(o.params->targets[4].n_via, 1);
	ck_assert_uint_eq(o.params->targets[4].check.agent_port, 0);
	ck_assert_int_eq(o.params->targets[4].check.kind, CHECK_NONE);
	done(&o);
}
END_TEST

static struct outcome example(const char *name)
{
	struct outcome o = {.n_errors = 99};
	const char *dir = getenv("srcdir");
	size_t size;
	char *path;
	FILE *f = open_memstream(&o.errors, &size);

	ck_assert_int_ge(asprintf(&path, "%s/etc/examples/%s", dir ? dir : ".", name), 0);
	o.params = conf_load(path, f, &o.n_errors);
	fclose(f);
	free(path);
	ck_assert_str_eq(o.errors, "");
	return o;
}

/* The examples of two dispatchers with a file in common: each server is somebody's own, and where
 * it is not, the other's. */
START_TEST(examples_of_one_file)
{
	struct outcome a = example("relay-stage-a.conf"), b = example("relay-stage-b.conf");
	const struct params *p[2] = {a.params, b.params};
	unsigned own[2] = {0};

	ck_assert_uint_eq(p[0]->n_targets, p[1]->n_targets);
	ck_assert_uint_eq(p[0]->services[0].l7.relay, L7_RELAY_BOTH);
	for (uint32_t i = 0; i < p[0]->n_targets; i++)
		for (unsigned n = 0; n < 2; n++) {
			const struct target_params *t = &p[n]->targets[i];

			own[n] += t->n_via == 0;
			ck_assert_str_eq(t->name, p[1 - n]->targets[i].name);
			if (t->n_via == 0)
				continue;
			ck_assert_uint_eq(t->n_via, 1);
			ck_assert_uint_eq(t->via[0], p[1 - n]->self);
			ck_assert_uint_eq(p[1 - n]->targets[i].n_via, 0);
		}
	ck_assert_uint_eq(own[0], 3);
	ck_assert_uint_eq(own[1], 2);
	done(&a);
	done(&b);
}
END_TEST

START_TEST(nobody_to_relay_to)
{
	struct outcome o =
		outcome(NODE "cluster { device = eth3 }\nmember \"a\" { id = 1 }\n" SERVICE(
			"cookie = insert cookie-name = S\nrelay = ask"));

	ck_assert_str_eq(o.errors, "t.conf:12: warning: service \"web\": relay: there is no member "
				   "but this node, so nobody to relay to\n");
	done(&o);
}
END_TEST

/* --- what is refused ---------------------------------------------------------------------------
 */

#define L4(more)                                                                                   \
	"service \"web\" { addresses = {192.0.2.80} protocol = tcp technology = l4/3 targets = "   \
	"{web1, web2} " more " }\n"
#define COOKIE(more) CLUSTER SERVICE("cookie = insert cookie-name = S\n" more)
#define OWN(pattern) SERVICE("cookie = own cookie-name = S\ncookie-pattern = \"" pattern "\"")
#define TLS(more) SERVICE("content = tls\n" more)
#define SECOND(technology, proto, ports)                                                           \
	"service \"two\" { addresses = {192.0.2.81, 192.0.2.80} protocol = " proto                 \
	" technology = " technology " targets = {web1} " ports " }\n"

/* A text, and the one error it must give. */
static const struct {
	const char *text, *error;
} bad[] = {
	/* where it is */
	{"node = a\n" PORTS TARGETS SERVICE("") "firewall { }\n",
	 "t.conf:7: service \"web\": no dispatcher of this node serves it; give one with role"},
	{NODE "port \"x\" { device = e1 }\nport \"y\" { device = e2 }\n"
	      "dispatcher \"more\" { ports = {x}\nrole = inner firewall-port = y }\n"
	      "path \"fw\" { id = 1 addresses = {10.1.1.1} }\n" SERVICE(""),
	 "t.conf:12: dispatcher \"more\": role: dispatcher \"lb\" in line 8 is an inner or a "
	 "stage"},
	{NODE "port \"stack\" { device = e1 }\n" SERVICE(""),
	 "t.conf:9: port \"stack\": the name \"stack\" is taken by the private stack of services "
	 "by L7; allowed is any other"},
	{NODE "port \"x\" { device = e1 segment = stack }\n" SERVICE(""),
	 "t.conf:9: port \"x\": the name \"stack\" is taken"},
	{NODE "firewall { rule \"r\" { action = pass in = stack } }\n" SERVICE(""),
	 "in: no port \"stack\"; the ports are outside, farm"},
	/* protocol, addresses, ports */
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = udp technology = l7/3 ports = "
	      "{53}\ntargets = {web1} }\n",
	 "t.conf:9: service \"s\": protocol: technology \"l7/3\" is for TCP; allowed is tcp"},
	{NODE "service \"s\" { protocol = tcp technology = l7/3 ports = {53} targets = {web1} }\n",
	 "t.conf:9: service \"s\": option \"addresses\" is missing or empty"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l7/3\n"
	      "targets = {web1} }\n",
	 "t.conf:9: service \"s\": option \"ports\" is missing or empty; technology \"l7/3\" "
	 "listens on each, give at least one port"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l7/3\n"
	      "ports = {} targets = {web1} }\n",
	 "t.conf:9: service \"s\": option \"ports\" is missing or empty"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l7/3\n"
	      "ports = {80, \"8000-8063\"} targets = {web1} }\n",
	 "t.conf:10: service \"s\": ports: 65 ports; technology \"l7/3\" listens on each, allowed "
	 "are 64"},
	/* what two would share */
	{NODE SERVICE("") SECOND("l7/3", "tcp", "ports = {\"70-80\"}"),
	 "t.conf:10: service \"two\": 192.0.2.80:80 is also what service \"web\" in line 9 takes; "
	 "where one of them is by L7, an address and port is one service's alone"},
	{NODE SERVICE("") SECOND("l4/3", "tcp", ""),
	 "t.conf:10: service \"two\": 192.0.2.80:80 is also what service \"web\" in line 9 takes"},
	{NODE SECOND("l4/3", "tcp", "") SERVICE(""),
	 "t.conf:10: service \"web\": 192.0.2.80:80 is also what service \"two\" in line 9 takes"},
	{NODE SERVICE("") SERVICE("\n"), "t.conf:10: service \"web\" is given twice"},
	/* options of L7 on others, and the other way round */
	{NODE L4("\ncontent = http"),
	 "t.conf:10: service \"web\": content: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("cookie = none"), "cookie: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("cookie-name = S"),
	 "cookie-name: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("cookie-pattern = S"),
	 "cookie-pattern: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("cookie-domain = S"),
	 "cookie-domain: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("cookie-age = 1s"),
	 "cookie-age: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("cookie-secure = no"),
	 "cookie-secure: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("cookie-epoch = 1"),
	 "cookie-epoch: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("cookie-drain = 1s"),
	 "cookie-drain: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("forwarded = none"),
	 "forwarded: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("forwarded-believe = no"), "forwarded-believe: goes with technology = \"l7/2\""},
	{NODE L4("proxy-protocol = no"),
	 "proxy-protocol: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("max-idle = 1"), "max-idle: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("max-queue = 1"), "max-queue: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("head-timeout = 1s"),
	 "head-timeout: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("tunnel-timeout = 1s"),
	 "tunnel-timeout: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("\nroute \"r\" { path = / targets = {web1} }"),
	 "t.conf:10: route \"r\": goes with technology = \"l7/2\" or \"l7/3\" only; l4 reads no "
	 "requests"},
	{NODE "target \"t\" { addresses = {10.4.0.9}\nmax-connections = 3 }\n" L4("sorry = t"),
	 "t.conf:10: target \"t\": max-connections: goes with services of technology = \"l7/2\" "
	 "or \"l7/3\" only"},
	{NODE SERVICE("\nsources = {10.4.0.254}"),
	 "t.conf:10: service \"web\": sources: goes with technology = \"l4/3\" only; with l7/3 "
	 "servers see the node's own address"},
	{NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l7/4\n"
	      "ports = {80} cookie-age = 1s targets = {web1} route \"r\" { path = / } }\n",
	 "t.conf:9: service \"s\": technology: \"l7/4\" is not valid; allowed is l4/2, l4/3, l7/3, "
	 "l7/2"},
	/* l7/2 */
	{NODE NEAR L72("\nsorry = web2"),
	 "t.conf:11: service \"web\": sorry: target \"web2\": 10.77.0.12 is on the network of no "
	 "port "
	 "of a dispatcher; allowed with technology \"l7/2\" are servers on a segment of one"},
	{NODE NEAR L72("\nroute \"r\" { path = / targets = {web2} }"),
	 "t.conf:11: route \"r\": targets: target \"web2\": 10.77.0.12 is on the network of no "
	 "port"},
	{NODE NEAR L72("\nsorry = web1"),
	 "t.conf:11: service \"web\": sorry: target \"web1\" has a \"port\" of its own; allowed "
	 "with "
	 "technology \"l4/3\" or \"l7/3\" only, l7/2 leaves the port as it is"},
	{NODE NEAR L72("route \"r\" { path = /\ntargets = {web1} }"),
	 "t.conf:11: route \"r\": targets: target \"web1\" has a \"port\" of its own"},
	{NODE NEAR L72("\nsorry = six"), "t.conf:11: service \"web\": sorry: target \"six\" has no "
					 "IPv4 address, but the service has"},
	{NODE NEAR L72("\nsources = {10.4.0.254}"),
	 "t.conf:11: service \"web\": sources: goes with technology = \"l4/3\" only; with l7/2 "
	 "servers see the client's"},
	{NODE CLUSTER NEAR "target \"t\" { member = b }\n" L72("\nsorry = t"),
	 "t.conf:16: service \"web\": sorry: target \"t\" is a member; allowed with technology "
	 "\"l7/2\" are servers, with \"addresses\""},
	{NODE "target \"t\" { addresses = {10.4.0.9} }\n"
	      "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l7/2\n"
	      "targets = {t} }\n",
	 "technology \"l7/2\" listens on each, give at least one port"},
	{NODE NEAR "service \"s\" { addresses = {192.0.2.1} protocol = udp technology = l7/2\n"
		   "ports = {80} targets = {near} }\n",
	 "protocol: technology \"l7/2\" is for TCP; allowed is tcp"},
	{NODE "port \"stack-servers\" { device = e1 }\n" NEAR L72(""),
	 "t.conf:9: port \"stack-servers\": the name \"stack-servers\" is taken by the private "
	 "stack "
	 "of services by L7; allowed is any other"},
	{NODE "port \"x\" { device = e1 segment = stack-servers }\n" SERVICE(""),
	 "t.conf:9: port \"x\": the name \"stack-servers\" is taken"},
	{NODE SERVICE("") "target \"t\" { addresses = {192.0.2.80} }\n"
			  "service \"two\" { addresses = {192.0.2.80} protocol = tcp ports = {81}\n"
			  "technology = l7/3 targets = {web1} route \"r\" { path = / targets = {t} "
			  "} }\n",
	 "t.conf:12: route \"r\": targets: target \"t\" has an address of the service itself"},
	/* relays */
	{NODE L4("relay = ask"), "relay: goes with technology = \"l7/2\" or \"l7/3\" only"},
	{NODE L4("relay-timeout = 1s"), "relay-timeout: goes with technology = \"l7/2\" or"},
	{NODE CLUSTER SERVICE("\nrelay = ask"),
	 "t.conf:14: service \"web\": relay: goes with \"cookie\" only"},
	{NODE CLUSTER SERVICE("relay = sticky"), "relay: \"sticky\" is not valid; allowed is none, "
						 "config, ask, both"},
	{NODE COOKIE("relay = config\nrelay-timeout = 1s"),
	 "t.conf:15: service \"web\": relay-timeout: goes with relay = \"ask\" or \"both\" only"},
	{NODE COOKIE("relay-timeout = 1s"), "relay-timeout: goes with relay = \"ask\" or \"both\""},
	{NODE COOKIE("relay = ask relay-timeout = 9ms"), "relay-timeout: \"9ms\" is out of range"},
	{NODE OWN("%\"\nrelay = \"both"), "t.conf:11: service \"web\": relay: needs a section "
					  "cluster { }: relays go to other members"},
	{NODE SERVICE("cookie = insert cookie-name = S relay = ask"),
	 "cookie: needs a section cluster { }"},
	{NODE CLUSTER TLS("relay = ask"), "relay: goes with content = \"http\"; of TLS nothing"},
	{NODE CLUSTER TLS("relay-timeout = 1s"), "relay-timeout: goes with content = \"http\""},
	{NODE RELAY("config", "route \"r\" { path = / targets = {web1}\nrelay = ask }"),
	 "t.conf:17: unknown option \"relay\" in section \"route\"; it belongs into section "
	 "\"service\""},
	/* targets of other dispatchers */
	{NODE TWO "target \"far\" { via = {b} }\n" SERVICE("\nroute \"r\" { path = / targets = "
							   "{near, far} }"),
	 "t.conf:16: route \"r\": targets: target \"far\" is not connected to this node, but "
	 "\"via\" "
	 "others; allowed with services by L7 that have relay = \"config\" or \"both\""},
	{NODE RELAY("ask", "\nroute \"r\" { path = / targets = {near, far} }"),
	 "t.conf:17: route \"r\": targets: target \"far\" is not connected to this node"},
	{NODE RELAY("bth", "\nroute \"r\" { path = / targets = {near, far} }"),
	 "relay: \"bth\" is not valid"},
	{NODE TWO REMOTE L4("\nsorry = far"),
	 "t.conf:16: service \"web\": sorry: target \"far\" is not connected to this node, but "
	 "\"via\" others; allowed with services by L7"},
	{NODE TWO REMOTE
	 "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l7/4\n"
	 "ports = {80} targets = {far, near} }\n",
	 "technology: \"l7/4\" is not valid"},
	{NODE RELAY("both", "route \"r\" { path = / targets = {web1}\nsorry = far }"),
	 "t.conf:17: route \"r\": sorry: target \"far\" is not connected to this node, but \"via\" "
	 "others; allowed is one that is"},
	{NODE RELAY("both", "route \"r\" { path = /\ntargets = {far} }"),
	 "t.conf:17: route \"r\": targets: none of them is connected to this node, all are \"via\" "
	 "others; give at least one that is"},
	{NODE CLUSTER REMOTE "service \"s\" { addresses = {192.0.2.1} protocol = tcp ports = {80}\n"
			     "technology = l7/2 cookie = insert cookie-name = S relay = config\n"
			     "targets = {far} }\n",
	 "t.conf:16: service \"s\": targets: none of them is connected to this node"},
	{NODE CLUSTER "target \"t\" { addresses = {10.4.0.8}\nvia = {b, a} }\n" L4("sorry = t"),
	 "t.conf:14: target \"t\": via: goes with services of technology = \"l7/2\" or \"l7/3\" "
	 "only"},
	{NODE CLUSTER "target \"t\" { via = {a} }\n" SERVICE("sorry = t"),
	 "t.conf:13: target \"t\": neither \"addresses\" of a server nor \"member\""},
	{NODE CLUSTER "target \"t\" { member = b\nvia = {b} }\n" L4("sorry = t"),
	 "t.conf:14: target \"t\": via: goes with a server, not with \"member\", only"},
	{NODE TWO "target \"t\" { addresses = {10.4.0.8}\nvia = {c} }\n" SERVICE("sorry = near"),
	 "t.conf:15: target \"t\": via: no member \"c\"; the members are a, b"},
	{NODE "target \"t\" { addresses = {10.4.0.8} via = {b} }\n" SERVICE("sorry = t"),
	 "via: no member \"b\"; there is no section member \"name\" { } at all"},
	{NODE TWO "target \"t\" { via = {b, b} }\n" SERVICE("sorry = near"),
	 "target \"t\": via: \"b\" is given twice; once is allowed"},
	{NODE TWO "member \"m3\" { id = 3 } member \"m4\" { id = 4 } member \"m5\" { id = 5 }\n"
		  "member \"m6\" { id = 6 } member \"m7\" { id = 7 } member \"m8\" { id = 8 }\n"
		  "member \"m9\" { id = 9 } member \"mA\" { id = 10 }\n"
		  "target \"t\" { via = {b, m3, m4, m5, m6, m7, m8, m9, mA} }\n" SERVICE(""),
	 "t.conf:17: target \"t\": via: too many names; allowed are 8"},
	/* cookies */
	{NODE SERVICE("\ncookie = insert cookie-name = S"),
	 "t.conf:10: service \"web\": cookie: needs a section cluster { }: the keys of cookies are "
	 "made of the cluster's, so that all dispatchers understand them"},
	{NODE SERVICE("cookie = prefix cookie-name = S"), "cookie: needs a section cluster { }"},
	{NODE CLUSTER SERVICE("\ncookie = insert"),
	 "t.conf:14: service \"web\": option \"cookie-name\" is missing; give the name of the"},
	{NODE CLUSTER SERVICE("cookie = insert cookie-name = \"a b\""),
	 "cookie-name: \"a b\" is not valid; allowed is up to 64 letters, digits and characters "
	 "out of !#$%&'*+-.^_`|~"},
	{NODE CLUSTER SERVICE("cookie = insert cookie-name = \"a;b\""), "\"a;b\" is not valid"},
	{NODE CLUSTER SERVICE("cookie = insert cookie-name = "
			      "\"12345678901234567890123456789012345678901234567890123456789012345"
			      "\""),
	 "1234567890\" is out of range; allowed is up to 64 letters"},
	{NODE COOKIE("cookie-domain = \"a;b\""),
	 "t.conf:14: service \"web\": cookie-domain: \"a;b\" is not valid; allowed is the name of"},
	{NODE COOKIE("cookie-domain = \"example..org\""), "cookie-domain: \"example..org\" is not"},
	{NODE COOKIE("cookie-age = 366d"),
	 "cookie-age: \"366d\" is out of range; allowed is a time 0s..365d, with its unit s, m, h "
	 "or d"},
	{NODE COOKIE("cookie-age = 1500ms"), "cookie-age: \"1500ms\" is not valid; allowed is a"},
	{NODE COOKIE("cookie-age = 15"), "\"15\" lacks its unit (\"15s\" or \"15m\"?); allowed is"},
	{NODE COOKIE("cookie-drain = 31d"), "\"31d\" is out of range; allowed is a time 0s..30d"},
	{NODE COOKIE("cookie-pattern = \"%\""), "cookie-pattern: goes with cookie = \"own\" only"},
	{NODE SERVICE("cookie-name = S"), "cookie-name: goes with \"cookie\" only"},
	{NODE SERVICE("cookie = none cookie-drain = 1s"),
	 "cookie-drain: goes with \"cookie\" only"},
	{NODE SERVICE("cookie-age = 1s"),
	 "cookie-age: goes with cookie = \"insert\" or \"prefix\" only"},
	{NODE SERVICE("cookie-epoch = 1"), "cookie-epoch: goes with cookie = \"insert\" or \"pref"},
	{NODE CLUSTER SERVICE("cookie = prefix cookie-name = S cookie-secure = yes"),
	 "cookie-secure: goes with cookie = \"insert\" only"},
	{NODE SERVICE("cookie-domain = x"), "cookie-domain: goes with cookie = \"insert\" only"},
	{NODE SERVICE("\ncookie = own cookie-name = S"),
	 "t.conf:10: service \"web\": option \"cookie-pattern\" is missing; cookie = \"own\" needs "
	 "to know where in the cookie the name of the server is, as in \"*.%\""},
	{NODE OWN(""), "option \"cookie-pattern\" is missing"},
	{NODE OWN("*."), "t.conf:10: service \"web\": cookie-pattern: \"*.\" has no '%', which"},
	{NODE OWN("%.%"), "cookie-pattern: \"%.%\" has two '%' or two '*'; one is allowed"},
	{NODE OWN("*%"), "cookie-pattern: \"*%\" has nothing between '%' and '*', so nothing says"},
	{NODE OWN("a%*b"), "cookie-pattern: \"a%*b\" has nothing between"},
	{NODE OWN("*.%.*"), "cookie-pattern: \"*.%.*\" has two '%' or two '*'"},
	{NODE CLUSTER "target \"web16ad\" { addresses = {10.4.0.8} }\n"
		      "target \"webcyzx\" { addresses = {10.4.0.9} }\n" SERVICE(
			      "sorry = webcyzx route \"r\" { path = / targets = {web16ad} }"),
	 "t.conf:14: service \"web\": cookies cannot tell the targets \"web16ad\" and \"webcyzx\" "
	 "apart: their names have the same number; rename one"},
	/* numbers, words, the node */
	{NODE SERVICE("content = https"), "content: \"https\" is not valid; allowed is http, tls"},
	{NODE SERVICE("cookie = sticky"), "allowed is none, insert, prefix, own"},
	{NODE SERVICE("forwarded = x"), "allowed is none, x-forwarded-for, forwarded, both"},
	{NODE SERVICE("forwarded-believe = yes"),
	 "forwarded-believe: goes with \"forwarded\" only"},
	{NODE SERVICE("max-idle = 65537"), "max-idle: \"65537\" is out of range"},
	{NODE SERVICE("head-timeout = 10"), "head-timeout: \"10\" lacks its unit"},
	{NODE SERVICE("head-timeout = 9ms"), "head-timeout: \"9ms\" is out of range"},
	{NODE "l7 { max-connections = 15 }\n" SERVICE(""), "l7: max-connections: \"15\" is out of"},
	{NODE "l7 { max-head = 4095 }\n" SERVICE(""),
	 "t.conf:9: l7: max-head: \"4095\" is out of range; allowed is a number 4096..65536"},
	{NODE "l7 { max-head = 65537 }\n" SERVICE(""), "l7: max-head: \"65537\" is out of range"},
	{NODE "l7 { access-log = common }\n" SERVICE(""), "allowed is none, combined, json"},
	{NODE "l7 { access-log = json access-log-file = x }\n" SERVICE(""),
	 "access-log-file: \"x\" is not valid; allowed is an absolute path"},
	{NODE "l7 { access-log-file = /x }\n" SERVICE(""),
	 "access-log-file: goes with access-log = \"combined\" or \"json\" only"},
	/* targets */
	{NODE CLUSTER "target \"t\" { member = b }\n" SERVICE("\nsorry = t"),
	 "t.conf:15: service \"web\": sorry: target \"t\" is a member; allowed with technology "
	 "\"l7/3\" are servers, with \"addresses\""},
	{NODE CLUSTER "target \"t\" { member = b }\n" SERVICE("route \"r\" { path = / targets = "
							      "{web1,\nt} }"),
	 "t.conf:15: route \"r\": targets: target \"t\" is a member"},
	{NODE CLUSTER "target \"t\" { member = b max-connections = 1 }\n" L4("sorry = t"),
	 "max-connections: goes with"},
	{NODE "target \"t\" { addresses = {192.0.2.80} }\n" SERVICE("\nsorry = t"),
	 "t.conf:11: service \"web\": sorry: target \"t\" has an address of the service itself"},
	{NODE "target \"t\" { addresses = {10.4.0.9} check = tcp max-connections = -1 }\n" SERVICE(
		 "sorry = t"),
	 "max-connections: \"-1\" is not valid; allowed is a number 0..1048576"},
	/* routes */
	{NODE SERVICE("\nroute \"r\" { targets = {web1} }"),
	 "t.conf:10: route \"r\": no condition; give at least one of host, path, method, header "
	 "and cookie"},
	{NODE ROUTE("path = \"\""), "route \"r\": no condition"},
	{NODE SERVICE("\nroute \"r\" { path = / }"),
	 "t.conf:10: route \"r\": option \"targets\" is missing or empty"},
	{NODE SERVICE("\nroute \"r/s\" { path = / targets = {web1} }"),
	 "t.conf:10: route \"r/s\": not valid as a name"},
	{NODE SERVICE("\nroute \"1234567890123456789012345678\" { path = / targets = {web1} }"),
	 "the name is too long behind \"web/\"; both are allowed 30 characters together"},
	{NODE SERVICE("route \"r\" { path = /a targets = {web1} }\nroute \"r\" { path = /b targets "
		      "= {web1} }"),
	 "t.conf:10: route \"r\" is given twice, first in line 9; names must differ"},
	{NODE ROUTE("path = img"), "t.conf:10: route \"r\": path: \"img\" is not valid; allowed is "
				   "the beginning of a path such as \"/img\""},
	{NODE ROUTE("path = \"/a b\""), "path: \"/a b\" is not valid"},
	{NODE ROUTE("path = \"/a?b\""), "path: \"/a?b\" is not valid"},
	{NODE ROUTE("path = \"/\xc3\xa4\""), "is not valid; allowed is the beginning of a path"},
	{NODE ROUTE("host = \"a b\""), "host: \"a b\" is not valid; allowed is a name such as"},
	{NODE ROUTE("host = \"*\""), "host: \"*\" is not valid"},
	{NODE ROUTE("host = \"*.\""), "host: \"*.\" is not valid"},
	{NODE ROUTE("host = \"a.*.b\""), "host: \"a.*.b\" is not valid"},
	{NODE ROUTE("host = \"[::1\""), "host: \"[::1\" is not valid"},
	{NODE ROUTE("host = \"a.example:80\""), "host: \"a.example:80\" is not valid"},
	{NODE ROUTE("method = \"GET,PUT\""),
	 "method: \"GET,PUT\" is not valid; allowed is up to 31"},
	{NODE ROUTE("header = \"X Y\""), "header: \"X Y\" is not valid; allowed is up to 63"},
	{NODE ROUTE("path = / cookie = \"a=b\""), "cookie: \"a=b\" is not valid; allowed is up to"},
	{NODE ROUTE("path = / header-value = x"),
	 "header-value: goes with \"header\", its name, only"},
	{NODE ROUTE("header = x header-value = \" x\""),
	 "header-value: \" x\" is not valid; allowed is the value of a field, without white space"},
	{NODE ROUTE("path = / sorry = web1"),
	 "route \"r\": sorry: \"web1\" is in \"targets\", too"},
	{NODE ROUTE("path = / sorry = web9"), "route \"r\": sorry: no target \"web9\""},
	{NODE ROUTE("path = / forwarded = x"),
	 "t.conf:10: unknown option \"forwarded\" in section \"route\"; it belongs into section "
	 "\"service\""},
	/* TLS */
	{NODE TLS("cookie-drain = 1s"),
	 "t.conf:10: service \"web\": cookie-drain: goes with content = \"http\"; of TLS nothing "
	 "but the server's name is read, only"},
	{NODE TLS("forwarded = both"), "forwarded: goes with content = \"http\""},
	{NODE TLS("keep-timeout = 1s"), "keep-timeout: goes with content = \"http\""},
	{NODE TLS("max-idle = 1"), "max-idle: goes with content = \"http\""},
	{NODE TLS("route \"r\" { host = x targets = {web1}\npath = / }"),
	 "t.conf:11: route \"r\": path: goes with content = \"http\"; of TLS nothing but the "
	 "server's name (\"host\") is read, only"},
	{NODE TLS("route \"r\" { host = x targets = {web1} cookie = a }"),
	 "cookie: goes with cont"},
	{NODE TLS("route \"r\" { host = x targets = {web1} header = a }"),
	 "header: goes with cont"},
	{NODE TLS("route \"r\" { host = x targets = {web1} method = a }"),
	 "method: goes with cont"},
};

START_TEST(one_error)
{
	struct outcome o = outcome(bad[_i].text);

	ck_assert_ptr_null(o.params);
	ck_assert_msg(strstr(o.errors, bad[_i].error) != NULL, "\"%s\" gave:\n%s", bad[_i].text,
		      o.errors);
	ck_assert_msg(o.n_errors == 1, "\"%s\" gave:\n%s", bad[_i].text, o.errors);
	done(&o);
}
END_TEST

/* --- what is allowed though it looks odd -------------------------------------------------------
 */

static const struct {
	const char *why, *text;
} good[] = {
	{"the same port of another address",
	 NODE SERVICE("") "service \"two\" { addresses = {192.0.2.81} protocol = tcp ports = {80}\n"
			  "technology = l7/3 targets = {web1} }\n"},
	{"another protocol", NODE SERVICE("") SECOND("l4/3", "udp", "ports = {80}")},
	{"another port", NODE SERVICE("") SECOND("l7/3", "tcp", "ports = {81, \"20-79\"}")},
	{"64 ports",
	 NODE "service \"s\" { addresses = {192.0.2.1} protocol = tcp technology = l7/3\n"
	      "ports = {\"8000-8063\"} targets = {web1} }\n"},
	{"targets whose names have the same number, of two services",
	 NODE CLUSTER "target \"web16ad\" { addresses = {10.4.0.8} }\n"
		      "target \"webcyzx\" { addresses = {10.4.0.9} }\n" SERVICE("sorry = webcyzx")
			      SECOND("l7/3", "tcp", "ports = {81} sorry = web16ad")},
	{"a limit of a target that one service by L7 goes by",
	 NODE "target \"t\" { addresses = {10.4.0.8} max-connections = 2 }\n" SERVICE("sorry = t")
		 SECOND("l4/3", "tcp", "ports = {81} sorry = t")},
	{"a port called stack where nothing is by L7",
	 NODE "port \"stack\" { device = e1 }\n" L4("")},
	{"IPv6 and IPv4 as hosts", NODE ROUTE("host = \"[2001:db8::1]\"")},
	{"a host that is an address", NODE ROUTE("host = \"192.0.2.1\"")},
	{"a pattern of only the name", NODE OWN("%")},
	{"a port called stack-servers where nothing is by L7",
	 NODE "port \"stack-servers\" { device = e1 }\n" L4("")},
	{"no relay where there is no cookie", NODE SERVICE("relay = none")},
	{"a target of this node by its list, of a service without relay", NODE CLUSTER
	 "target \"t\" { addresses = {10.4.0.8} via = {b, a} }\n" SERVICE("sorry = t")},
	{"a target of others that no service names", NODE TWO REMOTE SERVICE("sorry = near")},
	{"routes of two services with one name",
	 NODE ROUTE("path = /")
		 SECOND("l7/3", "tcp", "ports = {81} route \"r\" { host = x targets = {web1} }")},
};

START_TEST(allowed)
{
	struct outcome o = outcome(good[_i].text);

	ck_assert_msg(o.n_errors == 0, "%s:\n%s", good[_i].why, o.errors);
	done(&o);
}
END_TEST

/* --- limits ------------------------------------------------------------------------------------
 */

static char *with_many(const char *before, const char *item, unsigned n, const char *after)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(before, f);
	for (unsigned i = 0; i < n; i++)
		for (const char *c = item; *c; c++)
			if (*c == '@')
				fprintf(f, "%u", i + 1);
			else
				fputc(*c, f);
	fputs(after, f);
	fclose(f);
	return text;
}

static void expect(char *text, const char *error)
{
	struct outcome o = outcome(text);

	ck_assert_msg(o.n_errors == (*error ? 1 : 0) && strstr(o.errors, error), "%s", o.errors);
	done(&o);
	free(text);
}

START_TEST(limits)
{
	static const char begin[] =
		NODE "service \"s\" { addresses = {192.0.2.80} protocol = tcp ports = {80} "
		     "technology = l7/3 targets = {web1}\n";
	static const char route[] = "route \"r@\" { path = \"/@\" targets = {web1} }\n";
	static const char service[] = "service \"t@\" { addresses = {192.0.2.81} protocol = tcp "
				      "ports = {@} technology = l4/3 targets = {web1} }\n";
	static const char port[] = "port \"p@\" { device = e@ }\n";

	expect(with_many(begin, route, PARAMS_L7_ROUTES, "}\n"), "");
	expect(with_many(begin, route, PARAMS_L7_ROUTES + 1, "}\n"),
	       "t.conf:74: route \"r65\": too many routes; allowed are 64 of one service");
	/* routes are services, too */
	expect(with_many(NODE ROUTE("path = /"), service, PARAMS_SERVICES - 2, ""), "");
	expect(with_many(NODE ROUTE("path = /"), service, PARAMS_SERVICES - 1, ""),
	       "service \"t255\": too many of these sections; allowed are 256, routes of services "
	       "by L7 included");
	/* and the stack a port */
	expect(with_many(NODE SERVICE(""), port, PARAMS_PORTS - 3, ""), "");
	expect(with_many(NODE SERVICE(""), port, PARAMS_PORTS - 2, ""),
	       "port \"p14\": a port too many; the private stack of services by L7 is one, too, "
	       "allowed are 15 beside it");
	expect(with_many(NODE NEAR L72(""), port, PARAMS_PORTS - 4, ""), "");
	expect(with_many(NODE NEAR L72(""), port, PARAMS_PORTS - 3, ""),
	       "port \"p13\": a port too many; the private stacks of services by L7 are two, too, "
	       "allowed are 14 beside them");
	expect(with_many(NODE NEAR L72(""), port, PARAMS_PORTS - 2, ""),
	       "port \"p13\": a port too many");
}
END_TEST

/* --- reload ------------------------------------------------------------------------------------
 */

static const struct {
	const char *old, *new, *said; /* "" = a reload does it */
} reloads[] = {
	{NODE SERVICE(""), NODE ROUTE("path = /") "l7 { access-log = json }\n", ""},
	{NODE SERVICE(""), NODE SECOND("l7/3", "tcp", "ports = {81} max-idle = 7"), ""},
	{NODE L4(""), NODE SERVICE(""),
	 "the first service by L7 was added, which needs a restart\n"},
	{NODE SERVICE(""), NODE, "the last service by L7 was removed, which needs a restart\n"},
	{NODE SERVICE(""), NODE SERVICE("") "l7 { max-connections = 100 max-head = 5000 }\n",
	 "l7: \"max-connections\" has changed, which needs a restart\n"
	 "l7: \"max-head\" has changed, which needs a restart\n"},
	{NODE L4(""), NODE L4("") "l7 { max-connections = 100 }\n", ""},
	{NODE RELAY("config", ""), NODE RELAY("both", "relay-timeout = 1s"), ""},
	{NODE RELAY("none", ""), NODE RELAY("ask", ""),
	 "the first service by technology \"l7/2\" or with \"relay\" was added, which needs a "
	 "restart\n"},
	{NODE NEAR L72(""), NODE NEAR SERVICE(""),
	 "the last service by technology \"l7/2\" or with \"relay\" was removed, which needs a "
	 "restart\n"},
	{NODE L4(""), NODE NEAR L72(""),
	 "the first service by L7 was added, which needs a restart\n"},
	{NODE NEAR L72(""), NODE, "the last service by L7 was removed, which needs a restart\n"},
	{NODE SERVICE(""), NODE "port \"x\" { device = e1 }\n" SERVICE(""),
	 "the number of ports has changed, which needs a restart\n"},
};

START_TEST(reload_or_restart)
{
	struct outcome a = outcome(reloads[_i].old), b = outcome(reloads[_i].new);
	char *said;
	size_t size;
	FILE *f = open_memstream(&said, &size);
	unsigned n, lines = 0;

	ck_assert_msg(a.params && b.params, "%s%s", a.errors, b.errors);
	/* what the daemon has put in */
	if (a.params->stack_port != PARAMS_NO_PORT)
		snprintf(a.params->ports[a.params->stack_port].device, PARAMS_NAME, "fwc-1-0");
	if (a.params->legs_port != PARAMS_NO_PORT)
		snprintf(a.params->ports[a.params->legs_port].device, PARAMS_NAME, "fwc-1-1");
	n = conf_restart_only(a.params, b.params, f);
	fclose(f);
	ck_assert_str_eq(said, reloads[_i].said);
	for (const char *c = said; *c; c++)
		lines += *c == '\n';
	ck_assert_uint_eq(n, lines);
	free(said);
	done(&a);
	done(&b);
}
END_TEST

/* Each prefix of a text is read; most are wrong, none crashes. */
START_TEST(prefixes)
{
	for (size_t n = 0; n < sizeof(with_routes) - 1; n++) {
		char *text = strndup(with_routes, n);
		struct outcome o = outcome(text);

		done(&o);
		free(text);
	}
}
END_TEST

#define N(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("conf_l7");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, defaults);
	tcase_add_test(tc, private_stack);
	tcase_add_test(tc, no_private_stack);
	tcase_add_test(tc, every_option_of_cookies);
	tcase_add_test(tc, every_other_option);
	tcase_add_test(tc, routes);
	tcase_add_test(tc, ports_of_routes);
	tcase_add_test(tc, numbers_of_names);
	tcase_add_test(tc, by_mac);
	tcase_add_loop_test(tc, relay_of_service, 0, N(relays));
	tcase_add_test(tc, targets_elsewhere);
	tcase_add_test(tc, targets_elsewhere_seen_from_there);
	tcase_add_test(tc, agent_elsewhere);
	tcase_add_test(tc, examples_of_one_file);
	tcase_add_test(tc, nobody_to_relay_to);
	tcase_add_loop_test(tc, one_error, 0, N(bad));
	tcase_add_loop_test(tc, allowed, 0, N(good));
	tcase_add_test(tc, limits);
	tcase_add_loop_test(tc, reload_or_restart, 0, N(reloads));
	tcase_add_test(tc, prefixes);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
