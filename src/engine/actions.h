/*
 * actions.h - what the engine wants done, collected during one call.
 *
 * The caller owns one struct actions, empties it with actions_reset, passes it to an engine call,
 * carries everything out (frames, then datagrams, then notes), and only then releases the batch of
 * received frames: actions refer to those bytes. Bytes the engine makes itself lie in the arena
 * and live until the next reset. Bounded: when something does not fit, the packet is dropped with
 * DROP_NO_BUFFER or the note is counted, never more.
 */
#ifndef ENGINE_ACTIONS_H
#define ENGINE_ACTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/drop.h"
#include "flow/key.h"
#include "packet/frame.h"

#define ACTIONS_FRAMES 4096
#define ACTIONS_DATAGRAMS 4096
#define ACTIONS_NOTES 512
#define ACTIONS_ARENA (24u << 20)

/* X(symbol, name, group, text) - one line of `fwclusterctl monitor` each */
#define NOTE_LIST(X)                                                                               \
	X(HOME_CREATED, "home-created", "flows", "this node became home of a flow")                \
	X(FLOW_ENDED, "flow-ended", "flows", "a flow closed, timed out or was evicted")            \
	X(RULE, "rule", "flows", "a rule with log = true matched")                                 \
	X(QUERY, "query", "queries", "asked the members for the home of a flow")                   \
	X(QUERY_RETRY, "query-retry", "queries", "asked again")                                    \
	X(QUERY_TIMEOUT, "query-timeout", "queries", "nobody answered")                            \
	X(ANSWERED, "answered", "queries", "answered a query as home")                             \
	X(CONFIRM, "confirm", "queries", "a home confirmed")                                       \
	X(FORWARD_LEARNT, "forward-learnt", "queries", "forward entry stored")                     \
	X(FORWARD_ENDED, "forward-ended", "queries", "forward entry ended")                        \
	X(NOT_HOME, "not-home", "queries", "a member was sent a packet it has no state for")       \
	X(HOME_CONFLICT, "home-conflict", "queries", "two members were home; one gave way")        \
	X(MEMBER_UP, "member-up", "members", "a member is up")                                     \
	X(MEMBER_DOWN, "member-down", "members", "a member fell silent")                           \
	X(MEMBER_LEFT, "member-left", "members", "a member said goodbye")                          \
	X(MEMBER_RESTART, "member-restart", "members", "a member came back with a new boot id")    \
	X(FLOWS_TAKEN_OVER, "flows-taken-over", "members", "flows of a lost member go on here")    \
	X(DUPLICATE_ID, "duplicate-id", "members", "another node uses this node's id")             \
	X(CONFIG_DIFFERS, "config-differs", "members", "a member's cluster configuration differs") \
	X(WRONG_KEY, "wrong-key", "members", "messages that fail authentication")                  \
	X(PORT_UP, "port-up", "ports", "a port is up")                                             \
	X(PORT_DOWN, "port-down", "ports", "a port is down")                                       \
	X(DISPATCHED, "dispatched", "dispatch", "a dispatcher chose for a new flow")               \
	X(DISPATCH_MOVED, "dispatch-moved", "dispatch", "a flow was moved, or reset")              \
	X(PATH_UP, "path-up", "health", "a firewall is up")                                        \
	X(PATH_DOWN, "path-down", "health", "a firewall is down")                                  \
	X(TARGET_UP, "target-up", "health", "a target is up")                                      \
	X(TARGET_DOWN, "target-down", "health", "a target is down")                                \
	X(WEIGHT, "weight", "health", "a target's weight was set, or it was drained")              \
	X(ADDRESS_TAKEN, "address-taken", "ports", "another host answers for a virtual address")   \
	X(ROLE, "role", "members", "who plays a dispatcher has changed")                           \
	X(DROP, "drop", "drops", "a packet was dropped")

#define NOTE_ENUM(sym, name, group, text) NOTE_##sym,
enum note_type { NOTE_LIST(NOTE_ENUM) NOTE_COUNT };
#undef NOTE_ENUM

const char *note_name(enum note_type t);
const char *note_group(enum note_type t);
const char *note_text(enum note_type t);

#define NOTE_NO_MEMBER UINT32_MAX

struct note {
	enum note_type type;
	uint64_t now_ns;
	bool has_flow;
	uint8_t dir; /* direction the packet travels in */
	struct flow_key key;
	uint32_t member;		/* index into params->members, or NOTE_NO_MEMBER */
	uint16_t port;			/* or PARAMS_NO_PORT */
	uint16_t rule;			/* or POLICY_DEFAULT */
	enum drop reason;		/* of NOTE_DROP, and why a flow or entry ended */
	uint64_t query_id;		/* 0 = none */
	uint16_t path, target, service; /* indices, or PARAMS_NONE */
	uint16_t dispatcher;		/* index, or PARAMS_NONE */
	uint32_t n_flows;		/* of NOTE_FLOWS_TAKEN_OVER */
	bool has_address;
	struct ipaddr address; /* of NOTE_ADDRESS_TAKEN */
	const char *detail;    /* static text, or NULL */
};

struct datagram {
	bool multicast;
	struct endpoint to; /* when not multicast */
	const uint8_t *data;
	uint32_t size;
};

struct actions {
	uint32_t n_frames, n_datagrams, n_notes;
	size_t arena_used;
	struct frame frames[ACTIONS_FRAMES]; /* frame.port = where it leaves */
	struct datagram datagrams[ACTIONS_DATAGRAMS];
	struct note notes[ACTIONS_NOTES];
	uint8_t *arena; /* ACTIONS_ARENA bytes */
};

struct actions *actions_new(void);
void actions_free(struct actions *a);

static inline void actions_reset(struct actions *a)
{
	a->n_frames = a->n_datagrams = a->n_notes = 0;
	a->arena_used = 0;
}

/* `size` bytes of the arena (aligned to 8), or NULL. */
uint8_t *actions_room(struct actions *a, size_t size);

#endif
