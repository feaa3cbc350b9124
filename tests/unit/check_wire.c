/*
 * check_wire.c - the wire format: pinned bytes, every prefix refused, nothing impossible accepted.
 */
/* proves: FC-15 HD-15 HD-18 HD-24 */
#include <check.h>
#include <stdio.h>

#include "cluster/wire.h"
#include "guard.h"

/* One decoded message of any kind. */
union message {
	struct wire_hello hello;
	struct wire_challenge challenge;
	uint8_t nonce[WIRE_NONCE];
	struct wire_query query;
	struct wire_confirm confirm;
	struct wire_keys keys;
	struct wire_forward forward;
	struct wire_yield yield;
	struct wire_path path;
	struct flow_key path_ask;
	struct wire_targets targets;
	struct wire_who_has who_has;
	struct wire_have have;
};

static bool get(uint8_t type, struct rcur *c, union message *m)
{
	switch (type) {
	case WIRE_HELLO:
		return wire_get_hello(c, &m->hello);
	case WIRE_CHALLENGE:
		return wire_get_challenge(c, &m->challenge);
	case WIRE_RESPONSE:
		return wire_get_response(c, m->nonce);
	case WIRE_QUERY:
		return wire_get_query(c, &m->query);
	case WIRE_CONFIRM:
		return wire_get_confirm(c, &m->confirm);
	case WIRE_RELEASE:
		return wire_get_keys(c, &m->keys);
	case WIRE_FORWARD:
		return wire_get_forward(c, &m->forward);
	case WIRE_PATH:
		return wire_get_path(c, &m->path);
	case WIRE_PATH_ASK:
		return wire_get_path_ask(c, &m->path_ask);
	case WIRE_TARGETS:
		return wire_get_targets(c, &m->targets);
	case WIRE_WHO_HAS:
		return wire_get_who_has(c, &m->who_has);
	case WIRE_HAVE:
		return wire_get_have(c, &m->have);
	default:
		return wire_get_yield(c, &m->yield);
	}
}

static void put(uint8_t type, struct wcur *c, const union message *m)
{
	switch (type) {
	case WIRE_HELLO:
		wire_put_hello(c, &m->hello);
		break;
	case WIRE_CHALLENGE:
		wire_put_challenge(c, &m->challenge);
		break;
	case WIRE_RESPONSE:
		wire_put_response(c, m->nonce);
		break;
	case WIRE_QUERY:
		wire_put_query(c, &m->query);
		break;
	case WIRE_CONFIRM:
		wire_put_confirm(c, &m->confirm);
		break;
	case WIRE_RELEASE:
		wire_put_keys(c, &m->keys);
		break;
	case WIRE_FORWARD:
		wire_put_forward(c, &m->forward);
		break;
	case WIRE_PATH:
		wire_put_path(c, &m->path);
		break;
	case WIRE_PATH_ASK:
		wire_put_path_ask(c, &m->path_ask);
		break;
	case WIRE_TARGETS:
		wire_put_targets(c, &m->targets);
		break;
	case WIRE_WHO_HAS:
		wire_put_who_has(c, &m->who_has);
		break;
	case WIRE_HAVE:
		wire_put_have(c, &m->have);
		break;
	default:
		wire_put_yield(c, &m->yield);
		break;
	}
}

#define KEY4 "0406 04d2 0050 c0000201 c6336401"
#define KEY6 "0611 1000 0035 20010db8000000000000000000000001 20010db8000000000000000000000002"
#define TARGET                                                                                     \
	"1122334455667788 0000000000000001 0014 0064 00" /* identity, version, node, weight */
#define NONCE "00112233445566778899aabbccddeeff"

/* Every kind of message, byte by byte. `tail`: its last so many bytes are a packet, and a packet
 * cut short is a shorter packet. */
static const struct sample {
	uint8_t type;
	size_t tail;
	const char *hex;
} samples[] = {
	{WIRE_HELLO, 0,
	 "000000c8 000003e8 0123456789abcdef 00000005 01 02" /* ms, ms, hash, flows, n, n */
	 "a430d84680aabd0b 020000000009 0005"		     /* segment */
	 "000a01 ffff00"},				     /* heard */
	{WIRE_HELLO, 0, "00000001 00000001 0000000000000000 00000000 00 00"},
	{WIRE_CHALLENGE, 0, "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf" NONCE},
	{WIRE_RESPONSE, 0, NONCE},
	{WIRE_QUERY, 4,
	 "1122334455667788 11" KEY4 "a430d84680aabd0b 00000000 00000102 03 45000014"},
	{WIRE_QUERY, 4,
	 "1122334455667788 0e" KEY6 "a430d84680aabd0b cafebabe 00000000 00 60000000"},
	{WIRE_CONFIRM, 0, "1122334455667788 03" KEY4 "05 0000ea60 006ddd00"},
	{WIRE_CONFIRM, 0, "0000000000000000 00" KEY6 "00 00000000 00000000"},
	{WIRE_RELEASE, 0, "02" KEY4 KEY6},
	{WIRE_FORWARD, 4, "a430d84680aabd0b 45000014"},
	{WIRE_YIELD, 0, KEY6 "0014 02 00000064"},
	{WIRE_PATH, 0, KEY4 "0003"},
	{WIRE_PATH, 0, KEY6 "ffff"},
	{WIRE_PATH, 0, KEY6 "0000"}, /* the flow is not known */
	{WIRE_PATH_ASK, 0, KEY4},
	{WIRE_PATH_ASK, 0, KEY6},
	{WIRE_TARGETS, 0, "01" TARGET},
	{WIRE_TARGETS, 0,
	 "03" TARGET "0000000000000000 ffffffffffffffff ffff 0100 01" /* the largest of all */
	 "ffffffffffffffff 0102030405060708 0001 0000 01"},
	{WIRE_WHO_HAS, 0, "01020304 a1a2a3a4"}, /* service, server */
	{WIRE_HAVE, 0, "01020304 a1a2a3a4 00"},
	{WIRE_HAVE, 0, "ffffffff 00000001 01"},
	{WIRE_HAVE, 0, "00000001 ffffffff 03"},
};
#define N_SAMPLES ((int)(sizeof(samples) / sizeof(samples[0])))

static size_t from_hex(uint8_t *out, const char *hex)
{
	size_t n = 0;
	unsigned v;

	while (sscanf(hex, " %2x", &v) == 1) {
		hex += strspn(hex, " ") + 2;
		out[n++] = (uint8_t)v;
	}
	ck_assert_str_eq(hex, "");
	return n;
}

static bool get_bytes(uint8_t type, const uint8_t *bytes, size_t size)
{
	uint8_t *copy = guard_copy(bytes, size);
	struct rcur c = rcur_init(copy, size);
	union message m;
	bool ok = get(type, &c, &m);

	guard_free(copy, size);
	return ok;
}

START_TEST(pinned_and_round_trip)
{
	const struct sample *s = &samples[_i];
	uint8_t bytes[512], again[512];
	size_t size = from_hex(bytes, s->hex);
	uint8_t *copy = guard_copy(bytes, size);
	struct rcur r = rcur_init(copy, size);
	struct wcur w = wcur_init(again, sizeof(again));
	union message m;

	ck_assert(get(s->type, &r, &m));
	put(s->type, &w, &m);
	ck_assert(wcur_ok(&w));
	ck_assert_uint_eq(wcur_size(&w), size);
	ck_assert_mem_eq(again, bytes, size);
	/* Writing to less room than needed fails and stays inside. */
	for (size_t n = 0; n < size; n++) {
		uint8_t *room = guard_copy(NULL, n);

		w = wcur_init(room, n);
		put(s->type, &w, &m);
		ck_assert(!wcur_ok(&w));
		guard_free(room, n);
	}
	guard_free(copy, size);
}
END_TEST

START_TEST(every_prefix)
{
	const struct sample *s = &samples[_i];
	uint8_t bytes[512] = {0};
	size_t size = from_hex(bytes, s->hex);
	bool carried = s->type == WIRE_QUERY && (bytes[8] & WIRE_QUERY_CARRIED);
	/* The shortest that is still whole: a header-only query may even be empty. */
	size_t least = size - s->tail + (s->tail && (carried || s->type == WIRE_FORWARD) ? 1 : 0);

	for (size_t n = 0; n <= size; n++)
		ck_assert_msg(get_bytes(s->type, bytes, n) == (n >= least), "%zu", n);
	ck_assert(get_bytes(s->type, bytes, size + 1) == (s->tail > 0));
}
END_TEST

/* No single changed byte makes the decoder read beyond the message, and what it accepts it can
 * write again. */
START_TEST(every_byte_changed)
{
	const struct sample *s = &samples[_i];
	uint8_t bytes[512], again[512];
	size_t size = from_hex(bytes, s->hex);

	for (size_t i = 0; i < size; i++) {
		for (unsigned v = 0; v < 256; v++) {
			uint8_t old = bytes[i];
			bytes[i] = (uint8_t)v;
			uint8_t *copy = guard_copy(bytes, size);
			struct rcur r = rcur_init(copy, size);
			struct wcur w = wcur_init(again, sizeof(again));
			union message m;

			if (get(s->type, &r, &m)) {
				put(s->type, &w, &m);
				ck_assert_uint_eq(wcur_size(&w), size);
				ck_assert_mem_eq(again, bytes, size);
			}
			guard_free(copy, size);
			bytes[i] = old;
		}
	}
}
END_TEST

static void assert_refused(uint8_t type, const char *hex)
{
	uint8_t bytes[1024];
	size_t size = from_hex(bytes, hex);

	ck_assert_msg(!get_bytes(type, bytes, size), "%s", hex);
}

#define HELLO_HEAD(hello, dead) hello dead "0123456789abcdef 00000005"

START_TEST(impossible_hello)
{
	assert_refused(WIRE_HELLO, HELLO_HEAD("00000000", "00000001") "0000");
	assert_refused(WIRE_HELLO, HELLO_HEAD("00000001", "00000000") "0000");
	assert_refused(WIRE_HELLO, HELLO_HEAD("00000001", "00000001") "1100"); /* 17 segments */
	assert_refused(WIRE_HELLO, HELLO_HEAD("00000001", "00000001") "0021"); /* 33 heard */
	assert_refused(WIRE_HELLO, HELLO_HEAD("00000001", "00000001") "0001 000000");
	assert_refused(WIRE_HELLO, HELLO_HEAD("00000001", "00000001") "0001 000a02");
	assert_refused(WIRE_HELLO,
		       HELLO_HEAD("00000001", "00000001") "0002 000a00 000a01"); /* twice */
	assert_refused(
		WIRE_HELLO,
		HELLO_HEAD("00000001",
			   "00000001") "0100 0000000000000001 020000000001 0fff"); /* VLAN 4095 */
}
END_TEST

/* The largest hello fits what the channel reserves for it, and one more of anything does not. */
START_TEST(largest_hello)
{
	struct wire_hello m = {
		.hello_ms = 1, .dead_ms = 1, .n_segments = PARAMS_PORTS, .n_heard = PARAMS_MEMBERS};
	struct wire_hello again;
	uint8_t bytes[512];
	struct wcur w = wcur_init(bytes, sizeof(bytes));

	for (unsigned i = 0; i < PARAMS_MEMBERS; i++)
		m.heard[i].node_id = (uint16_t)(i + 1);
	wire_put_hello(&w, &m);
	ck_assert_uint_eq(wcur_size(&w), 22 + 16 * PARAMS_PORTS + 3 * PARAMS_MEMBERS);
	struct rcur r = rcur_init(bytes, wcur_size(&w));
	ck_assert(wire_get_hello(&r, &again));
	ck_assert_uint_eq(again.n_heard, PARAMS_MEMBERS);
	ck_assert_uint_eq(again.heard[31].node_id, 32);
	ck_assert_uint_lt(wcur_size(&w) + WIRE_OVERHEAD, 576); /* fits any link */
}
END_TEST

START_TEST(impossible_key)
{
	uint8_t bytes[64];
	struct flow_key key;
	static const char *const bad[] = {
		"0506 0001 0002 01000000 02000000", /* family 5 */
		"0006 0001 0002 01000000 02000000", /* family 0 */
		"0406 0001 0002 02000000 01000000", /* b before a */
		"0406 0002 0001 01000000 01000000", /* the same by ports */
		"0611 0001 0002 20010db8000000000000000000000002 20010db8000000000000000000000001",
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rcur c = rcur_init(bytes, from_hex(bytes, bad[i]));
		ck_assert_msg(!wire_get_key(&c, &key), "%u", i);
	}
	struct rcur c = rcur_init(bytes, from_hex(bytes, "0406 0001 0001 01000000 01000000"));
	ck_assert(wire_get_key(&c, &key)); /* both ends alike is one order */
}
END_TEST

/* Both directions of a packet give one key on the wire. */
START_TEST(key_of_both_directions)
{
	static const uint8_t x[4] = {192, 0, 2, 1}, y[4] = {198, 51, 100, 1};
	struct pkt_tuple out = {ipaddr_v4(x), ipaddr_v4(y), 1234, 80, 6};
	struct pkt_tuple back = {ipaddr_v4(y), ipaddr_v4(x), 80, 1234, 6};
	uint8_t want[14], bytes[2][14];
	struct flow_key key;

	from_hex(want, KEY4);
	ck_assert_uint_ne(flow_key_make(&key, &out, 4), flow_key_make(&key, &back, 4));
	for (unsigned i = 0; i < 2; i++) {
		struct wcur w = wcur_init(bytes[i], sizeof(bytes[i]));

		flow_key_make(&key, i ? &back : &out, 4);
		wire_put_key(&w, &key);
		ck_assert(wcur_ok(&w) && wcur_left(&w) == 0);
		ck_assert_mem_eq(bytes[i], want, sizeof(want));
	}
}
END_TEST

START_TEST(impossible_others)
{
	assert_refused(WIRE_QUERY, "1122334455667788 20" KEY4
				   "a430d84680aabd0b 00000000 00000000 00 45"); /* unknown flag */
	assert_refused(WIRE_QUERY, "1122334455667788 01" KEY4
				   "a430d84680aabd0b 00000000 00000000 00"); /* carries nothing */
	assert_refused(WIRE_CONFIRM, "1122334455667788 04" KEY4 "05 0000ea60 006ddd00");
	assert_refused(WIRE_RELEASE, "00");
	assert_refused(WIRE_RELEASE, "02" KEY4);
	assert_refused(WIRE_RELEASE, "01" KEY4 KEY4);
	assert_refused(WIRE_FORWARD, "a430d84680aabd0b");
	assert_refused(WIRE_YIELD, KEY6 "0000 02 00000064"); /* node id 0 */
}
END_TEST

START_TEST(impossible_path)
{
	assert_refused(WIRE_PATH, "0506 0001 0002 01000000 02000000 0003"); /* family 5 */
	assert_refused(WIRE_PATH, "0406 0001 0002 02000000 01000000 0003"); /* b before a */
	assert_refused(WIRE_PATH, KEY4 "0003 00");
	assert_refused(WIRE_PATH_ASK, "0406 0001 0002 02000000 01000000");
	assert_refused(WIRE_PATH_ASK, KEY4 "0003"); /* that would be the answer */
	assert_refused(WIRE_PATH_ASK, KEY4 KEY4);
}
END_TEST

/* Every path id that two bytes can say; 0 is "not known". */
START_TEST(every_path)
{
	uint8_t bytes[16];
	unsigned good = 0;

	from_hex(bytes, KEY4);
	for (unsigned path = 0; path < 65536; path++) {
		struct rcur c = rcur_init(bytes, sizeof(bytes));
		struct wire_path m;

		bytes[14] = (uint8_t)(path >> 8);
		bytes[15] = (uint8_t)path;
		good += wire_get_path(&c, &m) && m.path == path && m.key.zone == 0;
	}
	ck_assert_uint_eq(good, 65536);
}
END_TEST

START_TEST(impossible_targets)
{
	static const char *const bad[] = {
		"1122334455667788 0000000000000000 0014 0064 00", /* version 0 */
		"1122334455667788 0000000000000001 0000 0064 00", /* nobody's */
		"1122334455667788 0000000000000001 0014 0101 00", /* weight 257 */
		"1122334455667788 0000000000000001 0014 ffff 00",
		"1122334455667788 0000000000000001 0014 0064 02",
		"1122334455667788 0000000000000001 0014 0064 80",
		"1122334455667788 0000000000000001 0014 0064 ff",
	};
	char hex[256];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(hex, sizeof(hex), "01%s", bad[i]);
		assert_refused(WIRE_TARGETS, hex);
		snprintf(hex, sizeof(hex), "02%s%s", TARGET, bad[i]); /* one bad one spoils all */
		assert_refused(WIRE_TARGETS, hex);
	}
	assert_refused(WIRE_TARGETS, "00");
	assert_refused(WIRE_TARGETS, "00" TARGET);
	assert_refused(WIRE_TARGETS, "01" TARGET "00");
	assert_refused(WIRE_TARGETS, "01" TARGET TARGET);
	assert_refused(WIRE_TARGETS, "02" TARGET);
}
END_TEST

/* Every weight and flag that may be, and none besides. */
START_TEST(values_of_targets)
{
	uint8_t bytes[22];
	unsigned good = 0;

	ck_assert_uint_eq(from_hex(bytes, "01" TARGET), sizeof(bytes));
	for (unsigned v = 0; v < 65536; v++) {
		struct rcur c = rcur_init(bytes, sizeof(bytes));
		struct wire_targets m;

		bytes[19] = (uint8_t)(v >> 8);
		bytes[20] = (uint8_t)v;
		good += wire_get_targets(&c, &m) == (v <= PARAMS_WEIGHT_MAX);
	}
	ck_assert_uint_eq(good, 65536);
	bytes[19] = bytes[20] = 0;
	for (unsigned v = 0; v < 256; v++) {
		bytes[21] = (uint8_t)v;
		ck_assert(get_bytes(WIRE_TARGETS, bytes, sizeof(bytes)) ==
			  (v <= WIRE_TARGET_DRAINED));
	}
}
END_TEST

START_TEST(impossible_finds)
{
	assert_refused(WIRE_WHO_HAS, "00000000 a1a2a3a4"); /* no name has the id 0 */
	assert_refused(WIRE_WHO_HAS, "01020304 00000000");
	assert_refused(WIRE_WHO_HAS, "01020304 a1a2a3a4 01"); /* that would be the answer */
	assert_refused(WIRE_HAVE, "00000000 a1a2a3a4 01");
	assert_refused(WIRE_HAVE, "01020304 00000000 01");
	assert_refused(WIRE_HAVE, "01020304 a1a2a3a4 01 00");
}
END_TEST

/* Drained without being had is nonsense, and other flags there are none. */
START_TEST(flags_of_have)
{
	uint8_t bytes[9];
	uint64_t good = 0;

	ck_assert_uint_eq(from_hex(bytes, "01020304 a1a2a3a4 00"), sizeof(bytes));
	for (unsigned v = 0; v < 256; v++) {
		bytes[8] = (uint8_t)v;
		if (get_bytes(WIRE_HAVE, bytes, sizeof(bytes)))
			good |= v < 64 ? 1ULL << v : 1ULL << 63;
	}
	ck_assert_uint_eq(good,
			  1 << 0 | 1 << WIRE_HAVE_YES | 1 << (WIRE_HAVE_YES | WIRE_HAVE_DRAINED));
}
END_TEST

/* The fullest message fits one packet of any link that carries 1280 bytes, and has all that was put
 * in; one more entry is refused. */
START_TEST(number_of_targets)
{
	struct wire_targets m, again;
	uint8_t bytes[1 + 21 * (WIRE_TARGETS_MAX + 1)];

	for (unsigned i = 0; i < WIRE_TARGETS_MAX; i++)
		m.v[i] = (struct wire_target){.identity = i * 0x0123456789abcdefu,
					      .version = UINT64_MAX - i,
					      .node_id = (uint16_t)(i + 1),
					      .weight = (uint16_t)(i * 8),
					      .flags = i & 1};
	for (uint8_t n = 1; n <= WIRE_TARGETS_MAX; n++) {
		struct wcur w = wcur_init(bytes, sizeof(bytes));
		struct rcur r;

		m.n = n;
		wire_put_targets(&w, &m);
		ck_assert_uint_eq(wcur_size(&w), 1 + 21u * n);
		r = rcur_init(bytes, wcur_size(&w));
		ck_assert(wire_get_targets(&r, &again));
		ck_assert_uint_eq(again.n, n);
		for (unsigned i = 0; i < n; i++) {
			ck_assert_uint_eq(again.v[i].identity, m.v[i].identity);
			ck_assert_uint_eq(again.v[i].version, m.v[i].version);
			ck_assert_uint_eq(again.v[i].node_id, m.v[i].node_id);
			ck_assert_uint_eq(again.v[i].weight, m.v[i].weight);
			ck_assert_uint_eq(again.v[i].flags, m.v[i].flags);
		}
	}
	ck_assert_uint_lt(1 + 21 * WIRE_TARGETS_MAX + WIRE_OVERHEAD + 48, 1280);
	memcpy(bytes + 1 + 21 * WIRE_TARGETS_MAX, bytes + 1, 21);
	bytes[0] = WIRE_TARGETS_MAX + 1;
	ck_assert(!get_bytes(WIRE_TARGETS, bytes, sizeof(bytes)));
}
END_TEST

START_TEST(number_of_keys)
{
	uint8_t bytes[1024];

	for (unsigned n = 1; n <= WIRE_KEYS_MAX + 1; n++) {
		bytes[0] = (uint8_t)n;
		for (unsigned i = 0; i < n; i++)
			from_hex(bytes + 1 + 14 * i, KEY4);
		ck_assert(get_bytes(WIRE_RELEASE, bytes, 1 + 14 * n) == (n <= WIRE_KEYS_MAX));
	}
}
END_TEST

START_TEST(packet_length_limit)
{
	static uint8_t bytes[8 + UINT16_MAX + 1];

	ck_assert(get_bytes(WIRE_FORWARD, bytes, sizeof(bytes) - 1));
	ck_assert(!get_bytes(WIRE_FORWARD, bytes, sizeof(bytes)));
}
END_TEST

START_TEST(query_size)
{
	for (int i = 4; i < 6; i++) { /* the two queries among the samples */
		uint8_t bytes[512];
		size_t size = from_hex(bytes, samples[i].hex);
		struct rcur c = rcur_init(bytes, size);
		struct wire_query q;

		ck_assert(wire_get_query(&c, &q));
		ck_assert_uint_eq(q.packet_len, 4);
		ck_assert_uint_eq(wire_query_size(&q.key, q.packet_len), size + WIRE_OVERHEAD);
	}
}
END_TEST

START_TEST(header)
{
	static const char hex[] =
		"46574331 01 03 05 09 0102 0304 01 00 0038 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf "
		"1122334455667788 00000000000000000000000000000000";
	uint8_t bytes[128], again[WIRE_HEADER];
	size_t size = from_hex(bytes, hex);
	struct wcur w = wcur_init(again, sizeof(again));
	struct wire_header h;

	ck_assert_uint_eq(size, WIRE_OVERHEAD);
	ck_assert_int_eq(wire_get_header(&h, bytes, size), WIRE_OK);
	ck_assert_uint_eq(h.version_max, 3);
	ck_assert_uint_eq(h.type, WIRE_QUERY);
	ck_assert_uint_eq(h.key_id, 9);
	ck_assert_uint_eq(h.cluster_id, 0x0102);
	ck_assert_uint_eq(h.node_id, 0x0304);
	ck_assert_uint_eq(h.cipher, 1);
	ck_assert_uint_eq(h.length, size);
	ck_assert_uint_eq(h.boot_id[15], 0xaf);
	ck_assert_uint_eq(h.counter, 0x1122334455667788);
	wire_put_header(&w, &h);
	ck_assert(wcur_ok(&w) && wcur_left(&w) == 0);
	ck_assert_mem_eq(again, bytes, WIRE_HEADER);
}
END_TEST

START_TEST(bad_header)
{
	uint8_t bytes[WIRE_OVERHEAD + 8] = {0x46, 0x57, 0x43, 0x31, 1, 1, 1, 1, 0, 1, 0, 1};
	struct wire_header h;

	bytes[15] = sizeof(bytes);
	ck_assert_int_eq(wire_get_header(&h, bytes, sizeof(bytes)), WIRE_OK);
	for (size_t n = 0; n < sizeof(bytes); n++) {
		uint8_t *copy = guard_copy(bytes, n);
		ck_assert_int_eq(wire_get_header(&h, copy, n), WIRE_SHORT);
		guard_free(copy, n);
	}
	bytes[4] = 2;
	ck_assert_int_eq(wire_get_header(&h, bytes, sizeof(bytes)), WIRE_BAD_VERSION);
	ck_assert_uint_eq(h.version_max, 1);
	bytes[4] = 0;
	ck_assert_int_eq(wire_get_header(&h, bytes, sizeof(bytes)), WIRE_BAD_VERSION);
	bytes[4] = 1;
	for (unsigned i = 0; i < 4; i++) {
		bytes[i] ^= 1;
		ck_assert_int_eq(wire_get_header(&h, bytes, sizeof(bytes)), WIRE_BAD_MAGIC);
		bytes[i] ^= 1;
	}
	bytes[14] = 1; /* says 0x148 bytes */
	ck_assert_int_eq(wire_get_header(&h, bytes, sizeof(bytes)), WIRE_SHORT);
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(wire_type_name(WIRE_HELLO), "hello");
	ck_assert_str_eq(wire_type_name(WIRE_NOT_HOME), "not-home");
	ck_assert_str_eq(wire_type_name(WIRE_YIELD), "yield");
	ck_assert_str_eq(wire_type_name(0), "unknown");
	ck_assert_str_eq(wire_type_name(11), "path");
	ck_assert_str_eq(wire_type_name(12), "path-ask");
	ck_assert_str_eq(wire_type_name(13), "targets");
	ck_assert_str_eq(wire_type_name(14), "who-has");
	ck_assert_str_eq(wire_type_name(15), "have");
	ck_assert_str_eq(wire_type_name(16), "backup");
	ck_assert_str_eq(wire_type_name(17), "backup-end");
	ck_assert_str_eq(wire_type_name(18), "taken");
	ck_assert_str_eq(wire_type_name(19), "backup-ack");
	ck_assert_str_eq(wire_type_name(20), "role");
	ck_assert_str_eq(wire_type_name(21), "sync");
	ck_assert_str_eq(wire_type_name(22), "sync-ask");
	ck_assert_str_eq(wire_type_name(23), "unknown");
	for (unsigned i = 0; i < 256; i++)
		ck_assert_int_eq(wire_type_known((uint8_t)i),
				 strcmp(wire_type_name((uint8_t)i), "unknown") != 0);
	/* FNV-1a 64, published test values */
	ck_assert_uint_eq(wire_segment_id(""), 0xcbf29ce484222325);
	ck_assert_uint_eq(wire_segment_id("a"), 0xaf63dc4c8601ec8c);
	ck_assert_uint_eq(wire_segment_id("foobar"), 0x85944171f73967e8);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire");
	TCase *t = tcase_create("wire");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, pinned_and_round_trip, 0, N_SAMPLES);
	tcase_add_loop_test(t, every_prefix, 0, N_SAMPLES);
	tcase_add_loop_test(t, every_byte_changed, 0, N_SAMPLES);
	tcase_add_test(t, impossible_hello);
	tcase_add_test(t, largest_hello);
	tcase_add_test(t, impossible_key);
	tcase_add_test(t, key_of_both_directions);
	tcase_add_test(t, impossible_others);
	tcase_add_test(t, impossible_path);
	tcase_add_test(t, every_path);
	tcase_add_test(t, impossible_targets);
	tcase_add_test(t, values_of_targets);
	tcase_add_test(t, number_of_targets);
	tcase_add_test(t, impossible_finds);
	tcase_add_test(t, flags_of_have);
	tcase_add_test(t, number_of_keys);
	tcase_add_test(t, packet_length_limit);
	tcase_add_test(t, query_size);
	tcase_add_test(t, header);
	tcase_add_test(t, bad_header);
	tcase_add_test(t, names);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
