/*
 * node_priv.h - what the files of this folder share, and nobody else calls.
 *
 * forward.c: a router's duties; neighbour.c: who has that address (ARP, ND); originate.c: packets
 * that the node makes itself; announce.c: that no other host has our addresses.
 */
#ifndef NODE_NODE_PRIV_H
#define NODE_NODE_PRIV_H

#include "node/node.h"

/* --- originate.c --- */
/* Whether one more packet may be made on a stranger's behalf. */
bool originate_allowed(struct node *n);
/* Send what was built into `room` of actions_room out of `port`. False: there was no place. */
bool originate_frame(struct node *n, uint16_t port, uint8_t *data, size_t size);
void originate_host_unreachable(struct node *n, const struct pkt *pkt);

/* --- forward.c --- */
/* Send a decoded packet of this node's own by the route to its destination. */
bool forward_own(struct node *n, struct pkt *pkt);

/* --- neighbour.c --- */
struct neighbour_request {
	const struct ipaddr *from, *target; /* from: unspecified in a probe */
	struct macaddr mac;		    /* sender's */
	const struct macaddr *to;	    /* NULL = everybody on the segment */
};
/* Send an ARP request or a neighbour solicitation. */
bool neighbour_request(struct node *n, uint16_t port, const struct neighbour_request *r);
/* The entry of a next hop, by `hop` if that still leads to it; NULL when there is no room. */
struct neigh *neighbour_entry(struct node *n, uint16_t port, const struct ipaddr *next,
			      struct hop *hop);
/* Index of the entry for a route's next hop, or NEIGH_NONE. */
uint16_t neighbour_index(struct node *n, uint16_t port, const struct ipaddr *next);
void neighbour_ask(struct node *n, const struct neigh *e);
uint64_t neighbour_tick(struct node *n);

/* --- announce.c --- */
/* The address that the daemon answers for on that port, whether or not it may just now. */
struct node_address *announce_find(struct node *n, uint16_t port, const struct ipaddr *a);
/* To be called for every address in a new table that was not in the old one, and when the link
 * of its port comes or goes. */
void announce_begin(struct node *n, struct node_address *a);
/* After a restart: this node held it a moment ago. */
void announce_resume(struct node *n, struct node_address *a);
void announce_link(struct node *n, uint16_t port);
/* The addresses of a port have another MAC address now. */
void announce_again(struct node *n, uint16_t port);
/* A host with this MAC address says that it has the address, or (probe) asks whether it may. */
void announce_heard(struct node *n, uint16_t port, const struct ipaddr *addr,
		    const struct macaddr *mac, bool probe);
uint64_t announce_tick(struct node *n);

#endif
