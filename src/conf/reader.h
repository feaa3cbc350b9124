/*
 * reader.h - second reading of the configuration: its values.
 *
 * libconfuse has parsed what conf/scan.c left; each value is a struct kept with the line it came
 * from. The readers check the values and fill struct params, reporting everything that is wrong.
 */
#ifndef CONF_READER_H
#define CONF_READER_H

#include <confuse.h>

#include "base/params.h"
#include "conf/report.h"
#include "conf/scan.h"
#include "conf/schema.h"

struct reader {
	cfg_t *root;
	const struct scan *scan;
	struct report *report;
	struct params *params;
	cfg_t *port_section[PARAMS_PORTS];
	cfg_t *member_section[PARAMS_MEMBERS];
	cfg_t **route_section; /* of each route */
	cfg_t *path_section[PARAMS_PATHS];
	cfg_t *dispatcher_section[PARAMS_DISPATCHERS];
	cfg_t **target_section, **service_section; /* of a route its own */
	uint32_t cap_rules, cap_prefixes, cap_ranges;
};

struct kept_value {
	unsigned line; /* of the scanner's output */
	char text[];
};

/* The callbacks for schema_options. */
int reader_keep(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result);
void reader_drop(void *value);

/* Value number `i` of an option, NULL when there is none. */
const struct kept_value *reader_value(cfg_t *section, const char *option, unsigned i);
struct report_pos reader_pos(const struct reader *r, const struct kept_value *v);
struct report_pos reader_section_pos(const struct reader *r, cfg_t *section);
/* The option's value when it is given, else the section. */
struct report_pos reader_option_pos(const struct reader *r, cfg_t *section, const char *option);

/* The single section of that name, NULL when it is not given. */
cfg_t *reader_section(cfg_t *parent, const char *name);

/* Report as "rule "web": ports: WHAT". */
void reader_error(struct reader *r, struct report_pos at, cfg_t *section, const char *option,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The same, and the configuration is still good. */
void reader_warning(struct reader *r, struct report_pos at, cfg_t *section, const char *option,
		    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Set every option of the table that is no list in `target`, the struct of the section, from
 * `section` or, where it says nothing (or is NULL), to the default. */
void reader_options(struct reader *r, cfg_t *section, const struct schema_section *schema,
		    void *target);

/* The title as the name of something; "" and an error when it is no name. */
void reader_title(struct reader *r, cfg_t *section, char name[PARAMS_NAME]);

/* The index of the port, member or target of that name, -1 when there is none. */
int reader_find(const struct params *p, enum schema_kind kind, const char *name);
/* Report that there is none. */
void reader_unknown(struct reader *r, cfg_t *section, const char *option, enum schema_kind kind,
		    const struct kept_value *v);

/* Missing, or empty: nothing that an option without a default may be. */
void reader_need_list(struct reader *r, cfg_t *section, const char *option, const char *give);

/* A list of names of ports, members or targets, each once, as indices. */
void reader_names(struct reader *r, cfg_t *section, const char *option, enum schema_kind kind,
		  uint16_t *out, uint32_t max, uint32_t *n);

/* A list of addresses of hosts, each once. */
void reader_hosts(struct reader *r, cfg_t *section, const char *option, struct ipaddr *out,
		  uint32_t max, uint32_t *n);

/* Where the list says that address or name, or the option when it does not. */
struct report_pos reader_host_pos(const struct reader *r, cfg_t *section, const char *option,
				  const struct ipaddr *a);
struct report_pos reader_name_pos(const struct reader *r, cfg_t *section, const char *option,
				  const char *name);

/* The sections, in this order: routes, rules and dispatchers refer to ports, targets and
 * dispatchers to members, services to targets. */
void reader_ports(struct reader *r);
void reader_routes(struct reader *r);
void reader_cluster(struct reader *r);
void reader_members(struct reader *r);
void reader_firewall(struct reader *r);
void reader_paths(struct reader *r);
void reader_targets(struct reader *r);
void reader_services(struct reader *r);
void reader_dispatchers(struct reader *r);

/* The targets of a service or route. */
void reader_service_targets(struct reader *r, cfg_t *section, struct service_params *s);
/* The routes of a service by L7, which is the last service so far, become services behind it. */
void reader_l7_routes(struct reader *r, cfg_t *section);
/* Names of the ports of the private stacks, of the clients' side and of the servers'. */
#define READER_STACK "stack"
#define READER_STACK_SERVERS "stack-servers"
/* Private stacks that the services need: none, one, or with connections by MAC two. */
uint32_t reader_n_stacks(const struct params *p);
/* When all is well: the ports of the private stacks; and what is another dispatcher's business is
 * taken out of targets that this node is not connected to. */
void reader_finish_l7(struct reader *r);

/* What has to fit together; conf/check.c, check_dispatch.c, check_service.c and check_l7.c. */
void reader_check(struct reader *r);
/* Whether the address may lie on the port's network: on one of those given, or, when none of its
 * family is given, on one that the host alone knows. */
bool reader_may_be_on(const struct port_params *port, const struct ipaddr *a);
/* The port that has this virtual address, or NULL. */
const struct port_params *reader_own_address(const struct params *p, const struct ipaddr *a);
void reader_check_dispatchers(struct reader *r);
/* Whether a dispatcher says a role, and a valid one; else nothing can be said that depends on it.
 */
bool reader_has_role(const struct reader *r, uint32_t dispatcher);
void reader_check_services(struct reader *r);
/* Whether protocol and ports of a service are right; else nothing can be said that depends on them.
 */
bool reader_is_judged(const struct reader *r, uint32_t service);
/* What concerns L7 alone, of a service of any technology or of a route. */
void reader_check_l7(struct reader *r, uint32_t service);
/* Whether the service wants what another one, earlier in the file, takes by L7, or the other way
 * round; reported. */
bool reader_check_shared(struct reader *r, uint32_t service);
void reader_check_l7_node(struct reader *r);
/* The name of a service's technology by L7. */
const char *reader_l7_word(const struct service_params *s);
/* Whether the service may name a target that this node is not connected to: reported if not. */
void reader_check_remote(struct reader *r, uint32_t service, const char *option,
			 const struct target_params *t);
/* One at least of the targets of a service or route is connected to this node. */
void reader_check_any_near(struct reader *r, uint32_t service);

#endif
