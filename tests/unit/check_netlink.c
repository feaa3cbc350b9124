/*
 * check_netlink.c - links, addresses and routes of a private network, and what changes in it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <net/if.h>
#include <sys/socket.h>

#include "io/netlink.h"

#include "netns.h"

static char err[256];

struct seen {
	unsigned links, addresses, routes, gone;
	char last_gone[32];
	struct netlink_link last;
};

static void on_link(void *arg, const struct netlink_link *link, bool gone)
{
	struct seen *s = arg;
	if (gone) {
		s->gone++;
		strcpy(s->last_gone, link->name);
	} else {
		s->links++;
		s->last = *link;
	}
}

static void on_addresses(void *arg)
{
	((struct seen *)arg)->addresses++;
}

static void on_routes(void *arg)
{
	((struct seen *)arg)->routes++;
}

static struct netlink *open_netlink(struct seen *seen)
{
	struct netlink_events ev = {
		.arg = seen, .link = on_link, .addresses = on_addresses, .routes = on_routes};
	struct netlink *n = netlink_open(&ev, err, sizeof(err));
	ck_assert_msg(n != NULL, "%s", err);
	return n;
}

static const struct netlink_route *find_route(const struct netlink *n, const char *text)
{
	struct prefix want;
	size_t count;
	const struct netlink_route *r = netlink_routes(n, &count);
	ck_assert_int_eq(prefix_parse(&want, text), 0);
	for (size_t i = 0; i < count; i++)
		if (ipaddr_eq(&r[i].dst.addr, &want.addr) && r[i].dst.len == want.len)
			return &r[i];
	return NULL;
}

static bool has_address(const struct netlink *n, const char *text)
{
	struct prefix want;
	size_t count;
	const struct netlink_addr *a = netlink_addresses(n, &count);
	ck_assert_int_eq(prefix_parse_host(&want, text), 0);
	for (size_t i = 0; i < count; i++)
		if (ipaddr_eq(&a[i].prefix.addr, &want.addr) && a[i].prefix.len == want.len)
			return true;
	return false;
}

/* Read until `condition` holds. */
#define WAIT_FOR(n, condition)                                                                     \
	do {                                                                                       \
		int64_t deadline_ = netns_now_ms() + NETNS_DEADLINE_MS;                            \
		ck_assert_int_eq(netlink_read(n), 0);                                              \
		while (!(condition)) {                                                             \
			netns_wait(netlink_fd(n), deadline_);                                      \
			ck_assert_int_eq(netlink_read(n), 0);                                      \
		}                                                                                  \
	} while (0)

static void setup(void)
{
	netns_enter();
	netns_run("ip link set dev lo up");
	netns_veth("a0", "a1");
	netns_run("ip addr add 10.1.0.5/24 dev a0; ip addr add 2001:db8:1::5/64 dev a0 nodad");
}

START_TEST(test_first_picture)
{
	struct seen seen = {0};
	netns_run("ip link set dev a0 mtu 1400 address 02:00:00:00:00:aa");
	netns_run("ip route add default via 10.1.0.1");
	netns_run("ip route add 10.2.0.0/16 via 10.1.0.2 metric 77");
	netns_run("ip -6 route add 2001:db8:2::/48 via 2001:db8:1::2");
	struct netlink *n = open_netlink(&seen);

	const struct netlink_link *l = netlink_link_by_name(n, "a0");
	ck_assert_ptr_nonnull(l);
	ck_assert_uint_eq(l->ifindex, if_nametoindex("a0"));
	ck_assert_uint_eq(l->mtu, 1400);
	ck_assert(l->up);
	ck_assert_mem_eq(l->mac.b, "\2\0\0\0\0\xaa", 6);
	ck_assert_ptr_null(netlink_link_by_name(n, "none0"));
	ck_assert(has_address(n, "10.1.0.5/24"));
	ck_assert(has_address(n, "2001:db8:1::5/64"));
	ck_assert(has_address(n, "127.0.0.1/8"));

	const struct netlink_route *r = find_route(n, "0.0.0.0/0");
	ck_assert_ptr_nonnull(r);
	ck_assert_mem_eq(r->via.b + 12, "\x0a\1\0\1", 4);
	ck_assert_uint_eq(r->ifindex, if_nametoindex("a0"));
	r = find_route(n, "10.2.0.0/16");
	ck_assert_ptr_nonnull(r);
	ck_assert_uint_eq(r->metric, 77);
	r = find_route(n, "10.1.0.0/24");
	ck_assert_ptr_nonnull(r);
	ck_assert(ipaddr_is_unspecified(&r->via));
	ck_assert_ptr_nonnull(find_route(n, "2001:db8:1::/64"));
	r = find_route(n, "2001:db8:2::/48");
	ck_assert_ptr_nonnull(r);
	ck_assert_mem_eq(r->via.b, "\x20\1\x0d\xb8\0\1\0\0\0\0\0\0\0\0\0\2", 16);
	/* local, broadcast and link-local ones are left out */
	ck_assert_ptr_null(find_route(n, "10.1.0.5/32"));
	ck_assert_ptr_null(find_route(n, "fe80::/64"));
	ck_assert_ptr_null(find_route(n, "ff00::/8"));
	ck_assert_uint_eq(seen.links + seen.addresses + seen.routes + seen.gone, 0);
	netlink_close(n);
}
END_TEST

START_TEST(test_routes_left_out)
{
	struct seen seen = {0};
	netns_run("ip route add blackhole 10.9.1.0/24; ip route add unreachable 10.9.2.0/24");
	netns_run("ip route add 10.9.3.0/24 via 10.1.0.2 table 99");
	netns_run("ip route add 10.9.4.0/24 via inet6 2001:db8:1::2 dev a0");
	netns_run("ip route add 10.9.5.0/24 tos 0x10 via 10.1.0.2");
	netns_run("ip route add 10.9.6.0/24 nexthop via 10.1.0.7 nexthop via 10.1.0.8");
	netns_run("ip -6 route add 2001:db8:6::/48 nexthop via 2001:db8:1::7 nexthop via "
		  "2001:db8:1::8");
	struct netlink *n = open_netlink(&seen);
	ck_assert_ptr_null(find_route(n, "10.9.1.0/24"));
	ck_assert_ptr_null(find_route(n, "10.9.2.0/24"));
	ck_assert_ptr_null(find_route(n, "10.9.3.0/24"));
	ck_assert_ptr_null(find_route(n, "10.9.4.0/24"));
	ck_assert_ptr_null(find_route(n, "10.9.5.0/24"));
	const struct netlink_route *r = find_route(n, "10.9.6.0/24");
	ck_assert_ptr_nonnull(r);
	ck_assert_mem_eq(r->via.b + 12, "\x0a\1\0\7", 4);
	ck_assert_uint_eq(r->ifindex, if_nametoindex("a0"));
	r = find_route(n, "2001:db8:6::/48");
	ck_assert_ptr_nonnull(r);
	ck_assert_uint_eq(r->via.b[15], 7);
	netlink_close(n);
}
END_TEST

START_TEST(test_changes)
{
	struct seen seen = {0};
	struct netlink *n = open_netlink(&seen);

	netns_run("ip addr add 10.3.0.1/24 dev a1");
	WAIT_FOR(n, has_address(n, "10.3.0.1/24") && find_route(n, "10.3.0.0/24"));
	ck_assert_uint_ge(seen.addresses, 1);
	ck_assert_uint_ge(seen.routes, 1);
	netns_run("ip route add 10.4.0.0/16 via 10.3.0.9");
	WAIT_FOR(n, find_route(n, "10.4.0.0/16"));
	netns_run("ip route replace blackhole 10.4.0.0/16");
	WAIT_FOR(n, !find_route(n, "10.4.0.0/16"));
	netns_run("ip route replace 10.4.0.0/16 via 10.3.0.9");
	WAIT_FOR(n, find_route(n, "10.4.0.0/16"));
	/* The kernel removes routes of a dead device without a word. */
	netns_run("ip link set dev a1 down");
	WAIT_FOR(n, !find_route(n, "10.4.0.0/16") && !netlink_link_by_name(n, "a0")->up);
	ck_assert(!netlink_link_by_name(n, "a1")->up);
	netns_run("ip link set dev a1 up");
	WAIT_FOR(n, netlink_link_by_name(n, "a1")->up && find_route(n, "10.3.0.0/24"));
	netns_run("ip addr del 10.3.0.1/24 dev a1");
	WAIT_FOR(n, !has_address(n, "10.3.0.1/24") && !find_route(n, "10.3.0.0/24"));
	netns_run("ip link set dev a0 mtu 1280");
	WAIT_FOR(n, netlink_link_by_name(n, "a0")->mtu == 1280);
	ck_assert_uint_eq(seen.gone, 0);
	netlink_close(n);
}
END_TEST

START_TEST(test_recreated_and_renamed)
{
	struct seen seen = {0};
	struct netlink *n = open_netlink(&seen);
	unsigned old = netlink_link_by_name(n, "a0")->ifindex;

	netns_run("ip link del dev a0");
	WAIT_FOR(n, !netlink_link_by_name(n, "a0") && !find_route(n, "10.1.0.0/24"));
	ck_assert_uint_eq(seen.gone, 2);
	netns_veth("a0", "a1");
	WAIT_FOR(n, netlink_link_by_name(n, "a0") && netlink_link_by_name(n, "a0")->up);
	ck_assert_uint_ne(netlink_link_by_name(n, "a0")->ifindex, old);
	ck_assert_uint_eq(seen.gone, 2);
	netns_run("ip link set dev a1 name z1");
	WAIT_FOR(n, netlink_link_by_name(n, "z1"));
	ck_assert_ptr_null(netlink_link_by_name(n, "a1"));
	ck_assert_uint_eq(seen.gone, 3);
	ck_assert_str_eq(seen.last_gone, "a1");
	ck_assert_str_eq(seen.last.name, "z1");
	netlink_close(n);
}
END_TEST

/* Ten thousand routes, loaded behind our back and flushed while nobody reads: the notifications
 * overflow the socket, and the picture is right all the same. */
START_TEST(test_many_routes)
{
	enum { N = 10000 };
	struct seen seen = {0};
	struct netlink *n = open_netlink(&seen);
	char path[] = "/tmp/check_netlink.XXXXXX";
	int fd = mkstemp(path);
	size_t count;

	ck_assert_int_ge(fd, 0);
	FILE *f = fdopen(fd, "w");
	for (unsigned i = 0; i < N; i++)
		fprintf(f, "route add 10.%u.%u.0/24 via 10.1.0.1\n", 100 + i / 250, i % 250);
	fclose(f);
	netns_run("ip -batch %s", path);
	unlink(path);
	WAIT_FOR(n, (netlink_routes(n, &count), count >= N));
	ck_assert_ptr_nonnull(find_route(n, "10.139.249.0/24"));
	/* far fewer full pictures than changes */
	ck_assert_uint_lt(seen.routes, 100);
	netns_run("ip route flush via 10.1.0.1");
	WAIT_FOR(n, (netlink_routes(n, &count), count < 10));
	ck_assert_ptr_nonnull(find_route(n, "10.1.0.0/24"));
	netlink_close(n);
}
END_TEST

/* Messages lost for want of room (ENOBUFS): links, too, are taken in anew. */
START_TEST(test_overflow)
{
	struct seen seen = {0};
	struct netlink *n = open_netlink(&seen);
	int size = 1, fd = netlink_fd(n);

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	for (unsigned i = 0; i < 40; i++)
		netns_run("ip link set dev a0 mtu %u", 1300 + i);
	netns_run("ip link del dev a0; ip link add c0 type veth peer name c1");
	size = 1 << 20;
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), 0);
	WAIT_FOR(n, !netlink_link_by_name(n, "a0") && netlink_link_by_name(n, "c0"));
	ck_assert_uint_eq(seen.gone, 2);
	netlink_close(n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("netlink");
	TCase *tc = tcase_create("netlink");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_first_picture);
	tcase_add_test(tc, test_routes_left_out);
	tcase_add_test(tc, test_changes);
	tcase_add_test(tc, test_recreated_and_renamed);
	tcase_add_test(tc, test_many_routes);
	tcase_add_test(tc, test_overflow);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
