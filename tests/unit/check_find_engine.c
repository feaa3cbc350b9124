/*
 * check_find_engine.c - three whole engines, a, b and c, that ask each other for the servers of
 * cookies by sealed messages.
 *
 * Each is a dispatcher on the segment "farm" with a service "web": a has the server "near", b and c
 * have "far", b alone has "lone". Datagrams arrive at once; who sleeps neither ticks nor reads.
 *
 * proves: HD-18
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/name_id.h"
#include "conf/conf.h"
#include "dispatch/agent.h"
#include "engine/engine_priv.h"

#define MS 1000000ULL
#define STEP (10 * MS)
#define NODES 3
#define QUEUE 256
#define A 0
#define B 1
#define C 2
#define WEB 0

#define CONFIG(node, ip, servers, targets)                                                         \
	"node = \"" node "\"\n"                                                                    \
	"port \"farm\" { device = \"s\" addresses = {\"10.4.0." ip "/24\"} }\n"                    \
	"cluster { device = \"c\" }\n"                                                             \
	"member \"a\" { id = 1 }\nmember \"b\" { id = 2 }\nmember \"c\" { id = 3 }\n"              \
	"dispatcher \"last\" { role = \"stage\" ports = {\"farm\"} max-flows = 2048 }\n"           \
	"service \"web\" { addresses = {\"198.51.100.80\"} protocol = \"tcp\" ports = {\"80\"}\n"  \
	"  technology = \"l7/3\" cookie = \"insert\" cookie-name = \"S\" relay = \"ask\"\n"        \
	"  targets = {" servers "} }\n" targets
#define TARGET(name, ip) "target \"" name "\" { addresses = {\"10.4.0." ip "\"} }\n"

static const char *const configs[NODES] = {
	CONFIG("a", "1", "\"near\"", TARGET("near", "11")),
	CONFIG("b", "2", "\"far\", \"lone\"", TARGET("far", "12") TARGET("lone", "13")),
	CONFIG("c", "3", "\"far\"", TARGET("far", "12")),
};

struct queued {
	unsigned from;
	struct datagram d;
	uint8_t *data;
};

static struct params *params[NODES];
static struct engine *engines[NODES];
static struct actions *actions;
static bool asleep[NODES];
static uint64_t now;
static struct queued queue[QUEUE];
static unsigned n_queue;

/* --- the wire -----------------------------------------------------------------------------------
 */

static struct endpoint endpoint_of(unsigned node)
{
	uint8_t b[4] = {10, 9, 0, (uint8_t)(node + 1)};

	return (struct endpoint){.addr = ipaddr_v4(b), .port = 4242};
}

static void carry_out(unsigned from)
{
	for (uint32_t i = 0; i < actions->n_datagrams; i++) {
		struct queued *q = &queue[n_queue++];

		ck_assert_uint_lt(n_queue, QUEUE);
		*q = (struct queued){.from = from, .d = actions->datagrams[i]};
		q->data = malloc(q->d.size);
		memcpy(q->data, q->d.data, q->d.size);
	}
	actions_reset(actions);
}

static void arrive(const struct queued *q, unsigned to)
{
	struct endpoint from = endpoint_of(q->from), own = endpoint_of(to);
	uint8_t *copy;

	if (to == q->from || asleep[to] ||
	    (!q->d.multicast && !ipaddr_eq(&q->d.to.addr, &own.addr)))
		return;
	copy = malloc(q->d.size);
	memcpy(copy, q->data, q->d.size);
	engine_datagram(engines[to], copy, q->d.size, &from, q->d.multicast, now, actions);
	carry_out(to);
	free(copy);
}

static void deliver(void)
{
	for (unsigned i = 0; i < n_queue; i++) {
		struct queued q = queue[i];

		for (unsigned to = 0; to < NODES; to++)
			arrive(&q, to);
		free(q.data);
	}
	n_queue = 0;
}

/* Whoever is due ticks, as the daemon's loop would have it. */
static void settle(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		if (asleep[i] || engine_next(engines[i]) > now)
			continue;
		engine_tick(engines[i], now, actions);
		carry_out(i);
	}
	deliver();
}

static void pass(unsigned ms)
{
	for (uint64_t end = now + ms * MS; now < end; now += STEP)
		settle();
	settle();
}

/* --- the nodes ----------------------------------------------------------------------------------
 */

static struct keyring *cluster_keys(void)
{
	static const char text[] = "1 000102030405060708090a0b0c0d0e0f"
				   "101112131415161718191a1b1c1d1e1f active\n";
	char why[128];

	return keyring_parse(text, strlen(text), why, sizeof(why));
}

static void start(unsigned i)
{
	struct engine_seed seed = {.boot_id = {(uint8_t)(i + 1)}, .words = {i + 1, 2, 3, 4}};
	struct engine_link link = {
		.up = true, .mac = {{2, 0, 0, 0, 4, (uint8_t)(i + 1)}}, .mtu = 1500};

	params[i] = conf_parse("test", configs[i], stderr, NULL);
	ck_assert_ptr_nonnull(params[i]);
	params[i]->l7.max_connections = 64;
	engines[i] = engine_new(params[i], cluster_keys(), &seed, now);
	ck_assert_ptr_nonnull(engines[i]);
	for (uint16_t port = 0; port < params[i]->n_ports; port++)
		engine_set_link(engines[i], port, &link, now, actions);
	carry_out(i);
}

static void setup(void)
{
	now = 1000 * 1000 * MS;
	actions = actions_new();
	for (unsigned i = 0; i < NODES; i++)
		start(i);
	pass(3000);
	for (unsigned i = 0; i < NODES; i++)
		ck_assert_uint_eq(channel_n_up(engines[i]->channel), 2);
}

static void teardown(void)
{
	deliver();
	for (unsigned i = 0; i < NODES; i++) {
		engine_free(engines[i]);
		conf_free(params[i]);
	}
	actions_free(actions);
}

static enum l7_found find(const char *server, uint16_t *target)
{
	*target = 7;
	return engine_l7_find(engines[A], WEB, name_id(server), target, now);
}

static void is(const char *server, enum l7_found expected, unsigned member)
{
	uint16_t target;

	ck_assert_int_eq(find(server, &target), expected);
	ck_assert_uint_eq(target, expected == L7_FOUND ? L7_RELAY + member : 7);
}

static uint64_t counted(unsigned node, enum counter c)
{
	return engine_counters(engines[node])[c];
}

/* --- tests --------------------------------------------------------------------------------------
 */

/* The question leaves with the tick that it makes due; no time need pass for the answers. */
START_TEST(found_by_asking)
{
	uint32_t news = engine_l7_news(engines[A]);

	is("lone", L7_FOUND_LATER, 0);
	ck_assert(engine_next(engines[A]) <= now);
	ck_assert_uint_eq(counted(A, COUNTER_WHO_HAS_SENT), 0);
	settle();
	ck_assert_uint_eq(engine_l7_news(engines[A]), news + 1);
	is("lone", L7_FOUND, B);
	ck_assert_uint_eq(counted(A, COUNTER_WHO_HAS_SENT), 1);
	ck_assert_uint_eq(counted(A, COUNTER_HAVE_RECEIVED), 2);
	ck_assert_uint_eq(counted(B, COUNTER_WHO_HAS_RECEIVED), 1);
	ck_assert_uint_eq(counted(B, COUNTER_HAVE_SENT), 1);
	ck_assert_uint_eq(counted(C, COUNTER_HAVE_SENT), 1);
}
END_TEST

START_TEST(nobody_has_it)
{
	uint32_t news = engine_l7_news(engines[A]);

	is("unheard-of", L7_FOUND_LATER, 0);
	settle();
	ck_assert_uint_eq(engine_l7_news(engines[A]), news + 1);
	is("unheard-of", L7_FOUND_NOBODY, 0);
	ck_assert_uint_eq(counted(A, COUNTER_FIND_NOBODY), 1);
}
END_TEST

/* What the agent and the check of another dispatcher say of its server. */
START_TEST(drained_or_down_over_there)
{
	is("far", L7_FOUND_LATER, 0);
	settle();
	is("far", L7_FOUND, B);
	engine_target_load(engines[B], 0, AGENT_DRAIN, now, actions);
	carry_out(B);
	pass(10000);
	is("far", L7_FOUND, B); /* an old answer, which is asked for anew */
	settle();
	is("far", L7_FOUND, C);
	engine_target_health(engines[C], 0, false, "no answer", now, actions);
	engine_target_health(engines[C], 0, false, "no answer", now, actions);
	engine_target_health(engines[C], 0, false, "no answer", now, actions);
	carry_out(C);
	pass(10000);
	is("far", L7_FOUND, C);
	settle();
	is("far", L7_FOUND, B); /* drained, but its cookies hold */
}
END_TEST

/* Silent for as long as that: dead, and what it has said with it. */
START_TEST(member_dies)
{
	is("lone", L7_FOUND_LATER, 0);
	settle();
	is("lone", L7_FOUND, B);
	asleep[B] = true;
	pass(5000);
	ck_assert_uint_eq(channel_n_up(engines[A]->channel), 1);
	is("lone", L7_FOUND_LATER, 0);
	settle();
	is("lone", L7_FOUND_NOBODY, 0);
	asleep[B] = false;
	pass(3000);
	is("lone", L7_FOUND_LATER, 0); /* it has come, so the lack of it is void */
	settle();
	is("lone", L7_FOUND, B);
}
END_TEST

/* Not yet known to be dead: waited for as long as the service says. */
START_TEST(member_sleeps)
{
	const uint32_t wait_ms = params[A]->services[WEB].l7.relay_ms;

	asleep[B] = true;
	is("lone", L7_FOUND_LATER, 0);
	settle();
	is("lone", L7_FOUND_LATER, 0);
	pass(wait_ms - 10);
	is("lone", L7_FOUND_LATER, 0);
	ck_assert_uint_eq(channel_n_up(engines[A]->channel), 2);
	pass(120);
	is("lone", L7_FOUND_NOBODY, 0);
	ck_assert_uint_eq(counted(A, COUNTER_WHO_HAS_SENT), 2);
}
END_TEST

START_TEST(reload)
{
	struct params *again = conf_parse("test", configs[A], stderr, NULL);
	uint32_t news;

	is("lone", L7_FOUND_LATER, 0);
	settle();
	is("lone", L7_FOUND, B);
	is("unheard-of", L7_FOUND_LATER, 0);
	news = engine_l7_news(engines[A]);
	again->l7.max_connections = 64;
	ck_assert_int_eq(engine_reload(engines[A], again, NULL, now, actions), 0);
	carry_out(A);
	conf_free(params[A]);
	params[A] = again;
	ck_assert_uint_eq(engine_l7_news(engines[A]), news + 1);
	is("lone", L7_FOUND_LATER, 0);
	settle();
	is("lone", L7_FOUND, B);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("find_engine");
	TCase *t = tcase_create("find_engine");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, found_by_asking);
	tcase_add_test(t, nobody_has_it);
	tcase_add_test(t, drained_or_down_over_there);
	tcase_add_test(t, member_dies);
	tcase_add_test(t, member_sleeps);
	tcase_add_test(t, reload);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
