/*
 * params_dispatch.h - the part of the configuration that dispatchers use (HD-1 to HD-24).
 * Included by params.h.
 *
 * Everything is an array of the root: a dispatcher names the ports it works between, a service what
 * clients ask for, a target who may serve it, a path a firewall that flows may run through. Names
 * are resolved to indices; lists of targets are slices of `target_lists`.
 */
#ifndef BASE_PARAMS_DISPATCH_H
#define BASE_PARAMS_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/params_l7.h"
#include "base/slice.h"

#define PARAMS_DISPATCHERS 4
#define PARAMS_PATHS 64
#define PARAMS_PATH_ADDRS 8
#define PARAMS_SERVICES 256
#define PARAMS_SERVICE_ADDRS 16
#define PARAMS_SERVICE_RANGES 16
#define PARAMS_SOURCES 16
#define PARAMS_TARGETS 1024
#define PARAMS_TARGET_LISTS 16384 /* entries of all services together */
#define PARAMS_WEIGHT_MAX 256
#define PARAMS_NODES 8	   /* that may play one dispatcher */
#define PARAMS_VIA 8	   /* dispatchers that one target is connected to */
#define PARAMS_NONE 0xffff /* no such index */

/* A firewall that flows may run through. Its MAC address is looked up when something is sent. */
struct path_params {
	char name[32];
	uint32_t line;
	uint16_t id;	 /* 1..65535, the same in the configuration of every dispatcher */
	uint32_t weight; /* 0 = takes no new flows */
	uint32_t n_addresses;
	struct ipaddr
		addresses[PARAMS_PATH_ADDRS]; /* its own, on segments shared with dispatchers */
};

enum dispatch_role {
	DISPATCH_OUTER, /* network on one side, firewalls on the other */
	DISPATCH_INNER, /* the same from inside, and first stage of the tree */
	DISPATCH_STAGE, /* later stage, or a dispatcher without firewalls */
};

/* How a firewall or a target is chosen. */
enum choice_algorithm {
	CHOICE_STATIC,	      /* by addresses and ports, weighted, the same in every dispatcher */
	CHOICE_ROUND_ROBIN,   /* in turn, weights ignored (0 still takes none) */
	CHOICE_WEIGHTED,      /* in turn, in proportion to the weights */
	CHOICE_LEAST_FLOWS,   /* fewest open flows for its weight */
	CHOICE_LEAST_PACKETS, /* fewest packets per second for its weight */
	CHOICE_SOURCE,	      /* by the client's address alone, weighted, the same everywhere */
};

/* What becomes of a packet that starts no flow and belongs to none (HD-4). */
enum unknown_action { UNKNOWN_DROP, UNKNOWN_RESET, UNKNOWN_PASS };

/* What becomes of flows whose firewall or target is down. */
enum down_action { DOWN_MOVE, DOWN_RESET, DOWN_KEEP };

struct probe_params {
	bool enabled;
	struct ipaddr to; /* virtual address of the other dispatcher, behind the firewalls */
	uint32_t interval_ms, timeout_ms;
	uint32_t rise, fall; /* answers, or misses, in a row that change the verdict */
};

struct dispatcher_params {
	char name[32];
	uint32_t line;
	enum dispatch_role role;
	uint16_t firewall_port; /* the segment shared with the firewalls; PARAMS_NO_PORT = none */
	uint32_t n_ports;
	uint16_t ports[16]; /* the others: outer: networks; inner, stage: servers, stages */
	enum choice_algorithm algorithm; /* of the firewall, for flows that start on this side */
	bool learn; /* false (static only): no table for what only passes between the sides */
	enum unknown_action unknown;
	enum down_action path_down;
	uint32_t n_from;
	uint16_t from[32]; /* stage: members whose stamp is believed (index into members[]) */
	bool bypass;   /* stage: answers go to the firewall itself, not back to the stage before */
	uint64_t seed; /* of the static algorithm, the same in every dispatcher */
	uint32_t max_flows;
	uint32_t max_affinities;
	uint32_t max_fragments;
	uint32_t tcp_open_ms, tcp_ms, tcp_close_ms, udp_ms, other_ms; /* idle timeouts */
	uint32_t path_wait_ms; /* stage: how long a packet waits for word of its path, per try */
	struct probe_params probe;
	uint32_t n_nodes; /* members that may play it, in the order in which they are preferred
			     (indices into members[]); 0: this node alone does */
	uint16_t nodes[PARAMS_NODES];
	bool take_back;	       /* one that is preferred takes it back when it returns */
	uint32_t take_back_ms; /* after having been able to for so long */
};

enum technology {
	TECHNOLOGY_L4_2,
	TECHNOLOGY_L4_3,
	TECHNOLOGY_L7_3, /* requests are read, and go to the target's address */
	TECHNOLOGY_L7_2, /* and go to its MAC: from the client's address, to the service's */
};

static inline bool technology_is_l7(enum technology t)
{
	return t >= TECHNOLOGY_L7_3;
}

struct service_params {
	char name[32];
	uint32_t line;
	uint8_t proto; /* IPPROTO_NUM_TCP or _UDP */
	uint32_t n_addresses;
	struct ipaddr addresses[PARAMS_SERVICE_ADDRS];
	uint32_t n_ports; /* 0 = all */
	struct range ports[PARAMS_SERVICE_RANGES];
	enum technology technology;
	enum choice_algorithm algorithm;
	bool affinity; /* by the client's address */
	uint32_t affinity_ms;
	struct slice targets; /* of params.target_lists */
	uint16_t sorry;	      /* target when no other is up, or PARAMS_NONE */
	uint32_t n_sources;   /* l4/3: the client's address is rewritten to one of these */
	struct ipaddr sources[PARAMS_SOURCES];
	enum down_action target_down;
	uint16_t route_of; /* the service whose route this is, or PARAMS_NONE; routes of one service
			      follow it in the order of the file */
	struct l7_route_params route; /* of a route */
	struct l7_params l7;	      /* by L7; of a route that of its service */
};

enum check_kind { CHECK_NONE, CHECK_TCP, CHECK_HTTP };

struct check_params {
	enum check_kind kind;
	uint16_t port;	     /* 0 = the target's port, else the first of its services */
	char path[128];	     /* HTTP: what is asked for */
	char host[128];	     /* HTTP: Host header, "" = the address */
	uint16_t agent_port; /* 0 = no agent asked for the load */
	uint32_t interval_ms, timeout_ms, rise, fall;
};

struct target_params {
	char name[32];
	uint32_t line;
	bool has_v4, has_v6;
	struct ipaddr v4, v6; /* of a server */
	uint16_t port;	      /* l4/3: destination port, 0 = as asked for */
	uint16_t member; /* a dispatcher of the next stage: index into members[]; or PARAMS_NONE */
	uint32_t weight; /* 0..PARAMS_WEIGHT_MAX; 0 = drained */
	uint32_t max_connections; /* by L7, at once; 0 = no limit */
	/* By L7: connected to these dispatchers (index into members[]), and not to this node: only
	 * the clients of its cookies reach it, by relay. 0 = connected to this node, which is also
	 * what a list says that has this node in it. */
	uint32_t n_via;
	uint16_t via[PARAMS_VIA];
	struct check_params check;
};

#endif
