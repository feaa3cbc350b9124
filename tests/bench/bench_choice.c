/*
 * bench_choice - what it costs to choose among 3, 10, 100 and 1,000 candidates: nanoseconds per
 * pick, of which the last are the hash alone; microseconds until the first pick, and after one
 * candidate went down and came back; and memory. Usage: bench_choice [--quick]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dispatch/choice.h"

#define MOST 1000
#define HASHES 4096

struct bench {
	struct candidate all[MOST];
	uint16_t which[MOST];
	uint64_t hashes[HASHES];
	struct flow_key keys[HASHES];
	unsigned picks, rounds;
	uint64_t sum; /* of what was computed, so that nothing is optimised away */
};

/* Time of this process alone: whatever else runs on the machine disturbs less. */
static double clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void prepare(struct bench *b)
{
	struct rng rng = {.counter = 1};

	for (uint32_t i = 0; i < MOST; i++) {
		b->which[i] = (uint16_t)i;
		b->all[i] = (struct candidate){.identity = i + 1, .weight = 1 + i % 16, .up = true};
	}
	for (unsigned i = 0; i < HASHES; i++) {
		uint64_t x = rng_u64(&rng);
		struct pkt_tuple t = {.src = ipaddr_v4(&x),
				      .dst = ipaddr_v4("\306\63\144\120"),
				      .sport = (uint16_t)(x >> 40),
				      .dport = 443,
				      .proto = IPPROTO_NUM_TCP};
		flow_key_make(&b->keys[i], &t, 4);
		b->hashes[i] = choice_hash_flow(0, &b->keys[i]);
	}
}

static double pick(struct bench *b, struct choice *c, bool table)
{
	/* a pick that asks everybody takes so much longer that fewer tell enough */
	unsigned n = table ? b->picks : b->picks / 20;
	double start = clock_ns();

	for (unsigned i = 0; i < n; i++) {
		uint64_t hash = b->hashes[i % HASHES];
		uint16_t got =
			table ? choice_pick(c, b->all, hash) : choice_pick_static(c, b->all, hash);
		b->all[got].n_flows++;
		b->sum += got;
	}
	return (clock_ns() - start) / n;
}

/* Microseconds of an update after the candidate went down (or came up). */
static double change(struct bench *b, struct choice *c, uint32_t i, bool up)
{
	double start = clock_ns();

	b->all[i].up = up;
	choice_update(c, b->all);
	return (clock_ns() - start) / 1e3;
}

static void algorithm(struct bench *b, enum choice_algorithm a, const char *name, uint32_t n)
{
	double first = 0, down = 0, up = 0;
	struct choice *c = NULL;

	for (unsigned i = 0; i < b->rounds; i++) {
		choice_free(c);
		double start = clock_ns();
		c = choice_new(a, i, b->which, n);
		if (!c)
			exit(1);
		choice_update(c, b->all);
		first += (clock_ns() - start) / 1e3 / b->rounds;
		down += change(b, c, i % n, false) / b->rounds;
		up += change(b, c, i % n, true) / b->rounds;
	}
	for (uint32_t i = 0; i < n; i++)
		b->all[i].n_flows = 0;
	printf("%-22s %10u %9.1f %12.1f %12.1f %12.1f %9zu\n", name, n, pick(b, c, true), first,
	       down, up, choice_memory(c) / 1024);
	if (a == CHOICE_LEAST_FLOWS)
		printf("%-22s %10u %9.1f\n", "  moved by static", n, pick(b, c, false));
	choice_free(c);
}

static void hashes(struct bench *b)
{
	double start = clock_ns();

	for (unsigned i = 0; i < b->picks; i++)
		b->sum += choice_hash_flow(0, &b->keys[i % HASHES]);
	double flow = (clock_ns() - start) / b->picks;
	start = clock_ns();
	for (unsigned i = 0; i < b->picks; i++)
		b->sum += choice_hash_address(0, &b->keys[i % HASHES].a);
	printf("hash of a flow %.1f ns, of an address %.1f ns\n", flow,
	       (clock_ns() - start) / b->picks);
}

int main(int argc, char **argv)
{
	static const struct {
		enum choice_algorithm algorithm;
		const char *name;
	} rows[] = {{CHOICE_STATIC, "static, source"},
		    {CHOICE_ROUND_ROBIN, "round-robin"},
		    {CHOICE_WEIGHTED, "weighted-round-robin"},
		    {CHOICE_LEAST_FLOWS, "least-connections"},
		    {CHOICE_LEAST_PACKETS, "least-packets"}};
	static const uint32_t sizes[] = {3, 10, 100, MOST};
	bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return 1;
	b->picks = quick ? 100000 : 2000000;
	b->rounds = quick ? 3 : 20;
	prepare(b);
	printf("%-22s %10s %9s %12s %12s %12s %9s\n", "algorithm", "candidates", "ns/pick",
	       "us, all new", "us, one down", "us, one up", "KiB");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
			algorithm(b, rows[i].algorithm, rows[i].name, sizes[k]);
	hashes(b);
	int status = b->sum == 1;
	free(b);
	return status;
}
