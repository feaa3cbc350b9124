/*
 * fwclusterctl - ask and command a running fwclusterd (man page fwclusterctl(8)).
 */
#include <stdio.h>
#include <string.h>

#include "ctl/grammar.h"
#include "ctl/options.h"
#include "ctl/run.h"
#include "ctl/version.h"

int main(int argc, char **argv)
{
	struct options o;
	struct command c;
	enum exit_code code;
	char err[512];

	if (argc > 1 && strcmp(argv[1], "__complete") == 0) {
		const char *names = grammar_names(argc - 2, argv + 2);

		grammar_complete(stdout, argc - 2, argv + 2);
		if (names)
			run_names(stdout, names, argv[argc - 1]);
		return EXIT_OK;
	}
	if (options_parse(&o, argc, argv) < 0)
		return EXIT_USAGE;
	if (o.help || o.version) {
		if (o.version)
			printf("fwclusterctl %s\n", PACKAGE_VERSION);
		else
			options_usage(stdout);
		return EXIT_OK;
	}
	if (grammar_parse(&c, o.n_words, o.words, err, sizeof(err)) < 0) {
		fprintf(stderr, "fwclusterctl: %s\n", err);
		return EXIT_USAGE;
	}
	code = run_command(&o, &c);
	if (fflush(stdout) == EOF && code == EXIT_OK) {
		perror("fwclusterctl: standard output");
		code = EXIT_REFUSED;
	}
	return (int)code;
}
