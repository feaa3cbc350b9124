/*
 * check_handover.c - members of a simulated cluster are restarted with their tables: their flows go
 * on, for the others nothing has happened; tables that are damaged, foreign or stale are refused,
 * and those of other versions read.
 *
 * proves: FC-17 HD-23
 */
#include <errno.h>

#include "../sim/sim.h"
#include "handover.h"

#define OPTIONS "backup = true backup-delay = \"400ms\" backup-refresh = \"1s\" "
#define RULES "rule \"first\" { action = \"drop\" protocol = {\"udp\"} }"
#define FLOWS 900
#define GOLDEN "tests/unit/data/tables-1"

static struct pkt_tuple there, back;
static struct flow_key key;
static uint32_t seq[2];

static struct sim *begin(const char *rules)
{
	struct sim_params p = {.seed = 11,
			       .n_members = 3,
			       .jitter_ns = SIM_MS,
			       .query_timeout_ms = 20,
			       .forward_ms = 5000,
			       .cluster = OPTIONS,
			       .rules = rules};
	struct sim *s = sim_new(&p);
	uint8_t in[4] = {10, 1, 1, 100}, out[4] = {192, 0, 2, 100};

	there = (struct pkt_tuple){.src = ipaddr_v4(in),
				   .dst = ipaddr_v4(out),
				   .sport = 1234,
				   .dport = 80,
				   .proto = IPPROTO_NUM_TCP};
	back = (struct pkt_tuple){.src = there.dst,
				  .dst = there.src,
				  .sport = 80,
				  .dport = 1234,
				  .proto = IPPROTO_NUM_TCP};
	flow_key_make(&key, &there, 4);
	seq[0] = 1000;
	seq[1] = 5000;
	sim_run(s, s->now_ns + 2500 * SIM_MS);
	return s;
}

static void wait_ms(struct sim *s, uint64_t ms)
{
	sim_run(s, s->now_ns + ms * SIM_MS);
}

/* A segment; delivered how often within 15 ms. */
static unsigned segment(struct sim *s, unsigned by, enum sim_side to, uint8_t flags, unsigned len)
{
	unsigned from = to == SIM_OUTSIDE ? 0 : 1;
	uint32_t id = sim_packet_new(s, 0, to);
	struct sim_tcp h = {.flags = flags, .seq = seq[from]};
	uint8_t ip[2048];

	h.ack = flags & TCP_ACK ? seq[!from] : 0;
	sim_send(s, id, by, ip, sim_tcp(ip, from ? &back : &there, &h, id, len), 0);
	wait_ms(s, 15);
	seq[from] += len + (flags & (TCP_SYN | TCP_FIN) ? 1u : 0u);
	return s->packets[id].delivered;
}

static void open_by(struct sim *s, unsigned home)
{
	ck_assert_uint_eq(segment(s, home, SIM_OUTSIDE, TCP_SYN, 0), 1);
	ck_assert_uint_eq(segment(s, home, SIM_INSIDE, TCP_SYN | TCP_ACK, 0), 1);
	ck_assert_uint_eq(segment(s, home, SIM_OUTSIDE, TCP_ACK, 0), 1);
}

static struct firewall *fw(struct sim *s, unsigned m)
{
	return &s->members[m].engine->firewall;
}

static struct state *state_at(struct sim *s, unsigned m)
{
	struct flow_table *t = fw(s, m)->states;

	return flow_table_find(t, &key, flow_table_hash(t, &key));
}

static uint64_t counted(struct sim *s, unsigned m, enum counter c)
{
	return engine_counters(s->members[m].engine)[c];
}

static struct tables save(struct sim *s, unsigned m)
{
	struct handover_place place = place_at(s->now_ns);
	struct tables t = {0};

	engine_settle(s->members[m].engine, s->now_ns, s->actions);
	sim_carry_out(s, m);
	ck_assert_int_eq(
		engine_save(s->members[m].engine, s->now_ns, s->actions, &place, tables_put, &t),
		0);
	sim_carry_out(s, m);
	return t;
}

static int restore(struct sim *s, unsigned m, const struct tables *t, struct handover_report *r)
{
	struct handover_place place = place_at(s->now_ns);
	const char *why;
	int rc = engine_restore(s->members[m].engine, s->now_ns, s->actions, &place, t->data,
				t->size, r, &why);

	ck_assert((rc < 0) == (why != NULL));
	sim_carry_out(s, m);
	return rc;
}

/* The member's next process, `gap_ms` later. */
static void restart(struct sim *s, unsigned m, uint64_t gap_ms)
{
	struct tables t = save(s, m);
	struct handover_report r;

	sim_kill(s, m);
	wait_ms(s, gap_ms);
	sim_start(s, m);
	ck_assert_int_eq(restore(s, m, &t, &r), 0);
	ck_assert_uint_eq(r.unknown, 0);
	for (unsigned i = 0; i < HANDOVER_TYPES; i++)
		ck_assert_uint_eq(r.lost[i], 0);
	ck_assert_uint_eq(r.elapsed_ns, gap_ms * SIM_MS);
	tables_free(&t);
	wait_ms(s, 5);
}

static uint32_t generation(struct sim *s, unsigned of, unsigned at)
{
	return channel_member(s->members[at].engine->channel, of)->generation;
}

/* A flow of member 0, with its backup, which is returned. */
static unsigned backed_up(struct sim *s)
{
	open_by(s, 0);
	wait_ms(s, 500);
	ck_assert_uint_ne(state_at(s, 0)->backup, 0);
	return state_at(s, 0)->backup - 1u;
}

static void finish(struct sim *s)
{
	char why[128];

	ck_assert_msg(sim_balanced(s, why, sizeof(why)), "%s", why);
	sim_free(s);
}

START_TEST(a_home_goes_on)
{
	struct sim *s = begin(RULES);
	unsigned backup = backed_up(s), other = 3 - backup;
	uint32_t seen[2] = {generation(s, 0, 1), generation(s, 0, 2)};
	uint64_t asked;
	struct state was;

	ck_assert_uint_eq(segment(s, other, SIM_INSIDE, TCP_ACK, 700), 1);
	asked = counted(s, other, COUNTER_QUERY_SENT);
	was = *state_at(s, 0);
	restart(s, 0, 150);
	ck_assert_ptr_nonnull(state_at(s, 0));
	ck_assert_mem_eq(&state_at(s, 0)->tcp, &was.tcp, sizeof(was.tcp));
	ck_assert_uint_eq(state_at(s, 0)->packets[0], was.packets[0]);
	ck_assert_uint_eq(state_bytes(state_at(s, 0), 1), state_bytes(&was, 1));
	ck_assert_uint_eq(state_at(s, 0)->created_ms, was.created_ms);
	ck_assert_uint_eq(state_at(s, 0)->flags, was.flags);
	ck_assert_uint_eq(state_at(s, 0)->rule, was.rule);
	ck_assert_uint_eq(state_at(s, 0)->backup, was.backup);
	ck_assert_uint_eq(state_at(s, 0)->askers, was.askers);
	ck_assert_uint_eq(fw(s, 0)->backup->n_backed, 1);
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 100), 1);
	ck_assert_uint_eq(segment(s, other, SIM_INSIDE, TCP_ACK, 100), 1);
	ck_assert_uint_eq(counted(s, other, COUNTER_QUERY_SENT), asked);
	wait_ms(s, 3000);
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 100), 1);
	for (unsigned m = 1; m < 3; m++) {
		ck_assert_uint_eq(generation(s, 0, m), seen[m - 1]);
		ck_assert_uint_eq(counted(s, m, COUNTER_BACKUP_PROMOTED), 0);
	}
	finish(s);
}
END_TEST

START_TEST(an_asker_goes_on)
{
	struct sim *s = begin(RULES);

	open_by(s, 0);
	ck_assert_uint_eq(segment(s, 1, SIM_INSIDE, TCP_ACK, 10), 1);
	restart(s, 1, 100);
	ck_assert_uint_eq(segment(s, 1, SIM_INSIDE, TCP_ACK, 10), 1);
	ck_assert_uint_eq(counted(s, 1, COUNTER_QUERY_SENT), 0);
	ck_assert_uint_eq(counted(s, 1, COUNTER_FORWARD_HIT), 1);
	finish(s);
}
END_TEST

START_TEST(a_backup_goes_on)
{
	struct sim *s = begin(RULES);
	unsigned backup = backed_up(s);

	state_at(s, 0)->tcp.scale[0] = 7; /* as if that had been in the SYNs */
	state_at(s, 0)->tcp.scale[1] = 9;
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 10), 1);
	wait_ms(s, 2500); /* refreshed */
	restart(s, backup, 100);
	sim_kill(s, 0);
	wait_ms(s, 1500);
	ck_assert_uint_eq(segment(s, backup, SIM_OUTSIDE, TCP_ACK, 10), 1);
	ck_assert_uint_eq(state_at(s, backup)->tcp.scale[0], 7);
	ck_assert_uint_eq(state_at(s, backup)->tcp.scale[1], 9);
	finish(s);

	s = begin(RULES);
	backup = backed_up(s);
	restart(s, backup, 100);
	wait_ms(s, 1500);
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 10), 1);
	sim_kill(s, 0);
	wait_ms(s, 1500);
	ck_assert_uint_eq(segment(s, backup, SIM_OUTSIDE, TCP_ACK, 10), 1);
	ck_assert_uint_eq(counted(s, backup, COUNTER_BACKUP_PROMOTED), 1);
	finish(s);
}
END_TEST

/* Nonces: of one boot id no counter is used twice, not even when one and the same tables are read
 * again and again. */
static uint64_t last_counter;
static uint8_t boot_seen[WIRE_BOOT_ID];
static unsigned n_seen;

static void watch(void *arg, unsigned from, const struct datagram *d)
{
	struct wire_header h;

	(void)arg;
	if (from != 0)
		return;
	ck_assert_int_eq(wire_get_header(&h, d->data, d->size), WIRE_OK);
	if (n_seen++ > 0 && memcmp(h.boot_id, boot_seen, WIRE_BOOT_ID) == 0)
		ck_assert_uint_gt(h.counter, last_counter);
	memcpy(boot_seen, h.boot_id, WIRE_BOOT_ID);
	last_counter = h.counter;
}

START_TEST(no_nonce_twice)
{
	struct sim *s = begin(RULES);
	struct handover_report r;
	uint8_t before[WIRE_BOOT_ID];
	struct tables t;

	n_seen = 0;
	s->tap = watch;
	open_by(s, 0);
	wait_ms(s, 1100); /* a hello at least */
	t = save(s, 0);
	memcpy(before, boot_seen, sizeof(before));
	for (unsigned i = 0; i < 5; i++) {
		sim_kill(s, 0);
		wait_ms(s, 1);
		sim_start(s, 0);
		ck_assert_int_eq(restore(s, 0, &t, &r), 0);
		wait_ms(s, 300);
		ck_assert_mem_eq(boot_seen, before, sizeof(before));
		ck_assert_uint_gt(last_counter, 1ULL << 32);
		ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 10), 1);
	}
	tables_free(&t);
	finish(s);
}
END_TEST

/* A recording of what was accepted before the restart is refused after it. */
static struct {
	uint8_t data[2048];
	size_t size;
} recorded;

static void record(void *arg, unsigned from, const struct datagram *d)
{
	(void)arg;
	if (from != 1 || !d->multicast || recorded.size)
		return;
	memcpy(recorded.data, d->data, d->size);
	recorded.size = d->size;
}

START_TEST(a_recording_is_refused)
{
	struct sim *s = begin(RULES);
	uint64_t replays;

	recorded.size = 0;
	s->tap = record;
	wait_ms(s, 1000);
	ck_assert_uint_gt(recorded.size, 0);
	restart(s, 0, 50);
	replays = counted(s, 0, COUNTER_MSG_REPLAY);
	sim_inject(s, 1, 0, recorded.data, recorded.size, true);
	wait_ms(s, 10);
	ck_assert_uint_eq(counted(s, 0, COUNTER_MSG_REPLAY), replays + 1);
	finish(s);
}
END_TEST

START_TEST(refused)
{
	struct sim *s = begin(RULES);
	struct handover_report r;
	struct tables t, copy;

	open_by(s, 0);
	t = save(s, 0);
	ck_assert_int_eq(restore(s, 1, &t, &r), -EXDEV);
	sim_kill(s, 0);
	wait_ms(s, 20);
	sim_start(s, 0);
	copy = tables_cut(&t, t.size - TABLES_SUM);
	copy.data[9]++; /* major */
	tables_seal(&copy);
	ck_assert_int_eq(restore(s, 0, &copy, &r), -EPROTONOSUPPORT);
	copy.data[9]--;
	copy.data[24] ^= 1; /* machine */
	tables_seal(&copy);
	ck_assert_int_eq(restore(s, 0, &copy, &r), -ESTALE);
	copy.data[24] ^= 1;
	copy.data[40]++; /* of the future */
	tables_seal(&copy);
	ck_assert_int_eq(restore(s, 0, &copy, &r), -ESTALE);
	copy.data[40]--;
	copy.data[0] ^= 1;
	tables_seal(&copy);
	ck_assert_int_eq(restore(s, 0, &copy, &r), -EBADMSG);
	tables_free(&copy);
	for (size_t i = 0; i < t.size; i++) {
		t.data[i] ^= 0x10;
		ck_assert_int_lt(restore(s, 0, &t, &r), 0);
		t.data[i] ^= 0x10;
	}
	ck_assert_ptr_null(state_at(s, 0));
	ck_assert_uint_eq(counted(s, 0, COUNTER_RESTART_REFUSED), 4 + t.size);
	wait_ms(s, 11000);
	ck_assert_int_eq(restore(s, 0, &t, &r), -ESTALE);
	ck_assert_ptr_null(state_at(s, 0));
	tables_free(&t);
	finish(s);
}
END_TEST

/* With a sum that is right, whatever comes: no byte is read past the end, and the engine works. */
START_TEST(every_prefix_and_noise)
{
	const unsigned round = (unsigned)_i, m = round % 3;
	struct sim *s = begin(RULES);
	struct rng rng = {.key = {1, round}};
	struct handover_report r;
	struct tables t, copy;

	backed_up(s);
	ck_assert_uint_eq(segment(s, 1, SIM_INSIDE, TCP_ACK, 10), 1);
	t = save(s, m);
	for (unsigned n = 0; n < 60; n++) {
		size_t size = TABLES_HEAD +
			      (round * 60 + n) * (t.size - TABLES_SUM - TABLES_HEAD) / (60 * 4);

		copy = tables_cut(&t, round < 4 ? size : t.size - TABLES_SUM);
		for (unsigned k = 0; round >= 4 && k < 1 + n % 5; k++)
			copy.data[TABLES_HEAD +
				  rng_u64(&rng) % (copy.size - TABLES_SUM - TABLES_HEAD)] ^=
				(uint8_t)(1u << rng_u64(&rng) % 8);
		tables_seal(&copy);
		sim_kill(s, m);
		sim_start(s, m);
		(void)restore(s, m, &copy, &r);
		wait_ms(s, 5);
		(void)segment(s, m, SIM_OUTSIDE, TCP_ACK, 10);
		tables_free(&copy);
	}
	tables_free(&t);
	sim_free(s);
}
END_TEST

START_TEST(a_later_version)
{
	struct sim *s = begin(RULES);
	struct handover_report r;
	struct tables t, later;

	backed_up(s);
	t = save(s, 0);
	later = tables_of_later(&t);
	sim_kill(s, 0);
	wait_ms(s, 50);
	sim_start(s, 0);
	ck_assert_int_eq(restore(s, 0, &later, &r), 0);
	ck_assert_uint_eq(r.unknown, 1);
	ck_assert_uint_eq(r.kept[HANDOVER_STATES], 1);
	ck_assert_uint_eq(segment(s, 0, SIM_OUTSIDE, TCP_ACK, 10), 1);
	tables_free(&later);
	tables_free(&t);
	finish(s);
}
END_TEST

/* The bytes that the first version wrote. `HANDOVER_GOLDEN=1` writes them, once for ever. */
START_TEST(the_first_version)
{
	struct sim *s = begin(RULES);
	const char *top = getenv("top_srcdir");
	char path[512];
	struct handover_report r;
	struct tables t = {.data = malloc(65536)};
	const char *why;
	FILE *file;

	snprintf(path, sizeof(path), "%s/" GOLDEN, top ? top : ".");
	if (getenv("HANDOVER_GOLDEN")) {
		struct tables now;

		backed_up(s);
		ck_assert_uint_eq(segment(s, 1, SIM_INSIDE, TCP_ACK, 10), 1);
		now = save(s, 0);
		file = fopen(path, "wb");
		fwrite(now.data, 1, now.size, file);
		fclose(file);
		tables_free(&now);
	}
	file = fopen(path, "rb");
	ck_assert_ptr_nonnull(file);
	t.size = fread(t.data, 1, 65536, file);
	fclose(file);
	sim_kill(s, 0);
	sim_start(s, 0);
	struct rcur c = rcur_init(t.data + 40, 8);
	struct handover_place place = place_at(s->now_ns);
	place.boottime_ns = rcur_u64(&c) + 100 * SIM_MS;
	ck_assert_int_eq(engine_restore(s->members[0].engine, s->now_ns, s->actions, &place, t.data,
					t.size, &r, &why),
			 0);
	sim_carry_out(s, 0);
	ck_assert_uint_eq(r.kept[HANDOVER_CHANNEL], 1);
	ck_assert_uint_eq(r.kept[HANDOVER_MEMBERS], 2);
	ck_assert_uint_eq(r.kept[HANDOVER_STATES], 1);
	ck_assert_uint_eq(r.unknown, 0);
	ck_assert_ptr_nonnull(state_at(s, 0));
	ck_assert_uint_eq(state_at(s, 0)->tcp.state, TCP_STATE_ESTABLISHED);
	ck_assert_uint_eq(state_at(s, 0)->packets[0], 2);
	ck_assert_uint_eq(state_at(s, 0)->packets[1], 2);
	ck_assert_uint_ne(state_at(s, 0)->backup, 0);
	tables_free(&t);
	sim_free(s);
}
END_TEST

/* Flows of which a part begins only now or is over. */
START_TEST(many_flows)
{
	struct sim *s = begin(RULES);
	struct handover_report r;
	struct tables t;

	for (uint32_t i = 0; i < FLOWS; i++) {
		struct pkt_tuple tuple = there;
		struct flow_key k;
		struct state *st;

		tuple.sport = (uint16_t)(10000 + i);
		tuple.proto = i % 3 ? IPPROTO_NUM_TCP : IPPROTO_NUM_UDP;
		flow_key_make(&k, &tuple, 4);
		fw(s, 0)->node->now_ns = s->now_ns;
		st = home_place(fw(s, 0), &k, POLICY_DEFAULT, false);
		ck_assert_ptr_nonnull(st);
		st->tcp.state = i % 3 ? TCP_STATE_ESTABLISHED : TCP_STATE_NONE;
		st->packets[0] = i;
		flow_table_arm(fw(s, 0)->states, st, s->now_ns, i % 10 ? 60000 : 40);
	}
	t = save(s, 0);
	sim_kill(s, 0);
	wait_ms(s, 100);
	sim_start(s, 0);
	ck_assert_int_eq(restore(s, 0, &t, &r), 0);
	ck_assert_uint_eq(r.kept[HANDOVER_STATES], FLOWS - FLOWS / 10);
	ck_assert_uint_eq(r.lost[HANDOVER_STATES], FLOWS / 10);
	ck_assert_uint_eq(counted(s, 0, COUNTER_RESTART_LOST), FLOWS / 10);
	ck_assert_uint_eq(flow_table_count(fw(s, 0)->states), FLOWS - FLOWS / 10);
	tables_free(&t);
	sim_free(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("handover");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_home_goes_on);
	tcase_add_test(tc, an_asker_goes_on);
	tcase_add_test(tc, a_backup_goes_on);
	tcase_add_test(tc, no_nonce_twice);
	tcase_add_test(tc, a_recording_is_refused);
	tcase_add_test(tc, refused);
	tcase_add_loop_test(tc, every_prefix_and_noise, 0, 10);
	tcase_add_test(tc, a_later_version);
	tcase_add_test(tc, the_first_version);
	tcase_add_test(tc, many_flows);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
