/*
 * check_sim_sandwich.c - seeded schedules of a firewall sandwich with a tree of dispatchers.
 *
 * Each schedule draws a configuration, a set of conversations between clients, servers and an
 * inside host, and what goes wrong. What must hold in every one:
 *   - a packet is delivered at most once, and one of no conversation never;
 *   - no stamp comes to a server, a client, a firewall or a private stack;
 *   - with bypass no answer of a later stage comes to the inner dispatcher;
 *   - frames in = frames out + held + drops, at every node;
 *   - a conversation that no trouble has touched runs through one firewall and ends at one server,
 *     no firewall sees a packet of it that it does not know, every packet is delivered, and nothing
 *     has to be sent again;
 *   - one whose firewall died goes on through another, or is reset with numbers that both ends
 *     believe, as configured;
 *   - when the trouble is over, new conversations work at once.
 *
 * proves: HD-1 HD-2 HD-3 HD-4 HD-5 HD-9 HD-13 HD-14 HD-15 HD-24
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"

#define ACTS 3 /* schedules on one network, one after the other */
#define NETWORKS_PER_TEST 24
#define TESTS 14
#define WARM_NS (1500 * NET_MS)
#define IN_STACKS (1u << HOST_STACK_STAGE | 1u << HOST_STACK_INNER)

enum trouble {
	CALM,
	LOSSY,	 /* the cluster link loses, repeats and reorders */
	WALL,	 /* a firewall dies and comes back with empty tables */
	SERVER,	 /* web1 is said to be down, and up again */
	WEIGHTS, /* and drain */
	ADDED,	 /* a target, by a reload */
	RESTART, /* a stage starts anew with empty tables */
	TROUBLES
};

/* --- trouble
 * ------------------------------------------------------------------------------------------- */

static bool by_stage(const struct flow *f)
{
	return f->service >= 0 && services[f->service].by_stage;
}

static bool by_web1(const struct flow *f)
{
	return f->service == WEB || f->service == TLS;
}

static bool is_any(const struct flow *f)
{
	return f->kind < FLOW_KINDS;
}

static void wall_dies(struct net *n, uint64_t wall)
{
	struct script *sc = script_of(n);

	sandwich_firewall(sc->net, (unsigned)wall, true);
	sc->died |= 1u << wall;
	for (unsigned i = 0; i < sc->n_flows; i++)
		if (sc->flows[i].walls & 1u << wall && !sc->flows[i].done) {
			sc->flows[i].touched = sc->flows[i].struck = true;
			sc->flows[i].struck_step = sc->flows[i].step;
		}
}

static void wall_returns(struct net *n, uint64_t wall)
{
	sandwich_firewall(script_of(n)->net, (unsigned)wall, false);
}

static void loss_ends(struct net *n, uint64_t word)
{
	n->loss = (unsigned)word;
}

static void server_health(struct net *n, uint64_t up)
{
	sandwich_health(script_of(n)->net, up);
}

static void weigh(struct net *n, uint64_t word)
{
	/* The others are all that some service has, and have to stay. */
	static const char *const names[] = {"web1", "nat1", "web2", "stage-a"};
	struct sandwich *s = n->arg;
	const char *name = names[word & 3];
	bool stays = word & 2;

	if (word & 4 && !stays)
		engine_set_drain(s->inner->engine, name, word & 8, n->now_ns, n->actions);
	else
		engine_set_weight(s->inner->engine, name, (uint32_t)(word >> 4) + stays, n->now_ns,
				  n->actions);
	net_carry_out(n, s->inner);
}

static void add_target(struct net *n, uint64_t word)
{
	struct sandwich *s = n->arg;

	s->plan.more = word;
	sandwich_reload_inner(s);
}

static void stage_dies(struct net *n, uint64_t stage)
{
	net_node_kill(n, ((struct sandwich *)n->arg)->stage[stage]);
}

static void stage_starts(struct net *n, uint64_t stage)
{
	net_node_start(n, ((struct sandwich *)n->arg)->stage[stage]);
}

static void draw_trouble(struct script *sc)
{
	struct net *n = sc->net->net;
	uint64_t when = n->now_ns + (200 + dice(sc, 800)) * NET_MS, what;

	sc->touched = NULL;
	sc->rush_ns = when;
	switch (sc->trouble) {
	case LOSSY:
		n->loss = 100 + (unsigned)dice(sc, 300);
		n->duplicate = 200;
		n->jitter_ns = dice(sc, 2000000);
		net_at(n, when + 2000 * NET_MS, loss_ends, 0);
		sc->touched = by_stage;
		break;
	case WALL:
		what = dice(sc, FIREWALLS);
		net_at(n, when, wall_dies, what);
		if (!sc->net->plan.learn) /* it comes and goes for all at once */
			sc->touched = is_any;
		net_at(n, when + (3000 + dice(sc, 1500)) * NET_MS, wall_returns, what);
		break;
	case SERVER:
		net_at(n, when, server_health, false);
		net_at(n, when + dice(sc, 1500) * NET_MS, server_health, true);
		sc->touched = by_web1;
		break;
	case WEIGHTS:
		for (unsigned i = 0; i < 6; i++)
			net_at(n, n->now_ns + dice(sc, 1500) * NET_MS, weigh, dice(sc, 256));
		break;
	case ADDED:
		net_at(n, when, add_target, true);
		break;
	case RESTART:
		what = dice(sc, 2);
		net_at(n, when, stage_dies, what);
		sc->rush_ns += dice(sc, 1000) * NET_MS;
		net_at(n, sc->rush_ns, stage_starts, what);
		sc->touched = by_stage;
		break;
	default:
		break;
	}
}

/* --- judging
 * --------------------------------------------------------------------------------------------- */

/* A private stack is nobody else's business, though all of them are called alike. */
static void judge_segments(struct script *sc)
{
	const struct channel_member *m = channel_member(sc->net->inner->engine->channel, 1);

	if (m->up && m->n_segments != 3)
		broken(sc, "stage-a tells of %u segments", m->n_segments);
}

static void judge_flow(struct script *sc, unsigned index)
{
	struct flow *f = &sc->flows[index];

	if (f->kind == FLOW_STRAY)
		return;
	if (!f->done && !f->reset && (!f->touched || f->kind != FLOW_TCP))
		broken(sc, "%s: not done", flow_text(sc, (int)index));
	if (f->touched)
		return;
	if (f->resent)
		broken(sc, "%s: sent %u packets again", flow_text(sc, (int)index), f->resent);
	if (f->servers & (f->servers - 1))
		broken(sc, "%s: at servers %x", flow_text(sc, (int)index), f->servers);
}

/* A connection whose firewall died under it. Both ends have numbers for a reset after the
 * handshake; when both have sent their FIN there is nothing left to reset. */
static void judge_struck(struct script *sc, unsigned index)
{
	const struct flow *f = &sc->flows[index];
	const struct plan *p = &sc->net->plan;

	if (!f->struck || f->kind != FLOW_TCP || f->done || f->reset || !p->learn)
		return;
	if (strcmp(p->path_down, "move") == 0 && !f->elsewhere)
		broken(sc, "%s: went to no other firewall", flow_text(sc, (int)index));
	if (strcmp(p->path_down, "reset") == 0 && f->struck_step >= 3 &&
	    f->struck_step < TCP_STEP_LAST_FIN)
		broken(sc, "%s: was not reset", flow_text(sc, (int)index));
}

static void judge(struct script *sc)
{
	judge_balance(sc);
	judge_segments(sc);
	for (unsigned i = 0; i < sc->n_flows; i++)
		judge_flow(sc, i);
	for (unsigned i = 0; i < sc->n_flows; i++)
		judge_struck(sc, i);
	for (uint32_t id = 0; id < sc->n_packets; id++) {
		const struct flow *f = &sc->flows[sc->packets[id].flow];
		if (!f->touched && f->kind != FLOW_STRAY && sc->packets[id].delivered != 1)
			broken(sc, "%s: packet %u was lost", flow_text(sc, sc->packets[id].flow),
			       id);
	}
	if (sc->net->plan.bypass && sc->answers_at_inner)
		broken(sc, "%u answers came to the first stage", sc->answers_at_inner);
}

/* A set of conversations, and what goes wrong meanwhile. What went wrong before is over, so they
 * must work at once. */
static void run_act(struct script *sc, unsigned act, enum trouble trouble)
{
	struct net *n = sc->net->net;

	script_act(sc, act, trouble);
	draw_trouble(sc);
	for (unsigned i = 0; i < FLOWS; i++)
		draw_flow(sc);
	net_run(n, n->now_ns + (trouble == CALM || trouble == WEIGHTS ? 5000 : 9000) * NET_MS);
	judge(sc);
	for (unsigned i = 0; i < sc->n_flows; i++)
		sc->n_stacked += sc->flows[i].done && sc->flows[i].servers & IN_STACKS;
}

/* Returns how many packets went past the engines; adds to *stacked how many conversations private
 * stacks had. */
static uint64_t run_schedules(uint64_t seed, struct actions *actions, uint64_t *stacked)
{
	struct rng rng = {.key = {seed, 99}};
	struct plan plan = draw_plan(&rng);
	struct script *sc = script_new(seed, &plan, actions);
	struct net *n = sc->net->net;
	uint64_t passed;

	net_run(n, n->now_ns + WARM_NS);
	for (unsigned act = 0; act < ACTS; act++)
		run_act(sc, act, (enum trouble)((seed + act * 3) % TROUBLES));
	passed = net_kernel_passed(n);
	*stacked += sc->n_stacked;
	script_free(sc);
	return passed;
}

/* SIM_SEED=n runs one network, for looking at it; SIM_ROUNDS multiplies their number, SIM_SHARE
 * divides it. */
static void run_block(int block)
{
	const char *one = getenv("SIM_SEED");
	unsigned n = NETWORKS_PER_TEST * number("SIM_ROUNDS") / number("SIM_SHARE");
	struct actions *actions = actions_new();
	uint64_t first = (uint64_t)block * n, passed = 0, stacked = 0;

	if (one && block == 0)
		run_schedules(strtoull(one, NULL, 10), actions, &stacked);
	for (unsigned i = 0; !one && i < n; i++)
		passed += run_schedules(first + i, actions, &stacked);
	ck_assert(one || passed > 0);
	ck_assert(one || stacked > 0);
	actions_free(actions);
}

START_TEST(test_schedules)
{
	run_block(_i);
}
END_TEST

int main(void)
{
	return script_main("sim sandwich", test_schedules, TESTS);
}
