/*
 * check_find.c - who is connected to the server of a cookie: by the configuration, and by asking
 * the other dispatchers over a channel that loses and delays.
 *
 * Up to three nodes, a, b and c, members 0 to 2. The channel between them is this file's: messages
 * lie in a queue until a test delivers or loses them; so is who is reached, and what stands how.
 *
 * proves: HD-18
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/name_id.h"
#include "dispatch/dispatch.h"
#include "guard.h"

#define MS 1000000ULL
#define NODES 3
#define QUEUE 4096
#define WAIT 400 /* relay-timeout */

/* services */
#define WEB 0
#define IMG 1 /* a route of it */
#define OTHER 2
#define DNS 3 /* by L4 */
/* targets: those of node a and their names elsewhere */
#define NEAR 0 /* of web */
#define FAR 1  /* of web */
#define PIC 2  /* of its route */
#define ODD 3  /* of the other service */
#define TARGETS 4

struct queued {
	unsigned from;
	uint32_t to;
	uint8_t type;
	size_t size;
	uint8_t data[16];
};

struct channel {
	unsigned index;
	struct channel_member members[NODES];
	uint8_t room[64];
	bool mute;
};

struct world {
	struct params params;
	struct service_params services[4];
	struct target_params targets[TARGETS];
	uint16_t lists[TARGETS];
	struct node node;
	struct dispatch d;
	struct channel channel;
	bool unreached[NODES];
	enum l7_standing standing[TARGETS];
};

static struct world worlds[NODES];
static struct queued queue[QUEUE];
static unsigned n_queue;

/* --- what find.c asks of others ----------------------------------------------------------------
 */

bool channel_begin(struct channel *ch, size_t max, struct wcur *body)
{
	ck_assert_uint_le(max, sizeof(ch->room));
	*body = wcur_init(ch->room, max);
	return true;
}

bool channel_send(struct channel *ch, uint8_t type, struct wcur *body, uint32_t to)
{
	struct queued *q = &queue[n_queue];

	ck_assert(wcur_ok(body));
	ck_assert_uint_le(wcur_size(body), sizeof(q->data));
	ck_assert_uint_lt(n_queue, QUEUE);
	ck_assert_uint_ne(to, ch->index);
	if (ch->mute)
		return false;
	*q = (struct queued){.from = ch->index, .to = to, .type = type, .size = wcur_size(body)};
	memcpy(q->data, body->start, q->size);
	n_queue++;
	return true;
}

const struct channel_member *channel_member(const struct channel *ch, uint32_t index)
{
	ck_assert_uint_lt(index, NODES);
	return &ch->members[index];
}

static struct world *world_of(const struct dispatch *d)
{
	for (unsigned i = 0; i < NODES; i++)
		if (&worlds[i].d == d)
			return &worlds[i];
	ck_abort_msg("whose is it?");
	return NULL;
}

bool legs_reach(const struct dispatch *d, uint16_t member)
{
	return d->channel->members[member].up && !world_of(d)->unreached[member];
}

enum l7_standing dispatch_l7_standing(const struct dispatch *d, uint16_t target, uint64_t *since_ns)
{
	*since_ns = 0;
	return world_of(d)->standing[target];
}

/* --- the nodes ----------------------------------------------------------------------------------
 */

static void name_things(struct world *w)
{
	static const char *const services[] = {"web", "web/img", "other", "dns"};
	static const char *const targets[] = {"near", "far", "pic", "odd"};

	for (unsigned i = 0; i < 4; i++) {
		struct service_params *s = &w->services[i];

		strcpy(s->name, services[i]);
		s->technology = i == DNS ? TECHNOLOGY_L4_2 : TECHNOLOGY_L7_3;
		s->route_of = i == IMG ? WEB : PARAMS_NONE;
		s->l7.relay = L7_RELAY_ASK;
		s->l7.relay_ms = WAIT;
	}
	for (uint16_t i = 0; i < TARGETS; i++) {
		strcpy(w->targets[i].name, targets[i]);
		w->lists[i] = i;
		w->standing[i] = L7_TARGET_TAKES;
	}
	w->services[WEB].targets = (struct slice){.first = NEAR, .n = 2};
	w->services[IMG].targets = (struct slice){.first = PIC, .n = 1};
	w->services[OTHER].targets = (struct slice){.first = ODD, .n = 1};
}

static struct world *start(unsigned index)
{
	struct world *w = &worlds[index];

	memset(w, 0, sizeof(*w));
	name_things(w);
	w->params.n_members = NODES;
	w->params.self = index;
	w->params.services = w->services;
	w->params.n_services = 4;
	w->params.targets = w->targets;
	w->params.n_targets = TARGETS;
	w->params.target_lists = w->lists;
	w->params.n_target_lists = TARGETS;
	w->channel.index = index;
	for (unsigned i = 0; i < NODES; i++)
		w->channel.members[i] = (struct channel_member){.up = true, .generation = i + 1};
	w->node.now_ns = 1000 * MS;
	w->node.params = &w->params;
	w->d.node = &w->node;
	w->d.params = &w->params;
	w->d.channel = &w->channel;
	w->d.n_dispatchers = 1;
	ck_assert_int_eq(finds_init(&w->d), 0);
	return w;
}

static void setup(void)
{
	n_queue = 0;
	for (unsigned i = 0; i < NODES; i++)
		start(i);
	/* A has "near" alone, b and c are to be asked for the others. */
	worlds[0].standing[FAR] = worlds[0].standing[PIC] = L7_TARGET_DOWN;
	for (unsigned i = 1; i < NODES; i++)
		for (unsigned t = 0; t < TARGETS; t++)
			worlds[i].standing[t] = L7_TARGET_DOWN;
}

static void teardown(void)
{
	for (unsigned i = 0; i < NODES; i++)
		finds_fini(&worlds[i].d);
}

#define A (&worlds[0])
#define B (&worlds[1])
#define C (&worlds[2])

static uint64_t counted(const struct world *w, enum counter c)
{
	return w->node.counters[c];
}

/* Time passes for all, and who is due ticks. */
static void pass(unsigned ms)
{
	uint64_t end = A->node.now_ns + ms * MS;

	for (unsigned i = 0; i < NODES; i++) {
		struct world *w = &worlds[i];
		uint64_t next = finds_next(&w->d);

		while (next <= end) {
			if (next > w->node.now_ns)
				w->node.now_ns = next;
			next = finds_tick(&w->d);
			ck_assert(next > w->node.now_ns);
			ck_assert(next == finds_next(&w->d));
		}
		w->node.now_ns = end;
	}
}

static void receive(struct world *w, const struct queued *q)
{
	uint8_t *copy = guard_copy(q->data, q->size);
	struct channel_message msg = {
		.type = q->type, .member = q->from, .body = rcur_init(copy, q->size)};

	finds_message(&w->d, &msg);
	guard_free(copy, q->size);
}

/* All that is under way arrives, and what it gives rise to; nothing for or from the nodes of the
 * mask. */
static void deliver_but(unsigned lost)
{
	for (unsigned i = 0; i < n_queue; i++)
		for (unsigned j = 0; j < NODES; j++)
			if (j != queue[i].from && !(lost & 1u << j) &&
			    !(lost & 1u << queue[i].from) &&
			    (queue[i].to == CHANNEL_ALL || queue[i].to == j))
				receive(&worlds[j], &queue[i]);
	n_queue = 0;
}

static void deliver(void)
{
	deliver_but(0);
}

static enum l7_found find_in(struct world *w, uint16_t service, const char *server,
			     uint16_t *target)
{
	*target = 7;
	return dispatch_l7_find(&w->d, service, name_id(server), target);
}

static void nobody(struct world *w, uint16_t service, const char *server)
{
	uint16_t target;

	ck_assert_int_eq(find_in(w, service, server, &target), L7_FOUND_NOBODY);
	ck_assert_uint_eq(target, 7);
}

static void later(struct world *w, uint16_t service, const char *server)
{
	uint16_t target;

	ck_assert_int_eq(find_in(w, service, server, &target), L7_FOUND_LATER);
	ck_assert_uint_eq(target, 7);
}

static void found(struct world *w, uint16_t service, const char *server, unsigned member)
{
	uint16_t target;

	ck_assert_int_eq(find_in(w, service, server, &target), L7_FOUND);
	ck_assert_uint_eq(target, L7_RELAY + member);
}

/* What `from` says of a server of "web", asked or not. */
static void says_of(const char *server, unsigned from, uint8_t flags)
{
	const struct wire_have m = {name_id("web"), name_id(server), flags};
	struct queued q = {.from = from, .type = WIRE_HAVE};
	struct wcur c = wcur_init(q.data, sizeof(q.data));

	wire_put_have(&c, &m);
	q.size = wcur_size(&c);
	receive(A, &q);
}

static void says(unsigned from, uint8_t flags)
{
	says_of("far", from, flags);
}

static void ask(void)
{
	later(A, WEB, "far");
	pass(0);
	n_queue = 0;
}

/* --- by the configuration ----------------------------------------------------------------------
 */

static void via(struct world *w, unsigned target, unsigned first, unsigned second)
{
	w->targets[target].n_via = 2;
	w->targets[target].via[0] = (uint16_t)first;
	w->targets[target].via[1] = (uint16_t)second;
	w->standing[target] = L7_TARGET_DOWN;
}

START_TEST(first_that_is_reached)
{
	A->services[WEB].l7.relay = L7_RELAY_CONFIG;
	via(A, FAR, 2, 1);
	found(A, WEB, "far", 2);
	A->unreached[2] = true;
	found(A, WEB, "far", 1);
	A->channel.members[1].up = false;
	nobody(A, WEB, "far");
	A->unreached[2] = false;
	found(A, WEB, "far", 2);
	pass(1000);
	ck_assert_uint_eq(n_queue, 0);
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 0);
}
END_TEST

/* Targets of a service's routes are of its cookies, too; those of other services are not. */
START_TEST(whose_targets)
{
	A->services[WEB].l7.relay = L7_RELAY_CONFIG;
	for (unsigned t = 0; t < TARGETS; t++)
		via(A, t, 1, 2);
	A->targets[NEAR].n_via = 0;
	found(A, WEB, "pic", 1);
	found(A, IMG, "far", 1); /* asked with the route's index */
	nobody(A, WEB, "near");
	nobody(A, WEB, "odd");
	nobody(A, WEB, "unheard-of");
	nobody(A, 4, "far");
	nobody(A, PARAMS_NONE, "far");
	A->services[WEB].l7.relay = L7_RELAY_NONE;
	nobody(A, WEB, "far");
	pass(1000);
	ck_assert_uint_eq(n_queue, 0);
}
END_TEST

START_TEST(without_a_cluster)
{
	finds_fini(&A->d);
	A->d.channel = NULL;
	ck_assert_int_eq(finds_init(&A->d), 0);
	A->services[WEB].l7.relay = L7_RELAY_BOTH;
	nobody(A, WEB, "far");
	ck_assert(finds_tick(&A->d) == UINT64_MAX);
	ck_assert(finds_next(&A->d) == UINT64_MAX);
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 0);
	ck_assert_uint_eq(finds_at(&A->d, 1), 0);
	finds_members_changed(&A->d);
	finds_configure(&A->d);
}
END_TEST

/* What the configuration knows is not asked; when it does not help, the others are. */
START_TEST(both_ways)
{
	A->services[WEB].l7.relay = L7_RELAY_BOTH;
	via(A, FAR, 1, 1);
	found(A, WEB, "far", 1);
	later(A, WEB, "pic");
	A->unreached[1] = true;
	later(A, WEB, "far");
	C->standing[FAR] = L7_TARGET_TAKES;
	pass(0);
	ck_assert_uint_eq(n_queue, 2);
	deliver();
	found(A, WEB, "far", 2);
	A->unreached[1] = false;
	found(A, WEB, "far", 1);
}
END_TEST

/* --- by asking ----------------------------------------------------------------------------------
 */

/* Nothing is sent by the question itself; the tick that it makes due asks all at once. */
START_TEST(asked_and_found)
{
	struct wcur c;
	uint8_t bytes[8];

	C->standing[FAR] = L7_TARGET_TAKES;
	later(A, WEB, "far");
	later(A, IMG, "far");
	ck_assert_uint_eq(n_queue, 0);
	ck_assert(finds_next(&A->d) == A->node.now_ns);
	pass(0);
	ck_assert_uint_eq(n_queue, 1);
	ck_assert_uint_eq(queue[0].type, WIRE_WHO_HAS);
	ck_assert_uint_eq(queue[0].to, CHANNEL_ALL);
	ck_assert_uint_eq(queue[0].size, 8);
	c = wcur_init(bytes, sizeof(bytes));
	wcur_u32(&c, name_id("web"));
	wcur_u32(&c, name_id("far"));
	ck_assert_mem_eq(queue[0].data, bytes, sizeof(bytes));
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 0);
	deliver();
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 1);
	found(A, WEB, "far", 2);
	found(A, IMG, "far", 2);
	ck_assert_uint_eq(finds_at(&A->d, 1), 0);
	ck_assert_uint_eq(finds_at(&A->d, 2), 1);
	pass(5000);
	ck_assert_uint_eq(n_queue, 0);
	ck_assert_uint_eq(counted(A, COUNTER_WHO_HAS_SENT), 1);
	ck_assert_uint_eq(counted(A, COUNTER_HAVE_RECEIVED), 2);
	ck_assert_uint_eq(counted(A, COUNTER_HAVE_UNASKED), 0);
	ck_assert_uint_eq(counted(A, COUNTER_FIND_NOBODY), 0);
	ck_assert_uint_eq(counted(B, COUNTER_WHO_HAS_RECEIVED), 1);
	ck_assert_uint_eq(counted(B, COUNTER_HAVE_SENT), 1);
}
END_TEST

/* The first yes is enough: who comes with the cookie does not wait for the rest. */
START_TEST(first_yes_ends_the_wait)
{
	ask();
	says(2, WIRE_HAVE_YES);
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 1);
	found(A, WEB, "far", 2);
	says(1, WIRE_HAVE_YES);
	found(A, WEB, "far", 1); /* of several the first in the list */
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 1);
	ck_assert_uint_eq(finds_at(&A->d, 1), 1);
	ck_assert_uint_eq(finds_at(&A->d, 2), 1);
}
END_TEST

START_TEST(drained_is_second_best)
{
	ask();
	says(1, WIRE_HAVE_YES | WIRE_HAVE_DRAINED);
	found(A, WEB, "far", 1);
	says(2, WIRE_HAVE_YES);
	found(A, WEB, "far", 2);
	A->unreached[2] = true;
	found(A, WEB, "far", 1);
}
END_TEST

/* All say no: the answer is there at once, and holds for three seconds. */
START_TEST(nobody_has_it)
{
	later(A, WEB, "far");
	pass(0);
	deliver();
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 1);
	ck_assert_uint_eq(counted(A, COUNTER_FIND_NOBODY), 1);
	nobody(A, WEB, "far");
	pass(2999);
	nobody(A, WEB, "far");
	ck_assert_uint_eq(n_queue, 0);
	pass(1);
	later(A, WEB, "far");
	pass(0);
	ck_assert_uint_eq(n_queue, 1);
}
END_TEST

/* The silent ones are asked once more, and then no longer waited for. */
START_TEST(silence)
{
	later(A, WEB, "far");
	pass(0);
	deliver_but(1 << 2);
	pass(WAIT / 4 - 1);
	ck_assert_uint_eq(n_queue, 0);
	pass(1);
	ck_assert_uint_eq(n_queue, 1);
	ck_assert_uint_eq(queue[0].type, WIRE_WHO_HAS);
	ck_assert_uint_eq(queue[0].to, 2);
	n_queue = 0;
	pass(WAIT * 3 / 4 - 1);
	later(A, WEB, "far");
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 0);
	pass(1);
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 1);
	nobody(A, WEB, "far");
	ck_assert_uint_eq(n_queue, 0);
	ck_assert_uint_eq(counted(A, COUNTER_WHO_HAS_SENT), 2);
	ck_assert_uint_eq(counted(A, COUNTER_FIND_NOBODY), 1);
	says(2, WIRE_HAVE_YES); /* too late */
	nobody(A, WEB, "far");
	ck_assert_uint_eq(counted(A, COUNTER_HAVE_UNASKED), 1);
}
END_TEST

/* The question was lost, its repetition was not. */
START_TEST(asked_twice)
{
	C->standing[FAR] = L7_TARGET_TAKES;
	ask();
	pass(WAIT / 4);
	ck_assert_uint_eq(n_queue, 2); /* one for each */
	deliver();
	found(A, WEB, "far", 2);
	pass(5000);
	ck_assert_uint_eq(n_queue, 0);
}
END_TEST

/* --- how long it holds --------------------------------------------------------------------------
 */

START_TEST(renewed_while_in_use)
{
	ask();
	says(1, 0);
	says(2, WIRE_HAVE_YES);
	pass(9999);
	found(A, WEB, "far", 2);
	pass(0);
	ck_assert_uint_eq(n_queue, 0);
	pass(1);
	found(A, WEB, "far", 2); /* and asks meanwhile */
	pass(0);
	ck_assert_uint_eq(n_queue, 1);
	found(A, WEB, "far", 2);
	says(2, WIRE_HAVE_YES);
	says(1, 0);
	n_queue = 0;
	pass(29999);
	found(A, WEB, "far", 2);
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 1);
}
END_TEST

START_TEST(forgotten_when_old)
{
	ask();
	says(1, 0);
	says(2, WIRE_HAVE_YES);
	pass(30000);
	ck_assert_uint_eq(n_queue, 0); /* nobody used it, nobody asks */
	ck_assert_uint_eq(finds_at(&A->d, 2), 0);
	later(A, WEB, "far");
}
END_TEST

/* Nobody answers any more, though they live: the last yes holds as long as it does. */
START_TEST(renewal_without_answers)
{
	ask();
	says(1, 0);
	says(2, WIRE_HAVE_YES);
	pass(10000);
	for (unsigned i = 0; i < 200; i++) {
		found(A, WEB, "far", 2);
		pass(100);
	}
	/* seven rounds of three seconds, each once to all and once to two */
	ck_assert_uint_eq(n_queue, 7 * 3);
	later(A, WEB, "far");
}
END_TEST

/* It has moved: the old answer goes, the new one is taken. */
START_TEST(server_has_moved)
{
	ask();
	says(1, 0);
	says(2, WIRE_HAVE_YES);
	pass(10000);
	found(A, WEB, "far", 2);
	pass(0);
	says(2, 0);
	later(A, WEB, "far");
	says(1, WIRE_HAVE_YES);
	found(A, WEB, "far", 1);
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 2);
}
END_TEST

/* --- members ------------------------------------------------------------------------------------
 */

static void goes(unsigned member, bool up)
{
	A->channel.members[member].up = up;
	A->channel.members[member].generation += 100;
	finds_members_changed(&A->d);
}

/* Who is gone is not waited for; what he said is void. */
START_TEST(member_down_while_asked)
{
	ask();
	says(1, 0);
	goes(2, false);
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 1);
	nobody(A, WEB, "far");
	goes(1, false);
	nobody(A, WEB, "far"); /* there is nobody to ask */
	pass(5000);
	ck_assert_uint_eq(n_queue, 0);
}
END_TEST

START_TEST(member_down_when_found)
{
	ask();
	says(1, WIRE_HAVE_YES | WIRE_HAVE_DRAINED);
	says(2, WIRE_HAVE_YES);
	found(A, WEB, "far", 2);
	goes(2, false);
	found(A, WEB, "far", 1);
	goes(2, true);
	found(A, WEB, "far", 1); /* it has to say so again */
	goes(1, false);
	later(A, WEB, "far");
}
END_TEST

/* Down without a word: the tick sees it, too. */
START_TEST(member_down_is_seen_by_the_tick)
{
	ask();
	says(1, 0);
	A->channel.members[2].up = false;
	finds_tick(&A->d);
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 1);
	nobody(A, WEB, "far");
}
END_TEST

/* Started anew, it may have another configuration. */
START_TEST(member_restarted)
{
	ask();
	says(1, 0);
	says(2, WIRE_HAVE_YES);
	goes(2, true);
	later(A, WEB, "far");
	ck_assert_uint_eq(finds_at(&A->d, 2), 0);
	pass(0);
	says(1, 0);
	goes(1, true); /* what it said was said by its predecessor */
	says(2, 0);
	later(A, WEB, "far");
	says(1, WIRE_HAVE_YES);
	found(A, WEB, "far", 1);
}
END_TEST

/* A newcomer may have what nobody had; asked meanwhile, it is waited for. */
START_TEST(member_comes)
{
	goes(2, false);
	ask();
	says(1, 0);
	nobody(A, WEB, "far");
	goes(2, true);
	ask();
	says(1, 0);
	later(A, WEB, "far");
	says(2, WIRE_HAVE_YES);
	found(A, WEB, "far", 2);
}
END_TEST

/* Relays need a segment in common: who has none might as well have said no. */
START_TEST(not_reached)
{
	A->unreached[2] = true;
	ask();
	says(2, WIRE_HAVE_YES);
	later(A, WEB, "far");
	says(1, 0);
	nobody(A, WEB, "far");
	A->unreached[2] = false;
	nobody(A, WEB, "far"); /* until it is asked again */
	pass(3000);
	ask();
	says(2, WIRE_HAVE_YES);
	says(1, 0);
	found(A, WEB, "far", 2);
	pass(10000);
	found(A, WEB, "far", 2); /* and asks for it anew */
	A->unreached[2] = true;
	later(A, WEB, "far");
	pass(0);
	ck_assert_uint_eq(n_queue, 1);
	says(2, 0);
	says(1, 0);
	nobody(A, WEB, "far");
}
END_TEST

/* Found, and not being asked for: it is asked for at once. */
START_TEST(no_longer_reached)
{
	ask();
	says(1, 0);
	says(2, WIRE_HAVE_YES);
	found(A, WEB, "far", 2);
	A->unreached[2] = true;
	later(A, WEB, "far");
	pass(0);
	ck_assert_uint_eq(n_queue, 1);
}
END_TEST

/* --- what is not believed -----------------------------------------------------------------------
 */

START_TEST(unasked)
{
	says(2, WIRE_HAVE_YES);
	ck_assert_uint_eq(counted(A, COUNTER_HAVE_UNASKED), 1);
	later(A, WEB, "far");
	says(2, WIRE_HAVE_YES); /* before the question was sent */
	later(A, WEB, "far");
	ck_assert_uint_eq(counted(A, COUNTER_HAVE_UNASKED), 2);
	pass(0);
	says_of("pic", 2, WIRE_HAVE_YES);
	later(A, WEB, "far");
	ck_assert_uint_eq(counted(A, COUNTER_HAVE_UNASKED), 3);
	says(1, 0);
	says(2, 0);
	says(2, WIRE_HAVE_YES); /* after the end */
	nobody(A, WEB, "far");
	ck_assert_uint_eq(counted(A, COUNTER_HAVE_UNASKED), 4);
	ck_assert_uint_eq(counted(A, COUNTER_HAVE_RECEIVED), 6);
	ck_assert_uint_eq(finds_at(&A->d, 2), 0);
}
END_TEST

START_TEST(malformed)
{
	struct queued q = {.from = 1, .type = WIRE_HAVE, .size = 8, .data = {1, 2, 3, 4, 5}};

	receive(A, &q);
	q.type = WIRE_WHO_HAS;
	q.size = 9;
	receive(A, &q);
	q.size = 0;
	receive(A, &q);
	ck_assert_uint_eq(counted(A, COUNTER_MSG_MALFORMED), 3);
	ck_assert_uint_eq(counted(A, COUNTER_WHO_HAS_RECEIVED), 0);
	ck_assert_uint_eq(n_queue, 0);
}
END_TEST

/* --- answers ------------------------------------------------------------------------------------
 */

/* What node b answers c's question; -1: nothing. */
static int answer(const char *service, const char *server)
{
	const struct wire_who_has m = {name_id(service), name_id(server)};
	struct queued q = {.from = 2, .type = WIRE_WHO_HAS};
	struct wcur c = wcur_init(q.data, sizeof(q.data));
	struct wire_have have;
	struct rcur r;

	n_queue = 0;
	wire_put_who_has(&c, &m);
	q.size = wcur_size(&c);
	receive(B, &q);
	if (n_queue == 0)
		return -1;
	ck_assert_uint_eq(n_queue, 1);
	ck_assert_uint_eq(queue[0].to, 2); /* the asker alone */
	ck_assert_uint_eq(queue[0].type, WIRE_HAVE);
	r = rcur_init(queue[0].data, queue[0].size);
	ck_assert(wire_get_have(&r, &have));
	ck_assert_uint_eq(have.service, m.service);
	ck_assert_uint_eq(have.server, m.server);
	n_queue = 0;
	return have.flags;
}

START_TEST(answers)
{
	for (unsigned t = 0; t < TARGETS; t++)
		B->standing[t] = L7_TARGET_TAKES;
	for (unsigned relay = L7_RELAY_CONFIG; relay <= L7_RELAY_BOTH; relay++) {
		B->services[WEB].l7.relay = relay;
		ck_assert_int_eq(answer("web", "far"), WIRE_HAVE_YES);
	}
	ck_assert_int_eq(answer("web", "pic"), WIRE_HAVE_YES); /* of its route */
	ck_assert_int_eq(answer("web/img", "pic"), 0);	       /* a route has no cookies */
	ck_assert_int_eq(answer("web", "odd"), 0);	       /* another service's */
	ck_assert_int_eq(answer("other", "odd"), WIRE_HAVE_YES);
	ck_assert_int_eq(answer("dns", "far"), 0);
	ck_assert_int_eq(answer("unheard-of", "far"), 0);
	ck_assert_int_eq(answer("web", "unheard-of"), 0);
	B->standing[FAR] = L7_TARGET_DRAINED;
	ck_assert_int_eq(answer("web", "far"), WIRE_HAVE_YES | WIRE_HAVE_DRAINED);
	B->standing[FAR] = L7_TARGET_DOWN;
	ck_assert_int_eq(answer("web", "far"), 0);
	B->standing[FAR] = L7_TARGET_TAKES;
	via(B, FAR, 0, 2);
	B->standing[FAR] = L7_TARGET_TAKES;
	ck_assert_int_eq(answer("web", "far"), 0); /* it would have to relay further */
	B->services[OTHER].l7.relay = L7_RELAY_NONE;
	ck_assert_int_eq(answer("other", "odd"), 0);
}
END_TEST

/* By L4 the same name means another thing. */
START_TEST(answer_of_another_layer)
{
	B->standing[FAR] = L7_TARGET_TAKES;
	B->services[WEB].technology = TECHNOLOGY_L7_2;
	ck_assert_int_eq(answer("web", "far"), WIRE_HAVE_YES);
	B->services[WEB].technology = TECHNOLOGY_L4_3;
	ck_assert_int_eq(answer("web", "far"), 0);
}
END_TEST

/* A member that dispatches nothing: the asker need not wait for it. */
START_TEST(answer_of_a_firewall)
{
	B->standing[FAR] = L7_TARGET_TAKES;
	B->d.n_dispatchers = 0;
	ck_assert_int_eq(answer("web", "far"), 0);
}
END_TEST

START_TEST(so_many_answers)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 5000; i++)
		n += answer("web", "far") == 0;
	ck_assert_uint_eq(n, 1600);
	ck_assert_uint_eq(counted(B, COUNTER_HAVE_SENT), 1600);
	ck_assert_uint_eq(counted(B, COUNTER_FIND_LIMITED), 3400);
	pass(5);
	for (unsigned i = 0; i < 100; i++)
		n += answer("web", "far") == 0;
	ck_assert_uint_eq(n, 1608);
}
END_TEST

/* --- bounds -------------------------------------------------------------------------------------
 */

static void name(char text[16], unsigned i)
{
	snprintf(text, 16, "made-up-%u", i);
}

/* Clients may ask for anything; what is known already stays known. */
START_TEST(so_many_questions)
{
	uint16_t target;
	char text[16];
	unsigned n = 0;

	ask();
	says(1, 0);
	says(2, WIRE_HAVE_YES);
	for (unsigned i = 0; i < 5000; i++) {
		name(text, i);
		n += find_in(A, WEB, text, &target) == L7_FOUND_LATER;
	}
	ck_assert_uint_eq(n, 199);
	ck_assert_uint_eq(counted(A, COUNTER_FIND_LIMITED), 4801);
	pass(0);
	ck_assert_uint_eq(n_queue, 199);
	name(text, 4999);
	nobody(A, WEB, text); /* was not asked for: nothing is remembered of it */
	pass(5);
	later(A, WEB, text);
	nobody(A, WEB, "one-more");
	pass(9995);
	n_queue = 0;
	for (unsigned i = 0; i < 5000; i++) {
		name(text, 10000 + i);
		find_in(A, WEB, text, &target);
	}
	found(A, WEB, "far", 2);
	pass(0);
	ck_assert_uint_eq(n_queue, 201); /* is asked for anew all the same */
}
END_TEST

/* The table is full: lacks give way, what was found does not. */
START_TEST(table_full)
{
	uint16_t target;
	char text[16];

	for (unsigned i = 0; i < 1500; i++) {
		name(text, i);
		later(A, WEB, text);
		pass(0);
		says_of(text, 1, i < 500 ? WIRE_HAVE_YES : 0);
		says_of(text, 2, 0);
		n_queue = 0;
		if (i % 100 == 99)
			pass(500);
	}
	ck_assert_uint_eq(finds_at(&A->d, 1), 500);
	for (unsigned i = 0; i < 500; i++) {
		name(text, i);
		found(A, WEB, text, 1);
	}
	name(text, 1499);
	ck_assert_int_eq(find_in(A, WEB, text, &target), L7_FOUND_NOBODY);
	ck_assert_uint_eq(counted(A, COUNTER_FIND_LIMITED), 0);
}
END_TEST

/* All of it was found: the one that was confirmed longest ago gives way. */
START_TEST(table_full_of_found)
{
	char text[16];

	for (unsigned i = 0; i < 1100; i++) {
		name(text, i);
		later(A, WEB, text);
		pass(0);
		says_of(text, 1, WIRE_HAVE_YES);
		says_of(text, 2, 0);
		pass(6);
		n_queue = 0;
	}
	ck_assert_uint_eq(finds_at(&A->d, 1), 1024);
	name(text, 76);
	found(A, WEB, text, 1);
	name(text, 75);
	later(A, WEB, text);
}
END_TEST

/* --- reload -------------------------------------------------------------------------------------
 */

/* Names and members have got other indices, so all is asked anew; who waits is told to. */
START_TEST(reload)
{
	ask();
	says(1, 0);
	says(2, WIRE_HAVE_YES);
	later(A, WEB, "pic");
	strcpy(A->services[OTHER].name, "web");
	strcpy(A->services[WEB].name, "other");
	strcpy(A->targets[ODD].name, "far");
	finds_configure(&A->d);
	ck_assert_uint_eq(dispatch_l7_news(&A->d), 2);
	ck_assert_uint_eq(finds_at(&A->d, 2), 0);
	ck_assert(finds_next(&A->d) == UINT64_MAX);
	pass(5000);
	ck_assert_uint_eq(n_queue, 0);
	later(A, OTHER, "far");
	pass(0);
	says(2, WIRE_HAVE_YES);
	found(A, OTHER, "far", 2);
	A->services[OTHER].l7.relay = L7_RELAY_CONFIG;
	via(A, ODD, 1, 1);
	found(A, OTHER, "far", 1);
}
END_TEST

/* Nobody to send to just then: as if the question had been lost. */
START_TEST(not_sent)
{
	A->channel.mute = true;
	later(A, WEB, "far");
	pass(0);
	ck_assert_uint_eq(counted(A, COUNTER_WHO_HAS_SENT), 0);
	A->channel.mute = false;
	pass(WAIT / 4);
	ck_assert_uint_eq(n_queue, 2);
	ck_assert_uint_eq(counted(A, COUNTER_WHO_HAS_SENT), 2);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("find");
	TCase *t = tcase_create("find");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, first_that_is_reached);
	tcase_add_test(t, whose_targets);
	tcase_add_test(t, without_a_cluster);
	tcase_add_test(t, both_ways);
	tcase_add_test(t, asked_and_found);
	tcase_add_test(t, first_yes_ends_the_wait);
	tcase_add_test(t, drained_is_second_best);
	tcase_add_test(t, nobody_has_it);
	tcase_add_test(t, silence);
	tcase_add_test(t, asked_twice);
	tcase_add_test(t, renewed_while_in_use);
	tcase_add_test(t, forgotten_when_old);
	tcase_add_test(t, renewal_without_answers);
	tcase_add_test(t, server_has_moved);
	tcase_add_test(t, member_down_while_asked);
	tcase_add_test(t, member_down_when_found);
	tcase_add_test(t, member_down_is_seen_by_the_tick);
	tcase_add_test(t, member_restarted);
	tcase_add_test(t, member_comes);
	tcase_add_test(t, not_reached);
	tcase_add_test(t, no_longer_reached);
	tcase_add_test(t, unasked);
	tcase_add_test(t, malformed);
	tcase_add_test(t, answers);
	tcase_add_test(t, answer_of_another_layer);
	tcase_add_test(t, answer_of_a_firewall);
	tcase_add_test(t, so_many_answers);
	tcase_add_test(t, so_many_questions);
	tcase_add_test(t, table_full);
	tcase_add_test(t, table_full_of_found);
	tcase_add_test(t, reload);
	tcase_add_test(t, not_sent);
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
