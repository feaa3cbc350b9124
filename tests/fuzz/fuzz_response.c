/*
 * fuzz_response.c - what a server may send as the head of a response. The first byte says what was
 * asked.
 */
#include <stdlib.h>

#include "head_input.h"
#include "l7/http_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_head h, again;
static uint8_t out[65536];

static void rewrite(const struct http_asked *asked, const struct http_response_edit *e)
{
	struct wcur w = wcur_init(out, sizeof(out));
	struct http_limits wide = {HTTP_BYTES_MAX, HTTP_BYTES_MAX, HTTP_FIELDS_MAX};
	struct http_scan scan;

	http_write_response(&w, &h, e);
	http_scan_init(&scan, HTTP_KIND_RESPONSE);
	if (!wcur_ok(&w))
		return;
	if (http_head_read(&again, &scan, &wide, asked, out, wcur_size(&w)) != L7_MATCH ||
	    again.size != wcur_size(&w) || again.framing != h.framing || again.status != h.status ||
	    again.minor != 1 || (h.framing != FRAMING_TUNNEL && again.length != h.length))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum http_method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_CONNECT,
						   METHOD_POST};
	struct http_response_edit e = {.prefix_name = TEXT("SID"), .prefix_token = TEXT("token")};
	struct http_asked asked;

	if (size == 0)
		return 0;
	asked.method = methods[data[0] & 3];
	asked.minor = data[0] >> 2 & 1;
	asked.upgrade = data[0] >> 3 & 1;
	if (head_read(&h, &again, &asked, data + 1, size - 1) != L7_MATCH)
		return 0;
	if (h.status < 100 || h.status > 599 ||
	    (asked.method == METHOD_HEAD && h.framing != FRAMING_NONE && !h.upgrade) ||
	    (h.framing == FRAMING_CLOSE && h.keep_alive))
		abort();
	for (unsigned i = 0; i < 3; i++) {
		e.hold = i == 0 ? HOLD_KEEP : i == 1 ? HOLD_CLOSE : HOLD_UPGRADE;
		e.minor = i & 1;
		if (i != 2 && h.upgrade) /* a switch that is not passed on is no switch */
			continue;
		rewrite(&asked, &e);
	}
	return 0;
}
