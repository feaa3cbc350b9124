/*
 * check_udp.c - the cluster socket between two ends of a veth pair, each in a namespace of its own.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <net/if.h>
#include <sys/socket.h>

#include "io/udp.h"

#include "netns.h"

#define PORT 7946

static char err[256];
static int ns[2]; /* of the two ends */

/* Sockets made from here on belong to end `i`. */
static void enter(unsigned i)
{
	ck_assert_int_eq(setns(ns[i], CLONE_NEWNET), 0);
}

static int own_namespace(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void make_pair(void)
{
	enter(0);
	netns_run("ip link add c0 type veth peer name c1 netns /proc/%d/fd/%d", (int)getpid(),
		  ns[1]);
	for (unsigned i = 0; i < 2; i++) {
		enter(i);
		netns_run("ip link set dev c%u up; ip link set dev lo up", i);
		netns_run("ip addr add 10.5.0.%u/24 dev c%u", i + 1, i);
		netns_run("ip addr add 2001:db8:5::%u/64 dev c%u nodad", i + 1, i);
	}
}

static void setup(void)
{
	netns_enter();
	ns[0] = own_namespace();
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ns[1] = own_namespace();
	make_pair();
}

static struct ipaddr addr(const char *text)
{
	struct ipaddr a;
	ck_assert_int_eq(ipaddr_parse(&a, text), 0);
	return a;
}

static struct udp *open_udp(unsigned end, const char *group, const char *local)
{
	struct cluster_params params = {.udp_port = PORT, .transport = TRANSPORT_UNICAST};
	struct ipaddr own;

	enter(end);
	snprintf(params.device, sizeof(params.device), "c%u", end);
	if (group) {
		params.transport = TRANSPORT_MULTICAST;
		params.group = addr(group);
	}
	if (local)
		own = addr(local);
	struct udp *u = udp_new(&params, local ? &own : NULL, err, sizeof(err));
	ck_assert_msg(u != NULL, "%s", err);
	ck_assert_msg(udp_attach(u, err, sizeof(err)) == 0, "%s", err);
	return u;
}

static struct udp_datagram receive(struct udp *u, unsigned which)
{
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	struct udp_datagram d;
	for (;;) {
		int n = udp_rx(u, which, &d, 1);
		ck_assert_msg(n >= 0, "receive: %s", strerror(-n));
		if (n == 1)
			return d;
		netns_wait(udp_fd(u, which), deadline);
	}
}

static void expect(struct udp *u, unsigned which, const char *text, const char *from,
		   bool multicast)
{
	struct udp_datagram d = receive(u, which);
	struct ipaddr a = addr(from);
	ck_assert_uint_eq(d.size, strlen(text));
	ck_assert_mem_eq(d.data, text, d.size);
	ck_assert(ipaddr_eq(&d.from.addr, &a));
	ck_assert_uint_eq(d.from.port, PORT);
	ck_assert_int_eq(d.multicast, multicast);
}

static struct datagram make(const char *text, const char *to)
{
	struct datagram d = {.multicast = to == NULL,
			     .data = (const uint8_t *)text,
			     .size = (uint32_t)strlen(text)};
	if (to)
		d.to = (struct endpoint){.addr = addr(to), .port = PORT};
	return d;
}

static void send_one(struct udp *u, const char *text, const char *to)
{
	struct datagram d = make(text, to);
	ck_assert_uint_eq(udp_tx(u, &d, 1), 1);
}

struct family {
	const char *group, *addr[2];
};

static const struct family families[] = {
	{"239.192.0.7", {"10.5.0.1", "10.5.0.2"}},
	{"ff15::7:7", {"2001:db8:5::1", "2001:db8:5::2"}},
	{"ff12::7:7", {"2001:db8:5::1", "2001:db8:5::2"}},
};

/* Group and unicast, each on its socket, both with the member's own address as source; nothing
 * comes back to the sender, and nothing comes twice. */
START_TEST(test_multicast)
{
	const struct family *f = &families[_i];
	struct udp *u[2];
	struct udp_datagram d;

	for (unsigned i = 0; i < 2; i++)
		u[i] = open_udp(i, f->group, f->addr[i]);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_ge(udp_fd(u[i], 0), 0);
		ck_assert_int_ge(udp_fd(u[i], 1), 0);
		send_one(u[i], "to all", NULL);
		send_one(u[i], "to you", f->addr[!i]);
		expect(u[!i], 0, "to all", f->addr[i], true);
		expect(u[!i], 1, "to you", f->addr[i], false);
	}
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned which = 0; which < 2; which++)
			ck_assert_int_eq(udp_rx(u[i], which, &d, 1), 0);
		ck_assert_uint_eq(udp_tx_errors(u[i]), 0);
		udp_free(u[i]);
	}
}
END_TEST

/* Without an own address in the configuration: the same. */
START_TEST(test_multicast_any)
{
	const struct family *f = &families[_i];
	struct udp *u[2];
	struct udp_datagram d;

	for (unsigned i = 0; i < 2; i++)
		u[i] = open_udp(i, f->group, NULL);
	send_one(u[0], "to you", f->addr[1]);
	d = receive(u[1], 1);
	ck_assert(!d.multicast);
	send_one(u[0], "to all", NULL);
	d = receive(u[1], 0);
	ck_assert(d.multicast);
	send_one(u[0], "end", f->addr[1]);
	d = receive(u[1], 1);
	ck_assert_mem_eq(d.data, "end", 3); /* the multicast did not come here, too */
	udp_free(u[0]);
	udp_free(u[1]);
}
END_TEST

START_TEST(test_unicast)
{
	const struct family *f = &families[_i];
	struct udp *u[2] = {open_udp(0, NULL, f->addr[0]), open_udp(1, NULL, NULL)};
	struct datagram d = make("nobody", NULL);

	ck_assert_int_eq(udp_fd(u[0], 1), -1);
	send_one(u[0], "ping", f->addr[1]);
	expect(u[1], 0, "ping", f->addr[0], false);
	send_one(u[1], "pong", f->addr[0]);
	expect(u[0], 0, "pong", f->addr[1], false);
	/* there is no group */
	ck_assert_uint_eq(udp_tx(u[0], &d, 1), 0);
	ck_assert_uint_eq(udp_tx_errors(u[0]), 1);
	udp_free(u[0]);
	udp_free(u[1]);
}
END_TEST

/* The longest datagram is cut by the kernel and put together again; one byte more is refused
 * without harm to what follows. Batches longer than UDP_BATCH go out whole. */
START_TEST(test_sizes_and_batches)
{
	enum { N = UDP_BATCH * 3 + 5 };
	static uint8_t big[65508], small[N];
	static struct datagram v[N];
	struct udp *u[2] = {open_udp(0, NULL, "10.5.0.1"), open_udp(1, NULL, "10.5.0.2")};
	struct udp_datagram out[UDP_BATCH];

	memset(big, 0x6b, sizeof(big));
	for (unsigned i = 0; i < 3; i++)
		v[i] = make("", "10.5.0.2");
	v[0].data = v[1].data = v[2].data = big;
	v[0].size = 65507;
	v[1].size = 65508;
	v[2].size = 3;
	ck_assert_uint_eq(udp_tx(u[0], v, 3), 2);
	ck_assert_uint_eq(udp_tx_errors(u[0]), 1);
	struct udp_datagram d = receive(u[1], 0);
	ck_assert_uint_eq(d.size, 65507);
	ck_assert_mem_eq(d.data, big, d.size);
	ck_assert_uint_eq(receive(u[1], 0).size, 3);

	for (unsigned i = 0; i < N; i++) {
		small[i] = (uint8_t)i;
		v[i] = make("", "10.5.0.2");
		v[i].data = &small[i];
		v[i].size = 1;
	}
	ck_assert_uint_eq(udp_tx(u[0], v, N), N);
	unsigned next = 0;
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	while (next < N) {
		int n = udp_rx(u[1], 0, out, UDP_BATCH);
		ck_assert_int_ge(n, 0);
		for (int i = 0; i < n; i++)
			ck_assert_uint_eq(out[i].data[0], (uint8_t)next++);
		if (n == 0)
			netns_wait(udp_fd(u[1], 0), deadline);
	}
	udp_free(u[0]);
	udp_free(u[1]);
}
END_TEST

/* The device goes and comes back with another index: told of both, or of its return only. */
START_TEST(test_device_returns)
{
	struct udp *u[2] = {open_udp(0, "239.192.0.7", "10.5.0.1"),
			    open_udp(1, "239.192.0.7", "10.5.0.2")};
	struct datagram lost = make("lost", NULL);

	ck_assert_int_eq(udp_attach(u[1], err, sizeof(err)), 0); /* joining again is harmless */
	send_one(u[0], "before", NULL);
	expect(u[1], 0, "before", "10.5.0.1", true);
	enter(0);
	netns_run("ip link del dev c0");
	for (unsigned i = 0; i < 2 && _i; i++) {
		enter(i);
		ck_assert_int_eq(udp_attach(u[i], err, sizeof(err)), -ENODEV);
		ck_assert_int_eq(udp_fd(u[i], 0), -1);
		ck_assert_int_eq(udp_fd(u[i], 1), -1);
	}
	ck_assert_uint_eq(udp_tx(u[0], &lost, 1), 0);
	ck_assert_uint_eq(udp_tx_errors(u[0]), 1);
	make_pair();
	for (unsigned i = 0; i < 2; i++) {
		enter(i);
		ck_assert_msg(udp_attach(u[i], err, sizeof(err)) == 0, "%s", err);
	}
	send_one(u[0], "after", NULL);
	expect(u[1], 0, "after", "10.5.0.1", true);
	send_one(u[1], "back", "10.5.0.1");
	expect(u[0], 1, "back", "10.5.0.2", false);
	udp_free(u[0]);
	udp_free(u[1]);
}
END_TEST

START_TEST(test_refused)
{
	struct cluster_params params = {.transport = TRANSPORT_MULTICAST, .udp_port = PORT};
	struct ipaddr v6 = addr("2001:db8::1");
	params.group = addr("10.5.0.1");
	ck_assert_ptr_null(udp_new(&params, NULL, err, sizeof(err)));
	ck_assert_ptr_nonnull(strstr(err, "10.5.0.1"));
	params.group = addr("239.1.2.3");
	ck_assert_ptr_null(udp_new(&params, &v6, err, sizeof(err)));
	struct udp *u = open_udp(0, NULL, "10.5.0.1");
	enter(0);
	params.transport = TRANSPORT_UNICAST;
	struct ipaddr v4 = addr("10.5.0.1");
	struct udp *second = udp_new(&params, &v4, err, sizeof(err));
	ck_assert_int_eq(udp_attach(second, err, sizeof(err)), -EADDRINUSE);
	udp_free(second);
	udp_free(u);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("udp");
	TCase *tc = tcase_create("udp");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_multicast, 0, 3);
	tcase_add_loop_test(tc, test_multicast_any, 0, 3);
	tcase_add_loop_test(tc, test_unicast, 0, 2);
	tcase_add_test(tc, test_sizes_and_batches);
	tcase_add_loop_test(tc, test_device_returns, 0, 2);
	tcase_add_test(tc, test_refused);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
