/*
 * sections.h - tables as bytes that another version of the program reads: sections of items.
 *
 *   section  0          2          4          8         12
 *            ├── type ──┼─ version ┼─ n_items ┼─ length ─┼─ items ...
 *   item     0          2
 *            ├─ length ─┼─ body ...
 *
 * A table of any size is written through one block of memory: whatever does not fit begins another
 * section of the same type. An item may be longer than its reader knows, which skips the rest, and
 * a section of a type that the reader does not know is skipped as a whole. All numbers in network
 * order; every length is checked against what is really there.
 */
#ifndef BASE_SECTIONS_H
#define BASE_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"

#define SECTIONS_BLOCK 65536
#define SECTIONS_HEAD 12
#define SECTIONS_ITEM 8192 /* the longest body of an item */

/* Takes `size` bytes; 0 or negative errno, and then nothing is given to it any more. */
typedef int sections_put(void *arg, const void *data, size_t size);

struct sections_out {
	sections_put *put;
	void *arg;
	int error; /* sticky */
	uint16_t type, version;
	uint32_t n;	  /* items of the section being written */
	size_t used;	  /* bytes of it */
	struct wcur item; /* the item being written */
	uint8_t block[SECTIONS_BLOCK];
};

void sections_begin(struct sections_out *o, sections_put *put, void *arg);
/* Items from here on are of that type. */
void sections_type(struct sections_out *o, uint16_t type, uint16_t version);
/* Where an item of at most SECTIONS_ITEM bytes is written; then sections_item_end. One that was too
 * long is left out, which sets `error` to -EMSGSIZE. */
struct wcur *sections_item(struct sections_out *o);
void sections_item_end(struct sections_out *o);
/* Write what is left. 0 or the sticky error. */
int sections_end(struct sections_out *o);

struct sections_in {
	struct rcur rest; /* sections not yet begun */
	struct rcur body; /* items of the present one not yet read */
	uint16_t type, version;
	uint32_t n; /* of these items */
};

struct sections_in sections_read(const void *data, size_t size);
/* The next section; what is left of the one before is skipped. False at the end, or when the bytes
 * make no sense: then sections_ok says so. */
bool sections_next(struct sections_in *s);
/* The next item of the section. */
bool sections_next_item(struct sections_in *s, struct rcur *item);
bool sections_ok(const struct sections_in *s);

#endif
