/*
 * addr.h - IP addresses, prefixes and endpoints.
 *
 * One type holds both families: IPv4 as an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2),
 * 16 bytes in network order, so comparing and hashing need no cases. Ports are in host order.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ipaddr {
	union {
		uint8_t b[16];
		uint32_t w[4];
		uint64_t q[2];
	};
};

struct prefix {
	struct ipaddr addr; /* host bits are zero */
	uint8_t len;	    /* 0..128; an IPv4 prefix of n bits is stored as 96 + n */
};

struct endpoint {
	struct ipaddr addr;
	uint16_t port;
};

struct macaddr {
	uint8_t b[6];
};

/* Room for any text the functions below make, terminating zero included. */
#define ADDR_TEXT 64

static inline bool ipaddr_eq(const struct ipaddr *x, const struct ipaddr *y)
{
	return x->q[0] == y->q[0] && x->q[1] == y->q[1];
}

static inline bool ipaddr_is_v4(const struct ipaddr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

/* The four bytes at `p`, in network order, as an address. */
static inline struct ipaddr ipaddr_v4(const void *p)
{
	struct ipaddr a = {.b = {[10] = 0xff, [11] = 0xff}};
	memcpy(a.b + 12, p, 4);
	return a;
}

static inline struct ipaddr ipaddr_v6(const void *p)
{
	struct ipaddr a;
	memcpy(a.b, p, 16);
	return a;
}

static inline bool macaddr_eq(const struct macaddr *x, const struct macaddr *y)
{
	return memcmp(x->b, y->b, sizeof(x->b)) == 0;
}

/* All-zero (::), 0.0.0.0, loopback, multicast, link-local (169.254/16, fe80::/10), broadcast. */
bool ipaddr_is_unspecified(const struct ipaddr *a);
bool ipaddr_is_loopback(const struct ipaddr *a);
bool ipaddr_is_multicast(const struct ipaddr *a);
bool ipaddr_is_link_local(const struct ipaddr *a);
bool ipaddr_is_broadcast(const struct ipaddr *a);

bool prefix_contains(const struct prefix *p, const struct ipaddr *a);

/* Clear the bits of `a` behind the first `len` (0..128). */
struct ipaddr ipaddr_mask(struct ipaddr a, unsigned len);

/* "192.0.2.1" or "2001:db8::1". 0, or -EINVAL. */
int ipaddr_parse(struct ipaddr *out, const char *text);

/* "192.0.2.0/24", "2001:db8::/32", or a bare address (full length). Host bits are kept in
 * `out->addr` only by prefix_parse_host; prefix_parse clears them. 0, or -EINVAL. */
int prefix_parse(struct prefix *out, const char *text);
int prefix_parse_host(struct prefix *out, const char *text);

/* Text into `buf` of at least ADDR_TEXT bytes; returns `buf`. An endpoint is printed as
 * 192.0.2.1:80 or [2001:db8::1]:80; a prefix with its family's own length. */
const char *ipaddr_text(char *buf, const struct ipaddr *a);
const char *prefix_text(char *buf, const struct prefix *p);
const char *endpoint_text(char *buf, const struct endpoint *e);
const char *macaddr_text(char *buf, const struct macaddr *m);
int macaddr_parse(struct macaddr *out, const char *text);

#endif
