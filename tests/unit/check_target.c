/*
 * check_target.c - targets: where they are, whether they are up, what share they take, and that all
 * dispatchers come to know the same weights over a channel that loses and reorders.
 *
 * Up to three nodes, each an inner dispatcher with the port "farm" (10.4.0.1/16, fd00:4::1/64) and
 * the firewalls' port "back". The channel between them is this file's: messages lie in a queue
 * until a test delivers or loses them.
 *
 * proves: HD-10 HD-12 HD-24
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>

#include "dispatch/agent.h"
#include "dispatch/dispatch.h"
#include "guard.h"

#define MS 1000000ULL
#define FARM 0
#define BACK 1
#define NODES 3
#define QUEUE 4096
#define MAX_TARGETS 100

struct queued {
	unsigned from;
	uint32_t to;
	size_t size;
	uint8_t *data;
};

struct channel {
	struct world *world;
	struct channel_member members[NODES];
	uint8_t room[2048];
	size_t link_room;
};

struct world {
	unsigned index;
	struct params *params;
	struct node node;
	struct actions *out;
	struct dispatch d;
	struct channel channel;
	bool mac_known[NODES];
	uint32_t n_notes[NOTE_COUNT];
	struct note last[NOTE_COUNT];
};

static struct world worlds[NODES];
static struct queued queue[QUEUE];
static unsigned n_queue;

/* --- what the dispatcher asks of others --------------------------------------------------------
 */

void takeover_look(struct dispatch *d)
{
	(void)d;
}

bool takeover_doubts(const struct dispatch *d, uint16_t target)
{
	(void)d;
	(void)target;
	return false;
}

bool takeover_is_active(const struct dispatch *d, uint16_t dispatcher)
{
	(void)d;
	(void)dispatcher;
	return true;
}

bool channel_begin(struct channel *ch, size_t max, struct wcur *body)
{
	ck_assert_uint_le(max, sizeof(ch->room));
	*body = wcur_init(ch->room, max);
	return true;
}

bool channel_send(struct channel *ch, uint8_t type, struct wcur *body, uint32_t to)
{
	struct queued *q = &queue[n_queue++];

	ck_assert_uint_eq(type, WIRE_TARGETS);
	ck_assert(wcur_ok(body));
	ck_assert_uint_le(wcur_size(body), ch->link_room);
	ck_assert_uint_lt(n_queue, QUEUE);
	*q = (struct queued){.from = ch->world->index, .to = to, .size = wcur_size(body)};
	q->data = malloc(q->size);
	memcpy(q->data, body->start, q->size);
	return true;
}

size_t channel_room(const struct channel *ch)
{
	return ch->link_room;
}

const struct channel_member *channel_member(const struct channel *ch, uint32_t index)
{
	return &ch->members[index];
}

bool stage_member_mac(const struct dispatch *d, uint32_t member, uint16_t *port,
		      struct macaddr *mac)
{
	*port = BACK;
	memset(mac, 2, sizeof(*mac));
	return d->channel->world->mac_known[member];
}

/* --- the nodes ----------------------------------------------------------------------------------
 */

static struct ipaddr addr(const char *text)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(&a, text), 0);
	return a;
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse_host(&p, text), 0);
	return p;
}

static void add_target(struct params *p, const char *v4, const char *v6)
{
	struct target_params *t = &p->targets[p->n_targets];

	snprintf(t->name, sizeof(t->name), "t%u", p->n_targets);
	t->has_v4 = v4 != NULL;
	t->has_v6 = v6 != NULL;
	if (v4)
		t->v4 = addr(v4);
	if (v6)
		t->v6 = addr(v6);
	t->member = PARAMS_NONE;
	t->weight = 100;
	t->check = (struct check_params){.kind = CHECK_TCP, .agent_port = 99, .rise = 2, .fall = 3};
	p->target_lists[p->n_target_lists++] = (uint16_t)p->n_targets++;
}

/* One service for all targets. */
static struct params *params_new(unsigned index, unsigned n_targets)
{
	static const struct port_params ports[] = {{.name = "farm"}, {.name = "back"}};
	struct params *p = calloc(1, sizeof(*p));
	char text[32];

	p->node_id = (uint16_t)(10 * (index + 1));
	p->self = index;
	p->n_ports = 2;
	memcpy(p->ports, ports, sizeof(ports));
	p->ports[FARM].n_addresses = 2;
	p->ports[FARM].addresses[0] = prefix("10.4.0.1/16");
	p->ports[FARM].addresses[1] = prefix("fd00:4::1/64");
	p->ports[BACK].n_addresses = 1;
	p->ports[BACK].addresses[0] = prefix("10.3.0.1/16");
	p->n_routes = 2;
	p->routes = calloc(2, sizeof(*p->routes));
	p->routes[0] = (struct route_params){prefix("10.9.0.0/16"), addr("10.4.0.9"), FARM};
	p->routes[1] = (struct route_params){prefix("0.0.0.0/0"), addr("10.3.0.9"), BACK};
	p->n_members = NODES;
	p->n_dispatchers = 1;
	p->dispatchers[0] = (struct dispatcher_params){
		.role = DISPATCH_INNER, .firewall_port = BACK, .n_ports = 1, .ports = {FARM}};
	p->n_services = 1;
	p->services = calloc(2, sizeof(*p->services));
	p->targets = calloc(MAX_TARGETS, sizeof(*p->targets));
	p->target_lists = calloc(2 * MAX_TARGETS, sizeof(*p->target_lists));
	for (unsigned i = 0; i < n_targets; i++) {
		snprintf(text, sizeof(text), "10.4.1.%u", i + 1);
		add_target(p, text, NULL);
	}
	p->services[0] = (struct service_params){.algorithm = CHOICE_WEIGHTED,
						 .targets = {0, n_targets},
						 .sorry = PARAMS_NONE,
						 .target_down = DOWN_MOVE};
	return p;
}

static void params_free(struct params *p)
{
	free(p->routes);
	free(p->services);
	free(p->targets);
	free(p->target_lists);
	free(p);
}

static void collect(struct world *w)
{
	for (uint32_t i = 0; i < w->out->n_notes; i++) {
		const struct note *n = &w->out->notes[i];
		w->n_notes[n->type]++;
		w->last[n->type] = *n;
	}
	actions_reset(w->out);
}

static void begin(struct world *w)
{
	collect(w);
	node_begin(&w->node, w->node.now_ns, w->out);
}

/* Time passes; what the targets want to do at its end and in between is done. */
static void pass(struct world *w, uint64_t ms)
{
	uint64_t end = w->node.now_ns + ms * MS, next;

	do {
		begin(w);
		next = target_tick(&w->d);
		w->node.now_ns = next < end ? next : end;
	} while (next < end);
	begin(w);
	target_tick(&w->d);
	begin(w);
}

static void install(struct world *w, struct params *p)
{
	struct dispatch *d = &w->d;

	d->params = w->params = p;
	d->n_dispatchers = 1;
	d->targets = calloc(p->n_targets + 1, sizeof(*d->targets));
	d->target_candidates = calloc(p->n_targets + 1, sizeof(*d->target_candidates));
	d->service_states = calloc(p->n_services, sizeof(*d->service_states));
	for (uint32_t i = 0; i < p->n_services; i++)
		d->service_states[i].choice = choice_new(
			p->services[i].algorithm, 0, p->target_lists + p->services[i].targets.first,
			p->services[i].targets.n);
}

static void uninstall(const struct dispatch *d)
{
	for (uint32_t i = 0; i < d->params->n_services; i++)
		choice_free(d->service_states[i].choice);
	free(d->service_states);
	free(d->targets);
	free(d->target_candidates);
}

static struct world *start_with(unsigned index, struct params *p)
{
	static const uint64_t seed[6] = {1, 2, 3, 4, 5, 6};
	static const struct hash_key key = {7, 8};
	struct world *w = &worlds[index];

	memset(w, 0, sizeof(*w));
	w->index = index;
	w->out = actions_new();
	ck_assert_int_eq(node_init(&w->node, p, seed, 5000 * MS), 0);
	w->channel.world = w;
	w->channel.link_room = 1400;
	w->d.node = &w->node;
	w->d.channel = &w->channel;
	w->d.affinities = affinity_table_new(64, &key);
	install(w, p);
	w->node.want_notes = UINT32_MAX;
	begin(w);
	ck_assert_int_eq(target_init(&w->d), 0);
	w->node.links[FARM].up = w->node.links[BACK].up = true;
	begin(w);
	return w;
}

static struct world *start(unsigned index, unsigned n_targets)
{
	return start_with(index, params_new(index, n_targets));
}

static void stop(struct world *w)
{
	uninstall(&w->d);
	affinity_table_free(w->d.affinities);
	node_fini(&w->node);
	actions_free(w->out);
	params_free(w->params);
	w->params = NULL;
}

/* A reload as dispatch_configure does it: targets of the same name go on. */
static void reload(struct world *w, struct params *p)
{
	struct dispatch old = w->d;
	struct params *before = w->params;

	begin(w);
	ck_assert_int_eq(node_configure(&w->node, p), 0);
	install(w, p);
	for (uint32_t i = 0; i < before->n_targets; i++)
		for (uint32_t j = 0; j < p->n_targets; j++)
			if (strcmp(before->targets[i].name, p->targets[j].name) == 0) {
				w->d.targets[j] = old.targets[i];
				w->d.target_candidates[j] = old.target_candidates[i];
			}
	target_init(&w->d);
	begin(w);
	uninstall(&old);
	params_free(before);
}

static void fail_check(struct world *w, uint16_t target, unsigned times)
{
	while (times-- > 0)
		dispatch_target_health(&w->d, target, false, "connection refused");
	begin(w);
}

static uint32_t weight_of(const struct world *w, uint16_t target)
{
	return w->d.target_candidates[target].weight;
}

/* Which targets the service gives out in `n` picks, as bits. */
static unsigned picks(struct world *w, unsigned n)
{
	unsigned seen = 0;

	while (n-- > 0) {
		uint16_t t = choice_pick(w->d.service_states[0].choice, w->d.target_candidates, n);
		seen |= t == PARAMS_NONE ? 1u << 31 : 1u << t;
	}
	return seen;
}

/* --- where they are -----------------------------------------------------------------------------
 */

START_TEST(places)
{
	struct params *p = params_new(0, 1);
	struct ipaddr v4, v6, gateway = addr("10.4.0.9");
	struct world *w;

	p->ports[FARM].n_answers = 1; /* that this node answers ARP for it says not where it is */
	p->ports[FARM].answers[0] = addr("10.7.0.1");
	add_target(p, "10.4.2.2", "fd00:4::2"); /* 1: both families on link */
	add_target(p, NULL, "fd00:4::3");	/* 2 */
	add_target(p, "10.9.0.1", NULL);	/* 3: behind a router of the farm */
	add_target(p, "10.7.0.1", NULL);	/* 4: only the firewalls lead there */
	add_target(p, NULL, "fd00:9::1");	/* 5: nobody does */
	add_target(p, "10.7.0.1", "fd00:4::4"); /* 6: one of two */
	add_target(p, "10.3.0.7", NULL);	/* 7: among the firewalls, which are no servers */
	p->services[0].targets.n = p->n_targets;
	w = start_with(0, p);
	v4 = addr("10.4.2.2");
	v6 = addr("fd00:4::2");
	ck_assert_uint_eq(w->d.targets[1].port, FARM);
	ck_assert(ipaddr_eq(&w->d.targets[1].addr[0], &v4));
	ck_assert(ipaddr_eq(&w->d.targets[1].addr[1], &v6));
	ck_assert_uint_eq(w->d.targets[2].port, FARM);
	ck_assert(ipaddr_is_unspecified(&w->d.targets[2].addr[0]));
	ck_assert_uint_eq(w->d.targets[3].port, FARM);
	ck_assert(ipaddr_eq(&w->d.targets[3].addr[0], &gateway));
	ck_assert_uint_eq(w->d.targets[4].port, PARAMS_NO_PORT);
	ck_assert_uint_eq(w->d.targets[5].port, PARAMS_NO_PORT);
	ck_assert_uint_eq(w->d.targets[6].port, FARM);
	ck_assert(ipaddr_is_unspecified(&w->d.targets[6].addr[0]));
	ck_assert_uint_eq(w->d.targets[7].port, PARAMS_NO_PORT);
	for (uint16_t i = 0; i < 8; i++)
		ck_assert_int_eq(target_usable(&w->d, i), w->d.targets[i].port == FARM);
	ck_assert_str_eq(w->d.targets[4].why, "no route to it");
	ck_assert_uint_eq(picks(w, 100), 1u << 0 | 1u << 1 | 1u << 2 | 1u << 3 | 1u << 6);
	stop(w);
}
END_TEST

/* A route that comes later is followed; what was never reached is told after a while. */
START_TEST(route_comes)
{
	struct params *p = params_new(0, 1);
	struct route r = {.dst = prefix("fd00:9::/64"), .via = addr("fd00:4::9"), .port = FARM};
	struct world *w;

	add_target(p, NULL, "fd00:9::1");
	w = start_with(0, p);
	pass(w, 2900);
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_DOWN], 0);
	pass(w, 200);
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_DOWN], 1);
	ck_assert_uint_eq(w->last[NOTE_TARGET_DOWN].target, 1);
	ck_assert_str_eq(w->last[NOTE_TARGET_DOWN].detail, "no route to it");
	ck_assert_int_eq(node_set_routes(&w->node, &r, 1), 0);
	pass(w, 0);
	ck_assert(target_usable(&w->d, 1));
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_UP], 1);
	ck_assert(ipaddr_eq(&w->d.targets[1].addr[1], &r.via));
	stop(w);
}
END_TEST

START_TEST(link_goes_down)
{
	struct world *w = start(0, 2);

	w->node.links[FARM].up = false; /* not up yet: that is no news */
	pass(w, 200);
	ck_assert(target_usable(&w->d, 0));
	w->node.links[FARM].up = true;
	pass(w, 200);
	w->node.links[FARM].up = false;
	pass(w, 200);
	ck_assert(!target_usable(&w->d, 0));
	ck_assert_str_eq(w->d.targets[0].why, "the port is down");
	ck_assert(w->d.sweeping);
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_DOWN], 2);
	w->node.links[FARM].up = true;
	pass(w, 200);
	ck_assert(target_usable(&w->d, 0));
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_UP], 2);
	stop(w);
}
END_TEST

START_TEST(member_targets)
{
	struct params *p = params_new(0, 2);
	struct world *w;

	p->targets[1].has_v4 = false;
	p->targets[1].member = 2;
	p->targets[1].check.kind = CHECK_NONE;
	w = start_with(0, p);
	ck_assert(!target_usable(&w->d, 1));
	ck_assert_str_eq(w->d.targets[1].why, "the member is down");
	ck_assert_uint_eq(picks(w, 10), 1);
	w->channel.members[2].up = true;
	pass(w, 200);
	ck_assert_str_eq(w->d.targets[1].why, "no segment is shared with it");
	w->mac_known[2] = true;
	pass(w, 200);
	ck_assert(target_usable(&w->d, 1));
	ck_assert_uint_eq(w->d.targets[1].port, BACK);
	ck_assert_uint_eq(picks(w, 10), 3);
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_UP] + w->n_notes[NOTE_TARGET_DOWN], 0);
	w->channel.members[2].up = false;
	w->d.sweeping = false;
	begin(w);
	target_refresh(&w->d);
	begin(w);
	ck_assert(!target_usable(&w->d, 1));
	ck_assert(w->d.sweeping);
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_DOWN], 1);
	ck_assert_uint_eq(picks(w, 10), 1);
	stop(w);
}
END_TEST

/* --- checks -------------------------------------------------------------------------------------
 */

START_TEST(rise_and_fall)
{
	struct world *w = start(0, 2);
	struct target *t = &w->d.targets[0];

	ck_assert(target_usable(&w->d, 0));
	ck_assert(!t->checked);
	fail_check(w, 0, 2);
	ck_assert(target_usable(&w->d, 0)); /* counts as up until there is a verdict */
	dispatch_target_health(&w->d, 0, true, "connected");
	ck_assert(t->checked);
	fail_check(w, 0, 2); /* not three in a row */
	ck_assert(target_usable(&w->d, 0));
	ck_assert(!w->d.sweeping);
	w->d.sweep_pos = 77;
	w->node.now_ns += 10 * MS;
	fail_check(w, 0, 1);
	ck_assert(!target_usable(&w->d, 0));
	ck_assert_uint_eq(t->since_ns, w->node.now_ns);
	ck_assert_str_eq(t->why, "connection refused");
	ck_assert(w->d.sweeping);
	ck_assert_uint_eq(w->d.sweep_pos, 0);
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_DOWN], 1);
	ck_assert_str_eq(w->last[NOTE_TARGET_DOWN].detail, "connection refused");
	ck_assert_uint_eq(picks(w, 10), 2); /* the choice knows at once */
	dispatch_target_health(&w->d, 0, true, "connected");
	ck_assert(!target_usable(&w->d, 0));
	fail_check(w, 0, 1);
	dispatch_target_health(&w->d, 0, true, "connected");
	ck_assert(!target_usable(&w->d, 0)); /* not two in a row */
	dispatch_target_health(&w->d, 0, true, "connected");
	begin(w);
	ck_assert(target_usable(&w->d, 0));
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_UP], 1);
	ck_assert_uint_eq(picks(w, 10), 3);
	fail_check(w, 0, 30);
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_DOWN], 2);
	stop(w);
}
END_TEST

/* A target that answers to nobody from the start is down after `fall` misses, and said at once. */
START_TEST(never_up)
{
	struct world *w = start(0, 1);

	fail_check(w, 0, 3);
	ck_assert(!target_usable(&w->d, 0));
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_DOWN], 1);
	ck_assert_uint_eq(picks(w, 5), 1u << 31);
	stop(w);
}
END_TEST

/* What a target's end means for its flows is as its services say. */
START_TEST(flows_of_the_lost)
{
	static const enum down_action actions[] = {DOWN_MOVE, DOWN_RESET, DOWN_KEEP};
	struct params *p = params_new(0, 2);
	struct ipaddr client = addr("192.0.2.1");
	struct affinity *a;
	struct world *w;

	p->services[0].target_down = actions[_i];
	w = start_with(0, p);
	a = affinity_get(w->d.affinities, 0, &client, 60000, w->node.now_ns);
	a->target = 1;
	fail_check(w, 1, 3);
	ck_assert_int_eq(w->d.sweeping, actions[_i] != DOWN_KEEP);
	a = affinity_find(w->d.affinities, 0, &client, w->node.now_ns);
	if (actions[_i] == DOWN_KEEP)
		ck_assert(a && a->target == 1);
	else
		ck_assert(!a || a->target != 1);
	stop(w);
}
END_TEST

/* --- weights ------------------------------------------------------------------------------------
 */

START_TEST(effective_weight)
{
	static const struct {
		uint32_t weight;
		int load;
		uint32_t effective;
	} cases[] = {{100, 100, 100}, {100, 75, 75},   {100, 0, 0}, {0, 100, 0},
		     {0, 0, 0},	      {1, 1, 1},       {1, 99, 1},  {3, 50, 1},
		     {7, 50, 3},      {256, 100, 256}, {256, 1, 2}, {256, 99, 253}};
	struct world *w = start(0, 1);

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(dispatch_set_weight(&w->d, "t0", cases[i].weight), 0);
		dispatch_target_load(&w->d, 0, cases[i].load);
		ck_assert_uint_eq(weight_of(w, 0), cases[i].effective);
		ck_assert_int_eq(dispatch_set_drain(&w->d, "t0", true), 0);
		ck_assert_uint_eq(weight_of(w, 0), 0);
		ck_assert_int_eq(dispatch_set_drain(&w->d, "t0", false), 0);
		ck_assert_uint_eq(weight_of(w, 0), cases[i].effective);
	}
	begin(w);
	ck_assert_int_eq(dispatch_set_weight(&w->d, "t0", PARAMS_WEIGHT_MAX + 1), -EINVAL);
	ck_assert_int_eq(dispatch_set_weight(&w->d, "t1", 1), -ENOENT);
	ck_assert_int_eq(dispatch_set_drain(&w->d, "", true), -ENOENT);
	ck_assert_uint_eq(w->d.targets[0].weight, 256);
	stop(w);
}
END_TEST

START_TEST(drain)
{
	struct world *w = start(0, 2);

	ck_assert_int_eq(dispatch_set_drain(&w->d, "t1", true), 0);
	begin(w);
	ck_assert_uint_eq(picks(w, 10), 1);
	ck_assert(target_usable(&w->d, 1)); /* its flows finish */
	ck_assert(!w->d.sweeping);
	ck_assert_uint_eq(w->n_notes[NOTE_WEIGHT], 1);
	ck_assert_str_eq(w->last[NOTE_WEIGHT].detail, "drained");
	ck_assert_uint_eq(w->last[NOTE_WEIGHT].target, 1);
	ck_assert_int_eq(dispatch_set_drain(&w->d, "t1", false), 0);
	ck_assert_uint_eq(picks(w, 10), 3);
	stop(w);
}
END_TEST

START_TEST(agent_words)
{
	struct world *w = start(0, 2);

	dispatch_target_load(&w->d, 1, AGENT_DOWN);
	ck_assert(!target_usable(&w->d, 1));
	ck_assert_uint_eq(picks(w, 10), 1); /* at once */
	dispatch_target_load(&w->d, 1, 50);
	dispatch_target_load(&w->d, 1, AGENT_READY);
	ck_assert(!target_usable(&w->d, 1)); /* only "up" takes "down" back */
	dispatch_target_load(&w->d, 1, AGENT_UP);
	ck_assert(target_usable(&w->d, 1));
	ck_assert_uint_eq(weight_of(w, 1), 50);
	dispatch_target_load(&w->d, 1, AGENT_MAINT);
	dispatch_target_load(&w->d, 1, AGENT_UP);
	ck_assert(!target_usable(&w->d, 1)); /* only "ready" takes "maint" back */
	ck_assert_str_eq(w->d.targets[1].why, "its agent says maintenance");
	dispatch_target_load(&w->d, 1, AGENT_READY);
	ck_assert(target_usable(&w->d, 1));
	dispatch_target_load(&w->d, 1, AGENT_DRAIN);
	ck_assert(target_usable(&w->d, 1));
	ck_assert_uint_eq(weight_of(w, 1), 0);
	pass(w, 100);
	ck_assert_uint_eq(picks(w, 10), 1);
	dispatch_target_load(&w->d, 1, 1000);
	dispatch_target_load(&w->d, 1, AGENT_READY);
	ck_assert_uint_eq(weight_of(w, 1), 100);
	fail_check(w, 1, 3);
	dispatch_target_load(&w->d, 1, AGENT_UP);
	ck_assert(!target_usable(&w->d, 1)); /* the check has a word, too */
	stop(w);
}
END_TEST

START_TEST(rates)
{
	struct world *w = start(0, 1);

	pass(w, 1000);
	w->d.targets[0].to.packets += 700;
	w->d.targets[0].from.packets += 300;
	pass(w, 1000);
	ck_assert_uint_eq(w->d.target_candidates[0].rate, 500);
	w->d.targets[0].to.packets += 1000;
	pass(w, 1000);
	ck_assert_uint_eq(w->d.target_candidates[0].rate, 750);
	pass(w, 20000);
	ck_assert_uint_eq(w->d.target_candidates[0].rate, 0);
	stop(w);
}
END_TEST

/* --- what the others are told -------------------------------------------------------------------
 */

static void forget_queue(void)
{
	while (n_queue > 0)
		free(queue[--n_queue].data);
}

static void receive(struct world *w, const struct queued *q)
{
	uint8_t *copy = guard_copy(q->data, q->size);
	struct channel_message msg = {
		.type = WIRE_TARGETS, .member = q->from, .body = rcur_init(copy, q->size)};

	begin(w);
	target_message(&w->d, &msg);
	begin(w);
	guard_free(copy, q->size);
}

static void deliver(void)
{
	for (unsigned i = 0; i < n_queue; i++)
		for (unsigned j = 0; j < NODES; j++)
			if (worlds[j].params && j != queue[i].from &&
			    (queue[i].to == CHANNEL_ALL || queue[i].to == j))
				receive(&worlds[j], &queue[i]);
	forget_queue();
}

static uint64_t sent(const struct world *w)
{
	return w->node.counters[COUNTER_TARGETS_SENT];
}

START_TEST(told_three_times)
{
	struct world *a = start(0, 2), *b = start(1, 2);

	pass(a, 500);
	ck_assert_uint_eq(n_queue, 0); /* the configuration is nothing to tell */
	dispatch_set_weight(&a->d, "t1", 7);
	ck_assert_uint_eq(n_queue, 1);
	ck_assert_uint_eq(queue[0].to, CHANNEL_ALL);
	deliver();
	ck_assert_uint_eq(weight_of(b, 1), 7);
	ck_assert_uint_eq(weight_of(b, 0), 100);
	ck_assert_uint_eq(b->n_notes[NOTE_WEIGHT], 1);
	ck_assert_uint_eq(b->last[NOTE_WEIGHT].member, 0);
	ck_assert_uint_eq(b->node.counters[COUNTER_TARGETS_RECEIVED], 1);
	pass(a, 99);
	ck_assert_uint_eq(n_queue, 0);
	pass(a, 1);
	ck_assert_uint_eq(n_queue, 1);
	deliver();
	pass(a, 899);
	ck_assert_uint_eq(n_queue, 0);
	pass(a, 1);
	ck_assert_uint_eq(n_queue, 1);
	pass(a, 20000);
	ck_assert_uint_eq(n_queue, 1);
	deliver();
	ck_assert_uint_eq(sent(a), 3);
	ck_assert_uint_eq(b->n_notes[NOTE_WEIGHT], 1); /* it was no news */
	pass(b, 2000);
	ck_assert_uint_eq(n_queue, 0); /* and its author tells */
	stop(a);
	stop(b);
}
END_TEST

/* Who has been overruled says no more. */
START_TEST(overruled)
{
	struct world *a = start(0, 1), *b = start(1, 1);

	dispatch_set_weight(&a->d, "t0", 1);
	deliver();
	dispatch_set_weight(&b->d, "t0", 2);
	deliver();
	ck_assert_uint_eq(weight_of(a, 0), 2);
	pass(a, 5000);
	ck_assert_uint_eq(n_queue, 0);
	pass(b, 5000);
	ck_assert_uint_eq(n_queue, 2);
	forget_queue();
	stop(a);
	stop(b);
}
END_TEST

START_TEST(lost_messages)
{
	struct world *a = start(0, 2), *b = start(1, 2);

	dispatch_set_drain(&a->d, "t0", true);
	forget_queue();
	pass(a, 100);
	forget_queue();
	pass(a, 900);
	deliver();
	ck_assert(b->d.targets[0].drained);
	ck_assert_uint_eq(weight_of(b, 0), 0);
	dispatch_set_drain(&a->d, "t0", false);
	pass(a, 5000);
	forget_queue();
	pass(a, 60000); /* lost all three: within a minute all are told again */
	deliver();
	ck_assert(!b->d.targets[0].drained);
	stop(a);
	stop(b);
}
END_TEST

/* Whoever is the last to set it at the same time, all end with the same; the next one wins. */
START_TEST(set_at_once)
{
	struct world *a = start(0, 1), *b = start(1, 1), *c = start(2, 1);
	struct queued from_a, from_b;

	dispatch_set_weight(&a->d, "t0", 11);
	dispatch_set_weight(&b->d, "t0", 22);
	from_a = queue[0];
	from_b = queue[1];
	n_queue = 0;
	receive(a, &from_b);
	receive(b, &from_a);
	receive(c, _i ? &from_a : &from_b);
	receive(c, _i ? &from_b : &from_a);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(weight_of(&worlds[i], 0), 22);
		ck_assert_uint_eq(worlds[i].d.targets[0].set_by, 20);
	}
	dispatch_set_weight(&a->d, "t0", 33);
	deliver();
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(weight_of(&worlds[i], 0), 33);
	receive(a, &from_b); /* late */
	ck_assert_uint_eq(weight_of(a, 0), 33);
	free(from_a.data);
	free(from_b.data);
	stop(a);
	stop(b);
	stop(c);
}
END_TEST

/* A node that comes back knows what was set before; what it set meanwhile may lose, but all agree.
 */
START_TEST(restarted)
{
	struct world *a = start(0, 2), *b = start(1, 2);

	dispatch_set_weight(&b->d, "t0", 40);
	deliver();
	dispatch_set_drain(&a->d, "t1", true);
	deliver();
	stop(b);
	b = start(1, 2);
	dispatch_set_weight(&b->d, "t0", 30); /* the version it had before, too */
	forget_queue();
	begin(a);
	target_member_up(&a->d, 1);
	pass(a, 0);
	ck_assert_uint_eq(n_queue, 2); /* to all what is due, to it all */
	ck_assert_uint_eq(queue[1].to, 1);
	deliver();
	ck_assert(b->d.targets[1].drained);
	begin(b);
	target_member_up(&b->d, 0);
	pass(b, 2000);
	deliver();
	ck_assert_uint_eq(weight_of(a, 0), weight_of(b, 0));
	ck_assert_uint_eq(weight_of(a, 0), 40);
	dispatch_set_weight(&b->d, "t0", 30); /* now it knows the time */
	deliver();
	ck_assert_uint_eq(weight_of(a, 0), 30);
	pass(a, 3000);
	stop(a);
	stop(b);
	forget_queue();
}
END_TEST

START_TEST(many_fit_in_several)
{
	struct world *a = start(0, 80), *b = start(1, 80);
	char name[16];

	a->channel.link_room = _i ? 200 : 1400; /* a link with a small MTU */
	for (unsigned i = 0; i < 80; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		dispatch_set_weight(&a->d, name, i);
	}
	forget_queue();
	pass(a, 3000);
	forget_queue();
	begin(a);
	target_member_up(&a->d, 1);
	pass(a, 3000);
	ck_assert_uint_eq(n_queue, _i ? 3 * 10 : 3 * 3);
	deliver();
	for (uint16_t i = 0; i < 80; i++)
		ck_assert_uint_eq(weight_of(b, i), i);
	ck_assert_uint_eq(b->node.counters[COUNTER_TARGETS_RECEIVED], 80);
	stop(a);
	stop(b);
}
END_TEST

START_TEST(malformed)
{
	struct world *a = start(0, 2), *b = start(1, 2);
	struct queued q;

	dispatch_set_weight(&a->d, "t0", 5);
	q = queue[0];
	for (size_t n = q.size; n-- > 0;) {
		q.size = n;
		receive(b, &q);
		ck_assert_uint_eq(b->node.counters[COUNTER_MSG_MALFORMED], queue[0].size - n);
	}
	ck_assert_uint_eq(weight_of(b, 0), 100);
	ck_assert_uint_eq(b->node.counters[COUNTER_TARGETS_RECEIVED], 0);
	deliver();
	ck_assert_uint_eq(weight_of(b, 0), 5);
	stop(a);
	stop(b);
}
END_TEST

/* Of a target that is none of ours we learn the time alone; versions do not run over. */
START_TEST(versions)
{
	struct world *a = start(0, 3), *b = start(1, 2);

	for (unsigned i = 0; i < 5; i++)
		dispatch_set_weight(&a->d, "t2", i);
	deliver();
	ck_assert_uint_eq(b->node.counters[COUNTER_TARGETS_RECEIVED], 0);
	dispatch_set_weight(&b->d, "t0", 9);
	ck_assert_uint_eq(b->d.targets[0].version, 6);
	deliver();
	ck_assert_uint_eq(weight_of(a, 0), 9);
	a->d.version_max = UINT64_MAX - 1;
	dispatch_set_weight(&a->d, "t0", 1);
	dispatch_set_weight(&a->d, "t0", 2);
	ck_assert_uint_eq(a->d.targets[0].version, UINT64_MAX);
	forget_queue();
	stop(a);
	stop(b);
}
END_TEST

START_TEST(alone)
{
	struct world *w = start(0, 1);

	w->d.channel = NULL;
	ck_assert_int_eq(dispatch_set_weight(&w->d, "t0", 5), 0);
	pass(w, 100000);
	ck_assert_uint_eq(weight_of(w, 0), 5);
	ck_assert_uint_eq(n_queue, 0);
	stop(w);
}
END_TEST

/* --- reload -------------------------------------------------------------------------------------
 */

START_TEST(reload_keeps)
{
	struct world *w = start(0, 3);
	struct params *p = params_new(0, 4);
	struct target_params swap = p->targets[0];

	dispatch_set_weight(&w->d, "t0", 5);
	dispatch_set_drain(&w->d, "t1", true);
	dispatch_target_load(&w->d, 0, 40);
	fail_check(w, 2, 3);
	w->d.target_candidates[0].n_flows = 9;
	forget_queue();
	p->targets[0] = p->targets[3]; /* "t3" is new and comes first, "t0" last */
	p->targets[3] = swap;
	reload(w, p);
	ck_assert_uint_eq(weight_of(w, 3), 2);
	ck_assert_uint_eq(w->d.target_candidates[3].n_flows, 9);
	ck_assert(w->d.targets[1].drained);
	ck_assert(!target_usable(&w->d, 2));
	ck_assert(target_usable(&w->d, 0));
	ck_assert_uint_eq(weight_of(w, 0), 100);
	ck_assert_uint_eq(picks(w, 10000), 1u << 0 | 1u << 3);
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_UP], 0);
	pass(w, 2000);
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_DOWN], 1);
	forget_queue();
	stop(w);
}
END_TEST

START_TEST(reload_changes)
{
	struct world *w = start(0, 3);
	struct params *p = params_new(0, 3);

	dispatch_set_weight(&w->d, "t0", 5);
	dispatch_set_drain(&w->d, "t0", true);
	pass(w, 2000);
	forget_queue();
	fail_check(w, 1, 3);
	fail_check(w, 2, 3);
	dispatch_target_load(&w->d, 2, 10);
	p->targets[0].weight = 60; /* the operator's last word */
	p->targets[1].weight = 70;
	p->targets[1].check.kind = CHECK_NONE;
	p->targets[2].v4 = addr("10.4.9.9"); /* another server */
	reload(w, p);
	ck_assert_uint_eq(w->d.targets[0].weight, 60);
	ck_assert(w->d.targets[0].drained);
	ck_assert_uint_eq(w->d.targets[0].version, 3);
	ck_assert_uint_eq(w->d.targets[1].version, 0);
	ck_assert_uint_eq(weight_of(w, 1), 70);
	ck_assert(target_usable(&w->d, 1));
	ck_assert(target_usable(&w->d, 2));
	ck_assert(!w->d.targets[2].checked);
	ck_assert_uint_eq(weight_of(w, 2), 100);
	ck_assert_uint_eq(w->n_notes[NOTE_TARGET_UP], 2);
	pass(w, 0);
	ck_assert_uint_eq(n_queue, 1);
	forget_queue();
	stop(w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("target");
	TCase *t = tcase_create("target");
	SRunner *sr;
	int failed;

	tcase_add_test(t, places);
	tcase_add_test(t, route_comes);
	tcase_add_test(t, link_goes_down);
	tcase_add_test(t, member_targets);
	tcase_add_test(t, rise_and_fall);
	tcase_add_test(t, never_up);
	tcase_add_loop_test(t, flows_of_the_lost, 0, 3);
	tcase_add_test(t, effective_weight);
	tcase_add_test(t, drain);
	tcase_add_test(t, agent_words);
	tcase_add_test(t, rates);
	tcase_add_test(t, told_three_times);
	tcase_add_test(t, overruled);
	tcase_add_test(t, lost_messages);
	tcase_add_loop_test(t, set_at_once, 0, 2);
	tcase_add_test(t, restarted);
	tcase_add_loop_test(t, many_fit_in_several, 0, 2);
	tcase_add_test(t, malformed);
	tcase_add_test(t, versions);
	tcase_add_test(t, alone);
	tcase_add_test(t, reload_keeps);
	tcase_add_test(t, reload_changes);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
