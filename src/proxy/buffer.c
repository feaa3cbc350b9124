/*
 * buffer.c - buffers of one size.
 */
#include "proxy/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STOCK_MAX 256 /* what a burst left behind goes back to the system */

void buffers_init(struct buffers *b, uint32_t size, uint32_t max)
{
	*b = (struct buffers){.size = size, .max = max};
}

void buffers_fini(struct buffers *b)
{
	assert(b->n_out == 0);
	while (b->stock) {
		struct buffer *x = b->stock;

		b->stock = x->next;
		free(x);
	}
	b->n_stock = 0;
}

struct buffer *buffer_take(struct buffers *b)
{
	struct buffer *x = b->stock;

	if (b->n_out >= b->max)
		return NULL;
	if (x) {
		b->stock = x->next;
		b->n_stock--;
	} else {
		x = malloc(sizeof(*x) + b->size);
		if (!x)
			return NULL;
	}
	x->next = NULL;
	x->start = x->end = 0;
	b->n_out++;
	return x;
}

void buffer_give(struct buffers *b, struct buffer **x)
{
	struct buffer *gone = *x;

	*x = NULL;
	if (!gone)
		return;
	b->n_out--;
	if (b->n_stock >= STOCK_MAX) {
		free(gone);
		return;
	}
	/* The one used last is the one that is still in the processor's cache. */
	gone->next = b->stock;
	b->stock = gone;
	b->n_stock++;
}

size_t buffer_room(const struct buffers *b, struct buffer *x)
{
	if (x->end == b->size && x->start > 0) {
		memmove(x->bytes, x->bytes + x->start, x->end - x->start);
		x->end -= x->start;
		x->start = 0;
	}
	return b->size - x->end;
}
