#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/cursor.h"
#include "l7/cookie.h"

#define TAG 16
#define PLAIN 16 /* server, epoch, expires, salt */
#define TOKEN_BYTES (1 + TAG + PLAIN)

_Static_assert((TOKEN_BYTES * 4 + 2) / 3 == COOKIE_TOKEN, "no bits are left over in the text");

const char *cookie_verdict_name(enum cookie_verdict v)
{
	static const char *const names[COOKIE_VERDICTS] = {
		[COOKIE_ABSENT] = "absent",   [COOKIE_FORGED] = "forged",
		[COOKIE_UNKNOWN] = "unknown", [COOKIE_EXPIRED] = "expired",
		[COOKIE_VALID] = "valid",
	};

	assert(v < COOKIE_VERDICTS);
	return names[v];
}

void cookie_keys_init(struct cookie_keys *k, uint32_t service, uint32_t epoch)
{
	*k = (struct cookie_keys){.service = service, .epoch = epoch};
}

static void derive(uint8_t out[32], const uint8_t secret[COOKIE_SECRET], const char *purpose)
{
	(void)crypto_generichash(out, 32, (const uint8_t *)purpose, strlen(purpose), secret,
				 COOKIE_SECRET);
}

int cookie_keys_add(struct cookie_keys *k, uint8_t id, const uint8_t secret[COOKIE_SECRET],
		    bool active)
{
	for (unsigned i = 0; i < k->n; i++)
		if (k->keys[i].id == id)
			return -EEXIST;
	if (k->n == COOKIE_KEYS)
		return -ENOSPC;
	k->keys[k->n].id = id;
	derive(k->keys[k->n].mac, secret, "fwclusterd cookie authentication");
	derive(k->keys[k->n].stream, secret, "fwclusterd cookie encryption");
	if (active)
		k->active = k->n;
	k->n++;
	return 0;
}

void cookie_keys_fini(struct cookie_keys *k)
{
	sodium_memzero(k, sizeof(*k));
}

static void make_tag(uint8_t tag[TAG], const struct cookie_key *key, uint32_t service,
		     const uint8_t plain[PLAIN])
{
	uint8_t text[5 + PLAIN];
	struct wcur w = wcur_init(text, sizeof(text));

	wcur_u8(&w, key->id);
	wcur_u32(&w, service);
	wcur_bytes(&w, plain, PLAIN);
	(void)crypto_generichash(tag, TAG, text, sizeof(text), key->mac, sizeof(key->mac));
}

/* Both ways: a stream of bytes is laid over the text. */
static void lay_stream(uint8_t out[PLAIN], const uint8_t in[PLAIN], const struct cookie_key *key,
		       const uint8_t tag[TAG])
{
	uint8_t nonce[crypto_stream_xchacha20_NONCEBYTES] = {0};

	memcpy(nonce, tag, TAG);
	(void)crypto_stream_xchacha20_xor(out, in, PLAIN, nonce, key->stream);
}

void cookie_token_make(char out[COOKIE_TOKEN + 1], const struct cookie_keys *k,
		       const struct cookie_token *t)
{
	const struct cookie_key *key = &k->keys[k->active];
	uint8_t plain[PLAIN], token[TOKEN_BYTES];
	struct wcur w = wcur_init(plain, sizeof(plain));

	assert(k->active < k->n);
	wcur_u32(&w, t->server);
	wcur_u32(&w, k->epoch);
	wcur_u32(&w, t->expires_s);
	wcur_u32(&w, t->salt);
	token[0] = key->id;
	make_tag(token + 1, key, k->service, plain);
	lay_stream(token + 1 + TAG, plain, key, token + 1);
	(void)sodium_bin2base64(out, COOKIE_TOKEN + 1, token, sizeof(token),
				sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static const struct cookie_key *key_by_id(const struct cookie_keys *k, uint8_t id)
{
	for (unsigned i = 0; i < k->n; i++)
		if (k->keys[i].id == id)
			return &k->keys[i];
	return NULL;
}

enum cookie_verdict cookie_token_read(struct cookie_token *t, const struct cookie_keys *k,
				      struct text token, uint32_t now_s)
{
	uint8_t bytes[TOKEN_BYTES], plain[PLAIN] = {0}, tag[TAG];
	const struct cookie_key *key;
	struct rcur r = rcur_init(plain, sizeof(plain));
	size_t size = 0;
	uint32_t epoch;

	/* libsodium reads some bytes above 127 as if they were in the alphabet. */
	if (!cookie_is_token(token) ||
	    sodium_base642bin(bytes, sizeof(bytes), token.p, token.size, NULL, &size, NULL,
			      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    size != sizeof(bytes))
		return COOKIE_FORGED;
	key = key_by_id(k, bytes[0]);
	if (!key)
		return COOKIE_UNKNOWN;
	lay_stream(plain, bytes + 1 + TAG, key, bytes + 1);
	make_tag(tag, key, k->service, plain);
	if (sodium_memcmp(tag, bytes + 1, TAG) != 0)
		return COOKIE_FORGED;
	t->server = rcur_u32(&r);
	epoch = rcur_u32(&r);
	t->expires_s = rcur_u32(&r);
	t->salt = rcur_u32(&r);
	if (epoch != k->epoch)
		return COOKIE_UNKNOWN;
	return now_s < t->expires_s ? COOKIE_VALID : COOKIE_EXPIRED;
}
