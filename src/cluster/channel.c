#include "cluster/channel.h"

#include <assert.h>
#include <string.h>

#include "cluster/channel_impl.h"

#define MTU_DEFAULT 1500
#define UDP_HEADER 8
#define EVENT_GAP_NS (10000 * NS_PER_MS)

/* Deriving a key is as cheap as opening a message, so this is only a lid on garbage that carries
 * correct headers; challenges and answers cost datagrams and are rarer. */
#define DERIVE_RATE 100
#define DERIVE_RATE_ALL 1000
#define CHALLENGE_RATE 10
#define CHALLENGE_RATE_ALL 100
#define ANSWER_RATE 10
#define ANSWER_RATE_ALL 100

static void set_endpoint(struct channel *ch, struct member *m)
{
	const struct member_params *p = m->pub.params;

	if (!p->has_address)
		return;
	m->pub.has_endpoint = true;
	m->pub.endpoint = (struct endpoint){
		.addr = p->address,
		.port = p->udp_port ? p->udp_port : ch->params->cluster.udp_port,
	};
}

static void member_init(struct channel *ch, struct member *m, const struct member_params *params,
			uint64_t now_ns)
{
	memset(m, 0, sizeof(*m));
	m->pub.params = params;
	m->pub.since_ns = now_ns;
	m->pub.generation = ++ch->generation;
	bucket_init(&m->derive, DERIVE_RATE, DERIVE_RATE, now_ns);
	bucket_init(&m->challenge, CHALLENGE_RATE, CHALLENGE_RATE, now_ns);
	bucket_init(&m->answer, ANSWER_RATE, ANSWER_RATE, now_ns);
	liveness_reset(m, now_ns);
	if (channel_is_self(ch, m)) {
		m->pub.up = m->pub.proven = true;
		memcpy(m->pub.boot_id, ch->boot_id, WIRE_BOOT_ID);
	}
}

void channel_set_key(struct channel *ch)
{
	const struct cluster_params *p = &ch->params->cluster;
	const struct seal_owner owner = {p->id, ch->params->node_id, ch->boot_id};
	uint8_t cipher =
		seal_available((uint8_t)p->cipher) ? (uint8_t)p->cipher : CIPHER_CHACHA20_POLY1305;

	ch->tx_key_id = keyring_active(ch->keys);
	seal_init(&ch->tx, keyring_find(ch->keys, ch->tx_key_id), cipher, &owner);
}

static uint64_t fnv(uint64_t h, const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size-- > 0)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return h;
}

static uint64_t hash_number(uint64_t h, uint32_t v)
{
	uint8_t b[4];
	struct wcur c = wcur_init(b, sizeof(b));

	wcur_u32(&c, v);
	return fnv(h, b, sizeof(b));
}

/* Of what the members must agree on. The sum over the members does not depend on their order. */
static uint64_t hash_config(const struct params *params)
{
	const struct cluster_params *p = &params->cluster;
	uint64_t h = 0xcbf29ce484222325ULL, members = 0;

	h = hash_number(h, p->id);
	h = hash_number(h, p->transport);
	h = hash_number(h, p->hello_ms);
	h = hash_number(h, p->dead_ms);
	for (uint32_t i = 0; i < params->n_members; i++) {
		const struct member_params *m = &params->members[i];

		members += fnv(hash_number(h, m->id), m->name, strlen(m->name));
	}
	return hash_number(h, params->n_members) ^ members;
}

struct channel *channel_new(const struct params *params, struct keyring *keys,
			    const uint8_t boot_id[WIRE_BOOT_ID], struct rng rng,
			    const struct channel_io *io, uint64_t now_ns)
{
	struct channel *ch;

	assert(params->n_members <= PARAMS_MEMBERS && params->self < params->n_members);
	if (sodium_init() < 0 || !(ch = sodium_malloc(sizeof(*ch)))) {
		keyring_free(keys);
		return NULL;
	}
	memset(ch, 0, sizeof(*ch));
	ch->params = params;
	ch->keys = keys;
	ch->io = *io;
	ch->rng = rng;
	memcpy(ch->boot_id, boot_id, WIRE_BOOT_ID);
	ch->config_hash = hash_config(params);
	ch->next_hello_ns = ch->due_ns = now_ns;
	bucket_init(&ch->derive, DERIVE_RATE_ALL, DERIVE_RATE_ALL, now_ns);
	bucket_init(&ch->challenge, CHALLENGE_RATE_ALL, CHALLENGE_RATE_ALL, now_ns);
	bucket_init(&ch->answer, ANSWER_RATE_ALL, ANSWER_RATE_ALL, now_ns);
	for (uint32_t i = 0; i < PARAMS_MEMBERS; i++)
		ch->members[i] = &ch->pool[i];
	for (uint32_t i = 0; i < params->n_members; i++) {
		member_init(ch, ch->members[i], &params->members[i], now_ns);
		set_endpoint(ch, ch->members[i]);
	}
	channel_set_key(ch);
	return ch;
}

void channel_free(struct channel *ch)
{
	if (!ch)
		return;
	keyring_free(ch->keys);
	sodium_free(ch); /* wipes */
}

static const struct member_params *find_params(const struct params *params, uint16_t id)
{
	for (uint32_t i = 0; i < params->n_members; i++) {
		if (params->members[i].id == id)
			return &params->members[i];
	}
	return NULL;
}

/* Put the members that stay where the new list has them, and give the others a fresh slot. */
static void move_members(struct channel *ch, const struct params *params, bool keep[])
{
	struct member *old[PARAMS_MEMBERS];
	uint32_t next_free = 0;

	memcpy(old, ch->members, sizeof(old));
	for (uint32_t i = 0; i < params->n_members; i++) {
		ch->members[i] = NULL;
		for (uint32_t j = 0; j < PARAMS_MEMBERS && !ch->members[i]; j++) {
			if (keep[j] && old[j]->pub.params->id == params->members[i].id)
				ch->members[i] = old[j];
		}
	}
	for (uint32_t i = 0; i < PARAMS_MEMBERS; i++) {
		if (i < params->n_members && ch->members[i])
			continue;
		while (keep[next_free])
			next_free++;
		ch->members[i] = old[next_free++];
		sodium_memzero(ch->members[i], sizeof(*ch->members[i]));
	}
}

static void adopt_member(struct channel *ch, struct member *m, const struct member_params *params,
			 uint64_t now_ns)
{
	if (!m->pub.params) {
		member_init(ch, m, params, now_ns);
	} else {
		if (m->pub.params->has_address && !params->has_address)
			m->pub.has_endpoint = false; /* learnt again from its next message */
		m->pub.params = params;
		m->differs = 0;
		epoch_forget_keys(&m->live);
		for (unsigned i = 0; i < CHANNEL_CANDIDATES; i++)
			epoch_forget_keys(&m->candidates[i].epoch);
	}
	set_endpoint(ch, m);
}

void channel_configure(struct channel *ch, const struct params *params, struct keyring *keys,
		       uint64_t now_ns)
{
	const struct params *old = ch->params;
	bool keep[PARAMS_MEMBERS] = {false};

	assert(params->n_members <= PARAMS_MEMBERS && params->self < params->n_members);
	for (uint32_t i = 0; i < old->n_members; i++) {
		keep[i] = find_params(params, old->members[i].id) != NULL;
		if (!keep[i] && i != old->self)
			channel_tell(ch, ch->members[i], CHANNEL_MEMBER_LEFT);
		/* Who becomes or ceases to be ourselves keeps nothing. */
		if (params->node_id != old->node_id &&
		    (old->members[i].id == params->node_id || old->members[i].id == old->node_id))
			keep[i] = false;
	}
	move_members(ch, params, keep);
	ch->params = params;
	if (keys) {
		keyring_free(ch->keys);
		ch->keys = keys;
	}
	for (uint32_t i = 0; i < params->n_members; i++)
		adopt_member(ch, ch->members[i], &params->members[i], now_ns);
	channel_set_key(ch);
	ch->config_hash = hash_config(params);
	ch->next_hello_ns = now_ns;
}

void channel_set_segments(struct channel *ch, const struct wire_segment *segments, unsigned n)
{
	assert(n <= PARAMS_PORTS);
	if (n > 0)
		memcpy(ch->segments, segments, n * sizeof(*segments));
	ch->n_segments = (uint8_t)n;
}

void channel_set_flows(struct channel *ch, uint32_t n_flows)
{
	ch->n_flows = n_flows;
}

void channel_set_mtu(struct channel *ch, uint32_t mtu)
{
	ch->device_mtu = mtu;
}

/* Bytes of the IP header in front of our datagrams. */
static size_t ip_header(const struct channel *ch)
{
	const struct params *p = ch->params;

	if (channel_multicasts(ch) && !ipaddr_is_v4(&p->cluster.group))
		return 40;
	for (uint32_t i = 0; i < p->n_members; i++) {
		if (p->members[i].has_address && !ipaddr_is_v4(&p->members[i].address))
			return 40;
	}
	return 20;
}

size_t channel_room(const struct channel *ch)
{
	size_t mtu = ch->params->cluster.mtu ? ch->params->cluster.mtu : ch->device_mtu;
	size_t overhead = ip_header(ch) + UDP_HEADER + WIRE_OVERHEAD;

	if (mtu == 0)
		mtu = MTU_DEFAULT;
	if (mtu > WIRE_DATAGRAM_MAX)
		mtu = WIRE_DATAGRAM_MAX;
	return mtu > overhead ? mtu - overhead : 0;
}

bool channel_may_tell(struct event_limit *l, uint64_t now_ns)
{
	if (l->used && now_ns - l->last_ns < EVENT_GAP_NS)
		return false;
	*l = (struct event_limit){.used = true, .last_ns = now_ns};
	return true;
}

void channel_tell(struct channel *ch, const struct member *m, enum channel_event event)
{
	ch->io.event(ch->io.arg, event, channel_index(ch, m));
}

bool channel_begin(struct channel *ch, size_t max, struct wcur *body)
{
	uint8_t *room;

	if (max > WIRE_DATAGRAM_MAX - WIRE_OVERHEAD)
		return false;
	room = ch->io.room(ch->io.arg, max + WIRE_OVERHEAD);
	if (!room)
		return false;
	*body = wcur_init(room + WIRE_HEADER, max);
	return true;
}

const uint8_t *channel_seal(struct channel *ch, uint8_t type, struct wcur *body, size_t *size)
{
	uint8_t *data = body->start - WIRE_HEADER;
	struct wcur head = wcur_init(data, WIRE_HEADER);
	struct wire_header h = {
		.version = WIRE_VERSION,
		.version_max = WIRE_VERSION,
		.type = type,
		.key_id = ch->tx_key_id,
		.cipher = ch->tx.cipher,
		.cluster_id = ch->params->cluster.id,
		.node_id = ch->params->node_id,
	};

	if (!wcur_ok(body))
		return NULL;
	*size = wcur_size(body) + WIRE_OVERHEAD;
	h.length = (uint16_t)*size;
	h.counter = ++ch->counter;
	memcpy(h.boot_id, ch->boot_id, WIRE_BOOT_ID);
	wire_put_header(&head, &h);
	seal_close(&ch->tx, &h, data, *size);
	return data;
}

void channel_emit(struct channel *ch, const struct endpoint *to, const uint8_t *data, size_t size)
{
	channel_count(ch, COUNTER_MSG_OUT);
	ch->io.counters[COUNTER_MSG_BYTES_OUT] += size;
	ch->io.emit(ch->io.arg, to, data, size);
}

/* A member that fell silent is not there; one that is proven but whose hello is still on its way
 * is. */
static bool reachable(const struct channel *ch, const struct member *m)
{
	return !channel_is_self(ch, m) && m->pub.has_endpoint &&
	       (m->pub.up || (m->pub.proven && !m->has_hello));
}

static bool send_one(struct channel *ch, uint8_t type, struct wcur *body, const struct member *m)
{
	const uint8_t *data;
	size_t size;

	if (!reachable(ch, m))
		return false;
	data = channel_seal(ch, type, body, &size);
	if (!data)
		return false;
	channel_emit(ch, &m->pub.endpoint, data, size);
	return true;
}

/* One datagram, the same bytes for all: by the group, and to those whom the group does not reach.
 */
static bool send_all(struct channel *ch, uint8_t type, struct wcur *body)
{
	unsigned n_group = 0, n_copies = 0;
	const uint8_t *data;
	size_t size;

	for (uint32_t i = 0; i < ch->params->n_members; i++) {
		const struct member *m = ch->members[i];

		if (channel_is_self(ch, m) || !m->pub.up)
			continue;
		if (liveness_needs_copy(ch, m))
			n_copies++;
		else if (channel_multicasts(ch))
			n_group++;
	}
	if (n_group + n_copies == 0 || !(data = channel_seal(ch, type, body, &size)))
		return false;
	if (n_group > 0)
		channel_emit(ch, NULL, data, size);
	for (uint32_t i = 0; i < ch->params->n_members && n_copies > 0; i++) {
		const struct member *m = ch->members[i];

		if (!channel_is_self(ch, m) && m->pub.up && liveness_needs_copy(ch, m))
			channel_emit(ch, &m->pub.endpoint, data, size);
	}
	return true;
}

bool channel_send(struct channel *ch, uint8_t type, struct wcur *body, uint32_t to)
{
	if (to == CHANNEL_ALL)
		return send_all(ch, type, body);
	assert(to < ch->params->n_members);
	return send_one(ch, type, body, ch->members[to]);
}

bool channel_send_way(struct channel *ch, uint8_t type, struct wcur *body,
		      const struct endpoint *way)
{
	const uint8_t *data;
	size_t size;

	data = channel_seal(ch, type, body, &size);
	if (data)
		channel_emit(ch, way, data, size);
	return data != NULL;
}

uint64_t channel_tick(struct channel *ch, uint64_t now_ns)
{
	uint64_t next;

	/* After a stall the hellos of the others wait in the socket: read them before judging. */
	if (now_ns > ch->due_ns + ch->params->cluster.hello_ms * NS_PER_MS)
		ch->resumed_ns = now_ns;
	next = liveness_tick(ch, now_ns);
	for (uint32_t i = 0; i < ch->params->n_members; i++) {
		uint64_t due = boot_tick(ch, ch->members[i], now_ns);

		next = due < next ? due : next;
	}
	ch->due_ns = next;
	return next;
}

void channel_goodbye(struct channel *ch)
{
	struct wcur body;

	ch->leaving = true;
	if (channel_begin(ch, 0, &body))
		channel_send(ch, WIRE_GOODBYE, &body, CHANNEL_ALL);
}

uint32_t channel_n_members(const struct channel *ch)
{
	return ch->params->n_members;
}

const struct channel_member *channel_member(const struct channel *ch, uint32_t index)
{
	assert(index < ch->params->n_members);
	return &ch->members[index]->pub;
}

unsigned channel_n_up(const struct channel *ch)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < ch->params->n_members; i++)
		n += i != ch->params->self && ch->members[i]->pub.up;
	return n;
}

const struct wire_segment *channel_segment(const struct channel *ch, uint32_t member, uint64_t name)
{
	const struct channel_member *m = channel_member(ch, member);

	for (unsigned i = 0; i < m->n_segments; i++)
		if (m->segments[i].name == name)
			return &m->segments[i];
	return NULL;
}

uint32_t channel_member_by_mac(const struct channel *ch, uint64_t name, const struct macaddr *mac)
{
	for (uint32_t i = 0; i < ch->params->n_members; i++) {
		const struct wire_segment *s = channel_segment(ch, i, name);
		if (i != ch->params->self && s && macaddr_eq(&s->mac, mac))
			return i;
	}
	return CHANNEL_ALL;
}
