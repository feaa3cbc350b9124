#include "base/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* Length of the prefix ::ffff:0:0/96 under which IPv4 lives. */
#define MAPPED 96

bool ipaddr_is_unspecified(const struct ipaddr *a)
{
	if (ipaddr_is_v4(a))
		return a->w[3] == 0;
	return (a->q[0] | a->q[1]) == 0;
}

bool ipaddr_is_loopback(const struct ipaddr *a)
{
	static const struct ipaddr one = {.b = {[15] = 1}};

	return ipaddr_is_v4(a) ? a->b[12] == 127 : ipaddr_eq(a, &one);
}

bool ipaddr_is_multicast(const struct ipaddr *a)
{
	return ipaddr_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

bool ipaddr_is_link_local(const struct ipaddr *a)
{
	if (ipaddr_is_v4(a))
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool ipaddr_is_broadcast(const struct ipaddr *a)
{
	return ipaddr_is_v4(a) && a->w[3] == UINT32_MAX;
}

struct ipaddr ipaddr_mask(struct ipaddr a, unsigned len)
{
	assert(len <= 128);
	if (len < 128) {
		a.b[len / 8] &= (uint8_t)(0xff00 >> (len % 8));
		memset(a.b + len / 8 + 1, 0, 15 - len / 8);
	}
	return a;
}

bool prefix_contains(const struct prefix *p, const struct ipaddr *a)
{
	/* An IPv6 prefix as short as ::/0 does not reach into the mapped range. */
	if (p->len < MAPPED && ipaddr_is_v4(a))
		return false;
	struct ipaddr m = ipaddr_mask(*a, p->len);
	return ipaddr_eq(&m, &p->addr);
}

int ipaddr_parse(struct ipaddr *out, const char *text)
{
	uint8_t b[16];

	if (inet_pton(AF_INET, text, b) == 1) {
		*out = ipaddr_v4(b);
		return 0;
	}
	if (inet_pton(AF_INET6, text, b) != 1)
		return -EINVAL;
	struct ipaddr a = ipaddr_v6(b);
	if (ipaddr_is_v4(&a)) /* "::ffff:192.0.2.1" would be taken for the IPv4 address */
		return -EINVAL;
	*out = a;
	return 0;
}

/* A decimal number of one to three digits without sign or leading zero. */
static int parse_len(unsigned *out, const char *text)
{
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 3 || text[n] != '\0' || (n > 1 && text[0] == '0'))
		return -EINVAL;
	*out = 0;
	for (size_t i = 0; i < n; i++)
		*out = *out * 10 + (unsigned)(text[i] - '0');
	return 0;
}

int prefix_parse_host(struct prefix *out, const char *text)
{
	char addr[ADDR_TEXT];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	struct prefix p;

	if (n >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (ipaddr_parse(&p.addr, addr) != 0)
		return -EINVAL;
	unsigned base = ipaddr_is_v4(&p.addr) ? MAPPED : 0;
	unsigned len = 128 - base;
	if (slash && (parse_len(&len, slash + 1) != 0 || len > 128 - base))
		return -EINVAL;
	p.len = (uint8_t)(base + len);
	*out = p;
	return 0;
}

int prefix_parse(struct prefix *out, const char *text)
{
	int rc = prefix_parse_host(out, text);

	if (rc == 0)
		out->addr = ipaddr_mask(out->addr, out->len);
	return rc;
}

const char *ipaddr_text(char *buf, const struct ipaddr *a)
{
	const char *s = ipaddr_is_v4(a) ? inet_ntop(AF_INET, a->b + 12, buf, ADDR_TEXT)
					: inet_ntop(AF_INET6, a->b, buf, ADDR_TEXT);

	assert(s); /* ADDR_TEXT is enough for either */
	return s;
}

const char *prefix_text(char *buf, const struct prefix *p)
{
	bool v4 = p->len >= MAPPED && ipaddr_is_v4(&p->addr);
	size_t n;

	ipaddr_text(buf, &p->addr);
	n = strlen(buf);
	snprintf(buf + n, ADDR_TEXT - n, "/%u", v4 ? p->len - MAPPED : p->len);
	return buf;
}

const char *endpoint_text(char *buf, const struct endpoint *e)
{
	char addr[INET6_ADDRSTRLEN + 1];
	char full[ADDR_TEXT];

	ipaddr_text(full, &e->addr);
	snprintf(addr, sizeof(addr), "%.*s", INET6_ADDRSTRLEN, full);
	snprintf(buf, ADDR_TEXT, ipaddr_is_v4(&e->addr) ? "%s:%u" : "[%s]:%u", addr, e->port);
	return buf;
}

const char *macaddr_text(char *buf, const struct macaddr *m)
{
	snprintf(buf, ADDR_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2],
		 m->b[3], m->b[4], m->b[5]);
	return buf;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int macaddr_parse(struct macaddr *out, const char *text)
{
	struct macaddr m;

	if (strlen(text) != 17)
		return -EINVAL;
	for (unsigned i = 0; i < 6; i++) {
		int hi = hex_digit(text[i * 3]);
		int lo = hex_digit(text[i * 3 + 1]);

		if (hi < 0 || lo < 0 || text[i * 3 + 2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		m.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*out = m;
	return 0;
}
