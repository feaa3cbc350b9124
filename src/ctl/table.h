/*
 * table.h - aligned columns, as wide as what is in them.
 *
 * Cells are added from left to right; the last column ends a row. Rows are kept until table_flush,
 * which prints them. Columns only grow from one flush to the next, so an answer of many pages is
 * printed page by page in nearly straight columns and bounded memory.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl/text.h"

struct table;

struct column {
	const char *title;
	bool right; /* numbers */
};

/* `columns` must outlive the table. */
struct table *table_new(FILE *out, bool colour, const struct column *columns, unsigned n_columns);
void table_free(struct table *t);

/* The next cell; the text is copied and made safe for a terminal. */
void table_cell(struct table *t, enum tint tint, const char *text);
void table_cellf(struct table *t, enum tint tint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Print the rows collected, and the titles the first time. */
void table_flush(struct table *t);

#endif
