/*
 * check_stack.c - private stacks: made and removed without a trace, found again after a crash,
 * listening and connecting from the sandbox, and two of them talking through ports.
 *
 * proves: HD-22
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cap-ng.h>

#include "io/connect.h"
#include "io/port.h"
#include "io/sandbox.h"
#include "io/stack.h"

#include "netns.h"

#define VIP4 "192.0.2.80"
#define VIP6 "2001:db8:80::80"
#define VIA4 "10.9.0.1"
#define VIA6 "2001:db8:9::1"

static char err[512];

static const char *const vips[] = {VIP4, VIP6};

static struct endpoint at(const char *text, uint16_t port)
{
	struct endpoint e = {.port = port};
	ck_assert_int_eq(ipaddr_parse(&e.addr, text), 0);
	return e;
}

static struct stack *make(const char *node, const char *name, bool any)
{
	struct ipaddr addresses[2] = {at(VIP4, 0).addr, at(VIP6, 0).addr};
	struct stack_params p = {.node = node,
				 .name = name,
				 .any = any,
				 .addresses = addresses,
				 .n_addresses = any ? 0 : 2};
	return stack_new(&p, err, sizeof(err));
}

static struct stack *must_make(const char *node, const char *name, bool any)
{
	struct stack *s = make(node, name, any);
	ck_assert_msg(s != NULL, "%s", err);
	return s;
}

static int listen_on(struct stack *s, const char *address, uint16_t port)
{
	struct stack_socket_request r = {
		.kind = STACK_LISTEN, .local = at(address, port), .backlog = 2000};
	return stack_socket(s, &r);
}

static int connect_to(struct stack *s, const char *from, const char *to, uint16_t port)
{
	struct stack_socket_request r = {.kind = STACK_CONNECT, .remote = at(to, port)};
	if (from) {
		r.local = at(from, 0);
		r.transparent = s != NULL;
	}
	return stack_socket(s, &r);
}

/* What a command prints, in a buffer of the caller. */
static const char *output(char *buf, size_t size, const char *command)
{
	FILE *f = popen(command, "re");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	ck_assert_int_ge(pclose(f), 0);
	return buf;
}

static bool device_exists(const char *name)
{
	return if_nametoindex(name) != 0;
}

/* The thread of `pid` that is inside a private stack; 0 = none. */
static pid_t inside_thread(pid_t pid)
{
	char path[300], name[32];
	pid_t tid = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	ck_assert_ptr_nonnull(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", (int)pid, e->d_name);
		FILE *f = fopen(path, "re");
		if (f && fgets(name, sizeof(name), f) && strcmp(name, "private-stack\n") == 0)
			tid = (pid_t)atoi(e->d_name);
		if (f)
			fclose(f);
	}
	closedir(d);
	return tid;
}

static const char *inside(char *buf, size_t size, const char *command)
{
	char all[512];
	snprintf(all, sizeof(all), "nsenter --net=/proc/%d/task/%d/ns/net %s", (int)getpid(),
		 (int)inside_thread(getpid()), command);
	return output(buf, size, all);
}

static void wait_readable(int fd)
{
	netns_wait(fd, netns_now_ms() + NETNS_DEADLINE_MS);
}

static void wait_connected(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	ck_assert_int_eq(poll(&pfd, 1, NETNS_DEADLINE_MS), 1);
	ck_assert_int_eq(connect_result(fd), 0);
}

/* Give this namespace's own kernel a way to the stack: it plays the engine and the client. */
static void way_to(const struct stack *s)
{
	char mac[ADDR_TEXT], gateway[ADDR_TEXT];
	const char *dev = stack_device(s);
	struct macaddr m = stack_mac(s), g = stack_gateway_mac(s);

	macaddr_text(mac, &m);
	macaddr_text(gateway, &g);
	netns_run("ip link set dev %s address %s", dev, gateway);
	netns_run("ip addr replace " VIA4 "/24 dev %s", dev);
	netns_run("ip addr replace " VIA6 "/64 dev %s nodad", dev);
	for (unsigned i = 0; i < 2; i++) {
		netns_run("ip neigh replace %s lladdr %s dev %s", vips[i], mac, dev);
		netns_run("ip route replace %s dev %s", vips[i], dev);
	}
}

/* One connection from the host to the stack's `listener`, a byte each way. */
static void talk_once(int listener, const char *vip, uint16_t port)
{
	struct endpoint from, to, want = at(vip, port);
	struct endpoint via = at(ipaddr_is_v4(&want.addr) ? VIA4 : VIA6, 0);
	char byte = 0;
	int c = connect_to(NULL, NULL, vip, port);

	ck_assert_int_ge(c, 0);
	wait_connected(c);
	wait_readable(listener);
	int a = stack_accept(listener, &from, &to);
	ck_assert_int_ge(a, 0);
	ck_assert(ipaddr_eq(&to.addr, &want.addr) && to.port == port);
	ck_assert(ipaddr_eq(&from.addr, &via.addr));
	ck_assert_int_eq(write(c, "q", 1), 1);
	wait_readable(a);
	ck_assert_int_eq(read(a, &byte, 1), 1);
	ck_assert_int_eq(write(a, "r", 1), 1);
	wait_readable(c);
	ck_assert_int_eq(read(c, &byte, 1), 1);
	ck_assert_int_eq(byte, 'r');
	close(c);
	close(a);
}

/* --- made and removed ------------------------------------------------------------------------- */

static void setup(void)
{
	netns_enter();
	netns_run("ip link set dev lo up");
	netns_veth("a0", "a1");
	netns_run("ip addr add 10.1.0.5/24 dev a0; ip addr add 2001:db8:1::5/64 dev a0 nodad");
	netns_run("ip route add default via 10.1.0.1; ip -6 route add default via 2001:db8:1::1");
}

/* Everything the host has, but for our devices. */
static void picture(char *buf, size_t size)
{
	output(buf, size,
	       "(ip -j -details link; ip -j addr; ip -j -4 route show table all; ip -j -6 route "
	       "show table all; ip -j rule; ip -j -6 rule; ip -j maddr) | jq -cS '.[] | "
	       "select((.ifname // .dev // \"\") | startswith(\"fwc-\") | not)'; "
	       "cd /proc/sys/net && find . -type f ! -path '*fwc-*' ! -name stable_secret | sort | "
	       "xargs grep -Hs '' | grep -v fwc- | cksum");
}

START_TEST(test_host_untouched)
{
	static char before[1 << 17], during[1 << 17], after[1 << 17];

	picture(before, sizeof(before));
	ck_assert_ptr_nonnull(strstr(before, "10.1.0.5"));
	struct stack *s = must_make("n1", "clients", false);
	struct stack *t = must_make("n1", "servers", true);
	picture(during, sizeof(during));
	ck_assert_str_eq(before, during);
	ck_assert(device_exists(stack_device(s)) && device_exists(stack_device(t)));
	stack_free(s);
	stack_free(t);
	picture(after, sizeof(after));
	ck_assert_str_eq(before, after);
	output(after, sizeof(after), "ip -o link | grep -c fwc-");
	ck_assert_str_eq(after, "0\n");
	ck_assert_int_eq(inside_thread(getpid()), 0);
}
END_TEST

START_TEST(test_outside)
{
	char text[4096], mac[ADDR_TEXT], want[64];
	struct stack_params p = {
		.node = "n1", .name = "clients", .device = "my-stack", .mtu = 1400};
	struct stack *s = stack_new(&p, err, sizeof(err));

	ck_assert_msg(s != NULL, "%s", err);
	ck_assert_str_eq(stack_device(s), "my-stack");
	ck_assert_uint_eq(stack_ifindex(s), if_nametoindex("my-stack"));
	output(text, sizeof(text), "ip -d link show dev my-stack; ip addr show dev my-stack");
	ck_assert_ptr_nonnull(strstr(text, "mtu 1400"));
	ck_assert_ptr_nonnull(strstr(text, "state UP"));
	snprintf(want, sizeof(want), "fwclusterd stack \"clients\" of node \"n1\", process %d ",
		 (int)getpid());
	ck_assert_ptr_nonnull(strstr(text, want));
	ck_assert_ptr_null(strstr(text, "inet"));
	/* The gateway is nobody the host's kernel knows. */
	struct macaddr m = stack_gateway_mac(s), n = stack_mac(s);
	ck_assert_ptr_null(strstr(text, macaddr_text(mac, &m)));
	ck_assert_ptr_null(strstr(text, macaddr_text(mac, &n)));
	ck_assert_int_eq(m.b[0] & 3, 2);
	ck_assert(!macaddr_eq(&m, &n));
	/* Offloads stay on. */
	output(text, sizeof(text),
	       "ethtool -k my-stack | grep -c "
	       "'^tcp-segmentation-offload: on\\|^tx-checksumming: on'");
	ck_assert_str_eq(text, "2\n");
	stack_free(s);
	ck_assert(!device_exists("my-stack"));
}
END_TEST

/* A host that forwards and checks reverse paths makes no difference inside. */
START_TEST(test_inside)
{
	char text[8192];

	netns_run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
		  "net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1");
	struct stack *s = must_make("n1", "clients", false);
	inside(text, sizeof(text),
	       "sysctl -n net.ipv4.ip_forward net.ipv4.conf.inner.forwarding "
	       "net.ipv4.conf.all.rp_filter net.ipv4.conf.inner.rp_filter "
	       "net.ipv4.conf.inner.accept_redirects net.ipv6.conf.all.forwarding "
	       "net.ipv6.conf.inner.accept_ra net.ipv6.conf.inner.disable_ipv6 | tr -d '\\n'");
	ck_assert_str_eq(text, "00000000");
	inside(text, sizeof(text),
	       "sysctl -n net.ipv4.conf.inner.arp_ignore net.core.somaxconn "
	       "net.ipv4.tcp_syncookies net.ipv4.tcp_timestamps | tr '\\n' ' '");
	ck_assert_str_eq(text, "8 65535 1 1 ");
	inside(text, sizeof(text), "ip -o addr");
	ck_assert_ptr_nonnull(strstr(text, VIP4 "/32"));
	ck_assert_ptr_nonnull(strstr(text, VIP6 "/128"));
	ck_assert_ptr_null(strstr(text, "tentative"));
	ck_assert_ptr_null(strstr(text, "inner"));
	inside(text, sizeof(text), "sh -c 'ip route; ip -6 route'");
	ck_assert_ptr_nonnull(strstr(text, "default via 169.254.0.1 dev inner"));
	ck_assert_ptr_nonnull(strstr(text, "default via fe80::1 dev inner"));
	stack_free(s);
}
END_TEST

START_TEST(test_addresses_change)
{
	char text[8192];
	struct stack *s = must_make("n1", "clients", false);
	struct ipaddr next[4] = {at(VIP6, 0).addr, at("192.0.2.81", 0).addr, at(VIP6, 0).addr,
				 at("2001:db8:80::81", 0).addr};

	ck_assert_int_eq(stack_set_addresses(s, next, 4, err, sizeof(err)), 0);
	inside(text, sizeof(text), "ip -o addr");
	ck_assert_ptr_null(strstr(text, VIP4 "/32"));
	ck_assert_ptr_nonnull(strstr(text, "192.0.2.81/32"));
	ck_assert_ptr_nonnull(strstr(text, VIP6 "/128"));
	ck_assert_ptr_nonnull(strstr(text, "2001:db8:80::81/128"));
	/* One that cannot be: the others are made all the same, and it is named. */
	struct ipaddr bad[2] = {at("ff02::1", 0).addr, at(VIP4, 0).addr};
	ck_assert_int_eq(stack_set_addresses(s, bad, 2, err, sizeof(err)), -EADDRNOTAVAIL);
	ck_assert_ptr_nonnull(strstr(err, "ff02::1"));
	inside(text, sizeof(text), "ip -o addr");
	ck_assert_ptr_nonnull(strstr(text, VIP4 "/32"));
	ck_assert_ptr_null(strstr(text, "192.0.2.81"));
	ck_assert_int_eq(stack_set_addresses(s, NULL, 0, err, sizeof(err)), 0);
	inside(text, sizeof(text), "ip -o addr");
	ck_assert_ptr_null(strstr(text, VIP4));
	ck_assert_ptr_nonnull(strstr(text, "127.0.0.1"));
	stack_free(s);
}
END_TEST

START_TEST(test_names)
{
	char a[STACK_DEVICE], b[STACK_DEVICE];
	char longest[65];

	stack_device_name(a, "n1", "clients");
	ck_assert_uint_eq(strlen(a), 12);
	stack_device_name(b, "n1", "clients");
	ck_assert_str_eq(a, b);
	stack_device_name(b, "n1", "servers");
	ck_assert_str_ne(a, b);
	stack_device_name(b, "n2", "clients");
	ck_assert_str_ne(a, b);
	stack_device_name(b, "n1c", "lients");
	ck_assert_str_ne(a, b);
	memset(longest, 'x', 64);
	longest[64] = '\0';
	struct stack *s = must_make(longest, longest, false);
	/* and its own mark is known again */
	ck_assert_ptr_null(make(longest, longest, false));
	ck_assert_ptr_nonnull(strstr(err, "is alive"));
	stack_free(s);
	stack_free(NULL);
}
END_TEST

/* --- leftovers -------------------------------------------------------------------------------- */

/* A process that has made a stack, and waits to be killed. */
static pid_t start_owner(const char *node, const char *name)
{
	int ready[2];
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct stack *s = make(node, name, false);
		if (!s)
			dprintf(2, "%s\n", err);
		(void)!write(ready[1], s ? "y" : "n", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'y');
	close(ready[0]);
	return pid;
}

static void kill_owner(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* Something else keeps the namespace alive: the devices stay, and are found and removed. */
START_TEST(test_leftover)
{
	char path[64], name[STACK_DEVICE];
	pid_t owner = start_owner("n1", "clients"), other = start_owner("n2", "clients");

	snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/net", (int)owner,
		 (int)inside_thread(owner));
	int held = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(held, 0);
	stack_device_name(name, "n1", "clients");

	/* A living process's is left alone, and said so. */
	unsigned ifindex = if_nametoindex(name);
	ck_assert_ptr_null(make("n1", "clients", false));
	ck_assert_ptr_nonnull(strstr(err, "is alive"));
	ck_assert_uint_eq(if_nametoindex(name), ifindex);

	kill_owner(owner);
	ck_assert_uint_eq(if_nametoindex(name), ifindex);
	struct stack *s = must_make("n1", "clients", false);
	ck_assert_uint_ne(if_nametoindex(name), ifindex);
	close(held);
	way_to(s);
	int l = listen_on(s, VIP4, 80);
	ck_assert_int_ge(l, 0);
	talk_once(l, VIP4, 80);
	close(l);
	stack_free(s);
	/* Another node's is none of ours. */
	stack_device_name(name, "n2", "clients");
	ck_assert(device_exists(name));
	kill_owner(other);
}
END_TEST

/* Under another device name than the one that is configured now. */
START_TEST(test_leftover_renamed)
{
	char path[64];
	pid_t owner = start_owner("n1", "clients");
	char name[STACK_DEVICE];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/net", (int)owner,
		 (int)inside_thread(owner));
	int held = open(path, O_RDONLY | O_CLOEXEC);
	stack_device_name(name, "n1", "clients");
	netns_run("ip link set dev %s down; ip link set dev %s name old0", name, name);
	kill_owner(owner);
	ck_assert(device_exists("old0"));
	struct stack *s = must_make("n1", "clients", false);
	ck_assert(!device_exists("old0"));
	stack_free(s);
	close(held);
}
END_TEST

/* Nothing keeps it: the kernel removes it meanwhile, and neither gets in the other's way. */
START_TEST(test_leftover_race)
{
	for (unsigned i = 0; i < 20; i++) {
		kill_owner(start_owner("n1", "clients"));
		stack_free(must_make("n1", "clients", false));
	}
}
END_TEST

/* The process number is in use again, by one that began later. */
START_TEST(test_leftover_pid_again)
{
	char name[STACK_DEVICE];

	stack_device_name(name, "n1", "clients");
	netns_run("ip link add %s type veth peer name p0", name);
	netns_run("ip link set dev %s alias 'fwclusterd stack \"clients\" of node \"n1\", process "
		  "%d begun 17'",
		  name, (int)getpid());
	struct stack *s = must_make("n1", "clients", false);
	ck_assert(!device_exists("p0"));
	stack_free(s);
}
END_TEST

/* Killed between making the pair and marking it: known by name and address. */
START_TEST(test_leftover_unmarked)
{
	char mac[64], name[STACK_DEVICE], command[128], *end;

	stack_device_name(name, "n1", "clients");
	struct stack *s = must_make("n1", "clients", false);
	snprintf(command, sizeof(command), "ip -j link show dev %s | jq -r '.[].address'", name);
	output(mac, sizeof(mac), command);
	end = strchr(mac, '\n');
	ck_assert_ptr_nonnull(end);
	*end = '\0';
	stack_free(s);
	netns_run("ip link add %s address %s type veth peer name p0", name, mac);
	s = must_make("n1", "clients", false);
	ck_assert(!device_exists("p0"));
	stack_free(s);
}
END_TEST

/* Devices that only look like ours. */
START_TEST(test_foreign)
{
	char name[STACK_DEVICE], other[STACK_DEVICE];

	stack_device_name(name, "n1", "clients");
	stack_device_name(other, "n1", "servers");
	netns_run("ip link add %s type veth peer name p0", name);
	unsigned ifindex = if_nametoindex(name);
	ck_assert_ptr_null(make("n1", "clients", false));
	ck_assert_ptr_nonnull(strstr(err, "is not this daemon's"));
	ck_assert_uint_eq(if_nametoindex(name), ifindex);
	/* no veth, though marked; marked for a name that ours is the beginning of */
	netns_run("ip link add %s type bridge; ip link set dev %s alias 'fwclusterd stack "
		  "\"servers\" of node \"n1\", process 1 begun 1'",
		  other, other);
	ck_assert_ptr_null(make("n1", "servers", true));
	ck_assert(device_exists(other));
	netns_run("ip link set dev p0 alias 'fwclusterd stack \"mail\" of node \"n1\" too'");
	struct stack *s = must_make("n1", "mail", false);
	ck_assert(device_exists("p0"));
	stack_free(s);
	ck_assert(device_exists("p0"));
}
END_TEST

/* --- sockets ---------------------------------------------------------------------------------- */

START_TEST(test_listen_and_accept)
{
	struct endpoint from, to;
	struct stack *s = must_make("n1", "clients", false);

	way_to(s);
	for (unsigned i = 0; i < 2; i++) {
		int l = listen_on(s, vips[i], 80), any, yes = 0;
		socklen_t size = sizeof(yes);

		ck_assert_int_ge(l, 0);
		ck_assert_int_eq(stack_accept(l, &from, &to), -EAGAIN);
		talk_once(l, vips[i], 80);
		/* A port is taken once, and free again at once. */
		ck_assert_int_eq(listen_on(s, vips[i], 80), -EADDRINUSE);
		close(l);
		l = listen_on(s, vips[i], 80);
		ck_assert_int_ge(l, 0);
		/* What is set on it is inherited. */
		int c = connect_to(NULL, NULL, vips[i], 80);
		wait_connected(c);
		wait_readable(l);
		int a = stack_accept(l, &from, &to);
		ck_assert_int_eq(getsockopt(a, IPPROTO_TCP, TCP_NODELAY, &yes, &size), 0);
		ck_assert_int_eq(yes, 1);
		ck_assert_int_eq(fcntl(a, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
		ck_assert_int_eq(fcntl(a, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		ck_assert_int_eq(fcntl(l, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		close(a);
		close(c);
		/* Both families at once, each with its own wildcard. */
		any = listen_on(s, i == 0 ? "0.0.0.0" : "::", 81);
		ck_assert_int_ge(any, 0);
		talk_once(any, vips[i], 81);
		close(any);
		close(l);
	}
	/* Nobody there: refused by the stack, not by the host. */
	int c = connect_to(NULL, NULL, VIP4, 82);
	wait_readable(c);
	ck_assert_int_eq(connect_result(c), -ECONNREFUSED);
	close(c);
	/* An address that is not here. */
	ck_assert_int_eq(listen_on(s, "192.0.2.99", 80), -EADDRNOTAVAIL);
	ck_assert_int_eq(listen_on(s, "2001:db8::99", 80), -EADDRNOTAVAIL);
	stack_free(s);
}
END_TEST

/* What a listening socket has, those that it accepts have, too. */
START_TEST(test_congestion)
{
	struct stack *s = must_make("n1", "clients", false);
	struct endpoint from, to;
	char name[16] = "";
	socklen_t size = sizeof(name);
	int l, c, a;

	ck_assert_int_eq(stack_set_congestion(s, "reno"), 0);
	ck_assert_int_eq(stack_set_congestion(s, "nosuchone"), -ENOENT);
	ck_assert_int_eq(stack_set_congestion(s, "longer-than-any-of-them"), -ENOENT);
	way_to(s);
	l = listen_on(s, VIP4, 80);
	ck_assert_int_ge(l, 0);
	c = connect_to(NULL, NULL, VIP4, 80);
	wait_connected(c);
	wait_readable(l);
	a = stack_accept(l, &from, &to);
	ck_assert_int_eq(getsockopt(a, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
	ck_assert_str_eq(name, "reno");
	close(a);
	close(c);
	close(l);
	stack_free(s);
}
END_TEST

START_TEST(test_backlog_and_options)
{
	struct stack *s = must_make("n1", "clients", false);
	struct stack_socket_request r = {.kind = STACK_LISTEN,
					 .local = at(VIP4, 80),
					 .backlog = 5,
					 .defer_accept_s = 3,
					 .unsent_low = 65536};
	struct endpoint from, to;
	int value = 0;
	socklen_t size = sizeof(value);

	way_to(s);
	int l = stack_socket(s, &r);
	ck_assert_int_ge(l, 0);
	ck_assert_int_eq(getsockopt(l, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, &size), 0);
	ck_assert_int_eq(value, 65536);
	/* Nothing is accepted before there is something to read. */
	int c = connect_to(NULL, NULL, VIP4, 80);
	wait_connected(c);
	ck_assert_int_eq(stack_accept(l, &from, &to), -EAGAIN);
	ck_assert_int_eq(write(c, "x", 1), 1);
	wait_readable(l);
	int a = stack_accept(l, &from, &to);
	ck_assert_int_ge(a, 0);
	size = sizeof(value);
	ck_assert_int_eq(getsockopt(a, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, &size), 0);
	ck_assert_int_eq(value, 65536);
	close(a);
	close(c);
	close(l);
	stack_free(s);
}
END_TEST

START_TEST(test_connect_outwards)
{
	struct endpoint from, to, want = at(VIP4, 0);
	struct stack *s = must_make("n1", "servers", false);

	way_to(s);
	int l = listen_on(NULL, VIA4, 8080), l6 = listen_on(NULL, VIA6, 8080);
	ck_assert_int_ge(l, 0);
	ck_assert_int_ge(l6, 0);
	/* With an address of its own choice, a given one, a given port. */
	int c = connect_to(s, NULL, VIA4, 8080);
	ck_assert_int_ge(c, 0);
	wait_connected(c);
	int a = stack_accept(l, &from, &to);
	ck_assert_int_ge(a, 0);
	ck_assert(ipaddr_eq(&from.addr, &want.addr));
	struct stack_socket_request r = {
		.kind = STACK_CONNECT, .local = at(VIP6, 4242), .remote = at(VIA6, 8080)};
	int c6 = stack_socket(s, &r);
	ck_assert_int_ge(c6, 0);
	wait_connected(c6);
	int a6 = stack_accept(l6, &from, &to);
	ck_assert_int_ge(a6, 0);
	ck_assert(ipaddr_eq(&from.addr, &r.local.addr) && from.port == 4242);
	/* A port alone. */
	r = (struct stack_socket_request){
		.kind = STACK_CONNECT, .local.port = 4243, .remote = at(VIA4, 8080)};
	int p = stack_socket(s, &r);
	ck_assert_int_ge(p, 0);
	wait_connected(p);
	int ap = stack_accept(l, &from, &to);
	ck_assert_uint_eq(from.port, 4243);
	/* Refused comes back, and an address that is not inside cannot be taken. */
	int bad = connect_to(s, NULL, VIA4, 8081);
	wait_readable(bad);
	ck_assert_int_eq(connect_result(bad), -ECONNREFUSED);
	r.local = at("10.77.0.1", 0);
	ck_assert_int_eq(stack_socket(s, &r), -EADDRNOTAVAIL);
	int fds[] = {c, a, c6, a6, p, ap, bad, l, l6};
	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		close(fds[i]);
	stack_free(s);
}
END_TEST

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* A thousand connections without a pause: no port runs out, no descriptor leaks. CK_VERBOSE tells
 * how long each kind took. */
START_TEST(test_thousand)
{
	enum { N = 1000 };
	static int c[N], h[N];
	unsigned before = open_descriptors();
	struct stack *s = must_make("n1", "servers", true);
	struct macaddr m = stack_mac(s);
	char mac[ADDR_TEXT];
	int64_t t[3];

	way_to(s);
	macaddr_text(mac, &m);
	netns_run("ip route add 10.50.0.0/16 dev %s", stack_device(s));
	netns_run("ip neigh add 10.50.0.1 lladdr %s dev %s", mac, stack_device(s));
	int l = listen_on(NULL, VIA4, 8080);
	ck_assert_int_ge(l, 0);
	t[0] = now_us();
	for (unsigned i = 0; i < N; i++)
		h[i] = connect_to(NULL, NULL, VIA4, 8080);
	t[1] = now_us();
	for (unsigned i = 0; i < N; i++) {
		c[i] = connect_to(s, "10.50.0.1", VIA4, 8080);
		ck_assert_int_ge(c[i], 0);
	}
	t[2] = now_us();
	printf("1000 connections: %lld us from the host, %lld us from the stack\n",
	       (long long)(t[1] - t[0]), (long long)(t[2] - t[1]));
	ck_assert_int_lt(t[2] - t[1], 5000000);
	for (unsigned i = 0; i < N; i++) {
		wait_connected(c[i]);
		close(c[i]);
		close(h[i]);
	}
	close(l);
	stack_free(s);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

/* A local port is taken towards one server, and free towards the next: two ports make four
 * connections from one address to two servers. */
START_TEST(test_ports_shared)
{
	char text[64];
	struct stack *s = must_make("n1", "servers", false);
	int l[2], c[4];

	way_to(s);
	inside(text, sizeof(text), "sysctl -qw net.ipv4.ip_local_port_range='5000 5001'");
	for (unsigned i = 0; i < 2; i++)
		l[i] = listen_on(NULL, VIA4, (uint16_t)(8080 + i));
	for (unsigned i = 0; i < 4; i++) {
		c[i] = connect_to(s, VIP4, VIA4, (uint16_t)(8080 + i % 2));
		ck_assert_int_ge(c[i], 0);
		wait_connected(c[i]);
	}
	ck_assert_int_eq(connect_to(s, VIP4, VIA4, 8080), -EADDRNOTAVAIL);
	for (unsigned i = 0; i < 4; i++)
		close(c[i]);
	close(l[0]);
	close(l[1]);
	stack_free(s);
}
END_TEST

/* Without a descriptor left the request fails, and the next one after that does not. */
/* Two nodes that speak for the same client have ports of their own (HD-18). */
START_TEST(test_port_range)
{
	enum { FIRST = 3040, LAST = 3047, N = LAST - FIRST + 1 };
	struct stack_params p = {.node = "n1",
				 .name = "servers",
				 .any = true,
				 .first_port = FIRST,
				 .last_port = LAST};
	struct stack *s = stack_new(&p, err, sizeof(err));
	const struct endpoint client = at("203.0.113.7", 0);
	struct endpoint near_end;
	unsigned seen = 0;
	int fds[N], fd;

	ck_assert_msg(s != NULL, "%s", err);
	for (unsigned i = 0; i < N; i++) {
		fds[i] = connect_to(s, "203.0.113.7", VIP4, 80);
		ck_assert_int_ge(fds[i], 0);
		ck_assert_int_eq(stack_near_end(fds[i], &near_end), 0);
		ck_assert(ipaddr_eq(&near_end.addr, &client.addr));
		ck_assert_uint_ge(near_end.port, FIRST);
		ck_assert_uint_le(near_end.port, LAST);
		seen |= 1u << (near_end.port - FIRST);
	}
	ck_assert_uint_eq(seen, (1u << N) - 1);
	ck_assert_int_eq(connect_to(s, "203.0.113.7", VIP4, 80), -EADDRNOTAVAIL);
	fd = connect_to(s, "203.0.113.8", VIP4, 80); /* another client has them all again */
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(stack_set_ports(s, LAST + 1, LAST + 1), 0);
	fd = connect_to(s, "203.0.113.7", VIP4, 80);
	ck_assert_int_eq(stack_near_end(fd, &near_end), 0);
	ck_assert_uint_eq(near_end.port, LAST + 1);
	close(fd);
	for (unsigned i = 0; i < N; i++)
		close(fds[i]);
	ck_assert_int_eq(stack_set_ports(s, 9, 8), -EINVAL);
	ck_assert_int_eq(stack_near_end(-1, &near_end), -EBADF);
	stack_free(s);
}
END_TEST

START_TEST(test_no_descriptors)
{
	struct rlimit limit = {64, 64};
	struct stack *s = must_make("n1", "clients", false);
	int fds[128], n = 0, rc;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while ((rc = listen_on(s, VIP4, (uint16_t)(1000 + n))) >= 0)
		fds[n++] = rc;
	ck_assert_int_eq(rc, -EMFILE);
	ck_assert_int_gt(n, 20);
	ck_assert_int_eq(listen_on(s, VIP6, 1), -EMFILE);
	while (n > 0)
		close(fds[--n]);
	fds[0] = listen_on(s, VIP6, 1);
	ck_assert_int_ge(fds[0], 0);
	close(fds[0]);
	stack_free(s);
}
END_TEST

/* A process in a network of its own, waiting to be killed. */
static pid_t start_elsewhere(void)
{
	int ready[2];
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)!write(ready[1], unshare(CLONE_NEWNET) == 0 ? "y" : "n", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'y');
	close(ready[0]);
	return pid;
}

/* Somebody removes the device: connections live on over the next one. */
START_TEST(test_repair)
{
	struct endpoint from, to;
	struct stack *s = must_make("n1", "clients", false);
	int l = listen_on(s, VIP4, 80);
	char byte;

	way_to(s);
	int c = connect_to(NULL, VIA4, VIP4, 80);
	wait_connected(c);
	wait_readable(l);
	int a = stack_accept(l, &from, &to);
	ck_assert_int_eq(stack_repair(s, err, sizeof(err)), 0);
	netns_run("ip link del dev %s", stack_device(s));
	ck_assert_msg(stack_repair(s, err, sizeof(err)) == 1, "%s", err);
	ck_assert_uint_eq(stack_ifindex(s), if_nametoindex(stack_device(s)));
	way_to(s);
	ck_assert_int_eq(write(a, "z", 1), 1);
	wait_readable(c);
	ck_assert_int_eq(read(c, &byte, 1), 1);
	talk_once(l, VIP4, 80);
	/* Renamed, or put elsewhere, it is made anew, and there are not two. */
	netns_run("ip link set dev %s down; ip link set dev %s name old0", stack_device(s),
		  stack_device(s));
	ck_assert_int_eq(stack_repair(s, err, sizeof(err)), 1);
	ck_assert(!device_exists("old0") && device_exists(stack_device(s)));
	pid_t elsewhere = start_elsewhere();
	netns_run("ip link set dev %s netns %d", stack_device(s), (int)elsewhere);
	ck_assert(!device_exists(stack_device(s)));
	ck_assert_msg(stack_repair(s, err, sizeof(err)) == 1, "%s", err);
	ck_assert(device_exists(stack_device(s)));
	way_to(s);
	talk_once(l, VIP4, 80);
	kill_owner(elsewhere);
	/* Its place is taken by somebody else's. */
	netns_run("ip link del dev %s; ip link add %s type veth peer name p0", stack_device(s),
		  stack_device(s));
	ck_assert_int_eq(stack_repair(s, err, sizeof(err)), -EEXIST);
	ck_assert(device_exists("p0"));
	stack_free(s);
	ck_assert(device_exists("p0"));
	close(a);
	close(c);
	close(l);
}
END_TEST

/* --- two stacks, joined by ports -------------------------------------------------------------- */

struct side {
	struct stack *stack;
	struct port *port;
};

static void open_side(struct side *d, const char *name, bool any)
{
	d->stack = must_make("n1", name, any);
	struct port_params p = {.backend = BACKEND_PACKET,
				.rx_buffer = 1 << 22,
				.has_mac = true,
				.mac = stack_gateway_mac(d->stack)};
	snprintf(p.device, sizeof(p.device), "%s", stack_device(d->stack));
	d->port = port_new(&p, 0, err, sizeof(err));
	ck_assert_msg(d->port != NULL, "%s", err);
	ck_assert_msg(port_attach(d->port, 0, err, sizeof(err)) == 0, "%s", err);
}

static void close_side(struct side *d)
{
	port_free(d->port);
	stack_free(d->stack);
}

/* The engine: what leaves one stack goes to the other. */
static void relay(struct side *from, struct side *to)
{
	struct macaddr gateway = stack_gateway_mac(from->stack), mac = stack_mac(to->stack);
	struct frame frames[PORT_BATCH], out[PORT_BATCH];
	int n;

	while ((n = port_rx(from->port, frames, PORT_BATCH)) > 0) {
		unsigned n_out = 0;
		for (int i = 0; i < n; i++) {
			if (memcmp(frames[i].data, gateway.b, 6) != 0)
				continue;
			memcpy(frames[i].data, mac.b, 6);
			out[n_out++] = frames[i];
		}
		port_tx(to->port, out, n_out);
		port_release(from->port);
	}
	ck_assert_int_eq(n, 0);
}

/* Relay until `fd` is ready for `events`. */
static void relay_until(struct side *x, struct side *y, int fd, short events)
{
	int64_t deadline = netns_now_ms() + 4 * NETNS_DEADLINE_MS;

	for (;;) {
		struct pollfd pfd[] = {{.fd = fd, .events = events},
				       {.fd = port_fd(x->port), .events = POLLIN},
				       {.fd = port_fd(y->port), .events = POLLIN}};
		ck_assert_int_gt(poll(pfd, 3, (int)(deadline - netns_now_ms())), 0);
		relay(x, y);
		relay(y, x);
		if (pfd[0].revents)
			return;
	}
}

/* Bytes that differ from any others near them. */
static void pattern(uint8_t *out, size_t at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)((at + i) * 31 + ((at + i) >> 13));
}

/* `size` bytes from one socket to the other, and compared. */
static void pump(struct side *x, struct side *y, int out, int in, size_t size)
{
	static uint8_t room[1 << 16], want[1 << 16];
	size_t sent = 0, got = 0;

	while (got < size) {
		size_t n = size - sent < sizeof(room) ? size - sent : sizeof(room);
		pattern(room, sent, n);
		ssize_t put = n ? send(out, room, n, MSG_NOSIGNAL) : 0;
		ck_assert(put >= 0 || errno == EAGAIN);
		sent += put > 0 ? (size_t)put : 0;
		relay_until(x, y, in, POLLIN);
		ssize_t had = recv(in, room, sizeof(room), 0);
		ck_assert_int_gt(had, 0);
		pattern(want, got, (size_t)had);
		ck_assert(memcmp(room, want, (size_t)had) == 0);
		got += (size_t)had;
	}
}

/* The layer-2 hand-over: the servers' side connects from a client's address to the virtual one,
 * which is local only on the clients' side. */
START_TEST(test_two_stacks)
{
	static const char *const clients[] = {"203.0.113.7", "2001:db8:c::7"};
	struct side clients_side, servers_side;
	struct endpoint from, to;

	open_side(&clients_side, "clients", false);
	open_side(&servers_side, "servers", true);
	for (unsigned i = 0; i < 2; i++) {
		struct endpoint client = at(clients[i], 0), vip = at(vips[i], 80);
		int l = listen_on(clients_side.stack, vips[i], 80);
		ck_assert_int_ge(l, 0);
		int c = connect_to(servers_side.stack, clients[i], vips[i], 80);
		ck_assert_int_ge(c, 0);
		relay_until(&clients_side, &servers_side, l, POLLIN);
		int a = stack_accept(l, &from, &to);
		ck_assert_int_ge(a, 0);
		relay_until(&clients_side, &servers_side, c, POLLOUT);
		ck_assert_int_eq(connect_result(c), 0);
		ck_assert(ipaddr_eq(&from.addr, &client.addr));
		ck_assert(ipaddr_eq(&to.addr, &vip.addr) && to.port == 80);
		pump(&clients_side, &servers_side, a, c, 8 << 20);
		pump(&clients_side, &servers_side, c, a, 1 << 20);
		close(c);
		char byte;
		relay_until(&clients_side, &servers_side, a, POLLIN);
		ck_assert_int_eq(recv(a, &byte, 1, 0), 0);
		close(a);
		close(l);
	}
	struct port_stats st;
	port_get_stats(clients_side.port, &st);
	/* Offloads are on: far fewer frames than segments. */
	ck_assert_uint_lt(st.rx_frames, 2 * (9u << 20) / 1460 / 2);
	ck_assert_uint_eq(st.tx_size + st.tx_errors, 0);
	close_side(&clients_side);
	close_side(&servers_side);
}
END_TEST

/* --- privileges ------------------------------------------------------------------------------- */

/* In the child: say which line went wrong and end with 1. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(2, "line %d: %s (errno %d) %s\n", __LINE__, #condition, errno,     \
				err);                                                              \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static int run_child(void (*subject)(void))
{
	int status;
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		subject();
		exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_exit(void (*subject)(void))
{
	int status = run_child(subject);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
}

/* A line "Name:\tvalue" of a thread's status. */
static void status_of(pid_t tid, const char *name, char *out, size_t size)
{
	char path[64], line[256];
	size_t n = strlen(name);

	out[0] = '\0';
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	FILE *f = fopen(path, "re");
	MUST(f != NULL);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, n) == 0 && line[n] == ':')
			snprintf(out, size, "%s", line + n + 2);
	fclose(f);
}

static pid_t thread_of_child;

/* The thread has nothing left of what the process had. */
static void must_be_harmless(pid_t tid)
{
	static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
	char mine[256], its[256];

	for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		status_of(tid, sets[i], its, sizeof(its));
		MUST(strcmp(its, "0000000000000000\n") == 0);
	}
	status_of(tid, "NoNewPrivs", its, sizeof(its));
	MUST(strcmp(its, "1\n") == 0);
	static const char *const same[] = {"Uid", "Gid", "Groups"};
	for (unsigned i = 0; i < 3; i++) {
		status_of(getpid(), same[i], mine, sizeof(mine));
		status_of(tid, same[i], its, sizeof(its));
		MUST(strcmp(mine, its) == 0);
	}
}

/* All that a running daemon does with a stack, in the sandbox. */
static void live_in_sandbox(const char *user)
{
	struct params *params = calloc(1, sizeof(*params));
	struct ipaddr addresses[2] = {at(VIP4, 0).addr, at(VIP6, 0).addr};
	struct stack_params p = {.node = "n1",
				 .name = "servers",
				 .any = true,
				 .user_changes = user[0] != '\0',
				 .addresses = addresses,
				 .n_addresses = 2};
	int fds[3];

	MUST(params != NULL);
	snprintf(params->user, sizeof(params->user), "%s", user);
	params->seccomp = SECCOMP_ENFORCE;
	struct stack *s = stack_new(&p, err, sizeof(err));
	MUST(s != NULL);
	thread_of_child = inside_thread(getpid());
	MUST(sandbox_enter(params, true, err, sizeof(err)) == 0);
	must_be_harmless(thread_of_child);

	fds[0] = listen_on(s, VIP4, 80);
	fds[1] = listen_on(s, VIP6, 443);
	fds[2] = connect_to(s, "203.0.113.7", "198.51.100.1", 80);
	MUST(fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0);
	for (unsigned i = 0; i < 100; i++) {
		int fd = connect_to(s, "2001:db8:c::7", "2001:db8:1::1", 80);
		MUST(fd >= 0);
		close(fd);
	}
	MUST(stack_set_addresses(s, addresses + 1, 1, err, sizeof(err)) == 0);
	MUST(stack_set_ports(s, 2000, 2999) == 0);
	MUST(stack_repair(s, err, sizeof(err)) == 0);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	char device[STACK_DEVICE];
	strcpy(device, stack_device(s));
	stack_free(s);
	MUST(!device_exists(device));
	free(params);
#ifdef SANDBOX_SANITIZED
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* for the leak check */
#endif
}

static void live_as_root(void)
{
	live_in_sandbox("");
}

static void live_as_nobody(void)
{
	live_in_sandbox("nobody");
}

START_TEST(test_sandbox)
{
	expect_exit(live_as_root);
	expect_exit(live_as_nobody);
}
END_TEST

static void make_without(unsigned cap)
{
	MUST(capng_get_caps_process() == 0);
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap);
	MUST(capng_apply(CAPNG_SELECT_CAPS) == 0);
	MUST(make("n1", "clients", false) == NULL);
}

static void make_without_sys_admin(void)
{
	make_without(CAP_SYS_ADMIN);
	MUST(strstr(err, "CAP_SYS_ADMIN") != NULL);
}

static void make_without_net_admin(void)
{
	make_without(CAP_NET_ADMIN);
	MUST(strstr(err, "ot permitted") || strstr(err, "ermission denied"));
}

START_TEST(test_without_privilege)
{
	char text[64];
	unsigned before = open_descriptors();

	expect_exit(make_without_sys_admin);
	expect_exit(make_without_net_admin);
	/* Half-made ones leave nothing. */
	output(text, sizeof(text), "ip -o link | grep -c fwc-");
	ck_assert_str_eq(text, "0\n");
	netns_run("ip link add %s type bridge", "fwc-x");
	struct stack_params p = {.node = "n1", .name = "clients", .device = "fwc-x"};
	ck_assert_ptr_null(stack_new(&p, err, sizeof(err)));
	p.device[0] = '/'; /* no name for a device */
	ck_assert_ptr_null(stack_new(&p, err, sizeof(err)));
	ck_assert_ptr_nonnull(strstr(err, "private stack \"clients\": cannot make a veth pair"));
	ck_assert_uint_eq(open_descriptors(), before);
	ck_assert_int_eq(inside_thread(getpid()), 0);
}
END_TEST

static TCase *tests_of(const char *name, const TTest *const *tests)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	for (; *tests; tests++)
		tcase_add_test(tc, *tests);
	return tc;
}

int main(void)
{
	const TTest *const life[] = {test_host_untouched,    test_outside, test_inside,
				     test_addresses_change,  test_names,   test_sandbox,
				     test_without_privilege, NULL};
	const TTest *const leftovers[] = {test_leftover,
					  test_leftover_renamed,
					  test_leftover_race,
					  test_leftover_pid_again,
					  test_leftover_unmarked,
					  test_foreign,
					  NULL};
	const TTest *const sockets[] = {test_listen_and_accept,
					test_congestion,
					test_backlog_and_options,
					test_connect_outwards,
					test_thousand,
					test_ports_shared,
					test_port_range,
					test_no_descriptors,
					test_repair,
					test_two_stacks,
					NULL};
	Suite *s = suite_create("stack");

	signal(SIGPIPE, SIG_IGN);
	suite_add_tcase(s, tests_of("life", life));
	suite_add_tcase(s, tests_of("leftovers", leftovers));
	suite_add_tcase(s, tests_of("sockets", sockets));
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
