/*
 * stream.c - non-blocking reading, writing and closing.
 */
#include "io/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/connect.h"
#include "io/stream_priv.h"

#define DISCARD_ROOM 16384

void stream_init(struct stream *s, int fd)
{
	*s = (struct stream){.fd = fd};
}

void stream_close(struct stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->want = 0;
}

void stream_abort(struct stream *s)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (s->fd >= 0)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	stream_close(s);
}

enum stream_result stream_stopped(struct stream *s, int error, uint8_t want)
{
	/* A signal: as if nothing had been there; readiness is still told. */
	if (error == EAGAIN || error == EINTR) {
		s->want |= want;
		return STREAM_AGAIN;
	}
	s->error = error;
	s->want = 0;
	return STREAM_FAILED;
}

enum stream_result stream_connected(struct stream *s)
{
	int rc = connect_result(s->fd);

	s->want &= (uint8_t)~STREAM_WRITE;
	return rc < 0 ? stream_stopped(s, -rc, 0) : STREAM_OK;
}

enum stream_result stream_read(struct stream *s, void *buf, size_t room, size_t *n)
{
	ssize_t got = recv(s->fd, buf, room, 0);

	*n = 0;
	if (got < 0)
		return stream_stopped(s, errno, STREAM_READ);
	s->want &= (uint8_t)~STREAM_READ;
	if (got == 0) {
		s->ended = true;
		return STREAM_END;
	}
	*n = (size_t)got;
	s->received += *n;
	return STREAM_OK;
}

enum stream_result stream_write(struct stream *s, const struct iovec *iov, unsigned n_iov,
				bool more, size_t *n)
{
	/* sendmsg does not write to the pieces. */
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n_iov};
	size_t all = 0;
	ssize_t put;

	*n = 0;
	for (unsigned i = 0; i < n_iov; i++)
		all += iov[i].iov_len;
	put = sendmsg(s->fd, &msg, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
	if (put < 0)
		return stream_stopped(s, errno, STREAM_WRITE);
	*n = (size_t)put;
	s->sent += *n;
	if (*n < all)
		return stream_stopped(s, EAGAIN, STREAM_WRITE);
	s->want &= (uint8_t)~STREAM_WRITE;
	return STREAM_OK;
}

enum stream_result stream_discard(struct stream *s, size_t max)
{
	uint8_t room[DISCARD_ROOM];
	enum stream_result rc = STREAM_OK;
	size_t n;

	while (max > 0 && rc == STREAM_OK) {
		rc = stream_read(s, room, max < sizeof(room) ? max : sizeof(room), &n);
		max -= n;
	}
	return rc;
}

enum stream_result stream_shutdown(struct stream *s)
{
	if (s->shut)
		return STREAM_OK;
	if (shutdown(s->fd, SHUT_WR) < 0)
		return stream_stopped(s, errno, 0);
	s->shut = true;
	s->want &= (uint8_t)~STREAM_WRITE;
	return STREAM_OK;
}

bool stream_is_quiet(struct stream *s)
{
	uint8_t byte;

	if (recv(s->fd, &byte, 1, MSG_PEEK) >= 0)
		return false;
	return stream_stopped(s, errno, 0) == STREAM_AGAIN;
}

const char *stream_error_text(int error)
{
	switch (error) {
	case 0:
		return "no error";
	case ECONNRESET:
	case EPIPE: /* written after the reset came */
	case ECONNABORTED:
		return "reset";
	case ECONNREFUSED:
		return "refused";
	case ETIMEDOUT:
		return "timed out";
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return "host unreachable";
	case ENETUNREACH:
	case ENETDOWN:
		return "network unreachable";
	case EPROTO:
	case ENOPROTOOPT:
		return "port or protocol unreachable";
	case EACCES:
	case EPERM:
		return "not permitted";
	case EADDRNOTAVAIL:
	case EADDRINUSE:
		return "no local port free";
	case EMFILE:
	case ENFILE:
		return "no descriptor free";
	case ENOBUFS:
	case ENOMEM:
		return "out of memory";
	case ENOTCONN:
		return "not connected";
	default:
		return "failed";
	}
}
