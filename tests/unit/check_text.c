/* Pieces of text and the classes of bytes. */
#include "l7/text.h"
#include "l7_rig.h"

static struct text copy_of(const char *s)
{
	size_t size = strlen(s);

	return (struct text){(const char *)guard_copy(s, size), size};
}

static void free_text(struct text t)
{
	guard_free((uint8_t *)(uintptr_t)t.p, t.size);
}

/* Against the grammars, written down a second time. */
static void check_classes(uint8_t c)
{
	bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	bool visible = c > 0x20 && c < 0x7f;
	bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

	ck_assert_int_eq(text_is(c, TEXT_TOKEN), alnum || (c != 0 && strchr("!#$%&'*+-.^_`|~", c)));
	ck_assert_int_eq(text_is(c, TEXT_VALUE), visible || c >= 0x80 || c == ' ' || c == '\t');
	ck_assert_int_eq(text_is(c, TEXT_TARGET), visible && !strchr("\"#<>", c));
	ck_assert_int_eq(text_is(c, TEXT_HOST), alnum || (c != 0 && strchr("-._", c)));
	ck_assert_int_eq(text_is(c, TEXT_COOKIE), visible && !strchr("\",;\\", c));
	ck_assert_int_eq(text_is(c, TEXT_DIGIT), c >= '0' && c <= '9');
	ck_assert_int_eq(text_is(c, TEXT_HEX), hex);
	ck_assert_int_eq(text_hex((char)c) >= 0, hex);
	if (hex) {
		const char digit[2] = {(char)c, '\0'};

		ck_assert_int_eq(text_hex((char)c), (int)strtol(digit, NULL, 16));
	}
}

START_TEST(classes)
{
	for (unsigned c = 0; c < 256; c++)
		check_classes((uint8_t)c);
}
END_TEST

START_TEST(compare)
{
	ck_assert(text_eq(TEXT("ab"), TEXT("ab")));
	ck_assert(!text_eq(TEXT("ab"), TEXT("aB")));
	ck_assert(text_eq_nocase(TEXT("ab-Z"), TEXT("aB-z")));
	ck_assert(!text_eq_nocase(TEXT("["), TEXT("{")));
	ck_assert(!text_eq_nocase(TEXT("a"), TEXT("ab")));
	ck_assert(text_starts(TEXT("abc"), TEXT("ab")));
	ck_assert(text_starts(TEXT("abc"), TEXT("")));
	ck_assert(!text_starts(TEXT("a"), TEXT("ab")));
	ck_assert(text_all(TEXT(""), TEXT_DIGIT));
	ck_assert(!text_all(TEXT("12a"), TEXT_DIGIT));
	ck_assert(text_eq((struct text){NULL, 0}, TEXT("")));
}
END_TEST

START_TEST(lists)
{
	static const char *const texts[] = {"", " , ,\t", "a", ",a,, b c\t,,", "a ,b"};
	static const char *const want[] = {"", "", "<a>", "<a><b c>", "<a><b>"};
	char got[64] = "";
	struct text t = copy_of(texts[_i]), rest = t, member;
	size_t n = 0;

	while (text_next(&rest, &member))
		n += (size_t)snprintf(got + n, sizeof(got) - n, "<%.*s>", (int)member.size,
				      member.p);
	ck_assert_str_eq(got, want[_i]);
	free_text(t);
}
END_TEST

START_TEST(decimals)
{
	static const char *const wrong[] = {"",
					    " 1",
					    "1 ",
					    "+1",
					    "-1",
					    "0x1",
					    "1e1",
					    "9223372036854775808",
					    "18446744073709551617"};
	uint64_t n = 5;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct text t = copy_of(wrong[i]);

		ck_assert_msg(!text_decimal(t, &n), "%s", wrong[i]);
		ck_assert_uint_eq(n, 5);
		free_text(t);
	}
	ck_assert(text_decimal(TEXT("9223372036854775807"), &n));
	ck_assert_uint_eq(n, INT64_MAX);
	ck_assert(text_decimal(TEXT("000"), &n));
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(parts)
{
	struct text t = copy_of(" \tab c \t"), trimmed = text_trim(t), spaces = copy_of(" \t ");

	RIG_TEXT(trimmed, "ab c");
	RIG_TEXT(text_first(trimmed, 99), "ab c");
	RIG_TEXT(text_after(trimmed, 3), "c");
	RIG_TEXT(text_after(trimmed, 99), "");
	ck_assert_uint_eq(text_find(trimmed, ' '), 2);
	ck_assert_uint_eq(text_find(trimmed, 'x'), 4);
	RIG_TEXT(text_trim(spaces), "");
	free_text(t);
	free_text(spaces);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *t = tcase_create("text");

	tcase_add_test(t, classes);
	tcase_add_test(t, compare);
	tcase_add_loop_test(t, lists, 0, 5);
	tcase_add_test(t, decimals);
	tcase_add_test(t, parts);
	suite_add_tcase(suite, t);
	return rig_run(suite);
}
