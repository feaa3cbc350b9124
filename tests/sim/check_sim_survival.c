/*
 * check_sim_survival.c - seeded schedules of a sandwich whose dispatchers take over for each other,
 * while conversations go on (HD-19, HD-23, HD-24).
 *
 * Two nodes may each play the outer and the inner dispatcher; behind them are two later stages, and
 * firewalls that share no state, so that a conversation that comes to another firewall is found. On
 * one network a node dies, is ordered about, leaves, or is restarted with its tables handed over,
 * and returns; and then the other one. What must hold beside what talk.h says:
 *   - a conversation that was open, and told to the other node, before a node died goes on through
 *     the same firewall to the same server, is not reset, and comes to its end;
 *   - by order, when a role is taken back, and when a node leaves, nothing is lost at all, from the
 *     first packet of a conversation on; at a restart packets may be, and no conversation;
 *   - one node plays each dispatcher in the end, and its own one where it is taken back;
 *   - frames in = frames out + held + drops, at every node.
 *
 * SIM_SEED=n runs one network; SIM_ROUNDS multiplies their number, SIM_SHARE divides it.
 */
/* proves: HD-19 HD-23 HD-24 */
#include <stdlib.h>
#include <string.h>

#include "engine/handover.h"
#include "talk.h"

#define ACTS 4
#define NETWORKS_PER_TEST 20
#define TESTS 12
#define WARM_NS (2500 * NET_MS)
#define ACT_NS (11000 * NET_MS)
#define SLOW 3
/* Until another node plays what this one did: dead-after, two hello-intervals, and what the models
 * need to learn of it. */
#define DETECT_NS (800 * NET_MS)
#define ON_WAY_NS (1000 * NET_MS) /* pieces are put together */
#define HANDED_NS (NET_MS / 5)
#define TOLD_NS (5 * NET_MS)	      /* what is 2 ms old has been told */
#define TOLD_LOSSY_NS (1000 * NET_MS) /* where the cluster link loses */
#define RESTART_NS (150 * NET_MS)     /* longer than a process takes, shorter than others wait */
#define SAVED_MAX (1u << 22)

enum fate_of_node { NOTHING, LOSSY, DIES, DIES_LOSSY, ORDER, LEAVES, RESTARTS, FATES };

struct saved {
	uint8_t *data;
	size_t size;
};
static struct saved saved;

static struct net_node *node_of(struct net *n, uint64_t which)
{
	struct sandwich *s = n->arg;

	return which & 1 ? s->inner : s->outer;
}

/* Packets may be lost that were sent so long ago or less, or will be for so long. */
static void lossy(struct script *sc, uint64_t before_ns, uint64_t after_ns)
{
	uint64_t now = sc->net->net->now_ns;

	if (sc->lossy_ns < now + after_ns)
		sc->lossy_ns = now + after_ns;
	for (unsigned i = 0; i < sc->n_flows; i++)
		if (now - sc->flows[i].sent_ns <= before_ns)
			sc->flows[i].lossy = true;
}

/* A node is lost with what it has told nobody. Pieces are put together by who plays the dispatcher,
 * and what is being put together is not told. */
static void lose_young(struct script *sc)
{
	struct net *n = sc->net->net;
	uint64_t told_ns = n->loss ? TOLD_LOSSY_NS : TOLD_NS;

	for (unsigned i = 0; i < sc->n_flows; i++) {
		struct flow *f = &sc->flows[i];
		bool begun = f->walls || f->attempt || f->step;

		if (f->done || !begun)
			continue;
		if (f->kind == FLOW_FRAGMENTS || f->open_ns == 0 ||
		    n->now_ns - f->open_ns < told_ns) {
			f->touched = true;
			trace(sc, "may be lost", (int)i, 0);
		} else {
			f->orphan = true;
		}
	}
}

/* So many messages were lost that a member counts as dead; what follows from that is not looked at.
 */
static void on_note(struct net *n, const struct net_node *node, const struct note *note)
{
	struct script *sc = script_of(n);

	(void)node;
	/* Who yields asks for no neighbour any more that it does not know yet. */
	if (note->type == NOTE_ROLE && note->detail && strstr(note->detail, "handed over")) {
		lossy(sc, HANDED_NS, HANDED_NS);
		if (n->loss)
			lose_young(sc);
	}
	if (note->type != NOTE_MEMBER_DOWN || n->loss == 0)
		return;
	for (unsigned i = 0; i < FLOWS; i++)
		sc->flows[i].touched = true;
	trace(sc, "all may be lost", -1, 0);
}

static void node_dies(struct net *n, uint64_t which)
{
	struct script *sc = script_of(n);
	struct net_node *node = node_of(n, which);

	if (!node->engine)
		return;
	if (n->trace)
		printf("%9.3f %s dies\n", (double)n->now_ns / 1e6, node->name);
	lose_young(sc);
	lossy(sc, ON_WAY_NS, DETECT_NS);
	net_node_kill(n, node);
}

static void node_starts(struct net *n, uint64_t which)
{
	struct net_node *node = node_of(n, which);

	if (node->engine)
		return;
	if (n->trace)
		printf("%9.3f %s starts\n", (double)n->now_ns / 1e6, node->name);
	net_node_start(n, node);
	sandwich_health(n->arg, true);
}

/* word: node, dispatcher << 1 */
static void node_is_told(struct net *n, uint64_t word)
{
	struct net_node *node = node_of(n, word);

	if (n->trace)
		printf("%9.3f %s is told to play %s\n", (double)n->now_ns / 1e6, node->name,
		       word & 2 ? "inner" : "outer");
	if (engine_take_over(node->engine, word & 2 ? "inner" : "outer", n->now_ns, n->actions) < 0)
		broken(script_of(n), "%s cannot play it", node->name);
	net_carry_out(n, node);
}

static void node_left(struct net *n, uint64_t which)
{
	struct net_node *node = node_of(n, which);

	if (engine_leaving(node->engine)) {
		net_at(n, n->now_ns + 5 * NET_MS, node_left, which);
		return;
	}
	engine_goodbye(node->engine, n->now_ns, n->actions);
	net_carry_out(n, node);
	if (n->trace)
		printf("%9.3f %s has left\n", (double)n->now_ns / 1e6, node->name);
	net_node_kill(n, node);
}

static void node_leaves(struct net *n, uint64_t which)
{
	struct net_node *node = node_of(n, which);

	if (n->trace)
		printf("%9.3f %s leaves\n", (double)n->now_ns / 1e6, node->name);
	engine_leave(node->engine, n->now_ns, n->actions);
	net_carry_out(n, node);
	node_left(n, which);
}

/* --- restart -------------------------------------------------------------------------------------
 */

static int save(void *arg, const void *data, size_t size)
{
	struct saved *to = arg;

	if (to->size + size > SAVED_MAX)
		return -1;
	memcpy(to->data + to->size, data, size);
	to->size += size;
	return 0;
}

static struct handover_place place_at(uint64_t now_ns)
{
	return (struct handover_place){.machine = {1, 2, 3}, .boottime_ns = now_ns};
}

static void node_is_back(struct net *n, uint64_t which)
{
	struct script *sc = script_of(n);
	struct net_node *node = node_of(n, which);
	struct handover_place place = place_at(n->now_ns);
	struct handover_report report;
	const char *why = "";

	net_node_start(n, node);
	if (engine_restore(node->engine, n->now_ns, n->actions, &place, saved.data, saved.size,
			   &report, &why) < 0)
		broken(sc, "%s: the tables were not taken: %s", node->name, why);
	net_carry_out(n, node);
	sandwich_health(sc->net, true);
	lossy(sc, ON_WAY_NS, 50 * NET_MS);
	if (n->trace)
		printf("%9.3f %s is back\n", (double)n->now_ns / 1e6, node->name);
}

static void node_restarts(struct net *n, uint64_t which)
{
	struct script *sc = script_of(n);
	struct net_node *node = node_of(n, which);
	struct handover_place place = place_at(n->now_ns);

	if (n->trace)
		printf("%9.3f %s restarts\n", (double)n->now_ns / 1e6, node->name);
	engine_settle(node->engine, n->now_ns, n->actions);
	net_carry_out(n, node);
	saved.size = 0;
	if (engine_save(node->engine, n->now_ns, n->actions, &place, save, &saved) < 0)
		broken(sc, "%s: the tables were not saved", node->name);
	net_carry_out(n, node);
	net_node_kill(n, node);
	lossy(sc, ON_WAY_NS, RESTART_NS);
	net_at(n, n->now_ns + 20 * NET_MS + dice(sc, RESTART_NS - 20 * NET_MS), node_is_back,
	       which);
}

/* --- a schedule ----------------------------------------------------------------------------------
 */

static void link_is(struct net *n, uint64_t lossy)
{
	n->loss = lossy ? 20 + (unsigned)net_dice(n, 100) : 0;
	n->duplicate = lossy ? 200 : 0;
	n->jitter_ns = lossy ? net_dice(n, 2000000) : 0;
}

/* Both nodes have one after the other what is drawn, in the same act: the second has to live by
 * what the first has got back. */
static void draw_fate(struct script *sc, enum fate_of_node fate, uint64_t which, uint64_t when)
{
	struct net *n = sc->net->net;
	uint64_t role = which << 1; /* its own */

	switch (fate) {
	case LOSSY:
		net_at(n, when, link_is, true);
		net_at(n, when + 2000 * NET_MS, link_is, false);
		break;
	case DIES_LOSSY:
		net_at(n, n->now_ns, link_is, true);
		net_at(n, when + 2000 * NET_MS, link_is, false);
		/* fall through */
	case DIES:
		net_at(n, when, node_dies, which);
		net_at(n, when + (50 + dice(sc, 1950)) * NET_MS, node_starts, which);
		break;
	case ORDER:
		net_at(n, when, node_is_told, (which ^ 1) | role);
		net_at(n, when + (200 + dice(sc, 1000)) * NET_MS, node_is_told, which | role);
		break;
	case LEAVES:
		net_at(n, when, node_leaves, which);
		net_at(n, when + (300 + dice(sc, 1500)) * NET_MS, node_starts, which);
		break;
	case RESTARTS:
		net_at(n, when, node_restarts, which);
		break;
	default:
		break;
	}
}

static void draw_fates(struct script *sc)
{
	struct net *n = sc->net->net;
	uint64_t first = n->now_ns + (300 + dice(sc, 1500)) * NET_MS, which = dice(sc, 2);

	sc->rush_ns = first - dice(sc, 300) * NET_MS;
	sc->lossy_ns = 0;
	draw_fate(sc, (enum fate_of_node)sc->trouble, which, first);
	if (sc->trouble == DIES_LOSSY || sc->trouble == LOSSY)
		return;
	/* The one that has returned is to have the tables when the other one goes. */
	draw_fate(sc, (enum fate_of_node)dice(sc, FATES), which ^ dice(sc, 2),
		  first + (4000 + dice(sc, 1000)) * NET_MS);
}

/* --- judging -------------------------------------------------------------------------------------
 */

static void judge_flow(struct script *sc, unsigned index)
{
	const struct flow *f = &sc->flows[index];

	if (f->kind == FLOW_STRAY)
		return;
	if (!f->touched && !f->done)
		broken(sc, "%s: not done", flow_text(sc, (int)index));
	if (!f->touched && f->servers & (f->servers - 1))
		broken(sc, "%s: at servers %x", flow_text(sc, (int)index), f->servers);
	if (!f->touched && !f->lossy && f->resent)
		broken(sc, "%s: sent %u packets again", flow_text(sc, (int)index), f->resent);
}

static void judge_roles(struct script *sc)
{
	static const char *const names[2] = {"outer", "inner"};
	bool back = strncmp(sc->net->plan.take_back, "take-back = true", 16) == 0;

	for (unsigned i = 0; i < 2; i++) {
		unsigned n;
		struct net_node *node = sandwich_active(sc->net, names[i], &n);

		if (n != 1)
			broken(sc, "%u nodes play %s", n, names[i]);
		if (back && node != node_of(sc->net->net, i))
			broken(sc, "%s plays %s", node->name, names[i]);
	}
}

static void judge(struct script *sc)
{
	judge_balance(sc);
	judge_roles(sc);
	for (unsigned i = 0; i < sc->n_flows; i++)
		judge_flow(sc, i);
	for (uint32_t id = 0; id < sc->n_packets; id++) {
		const struct flow *f = &sc->flows[sc->packets[id].flow];
		if (!f->touched && !f->lossy && f->kind != FLOW_STRAY &&
		    sc->packets[id].delivered != 1)
			broken(sc, "%s: packet %u was lost", flow_text(sc, sc->packets[id].flow),
			       id);
	}
}

struct tally {
	unsigned survived; /* open when a node was lost, to their end */
};

static struct plan draw_twins(struct rng *rng)
{
	static const char *const back[] = {
		"take-back = true take-back-delay = \"0s\"",
		"take-back = true take-back-delay = \"700ms\"",
		"take-back = false",
	};
	struct plan p = draw_plan(rng);

	p.one_box = false;
	p.twins = true;
	p.take_back = back[rng_u64(rng) % 3];
	return p;
}

static void run_schedules(uint64_t seed, struct actions *actions, struct tally *t)
{
	struct rng rng = {.key = {seed, 77}};
	struct plan plan = draw_twins(&rng);
	struct script *sc = script_new(seed, &plan, actions);
	struct net *n = sc->net->net;

	sc->slow = SLOW;
	n->note = on_note;
	for (unsigned i = 0; i < n->n_nodes; i++)
		engine_want_notes(n->nodes[i].engine, UINT32_MAX);
	net_run(n, n->now_ns + WARM_NS);
	for (unsigned act = 0; act < ACTS; act++) {
		script_act(sc, act, (unsigned)((seed + act * 2) % FATES));
		draw_fates(sc);
		for (unsigned i = 0; i < FLOWS; i++)
			draw_flow(sc);
		net_run(n, n->now_ns + ACT_NS);
		judge(sc);
		for (unsigned i = 0; i < sc->n_flows; i++) {
			const struct flow *f = &sc->flows[i];
			t->survived += f->orphan && !f->touched && f->done;
		}
	}
	script_free(sc);
}

static void run_block(int block)
{
	const char *one = getenv("SIM_SEED");
	unsigned n = NETWORKS_PER_TEST * number("SIM_ROUNDS") / number("SIM_SHARE");
	struct actions *actions = actions_new();
	uint64_t first = (uint64_t)block * n;
	struct tally t = {0};

	saved.data = malloc(SAVED_MAX);
	if (!saved.data)
		abort();
	if (one && block == 0)
		run_schedules(strtoull(one, NULL, 10), actions, &t);
	for (unsigned i = 0; !one && i < n; i++)
		run_schedules(first + i, actions, &t);
	ck_assert(one || n < 10 || t.survived > n / 4);
	free(saved.data);
	actions_free(actions);
}

START_TEST(test_schedules)
{
	run_block(_i);
}
END_TEST

int main(void)
{
	return script_main("sim survival", test_schedules, TESTS);
}
