/*
 * seal.h - encryption and authentication of one datagram (FC-15), with libsodium.
 *
 * A struct seal is the key of one boot of one sender, ready for use. It lies in the caller's
 * storage, which should be locked memory, and is wiped by seal_fini. A datagram is sealed and
 * opened in place: WIRE_HEADER bytes that stay readable and are authenticated, the payload, and
 * WIRE_TAG bytes of tag. sodium_init must have been called.
 */
#ifndef CLUSTER_SEAL_H
#define CLUSTER_SEAL_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/params.h"
#include "cluster/keyring.h"
#include "cluster/wire.h"

struct seal {
	union {
		uint8_t chacha[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
		crypto_aead_aes256gcm_state aes; /* expanded once, not per datagram */
	};
	uint8_t cipher; /* enum cluster_cipher */
};

/* Whether `cipher`, a byte from a header or an enum cluster_cipher, can be used on this machine. */
bool seal_available(uint8_t cipher);

/* Who a key belongs to. */
struct seal_owner {
	uint16_t cluster_id, node_id;
	const uint8_t *boot_id; /* WIRE_BOOT_ID bytes */
};

/* BLAKE2b-256(key = cluster key, "fwcl/1 tx" | cipher | cluster id | node id | boot id). The
 * cipher must be available. */
void seal_init(struct seal *s, const uint8_t cluster_key[KEYRING_KEY], uint8_t cipher,
	       const struct seal_owner *owner);
void seal_fini(struct seal *s);

/* Both take the whole datagram of `size` bytes; type and counter are those of its header and make
 * the nonce. seal_close fills in the tag. seal_open is false, and the payload lost, when the tag is
 * wrong. */
void seal_close(const struct seal *s, const struct wire_header *h, uint8_t *data, size_t size);
bool seal_open(const struct seal *s, const struct wire_header *h, uint8_t *data, size_t size);

#endif
