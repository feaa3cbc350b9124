#include "heap.h"

#include <stdlib.h>

static int earlier(const struct heap_item *x, const struct heap_item *y)
{
	return x->when_ns != y->when_ns ? x->when_ns < y->when_ns : x->sequence < y->sequence;
}

void heap_push(struct heap *h, struct heap_item *item)
{
	unsigned i;

	if (h->n == h->capacity) {
		h->capacity = h->capacity ? h->capacity * 2 : 256;
		h->items = realloc(h->items, h->capacity * sizeof(struct heap_item *));
		if (!h->items)
			abort();
	}
	item->sequence = h->sequence++;
	for (i = h->n++; i > 0 && earlier(item, h->items[(i - 1) / 2]); i = (i - 1) / 2)
		h->items[i] = h->items[(i - 1) / 2];
	h->items[i] = item;
}

struct heap_item *heap_pop(struct heap *h)
{
	struct heap_item *top = h->items[0], *last = h->items[--h->n];
	unsigned i = 0;

	for (;;) {
		unsigned c = 2 * i + 1;
		if (c >= h->n)
			break;
		if (c + 1 < h->n && earlier(h->items[c + 1], h->items[c]))
			c++;
		if (!earlier(h->items[c], last))
			break;
		h->items[i] = h->items[c];
		i = c;
	}
	h->items[i] = last;
	return top;
}

uint64_t heap_when(const struct heap *h)
{
	return h->n ? h->items[0]->when_ns : UINT64_MAX;
}

void heap_fini(struct heap *h)
{
	while (h->n)
		free(heap_pop(h));
	free(h->items);
}
