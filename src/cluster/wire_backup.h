/*
 * wire_backup.h - the messages by which a flow outlives its home (FC-17): BACKUP, BACKUP_END, TAKEN
 * and BACKUP_ACK. As wire.h has it, encoders write to a cursor and decoders return false for
 * anything impossible.
 */
#ifndef CLUSTER_WIRE_BACKUP_H
#define CLUSTER_WIRE_BACKUP_H

#include "cluster/wire.h"

/* BACKUP: a head, then one or more flows, as many as fit the datagram. */
struct wire_backup_head {
	uint32_t seq;	/* to be acknowledged */
	uint32_t epoch; /* what the receiver holds of the sender under another epoch is void */
};
void wire_put_backup_head(struct wcur *c, const struct wire_backup_head *m);
bool wire_get_backup_head(struct rcur *c, struct wire_backup_head *m);

#define WIRE_BACKUP_ORIGIN_B 1	/* endpoint b of the key is the originator */
#define WIRE_BACKUP_REPLIED 2	/* the responder has answered */
#define WIRE_BACKUP_HAND_OVER 4 /* the sender gives the flow up: take it over now */
#define WIRE_BACKUP_FLOW_MAX 70
struct wire_backup_flow {
	struct flow_key key;
	uint8_t flags;
	uint8_t term;  /* how often the flow has been taken over, 0..WIRE_TERM_MAX */
	uint32_t rule; /* name_id of the rule that admitted it, 0 = the default action */
	uint32_t age_ms, life_ms;
	/* of TCP alone; by originator / responder */
	uint32_t una[2], end[2];
	uint8_t scale[2]; /* window shifts: 0..14, or 255 = not known */
};
#define WIRE_TERM_MAX 7
void wire_put_backup_flow(struct wcur *c, const struct wire_backup_flow *m);
/* The next one of a message; rcur_left(c) > 0 tells whether there is another. */
bool wire_get_backup_flow(struct rcur *c, struct wire_backup_flow *m);

/* BACKUP_END: flows that have ended, or whose backup is another member now. */
void wire_put_backup_end(struct wcur *c, uint32_t seq, const struct wire_keys *keys);
bool wire_get_backup_end(struct rcur *c, uint32_t *seq, struct wire_keys *keys);

/* TAKEN: flows that the sender has taken over from their home. Some have ended since: then there is
 * nobody to forward to, and a state that the old home has is that of the same flow only if it is as
 * old. */
#define WIRE_TAKEN_MAX 32
struct wire_taken {
	uint8_t n; /* 1..WIRE_TAKEN_MAX */
	struct {
		struct flow_key key;
		uint8_t rank; /* as in a confirm; of one that has ended, its last */
		bool ended;
		uint32_t age_ms; /* of one that has ended: since it began */
	} v[WIRE_TAKEN_MAX];
};
void wire_put_taken(struct wcur *c, const struct wire_taken *m);
bool wire_get_taken(struct rcur *c, struct wire_taken *m);

/* BACKUP_ACK: BACKUP and BACKUP_END messages that have come, and whether the sender takes backups
 * at all; by that alone a member is known to. */
#define WIRE_ACKS_MAX 64
#define WIRE_ACK_WILLING 1
struct wire_backup_ack {
	uint8_t flags;
	uint8_t n;	/* 0..WIRE_ACKS_MAX */
	uint32_t epoch; /* of what the sender has backed up, or will, with the receiver */
	uint32_t seq[WIRE_ACKS_MAX];
};
void wire_put_backup_ack(struct wcur *c, const struct wire_backup_ack *m);
bool wire_get_backup_ack(struct rcur *c, struct wire_backup_ack *m);

#endif
