/*
 * output.h - the text that is handed to libconfuse: one token a line, and where each came from.
 */
#ifndef CONF_OUTPUT_H
#define CONF_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/lexer.h"

struct output {
	char *text; /* ends with a zero byte */
	size_t len, cap;
	struct report_pos *marks; /* of each line */
	size_t n_marks, cap_marks;
	bool no_memory; /* sticky */
};

struct output_place {
	size_t len, n_marks;
};

void output_token(struct output *o, const struct token *t);

/* The value that gives a section its position (SCHEMA_MARK), and its closing brace. */
void output_mark(struct output *o, struct report_pos at);
void output_close(struct output *o, struct report_pos at);

/* Where the output stands, and going back to there. */
struct output_place output_place(const struct output *o);
void output_back(struct output *o, struct output_place place);

void output_fini(struct output *o);

#endif
