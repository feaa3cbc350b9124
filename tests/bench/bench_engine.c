/*
 * bench_engine - what the engine costs, without I/O: nanoseconds and instructions per packet,
 * memory per flow, and what a query costs everybody who has to do with it.
 *
 *   bench_engine [--quick]             all tables, in markdown
 *   bench_engine --one CASE FLOWS N    one case of about N packets; prints how many. The measured
 *                                      calls alone are made by `measured`, so that callgrind can
 *                                      count them: --toggle-collect=measured
 *
 * Packets are handed over as a port does, 64 at a time. "ns" is the median of the batches, which
 * leaves out most of what other work on the machine costs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_priv.h"
#include "meter.h"
#include "world.h"

#define TCP_ISN 1000
#define PEER_ISN 9000

#define GROUP 1024 /* unknown flows asked for before their queries are let time out */
#define QUERIES 1000

struct bench {
	struct world *w;
	const struct bench_case *which;
	uint32_t n_flows;
	uint32_t n_packets;
	double *batch_ns;
	uint32_t n_batches;
	double total_ns;
	uint64_t instructions;
	struct meter meter;
	double negative_ns; /* of the case "miss" only: the same packets once more */
};

struct bench_case {
	const char *name, *text;
	uint8_t proto;
	unsigned n_members;
	bool tunnel;
	void (*setup)(struct bench *b);
	void (*run)(struct bench *b);
};

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_engine: %s\n", what);
	exit(1);
}

/* --- counting -------------------------------------------------------------------------------- */

void measured(struct bench *b, unsigned m, unsigned n);

/* Neither static nor inlined nor cloned: callgrind switches on and off here. */
MEASURED void measured(struct bench *b, unsigned m, unsigned n)
{
	struct world *w = b->w;

	engine_frames(w->engines[m], w->frames, n, w->now_ns, w->actions);
}

/* One batch for member `m`; so many frames and datagrams must come out. */
static double batch(struct bench *b, unsigned m, unsigned frames_out, unsigned datagrams_out)
{
	struct world *w = b->w;
	uint64_t count = meter_instructions(&b->meter), start = clock_ns();

	measured(b, m, WORLD_BATCH);
	uint64_t spent = clock_ns() - start;
	b->instructions += meter_instructions(&b->meter) - count;
	require(w->actions->n_frames == frames_out, "frames are missing");
	/* The negative cache may forget. */
	require(w->actions->n_datagrams == datagrams_out ||
			(!datagrams_out && !frames_out && w->actions->n_datagrams < 4),
		"datagrams are missing");
	actions_reset(w->actions);
	w->now_ns += 20000;
	return (double)spent;
}

static void note_batch(struct bench *b, double ns)
{
	b->batch_ns[b->n_batches++] = ns / WORLD_BATCH;
	b->total_ns += ns;
}

/* --- making flows ---------------------------------------------------------------------------- */

/* The k-th packet's flow: every flow comes up once before any comes again, in scattered order (the
 * multiplier is a prime that divides no number of flows used here). */
static uint32_t scattered(const struct bench *b, uint32_t k)
{
	return (uint32_t)((uint64_t)k * 2654435761U % b->n_flows);
}

static struct world_tcp tcp_of(uint8_t flags, uint16_t side, bool first)
{
	uint32_t mine = side == WORLD_INSIDE ? TCP_ISN : PEER_ISN;
	uint32_t others = side == WORLD_INSIDE ? PEER_ISN : TCP_ISN;

	return (struct world_tcp){.seq = first ? mine : mine + 1,
				  .ack = flags & TCP_ACK ? others + 1 : 0,
				  .flags = flags};
}

/* Up to WORLD_BATCH frames, one for each flow from `first` on. */
static unsigned fill(struct bench *b, unsigned m, uint32_t first, uint32_t end, uint16_t side,
		     const struct world_tcp *tcp)
{
	unsigned n = end - first < WORLD_BATCH ? end - first : WORLD_BATCH;

	for (unsigned k = 0; k < n; k++) {
		struct pkt_tuple t = world_tuple(scattered(b, first + k), b->which->proto);
		world_frame(b->w, k, m, &t, side, tcp);
	}
	return n;
}

/* One packet of every flow, through member `m`. */
static void send_all(struct bench *b, unsigned m, uint16_t side, const struct world_tcp *tcp)
{
	for (uint32_t i = 0; i < b->n_flows; i += WORLD_BATCH) {
		unsigned n = fill(b, m, i, b->n_flows, side, tcp);
		world_send(b->w, m, n);
	}
}

/* Make member 0 resolve every client and server, so that nothing waits later. */
static void resolve_all(struct bench *b, unsigned m)
{
	for (uint32_t i = 0; i < 1600; i += WORLD_BATCH) {
		for (unsigned side = 0; side < 2; side++) {
			for (unsigned k = 0; k < WORLD_BATCH; k++) {
				struct pkt_tuple t = world_tuple(i + k, IPPROTO_NUM_UDP);
				t.dport = 7;
				world_frame(b->w, k, m, &t, (uint16_t)side, NULL);
			}
			world_send(b->w, m, WORLD_BATCH);
		}
	}
	engine_flush(b->w->engines[m], ENGINE_FLUSH_FLOWS, b->w->now_ns, b->w->actions);
	actions_reset(b->w->actions);
}

static void setup_nothing(struct bench *b)
{
	resolve_all(b, 0);
}

static void setup_states(struct bench *b)
{
	struct world_tcp syn = tcp_of(TCP_SYN, WORLD_INSIDE, true);
	struct world_tcp syn_ack = tcp_of(TCP_SYN | TCP_ACK, WORLD_OUTSIDE, true);
	struct world_tcp ack = tcp_of(TCP_ACK, WORLD_INSIDE, false);
	bool tcp = b->which->proto == IPPROTO_NUM_TCP;

	resolve_all(b, 0);
	send_all(b, 0, WORLD_INSIDE, tcp ? &syn : NULL);
	send_all(b, 0, WORLD_OUTSIDE, tcp ? &syn_ack : NULL);
	if (tcp)
		send_all(b, 0, WORLD_INSIDE, &ack);
}

/* Member 0 knows all flows, of which member 1 is home. */
static void setup_forwards(struct bench *b)
{
	struct firewall *f = &b->w->engines[0]->firewall;
	struct wire_confirm c = {.rank = 3, .age_ms = 1000};

	for (uint32_t i = 0; i < b->n_flows; i++) {
		struct pkt_tuple t = world_tuple(i, b->which->proto);
		struct flow_key key;
		unsigned dir = flow_key_make(&key, &t, 4);
		require(relay_learn(f, &key, dir, 1, &c), "no room for a forward entry");
	}
}

/* --- the cases ------------------------------------------------------------------------------- */

static void run_known(struct bench *b, uint16_t side, unsigned datagrams)
{
	struct world_tcp ack = tcp_of(TCP_ACK, side, false);
	const struct world_tcp *tcp = b->which->proto == IPPROTO_NUM_TCP ? &ack : NULL;

	for (uint32_t i = 0; i < b->n_packets; i += WORLD_BATCH) {
		fill(b, 0, i, UINT32_MAX, side, tcp);
		note_batch(b, batch(b, 0, datagrams ? 0 : WORLD_BATCH, datagrams));
	}
}

static void run_states(struct bench *b)
{
	run_known(b, WORLD_INSIDE, 0);
}

static void run_forwards(struct bench *b)
{
	run_known(b, WORLD_OUTSIDE, b->which->tunnel ? WORLD_BATCH : 0);
}

static void run_new(struct bench *b)
{
	struct world_tcp syn = tcp_of(TCP_SYN, WORLD_INSIDE, true);
	const struct world_tcp *tcp = b->which->proto == IPPROTO_NUM_TCP ? &syn : NULL;
	uint32_t done = 0;

	while (done < b->n_packets) {
		for (uint32_t i = 0; i + WORLD_BATCH <= b->n_flows; i += WORLD_BATCH) {
			fill(b, 0, i, b->n_flows, WORLD_INSIDE, tcp);
			note_batch(b, batch(b, 0, WORLD_BATCH, 0));
			done += WORLD_BATCH;
		}
		engine_flush(b->w->engines[0], ENGINE_FLUSH_FLOWS, b->w->now_ns, b->w->actions);
		actions_reset(b->w->actions);
	}
}

/* Segments of connections that nobody knows: asked for, not answered, asked for again. */
static void run_miss(struct bench *b)
{
	struct world_tcp ack = tcp_of(TCP_ACK, WORLD_OUTSIDE, false);
	uint32_t n_negative = 0;
	double *negative = calloc(b->n_packets / WORLD_BATCH + GROUP, sizeof(*negative));

	require(negative, "no memory");
	for (uint32_t i = 0; i < b->n_packets; i += GROUP) {
		for (unsigned again = 0; again < 2; again++) {
			for (uint32_t k = i; k < i + GROUP; k += WORLD_BATCH) {
				for (unsigned j = 0; j < WORLD_BATCH; j++) {
					struct pkt_tuple t = world_tuple(k + j, IPPROTO_NUM_TCP);
					t.dport = 9999;
					world_frame(b->w, j, 0, &t, WORLD_OUTSIDE, &ack);
				}
				double ns = batch(b, 0, 0, again ? 0 : WORLD_BATCH);
				if (again)
					negative[n_negative++] = ns / WORLD_BATCH;
				else
					note_batch(b, ns);
			}
			if (!again)
				world_run(b->w, 2000000000ULL); /* queries time out */
		}
		engine_flush(b->w->engines[0], ENGINE_FLUSH_NEGATIVE, b->w->now_ns, b->w->actions);
		actions_reset(b->w->actions);
	}
	b->negative_ns = median(negative, n_negative);
	free(negative);
}

static const struct bench_case cases[] = {
	{"state-udp", "state hit, UDP", IPPROTO_NUM_UDP, 2, false, setup_states, run_states},
	{"state-tcp", "state hit, TCP", IPPROTO_NUM_TCP, 2, false, setup_states, run_states},
	{"forward-udp", "forward hit, layer 2, UDP", IPPROTO_NUM_UDP, 2, false, setup_forwards,
	 run_forwards},
	{"forward-tcp", "forward hit, layer 2, TCP", IPPROTO_NUM_TCP, 2, false, setup_forwards,
	 run_forwards},
	{"tunnel-udp", "forward hit, tunnel, UDP", IPPROTO_NUM_UDP, 2, true, setup_forwards,
	 run_forwards},
	{"new-udp", "new flow, UDP", IPPROTO_NUM_UDP, 2, false, setup_nothing, run_new},
	{"new-tcp", "new flow, TCP", IPPROTO_NUM_TCP, 2, false, setup_nothing, run_new},
	{"miss", "miss, query sent", IPPROTO_NUM_UDP, 2, false, setup_states, run_miss},
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static void bench_run(struct bench *b, const struct bench_case *c, uint32_t n_flows,
		      uint32_t n_packets)
{
	struct world_params p = {
		.n_members = c->n_members, .n_flows = n_flows, .tunnel = c->tunnel};

	*b = (struct bench){.which = c, .n_flows = n_flows, .meter = meter_open()};
	b->n_packets = (n_packets + WORLD_BATCH - 1) / WORLD_BATCH * WORLD_BATCH;
	b->batch_ns = calloc((b->n_packets + n_flows) / WORLD_BATCH + GROUP, sizeof(double));
	require(b->batch_ns, "no memory");
	b->w = world_new(&p);
	c->setup(b);
	c->run(b);
	world_free(b->w);
	meter_close(&b->meter);
}

static void print_row(const char *text, uint32_t flows, double ns, const char *mean,
		      const char *instructions)
{
	printf("| %s | %u | %.0f | %s | %s |\n", text, flows, ns, mean, instructions);
	fflush(stdout);
}

static void table_packets(bool quick)
{
	static const uint32_t sizes[] = {1000, 100000, 1000000};

	printf("### Engine alone: 60-byte packets, batches of %u\n\n", WORLD_BATCH);
	printf("| what | flows | ns (median) | ns (mean) | instructions "
	       "|\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < N_CASES; i++) {
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			struct bench b;
			char mean[32], count[32] = "-";
			bool miss = strcmp(cases[i].name, "miss") == 0;

			bench_run(&b, &cases[i], sizes[k],
				  miss	  ? (quick ? GROUP : 8 * GROUP)
				  : quick ? 200000
					  : 2000000);
			uint32_t n = b.n_batches * WORLD_BATCH;
			snprintf(mean, sizeof(mean), "%.0f", b.total_ns / n);
			if (b.instructions && !miss)
				snprintf(count, sizeof(count), "%.0f", (double)b.instructions / n);
			print_row(cases[i].text, sizes[k], median(b.batch_ns, b.n_batches), mean,
				  count);
			if (miss)
				print_row("miss, negative cache", sizes[k], b.negative_ns, "-",
					  "-");
			free(b.batch_ns);
		}
	}
	printf("\n");
}

/* --- memory ---------------------------------------------------------------------------------- */

static double table_bytes(size_t size, uint32_t n)
{
	struct hash_key secret = {1, 2};
	struct flow_table *t = flow_table_new(size, n, &secret, 0);
	double bytes = t ? (double)flow_table_memory(t) / n : 0;

	flow_table_free(t);
	return bytes;
}

static void table_memory(void)
{
	printf("### Memory\n\n| what | bytes of an entry | bytes each, index included |\n");
	printf("|---|---|---|\n");
	printf("| flow | %zu | %.1f |\n", sizeof(struct state),
	       table_bytes(sizeof(struct state), 1000000));
	printf("| forward entry | %zu | %.1f |\n", sizeof(struct forward),
	       table_bytes(sizeof(struct forward), 1000000));
	printf("| open query (its packet aside) | %zu | %.1f |\n\n", sizeof(struct query),
	       table_bytes(sizeof(struct query), 4096));
}

/* --- queries --------------------------------------------------------------------------------- */

enum { ASKER, HOME, OTHERS, ROLES };

struct asking {
	struct world *w;
	double ns[ROLES];   /* of the query under way */
	double *all[ROLES]; /* of all of them */
	uint64_t bytes, n_datagrams;
	uint8_t query[WORLD_MEMBERS][2048];
};

static uint64_t copy_datagrams(struct asking *a, uint8_t (*out)[2048], size_t *sizes)
{
	struct actions *x = a->w->actions;

	for (uint32_t i = 0; i < x->n_datagrams; i++) {
		memcpy(out[i], x->datagrams[i].data, x->datagrams[i].size);
		sizes[i] = x->datagrams[i].size;
		a->bytes += x->datagrams[i].size;
	}
	a->n_datagrams += x->n_datagrams;
	return x->n_datagrams;
}

static double receive(struct asking *a, unsigned from, unsigned to, const uint8_t *data,
		      size_t size, bool multicast)
{
	static uint8_t copy[2048];
	struct endpoint e = world_endpoint(from);
	uint64_t start;

	memcpy(copy, data, size);
	actions_reset(a->w->actions);
	start = clock_ns();
	engine_datagram(a->w->engines[to], copy, size, &e, multicast, a->w->now_ns, a->w->actions);
	return (double)(clock_ns() - start);
}

/* Member 0 is home, member 1 gets the answer of the server. */
static void ask_once(struct asking *a, uint32_t i)
{
	struct world_tcp syn = tcp_of(TCP_SYN, WORLD_INSIDE, true);
	struct world_tcp syn_ack = tcp_of(TCP_SYN | TCP_ACK, WORLD_OUTSIDE, true);
	struct pkt_tuple t = world_tuple(i, IPPROTO_NUM_TCP);
	struct world *w = a->w;
	unsigned members = w->params.n_members;
	uint8_t confirm[1][2048];
	size_t sizes[WORLD_MEMBERS], confirm_size[1] = {0};
	uint64_t start, n;

	world_frame(w, 0, 0, &t, WORLD_INSIDE, &syn);
	world_send(w, 0, 1);
	world_frame(w, 0, 1, &t, WORLD_OUTSIDE, &syn_ack);
	start = clock_ns();
	engine_frames(w->engines[1], w->frames, 1, w->now_ns, w->actions);
	a->ns[ASKER] = (double)(clock_ns() - start);
	n = copy_datagrams(a, a->query, sizes);
	require(n == (w->params.unicast ? members - 1 : 1), "the query was not sent");
	a->ns[HOME] = receive(a, 1, 0, a->query[0], sizes[0], !w->params.unicast);
	require(copy_datagrams(a, confirm, confirm_size) == 1, "no confirm came");
	a->ns[OTHERS] = 0;
	for (unsigned m = 2; m < members; m++) {
		unsigned which = w->params.unicast ? m - 1 : 0;
		a->ns[OTHERS] +=
			receive(a, 1, m, a->query[which], sizes[which], !w->params.unicast);
	}
	a->ns[ASKER] += receive(a, 0, 1, confirm[0], confirm_size[0], false);
	actions_reset(w->actions);
}

static void ask_rounds(unsigned members, bool unicast, unsigned rounds)
{
	struct world_params p = {.n_members = members, .n_flows = 65536, .unicast = unicast};
	struct asking a = {.w = world_new(&p)};
	struct bench b = {.w = a.w, .n_flows = 1};
	double total, other;

	resolve_all(&b, 0);
	for (unsigned r = 0; r < ROLES; r++)
		a.all[r] = calloc(rounds, sizeof(double));
	for (unsigned i = 0; i < rounds; i++) {
		ask_once(&a, i);
		a.w->now_ns += 100000;
		for (unsigned r = 0; r < ROLES; r++)
			a.all[r][i] = a.ns[r];
	}
	for (unsigned r = 0; r < ROLES; r++)
		a.ns[r] = median(a.all[r], rounds);
	other = members > 2 ? a.ns[OTHERS] / (members - 2) : 0;
	total = a.ns[ASKER] + a.ns[HOME] + a.ns[OTHERS];
	printf("| %u | %s | %.1f | %.1f | %.1f | %.1f | %.1f | %.0f |\n", members,
	       unicast ? "unicast" : "multicast", a.ns[ASKER] / 1000, a.ns[HOME] / 1000,
	       other / 1000, total / 1000, (double)a.n_datagrams / rounds,
	       (double)a.bytes / rounds);
	for (unsigned r = 0; r < ROLES; r++)
		free(a.all[r]);
	world_free(a.w);
}

static void table_queries(bool quick)
{
	printf("### One query: microseconds of the engine, bytes on the cluster link\n\n");
	printf("A SYN-ACK comes to a member that is not its home (carried in the query). Bytes are "
	       "those of the datagrams; a multicast counts once.\n\n");
	printf("| members | transport | asker | home | each other member | all together | "
	       "datagrams | "
	       "bytes |\n|---|---|---|---|---|---|---|---|\n");
	for (unsigned unicast = 0; unicast < 2; unicast++)
		for (unsigned members = 2; members <= WORLD_MEMBERS; members *= 2)
			ask_rounds(members, unicast, quick ? QUERIES / 4 : QUERIES);
	printf("\n");
}

/* --- all ------------------------------------------------------------------------------------- */

static int run_one(const char *name, const char *flows, const char *packets)
{
	for (size_t i = 0; i < N_CASES; i++) {
		struct bench b;

		if (strcmp(cases[i].name, name) != 0)
			continue;
		bench_run(&b, &cases[i], (uint32_t)strtoul(flows, NULL, 10),
			  (uint32_t)strtoul(packets, NULL, 10));
		printf("%u packets, %.1f ns median\n", b.n_batches * WORLD_BATCH,
		       median(b.batch_ns, b.n_batches));
		free(b.batch_ns);
		return 0;
	}
	fprintf(stderr, "bench_engine: no case \"%s\"\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;

	if (argc == 5 && strcmp(argv[1], "--one") == 0)
		return run_one(argv[2], argv[3], argv[4]);
	table_packets(quick);
	table_memory();
	table_queries(quick);
	return 0;
}
