#include "packet/bytes.h"
#include "packet/decode_parts.h"

/* What RFC 792 promises of the quoted transport header: ports and, of TCP, the sequence number. */
#define QUOTED 8

static bool is_echo(const struct pkt *pkt, uint8_t type)
{
	return pkt->version == 4 ? type == ICMP_ECHO || type == ICMP_ECHO_REPLY
				 : type == ICMP6_ECHO || type == ICMP6_ECHO_REPLY;
}

/* An error about an error is never sent (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e). */
static bool is_error(const struct pkt *pkt, uint8_t type)
{
	if (pkt->version == 6)
		return type < ICMP6_ECHO || type == ND_LAST;
	return (type >= ICMP_UNREACH && type <= ICMP_REDIRECT) || type == ICMP_EXCEEDED ||
	       type == ICMP_PARAMETER;
}

static enum drop inner_icmp(struct pkt *pkt, const uint8_t *h)
{
	if (is_error(pkt, h[0]))
		return DROP_ICMP_UNRELATED;
	if (is_echo(pkt, h[0]))
		pkt->inner.sport = pkt->inner.dport = get_be16(h + 4);
	return DROP_NONE;
}

static enum drop inner_l4(struct pkt *pkt, struct rcur *c)
{
	uint8_t own_icmp = pkt->version == 4 ? IPPROTO_NUM_ICMP : IPPROTO_NUM_ICMP6;
	uint8_t proto = pkt->inner.proto;

	if (pkt->inner_fragment)
		return DROP_NONE;
	if (proto != IPPROTO_NUM_TCP && proto != IPPROTO_NUM_UDP && proto != own_icmp)
		return DROP_NONE;
	const uint8_t *h = rcur_take(c, QUOTED);
	if (!h)
		return DROP_L4_HEADER;
	if (proto == own_icmp)
		return inner_icmp(pkt, h);
	pkt->inner.sport = get_be16(h);
	pkt->inner.dport = get_be16(h + 2);
	if (proto == IPPROTO_NUM_TCP)
		pkt->inner_seq = get_be32(h + 4);
	return DROP_NONE;
}

/* The quoted header's checksum is not verified: routers on the way may have changed it. */
static enum drop inner_ipv4(struct pkt *pkt, struct rcur *c)
{
	const uint8_t *h = rcur_take(c, IPV4_HEADER);

	if (!h)
		return DROP_L4_HEADER;
	uint32_t header = (h[0] & 0x0fu) * 4;
	if (h[0] >> 4 != 4 || header < IPV4_HEADER || get_be16(h + 2) < header)
		return DROP_L4_HEADER;
	rcur_skip(c, header - IPV4_HEADER);
	if (!rcur_ok(c))
		return DROP_L4_HEADER;
	pkt->inner.proto = h[9];
	pkt->inner.src = ipaddr_v4(h + 12);
	pkt->inner.dst = ipaddr_v4(h + 16);
	pkt->inner_fragment = (get_be16(h + 6) & 0x1fff) != 0;
	return inner_l4(pkt, c);
}

static enum drop inner_ipv6(struct pkt *pkt, struct rcur *c)
{
	struct ip6_chain chain;
	const uint8_t *h = rcur_take(c, IPV6_HEADER);

	if (!h || h[0] >> 4 != 6)
		return DROP_L4_HEADER;
	if (ip6_chain_walk(&chain, c, h[6]) != DROP_NONE)
		return DROP_L4_HEADER;
	pkt->inner.proto = chain.proto;
	pkt->inner.src = ipaddr_v6(h + 8);
	pkt->inner.dst = ipaddr_v6(h + 24);
	pkt->inner_fragment = chain.fragment_header && (chain.frag_field & 0xfff8) != 0;
	return inner_l4(pkt, c);
}

enum drop decode_inner(struct pkt *pkt, struct rcur *c)
{
	pkt->inner = (struct pkt_tuple){0};
	return pkt->version == 4 ? inner_ipv4(pkt, c) : inner_ipv6(pkt, c);
}
