/*
 * http_write.h - heads written anew from heads that were read, with what a gateway must change; and
 * the error responses that a gateway makes itself.
 *
 * Everything is written into the caller's buffer through a cursor (base/cursor.h): when it was too
 * small, the cursor's sticky error says so, and nothing of it may be sent. HTTP_WRITE_ROOM more
 * than the head that was read is enough for what browsers and servers send; a head that needs more
 * is answered with 431 or 502 as one that was too long.
 *
 * What is changed without being asked for: fields that end here are left out (http_head.h marks
 * them); white space around names and values, and the case of "chunked", become the plain form; a
 * request for an absolute URI becomes one in origin form; Content-Length is written as the number
 * that was understood. Host comes first. The order of all other fields stays.
 *
 * The body follows byte for byte as it came, in the same framing.
 */
#ifndef L7_HTTP_WRITE_H
#define L7_HTTP_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cursor.h"
#include "l7/http_head.h"
#include "l7/text.h"

#define HTTP_WRITE_ROOM 1024

/* What becomes of the connection that is written to, after this message. */
enum http_hold {
	HOLD_KEEP,
	HOLD_CLOSE,
	HOLD_UPGRADE, /* asks for, or carries out, the switch that head.upgrade says */
};

enum http_forwarded {
	FORWARDED_NONE,	   /* X-Forwarded-For and Forwarded pass as they came */
	FORWARDED_X,	   /* X-Forwarded-For */
	FORWARDED_RFC7239, /* Forwarded */
	FORWARDED_BOTH,
};

/* What is to become of the cookie of that name in a request. */
enum http_cookie_edit {
	COOKIE_KEEP,
	COOKIE_STRIP,	 /* the dispatcher's own: left out, wherever it stands */
	COOKIE_UNPREFIX, /* the server's: token and separator taken off */
};

struct http_request_edit {
	enum http_hold hold;
	enum http_forwarded forwarded;
	bool believe; /* what such fields say already is kept, and added to; else replaced */
	const struct endpoint *client;	/* for FORWARDED_*: the other end of the connection */
	const struct endpoint *service; /* and this end */
	bool continued; /* the client has been told 100 (Continue): Expect ends here */
	enum http_cookie_edit cookie;
	struct text cookie_name;
	struct text lines; /* whole field lines with CR LF each, made here: nothing of a client */
};

/* The request to be sent to a server. Its version is the client's, so that the server answers in a
 * framing that the client understands. */
void http_write_request(struct wcur *w, const struct http_head *h,
			const struct http_request_edit *e);

struct http_response_edit {
	enum http_hold hold; /* FRAMING_CLOSE closes, whatever is said here */
	uint8_t minor;	     /* the client's version: 1.0 must be told that a connection stays */
	struct text prefix_name;  /* Set-Cookie of that name gets the token in front of its value */
	struct text prefix_token; /* */
	struct text lines;	  /* as above, e.g. a Set-Cookie of http_write_set_cookie */
};

/* The response to be sent to a client. */
void http_write_response(struct wcur *w, const struct http_head *h,
			 const struct http_response_edit *e);

struct http_set_cookie {
	struct text name, value;
	uint32_t max_age_s; /* 0: until the browser ends */
	struct text domain; /* may be empty */
	bool secure;
};

/* One field line: Set-Cookie with Path=/, HttpOnly and SameSite=Lax. */
void http_write_set_cookie(struct wcur *w, const struct http_set_cookie *c);

/* A whole response of the dispatcher's own: an error page of a few words, its Content-Length, and
 * Connection: close. `status` 400 to 599. `head`: it answers HEAD, so the page itself is left out.
 * `lines` as above (Retry-After, Date), may be empty. */
void http_write_error(struct wcur *w, unsigned status, bool head, struct text lines);

/* "100 Continue" of the dispatcher's own, for a client that waits. */
void http_write_continue(struct wcur *w);

/* "Bad Gateway" for 502; "Unknown" for what is not registered. */
const char *http_status_phrase(unsigned status);

#endif
