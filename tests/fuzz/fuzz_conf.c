/*
 * fuzz_conf.c - the configuration parser on any text.
 *
 * include() with a pattern is left alone: it would walk this machine's file system.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every accepted configuration is usable as it stands: what others rely on holds. */
static void judge(const struct params *p)
{
	if (p->n_ports == 0 || p->n_ports > PARAMS_PORTS || p->n_members > PARAMS_MEMBERS)
		abort();
	if (p->cluster.enabled && (p->self >= p->n_members || p->node_id == 0))
		abort();
	if (!p->firewall.enabled || p->firewall.max_half_open > p->firewall.max_flows)
		abort();
	for (uint32_t i = 0; i < p->firewall.n_rules; i++) {
		const struct rule_params *r = &p->firewall.rules[i];
		if (r->from.first + r->from.n > p->firewall.n_prefixes ||
		    r->dports.first + r->dports.n > p->firewall.n_ranges ||
		    (r->in_port != PARAMS_NO_PORT && r->in_port >= p->n_ports) || !*r->name)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	FILE *errors = fopen("/dev/null", "w");
	unsigned n = 0;

	if (!text || !errors)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (!strstr(text, "include")) {
		struct params *p = conf_parse("fuzz", text, errors, &n);
		if ((p == NULL) != (n > 0))
			abort();
		if (p)
			judge(p);
		conf_free(p);
	}
	fclose(errors);
	free(text);
	return 0;
}
