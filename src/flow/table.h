/*
 * table.h - a table of flows with deadlines.
 *
 * Open addressing over a slot array that points into an array of fixed-size entries; capacity is
 * fixed when the table is made, nothing is allocated later. Each entry begins with a struct
 * flow_entry. A timer wheel over the entries finds those that are due; moving a deadline later is
 * one store (the wheel notices when the old deadline comes), so touching a flow per packet is
 * cheap.
 *
 * Ownership: entries belong to the table; a pointer is valid until that entry is removed.
 * Memory: slots and links together cost at most 16 bytes per entry at full capacity.
 */
#ifndef FLOW_TABLE_H
#define FLOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/key.h"

#define FLOW_NO_INDEX UINT32_MAX

struct flow_entry {
	struct flow_key key;
	uint32_t next, prev; /* wheel list; owned by the table */
	uint32_t expires_ms; /* deadline on the table's 32-bit millisecond clock; see flow_table_arm
			      */
	uint32_t wheel_slot; /* owned by the table */
};

struct flow_table;

/* `size` of one entry, its flow_entry included. NULL when memory does not suffice. */
struct flow_table *flow_table_new(size_t size, uint32_t capacity, const struct hash_key *secret,
				  uint64_t now_ns);
void flow_table_free(struct flow_table *t);

uint64_t flow_table_hash(const struct flow_table *t, const struct flow_key *key);
/* Bring the slots (step 1) and then the entry (step 2) of a hash into the cache. */
void flow_table_prefetch_slot(const struct flow_table *t, uint64_t hash);
void flow_table_prefetch_entry(const struct flow_table *t, uint64_t hash);

/* The entry, or NULL. */
void *flow_table_find(const struct flow_table *t, const struct flow_key *key, uint64_t hash);

/* A new zeroed entry with that key, which must not be present, not armed yet; NULL when full. */
void *flow_table_insert(struct flow_table *t, const struct flow_key *key, uint64_t hash);
void flow_table_remove(struct flow_table *t, void *entry);

/* Set the deadline of an entry to now + timeout. Cheap when the deadline moves later. */
void flow_table_arm(struct flow_table *t, void *entry, uint64_t now_ns, uint32_t timeout_ms);
/* The same for something that happened at `since_ns`, perhaps a while ago: a deadline that is later
 * already stays. */
void flow_table_arm_since(struct flow_table *t, void *entry, uint64_t since_ns, uint64_t now_ns,
			  uint32_t timeout_ms);
/* Milliseconds until the deadline, 0 when it has passed. */
uint32_t flow_table_left_ms(const struct flow_table *t, const void *entry, uint64_t now_ns);

/* Call `due` for entries whose deadline has passed, looking at no more than `budget` of them (one
 * whose deadline has moved costs as much). The callback removes the entry or arms it anew, and may
 * insert, arm and remove others. A deadline is never early and at most 9 ms late. Returns the time
 * of the next call, in ns: `now_ns` itself when the budget ran out, UINT64_MAX when the table is
 * empty. */
typedef void flow_table_due(void *arg, void *entry);
uint64_t flow_table_expire(struct flow_table *t, uint64_t now_ns, unsigned budget,
			   flow_table_due *due, void *arg);

uint32_t flow_table_count(const struct flow_table *t);
uint32_t flow_table_capacity(const struct flow_table *t);
size_t flow_table_memory(const struct flow_table *t);	       /* when every entry has been used */
uint32_t flow_table_longest_probe(const struct flow_table *t); /* slots, of any insert so far */

/* Walk: start with *pos = 0; NULL at the end. Entries may be removed while walking. */
void *flow_table_next(const struct flow_table *t, uint32_t *pos);

/* Index of an entry and back (stable while the entry lives; NULL when that place is free). */
uint32_t flow_table_index(const struct flow_table *t, const void *entry);
void *flow_table_at(const struct flow_table *t, uint32_t index);

#endif
