#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/decode_parts.h"

#define IPV4_DF 0x4000
#define IPV4_MF 0x2000
#define IPV4_OFFSET 0x1fff
#define IPV4_OPT_END 0
#define IPV4_OPT_NOP 1
#define IPV4_OPT_LSRR 131
#define IPV4_OPT_SSRR 137

#define IPV6_MF 0x0001
#define IPV6_OFFSET 0xfff8
#define IPV6_OPT_PAD1 0
#define IPV6_OPT_JUMBO 0xc2

/* Bounds of what is believed to be a sensible chain (RFC 8504 section 5.3 allows a limit). */
#define CHAIN_HEADERS 8
#define CHAIN_BYTES 512

/* RFC 791 section 3.1: each option is well-formed, and none of them routes. */
static enum drop check_ipv4_options(const uint8_t *options, size_t size)
{
	struct rcur c = rcur_init(options, size);

	while (rcur_left(&c) > 0) {
		uint8_t type = rcur_u8(&c);

		if (type == IPV4_OPT_END)
			break;
		if (type == IPV4_OPT_NOP)
			continue;
		uint8_t len = rcur_u8(&c);
		if (len < 2)
			return DROP_IP_HEADER;
		rcur_skip(&c, len - 2u);
		if (!rcur_ok(&c))
			return DROP_IP_HEADER;
		if (type == IPV4_OPT_LSRR || type == IPV4_OPT_SSRR)
			return DROP_IP_OPTION;
	}
	return DROP_NONE;
}

/* No fragment is empty, all but the last are a multiple of eight, and the datagram is no longer
 * than one can be ("ping of death"); `header` counts where the total length includes the header.
 * A second fragment of TCP that begins inside the header is the attack of RFC 1858 and RFC 3128. */
static enum drop check_fragment(const struct pkt *pkt, uint32_t header)
{
	if (!pkt->fragment)
		return DROP_NONE;
	if (pkt->frag_len == 0 || (pkt->more_fragments && pkt->frag_len % 8 != 0))
		return DROP_FRAG_BAD;
	if (pkt->frag_offset + pkt->frag_len + header > 65535)
		return DROP_FRAG_BAD;
	if (pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->frag_offset > 0 &&
	    pkt->frag_offset < TCP_HEADER)
		return DROP_FRAG_TINY;
	return DROP_NONE;
}

static enum drop decode_ipv4_fragment(struct pkt *pkt, const uint8_t *h, uint32_t header)
{
	uint16_t field = get_be16(h + 6);

	pkt->dont_fragment = field & IPV4_DF;
	pkt->more_fragments = field & IPV4_MF;
	pkt->frag_offset = (field & IPV4_OFFSET) * 8u;
	pkt->fragment = pkt->more_fragments || pkt->frag_offset > 0;
	pkt->frag_id = get_be16(h + 4);
	pkt->frag_len = pkt->ip_len - header;
	return check_fragment(pkt, header);
}

enum drop decode_ipv4(struct pkt *pkt, struct rcur *c)
{
	size_t frame_left = rcur_left(c);
	const uint8_t *h = rcur_take(c, IPV4_HEADER);

	if (!h)
		return DROP_SHORT_FRAME;
	uint32_t header = (h[0] & 0x0fu) * 4;
	if (h[0] >> 4 != 4 || header < IPV4_HEADER)
		return DROP_IP_HEADER;
	pkt->ip_len = get_be16(h + 2);
	if (pkt->ip_len < header || pkt->ip_len > frame_left)
		return DROP_IP_LENGTH;
	c->end = h + pkt->ip_len;
	const uint8_t *options = rcur_take(c, header - IPV4_HEADER);
	if (!ipv4_sum_ok(h, header))
		return DROP_IP_CHECKSUM;
	pkt->ttl = h[8];
	pkt->tuple.proto = h[9];
	pkt->tuple.src = ipaddr_v4(h + 12);
	pkt->tuple.dst = ipaddr_v4(h + 16);
	if (header > IPV4_HEADER) {
		enum drop reason = check_ipv4_options(options, header - IPV4_HEADER);
		if (reason != DROP_NONE)
			return reason;
	}
	return decode_ipv4_fragment(pkt, h, header);
}

/* Hop-by-hop and destination options: well-formed, and no jumbo payload (RFC 2675), which would
 * contradict the length already believed. */
static enum drop chain_options(struct rcur *c, uint8_t *next)
{
	*next = rcur_u8(c);
	size_t size = rcur_u8(c) * 8u + 6;
	const uint8_t *body = rcur_take(c, size);
	if (!body)
		return DROP_IP6_CHAIN;
	struct rcur o = rcur_init(body, size);

	while (rcur_left(&o) > 0) {
		uint8_t type = rcur_u8(&o);

		if (type == IPV6_OPT_PAD1)
			continue;
		rcur_skip(&o, rcur_u8(&o));
		if (!rcur_ok(&o))
			return DROP_IP6_CHAIN;
		if (type == IPV6_OPT_JUMBO)
			return DROP_IP_LENGTH;
	}
	return DROP_NONE;
}

/* Type 0 is forbidden (RFC 5095); any other type steers the packet while segments are left. */
static enum drop chain_routing(struct rcur *c, uint8_t *next)
{
	*next = rcur_u8(c);
	size_t size = rcur_u8(c) * 8u + 4;
	uint8_t type = rcur_u8(c);
	uint8_t left = rcur_u8(c);

	rcur_skip(c, size);
	if (!rcur_ok(c))
		return DROP_IP6_CHAIN;
	return type == 0 || left > 0 ? DROP_IP_OPTION : DROP_NONE;
}

/* Authentication header (RFC 4302): its length counts 4-byte words, less two. */
static enum drop chain_auth(struct rcur *c, uint8_t *next)
{
	*next = rcur_u8(c);
	uint8_t words = rcur_u8(c);

	rcur_skip(c, words * 4u + 6);
	return !rcur_ok(c) || words < 1 ? DROP_IP6_CHAIN : DROP_NONE;
}

static enum drop chain_fragment(struct ip6_chain *chain, struct rcur *c, uint8_t *next)
{
	if (chain->fragment_header)
		return DROP_IP6_CHAIN;
	*next = rcur_u8(c);
	rcur_skip(c, 1);
	chain->frag_field = rcur_u16(c);
	chain->frag_id = rcur_u32(c);
	chain->frag_data = c->pos;
	chain->fragment_header = rcur_ok(c);
	return rcur_ok(c) ? DROP_NONE : DROP_IP6_CHAIN;
}

/* One extension header; false in *more when `next` is none. */
static enum drop chain_step(struct ip6_chain *chain, struct rcur *c, uint8_t *next, bool *more)
{
	switch (*next) {
	case IPPROTO_NUM_HOPOPTS:
	case IPPROTO_NUM_DSTOPTS:
		return chain_options(c, next);
	case IPPROTO_NUM_ROUTING:
		return chain_routing(c, next);
	case IPPROTO_NUM_AH:
		return chain_auth(c, next);
	case IPPROTO_NUM_FRAGMENT:
		return chain_fragment(chain, c, next);
	default:
		*more = false;
		return DROP_NONE;
	}
}

enum drop ip6_chain_walk(struct ip6_chain *chain, struct rcur *c, uint8_t first)
{
	const uint8_t *start = c->pos;
	uint8_t next = first;
	bool more = true;

	chain->fragment_header = false;
	for (unsigned n = 0;; n++) {
		uint8_t now = next;
		enum drop reason = chain_step(chain, c, &next, &more);

		if (!more || reason != DROP_NONE) {
			chain->proto = next;
			return reason;
		}
		/* Hop-by-hop options are the first header or none (RFC 8200 section 4.1). */
		if (n >= CHAIN_HEADERS || c->pos - start > CHAIN_BYTES ||
		    (n > 0 && now == IPPROTO_NUM_HOPOPTS))
			return DROP_IP6_CHAIN;
		if (now == IPPROTO_NUM_FRAGMENT && chain->frag_field & IPV6_OFFSET) {
			chain->proto = next;
			return DROP_NONE;
		}
	}
}

static enum drop decode_ipv6_fragment(struct pkt *pkt, const struct ip6_chain *chain,
				      const uint8_t *end)
{
	pkt->more_fragments = chain->frag_field & IPV6_MF;
	pkt->frag_offset = chain->frag_field & IPV6_OFFSET;
	/* An "atomic" fragment is a whole packet (RFC 6946). */
	pkt->fragment = pkt->more_fragments || pkt->frag_offset > 0;
	pkt->frag_id = chain->frag_id;
	pkt->frag_len = (uint32_t)(end - chain->frag_data);
	return check_fragment(pkt, 0);
}

/* Neighbour discovery never comes with a fragment header (RFC 6980). */
static bool fragmented_nd(const struct ip6_chain *chain, struct rcur c)
{
	if (!chain->fragment_header || chain->proto != IPPROTO_NUM_ICMP6 ||
	    chain->frag_field & IPV6_OFFSET)
		return false;
	uint8_t type = rcur_u8(&c);
	return type >= ND_FIRST && type <= ND_LAST;
}

/* Everything between the fixed header and the transport header. */
static enum drop decode_ipv6_chain(struct pkt *pkt, struct rcur *c, uint8_t first)
{
	struct ip6_chain chain;
	enum drop reason = ip6_chain_walk(&chain, c, first);

	/* RFC 7112: the first fragment holds the whole chain. */
	if (reason == DROP_IP6_CHAIN && !rcur_ok(c) && chain.fragment_header &&
	    chain.frag_field & IPV6_MF)
		return DROP_FRAG_TINY;
	if (reason != DROP_NONE)
		return reason;
	pkt->tuple.proto = chain.proto;
	if (!chain.fragment_header)
		return DROP_NONE;
	if (fragmented_nd(&chain, *c))
		return DROP_IP6_CHAIN;
	return decode_ipv6_fragment(pkt, &chain, c->end);
}

enum drop decode_ipv6(struct pkt *pkt, struct rcur *c)
{
	const uint8_t *h = rcur_take(c, IPV6_HEADER);

	if (!h)
		return DROP_SHORT_FRAME;
	if (h[0] >> 4 != 6)
		return DROP_IP_HEADER;
	uint32_t payload = get_be16(h + 4);
	if (payload > rcur_left(c))
		return DROP_IP_LENGTH;
	c->end = c->pos + payload;
	pkt->ip_len = IPV6_HEADER + payload;
	pkt->ttl = h[7];
	pkt->tuple.src = ipaddr_v6(h + 8);
	pkt->tuple.dst = ipaddr_v6(h + 24);
	pkt->dont_fragment = true;
	pkt->frag_len = payload;
	return decode_ipv6_chain(pkt, c, h[6]);
}
