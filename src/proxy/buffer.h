/*
 * buffer.h - buffers of one size, from a bounded stock. Internal to src/proxy.
 *
 * A connection holds one only while there is something in it, so one that idles costs none.
 */
#ifndef PROXY_BUFFER_H
#define PROXY_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	struct buffer *next; /* in the stock */
	uint32_t start, end; /* bytes that are in it and not used yet */
	uint8_t bytes[];
};

struct buffers {
	struct buffer *stock;
	uint32_t size, n_stock, n_out, max;
};

void buffers_init(struct buffers *b, uint32_t size, uint32_t max);
/* All have been given back. */
void buffers_fini(struct buffers *b);
/* Empty. NULL: `max` are out, or no memory. */
struct buffer *buffer_take(struct buffers *b);
/* `*x` becomes NULL; it may be NULL. */
void buffer_give(struct buffers *b, struct buffer **x);

static inline size_t buffer_used(const struct buffer *x)
{
	return x ? x->end - x->start : 0;
}

/* Takes note that the first `n` bytes have been used. */
static inline void buffer_eat(struct buffer *x, size_t n)
{
	x->start += (uint32_t)n;
	if (x->start == x->end)
		x->start = x->end = 0;
}

/* Room behind what is in it, after moving that to the front where that is the only way to have
 * any. */
size_t buffer_room(const struct buffers *b, struct buffer *x);

#endif
