#include "ctl/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/answer.h"
#include "ctl/key.h"
#include "ctl/monitor.h"
#include "ctl/request.h"
#include "ctl/text.h"
#include "ctl/version.h"

#define PAGE 1000

static enum exit_code ask(struct request *r, json_t *line, json_t **answer)
{
	char err[512];
	enum exit_code code;
	int rc = request_send(r, line);

	*answer = NULL;
	json_decref(line);
	/* A daemon that turns a client away says so and closes: look for its words first. */
	*answer = request_receive(r, REQUEST_TIMEOUT_S, err, sizeof(err));
	if (!*answer)
		return answer_unreachable(rc < 0 ? "the daemon closed the connection" : err);
	code = answer_check(*answer);
	if (code != EXIT_OK) {
		json_decref(*answer);
		*answer = NULL;
	}
	return code;
}

static enum exit_code show_pages(struct request *r, const struct command *c, struct render *out)
{
	json_int_t cursor = 0;
	bool more = true;

	while (more) {
		const json_t *next;
		json_t *answer;
		enum exit_code code = ask(r,
					  json_pack("{s:s, s:s, s:I, s:i}", "verb", "show", "what",
						    c->what, "cursor", cursor, "limit", PAGE),
					  &answer);
		if (code != EXIT_OK)
			return code;
		if (render_page(out, answer) < 0)
			code = answer_malformed();
		next = json_object_get(answer, "next");
		more = code == EXIT_OK && json_is_integer(next);
		cursor = json_integer_value(next);
		json_decref(answer);
		if (code != EXIT_OK)
			return code;
	}
	return EXIT_OK;
}

static enum exit_code show_once(const struct options *o, const struct command *c, struct request *r,
				FILE *to)
{
	const struct render_style style = {
		.format = o->format, .colour = o->colour, .all = o->all, .filter = &c->filter};
	struct render *out = render_new(to, c->what, &style);
	enum exit_code code = show_pages(r, c, out);

	if (code == EXIT_OK && !render_end(out))
		code = EXIT_REFUSED;
	render_free(out);
	if (code == EXIT_OK && strcmp(c->what, "version") == 0 && o->format == RENDER_TABLE)
		fprintf(to, "fwclusterctl  %s\n", PACKAGE_VERSION);
	return code;
}

static void pause_for(double seconds)
{
	struct timespec ts = {.tv_sec = (time_t)seconds};

	ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

static enum exit_code show(const struct options *o, const struct command *c, struct request *r)
{
	FILE *to = o->quiet ? fopen("/dev/null", "we") : stdout;
	enum exit_code code;

	if (!to)
		return EXIT_REFUSED;
	for (;;) {
		if (o->repeat_s > 0 && o->colour) /* a terminal that understands sequences */
			fputs("\033[H\033[2J", to);
		code = show_once(o, c, r, to);
		/* A node that is not well is worth watching; any other failure ends it. */
		if (o->repeat_s <= 0 || (code != EXIT_OK && strcmp(c->what, "status") != 0) ||
		    code > EXIT_REFUSED || fflush(to) == EOF)
			break;
		pause_for(o->repeat_s);
		if (!o->colour && o->format == RENDER_TABLE)
			fputc('\n', to);
	}
	if (to != stdout)
		fclose(to);
	return code;
}

/* "flush flows" breaks connections: a human is asked, a script is not. */
static bool confirmed(const struct options *o, const struct command *c)
{
	char line[16] = "";

	if (o->yes || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return true;
	fprintf(stderr, "forget all %s of this node? [y/N] ",
		strcmp(c->what, "negative") == 0 ? "unanswered queries" : c->what);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* Answers to commands are short: a sentence, pairs, or the JSON line itself. */
static enum exit_code command_answer(const struct options *o, const char *key, const json_t *answer,
				     void (*sentence)(const json_t *record))
{
	const json_t *records = json_object_get(answer, key);
	const json_t *record;
	enum exit_code code = EXIT_OK;
	size_t i;

	if (!json_is_array(records))
		return answer_malformed();
	if (o->format == RENDER_JSON && !o->quiet) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_array_foreach (records, i, record) {
		if (json_is_false(json_object_get(record, "ok")))
			code = EXIT_REFUSED;
		if (o->quiet || o->format == RENDER_JSON)
			continue;
		if (o->format == RENDER_LINES)
			render_record(stdout, record);
		else
			sentence(record);
	}
	return code;
}

static void say_flushed(const json_t *record)
{
	char what[TEXT_ROOM], n[TEXT_ROOM];

	printf("%s: %s forgotten\n", text_safe(what, text_field(record, "what", "-")),
	       text_value(n, json_object_get(record, "n")));
}

static void say_reloaded(const json_t *record)
{
	bool ok = json_is_true(json_object_get(record, "ok"));
	char buf[TEXT_ROOM];

	fprintf(ok ? stdout : stderr, "%s\n", text_safe(buf, text_field(record, "message", "-")));
}

static void say_weight(const json_t *record)
{
	uint64_t weight = text_number(record, "weight"), load = text_number(record, "load");
	char buf[TEXT_ROOM];

	printf("%s: weight %llu", text_safe(buf, text_field(record, "target", "-")),
	       (unsigned long long)weight);
	if (json_is_true(json_object_get(record, "drained")))
		printf(", drained");
	else if (load != 100)
		printf(", %llu by the load its agent reports",
		       (unsigned long long)text_number(record, "effective"));
	putchar('\n');
}

static void say_drain(const json_t *record)
{
	char name[TEXT_ROOM];

	printf("%s: %s, home of %" PRIu64 " flows\n",
	       text_safe(name, text_field(record, "node", "-")),
	       json_is_true(json_object_get(record, "drained")) ? "drained" : "not drained",
	       text_number(record, "flows"));
}

static void say_takeover(const json_t *record)
{
	char name[TEXT_ROOM], state[TEXT_ROOM];

	printf("%s: %s here\n", text_safe(name, text_field(record, "dispatcher", "-")),
	       text_safe(state, text_field(record, "state", "-")));
}

static void say_level(const json_t *record)
{
	char buf[TEXT_ROOM];

	printf("log level: %s\n", text_safe(buf, text_field(record, "level", "-")));
}

static enum exit_code command(const struct options *o, struct request *r, json_t *line,
			      const char *key, void (*sentence)(const json_t *record))
{
	json_t *answer;
	enum exit_code code = ask(r, line, &answer);

	if (code == EXIT_OK)
		code = command_answer(o, key, answer, sentence);
	json_decref(answer);
	return code;
}

static enum exit_code talk(const struct options *o, const struct command *c, struct request *r)
{
	switch (c->verb) {
	case VERB_SHOW:
		return show(o, c, r);
	case VERB_MONITOR:
		return monitor_run(o, c, r);
	case VERB_FLUSH:
		return command(o, r, json_pack("{s:s, s:s}", "verb", "flush", "what", c->what),
			       "flushed", say_flushed);
	case VERB_RELOAD:
		return command(o, r, json_pack("{s:s}", "verb", "reload"), "reload", say_reloaded);
	case VERB_WEIGHT:
		return command(o, r,
			       json_pack("{s:s, s:s, s:i}", "verb", "weight", "target", c->target,
					 "weight", (int)c->weight),
			       "weight", say_weight);
	case VERB_DRAIN:
	case VERB_UNDRAIN:
		if (strcmp(c->target, DRAIN_NODE) == 0)
			return command(o, r,
				       json_pack("{s:s, s:b}", "verb",
						 c->verb == VERB_DRAIN ? "drain" : "undrain",
						 "node", 1),
				       "drain", say_drain);
		return command(o, r,
			       json_pack("{s:s, s:s}", "verb",
					 c->verb == VERB_DRAIN ? "drain" : "undrain", "target",
					 c->target),
			       "weight", say_weight);
	case VERB_TAKEOVER:
		return command(o, r,
			       json_pack("{s:s, s:s}", "verb", "takeover", "dispatcher", c->target),
			       "takeover", say_takeover);
	case VERB_LOG:
		return command(o, r, json_pack("{s:s, s:s}", "verb", "log", "level", c->level),
			       "log", say_level);
	case VERB_STATUS:
	case VERB_KEY:
	case VERB_HELP:
	case VERB_COUNT:
		break;
	}
	return EXIT_USAGE;
}

enum exit_code run_command(const struct options *o, const struct command *c)
{
	struct request *r;
	enum exit_code code;
	char err[512];

	if (c->verb == VERB_HELP) {
		grammar_help(stdout, c->topic);
		return EXIT_OK;
	}
	if (c->verb == VERB_KEY)
		return key_generate(stdout, c->key_id) < 0 ? EXIT_REFUSED : EXIT_OK;
	if (c->verb == VERB_FLUSH && !confirmed(o, c))
		return EXIT_REFUSED;
	r = request_open(o->socket, err, sizeof(err));
	if (!r)
		return answer_unreachable(err);
	code = talk(o, c, r);
	request_close(r);
	return code;
}

static void print_name(FILE *out, const json_t *record, const char *key, const char *begun)
{
	const char *name = text_field(record, key, "");
	char buf[TEXT_ROOM];

	if (name[0] && strncmp(name, begun, strlen(begun)) == 0)
		fprintf(out, "%s\n", text_safe(buf, name));
}

void run_names(FILE *out, const char *what, const char *begun)
{
	const char *key = strcmp(what, "targets") == 0	  ? "target"
			  : strcmp(what, "services") == 0 ? "service"
							  : "path";
	struct request *r;
	json_t *line, *answer = NULL, *record, *path;
	char err[512];
	size_t i, k;

	r = request_open(options_socket(), err, sizeof(err));
	if (!r)
		return;
	line = json_pack("{s:s, s:s}", "verb", "show", "what", what);
	if (request_send(r, line) == 0)
		answer = request_receive(r, 1, err, sizeof(err));
	json_array_foreach (json_object_get(answer, what), i, record) {
		print_name(out, record, key, begun);
		json_array_foreach (json_object_get(record, "paths"), k, path)
			print_name(out, path, key, begun);
	}
	json_decref(line);
	json_decref(answer);
	request_close(r);
}
