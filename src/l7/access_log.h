/*
 * access_log.h - one line for each request that was answered, in the combined format of the common
 * web servers or as JSON.
 *
 * Whatever a client sent, a line is one line: bytes that are no printable ASCII, quotes and
 * backslashes are written as \xHH (in JSON \\xHH, so that a reader gets \xHH), and long texts are
 * cut, but not inside an escape. A line always fits ACCESS_LOG_LINE_MAX.
 */
#ifndef L7_ACCESS_LOG_H
#define L7_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "l7/text.h"

#define ACCESS_LOG_LINE_MAX 8192
#define ACCESS_LOG_UNKNOWN UINT32_MAX /* a time that was never reached */

enum access_format { ACCESS_COMBINED, ACCESS_JSON };

/* Texts may be empty; they are read while the line is written, and not kept. */
struct access_record {
	uint64_t time_ms; /* when the request began; wall clock, since 1970, UTC */
	struct endpoint client;
	struct text method, target, host, referer, user_agent; /* of the client */
	uint8_t minor;					       /* of its version 1.`minor` */
	uint16_t status;				       /* sent; 0: none was */
	uint64_t received, sent; /* bytes of the request's, of the response's content */
	struct text service, server;
	const char *cookie; /* cookie_verdict_name(), or NULL */
	const char *reason; /* http_reason_name(), or NULL */
	/* since the request began, in microseconds */
	uint32_t queue_us, connect_us, first_byte_us, total_us;
};

/* The line, its line feed included; returns its size. */
size_t access_log_write(char out[ACCESS_LOG_LINE_MAX], enum access_format format,
			const struct access_record *r);

#endif
