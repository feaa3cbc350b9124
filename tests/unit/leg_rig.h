/*
 * leg_rig.h - two dispatchers, a and b (members 0 and 1), on the segments "inside" (servers) and
 * "outside" (a firewall), each with both private stacks, and a cluster of which they are two.
 *
 * What a sends to b's MAC address reaches b, and is kept besides; so do datagrams, unless the wire
 * is cut. Every other host answers ARP and ND for every address, and is not a member.
 */
#ifndef TESTS_LEG_RIG_H
#define TESTS_LEG_RIG_H

#include "cluster/keyring.h"
#include "dispatch/leg.h"
#include "packet/checksum.h"
#include "packet/stamp.h"
#include "rig.h"

#define LEGS 3
#define A 0
#define B 1
#define C 2 /* never there */
#define NODES 2
#define LEG_OUT 8192
#define KEY_TEXT "1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f active\n"

#define VIP "203.0.113.80"
#define VIP6 "2001:db8:51::80"
#define CLIENT "198.51.100.9"
#define CLIENT6 "2001:db8:c::9"

struct leg_out {
	unsigned node; /* who sent it */
	uint16_t port;
	bool between; /* to the other dispatcher */
	uint8_t *memory;
	struct frame frame;
	struct pkt pkt;
};

struct leg_rig {
	struct params *params[NODES];
	struct engine *engine[NODES]; /* NULL: not running */
	uint8_t boots;
	struct actions *actions, *spare[16]; /* one for each call within a call */
	unsigned depth;
	uint64_t now_ns;
	bool cut; /* no datagrams */
	struct leg_out out[LEG_OUT];
	unsigned n_out;
};

static inline struct macaddr leg_mac(unsigned node, unsigned port)
{
	return (struct macaddr){{2, 0, 0, 0, (uint8_t)(node + 1), (uint8_t)(port + 1)}};
}

static inline void leg_clear(struct leg_rig *r)
{
	for (unsigned i = 0; i < r->n_out; i++)
		free(r->out[i].memory);
	r->n_out = 0;
}

static inline void leg_collect(struct leg_rig *r, unsigned node);

static inline void leg_frame(struct leg_rig *r, unsigned node, struct frame *f)
{
	engine_frames(r->engine[node], f, 1, r->now_ns, r->actions);
	leg_collect(r, node);
}

/* A copy of the frame for that node. */
static inline void leg_pass(struct leg_rig *r, unsigned node, const struct frame *f)
{
	uint8_t *memory = malloc(f->len + FRAME_HEADROOM);
	struct frame copy = *f;

	copy.data = memory + FRAME_HEADROOM;
	memcpy(copy.data, f->data, f->len);
	leg_frame(r, node, &copy);
	free(memory);
}

/* What a host would answer to a question for its MAC address; its size, 0 = it is none. */
static inline size_t leg_answer(unsigned node, const struct frame *f, uint8_t *out, size_t size)
{
	struct build_eth eth = {.dst = leg_mac(node, f->port), .src = rig_host_mac(f->port)};
	struct frame copy = *f;
	struct build *build = build_new();
	size_t n = 0;
	struct pkt pkt;
	struct arp arp;
	struct nd nd;

	if (pkt_decode(&pkt, &copy) != DROP_NONE) {
	} else if (pkt.kind == PKT_ARP && arp_parse(&arp, &copy, pkt.l3) == DROP_NONE) {
		struct arp reply = {.op = 2,
				    .sender_mac = eth.src,
				    .sender_ip = arp.target_ip,
				    .target_mac = arp.sender_mac,
				    .target_ip = arp.sender_ip};
		n = build_arp(build, &eth, &reply, out, size);
	} else if (pkt.kind == PKT_ND && nd_parse(&nd, &pkt) == DROP_NONE) {
		struct nd reply = {.type = 136,
				   .src = nd.target,
				   .dst = nd.src,
				   .target = nd.target,
				   .has_mac = true,
				   .mac = eth.src,
				   .solicited = true,
				   .override = true};
		n = build_nd(build, &eth, &reply, out, size);
	}
	build_free(build);
	return n;
}

static inline void leg_keep(struct leg_rig *r, unsigned node, const struct frame *f, bool between)
{
	struct leg_out *o = &r->out[r->n_out++];

	ck_assert_uint_le(r->n_out, LEG_OUT);
	*o = (struct leg_out){.node = node, .port = f->port, .between = between, .frame = *f};
	o->memory = malloc(f->len + FRAME_HEADROOM);
	o->frame.data = o->memory + FRAME_HEADROOM;
	memcpy(o->frame.data, f->data, f->len);
	ck_assert_int_eq(pkt_decode(&o->pkt, &o->frame), DROP_NONE);
	o->pkt.frame = NULL; /* it has moved when somebody looks */
}

/* One frame that a node has sent. */
static inline void leg_carry(struct leg_rig *r, unsigned node, const struct frame *f)
{
	struct macaddr other = leg_mac(!node, f->port);
	bool between = memcmp(f->data, other.b, 6) == 0;
	uint8_t room[FRAME_HEADROOM + 256];
	size_t n = between ? 0 : leg_answer(node, f, room + FRAME_HEADROOM, 256);

	if (n > 0) {
		struct frame answer = {
			.data = room + FRAME_HEADROOM, .len = (uint32_t)n, .port = f->port};
		leg_frame(r, node, &answer);
		return;
	}
	leg_keep(r, node, f, between);
	if (between && r->engine[!node])
		leg_pass(r, !node, f);
}

static inline struct endpoint leg_member(unsigned node)
{
	uint8_t b[4] = {10, 9, 0, (uint8_t)(node + 1)};

	return (struct endpoint){.addr = ipaddr_v4(b), .port = 4242};
}

/* Carry out what a call of a node's engine has asked for. */
static inline void leg_collect(struct leg_rig *r, unsigned node)
{
	struct actions *done = r->actions;
	struct endpoint from = leg_member(node);

	if (done->n_frames == 0 && done->n_datagrams == 0) {
		actions_reset(done);
		return;
	}
	ck_assert_uint_lt(r->depth, 16);
	if (!r->spare[r->depth])
		r->spare[r->depth] = actions_new();
	r->actions = r->spare[r->depth++];
	for (uint32_t i = 0; i < done->n_frames; i++)
		leg_carry(r, node, &done->frames[i]);
	for (uint32_t i = 0; i < done->n_datagrams && !r->cut && r->engine[!node]; i++) {
		const struct datagram *g = &done->datagrams[i];
		uint8_t *copy = malloc(g->size);

		memcpy(copy, g->data, g->size);
		engine_datagram(r->engine[!node], copy, g->size, &from, g->multicast, r->now_ns,
				r->actions);
		free(copy);
		leg_collect(r, !node);
	}
	r->actions = done;
	r->depth--;
	actions_reset(done);
}

static inline void leg_wait(struct leg_rig *r, uint64_t ms)
{
	uint64_t until_ns = r->now_ns + ms * RIG_MS;

	while (r->now_ns < until_ns) {
		r->now_ns += 10 * RIG_MS;
		for (unsigned i = 0; i < NODES; i++) {
			if (!r->engine[i] || engine_next(r->engine[i]) > r->now_ns)
				continue;
			engine_tick(r->engine[i], r->now_ns, r->actions);
			leg_collect(r, i);
		}
	}
}

static inline void leg_link(struct leg_rig *r, unsigned node, uint16_t port, bool up)
{
	struct engine_link link = {.up = up,
				   .mac = leg_mac(node, port),
				   .mtu = 1500,
				   .is_ours = true,
				   .has_peer = r->params[node]->ports[port].is_stack,
				   .peer = rig_host_mac(port)};

	engine_set_link(r->engine[node], port, &link, r->now_ns, r->actions);
	leg_collect(r, node);
}

static inline void leg_start(struct leg_rig *r, unsigned node)
{
	struct engine_seed seed = {.boot_id = {++r->boots, 7}, .words = {r->boots, 2, 3, 4}};
	char err[128];

	r->engine[node] =
		engine_new(r->params[node], keyring_parse(KEY_TEXT, strlen(KEY_TEXT), err, 128),
			   &seed, r->now_ns);
	ck_assert_ptr_nonnull(r->engine[node]);
	for (uint16_t port = 0; port < r->params[node]->n_ports; port++)
		leg_link(r, node, port, true);
}

static inline void leg_stop(struct leg_rig *r, unsigned node)
{
	engine_free(r->engine[node]);
	r->engine[node] = NULL;
}

/* The configuration of a node; `services` and `targets` as in the file. */
static inline struct params *leg_params(unsigned node, const char *rest)
{
	char text[8192];
	struct params *p;

	snprintf(text, sizeof(text),
		 "node = \"%c\"\n"
		 "port \"inside\" { device = \"i\" addresses = {\"10.1.0.%u/16\", "
		 "\"fd00:1::%u/64\"} }\n"
		 "port \"outside\" { device = \"o\" addresses = {\"192.0.2.%u/24\", "
		 "\"2001:db8:2::%u/64\"} }\n"
		 "cluster { id = 1 device = \"c\" key-file = \"/none\""
		 " hello-interval = \"500ms\" dead-after = \"1500ms\" }\n"
		 "member \"a\" { id = 1 address = \"10.9.0.1\" }\n"
		 "member \"b\" { id = 2 address = \"10.9.0.2\" }\n"
		 "path \"fw1\" { id = 7 addresses = {\"192.0.2.11\", \"2001:db8:2::11\"} }\n"
		 "dispatcher \"inner\" { role = \"inner\" firewall-port = \"outside\""
		 " ports = {\"inside\"} unknown = \"drop\" }\n%s",
		 'a' + node, node + 1, node + 1, node + 1, node + 1, rest);
	p = conf_parse("leg", text, stderr, NULL);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->legs_port, LEGS);
	return p;
}

static inline struct leg_rig *leg_begin(const char *rest_a, const char *rest_b)
{
	struct leg_rig *r = calloc(1, sizeof(*r));

	r->now_ns = 1000000000000ULL;
	r->actions = actions_new();
	r->params[A] = leg_params(A, rest_a);
	r->params[B] = leg_params(B, rest_b);
	leg_start(r, A);
	leg_start(r, B);
	leg_wait(r, 3000); /* members, the firewall's MAC address */
	leg_clear(r);
	return r;
}

static inline uint64_t leg_drops(const struct leg_rig *r, unsigned node, enum drop d)
{
	return engine_drops(r->engine[node])[d];
}

static inline uint64_t leg_counter(const struct leg_rig *r, unsigned node, enum counter c)
{
	return engine_counters(r->engine[node])[c];
}

static inline void leg_free(struct leg_rig *r)
{
	for (unsigned i = 0; i < NODES; i++) {
		if (r->engine[i]) {
			struct rig balance = {.engine = r->engine[i]};
			rig_balance(&balance);
			leg_stop(r, i);
		}
		conf_free(r->params[i]);
	}
	leg_clear(r);
	for (unsigned i = 0; i < 16; i++)
		actions_free(r->spare[i]);
	actions_free(r->actions);
	free(r);
}

/* --- packets ------------------------------------------------------------------------------------
 */

/* Put a packet in as if it had come from that MAC address, with a stamp unless `stamp` is -1. */
static inline void leg_send_from(struct leg_rig *r, unsigned node, unsigned port,
				 const struct macaddr *src, const struct rig_packet *p, int stamp)
{
	static struct sample s;
	struct macaddr dst = leg_mac(node, port);
	struct frame f;

	leg_clear(r);
	rig_make(&s, p);
	f = rig_ready(&s, port);
	memcpy(f.data, dst.b, 6);
	memcpy(f.data + 6, src->b, 6);
	if (stamp >= 0) {
		struct pkt pkt;

		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
		ck_assert(stamp_insert(&pkt, (uint16_t)stamp, 1500));
	}
	leg_pass(r, node, &f);
}

/* From the host there: the stack, a server, the firewall. */
static inline void leg_put(struct leg_rig *r, unsigned node, unsigned port,
			   const struct rig_packet *p)
{
	struct macaddr src = rig_host_mac(port);

	leg_send_from(r, node, port, &src, p, -1);
}

/* The one frame that `node` has sent by `port`. */
static inline struct pkt leg_sent(struct leg_rig *r, unsigned node, unsigned port)
{
	struct leg_out *found = NULL;

	for (unsigned i = 0; i < r->n_out; i++) {
		struct leg_out *o = &r->out[i];

		if (o->node != node || o->port != port)
			continue;
		ck_assert_ptr_null(found);
		found = o;
	}
	ck_assert_ptr_nonnull(found);
	found->pkt.frame = &found->frame;
	ck_assert(csum_l4_ok(&found->pkt));
	return found->pkt;
}

/* And none has gone elsewhere but between the dispatchers. */
static inline struct pkt leg_got(struct leg_rig *r, unsigned node, unsigned port)
{
	for (unsigned i = 0; i < r->n_out; i++) {
		const struct leg_out *o = &r->out[i];

		ck_assert_msg(o->between || (o->node == node && o->port == port),
			      "node %u has sent by port %u, too", o->node, o->port);
	}
	return leg_sent(r, node, port);
}

#endif
