#define _GNU_SOURCE 1 /* vasprintf */

#include "conf/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct report_pos at;
	unsigned seq;
	char *text;
};

struct report {
	char **files;
	uint32_t n_files;
	unsigned n_entries; /* kept */
	unsigned n_errors;  /* seen */
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

void report_error(struct report *r, struct report_pos at, const char *fmt, ...)
{
	char *text;
	va_list ap;

	r->n_errors++;
	if (r->n_entries == REPORT_MAX)
		return;
	va_start(ap, fmt);
	int rc = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (rc < 0) {
		r->no_memory = true;
		return;
	}
	/* a value may hold anything; an error stays one line */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	r->entries[r->n_entries] = (struct entry){.at = at, .seq = r->n_entries, .text = text};
	r->n_entries++;
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

void report_write(const struct report *r, FILE *out)
{
	struct entry sorted[REPORT_MAX];

	memcpy(sorted, r->entries, r->n_entries * sizeof(sorted[0]));
	qsort(sorted, r->n_entries, sizeof(sorted[0]), compare);
	for (unsigned i = 0; i < r->n_entries; i++)
		fprintf(out, "%s:%u: %s\n", report_file_name(r, sorted[i].at.file),
			sorted[i].at.line, sorted[i].text);
	if (r->no_memory)
		fprintf(out, "%s: memory does not suffice\n", report_file_name(r, 0));
	else if (r->n_errors > r->n_entries)
		fprintf(out, "%s: %u more errors\n", report_file_name(r, 0),
			r->n_errors - r->n_entries);
}
