/*
 * rig.h - one engine without a cluster between two segments, "inside" (port 0, 10.1.0.1/16 and
 * fd00:1::1/64) and "outside" (port 1, 192.0.2.1/24 and 2001:db8:2::1/64).
 *
 * A port of a private stack, where the configuration has one, is port 2 (STACK).
 *
 * rig_send puts a packet in and collects what comes out. The hosts of both segments answer ARP and
 * ND for every address while `answer` is true; those frames are counted in `asked`, not collected.
 */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "engine/engine.h"
#include "engine/engine_priv.h"
#include "packet/build.h"
#include "packets.h"

#define RIG_OUT 1024
#define RIG_MS 1000000ULL
#define INSIDE 0
#define OUTSIDE 1
#define STACK 2

struct rig_out {
	uint16_t port;
	uint8_t *memory;
	struct frame frame;
	struct pkt pkt; /* valid when `decoded` is DROP_NONE */
	enum drop decoded;
};

struct rig {
	struct params *params;
	struct engine *engine;
	struct actions *actions;
	struct build *build;
	uint64_t now_ns;
	bool answer, quiet; /* quiet: frames are counted in n_out, not kept */
	struct rig_out out[RIG_OUT];
	unsigned n_out, asked;
	uint64_t n_notes[NOTE_COUNT];
	struct engine_link links[PARAMS_PORTS];
};

/* What a packet says; zero fields have useful meanings. */
struct rig_packet {
	const char *src, *dst;
	unsigned proto, sport, dport;
	unsigned flags; /* TCP */
	uint32_t seq, ack;
	size_t len;    /* payload */
	unsigned ttl;  /* 0 = 64 */
	bool df, more; /* more: fragment with more to come */
	unsigned id, offset;
	unsigned type, code; /* ICMP */
	int vlan;	     /* 0 = untagged */
};

static inline struct macaddr rig_mac(unsigned port)
{
	return (struct macaddr){{2, 0, 0, 0, 0, (uint8_t)(port + 1)}};
}

static inline struct macaddr rig_host_mac(unsigned port)
{
	return (struct macaddr){{2, 0xee, 0, 0, 0, (uint8_t)(port + 1)}};
}

static inline void rig_clear(struct rig *r)
{
	for (unsigned i = 0; i < RIG_OUT && r->out[i].memory; i++) {
		free(r->out[i].memory);
		r->out[i].memory = NULL;
	}
	r->n_out = r->asked = 0;
}

static inline void rig_keep(struct rig *r, const struct frame *f)
{
	struct rig_out *o = &r->out[r->n_out++];

	ck_assert_uint_le(r->n_out, RIG_OUT);
	o->memory = malloc(f->len + FRAME_HEADROOM);
	o->port = f->port;
	o->frame = *f;
	o->frame.data = o->memory + FRAME_HEADROOM;
	memcpy(o->frame.data, f->data, f->len);
	o->decoded = pkt_decode(&o->pkt, &o->frame);
}

/* The hosts' answer to an ARP request or neighbour solicitation; its size, 0 = none needed. */
static inline size_t rig_answer(struct rig *r, const struct frame *f, uint8_t *out, size_t size)
{
	struct build_eth eth = {.dst = rig_mac(f->port),
				.src = rig_host_mac(f->port),
				.vlan = r->params->ports[f->port].vlan};
	struct frame copy = *f;
	struct pkt pkt;
	struct arp arp;
	struct nd nd;

	if (pkt_decode(&pkt, &copy) != DROP_NONE)
		return 0;
	if (pkt.kind == PKT_ARP && arp_parse(&arp, &copy, pkt.l3) == DROP_NONE && arp.op == 1) {
		struct arp reply = {.op = 2,
				    .sender_mac = eth.src,
				    .sender_ip = arp.target_ip,
				    .target_mac = arp.sender_mac,
				    .target_ip = arp.sender_ip};
		return build_arp(r->build, &eth, &reply, out, size);
	}
	if (pkt.kind == PKT_ND && nd_parse(&nd, &pkt) == DROP_NONE && nd.type == 135) {
		struct nd reply = {.type = 136,
				   .src = nd.target,
				   .dst = nd.src,
				   .target = nd.target,
				   .has_mac = true,
				   .mac = eth.src,
				   .solicited = true,
				   .override = true};
		return build_nd(r->build, &eth, &reply, out, size);
	}
	return 0;
}

static inline void rig_frame(struct rig *r, struct frame *f);

struct rig_reply {
	uint16_t port;
	size_t size;
	uint8_t bytes[FRAME_HEADROOM + 256];
};

static inline void rig_collect(struct rig *r)
{
	uint32_t n_frames = r->actions->n_frames;
	struct rig_reply *replies = calloc(n_frames + 1, sizeof(*replies));
	unsigned n = 0;

	for (uint32_t i = 0; i < n_frames; i++) {
		const struct frame *f = &r->actions->frames[i];
		uint8_t *room = replies[n].bytes + FRAME_HEADROOM;

		replies[n].port = f->port;
		replies[n].size = r->answer ? rig_answer(r, f, room, 256) : 0;
		if (replies[n].size > 0) {
			r->asked++;
			n++;
		} else if (r->quiet) {
			r->n_out++;
		} else {
			rig_keep(r, f);
		}
	}
	for (uint32_t i = 0; i < r->actions->n_notes; i++)
		r->n_notes[r->actions->notes[i].type]++;
	actions_reset(r->actions);
	for (unsigned i = 0; i < n; i++) {
		struct frame f = {.data = replies[i].bytes + FRAME_HEADROOM,
				  .len = (uint32_t)replies[i].size,
				  .port = replies[i].port};
		rig_frame(r, &f);
	}
	free(replies);
}

static inline void rig_frame(struct rig *r, struct frame *f)
{
	engine_frames(r->engine, f, 1, r->now_ns, r->actions);
	rig_collect(r);
}

static inline void rig_tick(struct rig *r, uint64_t until_ns)
{
	while (engine_next(r->engine) <= until_ns) {
		uint64_t next = engine_next(r->engine);

		r->now_ns = next > r->now_ns ? next : r->now_ns;
		engine_tick(r->engine, r->now_ns, r->actions);
		rig_collect(r);
	}
	r->now_ns = until_ns;
}

static inline void rig_wait(struct rig *r, uint64_t ms)
{
	rig_tick(r, r->now_ns + ms * RIG_MS);
}

static inline void rig_l4(struct sample *s, const struct rig_packet *p)
{
	if (p->offset > 0) {
		s->l4 = s->len;
	} else if (p->proto == IPPROTO_NUM_TCP) {
		sample_tcp(s, p->flags, NULL, 0);
		sample_set16(s, s->l4, p->sport);
		sample_set16(s, s->l4 + 2, p->dport);
		sample_set16(s, s->l4 + 4, p->seq >> 16);
		sample_set16(s, s->l4 + 6, p->seq & 0xffff);
		sample_set16(s, s->l4 + 8, p->ack >> 16);
		sample_set16(s, s->l4 + 10, p->ack & 0xffff);
	} else if (p->proto == IPPROTO_NUM_UDP) {
		sample_udp(s, 0);
		sample_set16(s, s->l4, p->sport);
		sample_set16(s, s->l4 + 2, p->dport);
		sample_set16(s, s->l4 + 4, (unsigned)(8 + p->len));
	} else if (p->proto == IPPROTO_NUM_ICMP || p->proto == IPPROTO_NUM_ICMP6) {
		sample_icmp(s, p->type, p->code, (uint32_t)p->sport << 16 | p->dport);
	} else {
		s->l4 = s->len;
	}
}

/* The packet as an Ethernet frame; also for use inside an ICMP error. */
static inline void rig_make(struct sample *s, const struct rig_packet *p)
{
	bool v6 = strchr(p->src, ':') != NULL;

	sample_eth(s, p->vlan ? p->vlan : -1, v6 ? ETH_IPV6 : ETH_IPV4);
	if (v6)
		sample_ip6(s, p->proto, p->src, p->dst);
	else
		sample_ip4(s, p->proto, p->src, p->dst, NULL, 0);
	rig_l4(s, p);
	sample_fill(s, p->len);
	if (p->ttl)
		sample_data(s)[s->l3 + (v6 ? 7 : 8)] = (uint8_t)p->ttl;
	if (!v6) {
		if (p->id)
			sample_set16(s, s->l3 + 4, p->id);
		sample_set16(s, s->l3 + 6,
			     (p->df ? 0x4000u : 0) | (p->more ? 0x2000u : 0) | p->offset / 8);
	}
	sample_end(s);
}

static inline struct frame rig_ready(struct sample *s, unsigned port)
{
	struct macaddr dst = rig_mac(port), src = rig_host_mac(port);

	memcpy(sample_data(s), dst.b, 6);
	memcpy(sample_data(s) + 6, src.b, 6);
	return (struct frame){
		.data = sample_data(s), .len = (uint32_t)s->len, .port = (uint16_t)port};
}

/* Forget what came out before, put the packet in. */
static inline void rig_send(struct rig *r, unsigned port, const struct rig_packet *p)
{
	static struct sample s;
	struct frame f;

	rig_clear(r);
	rig_make(&s, p);
	f = rig_ready(&s, port);
	rig_frame(r, &f);
}

/* An ICMP error from `src` to `dst` that quotes `about`. */
static inline void rig_send_error(struct rig *r, unsigned port, const struct rig_packet *error,
				  const struct rig_packet *about)
{
	static struct sample s, quoted;
	struct frame f;
	bool v6 = strchr(error->src, ':') != NULL;

	rig_clear(r);
	rig_make(&quoted, about);
	sample_eth(&s, -1, v6 ? ETH_IPV6 : ETH_IPV4);
	if (v6)
		sample_ip6(&s, error->proto, error->src, error->dst);
	else
		sample_ip4(&s, error->proto, error->src, error->dst, NULL, 0);
	sample_icmp(&s, error->type, error->code, 0);
	sample_add(&s, sample_data(&quoted) + quoted.l3, quoted.len - quoted.l3);
	sample_end(&s);
	f = rig_ready(&s, port);
	rig_frame(r, &f);
}

static inline void rig_link(struct rig *r, uint16_t port)
{
	engine_set_link(r->engine, port, &r->links[port], r->now_ns, r->actions);
	rig_collect(r);
}

/* The configuration: the two ports with `port_options`, then `rest`. */
static inline char *rig_text(const char *port_options, const char *rest)
{
	size_t size = 1024 + 2 * strlen(port_options) + strlen(rest);
	char *text = malloc(size);

	snprintf(text, size,
		 "port \"inside\" { device = \"i\" addresses = {\"10.1.0.1/16\", "
		 "\"fd00:1::1/64\"} %s }\n"
		 "port \"outside\" { device = \"o\" addresses = {\"192.0.2.1/24\", "
		 "\"2001:db8:2::1/64\"} %s }\n%s",
		 port_options, port_options, rest);
	return text;
}

static inline struct params *rig_params(const char *port_options, const char *rest)
{
	char *text = rig_text(port_options, rest);
	struct params *p = conf_parse("rig", text, stderr, NULL);

	ck_assert_ptr_nonnull(p);
	free(text);
	return p;
}

/* Takes the parameters over. */
static inline struct rig *rig_begin(struct params *params)
{
	struct engine_seed seed = {.boot_id = {1}, .words = {1, 2, 3, 4, 5, 6, 7, 8}};
	struct rig *r = calloc(1, sizeof(*r));

	r->params = params;
	r->now_ns = 1000000000000ULL;
	r->answer = true;
	r->actions = actions_new();
	r->build = build_new();
	r->engine = engine_new(r->params, NULL, &seed, r->now_ns);
	ck_assert_ptr_nonnull(r->engine);
	engine_want_notes(r->engine, UINT32_MAX);
	for (uint16_t port = 0; port < params->n_ports; port++) {
		if (port > OUTSIDE && !params->ports[port].is_stack)
			continue;
		r->links[port] = (struct engine_link){.up = true,
						      .mac = rig_mac(port),
						      .mtu = 1500,
						      .is_ours = true,
						      .has_peer = params->ports[port].is_stack,
						      .peer = rig_host_mac(port)};
		rig_link(r, port);
	}
	return r;
}

static inline struct rig *rig_new(const char *port_options, const char *rest)
{
	return rig_begin(rig_params(port_options, rest));
}

static inline uint64_t rig_counter(const struct rig *r, enum counter c)
{
	return engine_counters(r->engine)[c];
}

static inline uint64_t rig_drops(const struct rig *r, enum drop d)
{
	return engine_drops(r->engine)[d];
}

/* No packet disappears without a reason: frames in = out + held + drops. */
static inline void rig_balance(const struct rig *r)
{
	const uint64_t *c = engine_counters(r->engine), *d = engine_drops(r->engine);
	uint64_t in = c[COUNTER_FRAMES_IN] + c[COUNTER_FRAMES_TUNNEL_IN] + c[COUNTER_FRAMES_MADE];
	uint64_t out = c[COUNTER_FRAMES_OUT] + engine_held(r->engine);

	for (unsigned i = 1; i < DROP_COUNT; i++)
		out += d[i];
	ck_assert_uint_eq(in, out);
}

static inline void rig_free(struct rig *r)
{
	rig_balance(r);
	rig_clear(r);
	engine_free(r->engine);
	conf_free(r->params);
	actions_free(r->actions);
	build_free(r->build);
	free(r);
}

/* Exactly one frame has come out, an intact IP packet; which. */
static inline const struct pkt *rig_only(const struct rig *r, unsigned port)
{
	const struct rig_out *o = &r->out[0];

	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_uint_eq(o->port, port);
	ck_assert_str_eq(drop_name(o->decoded), "none");
	return &o->pkt;
}

#define ck_assert_dropped(r, reason, count)                                                        \
	ck_assert_msg(rig_drops(r, reason) == (count), "%s: %llu, expected %llu",                  \
		      drop_name(reason), (unsigned long long)rig_drops(r, reason),                 \
		      (unsigned long long)(count))

#endif
