#include "flow/frag.h"

#include <assert.h>
#include <stdlib.h>

#include "flow/table.h"

#define DATAGRAM_MAX 65535U
#define LINGER_MS 1000 /* of a complete datagram */
#define SWEEP 256

#define TCP_HEADER 20
#define UDP_HEADER 8

struct span {
	uint16_t begin, end;
};

/* Trackers hang on one of two lists, oldest first. */
enum { INCOMPLETE, COMPLETE, N_LISTS };

struct tracker {
	struct flow_entry entry; /* key: a = source, b = destination, ports = id, not ordered */
	struct frag frag;
	uint32_t older, younger;
	uint32_t list;
	uint32_t total; /* length of the datagram, 0 = last fragment not seen */
	uint32_t seen;	/* bytes */
	uint16_t n_ranges;
	bool merged;			 /* ranges were joined: their borders are no longer known */
	struct span ranges[FRAG_RANGES]; /* in order, disjoint */
};

struct source {
	struct flow_entry entry; /* key: a = source */
	uint32_t n_trackers;
};

struct frag_table {
	struct flow_table *trackers;
	struct flow_table *sources; /* those that have trackers */
	struct frag_params params;
	uint32_t oldest[N_LISTS], youngest[N_LISTS];
};

struct frag_table *frag_table_new(const struct frag_params *params, const struct hash_key *secret,
				  uint64_t now_ns)
{
	struct frag_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->params = *params;
	for (unsigned i = 0; i < N_LISTS; i++)
		t->oldest[i] = t->youngest[i] = FLOW_NO_INDEX;
	t->trackers = flow_table_new(sizeof(struct tracker), params->capacity, secret, now_ns);
	t->sources = flow_table_new(sizeof(struct source), params->capacity, secret, now_ns);
	if (!t->trackers || !t->sources) {
		frag_table_free(t);
		return NULL;
	}
	return t;
}

void frag_table_free(struct frag_table *t)
{
	if (!t)
		return;
	flow_table_free(t->trackers);
	flow_table_free(t->sources);
	free(t);
}

/* ---- lists ---- */

static struct tracker *tracker_at(struct frag_table *t, uint32_t index)
{
	return flow_table_at(t->trackers, index);
}

static void list_append(struct frag_table *t, struct tracker *tr, uint32_t list)
{
	uint32_t index = flow_table_index(t->trackers, tr);
	struct tracker *last = tracker_at(t, t->youngest[list]);

	tr->list = list;
	tr->older = t->youngest[list];
	tr->younger = FLOW_NO_INDEX;
	t->youngest[list] = index;
	*(last ? &last->younger : &t->oldest[list]) = index;
}

static void list_remove(struct frag_table *t, struct tracker *tr)
{
	struct tracker *older = tracker_at(t, tr->older), *younger = tracker_at(t, tr->younger);

	*(older ? &older->younger : &t->oldest[tr->list]) = tr->younger;
	*(younger ? &younger->older : &t->youngest[tr->list]) = tr->older;
}

/* ---- sources ---- */

static struct source *source_find(struct frag_table *t, const struct flow_key *datagram,
				  struct flow_key *key, uint64_t *hash)
{
	*key = (struct flow_key){.a = datagram->a, .version = datagram->version};
	*hash = flow_table_hash(t->sources, key);
	return flow_table_find(t->sources, key, *hash);
}

static bool source_full(struct frag_table *t, const struct flow_key *datagram)
{
	struct flow_key key;
	uint64_t hash;
	const struct source *s = source_find(t, datagram, &key, &hash);

	return (s ? s->n_trackers : 0) >= t->params.per_source;
}

/* There is always room: each source in the table has a tracker, and both hold as many. */
static void source_take(struct frag_table *t, const struct flow_key *datagram)
{
	struct flow_key key;
	uint64_t hash;
	struct source *s = source_find(t, datagram, &key, &hash);

	if (!s)
		s = flow_table_insert(t->sources, &key, hash);
	assert(s);
	s->n_trackers++;
}

static void source_release(struct frag_table *t, const struct flow_key *datagram)
{
	struct flow_key key;
	uint64_t hash;
	struct source *s = source_find(t, datagram, &key, &hash);

	if (s && --s->n_trackers == 0)
		flow_table_remove(t->sources, s);
}

/* ---- trackers ---- */

static struct flow_key datagram_key(const struct pkt *pkt)
{
	return (struct flow_key){
		.a = pkt->tuple.src,
		.b = pkt->tuple.dst,
		.aport = (uint16_t)(pkt->frag_id >> 16),
		.bport = (uint16_t)pkt->frag_id,
		/* later fragments of IPv6 may name another header than the transport's */
		.proto = pkt->version == 4 ? pkt->tuple.proto : 0,
		.version = pkt->version,
	};
}

static void tracker_remove(struct frag_table *t, struct tracker *tr)
{
	list_remove(t, tr);
	source_release(t, &tr->entry.key);
	flow_table_remove(t->trackers, tr);
}

static void tracker_due(void *arg, void *entry)
{
	tracker_remove(arg, entry);
}

/* A tracker whose time is up is gone, swept or not: the id may have been used again. */
static struct tracker *tracker_find(struct frag_table *t, const struct flow_key *key, uint64_t hash,
				    uint64_t now_ns)
{
	struct tracker *tr = flow_table_find(t->trackers, key, hash);

	if (tr && flow_table_left_ms(t->trackers, tr, now_ns) == 0) {
		tracker_remove(t, tr);
		return NULL;
	}
	return tr;
}

static void make_room(struct frag_table *t)
{
	struct tracker *tr = tracker_at(t, t->oldest[INCOMPLETE]);

	if (flow_table_count(t->trackers) < t->params.capacity)
		return;
	tracker_remove(t, tr ? tr : tracker_at(t, t->oldest[COMPLETE]));
}

static struct tracker *tracker_make(struct frag_table *t, const struct flow_key *key, uint64_t hash,
				    uint64_t now_ns)
{
	if (source_full(t, key)) /* and costs nobody else a tracker */
		return NULL;
	make_room(t);
	source_take(t, key);
	struct tracker *tr = flow_table_insert(t->trackers, key, hash);
	flow_table_arm(t->trackers, tr, now_ns, t->params.timeout_ms);
	list_append(t, tr, INCOMPLETE);
	return tr;
}

/* The id of a complete datagram begins another one. */
static void tracker_restart(struct frag_table *t, struct tracker *tr, uint64_t now_ns)
{
	list_remove(t, tr);
	list_append(t, tr, INCOMPLETE);
	memset(&tr->frag, 0, sizeof(tr->frag));
	tr->total = tr->seen = 0;
	tr->n_ranges = 0;
	tr->merged = false;
	flow_table_arm(t->trackers, tr, now_ns, t->params.timeout_ms);
}

static void tracker_complete(struct frag_table *t, struct tracker *tr, uint64_t now_ns)
{
	list_remove(t, tr);
	list_append(t, tr, COMPLETE);
	if (flow_table_left_ms(t->trackers, tr, now_ns) > LINGER_MS)
		flow_table_arm(t->trackers, tr, now_ns, LINGER_MS);
}

static enum drop condemn(struct tracker *tr, enum drop reason)
{
	tr->frag.known = false;
	tr->frag.condemned = reason;
	return reason;
}

/* ---- ranges ---- */

enum fit { FIT_NEW, FIT_DUPLICATE, FIT_INSIDE, FIT_OVERLAP };

/* How a fragment fits to what was seen; *at = where it belongs. */
static enum fit range_fit(const struct tracker *tr, uint32_t begin, uint32_t end, unsigned *at)
{
	unsigned i = 0;

	while (i < tr->n_ranges && tr->ranges[i].end <= begin)
		i++;
	*at = i;
	if (i == tr->n_ranges || tr->ranges[i].begin >= end)
		return FIT_NEW;
	if (tr->ranges[i].begin == begin && tr->ranges[i].end == end)
		return FIT_DUPLICATE;
	if (tr->merged && tr->ranges[i].begin <= begin && tr->ranges[i].end >= end)
		return FIT_INSIDE;
	return FIT_OVERLAP;
}

/* Join what touches. Only a datagram of more than FRAG_RANGES fragments comes to this. */
static void ranges_merge(struct tracker *tr)
{
	uint16_t n = 0;

	for (unsigned i = 1; i < tr->n_ranges; i++) {
		if (tr->ranges[i].begin == tr->ranges[n].end)
			tr->ranges[n].end = tr->ranges[i].end;
		else
			tr->ranges[++n] = tr->ranges[i];
	}
	tr->n_ranges = (uint16_t)(n + 1);
	tr->merged = true;
}

static bool range_insert(struct tracker *tr, uint32_t begin, uint32_t end, unsigned at)
{
	if (tr->n_ranges == FRAG_RANGES) {
		ranges_merge(tr);
		if (tr->n_ranges == FRAG_RANGES)
			return false;
		(void)range_fit(tr, begin, end, &at);
	}
	memmove(&tr->ranges[at + 1], &tr->ranges[at], (tr->n_ranges - at) * sizeof(*tr->ranges));
	tr->ranges[at] = (struct span){.begin = (uint16_t)begin, .end = (uint16_t)end};
	tr->n_ranges++;
	tr->seen += end - begin;
	return true;
}

/* ---- judgement ---- */

static enum drop check_shape(const struct pkt *pkt)
{
	uint32_t header = pkt->tuple.proto == IPPROTO_NUM_TCP	? TCP_HEADER
			  : pkt->tuple.proto == IPPROTO_NUM_UDP ? UDP_HEADER
								: 0;

	if (pkt->frag_len == 0 || (pkt->more_fragments && pkt->frag_len % 8 != 0) ||
	    pkt->frag_offset > DATAGRAM_MAX || pkt->frag_len > DATAGRAM_MAX - pkt->frag_offset)
		return DROP_FRAG_BAD;
	if (pkt->frag_offset == 0 ? pkt->frag_len < header : pkt->frag_offset < header)
		return DROP_FRAG_TINY;
	return DROP_NONE;
}

/* The end of the datagram is where the last fragment says, and nothing lies behind it. */
static bool length_fits(const struct tracker *tr, const struct pkt *pkt, uint32_t end)
{
	if (pkt->more_fragments)
		return tr->total == 0 || end < tr->total;
	return (tr->total == 0 || end == tr->total) &&
	       (tr->n_ranges == 0 || tr->ranges[tr->n_ranges - 1].end <= end);
}

/* A duplicate is the last fragment again, or was not the last and still is not. */
static bool same_kind(const struct tracker *tr, const struct pkt *pkt, uint32_t end)
{
	return pkt->more_fragments == (tr->total != end);
}

static void learn_flow(struct tracker *tr, const struct pkt *pkt)
{
	tr->frag.known = true;
	tr->frag.tuple = pkt->tuple;
	tr->frag.dir = (uint8_t)flow_key_make(&tr->frag.key, &pkt->tuple, pkt->version);
}

static enum drop judge(struct frag_table *t, struct tracker *tr, const struct pkt *pkt,
		       uint64_t now_ns)
{
	uint32_t begin = pkt->frag_offset, end = begin + pkt->frag_len;
	unsigned at;

	if (begin == 0 && tr->list == COMPLETE)
		tracker_restart(t, tr, now_ns);
	enum fit fit = range_fit(tr, begin, end, &at);
	if (fit == FIT_INSIDE || (fit == FIT_DUPLICATE && begin == 0) ||
	    (fit == FIT_OVERLAP && tr->list == COMPLETE))
		return DROP_FRAG_OVERLAP;
	if (fit == FIT_OVERLAP)
		return condemn(tr, DROP_FRAG_OVERLAP);
	if (!length_fits(tr, pkt, end) || (fit == FIT_DUPLICATE && !same_kind(tr, pkt, end)))
		return condemn(tr, DROP_FRAG_BAD);
	if (fit == FIT_DUPLICATE)
		return DROP_NONE;
	if (!range_insert(tr, begin, end, at))
		return condemn(tr, DROP_FRAG_LIMIT);
	if (!pkt->more_fragments)
		tr->total = end;
	if (begin == 0)
		learn_flow(tr, pkt);
	if (tr->seen == tr->total)
		tracker_complete(t, tr, now_ns);
	return DROP_NONE;
}

enum drop frag_table_see(struct frag_table *t, const struct pkt *pkt, uint64_t now_ns,
			 struct frag **out)
{
	enum drop shape = check_shape(pkt), reason;
	struct flow_key key = datagram_key(pkt);
	uint64_t hash = flow_table_hash(t->trackers, &key);

	*out = NULL;
	if (shape == DROP_FRAG_TINY)
		return shape;
	struct tracker *tr = tracker_find(t, &key, hash, now_ns);
	if (!tr)
		tr = tracker_make(t, &key, hash, now_ns);
	if (!tr)
		return DROP_FRAG_LIMIT;
	if (tr->frag.condemned != DROP_NONE)
		return tr->frag.condemned;
	reason = shape != DROP_NONE ? condemn(tr, shape) : judge(t, tr, pkt, now_ns);
	if (reason == DROP_NONE)
		*out = &tr->frag;
	return reason;
}

struct frag *frag_table_find(struct frag_table *t, const struct pkt *pkt, uint64_t now_ns)
{
	struct flow_key key = datagram_key(pkt);
	struct tracker *tr = tracker_find(t, &key, flow_table_hash(t->trackers, &key), now_ns);

	return tr ? &tr->frag : NULL;
}

uint64_t frag_table_expire(struct frag_table *t, uint64_t now_ns)
{
	uint64_t next;

	while ((next = flow_table_expire(t->trackers, now_ns, SWEEP, tracker_due, t)) <= now_ns)
		;
	return next;
}

uint32_t frag_table_count(const struct frag_table *t)
{
	return flow_table_count(t->trackers);
}
