/*
 * answer.h - what every answer may be: an error instead of what was asked for.
 */
#ifndef CTL_ANSWER_H
#define CTL_ANSWER_H

#include <jansson.h>

#include "ctl/options.h"

/* EXIT_OK, or the error's exit status after printing its text. */
enum exit_code answer_check(const json_t *answer);

/* Print why there was no answer. */
enum exit_code answer_unreachable(const char *why);

/* The answer does not follow the schema: versions of tool and daemon differ. */
enum exit_code answer_malformed(void);

#endif
