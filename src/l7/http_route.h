/*
 * http_route.h - which of several pools a request goes to: an ordered list of rules, the first that
 * fits wins.
 *
 * A rule fits when all of its conditions do. The path is compared as servers understand it, not as
 * a client spelt it: escapes of unreserved characters are undone, "." and ".." are resolved (RFC
 * 3986 section 6.2.2), doubled slashes count as one. What is sent to the server is not changed by
 * this. The list is made when the configuration is read, and not changed.
 */
#ifndef L7_HTTP_ROUTE_H
#define L7_HTTP_ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include "l7/http_head.h"
#include "l7/text.h"

#define HTTP_ROUTE_PATH_MAX 8192 /* of a path that needs undoing; longer fits no path condition */

/* NULL: no condition. */
struct http_route_rule {
	const char *host;   /* "www.example.org", or "*.example.org": one label more or several */
	const char *path;   /* "/app": itself and all below it, but not "/apple" */
	const char *method; /* "POST" */
	const char *header; /* a field of that name is there */
	const char *header_value; /* and its value is this */
	const char *cookie;	  /* a cookie of that name is there */
	uint32_t pool;		  /* the caller's own */
};

struct http_route;

/* Copies the rules. NULL without memory, or with `*bad` set to the index of a rule that cannot be:
 * a path without its first '/', a host or method that no request can have, a header's value without
 * its name. */
struct http_route *http_route_new(const struct http_route_rule *rules, size_t n, size_t *bad);
void http_route_free(struct http_route *r);

/* The first rule that fits a request; NULL when none does. It is valid as long as `r`. */
const struct http_route_rule *http_route_find(const struct http_route *r,
					      const struct http_head *h);

/* The same for a connection of which only the server's name is known (TLS): a rule with other
 * conditions than the host does not fit. */
const struct http_route_rule *http_route_find_name(const struct http_route *r, struct text name);

/* The path as it is compared, into `out` of `size` bytes. The text may lie in `path` itself, when
 * nothing had to be undone. Empty, with p == NULL, when it does not fit `out`. */
struct text http_route_path(struct text path, char *out, size_t size);

#endif
