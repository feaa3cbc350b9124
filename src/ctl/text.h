/*
 * text.h - how single values look to a human: counts, durations, endpoints, text that is safe on a
 * terminal. All functions write into the caller's buffer of at least TEXT_ROOM bytes and return it.
 */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define TEXT_ROOM 320

enum tint { TINT_NONE, TINT_HEAD, TINT_GOOD, TINT_WARN, TINT_BAD, TINT_DIM };

/* Escape sequence that begins a tint, and the one that ends any; "" without colour. */
const char *text_tint(enum tint tint, bool colour);
const char *text_plain(bool colour);

/* 99999 in full, then 100k, 1.23M, ... */
const char *text_count(char *buf, uint64_t n);
/* 1.2s, 42s, 3m07s, 2h05m, 4d03h */
const char *text_duration(char *buf, double seconds);
/* A copy without control characters (they become '?'), cut at TEXT_ROOM. */
const char *text_safe(char *buf, const char *text);
/* Columns that UTF-8 text takes on a terminal, one per character. */
size_t text_width(const char *text);
/* "10.0.0.1:80", "[2001:db8::1]:80"; "-" for what the record does not have. */
const char *text_endpoint(char *buf, const json_t *record, const char *addr, const char *port);
/* Any JSON value in one word: strings as they are, arrays joined by commas, null as "-". */
const char *text_value(char *buf, const json_t *value);

/* The string member `key` of `record`, or `fallback`. */
const char *text_field(const json_t *record, const char *key, const char *fallback);
/* The number member `key` of `record`, integer or real; negative and absent are 0. */
uint64_t text_number(const json_t *record, const char *key);
double text_real(const json_t *record, const char *key);

/* realloc that ends the program when there is no memory: this tool has nothing to save. */
void *text_realloc(void *p, size_t size);

#endif
