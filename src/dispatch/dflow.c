/*
 * dflow.c - the life of a dispatcher's flow: found, made, followed, moved, ended.
 */
#include <string.h>

#include "dispatch/dispatch.h"
#include "packet/build.h"

#define EXPIRE_BUDGET 4096
#define SWEEP_BUDGET 4096
#define EVICT_STEPS 4096
#define ACK_SLACK 65536

const char *dflow_by_name(enum dflow_by by)
{
#define DFLOW_BY_NAME(sym, name) name,
	static const char *const names[] = {DFLOW_BY_LIST(DFLOW_BY_NAME)};
#undef DFLOW_BY_NAME
	return names[by];
}

const char *dflow_state_name(enum dflow_state s)
{
	static const char *const names[] = {"opening", "open", "closing", "closed"};
	return names[s];
}

/* --- following (loosely: one direction may go another way) ------------------------------------ */

static void dflow_track_tcp(struct dflow *f, const struct tcp_seg *seg, unsigned side)
{
	if (seg->flags & TCP_ACK)
		f->ack[side] = seg->ack;
	if (side == 1 && seg->flags & TCP_SYN && f->state == DFLOW_OPENING)
		f->ack[0] = seg->seq + 1; /* what the originator has to acknowledge */
	if (seg->flags & TCP_RST) {
		f->state = DFLOW_CLOSED;
		return;
	}
	if (seg->flags & TCP_FIN)
		f->flags |= side ? DFLOW_FIN_1 : DFLOW_FIN_0;
	if ((f->flags & (DFLOW_FIN_0 | DFLOW_FIN_1)) == (DFLOW_FIN_0 | DFLOW_FIN_1))
		f->state = DFLOW_CLOSED;
	else if (f->flags & (DFLOW_FIN_0 | DFLOW_FIN_1))
		f->state = DFLOW_CLOSING;
	else if (f->state == DFLOW_OPENING && side == 0 && !(seg->flags & TCP_SYN))
		f->state = DFLOW_OPEN;
}

/* A packet of the flow: its state, and what a reset would need. */
static void dflow_track(struct dflow *f, const struct pkt *pkt, unsigned side)
{
	if (pkt->icmp_error || (pkt->fragment && pkt->frag_offset > 0))
		return;
	if (f->entry.key.proto == IPPROTO_NUM_TCP)
		dflow_track_tcp(f, &pkt->tcp, side);
	else if (f->state == DFLOW_OPENING && (side == 1 || f->packets[0] > 1))
		f->state = DFLOW_OPEN;
}

/* Before it is tracked: the end of a handshake, with what the answer asked for. Data may have come
 * with the answer. */
static bool dflow_ack_fits(const struct dflow *f, const struct pkt *pkt, unsigned side)
{
	return side == 0 && f->state == DFLOW_OPENING && f->packets[1] > 0 &&
	       f->entry.key.proto == IPPROTO_NUM_TCP && pkt->l4 && pkt->tcp.flags & TCP_ACK &&
	       pkt->tcp.ack - f->ack[0] < ACK_SLACK;
}

/* Whether it is more than a beginning, which anybody could have forged. The outer dispatcher sees
 * all answers, and believes flows from outside only by them. Behind the firewalls, which judge what
 * belongs to a connection, answers may go another way. */
static bool dflow_confirmed(const struct dispatch *d, const struct dflow *f, const struct pkt *pkt,
			    unsigned side, bool ack_fits)
{
	if (f->state == DFLOW_OPENING || f->state == DFLOW_CLOSED)
		return false;
	if (d->dispatchers[f->entry.key.zone].params->role != DISPATCH_OUTER ||
	    f->flags & DFLOW_INSIDE)
		return true;
	if (f->entry.key.proto != IPPROTO_NUM_TCP)
		return f->packets[1] > 0;
	return ack_fits || (side == 1 && pkt->l4 && !(pkt->tcp.flags & TCP_SYN));
}

bool dflow_reopens(const struct dflow *f, const struct pkt *pkt, unsigned side)
{
	return f->entry.key.proto == IPPROTO_NUM_TCP && f->state >= DFLOW_CLOSING && side == 0 &&
	       !pkt->icmp_error && pkt->l4 &&
	       (pkt->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

uint32_t dflow_timeout(const struct dflow *f, const struct dispatcher_params *p)
{
	switch (f->entry.key.proto) {
	case IPPROTO_NUM_TCP:
		return f->state == DFLOW_OPENING ? p->tcp_open_ms
		       : f->state == DFLOW_OPEN	 ? p->tcp_ms
						 : p->tcp_close_ms;
	case IPPROTO_NUM_UDP:
		return p->udp_ms;
	default:
		return p->other_ms;
	}
}

static void dflow_weigh(struct dispatch *d, struct dflow *f, bool counted);
static void dflow_release_affinity(struct dispatch *d, struct dflow *f);

void dflow_settle(struct dispatch *d, struct dflow *f)
{
	if (f->state >= DFLOW_CLOSING)
		dflow_weigh(d, f, false);
	if (f->state == DFLOW_CLOSED)
		dflow_release_affinity(d, f);
}

void dflow_touch(struct dispatch *d, struct dflow *f, const struct pkt *pkt, unsigned side)
{
	const struct dispatcher *x = &d->dispatchers[f->entry.key.zone];
	bool half = f->flags & DFLOW_HALF, ack_fits = half && dflow_ack_fits(f, pkt, side);
	uint8_t state = f->state;

	dflow_count(f, side, pkt->ip_len);
	dflow_track(f, pkt, side);
	if (half && dflow_confirmed(d, f, pkt, side, ack_fits)) {
		f->flags = (uint8_t)(f->flags & ~DFLOW_HALF);
		d->n_opening--;
		replica_changed(d, f);
	}
	if (f->state >= DFLOW_CLOSING)
		dflow_settle(d, f);
	flow_table_arm(d->flows, f, d->node->now_ns, dflow_timeout(f, x->params));
	if (d->replica) {
		if (f->state != state)
			replica_changed(d, f);
		else
			replica_seen(d, f, dflow_timeout(f, x->params));
	}
	if (d->node->offload) {
		d->touched = flow_table_index(d->flows, f);
		d->touched_side = side;
		if (f->state >= DFLOW_CLOSING)
			dflow_offload_end(d, f);
	}
}

/* --- making ----------------------------------------------------------------------------------- */

struct dflow *dflow_find(struct dispatch *d, const struct flow_key *key, uint64_t hash,
			 bool *by_twin)
{
	struct dflow *f = flow_table_find(d->flows, key, hash);

	*by_twin = f && f->flags & DFLOW_TWIN;
	return *by_twin ? flow_table_at(d->flows, f->twin) : f;
}

/* Make room: the next flow behind the hand that was never confirmed goes. Established flows are
 * never evicted, so a flood of beginnings costs only other beginnings. */
static bool dflow_evict(struct dispatch *d)
{
	uint32_t capacity = flow_table_capacity(d->flows);

	for (unsigned i = 0; i < EVICT_STEPS; i++) {
		struct dflow *f = flow_table_at(d->flows, d->evict_hand);

		d->evict_hand = d->evict_hand + 1 < capacity ? d->evict_hand + 1 : 0;
		if (f && f->flags & DFLOW_HALF) {
			node_count(d->node, COUNTER_DISPATCH_EVICTED);
			dflow_remove(d, f, DROP_HALF_OPEN_LIMIT);
			return true;
		}
	}
	return false;
}

static struct dflow *dflow_insert(struct dispatch *d, const struct flow_key *key)
{
	uint64_t hash = flow_table_hash(d->flows, key);
	struct dflow *f = flow_table_insert(d->flows, key, hash);

	return f || !dflow_evict(d) ? f : flow_table_insert(d->flows, key, hash);
}

struct dflow *dflow_new(struct dispatch *d, const struct dispatch_lookup *l)
{
	struct dflow *f = dflow_insert(d, &l->key);

	if (!f)
		return NULL;
	f->twin = FLOW_NO_INDEX;
	f->created_ms = (uint32_t)(d->node->now_ns / 1000000);
	f->hop[0].neigh = f->hop[1].neigh = NEIGH_NONE;
	f->path = f->service = f->target = f->affinity_service = PARAMS_NONE;
	f->upstream = l->upstream;
	f->flags = (uint8_t)(DFLOW_HALF | DFLOW_COUNTED | (l->dir ? DFLOW_ORIGIN_B : 0));
	d->n_opening++;
	l->d->n_flows++;
	node_count(d->node, COUNTER_DISPATCH_NEW);
	flow_table_arm(d->flows, f, d->node->now_ns, dflow_timeout(f, l->d->params));
	return f;
}

/* What looked like a server's own flow: after a restart its answers come before its requests. */
static bool dflow_gives_way(const struct dflow *f)
{
	return !(f->flags & DFLOW_TWIN) && f->flags & DFLOW_INSIDE && f->service == PARAMS_NONE;
}

bool dflow_add_twin(struct dispatch *d, struct dflow *f, const struct pkt_tuple *t, uint8_t version)
{
	uint32_t index = flow_table_index(d->flows, f);
	struct flow_key key;
	struct dflow *twin;
	unsigned dir;

	dir = flow_key_make(&key, t, version);
	key.zone = f->entry.key.zone;
	twin = flow_table_find(d->flows, &key, flow_table_hash(d->flows, &key));
	if (twin && !dflow_gives_way(twin))
		return false;
	if (twin)
		dflow_remove(d, twin, DROP_NONE);
	twin = dflow_insert(d, &key);
	if (!twin)
		return false;
	if (flow_table_at(d->flows, index) != f) { /* evicted to make room for its own twin */
		flow_table_remove(d->flows, twin);
		return false;
	}
	twin->flags = (uint8_t)(DFLOW_TWIN | (dir ? DFLOW_ORIGIN_B : 0));
	twin->twin = index;
	f->twin = flow_table_index(d->flows, twin);
	return true;
}

/* --- who serves it, and by which firewall ----------------------------------------------------- */

/* The candidates know who has how many flows that are not closing. */
static void dflow_weigh(struct dispatch *d, struct dflow *f, bool counted)
{
	struct dispatcher *x = &d->dispatchers[f->entry.key.zone];
	uint32_t step = counted ? 1 : UINT32_MAX;

	if (counted == !!(f->flags & DFLOW_COUNTED))
		return;
	f->flags ^= DFLOW_COUNTED;
	x->n_flows += step;
	if (f->path != PARAMS_NONE)
		x->path_candidates[f->path].n_flows += step;
	if (f->target != PARAMS_NONE)
		d->target_candidates[f->target].n_flows += step;
}

void dflow_set_path(struct dispatch *d, struct dflow *f, uint16_t path, enum dflow_by by)
{
	struct dispatcher *x = &d->dispatchers[f->entry.key.zone];
	bool counted = f->flags & DFLOW_COUNTED;

	dflow_offload_end(d, f);
	dflow_weigh(d, f, false);
	if (path != PARAMS_NONE)
		x->paths[path].flows_total++;
	f->path = path;
	f->path_by = (unsigned)by & 15;
	dflow_weigh(d, f, counted);
	replica_changed(d, f);
}

void dflow_set_target(struct dispatch *d, struct dflow *f, uint16_t target, enum dflow_by by)
{
	bool counted = f->flags & DFLOW_COUNTED;

	dflow_offload_end(d, f);
	dflow_weigh(d, f, false);
	if (target != PARAMS_NONE)
		d->targets[target].flows_total++;
	f->target = target;
	f->target_by = (unsigned)by & 15;
	dflow_weigh(d, f, counted);
	replica_changed(d, f);
}

void dflow_begin_resume(struct dispatch *d, struct dflow *f)
{
	dflow_weigh(d, f, false);
	f->flags = (uint8_t)(f->flags & ~DFLOW_HALF);
	d->n_opening--;
}

void dflow_resume(struct dispatch *d, struct dflow *f, bool counted)
{
	if (f->flags & DFLOW_HALF)
		d->n_opening++;
	dflow_weigh(d, f, counted);
}

/* --- ending ----------------------------------------------------------------------------------- */

struct pkt_tuple dflow_tuple(const struct dflow *f, unsigned side)
{
	return flow_key_tuple(&f->entry.key, side ^ (f->flags & DFLOW_ORIGIN_B ? 1u : 0u));
}

struct ipaddr dflow_client(const struct dflow *f)
{
	struct pkt_tuple t = dflow_tuple(f, 0);

	return f->flags & DFLOW_INSIDE ? t.dst : t.src;
}

/* The flow holds its client's affinity open no longer; that lives on for its time. */
static void dflow_release_affinity(struct dispatch *d, struct dflow *f)
{
	struct ipaddr client;
	struct affinity *a;

	if (f->affinity_service == PARAMS_NONE)
		return;
	client = dflow_client(f);
	a = affinity_find(d->affinities, f->affinity_service, &client, d->node->now_ns);
	if (!a)
		return;
	if (a->n_flows > 0)
		a->n_flows--;
	a->expires_ns =
		d->node->now_ns + 1000000ULL * d->params->services[f->affinity_service].affinity_ms;
	f->affinity_service = PARAMS_NONE;
}

void dflow_remove(struct dispatch *d, struct dflow *f, enum drop reason)
{
	dispatch_note(d, NOTE_FLOW_ENDED, f, reason == DROP_NONE ? NULL : drop_name(reason));
	dflow_offload_end(d, f);
	d->touched = FLOW_NO_INDEX;
	replica_gone(d, f);
	dflow_release_affinity(d, f);
	dflow_weigh(d, f, false);
	if (f->flags & DFLOW_HALF)
		d->n_opening--;
	if (f->twin != FLOW_NO_INDEX)
		flow_table_remove(d->flows, flow_table_at(d->flows, f->twin));
	node_count(d->node, COUNTER_DISPATCH_ENDED);
	flow_table_remove(d->flows, f);
}

/* --- resets ----------------------------------------------------------------------------------- */

bool dflow_reset_frame(struct dispatch *d, const struct pkt_tuple *tuple, uint8_t version,
		       const struct tcp_seg *said, struct frame *frame)
{
	struct pkt cause = {
		.kind = PKT_IP, .version = version, .tuple = *tuple, .l4 = 1, .tcp = *said};
	struct build_eth eth = {.vlan = 0};
	uint8_t *room;

	room = actions_room(d->node->out, BUILD_MAX + FRAME_HEADROOM);
	if (!room)
		return false;
	*frame = (struct frame){.data = room + FRAME_HEADROOM, .port = NODE_ORIGINATED};
	frame->len =
		(uint32_t)build_tcp_reset(d->node->build, &eth, &cause, frame->data, BUILD_MAX);
	return frame->len > 0;
}

static bool reset_allowed(struct dispatch *d)
{
	if (bucket_take(&d->node->originate, 1, d->node->now_ns))
		return true;
	node_count(d->node, COUNTER_ORIGINATE_LIMIT);
	return false;
}

/* The side expects the number it has acknowledged last, so it is believed (RFC 5961 section 3). */
static void dflow_reset_side(struct dispatch *d, struct dflow *f, unsigned side)
{
	struct pkt_tuple tuple = dflow_tuple(f, side);
	struct tcp_seg said = {.flags = TCP_ACK};
	struct frame frame;
	struct pkt pkt;

	dflow_offload_take(d, f);
	said.ack = f->ack[side];
	if (said.ack == 0 || !reset_allowed(d) ||
	    !dflow_reset_frame(d, &tuple, f->entry.key.version, &said, &frame) ||
	    pkt_decode(&pkt, &frame) != DROP_NONE)
		return;
	d->node->counters[COUNTER_FRAMES_MADE]++;
	node_count(d->node, COUNTER_RESET_SENT);
	dispatch_translate(d, &pkt, f, !side);
	dispatch_send(d, &pkt, f, !side);
}

/* When both have sent a FIN nobody waits for more than an acknowledgement, and firewalls may have
 * forgotten the connection already. Of a flow whose answers do not come by here one FIN is all that
 * is ever seen: nearly all of these have ended, and resets for them would use up what the limit
 * leaves for those who wait. */
static bool dflow_has_ended(const struct dflow *f)
{
	bool first = f->flags & DFLOW_FIN_0, second = f->flags & DFLOW_FIN_1;

	if (f->state == DFLOW_CLOSED || (first && second))
		return true;
	return (first || second) && (f->packets[0] == 0 || f->packets[1] == 0);
}

void dflow_reset(struct dispatch *d, struct dflow *f)
{
	dispatch_note(d, NOTE_DISPATCH_MOVED, f, "reset");
	node_count(d->node, COUNTER_FLOWS_RESET);
	if (f->entry.key.proto != IPPROTO_NUM_TCP || dflow_has_ended(f))
		return;
	for (unsigned side = 0; side < 2; side++)
		if (dispatch_reaches(d, f, !side))
			dflow_reset_side(d, f, side);
}

/* --- time ------------------------------------------------------------------------------------- */

static void dflow_due(void *arg, void *entry)
{
	struct dispatch *d = arg;
	struct dflow *f = entry;

	if (f->flags & DFLOW_TWIN) /* lives as long as its flow */
		return;
	if (!dflow_offload_take(d, f)) {
		dflow_remove(d, f, DROP_NONE);
		return;
	}
	replica_seen(d, f, dflow_timeout(f, d->dispatchers[f->entry.key.zone].params));
}

/* A firewall or target has gone down: its flows are reset where they are not to be moved. Those
 * that move do so with their next packet. */
static void dflow_sweep_one(struct dispatch *d, struct dflow *f)
{
	const struct dispatcher *x = &d->dispatchers[f->entry.key.zone];
	bool path_down = f->path != PARAMS_NONE && !x->path_candidates[f->path].up &&
			 !x->paths[f->path].jointly;
	bool target_down = f->target != PARAMS_NONE && target_lost(d, f->target);

	/* Flows of another node's, which may see more: what happens to them it decides and tells.
	 */
	if (!takeover_is_active(d, f->entry.key.zone))
		return;
	if (path_down && x->params->path_down == DOWN_RESET) {
		dflow_reset(d, f);
		dflow_remove(d, f, DROP_PATH_DOWN);
	} else if (target_down && d->params->services[f->service].target_down == DOWN_RESET) {
		dflow_reset(d, f);
		dflow_remove(d, f, DROP_TARGET_DOWN);
	}
}

static void dflow_sweep(struct dispatch *d)
{
	uint32_t capacity = flow_table_capacity(d->flows);

	for (unsigned i = 0; i < SWEEP_BUDGET && d->sweep_pos < capacity; i++) {
		struct dflow *f = flow_table_at(d->flows, d->sweep_pos++);
		if (f && !(f->flags & DFLOW_TWIN))
			dflow_sweep_one(d, f);
	}
	d->sweeping = d->sweep_pos < capacity;
}

uint64_t dflow_tick(struct dispatch *d)
{
	uint64_t next = flow_table_expire(d->flows, d->node->now_ns, EXPIRE_BUDGET, dflow_due, d);

	if (d->sweeping)
		dflow_sweep(d);
	return d->sweeping ? d->node->now_ns : next;
}
