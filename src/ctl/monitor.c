#include "ctl/monitor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/answer.h"

static int subscribe(struct request *r, const struct command *c)
{
	json_t *groups = json_array();
	json_t *line;
	int rc;

	for (unsigned i = 0; i < c->n_groups; i++)
		json_array_append_new(groups, json_string(c->groups[i]));
	line = json_pack("{s:s, s:o}", "verb", "monitor", "groups", groups);
	rc = request_send(r, line);
	json_decref(line);
	return rc;
}

/* "lost" says that this program was too slow: it concerns every filter. */
static bool wanted(const struct command *c, const json_t *event)
{
	return json_object_get(event, "lost") || filter_match(&c->filter, event);
}

enum exit_code monitor_run(const struct options *o, const struct command *c, struct request *r)
{
	const struct render_style style = {.format = o->format, .colour = o->colour};
	uint64_t seen = 0;
	enum exit_code code;
	json_t *event;
	char err[512];

	if (subscribe(r, c) < 0)
		return answer_unreachable("the daemon closed the connection");
	event = request_receive(r, REQUEST_TIMEOUT_S, err, sizeof(err));
	if (!event)
		return answer_unreachable(err);
	code = answer_check(event);
	json_decref(event);
	if (code != EXIT_OK)
		return code;
	while (c->count == 0 || seen < c->count) {
		event = request_receive(r, 0, err, sizeof(err));
		if (!event)
			return answer_unreachable(err);
		if (wanted(c, event)) {
			seen++;
			if (!o->quiet)
				render_event(stdout, event, &style);
			/* Events are rare or piped: each is seen when it happens. */
			if (fflush(stdout) == EOF)
				code = EXIT_REFUSED;
		}
		json_decref(event);
		if (code != EXIT_OK)
			return code;
	}
	return EXIT_OK;
}
