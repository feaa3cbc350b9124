/*
 * gap - what hosts see while a node between them is lost and replaced, as a benchmark's measure.
 *
 *   gap -l PORT                                        the server, until it is killed
 *   gap -d ADDRESS -p PORT -u [-r PER_SECOND] [-t S]   numbered datagrams, each answered
 *   gap -d ADDRESS -p PORT -s [-r PER_SECOND] [-t S]   a steady stream of bytes, received
 *   gap -d ADDRESS -p PORT -i COUNT [-t S]             connections that say nothing for a while
 *   gap -c LATE_US [-t S]                              waits for a calm second, S at most
 *   gap -w [-t S]                                      watches the machine itself
 *
 * -u and -s run for S seconds, or until SIGUSR1 and then a second for what is on its way. The gap
 * is the longest time without an answer (a new byte), in microseconds, by the times at which the
 * kernel received them; for -s a reset is said. A stream's bytes count upwards, so that each is
 * checked. All but -i run before other processes (SCHED_RR) when they may. -i: says "ready COUNT"
 * when all are open, waits for SIGUSR1, then sends a byte by each, waits up to S seconds for all of
 * them to come back.
 *
 * One line: "datagrams N answered N lost N twice N late N gap_us N", "stream N gap_us N wrong N
 * reset N" or "idle N lived N reset N silent N". `late` came after a later one.
 *
 * -c and -w watch each processor by a process that goes before others and wakes every millisecond.
 * How late it does at worst is how long the machine had no time for anybody there: -w says
 * "stood_us N" after S seconds or SIGUSR1; -c says "calm" after a second without more than LATE_US
 * on any, or "restless" after S seconds.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, ppoll */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define EVENTS 64
#define FDS 4096
#define IDLE_MAX 2000
#define DATAGRAMS_MAX 4000000u
#define PIECE 1000 /* bytes of a stream at a time */

struct options {
	struct sockaddr_in to;
	bool server, datagrams, stream, watch;
	unsigned idle;
	uint64_t per_second, seconds, late_us;
};

static volatile sig_atomic_t told; /* SIGUSR1 has come */

static void tell(int signal)
{
	(void)signal;
	told = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t clock_of_stamps(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* recv(), and when the kernel received the last of it: this process may have had to wait. */
static ssize_t receive(int fd, void *data, size_t size, uint64_t *at_ns)
{
	struct iovec piece = {.iov_base = data, .iov_len = size};
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct timespec))];
	} ancillary;
	struct msghdr m = {.msg_iov = &piece,
			   .msg_iovlen = 1,
			   .msg_control = &ancillary,
			   .msg_controllen = sizeof(ancillary)};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	struct timespec t = {0};

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
		memcpy(&t, CMSG_DATA(c), sizeof(t));
	*at_ns = t.tv_sec ? (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec : clock_of_stamps();
	return n;
}

static void stamp_received(int fd)
{
	int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0)
		die("SO_TIMESTAMPNS");
}

static void watch(int epoll, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* --- server ---------------------------------------------------------------------------------- */

/* A connection's first byte says what it is for: 's' and how many pieces a second (two bytes), a
 * stream; all else is sent back. */
struct served {
	bool stream;
	uint64_t n_sent, owed; /* bytes */
	uint16_t per_second;
};

struct server {
	int epoll, listener, udp, timer;
	uint64_t last_ns;
	struct served *served; /* by descriptor */
};

static int bound(int type, const struct options *o)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_DGRAM)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&o->to, sizeof(o->to)) < 0)
		die("bind");
	return fd;
}

/* From the address that was asked: the host may have many. */
static void answer_datagrams(int fd)
{
	struct sockaddr_in from;
	uint8_t data[64];
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} ancillary;
	struct iovec piece = {.iov_base = data};
	ssize_t n;

	for (;;) {
		struct msghdr m = {.msg_name = &from,
				   .msg_namelen = sizeof(from),
				   .msg_iov = &piece,
				   .msg_iovlen = 1,
				   .msg_control = &ancillary,
				   .msg_controllen = sizeof(ancillary)};
		struct in_pktinfo info;

		piece.iov_len = sizeof(data);
		if ((n = recvmsg(fd, &m, 0)) < 0)
			return;
		piece.iov_len = (size_t)n;
		if (CMSG_FIRSTHDR(&m)) {
			memcpy(&info, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(info));
			info.ipi_ifindex = 0; /* routes say by which device */
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &info, sizeof(info));
		}
		(void)!sendmsg(fd, &m, 0);
	}
}

static void accept_all(struct server *s)
{
	int fd;

	while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (fd >= FDS) {
			close(fd);
			continue;
		}
		no_delay(fd);
		s->served[fd] = (struct served){0};
		watch(s->epoll, fd);
	}
}

static void serve(struct server *s, int fd)
{
	uint8_t data[256];
	struct served *c = &s->served[fd];
	ssize_t n = read(fd, data, sizeof(data));

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		c->stream = false;
		close(fd);
		return;
	}
	if (n == 3 && data[0] == 's') {
		c->stream = true;
		c->per_second = (uint16_t)(data[1] << 8 | data[2]);
	} else if (write(fd, data, (size_t)n) != n) {
		close(fd);
	}
}

static void pour(struct served *c, int fd, uint64_t took_ns)
{
	uint8_t data[PIECE];

	/* What the path did not take is not caught up with: the stream stays steady. */
	c->owed += took_ns * c->per_second;
	while (c->owed >= SECOND) {
		c->owed -= SECOND;
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)((c->n_sent + i) % 251);
		ssize_t n = write(fd, data, sizeof(data));
		if (n < 0)
			return;
		c->n_sent += (uint64_t)n;
	}
}

static void pour_all(struct server *s)
{
	uint64_t times, now = now_ns(), took = now - s->last_ns;

	(void)!read(s->timer, &times, sizeof(times));
	s->last_ns = now;
	for (int fd = 0; fd < FDS; fd++)
		if (s->served[fd].stream)
			pour(&s->served[fd], fd, took);
}

static _Noreturn void server(const struct options *o)
{
	struct itimerspec every = {.it_interval.tv_nsec = 1000000, .it_value.tv_nsec = 1000000};
	struct epoll_event events[EVENTS];
	struct server s = {.epoll = epoll_create1(0),
			   .listener = bound(SOCK_STREAM, o),
			   .udp = bound(SOCK_DGRAM, o),
			   .timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK),
			   .last_ns = now_ns(),
			   .served = calloc(FDS, sizeof(*s.served))};

	signal(SIGPIPE, SIG_IGN);
	if (!s.served || listen(s.listener, 4096) < 0)
		die("listen");
	timerfd_settime(s.timer, 0, &every, NULL);
	watch(s.epoll, s.listener);
	watch(s.epoll, s.udp);
	watch(s.epoll, s.timer);
	for (;;) {
		int n = epoll_wait(s.epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == s.listener)
				accept_all(&s);
			else if (fd == s.udp)
				answer_datagrams(fd);
			else if (fd == s.timer)
				pour_all(&s);
			else
				serve(&s, fd);
		}
	}
}

/* --- datagrams ------------------------------------------------------------------------------- */

struct probe {
	uint64_t run; /* answers of another run are not ours */
	uint64_t n_max, n_sent, n_answered, n_twice, n_late, highest;
	uint64_t last_ns, gap_ns;
	uint8_t *seen;
};

static void take_answers(struct probe *p, int fd)
{
	uint64_t data[2], now;
	ssize_t n;

	while ((n = receive(fd, data, sizeof(data), &now)) >= 0) {
		if (n != sizeof(data) || data[0] != p->run || data[1] >= p->n_sent)
			continue;
		if (p->seen[data[1]]) {
			p->n_twice++;
			continue;
		}
		p->seen[data[1]] = 1;
		p->n_late += data[1] < p->highest;
		if (data[1] > p->highest)
			p->highest = data[1];
		if (p->n_answered++ && now > p->last_ns && now - p->last_ns > p->gap_ns)
			p->gap_ns = now - p->last_ns;
		p->last_ns = now;
	}
}

/* Answers are taken while waiting, at the times they come. */
static void answers_until(struct probe *p, int fd, uint64_t until)
{
	for (uint64_t now = now_ns(); now < until; now = now_ns()) {
		uint64_t left = until - now;
		struct timespec t = {.tv_sec = (time_t)(left / SECOND),
				     .tv_nsec = (long)(left % SECOND)};
		struct pollfd poll = {.fd = fd, .events = POLLIN};

		if (ppoll(&poll, 1, &t, NULL) > 0)
			take_answers(p, fd);
	}
}

static int datagrams(const struct options *o)
{
	uint64_t step = SECOND / o->per_second, next = now_ns(), end;
	struct probe p = {.n_max = o->seconds * o->per_second};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	p.seen = calloc(p.n_max, 1);
	if (!p.seen || getrandom(&p.run, sizeof(p.run), 0) < 0 ||
	    connect(fd, (const struct sockaddr *)&o->to, sizeof(o->to)) < 0)
		die("datagrams");
	stamp_received(fd);
	while (!told && p.n_sent < p.n_max) {
		uint64_t data[2] = {p.run, p.n_sent++};

		/* An error told by ICMP is a datagram without an answer, no more. */
		if (send(fd, data, sizeof(data), 0) < 0 && errno == ECONNREFUSED)
			(void)!send(fd, data, sizeof(data), 0);
		answers_until(&p, fd, next += step);
	}
	/* Without any answer at the end the gap lasts until here. */
	end = clock_of_stamps();
	answers_until(&p, fd, now_ns() + SECOND);
	if (p.last_ns < end && end - p.last_ns > p.gap_ns)
		p.gap_ns = end - p.last_ns;
	printf("datagrams %" PRIu64 " answered %" PRIu64 " lost %" PRIu64 " twice %" PRIu64
	       " late %" PRIu64 " gap_us %" PRIu64 "\n",
	       p.n_sent, p.n_answered, p.n_sent - p.n_answered, p.n_twice, p.n_late,
	       p.n_answered ? p.gap_ns / 1000 : UINT64_C(0));
	free(p.seen);
	return p.n_answered ? 0 : 1;
}

/* --- a stream -------------------------------------------------------------------------------- */

static int connected(const struct options *o)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&o->to, sizeof(o->to)) < 0)
		die("connect");
	no_delay(fd);
	return fd;
}

static uint64_t wrong_bytes(const uint8_t *data, size_t size, uint64_t at)
{
	uint64_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += data[i] != (uint8_t)((at + i) % 251);
	return n;
}

static int stream(const struct options *o)
{
	uint8_t data[65536], ask[3] = {'s', (uint8_t)(o->per_second >> 8), (uint8_t)o->per_second};
	uint64_t end = now_ns() + o->seconds * SECOND, last = 0, gap = 0, got = 0, wrong = 0;
	uint64_t now, at, reset = 0;
	int fd = connected(o);

	stamp_received(fd);
	if (write(fd, ask, sizeof(ask)) != sizeof(ask))
		die("write");
	while ((now = now_ns()) < end) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (told && end > now + SECOND)
			end = now + SECOND;
		if (poll(&poll_fd, 1, 100) <= 0)
			continue;
		n = receive(fd, data, sizeof(data), &at);
		if (n <= 0) {
			reset = 1;
			break;
		}
		if (got && at > last && at - last > gap)
			gap = at - last;
		last = at;
		wrong += wrong_bytes(data, (size_t)n, got);
		got += (uint64_t)n;
	}
	at = clock_of_stamps();
	if (!reset && got && at - last > gap)
		gap = at - last;
	printf("stream %" PRIu64 " gap_us %" PRIu64 " wrong %" PRIu64 " reset %" PRIu64 "\n", got,
	       gap / 1000, wrong, reset);
	close(fd);
	return got && !wrong ? 0 : 1;
}

/* --- connections that are idle --------------------------------------------------------------- */

/* 1 the byte came back, -1 the connection has ended, 0 neither yet. */
static int came_back(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

	if (n == 1)
		return 1;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static int idle(const struct options *o)
{
	unsigned n_lived = 0, n_reset = 0;
	struct pollfd fds[IDLE_MAX];
	uint64_t end;

	for (unsigned i = 0; i < o->idle; i++) {
		fds[i] = (struct pollfd){.fd = connected(o), .events = POLLIN};
		/* Both ways: what only ever was opened may be judged otherwise. */
		if (write(fds[i].fd, "?", 1) != 1 || poll(&fds[i], 1, 5000) != 1 ||
		    came_back(fds[i].fd) != 1)
			die("echo");
	}
	printf("ready %u\n", o->idle);
	fflush(stdout);
	while (!told)
		usleep(10000);
	for (unsigned i = 0; i < o->idle; i++)
		(void)!send(fds[i].fd, "!", 1, MSG_NOSIGNAL);
	end = now_ns() + o->seconds * SECOND;
	while (n_lived + n_reset < o->idle && now_ns() < end) {
		if (poll(fds, o->idle, 100) <= 0)
			continue;
		for (unsigned i = 0; i < o->idle; i++) {
			int back = fds[i].fd >= 0 && fds[i].revents ? came_back(fds[i].fd) : 0;

			if (back == 0)
				continue;
			n_lived += back > 0;
			n_reset += back < 0;
			close(fds[i].fd);
			fds[i].fd = -1;
		}
	}
	printf("idle %u lived %u reset %u silent %u\n", o->idle, n_lived, n_reset,
	       o->idle - n_lived - n_reset);
	return 0;
}

/* --- the machine itself ---------------------------------------------------------------------- */

/* Of one processor, written by the process that watches it. */
struct watched {
	_Atomic uint64_t woke_ns, worst_ns, late_ns; /* late_ns: when it was later than asked for */
	pid_t pid;
};

static _Noreturn void watch_one(struct watched *w, int cpu, uint64_t late_us)
{
	struct sched_param priority = {.sched_priority = 2};
	struct timespec t = {.tv_nsec = 1000000};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sched_setaffinity(0, sizeof(set), &set);
	sched_setscheduler(0, SCHED_RR, &priority);
	for (;;) {
		uint64_t due = now_ns() + 1000000, late;

		clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
		w->woke_ns = now_ns();
		late = w->woke_ns > due ? w->woke_ns - due : 0;
		if (late > w->worst_ns)
			w->worst_ns = late;
		if (late_us && late > late_us * 1000)
			w->late_ns = w->woke_ns;
	}
}

/* Of all processors: how late at worst, those included that do not run at all now; and since when
 * none was later than asked for. */
static void look(const struct watched *w, int n, uint64_t now, const struct options *o,
		 uint64_t *worst, uint64_t *since)
{
	for (int i = 0; i < n; i++) {
		uint64_t woke = w[i].woke_ns, silent = now > woke ? now - woke : 0;

		if (w[i].worst_ns > *worst)
			*worst = w[i].worst_ns;
		if (silent > 2000000 && silent > *worst)
			*worst = silent;
		if (w[i].late_ns > *since)
			*since = w[i].late_ns;
		if (silent > 1000000 + o->late_us * 1000)
			*since = now;
	}
}

static int watch_machine(const struct options *o)
{
	uint64_t now = now_ns(), end = now + o->seconds * SECOND, since = now, worst = 0;
	int n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	struct watched *w = mmap(NULL, (size_t)n * sizeof(*w), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (w == MAP_FAILED)
		die("mmap");
	for (int i = 0; i < n; i++) {
		w[i].woke_ns = now;
		pid_t pid = fork();

		if (pid == 0)
			watch_one(&w[i], i, o->late_us);
		if (pid < 0)
			die("fork");
		w[i].pid = pid; /* shared: the child must not write it */
	}
	do {
		usleep(10000);
		now = now_ns();
		look(w, n, now, o, &worst, &since);
	} while (!told && now < end && !(o->late_us && now - since >= SECOND));
	for (int i = 0; i < n; i++)
		kill(w[i].pid, SIGKILL);
	if (o->late_us)
		puts(now - since >= SECOND ? "calm" : "restless");
	else
		printf("stood_us %" PRIu64 "\n", worst / 1000);
	return 0;
}

/* --- all ------------------------------------------------------------------------------------- */

static bool parse(int argc, char **argv, struct options *o)
{
	int c;

	*o = (struct options){.to = {.sin_family = AF_INET}, .per_second = 1000, .seconds = 10};
	while ((c = getopt(argc, argv, "l:d:p:uswi:c:r:t:")) != -1) {
		unsigned long v = strtoul(optarg ? optarg : "", NULL, 10);

		if (c == 'l' || c == 'p')
			o->to.sin_port = htons((uint16_t)v);
		if (c == 'l')
			o->server = true;
		else if (c == 'd' && inet_pton(AF_INET, optarg, &o->to.sin_addr) != 1)
			return false;
		else if (c == 'u')
			o->datagrams = true;
		else if (c == 's')
			o->stream = true;
		else if (c == 'w')
			o->watch = true;
		else if (c == 'i')
			o->idle = (unsigned)v;
		else if (c == 'c')
			o->late_us = v;
		else if (c == 'r')
			o->per_second = v;
		else if (c == 't')
			o->seconds = v;
		else if (c == '?')
			return false;
	}
	if (o->late_us || o->watch)
		return o->seconds > 0;
	return o->to.sin_port && o->seconds && o->per_second && o->per_second <= 10000 &&
	       o->seconds * o->per_second <= DATAGRAMS_MAX && o->idle <= IDLE_MAX &&
	       o->server + o->datagrams + o->stream + (o->idle > 0) == 1 &&
	       (o->server || o->to.sin_addr.s_addr);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = tell};
	struct sched_param priority = {.sched_priority = 1};
	struct options o;

	if (!parse(argc, argv, &o)) {
		fprintf(stderr, "usage: gap -l PORT | -d ADDRESS -p PORT -u|-s|-i COUNT "
				"[-r PER_SECOND] [-t SECONDS] | -c LATE_US | -w [-t SECONDS]\n");
		return 2;
	}
	sigaction(SIGUSR1, &action, NULL);
	if (!o.idle)
		sched_setscheduler(0, SCHED_RR, &priority);
	if (o.late_us || o.watch)
		return watch_machine(&o);
	if (o.server)
		server(&o);
	if (o.datagrams)
		return datagrams(&o);
	return o.stream ? stream(&o) : idle(&o);
}
