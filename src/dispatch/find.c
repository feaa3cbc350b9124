/*
 * find.c - who is connected to the server of a cookie that names none of this node's? (HD-18)
 *
 * The configuration may tell (`via` of a target); else the other dispatchers are asked, all at
 * once, and each answers, also that it is not. What they say is kept for a while, and asked anew
 * before it gets old as long as somebody comes with such cookies.
 *
 *   nothing known ──asked──▶ LATER ──yes───────────────▶ FOUND ──30 s without a yes──▶ nothing
 *                              └───all say no, or time──▶ NOBODY ──3 s───────────────▶ nothing
 *
 * Clients can name any server they like in a cookie of the server's own, so there are bounds: of
 * questions in a second, and of what is kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bucket.h"
#include "base/name_id.h"
#include "dispatch/dispatch.h"

#define FINDS 1024 /* a power of two */
#define NO_FIND 0xffff
#define KEEP_NS 30000000000ULL	   /* a yes */
#define RENEW_NS 10000000000ULL	   /* asked anew when used after that */
#define NOBODY_NS 3000000000ULL	   /* the lack of one */
#define ASK_RATE 200		   /* questions in a second */
#define ANSWER_RATE (ASK_RATE * 8) /* to all others together */
#define NS_PER_MS 1000000ULL

_Static_assert(PARAMS_MEMBERS <= 32, "a bit per member");

struct find {
	uint32_t service, server; /* name ids */
	uint16_t next;		  /* in its chain, or among the free ones */
	bool used;
	uint8_t state; /* enum l7_found */
	bool asking;   /* a question is out, or about to be */
	uint8_t tries;
	uint32_t wait_ms;
	uint32_t yes, drained, said; /* bit per member; said: since the question */
	uint64_t asked_ns, heard_ns; /* heard: the last yes */
	uint64_t due_ns;	     /* asks again, gives up or is forgotten */
};

struct find_table {
	struct find finds[FINDS];
	uint16_t heads[FINDS], free;
	uint64_t due_ns;
	uint32_t news;
	struct bucket asks, answers;
	uint32_t up;			      /* members, as last seen */
	uint32_t generations[PARAMS_MEMBERS]; /* of those */
	uint32_t service_ids[PARAMS_SERVICES], target_ids[PARAMS_TARGETS];
};

/* --- the table ---------------------------------------------------------------------------------
 */

static uint16_t *find_head(struct find_table *t, uint32_t service, uint32_t server)
{
	return &t->heads[(service * 31 + server) & (FINDS - 1)];
}

static struct find *find_get(struct find_table *t, uint32_t service, uint32_t server)
{
	uint16_t i = *find_head(t, service, server);

	while (i != NO_FIND && (t->finds[i].service != service || t->finds[i].server != server))
		i = t->finds[i].next;
	return i == NO_FIND ? NULL : &t->finds[i];
}

static void find_remove(struct find_table *t, struct find *f)
{
	uint16_t *link = find_head(t, f->service, f->server);

	while (&t->finds[*link] != f)
		link = &t->finds[*link].next;
	*link = f->next;
	*f = (struct find){.next = t->free};
	t->free = (uint16_t)(f - t->finds);
}

/* Who gives way: the oldest lack of a server, else the one found that nobody has used for longest.
 * NULL: all are still being asked for. */
static struct find *find_victim(struct find_table *t)
{
	struct find *victim = NULL;

	for (unsigned i = 0; i < FINDS; i++) {
		struct find *f = &t->finds[i];

		if (f->asking)
			continue;
		if (!victim || f->state < victim->state ||
		    (f->state == victim->state && f->due_ns < victim->due_ns))
			victim = f;
	}
	return victim;
}

static struct find *find_add(struct find_table *t, uint32_t service, uint32_t server)
{
	struct find *victim = t->free == NO_FIND ? find_victim(t) : NULL;
	uint16_t *head, i;

	if (victim)
		find_remove(t, victim);
	if (t->free == NO_FIND)
		return NULL;
	i = t->free;
	t->free = t->finds[i].next;
	head = find_head(t, service, server);
	t->finds[i] = (struct find){.service = service,
				    .server = server,
				    .next = *head,
				    .used = true,
				    .state = L7_FOUND_LATER};
	*head = i;
	return &t->finds[i];
}

static void finds_clear(struct find_table *t)
{
	for (unsigned i = 0; i < FINDS; i++) {
		t->finds[i] = (struct find){.next = (uint16_t)(i + 1 < FINDS ? i + 1 : NO_FIND)};
		t->heads[i] = NO_FIND;
	}
	t->free = 0;
	t->due_ns = UINT64_MAX;
}

/* --- what is known ------------------------------------------------------------------------------
 */

static void find_due(struct find_table *t, struct find *f, uint64_t due_ns)
{
	f->due_ns = due_ns;
	if (due_ns < t->due_ns)
		t->due_ns = due_ns;
}

/* Members that could answer. */
static uint32_t live_members(const struct dispatch *d)
{
	uint32_t live = 0;

	for (uint32_t i = 0; i < d->params->n_members; i++)
		if (i != d->params->self && channel_member(d->channel, i)->up)
			live |= 1u << i;
	return live;
}

/* The first that takes new clients, too, else the first. What is not reached is forgotten. */
static uint16_t find_best(const struct dispatch *d, struct find *f)
{
	uint32_t best;

	for (uint16_t i = 0; i < d->params->n_members; i++)
		if (f->yes & 1u << i && !legs_reach(d, i))
			f->yes &= ~(1u << i);
	best = f->yes & ~f->drained ? f->yes & ~f->drained : f->yes;
	return best ? (uint16_t)__builtin_ctz(best) : PARAMS_NONE;
}

/* Nobody else will say anything. */
static void find_end(struct dispatch *d, struct find *f)
{
	f->asking = false;
	if (f->yes)
		find_due(d->finds, f, f->heard_ns + KEEP_NS);
	else
		find_due(d->finds, f, d->node->now_ns + NOBODY_NS);
}

/* After every word, and after every change of who could say one. */
static void find_settle(struct dispatch *d, struct find *f)
{
	uint8_t was = f->state;

	find_best(d, f);
	if (f->asking && !(live_members(d) & ~f->said))
		find_end(d, f);
	f->state = f->yes ? L7_FOUND : f->asking ? L7_FOUND_LATER : L7_FOUND_NOBODY;
	if (was == L7_FOUND_LATER && f->state != L7_FOUND_LATER)
		d->finds->news++;
	if (f->state != was && f->state == L7_FOUND_NOBODY)
		node_count(d->node, COUNTER_FIND_NOBODY);
}

uint32_t finds_at(const struct dispatch *d, uint16_t member)
{
	uint32_t n = 0;

	for (unsigned i = 0; d->finds && i < FINDS; i++)
		n += d->finds->finds[i].yes >> member & 1;
	return n;
}

/* --- asking -------------------------------------------------------------------------------------
 */

static void find_send(struct dispatch *d, const struct find *f, uint32_t to)
{
	const struct wire_who_has m = {.service = f->service, .server = f->server};
	struct wcur body;

	if (!channel_begin(d->channel, sizeof(m), &body))
		return;
	wire_put_who_has(&body, &m);
	if (channel_send(d->channel, WIRE_WHO_HAS, &body, to))
		node_count(d->node, COUNTER_WHO_HAS_SENT);
}

static void find_send_again(struct dispatch *d, const struct find *f)
{
	uint32_t silent = live_members(d) & ~f->said;

	for (uint32_t i = 0; i < d->params->n_members; i++)
		if (silent & 1u << i)
			find_send(d, f, i);
}

/* Its time has come. */
static void find_tick(struct dispatch *d, struct find *f)
{
	const uint64_t end_ns = f->asked_ns + f->wait_ms * NS_PER_MS;

	if (!f->asking) {
		find_remove(d->finds, f);
	} else if (f->tries == 0) {
		find_send(d, f, CHANNEL_ALL);
		f->tries = 1;
		find_due(d->finds, f, d->node->now_ns + f->wait_ms * NS_PER_MS / 4);
	} else if (f->tries == 1 && d->node->now_ns < end_ns) {
		find_send_again(d, f);
		f->tries = 2;
		find_due(d->finds, f, end_ns);
	} else {
		find_end(d, f);
		find_settle(d, f);
	}
}

uint64_t finds_tick(struct dispatch *d)
{
	struct find_table *t = d->finds;

	if (!t)
		return UINT64_MAX;
	finds_members_changed(d);
	if (d->node->now_ns < t->due_ns)
		return t->due_ns;
	t->due_ns = UINT64_MAX;
	for (unsigned i = 0; i < FINDS; i++) {
		struct find *f = &t->finds[i];

		if (f->used && f->due_ns <= d->node->now_ns)
			find_tick(d, f);
		if (f->used)
			find_due(t, f, f->due_ns);
	}
	return t->due_ns;
}

uint64_t finds_next(const struct dispatch *d)
{
	return d->finds ? d->finds->due_ns : UINT64_MAX;
}

/* --- whom to relay to ---------------------------------------------------------------------------
 */

/* The configuration's word: a target of the service or of its routes that others are connected to.
 * PARAMS_NONE: none such, or nobody is reached. */
static uint16_t configured(const struct dispatch *d, uint16_t service, uint32_t server)
{
	const struct params *p = d->params;

	for (uint32_t i = service; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];

		for (uint32_t k = 0; (i == service || s->route_of == service) && k < s->targets.n;
		     k++) {
			uint16_t index = p->target_lists[s->targets.first + k];
			const struct target_params *t = &p->targets[index];

			for (uint32_t v = 0; d->finds->target_ids[index] == server && v < t->n_via;
			     v++)
				if (legs_reach(d, t->via[v]))
					return t->via[v];
		}
	}
	return PARAMS_NONE;
}

/* What is kept may be too old, when the tick that would forget it is late, or from members that are
 * no longer reached. */
static struct find *find_fresh(struct dispatch *d, uint32_t service, uint32_t server)
{
	struct find *f = find_get(d->finds, service, server);
	bool lost;

	if (!f)
		return NULL;
	lost = f->state == L7_FOUND && find_best(d, f) == PARAMS_NONE;
	if (lost && f->asking)
		f->state = L7_FOUND_LATER;
	if (f->asking || (!lost && d->node->now_ns < f->due_ns))
		return f;
	find_remove(d->finds, f);
	return NULL;
}

/* The next tick asks: there are actions to send by. */
static void find_ask(struct dispatch *d, struct find *f, uint32_t wait_ms)
{
	f->asking = true;
	f->tries = 0;
	f->said = 0;
	f->wait_ms = wait_ms;
	f->asked_ns = d->node->now_ns;
	find_due(d->finds, f, d->node->now_ns);
}

/* NULL: there is nobody to ask, or there are too many questions. */
static struct find *find_begin(struct dispatch *d, uint32_t service, uint32_t server,
			       uint32_t wait_ms)
{
	struct find *f = NULL;

	if (live_members(d) == 0)
		return NULL;
	if (bucket_take(&d->finds->asks, 1, d->node->now_ns))
		f = find_add(d->finds, service, server);
	if (f)
		find_ask(d, f, wait_ms);
	else
		node_count(d->node, COUNTER_FIND_LIMITED);
	return f;
}

/* Still in use, and there is at least one that has said yes: such questions clients cannot make up.
 */
static bool find_ages(const struct dispatch *d, const struct find *f)
{
	return !f->asking && d->node->now_ns >= f->heard_ns + RENEW_NS &&
	       d->node->now_ns >= f->asked_ns + NOBODY_NS;
}

/* The word of the others. */
static enum l7_found asked(struct dispatch *d, uint16_t service, uint32_t server, uint16_t *member)
{
	const uint32_t id = d->finds->service_ids[service];
	const uint32_t wait_ms = d->params->services[service].l7.relay_ms;
	struct find *f = find_fresh(d, id, server);

	if (!f)
		f = find_begin(d, id, server, wait_ms);
	if (!f)
		return L7_FOUND_NOBODY;
	if (f->state != L7_FOUND)
		return (enum l7_found)f->state;
	if (find_ages(d, f))
		find_ask(d, f, wait_ms);
	*member = find_best(d, f);
	return L7_FOUND;
}

enum l7_found dispatch_l7_find(struct dispatch *d, uint16_t service, uint32_t server,
			       uint16_t *target)
{
	const struct params *p = d->params;
	enum l7_found found = L7_FOUND_NOBODY;
	uint16_t member = PARAMS_NONE;
	uint32_t relay;

	if (!d->finds || service >= p->n_services)
		return L7_FOUND_NOBODY;
	if (p->services[service].route_of != PARAMS_NONE)
		service = p->services[service].route_of;
	relay = p->services[service].l7.relay;
	if (relay == L7_RELAY_CONFIG || relay == L7_RELAY_BOTH)
		member = configured(d, service, server);
	if (member != PARAMS_NONE)
		found = L7_FOUND;
	else if (relay == L7_RELAY_ASK || relay == L7_RELAY_BOTH)
		found = asked(d, service, server, &member);
	if (found == L7_FOUND)
		*target = (uint16_t)(L7_RELAY + member);
	return found;
}

uint32_t dispatch_l7_news(const struct dispatch *d)
{
	return d->finds ? d->finds->news : 0;
}

/* --- messages -----------------------------------------------------------------------------------
 */

/* WIRE_HAVE_* of a server that is this node's own, for a service or one of its routes. */
static uint8_t own_flags(const struct dispatch *d, uint16_t service, uint32_t server)
{
	const struct params *p = d->params;
	uint8_t flags = 0;
	uint64_t since_ns;

	for (uint32_t i = service; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];

		for (uint32_t k = 0; (i == service || s->route_of == service) && k < s->targets.n;
		     k++) {
			uint16_t t = p->target_lists[s->targets.first + k];

			if (d->finds->target_ids[t] != server || p->targets[t].n_via > 0)
				continue;
			switch (dispatch_l7_standing(d, t, &since_ns)) {
			case L7_TARGET_TAKES:
				return WIRE_HAVE_YES;
			case L7_TARGET_DRAINED:
				flags = WIRE_HAVE_YES | WIRE_HAVE_DRAINED;
				break;
			case L7_TARGET_DOWN:
				break;
			}
		}
	}
	return flags;
}

static uint8_t have_flags(const struct dispatch *d, const struct wire_who_has *m)
{
	uint8_t flags = 0;

	for (uint16_t i = 0; d->n_dispatchers > 0 && i < d->params->n_services; i++) {
		const struct service_params *s = &d->params->services[i];

		if (s->route_of == PARAMS_NONE && technology_is_l7(s->technology) &&
		    s->l7.relay != L7_RELAY_NONE && d->finds->service_ids[i] == m->service)
			flags |= own_flags(d, i, m->server);
	}
	return flags;
}

/* Everybody answers, so that who asks need not wait when nobody is connected to the server. */
static void who_has(struct dispatch *d, const struct wire_who_has *m, uint32_t member)
{
	const struct wire_have answer = {
		.service = m->service, .server = m->server, .flags = have_flags(d, m)};
	struct wcur body;

	if (!bucket_take(&d->finds->answers, 1, d->node->now_ns)) {
		node_count(d->node, COUNTER_FIND_LIMITED);
		return;
	}
	if (!channel_begin(d->channel, sizeof(answer), &body))
		return;
	wire_put_have(&body, &answer);
	if (channel_send(d->channel, WIRE_HAVE, &body, member))
		node_count(d->node, COUNTER_HAVE_SENT);
}

static void have(struct dispatch *d, const struct wire_have *m, uint32_t member)
{
	struct find *f = find_get(d->finds, m->service, m->server);
	const uint32_t bit = 1u << member;

	if (!f || !f->asking || f->tries == 0) {
		node_count(d->node, COUNTER_HAVE_UNASKED);
		return;
	}
	f->said |= bit;
	f->yes &= ~bit;
	f->drained &= ~bit;
	if (m->flags & WIRE_HAVE_YES) {
		f->yes |= bit;
		f->heard_ns = d->node->now_ns;
	}
	if (m->flags & WIRE_HAVE_DRAINED)
		f->drained |= bit;
	find_settle(d, f);
}

void finds_message(struct dispatch *d, struct channel_message *msg)
{
	struct wire_who_has asked;
	struct wire_have said;

	if (!d->finds)
		return;
	if (msg->type == WIRE_WHO_HAS && wire_get_who_has(&msg->body, &asked)) {
		node_count(d->node, COUNTER_WHO_HAS_RECEIVED);
		who_has(d, &asked, msg->member);
	} else if (msg->type == WIRE_HAVE && wire_get_have(&msg->body, &said)) {
		node_count(d->node, COUNTER_HAVE_RECEIVED);
		have(d, &said, msg->member);
	} else {
		node_count(d->node, COUNTER_MSG_MALFORMED);
	}
}

/* --- members, configuration, life ---------------------------------------------------------------
 */

/* Bit per member that has come or gone, or was started anew, since the last time. */
static uint32_t members_changed(struct dispatch *d)
{
	struct find_table *t = d->finds;
	uint32_t up = live_members(d), changed = up ^ t->up;

	for (uint32_t i = 0; i < d->params->n_members; i++) {
		uint32_t generation = channel_member(d->channel, i)->generation;

		if (i != d->params->self && generation != t->generations[i])
			changed |= 1u << i;
		t->generations[i] = generation;
	}
	t->up = up;
	return changed;
}

/* What they have said is void; and who is new may have what nobody had. */
void finds_members_changed(struct dispatch *d)
{
	uint32_t changed = d->finds ? members_changed(d) : 0;

	for (unsigned i = 0; changed && i < FINDS; i++) {
		struct find *f = &d->finds->finds[i];

		if (!f->used)
			continue;
		f->said &= ~changed;
		f->yes &= ~changed;
		if (f->asking)
			find_settle(d, f);
		else if (!f->yes)
			find_remove(d->finds, f);
	}
}

static void finds_number(struct dispatch *d)
{
	const struct params *p = d->params;

	for (uint32_t i = 0; i < p->n_services; i++)
		d->finds->service_ids[i] = name_id(p->services[i].name);
	for (uint32_t i = 0; i < p->n_targets; i++)
		d->finds->target_ids[i] = name_id(p->targets[i].name);
}

void finds_configure(struct dispatch *d)
{
	if (!d->finds)
		return;
	finds_clear(d->finds);
	finds_number(d);
	members_changed(d);
	d->finds->news++; /* who has waited asks again */
}

int finds_init(struct dispatch *d)
{
	if (!d->channel)
		return 0;
	d->finds = calloc(1, sizeof(*d->finds));
	if (!d->finds)
		return -ENOMEM;
	finds_clear(d->finds);
	finds_number(d);
	members_changed(d);
	bucket_init(&d->finds->asks, ASK_RATE, ASK_RATE, d->node->now_ns);
	bucket_init(&d->finds->answers, ANSWER_RATE, ANSWER_RATE, d->node->now_ns);
	return 0;
}

void finds_fini(struct dispatch *d)
{
	free(d->finds);
	d->finds = NULL;
}
