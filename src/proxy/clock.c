/*
 * clock.c - a wheel of deadlines.
 *
 * Slot t % CLOCK_SLOTS is looked at when tick t is over, that is at t * CLOCK_TICK_MS; a timer lies
 * in the slot of the first tick that is not before its deadline, or, when that is more than a turn
 * away, in the last one of this turn, from where it is put further on. The slot of the tick that
 * was looked at last is always empty: what is put in while it is looked at lies in another one.
 */
#include "proxy/clock.h"

#include <stddef.h>

#define TICK_NS ((uint64_t)CLOCK_TICK_MS * 1000000)
#define NEVER UINT64_MAX

static unsigned slot_of(uint64_t tick)
{
	return (unsigned)(tick % CLOCK_SLOTS);
}

void clock_init(struct clock *c, uint64_t now_ns)
{
	for (unsigned i = 0; i < CLOCK_SLOTS; i++)
		c->slots[i] = (struct timer){.next = &c->slots[i], .prev = &c->slots[i]};
	for (unsigned i = 0; i < CLOCK_SLOTS / 64; i++)
		c->used[i] = 0;
	c->done_ns = now_ns / TICK_NS * TICK_NS;
	c->n = 0;
}

/* Into the slot of its deadline, but not farther than this turn of the wheel goes. */
static void put(struct clock *c, struct timer *t)
{
	uint64_t done = c->done_ns / TICK_NS;
	uint64_t tick = t->due_ns / TICK_NS + (t->due_ns % TICK_NS != 0);
	struct timer *head;

	if (tick <= done)
		tick = done + 1;
	if (tick > done + CLOCK_SLOTS - 1)
		tick = done + CLOCK_SLOTS - 1;
	t->slot_ns = tick * TICK_NS;
	head = &c->slots[slot_of(tick)];
	t->next = head;
	t->prev = head->prev;
	head->prev->next = t;
	head->prev = t;
	c->used[slot_of(tick) / 64] |= UINT64_C(1) << slot_of(tick) % 64;
	c->n++;
}

static void take_out(struct clock *c, struct timer *t)
{
	unsigned i = slot_of(t->slot_ns / TICK_NS);

	t->next->prev = t->prev;
	t->prev->next = t->next;
	t->next = t->prev = NULL;
	if (c->slots[i].next == &c->slots[i])
		c->used[i / 64] &= ~(UINT64_C(1) << i % 64);
	c->n--;
}

void clock_set(struct clock *c, struct timer *t, uint64_t due_ns)
{
	bool lies_before = t->next && t->slot_ns <= due_ns;

	t->due_ns = due_ns;
	if (lies_before)
		return;
	if (t->next)
		take_out(c, t);
	if (due_ns != NEVER)
		put(c, t);
}

void clock_stop(struct clock *c, struct timer *t)
{
	if (t->next)
		take_out(c, t);
	t->due_ns = NEVER;
}

/* The first tick whose slot has timers. There is one. */
static uint64_t first_used(const struct clock *c)
{
	uint64_t tick = c->done_ns / TICK_NS + 1;

	for (;;) {
		unsigned i = slot_of(tick);
		uint64_t rest = c->used[i / 64] >> i % 64;

		if (rest)
			return tick + (unsigned)__builtin_ctzll(rest);
		tick += 64 - i % 64;
	}
}

uint64_t clock_next(const struct clock *c)
{
	return c->n > 0 ? first_used(c) * TICK_NS : NEVER;
}

void clock_run(struct clock *c, uint64_t now_ns, void (*due)(void *arg, struct timer *t), void *arg)
{
	uint64_t now = now_ns / TICK_NS;

	while (c->n > 0 && first_used(c) <= now) {
		uint64_t tick = first_used(c);
		struct timer *head = &c->slots[slot_of(tick)];

		c->done_ns = tick * TICK_NS;
		while (head->next != head) {
			struct timer *t = head->next;
			bool is_due = t->due_ns <= now_ns;

			take_out(c, t);
			if (is_due) {
				t->due_ns = NEVER;
				due(arg, t);
			} else if (t->due_ns != NEVER) {
				put(c, t);
			}
		}
	}
	if (c->done_ns < now * TICK_NS)
		c->done_ns = now * TICK_NS;
}
