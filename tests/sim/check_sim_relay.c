/*
 * Three dispatchers whose clients' servers hang on one another, with loss, a silent channel, deaths
 * and restarts (HD-18). The engines are real; the servers' stack of each is a model that sends its
 * SYNs and requests again until they are answered, and believes a reset only with the number it
 * expects.
 *
 *   - an answer is that of the request's own server, to that very request;
 *   - who accepts a relay is told the member that it is of, and no other;
 *   - the mark of a relay comes to no stack, and nothing of a leg to the clients' stack;
 *   - nobody is found who is known to be down;
 *   - who waits for a dispatcher that has died is reset once that is known;
 *   - every request is answered, if not by its server then by one of where it came;
 *   - in the end no leg is left.
 *
 * Per schedule: who asks whom for what, how the others are found (the file, by asking, both), how
 * much is lost, who dies when. SIM_SEED=n runs one schedule; SIM_ROUNDS multiplies their number,
 * SIM_SHARE divides it.
 */
/* proves: HD-18 */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/name_id.h"
#include "dispatch/leg.h"
#include "net.h"
#include "packet/stamp.h"
#include "packets.h"

#define TESTS 10
#define SCHEDULES_PER_TEST 12
#define NODES 3
#define DATA 8 /* bytes of a request or an answer */
#define REQUESTS 24
#define ENDS 256
#define FRONT 1
#define CLIENTS_OF(i) (10 + (i))
#define SERVERS_OF(i) (20 + (i))
#define RETRY_NS (200 * NET_MS)
#define IDLE_NS (5000 * NET_MS)
#define THINK_NS (3000 * NET_MS) /* a server takes up to so long */
#define GIVE_UP 30		 /* times that a SYN or request is sent */
#define DETECT_NS (2600 * NET_MS)
#define FAULTS_NS (12000 * NET_MS)
#define END_NS (60000 * NET_MS)
#define LINGER_NS (140000 * NET_MS)

enum end_state { FREE, SYN_SENT, SYN_RECEIVED, OPEN };

/* One end of a leg, in the servers' stack of a node. */
struct end {
	enum end_state state;
	bool out;
	unsigned node, request, tries;
	uint64_t boot;	    /* of the node: its sockets die with it */
	uint64_t far_boot;  /* of the relay's */
	struct pkt_tuple t; /* of what it sends */
	uint32_t snd, rcv;
	uint16_t place;	   /* out: the relay */
	uint64_t ready_ns; /* the other: when its server answers */
};

struct request {
	unsigned at, server; /* the dispatcher it comes to; the node of its cookie's server */
	bool open, done;
};

struct scene {
	struct net *n;
	struct net_node *node[NODES];
	struct net_nic *stack[NODES];
	uint64_t boots[NODES], died_ns[NODES], born_ns[NODES];
	struct end ends[ENDS];
	struct request requests[REQUESTS];
	unsigned loss; /* of a leg's frame, in thousandths */
	uint16_t port;
	unsigned n_relayed, n_local, n_resets;
	const char *how;
};

static struct scene *scene_of(struct net *n)
{
	return n->arg;
}

static bool alive(const struct scene *s, unsigned node)
{
	return s->node[node]->engine != NULL;
}

static struct ipaddr address(const char *text)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(&a, text), 0);
	return a;
}

/* --- the nodes ---------------------------------------------------------------------------------
 */

static void put_server(char *text, size_t size, unsigned i, const char *how)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "target \"s%u\" { addresses = {\"10.4.%u.1\"} ", i, i);
	len = strlen(text);
	if (strcmp(how, "ask") != 0)
		snprintf(text + len, size - len, "via = {\"n%u\"} ", i);
	len = strlen(text);
	snprintf(text + len, size - len, "}\n");
}

static void node_text(char *text, size_t size, unsigned i, const char *how)
{
	bool ask = strcmp(how, "ask") == 0;

	snprintf(text, size,
		 "node = \"n%u\"\n"
		 "port \"front\" { device = \"f\" addresses = {\"198.51.100.%u/24\"} }\n"
		 "firewall { max-flows = 1024 }\n"
		 "cluster { id = 2 device = \"c\" key-file = \"/none\" max-forwards = 1024 "
		 "max-queries = 512 hello-interval = \"500ms\" dead-after = \"1500ms\" }\n"
		 "member \"n0\" { id = 1 address = \"10.9.0.1\" }\n"
		 "member \"n1\" { id = 2 address = \"10.9.0.2\" }\n"
		 "member \"n2\" { id = 3 address = \"10.9.0.3\" }\n"
		 "dispatcher \"d\" { role = \"stage\" ports = {\"front\"} max-flows = 1024 "
		 "max-affinities = 256 max-fragments = 64 }\n"
		 "l7 { max-connections = 64 }\n"
		 "service \"web\" { addresses = {\"198.51.100.80\"} protocol = \"tcp\" "
		 "ports = {\"80\"} technology = \"l7/3\" cookie = \"insert\" "
		 "cookie-name = \"SRV\" relay = \"%s\" targets = {%s} }\n",
		 i, 251 + i, how,
		 !ask	  ? "\"s0\", \"s1\", \"s2\""
		 : i == 0 ? "\"s0\""
		 : i == 1 ? "\"s1\""
			  : "\"s2\"");
	for (unsigned k = 0; k < NODES; k++)
		if (!ask || k == i)
			put_server(text, size, k, how);
}

/* --- the servers' stack ------------------------------------------------------------------------
 */

static void end_free(struct scene *s, struct end *e)
{
	const struct endpoint own = {.addr = e->t.src, .port = e->t.sport};
	const struct endpoint its = {.addr = e->t.dst, .port = e->t.dport};

	if (e->state != FREE && e->boot == s->boots[e->node] && alive(s, e->node))
		engine_l7_leg_end(s->node[e->node]->engine, e->out ? &own : &its,
				  e->out ? &its : &own, s->n->now_ns);
	e->state = FREE;
}

static void end_send(struct scene *s, const struct end *e, uint8_t flags, uint32_t seq, uint32_t id)
{
	struct sim_tcp h = {.seq = seq, .ack = e->rcv, .flags = flags};
	struct net_node *node = s->node[e->node];
	uint8_t ip[256];
	size_t size;

	if (!node->engine || net_dice(s->n, 1000) < s->loss)
		return;
	size = sim_tcp(ip, &e->t, &h, id, flags & TCP_PSH ? DATA : 0);
	net_send_ip(s->n, s->stack[e->node], &node->nics[node->params[0]->legs_port]->mac, ip, size,
		    1000);
}

static struct end *end_new(struct scene *s)
{
	for (unsigned i = 0; i < ENDS; i++)
		if (s->ends[i].state == FREE)
			return &s->ends[i];
	ck_abort_msg("no room for another end");
}

static struct end *end_find(struct scene *s, unsigned node, const struct pkt_tuple *t)
{
	for (unsigned i = 0; i < ENDS; i++) {
		struct end *e = &s->ends[i];

		if (e->state != FREE && e->node == node && e->t.sport == t->dport &&
		    e->t.dport == t->sport && ipaddr_eq(&e->t.src, &t->dst) &&
		    ipaddr_eq(&e->t.dst, &t->src))
			return e;
	}
	return NULL;
}

static void on_retry(struct net *n, uint64_t word);
static void request_try(struct scene *s, unsigned r);

static void again(struct net *n, uint64_t word)
{
	request_try(scene_of(n), (unsigned)word);
}

/* --- requests ----------------------------------------------------------------------------------
 */

static void request_done(struct scene *s, unsigned r, bool relayed)
{
	s->requests[r].done = true;
	if (relayed)
		s->n_relayed++;
	else
		s->n_local++;
}

static void open_leg(struct scene *s, unsigned r, uint16_t place)
{
	struct request *q = &s->requests[r];
	struct end *e = end_new(s);
	char client[32];
	int rc;

	snprintf(client, sizeof(client), "203.0.113.%u", 1 + r % 5);
	*e = (struct end){.state = SYN_SENT,
			  .out = true,
			  .node = q->at,
			  .request = r,
			  .boot = s->boots[q->at],
			  .far_boot = s->boots[l7_relay_member(place)],
			  .place = place,
			  .snd = (uint32_t)net_dice(s->n, UINT32_MAX)};
	/* Each node has ports of its own. */
	e->t = (struct pkt_tuple){.src = address(client),
				  .dst = address("198.51.100.80"),
				  .sport = (uint16_t)(10000 + q->at * 10000 + s->port++ % 10000),
				  .dport = 80,
				  .proto = IPPROTO_NUM_TCP};
	rc = engine_l7_leg(s->node[q->at]->engine, place,
			   &(struct endpoint){.addr = e->t.src, .port = e->t.sport},
			   &(struct endpoint){.addr = e->t.dst, .port = 80}, s->n->now_ns);
	ck_assert_int_eq(rc, 0);
	end_send(s, e, TCP_SYN, e->snd, r);
	net_at(s->n, s->n->now_ns + RETRY_NS, on_retry, (uint64_t)(e - s->ends));
}

static void request_try(struct scene *s, unsigned r)
{
	struct request *q = &s->requests[r];
	uint16_t place = PARAMS_NONE;
	enum l7_found found;
	char server[8];

	if (q->done)
		return;
	if (!alive(s, q->at)) {
		q->done = true; /* nobody takes it */
		return;
	}
	q->open = true;
	snprintf(server, sizeof(server), "s%u", q->server);
	found = engine_l7_find(s->node[q->at]->engine, 0, name_id(server), &place, s->n->now_ns);
	net_carry_out(s->n, s->node[q->at]);
	switch (found) {
	case L7_FOUND_LATER:
		net_at(s->n, s->n->now_ns + 10 * NET_MS, again, r);
		break;
	case L7_FOUND_NOBODY:
		request_done(s, r, false);
		break;
	case L7_FOUND: {
		uint64_t since;

		ck_assert_uint_eq(place, L7_RELAY + q->server);
		ck_assert_int_ne(engine_l7_standing(s->node[q->at]->engine, place, &since),
				 L7_TARGET_DOWN);
		open_leg(s, r, place);
	}
	}
}

/* The connection was of no use. */
static void end_failed(struct scene *s, struct end *e)
{
	unsigned r = e->request;
	bool out = e->out;

	end_free(s, e);
	if (out)
		net_at(s->n, s->n->now_ns + 50 * NET_MS, again, r);
}

static void on_retry(struct net *n, uint64_t word)
{
	struct scene *s = scene_of(n);
	struct end *e = &s->ends[word];
	unsigned far;

	if (e->state == FREE || !e->out)
		return;
	if (e->boot != s->boots[e->node] || !alive(s, e->node)) {
		e->state = FREE;
		return;
	}
	far = l7_relay_member(e->place);
	if (alive(s, far))
		ck_assert_msg(s->boots[far] == e->far_boot ||
				      n->now_ns < s->born_ns[far] + DETECT_NS,
			      "request %u still waits for what n%u was", e->request, far);
	else
		ck_assert_msg(n->now_ns < s->died_ns[far] + DETECT_NS,
			      "request %u still waits for n%u", e->request, far);
	if (++e->tries == GIVE_UP) {
		end_failed(s, e);
		return;
	}
	if (e->state == SYN_SENT)
		end_send(s, e, TCP_SYN, e->snd - 1 + (e->tries ? 1 : 0), e->request);
	else
		end_send(s, e, TCP_ACK | TCP_PSH, e->snd, e->request);
	net_at(n, n->now_ns + RETRY_NS, on_retry, word);
}

/* --- what comes to the stack -------------------------------------------------------------------
 */

/* What says both the request and the server. */
static uint32_t answer_id(unsigned r, unsigned server)
{
	return 1000 + r * 10 + server;
}

static void out_receives(struct scene *s, struct end *e, const struct pkt *pkt)
{
	const struct request *q = &s->requests[e->request];
	const struct tcp_seg *seg = &pkt->tcp;

	if (e->state == SYN_SENT) {
		if ((seg->flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK) ||
		    seg->ack != e->snd + 1)
			return;
		e->state = OPEN;
		e->snd++;
		e->rcv = seg->seq + 1;
		end_send(s, e, TCP_ACK | TCP_PSH, e->snd, e->request);
		return;
	}
	if (seg->flags & TCP_SYN) { /* its answer to the SYN, once more */
		end_send(s, e, TCP_ACK | TCP_PSH, e->snd, e->request);
		return;
	}
	if (seg->seq != e->rcv || seg->len == 0)
		return;
	ck_assert_uint_eq(sim_identity(pkt), answer_id(e->request, q->server));
	e->rcv += seg->len;
	if (!q->done)
		request_done(s, e->request, true);
	end_send(s, e, TCP_RST | TCP_ACK, e->snd + DATA, 0);
	end_free(s, e);
}

static void in_accept(struct scene *s, struct end *e)
{
	const struct endpoint from = {.addr = e->t.dst, .port = e->t.dport};
	const struct endpoint to = {.addr = e->t.src, .port = e->t.sport};
	uint16_t member = engine_l7_leg_from(s->node[e->node]->engine, &from, &to, s->n->now_ns);

	/* By the port: each node has its own. */
	ck_assert_uint_eq(member, (unsigned)from.port / 10000 - 1);
	engine_l7_leg_serves(s->node[e->node]->engine, &from, &to, (uint16_t)e->node);
	e->state = OPEN;
}

static void in_receives(struct scene *s, struct end *e, const struct pkt *pkt)
{
	const struct tcp_seg *seg = &pkt->tcp;
	uint32_t id = sim_identity(pkt);

	if (seg->flags & TCP_SYN) {
		end_send(s, e, TCP_SYN | TCP_ACK, e->snd - 1, 0);
		return;
	}
	if (e->state == SYN_RECEIVED)
		in_accept(s, e);
	if (seg->seq == e->rcv && seg->len > 0) {
		e->rcv += seg->len;
		ck_assert_uint_lt(id, REQUESTS);
		e->request = id;
		e->ready_ns = s->n->now_ns + net_dice(s->n, THINK_NS);
	} else if (seg->seq + seg->len != e->rcv) {
		return;
	}
	/* A request that comes again asks whether the server is ready. */
	if (s->n->now_ns < e->ready_ns)
		end_send(s, e, TCP_ACK, e->snd, 0);
	else
		end_send(s, e, TCP_ACK | TCP_PSH, e->snd, answer_id(e->request, e->node));
}

/* The proxy's keep-timeout. */
static void on_idle(struct net *n, uint64_t word)
{
	struct end *e = &scene_of(n)->ends[word];

	if (!e->out)
		end_free(scene_of(n), e);
}

static void stack_syn(struct scene *s, unsigned node, const struct pkt *pkt)
{
	struct end *e = end_new(s);

	*e = (struct end){.state = SYN_RECEIVED,
			  .node = node,
			  .boot = s->boots[node],
			  .rcv = pkt->tcp.seq + 1,
			  .snd = (uint32_t)net_dice(s->n, UINT32_MAX)};
	e->t = (struct pkt_tuple){.src = pkt->tuple.dst,
				  .dst = pkt->tuple.src,
				  .sport = pkt->tuple.dport,
				  .dport = pkt->tuple.sport,
				  .proto = IPPROTO_NUM_TCP};
	end_send(s, e, TCP_SYN | TCP_ACK, e->snd++, 0);
	net_at(s->n, s->n->now_ns + IDLE_NS, on_idle, (uint64_t)(e - s->ends));
}

static bool reset_is_right(const struct end *e, const struct tcp_seg *seg)
{
	if (e->state == SYN_SENT)
		return seg->flags & TCP_ACK && seg->ack == e->snd + 1;
	return seg->seq == e->rcv;
}

static void servers_receive(struct net *n, struct net_nic *nic, struct frame *frame)
{
	struct scene *s = scene_of(n);
	unsigned node = nic->segment - SERVERS_OF(0);
	struct pkt pkt;
	struct end *e;

	ck_assert_int_eq(pkt_decode(&pkt, frame), DROP_NONE);
	ck_assert(!stamp_present(&pkt));
	if (pkt.tuple.proto != IPPROTO_NUM_TCP || pkt.icmp_error)
		return;
	e = end_find(s, node, &pkt.tuple);
	if (pkt.tcp.flags & TCP_RST) {
		if (!e || !reset_is_right(e, &pkt.tcp))
			return;
		s->n_resets++;
		end_failed(s, e);
		return;
	}
	if (net_dice(n, 1000) < s->loss)
		return;
	if (e && e->out)
		out_receives(s, e, &pkt);
	else if (e)
		in_receives(s, e, &pkt);
	else if ((pkt.tcp.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		stack_syn(s, node, &pkt);
}

static void clients_receive(struct net *n, struct net_nic *nic, struct frame *frame)
{
	struct pkt pkt;

	(void)n;
	ck_assert_int_eq(pkt_decode(&pkt, frame), DROP_NONE);
	ck_abort_msg("the clients' stack of n%u is given a packet from port %u with flags %x",
		     nic->segment - CLIENTS_OF(0), pkt.tuple.sport, pkt.tcp.flags);
}

/* --- what goes wrong ---------------------------------------------------------------------------
 */

static void on_death(struct net *n, uint64_t word)
{
	struct scene *s = scene_of(n);

	if (!alive(s, (unsigned)word))
		return;
	for (unsigned i = 0; i < ENDS; i++)
		if (s->ends[i].state != FREE && s->ends[i].node == word)
			s->ends[i].state = FREE;
	for (unsigned r = 0; r < REQUESTS; r++)
		if (s->requests[r].open && s->requests[r].at == word)
			s->requests[r].done = true; /* the client's own connection has died */
	net_node_kill(n, s->node[word]);
	s->died_ns[word] = n->now_ns;
	s->boots[word]++;
}

static void on_birth(struct net *n, uint64_t word)
{
	struct scene *s = scene_of(n);

	if (alive(s, (unsigned)word))
		return;
	net_node_start(n, s->node[word]);
	s->born_ns[word] = n->now_ns;
}

static void on_silence(struct net *n, uint64_t word)
{
	n->loss = (unsigned)word;
}

static void on_request(struct net *n, uint64_t word)
{
	request_try(scene_of(n), (unsigned)word);
}

static void plan(struct scene *s)
{
	struct net *n = s->n;

	for (unsigned r = 0; r < REQUESTS; r++) {
		struct request *q = &s->requests[r];

		q->at = (unsigned)net_dice(n, NODES);
		q->server = (q->at + 1 + (unsigned)net_dice(n, NODES - 1)) % NODES;
		net_at(n, 3000 * NET_MS + net_dice(n, FAULTS_NS - 3000 * NET_MS), on_request, r);
	}
	for (uint64_t i = net_dice(n, 3); i > 0; i--) {
		uint64_t who = net_dice(n, NODES), when = net_dice(n, FAULTS_NS);

		net_at(n, when, on_death, who);
		net_at(n, when + 100 * NET_MS + net_dice(n, 5000 * NET_MS), on_birth, who);
	}
	if (net_dice(n, 3) == 0) {
		uint64_t when = net_dice(n, FAULTS_NS);

		net_at(n, when, on_silence, 1000);
		net_at(n, when + net_dice(n, 4000 * NET_MS), on_silence, n->loss);
	}
}

/* --- one schedule ------------------------------------------------------------------------------
 */

static void scene_make(struct scene *s, uint64_t seed, struct actions *actions)
{
	static const char *const how[] = {"config", "ask", "both"};
	char text[4096];

	memset(s, 0, sizeof(*s));
	s->n = net_new(seed, actions);
	s->n->arg = s;
	s->how = how[net_dice(s->n, 3)];
	s->loss = net_dice(s->n, 2) ? 0 : (unsigned)net_dice(s->n, 200);
	s->n->loss = net_dice(s->n, 2) ? 0 : (unsigned)net_dice(s->n, 200);
	s->n->duplicate = (unsigned)net_dice(s->n, 100);
	s->n->jitter_ns = net_dice(s->n, 20) * NET_MS;
	for (unsigned i = 0; i < NODES; i++) {
		const unsigned segments[] = {FRONT, CLIENTS_OF(i), SERVERS_OF(i)};
		struct macaddr mac = {{2, 1, 0, (uint8_t)i, 0, 1}};

		net_nic_add(s->n, CLIENTS_OF(i), &mac, clients_receive, s);
		mac.b[5] = 2;
		s->stack[i] = net_nic_add(s->n, SERVERS_OF(i), &mac, servers_receive, s);
		node_text(text, sizeof(text), i, s->how);
		s->node[i] = net_node_add(s->n,
					  i == 0   ? "n0"
					  : i == 1 ? "n1"
						   : "n2",
					  text, segments, i + 1);
	}
}

static void all_answered(const struct scene *s)
{
	for (unsigned r = 0; r < REQUESTS; r++)
		ck_assert_msg(s->requests[r].done, "request %u, at n%u for s%u, waits for ever", r,
			      s->requests[r].at, s->requests[r].server);
}

static void no_leg_left(struct scene *s)
{
	for (unsigned i = 0; i < NODES; i++) {
		uint32_t pos = 0;

		ck_assert_ptr_null(legs_next(&s->node[i]->engine->dispatch, &pos));
	}
}

static unsigned run_schedule(uint64_t seed, struct actions *actions)
{
	static struct scene s;
	unsigned relayed;

	scene_make(&s, seed, actions);
	plan(&s);
	net_run(s.n, FAULTS_NS + END_NS);
	all_answered(&s);
	for (unsigned i = 0; i < ENDS; i++)
		end_free(&s, &s.ends[i]);
	net_run(s.n, FAULTS_NS + END_NS + LINGER_NS);
	no_leg_left(&s);
	relayed = s.n_relayed;
	if (getenv("SIM_SEED"))
		printf("%s, loss %u: %u relayed, %u local, %u resets\n", s.how, s.loss, s.n_relayed,
		       s.n_local, s.n_resets);
	net_free(s.n);
	return relayed;
}

static unsigned number(const char *name)
{
	const char *text = getenv(name);
	unsigned n = text ? (unsigned)strtoul(text, NULL, 10) : 1;

	return n ? n : 1;
}

START_TEST(test_schedules)
{
	const char *one = getenv("SIM_SEED");
	const unsigned n = SCHEDULES_PER_TEST * number("SIM_ROUNDS") / number("SIM_SHARE");
	struct actions *actions = actions_new();
	unsigned relayed = 0;
	uint64_t seed = 0;

	ck_assert_ptr_nonnull(actions);
	for (unsigned i = 0; i < n; i++) {
		seed = one ? strtoull(one, NULL, 10) : (uint64_t)_i * n + i;
		if (one && (_i > 0 || i > 0))
			break;
		mark_point();
		if (getenv("SIM_TELL"))
			fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
		relayed += run_schedule(seed, actions);
	}
	ck_assert(one || relayed > 0);
	actions_free(actions);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sim relay");
	TCase *schedules = tcase_create("schedules");
	SRunner *sr;
	int failed;

	mallopt(M_MMAP_THRESHOLD, 1 << 17);
	tcase_add_loop_test(schedules, test_schedules, 0, TESTS);
	tcase_set_timeout(schedules, 600);
	suite_add_tcase(suite, schedules);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
