#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "engine/engine_priv.h"
#include "packet/build.h"
#include "packet/checksum.h"

#define DATAGRAM_MAX 2048
#define CLIENTS 100
#define SERVERS 16
#define STEP_NS 50000000ULL

static const char key_text[] =
	"1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f active\n";

static void carry_out(struct world *w, unsigned m);

/* --- addresses ------------------------------------------------------------------------------- */

static struct macaddr member_mac(unsigned m, uint16_t port)
{
	return (struct macaddr){{2, 0, 0, (uint8_t)port, 0, (uint8_t)(m + 1)}};
}

static struct macaddr side_mac(uint16_t side)
{
	return (struct macaddr){{2, 0, 0, 0xee, 0, (uint8_t)side}};
}

struct endpoint world_endpoint(unsigned m)
{
	uint8_t a[4] = {10, 9, 0, (uint8_t)(m + 1)};

	return (struct endpoint){.addr = ipaddr_v4(a), .port = 7067};
}

struct pkt_tuple world_tuple(uint32_t i, uint8_t proto)
{
	uint8_t client[4] = {10, 1, 1, (uint8_t)(1 + i % CLIENTS)};
	uint8_t server[4] = {192, 0, 2, (uint8_t)(100 + i % SERVERS)};

	return (struct pkt_tuple){.src = ipaddr_v4(client),
				  .dst = ipaddr_v4(server),
				  .sport = (uint16_t)(1024 + i / CLIENTS % 60000),
				  .dport = (uint16_t)(443 + i / CLIENTS / 60000),
				  .proto = proto};
}

/* --- frames ---------------------------------------------------------------------------------- */

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static void put_sum(uint8_t *at, uint64_t sum)
{
	uint16_t folded = csum_fold(sum);

	memcpy(at, &folded, sizeof(folded));
}

static void put_transport(uint8_t *l4, uint32_t len, const struct pkt_tuple *t,
			  const struct world_tcp *tcp)
{
	uint64_t pseudo = csum_pseudo(&t->src, &t->dst, t->proto, len);

	put16(l4, t->sport);
	put16(l4 + 2, t->dport);
	if (!tcp) {
		put16(l4 + 4, len);
		put_sum(l4 + 6, csum_add(pseudo, l4, len));
		return;
	}
	put32(l4 + 4, tcp->seq);
	put32(l4 + 8, tcp->ack);
	l4[12] = 5 << 4;
	l4[13] = tcp->flags;
	put16(l4 + 14, 8192);
	put_sum(l4 + 16, csum_add(pseudo, l4, len));
}

void world_put(uint8_t *eth, const struct macaddr *dst, const struct macaddr *src,
	       const struct pkt_tuple *t, const struct world_tcp *tcp)
{
	uint8_t *ip = eth + 14;

	memset(eth, 0, WORLD_FRAME);
	memcpy(eth, dst->b, 6);
	memcpy(eth + 6, src->b, 6);
	put16(eth + 12, ETH_IPV4);
	ip[0] = 0x45;
	put16(ip + 2, WORLD_FRAME - 14);
	ip[8] = 64;
	ip[9] = t->proto;
	memcpy(ip + 12, t->src.b + 12, 4);
	memcpy(ip + 16, t->dst.b + 12, 4);
	put_sum(ip + 10, csum_add(0, ip, 20));
	put_transport(ip + 20, WORLD_FRAME - 34, t, tcp);
}

struct pkt_tuple world_answer(const struct pkt_tuple *t)
{
	return (struct pkt_tuple){.src = t->dst,
				  .dst = t->src,
				  .sport = t->dport,
				  .dport = t->sport,
				  .proto = t->proto};
}

void world_frame(struct world *w, unsigned k, unsigned m, const struct pkt_tuple *t, uint16_t side,
		 const struct world_tcp *tcp)
{
	uint8_t *eth = w->bytes + (size_t)k * WORLD_SLOT + FRAME_HEADROOM;
	struct macaddr dst = member_mac(m, side), src = side_mac(side);
	struct pkt_tuple x = side == WORLD_OUTSIDE ? world_answer(t) : *t;

	world_put(eth, &dst, &src, &x, tcp);
	w->frames[k] = (struct frame){.data = eth, .len = WORLD_FRAME, .port = side};
}

/* --- the wire -------------------------------------------------------------------------------- */

static void answer_arp(struct world *w, unsigned m, const struct frame *f)
{
	struct macaddr mine = side_mac(f->port);
	struct build_eth eth = {.dst = member_mac(m, f->port), .src = mine};
	struct frame sent = *f, reply = {.port = f->port};
	struct arp asked, answer;
	uint8_t room[FRAME_HEADROOM + 256];
	struct pkt pkt;

	if (pkt_decode(&pkt, &sent) != DROP_NONE || pkt.kind != PKT_ARP ||
	    arp_parse(&asked, &sent, pkt.l3) != DROP_NONE || asked.op != 1)
		return;
	answer = (struct arp){.op = 2,
			      .sender_mac = mine,
			      .sender_ip = asked.target_ip,
			      .target_mac = asked.sender_mac,
			      .target_ip = asked.sender_ip};
	reply.data = room + FRAME_HEADROOM;
	reply.len = (uint32_t)build_arp(w->build, &eth, &answer, reply.data, 256);
	engine_frames(w->engines[m], &reply, 1, w->now_ns, w->actions);
}

struct mail {
	unsigned from, to;
	bool multicast;
	size_t size;
	uint8_t data[DATAGRAM_MAX];
};

/* Datagrams are copied out first: delivering one makes others. */
static struct mail *collect(struct world *w, unsigned from, unsigned *count)
{
	const struct actions *a = w->actions;
	struct mail *v = malloc(((size_t)a->n_datagrams * w->params.n_members + 1) * sizeof(*v));
	unsigned n = 0;

	if (!v)
		abort();
	for (uint32_t i = 0; i < a->n_datagrams; i++) {
		const struct datagram *d = &a->datagrams[i];
		for (unsigned to = 0; to < w->params.n_members; to++) {
			struct endpoint e = world_endpoint(to);
			if (to == from || d->size > DATAGRAM_MAX ||
			    (!d->multicast && !ipaddr_eq(&d->to.addr, &e.addr)))
				continue;
			v[n] = (struct mail){
				.from = from, .to = to, .multicast = d->multicast, .size = d->size};
			memcpy(v[n++].data, d->data, d->size);
		}
	}
	*count = n;
	return v;
}

static void deliver(struct world *w, struct mail *m)
{
	struct endpoint from = world_endpoint(m->from);

	engine_datagram(w->engines[m->to], m->data, m->size, &from, m->multicast, w->now_ns,
			w->actions);
	carry_out(w, m->to);
}

static void carry_out(struct world *w, unsigned m)
{
	struct mail *v;
	unsigned n;

	/* Answers append what was waiting for them. */
	for (uint32_t i = 0; i < w->actions->n_frames; i++)
		if (w->actions->frames[i].data[0] & 1)
			answer_arp(w, m, &w->actions->frames[i]);
	v = collect(w, m, &n);
	actions_reset(w->actions);
	for (unsigned i = 0; i < n; i++)
		deliver(w, &v[i]);
	free(v);
}

void world_send(struct world *w, unsigned m, unsigned n)
{
	engine_frames(w->engines[m], w->frames, n, w->now_ns, w->actions);
	carry_out(w, m);
}

void world_run(struct world *w, uint64_t ns)
{
	uint64_t until = w->now_ns + ns;

	while (w->now_ns < until) {
		w->now_ns += STEP_NS < until - w->now_ns ? STEP_NS : until - w->now_ns;
		for (unsigned m = 0; m < w->params.n_members; m++) {
			engine_tick(w->engines[m], w->now_ns, w->actions);
			carry_out(w, m);
		}
	}
}

/* --- life ------------------------------------------------------------------------------------ */

static void conf_text(const struct world *w, unsigned m, char *text, size_t size)
{
	const struct world_params *p = &w->params;
	uint32_t flows = p->n_flows < 1024 ? 1024 : p->n_flows;
	int n = snprintf(text, size,
			 "node = \"m%u\"\n"
			 "port \"inside\" { device = \"i\" addresses = {\"10.1.0.%u/16\"} }\n"
			 "port \"outside\" { device = \"o\" addresses = {\"192.0.2.%u/24\"} }\n"
			 "firewall { max-flows = %u max-half-open = %u rule \"out\" { "
			 "action = \"pass\" in = \"inside\" out = \"outside\" } }\n",
			 m, m + 1, m + 1, flows, flows);

	if (p->alone)
		return;
	n += snprintf(text + n, size - (size_t)n,
		      "cluster { id = 1 device = \"c\" transport = \"%s\" forward = \"%s\" "
		      "max-forwards = %u max-queries = 8192 query-rate = 10000000 "
		      "query-burst = 10000000 query-kbytes = 4000000 source-rate = 10000000 "
		      "source-burst = 10000000 negative-ttl = \"1h\" query-timeout = \"100ms\" "
		      "forward-ttl = \"1h\" key-file = \"/none\" }\n",
		      p->unicast ? "unicast" : "multicast", p->tunnel ? "tunnel" : "l2", flows);
	for (unsigned i = 0; i < p->n_members; i++)
		n += snprintf(text + n, size - (size_t)n,
			      "member \"m%u\" { id = %u address = \"10.9.0.%u\" }\n", i, i + 1,
			      i + 1);
}

static void start_member(struct world *w, unsigned m)
{
	struct engine_seed seed;
	struct keyring *keys = NULL;
	char text[4096], err[128];

	conf_text(w, m, text, sizeof(text));
	w->conf[m] = conf_parse("bench", text, stderr, NULL);
	for (unsigned i = 0; i < 8; i++)
		seed.words[i] = (m + 1) * 0x9e3779b97f4a7c15ULL + i;
	memset(seed.boot_id, (int)m + 1, sizeof(seed.boot_id));
	if (!w->params.alone)
		keys = keyring_parse(key_text, sizeof(key_text) - 1, err, sizeof(err));
	w->engines[m] = w->conf[m] ? engine_new(w->conf[m], keys, &seed, w->now_ns) : NULL;
	if (!w->engines[m])
		abort();
	for (uint16_t port = 0; port < 2; port++) {
		struct engine_link link = {
			.up = true, .mac = member_mac(m, port), .mtu = 1500, .is_ours = true};
		engine_set_link(w->engines[m], port, &link, w->now_ns, w->actions);
		actions_reset(w->actions);
	}
}

struct world *world_new(const struct world_params *params)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->params = *params;
	w->now_ns = 1000000000ULL;
	w->actions = actions_new();
	w->build = build_new();
	w->bytes = calloc(WORLD_BATCH, WORLD_SLOT);
	if (!w->actions || !w->build || !w->bytes)
		abort();
	for (unsigned m = 0; m < params->n_members; m++)
		start_member(w, m);
	world_run(w, 2000000000ULL); /* members meet */
	for (unsigned m = 0; !params->alone && m < params->n_members; m++)
		if (channel_n_up(w->engines[m]->channel) != params->n_members - 1)
			abort();
	return w;
}

void world_free(struct world *w)
{
	for (unsigned m = 0; m < w->params.n_members; m++) {
		engine_free(w->engines[m]);
		conf_free(w->conf[m]);
	}
	actions_free(w->actions);
	build_free(w->build);
	free(w->bytes);
	free(w);
}
