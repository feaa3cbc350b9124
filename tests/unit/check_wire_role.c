/*
 * check_wire_role.c - what nodes of a dispatcher say: pinned bytes, every prefix refused, nothing
 * impossible accepted.
 *
 * proves: FC-17 HD-19
 */
#include <check.h>

#include "cluster/wire_role.h"
#include "guard.h"

static const uint8_t role_bytes[] = {
	0x01, 0x02, 0x03, 0x04,				/* seq */
	2,						/* dispatchers */
	0xaa, 0xbb, 0xcc, 0xdd, 2,    11,   0x00, 0x07, /* active, able wants forced, by 7 */
	0x10, 0x20, 0x30, 0x40,				/* configuration */
	0x00, 0x00, 0x00, 0x01, 0,    0,    0x00, 0x00, /* waiting, nobody */
	0xff, 0xff, 0xff, 0xff, 3,			/* heard: three */
	0x00, 0x01, 0x01, 0x00, 0xff, 0xff,
};

static bool get(const uint8_t *data, size_t size, struct wire_role *m)
{
	struct rcur c = rcur_init(data, size);

	return wire_get_role(&c, m);
}

START_TEST(pinned_and_round_trip)
{
	struct wire_role m;
	uint8_t out[WIRE_ROLE_MAX];
	struct wcur w = wcur_init(out, sizeof(out));

	ck_assert(get(role_bytes, sizeof(role_bytes), &m));
	ck_assert_uint_eq(m.seq, 0x01020304);
	ck_assert_uint_eq(m.n_roles, 2);
	ck_assert_uint_eq(m.roles[0].dispatcher, 0xaabbccdd);
	ck_assert_uint_eq(m.roles[0].state, WIRE_ROLE_ACTIVE);
	ck_assert_uint_eq(m.roles[0].flags, WIRE_ROLE_ABLE | WIRE_ROLE_SYNCED | WIRE_ROLE_FORCED);
	ck_assert_uint_eq(m.roles[0].active, 7);
	ck_assert_uint_eq(m.roles[0].config, 0x10203040);
	ck_assert_uint_eq(m.roles[1].dispatcher, 1);
	ck_assert_uint_eq(m.roles[1].state, WIRE_ROLE_WAITING);
	ck_assert_uint_eq(m.roles[1].active, 0);
	ck_assert_uint_eq(m.roles[1].config, 0xffffffff);
	ck_assert_uint_eq(m.n_heard, 3);
	ck_assert_uint_eq(m.heard[0], 1);
	ck_assert_uint_eq(m.heard[1], 256);
	ck_assert_uint_eq(m.heard[2], 65535);
	wire_put_role(&w, &m);
	ck_assert(wcur_ok(&w));
	ck_assert_uint_eq(wcur_size(&w), sizeof(role_bytes));
	ck_assert_mem_eq(out, role_bytes, sizeof(role_bytes));
}
END_TEST

START_TEST(every_prefix_and_more)
{
	uint8_t more[sizeof(role_bytes) + 1];
	struct wire_role m;

	for (size_t size = 0; size < sizeof(role_bytes); size++) {
		uint8_t *copy = guard_copy(role_bytes, size);

		ck_assert_msg(!get(copy, size, &m), "%zu bytes", size);
		guard_free(copy, size);
	}
	memcpy(more, role_bytes, sizeof(role_bytes));
	more[sizeof(role_bytes)] = 0;
	ck_assert(!get(more, sizeof(more), &m));
}
END_TEST

START_TEST(impossible)
{
	static const struct {
		size_t at;
		uint8_t value;
		bool good;
	} cases[] = {
		{4, 1, false},	 {4, 3, false},	  {4, PARAMS_DISPATCHERS + 1, false},
		{4, 255, false}, {9, 3, true},	  {9, 4, false},
		{9, 255, false}, {10, 127, true}, {10, 128, true},
		{10, 255, true}, {21, 4, false},  {22, 128, true},
		{29, 2, false},	 {29, 4, false},  {29, 255, false},
	};
	uint8_t copy[sizeof(role_bytes)];
	struct wire_role m;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(copy, role_bytes, sizeof(copy));
		copy[cases[i].at] = cases[i].value;
		ck_assert_msg(get(copy, sizeof(copy), &m) == cases[i].good, "case %u", i);
	}
}
END_TEST

static void put_counts(uint8_t *out, size_t *size, unsigned n_roles, unsigned n_heard)
{
	struct wcur w = wcur_init(out, 4096);

	wcur_u32(&w, 1);
	wcur_u8(&w, (uint8_t)n_roles);
	for (unsigned i = 0; i < 12 * n_roles; i++)
		wcur_u8(&w, 0);
	wcur_u8(&w, (uint8_t)n_heard);
	for (unsigned i = 0; i < n_heard; i++)
		wcur_u16(&w, 1);
	*size = wcur_size(&w);
}

/* As many as there may be, and no more, though the bytes are all there. */
START_TEST(largest)
{
	static uint8_t out[4096];
	struct wire_role m;
	size_t size;

	put_counts(out, &size, PARAMS_DISPATCHERS, PARAMS_MEMBERS);
	ck_assert_uint_eq(size, WIRE_ROLE_MAX);
	ck_assert(get(out, size, &m));
	put_counts(out, &size, PARAMS_DISPATCHERS + 1, 0);
	ck_assert(!get(out, size, &m));
	put_counts(out, &size, 0, PARAMS_MEMBERS + 1);
	ck_assert(!get(out, size, &m));
	put_counts(out, &size, 0, 0);
	ck_assert(get(out, size, &m));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire role");
	TCase *tc = tcase_create("messages");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, pinned_and_round_trip);
	tcase_add_test(tc, every_prefix_and_more);
	tcase_add_test(tc, impossible);
	tcase_add_test(tc, largest);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
