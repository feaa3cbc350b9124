#include "base/counter.h"

#include <assert.h>

#define NAME(sym, name, text) [COUNTER_##sym] = name,
static const char *const names[COUNTER_COUNT] = {COUNTER_LIST(NAME)};
#undef NAME

#define TEXT(sym, name, text) [COUNTER_##sym] = text,
static const char *const texts[COUNTER_COUNT] = {COUNTER_LIST(TEXT)};
#undef TEXT

const char *counter_name(enum counter c)
{
	assert((unsigned)c < COUNTER_COUNT);
	return names[c];
}

const char *counter_text(enum counter c)
{
	assert((unsigned)c < COUNTER_COUNT);
	return texts[c];
}
