#include "cluster/channel_impl.h"

static const enum counter verdict_of_header[] = {
	[WIRE_OK] = COUNTER_MSG_IN,
	[WIRE_SHORT] = COUNTER_MSG_SHORT,
	[WIRE_BAD_MAGIC] = COUNTER_MSG_MAGIC,
	[WIRE_BAD_VERSION] = COUNTER_MSG_VERSION,
};

static struct member *find_member(struct channel *ch, uint16_t id)
{
	for (uint32_t i = 0; i < ch->params->n_members; i++) {
		if (ch->params->members[i].id == id)
			return ch->members[i];
	}
	return NULL;
}

/* The member at the address that the datagram came from, should that be configured. */
static struct member *find_sender(struct channel *ch, const struct input *in)
{
	for (uint32_t i = 0; i < ch->params->n_members; i++) {
		struct member *m = ch->members[i];

		if (!channel_is_self(ch, m) && m->pub.params->has_address &&
		    ipaddr_eq(&m->pub.params->address, &in->from->addr))
			return m;
	}
	return NULL;
}

/* Nothing behind the version can be read, let alone proven: it is only said, and not for a member
 * that is understood. */
static void other_version(struct channel *ch, const struct input *in)
{
	struct member *m = find_sender(ch, in);

	if (!m || m->pub.up)
		return;
	m->pub.version = in->h.version;
	m->pub.unreadable = true;
	if (channel_may_tell(&m->version, in->now_ns))
		channel_tell(ch, m, CHANNEL_VERSION_DIFFERS);
}

/* All that the clear header can tell. Cheapest first: most garbage ends here. */
static enum counter check_header(struct channel *ch, struct input *in, struct member **m)
{
	enum counter verdict = verdict_of_header[wire_get_header(&in->h, in->data, in->size)];

	if (verdict == COUNTER_MSG_VERSION)
		other_version(ch, in);
	if (verdict != COUNTER_MSG_IN)
		return verdict;
	if (in->h.cluster_id != ch->params->cluster.id)
		return COUNTER_MSG_CLUSTER_ID;
	if (in->h.node_id == ch->params->node_id &&
	    memcmp(in->h.boot_id, ch->boot_id, WIRE_BOOT_ID) == 0)
		return COUNTER_MSG_OWN;
	*m = find_member(ch, in->h.node_id);
	if (!*m)
		return COUNTER_MSG_UNKNOWN_MEMBER;
	if (!seal_available(in->h.cipher))
		return COUNTER_MSG_CIPHER;
	if (!keyring_find(ch->keys, in->h.key_id))
		return COUNTER_MSG_UNKNOWN_KEY;
	return COUNTER_MSG_IN;
}

enum counter channel_open(struct channel *ch, struct member *m, struct epoch *e, struct input *in)
{
	switch (replay_check(&e->replay, in->h.counter)) {
	case REPLAY_SEEN:
		return COUNTER_MSG_REPLAY;
	case REPLAY_OLD:
		return COUNTER_MSG_TOO_OLD;
	case REPLAY_NEW:
		break;
	}
	if (!epoch_open(e, ch->keys, &in->h, in->data, in->size)) {
		if (!channel_is_self(ch, m) && channel_may_tell(&m->wrong_key, in->now_ns))
			channel_tell(ch, m, CHANNEL_WRONG_KEY);
		return COUNTER_MSG_WRONG_KEY;
	}
	in->body = rcur_init(in->data + WIRE_HEADER, in->size - WIRE_OVERHEAD);
	return COUNTER_MSG_IN;
}

static enum counter goodbye(struct channel *ch, struct member *m, struct input *in)
{
	if (rcur_left(&in->body) > 0)
		return COUNTER_MSG_MALFORMED;
	boot_retire(m);
	liveness_set(ch, m, false, CHANNEL_MEMBER_LEFT, in->now_ns);
	return COUNTER_MSG_IN;
}

/* A message that has proven itself. */
static enum counter handle(struct channel *ch, struct member *m, struct input *in)
{
	switch (in->h.type) {
	case WIRE_HELLO:
		return liveness_hello(ch, m, in);
	case WIRE_CHALLENGE:
		return boot_challenged(ch, m, in);
	case WIRE_RESPONSE:
		return COUNTER_MSG_CHALLENGE_BAD; /* this boot is proven, nothing is open */
	case WIRE_GOODBYE:
		return goodbye(ch, m, in);
	default:
		return wire_type_known(in->h.type) ? COUNTER_MSG_IN : COUNTER_MSG_TYPE;
	}
}

/* The same from a segment: who is alive there need not be on the cluster link. */
static enum counter handle_segment(struct channel *ch, struct member *m, struct input *in)
{
	switch (in->h.type) {
	case WIRE_CHALLENGE:
		return boot_challenged(ch, m, in);
	case WIRE_RESPONSE:
		return COUNTER_MSG_CHALLENGE_BAD;
	case WIRE_HELLO: /* the answer to a challenge came with one */
	case WIRE_ROLE:
		return COUNTER_MSG_IN;
	default:
		return COUNTER_MSG_TYPE;
	}
}

/* Somebody alive uses our node id. It is answered only so that it, too, finds out. */
static enum counter impostor(struct channel *ch, struct member *m, struct input *in)
{
	if (channel_may_tell(&ch->duplicate, in->now_ns))
		channel_tell(ch, m, CHANNEL_DUPLICATE_ID);
	if (in->h.type == WIRE_CHALLENGE)
		boot_challenged(ch, m, in);
	return COUNTER_MSG_DUPLICATE_ID;
}

static enum counter input_live(struct channel *ch, struct member *m, struct input *in)
{
	enum counter verdict = channel_open(ch, m, &m->live, in);

	if (verdict != COUNTER_MSG_IN)
		return verdict;
	if (channel_is_self(ch, m))
		return impostor(ch, m, in);
	if (channel_is_segment(in->from))
		return handle_segment(ch, m, in);
	liveness_heard(ch, m, in);
	return handle(ch, m, in);
}

bool channel_input(struct channel *ch, uint8_t *data, size_t size, const struct endpoint *from,
		   bool multicast, uint64_t now_ns, struct channel_message *msg)
{
	struct input in = {
		.data = data, .size = size, .from = from, .multicast = multicast, .now_ns = now_ns};
	struct member *m = NULL;
	enum counter verdict = check_header(ch, &in, &m);

	if (verdict == COUNTER_MSG_IN)
		verdict =
			epoch_is(&m->live, &in.h) ? input_live(ch, m, &in) : boot_input(ch, m, &in);
	channel_count(ch, verdict);
	if (verdict != COUNTER_MSG_IN)
		return false;
	ch->io.counters[COUNTER_MSG_BYTES_IN] += size;
	if (in.h.type <= WIRE_GOODBYE)
		return false;
	*msg = (struct channel_message){.type = in.h.type,
					.member = channel_index(ch, m),
					.segment = channel_is_segment(from) ? from->port
									    : PARAMS_NO_PORT,
					.body = in.body};
	return true;
}
