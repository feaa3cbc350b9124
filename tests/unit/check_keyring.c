/*
 * check_keyring.c - key files, right and wrong.
 */
/* proves: FC-15 */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cluster/keyring.h"
#include "guard.h"

#define K1 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define K2 "F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF000102030405060708090A0B0C0D0E0F"

static char err[128];

static struct keyring *parse_n(const char *text, size_t size)
{
	uint8_t *copy = guard_copy(text, size);
	struct keyring *k;

	memset(err, 0, sizeof(err));
	k = keyring_parse((char *)copy, size, err, sizeof(err));
	guard_free(copy, size);
	return k;
}

static struct keyring *parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void assert_refused(const char *text, const char *message)
{
	struct keyring *k = parse(text);

	ck_assert_ptr_null(k);
	ck_assert_str_eq(err, message);
}

START_TEST(one_key)
{
	static const char *const texts[] = {"1 " K1, "1 " K1 "\n", "1 " K1 " active\n",
					    "# key\n\n \t1\t" K1 "\t active # now\r\n#",
					    "001 " K1 "# comment"};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct keyring *k = parse(texts[i]);

		ck_assert_msg(k != NULL, "%u: %s", i, err);
		ck_assert_uint_eq(keyring_active(k), 1);
		const uint8_t *key = keyring_find(k, 1);
		for (unsigned b = 0; b < KEYRING_KEY; b++)
			ck_assert_uint_eq(key[b], b);
		ck_assert_ptr_null(keyring_find(k, 2));
		ck_assert_ptr_null(keyring_find(k, 0));
		keyring_free(k);
	}
}
END_TEST

START_TEST(several_keys)
{
	struct keyring *k = parse("1 " K1 "\n255 " K2 " active\n");

	ck_assert_ptr_nonnull(k);
	ck_assert_uint_eq(keyring_active(k), 255);
	ck_assert_uint_eq(keyring_find(k, 1)[31], 0x1f);
	ck_assert_uint_eq(keyring_find(k, 255)[0], 0xf0);
	keyring_free(k);
	keyring_free(NULL);
}
END_TEST

START_TEST(most_keys)
{
	char text[1024] = "";

	for (unsigned i = 1; i <= KEYRING_MAX + 1; i++) {
		char line[128];

		snprintf(line, sizeof(line), "%u %s%s\n", i, K1, i == 3 ? " active" : "");
		strcat(text, line);
		if (i == KEYRING_MAX) {
			struct keyring *k = parse(text);

			ck_assert_ptr_nonnull(k);
			ck_assert_uint_eq(keyring_active(k), 3);
			ck_assert_ptr_nonnull(keyring_find(k, KEYRING_MAX));
			keyring_free(k);
		}
	}
	assert_refused(text, "line 9: more than 8 keys");
}
END_TEST

START_TEST(refused)
{
	assert_refused("", "no key in the file");
	assert_refused("# nothing\n\n", "no key in the file");
	assert_refused("1 " K1 "\n2 " K2 "\n", "none of the 2 keys is marked active");
	assert_refused("1 " K1 " active\n2 " K2 " active\n",
		       "line 2: a second key is marked active, key 1 is already");
	assert_refused("1 " K1 "\n\n1 " K2 " active\n", "line 3: key id 1 is used twice");
	assert_refused("1 " K1 " activ",
		       "line 1: only the word \"active\" may stand behind the key");
	assert_refused("1 " K1 " active now", "line 1: nothing may stand behind \"active\"");
	static const char *const bad_ids[] = {"0 " K1, "256 " K1, "-1 " K1,  "0x1 " K1,
					      K1,      "a " K1,	  "0001 " K1};
	for (unsigned i = 0; i < sizeof(bad_ids) / sizeof(bad_ids[0]); i++)
		assert_refused(bad_ids[i],
			       "line 1: the line must begin with a key id from 1 to 255");
	static const char *const bad_keys[] = {"7",
					       "7 # " K1,
					       "7 " K1 "0",
					       "7 0" K1,
					       "7 " K1 "00",
					       "7 zz0102030405060708090a0b0c0d0e0f1011121314"
					       "15161718191a1b1c1d1e1f",
					       "7 00 " K1,
					       "7 0x" K1};
	for (unsigned i = 0; i < sizeof(bad_keys) / sizeof(bad_keys[0]); i++)
		assert_refused(bad_keys[i], "line 1: key 7 must be 64 hexadecimal digits");
	assert_refused("7 0000000000000000000000000000000000000000000000000000000000000000",
		       "line 1: key 7 is all zeros");
}
END_TEST

/* A message never shows a piece of the file: it may be a piece of a key. */
START_TEST(messages_keep_secrets)
{
	static const char *const texts[] = {K1 " 1", "1 " K1 " " K2, "1 " K1 K2, "deadbeef"};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_ptr_null(parse(texts[i]));
		ck_assert_ptr_null(strstr(err, "0001"));
		ck_assert_ptr_null(strstr(err, "F0F1"));
		ck_assert_ptr_null(strstr(err, "dead"));
	}
}
END_TEST

START_TEST(every_prefix)
{
	static const char text[] = "# keys\n1 " K1 " active\n2 " K2 "\n";

	for (size_t n = 0; n < sizeof(text); n++) {
		struct keyring *k = parse_n(text, n);

		ck_assert(k || err[0]);
		keyring_free(k);
	}
	ck_assert_ptr_null(parse_n("1 " K1 "\0", 2 + 64 + 1)); /* a zero byte is no blank */
	ck_assert_ptr_null(parse_n("\0\0\0", 3));
}
END_TEST

START_TEST(short_message_buffer)
{
	char tiny[8];

	for (size_t n = 0; n <= sizeof(tiny); n++) {
		memset(tiny, '#', sizeof(tiny));
		ck_assert_ptr_null(keyring_parse("x", 1, tiny, n));
		for (size_t i = n; i < sizeof(tiny); i++)
			ck_assert_int_eq(tiny[i], '#');
		ck_assert(n == 0 || memchr(tiny, '\0', n));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keyring");
	TCase *t = tcase_create("parse");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, one_key);
	tcase_add_test(t, several_keys);
	tcase_add_test(t, most_keys);
	tcase_add_test(t, refused);
	tcase_add_test(t, messages_keep_secrets);
	tcase_add_test(t, every_prefix);
	tcase_add_test(t, short_message_buffer);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
