/* Token buckets. */
#include <check.h>

#include "base/bucket.h"

#define SECOND 1000000000ULL

START_TEST(burst_then_rate)
{
	struct bucket b;

	bucket_init(&b, 10, 5, SECOND);
	for (unsigned i = 0; i < 5; i++)
		ck_assert(bucket_take(&b, 1, SECOND));
	ck_assert(!bucket_take(&b, 1, SECOND));
	ck_assert(!bucket_take(&b, 1, SECOND + SECOND / 10 - 1));
	ck_assert(bucket_take(&b, 1, SECOND + SECOND / 10));
	ck_assert(!bucket_take(&b, 1, SECOND + SECOND / 10));
}
END_TEST

START_TEST(never_more_than_burst)
{
	struct bucket b;
	unsigned taken = 0;

	bucket_init(&b, 1000, 7, 0);
	while (bucket_take(&b, 1, 3600 * SECOND))
		taken++;
	ck_assert_uint_eq(taken, 7);
}
END_TEST

START_TEST(refusal_takes_nothing)
{
	struct bucket b;

	bucket_init(&b, 1, 10, 0);
	ck_assert(!bucket_take(&b, 11, 0));
	ck_assert(bucket_take(&b, 10, 0));
	ck_assert(!bucket_take(&b, 1, 0));
}
END_TEST

START_TEST(slow_rate_loses_nothing)
{
	struct bucket b;
	unsigned taken = 0;

	bucket_init(&b, 1, 1, 0);
	ck_assert(bucket_take(&b, 1, 0));
	/* Asked every microsecond for two seconds: two tokens, none lost to rounding. */
	for (uint64_t now = 0; now <= 2 * SECOND; now += 1000)
		taken += bucket_take(&b, 1, now);
	ck_assert_uint_eq(taken, 2);
}
END_TEST

START_TEST(rate_zero)
{
	struct bucket b;

	bucket_init(&b, 0, 100, 0);
	ck_assert(!bucket_take(&b, 1, 0));
	ck_assert(!bucket_take(&b, 1, UINT64_MAX));
}
END_TEST

START_TEST(time_goes_back_or_far)
{
	struct bucket b;

	bucket_init(&b, UINT32_MAX, UINT32_MAX, 5 * SECOND);
	ck_assert(bucket_take(&b, UINT32_MAX, 5 * SECOND));
	ck_assert(!bucket_take(&b, 1, 0)); /* the past gives nothing */
	ck_assert(!bucket_take(&b, 1, 5 * SECOND));
	ck_assert(bucket_take(&b, UINT32_MAX, UINT64_MAX)); /* no overflow */
	ck_assert(!bucket_take(&b, 1, UINT64_MAX));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bucket");
	TCase *t = tcase_create("bucket");

	tcase_add_test(t, burst_then_rate);
	tcase_add_test(t, never_more_than_burst);
	tcase_add_test(t, refusal_takes_nothing);
	tcase_add_test(t, slow_rate_loses_nothing);
	tcase_add_test(t, rate_zero);
	tcase_add_test(t, time_goes_back_or_far);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
