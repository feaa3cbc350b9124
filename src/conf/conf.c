#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/reader.h"
#include "conf/value.h"

/* Without "node" the node is called as the host is. */
static void name_node(struct reader *r)
{
	struct params *p = r->params;
	char name[256] = "";

	p->node_id = 1;
	if (*p->node || reader_value(r->root, "node", 0))
		return;
	if (gethostname(name, sizeof(name) - 1) == 0)
		name[strcspn(name, ".")] = '\0';
	if (value_is_name(name))
		memcpy(p->node, name, strlen(name) + 1);
	else
		report_error(
			r->report, scan_end(r->scan),
			"node: the name of the host (\"%.60s\") does not do; give node = \"name\"",
			name);
}

static void read_values(struct reader *r)
{
	reader_options(r, r->root, &schema_root, r->params);
	reader_options(r, reader_section(r->root, "control"), &schema_control, r->params);
	reader_options(r, reader_section(r->root, "log"), &schema_log, r->params);
	reader_options(r, reader_section(r->root, "l7"), &schema_l7, r->params);
	name_node(r);
	reader_ports(r);
	reader_routes(r);
	reader_cluster(r);
	reader_members(r);
	reader_firewall(r);
	reader_paths(r);
	reader_targets(r);
	reader_services(r);
	reader_dispatchers(r);
	reader_check(r);
	if (report_count(r->report) == 0)
		reader_finish_l7(r);
}

/* The scanner lets nothing through that libconfuse would refuse, so this is not seen. */
static void library_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	(void)cfg;
	(void)fmt;
	(void)ap;
}

static struct params *read_scan(const struct scan *scan, const char *name, struct report *report)
{
	struct reader r = {.scan = scan, .report = report};
	cfg_opt_t *options = schema_options(&schema_root, reader_keep, reader_drop);

	r.params = calloc(1, sizeof(*r.params));
	r.root = options ? cfg_init(options, CFGF_NONE) : NULL;
	if (!r.params || !r.root) {
		report_no_memory(report);
		goto out;
	}
	r.params->stack_port = r.params->legs_port = PARAMS_NO_PORT;
	snprintf(r.params->file, sizeof(r.params->file), "%s", name);
	cfg_set_error_function(r.root, library_error);
	if (cfg_parse_buf(r.root, scan_output(scan)) == CFG_SUCCESS)
		read_values(&r);
	else
		report_error(report, scan_pos(scan, (unsigned)r.root->line),
			     "cannot be parsed; fwclusterd.conf(5) lists what is allowed");
out:
	if (r.root)
		cfg_free(r.root);
	schema_free(options);
	free(r.route_section);
	free(r.target_section);
	free(r.service_section);
	return r.params;
}

/* Judge what was scanned; takes `scan` and `report` over. */
static struct params *finish(struct scan *scan, const char *name, struct report *report,
			     FILE *errors, unsigned *n_errors)
{
	struct params *params = NULL;

	if (scan && !scan_broken(scan))
		params = read_scan(scan, name, report);
	if (report_count(report) > 0) {
		conf_free(params);
		params = NULL;
	}
	report_write(report, errors);
	if (n_errors)
		*n_errors = report_count(report);
	scan_free(scan);
	report_free(report);
	return params;
}

static struct report *begin(FILE *errors, unsigned *n_errors)
{
	struct report *report = report_new();

	if (!report) {
		fprintf(errors, "configuration: memory does not suffice\n");
		if (n_errors)
			*n_errors = 1;
	}
	return report;
}

struct params *conf_load(const char *path, FILE *errors, unsigned *n_errors)
{
	struct report *report = begin(errors, n_errors);

	if (!report)
		return NULL;
	return finish(scan_file(path, report), path, report, errors, n_errors);
}

struct params *conf_parse(const char *name, const char *text, FILE *errors, unsigned *n_errors)
{
	struct report *report = begin(errors, n_errors);

	if (!report)
		return NULL;
	return finish(scan_text(name, text, report), name, report, errors, n_errors);
}

void conf_free(struct params *params)
{
	if (!params)
		return;
	free(params->routes);
	free(params->firewall.rules);
	free(params->firewall.prefixes);
	free(params->firewall.ranges);
	free(params->services);
	free(params->targets);
	free(params->target_lists);
	free(params);
}
