/*
 * check_offloader.c - the kernel program of flow offload, in the kernel: every reason to leave a
 * packet to the daemon, every rewriting, and what happens when the daemon or the program goes away.
 *
 *      a1 ──── a0 [program] [port "in"]      b0 ──── b1
 *   frames in        │                        │      frames that the kernel has passed on
 *                    └──── slot 5, side 0 ────┘
 *
 * proves: FC-12 FC-13 FC-14
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "io/offload_object.h"
#include "io/offload_prog.h"
#include "io/offloader.h"
#include "io/port.h"
#include "io/sandbox.h"
#include "packet/nat.h"
#include "packet/rewrite.h"

#include "netns.h"
#include "packets.h"

#define SLOT 5
#define SLOTS 1024
#define SEQ 0x01020304u
#define ACK 0x0a0b0c0du
#define WIN 0x7000u
#define FAR_AHEAD (600ULL * 1000000000)
#define QUIET_MS 100 /* in which what must not come does not */

enum kind { TCP4, TCP6, UDP4, UDP6, KINDS };
enum by { NOBODY, DAEMON, KERNEL };

static const struct macaddr gateway = {{2, 0, 0, 0, 0, 0xd}}, station = {{2, 0, 0, 0, 0, 0x5}};
static const struct macaddr next_hop = {{2, 0, 0, 0, 1, 0x1}}, ourselves = {{2, 0, 0, 0, 1, 0x2}};
static const uint8_t times[12] = {1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4};

static char err[256];

static struct {
	struct offloader *o;
	struct port *wire_in, *in, *out, *wire_out;
	unsigned in_index, out_index;
	struct offload_slot *slot;
	struct offload_dir *dir; /* of the packets that are sent: side 0 */
	struct sample got;	 /* what has come out, or reached the daemon */
	struct vnet got_vnet;
} w;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* --- packets ------------------------------------------------------------------------------------
 */

static bool is_tcp(enum kind k)
{
	return k == TCP4 || k == TCP6;
}

static bool is_v4(enum kind k)
{
	return k == TCP4 || k == UDP4;
}

static void begin(struct sample *s, enum kind k)
{
	unsigned proto = is_tcp(k) ? IPPROTO_NUM_TCP : IPPROTO_NUM_UDP;

	sample_eth(s, -1, is_v4(k) ? 0x0800 : 0x86dd);
	if (is_v4(k))
		sample_ip4(s, proto, "10.1.0.100", "192.0.2.80", NULL, 0);
	else
		sample_ip6(s, proto, "fd00:1::100", "2001:db8:2::80");
}

static void tcp_with(struct sample *s, enum kind k, unsigned flags, const void *options, size_t n,
		     size_t payload)
{
	begin(s, k);
	sample_tcp(s, flags, options, n);
	sample_fill(s, payload);
	sample_end(s);
}

static void usual(struct sample *s, enum kind k, size_t payload)
{
	if (is_tcp(k)) {
		tcp_with(s, k, TCP_ACK, times, sizeof(times), payload);
		return;
	}
	begin(s, k);
	sample_udp(s, payload);
	sample_end(s);
}

static uint8_t *ip_of(struct sample *s)
{
	return sample_data(s) + s->l3;
}

static uint8_t *l4_of(struct sample *s)
{
	return sample_data(s) + s->l4;
}

/* --- the network --------------------------------------------------------------------------------
 */

static struct port_params port_at(const char *device)
{
	struct port_params p = {
		.backend = BACKEND_PACKET, .rx_buffer = 4 << 20, .promiscuous = true};

	snprintf(p.name, sizeof(p.name), "%s", device);
	snprintf(p.device, sizeof(p.device), "%s", device);
	return p;
}

static struct port *open_port(const char *device)
{
	struct port_params params = port_at(device);
	struct port *p = port_new(&params, 0, err, sizeof(err));

	ck_assert_msg(p && port_attach(p, 0, err, sizeof(err)) == 0, "%s", err);
	return p;
}

static struct port *open_offloading(const char *device, const struct port_params *params)
{
	struct port *p = port_new(params, 0, err, sizeof(err));

	ck_assert_msg(
		p && offloader_attach(w.o, if_nametoindex(device), params, err, sizeof(err)) == 0,
		"%s", err);
	port_set_offload(p, offloader_filter(w.o));
	ck_assert_msg(port_attach(p, 0, err, sizeof(err)) == 0, "%s", err);
	ck_assert(port_offloads(p));
	return p;
}

static void set_flow(enum kind k)
{
	struct offload_slot *s = w.slot;
	struct offload_dir *d = &s->dir[0];
	struct sample sample;

	usual(&sample, k, 0);
	memset(s, 0, sizeof(*s));
	d->key = (struct offload_key){
		.ifindex = w.in_index, .version = is_v4(k) ? 4 : 6, .proto = sample.proto};
	memcpy(&d->key.sport, l4_of(&sample), 4);
	memcpy(d->key.src, ip_of(&sample) + (is_v4(k) ? 12 : 8), is_v4(k) ? 4 : 16);
	memcpy(d->key.dst, ip_of(&sample) + (is_v4(k) ? 16 : 24), is_v4(k) ? 4 : 16);
	d->out_ifindex = w.out_index;
	d->mtu = 1500;
	memcpy(d->to, gateway.b, 6);
	memcpy(d->from, station.b, 6);
	memcpy(d->out_to, next_hop.b, 6);
	memcpy(d->out_from, ourselves.b, 6);
	d->flags = OFFLOAD_TTL | OFFLOAD_CHECK_SENDER | (is_tcp(k) ? OFFLOAD_TRACK : 0);
	s->track.peer[0] = (struct offload_peer){.end = SEQ, .max_end = SEQ + 65536, .una = SEQ};
	s->track.peer[1] = (struct offload_peer){.end = ACK, .max_end = ACK + 65536, .una = ACK};
	s->track.max_win[0] = s->track.max_win[1] = WIN;
	s->generation = offloader_control(w.o)->generation;
	d->lease_ns = now_ns() + FAR_AHEAD;
	ck_assert_int_eq(offloader_put(w.o, &d->key, OFFLOAD_VALUE(SLOT, 0)), 0);
}

static void setup(void)
{
	struct port_params params;

	netns_enter();
	netns_veth("a0", "a1");
	netns_veth("b0", "b1");
	netns_run("ip link set dev a0 address 02:00:00:00:00:0d");
	w.in_index = if_nametoindex("a0");
	w.out_index = if_nametoindex("b0");
	w.o = offloader_open(SLOTS, err, sizeof(err));
	ck_assert_msg(w.o != NULL, "%s", err);
	ck_assert_uint_eq(offloader_n_slots(w.o), SLOTS);
	w.slot = offloader_slots(w.o) + SLOT;
	w.dir = &w.slot->dir[0];
	offloader_control(w.o)->generation = 7;
	params = port_at("a0");
	w.in = open_offloading("a0", &params);
	params = port_at("b0");
	w.out = open_offloading("b0", &params);
	w.wire_in = open_port("a1");
	w.wire_out = open_port("b1");
}

static void teardown(void)
{
	port_free(w.wire_in);
	port_free(w.wire_out);
	port_free(w.in);
	port_free(w.out);
	offloader_close(w.o);
}

/* --- sending ------------------------------------------------------------------------------------
 */

static bool look(struct port *p)
{
	struct frame f;
	bool any = port_rx(p, &f, 1) == 1;

	if (any) {
		w.got.len = 0;
		sample_add(&w.got, f.data, f.len);
		w.got_vnet = f.vnet;
	}
	port_release(p);
	return any;
}

static enum by wait_ms(int64_t ms)
{
	int64_t deadline = netns_now_ms() + ms, left;

	for (;;) {
		struct pollfd fds[2] = {{.fd = port_fd(w.in), .events = POLLIN},
					{.fd = port_fd(w.wire_out), .events = POLLIN}};
		if (look(w.in))
			return DAEMON;
		if (look(w.wire_out))
			return KERNEL;
		left = deadline - netns_now_ms();
		if (left <= 0)
			return NOBODY;
		(void)poll(fds, 2, (int)left);
	}
}

static void put_frame(const struct frame *f)
{
	ck_assert_uint_eq(port_tx(w.wire_in, f, 1), 1);
}

static enum by put(struct sample *s)
{
	struct frame f = sample_frame(s);

	put_frame(&f);
	return wait_ms(NETNS_DEADLINE_MS);
}

static void expect(struct sample *s, enum by want, const char *what)
{
	static const char *const names[] = {"nobody", "the daemon", "the kernel"};
	enum by by = put(s);

	ck_assert_msg(by == want, "%s: %s has it, not %s", what, names[by], names[want]);
	ck_assert_uint_eq(offloader_broken(w.o), 0);
	if (by == DAEMON) /* as it was sent, and left no trace */
		ck_assert_uint_eq(w.dir->packets, 0);
}

/* --- who gets it --------------------------------------------------------------------------------
 */

START_TEST(test_passed_on)
{
	enum kind k = (enum kind)_i;
	struct sample s;
	uint64_t before = now_ns();

	usual(&s, k, 1000);
	set_flow(k);
	expect(&s, KERNEL, "a packet");
	ck_assert_uint_eq(w.dir->packets, 1);
	ck_assert_uint_eq(w.dir->bytes, s.len - s.l3);
	ck_assert_uint_ge(w.dir->last_ns, before);
	ck_assert_uint_le(w.dir->last_ns, now_ns());
	ck_assert_uint_eq(w.dir->ack, is_tcp(k) ? ACK : 0);
	ck_assert_uint_eq(w.slot->track.peer[0].end, is_tcp(k) ? SEQ + 1000 : SEQ);
	expect(&s, KERNEL, "another one");
	ck_assert_uint_eq(w.dir->packets, 2);
	ck_assert_uint_eq(w.dir->bytes, 2 * (s.len - s.l3));
	ck_assert_uint_eq(wait_ms(QUIET_MS), NOBODY); /* nothing came twice */
}
END_TEST

/* What changes the slot so that the daemon has the packet. */
struct slot_case {
	const char *what;
	void (*change)(void);
};

static void no_key(void)
{
	ck_assert_int_eq(offloader_remove(w.o, &w.dir->key), 0);
}
static void void_generation(void)
{
	offloader_control(w.o)->generation++;
}
static void other_generation(void)
{
	w.slot->generation--;
}
static void no_lease(void)
{
	w.dir->lease_ns = 0;
}
static void lease_over(void)
{
	w.dir->lease_ns = now_ns();
}
static void other_device(void)
{
	w.dir->key.ifindex++;
}
static void other_port(void)
{
	w.dir->key.dport++;
}
static void other_address(void)
{
	w.dir->key.src[3]++;
}
static void another_slot(void)
{
	ck_assert_int_eq(offloader_put(w.o, &w.dir->key, OFFLOAD_VALUE(SLOT + 1, 0)), 0);
}
static void the_other_side(void)
{
	ck_assert_int_eq(offloader_put(w.o, &w.dir->key, OFFLOAD_VALUE(SLOT, 1)), 0);
}
static void no_such_slot(void)
{
	ck_assert_int_eq(offloader_put(w.o, &w.dir->key, UINT32_MAX), 0);
}
static void other_destination(void)
{
	w.dir->to[5]++;
}
static void other_sender(void)
{
	w.dir->from[5]++;
}
static void narrow_way(void)
{
	w.dir->mtu = 100;
}

static const struct slot_case slot_cases[] = {
	{"a key that is not there", no_key},
	{"all void", void_generation},
	{"a slot that is void", other_generation},
	{"no lease", no_lease},
	{"a lease that is over", lease_over},
	{"the hash gives the wrong slot: device", other_device},
	{"the hash gives the wrong slot: port", other_port},
	{"the hash gives the wrong slot: address", other_address},
	{"an empty slot", another_slot},
	{"a side that is not offered", the_other_side},
	{"a slot that does not exist", no_such_slot},
	{"sent to another MAC address", other_destination},
	{"sent by another MAC address", other_sender},
	{"too long for the way out", narrow_way},
};

START_TEST(test_slot)
{
	enum kind k = (enum kind)_i;
	struct sample s;

	for (size_t i = 0; i < sizeof(slot_cases) / sizeof(slot_cases[0]); i++) {
		usual(&s, k, 100);
		set_flow(k);
		slot_cases[i].change();
		expect(&s, DAEMON, slot_cases[i].what);
		set_flow(k);
		expect(&s, KERNEL, "as it was");
	}
	w.dir->from[5]++;
	w.dir->flags &= (uint16_t)~OFFLOAD_CHECK_SENDER;
	expect(&s, KERNEL, "any sender will do");
}
END_TEST

START_TEST(test_ttl)
{
	enum kind k = (enum kind)_i;
	struct sample s;

	for (unsigned ttl = 0; ttl < 4; ttl++) {
		usual(&s, k, 10);
		ip_of(&s)[is_v4(k) ? 8 : 7] = (uint8_t)ttl;
		sample_end(&s);
		set_flow(k);
		expect(&s, ttl > 1 ? KERNEL : DAEMON, "a hop");
		set_flow(k);
		w.dir->flags &= (uint16_t)~OFFLOAD_TTL;
		expect(&s, ttl > 0 ? KERNEL : DAEMON, "no hop");
		if (ttl > 0)
			ck_assert_uint_eq(sample_data(&w.got)[14 + (is_v4(k) ? 8 : 7)], ttl);
	}
}
END_TEST

/* Frames that differ from the usual one. */
static void options_ip(struct sample *s, enum kind k)
{
	static const uint8_t nops[4] = {1, 1, 1, 0};

	(void)k;
	sample_eth(s, -1, 0x0800);
	sample_ip4(s, IPPROTO_NUM_UDP, "10.1.0.100", "192.0.2.80", nops, 4);
	sample_udp(s, 10);
	sample_end(s);
}
static void more_fragments(struct sample *s, enum kind k)
{
	(void)k;
	ip_of(s)[6] = 0x20;
	sample_ip4_sum(s);
}
static void later_fragment(struct sample *s, enum kind k)
{
	(void)k;
	ip_of(s)[7] = 1;
	sample_ip4_sum(s);
}
static void ip_checksum(struct sample *s, enum kind k)
{
	(void)k;
	ip_of(s)[10] ^= 1;
}
static void ip_version(struct sample *s, enum kind k)
{
	ip_of(s)[0] ^= 0x10;
	if (is_v4(k))
		sample_ip4_sum(s);
}
static void length_by(struct sample *s, enum kind k, int change)
{
	size_t at = s->l3 + (is_v4(k) ? 2 : 4);

	sample_set16(s, at, (unsigned)((int)sample_get16(sample_data(s) + at) + change) & 0xffff);
	if (is_v4(k))
		sample_ip4_sum(s);
}
static void length_more(struct sample *s, enum kind k)
{
	length_by(s, k, 1);
}
static void length_less(struct sample *s, enum kind k)
{
	length_by(s, k, -1);
}
static void length_none(struct sample *s, enum kind k)
{
	length_by(s, k, -(int)(s->len - s->l3) + (is_v4(k) ? 0 : 40));
}
static void trailer(struct sample *s, enum kind k)
{
	(void)k;
	sample_fill(s, 4);
}
static void extension(struct sample *s, enum kind k)
{
	static const uint8_t padded[8] = {IPPROTO_NUM_UDP, 0, 1, 4, 0, 0, 0, 0};

	(void)k;
	sample_eth(s, -1, 0x86dd);
	sample_ip6(s, 60 /* destination options */, "fd00:1::100", "2001:db8:2::80");
	sample_add(s, padded, sizeof(padded));
	sample_udp(s, 10);
	sample_end(s);
}
static void vlan_tag(struct sample *s, enum kind k)
{
	uint8_t tagged[4] = {0x81, 0, 0, 9};

	(void)k;
	memmove(sample_data(s) + 16, sample_data(s) + 12, s->len - 12);
	memcpy(sample_data(s) + 12, tagged, sizeof(tagged));
	s->len += 4;
}
static void ether_type(struct sample *s, enum kind k)
{
	(void)k;
	sample_set16(s, 12, 0x88b5);
}
static void other_protocol(struct sample *s, enum kind k)
{
	ip_of(s)[is_v4(k) ? 9 : 6] = 132;
	if (is_v4(k))
		sample_ip4_sum(s);
}

static const struct {
	const char *what;
	void (*change)(struct sample *s, enum kind k);
	unsigned kinds; /* bits */
} ip_cases[] = {
	{"IPv4 options", options_ip, 1 << UDP4},
	{"a first fragment", more_fragments, 1 << TCP4 | 1 << UDP4},
	{"a later fragment", later_fragment, 1 << TCP4 | 1 << UDP4},
	{"a wrong IPv4 checksum", ip_checksum, 1 << TCP4 | 1 << UDP4},
	{"a wrong version", ip_version, 15},
	{"longer than the frame", length_more, 15},
	{"shorter than the frame", length_less, 15},
	{"no length", length_none, 15},
	{"bytes behind it", trailer, 15},
	{"extension headers", extension, 1 << UDP6},
	{"a VLAN tag", vlan_tag, 15},
	{"no IP", ether_type, 15},
	{"neither TCP nor UDP", other_protocol, 15},
};

START_TEST(test_ip)
{
	enum kind k = (enum kind)_i;
	struct sample s;

	for (size_t i = 0; i < sizeof(ip_cases) / sizeof(ip_cases[0]); i++) {
		if (!(ip_cases[i].kinds >> k & 1))
			continue;
		usual(&s, k, 100);
		ip_cases[i].change(&s, k);
		set_flow(k);
		expect(&s, DAEMON, ip_cases[i].what);
	}
	if (is_v4(k)) {
		usual(&s, k, 100);
		ip_of(&s)[6] = 0x40;
		ip_of(&s)[1] = 0x2e; /* DSCP, ECN */
		sample_ip4_sum(&s);
		set_flow(k);
		expect(&s, KERNEL, "not to be fragmented");
	}
}
END_TEST

/* Frames that end too early; with those that are padded, as Ethernet does. */
START_TEST(test_prefixes)
{
	enum kind k = (enum kind)_i;
	struct sample s;

	usual(&s, k, 30);
	set_flow(k);
	for (size_t len = s.len - 1; len > 14; len--) {
		s.len = len;
		expect(&s, DAEMON, "a frame that was cut");
	}
	if (!is_v4(k))
		return;
	usual(&s, k, 0);
	if (is_tcp(k))
		tcp_with(&s, k, TCP_ACK, NULL, 0, 0);
	sample_fill(&s, 60 - s.len);
	expect(&s, KERNEL, "a padded frame");
	ck_assert_uint_eq(w.dir->bytes, is_tcp(k) ? 40 : 28);
	if (is_tcp(k))
		return;
	usual(&s, k, 0); /* a transport header that ends in the padding */
	sample_set16(&s, s.l3 + 2, 24);
	sample_set16(&s, s.l4 + 4, 4);
	sample_ip4_sum(&s);
	sample_fill(&s, 60 - s.len);
	set_flow(k);
	expect(&s, DAEMON, "a header that ends in the padding");
}
END_TEST

START_TEST(test_tcp_flags)
{
	enum kind k = _i ? TCP6 : TCP4;
	struct sample s;

	for (unsigned flags = 0; flags < 256; flags++) {
		bool plain = (flags & (TCP_ACK | TCP_SYN | TCP_FIN | TCP_RST | TCP_URG)) == TCP_ACK;
		tcp_with(&s, k, flags, times, sizeof(times), 10);
		set_flow(k);
		expect(&s, plain ? KERNEL : DAEMON, "flags");
	}
}
END_TEST

static const struct {
	const char *what;
	uint8_t options[40];
	size_t n;
	enum by by;
} option_cases[] = {
	{"none", {0}, 0, KERNEL},
	{"times", {1, 1, 8, 10}, 12, KERNEL},
	{"one block", {1, 1, 5, 10}, 12, KERNEL},
	{"two blocks", {1, 1, 5, 18}, 20, KERNEL},
	{"four blocks", {1, 1, 5, 34}, 36, KERNEL},
	{"times, one block", {1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 10}, 24, KERNEL},
	{"times, three blocks", {1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 26}, 40, KERNEL},
	{"NOPs", {1, 1, 1, 1}, 4, DAEMON},
	{"times cut", {1, 1, 8, 10}, 8, DAEMON},
	{"times too short", {1, 1, 8, 9}, 12, DAEMON},
	{"times and more", {1, 1, 8, 10}, 16, DAEMON},
	{"a block cut", {1, 1, 5, 10}, 8, DAEMON},
	{"no block", {1, 1, 5, 2}, 4, DAEMON},
	{"half a block", {1, 1, 5, 14}, 16, DAEMON},
	{"less than said", {1, 1, 5, 18}, 12, DAEMON},
	{"times, a block cut", {1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 10}, 20, DAEMON},
	{"times twice", {1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 8, 10}, 24, DAEMON},
	{"one without end", {253, 41}, 40, DAEMON},
	{"one of our own", {253, 6, 0x46, 0x57, 0, 1, 1, 1}, 8, DAEMON},
};

START_TEST(test_tcp_options)
{
	enum kind k = _i ? TCP6 : TCP4;
	struct sample s;

	for (size_t i = 0; i < sizeof(option_cases) / sizeof(option_cases[0]); i++) {
		tcp_with(&s, k, TCP_ACK, option_cases[i].options, option_cases[i].n, 10);
		set_flow(k);
		expect(&s, option_cases[i].by, option_cases[i].what);
	}
	for (unsigned words = 0; words < 5; words++) { /* what follows looks like options */
		uint8_t sack[20] = {1, 1, 5, (uint8_t)(words * 4 - 20 - 2)};
		tcp_with(&s, k, TCP_ACK, NULL, 0, 0);
		sample_add(&s, sack, sizeof(sack));
		l4_of(&s)[12] = (uint8_t)(words << 4);
		sample_end(&s);
		set_flow(k);
		expect(&s, DAEMON, "a header that is too short");
	}
	for (unsigned words = 0; words < 16; words++) { /* of the header */
		tcp_with(&s, k, TCP_ACK, NULL, 0, 0);
		l4_of(&s)[12] = (uint8_t)(words << 4);
		sample_end(&s);
		set_flow(k);
		expect(&s, words == 5 ? KERNEL : DAEMON, "length of the header");
	}
}
END_TEST

static void set_number(struct sample *s, size_t at, uint32_t v)
{
	sample_set16(s, s->l4 + at, v >> 16);
	sample_set16(s, s->l4 + at + 2, v & 0xffff);
	sample_end(s);
}

START_TEST(test_window)
{
	static const struct {
		const char *what;
		uint32_t seq, ack;
		enum by by;
	} cases[] = {
		{"the next byte", SEQ, ACK, KERNEL},
		{"sent again", SEQ - 100, ACK, KERNEL},
		{"the last that fits", SEQ + 65537 - 100, ACK, KERNEL},
		{"beyond the window", SEQ + 65538 - 100, ACK, DAEMON},
		{"far away", SEQ + 0x40000000, ACK, DAEMON},
		{"long ago", SEQ - 65536 - 101, ACK, DAEMON},
		{"not long ago", SEQ - 65536 - 100, ACK, KERNEL},
		{"what was never sent is acknowledged", SEQ, ACK + 1, DAEMON},
		{"acknowledged before", SEQ, ACK - 131072, KERNEL},
		{"acknowledged long before", SEQ, ACK - 131073, DAEMON},
	};
	enum kind k = _i ? TCP6 : TCP4;
	struct sample s;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		usual(&s, k, 100);
		set_number(&s, 4, cases[i].seq);
		set_number(&s, 8, cases[i].ack);
		set_flow(k);
		struct offload_track before = w.slot->track;
		expect(&s, cases[i].by, cases[i].what);
		if (cases[i].by == DAEMON)
			ck_assert_mem_eq(&before, &w.slot->track, sizeof(before));
		set_flow(k);
		w.dir->flags &= (uint16_t)~OFFLOAD_TRACK;
		expect(&s, KERNEL, "not tracked");
	}
}
END_TEST

START_TEST(test_udp_length)
{
	enum kind k = _i ? UDP6 : UDP4;
	struct sample s;

	for (int change = -108; change <= 2; change++) {
		usual(&s, k, 100);
		sample_set16(&s, s.l4 + 4, (unsigned)(108 + change));
		set_flow(k);
		expect(&s, change == 0 ? KERNEL : DAEMON, "length of UDP");
	}
}
END_TEST

/* --- what is done to it -------------------------------------------------------------------------
 */

static struct ipaddr address(const char *text)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(&a, text), 0);
	return a;
}

static void put_address(uint8_t out[16], const struct ipaddr *a, bool v4)
{
	memset(out, 0, 16);
	memcpy(out, v4 ? a->b + 12 : a->b, v4 ? 4 : 16);
}

/* Where the flow goes to: `bits` of OFFLOAD_SRC and OFFLOAD_DST. */
static struct pkt_tuple set_target(enum kind k, const struct pkt_tuple *was, unsigned bits)
{
	struct pkt_tuple to = *was;

	if (bits & OFFLOAD_SRC) {
		to.src = address(is_v4(k) ? "198.51.100.7" : "2001:db8:7::7");
		to.sport = 61234;
	}
	if (bits & OFFLOAD_DST) {
		to.dst = address(is_v4(k) ? "10.255.254.3" : "fd00:ffff:3::3");
		to.dport = 8080;
	}
	put_address(w.dir->src, &to.src, is_v4(k));
	put_address(w.dir->dst, &to.dst, is_v4(k));
	w.dir->sport = htons(to.sport);
	w.dir->dport = htons(to.dport);
	w.dir->flags |= (uint16_t)bits;
	return to;
}

/* The kernel has made of `f` what the daemon makes of it. */
static void expect_same(struct frame f, const struct pkt_tuple *to, bool hop, const char *what)
{
	struct pkt pkt;

	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	if (hop)
		rewrite_ttl(&pkt);
	if (memcmp(to, &pkt.tuple, sizeof(*to)) != 0)
		nat_rewrite(&pkt, to);
	rewrite_ethernet(&pkt, &next_hop, &ourselves, 0);
	ck_assert_uint_eq(w.got.len, f.len);
	for (size_t i = 0; i < f.len; i++)
		ck_assert_msg(sample_data(&w.got)[i] == f.data[i], "%s: byte %zu is %02x, not %02x",
			      what, i, sample_data(&w.got)[i], f.data[i]);
	ck_assert_uint_eq(w.got_vnet.gso_type, f.vnet.gso_type);
	ck_assert_uint_eq(w.got_vnet.gso_size, f.vnet.gso_size);
	ck_assert_uint_eq(w.got_vnet.flags & VNET_F_NEEDS_CSUM, f.vnet.flags & VNET_F_NEEDS_CSUM);
	if (f.vnet.flags & VNET_F_NEEDS_CSUM)
		ck_assert_uint_eq(w.got_vnet.csum_start, f.vnet.csum_start);
}

static void send_rewritten(struct sample *s, struct vnet vnet, enum kind k, unsigned bits, bool hop)
{
	struct frame f = sample_frame(s);
	struct pkt pkt;
	struct pkt_tuple to;

	f.vnet = vnet;
	set_flow(k);
	if (!hop)
		w.dir->flags &= (uint16_t)~OFFLOAD_TTL;
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	to = set_target(k, &pkt.tuple, bits);
	put_frame(&f);
	ck_assert_uint_eq(wait_ms(NETNS_DEADLINE_MS), KERNEL);
	expect_same(f, &to, hop, "rewritten");
}

static const unsigned both_bits[] = {0, OFFLOAD_SRC, OFFLOAD_DST, OFFLOAD_SRC | OFFLOAD_DST};

START_TEST(test_rewritten)
{
	enum kind k = (enum kind)_i;
	struct sample s;

	for (unsigned i = 0; i < 4; i++) {
		for (size_t size = 0; size < 40; size++) { /* all sorts of checksums */
			usual(&s, k, size);
			send_rewritten(&s, (struct vnet){0}, k, both_bits[i], size % 3 > 0);
			ck_assert_uint_eq(sample_l4_sum(ip_of(&w.got) + 14, is_v4(k) ? 4 : 6,
							s.proto, sample_data(&w.got) + s.l4,
							w.got.len - s.l4),
					  0);
		}
	}
}
END_TEST

START_TEST(test_no_udp_checksum)
{
	enum kind k = _i ? UDP6 : UDP4;
	struct sample s;

	for (unsigned i = 0; i < 4; i++) {
		usual(&s, k, 50);
		sample_set16(&s, s.l4 + 6, 0);
		if (is_v4(k)) {
			send_rewritten(&s, (struct vnet){0}, k, both_bits[i], true);
			ck_assert_uint_eq(sample_get16(sample_data(&w.got) + s.l4 + 6), 0);
		}
	}
	/* one that becomes zero is sent as 0xffff */
	for (unsigned v = 0; v < 65536 && !_i; v++) {
		usual(&s, k, 2);
		sample_set16(&s, s.l4 + 8, v);
		sample_end(&s);
		struct frame f = sample_frame(&s);
		struct pkt pkt;
		set_flow(k);
		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
		struct pkt_tuple to = set_target(k, &pkt.tuple, OFFLOAD_DST);
		struct sample copy = s;
		struct frame g = sample_frame(&copy);
		ck_assert_int_eq(pkt_decode(&pkt, &g), DROP_NONE);
		nat_rewrite(&pkt, &to);
		if (sample_get16(sample_data(&copy) + s.l4 + 6) != 0xffff)
			continue;
		send_rewritten(&s, (struct vnet){0}, k, OFFLOAD_DST, true);
		ck_assert_uint_eq(sample_get16(sample_data(&w.got) + s.l4 + 6), 0xffff);
		return;
	}
	ck_assert(_i);
}
END_TEST

/* A checksum that is left to the device: the sum of the pseudo-header stands in its place. */
static struct vnet make_partial(struct sample *s)
{
	uint32_t sum = s->version == 4 ? sample_words(0, ip_of(s) + 12, 8)
				       : sample_words(0, ip_of(s) + 8, 32);
	size_t at = sample_sum_at(s->proto);

	sum += s->proto + (uint32_t)(s->len - s->l4);
	sample_set16(s, s->l4 + at, ~sample_fold(sum) & 0xffff);
	return (struct vnet){.flags = VNET_F_NEEDS_CSUM,
			     .csum_start = (uint16_t)s->l4,
			     .csum_offset = (uint16_t)at};
}

START_TEST(test_partial)
{
	enum kind k = (enum kind)_i;
	struct sample s;

	for (unsigned i = 0; i < 4; i++)
		for (size_t size = 0; size < 40; size++) {
			usual(&s, k, size);
			send_rewritten(&s, make_partial(&s), k, both_bits[i], size % 3 > 0);
		}
}
END_TEST

static struct vnet make_super(struct sample *s, enum kind k, uint16_t gso_size)
{
	struct vnet v = make_partial(s);

	v.gso_type = !is_tcp(k) ? VNET_GSO_UDP_L4 : k == TCP4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
	v.gso_size = gso_size;
	v.hdr_len = (uint16_t)(s->l4 + (is_tcp(k) ? 32 : 8));
	return v;
}

START_TEST(test_super_frames)
{
	enum kind k = _i ? TCP6 : TCP4;
	unsigned headers = (is_v4(k) ? 20 : 40) + 32;
	struct sample s;

	for (unsigned i = 0; i < 4; i++) {
		usual(&s, k, 40000);
		send_rewritten(&s, make_super(&s, k, 1400), k, both_bits[i], true);
		ck_assert_uint_eq(w.dir->packets, 1);
		ck_assert_uint_eq(w.dir->bytes, 40000 + headers);
		ck_assert_uint_eq(w.slot->track.peer[0].end, SEQ + 40000);
	}
	for (unsigned more = 0; more < 2; more++) {
		struct frame f;
		usual(&s, k, 3000);
		f = sample_frame(&s);
		f.vnet = make_super(&s, k, (uint16_t)(1000 - headers + more));
		set_flow(k);
		w.dir->mtu = 1000;
		put_frame(&f);
		ck_assert_uint_eq(wait_ms(NETNS_DEADLINE_MS), more ? DAEMON : KERNEL);
	}
}
END_TEST

START_TEST(test_super_udp)
{
	enum kind k = _i ? UDP6 : UDP4;
	struct sample s;
	struct frame f;

	usual(&s, k, 3000);
	f = sample_frame(&s);
	f.vnet = make_super(&s, k, 1000);
	set_flow(k);
	w.dir->mtu = 9000;
	put_frame(&f);
	ck_assert_uint_eq(wait_ms(NETNS_DEADLINE_MS), DAEMON);
}
END_TEST

/* --- the sum over the whole frame --------------------------------------------------------------
 *
 * Some devices say it with each frame (CHECKSUM_COMPLETE), and it has to stay true. Since
 * Linux 6.17 the kernel runs a program on such a frame and compares afterwards.
 */

#define TEST_COMPLETE (1u << 2) /* BPF_F_TEST_SKB_CHECKSUM_COMPLETE */

/* As in offload.bpf.c. */
struct verdict {
	uint64_t lease_ns;
	uint32_t ifindex, value;
};

static void leave_verdict(const struct bpf_object *object)
{
	struct verdict v[256], all = {.lease_ns = w.dir->lease_ns, .ifindex = 1, .value = 1};
	int map = bpf_object__find_map_fd_by_name(object, "verdicts"),
	    n = libbpf_num_possible_cpus();
	uint32_t zero = 0;

	ck_assert(n > 0 && n <= 256);
	for (int i = 0; i < n; i++)
		v[i] = all;
	ck_assert_int_eq(bpf_map_update_elem(map, &zero, v, BPF_ANY), 0);
}

static void run_complete(struct bpf_object *object, struct sample *s)
{
	struct bpf_program *p = bpf_object__find_program_by_name(object, "offload_ingress");
	struct __sk_buff context = {.ifindex = 1};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = sample_data(s),
		    .data_size_in = (uint32_t)s->len, .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .flags = TEST_COMPLETE);
	int rc = bpf_prog_test_run_opts(bpf_program__fd(p), &opts);

	if (rc == -EINVAL) { /* an older kernel: at least it runs */
		opts.flags = 0;
		leave_verdict(object);
		rc = bpf_prog_test_run_opts(bpf_program__fd(p), &opts);
	}
	ck_assert_msg(rc == 0, "%s", strerror(-rc));
	ck_assert_uint_eq(opts.retval, 7 /* TC_ACT_REDIRECT */);
}

START_TEST(test_complete)
{
	enum kind k = (enum kind)_i;
	struct bpf_object *object = bpf_object__open_mem(
		offload_object, (size_t)(offload_object_end - offload_object), NULL);
	struct pkt_tuple to;
	struct frame f;
	struct sample s;
	struct pkt pkt;
	uint32_t zero = 0;

	ck_assert(object && bpf_object__load(object) == 0);
	netns_run("ip link set dev lo up");
	for (unsigned bits = 0; bits < 16; bits += OFFLOAD_TTL) {
		usual(&s, k, 33);
		f = sample_frame(&s);
		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
		set_flow(k);
		w.dir->flags = 0;
		to = set_target(k, &pkt.tuple, bits);
		ck_assert(to.proto == s.proto);
		w.dir->key.ifindex = w.dir->out_ifindex = 1;
		struct offload_slot slot = *w.slot;
		slot.generation = 0;
		ck_assert_int_eq(
			bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "slots"), &zero,
					    &slot, BPF_ANY),
			0);
		leave_verdict(object);
		run_complete(object, &s);
	}
	bpf_object__close(object);
}
END_TEST

/* Somebody looks on: what he sees is not what is rewritten. */
START_TEST(test_looked_on)
{
	enum kind k = (enum kind)_i;
	struct port *other = open_port("a0");
	struct sample s;
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;

	usual(&s, k, 700);
	send_rewritten(&s, (struct vnet){0}, k, OFFLOAD_SRC | OFFLOAD_DST, true);
	while (!look(other))
		netns_wait(port_fd(other), deadline);
	usual(&s, k, 700);
	ck_assert_uint_eq(w.got.len, s.len);
	ck_assert_mem_eq(sample_data(&w.got), sample_data(&s), s.len);
	if (is_tcp(k)) {
		usual(&s, k, 40000);
		send_rewritten(&s, make_super(&s, k, 1400), k, OFFLOAD_DST, true);
	}
	port_free(other);
}
END_TEST

/* --- which frames a port takes ------------------------------------------------------------------
 */

/* As without offload: check_port.c, test_destinations and test_own_mac. */
START_TEST(test_destinations)
{
	static const struct {
		struct macaddr to;
		enum by by[3]; /* only for the host; also to 02:fe:..; everything */
	} cases[] = {
		{{{2, 0, 0, 0, 0, 0xd}}, {DAEMON, DAEMON, DAEMON}},
		{{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, {DAEMON, DAEMON, DAEMON}},
		{{{0x33, 0x33, 0, 0, 0, 1}}, {DAEMON, DAEMON, DAEMON}},
		{{{2, 0xfe, 0, 0, 0, 1}}, {NOBODY, DAEMON, DAEMON}},
		{{{2, 0xfe, 0, 0, 0, 2}}, {NOBODY, NOBODY, DAEMON}},
	};
	struct port_params params = port_at("a0");
	struct sample s;

	params.promiscuous = _i == 2;
	params.has_mac = _i >= 1;
	params.mac = (struct macaddr){{2, 0xfe, 0, 0, 0, 1}};
	port_free(w.in);
	offloader_detach(w.o, w.in_index);
	w.in = open_offloading("a0", &params);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame f;
		usual(&s, UDP4, 20);
		memcpy(sample_data(&s), cases[i].to.b, 6);
		f = sample_frame(&s);
		put_frame(&f);
		ck_assert_uint_eq(wait_ms(cases[i].by[_i] == NOBODY ? QUIET_MS : NETNS_DEADLINE_MS),
				  cases[i].by[_i]);
	}
	/* a flow to the port's own address */
	set_flow(UDP4);
	memcpy(w.dir->to, params.mac.b, 6);
	memcpy(sample_data(&s), params.mac.b, 6);
	if (_i >= 1)
		expect(&s, KERNEL, "a flow to the port's own address");
	/* what the host itself sends is nothing that came in */
	struct frame f = sample_frame(&s);
	ck_assert_uint_eq(port_tx(w.in, &f, 1), 1);
	ck_assert_uint_eq(wait_ms(QUIET_MS), NOBODY);
}
END_TEST

/* --- what goes wrong ----------------------------------------------------------------------------
 */

START_TEST(test_lease_ends)
{
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	unsigned passed = 0;
	struct sample s;
	enum by by;

	usual(&s, UDP4, 100);
	set_flow(UDP4);
	w.dir->lease_ns = now_ns() + 200000000;
	while ((by = put(&s)) == KERNEL && netns_now_ms() < deadline)
		passed++;
	ck_assert_uint_eq(by, DAEMON);
	ck_assert_uint_ge(now_ns(), w.dir->lease_ns);
	ck_assert_uint_gt(passed, 0);
	ck_assert_uint_eq(w.dir->packets, passed);
}
END_TEST

/* The program at TC ingress is taken away: one packet is lost on each CPU that receives, here one,
 * then the daemon has them all. */
START_TEST(test_removed)
{
	struct port_params params = port_at("a0");
	struct frame f;
	struct sample s;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((size_t)sched_getcpu(), &cpus);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(cpus), &cpus), 0);

	usual(&s, TCP4, 100);
	set_flow(TCP4);
	f = sample_frame(&s);
	netns_run("tc filter del dev a0 ingress");
	put_frame(&f);
	ck_assert_uint_eq(wait_ms(QUIET_MS), NOBODY);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(put(&s), DAEMON);
		ck_assert_uint_eq(offloader_broken(w.o), w.in_index);
	}
	ck_assert_int_eq(offloader_attach(w.o, w.in_index, &params, err, sizeof(err)), 0);
	ck_assert_uint_eq(put(&s), DAEMON); /* not before it has been seen to */
	offloader_mended(w.o);
	set_flow(TCP4);
	expect(&s, KERNEL, "mended");
}
END_TEST

/* A verdict that was not used must never send another packet. */
START_TEST(test_stale_verdict)
{
	struct port_params params = port_at("a0");
	struct frame f;
	struct sample s, other;

	usual(&s, TCP4, 100);
	usual(&other, UDP4, 100);
	set_flow(TCP4);
	f = sample_frame(&s);
	netns_run("tc filter del dev a0 ingress");
	put_frame(&f);
	ck_assert_uint_eq(wait_ms(QUIET_MS), NOBODY);
	ck_assert_uint_eq(w.dir->packets, 1); /* the verdict is there */
	port_detach(w.in);
	ck_assert_int_eq(offloader_attach(w.o, w.in_index, &params, err, sizeof(err)), 0);
	port_free(w.in); /* nobody judges now */
	w.in = open_port("a1");
	f = sample_frame(&other);
	put_frame(&f);
	ck_assert_uint_eq(wait_ms(QUIET_MS), NOBODY);
}
END_TEST

/* The same packet again, but the daemon has taken back what the verdict was about. */
START_TEST(test_stale_lease)
{
	struct port_params params = port_at("a0");
	struct frame f;
	struct sample s;

	usual(&s, TCP4, 100);
	set_flow(TCP4);
	f = sample_frame(&s);
	netns_run("tc filter del dev a0 ingress");
	put_frame(&f);
	ck_assert_uint_eq(wait_ms(QUIET_MS), NOBODY);
	port_detach(w.in);
	ck_assert_int_eq(offloader_attach(w.o, w.in_index, &params, err, sizeof(err)), 0);
	port_free(w.in);
	w.in = open_port("a1");
	if (_i)
		offloader_control(w.o)->generation++;
	else
		w.dir->lease_ns++;
	put_frame(&f);
	ck_assert_uint_eq(wait_ms(QUIET_MS), NOBODY);
}
END_TEST

START_TEST(test_output_gone)
{
	struct sample s;
	struct frame f;

	usual(&s, TCP4, 100);
	set_flow(TCP4);
	w.dir->out_ifindex = 9999;
	f = sample_frame(&s);
	put_frame(&f);
	ck_assert_uint_eq(wait_ms(QUIET_MS), NOBODY);
	ck_assert_uint_eq(offloader_broken(w.o), 0);
	set_flow(TCP4);
	expect(&s, KERNEL, "the device is there");
}
END_TEST

/* --- devices ------------------------------------------------------------------------------------
 */

static bool has_clsact(const char *device)
{
	char command[128];

	snprintf(command, sizeof(command), "tc qdisc show dev %s | grep -q clsact", device);
	return system(command) == 0;
}

static unsigned n_filters(const char *device)
{
	char command[128];
	unsigned n = 0;
	FILE *out;

	snprintf(command, sizeof(command), "tc filter show dev %s ingress | grep -c handle",
		 device);
	out = popen(command, "r");
	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(fscanf(out, "%u", &n), 1);
	pclose(out);
	return n;
}

START_TEST(test_left_as_found)
{
	struct port_params params = port_at("a0");

	ck_assert(has_clsact("a0"));
	offloader_detach(w.o, w.in_index);
	ck_assert(!has_clsact("a0"));
	/* somebody else's clsact stays, and his filters */
	netns_run("tc qdisc add dev a0 clsact");
	ck_assert_int_eq(offloader_attach(w.o, w.in_index, &params, err, sizeof(err)), 0);
	offloader_detach(w.o, w.in_index);
	ck_assert(has_clsact("a0"));
	netns_run("tc qdisc del dev a0 clsact");
	/* ours, with a filter that somebody else has put in meanwhile */
	ck_assert_int_eq(offloader_attach(w.o, w.in_index, &params, err, sizeof(err)), 0);
	netns_run("tc filter add dev a0 %s pref 7 bpf bytecode '1,6 0 0 0,'",
		  _i ? "egress" : "ingress");
	offloader_detach(w.o, w.in_index);
	ck_assert(has_clsact("a0"));
	ck_assert_uint_eq(n_filters("a0"), _i ? 0 : 1);
	/* a device that is gone */
	netns_run("tc qdisc del dev a0 clsact");
	ck_assert_int_eq(offloader_attach(w.o, w.in_index, &params, err, sizeof(err)), 0);
	netns_run("ip link del a0");
	offloader_detach(w.o, w.in_index);
	ck_assert_int_lt(offloader_attach(w.o, w.in_index, &params, err, sizeof(err)), 0);
	ck_assert_ptr_nonnull(strstr(err, "offload: device \"a0\""));
}
END_TEST

START_TEST(test_two_daemons)
{
	struct port_params params = port_at("a0");
	struct offloader *other = offloader_open(SLOTS, err, sizeof(err));
	struct sample s;

	ck_assert_msg(other != NULL, "%s", err);
	ck_assert_int_eq(offloader_attach(other, w.in_index, &params, err, sizeof(err)), -EBUSY);
	ck_assert_ptr_nonnull(strstr(err, "another daemon"));
	usual(&s, TCP4, 10);
	set_flow(TCP4);
	expect(&s, KERNEL, "the first one works on");
	port_detach(w.in);
	offloader_detach(w.o, w.in_index);
	ck_assert_msg(offloader_attach(other, w.in_index, &params, err, sizeof(err)) == 0, "%s",
		      err);
	offloader_close(other);
	ck_assert(!has_clsact("a0"));
}
END_TEST

/* A daemon that was killed leaves its program behind; the next one takes its place, and cleans. */
START_TEST(test_leftover)
{
	struct port_params params = port_at("a0");
	int status;
	pid_t pid;

	port_detach(w.in);
	offloader_detach(w.o, w.in_index);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct offloader *other = offloader_open(SLOTS, err, sizeof(err));
		int rc =
			other ? offloader_attach(other, w.in_index, &params, err, sizeof(err)) : -1;
		_exit(rc == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(n_filters("a0"), 1);
	port_free(w.in);
	w.in = open_offloading("a0", &params);
	ck_assert_uint_eq(n_filters("a0"), 1);
	struct sample s;
	usual(&s, TCP4, 10);
	set_flow(TCP4);
	expect(&s, KERNEL, "the new one's");
	port_detach(w.in);
	offloader_detach(w.o, w.in_index);
	ck_assert(!has_clsact("a0"));
}
END_TEST

/* All that a running daemon does, with what it is left with. */
static int in_the_sandbox(void)
{
	struct params *p = calloc(1, sizeof(*p));
	struct port *c = open_port("c0");
	unsigned index = if_nametoindex("c0");
	struct offload_key key = {.ifindex = 1, .version = 4};

	if (!p)
		return 10;
	p->seccomp = SECCOMP_ENFORCE;
	p->n_ports = 1;
	p->ports[0].offload = true;
	if (sandbox_enter(p, false, err, sizeof(err)) < 0)
		return 11;
	if (offloader_put(w.o, &key, 3) < 0 || offloader_remove(w.o, &key) < 0)
		return 12;
	p->ports[0] = port_at("c0");
	for (unsigned again = 0; again < 2; again++) { /* a device that comes back */
		if (offloader_attach(w.o, index, &p->ports[0], err, sizeof(err)) < 0)
			return 13;
		port_set_offload(c, offloader_filter(w.o));
		if (port_attach(c, 0, err, sizeof(err)) < 0 || !port_offloads(c))
			return 14;
		if (offloader_attach(w.o, index, &p->ports[0], err, sizeof(err)) < 0)
			return 15; /* mending */
		port_detach(c);
		offloader_detach(w.o, index);
	}
	return 0;
}

START_TEST(test_sandbox)
{
	int status;
	pid_t pid;

	netns_veth("c0", "c1");
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(in_the_sandbox());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
}
END_TEST

static void add_who(TCase *t)
{
	tcase_add_loop_test(t, test_passed_on, 0, KINDS);
	tcase_add_loop_test(t, test_slot, 0, KINDS);
	tcase_add_loop_test(t, test_ttl, 0, KINDS);
	tcase_add_loop_test(t, test_ip, 0, KINDS);
	tcase_add_loop_test(t, test_prefixes, 0, KINDS);
	tcase_add_loop_test(t, test_tcp_flags, 0, 2);
	tcase_add_loop_test(t, test_tcp_options, 0, 2);
	tcase_add_loop_test(t, test_window, 0, 2);
	tcase_add_loop_test(t, test_udp_length, 0, 2);
	tcase_add_loop_test(t, test_super_udp, 0, 2);
	tcase_add_loop_test(t, test_destinations, 0, 3);
}

static void add_what(TCase *t)
{
	tcase_add_loop_test(t, test_rewritten, 0, KINDS);
	tcase_add_loop_test(t, test_no_udp_checksum, 0, 2);
	tcase_add_loop_test(t, test_partial, 0, KINDS);
	tcase_add_loop_test(t, test_super_frames, 0, 2);
	tcase_add_loop_test(t, test_looked_on, 0, KINDS);
	tcase_add_loop_test(t, test_complete, 0, KINDS);
}

static void add_wrong(TCase *t)
{
	tcase_add_test(t, test_lease_ends);
	tcase_add_test(t, test_removed);
	tcase_add_test(t, test_stale_verdict);
	tcase_add_loop_test(t, test_stale_lease, 0, 2);
	tcase_add_test(t, test_output_gone);
	tcase_add_loop_test(t, test_left_as_found, 0, 2);
	tcase_add_test(t, test_two_daemons);
	tcase_add_test(t, test_leftover);
	tcase_add_test(t, test_sandbox);
}

static Suite *suite(void)
{
	static void (*const parts[])(TCase *) = {add_who, add_what, add_wrong};
	static const char *const names[] = {"who gets it", "what is done to it", "what goes wrong"};
	Suite *s = suite_create("offloader");

	for (unsigned i = 0; i < 3; i++) {
		TCase *t = tcase_create(names[i]);
		tcase_add_checked_fixture(t, setup, teardown);
		tcase_set_timeout(t, 60);
		parts[i](t);
		suite_add_tcase(s, t);
	}
	return s;
}

int main(void)
{
	if (geteuid() != 0) {
		puts("skipped: the kernel takes programs from root only");
		return 77;
	}
	SRunner *sr = srunner_create(suite());
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
