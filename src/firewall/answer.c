/*
 * answer.c - the home's side of the cluster protocol (FC-2, FC-5, FC-11).
 */
#include <string.h>

#include "firewall/firewall.h"
#include "packet/peek.h"

#define RELEASE_DELAY_NS 20000000ULL /* releases of this time share a message */

/* --- not-home and release -------------------------------------------------------------------- */

void answer_not_home(struct firewall *f, uint32_t member, const struct flow_key *key)
{
	struct wire_keys keys = {.n = 1, .keys = {*key}};
	struct note *note = node_note(f->node, NOTE_NOT_HOME);
	struct wcur body;

	if (note) {
		note->has_flow = true;
		note->key = *key;
		note->member = member;
	}
	if (!channel_begin(f->channel, 128, &body))
		return;
	wire_put_keys(&body, &keys);
	if (channel_send(f->channel, WIRE_NOT_HOME, &body, member))
		node_count(f->node, COUNTER_NOT_HOME_SENT);
}

static void release_send(struct firewall *f, uint32_t member)
{
	struct wire_keys *batch = &f->releases[member];
	struct wcur body;

	if (batch->n == 0)
		return;
	if (channel_begin(f->channel, 64 + 40 * (size_t)batch->n, &body)) {
		wire_put_keys(&body, batch);
		if (channel_send(f->channel, WIRE_RELEASE, &body, member))
			f->node->counters[COUNTER_RELEASE_SENT] += batch->n;
	}
	batch->n = 0;
}

void answer_release(struct firewall *f, const struct state *s)
{
	for (uint32_t m = 0; m < f->params->n_members; m++) {
		struct wire_keys *batch = &f->releases[m];
		if (!(s->askers & 1u << m))
			continue;
		batch->keys[batch->n++] = s->entry.key;
		if (batch->n == WIRE_KEYS_MAX)
			release_send(f, m);
		else if (f->release_due_ns == UINT64_MAX)
			f->release_due_ns = f->node->now_ns + RELEASE_DELAY_NS;
	}
}

void answer_flush_releases(struct firewall *f)
{
	for (uint32_t m = 0; m < f->params->n_members; m++)
		release_send(f, m);
	f->release_due_ns = UINT64_MAX;
}

/* --- queries --------------------------------------------------------------------------------- */

static struct seen_query *answer_seen(struct firewall *f, uint64_t id, uint32_t member, bool *again)
{
	struct seen_set *set = &f->seen[id % SEEN_SETS];
	struct seen_query *s;

	*again = true;
	for (unsigned i = 0; i < SEEN_WAYS; i++)
		if (set->ways[i].id == id && set->ways[i].member == member)
			return &set->ways[i];
	*again = false;
	s = &set->ways[set->next++ % SEEN_WAYS];
	*s = (struct seen_query){.id = id, .member = member};
	return s;
}

static void answer_confirm(struct firewall *f, uint32_t member, const struct wire_query *q,
			   const struct state *s, bool delivered)
{
	struct wire_confirm c = {.id = q->id, .key = s->entry.key, .rank = state_rank(s)};
	struct note *note = node_note(f->node, NOTE_ANSWERED);
	struct wcur body;

	if (note) {
		note->has_flow = true;
		note->key = s->entry.key;
		note->dir = q->flags & WIRE_QUERY_DIR ? 1 : 0;
		note->member = member;
		note->query_id = q->id;
		note->detail = delivered ? "delivered" : "to be forwarded";
	}
	c.flags = (uint8_t)((delivered ? WIRE_CONFIRM_DELIVERED : 0) |
			    (q->flags & WIRE_QUERY_FRAGMENT ? WIRE_CONFIRM_FRAGMENT : 0));
	c.age_ms = (uint32_t)(f->node->now_ns / 1000000) - s->created_ms;
	c.life_ms = flow_table_left_ms(f->states, s, f->node->now_ns);
	if (!channel_begin(f->channel, 128, &body))
		return;
	wire_put_confirm(&body, &c);
	if (channel_send(f->channel, WIRE_CONFIRM, &body, member))
		node_count(f->node, COUNTER_QUERY_ANSWERED);
}

/* A packet that came inside a message, as a frame: the bytes before it belong to the opened
 * message, which has been decoded, and become an Ethernet header without addresses. */
static bool answer_frame(struct pkt *pkt, struct frame *frame, const uint8_t *packet, uint16_t len,
			 uint16_t port)
{
	uint8_t *eth = (uint8_t *)packet - 14;
	bool v6 = len > 0 && packet[0] >> 4 == 6;

	memset(frame, 0, sizeof(*frame));
	memset(eth, 0, 12);
	eth[12] = v6 ? 0x86 : 0x08;
	eth[13] = v6 ? 0xdd : 0x00;
	frame->data = eth;
	frame->len = 14u + len;
	frame->port = port;
	return pkt_decode(pkt, frame) == DROP_NONE && pkt->kind == PKT_IP;
}

/* Deliver the carried packet as if it had come here. */
static void answer_deliver(struct firewall *f, struct state *s, const struct wire_query *q,
			   struct lookup *l)
{
	uint16_t port = relay_port_of_segment(f, q->segment);
	struct frame frame;
	struct pkt pkt;
	bool wait;

	if (!answer_frame(&pkt, &frame, q->packet, q->packet_len, port))
		return;
	node_count(f->node, COUNTER_FRAMES_TUNNEL_IN);
	node_count(f->node, COUNTER_QUERY_DELIVERED);
	l->delivering = true;
	if (pkt.fragment && firewall_lookup(f, &pkt, l, &wait) != DROP_NONE) {
		node_drop(f->node, &pkt, DROP_FRAG_OVERLAP);
		return;
	}
	home_packet(f, s, &pkt, l);
}

/* The flow of a later fragment: whoever saw the first one, and is home, knows. */
static bool answer_fragment_flow(struct firewall *f, const struct wire_query *q, struct lookup *l)
{
	struct pkt pkt = {.version = q->key.version, .fragment = true, .frag_id = q->frag_id};
	struct frag *frag;

	pkt.tuple = flow_key_tuple(&q->key, q->flags & WIRE_QUERY_DIR ? 1 : 0);
	frag = frag_table_find(f->fragments, &pkt, f->node->now_ns);
	if (!frag || !frag->known)
		return false;
	l->key = frag->key;
	l->dir = frag->dir;
	l->hash = flow_table_hash(f->states, &l->key);
	return true;
}

/* Both have a state for the flow: the one that has come further, then the older, then the smaller
 * node id is home. True when it is this node. */
static bool answer_we_win(const struct firewall *f, const struct state *s,
			  const struct wire_query *q, uint32_t member)
{
	uint32_t age = (uint32_t)(f->node->now_ns / 1000000) - s->created_ms;
	uint8_t rank = state_rank(s);

	if (rank != q->rank)
		return rank > q->rank;
	if (age != q->age_ms)
		return age > q->age_ms;
	return f->params->node_id < f->params->members[member].id;
}

static void answer_give_way(struct firewall *f, struct state *s, const struct wire_query *q,
			    uint32_t member)
{
	struct wire_confirm c = {.id = q->id, .rank = q->rank, .age_ms = q->age_ms};

	node_count(f->node, COUNTER_HOME_CONFLICT);
	state_clear_term(s);
	home_remove(f, s, DROP_NONE);
	relay_learn(f, &q->key, 0, member, &c);
}

/* A connection that is over answers only for what belongs to it: its endpoints may be in use again,
 * and then another member is home. */
static bool answer_still_explains(const struct state *s, const struct wire_query *q)
{
	struct tcp_seg seg;

	if (q->flags & (WIRE_QUERY_ERROR | WIRE_QUERY_FRAGMENT))
		return true;
	return !(q->flags & WIRE_QUERY_OWN) && peek_tcp(q->packet, q->packet_len, &seg) &&
	       home_over_explains(s, q->flags & WIRE_QUERY_DIR ? 1 : 0, &seg);
}

/* The home is another, or nobody: it may deliver the packet, and be lost or hand the flow over to
 * this node before its confirm arrives. Should the query come again, nobody is to deliver it once
 * more. */
static void answer_remember(struct firewall *f, const struct wire_query *q, uint32_t member)
{
	bool again;
	struct seen_query *seen = answer_seen(f, q->id, member, &again);

	if (!again)
		seen->delivered = q->flags & WIRE_QUERY_CARRIED;
}

/* This node has the flow from another home, and did not hear the query when it was asked first:
 * that home may have delivered what it carries, and its confirm be lost. */
static bool answer_too_late(const struct state *s, const struct wire_query *q)
{
	return state_term(s) > 0 && !(q->flags & WIRE_QUERY_OWN) && q->age_ms > 0;
}

void answer_query(struct firewall *f, struct channel_message *msg)
{
	struct lookup l = {.from = NOTE_NO_MEMBER};
	struct wire_query q;
	struct seen_query *seen;
	struct state *s;
	bool again, here;

	if (!wire_get_query(&msg->body, &q)) {
		node_count(f->node, COUNTER_MSG_MALFORMED);
		return;
	}
	node_count(f->node, COUNTER_QUERY_RECEIVED);
	l.key = q.key;
	l.dir = q.flags & WIRE_QUERY_DIR ? 1 : 0;
	l.hash = flow_table_hash(f->states, &l.key);
	if ((q.flags & WIRE_QUERY_FRAGMENT) && !answer_fragment_flow(f, &q, &l))
		return;
	s = home_find(f, &l);
	if (!s)
		s = backup_asked(f, &q, &l);
	if (!s && f->backup)
		answer_remember(f, &q, msg->member);
	if (!s || (state_is_over(s) && !answer_still_explains(s, &q)))
		return;
	if ((q.flags & WIRE_QUERY_OWN) && !answer_we_win(f, s, &q, msg->member)) {
		answer_give_way(f, s, &q, msg->member);
		return;
	}
	s->askers |= 1u << msg->member;
	seen = answer_seen(f, q.id, msg->member, &again);
	here = !again && (q.flags & WIRE_QUERY_CARRIED) && !backup_doubts(f, s);
	if (again)
		node_count(f->node, COUNTER_QUERY_DUPLICATE);
	else
		seen->delivered =
			here || ((q.flags & WIRE_QUERY_CARRIED) && answer_too_late(s, &q));
	answer_confirm(f, msg->member, &q, s, seen->delivered);
	if (here)
		answer_deliver(f, s, &q, &l);
}

/* --- forwarded by datagram ------------------------------------------------------------------- */

void answer_forward(struct firewall *f, struct channel_message *msg)
{
	struct lookup l = {.from = msg->member};
	struct wire_forward m;
	struct frame frame;
	struct pkt pkt;

	if (!wire_get_forward(&msg->body, &m)) {
		node_count(f->node, COUNTER_MSG_MALFORMED);
		return;
	}
	node_count(f->node, COUNTER_FRAMES_TUNNEL_IN);
	if (!answer_frame(&pkt, &frame, m.packet, m.packet_len,
			  relay_port_of_segment(f, m.segment))) {
		node_drop_frame(f->node, &frame, DROP_SHORT_FRAME);
		return;
	}
	firewall_admit(f, &pkt, &l);
}
