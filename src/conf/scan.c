#include "conf/scan.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "conf/lexer.h"
#include "conf/output.h"
#include "conf/schema.h"
#include "conf/source.h"

#define MAX_DEPTH 8  /* of include() */
#define MAX_FILES 64 /* read by include() in all */

/* What one section has been given so far. */
struct seen {
	const void *what; /* option or section of the schema */
	char *title;	  /* of a titled section */
	struct report_pos at;
	struct seen *next;
};

struct scan {
	struct report *report;
	struct output out;
	struct lexer lex;
	struct token tok;
	struct report_pos end;
	unsigned depth, n_files;
	bool broken;
};

static void scan_body(struct scan *s, const struct schema_section *section, struct seen **seen,
		      const struct token *open);

static void advance(struct scan *s)
{
	s->tok = lexer_next(&s->lex);
	if (s->lex.failed)
		s->broken = true;
}

static bool at_punct(const struct scan *s, char c)
{
	return s->tok.kind == TOKEN_PUNCT && s->tok.punct == c;
}

static bool at_value(const struct scan *s)
{
	return s->tok.kind == TOKEN_WORD || s->tok.kind == TOKEN_STRING;
}

/* Report that something else was expected and go on at the next line or closing brace. */
static void syntax_error(struct scan *s, const char *expected)
{
	int len;
	const char *text = lexer_quote(&s->tok, &len);

	report_error(s->report, s->tok.at, "unexpected %.*s; expected is %s", len, text, expected);
	s->broken = true;
	while (s->tok.kind != TOKEN_END && !at_punct(s, '}')) {
		advance(s);
		if (s->tok.first)
			return;
	}
}

/* Skip to the end of a braced text; the current token is its opening brace. */
static void skip_braces(struct scan *s)
{
	struct token open = s->tok;
	unsigned depth = 0;

	do {
		if (at_punct(s, '{'))
			depth++;
		if (at_punct(s, '}'))
			depth--;
		if (s->tok.kind == TOKEN_END) {
			report_error(s->report, open.at, "'{' is not closed; '}' is missing");
			s->broken = true;
			return;
		}
		advance(s);
	} while (depth > 0);
}

static struct seen *find_seen(struct seen *seen, const void *what, const char *title)
{
	for (; seen; seen = seen->next)
		if (seen->what == what && (!title || strcmp(seen->title, title) == 0))
			return seen;
	return NULL;
}

/* Takes `title` over. */
static void add_seen(struct scan *s, struct seen **seen, const void *what, char *title,
		     struct report_pos at)
{
	struct seen *n = malloc(sizeof(*n));

	if (!n) {
		report_no_memory(s->report);
		free(title);
		return;
	}
	*n = (struct seen){.what = what, .title = title, .at = at, .next = *seen};
	*seen = n;
}

static void free_seen(struct seen *seen)
{
	while (seen) {
		struct seen *next = seen->next;
		free(seen->title);
		free(seen);
		seen = next;
	}
}

static bool broken_list(struct scan *s, const char *expected)
{
	syntax_error(s, expected);
	if (at_punct(s, '}')) /* the list's own */
		advance(s);
	return false;
}

/* The values of a list, '{' and '}' included. False when it is badly formed. */
static bool scan_list(struct scan *s)
{
	output_token(&s->out, &s->tok);
	advance(s);
	while (!at_punct(s, '}')) {
		if (!at_value(s))
			return broken_list(s, "a value or '}'");
		output_token(&s->out, &s->tok);
		advance(s);
		if (at_punct(s, ',')) {
			output_token(&s->out, &s->tok);
			advance(s);
		} else if (!at_punct(s, '}')) {
			return broken_list(s, "',' or '}' behind a value of the list");
		}
	}
	output_token(&s->out, &s->tok);
	advance(s);
	return true;
}

/* What stands behind the equals sign. False when the option must be left out. */
static bool scan_value(struct scan *s, const struct schema_option *option)
{
	char allowed[SCHEMA_ALLOWED];

	if (at_punct(s, '{') && option->kind == SCHEMA_LIST)
		return scan_list(s);
	if (at_punct(s, '{')) {
		report_error(s->report, s->tok.at,
			     "option \"%s\" takes one value, no list; allowed "
			     "is %s",
			     option->name, schema_allowed(allowed, option));
		skip_braces(s);
		return false;
	}
	if (!at_value(s)) {
		syntax_error(s, "the value of the option");
		return false;
	}
	output_token(&s->out, &s->tok);
	advance(s);
	return true;
}

static void scan_option(struct scan *s, const struct schema_option *option, struct seen **seen)
{
	struct token name = s->tok;
	struct output_place place = output_place(&s->out);
	const struct seen *earlier = find_seen(*seen, option, NULL);

	output_token(&s->out, &name);
	advance(s);
	bool append = at_punct(s, '+');
	if (!append && !at_punct(s, '=')) {
		syntax_error(s, "'=' behind the name of an option");
		output_back(&s->out, place);
		return;
	}
	output_token(&s->out, &s->tok);
	struct token sign = s->tok;
	advance(s);
	if (!scan_value(s, option)) {
		output_back(&s->out, place);
	} else if (append && option->kind != SCHEMA_LIST) {
		report_error(s->report, sign.at, "option \"%s\" is no list; use '='", option->name);
		output_back(&s->out, place);
	} else if (earlier && !append) {
		report_error(s->report, name.at,
			     "option \"%s\" is given twice, first in line %u; once is allowed",
			     option->name, earlier->at.line);
		output_back(&s->out, place);
	}
	if (!earlier)
		add_seen(s, seen, option, NULL, name.at);
}

/* True when a section of that kind and title may be added here. */
static bool section_is_new(struct scan *s, const struct schema_section *section,
			   const struct seen *earlier, const char *title, struct report_pos at)
{
	if (!earlier)
		return true;
	if (title)
		report_error(s->report, at,
			     "%s \"%s\" is given twice, first in line %u; names must differ",
			     section->name, title, earlier->at.line);
	else
		report_error(s->report, at,
			     "section \"%s\" is given twice, first in line %u; once is allowed",
			     section->name, earlier->at.line);
	return false;
}

/* The title of a section, NULL when it has none or lacks it. */
static char *scan_title(struct scan *s, const struct schema_section *section)
{
	char *title;

	if (!section->titled) {
		if (at_value(s)) {
			report_error(s->report, s->tok.at,
				     "section \"%s\" has no name; expected is '{'", section->name);
			advance(s);
		}
		return NULL;
	}
	if (!at_value(s)) {
		report_error(s->report, s->tok.at,
			     "section \"%s\" lacks its name; expected is %s \"name\" {",
			     section->name, section->name);
		s->broken = true;
		return NULL;
	}
	title = lexer_text(&s->tok);
	if (!title)
		report_no_memory(s->report);
	output_token(&s->out, &s->tok);
	advance(s);
	return title;
}

static void scan_section(struct scan *s, const struct schema_section *section, struct seen **seen)
{
	struct token name = s->tok;
	struct output_place place = output_place(&s->out);
	struct seen *inner = NULL;

	output_token(&s->out, &name);
	advance(s);
	char *title = scan_title(s, section);
	bool nameless = section->titled && !title;
	const struct seen *earlier = nameless ? NULL : find_seen(*seen, section, title);
	bool keep = section_is_new(s, section, earlier, title, name.at);

	if (!at_punct(s, '{')) {
		syntax_error(s, "'{' of the section");
		output_back(&s->out, place);
		free(title);
		return;
	}
	output_token(&s->out, &s->tok);
	output_mark(&s->out, name.at);
	advance(s);
	scan_body(s, section, &inner, &name);
	output_close(&s->out, s->tok.at);
	if (keep && !nameless) {
		add_seen(s, seen, section, title, name.at);
	} else {
		free(title);
		output_back(&s->out, place);
	}
	free_seen(inner);
}

static void report_unknown(struct scan *s, const struct schema_section *section,
			   const struct token *t)
{
	char *name = lexer_text(t);
	const char *near;
	const struct schema_section *home;
	const char *kind = *section->name ? "in section " : "at the top of the file";
	const char *quote = *section->name ? "\"" : "";

	if (!name) {
		report_no_memory(s->report);
		return;
	}
	near = schema_suggest(section, name);
	home = schema_home(name);
	if (near)
		report_error(s->report, t->at,
			     "unknown option \"%.60s\" %s%s%s%s; did you mean \"%s\"?", name, kind,
			     quote, section->name, quote, near);
	else if (home && *home->name)
		report_error(s->report, t->at,
			     "unknown option \"%.60s\" %s%s%s%s; it belongs into section \"%s\"",
			     name, kind, quote, section->name, quote, home->name);
	else
		report_error(s->report, t->at,
			     "unknown option \"%.60s\" %s%s%s%s; fwclusterd.conf(5) lists what is "
			     "allowed",
			     name, kind, quote, section->name, quote);
	free(name);
}

/* Leave out an unknown option or section with all that belongs to it. */
static void scan_unknown(struct scan *s, const struct schema_section *section)
{
	struct token name = s->tok;

	advance(s);
	if (at_punct(s, '=') || at_punct(s, '+')) {
		report_unknown(s, section, &name);
		advance(s);
		if (at_punct(s, '{'))
			skip_braces(s);
		else if (at_value(s))
			advance(s);
		else
			syntax_error(s, "the value of the option");
		return;
	}
	if (at_value(s) && !s->tok.first)
		advance(s);
	if (!at_punct(s, '{')) {
		report_unknown(s, section, &name);
		s->broken = true;
		if (!s->tok.first)
			syntax_error(s, "'=' or '{' behind a name");
		return;
	}
	report_unknown(s, section, &name);
	skip_braces(s);
}

/* One included file, in the place of the include(). */
static void include_file(struct scan *s, const char *path, const struct schema_section *section,
			 struct seen **seen, struct report_pos at)
{
	const char *why;
	char *text;
	uint32_t file;

	if (s->depth >= MAX_DEPTH || s->n_files >= MAX_FILES) {
		report_error(s->report, at,
			     "include: \"%s\" is one too many; allowed are %d files, %d deep", path,
			     MAX_FILES, MAX_DEPTH);
		return;
	}
	text = source_read(path, &why);
	if (!text) {
		report_error(s->report, at, "include: cannot read \"%s\": %s", path, why);
		return;
	}
	s->n_files++;
	file = report_file(s->report, path);
	if (file != UINT32_MAX) {
		struct lexer outer = s->lex;
		struct token tok = s->tok;
		s->lex = lexer_init(s->report, file, text);
		s->depth++;
		advance(s);
		scan_body(s, section, seen, NULL);
		s->depth--;
		s->lex = outer;
		s->tok = tok;
	}
	free(text);
}

static void include_pattern(struct scan *s, const char *pattern,
			    const struct schema_section *section, struct seen **seen,
			    struct report_pos at)
{
	glob_t found;
	int rc = glob(pattern, 0, NULL, &found);

	if (rc == GLOB_NOMATCH) {
		/* a pattern may match nothing; a plain name must be there */
		if (!strpbrk(pattern, "*?["))
			report_error(s->report, at, "include: \"%s\" does not exist", pattern);
		return;
	}
	if (rc != 0) {
		report_error(s->report, at, "include: cannot search for \"%s\"", pattern);
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		include_file(s, found.gl_pathv[i], section, seen, at);
	globfree(&found);
}

/* include("file"), the current token being the word. */
static void scan_include(struct scan *s, const struct schema_section *section, struct seen **seen)
{
	struct report_pos at = s->tok.at;
	struct token name;

	advance(s);
	if (!at_punct(s, '(')) {
		syntax_error(s, "include(\"file\")");
		return;
	}
	advance(s);
	name = s->tok;
	if (!at_value(s)) {
		syntax_error(s, "the name of a file in quotes");
		return;
	}
	advance(s);
	if (!at_punct(s, ')')) {
		syntax_error(s, "')' behind the name of a file");
		return;
	}
	char *text = lexer_text(&name);
	char *path = text ? source_path(report_file_name(s->report, at.file), text) : NULL;
	if (path)
		include_pattern(s, path, section, seen, at);
	else
		report_no_memory(s->report);
	free(path);
	free(text);
	advance(s);
}

static void scan_name(struct scan *s, const struct schema_section *section, struct seen **seen)
{
	char *name = lexer_text(&s->tok);
	const struct schema_option *option;
	const struct schema_section *below;

	if (!name) {
		report_no_memory(s->report);
		advance(s);
		return;
	}
	option = schema_find_option(section, name);
	below = schema_find_section(section, name);
	if (strcmp(name, "include") == 0)
		scan_include(s, section, seen);
	else if (option)
		scan_option(s, option, seen);
	else if (below)
		scan_section(s, below, seen);
	else
		scan_unknown(s, section);
	free(name);
}

/* The options and sections inside `section`. `open` is the name of the section when a brace must
 * close it, NULL when the end of the file does. */
static void scan_body(struct scan *s, const struct schema_section *section, struct seen **seen,
		      const struct token *open)
{
	for (;;) {
		if (s->tok.kind == TOKEN_END) {
			if (open) {
				report_error(s->report, open->at,
					     "section \"%s\" is not closed; '}' is missing",
					     section->name);
				s->broken = true;
			}
			return;
		}
		if (at_punct(s, '}')) {
			bool stray = !open;
			if (stray) {
				report_error(s->report, s->tok.at,
					     "unexpected '}'; no section is open here");
				s->broken = true;
			}
			advance(s);
			if (!stray)
				return;
		} else if (s->tok.kind == TOKEN_WORD) {
			scan_name(s, section, seen);
		} else {
			syntax_error(s, "the name of an option or section");
		}
	}
}

struct scan *scan_text(const char *name, const char *text, struct report *report)
{
	struct scan *s = calloc(1, sizeof(*s));
	uint32_t file = report_file(report, name);
	struct seen *seen = NULL;

	if (!s || file == UINT32_MAX) {
		report_no_memory(report);
		free(s);
		return NULL;
	}
	s->report = report;
	s->lex = lexer_init(report, file, text);
	advance(s);
	scan_body(s, &schema_root, &seen, NULL);
	s->end = s->tok.at;
	/* the last line is the one that the last newline ends */
	size_t len = strlen(text);
	if (len > 0 && text[len - 1] == '\n' && s->end.line > 1)
		s->end.line--;
	free_seen(seen);
	if (s->out.no_memory)
		report_no_memory(report);
	return s;
}

struct scan *scan_file(const char *path, struct report *report)
{
	const char *why;
	char *text = source_read(path, &why);
	struct scan *s;

	if (!text) {
		uint32_t file = report_file(report, path);
		report_error(report, (struct report_pos){.file = file}, "cannot read the file: %s",
			     why);
		return NULL;
	}
	s = scan_text(path, text, report);
	free(text);
	return s;
}

void scan_free(struct scan *s)
{
	if (!s)
		return;
	output_fini(&s->out);
	free(s);
}

const char *scan_output(const struct scan *s)
{
	return s->out.text ? s->out.text : "";
}

bool scan_broken(const struct scan *s)
{
	return s->broken || s->out.no_memory;
}

struct report_pos scan_pos(const struct scan *s, unsigned line)
{
	if (line == 0 || line > s->out.n_marks)
		return s->end;
	return s->out.marks[line - 1];
}

struct report_pos scan_end(const struct scan *s)
{
	return s->end;
}
