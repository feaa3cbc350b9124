/*
 * http_body.h - where the body of an HTTP/1.x message ends, and which of its bytes are content.
 *
 * The reader never holds content. It is shown bytes as they come and says how many of them belong
 * to the message; these may be passed on as they are, since a chunked body is checked so strictly
 * (RFC 9112 section 7.1) that no other reader can find its end elsewhere: sizes are plain
 * hexadecimal, lines end with CR LF, extensions are well-formed, and a trailer cannot hold fields
 * that a head would be misread by (RFC 9110 section 6.5.1).
 *
 * A body can pass without being looked at: http_body_unseen says how many of the next bytes are
 * content whatever they are, and http_body_passed takes note of those that were moved (spliced).
 *
 *	http_body_init(&body, head.framing, head.length);
 *	while (bytes come)
 *		switch (http_body_read(&body, &limits, data, size, &used)) {
 *		case L7_MORE:  pass on data[0 .. used), which is all of them
 *		case L7_MATCH: pass on data[0 .. used); the next message begins at data + used
 *		case L7_NO:    body.reason; data[0 .. used) were right, but both sides are closed
 *		}
 */
#ifndef L7_HTTP_BODY_H
#define L7_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l7/answer.h"
#include "l7/http_head.h"
#include "l7/http_reason.h"
#include "l7/http_scan.h"

#define HTTP_TRAILER_NAME 24 /* longer than the longest name that is refused */

struct http_body_limits {
	struct http_limits trailer; /* `target` means nothing here */
	uint32_t extensions;	    /* bytes of chunk extensions in one message */
};

#define HTTP_BODY_LIMITS_DEFAULT                                                                   \
	{                                                                                          \
		.trailer = {.bytes = 8192, .target = 1, .fields = 32}, .extensions = 4096          \
	}

struct http_body {
	uint64_t left;	       /* bytes of the body, or of the chunk, that are still to come */
	uint64_t content;      /* bytes of content seen or passed */
	uint64_t total;	       /* bytes seen or passed, framing included */
	uint32_t extensions;   /* bytes of chunk extensions seen */
	uint8_t framing;       /* enum http_framing */
	uint8_t state;	       /* enum http_body_state */
	uint8_t reason;	       /* enum http_reason, after L7_NO */
	uint8_t digits;	       /* of the chunk size */
	uint8_t name_size;     /* of the trailer field's name, at most HTTP_TRAILER_NAME */
	struct http_scan scan; /* of the trailer */
	char name[HTTP_TRAILER_NAME];
};

/* `length` counts for FRAMING_LENGTH alone. */
void http_body_init(struct http_body *b, enum http_framing framing, uint64_t length);

/* Look at the next `size` bytes. `*used`: how many of them, from the first, belong to the message.
 * With FRAMING_NONE L7_MATCH at once, with nothing used. Bodies that only the connection's end
 * ends (FRAMING_CLOSE, FRAMING_TUNNEL) never match. Asked again after L7_MATCH or L7_NO, it says
 * the same and uses nothing. */
enum l7_answer http_body_read(struct http_body *b, const struct http_body_limits *l,
			      const void *data, size_t size, size_t *used);

/* The same, but at most to the end of one run of bytes of a kind: `*content` says which. */
enum l7_answer http_body_step(struct http_body *b, const struct http_body_limits *l,
			      const void *data, size_t size, size_t *used, bool *content);

/* So many of the next bytes are content whatever they are (UINT64_MAX: all). 0 where the reader
 * must see the next byte. */
uint64_t http_body_unseen(const struct http_body *b);

/* `n` bytes have passed that way, at most http_body_unseen() of them. L7_MATCH: that was all. */
enum l7_answer http_body_passed(struct http_body *b, uint64_t n);

/* May the connection end here? True at the end of a message, and anywhere in a body that ends with
 * the connection; where false, the message is incomplete (RFC 9112 section 8). */
bool http_body_may_close(const struct http_body *b);

#endif
