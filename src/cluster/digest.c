#include "cluster/digest.h"

bool digest_begin(struct digest *d)
{
	return sodium_init() >= 0 && crypto_generichash_init(&d->state, NULL, 0, DIGEST) == 0;
}

void digest_add(struct digest *d, const void *data, size_t size)
{
	crypto_generichash_update(&d->state, data, size);
}

void digest_end(struct digest *d, uint8_t sum[DIGEST])
{
	crypto_generichash_final(&d->state, sum, DIGEST);
}

bool digest_is(const uint8_t sum[DIGEST], const void *data, size_t size)
{
	uint8_t is[DIGEST];
	struct digest d;

	if (!digest_begin(&d))
		return false;
	digest_add(&d, data, size);
	digest_end(&d, is);
	return sodium_memcmp(is, sum, DIGEST) == 0;
}
