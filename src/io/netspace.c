/*
 * netspace.c - making the namespace, and the stock of ready-made sockets.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare, pthread_setname_np */
#endif

#include "io/netspace.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "io/rtnl.h"

/* A stock begins small, for a few that listen, and grows each time it runs empty. When half of it
 * is gone the thread is woken, and has as long as the other half lasts. */
#define STOCK_FIRST 8
#define STOCK 512

#define PORT_RANGE "ipv4/ip_local_port_range"

struct stock {
	int family;
	unsigned wanted; /* 0 until one is asked for */
	unsigned n;
	int error; /* why there are no more: a positive errno */
	int fds[STOCK];
};

enum phase { PHASE_SETUP, PHASE_READY, PHASE_FAILED, PHASE_STOP };

struct netspace {
	pthread_t thread;
	pthread_mutex_t lock; /* of all below, once the phase is READY */
	pthread_cond_t work;  /* for the thread: sockets are wanted, or the end */
	pthread_cond_t done;  /* for the caller: the phase or a stock has changed */
	enum phase phase;
	struct stock stocks[2];

	/* Set by the thread before the phase is READY. */
	bool user_changes;
	int fd;
	int ports_fd; /* of the sysctl: opened inside, it is of this namespace for ever */
	struct mnl_socket *netlink;
	char *err;
	size_t err_size;
};

/* --- the thread: the namespace ---------------------------------------------------------------- */

struct sysctl {
	const char *name; /* below /proc/sys/net */
	const char *value;
};

/*
 * Every value that matters is set: a new namespace inherits some of the host's. What is in
 * "default" holds for devices made later.
 */
static const struct sysctl sysctls[] = {
	{"ipv4/ip_forward", "0"},
	/* A port below 1024 is no privilege here; binding needs no capability. */
	{"ipv4/ip_unprivileged_port_start", "0"},
	/* There is one way out. Nothing is to be told about it or asked. */
	{"ipv4/conf/all/rp_filter", "0"},
	{"ipv4/conf/default/rp_filter", "0"},
	{"ipv4/conf/all/accept_redirects", "0"},
	{"ipv4/conf/default/accept_redirects", "0"},
	{"ipv4/conf/all/send_redirects", "0"},
	{"ipv4/conf/default/send_redirects", "0"},
	{"ipv4/conf/all/accept_source_route", "0"},
	{"ipv4/conf/default/accept_source_route", "0"},
	{"ipv4/conf/all/arp_ignore", "8"},
	{"ipv4/conf/default/arp_ignore", "8"},
	{"ipv4/conf/all/arp_announce", "2"},
	{"ipv4/conf/default/arp_announce", "2"},
	{"ipv4/conf/all/log_martians", "0"},
	{"ipv4/conf/default/log_martians", "0"},
	{"ipv6/conf/all/disable_ipv6", "0"},
	{"ipv6/conf/default/disable_ipv6", "0"},
	{"ipv6/conf/all/forwarding", "0"},
	{"ipv6/conf/default/forwarding", "0"},
	{"ipv6/conf/all/accept_redirects", "0"},
	{"ipv6/conf/default/accept_redirects", "0"},
	{"ipv6/conf/all/accept_ra", "0"},
	{"ipv6/conf/default/accept_ra", "0"},
	{"ipv6/conf/default/autoconf", "0"},
	{"ipv6/conf/default/router_solicitations", "0"},
	{"ipv6/conf/default/accept_dad", "0"},
	{"ipv6/conf/default/dad_transmits", "0"},
	{"ipv6/conf/default/addr_gen_mode", "1"}, /* none */
	/* Many connections that come and go. */
	{"core/somaxconn", "65535"},
	{"ipv4/tcp_max_syn_backlog", "16384"},
	{"ipv4/tcp_syncookies", "1"},
	{"ipv4/tcp_tw_reuse", "1"},
	{"ipv4/tcp_timestamps", "1"}, /* what tcp_tw_reuse relies on */
	{"ipv4/tcp_rfc1337", "1"},
	/* The frames' way leads through this process, which is paid for each, not for each byte. */
	{"ipv4/tcp_min_tso_segs", "44"},
	/* Persistent ones keep their window while they idle; a path through firewalls may swallow
	 * what tells of a smaller MTU; what one client's path was like says nothing of the next. */
	{"ipv4/tcp_slow_start_after_idle", "0"},
	{"ipv4/tcp_mtu_probing", "1"},
	{"ipv4/tcp_no_metrics_save", "1"},
	{"ipv4/tcp_fastopen", "0"},
};

static int write_sysctl(const struct sysctl *s)
{
	char path[128];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", s->name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno; /* an older kernel, or one without IPv6 */
	if (write(fd, s->value, strlen(s->value)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int open_port_range(struct netspace *n)
{
	n->ports_fd = open("/proc/sys/net/" PORT_RANGE, O_WRONLY | O_CLOEXEC);
	return n->ports_fd < 0 ? -errno : netspace_set_ports(n, 1024, 65535);
}

static int sysctl_failed(const struct netspace *n, const char *name, int rc)
{
	snprintf(n->err, n->err_size, "cannot write /proc/sys/net/%s inside: %s%s", name,
		 strerror(-rc),
		 rc == -EROFS ? " (in a systemd unit: ProtectKernelTunables=no)" : "");
	return rc;
}

static int write_sysctls(struct netspace *n)
{
	int rc;

	if (access("/proc/sys/net/ipv4/ip_unprivileged_port_start", F_OK) < 0) {
		snprintf(n->err, n->err_size, "/proc/sys/net is not there: %s", strerror(errno));
		return -ENOENT;
	}
	for (size_t i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]); i++) {
		rc = write_sysctl(&sysctls[i]);
		if (rc < 0)
			return sysctl_failed(n, sysctls[i].name, rc);
	}
	rc = open_port_range(n);
	return rc < 0 ? sysctl_failed(n, PORT_RANGE, rc) : 0;
}

/* Of this thread alone. The bounding set goes first, while there is CAP_SETPCAP; what is missing
 * cannot be dropped, and need not. */
static int give_up_privileges(bool user_changes)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {0};

	if (syscall(SYS_capget, &head, caps) < 0)
		return -errno;
	uint32_t keep = user_changes ? 1U << CAP_SETUID | 1U << CAP_SETGID : 0;
	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	keep &= caps[0].permitted;
	caps[0] = (struct __user_cap_data_struct){.effective = keep, .permitted = keep};
	caps[1] = (struct __user_cap_data_struct){0};
	if (syscall(SYS_capset, &head, caps) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int enter(struct netspace *n)
{
	int rc;

	if (unshare(CLONE_NEWNET) < 0) {
		rc = -errno;
		snprintf(n->err, n->err_size, "cannot make a network namespace: %s%s",
			 strerror(-rc), rc == -EPERM ? " (it takes CAP_SYS_ADMIN)" : "");
		return rc;
	}
	rc = write_sysctls(n);
	if (rc < 0)
		return rc;
	n->fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	rc = n->fd < 0 ? -errno : rtnl_open(&n->netlink);
	if (rc == 0)
		rc = rtnl_link_up(n->netlink, if_nametoindex("lo"));
	if (rc == 0)
		rc = give_up_privileges(n->user_changes);
	if (rc < 0)
		snprintf(n->err, n->err_size, "cannot set up a network namespace: %s",
			 strerror(-rc));
	return rc;
}

/* --- the thread: sockets ---------------------------------------------------------------------- */

/* Called, and returns, with the lock held. An error stands until somebody asks again. */
static void fill(struct netspace *n, struct stock *s)
{
	while (n->phase == PHASE_READY && s->n < s->wanted && s->error == 0) {
		pthread_mutex_unlock(&n->lock);
		int fd = socket(s->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		int error = fd < 0 ? errno : 0;

		pthread_mutex_lock(&n->lock);
		if (fd >= 0)
			s->fds[s->n++] = fd;
		s->error = error;
		pthread_cond_signal(&n->done);
	}
}

static bool idle(const struct netspace *n)
{
	for (unsigned i = 0; i < 2; i++)
		if (n->stocks[i].n < n->stocks[i].wanted && n->stocks[i].error == 0)
			return false;
	return n->phase == PHASE_READY;
}

static void *run(void *arg)
{
	struct netspace *n = arg;
	struct sched_param ordinary = {.sched_priority = 0};
	int rc;

	/* Woken, it does not take the processor from who woke it. */
	(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &ordinary);
	pthread_setname_np(pthread_self(), "private-stack");
	rc = enter(n);
	pthread_mutex_lock(&n->lock);
	n->phase = rc < 0 ? PHASE_FAILED : PHASE_READY;
	pthread_cond_signal(&n->done);
	while (n->phase == PHASE_READY) {
		for (unsigned i = 0; i < 2; i++)
			fill(n, &n->stocks[i]);
		while (idle(n))
			pthread_cond_wait(&n->work, &n->lock);
	}
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

/* --- the caller ------------------------------------------------------------------------------- */

/* Signals are for the main thread. */
static int start_thread(struct netspace *n)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&n->thread, NULL, run, n);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		snprintf(n->err, n->err_size, "cannot start a thread: %s", strerror(rc));
	return -rc;
}

static void dispose(struct netspace *n)
{
	for (unsigned i = 0; i < 2; i++)
		while (n->stocks[i].n > 0)
			close(n->stocks[i].fds[--n->stocks[i].n]);
	rtnl_close(n->netlink);
	if (n->fd >= 0)
		close(n->fd);
	if (n->ports_fd >= 0)
		close(n->ports_fd);
	pthread_cond_destroy(&n->work);
	pthread_cond_destroy(&n->done);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

struct netspace *netspace_new(bool user_changes, char *err, size_t err_size)
{
	struct netspace *n = calloc(1, sizeof(*n));
	bool failed;

	if (!n) {
		snprintf(err, err_size, "out of memory");
		return NULL;
	}
	n->fd = n->ports_fd = -1;
	n->user_changes = user_changes;
	n->err = err;
	n->err_size = err_size;
	n->stocks[0].family = AF_INET;
	n->stocks[1].family = AF_INET6;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->work, NULL);
	pthread_cond_init(&n->done, NULL);
	if (start_thread(n) < 0) {
		dispose(n);
		return NULL;
	}
	pthread_mutex_lock(&n->lock);
	while (n->phase == PHASE_SETUP)
		pthread_cond_wait(&n->done, &n->lock);
	failed = n->phase == PHASE_FAILED;
	pthread_mutex_unlock(&n->lock);
	if (failed) {
		pthread_join(n->thread, NULL);
		dispose(n);
		return NULL;
	}
	return n;
}

void netspace_free(struct netspace *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->phase = PHASE_STOP;
	pthread_cond_signal(&n->work);
	pthread_mutex_unlock(&n->lock);
	pthread_join(n->thread, NULL);
	dispose(n);
}

int netspace_socket(struct netspace *n, int family)
{
	struct stock *s = &n->stocks[family == AF_INET6];
	int fd;

	pthread_mutex_lock(&n->lock);
	if (s->n == 0) {
		s->wanted = s->wanted ? s->wanted * 2 : STOCK_FIRST;
		s->wanted = s->wanted < STOCK ? s->wanted : STOCK;
		s->error = 0;
		pthread_cond_signal(&n->work);
		while (s->n == 0 && s->error == 0)
			pthread_cond_wait(&n->done, &n->lock);
	}
	fd = s->n > 0 ? s->fds[--s->n] : -s->error;
	if (s->n == s->wanted / 2)
		pthread_cond_signal(&n->work);
	pthread_mutex_unlock(&n->lock);
	return fd;
}

int netspace_set_ports(struct netspace *n, uint16_t first, uint16_t last)
{
	char text[16];
	int size = snprintf(text, sizeof(text), "%u %u", (unsigned)first, (unsigned)last);

	return pwrite(n->ports_fd, text, (size_t)size, 0) < 0 ? -errno : 0;
}

int netspace_fd(const struct netspace *n)
{
	return n->fd;
}

struct mnl_socket *netspace_netlink(const struct netspace *n)
{
	return n->netlink;
}
