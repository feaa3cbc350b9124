/* ARP and neighbour discovery. */
/* proves: FC-14 */
#include "guard.h"
#include "packets.h"

#include <check.h>

static struct sample s;

static enum drop parse_arp(struct arp *arp, size_t len)
{
	uint8_t *p = guard_copy(sample_data(&s), len);
	struct frame f = {.data = p, .len = (uint32_t)len};
	enum drop reason = arp_parse(arp, &f, (uint16_t)s.l3);

	guard_free(p, len);
	return reason;
}

static void make_arp(unsigned op)
{
	static const uint8_t rest[20] = {2, 0, 0, 0, 0, 5, 192, 0, 2, 1,
					 2, 0, 0, 0, 0, 9, 192, 0, 2, 254};

	sample_eth(&s, -1, ETH_ARP);
	sample_u16(&s, 1);
	sample_u16(&s, 0x0800);
	sample_u8(&s, 6);
	sample_u8(&s, 4);
	sample_u16(&s, op);
	sample_add(&s, rest, sizeof(rest));
}

START_TEST(arp_fields)
{
	char buf[ADDR_TEXT];
	struct arp arp;

	make_arp(2);
	for (size_t len = s.l3; len < s.len; len++)
		ck_assert_int_eq(parse_arp(&arp, len), DROP_SHORT_FRAME);
	ck_assert_int_eq(parse_arp(&arp, s.len), DROP_NONE);
	ck_assert_uint_eq(arp.op, 2);
	ck_assert_str_eq(macaddr_text(buf, &arp.sender_mac), "02:00:00:00:00:05");
	ck_assert_str_eq(macaddr_text(buf, &arp.target_mac), "02:00:00:00:00:09");
	ck_assert_str_eq(ipaddr_text(buf, &arp.sender_ip), "192.0.2.1");
	ck_assert_str_eq(ipaddr_text(buf, &arp.target_ip), "192.0.2.254");
	sample_fill(&s, 18); /* padding of a short frame */
	ck_assert_int_eq(parse_arp(&arp, s.len), DROP_NONE);
}
END_TEST

START_TEST(arp_refused)
{
	static const struct {
		unsigned op;
		size_t at; /* from the ARP header */
		uint8_t v;
		enum drop reason;
	} rows[] = {
		{1, 1, 6, DROP_LINK_CONTROL},  {1, 2, 0x86, DROP_LINK_CONTROL},
		{1, 4, 7, DROP_LINK_CONTROL},  {1, 4, 255, DROP_LINK_CONTROL},
		{1, 5, 16, DROP_LINK_CONTROL}, {0, 1, 1, DROP_LINK_CONTROL},
		{3, 1, 1, DROP_LINK_CONTROL},  {1, 8, 3, DROP_MARTIAN}, /* group address */
		{2, 14, 224, DROP_MARTIAN},    {2, 14, 127, DROP_MARTIAN},
	};
	struct arp arp;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_arp(rows[i].op);
		sample_data(&s)[s.l3 + rows[i].at] = rows[i].v;
		enum drop d = parse_arp(&arp, s.len);
		ck_assert_msg(d == rows[i].reason, "row %zu: %s", i, drop_name(d));
	}
	for (unsigned op = 1; op <= 2; op++) { /* a probe has no sender address, a reply has */
		make_arp(op);
		memset(sample_data(&s) + s.l3 + 14, 0, 4);
		ck_assert_int_eq(parse_arp(&arp, s.len), op == 1 ? DROP_NONE : DROP_MARTIAN);
		make_arp(op);
		memset(sample_data(&s) + s.l3 + 14, 255, 4);
		ck_assert_int_eq(parse_arp(&arp, s.len), DROP_MARTIAN);
		make_arp(op);
		memset(sample_data(&s) + s.l3 + 8, 0, 6);
		ck_assert_int_eq(parse_arp(&arp, s.len), DROP_MARTIAN);
	}
}
END_TEST

#define HOST "fe80::5"
#define TARGET "2001:db8::1"
#define GROUP "ff02::1:ff00:1"

static void make_nd(unsigned type, unsigned flags, const char *src, const char *dst,
		    const char *target)
{
	struct ipaddr a;

	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, IPPROTO_NUM_ICMP6, src, dst);
	sample_data(&s)[s.l3 + 7] = 255;
	sample_icmp(&s, type, 0, (uint32_t)flags << 24);
	ipaddr_parse(&a, target);
	sample_add(&s, a.b, 16);
}

static void add_option(unsigned type, unsigned units)
{
	sample_u8(&s, type);
	sample_u8(&s, units);
	sample_add(&s, "\2\0\0\0\0\7", 6);
}

/* Decode as a frame, then as neighbour discovery. */
static enum drop parse_nd(struct nd *nd)
{
	sample_end(&s);
	uint8_t *p = guard_copy(sample_data(&s), s.len);
	struct frame f = {.data = p, .len = (uint32_t)s.len};
	struct pkt pkt;
	enum drop reason = pkt_decode(&pkt, &f);

	if (reason == DROP_NONE) {
		ck_assert_int_eq(pkt.kind, PKT_ND);
		reason = nd_parse(nd, &pkt);
	}
	guard_free(p, s.len);
	return reason;
}

START_TEST(nd_fields)
{
	char buf[ADDR_TEXT];
	struct nd nd;

	make_nd(135, 0xe0, HOST, GROUP, TARGET);
	add_option(14, 1); /* nonce: skipped */
	add_option(1, 1);
	ck_assert_int_eq(parse_nd(&nd), DROP_NONE);
	ck_assert_uint_eq(nd.type, 135);
	ck_assert_str_eq(ipaddr_text(buf, &nd.src), HOST);
	ck_assert_str_eq(ipaddr_text(buf, &nd.dst), GROUP);
	ck_assert_str_eq(ipaddr_text(buf, &nd.target), TARGET);
	ck_assert(nd.has_mac && !nd.router && !nd.solicited && !nd.override);
	ck_assert_str_eq(macaddr_text(buf, &nd.mac), "02:00:00:00:00:07");
	make_nd(136, 0xe0, HOST, "fe80::9", TARGET);
	add_option(2, 1);
	ck_assert_int_eq(parse_nd(&nd), DROP_NONE);
	ck_assert(nd.has_mac && nd.router && nd.solicited && nd.override);
	make_nd(136, 0x20, HOST, "ff02::1", TARGET); /* unsolicited */
	add_option(1, 1);			     /* the source's, not the target's */
	ck_assert_int_eq(parse_nd(&nd), DROP_NONE);
	ck_assert(!nd.has_mac && !nd.router && !nd.solicited && nd.override);
	make_nd(135, 0, "::", GROUP, TARGET); /* duplicate address detection */
	ck_assert_int_eq(parse_nd(&nd), DROP_NONE);
	ck_assert(!nd.has_mac);
}
END_TEST

START_TEST(nd_every_length)
{
	struct nd nd;

	make_nd(135, 0, HOST, GROUP, TARGET);
	add_option(1, 1);
	for (size_t full = s.len, len = s.l4; len < full; len++) {
		s.len = len;
		enum drop want = len == s.l4 + 24 ? DROP_NONE : DROP_L4_HEADER;
		ck_assert_int_eq(parse_nd(&nd), want);
	}
}
END_TEST

START_TEST(nd_refused)
{
	static const struct {
		unsigned type, flags;
		const char *src, *dst, *target;
		bool option;
		enum drop reason;
	} rows[] = {
		{135, 0, HOST, GROUP, "ff02::1", true, DROP_MARTIAN},
		{135, 0, HOST, GROUP, "::", true, DROP_MARTIAN},
		{135, 0, HOST, GROUP, "::1", true, DROP_MARTIAN},
		{135, 0, "::", GROUP, TARGET, true, DROP_L4_HEADER},
		{135, 0, "::", "ff02::1", TARGET, false, DROP_L4_HEADER},
		{135, 0, "ff02::1", GROUP, TARGET, true, DROP_MARTIAN},
		{135, 0, "::1", GROUP, TARGET, true, DROP_MARTIAN},
		{136, 0x40, HOST, "ff02::1", TARGET, true, DROP_L4_HEADER},
		{136, 0, "::", "ff02::1", TARGET, true, DROP_MARTIAN},
		{136, 0, HOST, "fe80::9", "ff02::9", true, DROP_MARTIAN},
	};
	struct nd nd;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_nd(rows[i].type, rows[i].flags, rows[i].src, rows[i].dst, rows[i].target);
		if (rows[i].option)
			add_option(rows[i].type == 135 ? 1 : 2, 1);
		enum drop d = parse_nd(&nd);
		ck_assert_msg(d == rows[i].reason, "row %zu: %s", i, drop_name(d));
	}
}
END_TEST

START_TEST(nd_bad_options)
{
	struct nd nd;

	make_nd(135, 0, HOST, GROUP, TARGET);
	add_option(1, 0); /* would never end */
	ck_assert_int_eq(parse_nd(&nd), DROP_L4_HEADER);
	make_nd(135, 0, HOST, GROUP, TARGET);
	add_option(1, 2); /* longer than the message */
	ck_assert_int_eq(parse_nd(&nd), DROP_L4_HEADER);
	make_nd(135, 0, HOST, GROUP, TARGET);
	add_option(1, 1);
	add_option(1, 1); /* twice */
	ck_assert_int_eq(parse_nd(&nd), DROP_L4_HEADER);
	make_nd(135, 0, HOST, GROUP, TARGET);
	add_option(1, 2); /* sixteen bytes are no Ethernet address */
	sample_fill(&s, 8);
	ck_assert_int_eq(parse_nd(&nd), DROP_L4_HEADER);
	make_nd(135, 0, HOST, GROUP, TARGET);
	add_option(1, 1);
	sample_data(&s)[s.len - 6] = 0x33; /* group address */
	ck_assert_int_eq(parse_nd(&nd), DROP_MARTIAN);
}
END_TEST

START_TEST(nd_from_afar)
{
	struct nd nd;

	for (unsigned ttl = 0; ttl < 256; ttl++) {
		make_nd(136, 0x20, HOST, "ff02::1", TARGET);
		sample_data(&s)[s.l3 + 7] = (uint8_t)ttl;
		ck_assert_int_eq(parse_nd(&nd), ttl == 255 ? DROP_NONE : DROP_TTL);
	}
	make_nd(136, 0x20, HOST, "ff02::1", TARGET);
	sample_data(&s)[s.l4 + 1] = 1; /* code */
	ck_assert_int_eq(parse_nd(&nd), DROP_L4_HEADER);
	make_nd(133, 0, HOST, "ff02::2", TARGET); /* others are only recognised */
	ck_assert_int_eq(parse_nd(&nd), DROP_NONE);
	ck_assert_uint_eq(nd.type, 133);
}
END_TEST

START_TEST(nd_checksum)
{
	struct frame f;
	struct pkt pkt;
	struct nd nd;

	make_nd(136, 0x20, HOST, "ff02::1", TARGET);
	sample_end(&s);
	sample_data(&s)[s.len - 1] ^= 0x10;
	f = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	ck_assert_int_eq(nd_parse(&nd, &pkt), DROP_L4_CHECKSUM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arp_nd");
	TCase *t = tcase_create("arp_nd");

	tcase_add_test(t, arp_fields);
	tcase_add_test(t, arp_refused);
	tcase_add_test(t, nd_fields);
	tcase_add_test(t, nd_every_length);
	tcase_add_test(t, nd_refused);
	tcase_add_test(t, nd_bad_options);
	tcase_add_test(t, nd_from_afar);
	tcase_add_test(t, nd_checksum);
	suite_add_tcase(suite, t);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
