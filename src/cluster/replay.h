/*
 * replay.h - which counters of one sender's boot have been seen (RFC 6479).
 *
 * A ring of 64-bit blocks: moving the window forward clears whole blocks instead of shifting bits.
 * Checking and updating are separate: a counter is checked before the tag and entered only after
 * the tag has passed, so that forged messages cannot move the window.
 */
#ifndef CLUSTER_REPLAY_H
#define CLUSTER_REPLAY_H

#include <stdint.h>

#define REPLAY_BLOCKS 128
/* Counters this far behind the highest seen are still told apart; one block is always in use for
 * the head of the window. */
#define REPLAY_WINDOW ((REPLAY_BLOCKS - 1) * 64)

struct replay {
	uint64_t last; /* highest counter entered, 0 = none */
	uint64_t bits[REPLAY_BLOCKS];
};

enum replay_result {
	REPLAY_NEW,
	REPLAY_SEEN,
	REPLAY_OLD, /* behind the window, or 0, which no sender uses */
};

void replay_init(struct replay *r);
enum replay_result replay_check(const struct replay *r, uint64_t counter);
/* Enter a counter for which replay_check has just said REPLAY_NEW. */
void replay_update(struct replay *r, uint64_t counter);
/* Take every counter up to `counter` as seen: what was sent before that moment is refused. */
void replay_floor(struct replay *r, uint64_t counter);

#endif
