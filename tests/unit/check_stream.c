/*
 * check_stream.c - streams and transfers over TCP on a private loopback and over socket pairs:
 * every split, back-pressure, ends and resets in the middle, pipes that run out. No descriptor is
 * left.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <linux/sockios.h>

#include "io/connect.h"
#include "io/sandbox.h"
#include "io/stream.h"

#include "netns.h"

#define COPY_SIZE 16384 /* as src/io/stream_stream_transfer.c has it */
#define BUDGET (1U << 20)

/* client == a, relayed to b == server */
struct rig {
	int client, server;
	struct stream a, b;
	struct stream_pipes pipes;
};

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void nonblocking(int fd)
{
	ck_assert_int_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static void wait_for(int fd, short events)
{
	struct pollfd pfd = {.fd = fd, .events = events};
	ck_assert_int_eq(poll(&pfd, 1, NETNS_DEADLINE_MS), 1);
}

static int listen_somewhere(struct endpoint *at)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t size = sizeof(sin);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(l, (struct sockaddr *)&sin, size), 0);
	ck_assert_int_eq(listen(l, 5), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&sin, &size), 0);
	at->addr = ipaddr_v4(&sin.sin_addr);
	at->port = ntohs(sin.sin_port);
	return l;
}

static void tcp_pair(int *x, int *y)
{
	struct endpoint at;
	int l = listen_somewhere(&at), on = 1;

	*x = connect_start(&at);
	ck_assert_int_ge(*x, 0);
	*y = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ge(*y, 0);
	wait_for(*x, POLLOUT);
	ck_assert_int_eq(connect_result(*x), 0);
	setsockopt(*x, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(*y, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	close(l);
}

static void unix_pair(int *x, int *y)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	nonblocking(fds[0]);
	nonblocking(fds[1]);
	*x = fds[0];
	*y = fds[1];
}

static void rig_open(struct rig *r, void (*pair)(int *x, int *y), unsigned pipes)
{
	int a, b;

	pair(&r->client, &a);
	pair(&b, &r->server);
	stream_init(&r->a, a);
	stream_init(&r->b, b);
	ck_assert_int_eq(stream_pipes_init(&r->pipes, pipes, 262144), 0);
}

static void rig_close(struct rig *r)
{
	close(r->client);
	close(r->server);
	stream_close(&r->a);
	stream_close(&r->b);
	stream_pipes_fini(&r->pipes);
	ck_assert_uint_eq(r->pipes.n_open, 0);
}

static uint32_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)random_state * n) >> 32);
}

/* Bytes that differ from any others near them, and for each `salt`. */
static void pattern(uint8_t *out, size_t at, size_t n, uint8_t salt)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)((at + i) * 31 + ((at + i) >> 13) + salt);
}

/* What one end of a conversation has sent and got. */
struct talker {
	int fd;
	size_t sent, got, to_send;
	uint8_t salt, peer_salt;
	bool ended;
};

static bool say(struct talker *t, size_t most)
{
	static uint8_t room[1 << 17];
	size_t n = t->to_send - t->sent;

	n = n < most ? n : most;
	n = n < sizeof(room) ? n : sizeof(room);
	if (n == 0)
		return false;
	pattern(room, t->sent, n, t->salt);
	ssize_t put = send(t->fd, room, n, MSG_NOSIGNAL);
	ck_assert(put > 0 || errno == EAGAIN);
	t->sent += put > 0 ? (size_t)put : 0;
	return put > 0;
}

static bool hear(struct talker *t, size_t most)
{
	static uint8_t room[1 << 17], want[1 << 17];
	ssize_t n = recv(t->fd, room, most < sizeof(room) ? most : sizeof(room), 0);

	ck_assert(n >= 0 || errno == EAGAIN);
	t->ended = n == 0;
	if (n <= 0)
		return false;
	pattern(want, t->got, (size_t)n, t->peer_salt);
	ck_assert(memcmp(room, want, (size_t)n) == 0);
	t->got += (size_t)n;
	return true;
}

static void hear_all(struct talker *t, size_t n)
{
	while (t->got < n) {
		wait_for(t->fd, POLLIN);
		ck_assert(hear(t, n - t->got));
	}
}

static void want_is(const struct stream *s, unsigned want)
{
	ck_assert_uint_eq(s->want, want);
}

/* --- streams ---------------------------------------------------------------------------------- */

static void setup(void)
{
	netns_enter();
	netns_run("ip link set dev lo up");
	random_state = 1;
}

START_TEST(test_read_and_write)
{
	struct iovec iov[3] = {{(char[]){"ab"}, 2}, {(char[]){""}, 0}, {(char[]){"cde"}, 3}};
	unsigned before = open_descriptors();
	char buf[16];
	struct stream s;
	size_t n = 99;
	int peer, fd;

	tcp_pair(&fd, &peer);
	stream_init(&s, fd);
	ck_assert_int_eq(stream_read(&s, buf, sizeof(buf), &n), STREAM_AGAIN);
	ck_assert_uint_eq(n, 0);
	want_is(&s, STREAM_READ);
	ck_assert(stream_is_quiet(&s));
	ck_assert_int_eq(send(peer, "xyz", 3, 0), 3);
	wait_for(fd, POLLIN);
	ck_assert(!stream_is_quiet(&s));
	ck_assert_int_eq(stream_read(&s, buf, 2, &n), STREAM_OK);
	ck_assert_uint_eq(n, 2);
	want_is(&s, 0);
	ck_assert_int_eq(stream_read(&s, buf, sizeof(buf), &n), STREAM_OK);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(stream_write(&s, iov, 3, false, &n), STREAM_OK);
	ck_assert_uint_eq(n, 5);
	wait_for(peer, POLLIN);
	ck_assert_int_eq(recv(peer, buf, sizeof(buf), 0), 5);
	ck_assert_mem_eq(buf, "abcde", 5);
	ck_assert_uint_eq(s.received, 3);
	ck_assert_uint_eq(s.sent, 5);
	/* The peer has ended; this side goes on until it ends, too. */
	shutdown(peer, SHUT_WR);
	wait_for(fd, POLLIN);
	ck_assert(!stream_is_quiet(&s));
	ck_assert_int_eq(stream_read(&s, buf, sizeof(buf), &n), STREAM_END);
	ck_assert(s.ended && !s.shut);
	ck_assert_int_eq(stream_write(&s, iov, 1, false, &n), STREAM_OK);
	ck_assert_int_eq(stream_shutdown(&s), STREAM_OK);
	ck_assert_int_eq(stream_shutdown(&s), STREAM_OK);
	ck_assert(s.shut);
	wait_for(peer, POLLIN);
	ck_assert_int_eq(recv(peer, buf, sizeof(buf), MSG_WAITALL), 2);
	ck_assert_int_eq(recv(peer, buf, sizeof(buf), 0), 0);
	/* Writing after one's own end is a fault that is told, not a signal. */
	ck_assert_int_eq(stream_write(&s, iov, 1, false, &n), STREAM_FAILED);
	ck_assert_int_eq(s.error, EPIPE);
	stream_close(&s);
	stream_close(&s);
	ck_assert_int_eq(s.fd, -1);
	close(peer);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

/* A full socket takes part of the pieces, and says how much. */
START_TEST(test_write_partly)
{
	static uint8_t data[3][100000];
	struct iovec iov[3];
	struct talker t = {0};
	struct stream s;
	size_t at = 0, n;
	int fd;

	tcp_pair(&fd, &t.fd);
	stream_init(&s, fd);
	enum stream_result rc = STREAM_OK;
	for (unsigned round = 0; rc == STREAM_OK; round++) {
		for (unsigned i = 0; i < 3; i++) {
			pattern(data[i], at + i * sizeof(data[i]), sizeof(data[i]), 0);
			iov[i] = (struct iovec){data[i], sizeof(data[i])};
		}
		rc = stream_write(&s, iov, 3, false, &n);
		ck_assert(rc == STREAM_OK ? n == sizeof(data) : n < sizeof(data));
		at += n;
		ck_assert_uint_lt(round, 1000);
	}
	ck_assert_int_eq(rc, STREAM_AGAIN);
	want_is(&s, STREAM_WRITE);
	ck_assert_uint_eq(s.sent, at);
	hear_all(&t, at);
	wait_for(fd, POLLOUT);
	pattern(data[0], at, 10, 0);
	iov[0].iov_len = 10;
	ck_assert_int_eq(stream_write(&s, iov, 1, false, &n), STREAM_OK);
	want_is(&s, 0);
	hear_all(&t, at + 10);
	stream_close(&s);
	close(t.fd);
}
END_TEST

/* What is to follow is waited for, what is not goes out at once. */
START_TEST(test_write_more)
{
	struct iovec iov = {(char[]){"head"}, 4};
	struct stream s;
	char buf[16];
	int fd, peer, unsent;
	size_t n;

	tcp_pair(&fd, &peer);
	stream_init(&s, fd);
	ck_assert_int_eq(stream_write(&s, &iov, 1, true, &n), STREAM_OK);
	ck_assert_int_eq(ioctl(fd, SIOCOUTQNSD, &unsent), 0);
	ck_assert_int_eq(unsent, 4);
	ck_assert_int_eq(stream_write(&s, &iov, 1, false, &n), STREAM_OK);
	ck_assert_int_eq(ioctl(fd, SIOCOUTQNSD, &unsent), 0);
	ck_assert_int_eq(unsent, 0);
	wait_for(peer, POLLIN);
	ck_assert_int_eq(recv(peer, buf, sizeof(buf), 0), 8);
	stream_close(&s);
	close(peer);
}
END_TEST

START_TEST(test_connect)
{
	struct endpoint at;
	struct stream s;
	int l = listen_somewhere(&at);

	stream_init(&s, connect_start(&at));
	wait_for(s.fd, POLLOUT);
	ck_assert_int_eq(stream_connected(&s), STREAM_OK);
	close(l); /* never accepted: reset */
	wait_for(s.fd, POLLIN);
	ck_assert(!stream_is_quiet(&s));
	ck_assert_str_eq(stream_error_text(s.error), "reset");
	want_is(&s, 0);
	stream_close(&s);
	stream_init(&s, connect_start(&at));
	wait_for(s.fd, POLLOUT);
	ck_assert_int_eq(stream_connected(&s), STREAM_FAILED);
	ck_assert_str_eq(stream_error_text(s.error), "refused");
	stream_close(&s);
}
END_TEST

START_TEST(test_error_texts)
{
	static const int errors[] = {0,
				     ECONNRESET,
				     EPIPE,
				     ECONNREFUSED,
				     ETIMEDOUT,
				     EHOSTUNREACH,
				     ENETUNREACH,
				     EPROTO,
				     EPERM,
				     EADDRNOTAVAIL,
				     EMFILE,
				     ENOMEM,
				     ECONNABORTED,
				     ENOPROTOOPT,
				     EACCES,
				     ENOTCONN,
				     EINVAL};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		ck_assert_uint_gt(strlen(stream_error_text(errors[i])), 0);
	ck_assert_str_eq(stream_error_text(ETIMEDOUT), "timed out");
	ck_assert_str_eq(stream_error_text(EPIPE), "reset");
	ck_assert_str_eq(stream_error_text(EMFILE), "no descriptor free");
	ck_assert_str_eq(stream_error_text(EINVAL), "failed");
}
END_TEST

START_TEST(test_abort_and_discard)
{
	struct talker t = {.to_send = 100000};
	struct stream s;
	char buf[16];
	int fd;

	tcp_pair(&fd, &t.fd);
	stream_init(&s, fd);
	while (say(&t, 100000))
		;
	ck_assert_uint_eq(t.sent, 100000);
	enum stream_result rc = STREAM_OK;
	size_t left = 99999;
	while (left > 0) {
		uint64_t begin = s.received;
		rc = stream_discard(&s, left);
		ck_assert(rc == STREAM_OK || rc == STREAM_AGAIN);
		left -= s.received - begin;
		if (rc == STREAM_AGAIN)
			wait_for(fd, POLLIN);
	}
	ck_assert_int_eq(rc, STREAM_OK);
	ck_assert_uint_eq(s.received, 99999);
	shutdown(t.fd, SHUT_WR);
	wait_for(fd, POLLIN);
	do
		rc = stream_discard(&s, 100);
	while (rc == STREAM_AGAIN);
	ck_assert_int_eq(rc, STREAM_END);
	ck_assert_uint_eq(s.received, 100000);
	/* Ended both ways, an abort is a reset all the same. */
	stream_abort(&s);
	wait_for(t.fd, POLLIN);
	ck_assert_int_eq(recv(t.fd, buf, sizeof(buf), 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(t.fd);
}
END_TEST

/* --- transfers -------------------------------------------------------------------------------- */

/* Run until it stops; the result. */
static enum stream_result transfer_through(struct rig *r, struct stream_transfer *t)
{
	return stream_transfer_run(t, &r->a, &r->b, &r->pipes);
}

/* A short message in two parts, split everywhere, with more behind it that must stay. */
static void splits(void (*pair)(int *, int *), unsigned pipes)
{
	enum { N = 24, BEHIND = 3 };
	struct stream_transfer t;
	char rest[8];
	struct rig r;
	size_t n;

	rig_open(&r, pair, pipes);
	for (size_t at = 1; at <= N; at++) {
		struct talker c = {.fd = r.client, .to_send = N + BEHIND}, s = {.fd = r.server};
		stream_transfer_init(&t, N);
		ck_assert_int_eq(transfer_through(&r, &t), STREAM_AGAIN);
		want_is(&r.a, STREAM_READ);
		want_is(&r.b, 0);
		ck_assert(say(&c, at));
		wait_for(r.a.fd, POLLIN);
		ck_assert_int_eq(transfer_through(&r, &t), at == N ? STREAM_OK : STREAM_AGAIN);
		hear_all(&s, at);
		ck_assert(say(&c, N + BEHIND));
		wait_for(r.a.fd, POLLIN);
		ck_assert_int_eq(transfer_through(&r, &t), STREAM_OK);
		hear_all(&s, N);
		ck_assert_uint_eq(t.left + t.held, 0);
		ck_assert_int_eq(stream_read(&r.a, rest, sizeof(rest), &n), STREAM_OK);
		ck_assert_uint_eq(n, BEHIND);
		stream_transfer_fini(&t, &r.pipes);
	}
	ck_assert_uint_eq(r.a.received, N * (N + BEHIND));
	ck_assert_uint_eq(r.b.sent, N * N);
	ck_assert_uint_eq(r.pipes.n_open, 0); /* so little is copied */
	rig_close(&r);
}

START_TEST(test_splits)
{
	splits(tcp_pair, 4);
	splits(unix_pair, 4);
	splits(tcp_pair, 0);
}
END_TEST

/* Lengths around every limit. Exactly so many bytes are moved. */
static void lengths(void (*pair)(int *, int *), unsigned pipes)
{
	static const size_t sizes[] = {0,
				       1,
				       COPY_SIZE - 1,
				       COPY_SIZE,
				       COPY_SIZE + 1,
				       2 * COPY_SIZE,
				       65535,
				       65536,
				       65537,
				       262144,
				       262145,
				       BUDGET - 1,
				       BUDGET,
				       BUDGET + 12345,
				       3 * BUDGET};
	unsigned before = open_descriptors();

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct stream_transfer t;
		struct rig r;
		rig_open(&r, pair, pipes);
		struct talker c = {.fd = r.client, .to_send = sizes[i] + 2}, s = {.fd = r.server};
		enum stream_result rc = STREAM_AGAIN;

		stream_transfer_init(&t, sizes[i]);
		int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
		while (rc == STREAM_AGAIN || s.got < sizes[i]) {
			say(&c, 1 << 17);
			if (rc == STREAM_AGAIN)
				rc = transfer_through(&r, &t);
			hear(&s, 1 << 17);
			ck_assert_int_lt(netns_now_ms(), deadline);
		}
		ck_assert_int_eq(rc, STREAM_OK);
		ck_assert_uint_eq(s.got, sizes[i]);
		ck_assert_uint_eq(r.a.received, sizes[i]);
		ck_assert_uint_eq(r.b.sent, sizes[i]);
		ck_assert_uint_eq(r.a.want & r.b.want, 0);
		stream_transfer_fini(&t, &r.pipes);
		ck_assert_uint_eq(r.pipes.n_idle, r.pipes.n_open);
		while (c.sent < c.to_send)
			say(&c, 2);
		wait_for(r.a.fd, POLLIN);
		ck_assert_int_eq(stream_discard(&r.a, 1), STREAM_OK);
		rig_close(&r);
	}
	ck_assert_uint_eq(open_descriptors(), before);
}

START_TEST(test_lengths)
{
	lengths(tcp_pair, 4);
	lengths(unix_pair, 4);
	lengths(tcp_pair, 0);
}
END_TEST

/* One direction of a conversation with both sides talking as chance has it. */
static void step(struct rig *r, struct stream_transfer *t, bool back, enum stream_result *rc)
{
	if (*rc == STREAM_AGAIN)
		*rc = back ? stream_transfer_run(t, &r->b, &r->a, &r->pipes)
			   : stream_transfer_run(t, &r->a, &r->b, &r->pipes);
}

static short events_of(const struct stream *s)
{
	return (short)((s->want & STREAM_READ ? POLLIN : 0) |
		       (s->want & STREAM_WRITE ? POLLOUT : 0));
}

static short wishes_of(const struct talker *t)
{
	return (short)((t->ended ? 0 : POLLIN) | (t->sent < t->to_send ? POLLOUT : 0));
}

/* Megabytes both ways at once, to the end; only what `want` says is waited for, so a want that is
 * missing would hang it. */
static void converse(unsigned pipes, size_t size)
{
	struct stream_transfer there, back;
	enum stream_result rc = STREAM_AGAIN, rc_back = STREAM_AGAIN;
	struct rig r;

	rig_open(&r, tcp_pair, pipes);
	struct talker c = {.fd = r.client, .to_send = size, .salt = 1, .peer_salt = 2};
	struct talker s = {.fd = r.server, .to_send = size, .salt = 2, .peer_salt = 1};
	stream_transfer_init(&there, STREAM_TO_END);
	stream_transfer_init(&back, STREAM_TO_END);
	int64_t deadline = netns_now_ms() + 6 * NETNS_DEADLINE_MS;
	while (rc == STREAM_AGAIN || rc_back == STREAM_AGAIN) {
		struct pollfd pfd[] = {{.fd = c.fd, .events = wishes_of(&c)},
				       {.fd = s.fd, .events = wishes_of(&s)},
				       {.fd = r.a.fd, .events = events_of(&r.a)},
				       {.fd = r.b.fd, .events = events_of(&r.b)}};
		for (unsigned i = 0; i < 4; i++)
			pfd[i].fd = pfd[i].events ? pfd[i].fd : -1;
		int n = poll(pfd, 4, (int)(deadline - netns_now_ms()));
		ck_assert_msg(n > 0,
			      "stuck: client sent %zu got %zu, server sent %zu got %zu, "
			      "wants %u and %u, held %zu and %zu, results %d and %d",
			      c.sent, c.got, s.sent, s.got, r.a.want, r.b.want, there.held,
			      back.held, rc, rc_back);
		say(&c, 1 + random_below(100000));
		say(&s, 1 + random_below(20000));
		if (c.sent == size)
			shutdown(c.fd, SHUT_WR);
		if (s.sent == size)
			shutdown(s.fd, SHUT_WR);
		step(&r, &there, false, &rc);
		step(&r, &back, true, &rc_back);
		if (rc == STREAM_END)
			stream_shutdown(&r.b);
		if (rc_back == STREAM_END)
			stream_shutdown(&r.a);
		hear(&c, 1 + random_below(50000));
		hear(&s, 1 + random_below(150000));
	}
	ck_assert_int_eq(rc, STREAM_END);
	ck_assert_int_eq(rc_back, STREAM_END);
	hear_all(&c, size);
	hear_all(&s, size);
	ck_assert_uint_eq(r.a.received, size);
	ck_assert_uint_eq(r.a.sent, size);
	stream_transfer_fini(&there, &r.pipes);
	stream_transfer_fini(&back, &r.pipes);
	ck_assert_uint_le(r.pipes.n_open, pipes);
	ck_assert_uint_eq(r.pipes.n_idle, r.pipes.n_open);
	ck_assert(pipes == 1 || (pipes > 1) == (r.pipes.n_short == 0));
	rig_close(&r);
}

START_TEST(test_megabytes)
{
	unsigned before = open_descriptors();

	converse(4, 24 << 20);
	converse(1, 6 << 20);
	converse(0, 6 << 20);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

/* The client sends all it can, nobody reads: the transfer stops with a bounded amount taken, and
 * does not want the source. Then it goes on. */
static void back_pressure(unsigned pipes)
{
	struct stream_transfer t;
	struct rig r;
	rig_open(&r, tcp_pair, pipes);
	struct talker c = {.fd = r.client, .to_send = 64 << 20}, s = {.fd = r.server};
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	unsigned stuck = 0;

	stream_transfer_init(&t, STREAM_TO_END);
	while (stuck < 3) {
		bool said = say(&c, 1 << 17);
		ck_assert_int_eq(transfer_through(&r, &t), STREAM_AGAIN);
		struct pollfd pfd[] = {{.fd = r.b.fd, .events = POLLOUT},
				       {.fd = c.fd, .events = POLLOUT}};
		/* Stuck when neither becomes possible any more. */
		stuck = !said && r.b.want == STREAM_WRITE && poll(pfd, 2, 20) == 0 ? stuck + 1 : 0;
		ck_assert_int_lt(netns_now_ms(), deadline);
	}
	want_is(&r.a, 0);
	want_is(&r.b, STREAM_WRITE);
	ck_assert_uint_eq(t.held, r.a.received - r.b.sent);
	ck_assert_uint_le(t.held, BUDGET);
	ck_assert(pipes ? t.held > 0 && t.pipe.in >= 0 : t.held == 0 && t.pipe.in < 0);
	/* A second look takes nothing more, unless the kernel has found room meanwhile. */
	uint64_t received = r.a.received, sent = r.b.sent;
	ck_assert_int_eq(transfer_through(&r, &t), STREAM_AGAIN);
	ck_assert(r.a.received == received || r.b.sent > sent);
	ck_assert_uint_le(t.held, BUDGET);

	c.to_send = c.sent;
	shutdown(c.fd, SHUT_WR);
	enum stream_result rc = STREAM_AGAIN;
	while (rc == STREAM_AGAIN) {
		hear(&s, 1 << 17);
		rc = transfer_through(&r, &t);
		ck_assert_int_lt(netns_now_ms(), deadline);
	}
	ck_assert_int_eq(rc, STREAM_END);
	want_is(&r.b, 0);
	ck_assert_uint_eq(r.b.sent, c.sent);
	hear_all(&s, c.sent);
	ck_assert_int_eq(t.pipe.in, -1);
	stream_transfer_fini(&t, &r.pipes);
	rig_close(&r);
}

START_TEST(test_back_pressure)
{
	back_pressure(4);
	back_pressure(0);
}
END_TEST

/* One call moves a bounded amount, and asks to be called again. */
START_TEST(test_budget)
{
	int big = 16 << 20;
	struct stream_transfer t;
	struct rig r;
	rig_open(&r, unix_pair, 1);
	struct talker c = {.fd = r.client, .to_send = 4 * BUDGET};

	setsockopt(r.client, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	setsockopt(r.b.fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	while (say(&c, 1 << 17))
		;
	ck_assert_uint_eq(c.sent, 4 * BUDGET);
	stream_transfer_init(&t, 4 * BUDGET);
	ck_assert_int_eq(transfer_through(&r, &t), STREAM_AGAIN);
	ck_assert_uint_ge(r.b.sent, BUDGET);
	ck_assert_uint_lt(r.b.sent, 2 * BUDGET + 1);
	want_is(&r.a, STREAM_READ);
	want_is(&r.b, 0);
	unsigned rounds = 1;
	while (transfer_through(&r, &t) == STREAM_AGAIN)
		ck_assert_uint_lt(++rounds, 10);
	ck_assert_uint_eq(r.b.sent, 4 * BUDGET);
	rig_close(&r);
}
END_TEST

/* --- ends in the middle ----------------------------------------------------------------------- */

static void reset(int fd)
{
	struct linger now = {1, 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* The source ends early, at any point: all that came is delivered, and how much is missing told. */
START_TEST(test_source_ends)
{
	static const size_t sent[] = {0, 1, 100, COPY_SIZE, COPY_SIZE + 1, 100000, 500000};

	for (unsigned pipes = 0; pipes < 2; pipes++)
		for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
			struct stream_transfer t;
			struct rig r;
			rig_open(&r, tcp_pair, pipes);
			struct talker c = {.fd = r.client, .to_send = sent[i]};
			struct talker s = {.fd = r.server};
			enum stream_result rc = STREAM_AGAIN;

			stream_transfer_init(&t, 500001);
			int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
			while (rc == STREAM_AGAIN) {
				say(&c, 1 << 17);
				if (c.sent == c.to_send)
					shutdown(c.fd, SHUT_WR);
				hear(&s, 1 << 17);
				rc = transfer_through(&r, &t);
				ck_assert_int_lt(netns_now_ms(), deadline);
			}
			ck_assert_int_eq(rc, STREAM_END);
			ck_assert(r.a.ended);
			ck_assert_uint_eq(t.left, 500001 - sent[i]);
			ck_assert_uint_eq(t.held, 0);
			hear_all(&s, sent[i]);
			/* asked again it says so again */
			ck_assert_int_eq(transfer_through(&r, &t), STREAM_END);
			stream_transfer_fini(&t, &r.pipes);
			ck_assert_uint_eq(r.pipes.n_idle, r.pipes.n_open);
			rig_close(&r);
		}
}
END_TEST

START_TEST(test_source_resets)
{
	for (unsigned pipes = 0; pipes < 2; pipes++) {
		struct stream_transfer t;
		struct rig r;
		rig_open(&r, tcp_pair, pipes);
		struct talker c = {.fd = r.client, .to_send = 100};

		stream_transfer_init(&t, 1000000);
		say(&c, 100);
		wait_for(r.a.fd, POLLIN);
		ck_assert_int_eq(transfer_through(&r, &t), STREAM_AGAIN);
		reset(r.client);
		r.client = -1;
		wait_for(r.a.fd, POLLIN);
		ck_assert_int_eq(transfer_through(&r, &t), STREAM_FAILED);
		ck_assert_int_eq(r.a.error, ECONNRESET);
		ck_assert_int_eq(r.b.error, 0);
		want_is(&r.a, 0);
		stream_transfer_fini(&t, &r.pipes);
		ck_assert_uint_eq(r.pipes.n_idle, r.pipes.n_open);
		rig_close(&r);
	}
}
END_TEST

/* Fill until the destination takes no more and the pipe holds bytes. */
static void stuff(struct rig *r, struct stream_transfer *t, struct talker *c)
{
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;

	do {
		say(c, 1 << 17);
		ck_assert_int_eq(transfer_through(r, t), STREAM_AGAIN);
		ck_assert_int_lt(netns_now_ms(), deadline);
	} while (t->held == 0);
}

/* The destination resets while bytes are in the pipe: that pipe is never used again, and the next
 * transfer gets its own bytes alone. */
START_TEST(test_destination_resets)
{
	unsigned before = open_descriptors();
	struct stream_transfer t;
	struct rig r, other;
	struct talker c = {.to_send = 64 << 20};

	rig_open(&r, tcp_pair, 1);
	c.fd = r.client;
	stream_transfer_init(&t, STREAM_TO_END);
	stuff(&r, &t, &c);
	ck_assert_uint_eq(r.pipes.n_open, 1);
	reset(r.server);
	r.server = -1;
	wait_for(r.b.fd, POLLIN);
	ck_assert_int_eq(transfer_through(&r, &t), STREAM_FAILED);
	ck_assert_str_eq(stream_error_text(r.b.error), "reset");
	ck_assert_int_eq(r.a.error, 0);
	ck_assert_uint_gt(t.held, 0);
	stream_transfer_fini(&t, &r.pipes);
	ck_assert_uint_eq(r.pipes.n_open, 0);
	ck_assert_uint_eq(r.pipes.n_idle, 0);
	stream_transfer_fini(&t, &r.pipes);

	rig_open(&other, tcp_pair, 0);
	struct talker c2 = {.fd = other.client, .to_send = 300000, .salt = 77};
	struct talker s2 = {.fd = other.server, .peer_salt = 77};
	enum stream_result rc = STREAM_AGAIN;
	stream_transfer_init(&t, 300000);
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	while (rc == STREAM_AGAIN) {
		say(&c2, 1 << 17);
		rc = stream_transfer_run(&t, &other.a, &other.b, &r.pipes);
		hear(&s2, 1 << 17);
		ck_assert_int_lt(netns_now_ms(), deadline);
	}
	ck_assert_int_eq(rc, STREAM_OK);
	hear_all(&s2, 300000);
	ck_assert_uint_eq(r.pipes.n_open, 1);
	rig_close(&other);
	rig_close(&r);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

/* The same without a pipe: what was seen and not sent stays in the source. */
START_TEST(test_destination_resets_copying)
{
	struct stream_transfer t;
	struct rig r;

	rig_open(&r, tcp_pair, 0);
	struct talker c = {.fd = r.client, .to_send = 10};
	stream_transfer_init(&t, 1000);
	reset(r.server);
	r.server = -1;
	wait_for(r.b.fd, POLLIN);
	say(&c, 10);
	wait_for(r.a.fd, POLLIN);
	ck_assert_int_eq(transfer_through(&r, &t), STREAM_FAILED);
	ck_assert_int_ne(r.b.error, 0);
	ck_assert_uint_eq(r.a.received, 0);
	ck_assert_int_eq(stream_discard(&r.a, 10), STREAM_OK);
	rig_close(&r);
}
END_TEST

/* --- pipes ------------------------------------------------------------------------------------ */

/* Two transfers that are stuck hold the two pipes there are; the third goes on by copying. */
START_TEST(test_pipes_run_out)
{
	unsigned before = open_descriptors();
	struct stream_pipes pipes;
	struct stream_transfer t[3];
	struct rig r[3];

	ck_assert_int_eq(stream_pipes_init(&pipes, 2, 65536), 0);
	for (unsigned i = 0; i < 3; i++) {
		rig_open(&r[i], tcp_pair, 0);
		stream_pipes_fini(&r[i].pipes);
		stream_transfer_init(&t[i], STREAM_TO_END);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct talker c = {.fd = r[i].client, .to_send = 64 << 20};
		r[i].pipes = pipes;
		stuff(&r[i], &t[i], &c);
		pipes = r[i].pipes;
		r[i].pipes = (struct stream_pipes){0};
		ck_assert_uint_eq(pipes.n_open, i + 1);
		ck_assert_uint_eq(pipes.n_idle, 0);
	}
	ck_assert_uint_eq(pipes.n_short, 0);
	struct talker c = {.fd = r[2].client, .to_send = 1 << 20}, s = {.fd = r[2].server};
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	while (s.got < 1 << 20) {
		say(&c, 1 << 17);
		ck_assert_int_eq(stream_transfer_run(&t[2], &r[2].a, &r[2].b, &pipes),
				 STREAM_AGAIN);
		hear(&s, 1 << 17);
		ck_assert_int_lt(netns_now_ms(), deadline);
	}
	ck_assert_uint_gt(pipes.n_short, 0);
	ck_assert_uint_eq(pipes.n_open, 2);
	for (unsigned i = 0; i < 3; i++) {
		stream_transfer_fini(&t[i], &pipes);
		rig_close(&r[i]);
	}
	ck_assert_uint_eq(pipes.n_open, 0);
	stream_pipes_fini(&pipes);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

/* No descriptor left for a pipe: copied, too. */
START_TEST(test_no_descriptors)
{
	struct rlimit limit;
	struct stream_transfer t;
	struct rig r;

	rig_open(&r, tcp_pair, 4);
	int next = dup(0);
	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	rlim_t usual = limit.rlim_cur;
	limit.rlim_cur = (rlim_t)next;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	struct talker c = {.fd = r.client, .to_send = 100000}, s = {.fd = r.server};
	enum stream_result rc = STREAM_AGAIN;
	stream_transfer_init(&t, 100000);
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	while (rc == STREAM_AGAIN) {
		say(&c, 1 << 17);
		rc = transfer_through(&r, &t);
		hear(&s, 1 << 17);
		ck_assert_int_lt(netns_now_ms(), deadline);
	}
	ck_assert_int_eq(rc, STREAM_OK);
	hear_all(&s, 100000);
	ck_assert_uint_gt(r.pipes.n_short, 0);
	ck_assert_uint_eq(r.pipes.n_open, 0);
	rig_close(&r);
	limit.rlim_cur = usual;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}
END_TEST

/* --- sandbox ---------------------------------------------------------------------------------- */

/* In a child: spliced under the filter; its status. */
static int splice_filtered(bool streams)
{
	char err[256];
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid > 0) {
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		return status;
	}
	struct stream_transfer t;
	struct rig r;
	rig_open(&r, tcp_pair, 1);
	struct talker c = {.fd = r.client, .to_send = 100000};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (sandbox_filter(SECCOMP_ENFORCE, false, streams, err, sizeof(err)) < 0)
		_exit(2);
	stream_transfer_init(&t, 100000);
	while (say(&c, 1 << 17))
		;
	while (transfer_through(&r, &t) == STREAM_AGAIN)
		wait_for(r.a.fd, POLLIN);
	_exit(r.b.sent == 100000 && r.pipes.n_short == 0 ? 0 : 1);
}

START_TEST(test_sandbox)
{
	int status = splice_filtered(true);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
	/* Who relays nothing need not be able to. */
	status = splice_filtered(false);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "status 0x%x", status);
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
	const TTest *const streams[] = {test_read_and_write,
					test_write_partly,
					test_write_more,
					test_connect,
					test_error_texts,
					test_abort_and_discard,
					NULL};
	const TTest *const transfers[] = {test_splits,	      test_lengths, test_megabytes,
					  test_back_pressure, test_budget,  NULL};
	const TTest *const ends[] = {test_source_ends,
				     test_source_resets,
				     test_destination_resets,
				     test_destination_resets_copying,
				     test_pipes_run_out,
				     test_no_descriptors,
				     test_sandbox,
				     NULL};
	Suite *s = suite_create("stream");

	signal(SIGPIPE, SIG_IGN);
	suite_add_tcase(s, tests_of("streams", streams));
	suite_add_tcase(s, tests_of("transfers", transfers));
	suite_add_tcase(s, tests_of("ends", ends));
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
