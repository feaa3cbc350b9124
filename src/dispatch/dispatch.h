/*
 * dispatch.h - the dispatchers of one node: outer, inner and later stages (HD-1 to HD-24).
 *
 *            outer                    firewalls                  inner                  stages
 *  clients ──[ports]──(choose path)──[firewall-port]── fw1..n ──[firewall-port]──(learn path,
 *                                                                choose target, stamp)──[ports]──▶
 *
 * Every port of the configuration that a dispatcher names belongs to it; frames received there come
 * to dispatch_packet instead of the firewall role. A frame is from
 *   - a firewall (its source MAC is that of a path, on the firewall-port): teaches the path;
 *   - the stage before (its source MAC is that of a member in `from`): stamp or message tell it;
 *   - anybody else on one of the other ports: a client (outer), a server or inside host.
 * The path option is taken out of every SYN; it is believed only from the stage before.
 *
 * Services by L7 end in the node's private stack: their clients' packets leave by its port, and
 * only such flows may come back from there. Which target serves a request is asked for from
 * outside, by dispatch_l7_choose. Connections to servers that go by MAC address (l7/2), and those
 * between dispatchers on behalf of a client whose server hangs on another (relays), come out of a
 * second private stack, that of the servers' side; their packets have a table of their own, since
 * they look like the client's.
 *
 * Files: dispatch.c (who sent it, what flow, the order of things), balance.c (what passes between
 * the two sides of a sandwich), serve.c (services: choose a target, l4/2, l4/3), serve_l7.c
 * (services by L7), leg.c and leg_table.c (connections by MAC), find.c (who is connected to a
 * server?), stage.c (path by stamp and message), path.c (firewalls: MAC addresses, probes,
 * verdicts), target.c (weights, load, health verdicts, sharing between dispatchers), dflow.c (the
 * life of a flow), takeover*.c (several nodes for one dispatcher), replica*.c (and
 * their tables).
 */
#ifndef DISPATCH_DISPATCH_H
#define DISPATCH_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/l7_counts.h"
#include "cluster/channel.h"
#include "dispatch/affinity.h"
#include "dispatch/choice.h"
#include "dispatch/flow.h"
#include "dispatch/replica.h"
#include "dispatch/service.h"
#include "dispatch/takeover.h"
#include "flow/frag.h"
#include "flow/table.h"
#include "node/node.h"

struct traffic {
	uint64_t packets, bytes;
};

/* A firewall, as one dispatcher of this node sees it. */
struct path {
	bool on_segment;    /* it has an address on this dispatcher's firewall-port */
	struct ipaddr addr; /* that one */
	struct hop hop;
	bool has_mac;
	struct macaddr mac;
	struct traffic to, from;
	uint64_t flows_total;
	uint64_t rate_mark; /* packets when the rate was last computed */
	/* probes */
	uint64_t nonce[2], sent_ns;
	uint16_t sequence;
	uint16_t probe_id;   /* of echo requests; 0: the path's own */
	uint32_t good, bad;  /* in a row */
	uint64_t witness_ns; /* after the first of the bad ones another path's came back, at... */
	bool waiting;
	bool unanswered;   /* its address was asked for in vain last */
	bool jointly;	   /* failed together with all others: perhaps nobody is behind them */
	bool failed;	   /* the verdict; the candidate is up when it is not, and on the segment */
	uint64_t since_ns; /* of the verdict */
	const char *why;   /* static text: what it rests on, or NULL */
};

#define PATH_SLOTS 256 /* a power of two, several times PARAMS_PATHS */

struct dispatcher {
	const struct dispatcher_params *params;
	uint16_t index;
	struct path *paths;		   /* params->n_paths */
	struct candidate *path_candidates; /* the same order */
	struct choice *path_choice;
	bool paths_stale; /* the choice does not know of all that has changed */
	struct frag_table *fragments;
	struct held_queue early; /* later fragments whose first has not come */
	uint64_t early_due_ns, probe_due_ns, rate_due_ns;
	uint8_t mac_slots[PATH_SLOTS]; /* hash of a firewall's MAC -> its index + 1, 0 = empty */
	uint32_t neighbours_seen;      /* node.neighbour_changes that the slots know of */
	uint32_t n_flows;	       /* open ones, not those that are closing */
	uint32_t voices;	       /* own addresses on the firewall-port, while it is up */
	uint64_t from_macs; /* filter: one bit per last byte of an upstream member's MAC */
};

/* A target; one array for the whole node. */
struct target {
	uint16_t port;	       /* where it is: port of the node, PARAMS_NO_PORT = not known yet */
	struct ipaddr addr[2]; /* next hop by IPv4, IPv6; unspecified = none */
	struct traffic to, from;
	uint64_t flows_total;
	uint32_t rate_packets;
	bool checked;		  /* its check has given a verdict */
	bool check_up;		  /* the check's verdict */
	uint32_t good, bad;	  /* results of the check in a row */
	uint64_t told_ns, hit_ns; /* when the last came, the last good one */
	uint64_t miss_ns;	  /* when the first of the bad ones was known */
	uint64_t witness_ns;	 /* since then another by the same port has answered, first at... */
	bool vouched;		 /* the last bad one was asked after that: it is the target */
	bool doubted;		 /* down, and its flows are left alone for now */
	const char *said;	 /* static text: what the last check said */
	const char *why;	 /* static text: why it is up or down */
	uint64_t since_ns;	 /* up or down since */
	struct ipaddr server[2]; /* as configured: another is to be checked anew */
	bool was_up, told_down;	 /* told_down: NOTE_TARGET_DOWN is out */
	bool by_host;		 /* only the host's own stack speaks to it (L7) */
	uint64_t drained_ns;	 /* takes nobody new since, 0 = it does */
	struct l7_target_counts l7;
	/* weight: of the configuration, set at run time, of the agent */
	uint32_t configured;
	uint32_t weight;      /* configured, or as set at run time */
	uint8_t load_percent; /* agent: 0..100 of the weight; 100 when there is none */
	bool drained;	      /* at run time */
	bool agent_drained, agent_down, agent_maint;
	uint64_t version; /* of weight and drained: larger wins between dispatchers */
	uint16_t set_by;  /* node id that gave them; breaks ties; 0 = configuration */
	uint8_t tell;	  /* how often the others are still told of them */
};

struct service_state {
	struct choice *choice;
	uint64_t flows_total, refused; /* refused: no target was up */
	struct traffic to, from;
	bool stale; /* `choice` does not know yet what has changed */
	struct l7_service_counts l7;
};

/* What another member says of the dispatchers that it may play for others (HD-19): a stage answers
 * to the one that plays them. */
struct first_stage {
	uint8_t boot_id[WIRE_BOOT_ID];
	uint32_t seq;
	uint8_t n;
	struct {
		uint32_t dispatcher; /* name_id */
		uint64_t active_ns;  /* plays it since, 0 = does not */
	} roles[PARAMS_DISPATCHERS];
};

struct leg_table;
struct find_table;

/* What passes between this node and another dispatcher for cookies (HD-18). */
struct relay {
	struct l7_target_counts to;
	struct l7_relay_counts from;
};

struct dispatch {
	struct node *node;
	const struct params *params;
	struct channel *channel; /* NULL without a cluster */
	uint64_t start_ns;

	struct replica *replica;	 /* NULL like takeover */
	bool sees_servers, lost_servers; /* takeover_look */
	struct takeover *takeover;	 /* NULL: no other node may play a dispatcher of this one */
	uint16_t port_dispatcher[PARAMS_PORTS]; /* index, or PARAMS_NONE */
	bool has_stack;				/* some service may be by L7 */
	struct leg_table *legs;			/* NULL: nothing is delivered by MAC for L7 */
	struct find_table *finds;		/* NULL: nobody is asked for servers */
	struct relay relays[PARAMS_MEMBERS];
	uint32_t n_dispatchers;
	struct dispatcher dispatchers[PARAMS_DISPATCHERS];

	struct flow_table *flows;
	uint32_t touched; /* index of the flow of the packet under way, or FLOW_NO_INDEX */
	unsigned touched_side;
	uint32_t n_opening, evict_hand;
	uint32_t sweep_pos; /* flows of what went down are looked for a few at a time */
	bool sweeping;
	uint64_t sweep_again_ns;

	struct service_table *services;
	struct service_state *service_states;
	struct target *targets;
	struct candidate *target_candidates;
	struct affinity_table *affinities;
	bool targets_stale;	     /* some service is */
	uint16_t targets_generation; /* of the routes they were found by */
	uint32_t links_seen;	     /* bit per port that has been up */
	uint64_t targets_due_ns, target_rate_ns;
	/* weights told to the other dispatchers */
	uint64_t version_max; /* largest known */
	uint64_t share_due_ns, share_all_ns;
	uint8_t share_members[PARAMS_MEMBERS]; /* how often one that came up is still told all */

	struct flow_table *waits; /* stage: packets that wait for word of their path */
	struct first_stage first_stages[PARAMS_MEMBERS];
	uint64_t segment_ids[PARAMS_PORTS];
};

struct dispatch_lookup {
	struct dispatcher *d;
	struct flow_key key; /* zone = dispatcher */
	uint64_t hash;
	unsigned dir;	   /* of the packet, or for an ICMP error of the quoted packet */
	uint16_t path;	   /* firewall that sent it, or PARAMS_NONE */
	uint16_t upstream; /* member index + 1 of the stage before, 0 = none */
	uint16_t stamp;	   /* path id that the stage before has put in, 0 = none */
	bool prepared;
	bool by_twin; /* the packet is as the server sees it (l4/3) */
	struct frag *frag;
};

/* `seed` from the kernel. 0 or -ENOMEM; then nothing is left behind. Does nothing when the
 * configuration has no dispatcher. */
int dispatch_init(struct dispatch *d, struct node *node, struct channel *channel,
		  const uint64_t seed[10]);
void dispatch_fini(struct dispatch *d);
/* Swap in a new configuration: every flow stays; what a flow names is found again by its name (HD-
 * 24). `old` is the configuration so far. */
int dispatch_configure(struct dispatch *d, const struct params *params);

static inline bool dispatch_owns(const struct dispatch *d, uint16_t port)
{
	return d->n_dispatchers > 0 && d->port_dispatcher[port] != PARAMS_NONE;
}

/* Whether packets from the node's own address on port `own` may come by `port`: with outer and
 * inner in one process, what the one sends passes a firewall and reaches the other. */
static inline bool dispatch_may_meet_own(const struct dispatch *d, uint16_t port, uint16_t own)
{
	return dispatch_owns(d, port) && own < PARAMS_PORTS && dispatch_owns(d, own) &&
	       d->port_dispatcher[port] != d->port_dispatcher[own] &&
	       d->dispatchers[d->port_dispatcher[port]].params->firewall_port == port;
}

/* As firewall_prepare, firewall_prefetch and firewall_packet. */
void dispatch_prepare(struct dispatch *d, const struct pkt *pkt, struct dispatch_lookup *l);
void dispatch_prefetch(struct dispatch *d, const struct dispatch_lookup *l);
void dispatch_packet(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l);

/* ICMP echo to or from one of the node's own virtual addresses on a port that dispatch_owns: true
 * when it was a probe's (or the answer to one) and has been taken over. Asked before the node
 * judges own addresses, since with outer and inner in one process both ends of a probe are own. */
bool dispatch_probe(struct dispatch *d, struct pkt *pkt);

/* A proven message: WIRE_PATH, WIRE_PATH_ASK, WIRE_TARGETS, WIRE_WHO_HAS, WIRE_HAVE, WIRE_ROLE,
 * WIRE_SYNC, WIRE_SYNC_ASK. */
void dispatch_message(struct dispatch *d, struct channel_message *msg);
void dispatch_members_changed(struct dispatch *d);
void dispatch_member_up(struct dispatch *d, uint32_t member);

uint64_t dispatch_tick(struct dispatch *d);
uint32_t dispatch_flush(struct dispatch *d);

/* Operator and checks. 0, -ENOENT, -EINVAL. `why` is static text. */
int dispatch_set_weight(struct dispatch *d, const char *target, uint32_t weight);
int dispatch_set_drain(struct dispatch *d, const char *target, bool drain);
void dispatch_target_health(struct dispatch *d, uint16_t target, bool up, const char *why);
/* The agent's word: percent of the weight (0..100), or an enum agent_word (agent.h). */
void dispatch_target_load(struct dispatch *d, uint16_t target, int percent);

/* Services by L7: as the functions of engine/engine.h with these names. */
uint16_t dispatch_l7_choose(struct dispatch *d, uint16_t service, const struct endpoint *client,
			    const struct endpoint *to);
enum l7_standing dispatch_l7_standing(const struct dispatch *d, uint16_t target,
				      uint64_t *since_ns);
void dispatch_l7_flow(struct dispatch *d, uint16_t target, bool begins);
int dispatch_l7_leg(struct dispatch *d, uint16_t target, const struct endpoint *from,
		    const struct endpoint *to);
uint16_t dispatch_l7_leg_from(struct dispatch *d, const struct endpoint *from,
			      const struct endpoint *to);
void dispatch_l7_leg_serves(struct dispatch *d, const struct endpoint *from,
			    const struct endpoint *to, uint16_t target);
void dispatch_l7_leg_end(struct dispatch *d, const struct endpoint *from,
			 const struct endpoint *to);
enum l7_found dispatch_l7_find(struct dispatch *d, uint16_t service, uint32_t server,
			       uint16_t *target);
uint32_t dispatch_l7_news(const struct dispatch *d);

/* --- between the files of this folder --- */

/* dispatch.c */
static inline bool dispatch_is_service(const struct dflow *f)
{
	return f->service != PARAMS_NONE;
}
/* A flow of a service by L7: the private stack is its server. */
static inline bool dispatch_by_stack(const struct dispatch *d, const struct dflow *f)
{
	return d->has_stack && dispatch_is_service(f) &&
	       technology_is_l7(d->params->services[f->service].technology);
}
/* From the clients' stack. */
static inline bool dispatch_from_stack(const struct dispatch *d, const struct pkt *pkt)
{
	return d->has_stack && pkt->frame->port == d->params->stack_port;
}
/* A packet whose flow key is known. Takes the frame over. */
void dispatch_route(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l);
/* On to where packets of that side of the flow go: a firewall, a target, or by the routes. Takes
 * the frame over; addresses are as the receiver is to see them. */
enum drop dispatch_send(struct dispatch *d, struct pkt *pkt, struct dflow *f, unsigned side);
/* Whether dispatch_send has somebody to send packets of that side to. */
bool dispatch_reaches(const struct dispatch *d, const struct dflow *f, unsigned side);
/* Whether packets of that side go towards the firewalls. */
bool dispatch_to_firewalls(const struct dispatch *d, const struct dflow *f, unsigned side);
/* Rewrite a packet of that side into what the receiver sees (l4/3), from what clients see; nothing
 * for other flows. */
void dispatch_translate(struct dispatch *d, struct pkt *pkt, const struct dflow *f, unsigned side);
/* Neither of a known flow nor the beginning of one: as configured (HD-4). */
void dispatch_unknown(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l);
/* Nobody serves what the packet asks for: it is dropped, and where unknown packets are answered by
 * resets, its sender is told. */
void dispatch_refuse(struct dispatch *d, struct pkt *pkt, const struct dispatcher *x,
		     enum drop why);
void dispatch_note(struct dispatch *d, enum note_type type, const struct dflow *f,
		   const char *detail);

/* dflow.c */
struct dflow *dflow_find(struct dispatch *d, const struct flow_key *key, uint64_t hash,
			 bool *by_twin);
/* A new flow; an opening one gives way when the table is full. NULL: no room even so. */
struct dflow *dflow_new(struct dispatch *d, const struct dispatch_lookup *l);
/* Its twin: `t` is what the originator's packets look like on the server's side. False when that
 * key is taken. */
bool dflow_add_twin(struct dispatch *d, struct dflow *f, const struct pkt_tuple *t,
		    uint8_t version);
/* One that was known before a restart: new, it weighs nothing and does not give way, until it is
 * what it was (flags, path, target). */
void dflow_begin_resume(struct dispatch *d, struct dflow *f);
void dflow_resume(struct dispatch *d, struct dflow *f, bool counted);
void dflow_remove(struct dispatch *d, struct dflow *f, enum drop reason);
/* Path and target of a flow; the counters of who has how many flows follow. */
void dflow_set_path(struct dispatch *d, struct dflow *f, uint16_t path, enum dflow_by by);
void dflow_set_target(struct dispatch *d, struct dflow *f, uint16_t target, enum dflow_by by);
/* Its state was set by hand: it is counted among the open ones, or not. */
void dflow_settle(struct dispatch *d, struct dflow *f);
/* After every packet: count, follow, arm. */
void dflow_touch(struct dispatch *d, struct dflow *f, const struct pkt *pkt, unsigned side);
/* Tell both sides of a TCP flow by resets, as far as they are reached and their numbers known. */
void dflow_reset(struct dispatch *d, struct dflow *f);
/* A reset for the side that sends packets of `tuple` and said that last, as a frame without
 * Ethernet addresses in the actions' memory. False: there is no room. */
bool dflow_reset_frame(struct dispatch *d, const struct pkt_tuple *tuple, uint8_t version,
		       const struct tcp_seg *said, struct frame *frame);
/* The tuple of packets of that side, in the form of this entry (flow or twin). */
struct pkt_tuple dflow_tuple(const struct dflow *f, unsigned side);
/* The client of a flow of a service. */
struct ipaddr dflow_client(const struct dflow *f);
/* Flows of firewalls and targets that are down are to be looked for. */
static inline void dflow_sweep_soon(struct dispatch *d)
{
	d->sweeping = true;
	d->sweep_pos = 0;
}
uint64_t dflow_tick(struct dispatch *d);

/* dflow_offload.c: nothing is done when the kernel passes nothing on */
/* A packet of the flow has just been sent as frame `n_sent` of the actions, if it has been sent. */
void dflow_offer(struct dispatch *d, struct dflow *f, unsigned side, const struct pkt *pkt,
		 uint32_t n_sent);
/* Count what the kernel has passed on. True: because of that the flow is not due. */
bool dflow_offload_take(struct dispatch *d, struct dflow *f);
void dflow_offload_end(struct dispatch *d, struct dflow *f);
void dflow_offload_tick(struct dispatch *d, uint32_t index);

/* balance.c: between the two sides */
void balance_packet(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l,
		    struct dflow *f);
/* A packet of no flow, from the network side, by the static choice. Takes the frame over. */
void balance_static(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l);
/* Towards the flow's firewall, or back to the stage before, or by the routes; another firewall when
 * it is down and flows are to move. */
enum drop balance_to_path(struct dispatch *d, struct pkt *pkt, struct dflow *f, unsigned side);
/* What the frame's sender teaches of the flow's path. */
void balance_learn(struct dispatch *d, const struct dispatch_lookup *l, struct dflow *f);
/* Firewall for a new flow. PARAMS_NONE: none is up. */
uint16_t balance_choose(struct dispatcher *x, const struct flow_key *key);

/* serve.c: services */
/* A packet from a client for a service; f NULL: of no known flow. Takes the frame over. */
void serve_packet(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l, struct dflow *f,
		  uint16_t service);
/* What makes the choice of a target for a client; `key` of the flow or connection. */
struct serve_pick {
	uint16_t target; /* or PARAMS_NONE: nobody is up */
	enum dflow_by by;
	struct affinity *affinity; /* the client's with that service, or NULL; not told yet */
};
struct serve_pick serve_pick(struct dispatch *d, const struct dispatcher *x, uint16_t service,
			     const struct flow_key *key, const struct ipaddr *client);
/* The target's next hop: of the packet's family, by MAC of any, since only a MAC address is wanted.
 */
const struct ipaddr *serve_next_hop(const struct target *t, const struct pkt *pkt);
/* To the flow's target. Takes the frame over. */
enum drop serve_to_target(struct dispatch *d, struct pkt *pkt, struct dflow *f, unsigned side);
/* A flow that a server begins towards a client that it serves (active FTP): the path of the
 * client's affinity, the service's address as source. False: not such a flow. */
bool serve_server_starts(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l);
/* The other way round: a client answers a flow that a server of a later stage has begun, past this
 * node. It goes to the target of the client's affinity. False: not such a packet. */
bool serve_client_answers(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l);

/* serve_l7.c */
/* To the private stack. Takes the frame over. */
enum drop serve_to_stack(struct dispatch *d, struct pkt *pkt, struct dflow *f);
bool serve_stack_works(const struct dispatch *d);
/* What the packet's sender may say of the flow (f NULL: of none); otherwise it was dropped: from
 * the private stack comes nothing but its side of flows that it serves, and that from nowhere else.
 */
bool serve_may_speak(struct dispatch *d, struct pkt *pkt, const struct dispatch_lookup *l,
		     const struct dflow *f);

/* leg.c, leg_table.c: connections of the servers' stack, by MAC (l7/2 and relays). Nothing is done
 * without that stack. */
int legs_init(struct dispatch *d, const struct hash_key *secret);
void legs_fini(struct dispatch *d);
/* Targets, services and members have got other indices; those whose end is gone are reset. */
void legs_configure(struct dispatch *d, const struct params *old);
/* A packet out of the servers' stack. Takes the frame over. */
void legs_out(struct dispatch *d, struct pkt *pkt);
/* A packet from anywhere else: true when it is of a leg, or begins one that another dispatcher
 * relays; and then it was taken over. */
bool legs_in(struct dispatch *d, struct pkt *pkt);
/* One that is of no flow either: true when it would be of a leg that is forgotten. Then its sender
 * was told by a reset, and it was dropped. */
bool legs_forgotten(struct dispatch *d, struct pkt *pkt);
/* Whether it may come from an address of the node's own: it is, or was, of a leg. */
bool legs_own(const struct dispatch *d, const struct pkt *pkt);
/* Some member is down, or was started anew: its legs are reset, towards the stack. */
void legs_members_lost(struct dispatch *d);
uint64_t legs_tick(struct dispatch *d);
/* Whether relays to that member work: it is up, and on a segment in common. */
bool legs_reach(const struct dispatch *d, uint16_t member);

/* find.c: who is connected to the server of a cookie? */
int finds_init(struct dispatch *d);
void finds_fini(struct dispatch *d);
/* Everything that was found, or not, is forgotten. */
void finds_configure(struct dispatch *d);
void finds_members_changed(struct dispatch *d);
/* How many servers that member is now known to have, because it was asked. */
uint32_t finds_at(const struct dispatch *d, uint16_t member);
/* WIRE_WHO_HAS, WIRE_HAVE */
void finds_message(struct dispatch *d, struct channel_message *msg);
uint64_t finds_tick(struct dispatch *d);
uint64_t finds_next(const struct dispatch *d); /* when it is due, which a question brings forward */

/* stage.c */
int stage_init(struct dispatch *d, const struct hash_key *secret);
/* Who sent this frame: the member index + 1 of a stage before, 0 = none. */
uint16_t stage_upstream(const struct dispatch *d, const struct dispatcher *x,
			const struct pkt *pkt);
/* ROLE of a member (HD-19). */
void stage_hear(struct dispatch *d, uint32_t member, const uint8_t boot_id[WIRE_BOOT_ID],
		const struct wire_role *m);
/* Read and take out the stamp of a SYN. */
void stage_unstamp(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l);
/* The path of a new flow that came by the stage before. 0 with *path and *by; -EAGAIN: the packet
 * waits for word of it (the frame was taken over); -ENOENT: it was dropped. */
int stage_path(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l, uint16_t *path,
	       enum dflow_by *by);
/* A later fragment of a flow whose first packet waits like that waits, too. False: none does. */
bool stage_join(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l);
/* To a dispatcher of the next stage, which is told the path with the flow's first packet. */
enum drop stage_to_member(struct dispatch *d, struct pkt *pkt, struct dflow *f, unsigned side,
			  uint16_t member);
/* Back to the stage before. */
/* The flow comes by another member now, which takes its answers. */
void stage_follow(struct dispatch *d, struct dflow *f, uint16_t upstream);
enum drop stage_back(struct dispatch *d, struct pkt *pkt, struct dflow *f);
/* The path of a flow that a next stage serves has changed. */
void stage_tell(struct dispatch *d, const struct dflow *f, uint16_t member);
void stage_message(struct dispatch *d, struct channel_message *msg);
/* Port and MAC address of a member on a segment that a dispatcher of this node is on, too. */
bool stage_member_mac(const struct dispatch *d, uint32_t member, uint16_t *port,
		      struct macaddr *mac);
uint64_t stage_tick(struct dispatch *d);

/* path.c: fill in what follows from the configuration; what is known at run time (MAC address,
 * verdict, counters) has been carried over by the caller or is zero. */
int path_init(struct dispatch *d, struct dispatcher *x);
uint16_t path_by_mac(struct dispatch *d, struct dispatcher *x, const struct macaddr *mac);
bool path_probe(struct dispatch *d, struct dispatcher *x, struct pkt *pkt);
uint16_t path_by_id(const struct params *p, uint16_t id); /* index or PARAMS_NONE */
/* A frame has come from that firewall: it is there, even if its answers to ARP get lost. */
void path_heard(struct dispatch *d, const struct dispatcher *x, uint16_t path);
/* As the node that plays the dispatcher says; `mac` NULL: it does not know. */
void path_told(struct dispatch *d, struct dispatcher *x, uint16_t path, const struct macaddr *mac,
	       bool failed, bool jointly);
/* There are some, and not one of them answers for its address. */
bool path_none_answers(const struct dispatch *d, const struct dispatcher *x);
uint64_t path_tick(struct dispatch *d);

/* target.c */
/* Targets and candidates are those of d->params: what was known of them before a reload, else zero.
 * From here on choice_update is called whenever a candidate of a service has changed. */
int target_init(struct dispatch *d);
/* Whether the target's flows may be sent to it: it is up, even if it takes no new ones. */
bool target_usable(const struct dispatch *d, uint16_t target);
/* Whether the flows that it has are to end or to move: it is down, and not because this process has
 * only just begun. */
bool target_lost(const struct dispatch *d, uint16_t target);
/* Whether one of the service's targets may still come up after this process has begun. */
bool target_awaited(const struct dispatch *d, const struct service_params *s);
/* Members, links or routes have changed: where is everybody now? */
void target_refresh(struct dispatch *d);
void target_member_up(struct dispatch *d, uint32_t member);
void target_message(struct dispatch *d, struct channel_message *msg);
uint64_t target_tick(struct dispatch *d);
/* What is known of a target has changed: its candidate and all that follows; target_update then
 * tells the choices of what several such calls have changed. */
void target_judge(struct dispatch *d, uint16_t target);
void target_update(struct dispatch *d);

/* target_share.c */
void target_share_init(struct dispatch *d);
/* Its weight was set here: a new version, for all to know. */
void target_share(struct dispatch *d, uint16_t target);
uint64_t target_share_tick(struct dispatch *d);

#endif
