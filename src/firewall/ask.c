/*
 * ask.c - the asker: one multicast for a packet of an unknown flow, and what follows (FC-4, FC-6,
 * FC-7, FC-10, FC-16).
 *
 * Under load the order of degradation is: one open query per flow; negative cache; bucket per
 * source prefix; global buckets of queries and bytes; header-only queries when the byte budget runs
 * low; then the exception. Known flows never come here.
 *
 * A query for a later fragment whose first is unknown has a key of its own: the datagram's
 * addresses and protocol, with the fragment id in place of the ports and zone 1.
 */
#include <string.h>

#include "firewall/firewall.h"
#include "packet/checksum.h"

#define ASK_EXPIRE_BUDGET 1024
#define ASK_HEADER_BYTES 128 /* of the packet in a header-only query */
#define ASK_ZONE_FRAGMENT 1

static bool ask_is_fragment(const struct pkt *pkt, const struct lookup *l)
{
	return pkt->fragment && pkt->frag_offset > 0 && !(l->frag && l->frag->known);
}

static struct flow_key ask_table_key(const struct flow_key *key, bool fragment, uint32_t frag_id)
{
	struct flow_key k = *key;

	if (fragment) {
		k.aport = (uint16_t)(frag_id >> 16);
		k.bport = (uint16_t)frag_id;
		k.zone = ASK_ZONE_FRAGMENT;
	}
	return k;
}

static void ask_note(struct firewall *f, enum note_type type, const struct query *q,
		     uint32_t member)
{
	struct note *note = node_note(f->node, type);

	if (!note)
		return;
	note->has_flow = true;
	note->key = q->entry.key;
	note->dir = q->dir;
	note->port = q->port;
	note->query_id = q->id;
	note->member = member;
	note->detail = q->flags & WIRE_QUERY_FRAGMENT ? "fragment"
		       : q->flags & WIRE_QUERY_OWN    ? "two homes?"
		       : q->carried		      ? "packet carried"
						      : "header only";
}

/* --- when nobody answers --------------------------------------------------------------------- */

void ask_exception(struct firewall *f, struct pkt *pkt, struct lookup *l, enum drop reason,
		   bool maybe_delivered)
{
	enum cluster_exception x = f->params->cluster.exception;

	if (l->from != NOTE_NO_MEMBER || maybe_delivered || x == EXCEPTION_DROP) {
		node_drop(f->node, pkt, reason);
		return;
	}
	if (x == EXCEPTION_PASS && home_pickup(f, pkt, l))
		return;
	if (x == EXCEPTION_RESET && pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4)
		node_reset(f->node, pkt);
	node_drop(f->node, pkt, reason);
}

/* Packets that waited for a query nobody answered. The first of a carried query may have been
 * delivered by a home whose confirm was lost: it is never delivered again here. */
static void ask_give_up(struct firewall *f, struct query *q)
{
	struct held_queue held = q->held;
	bool first = true, carried = q->carried, own = q->flags & WIRE_QUERY_OWN;
	struct lookup l = {.from = NOTE_NO_MEMBER, .key = q->entry.key};
	struct held *h;
	struct pkt pkt;
	bool wait;

	flow_table_remove(f->queries, q);
	while ((h = held_pop(&held))) {
		if (own || pkt_decode(&pkt, &h->frame) != DROP_NONE) {
			node_drop_held(f->node, h, own ? DROP_TCP_STATE : DROP_QUERY_TIMEOUT);
		} else if (l.key.zone != ASK_ZONE_FRAGMENT && !pkt.fragment &&
			   firewall_lookup(f, &pkt, &l, &wait) == DROP_NONE) {
			struct state *s = home_find(f, &l); /* taken over a moment ago */
			if (s && !state_is_over(s) && !(first && carried))
				home_packet(f, s, &pkt, &l);
			else
				ask_exception(f, &pkt, &l, DROP_QUERY_TIMEOUT, first && carried);
			pool_retire(f->node->pool, h);
		} else {
			node_drop_held(f->node, h, DROP_QUERY_TIMEOUT);
		}
		first = false;
	}
}

/* --- sending --------------------------------------------------------------------------------- */

static bool ask_send(struct firewall *f, struct query *q, const struct state *own)
{
	struct frame *frame = &q->held.head->frame;
	bool fragment = q->flags & WIRE_QUERY_FRAGMENT;
	struct wire_query m = {.id = q->id,
			       .key = q->entry.key,
			       .flags = q->flags,
			       .segment = f->segment_ids[q->port],
			       .frag_id = q->frag_id};
	struct pkt pkt;
	struct wcur body;

	if (pkt_decode(&pkt, frame) != DROP_NONE)
		return false;
	if (fragment) {
		m.key.aport = m.key.bport = 0;
		m.key.zone = 0;
	}
	m.age_ms = (uint32_t)((f->node->now_ns - q->sent_ns + 999999) / 1000000);
	if (own) {
		m.age_ms = (uint32_t)(f->node->now_ns / 1000000) - own->created_ms;
		m.rank = state_rank(own);
	}
	m.packet = frame->data + pkt.l3;
	m.packet_len = (uint16_t)(frame->len - pkt.l3);
	if (!q->carried && m.packet_len > ASK_HEADER_BYTES)
		m.packet_len = ASK_HEADER_BYTES;
	if (!channel_begin(f->channel, wire_query_size(&m.key, m.packet_len), &body))
		return false;
	wire_put_query(&body, &m);
	return channel_send(f->channel, WIRE_QUERY, &body, CHANNEL_ALL);
}

/* Whether the packet itself goes with the query: configured, it fits one datagram, it is one
 * packet and not a super-frame, and the byte budget is not running low. Only TCP: there a flow
 * begins with a SYN and so has one home. Any datagram may begin a flow, two members can be homes
 * of one for a moment, and both would deliver; so there the asker keeps the packet and forwards it
 * to the one it chooses. */
static bool ask_carry(struct firewall *f, struct held *first, const struct pkt *pkt,
		      const struct flow_key *key)
{
	struct frame *frame = &first->frame;
	uint32_t size = frame->len - pkt->l3;

	if (f->params->cluster.query == QUERY_HOLD || key->proto != IPPROTO_NUM_TCP ||
	    frame->vnet.gso_type != VNET_GSO_NONE || size > UINT16_MAX ||
	    wire_query_size(key, size) - WIRE_OVERHEAD > channel_room(f->channel))
		return false;
	if (f->query_bytes.credit / 1000000000ULL < f->query_bytes.burst / 2)
		return false;
	csum_complete(frame);
	return true;
}

static uint32_t ask_wait_ms(const struct firewall *f, const struct query *q)
{
	return f->params->cluster.query_timeout_ms << (q->tries - 1);
}

static void ask_open(struct firewall *f, struct pkt *pkt, const struct flow_key *key, uint64_t hash,
		     struct lookup *l, const struct state *own)
{
	bool fragment = key->zone == ASK_ZONE_FRAGMENT;
	struct query *q = flow_table_insert(f->queries, key, hash);
	struct held *h = q ? node_hold(f->node, pkt) : NULL;

	if (!h) {
		if (q)
			flow_table_remove(f->queries, q);
		ask_exception(f, pkt, l, q ? DROP_NO_BUFFER : DROP_QUERY_TABLE, false);
		return;
	}
	q->id = rng_u64(&f->node->rng) | 1;
	q->sent_ns = f->node->now_ns;
	q->held = (struct held_queue){0};
	held_push(&q->held, h);
	q->tries = 1;
	q->dir = (uint8_t)l->dir;
	q->port = pkt->frame->port;
	q->frag_id = pkt->frag_id;
	q->carried = !own && ask_carry(f, h, pkt, &l->key);
	q->flags = (uint8_t)((q->carried ? WIRE_QUERY_CARRIED : 0) | (l->dir ? WIRE_QUERY_DIR : 0) |
			     (pkt->icmp_error ? WIRE_QUERY_ERROR : 0) |
			     (fragment ? WIRE_QUERY_FRAGMENT : 0) | (own ? WIRE_QUERY_OWN : 0));
	bucket_take(&f->query_bytes, 1 + (q->carried ? (h->frame.len + 160) / 1024 : 0),
		    f->node->now_ns);
	node_count(f->node, COUNTER_QUERY_SENT);
	if (!q->carried)
		node_count(f->node, COUNTER_QUERY_HEADER_ONLY);
	ask_note(f, NOTE_QUERY, q, NOTE_NO_MEMBER);
	ask_send(f, q, own);
	flow_table_arm(f->queries, q, f->node->now_ns, ask_wait_ms(f, q));
}

/* Budgets, in the order of degradation. DROP_NONE = ask. */
static enum drop ask_allowed(struct firewall *f, const struct pkt *pkt, uint64_t hash)
{
	const struct cluster_params *c = &f->params->cluster;
	uint64_t now = f->node->now_ns;

	if (channel_n_up(f->channel) == 0)
		return DROP_NO_MEMBER;
	if (negative_has(f->negative, hash, now))
		return DROP_NEGATIVE;
	if (!source_buckets_take(f->sources, &pkt->tuple.src, c->source_rate, c->source_burst, now))
		return DROP_QUERY_SOURCE_LIMIT;
	if (!bucket_take(&f->query_packets, 1, now))
		return DROP_QUERY_RATE_LIMIT;
	bucket_take(&f->query_bytes, 0, now); /* bring the credit up to date */
	if (f->query_bytes.credit < 1000000000ULL)
		return DROP_QUERY_RATE_LIMIT;
	return DROP_NONE;
}

void ask_packet(struct firewall *f, struct pkt *pkt, struct lookup *l, const struct state *own)
{
	struct flow_key key;
	struct query *q;
	uint64_t hash;
	enum drop d;

	if (!f->channel) {
		node_drop(f->node, pkt, pkt->icmp_error ? DROP_ICMP_UNRELATED : DROP_NO_FLOW);
		return;
	}
	key = ask_table_key(&l->key, ask_is_fragment(pkt, l), pkt->frag_id);
	hash = flow_table_hash(f->queries, &key);
	q = flow_table_find(f->queries, &key, hash);
	if (q) {
		struct held *h =
			q->held.n < f->params->cluster.query_queue ? node_hold(f->node, pkt) : NULL;
		if (h)
			held_push(&q->held, h);
		else
			node_drop(f->node, pkt, DROP_QUERY_QUEUE);
		return;
	}
	d = ask_allowed(f, pkt, hash);
	if (d != DROP_NONE)
		ask_exception(f, pkt, l, own ? DROP_TCP_STATE : d, false);
	else
		ask_open(f, pkt, &key, hash, l, own);
}

/* --- answers --------------------------------------------------------------------------------- */

/* Everything that waited goes to the home, in order; the first not when the home had it already. */
static void ask_relay_held(struct firewall *f, struct held_queue *held, uint32_t member,
			   bool delivered, struct forward *fw)
{
	struct held *h;
	struct pkt pkt;

	while ((h = held_pop(held))) {
		if (delivered) {
			node_drop_held(f->node, h, DROP_HOME_DELIVERED);
		} else if (pkt_decode(&pkt, &h->frame) != DROP_NONE) {
			node_drop_held(f->node, h, DROP_SHORT_FRAME);
		} else {
			relay_to_home(f, &pkt, member, fw);
			pool_retire(f->node->pool, h);
		}
		delivered = false;
	}
}

/* The datagram's first fragment is with its home: the later ones follow it. */
static void ask_fragment_known(struct firewall *f, const struct query *q,
			       const struct flow_key *key)
{
	struct pkt pkt;
	struct frag *frag;

	if (!q->held.head || pkt_decode(&pkt, &q->held.head->frame) != DROP_NONE)
		return;
	frag = frag_table_find(f->fragments, &pkt, f->node->now_ns);
	if (!frag || frag->known || frag->condemned)
		return;
	frag->known = true;
	frag->key = *key;
	frag->dir = !ipaddr_eq(&pkt.tuple.src, &key->a);
	frag->tuple = flow_key_tuple(key, frag->dir);
}

/* Of flows that were taken over the age is a copy: there the smaller id decides, as it does between
 * the homes themselves. */
static bool ask_second_wins(const struct firewall *f, const struct forward *fw, uint32_t member,
			    const struct wire_confirm *c)
{
	const struct member_params *members = f->params->members;

	if (c->rank != fw->home_rank)
		return c->rank > fw->home_rank;
	if (c->rank > STATE_RANK_COMPLETE)
		return members[member].id < members[fw->member].id;
	return c->age_ms > fw->home_age_ms;
}

/* A second home has confirmed: one must give way. The first keeps the flow unless the second has
 * come further or is older. */
static void ask_conflict(struct firewall *f, struct forward *fw, uint32_t member,
			 const struct wire_confirm *c)
{
	bool second = ask_second_wins(f, fw, member, c);
	uint32_t loser = second ? fw->member : member;
	struct wire_yield y = {.key = fw->entry.key,
			       .winner = f->params->members[second ? member : fw->member].id,
			       .rank = second ? c->rank : fw->home_rank,
			       .age_ms = second ? c->age_ms : fw->home_age_ms};
	struct note *note = node_note(f->node, NOTE_HOME_CONFLICT);
	struct wcur body;

	if (note) {
		note->has_flow = true;
		note->key = fw->entry.key;
		note->dir = fw->dir;
		note->member = loser;
		note->detail = "gives way";
	}
	node_count(f->node, COUNTER_HOME_CONFLICT);
	if (second)
		relay_learn(f, &c->key, fw->dir, member, c);
	if (!channel_begin(f->channel, 128, &body))
		return;
	wire_put_yield(&body, &y);
	channel_send(f->channel, WIRE_YIELD, &body, loser);
}

static void ask_late_confirm(struct firewall *f, uint32_t member, const struct wire_confirm *c)
{
	struct forward *fw =
		flow_table_find(f->forwards, &c->key, flow_table_hash(f->forwards, &c->key));

	if (!fw || fw->query_id != c->id) {
		node_count(f->node, COUNTER_CONFIRM_UNEXPECTED);
		return;
	}
	if (fw->member != member)
		ask_conflict(f, fw, member, c);
	/* else: the answer to a retry crossed the first one; nothing to do */
}

static bool ask_same_hosts(const struct flow_key *x, const struct flow_key *y)
{
	return ipaddr_eq(&x->a, &y->a) && ipaddr_eq(&x->b, &y->b) && x->proto == y->proto &&
	       x->version == y->version;
}

/* The open query that a confirm echoes, or NULL. A fragment's answer names the whole flow, so its
 * query is found by id. */
static struct query *ask_find(struct firewall *f, const struct wire_confirm *c)
{
	uint32_t pos = 0;
	struct query *q;

	if (!(c->flags & WIRE_CONFIRM_FRAGMENT)) {
		q = flow_table_find(f->queries, &c->key, flow_table_hash(f->queries, &c->key));
		return q && q->id == c->id ? q : NULL;
	}
	while ((q = flow_table_next(f->queries, &pos)))
		if (q->id == c->id && (q->flags & WIRE_QUERY_FRAGMENT) &&
		    ask_same_hosts(&q->entry.key, &c->key))
			return q;
	return NULL;
}

/* Another member is home: a state of our own gives way, be it a handshake that has come less far or
 * an earlier connection of the same endpoints. */
static void ask_drop_own(struct firewall *f, const struct query *q, const struct flow_key *key)
{
	struct state *s = flow_table_find(f->states, key, flow_table_hash(f->states, key));

	if (q->flags & WIRE_QUERY_OWN)
		node_count(f->node, COUNTER_HOME_CONFLICT);
	if (!s || (!(q->flags & WIRE_QUERY_OWN) && !state_is_over(s)))
		return;
	state_clear_term(s);
	home_remove(f, s, DROP_NONE);
}

void ask_confirmed(struct firewall *f, const struct channel_message *msg)
{
	struct rcur body = msg->body;
	struct wire_confirm c;
	struct held_queue held;
	struct forward *fw;
	struct query *q;
	bool delivered;
	unsigned dir;

	if (!wire_get_confirm(&body, &c)) {
		node_count(f->node, COUNTER_MSG_MALFORMED);
		return;
	}
	q = ask_find(f, &c);
	if (!q) {
		ask_late_confirm(f, msg->member, &c);
		return;
	}
	node_count(f->node, COUNTER_QUERY_CONFIRMED);
	ask_note(f, NOTE_CONFIRM, q, msg->member);
	if (q->flags & WIRE_QUERY_FRAGMENT)
		ask_fragment_known(f, q, &c.key);
	ask_drop_own(f, q, &c.key);
	held = q->held;
	dir = q->dir;
	delivered = q->carried && (c.flags & WIRE_CONFIRM_DELIVERED);
	flow_table_remove(f->queries, q);
	fw = relay_learn(f, &c.key, dir, msg->member, &c);
	ask_relay_held(f, &held, msg->member, delivered, fw);
}

/* --- time ------------------------------------------------------------------------------------ */

/* A repetition is paid for like the query itself. */
static bool ask_pay(struct firewall *f, const struct query *q)
{
	uint32_t kbytes = 1 + (q->carried ? (q->held.head->frame.len + 160) / 1024 : 0);

	return bucket_take(&f->query_packets, 1, f->node->now_ns) &&
	       bucket_take(&f->query_bytes, kbytes, f->node->now_ns);
}

static void ask_due(void *arg, void *entry)
{
	struct firewall *f = arg;
	struct query *q = entry;

	if (q->tries <= f->params->cluster.query_retries && channel_n_up(f->channel) > 0) {
		struct state *own = NULL;

		if (q->flags & WIRE_QUERY_OWN)
			own = flow_table_find(f->states, &q->entry.key,
					      flow_table_hash(f->states, &q->entry.key));
		q->tries++;
		if (ask_pay(f, q)) { /* without budget this repetition is left out */
			node_count(f->node, COUNTER_QUERY_RETRIED);
			ask_note(f, NOTE_QUERY_RETRY, q, NOTE_NO_MEMBER);
			ask_send(f, q, own);
		}
		flow_table_arm(f->queries, q, f->node->now_ns, ask_wait_ms(f, q));
		return;
	}
	node_count(f->node, COUNTER_QUERY_TIMEOUT);
	ask_note(f, NOTE_QUERY_TIMEOUT, q, NOTE_NO_MEMBER);
	if (!(q->flags & WIRE_QUERY_OWN) && !backup_rescue(f, &q->entry.key, q->sent_ns))
		negative_put(f->negative, flow_table_hash(f->queries, &q->entry.key),
			     f->node->now_ns + 1000000ULL * f->params->cluster.negative_ms);
	ask_give_up(f, q);
}

/* A member was lost, or is heard again: what open queries wait for may come from another now, who
 * may only now find out that it should, or from this one. They begin anew, and what nobody was home
 * of is asked for again. */
void ask_again(struct firewall *f)
{
	uint32_t pos = 0;
	struct query *q;

	negative_clear(f->negative);
	while ((q = flow_table_next(f->queries, &pos))) {
		if (q->flags & WIRE_QUERY_OWN)
			continue;
		q->tries = 0;
		flow_table_arm(f->queries, q, f->node->now_ns, 0);
	}
}

uint64_t ask_tick(struct firewall *f)
{
	return flow_table_expire(f->queries, f->node->now_ns, ASK_EXPIRE_BUDGET, ask_due, f);
}
