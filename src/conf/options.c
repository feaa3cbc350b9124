#include <string.h>

#include "conf/conf.h"
#include "conf/schema.h"

static void print_section(FILE *out, const struct schema_section *s, const char *path)
{
	char allowed[SCHEMA_ALLOWED], value[SCHEMA_ALLOWED], below[SCHEMA_ALLOWED];

	for (const struct schema_option *o = s->options; o->name; o++) {
		schema_default(value, o);
		fprintf(out, "%s%s\t%s\t%s\t%s\n", path, o->name, *value ? value : "-",
			o->flags & SCHEMA_RESTART ? "restart" : "-", schema_allowed(allowed, o));
	}
	for (size_t i = 0; s->sections && s->sections[i]; i++) {
		snprintf(below, sizeof(below), "%s%s.", path, s->sections[i]->name);
		print_section(out, s->sections[i], below);
	}
}

void conf_options(FILE *out)
{
	print_section(out, &schema_root, "");
}
