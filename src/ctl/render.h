/*
 * render.h - answers of the daemon as a human table, as key=value lines, or as JSON.
 *
 * Pure functions of the answer: no socket, no terminal, no clock. An answer may come in pages; each
 * is given to render_page, then render_end finishes the output.
 */
#ifndef CTL_RENDER_H
#define CTL_RENDER_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "ctl/filter.h"

enum render_format { RENDER_TABLE, RENDER_JSON, RENDER_LINES };

struct render_style {
	enum render_format format;
	bool colour;
	bool all; /* rows that are zero, too */
	const struct filter *filter;
};

struct render;

/* `what` = the word behind "show"; `style` and what it points to must outlive the renderer. */
struct render *render_new(FILE *out, const char *what, const struct render_style *style);
void render_free(struct render *r);
/* 0, or -EPROTO when the answer has no such array. */
int render_page(struct render *r, const json_t *answer);
/* True when all is well; false when a status said "degraded". */
bool render_end(struct render *r);

/* One event of the monitor as one line, in the same three formats. */
void render_event(FILE *out, const json_t *event, const struct render_style *style);

/* One record as key=value words; nested objects become outer.inner=value. */
void render_record(FILE *out, const json_t *record);

#endif
