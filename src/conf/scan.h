/*
 * scan.h - first reading of the configuration: its shape.
 *
 * libconfuse stops at the first mistake and keeps lines of sections only. So the text is first
 * walked along the schema: everything that is unknown, given twice or badly formed is reported and
 * left out, include() is replaced by the included text, and the rest is written anew with one token
 * a line. In that text libconfuse finds nothing to complain of, and the line it is at when it
 * hands over a value is the index of the token, from which scan_pos tells file and line.
 */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/report.h"

struct scan;

/* Both report their errors and return NULL only when nothing could be read at all. The file is
 * opened, or `text` (of the name `name`, which include() is relative to) taken. */
struct scan *scan_file(const char *path, struct report *report);
struct scan *scan_text(const char *name, const char *text, struct report *report);
void scan_free(struct scan *s);

/* The text for libconfuse. */
const char *scan_output(const struct scan *s);

/* True when the shape was so broken that values cannot be judged. */
bool scan_broken(const struct scan *s);

/* Where the token on line `line` of the output came from. */
struct report_pos scan_pos(const struct scan *s, unsigned line);

/* The last line of the main file: the place of errors about what is missing. */
struct report_pos scan_end(const struct scan *s);

#endif
