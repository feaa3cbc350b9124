/*
 * check_handover_dispatch.c - an inner dispatcher is restarted with its tables: flows, twins,
 * affinities, weights, drains and MAC addresses are as they were; by names, so that another
 * configuration finds them again.
 *
 * proves: HD-24 HD-11
 */
#include "dispatch/dispatch.h"
#include "handover.h"
#include "rig.h"

#define CLIENT "198.51.100.9"
#define VIP3 "203.0.113.80"
#define VIP2 "203.0.113.81"
#define SERVER "10.1.0.80"
#define SERVER2 "10.1.0.81"
#define PATHS                                                                                      \
	"path \"fw1\" { id = 7 addresses = {\"192.0.2.11\"} }\n"                                   \
	"path \"fw2\" { id = 9 addresses = {\"192.0.2.12\"} }\n"
#define INNER                                                                                      \
	"dispatcher \"inner\" { role = \"inner\" firewall-port = \"outside\""                      \
	" ports = {\"inside\"} }\n"
#define THREE                                                                                      \
	"service \"three\" { addresses = {\"" VIP3 "\"} protocol = \"tcp\" technology = \"l4/3\""  \
	" affinity = \"source\" targets = {\"s\", \"s2\"} }\n"
#define TWO                                                                                        \
	"service \"two\" { addresses = {\"" VIP2 "\"} protocol = \"tcp\" technology = \"l4/2\""    \
	" targets = {\"s2\"} }\n"
#define S "target \"s\" { addresses = {\"" SERVER "\"} }\n"
#define S2 "target \"s2\" { addresses = {\"" SERVER2 "\"} }\n"
#define GAP_MS 100

static struct rig *start(const char *text)
{
	struct rig *r = rig_new("", text);

	rig_wait(r, 1500);
	rig_clear(r);
	return r;
}

/* Both ends of a connection to the service; the target's address as the packets show it. */
static void connect_to(struct rig *r, const char *vip, unsigned sport)
{
	struct rig_packet p = {.src = CLIENT,
			       .dst = vip,
			       .proto = IPPROTO_NUM_TCP,
			       .sport = sport,
			       .dport = 80,
			       .flags = TCP_SYN,
			       .seq = 1000,
			       .ack = 2000};

	rig_send(r, OUTSIDE, &p);
	rig_only(r, INSIDE);
}

static struct pkt sent_to(struct rig *r, const char *vip, unsigned sport)
{
	struct rig_packet p = {.src = CLIENT,
			       .dst = vip,
			       .proto = IPPROTO_NUM_TCP,
			       .sport = sport,
			       .dport = 80,
			       .flags = TCP_ACK,
			       .seq = 1001,
			       .ack = 2001,
			       .len = 10};

	rig_send(r, OUTSIDE, &p);
	return *rig_only(r, INSIDE);
}

static bool is_to(const struct pkt *p, const char *address)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(&a, address), 0);
	return ipaddr_eq(&p->tuple.dst, &a);
}

static uint16_t target_of(const struct rig *r, const char *name)
{
	for (uint16_t i = 0; i < r->params->n_targets; i++)
		if (strcmp(r->params->targets[i].name, name) == 0)
			return i;
	ck_abort_msg("no target %s", name);
}

/* The next process, with that configuration. The old one ends. */
static struct rig *restart(struct rig *r, const char *text, struct handover_report *report)
{
	struct handover_place place = place_at(r->now_ns);
	struct tables t = {0};
	const char *why;
	struct rig *next;

	ck_assert_int_eq(engine_save(r->engine, r->now_ns, r->actions, &place, tables_put, &t), 0);
	next = rig_new("", text);
	next->now_ns = r->now_ns + GAP_MS * RIG_MS;
	rig_free(r);
	place = place_at(next->now_ns);
	ck_assert_int_eq(engine_restore(next->engine, next->now_ns, next->actions, &place, t.data,
					t.size, report, &why),
			 0);
	rig_collect(next);
	tables_free(&t);
	rig_clear(next);
	return next;
}

START_TEST(flows_go_on)
{
	const char *text = PATHS INNER THREE TWO S S2;
	struct rig *r = start(text);
	struct macaddr mac = rig_host_mac(INSIDE);
	struct handover_report report;
	bool on_s;
	struct pkt p;

	connect_to(r, VIP3, 4000);
	connect_to(r, VIP2, 4001);
	p = sent_to(r, VIP3, 4000);
	on_s = is_to(&p, SERVER);
	sent_to(r, VIP2, 4001);
	ck_assert_int_eq(engine_set_weight(r->engine, "s", 3, r->now_ns, r->actions), 0);
	ck_assert_int_eq(
		engine_set_drain(r->engine, on_s ? "s" : "s2", true, r->now_ns, r->actions), 0);
	rig_collect(r);
	r = restart(r, text, &report);
	ck_assert_uint_eq(report.kept[HANDOVER_DFLOWS], 2);
	ck_assert_uint_eq(report.lost[HANDOVER_DFLOWS], 0);
	ck_assert_uint_eq(report.kept[HANDOVER_AFFINITIES], 1);
	ck_assert_uint_eq(flow_table_count(r->engine->dispatch.flows), 3); /* and a twin */
	p = sent_to(r, VIP3, 4000);
	ck_assert(is_to(&p, on_s ? SERVER : SERVER2));
	ck_assert_uint_eq(r->asked, 0); /* its MAC address is known */
	p = sent_to(r, VIP2, 4001);
	ck_assert(is_to(&p, VIP2));
	ck_assert(macaddr_eq(&p.eth_dst, &mac));
	struct rig_packet answer = {.src = on_s ? SERVER : SERVER2,
				    .dst = CLIENT,
				    .proto = IPPROTO_NUM_TCP,
				    .sport = 80,
				    .dport = 4000,
				    .flags = TCP_ACK,
				    .seq = 2001,
				    .ack = 1011};
	rig_send(r, INSIDE, &answer);
	p = *rig_only(r, OUTSIDE);
	ck_assert_uint_eq(p.tuple.sport, 80);
	struct ipaddr vip;
	ipaddr_parse(&vip, VIP3);
	ck_assert(ipaddr_eq(&p.tuple.src, &vip)); /* by the twin */
	ck_assert_uint_eq(r->engine->dispatch.targets[target_of(r, "s")].weight, 3);
	ck_assert(r->engine->dispatch.targets[target_of(r, on_s ? "s" : "s2")].drained);
	ck_assert(!r->engine->dispatch.targets[target_of(r, on_s ? "s2" : "s")].drained);
	rig_free(r);
}
END_TEST

/* Another order, a service gone: what is left is found by its name. */
START_TEST(by_name)
{
	struct rig *r = start(PATHS INNER THREE TWO S S2);
	struct handover_report report;
	struct pkt p;

	connect_to(r, VIP3, 4000);
	connect_to(r, VIP2, 4001);
	sent_to(r, VIP2, 4001);
	r = restart(r,
		    "path \"new\" { id = 1 addresses = {\"192.0.2.13\"} }\n" PATHS INNER
		    "service \"first\" { addresses = {\"203.0.113.99\"} protocol = \"tcp\" "
		    "technology = \"l4/3\""
		    " targets = {\"s2\"} }\n" TWO S2,
		    &report);
	ck_assert_uint_eq(report.kept[HANDOVER_DFLOWS], 1);
	ck_assert_uint_eq(report.lost[HANDOVER_DFLOWS], 1);
	ck_assert_uint_eq(report.lost[HANDOVER_AFFINITIES], 1);
	ck_assert_uint_eq(report.lost[HANDOVER_TARGETS], 1);
	p = sent_to(r, VIP2, 4001);
	ck_assert(is_to(&p, VIP2));
	ck_assert_uint_eq(rig_counter(r, COUNTER_DISPATCH_NEW), 1);
	ck_assert_uint_eq(rig_counter(r, COUNTER_RESTART_KEPT), 1);
	ck_assert_uint_eq(rig_counter(r, COUNTER_RESTART_LOST), 1);
	rig_free(r);
}
END_TEST

/* The flow's firewall is gone: it gets another. */
START_TEST(another_firewall)
{
	struct rig *r =
		start("path \"fw1\" { id = 7 addresses = {\"192.0.2.11\"} }\n" INNER TWO S2);
	struct handover_report report;
	struct dflow *f;
	uint32_t pos = 0;

	connect_to(r, VIP2, 4001);
	sent_to(r, VIP2, 4001);
	r = restart(r, "path \"fw2\" { id = 9 addresses = {\"192.0.2.12\"} }\n" INNER TWO S2,
		    &report);
	ck_assert_uint_eq(report.kept[HANDOVER_DFLOWS], 1);
	f = flow_table_next(r->engine->dispatch.flows, &pos);
	ck_assert_uint_eq(f->path, 0);
	ck_assert_uint_eq(f->path_by, DFLOW_BY_MOVED);
	ck_assert_uint_eq(r->engine->dispatch.dispatchers[0].n_flows, 1);
	ck_assert_uint_eq(r->engine->dispatch.target_candidates[0].n_flows, 1);
	rig_free(r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("handover_dispatch");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, flows_go_on);
	tcase_add_test(tc, by_name);
	tcase_add_test(tc, another_firewall);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
