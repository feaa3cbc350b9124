/*
 * source.h - texts of configuration files.
 */
#ifndef CONF_SOURCE_H
#define CONF_SOURCE_H

#include <stddef.h>

#define SOURCE_MAX (16u << 20) /* bytes of one file */

/* The content of a regular file, ending with a zero byte; the caller frees it. NULL, and the cause
 * in *why, when it cannot be read or is no text. */
char *source_read(const char *path, const char **why);

/* The path that `name`, written in the file `from`, means: relative to the directory of `from`.
 * NULL when memory does not suffice. */
char *source_path(const char *from, const char *name);

#endif
