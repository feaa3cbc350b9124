/* The byte cursor, on buffers that end at an unreadable page. */
#include <check.h>

#include "base/cursor.h"
#include "guard.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

START_TEST(reads_in_network_order)
{
	uint8_t *p = guard_copy(bytes, sizeof(bytes));
	struct rcur c = rcur_init(p, sizeof(bytes));

	ck_assert_uint_eq(rcur_u8(&c), 1);
	ck_assert_uint_eq(rcur_u16(&c), 0x0203);
	ck_assert_uint_eq(rcur_u32(&c), 0x04050607);
	ck_assert_uint_eq(rcur_left(&c), 8);
	ck_assert(rcur_u64(&c) == 0x08090a0b0c0d0e0fULL);
	ck_assert(rcur_ok(&c));
	ck_assert_uint_eq(rcur_left(&c), 0);
	ck_assert_uint_eq(rcur_u8(&c), 0);
	ck_assert(!rcur_ok(&c));
	guard_free(p, sizeof(bytes));
}
END_TEST

/* One byte, two, four, eight and four copied: from every prefix, in full or not at all. */
START_TEST(every_prefix)
{
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		uint8_t *p = guard_copy(bytes, size);
		struct rcur c = rcur_init(p, size);
		uint8_t out[4];

		ck_assert_uint_eq(rcur_u8(&c), size >= 1 ? 1 : 0);
		ck_assert_uint_eq(rcur_u16(&c), size >= 3 ? 0x0203 : 0);
		ck_assert_uint_eq(rcur_u32(&c), size >= 7 ? 0x04050607 : 0);
		rcur_bytes(&c, out, sizeof(out));
		ck_assert_uint_eq(out[3], size >= 11 ? 11 : 0);
		rcur_skip(&c, 4);
		ck_assert_int_eq(rcur_ok(&c), size >= 15);
		guard_free(p, size);
	}
}
END_TEST

START_TEST(error_sticks)
{
	uint8_t *p = guard_copy(bytes, 4);
	struct rcur c = rcur_init(p, 4);

	ck_assert_ptr_null(rcur_take(&c, 5));
	ck_assert_ptr_null(rcur_take(&c, 1)); /* although one byte is there */
	ck_assert_ptr_null(rcur_take(&c, 0));
	ck_assert_uint_eq(rcur_u8(&c), 0);
	ck_assert_uint_eq(rcur_left(&c), 0);
	ck_assert(!rcur_ok(&c));
	guard_free(p, 4);
}
END_TEST

START_TEST(huge_sizes_do_not_wrap)
{
	uint8_t *p = guard_copy(bytes, 4);
	struct rcur c = rcur_init(p, 4);
	struct wcur w = wcur_init(p, 4);

	ck_assert_ptr_nonnull(rcur_take(&c, 1));
	ck_assert_ptr_null(rcur_take(&c, SIZE_MAX));
	ck_assert_ptr_nonnull(wcur_room(&w, 1));
	ck_assert_ptr_null(wcur_room(&w, SIZE_MAX));
	guard_free(p, 4);
}
END_TEST

START_TEST(writes_every_size)
{
	static const uint8_t want[] = {9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 7, 7};

	for (size_t size = 0; size <= sizeof(want); size++) {
		uint8_t *p = guard_copy(NULL, size);
		struct wcur w = wcur_init(p, size);

		wcur_u8(&w, 9);
		wcur_u16(&w, 0x0102);
		wcur_u32(&w, 0x03040506);
		wcur_u64(&w, 0x0708090a0b0c0d0eULL);
		wcur_bytes(&w, "\7\7", 2);
		ck_assert_int_eq(wcur_ok(&w), size == sizeof(want));
		ck_assert_int_eq(memcmp(p, want, wcur_size(&w)), 0);
		ck_assert_uint_le(wcur_size(&w), size);
		if (!wcur_ok(&w))
			ck_assert_uint_eq(wcur_left(&w), 0);
		guard_free(p, size);
	}
}
END_TEST

START_TEST(writes_nothing_after_an_error)
{
	uint8_t *p = guard_copy(NULL, 3);
	struct wcur w = wcur_init(p, 3);
	volatile size_t more = 3; /* else the compiler proves, and warns, that it does not fit */

	wcur_u8(&w, 1);
	wcur_bytes(&w, bytes, more);
	wcur_u8(&w, 2);
	ck_assert(!wcur_ok(&w));
	ck_assert_uint_eq(wcur_size(&w), 1);
	ck_assert_uint_eq(p[1], 0);
	guard_free(p, 3);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cursor");
	TCase *t = tcase_create("cursor");

	tcase_add_test(t, reads_in_network_order);
	tcase_add_test(t, every_prefix);
	tcase_add_test(t, error_sticks);
	tcase_add_test(t, huge_sizes_do_not_wrap);
	tcase_add_test(t, writes_every_size);
	tcase_add_test(t, writes_nothing_after_an_error);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
