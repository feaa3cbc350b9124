/*
 * http_parts.h - what the files behind http_head.h share. Each gets a whole head, and says
 * HTTP_REASON_NONE or why it is refused.
 */
#ifndef L7_HTTP_PARTS_H
#define L7_HTTP_PARTS_H

#include "l7/http_head.h"

/* What llhttp made of the head, to be compared. */
struct http_judged {
	struct span target;
	uint64_t length;
	uint16_t status;
	uint8_t minor;
	bool has_length, has_coding, chunked;
};

/* Have llhttp read the `size` bytes of `h`: the fields, and `j`. */
enum http_reason http_judge(struct http_head *h, struct http_judged *j);

/* Target, path, query, authority from `h->target` and the Host fields (RFC 9112 section 3.2). */
enum http_reason http_target_read(struct http_head *h);

/* Connection, its tokens, Upgrade and Expect; marks the fields that end here. */
enum http_reason http_fields_read(struct http_head *h, const struct http_asked *asked);

/* Content-Length, Transfer-Encoding and what the message is: the framing (section 6.3), compared
 * with what llhttp saw. */
enum http_reason http_framing_read(struct http_head *h, const struct http_asked *asked,
				   const struct http_judged *j);

#endif
