/*
 * handover.h - what the tests of a restart have in common: tables in memory, changed and sealed
 * again.
 */
#ifndef TESTS_HANDOVER_H
#define TESTS_HANDOVER_H

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "engine/handover.h"

#define TABLES_HEAD 48
#define TABLES_SUM 32

struct tables {
	uint8_t *data;
	size_t size, room;
};

static inline int tables_put(void *arg, const void *data, size_t size)
{
	struct tables *t = arg;

	if (t->size + size > t->room) {
		t->room = 2 * (t->size + size);
		t->data = realloc(t->data, t->room);
	}
	memcpy(t->data + t->size, data, size);
	t->size += size;
	return 0;
}

static inline void tables_free(struct tables *t)
{
	free(t->data);
	*t = (struct tables){0};
}

/* On the machine of the tests; its clock goes with theirs, an hour ahead. */
static inline struct handover_place place_at(uint64_t now_ns)
{
	return (struct handover_place){.machine = {0xab, 1, 2, 3},
				       .boottime_ns = now_ns + 3600000000000ULL};
}

/* The sum is right again. */
static inline void tables_seal(struct tables *t)
{
	ck_assert_uint_ge(t->size, TABLES_HEAD + TABLES_SUM);
	crypto_generichash(t->data + t->size - TABLES_SUM, TABLES_SUM, t->data,
			   t->size - TABLES_SUM, NULL, 0);
}

/* An exact copy of the first `size` bytes with a sum of its own: one byte too far is seen. */
static inline struct tables tables_cut(const struct tables *t, size_t size)
{
	struct tables cut = {.data = malloc(size + TABLES_SUM), .size = size + TABLES_SUM};

	memcpy(cut.data, t->data, size);
	tables_seal(&cut);
	return cut;
}

/* The same tables as a later version might write them: each item longer, and a section more. */
static inline struct tables tables_of_later(const struct tables *t)
{
	struct sections_out *out = calloc(1, sizeof(*out));
	struct sections_in in =
		sections_read(t->data + TABLES_HEAD, t->size - TABLES_HEAD - TABLES_SUM);
	struct tables later = {0};
	uint8_t sum[TABLES_SUM] = {0};
	struct rcur item;

	tables_put(&later, t->data, TABLES_HEAD);
	later.data[11] = 7; /* minor */
	sections_begin(out, tables_put, &later);
	while (sections_next(&in)) {
		sections_type(out, in.type, (uint16_t)(in.version + 1));
		while (sections_next_item(&in, &item)) {
			struct wcur *c = sections_item(out);

			wcur_bytes(c, item.pos, rcur_left(&item));
			wcur_u64(c, 0x1122334455667788ULL);
			sections_item_end(out);
		}
	}
	ck_assert(sections_ok(&in));
	sections_type(out, 999, 1);
	wcur_u32(sections_item(out), 1);
	sections_item_end(out);
	ck_assert_int_eq(sections_end(out), 0);
	free(out);
	tables_put(&later, sum, sizeof(sum));
	tables_seal(&later);
	return later;
}

#endif
