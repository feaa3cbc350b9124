/*
 * elect.h - nodes that may play dispatchers for each other (HD-19), on a network that fails.
 *
 *        n0          n1          n2          n3        each an engine with a clock of its own
 *    ────┴───────────┴───────────┴───────────┴────  cluster link
 *    ────┴───────────┴───────────┴───────────┴────  outside, front: the outer dispatcher's ports
 *    ────┴───────────┴───────────┴───────────┴────  back, farm: the inner dispatcher's ports
 *
 * From each node to each other one, by each of these five ways, messages are lost, repeated,
 * delayed and so overtake each other, or the way is cut. A host on each segment hears every frame
 * of every node; it asks for the dispatcher's addresses, remembers who claimed them last, answers
 * for all others, and sends packets to nodes whether they play the dispatcher or not. A seed makes
 * all that is by chance. Tables are not replicated here (check_replica.c does that): every node
 * counts as having them.
 */
#ifndef SIM_ELECT_H
#define SIM_ELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatch/takeover.h"
#include "engine/engine.h"
#include "engine/engine_priv.h"
#include "heap.h"

#define ELECT_NODES 4
#define ELECT_MS 1000000ULL
#define ELECT_SEC (1000 * ELECT_MS)
#define ELECT_QUEUE 4096 /* what may wait for one that stands still */
#define ELECT_CLAIMS 5
#define ELECT_NOBODY UINT32_MAX

enum elect_way { WAY_CLUSTER, WAY_OUTSIDE, WAY_FRONT, WAY_BACK, WAY_FARM, WAYS };
enum elect_dispatcher { OUTER, INNER, DISPATCHERS };

struct elect_link {
	bool cut;
	unsigned loss, duplicate; /* in thousandths */
	uint64_t jitter_ns;
};

/* What is configured. */
struct elect_plan {
	unsigned layout, timing, back; /* see elect_conf.c; each modulo how many there are */
};

struct elect_layout {
	unsigned n_nodes;
	const char *order[DISPATCHERS]; /* digits: who may play it, the preferred one first */
};

struct elect_timing {
	uint32_t hello_ms, dead_ms;
	bool unicast;
};

struct elect_back {
	bool take_back;
	uint32_t delay_ms;
};

const struct elect_layout *elect_layout(const struct elect_plan *plan);
const struct elect_timing *elect_timing(const struct elect_plan *plan);
const struct elect_back *elect_back(const struct elect_plan *plan);
/* The configuration of one node; `variant` names the members in another order. Parsed once. */
const struct params *elect_params(const struct elect_plan *plan, unsigned node, unsigned variant);
void elect_params_free(void);
#define ELECT_VARIANTS 2

struct elect_event;

struct elect_node {
	unsigned index;
	struct engine *engine; /* NULL: it is dead */
	const struct params *params;
	uint64_t clock_ns; /* ahead of the world's */
	bool leaving;
	bool stalled, out_of_lease, tick_first;
	uint64_t stalled_ns, wake_ns;
	uint64_t started_ns;
	struct elect_event *waiting[ELECT_QUEUE];
	unsigned n_waiting, room;
	int port[WAYS]; /* -1: not there */
	bool up[WAYS];
	uint64_t able_ns[DISPATCHERS]; /* all its ports are up since */
	uint8_t before[DISPATCHERS];   /* state as the call began */
	int dispatcher[DISPATCHERS];   /* index in its params, -1: not there */
};

struct elect {
	struct elect_plan plan;
	uint64_t now_ns;
	struct rng rng;
	struct heap heap;
	struct elect_node nodes[ELECT_NODES];
	unsigned n_nodes;
	struct elect_link links[WAYS][ELECT_NODES][ELECT_NODES];
	uint64_t changed_ns[ELECT_NODES][ELECT_NODES]; /* something about these two */
	uint64_t clean_jitter_ns;
	uint64_t late_ns;		/* timers are so late, in each world by another time */
	uint32_t claimed[ELECT_CLAIMS]; /* who said last that it has this address */
	struct actions *actions;
	bool trace;
	uint64_t n_forwarded, n_refused, n_answers, n_roles, n_stalls;
	void *arg;
	/* After each call of an engine. */
	void (*observe)(struct elect *w);
	void (*note)(struct elect *w, const struct elect_node *node, const struct note *note);
};

/* Where an address of a dispatcher is. */
struct elect_claim {
	enum elect_way way;
	uint8_t address[4];
};
extern const struct elect_claim elect_claims[ELECT_CLAIMS];

struct elect *elect_new(uint64_t seed, const struct elect_plan *plan, struct actions *actions);
void elect_free(struct elect *w);
uint64_t elect_dice(struct elect *w, uint64_t sides);
void elect_run(struct elect *w, uint64_t until_ns);

static inline enum elect_dispatcher elect_way_dispatcher(enum elect_way way)
{
	return way == WAY_OUTSIDE || way == WAY_FRONT ? OUTER : INNER;
}

/* NULL: the node is dead, or not one that may play it. */
const struct takeover_role *elect_role(const struct elect_node *node, enum elect_dispatcher d);
bool elect_is(const struct elect_node *node, enum elect_dispatcher d, enum wire_role_state state);
/* Place in the order of the dispatcher's nodes, or ELECT_NOBODY. */
unsigned elect_rank(const struct elect *w, enum elect_dispatcher d, unsigned node);
bool elect_able(const struct elect_node *node, enum elect_dispatcher d);

/* All of this is done to nodes that are alive and run, and else nothing happens; but elect_kill
 * and elect_start. */
void elect_kill(struct elect *w, unsigned node);
void elect_start(struct elect *w, unsigned node);
void elect_leave(struct elect *w, unsigned node);
/* No call until then; after it what waited arrives, the oldest first, as far as there was room. */
void elect_stall(struct elect *w, unsigned node, uint64_t for_ns);
void elect_wake(struct elect *w, unsigned node);
void elect_port(struct elect *w, unsigned node, enum elect_way way, bool up);
void elect_reload(struct elect *w, unsigned node, unsigned variant);
int elect_order(struct elect *w, unsigned node, enum elect_dispatcher d);

void elect_set_link(struct elect *w, enum elect_way way, unsigned from, unsigned to,
		    const struct elect_link *link);
void elect_heal(struct elect *w);
/* By some way all that `from` says comes to `to`; nothing does by any. */
bool elect_hears(const struct elect *w, unsigned from, unsigned to);
bool elect_deaf(const struct elect *w, unsigned from, unsigned to);
/* There is such a way beside the cluster link. */
bool elect_hears_segment(const struct elect *w, unsigned from, unsigned to);

/* A packet for the dispatcher to the node's MAC address; an ARP request for one of its addresses
 * to all. */
void elect_probe(struct elect *w, unsigned node, enum elect_dispatcher d);
void elect_ask(struct elect *w, unsigned claim);

#endif
