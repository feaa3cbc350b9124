#include "packet/segment.h"

#include <errno.h>

#include "base/cursor.h"
#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/decode_parts.h"

#define TCP_CWR 0x80
#define IPV4_MF 0x2000
#define IPV4_HEADER_MAX 60
#define MTU_MIN 68 /* RFC 791: every link carries this much */

/* Where the next piece is written. */
struct pieces {
	struct frame *out;
	unsigned n, max;
	uint8_t *room;
	size_t left;
	uint16_t port;
};

/* Room for one more frame of `len` bytes, or NULL. */
static uint8_t *piece_new(struct pieces *p, size_t len)
{
	if (p->n >= p->max || p->left < FRAME_HEADROOM || p->left - FRAME_HEADROOM < len)
		return NULL;
	uint8_t *data = p->room + FRAME_HEADROOM;
	p->room = data + len;
	p->left -= FRAME_HEADROOM + len;
	p->out[p->n++] = (struct frame){.data = data, .len = (uint32_t)len, .port = p->port};
	return data;
}

static void ipv4_checksum(uint8_t *ip, size_t header)
{
	uint16_t sum;

	memset(ip + 10, 0, 2);
	sum = csum_fold(csum_add(0, ip, header));
	memcpy(ip + 10, &sum, sizeof(sum));
}

/* Checksum of the transport header at `l4` and all behind it; zero is sent as 0xffff, which UDP
 * needs and TCP allows. */
static void l4_checksum(const struct pkt *pkt, uint8_t *l4, size_t size)
{
	uint8_t *field = l4 + (pkt->tuple.proto == IPPROTO_NUM_TCP ? 16 : 6);
	uint64_t sum =
		csum_pseudo(&pkt->tuple.src, &pkt->tuple.dst, pkt->tuple.proto, (uint32_t)size);
	uint16_t folded;

	memset(field, 0, 2);
	folded = csum_fold(csum_add(sum, l4, size));
	if (folded == 0)
		folded = 0xffff;
	memcpy(field, &folded, sizeof(folded));
}

/* Whether the offload header describes what the packet is. */
static bool is_super_frame(const struct pkt *pkt)
{
	const struct vnet *v = &pkt->frame->vnet;

	if (pkt->kind != PKT_IP || pkt->fragment || pkt->l4 == 0 || v->gso_size == 0)
		return false;
	switch (v->gso_type & ~VNET_GSO_ECN) {
	case VNET_GSO_TCPV4:
		return pkt->version == 4 && pkt->tuple.proto == IPPROTO_NUM_TCP;
	case VNET_GSO_TCPV6:
		return pkt->version == 6 && pkt->tuple.proto == IPPROTO_NUM_TCP;
	case VNET_GSO_UDP_L4:
		return pkt->tuple.proto == IPPROTO_NUM_UDP;
	default:
		return false;
	}
}

static uint32_t payload_len(const struct pkt *pkt)
{
	return pkt->l3 + pkt->ip_len - pkt->payload;
}

static unsigned count_segments(const struct pkt *pkt)
{
	uint32_t mss = pkt->frame->vnet.gso_size;
	uint32_t len = payload_len(pkt);

	return len == 0 ? 1 : (len + mss - 1) / mss;
}

size_t segment_gso_size(const struct pkt *pkt, unsigned *n)
{
	*n = 0;
	if (!is_super_frame(pkt))
		return 0;
	*n = count_segments(pkt);
	return (size_t)*n * ((size_t)FRAME_HEADROOM + pkt->payload) + payload_len(pkt);
}

/* What differs between the headers of the segments: `i` of `n`, `len` payload bytes each. */
static void segment_headers(const struct pkt *pkt, uint8_t *data, unsigned i, unsigned n,
			    size_t len)
{
	uint8_t *ip = data + pkt->l3;
	uint8_t *l4 = data + pkt->l4;
	size_t l4_size = pkt->payload - pkt->l4 + len;

	if (pkt->version == 4) {
		put_be16(ip + 2, (uint16_t)((size_t)pkt->l4 - pkt->l3 + l4_size));
		put_be16(ip + 4, (uint16_t)(get_be16(ip + 4) + i));
		ipv4_checksum(ip, (size_t)pkt->l4 - pkt->l3);
	} else {
		put_be16(ip + 4, (uint16_t)((size_t)pkt->l4 - pkt->l3 - IPV6_HEADER + l4_size));
	}
	if (pkt->tuple.proto == IPPROTO_NUM_UDP) {
		put_be16(l4 + 4, (uint16_t)l4_size);
	} else {
		put_be32(l4 + 4, pkt->tcp.seq + i * pkt->frame->vnet.gso_size);
		if (i > 0)
			l4[13] &= (uint8_t)~TCP_CWR;
		if (i + 1 < n)
			l4[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	}
	l4_checksum(pkt, l4, l4_size);
}

int segment_gso(const struct pkt *pkt, struct frame *out, unsigned max, uint8_t *room, size_t size)
{
	const uint8_t *from = pkt->frame->data;
	struct pieces p = {
		.out = out, .max = max, .room = room, .left = size, .port = pkt->frame->port};
	unsigned n;
	size_t need = segment_gso_size(pkt, &n);

	if (n == 0)
		return -EINVAL;
	if (need > size || n > max)
		return -ENOSPC;
	uint32_t left = payload_len(pkt);
	size_t offset = pkt->payload;
	for (unsigned i = 0; i < n; i++) {
		size_t len = left < pkt->frame->vnet.gso_size ? left : pkt->frame->vnet.gso_size;
		uint8_t *data = piece_new(&p, pkt->payload + len);

		if (!data)
			return -ENOSPC;
		memcpy(data, from, pkt->payload);
		memcpy(data + pkt->payload, from + offset, len);
		segment_headers(pkt, data, i, n, len);
		offset += len;
		left -= (uint32_t)len;
	}
	return (int)p.n;
}

/* The IPv4 header of all fragments but the first: only options with the copy bit (RFC 791 section
 * 3.1). Returns its length. */
static size_t later_header(const uint8_t *ip, size_t header, uint8_t *out)
{
	struct rcur c = rcur_init(ip + IPV4_HEADER, header - IPV4_HEADER);
	struct wcur w = wcur_init(out, IPV4_HEADER_MAX);

	wcur_bytes(&w, ip, IPV4_HEADER);
	while (rcur_left(&c) > 0) {
		const uint8_t *option = c.pos;
		uint8_t type = rcur_u8(&c);

		if (type == 0)
			break;
		if (type == 1)
			continue;
		uint8_t len = rcur_u8(&c);
		rcur_skip(&c, len < 2 ? SIZE_MAX : len - 2u);
		if (rcur_ok(&c) && type & 0x80)
			wcur_bytes(&w, option, len);
	}
	while (wcur_size(&w) % 4 != 0)
		wcur_u8(&w, 0);
	size_t size = wcur_size(&w);
	out[0] = (uint8_t)(0x40 | size / 4);
	return size;
}

/* Write one fragment: Ethernet header, IP header `ip` of `header` bytes, `len` bytes from `offset`
 * of this packet's data. */
static bool write_fragment(struct pieces *p, const struct pkt *pkt, const uint8_t *ip,
			   size_t header, size_t offset, size_t len, bool more)
{
	const uint8_t *from = pkt->frame->data;
	size_t own = (from[pkt->l3] & 0x0fu) * 4u;
	uint8_t *data = piece_new(p, pkt->l3 + header + len);

	if (!data)
		return false;
	uint8_t *to = data + pkt->l3;
	uint16_t field = (uint16_t)((pkt->frag_offset + offset) / 8);
	memcpy(data, from, pkt->l3);
	memcpy(to, ip, header);
	memcpy(to + header, from + pkt->l3 + own + offset, len);
	put_be16(to + 2, (uint16_t)(header + len));
	put_be16(to + 6, more ? field | IPV4_MF : field);
	ipv4_checksum(to, header);
	return true;
}

static int cut(struct pieces *p, const struct pkt *pkt, uint32_t mtu)
{
	const uint8_t *first = pkt->frame->data + pkt->l3;
	size_t header = (first[0] & 0x0fu) * 4u;
	uint8_t later[IPV4_HEADER_MAX];
	size_t later_size = later_header(first, header, later);
	size_t total = pkt->ip_len - header;
	const uint8_t *ip = first;

	for (size_t offset = 0, len; offset < total || offset == 0; offset += len) {
		len = total - offset;
		if (header + len > mtu)
			len = (mtu - header) & ~(size_t)7;
		bool more = offset + len < total || pkt->more_fragments;
		if (!write_fragment(p, pkt, ip, header, offset, len, more))
			return -ENOSPC;
		if (len == 0)
			break;
		ip = later;
		header = later_size;
	}
	return (int)p->n;
}

int segment_fragment(const struct pkt *pkt, uint32_t mtu, struct frame *out, unsigned max,
		     uint8_t *room, size_t size)
{
	struct pieces p = {
		.out = out, .max = max, .room = room, .left = size, .port = pkt->frame->port};

	if (pkt->kind != PKT_IP || pkt->version != 4 || pkt->dont_fragment || mtu < MTU_MIN ||
	    pkt->frame->vnet.gso_type != VNET_GSO_NONE)
		return -EINVAL;
	/* No receiver can complete the checksum of a part. */
	csum_complete(pkt->frame);
	return cut(&p, pkt, mtu);
}
