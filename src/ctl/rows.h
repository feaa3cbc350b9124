/*
 * rows.h - how each kind of record fills the columns of its table.
 */
#ifndef CTL_ROWS_H
#define CTL_ROWS_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "ctl/table.h"

struct rows {
	const char *what;
	const struct column *columns;
	unsigned n_columns;
	void (*row)(struct table *t, const json_t *record);
};

/* NULL when `what` is shown as a paragraph (status, version). */
const struct rows *rows_of(const char *what);
/* The same for one record: flows of dispatchers, and what is served by L7, have
 * columns of their own. */
const struct rows *rows_for(const char *what, const json_t *record);

/* A record of status or version as lines of "name  value". */
void rows_paragraph(FILE *out, const char *what, const json_t *record, bool colour);

#endif
