#define _GNU_SOURCE 1 /* vasprintf */

#include "conf/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct report_pos at;
	unsigned seq;
	bool warning;
	char *text;
};

struct report {
	char **files;
	uint32_t n_files;
	unsigned n_entries; /* kept */
	unsigned n_errors;  /* seen */
	unsigned n_warnings;
	bool no_memory;
	struct entry entries[REPORT_MAX];
};

struct report *report_new(void)
{
	return calloc(1, sizeof(struct report));
}

void report_free(struct report *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->n_files; i++)
		free(r->files[i]);
	free(r->files);
	for (unsigned i = 0; i < r->n_entries; i++)
		free(r->entries[i].text);
	free(r);
}

uint32_t report_file(struct report *r, const char *name)
{
	char **files = realloc(r->files, (r->n_files + 1) * sizeof(*files));

	if (files)
		r->files = files;
	if (!files || !(files[r->n_files] = strdup(name))) {
		report_no_memory(r);
		return UINT32_MAX;
	}
	return r->n_files++;
}

const char *report_file_name(const struct report *r, uint32_t file)
{
	return file < r->n_files ? r->files[file] : "configuration";
}

static void add(struct report *r, struct report_pos at, bool warning, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

static void add(struct report *r, struct report_pos at, bool warning, const char *fmt, va_list ap)
{
	char *text;

	if (r->n_entries == REPORT_MAX)
		return;
	if (vasprintf(&text, fmt, ap) < 0) {
		r->no_memory = true;
		return;
	}
	/* a value may hold anything; an error stays one line */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	r->entries[r->n_entries] =
		(struct entry){.at = at, .seq = r->n_entries, .warning = warning, .text = text};
	r->n_entries++;
}

void report_error(struct report *r, struct report_pos at, const char *fmt, ...)
{
	va_list ap;

	r->n_errors++;
	va_start(ap, fmt);
	add(r, at, false, fmt, ap);
	va_end(ap);
}

void report_warning(struct report *r, struct report_pos at, const char *fmt, ...)
{
	va_list ap;

	if (r->n_warnings == REPORT_WARNINGS)
		return;
	r->n_warnings++;
	va_start(ap, fmt);
	add(r, at, true, fmt, ap);
	va_end(ap);
}

void report_no_memory(struct report *r)
{
	if (!r->no_memory)
		r->n_errors++;
	r->no_memory = true;
}

unsigned report_count(const struct report *r)
{
	return r->n_errors;
}

static int compare(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;

	if (a->at.file != b->at.file)
		return a->at.file < b->at.file ? -1 : 1;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static void write_entry(const struct report *r, const struct entry *e, FILE *out)
{
	fputs(report_file_name(r, e->at.file), out);
	if (e->at.line > 0)
		fprintf(out, ":%u", e->at.line);
	fprintf(out, ": %s%s\n", e->warning ? "warning: " : "", e->text);
}

void report_write(const struct report *r, FILE *out)
{
	unsigned written = 0;
	struct entry sorted[REPORT_MAX];

	memcpy(sorted, r->entries, r->n_entries * sizeof(sorted[0]));
	qsort(sorted, r->n_entries, sizeof(sorted[0]), compare);
	for (unsigned i = 0; i < r->n_entries; i++) {
		if (sorted[i].warning && r->n_errors > 0)
			continue;
		write_entry(r, &sorted[i], out);
		written++;
	}
	if (r->no_memory)
		fprintf(out, "%s: memory does not suffice\n", report_file_name(r, 0));
	else if (r->n_errors > written)
		fprintf(out, "%s: %u more errors\n", report_file_name(r, 0), r->n_errors - written);
}
