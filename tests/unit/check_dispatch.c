/*
 * check_dispatch.c - an inner dispatcher between one firewall (outside) and servers (inside): what
 * clients and servers see of a flow; and an outer one, what forged beginnings do to its table.
 *
 * proves: HD-3 HD-4 HD-6 HD-8 FC-13
 */
#include "dispatch/dispatch.h"
#include "packet/checksum.h"
#include "rig.h"

#define SERVER "10.1.0.80"

/* The three addresses of a flow in every order: keys put the smaller endpoint first. */
static const struct {
	const char *client, *vip;
} orders[] = {
	{"5.0.0.9", "6.0.0.80"},	  {"6.0.0.9", "5.0.0.80"},
	{"5.0.0.9", "203.0.113.80"},	  {"203.0.113.9", "5.0.0.80"},
	{"198.51.100.9", "203.0.113.80"}, {"203.0.113.9", "198.51.100.80"},
};

static struct rig *start(const char *vip, const char *technology, const char *more)
{
	char text[2048];
	struct rig *r;

	snprintf(text, sizeof(text),
		 "path \"fw1\" { id = 7 addresses = {\"192.0.2.11\"} }\n"
		 "dispatcher \"inner\" { role = \"inner\" firewall-port = \"outside\""
		 " ports = {\"inside\"} %s }\n"
		 "service \"tcp\" { addresses = {\"%s\"} protocol = \"tcp\" technology = \"%s\""
		 " targets = {\"s\"} }\n"
		 "service \"udp\" { addresses = {\"%s\"} protocol = \"udp\" technology = \"%s\""
		 " targets = {\"s\"} }\n"
		 "target \"s\" { addresses = {\"" SERVER "\"} }\n",
		 more, vip, technology, vip, technology);
	r = rig_new("", text);
	rig_wait(r, 1500); /* the firewall's MAC address is known */
	rig_clear(r);
	return r;
}

/* Exactly one packet came out, by that port, from and to those endpoints, its sums right. */
static const struct pkt *expect(struct rig *r, unsigned port, const char *src, unsigned sport,
				const char *dst, unsigned dport)
{
	struct ipaddr from, to;
	struct pkt *p = &r->out[0].pkt;

	ck_assert_int_eq(ipaddr_parse(&from, src), 0);
	ck_assert_int_eq(ipaddr_parse(&to, dst), 0);
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_uint_eq(r->out[0].port, port);
	ck_assert_int_eq(r->out[0].decoded, DROP_NONE);
	p->frame = &r->out[0].frame;
	ck_assert(ipaddr_eq(&p->tuple.src, &from));
	ck_assert(ipaddr_eq(&p->tuple.dst, &to));
	ck_assert_uint_eq(p->tuple.sport, sport);
	ck_assert_uint_eq(p->tuple.dport, dport);
	ck_assert(csum_l4_ok(p));
	return p;
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

START_TEST(test_l43_in_every_order)
{
	const char *client = orders[_i].client, *vip = orders[_i].vip;
	struct rig *r = start(vip, "l4/3", "");
	struct rig_packet p = tcp(client, 4000, vip, 80, TCP_SYN);

	rig_send(r, OUTSIDE, &p);
	expect(r, INSIDE, client, 4000, SERVER, 80);
	p = tcp(SERVER, 80, client, 4000, TCP_SYN | TCP_ACK);
	rig_send(r, INSIDE, &p);
	expect(r, OUTSIDE, vip, 80, client, 4000);
	p = tcp(client, 4000, vip, 80, TCP_ACK);
	p.len = 100;
	rig_send(r, OUTSIDE, &p);
	expect(r, INSIDE, client, 4000, SERVER, 80);
	p = tcp(SERVER, 80, client, 4000, TCP_ACK);
	p.len = 100;
	rig_send(r, INSIDE, &p);
	expect(r, OUTSIDE, vip, 80, client, 4000);
	ck_assert_uint_eq(flow_table_count(r->engine->dispatch.flows), 2);
	rig_free(r);
}
END_TEST

/* Only the MAC address is another: the server speaks as the service. */
START_TEST(test_l42_in_every_order)
{
	const char *client = orders[_i].client, *vip = orders[_i].vip;
	struct rig *r = start(vip, "l4/2", "");
	struct rig_packet p = tcp(client, 4000, vip, 80, TCP_SYN);
	struct macaddr server = rig_host_mac(INSIDE), own = rig_mac(INSIDE);
	const struct pkt *out;

	rig_send(r, OUTSIDE, &p);
	out = expect(r, INSIDE, client, 4000, vip, 80);
	ck_assert(macaddr_eq(&out->eth_dst, &server));
	ck_assert(macaddr_eq(&out->eth_src, &own));
	p = tcp(vip, 80, client, 4000, TCP_SYN | TCP_ACK);
	rig_send(r, INSIDE, &p);
	out = expect(r, OUTSIDE, vip, 80, client, 4000);
	server = rig_host_mac(OUTSIDE);
	ck_assert(macaddr_eq(&out->eth_dst, &server)); /* the firewall's */
	rig_free(r);
}
END_TEST

/* After a restart a server's answer may come before its request. It is taken for a flow of the
 * server's own, which gives way to the request's. */
START_TEST(test_answer_before_its_request)
{
	const char *client = "198.51.100.9", *vip = "203.0.113.80";
	struct rig *r = start(vip, "l4/3", "");
	struct rig_packet answer = {.src = SERVER,
				    .dst = client,
				    .proto = IPPROTO_NUM_UDP,
				    .sport = 53,
				    .dport = 4000,
				    .len = 20};
	struct rig_packet request = {.src = client,
				     .dst = vip,
				     .proto = IPPROTO_NUM_UDP,
				     .sport = 4000,
				     .dport = 53,
				     .len = 20};

	rig_send(r, INSIDE, &answer);
	expect(r, OUTSIDE, SERVER, 53, client, 4000);
	rig_send(r, OUTSIDE, &request);
	expect(r, INSIDE, client, 4000, SERVER, 53);
	rig_send(r, INSIDE, &answer);
	expect(r, OUTSIDE, vip, 53, client, 4000);
	rig_free(r);
}
END_TEST

/* The same with l4/2, where both flows have the same addresses: the request is not taken for an
 * answer. That to a flow which the server has really begun is. */
START_TEST(test_answer_before_its_request_l42)
{
	struct rig *r =
		rig_new("", "path \"fw1\" { id = 7 addresses = {\"192.0.2.11\"} }\n"
			    "dispatcher \"inner\" { role = \"inner\" firewall-port = \"outside\""
			    " ports = {\"inside\"} }\n"
			    "service \"dns\" { addresses = {\"203.0.113.80\"} protocol = \"udp\""
			    " ports = {\"53\"} technology = \"l4/2\" targets = {\"s\"} }\n"
			    "target \"s\" { addresses = {\"" SERVER "\"} }\n");
	struct rig_packet p = {.src = "203.0.113.80",
			       .dst = "198.51.100.9",
			       .proto = IPPROTO_NUM_UDP,
			       .sport = 53,
			       .dport = 4000};
	struct macaddr server = rig_host_mac(INSIDE);

	rig_wait(r, 1500);
	rig_send(r, INSIDE, &p);
	expect(r, OUTSIDE, "203.0.113.80", 53, "198.51.100.9", 4000);
	p = (struct rig_packet){.src = "198.51.100.9",
				.dst = "203.0.113.80",
				.proto = IPPROTO_NUM_UDP,
				.sport = 4000,
				.dport = 53};
	for (unsigned i = 0; i < 2; i++) {
		rig_send(r, OUTSIDE, &p);
		ck_assert(macaddr_eq(
			&expect(r, INSIDE, "198.51.100.9", 4000, "203.0.113.80", 53)->eth_dst,
			&server));
	}
	ck_assert_uint_eq(r->engine->dispatch.service_states[0].flows_total, 1);
	p = (struct rig_packet){.src = "203.0.113.80",
				.dst = "198.51.100.53",
				.proto = IPPROTO_NUM_UDP,
				.sport = 5000,
				.dport = 53};
	rig_send(r, INSIDE, &p);
	rig_only(r, OUTSIDE);
	p = (struct rig_packet){.src = "198.51.100.53",
				.dst = "203.0.113.80",
				.proto = IPPROTO_NUM_UDP,
				.sport = 53,
				.dport = 5000};
	rig_send(r, OUTSIDE, &p);
	ck_assert_dropped(r, DROP_NO_SERVICE, 0);
	ck_assert_uint_eq(r->engine->dispatch.service_states[0].flows_total, 1);
	rig_free(r);
}
END_TEST

/* Errors reach the sender of what they quote, in its own words. */
START_TEST(test_icmp_errors)
{
	const char *client = orders[_i].client, *vip = orders[_i].vip;
	struct rig *r = start(vip, "l4/3", "");
	struct rig_packet p = tcp(client, 4000, vip, 80, TCP_SYN), error;
	struct ipaddr v, c, srv;
	const struct pkt *out;

	ck_assert_int_eq(ipaddr_parse(&v, vip), 0);
	ck_assert_int_eq(ipaddr_parse(&c, client), 0);
	ck_assert_int_eq(ipaddr_parse(&srv, SERVER), 0);
	rig_send(r, OUTSIDE, &p);
	p = tcp(client, 4000, SERVER, 80, TCP_SYN); /* as the server got it */
	error = (struct rig_packet){
		.src = SERVER, .dst = client, .proto = IPPROTO_NUM_ICMP, .type = 3, .code = 3};
	rig_send_error(r, INSIDE, &error, &p);
	out = rig_only(r, OUTSIDE);
	ck_assert(ipaddr_eq(&out->tuple.src, &v) && ipaddr_eq(&out->tuple.dst, &c));
	ck_assert(ipaddr_eq(&out->inner.src, &c) && ipaddr_eq(&out->inner.dst, &v));
	ck_assert_uint_eq(out->inner.dport, 80);
	p = tcp(vip, 80, client, 4000, TCP_ACK); /* as the client got it */
	error = (struct rig_packet){
		.src = client, .dst = vip, .proto = IPPROTO_NUM_ICMP, .type = 3, .code = 4};
	rig_send_error(r, OUTSIDE, &error, &p);
	out = rig_only(r, INSIDE);
	ck_assert(ipaddr_eq(&out->tuple.src, &c) && ipaddr_eq(&out->tuple.dst, &srv));
	ck_assert(ipaddr_eq(&out->inner.src, &srv) && ipaddr_eq(&out->inner.dst, &c));
	rig_free(r);
}
END_TEST

/* In the middle of nothing. */
START_TEST(test_unknown)
{
	static const char *const options[] = {"unknown = \"drop\"", "unknown = \"reset\""};
	struct rig *r = start("203.0.113.80", "l4/2", options[_i]);
	struct rig_packet p = tcp("198.51.100.9", 4000, "203.0.113.80", 80, TCP_ACK);

	rig_send(r, OUTSIDE, &p);
	ck_assert_uint_eq(r->engine->node.drops[DROP_NO_FLOW], 1);
	ck_assert_uint_eq(flow_table_count(r->engine->dispatch.flows), 0);
	if (_i == 0) {
		ck_assert_uint_eq(r->n_out, 0);
	} else {
		const struct pkt *out =
			expect(r, OUTSIDE, "203.0.113.80", 80, "198.51.100.9", 4000);
		ck_assert_uint_eq(out->tcp.flags & TCP_RST, TCP_RST);
		ck_assert_uint_eq(out->tcp.seq, 2000);
	}
	rig_free(r);
}
END_TEST

/* What asks for a service's address, but for none of its ports, is told apart from what belongs to
 * nothing; and who asks by TCP is told, where that is wanted. */
START_TEST(test_no_service)
{
	static const char *const options[] = {"unknown = \"drop\"", "unknown = \"reset\""};
	struct rig *r = start("203.0.113.80", "l4/2", options[_i]);
	struct rig_packet p = {
		.src = "198.51.100.9", .dst = "203.0.113.80", .proto = IPPROTO_NUM_ICMP, .type = 8};

	rig_send(r, OUTSIDE, &p);
	ck_assert_dropped(r, DROP_NO_SERVICE, 1);
	ck_assert_dropped(r, DROP_TO_HOST, 0);
	p.proto = 132; /* SCTP */
	rig_send(r, OUTSIDE, &p);
	ck_assert_dropped(r, DROP_NO_SERVICE, 2);
	ck_assert_uint_eq(r->n_out, 0);
	rig_free(r);
	r = rig_new("", "path \"fw1\" { id = 7 addresses = {\"192.0.2.11\"} }\n"
			"dispatcher \"inner\" { role = \"inner\" firewall-port = \"outside\""
			" ports = {\"inside\"} unknown = \"reset\" }\n"
			"service \"web\" { addresses = {\"203.0.113.80\"} protocol = \"tcp\""
			" ports = {\"80\"} technology = \"l4/2\" targets = {\"s\"} }\n"
			"target \"s\" { addresses = {\"" SERVER "\"} }\n");
	rig_wait(r, 1500);
	p = tcp("198.51.100.9", 4000, "203.0.113.80", 81, TCP_SYN);
	rig_send(r, OUTSIDE, &p);
	ck_assert_dropped(r, DROP_NO_SERVICE, 1);
	ck_assert_uint_eq(expect(r, OUTSIDE, "203.0.113.80", 81, "198.51.100.9", 4000)->tcp.flags,
			  TCP_RST | TCP_ACK);
	p.proto = IPPROTO_NUM_UDP;
	rig_send(r, OUTSIDE, &p);
	ck_assert_dropped(r, DROP_NO_SERVICE, 2);
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert_uint_eq(flow_table_count(r->engine->dispatch.flows), 0);
	rig_free(r);
}
END_TEST

/* A host that has the service's address, and more to offer than the service: a route leads on to
 * it.
 */
START_TEST(test_part_of_a_host)
{
	struct rig *r = start("10.1.0.90", "l4/3", "");
	struct rig_packet p = {
		.src = "198.51.100.9", .dst = "10.1.0.90", .proto = IPPROTO_NUM_ICMP, .type = 8};

	rig_send(r, OUTSIDE, &p);
	ck_assert_dropped(r, DROP_NO_SERVICE, 0);
	rig_only(r, INSIDE);
	rig_free(r);
}
END_TEST

/* Nobody serves: with unknown = "reset" the client does not wait for an answer. */
START_TEST(test_no_target)
{
	static const char *const options[] = {"unknown = \"drop\"", "unknown = \"reset\""};
	struct rig *r = start("203.0.113.80", "l4/2", options[_i]);
	struct rig_packet p = tcp("198.51.100.9", 4000, "203.0.113.80", 80, TCP_SYN);

	r->links[INSIDE].up = false;
	rig_link(r, INSIDE);
	rig_wait(r, 500);
	rig_send(r, OUTSIDE, &p);
	ck_assert_dropped(r, DROP_NO_TARGET, 1);
	ck_assert_uint_eq(flow_table_count(r->engine->dispatch.flows), 0);
	if (_i == 0)
		ck_assert_uint_eq(r->n_out, 0);
	else
		ck_assert_uint_eq(
			expect(r, OUTSIDE, "203.0.113.80", 80, "198.51.100.9", 4000)->tcp.flags,
			TCP_RST | TCP_ACK);
	rig_free(r);
}
END_TEST

/* A server that speaks as the service itself, where the service has its addresses rewritten. */
START_TEST(test_spoofing_server)
{
	struct rig *r = start("203.0.113.80", "l4/3", "");
	struct rig_packet p = tcp("198.51.100.9", 4000, "203.0.113.80", 80, TCP_SYN);

	rig_send(r, OUTSIDE, &p);
	p = tcp("203.0.113.80", 80, "198.51.100.9", 4000, TCP_SYN | TCP_ACK);
	rig_send(r, INSIDE, &p);
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert_uint_eq(r->engine->node.drops[DROP_SPOOFED], 1);
	rig_free(r);
}
END_TEST

/* --- an outer dispatcher between clients (outside) and one firewall (inside) ---------------------
 */

#define ROOM 1024
#define VIP "203.0.113.80"

static struct rig *start_outer(void)
{
	struct rig *r =
		rig_new("", "path \"fw1\" { id = 7 addresses = {\"10.1.0.11\"} }\n"
			    "route \"0.0.0.0/0\" { via = \"192.0.2.11\" port = \"outside\" }\n"
			    "dispatcher \"outer\" { role = \"outer\" max-flows = 1024"
			    " firewall-port = \"inside\" ports = {\"outside\"} }\n");

	rig_wait(r, 1500);
	rig_clear(r);
	r->quiet = true;
	return r;
}

/* From outside, or, as an answer, from the firewall. */
static void says(struct rig *r, bool answer, const char *client, unsigned flags, uint32_t ack)
{
	struct rig_packet p =
		answer ? tcp(VIP, 80, client, 4000, flags) : tcp(client, 4000, VIP, 80, flags);

	p.seq = answer ? 7000 : 1000;
	p.ack = ack;
	rig_send(r, answer ? INSIDE : OUTSIDE, &p);
}

static bool known(struct rig *r, const char *client)
{
	uint64_t before = rig_drops(r, DROP_NO_FLOW);

	says(r, false, client, TCP_ACK, 7001);
	return rig_drops(r, DROP_NO_FLOW) == before;
}

/* Beginnings that nobody has answered, with what a sender that cannot see answers may add. */
static const struct {
	unsigned second; /* flags of a second packet of the sender's */
	bool answered;	 /* by a SYN-ACK before */
	bool twice;	 /* the second packet, twice */
} forged[] = {
	{0, false, false},
	{0, true, false},
	{TCP_RST, false, false},
	{TCP_RST, true, false},
	{TCP_ACK, false, true},
	{TCP_ACK, true, true},
	{TCP_ACK | TCP_FIN, true, true},
};

START_TEST(test_forged_beginnings_give_way)
{
	struct rig *r = start_outer();
	char client[32];

	says(r, false, "198.51.100.1", TCP_SYN, 0);
	says(r, true, "198.51.100.1", TCP_SYN | TCP_ACK, 1001);
	says(r, false, "198.51.100.1", TCP_ACK, 7001);
	/* The answer was not seen to be what was acknowledged, but the server goes on. */
	says(r, false, "198.51.100.2", TCP_SYN, 0);
	says(r, false, "198.51.100.2", TCP_ACK, 1);
	says(r, true, "198.51.100.2", TCP_ACK, 1001);
	for (unsigned i = 0; i < 3 * ROOM; i++) {
		snprintf(client, sizeof(client), "20.%u.%u.9", i / 250, i % 250);
		says(r, false, client, TCP_SYN, 0);
		if (forged[_i].answered)
			says(r, true, client, TCP_SYN | TCP_ACK, 1001);
		for (int k = 0; forged[_i].second && k <= forged[_i].twice; k++)
			says(r, false, client, forged[_i].second, 2000000000);
	}
	ck_assert_uint_eq(rig_drops(r, DROP_FLOW_TABLE_FULL), 0);
	ck_assert_uint_eq(rig_counter(r, COUNTER_DISPATCH_EVICTED),
			  3 * ROOM + 2 - flow_table_count(r->engine->dispatch.flows));
	ck_assert(known(r, "198.51.100.1"));
	ck_assert(known(r, "198.51.100.2"));
	ck_assert(!known(r, "20.0.0.9"));
	rig_free(r);
}
END_TEST

/* Datagrams that nobody answers do; what was answered does not. */
START_TEST(test_unanswered_datagrams_give_way)
{
	struct rig *r = start_outer();
	struct rig_packet p = {.proto = IPPROTO_NUM_UDP, .dport = 53, .sport = 4000, .len = 20};
	struct rig_packet answer = {.src = VIP,
				    .dst = "198.51.100.1",
				    .proto = IPPROTO_NUM_UDP,
				    .sport = 53,
				    .dport = 4000,
				    .len = 20};
	uint64_t made;
	char client[32];

	p.dst = VIP;
	p.src = "198.51.100.1";
	rig_send(r, OUTSIDE, &p);
	rig_send(r, INSIDE, &answer);
	for (unsigned i = 0; i < 3 * ROOM; i++) {
		snprintf(client, sizeof(client), "20.%u.%u.9", i / 250, i % 250);
		p.src = client;
		rig_send(r, OUTSIDE, &p);
		rig_send(r, OUTSIDE, &p);
	}
	ck_assert_uint_eq(rig_drops(r, DROP_FLOW_TABLE_FULL), 0);
	made = rig_counter(r, COUNTER_DISPATCH_NEW);
	rig_send(r, INSIDE, &answer);
	ck_assert_uint_eq(rig_counter(r, COUNTER_DISPATCH_NEW), made);
	rig_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dispatch");
	TCase *tc = tcase_create("dispatch");
	SRunner *sr;
	int n;

	tcase_add_loop_test(tc, test_l43_in_every_order, 0, sizeof(orders) / sizeof(*orders));
	tcase_add_loop_test(tc, test_l42_in_every_order, 0, sizeof(orders) / sizeof(*orders));
	tcase_add_loop_test(tc, test_icmp_errors, 0, sizeof(orders) / sizeof(*orders));
	tcase_add_test(tc, test_answer_before_its_request);
	tcase_add_test(tc, test_answer_before_its_request_l42);
	tcase_add_loop_test(tc, test_unknown, 0, 2);
	tcase_add_loop_test(tc, test_no_service, 0, 2);
	tcase_add_test(tc, test_part_of_a_host);
	tcase_add_loop_test(tc, test_no_target, 0, 2);
	tcase_add_test(tc, test_spoofing_server);
	tcase_add_loop_test(tc, test_forged_beginnings_give_way, 0,
			    sizeof(forged) / sizeof(*forged));
	tcase_add_test(tc, test_unanswered_datagrams_give_way);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	n = srunner_ntests_failed(sr);
	srunner_free(sr);
	return n > 0;
}
