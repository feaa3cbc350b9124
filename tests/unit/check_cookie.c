/* Cookies: found in requests, judged; tokens that only a key holder can make; patterns. */
/* proves: HD-17 */
#include <errno.h>

#include "l7/cookie.h"
#include "l7_rig.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define NOW 1800000000u
#define LATER (NOW + 3600)

static struct http_head h;
static char request_text[1024];

static void request(const char *cookies)
{
	snprintf(request_text, sizeof(request_text), GET "%s\r\n", cookies);
	ck_assert_int_eq(rig_whole(&h, &rig_limits, NULL, request_text, strlen(request_text)),
			 L7_MATCH);
}

static struct text text(const char *s)
{
	return (struct text){s, strlen(s)};
}

/* --- finding ---------------------------------------------------------------------------------- */

struct pairs {
	const char *value;
	const char *want; /* name=value, in <> each */
};

static const struct pairs pairs[] = {
	{"", ""},
	{"a=b", "<a=b>"},
	{"a=b; c=d", "<a=b><c=d>"},
	{"a=b;c=d;", "<a=b><c=d>"},
	{";; ;a = b ;", "<a=b>"},
	{"a", "<=a>"},
	{"=a", "<=a>"},
	{"a=", "<a=>"},
	{"a=b=c", "<a=b=c>"},
	{"a=\"b c\"; d=e,f", "<a=\"b c\"><d=e,f>"},
	{"a=b\t;\tc=d", "<a=b><c=d>"},
};

START_TEST(cookie_pairs)
{
	const struct pairs *p = &pairs[_i];
	size_t size = strlen(p->value), n = 0;
	uint8_t *copy = guard_copy(p->value, size);
	struct text rest = {(const char *)copy, size};
	struct cookie_pair pair;
	char got[256] = "";

	while (cookie_next(&rest, &pair))
		n += (size_t)snprintf(got + n, sizeof(got) - n, "<%.*s=%.*s>", (int)pair.name.size,
				      pair.name.p, (int)pair.value.size, pair.value.p);
	ck_assert_str_eq(got, p->want);
	guard_free(copy, size);
}
END_TEST

START_TEST(walk)
{
	struct cookie_walk w;
	struct text value;

	request("Cookie: A=0; a=1; b=2\r\nX: a=9\r\ncookie: a=3;aa=4\r\nCookie:\r\nCookie: a=\r\n");
	w = cookie_walk(&h, TEXT("a"));
	ck_assert(cookie_walk_next(&w, &value));
	RIG_TEXT(value, "1");
	ck_assert(cookie_walk_next(&w, &value));
	RIG_TEXT(value, "3");
	ck_assert(cookie_walk_next(&w, &value));
	RIG_TEXT(value, "");
	ck_assert(!cookie_walk_next(&w, &value));
	ck_assert(cookie_present(&h, TEXT("aa")));
	ck_assert(!cookie_present(&h, TEXT("aaa")));
	ck_assert(!cookie_present(&h, TEXT("B")));
}
END_TEST

START_TEST(set_cookie)
{
	struct cookie_pair p = cookie_set_pair(TEXT("a = b=c ; Path=/; x=y"));

	RIG_TEXT(p.name, "a");
	RIG_TEXT(p.value, "b=c");
	p = cookie_set_pair(TEXT("; a=b"));
	RIG_TEXT(p.name, "");
	RIG_TEXT(p.value, "");
	p = cookie_set_pair(TEXT("a"));
	RIG_TEXT(p.name, "");
}
END_TEST

/* --- tokens ----------------------------------------------------------------------------------- */

static const uint8_t secret_a[COOKIE_SECRET] = "the first of two keys that are ";
static const uint8_t secret_b[COOKIE_SECRET] = "the second of two that are keys";

static void keys(struct cookie_keys *k, uint32_t service, uint32_t epoch, bool b_active)
{
	cookie_keys_init(k, service, epoch);
	ck_assert_int_eq(cookie_keys_add(k, 1, secret_a, !b_active), 0);
	ck_assert_int_eq(cookie_keys_add(k, 2, secret_b, b_active), 0);
}

static void make(char *out, const struct cookie_keys *k, uint32_t server, uint32_t salt)
{
	struct cookie_token t = {.server = server, .expires_s = LATER, .salt = salt};

	cookie_token_make(out, k, &t);
	ck_assert_uint_eq(strlen(out), COOKIE_TOKEN);
	ck_assert(text_all(text(out), TEXT_HOST)); /* no escapes needed anywhere */
	ck_assert_ptr_null(strchr(out, '.'));
}

/* Judged in memory that ends behind it. */
static enum cookie_verdict read_token(struct cookie_token *t, const struct cookie_keys *k,
				      const char *token, size_t size, uint32_t now)
{
	uint8_t *copy = guard_copy(token, size);
	enum cookie_verdict v =
		cookie_token_read(t, k, (struct text){(const char *)copy, size}, now);

	guard_free(copy, size);
	return v;
}

START_TEST(token_there_and_back)
{
	struct cookie_keys k;
	struct cookie_token t;
	char token[COOKIE_TOKEN + 1];

	keys(&k, 7, 3, false);
	for (uint32_t server = 1; server != 0; server <<= 1) {
		make(token, &k, server, ~server);
		t = (struct cookie_token){.server = 0};
		ck_assert_int_eq(read_token(&t, &k, token, COOKIE_TOKEN, NOW), COOKIE_VALID);
		ck_assert_uint_eq(t.server, server);
		ck_assert_uint_eq(t.salt, ~server);
		ck_assert_uint_eq(t.expires_s, LATER);
	}
	cookie_keys_fini(&k);
	ck_assert_uint_eq(k.n, 0);
}
END_TEST

/* Another dispatcher reads it that knows the same secrets, in another order. */
START_TEST(token_of_another_dispatcher)
{
	struct cookie_keys k, other;
	struct cookie_token t;
	char token[COOKIE_TOKEN + 1];

	keys(&k, 7, 3, true);
	cookie_keys_init(&other, 7, 3);
	ck_assert_int_eq(cookie_keys_add(&other, 2, secret_b, false), 0);
	make(token, &k, 42, 1);
	ck_assert_int_eq(read_token(&t, &other, token, COOKIE_TOKEN, NOW), COOKIE_VALID);
	ck_assert_uint_eq(t.server, 42);
}
END_TEST

START_TEST(token_expires)
{
	struct cookie_keys k;
	struct cookie_token t;
	char token[COOKIE_TOKEN + 1];

	keys(&k, 7, 3, false);
	make(token, &k, 42, 1);
	ck_assert_int_eq(read_token(&t, &k, token, COOKIE_TOKEN, LATER - 1), COOKIE_VALID);
	ck_assert_int_eq(read_token(&t, &k, token, COOKIE_TOKEN, LATER), COOKIE_EXPIRED);
	ck_assert_uint_eq(t.server, 42);
	ck_assert_int_eq(read_token(&t, &k, token, COOKIE_TOKEN, UINT32_MAX), COOKIE_EXPIRED);
}
END_TEST

/* Any character changed to any other; cut; longer. */
START_TEST(token_altered)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.~ \"\0\x80";
	struct cookie_keys k;
	struct cookie_token t = {.server = 99};
	char token[COOKIE_TOKEN + 1], altered[COOKIE_TOKEN + 2];

	keys(&k, 7, 3, false);
	make(token, &k, 42, 1);
	for (size_t at = 0; at < COOKIE_TOKEN; at++) {
		for (size_t c = 0; c < sizeof(alphabet) - 1; c++) {
			enum cookie_verdict v;

			memcpy(altered, token, sizeof(token));
			if (altered[at] == alphabet[c])
				continue;
			altered[at] = alphabet[c];
			v = read_token(&t, &k, altered, COOKIE_TOKEN, NOW);
			/* the first two characters hold the key's id */
			ck_assert_msg(v == COOKIE_FORGED || (v == COOKIE_UNKNOWN && at < 2),
				      "%s: %s", altered, cookie_verdict_name(v));
		}
	}
	for (size_t n = 0; n < COOKIE_TOKEN; n++)
		ck_assert_int_eq(read_token(&t, &k, token, n, NOW), COOKIE_FORGED);
	snprintf(altered, sizeof(altered), "%sA", token);
	ck_assert_int_eq(read_token(&t, &k, altered, COOKIE_TOKEN + 1, NOW), COOKIE_FORGED);
	ck_assert_uint_eq(t.server, 99);
}
END_TEST

/* No part of one token fits another. */
START_TEST(token_spliced)
{
	struct cookie_keys k;
	struct cookie_token t;
	char one[COOKIE_TOKEN + 1], two[COOKIE_TOKEN + 1], both[COOKIE_TOKEN + 1];

	keys(&k, 7, 3, false);
	make(one, &k, 1, 1);
	make(two, &k, 2, 1);
	for (size_t cut = 3; cut < COOKIE_TOKEN - 1; cut++) {
		snprintf(both, sizeof(both), "%.*s%s", (int)cut, one, two + cut);
		if (strcmp(both, one) == 0 || strcmp(both, two) == 0)
			continue;
		ck_assert_int_eq(read_token(&t, &k, both, COOKIE_TOKEN, NOW), COOKIE_FORGED);
	}
}
END_TEST

START_TEST(token_elsewhere)
{
	struct cookie_keys k, service, epoch, other_secret, none;
	struct cookie_token t;
	char token[COOKIE_TOKEN + 1];

	keys(&k, 7, 3, false);
	keys(&service, 8, 3, false);
	keys(&epoch, 7, 4, false);
	make(token, &k, 42, 1);
	ck_assert_int_eq(read_token(&t, &service, token, COOKIE_TOKEN, NOW), COOKIE_FORGED);
	ck_assert_int_eq(read_token(&t, &epoch, token, COOKIE_TOKEN, NOW), COOKIE_UNKNOWN);
	cookie_keys_init(&other_secret, 7, 3);
	cookie_keys_add(&other_secret, 1, secret_b, true);
	ck_assert_int_eq(read_token(&t, &other_secret, token, COOKIE_TOKEN, NOW), COOKIE_FORGED);
	cookie_keys_init(&none, 7, 3);
	ck_assert_int_eq(read_token(&t, &none, token, COOKIE_TOKEN, NOW), COOKIE_UNKNOWN);
}
END_TEST

/* A key that was active still reads; one that is gone makes its tokens unknown. */
START_TEST(rotation)
{
	struct cookie_keys before, after, later;
	struct cookie_token t;
	char old[COOKIE_TOKEN + 1], new[COOKIE_TOKEN + 1];

	keys(&before, 7, 3, false);
	keys(&after, 7, 3, true);
	cookie_keys_init(&later, 7, 3);
	cookie_keys_add(&later, 2, secret_b, true);
	make(old, &before, 1, 1);
	make(new, &after, 2, 1);
	ck_assert_int_ne(memcmp(old, new, 2), 0); /* key ids */
	ck_assert_int_eq(read_token(&t, &after, old, COOKIE_TOKEN, NOW), COOKIE_VALID);
	ck_assert_int_eq(read_token(&t, &before, new, COOKIE_TOKEN, NOW), COOKIE_VALID);
	ck_assert_int_eq(read_token(&t, &later, old, COOKIE_TOKEN, NOW), COOKIE_UNKNOWN);
	ck_assert_int_eq(read_token(&t, &later, new, COOKIE_TOKEN, NOW), COOKIE_VALID);
	ck_assert_int_eq(cookie_keys_add(&later, 2, secret_a, false), -EEXIST);
	for (uint8_t id = 3; id <= 5; id++)
		ck_assert_int_eq(cookie_keys_add(&later, id, secret_a, false), 0);
	ck_assert_int_eq(cookie_keys_add(&later, 6, secret_a, false), -ENOSPC);
}
END_TEST

/* Tokens of one server differ, and nothing of a token but the key's id comes again. */
START_TEST(token_tells_nothing)
{
	struct cookie_keys k;
	char one[COOKIE_TOKEN + 1], two[COOKIE_TOKEN + 1];
	unsigned same = 0;

	keys(&k, 7, 3, false);
	make(one, &k, 42, 1);
	make(two, &k, 42, 2);
	for (size_t i = 2; i < COOKIE_TOKEN; i++)
		same += one[i] == two[i];
	ck_assert_uint_lt(same, 8);
	make(two, &k, 42, 1);
	ck_assert_str_eq(one, two);
}
END_TEST

/* --- requests --------------------------------------------------------------------------------- */

/* A request with the fields `before`, `token` and `after`, one behind the other. */
static enum cookie_verdict judge(struct cookie_token *t, const struct cookie_keys *k,
				 const char *before, const char *token, const char *after,
				 bool prefixed)
{
	char cookies[512];

	snprintf(cookies, sizeof(cookies), "%s%s%s\r\n", before, token, after);
	request(cookies);
	return cookie_judge(t, k, &h, TEXT("SRV"), prefixed, NOW);
}

START_TEST(judged)
{
	struct cookie_keys k;
	struct cookie_token t = {.server = 0}, old = {.server = 5, .expires_s = NOW};
	char token[COOKIE_TOKEN + 1], expired[COOKIE_TOKEN + 1];
	char both[2 * COOKIE_TOKEN + 16];

	keys(&k, 7, 3, false);
	make(token, &k, 42, 1);
	cookie_token_make(expired, &k, &old);
	ck_assert_int_eq(judge(&t, &k, "X: ", token, "", false), COOKIE_ABSENT);
	ck_assert_int_eq(judge(&t, &k, "Cookie: srv=", token, "", false), COOKIE_ABSENT);
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=x", token, "", false), COOKIE_FORGED);
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=", "", "", false), COOKIE_FORGED);
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=\"", token, "\"", false), COOKIE_FORGED);
	ck_assert_uint_eq(t.server, 0);
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=", expired, "", false), COOKIE_EXPIRED);
	ck_assert_uint_eq(t.server, 5);
	old.server = 6; /* of two that are as good the first counts */
	cookie_token_make(token, &k, &old);
	snprintf(both, sizeof(both), "%s; SRV=%s", expired, token);
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=", both, "", false), COOKIE_EXPIRED);
	ck_assert_uint_eq(t.server, 5);
	make(token, &k, 42, 1);
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=", token, "", false), COOKIE_VALID);
	ck_assert_uint_eq(t.server, 42);
	/* browsers send several of a name, for several paths */
	t.server = 0;
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=x; SRV=y\r\nCookie: SRV=", token, "", false),
			 COOKIE_VALID);
	ck_assert_uint_eq(t.server, 42);
	ck_assert_int_eq(
		judge(&t, &k, "Cookie: SRV=1; SRV=2; SRV=3; SRV=4; SRV=", token, "", false),
		COOKIE_FORGED); /* but not as many as they like */
}
END_TEST

START_TEST(judged_prefix)
{
	struct cookie_keys k;
	struct cookie_token t = {.server = 0};
	char token[COOKIE_TOKEN + 1];

	keys(&k, 7, 3, false);
	make(token, &k, 42, 1);
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=", token, "~abc", true), COOKIE_VALID);
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=", token, "~", true), COOKIE_VALID);
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=abc", "", "", true), COOKIE_ABSENT);
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=", token, "", true), COOKIE_ABSENT);
	token[9] = token[9] == 'A' ? 'B' : 'A';
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=", token, "~abc", true), COOKIE_FORGED);
	RIG_TEXT(cookie_prefix(TEXT("abc~d")), "");
	token[9] = '!';
	ck_assert_int_eq(judge(&t, &k, "Cookie: SRV=", token, "~abc", true), COOKIE_ABSENT);
}
END_TEST

START_TEST(verdict_names)
{
	static const char *const names[] = {"absent", "forged", "unknown", "expired", "valid"};

	for (unsigned v = 0; v < COOKIE_VERDICTS; v++)
		ck_assert_str_eq(cookie_verdict_name((enum cookie_verdict)v), names[v]);
}
END_TEST

/* --- patterns --------------------------------------------------------------------------------- */

struct pattern {
	const char *pattern, *value;
	const char *server; /* NULL: does not fit */
};

static const struct pattern patterns[] = {
	{"%", "node1", "node1"},
	{"%", "", NULL},
	{"%", "node 1", NULL},
	{"*.%", "5f2a.node1", "node1"},
	{"*.%", "a.b.c", "c"},
	{"*.%", ".c", "c"},
	{"*.%", "a.", NULL},
	{"*.%", "abc", NULL},
	{"%.*", "a.b.c", "a"},
	{"%-*", "a-b-c", "a"},
	{"%-*", "-b", NULL},
	{"x%y", "xABy", "AB"},
	{"x%y", "xy", NULL},
	{"x%y", "xABz", NULL},
	{"x%y", "x", NULL},
	{"xx%xx", "xxx", NULL},
	{"s:*!%;e", "s:123!n7;e", "n7"},
	{"s:*!%;e", "s:!n7;e", "n7"},
	{"s:*!%;e", "s:123!n7;", NULL},
	{"s:%!*;e", "s:n7!!;e", "n7"},
	{"ab*ab%ab", "ababnab", "n"},
	{"ab*ab%ab", "abnab", NULL},
};

#define N_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

START_TEST(pattern_samples)
{
	const struct pattern *s = &patterns[_i];
	struct cookie_pattern p;
	struct text server;
	size_t size = strlen(s->value);
	uint8_t *copy = guard_copy(s->value, size);
	bool fits;

	ck_assert_int_eq(cookie_pattern_compile(&p, text(s->pattern)), 0);
	fits = cookie_pattern_match(&p, (struct text){(const char *)copy, size}, &server);
	ck_assert_msg(fits == (s->server != NULL), "%s, %s", s->pattern, s->value);
	if (fits)
		RIG_TEXT(server, s->server);
	guard_free(copy, size);
}
END_TEST

START_TEST(patterns_refused)
{
	static const char *const bad[] = {"", "abc", "*", "%%", "a%b%", "*a*%", "*%", "%*"};
	char longest[2 * COOKIE_PATTERN_MAX];
	struct cookie_pattern p;

	for (int i = 0; i < N_OF(bad); i++)
		ck_assert_msg(cookie_pattern_compile(&p, text(bad[i])) == -EINVAL, "%s", bad[i]);
	memset(longest, 'x', sizeof(longest));
	longest[COOKIE_PATTERN_MAX] = '%';
	ck_assert_int_eq(cookie_pattern_compile(&p, (struct text){longest, COOKIE_PATTERN_MAX + 1}),
			 0);
	longest[COOKIE_PATTERN_MAX] = 'x';
	ck_assert_int_eq(cookie_pattern_compile(&p, (struct text){longest, COOKIE_PATTERN_MAX + 1}),
			 -E2BIG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cookie");
	TCase *t = tcase_create("cookie");

	tcase_add_loop_test(t, cookie_pairs, 0, N_OF(pairs));
	tcase_add_test(t, walk);
	tcase_add_test(t, set_cookie);
	tcase_add_test(t, token_there_and_back);
	tcase_add_test(t, token_of_another_dispatcher);
	tcase_add_test(t, token_expires);
	tcase_add_test(t, token_altered);
	tcase_add_test(t, token_spliced);
	tcase_add_test(t, token_elsewhere);
	tcase_add_test(t, rotation);
	tcase_add_test(t, token_tells_nothing);
	tcase_add_test(t, judged);
	tcase_add_test(t, judged_prefix);
	tcase_add_test(t, verdict_names);
	tcase_add_loop_test(t, pattern_samples, 0, N_OF(patterns));
	tcase_add_test(t, patterns_refused);
	suite_add_tcase(suite, t);
	return rig_run(suite);
}
