/*
 * channel_impl.h - the inside of the channel, shared by channel.c (life, sending), channel_input.c
 * (what becomes of a datagram), boot.c (new boot ids and their challenges) and liveness.c (hellos,
 * who is up, who needs unicast). Nobody else includes it.
 *
 * Every datagram ends in exactly one verdict, the counter it is counted under; COUNTER_MSG_IN is
 * the good one.
 */
#ifndef CLUSTER_CHANNEL_IMPL_H
#define CLUSTER_CHANNEL_IMPL_H

#include "base/bucket.h"
#include "cluster/channel.h"
#include "cluster/epoch.h"

#define NS_PER_MS 1000000ULL
#define CHANNEL_CANDIDATES 2
#define CHANNEL_RETIRED 4

/* A boot id whose messages are authentic, but which has not yet shown that it lives now: it may be
 * a recording. Ends when its challenge is answered or expires. */
struct candidate {
	struct epoch epoch;
	struct endpoint from; /* where the challenge goes */
	uint64_t since_ns;    /* the nonce was drawn */
	uint64_t asked_ns;    /* the challenge was last sent */
	unsigned n_asked;
	uint8_t nonce[WIRE_NONCE];
};

/* At most one event in 10 s. */
struct event_limit {
	bool used;
	uint64_t last_ns;
};

/* The slot of this node itself holds whoever uses our node id: `live` is a proven impostor. */
struct member {
	struct channel_member pub;
	struct epoch live;
	struct candidate candidates[CHANNEL_CANDIDATES];
	uint8_t retired[CHANNEL_RETIRED][WIRE_BOOT_ID];
	unsigned n_retired, next_retired;
	bool has_hello;	       /* of the live boot */
	bool hears_us;	       /* by multicast, as its last hello said */
	bool multicast_heard;  /* ever, of the live boot */
	uint64_t multicast_ns; /* last hello by the group; before the first one, when we began to
				  wait */
	uint64_t differs;      /* its config_hash that was reported last */
	struct event_limit wrong_key, version;
	struct bucket derive, challenge, answer;
};

struct channel {
	const struct params *params;
	struct keyring *keys;
	struct channel_io io;
	struct rng rng;
	uint8_t boot_id[WIRE_BOOT_ID];
	uint64_t counter; /* of the last message sealed */
	struct seal tx;
	uint8_t tx_key_id;
	uint32_t generation; /* the last one given out; grows for all members together */
	uint32_t device_mtu; /* 0 = not known */
	uint64_t config_hash;
	uint64_t next_hello_ns;
	uint64_t due_ns;     /* what channel_tick last asked for */
	uint64_t resumed_ns; /* when we came back after a stall */
	bool leaving;
	uint32_t n_flows;
	uint8_t n_segments;
	struct wire_segment segments[PARAMS_PORTS];
	struct bucket derive, challenge, answer; /* all members together */
	struct event_limit duplicate;
	struct epoch scratch; /* to open the first message of an unknown boot */
	struct member *members[PARAMS_MEMBERS];
	struct member pool[PARAMS_MEMBERS];
};

/* One datagram on its way in. */
struct input {
	struct wire_header h;
	uint8_t *data;
	size_t size;
	const struct endpoint *from;
	bool multicast;
	uint64_t now_ns;
	struct rcur body; /* valid once opened */
};

static inline void channel_count(struct channel *ch, enum counter c)
{
	ch->io.counters[c]++;
}

static inline uint32_t channel_index(const struct channel *ch, const struct member *m)
{
	return (uint32_t)(m->pub.params - ch->params->members);
}

static inline bool channel_is_self(const struct channel *ch, const struct member *m)
{
	return channel_index(ch, m) == ch->params->self;
}

static inline uint64_t channel_dead_ns(const struct channel *ch)
{
	return ch->params->cluster.dead_ms * NS_PER_MS;
}

static inline bool channel_multicasts(const struct channel *ch)
{
	return ch->params->cluster.transport == TRANSPORT_MULTICAST;
}

/* Whether an event may be told now; if so, the next 10 s it may not. */
bool channel_may_tell(struct event_limit *l, uint64_t now_ns);
void channel_tell(struct channel *ch, const struct member *m, enum channel_event event);

/* Ready to seal under our boot id and the key that is active. */
void channel_set_key(struct channel *ch);

/* Seal what was begun with channel_begin: the whole datagram; NULL when it was too long. Then emit
 * it, as often as needed (`to` NULL = the group). */
const uint8_t *channel_seal(struct channel *ch, uint8_t type, struct wcur *body, size_t *size);
void channel_emit(struct channel *ch, const struct endpoint *to, const uint8_t *data, size_t size);

/* Open a datagram under `e`, a boot of `m`: COUNTER_MSG_IN, or why not. Sets in->body. */
enum counter channel_open(struct channel *ch, struct member *m, struct epoch *e, struct input *in);

/* boot.c - a datagram of a boot of `m` that is not the live one. */
enum counter boot_input(struct channel *ch, struct member *m, struct input *in);
/* A challenge by a proven or unproven boot of `m`. */
enum counter boot_challenged(struct channel *ch, struct member *m, struct input *in);
/* The live boot is over: remember it as stale, keep nothing else of it. */
void boot_retire(struct member *m);
/* Ask again, give up. Returns when to call next, UINT64_MAX when nothing is open. */
uint64_t boot_tick(struct channel *ch, struct member *m, uint64_t now_ns);

/* liveness.c - a proven message came from `m`. */
void liveness_heard(struct channel *ch, struct member *m, const struct input *in);
enum counter liveness_hello(struct channel *ch, struct member *m, struct input *in);
/* Up or down now; tells `event`. */
void liveness_set(struct channel *ch, struct member *m, bool up, enum channel_event event,
		  uint64_t now_ns);
/* A member with a new boot id or a new slot: begin to wait for it. */
void liveness_reset(struct member *m, uint64_t now_ns);
/* Send a hello to one endpoint. */
void liveness_greet(struct channel *ch, const struct endpoint *to, uint64_t now_ns);
uint64_t liveness_tick(struct channel *ch, uint64_t now_ns);
/* Whether what goes to everybody must go to `m` by a unicast copy of its own. */
bool liveness_needs_copy(const struct channel *ch, const struct member *m);

#endif
