/*
 * stream.h - a non-blocking byte stream on a connected socket, and bodies moved from one stream to
 * another without passing through this program's memory. Mechanism only: what to read, when to
 * give up and what a closed connection means is the caller's.
 *
 * Every operation does what can be done now and answers with a stream_result. After STREAM_AGAIN
 * `want` of the streams says which readiness to wait for; the caller keeps its events like that and
 * calls again. Readiness to read and to write are independent, so two transfers between the same
 * two streams, one each way, do not disturb each other. Back-pressure comes by itself: a transfer
 * whose destination takes nothing does not want its source to be read.
 *
 * The process must ignore SIGPIPE.
 *
 * No memory is allocated and none is kept: a stream that idles costs its socket.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum stream_result {
	STREAM_OK,     /* done */
	STREAM_AGAIN,  /* not more for now: see `want` */
	STREAM_END,    /* the peer has closed its direction, and all it sent has been read */
	STREAM_FAILED, /* see `error` of the stream, of a transfer of both */
};

enum { STREAM_READ = 1, STREAM_WRITE = 2 };

struct stream {
	int fd;	      /* -1 = closed */
	int error;    /* positive errno the stream failed with, 0 = it has not */
	uint8_t want; /* STREAM_READ, STREAM_WRITE */
	bool ended;   /* the peer has closed its direction */
	bool shut;    /* this side has */
	uint64_t received, sent;
};

/* Takes the descriptor over: non-blocking, connected or connecting. */
void stream_init(struct stream *s, int fd);
/* Close, if it is open. What was written is still delivered, unless something received has not been
 * read: then the peer gets a reset, and may lose what it has not yet read. */
void stream_close(struct stream *s);
/* Close with a reset: the peer shall know that what it got is not all. */
void stream_abort(struct stream *s);

/* After connecting, once writable: OK, or FAILED. */
enum stream_result stream_connected(struct stream *s);

/* Read up to `room` > 0 bytes into `buf`; `*n` of them were. */
enum stream_result stream_read(struct stream *s, void *buf, size_t room, size_t *n);
/* Write the pieces; `*n` bytes of them were taken. OK only when all of them were. `more`: the rest
 * of a message follows at once, send no short segment before it. */
enum stream_result stream_write(struct stream *s, const struct iovec *iov, unsigned n_iov,
				bool more, size_t *n);
/* Read and throw away, at most `max` bytes: OK when there were so many. */
enum stream_result stream_discard(struct stream *s, size_t max);
/* Close this side's direction, behind all that was written. */
enum stream_result stream_shutdown(struct stream *s);
/* Whether nothing has arrived on a connection that should be idle: no byte, no end, no error. The
 * kernel tells an error once; it is in `error` then. */
bool stream_is_quiet(struct stream *s);

/* "reset", "timed out", "refused" ...: why a stream failed, for a positive errno. */
const char *stream_error_text(int error);

/* --- pipes ---
 *
 * What has been taken out of one socket and not yet been put into the other waits in a pipe. A
 * transfer has a pipe only while there is something in it, and a pipe goes back only when it is
 * empty: so bytes of one transfer never get into another. Pipes are made when they are first needed
 * and then kept; the limit is on those that exist. */
struct stream_pipe {
	int in, out;
};

struct stream_pipes {
	struct stream_pipe *idle; /* room for `max` */
	unsigned n_idle, n_open, max;
	unsigned size;	  /* bytes asked for per pipe, 0 = the kernel's own */
	uint64_t n_short; /* times that none was to be had, and bytes were copied */
};

/* Pipes of `size` bytes (256 kB serve bodies well), at most `max`, which may be 0. When the pipes
 * of one user exceed fs.pipe-user-pages-soft (64 MB), the kernel makes further ones of two pages;
 * all works, slowly. 0 or -ENOMEM. */
int stream_pipes_init(struct stream_pipes *p, unsigned max, unsigned size);
/* All transfers have ended before. */
void stream_pipes_fini(struct stream_pipes *p);

/* --- transfers --- */

#define STREAM_TO_END UINT64_MAX

struct stream_transfer {
	uint64_t left; /* bytes still to be taken from the source; STREAM_TO_END = all it sends */
	size_t held;   /* bytes in the pipe */
	struct stream_pipe pipe; /* -1 = none */
};

void stream_transfer_init(struct stream_transfer *t, uint64_t n);
/* Move what can be moved now, but not more than a bounded amount. OK when all has been written;
 * AGAIN with one of `from`->want STREAM_READ and `to`->want STREAM_WRITE; END when `from` ended
 * before `left` was taken, and all that it sent has been written (with STREAM_TO_END that is
 * success); FAILED with the error in the stream that has it. */
enum stream_result stream_transfer_run(struct stream_transfer *t, struct stream *from,
				       struct stream *to, struct stream_pipes *pipes);
/* Ends it, also half-way; what was taken and not written is lost. */
void stream_transfer_fini(struct stream_transfer *t, struct stream_pipes *pipes);

#endif
