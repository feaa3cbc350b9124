/* Addresses, prefixes and their texts; names of drop reasons and counters. */
#include <check.h>
#include <errno.h>

#include "base/addr.h"
#include "base/counter.h"
#include "base/drop.h"

static struct ipaddr ip(const char *text)
{
	struct ipaddr a;

	ck_assert_msg(ipaddr_parse(&a, text) == 0, "%s", text);
	return a;
}

static struct prefix net(const char *text)
{
	struct prefix p;

	ck_assert_msg(prefix_parse(&p, text) == 0, "%s", text);
	return p;
}

START_TEST(address_text)
{
	static const char *const same[] = {
		"0.0.0.0",
		"192.0.2.1",
		"255.255.255.255",
		"::",
		"::1",
		"2001:db8::1",
		"fe80::1",
		"2001:db8:1:2:3:4:5:6",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};
	char buf[ADDR_TEXT];

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct ipaddr a = ip(same[i]);

		ck_assert_str_eq(ipaddr_text(buf, &a), same[i]);
		ck_assert_int_eq(ipaddr_is_v4(&a), strchr(same[i], '.') != NULL);
	}
}
END_TEST

START_TEST(address_refused)
{
	static const char *const bad[] = {
		"",
		"1.2.3",
		"1.2.3.4.5",
		"256.0.0.1",
		"1.2.3.4 ",
		"localhost",
		"01.2.3.4.5",
		":::",
		"1::2::3",
		"g::",
		"1.2.3.4/8",
		"[::1]",
		"::ffff:192.0.2.1",
		"::ffff:c000:201",
	};
	struct ipaddr a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(ipaddr_parse(&a, bad[i]) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(address_kinds)
{
	static const struct {
		const char *text;
		bool unspecified, loopback, multicast, link_local, broadcast;
	} rows[] = {
		{"0.0.0.0", true, false, false, false, false},
		{"0.0.0.1", false, false, false, false, false},
		{"127.0.0.1", false, true, false, false, false},
		{"127.255.0.1", false, true, false, false, false},
		{"128.0.0.1", false, false, false, false, false},
		{"223.255.255.255", false, false, false, false, false},
		{"224.0.0.1", false, false, true, false, false},
		{"239.255.255.255", false, false, true, false, false},
		{"240.0.0.1", false, false, false, false, false},
		{"169.254.0.1", false, false, false, true, false},
		{"169.253.0.1", false, false, false, false, false},
		{"255.255.255.255", false, false, false, false, true},
		{"255.255.255.254", false, false, false, false, false},
		{"::", true, false, false, false, false},
		{"::1", false, true, false, false, false},
		{"::2", false, false, false, false, false},
		{"ff02::1", false, false, true, false, false},
		{"fe00::1", false, false, false, false, false},
		{"fe80::1", false, false, false, true, false},
		{"febf::1", false, false, false, true, false},
		{"fec0::1", false, false, false, false, false},
		{"2001:db8::ff", false, false, false, false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ipaddr a = ip(rows[i].text);

		ck_assert_msg(ipaddr_is_unspecified(&a) == rows[i].unspecified, "%s", rows[i].text);
		ck_assert_msg(ipaddr_is_loopback(&a) == rows[i].loopback, "%s", rows[i].text);
		ck_assert_msg(ipaddr_is_multicast(&a) == rows[i].multicast, "%s", rows[i].text);
		ck_assert_msg(ipaddr_is_link_local(&a) == rows[i].link_local, "%s", rows[i].text);
		ck_assert_msg(ipaddr_is_broadcast(&a) == rows[i].broadcast, "%s", rows[i].text);
	}
}
END_TEST

/* Bit by bit, against the definition. */
START_TEST(mask_every_length)
{
	struct ipaddr ones, m;

	memset(&ones, 0xff, sizeof(ones));
	for (unsigned len = 0; len <= 128; len++) {
		m = ipaddr_mask(ones, len);
		for (unsigned bit = 0; bit < 128; bit++)
			ck_assert_int_eq(m.b[bit / 8] >> (7 - bit % 8) & 1, bit < len);
	}
}
END_TEST

START_TEST(prefix_texts)
{
	static const struct {
		const char *in, *out;
		unsigned len;
	} rows[] = {
		{"192.0.2.77/24", "192.0.2.0/24", 120},	 {"192.0.2.77", "192.0.2.77/32", 128},
		{"0.0.0.0/0", "0.0.0.0/0", 96},		 {"10.255.255.255/9", "10.128.0.0/9", 105},
		{"2001:db8::1/32", "2001:db8::/32", 32}, {"::/0", "::/0", 0},
		{"2001:db8::1", "2001:db8::1/128", 128},
	};
	char buf[ADDR_TEXT];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prefix p = net(rows[i].in);

		ck_assert_uint_eq(p.len, rows[i].len);
		ck_assert_str_eq(prefix_text(buf, &p), rows[i].out);
	}
	struct prefix host;
	ck_assert_int_eq(prefix_parse_host(&host, "192.0.2.77/24"), 0);
	ck_assert_str_eq(prefix_text(buf, &host), "192.0.2.77/24");
}
END_TEST

START_TEST(prefix_refused)
{
	static const char *const bad[] = {
		"192.0.2.0/33",
		"192.0.2.0/",
		"192.0.2.0/-1",
		"192.0.2.0/+8",
		"192.0.2.0/08",
		"192.0.2.0/8 ",
		"2001:db8::/129",
		"/8",
		"",
		"192.0.2.0/8/8",
		"2001:db8::/1000",
		"192.0.2.0/4294967304",
		"1111111111111111111111111111111111111111111111111111111111111111111111111111/8",
	};
	struct prefix p = {.len = 77};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(prefix_parse(&p, bad[i]) == -EINVAL, "%s", bad[i]);
	ck_assert_uint_eq(p.len, 77);
}
END_TEST

START_TEST(prefix_membership)
{
	struct prefix n24 = net("192.0.2.0/24"), all4 = net("0.0.0.0/0"), all6 = net("::/0");
	struct prefix n32 = net("2001:db8::/32"), one = net("192.0.2.7");
	struct ipaddr in = ip("192.0.2.7"), out = ip("192.0.3.7"), six = ip("2001:db8:ffff::1");
	struct ipaddr other = ip("2001:db9::1");

	ck_assert(prefix_contains(&n24, &in));
	ck_assert(!prefix_contains(&n24, &out));
	ck_assert(prefix_contains(&one, &in));
	ck_assert(!prefix_contains(&one, &out));
	ck_assert(prefix_contains(&all4, &out));
	ck_assert(!prefix_contains(&all4, &six));
	ck_assert(prefix_contains(&all6, &six));
	ck_assert(!prefix_contains(&all6, &in)); /* "any IPv6" is not "any" */
	ck_assert(prefix_contains(&n32, &six));
	ck_assert(!prefix_contains(&n32, &other));
}
END_TEST

START_TEST(endpoint_texts)
{
	struct endpoint e = {.addr = ip("192.0.2.1"), .port = 80};
	char buf[ADDR_TEXT];

	ck_assert_str_eq(endpoint_text(buf, &e), "192.0.2.1:80");
	e.addr = ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	e.port = 65535;
	ck_assert_str_eq(endpoint_text(buf, &e), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}
END_TEST

START_TEST(mac_texts)
{
	static const char *const bad[] = {
		"",
		"02:00:00:00:00",
		"02:00:00:00:00:0",
		"02:00:00:00:00:0g",
		"02:00:00:00:00:00:",
		"02-00-00-00-00-00",
		"2:0:0:0:0:0",
		"02:00:00:00:00:00 ",
		"020:0:00:00:00:00",
	};
	struct macaddr m;
	char buf[ADDR_TEXT];

	ck_assert_int_eq(macaddr_parse(&m, "02:AB:cd:00:ff:10"), 0);
	ck_assert_str_eq(macaddr_text(buf, &m), "02:ab:cd:00:ff:10");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(macaddr_parse(&m, bad[i]) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(reasons_and_counters)
{
	for (unsigned i = 0; i < DROP_COUNT; i++) {
		enum drop d = (enum drop)i;

		ck_assert_uint_gt(strlen(drop_name(d)), 0);
		ck_assert_uint_gt(strlen(drop_text(d)), 0);
		ck_assert_int_eq(drop_by_name(drop_name(d)), d); /* so names are unique */
	}
	ck_assert_int_eq(drop_by_name("no-such-reason"), DROP_COUNT);
	ck_assert_int_eq(drop_class(DROP_LAND), DROP_CLASS_ATTACK);
	ck_assert_str_eq(drop_class_name(DROP_CLASS_POLICY), "policy");
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert_str_ne(counter_name((enum counter)i),
					 counter_name((enum counter)j));
	ck_assert_str_eq(counter_text(COUNTER_FRAMES_IN), "frames received on all ports");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("addr");
	TCase *t = tcase_create("addr");

	tcase_add_test(t, address_text);
	tcase_add_test(t, address_refused);
	tcase_add_test(t, address_kinds);
	tcase_add_test(t, mask_every_length);
	tcase_add_test(t, prefix_texts);
	tcase_add_test(t, prefix_refused);
	tcase_add_test(t, prefix_membership);
	tcase_add_test(t, endpoint_texts);
	tcase_add_test(t, mac_texts);
	tcase_add_test(t, reasons_and_counters);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
