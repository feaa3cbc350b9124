#include "conf/lexer.h"

#include <stdlib.h>
#include <string.h>

struct lexer lexer_init(struct report *report, uint32_t file, const char *text)
{
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* an editor's byte order mark */
		text += 3;
	return (struct lexer){
		.pos = text, .at = {.file = file, .line = 1}, .first = true, .report = report};
}

static void fail(struct lexer *l, struct report_pos at, const char *what)
{
	report_error(l->report, at, "%s", what);
	l->failed = true;
}

static void skip_long_comment(struct lexer *l)
{
	struct report_pos start = l->at;

	for (l->pos += 2; *l->pos; l->pos++) {
		if (l->pos[0] == '*' && l->pos[1] == '/') {
			l->pos += 2;
			return;
		}
		if (*l->pos == '\n') {
			l->at.line++;
			l->first = true;
		}
	}
	fail(l, start, "comment is not closed; it must end with */");
}

static void skip_space(struct lexer *l)
{
	for (;;) {
		if (*l->pos == '\n') {
			l->at.line++;
			l->first = true;
			l->pos++;
		} else if (*l->pos == ' ' || *l->pos == '\t' || *l->pos == '\r') {
			l->pos++;
		} else if (*l->pos == '#' || (l->pos[0] == '/' && l->pos[1] == '/')) {
			l->pos += strcspn(l->pos, "\n");
		} else if (l->pos[0] == '/' && l->pos[1] == '*') {
			skip_long_comment(l);
		} else {
			return;
		}
	}
}

/* Length of "${NAME}" or "${NAME:-default}" at `p`, 0 when there is none. */
static size_t variable(const char *p)
{
	if (p[0] != '$' || p[1] != '{')
		return 0;
	size_t n = 2 + strcspn(p + 2, "}\"'\\\r\n");
	return p[n] == '}' ? n + 1 : 0;
}

static bool is_word_char(const char *p)
{
	unsigned char c = (unsigned char)*p;

	if (c == '/')
		return p[1] != '/' && p[1] != '*';
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("_.:@%-", c));
}

static void read_word(struct lexer *l)
{
	size_t n = variable(l->pos);

	if (n > 0) {
		l->pos += n;
		return;
	}
	while (is_word_char(l->pos))
		l->pos++;
}

static void read_string(struct lexer *l)
{
	char quote = *l->pos++;

	for (;;) {
		unsigned char c = (unsigned char)*l->pos;
		if (c == (unsigned char)quote) {
			l->pos++;
			return;
		}
		if (c == '\0' || c == '\n') {
			fail(l, l->at, "string is not closed; it must end on its line");
			return;
		}
		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			fail(l, l->at,
			     "control character in a string; printable characters are "
			     "allowed");
		} else if (c == '\\') {
			char next = l->pos[1];
			if (next != '\\' && next != quote)
				fail(l, l->at,
				     "unknown escape in a string; \\\\ and an escaped "
				     "quote are allowed");
			if (next == '\\' || next == quote)
				l->pos++;
		} else if (c == '$' && l->pos[1] == '{' && quote == '"' && !variable(l->pos)) {
			fail(l, l->at,
			     "variable in a string is not closed; allowed is ${NAME} or "
			     "${NAME:-default}");
		}
		l->pos++;
	}
}

/* A character that begins no token. Returns after reporting it. */
static void bad_char(struct lexer *l)
{
	unsigned char c = (unsigned char)*l->pos++;

	l->failed = true;
	if (c == ';')
		report_error(l->report, l->at, "unexpected ';'; an option ends without any mark");
	else if (c >= 0x20 && c < 0x7f)
		report_error(l->report, l->at,
			     "unexpected '%c'; put a value with such a character in quotes", c);
	else
		report_error(l->report, l->at, "unexpected byte 0x%02x; put text in quotes", c);
}

struct token lexer_next(struct lexer *l)
{
	for (;;) {
		skip_space(l);
		struct token t = {.at = l->at, .first = l->first, .text = l->pos};
		l->first = false;
		if (*l->pos == '\0') {
			t.kind = TOKEN_END;
		} else if (strchr("{}(),=", *l->pos)) {
			t.kind = TOKEN_PUNCT;
			t.punct = *l->pos++;
		} else if (l->pos[0] == '+' && l->pos[1] == '=') {
			t.kind = TOKEN_PUNCT;
			t.punct = '+';
			l->pos += 2;
		} else if (*l->pos == '"' || *l->pos == '\'') {
			t.kind = TOKEN_STRING;
			read_string(l);
		} else if (is_word_char(l->pos) || variable(l->pos)) {
			t.kind = TOKEN_WORD;
			read_word(l);
		} else {
			l->first = t.first;
			bad_char(l);
			continue;
		}
		t.len = (size_t)(l->pos - t.text);
		return t;
	}
}

char *lexer_text(const struct token *t)
{
	char *out = malloc(t->len + 1);
	const char *p = t->text, *end = p + t->len;
	size_t n = 0;

	if (!out)
		return NULL;
	if (t->kind == TOKEN_STRING) {
		char quote = *p++;
		if (end > p && end[-1] == quote)
			end--;
	}
	for (; p < end; p++) {
		if (t->kind == TOKEN_STRING && *p == '\\' && p + 1 < end)
			p++;
		out[n++] = *p;
	}
	out[n] = '\0';
	return out;
}

const char *lexer_quote(const struct token *t, int *len)
{
	if (t->kind == TOKEN_END) {
		*len = 11;
		return "end of file";
	}
	*len = t->len > 60 ? 60 : (int)t->len;
	return t->text;
}
