#include "cluster/channel_impl.h"

/* Payload of the longest hello. */
#define HELLO_MAX (4 + 4 + 8 + 4 + 1 + 1 + PARAMS_PORTS * 16 + PARAMS_MEMBERS * 3)

void liveness_reset(struct member *m, uint64_t now_ns)
{
	m->has_hello = false;
	m->hears_us = false;
	m->multicast_heard = false;
	m->multicast_ns = now_ns;
	m->differs = 0;
}

void liveness_set(struct channel *ch, struct member *m, bool up, enum channel_event event,
		  uint64_t now_ns)
{
	m->pub.up = up;
	m->pub.since_ns = now_ns;
	m->pub.generation = ++ch->generation;
	if (!up)
		m->hears_us = false; /* says nothing any more */
	channel_tell(ch, m, event);
}

void liveness_heard(struct channel *ch, struct member *m, const struct input *in)
{
	m->pub.heard_ns = in->now_ns;
	if (!m->pub.params->has_address) {
		m->pub.endpoint = *in->from;
		m->pub.has_endpoint = true;
	}
	if (!m->pub.up && m->has_hello && in->h.type != WIRE_GOODBYE)
		liveness_set(ch, m, true, CHANNEL_MEMBER_UP, in->now_ns);
}

static bool lists_us(const struct channel *ch, const struct wire_hello *hello)
{
	for (unsigned i = 0; i < hello->n_heard; i++) {
		if (hello->heard[i].node_id == ch->params->node_id)
			return hello->heard[i].flags & WIRE_HEARD_MULTICAST;
	}
	return false;
}

static void compare_config(struct channel *ch, struct member *m, uint64_t hash)
{
	uint64_t differs = hash == ch->config_hash ? 0 : hash;

	if (differs != 0 && differs != m->differs)
		channel_tell(ch, m, CHANNEL_CONFIG_DIFFERS);
	m->differs = differs;
	m->pub.config_differs = differs != 0;
}

/* A member that could speak a newer version does not, as long as this one cannot. */
static void compare_version(struct channel *ch, struct member *m, uint8_t version)
{
	bool told = m->pub.version == version && !m->pub.unreadable;

	m->pub.version = version;
	m->pub.unreadable = false;
	if (version != WIRE_VERSION && !told)
		channel_tell(ch, m, CHANNEL_VERSION_DIFFERS);
}

/* Whether the group works between us and `m`. It takes a whole dead time to say no, and a hello in
 * each direction to say yes again. */
static void judge_multicast(struct channel *ch, struct member *m, uint64_t now_ns)
{
	bool silent = now_ns - m->multicast_ns >= channel_dead_ns(ch);
	bool deaf = m->pub.up && !m->hears_us && now_ns - m->pub.since_ns > channel_dead_ns(ch);

	if (!channel_multicasts(ch) || !m->pub.has_endpoint)
		m->pub.by_unicast = false;
	else if (silent || deaf)
		m->pub.by_unicast = true;
	else if (m->multicast_heard && m->hears_us)
		m->pub.by_unicast = false;
}

enum counter liveness_hello(struct channel *ch, struct member *m, struct input *in)
{
	struct wire_hello hello;

	if (!wire_get_hello(&in->body, &hello))
		return COUNTER_MSG_MALFORMED;
	m->has_hello = true;
	m->hears_us = lists_us(ch, &hello);
	if (in->multicast) {
		m->multicast_heard = true;
		m->multicast_ns = in->now_ns;
	}
	m->pub.n_flows = hello.n_flows;
	m->pub.n_segments = hello.n_segments;
	memcpy(m->pub.segments, hello.segments, sizeof(m->pub.segments));
	if (!m->pub.up)
		liveness_set(ch, m, true, CHANNEL_MEMBER_UP, in->now_ns);
	judge_multicast(ch, m, in->now_ns);
	compare_config(ch, m, hello.config_hash);
	compare_version(ch, m, in->h.version_max);
	return COUNTER_MSG_IN;
}

bool liveness_needs_copy(const struct channel *ch, const struct member *m)
{
	if (!channel_multicasts(ch))
		return m->pub.has_endpoint;
	/* Deaf in one direction only: a member that hears the group needs no copy of ours. */
	return m->pub.by_unicast && !m->hears_us;
}

static void fill_heard(const struct channel *ch, struct wire_hello *hello, uint64_t now_ns)
{
	uint64_t dead_ns = channel_dead_ns(ch);

	for (uint32_t i = 0; i < ch->params->n_members; i++) {
		const struct member *m = ch->members[i];
		struct wire_heard *h = &hello->heard[hello->n_heard];

		if (channel_is_self(ch, m) || !m->pub.up)
			continue;
		h->node_id = m->pub.params->id;
		if (m->multicast_heard && now_ns - m->multicast_ns < dead_ns)
			h->flags = WIRE_HEARD_MULTICAST;
		hello->n_heard++;
	}
}

/* A sealed hello, or NULL when there is no room. */
static const uint8_t *make_hello(struct channel *ch, uint64_t now_ns, size_t *size)
{
	struct wire_hello hello = {
		.hello_ms = ch->params->cluster.hello_ms,
		.dead_ms = ch->params->cluster.dead_ms,
		.config_hash = ch->config_hash,
		.n_flows = ch->n_flows,
		.n_segments = ch->n_segments,
	};
	struct wcur body;

	if (!channel_begin(ch, HELLO_MAX, &body))
		return NULL;
	memcpy(hello.segments, ch->segments, sizeof(hello.segments));
	fill_heard(ch, &hello, now_ns);
	wire_put_hello(&body, &hello);
	return channel_seal(ch, WIRE_HELLO, &body, size);
}

void liveness_greet(struct channel *ch, const struct endpoint *to, uint64_t now_ns)
{
	size_t size;
	const uint8_t *data = make_hello(ch, now_ns, &size);

	if (data)
		channel_emit(ch, to, data, size);
}

/* Whether a hello must go to `m` by unicast: always without a group; with one, as long as the
 * member has not said that it hears us by it. */
static bool wants_unicast_hello(const struct channel *ch, const struct member *m)
{
	if (channel_is_self(ch, m) || !m->pub.has_endpoint)
		return false;
	if (!channel_multicasts(ch))
		return true;
	return m->pub.up ? !m->hears_us : m->pub.params->has_address;
}

/* The unicast copies are sealed apart from the group's hello: who gets both takes neither for a
 * replay. */
static void send_hellos(struct channel *ch, uint64_t now_ns)
{
	const uint8_t *data = NULL;
	size_t size = 0;

	if (channel_multicasts(ch)) {
		data = make_hello(ch, now_ns, &size);
		if (data)
			channel_emit(ch, NULL, data, size);
		data = NULL;
	}
	for (uint32_t i = 0; i < ch->params->n_members; i++) {
		const struct member *m = ch->members[i];

		if (!wants_unicast_hello(ch, m))
			continue;
		if (!data)
			data = make_hello(ch, now_ns, &size);
		if (data)
			channel_emit(ch, &m->pub.endpoint, data, size);
	}
}

/* Members that started together would beat together; up to an eighth sooner spreads them. */
static uint64_t hello_interval_ns(struct channel *ch)
{
	uint64_t whole = ch->params->cluster.hello_ms * NS_PER_MS;

	return whole - rng_u64(&ch->rng) % (whole / 8 + 1);
}

/* Returns when `m` is next to be judged. */
static uint64_t watch(struct channel *ch, struct member *m, uint64_t now_ns)
{
	uint64_t heard_ns = m->pub.heard_ns > ch->resumed_ns ? m->pub.heard_ns : ch->resumed_ns;
	uint64_t dead_at = heard_ns + channel_dead_ns(ch);

	if (m->pub.up && now_ns >= dead_at)
		liveness_set(ch, m, false, CHANNEL_MEMBER_DOWN, now_ns);
	judge_multicast(ch, m, now_ns);
	return m->pub.up ? dead_at : UINT64_MAX;
}

uint64_t liveness_tick(struct channel *ch, uint64_t now_ns)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < ch->params->n_members; i++) {
		uint64_t due;

		if (i == ch->params->self)
			continue;
		due = watch(ch, ch->members[i], now_ns);
		next = due < next ? due : next;
	}
	if (now_ns >= ch->next_hello_ns) {
		ch->next_hello_ns = now_ns + hello_interval_ns(ch);
		if (!ch->leaving)
			send_hellos(ch, now_ns);
	}
	return ch->next_hello_ns < next ? ch->next_hello_ns : next;
}
