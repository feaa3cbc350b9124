#define _GNU_SOURCE 1 /* asprintf */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "config.h"
#include "guard.h"

/* What one reading gave. */
struct outcome {
	struct params *params;
	char *errors;
	unsigned n_errors;
};

static struct outcome outcome(struct params *params, char *errors, unsigned n)
{
	ck_assert_msg((params != NULL) == (n == 0), "configuration and %u errors: %s", n, errors);
	return (struct outcome){.params = params, .errors = errors, .n_errors = n};
}

static struct outcome parse(const char *text)
{
	char *errors;
	size_t size;
	unsigned n = 99;
	FILE *f = open_memstream(&errors, &size);
	struct params *params = conf_parse("t.conf", text, f, &n);

	fclose(f); /* also brings `errors` up to date */
	return outcome(params, errors, n);
}

static struct outcome load(const char *path)
{
	char *errors;
	size_t size;
	unsigned n = 99;
	FILE *f = open_memstream(&errors, &size);
	struct params *params = conf_load(path, f, &n);

	fclose(f); /* also brings `errors` up to date */
	return outcome(params, errors, n);
}

static void done(struct outcome *o)
{
	conf_free(o->params);
	free(o->errors);
}

/* A file of the source tree, from wherever the test is run. */
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

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

#define PORTS                                                                                      \
	"port \"inside\" { device = \"eth0\" }\n"                                                  \
	"port \"outside\" { device = \"eth1\" }\n"
#define MINIMAL "node = \"fw1\"\n" PORTS "firewall { }\n"
#define CLUSTER                                                                                    \
	"cluster { device = \"eth2\" }\n"                                                          \
	"member \"fw1\" { id = 7 }\nmember \"fw2\" { id = 9 }\n"

START_TEST(defaults)
{
	struct outcome o = parse("node = \"fw2\"\n" PORTS CLUSTER "firewall { }\n");
	ck_assert_str_eq(o.errors, "");
	const struct params *p = o.params;
	const struct cluster_params *c = &p->cluster;
	const struct firewall_params *f = &p->firewall;

	ck_assert_str_eq(p->file, "t.conf");
	ck_assert_str_eq(p->user, "");
	ck_assert_int_eq(p->seccomp, SECCOMP_LOG);
	ck_assert(p->check_host);
	ck_assert_uint_eq(p->offload_flows, 65536);
	ck_assert_uint_eq(p->n_ports, 2);
	ck_assert(!p->ports[0].offload);
	ck_assert_str_eq(p->ports[1].segment, "outside");
	ck_assert_uint_eq(p->ports[0].rx_buffer, 16777216);
	ck_assert_int_eq(p->ports[0].backend, BACKEND_PACKET);
	ck_assert(c->enabled);
	ck_assert_uint_eq(c->id, 1);
	ck_assert_int_eq(c->transport, TRANSPORT_MULTICAST);
	ck_assert_uint_eq(c->group.b[12], 239);
	ck_assert_uint_eq(c->group.b[15], 67);
	ck_assert_uint_eq(c->udp_port, 7067);
	ck_assert_str_eq(c->key_file, "/etc/fwclusterd/cluster.key");
	ck_assert_uint_eq(c->hello_ms, 200);
	ck_assert_uint_eq(c->dead_ms, 1000);
	ck_assert_uint_eq(c->query_timeout_ms, 20);
	ck_assert_uint_eq(c->query_retries, 3);
	ck_assert_uint_eq(c->query_queue, 32);
	ck_assert_uint_eq(c->max_queries, 4096);
	ck_assert_uint_eq(c->negative_ms, 1000);
	ck_assert_uint_eq(c->forward_ms, 30000);
	ck_assert_uint_eq(c->max_forwards, 262144);
	ck_assert_uint_eq(c->query_rate, 20000);
	ck_assert_uint_eq(c->query_burst, 4000);
	ck_assert_uint_eq(c->query_kbytes, 8000);
	ck_assert_uint_eq(c->source_rate, 5000);
	ck_assert(c->backup);
	ck_assert_uint_eq(c->backup_delay_ms, 1000);
	ck_assert_uint_eq(c->backup_refresh_ms, 15000);
	ck_assert_int_eq(c->backup_tracking, TRACKING_LOOSE);
	ck_assert_uint_eq(c->source_burst, 2000);
	ck_assert_uint_eq(p->self, 1);
	ck_assert_uint_eq(p->node_id, 9);
	ck_assert(!p->members[0].has_address);
	ck_assert(f->enabled);
	ck_assert_uint_eq(f->max_flows, 262144);
	ck_assert_uint_eq(f->max_half_open, 131072);
	ck_assert_uint_eq(f->max_fragments, 4096);
	ck_assert_uint_eq(f->originate_rate, 100);
	ck_assert_int_eq(f->default_action, RULE_DROP);
	ck_assert(!f->default_log);
#define TIMEOUT_CHECK(field, key, def) ck_assert_uint_eq(f->timeout_ms.field, def);
	TIMEOUT_LIST(TIMEOUT_CHECK)
#undef TIMEOUT_CHECK
	ck_assert_str_eq(p->control_socket, "/run/fwclusterd/control.sock");
	ck_assert_str_eq(p->control_group, "");
	ck_assert_int_eq(p->log_level, LOG_LVL_INFO);
	ck_assert_int_eq(p->log_target, LOG_TARGET_STDERR);
	done(&o);

	o = parse(MINIMAL);
	ck_assert_str_eq(o.errors, "");
	ck_assert(!o.params->cluster.enabled);
	ck_assert_uint_eq(o.params->node_id, 1);
	done(&o);
}
END_TEST

/* Every option with a value of its own, in every way of writing. */
static const char everything[] =
	"node = fw2 user = 'me' seccomp = enforce check-host = no offload-flows = 1024 // one "
	"line\n"
	"port \"inside\" { device = eth0 backend = pcap segment = \"s1\" vlan = 12 mtu = 1400\n"
	"  addresses = {\"10.1.0.254/24\"} addresses += {\"fd00:1::fe/64\"}\n"
	"  rx-buffer = 65536 promiscuous = yes mac = '02:fc:00:00:0A:ff' }\n"
	"port \"cap\" { backend = file file-in = \"a \\\"b\\\".pcap\" file-out = 'c.pcap' }\n"
	"route \"10.0.0.1/8\" { via = 10.1.0.1 port = inside }\n"
	"route \"2001:db8::/32\" { port = cap }\n"
	"cluster { id = 65535 device = eth2 transport = unicast group = \"ff12::1\" udp-port = 1\n"
	"  key-file = /k cipher = aes-256-gcm query = hold forward = tunnel exception = pass\n"
	"  hello-interval = 1s dead-after = 1m query-timeout = 5ms query-retries = 0\n"
	"  query-queue = 1 max-queries = 16 negative-ttl = 10ms forward-ttl = 1d\n"
	"  max-forwards = 1024 query-rate = 1 query-burst = 2 query-kbytes = 3 source-rate = 4\n"
	"  source-burst = 5 mtu = 1280 backup = off backup-delay = 0ms backup-refresh = 1h "
	"backup-tracking = strict }\n"
	"member \"fw1\" { id = 1 address = \"fd00:9::1\" udp-port = 9 }\n"
	"member \"fw2\" { id = 2 address = \"fd00:9::2\" }\n"
	"firewall { max-flows = 1024 max-half-open = 7 max-per-source = 8 max-fragments = 16\n"
	"  originate-rate = 0 default = reject default-log = on\n"
	"  timeouts { tcp-established = 168h fragment = 100ms }\n"
	"  set \"lan\" { addresses = {10.0.0.0/8, \"fd00::/8\"} }\n"
	"  rule \"a\" { action = reject in = cap out = inside from = {@lan, 192.0.2.1} to = ::/0\n"
	"    protocol = {tcp, 17} source-ports = {1024-65535} ports = {80, \"443\",} log = true }\n"
	"  rule \"b\" { action = pass protocol = {icmp, icmp6}\n"
	"    icmp-types = {echo-request, \"3/4\", redirect} }\n"
	"  rule \"c\" { action = drop protocol = {any} } /* a comment\n over lines */\n"
	"} # the end\n"
	"control { socket = /s group = adm }\n"
	"log { level = debug target = journal }\n";

START_TEST(every_option)
{
	struct outcome o = parse(everything);
	ck_assert_str_eq(o.errors, "");
	const struct params *p = o.params;
	const struct firewall_params *f = &p->firewall;
	char text[ADDR_TEXT];

	ck_assert_str_eq(p->user, "me");
	ck_assert(!p->check_host);
	ck_assert_uint_eq(p->offload_flows, 1024);
	ck_assert_int_eq(p->seccomp, SECCOMP_ENFORCE);
	ck_assert_int_eq(p->ports[0].backend, BACKEND_PCAP);
	ck_assert_str_eq(p->ports[0].segment, "s1");
	ck_assert_uint_eq(p->ports[0].vlan, 12);
	ck_assert_uint_eq(p->ports[0].mtu, 1400);
	ck_assert(!p->cluster.backup);
	ck_assert_uint_eq(p->cluster.backup_delay_ms, 0);
	ck_assert_uint_eq(p->cluster.backup_refresh_ms, 3600000);
	ck_assert_int_eq(p->cluster.backup_tracking, TRACKING_STRICT);
	ck_assert_uint_eq(p->ports[0].rx_buffer, 65536);
	ck_assert(p->ports[0].promiscuous);
	ck_assert(p->ports[0].has_mac);
	ck_assert_str_eq(macaddr_text(text, &p->ports[0].mac), "02:fc:00:00:0a:ff");
	ck_assert(!p->ports[1].has_mac);
	ck_assert_uint_eq(p->ports[0].n_addresses, 2);
	ck_assert_str_eq(prefix_text(text, &p->ports[0].addresses[0]), "10.1.0.254/24");
	ck_assert_str_eq(prefix_text(text, &p->ports[0].addresses[1]), "fd00:1::fe/64");
	ck_assert_str_eq(p->ports[1].file_in, "a \"b\".pcap");
	ck_assert_str_eq(p->ports[1].file_out, "c.pcap");
	ck_assert_uint_eq(p->n_routes, 2);
	ck_assert_str_eq(prefix_text(text, &p->routes[0].dst), "10.0.0.0/8");
	ck_assert_str_eq(ipaddr_text(text, &p->routes[0].via), "10.1.0.1");
	ck_assert_uint_eq(p->routes[0].port, 0);
	ck_assert(ipaddr_is_unspecified(&p->routes[1].via));
	ck_assert_uint_eq(p->routes[1].port, 1);
	ck_assert_int_eq(p->cluster.cipher, CIPHER_AES_256_GCM);
	ck_assert_int_eq(p->cluster.query, QUERY_HOLD);
	ck_assert_int_eq(p->cluster.forward, FORWARD_TUNNEL);
	ck_assert_int_eq(p->cluster.exception, EXCEPTION_PASS);
	ck_assert_uint_eq(p->cluster.dead_ms, 60000);
	ck_assert_uint_eq(p->cluster.forward_ms, 86400000);
	ck_assert_uint_eq(p->cluster.mtu, 1280);
	ck_assert_uint_eq(p->members[0].udp_port, 9);
	ck_assert(p->members[1].has_address);
	ck_assert_uint_eq(f->max_half_open, 7);
	ck_assert_int_eq(f->default_action, RULE_REJECT);
	ck_assert(f->default_log);
	ck_assert_uint_eq(f->timeout_ms.tcp_established, 168u * 3600 * 1000);
	ck_assert_uint_eq(f->timeout_ms.fragment, 100);

	ck_assert_str_eq(p->control_socket, "/s");
	ck_assert_str_eq(p->control_group, "adm");
	ck_assert_int_eq(p->log_level, LOG_LVL_DEBUG);
	ck_assert_int_eq(p->log_target, LOG_TARGET_JOURNAL);
	done(&o);
}
END_TEST

START_TEST(every_option_of_rules)
{
	struct outcome o = parse(everything);
	ck_assert_str_eq(o.errors, "");
	const struct firewall_params *f = &o.params->firewall;
	const struct rule_params *r = f->rules;
	char text[ADDR_TEXT];

	ck_assert_uint_eq(f->n_rules, 3);
	ck_assert_str_eq(r[0].name, "a");
	ck_assert_uint_eq(r[0].line, 20);
	ck_assert_int_eq(r[0].action, RULE_REJECT);
	ck_assert(r[0].log);
	ck_assert_uint_eq(r[0].in_port, 1);
	ck_assert_uint_eq(r[0].out_port, 0);
	ck_assert_uint_eq(r[0].from.n, 3);
	ck_assert_str_eq(prefix_text(text, &f->prefixes[r[0].from.first + 1]), "fd00::/8");
	ck_assert_str_eq(prefix_text(text, &f->prefixes[r[0].from.first + 2]), "192.0.2.1/32");
	ck_assert_uint_eq(r[0].to.n, 1);
	ck_assert_uint_eq(r[0].protocols.n, 2);
	ck_assert_uint_eq(f->ranges[r[0].protocols.first + 1].lo, 17);
	ck_assert_uint_eq(f->ranges[r[0].sports.first].lo, 1024);
	ck_assert_uint_eq(f->ranges[r[0].sports.first].hi, 65535);
	ck_assert_uint_eq(r[0].dports.n, 2);
	ck_assert_uint_eq(r[1].in_port, PARAMS_NO_PORT);
	/* echo-request of both, 3/4 of both, redirect of ICMP */
	ck_assert_uint_eq(r[1].icmp_types.n, 5);
	const struct range *t = &f->ranges[r[1].icmp_types.first];
	ck_assert_uint_eq(t[0].lo, 8);
	ck_assert_uint_eq(t[0].hi, PARAMS_ANY_CODE);
	ck_assert_uint_eq(t[1].lo, PARAMS_ICMP6 + 128);
	ck_assert_uint_eq(t[2].lo, 3);
	ck_assert_uint_eq(t[2].hi, 4);
	ck_assert_uint_eq(t[3].lo, PARAMS_ICMP6 + 3);
	ck_assert_uint_eq(t[4].lo, 5);
	ck_assert_uint_eq(r[2].protocols.n, 0);
	done(&o);
}
END_TEST

/* errors.conf says itself what must be reported where. */
START_TEST(all_errors_in_one_run)
{
	char *path = source_file("tests/unit/data/errors.conf");
	char *text = slurp(path), *line, *rest = text;
	struct outcome o = load(path);
	unsigned number = 1, expected = 0;

	ck_assert_ptr_null(o.params);
	while ((line = strsep(&rest, "\n"))) {
		const char *mark = strstr(line, "#! ");
		if (mark) {
			char *want;
			ck_assert_int_gt(asprintf(&want, "%s:%u: %s", path, number, mark + 3), 0);
			ck_assert_msg(strstr(o.errors, want) != NULL, "not reported: %s", want);
			free(want);
			expected++;
		}
		number++;
	}
	ck_assert_uint_ge(expected, 15);
	ck_assert_msg(o.n_errors == expected, "%u errors for %u:\n%s", o.n_errors, expected,
		      o.errors);
	ck_assert_uint_eq(count_lines(o.errors), expected);
	done(&o);
	free(text);
	free(path);
}
END_TEST

/* A text, and the one error it must give. */
static const struct {
	const char *text, *error;
} bad[] = {
	/* shape */
	{"node = \"fw1\n" PORTS, "t.conf:1: string is not closed"},
	{"node = 'fw1\n" PORTS, "t.conf:1: string is not closed"},
	{MINIMAL "/* open\n\n", "t.conf:5: comment is not closed"},
	{MINIMAL "log {\n", "t.conf:5: section \"log\" is not closed"},
	{MINIMAL "}\n", "t.conf:5: unexpected '}'"},
	{MINIMAL "user \"x\"\n", "t.conf:5: unexpected \"x\"; expected is '='"},
	{MINIMAL "user =\n", "t.conf:6: unexpected end of file; expected is the value"},
	{MINIMAL "user = \"x\";\n", "t.conf:5: unexpected ';'"},
	{MINIMAL "port { }\n", "t.conf:5: section \"port\" lacks its name"},
	{MINIMAL "port \"x\" device = \"y\"\n", "t.conf:5: unexpected device; expected is '{'"},
	{MINIMAL "log \"x\" { }\n", "t.conf:5: section \"log\" has no name"},
	{MINIMAL "= 3\n", "t.conf:5: unexpected =; expected is the name of an option"},
	{MINIMAL "user = \"a\\n\"\n", "t.conf:5: unknown escape"},
	{MINIMAL "user = \"\\377\"\n", "t.conf:5: unknown escape"},
	{MINIMAL "user = \"${A\"\n", "t.conf:5: variable in a string is not closed"},
	{MINIMAL "user = \"a\001\"\n", "t.conf:5: control character in a string"},
	{MINIMAL "user = a\x80\n", "t.conf:5: unexpected byte 0x80"},
	{MINIMAL "user += \"x\"\n", "t.conf:5: option \"user\" is no list"},
	{MINIMAL "nodes { a = {1, 2} b { c } }\n", "t.conf:5: unknown option \"nodes\" at the top"},
	{MINIMAL "completely-else = 1\n", "t.conf:5: unknown option \"completely-else\" at the top "
					  "of the file; fwclusterd.conf(5) lists"},
	{MINIMAL "udp-prot = 1\n", "t.conf:5: unknown option \"udp-prot\" at the top of the file; "
				   "fwclusterd.conf(5)"},
	{MINIMAL "udp-port = 1\n", "it belongs into section \"cluster\""},
	{MINIMAL "@ = \"1\"\n", "t.conf:5: unknown option \"@\""},
	{MINIMAL "port \"x\" { device = \"e\" addresses = {\"10.0.0.1/8\" \"10.0.0.2/8\"} }\n",
	 "t.conf:5: unexpected \"10.0.0.2/8\"; expected is ',' or '}'"},
	{MINIMAL "port \"x\" { device = \"e\" addresses = {\n=\n} }\n", "t.conf:6: unexpected ="},
	{MINIMAL "firewall { }\n",
	 "t.conf:5: section \"firewall\" is given twice, first in line 4"},
	{MINIMAL "include(\"/nowhere/x.conf\")\n",
	 "t.conf:5: include: \"/nowhere/x.conf\" does not"},
	{MINIMAL "include(\"/\")\n", "t.conf:5: include: cannot read \"/\": it is no regular file"},
	/* values */
	{"node = \"f w\"\n" PORTS "firewall { }\n", "t.conf:1: node: \"f w\" is not valid"},
	{MINIMAL "user = \"a23456789012345678901234567890123\"\n", "t.conf:5: user: \"a2345"},
	{MINIMAL "check-host = maybe\n", "t.conf:5: check-host: \"maybe\" is not valid; allowed is "
					 "true, false"},
	{MINIMAL "port \"x\" { }\n", "t.conf:5: port \"x\": option \"device\" is missing"},
	{MINIMAL "port \"x\" { device = \"0123456789abcdef\" }\n",
	 "device: \"0123456789abcdef\" is"},
	{MINIMAL "port \"x y\" { device = \"e\" }\n",
	 "t.conf:5: port \"x y\": not valid as a name"},
	{MINIMAL "port \"x\" { device = e vlan = 0x10 }\n", "vlan: \"0x10\" is not valid"},
	{MINIMAL "port \"x\" { device = e vlan = -1 }\n", "vlan: \"-1\" is not valid"},
	{MINIMAL "port \"x\" { device = e vlan = 99999999999999999999 }\n", "is out of range"},
	{MINIMAL "port \"x\" { device = e mtu = 500 }\n", "mtu: 500 is too small"},
	{MINIMAL "port \"x\" { device = e mac = \"02:fc:0:0:0:1\" }\n",
	 "t.conf:5: port \"x\": mac: "
	 "\"02:fc:0:0:0:1\" is not valid; allowed is the MAC address of one host, such as \"02:00"},
	{MINIMAL "port \"x\" { device = e mac = \"03:fc:00:00:00:01\" }\n", "mac: \"03:fc:00:00:"},
	{MINIMAL "port \"x\" { device = e mac = \"ff:ff:ff:ff:ff:ff\" }\n", "mac: \"ff:ff:ff:ff:"},
	{MINIMAL "port \"x\" { device = e mac = \"00:00:00:00:00:00\" }\n", "mac: \"00:00:00:00:"},
	{MINIMAL "port \"x\" { device = e vlan = 1 mac = \"02:fc:00:00:00:01\" }\n"
		 "port \"y\" { device = e vlan = 2 mac = \"02:FC:00:00:00:01\" }\n",
	 "t.conf:6: port \"y\": mac: the MAC address of port \"x\" in line 5, on the same "
	 "device; "},
	{MINIMAL "port \"x\" { device = e file-in = \"a\" }\n", "file-in: goes with backend"},
	{MINIMAL "port \"x\" { device = e backend = pcap offload = yes }\n",
	 "t.conf:5: port \"x\": offload: goes with backend = \"packet\" only"},
	{MINIMAL "port \"x\" { backend = file file-in = a offload = yes }\n",
	 "offload: goes with backend = \"packet\" only"},
	{MINIMAL "port \"x\" { device = e vlan = 3 offload = yes }\n",
	 "offload: goes without \"vlan\" only"},
	{MINIMAL "offload-flows = 1023\n",
	 "offload-flows: \"1023\" is out of range; allowed is a number 1024..1048576"},
	{MINIMAL "offload-flows = 1048577\n", "offload-flows: \"1048577\" is out of range"},
	{MINIMAL "port \"x\" { backend = file }\n", "backend \"file\" has no file"},
	{MINIMAL "port \"x\" { device = e addresses = {\"224.0.0.1/8\"} }\n", "is no address of a"},
	{MINIMAL "port \"x\" { device = e segment = inside }\n",
	 "is the segment of port \"inside\""},
	{MINIMAL "port \"x\" { device = e addresses = {10.0.0.1/8} }\n"
		 "port \"y\" { device = f addresses = {10.0.0.1/24} }\n",
	 "t.conf:6: port \"y\": addresses: an address of port \"x\" in line 5 comes again"},
	{MINIMAL "route \"all\" { port = inside }\n",
	 "t.conf:5: route \"all\": not valid as a dest"},
	{MINIMAL "route \"0.0.0.0/0\" { }\n", "route \"0.0.0.0/0\": option \"port\" is missing"},
	{MINIMAL "route \"10.0.0.0/8\" { port = inside }\nroute \"10.0.0.1/8\" { port = inside }\n",
	 "t.conf:6: route \"10.0.0.1/8\": same destination as in line 5"},
	{MINIMAL "route \"10.0.0.0/8\" { port = inside via = 0.0.0.0 }\n",
	 "via: \"0.0.0.0\" is not"},
	{MINIMAL "route \"10.0.0.0/8\" { port = inside via = 239.1.1.1 }\n",
	 "via: no address of a"},
	{"node = \"fw1\"\nfirewall { }\n", "t.conf:2: no port"},
	{"node = \"fw1\"\n" PORTS, "t.conf:3: section \"firewall\" is missing"},
	{MINIMAL "member \"fw1\" { id = 1 }\n", "t.conf:5: member \"fw1\": there is no cluster"},
	{MINIMAL "cluster { device = e }\n", "t.conf:1: node: no member \"fw1\""},
	{MINIMAL "cluster { }\nmember \"fw1\" { id = 1 }\n",
	 "t.conf:5: cluster: option \"device\""},
	{MINIMAL "cluster { transport = unicast }\nmember \"fw1\" { id = 1 }\n",
	 "t.conf:6: member \"fw1\": option \"address\" is missing"},
	{MINIMAL "cluster { transport = unicast }\nmember \"fw1\" { id = 1\naddress = \"\" }\n",
	 "t.conf:7: member \"fw1\": option \"address\" is missing; transport \"unicast\" needs it"},
	{MINIMAL "cluster { transport = unicast }\nmember \"fw1\" { id = 1 address = 10.9.0.1 }\n"
		 "member \"fw2\" { id = 2 address = \"fd00::2\" }\n",
	 "t.conf:7: member \"fw2\": address: of another address family than the first"},
	{MINIMAL "cluster { transport = unicast }\nmember \"fw1\" { id = 1 address = 10.9.0.1 }\n"
		 "member \"fw2\" { id = 2 address = 10.9.0.1 udp-port = 7067 }\n",
	 "t.conf:7: member \"fw2\": address: address and udp-port of member \"fw1\" in line 6"},
	{MINIMAL "cluster { device = e }\nmember \"fw1\" { id = 1 address = \"fd00::2\" }\n",
	 "t.conf:6: member \"fw1\": address: of another address family than the cluster's group"},
	{MINIMAL "cluster { device = e }\nmember \"fw1\" { id = 1 address = 239.0.0.1 }\n",
	 "address: no address of a host"},
	{MINIMAL "cluster { device = e mtu = 100 }\nmember \"fw1\" { id = 1 }\n",
	 "mtu: 100 is too"},
	{MINIMAL "cluster { device = e forward-ttl = 2 }\nmember \"fw1\" { id = 1 }\n",
	 "forward-ttl: \"2\" lacks its unit (\"2ms\" or \"2s\"?)"},
	{MINIMAL "cluster { device = e forward-ttl = 2w }\nmember \"fw1\" { id = 1 }\n",
	 "forward-ttl: \"2w\" is not valid"},
	{MINIMAL "cluster { device = e backup = maybe }\nmember \"fw1\" { id = 1 }\n",
	 "backup: \"maybe\" is not valid"},
	{MINIMAL "cluster { device = e backup-delay = 2h }\nmember \"fw1\" { id = 1 }\n",
	 "backup-delay: \"2h\" is out of range"},
	{MINIMAL "cluster { device = e backup-refresh = 99ms }\nmember \"fw1\" { id = 1 }\n",
	 "backup-refresh: \"99ms\" is out of range"},
	{MINIMAL "cluster { device = e backup-tracking = lax }\nmember \"fw1\" { id = 1 }\n",
	 "backup-tracking: \"lax\" is not valid"},
	{MINIMAL "cluster { device = e forward-ttl = 8d }\nmember \"fw1\" { id = 1 }\n",
	 "forward-ttl: \"8d\" is out of range"},
	{MINIMAL
	 "control { socket = \"/0123456789012345678901234567890123456789012345678901234567890"
	 "12345678901234567890123456789012345678901234567890\" }\n",
	 "t.conf:5: control: socket: the path is too long for a socket"},
	{MINIMAL "log { level = all }\n", "t.conf:5: log: level: \"all\" is not valid; allowed is "
					  "error, warning, notice, info, debug"},
};

START_TEST(one_error)
{
	struct outcome o = parse(bad[_i].text);

	ck_assert_ptr_null(o.params);
	ck_assert_msg(strstr(o.errors, bad[_i].error) != NULL, "\"%s\" gave:\n%s", bad[_i].text,
		      o.errors);
	ck_assert_msg(o.n_errors == 1, "\"%s\" gave:\n%s", bad[_i].text, o.errors);
	done(&o);

	/* the parser's inner state must not have suffered */
	o = parse(everything);
	ck_assert_str_eq(o.errors, "");
	done(&o);
}
END_TEST

/* proves: FC-12 */
static const struct {
	const char *rule, *error;
} bad_rules[] = {
	{"rule \"r\" { }", "option \"action\" is missing"},
	{"rule \"r\" { action = pass in = dmz }",
	 "in: no port \"dmz\"; the ports are inside, outs"},
	{"rule \"r\" { action = pass from = {10.0.0.0/33} }",
	 "from: \"10.0.0.0/33\" is no address"},
	{"rule \"r\" { action = pass to = {example.org} }", "to: \"example.org\" is no address"},
	{"rule \"r\" { action = pass to = {} }", "to: the list is empty"},
	{"rule \"r\" { action = pass protocol = {256} }", "protocol: \"256\" is not valid"},
	{"rule \"r\" { action = pass protocol = {tcp, any} }", "\"any\" stands with others"},
	{"rule \"r\" { action = pass ports = {80} }", "ports: needs a protocol with ports"},
	{"rule \"r\" { action = pass protocol = {tcp, icmp} ports = {80} }",
	 "ports: needs a proto"},
	{"rule \"r\" { action = pass protocol = tcp source-ports = {65536} }",
	 "source-ports: \"65"},
	{"rule \"r\" { action = pass protocol = tcp ports = {-80} }",
	 "ports: \"-80\" is not valid"},
	{"rule \"r\" { action = pass protocol = tcp ports = {80-} }",
	 "ports: \"80-\" is not valid"},
	{"rule \"r\" { action = pass protocol = tcp ports = {http} }",
	 "ports: \"http\" is not val"},
	{"rule \"r\" { action = pass icmp-types = {8} }", "icmp-types: needs an ICMP protocol"},
	{"rule \"r\" { action = pass protocol = icmp icmp-types = {256} }",
	 "icmp-types: \"256\" is"},
	{"rule \"r\" { action = pass protocol = icmp icmp-types = {\"8/256\"} }",
	 "icmp-types: \"8/"},
	{"rule \"r\" { action = pass protocol = icmp icmp-types = {packet-too-big} }",
	 "\"packet-too-big\" is no type of the rule's protocol"},
	{"rule \"r\" { action = pass protocol = icmp to = {\"fd00::1\"} }", "icmp goes with IPv4"},
	{"rule \"r\" { action = pass protocol = icmp6 from = {10.0.0.0/8} }", "icmp6 with IPv6"},
	{"rule \"r\" { action = pass from = {10.0.0.0/8} to = {\"::/0\"} }", "can never match"},
	{"rule \"default\" { action = pass }", "the name means what no rule matches"},
	{"rule \"r\" { action = pass }\n\nrule \"r\" { action = drop }",
	 "given twice, first in line"},
	{"set \"s\" { }", "the set is empty"},
	{"set \"s\" { addresses = {\"@t\"} }", "set \"s\": addresses: \"@t\" is no address"},
	{"max-half-open = 300000", "max-half-open: 300000 is more than max-flows"},
	{"max-per-source = 300000", "max-per-source: 300000 is more than max-flows"},
	{"timeouts { icmp = 8d }", "timeouts: icmp: \"8d\" is out of range"},
};

START_TEST(one_bad_rule)
{
	char *text;

	ck_assert_int_gt(
		asprintf(&text, "node = \"fw1\"\n" PORTS "firewall {\n%s\n}\n", bad_rules[_i].rule),
		0);
	struct outcome o = parse(text);
	ck_assert_ptr_null(o.params);
	ck_assert_msg(strstr(o.errors, bad_rules[_i].error) != NULL && o.n_errors == 1,
		      "\"%s\" gave:\n%s", bad_rules[_i].rule, o.errors);
	ck_assert_int_eq(
		strncmp(o.errors,
			strstr(bad_rules[_i].rule, "\n\n") ? "t.conf:7: " : "t.conf:5: ", 10),
		0);
	done(&o);
	free(text);
}
END_TEST

/* A configuration with `n` of what `print` makes. */
static char *fill(void (*print)(FILE *f, unsigned i), unsigned n)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("node = \"n\"\n", f);
	for (unsigned i = 0; i < n; i++)
		print(f, i);
	fputs("\nfirewall { }\n", f);
	fclose(f);
	return text;
}

static void print_port(FILE *f, unsigned i)
{
	fprintf(f, "port \"p%u\" { device = \"d%u\" }\n", i, i);
}

static void print_member(FILE *f, unsigned i)
{
	fprintf(f, "member \"m%u\" { id = %u }\n", i, i + 1);
}

static void print_unknown(FILE *f, unsigned i)
{
	fprintf(f, "x%u = %u\n", i, i);
}

START_TEST(too_many)
{
	char *text = fill(print_port, PARAMS_PORTS + 1);
	struct outcome o = parse(text);
	ck_assert_str_eq(o.errors, "t.conf:18: port \"p16\": too many ports; allowed are 16\n");
	done(&o);
	free(text);

	text = fill(print_member, PARAMS_MEMBERS + 1);
	o = parse(text);
	ck_assert_ptr_nonnull(strstr(o.errors, "too many members; allowed are 32"));
	done(&o);
	free(text);

	/* no more errors are kept than anybody would read */
	text = fill(print_unknown, 300);
	o = parse(text);
	ck_assert_ptr_null(o.params);
	ck_assert_uint_ge(o.n_errors, 300);
	ck_assert_uint_eq(count_lines(o.errors), 201);
	done(&o);
	free(text);
}
END_TEST

static char dir[] = "/tmp/check_conf.XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void make_dir(void)
{
	char path[128];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/d", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void remove_dir(void)
{
	static const char *const files[] = {"main.conf", "d/a.conf", "d/b.conf",
					    "d/c.inc",	 "d",	     ""};
	char path[128];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		(void)remove(path);
	}
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
}

START_TEST(includes)
{
	char path[64], want[512];

	snprintf(path, sizeof(path), "%s/main.conf", dir);
	write_file("main.conf", MINIMAL "include(\"d/*.conf\")\ninclude('none/*')\nlog {\n"
					"include(\"d/c.inc\") }\nuser = root\n");
	write_file("d/a.conf", "port \"a\" {\n\tdevice = \"ea\" }\n");
	write_file("d/b.conf", "port \"b\" {\n\tdevice = \"eb\" vlan = 2\n}\ninclude(\"c.inc\")\n");
	write_file("d/c.inc", "# nothing for two\n");
	struct outcome o = load(path);
	ck_assert_str_eq(o.errors, "");
	ck_assert_str_eq(o.params->ports[2].name, "a");
	ck_assert_uint_eq(o.params->ports[3].vlan, 2);
	ck_assert_str_eq(o.params->user, "root");
	done(&o);

	/* errors name the file they are in, and lines behind an include() are right */
	write_file("main.conf", MINIMAL "include(\"d/*.conf\")\nlog {\ninclude(\"d/c.inc\")\n}\n"
					"user = \"-\"\n");
	write_file("d/b.conf", "port \"b\" {\n\tdevice = \"ea\"\n\tvlan = x\n}\n");
	write_file("d/c.inc", "\nlevel = loud\n");
	o = load(path);
	snprintf(
		want, sizeof(want),
		"%s/main.conf:9: user: \"-\" is not valid; allowed is up to 31 letters, digits, "
		"'.', '_', '-', not beginning with '.' or '-'\n"
		"%s/d/b.conf:2: port \"b\": device: \"ea\" is the device of port \"a\" in line 1; "
		"ports on one device need different \"vlan\"\n"
		"%s/d/b.conf:3: port \"b\": vlan: \"x\" is not valid; allowed is a number 0..4094\n"
		"%s/d/c.inc:2: log: level: \"loud\"",
		dir, dir, dir, dir);
	ck_assert_int_eq(strncmp(o.errors, want, strlen(want)), 0);
	ck_assert_uint_eq(o.n_errors, 4);
	done(&o);
}
END_TEST

START_TEST(include_limits)
{
	char path[64], want[128];

	snprintf(path, sizeof(path), "%s/main.conf", dir);
	write_file("main.conf", MINIMAL "include(\"main.conf\")\n");
	struct outcome o = load(path);
	ck_assert_ptr_null(o.params);
	ck_assert_ptr_nonnull(strstr(o.errors, "is one too many; allowed are 64 files, 8 deep"));
	done(&o);

	/* a section that an included file closes is not its own */
	write_file("main.conf", MINIMAL "log {\ninclude(\"d/c.inc\")\n}\n");
	write_file("d/c.inc", "level = info }\nlog {\n");
	o = load(path);
	snprintf(want, sizeof(want), "%s/d/c.inc:1: unexpected '}'; no section is open here\n",
		 dir);
	ck_assert_ptr_nonnull(strstr(o.errors, want));
	done(&o);

	o = load("/nowhere/fwclusterd.conf");
	ck_assert_str_eq(o.errors, "/nowhere/fwclusterd.conf: cannot read the file: "
				   "No such file or directory\n");
	done(&o);
	o = load(dir);
	ck_assert_ptr_nonnull(strstr(o.errors, "it is no regular file"));
	done(&o);
}
END_TEST

START_TEST(variables)
{
	unsetenv("FWC_TEST");
	struct outcome o = parse("node = \"x${FWC_TEST:-1}\"\n" PORTS "firewall { }\n");
	ck_assert_str_eq(o.params->node, "x1");
	done(&o);
	setenv("FWC_TEST", "fw9", 1);
	o = parse("node = ${FWC_TEST}\n" PORTS "firewall { }\n");
	ck_assert_str_eq(o.params->node, "fw9");
	done(&o);
	/* what a variable says is a value, never syntax */
	setenv("FWC_TEST", "x\" user = \"y", 1);
	o = parse("node = \"${FWC_TEST}\"\n" PORTS "firewall { }\n");
	ck_assert_ptr_nonnull(strstr(o.errors, "t.conf:1: node: \"x\" user = \"y\" is not valid"));
	done(&o);
	unsetenv("FWC_TEST");
}
END_TEST

START_TEST(node_is_the_host)
{
	char host[256] = "";

	ck_assert_int_eq(gethostname(host, sizeof(host) - 1), 0);
	host[strcspn(host, ".")] = '\0';
	struct outcome o = parse(PORTS "firewall { }\n");
	if (o.params)
		ck_assert_str_eq(o.params->node, host);
	else
		ck_assert_ptr_nonnull(strstr(o.errors, "give node = \"name\""));
	done(&o);
}
END_TEST

static const char *const examples[] = {
	"etc/fwclusterd.conf",
	"etc/examples/single.conf",
	"etc/examples/two-members.conf",
	"etc/examples/three-members.conf",
	"etc/examples/places.conf",
	"etc/examples/pcap-replay.conf",
	"etc/examples/balancer-only.conf",
	"etc/examples/dispatcher-only.conf",
	"etc/examples/one-box.conf",
	"etc/examples/sandwich-inner.conf",
	"etc/examples/sandwich-outer.conf",
	"etc/examples/tree-inner.conf",
	"etc/examples/tree-stage-l42.conf",
	"etc/examples/tree-stage-l43.conf",
	"etc/examples/tree-stage-l72.conf",
	"etc/examples/tree-stage-l73.conf",
	"etc/examples/relay-stage-a.conf",
	"etc/examples/relay-stage-b.conf",
	"etc/examples/l7-balancer.conf",
};

START_TEST(example)
{
	char *path = source_file(examples[_i]);
	struct outcome o = load(path);

	ck_assert_str_eq(o.errors, "");
	done(&o);
	free(path);
}
END_TEST

/* Each prefix of a text is read without a look behind its end; most are wrong, none crashes. */
START_TEST(prefixes)
{
	size_t size = sizeof(everything) - 1;

	for (size_t n = 0; n < size; n++) {
		uint8_t *text = guard_copy(everything, n + 1);
		text[n] = '\0';
		struct outcome o = parse((const char *)text);
		done(&o);
		guard_free(text, n + 1);
	}
}
END_TEST

/* A change to the configuration, and whether it needs a restart. */
static const struct {
	const char *from, *to, *restart;
} changes[] = {
	{"device = eth0", "device = eth7", "port \"inside\": \"device\" has changed"},
	{"vlan = 12", "vlan = 13", "\"vlan\" has changed"},
	{"mtu = 1400", "mtu = 1300", NULL},
	{"0A:ff", "0A:fe", "\"mac\" has changed"},
	{" mac = '02:fc:00:00:0A:ff'", "", "\"mac\" has changed"},
	{"segment = \"s1\"", "segment = \"s2\"", NULL},
	{"user = 'me'", "user = 'x'", "node: \"user\" has changed"},
	{"check-host = no", "check-host = on", NULL},
	{"offload-flows = 1024", "offload-flows = 2048", "node: \"offload-flows\" has changed"},
	{"id = 65535", "id = 3", "cluster: \"id\" has changed"},
	{"max-forwards = 1024", "max-forwards = 1025", "\"max-forwards\" has changed"},
	{"query = hold", "query = carry", NULL},
	{"backup = off", "backup = on", NULL},
	{"backup-tracking = strict", "backup-tracking = loose", NULL},
	{"hello-interval = 1s", "hello-interval = 2s", NULL},
	{"\"fd00:9::2\"", "\"fd00:9::3\"", "address of this member has changed"},
	{"\"fd00:9::1\"", "\"fd00:9::4\"", NULL},
	{"id = 2 ", "id = 3 ", "id of this member has changed"},
	{"max-flows = 1024", "max-flows = 2048", "firewall: \"max-flows\" has changed"},
	{"max-half-open = 7", "max-half-open = 9", NULL},
	{"action = drop protocol", "action = pass protocol", NULL},
	{"socket = /s", "socket = /t", "control: \"socket\" has changed"},
	{"level = debug", "level = info", NULL},
	{"port \"cap\"", "port \"cup\"", "port \"cup\" stands where port \"cap\" stood"},
};

START_TEST(restart_only)
{
	const char *at = strstr(everything, changes[_i].from);
	char *text, *lines;
	size_t size;

	ck_assert_ptr_nonnull(at);
	ck_assert_int_gt(asprintf(&text, "%.*s%s%s", (int)(at - everything), everything,
				  changes[_i].to, at + strlen(changes[_i].from)),
			 0);
	for (char *p = text; strstr(changes[_i].to, "cup") && (p = strstr(p, "= cap"));)
		p[3] = 'u';
	struct outcome old = parse(everything), new = parse(text);
	ck_assert_str_eq(new.errors, "");
	FILE *f = open_memstream(&lines, &size);
	unsigned n = conf_restart_only(old.params, new.params, f);
	fclose(f);
	ck_assert_uint_eq(n, changes[_i].restart ? 1 : 0);
	ck_assert_uint_eq(count_lines(lines), n);
	if (changes[_i].restart)
		ck_assert_ptr_nonnull(strstr(lines, changes[_i].restart));
	free(lines);
	done(&old);
	done(&new);
	free(text);
}
END_TEST

/* Flows are offloaded from the start or not at all. */
START_TEST(offload)
{
	struct outcome off = parse("node = fw1\n" PORTS "firewall { }\n");
	struct outcome on = parse("node = fw1\n"
				  "port \"inside\" { device = \"eth0\" offload = true }\n"
				  "port \"outside\" { device = \"eth1\" }\nfirewall { }\n");
	char *lines;
	size_t size;
	FILE *f = open_memstream(&lines, &size);

#ifdef HAVE_OFFLOAD
	ck_assert_str_eq(on.errors, "");
	ck_assert(on.params->ports[0].offload && !on.params->ports[1].offload);
	ck_assert_uint_eq(conf_restart_only(off.params, on.params, f), 1);
#else
	ck_assert_ptr_nonnull(strstr(on.errors, "t.conf:2: port \"inside\": offload: this build "));
#endif
	fclose(f);
#ifdef HAVE_OFFLOAD
	ck_assert_ptr_nonnull(strstr(lines, "port \"inside\": \"offload\" has changed"));
#endif
	free(lines);
	done(&off);
	done(&on);
}
END_TEST

START_TEST(restart_for_shape)
{
	struct outcome a = parse(MINIMAL), b = parse(MINIMAL CLUSTER),
		       c = parse(MINIMAL "port \"x\" { device = e }\n");
	FILE *f = fopen("/dev/null", "w");

	ck_assert_uint_eq(conf_restart_only(a.params, a.params, f), 0);
	ck_assert_uint_eq(conf_restart_only(a.params, b.params, f), 1);
	ck_assert_uint_eq(conf_restart_only(b.params, a.params, f), 1);
	ck_assert_uint_eq(conf_restart_only(a.params, c.params, f), 1);
	fclose(f);
	done(&a);
	done(&b);
	done(&c);
}
END_TEST

#define N(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *s = suite_create("conf");
	TCase *t = tcase_create("conf");
	TCase *files = tcase_create("files");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, defaults);
	tcase_add_test(t, every_option);
	tcase_add_test(t, every_option_of_rules);
	tcase_add_test(t, all_errors_in_one_run);
	tcase_add_loop_test(t, one_error, 0, N(bad));
	tcase_add_loop_test(t, one_bad_rule, 0, N(bad_rules));
	tcase_add_test(t, too_many);
	tcase_add_test(t, variables);
	tcase_add_test(t, node_is_the_host);
	tcase_add_loop_test(t, example, 0, N(examples));
	tcase_add_test(t, prefixes);
	tcase_add_loop_test(t, restart_only, 0, N(changes));
	tcase_add_test(t, offload);
	tcase_add_test(t, restart_for_shape);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(files, make_dir, remove_dir);
	tcase_add_test(files, includes);
	tcase_add_test(files, include_limits);
	suite_add_tcase(s, files);

	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
