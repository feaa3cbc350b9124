/*
 * backup_talk.c - the messages about backups: sending, acknowledging, repeating (FC-17).
 */
#include <string.h>

#include "firewall/backup.h"
#include "firewall/firewall.h"

#define ANSWER_NS 100000000ULL /* an acknowledgement comes within this, or the message was lost */
#define TRIES 5
#define OFFER_NS 5000000000ULL
#define OFFER_FIRST_NS 250000000ULL /* at first more often: it may not have heard of us yet */
#define OFFERS_FIRST 8
#define TELL_NS 250000000ULL
#define TELL_KEYS 2048 /* of one flush */
#define TELL_STEPS 65536
#define EXPIRE_BUDGET 4096
#define SPREAD_SPARE_MS 1000 /* refreshes may have to wait for the pace */
#define LEAVE_STEP_NS 1000000ULL

static uint64_t earlier(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

/* --- acknowledged or not --------------------------------------------------------------------- */

static struct backup_pending *pending_at(struct backup *b, uint32_t i)
{
	return &b->pending[(b->pending_head + i) % BACKUP_PENDING];
}

static void pending_pop(struct backup *b)
{
	b->pending_head = (b->pending_head + 1) % BACKUP_PENDING;
	b->n_pending--;
}

/* A place for a message just sent. When there are too many the oldest is trusted to have come. */
struct backup_pending *backup_await(struct firewall *f, uint32_t member, uint8_t tries)
{
	struct backup *b = f->backup;
	struct backup_pending *p;

	if (b->n_pending == BACKUP_PENDING)
		pending_pop(b);
	p = pending_at(b, b->n_pending++);
	p->member = (uint8_t)member;
	p->tries = tries;
	p->due_ns = f->node->now_ns + ANSWER_NS;
	return p;
}

static void pending_due(struct firewall *f)
{
	struct backup *b = f->backup;

	/* What is sent again becomes due later, so this ends. */
	while (b->n_pending > 0 && pending_at(b, 0)->due_ns <= f->node->now_ns) {
		struct backup_pending p = *pending_at(b, 0);

		pending_pop(b);
		if (p.n == 0 || p.tries >= TRIES || !b->peers[p.member].willing)
			continue;
		node_count(f->node, COUNTER_BACKUP_REPEATED);
		if (p.is_end)
			backup_end_send(f, p.member, &p.keys, (uint8_t)(p.tries + 1));
		else
			backup_requeue(f, &p);
	}
}

static void take_ack(struct backup *b, uint32_t member, uint32_t seq)
{
	for (uint32_t i = 0; i < b->n_pending; i++) {
		struct backup_pending *p = pending_at(b, i);
		if (p->seq == seq && p->member == member)
			p->n = 0;
	}
}

/* --- sending --------------------------------------------------------------------------------- */

void backup_end_send(struct firewall *f, uint32_t member, const struct wire_keys *keys,
		     uint8_t tries)
{
	struct backup_pending *p;
	struct wcur body;
	uint32_t seq = ++f->backup->seq;

	if (!channel_begin(f->channel, 64 + 40 * (size_t)keys->n, &body))
		return;
	wire_put_backup_end(&body, seq, keys);
	if (!channel_send(f->channel, WIRE_BACKUP_END, &body, member))
		return;
	p = backup_await(f, member, tries);
	p->seq = seq;
	p->is_end = true;
	p->n = 1;
	p->keys = *keys;
}

void backup_ends_flush(struct firewall *f)
{
	for (uint32_t m = 0; m < f->params->n_members; m++) {
		struct wire_keys *ends = &f->backup->peers[m].ends;

		if (ends->n > 0)
			backup_end_send(f, m, ends, 1);
		ends->n = 0;
	}
	f->backup->ends_ns = UINT64_MAX;
}

static void taken_send(struct firewall *f, const struct wire_taken *taken, uint32_t to)
{
	struct wcur body;

	if (taken->n == 0 || !channel_begin(f->channel, 64 + 45 * (size_t)taken->n, &body))
		return;
	wire_put_taken(&body, taken);
	channel_send(f->channel, WIRE_TAKEN, &body, to);
}

void backup_taken_flush(struct firewall *f)
{
	taken_send(f, &f->backup->taken, CHANNEL_ALL);
	f->backup->taken.n = 0;
	f->backup->taken_ns = UINT64_MAX;
}

static void taken_add(struct wire_taken *taken, const struct state *s)
{
	taken->v[taken->n].key = s->entry.key;
	taken->v[taken->n].ended = false;
	taken->v[taken->n++].rank = state_rank(s);
}

static void taken_add_ended(const struct firewall *f, struct wire_taken *taken,
			    const struct backup_flow *e)
{
	taken->v[taken->n].key = e->entry.key;
	taken->v[taken->n].ended = true;
	taken->v[taken->n].age_ms = (uint32_t)(f->node->now_ns / 1000000) - e->created_ms;
	taken->v[taken->n++].rank = (uint8_t)(STATE_RANK_COMPLETE + e->term);
}

/* One more to be told to everybody. */
static void taken_added(struct firewall *f)
{
	struct backup *b = f->backup;

	if (b->taken.n == WIRE_TAKEN_MAX)
		backup_taken_flush(f);
	else if (b->taken_ns == UINT64_MAX)
		b->taken_ns = f->node->now_ns + BACKUP_FLUSH_NS;
}

void backup_say_taken(struct firewall *f, const struct state *s)
{
	taken_add(&f->backup->taken, s);
	taken_added(f);
}

void backup_say_ended(struct firewall *f, const struct backup_flow *e)
{
	taken_add_ended(f, &f->backup->taken, e);
	taken_added(f);
}

void backup_tell_again(struct firewall *f, uint32_t member)
{
	struct backup_peer *p = &f->backup->peers[member];

	p->tell = BACKUP_TELL_ROUNDS;
	p->tell_ended = false;
	p->tell_pos = 0;
	p->tell_ns = f->node->now_ns;
}

/* Of the table of states, or then of the tombstones: the next flow that was taken over. False: that
 * was the last, or enough was looked at. */
static bool tell_next(struct firewall *f, struct backup_peer *p, struct wire_taken *taken,
		      unsigned *steps)
{
	struct backup_flow *e;
	struct state *s;

	while (*steps > 0 && !p->tell_ended) {
		(*steps)--;
		s = flow_table_next(f->states, &p->tell_pos);
		if (!s) {
			p->tell_ended = true;
			p->tell_pos = 0;
		} else if (state_term(s) > 0 && !state_is_over(s)) {
			taken_add(taken, s);
			return true;
		}
	}
	while (*steps > 0 && f->backup->n_ended > 0) {
		(*steps)--;
		e = flow_table_next(f->backup->flows, &p->tell_pos);
		if (!e)
			return false;
		if (e->flags & BACKUP_ENDED) {
			taken_add_ended(f, taken, e);
			return true;
		}
	}
	return false;
}

static void tell_round_over(struct firewall *f, struct backup_peer *p)
{
	p->tell--;
	p->tell_ended = false;
	p->tell_pos = 0;
	p->tell_ns = f->node->now_ns + TELL_NS;
	if (p->tell > 0)
		return;
	p->away = false;
	backup_exhume(f);
}

/* A member that is back is told all that was taken over while it was away; a few times, since it
 * may not hear. */
static void tell_returned(struct firewall *f, uint32_t member)
{
	struct backup_peer *p = &f->backup->peers[member];
	struct wire_taken taken = {.n = 0};
	unsigned n = 0, steps = TELL_STEPS;

	if (p->tell == 0 || p->tell_ns > f->node->now_ns || !channel_member(f->channel, member)->up)
		return;
	while (n < TELL_KEYS && tell_next(f, p, &taken, &steps)) {
		n++;
		if (taken.n == WIRE_TAKEN_MAX) {
			taken_send(f, &taken, member);
			taken.n = 0;
		}
	}
	taken_send(f, &taken, member);
	if (n < TELL_KEYS && steps > 0)
		tell_round_over(f, p);
}

void backup_ack_send(struct firewall *f, uint32_t member)
{
	struct backup_peer *p = &f->backup->peers[member];
	struct wcur body;

	p->acks.flags = f->backup->handing ? 0 : WIRE_ACK_WILLING;
	p->acks.epoch = p->out_epoch;
	if (channel_begin(f->channel, 16 + 4 * (size_t)p->acks.n, &body)) {
		wire_put_backup_ack(&body, &p->acks);
		channel_send(f->channel, WIRE_BACKUP_ACK, &body, member);
	}
	p->acks.n = 0;
}

/* Whoever is up learns now and then whether we take backups. */
static void offer(struct firewall *f, uint32_t member)
{
	struct backup_peer *p = &f->backup->peers[member];

	if (member == f->params->self || !channel_member(f->channel, member)->up ||
	    p->offer_ns > f->node->now_ns)
		return;
	backup_ack_send(f, member);
	p->offer_ns = f->node->now_ns + (p->offers < OFFERS_FIRST ? OFFER_FIRST_NS : OFFER_NS);
	if (p->offers < OFFERS_FIRST)
		p->offers++;
}

static void acks_flush(struct firewall *f)
{
	for (uint32_t m = 0; m < f->params->n_members; m++)
		if (f->backup->peers[m].acks.n > 0)
			backup_ack_send(f, m);
	f->backup->acks_ns = UINT64_MAX;
}

/* --- receiving ------------------------------------------------------------------------------- */

/* A member has begun to take backups: those that had none find one, and those that it is the best
 * for move to it when they are refreshed. */
static void now_willing(struct firewall *f)
{
	struct state *s;

	f->backup->spread_ns =
		f->node->now_ns +
		1000000ULL * (f->params->cluster.backup_refresh_ms + SPREAD_SPARE_MS);

	for (uint32_t pos = 0; (s = flow_table_next(f->states, &pos));) {
		uint32_t age = (uint32_t)(f->node->now_ns / 1000000) - s->created_ms;
		if (age >= f->params->cluster.backup_delay_ms)
			backup_settled(f, s);
	}
}

static void acked(struct firewall *f, struct channel_message *msg)
{
	struct backup_peer *p = backup_peer(f, msg->member);
	struct wire_backup_ack ack;
	bool was = p->willing;

	if (!wire_get_backup_ack(&msg->body, &ack)) {
		node_count(f->node, COUNTER_MSG_MALFORMED);
		return;
	}
	p->willing = ack.flags & WIRE_ACK_WILLING;
	if ((int32_t)(ack.epoch - p->in_epoch) > 0)
		p->in_epoch = ack.epoch;
	for (unsigned i = 0; i < ack.n; i++)
		take_ack(f->backup, msg->member, ack.seq[i]);
	if (p->willing && !was)
		now_willing(f);
	else if (was && !p->willing)
		backup_move_off(f, msg->member);
}

/* Without backups here, what a member tells is not held: so much it must know. */
static void refuse(struct firewall *f, uint32_t member)
{
	struct wire_backup_ack ack = {.epoch = f->backup_epoch};
	struct wcur body;

	if (!channel_begin(f->channel, 16, &body))
		return;
	wire_put_backup_ack(&body, &ack);
	channel_send(f->channel, WIRE_BACKUP_ACK, &body, member);
}

void backup_message(struct firewall *f, struct channel_message *msg)
{
	if (!f->backup) {
		node_count(f->node, COUNTER_MSG_TYPE);
		if (msg->type == WIRE_BACKUP)
			refuse(f, msg->member);
		return;
	}
	switch (msg->type) {
	case WIRE_BACKUP:
		backup_held(f, msg);
		break;
	case WIRE_BACKUP_END:
		backup_held_end(f, msg);
		break;
	case WIRE_TAKEN:
		backup_given_up(f, msg);
		break;
	default:
		acked(f, msg);
	}
}

/* --- time ------------------------------------------------------------------------------------ */

static void note_promoted(struct firewall *f)
{
	for (uint32_t m = 0; m < f->params->n_members; m++) {
		struct backup_peer *p = &f->backup->peers[m];
		struct note *note =
			p->promoted > 0 ? node_note(f->node, NOTE_FLOWS_TAKEN_OVER) : NULL;

		if (note) {
			note->member = m;
			note->n_flows = p->promoted;
		}
		p->promoted = 0;
	}
	f->backup->note_ns = UINT64_MAX;
}

static void hold_due(void *arg, void *entry)
{
	struct firewall *f = arg;

	backup_hold_remove(f, entry);
}

static uint64_t list_due(const struct firewall *f)
{
	const struct backup *b = f->backup;
	uint32_t now = (uint32_t)(f->node->now_ns / 1000000);
	uint64_t next = UINT64_MAX;

	for (uint8_t i = BACKUP_READY; i < BACKUP_LISTS; i++) {
		uint32_t first = b->lists[i].first;
		int32_t left = 0;

		if (first == FLOW_NO_INDEX)
			continue;
		if (backup_list_waits(b, i))
			left = (int32_t)(b->marks[first].due_ms - now);
		next = earlier(next, f->node->now_ns + (left > 0 ? (uint64_t)left * 1000000 : 0));
	}
	return next;
}

static uint64_t peers_due(const struct firewall *f)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t m = 0; m < f->params->n_members; m++) {
		const struct backup_peer *p = &f->backup->peers[m];

		if (m == f->params->self || !channel_member(f->channel, m)->up)
			continue;
		next = earlier(next, p->offer_ns);
		if (p->tell > 0)
			next = earlier(next, p->tell_ns);
	}
	return next;
}

uint64_t backup_next(const struct firewall *f)
{
	const struct backup *b = f->backup;
	uint64_t next;

	if (!b)
		return UINT64_MAX;
	next = earlier(list_due(f), peers_due(f));
	next = earlier(next, earlier(b->ends_ns, b->acks_ns));
	next = earlier(next, earlier(b->taken_ns, b->note_ns));
	next = earlier(next, backup_leave_next(f));
	if (b->n_pending > 0)
		next = earlier(next, b->pending[b->pending_head].due_ns);
	return next > b->flush_ns ? next : b->flush_ns;
}

uint64_t backup_tick(struct firewall *f)
{
	struct backup *b = f->backup;
	uint64_t now = f->node->now_ns, held;

	if (!b)
		return UINT64_MAX;
	held = flow_table_expire(b->flows, now, EXPIRE_BUDGET, hold_due, f);
	if (backup_next(f) > now)
		return earlier(held, backup_next(f));
	pending_due(f);
	backup_flush(f, false);
	if (b->ends_ns <= now)
		backup_ends_flush(f);
	if (b->acks_ns <= now)
		acks_flush(f);
	if (b->taken_ns <= now)
		backup_taken_flush(f);
	for (uint32_t m = 0; m < f->params->n_members; m++) {
		tell_returned(f, m);
		offer(f, m);
	}
	if (b->note_ns <= now)
		note_promoted(f);
	backup_leave_tick(f);
	b->flush_ns = now + (b->handing == BACKUP_LEAVES ? LEAVE_STEP_NS : BACKUP_FLUSH_NS);
	return earlier(held, backup_next(f));
}
