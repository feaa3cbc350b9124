/*
 * check_announce.c - an address is probed before it is answered for, left to whoever has it,
 * announced, and defended (RFC 5227, RFC 4862).
 *
 * proves: HD-1 HD-22
 */
#include "rig.h"

#define PASS "firewall { rule \"all\" { action = \"pass\" } }\n"
#define V4 "10.1.0.1"
#define V6 "fd00:1::1"

static const struct macaddr stranger = {{2, 9, 9, 9, 9, 9}};
static const struct macaddr everybody = {{255, 255, 255, 255, 255, 255}};
static const char *const own[] = {V4, V6};
static const char *const asker[] = {"10.1.0.9", "fd00:1::9"};

static struct ipaddr addr(const char *text)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(&a, text), 0);
	return a;
}

/* A rig where other hosts may have our addresses; they do not answer by themselves. Its links are
 * still down. */
static struct rig *shared(void)
{
	struct rig *r = rig_new("", PASS);

	r->answer = false;
	for (uint16_t port = 0; port < 2; port++) {
		r->links[port].is_ours = r->links[port].up = false;
		rig_link(r, port);
	}
	rig_clear(r);
	return r;
}

static void up(struct rig *r)
{
	r->links[INSIDE].up = true;
	rig_link(r, INSIDE);
}

/* --- what comes out ------------------------------------------------------------------------------
 */

enum said { OTHER, PROBE, ANNOUNCEMENT, ANSWER, REQUEST };

/* What a frame says of `about`. */
static enum said said(const struct rig_out *o, const char *about)
{
	struct ipaddr want = addr(about);
	struct frame f = o->frame;
	struct pkt pkt = o->pkt;
	struct arp arp;
	struct nd nd;

	pkt.frame = &f;
	if (o->decoded != DROP_NONE || pkt.kind == PKT_IP)
		return OTHER;
	if (pkt.kind == PKT_ARP) {
		if (arp_parse(&arp, &f, pkt.l3) != DROP_NONE)
			return OTHER;
		if (arp.op == 2)
			return ipaddr_eq(&arp.sender_ip, &want) ? ANSWER : OTHER;
		if (!ipaddr_eq(&arp.target_ip, &want))
			return OTHER;
		if (ipaddr_is_unspecified(&arp.sender_ip))
			return macaddr_eq(&pkt.eth_dst, &everybody) ? PROBE : OTHER;
		return ipaddr_eq(&arp.sender_ip, &want) ? ANNOUNCEMENT : REQUEST;
	}
	if (nd_parse(&nd, &pkt) != DROP_NONE || !ipaddr_eq(&nd.target, &want))
		return OTHER;
	if (nd.type == 135)
		return ipaddr_is_unspecified(&nd.src) ? PROBE : REQUEST;
	return nd.solicited || !ipaddr_is_multicast(&nd.dst) ? ANSWER : ANNOUNCEMENT;
}

static unsigned count(const struct rig *r, enum said what, const char *about)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_out; i++)
		n += said(&r->out[i], about) == what;
	return n;
}

/* --- what other hosts say ------------------------------------------------------------------------
 */

static void send_arp(struct rig *r, unsigned op, const struct macaddr *mac, const char *from,
		     const char *target)
{
	uint8_t room[FRAME_HEADROOM + 256];
	struct build_eth eth = {.dst = op == 1 ? everybody : rig_mac(INSIDE), .src = *mac};
	struct arp arp = {.op = (uint16_t)op, .sender_mac = *mac};
	struct frame f = {.data = room + FRAME_HEADROOM};

	arp.sender_ip = addr(from);
	arp.target_ip = addr(target);
	f.len = (uint32_t)build_arp(r->build, &eth, &arp, f.data, 256);
	rig_frame(r, &f);
}

static void send_nd(struct rig *r, const struct build_eth *eth, const struct nd *nd)
{
	uint8_t room[FRAME_HEADROOM + 256];
	struct frame f = {.data = room + FRAME_HEADROOM};

	f.len = (uint32_t)build_nd(r->build, eth, nd, f.data, 256);
	rig_frame(r, &f);
}

static void send_solicitation(struct rig *r, const struct macaddr *mac, const char *from,
			      const char *target)
{
	struct build_eth eth = {.dst = {{0x33, 0x33, 0xff, 0, 0, 1}}, .src = *mac};
	struct nd nd = {.type = 135, .dst = addr("ff02::1:ff00:1"), .mac = *mac};

	nd.src = addr(from);
	nd.target = addr(target);
	nd.has_mac = !ipaddr_is_unspecified(&nd.src);
	send_nd(r, &eth, &nd);
}

/* "That address is mine", in the way that an answer to a probe has. */
static void claim(struct rig *r, int v6, const struct macaddr *mac)
{
	struct build_eth eth = {.dst = {{0x33, 0x33, 0, 0, 0, 1}}, .src = *mac};
	struct nd nd = {.type = 136, .has_mac = true, .mac = *mac, .override = true};

	if (!v6) {
		send_arp(r, 2, mac, V4, "0.0.0.0");
		return;
	}
	nd.src = nd.target = addr(V6);
	nd.dst = addr("ff02::1");
	send_nd(r, &eth, &nd);
}

static void probe(struct rig *r, int v6, const struct macaddr *mac)
{
	if (v6)
		send_solicitation(r, mac, "::", V6);
	else
		send_arp(r, 1, mac, "0.0.0.0", V4);
}

/* Whether the daemon answers somebody who asks for the address. */
static bool answered(struct rig *r, int v6)
{
	struct macaddr host = rig_host_mac(INSIDE);

	rig_clear(r);
	if (v6)
		send_solicitation(r, &host, asker[1], V6);
	else
		send_arp(r, 1, &host, asker[0], V4);
	return count(r, ANSWER, own[v6]) == 1;
}

static void assert_state(const struct rig *r, const char *text, bool probing, bool taken)
{
	const struct node *n = &r->engine->node;
	struct ipaddr a = addr(text);

	for (size_t i = 0; i < n->n_addresses; i++) {
		const struct node_address *v = &n->addresses[i];
		if (!v->is_virtual || !ipaddr_eq(&v->prefix.addr, &a))
			continue;
		ck_assert_int_eq(v->is_probing, probing);
		ck_assert_int_eq(v->is_taken, taken);
		return;
	}
	ck_abort_msg("%s is not there", text);
}

/* --- nobody has it -------------------------------------------------------------------------------
 */

START_TEST(probed_then_announced)
{
	struct rig *r = shared();
	uint64_t start = r->now_ns;

	up(r);
	for (unsigned i = 0; i < 3; i++) {
		rig_clear(r);
		rig_tick(r, start + i * 200 * RIG_MS);
		ck_assert_uint_eq(r->n_out, 2);
		ck_assert_uint_eq(count(r, PROBE, V4), 1);
		ck_assert_uint_eq(count(r, PROBE, V6), 1);
		ck_assert(!answered(r, _i));
	}
	rig_tick(r, start + 599 * RIG_MS);
	ck_assert(!answered(r, _i));
	rig_tick(r, start + 600 * RIG_MS);
	for (unsigned i = 0; i < 3; i++) {
		rig_clear(r);
		rig_tick(r, start + (600 + i * 1000) * RIG_MS);
		ck_assert_uint_eq(r->n_out, i ? 2 : 0);
		ck_assert(answered(r, _i));
	}
	rig_clear(r);
	rig_wait(r, 60000); /* and never again */
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert_uint_eq(r->n_notes[NOTE_ADDRESS_TAKEN], 0);
	rig_free(r);
}
END_TEST

START_TEST(announcements_say_where)
{
	struct rig *r = shared();
	struct macaddr mac = rig_mac(INSIDE);

	up(r);
	rig_wait(r, 599);
	rig_clear(r);
	rig_wait(r, 1);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, V4), 1);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, V6), 1);
	for (unsigned i = 0; i < r->n_out; i++) {
		struct pkt *pkt = &r->out[i].pkt;
		struct arp arp;
		struct nd nd;

		pkt->frame = &r->out[i].frame;
		ck_assert(macaddr_eq(&pkt->eth_src, &mac));
		ck_assert(pkt->eth_dst.b[0] & 1);
		if (pkt->kind == PKT_ARP) {
			ck_assert_int_eq(arp_parse(&arp, pkt->frame, pkt->l3), DROP_NONE);
			ck_assert(macaddr_eq(&arp.sender_mac, &mac));
			continue;
		}
		ck_assert_int_eq(nd_parse(&nd, pkt), DROP_NONE);
		ck_assert(nd.has_mac && macaddr_eq(&nd.mac, &mac));
		ck_assert(nd.override && nd.router && !nd.solicited);
	}
	rig_free(r);
}
END_TEST

/* A request from an address that may be another's would spoil caches. */
START_TEST(no_word_from_an_address_being_probed)
{
	struct rig *r = shared();
	struct rig_packet p = {.src = "192.0.2.9",
			       .dst = "10.1.0.9",
			       .proto = IPPROTO_NUM_UDP,
			       .sport = 1000,
			       .dport = 53};

	up(r);
	r->links[OUTSIDE].up = true;
	rig_link(r, OUTSIDE);
	rig_send(r, OUTSIDE, &p);
	ck_assert_uint_eq(engine_held(r->engine), 1);
	rig_wait(r, 599);
	ck_assert_uint_eq(count(r, REQUEST, p.dst), 0);
	rig_wait(r, 100); /* the neighbour is asked as soon as that is allowed */
	ck_assert_uint_eq(count(r, REQUEST, p.dst), 1);
	ck_assert_uint_eq(engine_held(r->engine), 1);
	p.ttl = 1;
	rig_send(r, OUTSIDE, &p);
	rig_wait(r, 5000);
	rig_free(r);
}
END_TEST

START_TEST(captures_and_simulations_are_not_probed)
{
	struct rig *r = shared();

	r->links[INSIDE].is_capture = _i;
	r->links[INSIDE].is_ours = !_i;
	up(r);
	rig_wait(r, 5000);
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert(answered(r, 0));
	ck_assert(answered(r, 1));
	rig_clear(r);
	claim(r, 0, &stranger);
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert(answered(r, 0));
	rig_free(r);
}
END_TEST

/* --- another host has it -------------------------------------------------------------------------
 */

START_TEST(taken)
{
	struct rig *r = shared();

	up(r);
	rig_wait(r, (uint64_t)_i / 2 * 200); /* after the first, second, third probe */
	claim(r, _i % 2, &stranger);
	assert_state(r, own[_i % 2], false, true);
	assert_state(r, own[1 - _i % 2], true, false);
	ck_assert_uint_eq(r->n_notes[NOTE_ADDRESS_TAKEN], 1);
	rig_wait(r, 1000);
	rig_clear(r);
	rig_wait(r, 5000);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, own[_i % 2]), 0);
	ck_assert(!answered(r, _i % 2));
	ck_assert(!answered(r, _i % 2));
	ck_assert(answered(r, 1 - _i % 2)); /* the others are none the worse */
	ck_assert_uint_eq(rig_counter(r, COUNTER_ADDRESS_TAKEN), 2);
	ck_assert_uint_eq(rig_counter(r, COUNTER_ADDRESS_CLAIMED), 0);
	claim(r, _i % 2, &stranger); /* it says so again: nothing new */
	ck_assert_uint_eq(r->n_notes[NOTE_ADDRESS_TAKEN], 1);
	rig_free(r);
}
END_TEST

/* Tried again every ten seconds; said once; free at last. */
START_TEST(taken_until_free)
{
	struct rig *r = shared();
	unsigned probes = 0;

	up(r);
	rig_wait(r, 0);
	claim(r, _i, &stranger);
	for (unsigned s = 0; s < 50; s++) {
		rig_clear(r);
		for (unsigned k = 0; k < 10; k++) {
			unsigned before = count(r, PROBE, own[_i]);
			rig_wait(r, 100);
			if (count(r, PROBE, own[_i]) == before)
				continue;
			probes++;
			claim(r, _i, &stranger);
		}
	}
	ck_assert_uint_ge(probes, 4);
	ck_assert_uint_le(probes, 5);
	ck_assert_uint_eq(r->n_notes[NOTE_ADDRESS_TAKEN], 1);
	ck_assert(!answered(r, _i));
	rig_clear(r);
	rig_wait(r, 15000); /* the other has gone */
	ck_assert_uint_eq(count(r, PROBE, own[_i]), 3);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, own[_i]), 3);
	ck_assert(answered(r, _i));
	assert_state(r, own[_i], false, false);
	ck_assert_uint_eq(r->n_notes[NOTE_ADDRESS_TAKEN], 2); /* "free again" */
	rig_free(r);
}
END_TEST

/* Packets of the host that has it are no forgeries, and those to it are for that host. */
START_TEST(taken_is_not_own)
{
	struct rig *r = shared();
	struct rig_packet p = {.src = V4,
			       .dst = "192.0.2.9",
			       .proto = IPPROTO_NUM_UDP,
			       .sport = 1000,
			       .dport = 53};

	r->links[OUTSIDE].up = r->links[OUTSIDE].is_ours = true;
	rig_link(r, OUTSIDE);
	up(r);
	rig_send(r, INSIDE, &p);
	ck_assert_dropped(r, DROP_SPOOFED, 1);
	claim(r, 0, &stranger);
	rig_wait(r, 1000);
	r->answer = true;
	rig_send(r, INSIDE, &p);
	rig_only(r, OUTSIDE);
	ck_assert_dropped(r, DROP_SPOOFED, 1);
	r->answer = false; /* nor is anybody asked from it */
	p.src = "192.0.2.9";
	p.dst = "10.1.0.9";
	rig_send(r, OUTSIDE, &p);
	rig_wait(r, 2000);
	ck_assert_uint_eq(count(r, REQUEST, p.dst), 0);
	ck_assert_dropped(r, DROP_NEIGHBOUR_FAILED, 1);
	rig_free(r);
}
END_TEST

START_TEST(our_own_answer_is_no_conflict)
{
	struct rig *r = shared();
	struct macaddr mac = rig_mac(OUTSIDE); /* our other port, on the same segment */

	up(r);
	rig_wait(r, 200);
	claim(r, _i, &mac);
	assert_state(r, own[_i], true, false);
	rig_wait(r, 400);
	ck_assert(answered(r, _i));
	rig_free(r);
}
END_TEST

/* Two that want the same address at the same time: neither takes it (RFC 5227 section 2.1.1). */
START_TEST(probe_of_another)
{
	struct rig *r = shared();
	struct macaddr host = rig_host_mac(INSIDE);

	up(r);
	rig_wait(r, 200);
	probe(r, _i, &host);
	assert_state(r, own[_i], false, true);
	rig_wait(r, 20000);
	ck_assert(answered(r, _i));
	rig_clear(r);
	probe(r, _i, &host); /* now it is ours: told so */
	ck_assert_uint_eq(r->n_out, 1);
	ck_assert_uint_eq(rig_counter(r, COUNTER_ADDRESS_CLAIMED), 0);
	rig_free(r);
}
END_TEST

/* --- held ----------------------------------------------------------------------------------------
 */

START_TEST(defended_once_in_ten_seconds)
{
	struct rig *r = shared();

	up(r);
	rig_wait(r, 5000);
	for (unsigned i = 1; i <= 3; i++) {
		rig_clear(r);
		for (unsigned k = 0; k < 100; k++) {
			claim(r, _i, &stranger);
			rig_wait(r, 99);
		}
		ck_assert_uint_eq(count(r, ANNOUNCEMENT, own[_i]), 1);
		ck_assert_uint_eq(rig_counter(r, COUNTER_ADDRESS_CLAIMED), 100 * i);
		ck_assert_uint_eq(r->n_notes[NOTE_ADDRESS_TAKEN], i);
		ck_assert(answered(r, _i));
		rig_wait(r, 100);
	}
	rig_free(r);
}
END_TEST

START_TEST(announced_on_demand)
{
	struct rig *r = shared();
	struct node *n = &r->engine->node;

	up(r);
	rig_wait(r, 5000);
	rig_clear(r);
	node_begin(n, r->now_ns, r->actions);
	node_announce(n, INSIDE);
	node_announce(n, OUTSIDE); /* down */
	rig_collect(r);
	ck_assert_uint_eq(r->n_out, 2);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, V4), 1);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, V6), 1);
	rig_wait(r, 5000);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, V4), 3);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, V6), 3);
	r->links[INSIDE].mac.b[4] = 7; /* the device has another MAC address */
	rig_clear(r);
	rig_link(r, INSIDE);
	rig_wait(r, 0);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, V4), 1);
	ck_assert_uint_eq(r->out[0].pkt.eth_src.b[4], 7);
	rig_free(r);
}
END_TEST

START_TEST(probed_again_when_the_link_was_away)
{
	struct rig *r = shared();

	up(r);
	rig_wait(r, 5000);
	r->links[INSIDE].up = false;
	rig_link(r, INSIDE);
	rig_clear(r);
	rig_wait(r, 5000);
	ck_assert_uint_eq(r->n_out, 0);
	up(r);
	rig_wait(r, 0);
	ck_assert_uint_eq(count(r, PROBE, V4), 1);
	ck_assert(!answered(r, 0));
	rig_wait(r, 600);
	ck_assert(answered(r, 0));
	rig_free(r);
}
END_TEST

/* --- the configuration changes, the host's addresses change -------------------------------------
 */

static void reload(struct rig *r, const char *options, const char *rest)
{
	struct params *old = r->params;

	r->params = rig_params(options, rest);
	ck_assert_int_eq(engine_reload(r->engine, r->params, NULL, r->now_ns, r->actions), 0);
	conf_free(old);
	rig_collect(r);
}

START_TEST(only_new_addresses_are_probed)
{
	struct rig *r = shared();
	struct engine_address host = {.port = INSIDE};

	up(r);
	rig_wait(r, 1);
	claim(r, 1, &stranger);
	rig_wait(r, 5000);
	rig_clear(r);
	reload(r, "answer-for = {\"203.0.113.7\"}", PASS);
	ck_assert_int_eq(prefix_parse_host(&host.prefix, "10.1.0.2/16"), 0);
	engine_set_addresses(r->engine, &host, 1);
	ck_assert(answered(r, 0));
	assert_state(r, V6, false, true); /* still somebody else's */
	rig_clear(r);
	rig_wait(r, 3000);
	ck_assert_uint_eq(count(r, PROBE, "203.0.113.7"), 3);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, "203.0.113.7"), 3);
	ck_assert_uint_eq(count(r, PROBE, V4) + count(r, ANNOUNCEMENT, V4), 0);
	reload(r, "", PASS);
	rig_clear(r);
	rig_wait(r, 3000);
	ck_assert_uint_eq(count(r, ANNOUNCEMENT, "203.0.113.7"), 0);
	rig_free(r);
}
END_TEST

/* --- addresses of a dispatcher that several nodes may play -------------------------------------
 */

static void roles(struct rig *r, uint32_t elected, uint32_t silent)
{
	node_begin(&r->engine->node, r->now_ns, r->actions);
	node_set_roles(&r->engine->node, elected, silent, silent);
	rig_tick(r, r->now_ns);
}

/* proves: HD-19 */
/* Not probed, and silent while another plays it. */
START_TEST(silent_while_another_has_it)
{
	struct rig *r = shared();

	roles(r, 1, 1);
	up(r);
	rig_clear(r);
	rig_wait(r, 20000);
	ck_assert_uint_eq(r->n_out, 0);
	ck_assert(!answered(r, _i));
	ck_assert(!node_source(&r->engine->node, INSIDE, &(struct ipaddr){.b = {0}}));
	rig_free(r);
}
END_TEST

/* proves: HD-19 */
/* At once, twice more at 20 ms, at 1 s and 2 s, at 7 s, and then each minute. */
START_TEST(announced_when_it_comes_here)
{
	static const unsigned at_ms[] = {0, 20, 40, 1040, 2040, 7040, 67040, 127040};
	struct rig *r = shared();
	uint64_t start;

	roles(r, 1, 1);
	up(r);
	rig_clear(r);
	start = r->now_ns;
	roles(r, 1, 0);
	ck_assert(answered(r, _i));
	for (unsigned i = 0; i < sizeof(at_ms) / sizeof(at_ms[0]); i++) {
		if (i > 0) {
			rig_clear(r);
			rig_tick(r, start + at_ms[i] * RIG_MS - 1);
			ck_assert_uint_eq(count(r, ANNOUNCEMENT, own[_i]), 0);
			rig_tick(r, start + at_ms[i] * RIG_MS);
			ck_assert_msg(count(r, ANNOUNCEMENT, own[_i]) == 1, "at %u ms", at_ms[i]);
		}
	}
	rig_clear(r);
	roles(r, 1, 1); /* and gone again */
	ck_assert(!answered(r, _i));
	rig_clear(r);
	rig_wait(r, 130000);
	ck_assert_uint_eq(r->n_out, 0);
	rig_free(r);
}
END_TEST

/* --- addresses that are answered for, but lie behind this node -----------------------------------
 */

START_TEST(passed_addresses_are_not_own)
{
	struct rig *r = rig_new("", "route \"203.0.113.0/24\" { via = \"192.0.2.77\" port = "
				    "\"outside\" }\n" PASS);
	struct macaddr host = rig_host_mac(INSIDE);
	struct rig_packet p = {.src = "10.1.0.9",
			       .dst = "203.0.113.7",
			       .proto = IPPROTO_NUM_UDP,
			       .sport = 1000,
			       .dport = 53};
	struct ipaddr a = addr("203.0.113.7");

	reload(r, "answer-for = {\"203.0.113.7\"}",
	       "route \"203.0.113.0/24\" { via = \"192.0.2.77\" port = \"outside\" }\n" PASS);
	rig_clear(r);
	send_arp(r, 1, &host, "10.1.0.9", "203.0.113.7");
	ck_assert_uint_eq(count(r, ANSWER, "203.0.113.7"), 1);
	rig_send(r, INSIDE, &p); /* to it: on, by the route */
	rig_only(r, OUTSIDE);
	ck_assert_uint_eq(node_route_port(&r->engine->node, &a), OUTSIDE);
	ck_assert_ptr_null(node_address_find(&r->engine->node, &a));
	p.src = "203.0.113.7"; /* from it */
	p.dst = "10.1.0.9";
	rig_send(r, OUTSIDE, &p);
	rig_only(r, INSIDE);
	ck_assert_dropped(r, DROP_SPOOFED, 0);
	ck_assert_dropped(r, DROP_TO_HOST, 0);
	rig_free(r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("announce");
	TCase *t = tcase_create("announce");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, probed_then_announced, 0, 2);
	tcase_add_loop_test(t, silent_while_another_has_it, 0, 2);
	tcase_add_loop_test(t, announced_when_it_comes_here, 0, 2);
	tcase_add_test(t, announcements_say_where);
	tcase_add_test(t, no_word_from_an_address_being_probed);
	tcase_add_loop_test(t, captures_and_simulations_are_not_probed, 0, 2);
	tcase_add_loop_test(t, taken, 0, 6);
	tcase_add_loop_test(t, taken_until_free, 0, 2);
	tcase_add_test(t, taken_is_not_own);
	tcase_add_loop_test(t, our_own_answer_is_no_conflict, 0, 2);
	tcase_add_loop_test(t, probe_of_another, 0, 2);
	tcase_add_loop_test(t, defended_once_in_ten_seconds, 0, 2);
	tcase_add_test(t, announced_on_demand);
	tcase_add_test(t, probed_again_when_the_link_was_away);
	tcase_add_test(t, only_new_addresses_are_probed);
	tcase_add_test(t, passed_addresses_are_not_own);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
