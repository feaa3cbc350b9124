/*
 * The payload of an authentic message: what a member with a bug, or a broken one, may send. First
 * byte: type of the message. Whatever decodes is encoded again to the same bytes.
 */
#include <stdlib.h>

#include "cluster/wire.h"
#include "cluster/wire_backup.h"
#include "cluster/wire_sync.h"
#include "cluster/wire_role.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t out[WIRE_DATAGRAM_MAX + 64];

static void assert_same(const struct wcur *w, const uint8_t *data, size_t size)
{
	if (!wcur_ok(w) || wcur_size(w) != size || (size > 0 && memcmp(out, data, size) != 0))
		abort();
}

#define ROUND_TRIP(kind)                                                                           \
	do {                                                                                       \
		struct wire_##kind m;                                                              \
		struct rcur r = rcur_init(data, size);                                             \
		struct wcur w = wcur_init(out, sizeof(out));                                       \
		if (wire_get_##kind(&r, &m)) {                                                     \
			wire_put_##kind(&w, &m);                                                   \
			assert_same(&w, data, size);                                               \
		}                                                                                  \
	} while (0)

static void round_trip_response(const uint8_t *data, size_t size)
{
	uint8_t nonce[WIRE_NONCE];
	struct rcur r = rcur_init(data, size);
	struct wcur w = wcur_init(out, sizeof(out));

	if (wire_get_response(&r, nonce)) {
		wire_put_response(&w, nonce);
		assert_same(&w, data, size);
	}
}

/* A key is a piece of a message: what follows it is left alone. */
static void round_trip_key(const uint8_t *data, size_t size)
{
	struct flow_key key;
	struct rcur r = rcur_init(data, size);
	struct wcur w = wcur_init(out, sizeof(out));

	if (wire_get_key(&r, &key)) {
		wire_put_key(&w, &key);
		assert_same(&w, data, (size_t)(r.pos - data));
	}
}

static void round_trip_path_ask(const uint8_t *data, size_t size)
{
	struct flow_key key;
	struct rcur r = rcur_init(data, size);
	struct wcur w = wcur_init(out, sizeof(out));

	if (wire_get_path_ask(&r, &key)) {
		wire_put_path_ask(&w, &key);
		assert_same(&w, data, size);
	}
}

/* A head, and flows up to the first that is none. */
static void round_trip_backup(const uint8_t *data, size_t size)
{
	struct wire_backup_head head;
	struct wire_backup_flow flow;
	struct rcur r = rcur_init(data, size);
	struct wcur w = wcur_init(out, sizeof(out));
	const uint8_t *good;

	if (!wire_get_backup_head(&r, &head))
		return;
	wire_put_backup_head(&w, &head);
	for (good = r.pos; rcur_left(&r) > 0 && wire_get_backup_flow(&r, &flow); good = r.pos)
		wire_put_backup_flow(&w, &flow);
	assert_same(&w, data, (size_t)(good - data));
}

/* A head, and records up to the first that is none. */
static void round_trip_sync(const uint8_t *data, size_t size)
{
	struct wire_sync_head head;
	struct wire_sync_record record;
	struct rcur r = rcur_init(data, size);
	struct wcur w = wcur_init(out, sizeof(out));
	const uint8_t *good;

	if (!wire_get_sync_head(&r, &head))
		return;
	wire_put_sync_head(&w, &head);
	for (good = r.pos; rcur_left(&r) > 0 && wire_get_sync(&r, &record); good = r.pos)
		wire_put_sync(&w, &record);
	assert_same(&w, data, (size_t)(good - data));
}

static void round_trip_backup_end(const uint8_t *data, size_t size)
{
	struct wire_keys keys;
	uint32_t seq;
	struct rcur r = rcur_init(data, size);
	struct wcur w = wcur_init(out, sizeof(out));

	if (wire_get_backup_end(&r, &seq, &keys)) {
		wire_put_backup_end(&w, seq, &keys);
		assert_same(&w, data, size);
	}
}

/* Values that nobody behind the decoder checks again. */
static void check_targets(const uint8_t *data, size_t size)
{
	struct wire_targets m;
	struct rcur r = rcur_init(data, size);

	if (!wire_get_targets(&r, &m))
		return;
	for (unsigned i = 0; i < m.n; i++) {
		if (m.v[i].weight > PARAMS_WEIGHT_MAX || m.v[i].version == 0 || m.v[i].node_id == 0)
			abort();
	}
}

static void header(const uint8_t *data, size_t size)
{
	struct wire_header h;

	if (wire_get_header(&h, data, size) == WIRE_OK && (h.length != size || h.version != 1))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t type;

	if (size == 0 || size > WIRE_DATAGRAM_MAX)
		return 0;
	type = *data++;
	size--;
	switch (type) {
	case WIRE_HELLO:
		ROUND_TRIP(hello);
		break;
	case WIRE_CHALLENGE:
		ROUND_TRIP(challenge);
		break;
	case WIRE_RESPONSE:
		round_trip_response(data, size);
		break;
	case WIRE_QUERY:
		ROUND_TRIP(query);
		break;
	case WIRE_CONFIRM:
		ROUND_TRIP(confirm);
		break;
	case WIRE_NOT_HOME:
	case WIRE_RELEASE:
		ROUND_TRIP(keys);
		break;
	case WIRE_FORWARD:
		ROUND_TRIP(forward);
		break;
	case WIRE_YIELD:
		ROUND_TRIP(yield);
		break;
	case WIRE_PATH:
		ROUND_TRIP(path);
		break;
	case WIRE_PATH_ASK:
		round_trip_path_ask(data, size);
		break;
	case WIRE_TARGETS:
		ROUND_TRIP(targets);
		check_targets(data, size);
		break;
	case WIRE_WHO_HAS:
		ROUND_TRIP(who_has);
		break;
	case WIRE_HAVE:
		ROUND_TRIP(have);
		break;
	case WIRE_BACKUP:
		round_trip_backup(data, size);
		break;
	case WIRE_BACKUP_END:
		round_trip_backup_end(data, size);
		break;
	case WIRE_TAKEN:
		ROUND_TRIP(taken);
		break;
	case WIRE_BACKUP_ACK:
		ROUND_TRIP(backup_ack);
		break;
	case WIRE_SYNC:
		round_trip_sync(data, size);
		break;
	case WIRE_SYNC_ASK:
		ROUND_TRIP(sync_ask);
		break;
	case WIRE_ROLE:
		ROUND_TRIP(role);
		break;
	case WIRE_GOODBYE: /* has no payload: its number is free for the header and the key */
		header(data, size);
		break;
	default:
		round_trip_key(data, size);
		break;
	}
	return 0;
}
