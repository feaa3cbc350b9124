#include "base/name_id.h"

/* FNV-1a: cookies that are in use when the program is replaced must still be understood, so this
 * never changes. */
uint32_t name_id(const char *name)
{
	uint32_t id = 2166136261U;

	for (; *name; name++)
		id = (id ^ (uint8_t)*name) * 16777619U;
	return id ? id : 1;
}
