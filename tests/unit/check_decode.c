/* Decoding of IP frames: what is accepted, what is read, and the exact reason of each refusal. */
/* proves: FC-9 FC-14 */
#include <check.h>

#include "guard.h"
#include "packet/decode.h"
#include "packets.h"

#define A4 "192.0.2.1"
#define B4 "198.51.100.2"
#define A6 "2001:db8::1"
#define B6 "2001:db8:f::2"

static struct sample s;

/* Decode a copy that ends at an unreadable page. pkt->frame is not to be used afterwards. */
static enum drop decode_bytes(const uint8_t *data, size_t len, struct pkt *pkt, struct vnet vnet)
{
	uint8_t *p = guard_copy(data, len);
	struct frame f = {.data = p, .len = (uint32_t)len, .vnet = vnet};

	memset(pkt, 0xa5, sizeof(*pkt));
	enum drop reason = pkt_decode(pkt, &f);
	ck_assert_uint_le(f.len, len);
	guard_free(p, len);
	return reason;
}

static enum drop decode(struct pkt *pkt)
{
	return decode_bytes(sample_data(&s), s.len, pkt, (struct vnet){0});
}

#define REFUSED(reason)                                                                            \
	do {                                                                                       \
		struct pkt refused_;                                                               \
		ck_assert_str_eq(drop_name(decode(&refused_)), drop_name(reason));                 \
	} while (0)
#define ACCEPTED(pkt) ck_assert_str_eq(drop_name(decode(pkt)), "none")

/* Samples */

static const uint8_t mss_ws[12] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 0, 0};
static const uint8_t stamps[12] = {1, 1, 8, 10};

static void tcp4(unsigned flags)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, flags, NULL, 0);
	sample_end(&s);
}

static void make_tcp4_data(void)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, TCP_ACK | TCP_PSH, stamps, 12);
	sample_fill(&s, 100);
	sample_end(&s);
}

static void make_tcp4_syn(void)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, TCP_SYN | 0xc0, mss_ws, 12); /* ECN set-up */
	sample_fill(&s, 31);			    /* and Fast Open data */
	sample_end(&s);
}

static void make_tcp4_vlan(void)
{
	sample_eth(&s, 77, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, TCP_ACK, NULL, 0);
	sample_end(&s);
}

static void make_udp4_options(void)
{
	static const uint8_t router_alert[8] = {1, 0x94, 4, 0, 0, 1, 0, 9};

	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_UDP, A4, B4, router_alert, 8);
	sample_udp(&s, 33);
	sample_end(&s);
}

static void make_echo4(void)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_ICMP, A4, B4, NULL, 0);
	sample_icmp(&s, 8, 0, 0x77010002);
	sample_fill(&s, 15);
	sample_end(&s);
}

/* A packet from `src` to `dst` as it is quoted, with `l4` bytes of transport. */
static void quote4(unsigned proto, const char *src, const char *dst, unsigned frag, size_t l4)
{
	size_t at = s.len;

	struct sample inner;
	inner.len = 0;
	sample_ip4(&inner, proto, src, dst, NULL, 0);
	sample_set16(&inner, 2, 1500);
	sample_set16(&inner, 6, frag);
	sample_add(&s, sample_data(&inner), inner.len);
	static const uint8_t ports[8] = {0x9c, 0x40, 0x01, 0xbb, 1, 2, 3, 4};
	sample_add(&s, ports, l4 < 8 ? l4 : 8);
	if (l4 > 8)
		sample_fill(&s, l4 - 8);
	ck_assert_uint_gt(s.len, at);
}

static void quote6(unsigned next, const char *src, const char *dst, size_t l4)
{
	struct sample inner;
	inner.len = 0;
	sample_ip6(&inner, next, src, dst);
	sample_set16(&inner, 4, 1400);
	sample_add(&s, sample_data(&inner), inner.len);
	static const uint8_t ports[8] = {0x9c, 0x40, 0x01, 0xbb, 1, 2, 3, 4};
	sample_add(&s, ports, l4);
}

static void error4(unsigned type, unsigned code)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_ICMP, "203.0.113.9", A4, NULL, 0);
	sample_icmp(&s, type, code, 1400);
}

static void error6(unsigned type, unsigned code)
{
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, IPPROTO_NUM_ICMP6, "2001:db8:9::9", A6);
	sample_icmp(&s, type, code, 1280);
}

static void make_error4(void)
{
	error4(3, 4);
	quote4(IPPROTO_NUM_TCP, A4, B4, 0x4000, 8);
	sample_end(&s);
}

static void make_error6(void)
{
	error6(2, 0);
	quote6(IPPROTO_NUM_TCP, A6, B6, 8);
	sample_end(&s);
}

static void make_tcp6(void)
{
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, IPPROTO_NUM_TCP, A6, B6);
	sample_tcp(&s, TCP_ACK | TCP_FIN, stamps, 12);
	sample_fill(&s, 9);
	sample_end(&s);
}

static void set_next(unsigned proto)
{
	sample_data(&s)[s.l3 + 6] = (uint8_t)proto;
}

/* Hop-by-hop, destination options, routing with nothing left, AH, then UDP. */
static void make_udp6_chain(void)
{
	static const uint8_t hop[8] = {60, 0, 1, 4, 0, 0, 0, 0};
	static const uint8_t dst[16] = {43, 1, 0, 0, 0, 1, 1, 0, 1, 6};
	static const uint8_t routing[8] = {51, 0, 3, 0};
	static const uint8_t ah[24] = {17, 4};

	sample_eth(&s, 5, ETH_IPV6);
	sample_ip6(&s, 0, A6, B6);
	sample_add(&s, hop, sizeof(hop));
	sample_add(&s, dst, sizeof(dst));
	sample_add(&s, routing, sizeof(routing));
	sample_add(&s, ah, sizeof(ah));
	sample_udp(&s, 12);
	sample_end(&s);
	set_next(0);
}

static void make_echo6(void)
{
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, IPPROTO_NUM_ICMP6, A6, B6);
	sample_icmp(&s, 129, 0, 0x77010002);
	sample_fill(&s, 8);
	sample_end(&s);
}

static void frag6(unsigned next, unsigned field)
{
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, 44, A6, B6);
	sample_u8(&s, next);
	sample_u8(&s, 0);
	sample_u16(&s, field);
	sample_u32(&s, 0xdeadbeef);
}

static void make_frag6_first(void)
{
	frag6(17, 1);
	sample_udp(&s, 40);
	s.proto = 0;
	sample_end(&s);
}

static void make_frag6_last(void)
{
	frag6(17, 48);
	s.proto = 0;
	sample_fill(&s, 5);
	sample_end(&s);
}

static void frag4(unsigned proto, unsigned field, size_t n)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, proto, A4, B4, NULL, 0);
	sample_set16(&s, s.l3 + 6, field);
	s.proto = 0;
	sample_fill(&s, n);
	sample_end(&s);
}

static void make_frag4_last(void)
{
	frag4(17, 100, 13);
}

static void make_gre(void)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, 47, A4, B4, NULL, 0);
	sample_fill(&s, 24);
	sample_end(&s);
}

static void (*const makers[])(void) = {
	make_tcp4_data,	  make_tcp4_syn,   make_tcp4_vlan,  make_udp4_options, make_echo4,
	make_error4,	  make_error6,	   make_tcp6,	    make_udp6_chain,   make_echo6,
	make_frag6_first, make_frag6_last, make_frag4_last, make_gre,
};
#define N_MAKERS (sizeof(makers) / sizeof(makers[0]))

/* Every sample is accepted, every proper prefix of it refused, no byte beyond it read. */
START_TEST(every_prefix)
{
	struct pkt pkt;

	makers[_i]();
	for (size_t len = 0; len < s.len; len++) {
		enum drop d = decode_bytes(sample_data(&s), len, &pkt, (struct vnet){0});

		ck_assert_msg(d != DROP_NONE, "sample %d, %zu of %zu bytes", _i, len, s.len);
	}
	ACCEPTED(&pkt);
	ck_assert_int_eq(pkt.kind, PKT_IP);
	ck_assert_uint_eq(pkt.ip_len, s.len - pkt.l3);
}
END_TEST

/* The IP packet cut short, and its length field with it: headers that are not there. */
START_TEST(every_shorter_packet)
{
	struct pkt pkt;

	makers[_i]();
	size_t full = s.len, l3 = s.l3;
	size_t header = s.version == 4 ? 20 : 40;
	for (s.len = l3 + header; s.len < full; s.len++) {
		if (s.version == 4) {
			sample_set16(&s, l3 + 2, (unsigned)(s.len - l3));
			sample_ip4_sum(&s);
		} else {
			sample_set16(&s, l3 + 4, (unsigned)(s.len - l3 - 40));
		}
		if (decode(&pkt) == DROP_NONE) {
			ck_assert_uint_le(pkt.payload, s.len);
			ck_assert_uint_le(pkt.l4, pkt.payload);
		}
	}
}
END_TEST

/* Padding, however long, is cut off; frames as long as the MTU and with a tag. */
START_TEST(padding)
{
	makers[_i]();
	size_t real = s.len;
	for (size_t pad = 0; pad <= 64; pad++) {
		uint8_t *p = guard_copy(NULL, real + pad);
		struct frame f = {.data = p, .len = (uint32_t)(real + pad)};
		struct pkt pkt;

		memcpy(p, sample_data(&s), real);
		memset(p + real, 0xee, pad);
		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
		ck_assert_uint_eq(f.len, real);
		guard_free(p, real + pad);
	}
}
END_TEST

START_TEST(frames_of_mtu)
{
	struct pkt pkt;

	for (int vlan = -1; vlan <= 7; vlan += 8) {
		sample_eth(&s, vlan, ETH_IPV4);
		sample_ip4(&s, IPPROTO_NUM_UDP, A4, B4, NULL, 0);
		sample_udp(&s, 1500 - 28);
		sample_end(&s);
		ck_assert_uint_eq(s.len, vlan < 0 ? 1514 : 1518);
		ACCEPTED(&pkt);
		ck_assert_uint_eq(pkt.ip_len, 1500);
		ck_assert_uint_eq(pkt.vlan, vlan < 0 ? 0 : 7);
		s.len--;
		REFUSED(DROP_IP_LENGTH);
	}
	ck_assert_int_eq(decode_bytes(NULL, 0, &pkt, (struct vnet){0}), DROP_SHORT_FRAME);
	ck_assert_int_eq(decode_bytes((const uint8_t *)"", 1, &pkt, (struct vnet){0}),
			 DROP_SHORT_FRAME);
}
END_TEST

/* Fields */

static void check_tuple(const struct pkt_tuple *t, const char *src, const char *dst, unsigned sport,
			unsigned dport, unsigned proto)
{
	char buf[ADDR_TEXT];

	ck_assert_str_eq(ipaddr_text(buf, &t->src), src);
	ck_assert_str_eq(ipaddr_text(buf, &t->dst), dst);
	ck_assert_uint_eq(t->sport, sport);
	ck_assert_uint_eq(t->dport, dport);
	ck_assert_uint_eq(t->proto, proto);
}

START_TEST(fields_tcp4)
{
	struct pkt p;

	make_tcp4_data();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A4, B4, 40000, 443, 6);
	ck_assert_uint_eq(p.version, 4);
	ck_assert_uint_eq(p.ttl, 64);
	ck_assert_uint_eq(p.vlan, 0);
	ck_assert_uint_eq(p.l3, 14);
	ck_assert_uint_eq(p.l4, 34);
	ck_assert_uint_eq(p.payload, 66);
	ck_assert_uint_eq(p.tcp.seq, 0x01020304);
	ck_assert_uint_eq(p.tcp.ack, 0x0a0b0c0d);
	ck_assert_uint_eq(p.tcp.len, 100);
	ck_assert_uint_eq(p.tcp.win, 0x7000);
	ck_assert_uint_eq(p.tcp.flags, TCP_ACK | TCP_PSH);
	ck_assert_uint_eq(p.tcp.wscale, 0xff);
	ck_assert_uint_eq(p.eth_dst.b[5], 0xd);
	ck_assert_uint_eq(p.eth_src.b[5], 0x5);
	ck_assert(!p.fragment && !p.more_fragments && !p.dont_fragment && !p.icmp_error);
	ck_assert_uint_eq(p.frag_id, 0x1234);
	make_tcp4_syn();
	ACCEPTED(&p);
	ck_assert_uint_eq(p.tcp.wscale, 7);
	ck_assert_uint_eq(p.tcp.flags, TCP_SYN);
	ck_assert_uint_eq(p.tcp.len, 31);
	make_tcp4_vlan();
	ACCEPTED(&p);
	ck_assert_uint_eq(p.vlan, 77);
	ck_assert_uint_eq(p.l3, 18);
	ck_assert_uint_eq(p.l4, 38);
}
END_TEST

START_TEST(fields_others)
{
	struct pkt p;

	make_udp4_options();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A4, B4, 5353, 53, 17);
	ck_assert_uint_eq(p.l4, 42);
	ck_assert_uint_eq(p.payload, 50);
	make_echo4();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A4, B4, 0x7701, 0x7701, 1);
	ck_assert_uint_eq(p.icmp_type, 8);
	make_echo6();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A6, B6, 0x7701, 0x7701, 58);
	make_udp6_chain();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A6, B6, 5353, 53, 17);
	ck_assert_uint_eq(p.l4, 18 + 40 + 8 + 16 + 8 + 24);
	ck_assert(p.dont_fragment);
	make_tcp6();
	ACCEPTED(&p);
	ck_assert_uint_eq(p.tcp.len, 9);
	make_gre();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A4, B4, 0, 0, 47);
	ck_assert_uint_eq(p.l4, 34);
}
END_TEST

START_TEST(fields_fragments)
{
	struct pkt p;

	make_frag4_last();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A4, B4, 0, 0, 17);
	ck_assert(p.fragment && !p.more_fragments);
	ck_assert_uint_eq(p.l4, 0);
	ck_assert_uint_eq(p.frag_offset, 800);
	ck_assert_uint_eq(p.frag_len, 13);
	make_frag6_first();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A6, B6, 5353, 53, 17);
	ck_assert(p.fragment && p.more_fragments);
	ck_assert_uint_eq(p.frag_id, 0xdeadbeef);
	ck_assert_uint_eq(p.frag_len, 48);
	ck_assert_uint_eq(p.l4, 14 + 40 + 8);
	make_frag6_last();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A6, B6, 0, 0, 17);
	ck_assert_uint_eq(p.frag_offset, 48);
	ck_assert_uint_eq(p.l4, 0);
	frag6(17, 0); /* atomic: a whole packet */
	sample_udp(&s, 3);
	s.proto = 0;
	sample_end(&s);
	ACCEPTED(&p);
	ck_assert(!p.fragment);
	check_tuple(&p.tuple, A6, B6, 5353, 53, 17);
}
END_TEST

START_TEST(fields_icmp_errors)
{
	struct pkt p;

	make_error4();
	ACCEPTED(&p);
	ck_assert(p.icmp_error && !p.inner_fragment);
	check_tuple(&p.inner, A4, B4, 40000, 443, 6);
	check_tuple(&p.tuple, "203.0.113.9", A4, 0, 0, 1);
	ck_assert_uint_eq(p.inner_seq, 0x01020304);
	ck_assert_uint_eq(p.payload, p.l4 + 8);
	make_error6();
	ACCEPTED(&p);
	ck_assert(p.icmp_error);
	check_tuple(&p.inner, A6, B6, 40000, 443, 6);
	error4(11, 0); /* about a later fragment: no ports */
	quote4(IPPROTO_NUM_UDP, A4, B4, 0x00b9, 8);
	sample_end(&s);
	ACCEPTED(&p);
	ck_assert(p.icmp_error && p.inner_fragment);
	check_tuple(&p.inner, A4, B4, 0, 0, 17);
	error4(3, 1); /* about an echo request: its id is bytes 4 and 5 */
	quote4(IPPROTO_NUM_ICMP, A4, B4, 0, 0);
	sample_u16(&s, 0x0800);
	sample_u16(&s, 0);
	sample_u32(&s, 0x77010002);
	sample_end(&s);
	ACCEPTED(&p);
	check_tuple(&p.inner, A4, B4, 0x7701, 0x7701, 1);
}
END_TEST

START_TEST(every_protocol)
{
	struct pkt p;

	for (unsigned proto = 0; proto < 256; proto++) {
		sample_eth(&s, -1, ETH_IPV4);
		sample_ip4(&s, proto, A4, B4, NULL, 0);
		s.proto = 0;
		sample_fill(&s, 40);
		sample_end(&s);
		enum drop d = decode(&p);
		if (proto == 58) {
			ck_assert_int_eq(d, DROP_PROTOCOL);
		} else if (proto != 1 && proto != 6 && proto != 17) {
			ck_assert_msg(d == DROP_NONE, "protocol %u", proto);
			check_tuple(&p.tuple, A4, B4, 0, 0, proto);
		}
		sample_eth(&s, -1, ETH_IPV6);
		sample_ip6(&s, proto, A6, B6);
		s.proto = 0;
		sample_fill(&s, 40);
		sample_end(&s);
		d = decode(&p);
		if (proto == 1) {
			ck_assert_int_eq(d, DROP_PROTOCOL);
		} else if (proto != 0 && proto != 6 && proto != 17 && proto != 43 && proto != 44 &&
			   proto != 51 && proto != 58 && proto != 60) {
			ck_assert_msg(d == DROP_NONE, "protocol %u", proto);
			check_tuple(&p.tuple, A6, B6, 0, 0, proto);
		}
	}
}
END_TEST

/* Refusals: link */

START_TEST(link_layer)
{
	static const unsigned others[] = {0x0026, 0x05dc, 0x88cc, 0x8863, 0x0842, 0xffff};
	struct pkt p;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		make_tcp4_data();
		sample_set16(&s, 12, others[i]);
		REFUSED(DROP_LINK_CONTROL);
	}
	static const unsigned tags[] = {0x8100, 0x88a8, 0x9100};
	for (size_t i = 0; i < 3; i++) {
		make_tcp4_vlan();
		sample_set16(&s, 16, tags[i]); /* a tag behind the tag */
		REFUSED(DROP_BAD_VLAN);
	}
	make_tcp4_vlan();
	sample_set16(&s, 12, 0x88a8);
	REFUSED(DROP_BAD_VLAN);
	make_tcp4_vlan();
	sample_set16(&s, 14, 0xffff); /* VLAN 4095 is reserved */
	REFUSED(DROP_BAD_VLAN);
	make_tcp4_vlan();
	sample_set16(&s, 14, 0xe000); /* priority tag */
	ACCEPTED(&p);
	ck_assert_uint_eq(p.vlan, 0);
	ck_assert_uint_eq(p.l3, 18);
	make_tcp4_data();
	sample_set16(&s, 12, ETH_IPV6);
	REFUSED(DROP_IP_HEADER);
	make_tcp6();
	sample_set16(&s, 12, ETH_IPV4);
	REFUSED(DROP_IP_HEADER);
	sample_eth(&s, -1, ETH_ARP);
	ACCEPTED(&p);
	ck_assert_int_eq(p.kind, PKT_ARP);
	ck_assert_uint_eq(p.l3, 14);
}
END_TEST

/* Refusals: IPv4 */

START_TEST(ipv4_header)
{
	make_tcp4_data();
	sample_data(&s)[14] = 0x44;
	sample_ip4_sum(&s);
	REFUSED(DROP_IP_HEADER);
	make_tcp4_data();
	sample_set16(&s, 16, 0);
	sample_ip4_sum(&s);
	REFUSED(DROP_IP_LENGTH);
	make_tcp4_data();
	sample_set16(&s, 16, 19);
	sample_ip4_sum(&s);
	REFUSED(DROP_IP_LENGTH);
	make_tcp4_data();
	sample_set16(&s, 16, (unsigned)(s.len - 14 + 1));
	sample_ip4_sum(&s);
	REFUSED(DROP_IP_LENGTH);
	for (size_t bit = 0; bit < 160; bit++) { /* any single bit */
		struct pkt p;

		make_tcp4_data();
		sample_data(&s)[14 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		enum drop d = decode(&p);
		ck_assert_msg(d == DROP_IP_CHECKSUM || bit < 8 || bit / 16 == 1, "bit %zu: %s", bit,
			      drop_name(d));
		ck_assert_int_ne(d, DROP_NONE);
	}
}
END_TEST

START_TEST(ipv4_options)
{
	static const struct {
		uint8_t bytes[8];
		enum drop reason;
	} rows[] = {
		{{131, 7, 4, 1, 2, 3, 4, 0}, DROP_IP_OPTION},
		{{137, 7, 4, 1, 2, 3, 4, 0}, DROP_IP_OPTION},
		{{1, 1, 1, 1, 131, 3, 4, 0}, DROP_IP_OPTION},
		{{7, 7, 4, 0, 0, 0, 0, 0}, DROP_NONE},
		{{0, 131, 7, 4, 1, 1, 1, 1}, DROP_NONE}, /* behind the end */
		{{7, 0, 0, 0, 0, 0, 0, 0}, DROP_IP_HEADER},
		{{7, 1, 0, 0, 0, 0, 0, 0}, DROP_IP_HEADER},
		{{7, 9, 0, 0, 0, 0, 0, 0}, DROP_IP_HEADER},
		{{1, 1, 1, 1, 1, 1, 1, 7}, DROP_IP_HEADER},
		{{7, 255, 0, 0, 0, 0, 0, 0}, DROP_IP_HEADER},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sample_eth(&s, -1, ETH_IPV4);
		sample_ip4(&s, IPPROTO_NUM_UDP, A4, B4, rows[i].bytes, 8);
		sample_udp(&s, 4);
		sample_end(&s);
		REFUSED(rows[i].reason);
	}
}
END_TEST

START_TEST(ipv4_fragments)
{
	frag4(17, 0x2000, 12); /* not a multiple of eight */
	REFUSED(DROP_FRAG_BAD);
	frag4(17, 0x2000 | 100, 0);
	REFUSED(DROP_FRAG_BAD);
	frag4(17, 100, 0);
	REFUSED(DROP_FRAG_BAD);
	frag4(47, 8189, 3); /* 65512 + 3 + 20 = 65535 */
	REFUSED(DROP_NONE);
	frag4(47, 8189, 4); /* one more */
	REFUSED(DROP_FRAG_BAD);
	frag4(17, 0x2000, 0);
	REFUSED(DROP_FRAG_BAD);
	frag4(6, 0x2000, 16);
	REFUSED(DROP_FRAG_TINY);
	frag4(6, 1, 24); /* RFC 1858: begins inside the TCP header */
	REFUSED(DROP_FRAG_TINY);
	frag4(6, 2, 24);
	REFUSED(DROP_FRAG_TINY);
	frag4(6, 3, 24);
	REFUSED(DROP_NONE);
	/* TCP header there, its options not */
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, TCP_SYN, mss_ws, 12);
	s.len = s.l4 + 24;
	sample_set16(&s, s.l3 + 6, 0x2000);
	sample_end(&s);
	REFUSED(DROP_FRAG_TINY);
	/* An ICMP error is never in fragments. */
	error4(3, 1);
	quote4(IPPROTO_NUM_UDP, A4, B4, 0, 12);
	sample_set16(&s, s.l3 + 6, 0x2000);
	sample_end(&s);
	REFUSED(DROP_ICMP_UNRELATED);
}
END_TEST

/* Refusals: IPv6 */

START_TEST(ipv6_header)
{
	make_tcp6();
	sample_set16(&s, 18, (unsigned)(s.len - 54 + 1));
	REFUSED(DROP_IP_LENGTH);
	make_tcp6();
	sample_set16(&s, 18, 0); /* jumbogram, or nothing there */
	REFUSED(DROP_L4_HEADER);
	make_tcp6();
	sample_data(&s)[14] = 0x50;
	REFUSED(DROP_IP_HEADER);
}
END_TEST

static void chain6(unsigned first, const uint8_t *bytes, size_t size)
{
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, first, A6, B6);
	sample_add(&s, bytes, size);
	sample_udp(&s, 8);
	sample_end(&s);
}

START_TEST(ipv6_chain)
{
	static const struct {
		unsigned first;
		size_t size;
		uint8_t bytes[32];
		enum drop reason;
	} rows[] = {
		{43, 8, {17, 0, 0, 0}, DROP_IP_OPTION}, /* type 0 */
		{43, 8, {17, 0, 4, 1}, DROP_IP_OPTION}, /* segments left */
		{43, 8, {17, 0, 4, 0}, DROP_NONE},	/* used up */
		{43, 8, {17, 9, 4, 0}, DROP_IP6_CHAIN}, /* longer than the packet */
		{60, 8, {0, 0, 1, 4}, DROP_IP6_CHAIN},	/* hop-by-hop not first */
		{0, 16, {0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4}, DROP_IP6_CHAIN},
		{0, 8, {17, 0, 0xc2, 4, 0, 1, 0, 0}, DROP_IP_LENGTH}, /* jumbo payload */
		{60, 8, {17, 0, 5, 5, 0, 0, 0, 0}, DROP_IP6_CHAIN},   /* option too long */
		{60, 8, {17, 0, 0, 0, 0, 0, 0, 5}, DROP_IP6_CHAIN},   /* its length missing */
		{60, 8, {17, 0, 0, 0, 0, 0, 0, 0}, DROP_NONE},
		{51, 12, {17, 1}, DROP_NONE},
		{51, 8, {17, 0}, DROP_IP6_CHAIN}, /* AH of less than twelve bytes */
		{51, 12, {17, 99}, DROP_IP6_CHAIN},
		{44, 16, {44, 0, 0, 0, 0, 0, 0, 1, 17, 0, 0, 0, 0, 0, 0, 1}, DROP_IP6_CHAIN},
		{44, 16, {44, 0, 0, 1, 0, 0, 0, 1, 17, 0, 0, 1, 0, 0, 0, 1}, DROP_IP6_CHAIN},
		{44, 8, {17, 0, 0xff, 0xf8}, DROP_FRAG_BAD},
		{44, 8, {6, 0, 0, 8}, DROP_FRAG_TINY},
		{44, 8, {6, 0, 0, 1}, DROP_FRAG_TINY},
		{44, 8, {60, 0, 0, 1}, DROP_FRAG_TINY}, /* RFC 7112: chain not complete */
		{44, 8, {60, 0, 0, 0}, DROP_IP6_CHAIN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pkt p;

		chain6(rows[i].first, rows[i].bytes, rows[i].size);
		enum drop d = decode(&p);
		ck_assert_msg(d == rows[i].reason, "row %zu: %s", i, drop_name(d));
	}
}
END_TEST

START_TEST(ipv6_chain_limits)
{
	struct pkt p;
	unsigned n;

	for (n = 1; n <= 10; n++) { /* headers of eight bytes */
		sample_eth(&s, -1, ETH_IPV6);
		sample_ip6(&s, 60, A6, B6);
		for (unsigned i = 1; i <= n; i++) {
			sample_u8(&s, i == n ? 17 : 60);
			sample_add(&s, "\0\1\4\0\0\0\0", 7);
		}
		sample_udp(&s, 0);
		sample_end(&s);
		ck_assert_int_eq(decode(&p), n <= 8 ? DROP_NONE : DROP_IP6_CHAIN);
	}
	for (n = 62; n <= 66; n++) { /* one header of n * 8 bytes */
		sample_eth(&s, -1, ETH_IPV6);
		sample_ip6(&s, 60, A6, B6);
		sample_u8(&s, 17);
		sample_u8(&s, n - 1);
		memset(sample_data(&s) + s.len, 0, n * 8);
		s.len += n * 8 - 2;
		sample_udp(&s, 0);
		sample_end(&s);
		ck_assert_int_eq(decode(&p), n <= 64 ? DROP_NONE : DROP_IP6_CHAIN);
	}
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, 59, A6, B6); /* no next header */
	sample_end(&s);
	ACCEPTED(&p);
	check_tuple(&p.tuple, A6, B6, 0, 0, 59);
}
END_TEST

/* Refusals: addresses */

START_TEST(addresses)
{
	static const struct {
		const char *src, *dst;
		enum drop reason;
	} rows[] = {
		{"0.0.0.0", B4, DROP_MARTIAN},
		{"0.1.2.3", B4, DROP_MARTIAN},
		{"127.0.0.1", B4, DROP_MARTIAN},
		{"224.0.0.1", B4, DROP_MARTIAN},
		{"239.1.1.1", B4, DROP_MARTIAN},
		{"240.0.0.1", B4, DROP_MARTIAN},
		{"255.255.255.255", B4, DROP_MARTIAN},
		{A4, "0.0.0.0", DROP_MARTIAN},
		{A4, "127.0.0.1", DROP_MARTIAN},
		{A4, "240.0.0.1", DROP_MARTIAN},
		{A4, "255.255.255.254", DROP_MARTIAN},
		{A4, "224.0.0.5", DROP_LINK_CONTROL},
		{A4, "239.255.255.250", DROP_LINK_CONTROL},
		{A4, "255.255.255.255", DROP_LINK_CONTROL},
		{"0.0.0.0", "255.255.255.255", DROP_LINK_CONTROL}, /* DHCP */
		{"169.254.1.1", B4, DROP_LINK_LOCAL},
		{A4, "169.254.1.1", DROP_LINK_LOCAL},
		{A4, A4, DROP_LAND},
		{"10.0.0.1", "172.16.0.1", DROP_NONE},
		{"223.255.255.255", "128.0.0.1", DROP_NONE},
		{"::", B6, DROP_MARTIAN},
		{"::1", B6, DROP_MARTIAN},
		{"::192.0.2.1", B6, DROP_MARTIAN},
		{"ff02::1", B6, DROP_MARTIAN},
		{A6, "::", DROP_MARTIAN},
		{A6, "::1", DROP_MARTIAN},
		{A6, "ff02::2", DROP_LINK_CONTROL},
		{A6, "ff0e::1", DROP_LINK_CONTROL},
		{"::", "ff02::16", DROP_LINK_CONTROL}, /* MLD before it has an address */
		{"fe80::1", B6, DROP_LINK_LOCAL},
		{A6, "fe80::1", DROP_LINK_LOCAL},
		{A6, A6, DROP_LAND},
		{"::1:0:0", B6, DROP_MARTIAN},
		{"fd00::1", "64:ff9b::1", DROP_NONE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool v4 = strchr(rows[i].src, ':') == NULL;
		struct pkt p;

		sample_eth(&s, -1, v4 ? ETH_IPV4 : ETH_IPV6);
		if (v4)
			sample_ip4(&s, 17, rows[i].src, rows[i].dst, NULL, 0);
		else
			sample_ip6(&s, 17, rows[i].src, rows[i].dst);
		sample_udp(&s, 5);
		sample_end(&s);
		enum drop d = decode(&p);
		ck_assert_msg(d == rows[i].reason, "%s > %s: %s", rows[i].src, rows[i].dst,
			      drop_name(d));
	}
}
END_TEST

/* An IPv6 packet must not pass for one of an IPv4 host. */
START_TEST(mapped_addresses)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};

	for (unsigned at = 8; at <= 24; at += 16) {
		make_tcp6();
		memcpy(sample_data(&s) + s.l3 + at, mapped, 16);
		sample_l4(&s);
		REFUSED(DROP_MARTIAN);
	}
	make_error6(); /* the quoted packet's destination */
	memcpy(sample_data(&s) + s.l4 + 8 + 24, mapped, 16);
	sample_l4(&s);
	REFUSED(DROP_ICMP_UNRELATED);
}
END_TEST

/* Refusals: transport */

START_TEST(tcp_flags)
{
	static const uint8_t legal[] = {
		TCP_SYN, TCP_SYN | TCP_ACK, TCP_RST, TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK, TCP_ACK,
	};

	for (unsigned flags = 0; flags < 256; flags++) {
		unsigned f = flags & 0x17; /* PSH, and the ECN bits, go with anything */
		bool ok = false;
		struct pkt p;

		for (size_t i = 0; i < sizeof(legal); i++)
			ok |= f == legal[i];
		if (flags & TCP_URG && (f == (TCP_SYN | TCP_ACK) || f & TCP_RST))
			ok = false;
		tcp4(flags);
		enum drop d = decode(&p);
		ck_assert_msg(d == (ok ? DROP_NONE : DROP_TCP_FLAGS), "%02x: %s", flags,
			      drop_name(d));
	}
}
END_TEST

START_TEST(tcp_header)
{
	struct pkt p;

	for (unsigned words = 0; words < 16; words++) {
		make_tcp4_data(); /* 132 bytes of TCP */
		sample_data(&s)[s.l4 + 12] = (uint8_t)(words << 4);
		memset(sample_data(&s) + s.l4 + 20, 1, 40);
		sample_l4(&s);
		ck_assert_int_eq(decode(&p), words < 5 ? DROP_L4_HEADER : DROP_NONE);
	}
	static const struct {
		uint8_t bytes[8];
		int wscale; /* -1: refused */
	} rows[] = {
		{{3, 3, 0, 0}, 0},
		{{3, 3, 14, 0}, 14},
		{{3, 3, 15, 0}, 14},
		{{3, 3, 255, 0}, 14},
		{{1, 1, 1, 3, 3, 9, 0}, 9},
		{{0, 3, 3, 9}, 0xff},
		{{3, 2, 1, 1}, 0xff},
		{{3, 4, 9, 9, 1, 1, 1, 1}, 0xff},
		{{3, 0, 0, 0}, -1},
		{{3, 1, 0, 0}, -1},
		{{8, 10, 0, 0}, -1},
		{{1, 1, 1, 1, 1, 1, 1, 3}, -1},
		{{253, 8, 1, 2, 3, 4, 5, 6}, 0xff},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sample_eth(&s, -1, ETH_IPV4);
		sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
		sample_tcp(&s, TCP_SYN, rows[i].bytes, 8);
		sample_end(&s);
		enum drop d = decode(&p);
		ck_assert_int_eq(d, rows[i].wscale < 0 ? DROP_L4_HEADER : DROP_NONE);
		if (d == DROP_NONE)
			ck_assert_int_eq(p.tcp.wscale, rows[i].wscale);
	}
	/* Only a SYN's scale counts. */
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, TCP_ACK, mss_ws, 12);
	sample_end(&s);
	ACCEPTED(&p);
	ck_assert_int_eq(p.tcp.wscale, 0xff);
}
END_TEST

START_TEST(udp_length)
{
	static const struct {
		unsigned len;
		enum drop reason;
	} rows[] = {
		{0, DROP_L4_HEADER}, {7, DROP_L4_HEADER}, {8, DROP_NONE},
		{40, DROP_NONE},     {41, DROP_NONE},	  {42, DROP_L4_HEADER},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_udp4_options(); /* 41 bytes of UDP */
		sample_set16(&s, s.l4 + 4, rows[i].len);
		REFUSED(rows[i].reason);
	}
}
END_TEST

/* Wrong checksums: refused where the packet could change state, left alone where not. */
START_TEST(transport_checksums)
{
	static const struct {
		void (*make)(void);
		enum drop reason;
	} rows[] = {
		{make_tcp4_syn, DROP_L4_CHECKSUM}, {make_tcp6, DROP_L4_CHECKSUM},
		{make_echo4, DROP_L4_CHECKSUM},	   {make_echo6, DROP_L4_CHECKSUM},
		{make_error4, DROP_L4_CHECKSUM},   {make_error6, DROP_L4_CHECKSUM},
		{make_tcp4_data, DROP_NONE},	   {make_udp4_options, DROP_NONE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vnet partial = {.flags = VNET_F_NEEDS_CSUM};
		struct vnet valid = {.flags = VNET_F_DATA_VALID};
		struct vnet gso = {.gso_type = VNET_GSO_TCPV4, .gso_size = 1000};
		struct pkt p;

		rows[i].make();
		sample_data(&s)[s.l4 + sample_sum_at(s.proto)] ^= 1;
		ck_assert_int_eq(decode(&p), rows[i].reason);
		ck_assert_int_eq(decode_bytes(sample_data(&s), s.len, &p, partial), DROP_NONE);
		ck_assert_int_eq(decode_bytes(sample_data(&s), s.len, &p, valid), DROP_NONE);
		ck_assert_int_eq(decode_bytes(sample_data(&s), s.len, &p, gso), DROP_NONE);
	}
}
END_TEST

/* Compare CVE-2019-5598: an error is for whom it quotes. */
START_TEST(icmp_error_for_somebody_else)
{
	error4(3, 3);
	quote4(IPPROTO_NUM_UDP, "192.0.2.99", B4, 0, 8);
	sample_end(&s);
	REFUSED(DROP_ICMP_UNRELATED);
	error6(1, 4);
	quote6(IPPROTO_NUM_UDP, "2001:db8::99", B6, 8);
	sample_end(&s);
	REFUSED(DROP_ICMP_UNRELATED);
}
END_TEST

START_TEST(icmp_errors_malformed)
{
	error4(3, 3); /* seven bytes of transport */
	quote4(IPPROTO_NUM_UDP, A4, B4, 0, 7);
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	error6(1, 4);
	quote6(IPPROTO_NUM_UDP, A6, B6, 7);
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	error4(3, 3); /* quoted version, header length, total length */
	quote4(IPPROTO_NUM_UDP, A4, B4, 0, 8);
	sample_data(&s)[s.l4 + 8] = 0x65;
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	sample_data(&s)[s.l4 + 8] = 0x44;
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	sample_data(&s)[s.l4 + 8] = 0x4f;
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	sample_data(&s)[s.l4 + 8] = 0x45;
	sample_set16(&s, s.l4 + 10, 19);
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	error4(3, 3); /* an error about an error */
	quote4(IPPROTO_NUM_ICMP, A4, B4, 0, 0);
	sample_u16(&s, 0x0b00);
	sample_fill(&s, 6);
	sample_end(&s);
	REFUSED(DROP_ICMP_UNRELATED);
	error4(5, 1); /* a redirect is not for forwarding */
	quote4(IPPROTO_NUM_UDP, A4, B4, 0, 8);
	sample_end(&s);
	REFUSED(DROP_ICMP_UNRELATED);
}
END_TEST

/* Neighbour discovery keeps its odd addresses; with a fragment header it is refused (RFC 6980). */
START_TEST(neighbour_discovery)
{
	struct pkt p;

	for (unsigned type = 130; type <= 138; type++) {
		sample_eth(&s, -1, ETH_IPV6);
		sample_ip6(&s, IPPROTO_NUM_ICMP6, "::", "ff02::1:ff00:1");
		sample_icmp(&s, type, 0, 0);
		sample_fill(&s, 16);
		sample_end(&s);
		bool nd = type >= 133 && type <= 137;
		ck_assert_int_eq(decode(&p), nd ? DROP_NONE : DROP_LINK_CONTROL);
		ck_assert_int_eq(p.kind, nd ? PKT_ND : PKT_IP);
	}
	for (unsigned more = 0; more < 2; more++) {
		frag6(58, more);
		sample_icmp(&s, 135, 0, 0);
		sample_fill(&s, 16);
		sample_end(&s);
		REFUSED(DROP_IP6_CHAIN);
	}
}
END_TEST

/* Bare IP packets, as they come in cluster messages. */
START_TEST(bare_ip)
{
	for (size_t i = 0; i < N_MAKERS; i++) {
		makers[i]();
		for (unsigned l3 = 0; l3 <= 18; l3 += 9) {
			size_t ip = s.len - s.l3, len = l3 + ip;
			uint8_t *d = guard_copy(NULL, len);
			struct frame f = {.data = d, .len = (uint32_t)len};
			struct pkt p;

			memcpy(d + l3, sample_data(&s) + s.l3, ip);
			ck_assert_int_eq(pkt_decode_ip(&p, &f, (uint16_t)l3), DROP_NONE);
			ck_assert_uint_eq(p.l3, l3);
			ck_assert_uint_eq(p.vlan, 0);
			ck_assert_uint_eq(p.eth_src.b[0] | p.eth_dst.b[0], 0);
			for (f.len = 0; f.len < len; f.len++) {
				struct frame cut = f;

				ck_assert_int_ne(pkt_decode_ip(&p, &cut, (uint16_t)l3), DROP_NONE);
			}
			guard_free(d, len);
		}
	}
	struct frame f = {.data = (uint8_t[]){0x55, 0}, .len = 2};
	struct pkt p;
	ck_assert_int_eq(pkt_decode_ip(&p, &f, 0), DROP_IP_HEADER);
}
END_TEST

START_TEST(wire_len)
{
	struct frame f;
	struct pkt p;

	make_tcp4_data(); /* 20 + 32 + 100 */
	f = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&p, &f), DROP_NONE);
	ck_assert_uint_eq(pkt_wire_len(&p), 152);
	f.vnet = (struct vnet){.gso_type = VNET_GSO_TCPV4, .gso_size = 30};
	ck_assert_uint_eq(pkt_wire_len(&p), 82);
	f.vnet.gso_size = 100;
	ck_assert_uint_eq(pkt_wire_len(&p), 152);
	f.vnet.gso_size = 1448;
	ck_assert_uint_eq(pkt_wire_len(&p), 152);
	f.vnet.gso_size = 0;
	ck_assert_uint_eq(pkt_wire_len(&p), 152);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decode");
	TCase *t = tcase_create("decode");

	tcase_add_loop_test(t, every_prefix, 0, N_MAKERS);
	tcase_add_loop_test(t, every_shorter_packet, 0, N_MAKERS);
	tcase_add_loop_test(t, padding, 0, N_MAKERS);
	tcase_add_test(t, frames_of_mtu);
	tcase_add_test(t, fields_tcp4);
	tcase_add_test(t, fields_others);
	tcase_add_test(t, fields_fragments);
	tcase_add_test(t, fields_icmp_errors);
	tcase_add_test(t, every_protocol);
	tcase_add_test(t, link_layer);
	tcase_add_test(t, ipv4_header);
	tcase_add_test(t, ipv4_options);
	tcase_add_test(t, ipv4_fragments);
	tcase_add_test(t, ipv6_header);
	tcase_add_test(t, ipv6_chain);
	tcase_add_test(t, ipv6_chain_limits);
	tcase_add_test(t, addresses);
	tcase_add_test(t, mapped_addresses);
	tcase_add_test(t, tcp_flags);
	tcase_add_test(t, tcp_header);
	tcase_add_test(t, udp_length);
	tcase_add_test(t, transport_checksums);
	tcase_add_test(t, icmp_error_for_somebody_else);
	tcase_add_test(t, icmp_errors_malformed);
	tcase_add_test(t, neighbour_discovery);
	tcase_add_test(t, bare_ip);
	tcase_add_test(t, wire_len);
	suite_add_tcase(suite, t);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
