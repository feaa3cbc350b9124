/*
 * path.c - the firewalls as a dispatcher sees them: their MAC addresses, who of them is alive, and
 * which of them has sent a frame (HD-1, HD-3).
 *
 *   this dispatcher ──echo request──▶ firewall ──▶ the other dispatcher
 *                   ◀──echo reply──── the same ◀──
 *
 * A probe has to come back by the firewall that it went through, and brings back a nonce. To the
 * firewall the probes are a flow, which it may have handed to another, or mistake for one of
 * before: when probes do not come back the next are of another flow. Without probes a firewall
 * counts as up while it answers ARP, for which it is asked once a second.
 *
 * That probes do not come back says something of a firewall only while they do by another one: else
 * the other dispatcher may be gone, and be played elsewhere before long. So firewalls whose probes
 * fail together go down together, their flows stay with them, and they come up together.
 */
#include <string.h>

#include "base/cursor.h"
#include "dispatch/dispatch.h"

#define PATH_SECOND_NS 1000000000ULL
#define PATH_MS_NS 1000000ULL
#define PATH_FRESH_NS 500000000ULL /* the answer to the last second's question is older */
#define ICMP_HEADER 8
#define PROBE_ID_BACK 0x8000 /* so that probes from both sides are two flows to a firewall */

uint16_t path_by_id(const struct params *p, uint16_t id)
{
	for (uint16_t i = 0; i < p->n_paths; i++)
		if (p->paths[i].id == id)
			return i;
	return PARAMS_NONE;
}

/* --- verdict --------------------------------------------------------------------------------- */

static void path_note(struct dispatch *d, const struct dispatcher *x, uint16_t i,
		      enum note_type type, const char *detail)
{
	struct note *note = node_note(d->node, type);

	if (!note)
		return;
	note->path = i;
	note->port = x->params->firewall_port;
	note->detail = detail;
}

/* Let the choice know what has changed, of all firewalls at once: a table costs a millisecond. */
static void path_settle(struct dispatcher *x)
{
	if (x->paths_stale)
		choice_update(x->path_choice, x->path_candidates);
	x->paths_stale = false;
}

/* The candidate follows; flows that ran through it, or had to leave it, are looked at. */
static void path_candidate(struct dispatch *d, struct dispatcher *x, uint16_t i)
{
	bool up = x->paths[i].on_segment && !x->paths[i].failed;

	if (x->path_candidates[i].up == up)
		return;
	x->path_candidates[i].up = up;
	node_void_offload(d->node);
	x->paths_stale = true;
	dflow_sweep_soon(d);
}

static void path_verdict(struct dispatch *d, struct dispatcher *x, uint16_t i, bool failed,
			 const char *why)
{
	struct path *p = &x->paths[i];

	p->why = why;
	p->jointly = p->jointly && failed;
	if (p->failed == failed)
		return;
	p->failed = failed;
	p->since_ns = d->node->now_ns;
	path_candidate(d, x, i);
	path_settle(x);
	path_note(d, x, i, failed ? NOTE_PATH_DOWN : NOTE_PATH_UP, why);
}

static bool path_is_judged(const struct path *p)
{
	return p->on_segment && !p->failed;
}

/* Who is behind the firewalls is there again. What is wrong with one alone is found anew. */
static void path_join_up(struct dispatch *d, struct dispatcher *x)
{
	for (uint16_t i = 0; i < d->params->n_paths; i++) {
		struct path *p = &x->paths[i];

		if (!p->jointly)
			continue;
		p->bad = 0;
		path_verdict(d, x, i, false, "probes come back");
	}
}

/* What has failed by other paths since is not for a reason that they all share. */
static void path_bear_witness(struct dispatch *d, struct dispatcher *x)
{
	for (uint16_t k = 0; k < d->params->n_paths; k++)
		if (x->paths[k].bad > 0 && x->paths[k].witness_ns == 0)
			x->paths[k].witness_ns = d->node->now_ns;
}

static void path_hit(struct dispatch *d, struct dispatcher *x, uint16_t i)
{
	struct path *p = &x->paths[i];

	p->waiting = false;
	p->bad = 0;
	p->good++;
	path_bear_witness(d, x);
	if (p->failed && p->good < x->params->probe.rise)
		return;
	path_verdict(d, x, i, false, "probes come back");
	path_join_up(d, x);
}

/* One has come back by another path before the last of this path's bad ones was sent, so it is not
 * all of them that could not. */
static bool path_has_witness(const struct path *p)
{
	return p->witness_ns != 0 && p->witness_ns < p->sent_ns;
}

/* By no path do they come back. */
static bool path_all_bad(const struct dispatch *d, const struct dispatcher *x)
{
	for (uint16_t k = 0; k < d->params->n_paths; k++)
		if (path_is_judged(&x->paths[k]) && x->paths[k].bad < x->params->probe.fall)
			return false;
	return true;
}

static void path_judge_bad(struct dispatch *d, struct dispatcher *x, uint16_t i, const char *why)
{
	unsigned n = 0;

	if (path_has_witness(&x->paths[i])) {
		path_verdict(d, x, i, true, why);
		return;
	}
	if (!path_all_bad(d, x))
		return;
	for (uint16_t k = 0; k < d->params->n_paths; k++)
		n += path_is_judged(&x->paths[k]);
	for (uint16_t k = 0; k < d->params->n_paths; k++) {
		if (!path_is_judged(&x->paths[k]))
			continue;
		x->paths[k].jointly = n > 1;
		path_verdict(d, x, k, true, why);
	}
}

static uint16_t path_probe_id(const struct dispatch *d, const struct dispatcher *x, uint16_t i)
{
	return x->paths[i].probe_id ? x->paths[i].probe_id : d->params->paths[i].id;
}

static bool path_has_probe_id(const struct dispatch *d, const struct dispatcher *x, uint16_t id)
{
	for (uint16_t i = 0; i < d->params->n_paths; i++)
		if (path_probe_id(d, x, i) == id)
			return true;
	return false;
}

/* By an id that no path has: members of a cluster of firewalls share what they know of flows. */
static void path_other_flow(struct dispatch *d, struct dispatcher *x, uint16_t i)
{
	uint16_t id;

	do
		id = (uint16_t)(rng_u64(&d->node->rng) & (PROBE_ID_BACK - 1));
	while (id == 0 || path_has_probe_id(d, x, id));
	x->paths[i].probe_id = id;
}

static void path_miss(struct dispatch *d, struct dispatcher *x, uint16_t i, const char *why)
{
	struct path *p = &x->paths[i];

	p->waiting = false;
	p->good = 0;
	if (p->bad++ == 0)
		p->witness_ns = 0;
	if (p->bad % x->params->probe.fall == 0)
		path_other_flow(d, x, i);
	if (p->failed)
		path_verdict(d, x, i, true, why);
	else if (p->bad >= x->params->probe.fall)
		path_judge_bad(d, x, i, why);
}

/* --- MAC addresses ---------------------------------------------------------------------------- */

static unsigned path_slot(const struct macaddr *mac)
{
	uint64_t w = 0;

	memcpy(&w, mac->b, sizeof(mac->b));
	return (unsigned)((w * 0x9e3779b97f4a7c15ULL) >> 56) & (PATH_SLOTS - 1);
}

/* Of two with one MAC address the one that comes first keeps it. */
static void path_index_one(struct dispatcher *x, uint16_t i)
{
	unsigned slot = path_slot(&x->paths[i].mac);

	while (x->mac_slots[slot]) {
		if (macaddr_eq(&x->paths[x->mac_slots[slot] - 1].mac, &x->paths[i].mac))
			return;
		slot = (slot + 1) & (PATH_SLOTS - 1);
	}
	x->mac_slots[slot] = (uint8_t)(i + 1);
}

/* A firewall that is down keeps the address it had, unless one that is up has taken it over. */
static void path_index(struct dispatch *d, struct dispatcher *x)
{
	memset(x->mac_slots, 0, sizeof(x->mac_slots));
	for (unsigned failed = 0; failed < 2; failed++)
		for (uint16_t i = 0; i < d->params->n_paths; i++)
			if (x->paths[i].on_segment && x->paths[i].has_mac &&
			    x->paths[i].failed == failed)
				path_index_one(x, i);
}

static const struct neigh *path_neighbour(const struct dispatch *d, const struct dispatcher *x,
					  const struct path *p)
{
	const struct neigh *e = NULL;

	if (p->hop.neigh != NEIGH_NONE)
		e = neigh_at(d->node->neighbours, p->hop.neigh);
	return e && e->port == x->params->firewall_port && ipaddr_eq(&e->addr, &p->addr) ? e : NULL;
}

void path_heard(struct dispatch *d, const struct dispatcher *x, uint16_t path)
{
	const struct path *p = &x->paths[path];
	struct neigh *e = NULL;

	if (p->hop.neigh != NEIGH_NONE)
		e = neigh_at(d->node->neighbours, p->hop.neigh);
	if (!e || e->state != NEIGH_PROBE) /* nearly always */
		return;
	if (path_neighbour(d, x, p) == e && p->has_mac && macaddr_eq(&e->mac, &p->mac))
		neigh_learn(e, &p->mac, d->node->now_ns);
}

static void path_look(struct dispatch *d, struct dispatcher *x, uint16_t i)
{
	struct path *p = &x->paths[i];
	const struct neigh *e = p->on_segment ? path_neighbour(d, x, p) : NULL;

	if (!e)
		return;
	if (neigh_usable(e))
		p->unanswered = false;
	else if (e->state == NEIGH_FAILED)
		p->unanswered = true;
	if (neigh_usable(e)) {
		bool changed = p->has_mac && !macaddr_eq(&p->mac, &e->mac);
		p->has_mac = true;
		p->mac = e->mac;
		if (changed)
			path_note(d, x, i, p->failed ? NOTE_PATH_DOWN : NOTE_PATH_UP,
				  "its MAC address has changed");
	}
	if (x->params->probe.enabled)
		return;
	if (neigh_usable(e))
		path_verdict(d, x, i, false, "answers for its address");
	else if (e->state == NEIGH_FAILED)
		path_verdict(d, x, i, true, "nobody answers for its address");
}

/* The neighbour table has changed. */
static void path_refresh(struct dispatch *d, struct dispatcher *x)
{
	x->neighbours_seen = d->node->neighbour_changes;
	for (uint16_t i = 0; i < d->params->n_paths; i++)
		path_look(d, x, i);
	path_index(d, x);
}

uint16_t path_by_mac(struct dispatch *d, struct dispatcher *x, const struct macaddr *mac)
{
	unsigned slot = path_slot(mac);

	if (x->neighbours_seen != d->node->neighbour_changes)
		path_refresh(d, x);
	for (; x->mac_slots[slot]; slot = (slot + 1) & (PATH_SLOTS - 1)) {
		uint16_t i = (uint16_t)(x->mac_slots[slot] - 1);
		if (macaddr_eq(&x->paths[i].mac, mac))
			return i;
	}
	return PARAMS_NONE;
}

void path_told(struct dispatch *d, struct dispatcher *x, uint16_t i, const struct macaddr *mac,
	       bool failed, bool jointly)
{
	struct path *p = &x->paths[i];

	if (mac && !(p->has_mac && macaddr_eq(&p->mac, mac))) {
		p->has_mac = true;
		p->mac = *mac;
		path_index(d, x);
	}
	p->good = p->bad = 0;
	p->waiting = false;
	p->jointly = jointly;
	path_verdict(d, x, i, failed, "as the node says that plays the dispatcher");
}

bool path_none_answers(const struct dispatch *d, const struct dispatcher *x)
{
	bool any = false;

	for (uint16_t i = 0; i < d->params->n_paths; i++) {
		const struct path *p = &x->paths[i];

		if (p->on_segment && !(p->failed && p->unanswered))
			return false;
		any |= p->on_segment;
	}
	return any;
}

/* --- where they are --------------------------------------------------------------------------- */

/* The first of its addresses that lies in a network of the firewall-port. The host's addresses are
 * told later than the configuration, and change. */
static void path_place(struct dispatch *d, struct dispatcher *x, uint16_t i)
{
	const struct path_params *params = &d->params->paths[i];
	uint16_t port = x->params->firewall_port;
	struct path *p = &x->paths[i];
	const struct ipaddr *found = NULL;

	for (uint32_t k = 0; k < params->n_addresses && !found && port != PARAMS_NO_PORT; k++)
		if (node_on_link(d->node, port, &params->addresses[k]))
			found = &params->addresses[k];
	p->on_segment = found != NULL;
	if (found && !ipaddr_eq(&p->addr, found)) {
		p->addr = *found;
		p->has_mac = false;
		p->unanswered = false;
		p->hop.neigh = NEIGH_NONE;
	}
	path_candidate(d, x, i);
}

int path_init(struct dispatch *d, struct dispatcher *x)
{
	for (uint16_t i = 0; i < d->params->n_paths; i++) {
		struct path *p = &x->paths[i];
		if (p->since_ns == 0) { /* new */
			p->since_ns = d->node->now_ns;
			p->hop.neigh = NEIGH_NONE;
		}
		x->path_candidates[i].identity = d->params->paths[i].id;
		x->path_candidates[i].weight = d->params->paths[i].weight;
		path_place(d, x, i);
	}
	path_index(d, x);
	x->paths_stale = true; /* by weights, too */
	path_settle(x);
	x->probe_due_ns = d->node->now_ns;
	return 0;
}

/* --- probes ----------------------------------------------------------------------------------- */

/* Our address that probes come from. The kernel's would get their answers. */
static const struct ipaddr *path_source(const struct node *n, const struct dispatcher *x)
{
	for (size_t i = n->n_host_addresses; i < n->n_own_addresses; i++) {
		const struct node_address *a = &n->addresses[i];
		if (a->port == x->params->firewall_port && node_address_answers(a) &&
		    ipaddr_is_v4(&a->prefix.addr) == ipaddr_is_v4(&x->params->probe.to))
			return &a->prefix.addr;
	}
	return NULL;
}

static void path_send(struct dispatch *d, struct dispatcher *x, uint16_t i,
		      const struct ipaddr *source)
{
	uint16_t id = path_probe_id(d, x, i);
	struct path *p = &x->paths[i];
	struct pkt_tuple to = {.src = *source, .dst = x->params->probe.to};
	uint8_t data[sizeof(p->nonce)];

	to.sport = to.dport = x->params->role == DISPATCH_OUTER ? id : id ^ PROBE_ID_BACK;
	p->nonce[0] = rng_u64(&d->node->rng);
	p->nonce[1] = rng_u64(&d->node->rng);
	memcpy(data, p->nonce, sizeof(data));
	if (!node_send_echo(d->node, x->params->firewall_port, &p->mac, &to, p->sequence, data,
			    sizeof(data)))
		return; /* no room: as if it had not been its turn */
	node_count(d->node, COUNTER_PROBE_SENT);
	p->sequence++;
	p->sent_ns = d->node->now_ns;
	p->waiting = true;
}

/* One firewall's turn. */
static void path_probe_one(struct dispatch *d, struct dispatcher *x, uint16_t i,
			   const struct ipaddr *source)
{
	struct path *p = &x->paths[i];
	const struct neigh *e = path_neighbour(d, x, p);

	if (p->waiting)
		return;
	if (!d->node->links[x->params->firewall_port].up) {
		path_miss(d, x, i, "the port is down");
	} else if (e && e->state == NEIGH_FAILED) {
		p->sent_ns = neigh_failed_asked_ns(e);
		path_miss(d, x, i, "nobody answers for its address");
	} else if (e && neigh_usable(e) && source) {
		path_send(d, x, i, source);
	}
}

static uint64_t path_probe_tick(struct dispatch *d, struct dispatcher *x)
{
	uint64_t now = d->node->now_ns, timeout = x->params->probe.timeout_ms * PATH_MS_NS, next;
	const struct ipaddr *source = path_source(d->node, x);
	bool turn = now >= x->probe_due_ns;

	if (turn)
		x->probe_due_ns = now + x->params->probe.interval_ms * PATH_MS_NS;
	next = x->probe_due_ns;
	for (uint16_t i = 0; i < d->params->n_paths; i++) {
		struct path *p = &x->paths[i];
		if (!p->on_segment)
			continue;
		if (p->waiting && now - p->sent_ns >= timeout)
			path_miss(d, x, i, "probes do not come back");
		if (turn)
			path_probe_one(d, x, i, source);
		if (p->waiting && p->sent_ns + timeout < next)
			next = p->sent_ns + timeout;
	}
	return next;
}

/* Whether the reply is that to the probe under way through the firewall that it came by. */
static bool path_matches(const struct path *p, const struct pkt *pkt)
{
	struct rcur c = rcur_init(pkt->frame->data, pkt->frame->len);
	uint8_t data[sizeof(p->nonce)];

	rcur_skip(&c, pkt->l4 + ICMP_HEADER);
	rcur_bytes(&c, data, sizeof(data));
	return rcur_ok(&c) && p->waiting && memcmp(data, p->nonce, sizeof(data)) == 0;
}

bool path_probe(struct dispatch *d, struct dispatcher *x, struct pkt *pkt)
{
	const struct node_address *to = node_address_find(d->node, &pkt->tuple.dst);
	bool peer = x->params->probe.enabled && ipaddr_eq(&pkt->tuple.src, &x->params->probe.to);
	uint16_t path;
	bool request;

	/* With both dispatchers in one process the other's address is an own one, too. */
	if (!peer)
		peer = node_address_find(d->node, &pkt->tuple.src) != NULL;
	if (!peer || !to || !node_address_answers(to) || !node_is_echo(pkt, &request))
		return false;
	path = path_by_mac(d, x, &pkt->eth_src);
	if (request && path == PARAMS_NONE)
		return false;
	if (request) {
		node_echo_answer(d->node, pkt);
		return true;
	}
	if (path != PARAMS_NONE && path_matches(&x->paths[path], pkt)) {
		node_count(d->node, COUNTER_PROBE_ANSWERED);
		path_hit(d, x, path);
	} else {
		node_count(d->node, COUNTER_PROBE_UNEXPECTED);
	}
	node_drop(d->node, pkt, DROP_PROBE);
	return true;
}

/* --- time ------------------------------------------------------------------------------------- */

static void path_rate(struct path *p, struct candidate *c, uint64_t elapsed_ns)
{
	uint64_t total = p->to.packets + p->from.packets;

	if (elapsed_ns) {
		uint64_t rate = (total - p->rate_mark) * PATH_SECOND_NS / elapsed_ns;
		c->rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
	}
	p->rate_mark = total;
}

/* Once a second: where is everybody, and still there? */
static void path_second(struct dispatch *d, struct dispatcher *x)
{
	uint16_t port = x->params->firewall_port;
	uint64_t now = d->node->now_ns, elapsed = 0;

	if (x->rate_due_ns)
		elapsed = now - (x->rate_due_ns - PATH_SECOND_NS);
	x->rate_due_ns = now + PATH_SECOND_NS;
	for (uint16_t i = 0; i < d->params->n_paths; i++) {
		struct path *p = &x->paths[i];
		path_place(d, x, i);
		path_rate(p, &x->path_candidates[i], elapsed);
		if (p->on_segment && node_source(d->node, port, &p->addr))
			node_watch(d->node, port, &p->addr, &p->hop, PATH_FRESH_NS);
	}
	path_settle(x);
	path_refresh(d, x);
}

/* How many addresses there are to speak from. */
static uint32_t path_voices(const struct node *n, uint16_t port)
{
	uint32_t count = 0;

	for (size_t i = 0; n->links[port].up && i < n->n_own_addresses; i++) {
		const struct node_address *a = &n->addresses[i];
		count += a->port == port && !a->is_taken && !a->is_probing && !a->is_silent;
	}
	return count;
}

static uint64_t path_tick_one(struct dispatch *d, struct dispatcher *x)
{
	uint16_t port = x->params->firewall_port;
	uint32_t voices = path_voices(d->node, port);
	uint64_t next;

	if (d->node->now_ns >= x->rate_due_ns || voices != x->voices)
		path_second(d, x);
	x->voices = voices;
	if (x->neighbours_seen != d->node->neighbour_changes)
		path_refresh(d, x);
	next = x->rate_due_ns;
	if (x->params->probe.enabled && !d->node->links[port].is_capture) {
		uint64_t probe = path_probe_tick(d, x);
		next = probe < next ? probe : next;
	}
	return next;
}

uint64_t path_tick(struct dispatch *d)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		struct dispatcher *x = &d->dispatchers[i];
		uint64_t due;
		if (x->params->firewall_port == PARAMS_NO_PORT)
			continue;
		due = path_tick_one(d, x);
		next = due < next ? due : next;
	}
	return next;
}
