/*
 * options.h - what the command line says before and between its words.
 */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>

#include "ctl/render.h"

#define OPTIONS_SOCKET "/run/fwclusterd/control.sock"

enum exit_code {
	EXIT_OK = 0,
	EXIT_REFUSED = 1,     /* the daemon said no, or is not well */
	EXIT_USAGE = 2,	      /* the command line makes no sense */
	EXIT_UNREACHABLE = 3, /* no daemon, or it does not answer */
};

struct options {
	const char *socket;
	enum render_format format;
	bool quiet, all, yes, colour;
	double repeat_s; /* 0 = once */
	bool help, version;
	int n_words;
	char **words;
};

/* Words are moved behind the options in argv. 0, or negative after a message on stderr. */
int options_parse(struct options *o, int argc, char **argv);
void options_usage(FILE *out);
/* The control socket when no option names one. */
const char *options_socket(void);

#endif
