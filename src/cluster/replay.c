#include "cluster/replay.h"

#include <string.h>

_Static_assert((REPLAY_BLOCKS & (REPLAY_BLOCKS - 1)) == 0, "block numbers wrap by mask");

void replay_init(struct replay *r)
{
	memset(r, 0, sizeof(*r));
}

static uint64_t block_of(uint64_t counter)
{
	return (counter >> 6) & (REPLAY_BLOCKS - 1);
}

static uint64_t bit_of(uint64_t counter)
{
	return 1ULL << (counter & 63);
}

enum replay_result replay_check(const struct replay *r, uint64_t counter)
{
	if (counter == 0)
		return REPLAY_OLD;
	if (counter > r->last)
		return REPLAY_NEW;
	if (r->last - counter >= REPLAY_WINDOW)
		return REPLAY_OLD;
	return r->bits[block_of(counter)] & bit_of(counter) ? REPLAY_SEEN : REPLAY_NEW;
}

void replay_update(struct replay *r, uint64_t counter)
{
	if (counter > r->last) {
		uint64_t moved = (counter >> 6) - (r->last >> 6);

		if (moved > REPLAY_BLOCKS)
			moved = REPLAY_BLOCKS;
		for (uint64_t i = 1; i <= moved; i++)
			r->bits[((r->last >> 6) + i) & (REPLAY_BLOCKS - 1)] = 0;
		r->last = counter;
	}
	r->bits[block_of(counter)] |= bit_of(counter);
}

void replay_floor(struct replay *r, uint64_t counter)
{
	if (counter < r->last)
		counter = r->last;
	memset(r->bits, 0xff, sizeof(r->bits));
	r->bits[block_of(counter)] = bit_of(counter) | (bit_of(counter) - 1);
	r->last = counter;
}
