#include "node/pool.h"

#include <stdlib.h>
#include <string.h>

#define POOL_LARGE FRAME_MAX

struct pool {
	struct held *small, *large; /* free lists */
	struct held *retired;
	uint32_t used;
	struct held *nodes;
	uint8_t *small_memory, *large_memory;
};

static void pool_fill(struct pool *p, struct held *nodes, uint32_t n, uint8_t *memory, size_t size)
{
	for (uint32_t i = 0; i < n; i++) {
		struct held *h = &nodes[i];
		struct held **list = size == POOL_SMALL ? &p->small : &p->large;
		h->memory = memory + i * (size + FRAME_HEADROOM);
		h->small = size == POOL_SMALL;
		h->next = *list;
		*list = h;
	}
}

struct pool *pool_new(uint32_t n_small, uint32_t n_large)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->nodes = calloc(n_small + n_large, sizeof(*p->nodes));
	p->small_memory = calloc(n_small, POOL_SMALL + FRAME_HEADROOM);
	p->large_memory = calloc(n_large, POOL_LARGE + FRAME_HEADROOM);
	if (!p->nodes || !p->small_memory || !p->large_memory) {
		pool_free(p);
		return NULL;
	}
	pool_fill(p, p->nodes, n_small, p->small_memory, POOL_SMALL);
	pool_fill(p, p->nodes + n_small, n_large, p->large_memory, POOL_LARGE);
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	free(p->nodes);
	free(p->small_memory);
	free(p->large_memory);
	free(p);
}

static struct held *pool_take(struct held **list)
{
	struct held *h = *list;

	if (h)
		*list = h->next;
	return h;
}

struct held *pool_hold(struct pool *p, const struct frame *frame)
{
	struct held *h = NULL;

	if (frame->len > POOL_LARGE)
		return NULL;
	if (frame->len <= POOL_SMALL)
		h = pool_take(&p->small);
	if (!h)
		h = pool_take(&p->large);
	if (!h)
		return NULL;
	h->frame = *frame;
	h->frame.data = h->memory + FRAME_HEADROOM;
	memcpy(h->frame.data, frame->data, frame->len);
	h->next = NULL;
	h->from_member = 0;
	p->used++;
	return h;
}

static void pool_put(struct pool *p, struct held *h)
{
	struct held **list = h->small ? &p->small : &p->large;

	h->next = *list;
	*list = h;
}

void pool_drop(struct pool *p, struct held *h)
{
	p->used--;
	pool_put(p, h);
}

void pool_retire(struct pool *p, struct held *h)
{
	p->used--;
	h->next = p->retired;
	p->retired = h;
}

void pool_reclaim(struct pool *p)
{
	while (p->retired) {
		struct held *h = p->retired;
		p->retired = h->next;
		pool_put(p, h);
	}
}

uint32_t pool_used(const struct pool *p)
{
	return p->used;
}

void held_push(struct held_queue *q, struct held *h)
{
	h->next = NULL;
	if (q->tail)
		q->tail->next = h;
	else
		q->head = h;
	q->tail = h;
	q->n++;
}

struct held *held_pop(struct held_queue *q)
{
	struct held *h = q->head;

	if (!h)
		return NULL;
	q->head = h->next;
	if (!q->head)
		q->tail = NULL;
	q->n--;
	h->next = NULL;
	return h;
}
