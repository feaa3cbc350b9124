#include "packet/build.h"

#include <libnet.h>
#include <stdlib.h>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/decode_parts.h"

#define TTL 64
#define TTL_LINK 255	 /* RFC 4861: proves that no router was crossed */
#define TOS_CONTROL 0xc0 /* RFC 1812 section 4.3.2.5: internetwork control */
#define QUOTE4_MAX (576 - IPV4_HEADER - ICMP_HEADER)
#define QUOTE6_MAX (1280 - IPV6_HEADER - ICMP_HEADER)
#define ICMP_FRAG_NEEDED 4 /* code of ICMP_UNREACH */
#define ICMP6_TOO_BIG 2
#define ND_SIZE 24
#define ND_OPT_SIZE 8
#define DO_NOT_SUM 1 /* libnet computes a checksum only where 0 is given; see seal_checksums */

struct build {
	libnet_t *net;
};

struct build *build_new(void)
{
	char err[LIBNET_ERRBUF_SIZE];
	struct build *b = malloc(sizeof(*b));

	if (!b)
		return NULL;
	b->net = libnet_init(LIBNET_NONE, NULL, err);
	if (!b->net) {
		free(b);
		return NULL;
	}
	return b;
}

void build_free(struct build *b)
{
	if (!b)
		return;
	libnet_destroy(b->net);
	free(b);
}

static unsigned eth_size(const struct build_eth *eth)
{
	return eth->vlan == 0 ? ETH_HEADER : ETH_HEADER + VLAN_TAG;
}

static bool add_ethernet(struct build *b, const struct build_eth *eth, uint16_t type)
{
	libnet_ptag_t tag;

	if (eth->vlan == 0)
		tag = libnet_build_ethernet(eth->dst.b, eth->src.b, type, NULL, 0, b->net, 0);
	else
		tag = libnet_build_802_1q(eth->dst.b, eth->src.b, ETH_VLAN, 0, 0, eth->vlan, type,
					  NULL, 0, b->net, 0);
	return tag != -1;
}

/* IP header in front of a transport message of `len` bytes. */
struct ip {
	const struct ipaddr *src, *dst;
	uint8_t proto, ttl, tos;
	uint16_t len;
};

static bool add_ip(struct build *b, const struct ip *ip)
{
	if (ipaddr_is_v4(ip->src))
		return libnet_build_ipv4((uint16_t)(IPV4_HEADER + ip->len), ip->tos, 0, IP_DF,
					 ip->ttl, ip->proto, DO_NOT_SUM, ip->src->w[3],
					 ip->dst->w[3], NULL, 0, b->net, 0) != -1;
	struct libnet_in6_addr src, dst;
	memcpy(&src, ip->src->b, sizeof(src));
	memcpy(&dst, ip->dst->b, sizeof(dst));
	return libnet_build_ipv6(ip->tos, 0, ip->len, ip->proto, ip->ttl, src, dst, NULL, 0, b->net,
				 0) != -1;
}

static bool add_ip_frame(struct build *b, const struct build_eth *eth, const struct ip *ip)
{
	return add_ip(b, ip) && add_ethernet(b, eth, ipaddr_is_v4(ip->src) ? ETH_IPV4 : ETH_IPV6);
}

/* Take what was put together, if it is all there, and empty the context for the next time. */
static size_t take(struct build *b, bool complete, uint8_t *out, size_t size)
{
	uint8_t *made = NULL;
	uint32_t made_size = 0;
	size_t n = 0;

	if (complete && libnet_pblock_coalesce(b->net, &made, &made_size) == 1) {
		if (made_size <= size) {
			memcpy(out, made, made_size);
			n = made_size;
		}
		free(made);
	}
	libnet_clear_packet(b->net);
	return n;
}

static void put_sum(uint8_t *field, uint64_t sum)
{
	uint16_t folded = csum_fold(sum);

	memcpy(field, &folded, sizeof(folded));
}

/* All checksums of the finished frame of `n` bytes, by our own sums: libnet's are not reliable for
 * IPv6. */
static void seal_checksums(uint8_t *frame, size_t n, const struct build_eth *eth,
			   const struct ip *ip)
{
	bool v4 = ipaddr_is_v4(ip->src);
	uint8_t *l3 = frame + eth_size(eth);
	uint8_t *l4 = l3 + (v4 ? IPV4_HEADER : IPV6_HEADER);
	uint8_t *field = l4 + (ip->proto == IPPROTO_NUM_TCP ? 16 : 2);
	size_t len = n - (size_t)(l4 - frame);
	uint64_t sum = 0;

	if (v4) {
		memset(l3 + 10, 0, 2);
		put_sum(l3 + 10, csum_add(0, l3, IPV4_HEADER));
	}
	if (ip->proto != IPPROTO_NUM_ICMP)
		sum = csum_pseudo(ip->src, ip->dst, ip->proto, (uint32_t)len);
	memset(field, 0, 2);
	put_sum(field, csum_add(sum, l4, len));
}

static size_t finish(struct build *b, const struct build_eth *eth, const struct ip *ip,
		     bool complete, uint8_t *out, size_t size)
{
	size_t n = take(b, complete && add_ip_frame(b, eth, ip), out, size);

	if (n > 0)
		seal_checksums(out, n, eth, ip);
	return n;
}

size_t build_arp(struct build *b, const struct build_eth *eth, const struct arp *arp, uint8_t *out,
		 size_t size)
{
	bool complete = libnet_build_arp(ARPHRD_ETHER, ETH_IPV4, 6, 4, arp->op, arp->sender_mac.b,
					 arp->sender_ip.b + 12, arp->target_mac.b,
					 arp->target_ip.b + 12, NULL, 0, b->net, 0) != -1;

	return take(b, complete && add_ethernet(b, eth, ETH_ARP), out, size);
}

static bool add_nd(struct build *b, const struct nd *nd)
{
	struct libnet_in6_addr target;
	uint32_t flags = 0;

	memcpy(&target, nd->target.b, sizeof(target));
	if (nd->type == ND_SOLICIT)
		return libnet_build_icmpv6_ndp_nsol(nd->type, 0, DO_NOT_SUM, target, NULL, 0,
						    b->net, 0) != -1;
	flags |= nd->router ? 0x80000000u : 0;
	flags |= nd->solicited ? 0x40000000u : 0;
	flags |= nd->override ? 0x20000000u : 0;
	return libnet_build_icmpv6_ndp_nadv(nd->type, 0, DO_NOT_SUM, flags, target, NULL, 0, b->net,
					    0) != -1;
}

size_t build_nd(struct build *b, const struct build_eth *eth, const struct nd *nd, uint8_t *out,
		size_t size)
{
	/* RFC 4861 section 4.3: no source address, no link-layer address of it. */
	bool option = nd->type == ND_ADVERT || !ipaddr_is_unspecified(&nd->src);
	struct macaddr mac = nd->has_mac ? nd->mac : eth->src;
	struct ip ip = {
		.src = &nd->src,
		.dst = &nd->dst,
		.proto = IPPROTO_NUM_ICMP6,
		.ttl = TTL_LINK,
		.len = option ? ND_SIZE + ND_OPT_SIZE : ND_SIZE,
	};
	bool complete = true;

	if (nd->type != ND_SOLICIT && nd->type != ND_ADVERT)
		return 0;
	if (option)
		complete = libnet_build_icmpv6_ndp_opt(nd->type == ND_SOLICIT ? 1 : 2, mac.b, 6,
						       b->net, 0) != -1;
	return finish(b, eth, &ip, complete && add_nd(b, nd), out, size);
}

/* Nobody is answered who cannot be one host, and nothing that was sent to many. */
static bool may_answer(const struct pkt *pkt)
{
	const struct ipaddr *src = &pkt->tuple.src;
	const struct ipaddr *dst = &pkt->tuple.dst;

	if (pkt->kind != PKT_IP || pkt->frag_offset > 0 || pkt->eth_dst.b[0] & 1)
		return false;
	return !ipaddr_is_multicast(src) && !ipaddr_is_broadcast(src) &&
	       !ipaddr_is_unspecified(src) && !ipaddr_is_loopback(src) &&
	       !ipaddr_is_multicast(dst) && !ipaddr_is_broadcast(dst);
}

/* The numbers by which the sender accepts the reset: where it has acknowledged something, that is
 * the next byte it expects; else the reset acknowledges all that it sent. */
static bool add_reset(struct build *b, const struct pkt *pkt)
{
	const struct tcp_seg *t = &pkt->tcp;
	uint32_t seq = 0, ack = 0;
	uint8_t flags = TCP_RST;

	if (t->flags & TCP_ACK) {
		seq = t->ack;
	} else {
		ack = t->seq + t->len + !!(t->flags & TCP_SYN) + !!(t->flags & TCP_FIN);
		flags |= TCP_ACK;
	}
	return libnet_build_tcp(pkt->tuple.dport, pkt->tuple.sport, seq, ack, flags, 0, DO_NOT_SUM,
				0, TCP_HEADER, NULL, 0, b->net, 0) != -1;
}

size_t build_tcp_reset(struct build *b, const struct build_eth *eth, const struct pkt *pkt,
		       uint8_t *out, size_t size)
{
	struct ip ip = {
		.src = &pkt->tuple.dst,
		.dst = &pkt->tuple.src,
		.proto = IPPROTO_NUM_TCP,
		.ttl = TTL,
		.len = TCP_HEADER,
	};

	/* The length of a fragmented segment is not known. */
	if (!may_answer(pkt) || pkt->tuple.proto != IPPROTO_NUM_TCP || pkt->fragment ||
	    pkt->tcp.flags & TCP_RST)
		return 0;
	return finish(b, eth, &ip, add_reset(b, pkt), out, size);
}

/* Also an ICMPv6 error that is not known here: RFC 4443 section 2.1 keeps types below 128 for them.
 */
static bool is_error(const struct pkt *pkt)
{
	return pkt->icmp_error ||
	       (pkt->tuple.proto == IPPROTO_NUM_ICMP6 && pkt->icmp_type < ICMP6_ECHO);
}

/* The four bytes between the checksum and the quoted packet. */
static uint32_t icmp_rest(const struct pkt *pkt, const struct build_icmp *icmp)
{
	if (pkt->version == 6)
		return icmp->type == ICMP6_TOO_BIG ? icmp->mtu : 0;
	if (icmp->type == ICMP_UNREACH && icmp->code == ICMP_FRAG_NEEDED)
		return icmp->mtu > UINT16_MAX ? UINT16_MAX : icmp->mtu;
	return 0;
}

/* libnet has builders for the errors one by one, none with an MTU; the echo message has the same
 * shape as all of them, with its id and number where they have the rest of the header. */
static bool add_icmp(struct build *b, const struct pkt *pkt, const struct build_icmp *icmp,
		     uint32_t quote)
{
	uint32_t rest = icmp_rest(pkt, icmp);
	uint16_t hi = (uint16_t)(rest >> 16), lo = (uint16_t)rest;
	uint8_t *quoted = pkt->frame->data + pkt->l3;

	if (pkt->version == 4)
		return libnet_build_icmpv4_echo(icmp->type, icmp->code, DO_NOT_SUM, hi, lo, quoted,
						quote, b->net, 0) != -1;
	return libnet_build_icmpv6_echo(icmp->type, icmp->code, DO_NOT_SUM, hi, lo, quoted, quote,
					b->net, 0) != -1;
}

size_t build_icmp_error(struct build *b, const struct build_eth *eth, const struct pkt *pkt,
			const struct build_icmp *icmp, uint8_t *out, size_t size)
{
	bool v4 = pkt->version == 4;
	uint32_t most = v4 ? QUOTE4_MAX : QUOTE6_MAX;
	uint32_t quote = pkt->ip_len < most ? pkt->ip_len : most;
	struct ip ip = {
		.src = &icmp->from,
		.dst = &pkt->tuple.src,
		.proto = v4 ? IPPROTO_NUM_ICMP : IPPROTO_NUM_ICMP6,
		.ttl = TTL,
		.tos = v4 ? TOS_CONTROL : 0,
		.len = (uint16_t)(ICMP_HEADER + quote),
	};

	if (!may_answer(pkt) || is_error(pkt) || ipaddr_is_v4(&icmp->from) != v4)
		return 0;
	return finish(b, eth, &ip, add_icmp(b, pkt, icmp, quote), out, size);
}

size_t build_echo(struct build *b, const struct build_eth *eth, const struct build_echo *echo,
		  uint8_t *out, size_t size)
{
	bool v4 = ipaddr_is_v4(&echo->from), added;
	uint32_t len = (uint32_t)echo->size;
	struct ip ip = {
		.src = &echo->from,
		.dst = &echo->to,
		.proto = v4 ? IPPROTO_NUM_ICMP : IPPROTO_NUM_ICMP6,
		.ttl = TTL,
		.len = (uint16_t)(ICMP_HEADER + len),
	};

	if (echo->size > BUILD_MAX || ipaddr_is_v4(&echo->to) != v4)
		return 0;
	if (v4)
		added = libnet_build_icmpv4_echo(ICMP_ECHO, 0, DO_NOT_SUM, echo->id, echo->seq,
						 echo->data, len, b->net, 0) != -1;
	else
		added = libnet_build_icmpv6_echo(ICMP6_ECHO, 0, DO_NOT_SUM, echo->id, echo->seq,
						 (uint8_t *)(uintptr_t)echo->data, len, b->net,
						 0) != -1;
	return finish(b, eth, &ip, added, out, size);
}
