/*
 * bench_table - what the flow table costs: nanoseconds per operation and bytes per flow.
 *
 * Flows are found and removed in an order that has nothing to do with that of their insertion, one
 * at a time ("find"), and as the engine does it, in batches with prefetch ("batch"). Usage:
 * bench_table [--quick]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flow/table.h"

#define BATCH 32
#define MS 1000000ULL
#define TIMEOUT_MS 30000

struct flow {
	struct flow_entry entry;
	uint8_t rest[112 - sizeof(struct flow_entry)];
};

struct bench {
	struct flow_table *table;
	uint32_t n;
	unsigned rounds;
	uint64_t sum; /* of what was read, so that nothing is optimised away */
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static size_t resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f) {
		if (fscanf(f, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return pages * 4096;
}

/* The n flows, visited in a scattered order (the multiplier is odd and prime to every n here). */
static struct flow_key key_of(const struct bench *b, uint32_t i)
{
	uint32_t n = (uint32_t)((uint64_t)i * 2654435761U % b->n);
	uint8_t src[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	uint8_t dst[4] = {192, 0, 2, 1};
	struct pkt_tuple t = {.src = ipaddr_v4(src),
			      .dst = ipaddr_v4(dst),
			      .sport = (uint16_t)(1024 + n % 60000),
			      .dport = 443,
			      .proto = IPPROTO_NUM_TCP};
	struct flow_key key;

	flow_key_make(&key, &t, 4);
	return key;
}

static void touch(struct bench *b, struct flow *f)
{
	if (!f)
		exit(1);
	b->sum += f->rest[10]++;
}

static void insert_all(struct bench *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct flow_key key = key_of(b, i);
		struct flow *f = flow_table_insert(b->table, &key, flow_table_hash(b->table, &key));
		flow_table_arm(b->table, f, 0, TIMEOUT_MS + i % 1000);
	}
}

static void find_each(struct bench *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct flow_key key = key_of(b, i * 7 + 3);
		touch(b, flow_table_find(b->table, &key, flow_table_hash(b->table, &key)));
	}
}

static void find_batch(struct bench *b)
{
	struct flow_key key[BATCH];
	uint64_t hash[BATCH];

	for (uint32_t i = 0; i + BATCH <= b->n; i += BATCH) {
		for (uint32_t k = 0; k < BATCH; k++) {
			key[k] = key_of(b, (i + k) * 7 + 3);
			hash[k] = flow_table_hash(b->table, &key[k]);
			flow_table_prefetch_slot(b->table, hash[k]);
		}
		for (uint32_t k = 0; k < BATCH; k++)
			flow_table_prefetch_entry(b->table, hash[k]);
		for (uint32_t k = 0; k < BATCH; k++)
			touch(b, flow_table_find(b->table, &key[k], hash[k]));
	}
}

static void find_missing(struct bench *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct flow_key key = key_of(b, i);
		key.bport ^= 1;
		b->sum += flow_table_find(b->table, &key, flow_table_hash(b->table, &key)) != NULL;
	}
}

static void only_keys(struct bench *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct flow_key key = key_of(b, i * 7 + 3);
		b->sum += flow_table_hash(b->table, &key);
	}
}

static void due(void *arg, void *entry)
{
	struct bench *b = arg;

	flow_table_remove(b->table, entry);
}

static void expire_all(struct bench *b)
{
	uint64_t now = TIMEOUT_MS * MS;

	while (flow_table_count(b->table) > 0) {
		now += 8 * MS;
		while (flow_table_expire(b->table, now, 4096, due, b) == now)
			;
	}
}

static double per_op(struct bench *b, void (*run)(struct bench *))
{
	uint64_t start = clock_ns();

	for (unsigned i = 0; i < b->rounds; i++)
		run(b);
	return (double)(clock_ns() - start) / b->rounds / b->n;
}

static int bench(uint32_t n, unsigned rounds)
{
	struct hash_key secret = {.k0 = 0x0123456789abcdefULL, .k1 = clock_ns()};
	struct bench b = {.n = n, .rounds = 1};
	size_t before = resident();

	b.table = flow_table_new(sizeof(struct flow), n, &secret, 0);
	if (!b.table)
		return -1;
	size_t empty = resident() - before;
	double cold = per_op(&b, insert_all);
	size_t full = resident() - before;
	double expire = per_op(&b, expire_all);
	flow_table_free(b.table);

	b.table = flow_table_new(sizeof(struct flow), n, &secret, 0);
	if (!b.table)
		return -1;
	insert_all(&b);
	b.rounds = rounds;
	double key = per_op(&b, only_keys);
	double find = per_op(&b, find_each), batch = per_op(&b, find_batch);
	double missing = per_op(&b, find_missing);
	printf("%9u %7.1f %7.1f %7.1f %7.1f %7.1f %7.1f %7u %9.1f %9.1f %9zu\n", n, key, find,
	       batch, missing, cold, expire, flow_table_longest_probe(b.table),
	       (double)flow_table_memory(b.table) / n, (double)full / n, empty / 1024);
	flow_table_free(b.table);
	return b.sum == 1 ? 1 : 0;
}

int main(int argc, char **argv)
{
	bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	const uint32_t sizes[] = {1000, 100000, 1000000};

	printf("   ns each: key+hash alone; key+hash+ find, batched find, miss, insert, expire\n");
	printf("%9s %7s %7s %7s %7s %7s %7s %7s %9s %9s %9s\n", "flows", "key", "find", "batch",
	       "miss", "insert", "expire", "probe", "B/flow", "resident", "empty KiB");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		if (bench(sizes[i], (quick ? 1000000 : 10000000) / sizes[i]) < 0)
			return 1;
	return 0;
}
