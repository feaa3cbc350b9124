/*
 * backup.h - a flow outlives its home (FC-17; doc/home-query.md).
 *
 *   home                                  backup: one other member
 *     │ flow is answered and old enough          │
 *     ├── BACKUP: flows, 20 ms share a message ─▶│ table of its own, entries with a life
 *     │◀── BACKUP_ACK ───────────────────────────┤
 *     ├── BACKUP again, with traffic since ─────▶│
 *     ├── BACKUP_END ───────────────────────────▶│
 *     ├── BACKUP, "hand over" ──────────────────▶│ at once: state of its own, and TAKEN
 *     ╳ down, left, or another boot              │ its flows are orphans
 *                                                ├── a packet, or a query: state of its own
 *                                                ├── TAKEN ─▶ everybody: follow
 *
 * The member is chosen by rendezvous among the live ones that have said they take backups, so a
 * member that comes or goes moves only what was with it. Nobody else has to know the choice: a
 * backup finds out by itself that it is meant, by a packet or by the query that goes to everybody.
 *
 * A taken-over flow has a term, one larger than with its home before, and the term is part of the
 * rank that decides between two homes. So when the old home comes back with its old state, it
 * loses, whatever message comes first and whichever are lost; and the flow stays where it is.
 *
 * Should such a flow end before the old home is back, a tombstone stays in the table of held flows,
 * and the old home is told that the flow is over.
 *
 * A member that leaves or is drained takes no backups, hands all its flows over, and forwards what
 * still comes for them.
 *
 * A query's packet is not delivered by a home that may not be alone: not for flows that were taken
 * over, nor for those whose backup fell silent. It confirms, and the asker forwards to one.
 */
#ifndef FIREWALL_BACKUP_H
#define FIREWALL_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bucket.h"
#include "cluster/channel.h"
#include "cluster/wire_backup.h"
#include "firewall/policy.h"
#include "firewall/state.h"
#include "flow/table.h"

#define BACKUP_FLUSH_NS 20000000ULL /* what comes up in this time shares a message */
#define BACKUP_BATCH 64		    /* flows of one message at most */
#define BACKUP_PENDING 256	    /* messages that wait for their acknowledgement */
#define BACKUP_TELL_ROUNDS 4	    /* so often a member that is back is told what was taken over */

struct firewall;
struct lookup;

/* What the home knows of the backup of the state with the same index, beside state->backup. */
struct backup_mark {
	uint32_t next, prev; /* in its list */
	uint32_t due_ms;
	uint16_t packets; /* low bits of their number when the flow was last told */
	uint8_t list;
};

/* How long a member waits for a flow to be taken over by whom it has been handed to, before it
 * tells that member again: when it leaves, when it is drained. */
#define BACKUP_HAND_LEAVES_MS 50
#define BACKUP_HAND_DRAINED_MS 1000

enum backup_list_id {
	BACKUP_IDLE,	/* in none: not answered yet, over, or nobody takes it */
	BACKUP_READY,	/* to be told at once */
	BACKUP_WAIT,	/* not old enough; in the order in which they will be */
	BACKUP_REFRESH, /* told; in the order in which to look at them again */
	BACKUP_HANDED,	/* told to be taken over; likewise */
	BACKUP_LISTS
};

struct backup_list {
	uint32_t first, last;
};

/* In `flags`: this was a flow of this node's own. It has been taken over once, and has ended. */
#define BACKUP_ENDED 0x80

/* A flow that another member is home of, or a tombstone. */
struct backup_flow {
	struct flow_entry entry; /* first */
	uint32_t una[2], end[2];
	uint32_t created_ms; /* of the flow, by this node's clock */
	uint32_t epoch;
	uint16_t boot;
	uint16_t rule;
	uint8_t member, flags, term, scale[2];
	/* 1 + the member that had told it before, and is home of it, too; 0 = none. What it told
	 * it by. */
	uint8_t other;
	uint16_t other_boot;
	uint32_t other_epoch;
};

_Static_assert(sizeof(struct backup_flow) <= 128, "there may be a million of them");

/* A BACKUP or BACKUP_END message that is not acknowledged yet. */
struct backup_pending {
	uint32_t seq;
	uint8_t n; /* 0 = it is, or need not be any more */
	uint8_t member, tries;
	bool is_end;
	uint64_t due_ns;
	union {
		uint32_t index[BACKUP_BATCH];
		struct wire_keys keys;
	};
};

struct backup_peer {
	uint8_t boot_id[WIRE_BOOT_ID];
	uint16_t boot; /* grows with each boot */
	bool willing;  /* takes our backups */
	bool away;     /* down; may come back with what it had, and has not been told since */
	uint32_t in_epoch, out_epoch;
	struct wire_keys ends;
	struct wire_backup_ack acks;
	uint64_t offer_ns; /* when to say next that we take its backups */
	uint8_t offers;	   /* said in quick succession */
	uint8_t tell;	   /* rounds in which it is told what was taken over */
	bool tell_ended;   /* the round has come to the tombstones */
	uint32_t tell_pos;
	uint64_t tell_ns;
	uint32_t promoted; /* of its flows, since the last note */
};

enum backup_handing {
	BACKUP_STAYS,	/* homes stay here */
	BACKUP_DRAINED, /* by the operator's order; this node goes on forwarding */
	BACKUP_LEAVES	/* before it says goodbye */
};

struct backup {
	struct flow_table *flows;  /* held for others */
	struct backup_mark *marks; /* of the states */
	struct backup_list lists[BACKUP_LISTS];
	struct backup_pending *pending; /* a ring, in the order in which they are due */
	uint32_t pending_head, n_pending;
	struct backup_peer peers[PARAMS_MEMBERS];
	struct wire_taken taken; /* to be told to everybody */
	struct bucket pace;
	struct hash_key secret;
	uint32_t seq, epoch;
	uint32_t n_backed;  /* states whose backup a member holds */
	uint32_t n_ended;   /* tombstones */
	uint64_t spread_ns; /* until then flows move to the member that is best for them */
	enum backup_handing handing;
	uint64_t handing_ns; /* since */
	uint64_t leave_ns,
		empty_ns;  /* leaves then at the latest; has had nothing to hand over since */
	uint64_t flush_ns; /* not before */
	uint64_t doubt_ns; /* until then what is read may have waited while this process stood still
			    */
	uint64_t quiet_ns; /* members that are down until then may only be late in coming back */
	uint64_t ends_ns, acks_ns, taken_ns, note_ns; /* UINT64_MAX = nothing to send */
};

/* With a cluster, the role and the option; else f->backup stays NULL and the calls do nothing.
 * 0 or -ENOMEM, and then it is NULL, too. */
int backup_init(struct firewall *f, const struct params *params, const struct hash_key *flows,
		const struct hash_key *secret);
void backup_fini(struct firewall *f);
bool backup_wanted(const struct firewall *f, const struct params *params);
/* Places in the list of members mean others now, and nobody knows whom. */
void backup_forget_members(struct firewall *f);
/* A member takes no more backups: what it holds moves to another. */
void backup_move_off(struct firewall *f, uint32_t member);
/* All states that are worth it are told soon. */
void backup_all_ready(struct firewall *f);

/* --- the home: backup.c --- */
void backup_begin(struct firewall *f, struct state *s);	  /* a new state */
void backup_settled(struct firewall *f, struct state *s); /* it is not half-open any more */
void backup_at_once(struct firewall *f, struct state *s); /* it has just been taken over */
void backup_end(struct firewall *f, struct state *s);	  /* over, or removed */
/* The home may not be the only one: it does not deliver what a query carries. */
bool backup_doubts(const struct firewall *f, const struct state *s);
void backup_void(struct firewall *f); /* all states go: their backups are void, too */
/* Whoever has not been told is told now, without an answer: the last thing before a goodbye. */
void backup_last_words(struct firewall *f);
/* For a restart (handover_states.c): whether the backup's member has been told what there is to
 * tell so far; the same flow in the next process; messages without an acknowledgement count as not
 * told. */
bool backup_is_told(const struct firewall *f, const struct state *s);
void backup_resumed(struct firewall *f, struct state *s, uint32_t member, bool told);
void backup_requeue_all(struct firewall *f);
void backup_member_event(struct firewall *f, enum channel_event event, uint32_t member);

/* --- handing over: backup_leave.c --- */
/* This node leaves: its flows are handed over. True: it is to wait until backup_leaving is false,
 * which takes BACKUP_LEAVE_NS at most, and to forward until then. */
bool backup_leave(struct firewall *f);
bool backup_leaving(const struct firewall *f);
void backup_leave_tick(struct firewall *f);
uint64_t backup_leave_next(const struct firewall *f);
/* By the operator: hand over, from now on as soon as a flow is answered; or no more. -EOPNOTSUPP:
 * this node has no backups. -ENETUNREACH: no other member takes any. */
int backup_drain(struct firewall *f, bool drain);
#define BACKUP_LEAVE_NS 200000000ULL
/* A packet that a member has forwarded, for a flow that was handed over a moment ago: it goes on to
 * the new home, once. */
struct forward *backup_handed_on(struct firewall *f, const struct pkt *pkt, const struct lookup *l);

/* --- changes of the configuration: backup_reload.c --- */
/* Switch on or off, as `params` has it. 0 or -ENOMEM, and nothing has changed. */
int backup_configure(struct firewall *f, const struct params *params);
/* The list of members has changed: places in it mean others now. */
void backup_move_members(struct firewall *f, const struct params *from, const struct params *to);

/* --- the backup: backup_hold.c --- */
/* A packet came whose flow is not known here: its state, if the flow is an orphan. */
struct state *backup_take_over(struct firewall *f, const struct pkt *pkt, const struct lookup *l);
/* The same for a query. */
struct state *backup_asked(struct firewall *f, const struct wire_query *q, const struct lookup *l);
/* A query of this node ran out. True when the flow has been taken over: its home is silent. */
bool backup_rescue(struct firewall *f, const struct flow_key *key, uint64_t asked_ns);
/* The endpoints begin anew here: the flow of a lost home is history. */
void backup_forget_orphan(struct firewall *f, const struct flow_key *key);
/* A segment of a connection that was taken over, the first that is seen of it. */
enum drop backup_resume(const struct firewall *f, struct state *s, unsigned side,
			const struct tcp_seg *seg);
void backup_remap_rules(struct firewall *f, const struct policy *policy);
struct backup_peer *backup_peer(struct firewall *f, uint32_t member);
bool backup_silent(const struct firewall *f, uint32_t member);
void backup_hold_purge(struct firewall *f, uint32_t member, uint32_t epoch);
void backup_hold_remove(struct firewall *f, struct backup_flow *e);
/* A flow that was taken over has ended here. */
void backup_bury(struct firewall *f, const struct state *s);
/* No member is left that could come back with what has ended. */
void backup_exhume(struct firewall *f);

/* --- messages and time: backup_talk.c --- */
void backup_message(struct firewall *f, struct channel_message *msg);
uint64_t backup_tick(struct firewall *f);
/* When the next tick is due, as things are now. */
uint64_t backup_next(const struct firewall *f);
void backup_say_taken(struct firewall *f, const struct state *s);
void backup_say_ended(struct firewall *f, const struct backup_flow *e);
void backup_taken_flush(struct firewall *f);
void backup_tell_again(struct firewall *f, uint32_t member);
void backup_ack_send(struct firewall *f, uint32_t member);
void backup_ends_flush(struct firewall *f);
/* What is in the list is due at times of its own, and not at once. */
bool backup_list_waits(const struct backup *b, uint8_t list);
/* Send what is due of the lists; when `all`, all that nobody has been told of, whatever the pace.
 */
void backup_flush(struct firewall *f, bool all);
void backup_requeue(struct firewall *f, const struct backup_pending *p);
void backup_held(struct firewall *f, struct channel_message *msg);
void backup_held_end(struct firewall *f, struct channel_message *msg);
void backup_given_up(struct firewall *f, struct channel_message *msg);
void backup_end_send(struct firewall *f, uint32_t member, const struct wire_keys *keys,
		     uint8_t tries);
struct backup_pending *backup_await(struct firewall *f, uint32_t member, uint8_t tries);

#endif
