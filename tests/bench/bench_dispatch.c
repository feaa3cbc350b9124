/*
 * bench_dispatch - what the dispatchers cost, without I/O: nanoseconds and instructions per packet
 * for outer, inner (l4/2, l4/3) and a second stage, memory per flow, and what many targets cost.
 *
 *   bench_dispatch [--quick]           all tables, in markdown
 *   bench_dispatch --one CASE FLOWS N  one case of about N packets, for callgrind (bench_engine.c)
 *
 * One engine is measured. Whoever has the address a.b.c.d on one of its segments has the MAC
 * address 02:ee:a:b:c:d and answers ARP at once. The second stage gets its frames from a second
 * engine, the inner dispatcher, with which it is in a cluster.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "engine/engine_priv.h"
#include "meter.h"
#include "packet/build.h"
#include "world.h"

#define NODES 2 /* the one that is measured, and for a stage the inner dispatcher */
#define PATHS 3
#define CONF_SIZE (512u << 10)
#define STEP_NS 20000000ULL
#define CLIENTS 1000
#define DATAGRAMS (WORLD_BATCH + 8)

enum { FIREWALLS, OTHERS }; /* ports; the second stage is where the servers are */
enum role { OUTER, INNER, SECOND };

struct bench_case {
	const char *name, *text;
	enum role role;
	const char *technology, *algorithm;
	bool learn;
	uint8_t proto;
	bool fresh;   /* every packet begins a flow */
	bool answers; /* packets from the side of the servers */
};

struct bench {
	const struct bench_case *which;
	uint32_t n_flows, n_targets, n_packets;
	struct engine *engines[NODES];
	struct params *conf[NODES];
	struct actions *actions;
	struct build *build;
	uint64_t now_ns;
	uint32_t *peer; /* of each flow: address of the host that its packets were sent on to */
	uint8_t bytes[WORLD_BATCH][WORLD_SLOT];
	struct frame frames[WORLD_BATCH];
	struct meter meter;
	double *batch_ns, total_ns;
	uint32_t n_batches;
	uint64_t instructions;
};

static const struct bench_case cases[] = {
	{"outer-udp", "outer, known flow, UDP", OUTER, "", "static", true, 17, false, false},
	{"outer-tcp", "outer, known flow, TCP", OUTER, "", "static", true, 6, false, false},
	{"outer-back-tcp", "outer, known flow, TCP, from a firewall", OUTER, "", "static", true, 6,
	 false, true},
	{"outer-new-tcp", "outer, new flow, TCP", OUTER, "", "round-robin", true, 6, true, false},
	{"outer-static", "outer, static, nothing kept, TCP", OUTER, "", "static", false, 6, false,
	 false},
	{"l42-udp", "l4/2, known flow, UDP", INNER, "l4/2", "round-robin", true, 17, false, false},
	{"l42-tcp", "l4/2, known flow, TCP", INNER, "l4/2", "round-robin", true, 6, false, false},
	{"l42-back-tcp", "l4/2, known flow, TCP, answers", INNER, "l4/2", "round-robin", true, 6,
	 false, true},
	{"l42-new-udp", "l4/2, new flow, UDP", INNER, "l4/2", "round-robin", true, 17, true, false},
	{"l42-new-tcp", "l4/2, new flow, TCP", INNER, "l4/2", "round-robin", true, 6, true, false},
	{"l43-udp", "l4/3, known flow, UDP", INNER, "l4/3", "round-robin", true, 17, false, false},
	{"l43-tcp", "l4/3, known flow, TCP", INNER, "l4/3", "round-robin", true, 6, false, false},
	{"l43-back-tcp", "l4/3, known flow, TCP, answers", INNER, "l4/3", "round-robin", true, 6,
	 false, true},
	{"l43-new-tcp", "l4/3, new flow, TCP", INNER, "l4/3", "round-robin", true, 6, true, false},
	{"stage-tcp", "second stage, known flow, TCP", SECOND, "l4/2", "round-robin", true, 6,
	 false, false},
	{"stage-back-tcp", "second stage, answers past the first, TCP", SECOND, "l4/2",
	 "round-robin", true, 6, false, true},
	{"stage-new-tcp", "second stage, new flow by stamp, TCP", SECOND, "l4/2", "round-robin",
	 true, 6, true, false},
	{"stage-new-udp", "second stage, new flow by message, UDP", SECOND, "l4/2", "round-robin",
	 true, 17, true, false},
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

/* What many targets cost: a new flow by each algorithm. */
static const struct bench_case target_cases[] = {
	{"", "static", INNER, "l4/2", "static", true, 17, true, false},
	{"", "round-robin", INNER, "l4/2", "round-robin", true, 17, true, false},
	{"", "weighted-round-robin", INNER, "l4/2", "weighted-round-robin", true, 17, true, false},
	{"", "least-connections", INNER, "l4/2", "least-connections", true, 17, true, false},
	{"", "source", INNER, "l4/2", "source", true, 17, true, false},
};

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_dispatch: %s\n", what);
	exit(1);
}

/* --- who is who ------------------------------------------------------------------------------ */

#define IP(a, b, c, d)                                                                             \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define VIP IP(198, 51, 100, 80)
#define UPSTREAM IP(198, 51, 100, 1)

static struct ipaddr address(uint32_t ip)
{
	uint8_t b[4] = {(uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8), (uint8_t)ip};

	return ipaddr_v4(b);
}

static struct macaddr host_mac(uint32_t ip)
{
	struct macaddr m = {{2, 0xee, 0, 0, 0, 0}};

	memcpy(m.b + 2, address(ip).b + 12, 4);
	return m;
}

static uint32_t mac_host(const uint8_t *mac)
{
	return IP(mac[2], mac[3], mac[4], mac[5]);
}

static struct macaddr own_mac(unsigned node, unsigned port)
{
	return (struct macaddr){{2, 0, 0, (uint8_t)port, 0, (uint8_t)(node + 1)}};
}

static uint32_t firewall(const struct bench *b, uint32_t i)
{
	return IP(10, b->which->role == OUTER ? 2 : 3, 0, 1 + i % PATHS);
}

/* Flow `i`, as its client sends it. */
static struct pkt_tuple flow(const struct bench *b, uint32_t i)
{
	return (struct pkt_tuple){.src = address(IP(100, 64, i % CLIENTS / 250, 1 + i % 250)),
				  .dst = address(VIP),
				  .sport = (uint16_t)(1024 + i / CLIENTS),
				  .dport = 80,
				  .proto = b->which->proto};
}

/* Every flow comes up once before any comes again, in scattered order. */
static uint32_t scattered(const struct bench *b, uint32_t k)
{
	return (uint32_t)((uint64_t)k * 2654435761U % b->n_flows);
}

/* --- configuration --------------------------------------------------------------------------- */

struct text {
	char *s;
	size_t n;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->n += (size_t)vsnprintf(t->s + t->n, CONF_SIZE - t->n, format, args);
	va_end(args);
	require(t->n < CONF_SIZE, "the configuration is too long");
}

static void add_service(struct text *t, const struct bench *b, bool to_stage)
{
	uint32_t n = to_stage ? 0 : b->n_targets;

	add(t,
	    "service \"s\" { addresses = {\"198.51.100.80\"} protocol = \"%s\" ports = {\"80\"} "
	    "technology = \"%s\" algorithm = \"%s\" targets = {",
	    b->which->proto == 6 ? "tcp" : "udp", b->which->technology, b->which->algorithm);
	if (to_stage)
		add(t, "\"stage\"} }\ntarget \"stage\" { member = \"stage\" }\n");
	for (uint32_t i = 0; i < n; i++)
		add(t, "%s\"t%u\"", i ? ", " : "", i);
	if (n)
		add(t, "} }\n");
	for (uint32_t i = 0; i < n; i++)
		add(t, "target \"t%u\" { addresses = {\"10.4.%u.%u\"}%s }\n", i, 1 + i / 250,
		    1 + i % 250, strcmp(b->which->technology, "l4/3") ? "" : " port = 8080");
}

/* `node` 1 is the inner dispatcher in front of a second stage. */
static void conf_text(const struct bench *b, unsigned node, struct text *t)
{
	bool outer = b->which->role == OUTER, stage = b->which->role == SECOND && node == 0;
	unsigned own = stage ? 101 : 254;

	add(t, "node = \"%s\"\n", stage ? "stage" : "first");
	add(t, "port \"firewalls\" { device = \"f\" addresses = {\"10.%u.0.%u/24\"} }\n",
	    outer ? 2 : 3, own);
	if (outer)
		add(t, "port \"others\" { device = \"o\" addresses = {\"198.51.100.254/24\"} }\n"
		       "route \"0.0.0.0/0\" { via = \"198.51.100.1\" port = \"others\" }\n");
	else
		add(t, "port \"others\" { device = \"o\" addresses = {\"10.4.0.%u/16\"} }\n", own);
	if (b->which->role == SECOND)
		add(t, "cluster { id = 2 device = \"c\" key-file = \"/none\" query-rate = 10000000 "
		       "query-burst = 10000000 query-kbytes = 4000000 source-rate = 10000000 "
		       "source-burst = 10000000 }\n"
		       "member \"stage\" { id = 1 address = \"10.9.0.1\" }\n"
		       "member \"first\" { id = 2 address = \"10.9.0.2\" }\n");
	for (unsigned i = 1; i <= PATHS; i++)
		add(t, "path \"fw%u\" { id = %u addresses = {\"10.2.0.%u\", \"10.3.0.%u\"} }\n", i,
		    i, i, i);
	add(t,
	    "dispatcher \"d\" { role = \"%s\" firewall-port = \"firewalls\" ports = {\"others\"} "
	    "algorithm = \"%s\" learn = %s max-flows = %u%s }\n",
	    outer   ? "outer"
	    : stage ? "stage"
		    : "inner",
	    outer ? b->which->algorithm : "static", b->which->learn ? "true" : "false",
	    b->n_flows * 2 + 1024, stage ? " from = {\"first\"}" : "");
	if (!outer)
		add_service(t, b, node == 1);
}

static void start(struct bench *b, unsigned node)
{
	static const char key_text[] =
		"1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f active\n";
	struct text t = {.s = malloc(CONF_SIZE)};
	struct keyring *keys = NULL;
	struct engine_seed seed;
	char err[128];

	require(t.s, "no memory");
	conf_text(b, node, &t);
	b->conf[node] = conf_parse("bench", t.s, stderr, NULL);
	require(b->conf[node], "the configuration is refused");
	free(t.s);
	for (unsigned i = 0; i < 8; i++)
		seed.words[i] = (node + 1) * 0x9e3779b97f4a7c15ULL + i;
	memset(seed.boot_id, (int)node + 1, sizeof(seed.boot_id));
	if (b->which->role == SECOND)
		keys = keyring_parse(key_text, sizeof(key_text) - 1, err, sizeof(err));
	b->engines[node] = engine_new(b->conf[node], keys, &seed, b->now_ns);
	require(b->engines[node], "no memory");
	for (uint16_t port = 0; port < b->conf[node]->n_ports; port++) {
		struct engine_link link = {
			.up = true, .mac = own_mac(node, port), .mtu = 1500, .is_ours = true};
		engine_set_link(b->engines[node], port, &link, b->now_ns, b->actions);
		actions_reset(b->actions);
	}
}

/* --- the wires ------------------------------------------------------------------------------- */

static bool answer_arp(struct bench *b, unsigned node, const struct frame *f)
{
	struct frame sent = *f, reply = {.port = f->port};
	uint8_t room[FRAME_HEADROOM + 256];
	struct build_eth eth;
	struct arp asked, answer;
	struct pkt pkt;

	if (pkt_decode(&pkt, &sent) != DROP_NONE || pkt.kind != PKT_ARP ||
	    arp_parse(&asked, &sent, pkt.l3) != DROP_NONE || asked.op != 1)
		return false;
	eth = (struct build_eth){.dst = own_mac(node, f->port),
				 .src = host_mac(IP(asked.target_ip.b[12], asked.target_ip.b[13],
						    asked.target_ip.b[14], asked.target_ip.b[15]))};
	answer = (struct arp){.op = 2,
			      .sender_mac = eth.src,
			      .sender_ip = asked.target_ip,
			      .target_mac = asked.sender_mac,
			      .target_ip = asked.sender_ip};
	reply.data = room + FRAME_HEADROOM;
	reply.len = (uint32_t)build_arp(b->build, &eth, &answer, reply.data, 256);
	engine_frames(b->engines[node], &reply, 1, b->now_ns, b->actions);
	return true;
}

/* Datagrams go to the other node; what it says to them comes back. */
static void deliver(struct bench *b, unsigned from)
{
	static uint8_t data[DATAGRAMS][2048];
	uint8_t ip[4] = {10, 9, 0, (uint8_t)(from + 1)};
	struct endpoint e = {.addr = ipaddr_v4(ip), .port = 7067};
	size_t sizes[DATAGRAMS];
	bool multicast[DATAGRAMS];
	uint32_t n = b->actions->n_datagrams;

	require(n <= DATAGRAMS, "too many datagrams");
	for (uint32_t i = 0; i < n; i++) {
		sizes[i] = b->actions->datagrams[i].size;
		multicast[i] = b->actions->datagrams[i].multicast;
		require(sizes[i] <= sizeof(data[i]), "a long datagram");
		memcpy(data[i], b->actions->datagrams[i].data, sizes[i]);
	}
	actions_reset(b->actions);
	for (uint32_t i = 0; i < n && b->engines[!from]; i++)
		engine_datagram(b->engines[!from], data[i], sizes[i], &e, multicast[i], b->now_ns,
				b->actions);
}

/* All that `node` wants done, but for the frames it sends on. */
static void carry_out(struct bench *b, unsigned node)
{
	/* Answers append what was waiting for them. */
	for (uint32_t i = 0; i < b->actions->n_frames; i++)
		answer_arp(b, node, &b->actions->frames[i]);
	while (b->actions->n_datagrams) {
		deliver(b, node);
		node = !node;
	}
	actions_reset(b->actions);
}

static void pass_time(struct bench *b, uint64_t ns)
{
	for (uint64_t end = b->now_ns + ns; b->now_ns < end; b->now_ns += STEP_NS) {
		for (unsigned i = 0; i < NODES && b->engines[i]; i++) {
			engine_tick(b->engines[i], b->now_ns, b->actions);
			carry_out(b, i);
		}
	}
}

/* --- packets --------------------------------------------------------------------------------- */

static struct world_tcp tcp_of(bool answer, uint8_t flags)
{
	bool first = flags & TCP_SYN;

	return (struct world_tcp){.seq = (answer ? 9000u : 1000u) + !first,
				  .ack = flags & TCP_ACK ? (answer ? 1001u : 9001u) : 0,
				  .flags = flags};
}

static void put(struct bench *b, unsigned k, uint16_t port, unsigned node, uint32_t from,
		const struct pkt_tuple *t, const struct world_tcp *tcp)
{
	struct macaddr dst = own_mac(node, port), src = host_mac(from);
	uint8_t *eth = b->bytes[k] + FRAME_HEADROOM;

	world_put(eth, &dst, &src, t, b->which->proto == 6 ? tcp : NULL);
	b->frames[k] = (struct frame){.data = eth, .len = WORLD_FRAME, .port = port};
}

/* From the client of flow `i`, as it comes to the first dispatcher. */
static void put_request(struct bench *b, unsigned k, uint32_t i, uint8_t flags)
{
	bool outer = b->which->role == OUTER;
	struct pkt_tuple t = flow(b, i);
	struct world_tcp tcp = tcp_of(false, flags);

	put(b, k, outer ? OTHERS : FIREWALLS, b->which->role == SECOND,
	    outer ? UPSTREAM : firewall(b, i), &t, &tcp);
}

static void put_answer(struct bench *b, unsigned k, uint32_t i, uint8_t flags)
{
	struct pkt_tuple t = flow(b, i);
	struct world_tcp tcp = tcp_of(true, flags);

	t = world_answer(&t);
	if (strcmp(b->which->technology, "l4/3") == 0) {
		t.src = address(b->peer[i]);
		t.sport = 8080;
	}
	put(b, k, b->which->role == OUTER ? FIREWALLS : OTHERS, 0, b->peer[i], &t, &tcp);
}

/* The batch of requests passes the inner dispatcher; what it makes of them is the new batch. */
static void pass_inner(struct bench *b)
{
	struct actions *a = b->actions;

	engine_frames(b->engines[1], b->frames, WORLD_BATCH, b->now_ns, a);
	require(a->n_frames == WORLD_BATCH, "the inner dispatcher does not pass packets on");
	for (unsigned k = 0; k < WORLD_BATCH; k++) {
		uint8_t *at = b->bytes[k] + FRAME_HEADROOM;

		require(a->frames[k].port == OTHERS, "the inner dispatcher knows no stage");
		memmove(at, a->frames[k].data, a->frames[k].len);
		b->frames[k] = (struct frame){.data = at, .len = a->frames[k].len, .port = OTHERS};
	}
	deliver(b, 1);
	actions_reset(a);
}

static void fill(struct bench *b, uint32_t first, bool answers, uint8_t flags)
{
	for (unsigned k = 0; k < WORLD_BATCH; k++) {
		uint32_t i = scattered(b, first + k);

		if (answers)
			put_answer(b, k, i, flags);
		else
			put_request(b, k, i, flags);
	}
	if (b->which->role == SECOND && !answers)
		pass_inner(b);
}

void measured(struct bench *b);
MEASURED void measured(struct bench *b)
{
	engine_frames(b->engines[0], b->frames, WORLD_BATCH, b->now_ns, b->actions);
}

static void batch(struct bench *b)
{
	uint64_t count = meter_instructions(&b->meter), begin = clock_ns(), spent;

	measured(b);
	spent = clock_ns() - begin;
	b->instructions += meter_instructions(&b->meter) - count;
	require(b->actions->n_frames == WORLD_BATCH, "frames are missing");
	b->batch_ns[b->n_batches++] = (double)spent / WORLD_BATCH;
	b->total_ns += (double)spent;
	actions_reset(b->actions);
	b->now_ns += 20000;
}

/* One packet of every flow, not measured. Notes whom requests are sent on to. */
static void send_all(struct bench *b, bool answers, uint8_t flags)
{
	for (uint32_t first = 0; first < b->n_flows; first += WORLD_BATCH) {
		fill(b, first, answers, flags);
		engine_frames(b->engines[0], b->frames, WORLD_BATCH, b->now_ns, b->actions);
		require(b->actions->n_frames == WORLD_BATCH, "frames are missing at first");
		for (unsigned k = 0; k < WORLD_BATCH && !answers; k++)
			b->peer[scattered(b, first + k)] = mac_host(b->actions->frames[k].data);
		actions_reset(b->actions);
		b->now_ns += 20000;
	}
}

/* --- a case ---------------------------------------------------------------------------------- */

static void flush(struct bench *b)
{
	for (unsigned i = 0; i < NODES && b->engines[i]; i++) {
		engine_flush(b->engines[i], ENGINE_FLUSH_FLOWS, b->now_ns, b->actions);
		actions_reset(b->actions);
	}
}

/* Every host is asked for by ARP: a few flows both ways, without a look at what comes of them. */
static void resolve(struct bench *b)
{
	uint32_t n = b->n_targets * 16 + 4 * WORLD_BATCH;

	for (uint32_t first = 0; first < n; first += WORLD_BATCH) {
		for (unsigned k = 0; k < WORLD_BATCH; k++)
			put_request(b, k, (first + k) % b->n_flows, TCP_SYN);
		if (b->which->role == SECOND)
			pass_inner(b);
		engine_frames(b->engines[0], b->frames, WORLD_BATCH, b->now_ns, b->actions);
		carry_out(b, 0);
	}
	for (uint32_t i = 0; b->which->role == OUTER && i < WORLD_BATCH; i++) {
		b->peer[i] = firewall(b, i);
		put_answer(b, 0, i, TCP_SYN | TCP_ACK);
		engine_frames(b->engines[0], b->frames, 1, b->now_ns, b->actions);
		carry_out(b, 0);
	}
	flush(b);
}

static void run(struct bench *b)
{
	uint32_t done = 0;

	while (b->which->fresh && done < b->n_packets) {
		for (uint32_t i = 0; i + WORLD_BATCH <= b->n_flows; i += WORLD_BATCH) {
			fill(b, i, false, TCP_SYN);
			batch(b);
			done += WORLD_BATCH;
		}
		flush(b);
	}
	if (b->which->fresh)
		return;
	send_all(b, false, TCP_SYN);
	if (b->which->learn) {
		send_all(b, true, TCP_SYN | TCP_ACK);
		send_all(b, false, TCP_ACK);
	}
	for (; done < b->n_packets; done += WORLD_BATCH) {
		fill(b, done, b->which->answers, TCP_ACK);
		batch(b);
	}
}

/* What was measured is what was meant. */
static void check(const struct bench *b)
{
	const uint64_t *n = engine_counters(b->engines[0]);
	bool tcp = b->which->proto == 6;

	if (b->which->role != SECOND)
		return;
	require(n[tcp ? COUNTER_STAMP_TAKEN : COUNTER_PATH_RECEIVED] >= b->n_flows / 2,
		"paths did not come from the stage before");
	require(!b->which->answers || n[COUNTER_DISPATCH_BYPASS] >= b->n_packets,
		"answers did not go past the first stage");
}

static struct bench *bench_run(const struct bench_case *c, uint32_t n_flows, uint32_t n_targets,
			       uint32_t n_packets)
{
	struct bench *b = calloc(1, sizeof(*b));

	require(b, "no memory");
	b->which = c;
	b->n_flows = n_flows;
	b->n_targets = n_targets;
	b->n_packets = (n_packets + WORLD_BATCH - 1) / WORLD_BATCH * WORLD_BATCH;
	b->now_ns = 1000000000ULL;
	b->actions = actions_new();
	b->build = build_new();
	b->peer = calloc(n_flows, sizeof(*b->peer));
	b->batch_ns = calloc((b->n_packets + n_flows) / WORLD_BATCH + 1, sizeof(double));
	require(b->actions && b->build && b->peer && b->batch_ns, "no memory");
	b->meter = meter_open();
	for (unsigned i = 0; i < (c->role == SECOND ? 2u : 1u); i++)
		start(b, i);
	pass_time(b, 3000000000ULL); /* members meet, firewalls answer */
	resolve(b);
	run(b);
	check(b);
	return b;
}

static void bench_free(struct bench *b)
{
	meter_close(&b->meter);
	for (unsigned i = 0; i < NODES && b->engines[i]; i++) {
		engine_free(b->engines[i]);
		conf_free(b->conf[i]);
	}
	actions_free(b->actions);
	build_free(b->build);
	free(b->peer);
	free(b->batch_ns);
	free(b);
}

/* --- tables ---------------------------------------------------------------------------------- */

static void print_row(const struct bench_case *c, uint32_t n, uint32_t flows, uint32_t targets,
		      uint32_t n_packets)
{
	struct bench *b = bench_run(c, flows, targets, n_packets);
	double packets = (double)b->n_batches * WORLD_BATCH;

	printf("| %s | %u | %.0f | %.0f | ", c->text, n, median(b->batch_ns, b->n_batches),
	       b->total_ns / packets);
	if (b->instructions)
		printf("%.0f |\n", (double)b->instructions / packets);
	else
		printf("- |\n");
	fflush(stdout);
	bench_free(b);
}

static void table_packets(bool quick)
{
	static const uint32_t sizes[] = {1000, 100000, 1000000};

	printf("### Dispatchers, engine alone: 60-byte packets, batches of %u, 10 targets\n\n",
	       WORLD_BATCH);
	printf("| what | flows | ns (median) | ns (mean) | instructions "
	       "|\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < N_CASES; i++)
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
			print_row(&cases[i], sizes[k], sizes[k], 10, quick ? 200000 : 2000000);
	printf("\n");
}

static void table_targets(bool quick)
{
	static const uint32_t sizes[] = {10, 100, 1000};

	printf("### A new flow, UDP, l4/2, with many targets (10,000 flows)\n\n");
	printf("| algorithm | targets | ns (median) | ns (mean) | instructions "
	       "|\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(target_cases) / sizeof(target_cases[0]); i++)
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
			print_row(&target_cases[i], sizes[k], 10000, sizes[k],
				  quick ? 100000 : 1000000);
	printf("\n");
}

static void table_memory(void)
{
	struct hash_key secret = {1, 2};
	struct flow_table *t = flow_table_new(sizeof(struct dflow), 1000000, &secret, 0);
	double bytes;

	require(t, "no memory");
	bytes = (double)flow_table_memory(t) / 1000000;
	flow_table_free(t);
	printf("### Memory of dispatchers\n\n| what | bytes of an entry | bytes each, index "
	       "included "
	       "|\n|---|---|---|\n");
	printf("| flow | %zu | %.1f |\n", sizeof(struct dflow), bytes);
	printf("| flow by l4/3 (two entries) | %zu | %.1f |\n\n", 2 * sizeof(struct dflow),
	       2 * bytes);
}

static int run_one(const char *name, const char *flows, const char *packets)
{
	for (size_t i = 0; i < N_CASES; i++) {
		struct bench *b;

		if (strcmp(cases[i].name, name) != 0)
			continue;
		b = bench_run(&cases[i], (uint32_t)strtoul(flows, NULL, 10), 10,
			      (uint32_t)strtoul(packets, NULL, 10));
		printf("%u packets, %.1f ns median\n", b->n_batches * WORLD_BATCH,
		       median(b->batch_ns, b->n_batches));
		bench_free(b);
		return 0;
	}
	fprintf(stderr, "bench_dispatch: no case \"%s\"\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;

	if (argc == 5 && strcmp(argv[1], "--one") == 0)
		return run_one(argv[2], argv[3], argv[4]);
	table_packets(quick);
	table_targets(quick);
	table_memory();
	return 0;
}
