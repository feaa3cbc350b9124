/*
 * announce.c - that an address is ours alone, and that everybody knows (RFC 5227, RFC 4862 section
 * 5.4, RFC 9131).
 *
 *   probing ──(nobody has it)──▶ announcing ──▶ held ──(another host claims it)──▶ defended, held
 *      │ ▲
 *      ▼ │ after a while
 *     taken (not answered for)
 *
 * Addresses of a dispatcher that several nodes may play are not probed: the nodes agree whose they
 * are (HD-19), and who has them says so at once, and again while switches and hosts may have missed
 * it.
 */
#include "node/node_priv.h"

#define PROBE_COUNT 3
#define PROBE_NS 200000000ULL
#define ANNOUNCE_COUNT 3
#define ANNOUNCE_NS 1000000000ULL
#define ELECTED_COUNT 6
#define ELECTED_SOON_NS 20000000ULL
#define ELECTED_LATE_NS 5000000000ULL
#define ELECTED_AGAIN_NS 60000000000ULL
#define TAKEN_NS 10000000000ULL
#define TAKEN_SPREAD_NS 1000000000ULL /* so that two that probe at once do not for ever */
#define DEFEND_NS 10000000000ULL      /* RFC 5227 section 2.4: else two hosts would storm */

struct node_address *announce_find(struct node *n, uint16_t port, const struct ipaddr *a)
{
	for (size_t i = n->n_host_addresses; i < n->n_addresses; i++) {
		struct node_address *v = &n->addresses[i];
		if (v->port == port && ipaddr_eq(&v->prefix.addr, a))
			return v;
	}
	return NULL;
}

static void announce_due(struct node *n, struct node_address *a, uint64_t due_ns)
{
	a->due_ns = due_ns;
	if (due_ns < n->announce_due_ns)
		n->announce_due_ns = due_ns;
}

/* Nothing is asked: it is ours, or it is not. */
static void announce_settle(struct node *n, struct node_address *a)
{
	bool up = n->links[a->port].up;

	a->is_silent = n->silent_ports & 1u << a->port;
	a->is_taken = a->is_probing = false;
	a->left = up && !a->is_silent ? ELECTED_COUNT : 0;
	a->defended_ns = 0;
	announce_due(n, a, a->left ? n->now_ns : UINT64_MAX);
}

void announce_begin(struct node *n, struct node_address *a)
{
	const struct node_link *l = &n->links[a->port];
	bool alone = l->up && (l->is_capture || l->is_ours);

	if (n->elected_ports & 1u << a->port) {
		announce_settle(n, a);
		return;
	}
	a->is_silent = false;
	a->is_taken = false;
	a->is_probing = !alone;
	a->left = alone ? 0 : PROBE_COUNT;
	a->defended_ns = 0;
	announce_due(n, a, alone || !l->up ? UINT64_MAX : n->now_ns);
}

void announce_resume(struct node *n, struct node_address *a)
{
	if (!a->is_probing)
		return;
	a->is_probing = false;
	a->left = ANNOUNCE_COUNT;
	announce_due(n, a, n->now_ns);
}

void announce_link(struct node *n, uint16_t port)
{
	for (size_t i = n->n_host_addresses; i < n->n_addresses; i++)
		if (n->addresses[i].port == port)
			announce_begin(n, &n->addresses[i]);
}

void announce_again(struct node *n, uint16_t port)
{
	const struct node_link *l = &n->links[port];

	if (!l->up || l->is_capture)
		return;
	for (size_t i = n->n_host_addresses; i < n->n_addresses; i++) {
		struct node_address *a = &n->addresses[i];
		if (a->port != port || !node_address_answers(a))
			continue;
		a->left = ANNOUNCE_COUNT;
		announce_due(n, a, n->now_ns);
	}
}

void node_announce(struct node *n, uint16_t port)
{
	announce_again(n, port);
	announce_tick(n);
}

static void announce_note(struct node *n, const struct node_address *a, const char *detail)
{
	struct note *note = node_note(n, NOTE_ADDRESS_TAKEN);

	if (!note)
		return;
	note->port = a->port;
	note->has_address = true;
	note->address = a->prefix.addr;
	note->detail = detail;
}

/* --- what is sent ---------------------------------------------------------------------------- */

/* It says nothing of its sender, so that no cache of a neighbour is spoilt if the address is taken.
 */
static void announce_probe(struct node *n, const struct node_address *a)
{
	static const uint8_t zero[16];
	const struct ipaddr *target = &a->prefix.addr;
	struct ipaddr from = ipaddr_is_v4(target) ? ipaddr_v4(zero) : ipaddr_v6(zero);

	neighbour_request(n, a->port,
			  &(struct neighbour_request){
				  .from = &from, .target = target, .mac = n->links[a->port].mac});
}

static void announce_advert(struct node *n, const struct node_address *a)
{
	struct nd nd = {.type = 136,
			.src = a->prefix.addr,
			.dst = {.b = {0xff, 0x02, [15] = 1}},
			.target = a->prefix.addr,
			.has_mac = true,
			.mac = n->links[a->port].mac,
			.router = true,
			.override = true};
	struct build_eth eth = {.dst = {{0x33, 0x33, 0, 0, 0, 1}},
				.src = nd.mac,
				.vlan = n->params->ports[a->port].vlan};
	uint8_t *room = actions_room(n->out, BUILD_MAX);

	if (room)
		originate_frame(n, a->port, room, build_nd(n->build, &eth, &nd, room, BUILD_MAX));
}

static void announce_send(struct node *n, const struct node_address *a)
{
	const struct ipaddr *own = &a->prefix.addr;

	if (ipaddr_is_v4(own))
		neighbour_request(n, a->port,
				  &(struct neighbour_request){.from = own,
							      .target = own,
							      .mac = n->links[a->port].mac});
	else
		announce_advert(n, a);
}

/* --- steps ----------------------------------------------------------------------------------- */

static void announce_won(struct node *n, struct node_address *a)
{
	if (a->is_taken)
		announce_note(n, a, "free again: answered for from now on");
	a->is_probing = a->is_taken = false;
	a->left = ANNOUNCE_COUNT;
}

/* The first ones come in quick succession, the last one when a segment that was just joined again
 * has settled. */
static uint64_t announce_gap(const struct node *n, const struct node_address *a)
{
	if (!(n->elected_ports & 1u << a->port))
		return a->left ? ANNOUNCE_NS : UINT64_MAX - n->now_ns;
	/* One that is not heard may play it, too, and die unheard. */
	if (a->left == 0)
		return n->unheard_ports & 1u << a->port ? ELECTED_LATE_NS : ELECTED_AGAIN_NS;
	if (a->left >= ELECTED_COUNT - 2)
		return ELECTED_SOON_NS;
	return a->left > 1 ? ANNOUNCE_NS : ELECTED_LATE_NS;
}

void node_set_unheard(struct node *n, uint32_t ports)
{
	uint32_t fresh = ports & ~n->unheard_ports;

	n->unheard_ports = ports;
	for (size_t i = n->n_host_addresses; fresh && i < n->n_addresses; i++) {
		struct node_address *a = &n->addresses[i];
		uint64_t due = n->now_ns + ELECTED_LATE_NS;

		if (fresh & 1u << a->port && a->left == 0 && !a->is_silent && a->due_ns > due)
			announce_due(n, a, due);
	}
}

static void announce_step(struct node *n, struct node_address *a)
{
	if (a->is_taken && !a->is_probing) {
		a->is_probing = true;
		a->left = PROBE_COUNT;
	}
	if (a->is_probing && a->left > 0) {
		announce_probe(n, a);
		a->left--;
		announce_due(n, a, n->now_ns + PROBE_NS);
		return;
	}
	if (a->is_probing)
		announce_won(n, a);
	announce_send(n, a);
	if (a->left > 0)
		a->left--;
	announce_due(n, a, n->now_ns + announce_gap(n, a));
}

uint64_t announce_tick(struct node *n)
{
	if (n->now_ns < n->announce_due_ns)
		return n->announce_due_ns;
	n->announce_due_ns = UINT64_MAX;
	for (size_t i = n->n_host_addresses; i < n->n_addresses; i++) {
		struct node_address *a = &n->addresses[i];
		if (a->due_ns <= n->now_ns)
			announce_step(n, a);
		if (a->due_ns < n->announce_due_ns)
			n->announce_due_ns = a->due_ns;
	}
	return n->announce_due_ns;
}

/* --- what other hosts say -------------------------------------------------------------------- */

static bool announce_is_own_mac(const struct node *n, const struct macaddr *mac)
{
	for (uint32_t i = 0; i < n->params->n_ports; i++)
		if (node_link_has(&n->links[i], mac))
			return true;
	return false;
}

static void announce_taken(struct node *n, struct node_address *a)
{
	if (!a->is_taken)
		announce_note(n, a, "another host has it: left to that host until it falls silent");
	a->is_taken = true;
	a->is_probing = false;
	announce_due(n, a, n->now_ns + TAKEN_NS + rng_u64(&n->rng) % TAKEN_SPREAD_NS);
}

static void announce_defend(struct node *n, struct node_address *a)
{
	bool elected = n->elected_ports & 1u << a->port;

	node_count(n, COUNTER_ADDRESS_CLAIMED);
	if (a->defended_ns && n->now_ns - a->defended_ns < (elected ? ANNOUNCE_NS : DEFEND_NS))
		return;
	a->defended_ns = n->now_ns;
	if (elected) { /* most likely one who stood still and does not know yet */
		announce_send(n, a);
		return;
	}
	announce_note(n, a, "another host claims it, too: find that host; defended once in 10 s");
	announce_send(n, a);
}

void announce_heard(struct node *n, uint16_t port, const struct ipaddr *addr,
		    const struct macaddr *mac, bool probe)
{
	const struct node_link *l = &n->links[port];
	struct node_address *a = announce_find(n, port, addr);

	if (!a || a->is_silent || l->is_capture || l->is_ours || announce_is_own_mac(n, mac))
		return;
	if (a->is_probing)
		announce_taken(n, a);
	else if (!a->is_taken && !probe) /* a probe gets its answer */
		announce_defend(n, a);
}
