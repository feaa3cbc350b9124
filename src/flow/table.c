#include "flow/table.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

/*
 * A slot is one 32-bit word: 0 = empty, else the entry's index + 1 in the low bits and as many bits
 * of the hash as are left (the tag) above them. Sixteen slots share a cache line and at most half
 * of the slots are used, so a look-up nearly always reads one line of slots and one entry. Linear
 * probing; a removal shifts the rest of its run back, so there are no tombstones and the table
 * never has to be rebuilt.
 */
#define SLOTS_PER_ENTRY 2
#define CAPACITY_MAX (1U << 28)

/*
 * The wheel: time in ticks of 8 ms, written with digits of 6 bits. An entry lies on the level of
 * the highest digit in which its deadline differs from the current tick, in the bucket of that
 * digit of the deadline. So buckets of level 0 hold entries of exactly that tick, and those of a
 * higher level come up when their first tick begins, and are then dealt out again further down.
 * Seven levels reach for a thousand years. One bit per bucket tells which are in use, so idle time
 * is skipped at no cost.
 */
#define TICK_MS 8
#define DIGIT 6
#define BUCKETS (1U << DIGIT)
#define LEVELS 7
#define OFF_WHEEL UINT32_MAX
#define NO_TICK UINT64_MAX
#define NS_PER_MS 1000000ULL

/* Deadlines are compared by the sign of a 32-bit difference; this leaves as much for a late call
 * of flow_table_expire as for the timeout itself. */
#define TIMEOUT_MAX (1U << 30)

struct flow_table {
	uint32_t *slots;
	uint8_t *entries;
	uint32_t n_slots;
	uint32_t index_mask; /* of a slot */
	size_t size;	     /* of one entry */
	struct hash_key secret;
	uint64_t start_ns;

	uint32_t capacity;
	uint32_t count;
	uint32_t free;	/* list of free entries, through flow_entry.next */
	uint32_t fresh; /* entries from here on were never used and are still untouched */
	uint32_t longest_probe;

	uint64_t tick;	       /* all buckets up to this one have come up */
	uint64_t used[LEVELS]; /* bit set of buckets that are not empty */
	uint32_t buckets[LEVELS * BUCKETS];
};

static struct flow_entry *entry_at(const struct flow_table *t, uint32_t index)
{
	return (struct flow_entry *)(void *)(t->entries + index * t->size);
}

static uint32_t entry_index(const struct flow_table *t, const void *entry)
{
	return (uint32_t)((size_t)((const uint8_t *)entry - t->entries) / t->size);
}

/* Zeroed address space that takes memory only where it is touched, in large pages where there are
 * any (which saves some 7 % of a look-up among a million flows). */
static void *area_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, size, MADV_HUGEPAGE);
	return p;
}

static void area_free(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

static size_t slots_size(const struct flow_table *t)
{
	return (size_t)t->n_slots * sizeof(*t->slots);
}

static size_t entries_size(const struct flow_table *t)
{
	return (size_t)t->capacity * t->size;
}

struct flow_table *flow_table_new(size_t size, uint32_t capacity, const struct hash_key *secret,
				  uint64_t now_ns)
{
	struct flow_table *t;

	if (size < sizeof(struct flow_entry) || size > UINT16_MAX || capacity == 0 ||
	    capacity > CAPACITY_MAX)
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->n_slots = capacity * SLOTS_PER_ENTRY;
	t->index_mask = UINT32_MAX >> __builtin_clz(capacity);
	t->size = (size + 7) & ~(size_t)7;
	t->secret = *secret;
	t->start_ns = now_ns;
	t->capacity = capacity;
	t->free = FLOW_NO_INDEX;
	for (unsigned i = 0; i < LEVELS * BUCKETS; i++)
		t->buckets[i] = FLOW_NO_INDEX;
	t->slots = area_new(slots_size(t));
	t->entries = area_new(entries_size(t));
	if (!t->slots || !t->entries) {
		flow_table_free(t);
		return NULL;
	}
	return t;
}

void flow_table_free(struct flow_table *t)
{
	if (!t)
		return;
	area_free(t->slots, slots_size(t));
	area_free(t->entries, entries_size(t));
	free(t);
}

/* ---- the slots ---- */

uint64_t flow_table_hash(const struct flow_table *t, const struct flow_key *key)
{
	return flow_key_hash(key, &t->secret);
}

static uint32_t slot_home(const struct flow_table *t, uint64_t hash)
{
	return (uint32_t)((hash >> 32) * t->n_slots >> 32);
}

static uint32_t slot_after(const struct flow_table *t, uint32_t pos)
{
	return pos + 1 == t->n_slots ? 0 : pos + 1;
}

static uint32_t slot_distance(const struct flow_table *t, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + t->n_slots - from;
}

static uint32_t slot_make(const struct flow_table *t, uint64_t hash, uint32_t index)
{
	return ((uint32_t)hash & ~t->index_mask) | (index + 1);
}

static bool slot_tagged(const struct flow_table *t, uint32_t slot, uint64_t hash)
{
	return ((slot ^ (uint32_t)hash) & ~t->index_mask) == 0;
}

static struct flow_entry *slot_entry(const struct flow_table *t, uint32_t slot)
{
	return entry_at(t, (slot & t->index_mask) - 1);
}

void flow_table_prefetch_slot(const struct flow_table *t, uint64_t hash)
{
	__builtin_prefetch(&t->slots[slot_home(t, hash)]);
}

void flow_table_prefetch_entry(const struct flow_table *t, uint64_t hash)
{
	uint32_t pos = slot_home(t, hash), slot;

	for (; (slot = t->slots[pos]) != 0; pos = slot_after(t, pos)) {
		if (!slot_tagged(t, slot, hash))
			continue;
		uint8_t *entry = (uint8_t *)slot_entry(t, slot);
		__builtin_prefetch(entry, 1);
		__builtin_prefetch(entry + t->size - 1, 1);
		return;
	}
}

void *flow_table_find(const struct flow_table *t, const struct flow_key *key, uint64_t hash)
{
	uint32_t pos = slot_home(t, hash), slot;

	for (; (slot = t->slots[pos]) != 0; pos = slot_after(t, pos)) {
		if (!slot_tagged(t, slot, hash))
			continue;
		struct flow_entry *e = slot_entry(t, slot);
		if (flow_key_eq(&e->key, key))
			return e;
	}
	return NULL;
}

static struct flow_entry *entry_take(struct flow_table *t)
{
	struct flow_entry *e;

	if (t->free != FLOW_NO_INDEX) {
		e = entry_at(t, t->free);
		t->free = e->next;
		memset(e, 0, t->size);
		return e;
	}
	return t->fresh < t->capacity ? entry_at(t, t->fresh++) : NULL;
}

void *flow_table_insert(struct flow_table *t, const struct flow_key *key, uint64_t hash)
{
	struct flow_entry *e = entry_take(t);
	uint32_t pos = slot_home(t, hash), probe = 1;

	assert(key->version != 0); /* 0 marks a free entry */
	if (!e)
		return NULL;
	for (; t->slots[pos] != 0; pos = slot_after(t, pos))
		probe++;
	t->slots[pos] = slot_make(t, hash, entry_index(t, e));
	if (probe > t->longest_probe)
		t->longest_probe = probe;
	t->count++;
	e->key = *key;
	e->wheel_slot = OFF_WHEEL;
	return e;
}

/* Move back whatever in the run behind an emptied slot may stand nearer to its home. */
static void slot_clear(struct flow_table *t, uint32_t hole)
{
	uint32_t pos = hole, slot;

	while ((slot = t->slots[pos = slot_after(t, pos)]) != 0) {
		uint64_t hash = flow_table_hash(t, &slot_entry(t, slot)->key);
		uint32_t home = slot_home(t, hash);
		if (slot_distance(t, home, pos) < slot_distance(t, hole, pos))
			continue;
		t->slots[hole] = slot;
		hole = pos;
	}
	t->slots[hole] = 0;
}

static void wheel_unlink(struct flow_table *t, struct flow_entry *e);

void flow_table_remove(struct flow_table *t, void *entry)
{
	struct flow_entry *e = entry;
	uint32_t index = entry_index(t, e);
	uint64_t hash = flow_table_hash(t, &e->key);
	uint32_t wanted = slot_make(t, hash, index);
	uint32_t pos = slot_home(t, hash);

	assert(e->key.version != 0);
	while (t->slots[pos] != wanted) {
		assert(t->slots[pos] != 0);
		pos = slot_after(t, pos);
	}
	slot_clear(t, pos);
	wheel_unlink(t, e);
	e->key.version = 0;
	e->next = t->free;
	t->free = index;
	t->count--;
}

/* ---- the wheel ---- */

static uint64_t clock_ms(const struct flow_table *t, uint64_t now_ns)
{
	return now_ns > t->start_ns ? (now_ns - t->start_ns) / NS_PER_MS : 0;
}

/* Negative or zero when the deadline has passed. */
static int32_t entry_left(const struct flow_entry *e, uint64_t now_ms)
{
	return (int32_t)(e->expires_ms - (uint32_t)now_ms);
}

/* The tick at which a bucket comes up. */
static uint64_t bucket_tick(const struct flow_table *t, uint32_t bucket)
{
	unsigned shift = bucket / BUCKETS * DIGIT;
	uint64_t above = t->tick >> shift & ~(uint64_t)(BUCKETS - 1);

	return (above | bucket % BUCKETS) << shift;
}

static void wheel_unlink(struct flow_table *t, struct flow_entry *e)
{
	uint32_t bucket = e->wheel_slot;

	if (bucket == OFF_WHEEL)
		return;
	if (e->next != FLOW_NO_INDEX)
		entry_at(t, e->next)->prev = e->prev;
	if (e->prev != FLOW_NO_INDEX)
		entry_at(t, e->prev)->next = e->next;
	else
		t->buckets[bucket] = e->next;
	if (t->buckets[bucket] == FLOW_NO_INDEX)
		t->used[bucket / BUCKETS] &= ~(1ULL << bucket % BUCKETS);
	e->wheel_slot = OFF_WHEEL;
}

static void wheel_link(struct flow_table *t, struct flow_entry *e, uint64_t now_ms)
{
	uint64_t due_ms = now_ms + (uint64_t)(int64_t)entry_left(e, now_ms);
	uint64_t due = (due_ms + TICK_MS - 1) / TICK_MS;
	uint32_t index = entry_index(t, e);

	if (due <= t->tick)
		due = t->tick + 1;
	unsigned level = (63U - (unsigned)__builtin_clzll(due ^ t->tick)) / DIGIT;
	uint32_t digit = (uint32_t)(due >> level * DIGIT) % BUCKETS;
	uint32_t bucket = level * BUCKETS + digit;

	e->wheel_slot = bucket;
	e->prev = FLOW_NO_INDEX;
	e->next = t->buckets[bucket];
	if (e->next != FLOW_NO_INDEX)
		entry_at(t, e->next)->prev = index;
	t->buckets[bucket] = index;
	t->used[level] |= 1ULL << digit;
}

void flow_table_arm(struct flow_table *t, void *entry, uint64_t now_ns, uint32_t timeout_ms)
{
	struct flow_entry *e = entry;
	/* rounded up: a deadline may come late by a tick, never early */
	uint64_t now_ms = clock_ms(t, now_ns + NS_PER_MS - 1);
	uint32_t timeout = timeout_ms < TIMEOUT_MAX ? timeout_ms : TIMEOUT_MAX;
	uint32_t expires = (uint32_t)now_ms + timeout;

	bool on_wheel = e->wheel_slot != OFF_WHEEL;
	bool later = (int32_t)(expires - e->expires_ms) >= 0;
	e->expires_ms = expires;
	if (on_wheel && (later || bucket_tick(t, e->wheel_slot) * TICK_MS <= now_ms + timeout))
		return;
	wheel_unlink(t, e);
	wheel_link(t, e, now_ms);
}

void flow_table_arm_since(struct flow_table *t, void *entry, uint64_t since_ns, uint64_t now_ns,
			  uint32_t timeout_ms)
{
	uint64_t ago_ms = since_ns < now_ns ? (now_ns - since_ns) / NS_PER_MS : 0;

	if (ago_ms < timeout_ms && timeout_ms - ago_ms > flow_table_left_ms(t, entry, now_ns))
		flow_table_arm(t, entry, now_ns, timeout_ms - (uint32_t)ago_ms);
}

uint32_t flow_table_left_ms(const struct flow_table *t, const void *entry, uint64_t now_ns)
{
	int32_t left = entry_left(entry, clock_ms(t, now_ns));

	return left > 0 ? (uint32_t)left : 0;
}

/* The bucket that comes up first and its tick, or NO_TICK. */
static uint64_t wheel_next(const struct flow_table *t, uint32_t *bucket)
{
	uint64_t first = NO_TICK;

	for (uint32_t level = 0; level < LEVELS; level++) {
		if (t->used[level] == 0)
			continue;
		uint32_t b = level * BUCKETS + (uint32_t)__builtin_ctzll(t->used[level]);
		uint64_t tick = bucket_tick(t, b);
		if (tick < first) {
			first = tick;
			*bucket = b;
		}
	}
	return first;
}

/* Empty a bucket that has come up; false when the budget ran out first. Nothing can be put into
 * that bucket meanwhile: a new place is always behind the current tick. */
static bool bucket_drain(struct flow_table *t, uint32_t bucket, uint64_t now_ms, unsigned *budget,
			 flow_table_due *due, void *arg)
{
	while (t->buckets[bucket] != FLOW_NO_INDEX) {
		struct flow_entry *e = entry_at(t, t->buckets[bucket]);
		if (*budget == 0)
			return false;
		--*budget;
		wheel_unlink(t, e);
		if (entry_left(e, now_ms) > 0)
			wheel_link(t, e, now_ms);
		else
			due(arg, e);
	}
	return true;
}

uint64_t flow_table_expire(struct flow_table *t, uint64_t now_ns, unsigned budget,
			   flow_table_due *due, void *arg)
{
	uint64_t now_ms = clock_ms(t, now_ns), now = now_ms / TICK_MS, next;
	uint32_t bucket = 0;

	while ((next = wheel_next(t, &bucket)) <= now) {
		t->tick = next;
		if (!bucket_drain(t, bucket, now_ms, &budget, due, arg))
			return now_ns;
	}
	if (now > t->tick)
		t->tick = now;
	return next == NO_TICK ? UINT64_MAX : t->start_ns + next * TICK_MS * NS_PER_MS;
}

/* ---- the rest ---- */

uint32_t flow_table_count(const struct flow_table *t)
{
	return t->count;
}

uint32_t flow_table_capacity(const struct flow_table *t)
{
	return t->capacity;
}

size_t flow_table_memory(const struct flow_table *t)
{
	return sizeof(*t) + slots_size(t) + entries_size(t);
}

uint32_t flow_table_longest_probe(const struct flow_table *t)
{
	return t->longest_probe;
}

void *flow_table_next(const struct flow_table *t, uint32_t *pos)
{
	while (*pos < t->fresh) {
		struct flow_entry *e = entry_at(t, (*pos)++);
		if (e->key.version != 0)
			return e;
	}
	return NULL;
}

uint32_t flow_table_index(const struct flow_table *t, const void *entry)
{
	return entry_index(t, entry);
}

void *flow_table_at(const struct flow_table *t, uint32_t index)
{
	if (index >= t->fresh || entry_at(t, index)->key.version == 0)
		return NULL;
	return entry_at(t, index);
}
