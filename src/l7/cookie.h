/*
 * cookie.h - cookies that name the server that made them: found, judged, made (RFC 6265).
 *
 * Three ways in which a cookie names a server:
 *	insert	the dispatcher's own cookie, holding a token; servers never see it
 *	prefix	the server's cookie gets the token and '~' in front of its value; taken off again
 *		before the server sees it
 *	own	the server puts its name into its own cookie, where a pattern finds it; nothing is
 *		altered, and nothing keeps a client from naming another server
 * http_write.h makes the edits; the functions here read, and make tokens.
 *
 * A token is 44 characters of base64url (RFC 4648 section 5), of these bytes:
 *
 *	 0        1                       17                            33
 *	+--------+-----------------------+-----------------------------+
 *	| key id | tag = MAC(service,    | server, epoch, expires,     |
 *	|        |           plain text) | salt: encrypted, tag = nonce|
 *	+--------+-----------------------+-----------------------------+
 *
 * The tag is computed over the plain text and serves as the nonce (the construction of RFC 5297),
 * so nothing needs a random number generator that never repeats. Without the key a token says
 * nothing: not the server, not whether two tokens name the same one where the salts differ. A token
 * that is altered, cut, put together from two, or moved to another service does not authenticate.
 *
 * No clock and no randomness here: `now_s` is seconds since 1970 by the wall clock, since tokens
 * are read by other dispatchers and after restarts; `salt` is any number.
 */
#ifndef L7_COOKIE_H
#define L7_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l7/http_head.h"
#include "l7/text.h"

#define COOKIE_TOKEN 44	      /* characters of a token */
#define COOKIE_KEYS 4	      /* keys that are read; one makes tokens */
#define COOKIE_SECRET 32      /* bytes of a key */
#define COOKIE_CANDIDATES 4   /* cookies of one name that are looked at, in one request */
#define COOKIE_SEPARATOR '~'  /* between a token and a server's own value */
#define COOKIE_NAME_MAX 64    /* bytes of a name in the configuration */
#define COOKIE_PATTERN_MAX 64 /* bytes of each literal part of a pattern */

/* --- finding ---------------------------------------------------------------------------------- */

struct cookie_pair {
	struct text name, value; /* as they stand; quotes belong to the value */
	struct text whole;
};

/* The next pair of a Cookie field's value; takes it off `rest`. What has no '=' is a pair without
 * a name, as browsers have it. False when none is left. */
bool cookie_next(struct text *rest, struct cookie_pair *pair);

/* Walk over the values of all cookies of one name in a request, first to last. */
struct cookie_walk {
	const struct http_head *head;
	struct text name, rest;
	unsigned field;
};

struct cookie_walk cookie_walk(const struct http_head *h, struct text name);
bool cookie_walk_next(struct cookie_walk *w, struct text *value);

/* Name and value of a Set-Cookie field's value; its attributes are left out. */
struct cookie_pair cookie_set_pair(struct text value);

/* Is there any cookie of that name? */
bool cookie_present(const struct http_head *h, struct text name);

/* --- tokens ----------------------------------------------------------------------------------- */

enum cookie_verdict {
	COOKIE_ABSENT,	/* no cookie of that name */
	COOKIE_FORGED,	/* not made by any key for this service, or no token at all */
	COOKIE_UNKNOWN, /* made by a key that is not loaded, or in another epoch */
	COOKIE_EXPIRED, /* right, but too old */
	COOKIE_VALID,
	COOKIE_VERDICTS,
};

/* "absent", "forged", ...: the name of a verdict's counter. */
const char *cookie_verdict_name(enum cookie_verdict v);

struct cookie_key {
	uint8_t id;
	uint8_t mac[32], stream[32]; /* derived from the secret */
};

/* Of one service. */
struct cookie_keys {
	struct cookie_key keys[COOKIE_KEYS];
	unsigned n;
	unsigned active;  /* index of the key that makes tokens */
	uint32_t service; /* the same on every dispatcher of the service */
	uint32_t epoch;	  /* tokens of another epoch are unknown */
};

struct cookie_token {
	uint32_t server;    /* id in the shared configuration; no address, no position */
	uint32_t expires_s; /* wall clock; the token is right before that second */
	uint32_t salt;
};

void cookie_keys_init(struct cookie_keys *k, uint32_t service, uint32_t epoch);

/* Load a key. 0; -EEXIST when that id is there, -ENOSPC above COOKIE_KEYS. `secret` is not kept. */
int cookie_keys_add(struct cookie_keys *k, uint8_t id, const uint8_t secret[COOKIE_SECRET],
		    bool active);

/* Wipe. */
void cookie_keys_fini(struct cookie_keys *k);

/* COOKIE_TOKEN characters and a zero into `out`, by the active key; there must be a key. */
void cookie_token_make(char out[COOKIE_TOKEN + 1], const struct cookie_keys *k,
		       const struct cookie_token *t);

/* Judge a token. `*t` is written when the verdict is COOKIE_VALID or COOKIE_EXPIRED. */
enum cookie_verdict cookie_token_read(struct cookie_token *t, const struct cookie_keys *k,
				      struct text token, uint32_t now_s);

/* Judge a request: the first valid token in cookies of that name wins, else the best verdict. With
 * `prefixed` the token is what stands before COOKIE_SEPARATOR. Whether the server exists and is up
 * is for the caller to say. */
enum cookie_verdict cookie_judge(struct cookie_token *t, const struct cookie_keys *k,
				 const struct http_head *h, struct text name, bool prefixed,
				 uint32_t now_s);

/* Has it the length and the alphabet of a token? */
bool cookie_is_token(struct text t);

/* The token that a value begins with, or an empty text: COOKIE_TOKEN characters of base64url and
 * COOKIE_SEPARATOR. What is left of the value is behind both. */
struct text cookie_prefix(struct text value);

/* --- the server's own cookie ------------------------------------------------------------------ */

/*
 * Where in the value the server's name is: '%' stands for the name (letters, digits, '-', '_',
 * '.'),
 * '*' for anything, each at most once; all else stands for itself. "*.%" finds "node1" in
 * "5f2a.node1", "%-*" finds "a" in "a-b-c": '*' reaches as far as it can.
 */
struct cookie_pattern {
	char literal[3][COOKIE_PATTERN_MAX]; /* before, between, behind */
	uint8_t size[3];
	bool star, star_first; /* there is a '*'; it comes before the '%' */
};

/* 0; -EINVAL when there is no '%', two of one kind, or nothing between the two; -E2BIG. */
int cookie_pattern_compile(struct cookie_pattern *p, struct text text);

/* The server's name in a cookie's value; false when the pattern does not fit. */
bool cookie_pattern_match(const struct cookie_pattern *p, struct text value, struct text *server);

#endif
