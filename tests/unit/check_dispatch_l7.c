/*
 * check_dispatch_l7.c - services by L7 in the engine: an inner dispatcher between one firewall
 * (outside), servers (inside) and the private stack; and targets for requests.
 *
 * proves: HD-8 HD-10 HD-11 HD-12 HD-24 FC-13
 */
#include "dispatch/dispatch.h"
#include "packet/checksum.h"
#include "rig.h"

#define VIP "203.0.113.80"
#define VIP6 "2001:db8:51::80"
#define CLIENT "198.51.100.9"
#define CLIENT6 "2001:db8:c::9"
#define WEB 0
#define ROUTE 1

static const char paths[] = "path \"fw1\" { id = 7 addresses = {\"192.0.2.11\", "
			    "\"2001:db8:2::11\"} }\n";
static const char targets[] =
	"target \"s1\" { addresses = {\"10.1.0.81\", \"fd00:1::81\"} check = \"tcp\""
	" check-port = 80 check-rise = 1 check-fall = 1 }\n"
	"target \"s2\" { addresses = {\"10.77.0.82\", \"fd00:77::82\"} weight = 3 }\n"
	"target \"s3\" { addresses = {\"10.1.0.83\", \"fd00:1::83\"} }\n"
	"target \"sorry\" { addresses = {\"10.1.0.84\", \"fd00:1::84\"} }\n"
	"target \"plain\" { addresses = {\"10.1.0.85\", \"fd00:1::85\"} }\n";

struct plan {
	const char *dispatcher; /* options */
	const char *web;	/* options of "web" instead of the usual ones */
	const char *vip;
	bool gone; /* the service "web" has another name */
};

static struct params *l7_params(const struct plan *plan)
{
	const char *vip = plan->vip ? plan->vip : VIP;
	char text[4096];

	snprintf(text, sizeof(text),
		 "%s"
		 "dispatcher \"inner\" { role = \"inner\" firewall-port = \"outside\""
		 " ports = {\"inside\"} %s }\n"
		 "service \"%s\" { addresses = {\"%s\", \"" VIP6 "\"} protocol = \"tcp\""
		 " technology = \"l7/3\" %s\n"
		 "  route \"img\" { path = \"/img\" algorithm = \"round-robin\""
		 " targets = {\"s3\"} } }\n"
		 "service \"plain\" { addresses = {\"%s\"} protocol = \"tcp\" ports = {\"90\"}"
		 " technology = \"l4/2\" targets = {\"plain\"} }\n"
		 "%s",
		 paths, plan->dispatcher ? plan->dispatcher : "", plan->gone ? "other" : "web", vip,
		 plan->web ? plan->web
			   : "ports = {\"80\"} algorithm = \"static\" targets = {\"s1\", \"s2\"}"
			     " sorry = \"sorry\"",
		 vip, targets);
	return rig_params("", text);
}

static struct rig *start(const struct plan *plan)
{
	struct rig *r = rig_begin(l7_params(plan));

	rig_wait(r, 1500); /* the firewall's MAC address is known */
	rig_clear(r);
	return r;
}

static struct rig *start_usual(void)
{
	return start(&(struct plan){0});
}

static struct rig_packet tcp(const char *src, unsigned sport, const char *dst, unsigned dport,
			     unsigned flags)
{
	return (struct rig_packet){.src = src,
				   .dst = dst,
				   .proto = IPPROTO_NUM_TCP,
				   .sport = sport,
				   .dport = dport,
				   .flags = flags,
				   .seq = 1000,
				   .ack = 2000};
}

static void client_says(struct rig *r, unsigned flags)
{
	struct rig_packet p = tcp(CLIENT, 4000, VIP, 80, flags);

	rig_send(r, OUTSIDE, &p);
}

static void stack_says(struct rig *r, unsigned flags)
{
	struct rig_packet p = tcp(VIP, 80, CLIENT, 4000, flags);

	rig_send(r, STACK, &p);
}

static uint32_t n_flows(const struct rig *r)
{
	return flow_table_count(r->engine->dispatch.flows);
}

/* The one packet that has come out is that one, untouched but for its time to live, and goes to the
 * other end of that port. */
static void expect(struct rig *r, unsigned port, const struct rig_packet *p, unsigned ttl)
{
	const struct pkt *out = rig_only(r, port);
	struct macaddr to = rig_host_mac(port), from = rig_mac(port);
	struct ipaddr src, dst;

	ck_assert_int_eq(ipaddr_parse(&src, p->src), 0);
	ck_assert_int_eq(ipaddr_parse(&dst, p->dst), 0);
	ck_assert(macaddr_eq(&out->eth_dst, &to));
	ck_assert(macaddr_eq(&out->eth_src, &from));
	ck_assert(ipaddr_eq(&out->tuple.src, &src));
	ck_assert(ipaddr_eq(&out->tuple.dst, &dst));
	ck_assert_uint_eq(out->tuple.sport, p->sport);
	ck_assert_uint_eq(out->tuple.dport, p->dport);
	ck_assert_uint_eq(out->ttl, ttl);
	r->out[0].pkt.frame = &r->out[0].frame;
	ck_assert(csum_l4_ok(&r->out[0].pkt));
}

/* --- packets ------------------------------------------------------------------------------------
 */

static const struct {
	const char *client, *vip;
} orders[] = {
	{CLIENT, VIP}, {"223.0.113.9", VIP}, {"5.0.0.9", VIP}, {CLIENT6, VIP6}, {"2a00::9", VIP6},
};

START_TEST(to_the_stack_and_back)
{
	const char *client = orders[_i].client, *vip = orders[_i].vip;
	struct rig *r = start_usual();
	struct rig_packet p = tcp(client, 4000, vip, 80, TCP_SYN);

	rig_send(r, OUTSIDE, &p);
	expect(r, STACK, &p, 64);
	p = tcp(vip, 80, client, 4000, TCP_SYN | TCP_ACK);
	rig_send(r, STACK, &p);
	expect(r, OUTSIDE, &p, 63);
	p = tcp(client, 4000, vip, 80, TCP_ACK);
	p.len = 100;
	rig_send(r, OUTSIDE, &p);
	expect(r, STACK, &p, 64);
	p = tcp(vip, 80, client, 4000, TCP_ACK);
	p.len = 1000;
	rig_send(r, STACK, &p);
	expect(r, OUTSIDE, &p, 63);
	ck_assert_uint_eq(n_flows(r), 1);
	ck_assert_uint_eq(r->engine->dispatch.service_states[WEB].flows_total, 1);
	ck_assert_uint_eq(r->engine->dispatch.service_states[WEB].to.packets, 2);
	ck_assert_uint_eq(r->engine->dispatch.service_states[WEB].from.packets, 2);
	ck_assert_uint_eq(r->engine->dispatch.dispatchers[0].n_flows, 1);
	ck_assert_uint_eq(r->n_notes[NOTE_DISPATCHED], 1);
	rig_free(r);
}
END_TEST

/* The way ends in the stack, as at any host. */
START_TEST(last_hop)
{
	struct rig *r = start_usual();
	struct rig_packet p = tcp(CLIENT, 4000, VIP, 80, TCP_SYN);

	p.ttl = 1;
	rig_send(r, OUTSIDE, &p);
	expect(r, STACK, &p, 1);
	p.flags = TCP_ACK;
	rig_send(r, OUTSIDE, &p);
	expect(r, STACK, &p, 1);
	p = tcp(VIP, 80, CLIENT, 4000, TCP_ACK);
	p.ttl = 1;
	rig_send(r, STACK, &p);
	ck_assert_dropped(r, DROP_TTL, 1);
	/* Who is told is the stack: no route leads there. */
	ck_assert_uint_eq(rig_only(r, STACK)->icmp_type, 11);
	rig_free(r);
}
END_TEST

START_TEST(too_big_for_the_way_out)
{
	struct rig *r = start_usual();
	struct rig_packet p = tcp(VIP, 80, CLIENT, 4000, TCP_ACK);

	client_says(r, TCP_SYN);
	r->links[OUTSIDE].mtu = 1000;
	rig_link(r, OUTSIDE);
	p.len = 1200;
	p.df = true;
	rig_send(r, STACK, &p);
	ck_assert_dropped(r, DROP_TOO_BIG, 1);
	ck_assert_uint_eq(rig_only(r, STACK)->icmp_type, 3);
	rig_free(r);
}
END_TEST

static const char *const when_unknown[] = {"unknown = \"drop\"", "unknown = \"reset\""};

/* Down, or without anybody at its other end. */
START_TEST(no_stack)
{
	struct rig *r = start(&(struct plan){.dispatcher = when_unknown[_i & 1]});

	if (_i & 2)
		r->links[STACK].up = false;
	else
		r->links[STACK].has_peer = false;
	rig_link(r, STACK);
	client_says(r, TCP_SYN);
	ck_assert_dropped(r, DROP_NO_STACK, 1);
	ck_assert_uint_eq(n_flows(r), 0);
	ck_assert_uint_eq(r->n_out, _i & 1);
	if (_i & 1)
		ck_assert_uint_eq(rig_only(r, OUTSIDE)->tcp.flags, TCP_RST | TCP_ACK);
	r->links[STACK].up = r->links[STACK].has_peer = true;
	rig_link(r, STACK);
	client_says(r, TCP_SYN);
	rig_only(r, STACK);
	r->links[STACK].up = false;
	rig_link(r, STACK);
	client_says(r, TCP_ACK);
	ck_assert_dropped(r, DROP_NO_STACK, 2);
	rig_free(r);
}
END_TEST

/* Another device, by a repair of the stack. */
START_TEST(another_peer)
{
	struct rig *r = start_usual();
	struct macaddr to = {{2, 9, 9, 9, 9, 9}};

	client_says(r, TCP_SYN);
	r->links[STACK].peer = to;
	rig_link(r, STACK);
	client_says(r, TCP_ACK);
	ck_assert(macaddr_eq(&rig_only(r, STACK)->eth_dst, &to));
	rig_free(r);
}
END_TEST

START_TEST(strays_of_the_stack)
{
	struct rig *r = start_usual();
	struct rig_packet p = tcp(VIP, 80, CLIENT, 4000, TCP_SYN | TCP_ACK), about, error;
	uint64_t n = 0;

	/* of no flow, whatever it is */
	rig_send(r, STACK, &p);
	n++;
	ck_assert_dropped(r, DROP_STACK_STRAY, n);
	p.flags = TCP_SYN;
	rig_send(r, STACK, &p);
	n++;
	ck_assert_dropped(r, DROP_STACK_STRAY, n);
	p.proto = IPPROTO_NUM_UDP;
	rig_send(r, STACK, &p);
	n++;
	ck_assert_dropped(r, DROP_STACK_STRAY, n);
	p = tcp("10.1.0.81", 80, CLIENT, 4000, TCP_SYN);
	rig_send(r, STACK, &p);
	n++;
	ck_assert_dropped(r, DROP_STACK_STRAY, n);
	about = tcp(CLIENT, 4000, VIP, 80, TCP_SYN);
	error = (struct rig_packet){
		.src = VIP, .dst = CLIENT, .proto = IPPROTO_NUM_ICMP, .type = 3, .code = 3};
	rig_send_error(r, STACK, &error, &about);
	n++;
	ck_assert_dropped(r, DROP_STACK_STRAY, n);
	/* the client's side of one */
	client_says(r, TCP_SYN);
	p = tcp(CLIENT, 4000, VIP, 80, TCP_ACK);
	rig_send(r, STACK, &p);
	n++;
	ck_assert_dropped(r, DROP_STACK_STRAY, n);
	about = tcp(VIP, 80, CLIENT, 4000, TCP_ACK); /* about its own packet */
	error.src = CLIENT;
	error.dst = VIP;
	rig_send_error(r, STACK, &error, &about);
	n++;
	ck_assert_dropped(r, DROP_STACK_STRAY, n);
	/* one that a server has */
	p = tcp(CLIENT, 4000, VIP, 90, TCP_SYN);
	rig_send(r, OUTSIDE, &p);
	rig_only(r, INSIDE);
	p = tcp(VIP, 90, CLIENT, 4000, TCP_SYN | TCP_ACK);
	rig_send(r, STACK, &p);
	n++;
	ck_assert_dropped(r, DROP_STACK_STRAY, n);
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert_uint_eq(n_flows(r), 2);
	rig_free(r);
}
END_TEST

/* A host that speaks as the service. */
START_TEST(nobody_else_speaks_for_it)
{
	struct rig *r = start_usual();
	struct rig_packet p = tcp(VIP, 80, CLIENT, 4000, TCP_SYN | TCP_ACK);

	client_says(r, TCP_SYN);
	rig_send(r, INSIDE, &p);
	ck_assert_dropped(r, DROP_SPOOFED, 1);
	ck_assert_uint_eq(r->n_out, 0);
	rig_free(r);
}
END_TEST

START_TEST(icmp_errors)
{
	struct rig *r = start_usual();
	struct rig_packet error = {
		.src = VIP, .dst = CLIENT, .proto = IPPROTO_NUM_ICMP, .type = 3, .code = 3};
	struct rig_packet about = tcp(CLIENT, 4000, VIP, 80, TCP_SYN);
	const struct pkt *out;

	client_says(r, TCP_SYN);
	rig_send_error(r, STACK, &error, &about);
	out = rig_only(r, OUTSIDE);
	ck_assert_uint_eq(out->inner.dport, 80);
	error = (struct rig_packet){
		.src = "192.0.2.11", .dst = VIP, .proto = IPPROTO_NUM_ICMP, .type = 3, .code = 4};
	about = tcp(VIP, 80, CLIENT, 4000, TCP_ACK);
	rig_send_error(r, OUTSIDE, &error, &about);
	out = rig_only(r, STACK);
	ck_assert_uint_eq(out->inner.sport, 80);
	ck_assert_uint_eq(out->ttl, 64);
	rig_free(r);
}
END_TEST

START_TEST(fragments)
{
	struct rig *r = start_usual();
	struct rig_packet first = tcp(CLIENT, 4000, VIP, 80, TCP_SYN), later = first;

	first.more = true;
	first.len = 44; /* 64 with the header of TCP */
	first.id = later.id = 77;
	later.offset = 64;
	later.len = 100;
	rig_send(r, OUTSIDE, _i ? &later : &first);
	if (_i) {
		ck_assert_uint_eq(r->n_out, 0);
		rig_send(r, OUTSIDE, &first);
		ck_assert_uint_eq(r->n_out, 2);
		ck_assert_uint_eq(r->out[0].port, STACK);
		ck_assert_uint_eq(r->out[1].port, STACK);
	} else {
		rig_only(r, STACK);
		rig_send(r, OUTSIDE, &later);
		rig_only(r, STACK);
	}
	rig_free(r);
}
END_TEST

/* Nothing is known of a connection that has begun elsewhere, whatever the algorithm: the stack
 * began none. */
START_TEST(not_resumed)
{
	struct rig *r = start(&(struct plan){.dispatcher = when_unknown[_i]});

	client_says(r, TCP_ACK);
	ck_assert_dropped(r, DROP_NO_FLOW, 1);
	ck_assert_uint_eq(r->n_out, (unsigned)_i);
	ck_assert_uint_eq(n_flows(r), 0);
	rig_free(r);
}
END_TEST

/* Targets are the affair of requests. */
START_TEST(targets_do_not_touch_connections)
{
	struct rig *r = start(&(struct plan){.web = "ports = {\"80\"} on-target-down = \"reset\""
						    " targets = {\"s1\"}"});

	client_says(r, TCP_SYN);
	client_says(r, TCP_ACK);
	engine_target_health(r->engine, 0, false, "checked", r->now_ns, r->actions);
	rig_collect(r);
	engine_set_drain(r->engine, "s1", true, r->now_ns, r->actions);
	rig_collect(r);
	rig_wait(r, 200);
	client_says(r, TCP_ACK);
	rig_only(r, STACK);
	stack_says(r, TCP_ACK);
	rig_only(r, OUTSIDE);
	ck_assert_uint_eq(rig_counter(r, COUNTER_FLOWS_RESET), 0);
	rig_free(r);
}
END_TEST

/* The service has an address of the node itself. */
START_TEST(own_address)
{
	struct rig *r = start(&(struct plan){.vip = "192.0.2.1"});
	struct rig_packet p = tcp(CLIENT, 4000, "192.0.2.1", 80, TCP_SYN);

	rig_send(r, OUTSIDE, &p);
	expect(r, STACK, &p, 64);
	p = tcp("192.0.2.1", 80, CLIENT, 4000, TCP_SYN | TCP_ACK);
	rig_send(r, STACK, &p);
	expect(r, OUTSIDE, &p, 63);
	rig_send(r, INSIDE, &p);
	ck_assert_dropped(r, DROP_SPOOFED, 1);
	rig_free(r);
}
END_TEST

/* No firewalls: answers leave by the routes. What the service does not serve is not for anybody. */
START_TEST(balancer_alone)
{
	struct rig *r =
		rig_new("", "port \"net\" { device = \"n\" answer-for = {\"203.0.113.80\"} }\n"
			    "route \"0.0.0.0/0\" { via = \"192.0.2.254\" port = \"outside\" }\n"
			    "dispatcher \"last\" { role = \"stage\" ports = {\"outside\", \"net\"}"
			    " unknown = \"reset\" }\n"
			    "service \"web\" { addresses = {\"203.0.113.80\"} protocol = \"tcp\""
			    " ports = {\"80\"} technology = \"l7/3\" targets = {\"s1\"} }\n"
			    "target \"s1\" { addresses = {\"10.99.0.81\"} }\n");
	struct rig_packet p = tcp(CLIENT, 4000, VIP, 80, TCP_SYN);
	uint16_t stack = r->params->stack_port;

	rig_send(r, OUTSIDE, &p);
	ck_assert(macaddr_eq(&rig_only(r, stack)->eth_dst, &r->links[stack].peer));
	p = tcp(VIP, 80, CLIENT, 4000, TCP_SYN | TCP_ACK);
	rig_send(r, stack, &p);
	expect(r, OUTSIDE, &p, 63);
	ck_assert_uint_eq(r->engine->dispatch.dispatchers[0].n_flows, 1);
	p = tcp(CLIENT, 4000, VIP, 81, TCP_SYN);
	rig_send(r, OUTSIDE, &p);
	ck_assert_dropped(r, DROP_NO_SERVICE, 1);
	ck_assert_uint_eq(rig_only(r, OUTSIDE)->tcp.flags, TCP_RST | TCP_ACK);
	p = (struct rig_packet){.src = CLIENT, .dst = VIP, .proto = IPPROTO_NUM_ICMP, .type = 8};
	rig_send(r, OUTSIDE, &p);
	ck_assert_dropped(r, DROP_NO_SERVICE, 2);
	ck_assert_uint_eq(r->n_out, 0);
	rig_free(r);
}
END_TEST

/* --- another configuration ----------------------------------------------------------------------
 */

static void reload(struct rig *r, struct params *p)
{
	rig_clear(r);
	ck_assert_int_eq(engine_reload(r->engine, p, NULL, r->now_ns, r->actions), 0);
	rig_collect(r);
	conf_free(r->params);
	r->params = p;
}

static const struct {
	struct plan plan;
	bool l4, stays;
} changes[] = {
	{{.web = "ports = {\"80\"} targets = {\"s1\"}"}, false, true},
	{{.web = "ports = {\"79-80\"} targets = {\"s3\"}"}, false, true},
	{{.web = "ports = {\"8080\"} targets = {\"s1\"}"}, false, false},
	{{.gone = true}, false, false},
	{{.vip = "203.0.113.81"}, false, false},
	{{0}, true, false},
};

/* A connection of a service that is no more, or is no longer served by the stack, ends. */
START_TEST(reloads)
{
	struct rig *r = start_usual();
	struct params *p = l7_params(&changes[_i].plan);

	if (changes[_i].l4)
		p->services[WEB].technology = TECHNOLOGY_L4_2;
	client_says(r, TCP_SYN);
	stack_says(r, TCP_SYN | TCP_ACK);
	client_says(r, TCP_ACK);
	reload(r, p);
	ck_assert_uint_eq(n_flows(r), changes[_i].stays);
	if (changes[_i].stays) {
		ck_assert_uint_eq(r->n_out, 0);
		client_says(r, TCP_ACK);
		rig_only(r, STACK);
	} else {
		ck_assert_uint_eq(r->n_out, 2);
		for (unsigned i = 0; i < 2; i++)
			ck_assert_uint_eq(r->out[i].pkt.tcp.flags & TCP_RST, TCP_RST);
		ck_assert_uint_ne(r->out[0].port, r->out[1].port);
	}
	rig_free(r);
}
END_TEST

/* A service that becomes one by L7: its server's connections are nothing to the stack. */
START_TEST(reload_to_l7)
{
	struct params *p = l7_params(&(struct plan){0});
	struct rig *r;

	p->services[WEB].technology = TECHNOLOGY_L4_2;
	r = rig_begin(p);
	rig_wait(r, 1500);
	client_says(r, TCP_SYN);
	rig_only(r, INSIDE);
	client_says(r, TCP_ACK);
	reload(r, l7_params(&(struct plan){0}));
	ck_assert_uint_eq(n_flows(r), 0);
	client_says(r, TCP_SYN);
	rig_only(r, STACK);
	rig_free(r);
}
END_TEST

/* --- requests -----------------------------------------------------------------------------------
 */

static struct endpoint endpoint(const char *addr, uint16_t port)
{
	struct endpoint e = {.port = port};

	ck_assert_int_eq(ipaddr_parse(&e.addr, addr), 0);
	return e;
}

/* Name of the target, or "none". */
static const char *choose(struct rig *r, uint16_t service, const char *client, uint16_t port)
{
	struct endpoint from = endpoint(client, port), to = endpoint(VIP, 80);
	uint16_t t = engine_l7_choose(r->engine, service, &from, &to, r->now_ns);

	return t == PARAMS_NONE ? "none" : r->params->targets[t].name;
}

static uint16_t target(const struct rig *r, const char *name)
{
	for (uint16_t i = 0; i < r->params->n_targets; i++)
		if (strcmp(r->params->targets[i].name, name) == 0)
			return i;
	ck_abort();
}

static void health(struct rig *r, const char *name, bool up)
{
	engine_target_health(r->engine, target(r, name), up, "checked", r->now_ns, r->actions);
	rig_collect(r);
}

START_TEST(requests_in_turn)
{
	struct rig *r =
		start(&(struct plan){.web = "ports = {\"80\"} algorithm = \"weighted-round-robin\""
					    " targets = {\"s1\", \"s2\"}"});
	unsigned s1 = 0;

	for (unsigned i = 0; i < 400; i++)
		s1 += strcmp(choose(r, WEB, CLIENT, 4000), "s1") == 0;
	ck_assert_uint_eq(s1, 100);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_str_eq(choose(r, ROUTE, CLIENT, 4000), "s3");
	ck_assert_uint_eq(r->engine->dispatch.service_states[ROUTE].flows_total, 10);
	ck_assert_uint_eq(n_flows(r), 0);
	ck_assert_str_eq(choose(r, 99, CLIENT, 4000), "none");
	rig_free(r);
}
END_TEST

/* By the connection, as any dispatcher does with the same seed; by the client's address. */
START_TEST(requests_by_hash)
{
	struct rig *r = start(&(struct plan){
		.web = _i ? "ports = {\"80\"} algorithm = \"source\" targets = {\"s1\", \"s2\"}"
			  : NULL});
	unsigned n[2] = {0};

	for (uint16_t port = 1000; port < 1200; port++) {
		const char *first = choose(r, WEB, CLIENT, port);

		ck_assert_str_eq(choose(r, WEB, CLIENT, port), first);
		n[strcmp(first, "s1") == 0]++;
	}
	if (_i)
		ck_assert(n[0] == 200 || n[1] == 200);
	else
		ck_assert(n[1] > 20 && n[0] > 100);
	rig_free(r);
}
END_TEST

START_TEST(requests_by_least)
{
	struct rig *r =
		start(&(struct plan){.web = "ports = {\"80\"} algorithm = \"least-connections\""
					    " targets = {\"s1\", \"s3\"}"});
	uint16_t s1 = target(r, "s1"), s3 = target(r, "s3");

	for (unsigned i = 0; i < 3; i++)
		engine_l7_flow(r->engine, s1, true);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_str_eq(choose(r, WEB, CLIENT, 4000), "s3");
	for (unsigned i = 0; i < 4; i++)
		engine_l7_flow(r->engine, s3, true);
	ck_assert_str_eq(choose(r, WEB, CLIENT, 4000), "s1");
	for (unsigned i = 0; i < 4; i++)
		engine_l7_flow(r->engine, s3, false);
	ck_assert_str_eq(choose(r, WEB, CLIENT, 4000), "s3");
	ck_assert_uint_eq(r->engine->dispatch.target_candidates[s3].n_flows, 0);
	ck_assert_uint_eq(r->engine->dispatch.targets[s3].flows_total, 4);
	engine_l7_flow(r->engine, s3, false); /* never below nought */
	ck_assert_uint_eq(r->engine->dispatch.target_candidates[s3].n_flows, 0);
	engine_l7_flow(r->engine, 99, true);
	rig_free(r);
}
END_TEST

START_TEST(requests_with_affinity)
{
	struct rig *r = start(&(struct plan){
		.web = "ports = {\"80\"} algorithm = \"round-robin\" affinity = \"source\""
		       " affinity-timeout = \"10s\" targets = {\"s1\", \"s3\"}"});
	const char *first = choose(r, WEB, CLIENT, 4000), *second;

	for (uint16_t i = 0; i < 30; i++) { /* each makes its time begin anew */
		ck_assert_str_eq(choose(r, WEB, CLIENT, i), first);
		rig_wait(r, 2000);
	}
	second = choose(r, WEB, "198.51.100.10", 4000);
	ck_assert_str_ne(second, first);
	ck_assert_str_eq(choose(r, WEB, CLIENT, 1), first);
	/* Not while it takes nobody new; the other is kept from then on. */
	engine_set_drain(r->engine, first, true, r->now_ns, r->actions);
	ck_assert_str_eq(choose(r, WEB, CLIENT, 2), second);
	engine_set_drain(r->engine, first, false, r->now_ns, r->actions);
	ck_assert_str_eq(choose(r, WEB, CLIENT, 3), second);
	ck_assert_str_eq(choose(r, WEB, CLIENT, 4), second);
	rig_wait(r, 11000);
	ck_assert_str_eq(choose(r, WEB, "198.51.100.11", 1), first);
	rig_free(r);
}
END_TEST

START_TEST(nobody_is_up)
{
	struct rig *r = start(&(struct plan){
		.web = _i ? "ports = {\"80\"} affinity = \"source\" targets = {\"s1\"}"
			    " sorry = \"sorry\""
			  : "ports = {\"80\"} targets = {\"s1\"}"});

	ck_assert_str_eq(choose(r, WEB, CLIENT, 1), "s1");
	health(r, "s1", false);
	ck_assert_str_eq(choose(r, WEB, CLIENT, 1), _i ? "sorry" : "none");
	ck_assert_uint_eq(r->engine->dispatch.service_states[WEB].refused, !_i);
	health(r, "s1", true);
	ck_assert_str_eq(choose(r, WEB, CLIENT, 1), "s1");
	rig_free(r);
}
END_TEST

static enum l7_standing standing(const struct rig *r, const char *name, uint64_t *age_ms)
{
	uint64_t since_ns;
	enum l7_standing s = engine_l7_standing(r->engine, target(r, name), &since_ns);

	*age_ms = (r->now_ns - since_ns) / RIG_MS;
	return s;
}

START_TEST(standings)
{
	struct rig *r = start_usual();
	uint64_t age, since;

	ck_assert_int_eq(standing(r, "s1", &age), L7_TARGET_TAKES);
	engine_set_drain(r->engine, "s1", true, r->now_ns, r->actions);
	rig_wait(r, 3000);
	ck_assert_int_eq(standing(r, "s1", &age), L7_TARGET_DRAINED);
	ck_assert_uint_eq(age, 3000);
	health(r, "s1", false);
	rig_wait(r, 500);
	ck_assert_int_eq(standing(r, "s1", &age), L7_TARGET_DOWN);
	ck_assert_uint_eq(age, 500);
	health(r, "s1", true);
	ck_assert_int_eq(standing(r, "s1", &age), L7_TARGET_DRAINED);
	ck_assert_uint_eq(age, 3500);
	engine_set_drain(r->engine, "s1", false, r->now_ns, r->actions);
	ck_assert_int_eq(standing(r, "s1", &age), L7_TARGET_TAKES);
	engine_set_weight(r->engine, "s1", 0, r->now_ns, r->actions);
	ck_assert_int_eq(standing(r, "s1", &age), L7_TARGET_DRAINED);
	ck_assert_uint_eq(age, 0);
	ck_assert_int_eq(engine_l7_standing(r->engine, 99, &since), L7_TARGET_DOWN);
	rig_free(r);
}
END_TEST

/* Reached by the host's own routes, of which the engine need not know any: no port leads to s2. */
START_TEST(reached_by_the_host)
{
	struct rig *r = start_usual();
	uint64_t age;

	ck_assert_int_eq(standing(r, "s2", &age), L7_TARGET_TAKES);
	r->links[INSIDE].up = false;
	rig_link(r, INSIDE);
	rig_wait(r, 500);
	ck_assert_int_eq(standing(r, "s1", &age), L7_TARGET_TAKES);
	ck_assert_int_eq(standing(r, "plain", &age), L7_TARGET_DOWN); /* that of l4/2 */
	rig_free(r);
}
END_TEST

/* Counts belong to names. */
START_TEST(counts_live_on)
{
	struct rig *r = start_usual();
	struct params *p = l7_params(&(struct plan){.web = "ports = {\"80\"} targets = {\"s3\"}"});
	struct target_params t = p->targets[0];

	engine_l7_service_counts(r->engine, WEB)->requests = 11;
	engine_l7_service_counts(r->engine, ROUTE)->requests = 22;
	engine_l7_target_counts(r->engine, 0)->requests = 33;
	p->targets[0] = p->targets[2]; /* s1 and s3 change their places */
	p->targets[2] = t;
	reload(r, p);
	ck_assert_uint_eq(engine_l7_service_counts(r->engine, WEB)->requests, 11);
	ck_assert_uint_eq(engine_l7_service_counts(r->engine, ROUTE)->requests, 22);
	ck_assert_uint_eq(engine_l7_target_counts(r->engine, 0)->requests, 0);
	ck_assert_uint_eq(engine_l7_target_counts(r->engine, 2)->requests, 33);
	reload(r, l7_params(&(struct plan){.gone = true}));
	ck_assert_uint_eq(engine_l7_service_counts(r->engine, WEB)->requests, 0);
	rig_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dispatch l7");
	TCase *tc = tcase_create("packets"), *rq = tcase_create("requests");
	SRunner *sr;
	int n;

	tcase_add_loop_test(tc, to_the_stack_and_back, 0, sizeof(orders) / sizeof(*orders));
	tcase_add_test(tc, last_hop);
	tcase_add_test(tc, too_big_for_the_way_out);
	tcase_add_loop_test(tc, no_stack, 0, 4);
	tcase_add_test(tc, another_peer);
	tcase_add_test(tc, strays_of_the_stack);
	tcase_add_test(tc, nobody_else_speaks_for_it);
	tcase_add_test(tc, icmp_errors);
	tcase_add_loop_test(tc, fragments, 0, 2);
	tcase_add_loop_test(tc, not_resumed, 0, 2);
	tcase_add_test(tc, targets_do_not_touch_connections);
	tcase_add_test(tc, own_address);
	tcase_add_test(tc, balancer_alone);
	tcase_add_loop_test(tc, reloads, 0, sizeof(changes) / sizeof(*changes));
	tcase_add_test(tc, reload_to_l7);
	tcase_add_test(rq, requests_in_turn);
	tcase_add_loop_test(rq, requests_by_hash, 0, 2);
	tcase_add_test(rq, requests_by_least);
	tcase_add_test(rq, requests_with_affinity);
	tcase_add_loop_test(rq, nobody_is_up, 0, 2);
	tcase_add_test(rq, standings);
	tcase_add_test(rq, reached_by_the_host);
	tcase_add_test(rq, counts_live_on);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, rq);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	n = srunner_ntests_failed(sr);
	srunner_free(sr);
	return n > 0;
}
