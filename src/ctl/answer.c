#include "ctl/answer.h"

#include <stdio.h>
#include <string.h>

#include "ctl/text.h"

enum exit_code answer_check(const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	char buf[TEXT_ROOM];

	if (!error)
		return EXIT_OK;
	fprintf(stderr, "fwclusterctl: %s\n", text_safe(buf, error));
	return strcmp(text_field(answer, "code", ""), "usage") == 0 ? EXIT_USAGE : EXIT_REFUSED;
}

enum exit_code answer_unreachable(const char *why)
{
	fprintf(stderr, "fwclusterctl: %s\n", why);
	return EXIT_UNREACHABLE;
}

enum exit_code answer_malformed(void)
{
	fprintf(stderr, "fwclusterctl: answer not understood; do the versions of daemon and tool "
			"differ?\n");
	return EXIT_REFUSED;
}
