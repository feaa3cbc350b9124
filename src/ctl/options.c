#define _GNU_SOURCE 1 /* getopt_long */

#include "ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/grammar.h"

#define REPEAT_MIN_S 0.1
#define REPEAT_MAX_S 86400.0

void options_usage(FILE *out)
{
	fputs("usage: fwclusterctl [-1ajqVh] [-s SOCKET] [-w SECONDS] VERB [WORD...]\n"
	      "  -s, --socket PATH    control socket (default " OPTIONS_SOCKET ",\n"
	      "                       or the environment's FWCLUSTERCTL_SOCKET)\n"
	      "  -j, --json           JSON, as the schema describes it\n"
	      "  -1, --lines          one record a line, key=value\n"
	      "  -a, --all            show drops: reasons that never happened, too\n"
	      "  -w, --watch SECONDS  show again and again\n"
	      "  -q, --quiet          no output, only the exit status\n"
	      "  -y, --yes            flush without asking\n"
	      "  -V, --version        version of this tool\n"
	      "  -h, --help           this text; \"help VERB\" says more\n\n",
	      out);
	grammar_help(out, VERB_COUNT);
}

static bool use_colour(void)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && no[0]) && term && strcmp(term, "dumb") != 0;
}

static int parse_repeat(struct options *o, const char *text)
{
	char *end;

	errno = 0;
	o->repeat_s = strtod(text, &end);
	if (end == text || *end || errno || !(o->repeat_s >= REPEAT_MIN_S) ||
	    o->repeat_s > REPEAT_MAX_S) {
		fprintf(stderr, "fwclusterctl: -w takes %g to %g seconds, not \"%s\"\n",
			REPEAT_MIN_S, REPEAT_MAX_S, text);
		return -EINVAL;
	}
	return 0;
}

static int one_option(struct options *o, int letter)
{
	switch (letter) {
	case 's':
		o->socket = optarg;
		return 0;
	case 'j':
		o->format = RENDER_JSON;
		return 0;
	case '1':
		o->format = RENDER_LINES;
		return 0;
	case 'a':
		o->all = true;
		return 0;
	case 'w':
		return parse_repeat(o, optarg);
	case 'q':
		o->quiet = true;
		return 0;
	case 'y':
		o->yes = true;
		return 0;
	case 'V':
		o->version = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	default:
		return -EINVAL; /* getopt has said what is wrong */
	}
}

const char *options_socket(void)
{
	const char *env = getenv("FWCLUSTERCTL_SOCKET");

	return env && env[0] ? env : OPTIONS_SOCKET;
}

int options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"socket", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
		{"lines", no_argument, NULL, '1'},	  {"all", no_argument, NULL, 'a'},
		{"watch", required_argument, NULL, 'w'},  {"quiet", no_argument, NULL, 'q'},
		{"yes", no_argument, NULL, 'y'},	  {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},	  {NULL, 0, NULL, 0},
	};
	int letter;

	*o = (struct options){.socket = options_socket()};
	o->colour = use_colour();
	while ((letter = getopt_long(argc, argv, "s:j1aw:qyVh", longs, NULL)) != -1)
		if (one_option(o, letter) < 0)
			return -EINVAL;
	o->n_words = argc - optind;
	o->words = argv + optind;
	return 0;
}
