/*
 * digest.h - the sum of bytes that come in pieces (BLAKE2b-256, by libsodium): whether they are as
 * they were written. There is no key, so it says nothing of who wrote them.
 */
#ifndef CLUSTER_DIGEST_H
#define CLUSTER_DIGEST_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST 32

struct digest {
	crypto_generichash_state state;
};

/* False: libsodium does not work. */
bool digest_begin(struct digest *d);
void digest_add(struct digest *d, const void *data, size_t size);
void digest_end(struct digest *d, uint8_t sum[DIGEST]);

/* Whether that is the sum of `size` bytes. */
bool digest_is(const uint8_t sum[DIGEST], const void *data, size_t size);

#endif
