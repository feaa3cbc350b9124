/*
 * A key alone does not make a message fresh: it may be a recording of an earlier boot. A boot id is
 * believed once it has answered a challenge that this node drew for it (THREATS section 4).
 *
 *    newcomer                      this node
 *        | HELLO (new boot id)  ---->  |   authentic: a candidate
 *        | <-----------  CHALLENGE n   |   n random, for this boot id, 2 s
 *        | RESPONSE n  ------------->  |   proven; its predecessor is retired
 *        | HELLO  ------------------>  |   up
 */
#include "cluster/channel_impl.h"

#define NONCE_LIFE_NS (2000 * NS_PER_MS)
#define ASK_AGAIN_NS (250 * NS_PER_MS)
#define ASK_TIMES 4
/* Recordings of old boots may fill all places for candidates; a place is safe only for as long as
 * an answer plausibly takes. */
#define SAFE_NS (250 * NS_PER_MS)

static bool allowed(struct bucket *one, struct bucket *all, uint64_t now_ns)
{
	return bucket_take(one, 1, now_ns) && bucket_take(all, 1, now_ns);
}

static bool is_retired(const struct member *m, const struct wire_header *h)
{
	for (unsigned i = 0; i < m->n_retired; i++) {
		if (memcmp(m->retired[i], h->boot_id, WIRE_BOOT_ID) == 0)
			return true;
	}
	return false;
}

static struct candidate *find_candidate(struct member *m, const struct wire_header *h)
{
	for (unsigned i = 0; i < CHANNEL_CANDIDATES; i++) {
		if (epoch_is(&m->candidates[i].epoch, h))
			return &m->candidates[i];
	}
	return NULL;
}

static void drop_candidate(struct candidate *c)
{
	epoch_fini(&c->epoch);
	sodium_memzero(c->nonce, sizeof(c->nonce));
	c->n_asked = 0;
}

/* A free place, or that of the oldest candidate which has had its chance; NULL when there is none.
 */
static struct candidate *candidate_place(struct member *m, uint64_t now_ns)
{
	struct candidate *oldest = NULL;

	for (unsigned i = 0; i < CHANNEL_CANDIDATES; i++) {
		struct candidate *c = &m->candidates[i];

		if (!c->epoch.used)
			return c;
		if (!oldest || c->since_ns < oldest->since_ns)
			oldest = c;
	}
	if (now_ns - oldest->since_ns < SAFE_NS)
		return NULL;
	drop_candidate(oldest);
	return oldest;
}

static void draw_nonce(struct channel *ch, struct candidate *c, uint64_t now_ns)
{
	struct wcur w = wcur_init(c->nonce, sizeof(c->nonce));

	wcur_u64(&w, rng_u64(&ch->rng));
	wcur_u64(&w, rng_u64(&ch->rng));
	c->since_ns = now_ns;
	c->n_asked = 0;
}

static bool expired(const struct candidate *c, uint64_t now_ns)
{
	return now_ns - c->since_ns >= NONCE_LIFE_NS;
}

/* Send a challenge unless one was just sent. False when there were too many of late. */
static bool ask(struct channel *ch, struct member *m, struct candidate *c, uint64_t now_ns)
{
	struct wire_challenge challenge;
	const uint8_t *data;
	struct wcur body;
	size_t size;

	if (expired(c, now_ns))
		draw_nonce(ch, c, now_ns);
	if (c->n_asked > 0 && now_ns - c->asked_ns < ASK_AGAIN_NS)
		return true;
	if (!allowed(&m->challenge, &ch->challenge, now_ns))
		return false;
	memcpy(challenge.boot_id, c->epoch.boot_id, WIRE_BOOT_ID);
	memcpy(challenge.nonce, c->nonce, WIRE_NONCE);
	if (!channel_begin(ch, sizeof(challenge), &body))
		return true;
	wire_put_challenge(&body, &challenge);
	data = channel_seal(ch, WIRE_CHALLENGE, &body, &size);
	channel_emit(ch, &c->from, data, size);
	c->asked_ns = now_ns;
	c->n_asked++;
	return true;
}

/* Open the first message of an unknown boot. Only the two types that begin a conversation are worth
 * a key: a member that restarts amid traffic is not kept out by its own other messages. */
static enum counter first_message(struct channel *ch, struct member *m, struct input *in,
				  struct candidate **out)
{
	struct candidate *c;
	enum counter verdict;

	if (!allowed(&m->derive, &ch->derive, in->now_ns))
		return COUNTER_MSG_BOOT_LIMIT;
	epoch_init(&ch->scratch, in->h.boot_id);
	verdict = channel_open(ch, m, &ch->scratch, in);
	if (verdict == COUNTER_MSG_IN) {
		c = candidate_place(m, in->now_ns);
		if (c) {
			c->epoch = ch->scratch;
			draw_nonce(ch, c, in->now_ns);
			*out = c;
		} else {
			verdict = COUNTER_MSG_BOOT_LIMIT;
		}
	}
	epoch_fini(&ch->scratch);
	return verdict;
}

/* Who uses our own id is counted as that, also before it is proven. */
static enum counter unproven(const struct channel *ch, const struct member *m)
{
	return channel_is_self(ch, m) ? COUNTER_MSG_DUPLICATE_ID : COUNTER_MSG_UNPROVEN_BOOT;
}

void boot_retire(struct member *m)
{
	if (!m->live.used)
		return;
	memcpy(m->retired[m->next_retired], m->live.boot_id, WIRE_BOOT_ID);
	m->next_retired = (m->next_retired + 1) % CHANNEL_RETIRED;
	if (m->n_retired < CHANNEL_RETIRED)
		m->n_retired++;
	epoch_fini(&m->live);
	m->pub.proven = false;
}

/* The candidate has answered: it is the member now. */
static void prove(struct channel *ch, struct member *m, struct candidate *c, const struct input *in)
{
	boot_retire(m);
	m->live = c->epoch;
	/* Whatever this boot sent before its answer may be a recording too. */
	replay_floor(&m->live.replay, in->h.counter);
	/* An answer that was asked for before may come from one that has died meanwhile: who is
	 * alive is asked again. */
	for (unsigned i = 0; i < CHANNEL_CANDIDATES; i++)
		if (m->candidates[i].epoch.used)
			drop_candidate(&m->candidates[i]);
	if (channel_is_self(ch, m)) {
		m->pub.proven = true;
		if (channel_may_tell(&ch->duplicate, in->now_ns))
			channel_tell(ch, m, CHANNEL_DUPLICATE_ID);
		return;
	}
	liveness_reset(m, in->now_ns);
	m->pub.proven = true;
	memcpy(m->pub.boot_id, m->live.boot_id, WIRE_BOOT_ID);
	if (!channel_is_segment(in->from))
		liveness_heard(ch, m, in);
	if (m->pub.up)
		liveness_set(ch, m, true, CHANNEL_MEMBER_RESTART, in->now_ns);
}

static enum counter answered(struct channel *ch, struct member *m, struct candidate *c,
			     struct input *in)
{
	uint8_t nonce[WIRE_NONCE];

	if (!wire_get_response(&in->body, nonce))
		return COUNTER_MSG_MALFORMED;
	if (c->n_asked == 0 || expired(c, in->now_ns) ||
	    sodium_memcmp(nonce, c->nonce, WIRE_NONCE) != 0)
		return COUNTER_MSG_CHALLENGE_BAD;
	prove(ch, m, c, in);
	return channel_is_self(ch, m) ? COUNTER_MSG_DUPLICATE_ID : COUNTER_MSG_IN;
}

enum counter boot_challenged(struct channel *ch, struct member *m, struct input *in)
{
	struct wire_challenge challenge;
	const uint8_t *data;
	struct wcur body;
	size_t size;

	if (!wire_get_challenge(&in->body, &challenge))
		return COUNTER_MSG_MALFORMED;
	if (memcmp(challenge.boot_id, ch->boot_id, WIRE_BOOT_ID) != 0)
		return COUNTER_MSG_CHALLENGE_BAD; /* for an earlier boot of ours */
	if (!allowed(&m->answer, &ch->answer, in->now_ns))
		return COUNTER_MSG_BOOT_LIMIT;
	if (channel_begin(ch, WIRE_NONCE, &body)) {
		wire_put_response(&body, challenge.nonce);
		data = channel_seal(ch, WIRE_RESPONSE, &body, &size);
		channel_emit(ch, in->from, data, size);
		channel_count(ch, COUNTER_MSG_CHALLENGE);
		/* Being proven is not yet being up: that takes a hello that is newer. */
		liveness_greet(ch, in->from, in->now_ns);
	}
	return COUNTER_MSG_IN;
}

/* An authentic message of a candidate. */
static enum counter handle(struct channel *ch, struct member *m, struct candidate *c,
			   struct input *in)
{
	enum counter verdict = unproven(ch, m);

	if (in->h.type == WIRE_RESPONSE)
		return answered(ch, m, c, in);
	if (in->h.type == WIRE_CHALLENGE) {
		verdict = boot_challenged(ch, m, in);
		if (verdict == COUNTER_MSG_CHALLENGE_BAD)
			verdict = unproven(ch, m);
		else if (verdict == COUNTER_MSG_IN && channel_is_self(ch, m))
			verdict = COUNTER_MSG_DUPLICATE_ID;
	}
	c->from = *in->from;
	if (!ask(ch, m, c, in->now_ns) && verdict == COUNTER_MSG_UNPROVEN_BOOT)
		return COUNTER_MSG_BOOT_LIMIT;
	return verdict;
}

enum counter boot_input(struct channel *ch, struct member *m, struct input *in)
{
	struct candidate *c = find_candidate(m, &in->h);
	enum counter verdict;

	if (is_retired(m, &in->h))
		return COUNTER_MSG_STALE_BOOT;
	switch (in->h.type) {
	case WIRE_HELLO:
	case WIRE_CHALLENGE:
	case WIRE_ROLE: /* where there is no cluster link, nothing else begins it */
		break;
	case WIRE_RESPONSE:
		if (!c)
			return COUNTER_MSG_CHALLENGE_BAD;
		break;
	default:
		return unproven(ch, m);
	}
	verdict = c ? channel_open(ch, m, &c->epoch, in) : first_message(ch, m, in, &c);
	return verdict == COUNTER_MSG_IN ? handle(ch, m, c, in) : verdict;
}

uint64_t boot_tick(struct channel *ch, struct member *m, uint64_t now_ns)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < CHANNEL_CANDIDATES; i++) {
		struct candidate *c = &m->candidates[i];
		uint64_t due;

		if (!c->epoch.used)
			continue;
		if (expired(c, now_ns)) {
			drop_candidate(c);
			continue;
		}
		if (c->n_asked < ASK_TIMES)
			ask(ch, m, c, now_ns);
		due = c->n_asked < ASK_TIMES ? now_ns + ASK_AGAIN_NS : c->since_ns + NONCE_LIFE_NS;
		next = due < next ? due : next;
	}
	return next;
}
