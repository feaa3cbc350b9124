/*
 * handover.h - the tables of the dispatchers, written and read when the node is restarted
 * (handover_flows.c, handover_roles.c; doc/restart.md).
 */
#ifndef DISPATCH_HANDOVER_H
#define DISPATCH_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/handover.h"
#include "base/sections.h"
#include "dispatch/dispatch.h"

void dispatch_save(struct dispatch *d, struct sections_out *out);

struct dispatch_restore;

/* NULL when memory does not suffice. `members`: the channel goes on with the members it had. */
struct dispatch_restore *dispatch_restore_new(struct dispatch *d, struct handover_report *report,
					      bool members);
/* False: the item was not taken. */
bool dispatch_restore_item(struct dispatch_restore *r, uint16_t type, struct rcur *item);
/* The end: what follows from all that was read. */
void dispatch_restore_free(struct dispatch_restore *r);

/* handover_roles.c: what this node plays (HD-19). */
void takeover_save(const struct dispatch *d, struct sections_out *out);
/* A role is gone on with only when the others cannot have missed it for long enough. */
bool takeover_restore(struct dispatch *d, struct rcur *item, const struct handover_report *report);

#endif
