/*
 * check_sim_attacks.c - single faults and attacks on a firewall cluster, one scripted case each.
 *
 * proves: FC-7 FC-10 FC-11 FC-15 FC-16
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define RECORDS 4096
#define FLOOD 100000

struct record {
	unsigned from;
	bool multicast;
	struct endpoint to;
	size_t size;
	uint8_t *data;
};

struct net {
	struct sim *sim;
	struct pkt_tuple there, back;
	struct flow_key key;
	struct record records[RECORDS];
	unsigned n_records;
	bool recording;
	uint64_t bytes[SIM_MEMBERS]; /* of datagrams sent */
};

static void tap(void *arg, unsigned from, const struct datagram *d)
{
	struct net *n = arg;
	struct record *r = &n->records[n->n_records];

	n->bytes[from] += d->size;
	if (!n->recording || n->n_records == RECORDS)
		return;
	*r = (struct record){.from = from, .multicast = d->multicast, .to = d->to, .size = d->size};
	r->data = memcpy(malloc(d->size), d->data, d->size);
	n->n_records++;
}

static void wait_ms(struct net *n, unsigned ms)
{
	sim_run(n->sim, n->sim->now_ns + ms * SIM_MS);
}

static void use_flow(struct net *n, uint8_t proto, unsigned host)
{
	uint8_t in[4] = {10, 1, 1, (uint8_t)host}, out[4] = {192, 0, 2, 100};

	n->there = (struct pkt_tuple){.src = ipaddr_v4(in),
				      .dst = ipaddr_v4(out),
				      .sport = 5000,
				      .dport = 80,
				      .proto = proto};
	n->back = (struct pkt_tuple){.src = n->there.dst,
				     .dst = n->there.src,
				     .sport = 80,
				     .dport = 5000,
				     .proto = proto};
	flow_key_make(&n->key, &n->there, 4);
}

static struct net *net_new(struct sim_params p)
{
	struct net *n = calloc(1, sizeof(*n));

	p.seed = 7;
	p.query_timeout_ms = 20;
	p.forward_ms = p.forward_ms ? p.forward_ms : 30000;
	n->sim = sim_new(&p);
	n->sim->arg = n;
	n->sim->tap = tap;
	use_flow(n, IPPROTO_NUM_TCP, 100);
	wait_ms(n, 1500);
	return n;
}

static void net_free(struct net *n)
{
	char why[128] = "";

	ck_assert_msg(sim_balanced(n->sim, why, sizeof(why)), "%s", why);
	for (uint32_t id = 0; id < n->sim->n_packets; id++)
		ck_assert_uint_le(n->sim->packets[id].relayed, 1);
	for (unsigned i = 0; i < n->n_records; i++)
		free(n->records[i].data);
	sim_free(n->sim);
	free(n);
}

static struct firewall *firewall_of(struct net *n, unsigned m)
{
	return &n->sim->members[m].engine->firewall;
}

static uint64_t counter(struct net *n, unsigned m, enum counter c)
{
	return engine_counters(n->sim->members[m].engine)[c];
}

static uint64_t drops(struct net *n, unsigned m, enum drop d)
{
	return engine_drops(n->sim->members[m].engine)[d];
}

static uint32_t states(struct net *n, unsigned m)
{
	return flow_table_count(firewall_of(n, m)->states);
}

static uint32_t forwards(struct net *n, unsigned m)
{
	return flow_table_count(firewall_of(n, m)->forwards);
}

/* Send a packet through member `m`; how often it was delivered after `ms`. */
static unsigned send_ip(struct net *n, unsigned m, const uint8_t *ip, size_t size, uint32_t id,
			unsigned ms)
{
	sim_send(n->sim, id, m, ip, size, 0);
	wait_ms(n, ms);
	return n->sim->packets[id].delivered;
}

static unsigned tcp(struct net *n, unsigned m, enum sim_side to, struct sim_tcp h, size_t len)
{
	uint32_t id = sim_packet_new(n->sim, 0, to);
	uint8_t ip[2048];
	size_t size = sim_tcp(ip, to == SIM_OUTSIDE ? &n->there : &n->back, &h, id, len);

	return send_ip(n, m, ip, size, id, 10);
}

static unsigned udp(struct net *n, unsigned m, enum sim_side to)
{
	uint32_t id = sim_packet_new(n->sim, 0, to);
	uint8_t ip[2048];
	size_t size = sim_udp(ip, to == SIM_OUTSIDE ? &n->there : &n->back, id, 40);

	return send_ip(n, m, ip, size, id, 10);
}

static unsigned out(struct net *n, unsigned m, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return tcp(n, m, SIM_OUTSIDE, (struct sim_tcp){.flags = flags, .seq = seq, .ack = ack}, 0);
}

static unsigned in(struct net *n, unsigned m, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return tcp(n, m, SIM_INSIDE, (struct sim_tcp){.flags = flags, .seq = seq, .ack = ack}, 0);
}

/* A connection out by one member, in by another; the client's numbers begin at 1000 * round. */
static void establish(struct net *n, unsigned by_out, unsigned by_in, unsigned round)
{
	uint32_t c = round * 100000, s = c + 50000;

	ck_assert_uint_eq(out(n, by_out, TCP_SYN, c, 0), 1);
	ck_assert_uint_eq(in(n, by_in, TCP_SYN | TCP_ACK, s, c + 1), 1);
	ck_assert_uint_eq(out(n, by_out, TCP_ACK, c + 1, s + 1), 1);
}

static void finish(struct net *n, unsigned by_out, unsigned by_in, unsigned round)
{
	uint32_t c = round * 100000 + 1, s = c + 50000;

	ck_assert_uint_eq(out(n, by_out, TCP_ACK | TCP_FIN, c, s), 1);
	ck_assert_uint_eq(in(n, by_in, TCP_ACK | TCP_FIN, s, c + 1), 1);
	ck_assert_uint_eq(out(n, by_out, TCP_ACK, c + 1, s + 1), 1);
}

/* --- forward entries die (FC-11) -----------------------------------------------------------------
 */

START_TEST(home_dies)
{
	struct net *n = net_new((struct sim_params){.n_members = 3, .tunnel = _i});
	uint64_t asked;

	establish(n, 0, 1, 1);
	ck_assert_uint_eq(forwards(n, 1), 1);
	sim_kill(n->sim, 0);
	wait_ms(n, 2100); /* longer than dead-after */
	ck_assert_uint_eq(in(n, 1, TCP_ACK, 150001, 100001), 0);
	ck_assert_uint_eq(forwards(n, 1), 0);
	wait_ms(n, 2000);
	asked = counter(n, 1, COUNTER_QUERY_SENT);
	establish(n, 2, 1, 2); /* the host connects anew */
	ck_assert_uint_eq(counter(n, 1, COUNTER_QUERY_SENT), asked + 1);
	net_free(n);
}
END_TEST

START_TEST(home_restarts)
{
	struct net *n = net_new((struct sim_params){.n_members = 3, .tunnel = _i});
	uint64_t asked;

	establish(n, 0, 1, 1);
	sim_kill(n->sim, 0);
	sim_start(n->sim, 0);
	wait_ms(n, 1100);
	ck_assert_uint_eq(in(n, 1, TCP_ACK, 150001, 100001), 0);
	ck_assert_uint_eq(forwards(n, 1), 0);
	wait_ms(n, 2000);
	asked = counter(n, 1, COUNTER_QUERY_SENT);
	establish(n, 0, 1, 2);
	ck_assert_uint_eq(counter(n, 1, COUNTER_QUERY_SENT), asked + 1);
	net_free(n);
}
END_TEST

/* The home forgot, and its release was lost. */
START_TEST(not_home)
{
	struct net *n = net_new((struct sim_params){.n_members = 3, .tunnel = _i});
	struct sim *s = n->sim;

	establish(n, 0, 1, 1);
	s->members[0].group = 1;
	ck_assert_uint_eq(
		engine_flush(s->members[0].engine, ENGINE_FLUSH_FLOWS, s->now_ns, s->actions), 1);
	sim_carry_out(s, 0);
	s->members[0].group = 0;
	ck_assert_uint_eq(forwards(n, 1), 1);
	ck_assert_uint_eq(in(n, 1, TCP_ACK, 150001, 100001), 0);
	ck_assert_uint_eq(drops(n, 0, DROP_NOT_HOME), 1);
	ck_assert_uint_eq(counter(n, 0, COUNTER_NOT_HOME_SENT), 1);
	ck_assert_uint_eq(counter(n, 1, COUNTER_NOT_HOME_RECEIVED), 1);
	ck_assert_uint_eq(forwards(n, 1), 0);
	establish(n, 2, 1, 2);
	net_free(n);
}
END_TEST

START_TEST(released_at_the_end)
{
	struct net *n = net_new((struct sim_params){.n_members = 3});

	establish(n, 0, 1, 1);
	finish(n, 0, 1, 1);
	wait_ms(n, 100);
	ck_assert_uint_eq(forwards(n, 1), 0);
	ck_assert_uint_eq(counter(n, 0, COUNTER_RELEASE_SENT), 1);
	ck_assert_uint_eq(counter(n, 1, COUNTER_RELEASE_RECEIVED), 1);
	net_free(n);
}
END_TEST

START_TEST(expires_unused)
{
	struct net *n = net_new((struct sim_params){.n_members = 2, .forward_ms = 3000});

	establish(n, 0, 1, 1);
	wait_ms(n, 2500);
	ck_assert_uint_eq(in(n, 1, TCP_ACK, 150001, 100001), 1);
	wait_ms(n, 2500);
	ck_assert_uint_eq(forwards(n, 1), 1);
	wait_ms(n, 1000);
	ck_assert_uint_eq(forwards(n, 1), 0);
	ck_assert_uint_eq(counter(n, 1, COUNTER_FORWARD_EXPIRED), 1);
	ck_assert_uint_eq(in(n, 1, TCP_ACK, 150001, 100001), 1);
	ck_assert_uint_eq(counter(n, 1, COUNTER_QUERY_SENT), 2);
	net_free(n);
}
END_TEST

/* --- nobody answers (FC-10) ----------------------------------------------------------------------
 */

START_TEST(nobody_answers)
{
	struct net *n = net_new((struct sim_params){.n_members = 3, .hold = _i});

	ck_assert_uint_eq(in(n, 1, TCP_ACK, 1, 1), 0);
	ck_assert_uint_eq(engine_held(n->sim->members[1].engine), 1);
	wait_ms(n, 400);
	ck_assert_uint_eq(counter(n, 1, COUNTER_QUERY_SENT), 1);
	ck_assert_uint_eq(counter(n, 1, COUNTER_QUERY_RETRIED), 3);
	ck_assert_uint_eq(counter(n, 1, COUNTER_QUERY_TIMEOUT), 1);
	ck_assert_uint_eq(drops(n, 1, DROP_QUERY_TIMEOUT), 1);
	ck_assert_uint_eq(in(n, 1, TCP_ACK, 1, 1), 0);
	ck_assert_uint_eq(drops(n, 1, DROP_NEGATIVE), 1);
	ck_assert_uint_eq(counter(n, 1, COUNTER_QUERY_SENT), 1);
	wait_ms(n, 1000); /* negative-ttl */
	in(n, 1, TCP_ACK, 1, 1);
	ck_assert_uint_eq(counter(n, 1, COUNTER_QUERY_SENT), 2);
	wait_ms(n, 1500);
	ck_assert_uint_eq(states(n, 0) + states(n, 1) + states(n, 2), 0);
	net_free(n);
}
END_TEST

/* Only what cannot have been delivered is answered by a reset. */
START_TEST(exception_reset)
{
	struct net *n = net_new((struct sim_params){
		.n_members = 2, .hold = _i, .cluster = "exception = \"reset\""});

	in(n, 1, TCP_ACK, 1, 1);
	in(n, 1, TCP_ACK, 1, 1);
	wait_ms(n, 400);
	ck_assert_uint_eq(counter(n, 1, COUNTER_RESET_SENT), _i ? 2 : 1);
	ck_assert_uint_eq(drops(n, 1, DROP_QUERY_TIMEOUT), 2);
	in(n, 1, TCP_ACK, 1, 1); /* from the negative cache */
	ck_assert_uint_eq(counter(n, 1, COUNTER_RESET_SENT), _i ? 3 : 2);
	in(n, 1, TCP_RST, 1, 1); /* a reset is not answered */
	ck_assert_uint_eq(counter(n, 1, COUNTER_RESET_SENT), _i ? 3 : 2);
	net_free(n);
}
END_TEST

START_TEST(exception_pass)
{
	struct net *n = net_new((struct sim_params){
		.n_members = 2, .hold = true, .cluster = "exception = \"pass\""});

	ck_assert_uint_eq(in(n, 1, TCP_ACK, 50001, 1001), 0);
	wait_ms(n, 400);
	ck_assert_uint_eq(n->sim->packets[n->sim->n_packets - 1].delivered, 1);
	ck_assert_uint_eq(states(n, 1), 1);
	ck_assert_uint_eq(out(n, 1, TCP_ACK, 1001, 50001), 1);
	ck_assert_uint_eq(out(n, 0, TCP_ACK, 1001, 50001), 1); /* and it is its home */
	ck_assert_uint_eq(in(n, 1, TCP_ACK, 50001, 1001), 1);
	net_free(n);
}
END_TEST

/* Nobody is there to be asked. */
START_TEST(alone)
{
	struct net *n = net_new((struct sim_params){.n_members = 2});

	sim_kill(n->sim, 0);
	wait_ms(n, 2100);
	ck_assert_uint_eq(in(n, 1, TCP_ACK, 1, 1), 0);
	ck_assert_uint_eq(drops(n, 1, DROP_NO_MEMBER), 1);
	ck_assert_uint_eq(engine_held(n->sim->members[1].engine), 0);
	establish(n, 1, 1, 2);
	net_free(n);
}
END_TEST

/* --- floods (FC-16) ------------------------------------------------------------------------------
 */

/* `count` acknowledgements that belong to nothing, from random hosts (of one prefix, or of all),
 * one every 20 microseconds, through one member; how many were delivered. */
static unsigned flood(struct net *n, unsigned m, unsigned count, bool one_prefix)
{
	uint32_t id = sim_packet_new(n->sim, 0, SIM_INSIDE);
	struct pkt_tuple t = n->back;
	struct sim_tcp h = {.flags = TCP_ACK, .seq = 1, .ack = 1};

	for (unsigned i = 0; i < count; i++) {
		uint64_t x = rng_u64(&n->sim->rng);
		uint8_t src[4] = {100, (uint8_t)x, (uint8_t)(x >> 8), (uint8_t)(x >> 16)};
		uint8_t ip[2048];

		if (one_prefix)
			src[1] = src[2] = 1;
		t.src = ipaddr_v4(src);
		t.sport = (uint16_t)(x >> 24 | 1);
		sim_send(n->sim, id, m, ip, sim_tcp(ip, &t, &h, id, 1300), 0);
		sim_run(n->sim, n->sim->now_ns + 20000);
	}
	return n->sim->packets[id].delivered;
}

/* The budget of bytes binds, or that of queries. */
static const struct {
	bool hold, tunnel;
	unsigned rate, kbytes;
	const char *options;
} floods[] = {
	{false, false, 1000, 300, "query-rate = 1000 query-kbytes = 300"},
	{false, true, 1000, 300, "query-rate = 1000 query-kbytes = 300"},
	{true, false, 1000, 300, "query-rate = 1000 query-kbytes = 300"},
	{true, false, 200, 3000, "query-rate = 200 query-kbytes = 3000"},
};

/* Known flows, at their home and by way of a forward entry, while the flood runs. */
START_TEST(flood_of_unknown_packets)
{
	char options[128];
	struct net *n;
	uint64_t bytes, sent, span_ms, allowed;
	unsigned count = _i == 0 ? FLOOD : FLOOD / 4;

	snprintf(options, sizeof(options),
		 "%s query-burst = 100 source-rate = 50 source-burst = 20", floods[_i].options);
	n = net_new((struct sim_params){.n_members = 3,
					.hold = floods[_i].hold,
					.tunnel = floods[_i].tunnel,
					.cluster = options});
	use_flow(n, IPPROTO_NUM_TCP, 101);
	establish(n, 1, 2, 1);
	use_flow(n, IPPROTO_NUM_TCP, 100);
	establish(n, 0, 1, 1);
	ck_assert_uint_eq(flood(n, 1, 2000, true), 0);
	ck_assert_uint_gt(drops(n, 1, DROP_QUERY_SOURCE_LIMIT), 1900);
	ck_assert_uint_eq(drops(n, 1, DROP_QUERY_RATE_LIMIT), 0); /* others have their share */
	bytes = n->bytes[1];
	sent = counter(n, 1, COUNTER_QUERY_SENT);
	span_ms = n->sim->now_ns / SIM_MS;
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_uint_eq(flood(n, 1, count / 20, false), 0);
		use_flow(n, IPPROTO_NUM_TCP, 100);
		ck_assert_uint_eq(in(n, 1, TCP_ACK, 150001, 100001), 1);
		ck_assert_uint_eq(out(n, 0, TCP_ACK, 100001, 150001), 1);
		use_flow(n, IPPROTO_NUM_TCP, 101);
		ck_assert_uint_eq(in(n, 1, TCP_ACK, 150001, 100001), 1);
		ck_assert_uint_eq(in(n, 2, TCP_ACK, 150001, 100001), 1);
		use_flow(n, IPPROTO_NUM_TCP, 110 + i); /* and a new one */
		ck_assert_uint_eq(out(n, 1, TCP_SYN, 1, 0), 1);
		ck_assert_uint_eq(in(n, 1, TCP_SYN | TCP_ACK, 1, 2), 1);
	}
	span_ms = n->sim->now_ns / SIM_MS - span_ms;
	sent = counter(n, 1, COUNTER_QUERY_SENT) - sent;
	allowed = 100 + floods[_i].rate * span_ms / 1000;
	ck_assert_uint_le(sent, allowed);
	ck_assert_uint_gt(sent, 100);
	ck_assert_uint_gt(counter(n, 1, COUNTER_QUERY_HEADER_ONLY), sent / 2);
	/* what the budget allows, and the messages that are no queries */
	ck_assert_uint_le(n->bytes[1] - bytes,
			  floods[_i].kbytes * (1000 + span_ms) / 1000 * 1024 + 20000);
	ck_assert_uint_gt(drops(n, 1, DROP_QUERY_RATE_LIMIT), count / 2);
	ck_assert_uint_eq(drops(n, 1, DROP_QUERY_TABLE), 0);
	wait_ms(n, 1000);
	ck_assert_uint_eq(engine_held(n->sim->members[1].engine), 0);
	net_free(n);
}
END_TEST

/* A spoofed flood with exception "pass" takes no room from flows that both sides know. */
START_TEST(flood_with_exception_pass)
{
	struct net *n =
		net_new((struct sim_params){.n_members = 2, .cluster = "exception = \"pass\""});

	establish(n, 1, 1, 1);
	flood(n, 1, 20000, false);
	ck_assert_uint_gt(counter(n, 1, COUNTER_FLOWS_EVICTED), 10000);
	ck_assert_uint_eq(in(n, 1, TCP_ACK, 150001, 100001), 1);
	use_flow(n, IPPROTO_NUM_TCP, 101);
	establish(n, 1, 1, 1);
	wait_ms(n, 31000);
	ck_assert_uint_eq(states(n, 1), 2); /* what nobody answered ends soon */
	net_free(n);
}
END_TEST

/* --- forged and replayed messages (FC-15) --------------------------------------------------------
 */

static const struct query *open_query(struct net *n, unsigned m)
{
	uint32_t pos = 0;

	return flow_table_next(firewall_of(n, m)->queries, &pos);
}

/* A confirm with the right key, made by member `from` for `to`. */
static void forge_confirm(struct net *n, unsigned from, unsigned to, const struct wire_confirm *c)
{
	struct sim *s = n->sim;
	struct engine *e = s->members[from].engine;
	struct wcur body;

	node_begin(&e->node, s->now_ns, s->actions);
	ck_assert(channel_begin(e->channel, 128, &body));
	wire_put_confirm(&body, c);
	ck_assert(channel_send(e->channel, WIRE_CONFIRM, &body, to));
	sim_carry_out(s, from);
	wait_ms(n, 2);
}

START_TEST(confirm_of_no_query)
{
	struct net *n = net_new((struct sim_params){.n_members = 3});
	struct wire_confirm c = {.id = 1};
	const struct query *q;

	c.key = n->key;
	forge_confirm(n, 2, 1, &c);
	ck_assert_uint_eq(counter(n, 1, COUNTER_CONFIRM_UNEXPECTED), 1);
	in(n, 1, TCP_ACK, 1, 1);
	q = open_query(n, 1);
	ck_assert_ptr_nonnull(q);
	c.id = q->id ^ 2; /* the right flow, another query */
	forge_confirm(n, 2, 1, &c);
	ck_assert_uint_eq(counter(n, 1, COUNTER_CONFIRM_UNEXPECTED), 2);
	c.id = q->id; /* the right query, another flow */
	c.key.aport ^= 1;
	forge_confirm(n, 2, 1, &c);
	c.flags = WIRE_CONFIRM_FRAGMENT;
	forge_confirm(n, 2, 1, &c);
	ck_assert_uint_eq(counter(n, 1, COUNTER_CONFIRM_UNEXPECTED), 4);
	ck_assert_uint_eq(forwards(n, 1), 0);
	ck_assert_ptr_nonnull(open_query(n, 1));
	ck_assert_uint_eq(counter(n, 1, COUNTER_QUERY_CONFIRMED), 0);
	net_free(n);
}
END_TEST

/* The answer to a fragment's query must be about that datagram. */
START_TEST(confirm_of_another_datagram)
{
	struct net *n = net_new((struct sim_params){.n_members = 3});
	struct wire_confirm c = {.flags = WIRE_CONFIRM_FRAGMENT};
	uint32_t id = sim_packet_new(n->sim, 0, SIM_INSIDE);
	const struct query *q;
	uint8_t ip[256];

	use_flow(n, IPPROTO_NUM_UDP, 100);
	sim_send(n->sim, id, 1, ip, sim_fragment(ip, &n->back, 1, 3, 77, id), 0);
	wait_ms(n, 45);
	q = open_query(n, 1);
	ck_assert_ptr_nonnull(q);
	ck_assert_uint_eq(q->entry.key.zone, 1);
	use_flow(n, IPPROTO_NUM_UDP, 101);
	c.id = q->id;
	c.key = n->key;
	forge_confirm(n, 2, 1, &c);
	ck_assert_uint_eq(counter(n, 1, COUNTER_CONFIRM_UNEXPECTED), 1);
	ck_assert_uint_eq(forwards(n, 1), 0);
	net_free(n);
}
END_TEST

static bool meant_for(const struct record *r, unsigned m)
{
	return r->from != m && (r->multicast || r->to.addr.b[15] == m + 1);
}

static unsigned replay(struct net *n, unsigned m)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n->n_records; i++) {
		const struct record *r = &n->records[i];

		if (!meant_for(r, m))
			continue;
		sim_inject(n->sim, r->from, m, r->data, r->size, r->multicast);
		wait_ms(n, 1);
		count++;
	}
	return count;
}

static struct net *recorded_conversation(bool hold)
{
	struct sim_params p = {.seed = 7,
			       .n_members = 3,
			       .hold = hold,
			       .query_timeout_ms = 20,
			       .forward_ms = 2000};
	struct net *n = calloc(1, sizeof(*n));

	n->sim = sim_new(&p);
	n->sim->arg = n;
	n->sim->tap = tap;
	n->recording = true;
	use_flow(n, IPPROTO_NUM_TCP, 100);
	wait_ms(n, 1500);
	establish(n, 0, 1, 1);
	ck_assert_uint_eq(in(n, 2, TCP_ACK, 150001, 100001), 1);
	finish(n, 0, 1, 1);
	wait_ms(n, 100);
	n->recording = false;
	return n;
}

START_TEST(replayed_conversation)
{
	struct net *n = recorded_conversation(_i);
	uint64_t replays = 0, old[3];
	unsigned count = 0;

	for (unsigned m = 0; m < 3; m++) {
		old[m] = counter(n, m, COUNTER_QUERY_RECEIVED) +
			 counter(n, m, COUNTER_RELEASE_RECEIVED) +
			 counter(n, m, COUNTER_QUERY_CONFIRMED);
		replays -= counter(n, m, COUNTER_MSG_REPLAY);
		count += replay(n, m);
		replays += counter(n, m, COUNTER_MSG_REPLAY) + counter(n, m, COUNTER_MSG_TOO_OLD);
		ck_assert_uint_eq(old[m], counter(n, m, COUNTER_QUERY_RECEIVED) +
						  counter(n, m, COUNTER_RELEASE_RECEIVED) +
						  counter(n, m, COUNTER_QUERY_CONFIRMED));
		ck_assert_uint_eq(counter(n, m, COUNTER_CONFIRM_UNEXPECTED), 0);
	}
	ck_assert_uint_gt(count, 30);
	ck_assert_uint_eq(replays, count); /* each counted, under its name */
	for (uint32_t id = 0; id < n->sim->n_packets; id++)
		ck_assert_uint_eq(n->sim->packets[id].delivered, 1);
	net_free(n);
}
END_TEST

/* Yesterday's capture, after one member, or all, have started again. */
START_TEST(replayed_after_restart)
{
	struct net *n = recorded_conversation(_i & 1);
	bool all = _i & 2;

	for (unsigned m = 0; m < 3; m++) {
		if (m != 1 && !all)
			continue;
		sim_kill(n->sim, m);
		sim_start(n->sim, m);
	}
	wait_ms(n, 1500);
	for (unsigned m = 0; m < 3; m++) {
		uint64_t queries = counter(n, m, COUNTER_QUERY_RECEIVED);
		uint64_t stale = counter(n, m, COUNTER_MSG_STALE_BOOT) +
				 counter(n, m, COUNTER_MSG_UNPROVEN_BOOT) +
				 counter(n, m, COUNTER_MSG_BOOT_LIMIT) +
				 counter(n, m, COUNTER_MSG_REPLAY) +
				 counter(n, m, COUNTER_MSG_TOO_OLD) +
				 counter(n, m, COUNTER_MSG_CHALLENGE_BAD);
		unsigned count = replay(n, m);

		ck_assert_uint_eq(counter(n, m, COUNTER_QUERY_RECEIVED), queries);
		ck_assert_uint_eq(forwards(n, m), 0);
		ck_assert_uint_ge(counter(n, m, COUNTER_MSG_STALE_BOOT) +
					  counter(n, m, COUNTER_MSG_UNPROVEN_BOOT) +
					  counter(n, m, COUNTER_MSG_BOOT_LIMIT) +
					  counter(n, m, COUNTER_MSG_REPLAY) +
					  counter(n, m, COUNTER_MSG_TOO_OLD) +
					  counter(n, m, COUNTER_MSG_CHALLENGE_BAD),
				  stale + count * 9 / 10);
	}
	for (uint32_t id = 0; id < n->sim->n_packets; id++)
		ck_assert_uint_eq(n->sim->packets[id].delivered, 1);
	wait_ms(n, 61000);
	establish(n, 0, 1, 5); /* nobody took anybody for dead or for another */
	net_free(n);
}
END_TEST

/* --- two homes -----------------------------------------------------------------------------------
 */

START_TEST(two_homes_udp)
{
	struct net *n =
		net_new((struct sim_params){.n_members = 3, .hold = _i & 1, .tunnel = _i & 2});

	use_flow(n, IPPROTO_NUM_UDP, 100);
	ck_assert_uint_eq(udp(n, 0, SIM_OUTSIDE), 1);
	wait_ms(n, 50);
	ck_assert_uint_eq(udp(n, 1, SIM_OUTSIDE), 1);
	ck_assert_uint_eq(states(n, 0) + states(n, 1), 2);
	ck_assert_uint_eq(udp(n, 2, SIM_INSIDE), 1);
	wait_ms(n, 50);
	ck_assert_uint_eq(states(n, 0), 1); /* the older one stays */
	ck_assert_uint_eq(states(n, 1), 0);
	ck_assert_uint_ge(counter(n, 2, COUNTER_HOME_CONFLICT), 1);
	for (unsigned m = 0; m < 3; m++) {
		ck_assert_uint_eq(udp(n, m, SIM_INSIDE), 1);
		ck_assert_uint_eq(udp(n, m, SIM_OUTSIDE), 1);
	}
	ck_assert_uint_eq(states(n, 0) + states(n, 1) + states(n, 2), 1);
	net_free(n);
}
END_TEST

/* The SYN was sent again through another member. */
START_TEST(two_homes_tcp)
{
	struct net *n =
		net_new((struct sim_params){.n_members = 3, .hold = _i & 1, .tunnel = _i & 2});
	unsigned delivered;

	ck_assert_uint_eq(out(n, 0, TCP_SYN, 1000, 0), 1);
	wait_ms(n, 50);
	ck_assert_uint_eq(out(n, 1, TCP_SYN, 1000, 0), 1);
	delivered = in(n, 2, TCP_SYN | TCP_ACK, 5000, 1001);
	ck_assert_uint_ge(delivered, 1);
	ck_assert_uint_le(delivered, _i & 1 ? 1 : 2);
	wait_ms(n, 50);
	ck_assert_uint_eq(states(n, 0) + states(n, 1) + states(n, 2), 1);
	for (unsigned m = 0; m < 3; m++) {
		ck_assert_uint_eq(out(n, m, TCP_ACK, 1001, 5001), 1);
		ck_assert_uint_eq(in(n, m, TCP_ACK, 5001, 1001), 1);
	}
	net_free(n);
}
END_TEST

/* --- no loop -------------------------------------------------------------------------------------
 */

START_TEST(mutually_wrong_forward_entries)
{
	struct net *n = net_new((struct sim_params){.n_members = 2, .tunnel = _i});
	struct wire_confirm c = {.id = 1};
	uint64_t bytes = n->bytes[0] + n->bytes[1];

	for (unsigned m = 0; m < 2; m++) {
		struct engine *e = n->sim->members[m].engine;

		node_begin(&e->node, n->sim->now_ns, n->sim->actions);
		ck_assert_ptr_nonnull(relay_learn(&e->firewall, &n->key, 0, !m, &c));
	}
	ck_assert_uint_eq(in(n, 0, TCP_ACK, 1, 1), 0);
	ck_assert_uint_eq(drops(n, 1, DROP_NOT_HOME), 1);
	ck_assert_uint_eq(forwards(n, 0), 0);
	ck_assert_uint_eq(in(n, 1, TCP_ACK, 1, 1), 0);
	ck_assert_uint_eq(drops(n, 0, DROP_NOT_HOME), 1);
	ck_assert_uint_eq(forwards(n, 1), 0);
	wait_ms(n, 10);
	ck_assert_uint_le(n->bytes[0] + n->bytes[1] - bytes, 2000);
	establish(n, 0, 1, 2);
	net_free(n);
}
END_TEST

/* --- the same endpoints again, with another home -------------------------------------------------
 */

/* The answer comes by a third member, by the old home, or by the new one; carried or held. */
START_TEST(reused_with_another_home)
{
	struct net *n = net_new((struct sim_params){.n_members = 3, .hold = _i >= 3});
	unsigned by = (unsigned)_i % 3;

	establish(n, 0, 2, 1);
	finish(n, 0, 2, 1);
	wait_ms(n, 2000);
	ck_assert_uint_eq(states(n, 0), 1); /* TIME_WAIT */
	ck_assert_uint_eq(out(n, 1, TCP_SYN, 900000, 0), 1);
	ck_assert_uint_eq(in(n, by, TCP_SYN | TCP_ACK, 70000, 900001), 1);
	ck_assert_uint_eq(out(n, 1, TCP_ACK, 900001, 70001), 1);
	for (unsigned m = 0; m < 3; m++) {
		ck_assert_uint_eq(in(n, m, TCP_ACK | TCP_PSH, 70001, 900001), 1);
		ck_assert_uint_eq(out(n, m, TCP_ACK, 900001, 70001), 1);
	}
	ck_assert_uint_eq(states(n, 1), 1);
	net_free(n);
}
END_TEST

/* What still belongs to the old connection is answered for by its home. */
START_TEST(last_words_of_the_old_connection)
{
	struct net *n = net_new((struct sim_params){.n_members = 3, .hold = _i});

	establish(n, 0, 1, 1);
	finish(n, 0, 1, 1);
	wait_ms(n, 100);
	ck_assert_uint_eq(in(n, 2, TCP_ACK | TCP_FIN, 150001, 100002), 1); /* sent again */
	net_free(n);
}
END_TEST

static void add_faults(TCase *t)
{
	tcase_add_loop_test(t, home_dies, 0, 2);
	tcase_add_loop_test(t, home_restarts, 0, 2);
	tcase_add_loop_test(t, not_home, 0, 2);
	tcase_add_test(t, released_at_the_end);
	tcase_add_test(t, expires_unused);
	tcase_add_loop_test(t, nobody_answers, 0, 2);
	tcase_add_loop_test(t, exception_reset, 0, 2);
	tcase_add_test(t, exception_pass);
	tcase_add_test(t, alone);
	tcase_add_loop_test(t, two_homes_udp, 0, 4);
	tcase_add_loop_test(t, two_homes_tcp, 0, 4);
	tcase_add_loop_test(t, mutually_wrong_forward_entries, 0, 2);
	tcase_add_loop_test(t, reused_with_another_home, 0, 6);
	tcase_add_loop_test(t, last_words_of_the_old_connection, 0, 2);
}

static void add_attacks(TCase *t)
{
	tcase_add_loop_test(t, flood_of_unknown_packets, 0, 4);
	tcase_add_test(t, flood_with_exception_pass);
	tcase_add_test(t, confirm_of_no_query);
	tcase_add_test(t, confirm_of_another_datagram);
	tcase_add_loop_test(t, replayed_conversation, 0, 2);
	tcase_add_loop_test(t, replayed_after_restart, 0, 4);
}

int main(void)
{
	Suite *suite = suite_create("sim attacks");
	TCase *faults = tcase_create("faults"), *attacks = tcase_create("attacks");
	SRunner *sr;
	int failed;

	tcase_set_timeout(faults, 120);
	tcase_set_timeout(attacks, 240);
	add_faults(faults);
	add_attacks(attacks);
	suite_add_tcase(suite, faults);
	suite_add_tcase(suite, attacks);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
