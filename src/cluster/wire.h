/*
 * wire.h - the cluster protocol on the wire, version 1 (man page fwclusterd-protocol(7)).
 *
 *    0               1               2               3
 *   +---------------+---------------+---------------+---------------+
 *   |                      magic "FWC1" 0x46574331                  |
 *   +---------------+---------------+---------------+---------------+
 *   |    version    | highest spoken|     type      |    key id     |
 *   +---------------+---------------+---------------+---------------+
 *   |           cluster id          |            node id            |
 *   +---------------+---------------+---------------+---------------+
 *   |    cipher     |   reserved 0  |   length of the datagram      |
 *   +---------------+---------------+---------------+---------------+
 *   |                    boot id of the sender, 16 bytes            |
 *   +---------------------------------------------------------------+
 *   |                    counter, 8 bytes                           |
 *   +---------------------------------------------------------------+
 *   |                    sealed payload ...          + tag, 16 bytes|
 *   +---------------------------------------------------------------+
 *
 * The 40 bytes of header are authenticated as additional data. Everything is in network order.
 * Encoders write to a cursor; decoders return false for anything impossible (short, long, unknown
 * flag bits, bad family), and then the caller counts MSG_MALFORMED.
 */
#ifndef CLUSTER_WIRE_H
#define CLUSTER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cursor.h"
#include "base/params.h"
#include "flow/key.h"

#define WIRE_MAGIC 0x46574331u
#define WIRE_VERSION 1
#define WIRE_HEADER 40
#define WIRE_TAG 16
#define WIRE_OVERHEAD (WIRE_HEADER + WIRE_TAG)
#define WIRE_BOOT_ID 16
#define WIRE_NONCE 16
#define WIRE_DATAGRAM_MAX 65507

/* X(symbol, value, name) */
#define WIRE_TYPE_LIST(X)                                                                          \
	X(HELLO, 1, "hello")                                                                       \
	X(CHALLENGE, 2, "challenge")                                                               \
	X(RESPONSE, 3, "response")                                                                 \
	X(GOODBYE, 4, "goodbye")                                                                   \
	X(QUERY, 5, "query")                                                                       \
	X(CONFIRM, 6, "confirm")                                                                   \
	X(NOT_HOME, 7, "not-home")                                                                 \
	X(RELEASE, 8, "release")                                                                   \
	X(FORWARD, 9, "forward")                                                                   \
	X(YIELD, 10, "yield")                                                                      \
	X(PATH, 11, "path")                                                                        \
	X(PATH_ASK, 12, "path-ask")                                                                \
	X(TARGETS, 13, "targets")                                                                  \
	X(WHO_HAS, 14, "who-has")                                                                  \
	X(HAVE, 15, "have")                                                                        \
	X(BACKUP, 16, "backup")                                                                    \
	X(BACKUP_END, 17, "backup-end")                                                            \
	X(TAKEN, 18, "taken")                                                                      \
	X(BACKUP_ACK, 19, "backup-ack")                                                            \
	X(ROLE, 20, "role")                                                                        \
	X(SYNC, 21, "sync")                                                                        \
	X(SYNC_ASK, 22, "sync-ask")

#define WIRE_TYPE_ENUM(sym, value, name) WIRE_##sym = value,
enum wire_type { WIRE_TYPE_LIST(WIRE_TYPE_ENUM) };
#undef WIRE_TYPE_ENUM

const char *wire_type_name(uint8_t type); /* "unknown" for others */
bool wire_type_known(uint8_t type);

struct wire_header {
	uint8_t version, version_max, type, key_id, cipher;
	uint16_t cluster_id, node_id, length;
	uint8_t boot_id[WIRE_BOOT_ID];
	uint64_t counter;
};

enum wire_result { WIRE_OK, WIRE_SHORT, WIRE_BAD_MAGIC, WIRE_BAD_VERSION };

void wire_put_header(struct wcur *c, const struct wire_header *h);
/* `size` = bytes received; a length field that differs from it is WIRE_SHORT. */
enum wire_result wire_get_header(struct wire_header *h, const void *data, size_t size);

/* Flow key: family 4 or 6, protocol, ports, addresses (14 or 38 bytes). The order of endpoints is
 * canonical; a decoder refuses any other. */
void wire_put_key(struct wcur *c, const struct flow_key *key);
bool wire_get_key(struct rcur *c, struct flow_key *key);

struct wire_segment {
	uint64_t name; /* hash_words-free: FNV-1a 64 of the segment name, see wire_segment_id */
	struct macaddr mac; /* of the sender's port on it */
	uint16_t vlan;
};
uint64_t wire_segment_id(const char *name);

#define WIRE_HEARD_MULTICAST 1
struct wire_heard {
	uint16_t node_id;
	uint8_t flags;
};

struct wire_hello {
	uint32_t hello_ms, dead_ms;
	uint64_t
		config_hash; /* of what members must have in common (cluster parameters, members) */
	uint32_t n_flows;
	uint8_t n_segments, n_heard;
	struct wire_segment segments[PARAMS_PORTS];
	struct wire_heard heard[PARAMS_MEMBERS];
};
void wire_put_hello(struct wcur *c, const struct wire_hello *m);
bool wire_get_hello(struct rcur *c, struct wire_hello *m);

struct wire_challenge {
	uint8_t boot_id[WIRE_BOOT_ID]; /* the boot id being challenged */
	uint8_t nonce[WIRE_NONCE];
};
void wire_put_challenge(struct wcur *c, const struct wire_challenge *m);
bool wire_get_challenge(struct rcur *c, struct wire_challenge *m);
/* A response holds the nonce only. */
void wire_put_response(struct wcur *c, const uint8_t nonce[WIRE_NONCE]);
bool wire_get_response(struct rcur *c, uint8_t nonce[WIRE_NONCE]);

#define WIRE_QUERY_CARRIED 1  /* the whole packet is inside */
#define WIRE_QUERY_DIR 2      /* it travels from endpoint b to endpoint a */
#define WIRE_QUERY_ERROR 4    /* it is an ICMP error about the flow */
#define WIRE_QUERY_FRAGMENT 8 /* a later fragment: key has ports 0, frag_id says which datagram */
#define WIRE_QUERY_OWN 16     /* the asker has a state of its own for the flow (two-homes rule) */
struct wire_query {
	uint64_t id;
	struct flow_key key;
	uint8_t flags;
	uint64_t segment; /* wire_segment_id of the port it came by */
	uint32_t frag_id;
	uint32_t age_ms;       /* since it was asked first; WIRE_QUERY_OWN: of the asker's state */
	uint8_t rank;	       /* with WIRE_QUERY_OWN: how far it has come */
	const uint8_t *packet; /* IP packet (CARRIED) or its first bytes; points into the message */
	uint16_t packet_len;
};
void wire_put_query(struct wcur *c, const struct wire_query *m);
bool wire_get_query(struct rcur *c, struct wire_query *m);
/* Bytes of a sealed query with a packet of `packet_len` bytes. */
size_t wire_query_size(const struct flow_key *key, size_t packet_len);

#define WIRE_CONFIRM_DELIVERED 1 /* the home has delivered the carried packet */
#define WIRE_CONFIRM_FRAGMENT 2	 /* answers a fragment query; key is the whole flow's */
struct wire_confirm {
	uint64_t id;
	struct flow_key key;
	uint8_t flags;
	uint8_t rank;	  /* how far the home's state has come; larger wins a conflict */
	uint32_t age_ms;  /* of the home's state; larger wins among equal ranks */
	uint32_t life_ms; /* how long the home would keep the flow if nothing more came */
};
void wire_put_confirm(struct wcur *c, const struct wire_confirm *m);
bool wire_get_confirm(struct rcur *c, struct wire_confirm *m);

/* NOT_HOME and RELEASE: a list of keys. */
#define WIRE_KEYS_MAX 32
struct wire_keys {
	uint8_t n;
	struct flow_key keys[WIRE_KEYS_MAX];
};
void wire_put_keys(struct wcur *c, const struct wire_keys *m);
bool wire_get_keys(struct rcur *c, struct wire_keys *m);

struct wire_forward {
	uint64_t segment;      /* where the asker received it */
	const uint8_t *packet; /* one IP packet */
	uint16_t packet_len;
};
void wire_put_forward(struct wcur *c, const struct wire_forward *m);
bool wire_get_forward(struct rcur *c, struct wire_forward *m);

/* To a member that claims a flow which another member is home of. */
struct wire_yield {
	struct flow_key key;
	uint16_t winner; /* node id */
	uint8_t rank;
	uint32_t age_ms;
};
void wire_put_yield(struct wcur *c, const struct wire_yield *m);
bool wire_get_yield(struct rcur *c, struct wire_yield *m);

/* PATH: the firewall that a flow runs through, told to the next stage just before the flow's first
 * packet when no stamp fits, and as the answer to PATH_ASK (which holds the key alone). */
struct wire_path {
	struct flow_key key; /* as the next stage will see it; zone 0 */
	uint16_t path;	     /* path id, 0 = the sender does not know the flow */
};
void wire_put_path(struct wcur *c, const struct wire_path *m);
bool wire_get_path(struct rcur *c, struct wire_path *m);
void wire_put_path_ask(struct wcur *c, const struct flow_key *key);
bool wire_get_path_ask(struct rcur *c, struct flow_key *key);

/* TARGETS: weights set at run time (HD-12, HD-24). Of two about one target the one with the larger
 * version holds, then the larger node id. */
#define WIRE_TARGETS_MAX 32
#define WIRE_TARGET_DRAINED 1
struct wire_target {
	uint64_t identity; /* of the target's name */
	uint64_t version;  /* at least 1 */
	uint16_t node_id;  /* who set it */
	uint16_t weight;   /* 0..PARAMS_WEIGHT_MAX */
	uint8_t flags;
};
struct wire_targets {
	uint8_t n; /* 1..WIRE_TARGETS_MAX */
	struct wire_target v[WIRE_TARGETS_MAX];
};
void wire_put_targets(struct wcur *c, const struct wire_targets *m);
bool wire_get_targets(struct rcur *c, struct wire_targets *m);

/* WHO_HAS: to all dispatchers, who is connected to the server that a cookie names? HAVE: the answer
 * of each, to the asker (HD-18). Names as base/name_id.h has them, never 0. */
struct wire_who_has {
	uint32_t service, server;
};
void wire_put_who_has(struct wcur *c, const struct wire_who_has *m);
bool wire_get_who_has(struct rcur *c, struct wire_who_has *m);

#define WIRE_HAVE_YES 1	    /* the sender is connected to it, and takes relays of the service */
#define WIRE_HAVE_DRAINED 2 /* it takes nobody new, but its cookies still hold */
struct wire_have {
	uint32_t service, server;
	uint8_t flags;
};
void wire_put_have(struct wcur *c, const struct wire_have *m);
bool wire_get_have(struct rcur *c, struct wire_have *m);

#endif
