/*
 * filter.h - which records and events to show: "src 10.0.0.0/8 dport 443 proto tcp".
 *
 * Terms are joined by "and". A pure function of record and filter; works on flows, forwards and
 * queries (flat records) and on events (whose flow is an object of its own).
 */
#ifndef CTL_FILTER_H
#define CTL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/addr.h"

/* X(symbol, word, what may follow) */
#define FILTER_LIST(X)                                                                             \
	X(SRC, "src", "PREFIX")                                                                    \
	X(DST, "dst", "PREFIX")                                                                    \
	X(HOST, "host", "PREFIX")                                                                  \
	X(SPORT, "sport", "N")                                                                     \
	X(DPORT, "dport", "N")                                                                     \
	X(PORT, "port", "N")                                                                       \
	X(PROTO, "proto", "P")                                                                     \
	X(STATE, "state", "S")                                                                     \
	X(HOME, "home", "NAME")                                                                    \
	X(PATH, "path", "NAME")                                                                    \
	X(SERVICE, "service", "NAME")                                                              \
	X(TARGET, "target", "NAME")                                                                \
	X(REASON, "reason", "R")                                                                   \
	X(EVENT, "event", "E")

#define FILTER_ENUM(sym, word, value) FILTER_##sym,
enum filter_kind { FILTER_LIST(FILTER_ENUM) FILTER_COUNT };
#undef FILTER_ENUM

#define FILTER_BIT(sym) (1u << FILTER_##sym)
/* Terms that a flow (packet endpoints) can satisfy. */
#define FILTER_OF_FLOW                                                                             \
	(FILTER_BIT(SRC) | FILTER_BIT(DST) | FILTER_BIT(HOST) | FILTER_BIT(SPORT) |                \
	 FILTER_BIT(DPORT) | FILTER_BIT(PORT) | FILTER_BIT(PROTO))
/* Terms that dispatchers' records and events satisfy. */
#define FILTER_OF_DISPATCH (FILTER_BIT(PATH) | FILTER_BIT(SERVICE) | FILTER_BIT(TARGET))
#define FILTER_TERMS 16

struct filter_term {
	enum filter_kind kind;
	struct prefix prefix;
	uint16_t port;
	const char *text; /* borrowed from the command line */
};

struct filter {
	unsigned n;
	struct filter_term terms[FILTER_TERMS];
};

const char *filter_word(enum filter_kind kind);
const char *filter_value(enum filter_kind kind); /* placeholder, for help */

/* Add one term. 0; -EINVAL: no such value; -E2BIG: too many terms. */
int filter_add(struct filter *f, enum filter_kind kind, const char *value);

bool filter_match(const struct filter *f, const json_t *record);

#endif
