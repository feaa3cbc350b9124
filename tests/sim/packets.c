/*
 * packets.c - each packet carries "SIM" and a 32-bit identity at the end of its payload.
 */
#include "packets.h"

#include <string.h>

#include "packet/checksum.h"

#define MARK 0x53494dd1u

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_mark(uint8_t *p, uint32_t id)
{
	put32(p, MARK);
	put32(p + 4, id);
}

/* IP header for `len` bytes of payload; returns its size. */
static size_t put_ip(uint8_t *out, const struct pkt_tuple *t, size_t len)
{
	uint16_t sum;

	if (!ipaddr_is_v4(&t->src)) {
		memset(out, 0, 40);
		out[0] = 0x60;
		put16(out + 4, (uint32_t)len);
		out[6] = t->proto;
		out[7] = 64;
		memcpy(out + 8, t->src.b, 16);
		memcpy(out + 24, t->dst.b, 16);
		return 40;
	}
	memset(out, 0, 20);
	out[0] = 0x45;
	put16(out + 2, (uint32_t)len + 20);
	out[8] = 64;
	out[9] = t->proto;
	memcpy(out + 12, t->src.b + 12, 4);
	memcpy(out + 16, t->dst.b + 12, 4);
	sum = csum_fold(csum_add(0, out, 20));
	memcpy(out + 10, &sum, 2);
	return 20;
}

static void put_sum(uint8_t *l4, size_t field, const struct pkt_tuple *t, size_t len)
{
	uint64_t sum = t->proto == IPPROTO_NUM_ICMP
			       ? 0
			       : csum_pseudo(&t->src, &t->dst, t->proto, (uint32_t)len);
	uint16_t folded;

	memset(l4 + field, 0, 2);
	folded = csum_fold(csum_add(sum, l4, len));
	memcpy(l4 + field, &folded, 2);
}

/* The stamp of a dispatcher, as packet/stamp.h draws it. */
static void put_stamp(uint8_t *p, uint16_t path)
{
	put32(p, 0xfd064657u);
	put16(p + 4, path);
	put16(p + 6, 0x0101);
}

size_t sim_tcp(uint8_t *out, const struct pkt_tuple *t, const struct sim_tcp *h, uint32_t id,
	       size_t extra)
{
	/* Handshake packets carry their identity in an unknown option, so that they have no data.
	 */
	size_t options = h->full    ? 40
			 : h->stamp ? 20
				    : 12,
	       header = 20 + options, len = header + extra;
	size_t l3 = put_ip(out, t, len);
	uint8_t *tcp = out + l3;

	memset(tcp, 0, len);
	put16(tcp, t->sport);
	put16(tcp + 2, t->dport);
	put32(tcp + 4, h->seq);
	put32(tcp + 8, h->ack);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = h->flags;
	put16(tcp + 14, 60000);
	tcp[20] = 1;
	tcp[21] = 1;
	tcp[22] = 254;
	tcp[23] = 10;
	put_mark(tcp + 24, id);
	memset(tcp + 32, 1, options - 12);
	if (h->stamp)
		put_stamp(tcp + 32, h->stamp);
	put_sum(tcp, 16, t, len);
	return l3 + len;
}

size_t sim_udp(uint8_t *out, const struct pkt_tuple *t, uint32_t id, size_t extra)
{
	size_t len = 16 + extra, l3 = put_ip(out, t, len);
	uint8_t *udp = out + l3;

	memset(udp, 0, len);
	put16(udp, t->sport);
	put16(udp + 2, t->dport);
	put16(udp + 4, (uint32_t)len);
	put_mark(udp + 8, id);
	put_sum(udp, 6, t, len);
	return l3 + len;
}

size_t sim_echo(uint8_t *out, const struct pkt_tuple *t, bool reply, uint32_t id)
{
	size_t len = 16, l3 = put_ip(out, t, len);
	uint8_t *icmp = out + l3;
	bool v6 = t->proto == IPPROTO_NUM_ICMP6;

	memset(icmp, 0, len);
	icmp[0] = v6 ? (reply ? 129 : 128) : (reply ? 0 : 8);
	put16(icmp + 4, t->sport);
	put_mark(icmp + 8, id);
	put_sum(icmp, 2, t, len);
	return l3 + len;
}

size_t sim_unreachable(uint8_t *out, const uint8_t *about, size_t about_size, uint32_t id)
{
	bool v6 = about[0] >> 4 == 6;
	size_t quoted = about_size < 64 ? about_size : 64, len = 8 + quoted + 8;
	struct pkt_tuple t = {.proto = v6 ? IPPROTO_NUM_ICMP6 : IPPROTO_NUM_ICMP};
	size_t l3;
	uint8_t *icmp;

	t.src = v6 ? ipaddr_v6(about + 24) : ipaddr_v4(about + 16);
	t.dst = v6 ? ipaddr_v6(about + 8) : ipaddr_v4(about + 12);
	l3 = put_ip(out, &t, len);
	icmp = out + l3;
	memset(icmp, 0, len);
	icmp[0] = v6 ? 1 : 3;
	icmp[1] = v6 ? 4 : 3;
	memcpy(icmp + 8, about, quoted);
	put_mark(icmp + 8 + quoted, id);
	put_sum(icmp, 2, &t, len);
	return l3 + len;
}

/* Pieces of 64 bytes; the UDP header is in the first. The UDP checksum is not looked at by anybody
 * on the way (it cannot be, with pieces). */
size_t sim_fragment(uint8_t *out, const struct pkt_tuple *t, unsigned index, unsigned n,
		    uint32_t frag_id, uint32_t id)
{
	bool v6 = !ipaddr_is_v4(&t->src), more = index + 1 < n;
	size_t len = 64, l3 = put_ip(out, t, len + (v6 ? 8 : 0));
	uint8_t *p = out + l3;
	uint16_t sum;

	if (v6) {
		out[6] = 44;
		memset(p, 0, 8);
		p[0] = t->proto;
		put16(p + 2, index * 64 | (more ? 1u : 0u));
		put32(p + 4, frag_id);
		p += 8;
	} else {
		put16(out + 4, frag_id & 0xffff);
		put16(out + 6, (more ? 0x2000u : 0u) | index * 8);
		memset(out + 10, 0, 2);
		sum = csum_fold(csum_add(0, out, 20));
		memcpy(out + 10, &sum, 2);
	}
	memset(p, (int)index, len);
	if (index == 0) {
		put16(p, t->sport);
		put16(p + 2, t->dport);
		put16(p + 4, n * 64);
		put16(p + 6, 1);
	}
	put_mark(p + len - 8, id);
	return (size_t)(p - out) + len;
}

uint32_t sim_identity(const struct pkt *pkt)
{
	const uint8_t *p = pkt->frame->data + pkt->l3;
	size_t size = pkt->ip_len;

	/* Search backwards: an error quotes a packet that has a mark of its own. */
	for (size_t i = size < 8 ? 0 : size - 8 + 1; i-- > 20;)
		if (get32(p + i) == MARK)
			return get32(p + i + 4);
	return UINT32_MAX;
}
