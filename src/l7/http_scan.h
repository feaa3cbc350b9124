/*
 * http_scan.h - where the head of an HTTP/1.0 or 1.1 message ends, and whether its lines are what
 * RFC 9112 allows, byte by byte as they come.
 *
 * The scanner sees each byte once, so a client that sends one byte at a time costs no more than
 * another, and what is refused is refused at the first wrong byte, however the bytes were cut. It
 * remembers 16 bytes per message. What the head means is http_head.h's, once the head is whole.
 *
 * Strictly: lines end with CR LF and nothing else; no line folding; no white space before the
 * colon; names are tokens; no NUL and no control byte anywhere; method, target and version are
 * separated by one space each. One empty line before a request is skipped (section 2.2).
 */
#ifndef L7_HTTP_SCAN_H
#define L7_HTTP_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "l7/answer.h"
#include "l7/http_reason.h"

#define HTTP_METHOD_MAX 32 /* bytes of a method */

enum http_kind {
	HTTP_KIND_REQUEST,
	HTTP_KIND_RESPONSE,
	HTTP_KIND_TRAILER, /* field lines and the empty line alone */
};

/* What one head may be. A head of exactly the limit passes. */
struct http_limits {
	uint32_t bytes;	 /* the whole head, the empty lines included */
	uint32_t target; /* the request target; 414 above */
	uint32_t fields; /* field lines */
};

#define HTTP_LIMITS_DEFAULT                                                                        \
	{                                                                                          \
		.bytes = 16384, .target = 8192, .fields = 100                                      \
	}

/* Between heads all zero but for `kind`, as http_scan_init leaves it. */
struct http_scan {
	uint32_t at;	 /* bytes scanned; the size of the head at L7_MATCH */
	uint32_t mark;	 /* where the part that is being scanned began */
	uint16_t fields; /* field lines begun */
	uint16_t start;	 /* offset of the start line: 2 behind an empty line, else 0 */
	uint8_t kind;	 /* enum http_kind */
	uint8_t state;	 /* enum http_scan_state */
	uint8_t matched; /* bytes of the version or status code */
	uint8_t reason;	 /* enum http_reason, once refused */
};

enum http_scan_state {
	SCAN_START,
	SCAN_SKIP_LF,
	SCAN_FIRST,
	SCAN_METHOD,
	SCAN_TARGET,
	SCAN_VERSION,
	SCAN_VERSION_END,
	SCAN_STATUS,
	SCAN_STATUS_END,
	SCAN_PHRASE,
	SCAN_LF,
	SCAN_FIELD,
	SCAN_NAME,
	SCAN_VALUE,
	SCAN_END_LF,
	SCAN_DONE,
	SCAN_REFUSED,
};

void http_scan_init(struct http_scan *s, enum http_kind kind);

/* `data` begins with the message and holds all that has come of it; what was seen before is not
 * looked at again. L7_MATCH: the head is the first s->at bytes. L7_NO: `s->reason`. Asked again
 * without being initialised, it answers the same. */
enum l7_answer http_scan(struct http_scan *s, const struct http_limits *l, const void *data,
			 size_t size);

/* The same, where `piece` is what follows on the bytes scanned so far. */
enum l7_answer http_scan_piece(struct http_scan *s, const struct http_limits *l, const void *piece,
			       size_t size);

#endif
