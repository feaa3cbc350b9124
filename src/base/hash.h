/*
 * hash.h - keyed hashing (SipHash-1-3) and the random numbers derived from it.
 *
 * Every table whose keys a stranger can choose is indexed with a hash under a random per-boot key,
 * so that nobody outside can aim for collisions. Inline because the data path runs it per packet.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k0, k1;
};

#define HASH_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

struct hash_state {
	uint64_t v0, v1, v2, v3;
};

static inline void hash_round(struct hash_state *s)
{
	s->v0 += s->v1;
	s->v1 = HASH_ROTL(s->v1, 13) ^ s->v0;
	s->v0 = HASH_ROTL(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = HASH_ROTL(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = HASH_ROTL(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = HASH_ROTL(s->v1, 17) ^ s->v2;
	s->v2 = HASH_ROTL(s->v2, 32);
}

/* SipHash-1-3 of `n` 64-bit words (a whole number of words, so no tail handling). */
static inline uint64_t hash_words(const struct hash_key *key, const uint64_t *words, size_t n)
{
	struct hash_state s = {
		.v0 = key->k0 ^ 0x736f6d6570736575ULL,
		.v1 = key->k1 ^ 0x646f72616e646f6dULL,
		.v2 = key->k0 ^ 0x6c7967656e657261ULL,
		.v3 = key->k1 ^ 0x7465646279746573ULL,
	};
	for (size_t i = 0; i < n; i++) {
		s.v3 ^= words[i];
		hash_round(&s);
		s.v0 ^= words[i];
	}
	uint64_t last = (uint64_t)(n * 8) << 56;
	s.v3 ^= last;
	hash_round(&s);
	s.v0 ^= last;
	s.v2 ^= 0xff;
	hash_round(&s);
	hash_round(&s);
	hash_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* A stream of unpredictable numbers: the keyed hash of a counter. Seeded by whoever may call the
 * kernel; the engine itself never does. */
struct rng {
	struct hash_key key;
	uint64_t counter;
};

static inline uint64_t rng_u64(struct rng *r)
{
	uint64_t c = r->counter++;
	return hash_words(&r->key, &c, 1);
}

#endif
