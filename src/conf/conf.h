/*
 * conf.h - /etc/fwclusterd.conf to struct params (base/params.h), through libconfuse.
 *
 * All errors of a file are collected in one run, each as "file:line: what is wrong; what is
 * allowed". Nothing is applied from a file with an error. What is allowed but hardly meant is
 * written as "file:line: warning: ..." beside them, and does not count.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdio.h>

#include "base/params.h"

/* The validated configuration, or NULL when there are errors. Errors and warnings are written to
 * `errors` (one line each). `n_errors` may be NULL. Free with conf_free. */
struct params *conf_load(const char *path, FILE *errors, unsigned *n_errors);
struct params *conf_parse(const char *name, const char *text, FILE *errors, unsigned *n_errors);
void conf_free(struct params *params);

/* What a running daemon cannot change by reload (device of a port, cluster id, table sizes, ...):
 * writes one line per difference to `out`, returns their number. */
unsigned conf_restart_only(const struct params *old, const struct params *new, FILE *out);

/* Every option of the file, one a line: "section.option", its default (- = none), "restart" or "-",
 * and what is allowed, separated by tabs. */
void conf_options(FILE *out);

#endif
