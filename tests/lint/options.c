/* Helper of options.sh: lists the options of the configuration file, or reads example files. */
#include <stdio.h>

#include "conf/conf.h"

int main(int argc, char **argv)
{
	int rc = 0;

	if (argc < 2)
		conf_options(stdout);
	for (int i = 1; i < argc; i++) {
		struct params *params = conf_load(argv[i], stderr, NULL);
		if (!params)
			rc = 1;
		conf_free(params);
	}
	return rc;
}
