/*
 * check_wire_sync.c - messages that carry a dispatcher's tables: pinned bytes, every prefix
 * refused, nothing impossible accepted.
 *
 * proves: HD-19 HD-23
 */
#include <check.h>

#include "cluster/wire_sync.h"
#include "guard.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* clang-format off */
static const uint8_t message[] = {
	0xaa, 0xbb, 0xcc, 0xdd, 0, 0, 0, 7, 0, 0, 1, 2, 0,	/* dispatcher, epoch, seq, flags */
	/* 13: a flow whose addresses are rewritten */
	1, 4, 6, 0x12, 0x34, 0, 80, 10, 1, 0, 5, 192, 0, 2, 80,
	0x55, 1, 0x13, 0, 7, 0, 3,				/* 28: flags .. upstream */
	1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0xea, 0x60, 0, 0, 3, 0xe8,
	0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3,
	0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 6,
	4, 6, 0, 80, 0x12, 0x34, 10, 0, 0, 9, 10, 1, 0, 5,	/* 83: its twin */
	/* 97 */
	2, 4, 17, 0x12, 0x34, 0, 80, 10, 1, 0, 5, 192, 0, 2, 80, /* gone */
	/* 112 */
	3, 4, 198, 51, 100, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0, 7, 0, 0, 0x27, 0x10, /* affinity */
	/* 132 */
	4, 0, 7, 3, 2, 0, 0, 0, 0, 9,				/* path: failed, MAC known */
	/* 142 */
	5, 0, 0, 0, 9, 0, 0, 0, 0,				/* begin */
	/* 151 */
	6, 0, 0, 0, 9, 0, 0, 0, 2,				/* end, of two flows */
};
/* clang-format on */
static const size_t ends[] = {13, 97, 112, 132, 142, 151, 160};

static bool get_all(const uint8_t *data, size_t size, struct wire_sync_head *h,
		    struct wire_sync_record *v, unsigned *n)
{
	struct rcur c = rcur_init(data, size);

	*n = 0;
	if (!wire_get_sync_head(&c, h))
		return false;
	while (rcur_left(&c) > 0)
		if (!wire_get_sync(&c, &v[(*n)++]))
			return false;
	return true;
}

START_TEST(pinned_and_round_trip)
{
	struct wire_sync_record v[8];
	struct wire_sync_head h;
	uint8_t out[256];
	struct wcur w = wcur_init(out, sizeof(out));
	unsigned n;

	ck_assert_uint_eq(sizeof(message), 160);
	ck_assert(get_all(message, sizeof(message), &h, v, &n));
	ck_assert_uint_eq(n, 6);
	ck_assert_uint_eq(h.dispatcher, 0xaabbccdd);
	ck_assert_uint_eq(h.epoch, 7);
	ck_assert_uint_eq(h.seq, 0x102);
	ck_assert_uint_eq(v[0].flow.flags, WIRE_SYNC_ORIGIN_B | WIRE_SYNC_FIN_0 | WIRE_SYNC_TWIN |
						   WIRE_SYNC_HAS_AFFINITY);
	ck_assert_uint_eq(v[0].flow.state, 1);
	ck_assert_uint_eq(v[0].flow.path_by, 1);
	ck_assert_uint_eq(v[0].flow.target_by, 3);
	ck_assert_uint_eq(v[0].flow.path, 7);
	ck_assert_uint_eq(v[0].flow.upstream, 3);
	ck_assert_uint_eq(v[0].flow.service, 0x01020304);
	ck_assert_uint_eq(v[0].flow.target, 0x05060708);
	ck_assert_uint_eq(v[0].flow.life_ms, 60000);
	ck_assert_uint_eq(v[0].flow.age_ms, 1000);
	ck_assert_uint_eq(v[0].flow.ack[1], 4);
	ck_assert_uint_eq(v[0].flow.packets[0], 2);
	ck_assert_uint_eq(v[0].flow.bytes[1], 0x100000006);

	ck_assert_uint_eq(v[1].gone.proto, IPPROTO_NUM_UDP);
	ck_assert_uint_eq(v[2].affinity.life_ms, 10000);
	ck_assert_uint_eq(v[3].path.flags, WIRE_SYNC_PATH_FAILED | WIRE_SYNC_PATH_MAC);
	ck_assert_uint_eq(v[3].path.mac.b[5], 9);
	ck_assert_uint_eq(v[5].bulk.n, 2);
	wire_put_sync_head(&w, &h);
	for (unsigned i = 0; i < n; i++)
		wire_put_sync(&w, &v[i]);
	ck_assert(wcur_ok(&w));
	ck_assert_uint_eq(wcur_size(&w), sizeof(message));
	ck_assert_mem_eq(out, message, sizeof(message));
}
END_TEST

START_TEST(every_prefix)
{
	struct wire_sync_record v[8];
	struct wire_sync_head h;
	unsigned n;

	for (size_t size = 0, next = 0; size <= sizeof(message); size++) {
		uint8_t *copy = guard_copy(message, size);
		bool whole = next < COUNT(ends) && size == ends[next];

		ck_assert_msg(get_all(copy, size, &h, v, &n) == whole, "%zu bytes", size);
		next += whole;
		guard_free(copy, size);
	}
}
END_TEST

START_TEST(impossible)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {
		{7, 0},	  {12, 4},   {12, 0x80},	    /* no epoch, unknown flags */
		{13, 0},  {13, 7},   {14, 5},	 {20, 200}, /* kind, version, order of a key */
		{29, 4},  {29, 255},			    /* state */
		{83, 5},  {98, 9},			    /* version of a twin, of one gone */
		{113, 5}, {113, 0},			    /* version of a client */
		{134, 0}, {135, 8},			    /* no path, unknown flag */
	};
	struct wire_sync_record v[8];
	struct wire_sync_head h;
	uint8_t copy[sizeof(message)];
	unsigned n;

	for (unsigned i = 0; i < COUNT(bad); i++) {
		memcpy(copy, message, sizeof(copy));
		copy[bad[i].at] = bad[i].value;
		ck_assert_msg(!get_all(copy, sizeof(copy), &h, v, &n), "case %u", i);
	}
}
END_TEST

/* An IPv4 address has one form only. */
START_TEST(mapped_client)
{
	uint8_t bytes[32] = {3, 6, [12] = 0xff, [13] = 0xff, [14] = 10};
	struct wire_sync_record r;
	struct rcur c = rcur_init(bytes, 1 + 17 + 14);

	ck_assert(!wire_get_sync(&c, &r));
	bytes[2] = 0x20;
	c = rcur_init(bytes, 1 + 17 + 14);
	ck_assert(wire_get_sync(&c, &r));
}
END_TEST

START_TEST(largest_record)
{
	struct wire_sync_record r = {.kind = WIRE_SYNC_FLOW};
	uint8_t out[256];
	struct wcur c = wcur_init(out, sizeof(out));

	r.flow.key = r.flow.twin = (struct flow_key){.proto = IPPROTO_NUM_TCP, .version = 6};
	r.flow.flags = WIRE_SYNC_TWIN;
	wire_put_sync(&c, &r);
	ck_assert(wcur_ok(&c));
	ck_assert_uint_le(wcur_size(&c), WIRE_SYNC_RECORD_MAX);
}
END_TEST

START_TEST(ask)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 0, 0, 0, 9, 0};
	struct wire_sync_ask m;
	uint8_t out[16];
	struct wcur w = wcur_init(out, sizeof(out));

	for (size_t size = 0; size <= sizeof(bytes); size++) {
		uint8_t *copy = guard_copy(bytes, size);
		struct rcur c = rcur_init(copy, size);

		ck_assert_int_eq(wire_get_sync_ask(&c, &m), size == 8);
		if (size == 8)
			wire_put_sync_ask(&w, &m);
		guard_free(copy, size);
	}
	ck_assert_uint_eq(wcur_size(&w), 8);
	ck_assert_mem_eq(out, bytes, 8);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire sync");
	TCase *t = tcase_create("wire sync");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, pinned_and_round_trip);
	tcase_add_test(t, every_prefix);
	tcase_add_test(t, impossible);
	tcase_add_test(t, mapped_client);
	tcase_add_test(t, largest_record);
	tcase_add_test(t, ask);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
