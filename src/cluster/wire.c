#include "cluster/wire.h"

#include <assert.h>

#define VLAN_MAX 4094

/* Bytes of a query without header, key, packet and tag: id, flags, segment, frag_id, age_ms, rank.
 */
#define QUERY_FIXED (8 + 1 + 8 + 4 + 4 + 1)

#define QUERY_FLAGS                                                                                \
	(WIRE_QUERY_CARRIED | WIRE_QUERY_DIR | WIRE_QUERY_ERROR | WIRE_QUERY_FRAGMENT |            \
	 WIRE_QUERY_OWN)
#define CONFIRM_FLAGS (WIRE_CONFIRM_DELIVERED | WIRE_CONFIRM_FRAGMENT)
#define HEARD_FLAGS WIRE_HEARD_MULTICAST
#define TARGET_FLAGS WIRE_TARGET_DRAINED
#define HAVE_FLAGS (WIRE_HAVE_YES | WIRE_HAVE_DRAINED)

const char *wire_type_name(uint8_t type)
{
	switch (type) {
#define WIRE_TYPE_NAME(sym, value, name)                                                           \
	case WIRE_##sym:                                                                           \
		return name;
		WIRE_TYPE_LIST(WIRE_TYPE_NAME)
#undef WIRE_TYPE_NAME
	default:
		return "unknown";
	}
}

bool wire_type_known(uint8_t type)
{
	switch (type) {
#define WIRE_TYPE_KNOWN(sym, value, name) case WIRE_##sym:
		WIRE_TYPE_LIST(WIRE_TYPE_KNOWN)
#undef WIRE_TYPE_KNOWN
		return true;
	default:
		return false;
	}
}

uint64_t wire_segment_id(const char *name)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ULL;
	return h;
}

/* A message ends where its last field ends: bytes behind it make it malformed. */
static bool complete(const struct rcur *c)
{
	return rcur_ok(c) && rcur_left(c) == 0;
}

void wire_put_header(struct wcur *c, const struct wire_header *h)
{
	wcur_u32(c, WIRE_MAGIC);
	wcur_u8(c, h->version);
	wcur_u8(c, h->version_max);
	wcur_u8(c, h->type);
	wcur_u8(c, h->key_id);
	wcur_u16(c, h->cluster_id);
	wcur_u16(c, h->node_id);
	wcur_u8(c, h->cipher);
	wcur_u8(c, 0);
	wcur_u16(c, h->length);
	wcur_bytes(c, h->boot_id, sizeof(h->boot_id));
	wcur_u64(c, h->counter);
}

enum wire_result wire_get_header(struct wire_header *h, const void *data, size_t size)
{
	struct rcur c = rcur_init(data, size);

	memset(h, 0, sizeof(*h));
	if (size < WIRE_OVERHEAD)
		return WIRE_SHORT;
	if (rcur_u32(&c) != WIRE_MAGIC)
		return WIRE_BAD_MAGIC;
	h->version = rcur_u8(&c);
	h->version_max = rcur_u8(&c);
	if (h->version != WIRE_VERSION) /* all behind this byte may mean something else there */
		return WIRE_BAD_VERSION;
	h->type = rcur_u8(&c);
	h->key_id = rcur_u8(&c);
	h->cluster_id = rcur_u16(&c);
	h->node_id = rcur_u16(&c);
	h->cipher = rcur_u8(&c);
	rcur_skip(&c, 1);
	h->length = rcur_u16(&c);
	rcur_bytes(&c, h->boot_id, sizeof(h->boot_id));
	h->counter = rcur_u64(&c);
	return rcur_ok(&c) && h->length == size ? WIRE_OK : WIRE_SHORT;
}

static size_t key_size(const struct flow_key *key)
{
	return key->version == 4 ? 14 : 38;
}

static void put_address(struct wcur *c, const struct ipaddr *a, uint8_t version)
{
	if (version == 4)
		wcur_bytes(c, a->b + 12, 4);
	else
		wcur_bytes(c, a->b, 16);
}

static struct ipaddr get_address(struct rcur *c, uint8_t version)
{
	uint8_t b[16];

	rcur_bytes(c, b, version == 4 ? 4 : 16);
	return version == 4 ? ipaddr_v4(b) : ipaddr_v6(b);
}

void wire_put_key(struct wcur *c, const struct flow_key *key)
{
	wcur_u8(c, key->version);
	wcur_u8(c, key->proto);
	wcur_u16(c, key->aport);
	wcur_u16(c, key->bport);
	put_address(c, &key->a, key->version);
	put_address(c, &key->b, key->version);
}

bool wire_get_key(struct rcur *c, struct flow_key *key)
{
	struct flow_key canonical;
	struct pkt_tuple t;

	memset(key, 0, sizeof(*key));
	key->version = rcur_u8(c);
	if (key->version != 4 && key->version != 6)
		return false;
	key->proto = rcur_u8(c);
	key->aport = rcur_u16(c);
	key->bport = rcur_u16(c);
	key->a = get_address(c, key->version);
	key->b = get_address(c, key->version);
	if (!rcur_ok(c))
		return false;
	/* Only one order of the endpoints names a flow, else one flow could be stored twice. */
	t = flow_key_tuple(key, 0);
	flow_key_make(&canonical, &t, key->version);
	return flow_key_eq(key, &canonical);
}

static void put_segment(struct wcur *c, const struct wire_segment *s)
{
	wcur_u64(c, s->name);
	wcur_bytes(c, s->mac.b, sizeof(s->mac.b));
	wcur_u16(c, s->vlan);
}

static bool get_segment(struct rcur *c, struct wire_segment *s)
{
	memset(s, 0, sizeof(*s));
	s->name = rcur_u64(c);
	rcur_bytes(c, s->mac.b, sizeof(s->mac.b));
	s->vlan = rcur_u16(c);
	return rcur_ok(c) && s->vlan <= VLAN_MAX;
}

void wire_put_hello(struct wcur *c, const struct wire_hello *m)
{
	assert(m->n_segments <= PARAMS_PORTS && m->n_heard <= PARAMS_MEMBERS);
	wcur_u32(c, m->hello_ms);
	wcur_u32(c, m->dead_ms);
	wcur_u64(c, m->config_hash);
	wcur_u32(c, m->n_flows);
	wcur_u8(c, m->n_segments);
	wcur_u8(c, m->n_heard);
	for (unsigned i = 0; i < m->n_segments; i++)
		put_segment(c, &m->segments[i]);
	for (unsigned i = 0; i < m->n_heard; i++) {
		wcur_u16(c, m->heard[i].node_id);
		wcur_u8(c, m->heard[i].flags);
	}
}

/* Entry `i` of the list of members heard: a real id, known flags, not listed before. */
static bool get_heard(struct rcur *c, struct wire_hello *m, unsigned i)
{
	struct wire_heard *h = &m->heard[i];

	h->node_id = rcur_u16(c);
	h->flags = rcur_u8(c);
	if (!rcur_ok(c) || h->node_id == 0 || (h->flags & ~HEARD_FLAGS) != 0)
		return false;
	for (unsigned j = 0; j < i; j++) {
		if (m->heard[j].node_id == h->node_id)
			return false;
	}
	return true;
}

bool wire_get_hello(struct rcur *c, struct wire_hello *m)
{
	memset(m, 0, sizeof(*m));
	m->hello_ms = rcur_u32(c);
	m->dead_ms = rcur_u32(c);
	m->config_hash = rcur_u64(c);
	m->n_flows = rcur_u32(c);
	m->n_segments = rcur_u8(c);
	m->n_heard = rcur_u8(c);
	if (!rcur_ok(c) || m->hello_ms == 0 || m->dead_ms == 0 || m->n_segments > PARAMS_PORTS ||
	    m->n_heard > PARAMS_MEMBERS)
		return false;
	for (unsigned i = 0; i < m->n_segments; i++) {
		if (!get_segment(c, &m->segments[i]))
			return false;
	}
	for (unsigned i = 0; i < m->n_heard; i++) {
		if (!get_heard(c, m, i))
			return false;
	}
	return complete(c);
}

void wire_put_challenge(struct wcur *c, const struct wire_challenge *m)
{
	wcur_bytes(c, m->boot_id, sizeof(m->boot_id));
	wcur_bytes(c, m->nonce, sizeof(m->nonce));
}

bool wire_get_challenge(struct rcur *c, struct wire_challenge *m)
{
	rcur_bytes(c, m->boot_id, sizeof(m->boot_id));
	rcur_bytes(c, m->nonce, sizeof(m->nonce));
	return complete(c);
}

void wire_put_response(struct wcur *c, const uint8_t nonce[WIRE_NONCE])
{
	wcur_bytes(c, nonce, WIRE_NONCE);
}

bool wire_get_response(struct rcur *c, uint8_t nonce[WIRE_NONCE])
{
	rcur_bytes(c, nonce, WIRE_NONCE);
	return complete(c);
}

size_t wire_query_size(const struct flow_key *key, size_t packet_len)
{
	return WIRE_OVERHEAD + QUERY_FIXED + key_size(key) + packet_len;
}

/* The packet is the rest of the message, so its length is stated once, by the datagram. */
static bool get_packet(struct rcur *c, const uint8_t **packet, uint16_t *len)
{
	size_t left = rcur_left(c);

	if (!rcur_ok(c) || left > UINT16_MAX)
		return false;
	*packet = rcur_take(c, left);
	*len = (uint16_t)left;
	return true;
}

void wire_put_query(struct wcur *c, const struct wire_query *m)
{
	wcur_u64(c, m->id);
	wcur_u8(c, m->flags);
	wire_put_key(c, &m->key);
	wcur_u64(c, m->segment);
	wcur_u32(c, m->frag_id);
	wcur_u32(c, m->age_ms);
	wcur_u8(c, m->rank);
	wcur_bytes(c, m->packet, m->packet_len);
}

bool wire_get_query(struct rcur *c, struct wire_query *m)
{
	memset(m, 0, sizeof(*m));
	m->id = rcur_u64(c);
	m->flags = rcur_u8(c);
	if ((m->flags & ~QUERY_FLAGS) != 0 || !wire_get_key(c, &m->key))
		return false;
	m->segment = rcur_u64(c);
	m->frag_id = rcur_u32(c);
	m->age_ms = rcur_u32(c);
	m->rank = rcur_u8(c);
	if (!get_packet(c, &m->packet, &m->packet_len))
		return false;
	return !(m->flags & WIRE_QUERY_CARRIED) || m->packet_len > 0;
}

void wire_put_confirm(struct wcur *c, const struct wire_confirm *m)
{
	wcur_u64(c, m->id);
	wcur_u8(c, m->flags);
	wire_put_key(c, &m->key);
	wcur_u8(c, m->rank);
	wcur_u32(c, m->age_ms);
	wcur_u32(c, m->life_ms);
}

bool wire_get_confirm(struct rcur *c, struct wire_confirm *m)
{
	memset(m, 0, sizeof(*m));
	m->id = rcur_u64(c);
	m->flags = rcur_u8(c);
	if ((m->flags & ~CONFIRM_FLAGS) != 0 || !wire_get_key(c, &m->key))
		return false;
	m->rank = rcur_u8(c);
	m->age_ms = rcur_u32(c);
	m->life_ms = rcur_u32(c);
	return complete(c);
}

void wire_put_keys(struct wcur *c, const struct wire_keys *m)
{
	assert(m->n > 0 && m->n <= WIRE_KEYS_MAX);
	wcur_u8(c, m->n);
	for (unsigned i = 0; i < m->n; i++)
		wire_put_key(c, &m->keys[i]);
}

bool wire_get_keys(struct rcur *c, struct wire_keys *m)
{
	memset(m, 0, sizeof(*m));
	m->n = rcur_u8(c);
	if (m->n == 0 || m->n > WIRE_KEYS_MAX)
		return false;
	for (unsigned i = 0; i < m->n; i++) {
		if (!wire_get_key(c, &m->keys[i]))
			return false;
	}
	return complete(c);
}

void wire_put_forward(struct wcur *c, const struct wire_forward *m)
{
	wcur_u64(c, m->segment);
	wcur_bytes(c, m->packet, m->packet_len);
}

bool wire_get_forward(struct rcur *c, struct wire_forward *m)
{
	memset(m, 0, sizeof(*m));
	m->segment = rcur_u64(c);
	return get_packet(c, &m->packet, &m->packet_len) && m->packet_len > 0;
}

void wire_put_yield(struct wcur *c, const struct wire_yield *m)
{
	wire_put_key(c, &m->key);
	wcur_u16(c, m->winner);
	wcur_u8(c, m->rank);
	wcur_u32(c, m->age_ms);
}

bool wire_get_yield(struct rcur *c, struct wire_yield *m)
{
	memset(m, 0, sizeof(*m));
	if (!wire_get_key(c, &m->key))
		return false;
	m->winner = rcur_u16(c);
	m->rank = rcur_u8(c);
	m->age_ms = rcur_u32(c);
	return complete(c) && m->winner != 0;
}

void wire_put_path(struct wcur *c, const struct wire_path *m)
{
	wire_put_key(c, &m->key);
	wcur_u16(c, m->path);
}

bool wire_get_path(struct rcur *c, struct wire_path *m)
{
	memset(m, 0, sizeof(*m));
	if (!wire_get_key(c, &m->key))
		return false;
	m->path = rcur_u16(c);
	return complete(c);
}

void wire_put_path_ask(struct wcur *c, const struct flow_key *key)
{
	wire_put_key(c, key);
}

bool wire_get_path_ask(struct rcur *c, struct flow_key *key)
{
	return wire_get_key(c, key) && complete(c);
}

static void put_target(struct wcur *c, const struct wire_target *t)
{
	wcur_u64(c, t->identity);
	wcur_u64(c, t->version);
	wcur_u16(c, t->node_id);
	wcur_u16(c, t->weight);
	wcur_u8(c, t->flags);
}

static bool get_target(struct rcur *c, struct wire_target *t)
{
	t->identity = rcur_u64(c);
	t->version = rcur_u64(c);
	t->node_id = rcur_u16(c);
	t->weight = rcur_u16(c);
	t->flags = rcur_u8(c);
	return rcur_ok(c) && t->version != 0 && t->node_id != 0 && t->weight <= PARAMS_WEIGHT_MAX &&
	       (t->flags & ~TARGET_FLAGS) == 0;
}

void wire_put_targets(struct wcur *c, const struct wire_targets *m)
{
	assert(m->n > 0 && m->n <= WIRE_TARGETS_MAX);
	wcur_u8(c, m->n);
	for (unsigned i = 0; i < m->n; i++)
		put_target(c, &m->v[i]);
}

bool wire_get_targets(struct rcur *c, struct wire_targets *m)
{
	memset(m, 0, sizeof(*m));
	m->n = rcur_u8(c);
	if (m->n == 0 || m->n > WIRE_TARGETS_MAX)
		return false;
	for (unsigned i = 0; i < m->n; i++) {
		if (!get_target(c, &m->v[i]))
			return false;
	}
	return complete(c);
}

void wire_put_who_has(struct wcur *c, const struct wire_who_has *m)
{
	wcur_u32(c, m->service);
	wcur_u32(c, m->server);
}

bool wire_get_who_has(struct rcur *c, struct wire_who_has *m)
{
	m->service = rcur_u32(c);
	m->server = rcur_u32(c);
	return complete(c) && m->service != 0 && m->server != 0;
}

void wire_put_have(struct wcur *c, const struct wire_have *m)
{
	wcur_u32(c, m->service);
	wcur_u32(c, m->server);
	wcur_u8(c, m->flags);
}

bool wire_get_have(struct rcur *c, struct wire_have *m)
{
	m->service = rcur_u32(c);
	m->server = rcur_u32(c);
	m->flags = rcur_u8(c);
	/* drained is something that it has */
	return complete(c) && m->service != 0 && m->server != 0 && (m->flags & ~HAVE_FLAGS) == 0 &&
	       m->flags != WIRE_HAVE_DRAINED;
}
