/*
 * wire_role.h - ROLE: what a node is of the dispatchers that several nodes may play, and whom it
 * hears (HD-19). As wire.h has it, the encoder writes to a cursor and the decoder returns false for
 * anything impossible.
 */
#ifndef CLUSTER_WIRE_ROLE_H
#define CLUSTER_WIRE_ROLE_H

#include "cluster/wire.h"

enum wire_role_state {
	WIRE_ROLE_WAITING,  /* has just come, or stood still: listens */
	WIRE_ROLE_STANDBY,  /* could take over */
	WIRE_ROLE_ACTIVE,   /* plays it */
	WIRE_ROLE_YIELDING, /* has handed over and forwards what still comes */
	WIRE_ROLE_STATES
};

#define WIRE_ROLE_ABLE 1   /* all its ports are up, and it does not leave */
#define WIRE_ROLE_SYNCED 2 /* has the tables */
#define WIRE_ROLE_WANTS 4  /* asks the active one to hand over */
#define WIRE_ROLE_FORCED                                                                           \
	8 /* because the operator wants it, whatever the order; active: plays it so */
#define WIRE_ROLE_OUTER 16 /* the dispatcher is an outer one: no stage is behind it */
#define WIRE_ROLE_BLIND                                                                            \
	32		  /* what is behind one of its ports has answered there, and does no more */
#define WIRE_ROLE_SEES 64 /* servers answer the sender by each port that has checked ones */

struct wire_role_one {
	uint32_t dispatcher; /* name_id of its name */
	uint8_t state;	     /* enum wire_role_state */
	uint8_t flags;
	uint16_t active; /* node id of who plays it, as far as the sender knows; 0 = nobody */
	uint32_t config; /* hash of what nodes that play it must have in common */
};

struct wire_role {
	uint32_t seq; /* larger with each one of a boot: what overtook another is told by it */
	uint8_t n_roles, n_heard;
	struct wire_role_one roles[PARAMS_DISPATCHERS];
	uint16_t heard[PARAMS_MEMBERS]; /* node ids whose ROLE has come within dead-after */
};

#define WIRE_ROLE_MAX (4 + 1 + PARAMS_DISPATCHERS * 12 + 1 + PARAMS_MEMBERS * 2)

void wire_put_role(struct wcur *c, const struct wire_role *m);
bool wire_get_role(struct rcur *c, struct wire_role *m);

#endif
