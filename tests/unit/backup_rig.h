/*
 * backup_rig.h - three members of a simulated cluster and one TCP connection between the worlds,
 * for tests of backups (FC-17).
 */
#ifndef TESTS_BACKUP_RIG_H
#define TESTS_BACKUP_RIG_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/sim.h"

#define DELAYS "backup-delay = \"400ms\" backup-refresh = \"1s\" "
#define OPTIONS "backup = true " DELAYS
#define RULES "timeouts { tcp-time-wait = \"1s\" tcp-closed = \"1s\" }"

/* One TCP connection; `by` is the home. */
static struct pkt_tuple there, back;
static struct flow_key key;
static uint32_t seq[2];

static inline struct sim *begin_sim(const struct sim_params *more)
{
	struct sim_params p = *more;
	struct sim *s;
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
	p.seed = 7;
	p.n_members = 3;
	p.jitter_ns = SIM_MS;
	p.query_timeout_ms = 20;
	p.forward_ms = 5000;
	p.rules = RULES;
	s = sim_new(&p);
	flow_key_make(&key, &there, 4);
	seq[0] = 1000;
	seq[1] = 5000;
	sim_run(s, s->now_ns + 2500 * SIM_MS);
	return s;
}

static inline struct sim *begin_with(const char *options, bool offload, bool tunnel)
{
	return begin_sim(
		&(struct sim_params){.cluster = options, .offload = offload, .tunnel = tunnel});
}

static inline struct sim *begin(const char *options)
{
	return begin_with(options, false, false);
}

static inline void wait_ms(struct sim *s, uint64_t ms)
{
	sim_run(s, s->now_ns + ms * SIM_MS);
}

/* A segment with `len` bytes, its number `behind` what is next; delivered how often within 20 ms.
 */
static inline unsigned segment(struct sim *s, unsigned by, enum sim_side to, uint8_t flags,
			       unsigned len, uint32_t behind)
{
	unsigned from = to == SIM_OUTSIDE ? 0 : 1;
	uint32_t id = sim_packet_new(s, 0, to);
	struct sim_tcp h = {.flags = flags, .seq = seq[from] - behind};
	uint8_t ip[2048];

	h.ack = flags & TCP_ACK ? seq[!from] : 0;
	sim_send(s, id, by, ip, sim_tcp(ip, from ? &back : &there, &h, id, len), 0);
	wait_ms(s, 15);
	if (!behind)
		seq[from] += len + (flags & (TCP_SYN | TCP_FIN) ? 1u : 0u);
	return s->packets[id].delivered;
}

static inline void open_by(struct sim *s, unsigned home)
{
	ck_assert_uint_eq(segment(s, home, SIM_OUTSIDE, TCP_SYN, 0, 0), 1);
	ck_assert_uint_eq(segment(s, home, SIM_INSIDE, TCP_SYN | TCP_ACK, 0, 0), 1);
	ck_assert_uint_eq(segment(s, home, SIM_OUTSIDE, TCP_ACK, 0, 0), 1);
}

static inline struct firewall *fw(struct sim *s, unsigned m)
{
	return &s->members[m].engine->firewall;
}

static inline struct state *state_at(struct sim *s, unsigned m)
{
	struct flow_table *t = fw(s, m)->states;

	return flow_table_find(t, &key, flow_table_hash(t, &key));
}

static inline struct backup_flow *held_entry(struct sim *s, unsigned m)
{
	const struct flow_table *t = fw(s, m)->backup->flows;

	return flow_table_find(t, &key, flow_table_hash(t, &key));
}

static inline bool held_at(struct sim *s, unsigned m)
{
	return held_entry(s, m) != NULL;
}

static inline uint64_t counted(struct sim *s, unsigned m, enum counter c)
{
	return engine_counters(s->members[m].engine)[c];
}

/* The flow by member 0, and with its backup, which is returned. */
static inline unsigned backed_up(struct sim *s)
{
	open_by(s, 0);
	wait_ms(s, 500);
	ck_assert_uint_ne(state_at(s, 0)->backup, 0);
	return state_at(s, 0)->backup - 1u;
}

static inline void finish(struct sim *s)
{
	char why[128];

	ck_assert_msg(sim_balanced(s, why, sizeof(why)), "%s", why);
	sim_free(s);
}

#endif
