#include "firewall/firewall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "packet/peek.h"

#define ANEW_MS 500
#define EARLY_FRAGMENTS 1024
#define EARLY_WAIT_NS 30000000ULL /* a first fragment that is only late comes within this */

/* --- life ------------------------------------------------------------------------------------ */

static struct hash_key firewall_subkey(const uint64_t *seed)
{
	return (struct hash_key){.k0 = seed[0], .k1 = seed[1]};
}

static int firewall_make_tables(struct firewall *f, const uint64_t seed[10])
{
	const struct params *p = f->params;
	struct hash_key flows = firewall_subkey(seed), queries = firewall_subkey(seed + 2);
	struct hash_key frags = firewall_subkey(seed + 4), sources = firewall_subkey(seed + 6);
	struct frag_params frag = {.capacity = p->firewall.max_fragments,
				   .per_source = p->firewall.max_fragments / 4 + 1,
				   .timeout_ms = p->firewall.timeout_ms.fragment};
	uint64_t now = f->node->now_ns;
	bool idle = p->n_dispatchers > 0 && !p->firewall.enabled; /* a node that only dispatches */

	/* States and forwards share a key, so one hash per packet serves both look-ups. */
	f->states = flow_table_new(sizeof(struct state),
				   idle ? PARAMS_FLOWS_MIN : p->firewall.max_flows, &flows, now);
	f->fragments = frag_table_new(&frag, &frags, now);
	if (p->firewall.max_per_source)
		f->source_flows = source_counts_new(&sources);
	if (!f->states || !f->fragments || (p->firewall.max_per_source && !f->source_flows))
		return -ENOMEM;
	if (!f->channel)
		return 0;
	f->forwards = flow_table_new(sizeof(struct forward), p->cluster.max_forwards, &flows, now);
	f->queries = flow_table_new(sizeof(struct query), p->cluster.max_queries, &queries, now);
	f->negative = negative_new();
	f->sources = source_buckets_new(&sources);
	f->releases = calloc(PARAMS_MEMBERS, sizeof(*f->releases));
	f->seen = calloc(SEEN_SETS, sizeof(*f->seen));
	if (!f->forwards || !f->queries || !f->negative || !f->sources || !f->releases || !f->seen)
		return -ENOMEM;
	return backup_init(f, p, &flows, &queries);
}

int firewall_init(struct firewall *f, struct node *node, struct channel *channel,
		  const uint64_t seed[10])
{
	int rc;

	memset(f, 0, sizeof(*f));
	f->node = node;
	f->params = node->params;
	f->channel = channel;
	f->early_due_ns = UINT64_MAX;
	f->release_due_ns = UINT64_MAX;
	rc = firewall_make_tables(f, seed);
	if (rc == 0)
		rc = firewall_configure(f, node->params);
	if (rc < 0)
		firewall_fini(f);
	return rc;
}

void firewall_fini(struct firewall *f)
{
	backup_fini(f);
	flow_table_free(f->states);
	flow_table_free(f->forwards);
	flow_table_free(f->queries);
	frag_table_free(f->fragments);
	negative_free(f->negative);
	source_buckets_free(f->sources);
	source_counts_free(f->source_flows);
	policy_free(f->policy);
	free(f->releases);
	free(f->seen);
	memset(f, 0, sizeof(*f));
}

static void firewall_remap_rules(struct firewall *f, const struct policy *policy)
{
	struct state *s;
	uint32_t pos = 0;

	while ((s = flow_table_next(f->states, &pos)))
		s->rule = policy_map_rule(policy, f->policy, s->rule);
	backup_remap_rules(f, policy);
}

/* Forward entries, askers and queries name members by their place in the list. */
static void firewall_forget_members(struct firewall *f, const struct params *params)
{
	uint32_t pos = 0;
	struct state *s;

	if (!f->channel)
		return;
	firewall_flush_forwards(f);
	answer_flush_releases(f);
	while ((s = flow_table_next(f->states, &pos)))
		s->askers = 0;
	memset(f->seen, 0, SEEN_SETS * sizeof(*f->seen));
	backup_move_members(f, f->params, params);
}

static bool firewall_same_members(const struct params *x, const struct params *y)
{
	if (x->n_members != y->n_members)
		return false;
	for (uint32_t i = 0; i < x->n_members; i++)
		if (x->members[i].id != y->members[i].id)
			return false;
	return true;
}

/* The limit was switched on by a reload: count what is there. */
static int firewall_count_sources(struct firewall *f)
{
	struct hash_key secret = {rng_u64(&f->node->rng), rng_u64(&f->node->rng)};
	uint32_t pos = 0;
	struct state *s;

	f->source_flows = source_counts_new(&secret);
	if (!f->source_flows)
		return -ENOMEM;
	while ((s = flow_table_next(f->states, &pos))) {
		struct ipaddr from = home_originator(s);
		source_counts_add(f->source_flows, &from, 1);
	}
	return 0;
}

int firewall_configure(struct firewall *f, const struct params *params)
{
	const struct cluster_params *c = &params->cluster;
	struct policy *policy = policy_new(&params->firewall);

	if (!policy)
		return -ENOMEM;
	if (params->firewall.max_per_source && !f->source_flows && firewall_count_sources(f) < 0) {
		policy_free(policy);
		return -ENOMEM;
	}
	if (f->params != params && backup_configure(f, params) < 0) {
		policy_free(policy);
		return -ENOMEM;
	}
	if (f->policy) {
		policy_inherit(policy, f->policy);
		firewall_remap_rules(f, policy);
		policy_free(f->policy);
	}
	f->policy = policy;
	if (f->params != params && !firewall_same_members(f->params, params))
		firewall_forget_members(f, params);
	f->params = params;
	bucket_init(&f->query_packets, c->query_rate, c->query_burst, f->node->now_ns);
	bucket_init(&f->query_bytes, c->query_kbytes, c->query_kbytes, f->node->now_ns);
	for (uint32_t i = 0; i < params->n_ports; i++) {
		const struct port_params *p = &params->ports[i];
		f->segment_ids[i] = wire_segment_id(p->segment[0] ? p->segment : p->name);
	}
	firewall_members_changed(f);
	return 0;
}

void firewall_members_changed(struct firewall *f)
{
	f->member_macs = 0;
	if (!f->channel)
		return;
	for (uint32_t m = 0; m < channel_n_members(f->channel); m++) {
		const struct channel_member *cm = channel_member(f->channel, m);
		for (unsigned i = 0; i < cm->n_segments; i++)
			f->member_macs |= 1ULL << (cm->segments[i].mac.b[5] & 63);
	}
}

/* --- which flow? ----------------------------------------------------------------------------- */

static void lookup_tuple(struct firewall *f, struct lookup *l, const struct pkt_tuple *t,
			 uint8_t version)
{
	l->dir = flow_key_make(&l->key, t, version);
	l->hash = flow_table_hash(f->states, &l->key);
}

enum drop firewall_lookup(struct firewall *f, const struct pkt *pkt, struct lookup *l, bool *wait)
{
	enum drop d;

	*wait = false;
	if (pkt->icmp_error) {
		if (pkt->inner_fragment)
			return DROP_ICMP_UNRELATED;
		lookup_tuple(f, l, &pkt->inner, pkt->version);
		return DROP_NONE;
	}
	if (!pkt->fragment) {
		lookup_tuple(f, l, &pkt->tuple, pkt->version);
		return DROP_NONE;
	}
	d = frag_table_see(f->fragments, pkt, f->node->now_ns, &l->frag);
	if (d != DROP_NONE)
		return d;
	if (!l->frag->known) {
		*wait = true;
		return DROP_FRAG_TIMEOUT;
	}
	l->key = l->frag->key;
	l->dir = l->frag->dir;
	l->hash = flow_table_hash(f->states, &l->key);
	return DROP_NONE;
}

void firewall_prepare(struct firewall *f, const struct pkt *pkt, struct lookup *l)
{
	l->from = NOTE_NO_MEMBER;
	l->delivering = false;
	l->frag = NULL;
	l->prepared = !pkt->icmp_error && !pkt->fragment;
	if (!l->prepared)
		return;
	lookup_tuple(f, l, &pkt->tuple, pkt->version);
	flow_table_prefetch_slot(f->states, l->hash);
	if (f->forwards && flow_table_count(f->forwards) > 0)
		flow_table_prefetch_slot(f->forwards, l->hash);
}

void firewall_prefetch(struct firewall *f, const struct lookup *l)
{
	if (!l->prepared)
		return;
	flow_table_prefetch_entry(f->states, l->hash);
	if (f->forwards && flow_table_count(f->forwards) > 0)
		flow_table_prefetch_entry(f->forwards, l->hash);
}

/* --- fragments that come before their first -------------------------------------------------- */

static void early_hold(struct firewall *f, struct pkt *pkt, uint32_t from)
{
	struct held *h = f->early.n < EARLY_FRAGMENTS ? node_hold(f->node, pkt) : NULL;

	if (!h) {
		node_drop(f->node, pkt, DROP_FRAG_LIMIT);
		return;
	}
	h->from_member = (uint8_t)(from == NOTE_NO_MEMBER ? 0 : from + 1);
	h->when_ns = f->node->now_ns;
	held_push(&f->early, h);
	if (f->early_due_ns == UINT64_MAX)
		f->early_due_ns = f->node->now_ns + EARLY_WAIT_NS;
}

static uint32_t held_member(const struct held *h)
{
	return h->from_member ? (uint32_t)h->from_member - 1 : NOTE_NO_MEMBER;
}

/* One fragment that waited: route it if its datagram is known by now, ask for it when it has waited
 * long enough, else keep it. True when it is gone from the queue. */
static bool early_try(struct firewall *f, struct held *h)
{
	struct lookup l = {.from = held_member(h)};
	struct pkt pkt;
	struct frag *frag;

	if (pkt_decode(&pkt, &h->frame) != DROP_NONE) {
		node_drop_held(f->node, h, DROP_FRAG_BAD);
		return true;
	}
	frag = frag_table_find(f->fragments, &pkt, f->node->now_ns);
	if (frag && frag->known) {
		l.frag = frag;
		l.key = frag->key;
		l.dir = frag->dir;
		l.hash = flow_table_hash(f->states, &l.key);
		firewall_route(f, &pkt, &l);
		pool_retire(f->node->pool, h);
		return true;
	}
	if (f->node->now_ns < h->when_ns + EARLY_WAIT_NS)
		return false;
	if (!f->channel || l.from != NOTE_NO_MEMBER) {
		if (f->node->now_ns <
		    h->when_ns + 1000000ULL * f->params->firewall.timeout_ms.fragment)
			return false;
		node_drop_held(f->node, h, DROP_FRAG_TIMEOUT);
		return true;
	}
	l.dir = flow_key_make(&l.key, &pkt.tuple, pkt.version);
	ask_packet(f, &pkt, &l, NULL);
	pool_retire(f->node->pool, h);
	return true;
}

static uint64_t early_tick(struct firewall *f)
{
	struct held_queue waiting = f->early;
	struct held *h;

	memset(&f->early, 0, sizeof(f->early));
	while ((h = held_pop(&waiting)))
		if (!early_try(f, h))
			held_push(&f->early, h);
	f->early_due_ns = f->early.n ? f->node->now_ns + EARLY_WAIT_NS : UINT64_MAX;
	return f->early_due_ns;
}

/* --- the look-up order (FC-3) ---------------------------------------------------------------- */

static void firewall_unknown(struct firewall *f, struct pkt *pkt, struct lookup *l)
{
	struct node *n = f->node;

	if (l->from != NOTE_NO_MEMBER || l->delivering) {
		if (l->from != NOTE_NO_MEMBER && !l->delivering)
			answer_not_home(f, l->from, &l->key);
		node_drop(n, pkt, DROP_NOT_HOME);
		return;
	}
	if (!pkt->icmp_error && !home_policy_possible(f, pkt, l)) {
		node_drop(n, pkt, DROP_POLICY);
		return;
	}
	ask_packet(f, pkt, l, NULL);
}

/* The answer to a SYN on an entry that is older than a handshake: the endpoints have been taken
 * into use again, perhaps with another home. */
static bool firewall_begins_anew(const struct firewall *f, const struct forward *fw,
				 const struct pkt *pkt)
{
	uint32_t age = (uint32_t)(f->node->now_ns / 1000000) - fw->created_ms;

	return pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4 && !pkt->icmp_error &&
	       (pkt->tcp.flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) && age > ANEW_MS;
}

void firewall_route(struct firewall *f, struct pkt *pkt, struct lookup *l)
{
	struct state *s = home_find(f, l);
	struct forward *fw;

	if (s) {
		home_packet(f, s, pkt, l);
		return;
	}
	if (l->from != NOTE_NO_MEMBER)
		fw = backup_handed_on(f, pkt, l);
	else
		fw = l->delivering ? NULL : relay_find(f, l);
	if (fw && firewall_begins_anew(f, fw, pkt)) {
		relay_remove(f, fw, "the endpoints begin anew");
		fw = NULL;
	}
	if (fw) {
		node_count(f->node, COUNTER_FORWARD_HIT);
		fw->packets++;
		flow_table_arm(f->forwards, fw, f->node->now_ns, f->params->cluster.forward_ms);
		relay_to_home(f, pkt, fw->member, fw);
		return;
	}
	s = backup_take_over(f, pkt, l);
	if (s) {
		home_packet(f, s, pkt, l);
		return;
	}
	if (!l->delivering && pkt_starts_flow(pkt) && home_create(f, pkt, l))
		return;
	firewall_unknown(f, pkt, l);
}

void firewall_admit(struct firewall *f, struct pkt *pkt, struct lookup *l)
{
	bool wait = false;
	enum drop d = l->prepared ? DROP_NONE : firewall_lookup(f, pkt, l, &wait);

	if (wait) {
		early_hold(f, pkt, l->from);
		return;
	}
	if (d != DROP_NONE) {
		node_drop(f->node, pkt, d);
		return;
	}
	firewall_route(f, pkt, l);
	/* The first fragment has just told where the others go. */
	if (pkt->fragment && pkt->frag_offset == 0 && f->early.n)
		early_tick(f);
}

void firewall_packet(struct firewall *f, struct pkt *pkt, struct lookup *l)
{
	if (f->member_macs & 1ULL << (pkt->eth_src.b[5] & 63))
		l->from = relay_member_by_mac(f, pkt->frame->port, &pkt->eth_src);
	if (l->prepared)
		firewall_route(f, pkt, l);
	else
		firewall_admit(f, pkt, l);
}

/* --- messages -------------------------------------------------------------------------------- */

static void firewall_forget_flows(struct firewall *f, struct channel_message *msg, bool release)
{
	struct node *n = f->node;
	struct wire_keys keys;

	if (!wire_get_keys(&msg->body, &keys)) {
		node_count(n, COUNTER_MSG_MALFORMED);
		return;
	}
	for (unsigned i = 0; i < keys.n; i++) {
		uint64_t hash = flow_table_hash(f->forwards, &keys.keys[i]);
		struct forward *fw = flow_table_find(f->forwards, &keys.keys[i], hash);
		if (!fw || fw->member != msg->member)
			continue;
		node_count(n, release ? COUNTER_RELEASE_RECEIVED : COUNTER_NOT_HOME_RECEIVED);
		relay_remove(f, fw, release ? "released by its home" : "not home");
	}
}

/* Another member won this flow (rule of two homes). */
static void firewall_yield(struct firewall *f, struct channel_message *msg)
{
	struct lookup l = {.from = NOTE_NO_MEMBER};
	struct wire_yield y;
	struct wire_confirm c = {0};
	struct state *s;
	uint32_t winner;

	if (!wire_get_yield(&msg->body, &y)) {
		node_count(f->node, COUNTER_MSG_MALFORMED);
		return;
	}
	l.key = y.key;
	l.hash = flow_table_hash(f->states, &y.key);
	s = home_find(f, &l);
	for (winner = 0; winner < f->params->n_members; winner++)
		if (f->params->members[winner].id == y.winner)
			break;
	if (!s || winner == f->params->n_members || winner == f->params->self)
		return;
	/* A handshake may have come further since it confirmed, as that of the winner has: both
	 * were handed the carried packet. What is complete does not yield to a beginning. */
	if (state_rank(s) > y.rank && !(s->flags & STATE_HALF_OPEN))
		return;
	node_count(f->node, COUNTER_HOME_CONFLICT);
	state_clear_term(s);
	home_remove(f, s, DROP_NONE);
	c.rank = y.rank;
	c.age_ms = y.age_ms;
	relay_learn(f, &y.key, 0, winner, &c);
}

void firewall_message(struct firewall *f, struct channel_message *msg)
{
	switch (msg->type) {
	case WIRE_QUERY:
		answer_query(f, msg);
		break;
	case WIRE_CONFIRM:
		ask_confirmed(f, msg);
		break;
	case WIRE_FORWARD:
		answer_forward(f, msg);
		break;
	case WIRE_NOT_HOME:
		firewall_forget_flows(f, msg, false);
		break;
	case WIRE_RELEASE:
		firewall_forget_flows(f, msg, true);
		break;
	case WIRE_YIELD:
		firewall_yield(f, msg);
		break;
	case WIRE_BACKUP:
	case WIRE_BACKUP_END:
	case WIRE_TAKEN:
	case WIRE_BACKUP_ACK:
		backup_message(f, msg);
		break;
	default:
		node_count(f->node, COUNTER_MSG_TYPE);
	}
}

/* --- time and flushing ----------------------------------------------------------------------- */

static uint64_t earlier(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

uint64_t firewall_tick(struct firewall *f)
{
	uint64_t now = f->node->now_ns, next;

	next = home_tick(f);
	next = earlier(next, frag_table_expire(f->fragments, now));
	next = earlier(next, f->early_due_ns <= now ? early_tick(f) : f->early_due_ns);
	if (!f->channel)
		return next;
	next = earlier(next, relay_tick(f));
	next = earlier(next, ask_tick(f));
	next = earlier(next, backup_tick(f));
	if (f->release_due_ns <= now)
		answer_flush_releases(f);
	return earlier(next, f->release_due_ns);
}

/* A flow is taken over when its home was silent for half of dead-after, in which a hello was on its
 * way. */
bool firewall_late(struct firewall *f, uint64_t by_ns)
{
	uint64_t dead_ns = 1000000ULL * f->params->cluster.dead_ms;

	if (!f->backup || by_ns < dead_ns / 8)
		return false;
	f->backup->doubt_ns = f->node->now_ns + dead_ns;
	ask_again(f); /* the answers wait, too */
	return true;
}

uint32_t firewall_flush_states(struct firewall *f)
{
	uint32_t pos = 0, n = 0;
	struct state *s;

	backup_void(f);
	while ((s = flow_table_next(f->states, &pos))) {
		home_remove(f, s, DROP_FLUSHED);
		n++;
	}
	if (f->channel)
		answer_flush_releases(f);
	return n;
}

uint32_t firewall_flush_forwards(struct firewall *f)
{
	uint32_t pos = 0, n = 0;
	struct forward *fw;

	while (f->forwards && (fw = flow_table_next(f->forwards, &pos))) {
		relay_remove(f, fw, "flushed");
		n++;
	}
	return n;
}
