/*
 * check_backup.c - each rule of the backups, on three members of a simulated cluster.
 *
 * proves: FC-17
 */
#include "backup_rig.h"

START_TEST(told_when_answered_and_old)
{
	struct sim *s = begin(OPTIONS);
	unsigned b;

	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_SYN, 0, 0), 1);
	wait_ms(s, 1000);
	ck_assert_uint_eq(state_at(s, 0)->backup, 0); /* old, but nobody has answered */
	ck_assert_uint_eq(segment(s, 0, SIM_INSIDE, TCP_SYN | TCP_ACK, 0, 0), 1);
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 0, 0), 1);
	wait_ms(s, 30);
	b = state_at(s, 0)->backup - 1u;
	ck_assert(b == 1 || b == 2);
	ck_assert(held_at(s, b));
	ck_assert(!held_at(s, 3 - b));
	ck_assert_uint_eq(counted(s, 0, COUNTER_BACKUP_SENT), 1);
	ck_assert_uint_eq(fw(s, 0)->backup->n_backed, 1);
	wait_ms(s, 200);
	ck_assert_uint_eq(fw(s, 0)->backup->n_pending, 0); /* acknowledged */
	ck_assert_uint_eq(counted(s, 0, COUNTER_BACKUP_REPEATED), 0);
	finish(s);
}
END_TEST

START_TEST(not_before_its_delay)
{
	struct sim *s = begin(OPTIONS);

	open_by(s, 0);
	wait_ms(s, 330); /* 375 ms old */
	ck_assert_uint_eq(state_at(s, 0)->backup, 0);
	wait_ms(s, 65); /* 440 ms: the delay and two flushes */
	ck_assert_uint_ne(state_at(s, 0)->backup, 0);
	ck_assert(held_at(s, state_at(s, 0)->backup - 1u));
	finish(s);
}
END_TEST

START_TEST(refreshed_with_traffic_only)
{
	struct sim *s = begin(OPTIONS);

	backed_up(s);
	wait_ms(s, 2500);
	ck_assert_uint_eq(counted(s, 0, COUNTER_BACKUP_SENT), 1);
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 10, 0), 1);
	wait_ms(s, 1100);
	ck_assert_uint_eq(counted(s, 0, COUNTER_BACKUP_SENT), 2);
	finish(s);
}
END_TEST

START_TEST(ends_with_the_flow)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK | TCP_FIN, 0, 0), 1);
	ck_assert_uint_eq(segment(s, 0, SIM_INSIDE, TCP_ACK | TCP_FIN, 0, 0), 1);
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 0, 0), 1);
	wait_ms(s, 130);
	ck_assert(!held_at(s, b));
	ck_assert_uint_eq(counted(s, b, COUNTER_BACKUP_ENDED), 1);
	ck_assert_uint_eq(fw(s, 0)->backup->n_backed, 0);
	finish(s);
}
END_TEST

START_TEST(repeated_until_acknowledged)
{
	struct sim *s = begin(OPTIONS);

	open_by(s, 0);
	wait_ms(s, 300);
	s->params.loss = 1000;
	wait_ms(s, 150);
	s->params.loss = 0;
	ck_assert_uint_ne(state_at(s, 0)->backup, 0);
	ck_assert(!held_at(s, state_at(s, 0)->backup - 1u));
	wait_ms(s, 150);
	ck_assert(held_at(s, state_at(s, 0)->backup - 1u));
	ck_assert_uint_ge(counted(s, 0, COUNTER_BACKUP_REPEATED), 1);
	finish(s);
}
END_TEST

/* A packet that reaches the backup goes on at once, nobody is asked. */
START_TEST(taken_over_by_a_packet)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);
	uint64_t queries;

	sim_kill(s, 0);
	wait_ms(s, 2000);
	queries = s->n_query_notes;
	ck_assert_uint_eq(segment(s, b, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_uint_eq(s->n_query_notes, queries);
	ck_assert_uint_eq(state_term(state_at(s, b)), 1);
	ck_assert_uint_eq(state_rank(state_at(s, b)), STATE_RANK_COMPLETE + 1);
	ck_assert_uint_eq(counted(s, b, COUNTER_BACKUP_PROMOTED), 1);
	ck_assert(!held_at(s, b));
	wait_ms(s, 60); /* and finds a backup of its own */
	ck_assert_uint_eq(state_at(s, b)->backup, 3 - b + 1);
	ck_assert(held_at(s, 3 - b));
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_ACK, 100, 0), 1);
	finish(s);
}
END_TEST

START_TEST(taken_over_by_a_query)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	sim_kill(s, 0);
	wait_ms(s, 2000);
	ck_assert_uint_eq(segment(s, 3 - b, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_ptr_nonnull(state_at(s, b));
	ck_assert_ptr_null(state_at(s, 3 - b));
	ck_assert_uint_eq(counted(s, b, COUNTER_QUERY_DELIVERED), 0);
	ck_assert_uint_eq(segment(s, 3 - b, SIM_OUTSIDE, TCP_ACK, 100, 0), 1);
	finish(s);
}
END_TEST

/* The flow that nobody answered for while the home was not known dead does not stay refused. */
START_TEST(negative_cache_gives_way)
{
	struct sim *s = begin(OPTIONS "negative-ttl = \"1h\"");
	unsigned b = backed_up(s);

	sim_kill(s, 0);
	ck_assert_uint_eq(segment(s, 3 - b, SIM_INSIDE, TCP_ACK, 0, 0), 0);
	wait_ms(s, 400);
	ck_assert_uint_ge(counted(s, 3 - b, COUNTER_QUERY_TIMEOUT), 1);
	wait_ms(s, 1600);
	ck_assert_uint_eq(segment(s, 3 - b, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	finish(s);
}
END_TEST

/* Without backups, and queries go to those only that are up. Member 0 is cut off for a while;
 * member 1 gets a packet of its flow `before_ms` before it hears member 0 again, `wait` ms after
 * the cut has healed. Returns how often the packet was delivered, and in `wait` the time from
 * healing to hearing when that was 0. */
static unsigned asked_while_cut_off(uint64_t before_ms, uint64_t *wait)
{
	struct sim *s = begin_sim(&(struct sim_params){
		.unicast = true, .cluster = "backup = false negative-ttl = \"1h\""});
	uint64_t now = 0;
	unsigned n = 0;
	uint32_t id;
	uint8_t ip[256];
	struct sim_tcp h = {.flags = TCP_ACK};

	open_by(s, 0);
	s->members[0].group = 1;
	wait_ms(s, 2200);
	ck_assert(!channel_member(fw(s, 1)->channel, 0)->up);
	id = sim_packet_new(s, 0, SIM_OUTSIDE);
	h.seq = seq[0];
	h.ack = seq[1];
	if (*wait == 0) {
		s->members[0].group = 0;
		for (; !channel_member(fw(s, 1)->channel, 0)->up; now++)
			wait_ms(s, 1);
		*wait = now;
	} else {
		size_t size = sim_tcp(ip, &there, &h, id, 0);
		if (before_ms > *wait)
			sim_send(s, id, 1, ip, size, 0);
		wait_ms(s, before_ms > *wait ? before_ms - *wait : 0);
		s->members[0].group = 0;
		if (before_ms <= *wait)
			sim_send(s, id, 1, ip, size, (*wait - before_ms) * SIM_MS);
		wait_ms(s, 2000);
		n = s->packets[id].delivered;
	}
	finish(s);
	return n;
}

/* Who is heard again is asked by the query that is still open.
 * proves: FC-4 */
START_TEST(asked_again_when_heard_again)
{
	uint64_t wait = 0;

	asked_while_cut_off(0, &wait);
	ck_assert_uint_gt(wait, 0);
	ck_assert_uint_eq(asked_while_cut_off(200, &wait), 1);
}
END_TEST

START_TEST(a_handshake_is_not_taken_over)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	sim_kill(s, 0);
	wait_ms(s, 2000);
	ck_assert_uint_eq(segment(s, b, SIM_INSIDE, TCP_SYN | TCP_ACK, 0, 0), 0);
	ck_assert_ptr_null(state_at(s, b));
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_SYN, 0, 0), 1);
	ck_assert_uint_eq(state_term(state_at(s, b)), 0); /* a new flow, by the rules */
	ck_assert(!held_at(s, b));
	ck_assert_uint_eq(counted(s, b, COUNTER_BACKUP_PROMOTED), 0);
	finish(s);
}
END_TEST

START_TEST(leaving_is_at_once)
{
	struct sim *s = begin(OPTIONS);
	unsigned b;

	open_by(s, 0); /* not old enough: told in the moment of leaving */
	engine_goodbye(s->members[0].engine, s->now_ns, s->actions);
	ck_assert_uint_ne(state_at(s, 0)->backup, 0);
	b = state_at(s, 0)->backup - 1u;
	s->params.jitter_ns = 0;
	sim_carry_out(s, 0);
	sim_kill(s, 0);
	wait_ms(s, 5);
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_uint_eq(counted(s, b, COUNTER_BACKUP_PROMOTED), 1);
	finish(s);
}
END_TEST

START_TEST(restart_is_a_loss)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	sim_kill(s, 0);
	sim_start(s, 0);
	wait_ms(s, 1000);
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_uint_eq(counted(s, b, COUNTER_BACKUP_PROMOTED), 1);
	ck_assert_uint_eq(segment(s, 0, SIM_INSIDE, TCP_ACK, 100, 0), 1); /* the newcomer asks */
	ck_assert_ptr_null(state_at(s, 0));
	finish(s);
}
END_TEST

/* It was only cut off, and comes back with what it had: the flow stays where it is. */
START_TEST(returning_takes_nothing_away)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);
	struct flow_table *forwards = fw(s, 0)->forwards;
	struct forward *f;

	s->members[0].group = 1;
	wait_ms(s, 2200);
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_ptr_nonnull(state_at(s, 0));
	s->members[0].group = 0;
	wait_ms(s, 1000);
	ck_assert_ptr_null(state_at(s, 0));
	ck_assert_uint_eq(counted(s, 0, COUNTER_BACKUP_TAKEN), 1);
	f = flow_table_find(forwards, &key, flow_table_hash(forwards, &key));
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(f->member, b);
	ck_assert_uint_eq(segment(s, 0, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_uint_eq(state_term(state_at(s, b)), 1);
	finish(s);
}
END_TEST

/* What lies before what the backup knew. */
static unsigned old_segment(const char *options, unsigned *by)
{
	struct sim *s = begin(options);
	unsigned n;

	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_SYN, 0, 0), 1);
	ck_assert_uint_eq(segment(s, 0, SIM_INSIDE, TCP_SYN | TCP_ACK, 0, 0), 1);
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 0, 0), 1);
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 1000, 0), 1);
	ck_assert_uint_eq(segment(s, 0, SIM_INSIDE, TCP_ACK, 0, 0), 1);
	wait_ms(s, 500);
	*by = state_at(s, 0)->backup - 1u;
	sim_kill(s, 0);
	wait_ms(s, 2000);
	n = segment(s, *by, SIM_OUTSIDE, TCP_ACK, 10, 500);
	ck_assert_uint_eq(engine_drops(s->members[*by].engine)[DROP_TCP_WINDOW], n ? 0 : 1);
	ck_assert_uint_eq(segment(s, *by, SIM_OUTSIDE, TCP_ACK, 10, 0), 1);
	ck_assert_uint_eq(segment(s, *by, SIM_INSIDE, TCP_ACK, 10, 0), 1);
	finish(s);
	return n;
}

START_TEST(tracking)
{
	unsigned by;

	ck_assert_uint_eq(old_segment(OPTIONS "backup-tracking = strict", &by), 0);
	ck_assert_uint_eq(old_segment(OPTIONS "backup-tracking = loose", &by), 1);
}
END_TEST

START_TEST(resets_after_it)
{
	struct sim *s = begin(OPTIONS "backup-tracking = strict");
	unsigned b = backed_up(s);

	sim_kill(s, 0);
	wait_ms(s, 2000);
	seq[0] += 5000; /* further than the backup knew: nobody can tell that it is meant */
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_RST, 0, 0), 0);
	ck_assert_uint_eq(engine_drops(s->members[b].engine)[DROP_TCP_RESET], 1);
	seq[0] -= 5000;
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_RST, 0, 0), 1);
	ck_assert(state_is_over(state_at(s, b)));
	finish(s);
}
END_TEST

START_TEST(flushed_flows_are_void)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	engine_flush(s->members[0].engine, ENGINE_FLUSH_FLOWS, s->now_ns, s->actions);
	sim_carry_out(s, 0);
	wait_ms(s, 200);
	sim_kill(s, 0);
	wait_ms(s, 2000);
	ck_assert_uint_eq(segment(s, b, SIM_OUTSIDE, TCP_ACK, 10, 0), 0);
	ck_assert_uint_eq(counted(s, b, COUNTER_BACKUP_PROMOTED), 0);
	finish(s);
}
END_TEST

/* When the backup is lost another member takes its place. */
START_TEST(another_backup)
{
	struct sim *s = begin(OPTIONS);
	unsigned b = backed_up(s);

	sim_kill(s, b);
	wait_ms(s, 2100);
	ck_assert_uint_eq(state_at(s, 0)->backup, 3 - b + 1);
	ck_assert(held_at(s, 3 - b));
	sim_start(s, b);
	wait_ms(s, 2000); /* the best member for it is back: it moves when it is refreshed */
	ck_assert_uint_eq(state_at(s, 0)->backup, b + 1);
	ck_assert(held_at(s, b));
	ck_assert(!held_at(s, 3 - b));
	finish(s);
}
END_TEST

/* A connection with two homes, both with the same backup, which is returned: each saw the handshake
 * while members did not hear each other. `first` told of it before `last` did. */
static unsigned two_homes(struct sim **sim, unsigned *first, unsigned *last)
{
	for (unsigned b = 0; b < 3; b++) {
		struct sim *s = begin(OPTIONS);
		unsigned x = (b + 1) % 3, y = (b + 2) % 3;

		s->params.loss = 1000;
		open_by(s, x);
		seq[0] = 1000;
		seq[1] = 5000;
		open_by(s, y);
		s->params.loss = 0;
		wait_ms(s, 600);
		ck_assert(state_at(s, x) && state_at(s, y));
		if (state_at(s, x)->backup == b + 1 && state_at(s, y)->backup == b + 1) {
			*sim = s;
			*first = x;
			*last = y;
			return b;
		}
		finish(s);
	}
	ck_abort_msg("no member is best for both");
}

/* One of the two is reset; what `b` holds is the other one's from now on, and as good. */
static void ends_at_one_of_two(bool at_last, void (*meanwhile)(struct sim *s, unsigned stays),
			       bool lost_then)
{
	unsigned first, last, b, ends, stays;
	struct backup_flow *e;
	struct sim *s;

	b = two_homes(&s, &first, &last);
	ends = at_last ? last : first;
	stays = at_last ? first : last;
	if (meanwhile)
		meanwhile(s, stays);
	ck_assert_uint_eq(segment(s, ends, SIM_OUTSIDE, TCP_RST | TCP_ACK, 0, 0), 1);
	wait_ms(s, 200);
	e = held_entry(s, b);
	ck_assert_ptr_nonnull(e);
	ck_assert_uint_eq(fw(s, b)->params->members[e->member].id, fw(s, stays)->params->node_id);
	if (lost_then) {
		sim_kill(s, stays);
		wait_ms(s, 2000);
	}
	ck_assert_uint_eq(segment(s, b, SIM_INSIDE, TCP_ACK, 100, 0), 1);
	ck_assert_uint_eq(counted(s, b, COUNTER_BACKUP_PROMOTED), 1);
	finish(s);
}

static void in_another_order(struct sim *s, unsigned stays)
{
	static const unsigned order[] = {2, 0, 1};

	(void)stays;
	for (unsigned m = 0; m < 3; m++)
		sim_reload(s, m, order, 3, OPTIONS);
}

static void starts_again(struct sim *s, unsigned stays)
{
	sim_kill(s, stays);
	sim_start(s, stays);
	wait_ms(s, 1000);
}

START_TEST(two_homes_with_one_backup)
{
	ends_at_one_of_two(true, NULL, true);
	ends_at_one_of_two(false, NULL, true);
	ends_at_one_of_two(true, in_another_order, true);
	ends_at_one_of_two(false, in_another_order, true);
	ends_at_one_of_two(true, starts_again, false);
}
END_TEST

/* All that the other one has told is void: nothing is left when the one ends. */
START_TEST(two_homes_of_which_one_is_void)
{
	unsigned first, last, b;
	struct sim *s;

	b = two_homes(&s, &first, &last);
	engine_flush(s->members[first].engine, ENGINE_FLUSH_FLOWS, s->now_ns, s->actions);
	sim_carry_out(s, first);
	wait_ms(s, 300);
	ck_assert(held_at(s, b));
	ck_assert_uint_eq(segment(s, last, SIM_OUTSIDE, TCP_RST | TCP_ACK, 0, 0), 1);
	wait_ms(s, 200);
	ck_assert(!held_at(s, b));
	finish(s);
}
END_TEST

/* --- standing still ----------------------------------------------------------------------------
 */

/* The home reads the query when its backup has taken the flow over and has had the packet. */
START_TEST(stood_still_while_asked)
{
	struct sim *s = begin(OPTIONS);
	unsigned next = backed_up(s);
	uint32_t id;

	sim_stall(s, 0, 3000 * SIM_MS);
	wait_ms(s, 2000);
	id = s->n_packets;
	ck_assert_uint_eq(segment(s, 3 - next, SIM_INSIDE, TCP_ACK, 10, 0), 1);
	wait_ms(s, 1500);
	ck_assert_uint_eq(counted(s, 0, COUNTER_QUERY_RECEIVED), 1);
	ck_assert_uint_eq(counted(s, 0, COUNTER_QUERY_DELIVERED), 0);
	ck_assert_uint_eq(s->packets[id].delivered, 1);
	finish(s);
}
END_TEST

/* What it has asked has been answered meanwhile: its home was not silent, but this node deaf. */
START_TEST(stood_still_while_asking)
{
	struct sim *s = begin(OPTIONS);
	unsigned next = backed_up(s);
	uint32_t id = sim_packet_new(s, 0, SIM_INSIDE);
	struct sim_tcp h = {.flags = TCP_ACK, .seq = seq[1], .ack = seq[0]};
	uint8_t ip[2048];

	sim_send(s, id, next, ip, sim_tcp(ip, &back, &h, id, 10), 0);
	for (uint64_t last = 3; counted(s, next, COUNTER_QUERY_RETRIED) < last;) {
		s->members[0].group = counted(s, next, COUNTER_QUERY_RETRIED) < last - 1;
		sim_run(s, s->now_ns + SIM_MS / 100);
	}
	sim_stall(s, next, 1000 * SIM_MS);
	wait_ms(s, 999);
	for (unsigned i = 0; i < 8; i++) { /* it wakes, and does first what is due */
		engine_tick(s->members[next].engine, s->now_ns, s->actions);
		sim_carry_out(s, next);
	}
	ck_assert_uint_eq(counted(s, next, COUNTER_QUERY_TIMEOUT), 0);
	wait_ms(s, 100);
	ck_assert_ptr_null(state_at(s, next));
	ck_assert_ptr_nonnull(state_at(s, 0));
	ck_assert_uint_eq(counted(s, next, COUNTER_QUERY_CONFIRMED), 1);
	ck_assert_uint_eq(s->packets[id].delivered, 1);
	finish(s);
}
END_TEST

START_TEST(switched_off)
{
	struct sim *s = begin("backup = false");

	open_by(s, 0);
	wait_ms(s, 2000);
	for (unsigned m = 0; m < 3; m++) {
		ck_assert_ptr_null(fw(s, m)->backup);
		ck_assert_uint_eq(counted(s, m, COUNTER_BACKUP_SENT), 0);
	}
	sim_kill(s, 0);
	wait_ms(s, 2000);
	ck_assert_uint_eq(segment(s, 1, SIM_OUTSIDE, TCP_ACK, 10, 0), 0);
	finish(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("backup");
	TCase *t = tcase_create("backup");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, told_when_answered_and_old);
	tcase_add_test(t, not_before_its_delay);
	tcase_add_test(t, refreshed_with_traffic_only);
	tcase_add_test(t, ends_with_the_flow);
	tcase_add_test(t, repeated_until_acknowledged);
	tcase_add_test(t, taken_over_by_a_packet);
	tcase_add_test(t, taken_over_by_a_query);
	tcase_add_test(t, negative_cache_gives_way);
	tcase_add_test(t, asked_again_when_heard_again);
	tcase_add_test(t, a_handshake_is_not_taken_over);
	tcase_add_test(t, leaving_is_at_once);
	tcase_add_test(t, restart_is_a_loss);
	tcase_add_test(t, returning_takes_nothing_away);
	tcase_add_test(t, tracking);
	tcase_add_test(t, resets_after_it);
	tcase_add_test(t, flushed_flows_are_void);
	tcase_add_test(t, another_backup);
	tcase_add_test(t, two_homes_with_one_backup);
	tcase_add_test(t, two_homes_of_which_one_is_void);
	tcase_add_test(t, stood_still_while_asked);
	tcase_add_test(t, stood_still_while_asking);
	tcase_add_test(t, switched_off);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
