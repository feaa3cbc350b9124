/*
 * fuzz_stamp.c - the path option of any frame: found, taken out, put in.
 *
 * Input: ten bytes of offload header, one byte of choices (MTU, path id), then the frame.
 */
#include "frame_input.h"
#include "packet/rewrite.h"
#include "packet/stamp.h"

#define HEAD (INPUT_VNET + 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The options once more, without a cursor. */
static unsigned count_stamps(const struct pkt *pkt, unsigned *path)
{
	const uint8_t *p = pkt->frame->data + pkt->l4 + 20;
	const uint8_t *end = pkt->frame->data + pkt->payload;
	unsigned n = 0;

	*path = 0;
	if (pkt->tuple.proto != IPPROTO_NUM_TCP || pkt->l4 == 0 || !(pkt->tcp.flags & TCP_SYN))
		return 0;
	while (p < end && *p != 0) {
		size_t len = *p == 1 ? 1 : p[1];

		MUST(len > 0 && len <= (size_t)(end - p));
		if (p[0] == 253 && len >= 4 && p[2] == 'F' && p[3] == 'W') {
			n++;
			if (n == 1 && len == 6)
				*path = word(p + 4);
		}
		p += len;
	}
	return n;
}

static void check_found(const struct pkt *pkt)
{
	unsigned path, n = count_stamps(pkt, &path);

	MUST(stamp_present(pkt) == (n > 0));
	MUST(stamp_read(pkt) == path);
}

static void try_remove(struct pkt *pkt)
{
	const uint8_t *data = pkt->frame->data + pkt->payload;
	uint32_t ip_len = pkt->ip_len;
	bool right = sums_right(pkt);
	unsigned path, n = count_stamps(pkt, &path);

	MUST(stamp_remove(pkt) == n);
	MUST(pkt->frame->data + pkt->payload == data);
	MUST(pkt->fragment || n == 0 ? pkt->ip_len == ip_len : pkt->ip_len + 4 * n <= ip_len);
	MUST(!stamp_present(pkt) && stamp_read(pkt) == 0);
	MUST(!right || sums_right(pkt));
	check_in_step(pkt);
}

/* In and out again is as if nothing had been. */
static void try_insert(struct pkt *pkt, uint16_t path, uint32_t mtu)
{
	struct frame before = *pkt->frame;
	uint32_t ip_len = pkt->ip_len;
	bool right = sums_right(pkt);
	uint8_t *ip = malloc(ip_len);

	MUST(ip);
	memcpy(ip, pkt->frame->data + pkt->l3, ip_len);
	if (stamp_insert(pkt, path, mtu)) {
		MUST(pkt->ip_len == ip_len + STAMP_SIZE && pkt_wire_len(pkt) <= mtu);
		MUST(stamp_read(pkt) == path && !pkt->fragment);
		MUST(!right || sums_right(pkt));
		check_found(pkt);
		check_in_step(pkt);
		MUST(!stamp_insert(pkt, path, UINT32_MAX));
		MUST(stamp_remove(pkt) == 1);
		MUST(same_but_zeros(pkt, ip, ip_len));
	} else {
		MUST(memcmp(pkt->frame->data + pkt->l3, ip, ip_len) == 0);
	}
	MUST(memcmp(pkt->frame, &before, sizeof(before)) == 0);
	check_in_step(pkt);
	free(ip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame;
	struct pkt pkt;

	if (size < HEAD)
		return 0;
	uint8_t choice = data[HEAD - 1];
	uint8_t *room = input_frame(&frame, data, size, HEAD);
	if (pkt_decode(&pkt, &frame) == DROP_NONE && pkt.kind == PKT_IP) {
		uint16_t path = (uint16_t)(choice * 257u | 1u);
		uint32_t mtu = choice & 1 ? 65543 : 40 + choice * 8u;

		check_found(&pkt);
		rewrite_ethernet(&pkt, &pkt.eth_dst, &pkt.eth_src, choice & 15);
		try_insert(&pkt, path, mtu);
		try_remove(&pkt);
		try_insert(&pkt, path, mtu);
	}
	free(room);
	return 0;
}
