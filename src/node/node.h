/*
 * node.h - what every role of one node stands on: links, own addresses, routes, neighbours, held
 * packets, counters, and the way out.
 *
 * A role decides where a packet goes and hands it to node_forward; this layer does a router's
 * duties (FC-14): route, TTL, MTU, fragmentation, neighbour resolution, Ethernet header, ICMP
 * errors about what could not be sent. It also answers ARP and ND for the node's virtual addresses.
 *
 * `now_ns` and `out` belong to the call under way; node_begin sets them. Every frame that enters
 * ends in exactly one of: frames[] of `out`, the pool of held packets, a drop counter.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/counter.h"
#include "base/drop.h"
#include "base/hash.h"
#include "base/params.h"
#include "engine/actions.h"
#include "node/neigh.h"
#include "node/offload.h"
#include "node/pool.h"
#include "node/route.h"
#include "packet/build.h"
#include "packet/decode.h"

/* frame.port of a packet that this node made itself. */
#define NODE_ORIGINATED 0xfffe

struct node_link {
	bool up;
	struct macaddr mac;	 /* the daemon's: frames leave with it, virtual addresses have it */
	struct macaddr host_mac; /* the device's: the kernel's addresses have it */
	uint32_t mtu;
	bool takes_gso;
	bool takes_partial_csum;
	bool is_capture; /* a capture file: takes frames for any MAC, nobody answers ARP */
	bool is_ours;	 /* no other host can have an address of ours there (a simulation) */
	uint32_t ifindex;
	bool offload;  /* the kernel program is there */
	bool has_peer; /* a private stack: all that leaves goes to this MAC address */
	struct macaddr peer;
};

/* Whether frames to `mac` are for this node. */
static inline bool node_link_has(const struct node_link *l, const struct macaddr *mac)
{
	return macaddr_eq(mac, &l->mac) || macaddr_eq(mac, &l->host_mac);
}

struct node_address {
	struct prefix prefix; /* host bits kept */
	uint16_t port;	      /* PARAMS_NO_PORT: on an interface that is no port */
	bool is_virtual;      /* the daemon answers for it; else the kernel does */
	bool is_passed;	      /* answered for, but dispatched or passed on: not this node's own */
	bool is_taken;	      /* another host answers for it: the daemon does not */
	bool is_silent;	      /* another node plays the dispatcher it belongs to, and answers */
	/* announce.c: of an address that the daemon answers for */
	bool is_probing;      /* not known yet whether another host has it */
	uint8_t left;	      /* probes or announcements still to be sent */
	uint64_t due_ns;      /* next step */
	uint64_t defended_ns; /* when another host's claim was last answered, 0 = never */
};

/* Whether the daemon answers for the address just now, and may speak from it. */
static inline bool node_address_answers(const struct node_address *a)
{
	return a->is_virtual && !a->is_taken && !a->is_probing && !a->is_silent;
}

struct node {
	const struct params *params;
	uint64_t now_ns;
	struct actions *out;

	struct node_link links[PARAMS_PORTS];
	/* those of the host, the virtual ones, and (they are no own ones) those passed on */
	struct node_address *addresses;
	size_t n_addresses, n_own_addresses, n_host_addresses;
	struct prefix *host_prefixes;
	uint64_t address_filter; /* one bit per hash of an own address: most packets stop here */
	struct route_table *routes;
	struct route *kernel_routes;
	size_t n_kernel_routes;
	uint16_t route_generation; /* cached next hops of an older generation are void */
	uint64_t announce_due_ns;
	uint32_t neighbour_changes; /* MAC addresses learnt, changed or lost so far */

	struct offload *offload; /* or NULL */
	struct neigh_table *neighbours;
	struct pool *pool;
	struct build *build;
	struct rng rng;
	struct hash_key secret;

	/* One bit per port: ICMP errors and resets about what came by it go back to its sender's
	 * MAC address, not by the routes (a dispatcher's: only the sender knows the way). */
	uint32_t back_ports;

	/* One bit per port: of a dispatcher that several nodes may play (HD-19); of those, where
	 * another one answers for the addresses; and where frames are not for this node at all. */
	uint32_t elected_ports, silent_ports, shut_ports;
	uint32_t unheard_ports; /* another that may play the dispatcher is not heard */

	uint64_t counters[COUNTER_COUNT];
	uint64_t drops[DROP_COUNT];
	struct bucket originate;
	struct bucket drop_notes;
	uint32_t want_notes;
};

int node_init(struct node *n, const struct params *params, const uint64_t seed[6], uint64_t now_ns);
void node_fini(struct node *n);
int node_configure(struct node *n, const struct params *params);

static inline void node_begin(struct node *n, uint64_t now_ns, struct actions *out)
{
	n->now_ns = now_ns;
	n->out = out;
	if (out->n_frames == 0) /* else actions not yet carried out may refer to retired packets */
		pool_reclaim(n->pool);
}

/* What the kernel passes on by itself may have to go another way. */
static inline void node_void_offload(struct node *n)
{
	if (n->offload)
		offload_void(n->offload);
}

static inline void node_count(struct node *n, enum counter c)
{
	n->counters[c]++;
}

void node_set_link(struct node *n, uint16_t port, const struct node_link *link);
int node_set_addresses(struct node *n, const struct node_address *v, size_t count);
int node_set_routes(struct node *n, const struct route *v, size_t count);

static inline uint64_t node_address_bit(const struct ipaddr *a)
{
	uint64_t x = (a->q[0] ^ a->q[1]) * 0x9e3779b97f4a7c15ULL;
	return 1ULL << (x >> 58);
}

/* Packets have gone to a neighbour without the daemon: its MAC address, and it is asked whether it
 * is still there when that is due. NULL: it is not known now. */
const struct macaddr *node_neighbour_used(struct node *n, uint16_t index);

/* The own address equal to `a`, or NULL; passed ones are not own. */
const struct node_address *node_address_search(const struct node *n, const struct ipaddr *a);
static inline const struct node_address *node_address_find(const struct node *n,
							   const struct ipaddr *a)
{
	return n->address_filter & node_address_bit(a) ? node_address_search(n, a) : NULL;
}
/* Whether the daemon answers for the address on any port: a virtual one, or one passed on. */
bool node_answers_for(const struct node *n, const struct ipaddr *a);
/* An own address on `port` to speak from towards `peer` (same family, prefix that contains the peer
 * preferred); NULL when the port has none. */
const struct ipaddr *node_source(const struct node *n, uint16_t port, const struct ipaddr *peer);

/* Whether the address lies in the network of an own address on that port. */
bool node_on_link(const struct node *n, uint16_t port, const struct ipaddr *a);

/* A cached next hop: index into the neighbour table, valid for one route generation. */
struct hop {
	uint16_t neigh; /* NEIGH_NONE = not looked up */
	uint16_t generation;
};

/* The port by which packets for `dst` leave, or PARAMS_NO_PORT. */
uint16_t node_route_port(const struct node *n, const struct ipaddr *dst);

/* Send the decoded packet on as a router does. Takes the frame over: it has left, waits for a
 * neighbour, or was dropped and counted. `in_port` is where errors go back to. Returns DROP_NONE or
 * why it was dropped. */
enum drop node_forward(struct node *n, struct pkt *pkt, struct hop *hop);

/* Whether node_forward would refuse it for its TTL; then the ICMP error has been sent and the
 * packet been dropped. To be asked before a flow is made for the packet. */
bool node_ttl_expired(struct node *n, struct pkt *pkt);

/* The same with the next hop given: the neighbour `next` on `port`, or a MAC address there.
 * `hop` may be shared with no other (port, next). */
enum drop node_forward_to(struct node *n, struct pkt *pkt, uint16_t port, const struct ipaddr *next,
			  struct hop *hop);
enum drop node_forward_mac(struct node *n, struct pkt *pkt, uint16_t port,
			   const struct macaddr *mac);
/* To the host at the other end of a link that has a peer, where the packet's way ends: its time to
 * live is left alone. DROP_NO_STACK while there is none. */
enum drop node_deliver(struct node *n, struct pkt *pkt, uint16_t port);
/* Whether the packet is too long for `port`: then its sender has been told and it was dropped. To
 * be asked before addresses are rewritten; node_forward* asks itself. IPv4 packets that may be
 * fragmented are not too long. */
bool node_too_big(struct node *n, struct pkt *pkt, uint16_t port);
/* The MAC address of a neighbour, NULL while it is not known; asks when it has to. */
const struct macaddr *node_resolve(struct node *n, uint16_t port, const struct ipaddr *next,
				   struct hop *hop);
/* The same, and asks, too, when the last confirmation is older than max_age_ns: for one whose
 * failure is to be noticed. */
const struct macaddr *node_watch(struct node *n, uint16_t port, const struct ipaddr *next,
				 struct hop *hop, uint64_t max_age_ns);
/* An ICMP echo request (RFC 792, RFC 4443) of this node's own to a MAC address: `data` in it;
 * to->sport is the identifier. */
bool node_send_echo(struct node *n, uint16_t port, const struct macaddr *mac,
		    const struct pkt_tuple *to, uint16_t seq, const uint8_t *data, size_t size);

/* Send the frame out of `port` to a MAC address on the same segment as it is (no router's duties).
 */
enum drop node_send_l2(struct node *n, struct pkt *pkt, uint16_t port, const struct macaddr *dst);

/* ARP and ND messages: learn, answer for virtual addresses, release what waits. */
void node_arp(struct node *n, struct pkt *pkt);
void node_nd(struct node *n, struct pkt *pkt);
/* ICMP echo to one of the node's virtual addresses: answered back to the MAC address that it came
 * from, within the limits for strangers; _answer: a request that has been judged already. */
void node_echo(struct node *n, struct pkt *pkt);
void node_echo_answer(struct node *n, struct pkt *pkt);
/* Whether the packet is a whole echo request or reply. */
bool node_is_echo(const struct pkt *pkt, bool *request);

/* Who plays the dispatchers has changed: see the masks of struct node. Addresses that are this
 * node's from now on are announced at once. */
void node_set_roles(struct node *n, uint32_t elected, uint32_t silent, uint32_t shut);
/* Ports of dispatchers of which not every node is heard: their addresses are announced more often,
 * as one that is not heard may play it, too, and then be gone. */
void node_set_unheard(struct node *n, uint32_t ports);
static inline bool node_is_shut(const struct node *n, uint16_t port)
{
	return n->shut_ports & 1u << port;
}

/* Tell the hosts on a port's segment that its virtual and answered-for addresses are here now. */
void node_announce(struct node *n, uint16_t port);

/* Drop a frame: count, and note it if wanted. Returns the reason. */
enum drop node_drop(struct node *n, const struct pkt *pkt, enum drop reason);
enum drop node_drop_frame(struct node *n, const struct frame *frame, enum drop reason);
void node_drop_held(struct node *n, struct held *h, enum drop reason);
void node_drop_queue(struct node *n, struct held_queue *q, enum drop reason);

/* Copy a packet into the pool, or NULL (nothing counted). */
struct held *node_hold(struct node *n, const struct pkt *pkt);

/* Tell the packet's sender, rate-limited: an ICMP error, or for TCP a reset. */
void node_icmp_error(struct node *n, const struct pkt *pkt, uint8_t type, uint8_t code,
		     uint32_t mtu);
void node_reject(struct node *n, const struct pkt *pkt);
void node_reset(struct node *n, const struct pkt *pkt);

/* A new note in `out`, or NULL when nobody wants that type or there is no room. */
struct note *node_note(struct node *n, enum note_type type);

/* Append a frame to the actions; false (and DROP_NO_BUFFER counted) when full. */
bool node_emit(struct node *n, const struct frame *frame, uint16_t port);

uint64_t node_tick(struct node *n);

#endif
