#include "dispatch/replica.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/name_id.h"
#include "dispatch/dispatch.h"

#define REPLICA_GATHER_NS 2000000ULL /* what changes in this time shares a message */
#define REPLICA_PACE_NS 2000000ULL   /* between two steps of a walk */
#define REPLICA_STEP 24		     /* messages of one step: some 200,000 flows a second */
#define REPLICA_FLUSH 256	     /* messages of changes in one call */
#define REPLICA_MESSAGE 1400
#define REPLICA_HALVES 16384

static uint32_t now_ms(const struct dispatch *d)
{
	return (uint32_t)(d->node->now_ns / 1000000);
}

static bool is_told(const struct dflow *f)
{
	return !(f->flags & (DFLOW_TWIN | DFLOW_HALF | DFLOW_ANNOUNCED));
}

static bool is_half(const struct dflow *f)
{
	return (f->flags & (DFLOW_TWIN | DFLOW_HALF | DFLOW_ANNOUNCED)) == DFLOW_HALF;
}

/* --- to whom -----------------------------------------------------------------------------------
 */

static bool is_peer(const struct dispatch *d, uint32_t i, uint32_t member)
{
	const struct replica_side *s = &d->replica->sides[i];

	if (member == d->params->self || !takeover_fresh(d, member, i))
		return false;
	return !s->merge || member == s->successor;
}

/* One message: a head, then what is added; a copy of it goes to each peer. */
struct batch {
	struct dispatch *d;
	uint32_t i;	 /* dispatcher */
	uint32_t member; /* to this one alone, or CHANNEL_ALL */
	uint8_t flags;
	struct wcur body;
	unsigned sent;
	uint8_t data[REPLICA_MESSAGE];
};

static void batch_begin(struct batch *b)
{
	size_t room = channel_room(b->d->channel);

	room = room < WIRE_SYNC_HEAD + WIRE_SYNC_RECORD_MAX ? WIRE_SYNC_HEAD + WIRE_SYNC_RECORD_MAX
							    : room;
	room = room < REPLICA_MESSAGE ? room : REPLICA_MESSAGE;
	b->body = wcur_init(b->data, room - WIRE_SYNC_HEAD);
}

static void batch_init(struct batch *b, struct dispatch *d, uint32_t i, uint32_t member)
{
	b->d = d;
	b->i = i;
	b->member = member;
	b->flags = d->replica->sides[i].merge ? WIRE_SYNC_MERGE : 0;
	b->sent = 0;
	batch_begin(b);
}

static void batch_send_one(struct batch *b, uint32_t member)
{
	struct replica_side *s = &b->d->replica->sides[b->i];
	struct replica_peer *p = &s->peers[member];
	struct wire_sync_head head = {.dispatcher = name_id(b->d->params->dispatchers[b->i].name),
				      .epoch = s->epoch,
				      .flags = b->flags};
	struct wcur body;

	head.seq = b->flags & WIRE_SYNC_STATE ? p->seq : ++p->seq;
	if (!channel_begin(b->d->channel, WIRE_SYNC_HEAD + wcur_size(&b->body), &body))
		return; /* the receiver sees the gap when the next one comes */
	wire_put_sync_head(&body, &head);
	wcur_bytes(&body, b->data, wcur_size(&b->body));
	if (channel_send(b->d->channel, WIRE_SYNC, &body, member))
		node_count(b->d->node, COUNTER_SYNC_SENT);
}

static void batch_send(struct batch *b)
{
	if (b->member != CHANNEL_ALL) {
		batch_send_one(b, b->member);
	} else {
		for (uint32_t m = 0; m < b->d->params->n_members; m++) {
			if (is_peer(b->d, b->i, m))
				batch_send_one(b, m);
			else if (!(b->flags & WIRE_SYNC_STATE)) /* it is to see that it missed it */
				b->d->replica->sides[b->i].peers[m].seq++;
		}
	}
	b->sent++;
	batch_begin(b);
}

static void batch_end(struct batch *b)
{
	if (wcur_size(&b->body) > 0)
		batch_send(b);
}

static void batch_add(struct batch *b, const struct wire_sync_record *r)
{
	if ((size_t)(b->body.end - b->body.pos) < WIRE_SYNC_RECORD_MAX)
		batch_send(b);
	wire_put_sync(&b->body, r);
}

/* --- what --------------------------------------------------------------------------------------
 */

static uint32_t service_id(const struct params *p, uint16_t service)
{
	return service == PARAMS_NONE ? 0 : name_id(p->services[service].name);
}

static uint32_t target_id(const struct params *p, uint16_t target)
{
	return target == PARAMS_NONE ? 0 : name_id(p->targets[target].name);
}

static uint16_t path_id(const struct params *p, uint16_t path)
{
	return path == PARAMS_NONE ? 0 : p->paths[path].id;
}

static void fill_flow(const struct dispatch *d, const struct dflow *f, struct wire_sync_flow *m)
{
	const struct params *p = d->params;
	const struct dflow *twin =
		f->twin == FLOW_NO_INDEX ? NULL : flow_table_at(d->flows, f->twin);

	*m = (struct wire_sync_flow){
		.key = f->entry.key,
		.flags = (uint8_t)((f->flags & DFLOW_HALF ? WIRE_SYNC_HALF : 0) |
				   (f->flags & DFLOW_ORIGIN_B ? WIRE_SYNC_ORIGIN_B : 0) |
				   (f->flags & DFLOW_INSIDE ? WIRE_SYNC_INSIDE : 0) |
				   (f->flags & DFLOW_FIN_0 ? WIRE_SYNC_FIN_0 : 0) |
				   (f->flags & DFLOW_FIN_1 ? WIRE_SYNC_FIN_1 : 0)),
		.state = f->state,
		.path_by = f->path_by,
		.target_by = f->target_by,
		.path = path_id(p, f->path),
		.upstream = f->upstream ? p->members[f->upstream - 1].id : 0,
		.service = service_id(p, f->service),
		.target = target_id(p, f->target),
		.life_ms = flow_table_left_ms(d->flows, f, d->node->now_ns),
		.age_ms = now_ms(d) - f->created_ms,
	};
	m->key.zone = 0;
	for (unsigned i = 0; i < 2; i++) {
		m->ack[i] = f->ack[i];
		m->packets[i] = f->packets[i];
		m->bytes[i] = (uint64_t)f->bytes_hi[i] << 32 | f->bytes_lo[i];
	}
	if (f->affinity_service != PARAMS_NONE)
		m->flags |= WIRE_SYNC_HAS_AFFINITY;
	if (!twin)
		return;
	m->flags |= WIRE_SYNC_TWIN;
	if (twin->flags & DFLOW_ORIGIN_B)
		m->flags |= WIRE_SYNC_TWIN_ORIGIN_B;
	m->twin = twin->entry.key;
	m->twin.zone = 0;
}

static void batch_flow(struct batch *b, const struct dflow *f)
{
	struct replica *r = b->d->replica;
	struct replica_mark *mark = &r->marks[flow_table_index(b->d->flows, f)];
	struct wire_sync_record record = {.kind = WIRE_SYNC_FLOW};

	fill_flow(b->d, f, &record.flow);
	batch_add(b, &record);
	if (b->member == CHANNEL_ALL) /* else the others are still to be told of the change */
		mark->flags = (uint8_t)(mark->flags & ~REPLICA_DIRTY);
	if (b->member == CHANNEL_ALL || !(mark->flags & REPLICA_TOLD))
		mark->sent_ms = now_ms(b->d);
	mark->flags |= REPLICA_TOLD;
	r->sides[b->i].n_told++;
}

static void batch_gone(struct batch *b)
{
	struct replica_side *s = &b->d->replica->sides[b->i];
	struct wire_sync_record record = {.kind = WIRE_SYNC_GONE};

	for (unsigned i = 0; i < s->n_gone; i++) {
		record.gone = s->gone[i];
		batch_add(b, &record);
	}
	s->n_gone = 0;
}

static void tell_gone(struct dispatch *d, uint32_t i)
{
	struct batch b;

	batch_init(&b, d, i, CHANNEL_ALL);
	batch_gone(&b);
	batch_end(&b);
}

/* What this node's probes have found: the others see no firewall while they stand by. */
static void batch_paths(struct batch *b)
{
	const struct dispatcher *x = &b->d->dispatchers[b->i];

	for (uint16_t i = 0; i < b->d->params->n_paths; i++) {
		const struct path *p = &x->paths[i];
		struct wire_sync_record record = {.kind = WIRE_SYNC_PATH};

		if (!p->on_segment)
			continue;
		record.path.id = b->d->params->paths[i].id;
		record.path.flags = (uint8_t)((p->failed ? WIRE_SYNC_PATH_FAILED : 0) |
					      (p->jointly ? WIRE_SYNC_PATH_JOINTLY : 0) |
					      (p->has_mac ? WIRE_SYNC_PATH_MAC : 0));
		if (p->has_mac)
			record.path.mac = p->mac;
		batch_add(b, &record);
	}
}

/* --- changes ------------------------------------------------------------------------------------
 */

static bool tells(const struct dispatch *d, const struct dflow *f)
{
	return d->replica && d->replica->sides[f->entry.key.zone].role == REPLICA_SOURCE;
}

static void replica_due(struct dispatch *d)
{
	struct replica *r = d->replica;

	if (r->flush_ns == UINT64_MAX)
		r->flush_ns = d->node->now_ns + REPLICA_GATHER_NS;
}

/* Who has yielded tells what begins with it whether it is confirmed or not. */
static bool is_to_be_told(const struct dispatch *d, const struct dflow *f)
{
	return tells(d, f) &&
	       (is_told(f) || (d->replica->sides[f->entry.key.zone].merge && is_half(f)));
}

void replica_changed(struct dispatch *d, const struct dflow *f)
{
	struct replica *r = d->replica;
	struct replica_mark *mark;
	uint32_t index;

	if (!is_to_be_told(d, f))
		return;
	index = flow_table_index(d->flows, f);
	mark = &r->marks[index];
	mark->flags |= REPLICA_DIRTY;
	replica_due(d);
	if (mark->flags & REPLICA_LINKED)
		return;
	mark->flags |= REPLICA_LINKED;
	mark->next = FLOW_NO_INDEX;
	if (r->first == FLOW_NO_INDEX)
		r->first = index;
	else
		r->marks[r->last].next = index;
	r->last = index;
}

void replica_seen(struct dispatch *d, const struct dflow *f, uint32_t timeout_ms)
{
	const struct replica_mark *mark;

	if (!tells(d, f))
		return;
	mark = &d->replica->marks[flow_table_index(d->flows, f)];
	if (d->replica->sides[f->entry.key.zone].merge && is_half(f))
		replica_changed(d, f);
	else if (mark->flags & REPLICA_TOLD && now_ms(d) - mark->sent_ms > timeout_ms / 4)
		replica_changed(d, f);
}

void replica_gone(struct dispatch *d, const struct dflow *f)
{
	struct replica_mark *mark;
	struct replica_side *s;

	if (!d->replica)
		return;
	mark = &d->replica->marks[flow_table_index(d->flows, f)];
	s = &d->replica->sides[f->entry.key.zone];
	if (mark->flags & REPLICA_TOLD && s->role == REPLICA_SOURCE) {
		s->gone[s->n_gone] = f->entry.key;
		s->gone[s->n_gone++].zone = 0;
		replica_due(d);
	}
	mark->flags &= REPLICA_LINKED; /* the place may be another flow's soon */
	if (s->n_gone == REPLICA_GONE)
		tell_gone(d, f->entry.key.zone);
}

/* What has ended is told first: a flow may have begun anew under its key. */
void replica_flush(struct dispatch *d)
{
	struct batch batches[PARAMS_DISPATCHERS];
	struct replica *r = d->replica;
	unsigned sent = 0;

	if (!r)
		return;
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		batch_init(&batches[i], d, i, CHANNEL_ALL);
		if (r->sides[i].role == REPLICA_SOURCE)
			batch_gone(&batches[i]);
	}
	while (r->first != FLOW_NO_INDEX && sent < REPLICA_FLUSH) {
		struct replica_mark *mark = &r->marks[r->first];
		const struct dflow *f = flow_table_at(d->flows, r->first);

		r->first = mark->next;
		if (mark->flags & REPLICA_DIRTY && f && is_to_be_told(d, f))
			batch_flow(&batches[f->entry.key.zone], f);
		mark->flags &= (uint8_t) ~(REPLICA_DIRTY | REPLICA_LINKED);
		sent = 0;
		for (uint32_t i = 0; i < d->n_dispatchers; i++)
			sent += batches[i].sent;
	}
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		batch_end(&batches[i]);
	r->flush_ns = r->first == FLOW_NO_INDEX ? UINT64_MAX : d->node->now_ns;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

void replica_bulk(struct dispatch *d, uint32_t i, uint32_t member)
{
	struct replica_side *s = &d->replica->sides[i];
	struct replica_peer *p = &s->peers[member];
	struct wire_sync_record record = {.kind = WIRE_SYNC_BEGIN};
	struct batch b;

	p->bulk = true;
	p->flows_done = p->halves = false;
	p->pos = p->n = 0;
	p->number = ++d->replica->bulk ? d->replica->bulk : ++d->replica->bulk;
	node_count(d->node, COUNTER_SYNC_BULKS);
	if (s->merge)
		return;
	batch_init(&b, d, i, member);
	record.bulk.number = p->number;
	batch_add(&b, &record);
	batch_end(&b);
}

/* False: there are more. */
static bool bulk_flows(struct batch *b, struct replica_peer *p)
{
	const struct dflow *f;

	while (b->sent < REPLICA_STEP) {
		f = flow_table_next(b->d->flows, &p->pos);
		if (!f)
			return true;
		if (f->entry.key.zone != b->i || !(p->halves ? is_half(f) : is_told(f)))
			continue;
		if (p->halves && p->n == REPLICA_HALVES)
			return true;
		batch_flow(b, f);
		p->n++;
	}
	return false;
}

static bool bulk_affinities(struct batch *b, struct replica_peer *p)
{
	const struct params *params = b->d->params;
	uint64_t now = b->d->node->now_ns;
	const struct affinity *a;

	if (params->dispatchers[b->i].role == DISPATCH_OUTER)
		return true;
	while (b->sent < REPLICA_STEP) {
		struct wire_sync_record record = {.kind = WIRE_SYNC_AFFINITY};

		a = affinity_next(b->d->affinities, &p->pos);
		if (!a)
			return true;
		if (a->target == PARAMS_NONE || (a->n_flows == 0 && a->expires_ns <= now))
			continue;
		record.affinity = (struct wire_sync_affinity){
			.client = a->client,
			.service = service_id(params, a->service),
			.target = target_id(params, a->target),
			.path = path_id(params, a->path),
			.life_ms = a->n_flows > 0 ? params->services[a->service].affinity_ms
						  : (uint32_t)((a->expires_ns - now) / 1000000)};
		batch_add(b, &record);
	}
	return false;
}

static void bulk_step(struct dispatch *d, uint32_t i, uint32_t member)
{
	struct replica_side *s = &d->replica->sides[i];
	struct replica_peer *p = &s->peers[member];
	struct batch b;

	tell_gone(d, i); /* before a flow that may have begun under its key */
	batch_init(&b, d, i, member);
	if (p->halves) {
		if (bulk_flows(&b, p))
			p->bulk = s->merge_bulk = false;
		batch_end(&b);
		return;
	}
	if (!p->flows_done && bulk_flows(&b, p)) {
		p->flows_done = true;
		p->pos = 0;
	}
	if (p->flows_done && bulk_affinities(&b, p)) {
		struct wire_sync_record record = {.kind = WIRE_SYNC_END,
						  .bulk = {.number = p->number, .n = p->n}};
		if (!s->merge)
			batch_add(&b, &record);
		p->bulk = false;
		s->merge_bulk = false;
	}
	batch_end(&b);
}

void replica_halves(struct dispatch *d, uint32_t i, uint32_t member)
{
	struct replica_peer *p = &d->replica->sides[i].peers[member];

	p->bulk = p->halves = true;
	p->flows_done = false;
	p->pos = p->n = 0;
	bulk_step(d, i, member);
}

/* --- time --------------------------------------------------------------------------------------
 */

static void tell_state(struct dispatch *d, uint32_t i)
{
	struct replica_side *s = &d->replica->sides[i];
	struct batch b;

	s->state_ns = d->node->now_ns + takeover_hello_ns(d);
	if (s->merge)
		return;
	batch_init(&b, d, i, CHANNEL_ALL);
	b.flags |= WIRE_SYNC_STATE;
	batch_paths(&b);
	if (wcur_size(&b.body) > 0 || b.sent == 0)
		batch_send(&b);
}

static uint64_t earlier(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

static uint64_t source_tick(struct dispatch *d, uint32_t i)
{
	struct replica_side *s = &d->replica->sides[i];
	uint64_t now = d->node->now_ns;
	bool walking = false;

	for (uint32_t m = 0; m < d->params->n_members; m++) {
		if (!s->peers[m].bulk)
			continue;
		if (is_peer(d, i, m))
			bulk_step(d, i, m);
		else
			s->peers[m].bulk = s->merge_bulk = false;
		walking |= s->peers[m].bulk;
	}
	if (now >= s->state_ns)
		tell_state(d, i);
	return walking ? now + REPLICA_PACE_NS : s->state_ns;
}

uint64_t replica_tick(struct dispatch *d)
{
	uint64_t next = UINT64_MAX;

	if (!d->replica)
		return UINT64_MAX;
	if (d->node->now_ns >= d->replica->flush_ns)
		replica_flush(d);
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		if (d->replica->sides[i].role == REPLICA_SOURCE)
			next = earlier(next, source_tick(d, i));
		else if (d->replica->sides[i].role == REPLICA_COPY)
			next = earlier(next, replica_hold_tick(d, i));
	}
	return earlier(next, d->replica->flush_ns);
}

uint64_t replica_next(const struct dispatch *d)
{
	return d->replica ? d->replica->flush_ns : UINT64_MAX;
}
