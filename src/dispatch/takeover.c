#include "dispatch/takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/dispatch.h"

#define TAKEOVER_MS_NS 1000000ULL
/* A boot is believed after its answer to a challenge, which may have to be asked twice. */
#define TAKEOVER_PROOF_NS 300000000ULL
/* A tick that comes so late was kept waiting, and what waits in the sockets is read first. Nearly
 * all are a little late, the one after that, too. */
#define TAKEOVER_LATE_NS 100000ULL
#define TAKEOVER_READ_NS 1000000ULL
#define TAKEOVER_VERY_LATE_NS 10000000ULL
#define TAKEOVER_FORCED_NS 5000000000ULL /* so long the active one is asked by order */

const char *takeover_state_name(uint8_t state)
{
	static const char *const names[] = {"waiting", "standby", "active", "yielding"};
	return names[state];
}

uint64_t takeover_dead_ns(const struct dispatch *d)
{
	return d->params->cluster.dead_ms * TAKEOVER_MS_NS;
}

uint64_t takeover_hello_ns(const struct dispatch *d)
{
	return d->params->cluster.hello_ms * TAKEOVER_MS_NS;
}

uint32_t takeover_rank(const struct dispatcher_params *p, uint32_t member)
{
	for (uint32_t i = 0; i < p->n_nodes; i++)
		if (p->nodes[i] == member)
			return i;
	return PARAMS_NODES;
}

uint32_t takeover_ports(const struct params *p, const struct dispatcher_params *x)
{
	uint32_t bits = x->firewall_port != PARAMS_NO_PORT ? 1u << x->firewall_port : 0;

	for (uint32_t i = 0; i < x->n_ports; i++)
		if (x->ports[i] < p->n_ports)
			bits |= 1u << x->ports[i];
	return bits;
}

bool takeover_shared(const struct dispatch *d, uint32_t i)
{
	return i < d->n_dispatchers && takeover_is_shared(&d->params->dispatchers[i]);
}

/* --- time --------------------------------------------------------------------------------------
 */

static void wait_again(struct dispatch *d, uint32_t i, uint64_t listen_ns, const char *why)
{
	struct takeover_role *r = &d->takeover->roles[i];

	r->until_ns = d->node->now_ns + listen_ns;
	r->cold = !why;
	r->successor = 0;
	r->successor_ns = 0;
	takeover_become(d, i, WIRE_ROLE_WAITING, CHANNEL_ALL, why);
}

/* The others wait for dead-after from what they heard last, and that was said a hello-interval
 * before the next word was due at most. */
static bool stood_still(const struct dispatch *d)
{
	uint64_t now = d->node->now_ns, due = d->takeover->send_ns;
	uint64_t hello = takeover_hello_ns(d), lease = takeover_dead_ns(d) - hello;

	return now > due && now - due > lease - hello / 8;
}

/* Between takeover_init and the first call lies what else has to be made. A process that plays
 * nothing yet begins only now. */
static void begin_now(struct dispatch *d)
{
	struct takeover *t = d->takeover;

	t->begun = true;
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		if (takeover_shared(d, i) && !t->roles[i].cold)
			return;
	t->send_ns = t->due_ns = d->node->now_ns;
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		if (takeover_shared(d, i))
			wait_again(d, i, takeover_dead_ns(d) + TAKEOVER_PROOF_NS, NULL);
}

void takeover_wake(struct dispatch *d)
{
	struct takeover *t = d->takeover;
	uint64_t now = d->node->now_ns;

	if (!t || !t->any)
		return;
	if (!t->begun)
		begin_now(d);
	if (now > t->due_ns + TAKEOVER_VERY_LATE_NS)
		t->listen_ns = now + TAKEOVER_VERY_LATE_NS;
	else if (now > t->due_ns + TAKEOVER_LATE_NS && t->due_ns != t->listen_ns &&
		 now >= t->listen_ns)
		t->listen_ns = now + TAKEOVER_READ_NS;
	if (!stood_still(d))
		return;
	t->send_ns = d->node->now_ns;
	node_count(d->node, COUNTER_STALLED);
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		struct takeover_role *r = &t->roles[i];

		if (!takeover_shared(d, i) || r->leaving)
			continue;
		if (r->state == WIRE_ROLE_ACTIVE) {
			takeover_flap(d, r);
			r->forced = false;
		}
		r->able_ns = d->node->now_ns; /* take-back-delay begins again */
		/* Who plays it now is heard within dead-after; what waits in the socket is older,
		 * and may be too old, as it held only so much. */
		wait_again(d, i, takeover_dead_ns(d),
			   "waits: this process stood still for longer than others wait");
	}
}

static uint64_t earlier(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

/* When something may change without being told. */
static uint64_t takeover_due(const struct dispatch *d)
{
	const struct takeover *t = d->takeover;
	uint64_t now = d->node->now_ns, next = t->send_ns;

	if (t->listen_ns > now)
		next = earlier(next, t->listen_ns);
	for (uint32_t m = 0; m < d->params->n_members; m++) {
		if (t->peers[m].heard && t->peers[m].heard_ns + takeover_dead_ns(d) > now)
			next = earlier(next, t->peers[m].heard_ns + takeover_dead_ns(d));
		if (takeover_says_by(d, m) > now)
			next = earlier(next, takeover_says_by(d, m));
	}
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		const struct takeover_role *r = &t->roles[i];

		if (!takeover_shared(d, i))
			continue;
		if ((r->state == WIRE_ROLE_WAITING || r->state == WIRE_ROLE_YIELDING) &&
		    r->until_ns > now)
			next = earlier(next, r->until_ns);
		if (r->state == WIRE_ROLE_STANDBY && takeover_back_at(d, i) > now)
			next = earlier(next, takeover_back_at(d, i));
		if (r->successor_ns > now)
			next = earlier(next, r->successor_ns);
	}
	return next;
}

uint64_t takeover_tick(struct dispatch *d)
{
	struct takeover *t = d->takeover;

	if (!t || !t->any)
		return UINT64_MAX;
	takeover_judge(d);
	if (t->changed || d->node->now_ns >= t->send_ns)
		takeover_send(d);
	t->due_ns = takeover_due(d);
	return t->due_ns;
}

/* --- life --------------------------------------------------------------------------------------
 */

static bool any_shared(const struct params *p)
{
	for (uint32_t i = 0; i < p->n_dispatchers; i++)
		if (takeover_is_shared(&p->dispatchers[i]))
			return true;
	return false;
}

static void takeover_begin(struct dispatch *d)
{
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		struct takeover_role *r = &d->takeover->roles[i];

		r->other = CHANNEL_ALL;
		if (takeover_shared(d, i))
			wait_again(d, i, takeover_dead_ns(d) + TAKEOVER_PROOF_NS, NULL);
	}
	takeover_apply(d);
}

int takeover_init(struct dispatch *d)
{
	if (!d->channel)
		return 0;
	d->takeover = calloc(1, sizeof(*d->takeover));
	if (!d->takeover)
		return -ENOMEM;
	d->takeover->send_ns = d->takeover->due_ns = d->node->now_ns;
	d->takeover->any = any_shared(d->params);
	takeover_hash(d);
	takeover_begin(d);
	return 0;
}

void takeover_fini(struct dispatch *d)
{
	free(d->takeover);
	d->takeover = NULL;
}

/* Members may stand elsewhere in the list now. */
static void peers_remap(struct dispatch *d, const struct params *old)
{
	struct takeover *t = d->takeover;
	struct takeover_peer before[PARAMS_MEMBERS];

	memcpy(before, t->peers, sizeof(before));
	memset(t->peers, 0, sizeof(t->peers));
	for (uint32_t m = 0; m < d->params->n_members; m++)
		for (uint32_t k = 0; k < old->n_members; k++)
			if (old->members[k].id == d->params->members[m].id)
				t->peers[m] = before[k];
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		t->roles[i].other = CHANNEL_ALL;
}

void takeover_configure(struct dispatch *d, const struct params *old)
{
	struct takeover *t = d->takeover;

	if (!t)
		return;
	t->any = any_shared(d->params);
	t->send_ns = t->due_ns = d->node->now_ns;
	t->changed = true;
	peers_remap(d, old);
	takeover_hash(d);
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		if (takeover_shared(d, i) && !takeover_is_shared(&old->dispatchers[i]))
			wait_again(d, i, takeover_dead_ns(d) + TAKEOVER_PROOF_NS, NULL);
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		t->roles[i].cut = false;
	takeover_apply(d);
}

bool takeover_leave(struct dispatch *d)
{
	bool any = false;

	if (!d->takeover || !d->takeover->any)
		return false;
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		any |= takeover_shared(d, i) && d->takeover->roles[i].state == WIRE_ROLE_ACTIVE;
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		d->takeover->roles[i].leaving = true;
	takeover_tick(d);
	return any;
}

void takeover_stay(struct dispatch *d)
{
	if (!takeover_any(d))
		return;
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		d->takeover->roles[i].leaving = false;
	takeover_tick(d);
}

bool takeover_any(const struct dispatch *d)
{
	return d->takeover && d->takeover->any;
}

bool takeover_yielding(const struct dispatch *d)
{
	for (uint32_t i = 0; d->takeover && i < d->n_dispatchers; i++)
		if (takeover_shared(d, i) && d->takeover->roles[i].state == WIRE_ROLE_YIELDING)
			return true;
	return false;
}

int takeover_order(struct dispatch *d, const char *dispatcher)
{
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		struct takeover_role *r;

		if (strcmp(d->params->dispatchers[i].name, dispatcher) != 0)
			continue;
		if (!takeover_shared(d, i))
			return -EINVAL;
		r = &d->takeover->roles[i];
		if (!r->able)
			return -EAGAIN;
		if (takeover_worse_here(d, i))
			return -EHOSTUNREACH;
		r->forced = d->takeover->changed = true;
		r->forced_ns = d->node->now_ns + TAKEOVER_FORCED_NS;
		takeover_tick(d);
		return 0;
	}
	return -ENOENT;
}

bool takeover_is_active(const struct dispatch *d, uint16_t dispatcher)
{
	return !takeover_shared(d, dispatcher) || !d->takeover ||
	       d->takeover->roles[dispatcher].state == WIRE_ROLE_ACTIVE;
}

bool takeover_synced(const struct dispatch *d, uint32_t dispatcher)
{
	return replica_synced(d, dispatcher);
}
