/*
 * report.h - the errors of one reading of the configuration.
 *
 * Every error is kept with its position and written at the end, in the order of the text, as
 * "file:line: what is wrong; what is allowed". The report owns the names of the files and the
 * texts. At most REPORT_MAX errors and warnings are kept; all errors are counted.
 */
#ifndef CONF_REPORT_H
#define CONF_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define REPORT_MAX 200
#define REPORT_WARNINGS 50 /* of them */

struct report;

struct report_pos {
	uint32_t file; /* as report_file returned it */
	uint32_t line; /* 1 = first, 0 = the file as a whole */
};

/* NULL when memory does not suffice. */
struct report *report_new(void);
void report_free(struct report *r);

/* The number of a file from now on; UINT32_MAX when memory does not suffice. */
uint32_t report_file(struct report *r, const char *name);
const char *report_file_name(const struct report *r, uint32_t file);

void report_error(struct report *r, struct report_pos at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Something that is allowed, but hardly meant: not counted. */
void report_warning(struct report *r, struct report_pos at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Memory did not suffice: one error of its own, without a position. */
void report_no_memory(struct report *r);

unsigned report_count(const struct report *r);

/* Write all errors, one line each; or all warnings, when there are no errors, which make many of
 * them wrong. */
void report_write(const struct report *r, FILE *out);

#endif
