/*
 * talk.h - conversations between clients, servers and an inside host through a firewall sandwich.
 *
 * A conversation is a list of steps; each is answered by the next, or sent again. What must hold in
 * every simulation ends the test at once: a packet is delivered at most once, with the addresses of
 * its conversation, one of no conversation never; no stamp comes to a model; a conversation that no
 * trouble has touched runs through one firewall, which knows it, and is not reset.
 */
#ifndef SIM_TALK_H
#define SIM_TALK_H

#include <check.h>
#include <stdio.h>

#include "packets.h"
#include "sandwich.h"

#define FLOWS 24
#define IDS 4096
#define QUOTE 128
#define TCP_STEP_LAST_FIN 9

enum flow_kind {
	FLOW_TCP,
	FLOW_UDP,
	FLOW_ECHO,
	FLOW_FRAGMENTS,
	FLOW_ERROR,
	FLOW_STRAY,
	FLOW_KINDS
};

struct flow {
	enum flow_kind kind;
	bool inside;		   /* the originator is */
	int service;		   /* index, or -1 */
	unsigned ends[2];	   /* hosts: originator, responder (HOSTS + 1 = not known yet) */
	struct pkt_tuple there;	   /* as the originator sends */
	struct pkt_tuple received; /* as the responder has it from the network */
	uint8_t quote[2][QUOTE];   /* the last packet that came to each */
	size_t quote_size[2];
	uint32_t seq[2], acked[2], acked_before[2];
	unsigned step, tries, attempt, resent, arrived;
	bool done, reset, touched, forged, full;
	bool lossy;	  /* its packets may be lost */
	bool orphan;	  /* a node that it ran through was lost while it was open */
	uint64_t sent_ns; /* its last step was sent */
	uint64_t open_ns; /* when its originator had answered the answer, 0 = not yet */
	unsigned walls;	  /* bits: firewalls that have passed packets of it */
	unsigned servers;
	bool struck, elsewhere; /* its firewall died; after that another saw it */
	unsigned struck_step;
	uint64_t pace_ns;
};

struct packet {
	int flow;
	unsigned step, attempt, side;
	unsigned delivered;
};

struct script {
	struct sandwich *net;
	uint64_t seed;
	unsigned act;
	unsigned trouble;		       /* of the test */
	bool (*touched)(const struct flow *f); /* conversations that it may touch, or NULL */
	uint64_t rush_ns;		       /* when many begin: it has just come or gone */
	uint64_t lossy_ns;		       /* until then packets may be lost */
	unsigned slow;			       /* how many times slower they talk */
	struct flow flows[FLOWS];
	unsigned n_flows;
	struct packet packets[IDS];
	uint32_t n_packets;
	unsigned died;	/* bits: firewalls that died once */
	unsigned moved; /* packets of touched flows at firewalls that do not know them */
	unsigned answers_at_inner;
	uint64_t n_stacked; /* conversations with private stacks that came to their end */
};

#define broken(sc, ...)                                                                            \
	do {                                                                                       \
		char text_[512];                                                                   \
		snprintf(text_, sizeof(text_), __VA_ARGS__);                                       \
		ck_abort_msg("seed %llu: %s (SIM_SEED=%llu SIM_TRACE=1 shows it)",                 \
			     (unsigned long long)(sc)->seed, text_,                                \
			     (unsigned long long)(sc)->seed);                                      \
	} while (0)

struct plan draw_plan(struct rng *rng);
/* The network of that plan, and what looks at it; nobody talks yet. */
struct script *script_new(uint64_t seed, const struct plan *plan, struct actions *actions);
void script_free(struct script *sc);
struct script *script_of(struct net *n);
/* What was said before is forgotten. */
void script_act(struct script *sc, unsigned act, unsigned trouble);
/* Another conversation; it begins within 1.5 s, or about sc->rush_ns. */
void draw_flow(struct script *sc);
uint64_t dice(struct script *sc, uint64_t n);
const char *flow_text(const struct script *sc, int index);
void trace(const struct script *sc, const char *what, int flow, unsigned where);
/* Frames in and out of each node are accounted for. */
void judge_balance(struct script *sc);
/* Runs the test with numbers from 0; the program's exit status. */
int script_main(const char *name, const TTest *test, int n_tests);
/* An environment variable's number, 1 if there is none. */
unsigned number(const char *variable);

#endif
