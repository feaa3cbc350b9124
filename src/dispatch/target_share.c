/*
 * target_share.c - weights set at run time, here and in the other dispatchers (HD-10, HD-12,
 * HD-24).
 *
 * They carry a version, like the clock of Lamport: one more than the largest known. Of two the
 * larger version holds, then the larger node id, so all dispatchers end with the same in whatever
 * order they hear. Each change is told three times and all of them every minute, since messages get
 * lost and a reload may bring targets that were told before; a member that comes up is told all.
 */
#include <errno.h>
#include <string.h>

#include "dispatch/dispatch.h"

#define TELL_TIMES 3
#define TELL_AGAIN_NS 100000000ULL
#define TELL_LAST_NS 900000000ULL /* after that */
#define TELL_ALL_NS 60000000000ULL

/* --- telling them ------------------------------------------------------------------------------
 */

void target_share_init(struct dispatch *d)
{
	d->share_due_ns = UINT64_MAX;
	d->share_all_ns = d->node->now_ns + TELL_ALL_NS;
}

static void share_soon(struct dispatch *d, uint64_t wait_ns)
{
	uint64_t due = d->node->now_ns + wait_ns;

	if (due < d->share_due_ns)
		d->share_due_ns = due;
}

static void share_send(struct dispatch *d, const struct wire_targets *m, uint32_t to)
{
	struct wcur body;

	if (!channel_begin(d->channel, sizeof(*m), &body))
		return;
	wire_put_targets(&body, m);
	if (channel_send(d->channel, WIRE_TARGETS, &body, to))
		d->node->counters[COUNTER_TARGETS_SENT] += m->n;
}

/* How many fit one datagram. */
static unsigned share_fit(const struct dispatch *d)
{
	size_t n = channel_room(d->channel) / sizeof(struct wire_target);

	return n == 0 ? 1 : n < WIRE_TARGETS_MAX ? (unsigned)n : WIRE_TARGETS_MAX;
}

/* All that did not come from the configuration, or of those the ones still to be told. */
static void share_tell(struct dispatch *d, uint32_t to, bool all)
{
	unsigned fit = share_fit(d);
	struct wire_targets m = {.n = 0};

	for (uint32_t i = 0; i < d->params->n_targets; i++) {
		struct target *t = &d->targets[i];

		if (t->version == 0 || (!all && t->tell == 0))
			continue;
		if (!all)
			t->tell--;
		m.v[m.n++] = (struct wire_target){.identity = d->target_candidates[i].identity,
						  .version = t->version,
						  .node_id = t->set_by,
						  .weight = (uint16_t)t->weight,
						  .flags = t->drained ? WIRE_TARGET_DRAINED : 0};
		if (m.n == fit) {
			share_send(d, &m, to);
			m.n = 0;
		}
	}
	if (m.n > 0)
		share_send(d, &m, to);
}

/* Once more in a while; the third and last time later than the second. */
static void share_again(struct dispatch *d, uint8_t left)
{
	if (left > 0)
		share_soon(d, left > 1 ? TELL_AGAIN_NS : TELL_LAST_NS);
}

static void share_due(struct dispatch *d)
{
	d->share_due_ns = UINT64_MAX;
	share_tell(d, CHANNEL_ALL, false);
	for (uint32_t i = 0; i < d->params->n_targets; i++)
		share_again(d, d->targets[i].tell);
	for (uint32_t i = 0; i < d->params->n_members; i++) {
		if (d->share_members[i] == 0)
			continue;
		share_tell(d, i, true);
		share_again(d, --d->share_members[i]);
	}
}

uint64_t target_share_tick(struct dispatch *d)
{
	if (!d->channel)
		return UINT64_MAX;
	if (d->node->now_ns >= d->share_all_ns) {
		share_tell(d, CHANNEL_ALL, true);
		d->share_all_ns = d->node->now_ns + TELL_ALL_NS;
	}
	if (d->node->now_ns >= d->share_due_ns)
		share_due(d);
	return d->share_due_ns < d->share_all_ns ? d->share_due_ns : d->share_all_ns;
}

void target_share(struct dispatch *d, uint16_t target)
{
	struct target *t = &d->targets[target];

	d->version_max += d->version_max < UINT64_MAX;
	t->version = d->version_max;
	t->set_by = d->params->node_id;
	t->tell = TELL_TIMES;
	share_soon(d, 0);
}

void target_member_up(struct dispatch *d, uint32_t member)
{
	if (d->params->n_targets == 0)
		return;
	d->share_members[member] = TELL_TIMES;
	share_soon(d, 0);
	d->targets_due_ns = d->node->now_ns;
}

/* --- being told ------------------------------------------------------------------------------- */

/* A weight was set, here (member NOTE_NO_MEMBER) or as another dispatcher says. */
static void target_was_set(struct dispatch *d, uint16_t i, uint32_t member, const char *detail)
{
	struct note *note = node_note(d->node, NOTE_WEIGHT);

	if (note) {
		note->target = i;
		note->member = member;
		note->detail = detail;
	}
	target_judge(d, i);
}

/* Whether what is told of a target supersedes what is known. A node that has just been restarted
 * may give a version of its earlier life to something else: then the larger weight holds, so that
 * at least all agree. */
static bool is_newer(const struct wire_target *v, const struct target *t)
{
	if (v->version != t->version)
		return v->version > t->version;
	if (v->node_id != t->set_by)
		return v->node_id > t->set_by;
	if (v->weight != t->weight)
		return v->weight > t->weight;
	return !(v->flags & WIRE_TARGET_DRAINED) && t->drained;
}

static void target_learn(struct dispatch *d, const struct wire_target *v, uint32_t member)
{
	uint16_t i = 0;
	struct target *t;

	if (v->version > d->version_max)
		d->version_max = v->version;
	while (i < d->params->n_targets && d->target_candidates[i].identity != v->identity)
		i++;
	if (i == d->params->n_targets)
		return;
	t = &d->targets[i];
	if (!is_newer(v, t))
		return;
	t->version = v->version;
	t->set_by = v->node_id;
	t->weight = v->weight;
	t->drained = v->flags & WIRE_TARGET_DRAINED;
	t->tell = 0; /* its author tells everybody */
	node_count(d->node, COUNTER_TARGETS_RECEIVED);
	target_was_set(d, i, member, "told by another dispatcher");
}

void target_message(struct dispatch *d, struct channel_message *msg)
{
	struct wire_targets m;

	if (!wire_get_targets(&msg->body, &m)) {
		node_count(d->node, COUNTER_MSG_MALFORMED);
		return;
	}
	for (unsigned i = 0; i < m.n; i++)
		target_learn(d, &m.v[i], msg->member);
	target_update(d);
}

/* --- the operator ----------------------------------------------------------------------------- */

static uint16_t target_by_name(const struct params *p, const char *name)
{
	for (uint16_t i = 0; i < p->n_targets; i++)
		if (strcmp(p->targets[i].name, name) == 0)
			return i;
	return PARAMS_NONE;
}

static void target_set(struct dispatch *d, uint16_t i, const char *detail)
{
	target_share(d, i);
	target_was_set(d, i, NOTE_NO_MEMBER, detail);
	target_update(d);
	target_share_tick(d);
}

int dispatch_set_weight(struct dispatch *d, const char *target, uint32_t weight)
{
	uint16_t i = target_by_name(d->params, target);

	if (i == PARAMS_NONE)
		return -ENOENT;
	if (weight > PARAMS_WEIGHT_MAX)
		return -EINVAL;
	d->targets[i].weight = weight;
	target_set(d, i, "weight set");
	return 0;
}

int dispatch_set_drain(struct dispatch *d, const char *target, bool drain)
{
	uint16_t i = target_by_name(d->params, target);

	if (i == PARAMS_NONE)
		return -ENOENT;
	d->targets[i].drained = drain;
	target_set(d, i, drain ? "drained" : "no longer drained");
	return 0;
}
