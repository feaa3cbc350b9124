/*
 * check_nat.c - other addresses and ports. What comes out is, byte for byte, what the packet would
 * be had it been made with those from the start and all its sums by the plain loop of packets.h.
 */
/* proves: HD-8 */
#include <check.h>

#include "guard.h"
#include "packet/checksum.h"
#include "packet/nat.h"
#include "packets.h"

struct ends {
	char src[ADDR_TEXT], dst[ADDR_TEXT];
	unsigned sport, dport;
};

enum mode {
	WHOLE,
	PARTIAL, /* checksum left to the device */
	SUPER,	 /* and several segments in one */
	NO_SUM,	 /* UDP without a checksum */
	FIRST,	 /* fragments */
	LATER,
	N_MODES
};

struct shape {
	unsigned version, proto;
	int vlan;
	bool options; /* of IPv4; extension headers of IPv6 */
	size_t payload;
	enum mode mode;
};

#define GRE 47
#define CUT 32 /* bytes of the datagram in the first fragment */

static struct sample a, b, quoted_a, quoted_b;
static uint64_t random_state;

static uint32_t dice(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33);
}

/* Bytes that make carries, often. */
static uint8_t dice_byte(void)
{
	static const uint8_t extreme[] = {0, 0xff};
	uint32_t d = dice();

	return d & 1 ? extreme[d >> 1 & 1] : (uint8_t)(d >> 8);
}

static void dice_address(char *text, unsigned version, uint8_t first)
{
	struct ipaddr addr;
	uint8_t bytes[16];

	for (unsigned i = 0; i < 16; i++)
		bytes[i] = dice_byte();
	bytes[0] = version == 4 ? first : 0x20;
	if (version == 6)
		bytes[1] = first; /* so that source and destination differ */
	addr = version == 4 ? ipaddr_v4(bytes) : ipaddr_v6(bytes);
	ipaddr_text(text, &addr);
}

static struct ends dice_ends(unsigned version)
{
	struct ends e = {.sport = dice_byte() * 256u + dice_byte(),
			 .dport = dice_byte() * 256u + dice_byte()};

	dice_address(e.src, version, 11);
	dice_address(e.dst, version, 12);
	return e;
}

static struct pkt_tuple tuple_of(const struct ends *e, unsigned proto)
{
	struct pkt_tuple t = {
		.sport = (uint16_t)e->sport, .dport = (uint16_t)e->dport, .proto = (uint8_t)proto};

	ck_assert_int_eq(ipaddr_parse(&t.src, e->src), 0);
	ck_assert_int_eq(ipaddr_parse(&t.dst, e->dst), 0);
	return t;
}

static bool is_fragment(const struct shape *k)
{
	return k->mode == FIRST || k->mode == LATER;
}

static void put_ip4(struct sample *s, const struct shape *k, const struct ends *e)
{
	static const uint8_t options[8] = {1, 0x94, 4, 0, 0, 1, 0, 9};

	sample_ip4(s, k->proto, e->src, e->dst, options, k->options ? 8 : 0);
}

static void put_ip6(struct sample *s, const struct shape *k, const struct ends *e)
{
	static const uint8_t options[6] = {1, 4};
	unsigned next = is_fragment(k) ? 44 : k->proto;

	sample_ip6(s, k->options ? 60 : next, e->src, e->dst);
	if (k->options) {
		sample_u8(s, next);
		sample_u8(s, 0);
		sample_add(s, options, 6);
	}
	if (is_fragment(k)) {
		sample_u8(s, k->proto);
		sample_u8(s, 0);
		sample_u16(s, k->mode == FIRST ? 1 : CUT);
		sample_u32(s, 0xdeadbeef);
	}
	s->proto = (uint8_t)k->proto;
	s->l4 = s->len;
}

static void put_l4(struct sample *s, const struct shape *k, const struct ends *e)
{
	static const uint8_t stamps[12] = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};

	switch (k->proto) {
	case IPPROTO_NUM_TCP:
		sample_tcp(s, TCP_ACK | TCP_PSH, stamps, 12);
		sample_fill(s, k->payload);
		break;
	case IPPROTO_NUM_UDP:
		sample_udp(s, k->payload);
		break;
	case GRE:
		sample_fill(s, k->payload + 8);
		return;
	default:
		sample_icmp(s, k->version == 4 ? 8 : 128, 0, 0x77010002);
		sample_fill(s, k->payload);
		return;
	}
	sample_set16(s, s->l4, e->sport);
	sample_set16(s, s->l4 + 2, e->dport);
}

/* The un-complemented sum of the pseudo-header in place of the checksum. */
static void leave_partial(struct sample *s)
{
	const uint8_t *ip = sample_data(s) + s->l3;
	uint32_t sum = s->version == 4 ? sample_words(0, ip + 12, 8) : sample_words(0, ip + 8, 32);

	sum += s->proto + (uint32_t)(s->len - s->l4);
	sample_set16(s, s->l4 + sample_sum_at(s->proto), ~sample_fold(sum) & 0xffff);
}

/* One piece of a datagram whose checksum is already that of the whole. */
static void cut(struct sample *s, const struct shape *k)
{
	uint8_t *l4 = sample_data(s) + s->l4;
	size_t size = s->len - s->l4;

	ck_assert_uint_gt(size, CUT);
	if (k->mode == FIRST) {
		s->len = s->l4 + CUT;
	} else {
		memmove(l4, l4 + CUT, size - CUT);
		s->len -= CUT;
	}
	if (s->version == 4)
		sample_set16(s, s->l3 + 6, k->mode == FIRST ? 0x2000 : CUT / 8);
	s->proto = 0; /* sample_end leaves the transport checksum */
	sample_end(s);
}

static void make_ip(struct sample *s, const struct shape *k, const struct ends *e)
{
	if (k->version == 4)
		put_ip4(s, k, e);
	else
		put_ip6(s, k, e);
	put_l4(s, k, e);
	sample_end(s);
	if (k->mode == PARTIAL || k->mode == SUPER)
		leave_partial(s);
	if (k->mode == NO_SUM)
		sample_set16(s, s->l4 + 6, 0);
	if (is_fragment(k))
		cut(s, k);
}

static void make(struct sample *s, const struct shape *k, const struct ends *e)
{
	sample_eth(s, k->vlan, k->version == 4 ? ETH_IPV4 : ETH_IPV6);
	make_ip(s, k, e);
}

static struct vnet offload(const struct sample *s, const struct shape *k)
{
	static const uint8_t gso[2][2] = {{VNET_GSO_TCPV4, VNET_GSO_UDP_L4},
					  {VNET_GSO_TCPV6, VNET_GSO_UDP_L4}};
	struct vnet v = {0};

	if (k->mode != PARTIAL && k->mode != SUPER)
		return v;
	v.flags = VNET_F_NEEDS_CSUM;
	v.csum_start = (uint16_t)s->l4;
	v.csum_offset = (uint16_t)sample_sum_at((uint8_t)k->proto);
	if (k->mode == SUPER) {
		v.gso_type = gso[k->version == 6][k->proto == IPPROTO_NUM_UDP];
		v.gso_size = 100;
		v.hdr_len = 66;
	}
	return v;
}

/* A frame that ends at an unreadable page. */
static struct frame guarded(struct sample *s, struct vnet vnet)
{
	return (struct frame){
		.data = guard_copy(sample_data(s), s->len), .len = (uint32_t)s->len, .vnet = vnet};
}

static void release(struct frame *f)
{
	guard_free(f->data, f->len);
}

/* The frame is what `s` is, and pkt says of it what decoding it says. */
static void assert_is(const struct pkt *pkt, struct sample *s, const struct vnet *vnet)
{
	struct frame f = *pkt->frame;
	struct pkt again;

	ck_assert_uint_eq(f.len, s->len);
	ck_assert_mem_eq(f.data, sample_data(s), s->len);
	ck_assert_mem_eq(&f.vnet, vnet, sizeof(*vnet));
	ck_assert_int_eq(pkt_decode(&again, &f), DROP_NONE);
	ck_assert_mem_eq(&again.tuple, &pkt->tuple, sizeof(again.tuple));
	ck_assert_uint_eq(again.icmp_error, pkt->icmp_error);
	if (again.icmp_error)
		ck_assert_mem_eq(&again.inner, &pkt->inner, sizeof(again.inner));
	/* RFC 6936: some tunnels have none over IPv6 either. */
	if (!pkt->fragment && pkt->tuple.proto != IPPROTO_NUM_UDP)
		ck_assert(csum_l4_ok(pkt));
}

static bool makes_sense(const struct shape *k)
{
	switch (k->mode) {
	case PARTIAL: /* nobody leaves the sum of ICMP for IPv4 to a device */
		return sample_sum_at((uint8_t)k->proto) != 0 && k->proto != IPPROTO_NUM_ICMP;
	case SUPER:
		return (k->proto == IPPROTO_NUM_TCP || k->proto == IPPROTO_NUM_UDP) &&
		       k->payload > 100;
	case NO_SUM:
		return k->proto == IPPROTO_NUM_UDP;
	case FIRST:
	case LATER:
		return k->payload >= 2 * CUT;
	default:
		return true;
	}
}

static void try_shape(const struct shape *k)
{
	for (unsigned n = 0; n < 15; n++) {
		struct ends from = dice_ends(k->version), to = dice_ends(k->version);
		struct pkt_tuple forth = tuple_of(&to, k->proto), back = tuple_of(&from, k->proto);
		struct pkt pkt;

		make(&a, k, &from);
		make(&b, k, &to);
		struct vnet vnet = offload(&a, k);
		struct frame f = guarded(&a, vnet);
		ck_assert_str_eq(drop_name(pkt_decode(&pkt, &f)), "none");
		nat_rewrite(&pkt, &forth);
		assert_is(&pkt, &b, &vnet);
		nat_rewrite(&pkt, &back);
		assert_is(&pkt, &a, &vnet);
		release(&f);
	}
}

static const unsigned protos[2][4] = {
	{IPPROTO_NUM_TCP, IPPROTO_NUM_UDP, IPPROTO_NUM_ICMP, GRE},
	{IPPROTO_NUM_TCP, IPPROTO_NUM_UDP, IPPROTO_NUM_ICMP6, GRE},
};

START_TEST(every_shape)
{
	static const size_t payloads[] = {0, 1, 64, 73, 1000};
	struct shape k = {.mode = (enum mode)_i};
	unsigned tried = 0;

	for (unsigned i = 0; i < 2 * 4 * 2 * 2 * 5; i++) {
		k.version = i & 1 ? 6 : 4;
		k.proto = protos[i & 1][i >> 1 & 3];
		k.vlan = i & 8 ? 77 : -1;
		k.options = i & 16;
		k.payload = payloads[i / 32];
		if (!makes_sense(&k))
			continue;
		tried++;
		try_shape(&k);
	}
	ck_assert_uint_ge(tried, 16);
}
END_TEST

/* Every value that a sum can have, so also those that come to zero: UDP says 0xffff, the others
 * 0. */
START_TEST(every_sum)
{
	struct shape k = {
		.version = _i & 1 ? 6 : 4, .proto = protos[0][_i >> 1], .vlan = -1, .payload = 5};
	struct ends from = dice_ends(k.version), to = dice_ends(k.version);
	struct pkt_tuple t = tuple_of(&to, k.proto);
	unsigned extreme = 0, good = 0;

	make(&a, &k, &from);
	make(&b, &k, &to);
	struct frame f = sample_frame(&a);
	struct pkt pkt;
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	for (unsigned port = 0; port < 65536; port++) {
		uint8_t *sum = sample_data(&b) + b.l4 + sample_sum_at(b.proto);

		t.dport = (uint16_t)port;
		sample_set16(&b, b.l4 + 2, port);
		sample_l4(&b);
		if (sample_get16(sum) == 0) {
			extreme++;
			if (k.proto == IPPROTO_NUM_UDP)
				memset(sum, 0xff, 2);
		}
		nat_rewrite(&pkt, &t);
		good += memcmp(f.data, sample_data(&b), b.len) == 0;
	}
	ck_assert_uint_eq(good, 65536);
	ck_assert_uint_gt(extreme, 0);
}
END_TEST

/* Both ways to write a sum of zero come in, one goes out. */
START_TEST(other_zero)
{
	struct shape k = {.version = 4, .proto = IPPROTO_NUM_TCP, .vlan = -1, .payload = 4};
	struct ends from = dice_ends(4);
	struct pkt_tuple same = tuple_of(&from, k.proto);
	struct pkt pkt;

	make(&a, &k, &from);
	/* Data that makes the sum zero: what it was with data 0000, complemented already. */
	sample_set16(&a, a.len - 2, 0);
	sample_l4(&a);
	sample_set16(&a, a.len - 2, sample_get16(sample_data(&a) + a.l4 + 16));
	sample_set16(&a, a.l4 + 16, 0xffff);
	struct frame f = sample_frame(&a);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	ck_assert(csum_l4_ok(&pkt));
	nat_rewrite(&pkt, &same);
	ck_assert(csum_l4_ok(&pkt));
	ck_assert_uint_eq(sample_get16(f.data + a.l4 + 16), 0);
}
END_TEST

/* A checksum inside the data (a tunnel's) is left to the device: the packet's own is complete. */
START_TEST(partial_inside_the_data)
{
	struct shape k = {.version = 4, .proto = IPPROTO_NUM_UDP, .vlan = -1, .payload = 90};
	struct ends from = dice_ends(4), to = dice_ends(4);
	struct pkt_tuple t = tuple_of(&to, k.proto);
	struct pkt pkt;

	make(&a, &k, &from);
	make(&b, &k, &to);
	struct vnet v = {
		.flags = VNET_F_NEEDS_CSUM, .csum_start = (uint16_t)(a.l4 + 40), .csum_offset = 6};
	struct frame f = guarded(&a, v);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	nat_rewrite(&pkt, &t);
	assert_is(&pkt, &b, &v);
	release(&f);
}
END_TEST

/* ICMP errors */

/* How much of the quoted packet is there; more than there is: all. */
static const size_t quotes[] = {8, 9, 16, 18, 19, 20, 32, 90, 1000};
#define N_QUOTES 9
#define EXTENDED 128 /* RFC 4884: padded to this, extensions behind */

static void make_error(struct sample *s, struct sample *q, const struct shape *k,
		       const struct ends *outer, const struct ends *inner, size_t quote)
{
	static const uint8_t extension[8] = {0x20, 0, 0xa5, 0x5a, 0, 4, 1, 1};
	size_t l4;

	q->len = 0;
	make_ip(q, k, inner);
	l4 = q->l4;
	if (q->len > l4 + quote)
		q->len = l4 + quote;
	sample_eth(s, k->vlan, k->version == 4 ? ETH_IPV4 : ETH_IPV6);
	if (k->version == 4)
		sample_ip4(s, IPPROTO_NUM_ICMP, outer->src, outer->dst, NULL, 0);
	else
		sample_ip6(s, IPPROTO_NUM_ICMP6, outer->src, outer->dst);
	sample_icmp(s, 3, 1, quote == 1000 ? 0x00200000 : 0);
	sample_add(s, sample_data(q), q->len);
	if (quote == 1000 && q->len <= EXTENDED) {
		while (s->len < s->l4 + 8 + EXTENDED)
			sample_u8(s, 0);
		sample_add(s, extension, sizeof(extension));
	}
	sample_end(s);
}

static void try_error(const struct shape *k, size_t quote)
{
	for (unsigned n = 0; n < 6; n++) {
		struct ends in[2] = {dice_ends(k->version), dice_ends(k->version)};
		struct ends out[2] = {dice_ends(k->version), dice_ends(k->version)};
		struct pkt_tuple inner[2], outer[2];
		struct vnet none = {0};
		struct pkt pkt;

		for (unsigned i = 0; i < 2; i++) {
			memcpy(out[i].dst, in[i].src, ADDR_TEXT);
			out[i].src[1] = '3'; /* not that of the quoted packet */
			inner[i] = tuple_of(&in[i], k->proto);
			outer[i] = tuple_of(&out[i], k->proto);
		}
		make_error(&a, &quoted_a, k, &out[0], &in[0], quote);
		make_error(&b, &quoted_b, k, &out[1], &in[1], quote);
		struct frame f = guarded(&a, none);
		ck_assert_str_eq(drop_name(pkt_decode(&pkt, &f)), "none");
		ck_assert(pkt.icmp_error);
		nat_rewrite_error(&pkt, &outer[1].src, &outer[1].dst, &inner[1]);
		assert_is(&pkt, &b, &none);
		nat_rewrite_error(&pkt, &outer[0].src, &outer[0].dst, &inner[0]);
		assert_is(&pkt, &a, &none);
		release(&f);
	}
}

START_TEST(every_error)
{
	static const enum mode modes[] = {WHOLE, NO_SUM, FIRST, LATER};
	struct shape k = {.payload = 64};

	for (unsigned i = 0; i < 2 * 4 * 2 * 4; i++) {
		k.version = i & 1 ? 6 : 4;
		k.proto = protos[i & 1][i >> 1 & 3];
		k.vlan = i & 8 ? 9 : -1;
		k.options = i & 8;
		k.mode = modes[i / 16];
		if (makes_sense(&k))
			try_error(&k, quotes[_i]);
	}
}
END_TEST

/* Only the packet's own bytes count: a checksum that would lie behind its stated end is not one. */
START_TEST(error_quoting_a_short_packet)
{
	struct shape k = {.version = 4, .proto = IPPROTO_NUM_TCP, .vlan = -1, .payload = 30};
	struct ends in = dice_ends(4), out = dice_ends(4), other = dice_ends(4);
	struct pkt_tuple inner = tuple_of(&other, k.proto);
	struct pkt pkt;

	memcpy(out.dst, in.src, ADDR_TEXT);
	out.src[1] = '3';
	make_error(&a, &quoted_a, &k, &out, &in, 90);
	size_t ip = a.l4 + 8, sum = ip + 20 + 16;
	sample_set16(&a, ip + 2, 36); /* says: nothing behind the first 16 bytes of TCP */
	sample_l4(&a);
	struct frame f = sample_frame(&a);
	unsigned before = sample_get16(f.data + sum);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	nat_rewrite_error(&pkt, &pkt.tuple.src, &inner.src, &inner);
	ck_assert_uint_eq(sample_get16(f.data + sum), before);
	ck_assert_uint_eq(sample_get16(f.data + ip + 20), other.sport);
	ck_assert(csum_l4_ok(&pkt));
}
END_TEST

/* Half a checksum at the end of what is quoted is nothing that could be kept right. */
START_TEST(error_quoting_half_a_sum)
{
	struct shape k = {.version = 6, .proto = IPPROTO_NUM_TCP, .vlan = -1, .payload = 30};
	struct ends in = dice_ends(6), out = dice_ends(6), other = dice_ends(6);
	struct pkt_tuple inner = tuple_of(&other, k.proto);
	struct pkt pkt;

	memcpy(out.dst, in.src, ADDR_TEXT);
	out.src[1] = '3';
	make_error(&a, &quoted_a, &k, &out, &in, 17);
	struct frame f = guarded(&a, (struct vnet){0});
	uint8_t half = f.data[f.len - 1];
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	nat_rewrite_error(&pkt, &pkt.tuple.src, &inner.src, &inner);
	ck_assert_uint_eq(f.data[f.len - 1], half);
	ck_assert(csum_l4_ok(&pkt));
	release(&f);
}
END_TEST

/* A sum of the quoted header that a router has left wrong stays wrong by as much: it is not ours to
 * vouch for. */
START_TEST(error_quoting_a_wrong_sum)
{
	struct shape k = {.version = 4, .proto = IPPROTO_NUM_UDP, .vlan = -1, .payload = 30};
	struct ends in = dice_ends(4), out = dice_ends(4), other = dice_ends(4);
	struct pkt_tuple inner = tuple_of(&other, k.proto);
	struct pkt pkt;

	memcpy(out.dst, in.src, ADDR_TEXT);
	out.src[1] = '3';
	make_error(&a, &quoted_a, &k, &out, &in, 90);
	size_t ip = a.l4 + 8;
	sample_data(&a)[ip + 8]--; /* TTL without its sum */
	sample_l4(&a);
	struct frame f = sample_frame(&a);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	nat_rewrite_error(&pkt, &pkt.tuple.src, &inner.src, &inner);
	ck_assert(csum_l4_ok(&pkt));
	f.data[ip + 8]++;
	ck_assert_uint_eq(sample_fold(sample_words(0, f.data + ip, 20)), 0);
}
END_TEST

/* Addresses of the packet itself are read before they are written over. */
START_TEST(error_with_its_own_addresses)
{
	struct shape k = {
		.version = (unsigned)_i, .proto = IPPROTO_NUM_UDP, .vlan = -1, .payload = 30};
	struct ends in = dice_ends(k.version), out = dice_ends(k.version);
	struct ends want_in = dice_ends(k.version), want_out;
	struct vnet none = {0};
	struct pkt pkt;

	memcpy(out.dst, in.src, ADDR_TEXT);
	out.src[1] = '3';
	memcpy(want_in.src, out.src, ADDR_TEXT);
	memcpy(want_out.src, in.dst, ADDR_TEXT);
	memcpy(want_out.dst, out.src, ADDR_TEXT);
	make_error(&a, &quoted_a, &k, &out, &in, 90);
	make_error(&b, &quoted_b, &k, &want_out, &want_in, 90);
	struct pkt_tuple inner = tuple_of(&want_in, k.proto);
	struct frame f = guarded(&a, none);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	nat_rewrite_error(&pkt, &pkt.inner.dst, &pkt.tuple.src, &inner);
	assert_is(&pkt, &b, &none);
	release(&f);
}
END_TEST

/* An error of this host's kernel, its checksum left to the device. */
START_TEST(partial_error)
{
	struct shape k = {.version = 6, .proto = IPPROTO_NUM_TCP, .vlan = -1, .payload = 30};
	struct ends in = dice_ends(6), out = dice_ends(6), other = dice_ends(6),
		    back = dice_ends(6);
	struct pkt_tuple inner = tuple_of(&other, k.proto), outer;
	struct pkt pkt;

	memcpy(out.dst, in.src, ADDR_TEXT);
	out.src[1] = back.src[1] = '3';
	memcpy(back.dst, other.src, ADDR_TEXT);
	outer = tuple_of(&back, k.proto);
	make_error(&a, &quoted_a, &k, &out, &in, 90);
	make_error(&b, &quoted_b, &k, &back, &other, 90);
	leave_partial(&a);
	leave_partial(&b);
	struct vnet v = {
		.flags = VNET_F_NEEDS_CSUM, .csum_start = (uint16_t)a.l4, .csum_offset = 2};
	struct frame f = guarded(&a, v);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	nat_rewrite_error(&pkt, &outer.src, &outer.dst, &inner);
	assert_is(&pkt, &b, &v);
	release(&f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nat");
	TCase *t = tcase_create("nat");

	random_state = 0x5eed;
	tcase_add_loop_test(t, every_shape, 0, N_MODES);
	tcase_add_loop_test(t, every_sum, 0, 4);
	tcase_add_test(t, other_zero);
	tcase_add_test(t, partial_inside_the_data);
	tcase_add_loop_test(t, every_error, 0, N_QUOTES);
	tcase_add_test(t, error_quoting_a_short_packet);
	tcase_add_test(t, error_quoting_half_a_sum);
	tcase_add_test(t, error_quoting_a_wrong_sum);
	tcase_add_test(t, partial_error);
	tcase_add_loop_test(t, error_with_its_own_addresses, 4, 5);
	tcase_add_loop_test(t, error_with_its_own_addresses, 6, 7);
	suite_add_tcase(suite, t);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
