/*
 * serve.c - services: a target for each new flow, and the flow's packets to it by l4/2 or l4/3
 * (HD-6, HD-8, HD-10, HD-11, HD-12).
 */
#include <errno.h>

#include "dispatch/dispatch.h"
#include "packet/nat.h"
#include "packet/peek.h"

#define SOURCE_TRIES 64
#define SOURCE_PORT_FIRST 1024

static const struct service_params *service_of(const struct dispatch *d, uint16_t service)
{
	return &d->params->services[service];
}

static bool by_message(const struct dispatch *d, uint16_t target)
{
	return d->params->targets[target].member != PARAMS_NONE;
}

/* --- choosing a target --------------------------------------------------------------------------
 */

static uint16_t choose_by_algorithm(struct dispatch *d, const struct dispatcher *x,
				    const struct flow_key *key, const struct ipaddr *client,
				    uint16_t service, enum dflow_by *by)
{
	const struct service_params *s = service_of(d, service);
	uint64_t hash = s->algorithm == CHOICE_SOURCE ? choice_hash_address(x->params->seed, client)
						      : choice_hash_flow(x->params->seed, key);
	uint16_t target =
		choice_pick(d->service_states[service].choice, d->target_candidates, hash);

	*by = DFLOW_BY_ALGORITHM;
	if (target != PARAMS_NONE)
		return target;
	*by = DFLOW_BY_SORRY;
	return s->sorry != PARAMS_NONE && target_usable(d, s->sorry) ? s->sorry : PARAMS_NONE;
}

/* A client keeps its target while that takes flows at all. */
static uint16_t choose_by_affinity(struct dispatch *d, const struct affinity *a)
{
	if (!a || a->target == PARAMS_NONE || !target_usable(d, a->target) ||
	    d->target_candidates[a->target].weight == 0)
		return PARAMS_NONE;
	return a->target;
}

static void choose_keep(struct dflow *f, struct affinity *a)
{
	if (!a)
		return;
	if (f->affinity_service == PARAMS_NONE) {
		a->n_flows++;
		f->affinity_service = f->service;
	}
	a->target = f->target;
	a->path = f->path;
}

struct serve_pick serve_pick(struct dispatch *d, const struct dispatcher *x, uint16_t service,
			     const struct flow_key *key, const struct ipaddr *client)
{
	const struct service_params *s = service_of(d, service);
	struct serve_pick pick = {.by = DFLOW_BY_AFFINITY};

	if (s->affinity)
		pick.affinity = affinity_get(d->affinities, service, client, s->affinity_ms,
					     d->node->now_ns);
	pick.target = choose_by_affinity(d, pick.affinity);
	if (pick.target == PARAMS_NONE)
		pick.target = choose_by_algorithm(d, x, key, client, service, &pick.by);
	if (pick.target == PARAMS_NONE)
		d->service_states[service].refused++;
	return pick;
}

/* False: nobody is up. */
static bool serve_choose(struct dispatch *d, struct dflow *f)
{
	struct ipaddr client = dflow_client(f);
	struct serve_pick pick = serve_pick(d, &d->dispatchers[f->entry.key.zone], f->service,
					    &f->entry.key, &client);

	dflow_set_target(d, f, pick.target, pick.by);
	if (pick.target == PARAMS_NONE)
		return false;
	choose_keep(f, pick.affinity);
	return true;
}

/* --- l4/3: the flow as the server sees it -------------------------------------------------------
 */

/* The source is one of the service's own addresses, with the client's port if that is free. */
static bool serve_twin_source(struct dispatch *d, struct dflow *f, struct pkt_tuple *t,
			      uint8_t version)
{
	const struct service_params *s = service_of(d, f->service);
	uint64_t hash =
		choice_hash_flow(d->dispatchers[f->entry.key.zone].params->seed, &f->entry.key);
	bool v4 = version == 4;

	for (unsigned i = 0; i < SOURCE_TRIES; i++) {
		const struct ipaddr *from = &s->sources[(hash + i) % s->n_sources];

		if (ipaddr_is_v4(from) != v4)
			continue;
		t->src = *from;
		if (i >= s->n_sources)
			t->sport = (uint16_t)(SOURCE_PORT_FIRST +
					      (hash >> 16) % (65536 - SOURCE_PORT_FIRST));
		if (dflow_add_twin(d, f, t, version))
			return true;
		hash = hash * 6364136223846793005ULL + 1442695040888963407ULL;
	}
	return false;
}

static bool serve_twin(struct dispatch *d, struct dflow *f)
{
	const struct service_params *s = service_of(d, f->service);
	const struct target_params *tp = &d->params->targets[f->target];
	uint8_t version = f->entry.key.version;
	struct pkt_tuple t = dflow_tuple(f, 0);

	if (s->technology != TECHNOLOGY_L4_3 || by_message(d, f->target))
		return true;
	t.dst = version == 4 ? tp->v4 : tp->v6;
	if (tp->port)
		t.dport = tp->port;
	if (s->n_sources > 0)
		return serve_twin_source(d, f, &t, version);
	return dflow_add_twin(d, f, &t, version);
}

static void serve_untwin(struct dispatch *d, struct dflow *f)
{
	if (f->twin == FLOW_NO_INDEX)
		return;
	flow_table_remove(d->flows, flow_table_at(d->flows, f->twin));
	f->twin = FLOW_NO_INDEX;
}

/* --- to the target ------------------------------------------------------------------------------
 */

const struct ipaddr *serve_next_hop(const struct target *t, const struct pkt *pkt)
{
	unsigned i = pkt->version == 6;

	return &t->addr[ipaddr_is_unspecified(&t->addr[i]) ? !i : i];
}

enum drop serve_to_target(struct dispatch *d, struct pkt *pkt, struct dflow *f, unsigned side)
{
	struct target *t = &d->targets[f->target];
	uint16_t member = d->params->targets[f->target].member;

	t->to.packets++;
	t->to.bytes += pkt->ip_len;
	d->service_states[f->service].to.packets++;
	d->service_states[f->service].to.bytes += pkt->ip_len;
	if (member != PARAMS_NONE)
		return stage_to_member(d, pkt, f, side, member);
	if (t->port == PARAMS_NO_PORT)
		return node_drop(d->node, pkt, DROP_NO_ROUTE);
	return node_forward_to(d->node, pkt, t->port, serve_next_hop(t, pkt), &f->hop[side]);
}

/* The flow's target is down. A TCP connection that has begun cannot be moved to a server that
 * knows nothing of it unless so configured; one that has not, and everything else, moves. */
static enum drop serve_check_target(struct dispatch *d, struct pkt *pkt, struct dflow *f)
{
	enum down_action action = service_of(d, f->service)->target_down;

	if (dispatch_by_stack(d, f))
		return DROP_NONE;
	if (f->target != PARAMS_NONE && !target_lost(d, f->target))
		return DROP_NONE;
	if (f->target != PARAMS_NONE && action == DOWN_KEEP)
		return DROP_NONE;
	if (action == DOWN_RESET && f->entry.key.proto == IPPROTO_NUM_TCP &&
	    f->state != DFLOW_OPENING) {
		node_drop(d->node, pkt, DROP_TARGET_DOWN);
		dflow_reset(d, f);
		dflow_remove(d, f, DROP_TARGET_DOWN);
		return DROP_TARGET_DOWN;
	}
	serve_untwin(d, f);
	f->hop[0].neigh = f->hop[1].neigh = NEIGH_NONE;
	if (!serve_choose(d, f) || !serve_twin(d, f)) {
		dispatch_refuse(d, pkt, &d->dispatchers[f->entry.key.zone], DROP_NO_TARGET);
		dflow_remove(d, f, DROP_NO_TARGET);
		return DROP_NO_TARGET;
	}
	node_count(d->node, COUNTER_TARGET_MOVED);
	dispatch_note(d, NOTE_DISPATCH_MOVED, f, "its target is down");
	return DROP_NONE;
}

/* --- packets of clients --------------------------------------------------------------------------
 */

static void serve_forward(struct dispatch *d, struct pkt *pkt, struct dflow *f, unsigned side)
{
	if (f->twin != FLOW_NO_INDEX) {
		/* Errors quote the packet as its sender sent it. */
		if (node_ttl_expired(d->node, pkt) ||
		    node_too_big(d->node, pkt, d->targets[f->target].port))
			return;
		dispatch_translate(d, pkt, f, side);
	}
	dflow_touch(d, f, pkt, side);
	dispatch_send(d, pkt, f, side);
}

/* Whom the flow is for. DROP_NONE, or why nobody takes it. */
static enum drop serve_find_server(struct dispatch *d, struct dflow *f)
{
	if (dispatch_by_stack(d, f))
		return serve_stack_works(d) ? DROP_NONE : DROP_NO_STACK;
	if (!serve_choose(d, f))
		return DROP_NO_TARGET;
	return serve_twin(d, f) ? DROP_NONE : DROP_NAT_FULL;
}

/* A target for a flow whose path is known. NULL: refused, the packet was dropped. */
static bool serve_begin(struct dispatch *d, struct pkt *pkt, struct dflow *f, uint16_t service)
{
	enum drop why;

	f->service = service;
	f->origin_port = (uint8_t)pkt->frame->port;
	d->service_states[service].flows_total++;
	why = serve_find_server(d, f);
	if (why == DROP_NONE) {
		dispatch_note(d, NOTE_DISPATCHED, f,
			      dispatch_by_stack(d, f) ? "private stack" : NULL);
		return true;
	}
	/* Who asks again finds a server that is only about to be found. */
	if (why == DROP_NAT_FULL ||
	    (why == DROP_NO_TARGET && target_awaited(d, service_of(d, service))))
		node_drop(d->node, pkt, why);
	else
		dispatch_refuse(d, pkt, &d->dispatchers[f->entry.key.zone], why);
	dflow_remove(d, f, why);
	return false;
}

/* In the middle of a flow that nothing is known of, after a restart perhaps: the static algorithms
 * find the same target again, others would send it to a stranger. The private stack's connections
 * end with the daemon. */
static bool serve_may_resume(const struct dispatch *d, const struct pkt *pkt, uint16_t service)
{
	enum choice_algorithm a = service_of(d, service)->algorithm;

	if (pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->tcp.flags & TCP_RST)
		return false;
	if (technology_is_l7(service_of(d, service)->technology))
		return false;
	return a == CHOICE_STATIC || a == CHOICE_SOURCE;
}

static struct dflow *serve_new(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l,
			       uint16_t service)
{
	enum dflow_by by = DFLOW_BY_LEARNT;
	uint16_t path = l->path;
	struct dflow *f;

	/* In the private stack the packet's way ends. */
	if (!technology_is_l7(service_of(d, service)->technology) && node_ttl_expired(d->node, pkt))
		return NULL;
	if (l->upstream && stage_path(d, pkt, l, &path, &by) < 0)
		return NULL;
	f = dflow_new(d, l);
	if (!f) {
		node_drop(d->node, pkt, DROP_FLOW_TABLE_FULL);
		return NULL;
	}
	if (path != PARAMS_NONE)
		dflow_set_path(d, f, path, by);
	if (by == DFLOW_BY_LEARNT && path != PARAMS_NONE)
		node_count(d->node, COUNTER_PATH_LEARNT);
	return serve_begin(d, pkt, f, service) ? f : NULL;
}

/* The message came before the packet: the flow has its path, and now gets its target. */
static struct dflow *serve_announced(struct dispatch *d, struct pkt *pkt, struct dflow *f,
				     unsigned dir)
{
	uint16_t service =
		service_find(d->services, &pkt->tuple.dst, pkt->tuple.proto, pkt->tuple.dport);

	if (service == PARAMS_NONE) {
		dispatch_refuse(d, pkt, &d->dispatchers[f->entry.key.zone], DROP_NO_SERVICE);
		dflow_remove(d, f, DROP_NO_SERVICE);
		return NULL;
	}
	f->flags = (uint8_t)(f->flags & ~(DFLOW_ANNOUNCED | DFLOW_ORIGIN_B));
	f->flags = (uint8_t)(f->flags | (dir ? DFLOW_ORIGIN_B : 0));
	return serve_begin(d, pkt, f, service) ? f : NULL;
}

void serve_packet(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l, struct dflow *f,
		  uint16_t service)
{
	if (f && f->flags & DFLOW_ANNOUNCED) {
		f = serve_announced(d, pkt, f, l->dir);
	} else if (f) {
		balance_learn(d, l, f);
		if (serve_check_target(d, pkt, f) != DROP_NONE)
			return;
	} else if (pkt_starts_flow(pkt) || serve_may_resume(d, pkt, service)) {
		f = serve_new(d, pkt, l, service);
	} else {
		if (!l->upstream || !stage_join(d, pkt, l))
			dispatch_unknown(d, pkt, l);
		return;
	}
	if (f)
		serve_forward(d, pkt, f, dflow_side(f, l->dir));
}

/* --- flows that a server begins
 * ------------------------------------------------------------------- */

/* The server's own address becomes the service's (l4/3). */
static bool server_as_service(struct dispatch *d, struct dispatch_lookup *l, const struct pkt *pkt,
			      uint16_t service)
{
	const struct service_params *s = service_of(d, service);
	struct pkt_tuple t = pkt->tuple;

	for (uint32_t i = 0; i < s->n_addresses; i++) {
		if (ipaddr_is_v4(&s->addresses[i]) != (pkt->version == 4))
			continue;
		t.src = s->addresses[i];
		l->dir = flow_key_make(&l->key, &t, pkt->version);
		l->key.zone = l->d->index;
		l->hash = flow_table_hash(d->flows, &l->key);
		l->by_twin = true;
		return flow_table_find(d->flows, &l->key, l->hash) == NULL;
	}
	return false;
}

static struct dflow *server_flow(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l,
				 uint16_t service, struct affinity *a)
{
	struct dflow *f = dflow_new(d, l);

	if (!f)
		return NULL;
	f->flags |= DFLOW_INSIDE;
	f->service = service;
	f->origin_port = (uint8_t)pkt->frame->port;
	dflow_set_path(d, f, a->path, DFLOW_BY_AFFINITY);
	dflow_set_target(d, f, a->target, DFLOW_BY_AFFINITY);
	choose_keep(f, a);
	if (l->by_twin && !dflow_add_twin(d, f, &pkt->tuple, pkt->version)) {
		dflow_remove(d, f, DROP_NAT_FULL);
		return NULL;
	}
	dispatch_note(d, NOTE_DISPATCHED, f, NULL);
	return f;
}

bool serve_server_starts(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	struct affinity *a;
	struct dflow *f;
	uint16_t target, service;
	struct pkt_tuple to;

	if (!pkt_starts_flow(pkt))
		return false;
	service = service_of_server(d->services, &pkt->tuple.src, pkt->tuple.proto, &target);
	if (service == PARAMS_NONE)
		return false;
	a = affinity_find(d->affinities, service, &pkt->tuple.dst, d->node->now_ns);
	if (!a || a->target == PARAMS_NONE || (target != PARAMS_NONE && a->target != target))
		return false;
	if (target != PARAMS_NONE && !server_as_service(d, l, pkt, service))
		return false;
	if (node_ttl_expired(d->node, pkt))
		return true;
	f = server_flow(d, pkt, l, service, a);
	if (!f) {
		node_drop(d->node, pkt, DROP_FLOW_TABLE_FULL);
		return true;
	}
	if (l->by_twin) {
		to = dflow_tuple(f, 0);
		nat_rewrite(pkt, &to);
	}
	dflow_touch(d, f, pkt, 0);
	dispatch_send(d, pkt, f, 0);
	return true;
}

/* The affinity of the client with a service that has the address, or NULL. */
static struct affinity *client_affinity(struct dispatch *d, const struct pkt *pkt,
					uint16_t *service)
{
	for (uint16_t i = 0; i < d->params->n_services; i++) {
		const struct service_params *s = &d->params->services[i];
		struct affinity *a = NULL;

		for (uint32_t k = 0; s->affinity && !technology_is_l7(s->technology) &&
				     s->proto == pkt->tuple.proto && k < s->n_addresses && !a;
		     k++)
			if (ipaddr_eq(&s->addresses[k], &pkt->tuple.dst))
				a = affinity_find(d->affinities, i, &pkt->tuple.src,
						  d->node->now_ns);
		*service = i;
		if (a && a->target != PARAMS_NONE && by_message(d, a->target) &&
		    target_usable(d, a->target))
			return a;
	}
	return NULL;
}

bool serve_client_answers(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	struct affinity *a;
	struct dflow *f;
	uint16_t service;

	if ((l->path == PARAMS_NONE && !l->upstream) || (pkt->fragment && pkt->frag_offset > 0) ||
	    !service_has_address(d->services, &pkt->tuple.dst))
		return false;
	a = client_affinity(d, pkt, &service);
	f = a ? dflow_new(d, l) : NULL;
	if (!f)
		return false;
	f->flags = (uint8_t)((f->flags | DFLOW_INSIDE) ^ DFLOW_ORIGIN_B);
	f->service = service;
	f->origin_port = (uint8_t)pkt->frame->port;
	dflow_set_path(d, f, l->path != PARAMS_NONE ? l->path : a->path, DFLOW_BY_LEARNT);
	dflow_set_target(d, f, a->target, DFLOW_BY_AFFINITY);
	choose_keep(f, a);
	dflow_touch(d, f, pkt, 1);
	dispatch_send(d, pkt, f, 1);
	return true;
}
