/*
 * key.h - the identity of a flow, the same for both directions.
 *
 * The two endpoints are put into a fixed order, so one look-up finds the flow whichever way a
 * packet travels; which way that is, is the direction bit (0: source is endpoint a). No holes, so
 * keys are compared and hashed as words.
 */
#ifndef FLOW_KEY_H
#define FLOW_KEY_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"
#include "base/hash.h"
#include "packet/decode.h"

struct flow_key {
	struct ipaddr a, b;
	uint16_t aport, bport;
	uint8_t proto;
	uint8_t version; /* 4 or 6 */
	uint16_t zone;	 /* 0; part of the key for later use */
};

_Static_assert(sizeof(struct flow_key) == 40, "five words, no holes");

/* Key of a tuple; returns the direction bit. The order of the endpoints is that of the bytes on the
 * wire, so members of either endianness agree on it. */
static inline unsigned flow_key_make(struct flow_key *key, const struct pkt_tuple *t,
				     uint8_t version)
{
	uint64_t src = be64toh(t->src.q[0]), dst = be64toh(t->dst.q[0]);

	if (src == dst) {
		src = be64toh(t->src.q[1]);
		dst = be64toh(t->dst.q[1]);
	}
	bool swap = src > dst || (src == dst && t->sport > t->dport);
	key->a = swap ? t->dst : t->src;
	key->b = swap ? t->src : t->dst;
	key->aport = swap ? t->dport : t->sport;
	key->bport = swap ? t->sport : t->dport;
	key->proto = t->proto;
	key->version = version;
	key->zone = 0;
	return swap;
}

/* The tuple of a packet that travels in direction `dir`. */
struct pkt_tuple flow_key_tuple(const struct flow_key *key, unsigned dir);

static inline bool flow_key_eq(const struct flow_key *x, const struct flow_key *y)
{
	return memcmp(x, y, sizeof(*x)) == 0;
}

static inline uint64_t flow_key_hash(const struct flow_key *key, const struct hash_key *secret)
{
	uint64_t w[5];
	memcpy(w, key, sizeof(w));
	if (key->version == 4) { /* only the last four bytes of mapped addresses tell anything */
		w[0] = (uint64_t)key->a.w[3] << 32 | key->b.w[3];
		w[1] = w[4];
		return hash_words(secret, w, 2);
	}
	return hash_words(secret, w, 5);
}

/* "tcp 192.0.2.1:1234 198.51.100.1:80" as travelled in direction `dir`. */
#define FLOW_KEY_TEXT 128
const char *flow_key_text(char *buf, const struct flow_key *key, unsigned dir);

/* "tcp", "udp", "icmp", "icmp6" or the number (in a static table or in `buf` of 8 bytes). */
const char *flow_proto_text(char *buf, uint8_t proto);

#endif
