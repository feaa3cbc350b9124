/*
 * ring.h - lists that their members are linked into: rings with a head that is no member. Internal
 * to src/proxy.
 */
#ifndef PROXY_RING_H
#define PROXY_RING_H

#include <stdbool.h>
#include <stddef.h>

struct ring {
	struct ring *next, *prev; /* NULL: in none */
};

/* What a link is embedded in. */
#define ring_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void ring_init(struct ring *head)
{
	head->next = head->prev = head;
}

static inline bool ring_is_empty(const struct ring *head)
{
	return head->next == head;
}

/* In front. */
static inline void ring_insert(struct ring *head, struct ring *x)
{
	x->prev = head;
	x->next = head->next;
	head->next->prev = x;
	head->next = x;
}

/* At the end. */
static inline void ring_append(struct ring *head, struct ring *x)
{
	ring_insert(head->prev, x);
}

static inline void ring_unlink(struct ring *x)
{
	x->next->prev = x->prev;
	x->prev->next = x->next;
	x->next = x->prev = NULL;
}

/* All members of the one go to the end of the other. */
static inline void ring_move(struct ring *to, struct ring *from)
{
	if (ring_is_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	ring_init(from);
}

#endif
