#include "cluster/seal.h"

#include <assert.h>

#include "base/cursor.h"

#define NONCE_SIZE 12

_Static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == NONCE_SIZE, "nonce");
_Static_assert(crypto_aead_aes256gcm_NPUBBYTES == NONCE_SIZE, "nonce");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == WIRE_TAG, "tag");
_Static_assert(crypto_aead_aes256gcm_ABYTES == WIRE_TAG, "tag");
_Static_assert(crypto_aead_aes256gcm_KEYBYTES == KEYRING_KEY, "key");
_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == KEYRING_KEY, "key");

static const char label[] = "fwcl/1 tx";

#define DERIVE_SIZE (sizeof(label) - 1 + 1 + 2 + 2 + WIRE_BOOT_ID)

bool seal_available(uint8_t cipher)
{
	switch (cipher) {
	case CIPHER_CHACHA20_POLY1305:
		return true;
	case CIPHER_AES_256_GCM:
		return crypto_aead_aes256gcm_is_available() == 1;
	default:
		return false;
	}
}

void seal_init(struct seal *s, const uint8_t cluster_key[KEYRING_KEY], uint8_t cipher,
	       const struct seal_owner *owner)
{
	uint8_t input[DERIVE_SIZE], key[KEYRING_KEY];
	struct wcur c = wcur_init(input, sizeof(input));

	assert(seal_available(cipher));
	wcur_bytes(&c, label, sizeof(label) - 1);
	wcur_u8(&c, cipher);
	wcur_u16(&c, owner->cluster_id);
	wcur_u16(&c, owner->node_id);
	wcur_bytes(&c, owner->boot_id, WIRE_BOOT_ID);
	assert(wcur_ok(&c) && wcur_left(&c) == 0);
	crypto_generichash(key, sizeof(key), input, sizeof(input), cluster_key, KEYRING_KEY);

	s->cipher = cipher;
	if (cipher == CIPHER_AES_256_GCM)
		crypto_aead_aes256gcm_beforenm(&s->aes, key);
	else
		memcpy(s->chacha, key, sizeof(s->chacha));
	sodium_memzero(key, sizeof(key));
}

void seal_fini(struct seal *s)
{
	sodium_memzero(s, sizeof(*s));
}

/* The type in the nonce keeps the kinds of message apart: none can be passed off as another. */
static void make_nonce(uint8_t nonce[NONCE_SIZE], const struct wire_header *h)
{
	struct wcur c = wcur_init(nonce, NONCE_SIZE);

	wcur_u32(&c, h->type);
	wcur_u64(&c, h->counter);
}

void seal_close(const struct seal *s, const struct wire_header *h, uint8_t *data, size_t size)
{
	uint8_t nonce[NONCE_SIZE];
	uint8_t *body = data + WIRE_HEADER;
	size_t body_size = size - WIRE_OVERHEAD;

	assert(size >= WIRE_OVERHEAD && size <= WIRE_DATAGRAM_MAX);
	make_nonce(nonce, h);
	if (s->cipher == CIPHER_AES_256_GCM)
		crypto_aead_aes256gcm_encrypt_afternm(body, NULL, body, body_size, data,
						      WIRE_HEADER, NULL, nonce, &s->aes);
	else
		crypto_aead_chacha20poly1305_ietf_encrypt(body, NULL, body, body_size, data,
							  WIRE_HEADER, NULL, nonce, s->chacha);
}

bool seal_open(const struct seal *s, const struct wire_header *h, uint8_t *data, size_t size)
{
	uint8_t nonce[NONCE_SIZE];
	uint8_t *body = data + WIRE_HEADER;
	size_t sealed_size = size - WIRE_HEADER;

	assert(size >= WIRE_OVERHEAD);
	make_nonce(nonce, h);
	if (s->cipher == CIPHER_AES_256_GCM)
		return crypto_aead_aes256gcm_decrypt_afternm(body, NULL, NULL, body, sealed_size,
							     data, WIRE_HEADER, nonce,
							     &s->aes) == 0;
	return crypto_aead_chacha20poly1305_ietf_decrypt(body, NULL, NULL, body, sealed_size, data,
							 WIRE_HEADER, nonce, s->chacha) == 0;
}
