/*
 * wire_sync.h - SYNC and SYNC_ASK: the tables of a dispatcher, from the node that plays it to those
 * that stand by (HD-19, HD-23). As wire.h has it, encoders write to a cursor and decoders return
 * false for anything impossible.
 *
 * SYNC is a head and any number of records, each of which begins with its kind. Names travel as
 * numbers (name_id), firewalls by the id of their path, members by theirs.
 */
#ifndef CLUSTER_WIRE_SYNC_H
#define CLUSTER_WIRE_SYNC_H

#include "cluster/wire.h"

#define WIRE_SYNC_MERGE 1 /* from who plays it no more to who does: what is known there stays */
#define WIRE_SYNC_STATE 2 /* seq is that of the last message, this one has none of its own */
struct wire_sync_head {
	uint32_t dispatcher; /* name_id of its name */
	uint32_t epoch;	     /* of the sender's playing it; never 0 */
	uint32_t seq;	     /* one more with each message of the epoch to this receiver */
	uint8_t flags;
};
#define WIRE_SYNC_HEAD 13
void wire_put_sync_head(struct wcur *c, const struct wire_sync_head *m);
bool wire_get_sync_head(struct rcur *c, struct wire_sync_head *m);

enum wire_sync_kind {
	WIRE_SYNC_FLOW = 1,
	WIRE_SYNC_GONE = 2,
	WIRE_SYNC_AFFINITY = 3,
	WIRE_SYNC_PATH = 4,
	WIRE_SYNC_BEGIN = 5, /* all flows follow, among the changes of others */
	WIRE_SYNC_END = 6,   /* those that did not, are no more */
};

#define WIRE_SYNC_ORIGIN_B 1 /* endpoint b of the key is the originator */
#define WIRE_SYNC_INSIDE 2   /* the flow began on the inner side */
#define WIRE_SYNC_FIN_0 4    /* FIN seen from the originator, from the responder */
#define WIRE_SYNC_FIN_1 8
#define WIRE_SYNC_TWIN 16	   /* its addresses are rewritten: twin is valid */
#define WIRE_SYNC_TWIN_ORIGIN_B 32 /* as ORIGIN_B, of the twin's key */
#define WIRE_SYNC_HAS_AFFINITY 64  /* it holds its client's affinity */
#define WIRE_SYNC_HALF 128	   /* not confirmed: the first to give way */
#define WIRE_SYNC_STATES 4	   /* opening, open, closing, closed */
struct wire_sync_flow {
	struct flow_key key, twin;
	uint8_t flags, state, path_by, target_by;
	uint16_t path;		  /* id, 0 = none */
	uint16_t upstream;	  /* node id of the stage before, 0 = none */
	uint32_t service, target; /* name_id, 0 = none */
	uint32_t life_ms;	  /* until it expires if nothing more comes */
	uint32_t age_ms;
	uint32_t ack[2], packets[2]; /* by originator / responder */
	uint64_t bytes[2];
};
struct wire_sync_affinity {
	struct ipaddr client;
	uint32_t service, target;
	uint16_t path;
	uint32_t life_ms;
};
#define WIRE_SYNC_PATH_FAILED 1
#define WIRE_SYNC_PATH_MAC 2
#define WIRE_SYNC_PATH_JOINTLY 4 /* failed together with all others */
struct wire_sync_path {
	uint16_t id;
	uint8_t flags;
	struct macaddr mac;
};
struct wire_sync_bulk {
	uint32_t number; /* of the walk */
	uint32_t n;	 /* END: flows told in it */
};

/* The longest record. */
#define WIRE_SYNC_RECORD_MAX 160
struct wire_sync_record {
	enum wire_sync_kind kind;
	union {
		struct wire_sync_flow flow;
		struct flow_key gone;
		struct wire_sync_affinity affinity;
		struct wire_sync_path path;
		struct wire_sync_bulk bulk;
	};
};
void wire_put_sync(struct wcur *c, const struct wire_sync_record *m);
/* The next one of a message; rcur_left(c) > 0 tells whether there is another. */
bool wire_get_sync(struct rcur *c, struct wire_sync_record *m);

/* SYNC_ASK: all of the tables, please. */
struct wire_sync_ask {
	uint32_t dispatcher, epoch;
};
void wire_put_sync_ask(struct wcur *c, const struct wire_sync_ask *m);
bool wire_get_sync_ask(struct rcur *c, struct wire_sync_ask *m);

#endif
