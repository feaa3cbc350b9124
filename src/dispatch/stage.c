/*
 * stage.c - from one stage of dispatchers to the next: the path of a flow travels in the stamp of
 * its SYN, or in a cluster message (HD-9, HD-13, HD-14, HD-15).
 *
 *   stage before                          this stage
 *     SYN + stamp ────────────────────────▶ path known
 *     PATH message, then the packet ──────▶ path known
 *     packet alone (message lost) ────────▶ held ─┐
 *            ◀──────────────── PATH_ASK ──────────┘
 *     PATH message ───────────────────────▶ released
 */
#include <errno.h>

#include "dispatch/dispatch.h"
#include "packet/stamp.h"

#define WAITS 4096
#define WAIT_TRIES 4
#define WAIT_QUEUE 32
#define WAIT_BUDGET 256
#define ANNOUNCED_MS 5000

struct path_wait {
	struct flow_entry entry; /* first */
	struct held_queue held;
	uint16_t upstream;
	uint8_t tries;
};

int stage_init(struct dispatch *d, const struct hash_key *secret)
{
	d->waits = flow_table_new(sizeof(struct path_wait), WAITS, secret, d->node->now_ns);
	return d->waits ? 0 : -ENOMEM;
}

/* --- members
 * -------------------------------------------------------------------------------------- */

uint16_t stage_upstream(const struct dispatch *d, const struct dispatcher *x, const struct pkt *pkt)
{
	uint32_t m =
		channel_member_by_mac(d->channel, d->segment_ids[pkt->frame->port], &pkt->eth_src);

	for (uint32_t i = 0; i < x->params->n_from; i++)
		if (x->params->from[i] == m)
			return (uint16_t)(m + 1);
	return 0;
}

static bool member_on(const struct dispatch *d, uint32_t member, uint16_t port, struct macaddr *mac)
{
	const struct wire_segment *s = NULL;

	if (d->node->links[port].up && !d->params->ports[port].is_stack)
		s = channel_segment(d->channel, member, d->segment_ids[port]);
	if (s)
		*mac = s->mac;
	return s != NULL;
}

/* The segment of the firewalls only when there is no other. */
bool stage_member_mac(const struct dispatch *d, uint32_t member, uint16_t *port,
		      struct macaddr *mac)
{
	for (unsigned firewalls = 0; d->channel && firewalls < 2; firewalls++) {
		for (uint16_t i = 0; i < d->params->n_ports; i++) {
			uint16_t x = d->port_dispatcher[i];

			if (x == PARAMS_NONE ||
			    (d->dispatchers[x].params->firewall_port == i) != firewalls ||
			    !member_on(d, member, i, mac))
				continue;
			*port = i;
			return true;
		}
	}
	return false;
}

void stage_hear(struct dispatch *d, uint32_t member, const uint8_t boot_id[WIRE_BOOT_ID],
		const struct wire_role *m)
{
	struct first_stage before = d->first_stages[member], *s = &d->first_stages[member];

	if (memcmp(before.boot_id, boot_id, WIRE_BOOT_ID) != 0)
		memset(&before, 0, sizeof(before));
	else if ((int32_t)(m->seq - before.seq) <= 0)
		return;
	memset(s, 0, sizeof(*s));
	memcpy(s->boot_id, boot_id, WIRE_BOOT_ID);
	s->seq = m->seq;
	for (unsigned i = 0; i < m->n_roles; i++) {
		uint64_t since = d->node->now_ns;

		if (m->roles[i].flags & WIRE_ROLE_OUTER)
			continue;
		for (unsigned k = 0; k < before.n; k++)
			if (before.roles[k].dispatcher == m->roles[i].dispatcher &&
			    before.roles[k].active_ns)
				since = before.roles[k].active_ns;
		if (since == d->node->now_ns && m->roles[i].state == WIRE_ROLE_ACTIVE)
			node_void_offload(d->node); /* answers go to it from now on */
		s->roles[s->n].dispatcher = m->roles[i].dispatcher;
		s->roles[s->n++].active_ns = m->roles[i].state == WIRE_ROLE_ACTIVE ? since : 0;
	}
}

static uint64_t plays_since(const struct first_stage *s, uint32_t dispatcher)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->roles[i].dispatcher == dispatcher)
			return s->roles[i].active_ns;
	return 0;
}

/* Who of the members before this stage plays what `member` could play, said last; `member` itself
 * when it plays any of that, or nobody does. */
static uint32_t first_stage_now(const struct dispatch *d, const struct dispatcher_params *p,
				uint32_t member)
{
	const struct first_stage *s = &d->first_stages[member];
	uint32_t other = member;

	for (unsigned i = 0; i < s->n; i++) {
		uint64_t best = s->roles[i].active_ns;
		uint32_t player = member;

		for (uint32_t k = 0; k < p->n_from; k++) {
			uint64_t since =
				plays_since(&d->first_stages[p->from[k]], s->roles[i].dispatcher);
			if (since > best) {
				best = since;
				player = p->from[k];
			}
		}
		if (best && player == member)
			return member;
		if (best)
			other = player;
	}
	return other;
}

void stage_follow(struct dispatch *d, struct dflow *f, uint16_t upstream)
{
	if (f->upstream == upstream)
		return;
	f->upstream = upstream;
	replica_changed(d, f);
}

enum drop stage_back(struct dispatch *d, struct pkt *pkt, struct dflow *f)
{
	const struct dispatcher_params *p = d->dispatchers[f->entry.key.zone].params;
	struct macaddr mac;
	uint16_t port;

	if (d->first_stages[f->upstream - 1u].n > 0)
		stage_follow(d, f, (uint16_t)(first_stage_now(d, p, f->upstream - 1u) + 1));
	if (!stage_member_mac(d, f->upstream - 1u, &port, &mac))
		return node_drop(d->node, pkt, DROP_NO_PATH);
	node_count(d->node, COUNTER_DISPATCH_BACK);
	return node_forward_mac(d->node, pkt, port, &mac);
}

/* --- telling the next stage
 * ------------------------------------------------------------------------ */

static void stage_send_path(struct dispatch *d, const struct flow_key *key, uint16_t path_id,
			    uint32_t member)
{
	struct wire_path m = {.key = *key, .path = path_id};
	struct wcur body;

	m.key.zone = 0;
	if (!channel_begin(d->channel, 64, &body))
		return;
	wire_put_path(&body, &m);
	if (channel_send(d->channel, WIRE_PATH, &body, member))
		node_count(d->node, COUNTER_PATH_SENT);
}

void stage_tell(struct dispatch *d, const struct dflow *f, uint16_t member)
{
	if (f->path != PARAMS_NONE)
		stage_send_path(d, &f->entry.key, d->params->paths[f->path].id, member);
}

static bool is_syn(const struct pkt *pkt)
{
	return pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4 && !pkt->fragment &&
	       pkt->tcp.flags & TCP_SYN;
}

enum drop stage_to_member(struct dispatch *d, struct pkt *pkt, struct dflow *f, unsigned side,
			  uint16_t member)
{
	struct macaddr mac;
	uint16_t port;

	if (!stage_member_mac(d, member, &port, &mac))
		return node_drop(d->node, pkt, DROP_NO_TARGET);
	if (f->path != PARAMS_NONE && is_syn(pkt)) {
		if (node_ttl_expired(d->node, pkt))
			return DROP_TTL;
		if (stamp_insert(pkt, d->params->paths[f->path].id, d->node->links[port].mtu))
			node_count(d->node, COUNTER_STAMP_SENT);
		else
			stage_tell(d, f, member);
	} else if (f->packets[side] == 1 && side == 0 && !pkt->icmp_error) {
		stage_tell(d, f, member); /* asked for again by the next stage if it gets lost */
	}
	return node_forward_mac(d->node, pkt, port, &mac);
}

/* --- what the stage before says
 * ---------------------------------------------------------------------- */

void stage_unstamp(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	uint16_t id;

	if (!stamp_present(pkt))
		return;
	id = stamp_read(pkt);
	stamp_remove(pkt);
	if (!l->upstream) {
		node_count(d->node, COUNTER_STAMP_STRIPPED);
		return;
	}
	node_count(d->node, COUNTER_STAMP_TAKEN);
	l->stamp = id;
}

static void stage_ask(struct dispatch *d, const struct path_wait *w)
{
	struct flow_key key = w->entry.key;
	struct wcur body;

	key.zone = 0;
	if (!channel_begin(d->channel, 64, &body))
		return;
	wire_put_path_ask(&body, &key);
	if (channel_send(d->channel, WIRE_PATH_ASK, &body, w->upstream - 1u))
		node_count(d->node, COUNTER_PATH_ASKED);
}

static void wait_end(struct dispatch *d, struct path_wait *w, enum drop reason)
{
	node_drop_queue(d->node, &w->held, reason);
	flow_table_remove(d->waits, w);
}

static void wait_hold(struct dispatch *d, struct pkt *pkt, struct path_wait *w)
{
	struct held *h = w && w->held.n < WAIT_QUEUE ? node_hold(d->node, pkt) : NULL;

	if (h)
		held_push(&w->held, h);
	else
		node_drop(d->node, pkt, DROP_QUERY_QUEUE);
}

bool stage_join(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	struct path_wait *w =
		flow_table_find(d->waits, &l->key, flow_table_hash(d->waits, &l->key));

	if (!w)
		return false;
	wait_hold(d, pkt, w);
	return true;
}

/* The packet waits for word of its path. */
static void wait_for_path(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l)
{
	uint64_t hash = flow_table_hash(d->waits, &l->key);
	struct path_wait *w = flow_table_find(d->waits, &l->key, hash);

	if (!w) {
		w = flow_table_insert(d->waits, &l->key, hash);
		if (w) {
			w->upstream = l->upstream;
			flow_table_arm(d->waits, w, d->node->now_ns, l->d->params->path_wait_ms);
			stage_ask(d, w);
		}
	}
	wait_hold(d, pkt, w);
}

/* Nobody has to tell: the path follows from the flow itself, or is not needed. */
static bool path_is_given(struct dispatch *d, struct dispatch_lookup *l, uint16_t *path,
			  enum dflow_by *by)
{
	const struct dispatcher_params *p = l->d->params;

	*path = PARAMS_NONE;
	*by = DFLOW_BY_NONE;
	if (!p->bypass || p->firewall_port == PARAMS_NO_PORT || d->params->n_paths == 0)
		return true;
	if (p->learn)
		return false;
	*path = balance_choose(l->d, &l->key);
	*by = DFLOW_BY_ALGORITHM;
	return true;
}

int stage_path(struct dispatch *d, struct pkt *pkt, struct dispatch_lookup *l, uint16_t *path,
	       enum dflow_by *by)
{
	if (l->stamp) {
		*path = path_by_id(d->params, l->stamp);
		*by = DFLOW_BY_STAMP;
		if (*path != PARAMS_NONE)
			return 0;
		node_drop(d->node, pkt, DROP_NO_PATH);
		return -ENOENT;
	}
	if (path_is_given(d, l, path, by))
		return 0;
	wait_for_path(d, pkt, l);
	return -EAGAIN;
}

/* --- messages
 * ------------------------------------------------------------------------------------------ */

static void wait_release(struct dispatch *d, struct dispatcher *x, const struct flow_key *key,
			 uint16_t upstream)
{
	uint64_t hash = flow_table_hash(d->waits, key);
	struct path_wait *w = flow_table_find(d->waits, key, hash);
	struct held_queue held;
	struct held *h;

	if (!w)
		return;
	held = w->held;
	flow_table_remove(d->waits, w);
	while ((h = held_pop(&held))) {
		struct dispatch_lookup l = {.d = x, .path = PARAMS_NONE, .upstream = upstream};
		struct pkt pkt;

		if (pkt_decode(&pkt, &h->frame) != DROP_NONE) {
			node_drop_held(d->node, h, DROP_L4_HEADER);
			continue;
		}
		/* By the addresses alone: a later fragment has no ports. */
		l.key = *key;
		l.dir = !ipaddr_eq(&pkt.tuple.src, &key->a);
		l.hash = flow_table_hash(d->flows, key);
		dispatch_route(d, &pkt, &l);
		pool_retire(d->node->pool, h);
	}
}

/* The flow's path as member `upstream` - 1 says, for one dispatcher of this node. */
static void stage_take_path(struct dispatch *d, struct dispatcher *x, const struct wire_path *m,
			    uint16_t upstream)
{
	struct dispatch_lookup l = {.d = x, .key = m->key, .upstream = upstream};
	uint16_t path = path_by_id(d->params, m->path);
	struct dflow *f;

	l.key.zone = x->index;
	l.hash = flow_table_hash(d->flows, &l.key);
	f = dflow_find(d, &l.key, l.hash, &l.by_twin);
	if (path == PARAMS_NONE) {
		struct path_wait *w =
			flow_table_find(d->waits, &l.key, flow_table_hash(d->waits, &l.key));
		if (w)
			wait_end(d, w, m->path ? DROP_NO_PATH : DROP_PATH_WAIT);
		return;
	}
	node_count(d->node, COUNTER_PATH_RECEIVED);
	if (f && f->upstream != upstream)
		return;
	if (!f) {
		f = dflow_new(d, &l);
		if (!f)
			return;
		f->flags |= DFLOW_ANNOUNCED;
		flow_table_arm(d->flows, f, d->node->now_ns, ANNOUNCED_MS);
	}
	if (f->path != path)
		dflow_set_path(d, f, path, DFLOW_BY_MESSAGE);
	wait_release(d, x, &l.key, upstream);
}

static void stage_path_message(struct dispatch *d, struct channel_message *msg)
{
	struct wire_path m;
	bool obeyed = false;

	if (!wire_get_path(&msg->body, &m)) {
		node_count(d->node, COUNTER_MSG_MALFORMED);
		return;
	}
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		struct dispatcher *x = &d->dispatchers[i];
		for (uint32_t j = 0; j < x->params->n_from; j++) {
			if (x->params->from[j] != msg->member)
				continue;
			stage_take_path(d, x, &m, (uint16_t)(msg->member + 1));
			obeyed = true;
		}
	}
	if (!obeyed)
		node_count(d->node, COUNTER_PATH_REFUSED);
}

static void stage_path_ask(struct dispatch *d, struct channel_message *msg)
{
	uint16_t id = 0;
	struct flow_key key;
	bool by_twin;

	if (!wire_get_path_ask(&msg->body, &key)) {
		node_count(d->node, COUNTER_MSG_MALFORMED);
		return;
	}
	for (uint32_t i = 0; i < d->n_dispatchers && id == 0; i++) {
		struct dflow *f;

		key.zone = (uint16_t)i;
		f = dflow_find(d, &key, flow_table_hash(d->flows, &key), &by_twin);
		if (f && f->path != PARAMS_NONE)
			id = d->params->paths[f->path].id;
	}
	stage_send_path(d, &key, id, msg->member);
}

void stage_message(struct dispatch *d, struct channel_message *msg)
{
	if (msg->type == WIRE_PATH)
		stage_path_message(d, msg);
	else
		stage_path_ask(d, msg);
}

/* --- time
 * ------------------------------------------------------------------------------------------------
 */

static void wait_due(void *arg, void *entry)
{
	struct dispatch *d = arg;
	struct path_wait *w = entry;
	const struct dispatcher *x = &d->dispatchers[w->entry.key.zone];

	if (++w->tries >= WAIT_TRIES) {
		wait_end(d, w, DROP_PATH_WAIT);
		return;
	}
	stage_ask(d, w);
	flow_table_arm(d->waits, w, d->node->now_ns, x->params->path_wait_ms);
}

uint64_t stage_tick(struct dispatch *d)
{
	if (!d->waits)
		return UINT64_MAX;
	return flow_table_expire(d->waits, d->node->now_ns, WAIT_BUDGET, wait_due, d);
}
