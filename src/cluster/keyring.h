/*
 * keyring.h - the cluster keys (FC-15): several loaded, one active.
 *
 * Key file: one key a line, "<id 1..255> <64 hex digits>" and, behind exactly one of them, the word
 * "active"; with a single key the word may be left out. '#' begins a comment. Keys live in locked
 * memory and are wiped when freed.
 */
#ifndef CLUSTER_KEYRING_H
#define CLUSTER_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYRING_KEY 32
#define KEYRING_MAX 8

struct keyring;

/* Parse the text of a key file. NULL and a message in `err` ("line 2: ...") on error. */
struct keyring *keyring_parse(const char *text, size_t size, char *err, size_t err_size);
void keyring_free(struct keyring *k);
uint8_t keyring_active(const struct keyring *k);
/* The 32 bytes of key `id`, or NULL. */
const uint8_t *keyring_find(const struct keyring *k, uint8_t id);
/* A key for another purpose, made of key `id` so that it tells nothing of it. False: there is no
 * such key. */
bool keyring_derive(const struct keyring *k, uint8_t id, const char *purpose,
		    uint8_t out[KEYRING_KEY]);

#endif
