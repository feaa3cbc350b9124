#include "packet/checksum.h"

#include "packet/bytes.h"
#include "packet/decode_parts.h"

/* One's complement addition of 64-bit sums: modulo 2^64 - 1, which 2^16 - 1 divides. */
static uint64_t add(uint64_t x, uint64_t y)
{
	x += y;
	return x + (x < y);
}

/* Up to 7 bytes that are left over, the odd one completed by a zero behind it. */
static uint64_t tail(const uint8_t *p, size_t size)
{
	uint64_t sum = 0;

	if (size & 4) {
		uint32_t w;

		memcpy(&w, p, sizeof(w));
		sum += w;
		p += 4;
	}
	if (size & 2) {
		uint16_t h;

		memcpy(&h, p, sizeof(h));
		sum += h;
		p += 2;
	}
	if (size & 1) {
		uint8_t pair[2] = {p[0], 0};
		uint16_t h;

		memcpy(&h, pair, sizeof(h));
		sum += h;
	}
	return sum;
}

uint64_t csum_add(uint64_t sum, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t a = 0, b = 0;

	/* Halves of 64-bit words: two accumulators cannot overflow below 16 GB, and the loop has no
	 * chain of carries. */
	for (; size >= 16; p += 16, size -= 16) {
		uint64_t w[2];

		memcpy(w, p, sizeof(w));
		a += (w[0] & UINT32_MAX) + (w[0] >> 32);
		b += (w[1] & UINT32_MAX) + (w[1] >> 32);
	}
	if (size >= 8) {
		uint64_t w;

		memcpy(&w, p, sizeof(w));
		a += (w & UINT32_MAX) + (w >> 32);
		p += 8;
		size -= 8;
	}
	return add(sum, a + b + tail(p, size));
}

uint64_t csum_pseudo(const struct ipaddr *src, const struct ipaddr *dst, uint8_t proto,
		     uint32_t len)
{
	uint8_t rest[8];
	uint64_t sum;

	put_be32(rest, len);
	put_be32(rest + 4, proto);
	if (ipaddr_is_v4(src) && ipaddr_is_v4(dst)) {
		sum = csum_add(csum_add(0, src->b + 12, 4), dst->b + 12, 4);
	} else {
		sum = csum_add(csum_add(0, src->b, 16), dst->b, 16);
	}
	return csum_add(sum, rest, sizeof(rest));
}

bool csum_l4_ok(const struct pkt *pkt)
{
	const struct vnet *v = &pkt->frame->vnet;
	const struct pkt_tuple *t = &pkt->tuple;
	const uint8_t *h = pkt->frame->data + pkt->l4;
	uint32_t len = pkt->l3 + pkt->ip_len - pkt->l4;
	uint64_t sum = 0;

	if (v->flags & (VNET_F_NEEDS_CSUM | VNET_F_DATA_VALID) || v->gso_type != VNET_GSO_NONE)
		return true;
	switch (t->proto) {
	case IPPROTO_NUM_UDP:
		if (get_be16(h + 6) == 0)
			return pkt->version == 4;
		len = get_be16(h + 4);
		sum = csum_pseudo(&t->src, &t->dst, t->proto, len);
		break;
	case IPPROTO_NUM_TCP:
	case IPPROTO_NUM_ICMP6:
		sum = csum_pseudo(&t->src, &t->dst, t->proto, len);
		break;
	case IPPROTO_NUM_ICMP:
		break;
	default:
		return true;
	}
	return csum_fold(csum_add(sum, h, len)) == 0;
}

void csum_complete(struct frame *frame)
{
	struct vnet *v = &frame->vnet;
	uint32_t field = (uint32_t)v->csum_start + v->csum_offset;

	if (!(v->flags & VNET_F_NEEDS_CSUM) || v->gso_type != VNET_GSO_NONE)
		return;
	if (frame->len >= 2 && field <= frame->len - 2) {
		/* The field holds the sum of the pseudo-header already. */
		uint16_t sum = csum_fold(
			csum_add(0, frame->data + v->csum_start, frame->len - v->csum_start));

		if (sum == 0) /* means "no checksum" to UDP, the same as 0xffff to all others */
			sum = 0xffff;
		memcpy(frame->data + field, &sum, sizeof(sum));
	}
	v->flags &= (uint8_t)~VNET_F_NEEDS_CSUM;
	v->csum_start = v->csum_offset = 0;
}
