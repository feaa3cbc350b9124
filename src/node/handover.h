/*
 * handover.h - neighbours of a node that is restarted (doc/restart.md): their MAC addresses spare
 * the first packets a round of ARP. And its addresses, which it held a moment ago: nobody has to be
 * asked whether they are free.
 */
#ifndef NODE_HANDOVER_H
#define NODE_HANDOVER_H

#include <stdbool.h>

#include "base/sections.h"
#include "node/node.h"

void node_save(const struct node *n, struct sections_out *out);
/* An item of HANDOVER_NEIGHBOURS or HANDOVER_ADDRESSES; false: it was not taken. */
bool node_restore_neighbour(struct node *n, struct rcur *item);
bool node_restore_address(struct node *n, struct rcur *item);

#endif
