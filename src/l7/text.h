/*
 * text.h - pieces of text that somebody else keeps, and the character classes of RFC 9110 and 9112.
 *
 * A text is not ended by a zero. A span is the same as an offset into a buffer, for what must stay
 * right when the buffer moves. Nothing here depends on a locale.
 */
#ifndef L7_TEXT_H
#define L7_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
	const char *p;
	size_t size;
};

struct span {
	uint32_t at, size;
};

#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})

enum text_class {
	TEXT_TOKEN = 1,	  /* tchar (RFC 9110 section 5.6.2) */
	TEXT_TARGET = 2,  /* in a request target: what browsers leave unescaped, no '#' */
	TEXT_VALUE = 4,	  /* in a field value: VCHAR, SP, HTAB, obs-text */
	TEXT_DIGIT = 8,	  /* */
	TEXT_HEX = 16,	  /* */
	TEXT_HOST = 32,	  /* in a registered name, '_' included */
	TEXT_COOKIE = 64, /* cookie-octet (RFC 6265 section 4.1.1) */
};

/* The classes of every byte. */
extern const uint8_t text_classes[256];

static inline bool text_is(uint8_t c, enum text_class class)
{
	return (text_classes[c] & class) != 0;
}

static inline char text_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline struct text text_of(const void *data, struct span s)
{
	return (struct text){(const char *)data + s.at, s.size};
}

static inline bool text_eq(struct text x, struct text y)
{
	return x.size == y.size && (x.size == 0 || memcmp(x.p, y.p, x.size) == 0);
}

/* The first `n` bytes (all, when there are fewer), and what is left without them. */
static inline struct text text_first(struct text t, size_t n)
{
	return (struct text){t.p, n < t.size ? n : t.size};
}

static inline struct text text_after(struct text t, size_t n)
{
	n = n < t.size ? n : t.size;
	return (struct text){t.p + n, t.size - n};
}

/* Without regard to the case of ASCII letters. */
bool text_eq_nocase(struct text x, struct text y);

static inline bool text_starts(struct text t, struct text with)
{
	return t.size >= with.size && text_eq(text_first(t, with.size), with);
}

/* Is every byte of the class? True for an empty text. */
bool text_all(struct text t, enum text_class class);

/* Offset of the first `c`; the size of the text when there is none. */
size_t text_find(struct text t, char c);

/* Without spaces and tabs at both ends (OWS). */
struct text text_trim(struct text t);

/* The next member of a comma-separated list (RFC 9110 section 5.6.1), trimmed; empty members are
 * skipped. Takes it off `list`; false when there is none left. No quoted strings. */
bool text_next(struct text *list, struct text *member);

/* 1*DIGIT up to 2^63-1; false when it is anything else. Leading zeros are digits. */
bool text_decimal(struct text t, uint64_t *out);

/* Value of a hexadecimal digit, or -1. */
int text_hex(char c);

#endif
