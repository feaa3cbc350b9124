#include "conf/output.h"

#include <stdlib.h>
#include <string.h>

#include "conf/schema.h"

static void append(struct output *o, const char *text, size_t len)
{
	if (o->no_memory)
		return;
	if (o->cap - o->len <= len) {
		size_t cap = (o->cap + len) * 2 + 4096;
		char *grown = realloc(o->text, cap);
		if (!grown) {
			o->no_memory = true;
			return;
		}
		o->text = grown;
		o->cap = cap;
	}
	memcpy(o->text + o->len, text, len);
	o->len += len;
	o->text[o->len] = '\0';
}

/* End the line, which came from `at`. */
static void end_line(struct output *o, struct report_pos at)
{
	append(o, "\n", 1);
	if (o->n_marks == o->cap_marks && !o->no_memory) {
		size_t cap = o->cap_marks * 2 + 256;
		struct report_pos *grown = realloc(o->marks, cap * sizeof(*grown));
		if (!grown) {
			o->no_memory = true;
			return;
		}
		o->marks = grown;
		o->cap_marks = cap;
	}
	if (!o->no_memory)
		o->marks[o->n_marks++] = at;
}

void output_token(struct output *o, const struct token *t)
{
	if (t->kind == TOKEN_PUNCT && t->punct == '+') {
		append(o, "+=", 2);
	} else if (t->kind == TOKEN_WORD) {
		append(o, "\"", 1);
		append(o, t->text, t->len);
		append(o, "\"", 1);
	} else {
		append(o, t->text, t->len);
	}
	end_line(o, t->at);
}

void output_mark(struct output *o, struct report_pos at)
{
	append(o, SCHEMA_MARK, strlen(SCHEMA_MARK));
	end_line(o, at);
	append(o, "=", 1);
	end_line(o, at);
	append(o, "\"\"", 2);
	end_line(o, at);
}

void output_close(struct output *o, struct report_pos at)
{
	append(o, "}", 1);
	end_line(o, at);
}

struct output_place output_place(const struct output *o)
{
	return (struct output_place){.len = o->len, .n_marks = o->n_marks};
}

void output_back(struct output *o, struct output_place place)
{
	o->len = place.len;
	o->n_marks = place.n_marks;
	if (o->text)
		o->text[o->len] = '\0';
}

void output_fini(struct output *o)
{
	free(o->text);
	free(o->marks);
	*o = (struct output){0};
}
