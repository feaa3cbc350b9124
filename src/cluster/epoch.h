/*
 * epoch.h - one boot of one member: its keys and the counters seen of it.
 *
 * Lies in locked memory. Keys are derived when first needed and kept for the few key ids that a
 * rotation uses at once; what a forged header names is derived for that one check and forgotten, so
 * garbage cannot push real keys out.
 */
#ifndef CLUSTER_EPOCH_H
#define CLUSTER_EPOCH_H

#include "cluster/keyring.h"
#include "cluster/replay.h"
#include "cluster/seal.h"
#include "cluster/wire.h"

#define EPOCH_KEYS 4

struct epoch_key {
	uint8_t key_id; /* 0 = free */
	struct seal seal;
};

struct epoch {
	bool used;
	uint8_t boot_id[WIRE_BOOT_ID];
	uint8_t next_key; /* which to replace when all are in use */
	struct replay replay;
	struct epoch_key keys[EPOCH_KEYS];
};

void epoch_init(struct epoch *e, const uint8_t boot_id[WIRE_BOOT_ID]);
void epoch_fini(struct epoch *e);
/* Forget the derived keys: the keyring has changed. */
void epoch_forget_keys(struct epoch *e);

/* Whether this epoch exists and is of the boot that `h` names. */
bool epoch_is(const struct epoch *e, const struct wire_header *h);

/* Open a datagram of this boot in place. The key id of `h` must be loaded and its cipher available;
 * the window has been checked and moves when the tag is right. False when it is wrong. */
bool epoch_open(struct epoch *e, const struct keyring *keys, const struct wire_header *h,
		uint8_t *data, size_t size);

#endif
