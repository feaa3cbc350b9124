/*
 * sandbox.c - capabilities (libcap-ng) and the seccomp filter (libseccomp).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "io/sandbox.h"

#include <errno.h>
#include <net/if.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <linux/wireless.h>

#include <cap-ng.h>
#include <seccomp.h>

static const char *const allowed[] = {
	/* memory; mlock for keys */
	"brk",
	"mmap",
	"mmap2",
	"munmap",
	"mremap",
	"mprotect",
	"madvise",
	"membarrier",
	"mlock",
	"mlock2",
	"munlock",
	/* files: configuration, keys, time zone, user database, sysctls, captures; a journal entry
	 * too long for one datagram is passed as a memfd */
	"open",
	"openat",
	"read",
	"readv",
	"pread64",
	"write",
	"writev",
	"pwrite64",
	"close",
	"close_range",
	"lseek",
	"_llseek",
	"stat",
	"stat64",
	"lstat",
	"lstat64",
	"fstat",
	"fstat64",
	"newfstatat",
	"fstatat64",
	"statx",
	"fstatfs",
	"statfs",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getcwd",
	"getdents",
	"getdents64",
	"fcntl",
	"fcntl64",
	"flock",
	"ftruncate",
	"ftruncate64",
	"fsync",
	"fdatasync",
	"memfd_create",
	"dup",
	"dup2",
	"dup3",
	"pipe",
	"pipe2",
	"unlink",
	"unlinkat",
	"umask",
	/* sockets; socket itself by family, below */
	"socketpair",
	"bind",
	"listen",
	"accept",
	"accept4",
	"connect",
	"shutdown",
	"getsockname",
	"getpeername",
	"getsockopt",
	"setsockopt",
	"send",
	"sendto",
	"sendmsg",
	"sendmmsg",
	"recv",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"recvmmsg_time64",
	/* the event loop, with every back end of libevent */
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"poll",
	"ppoll",
	"ppoll_time64",
	"select",
	"_newselect",
	"pselect6",
	"pselect6_time64",
	"eventfd2",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_settime64",
	"timerfd_gettime",
	"timerfd_gettime64",
	"signalfd4",
	/* time */
	"clock_gettime",
	"clock_gettime64",
	"clock_getres",
	"clock_getres_time64",
	"clock_nanosleep",
	"clock_nanosleep_time64",
	"nanosleep",
	"gettimeofday",
	"time",
	"times",
	"getrusage",
	/* signals; tgkill for abort() */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigpending",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"rt_sigreturn",
	"sigreturn",
	"sigaltstack",
	"restart_syscall",
	"tgkill",
	/* the process itself */
	"exit",
	"exit_group",
	"getpid",
	"getppid",
	"gettid",
	"getuid",
	"getuid32",
	"geteuid",
	"geteuid32",
	"getgid",
	"getgid32",
	"getegid",
	"getegid32",
	"getresuid",
	"getresgid",
	"getgroups",
	"capget",
	"futex",
	"futex_time64",
	"futex_waitv",
	"set_robust_list",
	"rseq",
	"sched_yield",
	"sched_getaffinity",
	"getcpu",
	"getrandom",
	"getrlimit",
	"uname",
	"sysinfo",
#ifdef SANDBOX_SANITIZED
	/* the leak check at exit runs in a tracer of its own; reports run a symbolizer */
	"clone",
	"clone3",
	"vfork",
	"fork",
	"execve",
	"wait4",
	"waitid",
	"kill",
	"ptrace",
	"prctl",
	"prlimit64",
	"process_vm_readv",
	"personality",
	"arch_prctl",
	"set_tid_address",
#endif
};

/* Beside them, where streams are relayed. */
static const char *const allowed_streams[] = {"splice"};

/* A system call that is allowed only with certain values of one argument. */
struct restricted {
	const char *name;
	unsigned arg;
	uint64_t value;
};

static const struct restricted restricted[] = {
	{"socket", 0, AF_UNIX},
	{"socket", 0, AF_INET},
	{"socket", 0, AF_INET6},
	{"socket", 0, AF_NETLINK},
	{"socket", 0, AF_PACKET},
	/* terminals and pipes */
	{"ioctl", 1, TCGETS},
	{"ioctl", 1, TIOCGWINSZ},
	{"ioctl", 1, FIONREAD},
	{"ioctl", 1, FIONBIO},
	{"ioctl", 1, FIOCLEX},
	/* interfaces: the C library, libpcap and libnet when a port is attached, the host check */
	{"ioctl", 1, SIOCGIFNAME},
	{"ioctl", 1, SIOCGIFINDEX},
	{"ioctl", 1, SIOCGIFCONF},
	{"ioctl", 1, SIOCGIFFLAGS},
	{"ioctl", 1, SIOCGIFADDR},
	{"ioctl", 1, SIOCGIFNETMASK},
	{"ioctl", 1, SIOCGIFMTU},
	{"ioctl", 1, SIOCGIFHWADDR},
	{"ioctl", 1, SIOCGSTAMP_OLD},
	{"ioctl", 1, SIOCETHTOOL},
	{"ioctl", 1, SIOCGIWNAME},
#ifndef SANDBOX_SANITIZED
	{"prctl", 0, PR_SET_NAME},
	{"prctl", 0, PR_GET_NAME},
	{"prctl", 0, PR_GET_DUMPABLE},
	{"prctl", 0, PR_CAPBSET_READ},
	{"prctl", 0, 0x53564d41}, /* PR_SET_VMA: names of malloc's mappings */
	/* reading limits, not setting them */
	{"prlimit64", 2, 0},
#endif
};

/* Flow offload: entries of maps that are open since the start, and asking what is attached. The
 * kernel lets a process without CAP_BPF load nothing, nor reach other maps and programs. */
static const struct restricted offload_calls[] = {
	{"bpf", 0, BPF_MAP_UPDATE_ELEM},
	{"bpf", 0, BPF_MAP_DELETE_ELEM},
	{"bpf", 0, BPF_OBJ_GET_INFO_BY_FD},
};

/* Capabilities the process has now and may keep. */
static void select_capabilities(void)
{
	static const unsigned keep[] = {CAP_NET_RAW, CAP_NET_ADMIN};
	bool have[2];

	for (unsigned i = 0; i < 2; i++)
		have[i] = capng_have_capability(CAPNG_PERMITTED, keep[i]);
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned i = 0; i < 2; i++)
		if (have[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, keep[i]);
}

static int change_user(const char *user, capng_flags_t bounding, char *err, size_t err_size)
{
	errno = 0;
	const struct passwd *pw = getpwnam(user);
	if (!pw) {
		snprintf(err, err_size, "user \"%s\" does not exist", user);
		return errno ? -errno : -ENOENT;
	}
	if (pw->pw_uid == geteuid() && pw->pw_uid == getuid())
		return 1;
	if (geteuid() != 0) {
		snprintf(err, err_size, "cannot become user \"%s\": started as another one", user);
		return -EPERM;
	}
	int rc = capng_change_id((int)pw->pw_uid, (int)pw->pw_gid, CAPNG_INIT_SUPP_GRP | bounding);
	if (rc != 0) {
		snprintf(err, err_size, "cannot become user \"%s\" (step %d of libcap-ng)", user,
			 rc);
		return -EPERM;
	}
	return 0;
}

static int set_process_flags(char *err, size_t err_size)
{
	/* Keys lie in memory: no core files, no reading by a debugger of the same user. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		int error = errno;
		snprintf(err, err_size, "cannot drop privileges: %s", strerror(error));
		return -error;
	}
	return 0;
}

int sandbox_drop_privileges(const char *user, char *err, size_t err_size)
{
	int rc = 1;

	if (capng_get_caps_process() < 0) {
		snprintf(err, err_size, "cannot read the capabilities of this process");
		return -EPERM;
	}
	/* Under systemd with User= the bounding set is already small, and cannot be changed. */
	bool bounding = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	select_capabilities();
	if (user[0])
		rc = change_user(user, bounding ? CAPNG_CLEAR_BOUNDING : CAPNG_NO_FLAG, err,
				 err_size);
	if (rc < 0)
		return rc;
	if (rc > 0 && capng_apply(bounding ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) != 0) {
		snprintf(err, err_size, "cannot drop capabilities");
		return -EPERM;
	}
	return set_process_flags(err, err_size);
}

/* A name that this architecture or this libseccomp does not know is not needed here. */
static int allow(scmp_filter_ctx ctx, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);
	if (nr == __NR_SCMP_ERROR)
		return 0;
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	return rc == -EDOM ? 0 : rc;
}

/* The kernel looks only at the low 32 bits of these arguments, but for the pointer. */
static int allow_restricted(scmp_filter_ctx ctx, const struct restricted *r)
{
	int nr = seccomp_syscall_resolve_name(r->name);
	if (nr == __NR_SCMP_ERROR)
		return 0;
	uint64_t mask = strcmp(r->name, "prlimit64") == 0 ? UINT64_MAX : UINT32_MAX;
	struct scmp_arg_cmp cmp = SCMP_CMP(r->arg, SCMP_CMP_MASKED_EQ, mask, r->value);
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 1, &cmp);
}

static int allow_all(scmp_filter_ctx ctx, const char *const *names, size_t n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = allow(ctx, names[i]);
	return rc;
}

static int allow_all_restricted(scmp_filter_ctx ctx, const struct restricted *v, size_t n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = allow_restricted(ctx, &v[i]);
	return rc;
}

static int fill_filter(scmp_filter_ctx ctx, uint32_t action, bool offload, bool streams)
{
	int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, action);
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Nothing untrusted runs in this process, and the mitigation would slow the data path. */
	if (rc == 0)
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (rc == 0)
		rc = allow_all(ctx, allowed, sizeof(allowed) / sizeof(allowed[0]));
	if (rc == 0 && streams)
		rc = allow_all(ctx, allowed_streams,
			       sizeof(allowed_streams) / sizeof(allowed_streams[0]));
	if (rc == 0)
		rc = allow_all_restricted(ctx, restricted,
					  sizeof(restricted) / sizeof(restricted[0]));
	if (rc == 0 && offload)
		rc = allow_all_restricted(ctx, offload_calls,
					  sizeof(offload_calls) / sizeof(offload_calls[0]));
	return rc;
}

int sandbox_filter(enum seccomp_mode mode, bool offload, bool streams, char *err, size_t err_size)
{
	uint32_t action = mode == SECCOMP_ENFORCE ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_LOG;
	int rc = -ENOMEM;

	if (mode == SECCOMP_OFF)
		return 0;
	scmp_filter_ctx ctx = seccomp_init(action);
	if (ctx) {
		rc = fill_filter(ctx, action, offload, streams);
		if (rc == 0)
			rc = seccomp_load(ctx);
		seccomp_release(ctx);
	}
	if (rc < 0)
		snprintf(err, err_size, "cannot install the seccomp filter: %s", strerror(-rc));
	return rc;
}

int sandbox_enter(const struct params *params, bool streams, char *err, size_t err_size)
{
	int rc = sandbox_drop_privileges(params->user, err, err_size);
	bool offload = false;

	for (uint32_t i = 0; i < params->n_ports; i++)
		offload = offload || params->ports[i].offload;
	return rc < 0 ? rc : sandbox_filter(params->seccomp, offload, streams, err, err_size);
}
