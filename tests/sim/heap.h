/*
 * heap.h - what will happen in a simulation, the earliest first; of two at one time the one that
 * was put in first.
 */
#ifndef SIM_HEAP_H
#define SIM_HEAP_H

#include <stdint.h>

/* The first member of an event; `sequence` is the heap's. */
struct heap_item {
	uint64_t when_ns, sequence;
};

struct heap {
	struct heap_item **items;
	unsigned n, capacity;
	uint64_t sequence;
};

void heap_push(struct heap *h, struct heap_item *item);
struct heap_item *heap_pop(struct heap *h); /* there must be one */
uint64_t heap_when(const struct heap *h);   /* of the earliest, UINT64_MAX = empty */
/* The items that are left are freed. */
void heap_fini(struct heap *h);

#endif
