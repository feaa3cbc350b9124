/*
 * takeover_rig.h - the engine of node n1, which may play "outer" after n0 and before n2 and n3, and
 * the words of the others, put into its hands as if they had come by the channel. "inner" is its
 * own alone unless rig_inner says otherwise. Times are in ms from the start.
 */
#ifndef TESTS_TAKEOVER_RIG_H
#define TESTS_TAKEOVER_RIG_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name_id.h"
#include "conf/conf.h"
#include "engine/engine.h"
#include "engine/engine_priv.h"
#include "engine/view.h"

#define RIG_MS 1000000ULL
#define RIG_START (77 * RIG_MS)
#define HELLO 100u
#define DEAD 300u
#define LISTEN (DEAD + 300u) /* of one that has just begun */
#define BOTH (WIRE_ROLE_ABLE | WIRE_ROLE_SYNCED)
#define NODES 4

/* Set before rig_begin: more options of inner, and more of all. */
static const char *rig_inner = "", *rig_more = "";

static struct {
	struct params *params, *old;
	struct engine *e;
	struct actions *a;
	uint64_t now;
	uint32_t seq[NODES];
	uint32_t config;
	const char *name; /* of the dispatcher that all is about, and its index */
	unsigned which;
	unsigned by;	/* 1 + the port that words come by, 0: the cluster link */
	unsigned flags; /* more of keep_active */
	bool deaf;	/* the others do not say that they hear n1 */
	unsigned n_announced, n_differs;
} rig;

static inline struct params *rig_params(bool turned, const char *more)
{
	char text[4096];
	int len;

	len = snprintf(text, sizeof(text),
		       "node = \"n1\"\n"
		       "port \"o\" { device = \"o\" addresses = {\"198.51.100.254/24\"} }\n"
		       "port \"f\" { device = \"f\" addresses = {\"10.2.0.254/24\"} }\n"
		       "port \"b\" { device = \"b\" addresses = {\"10.3.0.254/24\"} }\n"
		       "port \"s\" { device = \"s\" addresses = {\"10.4.0.254/24\"} }\n"
		       "dispatcher \"outer\" { role = \"outer\" firewall-port = \"f\" "
		       "ports = {\"o\"} nodes = {\"n0\", \"n1\", \"n2\", \"n3\"} "
		       "take-back-delay = \"1s\" max-flows = 1024 %s }\n"
		       "dispatcher \"inner\" { role = \"inner\" firewall-port = \"b\" "
		       "ports = {\"s\"} max-flows = 1024 %s }\n"
		       "path \"fw\" { id = 7 addresses = {\"10.2.0.1\", \"10.3.0.1\"} }\n"
		       "cluster { id = 2 device = \"c\" key-file = \"/none\" hello-interval = "
		       "\"100ms\" dead-after = \"300ms\" }\n%s",
		       more, rig_inner, rig_more);
	for (unsigned i = 0; i < NODES; i++) {
		unsigned k = turned ? NODES - 1 - i : i;
		len += snprintf(text + len, sizeof(text) - (size_t)len,
				"member \"n%u\" { id = %u address = \"10.9.0.%u\" }\n", k, k + 1,
				k + 1);
	}
	return conf_parse("takeover", text, stderr, NULL);
}

static inline uint64_t now(void)
{
	return rig.now;
}

static inline unsigned at(void)
{
	return (unsigned)((rig.now - RIG_START) / RIG_MS);
}

/* What the last call has left. */
static inline void done(void)
{
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};

	for (uint32_t i = 0; i < rig.a->n_frames; i++) {
		const uint8_t *f = rig.a->frames[i].data;
		if (rig.a->frames[i].port < 2 && memcmp(f, all, 6) == 0 && f[12] == 8 &&
		    f[13] == 6 && memcmp(f + 28, f + 38, 4) == 0)
			rig.n_announced++;
	}
	for (uint32_t i = 0; i < rig.a->n_notes; i++)
		rig.n_differs += rig.a->notes[i].type == NOTE_CONFIG_DIFFERS;
	actions_reset(rig.a);
}

static inline void port(uint16_t p, bool up)
{
	struct engine_link link = {
		.up = up, .mac = {{2, 0, 0, 0, 0, (uint8_t)p}}, .mtu = 1500, .ifindex = p + 1u};

	engine_set_link(rig.e, p, &link, now(), rig.a);
	done();
	engine_tick(rig.e, now(), rig.a);
	done();
}

static inline void rig_make(void)
{
	static const char keys[] =
		"1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f active\n";
	struct engine_seed seed = {.boot_id = {1}, .words = {1, 2, 3, 4, 5, 6, 7, 8}};
	char err[128];

	memset(&rig, 0, sizeof(rig));
	rig.now = RIG_START;
	rig.name = "outer";
	rig.params = rig_params(false, "");
	rig.a = actions_new();
	ck_assert(rig.params && rig.a);
	rig.e = engine_new(rig.params, keyring_parse(keys, sizeof(keys) - 1, err, sizeof(err)),
			   &seed, now());
	ck_assert_ptr_nonnull(rig.e);
	engine_want_notes(rig.e, UINT32_MAX);
	/* Nobody answers for the tables here: without them the node counts as having them. */
	replica_fini(&rig.e->dispatch);
	rig.config = rig.e->dispatch.takeover->config[0];
}

static inline void rig_begin(void)
{
	rig_make();
	for (uint16_t p = 0; p < 4; p++)
		port(p, true);
}

/* All is about inner from here on, which n1 may play, and n0 after it. */
static inline void rig_about_inner(void)
{
	rig.which = 1;
	rig.name = "inner";
	rig.config = rig.e->dispatch.takeover->config[1];
}

static inline void rig_end(void)
{
	engine_free(rig.e);
	conf_free(rig.params);
	conf_free(rig.old);
	actions_free(rig.a);
}

static inline void setup(void)
{
	rig_begin();
}

static inline void teardown(void)
{
	rig_end();
}

static inline void restart(void)
{
	rig_end();
	rig_begin();
}

static inline const struct takeover_role *role(void)
{
	return &rig.e->dispatch.takeover->roles[rig.which];
}

static inline int state(void)
{
	return role()->state;
}

static inline uint64_t counter(enum counter c)
{
	return engine_counters(rig.e)[c];
}

static inline uint32_t index_of(unsigned node)
{
	for (uint32_t m = 0; m < rig.e->params->n_members; m++)
		if (rig.e->params->members[m].id == node + 1)
			return m;
	ck_abort();
}

static inline void call_at(uint64_t when_ns)
{
	rig.now = when_ns;
	engine_tick(rig.e, now(), rig.a);
	done();
}

/* All ticks that fall due until then, and one at that time. */
static inline void run_to(uint64_t ms)
{
	uint64_t end = RIG_START + ms * RIG_MS;

	while (engine_next(rig.e) < end)
		call_at(engine_next(rig.e) > rig.now ? engine_next(rig.e) : rig.now);
	call_at(end);
}

/* No call for so long. */
static inline void hold_up(unsigned ms)
{
	call_at(rig.now + ms * RIG_MS);
}

static inline void run_to_next_send(void)
{
	uint64_t sent = counter(COUNTER_ROLE_SENT);

	while (counter(COUNTER_ROLE_SENT) == sent)
		call_at(engine_next(rig.e) > rig.now ? engine_next(rig.e) : rig.now);
}

/* A word of a node: what it is of the dispatcher, and who plays it (a node id). */
static inline void say(unsigned node, unsigned word, unsigned flags, unsigned active)
{
	struct channel_message msg = {.type = WIRE_ROLE,
				      .member = index_of(node),
				      .segment = rig.by ? (uint16_t)(rig.by - 1) : PARAMS_NO_PORT};
	struct wire_role m = {.seq = ++rig.seq[node], .n_roles = 1};
	uint8_t room[WIRE_ROLE_MAX];
	struct wcur w = wcur_init(room, sizeof(room));

	m.roles[0] = (struct wire_role_one){.dispatcher = name_id(rig.name),
					    .state = (uint8_t)word,
					    .flags = (uint8_t)flags,
					    .active = (uint16_t)active,
					    .config = rig.config};
	if (!rig.deaf)
		m.heard[m.n_heard++] = 2;
	wire_put_role(&w, &m);
	msg.body = rcur_init(room, wcur_size(&w));
	node_begin(&rig.e->node, now(), rig.a);
	takeover_message(&rig.e->dispatch, &msg);
	done();
}

/* It says goodbye. */
static inline void gone(unsigned node)
{
	node_begin(&rig.e->node, now(), rig.a);
	takeover_member_gone(&rig.e->dispatch, index_of(node));
	done();
}

static inline struct channel_member *member(unsigned node)
{
	return (struct channel_member *)(uintptr_t)channel_member(rig.e->channel, index_of(node));
}

/* From now on it speaks with another boot id. */
static inline void boot(unsigned node, uint8_t id)
{
	member(node)->boot_id[0] = id;
}

/* The channel has just proven it. */
static inline void member_up(unsigned node)
{
	member(node)->up = true;
	member(node)->since_ns = now();
}

/* The node plays it and n1 stands by. */
static inline void standby(unsigned node)
{
	say(node, WIRE_ROLE_ACTIVE, BOTH, node + 1);
	ck_assert_int_eq(state(), WIRE_ROLE_STANDBY);
}

/* n1 plays it, and has heard nobody. */
static inline void activate(void)
{
	run_to(at() + LISTEN);
	ck_assert_int_eq(state(), WIRE_ROLE_ACTIVE);
}

static inline void keep_active(unsigned node, unsigned for_ms)
{
	unsigned end = at() + for_ms;

	while (at() < end) {
		say(node, WIRE_ROLE_ACTIVE, BOTH | rig.flags, node + 1);
		run_to(at() + 50 < end ? at() + 50 : end);
	}
	say(node, WIRE_ROLE_ACTIVE, BOTH | rig.flags, node + 1);
}

static inline void reload(bool turned, const char *more)
{
	conf_free(rig.old);
	rig.old = rig.params;
	rig.params = rig_params(turned, more);
	ck_assert_ptr_nonnull(rig.params);
	ck_assert_int_eq(engine_reload(rig.e, rig.params, NULL, now(), rig.a), 0);
	done();
	engine_tick(rig.e, now(), rig.a);
	done();
}

#endif
