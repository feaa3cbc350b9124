/*
 * fwclusterd - the daemon: read the options, run.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "daemon/daemon.h"

static void usage(FILE *out)
{
	fputs("usage: fwclusterd [-t] [-n] [-d] [-f FILE] [-V] [-h]\n"
	      "  -f FILE  configuration, default " SYSCONFDIR "/fwclusterd.conf\n"
	      "  -t       test the configuration: every error as file:line, exit 0 or 1\n"
	      "  -n       stay in the foreground, log to standard error\n"
	      "  -d       debug output\n"
	      "  -V       version\n"
	      "  -h       this help\n"
	      "signals: HUP reload, TERM and INT leave the cluster and exit, QUIT exit at once,\n"
	      "         USR1 summary to the log, USR2 debug output on or off,\n"
	      "         RTMIN exit, all tables handed to the next process\n",
	      out);
}

int main(int argc, char **argv)
{
	struct daemon_options o = {.file = SYSCONFDIR "/fwclusterd.conf"};
	static const struct option options[] = {{"config", required_argument, NULL, 'f'},
						{"test", no_argument, NULL, 't'},
						{"foreground", no_argument, NULL, 'n'},
						{"debug", no_argument, NULL, 'd'},
						{"version", no_argument, NULL, 'V'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "f:tndVh", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			o.file = optarg;
			break;
		case 't':
			o.test = true;
			break;
		case 'n':
			o.foreground = true;
			break;
		case 'd':
			o.debug++;
			break;
		case 'V':
			printf("fwclusterd %s\n", PACKAGE_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	return daemon_run(&o);
}
