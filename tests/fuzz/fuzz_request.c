/*
 * fuzz_request.c - what a client may send as the head of a request.
 *
 * However the bytes are cut, the head is the same, or is refused for the same reason. What passes
 * is written anew with every edit, and what is written passes again and is framed the same.
 */
#include <stdlib.h>

#include "head_input.h"
#include "l7/http_route.h"
#include "l7/http_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_route_rule rules[] = {
	{.host = "*.example.org", .path = "/app", .pool = 1},
	{.path = "/a/b/", .cookie = "SRV", .pool = 2},
	{.header = "X", .header_value = "y", .pool = 3},
	{.path = "/", .pool = 4},
};

static struct http_head h, again;
static uint8_t out[65536];

/* A path that begins with '/' fits the last rule, whatever is in it. */
static void route(void)
{
	static struct http_route *r;
	size_t bad;

	if (!r)
		r = http_route_new(rules, 4, &bad);
	if (!r || (h.path.size > 0 && http_text(&h, h.path).p[0] == '/' && !http_route_find(r, &h)))
		abort();
}

static void rewrite(struct http_request_edit *e)
{
	struct wcur w = wcur_init(out, sizeof(out));
	struct http_limits wide = {HTTP_BYTES_MAX, HTTP_BYTES_MAX, HTTP_FIELDS_MAX};
	struct http_scan scan;

	http_write_request(&w, &h, e);
	http_scan_init(&scan, HTTP_KIND_REQUEST);
	if (!wcur_ok(&w))
		return;
	if (http_head_read(&again, &scan, &wide, NULL, out, wcur_size(&w)) != L7_MATCH ||
	    again.size != wcur_size(&w) || again.framing != h.framing || again.length != h.length ||
	    again.method != h.method || again.minor != h.minor ||
	    (e->hold == HOLD_CLOSE && again.keep_alive) ||
	    !text_eq_nocase(http_text(&h, h.host), http_text(&again, again.host)))
		abort();
}

static void edits(void)
{
	static const struct endpoint client = {.port = 1};
	struct http_request_edit e = {
		.client = &client, .service = &client, .cookie_name = TEXT("SRV")};

	for (int i = 0; i < 12; i++) {
		e.hold = i % 3 == 0 ? HOLD_KEEP : i % 3 == 1 ? HOLD_CLOSE : HOLD_UPGRADE;
		e.forwarded = (enum http_forwarded)(i % 4);
		e.believe = i & 1;
		e.continued = i & 2;
		e.cookie = i / 4 == 0 ? COOKIE_KEEP : i / 4 == 1 ? COOKIE_STRIP : COOKIE_UNPREFIX;
		rewrite(&e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (head_read(&h, &again, NULL, data, size) != L7_MATCH)
		return 0;
	if ((h.minor == 1 && h.host.size == 0) || h.framing == FRAMING_CLOSE ||
	    h.framing == FRAMING_TUNNEL)
		abort();
	route();
	edits();
	return 0;
}
