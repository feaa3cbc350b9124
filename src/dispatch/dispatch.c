#include "dispatch/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "packet/nat.h"
#include "packet/peek.h"
#include "packet/stamp.h"

#define EARLY_FRAGMENTS 1024
#define EARLY_WAIT_NS 1000000000ULL
#define AFFINITY_BUDGET 256 /* places looked at in a tick */

/* --- which flow? ----------------------------------------------------------------------------- */

static void lookup_tuple(struct dispatch *d, struct dispatch_lookup *l, const struct pkt_tuple *t,
			 uint8_t version)
{
	l->dir = flow_key_make(&l->key, t, version);
	l->key.zone = l->d->index;
	l->hash = flow_table_hash(d->flows, &l->key);
}

static void lookup_frag(struct dispatch *d, struct dispatch_lookup *l, struct frag *frag)
{
	l->frag = frag;
	l->key = frag->key;
	l->key.zone = l->d->index;
	l->dir = frag->dir;
	l->hash = flow_table_hash(d->flows, &l->key);
}

void dispatch_prepare(struct dispatch *d, const struct pkt *pkt, struct dispatch_lookup *l)
{
	*l = (struct dispatch_lookup){.d = &d->dispatchers[d->port_dispatcher[pkt->frame->port]],
				      .path = PARAMS_NONE,
				      .prepared = !pkt->icmp_error && !pkt->fragment};
	if (!l->prepared)
		return;
	lookup_tuple(d, l, &pkt->tuple, pkt->version);
	flow_table_prefetch_slot(d->flows, l->hash);
}

void dispatch_prefetch(struct dispatch *d, const struct dispatch_lookup *l)
{
	if (l->prepared)
		flow_table_prefetch_entry(d->flows, l->hash);
}

/* DROP_NONE, or why the flow cannot be told; *wait: a later fragment whose first has not come. */
static enum drop dispatch_lookup(struct dispatch *d, const struct pkt *pkt,
				 struct dispatch_lookup *l, bool *wait)
{
	struct frag *frag;
	enum drop drop;

	if (pkt->icmp_error) {
		if (pkt->inner_fragment)
			return DROP_ICMP_UNRELATED;
		lookup_tuple(d, l, &pkt->inner, pkt->version);
		return DROP_NONE;
	}
	if (!pkt->fragment) {
		lookup_tuple(d, l, &pkt->tuple, pkt->version);
		return DROP_NONE;
	}
	drop = frag_table_see(l->d->fragments, pkt, d->node->now_ns, &frag);
	if (drop != DROP_NONE)
		return drop;
	*wait = !frag->known;
	if (frag->known)
		lookup_frag(d, l, frag);
	return DROP_NONE;
}

/* --- fragments that come before their first -------------------------------------------------- */

static void early_hold(struct dispatch *d, struct pkt *pkt, struct dispatcher *x)
{
	struct held *h = x->early.n < EARLY_FRAGMENTS ? node_hold(d->node, pkt) : NULL;

	if (!h) {
		node_drop(d->node, pkt, DROP_FRAG_LIMIT);
		return;
	}
	h->when_ns = d->node->now_ns;
	held_push(&x->early, h);
	if (x->early_due_ns == UINT64_MAX)
		x->early_due_ns = d->node->now_ns + EARLY_WAIT_NS;
}

/* True when it is gone from the queue. */
static bool early_try(struct dispatch *d, struct dispatcher *x, struct held *h)
{
	struct dispatch_lookup l = {.d = x, .path = PARAMS_NONE};
	struct frag *frag;
	struct pkt pkt;

	if (pkt_decode(&pkt, &h->frame) != DROP_NONE) {
		node_drop_held(d->node, h, DROP_FRAG_BAD);
		return true;
	}
	frag = frag_table_find(x->fragments, &pkt, d->node->now_ns);
	if (frag && frag->known) {
		lookup_frag(d, &l, frag);
		l.prepared = true;
		dispatch_packet(d, &pkt, &l);
		pool_retire(d->node->pool, h);
		return true;
	}
	if (d->node->now_ns < h->when_ns + EARLY_WAIT_NS)
		return false;
	node_drop_held(d->node, h, DROP_FRAG_TIMEOUT);
	return true;
}

static uint64_t early_tick(struct dispatch *d, struct dispatcher *x)
{
	struct held_queue waiting = x->early;
	struct held *h;

	memset(&x->early, 0, sizeof(x->early));
	while ((h = held_pop(&waiting)))
		if (!early_try(d, x, h))
			held_push(&x->early, h);
	x->early_due_ns = x->early.n ? d->node->now_ns + EARLY_WAIT_NS : UINT64_MAX;
	return x->early_due_ns;
}

/* --- where to ----------------------------------------------------------------------------------
 */

bool dispatch_to_firewalls(const struct dispatch *d, const struct dflow *f, unsigned side)
{
	bool outer = d->dispatchers[f->entry.key.zone].params->role == DISPATCH_OUTER;
	bool inside = f->flags & DFLOW_INSIDE;

	return ((side == 0) == inside) != outer;
}

bool dispatch_reaches(const struct dispatch *d, const struct dflow *f, unsigned side)
{
	const struct dispatcher *x = &d->dispatchers[f->entry.key.zone];

	if (dispatch_to_firewalls(d, f, side))
		return f->path == PARAMS_NONE || f->upstream || x->path_candidates[f->path].up;
	if (dispatch_by_stack(d, f))
		return serve_stack_works(d);
	return f->target == PARAMS_NONE || target_usable(d, f->target);
}

enum drop dispatch_send(struct dispatch *d, struct pkt *pkt, struct dflow *f, unsigned side)
{
	if (dispatch_to_firewalls(d, f, side))
		return balance_to_path(d, pkt, f, side);
	if (dispatch_by_stack(d, f))
		return serve_to_stack(d, pkt, f);
	if (f->target != PARAMS_NONE)
		return serve_to_target(d, pkt, f, side);
	return node_forward(d->node, pkt, &f->hop[side]);
}

void dispatch_translate(struct dispatch *d, struct pkt *pkt, const struct dflow *f, unsigned side)
{
	struct pkt_tuple to;

	if (f->twin == FLOW_NO_INDEX || dispatch_to_firewalls(d, f, side))
		return;
	to = dflow_tuple(flow_table_at(d->flows, f->twin), side);
	nat_rewrite(pkt, &to);
}

void dispatch_note(struct dispatch *d, enum note_type type, const struct dflow *f,
		   const char *detail)
{
	struct note *note = node_note(d->node, type);

	if (!note)
		return;
	note->has_flow = true;
	note->key = f->entry.key;
	note->key.zone = 0;
	note->dir = f->flags & DFLOW_ORIGIN_B ? 1 : 0;
	note->path = f->path;
	note->target = f->target;
	note->service = f->service;
	note->detail = detail ? detail
			      : dflow_by_name(f->target != PARAMS_NONE ? f->target_by : f->path_by);
}

/* --- packets of no flow ------------------------------------------------------------------------
 */

/* Passed to the firewall that the static choice names, which judges it (HD-4); nothing is kept. */
static void unknown_pass(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	if (l->path != PARAMS_NONE || l->upstream || d->params->n_paths == 0) {
		node_drop(d->node, pkt, DROP_NO_FLOW);
		return;
	}
	node_count(d->node, COUNTER_UNKNOWN_PASSED);
	balance_static(d, pkt, l);
}

void dispatch_unknown(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	switch (l->d->params->unknown) {
	case UNKNOWN_PASS:
		unknown_pass(d, pkt, l);
		return;
	case UNKNOWN_RESET:
		if (pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4)
			node_reset(d->node, pkt);
		break;
	case UNKNOWN_DROP:
		break;
	}
	node_drop(d->node, pkt, DROP_NO_FLOW);
}

void dispatch_refuse(struct dispatch *d, struct pkt *pkt, const struct dispatcher *x, enum drop why)
{
	if (x->params->unknown == UNKNOWN_RESET && pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4 &&
	    !(pkt->tcp.flags & TCP_RST))
		node_reset(d->node, pkt);
	node_drop(d->node, pkt, why);
}

/* --- ICMP errors: to the sender of the packet they quote ---------------------------------------
 */

/* What the receiver is to see: the quoted packet as it sent it, and of the error's source what it
 * knows of it (a server's own address is none of the client's business). */
static void error_translate(struct dispatch *d, struct pkt *pkt, const struct dispatch_lookup *l,
			    const struct dflow *f, unsigned quoted)
{
	const struct dflow *twin =
		f->twin == FLOW_NO_INDEX ? NULL : flow_table_at(d->flows, f->twin);
	struct pkt_tuple before, after;
	struct ipaddr src = pkt->tuple.src;

	if (!twin)
		return;
	before = dflow_tuple(l->by_twin ? twin : f, quoted);
	after = dflow_tuple(l->by_twin ? f : twin, quoted);
	if (ipaddr_eq(&src, &before.dst))
		src = after.dst;
	nat_rewrite_error(pkt, &src, &after.src, &after);
}

static void dispatch_error(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l,
			   struct dflow *f)
{
	struct hop hop = {.neigh = NEIGH_NONE};
	unsigned quoted;

	if (!f && l->path != PARAMS_NONE) { /* judged by a firewall, for somebody inside */
		node_forward(d->node, pkt, &hop);
		return;
	}
	if (!f && !l->d->params->learn) {
		balance_static(d, pkt, l);
		return;
	}
	if (!f) {
		node_drop(d->node, pkt, DROP_ICMP_UNRELATED);
		return;
	}
	quoted = dflow_side(f, l->dir);
	if (stamp_erase_quoted(pkt) > 0)
		node_count(d->node, COUNTER_STAMP_STRIPPED);
	error_translate(d, pkt, l, f, quoted);
	dispatch_send(d, pkt, f, !quoted);
}

/* --- the order of things ------------------------------------------------------------------------
 */

/* Reached by the routes on this dispatcher's own side: with outer and inner in one node the routes
 * of the other side, too, are known here, but packets go there through a firewall. */
static bool dispatch_is_local(const struct dispatch *d, const struct dispatch_lookup *l,
			      const struct pkt *pkt)
{
	uint16_t port;

	if (l->d->params->role == DISPATCH_OUTER)
		return false;
	if (d->params->n_paths == 0)
		return true;
	port = node_route_port(d->node, &pkt->tuple.dst);
	return port != PARAMS_NO_PORT && port != l->d->params->firewall_port &&
	       d->port_dispatcher[port] == l->d->index;
}

static void dispatch_pass_local(struct dispatch *d, struct pkt *pkt)
{
	struct hop hop = {.neigh = NEIGH_NONE};

	node_forward(d->node, pkt, &hop);
}

static bool is_later_fragment(const struct pkt *pkt)
{
	return pkt->fragment && pkt->frag_offset > 0;
}

/* An address that services have and no host: the daemon answers for it, or no route leads on to it
 * on this dispatcher's own side. Else it may be a real host's, of which services take a part. */
static bool dispatch_is_virtual(const struct dispatch *d, const struct dispatch_lookup *l,
				const struct pkt *pkt)
{
	uint16_t port;

	if (!service_has_address(d->services, &pkt->tuple.dst))
		return false;
	if (node_answers_for(d->node, &pkt->tuple.dst))
		return true;
	port = node_route_port(d->node, &pkt->tuple.dst);
	return port == PARAMS_NO_PORT || port == pkt->frame->port ||
	       port == l->d->params->firewall_port || d->port_dispatcher[port] != l->d->index;
}

/* Inner and later stages: nothing is known of the flow. */
static void dispatch_new(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	const struct pkt_tuple *t = l->frag ? &l->frag->tuple : &pkt->tuple;
	uint16_t service = service_find(d->services, &t->dst, t->proto, t->dport);

	if (!pkt_starts_flow(pkt) && serve_client_answers(d, pkt, l))
		return;
	if (service != PARAMS_NONE) {
		serve_packet(d, pkt, l, NULL, service);
		return;
	}
	if ((pkt_starts_flow(pkt) || is_later_fragment(pkt)) && dispatch_is_virtual(d, l, pkt)) {
		dispatch_refuse(d, pkt, l->d, DROP_NO_SERVICE);
		return;
	}
	if (l->upstream) {
		if (!stage_join(d, pkt, l))
			dispatch_unknown(d, pkt, l);
		return;
	}
	if (l->path == PARAMS_NONE) {
		if (serve_server_starts(d, pkt, l))
			return;
		if (dispatch_is_local(d, l, pkt)) {
			dispatch_pass_local(d, pkt);
			return;
		}
	}
	balance_packet(d, pkt, l, NULL);
}

/* A packet of a service's flow. */
static void dispatch_served(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l,
			    struct dflow *f)
{
	unsigned side = dflow_side(f, l->dir);
	bool to_clients = dispatch_to_firewalls(d, f, side);
	struct pkt_tuple to;

	if (!to_clients && !(f->flags & DFLOW_INSIDE)) {
		serve_packet(d, pkt, l, f, f->service);
		return;
	}
	if (to_clients && l->by_twin) {
		if (node_ttl_expired(d->node, pkt))
			return;
		to = dflow_tuple(f, side);
		nat_rewrite(pkt, &to);
	} else if (to_clients && f->twin != FLOW_NO_INDEX) {
		node_drop(d->node, pkt, DROP_SPOOFED); /* a server speaks as the service itself */
		return;
	}
	if (to_clients && f->target != PARAMS_NONE) {
		d->targets[f->target].from.packets++;
		d->targets[f->target].from.bytes += pkt->ip_len;
	}
	if (to_clients && (f->target != PARAMS_NONE || dispatch_by_stack(d, f))) {
		d->service_states[f->service].from.packets++;
		d->service_states[f->service].from.bytes += pkt->ip_len;
	}
	if (!to_clients) {
		balance_learn(d, l, f);
		dispatch_translate(d, pkt, f, side);
	}
	dflow_touch(d, f, pkt, side);
	dispatch_send(d, pkt, f, side);
}

/* For the node itself, and no service that shares its address. */
static bool dispatch_for_node(const struct dispatch *d, const struct pkt *pkt)
{
	return node_address_find(d->node, &pkt->tuple.dst) &&
	       service_find(d->services, &pkt->tuple.dst, pkt->tuple.proto, pkt->tuple.dport) ==
		       PARAMS_NONE;
}

/* Begun before the stage before was known to be one (this node had only just started), so nobody
 * was asked for its path. */
static bool dispatch_forsaken(const struct dflow *f, const struct dispatch_lookup *l)
{
	return l->upstream && !f->upstream && f->path == PARAMS_NONE && dispatch_is_service(f);
}

/* An answer of a service's flow that had been forgotten here was taken for a server's own flow; the
 * client, who does not know of that, asks again. */
static bool dispatch_mistaken(const struct dispatch *d, const struct dflow *f,
			      const struct pkt *pkt, const struct dispatch_lookup *l)
{
	uint16_t service;

	if (dispatch_is_service(f) || !(f->flags & DFLOW_INSIDE) || f->packets[1] > 0 ||
	    dflow_side(f, l->dir) == 0 || !pkt_starts_flow(pkt) ||
	    l->d->params->role == DISPATCH_OUTER)
		return false;
	service = service_find(d->services, &pkt->tuple.dst, pkt->tuple.proto, pkt->tuple.dport);
	return service != PARAMS_NONE && d->params->services[service].n_ports > 0;
}

void dispatch_route(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	struct dflow *f = dflow_find(d, &l->key, l->hash, &l->by_twin);

	if (f)
		node_count(d->node, COUNTER_DISPATCH_HIT);
	if (f && l->by_twin) /* the two keys need not order the endpoints alike */
		l->dir = dflow_side(flow_table_at(d->flows, f->twin), l->dir) ^ dflow_side(f, 0);
	if (d->has_stack && !serve_may_speak(d, pkt, l, f))
		return;
	if (!f && d->legs && l->path == PARAMS_NONE && !l->upstream && legs_forgotten(d, pkt))
		return;
	if (pkt->icmp_error) {
		dispatch_error(d, pkt, l, f);
		return;
	}
	if (f && (dispatch_forsaken(f, l) || dispatch_mistaken(d, f, pkt, l))) {
		dflow_remove(d, f, DROP_NONE);
		f = NULL;
	}
	if (f && f->upstream && l->upstream)
		stage_follow(d, f, l->upstream);
	if (f && dflow_reopens(f, pkt, dflow_side(f, l->dir))) {
		dflow_remove(d, f, DROP_NONE);
		f = NULL;
	}
	if (f && f->flags & DFLOW_ANNOUNCED) { /* its path is all that is known so far */
		serve_packet(d, pkt, l, f, PARAMS_NONE);
		return;
	}
	if (f && dispatch_is_service(f))
		dispatch_served(d, pkt, l, f);
	else if (!f && dispatch_for_node(d, pkt))
		node_drop(d->node, pkt, DROP_TO_HOST);
	else if (f || l->d->params->role == DISPATCH_OUTER)
		balance_packet(d, pkt, l, f);
	else
		dispatch_new(d, pkt, l);
}

/* --- who sent it --------------------------------------------------------------------------------
 */

/* False: it has no business there, and was dropped. */
static bool dispatch_sender(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	struct dispatcher *x = l->d;

	if (dispatch_from_stack(d, pkt))
		return true;
	if (x->from_macs & 1ULL << (pkt->eth_src.b[5] & 63))
		l->upstream = stage_upstream(d, x, pkt);
	if (pkt->frame->port != x->params->firewall_port || l->upstream)
		return true;
	l->path = path_by_mac(d, x, &pkt->eth_src);
	if (l->path == PARAMS_NONE) {
		if (!legs_forgotten(d, pkt))
			node_drop(d->node, pkt, DROP_UNKNOWN_PATH);
		return false;
	}
	path_heard(d, x, l->path);
	x->paths[l->path].from.packets++;
	x->paths[l->path].from.bytes += pkt->ip_len;
	return true;
}

void dispatch_packet(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	uint32_t n_sent = d->node->out->n_frames;
	bool wait = false;
	enum drop drop;

	d->touched = FLOW_NO_INDEX;
	if (pkt->frame->port == d->params->legs_port) {
		legs_out(d, pkt);
		return;
	}
	if ((d->legs || pkt->tcp.flags & TCP_SYN) && legs_in(d, pkt))
		return;
	if (!dispatch_sender(d, pkt, l))
		return;
	drop = l->prepared ? DROP_NONE : dispatch_lookup(d, pkt, l, &wait);
	if (wait) {
		early_hold(d, pkt, l->d);
		return;
	}
	if (drop != DROP_NONE) {
		node_drop(d->node, pkt, drop);
		return;
	}
	if (pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4 && pkt->tcp.flags & TCP_SYN)
		stage_unstamp(d, pkt, l);
	dispatch_route(d, pkt, l);
	if (d->node->offload && d->touched != FLOW_NO_INDEX)
		dflow_offer(d, flow_table_at(d->flows, d->touched), d->touched_side, pkt, n_sent);
	/* The first fragment has just told where the others go. */
	if (pkt->fragment && pkt->frag_offset == 0 && l->d->early.n)
		early_tick(d, l->d);
}

bool dispatch_probe(struct dispatch *d, struct pkt *pkt)
{
	struct dispatcher *x;

	if (!dispatch_owns(d, pkt->frame->port))
		return false;
	x = &d->dispatchers[d->port_dispatcher[pkt->frame->port]];
	return pkt->frame->port == x->params->firewall_port && path_probe(d, x, pkt);
}

/* --- messages and time --------------------------------------------------------------------------
 */

void dispatch_message(struct dispatch *d, struct channel_message *msg)
{
	if (msg->type == WIRE_ROLE)
		takeover_message(d, msg);
	else if (msg->type == WIRE_SYNC || msg->type == WIRE_SYNC_ASK)
		replica_message(d, msg);
	else if (msg->type == WIRE_TARGETS)
		target_message(d, msg);
	else if (msg->type == WIRE_WHO_HAS || msg->type == WIRE_HAVE)
		finds_message(d, msg);
	else
		stage_message(d, msg);
}

static uint64_t earlier(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

uint64_t dispatch_tick(struct dispatch *d)
{
	uint64_t now = d->node->now_ns, next;

	if (d->n_dispatchers == 0)
		return UINT64_MAX;
	next = earlier(path_tick(d), target_tick(d));
	next = earlier(next, stage_tick(d));
	next = earlier(next, dflow_tick(d));
	next = earlier(next, finds_tick(d));
	next = earlier(next, legs_tick(d));
	next = earlier(next, replica_tick(d));
	affinity_expire(d->affinities, now, AFFINITY_BUDGET);
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		struct dispatcher *x = &d->dispatchers[i];
		next = earlier(next, frag_table_expire(x->fragments, now));
		next = earlier(next, x->early_due_ns <= now ? early_tick(d, x) : x->early_due_ns);
	}
	return next;
}

uint32_t dispatch_flush(struct dispatch *d)
{
	uint32_t pos = 0, n = 0;
	struct dflow *f;

	while (d->flows && (f = flow_table_next(d->flows, &pos))) {
		if (f->flags & DFLOW_TWIN || !takeover_is_active(d, f->entry.key.zone))
			continue;
		dflow_remove(d, f, DROP_FLUSHED);
		n++;
	}
	return n;
}
