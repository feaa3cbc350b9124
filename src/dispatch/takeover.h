/*
 * takeover.h - several nodes may play a dispatcher, one of them does (HD-19, HD-23).
 *
 *                    nobody plays it, and this node is the best
 *   waiting ──▶ standby ─────────────────────────────────────────▶ active
 *     ▲ listens    ▲      or: the active one has handed over          │ hands over: a better one
 *     │            │                                                  │ wants it, the operator
 *     │            └──────────── yielding ◀───────────────────────────┤ does, a port is down, it
 *     │               forwards what still comes                       │ leaves, two play it
 *     └───────────────────────────────────────────────────────────────┘ stood still
 *
 * Only the active node answers for the addresses of the dispatcher's ports; it and a yielding one
 * forward what comes by them. Each node tells the others what it is (ROLE) every hello-interval and
 * whenever that changes, by the cluster channel and on the dispatcher's own segments, so that the
 * loss of either is not taken for the loss of a node. What is not heard for dead-after is gone.
 *
 * A node that others hear as active is not taken over from by one that does not hear it. Of two
 * that play one dispatcher, the one that the other cannot hear yields; else the one that stands
 * later in `nodes`. A process that stood still for longer than the others wait has lost its roles,
 * before it forwards another frame.
 *
 * Files: takeover.c (life and time), takeover_judge.c (who plays it), takeover_sight.c (whom the
 * nodes reach), takeover_talk.c (messages, and what is known of the others).
 */
#ifndef DISPATCH_TAKEOVER_H
#define DISPATCH_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster/channel.h"
#include "cluster/wire_role.h"

struct dispatch;

/* What this node is of one dispatcher. */
struct takeover_role {
	uint8_t state; /* enum wire_role_state */
	bool able;
	bool wants;  /* asks the active one to hand over */
	bool forced; /* because of the operator; active: it has it so, and is not taken back from */
	bool conflict; /* another plays it, too */
	bool cold;     /* waiting: this process has only just begun, so the others cannot miss it */
	bool leaving;
	bool sees;	   /* servers answer this node by each port that has checked ones */
	bool lost_servers; /* by some port none does any more */
	bool cut;	 /* as it played it last no firewall answered, nor has another node on their
			  * segment been heard since */
	uint16_t active; /* node id of who plays it, as last judged; 0 = nobody */
	uint16_t successor;    /* node id of whom it was handed to, 0 = nobody */
	uint64_t successor_ns; /* until then that is believed */
	uint64_t since_ns;     /* of the state */
	uint64_t until_ns;     /* waiting, yielding: ends then */
	uint64_t able_ns;      /* able since */
	uint64_t deaf_ns;   /* another is active and does not hear this node, since then; 0 = no */
	uint64_t forced_ns; /* until then the operator's word counts */
	uint64_t flap_ns;   /* when it was last lost for a reason of this node's own */
	uint8_t flaps;	    /* how often of late: each doubles the wait for taking it back */
	uint32_t n_active;  /* how often this node came to play it */
	uint32_t other;	    /* member that had part in the last change, or CHANNEL_ALL */
	const char *why;    /* static text: the reason for the last change */
};

struct takeover_said {
	bool plays; /* it has that dispatcher */
	bool differs, differs_told;
	uint8_t state, flags;
	uint16_t active;
};

/* What another member says. */
struct takeover_peer {
	uint16_t node_id;
	bool heard, hears_us;
	uint32_t seq;
	uint64_t heard_ns;
	uint64_t segment_ns[PARAMS_PORTS]; /* when it was last heard by that port, 0 = never */
	uint8_t boot_id[WIRE_BOOT_ID];
	struct takeover_said roles[PARAMS_DISPATCHERS];
};

struct takeover {
	struct takeover_role roles[PARAMS_DISPATCHERS];
	struct takeover_peer peers[PARAMS_MEMBERS]; /* as params->members */
	uint32_t config[PARAMS_DISPATCHERS];	    /* hash of what must agree */
	uint32_t ports;				    /* a bit for each that elections are about */
	uint64_t due_ns;    /* of the next tick; later than that this process was held up */
	uint64_t listen_ns; /* until then what waits to be read may tell that others are there */
	uint64_t send_ns;   /* when to tell the others again; much later it has stood still */
	uint32_t seq;
	bool any;     /* some dispatcher may be played by another node */
	bool begun;   /* called for the first time */
	bool changed; /* tell them now */
};

/* 0 or -ENOMEM. d->takeover stays NULL without a cluster. */
int takeover_init(struct dispatch *d);
void takeover_fini(struct dispatch *d);
/* d->params are new. */
void takeover_configure(struct dispatch *d, const struct params *old);

/* To be called before anything else is done in a call from outside: after a stall the roles are
 * gone. */
void takeover_wake(struct dispatch *d);
uint64_t takeover_tick(struct dispatch *d);
/* WIRE_ROLE */
void takeover_message(struct dispatch *d, struct channel_message *msg);
/* The member has said goodbye, or was started anew. */
void takeover_member_gone(struct dispatch *d, uint32_t member);
/* This node leaves: what it plays is handed over. True: something was; frames are forwarded until
 * takeover_yielding is false. */
bool takeover_leave(struct dispatch *d);
/* It does not, after all. */
void takeover_stay(struct dispatch *d);
/* Whether other nodes play dispatchers of this one, too. */
bool takeover_any(const struct dispatch *d);
bool takeover_yielding(const struct dispatch *d);
/* The operator wants this node to play it. 0; -ENOENT: no such dispatcher; -EINVAL: no other node
 * may play it; -EAGAIN: this node cannot, because a port is down; -EHOSTUNREACH: it does not reach
 * the servers or firewalls, which the one that plays it may. */
int takeover_order(struct dispatch *d, const char *dispatcher);

/* Whether this node plays the dispatcher now. */
bool takeover_is_active(const struct dispatch *d, uint16_t dispatcher);
const char *takeover_state_name(uint8_t state);

/* What the checks of servers have found has changed. */
void takeover_look(struct dispatch *d);
/* The target's check has failed, but another node may still reach it, and play the dispatcher
 * before long: its flows are not to be touched yet. */
bool takeover_doubts(const struct dispatch *d, uint16_t target);

/* --- between the four files --- */
/* takeover_sight.c: whom this node reaches; why one with those flags is to play it in the place of
 * this node, which does (static text, NULL = it is not). */
void takeover_judge_sight(struct dispatch *d, uint32_t dispatcher);
const char *takeover_better_there(const struct dispatch *d, uint32_t dispatcher, uint8_t flags);
static inline bool takeover_is_blind(const struct takeover_role *r)
{
	return r->lost_servers || r->cut;
}
static inline bool takeover_sees(uint8_t flags)
{
	return (flags & (WIRE_ROLE_ABLE | WIRE_ROLE_SYNCED | WIRE_ROLE_SEES | WIRE_ROLE_BLIND)) ==
	       (WIRE_ROLE_ABLE | WIRE_ROLE_SYNCED | WIRE_ROLE_SEES);
}
bool takeover_shared(const struct dispatch *d, uint32_t dispatcher);
/* takeover_judge.c: all that follows from the roles' states; a new state, with its reason (static
 * text, NULL: not worth telling) and the member that had part in it (or CHANNEL_ALL). */
void takeover_apply(struct dispatch *d);
void takeover_become(struct dispatch *d, uint32_t dispatcher, enum wire_role_state state,
		     uint32_t other, const char *why);
/* Hosts may take the dispatcher's addresses to be at another node. */
void takeover_announce(struct dispatch *d, uint32_t dispatcher);
/* The role was lost for a reason of this node's own. */
void takeover_flap(struct dispatch *d, struct takeover_role *r);
/* When it may be taken back. */
uint64_t takeover_back_at(const struct dispatch *d, uint32_t dispatcher);
static inline bool takeover_is_shared(const struct dispatcher_params *p)
{
	return p->n_nodes > 0;
}
uint64_t takeover_dead_ns(const struct dispatch *d);
uint64_t takeover_hello_ns(const struct dispatch *d);
/* Place of a member in the order of the dispatcher's nodes; PARAMS_NODES = it is none. */
uint32_t takeover_rank(const struct dispatcher_params *p, uint32_t member);
/* The member was heard within dead-after and has that dispatcher. */
bool takeover_fresh(const struct dispatch *d, uint32_t member, uint32_t dispatcher);
/* When a member that has come up has to have said what it plays; 0 = it has, or is not up. */
uint64_t takeover_says_by(const struct dispatch *d, uint32_t member);
/* Node id of who plays it as far as this node itself hears, 0 = nobody. */
uint16_t takeover_active_id(const struct dispatch *d, uint32_t dispatcher);
/* What this node says of itself: WIRE_ROLE_ABLE and the others. */
uint8_t takeover_flags(const struct dispatch *d, uint32_t dispatcher);
void takeover_send(struct dispatch *d);
void takeover_judge(struct dispatch *d);
/* This node lacks servers or firewalls, and the one that plays it does not. */
bool takeover_worse_here(const struct dispatch *d, uint32_t dispatcher);
void takeover_hash(struct dispatch *d);
/* Ports of a dispatcher, a bit for each. */
/* Whether this node has the tables of the one that plays it. */
bool takeover_synced(const struct dispatch *d, uint32_t dispatcher);
uint32_t takeover_ports(const struct params *p, const struct dispatcher_params *x);

#endif
