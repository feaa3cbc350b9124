/*
 * replica_life.c - who tells whom: roles, messages, begin and end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/name_id.h"
#include "dispatch/dispatch.h"
#include "dispatch/replica.h"

/* --- roles --------------------------------------------------------------------------------------
 */

static void side_begin(struct dispatch *d, struct replica_side *s)
{
	memset(s->peers, 0, sizeof(s->peers));
	s->epoch = (uint32_t)rng_u64(&d->node->rng) | 1;
	s->n_gone = 0;
	s->state_ns = d->node->now_ns;
	s->merge = s->merge_bulk = false;
}

void replica_role(struct dispatch *d, uint32_t i, enum replica_role role, uint32_t source)
{
	struct replica_side *s;

	if (!d->replica)
		return;
	s = &d->replica->sides[i];
	if (s->role == role && (role != REPLICA_COPY || s->source == source) && !s->merge)
		return;
	if (s->merge_bulk && role == REPLICA_COPY) /* first all is told, then asked for */
		return;
	if (s->merge || role != s->role)
		s->in_bulk = s->sweeping = false;
	s->merge = false;
	if (role == REPLICA_SOURCE) {
		s->before = s->role == REPLICA_COPY ? s->source : CHANNEL_ALL;
		s->before_ns = d->node->now_ns;
	}
	s->role = role;
	s->source = source;
	if (role == REPLICA_SOURCE)
		side_begin(d, s);
	if (role != REPLICA_COPY)
		return;
	s->epoch = 0;
	if (source == CHANNEL_ALL) /* what it has is as good as it was */
		return;
	s->synced = false;
	replica_ask_soon(d, s);
}

void replica_yield(struct dispatch *d, uint32_t i, uint32_t successor, bool all)
{
	struct replica_side *s;

	if (!d->replica)
		return;
	s = &d->replica->sides[i];
	replica_flush(d);
	if (!all && successor != CHANNEL_ALL) /* the first of them before it knows */
		replica_halves(d, i, successor);
	s->successor = successor;
	s->merge = true;
	s->synced = !all;
	if (successor == CHANNEL_ALL)
		return;
	if (all)
		replica_bulk(d, i, successor);
	s->merge_bulk = s->peers[successor].bulk;
}

bool replica_synced(const struct dispatch *d, uint32_t i)
{
	const struct replica_side *s;

	if (!d->replica)
		return true;
	s = &d->replica->sides[i];
	return s->role == REPLICA_SOURCE || s->synced;
}

/* --- messages ------------------------------------------------------------------------------------
 */

static uint32_t side_of(const struct dispatch *d, uint32_t dispatcher, uint32_t member)
{
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		const struct dispatcher_params *x = &d->params->dispatchers[i];

		if (takeover_is_shared(x) && name_id(x->name) == dispatcher &&
		    takeover_rank(x, member) < PARAMS_NODES)
			return i;
	}
	return PARAMS_DISPATCHERS;
}

static void replica_asked(struct dispatch *d, uint32_t i, uint32_t member,
			  const struct wire_sync_ask *m)
{
	struct replica_side *s = &d->replica->sides[i];

	if (s->role != REPLICA_SOURCE || s->merge || (m->epoch != 0 && m->epoch != s->epoch))
		return;
	replica_bulk(d, i, member);
}

void replica_message(struct dispatch *d, struct channel_message *msg)
{
	struct wire_sync_head head;
	struct wire_sync_ask ask;
	uint32_t i;

	if (msg->type == WIRE_SYNC_ASK ? !wire_get_sync_ask(&msg->body, &ask)
				       : !wire_get_sync_head(&msg->body, &head)) {
		node_count(d->node, COUNTER_MSG_MALFORMED);
		return;
	}
	if (!d->replica)
		return;
	i = side_of(d, msg->type == WIRE_SYNC_ASK ? ask.dispatcher : head.dispatcher, msg->member);
	if (i == PARAMS_DISPATCHERS)
		return;
	if (msg->type == WIRE_SYNC_ASK)
		replica_asked(d, i, msg->member, &ask);
	else
		replica_hear(d, i, msg->member, &head, &msg->body);
}

/* --- life ----------------------------------------------------------------------------------------
 */

static bool any_shared(const struct params *p)
{
	for (uint32_t i = 0; i < p->n_dispatchers; i++)
		if (takeover_is_shared(&p->dispatchers[i]))
			return true;
	return false;
}

int replica_init(struct dispatch *d)
{
	struct replica *r;

	if (!d->channel || !any_shared(d->params))
		return 0;
	r = calloc(1, sizeof(*r));
	if (r)
		r->marks = calloc(flow_table_capacity(d->flows), sizeof(*r->marks));
	if (!r || !r->marks) {
		free(r);
		return -ENOMEM;
	}
	r->first = FLOW_NO_INDEX;
	r->flush_ns = UINT64_MAX;
	for (uint32_t i = 0; i < PARAMS_DISPATCHERS; i++) {
		r->sides[i].source = r->sides[i].before = CHANNEL_ALL;
		r->sides[i].ask_ns = UINT64_MAX;
	}
	d->replica = r;
	return 0;
}

void replica_fini(struct dispatch *d)
{
	if (d->replica)
		free(d->replica->marks);
	free(d->replica);
	d->replica = NULL;
}

int replica_configure(struct dispatch *d)
{
	if (!d->replica)
		return replica_init(d);
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		struct replica_side *s = &d->replica->sides[i];

		s->before = CHANNEL_ALL;
		if (s->role == REPLICA_SOURCE && !s->merge)
			side_begin(d, s);
		else if (!s->merge)
			s->role = REPLICA_OFF; /* the election says anew who the source is */
	}
	return 0;
}
