/*
 * proxy_v2.h - the header of the PROXY protocol, version 2, which tells a server who the client is
 * before the first byte of the client's own.
 *
 *	 0           12      13         14       16
 *	+-----------+-------+----------+--------+------------------------------------+
 *	| signature | 2,    | family,  | length | source and destination address,    |
 *	|           | cmd   | stream   |        | source and destination port        |
 *	+-----------+-------+----------+--------+------------------------------------+
 */
#ifndef L7_PROXY_V2_H
#define L7_PROXY_V2_H

#include "base/addr.h"
#include "base/cursor.h"

#define PROXY_V2_MAX 52 /* bytes of the longest header made here */

/* A connection of `client` to `service` (PROXY, over TCP). Where only one of the two is IPv4, both
 * are written as IPv6 addresses. */
void proxy_v2_write(struct wcur *w, const struct endpoint *client, const struct endpoint *service);

/* A connection of the dispatcher's own, such as a check (LOCAL). */
void proxy_v2_write_local(struct wcur *w);

#endif
