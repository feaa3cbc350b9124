/*
 * tcpgen - connections one after the other, or echoes over one connection, as a benchmark's load.
 *
 *   tcpgen -l PORT                                         the server, until it is killed
 *   tcpgen -d ADDRESS -p PORT [-c AT_ONCE] [-t SECONDS]    connections as fast as they go
 *   tcpgen -d ADDRESS -p PORT -e PER_SECOND [-t SECONDS]   echoes at a low rate
 *
 * A connection is: connect, send 'q', receive 'q', see the server close, close. Prints "connections
 * N ns N failed N". An echo is: send 'p', receive 'p'. Prints "echoes N median N p99 N" (ns).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define AT_ONCE_MAX 1024
#define ECHOES_MAX 1000000

struct options {
	struct sockaddr_in to;
	bool server;
	unsigned at_once, echoes; /* echoes: per second, 0 = connections */
	uint64_t seconds;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* --- server ---------------------------------------------------------------------------------- */

static void accept_all(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		no_delay(fd);
		watch(epoll, fd, EPOLLIN);
	}
}

static void serve(int fd)
{
	char c = 0;
	ssize_t n = read(fd, &c, 1);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n != 1 || write(fd, &c, 1) != 1 || c == 'q')
		close(fd);
}

static _Noreturn void server(const struct options *o)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	int epoll = epoll_create1(0);
	struct epoll_event events[EVENTS];

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (const struct sockaddr *)&o->to, sizeof(o->to)) < 0 ||
	    listen(listener, 4096) < 0)
		die("listen");
	watch(epoll, listener, EPOLLIN);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_all(epoll, listener);
			else
				serve(events[i].data.fd);
		}
	}
}

/* --- connections ----------------------------------------------------------------------------- */

static bool begin(int epoll, const struct options *o)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, (const struct sockaddr *)&o->to, sizeof(o->to)) < 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return false;
	}
	watch(epoll, fd, EPOLLOUT);
	return true;
}

/* 1 done, 0 not yet, -1 failed */
static int advance(int epoll, const struct epoll_event *event)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = event->data.fd};
	char c[4];
	ssize_t n;

	if (event->events & EPOLLOUT) {
		if (write(e.data.fd, "q", 1) != 1)
			return -1;
		return epoll_ctl(epoll, EPOLL_CTL_MOD, e.data.fd, &e);
	}
	n = read(e.data.fd, c, sizeof(c));
	if (n < 0 && errno == EAGAIN)
		return 0;
	return n == 0 ? 1 : n < 0 ? -1 : 0;
}

static int connections(const struct options *o)
{
	uint64_t start = now_ns(), end = start + o->seconds * 1000000000u, now = start;
	uint64_t done = 0, failed = 0;
	int epoll = epoll_create1(0);
	struct epoll_event events[EVENTS];
	unsigned open = 0;

	while (now < end) {
		for (; open < o->at_once; open++)
			if (!begin(epoll, o)) {
				failed++;
				break;
			}
		int n = epoll_wait(epoll, events, EVENTS, 100);
		for (int i = 0; i < n; i++) {
			int result = advance(epoll, &events[i]);
			if (result == 0)
				continue;
			close(events[i].data.fd);
			open--;
			done += result > 0;
			failed += result < 0;
		}
		now = now_ns();
	}
	printf("connections %" PRIu64 " ns %" PRIu64 " failed %" PRIu64 "\n", done, now - start,
	       failed);
	return 0;
}

/* --- echoes ---------------------------------------------------------------------------------- */

static int compare(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a > b) - (a < b);
}

static void sleep_until(uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u),
			     .tv_nsec = (long)(ns % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static int echoes(const struct options *o)
{
	uint64_t n = o->seconds * o->echoes, step = 1000000000u / o->echoes, next;
	uint64_t *took = n && n <= ECHOES_MAX ? calloc(n, sizeof(*took)) : NULL;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char c;

	if (!took || fd < 0 || connect(fd, (const struct sockaddr *)&o->to, sizeof(o->to)) < 0)
		die("connect");
	no_delay(fd);
	next = now_ns();
	for (uint64_t i = 0; i < n; i++, next += step) {
		uint64_t begun;

		sleep_until(next);
		begun = now_ns();
		if (write(fd, "p", 1) != 1 || read(fd, &c, 1) != 1)
			die("echo");
		took[i] = now_ns() - begun;
	}
	qsort(took, n, sizeof(*took), compare);
	printf("echoes %" PRIu64 " median %" PRIu64 " p99 %" PRIu64 "\n", n, took[n / 2],
	       took[n * 99 / 100]);
	free(took);
	close(fd);
	return 0;
}

/* --- all ------------------------------------------------------------------------------------- */

static bool parse(int argc, char **argv, struct options *o)
{
	int c;

	*o = (struct options){.to = {.sin_family = AF_INET}, .at_once = 32, .seconds = 5};
	while ((c = getopt(argc, argv, "l:d:p:c:e:t:")) != -1) {
		unsigned long v = strtoul(optarg ? optarg : "", NULL, 10);

		if (c == 'l' || c == 'p')
			o->to.sin_port = htons((uint16_t)v);
		if (c == 'l')
			o->server = true;
		else if (c == 'd' && inet_pton(AF_INET, optarg, &o->to.sin_addr) != 1)
			return false;
		else if (c == 'c')
			o->at_once = (unsigned)v;
		else if (c == 'e')
			o->echoes = (unsigned)v;
		else if (c == 't')
			o->seconds = v;
		else if (c == '?')
			return false;
	}
	return o->to.sin_port && o->at_once && o->at_once <= AT_ONCE_MAX && o->seconds &&
	       (o->server || o->to.sin_addr.s_addr) && o->echoes <= 100000;
}

int main(int argc, char **argv)
{
	struct options o;

	if (!parse(argc, argv, &o)) {
		fprintf(stderr, "usage: tcpgen -l PORT | -d ADDRESS -p PORT [-c AT_ONCE] "
				"[-e PER_SECOND] [-t SECONDS]\n");
		return 2;
	}
	if (o.server)
		server(&o);
	return o.echoes ? echoes(&o) : connections(&o);
}
