/*
 * handover.h - what one process of a node hands to the next when it is restarted (FC-17, HD-24;
 * doc/restart.md): the types of the sections (base/sections.h), and the account of what came of
 * them.
 *
 * Everything is named by ids and names of the configuration, never by an index. A field is never
 * taken away and never gets another meaning: new ones are added at the end of an item, and their
 * reader takes what is missing for 0.
 */
#ifndef BASE_HANDOVER_H
#define BASE_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

/* X(symbol, number, name) - numbers are for ever */
#define HANDOVER_LIST(X)                                                                           \
	X(CHANNEL, 1, "channel")                                                                   \
	X(MEMBERS, 2, "members")                                                                   \
	X(NEIGHBOURS, 3, "neighbours")                                                             \
	X(BACKUP, 4, "backup")                                                                     \
	X(PEERS, 5, "backup peers")                                                                \
	X(STATES, 6, "flows")                                                                      \
	X(FORWARDS, 7, "forwards")                                                                 \
	X(HELD, 8, "backups held")                                                                 \
	X(PATHS, 9, "paths")                                                                       \
	X(TARGETS, 10, "targets")                                                                  \
	X(AFFINITIES, 11, "affinities")                                                            \
	X(DFLOWS, 12, "dispatcher flows")                                                          \
	X(ROLES, 13, "roles")                                                                      \
	X(ADDRESSES, 14, "addresses")

#define HANDOVER_ENUM(sym, number, name) HANDOVER_##sym = number,
enum handover_type { HANDOVER_LIST(HANDOVER_ENUM) HANDOVER_TYPES };
#undef HANDOVER_ENUM

/* Sections whose items are flows of this node's own. */
static inline bool handover_is_flows(unsigned type)
{
	return type == HANDOVER_STATES || type == HANDOVER_DFLOWS;
}

#define HANDOVER_VERSION 1 /* of each section */

struct handover_report {
	uint32_t kept[HANDOVER_TYPES];
	/* of nothing that the configuration has now, over since, without room, or without sense */
	uint32_t lost[HANDOVER_TYPES];
	uint32_t unknown;    /* sections of types that this version does not know */
	uint64_t elapsed_ns; /* since they were written */
};

static inline uint32_t handover_elapsed_ms(const struct handover_report *r)
{
	return (uint32_t)(r->elapsed_ns / 1000000);
}

#endif
