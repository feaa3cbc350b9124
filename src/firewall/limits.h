/*
 * limits.h - small fixed-size memories that keep a flood of unknown packets cheap (FC-16, THREATS
 * section 2): flows nobody answered for, query budgets per source prefix, flows per source.
 *
 * All are hashed under the node's secret and never grow. Each states how it can err: the negative
 * cache may forget (a query more is sent), a source bucket may be shared by colliding prefixes or
 * start anew when replaced, a flow count may be too high for a source that collides in both rows.
 */
#ifndef FIREWALL_LIMITS_H
#define FIREWALL_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bucket.h"
#include "base/hash.h"

struct negative_cache;
struct negative_cache *negative_new(void);
void negative_free(struct negative_cache *c);
void negative_put(struct negative_cache *c, uint64_t flow_hash, uint64_t until_ns);
void negative_remove(struct negative_cache *c, uint64_t flow_hash);
bool negative_has(const struct negative_cache *c, uint64_t flow_hash, uint64_t now_ns);
uint32_t negative_clear(struct negative_cache *c);

struct source_buckets;
struct source_buckets *source_buckets_new(const struct hash_key *secret);
void source_buckets_free(struct source_buckets *b);
/* One token of the /24 or /64 that `a` lies in. */
bool source_buckets_take(struct source_buckets *b, const struct ipaddr *a, uint32_t rate,
			 uint32_t burst, uint64_t now_ns);

struct source_counts;
struct source_counts *source_counts_new(const struct hash_key *secret);
void source_counts_free(struct source_counts *c);
void source_counts_add(struct source_counts *c, const struct ipaddr *a, int delta);
uint32_t source_counts_get(const struct source_counts *c, const struct ipaddr *a);

#endif
