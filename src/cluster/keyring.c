#include "cluster/keyring.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct key {
	uint8_t id;
	uint8_t bytes[KEYRING_KEY];
};

struct keyring {
	uint8_t active; /* 0 = not yet known */
	unsigned n;
	struct key keys[KEYRING_MAX];
};

/* One word of a line. */
struct word {
	const char *text;
	size_t len;
};

struct parser {
	struct keyring *ring;
	unsigned line;
	char *err;
	size_t err_size;
};

/* Messages never quote the file: what stands in the wrong place may well be a key. */
__attribute__((format(printf, 2, 3))) static bool fail(const struct parser *p, const char *fmt, ...)
{
	va_list args;
	int n = 0;

	if (p->line > 0)
		n = snprintf(p->err, p->err_size, "line %u: ", p->line);
	if (n >= 0 && (size_t)n < p->err_size) {
		va_start(args, fmt);
		vsnprintf(p->err + n, p->err_size - (size_t)n, fmt, args);
		va_end(args);
	}
	return false;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of *line, which moves behind it; length 0 at the end or at a comment. */
static struct word next_word(struct word *line)
{
	struct word w;

	while (line->len > 0 && is_space(*line->text)) {
		line->text++;
		line->len--;
	}
	w = (struct word){.text = line->text};
	while (w.len < line->len && !is_space(w.text[w.len]) && w.text[w.len] != '#')
		w.len++;
	line->text += w.len;
	line->len -= w.len;
	return w;
}

static bool parse_id(const struct word *w, uint8_t *id)
{
	unsigned v = 0;

	if (w->len == 0 || w->len > 3)
		return false;
	for (size_t i = 0; i < w->len; i++) {
		if (w->text[i] < '0' || w->text[i] > '9')
			return false;
		v = v * 10 + (unsigned)(w->text[i] - '0');
	}
	*id = (uint8_t)v;
	return v >= 1 && v <= 255;
}

static bool parse_bytes(const struct word *w, uint8_t bytes[KEYRING_KEY])
{
	size_t size = 0;

	return w->len == 2 * KEYRING_KEY &&
	       sodium_hex2bin(bytes, KEYRING_KEY, w->text, w->len, NULL, &size, NULL) == 0 &&
	       size == KEYRING_KEY;
}

static bool parse_active(struct parser *p, struct word *line, uint8_t id)
{
	struct word w = next_word(line);

	if (w.len == 0)
		return true;
	if (w.len != 6 || memcmp(w.text, "active", 6) != 0)
		return fail(p, "only the word \"active\" may stand behind the key");
	if (p->ring->active != 0)
		return fail(p, "a second key is marked active, key %u is already", p->ring->active);
	p->ring->active = id;
	if (next_word(line).len != 0)
		return fail(p, "nothing may stand behind \"active\"");
	return true;
}

static bool parse_line(struct parser *p, struct word line)
{
	struct keyring *k = p->ring;
	struct word id_word = next_word(&line);
	struct word key_word = next_word(&line);
	struct key *key;
	uint8_t id;

	if (id_word.len == 0)
		return true;
	if (!parse_id(&id_word, &id))
		return fail(p, "the line must begin with a key id from 1 to 255");
	if (keyring_find(k, id))
		return fail(p, "key id %u is used twice", id);
	if (k->n == KEYRING_MAX)
		return fail(p, "more than %d keys", KEYRING_MAX);
	key = &k->keys[k->n];
	if (!parse_bytes(&key_word, key->bytes))
		return fail(p, "key %u must be %d hexadecimal digits", id, 2 * KEYRING_KEY);
	if (sodium_is_zero(key->bytes, sizeof(key->bytes)))
		return fail(p, "key %u is all zeros", id);
	key->id = id;
	k->n++;
	return parse_active(p, &line, id);
}

static bool parse_text(struct parser *p, const char *text, size_t size)
{
	while (size > 0) {
		const char *newline = memchr(text, '\n', size);
		size_t len = newline ? (size_t)(newline - text) : size;

		p->line++;
		if (!parse_line(p, (struct word){.text = text, .len = len}))
			return false;
		len += newline ? 1 : 0;
		text += len;
		size -= len;
	}
	p->line = 0;
	if (p->ring->n == 0)
		return fail(p, "no key in the file");
	if (p->ring->active == 0 && p->ring->n > 1)
		return fail(p, "none of the %u keys is marked active", p->ring->n);
	if (p->ring->active == 0)
		p->ring->active = p->ring->keys[0].id;
	return true;
}

struct keyring *keyring_parse(const char *text, size_t size, char *err, size_t err_size)
{
	struct parser p = {.err = err, .err_size = err_size};

	if (sodium_init() < 0 || !(p.ring = sodium_malloc(sizeof(*p.ring)))) {
		fail(&p, "no locked memory for the keys");
		return NULL;
	}
	memset(p.ring, 0, sizeof(*p.ring));
	if (!parse_text(&p, text, size)) {
		keyring_free(p.ring);
		return NULL;
	}
	sodium_mprotect_readonly(p.ring);
	return p.ring;
}

void keyring_free(struct keyring *k)
{
	sodium_free(k); /* wipes */
}

uint8_t keyring_active(const struct keyring *k)
{
	return k->active;
}

const uint8_t *keyring_find(const struct keyring *k, uint8_t id)
{
	for (unsigned i = 0; i < k->n; i++) {
		if (k->keys[i].id == id)
			return k->keys[i].bytes;
	}
	return NULL;
}

bool keyring_derive(const struct keyring *k, uint8_t id, const char *purpose,
		    uint8_t out[KEYRING_KEY])
{
	const uint8_t *key = keyring_find(k, id);

	return key && crypto_generichash(out, KEYRING_KEY, (const unsigned char *)purpose,
					 strlen(purpose), key, KEYRING_KEY) == 0;
}
