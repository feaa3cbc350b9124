#include "packet/decode.h"

#include <assert.h>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/decode_parts.h"

#define ETH_8021AD 0x88a8
#define ETH_QINQ_OLD 0x9100

/* Addresses are judged after the transport header, because neighbour discovery uses addresses that
 * nothing else may. A destination that is never forwarded comes first: what goes to a group on
 * this link is ordinary link traffic, even from an unspecified source (DHCP, MLD). */
static enum drop check_ipv4_addresses(const struct pkt *pkt)
{
	uint32_t src = get_be32(pkt->tuple.src.b + 12);
	uint32_t dst = get_be32(pkt->tuple.dst.b + 12);

	if (dst >> 28 == 0xe || dst == UINT32_MAX)
		return DROP_LINK_CONTROL;
	if (src >> 24 == 0 || src >> 24 == 127 || src >= 0xe0000000)
		return DROP_MARTIAN;
	if (dst >> 24 == 0 || dst >> 24 == 127 || dst >= 0xf0000000)
		return DROP_MARTIAN;
	if (src >> 16 == 0xa9fe || dst >> 16 == 0xa9fe)
		return DROP_LINK_LOCAL;
	return src == dst ? DROP_LAND : DROP_NONE;
}

/* ::, ::1, IPv4-compatible and IPv4-mapped addresses: all that starts with ten zero bytes and then
 * has 0000 or ffff. A mapped address here would be taken for the IPv4 host's. */
static bool ipv6_reserved(const struct ipaddr *a)
{
	return a->q[0] == 0 && a->b[8] == 0 && a->b[9] == 0 &&
	       ((a->b[10] == 0 && a->b[11] == 0) || (a->b[10] == 0xff && a->b[11] == 0xff));
}

static enum drop check_ipv6_addresses(const struct pkt *pkt)
{
	const struct ipaddr *src = &pkt->tuple.src;
	const struct ipaddr *dst = &pkt->tuple.dst;

	if (dst->b[0] == 0xff)
		return DROP_LINK_CONTROL;
	if (src->b[0] == 0xff || ipv6_reserved(src) || ipv6_reserved(dst))
		return DROP_MARTIAN;
	if (ipaddr_is_link_local(src) || ipaddr_is_link_local(dst))
		return DROP_LINK_LOCAL;
	return ipaddr_eq(src, dst) ? DROP_LAND : DROP_NONE;
}

static enum drop check_addresses(const struct pkt *pkt)
{
	const struct ipaddr *inner = &pkt->inner.dst;

	if (pkt->version == 4)
		return check_ipv4_addresses(pkt);
	enum drop reason = check_ipv6_addresses(pkt);
	if (reason == DROP_NONE && pkt->icmp_error && ipv6_reserved(inner))
		return DROP_ICMP_UNRELATED;
	return reason;
}

/* The checksum is verified where a wrong packet could change state. */
static bool control_checksum_wrong(const struct pkt *pkt)
{
	uint8_t proto = pkt->tuple.proto;

	if (pkt->fragment || pkt->kind == PKT_ND) /* nd_parse looks itself */
		return false;
	if (proto == IPPROTO_NUM_TCP && !(pkt->tcp.flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		return false;
	if (proto != IPPROTO_NUM_TCP && proto != IPPROTO_NUM_ICMP && proto != IPPROTO_NUM_ICMP6)
		return false;
	return !csum_l4_ok(pkt);
}

static unsigned checksum_offset(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_NUM_TCP:
		return 16;
	case IPPROTO_NUM_UDP:
		return 6;
	default:
		return 2;
	}
}

/* A checksum left to the device is that of the transport header, or of something inside its data
 * (a tunnel); else completing it would write over what has been checked here. */
static bool partial_checksum_wrong(const struct pkt *pkt)
{
	const struct vnet *v = &pkt->frame->vnet;

	if (!(v->flags & VNET_F_NEEDS_CSUM))
		return false;
	if ((uint32_t)v->csum_start + v->csum_offset + 2 > pkt->frame->len)
		return true;
	/* A later fragment has no transport header, and 0 is not where one is. */
	return v->csum_start < pkt->payload &&
	       (pkt->l4 == 0 || v->csum_start != pkt->l4 ||
		v->csum_offset != checksum_offset(pkt->tuple.proto));
}

/* From the IP header on: the cursor stands on it, pkt->version is set. */
static enum drop decode_ip(struct pkt *pkt, struct rcur *c)
{
	enum drop reason = pkt->version == 4 ? decode_ipv4(pkt, c) : decode_ipv6(pkt, c);

	if (reason != DROP_NONE)
		return reason;
	/* Whatever follows the IP packet is padding of the link. */
	pkt->frame->len = pkt->l3 + pkt->ip_len;
	pkt->payload = (uint16_t)(c->pos - pkt->frame->data);
	if (pkt->frag_offset == 0) {
		pkt->l4 = pkt->payload;
		reason = decode_l4(pkt, c);
		if (reason != DROP_NONE)
			return reason;
		if (control_checksum_wrong(pkt))
			return DROP_L4_CHECKSUM;
	}
	if (partial_checksum_wrong(pkt))
		return DROP_L4_CHECKSUM;
	return pkt->kind == PKT_ND ? DROP_NONE : check_addresses(pkt);
}

/* All but `inner`, which is only valid when icmp_error is set. In two pieces, because compilers
 * make plain stores of each, but a slow string instruction of the whole. */
static void clear(struct pkt *pkt, struct frame *frame)
{
	memset(pkt, 0, offsetof(struct pkt, tuple.dst));
	memset(&pkt->tuple.dst, 0, offsetof(struct pkt, inner) - offsetof(struct pkt, tuple.dst));
	pkt->inner_fragment = false;
	pkt->inner_seq = 0;
	pkt->frame = frame;
	pkt->kind = PKT_IP;
}

/* EtherType behind an optional 802.1Q tag. Priority tags (VLAN 0) count as untagged. */
static enum drop decode_vlan(struct pkt *pkt, struct rcur *c, uint16_t *type)
{
	if (*type == ETH_8021AD || *type == ETH_QINQ_OLD)
		return DROP_BAD_VLAN;
	if (*type != ETH_VLAN)
		return DROP_NONE;
	pkt->vlan = rcur_u16(c) & 0xfff;
	*type = rcur_u16(c);
	if (!rcur_ok(c))
		return DROP_SHORT_FRAME;
	if (pkt->vlan == 0xfff || *type == ETH_VLAN || *type == ETH_8021AD || *type == ETH_QINQ_OLD)
		return DROP_BAD_VLAN;
	return DROP_NONE;
}

static void plain_udp(struct pkt *pkt, const uint8_t *l4)
{
	pkt->tuple.sport = get_be16(l4);
	pkt->tuple.dport = get_be16(l4 + 2);
	pkt->payload = ETH_HEADER + IPV4_HEADER + UDP_HEADER;
}

/* TCP with nothing but data and an acknowledgement; options only as nearly every segment has them,
 * one timestamp. */
static bool plain_tcp(struct pkt *pkt, struct rcur *c, const uint8_t *l4)
{
	static const uint8_t timestamp[4] = {1, 1, 8, 10};
	const uint8_t *rest = rcur_take(c, TCP_HEADER - UDP_HEADER);
	uint32_t header = TCP_HEADER;

	if (!rest || (rest[5] & 0x3f & ~TCP_PSH) != TCP_ACK)
		return false;
	if (rest[4] >> 4 == 8) {
		const uint8_t *options = rcur_take(c, 12);
		if (!options || memcmp(options, timestamp, sizeof(timestamp)) != 0)
			return false;
		header += 12;
	} else if (rest[4] >> 4 != 5) {
		return false;
	}
	if (pkt->ip_len < IPV4_HEADER + header)
		return false;
	pkt->tuple.sport = get_be16(l4);
	pkt->tuple.dport = get_be16(l4 + 2);
	pkt->tcp.seq = get_be32(l4 + 4);
	pkt->tcp.ack = get_be32(rest);
	pkt->tcp.len = pkt->ip_len - IPV4_HEADER - header;
	pkt->tcp.win = get_be16(rest + 6);
	pkt->tcp.flags = rest[5] & 0x3f;
	pkt->tcp.wscale = 0xff;
	pkt->payload = (uint16_t)(ETH_HEADER + IPV4_HEADER + header);
	return true;
}

static void plain_ip(struct pkt *pkt, struct frame *frame, const uint8_t *ip)
{
	clear(pkt, frame);
	memcpy(pkt->eth_dst.b, frame->data, 6);
	memcpy(pkt->eth_src.b, frame->data + 6, 6);
	pkt->version = 4;
	pkt->ttl = ip[8];
	pkt->l3 = ETH_HEADER;
	pkt->l4 = ETH_HEADER + IPV4_HEADER;
	pkt->ip_len = get_be16(ip + 2);
	pkt->tuple.src = ipaddr_v4(ip + 12);
	pkt->tuple.dst = ipaddr_v4(ip + 16);
	pkt->tuple.proto = ip[9];
	pkt->dont_fragment = ip[6] & 0x40;
	pkt->frag_id = get_be16(ip + 4);
	pkt->frag_len = pkt->ip_len - IPV4_HEADER;
}

/* Nearly all packets are whole, have neither tag nor IP options and carry UDP, or TCP in the middle
 * of a connection. Those are described here in one go. False says nothing but that the packet is
 * for the long way; what is accepted here, the long way accepts with the same result. */
static bool decode_plain(struct pkt *pkt, struct frame *frame)
{
	struct rcur c = rcur_init(frame->data, frame->len);
	const uint8_t *eth = rcur_take(&c, ETH_HEADER + IPV4_HEADER + UDP_HEADER);

	if (!eth)
		return false;
	const uint8_t *ip = eth + ETH_HEADER, *l4 = ip + IPV4_HEADER;
	uint32_t ip_len = get_be16(ip + 2);
	if (get_be16(eth + 12) != ETH_IPV4 || ip[0] != 0x45 || (get_be16(ip + 6) & 0x3fff) != 0 ||
	    ip_len < IPV4_HEADER + UDP_HEADER || ip_len > frame->len - ETH_HEADER ||
	    !ipv4_sum_ok(ip, IPV4_HEADER))
		return false;
	plain_ip(pkt, frame, ip);
	if (ip[9] == IPPROTO_NUM_UDP) {
		uint16_t len = get_be16(l4 + 4);
		if (len < UDP_HEADER || len > ip_len - IPV4_HEADER)
			return false;
		plain_udp(pkt, l4);
	} else if (ip[9] != IPPROTO_NUM_TCP || !plain_tcp(pkt, &c, l4)) {
		return false;
	}
	frame->len = ETH_HEADER + ip_len; /* as decode_ip does */
	return !partial_checksum_wrong(pkt) && check_ipv4_addresses(pkt) == DROP_NONE;
}

enum drop pkt_decode(struct pkt *pkt, struct frame *frame)
{
	if (decode_plain(pkt, frame))
		return DROP_NONE;

	struct rcur c = rcur_init(frame->data, frame->len);
	const uint8_t *eth = rcur_take(&c, ETH_HEADER);

	clear(pkt, frame);
	if (!eth)
		return DROP_SHORT_FRAME;
	memcpy(pkt->eth_dst.b, eth, 6);
	memcpy(pkt->eth_src.b, eth + 6, 6);
	uint16_t type = get_be16(eth + 12);
	enum drop reason = decode_vlan(pkt, &c, &type);
	if (reason != DROP_NONE)
		return reason;
	pkt->l3 = (uint16_t)(c.pos - frame->data);
	switch (type) {
	case ETH_IPV4:
		pkt->version = 4;
		return decode_ip(pkt, &c);
	case ETH_IPV6:
		pkt->version = 6;
		return decode_ip(pkt, &c);
	case ETH_ARP:
		pkt->kind = PKT_ARP;
		return DROP_NONE;
	case ETH_CLUSTER:
		pkt->kind = PKT_CLUSTER;
		return DROP_NONE;
	default:
		return DROP_LINK_CONTROL;
	}
}

enum drop pkt_decode_ip(struct pkt *pkt, struct frame *frame, uint16_t l3)
{
	struct rcur c = rcur_init(frame->data, frame->len);
	struct rcur peek;

	clear(pkt, frame);
	pkt->l3 = l3;
	rcur_skip(&c, l3);
	peek = c;
	uint8_t version = rcur_u8(&peek) >> 4;
	if (!rcur_ok(&peek))
		return DROP_SHORT_FRAME;
	if (version != 4 && version != 6)
		return DROP_IP_HEADER;
	pkt->version = version;
	return decode_ip(pkt, &c);
}

uint32_t pkt_wire_len(const struct pkt *pkt)
{
	const struct vnet *v = &pkt->frame->vnet;
	uint32_t header = (uint32_t)pkt->payload - pkt->l3;

	if (v->gso_type == VNET_GSO_NONE || v->gso_size == 0)
		return pkt->ip_len;
	return pkt->ip_len - header <= v->gso_size ? pkt->ip_len : header + v->gso_size;
}
