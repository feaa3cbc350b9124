#include "firewall/limits.h"

#include <stdlib.h>
#include <string.h>

/* --- negative cache: sets of four, the entry that ends first gives way ------------------------ */

#define NEGATIVE_SETS 8192
#define NEGATIVE_WAYS 4

struct negative_cache {
	struct {
		uint64_t hash[NEGATIVE_WAYS];
		uint64_t until_ns[NEGATIVE_WAYS];
	} sets[NEGATIVE_SETS]; /* one cache line each */
};

struct negative_cache *negative_new(void)
{
	return calloc(1, sizeof(struct negative_cache));
}

void negative_free(struct negative_cache *c)
{
	free(c);
}

void negative_put(struct negative_cache *c, uint64_t flow_hash, uint64_t until_ns)
{
	unsigned set = (unsigned)(flow_hash % NEGATIVE_SETS), victim = 0;

	for (unsigned i = 0; i < NEGATIVE_WAYS; i++) {
		if (c->sets[set].hash[i] == flow_hash) {
			victim = i;
			break;
		}
		if (c->sets[set].until_ns[i] < c->sets[set].until_ns[victim])
			victim = i;
	}
	c->sets[set].hash[victim] = flow_hash;
	c->sets[set].until_ns[victim] = until_ns;
}

void negative_remove(struct negative_cache *c, uint64_t flow_hash)
{
	unsigned set = (unsigned)(flow_hash % NEGATIVE_SETS);

	for (unsigned i = 0; i < NEGATIVE_WAYS; i++)
		if (c->sets[set].hash[i] == flow_hash)
			c->sets[set].until_ns[i] = 0;
}

bool negative_has(const struct negative_cache *c, uint64_t flow_hash, uint64_t now_ns)
{
	unsigned set = (unsigned)(flow_hash % NEGATIVE_SETS);

	for (unsigned i = 0; i < NEGATIVE_WAYS; i++)
		if (c->sets[set].hash[i] == flow_hash && c->sets[set].until_ns[i] > now_ns)
			return true;
	return false;
}

uint32_t negative_clear(struct negative_cache *c)
{
	uint32_t n = 0;

	for (unsigned set = 0; set < NEGATIVE_SETS; set++)
		for (unsigned i = 0; i < NEGATIVE_WAYS; i++)
			n += c->sets[set].until_ns[i] != 0;
	memset(c, 0, sizeof(*c));
	return n;
}

/* --- query budgets per source prefix ---------------------------------------------------------- */

#define SOURCE_SLOTS 16384

struct source_buckets {
	struct hash_key secret;
	struct {
		uint64_t hash;
		struct bucket bucket;
	} slots[SOURCE_SLOTS];
};

struct source_buckets *source_buckets_new(const struct hash_key *secret)
{
	struct source_buckets *b = calloc(1, sizeof(*b));

	if (b)
		b->secret = *secret;
	return b;
}

void source_buckets_free(struct source_buckets *b)
{
	free(b);
}

bool source_buckets_take(struct source_buckets *b, const struct ipaddr *a, uint32_t rate,
			 uint32_t burst, uint64_t now_ns)
{
	struct ipaddr p = ipaddr_mask(*a, ipaddr_is_v4(a) ? 96 + 24 : 64);
	uint64_t hash = hash_words(&b->secret, p.q, 2) | 1;
	unsigned i = (unsigned)(hash >> 20) % SOURCE_SLOTS;

	if (b->slots[i].hash != hash) {
		b->slots[i].hash = hash;
		bucket_init(&b->slots[i].bucket, rate, burst, now_ns);
	}
	return bucket_take(&b->slots[i].bucket, 1, now_ns);
}

/* --- flows per source: two rows of counters, the smaller one counts --------------------------- */

#define COUNT_SLOTS 65536

struct source_counts {
	struct hash_key secret;
	uint32_t rows[2][COUNT_SLOTS];
};

struct source_counts *source_counts_new(const struct hash_key *secret)
{
	struct source_counts *c = calloc(1, sizeof(*c));

	if (c)
		c->secret = *secret;
	return c;
}

void source_counts_free(struct source_counts *c)
{
	free(c);
}

void source_counts_add(struct source_counts *c, const struct ipaddr *a, int delta)
{
	uint64_t hash = hash_words(&c->secret, a->q, 2);

	c->rows[0][hash % COUNT_SLOTS] += (uint32_t)delta;
	c->rows[1][(hash >> 32) % COUNT_SLOTS] += (uint32_t)delta;
}

uint32_t source_counts_get(const struct source_counts *c, const struct ipaddr *a)
{
	uint64_t hash = hash_words(&c->secret, a->q, 2);
	uint32_t x = c->rows[0][hash % COUNT_SLOTS], y = c->rows[1][(hash >> 32) % COUNT_SLOTS];

	return x < y ? x : y;
}
