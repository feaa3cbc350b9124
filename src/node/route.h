/*
 * route.h - longest-prefix match over the routes of the kernel and of the configuration.
 *
 * One hash table; a look-up tries only the prefix lengths in use, longest first. Built whole and
 * swapped; flows remember the answer together with the node's route generation, so look-ups are
 * rare.
 */
#ifndef NODE_ROUTE_H
#define NODE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/hash.h"

struct route {
	struct prefix dst;
	struct ipaddr via; /* unspecified (::) = on link */
	uint32_t metric;   /* smaller wins among equal prefixes; configured routes have 0 */
	uint16_t port;
	bool from_config;
};

struct route_table;

/* Copies `v`; of equal prefixes the one with the smallest metric stays. NULL without memory. */
struct route_table *route_table_new(const struct route *v, size_t n, const struct hash_key *secret);
void route_table_free(struct route_table *t);
/* The route for an address, or NULL. */
const struct route *route_table_find(const struct route_table *t, const struct ipaddr *a);
size_t route_table_count(const struct route_table *t);
const struct route *route_table_at(const struct route_table *t, size_t i);

#endif
