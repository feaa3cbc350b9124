/*
 * l7_rig.h - heads read whole, in two pieces cut anywhere, and byte by byte, from memory that ends
 * at an unreadable page; the same must come of it each time.
 */
#ifndef TESTS_L7_RIG_H
#define TESTS_L7_RIG_H

#include <check.h>
#include <stdio.h>

#include "guard.h"
#include "l7/http_head.h"

static const struct http_limits rig_limits = HTTP_LIMITS_DEFAULT;

static inline enum http_kind rig_kind(const struct http_asked *asked)
{
	return asked ? HTTP_KIND_RESPONSE : HTTP_KIND_REQUEST;
}

/* The first `size` bytes of `data`, shown to `scan` as if no more had come. */
static inline enum l7_answer rig_show(struct http_head *h, struct http_scan *scan,
				      const struct http_limits *l, const struct http_asked *asked,
				      const char *data, size_t size)
{
	char *copy = (char *)guard_copy(data, size);
	enum l7_answer answer = http_head_read(h, scan, l, asked, copy, size);

	guard_free((uint8_t *)copy, size);
	h->data = data; /* spans hold wherever the bytes are */
	return answer;
}

static inline enum l7_answer rig_whole(struct http_head *h, const struct http_limits *l,
				       const struct http_asked *asked, const char *data,
				       size_t size)
{
	struct http_scan scan;

	http_scan_init(&scan, rig_kind(asked));
	return rig_show(h, &scan, l, asked, data, size);
}

static inline void rig_same(const struct http_head *x, const struct http_head *y)
{
	ck_assert_int_eq(x->reason, y->reason);
	if (x->reason != HTTP_REASON_NONE)
		return;
	ck_assert_int_eq(memcmp(x, y, offsetof(struct http_head, fields)), 0);
	for (unsigned i = 0; i < x->n_fields; i++)
		ck_assert_int_eq(memcmp(&x->fields[i], &y->fields[i], sizeof(x->fields[i])), 0);
}

/* Where the answer is no longer L7_MORE; at least 1. */
static inline size_t rig_byte_by_byte(struct http_head *h, const struct http_limits *l,
				      const struct http_asked *asked, const char *data, size_t size,
				      enum l7_answer *answer)
{
	struct http_scan scan;
	size_t n = 0;

	http_scan_init(&scan, rig_kind(asked));
	do
		*answer = rig_show(h, &scan, l, asked, data, ++n);
	while (*answer == L7_MORE && n < size);
	return n;
}

/* Read `data` in every way. Answers, and fills in `h`, as one call with all of it does. */
static inline enum l7_answer rig_read(struct http_head *h, const struct http_limits *l,
				      const struct http_asked *asked, const char *data, size_t size)
{
	static struct http_head again;
	enum l7_answer answer = rig_whole(h, l, asked, data, size), other;
	size_t end = rig_byte_by_byte(&again, l, asked, data, size, &other);

	ck_assert_msg(other == answer, "\"%.60s\" byte by byte: %d, whole: %d", data, other,
		      answer);
	if (answer == L7_MORE)
		return answer;
	rig_same(h, &again);
	for (size_t cut = 0; cut <= size; cut++) {
		struct http_scan scan;

		http_scan_init(&scan, rig_kind(asked));
		other = rig_show(&again, &scan, l, asked, data, cut);
		ck_assert_msg(other == (cut < end ? L7_MORE : answer), "\"%.60s\": %zu of %zu: %d",
			      data, cut, size, other);
		other = rig_show(&again, &scan, l, asked, data, size);
		ck_assert_int_eq(other, answer);
		rig_same(h, &again);
	}
	return answer;
}

/* A request, or a response to `asked`, that must be right. */
static inline void rig_right(struct http_head *h, const struct http_asked *asked, const char *text)
{
	enum l7_answer answer = rig_read(h, &rig_limits, asked, text, strlen(text));

	ck_assert_msg(answer == L7_MATCH, "\"%.60s\": %s", text,
		      answer == L7_NO ? http_reason_name(h->reason) : "more");
}

static inline void rig_refused(const struct http_asked *asked, const char *data, size_t size,
			       enum http_reason reason)
{
	static struct http_head h;
	enum l7_answer answer = rig_read(&h, &rig_limits, asked, data, size);

	ck_assert_msg(answer == L7_NO, "\"%.60s\" was not refused: %d", data, answer);
	ck_assert_msg(h.reason == reason, "\"%.60s\": %s, not %s", data, http_reason_name(h.reason),
		      http_reason_name(reason));
}

static inline bool rig_is(struct text t, const char *s)
{
	return t.size == strlen(s) && (t.size == 0 || memcmp(t.p, s, t.size) == 0);
}

#define RIG_TEXT(t, s)                                                                             \
	ck_assert_msg(rig_is((t), (s)), "\"%.*s\", not \"%s\"", (int)(t).size, (t).p, (s))

/* The main of a test program with one suite. */
static inline int rig_run(Suite *suite)
{
	SRunner *sr = srunner_create(suite);
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}

#endif
