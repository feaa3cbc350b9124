/*
 * replica_hold.c - a copy of the tables of the node that plays a dispatcher.
 */
#include <string.h>

#include "base/name_id.h"
#include "dispatch/dispatch.h"
#include "dispatch/replica.h"

#define REPLICA_ASK_NS 50000000ULL	  /* after a gap: others may follow at once */
#define REPLICA_ASK_AGAIN_NS 500000000ULL /* nothing has come of it */
#define REPLICA_SWEEP 4096		  /* flows looked at in one call */
#define REPLICA_SLACK_MS 5000
#define REPLICA_OVERTAKEN_NS 200000000ULL

/* --- names --------------------------------------------------------------------------------------
 */

static bool find_service(const struct params *p, uint32_t id, uint16_t *index)
{
	*index = PARAMS_NONE;
	for (uint16_t i = 0; id != 0 && i < p->n_services; i++)
		if (name_id(p->services[i].name) == id)
			*index = i;
	return id == 0 || *index != PARAMS_NONE;
}

static bool find_target(const struct params *p, uint32_t id, uint16_t *index)
{
	*index = PARAMS_NONE;
	for (uint16_t i = 0; id != 0 && i < p->n_targets; i++)
		if (name_id(p->targets[i].name) == id)
			*index = i;
	return id == 0 || *index != PARAMS_NONE;
}

static bool find_path(const struct params *p, uint16_t id, uint16_t *index)
{
	*index = id == 0 ? PARAMS_NONE : path_by_id(p, id);
	return id == 0 || *index != PARAMS_NONE;
}

static uint16_t find_upstream(const struct params *p, uint16_t id)
{
	for (uint16_t i = 0; id != 0 && i < p->n_members; i++)
		if (p->members[i].id == id)
			return (uint16_t)(i + 1);
	return 0;
}

/* --- flows --------------------------------------------------------------------------------------
 */

struct names {
	uint16_t path, service, target;
};

static struct dflow *flow_find(struct dispatch *d, uint32_t i, const struct flow_key *key)
{
	struct flow_key k = *key;
	bool by_twin;
	struct dflow *f;

	k.zone = (uint16_t)i;
	f = dflow_find(d, &k, flow_table_hash(d->flows, &k), &by_twin);
	return by_twin ? NULL : f;
}

/* A flow whose key or twin has that key; its end was missed. False: it stays. */
static bool flow_clear(struct dispatch *d, uint32_t i, const struct flow_key *key, bool stays)
{
	struct flow_key k = *key;
	bool by_twin;
	struct dflow *f;

	k.zone = (uint16_t)i;
	f = dflow_find(d, &k, flow_table_hash(d->flows, &k), &by_twin);
	if (f && !stays)
		dflow_remove(d, f, DROP_NONE);
	return !f || !stays;
}

static struct dflow *flow_make(struct dispatch *d, uint32_t i, const struct wire_sync_flow *m)
{
	struct dispatcher *x = &d->dispatchers[i];
	struct dispatch_lookup l = {.d = x,
				    .key = m->key,
				    .dir = m->flags & WIRE_SYNC_ORIGIN_B ? 1 : 0,
				    .upstream = find_upstream(d->params, m->upstream)};
	struct dflow *f;

	l.key.zone = (uint16_t)i;
	f = dflow_new(d, &l);
	if (!f)
		return NULL;
	f->created_ms = (uint32_t)(d->node->now_ns / 1000000) - m->age_ms;
	f->flags = (uint8_t)(f->flags | (m->flags & WIRE_SYNC_INSIDE ? DFLOW_INSIDE : 0));
	f->origin_port = (uint8_t)(x->params->role == DISPATCH_OUTER && !(f->flags & DFLOW_INSIDE)
					   ? x->params->ports[0]
					   : x->params->firewall_port);
	if (m->flags & WIRE_SYNC_TWIN) {
		struct pkt_tuple t =
			flow_key_tuple(&m->twin, m->flags & WIRE_SYNC_TWIN_ORIGIN_B ? 1 : 0);

		if (!dflow_add_twin(d, f, &t, m->twin.version)) {
			dflow_remove(d, f, DROP_NONE);
			return NULL;
		}
	}
	return f;
}

/* What is rewritten into what never changes during a flow's life, nor its service, and its end is
 * not undone; else another one has taken its place, and word of that was missed. */
static bool flow_fits(const struct dispatch *d, const struct dflow *f,
		      const struct wire_sync_flow *m, uint16_t service)
{
	const struct dflow *twin =
		f->twin == FLOW_NO_INDEX ? NULL : flow_table_at(d->flows, f->twin);
	struct flow_key k = m->twin;

	if (f->service != service || f->state > m->state ||
	    (f->affinity_service != PARAMS_NONE && !(m->flags & WIRE_SYNC_HAS_AFFINITY)) ||
	    (f->flags & DFLOW_FIN_0 && !(m->flags & WIRE_SYNC_FIN_0)) ||
	    (f->flags & DFLOW_FIN_1 && !(m->flags & WIRE_SYNC_FIN_1)))
		return false;
	if (!(f->flags & DFLOW_ORIGIN_B) != !(m->flags & WIRE_SYNC_ORIGIN_B) ||
	    !(f->flags & DFLOW_INSIDE) != !(m->flags & WIRE_SYNC_INSIDE) ||
	    !twin != !(m->flags & WIRE_SYNC_TWIN))
		return false;
	k.zone = f->entry.key.zone;
	return !twin || flow_key_eq(&twin->entry.key, &k);
}

static void flow_affinity(struct dispatch *d, struct dflow *f)
{
	struct ipaddr client = dflow_client(f);
	struct affinity *a;

	if (f->service == PARAMS_NONE || !d->params->services[f->service].affinity)
		return;
	a = affinity_get(d->affinities, f->service, &client,
			 d->params->services[f->service].affinity_ms, d->node->now_ns);
	if (!a)
		return;
	if (f->affinity_service == PARAMS_NONE) {
		a->n_flows++;
		f->affinity_service = f->service;
	}
	a->target = f->target;
	a->path = f->path;
}

static void flow_follow(struct dispatch *d, struct dflow *f, const struct wire_sync_flow *m,
			const struct names *names)
{
	const struct dispatcher_params *p = d->dispatchers[f->entry.key.zone].params;
	uint32_t timeout;

	if (f->flags & DFLOW_HALF && !(m->flags & WIRE_SYNC_HALF)) {
		f->flags = (uint8_t)(f->flags & ~DFLOW_HALF);
		d->n_opening--;
	}
	f->service = names->service;
	if (f->path != names->path || f->path_by != m->path_by)
		dflow_set_path(d, f, names->path, (enum dflow_by)(m->path_by % DFLOW_BY_COUNT));
	if (f->target != names->target || f->target_by != m->target_by)
		dflow_set_target(d, f, names->target,
				 (enum dflow_by)(m->target_by % DFLOW_BY_COUNT));
	f->state = m->state;
	f->flags = (uint8_t)(f->flags | (m->flags & WIRE_SYNC_FIN_0 ? DFLOW_FIN_0 : 0) |
			     (m->flags & WIRE_SYNC_FIN_1 ? DFLOW_FIN_1 : 0));
	for (unsigned i = 0; i < 2; i++) {
		f->ack[i] = m->ack[i];
		f->packets[i] = m->packets[i];
		f->bytes_lo[i] = (uint32_t)m->bytes[i];
		f->bytes_hi[i] = (uint16_t)(m->bytes[i] >> 32);
	}
	if (m->flags & WIRE_SYNC_HAS_AFFINITY)
		flow_affinity(d, f);
	dflow_settle(d, f);
	timeout = dflow_timeout(f, p);
	flow_table_arm(d->flows, f, d->node->now_ns,
		       (m->life_ms < timeout ? m->life_ms : timeout) + timeout / 4 +
			       REPLICA_SLACK_MS);
}

static void hear_flow(struct dispatch *d, uint32_t i, const struct wire_sync_flow *m, bool merge)
{
	struct replica_side *s = &d->replica->sides[i];
	struct names names;
	struct dflow *f;

	if (!find_path(d->params, m->path, &names.path) ||
	    !find_service(d->params, m->service, &names.service) ||
	    !find_target(d->params, m->target, &names.target)) {
		node_count(d->node, COUNTER_SYNC_SKIPPED); /* the configurations differ */
		return;
	}
	f = flow_find(d, i, &m->key);
	if (f && (merge || m->flags & WIRE_SYNC_HALF) && !(f->flags & DFLOW_HALF))
		return;
	if (f && (merge || !flow_fits(d, f, m, names.service))) {
		dflow_remove(d, f, DROP_NONE);
		f = NULL;
	}
	if (!f && flow_clear(d, i, &m->key, merge) &&
	    (!(m->flags & WIRE_SYNC_TWIN) || flow_clear(d, i, &m->twin, merge)))
		f = flow_make(d, i, m);
	if (!f) {
		node_count(d->node, COUNTER_SYNC_SKIPPED); /* no room */
		return;
	}
	flow_follow(d, f, m, &names);
	d->replica->marks[flow_table_index(d->flows, f)].bulk = s->bulk;
	s->n_heard++;
	if (merge)
		replica_changed(d, f);
}

static void hear_gone(struct dispatch *d, uint32_t i, const struct flow_key *key)
{
	struct dflow *f = flow_find(d, i, key);

	if (f)
		dflow_remove(d, f, DROP_NONE);
}

static void hear_affinity(struct dispatch *d, const struct wire_sync_affinity *m)
{
	struct affinity *a;
	struct names names;

	if (!find_service(d->params, m->service, &names.service) || names.service == PARAMS_NONE ||
	    !find_target(d->params, m->target, &names.target) ||
	    !find_path(d->params, m->path, &names.path)) {
		node_count(d->node, COUNTER_SYNC_SKIPPED);
		return;
	}
	a = affinity_get(d->affinities, names.service, &m->client, m->life_ms, d->node->now_ns);
	if (!a || a->n_flows > 0)
		return;
	a->target = names.target;
	a->path = names.path;
}

static void hear_path(struct dispatch *d, uint32_t i, const struct wire_sync_path *m)
{
	uint16_t path;

	if (find_path(d->params, m->id, &path))
		path_told(d, &d->dispatchers[i], path,
			  m->flags & WIRE_SYNC_PATH_MAC ? &m->mac : NULL,
			  m->flags & WIRE_SYNC_PATH_FAILED, m->flags & WIRE_SYNC_PATH_JOINTLY);
}

/* --- messages -----------------------------------------------------------------------------------
 */

void replica_ask_soon(struct dispatch *d, struct replica_side *s)
{
	uint64_t at = d->node->now_ns + REPLICA_ASK_NS;

	if (at < s->ask_ns)
		s->ask_ns = at;
}

static void replica_ask(struct dispatch *d, uint32_t i)
{
	struct replica_side *s = &d->replica->sides[i];
	struct wire_sync_ask m = {.dispatcher = name_id(d->params->dispatchers[i].name),
				  .epoch = s->epoch};
	struct wcur body;

	s->ask_ns = d->node->now_ns + REPLICA_ASK_AGAIN_NS;
	s->in_bulk = false;
	if (!channel_begin(d->channel, 8, &body))
		return;
	wire_put_sync_ask(&body, &m);
	if (channel_send(d->channel, WIRE_SYNC_ASK, &body, s->source))
		node_count(d->node, COUNTER_SYNC_ASKED);
}

static void hear_bulk(struct dispatch *d, struct replica_side *s, const struct wire_sync_record *r)
{
	if (r->kind == WIRE_SYNC_BEGIN) {
		s->number = r->bulk.number;
		s->bulk = ++d->replica->walks;
		s->in_bulk = true;
		s->sweeping = false;
	} else if (s->in_bulk && r->bulk.number == s->number) {
		s->in_bulk = false;
		s->synced = true;
		s->ask_ns = UINT64_MAX;
		s->sweeping = true;
		s->sweep_pos = 0;
		d->takeover->changed = true; /* the others are to know */
	}
}

static void hear_record(struct dispatch *d, uint32_t i, const struct wire_sync_record *r,
			bool merge)
{
	switch (r->kind) {
	case WIRE_SYNC_FLOW:
		hear_flow(d, i, &r->flow, merge);
		break;
	case WIRE_SYNC_GONE:
		if (!merge)
			hear_gone(d, i, &r->gone);
		break;
	case WIRE_SYNC_AFFINITY:
		hear_affinity(d, &r->affinity);
		break;
	case WIRE_SYNC_PATH:
		if (!merge)
			hear_path(d, i, &r->path);
		break;
	case WIRE_SYNC_BEGIN:
	case WIRE_SYNC_END:
		if (!merge)
			hear_bulk(d, &d->replica->sides[i], r);
		break;
	}
}

/* False: it is not to be obeyed. */
static bool in_order(struct dispatch *d, struct replica_side *s, const struct wire_sync_head *h)
{
	int32_t ahead;

	if (h->epoch != s->epoch) { /* nothing is known of what was told before */
		s->epoch = h->epoch;
		s->synced = s->in_bulk = false;
		s->seq = h->flags & WIRE_SYNC_STATE ? h->seq : h->seq - 1;
		replica_ask_soon(d, s);
	}
	ahead = (int32_t)(h->seq - s->seq) - (h->flags & WIRE_SYNC_STATE ? 0 : 1);
	if (ahead < 0) {
		node_count(d->node, COUNTER_SYNC_LATE);
		return h->flags & WIRE_SYNC_STATE;
	}
	s->seq = h->seq;
	if (ahead == 0)
		return true;
	node_count(d->node, COUNTER_SYNC_GAPS);
	if (s->synced)
		d->takeover->changed = true;
	s->synced = s->in_bulk = false;
	replica_ask_soon(d, s);
	return true;
}

/* Said before the dispatcher was handed to this node, and overtaken by word of that, which takes
 * other ways, too. */
static bool is_overtaken(const struct dispatch *d, const struct replica_side *s, uint32_t member)
{
	return s->role == REPLICA_SOURCE && !s->merge && s->before == member &&
	       d->node->now_ns - s->before_ns < REPLICA_OVERTAKEN_NS;
}

void replica_hear(struct dispatch *d, uint32_t i, uint32_t member, const struct wire_sync_head *h,
		  struct rcur *c)
{
	struct replica_side *s = &d->replica->sides[i];
	bool merge = h->flags & WIRE_SYNC_MERGE || is_overtaken(d, s, member);
	struct wire_sync_record r;

	if (merge ? s->role != REPLICA_SOURCE || s->merge
		  : s->role != REPLICA_COPY || s->source != member)
		return;
	if (!merge && !in_order(d, s, h))
		return;
	node_count(d->node, COUNTER_SYNC_RECEIVED);
	while (rcur_left(c) > 0) {
		if (!wire_get_sync(c, &r)) {
			node_count(d->node, COUNTER_MSG_MALFORMED);
			return;
		}
		hear_record(d, i, &r, merge);
	}
	if (s->in_bulk) /* it comes */
		s->ask_ns = d->node->now_ns + REPLICA_ASK_AGAIN_NS;
}

/* --- time --------------------------------------------------------------------------------------
 */

/* Flows that were not in the last walk are no more. */
static void sweep(struct dispatch *d, uint32_t i)
{
	struct replica_side *s = &d->replica->sides[i];
	uint32_t capacity = flow_table_capacity(d->flows);

	for (unsigned n = 0; n < REPLICA_SWEEP && s->sweep_pos < capacity; n++) {
		uint32_t index = s->sweep_pos++;
		struct dflow *f = flow_table_at(d->flows, index);

		if (f && f->entry.key.zone == i && !(f->flags & DFLOW_TWIN) &&
		    d->replica->marks[index].bulk != s->bulk)
			dflow_remove(d, f, DROP_NONE);
	}
	s->sweeping = s->sweep_pos < capacity;
}

uint64_t replica_hold_tick(struct dispatch *d, uint32_t i)
{
	struct replica_side *s = &d->replica->sides[i];

	if (s->sweeping)
		sweep(d, i);
	if (s->source == CHANNEL_ALL)
		return s->sweeping ? d->node->now_ns : UINT64_MAX;
	if (d->node->now_ns >= s->ask_ns)
		replica_ask(d, i);
	return s->sweeping ? d->node->now_ns : s->ask_ns;
}
