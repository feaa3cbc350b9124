/*
 * handover.h - the tables of the firewall role, written and read when the node is restarted
 * (handover_states.c; doc/restart.md).
 */
#ifndef FIREWALL_HANDOVER_H
#define FIREWALL_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/handover.h"
#include "base/sections.h"
#include "firewall/firewall.h"

/* Tell the others what they are to know before this process ends. */
void firewall_settle(struct firewall *f);
/* All tables, with what the kernel has counted of flows that it passes on. */
void firewall_save(struct firewall *f, struct sections_out *out);

struct firewall_restore;

/* NULL when memory does not suffice. `members`: the channel goes on with the members it had. */
struct firewall_restore *firewall_restore_new(struct firewall *f, struct handover_report *report,
					      bool members);
/* False: the item was not taken. */
bool firewall_restore_item(struct firewall_restore *r, uint16_t type, struct rcur *item);
void firewall_restore_free(struct firewall_restore *r);

#endif
