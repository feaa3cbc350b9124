#include "cluster/epoch.h"

#include <string.h>

void epoch_init(struct epoch *e, const uint8_t boot_id[WIRE_BOOT_ID])
{
	memset(e, 0, sizeof(*e));
	e->used = true;
	memcpy(e->boot_id, boot_id, WIRE_BOOT_ID);
	replay_init(&e->replay);
}

void epoch_fini(struct epoch *e)
{
	sodium_memzero(e, sizeof(*e));
}

void epoch_forget_keys(struct epoch *e)
{
	sodium_memzero(e->keys, sizeof(e->keys));
}

bool epoch_is(const struct epoch *e, const struct wire_header *h)
{
	return e->used && memcmp(e->boot_id, h->boot_id, WIRE_BOOT_ID) == 0;
}

static const struct seal *find_key(const struct epoch *e, const struct wire_header *h)
{
	for (unsigned i = 0; i < EPOCH_KEYS; i++) {
		const struct epoch_key *k = &e->keys[i];

		if (k->key_id == h->key_id && k->seal.cipher == h->cipher)
			return &k->seal;
	}
	return NULL;
}

static void keep_key(struct epoch *e, uint8_t key_id, const struct seal *seal)
{
	struct epoch_key *k = &e->keys[e->next_key];

	e->next_key = (uint8_t)((e->next_key + 1) % EPOCH_KEYS);
	k->key_id = key_id;
	k->seal = *seal;
}

/* The first message under a key: derive, and keep the key only if it opens the message. */
static bool open_first(struct epoch *e, const struct keyring *keys, const struct wire_header *h,
		       uint8_t *data, size_t size)
{
	const struct seal_owner owner = {h->cluster_id, h->node_id, e->boot_id};
	struct seal seal;
	bool ok;

	seal_init(&seal, keyring_find(keys, h->key_id), h->cipher, &owner);
	ok = seal_open(&seal, h, data, size);
	if (ok)
		keep_key(e, h->key_id, &seal);
	seal_fini(&seal);
	return ok;
}

bool epoch_open(struct epoch *e, const struct keyring *keys, const struct wire_header *h,
		uint8_t *data, size_t size)
{
	const struct seal *seal = find_key(e, h);

	if (seal ? !seal_open(seal, h, data, size) : !open_first(e, keys, h, data, size))
		return false;
	replay_update(&e->replay, h->counter);
	return true;
}
