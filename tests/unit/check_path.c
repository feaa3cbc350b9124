/*
 * check_path.c - firewalls as a dispatcher sees them: MAC addresses, probes, verdicts.
 *
 * The segment "inside" of the rig is the one with the firewalls fw1 (id 1), fw2 (id 2) and fw3
 * (id 40000); behind each of them stands the other dispatcher.
 *
 * proves: HD-1 HD-3
 */
#include "dispatch/dispatch.h"
#include "packet/checksum.h"
#include "rig.h"

#define PEER4 "10.9.0.254"
#define PEER6 "fd00:9::254"
#define N_FW 3

#define PATHS                                                                                      \
	"path \"fw1\" { id = 1 addresses = {\"10.99.0.1\", \"10.1.0.11\"} weight = 3 }\n"          \
	"path \"fw2\" { id = 2 addresses = {\"10.1.0.12\"} }\n"                                    \
	"path \"fw3\" { id = 40000 addresses = {\"fd00:1::13\"} }\n"
#define OUTER                                                                                      \
	"dispatcher \"outer\" { role = \"outer\" firewall-port = \"inside\" ports = {\"outside\"}"
#define PROBE4 OUTER " probe = \"" PEER4 "\" }\n" PATHS
#define PROBE6 OUTER " probe = \"" PEER6 "\" }\n" PATHS
#define NO_PROBE OUTER " }\n" PATHS

static const char *const fw_address[N_FW] = {"10.1.0.11", "10.1.0.12", "fd00:1::13"};
static const unsigned fw_id[N_FW] = {1, 2, 40000};

/* The firewalls of a test. */
struct world {
	struct rig *r;
	bool dead[N_FW];   /* does not even answer ARP */
	bool blocks[N_FW]; /* lets no probe through */
	bool keep;	   /* the other dispatcher keeps the probes: they are in `kept` */
	uint8_t mac[N_FW]; /* last byte of its address */
	unsigned probes[N_FW];
	uint64_t nonces[N_FW][2]; /* of the last one */
	struct sample kept[N_FW]; /* the replies, as they come back by that firewall */
};

static struct dispatch *dispatch_of(const struct world *w)
{
	return &w->r->engine->dispatch;
}

static struct dispatcher *outer(const struct world *w)
{
	return &dispatch_of(w)->dispatchers[0];
}

static unsigned probe_id(const struct world *w, unsigned fw)
{
	unsigned id = outer(w)->paths[fw].probe_id;

	return id ? id : fw_id[fw];
}

static bool is_up(const struct world *w, unsigned fw)
{
	return outer(w)->path_candidates[fw].up;
}

static struct ipaddr addr(const char *text)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(&a, text), 0);
	return a;
}

static struct macaddr fw_mac(const struct world *w, unsigned fw)
{
	return (struct macaddr){{2, 0xf, 0, 0, 0, w->mac[fw]}};
}

static struct world *world_new(const char *rest)
{
	struct world *w = calloc(1, sizeof(*w));

	w->r = rig_new("", rest);
	w->r->answer = false;
	for (unsigned i = 0; i < N_FW; i++)
		w->mac[i] = (uint8_t)(0x11 + i);
	return w;
}

static void world_free(struct world *w)
{
	rig_free(w->r);
	free(w);
}

/* --- the firewalls' side of the wire -------------------------------------------------------------
 */

static void send_sample(struct world *w, struct sample *s, const struct macaddr *from)
{
	struct frame f = rig_ready(s, INSIDE);

	memcpy(sample_data(s) + 6, from->b, 6);
	rig_frame(w->r, &f);
}

static void fw_neighbour(struct world *w, const struct rig_out *o)
{
	uint8_t room[FRAME_HEADROOM + 256];
	struct frame f = {.data = room + FRAME_HEADROOM}, copy = o->frame;
	struct build_eth eth = {.dst = rig_mac(INSIDE)};
	struct arp arp, reply = {.op = 2};
	struct nd nd, advert = {.type = 136, .has_mac = true, .solicited = true, .override = true};
	struct pkt pkt = o->pkt;

	pkt.frame = &copy;
	for (unsigned i = 0; i < N_FW; i++) {
		struct ipaddr a = addr(fw_address[i]);
		eth.src = reply.sender_mac = advert.mac = fw_mac(w, i);
		f.len = 0;
		if (w->dead[i])
			continue;
		if (pkt.kind == PKT_ARP && arp_parse(&arp, &copy, pkt.l3) == DROP_NONE &&
		    arp.op == 1 && ipaddr_eq(&arp.target_ip, &a)) {
			reply.sender_ip = a;
			reply.target_ip = arp.sender_ip;
			f.len = (uint32_t)build_arp(w->r->build, &eth, &reply, f.data, 256);
		}
		if (pkt.kind == PKT_ND && nd_parse(&nd, &pkt) == DROP_NONE && nd.type == 135 &&
		    ipaddr_eq(&nd.target, &a)) {
			advert.src = advert.target = a;
			advert.dst = nd.src;
			f.len = (uint32_t)build_nd(w->r->build, &eth, &advert, f.data, 256);
		}
		if (f.len)
			rig_frame(w->r, &f);
	}
}

/* The reply to a probe, with `data` instead of its own if that is not NULL. */
static void make_reply(struct sample *s, const struct pkt *probe, const uint8_t *data)
{
	bool v6 = probe->version == 6;

	sample_eth(s, -1, v6 ? ETH_IPV6 : ETH_IPV4);
	if (v6)
		sample_ip6(s, IPPROTO_NUM_ICMP6, PEER6, "fd00:1::1");
	else
		sample_ip4(s, IPPROTO_NUM_ICMP, PEER4, "10.1.0.1", NULL, 0);
	sample_icmp(s, v6 ? 129 : 0, 0, 0);
	sample_add(s, data ? data : probe->frame->data + probe->l4 + 8, 16);
	memcpy(sample_data(s) + s->l4 + 4, probe->frame->data + probe->l4 + 4, 4);
	sample_end(s);
}

static void fw_probe(struct world *w, unsigned fw, const struct rig_out *o)
{
	struct pkt pkt = o->pkt;
	struct frame f = o->frame;
	struct macaddr mac = fw_mac(w, fw);

	pkt.frame = &f;
	w->probes[fw]++;
	memcpy(w->nonces[fw], f.data + pkt.l4 + 8, 16);
	if (w->blocks[fw] || w->dead[fw])
		return;
	make_reply(&w->kept[fw], &pkt, NULL);
	if (!w->keep)
		send_sample(w, &w->kept[fw], &mac);
}

/* A probe as it has to be. */
static void assert_probe(const struct world *w, unsigned fw, const struct rig_out *o)
{
	const uint8_t *icmp = o->frame.data + o->pkt.l4;
	bool v6 = o->pkt.version == 6;
	struct ipaddr src = addr(v6 ? "fd00:1::1" : "10.1.0.1"), dst = addr(v6 ? PEER6 : PEER4);
	struct pkt pkt = o->pkt;
	struct frame f = o->frame;

	pkt.frame = &f;
	ck_assert_uint_eq(o->port, INSIDE);
	ck_assert_uint_eq(pkt.icmp_type, v6 ? 128 : 8);
	ck_assert(ipaddr_eq(&pkt.tuple.src, &src));
	ck_assert(ipaddr_eq(&pkt.tuple.dst, &dst));
	ck_assert_uint_eq(pkt.ip_len, (v6 ? 48 : 28) + 16);
	ck_assert_uint_eq(pkt.ttl, 64);
	ck_assert_uint_ge(sample_get16(icmp + 6), w->probes[fw]);
	ck_assert(csum_l4_ok(&pkt));
	ck_assert(memcmp(icmp + 8, w->nonces[fw], 16) != 0); /* a new one each time */
}

static void react(struct world *w)
{
	struct rig *r = w->r;

	for (unsigned k = 0; k < r->n_out; k++) {
		struct rig_out *o = &r->out[k];
		if (o->decoded != DROP_NONE)
			continue;
		if (o->pkt.kind != PKT_IP) {
			fw_neighbour(w, o);
			continue;
		}
		for (unsigned i = 0; i < N_FW; i++) {
			struct macaddr mac = fw_mac(w, i);
			/* what is for a firewall that has lost its address to another is lost */
			if (!macaddr_eq(&o->pkt.eth_dst, &mac) ||
			    o->pkt.tuple.sport != probe_id(w, i))
				continue;
			assert_probe(w, i, o);
			fw_probe(w, i, o);
		}
	}
}

static void run(struct world *w, uint64_t ms)
{
	uint64_t until = w->r->now_ns + ms * RIG_MS;

	while (w->r->now_ns < until) {
		rig_clear(w->r);
		rig_wait(w->r, 5);
		react(w);
	}
}

/* Time until the verdict is that, in milliseconds. */
static uint64_t run_until(struct world *w, unsigned fw, bool up)
{
	uint64_t start = w->r->now_ns;

	while (is_up(w, fw) != up) {
		run(w, 5);
		ck_assert_uint_le(w->r->now_ns - start, 60000 * RIG_MS);
	}
	return (w->r->now_ns - start) / RIG_MS;
}

static uint16_t who(struct world *w, unsigned last_byte)
{
	struct macaddr mac = {{2, 0xf, 0, 0, 0, (uint8_t)last_byte}};

	return path_by_mac(dispatch_of(w), outer(w), &mac);
}

/* --- where they are ------------------------------------------------------------------------------
 */

START_TEST(ids)
{
	struct world *w = world_new(NO_PROBE);

	ck_assert_uint_eq(path_by_id(w->r->params, 1), 0);
	ck_assert_uint_eq(path_by_id(w->r->params, 40000), 2);
	ck_assert_uint_eq(path_by_id(w->r->params, 3), PARAMS_NONE);
	ck_assert_uint_eq(outer(w)->path_candidates[0].weight, 3);
	ck_assert_uint_eq(outer(w)->path_candidates[2].identity, 40000);
	world_free(w);
}
END_TEST

/* Up until proven otherwise; known by MAC address as soon as they have answered. */
START_TEST(found_by_their_frames)
{
	struct world *w = world_new(_i ? PROBE4 : NO_PROBE);

	for (unsigned i = 0; i < N_FW; i++) {
		ck_assert(is_up(w, i));
		ck_assert_uint_eq(who(w, 0x11 + i), PARAMS_NONE);
	}
	run(w, 10);
	for (unsigned i = 0; i < N_FW; i++) {
		ck_assert_uint_eq(who(w, 0x11 + i), i);
		ck_assert(is_up(w, i));
	}
	ck_assert_uint_eq(who(w, 0x14), PARAMS_NONE);
	ck_assert_uint_eq(who(w, 0), PARAMS_NONE);
	run(w, 60000);
	for (unsigned i = 0; i < N_FW; i++) {
		ck_assert_uint_eq(who(w, 0x11 + i), i);
		ck_assert(is_up(w, i));
	}
	ck_assert_uint_eq(w->r->n_notes[NOTE_PATH_UP] + w->r->n_notes[NOTE_PATH_DOWN], 0);
	world_free(w);
}
END_TEST

START_TEST(address_on_the_segment)
{
	struct world *w = world_new(NO_PROBE "path \"fw4\" { id = 4 addresses = {\"10.1.0.14\"} }");
	struct engine_address host = {.port = INSIDE};
	struct ipaddr a = addr("10.1.0.11"), b = addr("10.99.0.1");
	struct path *p = outer(w)->paths;

	ck_assert(p[0].on_segment);
	ck_assert(ipaddr_eq(&p[0].addr, &a));
	run(w, 10);
	ck_assert_uint_eq(who(w, 0x11), 0);
	/* The kernel's addresses come and go: the first address that is on link counts. */
	ck_assert_int_eq(prefix_parse_host(&host.prefix, "10.99.0.9/24"), 0);
	engine_set_addresses(w->r->engine, &host, 1);
	run(w, 1000);
	ck_assert(ipaddr_eq(&p[0].addr, &b));
	ck_assert_uint_eq(who(w, 0x11), PARAMS_NONE);
	engine_set_addresses(w->r->engine, NULL, 0);
	run(w, 1100);
	ck_assert(ipaddr_eq(&p[0].addr, &a));
	ck_assert_uint_eq(who(w, 0x11), 0);
	world_free(w);
}
END_TEST

/* It is asked once a second, in whatever part of the second it dies; also when answers take a
 * little while. */
START_TEST(silence_is_noticed)
{
	struct world *w = world_new(NO_PROBE);

	rig_wait(w->r, 3); /* from here on they come 3 ms after the question */
	run(w, 2000 + 100 * (unsigned)_i);
	w->dead[0] = true;
	ck_assert_uint_le(run_until(w, 0, false), 2300);
	world_free(w);
}
END_TEST

/* Under overload answers to ARP get lost, while frames go on coming. */
START_TEST(heard_but_not_answering)
{
	struct world *w = world_new(NO_PROBE);
	struct rig_packet p = {.src = "203.0.113.80",
			       .dst = "192.0.2.77",
			       .proto = IPPROTO_NUM_UDP,
			       .sport = 53,
			       .dport = 4000};
	struct macaddr mac = fw_mac(w, 0);

	run(w, 2000);
	w->dead[0] = w->dead[1] = true;
	for (unsigned i = 0; i < 100; i++) {
		static struct sample s;

		rig_make(&s, &p);
		send_sample(w, &s, &mac);
		run(w, 100);
	}
	ck_assert(is_up(w, 0));
	ck_assert(!is_up(w, 1)); /* silent */
	ck_assert_uint_eq(who(w, 0x11), 0);
	ck_assert_uint_lt(run_until(w, 0, false), 3000);
	world_free(w);
}
END_TEST

/* With the same MAC address as another: frames are those of the one that is up. */
START_TEST(mac_taken_over)
{
	struct world *w = world_new(PROBE4);

	run(w, 2000);
	w->blocks[0] = true;
	run_until(w, 0, false);
	ck_assert_uint_eq(who(w, 0x11), 0); /* its last packets are still its own */
	w->dead[0] = true;
	w->mac[1] = w->mac[0];
	run(w, 5000);
	ck_assert_uint_eq(who(w, 0x11), 1);
	ck_assert_uint_eq(who(w, 0x12), PARAMS_NONE);
	ck_assert_uint_eq(who(w, 0x13), 2);
	world_free(w);
}
END_TEST

START_TEST(mac_changes)
{
	struct world *w = world_new(_i ? PROBE4 : NO_PROBE);

	run(w, 2000);
	w->mac[1] = 0x77; /* another box */
	run(w, 3000);
	ck_assert_uint_eq(who(w, 0x77), 1);
	ck_assert_uint_eq(who(w, 0x12), PARAMS_NONE);
	ck_assert_uint_ge(w->r->n_notes[NOTE_PATH_UP] + w->r->n_notes[NOTE_PATH_DOWN], 1);
	run(w, 3000);
	ck_assert(is_up(w, 1));
	world_free(w);
}
END_TEST

/* --- probes --------------------------------------------------------------------------------------
 */

START_TEST(probes_come_back)
{
	struct world *w = world_new(_i ? PROBE6 : PROBE4);

	run(w, 10000);
	for (unsigned i = 0; i < N_FW; i++) {
		ck_assert_uint_ge(w->probes[i], 19);
		ck_assert_uint_le(w->probes[i], 21);
		ck_assert(is_up(w, i));
	}
	ck_assert_uint_eq(rig_counter(w->r, COUNTER_PROBE_SENT),
			  rig_counter(w->r, COUNTER_PROBE_ANSWERED));
	ck_assert_uint_eq(rig_counter(w->r, COUNTER_PROBE_SENT),
			  w->probes[0] + w->probes[1] + w->probes[2]);
	ck_assert_uint_eq(rig_counter(w->r, COUNTER_PROBE_UNEXPECTED), 0);
	ck_assert_dropped(w->r, DROP_PROBE, rig_counter(w->r, COUNTER_PROBE_SENT));
	world_free(w);
}
END_TEST

/* Three misses down, two answers up; the others are none the worse. */
START_TEST(down_and_up)
{
	struct world *w = world_new(PROBE4);
	uint64_t ms;

	run(w, 2100);
	w->blocks[1] = true;
	ms = run_until(w, 1, false);
	ck_assert_uint_ge(ms, 1000 + 250); /* the third probe after now, and its time */
	ck_assert_uint_le(ms, 1500 + 250 + 10);
	ck_assert_uint_eq(w->r->n_notes[NOTE_PATH_DOWN], 1);
	ck_assert(is_up(w, 0));
	ck_assert(is_up(w, 2));
	run(w, 5000);
	ck_assert_uint_eq(w->r->n_notes[NOTE_PATH_DOWN], 1);
	w->blocks[1] = false;
	ms = run_until(w, 1, true);
	ck_assert_uint_ge(ms, 500);
	ck_assert_uint_le(ms, 1000 + 10);
	ck_assert_uint_eq(w->r->n_notes[NOTE_PATH_UP], 1);
	world_free(w);
}
END_TEST

/* A firewall that has handed the flow of the probes to another gets probes of another flow. */
START_TEST(flow_that_is_elsewhere)
{
	struct world *w = world_new(PROBE4);
	unsigned id, before = 0;

	run(w, 2100);
	ck_assert_uint_eq(probe_id(w, 1), fw_id[1]);
	w->blocks[1] = true;
	run_until(w, 1, false);
	for (unsigned k = 0; k < 3; k++) {
		id = probe_id(w, 1);
		ck_assert_uint_ne(id, fw_id[0]);
		ck_assert_uint_ne(id, fw_id[1]);
		ck_assert_uint_ne(id, before);
		ck_assert_uint_lt(id, 0x8000);
		before = id;
		run(w, 1550);
	}
	w->blocks[1] = false;
	run_until(w, 1, true);
	ck_assert_uint_eq(probe_id(w, 0), fw_id[0]);
	world_free(w);
}
END_TEST

/* When probes come back by none, who is behind the firewalls may be gone: they go together, and
 * come together with the first; then each is judged anew. */
START_TEST(all_together)
{
	struct world *w = world_new(PROBE4);
	uint64_t ms;

	run(w, 2100);
	for (unsigned i = 0; i < N_FW; i++)
		w->blocks[i] = true;
	ms = run_until(w, 0, false);
	ck_assert_uint_le(ms, 1500 + 250 + 10);
	ck_assert(!is_up(w, 1) && !is_up(w, 2));
	ck_assert(outer(w)->paths[0].jointly && outer(w)->paths[2].jointly);
	run(w, 5000);
	w->blocks[1] = false;
	run_until(w, 1, true);
	ck_assert(is_up(w, 0) && is_up(w, 2));
	ck_assert_uint_eq(w->r->n_notes[NOTE_PATH_UP], 3);
	ms = run_until(w, 0, false);
	ck_assert_uint_ge(ms, 1000 + 250 - 10);
	run(w, 100);
	ck_assert(is_up(w, 1) && !is_up(w, 2));
	ck_assert(!outer(w)->paths[0].jointly);
	ck_assert_uint_eq(w->r->n_notes[NOTE_PATH_DOWN], 5);
	world_free(w);
}
END_TEST

/* They come back again, by one path first: what the others lost before that is no reason. */
START_TEST(together_and_back)
{
	struct world *w = world_new(PROBE4);

	run(w, 2100);
	for (unsigned i = 0; i < N_FW; i++)
		w->blocks[i] = true;
	while (outer(w)->paths[0].bad < 2)
		run(w, 5);
	w->blocks[1] = false;
	while (outer(w)->paths[0].bad < 3)
		run(w, 5);
	ck_assert_uint_eq(outer(w)->paths[1].bad, 0);
	ck_assert(is_up(w, 0) && is_up(w, 2));
	w->blocks[0] = false;
	run_until(w, 2, false); /* the next one was sent after that */
	ck_assert_uint_eq(outer(w)->paths[2].bad, 4);
	ck_assert(is_up(w, 0));
	ck_assert_uint_eq(w->r->n_notes[NOTE_PATH_DOWN], 1);
	world_free(w);
}
END_TEST

/* Probes are given up by a reload while all are down: what ARP then says counts for each alone. */
START_TEST(together_no_longer)
{
	struct world *w = world_new(PROBE4);
	struct params *old = w->r->params;

	run(w, 2100);
	for (unsigned i = 0; i < N_FW; i++)
		w->blocks[i] = true;
	run_until(w, 0, false);
	ck_assert(outer(w)->paths[0].jointly);
	w->r->params = rig_params("", NO_PROBE);
	ck_assert_int_eq(
		engine_reload(w->r->engine, w->r->params, NULL, w->r->now_ns, w->r->actions), 0);
	conf_free(old);
	rig_collect(w->r);
	run(w, 3000);
	for (unsigned i = 0; i < N_FW; i++)
		ck_assert(is_up(w, i) && !outer(w)->paths[i].jointly);
	world_free(w);
}
END_TEST

/* One lost probe now and then is no verdict, one answer in between no recovery. */
START_TEST(in_a_row)
{
	struct world *w = world_new(PROBE4);

	run(w, 2100);
	for (unsigned k = 0; k < 10; k++) {
		w->blocks[0] = true;
		run(w, 1000);
		w->blocks[0] = false;
		run(w, 500);
		ck_assert(is_up(w, 0));
	}
	w->blocks[0] = true;
	run_until(w, 0, false);
	for (unsigned k = 0; k < 10; k++) {
		w->blocks[0] = false;
		run(w, 500);
		w->blocks[0] = true;
		run(w, 500);
		ck_assert(!is_up(w, 0));
	}
	world_free(w);
}
END_TEST

START_TEST(dead_firewall)
{
	struct world *w = world_new(PROBE4);

	run(w, 2000);
	w->dead[2] = true;
	ck_assert_uint_le(run_until(w, 2, false), 1760);
	run(w, 10000);
	ck_assert(!is_up(w, 2));
	w->dead[2] = false;
	ck_assert_uint_le(run_until(w, 2, true), 4000);
	world_free(w);
}
END_TEST

START_TEST(port_down)
{
	struct world *w = world_new(PROBE4);

	run(w, 2000);
	w->r->links[INSIDE].up = false;
	rig_link(w->r, INSIDE);
	run(w, 2000);
	for (unsigned i = 0; i < N_FW; i++)
		ck_assert(!is_up(w, i));
	w->r->links[INSIDE].up = true;
	rig_link(w->r, INSIDE);
	run(w, 2000);
	for (unsigned i = 0; i < N_FW; i++)
		ck_assert(is_up(w, i));
	world_free(w);
}
END_TEST

/* Flows of a firewall that has gone down are looked at, from the first. */
START_TEST(flows_are_looked_at)
{
	struct world *w = world_new(PROBE4);
	struct dispatch *d = dispatch_of(w);
	unsigned looked = 0;

	run(w, 2000);
	w->blocks[1] = true;
	while (is_up(w, 1)) {
		d->sweeping = false;
		d->sweep_pos = 77;
		w->r->now_ns += 5 * RIG_MS;
		node_begin(&w->r->engine->node, w->r->now_ns, w->r->actions);
		path_tick(d);
		looked += d->sweeping;
		ck_assert_uint_eq(d->sweep_pos, d->sweeping ? 0 : 77);
		rig_clear(w->r);
		rig_collect(w->r);
		react(w);
	}
	ck_assert_uint_eq(looked, 1);
	world_free(w);
}
END_TEST

/* --- what is no answer ---------------------------------------------------------------------------
 */

enum wrong { WRONG_PATH, WRONG_NONCE, LATE, TWICE, CUT, STRANGER, WRONG_COUNT };

START_TEST(no_answer)
{
	struct world *w = world_new(PROBE4);
	struct macaddr fw1 = fw_mac(w, 0), fw2 = fw_mac(w, 1);
	struct macaddr stranger = {{2, 0xf, 9, 9, 9, 9}};
	uint64_t before, dropped;
	bool counts = _i != TWICE;

	run(w, 2000);
	w->keep = true;
	for (unsigned n = w->probes[0]; w->probes[0] == n;)
		run(w, 5);
	before = rig_counter(w->r, COUNTER_PROBE_ANSWERED);
	dropped = rig_drops(w->r, DROP_PROBE);
	if (_i == LATE)
		run(w, 260);
	if (_i == WRONG_NONCE)
		sample_data(&w->kept[0])[w->kept[0].l4 + 8 + 15] ^= 1;
	if (_i == WRONG_NONCE)
		sample_end(&w->kept[0]);
	if (_i == CUT) {
		w->kept[0].len -= 1;
		sample_end(&w->kept[0]);
	}
	if (_i == TWICE)
		send_sample(w, &w->kept[0], &fw1);
	send_sample(w, &w->kept[0], _i == WRONG_PATH ? &fw2 : _i == STRANGER ? &stranger : &fw1);
	ck_assert_uint_eq(rig_counter(w->r, COUNTER_PROBE_UNEXPECTED), 1);
	ck_assert_uint_eq(rig_counter(w->r, COUNTER_PROBE_ANSWERED), before + !counts);
	ck_assert_uint_eq(rig_drops(w->r, DROP_PROBE), dropped + 1 + !counts);
	world_free(w);
}
END_TEST

/* --- the other dispatcher's probes ---------------------------------------------------------------
 */

static void send_request(struct world *w, const char *from, const struct macaddr *mac)
{
	struct rig_packet p = {.src = from,
			       .dst = "10.1.0.1",
			       .proto = IPPROTO_NUM_ICMP,
			       .type = 8,
			       .sport = 7,
			       .len = 16};
	static struct sample s;

	rig_clear(w->r);
	rig_make(&s, &p);
	send_sample(w, &s, mac);
}

/* Back by the firewall that each came through, however many strangers ping. */
START_TEST(requests_are_answered)
{
	struct world *w = world_new(PROBE4 "firewall { originate-rate = 1 }\n");
	struct macaddr stranger = {{2, 0xf, 9, 9, 9, 9}};

	run(w, 10);
	for (unsigned k = 0; k < 20; k++) {
		struct macaddr mac = fw_mac(w, k % 2);
		send_request(w, PEER4, &mac);
		ck_assert_uint_eq(rig_only(w->r, INSIDE)->icmp_type, 0);
		ck_assert(macaddr_eq(&w->r->out[0].pkt.eth_dst, &mac));
	}
	for (unsigned k = 0; k < 20; k++) { /* not the peer; or not by a firewall */
		struct macaddr mac = fw_mac(w, 0);
		send_request(w, k % 2 ? PEER4 : "10.1.0.77", k % 2 ? &stranger : &mac);
		ck_assert_uint_eq(w->r->n_out, k == 0);
	}
	ck_assert_uint_eq(rig_counter(w->r, COUNTER_PROBE_UNEXPECTED), 0);
	rig_clear(w->r);
	world_free(w);
}
END_TEST

/* --- without probes ------------------------------------------------------------------------------
 */

START_TEST(arp_decides)
{
	struct world *w = world_new(NO_PROBE);
	unsigned fw = _i ? 2 : 0;

	run(w, 5000);
	ck_assert_uint_eq(rig_counter(w->r, COUNTER_PROBE_SENT), 0);
	w->dead[fw] = true;
	ck_assert_uint_le(run_until(w, fw, false), 3000);
	ck_assert_uint_eq(w->r->n_notes[NOTE_PATH_DOWN], 1);
	run(w, 10000);
	ck_assert_uint_eq(w->r->n_notes[NOTE_PATH_DOWN], 1);
	ck_assert(!is_up(w, fw));
	ck_assert(is_up(w, 1));
	w->dead[fw] = false;
	ck_assert_uint_le(run_until(w, fw, true), 3000);
	world_free(w);
}
END_TEST

/* Never there: down when nobody has answered. */
START_TEST(never_there)
{
	struct world *w = world_new(_i ? PROBE4 : NO_PROBE);

	w->dead[1] = true;
	run(w, 10000);
	ck_assert(is_up(w, 0));
	ck_assert(!is_up(w, 1));
	world_free(w);
}
END_TEST

START_TEST(packets_per_second)
{
	struct world *w = world_new(NO_PROBE);

	run(w, 10);
	for (unsigned k = 0; k < 30; k++) {
		outer(w)->paths[0].to.packets += 100;
		outer(w)->paths[0].from.packets += 50;
		run(w, 100);
	}
	ck_assert_uint_ge(outer(w)->path_candidates[0].rate, 1350);
	ck_assert_uint_le(outer(w)->path_candidates[0].rate, 1650);
	ck_assert_uint_eq(outer(w)->path_candidates[1].rate, 0);
	run(w, 2500);
	ck_assert_uint_eq(outer(w)->path_candidates[0].rate, 0);
	world_free(w);
}
END_TEST

/* What is known of a firewall outlives a reload; a new one counts as up. */
START_TEST(reload)
{
	struct world *w = world_new(PROBE4);
	struct params *old = w->r->params;

	run(w, 2000);
	w->blocks[1] = true;
	run_until(w, 1, false);
	w->r->params =
		rig_params("", OUTER " probe = \"" PEER4 "\" }\n"
				     "path \"fw0\" { id = 9 addresses = {\"10.1.0.19\"} }\n" PATHS);
	ck_assert_int_eq(
		engine_reload(w->r->engine, w->r->params, NULL, w->r->now_ns, w->r->actions), 0);
	conf_free(old);
	rig_collect(w->r);
	ck_assert(is_up(w, 0));
	ck_assert(is_up(w, 1));
	ck_assert(!is_up(w, 2));
	ck_assert(is_up(w, 3));
	ck_assert_uint_eq(who(w, 0x11), 1);
	ck_assert_uint_eq(who(w, 0x12), 2);
	world_free(w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("path");
	TCase *t = tcase_create("path");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, ids);
	tcase_add_loop_test(t, found_by_their_frames, 0, 2);
	tcase_add_test(t, address_on_the_segment);
	tcase_add_loop_test(t, silence_is_noticed, 0, 20);
	tcase_add_test(t, heard_but_not_answering);
	tcase_add_test(t, mac_taken_over);
	tcase_add_loop_test(t, mac_changes, 0, 2);
	tcase_add_loop_test(t, probes_come_back, 0, 2);
	tcase_add_test(t, down_and_up);
	tcase_add_test(t, flow_that_is_elsewhere);
	tcase_add_test(t, all_together);
	tcase_add_test(t, together_and_back);
	tcase_add_test(t, together_no_longer);
	tcase_add_test(t, in_a_row);
	tcase_add_test(t, dead_firewall);
	tcase_add_test(t, port_down);
	tcase_add_test(t, flows_are_looked_at);
	tcase_add_loop_test(t, no_answer, 0, WRONG_COUNT);
	tcase_add_test(t, requests_are_answered);
	tcase_add_loop_test(t, arp_decides, 0, 2);
	tcase_add_loop_test(t, never_there, 0, 2);
	tcase_add_test(t, packets_per_second);
	tcase_add_test(t, reload);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
