/*
 * engine.h - one node: its roles joined, without I/O, clock or log.
 *
 * Every call takes the time (monotonic ns) and a struct actions to which it adds what is to be
 * done. Several engines live in one process in the simulation; a capture can be replayed through
 * one. Frames given to engine_frames may be changed in place.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/drop.h"
#include "base/l7_counts.h"
#include "base/params.h"
#include "cluster/keyring.h"
#include "engine/actions.h"
#include "node/offload.h"
#include "packet/frame.h"

struct engine;

/* From the kernel's random source, by way of the caller. */
struct engine_seed {
	uint8_t boot_id[16];
	uint64_t words[8];
};

/* `params` must outlive the engine or be replaced by engine_reload; `keys` (NULL without a cluster)
 * is owned by the engine from here on. NULL when memory does not suffice. */
struct engine *engine_new(const struct params *params, struct keyring *keys,
			  const struct engine_seed *seed, uint64_t now_ns);
void engine_free(struct engine *e);

struct engine_link {
	bool up;
	struct macaddr mac; /* the device's; the port's own comes from the configuration */
	uint32_t mtu;
	bool takes_gso; /* super-frames may leave by it */
	bool takes_partial_csum;
	bool is_capture; /* a capture file: takes frames for any MAC, nobody answers ARP */
	bool is_ours;	 /* no other host can have our addresses there: they are not probed */
	uint32_t ifindex;
	bool offload;  /* the kernel program is attached there */
	bool has_peer; /* private stack: who receives all that is sent there */
	struct macaddr peer;
};
void engine_set_link(struct engine *e, uint16_t port, const struct engine_link *link,
		     uint64_t now_ns, struct actions *out);

/* MTU of the cluster link: larger queries go without the packet. */
void engine_set_cluster_mtu(struct engine *e, uint32_t mtu);

/* Addresses of the host (all interfaces): packets to them are left to the kernel. `port` says
 * which port's device holds it, or PARAMS_NO_PORT. */
struct engine_address {
	struct prefix prefix; /* host bits kept */
	uint16_t port;
};
void engine_set_addresses(struct engine *e, const struct engine_address *v, size_t n);

/* Routes of the kernel over this node's ports; the configured ones are added by the engine. */
struct engine_route {
	struct prefix dst;
	struct ipaddr via;
	uint16_t port;
	uint32_t metric;
};
int engine_set_routes(struct engine *e, const struct engine_route *v, size_t n);

void engine_frames(struct engine *e, struct frame *frames, unsigned n, uint64_t now_ns,
		   struct actions *out);
void engine_datagram(struct engine *e, uint8_t *data, size_t size, const struct endpoint *from,
		     bool multicast, uint64_t now_ns, struct actions *out);
/* Timers. Returns when to call next. Every other call may bring that forward: ask engine_next. */
uint64_t engine_tick(struct engine *e, uint64_t now_ns, struct actions *out);
uint64_t engine_next(const struct engine *e);

/* Swap in a new configuration, keeping all flows. `keys` NULL = keep the old ones. */
int engine_reload(struct engine *e, const struct params *params, struct keyring *keys,
		  uint64_t now_ns, struct actions *out);
/* Before the goodbye: dispatchers that this node plays are handed over (HD-19). True: some were,
 * and the call is to be made when engine_leaving is false; frames go on until then. */
bool engine_leave(struct engine *e, uint64_t now_ns, struct actions *out);
bool engine_leaving(const struct engine *e);
void engine_goodbye(struct engine *e, uint64_t now_ns, struct actions *out);
/* By the operator's order this node is to play the dispatcher. 0; -ENOENT: there is none of that
 * name; -EINVAL: no other node may play it; -EAGAIN: one of its ports is down here. */
int engine_take_over(struct engine *e, const char *dispatcher, uint64_t now_ns,
		     struct actions *out);

/* By the operator's order this node hands over what it can: its flows to other members, dispatchers
 * to the nodes that stand by for them; and takes nothing of the kind until `drain` is false. 0;
 * -EOPNOTSUPP: nobody else could have any of it; -ENETUNREACH: nobody who could is up. */
int engine_drain_node(struct engine *e, bool drain, uint64_t now_ns, struct actions *out);

enum engine_flush { ENGINE_FLUSH_FLOWS, ENGINE_FLUSH_FORWARDS, ENGINE_FLUSH_NEGATIVE };
/* Forget; returns how many. */
uint32_t engine_flush(struct engine *e, enum engine_flush what, uint64_t now_ns,
		      struct actions *out);

/* Targets of dispatchers: what the operator says (0, -ENOENT, -EINVAL), what a check has found
 * (`why` is static text), what an agent says (see dispatch_target_load). */
int engine_set_weight(struct engine *e, const char *target, uint32_t weight, uint64_t now_ns,
		      struct actions *out);
int engine_set_drain(struct engine *e, const char *target, bool drain, uint64_t now_ns,
		     struct actions *out);
void engine_target_health(struct engine *e, uint16_t target, bool up, const char *why,
			  uint64_t now_ns, struct actions *out);
void engine_target_load(struct engine *e, uint16_t target, int word, uint64_t now_ns,
			struct actions *out);

/* Let the kernel pass on packets of flows that are known well enough, through shared memory `m`
 * (node/offload.h), which stays the caller's. Once, before frames flow. -ENOMEM. */
int engine_set_offload(struct engine *e, const struct offload_memory *m);
/* Keys for the kernel's hash: carried out after every call that may have changed something. */
bool engine_offload_pending(const struct engine *e);
bool engine_offload_change(struct engine *e, struct offload_change *c);
void engine_offload_failed(struct engine *e, const struct offload_change *c);

/* Services by L7: requests are read by the caller (src/proxy), on connections that come out of the
 * private stack; which target serves them is the engine's to say, by the algorithm, weights, health
 * and affinity of the service or route. PARAMS_NONE: none is up, and no sorry target. */
uint16_t engine_l7_choose(struct engine *e, uint16_t service, const struct endpoint *client,
			  const struct endpoint *to, uint64_t now_ns);

/* `*since_ns`: when it came to be drained or down. */
enum l7_standing engine_l7_standing(const struct engine *e, uint16_t target, uint64_t *since_ns);
/* A request for the target begins, or has ended: what least-connections goes by. */
void engine_l7_flow(struct engine *e, uint16_t target, bool begins);
/* To be counted in. Valid until the next reload. `target` may be a relay (base/l7_counts.h) in all
 * of these. */
struct l7_service_counts *engine_l7_service_counts(struct engine *e, uint16_t service);
struct l7_target_counts *engine_l7_target_counts(struct engine *e, uint16_t target);
struct l7_relay_counts *engine_l7_relay_counts(struct engine *e, uint16_t member);

/* Connections of the servers' stack, whose packets the engine delivers by MAC (l7/2 and relays;
 * dispatch/leg.h). From now on packets from `from` to `to` go to that target, or to the dispatcher
 * of a relay; the connection's SYN has been sent, but not yet seen here. 0, -ENOMEM when there are
 * as many as may be, -EHOSTUNREACH. */
int engine_l7_leg(struct engine *e, uint16_t target, const struct endpoint *from,
		  const struct endpoint *to, uint64_t now_ns);
/* One that was accepted there, from a client's address `from` for the service's address `to`: the
 * member that relays it, or PARAMS_NONE: nobody knows of it. */
uint16_t engine_l7_leg_from(struct engine *e, const struct endpoint *from,
			    const struct endpoint *to, uint64_t now_ns);
/* What serves it now, for the matching table: a target, or PARAMS_NONE. */
void engine_l7_leg_serves(struct engine *e, const struct endpoint *from, const struct endpoint *to,
			  uint16_t target);
/* Its descriptor is closed (the connection may have its end still before it). */
void engine_l7_leg_end(struct engine *e, const struct endpoint *from, const struct endpoint *to,
		       uint64_t now_ns);
/* Whom the server with that name id (base/name_id.h) is connected to, which the service's cookie
 * names and this node is not: by the configuration, or by asking, as the service has it. FOUND:
 * *target is a relay. LATER: engine_l7_news changes when more is known; ask engine_next. */
enum l7_found engine_l7_find(struct engine *e, uint16_t service, uint32_t server, uint16_t *target,
			     uint64_t now_ns);
uint32_t engine_l7_news(const struct engine *e);

/* Which notes are wanted: bit (1 << enum note_type). */
void engine_want_notes(struct engine *e, uint32_t mask);

const uint64_t *engine_counters(const struct engine *e); /* COUNTER_COUNT */
const uint64_t *engine_drops(const struct engine *e);	 /* DROP_COUNT */
uint32_t engine_held(const struct engine *e);		 /* packets waiting for something */

#endif
