/*
 * decode_samples.h - one packet of each kind that is decoded, for the tests of pkt_decode.
 */
#ifndef TESTS_DECODE_SAMPLES_H
#define TESTS_DECODE_SAMPLES_H

#include <check.h>

#include "guard.h"
#include "packets.h"

#define A4 "192.0.2.1"
#define B4 "198.51.100.2"
#define A6 "2001:db8::1"
#define B6 "2001:db8:f::2"

static struct sample s;

/* Decode a copy that ends at an unreadable page. pkt->frame is not to be used afterwards. */
static inline enum drop decode_bytes(const uint8_t *data, size_t len, struct pkt *pkt,
				     struct vnet vnet)
{
	uint8_t *p = guard_copy(data, len);
	struct frame f = {.data = p, .len = (uint32_t)len, .vnet = vnet};

	memset(pkt, 0xa5, sizeof(*pkt));
	enum drop reason = pkt_decode(pkt, &f);
	ck_assert_uint_le(f.len, len);
	guard_free(p, len);
	return reason;
}

static inline enum drop decode(struct pkt *pkt)
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

static inline void tcp4(unsigned flags)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, flags, NULL, 0);
	sample_end(&s);
}

static inline void make_tcp4_data(void)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, TCP_ACK | TCP_PSH, stamps, 12);
	sample_fill(&s, 100);
	sample_end(&s);
}

static inline void make_tcp4_syn(void)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, TCP_SYN | 0xc0, mss_ws, 12); /* ECN set-up */
	sample_fill(&s, 31);			    /* and Fast Open data */
	sample_end(&s);
}

static inline void make_tcp4_vlan(void)
{
	sample_eth(&s, 77, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, TCP_ACK, NULL, 0);
	sample_end(&s);
}

static inline void make_udp4_options(void)
{
	static const uint8_t router_alert[8] = {1, 0x94, 4, 0, 0, 1, 0, 9};

	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_UDP, A4, B4, router_alert, 8);
	sample_udp(&s, 33);
	sample_end(&s);
}

static inline void make_echo4(void)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_ICMP, A4, B4, NULL, 0);
	sample_icmp(&s, 8, 0, 0x77010002);
	sample_fill(&s, 15);
	sample_end(&s);
}

/* A packet from `src` to `dst` as it is quoted, with `l4` bytes of transport. */
static inline void quote4(unsigned proto, const char *src, const char *dst, unsigned frag,
			  size_t l4)
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

static inline void quote6(unsigned next, const char *src, const char *dst, size_t l4)
{
	struct sample inner;
	inner.len = 0;
	sample_ip6(&inner, next, src, dst);
	sample_set16(&inner, 4, 1400);
	sample_add(&s, sample_data(&inner), inner.len);
	static const uint8_t ports[8] = {0x9c, 0x40, 0x01, 0xbb, 1, 2, 3, 4};
	sample_add(&s, ports, l4);
}

static inline void error4(unsigned type, unsigned code)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_ICMP, "203.0.113.9", A4, NULL, 0);
	sample_icmp(&s, type, code, 1400);
}

static inline void error6(unsigned type, unsigned code)
{
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, IPPROTO_NUM_ICMP6, "2001:db8:9::9", A6);
	sample_icmp(&s, type, code, 1280);
}

static inline void make_error4(void)
{
	error4(3, 4);
	quote4(IPPROTO_NUM_TCP, A4, B4, 0x4000, 8);
	sample_end(&s);
}

static inline void make_error6(void)
{
	error6(2, 0);
	quote6(IPPROTO_NUM_TCP, A6, B6, 8);
	sample_end(&s);
}

static inline void make_tcp6(void)
{
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, IPPROTO_NUM_TCP, A6, B6);
	sample_tcp(&s, TCP_ACK | TCP_FIN, stamps, 12);
	sample_fill(&s, 9);
	sample_end(&s);
}

static inline void set_next(unsigned proto)
{
	sample_data(&s)[s.l3 + 6] = (uint8_t)proto;
}

/* Hop-by-hop, destination options, routing with nothing left, AH, then UDP. */
static inline void make_udp6_chain(void)
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

static inline void make_echo6(void)
{
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, IPPROTO_NUM_ICMP6, A6, B6);
	sample_icmp(&s, 129, 0, 0x77010002);
	sample_fill(&s, 8);
	sample_end(&s);
}

static inline void frag6(unsigned next, unsigned field)
{
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, 44, A6, B6);
	sample_u8(&s, next);
	sample_u8(&s, 0);
	sample_u16(&s, field);
	sample_u32(&s, 0xdeadbeef);
}

static inline void make_frag6_first(void)
{
	frag6(17, 1);
	sample_udp(&s, 40);
	s.proto = 0;
	sample_end(&s);
}

static inline void make_frag6_last(void)
{
	frag6(17, 48);
	s.proto = 0;
	sample_fill(&s, 5);
	sample_end(&s);
}

static inline void frag4(unsigned proto, unsigned field, size_t n)
{
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, proto, A4, B4, NULL, 0);
	sample_set16(&s, s.l3 + 6, field);
	s.proto = 0;
	sample_fill(&s, n);
	sample_end(&s);
}

static inline void make_frag4_last(void)
{
	frag4(17, 100, 13);
}

static inline void make_gre(void)
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

static inline void check_tuple(const struct pkt_tuple *t, const char *src, const char *dst,
			       unsigned sport, unsigned dport, unsigned proto)
{
	char buf[ADDR_TEXT];

	ck_assert_str_eq(ipaddr_text(buf, &t->src), src);
	ck_assert_str_eq(ipaddr_text(buf, &t->dst), dst);
	ck_assert_uint_eq(t->sport, sport);
	ck_assert_uint_eq(t->dport, dport);
	ck_assert_uint_eq(t->proto, proto);
}

#endif
