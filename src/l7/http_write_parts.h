/*
 * http_write_parts.h - what the files behind http_write.h share.
 */
#ifndef L7_HTTP_WRITE_PARTS_H
#define L7_HTTP_WRITE_PARTS_H

#include "l7/http_write.h"

static inline void put(struct wcur *w, struct text t)
{
	wcur_bytes(w, t.p, t.size);
}

static inline void put_str(struct wcur *w, const char *s)
{
	wcur_bytes(w, s, strlen(s));
}

/* name ": " value CRLF */
static inline void put_field(struct wcur *w, struct text name, struct text value)
{
	put(w, name);
	put(w, TEXT(": "));
	put(w, value);
	put(w, TEXT("\r\n"));
}

void http_put_number(struct wcur *w, uint64_t n);

/* X-Forwarded-For and Forwarded, as `e` says. */
void http_write_forwarded(struct wcur *w, const struct http_head *h,
			  const struct http_request_edit *e);

/* Are fields of that id written by http_write_forwarded? */
bool http_forwarded_replaces(const struct http_request_edit *e, uint8_t id);

/* A Cookie field without, or with an edited, cookie; nothing when no pair is left. */
void http_write_cookie(struct wcur *w, struct text value, const struct http_request_edit *e);

#endif
