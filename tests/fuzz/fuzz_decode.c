/*
 * fuzz_decode.c - everything a received frame goes through in src/packet.
 *
 * Input: ten bytes of offload header (little-endian), one byte of choices (bit 0..3: VLAN to leave
 * by, rest: MTU), then the frame.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "packet/build.h"
#include "packet/checksum.h"
#include "packet/decode.h"
#include "packet/rewrite.h"
#include "packet/segment.h"

#define HEAD 11
#define PIECES 64
#define ROOM 200000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static const struct build_eth eth = {.dst = {{2, 0, 0, 0, 0, 1}}, .src = {{2, 0, 0, 0, 0, 2}}};

static struct build *context(void)
{
	static struct build *b;

	if (!b)
		b = build_new();
	MUST(b);
	return b;
}

static void check_description(const struct pkt *pkt)
{
	MUST(pkt->version == 4 || pkt->version == 6);
	MUST(pkt->l3 + pkt->ip_len == pkt->frame->len);
	MUST(pkt->payload <= pkt->frame->len);
	MUST(pkt->l4 == 0 ? pkt->frag_offset > 0 : pkt->l4 > pkt->l3 && pkt->l4 <= pkt->payload);
	MUST(ipaddr_is_v4(&pkt->tuple.src) == (pkt->version == 4));
	MUST(ipaddr_is_v4(&pkt->tuple.dst) == (pkt->version == 4));
	MUST(!pkt->icmp_error || ipaddr_eq(&pkt->inner.src, &pkt->tuple.dst));
	MUST(!pkt->fragment || pkt->frag_len > 0);
	MUST(pkt_wire_len(pkt) <= pkt->ip_len);
}

/* A second look finds the same. */
static void check_again(const struct pkt *pkt)
{
	struct frame f = *pkt->frame;
	struct pkt again;

	MUST(pkt_decode(&again, &f) == DROP_NONE);
	MUST(again.l3 == pkt->l3 && again.l4 == pkt->l4 && again.payload == pkt->payload);
	MUST(again.ttl == pkt->ttl && again.vlan == pkt->vlan && again.ip_len == pkt->ip_len);
	MUST(memcmp(&again.tuple, &pkt->tuple, sizeof(again.tuple)) == 0);
	f = *pkt->frame;
	MUST(pkt_decode_ip(&again, &f, pkt->l3) == DROP_NONE);
	MUST(memcmp(&again.tuple, &pkt->tuple, sizeof(again.tuple)) == 0);
}

static void try_segments(const struct pkt *pkt)
{
	struct frame out[PIECES];
	unsigned n;
	size_t size = segment_gso_size(pkt, &n);
	size_t total = 0;

	if (n == 0 || n > PIECES)
		return;
	uint8_t *room = malloc(size);
	MUST(room);
	MUST(segment_gso(pkt, out, PIECES, room, size) == (int)n);
	for (unsigned i = 0; i < n; i++) {
		struct pkt p;

		MUST(pkt_decode(&p, &out[i]) == DROP_NONE);
		MUST(csum_l4_ok(&p));
		MUST(p.ip_len <= pkt_wire_len(pkt));
		total += out[i].len - p.payload;
	}
	MUST(total == pkt->frame->len - pkt->payload);
	free(room);
}

static void try_fragments(const struct pkt *pkt, uint32_t mtu)
{
	struct frame out[PIECES];
	uint8_t *room = malloc(ROOM);
	uint32_t end = pkt->frag_offset;
	uint32_t data = pkt->frag_len;
	bool offload = pkt->frame->vnet.flags != 0;

	MUST(room);
	int n = segment_fragment(pkt, mtu, out, PIECES, room, ROOM);
	for (int i = 0; i < n; i++) {
		struct pkt p;
		enum drop d = pkt_decode(&p, &out[i]);

		/* A transport header that is now in two pieces is refused, and so is a wrong sum
		 * that the offload header vouched for; the lengths are right. */
		MUST(d == DROP_NONE || d == DROP_FRAG_TINY || d == DROP_ICMP_UNRELATED ||
		     (d == DROP_L4_CHECKSUM && offload));
		MUST(p.ip_len <= mtu && p.frag_offset == end);
		end += p.frag_len;
	}
	MUST(n <= 0 || end - pkt->frag_offset == data);
	free(room);
}

/* Nothing we originate is longer than it may be, and it is well-formed. */
static void try_answers(const struct pkt *pkt)
{
	uint8_t out[BUILD_MAX];
	struct build_icmp icmp = {.type = pkt->version == 4 ? 11 : 3};
	struct frame f = {.data = out};
	struct pkt p;

	ipaddr_parse(&icmp.from, pkt->version == 4 ? "203.0.113.1" : "2001:db8:ffff::1");
	if (ipaddr_eq(&icmp.from, &pkt->tuple.src))
		return;
	f.len = (uint32_t)build_icmp_error(context(), &eth, pkt, &icmp, out, sizeof(out));
	if (f.len > 0) {
		MUST(pkt_decode(&p, &f) == DROP_NONE && p.icmp_error);
		MUST(p.ip_len <= (pkt->version == 4 ? 576 : 1280));
		MUST(p.ip_len <= pkt->ip_len + (pkt->version == 4 ? 28 : 48));
		MUST(!pkt->icmp_error && pkt->frag_offset == 0);
	}
	f.len = (uint32_t)build_tcp_reset(context(), &eth, pkt, out, sizeof(out));
	if (f.len > 0) {
		MUST(pkt_decode(&p, &f) == DROP_NONE);
		MUST(p.tcp.flags & TCP_RST && !(pkt->tcp.flags & TCP_RST));
		MUST(p.ip_len <= pkt->ip_len);
	}
}

static void try_rewrite(struct pkt *pkt, uint16_t vlan)
{
	uint8_t ttl = pkt->ttl;

	rewrite_ethernet(pkt, &eth.dst, &eth.src, vlan);
	check_again(pkt);
	if (ttl > 1) {
		rewrite_ttl(pkt);
		MUST(pkt->ttl == ttl - 1);
		check_again(pkt);
	}
}

static void try_ip(struct pkt *pkt, uint8_t choice)
{
	check_description(pkt);
	check_again(pkt);
	try_answers(pkt);
	try_segments(pkt);
	try_rewrite(pkt, choice & 15);
	check_description(pkt);
	try_segments(pkt);
	try_fragments(pkt, 68u + (choice >> 4) * 97u); /* completes the sum */
}

static void try_frame(struct frame *frame, uint8_t choice)
{
	struct pkt pkt;
	struct arp arp;
	struct nd nd;
	uint8_t out[BUILD_MAX];

	if (pkt_decode(&pkt, frame) != DROP_NONE)
		return;
	if (pkt.kind == PKT_ARP && arp_parse(&arp, frame, pkt.l3) == DROP_NONE)
		MUST(build_arp(context(), &eth, &arp, out, sizeof(out)) == 42);
	if (pkt.kind == PKT_ND && nd_parse(&nd, &pkt) == DROP_NONE)
		build_nd(context(), &eth, &nd, out, sizeof(out));
	if (pkt.kind == PKT_IP)
		try_ip(&pkt, choice);
	csum_complete(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame = {0};

	if (size < HEAD)
		return 0;
	memcpy(&frame.vnet, data, sizeof(frame.vnet));
	uint8_t choice = data[HEAD - 1];
	frame.len = (uint32_t)(size - HEAD);
	uint8_t *room = malloc(FRAME_HEADROOM + frame.len);
	MUST(room);
	memset(room, 0, FRAME_HEADROOM);
	frame.data = room + FRAME_HEADROOM;
	memcpy(frame.data, data + HEAD, frame.len);
	try_frame(&frame, choice);
	free(room);
	return 0;
}
