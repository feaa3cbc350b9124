#include "node/neigh.h"

#include <stdlib.h>
#include <string.h>

#define NEIGH_RETRY_NS 300000000ULL	 /* between requests while incomplete */
#define NEIGH_FIRST_RETRY_NS 50000000ULL /* the first request is repeated sooner */
#define NEIGH_FAILED_NS 1000000000ULL	 /* how long a failure is believed */
#define NEIGH_IN_USE_NS 30000000000ULL	 /* a neighbour used so lately keeps its place */
#define NEIGH_TRIES 4
#define NEIGH_LOOK 64 /* entries looked at to find one that gives way */
#define NEIGH_BUCKETS 1024

struct neigh_table {
	struct hash_key secret;
	uint16_t capacity, used;
	uint16_t hand; /* where the search for one that gives way goes on */
	uint16_t buckets[NEIGH_BUCKETS];
	struct neigh *entries;
};

const char *neigh_state_name(enum neigh_state s)
{
	static const char *const names[] = {"free",  "incomplete", "reachable",
					    "stale", "probe",	   "failed"};
	return names[s];
}

struct neigh_table *neigh_table_new(uint16_t capacity, const struct hash_key *secret)
{
	struct neigh_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->secret = *secret;
	t->capacity = capacity;
	t->entries = calloc(capacity, sizeof(*t->entries));
	if (!t->entries) {
		free(t);
		return NULL;
	}
	memset(t->buckets, 0xff, sizeof(t->buckets));
	return t;
}

void neigh_table_free(struct neigh_table *t)
{
	if (!t)
		return;
	free(t->entries);
	free(t);
}

static uint16_t *neigh_bucket(const struct neigh_table *t, uint16_t port, const struct ipaddr *addr)
{
	uint64_t w[3] = {addr->q[0], addr->q[1], port};
	size_t i = (size_t)hash_words(&t->secret, w, 3) % NEIGH_BUCKETS;
	return (uint16_t *)&t->buckets[i];
}

uint16_t neigh_find(const struct neigh_table *t, uint16_t port, const struct ipaddr *addr)
{
	uint16_t i = *neigh_bucket(t, port, addr);

	while (i != NEIGH_NONE) {
		const struct neigh *n = &t->entries[i];
		if (n->port == port && ipaddr_eq(&n->addr, addr))
			return i;
		i = n->chain;
	}
	return NEIGH_NONE;
}

static void neigh_unlink(struct neigh_table *t, uint16_t index)
{
	struct neigh *n = &t->entries[index];
	uint16_t *link = neigh_bucket(t, n->port, &n->addr);

	while (*link != index)
		link = &t->entries[*link].chain;
	*link = n->chain;
}

/* Whether `n` should rather give way than `b`. */
static bool neigh_gives_way(const struct neigh *n, const struct neigh *b)
{
	bool failed = n->state == NEIGH_FAILED;

	if (failed != (b->state == NEIGH_FAILED))
		return failed;
	return n->used_ns < b->used_ns;
}

/* Of the next entries behind the hand the one unused for longest. Resolved neighbours in use and
 * those that packets wait for stay: a scan of addresses that nobody has costs only other new
 * neighbours (RFC 6583 section 6). */
static uint16_t neigh_victim(struct neigh_table *t, uint64_t now_ns)
{
	uint16_t best = NEIGH_NONE, i = t->hand;

	for (unsigned k = 0; k < NEIGH_LOOK && k < t->capacity; k++) {
		const struct neigh *n = &t->entries[i];
		bool in_use = neigh_usable(n) && now_ns - n->used_ns < NEIGH_IN_USE_NS;

		if (n->waiting.n == 0 && !in_use &&
		    (best == NEIGH_NONE || neigh_gives_way(n, &t->entries[best])))
			best = i;
		i = (uint16_t)(i + 1u < t->capacity ? i + 1u : 0);
	}
	t->hand = best == NEIGH_NONE ? i : (uint16_t)(best + 1u < t->capacity ? best + 1u : 0);
	return best;
}

uint16_t neigh_get(struct neigh_table *t, uint16_t port, const struct ipaddr *addr, uint64_t now_ns,
		   bool *evicted)
{
	uint16_t i = neigh_find(t, port, addr);
	uint16_t *bucket;

	*evicted = false;
	if (i != NEIGH_NONE)
		return i;
	if (t->used < t->capacity) {
		i = t->used++;
	} else {
		i = neigh_victim(t, now_ns);
		if (i == NEIGH_NONE)
			return i;
		neigh_unlink(t, i);
		*evicted = true;
	}
	bucket = neigh_bucket(t, port, addr);
	t->entries[i] = (struct neigh){.addr = *addr,
				       .port = port,
				       .state = NEIGH_FREE,
				       .used_ns = now_ns,
				       .due_ns = UINT64_MAX,
				       .chain = *bucket};
	*bucket = i;
	return i;
}

struct neigh *neigh_at(struct neigh_table *t, uint16_t index)
{
	return index < t->used ? &t->entries[index] : NULL;
}

bool neigh_use(struct neigh *n, uint64_t now_ns, bool *ask)
{
	return neigh_confirm(n, NEIGH_REACHABLE_NS, now_ns, ask);
}

bool neigh_confirm(struct neigh *n, uint64_t max_age_ns, uint64_t now_ns, bool *ask)
{
	n->used_ns = now_ns;
	*ask = false;
	switch ((enum neigh_state)n->state) {
	case NEIGH_REACHABLE:
		if (now_ns - n->since_ns < max_age_ns)
			return true;
		n->state = NEIGH_PROBE;
		n->tries = 1;
		n->due_ns = now_ns + NEIGH_RETRY_NS;
		*ask = true;
		return true;
	case NEIGH_STALE:
	case NEIGH_PROBE:
		return true;
	case NEIGH_INCOMPLETE:
	case NEIGH_FAILED:
		return false;
	case NEIGH_FREE:
		break;
	}
	n->state = NEIGH_INCOMPLETE;
	n->tries = 1;
	n->due_ns = now_ns + NEIGH_FIRST_RETRY_NS;
	*ask = true;
	return false;
}

bool neigh_learn(struct neigh *n, const struct macaddr *mac, uint64_t now_ns)
{
	bool changed = !neigh_usable(n) || !macaddr_eq(&n->mac, mac);

	n->mac = *mac;
	n->state = NEIGH_REACHABLE;
	n->since_ns = now_ns;
	n->due_ns = UINT64_MAX;
	n->tries = 0;
	return changed;
}

/* One entry whose time has come. */
static void neigh_step(struct neigh *n, uint64_t now_ns, bool *ask, bool *failed)
{
	if (n->state == NEIGH_FAILED) {
		n->state = NEIGH_FREE;
		n->due_ns = UINT64_MAX;
		return;
	}
	if (n->tries >= NEIGH_TRIES) {
		n->state = NEIGH_FAILED;
		n->due_ns = now_ns + NEIGH_FAILED_NS;
		*failed = true;
		return;
	}
	n->tries++;
	n->due_ns = now_ns + NEIGH_RETRY_NS;
	*ask = true;
}

uint16_t neigh_due(struct neigh_table *t, uint64_t now_ns, bool *ask, bool *failed, uint64_t *next)
{
	*ask = *failed = false;
	*next = UINT64_MAX;
	for (uint16_t i = 0; i < t->used; i++) {
		struct neigh *n = &t->entries[i];
		if (n->due_ns <= now_ns) {
			neigh_step(n, now_ns, ask, failed);
			if (*ask || *failed) {
				*next = now_ns;
				return i;
			}
		}
		if (n->due_ns < *next)
			*next = n->due_ns;
	}
	return NEIGH_NONE;
}

uint64_t neigh_failed_asked_ns(const struct neigh *n)
{
	return n->due_ns - NEIGH_FAILED_NS - NEIGH_RETRY_NS;
}

void neigh_unasked(struct neigh *n)
{
	n->state = n->state == NEIGH_PROBE ? NEIGH_REACHABLE : NEIGH_FREE; /* since_ns is old */
	n->tries = 0;
	n->due_ns = UINT64_MAX;
}

void neigh_reset_port(struct neigh_table *t, uint16_t port)
{
	for (uint16_t i = 0; i < t->used; i++) {
		struct neigh *n = &t->entries[i];
		if (n->port == port) {
			n->state = NEIGH_FREE;
			n->due_ns = UINT64_MAX;
		}
	}
}

uint16_t neigh_capacity(const struct neigh_table *t)
{
	return t->used;
}
