/*
 * home.c - flows this node is home of: making, tracking, delivering, ending (FC-1, FC-12, FC-13).
 */
#include <string.h>

#include "firewall/firewall.h"

#define ICMP_ECHO 8
#define ICMP_ECHO_REPLY 0
#define ICMP6_ECHO 128
#define ICMP6_ECHO_REPLY 129
#define HOME_EXPIRE_BUDGET 4096
#define EVICT_STEPS 4096

struct state *home_find(struct firewall *f, const struct lookup *l)
{
	return flow_table_find(f->states, &l->key, l->hash);
}

static bool is_tcp(const struct flow_key *key)
{
	return key->proto == IPPROTO_NUM_TCP;
}

static bool is_icmp(const struct flow_key *key)
{
	return key->proto == IPPROTO_NUM_ICMP || key->proto == IPPROTO_NUM_ICMP6;
}

static bool icmp_is_echo(const struct pkt *pkt)
{
	return pkt->icmp_type == (pkt->version == 4 ? ICMP_ECHO : ICMP6_ECHO);
}

static bool icmp_is_echo_reply(const struct pkt *pkt)
{
	return pkt->icmp_type == (pkt->version == 4 ? ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY);
}

/* --- counting and ending --------------------------------------------------------------------- */

static void home_set_half_open(struct firewall *f, struct state *s, bool half_open)
{
	if (half_open == !!(s->flags & STATE_HALF_OPEN))
		return;
	s->flags = (uint8_t)(s->flags ^ STATE_HALF_OPEN);
	if (half_open)
		f->n_half_open++;
	else
		f->n_half_open--;
	if (!half_open)
		backup_settled(f, s);
}

struct ipaddr home_originator(const struct state *s)
{
	return s->flags & STATE_ORIGIN_B ? s->entry.key.b : s->entry.key.a;
}

void home_remove(struct firewall *f, struct state *s, enum drop reason)
{
	struct note *note = node_note(f->node, NOTE_FLOW_ENDED);

	home_offload_end(f, s);
	if (note) {
		note->has_flow = true;
		note->key = s->entry.key;
		note->dir = s->flags & STATE_ORIGIN_B ? 1 : 0;
		note->reason = reason;
		note->rule = s->rule;
	}
	home_set_half_open(f, s, false);
	backup_end(f, s);
	if (f->source_flows) {
		struct ipaddr from = home_originator(s);
		source_counts_add(f->source_flows, &from, -1);
	}
	if (f->channel && s->askers)
		answer_release(f, s);
	node_count(f->node, COUNTER_FLOWS_ENDED);
	flow_table_remove(f->states, s);
}

static void home_due(void *arg, void *entry)
{
	if (!home_offload_take(arg, entry))
		home_remove(arg, entry, DROP_NONE);
}

uint64_t home_tick(struct firewall *f)
{
	return flow_table_expire(f->states, f->node->now_ns, HOME_EXPIRE_BUDGET, home_due, f);
}

/* Make room: the next half-open (or unanswered) flow behind the hand goes. Established flows are
 * never evicted, so a flood of beginnings costs only other beginnings. */
static bool home_evict(struct firewall *f)
{
	uint32_t capacity = flow_table_capacity(f->states);

	for (unsigned i = 0; i < EVICT_STEPS; i++) {
		struct state *s = flow_table_at(f->states, f->evict_hand);

		f->evict_hand = f->evict_hand + 1 < capacity ? f->evict_hand + 1 : 0;
		if (s && s->flags & STATE_HALF_OPEN) {
			node_count(f->node, COUNTER_FLOWS_EVICTED);
			home_remove(f, s, DROP_HALF_OPEN_LIMIT);
			return true;
		}
	}
	return false;
}

/* --- policy ---------------------------------------------------------------------------------- */

static struct policy_packet home_policy_packet(const struct firewall *f, const struct pkt *pkt)
{
	return (struct policy_packet){.tuple = &pkt->tuple,
				      .in_port = pkt->frame->port,
				      .out_port = node_route_port(f->node, &pkt->tuple.dst),
				      .icmp_type = pkt->icmp_type,
				      .icmp_code = pkt->icmp_code};
}

bool home_policy_possible(const struct firewall *f, const struct pkt *pkt, const struct lookup *l)
{
	struct policy_packet p = home_policy_packet(f, pkt);
	struct pkt_tuple tuple = pkt->tuple, back;

	if (l->frag && l->frag->known)
		tuple = l->frag->tuple;
	else if (pkt->fragment && pkt->frag_offset > 0)
		return true; /* no ports: nothing can be excluded */
	p.tuple = &tuple;
	p.out_port = PARAMS_NO_PORT; /* the home may reach that network by a port of another name */
	if (policy_possible(f->policy, &p))
		return true;
	back = (struct pkt_tuple){.src = tuple.dst,
				  .dst = tuple.src,
				  .sport = tuple.dport,
				  .dport = tuple.sport,
				  .proto = tuple.proto};
	p = (struct policy_packet){
		.tuple = &back, .in_port = p.out_port, .out_port = pkt->frame->port};
	return policy_possible(f->policy, &p);
}

static void home_note_rule(struct firewall *f, const struct lookup *l, const struct pkt *pkt,
			   const struct policy_verdict *v)
{
	struct note *note = v->log ? node_note(f->node, NOTE_RULE) : NULL;
	static const char *const details[] = {"pass", "drop", "reject"};

	if (!note)
		return;
	note->has_flow = true;
	note->key = l->key;
	note->dir = (uint8_t)l->dir;
	note->port = pkt->frame->port;
	note->rule = v->rule;
	note->detail = details[v->action];
}

/* --- a new flow ------------------------------------------------------------------------------ */

struct state *home_place(struct firewall *f, const struct flow_key *key, uint16_t rule,
			 bool origin_b)
{
	uint64_t hash = flow_table_hash(f->states, key);
	struct ipaddr from = origin_b ? key->b : key->a, to = origin_b ? key->a : key->b;
	struct state *s = flow_table_insert(f->states, key, hash);

	if (!s && home_evict(f))
		s = flow_table_insert(f->states, key, hash);
	if (!s)
		return NULL;
	s->created_ms = (uint32_t)(f->node->now_ns / 1000000);
	s->hop[0] = s->hop[1] = NEIGH_NONE;
	s->rule = rule;
	s->flags = origin_b ? STATE_ORIGIN_B : 0;
	s->in_port = (uint8_t)node_route_port(f->node, &from);
	s->out_port = (uint8_t)node_route_port(f->node, &to);
	if (f->source_flows)
		source_counts_add(f->source_flows, &from, 1);
	node_count(f->node, COUNTER_FLOWS_CREATED);
	backup_begin(f, s);
	return s;
}

static struct state *home_insert(struct firewall *f, struct pkt *pkt, struct lookup *l,
				 uint16_t rule)
{
	struct state *s = home_place(f, &l->key, rule, l->dir);

	if (!s)
		return NULL;
	s->in_port = (uint8_t)pkt->frame->port;
	backup_forget_orphan(f, &l->key);
	return s;
}

static void home_note_created(struct firewall *f, const struct state *s, const struct pkt *pkt)
{
	struct note *note = node_note(f->node, NOTE_HOME_CREATED);

	if (!note)
		return;
	note->has_flow = true;
	note->key = s->entry.key;
	note->dir = s->flags & STATE_ORIGIN_B ? 1 : 0;
	note->port = pkt->frame->port;
	note->rule = s->rule;
}

/* Limits that a new flow must respect; the packet is dropped when one is reached. */
static bool home_admit(struct firewall *f, const struct pkt *pkt)
{
	const struct firewall_params *p = &f->params->firewall;

	if (f->source_flows && p->max_per_source &&
	    source_counts_get(f->source_flows, &pkt->tuple.src) >= p->max_per_source) {
		node_drop(f->node, pkt, DROP_SOURCE_LIMIT);
		return false;
	}
	if (f->n_half_open >= p->max_half_open && !home_evict(f)) {
		node_drop(f->node, pkt, DROP_HALF_OPEN_LIMIT);
		return false;
	}
	return true;
}

static void home_refuse(struct firewall *f, struct pkt *pkt, const struct policy_verdict *v)
{
	policy_count(f->policy, v->rule, 1, pkt->ip_len);
	if (v->action == RULE_REJECT) {
		node_reject(f->node, pkt);
		node_drop(f->node, pkt, DROP_REJECTED);
	} else {
		node_drop(f->node, pkt, DROP_POLICY);
	}
}

/* A refusal is final unless the packet could be the answer in a flow of the other direction, whose
 * home somebody else is. */
static bool home_refusal_final(const struct firewall *f, const struct pkt *pkt,
			       const struct lookup *l)
{
	return !f->channel || pkt->tuple.proto == IPPROTO_NUM_TCP || is_icmp(&l->key) ||
	       l->from != NOTE_NO_MEMBER || !home_policy_possible(f, pkt, l);
}

static void home_begin(struct firewall *f, struct pkt *pkt, struct lookup *l, uint16_t rule)
{
	struct state *s;

	if (node_ttl_expired(f->node, pkt) || !home_admit(f, pkt))
		return;
	s = home_insert(f, pkt, l, rule);
	if (!s) {
		node_drop(f->node, pkt, DROP_FLOW_TABLE_FULL);
		return;
	}
	home_set_half_open(f, s, true);
	if (is_tcp(&l->key))
		tcp_track_open(&s->tcp, &pkt->tcp);
	home_note_created(f, s, pkt);
	home_deliver(f, s, pkt, l);
}

bool home_create(struct firewall *f, struct pkt *pkt, struct lookup *l)
{
	struct policy_packet p = home_policy_packet(f, pkt);
	struct policy_verdict v = policy_judge(f->policy, &p);

	if (v.action != RULE_PASS && !home_refusal_final(f, pkt, l))
		return false;
	home_note_rule(f, l, pkt, &v);
	if (v.action != RULE_PASS) {
		home_refuse(f, pkt, &v);
		return true;
	}
	policy_count(f->policy, v.rule, 1, pkt->ip_len);
	home_begin(f, pkt, l, v.rule);
	return true;
}

/* Take over a flow whose beginning nobody saw (exception "pass"): the direction in which policy
 * admits it says who began. */
bool home_pickup(struct firewall *f, struct pkt *pkt, struct lookup *l)
{
	struct policy_packet p = home_policy_packet(f, pkt);
	struct policy_verdict v = policy_judge(f->policy, &p);
	struct pkt_tuple back = {.src = pkt->tuple.dst,
				 .dst = pkt->tuple.src,
				 .sport = pkt->tuple.dport,
				 .dport = pkt->tuple.sport,
				 .proto = pkt->tuple.proto};
	bool reverse = v.action != RULE_PASS;
	struct state *s;

	if (pkt->icmp_error || (pkt->fragment && pkt->frag_offset > 0))
		return false;
	if (reverse) {
		p = (struct policy_packet){
			.tuple = &back, .in_port = p.out_port, .out_port = pkt->frame->port};
		v = policy_judge(f->policy, &p);
	}
	if (v.action != RULE_PASS)
		return false;
	if (node_ttl_expired(f->node, pkt) || !home_admit(f, pkt))
		return true;
	s = home_find(f, l);
	if (s) /* a connection that is over, and did not explain the packet */
		home_remove(f, s, DROP_NONE);
	s = home_insert(f, pkt, l, v.rule);
	if (!s) {
		node_drop(f->node, pkt, DROP_FLOW_TABLE_FULL);
		return true;
	}
	s->flags |= STATE_PICKED_UP;
	if (reverse)
		s->flags ^= STATE_ORIGIN_B;
	home_set_half_open(f, s, true); /* until both sides have been seen */
	if (is_tcp(&l->key))
		tcp_track_pickup(&s->tcp, reverse ? 1 : 0, &pkt->tcp);
	home_note_created(f, s, pkt);
	home_deliver(f, s, pkt, l);
	return true;
}

/* --- a packet of a known flow ---------------------------------------------------------------- */

static struct hop home_hop(const struct firewall *f, const struct state *s, unsigned side)
{
	if (s->hop_generation != f->node->route_generation)
		return (struct hop){.neigh = NEIGH_NONE};
	return (struct hop){.neigh = s->hop[side], .generation = s->hop_generation};
}

static void home_keep_hop(struct firewall *f, struct state *s, unsigned side, const struct hop *hop)
{
	if (hop->neigh == NEIGH_NONE)
		return;
	if (s->hop_generation != f->node->route_generation) {
		s->hop[!side] = NEIGH_NONE;
		s->hop_generation = f->node->route_generation;
	}
	s->hop[side] = hop->generation == f->node->route_generation ? hop->neigh : NEIGH_NONE;
}

void home_deliver(struct firewall *f, struct state *s, struct pkt *pkt, const struct lookup *l)
{
	unsigned side = state_side(s, l->dir);
	struct hop hop = home_hop(f, s, side);
	uint32_t n_sent = f->node->out->n_frames;

	flow_table_arm(f->states, s, f->node->now_ns,
		       state_timeout(s, &f->params->firewall.timeout_ms));
	state_count(s, side, pkt->ip_len);
	if (node_forward(f->node, pkt, &hop) != DROP_NONE)
		return;
	home_keep_hop(f, s, side, &hop);
	if (f->node->offload)
		home_offer(f, s, pkt, l, n_sent);
}

/* An error about a packet of the flow: it travels against the quoted packet. Nothing of the state
 * changes; the error goes to where its destination lives. */
static void home_icmp_error(struct firewall *f, struct state *s, struct pkt *pkt, struct lookup *l)
{
	unsigned sender = state_side(s, l->dir);
	struct hop hop = {.neigh = NEIGH_NONE};

	home_offload_sync(f, s);
	if (is_tcp(&l->key) && !tcp_track_seq_plausible(&s->tcp, sender, pkt->inner_seq)) {
		node_drop(f->node, pkt, DROP_ICMP_UNRELATED);
		return;
	}
	node_forward(f->node, pkt, &hop);
}

/* A SYN on an entry that is over is a new connection: policy decides again, the entry starts
 * afresh. */
static void home_reopen(struct firewall *f, struct state *s, struct pkt *pkt, struct lookup *l)
{
	home_remove(f, s, DROP_NONE);
	if (!home_create(f, pkt, l))
		node_drop(f->node, pkt, DROP_POLICY);
}

/* The connection is over and does not explain the packet: its endpoints may be in use again, with
 * another home. Ask for that one, or let the member that forwarded the packet ask. */
static void home_taken_again(struct firewall *f, struct pkt *pkt, struct lookup *l, enum drop d)
{
	if (l->from == NOTE_NO_MEMBER && channel_n_up(f->channel) > 0) {
		ask_packet(f, pkt, l, NULL);
		return;
	}
	if (l->from != NOTE_NO_MEMBER)
		answer_not_home(f, l->from, &l->key);
	node_drop(f->node, pkt, d);
}

/* With the packet of this side. A flow taken over in the middle may be nothing but one forged
 * packet, until the other side sends, too. */
static bool home_is_half_open(const struct state *s, unsigned side)
{
	if (s->flags & STATE_PICKED_UP)
		return s->packets[!side] == 0;
	return tcp_track_half_open(&s->tcp);
}

static void home_tcp(struct firewall *f, struct state *s, struct pkt *pkt, struct lookup *l)
{
	bool reopened = false;
	enum drop d;

	home_offload_sync(f, s);
	d = s->tcp.state == TCP_STATE_NONE
		    ? backup_resume(f, s, state_side(s, l->dir), &pkt->tcp)
		    : tcp_track_segment(&s->tcp, state_side(s, l->dir), &pkt->tcp, &reopened);
	if (d == DROP_NONE && f->node->offload)
		home_offload_moved(f, s);
	if (reopened) {
		home_reopen(f, s, pkt, l);
		return;
	}
	/* A handshake that cannot explain a packet: perhaps the SYN was sent again through another
	 * member, which is the home now (rule of two homes). */
	if (d == DROP_TCP_STATE && f->channel && tcp_track_half_open(&s->tcp) && !l->delivering &&
	    l->from == NOTE_NO_MEMBER && channel_n_up(f->channel) > 0) {
		ask_packet(f, pkt, l, s);
		return;
	}
	if (d != DROP_NONE && state_is_over(s) && f->channel && !l->delivering) {
		home_taken_again(f, pkt, l, d);
		return;
	}
	if (d != DROP_NONE) {
		node_drop(f->node, pkt, d);
		return;
	}
	home_set_half_open(f, s, home_is_half_open(s, state_side(s, l->dir)));
	if (state_is_over(s) && f->channel) {
		if (s->askers)
			answer_release(f, s);
		s->askers = 0;
		backup_end(f, s);
	}
	home_deliver(f, s, pkt, l);
}

/* Whether a connection that is over still explains this segment (a last acknowledgement sent
 * again, say). If not, the tuple has been taken into use again elsewhere. */
bool home_over_explains(const struct state *s, unsigned dir, const struct tcp_seg *seg)
{
	struct tcp_track copy = s->tcp;
	bool reopened = false;

	return tcp_track_segment(&copy, state_side(s, dir), seg, &reopened) == DROP_NONE &&
	       !reopened;
}

/* UDP, ICMP echo and the other protocols: answered or not is all there is to know. */
static void home_datagram(struct firewall *f, struct state *s, struct pkt *pkt, struct lookup *l)
{
	bool first = !(s->flags & STATE_PICKED_UP) || s->packets[0] > 0; /* see home_is_half_open */

	if (first && state_side(s, l->dir) == 1 && !(s->flags & STATE_REPLIED)) {
		s->flags |= STATE_REPLIED;
		home_set_half_open(f, s, false);
	}
	home_deliver(f, s, pkt, l);
}

static void home_icmp(struct firewall *f, struct state *s, struct pkt *pkt, struct lookup *l)
{
	unsigned side = state_side(s, l->dir);

	if (pkt->fragment && pkt->frag_offset > 0) {
		home_datagram(f, s, pkt, l);
		return;
	}
	if ((side == 0 && !icmp_is_echo(pkt)) || (side == 1 && !icmp_is_echo_reply(pkt))) {
		node_drop(f->node, pkt, DROP_NO_FLOW);
		return;
	}
	home_datagram(f, s, pkt, l);
}

void home_packet(struct firewall *f, struct state *s, struct pkt *pkt, struct lookup *l)
{
	node_count(f->node, COUNTER_STATE_HIT);
	if (pkt->icmp_error)
		home_icmp_error(f, s, pkt, l);
	else if (pkt->fragment && pkt->frag_offset > 0)
		home_deliver(f, s, pkt, l);
	else if (is_tcp(&l->key))
		home_tcp(f, s, pkt, l);
	else if (is_icmp(&l->key))
		home_icmp(f, s, pkt, l);
	else
		home_datagram(f, s, pkt, l);
}
