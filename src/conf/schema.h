/*
 * schema.h - every section and option of the configuration file, in one table.
 *
 * The table says where a value goes, what is allowed and what the default is; the libconfuse
 * description of the file is made from it, so are the check for unknown names, the list of options
 * that the man page is compared with, and the list of what a reload cannot change.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <confuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/params.h"

enum schema_kind {
	SCHEMA_NUMBER,	 /* uint16_t, uint32_t or uint64_t, by size; at most 32 bits are read */
	SCHEMA_BOOL,	 /* bool */
	SCHEMA_TIME,	 /* uint32_t milliseconds; lo and hi in milliseconds */
	SCHEMA_SECONDS,	 /* uint32_t seconds; lo and hi in seconds */
	SCHEMA_WORD,	 /* enum, or bool for two words; `lo` is the value of the first word */
	SCHEMA_TEXT,	 /* char[]; no limit but the size */
	SCHEMA_NAME,	 /* char[]; letters, digits, '.', '_', '-' */
	SCHEMA_TOKEN,	 /* char[]; a token of HTTP (RFC 9110 section 5.6.2), up to `hi` bytes */
	SCHEMA_DEVICE,	 /* char[]; name of an interface */
	SCHEMA_PATH,	 /* char[]; absolute path */
	SCHEMA_ADDRESS,	 /* struct ipaddr */
	SCHEMA_MAC,	 /* struct macaddr; zero when not given */
	SCHEMA_PROTOCOL, /* uint8_t number of a protocol with ports, given by its name */
	SCHEMA_PORT,	 /* uint16_t index of a port, given by its name */
	SCHEMA_MEMBER,	 /* uint16_t index of a member, given by its name */
	SCHEMA_TARGET,	 /* uint16_t index of a target, given by its name */
	SCHEMA_LIST,	 /* list of values that the reader of the section takes */
};

#define SCHEMA_REQUIRED 1u /* no default */
#define SCHEMA_RESTART 2u  /* a running daemon cannot change it by reload */

struct schema_option {
	const char *name;
	enum schema_kind kind;
	unsigned flags;
	size_t offset, size; /* in the section's struct */
	uint32_t lo, hi, def;
	const char *text;	  /* default of text, names, paths and addresses; of a list what is
				     allowed; of a number what 0 means, or NULL */
	const char *const *words; /* ends with NULL */
};

struct schema_section {
	const char *name;
	bool titled;				      /* may come many times, each with a title */
	const struct schema_option *options;	      /* ends with a NULL name */
	const struct schema_section *const *sections; /* ends with NULL; or NULL */
};

extern const struct schema_section schema_root, schema_port, schema_route, schema_cluster,
	schema_member, schema_firewall, schema_timeouts, schema_set, schema_rule, schema_control,
	schema_log, schema_path, schema_dispatcher, schema_service, schema_target, schema_l7,
	schema_l7_route; /* inside a service; its struct is service_params, too */

/* Name of the option that conf/scan.c puts at the head of each section, so that the section has a
 * position; no user can write it. */
#define SCHEMA_MARK "@"

/* The libconfuse options of a section and all below; `keep` takes every value, `drop` frees one.
 * NULL when memory does not suffice. Free with schema_free. */
cfg_opt_t *schema_options(const struct schema_section *s, cfg_callback_t keep,
			  cfg_free_func_t drop);
void schema_free(cfg_opt_t *options);

const struct schema_option *schema_find_option(const struct schema_section *s, const char *name);
const struct schema_section *schema_find_section(const struct schema_section *s, const char *name);

/* The option or section of `s` whose name is nearest to a mistyped one, or NULL. */
const char *schema_suggest(const struct schema_section *s, const char *name);

/* The section in which an option or section of that name does exist, or NULL. */
const struct schema_section *schema_home(const char *name);

/* What is allowed for an option, for a message. Returns `buf`. */
#define SCHEMA_ALLOWED 256
const char *schema_allowed(char *buf, const struct schema_option *o);

/* The default of an option as it would be written; "" when it has none. Returns `buf`. */
const char *schema_default(char *buf, const struct schema_option *o);

#endif
