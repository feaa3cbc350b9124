#include "l7/http_reason.h"

#include <assert.h>

struct row {
	const char *name;
	unsigned status;
	const char *text;
};

#define HTTP_REASON_ROW(sym, name, status, text) [HTTP_REASON_##sym] = {name, status, text},
static const struct row rows[HTTP_REASON_COUNT] = {HTTP_REASON_LIST(HTTP_REASON_ROW)};
#undef HTTP_REASON_ROW

const char *http_reason_name(enum http_reason r)
{
	assert(r < HTTP_REASON_COUNT);
	return rows[r].name;
}

const char *http_reason_text(enum http_reason r)
{
	assert(r < HTTP_REASON_COUNT);
	return rows[r].text;
}

unsigned http_reason_status(enum http_reason r)
{
	assert(r < HTTP_REASON_COUNT);
	return rows[r].status;
}
