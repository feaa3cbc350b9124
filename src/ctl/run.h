/*
 * run.h - carry out one command: ask the daemon, print, say how it went.
 */
#ifndef CTL_RUN_H
#define CTL_RUN_H

#include "ctl/grammar.h"
#include "ctl/options.h"

enum exit_code run_command(const struct options *o, const struct command *c);

/* For completion: the names that the daemon has in the table `what`, as far as they begin so, one a
 * line; none when it does not answer at once. */
void run_names(FILE *out, const char *what, const char *begun);

#endif
