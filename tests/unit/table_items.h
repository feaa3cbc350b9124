/*
 * table_items.h - numbered flows in a flow table, for its tests.
 */
#ifndef TESTS_TABLE_ITEMS_H
#define TESTS_TABLE_ITEMS_H

#include <check.h>
#include <stdlib.h>

#include "flow/table.h"

#define MS 1000000ULL
#define START 5000000123ULL
#define DAY_MS 86400000ULL

static const struct hash_key secret = {.k0 = 0x0123456789abcdefULL, .k1 = 0xfedcba9876543210ULL};

struct item {
	struct flow_entry flow;
	uint32_t number;
	uint32_t pad[9];
};

static inline struct flow_key key_of(uint32_t n)
{
	uint8_t src[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	uint8_t dst[4] = {192, 0, 2, 1};
	struct pkt_tuple t = {.src = ipaddr_v4(src),
			      .dst = ipaddr_v4(dst),
			      .sport = (uint16_t)(n >> 24),
			      .dport = 80,
			      .proto = IPPROTO_NUM_TCP};
	struct flow_key key;

	flow_key_make(&key, &t, 4);
	return key;
}

static inline struct flow_table *table_of(uint32_t capacity)
{
	struct flow_table *t = flow_table_new(sizeof(struct item), capacity, &secret, START);

	ck_assert_ptr_nonnull(t);
	return t;
}

static inline struct item *insert(struct flow_table *t, uint32_t n)
{
	struct flow_key key = key_of(n);
	struct item *item = flow_table_insert(t, &key, flow_table_hash(t, &key));

	if (item)
		item->number = n;
	return item;
}

static inline struct item *find(const struct flow_table *t, uint32_t n)
{
	struct flow_key key = key_of(n);
	uint64_t hash = flow_table_hash(t, &key);

	flow_table_prefetch_slot(t, hash);
	flow_table_prefetch_entry(t, hash);
	return flow_table_find(t, &key, hash);
}

#endif
