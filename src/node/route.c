#include "node/route.h"

#include <stdlib.h>

struct route_table {
	struct hash_key secret;
	struct route *routes;
	size_t n;
	uint32_t *slots; /* index + 1, 0 = empty */
	size_t mask;
	uint8_t lengths[129]; /* in use, longest first */
	unsigned n_lengths;
};

static size_t route_slot(const struct route_table *t, const struct ipaddr *a, uint8_t len)
{
	uint64_t w[3] = {a->q[0], a->q[1], len};
	return (size_t)hash_words(&t->secret, w, 3) & t->mask;
}

/* The slot that holds the prefix, or the empty one where it belongs. */
static uint32_t *route_probe(const struct route_table *t, const struct ipaddr *a, uint8_t len)
{
	size_t i = route_slot(t, a, len);

	while (t->slots[i]) {
		const struct prefix *p = &t->routes[t->slots[i] - 1].dst;
		if (p->len == len && ipaddr_eq(&p->addr, a))
			break;
		i = (i + 1) & t->mask;
	}
	return &t->slots[i];
}

static void route_add(struct route_table *t, const struct route *r)
{
	struct route copy = *r;
	uint32_t *slot;

	copy.dst.addr = ipaddr_mask(r->dst.addr, r->dst.len);
	slot = route_probe(t, &copy.dst.addr, copy.dst.len);
	if (*slot) {
		struct route *old = &t->routes[*slot - 1];
		if (copy.metric < old->metric)
			*old = copy;
		return;
	}
	t->routes[t->n++] = copy;
	*slot = (uint32_t)t->n;
}

static void route_index_lengths(struct route_table *t)
{
	bool used[129] = {false};

	for (size_t i = 0; i < t->n; i++)
		used[t->routes[i].dst.len] = true;
	for (int len = 128; len >= 0; len--)
		if (used[len])
			t->lengths[t->n_lengths++] = (uint8_t)len;
}

struct route_table *route_table_new(const struct route *v, size_t n, const struct hash_key *secret)
{
	struct route_table *t = calloc(1, sizeof(*t));
	size_t size = 16;

	if (!t)
		return NULL;
	while (size < n * 2)
		size *= 2;
	t->secret = *secret;
	t->mask = size - 1;
	t->routes = calloc(n ? n : 1, sizeof(*t->routes));
	t->slots = calloc(size, sizeof(*t->slots));
	if (!t->routes || !t->slots) {
		route_table_free(t);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		route_add(t, &v[i]);
	route_index_lengths(t);
	return t;
}

void route_table_free(struct route_table *t)
{
	if (!t)
		return;
	free(t->routes);
	free(t->slots);
	free(t);
}

const struct route *route_table_find(const struct route_table *t, const struct ipaddr *a)
{
	bool v4 = ipaddr_is_v4(a);

	for (unsigned i = 0; i < t->n_lengths; i++) {
		uint8_t len = t->lengths[i];
		struct ipaddr masked;
		uint32_t slot;

		if (v4 && len < 96)
			break; /* an IPv6 default route is no route for IPv4 */
		masked = ipaddr_mask(*a, len);
		slot = *route_probe(t, &masked, len);
		if (slot)
			return &t->routes[slot - 1];
	}
	return NULL;
}

size_t route_table_count(const struct route_table *t)
{
	return t->n;
}

const struct route *route_table_at(const struct route_table *t, size_t i)
{
	return i < t->n ? &t->routes[i] : NULL;
}
