/*
 * check_hostcheck.c - each thing that breaks forwarding is found, and its command mends it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>

#include "io/hostcheck.h"

#include "netns.h"

static struct params params;

struct told {
	unsigned n;
	char problem[8][512], mend[8][512];
};

static void say(void *arg, const char *problem, const char *mend)
{
	struct told *t = arg;
	ck_assert_uint_lt(t->n, 8);
	snprintf(t->problem[t->n], sizeof(t->problem[0]), "%s", problem);
	snprintf(t->mend[t->n], sizeof(t->mend[0]), "%s", mend);
	t->n++;
}

static struct told check(void)
{
	struct told t = {0};
	ck_assert_uint_eq(hostcheck_run(&params, say, &t), t.n);
	return t;
}

/* Exactly one problem is found, with that word in it; its command mends it. */
static void expect_mended(const char *word)
{
	struct told t = check();
	ck_assert_msg(t.n == 1, "%u problems: %s; %s", t.n, t.problem[0], t.problem[1]);
	ck_assert_msg(strstr(t.problem[0], word) != NULL, "%s", t.problem[0]);
	netns_run("%s >/dev/null", t.mend[0]);
	t = check();
	ck_assert_msg(t.n == 0, "still: %s (%s)", t.problem[0], t.mend[0]);
}

/* A machine that is set up as it should be. */
static void setup(void)
{
	netns_enter();
	netns_veth("a0", "a1");
	netns_write("/proc/sys/net/ipv4/ip_forward", "0");
	netns_write("/proc/sys/net/ipv6/conf/all/forwarding", "0");
	memset(&params, 0, sizeof(params));
	params.n_ports = 1;
	strcpy(params.ports[0].name, "inside");
	strcpy(params.ports[0].device, "a0");
	ck_assert_uint_eq(check().n, 0);
}

START_TEST(test_ip_forward)
{
	netns_write("/proc/sys/net/ipv4/ip_forward", "1");
	expect_mended("IPv4");
}
END_TEST

/* Off on the port's device, on elsewhere: no problem; and the other way round. */
START_TEST(test_forwarding_of_one_device)
{
	netns_write("/proc/sys/net/ipv4/ip_forward", "1");
	netns_write("/proc/sys/net/ipv4/conf/a0/forwarding", "0");
	ck_assert_uint_eq(check().n, 0);
	netns_write("/proc/sys/net/ipv4/ip_forward", "0");
	netns_write("/proc/sys/net/ipv4/conf/a0/forwarding", "1");
	expect_mended("a0");
}
END_TEST

START_TEST(test_ip6_forwarding)
{
	netns_write("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	expect_mended("IPv6");
}
END_TEST

/* Each offload by itself, and all at once. */
START_TEST(test_offloads)
{
	static const char *const keys[] = {"gro", "gso", "tx", "tso"};

	netns_run("ethtool -K a0 gro on gso on tso on tx on >/dev/null");
	ck_assert_uint_eq(check().n, 0); /* backend "packet" wants them */
	params.ports[0].backend = BACKEND_PCAP;
	expect_mended("pcap");
	for (unsigned i = 0; i < 3; i++) {
		netns_run("ethtool -K a0 %s on >/dev/null", keys[i]);
		struct told t = check();
		ck_assert_uint_eq(t.n, 1);
		ck_assert_ptr_nonnull(strstr(t.mend[0], keys[i]));
		expect_mended(keys[i]);
	}
}
END_TEST

START_TEST(test_address)
{
	ck_assert_int_eq(prefix_parse_host(&params.ports[0].addresses[0], "10.1.0.254/24"), 0);
	ck_assert_int_eq(prefix_parse_host(&params.ports[0].addresses[1], "2001:db8::fe/64"), 0);
	params.ports[0].n_addresses = 2;
	netns_run("ip address add 10.1.0.1/24 dev a0");
	ck_assert_uint_eq(check().n, 0);
	netns_run("ip address add 10.1.0.254/24 dev a1");
	expect_mended("10.1.0.254");
	netns_run("ip -6 route add blackhole default metric 4096");
	netns_run("ip address add 2001:db8::fe/64 dev a0 nodad");
	expect_mended("2001:db8::fe");
}
END_TEST

/* Not with a MAC address of the daemon's own: the kernel then sees nothing of what passes. */
START_TEST(test_ip6_default_route)
{
	netns_run("ip address add 2001:db8::1/64 dev a0 nodad");
	params.ports[0].has_mac = true;
	ck_assert_uint_eq(check().n, 0);
	params.ports[0].has_mac = false;
	expect_mended("no route");
}
END_TEST

START_TEST(test_mtu)
{
	params.ports[0].mtu = 1500;
	ck_assert_uint_eq(check().n, 0);
	params.ports[0].mtu = 9000;
	expect_mended("9000");
}
END_TEST

/* A capture file has no host; a missing device is not this check's business. */
START_TEST(test_nothing_to_say)
{
	netns_write("/proc/sys/net/ipv4/ip_forward", "1");
	netns_write("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	params.ports[0].backend = BACKEND_FILE;
	ck_assert_uint_eq(check().n, 0);
	netns_write("/proc/sys/net/ipv4/ip_forward", "0");
	netns_write("/proc/sys/net/ipv6/conf/all/forwarding", "0");
	params.ports[0].backend = BACKEND_PCAP;
	params.ports[0].mtu = 9000;
	strcpy(params.ports[0].device, "none0");
	ck_assert_uint_eq(check().n, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hostcheck");
	TCase *tc = tcase_create("hostcheck");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_ip_forward);
	tcase_add_test(tc, test_forwarding_of_one_device);
	tcase_add_test(tc, test_ip6_forwarding);
	tcase_add_test(tc, test_offloads);
	tcase_add_test(tc, test_address);
	tcase_add_test(tc, test_ip6_default_route);
	tcase_add_test(tc, test_mtu);
	tcase_add_test(tc, test_nothing_to_say);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
