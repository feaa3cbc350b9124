/*
 * Two to four nodes that may play an outer and an inner dispatcher, on a network that fails
 * (HD-19, HD-23). A schedule is: for a while ways are cut, lose, repeat and delay, nodes die,
 * return, leave, stand still, lose ports, are reloaded and ordered about; then all is well again,
 * and some things are done that a cluster in good health has to bear.
 *
 *   - two that hear each other do not both play a dispatcher for longer than a hello-interval and
 *     a round trip; nor one that hears the other for longer than it takes to see that it is deaf;
 *   - dead-after and a little after the last fault one node plays each dispatcher, and the hosts
 *     have learnt that it is this one;
 *   - in a healthy cluster nobody takes over but by order, by take-back, from one that leaves or
 *     whose port is down, and then at no instant is nobody there to forward; jitter changes
 * nothing;
 *   - when the node that plays it dies or stands still, another one does within dead-after and two
 *     hello-intervals;
 *   - a packet is forwarded by a node that plays the dispatcher, or has just handed it over, and
 *     an address answered for by one that plays it (elect.c looks at every frame);
 *   - it is taken back by the preferred node when that was configured, not too early, and then in
 *     time.
 *
 * SIM_SEED=n runs one world of schedules; SIM_ROUNDS multiplies their number, SIM_SHARE divides it.
 */
/* proves: HD-19 HD-23 */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elect.h"

#define TESTS 10
#define WORLDS_PER_TEST 60
#define SCHEDULES_PER_WORLD 10
#define HANDSHAKE_NS                                                                               \
	(300 * ELECT_MS) /* until a new boot is believed, when a challenge was lost                \
			  */
#define HANDOVER_NS (20 * ELECT_MS)

/* Costs nothing while it holds. */
#define MUST(cond, ...)                                                                            \
	do {                                                                                       \
		if (!(cond))                                                                       \
			ck_abort_msg(__VA_ARGS__);                                                 \
	} while (0)

struct scene {
	struct elect *w;
	uint64_t hello_ns, dead_ns;
	bool calm;
	unsigned active[DISPATCHERS];	/* in calm: who plays it */
	unsigned expected[DISPATCHERS]; /* who may come to */
	uint64_t came_ns[DISPATCHERS];	/* two may come at one instant, once nobody was there */
	bool handing[DISPATCHERS];	/* anybody may: the active one gives it up */
	bool uncovered[DISPATCHERS];	/* its node was lost */
	uint64_t both_ns[DISPATCHERS][ELECT_NODES][ELECT_NODES];
	uint64_t met_ns[ELECT_NODES][ELECT_NODES]; /* since when `met` holds */
	bool met[ELECT_NODES][ELECT_NODES];
	unsigned n_changes, n_schedules;
};

static uint64_t ms(uint64_t ns)
{
	return ns / ELECT_MS;
}

static uint64_t trip_ns(const struct scene *s)
{
	return 2 * (s->w->clean_jitter_ns + 100000) + ELECT_MS + 6 * s->w->late_ns;
}

static uint64_t later(uint64_t x, uint64_t y)
{
	return x > y ? x : y;
}

/* It acts; one that stands still for longer than others wait does not. */
static bool acts(const struct elect_node *node)
{
	return node->engine && !(node->stalled && node->out_of_lease);
}

static unsigned playing(const struct scene *s, enum elect_dispatcher d, unsigned *count)
{
	unsigned found = ELECT_NOBODY;

	*count = 0;
	for (unsigned n = 0; n < s->w->n_nodes; n++) {
		if (!elect_is(&s->w->nodes[n], d, WIRE_ROLE_ACTIVE) || !acts(&s->w->nodes[n]))
			continue;
		found = n;
		++*count;
	}
	return found;
}

/* --- two that play it ---------------------------------------------------------------------------
 */

static const struct channel_member *member_of(const struct elect_node *node, unsigned of)
{
	for (uint32_t m = 0; m < node->params->n_members; m++)
		if (node->params->members[m].id == of + 1)
			return channel_member(node->engine->channel, m);
	abort();
}

/* The boot that the other has now is proven there. */
static bool knows(const struct scene *s, unsigned a, unsigned b)
{
	const struct channel_member *m = member_of(&s->w->nodes[a], b);

	return m->proven &&
	       memcmp(m->boot_id, member_of(&s->w->nodes[b], b)->boot_id, WIRE_BOOT_ID) == 0;
}

/* For how long the two may both play it; `met`: they knew each other when it began; `n` play it in
 * all. */
static uint64_t both_limit(const struct scene *s, unsigned a, unsigned b, bool met, unsigned n)
{
	const struct elect *w = s->w;
	uint64_t trip = 2 * trip_ns(s);

	if (elect_hears(w, a, b) && elect_hears(w, b, a)) {
		if (!met)
			return 2 * s->hello_ns + HANDSHAKE_NS + trip;
		if (elect_hears_segment(w, a, b) && elect_hears_segment(w, b, a) && n == 2 &&
		    w->n_nodes == 2)
			return s->hello_ns + trip;
		return 2 * s->hello_ns + trip;
	}
	/* The first word, dead-after until it no longer names the other, two to be sure. */
	if (met && ((elect_hears(w, b, a) && elect_deaf(w, a, b)) ||
		    (elect_hears(w, a, b) && elect_deaf(w, b, a))))
		return s->dead_ns + 4 * s->hello_ns + trip;
	return UINT64_MAX;
}

static void check_pair(struct scene *s, enum elect_dispatcher d, unsigned a, unsigned b)
{
	struct elect *w = s->w;
	uint64_t since, limit;
	unsigned count;

	if (!acts(&w->nodes[a]) || !acts(&w->nodes[b]) ||
	    !elect_is(&w->nodes[a], d, WIRE_ROLE_ACTIVE) ||
	    !elect_is(&w->nodes[b], d, WIRE_ROLE_ACTIVE)) {
		s->both_ns[d][a][b] = 0;
		return;
	}
	if (s->both_ns[d][a][b] == 0)
		s->both_ns[d][a][b] = w->now_ns;
	since = later(s->both_ns[d][a][b], w->changed_ns[a][b]);
	if (since != s->met_ns[a][b]) {
		s->met_ns[a][b] = since;
		s->met[a][b] = knows(s, a, b) && knows(s, b, a);
	}
	playing(s, d, &count);
	limit = both_limit(s, a, b, s->met[a][b], count);
	MUST(limit == UINT64_MAX || w->now_ns - since <= limit,
	     "%.3f: n%u and n%u both play %u for %llu ms, %llu are allowed",
	     (double)w->now_ns / 1e6, a, b, d, (unsigned long long)ms(w->now_ns - since),
	     (unsigned long long)ms(limit));
}

/* --- a healthy cluster --------------------------------------------------------------------------
 */

static uint64_t back_at(const struct scene *s, enum elect_dispatcher d, unsigned node)
{
	const struct elect_node *n = &s->w->nodes[node];

	return n->able_ns[d] +
	       (elect_back(&s->w->plan)->delay_ms * ELECT_MS << elect_role(n, d)->flaps);
}

static bool may_take_back(const struct scene *s, enum elect_dispatcher d, unsigned node)
{
	return s->active[d] != ELECT_NOBODY && elect_back(&s->w->plan)->take_back &&
	       elect_able(&s->w->nodes[node], d) &&
	       elect_rank(s->w, d, node) < elect_rank(s->w, d, s->active[d]) &&
	       s->w->now_ns >= back_at(s, d, node);
}

static void came_to_play(struct scene *s, enum elect_dispatcher d, unsigned node)
{
	MUST(s->active[d] == ELECT_NOBODY || s->uncovered[d] || s->handing[d] ||
		     s->expected[d] == node || s->w->now_ns - s->came_ns[d] <= 2 * trip_ns(s) ||
		     !elect_able(&s->w->nodes[s->active[d]], d) || may_take_back(s, d, node),
	     "%.3f: n%u comes to play %u that n%u plays well", (double)s->w->now_ns / 1e6, node, d,
	     s->active[d]);
	s->active[d] = node;
	s->came_ns[d] = s->w->now_ns;
	if (s->expected[d] == node)
		s->expected[d] = ELECT_NOBODY;
	s->uncovered[d] = s->handing[d] = false;
	s->n_changes++;
}

static void check_calm(struct scene *s, enum elect_dispatcher d)
{
	struct elect *w = s->w;
	bool covered = false;

	for (unsigned n = 0; n < w->n_nodes; n++) {
		const struct elect_node *node = &w->nodes[n];

		if (!acts(node))
			continue;
		if (elect_is(node, d, WIRE_ROLE_ACTIVE) && n != s->active[d])
			came_to_play(s, d, n);
		covered |= elect_is(node, d, WIRE_ROLE_ACTIVE) ||
			   elect_is(node, d, WIRE_ROLE_YIELDING);
	}
	MUST(covered || s->uncovered[d] || s->active[d] == ELECT_NOBODY,
	     "%.3f: nobody forwards for %u", (double)w->now_ns / 1e6, d);
}

static void on_observe(struct elect *w)
{
	struct scene *s = w->arg;

	for (unsigned d = 0; d < DISPATCHERS; d++) {
		for (unsigned a = 0; a < w->n_nodes; a++)
			for (unsigned b = a + 1; b < w->n_nodes; b++)
				check_pair(s, d, a, b);
		if (s->calm)
			check_calm(s, d);
	}
}

/* Let time pass, while hosts ask and send. */
static void pass(struct scene *s, uint64_t for_ns)
{
	struct elect *w = s->w;
	uint64_t until = w->now_ns + for_ns;

	while (w->now_ns < until) {
		uint64_t step = 1 + elect_dice(w, s->hello_ns);

		elect_run(w, w->now_ns + step < until ? w->now_ns + step : until);
		if (elect_dice(w, 4) == 0)
			elect_ask(w, (unsigned)elect_dice(w, ELECT_CLAIMS));
		else
			elect_probe(w, (unsigned)elect_dice(w, w->n_nodes),
				    (unsigned)elect_dice(w, DISPATCHERS));
	}
}

/* --- faults -------------------------------------------------------------------------------------
 */

static unsigned any_node(struct scene *s)
{
	return (unsigned)elect_dice(s->w, s->w->n_nodes);
}

static struct elect_link any_link(struct scene *s)
{
	struct elect_link l = {.jitter_ns = s->w->clean_jitter_ns};

	switch (elect_dice(s->w, 4)) {
	case 0:
		l.loss = (unsigned)elect_dice(s->w, 900);
		break;
	case 1:
		l.duplicate = (unsigned)elect_dice(s->w, 500);
		l.jitter_ns = elect_dice(s->w, 3 * s->hello_ns);
		break;
	case 2:
		l.loss = (unsigned)elect_dice(s->w, 300);
		l.jitter_ns = elect_dice(s->w, s->hello_ns);
		break;
	default:
		l.cut = true;
	}
	return l;
}

/* Between those of a set and the others, in one or both directions, by some of the ways. */
static void fault_between(struct scene *s, unsigned set, const struct elect_link *l, unsigned ways,
			  bool back)
{
	struct elect *w = s->w;

	for (unsigned a = 0; a < w->n_nodes; a++)
		for (unsigned b = 0; b < w->n_nodes; b++) {
			if (!(set & 1u << a) || set & 1u << b)
				continue;
			for (unsigned way = 0; way < WAYS; way++) {
				if (!(ways & 1u << way))
					continue;
				elect_set_link(w, way, a, b, l);
				if (back)
					elect_set_link(w, way, b, a, l);
			}
		}
}

static void fault_links(struct scene *s)
{
	struct elect_link l = any_link(s), cut = {.cut = true};
	unsigned set = (unsigned)elect_dice(s->w, 1u << s->w->n_nodes);
	const unsigned all = (1u << WAYS) - 1;

	switch (elect_dice(s->w, 5)) {
	case 0:
		fault_between(s, set, &l, (unsigned)elect_dice(s->w, 1u << WAYS),
			      elect_dice(s->w, 2));
		break;
	case 1:
		fault_between(s, set, &cut, all, true);
		break;
	case 2: /* deaf */
		fault_between(s, 1u << any_node(s), &cut, all, false);
		break;
	case 3: /* one way is left */
		fault_between(s, set, &cut, all & ~(1u << elect_dice(s->w, WAYS)),
			      elect_dice(s->w, 2));
		break;
	default:
		fault_between(s, set, &l, all, true);
	}
}

static void fault_node(struct scene *s)
{
	struct elect *w = s->w;
	unsigned n = any_node(s);

	switch (elect_dice(w, 8)) {
	case 0:
		elect_kill(w, n);
		break;
	case 1:
		elect_start(w, n);
		break;
	case 2:
		elect_leave(w, n);
		break;
	case 3:
		elect_stall(w, n, 10 * ELECT_MS + elect_dice(w, 5 * s->dead_ns));
		break;
	case 4:
		elect_stall(w, n, 10 * ELECT_MS + elect_dice(w, s->dead_ns));
		break;
	case 5:
		elect_port(w, n, (unsigned)elect_dice(w, WAYS), elect_dice(w, 2));
		break;
	case 6:
		elect_reload(w, n, (unsigned)elect_dice(w, ELECT_VARIANTS));
		break;
	default:
		elect_order(w, n, (unsigned)elect_dice(w, DISPATCHERS));
	}
}

static void faults(struct scene *s)
{
	for (uint64_t i = 1 + elect_dice(s->w, 6); i > 0; i--) {
		if (elect_dice(s->w, 2))
			fault_links(s);
		else
			fault_node(s);
		pass(s, elect_dice(s->w, elect_dice(s->w, 2) ? s->dead_ns : 2 * s->hello_ns) + 1);
	}
}

static void all_well(struct scene *s)
{
	struct elect *w = s->w;

	elect_heal(w);
	for (unsigned n = 0; n < w->n_nodes; n++) {
		elect_wake(w, n);
		if (elect_dice(w, 4))
			elect_start(w, n);
		for (unsigned way = 0; way < WAYS; way++)
			if (elect_dice(w, 6))
				elect_port(w, n, way, true);
	}
}

/* --- one plays it -------------------------------------------------------------------------------
 */

static unsigned candidates(const struct scene *s, enum elect_dispatcher d)
{
	unsigned n_alive = 0;

	for (unsigned n = 0; n < s->w->n_nodes; n++)
		n_alive += acts(&s->w->nodes[n]) && !s->w->nodes[n].leaving &&
			   elect_role(&s->w->nodes[n], d);
	return n_alive;
}

static void one_plays(struct scene *s, enum elect_dispatcher d, const char *when)
{
	unsigned count, want = candidates(s, d) > 0;

	s->active[d] = playing(s, d, &count);
	MUST(count == want, "%.3f: %u nodes play %u %s, %u should", (double)s->w->now_ns / 1e6,
	     count, d, when, want);
}

/* An unable one plays it only when all are. */
static void able_plays(const struct scene *s, enum elect_dispatcher d)
{
	const struct elect *w = s->w;

	if (s->active[d] == ELECT_NOBODY || elect_able(&w->nodes[s->active[d]], d))
		return;
	for (unsigned n = 0; n < w->n_nodes; n++)
		MUST(!elect_able(&w->nodes[n], d) || !acts(&w->nodes[n]),
		     "n%u, a port of which is down, plays %u, n%u could", s->active[d], d, n);
}

static void hosts_know(const struct scene *s)
{
	for (unsigned i = 0; i < ELECT_CLAIMS; i++) {
		enum elect_dispatcher d = elect_way_dispatcher(elect_claims[i].way);
		unsigned active = s->active[d];

		if (active == ELECT_NOBODY || !s->w->nodes[active].up[elect_claims[i].way])
			continue;
		MUST(s->w->claimed[i] == active,
		     "%.3f: hosts take address %u to be at n%u, but n%u plays %u",
		     (double)s->w->now_ns / 1e6, i, s->w->claimed[i], active, d);
	}
}

/* Hosts may believe one that played it where nobody else heard it, and died: as long as it is not
 * heard the others announce their addresses every five seconds. */
static bool died_unheard(const struct scene *s)
{
	for (unsigned i = 0; i < ELECT_CLAIMS; i++)
		if (s->w->claimed[i] < s->w->n_nodes && !s->w->nodes[s->w->claimed[i]].engine)
			return true;
	return false;
}

static void settle(struct scene *s)
{
	pass(s, s->dead_ns + 4 * s->hello_ns + HANDSHAKE_NS);
	if (died_unheard(s))
		pass(s, 5 * ELECT_SEC + trip_ns(s));
	for (unsigned d = 0; d < DISPATCHERS; d++) {
		s->expected[d] = ELECT_NOBODY;
		s->handing[d] = s->uncovered[d] = false;
		one_plays(s, d, "when all is well");
		able_plays(s, d);
	}
	hosts_know(s);
	s->calm = true;
}

/* --- what a healthy cluster bears ---------------------------------------------------------------
 */

static bool another_able(const struct scene *s, enum elect_dispatcher d, unsigned but)
{
	for (unsigned n = 0; n < s->w->n_nodes; n++)
		if (n != but && elect_able(&s->w->nodes[n], d) && acts(&s->w->nodes[n]) &&
		    elect_is(&s->w->nodes[n], d, WIRE_ROLE_STANDBY))
			return true;
	return false;
}

/* The node is about to give up what it plays: to others that can have it at once, or not. */
static void gives_up(struct scene *s, unsigned node, bool planned)
{
	for (unsigned d = 0; d < DISPATCHERS; d++) {
		if (planned && s->active[d] == node ? another_able(s, d, node)
						    : planned && may_take_back(s, d, node))
			s->handing[d] = true; /* from it, or just to it */
		else if (s->active[d] == node ||
			 (!planned && s->w->nodes[node].engine && may_take_back(s, d, node)))
			s->uncovered[d] = true; /* or it is just being handed to it */
	}
}

/* All dispatchers have got a node that plays them. */
static void was_taken(struct scene *s, unsigned from, const char *why)
{
	for (unsigned d = 0; d < DISPATCHERS; d++) {
		if (!s->handing[d] && !s->uncovered[d])
			continue;
		s->handing[d] = s->uncovered[d] = false;
		one_plays(s, d, why);
		MUST(s->active[d] != from, "n%u still plays %u %s", from, d, why);
		s->n_changes++;
	}
	pass(s, trip_ns(s));
	hosts_know(s);
}

/* Who has only just begun, or stood still, listens first. */
static uint64_t listens_ns(const struct scene *s)
{
	uint64_t longest = 0;

	for (unsigned n = 0; n < s->w->n_nodes; n++)
		for (unsigned d = 0; d < DISPATCHERS; d++) {
			const struct elect_node *node = &s->w->nodes[n];
			uint64_t until;

			if (!elect_is(node, d, WIRE_ROLE_WAITING))
				continue;
			until = elect_role(node, d)->until_ns - node->clock_ns;
			if (until > s->w->now_ns)
				longest = later(longest, until - s->w->now_ns);
		}
	return longest;
}

static void calm_crash(struct scene *s)
{
	unsigned n = any_node(s);

	gives_up(s, n, false);
	elect_kill(s->w, n);
	pass(s, later(s->dead_ns, listens_ns(s)) + 2 * s->hello_ns + trip_ns(s));
	was_taken(s, n, "after a crash");
}

static void calm_stall(struct scene *s)
{
	struct elect *w = s->w;
	unsigned n = any_node(s);
	uint64_t known = later(s->dead_ns, listens_ns(s)) + 2 * s->hello_ns + trip_ns(s);

	if (!w->nodes[n].engine)
		return;
	gives_up(s, n, false);
	elect_stall(w, n, known + elect_dice(w, 3 * s->dead_ns));
	pass(s, known);
	was_taken(s, n, "while a node stands still");
	pass(s, w->nodes[n].wake_ns - w->now_ns);
}

static void calm_leave(struct scene *s)
{
	unsigned n = any_node(s);

	gives_up(s, n, true);
	elect_leave(s->w, n);
	pass(s, s->uncovered[OUTER] || s->uncovered[INNER] ? s->dead_ns + 2 * s->hello_ns
							   : HANDOVER_NS);
	was_taken(s, n, "after a node has left");
	pass(s, 100 * ELECT_MS);
	ck_assert(!s->w->nodes[n].engine);
}

static bool hears(const struct elect_node *a, const struct elect_node *b, enum elect_dispatcher d)
{
	for (uint32_t m = 0; m < a->params->n_members; m++)
		if (a->params->members[m].id == b->index + 1)
			return takeover_fresh(&a->engine->dispatch, m, (uint32_t)a->dispatcher[d]);
	return false;
}

/* The one that plays it and that node have met: that can have it at once. */
static bool have_met(const struct scene *s, enum elect_dispatcher d, unsigned node)
{
	const struct elect_node *a = &s->w->nodes[s->active[d]], *b = &s->w->nodes[node];

	return hears(a, b, d) && hears(b, a, d);
}

static void calm_order(struct scene *s)
{
	struct elect *w = s->w;
	unsigned n = any_node(s), d = (unsigned)elect_dice(w, DISPATCHERS);
	uint64_t wait = 0;

	if (!acts(&w->nodes[n]) || elect_rank(w, d, n) == ELECT_NOBODY)
		return;
	if (!elect_able(&w->nodes[n], d)) {
		ck_assert_int_lt(elect_order(w, n, d), 0);
		return;
	}
	if (elect_is(&w->nodes[n], d, WIRE_ROLE_WAITING))
		wait = s->dead_ns + s->hello_ns + HANDSHAKE_NS; /* it asks when it has listened */
	else if (elect_is(&w->nodes[n], d, WIRE_ROLE_YIELDING))
		wait = 100 * ELECT_MS;
	else if (s->active[d] != ELECT_NOBODY && s->active[d] != n && !have_met(s, d, n))
		wait = s->hello_ns + HANDSHAKE_NS;
	s->expected[d] = n;
	ck_assert_int_eq(elect_order(w, n, d), 0);
	pass(s, HANDOVER_NS + wait);
	MUST(s->active[d] == n, "n%u does not play %u by order", n, d);
	s->expected[d] = ELECT_NOBODY;
	hosts_know(s);
}

static void calm_port(struct scene *s)
{
	struct elect *w = s->w;
	unsigned n = any_node(s), way = 1 + (unsigned)elect_dice(w, WAYS - 1);
	unsigned d = elect_way_dispatcher(way);
	bool hands = s->active[d] == n && w->nodes[n].up[way] && another_able(s, d, n);

	s->handing[d] = hands || (s->active[d] != ELECT_NOBODY && may_take_back(s, d, n));
	elect_port(w, n, way, !w->nodes[n].up[way]);
	pass(s, HANDOVER_NS + s->hello_ns);
	if (hands)
		was_taken(s, n, "after a port went down");
	s->handing[d] = false;
}

/* Calls come late by less than others wait, often and to all nodes at once. */
static void calm_jitter(struct scene *s)
{
	struct elect *w = s->w;
	uint64_t most = s->dead_ns - s->hello_ns - s->hello_ns / 8 - 2 * trip_ns(s);

	for (unsigned i = 0; i < 12; i++) {
		elect_stall(w, any_node(s), elect_dice(w, 3) ? elect_dice(w, most) : most);
		pass(s, 1 + elect_dice(w, s->hello_ns));
	}
	pass(s, most);
}

static void calm_start(struct scene *s)
{
	for (unsigned n = 0; n < s->w->n_nodes; n++)
		elect_start(s->w, n);
	pass(s, 1 + elect_dice(s->w, s->dead_ns));
}

static void calm_reload(struct scene *s)
{
	elect_reload(s->w, any_node(s), (unsigned)elect_dice(s->w, ELECT_VARIANTS));
	pass(s, 1 + elect_dice(s->w, s->hello_ns));
}

static void calm(struct scene *s)
{
	static void (*const things[])(struct scene * s) = {calm_crash, calm_stall, calm_leave,
							   calm_order, calm_port,  calm_jitter,
							   calm_start, calm_reload};

	for (uint64_t i = elect_dice(s->w, 4); i > 0; i--) {
		things[elect_dice(s->w, sizeof(things) / sizeof(things[0]))](s);
		pass(s, elect_dice(s->w, 2) ? s->dead_ns + 4 * s->hello_ns : 1);
	}
}

/* Who is preferred has it, as soon as it may. */
static void taken_back(struct scene *s, enum elect_dispatcher d)
{
	struct elect *w = s->w;

	if (!elect_back(&w->plan)->take_back || s->active[d] == ELECT_NOBODY)
		return;
	for (unsigned n = 0; n < w->n_nodes; n++) {
		const struct elect_node *node = &w->nodes[n];
		uint64_t due;

		if (!acts(node) || !elect_able(node, d) ||
		    elect_role(&w->nodes[s->active[d]], d)->forced ||
		    elect_rank(w, d, n) >= elect_rank(w, d, s->active[d]) ||
		    elect_is(node, d, WIRE_ROLE_WAITING))
			continue;
		due = back_at(s, d, n) + s->hello_ns + 2 * trip_ns(s);
		MUST(w->now_ns < due || w->now_ns < node->started_ns + s->dead_ns + HANDSHAKE_NS +
							    2 * s->hello_ns,
		     "%.3f: n%u has not taken %u back from n%u, due %.3f", (double)w->now_ns / 1e6,
		     n, d, s->active[d], (double)due / 1e6);
	}
}

/* --- schedules ----------------------------------------------------------------------------------
 */

static void run_schedule(struct scene *s)
{
	s->calm = false;
	faults(s);
	all_well(s);
	settle(s);
	calm(s);
	pass(s, 4 * s->hello_ns);
	for (unsigned d = 0; d < DISPATCHERS; d++)
		taken_back(s, d);
	s->n_schedules++;
}

struct sums {
	uint64_t changes, forwarded, answers, roles, schedules, stalls;
};

static void run_world(uint64_t seed, struct actions *actions, struct sums *sums)
{
	struct scene s;
	struct elect_plan plan = {.layout = (unsigned)(seed % 12),
				  .timing = (unsigned)(seed / 12 % 5),
				  .back = (unsigned)(seed / 60 % 4)};

	memset(&s, 0, sizeof(s));
	s.w = elect_new(seed, &plan, actions);
	s.w->arg = &s;
	s.w->observe = on_observe;
	s.hello_ns = elect_timing(&plan)->hello_ms * ELECT_MS;
	s.dead_ns = elect_timing(&plan)->dead_ms * ELECT_MS;
	for (unsigned n = 0; n < s.w->n_nodes; n++) {
		elect_start(s.w, n);
		pass(&s, elect_dice(s.w, 2) ? 1 : elect_dice(s.w, s.dead_ns));
	}
	for (unsigned i = 0; i < SCHEDULES_PER_WORLD; i++)
		run_schedule(&s);
	sums->changes += s.n_changes;
	sums->forwarded += s.w->n_forwarded;
	sums->answers += s.w->n_answers;
	sums->roles += s.w->n_roles;
	sums->stalls += s.w->n_stalls;
	sums->schedules += s.n_schedules;
	elect_free(s.w);
}

static unsigned number(const char *name)
{
	const char *text = getenv(name);
	unsigned n = text ? (unsigned)strtoul(text, NULL, 10) : 1;

	return n ? n : 1;
}

START_TEST(test_schedules)
{
	const char *one = getenv("SIM_SEED");
	const unsigned n = WORLDS_PER_TEST * number("SIM_ROUNDS") / number("SIM_SHARE");
	struct actions *actions = actions_new();
	struct sums sums = {0};

	ck_assert_ptr_nonnull(actions);
	for (unsigned i = 0; i < n; i++) {
		uint64_t seed = one ? strtoull(one, NULL, 10) : (uint64_t)_i * n + i;

		if (one && (_i > 0 || i > 0))
			break;
		mark_point();
		if (getenv("SIM_TELL"))
			fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
		run_world(seed, actions, &sums);
	}
	printf("%llu schedules: %llu planned changes, %llu packets forwarded, %llu ARP answers, "
	       "%llu messages by segments, %llu stalls\n",
	       (unsigned long long)sums.schedules, (unsigned long long)sums.changes,
	       (unsigned long long)sums.forwarded, (unsigned long long)sums.answers,
	       (unsigned long long)sums.roles, (unsigned long long)sums.stalls);
	ck_assert(one || (sums.changes > 0 && sums.forwarded > 0 && sums.answers > 0));
	elect_params_free();
	actions_free(actions);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sim takeover");
	TCase *schedules = tcase_create("schedules");
	SRunner *sr;
	int failed;

	mallopt(M_MMAP_THRESHOLD, 1 << 17);
	tcase_add_loop_test(schedules, test_schedules, 0, TESTS);
	tcase_set_timeout(schedules, 3600);
	suite_add_tcase(suite, schedules);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
