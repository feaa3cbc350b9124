#include "packet/peek.h"

#include "base/cursor.h"
#include "packet/decode_parts.h"

#define IP6_HOP_BY_HOP 0
#define IP6_DESTINATION 60
#define PEEK_CHAIN 8

/* Both return the bytes of IP payload behind the cursor, 0 when it is not plain TCP. */
static uint32_t peek_ipv4(struct rcur *c)
{
	uint8_t ihl = (rcur_u8(c) & 0x0f) * 4;
	uint16_t total, fragment;
	uint8_t proto;

	rcur_skip(c, 1);
	total = rcur_u16(c);
	rcur_skip(c, 2);
	fragment = rcur_u16(c);
	rcur_skip(c, 1);
	proto = rcur_u8(c);
	if (ihl < 20 || total < ihl || (fragment & 0x3fff) || proto != IPPROTO_NUM_TCP)
		return 0;
	rcur_skip(c, ihl - 10u);
	return total - (uint32_t)ihl;
}

static uint32_t peek_ipv6(struct rcur *c)
{
	uint32_t left;
	uint8_t next;

	rcur_skip(c, 4);
	left = rcur_u16(c);
	next = rcur_u8(c);
	rcur_skip(c, 33);
	for (int i = 0; i < PEEK_CHAIN && (next == IP6_HOP_BY_HOP || next == IP6_DESTINATION);
	     i++) {
		uint32_t size;
		next = rcur_u8(c);
		size = 8u + 8u * rcur_u8(c);
		rcur_skip(c, size - 2);
		if (size > left)
			return 0;
		left -= size;
	}
	return next == IPPROTO_NUM_TCP ? left : 0;
}

bool peek_tcp(const uint8_t *data, size_t size, struct tcp_seg *seg)
{
	struct rcur c = rcur_init(data, size);
	uint32_t left, header;

	if (size == 0)
		return false;
	left = data[0] >> 4 == 4 ? peek_ipv4(&c) : data[0] >> 4 == 6 ? peek_ipv6(&c) : 0;
	rcur_skip(&c, 4);
	seg->seq = rcur_u32(&c);
	seg->ack = rcur_u32(&c);
	header = (uint32_t)(rcur_u8(&c) >> 4) * 4;
	seg->flags = rcur_u8(&c) & 0x3f;
	seg->win = rcur_u16(&c);
	rcur_skip(&c, 4);
	seg->wscale = 0xff;
	if (!rcur_ok(&c) || header < 20 || header > left)
		return false;
	seg->len = left - header;
	return true;
}

bool pkt_starts_flow(const struct pkt *pkt)
{
	if (pkt->icmp_error || (pkt->fragment && pkt->frag_offset > 0))
		return false;
	switch (pkt->tuple.proto) {
	case IPPROTO_NUM_TCP:
		return (pkt->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
	case IPPROTO_NUM_ICMP:
		return pkt->icmp_type == ICMP_ECHO;
	case IPPROTO_NUM_ICMP6:
		return pkt->icmp_type == ICMP6_ECHO;
	default:
		return true;
	}
}
