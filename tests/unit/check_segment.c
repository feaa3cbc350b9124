/* Cutting super-frames into segments, and IPv4 packets into fragments. */
/* proves: FC-14 */
#include <check.h>
#include <errno.h>

#include "guard.h"
#include "packet/checksum.h"
#include "packet/segment.h"
#include "packets.h"

#define A4 "192.0.2.1"
#define B4 "198.51.100.2"
#define A6 "2001:db8::1"
#define B6 "2001:db8:f::2"

#define MAX 64
#define CWR 0x80
#define ECE 0x40

static struct sample super, want;
static struct frame frame, out[MAX];
static struct pkt pkt;

static const uint8_t stamps[12] = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};

struct kind {
	int version, vlan;
	unsigned proto;
	uint8_t gso_type;
};

static const struct kind kinds[] = {
	{4, -1, IPPROTO_NUM_TCP, VNET_GSO_TCPV4},
	{6, -1, IPPROTO_NUM_TCP, VNET_GSO_TCPV6},
	{4, 7, IPPROTO_NUM_TCP, VNET_GSO_TCPV4},
	{6, 7, IPPROTO_NUM_TCP, VNET_GSO_TCPV6},
	{4, -1, IPPROTO_NUM_UDP, VNET_GSO_UDP_L4},
	{6, 7, IPPROTO_NUM_UDP, VNET_GSO_UDP_L4},
	{4, -1, IPPROTO_NUM_TCP, VNET_GSO_TCPV4 | VNET_GSO_ECN},
};
#define N_KINDS 7

static uint8_t payload_byte(size_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

/* A packet with the payload bytes [at, at + len) of the stream. */
static void make(struct sample *s, const struct kind *k, unsigned flags, unsigned i, size_t at,
		 size_t len)
{
	sample_eth(s, k->vlan, k->version == 4 ? ETH_IPV4 : ETH_IPV6);
	if (k->version == 4) {
		sample_ip4(s, k->proto, A4, B4, NULL, 0);
		sample_set16(s, s->l3 + 4, (0xfffe + i) & 0xffff); /* the id wraps */
		sample_set16(s, s->l3 + 6, 0x4000);
	} else {
		sample_ip6(s, k->proto, A6, B6);
	}
	if (k->proto == IPPROTO_NUM_TCP) {
		uint32_t seq = 0xfffffff0u + (uint32_t)at; /* so does the sequence number */

		sample_tcp(s, flags, stamps, 12);
		sample_set16(s, s->l4 + 4, seq >> 16);
		sample_set16(s, s->l4 + 6, seq & 0xffff);
	} else {
		sample_udp(s, 0);
		sample_set16(s, s->l4 + 4, (unsigned)(8 + len));
	}
	for (size_t b = 0; b < len; b++)
		sample_u8(s, payload_byte(at + b));
	sample_end(s);
}

/* The super-frame as the kernel gives it: partial sum, offload header. */
static void make_super(const struct kind *k, unsigned flags, size_t len, uint16_t mss)
{
	size_t at;

	make(&super, k, flags, 0, 0, len);
	at = sample_sum_at(super.proto);
	sample_set16(&super, super.l4 + at, 0x5555);
	frame = sample_frame(&super);
	frame.vnet = (struct vnet){.flags = VNET_F_NEEDS_CSUM,
				   .gso_type = k->gso_type,
				   .gso_size = mss,
				   .csum_start = (uint16_t)super.l4,
				   .csum_offset = (uint16_t)at};
	ck_assert_int_eq(pkt_decode(&pkt, &frame), DROP_NONE);
}

static void check_piece(const struct frame *f, const struct sample *expected)
{
	static const struct vnet none;

	ck_assert_uint_eq(f->len, expected->len);
	ck_assert_uint_eq(f->port, 3);
	ck_assert_int_eq(memcmp(&f->vnet, &none, sizeof(none)), 0);
	ck_assert_mem_eq(f->data, expected->room + FRAME_HEADROOM, expected->len);
}

/* Every segment is, byte for byte, what a sender without offload would have sent. */
START_TEST(segments)
{
	const struct kind *k = &kinds[_i];
	const unsigned flags = TCP_ACK | TCP_PSH | TCP_FIN | CWR | ECE;

	for (size_t len = 1; len <= 501; len += 50) {
		const uint16_t mss = 100;
		unsigned n;

		make_super(k, flags, len, mss);
		size_t size = segment_gso_size(&pkt, &n);
		ck_assert_uint_eq(n, (len + mss - 1) / mss);
		uint8_t *room = guard_copy(NULL, size);
		ck_assert_int_eq(segment_gso(&pkt, out, MAX, room, size), (int)n);
		const uint8_t *expect_at = room;
		for (unsigned i = 0; i < n; i++) {
			size_t at = (size_t)i * mss;
			unsigned f = flags;

			if (i > 0)
				f &= ~(unsigned)CWR;
			if (i + 1 < n)
				f &= ~(unsigned)(TCP_PSH | TCP_FIN);
			make(&want, k, f, i, at, len - at < mss ? len - at : mss);
			check_piece(&out[i], &want);
			ck_assert_ptr_eq(out[i].data, expect_at + FRAME_HEADROOM);
			expect_at = out[i].data + out[i].len;
			struct pkt again;
			ck_assert_int_eq(pkt_decode(&again, &out[i]), DROP_NONE);
			ck_assert(csum_l4_ok(&again));
		}
		ck_assert_ptr_eq(expect_at, room + size);
		guard_free(room, size);
	}
}
END_TEST

/* As long as they come: 65535 bytes of IP. */
START_TEST(largest)
{
	const struct kind *k = &kinds[0];
	static uint8_t room[80000];
	unsigned n;

	make_super(k, TCP_ACK, 65535 - 52, 1448);
	size_t size = segment_gso_size(&pkt, &n);
	ck_assert_uint_eq(n, 46);
	ck_assert_uint_le(size, sizeof(room));
	ck_assert_int_eq(segment_gso(&pkt, out, MAX, room, size), 46);
	make(&want, k, TCP_ACK, 45, 45 * 1448, 65483 - 45 * 1448);
	check_piece(&out[45], &want);
}
END_TEST

START_TEST(segments_no_room)
{
	uint8_t room[2000];
	unsigned n;

	make_super(&kinds[0], TCP_ACK, 500, 100);
	size_t size = segment_gso_size(&pkt, &n);
	ck_assert_uint_le(size, sizeof(room));
	ck_assert_int_eq(segment_gso(&pkt, out, 4, room, size), -ENOSPC);
	ck_assert_int_eq(segment_gso(&pkt, out, 5, room, size - 1), -ENOSPC);
	ck_assert_int_eq(segment_gso(&pkt, out, 5, room, 0), -ENOSPC);
	ck_assert_int_eq(segment_gso(&pkt, out, 5, room, size), 5);
}
END_TEST

START_TEST(no_super_frame)
{
	static const struct {
		unsigned kind;
		uint8_t gso_type;
		uint16_t gso_size;
	} rows[] = {
		{0, VNET_GSO_NONE, 100},   {0, VNET_GSO_TCPV6, 100}, {1, VNET_GSO_TCPV4, 100},
		{0, VNET_GSO_UDP_L4, 100}, {4, VNET_GSO_TCPV4, 100}, {4, VNET_GSO_UDP, 100},
		{0, VNET_GSO_TCPV4, 0},	   {0, 0x7f, 100},
	};
	uint8_t room[2000];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned n;

		make_super(&kinds[rows[i].kind], TCP_ACK, 300, 100);
		frame.vnet.gso_type = rows[i].gso_type;
		frame.vnet.gso_size = rows[i].gso_size;
		ck_assert_int_eq(segment_gso(&pkt, out, MAX, room, sizeof(room)), -EINVAL);
		ck_assert_uint_eq(segment_gso_size(&pkt, &n), 0);
		ck_assert_uint_eq(n, 0);
	}
}
END_TEST

/* Fragments */

static void make_udp(const uint8_t *options, size_t n_options, size_t payload, unsigned field)
{
	sample_eth(&super, -1, ETH_IPV4);
	sample_ip4(&super, IPPROTO_NUM_UDP, A4, B4, options, n_options);
	sample_set16(&super, super.l3 + 6, field);
	sample_udp(&super, payload);
	sample_end(&super);
	frame = sample_frame(&super);
	ck_assert_int_eq(pkt_decode(&pkt, &frame), DROP_NONE);
}

/* Put the fragments together again, checking each. Returns the bytes of the datagram. */
static size_t reassemble(int n, uint8_t *to, uint32_t mtu, size_t first_offset, bool more_at_end)
{
	size_t total = 0;

	for (int i = 0; i < n; i++) {
		struct pkt p;

		enum drop d = pkt_decode(&p, &out[i]);
		if (d !=
		    DROP_NONE) /* a TCP or UDP header was split, which is for others to judge */
			ck_assert_int_eq(d, DROP_FRAG_TINY);
		ck_assert_uint_le(p.ip_len, mtu);
		ck_assert_uint_eq(p.frag_offset, first_offset + total);
		ck_assert_int_eq(p.more_fragments, i + 1 < n || more_at_end);
		ck_assert_uint_eq(p.frag_id, 0x1234);
		ck_assert(!p.dont_fragment);
		if (i + 1 < n) /* no smaller than it must be */
			ck_assert_uint_gt(p.ip_len + 8, mtu);
		memcpy(to + total, out[i].data + out[i].len - p.frag_len, p.frag_len);
		total += p.frag_len;
	}
	return total;
}

START_TEST(fragments_every_mtu)
{
	static uint8_t room[8192], whole[2048];

	for (uint32_t mtu = 68; mtu <= 700; mtu++) {
		make_udp(NULL, 0, 573, 0);
		int n = segment_fragment(&pkt, mtu, out, MAX, room, sizeof(room));
		int want_n = 1;
		for (uint32_t left = 581; left + 20 > mtu; left -= (mtu - 20) & ~7u)
			want_n++;
		ck_assert_int_eq(n, want_n);
		ck_assert_uint_eq(reassemble(n, whole, mtu, 0, false), 581);
		ck_assert_mem_eq(whole, frame.data + 34, 581);
	}
}
END_TEST

START_TEST(fragment_of_a_fragment)
{
	static uint8_t room[8192], whole[2048];

	for (unsigned more = 0; more <= 1; more++) {
		make_udp(NULL, 0, 392, more * 0x2000 | 50); /* 400 bytes at 400 */
		int n = segment_fragment(&pkt, 200, out, MAX, room, sizeof(room));
		ck_assert_int_eq(n, 3); /* 176 + 176 + 48 */
		ck_assert_uint_eq(reassemble(n, whole, 200, 400, more), 400);
		ck_assert_mem_eq(whole, frame.data + 34, 400);
	}
}
END_TEST

/* RFC 791: options with the copy bit are in every fragment, the others in the first. */
START_TEST(fragment_options)
{
	static const uint8_t options[12] = {7, 7, 4, 0, 0, 0, 0, 0x94, 4, 0, 0, 1};
	static const uint8_t copied[4] = {0x94, 4, 0, 0};
	static uint8_t room[8192];
	struct pkt p;

	make_udp(options, 12, 292, 0);
	ck_assert_int_eq(segment_fragment(&pkt, 128, out, MAX, room, sizeof(room)), 3);
	ck_assert_uint_eq(out[0].data[14], 0x48);
	ck_assert_mem_eq(out[0].data + 34, options, 12);
	ck_assert_uint_eq(out[0].len, 14 + 32 + 96);
	for (unsigned i = 1; i < 3; i++) {
		ck_assert_uint_eq(out[i].data[14], 0x46);
		ck_assert_mem_eq(out[i].data + 34, copied, 4);
		ck_assert_int_eq(pkt_decode(&p, &out[i]), DROP_NONE);
	}
	ck_assert_uint_eq(p.frag_offset, 200);
	ck_assert_uint_eq(out[1].len, 14 + 24 + 104);
	/* None to copy, and one that needs padding. */
	make_udp((const uint8_t[]){7, 3, 4, 0}, 4, 192, 0);
	ck_assert_int_eq(segment_fragment(&pkt, 128, out, MAX, room, sizeof(room)), 2);
	ck_assert_uint_eq(out[1].data[14], 0x45);
	make_udp((const uint8_t[]){0x88, 6, 1, 2, 3, 4, 0, 0}, 8, 192, 0);
	ck_assert_int_eq(segment_fragment(&pkt, 128, out, MAX, room, sizeof(room)), 3);
	ck_assert_uint_eq(out[1].data[14], 0x47);
	ck_assert_mem_eq(out[1].data + 34, "\x88\6\1\2\3\4\0\0", 8);
}
END_TEST

/* The device would have completed the sum over the whole; over a fragment it cannot. */
START_TEST(fragment_completes_the_sum)
{
	static uint8_t room[8192];

	make_udp(NULL, 0, 300, 0);
	unsigned want_sum = sample_get16(frame.data + 40);
	uint16_t partial = (uint16_t)~csum_fold(
		csum_pseudo(&pkt.tuple.src, &pkt.tuple.dst, IPPROTO_NUM_UDP, 308));
	memcpy(frame.data + 40, &partial, 2);
	frame.vnet = (struct vnet){.flags = VNET_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
	ck_assert_int_eq(segment_fragment(&pkt, 200, out, MAX, room, sizeof(room)), 2);
	ck_assert_uint_eq(sample_get16(out[0].data + 40), want_sum);
	ck_assert_uint_eq(out[0].vnet.flags, 0);
}
END_TEST

START_TEST(fragments_refused)
{
	static uint8_t room[8192];

	make_udp(NULL, 0, 500, 0x4000);
	ck_assert_int_eq(segment_fragment(&pkt, 200, out, MAX, room, sizeof(room)), -EINVAL);
	make_udp(NULL, 0, 500, 0);
	ck_assert_int_eq(segment_fragment(&pkt, 67, out, MAX, room, sizeof(room)), -EINVAL);
	ck_assert_int_eq(segment_fragment(&pkt, 68, out, 10, room, sizeof(room)), -ENOSPC);
	ck_assert_int_eq(segment_fragment(&pkt, 68, out, 11, room, sizeof(room)), 11);
	size_t need = (size_t)(out[10].data + out[10].len - room);
	uint8_t *tight = guard_copy(NULL, need);
	ck_assert_int_eq(segment_fragment(&pkt, 68, out, MAX, tight, need), 11);
	ck_assert_int_eq(segment_fragment(&pkt, 68, out, MAX, tight, need - 1), -ENOSPC);
	guard_free(tight, need);
	frame.vnet.gso_type = VNET_GSO_UDP_L4;
	ck_assert_int_eq(segment_fragment(&pkt, 200, out, MAX, room, sizeof(room)), -EINVAL);
	make(&super, &kinds[1], TCP_ACK, 0, 0, 500);
	frame = sample_frame(&super);
	ck_assert_int_eq(pkt_decode(&pkt, &frame), DROP_NONE);
	ck_assert_int_eq(segment_fragment(&pkt, 200, out, MAX, room, sizeof(room)), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("segment");
	TCase *t = tcase_create("segment");

	tcase_add_loop_test(t, segments, 0, N_KINDS);
	tcase_add_test(t, largest);
	tcase_add_test(t, segments_no_room);
	tcase_add_test(t, no_super_frame);
	tcase_add_test(t, fragments_every_mtu);
	tcase_add_test(t, fragment_of_a_fragment);
	tcase_add_test(t, fragment_options);
	tcase_add_test(t, fragment_completes_the_sum);
	tcase_add_test(t, fragments_refused);
	suite_add_tcase(suite, t);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
