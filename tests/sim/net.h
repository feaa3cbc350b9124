/*
 * net.h - Ethernet segments with engines and models of other machines on them, and a virtual clock.
 *
 *   node (an engine) ──nic──┐                 ┌──nic── model (a function that is given frames)
 *                           ├──  segment  ────┤
 *   node ─────────────nic───┘                 └──nic── model
 *
 * A segment is a switch that learns MAC addresses: a frame to one that it has heard goes there
 * alone, others go everywhere. Frames are never lost; datagrams between nodes are as told. All that
 * is by chance follows from the seed.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/engine_priv.h"
#include "heap.h"
#include "kernel.h"

#define NET_NICS 40
#define NET_NODES 4
#define NET_RELOADS 4
#define NET_MS 1000000ULL

struct net;
struct net_nic;

/* The frame is the receiver's to change; its port is the nic's. */
typedef void net_receive(struct net *n, struct net_nic *nic, struct frame *frame);

struct net_nic {
	unsigned segment;
	struct macaddr mac;
	net_receive *receive;
	void *owner; /* for a node its struct net_node */
	uint16_t port;
	bool heard;
};

struct net_node {
	struct params *params[NET_RELOADS]; /* the last is in force */
	unsigned n_params;
	struct engine *engine; /* NULL: it is dead */
	struct kernel *kernel; /* or NULL: it passes nothing on */
	struct net_nic *nics[PARAMS_PORTS];
	unsigned n_nics;
	unsigned cluster; /* address on the cluster link, 0 = not on it */
	const char *name;
};

struct net {
	uint64_t now_ns;
	struct rng rng;
	struct heap heap;
	struct net_nic nics[NET_NICS];
	unsigned n_nics;
	struct net_node nodes[NET_NODES];
	unsigned n_nodes;
	struct actions *actions;
	struct build *build;
	unsigned loss, duplicate; /* of a datagram, in thousandths */
	uint64_t jitter_ns;	  /* it takes up to so long more */
	bool offload;		  /* the kernels of nodes pass on what they are told to */
	uint64_t kernel_passed;	  /* by kernels that are gone */
	bool trace;
	void *arg;
	/* Sees every frame as a nic receives it, its own or flooded. */
	void (*tap)(struct net *n, const struct net_nic *nic, const struct frame *frame);
	/* Sees the notes of nodes. */
	void (*note)(struct net *n, const struct net_node *node, const struct note *note);
};

/* `actions` are lent. */
struct net *net_new(uint64_t seed, struct actions *actions);
void net_free(struct net *n);

uint64_t net_dice(struct net *n, uint64_t sides);

struct net_nic *net_nic_add(struct net *n, unsigned segment, const struct macaddr *mac,
			    net_receive *receive, void *owner);

/* A node of that configuration; port i is on segments[i]. It starts at once. */
struct net_node *net_node_add(struct net *n, const char *name, const char *text,
			      const unsigned *segments, unsigned cluster);
void net_node_kill(struct net *n, struct net_node *node);
void net_node_start(struct net *n, struct net_node *node);
void net_node_reload(struct net *n, struct net_node *node, const char *text);
/* Packets that kernels have passed on so far. */
uint64_t net_kernel_passed(const struct net *n);
/* Carry out what a call to the engine made by the test itself has left in n->actions. */
void net_carry_out(struct net *n, struct net_node *node);
/* Frames in, made and tunnelled = frames out + held + drops; else says what they are. */
bool net_balanced(const struct net_node *node, char *why, size_t size);

/* Put a frame on the nic's segment. */
void net_send(struct net *n, const struct net_nic *nic, const uint8_t *data, size_t size,
	      uint64_t delay_ns);
/* The same with an Ethernet header in front of an IP packet. */
void net_send_ip(struct net *n, const struct net_nic *nic, const struct macaddr *dst,
		 const uint8_t *ip, size_t size, uint64_t delay_ns);
/* The answer to an ARP request or neighbour solicitation, if `holds` says so; true when it was ARP
 * or ND. */
bool net_answer(struct net *n, const struct net_nic *nic, const struct pkt *pkt,
		bool (*holds)(const struct net_nic *nic, const struct ipaddr *a));

void net_at(struct net *n, uint64_t when_ns, void (*fn)(struct net *n, uint64_t word),
	    uint64_t word);
void net_run(struct net *n, uint64_t until_ns);

#endif
