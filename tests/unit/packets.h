/*
 * packets.h - sample packets for the tests, written field by field and summed by a plain loop of
 * its own, so that nothing here depends on the code under test.
 */
#ifndef TESTS_PACKETS_H
#define TESTS_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cursor.h"
#include "packet/decode.h"

#define SAMPLE_MAX 70000

/* A frame under construction. */
struct sample {
	uint8_t room[FRAME_HEADROOM + SAMPLE_MAX];
	size_t len;
	size_t l3, l4;
	uint8_t version, proto;
};

static inline uint8_t *sample_data(struct sample *s)
{
	return s->room + FRAME_HEADROOM;
}

static inline void sample_add(struct sample *s, const void *data, size_t size)
{
	memcpy(sample_data(s) + s->len, data, size);
	s->len += size;
}

static inline void sample_u8(struct sample *s, unsigned v)
{
	uint8_t b = (uint8_t)v;
	sample_add(s, &b, 1);
}

static inline void sample_u16(struct sample *s, unsigned v)
{
	sample_u8(s, v >> 8 & 0xff);
	sample_u8(s, v & 0xff);
}

static inline void sample_u32(struct sample *s, uint32_t v)
{
	sample_u16(s, v >> 16);
	sample_u16(s, v & 0xffff);
}

static inline void sample_fill(struct sample *s, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sample_u8(s, (unsigned)(i * 7 + 3) & 0xff);
}

static inline void sample_set16(struct sample *s, size_t at, unsigned v)
{
	sample_data(s)[at] = (uint8_t)(v >> 8);
	sample_data(s)[at + 1] = (uint8_t)v;
}

static inline unsigned sample_get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* The sum of big-endian 16-bit words, the last byte padded; unfolded. */
static inline uint32_t sample_words(uint32_t sum, const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	return sum;
}

static inline unsigned sample_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static inline void sample_eth(struct sample *s, int vlan, unsigned type)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 0xd, 2, 0, 0, 0, 0, 0x5};

	s->len = 0;
	sample_add(s, macs, sizeof(macs));
	if (vlan >= 0) {
		sample_u16(s, ETH_VLAN);
		sample_u16(s, (unsigned)vlan);
	}
	sample_u16(s, type);
	s->l3 = s->len;
}

/* IPv4 header with `options` bytes of options; lengths and checksum are set by sample_end. */
static inline void sample_ip4(struct sample *s, unsigned proto, const char *src, const char *dst,
			      const uint8_t *options, size_t n_options)
{
	struct ipaddr a;

	s->version = 4;
	s->proto = (uint8_t)proto;
	s->l3 = s->len;
	sample_u8(s, (unsigned)(0x45 + n_options / 4));
	sample_u8(s, 0);
	sample_u16(s, 0);
	sample_u16(s, 0x1234);
	sample_u16(s, 0);
	sample_u8(s, 64);
	sample_u8(s, proto);
	sample_u16(s, 0);
	ipaddr_parse(&a, src);
	sample_add(s, a.b + 12, 4);
	ipaddr_parse(&a, dst);
	sample_add(s, a.b + 12, 4);
	if (n_options > 0)
		sample_add(s, options, n_options);
	s->l4 = s->len;
}

static inline void sample_ip6(struct sample *s, unsigned next, const char *src, const char *dst)
{
	struct ipaddr a;

	s->version = 6;
	s->proto = (uint8_t)next;
	s->l3 = s->len;
	sample_u32(s, 0x60000000);
	sample_u16(s, 0);
	sample_u8(s, next);
	sample_u8(s, 64);
	ipaddr_parse(&a, src);
	sample_add(s, a.b, 16);
	ipaddr_parse(&a, dst);
	sample_add(s, a.b, 16);
	s->l4 = s->len;
}

/* TCP header; `options` a multiple of 4. */
static inline void sample_tcp(struct sample *s, unsigned flags, const uint8_t *options,
			      size_t n_options)
{
	s->proto = IPPROTO_NUM_TCP;
	s->l4 = s->len;
	sample_u16(s, 40000);
	sample_u16(s, 443);
	sample_u32(s, 0x01020304);
	sample_u32(s, 0x0a0b0c0d);
	sample_u8(s, (unsigned)(5 + n_options / 4) << 4);
	sample_u8(s, flags);
	sample_u16(s, 0x7000);
	sample_u32(s, 0);
	if (n_options > 0)
		sample_add(s, options, n_options);
}

static inline void sample_udp(struct sample *s, size_t payload)
{
	s->proto = IPPROTO_NUM_UDP;
	s->l4 = s->len;
	sample_u16(s, 5353);
	sample_u16(s, 53);
	sample_u16(s, (unsigned)(8 + payload));
	sample_u16(s, 0);
	sample_fill(s, payload);
}

static inline void sample_icmp(struct sample *s, unsigned type, unsigned code, uint32_t rest)
{
	s->proto = s->version == 4 ? IPPROTO_NUM_ICMP : IPPROTO_NUM_ICMP6;
	s->l4 = s->len;
	sample_u8(s, type);
	sample_u8(s, code);
	sample_u16(s, 0);
	sample_u32(s, rest);
}

static inline size_t sample_sum_at(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_NUM_TCP:
		return 16;
	case IPPROTO_NUM_UDP:
		return 6;
	case IPPROTO_NUM_ICMP:
	case IPPROTO_NUM_ICMP6:
		return 2;
	default:
		return 0;
	}
}

/* Checksum of pseudo-header, `l4` and what follows, as found in a packet: 0 when right. */
static inline unsigned sample_l4_sum(const uint8_t *l3, uint8_t version, uint8_t proto,
				     const uint8_t *l4, size_t size)
{
	uint32_t sum = 0;

	if (proto != IPPROTO_NUM_ICMP) {
		sum = version == 4 ? sample_words(0, l3 + 12, 8) : sample_words(0, l3 + 8, 32);
		sum += proto + (uint32_t)size;
	}
	return sample_fold(sample_words(sum, l4, size));
}

static inline void sample_ip4_sum(struct sample *s)
{
	uint8_t *ip = sample_data(s) + s->l3;

	sample_set16(s, s->l3 + 10, 0);
	sample_set16(s, s->l3 + 10, sample_fold(sample_words(0, ip, (ip[0] & 15u) * 4)));
}

/* The transport checksum, as it should be. */
static inline void sample_l4(struct sample *s)
{
	size_t at = sample_sum_at(s->proto);
	uint8_t *d = sample_data(s);

	if (at == 0 || s->len < s->l4 + at + 2)
		return;
	sample_set16(s, s->l4 + at, 0);
	sample_set16(s, s->l4 + at,
		     sample_l4_sum(d + s->l3, s->version, s->proto, d + s->l4, s->len - s->l4));
}

/* Lengths and all checksums. */
static inline void sample_end(struct sample *s)
{
	if (s->version == 4) {
		sample_set16(s, s->l3 + 2, (unsigned)(s->len - s->l3));
		sample_ip4_sum(s);
	} else {
		sample_set16(s, s->l3 + 4, (unsigned)(s->len - s->l3 - 40));
	}
	sample_l4(s);
}

static inline struct frame sample_frame(struct sample *s)
{
	return (struct frame){.data = sample_data(s), .len = (uint32_t)s->len, .port = 3};
}

#endif
