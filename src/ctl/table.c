#include "ctl/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2

struct cell {
	enum tint tint;
	char *text;
};

struct table {
	FILE *out;
	bool colour;
	bool titled;
	const struct column *columns;
	unsigned n_columns;
	size_t *width;
	struct cell *cells;
	size_t n_cells, cap;
};

struct table *table_new(FILE *out, bool colour, const struct column *columns, unsigned n_columns)
{
	struct table *t = text_realloc(NULL, sizeof(*t));

	*t = (struct table){
		.out = out,
		.colour = colour,
		.columns = columns,
		.n_columns = n_columns,
		.width = text_realloc(NULL, n_columns * sizeof(*t->width)),
	};
	for (unsigned i = 0; i < n_columns; i++)
		t->width[i] = text_width(columns[i].title);
	return t;
}

static void forget_rows(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i].text);
	t->n_cells = 0;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	forget_rows(t);
	free(t->cells);
	free(t->width);
	free(t);
}

void table_cell(struct table *t, enum tint tint, const char *text)
{
	size_t column = t->n_cells % t->n_columns;
	char safe[TEXT_ROOM];
	size_t width, size;

	text_safe(safe, text[0] ? text : "-");
	width = text_width(safe);
	if (width > t->width[column])
		t->width[column] = width;
	if (t->n_cells == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 256;
		t->cells = text_realloc(t->cells, t->cap * sizeof(*t->cells));
	}
	size = strlen(safe) + 1;
	t->cells[t->n_cells] = (struct cell){.tint = tint, .text = text_realloc(NULL, size)};
	memcpy(t->cells[t->n_cells].text, safe, size);
	t->n_cells++;
}

void table_cellf(struct table *t, enum tint tint, const char *fmt, ...)
{
	char buf[TEXT_ROOM];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	table_cell(t, tint, buf);
}

static void print_cell(struct table *t, unsigned column, enum tint tint, const char *text)
{
	int pad = (int)(t->width[column] - text_width(text));
	bool right = t->columns[column].right;
	bool last = column + 1 == t->n_columns;

	/* Padding stays outside the colour; the last column has none behind it. */
	fprintf(t->out, "%*s%s%s%s%*s", right ? pad : 0, "", text_tint(tint, t->colour), text,
		tint == TINT_NONE ? "" : text_plain(t->colour), last || right ? 0 : pad, "");
	if (last)
		fputc('\n', t->out);
	else
		fprintf(t->out, "%*s", GAP, "");
}

void table_flush(struct table *t)
{
	if (!t->titled)
		for (unsigned i = 0; i < t->n_columns; i++)
			print_cell(t, i, TINT_HEAD, t->columns[i].title);
	t->titled = true;
	for (size_t i = 0; i < t->n_cells; i++)
		print_cell(t, (unsigned)(i % t->n_columns), t->cells[i].tint, t->cells[i].text);
	forget_rows(t);
}
