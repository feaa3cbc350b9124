/*
 * sockaddr.h - between endpoints and what the socket calls take. Internal to src/io.
 */
#ifndef IO_SOCKADDR_H
#define IO_SOCKADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/addr.h"

union sockaddr_any {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static inline int sockaddr_family(const struct ipaddr *a)
{
	return ipaddr_is_v4(a) ? AF_INET : AF_INET6;
}

/* Fills `out`; returns its size. */
static inline socklen_t sockaddr_from(union sockaddr_any *out, const struct endpoint *e)
{
	memset(out, 0, sizeof(*out));
	if (ipaddr_is_v4(&e->addr)) {
		out->in.sin_family = AF_INET;
		out->in.sin_port = htons(e->port);
		memcpy(&out->in.sin_addr, e->addr.b + 12, 4);
		return sizeof(out->in);
	}
	out->in6.sin6_family = AF_INET6;
	out->in6.sin6_port = htons(e->port);
	memcpy(&out->in6.sin6_addr, e->addr.b, 16);
	return sizeof(out->in6);
}

/* Of an address of either family; all zero for any other. */
static inline struct endpoint sockaddr_endpoint(const union sockaddr_any *a)
{
	struct endpoint e = {.port = 0};

	if (a->sa.sa_family == AF_INET) {
		e.addr = ipaddr_v4(&a->in.sin_addr);
		e.port = ntohs(a->in.sin_port);
	} else if (a->sa.sa_family == AF_INET6) {
		e.addr = ipaddr_v6(&a->in6.sin6_addr);
		e.port = ntohs(a->in6.sin6_port);
	}
	return e;
}

#endif
