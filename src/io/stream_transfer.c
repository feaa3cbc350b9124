/*
 * stream_transfer.c - splicing from one stream to another, and the pipes in between.
 *
 * A pipe is filled only when it is empty and then emptied before it is filled again. Otherwise the
 * kernel's EAGAIN could mean an empty socket as well as a pipe without a free slot, and segments
 * of a few bytes fill the slots quickly.
 *
 * splice(2) to a socket that was reset raises SIGPIPE, and has no flag against it: the process
 * ignores that signal.
 *
 * SPLICE_F_MORE is never set: on a socket it holds the last, short segment back until more comes,
 * and what the source will send next, and when, is not known here.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* splice, pipe2, F_SETPIPE_SZ */
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/stream_priv.h"

/* Moved in one call, so that one transfer does not keep the loop from others. */
#define BUDGET (1U << 20)
/* Copied at once. Up to this size copying costs no more than splicing. */
#define COPY_SIZE 16384

/* --- pipes ------------------------------------------------------------------------------------ */

int stream_pipes_init(struct stream_pipes *p, unsigned max, unsigned size)
{
	*p = (struct stream_pipes){.max = max, .size = size};
	p->idle = calloc(max + 1UL, sizeof(*p->idle));
	return p->idle ? 0 : -ENOMEM;
}

static void close_pipe(struct stream_pipes *p, const struct stream_pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	p->n_open--;
}

void stream_pipes_fini(struct stream_pipes *p)
{
	while (p->n_idle > 0)
		close_pipe(p, &p->idle[--p->n_idle]);
	free(p->idle);
	p->idle = NULL;
}

static bool pipe_take(struct stream_pipes *p, struct stream_pipe *out)
{
	int fds[2];

	if (p->n_idle > 0) {
		*out = p->idle[--p->n_idle];
		return true;
	}
	if (p->n_open >= p->max || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		p->n_short++;
		return false;
	}
	/* Refused, it has the usual size, or less when this user has many. */
	if (p->size)
		(void)fcntl(fds[1], F_SETPIPE_SZ, (int)p->size);
	*out = (struct stream_pipe){.out = fds[0], .in = fds[1]};
	p->n_open++;
	return true;
}

static void pipe_return(struct stream_pipes *p, struct stream_pipe *pipe)
{
	p->idle[p->n_idle++] = *pipe;
	pipe->in = pipe->out = -1;
}

/* --- moving ----------------------------------------------------------------------------------- */

void stream_transfer_init(struct stream_transfer *t, uint64_t n)
{
	*t = (struct stream_transfer){.left = n, .pipe = {.in = -1, .out = -1}};
}

void stream_transfer_fini(struct stream_transfer *t, struct stream_pipes *pipes)
{
	if (t->pipe.in >= 0 && t->held > 0)
		close_pipe(pipes, &t->pipe);
	else if (t->pipe.in >= 0)
		pipe_return(pipes, &t->pipe);
	stream_transfer_init(t, 0);
}

static void took(struct stream_transfer *t, struct stream *from, size_t n)
{
	from->received += n;
	if (t->left != STREAM_TO_END)
		t->left -= n;
}

/* What `n`, the result of a call that takes from the source, means. */
static enum stream_result judge_source(struct stream *from, ssize_t n)
{
	if (n < 0)
		return stream_stopped(from, errno, STREAM_READ);
	from->want &= (uint8_t)~STREAM_READ;
	if (n > 0)
		return STREAM_OK;
	from->ended = true;
	return STREAM_END;
}

static enum stream_result fill(struct stream_transfer *t, struct stream *from)
{
	size_t most = t->left < BUDGET ? (size_t)t->left : BUDGET;
	ssize_t n =
		splice(from->fd, NULL, t->pipe.in, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	enum stream_result rc = judge_source(from, n);

	if (rc == STREAM_OK) {
		t->held = (size_t)n;
		took(t, from, (size_t)n);
	}
	return rc;
}

static enum stream_result drain(struct stream_transfer *t, struct stream *to)
{
	while (t->held > 0) {
		ssize_t n = splice(t->pipe.out, NULL, to->fd, NULL, t->held,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n <= 0)
			return stream_stopped(to, n < 0 ? errno : EIO, STREAM_WRITE);
		t->held -= (size_t)n;
		to->sent += (size_t)n;
	}
	to->want &= (uint8_t)~STREAM_WRITE;
	return STREAM_OK;
}

/* Without a pipe: look at what is there, send it, and take out as much as was sent. So nothing is
 * ever left over that would need a place of its own. */
static enum stream_result copy(struct stream_transfer *t, struct stream *from, struct stream *to,
			       size_t *moved)
{
	uint8_t room[COPY_SIZE];
	size_t most = t->left < sizeof(room) ? (size_t)t->left : sizeof(room);
	ssize_t n = recv(from->fd, room, most, MSG_PEEK), put;
	enum stream_result rc = judge_source(from, n);

	*moved = 0;
	if (rc != STREAM_OK)
		return rc;
	put = send(to->fd, room, (size_t)n, MSG_NOSIGNAL);
	if (put < 0)
		return stream_stopped(to, errno, STREAM_WRITE);
	to->sent += (size_t)put;
	/* What was seen is there. */
	if (recv(from->fd, room, (size_t)put, 0) != put)
		return stream_stopped(from, EIO, 0);
	*moved = (size_t)put;
	took(t, from, (size_t)put);
	if (put < n)
		return stream_stopped(to, EAGAIN, STREAM_WRITE);
	to->want &= (uint8_t)~STREAM_WRITE;
	return STREAM_OK;
}

/* One round. Sets `*moved` to the bytes it took. */
static enum stream_result move(struct stream_transfer *t, struct stream *from, struct stream *to,
			       struct stream_pipes *pipes, size_t *moved)
{
	enum stream_result rc;

	if (t->held == 0 && t->pipe.in < 0 && (t->left <= COPY_SIZE || !pipe_take(pipes, &t->pipe)))
		return copy(t, from, to, moved);
	rc = t->held == 0 ? fill(t, from) : STREAM_OK;
	*moved = t->held;
	if (rc == STREAM_OK)
		rc = drain(t, to);
	if (t->held == 0)
		pipe_return(pipes, &t->pipe);
	return rc;
}

enum stream_result stream_transfer_run(struct stream_transfer *t, struct stream *from,
				       struct stream *to, struct stream_pipes *pipes)
{
	size_t budget = BUDGET, moved = 0;

	while (t->left > 0 || t->held > 0) {
		enum stream_result rc = move(t, from, to, pipes, &moved);

		if (rc != STREAM_OK)
			return rc;
		if (moved >= budget)
			break;
		budget -= moved;
	}
	if (t->left == 0 && t->held == 0)
		return STREAM_OK;
	/* Others first. The source, as far as is known, has more. */
	from->want |= STREAM_READ;
	return STREAM_AGAIN;
}
