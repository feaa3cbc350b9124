/*
 * check_backup_leave.c - flows that are handed over in order, that end while their old home is cut
 * off, and backups while members come, go and are configured anew.
 *
 * proves: FC-17
 */
#include <errno.h>

#include "backup_rig.h"
#include "engine/view.h"

#define MANY 60

static struct forward *forward_at(struct sim *s, unsigned m)
{
	struct flow_table *t = fw(s, m)->forwards;

	return flow_table_find(t, &key, flow_table_hash(t, &key));
}

/* The member that is home now, of those alive. */
static unsigned home_of(struct sim *s)
{
	unsigned home = UINT32_MAX;

	for (unsigned m = 0; m < s->params.n_members; m++) {
		if (s->members[m].dead || !state_at(s, m) || state_is_over(state_at(s, m)))
			continue;
		ck_assert_uint_eq(home, UINT32_MAX);
		home = m;
	}
	ck_assert_uint_ne(home, UINT32_MAX);
	return home;
}

/* Connections of other ports by member 0, answered. */
static void open_many(struct sim *s, unsigned n)
{
	struct pkt_tuple t = there, b = back;

	for (unsigned i = 0; i < n; i++) {
		static const uint8_t flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK};

		t.sport = b.dport = (uint16_t)(2000 + i);
		for (unsigned step = 0; step < 3; step++) {
			enum sim_side to = step == 1 ? SIM_INSIDE : SIM_OUTSIDE;
			uint32_t id = sim_packet_new(s, 1, to);
			struct sim_tcp h = {.flags = flags[step],
					    .seq = step == 1 ? 500 : 100 + step / 2,
					    .ack = step == 0   ? 0
						   : step == 1 ? 101
							       : 501};
			uint8_t ip[128];

			sim_send(s, id, 0, ip, sim_tcp(ip, step == 1 ? &b : &t, &h, id, 0),
				 step * SIM_MS);
		}
	}
	wait_ms(s, 20);
}

static unsigned n_backed_with(struct sim *s, unsigned m)
{
	struct state *st;
	unsigned n = 0;

	for (uint32_t pos = 0; (st = flow_table_next(fw(s, 0)->states, &pos));)
		n += st->backup == m + 1;
	return n;
}

/* How long it waited. */
static uint64_t leave(struct sim *s, unsigned m)
{
	uint64_t begun = s->now_ns;
	bool wait = engine_leave(s->members[m].engine, s->now_ns, s->actions);

	sim_carry_out(s, m);
	while (wait && engine_leaving(s->members[m].engine)) {
		ck_assert_uint_le(s->now_ns - begun, BACKUP_LEAVE_NS + 5 * SIM_MS);
		wait_ms(s, 1);
	}
	engine_goodbye(s->members[m].engine, s->now_ns, s->actions);
	sim_carry_out(s, m);
	return s->now_ns - begun;
}

/* --- leaving --------------------------------------------------------------------------------- */

/* By every member, at once, and without a question: all have heard of the new home. */
START_TEST(leaving_hands_over)
{
	struct sim *s = begin(OPTIONS);
	uint64_t queries;
	unsigned home;

	open_by(s, 0); /* young, but answered */
	ck_assert_uint_eq(segment(s, 1, SIM_INSIDE, TCP_ACK, 10, 0), 1);
	ck_assert_uint_eq(segment(s, 2, SIM_INSIDE, TCP_ACK, 10, 0), 1);
	queries = s->n_query_notes;
	ck_assert_uint_le(leave(s, 0), 60 * SIM_MS);
	ck_assert_ptr_null(state_at(s, 0));
	ck_assert_uint_eq(counted(s, 0, COUNTER_BACKUP_HANDED), 1);
	sim_kill(s, 0);
	home = home_of(s);
	ck_assert_uint_eq(state_term(state_at(s, home)), 1);
	ck_assert_uint_eq(forward_at(s, 3 - home)->member, home);
	ck_assert_uint_eq(segment(s, 1, SIM_INSIDE, TCP_ACK, 10, 0), 1);
	ck_assert_uint_eq(segment(s, 2, SIM_INSIDE, TCP_ACK, 10, 0), 1);
	ck_assert_uint_eq(segment(s, 1, SIM_OUTSIDE, TCP_ACK, 10, 0), 1);
	ck_assert_uint_eq(s->n_query_notes, queries);
	wait_ms(s, 2000);
	ck_assert(held_at(s, 3 - home)); /* and it has a backup again */
	finish(s);
}
END_TEST

START_TEST(leaving_with_many)
{
	struct sim *s = begin(OPTIONS);

	s->params.loss = 100;
	open_many(s, MANY);
	wait_ms(s, 500);
	open_many(s, MANY); /* the same again: nothing new */
	ck_assert_uint_eq(flow_table_count(fw(s, 0)->states), MANY);
	leave(s, 0);
	ck_assert_uint_eq(flow_table_count(fw(s, 0)->states), 0);
	ck_assert_uint_eq(flow_table_count(fw(s, 1)->states) + flow_table_count(fw(s, 2)->states),
			  MANY);
	finish(s);
}
END_TEST

/* Every packet of the whole time arrives, whoever forwards it and how. */
static void no_gap(bool tunnel)
{
	struct sim *s = begin_with(OPTIONS, false, tunnel);
	uint32_t ids[SIM_IDS], n = 0;
	unsigned lost = 0;

	s->params.jitter_ns = 3 * SIM_MS; /* some hear of the new home later than others */
	open_by(s, 0);
	segment(s, 1, SIM_INSIDE, TCP_ACK, 10, 0);
	segment(s, 2, SIM_INSIDE, TCP_ACK, 10, 0);
	for (unsigned i = 0; i < 600; i++) {
		struct sim_tcp h = {.flags = TCP_ACK, .seq = seq[1], .ack = seq[0]};
		uint8_t ip[128];

		ids[n] = sim_packet_new(s, 0, SIM_INSIDE);
		sim_send(s, ids[n], 1 + i % 2, ip, sim_tcp(ip, &back, &h, ids[n], 0),
			 i * SIM_MS / 5);
		n++;
	}
	wait_ms(s, 20);
	leave(s, 0);
	sim_kill(s, 0);
	wait_ms(s, 200);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_uint_le(s->packets[ids[i]].delivered, 1);
		ck_assert_uint_le(s->packets[ids[i]].relayed, 2);
		lost += s->packets[ids[i]].delivered == 0;
	}
	ck_assert_uint_eq(lost, 0);
	finish(s);
}

START_TEST(leaving_without_a_gap)
{
	no_gap(_i);
}
END_TEST

/* Nobody takes it: nothing to wait for. */
START_TEST(leaving_alone)
{
	struct sim *s = begin(OPTIONS);

	open_by(s, 0);
	sim_kill(s, 1);
	sim_kill(s, 2);
	wait_ms(s, 2000);
	ck_assert_uint_eq(leave(s, 0), 0);
	finish(s);
}
END_TEST

/* The others do not hear it: it goes in time all the same. */
START_TEST(leaving_unheard)
{
	struct sim *s = begin(OPTIONS);
	uint64_t took;

	open_by(s, 0);
	s->params.loss = 1000;
	took = leave(s, 0);
	ck_assert_uint_ge(took, BACKUP_LEAVE_NS);
	ck_assert_uint_le(took, BACKUP_LEAVE_NS + 5 * SIM_MS);
	finish(s);
}
END_TEST

/* --- drained --------------------------------------------------------------------------------- */

static void drain(struct sim *s, unsigned m, bool on)
{
	ck_assert_int_eq(engine_drain_node(s->members[m].engine, on, s->now_ns, s->actions), 0);
	sim_carry_out(s, m);
}

START_TEST(drained_is_home_of_nothing)
{
	struct sim *s = begin(OPTIONS);
	unsigned home;

	backed_up(s);
	drain(s, 0, true);
	wait_ms(s, 30);
	ck_assert_ptr_null(state_at(s, 0));
	home = home_of(s);
	ck_assert_uint_eq(forward_at(s, 0)->member, home);
	ck_assert_uint_eq(segment(s, 0, SIM_INSIDE, TCP_ACK, 10, 0), 1); /* forwards */
	ck_assert_uint_eq(segment(s, 3 - home, SIM_INSIDE, TCP_ACK, 10, 0), 1);
	/* A flow that begins there later is handed over when it is answered. */
	open_many(s, 1);
	wait_ms(s, 60);
	ck_assert_uint_eq(flow_table_count(fw(s, 0)->states), 0);
	ck_assert_uint_eq(counted(s, 0, COUNTER_BACKUP_HANDED), 2);
	/* Nothing is backed up with it. */
	wait_ms(s, 1500);
	ck_assert_uint_eq(flow_table_count(fw(s, 0)->backup->flows), 0);
	sim_kill(s, 0);
	ck_assert_uint_eq(segment(s, 3 - home, SIM_INSIDE, TCP_ACK, 10, 0), 1);
	finish(s);
}
END_TEST

static void run_until(struct sim *s, unsigned m, enum counter c, uint64_t n)
{
	for (unsigned i = 0; counted(s, m, c) < n; i++) {
		ck_assert_uint_lt(i, 1000);
		sim_run(s, s->now_ns + SIM_MS / 100);
	}
}

/* The home delivers what a query carries, its confirm is lost, and the flow handed over to one that
 * did not hear the query when it was asked first. */
START_TEST(asked_of_the_home_before)
{
	struct sim *s = begin(OPTIONS);
	unsigned next = backed_up(s), asker = 3 - next;
	uint32_t id = sim_packet_new(s, 0, SIM_INSIDE);
	struct sim_tcp h = {.flags = TCP_ACK, .seq = seq[1], .ack = seq[0]};
	uint8_t ip[2048];

	s->members[next].group = 1;
	sim_send(s, id, asker, ip, sim_tcp(ip, &back, &h, id, 10), 0);
	run_until(s, asker, COUNTER_QUERY_SENT, 1);
	s->members[0].group = 1;
	run_until(s, 0, COUNTER_QUERY_DELIVERED, 1);
	s->members[next].group = s->members[0].group = 0;
	drain(s, 0, true);
	wait_ms(s, 100);
	ck_assert_uint_eq(home_of(s), next);
	ck_assert_uint_ge(counted(s, asker, COUNTER_QUERY_RETRIED), 1);
	ck_assert_uint_eq(counted(s, asker, COUNTER_QUERY_CONFIRMED), 1);
	ck_assert_uint_eq(s->packets[id].delivered, 1);
	seq[1] += 10;
	ck_assert_uint_eq(segment(s, asker, SIM_INSIDE, TCP_ACK, 10, 0), 1);
	finish(s);
}
END_TEST

/* It has been handed over, and the new home may be asked, too: who delivers it is the asker's to
 * say.
 */
START_TEST(asked_while_handing_over)
{
	struct sim *s = begin(OPTIONS);
	unsigned next = backed_up(s);

	drain(s, 0, true);
	s->members[next].group = 1; /* TAKEN is lost */
	if (_i)
		drain(s, 0, false);
	ck_assert_uint_eq(segment(s, 3 - next, SIM_INSIDE, TCP_ACK, 10, 0), 1);
	ck_assert_ptr_nonnull(state_at(s, next));
	ck_assert_ptr_nonnull(state_at(s, 0));
	ck_assert_uint_eq(counted(s, 0, COUNTER_QUERY_ANSWERED), 1);
	ck_assert_uint_eq(counted(s, 0, COUNTER_QUERY_DELIVERED), 0);
	s->members[next].group = 0;
	wait_ms(s, 1200);
	if (!_i)
		ck_assert_uint_eq(home_of(s), next);
	finish(s);
}
END_TEST

/* What the query carries may make it worth handing over, before the others have heard the query. */
START_TEST(asked_of_a_drained_one)
{
	struct sim *s = begin(OPTIONS);

	drain(s, 0, true);
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_SYN, 0, 0), 1);
	ck_assert_uint_eq(segment(s, 1, SIM_INSIDE, TCP_SYN | TCP_ACK, 0, 0), 1);
	ck_assert_uint_eq(counted(s, 1, COUNTER_QUERY_CONFIRMED), 1);
	ck_assert_uint_eq(counted(s, 0, COUNTER_QUERY_DELIVERED), 0);
	finish(s);
}
END_TEST

START_TEST(drained_gives_its_backups_away)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	drain(s, b, true);
	wait_ms(s, 200);
	ck_assert_uint_eq(state_at(s, 0)->backup, 3 - b + 1);
	ck_assert(held_at(s, 3 - b));
	ck_assert(!held_at(s, b));
	drain(s, b, false);
	wait_ms(s, 1500); /* and back, when it is refreshed */
	ck_assert_uint_eq(state_at(s, 0)->backup, b + 1);
	ck_assert(held_at(s, b));
	finish(s);
}
END_TEST

START_TEST(undrained_keeps_what_begins)
{
	struct sim *s = begin(OPTIONS);

	drain(s, 0, true);
	drain(s, 0, true); /* so it is */
	drain(s, 0, false);
	backed_up(s);
	ck_assert_uint_eq(home_of(s), 0);
	finish(s);
}
END_TEST

START_TEST(drain_refused)
{
	struct sim *s = begin("backup = false");

	ck_assert_int_eq(engine_drain_node(s->members[0].engine, true, s->now_ns, s->actions),
			 -EOPNOTSUPP);
	finish(s);
	s = begin(OPTIONS);
	sim_kill(s, 1);
	sim_kill(s, 2);
	wait_ms(s, 2000);
	ck_assert_int_eq(engine_drain_node(s->members[0].engine, true, s->now_ns, s->actions),
			 -ENETUNREACH);
	finish(s);
}
END_TEST

/* --- what the operator sees ------------------------------------------------------------------ */

static json_t *status(struct sim *s, unsigned m)
{
	json_t *list = view_status(s->members[m].engine, "1", s->now_ns);
	json_t *one = json_incref(json_array_get(list, 0));

	json_decref(list);
	return one;
}

static json_int_t backup_number(struct sim *s, unsigned m, const char *what)
{
	json_t *one = status(s, m);
	json_int_t n = json_integer_value(json_object_get(json_object_get(one, "backup"), what));

	json_decref(one);
	return n;
}

START_TEST(seen_by_the_operator)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);
	json_t *one = status(s, 0), *list = view_members(s->members[0].engine, s->now_ns);

	ck_assert(json_is_null(json_object_get(one, "drained_s")));
	json_decref(one);
	ck_assert_uint_eq(json_array_size(list), 3);
	for (unsigned m = 0; m < 3; m++) {
		one = json_array_get(list, m);
		ck_assert_str_eq(json_string_value(json_object_get(one, "config")), "same");
		ck_assert_int_eq(json_integer_value(json_object_get(one, "version")), 1);
	}
	json_decref(list);
	ck_assert_int_eq(backup_number(s, 0, "backed_up"), 1);
	ck_assert_int_eq(backup_number(s, b, "held"), 1);
	drain(s, 0, true);
	wait_ms(s, 1500);
	ck_assert_int_eq(backup_number(s, 0, "backed_up"), 0);
	ck_assert_int_eq(backup_number(s, 0, "handed_over"), 1);
	one = status(s, 0);
	ck_assert(json_real_value(json_object_get(one, "drained_s")) >= 1.5);
	ck_assert_str_eq(json_string_value(json_object_get(one, "health")), "ok");
	json_decref(one);
	list = view_drain(s->members[0].engine);
	ck_assert(json_is_true(json_object_get(json_array_get(list, 0), "drained")));
	json_decref(list);
	finish(s);
}
END_TEST

static const char *config_of(struct sim *s, unsigned by, unsigned of, char *word, size_t size)
{
	json_t *list = view_members(s->members[by].engine, s->now_ns);

	snprintf(word, size, "%s",
		 json_string_value(json_object_get(json_array_get(list, of), "config")));
	json_decref(list);
	return word;
}

START_TEST(another_configuration_is_seen)
{
	static const unsigned fewer[] = {0, 1};
	struct sim *s = begin(OPTIONS);
	char word[16];
	json_t *one;

	sim_reload(s, 1, fewer, 2, OPTIONS);
	wait_ms(s, 1000);
	ck_assert_str_eq(config_of(s, 0, 1, word, sizeof(word)), "differs");
	ck_assert_str_eq(config_of(s, 0, 2, word, sizeof(word)), "same");
	one = status(s, 0);
	ck_assert_str_eq(json_string_value(json_object_get(one, "health")), "degraded");
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(one, "problems"), 0)),
			 "member \"m1\" has another cluster configuration");
	json_decref(one);
	sim_kill(s, 2);
	sim_start(s, 2);
	ck_assert_str_eq(config_of(s, 2, 0, word, sizeof(word)), "unknown");
	finish(s);
}
END_TEST

/* --- ended while the old home was away ------------------------------------------------------- */

static void end_by(struct sim *s, unsigned m)
{
	ck_assert_uint_eq(segment(s, m, SIM_OUTSIDE, TCP_ACK | TCP_FIN, 0, 0), 1);
	ck_assert_uint_eq(segment(s, m, SIM_INSIDE, TCP_ACK | TCP_FIN, 0, 0), 1);
	ck_assert_uint_eq(segment(s, m, SIM_OUTSIDE, TCP_ACK, 0, 0), 1);
}

/* Taken over by its backup, which is returned, and ended there; member 0 is cut off. */
static unsigned ended_behind_a_cut(struct sim *s)
{
	unsigned b = backed_up(s);

	s->members[0].group = 1;
	wait_ms(s, 2200);
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_uint_eq(segment(s, b, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	end_by(s, b);
	wait_ms(s, 1500);
	ck_assert_ptr_null(state_at(s, b));
	ck_assert_uint_eq(fw(s, b)->backup->n_ended, 1);
	ck_assert_ptr_nonnull(state_at(s, 0));
	return b;
}

START_TEST(ended_while_away)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = ended_behind_a_cut(s);

	s->members[0].group = 0;
	wait_ms(s, 700);
	ck_assert_ptr_null(state_at(s, 0));
	ck_assert_ptr_null(forward_at(s, 0));
	wait_ms(s, 1500); /* told often enough */
	ck_assert_uint_eq(fw(s, b)->backup->n_ended, 0);
	for (unsigned m = 0; m < 3; m++)
		ck_assert_uint_eq(flow_table_count(fw(s, m)->backup->flows), 0);
	finish(s);
}
END_TEST

/* A message or two may be lost. */
START_TEST(ended_is_repeated)
{
	struct sim *s = begin(OPTIONS);

	ended_behind_a_cut(s);
	s->members[0].group = 0;
	wait_ms(s, 480); /* up again by the next hello; deaf for the first rounds from then on */
	s->params.loss = 700;
	wait_ms(s, 500);
	s->params.loss = 0;
	wait_ms(s, 1500);
	ck_assert_ptr_null(state_at(s, 0));
	finish(s);
}
END_TEST

/* The endpoints are in use again where the cut-off member is: that is another flow. */
START_TEST(ended_is_not_the_next_one)
{
	struct sim *s = begin(OPTIONS);

	ended_behind_a_cut(s);
	engine_flush(s->members[0].engine, ENGINE_FLUSH_FLOWS, s->now_ns, s->actions);
	sim_carry_out(s, 0);
	seq[0] += 100000;
	seq[1] += 100000;
	open_by(s, 0);
	s->members[0].group = 0;
	wait_ms(s, 2000);
	ck_assert_ptr_nonnull(state_at(s, 0));
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 100, 0), 1);
	finish(s);
}
END_TEST

/* Nobody is away: nobody has to be told. */
START_TEST(ended_for_nobody)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	engine_goodbye(s->members[0].engine, s->now_ns, s->actions);
	sim_carry_out(s, 0);
	sim_kill(s, 0);
	wait_ms(s, 100);
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_uint_eq(segment(s, b, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	end_by(s, b);
	wait_ms(s, 1500);
	ck_assert_uint_eq(fw(s, b)->backup->n_ended, 0);
	finish(s);
}
END_TEST

/* The link is lost as soon as somebody sees member 0 again. */
static void deaf_when_up(void *arg, unsigned from, const struct datagram *d)
{
	struct sim *s = arg;

	(void)d;
	if (from != 0 && channel_member(fw(s, from)->channel, 0)->up)
		s->params.loss = 1000;
}

/* What was taken over is told to a member that is back until it has heard. */
START_TEST(taken_is_repeated)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	s->members[0].group = 1;
	wait_ms(s, 2200);
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_ACK, 100, 0), 1);
	wait_ms(s, 100);
	s->arg = s;
	s->tap = deaf_when_up;
	s->members[0].group = 0;
	while (s->params.loss == 0)
		wait_ms(s, 1);
	wait_ms(s, 100); /* the first round is lost */
	ck_assert_ptr_nonnull(state_at(s, 0));
	s->tap = NULL;
	s->params.loss = 0;
	wait_ms(s, 600);
	ck_assert_ptr_null(state_at(s, 0));
	ck_assert_uint_eq(forward_at(s, 0)->member, b);
	finish(s);
}
END_TEST

/* --- members come and go --------------------------------------------------------------------- */

START_TEST(spread_anew)
{
	struct sim *s = begin(OPTIONS);
	unsigned before;

	open_many(s, MANY);
	wait_ms(s, 600);
	before = n_backed_with(s, 1);
	ck_assert_uint_gt(before, MANY / 4);
	ck_assert_uint_eq(n_backed_with(s, 2), MANY - before);
	sim_kill(s, 1);
	wait_ms(s, 2200);
	ck_assert_uint_eq(n_backed_with(s, 2), MANY);
	sim_start(s, 1); /* cold */
	wait_ms(s, 300);
	ck_assert_uint_eq(n_backed_with(s, 2), MANY); /* not all at once */
	wait_ms(s, 1500);
	ck_assert_uint_eq(n_backed_with(s, 1), before);
	ck_assert_uint_eq(flow_table_count(fw(s, 1)->backup->flows), before);
	ck_assert_uint_eq(flow_table_count(fw(s, 2)->backup->flows), MANY - before);
	finish(s);
}
END_TEST

static void reload(struct sim *s, const unsigned *members, unsigned n, const char *options)
{
	for (unsigned m = 0; m < 3; m++)
		if (!s->members[m].dead)
			sim_reload(s, m, members, n, options);
}

/* The same members in another order: nothing is told anew, and the right ones are meant. */
START_TEST(members_in_another_order)
{
	static const unsigned order[] = {2, 0, 1};
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s), at;

	reload(s, order, 3, OPTIONS);
	for (at = 0; order[at] != b; at++)
		;
	ck_assert_uint_eq(state_at(s, 0)->backup, at + 1);
	wait_ms(s, 500);
	ck_assert_uint_eq(counted(s, 0, COUNTER_BACKUP_SENT), 1);
	sim_kill(s, 0);
	wait_ms(s, 2000);
	ck_assert_uint_eq(segment(s, b, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_uint_eq(counted(s, b, COUNTER_BACKUP_PROMOTED), 1);
	finish(s);
}
END_TEST

/* The backup's member is taken out of the list: another one has the flow. */
START_TEST(backup_removed)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s), other = 3 - b, keep[] = {0, other};

	sim_kill(s, b);
	reload(s, keep, 2, OPTIONS);
	wait_ms(s, 100);
	ck_assert(held_at(s, other));
	sim_kill(s, 0);
	wait_ms(s, 2000);
	ck_assert_uint_eq(segment(s, other, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	finish(s);
}
END_TEST

/* The home is taken out of the list: its flows go on. */
START_TEST(home_removed)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s), other = 3 - b, keep[] = {other, b};

	sim_kill(s, 0);
	reload(s, keep, 2, OPTIONS);
	ck_assert_uint_eq(segment(s, other, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_uint_eq(home_of(s), b);
	finish(s);
}
END_TEST

START_TEST(member_added)
{
	static const unsigned all[] = {0, 1, 2};
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s), other = 3 - b, keep[] = {0, b};

	sim_kill(s, other);
	reload(s, keep, 2, OPTIONS);
	wait_ms(s, 100);
	ck_assert_uint_eq(state_at(s, 0)->backup, 2);
	sim_start(s, other);
	reload(s, all, 3, OPTIONS);
	ck_assert_uint_eq(state_at(s, 0)->backup, b + 1);
	wait_ms(s, 2000);
	ck_assert(held_at(s, b));
	ck_assert(!held_at(s, other));
	sim_kill(s, b); /* the new one is one of those that take backups */
	wait_ms(s, 2100);
	ck_assert(held_at(s, other));
	finish(s);
}
END_TEST

START_TEST(off_and_on)
{
	static const unsigned all[] = {0, 1, 2};
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	sim_reload(s, b, all, 3, "backup = false");
	ck_assert_ptr_null(fw(s, b)->backup);
	wait_ms(s, 300);
	ck_assert_uint_eq(state_at(s, 0)->backup, 3 - b + 1);
	sim_reload(s, b, all, 3, OPTIONS);
	wait_ms(s, 2500);
	ck_assert_uint_eq(state_at(s, 0)->backup, b + 1);
	ck_assert(held_at(s, b));
	/* Switched off at the home: nobody keeps what would grow old. */
	sim_reload(s, 0, all, 3, "backup = false");
	wait_ms(s, 100);
	sim_kill(s, 0);
	wait_ms(s, 2000);
	ck_assert_uint_eq(segment(s, b, SIM_INSIDE, TCP_ACK, 100, 0), 0);
	ck_assert_uint_eq(counted(s, b, COUNTER_BACKUP_PROMOTED), 0);
	finish(s);
}
END_TEST

/* The message that says so is lost: whoever still tells is refused. */
START_TEST(off_unheard)
{
	static const unsigned all[] = {0, 1, 2};
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	s->params.loss = 1000;
	sim_reload(s, b, all, 3, "backup = false");
	wait_ms(s, 5);
	s->params.loss = 0;
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 10, 0), 1);
	wait_ms(s, 1500);
	ck_assert_uint_eq(state_at(s, 0)->backup, 3 - b + 1);
	ck_assert(held_at(s, 3 - b));
	finish(s);
}
END_TEST

START_TEST(switched_on)
{
	static const unsigned all[] = {0, 1, 2};
	struct sim *s = begin("backup = false");
	unsigned b;

	open_by(s, 0);
	wait_ms(s, 1000);
	reload(s, all, 3, OPTIONS);
	wait_ms(s, 600);
	ck_assert_uint_ne(state_at(s, 0)->backup, 0);
	b = state_at(s, 0)->backup - 1u;
	ck_assert(held_at(s, b));
	sim_kill(s, 0);
	wait_ms(s, 2000);
	ck_assert_uint_eq(segment(s, b, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	finish(s);
}
END_TEST

/* --- flows that the kernel passes on --------------------------------------------------------- */

static void both_ways(struct sim *s, unsigned by, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_eq(segment(s, by, SIM_OUTSIDE, TCP_ACK, 100, 0), 1);
		ck_assert_uint_eq(segment(s, by, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	}
}

/* The backup is told what the kernel has seen; and a flow that was taken over is the kernel's
 * again, and counted in full. */
START_TEST(offloaded)
{
	struct sim *s = begin_with(OPTIONS "backup-tracking = strict", true, false);
	const struct backup_flow *e;
	uint64_t passed;
	unsigned b;

	open_by(s, 0);
	both_ways(s, 0, 20);
	ck_assert_uint_gt(sim_kernel_passed(s), 20);
	wait_ms(s, 1500);
	b = state_at(s, 0)->backup - 1u;
	e = flow_table_find(fw(s, b)->backup->flows, &key,
			    flow_table_hash(fw(s, b)->backup->flows, &key));
	ck_assert_uint_eq(e->end[0], seq[0]);
	ck_assert_uint_eq(e->end[1], seq[1]);
	sim_kill(s, 0);
	wait_ms(s, 2000);
	passed = sim_kernel_passed(s);
	both_ways(s, b, 20);
	ck_assert_uint_gt(sim_kernel_passed(s), passed + 20);
	wait_ms(s, 200);
	ck_assert_uint_eq(state_at(s, b)->packets[0], 20);
	ck_assert_uint_eq(state_at(s, b)->packets[1], 20);
	/* The window is what the handshake agreed on, whoever looks at it. */
	seq[0] += 1u << 24;
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_ACK, 100, 0), 0);
	ck_assert_uint_eq(engine_drops(s->members[b].engine)[DROP_TCP_WINDOW], 1);
	finish(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("backup leave");
	TCase *t = tcase_create("backup leave");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, leaving_hands_over);
	tcase_add_test(t, leaving_with_many);
	tcase_add_loop_test(t, leaving_without_a_gap, 0, 2);
	tcase_add_test(t, leaving_alone);
	tcase_add_test(t, leaving_unheard);
	tcase_add_test(t, drained_is_home_of_nothing);
	tcase_add_test(t, asked_of_the_home_before);
	tcase_add_loop_test(t, asked_while_handing_over, 0, 2);
	tcase_add_test(t, asked_of_a_drained_one);
	tcase_add_test(t, drained_gives_its_backups_away);
	tcase_add_test(t, undrained_keeps_what_begins);
	tcase_add_test(t, drain_refused);
	tcase_add_test(t, seen_by_the_operator);
	tcase_add_test(t, another_configuration_is_seen);
	tcase_add_test(t, ended_while_away);
	tcase_add_test(t, ended_is_repeated);
	tcase_add_test(t, ended_is_not_the_next_one);
	tcase_add_test(t, ended_for_nobody);
	tcase_add_test(t, taken_is_repeated);
	tcase_add_test(t, spread_anew);
	tcase_add_test(t, members_in_another_order);
	tcase_add_test(t, backup_removed);
	tcase_add_test(t, home_removed);
	tcase_add_test(t, member_added);
	tcase_add_test(t, off_and_on);
	tcase_add_test(t, off_unheard);
	tcase_add_test(t, switched_on);
	tcase_add_test(t, offloaded);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
