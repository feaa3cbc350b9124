/*
 * lexer.h - the words of the configuration file.
 *
 * The text is cut into tokens by rules a little stricter than libconfuse's own: strings end on
 * their line, the only escapes are \" \\ and, in single quotes, \' - so what passes here can
 * neither fail in libconfuse's scanner nor leave it, a process-wide thing, in a state that the next
 * reading would suffer from. Errors go to the report. Tokens point into the text.
 */
#ifndef CONF_LEXER_H
#define CONF_LEXER_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/report.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,   /* without quotes */
	TOKEN_STRING, /* `text` includes the quotes */
	TOKEN_PUNCT,  /* one of { } ( ) , = or '+' for += */
};

struct token {
	enum token_kind kind;
	char punct;
	bool first; /* on its line */
	struct report_pos at;
	const char *text;
	size_t len;
};

struct lexer {
	const char *pos;
	struct report_pos at;
	bool first;
	bool failed; /* an error was reported */
	struct report *report;
};

struct lexer lexer_init(struct report *report, uint32_t file, const char *text);
struct token lexer_next(struct lexer *l);

/* What a word or string says, quotes and escapes undone. NULL when memory does not suffice; the
 * caller frees it. */
char *lexer_text(const struct token *t);

/* The token as it is written, for a message; `len` for "%.*s". */
const char *lexer_quote(const struct token *t, int *len);

#endif
