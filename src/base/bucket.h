/*
 * bucket.h - token bucket.
 *
 * Time is an argument in nanoseconds, monotonic. Tokens are kept in nano-tokens per rate unit, so
 * slow rates lose nothing to rounding. A rate of 0 lets nothing pass.
 */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint64_t last_ns;
	uint64_t credit; /* tokens * 1e9 */
	uint32_t rate;	 /* tokens per second */
	uint32_t burst;	 /* tokens */
};

static inline void bucket_init(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now_ns)
{
	*b = (struct bucket){.last_ns = now_ns,
			     .credit = (uint64_t)burst * 1000000000ULL,
			     .rate = rate,
			     .burst = burst};
}

/* Take `n` tokens; false, and nothing taken, when there are fewer. */
static inline bool bucket_take(struct bucket *b, uint32_t n, uint64_t now_ns)
{
	uint64_t cap = (uint64_t)b->burst * 1000000000ULL;
	uint64_t passed = now_ns > b->last_ns ? now_ns - b->last_ns : 0;
	uint64_t need = (uint64_t)n * 1000000000ULL;
	uint64_t gained;

	if (b->rate == 0)
		return false;
	if (__builtin_mul_overflow(passed, (uint64_t)b->rate, &gained) || gained > cap)
		gained = cap;
	b->credit = b->credit + gained > cap ? cap : b->credit + gained;
	b->last_ns = now_ns > b->last_ns ? now_ns : b->last_ns;
	if (b->credit < need)
		return false;
	b->credit -= need;
	return true;
}

#endif
