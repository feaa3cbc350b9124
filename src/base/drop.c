#include "base/drop.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

struct reason {
	const char *name;
	const char *text;
	enum drop_class class;
};

#define REASON(sym, name, class, text) [DROP_##sym] = {name, text, DROP_CLASS_##class},
static const struct reason reasons[DROP_COUNT] = {DROP_LIST(REASON)};
#undef REASON

static const struct reason *reason(enum drop d)
{
	assert((unsigned)d < DROP_COUNT);
	return &reasons[d];
}

const char *drop_name(enum drop d)
{
	return reason(d)->name;
}

const char *drop_text(enum drop d)
{
	return reason(d)->text;
}

enum drop_class drop_class(enum drop d)
{
	return reason(d)->class;
}

const char *drop_class_name(enum drop_class c)
{
	static const char *const names[] = {
		[DROP_CLASS_INFO] = "info",
		[DROP_CLASS_POLICY] = "policy",
		[DROP_CLASS_ERROR] = "error",
		[DROP_CLASS_ATTACK] = "attack",
	};

	assert((unsigned)c < sizeof(names) / sizeof(names[0]));
	return names[c];
}

enum drop drop_by_name(const char *name)
{
	unsigned d = 0;

	while (d < DROP_COUNT && strcmp(reasons[d].name, name) != 0)
		d++;
	return (enum drop)d;
}
