#include "packet/nat.h"

#include <string.h>

#include "base/cursor.h"
#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/decode_parts.h"

#define QUOTED 8 /* of the transport header at least, as RFC 792 has it */

/* Every function that puts something in place of something else returns what that adds to a sum
 * over the bytes it has changed. */

static inline uint64_t put_word(uint8_t *p, uint32_t now)
{
	uint32_t was;

	memcpy(&was, p, sizeof(was));
	memcpy(p, &now, sizeof(now));
	return csum_change32(was, now);
}

static inline uint64_t put_address6(uint8_t *p, const struct ipaddr *a)
{
	return put_word(p, a->w[0]) + put_word(p + 4, a->w[1]) + put_word(p + 8, a->w[2]) +
	       put_word(p + 12, a->w[3]);
}

/* Addresses: what the sum of the pseudo-header changes by. That of the IPv4 header, its checksum
 * left out, changes by the same. */
static inline uint64_t put_addresses4(uint8_t *ip, const struct ipaddr *src,
				      const struct ipaddr *dst)
{
	return put_word(ip + 12, src->w[3]) + put_word(ip + 16, dst->w[3]);
}

static inline uint64_t put_addresses6(uint8_t *ip, const struct ipaddr *src,
				      const struct ipaddr *dst)
{
	return put_address6(ip + 8, src) + put_address6(ip + 24, dst);
}

static inline uint64_t put_ports(uint8_t *l4, uint16_t sport, uint16_t dport)
{
	uint8_t be[4];
	uint32_t now;

	put_be32(be, (uint32_t)sport << 16 | dport);
	memcpy(&now, be, sizeof(now));
	return put_word(l4, now);
}

/* A complete checksum. UDP: zero says that there is none, and is not what a sum may come to. */
static inline void update_sum(uint8_t *field, uint8_t proto, uint64_t change)
{
	if (proto == IPPROTO_NUM_UDP && get_be16(field) == 0)
		return;
	csum_update(field, change);
	if (proto == IPPROTO_NUM_UDP && get_be16(field) == 0)
		put_be16(field, 0xffff);
}

/* Where the checksum is that has the pseudo-header in it; 0 for protocols without (ICMP for IPv4)
 * or not known. */
static inline unsigned sum_offset(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_NUM_TCP:
		return 16;
	case IPPROTO_NUM_UDP:
		return 6;
	case IPPROTO_NUM_ICMP6:
		return 2;
	default:
		return 0;
	}
}

static inline bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_NUM_TCP || proto == IPPROTO_NUM_UDP;
}

/* Behind the IP header. Once per packet: no loop, and no register is saved before it is needed. */
static void rewrite_l4(struct pkt *pkt, const struct pkt_tuple *to, uint64_t pseudo)
{
	uint8_t *l4 = pkt->frame->data + pkt->l4;
	uint8_t proto = pkt->tuple.proto;
	unsigned at = sum_offset(proto);
	uint64_t ports = 0;

	pkt->tuple.src = to->src;
	pkt->tuple.dst = to->dst;
	if (pkt->l4 == 0 || at == 0)
		return;
	if (has_ports(proto)) {
		ports = put_ports(l4, to->sport, to->dport);
		pkt->tuple.sport = to->sport;
		pkt->tuple.dport = to->dport;
	}
	if (csum_is_partial(pkt))
		csum_update_partial(l4 + at, pseudo);
	else
		update_sum(l4 + at, proto, pseudo + ports);
}

void nat_rewrite(struct pkt *pkt, const struct pkt_tuple *to)
{
	uint8_t *ip = pkt->frame->data + pkt->l3;
	uint64_t pseudo;

	if (pkt->version == 4) {
		pseudo = put_addresses4(ip, &to->src, &to->dst);
		csum_update(ip + 10, pseudo);
	} else {
		pseudo = put_addresses6(ip, &to->src, &to->dst);
	}
	rewrite_l4(pkt, to, pseudo);
}

size_t find_quoted_l4(const struct pkt *pkt, const uint8_t *ip, const uint8_t **l4)
{
	const uint8_t *end = pkt->frame->data + pkt->l3 + pkt->ip_len;
	struct rcur c = rcur_init(ip, (size_t)(end - ip));
	size_t len;

	if (pkt->inner_fragment)
		return 0;
	if (pkt->version == 4) {
		len = get_be16(ip + 2);
		rcur_skip(&c, (ip[0] & 0x0fu) * 4u);
	} else {
		struct ip6_chain chain;

		len = (size_t)get_be16(ip + 4) + IPV6_HEADER;
		rcur_skip(&c, IPV6_HEADER);
		if (ip6_chain_walk(&chain, &c, ip[6]) != DROP_NONE)
			return 0;
	}
	/* What is behind the packet's own end is padding and extensions (RFC 4884). Its first bytes
	 * are the ports, whatever it says: decoding has read them. */
	size_t before = (size_t)(c.pos - ip);
	len = len < before + QUOTED ? QUOTED : len - before;
	*l4 = c.pos;
	return len < rcur_left(&c) ? len : rcur_left(&c);
}

/* Ports and checksum of the quoted packet, as far as they are there; `pseudo` from its addresses.
 * A checksum that was cut off has no say. */
static uint64_t put_quoted_l4(struct pkt *pkt, uint8_t *l4, size_t size, uint64_t pseudo,
			      const struct pkt_tuple *inner)
{
	uint8_t proto = pkt->inner.proto;
	unsigned at = sum_offset(proto);
	uint64_t ports = 0;
	uint16_t was, now;

	if (has_ports(proto) && size >= 4) {
		ports = put_ports(l4, inner->sport, inner->dport);
		pkt->inner.sport = inner->sport;
		pkt->inner.dport = inner->dport;
	}
	if (at == 0 || size < at + 2u)
		return ports;
	memcpy(&was, l4 + at, sizeof(was));
	update_sum(l4 + at, proto, pseudo + ports);
	memcpy(&now, l4 + at, sizeof(now));
	return ports + csum_change16(was, now);
}

/* All of the quoted packet. */
static uint64_t put_quoted(struct pkt *pkt, const struct pkt_tuple *inner)
{
	uint8_t *ip = pkt->frame->data + pkt->payload;
	const uint8_t *l4;
	uint64_t pseudo, change;

	if (pkt->version == 4) {
		uint16_t was, now;

		pseudo = put_addresses4(ip, &inner->src, &inner->dst);
		memcpy(&was, ip + 10, sizeof(was));
		csum_update(ip + 10, pseudo);
		memcpy(&now, ip + 10, sizeof(now));
		change = pseudo + csum_change16(was, now);
	} else {
		change = pseudo = put_addresses6(ip, &inner->src, &inner->dst);
	}
	pkt->inner.src = inner->src;
	pkt->inner.dst = inner->dst;
	size_t size = find_quoted_l4(pkt, ip, &l4);
	if (size > 0)
		change += put_quoted_l4(pkt, ip + (l4 - ip), size, pseudo, inner);
	return change;
}

void nat_rewrite_error(struct pkt *pkt, const struct ipaddr *src, const struct ipaddr *dst,
		       const struct pkt_tuple *inner)
{
	/* The caller may hand in pkt's own addresses. */
	struct pkt_tuple to = {.src = *src, .dst = *dst}, quoted = *inner;
	uint64_t change = put_quoted(pkt, &quoted);

	/* A partial sum has only the pseudo-header in it. */
	if (!csum_is_partial(pkt))
		csum_update(pkt->frame->data + pkt->l4 + 2, change);
	nat_rewrite(pkt, &to);
}
