/*
 * sandwich.h - the network of figure "sandwich and tree", with three stock firewalls.
 *
 *   clients ── OUTSIDE ── [outer] ── FRONT ── fw1 fw2 fw3 ── BACK ──┬─────────┬─────────┐
 *                                                                [inner]  [stage-a] [stage-b]
 *                                                                   ├─ STAGE ─┼─────────┤
 *                                                                   └─ FARM ──┴─────────┘
 *                                                                       web1 .. web7, host
 *
 * Inner and stage-a have a private stack each, at a segment of its own. The model of it holds the
 * virtual addresses and answers like a server; it asks nobody for a MAC address.
 *
 * Outer and inner may be one engine, or two that take over for each other (HD-19): these have no
 * private stack, and the models believe who has said last that a gateway's address is its own. The
 * firewalls are models that know nothing of dispatchers: two networks, a table of flows whose first
 * packet they have seen, and routes. The hosts answer ARP and ND for their addresses and hand
 * packets to the script.
 */
#ifndef SIM_SANDWICH_H
#define SIM_SANDWICH_H

#include "net.h"

enum segment { OUTSIDE, FRONT, BACK, FARM, STAGE, STACK_STAGE, STACK_INNER };

#define FIREWALLS 3
#define FIREWALL_FLOWS 512
#define HOSTS 8 /* web1 to web7, and one that serves nothing */
#define HOST_INSIDE 7
#define HOST_WORLD HOSTS
#define HOST_STACK_STAGE (HOSTS + 1)
#define HOST_STACK_INNER (HOSTS + 2)
#define HOSTS_ALL (HOSTS + 3)

/* What is configured; the rest follows. Words are those of the configuration. */
struct plan {
	const char *outer_algorithm, *inner_algorithm;
	const char *algorithms[4]; /* of services */
	bool learn;
	const char *unknown, *path_down, *target_down;
	bool bypass, probe, one_box, affinity;
	bool more;	       /* web7 serves, too */
	bool twins;	       /* outer and inner take over for each other */
	const char *take_back; /* twins: "take-back = ..." */
};

enum service_index { WEB, NAT, TLS, DNS, NTP, LOGS, SHOP, DESK, SERVICES };

struct service_model {
	uint8_t proto;
	uint16_t port;
	bool by_stage; /* all or some of its targets are stages */
};
extern const struct service_model services[SERVICES];

struct stock {			 /* a firewall */
	struct net_nic *nics[2]; /* front, back */
	struct flow_key flows[FIREWALL_FLOWS];
	struct frag_key {
		struct ipaddr src, dst;
		uint32_t id;
	} frags[FIREWALL_FLOWS];
	unsigned n_flows, n_frags;
	bool dead;
};

enum fate {
	FATE_PASSED,
	FATE_UNKNOWN, /* no flow that this firewall has seen begin */
	FATE_U_TURN,  /* to where it came from */
	FATE_LOST,    /* the firewall is dead */
};

struct sandwich {
	struct net *net;
	struct plan plan;
	struct net_node *outer, *inner, *stage[2];
	struct stock firewalls[FIREWALLS];
	struct net_nic *hosts[HOSTS_ALL];
	struct macaddr gateways[STACK_STAGE]; /* twins: by segment */
	void *arg;
	/* A packet for one of its addresses has come to a host. */
	void (*arrival)(struct sandwich *s, unsigned host, const struct pkt *pkt);
	void (*crossing)(struct sandwich *s, unsigned firewall, const struct pkt *pkt,
			 enum fate fate);
};

struct sandwich *sandwich_new(uint64_t seed, const struct plan *plan, struct actions *actions);
void sandwich_free(struct sandwich *s);

/* Send from a host to where its routes lead. */
void sandwich_send(struct sandwich *s, unsigned host, const uint8_t *ip, size_t size,
		   const struct ipaddr *dst, uint64_t delay_ns);

struct ipaddr sandwich_vip(bool v6);
struct ipaddr sandwich_host(unsigned host, bool v6);
struct ipaddr sandwich_client(unsigned n, bool v6);

/* kill -9 of a firewall, and a start with empty tables. */
void sandwich_firewall(struct sandwich *s, unsigned firewall, bool dead);
/* The configuration of the inner dispatcher as s->plan has it now. */
void sandwich_reload_inner(struct sandwich *s);
/* A check's verdict on web1, at every node that looks after it. */
void sandwich_health(struct sandwich *s, bool up);
/* Twins: who plays it, NULL = nobody. More than one: *n says how many. */
struct net_node *sandwich_active(const struct sandwich *s, const char *dispatcher, unsigned *n);

#endif
