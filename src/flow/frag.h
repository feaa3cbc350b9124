/*
 * frag.h - virtual reassembly: which flow does a fragment belong to (FC-9, RFC 5722, RFC 1858).
 *
 * Fragments are never glued together. A tracker per datagram (source, destination, id, protocol)
 * remembers the flow key its first fragment gave, which byte ranges were seen, and where the
 * datagram goes (IPv6 datagrams are told apart without the protocol, RFC 8200 section 4.5).
 * Fragments that come before the first one wait in the caller's hold queue. Bounded: fixed number
 * of trackers (the oldest datagram that is not complete gives way), at most FRAG_RANGES ranges
 * each, at most `per_source` trackers of one source address; a keyed hash; 30 s life at most
 * (configurable). A complete datagram is remembered for one second more, for late duplicates; a
 * first fragment then means that the id has been used again.
 */
#ifndef FLOW_FRAG_H
#define FLOW_FRAG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/drop.h"
#include "flow/key.h"

#define FRAG_RANGES 64 /* a 64 KiB datagram over an MTU of 1280 has 54 fragments */

struct frag_table;

struct frag_params {
	uint32_t capacity; /* trackers */
	uint32_t per_source;
	uint32_t timeout_ms;
};

struct frag_table *frag_table_new(const struct frag_params *params, const struct hash_key *secret,
				  uint64_t now_ns);
void frag_table_free(struct frag_table *t);

/* What is known of a datagram, from the caller's point of view. */
struct frag {
	bool known; /* the flow is known: key and dir are valid */
	uint8_t dir;
	struct flow_key key;
	struct pkt_tuple tuple; /* the datagram's tuple with its ports */
	uint32_t tag;	     /* caller's word, 0 at first (for example where the datagram goes) */
	enum drop condemned; /* DROP_NONE, or why all fragments of it are dropped (not `known`) */
};

/* Account for a fragment. Returns DROP_NONE and *out, which stays valid until the next call on the
 * table; or FRAG_OVERLAP, FRAG_TINY, FRAG_BAD, FRAG_LIMIT. An overlap or impossible length condemns
 * the whole datagram: later fragments of it get the same reason until the tracker ends. An exact
 * duplicate of a range already seen is passed as it is when it is no first fragment, since the
 * network may duplicate (RFC 8200 section 4.5 allows it); a second first fragment is dropped alone,
 * as FRAG_OVERLAP, since it might bring another header. The first fragment (offset 0) makes the
 * flow known; FRAG_TINY is a first fragment of TCP or UDP without the whole header, or a later one
 * that begins inside it (RFC 3128). *out is NULL when the fragment is dropped. */
enum drop frag_table_see(struct frag_table *t, const struct pkt *pkt, uint64_t now_ns,
			 struct frag **out);

/* Look without accounting; NULL when there is no tracker. */
struct frag *frag_table_find(struct frag_table *t, const struct pkt *pkt, uint64_t now_ns);

/* Free trackers whose time is up; returns when to call next (UINT64_MAX: none). */
uint64_t frag_table_expire(struct frag_table *t, uint64_t now_ns);
uint32_t frag_table_count(const struct frag_table *t);

#endif
