/*
 * connect.h - TCP connections from the host's own stack, opened without waiting.
 */
#ifndef IO_CONNECT_H
#define IO_CONNECT_H

#include "base/addr.h"

/* A non-blocking socket that is connecting or has connected; or negative errno. Writable means that
 * the outcome is known: connect_result. */
int connect_start(const struct endpoint *to);
/* 0, or the negative errno the attempt ended with. */
int connect_result(int fd);

#endif
