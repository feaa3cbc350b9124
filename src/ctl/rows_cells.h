/*
 * rows_cells.h - cells that many tables have, for the files behind rows.h.
 */
#ifndef CTL_ROWS_CELLS_H
#define CTL_ROWS_CELLS_H

#include <string.h>

#include "ctl/rows.h"
#include "ctl/text.h"

static inline void word(struct table *t, const json_t *record, const char *key)
{
	char buf[TEXT_ROOM];

	table_cell(t, TINT_NONE, text_value(buf, json_object_get(record, key)));
}

static inline void count(struct table *t, const json_t *record, const char *key)
{
	char buf[TEXT_ROOM];

	table_cell(t, TINT_NONE, text_count(buf, text_number(record, key)));
}

static inline void duration(struct table *t, const json_t *record, const char *key)
{
	char buf[TEXT_ROOM];

	table_cell(t, TINT_NONE,
		   json_is_number(json_object_get(record, key))
			   ? text_duration(buf, text_real(record, key))
			   : "-");
}

static inline void endpoints(struct table *t, const json_t *record)
{
	char buf[TEXT_ROOM];

	table_cell(t, TINT_NONE, text_endpoint(buf, record, "src", "sport"));
	table_cell(t, TINT_NONE, text_endpoint(buf, record, "dst", "dport"));
}

static inline enum tint state_tint(const char *state)
{
	static const char *const good[] = {"up", "reachable", "ok"};
	static const char *const bad[] = {"down", "missing", "failed", "degraded"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strcmp(state, good[i]) == 0)
			return TINT_GOOD;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (strcmp(state, bad[i]) == 0)
			return TINT_BAD;
	return strcmp(state, "unproven") == 0 || strcmp(state, "drained") == 0 ? TINT_WARN
									       : TINT_NONE;
}

static inline void state(struct table *t, const json_t *record)
{
	const char *s = text_field(record, "state", "-");

	table_cell(t, state_tint(s), s);
}

/* "12/10": originator and responder. */
static inline void both_ways(struct table *t, const json_t *record, const char *key)
{
	const json_t *v = json_object_get(record, key);
	char a[TEXT_ROOM], b[TEXT_ROOM];
	json_int_t x = json_integer_value(json_array_get(v, 0));
	json_int_t y = json_integer_value(json_array_get(v, 1));

	if (json_array_size(v) != 2)
		table_cell(t, TINT_NONE, "-");
	else
		table_cellf(t, TINT_NONE, "%s/%s", text_count(a, (uint64_t)(x > 0 ? x : 0)),
			    text_count(b, (uint64_t)(y > 0 ? y : 0)));
}

/* rows_dispatch.c */
const struct rows *rows_of_dispatch(const char *what);

#endif
