/*
 * params.h - the validated configuration as plain data.
 *
 * src/conf fills it from /etc/fwclusterd.conf; everybody else only reads it. No pointers into the
 * parser, every name resolved to an index, every unit fixed by the member's name. Sizes have
 * limits so that nothing here grows without bound. A reload makes a second one and swaps.
 */
#ifndef BASE_PARAMS_H
#define BASE_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/params_dispatch.h"
#include "base/slice.h"

#define PARAMS_NAME 32
#define PARAMS_PATH 256
#define PARAMS_PORTS 16
#define PARAMS_MEMBERS 32
#define PARAMS_PORT_ADDRS 16
#define PARAMS_PORT_ANSWERS 64
#define PARAMS_NO_PORT 0xffff
#define PARAMS_ROUTES 1024
#define PARAMS_RULES 8192
#define PARAMS_PREFIXES 262144 /* of all rules together, sets counted where they are used */
#define PARAMS_RANGES 262144
#define PARAMS_FLOWS_MIN 1024
#define PARAMS_FLOWS_MAX 16777216
#define PARAMS_ICMP6 0x100 /* see rule_params.icmp_types */
#define PARAMS_ANY_CODE 0xffff

enum port_backend { BACKEND_PACKET, BACKEND_PCAP, BACKEND_FILE };

struct port_params {
	char name[PARAMS_NAME];	   /* also the name of the segment, unless `segment` is given */
	char segment[PARAMS_NAME]; /* ports of the members with one segment name share a layer 2;
				      never empty */
	char device[PARAMS_NAME];  /* interface name */
	enum port_backend backend;
	char file_in[PARAMS_PATH];  /* BACKEND_FILE: capture read as input, or "" */
	char file_out[PARAMS_PATH]; /* BACKEND_FILE: capture written, or "" */
	uint16_t vlan;		    /* 0 = untagged */
	uint32_t mtu;		    /* 0 = the device's own */
	uint32_t n_addresses;	    /* virtual addresses: the daemon answers ARP and ND for them */
	struct prefix addresses[PARAMS_PORT_ADDRS]; /* host bits kept */
	uint32_t n_answers; /* addresses that are dispatched or lie behind this node: the daemon
			       answers ARP and ND for them, too, but is not their host */
	struct ipaddr answers[PARAMS_PORT_ANSWERS];
	uint32_t rx_buffer; /* bytes of the socket's receive buffer */
	bool promiscuous;
	bool offload;  /* packets of flows that have been judged are passed on by the kernel */
	bool is_stack; /* joined to a private stack of the node, whose device the daemon makes */
	bool has_mac;  /* an Ethernet address of the daemon's own, beside the device's */
	struct macaddr mac;
};

struct route_params {
	struct prefix dst;
	struct ipaddr via; /* unspecified (::) = on link */
	uint16_t port;
};

enum cluster_transport { TRANSPORT_MULTICAST, TRANSPORT_UNICAST };
enum cluster_query { QUERY_CARRY, QUERY_HOLD };
enum cluster_forward { FORWARD_AUTO, FORWARD_L2, FORWARD_TUNNEL };
enum cluster_exception { EXCEPTION_DROP, EXCEPTION_RESET, EXCEPTION_PASS };
enum cluster_tracking { TRACKING_LOOSE, TRACKING_STRICT };
enum cluster_cipher { CIPHER_CHACHA20_POLY1305, CIPHER_AES_256_GCM };

struct cluster_params {
	bool enabled;
	uint16_t id;		  /* cluster id, 1..65535 */
	char device[PARAMS_NAME]; /* interface of the cluster link; may be "" for unicast */
	enum cluster_transport transport;
	struct ipaddr group; /* multicast group, IPv4 or IPv6 */
	uint16_t udp_port;
	char key_file[PARAMS_PATH];
	enum cluster_cipher cipher;
	enum cluster_query query;
	enum cluster_forward forward;
	enum cluster_exception exception;
	uint32_t hello_ms;	   /* interval of hellos */
	uint32_t dead_ms;	   /* member is down when not heard for so long */
	uint32_t query_timeout_ms; /* wait for the first answer; doubles with each retry */
	uint32_t query_retries;
	uint32_t query_queue;  /* packets that wait for one open query */
	uint32_t max_queries;  /* open at once */
	uint32_t negative_ms;  /* life of a negative cache entry */
	uint32_t forward_ms;   /* a forward entry unused so long expires */
	uint32_t max_forwards; /* capacity of the forward table */
	uint32_t query_rate;   /* queries per second, all sources */
	uint32_t query_burst;
	uint32_t query_kbytes; /* kilobytes of queries per second; above half of the burst left
				  the packet is carried, below it queries are header-only */
	uint32_t source_rate;  /* queries per second of one source prefix (/24, /64) */
	uint32_t source_burst;
	uint32_t mtu; /* largest datagram on the cluster link (IP packet), 0 = device */
	bool backup;  /* another member holds each flow's state, and takes it over (FC-17) */
	enum cluster_tracking backup_tracking;
	uint32_t backup_delay_ms;   /* flows that old are worth it */
	uint32_t backup_refresh_ms; /* told again so often while they have traffic */
};

struct member_params {
	char name[PARAMS_NAME];
	uint16_t id; /* 1..65535, unique */
	bool has_address;
	struct ipaddr address; /* required for unicast transport */
	uint16_t udp_port;     /* 0 = the cluster's */
};

enum rule_action { RULE_PASS, RULE_DROP, RULE_REJECT };

/* Ranges and sets are slices of the arrays in firewall_params. n == 0 means "any". */
struct rule_params {
	char name[PARAMS_NAME];
	uint32_t line; /* in the configuration file */
	enum rule_action action;
	bool log;
	uint16_t in_port, out_port;  /* PARAMS_NO_PORT = any */
	struct slice from, to;	     /* of prefixes[] */
	struct slice protocols;	     /* of ranges[] (lo == hi) */
	struct slice sports, dports; /* of ranges[] */
	struct slice icmp_types;     /* of ranges[]; lo = type, of ICMPv6 PARAMS_ICMP6 + type;
					hi = code or PARAMS_ANY_CODE */
};

/* X(field, configuration key, default) - all milliseconds */
#define TIMEOUT_LIST(X)                                                                            \
	X(tcp_syn_sent, "tcp-syn-sent", 30000)                                                     \
	X(tcp_syn_received, "tcp-syn-received", 30000)                                             \
	X(tcp_established, "tcp-established", 7200000)                                             \
	X(tcp_fin_wait, "tcp-fin-wait", 120000)                                                    \
	X(tcp_close_wait, "tcp-close-wait", 120000)                                                \
	X(tcp_last_ack, "tcp-last-ack", 30000)                                                     \
	X(tcp_time_wait, "tcp-time-wait", 60000)                                                   \
	X(tcp_closed, "tcp-closed", 10000)                                                         \
	X(udp_new, "udp-new", 30000)                                                               \
	X(udp_stream, "udp-stream", 180000)                                                        \
	X(icmp, "icmp", 30000)                                                                     \
	X(fragment, "fragment", 30000)

struct timeout_params {
#define TIMEOUT_FIELD(field, key, def) uint32_t field;
	TIMEOUT_LIST(TIMEOUT_FIELD)
#undef TIMEOUT_FIELD
};

struct firewall_params {
	bool enabled;
	uint32_t max_flows;
	uint32_t max_half_open;
	uint32_t max_per_source; /* flows of one source address, 0 = no limit */
	uint32_t max_fragments;	 /* trackers */
	uint32_t originate_rate; /* ICMP errors and resets per second */
	enum rule_action default_action;
	bool default_log;
	struct timeout_params timeout_ms;
	uint32_t n_rules;
	struct rule_params *rules;
	uint32_t n_prefixes;
	struct prefix *prefixes;
	uint32_t n_ranges;
	struct range *ranges;
};

enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_JOURNAL };
enum seccomp_mode { SECCOMP_OFF, SECCOMP_LOG, SECCOMP_ENFORCE };

struct params {
	char file[PARAMS_PATH];
	char node[PARAMS_NAME]; /* this node's name */
	uint16_t node_id;	/* id of the member with that name, 1 without a cluster */
	uint32_t self;		/* its index in members[], when the cluster is enabled */
	uint32_t n_ports;
	struct port_params ports[PARAMS_PORTS];
	uint32_t n_routes;
	struct route_params *routes;
	struct cluster_params cluster;
	uint32_t n_members;
	struct member_params members[PARAMS_MEMBERS];
	struct firewall_params firewall;
	uint32_t n_dispatchers;
	struct dispatcher_params dispatchers[PARAMS_DISPATCHERS];
	uint32_t n_paths;
	struct path_params paths[PARAMS_PATHS];
	uint32_t n_services, n_targets, n_target_lists;
	struct service_params *services;
	struct target_params *targets;
	uint16_t *target_lists; /* indices of targets[] */
	uint16_t stack_port;	/* where services by L7 are served, or PARAMS_NO_PORT */
	uint16_t legs_port;	/* where connections by MAC come from, or PARAMS_NO_PORT */
	struct l7_node_params l7;
	char control_socket[PARAMS_PATH];
	char control_group[PARAMS_NAME]; /* "" = root only */
	int log_level;			 /* enum log_level */
	enum log_target log_target;
	char user[PARAMS_NAME]; /* "" = keep the user */
	enum seccomp_mode seccomp;
	uint32_t offload_flows;		 /* that the kernel can have at once */
	char restart_state[PARAMS_PATH]; /* file for the tables at a restart; "" = systemd keeps
					    them */
	bool check_host;		 /* complain about ip_forward and offloads at start */
};

#endif
