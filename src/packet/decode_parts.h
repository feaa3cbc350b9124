/*
 * decode_parts.h - the steps of pkt_decode, one file each. Private to src/packet.
 *
 * Every step gets a cursor at its first byte and leaves it at the first byte of the next step;
 * decode_ipv4 and decode_ipv6 also end it where the IP packet ends.
 */
#ifndef PACKET_DECODE_PARTS_H
#define PACKET_DECODE_PARTS_H

#include "base/cursor.h"
#include "packet/checksum.h"
#include "packet/decode.h"

#define ETH_HEADER 14
#define VLAN_TAG 4
#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define TCP_HEADER 20
#define UDP_HEADER 8
#define ICMP_HEADER 8

#define ICMP_ECHO_REPLY 0
#define ICMP_UNREACH 3
#define ICMP_QUENCH 4
#define ICMP_REDIRECT 5
#define ICMP_ECHO 8
#define ICMP_EXCEEDED 11
#define ICMP_PARAMETER 12
#define ICMP6_ECHO 128
#define ICMP6_ECHO_REPLY 129
#define ND_FIRST 133
#define ND_SOLICIT 135
#define ND_ADVERT 136
#define ND_LAST 137

#define IPPROTO_NUM_HOPOPTS 0
#define IPPROTO_NUM_ROUTING 43
#define IPPROTO_NUM_FRAGMENT 44
#define IPPROTO_NUM_AH 51
#define IPPROTO_NUM_DSTOPTS 60

/* Whether the checksum of an IPv4 header of `header` bytes is right. A whole number of 32-bit
 * words, so simpler and faster than csum_add. */
static inline bool ipv4_sum_ok(const uint8_t *h, uint32_t header)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < header; i += 4) {
		uint32_t w;

		memcpy(&w, h + i, sizeof(w));
		sum += w;
	}
	return csum_fold(sum) == 0;
}

enum drop decode_ipv4(struct pkt *pkt, struct rcur *c);
enum drop decode_ipv6(struct pkt *pkt, struct rcur *c);

/* Transport header of a packet that is no later fragment. */
enum drop decode_l4(struct pkt *pkt, struct rcur *c);

/* The packet quoted in an ICMP error, as far as it is there. */
enum drop decode_inner(struct pkt *pkt, struct rcur *c);

/* IPv6 extension headers up to the transport header or, of a later fragment, its data. */
struct ip6_chain {
	uint8_t proto;
	bool fragment_header;
	uint16_t frag_field; /* offset and flags as in the header */
	uint32_t frag_id;
	const uint8_t *frag_data; /* behind the fragment header */
};
enum drop ip6_chain_walk(struct ip6_chain *chain, struct rcur *c, uint8_t first);

/* Bytes that are quoted of the transport header of the packet quoted at `ip`, and of its data; 0
 * when that is a later fragment. (nat.c) */
size_t find_quoted_l4(const struct pkt *pkt, const uint8_t *ip, const uint8_t **l4);

#endif
