/*
 * classify.h - which rules does a value match? The look-up structure behind policy.h.
 *
 * A row is a set of rules, one bit each. An axis cuts the range of one field (address, port, ...)
 * into intervals inside which the set of matching rules does not change, and knows the row of each;
 * the rules that match a packet are the intersection of one row per field, and the first of them is
 * the lowest bit. So judging costs a binary search per field and a few words per 64 rules, however
 * the rules are written. Equal rows are kept once.
 */
#ifndef FIREWALL_CLASSIFY_H
#define FIREWALL_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef unsigned __int128 axis_key;

struct rows {
	uint32_t words; /* of one row */
	uint32_t n, cap;
	uint64_t *bits;
	uint32_t *slots; /* hash table of row numbers + 1 */
	uint32_t n_slots;
};

/* 0, or -ENOMEM. */
int rows_init(struct rows *r, uint32_t n_rules);
void rows_fini(struct rows *r);

/* The number of a row with these bits; UINT32_MAX when memory does not suffice. */
uint32_t rows_intern(struct rows *r, const uint64_t *bits);

static inline const uint64_t *rows_at(const struct rows *r, uint32_t row)
{
	return r->bits + (size_t)row * r->words;
}

/* Rule `rule` matches lo..hi, both included. */
struct axis_span {
	axis_key lo, hi;
	uint32_t rule;
};

struct axis {
	uint32_t n;
	axis_key *start; /* ascending, the first is 0 */
	uint32_t *row;
};

/* `any` has the bits of the rules that match every value.
 * 0, or -ENOMEM. */
int axis_build(struct axis *a, struct rows *rows, const uint64_t *any,
	       const struct axis_span *spans, size_t n_spans);
void axis_fini(struct axis *a);

/* The row of a value: the last interval that does not begin behind it. Without branches, since
 * nobody can predict where a new flow comes from. */
static inline uint32_t axis_find(const struct axis *a, axis_key key)
{
	const axis_key *base = a->start;
	uint32_t n = a->n;

	while (n > 1) {
		uint32_t half = n / 2;
		base = base[half] <= key ? base + half : base;
		n -= half;
	}
	return a->row[base - a->start];
}

#endif
