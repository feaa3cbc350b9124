/*
 * netns.h - a private network for one test: its own namespace, made inside the test process, gone
 * with it. Works as root and, where the kernel lets users make namespaces, without.
 */
#ifndef TESTS_NETNS_H
#define TESTS_NETNS_H

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#define NETNS_DEADLINE_MS 5000

static inline int64_t netns_now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void netns_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "cannot open %s", path);
	ck_assert_msg(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "cannot write %s",
		      path);
	close(fd);
}

/* Run a shell command, which must succeed. */
__attribute__((format(printf, 1, 2))) static inline void netns_run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	ck_assert_msg(system(command) == 0, "command failed: %s", command);
}

/* Move this process into a new network namespace. */
static inline void netns_enter(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (uid == 0) {
		ck_assert_msg(unshare(CLONE_NEWNET) == 0, "cannot make a network namespace");
		return;
	}
	ck_assert_msg(unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0,
		      "cannot make a network namespace");
	netns_write("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	netns_write("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
	netns_write("/proc/self/gid_map", map);
}

/* A pair of interfaces joined back to back, up, and silent by themselves. */
static inline void netns_veth(const char *x, const char *y)
{
	netns_run("ip link add %s type veth peer name %s", x, y);
	netns_run("ip link set dev %s addrgenmode none; ip link set dev %s addrgenmode none", x, y);
	netns_run("ip link set dev %s up && ip link set dev %s up", x, y);
}

/* Wait until `fd` is readable, or the deadline (then the test fails). */
static inline void netns_wait(int fd, int64_t deadline_ms)
{
	int64_t left = deadline_ms - netns_now_ms();
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	ck_assert_msg(left > 0 && poll(&pfd, 1, (int)left) > 0, "nothing came within the deadline");
}

#endif
