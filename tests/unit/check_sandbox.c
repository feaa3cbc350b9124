/*
 * check_sandbox.c - what a process in the sandbox can do, and what ends it.
 *
 * Each test runs its subject in a child, so that the test itself keeps its privileges.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <net/if.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>

#include <cap-ng.h>

#include "io/hostcheck.h"
#include "io/netlink.h"
#include "io/port.h"
#include "io/sandbox.h"
#include "io/udp.h"

#include "netns.h"

#define OTHER_USER "nobody"

static char err[256];

/* In the child: say which line went wrong and end with 1. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(2, "line %d: %s (errno %d)\n", __LINE__, #condition, errno);       \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* Status of `subject` run in a child. */
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

static void expect_killed(void (*subject)(void))
{
	int status = run_child(subject);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "status 0x%x", status);
}

static void must_have_exactly_the_two(void)
{
	MUST(capng_get_caps_process() == 0);
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
		int want = cap == CAP_NET_RAW || cap == CAP_NET_ADMIN;
		MUST(capng_have_capability(CAPNG_EFFECTIVE, cap) == want);
		MUST(capng_have_capability(CAPNG_PERMITTED, cap) == want);
		MUST(!capng_have_capability(CAPNG_INHERITABLE, cap));
		MUST(!capng_have_capability(CAPNG_BOUNDING_SET, cap));
		MUST(!capng_have_capability(CAPNG_AMBIENT, cap));
	}
	MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	MUST(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static void keep_user(void)
{
	MUST(sandbox_drop_privileges("", err, sizeof(err)) == 0);
	MUST(getuid() == 0 && geteuid() == 0);
	must_have_exactly_the_two();
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* for the leak check of a sanitized build */
}

START_TEST(test_capabilities)
{
	expect_exit(keep_user);
}
END_TEST

static void change_user(void)
{
	const struct passwd *pw = getpwnam(OTHER_USER);
	MUST(pw != NULL);
	uid_t uid = pw->pw_uid;
	gid_t gid = pw->pw_gid, groups[64];
	MUST(sandbox_drop_privileges(OTHER_USER, err, sizeof(err)) == 0);
	MUST(getuid() == uid && geteuid() == uid && getgid() == gid && getegid() == gid);
	int n = getgroups(64, groups);
	MUST(n >= 0);
	for (int i = 0; i < n; i++)
		MUST(groups[i] != 0);
	must_have_exactly_the_two();
	MUST(setuid(0) < 0);
	/* once more, as under systemd with User= and AmbientCapabilities= */
	MUST(sandbox_drop_privileges(OTHER_USER, err, sizeof(err)) == 0);
	MUST(sandbox_drop_privileges("root", err, sizeof(err)) == -EPERM);
	must_have_exactly_the_two();
	/* and still able to open what a daemon opens */
	int fd = socket(AF_PACKET, SOCK_RAW, 0), size = 8 << 20;
	MUST(fd >= 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) == 0);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

START_TEST(test_user)
{
	expect_exit(change_user);
}
END_TEST

static void unknown_user(void)
{
	MUST(sandbox_drop_privileges("no-such-user", err, sizeof(err)) == -ENOENT);
	MUST(strstr(err, "no-such-user") != NULL);
}

START_TEST(test_unknown_user)
{
	expect_exit(unknown_user);
}
END_TEST

static void enter(enum seccomp_mode mode)
{
	struct params *params = calloc(1, sizeof(*params));
	MUST(params != NULL);
	params->seccomp = mode;
	int rc = sandbox_enter(params, false, err, sizeof(err));
	free(params);
	if (rc < 0)
		dprintf(2, "%s\n", err);
	MUST(rc == 0);
}

/* One way of getting into trouble each. */
static void try_mount(void)
{
	enter(SECCOMP_ENFORCE);
	(void)mount("none", "/nonexistent", "tmpfs", 0, NULL);
}

static void try_bpf(void)
{
	enter(SECCOMP_ENFORCE);
	(void)syscall(SYS_bpf, 0, NULL, 0);
}

static void try_unshare(void)
{
	enter(SECCOMP_ENFORCE);
	(void)unshare(CLONE_NEWUSER);
}

static void try_setuid(void)
{
	enter(SECCOMP_ENFORCE);
	(void)syscall(SYS_setuid, 0);
}

static void try_chmod(void)
{
	enter(SECCOMP_ENFORCE);
	(void)chmod("/nonexistent", 0777);
}

static void try_socket_family(void)
{
	enter(SECCOMP_ENFORCE);
	(void)socket(40 /* AF_VSOCK */, SOCK_STREAM, 0);
}

static void try_ioctl(void)
{
	enter(SECCOMP_ENFORCE);
	(void)syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x");
}

static void try_filter_again(void)
{
	enter(SECCOMP_ENFORCE);
	(void)syscall(SYS_seccomp, 1, 0, NULL);
}

static void try_open_by_handle(void)
{
	enter(SECCOMP_ENFORCE);
	(void)syscall(SYS_open_by_handle_at, -1, NULL, 0);
}

START_TEST(test_forbidden)
{
	static void (*const subjects[])(void) = {
		try_mount,	   try_bpf,   try_unshare,	try_setuid,	    try_chmod,
		try_socket_family, try_ioctl, try_filter_again, try_open_by_handle,
	};
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		expect_killed(subjects[i]);
}
END_TEST

#ifndef SANDBOX_SANITIZED
static void try_execve(void)
{
	char *argv[] = {"true", NULL};
	enter(SECCOMP_ENFORCE);
	execv("/bin/true", argv);
}

static void try_fork(void)
{
	enter(SECCOMP_ENFORCE);
	(void)fork();
}

static void try_ptrace(void)
{
	enter(SECCOMP_ENFORCE);
	(void)syscall(SYS_ptrace, 0, 0, 0, 0);
}

/* A sanitizer needs these itself, so they are forbidden only without one. */
START_TEST(test_forbidden_without_sanitizer)
{
	expect_killed(try_execve);
	expect_killed(try_fork);
	expect_killed(try_ptrace);
}
END_TEST
#endif

static void try_mount_in(enum seccomp_mode mode)
{
	enter(mode);
	MUST(mount("none", "/nonexistent", "tmpfs", 0, NULL) < 0);
}

static void try_mount_log(void)
{
	try_mount_in(SECCOMP_LOG);
}

static void try_mount_off(void)
{
	try_mount_in(SECCOMP_OFF);
}

START_TEST(test_log_and_off)
{
	expect_exit(try_mount_log);
	expect_exit(try_mount_off);
}
END_TEST

/* --- all that a running daemon does, under "enforce" --- */

static void use_event_loop(void)
{
	sigset_t set;
	struct epoll_event ev = {.events = EPOLLIN};
	struct itimerspec when = {.it_value.tv_nsec = 1};
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	int ep = epoll_create1(EPOLL_CLOEXEC), tfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	int efd = eventfd(1, 0), sfd = signalfd(-1, &set, SFD_CLOEXEC), pair[2], fds[2];
	MUST(ep >= 0 && tfd >= 0 && efd >= 0 && sfd >= 0);
	MUST(timerfd_settime(tfd, 0, &when, NULL) == 0);
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, tfd, &ev) == 0);
	MUST(epoll_wait(ep, &ev, 1, 5000) == 1);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	MUST(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	MUST(raise(SIGUSR1) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe2(fds, O_CLOEXEC) == 0);
	MUST(write(pair[0], "x", 1) == 1 && poll(NULL, 0, 0) == 0);
	close(pair[0]);
	close(pair[1]);
	close(fds[0]);
	close(fds[1]);
	close(ep);
	close(tfd);
	close(efd);
	close(sfd);
}

static void use_memory_and_files(const char *path)
{
	char line[64] = "";
	for (size_t size = 1; size < 64u << 20; size *= 4) {
		char *p = malloc(size);
		MUST(p != NULL);
		memset(p, 1, size);
		p = realloc(p, size * 2);
		MUST(p != NULL);
		free(p);
	}
	void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(m != MAP_FAILED);
	(void)mlock(m, 4096);
	(void)munlock(m, 4096);
	MUST(munmap(m, 4096) == 0);
	/* configuration and key file of a reload */
	FILE *f = fopen(path, "r");
	MUST(f != NULL && fgets(line, sizeof(line), f));
	fclose(f);
	struct stat st;
	MUST(stat(path, &st) == 0 && access(path, R_OK) == 0);
	(void)getpwnam("root");
	time_t now = time(NULL);
	MUST(localtime(&now) != NULL);
	uint8_t random[16];
	MUST(syscall(SYS_getrandom, random, sizeof(random), 0) == sizeof(random));
	struct timespec ts;
	for (clockid_t c = CLOCK_REALTIME; c <= CLOCK_MONOTONIC_COARSE; c++)
		MUST(clock_gettime(c, &ts) == 0);
}

/* Control socket, syslog, journal and sd_notify: Unix sockets of both kinds, with a memfd. */
static void use_unix_sockets(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s.sock", path);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	MUST(s >= 0);
	MUST(bind(s, (struct sockaddr *)&sun, sizeof(sun)) == 0 && listen(s, 5) == 0);
	int c = socket(AF_UNIX, SOCK_STREAM, 0);
	MUST(connect(c, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	int a = accept4(s, NULL, NULL, SOCK_CLOEXEC);
	MUST(a >= 0);
	struct ucred cred;
	socklen_t len = sizeof(cred);
	MUST(getsockopt(a, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0);
	MUST(send(c, "{}\n", 3, MSG_NOSIGNAL) == 3);
	close(a);
	close(c);
	close(s);
	MUST(unlink(sun.sun_path) == 0);
	int m = memfd_create("entry", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	MUST(m >= 0);
	MUST(write(m, "x", 1) == 1 && fcntl(m, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	close(m);
	openlog("check_sandbox", LOG_PID, LOG_DAEMON);
	syslog(LOG_DEBUG, "a line of check_sandbox");
	closelog();
}

/* Detach and attach with one frame sent across, which opens every kind of socket anew. */
static void use_ports(enum port_backend backend, struct port *a, struct port *b)
{
	uint8_t room[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [12] = 0x88, [13] = 0xb5};
	struct frame f = {.data = room, .len = sizeof(room)}, got[PORT_BATCH];
	struct port_stats st;
	int n;

	(void)backend;
	for (unsigned round = 0; round < 2; round++) {
		port_detach(a);
		port_detach(b);
		MUST(port_attach(a, 0, err, sizeof(err)) == 0);
		MUST(port_attach(b, 0, err, sizeof(err)) == 0);
		MUST(port_tx(a, &f, 1) == 1);
		struct pollfd pfd = {.fd = port_fd(b), .events = POLLIN};
		MUST(poll(&pfd, 1, NETNS_DEADLINE_MS) == 1);
		while ((n = port_rx(b, got, PORT_BATCH)) > 0)
			port_release(b);
		MUST(n == 0);
		port_get_stats(b, &st);
		MUST(st.rx_frames > 0);
	}
	port_free(a);
	port_free(b);
}

static void ignore_problem(void *arg, const char *problem, const char *mend)
{
	(void)arg;
	(void)problem;
	(void)mend;
}

static struct port *new_port(enum port_backend backend, const char *device)
{
	struct port_params params = {.backend = backend, .rx_buffer = 1 << 20};
	snprintf(params.device, sizeof(params.device), "%s", device);
	struct port *p = port_new(&params, 0, err, sizeof(err));
	MUST(p != NULL);
	return p;
}

static void use_cluster_and_netlink(struct udp *u, struct netlink *n)
{
	uint8_t byte = 1;
	struct datagram d = {.multicast = true, .data = &byte, .size = 1};
	struct udp_datagram out[UDP_BATCH];
	MUST(udp_attach(u, err, sizeof(err)) == 0);
	MUST(udp_tx(u, &d, 1) == 1);
	MUST(udp_rx(u, 0, out, UDP_BATCH) >= 0);
	(void)udp_rx_dropped(u);
	udp_free(u);
	MUST(netlink_read(n) == 0);
	netlink_close(n);
	struct netlink_events none = {0};
	n = netlink_open(&none, err, sizeof(err));
	MUST(n != NULL);
	netlink_close(n);
}

static char config[64];

static void whole_life(void)
{
	struct cluster_params cluster = {.transport = TRANSPORT_MULTICAST, .udp_port = 7946};
	struct netlink_events none = {0};
	struct port *ports[2][2];

	strcpy(cluster.device, "a0");
	MUST(ipaddr_parse(&cluster.group, "239.1.2.3") == 0);
	for (int i = 0; i < 2; i++) {
		ports[i][0] = new_port((enum port_backend)i, "a0");
		ports[i][1] = new_port((enum port_backend)i, "a1");
	}
	struct udp *u = udp_new(&cluster, NULL, err, sizeof(err));
	struct netlink *n = netlink_open(&none, err, sizeof(err));
	struct params *params = calloc(1, sizeof(*params));
	MUST(u && n && params);
	params->n_ports = 1;
	params->ports[0].backend = BACKEND_PCAP;
	strcpy(params->ports[0].device, "a0");
	params->ports[0].mtu = 9000;

	enter(SECCOMP_ENFORCE);
	use_event_loop();
	use_memory_and_files(config);
	use_unix_sockets(config);
	for (int i = 0; i < 2; i++)
		use_ports((enum port_backend)i, ports[i][0], ports[i][1]);
	use_cluster_and_netlink(u, n);
	(void)hostcheck_run(params, ignore_problem, NULL);
	free(params);
	printf("end\n"); /* stdio, its buffer and isatty */
}

START_TEST(test_whole_life)
{
	netns_enter();
	netns_run("ip link set dev lo up");
	netns_veth("a0", "a1");
	netns_run("ip addr add 10.1.0.1/24 dev a0");
	strcpy(config, "/tmp/check_sandbox.XXXXXX");
	int fd = mkstemp(config);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "node = x\n", 9), 9);
	close(fd);
	int status = run_child(whole_life);
	unlink(config);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_capabilities);
	tcase_add_test(tc, test_user);
	tcase_add_test(tc, test_unknown_user);
	tcase_add_test(tc, test_forbidden);
#ifndef SANDBOX_SANITIZED
	tcase_add_test(tc, test_forbidden_without_sanitizer);
#endif
	tcase_add_test(tc, test_log_and_off);
	tcase_add_test(tc, test_whole_life);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
