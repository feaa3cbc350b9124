/* The Internet checksum, against the plain loop of packets.h. */
#include <check.h>
#include <stdlib.h>

#include "guard.h"
#include "packet/checksum.h"
#include "packets.h"

#define A4 "192.0.2.1"
#define B4 "198.51.100.2"
#define A6 "2001:db8::1"
#define B6 "2001:db8:f::2"

static struct sample s;

static unsigned folded(uint64_t sum)
{
	uint16_t v = csum_fold(sum);
	uint8_t b[2];

	memcpy(b, &v, 2);
	return sample_get16(b);
}

START_TEST(every_size_and_alignment)
{
	uint8_t bytes[400];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 197 + (i >> 3));
	for (size_t size = 0; size <= 200; size++) {
		for (size_t at = 0; at < 8; at++) {
			uint8_t *p = guard_copy(bytes + at, size);

			ck_assert_uint_eq(folded(csum_add(0, p, size)),
					  sample_fold(sample_words(0, p, size)));
			ck_assert_uint_eq(folded(csum_add(0, bytes + at, size)),
					  sample_fold(sample_words(0, bytes + at, size)));
			guard_free(p, size);
		}
	}
}
END_TEST

START_TEST(extremes)
{
	static uint8_t big[65536];

	ck_assert_uint_eq(folded(0), 0xffff);
	ck_assert_uint_eq(folded(UINT64_MAX), 0);
	memset(big, 0xff, sizeof(big));
	ck_assert_uint_eq(folded(csum_add(0, big, sizeof(big))), 0);
	ck_assert_uint_eq(folded(csum_add(UINT64_MAX, big, sizeof(big))), 0);
	memset(big, 0, sizeof(big));
	ck_assert_uint_eq(folded(csum_add(0, big, sizeof(big))), 0xffff);
	ck_assert_uint_eq(folded(csum_add(UINT64_MAX, big, sizeof(big))), 0);
	ck_assert_uint_eq(folded(csum_add(UINT64_MAX, "\0\1", 2)), 0xfffe);
}
END_TEST

/* RFC 1071 section 3: the sum of the example is ddf2. */
START_TEST(rfc1071_example)
{
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	ck_assert_uint_eq(folded(csum_add(0, example, 8)), 0xffff & ~0xddf2u);
	ck_assert_uint_eq(folded(csum_add(csum_add(0, example, 2), example + 2, 6)),
			  0xffff & ~0xddf2u);
}
END_TEST

/* Kinds of packets, by version, protocol and payload. */
static void make(int version, unsigned proto, size_t payload)
{
	sample_eth(&s, -1, version == 4 ? ETH_IPV4 : ETH_IPV6);
	if (version == 4)
		sample_ip4(&s, proto, A4, B4, NULL, 0);
	else
		sample_ip6(&s, proto, A6, B6);
	if (proto == IPPROTO_NUM_TCP) {
		sample_tcp(&s, TCP_ACK, NULL, 0);
		sample_fill(&s, payload);
	} else if (proto == IPPROTO_NUM_UDP) {
		sample_udp(&s, payload);
	} else {
		sample_icmp(&s, version == 4 ? 8 : 128, 0, 77);
		sample_fill(&s, payload);
	}
	sample_end(&s);
}

static const struct {
	int version;
	unsigned proto;
} kinds[] = {
	{4, IPPROTO_NUM_TCP}, {4, IPPROTO_NUM_UDP}, {4, IPPROTO_NUM_ICMP},
	{6, IPPROTO_NUM_TCP}, {6, IPPROTO_NUM_UDP}, {6, IPPROTO_NUM_ICMP6},
};
#define N_KINDS 6

START_TEST(l4_ok)
{
	for (size_t payload = 0; payload < 60; payload++) {
		make(kinds[_i].version, kinds[_i].proto, payload);
		struct frame f = sample_frame(&s);
		struct pkt pkt;

		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
		ck_assert(csum_l4_ok(&pkt));
		for (size_t at = s.l4; at < s.len; at++) {
			f.data[at] ^= 0x40;
			/* The length is in the sum twice, and decoding has read it already. */
			if (!(kinds[_i].proto == IPPROTO_NUM_UDP && at >= s.l4 + 4 &&
			      at < s.l4 + 6))
				ck_assert(!csum_l4_ok(&pkt));
			f.data[at] ^= 0x40;
		}
		f.data[s.l4 + 2] ^= 1;
		f.vnet.flags = VNET_F_NEEDS_CSUM;
		ck_assert(csum_l4_ok(&pkt));
		f.vnet.flags = VNET_F_DATA_VALID;
		ck_assert(csum_l4_ok(&pkt));
	}
}
END_TEST

START_TEST(udp_without_checksum)
{
	struct frame f;
	struct pkt pkt;

	make(4, IPPROTO_NUM_UDP, 9);
	sample_set16(&s, s.l4 + 6, 0);
	f = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	ck_assert(csum_l4_ok(&pkt));
	make(6, IPPROTO_NUM_UDP, 9);
	sample_set16(&s, s.l4 + 6, 0);
	f = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	ck_assert(!csum_l4_ok(&pkt)); /* RFC 8200 section 8.1 */
}
END_TEST

/* A sum that a sender left to its device: only the pseudo-header is in the field. */
START_TEST(complete)
{
	for (size_t payload = 0; payload < 300; payload += 7) {
		make(kinds[_i].version, kinds[_i].proto, payload);
		size_t at = sample_sum_at(s.proto);
		unsigned want = sample_get16(sample_data(&s) + s.l4 + at);
		struct frame f = sample_frame(&s);
		struct pkt pkt;

		if (kinds[_i].proto == IPPROTO_NUM_ICMP)
			continue;
		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
		unsigned partial = ~folded(csum_pseudo(&pkt.tuple.src, &pkt.tuple.dst, s.proto,
						       (uint32_t)(s.len - s.l4)));
		sample_set16(&s, s.l4 + at, partial & 0xffff);
		f.vnet = (struct vnet){.flags = VNET_F_NEEDS_CSUM,
				       .csum_start = (uint16_t)s.l4,
				       .csum_offset = (uint16_t)at};
		csum_complete(&f);
		ck_assert_uint_eq(f.vnet.flags, 0);
		ck_assert_uint_eq(sample_get16(sample_data(&s) + s.l4 + at), want);
		ck_assert(csum_l4_ok(&pkt));
	}
}
END_TEST

/* A UDP sum that comes out as zero is sent as ffff. */
START_TEST(complete_never_zero)
{
	uint8_t data[] = {0xff, 0xff, 0, 0, 0, 0, 0, 0};
	struct frame f = {.data = data,
			  .len = sizeof(data),
			  .vnet = {.flags = VNET_F_NEEDS_CSUM, .csum_offset = 6}};

	csum_complete(&f);
	ck_assert_uint_eq(sample_get16(data + 6), 0xffff);
}
END_TEST

START_TEST(complete_outside_the_frame)
{
	for (size_t len = 0; len < 6; len++) {
		for (unsigned start = 0; start < 8; start++) {
			for (unsigned offset = 0; offset < 8; offset++) {
				uint8_t *p = guard_copy(NULL, len);
				struct frame f = {
					.data = p,
					.len = (uint32_t)len,
					.vnet = {.flags = VNET_F_NEEDS_CSUM,
						 .csum_start = (uint16_t)start,
						 .csum_offset = (uint16_t)offset},
				};
				csum_complete(&f);
				ck_assert_uint_eq(f.vnet.flags, 0);
				for (size_t i = 0; i < len; i++)
					ck_assert(p[i] == 0 || start + offset + 2 <= len);
				guard_free(p, len);
			}
		}
	}
	uint8_t byte = 0;
	struct frame f = {
		.data = &byte,
		.len = 1,
		.vnet = {.flags = VNET_F_NEEDS_CSUM, .csum_start = 65535, .csum_offset = 65535}};
	csum_complete(&f);
	ck_assert_uint_eq(byte, 0);
}
END_TEST

START_TEST(super_frame_is_left)
{
	uint8_t data[64] = {0};
	struct frame f = {
		.data = data,
		.len = sizeof(data),
		.vnet = {.flags = VNET_F_NEEDS_CSUM, .gso_type = VNET_GSO_TCPV4, .gso_size = 8}};
	struct vnet before = f.vnet;

	csum_complete(&f);
	ck_assert_int_eq(memcmp(&before, &f.vnet, sizeof(before)), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("checksum");
	TCase *t = tcase_create("checksum");

	tcase_add_test(t, every_size_and_alignment);
	tcase_add_test(t, extremes);
	tcase_add_test(t, rfc1071_example);
	tcase_add_loop_test(t, l4_ok, 0, N_KINDS);
	tcase_add_test(t, udp_without_checksum);
	tcase_add_loop_test(t, complete, 0, N_KINDS);
	tcase_add_test(t, complete_never_zero);
	tcase_add_test(t, complete_outside_the_frame);
	tcase_add_test(t, super_frame_is_left);
	suite_add_tcase(suite, t);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
