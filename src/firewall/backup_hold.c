/*
 * backup_hold.c - flows held for other members, and taking them over when their home is lost
 * (FC-17).
 */
#include <string.h>

#include "base/name_id.h"
#include "firewall/backup.h"
#include "firewall/firewall.h"
#include "packet/peek.h"

#define NOTE_AFTER_NS 1000000000ULL /* flows taken over in this time share a line of the log */

struct backup_peer *backup_peer(struct firewall *f, uint32_t member)
{
	const struct channel_member *m = channel_member(f->channel, member);
	struct backup_peer *p = &f->backup->peers[member];

	if (memcmp(p->boot_id, m->boot_id, WIRE_BOOT_ID) == 0)
		return p;
	/* What it had told us before it moved on to another backup is void; the rest is orphaned.
	 */
	backup_hold_purge(f, member, p->in_epoch);
	memcpy(p->boot_id, m->boot_id, WIRE_BOOT_ID);
	p->boot++;
	p->in_epoch = 0;
	p->willing = false;
	return p;
}

/* Heard nothing of for half the time after which it is down: it may be dead already, or cut off and
 * not know. */
bool backup_silent(const struct firewall *f, uint32_t member)
{
	const struct channel_member *m = channel_member(f->channel, member);

	return !m->up || f->node->now_ns - m->heard_ns >= 500000ULL * f->params->cluster.dead_ms;
}

void backup_hold_remove(struct firewall *f, struct backup_flow *e)
{
	if (e->flags & BACKUP_ENDED)
		f->backup->n_ended--;
	flow_table_remove(f->backup->flows, e);
}

/* Forget flows of the member's present boot told under another epoch; CHANNEL_ALL: everything. */
void backup_hold_purge(struct firewall *f, uint32_t member, uint32_t epoch)
{
	struct backup *b = f->backup;
	struct backup_flow *e;

	for (uint32_t pos = 0; (e = flow_table_next(b->flows, &pos));)
		if (member == CHANNEL_ALL ||
		    (e->member == member && e->epoch != epoch && e->boot == b->peers[member].boot))
			backup_hold_remove(f, e);
}

static struct backup_flow *hold_find(const struct firewall *f, const struct flow_key *key)
{
	const struct flow_table *t = f->backup->flows;

	return flow_table_find(t, key, flow_table_hash(t, key));
}

static bool is_void(const struct firewall *f, const struct backup_flow *e)
{
	const struct backup_peer *p = &f->backup->peers[e->member];

	return e->boot == p->boot && e->epoch != p->in_epoch;
}

static bool is_orphan(const struct firewall *f, const struct backup_flow *e)
{
	if (e->flags & BACKUP_ENDED)
		return false;
	return e->boot != f->backup->peers[e->member].boot ||
	       (!channel_member(f->channel, e->member)->up &&
		f->node->now_ns >= f->backup->quiet_ns);
}

/* --- flows that have ended while their old home was away ---------------------------------------
 */

#define ENDED_SHARE 4	       /* of the table, at most one part in so many */
#define SAME_AGE_SPARE_MS 1000 /* clocks drift while a member is away */

/* Whether what began `created_ms` is the flow that is `age_ms` old, and not a later one between the
 * same endpoints. */
static bool is_as_old(const struct firewall *f, uint32_t created_ms, uint32_t age_ms)
{
	uint32_t age = (uint32_t)(f->node->now_ns / 1000000) - created_ms;

	return age + SAME_AGE_SPARE_MS >= age_ms;
}

static bool anybody_away(const struct firewall *f)
{
	for (uint32_t m = 0; m < f->params->n_members; m++)
		if (f->backup->peers[m].away || f->backup->peers[m].tell > 0)
			return true;
	return false;
}

/* So long the old home may keep its state. */
static uint32_t ended_life_ms(const struct firewall *f, const struct state *s)
{
	const struct timeout_params *t = &f->params->firewall.timeout_ms;

	return s->entry.key.proto == IPPROTO_NUM_TCP ? t->tcp_established : state_timeout(s, t);
}

void backup_bury(struct firewall *f, const struct state *s)
{
	struct backup *b = f->backup;
	struct backup_flow *e;
	uint64_t hash;

	if (!anybody_away(f))
		return;
	hash = flow_table_hash(b->flows, &s->entry.key);
	e = flow_table_find(b->flows, &s->entry.key, hash);
	if (!e && b->n_ended < flow_table_capacity(b->flows) / ENDED_SHARE)
		e = flow_table_insert(b->flows, &s->entry.key, hash);
	if (!e) {
		node_count(f->node, COUNTER_BACKUP_REFUSED);
		return;
	}
	b->n_ended += !(e->flags & BACKUP_ENDED);
	e->flags = BACKUP_ENDED;
	e->member = (uint8_t)f->params->self;
	e->boot = b->peers[e->member].boot;
	e->term = state_term(s);
	e->created_ms = s->created_ms;
	flow_table_arm(b->flows, e, f->node->now_ns, ended_life_ms(f, s));
}

void backup_exhume(struct firewall *f)
{
	struct backup *b = f->backup;
	struct backup_flow *e;

	if (b->n_ended == 0 || anybody_away(f))
		return;
	for (uint32_t pos = 0; (e = flow_table_next(b->flows, &pos));)
		if (e->flags & BACKUP_ENDED)
			backup_hold_remove(f, e);
}

/* --- receiving ------------------------------------------------------------------------------- */

static uint16_t rule_of(const struct firewall *f, uint32_t id)
{
	for (uint32_t i = 0; id != 0 && i < policy_n_rules(f->policy); i++)
		if (name_id(policy_rule_name(f->policy, (uint16_t)i)) == id)
			return (uint16_t)i;
	return POLICY_DEFAULT;
}

/* The rank of one that is told by its home. */
static uint8_t rank_of(uint8_t term)
{
	return (uint8_t)(STATE_RANK_COMPLETE + term);
}

/* Whether a state of this node gives way to that of `member`, when one of them at least was taken
 * over: the more often, then the smaller id. Ages do not count, since a backup's is a copy. */
static bool gives_way(const struct firewall *f, const struct state *s, uint8_t rank,
		      uint32_t member)
{
	uint8_t own = state_rank(s);

	if (own != rank)
		return own < rank;
	return f->params->members[member].id < f->params->node_id;
}

static void give_up(struct firewall *f, struct state *s, uint8_t rank, uint32_t member)
{
	struct wire_confirm c = {.rank = rank};
	struct flow_key key = s->entry.key;
	struct forward *fw;

	node_count(f->node, COUNTER_BACKUP_TAKEN);
	state_clear_term(s);
	home_remove(f, s, DROP_NONE);
	fw = relay_learn(f, &key, 0, member, &c);
	if (f->backup->handing == BACKUP_STAYS)
		return;
	node_count(f->node, COUNTER_BACKUP_HANDED);
	if (fw)
		fw->handed = true;
}

/* Another member tells of a flow that has a state here. True when it is to be held all the same. */
static bool settle(struct firewall *f, struct state *s, const struct wire_backup_flow *w,
		   uint32_t member)
{
	/* A beginning, or two homes of which whoever asks next keeps one: should it be the other
	 * one, then this is its backup. */
	if (state_rank(s) < STATE_RANK_COMPLETE || (w->term == 0 && state_term(s) == 0))
		return true;
	if (!gives_way(f, s, rank_of(w->term), member)) {
		backup_say_taken(f, s);
		return false;
	}
	give_up(f, s, rank_of(w->term), member);
	return true;
}

/* Two are home of it, until one of them gives way: its end is not to leave the other one without a
 * backup that it believes to have. */
static void note_other_home(const struct firewall *f, struct backup_flow *e,
			    const struct wire_backup_flow *w, uint32_t member)
{
	if (e->member == member)
		return;
	e->other = 0;
	if (e->flags & BACKUP_ENDED || e->term != w->term || is_void(f, e))
		return;
	e->other = (uint8_t)(e->member + 1);
	e->other_boot = e->boot;
	e->other_epoch = e->epoch;
}

static void hold_write(struct firewall *f, struct backup_flow *e, const struct wire_backup_flow *w,
		       uint32_t member, uint32_t epoch)
{
	struct backup *b = f->backup;

	memcpy(e->una, w->una, sizeof(e->una));
	memcpy(e->end, w->end, sizeof(e->end));
	memcpy(e->scale, w->scale, sizeof(e->scale));
	e->created_ms = (uint32_t)(f->node->now_ns / 1000000) - w->age_ms;
	e->epoch = epoch;
	e->boot = b->peers[member].boot;
	e->rule = rule_of(f, w->rule);
	e->member = (uint8_t)member;
	b->n_ended -= !!(e->flags & BACKUP_ENDED);
	e->flags = w->flags;
	e->term = w->term;
	flow_table_arm(b->flows, e, f->node->now_ns, w->life_ms);
}

/* The entry that the flow now has, or NULL: this node knows better, or has no room. */
static struct backup_flow *hold(struct firewall *f, const struct wire_backup_flow *w,
				uint32_t member, uint32_t epoch)
{
	struct backup *b = f->backup;
	uint64_t hash = flow_table_hash(b->flows, &w->key);
	struct backup_flow *e = flow_table_find(b->flows, &w->key, hash);
	struct lookup l = {.key = w->key, .hash = flow_table_hash(f->states, &w->key)};
	struct state *s = home_find(f, &l);

	node_count(f->node, COUNTER_BACKUP_RECEIVED);
	if (e && e->flags & BACKUP_ENDED && e->term > w->term &&
	    w->age_ms + SAME_AGE_SPARE_MS >=
		    (uint32_t)(f->node->now_ns / 1000000) - e->created_ms) {
		backup_say_ended(f, e);
		return NULL;
	}
	if (s && !settle(f, s, w, member))
		return NULL;
	if (e && !(e->flags & BACKUP_ENDED) && e->term > w->term && e->member != member &&
	    !is_void(f, e))
		return NULL;
	if (e)
		note_other_home(f, e, w, member);
	else
		e = flow_table_insert(b->flows, &w->key, hash);
	if (!e) {
		node_count(f->node, COUNTER_BACKUP_REFUSED);
		return NULL;
	}
	hold_write(f, e, w, member, epoch);
	return e;
}

/* The sender's numbering of what we hold for it has moved on: older is void. */
static bool epoch_is(struct backup_peer *p, uint32_t epoch)
{
	if ((int32_t)(epoch - p->in_epoch) > 0)
		p->in_epoch = epoch;
	return epoch == p->in_epoch;
}

static void acknowledge(struct firewall *f, uint32_t member, uint32_t seq)
{
	struct wire_backup_ack *acks = &f->backup->peers[member].acks;

	if (acks->n < WIRE_ACKS_MAX)
		acks->seq[acks->n++] = seq;
	if (f->backup->acks_ns == UINT64_MAX)
		f->backup->acks_ns = f->node->now_ns + BACKUP_FLUSH_NS;
}

/* Its home has no more to do with it. */
static void hold_end(struct firewall *f, struct backup_flow *e)
{
	bool another = e->other > 0;

	if (another) {
		e->member = (uint8_t)(e->other - 1);
		e->boot = e->other_boot;
		e->epoch = e->other_epoch;
		e->other = 0;
	}
	if (!another || is_void(f, e))
		backup_hold_remove(f, e);
}

void backup_held_end(struct firewall *f, struct channel_message *msg)
{
	struct wire_keys keys;
	uint32_t seq;

	if (!wire_get_backup_end(&msg->body, &seq, &keys)) {
		node_count(f->node, COUNTER_MSG_MALFORMED);
		return;
	}
	acknowledge(f, msg->member, seq);
	for (unsigned i = 0; i < keys.n; i++) {
		struct backup_flow *e = hold_find(f, &keys.keys[i]);

		if (e && e->other == msg->member + 1)
			e->other = 0;
		if (!e || e->member != msg->member)
			continue;
		node_count(f->node, COUNTER_BACKUP_ENDED);
		hold_end(f, e);
	}
}

/* --- taking over ----------------------------------------------------------------------------- */

static void note_taken_over(struct firewall *f, uint32_t member)
{
	f->backup->peers[member].promoted++;
	if (f->backup->note_ns == UINT64_MAX)
		f->backup->note_ns = f->node->now_ns + NOTE_AFTER_NS;
}

/* The old home may be alive, and then it must hear of it. */
static void tell_home(struct firewall *f, uint32_t member)
{
	if (member != f->params->self && channel_member(f->channel, member)->up)
		backup_tell_again(f, member);
}

/* The flow's own state; the entry is gone. NULL when the table of states is full. */
static struct state *place(struct firewall *f, struct backup_flow *e)
{
	struct flow_key key = e->entry.key;
	struct backup_flow was = *e;
	struct state *s = home_place(f, &key, was.rule, was.flags & WIRE_BACKUP_ORIGIN_B);
	uint8_t term = was.term < WIRE_TERM_MAX ? (uint8_t)(was.term + 1) : WIRE_TERM_MAX;

	if (!s)
		return NULL;
	backup_hold_remove(f, e);
	s->created_ms = was.created_ms;
	s->flags |= (uint8_t)(term << STATE_TERM_SHIFT);
	if (was.flags & WIRE_BACKUP_REPLIED)
		s->flags |= STATE_REPLIED;
	for (unsigned i = 0; i < 2; i++) {
		s->tcp.peer[i].una = was.una[i];
		s->tcp.peer[i].end = was.end[i];
		s->tcp.scale[i] = was.scale[i];
	}
	flow_table_arm(f->states, s, f->node->now_ns,
		       state_timeout(s, &f->params->firewall.timeout_ms));
	node_count(f->node, COUNTER_BACKUP_PROMOTED);
	backup_at_once(f, s);
	backup_say_taken(f, s);
	return s;
}

/* Its home is lost. */
static struct state *promote(struct firewall *f, struct backup_flow *e)
{
	uint32_t member = e->member;
	struct state *s = place(f, e);

	if (!s)
		return NULL;
	if (member != f->params->self)
		note_taken_over(f, member);
	tell_home(f, member);
	return s;
}

/* Its home gives it up. A handshake here is left alone: one of the two will end soon. */
static void handed_over(struct firewall *f, struct backup_flow *e)
{
	struct lookup l = {.key = e->entry.key, .hash = flow_table_hash(f->states, &e->entry.key)};
	struct state *s = home_find(f, &l);
	uint8_t term = e->term < WIRE_TERM_MAX ? (uint8_t)(e->term + 1) : WIRE_TERM_MAX;

	if (s && state_is_over(s)) {
		state_clear_term(s);
		home_remove(f, s, DROP_NONE);
		s = NULL;
	}
	if (!s) {
		place(f, e);
	} else if (state_rank(s) >= STATE_RANK_COMPLETE) { /* there were two homes */
		backup_hold_remove(f, e);
		state_clear_term(s);
		s->flags |= (uint8_t)(term << STATE_TERM_SHIFT);
		backup_say_taken(f, s);
	}
}

void backup_held(struct firewall *f, struct channel_message *msg)
{
	struct backup_peer *p = backup_peer(f, msg->member);
	struct wire_backup_head h;
	struct wire_backup_flow w;
	struct rcur probe;
	bool good = wire_get_backup_head(&msg->body, &h);

	probe = msg->body;
	while (good && rcur_left(&probe) > 0)
		good = wire_get_backup_flow(&probe, &w);
	if (!good) {
		node_count(f->node, COUNTER_MSG_MALFORMED);
		return;
	}
	/* Of a member whose first hello is still on its way nobody could say whether it is lost: it
	 * will tell again. */
	if (!channel_member(f->channel, msg->member)->up)
		return;
	acknowledge(f, msg->member, h.seq);
	if (!epoch_is(p, h.epoch))
		return;
	while (rcur_left(&msg->body) > 0 && wire_get_backup_flow(&msg->body, &w)) {
		struct backup_flow *e = hold(f, &w, msg->member, h.epoch);

		if (e && w.flags & WIRE_BACKUP_HAND_OVER)
			handed_over(f, e);
	}
	if (f->backup->taken.n > 0) /* whoever hands over waits for it */
		backup_taken_flush(f);
}

static struct backup_flow *find_valid(struct firewall *f, const struct flow_key *key)
{
	struct backup_flow *e = f->backup ? hold_find(f, key) : NULL;

	if (e && e->flags & BACKUP_ENDED)
		return NULL;
	if (e && is_void(f, e)) {
		backup_hold_remove(f, e);
		e = NULL;
	}
	return e;
}

struct state *backup_take_over(struct firewall *f, const struct pkt *pkt, const struct lookup *l)
{
	struct backup_flow *e = find_valid(f, &l->key);

	if (!e || !is_orphan(f, e) || pkt->icmp_error)
		return NULL;
	/* A handshake is no part of a flow that was answered. */
	if (l->key.proto == IPPROTO_NUM_TCP && pkt->l4 && pkt->tcp.flags & TCP_SYN)
		return NULL;
	return promote(f, e);
}

struct state *backup_asked(struct firewall *f, const struct wire_query *q, const struct lookup *l)
{
	struct backup_flow *e = find_valid(f, &l->key);
	struct tcp_seg seg;

	if (!e || !is_orphan(f, e) || q->flags & WIRE_QUERY_ERROR)
		return NULL;
	if (l->key.proto == IPPROTO_NUM_TCP && peek_tcp(q->packet, q->packet_len, &seg) &&
	    seg.flags & TCP_SYN)
		return NULL;
	return promote(f, e);
}

bool backup_rescue(struct firewall *f, const struct flow_key *key, uint64_t asked_ns)
{
	struct backup_flow *e = key->zone == 0 ? find_valid(f, key) : NULL;

	/* A home that was heard since is alive, and would have answered but for losses on the
	 * link: taking its flow over would make two. */
	if (!e ||
	    (!is_orphan(f, e) && (!backup_silent(f, e->member) ||
				  channel_member(f->channel, e->member)->heard_ns > asked_ns)))
		return false;
	return promote(f, e) != NULL;
}

void backup_forget_orphan(struct firewall *f, const struct flow_key *key)
{
	struct backup_flow *e = f->backup ? hold_find(f, key) : NULL;

	if (e && is_orphan(f, e))
		backup_hold_remove(f, e);
}

/* Nothing lies before what the backup knew: sequence numbers only grow. */
static bool fits_stored(const struct tcp_track *t, unsigned side, const struct tcp_seg *seg)
{
	uint32_t end = seg->seq + seg->len;

	/* A keep-alive lies one before. */
	return (int32_t)(end + 1 - t->peer[side].una) >= 0 &&
	       (!(seg->flags & TCP_ACK) || (int32_t)(seg->ack - t->peer[!side].una) >= 0);
}

enum drop backup_resume(const struct firewall *f, struct state *s, unsigned side,
			const struct tcp_seg *seg)
{
	bool strict = f->params->cluster.backup_tracking == TRACKING_STRICT;
	struct tcp_track *t = &s->tcp;

	if (strict && !fits_stored(t, side, seg))
		return DROP_TCP_WINDOW;
	if (seg->flags & TCP_RST) {
		if (seg->seq == t->peer[side].end || seg->seq == t->peer[side].una)
			t->state = TCP_STATE_CLOSED;
		else if (strict)
			return DROP_TCP_RESET;
		return DROP_NONE; /* else the receiver knows whether it is meant */
	}
	if ((seg->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return DROP_NONE; /* a live host answers it with an ACK, which tells more */
	if (!(seg->flags & TCP_ACK))
		return DROP_TCP_STATE;
	tcp_track_resume(t, side, seg);
	return DROP_NONE;
}

/* --- another member has taken over ----------------------------------------------------------- */

static void given_up_one(struct firewall *f, const struct flow_key *key, uint8_t rank,
			 uint32_t member)
{
	struct lookup l = {.key = *key, .hash = flow_table_hash(f->states, key)};
	struct backup_flow *e = hold_find(f, key);
	struct wire_confirm c = {.rank = rank};
	struct state *s = home_find(f, &l);
	struct forward *fw;

	negative_remove(f->negative, flow_table_hash(f->queries, key));
	if (e && e->member != member && !(e->flags & BACKUP_ENDED))
		backup_hold_remove(f, e);
	if (s && state_is_over(s)) {
		home_remove(f, s, DROP_NONE);
	} else if (s && gives_way(f, s, rank, member)) {
		give_up(f, s, rank, member);
	} else if (s && state_term(s) > 0) {
		backup_say_taken(f, s); /* the sender's gives way */
	} else if (!s) {
		fw = flow_table_find(f->forwards, key, flow_table_hash(f->forwards, key));
		if (fw && fw->member != member)
			relay_learn(f, key, fw->dir, member, &c);
	}
}

/* The sender had taken it over, and it has ended there. */
static void ended_one(struct firewall *f, const struct flow_key *key, uint8_t rank, uint32_t age_ms)
{
	struct lookup l = {.key = *key, .hash = flow_table_hash(f->states, key)};
	struct backup_flow *e = hold_find(f, key);
	struct state *s = home_find(f, &l);

	if (e && !(e->flags & BACKUP_ENDED) && rank_of(e->term) < rank &&
	    is_as_old(f, e->created_ms, age_ms))
		backup_hold_remove(f, e);
	if (!s || state_rank(s) >= rank || !is_as_old(f, s->created_ms, age_ms))
		return;
	node_count(f->node, COUNTER_BACKUP_TAKEN);
	state_clear_term(s);
	home_remove(f, s, DROP_NONE);
}

void backup_given_up(struct firewall *f, struct channel_message *msg)
{
	struct wire_taken taken;

	if (!wire_get_taken(&msg->body, &taken)) {
		node_count(f->node, COUNTER_MSG_MALFORMED);
		return;
	}
	for (unsigned i = 0; i < taken.n; i++) {
		if (taken.v[i].ended)
			ended_one(f, &taken.v[i].key, taken.v[i].rank, taken.v[i].age_ms);
		else
			given_up_one(f, &taken.v[i].key, taken.v[i].rank, msg->member);
	}
}
