/*
 * frame_input.h - what the targets that change frames have in common: a frame from the input, and a
 * look at its checksums that shares no code with what is tested.
 */
#ifndef TESTS_FUZZ_FRAME_INPUT_H
#define TESTS_FUZZ_FRAME_INPUT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "packet/decode.h"

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define INPUT_VNET 10 /* the input begins with an offload header, little-endian */

/* The rest of the input behind `head` bytes as a frame with FRAME_HEADROOM; free the result. */
static inline uint8_t *input_frame(struct frame *f, const uint8_t *data, size_t size, size_t head)
{
	uint8_t *room = malloc(FRAME_HEADROOM + size - head);

	MUST(room);
	memset(f, 0, sizeof(*f));
	memcpy(&f->vnet, data, INPUT_VNET);
	f->vnet.hdr_len &= 0x7fff; /* no port delivers headers so long that eight bytes more wrap */
	f->len = (uint32_t)(size - head);
	f->data = room + FRAME_HEADROOM;
	memset(room, 0xe5, FRAME_HEADROOM);
	memcpy(f->data, data + head, f->len);
	return room;
}

static inline unsigned word(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* The sum of big-endian words, folded; `size` may be odd. */
static inline unsigned plain_sum(unsigned sum, const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		sum += i % 2 == 0 ? (unsigned)p[i] << 8 : p[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static inline unsigned plain_pseudo(const uint8_t *ip, unsigned proto, size_t len)
{
	uint8_t rest[6] = {0, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
			   0, (uint8_t)proto};
	unsigned sum = ip[0] >> 4 == 4 ? plain_sum(0, ip + 12, 8) : plain_sum(0, ip + 8, 32);

	return plain_sum(sum, rest, sizeof(rest));
}

static inline bool ip4_sum_right(const uint8_t *ip)
{
	return plain_sum(0, ip, (ip[0] & 15u) * 4) == 0xffff;
}

/* Whether the checksum of a whole transport header and data of `size` bytes is right. */
static inline bool l4_sum_right(const uint8_t *ip, unsigned proto, const uint8_t *l4, size_t size)
{
	if (proto == IPPROTO_NUM_UDP) {
		if (word(l4 + 6) == 0)
			return true;
		if (word(l4 + 4) < size)
			size = word(l4 + 4);
	}
	if (proto == IPPROTO_NUM_ICMP)
		return plain_sum(0, l4, size) == 0xffff;
	if (proto != IPPROTO_NUM_TCP && proto != IPPROTO_NUM_UDP && proto != IPPROTO_NUM_ICMP6)
		return true;
	return plain_sum(plain_pseudo(ip, proto, size), l4, size) == 0xffff;
}

/* All checksums of a frame; a partial one holds the sum of the pseudo-header. */
static inline bool sums_right(const struct pkt *pkt)
{
	const struct vnet *v = &pkt->frame->vnet;
	const uint8_t *ip = pkt->frame->data + pkt->l3;
	const uint8_t *l4 = pkt->frame->data + pkt->l4;
	size_t size = pkt->l3 + pkt->ip_len - pkt->l4;
	unsigned proto = pkt->tuple.proto;

	if (pkt->version == 4 && !ip4_sum_right(ip))
		return false;
	if (pkt->fragment)
		return true;
	if (!(v->flags & VNET_F_NEEDS_CSUM) || v->csum_start != pkt->l4)
		return l4_sum_right(ip, proto, l4, size);
	if (proto == IPPROTO_NUM_ICMP)
		return word(l4 + 2) == 0;
	if (proto == IPPROTO_NUM_UDP)
		size = word(l4 + 4);
	return word(l4 + v->csum_offset) == plain_pseudo(ip, proto, size);
}

/* Decoding the frame says what pkt says. */
static inline void check_in_step(const struct pkt *pkt)
{
	struct frame f = *pkt->frame;
	struct pkt again;

	MUST(pkt_decode(&again, &f) == DROP_NONE && f.len == pkt->frame->len);
	MUST(again.l3 == pkt->l3 && again.l4 == pkt->l4 && again.payload == pkt->payload);
	MUST(again.ip_len == pkt->ip_len && again.frag_len == pkt->frag_len);
	MUST(memcmp(&again.tuple, &pkt->tuple, sizeof(again.tuple)) == 0);
	MUST(memcmp(&again.tcp, &pkt->tcp, sizeof(again.tcp)) == 0);
	MUST(again.icmp_error == pkt->icmp_error);
	MUST(!again.icmp_error || memcmp(&again.inner, &pkt->inner, sizeof(again.inner)) == 0);
}

/* The same bytes from the IP header on, but that a sum of zero, 0000 or ffff, may be written the
 * other way. */
static inline bool same_but_zeros(const struct pkt *pkt, const uint8_t *ip, uint32_t ip_len)
{
	const uint8_t *now = pkt->frame->data + pkt->l3;
	unsigned zeros = 0;

	if (pkt->ip_len != ip_len)
		return false;
	for (uint32_t i = 0; i + 2 <= ip_len; i += 2) {
		if (memcmp(now + i, ip + i, 2) == 0)
			continue;
		if (word(now + i) % 0xffff != 0 || word(ip + i) % 0xffff != 0)
			return false;
		zeros++;
	}
	return zeros <= 4 && (ip_len % 2 == 0 || now[ip_len - 1] == ip[ip_len - 1]);
}

#endif
