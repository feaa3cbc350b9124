/*
 * body.c - what passes in one direction: through a buffer where somebody has to look at it, by
 * splice where nobody has.
 */
#include <string.h>

#include "proxy/session.h"

#define READS_MAX 16 /* in one go, so that one connection does not keep the loop from others */

void way_init(struct way *w, struct buffer **buffer, uint32_t floor, enum http_framing framing,
	      uint64_t length)
{
	*w = (struct way){.buffer = buffer, .floor = floor, .waits = WAY_READS};
	http_body_init(&w->body, framing, length);
	stream_transfer_init(&w->transfer, 0);
}

void way_fini(struct proxy *p, struct way *w)
{
	if (w->splicing)
		stream_transfer_fini(&w->transfer, &p->pipes);
	w->splicing = false;
}

void way_rest(struct proxy *p, struct way *w)
{
	struct buffer *x = *w->buffer;

	if (x && w->floor == 0 && x->start == x->end)
		buffer_give(&p->buffers, w->buffer);
}

enum l7_answer way_look(struct proxy *p, struct way *w)
{
	const struct buffer *x = *w->buffer;
	size_t used = 0;
	enum l7_answer a =
		http_body_read(&w->body, &p->body_limits, x ? x->bytes + x->start + w->ready : NULL,
			       buffer_used(x) - w->ready, &used);

	w->ready += (uint32_t)used;
	return a;
}

/* --- through the buffer ----------------------------------------------------------------------- */

static unsigned pieces(struct way *w, struct iovec iov[2])
{
	struct buffer *before = w->prefix ? *w->prefix : NULL, *x = *w->buffer;
	unsigned n = 0;

	if (buffer_used(before) > 0)
		iov[n++] = (struct iovec){before->bytes + before->start, buffer_used(before)};
	if (w->ready > 0)
		iov[n++] = (struct iovec){x->bytes + x->start, w->ready};
	return n;
}

static void wrote(struct proxy *p, struct way *w, size_t n)
{
	struct buffer *before = w->prefix ? *w->prefix : NULL;
	size_t of_it = buffer_used(before) < n ? buffer_used(before) : n;

	if (before) {
		buffer_eat(before, of_it);
		if (buffer_used(before) == 0) {
			buffer_give(&p->buffers, w->prefix);
			w->prefix = NULL;
		}
	}
	n -= of_it;
	if (n > 0) {
		(*w->buffer)->start += (uint32_t)n;
		w->ready -= (uint32_t)n;
	}
}

enum way_result way_put(struct proxy *p, struct way *w, struct stream *to)
{
	struct iovec iov[2];
	unsigned n_iov = pieces(w, iov);
	enum stream_result rc;
	size_t n;

	rc = stream_write(to, iov, n_iov, false, &n);
	wrote(p, w, n);
	if (rc == STREAM_FAILED)
		return WAY_WRITE_FAILED;
	return rc == STREAM_OK ? WAY_MOVED : WAY_WRITES;
}

/* Room behind what is in the buffer; the bytes at the front stay where they are. */
static uint32_t make_room(struct way *w, struct buffer *x, uint32_t most)
{
	uint32_t used = x->end - x->start;

	if (x->start > w->floor && (used == 0 || x->end >= most)) {
		memmove(x->bytes + w->floor, x->bytes + x->start, used);
		x->start = w->floor;
		x->end = w->floor + used;
		w->lost = true;
	}
	return x->end < most ? most - x->end : 0;
}

enum way_result way_get(struct proxy *p, struct way *w, struct stream *from, uint32_t most)
{
	struct buffer *x = *w->buffer;
	uint32_t room;
	size_t n;

	if (w->dry)
		return WAY_READS;
	if (!x)
		x = *w->buffer = buffer_take(&p->buffers);
	if (!x)
		return WAY_NO_MEMORY;
	room = make_room(w, x, most);
	if (room == 0)
		return WAY_REFUSED;
	switch (stream_read(from, x->bytes + x->end, room, &n)) {
	case STREAM_OK:
		x->end += (uint32_t)n;
		w->dry = n < room;
		return WAY_MOVED;
	case STREAM_AGAIN:
		w->dry = true;
		return WAY_READS;
	case STREAM_END:
		return WAY_ENDED;
	default:
		return WAY_READ_FAILED;
	}
}

/* --- by splice -------------------------------------------------------------------------------- */

static void splice_begin(struct way *w)
{
	stream_transfer_init(&w->transfer, http_body_unseen(&w->body));
	w->splicing = true;
	w->lost = true;
}

static enum way_result splice_run(struct proxy *p, struct way *w, struct stream *from,
				  struct stream *to)
{
	uint64_t before = from->received;
	enum stream_result rc = stream_transfer_run(&w->transfer, from, to, &p->pipes);

	(void)http_body_passed(&w->body, from->received - before);
	switch (rc) {
	case STREAM_OK:
		way_fini(p, w);
		return WAY_MOVED;
	case STREAM_AGAIN:
		return to->want & STREAM_WRITE ? WAY_WRITES : WAY_READS;
	case STREAM_END:
		way_fini(p, w);
		return WAY_ENDED;
	default:
		return from->error != 0 ? WAY_READ_FAILED : WAY_WRITE_FAILED;
	}
}

/* --- both ------------------------------------------------------------------------------------- */

static enum way_result step(struct proxy *p, struct way *w, struct stream *from, struct stream *to)
{
	enum l7_answer a;

	if (w->splicing)
		return splice_run(p, w, from, to);
	a = way_look(p, w);
	if (w->ready > 0 || w->prefix)
		return way_put(p, w, to);
	if (a != L7_MORE)
		return a == L7_MATCH ? WAY_DONE : WAY_REFUSED;
	if (!w->dry && http_body_unseen(&w->body) >= PROXY_SPLICE_MIN) {
		way_rest(p, w);
		splice_begin(w);
		return WAY_MOVED;
	}
	return way_get(p, w, from, p->buffers.size);
}

enum way_result way_run(struct proxy *p, struct way *w, struct stream *from, struct stream *to)
{
	uint64_t budget = from->received + (uint64_t)READS_MAX * p->buffers.size;
	enum way_result r;

	do {
		/* Others first; what has been read has been sent, so there is nothing to wait for
		 * but the source. */
		if (from->received >= budget && !w->splicing && w->ready == 0 && !w->prefix &&
		    buffer_used(*w->buffer) == 0 && way_look(p, w) == L7_MORE) {
			r = WAY_READS;
			break;
		}
		r = step(p, w, from, to);
	} while (r == WAY_MOVED);
	if (r == WAY_READS)
		way_rest(p, w);
	w->waits = (uint8_t)(r == WAY_READS || r == WAY_WRITES ? r : WAY_DONE);
	return r;
}
