/*
 * head_input.h - one head, read whole and cut in two wherever the input has cut it; shared by the
 * fuzz targets of requests and responses.
 */
#ifndef FUZZ_HEAD_INPUT_H
#define FUZZ_HEAD_INPUT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l7/http_head.h"

static inline enum l7_answer head_show(struct http_head *h, struct http_scan *scan,
				       const struct http_asked *asked, const uint8_t *data,
				       size_t size)
{
	static const struct http_limits limits = {.bytes = 2048, .target = 512, .fields = 32};
	uint8_t *copy = malloc(size > 0 ? size : 1); /* so that one byte too far is seen */
	enum l7_answer answer;

	if (!copy)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	answer = http_head_read(h, scan, &limits, asked, copy, size);
	h->data = (const char *)data;
	free(copy);
	return answer;
}

static inline void head_same(const struct http_head *x, const struct http_head *y)
{
	if (x->reason != y->reason)
		abort();
	if (x->reason != HTTP_REASON_NONE)
		return;
	if (memcmp(x, y, offsetof(struct http_head, fields)) != 0)
		abort();
	for (unsigned i = 0; i < x->n_fields; i++) /* nothing points behind the head */
		if (memcmp(&x->fields[i].name, &y->fields[i].name, sizeof(struct span)) != 0 ||
		    x->fields[i].name.at + x->fields[i].name.size >= x->size ||
		    x->fields[i].value.at + x->fields[i].value.size >= x->size)
			abort();
}

/* The whole input in one call, and byte by byte; `again` is room for the second. Fills in `h`. */
static inline enum l7_answer head_read(struct http_head *h, struct http_head *again,
				       const struct http_asked *asked, const uint8_t *data,
				       size_t size)
{
	enum http_kind kind = asked ? HTTP_KIND_RESPONSE : HTTP_KIND_REQUEST;
	enum l7_answer answer, other = L7_MORE;
	struct http_scan scan;

	http_scan_init(&scan, kind);
	answer = head_show(h, &scan, asked, data, size);
	http_scan_init(&scan, kind);
	for (size_t n = 0; n <= size && other == L7_MORE; n++)
		other = head_show(again, &scan, asked, data, n);
	if (other != answer)
		abort();
	if (answer != L7_MORE)
		head_same(h, again);
	return answer;
}

#endif
