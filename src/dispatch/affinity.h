/*
 * affinity.h - which target a client was sent to by a service, and through which firewall: so that
 * the control and data connections of FTP, or all connections of one visitor, meet (HD-11).
 *
 * A table of fixed capacity; an entry lives until it was unused for as long as its service says.
 * When the table is full the entry nearest to its end among a few gives way.
 */
#ifndef DISPATCH_AFFINITY_H
#define DISPATCH_AFFINITY_H

#include <stdint.h>

#include "base/addr.h"
#include "base/hash.h"

struct affinity {
	struct ipaddr client;
	uint16_t service, target, path; /* indices; path PARAMS_NONE = none */
	uint32_t n_flows;		/* open flows that it holds; it does not expire before */
	uint64_t expires_ns;
};

struct affinity_table;

struct affinity_table *affinity_table_new(uint32_t capacity, const struct hash_key *secret);
void affinity_table_free(struct affinity_table *t);

/* The entry, or NULL when there is none or its time is up. */
struct affinity *affinity_find(struct affinity_table *t, uint16_t service,
			       const struct ipaddr *client, uint64_t now_ns);
/* The entry, made (with target and path PARAMS_NONE) if need be; NULL when every place that it
 * could take is held by open flows. Its time begins anew. */
struct affinity *affinity_get(struct affinity_table *t, uint16_t service,
			      const struct ipaddr *client, uint32_t life_ms, uint64_t now_ns);
/* Look at the next `n` places in turn and forget what is over: for counts and listings to be true;
 * finding and making entries does without. Returns how many went. */
uint32_t affinity_expire(struct affinity_table *t, uint64_t now_ns, uint32_t n);
/* Forget all entries that name a target (it is down and its flows move). One that open flows hold
 * stays, without a target. Returns how many. */
uint32_t affinity_forget_target(struct affinity_table *t, uint16_t target);
/* After a reload: `map[old]` is the new index of a service, target or path, or PARAMS_NONE. Entries
 * of a service that is no more go, held or not; those of a target as above. No two old services may
 * become the same new one. */
void affinity_remap(struct affinity_table *t, const uint16_t *services, const uint16_t *targets,
		    const uint16_t *paths);
uint32_t affinity_count(const struct affinity_table *t);
/* Walk: *pos = 0 at first; NULL at the end. */
const struct affinity *affinity_next(const struct affinity_table *t, uint32_t *pos);

#endif
