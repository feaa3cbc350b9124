/*
 * check_peek.c - the TCP header inside the first bytes of a packet.
 *
 * proves: FC-7
 */
#include <check.h>

#include "guard.h"
#include "packet/peek.h"
#include "packets.h"

#define PAYLOAD 300

static void sample_segment(struct sample *s, int kind)
{
	static const uint8_t options[4] = {1, 3, 3, 7};
	static const uint8_t ip_options[4] = {1, 1, 1, 1};
	static const uint8_t hop[8] = {60, 0, 5, 2, 0, 0, 1, 0};
	static const uint8_t destination[16] = {6, 1, 1, 12};

	s->len = 0;
	if (kind < 2)
		sample_ip4(s, 6, "10.0.0.1", "192.0.2.1", ip_options, kind == 1 ? 4 : 0);
	else
		sample_ip6(s, kind == 3 ? 0 : 6, "fd00::1", "2001:db8::1");
	if (kind == 3) {
		sample_add(s, hop, sizeof(hop));
		sample_add(s, destination, sizeof(destination));
	}
	sample_tcp(s, TCP_ACK | TCP_PSH | 0xc0, options, 4);
	sample_fill(s, PAYLOAD);
	sample_end(s);
}

static bool peek(const struct sample *s, size_t size, struct tcp_seg *seg)
{
	uint8_t *p = guard_copy(s->room + FRAME_HEADROOM, size);
	bool ok = peek_tcp(p, size, seg);

	guard_free(p, size);
	return ok;
}

/* Enough is 20 bytes of TCP header; the length comes from the IP header. */
START_TEST(every_prefix)
{
	static struct sample s;
	struct tcp_seg seg;

	sample_segment(&s, _i);
	for (size_t size = 0; size <= s.len; size++) {
		ck_assert_int_eq(peek(&s, size, &seg), size >= s.l4 + 20);
		if (size < s.l4 + 20)
			continue;
		ck_assert_uint_eq(seg.seq, 0x01020304);
		ck_assert_uint_eq(seg.ack, 0x0a0b0c0d);
		ck_assert_uint_eq(seg.flags, TCP_ACK | TCP_PSH);
		ck_assert_uint_eq(seg.win, 0x7000);
		ck_assert_uint_eq(seg.len, PAYLOAD);
		ck_assert_uint_eq(seg.wscale, 0xff);
	}
}
END_TEST

START_TEST(refused)
{
	static struct sample s;
	struct tcp_seg seg;
	uint8_t *d = sample_data(&s);
	static const struct {
		int kind;
		size_t at;
		uint8_t value;
		const char *what;
	} cases[] = {
		{0, 0, 0x44, "IPv4 header of 16 bytes"},
		{0, 0, 0x55, "IP version 5"},
		{0, 9, 17, "UDP"},
		{0, 6, 0x20, "first fragment"},
		{0, 7, 1, "later fragment"},
		{0, 32, 0x40, "TCP header of 16 bytes"},
		{0, 2, 0, "total length below the headers"},
		{2, 6, 17, "UDP in IPv6"},
		{2, 6, 44, "fragment header"},
		{2, 6, 43, "routing header"},
		{3, 41, 255, "extension longer than the packet"},
		{2, 52, 0x40, "TCP header of 16 bytes in IPv6"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sample_segment(&s, cases[i].kind);
		d[cases[i].at] = cases[i].value;
		if (cases[i].at == 2)
			d[3] = 39;
		ck_assert_msg(!peek(&s, s.len, &seg), "%s", cases[i].what);
	}
}
END_TEST

/* A chain of extension headers has an end. */
START_TEST(endless_chain)
{
	static struct sample s;
	static const uint8_t link[8] = {0};
	struct tcp_seg seg;

	s.len = 0;
	sample_ip6(&s, 0, "fd00::1", "2001:db8::1");
	for (unsigned i = 0; i < 1000; i++)
		sample_add(&s, link, sizeof(link));
	sample_set16(&s, 4, 8000);
	ck_assert(!peek(&s, s.len, &seg));
}
END_TEST

START_TEST(random_bytes)
{
	static struct sample s;
	struct tcp_seg seg;

	for (unsigned seed = 1; seed < 3000; seed++) {
		uint32_t x = seed * 2654435761u;

		sample_segment(&s, (int)(seed % 4));
		for (unsigned i = 0; i < 4; i++) {
			x = x * 1664525u + 1013904223u;
			sample_data(&s)[x % 80] = (uint8_t)(x >> 16);
		}
		(void)peek(&s, x % 128, &seg);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("peek");
	TCase *t = tcase_create("peek");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, every_prefix, 0, 4);
	tcase_add_test(t, refused);
	tcase_add_test(t, endless_chain);
	tcase_add_test(t, random_bytes);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
