/*
 * fuzz_chunked.c - a chunked body: the first byte says how it is cut; the rest is the body and what
 * follows it. Whole and in pieces, the same bytes belong to it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l7/http_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_body_limits limits = {.trailer = {.bytes = 256, .target = 1, .fields = 8},
					       .extensions = 64};

static enum l7_answer read_piece(struct http_body *b, const uint8_t *data, size_t size,
				 size_t *used)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	enum l7_answer answer;

	if (!copy)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	answer = http_body_read(b, &limits, copy, size, used);
	if (*used > size || (answer == L7_MORE && *used != size))
		abort();
	free(copy);
	return answer;
}

/* In pieces of `each` bytes; where that may be, content goes by unseen. */
static enum l7_answer in_pieces(struct http_body *b, const uint8_t *data, size_t size, size_t each,
				size_t *used)
{
	enum l7_answer answer = L7_MORE;

	*used = 0;
	while (answer == L7_MORE && *used < size) {
		uint64_t unseen = http_body_unseen(b);
		size_t n = size - *used < each ? size - *used : each;

		if (unseen > 0) {
			n = unseen < n ? (size_t)unseen : n;
			answer = http_body_passed(b, n);
		} else {
			answer = read_piece(b, data + *used, n, &n);
		}
		*used += n;
	}
	return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_body whole, pieces;
	enum l7_answer answer;
	size_t used, other;

	if (size < 1)
		return 0;
	http_body_init(&whole, FRAMING_CHUNKED, 0);
	answer = read_piece(&whole, data + 1, size - 1, &used);
	http_body_init(&pieces, FRAMING_CHUNKED, 0);
	if (in_pieces(&pieces, data + 1, size - 1, 1 + (data[0] & 15), &other) != answer ||
	    used != other || whole.reason != pieces.reason || whole.content != pieces.content ||
	    whole.total != used || pieces.total != used || whole.content > whole.total)
		abort();
	if ((answer == L7_MATCH) != http_body_may_close(&whole))
		abort();
	/* No message ends but with an empty line. */
	if (answer == L7_MATCH && (used < 4 || memcmp(data + 1 + used - 4, "\r\n\r\n", 4) != 0))
		abort();
	return 0;
}
