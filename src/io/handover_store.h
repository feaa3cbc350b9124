/*
 * handover_store.h - where the tables of a node lie while no process of it runs: sealed memory that
 * somebody else keeps open, or a file in a directory for run-time state.
 *
 * Both are read once: the file is unlinked before its first byte is looked at, sealed memory by who
 * keeps it.
 */
#ifndef IO_HANDOVER_STORE_H
#define IO_HANDOVER_STORE_H

#include <stddef.h>
#include <stdint.h>

/* An empty descriptor, or negative errno. A file gets mode 0600; what lies at `path` goes. */
int handover_store_memory(const char *name);
int handover_store_file(const char *path);
/* A sections_put; `fd` points to the descriptor. */
int handover_store_put(void *fd, const void *data, size_t size);
/* Nobody can change sealed memory any more. 0 or negative errno. */
int handover_store_seal(int fd);

struct handover_bytes {
	const uint8_t *data;
	size_t size;
};

/* The bytes of sealed memory; -EPERM: it is not sealed. */
int handover_store_map_memory(int fd, struct handover_bytes *b);
/* The bytes of a file, which is gone afterwards; -ENOENT: there is none; -EPERM: it is no file that
 * only this user can write. */
int handover_store_take_file(const char *path, struct handover_bytes *b);
void handover_store_unmap(struct handover_bytes *b);

#endif
