#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/decode_parts.h"

#define ARP_ETHERNET 1

#define ND_OPT_SOURCE_MAC 1
#define ND_OPT_TARGET_MAC 2
#define NA_ROUTER 0x80
#define NA_SOLICITED 0x40
#define NA_OVERRIDE 0x20

/* An address that one station can have. */
static bool mac_is_station(const struct macaddr *m)
{
	static const struct macaddr zero;

	return (m->b[0] & 1) == 0 && !macaddr_eq(m, &zero);
}

static bool arp_sender_ok(const struct arp *arp)
{
	/* 0.0.0.0 is a probe (RFC 5227 section 2.1.1), and only a request. */
	if (ipaddr_is_unspecified(&arp->sender_ip) && arp->op != 1)
		return false;
	return mac_is_station(&arp->sender_mac) && !ipaddr_is_multicast(&arp->sender_ip) &&
	       !ipaddr_is_broadcast(&arp->sender_ip) && !ipaddr_is_loopback(&arp->sender_ip);
}

enum drop arp_parse(struct arp *arp, const struct frame *frame, uint16_t l3)
{
	struct rcur c = rcur_init(frame->data, frame->len);
	uint8_t ip[4];

	rcur_skip(&c, l3);
	bool usual = rcur_u16(&c) == ARP_ETHERNET;
	usual = rcur_u16(&c) == ETH_IPV4 && usual;
	usual = rcur_u8(&c) == 6 && usual;
	usual = rcur_u8(&c) == 4 && usual;
	arp->op = rcur_u16(&c);
	rcur_bytes(&c, arp->sender_mac.b, 6);
	rcur_bytes(&c, ip, 4);
	arp->sender_ip = ipaddr_v4(ip);
	rcur_bytes(&c, arp->target_mac.b, 6);
	rcur_bytes(&c, ip, 4);
	arp->target_ip = ipaddr_v4(ip);
	if (!rcur_ok(&c))
		return DROP_SHORT_FRAME;
	if (!usual || arp->op < 1 || arp->op > 2)
		return DROP_LINK_CONTROL;
	return arp_sender_ok(arp) ? DROP_NONE : DROP_MARTIAN;
}

static bool mac_option(const struct nd *nd, uint8_t type)
{
	return type == (nd->type == ND_SOLICIT ? ND_OPT_SOURCE_MAC : ND_OPT_TARGET_MAC);
}

/* RFC 4861 section 4.6. The link-layer address we look for may come once. */
static enum drop nd_options(struct nd *nd, struct rcur *c)
{
	while (rcur_left(c) > 0) {
		uint8_t type = rcur_u8(c);
		uint8_t units = rcur_u8(c);
		const uint8_t *value = rcur_take(c, units == 0 ? SIZE_MAX : units * 8u - 2);

		if (!value)
			return DROP_L4_HEADER;
		if (!mac_option(nd, type))
			continue;
		if (units != 1 || nd->has_mac)
			return DROP_L4_HEADER;
		memcpy(nd->mac.b, value, 6);
		nd->has_mac = true;
	}
	return DROP_NONE;
}

/* ff02::1:ffXX:XXXX, the group of all hosts whose address ends so (RFC 4291 section 2.7.1). */
static bool is_solicited_group(const struct ipaddr *a)
{
	static const uint8_t group[13] = {0xff, 0x02, [11] = 0x01, [12] = 0xff};

	return memcmp(a->b, group, sizeof(group)) == 0;
}

/* RFC 4861 sections 7.1.1 and 7.1.2. */
static enum drop nd_check(const struct nd *nd)
{
	if (ipaddr_is_multicast(&nd->target) || ipaddr_is_v4(&nd->target) ||
	    ipaddr_is_unspecified(&nd->target) || ipaddr_is_loopback(&nd->target))
		return DROP_MARTIAN;
	if (nd->has_mac && !mac_is_station(&nd->mac))
		return DROP_MARTIAN;
	if (nd->type == ND_ADVERT && ipaddr_is_unspecified(&nd->src))
		return DROP_MARTIAN;
	if (nd->type == ND_ADVERT && nd->solicited && ipaddr_is_multicast(&nd->dst))
		return DROP_L4_HEADER;
	if (nd->type == ND_SOLICIT && ipaddr_is_unspecified(&nd->src) &&
	    (nd->has_mac || !is_solicited_group(&nd->dst)))
		return DROP_L4_HEADER;
	return DROP_NONE;
}

static enum drop nd_body(struct nd *nd, struct rcur *c)
{
	uint8_t flags = rcur_u8(c);

	rcur_skip(c, 3);
	rcur_bytes(c, nd->target.b, 16);
	if (!rcur_ok(c))
		return DROP_L4_HEADER;
	if (nd->type == ND_ADVERT) {
		nd->router = flags & NA_ROUTER;
		nd->solicited = flags & NA_SOLICITED;
		nd->override = flags & NA_OVERRIDE;
	}
	enum drop reason = nd_options(nd, c);
	return reason == DROP_NONE ? nd_check(nd) : reason;
}

enum drop nd_parse(struct nd *nd, const struct pkt *pkt)
{
	const struct frame *frame = pkt->frame;
	struct rcur c = rcur_init(frame->data, frame->len);

	*nd = (struct nd){.src = pkt->tuple.src, .dst = pkt->tuple.dst};
	if (pkt->ttl != 255) /* it has crossed a router */
		return DROP_TTL;
	if (!csum_l4_ok(pkt))
		return DROP_L4_CHECKSUM;
	rcur_skip(&c, pkt->l4);
	nd->type = rcur_u8(&c);
	if (rcur_u8(&c) != 0)
		return DROP_L4_HEADER;
	rcur_skip(&c, 2);
	if (!rcur_ok(&c))
		return DROP_L4_HEADER;
	if (ipaddr_is_multicast(&nd->src) || ipaddr_is_v4(&nd->src) || ipaddr_is_v4(&nd->dst) ||
	    ipaddr_is_loopback(&nd->src))
		return DROP_MARTIAN;
	if (nd->type != ND_SOLICIT && nd->type != ND_ADVERT)
		return DROP_NONE;
	return nd_body(nd, &c);
}
