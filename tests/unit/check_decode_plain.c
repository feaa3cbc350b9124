/*
 * The short way through pkt_decode says the same as the long one. pkt_decode_ip always takes the
 * long way, so both are asked about the same bytes: plain packets, and plain packets with every
 * byte of their headers changed, cut at every length, and with offload headers of all kinds.
 */
/* proves: FC-14 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "packet/checksum.h"
#include "packet/decode.h"

#define ETH 14
#define MAX 128

struct sample {
	uint8_t b[MAX];
	size_t size;
};

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void fix_ip_sum(uint8_t *ip)
{
	uint16_t sum;

	memset(ip + 10, 0, 2);
	sum = csum_fold(csum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
}

static struct sample sample_ip(uint8_t proto, size_t l4_size, size_t padding)
{
	struct sample s = {.size = ETH + 20 + l4_size + padding};
	static const uint8_t eth[ETH] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
	static const uint8_t addresses[8] = {10, 1, 0, 5, 192, 0, 2, 80};
	uint8_t *ip = s.b + ETH;

	memcpy(s.b, eth, ETH);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)(20 + l4_size));
	put16(ip + 4, 0xbeef);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, addresses, sizeof(addresses));
	fix_ip_sum(ip);
	put16(ip + 20, 40000);
	put16(ip + 22, 443);
	return s;
}

static struct sample sample_udp(size_t data, size_t padding)
{
	struct sample s = sample_ip(IPPROTO_NUM_UDP, 8 + data, padding);

	put16(s.b + ETH + 24, (unsigned)(8 + data));
	return s;
}

static struct sample sample_tcp(size_t options, size_t data, size_t padding)
{
	static const uint8_t timestamp[12] = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};
	struct sample s = sample_ip(IPPROTO_NUM_TCP, 20 + options + data, padding);
	uint8_t *tcp = s.b + ETH + 20;

	memcpy(tcp + 4, "\x12\x34\x56\x78\x9a\xbc\xde\xf0", 8);
	tcp[12] = (uint8_t)((20 + options) / 4 << 4);
	tcp[13] = TCP_ACK;
	put16(tcp + 14, 501);
	if (options == sizeof(timestamp))
		memcpy(tcp + 20, timestamp, sizeof(timestamp));
	return s;
}

static const struct vnet no_offload;

/* The short way is for pkt_decode only. The Ethernet addresses are all that the long one leaves
 * out. Both must agree, whatever the bytes are. */
static enum drop both(const struct sample *s, size_t size, const struct vnet *vnet)
{
	uint8_t *bytes = guard_copy(s->b, size);
	struct frame f = {.data = bytes, .len = (uint32_t)size, .vnet = *vnet}, g = f;
	struct pkt x, y;
	enum drop d = pkt_decode(&x, &f), e;

	if (size >= ETH && s->b[12] == 8 && s->b[13] == 0 && size > ETH && s->b[ETH] >> 4 == 4) {
		e = pkt_decode_ip(&y, &g, ETH);
		ck_assert_int_eq(d, e);
		if (d == DROP_NONE) {
			ck_assert_uint_eq(f.len, g.len);
			ck_assert_int_eq(memcmp(x.eth_dst.b, s->b, 6), 0);
			ck_assert_int_eq(memcmp(x.eth_src.b, s->b + 6, 6), 0);
			ck_assert_int_eq(x.kind, y.kind);
			ck_assert_uint_eq(x.version, y.version);
			ck_assert_uint_eq(x.ttl, y.ttl);
			ck_assert_uint_eq(x.vlan, y.vlan);
			ck_assert_uint_eq(x.l3, y.l3);
			ck_assert_uint_eq(x.l4, y.l4);
			ck_assert_uint_eq(x.payload, y.payload);
			ck_assert_uint_eq(x.ip_len, y.ip_len);
			ck_assert_int_eq(memcmp(&x.tuple, &y.tuple, sizeof(x.tuple)), 0);
			ck_assert_int_eq(x.fragment, y.fragment);
			ck_assert_int_eq(x.more_fragments, y.more_fragments);
			ck_assert_int_eq(x.dont_fragment, y.dont_fragment);
			ck_assert_uint_eq(x.frag_id, y.frag_id);
			ck_assert_uint_eq(x.frag_offset, y.frag_offset);
			ck_assert_uint_eq(x.frag_len, y.frag_len);
			ck_assert_int_eq(memcmp(&x.tcp, &y.tcp, sizeof(x.tcp)), 0);
			ck_assert_uint_eq(x.icmp_type, y.icmp_type);
			ck_assert_uint_eq(x.icmp_code, y.icmp_code);
			ck_assert_int_eq(x.icmp_error, y.icmp_error);
			ck_assert_int_eq(x.inner_fragment, y.inner_fragment);
			ck_assert_uint_eq(x.inner_seq, y.inner_seq);
		}
	}
	guard_free(bytes, size);
	return d;
}

static struct sample samples[8];
#define N_SAMPLES (sizeof(samples) / sizeof(samples[0]))

static void make_samples(void)
{
	samples[0] = sample_udp(0, 18);
	samples[1] = sample_udp(18, 0);
	samples[2] = sample_udp(40, 7);
	samples[3] = sample_tcp(0, 0, 6);
	samples[4] = sample_tcp(0, 30, 0);
	samples[5] = sample_tcp(12, 0, 0);
	samples[6] = sample_tcp(12, 25, 3);
	samples[7] = sample_tcp(8, 10, 0);
}

START_TEST(accepted)
{
	for (size_t i = 0; i < N_SAMPLES; i++)
		ck_assert_int_eq(both(&samples[i], samples[i].size, &no_offload), DROP_NONE);
}
END_TEST

START_TEST(every_prefix)
{
	for (size_t i = 0; i < N_SAMPLES; i++)
		for (size_t size = 0; size <= samples[i].size; size++)
			both(&samples[i], size, &no_offload);
}
END_TEST

/* Every byte of the headers takes other values: each bit flipped, none set, all set, one more, one
 * less. With the header checksum made right again, so that what lies behind it is reached too. */
static uint8_t other_value(uint8_t b, unsigned which)
{
	const uint8_t more[] = {0, 0xff, (uint8_t)(b + 1), (uint8_t)(b - 1)};

	return which < 8 ? (uint8_t)(b ^ (uint8_t)(1U << which)) : more[which - 8];
}

START_TEST(every_byte)
{
	for (size_t i = 0; i < N_SAMPLES; i++) {
		for (size_t at = 12; at < ETH + 52 && at < samples[i].size; at++) {
			for (unsigned which = 0; which < 12; which++) {
				struct sample s = samples[i];
				s.b[at] = other_value(s.b[at], which);
				both(&s, s.size, &no_offload);
				fix_ip_sum(s.b + ETH);
				both(&s, s.size, &no_offload);
			}
		}
	}
}
END_TEST

START_TEST(every_offload)
{
	for (size_t i = 0; i < N_SAMPLES; i++) {
		for (unsigned start = 0; start < 90; start++) {
			for (unsigned offset = 0; offset < 20; offset++) {
				struct vnet v = {.flags = VNET_F_NEEDS_CSUM,
						 .csum_start = (uint16_t)start,
						 .csum_offset = (uint16_t)offset};
				both(&samples[i], samples[i].size, &v);
			}
		}
	}
}
END_TEST

START_TEST(every_address)
{
	for (unsigned hi = 0; hi < 256; hi++) {
		for (unsigned which = 0; which < 2; which++) {
			struct sample s = samples[1];
			s.b[ETH + 12 + 4 * which] = (uint8_t)hi;
			s.b[ETH + 13 + 4 * which] = hi & 1 ? 254 : 0;
			fix_ip_sum(s.b + ETH);
			both(&s, s.size, &no_offload);
			memcpy(s.b + ETH + 12, s.b + ETH + 16, 4); /* source = destination */
			fix_ip_sum(s.b + ETH);
			ck_assert_int_ne(both(&s, s.size, &no_offload), DROP_NONE);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decode plain");
	TCase *tc = tcase_create("plain");
	SRunner *sr;
	int failed;

	make_samples();
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, accepted);
	tcase_add_test(tc, every_prefix);
	tcase_add_test(tc, every_byte);
	tcase_add_test(tc, every_offload);
	tcase_add_test(tc, every_address);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
