/*
 * firewall.h - the role of a cluster member (FC-1 to FC-17).
 *
 * Look-up order for each packet: own state, forward table, does it start a flow (policy), query.
 *
 *   packet ──▶ firewall_packet ─┬─ own state ─────────▶ home_packet ──▶ node_forward
 *                               ├─ forward entry ─────▶ relay_to_home (layer 2 or tunnel)
 *                               ├─ orphan held here ──▶ backup_take_over ─▶ home_packet
 *                               ├─ starts a flow ─────▶ home_create
 *                               └─ unknown ───────────▶ ask_packet ──▶ query, packet held
 *   message ─▶ firewall_message ┬─ query ─────────────▶ answer_query ─▶ confirm, deliver
 *                               ├─ confirm ───────────▶ ask_confirmed ─▶ forward entry, relay
 *                               ├─ not-home, release, forward, yield
 *                               └─ backup, backup-end, taken, backup-ack ─▶ backup_message
 *
 * A forwarded frame (by its source MAC, or because it came in a datagram) is never queried and
 * never forwarded again.
 */
#ifndef FIREWALL_FIREWALL_H
#define FIREWALL_FIREWALL_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster/channel.h"
#include "firewall/backup.h"
#include "firewall/limits.h"
#include "firewall/policy.h"
#include "firewall/state.h"
#include "flow/frag.h"
#include "flow/table.h"
#include "node/node.h"

/* Queries that the home has answered, remembered so that a repeated one is not delivered again:
 * sets of eight, the oldest of a set gives way. */
#define SEEN_SETS 4096
#define SEEN_WAYS 8

/* An open query; an entry of the table of queries, armed for its next step. */
struct query {
	struct flow_entry entry; /* first; for fragments see ask.c */
	uint64_t id;
	uint64_t sent_ns;	/* first sent */
	struct held_queue held; /* the first is the one that asked */
	uint8_t tries;
	uint8_t dir;
	uint8_t flags; /* WIRE_QUERY_* of the message */
	bool carried;  /* the first held packet is inside the message */
	uint16_t port;
	uint32_t frag_id;
};

struct seen_query {
	uint64_t id;
	uint32_t member;
	bool delivered;
};

struct seen_set {
	struct seen_query ways[SEEN_WAYS];
	uint32_t next;
};

struct firewall {
	struct node *node;
	const struct params *params;
	struct channel *channel; /* NULL without a cluster */
	struct policy *policy;

	struct flow_table *states, *forwards, *queries;
	struct frag_table *fragments;
	struct held_queue early; /* later fragments whose first has not come */
	uint64_t early_due_ns;

	uint32_t n_half_open;
	uint32_t evict_hand;

	struct negative_cache *negative;
	struct source_buckets *sources;
	struct source_counts *source_flows; /* NULL without max-per-source */
	struct bucket query_packets, query_bytes;
	struct seen_set *seen; /* SEEN_SETS */
	struct backup *backup; /* NULL: flows end with their home */
	uint32_t backup_epoch; /* the last one used while there were backups */

	struct wire_keys *releases; /* one batch per member */
	uint64_t release_due_ns;

	uint64_t member_macs; /* filter: one bit per last byte of a member's MAC */
	uint64_t segment_ids[PARAMS_PORTS];
};

/* `seed` from the kernel. 0 or -ENOMEM; then nothing is left behind. */
int firewall_init(struct firewall *f, struct node *node, struct channel *channel,
		  const uint64_t seed[10]);
void firewall_fini(struct firewall *f);
int firewall_configure(struct firewall *f, const struct params *params);

struct lookup {
	struct flow_key key;
	uint64_t hash;
	unsigned dir;	   /* direction of the packet, or for an ICMP error of the quoted packet */
	uint32_t from;	   /* member that forwarded it, or NOTE_NO_MEMBER */
	bool prepared;	   /* key, dir and hash are filled in */
	bool delivering;   /* carried by a query: what does not fit is dropped, nothing asked */
	struct frag *frag; /* tracker of a fragmented datagram */
};

/* A batch goes through in three passes, so that the memory of one look-up arrives while others are
 * worked on: prepare every packet, prefetch every packet, then firewall_packet each. The last takes
 * the frame over. */
void firewall_prepare(struct firewall *f, const struct pkt *pkt, struct lookup *l);
void firewall_prefetch(struct firewall *f, const struct lookup *l);
void firewall_packet(struct firewall *f, struct pkt *pkt, struct lookup *l);

/* A proven message of another member. */
void firewall_message(struct firewall *f, struct channel_message *msg);
/* A member's MACs may have changed, or it went away. */
void firewall_members_changed(struct firewall *f);
/* A member is down, has left or began anew: its forward entries die (FC-11). */
void relay_member_gone(struct firewall *f, uint32_t member);

uint64_t firewall_tick(struct firewall *f);
/* What was due is done only now, so much later: others may have taken this member for lost. False:
 * they have not. */
bool firewall_late(struct firewall *f, uint64_t by_ns);
uint32_t firewall_flush_states(struct firewall *f);
uint32_t firewall_flush_forwards(struct firewall *f);

/* --- between the files of this folder --- */

/* home.c */
struct state *home_find(struct firewall *f, const struct lookup *l);
void home_packet(struct firewall *f, struct state *s, struct pkt *pkt, struct lookup *l);
/* Policy, limits, new state, delivery. Returns false when policy refuses but a query may still find
 * a home (the packet was not taken over). */
bool home_create(struct firewall *f, struct pkt *pkt, struct lookup *l);
void home_deliver(struct firewall *f, struct state *s, struct pkt *pkt, const struct lookup *l);
bool home_pickup(struct firewall *f, struct pkt *pkt, struct lookup *l);
bool home_over_explains(const struct state *s, unsigned dir, const struct tcp_seg *seg);
struct ipaddr home_originator(const struct state *s);
void home_remove(struct firewall *f, struct state *s, enum drop reason);
uint64_t home_tick(struct firewall *f);
bool home_policy_possible(const struct firewall *f, const struct pkt *pkt, const struct lookup *l);

/* A new state for a flow that policy has admitted, here or elsewhere: counted, with no packet seen
 * so far. NULL: the table is full, even after eviction. */
struct state *home_place(struct firewall *f, const struct flow_key *key, uint16_t rule,
			 bool origin_b);

/* home_offload.c: nothing is done when the kernel passes nothing on */
/* A packet of the flow has just been sent as frame `n_sent` of the actions, if it has been sent. */
void home_offer(struct firewall *f, struct state *s, const struct pkt *pkt, const struct lookup *l,
		uint32_t n_sent);
/* Before a segment is judged: what the kernel has seen of the connection counts. */
void home_offload_sync(struct firewall *f, struct state *s);
/* After it has been: what it has changed is told to the kernel, or the flow taken back. */
void home_offload_moved(struct firewall *f, struct state *s);
/* Count what the kernel has passed on. True: because of that the flow is not due. */
bool home_offload_take(struct firewall *f, struct state *s);
void home_offload_end(struct firewall *f, struct state *s);
void home_offload_tick(struct firewall *f, uint32_t index);

/* relay.c */
struct forward *relay_find(struct firewall *f, const struct lookup *l);
/* Send a packet to its home by layer 2 or tunnel. Takes the frame over. */
void relay_to_home(struct firewall *f, struct pkt *pkt, uint32_t member, struct forward *fw);
struct forward *relay_learn(struct firewall *f, const struct flow_key *key, unsigned dir,
			    uint32_t member, const struct wire_confirm *c);
void relay_remove(struct firewall *f, struct forward *fw, const char *why);
uint64_t relay_tick(struct firewall *f);
uint32_t relay_member_by_mac(const struct firewall *f, uint16_t port, const struct macaddr *mac);
uint16_t relay_port_of_segment(const struct firewall *f, uint64_t segment);

/* ask.c */
void ask_packet(struct firewall *f, struct pkt *pkt, struct lookup *l, const struct state *own);
void ask_confirmed(struct firewall *f, const struct channel_message *msg);
void ask_exception(struct firewall *f, struct pkt *pkt, struct lookup *l, enum drop reason,
		   bool maybe_delivered);
void ask_again(struct firewall *f);
uint64_t ask_tick(struct firewall *f);

/* answer.c */
void answer_query(struct firewall *f, struct channel_message *msg);
void answer_forward(struct firewall *f, struct channel_message *msg);
void answer_not_home(struct firewall *f, uint32_t member, const struct flow_key *key);
void answer_release(struct firewall *f, const struct state *s);
void answer_flush_releases(struct firewall *f);

/* firewall.c: what flow a packet belongs to; DROP_NONE, or why it cannot be told (and then, for a
 * later fragment of an unknown datagram, *wait says that it may be held). */
enum drop firewall_lookup(struct firewall *f, const struct pkt *pkt, struct lookup *l, bool *wait);
/* A packet received here, or forwarded by member l->from. Takes the frame over. */
void firewall_admit(struct firewall *f, struct pkt *pkt, struct lookup *l);
/* The look-up order for a packet whose flow is known. */
void firewall_route(struct firewall *f, struct pkt *pkt, struct lookup *l);

#endif
