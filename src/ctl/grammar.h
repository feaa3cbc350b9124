/*
 * grammar.h - the command line behind the options: verbs, what they take, abbreviations, help and
 * completion. Nothing here talks to the daemon.
 *
 * Keywords may be shortened to any unique beginning, as in ip(8); a whole word always wins over a
 * longer one that begins with it.
 */
#ifndef CTL_GRAMMAR_H
#define CTL_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/filter.h"

enum verb {
	VERB_SHOW,
	VERB_STATUS, /* short for "show status" */
	VERB_MONITOR,
	VERB_FLUSH,
	VERB_WEIGHT,
	VERB_DRAIN,
	VERB_UNDRAIN,
	VERB_TAKEOVER,
	VERB_RELOAD,
	VERB_LOG,
	VERB_KEY,
	VERB_HELP,
	VERB_COUNT
};

#define GRAMMAR_GROUPS 8

/* Stands for this node behind drain and undrain; no target has that name. */
#define DRAIN_NODE "node"

struct command {
	enum verb verb;
	const char *what;		    /* show, flush: static text */
	struct filter filter;		    /* show, monitor */
	unsigned n_groups;		    /* monitor */
	const char *groups[GRAMMAR_GROUPS]; /* static text */
	uint64_t count;			    /* monitor: stop after so many events, 0 = never */
	const char *level;		    /* log: static text */
	const char *target;		    /* weight, drain, undrain; takeover: dispatcher */
	unsigned weight;		    /* weight */
	unsigned key_id;		    /* key generate */
	enum verb topic;		    /* help, VERB_COUNT = all */
};

/* 0, or -EINVAL with one line in `err`. The command borrows from `words`. */
int grammar_parse(struct command *c, int n_words, char *const *words, char *err, size_t err_size);

/* What a verb is for, or the list of them. */
void grammar_help(FILE *out, enum verb topic);

/* Print the words that could stand where words[n_words - 1] has been begun, one per line. */
void grammar_complete(FILE *out, int n_words, char *const *words);

/* What the daemon alone knows the words for there: "targets", "services" or "paths", or NULL. */
const char *grammar_names(int n_words, char *const *words);

#endif
