/*
 * http_head.h - the head of an HTTP/1.0 or 1.1 request or response: read, judged, and taken apart.
 *
 * http_head_read is called with all bytes that have come of a message. It scans them as they come
 * (http_scan.h) and, when the head is whole, has llhttp read it without any leniency, adds the
 * checks of RFC 9112 that llhttp does not make, and fills in a struct http_head. Where llhttp and
 * this file read a head differently it is refused: two readers that differ are what request
 * smuggling is made of.
 *
 * The caller keeps the bytes. All results are spans, relative to the first byte given, so they stay
 * right when the bytes move; `data` is where they were at the last call. A struct http_head is
 * large and only needed while a head is acted on: one for the whole process will do, since reading
 * the same bytes again gives the same head.
 *
 *	struct http_scan scan;
 *	http_scan_init(&scan, HTTP_KIND_REQUEST);
 *	... bytes come ...
 *	switch (http_head_read(&head, &scan, &limits, NULL, data, size)) {
 *	case L7_MORE:  wait, no longer than the timeout for heads
 *	case L7_NO:    http_error_write(http_reason_status(head.reason)), close
 *	case L7_MATCH: the head is data[0 .. head.size); the body follows, framed as head.framing
 *	}
 */
#ifndef L7_HTTP_HEAD_H
#define L7_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l7/answer.h"
#include "l7/http_reason.h"
#include "l7/http_scan.h"
#include "l7/text.h"

#define HTTP_FIELDS_MAX 256   /* struct http_limits cannot allow more */
#define HTTP_HOST_MAX 255     /* bytes of a host's name */
#define HTTP_BYTES_MAX 262144 /* nor this many bytes */

enum http_method {
	METHOD_OTHER, /* known to llhttp: WebDAV and the like */
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_PUT,
	METHOD_DELETE,
	METHOD_CONNECT,
	METHOD_OPTIONS,
	METHOD_TRACE,
	METHOD_PATCH,
};

/* Form of a request target (RFC 9112 section 3.2). */
enum http_form {
	FORM_ORIGIN,	/* /path?query */
	FORM_ABSOLUTE,	/* http://host/path?query */
	FORM_AUTHORITY, /* host:port, of CONNECT */
	FORM_ASTERISK,	/* * , of OPTIONS */
};

/* How the body is delimited (RFC 9112 section 6.3). */
enum http_framing {
	FRAMING_NONE,	/* there is none */
	FRAMING_LENGTH, /* `length` bytes, at least one */
	FRAMING_CHUNKED,
	FRAMING_CLOSE,	/* all that comes until the server closes */
	FRAMING_TUNNEL, /* no HTTP any more: 101, or 2xx to CONNECT */
};

/* Fields that mean something here. */
enum http_field_id {
	FIELD_OTHER,
	FIELD_CONNECTION,
	FIELD_CONTENT_LENGTH,
	FIELD_COOKIE,
	FIELD_EXPECT,
	FIELD_FORWARDED,
	FIELD_HOST,
	FIELD_HTTP2_SETTINGS,
	FIELD_KEEP_ALIVE,
	FIELD_PROXY_CONNECTION,
	FIELD_REFERER,
	FIELD_SET_COOKIE,
	FIELD_TE,
	FIELD_TRANSFER_ENCODING,
	FIELD_UPGRADE,
	FIELD_USER_AGENT,
	FIELD_VIA,
	FIELD_X_FORWARDED_FOR,
	FIELD_ID_COUNT,
};

struct http_field {
	struct span name, value; /* the value without white space around it */
	uint8_t id;		 /* enum http_field_id */
	bool drop;		 /* ends here: hop-by-hop (RFC 9110 section 7.6.1) */
};

/* What a response answers; NULL where a request is read. */
struct http_asked {
	enum http_method method;
	uint8_t minor; /* version of the request as the server got it: 1.`minor` */
	bool upgrade;  /* the server was asked to switch protocols */
};

struct http_head {
	const char *data;
	uint32_t size; /* of the head; what follows is body, or the next message */
	enum http_reason reason;
	uint8_t kind;  /* enum http_kind */
	uint8_t minor; /* of the version 1.`minor` */

	/* request */
	enum http_method method;
	enum http_form form;
	struct span method_name;
	struct span target; /* as it came */
	struct span path;  /* of the target, up to '?'; empty in FORM_AUTHORITY and "http://host" */
	struct span query; /* behind the path, '?' included; may be empty */
	struct span authority; /* host and port, from Host or the target; empty when none (1.0) */
	struct span host;      /* without the port and a final dot; [..] around IPv6 addresses */
	uint16_t port;	       /* 0: not said */
	bool expect_continue;  /* the client waits for 100 (Continue) before it sends the body */

	/* response */
	uint16_t status;
	struct span phrase;

	/* both */
	enum http_framing framing;
	uint64_t length; /* FRAMING_LENGTH; of HEAD and 304 what the length would have been */
	bool has_length; /* Content-Length is there */
	bool keep_alive; /* the connection may be used again after this message */
	bool upgrade;	 /* asks to switch, or switches, to WebSocket, and nothing else */
	uint16_t n_fields;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/* Read a head, or what has come of it. `limits->fields` and `->bytes` hold up to HTTP_FIELDS_MAX
 * and HTTP_BYTES_MAX. `asked` says what a response answers. L7_MATCH fills in all of `h`, L7_NO
 * only `h->reason` and `h->kind`, L7_MORE nothing. */
enum l7_answer http_head_read(struct http_head *h, struct http_scan *scan,
			      const struct http_limits *limits, const struct http_asked *asked,
			      const void *data, size_t size);

/* The bytes of a span of `h`. */
static inline struct text http_text(const struct http_head *h, struct span s)
{
	return text_of(h->data, s);
}

/* The first field `id` from `*at` on; NULL when there is none. `*at` is moved behind it. */
const struct http_field *http_field_next(const struct http_head *h, enum http_field_id id,
					 unsigned *at);

/* The value of the first field of that name (any case), or an empty text with p == NULL. */
struct text http_field_find(const struct http_head *h, struct text name);

enum http_field_id http_field_id(struct text name);

/* May such a request be sent again when it is not known whether it was carried out (RFC 9110
 * section 9.2.2)? METHOD_OTHER never. */
bool http_method_idempotent(enum http_method m);

#endif
