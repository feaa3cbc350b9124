/* Packets of our own, read back by the decoder. With the variable CHECK_BUILD_PCAP each is also
 * appended to that capture file, for a look with another program. */
/* proves: FC-14 */
#include <check.h>
#include <stdio.h>

#include "decode_samples.h"
#include "packet/build.h"
#include "packet/checksum.h"

static struct build *b;
static uint8_t out[BUILD_MAX];
static const struct build_eth plain = {.dst = {{2, 0, 0, 0, 0, 9}}, .src = {{2, 0, 0, 0, 0, 7}}};
static const struct build_eth tagged = {
	.dst = {{2, 0, 0, 0, 0, 9}}, .src = {{2, 0, 0, 0, 0, 7}}, .vlan = 42};

static void setup(void)
{
	b = build_new();
	ck_assert_ptr_nonnull(b);
}

static void teardown(void)
{
	build_free(b);
}

static struct ipaddr ip(const char *text)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(&a, text), 0);
	return a;
}

static void show(const uint8_t *data, size_t n)
{
	static const uint32_t head[6] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	const char *name = getenv("CHECK_BUILD_PCAP");
	uint32_t record[4] = {0, 0, (uint32_t)n, (uint32_t)n};
	FILE *f = name ? fopen(name, "a") : NULL;

	if (!f)
		return;
	if (ftell(f) == 0)
		fwrite(head, sizeof(head), 1, f);
	fwrite(record, sizeof(record), 1, f);
	fwrite(data, n, 1, f);
	fclose(f);
}

/* What was built, decoded; its transport checksum counted by the plain loop. */
static void read_back(struct pkt *pkt, struct frame *f, size_t n, const struct build_eth *eth)
{
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_le(n, sizeof(out));
	show(out, n);
	*f = (struct frame){.data = out, .len = (uint32_t)n};
	ck_assert_str_eq(drop_name(pkt_decode(pkt, f)), "none");
	ck_assert_uint_eq(f->len, n);
	ck_assert_uint_eq(pkt->vlan, eth->vlan);
	ck_assert(macaddr_eq(&pkt->eth_dst, &eth->dst) && macaddr_eq(&pkt->eth_src, &eth->src));
	if (pkt->kind != PKT_ARP)
		ck_assert_uint_eq(sample_l4_sum(out + pkt->l3, pkt->version, pkt->tuple.proto,
						out + pkt->l4, n - pkt->l4),
				  0);
}

START_TEST(arp)
{
	for (unsigned op = 1; op <= 2; op++) {
		const struct build_eth *eth = op == 1 ? &plain : &tagged;
		struct arp want = {.op = (uint16_t)op,
				   .sender_mac = eth->src,
				   .target_mac = {{2, 3, 4, 5, 6, 7}},
				   .sender_ip = ip("192.0.2.1"),
				   .target_ip = ip("192.0.2.254")};
		struct frame f;
		struct pkt pkt;
		struct arp got;
		size_t n = build_arp(b, eth, &want, out, sizeof(out));

		ck_assert_uint_eq(n, op == 1 ? 42 : 46);
		read_back(&pkt, &f, n, eth);
		ck_assert_int_eq(arp_parse(&got, &f, pkt.l3), DROP_NONE);
		ck_assert_uint_eq(got.op, op);
		ck_assert(macaddr_eq(&got.sender_mac, &want.sender_mac));
		ck_assert(macaddr_eq(&got.target_mac, &want.target_mac));
		ck_assert(ipaddr_eq(&got.sender_ip, &want.sender_ip));
		ck_assert(ipaddr_eq(&got.target_ip, &want.target_ip));
		ck_assert_uint_eq(build_arp(b, eth, &want, out, n - 1), 0);
		ck_assert_uint_eq(build_arp(b, eth, &want, out, n), n);
	}
}
END_TEST

static void check_nd(const struct nd *want, const struct build_eth *eth, size_t size)
{
	struct frame f;
	struct pkt pkt;
	struct nd got;
	size_t n = build_nd(b, eth, want, out, sizeof(out));

	ck_assert_uint_eq(n, size);
	read_back(&pkt, &f, n, eth);
	ck_assert_int_eq(pkt.kind, PKT_ND);
	ck_assert_int_eq(nd_parse(&got, &pkt), DROP_NONE);
	ck_assert_uint_eq(got.type, want->type);
	ck_assert(ipaddr_eq(&got.src, &want->src) && ipaddr_eq(&got.dst, &want->dst));
	ck_assert(ipaddr_eq(&got.target, &want->target));
	ck_assert_int_eq(got.has_mac, want->has_mac);
	if (want->has_mac)
		ck_assert(macaddr_eq(&got.mac, &want->mac));
	ck_assert_int_eq(got.router, want->router);
	ck_assert_int_eq(got.solicited, want->solicited);
	ck_assert_int_eq(got.override, want->override);
	ck_assert_uint_eq(build_nd(b, eth, want, out, n - 1), 0);
}

START_TEST(nd)
{
	struct nd n = {.type = 135,
		       .src = ip("fe80::7"),
		       .dst = ip("ff02::1:ff00:1"),
		       .target = ip("2001:db8::1"),
		       .has_mac = true,
		       .mac = {{2, 0, 0, 0, 0, 7}}};

	check_nd(&n, &plain, 14 + 40 + 32);
	check_nd(&n, &tagged, 18 + 40 + 32);
	n.src = ip("::"); /* duplicate address detection */
	n.has_mac = false;
	check_nd(&n, &plain, 14 + 40 + 24);
	n.type = 136;
	n.src = ip("2001:db8::1");
	n.dst = ip("2001:db8::99");
	n.has_mac = true;
	for (unsigned bits = 0; bits < 8; bits++) {
		n.router = bits & 1;
		n.solicited = bits & 2;
		n.override = bits & 4;
		check_nd(&n, &plain, 14 + 40 + 32);
	}
	n.type = 134;
	ck_assert_uint_eq(build_nd(b, &plain, &n, out, sizeof(out)), 0);
}
END_TEST

/* The context is left empty by what failed: the next packet is complete and alone. */
START_TEST(context_is_clean)
{
	struct arp a = {.op = 1, .sender_ip = ip("192.0.2.1"), .target_ip = ip("192.0.2.2")};

	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(build_arp(b, &plain, &a, out, 10), 0);
		ck_assert_uint_eq(build_arp(b, &plain, &a, out, sizeof(out)), 42);
	}
}
END_TEST

static struct frame trigger_frame;
static struct pkt trigger;

static void take_trigger(void (*make)(void))
{
	make();
	trigger_frame = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&trigger, &trigger_frame), DROP_NONE);
}

static void check_reset(const struct build_eth *eth, uint32_t seq, uint32_t ack, uint8_t flags)
{
	struct frame f;
	struct pkt pkt;
	size_t n = build_tcp_reset(b, eth, &trigger, out, sizeof(out));

	read_back(&pkt, &f, n, eth);
	ck_assert(ipaddr_eq(&pkt.tuple.src, &trigger.tuple.dst));
	ck_assert(ipaddr_eq(&pkt.tuple.dst, &trigger.tuple.src));
	ck_assert_uint_eq(pkt.tuple.sport, trigger.tuple.dport);
	ck_assert_uint_eq(pkt.tuple.dport, trigger.tuple.sport);
	ck_assert_uint_eq(pkt.tcp.seq, seq);
	ck_assert_uint_eq(pkt.tcp.ack, ack);
	ck_assert_uint_eq(pkt.tcp.flags, flags);
	ck_assert_uint_eq(pkt.tcp.len, 0);
	ck_assert_uint_le(pkt.ip_len, trigger.ip_len); /* nobody is a reflector's victim */
	ck_assert_uint_eq(build_tcp_reset(b, eth, &trigger, out, n - 1), 0);
}

START_TEST(resets)
{
	take_trigger(make_tcp4_data);
	check_reset(&plain, 0x0a0b0c0d, 0, TCP_RST);
	take_trigger(make_tcp6);
	check_reset(&tagged, 0x0a0b0c0d, 0, TCP_RST);
	take_trigger(make_tcp4_syn); /* SYN with 31 bytes */
	check_reset(&plain, 0, 0x01020304 + 32, TCP_RST | TCP_ACK);
	tcp4(TCP_SYN | TCP_ACK);
	trigger_frame = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&trigger, &trigger_frame), DROP_NONE);
	check_reset(&plain, 0x0a0b0c0d, 0, TCP_RST);
}
END_TEST

START_TEST(no_reset)
{
	static void (*const none[])(void) = {
		make_udp4_options, make_echo4, make_error4,
		make_frag4_last,   make_gre,   make_frag6_first,
	};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		take_trigger(none[i]);
		ck_assert_uint_eq(build_tcp_reset(b, &plain, &trigger, out, sizeof(out)), 0);
	}
	tcp4(TCP_RST);
	trigger_frame = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&trigger, &trigger_frame), DROP_NONE);
	ck_assert_uint_eq(build_tcp_reset(b, &plain, &trigger, out, sizeof(out)), 0);
	take_trigger(make_tcp4_data);
	trigger.eth_dst.b[0] |= 1; /* link-layer broadcast */
	ck_assert_uint_eq(build_tcp_reset(b, &plain, &trigger, out, sizeof(out)), 0);
}
END_TEST

static void check_error(const struct build_eth *eth, const struct build_icmp *icmp, size_t quote)
{
	struct frame f;
	struct pkt pkt;
	size_t n = build_icmp_error(b, eth, &trigger, icmp, out, sizeof(out));

	read_back(&pkt, &f, n, eth);
	ck_assert(pkt.icmp_error);
	ck_assert_uint_eq(pkt.icmp_type, icmp->type);
	ck_assert_uint_eq(pkt.icmp_code, icmp->code);
	ck_assert(ipaddr_eq(&pkt.tuple.src, &icmp->from));
	ck_assert(ipaddr_eq(&pkt.tuple.dst, &trigger.tuple.src));
	ck_assert_int_eq(memcmp(&pkt.inner.src, &trigger.tuple.src, 16), 0);
	ck_assert_uint_eq(pkt.inner.sport, trigger.tuple.sport);
	ck_assert_uint_eq(pkt.inner.dport, trigger.tuple.dport);
	ck_assert_uint_eq(pkt.inner.proto, trigger.tuple.proto);
	ck_assert_uint_eq(n - pkt.payload, quote);
	ck_assert_mem_eq(out + pkt.payload, trigger_frame.data + trigger.l3, quote);
	ck_assert_uint_le(pkt.ip_len, pkt.version == 4 ? 576 : 1280);
	ck_assert_uint_eq(build_icmp_error(b, eth, &trigger, icmp, out, n - 1), 0);
}

static void make_big4(void)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_UDP, A4, B4, NULL, 0);
	sample_udp(&s, 1400);
	sample_end(&s);
}

static void make_big6(void)
{
	sample_eth(&s, 8, ETH_IPV6);
	sample_ip6(&s, IPPROTO_NUM_UDP, A6, B6);
	sample_udp(&s, 1400);
	sample_end(&s);
}

START_TEST(errors)
{
	struct build_icmp exceeded4 = {.type = 11, .from = ip("203.0.113.1")};
	struct build_icmp needed = {.type = 3, .code = 4, .mtu = 1280, .from = ip("203.0.113.1")};
	struct build_icmp big = {.type = 2, .mtu = 0x12345, .from = ip("2001:db8::fe")};
	struct build_icmp exceeded6 = {.type = 3, .from = ip("2001:db8::fe")};
	static void (*const four[])(void) = {
		make_tcp4_data,	   make_tcp4_syn, make_tcp4_vlan,
		make_udp4_options, make_echo4,	  make_gre,
	};
	static void (*const six[])(void) = {make_tcp6, make_udp6_chain, make_echo6,
					    make_frag6_first};

	for (size_t i = 0; i < sizeof(four) / sizeof(four[0]); i++) {
		take_trigger(four[i]);
		check_error(&plain, &exceeded4, trigger.ip_len);
		check_error(&tagged, &needed, trigger.ip_len);
		ck_assert_uint_eq(sample_get16(out + 18 + 20 + 6), 1280);
	}
	for (size_t i = 0; i < sizeof(six) / sizeof(six[0]); i++) {
		take_trigger(six[i]);
		check_error(&plain, &exceeded6, trigger.ip_len);
		check_error(&tagged, &big, trigger.ip_len);
		ck_assert_uint_eq(sample_get16(out + 18 + 40 + 4), 1);
		ck_assert_uint_eq(sample_get16(out + 18 + 40 + 6), 0x2345);
	}
	take_trigger(make_big4);
	check_error(&tagged, &needed, 548);
	needed.mtu = 70000;
	check_error(&plain, &needed, 548);
	ck_assert_uint_eq(sample_get16(out + 14 + 20 + 6), 65535);
	take_trigger(make_big6);
	check_error(&tagged, &big, 1232);
}
END_TEST

START_TEST(no_error)
{
	struct build_icmp four = {.type = 11, .from = ip("203.0.113.1")};
	struct build_icmp six = {.type = 3, .from = ip("2001:db8::fe")};

	take_trigger(make_error4);
	ck_assert_uint_eq(build_icmp_error(b, &plain, &trigger, &four, out, sizeof(out)), 0);
	take_trigger(make_error6);
	ck_assert_uint_eq(build_icmp_error(b, &plain, &trigger, &six, out, sizeof(out)), 0);
	take_trigger(make_frag4_last);
	ck_assert_uint_eq(build_icmp_error(b, &plain, &trigger, &four, out, sizeof(out)), 0);
	take_trigger(make_frag6_last);
	ck_assert_uint_eq(build_icmp_error(b, &plain, &trigger, &six, out, sizeof(out)), 0);
	take_trigger(make_tcp4_data); /* from an address of the other family */
	ck_assert_uint_eq(build_icmp_error(b, &plain, &trigger, &six, out, sizeof(out)), 0);
	static const char *const nobody[] = {"224.0.0.1", "255.255.255.255", "0.0.0.0",
					     "127.0.0.1"};
	for (size_t i = 0; i < 4; i++) {
		take_trigger(make_tcp4_data);
		trigger.tuple.src = ip(nobody[i]);
		ck_assert_uint_eq(build_icmp_error(b, &plain, &trigger, &four, out, sizeof(out)),
				  0);
		take_trigger(make_tcp4_data);
		trigger.tuple.dst = ip(nobody[i]);
		if (i < 2)
			ck_assert_uint_eq(
				build_icmp_error(b, &plain, &trigger, &four, out, sizeof(out)), 0);
	}
	take_trigger(make_tcp4_data);
	trigger.eth_dst = (struct macaddr){{255, 255, 255, 255, 255, 255}};
	ck_assert_uint_eq(build_icmp_error(b, &plain, &trigger, &four, out, sizeof(out)), 0);
	build_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("build");
	TCase *t = tcase_create("build");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, arp);
	tcase_add_test(t, nd);
	tcase_add_test(t, context_is_clean);
	tcase_add_test(t, resets);
	tcase_add_test(t, no_reset);
	tcase_add_test(t, errors);
	tcase_add_test(t, no_error);
	suite_add_tcase(suite, t);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
