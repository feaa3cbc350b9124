/*
 * clock.h - deadlines of connections. Internal to src/proxy.
 *
 * A wheel of slots that are looked at in turn. Moving a deadline later is one store, as for flows
 * (flow/table.h): the slot it lies in comes first, notices, and puts it where it belongs. Deadlines
 * are met within CLOCK_TICK_MS, never early.
 */
#ifndef PROXY_CLOCK_H
#define PROXY_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_SLOTS 1024
#define CLOCK_TICK_MS 16

struct timer {
	struct timer *next, *prev; /* NULL: not in the wheel */
	uint64_t due_ns;	   /* UINT64_MAX: not set */
	uint64_t slot_ns;	   /* when its slot is looked at */
	uint8_t kind;		   /* the owner's own */
};

struct clock {
	struct timer slots[CLOCK_SLOTS]; /* heads of lists */
	uint64_t used[CLOCK_SLOTS / 64]; /* a bit for each slot that has timers */
	uint64_t done_ns;		 /* slots up to here have been looked at */
	uint32_t n;			 /* timers in the wheel */
};

void clock_init(struct clock *c, uint64_t now_ns);
/* UINT64_MAX: never, at the cost of one store; clock_stop takes the timer out at once. */
void clock_set(struct clock *c, struct timer *t, uint64_t due_ns);
void clock_stop(struct clock *c, struct timer *t);
/* Calls `due` for each that is due, which is stopped before; `due` may set and stop any. */
void clock_run(struct clock *c, uint64_t now_ns, void (*due)(void *arg, struct timer *t),
	       void *arg);
/* When clock_run is to be called next: less than a tick behind the earliest deadline, so that it is
 * due then. UINT64_MAX: no timer. */
uint64_t clock_next(const struct clock *c);

#endif
