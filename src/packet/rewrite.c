#include "packet/rewrite.h"

#include <assert.h>

#include "packet/bytes.h"
#include "packet/decode_parts.h"

/* Move the frame's first byte so that the Ethernet header gets `header` bytes; everything behind
 * it stays where it is, only its offsets change. */
static void move_start(struct pkt *pkt, unsigned header)
{
	struct frame *frame = pkt->frame;
	int delta = (int)header - (int)pkt->l3;

	frame->data -= delta;
	frame->len = (uint32_t)((int64_t)frame->len + delta);
	pkt->l3 = (uint16_t)header;
	pkt->payload = (uint16_t)(pkt->payload + delta);
	if (pkt->l4 != 0)
		pkt->l4 = (uint16_t)(pkt->l4 + delta);
	if (frame->vnet.flags & VNET_F_NEEDS_CSUM)
		frame->vnet.csum_start = (uint16_t)(frame->vnet.csum_start + delta);
	if (frame->vnet.hdr_len != 0)
		frame->vnet.hdr_len = (uint16_t)(frame->vnet.hdr_len + delta);
}

static uint16_t ether_type(const struct pkt *pkt)
{
	if (pkt->kind == PKT_ARP)
		return ETH_ARP;
	return pkt->version == 4 ? ETH_IPV4 : ETH_IPV6;
}

void rewrite_ethernet(struct pkt *pkt, const struct macaddr *dst, const struct macaddr *src,
		      uint16_t vlan)
{
	/* The caller may swap pkt's own addresses. */
	struct macaddr new_dst = *dst, new_src = *src;
	unsigned header = vlan == 0 ? ETH_HEADER : ETH_HEADER + VLAN_TAG;

	assert(vlan < 0xfff);
	if (pkt->l3 != header)
		move_start(pkt, header);
	uint8_t *eth = pkt->frame->data;
	memcpy(eth, new_dst.b, 6);
	memcpy(eth + 6, new_src.b, 6);
	if (vlan != 0) {
		put_be16(eth + 12, ETH_VLAN);
		put_be16(eth + 14, vlan);
	}
	put_be16(eth + header - 2, ether_type(pkt));
	pkt->eth_dst = new_dst;
	pkt->eth_src = new_src;
	pkt->vlan = vlan;
}

void rewrite_ttl(struct pkt *pkt)
{
	uint8_t *ip = pkt->frame->data + pkt->l3;

	assert(pkt->ttl > 0);
	pkt->ttl--;
	if (pkt->version == 6) {
		ip[7] = pkt->ttl;
		return;
	}
	uint16_t before = get_be16(ip + 8);
	ip[8] = pkt->ttl;
	/* RFC 1624 equation 3: HC' = ~(~HC + ~m + m') */
	uint32_t sum =
		(uint16_t)~get_be16(ip + 10) + (uint32_t)(uint16_t)~before + get_be16(ip + 8);
	sum = (sum & 0xffff) + (sum >> 16); /* once is enough: m' < m */
	put_be16(ip + 10, (uint16_t)~sum);
}
