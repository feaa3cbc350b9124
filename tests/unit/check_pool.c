/*
 * check_pool.c - memory for packets that wait: nothing is lost, nothing reused too early.
 */
#include <check.h>
#include <string.h>

#include "node/pool.h"

static struct frame frame_of(uint8_t *data, uint32_t len)
{
	return (struct frame){
		.data = data, .len = len, .port = 7, .vnet = {.gso_type = 1, .gso_size = 1448}};
}

START_TEST(holds_a_copy_with_headroom)
{
	uint8_t data[100];
	struct frame f = frame_of(data, sizeof(data));
	struct pool *p = pool_new(1, 0);
	struct held *h;

	memset(data, 0xa5, sizeof(data));
	h = pool_hold(p, &f);
	ck_assert_ptr_nonnull(h);
	memset(data, 0, sizeof(data));
	ck_assert_ptr_ne(h->frame.data, data);
	ck_assert_uint_eq(h->frame.len, sizeof(data));
	ck_assert_uint_eq(h->frame.port, 7);
	ck_assert_uint_eq(h->frame.vnet.gso_size, 1448);
	for (unsigned i = 0; i < sizeof(data); i++)
		ck_assert_uint_eq(h->frame.data[i], 0xa5);
	memset(h->frame.data - FRAME_HEADROOM, 1, FRAME_HEADROOM + POOL_SMALL);
	pool_free(p);
}
END_TEST

START_TEST(two_sizes)
{
	static uint8_t data[FRAME_MAX + 1];
	static const struct {
		uint32_t len;
		bool small, fits;
	} cases[] = {{0, true, true},
		     {POOL_SMALL, true, true},
		     {POOL_SMALL + 1, false, true},
		     {FRAME_MAX, false, true},
		     {FRAME_MAX + 1, false, false}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pool *p = pool_new(1, 1);
		struct frame f = frame_of(data, cases[i].len);
		struct held *h = pool_hold(p, &f);

		ck_assert_int_eq(h != NULL, cases[i].fits);
		ck_assert_uint_eq(pool_used(p), cases[i].fits);
		if (h)
			ck_assert_int_eq(h->small, cases[i].small);
		pool_free(p);
	}
}
END_TEST

/* A small packet may take a large buffer, never the other way round. */
START_TEST(small_overflows_into_large)
{
	static uint8_t data[FRAME_MAX];
	struct frame small = frame_of(data, 60), large = frame_of(data, FRAME_MAX);
	struct pool *p = pool_new(1, 2);
	struct held *h[3];

	for (unsigned i = 0; i < 2; i++)
		ck_assert_ptr_nonnull(h[i] = pool_hold(p, &small));
	ck_assert_ptr_nonnull(h[2] = pool_hold(p, &large));
	ck_assert_ptr_null(pool_hold(p, &small));
	pool_drop(p, h[0]);
	ck_assert_ptr_null(pool_hold(p, &large));
	pool_drop(p, h[1]);
	ck_assert_ptr_nonnull(pool_hold(p, &large));
	pool_free(p);
}
END_TEST

/* What has been sent stays readable until the actions are carried out. */
START_TEST(retired_until_reclaimed)
{
	uint8_t data[64];
	struct frame f = frame_of(data, sizeof(data));
	struct pool *p = pool_new(2, 0);
	struct held *first, *second;

	memset(data, 1, sizeof(data));
	first = pool_hold(p, &f);
	memset(data, 2, sizeof(data));
	second = pool_hold(p, &f);
	pool_retire(p, first);
	ck_assert_uint_eq(pool_used(p), 1);
	ck_assert_ptr_null(pool_hold(p, &f));
	ck_assert_uint_eq(first->frame.data[0], 1);
	pool_drop(p, second);
	ck_assert_uint_eq(pool_used(p), 0);
	second = pool_hold(p, &f);
	ck_assert_ptr_nonnull(second);
	ck_assert_uint_eq(first->frame.data[63], 1);
	ck_assert_ptr_null(pool_hold(p, &f));
	pool_reclaim(p);
	ck_assert_ptr_nonnull(pool_hold(p, &f));
	ck_assert_ptr_null(pool_hold(p, &f));
	ck_assert_uint_eq(pool_used(p), 2);
	pool_free(p);
}
END_TEST

START_TEST(a_buffer_is_fresh_when_reused)
{
	uint8_t data[64] = {0};
	struct frame f = frame_of(data, sizeof(data));
	struct pool *p = pool_new(1, 0);
	struct held *h = pool_hold(p, &f);

	h->from_member = 9;
	h->frame.data -= 4; /* as a VLAN tag put in does */
	h->frame.len += 4;
	pool_drop(p, h);
	h = pool_hold(p, &f);
	ck_assert_uint_eq(h->from_member, 0);
	ck_assert_ptr_eq(h->frame.data, h->memory + FRAME_HEADROOM);
	ck_assert_uint_eq(h->frame.len, sizeof(data));
	pool_free(p);
}
END_TEST

START_TEST(queue_keeps_order)
{
	uint8_t data[64] = {0};
	struct frame f = frame_of(data, sizeof(data));
	struct pool *p = pool_new(8, 0);
	struct held_queue q = {0};
	struct held *h[8];

	ck_assert_ptr_null(held_pop(&q));
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 8; i++) {
			h[i] = pool_hold(p, &f);
			held_push(&q, h[i]);
		}
		ck_assert_uint_eq(q.n, 8);
		for (unsigned i = 0; i < 8; i++) {
			ck_assert_ptr_eq(held_pop(&q), h[i]);
			pool_drop(p, h[i]);
		}
		ck_assert_ptr_null(held_pop(&q));
		ck_assert_uint_eq(q.n, 0);
		ck_assert_ptr_null(q.tail);
	}
	pool_free(p);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool");
	TCase *t = tcase_create("pool");
	SRunner *sr;
	int failed;

	tcase_add_test(t, holds_a_copy_with_headroom);
	tcase_add_test(t, two_sizes);
	tcase_add_test(t, small_overflows_into_large);
	tcase_add_test(t, retired_until_reclaimed);
	tcase_add_test(t, a_buffer_is_fresh_when_reused);
	tcase_add_test(t, queue_keeps_order);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
