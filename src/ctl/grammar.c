#include "ctl/grammar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/drop.h"
#include "base/params.h"

/* One keyword that may stand at a place. Zero-terminated lists (word == NULL). */
struct keyword {
	const char *word;
	unsigned filters; /* bits of the filter terms that may follow it */
	const char *text; /* for help */
};

#define FLOW_STATE (FILTER_OF_FLOW | FILTER_BIT(STATE) | FILTER_BIT(HOME) | FILTER_OF_DISPATCH)

static const struct keyword verbs[] = {
	[VERB_SHOW] = {"show", 0, "print what the daemon knows"},
	[VERB_STATUS] = {"status", 0, "short for \"show status\""},
	[VERB_MONITOR] = {"monitor", 0, "print events as they happen"},
	[VERB_FLUSH] = {"flush", 0, "forget flows, forward entries or failed queries"},
	[VERB_WEIGHT] = {"weight", 0, "set the weight of a target, 0 to 256"},
	[VERB_DRAIN] = {"drain", 0, "send a target no new flows; or hand over what this node does"},
	[VERB_UNDRAIN] = {"undrain", 0,
			  "send new flows to a target again; let this node take part"},
	[VERB_TAKEOVER] = {"takeover", 0, "let this node play a dispatcher that another plays"},
	[VERB_RELOAD] = {"reload", 0, "read the configuration again, keeping all flows"},
	[VERB_LOG] = {"log", 0, "set the log level until the next restart"},
	[VERB_KEY] = {"key", 0, "make a line for the cluster's key file"},
	[VERB_HELP] = {"help", 0, "explain a verb"},
	{NULL, 0, NULL},
};

/* Beside the name of a target. */
static const struct keyword drained[] = {
	{DRAIN_NODE, 0, "this node: its flows and dispatchers go to other nodes, at once"},
	{NULL, 0, NULL},
};

static const struct keyword shows[] = {
	{"status", 0, "one paragraph: is this node well?"},
	{"members", FILTER_BIT(STATE), "members of the cluster, as this node sees them"},
	{"flows", FLOW_STATE, "flows this node is home of, and those of its dispatchers"},
	{"forwards", FILTER_OF_FLOW | FILTER_BIT(HOME), "flows whose home is another member"},
	{"queries", FILTER_OF_FLOW, "open queries"},
	{"drops", FILTER_BIT(REASON), "dropped packets by reason"},
	{"counters", 0, "all other counters"},
	{"ports", FILTER_BIT(STATE), "ports and their traffic"},
	{"rules", 0, "rules of the firewall and how often each matched"},
	{"neighbours", FILTER_BIT(STATE), "next hops and their MAC addresses"},
	{"routes", 0, "routes in use"},
	{"dispatchers", FILTER_BIT(PATH), "dispatchers and the firewalls they send flows through"},
	{"services", FILTER_BIT(SERVICE) | FILTER_BIT(TARGET), "services and who serves them"},
	{"targets", FILTER_BIT(STATE) | FILTER_BIT(SERVICE) | FILTER_BIT(TARGET),
	 "targets, their health, weight and traffic"},
	{"cookies", FILTER_BIT(SERVICE), "cookies of services by L7, and what became of them"},
	{"relays", FILTER_BIT(STATE) | FILTER_BIT(HOME) | FILTER_BIT(TARGET),
	 "what passes between this dispatcher and others for cookies"},
	{"matching",
	 FILTER_OF_FLOW | FILTER_BIT(STATE) | FILTER_BIT(HOME) | FILTER_BIT(SERVICE) |
		 FILTER_BIT(TARGET),
	 "connections by MAC address, and which target serves each"},
	{"config", 0, "main settings in force"},
	{"version", 0, "versions of daemon, tool and libraries"},
	{NULL, 0, NULL},
};

static const struct keyword groups[] = {
	{"flows", 0, "flows beginning and ending, rules that log"},
	{"queries", 0, "queries and their answers"},
	{"members", 0, "members coming and going"},
	{"ports", 0, "ports coming and going"},
	{"dispatch", 0, "choices of dispatchers, flows that were moved"},
	{"health", 0, "firewalls and targets coming and going, weights"},
	{"drops", 0, "dropped packets"},
	{"all", 0, "everything (the default)"},
	{NULL, 0, NULL},
};

static const struct keyword flushes[] = {
	{"flows", 0, "all flows of this node; their connections may break"},
	{"forwards", 0, "all forward entries; the next packet of each flow asks again"},
	{"negative", 0, "memory of queries that nobody answered"},
	{NULL, 0, NULL},
};

static const struct keyword levels[] = {
	{"error", 0, NULL}, {"warning", 0, NULL}, {"notice", 0, NULL},
	{"info", 0, NULL},  {"debug", 0, NULL},	  {NULL, 0, NULL},
};

static const struct keyword key_verbs[] = {
	{"generate", 0, "a new random key, with id ID (default 1)"},
	{NULL, 0, NULL},
};

static const struct keyword count_word[] = {
	{"count", 0, "stop after N events"},
	{NULL, 0, NULL},
};

#define MONITOR_FILTERS                                                                            \
	(FILTER_OF_FLOW | FILTER_OF_DISPATCH | FILTER_BIT(HOME) | FILTER_BIT(REASON) |             \
	 FILTER_BIT(EVENT))
#define PLACE_LISTS 3
#define PLACE_WORDS 32

/* All that may stand at one place of the line. */
struct place {
	const struct keyword *lists[PLACE_LISTS];
	unsigned filters;
};

struct choice {
	const struct keyword *keyword; /* of one of the lists, or NULL: */
	enum filter_kind filter;
};

/* The words of a place, in order; returns their number. */
static unsigned place_words(const struct place *p, const char **words, struct choice *choices)
{
	unsigned n = 0;

	for (unsigned l = 0; l < PLACE_LISTS && p->lists[l]; l++)
		for (const struct keyword *k = p->lists[l]; k->word && n < PLACE_WORDS; k++) {
			words[n] = k->word;
			choices[n++] = (struct choice){.keyword = k};
		}
	for (unsigned f = 0; f < FILTER_COUNT && n < PLACE_WORDS; f++)
		if (p->filters & 1u << f) {
			words[n] = filter_word((enum filter_kind)f);
			choices[n++] = (struct choice){.filter = (enum filter_kind)f};
		}
	return n;
}

static void append(char *buf, size_t size, const char *prefix, const char *word)
{
	size_t len = strlen(buf);

	if (len < size)
		snprintf(buf + len, size - len, "%s%s", prefix, word);
}

/* Find `text` at a place. 0, or -EINVAL with words in `err` (which may be NULL). */
static int pick(const struct place *p, const char *text, struct choice *out, char *err,
		size_t err_size)
{
	const char *words[PLACE_WORDS];
	struct choice choices[PLACE_WORDS];
	unsigned n = place_words(p, words, choices);
	unsigned found = 0;
	size_t len = strlen(text);

	for (unsigned i = 0; i < n; i++) {
		if (strcmp(words[i], text) == 0) {
			*out = choices[i];
			return 0;
		}
		if (len > 0 && strncmp(words[i], text, len) == 0) {
			*out = choices[i];
			found++;
		}
	}
	if (found == 1)
		return 0;
	if (!err)
		return -EINVAL;
	snprintf(err, err_size, found ? "\"%s\" could be" : "\"%s\" is not known here; one of",
		 text);
	for (unsigned i = 0, k = 0; i < n; i++)
		if (!found || strncmp(words[i], text, len) == 0)
			append(err, err_size, k++ ? ", " : " ", words[i]);
	return -EINVAL;
}

/* The rest of a line, read word by word. */
struct rest {
	int n;
	char *const *words;
	char *err;
	size_t err_size;
};

static const char *next_word(struct rest *r)
{
	if (r->n == 0)
		return NULL;
	r->n--;
	return *r->words++;
}

static int complain(struct rest *r, const char *text, const char *word)
{
	snprintf(r->err, r->err_size, "%s%s%s%s", text, word ? " \"" : "", word ? word : "",
		 word ? "\"" : "");
	return -EINVAL;
}

/* The next word must be one of `list`. */
static const struct keyword *keyword(struct rest *r, const struct keyword *list,
				     const char *missing)
{
	const struct place here = {.lists = {list}};
	const char *word = next_word(r);
	struct choice c;

	if (!word) {
		(void)complain(r, missing, NULL);
		for (const struct keyword *k = list; k->word; k++)
			append(r->err, r->err_size, k == list ? ": " : ", ", k->word);
		return NULL;
	}
	return pick(&here, word, &c, r->err, r->err_size) == 0 ? c.keyword : NULL;
}

static int number(struct rest *r, const char *what, unsigned long min, unsigned long max,
		  unsigned long *out)
{
	const char *word = next_word(r);
	char *end = NULL;

	if (!word)
		return complain(r, what, NULL);
	errno = 0;
	*out = strtoul(word, &end, 10);
	if (word[0] < '0' || word[0] > '9' || *end || errno || *out < min || *out > max)
		return complain(r, what, word);
	return 0;
}

static int filter_term(struct rest *r, struct filter *f, enum filter_kind kind)
{
	const char *value = next_word(r);
	int rc;

	if (!value) {
		snprintf(r->err, r->err_size, "%s what? it takes %s", filter_word(kind),
			 filter_value(kind));
		return -EINVAL;
	}
	rc = filter_add(f, kind, value);
	if (rc == -E2BIG)
		return complain(r, "filter too long at", value);
	if (rc < 0)
		snprintf(r->err, r->err_size, "%s takes %s, not \"%s\"", filter_word(kind),
			 filter_value(kind), value);
	return rc;
}

static int parse_show(struct command *c, struct rest *r)
{
	const struct keyword *what = keyword(r, shows, "show what? one of");
	struct place here = {.lists = {NULL}};
	struct choice choice;
	const char *word;

	if (!what)
		return -EINVAL;
	c->what = what->word;
	here.filters = what->filters;
	while ((word = next_word(r))) {
		if (!here.filters)
			return complain(r, "nothing may follow, but found", word);
		if (pick(&here, word, &choice, r->err, r->err_size) < 0 ||
		    filter_term(r, &c->filter, choice.filter) < 0)
			return -EINVAL;
	}
	return 0;
}

static const struct place monitor_place = {.lists = {groups, count_word},
					   .filters = MONITOR_FILTERS};

static void add_group(struct command *c, const char *group)
{
	for (unsigned i = 0; i < c->n_groups; i++)
		if (c->groups[i] == group)
			return;
	if (c->n_groups < GRAMMAR_GROUPS)
		c->groups[c->n_groups++] = group;
}

static void add_all_groups(struct command *c)
{
	for (const struct keyword *k = groups; k->word; k++)
		if (strcmp(k->word, "all") != 0)
			add_group(c, k->word);
}

static int parse_monitor(struct command *c, struct rest *r)
{
	struct choice choice;
	const char *word;

	while ((word = next_word(r))) {
		unsigned long n;

		if (pick(&monitor_place, word, &choice, r->err, r->err_size) < 0)
			return -EINVAL;
		if (!choice.keyword) {
			if (filter_term(r, &c->filter, choice.filter) < 0)
				return -EINVAL;
		} else if (choice.keyword == count_word) {
			if (number(r, "count takes a number above 0", 1, UINT32_MAX, &n) < 0)
				return -EINVAL;
			c->count = n;
		} else if (strcmp(choice.keyword->word, "all") == 0) {
			add_all_groups(c);
		} else {
			add_group(c, choice.keyword->word);
		}
	}
	if (c->n_groups == 0)
		add_all_groups(c);
	return 0;
}

static int parse_key(struct command *c, struct rest *r)
{
	unsigned long id = 1;

	if (!keyword(r, key_verbs, "key what? one of"))
		return -EINVAL;
	if (r->n > 0 && number(r, "a key id is a number from 1 to 255", 1, 255, &id) < 0)
		return -EINVAL;
	c->key_id = (unsigned)id;
	return 0;
}

static int parse_target(struct command *c, struct rest *r)
{
	unsigned long weight = 0;

	c->target = next_word(r);
	if (!c->target || !c->target[0])
		return complain(r,
				c->verb == VERB_TAKEOVER
					? "which dispatcher? see \"show dispatchers\""
				: c->verb == VERB_WEIGHT
					? "which target? see \"show targets\""
					: "which target, or \"node\" for this one? see \"show "
					  "targets\"",
				NULL);
	if (c->verb == VERB_WEIGHT &&
	    number(r, "a weight is a number from 0 to 256", 0, PARAMS_WEIGHT_MAX, &weight) < 0)
		return -EINVAL;
	c->weight = (unsigned)weight;
	return 0;
}

static int parse_help(struct command *c, struct rest *r)
{
	const struct keyword *k;

	c->topic = VERB_COUNT;
	if (r->n == 0)
		return 0;
	k = keyword(r, verbs, "");
	if (!k)
		return -EINVAL;
	c->topic = (enum verb)(k - verbs);
	return 0;
}

static int parse_word(const char **out, struct rest *r, const struct keyword *list,
		      const char *missing)
{
	const struct keyword *k = keyword(r, list, missing);

	if (!k)
		return -EINVAL;
	*out = k->word;
	return 0;
}

static int parse_verb(struct command *c, struct rest *r)
{
	switch (c->verb) {
	case VERB_SHOW:
		return parse_show(c, r);
	case VERB_MONITOR:
		return parse_monitor(c, r);
	case VERB_FLUSH:
		return parse_word(&c->what, r, flushes, "flush what? one of");
	case VERB_LOG:
		return parse_word(&c->level, r, levels, "log takes a level, one of");
	case VERB_WEIGHT:
	case VERB_DRAIN:
	case VERB_UNDRAIN:
	case VERB_TAKEOVER:
		return parse_target(c, r);
	case VERB_KEY:
		return parse_key(c, r);
	case VERB_HELP:
		return parse_help(c, r);
	case VERB_STATUS:
		c->verb = VERB_SHOW;
		c->what = "status";
		return 0;
	case VERB_RELOAD:
	case VERB_COUNT:
		break;
	}
	return 0;
}

int grammar_parse(struct command *c, int n_words, char *const *words, char *err, size_t err_size)
{
	struct rest r = {.n = n_words, .words = words, .err = err, .err_size = err_size};
	const struct keyword *verb;

	*c = (struct command){.topic = VERB_COUNT};
	err[0] = '\0';
	verb = keyword(&r, verbs, "a verb is missing; one of");
	if (!verb)
		return -EINVAL;
	c->verb = (enum verb)(verb - verbs);
	if (parse_verb(c, &r) < 0)
		return -EINVAL;
	if (r.n > 0)
		return complain(&r, "nothing may follow, but found", r.words[0]);
	return 0;
}

static void help_list(FILE *out, const struct keyword *list)
{
	for (const struct keyword *k = list; k->word; k++)
		fprintf(out, "  %-12s%s\n", k->word, k->text ? k->text : "");
}

static void help_filters(FILE *out, unsigned filters)
{
	fputs("Filter, all terms of which must hold:\n ", out);
	for (unsigned f = 0; f < FILTER_COUNT; f++)
		if (filters & 1u << f)
			fprintf(out, " [%s %s]", filter_word((enum filter_kind)f),
				filter_value((enum filter_kind)f));
	fputc('\n', out);
}

void grammar_help(FILE *out, enum verb topic)
{
	static const char *const usage[] = {
		[VERB_SHOW] = "show WHAT [FILTER]",
		[VERB_STATUS] = "status",
		[VERB_MONITOR] = "monitor [GROUP...] [FILTER] [count N]",
		[VERB_FLUSH] = "flush WHAT [--yes]",
		[VERB_WEIGHT] = "weight TARGET N",
		[VERB_DRAIN] = "drain TARGET | node",
		[VERB_UNDRAIN] = "undrain TARGET | node",
		[VERB_TAKEOVER] = "takeover DISPATCHER",
		[VERB_RELOAD] = "reload",
		[VERB_LOG] = "log LEVEL",
		[VERB_KEY] = "key generate [ID]",
		[VERB_HELP] = "help [VERB]",
	};
	static const struct keyword *const lists[] = {
		[VERB_SHOW] = shows,	[VERB_MONITOR] = groups,  [VERB_FLUSH] = flushes,
		[VERB_LOG] = levels,	[VERB_KEY] = key_verbs,	  [VERB_HELP] = verbs,
		[VERB_DRAIN] = drained, [VERB_UNDRAIN] = drained, [VERB_COUNT] = NULL,
	};

	if (topic == VERB_COUNT) {
		help_list(out, verbs);
		return;
	}
	fprintf(out, "fwclusterctl %s\n%s\n", usage[topic], verbs[topic].text);
	if (lists[topic])
		help_list(out, lists[topic]);
	if (topic == VERB_SHOW)
		help_filters(out, FLOW_STATE | FILTER_BIT(REASON));
	if (topic == VERB_MONITOR)
		help_filters(out, MONITOR_FILTERS);
}

static void complete_place(FILE *out, const struct place *p, const char *begun)
{
	const char *words[PLACE_WORDS];
	struct choice choices[PLACE_WORDS];
	unsigned n = place_words(p, words, choices);

	for (unsigned i = 0; i < n; i++)
		if (strncmp(words[i], begun, strlen(begun)) == 0)
			fprintf(out, "%s\n", words[i]);
}

static void complete_value(FILE *out, enum filter_kind kind, const char *begun)
{
	static const char *const protocols[] = {"tcp", "udp", "icmp", "icmp6"};

	if (kind == FILTER_PROTO)
		for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
			if (strncmp(protocols[i], begun, strlen(begun)) == 0)
				fprintf(out, "%s\n", protocols[i]);
	if (kind == FILTER_REASON)
		for (unsigned d = 0; d < DROP_COUNT; d++)
			if (strncmp(drop_name((enum drop)d), begun, strlen(begun)) == 0)
				fprintf(out, "%s\n", drop_name((enum drop)d));
}

/* Behind `show flows` or `monitor`: words of the place, or a value of the term just named. */
static void complete_terms(FILE *out, const struct place *p, int n, char *const *words)
{
	for (int i = 0; i < n - 1; i++) {
		struct choice c;

		if (pick(p, words[i], &c, NULL, 0) < 0)
			return;
		if (c.keyword && c.keyword != count_word)
			continue;
		if (++i == n - 1) { /* the begun word is the value */
			if (!c.keyword)
				complete_value(out, c.filter, words[i]);
			return;
		}
	}
	complete_place(out, p, words[n - 1]);
}

void grammar_complete(FILE *out, int n, char *const *words)
{
	static const struct keyword *const seconds[] = {
		[VERB_SHOW] = shows,	  [VERB_FLUSH] = flushes, [VERB_LOG] = levels,
		[VERB_KEY] = key_verbs,	  [VERB_HELP] = verbs,	  [VERB_DRAIN] = drained,
		[VERB_UNDRAIN] = drained, [VERB_COUNT] = NULL,
	};
	struct place place = {.lists = {verbs}};
	struct choice c;
	enum verb verb;

	if (n <= 1) {
		complete_place(out, &place, n == 1 ? words[0] : "");
		return;
	}
	if (pick(&place, words[0], &c, NULL, 0) < 0)
		return;
	verb = (enum verb)(c.keyword - verbs);
	place.lists[0] = seconds[verb];
	if (verb == VERB_MONITOR) {
		complete_terms(out, &monitor_place, n - 1, words + 1);
	} else if (n == 2) {
		complete_place(out, &place, words[1]);
	} else if (verb == VERB_SHOW && pick(&place, words[1], &c, NULL, 0) == 0) {
		place = (struct place){.filters = c.keyword->filters};
		complete_terms(out, &place, n - 2, words + 2);
	}
}

/* Names behind a filter term that begins the last word's value. */
static const char *names_of(enum filter_kind kind)
{
	return kind == FILTER_TARGET	? "targets"
	       : kind == FILTER_SERVICE ? "services"
	       : kind == FILTER_PATH	? "dispatchers"
					: NULL;
}

const char *grammar_names(int n, char *const *words)
{
	struct place place = {.lists = {verbs}};
	struct choice c;
	enum verb verb;

	if (n < 2 || pick(&place, words[0], &c, NULL, 0) < 0)
		return NULL;
	verb = (enum verb)(c.keyword - verbs);
	if (verb == VERB_WEIGHT || verb == VERB_DRAIN || verb == VERB_UNDRAIN)
		return n == 2 ? "targets" : NULL;
	if (verb == VERB_TAKEOVER)
		return n == 2 ? "dispatchers" : NULL;
	if ((verb != VERB_SHOW && verb != VERB_MONITOR) || n < 3)
		return NULL;
	place = (struct place){.filters = MONITOR_FILTERS | FLOW_STATE};
	return pick(&place, words[n - 2], &c, NULL, 0) < 0 ? NULL : names_of(c.filter);
}
