/*
 * fuzz_nat.c - other addresses and ports in any frame, and back again.
 *
 * Input: ten bytes of offload header, 36 bytes of new addresses and ports, then the frame.
 */
#include "frame_input.h"
#include "packet/nat.h"

#define ENDS 36
#define HEAD (INPUT_VNET + ENDS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Addresses that may be forwarded, the source other than the destination. */
static struct ipaddr address(const uint8_t *p, unsigned version, uint8_t other)
{
	uint8_t b[16];

	memcpy(b, p, sizeof(b));
	if (version == 4) {
		b[0] = other;
		return ipaddr_v4(b);
	}
	b[0] = 0x20;
	b[1] = other;
	return ipaddr_v6(b);
}

static struct pkt_tuple new_tuple(const uint8_t *p, const struct pkt *pkt, unsigned proto)
{
	return (struct pkt_tuple){.src = address(p, pkt->version, 11),
				  .dst = address(p + 16, pkt->version, 12),
				  .sport = (uint16_t)word(p + 32),
				  .dport = (uint16_t)word(p + 34),
				  .proto = (uint8_t)proto};
}

/* The quoted packet, as far as it can be judged: IPv4 header, and the whole of one without IPv6
 * extension headers. */
static bool quoted_right(const struct pkt *pkt)
{
	const uint8_t *ip = pkt->frame->data + pkt->payload;
	const uint8_t *end = pkt->frame->data + pkt->frame->len;
	bool v4 = pkt->version == 4;
	size_t header = v4 ? (ip[0] & 15u) * 4 : 40;
	size_t len = v4 ? word(ip + 2) : word(ip + 4) + 40u;
	bool fragment = v4 && (word(ip + 6) & 0x3fff) != 0;

	if (v4 && !ip4_sum_right(ip))
		return false;
	if (fragment || len > (size_t)(end - ip) || (!v4 && ip[6] != pkt->inner.proto) ||
	    len < header + (pkt->inner.proto == IPPROTO_NUM_TCP ? 20 : 8))
		return true;
	return l4_sum_right(ip, pkt->inner.proto, ip + header, len - header);
}

static void check_tuple(const struct pkt_tuple *t, const struct pkt_tuple *want)
{
	bool ports = t->proto == IPPROTO_NUM_TCP || t->proto == IPPROTO_NUM_UDP;

	MUST(ipaddr_eq(&t->src, &want->src) && ipaddr_eq(&t->dst, &want->dst));
	MUST(!ports || (t->sport == want->sport && t->dport == want->dport) ||
	     (t->sport == 0 && t->dport == 0)); /* a later fragment */
}

static void try_packet(struct pkt *pkt, const uint8_t *ends)
{
	struct pkt_tuple before = pkt->tuple, to = new_tuple(ends, pkt, before.proto);
	bool right = sums_right(pkt);

	nat_rewrite(pkt, &to);
	check_tuple(&pkt->tuple, &to);
	MUST(!right || sums_right(pkt));
	if (!pkt->icmp_error) /* it is now sent to another host than it is about */
		check_in_step(pkt);
	nat_rewrite(pkt, &before);
	MUST(!right || sums_right(pkt));
}

static void try_error(struct pkt *pkt, const uint8_t *ends)
{
	struct pkt_tuple outer = pkt->tuple, inner = pkt->inner;
	struct pkt_tuple to = new_tuple(ends, pkt, inner.proto);
	struct ipaddr src = address(ends + 8, pkt->version, 13);
	bool right = sums_right(pkt), quoted = quoted_right(pkt);

	nat_rewrite_error(pkt, &src, &to.src, &to);
	check_tuple(&pkt->inner, &to);
	MUST(ipaddr_eq(&pkt->tuple.src, &src) && ipaddr_eq(&pkt->tuple.dst, &to.src));
	MUST(!right || sums_right(pkt));
	MUST(!quoted || quoted_right(pkt));
	check_in_step(pkt);
	nat_rewrite_error(pkt, &outer.src, &outer.dst, &inner);
	MUST(!right || sums_right(pkt));
	MUST(!quoted || quoted_right(pkt));
}

static void try_ip(struct pkt *pkt, const uint8_t *ends)
{
	struct frame before = *pkt->frame;
	uint32_t ip_len = pkt->ip_len;
	uint8_t *ip = malloc(ip_len);

	MUST(ip);
	memcpy(ip, pkt->frame->data + pkt->l3, ip_len);
	try_packet(pkt, ends);
	MUST(same_but_zeros(pkt, ip, ip_len));
	if (pkt->icmp_error) {
		try_error(pkt, ends);
		MUST(same_but_zeros(pkt, ip, ip_len));
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
	uint8_t *room = input_frame(&frame, data, size, HEAD);
	if (pkt_decode(&pkt, &frame) == DROP_NONE && pkt.kind == PKT_IP)
		try_ip(&pkt, data + INPUT_VNET);
	free(room);
	return 0;
}
