/*
 * backup.c - the home's side of backups: which flows are worth one, who holds it, and when to tell
 * (FC-17).
 */
#include "firewall/backup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/name_id.h"
#include "firewall/firewall.h"

/* Flows told in a second, at most: some 5 MB/s of the cluster link. When a member is lost, a
 * million flows find another backup within ten seconds, and queries do not suffer. */
#define PACE_RATE 100000
#define PACE_BURST 10000
/* A refresh may have to wait for the pace, so a backup lives so much longer than the flow would. */
#define LIFE_SPARE_MS 5000

static uint32_t now_ms(const struct firewall *f)
{
	return (uint32_t)(f->node->now_ns / 1000000);
}

/* --- lists of states ------------------------------------------------------------------------- */

static void list_unlink(struct backup *b, uint32_t i)
{
	struct backup_mark *m = &b->marks[i];
	struct backup_list *l = &b->lists[m->list];

	if (m->list == BACKUP_IDLE)
		return;
	if (m->prev == FLOW_NO_INDEX)
		l->first = m->next;
	else
		b->marks[m->prev].next = m->next;
	if (m->next == FLOW_NO_INDEX)
		l->last = m->prev;
	else
		b->marks[m->next].prev = m->prev;
	m->list = BACKUP_IDLE;
}

static void list_append(struct backup *b, uint8_t list, uint32_t i, uint32_t due_ms)
{
	struct backup_mark *m = &b->marks[i];
	struct backup_list *l = &b->lists[list];

	list_unlink(b, i);
	m->list = list;
	m->due_ms = due_ms;
	m->next = FLOW_NO_INDEX;
	m->prev = l->last;
	if (l->last == FLOW_NO_INDEX)
		l->first = i;
	else
		b->marks[l->last].next = i;
	l->last = i;
}

static bool worth(const struct state *s)
{
	return !(s->flags & STATE_HALF_OPEN) && !state_is_over(s);
}

static void set_member(struct backup *b, struct state *s, uint8_t backup)
{
	b->n_backed += backup != 0;
	b->n_backed -= s->backup != 0;
	s->backup = backup;
}

/* --- life ------------------------------------------------------------------------------------ */

bool backup_wanted(const struct firewall *f, const struct params *p)
{
	return f->channel && p->cluster.backup && (p->n_dispatchers == 0 || p->firewall.enabled);
}

int backup_init(struct firewall *f, const struct params *p, const struct hash_key *flows,
		const struct hash_key *secret)
{
	struct backup *b;

	if (!backup_wanted(f, p))
		return 0;
	b = f->backup = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->secret = *secret;
	b->epoch = f->backup_epoch + 1;
	b->ends_ns = b->acks_ns = b->taken_ns = b->note_ns = UINT64_MAX;
	for (unsigned i = 0; i < BACKUP_LISTS; i++)
		b->lists[i].first = b->lists[i].last = FLOW_NO_INDEX;
	for (unsigned i = 0; i < PARAMS_MEMBERS; i++)
		b->peers[i].out_epoch = b->epoch;
	bucket_init(&b->pace, PACE_RATE, PACE_BURST, f->node->now_ns);
	b->flows = flow_table_new(sizeof(struct backup_flow), p->firewall.max_flows, flows,
				  f->node->now_ns);
	b->marks = calloc(p->firewall.max_flows, sizeof(*b->marks));
	b->pending = calloc(BACKUP_PENDING, sizeof(*b->pending));
	if (b->flows && b->marks && b->pending)
		return 0;
	backup_fini(f);
	return -ENOMEM;
}

void backup_fini(struct firewall *f)
{
	if (!f->backup)
		return;
	f->backup_epoch = f->backup->epoch;
	flow_table_free(f->backup->flows);
	free(f->backup->marks);
	free(f->backup->pending);
	free(f->backup);
	f->backup = NULL;
}

/* --- what the states tell -------------------------------------------------------------------- */

void backup_begin(struct firewall *f, struct state *s)
{
	if (f->backup)
		list_append(f->backup, BACKUP_WAIT, flow_table_index(f->states, s),
			    now_ms(f) + f->params->cluster.backup_delay_ms);
}

void backup_settled(struct firewall *f, struct state *s)
{
	uint32_t i;

	if (!f->backup || s->backup || !worth(s))
		return;
	i = flow_table_index(f->states, s);
	if (f->backup->marks[i].list == BACKUP_IDLE)
		list_append(f->backup, BACKUP_READY, i, now_ms(f));
}

void backup_at_once(struct firewall *f, struct state *s)
{
	list_append(f->backup, BACKUP_READY, flow_table_index(f->states, s), now_ms(f));
}

/* Tell the member that holds the backup; soon, with others. */
static void say_end(struct firewall *f, struct state *s)
{
	struct backup *b = f->backup;
	uint32_t member = s->backup - 1u;
	struct wire_keys *ends = &b->peers[member].ends;

	ends->keys[ends->n++] = s->entry.key;
	if (ends->n == WIRE_KEYS_MAX) {
		backup_end_send(f, member, ends, 1);
		ends->n = 0;
	} else if (b->ends_ns == UINT64_MAX) {
		/* Not at once: an end must not overtake the backup that was told just before it. */
		b->ends_ns = f->node->now_ns + 5 * BACKUP_FLUSH_NS;
	}
	set_member(b, s, 0);
}

void backup_end(struct firewall *f, struct state *s)
{
	if (!f->backup)
		return;
	list_unlink(f->backup, flow_table_index(f->states, s));
	if (s->backup)
		say_end(f, s);
	if (state_term(s) > 0)
		backup_bury(f, s);
}

bool backup_doubts(const struct firewall *f, const struct state *s)
{
	const struct backup *b = f->backup;

	return b && (s->flags & (STATE_TERM | STATE_DOUBTED) || f->node->now_ns < b->doubt_ns ||
		     b->handing != BACKUP_STAYS ||
		     b->marks[flow_table_index(f->states, s)].list == BACKUP_HANDED ||
		     (s->backup && backup_silent(f, s->backup - 1u)));
}

/* --- whole-table changes --------------------------------------------------------------------- */

void backup_void(struct firewall *f)
{
	struct backup *b = f->backup;
	uint32_t pos = 0;
	struct state *s;

	if (!b)
		return;
	while ((s = flow_table_next(f->states, &pos)))
		set_member(b, s, 0);
	b->epoch++;
	b->n_pending = 0;
	for (unsigned i = 0; i < PARAMS_MEMBERS; i++) {
		b->peers[i].out_epoch = b->epoch;
		b->peers[i].ends.n = 0;
		b->peers[i].offer_ns = f->node->now_ns;
	}
}

void backup_all_ready(struct firewall *f)
{
	struct state *s;

	for (uint32_t pos = 0; (s = flow_table_next(f->states, &pos));)
		if (worth(s))
			list_append(f->backup, BACKUP_READY, flow_table_index(f->states, s),
				    now_ms(f));
}

/* What this member held is with nobody now, or so it must be thought. */
static void detach(struct firewall *f, uint32_t member, uint8_t flag)
{
	struct backup *b = f->backup;
	struct state *s;

	for (uint32_t pos = 0; (s = flow_table_next(f->states, &pos));) {
		if (s->backup != member + 1)
			continue;
		set_member(b, s, 0);
		s->flags |= flag;
		list_append(b, BACKUP_READY, flow_table_index(f->states, s), now_ms(f));
	}
	for (uint32_t i = 0; i < b->n_pending; i++) {
		struct backup_pending *p = &b->pending[(b->pending_head + i) % BACKUP_PENDING];
		if (p->member == member)
			p->n = 0;
	}
}

void backup_move_off(struct firewall *f, uint32_t member)
{
	struct state *s;

	for (uint32_t pos = 0; (s = flow_table_next(f->states, &pos));)
		if (s->backup == member + 1)
			list_append(f->backup, BACKUP_READY, flow_table_index(f->states, s),
				    now_ms(f));
}

void backup_forget_members(struct firewall *f)
{
	struct backup *b = f->backup;

	if (!b)
		return;
	backup_void(f);
	backup_all_ready(f);
	backup_hold_purge(f, CHANNEL_ALL, 0);
	memset(b->peers, 0, sizeof(b->peers));
	for (unsigned i = 0; i < PARAMS_MEMBERS; i++) {
		b->peers[i].out_epoch = b->epoch;
		b->peers[i].offer_ns = f->node->now_ns;
	}
}

void backup_member_event(struct firewall *f, enum channel_event event, uint32_t member)
{
	bool lost = event == CHANNEL_MEMBER_RESTART || event == CHANNEL_MEMBER_DOWN ||
		    event == CHANNEL_MEMBER_LEFT;
	struct backup *b = f->backup;
	struct backup_peer *p;
	uint16_t boot;
	bool away;

	if (!b || (!lost && event != CHANNEL_MEMBER_UP))
		return;
	boot = b->peers[member].boot;
	p = backup_peer(f, member);
	away = p->away;
	p->away = event == CHANNEL_MEMBER_DOWN ||
		  (event == CHANNEL_MEMBER_UP && p->away && p->boot == boot);
	if (lost) {
		p->willing = false;
		p->out_epoch = ++b->epoch;
		p->ends.n = 0;
		p->acks.n = 0;
		p->tell = 0;
		detach(f, member, event == CHANNEL_MEMBER_DOWN ? STATE_DOUBTED : 0);
	}
	if (channel_member(f->channel, member)->up) {
		p->offers = 0;
		p->offer_ns = f->node->now_ns;
		if (p->boot == boot) { /* back with what it had */
			backup_tell_again(f, member);
			/* A cut heals, and others behind it will be back soon, with their flows. */
			b->quiet_ns = f->node->now_ns + 1000000ULL * f->params->cluster.dead_ms;
		}
	}
	if (away && !p->away)
		backup_exhume(f);
}

/* --- telling --------------------------------------------------------------------------------- */

/* The live member with the largest hash of the flow and it. Under a secret of this node: nobody
 * outside can aim all flows at one member, and nobody else has to come to the same result. */
static uint32_t choose(const struct firewall *f, const struct flow_key *key)
{
	const struct backup *b = f->backup;
	uint64_t words[2] = {flow_key_hash(key, &b->secret), 0}, best = 0;
	uint32_t choice = NOTE_NO_MEMBER;

	for (uint32_t m = 0; m < f->params->n_members; m++) {
		uint64_t score;
		if (m == f->params->self || !b->peers[m].willing ||
		    !channel_member(f->channel, m)->up)
			continue;
		words[1] = f->params->members[m].id;
		score = hash_words(&b->secret, words, 2);
		if (choice == NOTE_NO_MEMBER || score > best) {
			best = score;
			choice = m;
		}
	}
	return choice;
}

static uint16_t packets_of(const struct state *s)
{
	return (uint16_t)(s->packets[0] + s->packets[1]);
}

static void fill(struct firewall *f, struct state *s, struct wire_backup_flow *w)
{
	*w = (struct wire_backup_flow){
		.key = s->entry.key,
		.flags = (uint8_t)((s->flags & STATE_ORIGIN_B ? WIRE_BACKUP_ORIGIN_B : 0) |
				   (s->flags & STATE_REPLIED ? WIRE_BACKUP_REPLIED : 0) |
				   (f->backup->handing ? WIRE_BACKUP_HAND_OVER : 0)),
		.term = state_term(s),
		.rule = s->rule == POLICY_DEFAULT ? 0
						  : name_id(policy_rule_name(f->policy, s->rule)),
		.age_ms = now_ms(f) - s->created_ms,
		.life_ms = flow_table_left_ms(f->states, s, f->node->now_ns) +
			   f->params->cluster.backup_refresh_ms + LIFE_SPARE_MS,
	};
	for (unsigned i = 0; i < 2; i++) {
		w->una[i] = s->tcp.peer[i].una;
		w->end[i] = s->tcp.peer[i].end;
		w->scale[i] = s->tcp.scale[i];
	}
}

/* One message per member is being written at a time; what it tells of. */
struct batch {
	struct wcur body;
	uint32_t seq, n;
	uint32_t index[BACKUP_BATCH];
};

static bool batch_open(struct firewall *f, struct batch *batch, uint32_t member)
{
	struct wire_backup_head h = {.seq = ++f->backup->seq,
				     .epoch = f->backup->peers[member].out_epoch};

	batch->n = 0;
	batch->seq = h.seq;
	if (!channel_begin(f->channel, channel_room(f->channel), &batch->body))
		return false;
	wire_put_backup_head(&batch->body, &h);
	return true;
}

static void batch_close(struct firewall *f, struct batch *batch, uint32_t member)
{
	struct backup_pending *p;

	if (batch->n == 0 || !channel_send(f->channel, WIRE_BACKUP, &batch->body, member))
		return;
	f->node->counters[COUNTER_BACKUP_SENT] += batch->n;
	p = backup_await(f, member, 1);
	p->seq = batch->seq;
	p->is_end = false;
	p->n = (uint8_t)batch->n;
	memcpy(p->index, batch->index, batch->n * sizeof(p->index[0]));
	batch->n = 0;
}

static void batch_add(struct firewall *f, struct batch *batch, uint32_t member, struct state *s,
		      uint32_t index)
{
	struct wire_backup_flow w;

	if (batch->n == BACKUP_BATCH ||
	    (batch->n > 0 && (size_t)(batch->body.end - batch->body.pos) < WIRE_BACKUP_FLOW_MAX))
		batch_close(f, batch, member);
	if (batch->n == 0 && !batch_open(f, batch, member))
		return;
	home_offload_sync(f, s);
	fill(f, s, &w);
	wire_put_backup_flow(&batch->body, &w);
	batch->index[batch->n++] = index;
}

/* The member that has the flow, as long as it takes backups; while they are spread anew, and for a
 * flow that nobody has, the one that is best. */
static uint32_t member_for(const struct firewall *f, const struct state *s)
{
	const struct backup *b = f->backup;

	if (s->backup && b->peers[s->backup - 1].willing && f->node->now_ns >= b->spread_ns)
		return s->backup - 1u;
	return choose(f, &s->entry.key);
}

static uint32_t hand_again_ms(const struct backup *b)
{
	return b->handing == BACKUP_LEAVES ? BACKUP_HAND_LEAVES_MS : BACKUP_HAND_DRAINED_MS;
}

/* Tell the flow to the member that has it, or to one that shall have it. */
static void tell(struct firewall *f, struct batch *batches, struct state *s, uint32_t index)
{
	struct backup *b = f->backup;
	uint32_t member = worth(s) ? member_for(f, s) : NOTE_NO_MEMBER;

	if (s->backup && s->backup != member + 1)
		say_end(f, s);
	if (member == NOTE_NO_MEMBER) {
		list_unlink(b, index); /* until it is settled, or somebody takes backups */
		return;
	}
	set_member(b, s, (uint8_t)(member + 1));
	batch_add(f, &batches[member], member, s, index);
	b->marks[index].packets = packets_of(s);
	list_append(b, b->handing ? BACKUP_HANDED : BACKUP_REFRESH, index,
		    now_ms(f) +
			    (b->handing ? hand_again_ms(b) : f->params->cluster.backup_refresh_ms));
}

/* Whether what is in the list waits for nothing but its turn. */
static bool is_due_at_once(const struct backup *b, uint8_t list, bool all)
{
	switch (list) {
	case BACKUP_READY:
		return true;
	case BACKUP_WAIT:
		return all || b->handing != BACKUP_STAYS;
	case BACKUP_REFRESH:
		return b->handing != BACKUP_STAYS;
	default:
		return false;
	}
}

bool backup_list_waits(const struct backup *b, uint8_t list)
{
	return !is_due_at_once(b, list, false);
}

/* The first of the list if it is due, or FLOW_NO_INDEX. */
static uint32_t due_of(const struct firewall *f, uint8_t list, bool all)
{
	const struct backup *b = f->backup;
	uint32_t i = b->lists[list].first;

	if (i == FLOW_NO_INDEX || is_due_at_once(b, list, all))
		return i;
	return (int32_t)(now_ms(f) - b->marks[i].due_ms) >= 0 ? i : FLOW_NO_INDEX;
}

/* Nothing is to be told of a flow that its backup knows as well as it can be known. */
static bool is_fresh(const struct firewall *f, const struct state *s, uint32_t index)
{
	const struct backup *b = f->backup;

	return !b->handing && packets_of(s) == b->marks[index].packets &&
	       s->backup == member_for(f, s) + 1;
}

static void flush_list(struct firewall *f, struct batch *batches, uint8_t list, bool all)
{
	struct backup *b = f->backup;
	uint32_t i;

	while ((i = due_of(f, list, all)) != FLOW_NO_INDEX) {
		struct state *s = flow_table_at(f->states, i);

		if (list == BACKUP_REFRESH && is_fresh(f, s, i)) {
			list_append(b, list, i, now_ms(f) + f->params->cluster.backup_refresh_ms);
			continue;
		}
		if (!all && !bucket_take(&b->pace, 1, f->node->now_ns)) {
			node_count(f->node, COUNTER_BACKUP_DEFERRED);
			return;
		}
		tell(f, batches, s, i);
	}
}

void backup_flush(struct firewall *f, bool all)
{
	struct batch batches[PARAMS_MEMBERS];

	for (uint32_t m = 0; m < f->params->n_members; m++)
		batches[m].n = 0;
	flush_list(f, batches, BACKUP_READY, all);
	flush_list(f, batches, BACKUP_WAIT, all);
	if (!all)
		flush_list(f, batches, BACKUP_REFRESH, false);
	if (!all)
		flush_list(f, batches, BACKUP_HANDED, false);
	for (uint32_t m = 0; m < f->params->n_members; m++)
		batch_close(f, &batches[m], m);
}

void backup_requeue(struct firewall *f, const struct backup_pending *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		struct state *s = flow_table_at(f->states, p->index[i]);

		/* Its place may be another flow's by now, told once too often then. */
		if (s && s->backup == p->member + 1)
			list_append(f->backup, BACKUP_READY, p->index[i], now_ms(f));
	}
}

/* --- across a restart ------------------------------------------------------------------------- */

bool backup_is_told(const struct firewall *f, const struct state *s)
{
	return f->backup && f->backup->marks[flow_table_index(f->states, s)].list == BACKUP_REFRESH;
}

void backup_resumed(struct firewall *f, struct state *s, uint32_t member, bool told)
{
	struct backup *b = f->backup;
	uint32_t i = flow_table_index(f->states, s);

	if (!b)
		return;
	set_member(b, s, (uint8_t)(member + 1));
	b->marks[i].packets = packets_of(s);
	list_append(b, told ? BACKUP_REFRESH : BACKUP_READY, i,
		    now_ms(f) + (told ? f->params->cluster.backup_refresh_ms : 0));
}

void backup_requeue_all(struct firewall *f)
{
	struct backup *b = f->backup;

	for (uint32_t i = 0; i < b->n_pending; i++) {
		struct backup_pending *p = &b->pending[(b->pending_head + i) % BACKUP_PENDING];

		if (!p->is_end)
			backup_requeue(f, p);
	}
	b->n_pending = 0;
}

void backup_last_words(struct firewall *f)
{
	if (!f->backup)
		return;
	backup_ends_flush(f);
	backup_flush(f, true);
}
