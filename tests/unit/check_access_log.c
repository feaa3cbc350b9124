/* Lines of the access log: their form, and that no client can write one of its own. */
/* proves: HD-8 */
#include <jansson.h>

#include "l7/access_log.h"
#include "l7_rig.h"

static char line[ACCESS_LOG_LINE_MAX + 1];

static const char *write_line(enum access_format format, const struct access_record *r)
{
	char *out = (char *)guard_copy(NULL, ACCESS_LOG_LINE_MAX);
	size_t n = access_log_write(out, format, r);

	ck_assert_uint_le(n, ACCESS_LOG_LINE_MAX);
	memcpy(line, out, n);
	line[n] = '\0';
	guard_free((uint8_t *)out, ACCESS_LOG_LINE_MAX);
	return line;
}

static struct access_record sample(void)
{
	struct access_record r = {
		.time_ms = 971211336123,
		.method = TEXT("GET"),
		.target = TEXT("/apache_pb.gif?a=b"),
		.host = TEXT("www.example.org"),
		.referer = TEXT("http://www.example.org/start.html"),
		.user_agent = TEXT("Mozilla/4.08 [en] (Win98; I ;Nav)"),
		.minor = 1,
		.status = 200,
		.received = 12,
		.sent = 2326,
		.service = TEXT("web"),
		.server = TEXT("s1"),
		.cookie = "valid",
		.queue_us = 1,
		.connect_us = 2,
		.first_byte_us = 3,
		.total_us = 4,
	};

	r.client.port = 4711;
	ck_assert_int_eq(ipaddr_parse(&r.client.addr, "192.0.2.1"), 0);
	return r;
}

START_TEST(combined)
{
	struct access_record r = sample();

	ck_assert_str_eq(write_line(ACCESS_COMBINED, &r),
			 "192.0.2.1 - - [10/Oct/2000:20:55:36 +0000] \"GET /apache_pb.gif?a=b "
			 "HTTP/1.1\" 200 2326 \"http://www.example.org/start.html\" "
			 "\"Mozilla/4.08 [en] (Win98; I ;Nav)\"\n");
	r = (struct access_record){.status = 400};
	ipaddr_parse(&r.client.addr, "2001:db8::1");
	ck_assert_str_eq(write_line(ACCESS_COMBINED, &r),
			 "2001:db8::1 - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\"\n");
}
END_TEST

START_TEST(json)
{
	struct access_record r = sample();

	ck_assert_str_eq(
		write_line(ACCESS_JSON, &r),
		"{\"time\":\"2000-10-10T20:55:36.123Z\",\"client\":\"192.0.2.1\","
		"\"client_port\":4711,\"service\":\"web\",\"server\":\"s1\",\"method\":\"GET\","
		"\"target\":\"/apache_pb.gif?a=b\",\"version\":\"1.1\","
		"\"host\":\"www.example.org\",\"status\":200,\"received\":12,\"sent\":2326,"
		"\"referer\":\"http://www.example.org/start.html\","
		"\"user_agent\":\"Mozilla/4.08 [en] (Win98; I ;Nav)\",\"cookie\":\"valid\","
		"\"queue_us\":1,\"connect_us\":2,\"first_byte_us\":3,\"total_us\":4}\n");
	r.connect_us = ACCESS_LOG_UNKNOWN;
	r.cookie = NULL;
	r.reason = "bare-lf";
	write_line(ACCESS_JSON, &r);
	ck_assert_ptr_null(strstr(line, "connect_us"));
	ck_assert_ptr_null(strstr(line, "cookie"));
	ck_assert_ptr_nonnull(strstr(line, ",\"refused\":\"bare-lf\","));
}
END_TEST

static void check_line(enum access_format format)
{
	size_t n = strlen(line), quotes = 0;
	bool clean = n > 0;

	for (size_t i = 0; i < n; i++) {
		clean &= line[i] == '\n' ? i == n - 1 : line[i] >= 0x20 && line[i] < 0x7f;
		quotes += line[i] == '"';
	}
	ck_assert(clean);
	ck_assert_int_eq(line[n - 1], '\n');
	if (format == ACCESS_COMBINED) {
		ck_assert_uint_eq(quotes, 6);
	} else {
		json_error_t error;
		json_t *object = json_loads(line, 0, &error);

		ck_assert_msg(object != NULL, "%s: %s", error.text, line);
		ck_assert_uint_eq(json_object_size(object), 19);
		json_decref(object);
	}
}

/* Every byte there is, in every text, with as much of it as a client likes. */
START_TEST(hostile_bytes)
{
	static char text[20000];
	struct text all[] = {{text, 1}, {text, 3}, {text, 2047}, {text, sizeof(text)}};

	for (size_t i = 0; i < 4 * 256; i++) {
		struct access_record r = sample();

		memset(text, (int)(i / 4), sizeof(text));
		text[1] = '"';
		text[2] = '\\';

		r.method = r.target = r.host = r.referer = r.user_agent = all[i % 4];
		r.service = r.server = all[i % 4];
		r.received = r.sent = INT64_MAX;
		r.time_ms = UINT64_MAX;
		write_line(ACCESS_COMBINED, &r);
		check_line(ACCESS_COMBINED);
		write_line(ACCESS_JSON, &r);
		check_line(ACCESS_JSON);
	}
}
END_TEST

START_TEST(escapes)
{
	struct access_record r = sample();

	r.target = TEXT("/\"\\\n\x01\x7f\xc3\xa9");
	write_line(ACCESS_COMBINED, &r);
	ck_assert_ptr_nonnull(strstr(line, "\"GET /\\x22\\x5c\\x0a\\x01\\x7f\\xc3\\xa9 HTTP"));
	write_line(ACCESS_JSON, &r);
	ck_assert_ptr_nonnull(
		strstr(line, "\"/\\\\x22\\\\x5c\\\\x0a\\\\x01\\\\x7f\\\\xc3\\\\xa9\""));
}
END_TEST

struct moment {
	uint64_t time_s;
	const char *text;
};

static const struct moment moments[] = {
	{0, "01/Jan/1970:00:00:00"},	       {951782399, "28/Feb/2000:23:59:59"},
	{951782400, "29/Feb/2000:00:00:00"},   {978307199, "31/Dec/2000:23:59:59"},
	{1077926400, "28/Feb/2004:00:00:00"},  {1709164800, "29/Feb/2024:00:00:00"},
	{1709251200, "01/Mar/2024:00:00:00"},  {2147483648, "19/Jan/2038:03:14:08"},
	{4107542400, "01/Mar/2100:00:00:00"},  {4107542399, "28/Feb/2100:23:59:59"},
	{13574563200, "29/Feb/2400:00:00:00"},
};

#define N_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

START_TEST(calendar)
{
	struct access_record r = sample();

	r.time_ms = moments[_i].time_s * 1000 + 999;
	write_line(ACCESS_COMBINED, &r);
	ck_assert_msg(strncmp(line + strlen("192.0.2.1 - - ["), moments[_i].text, 20) == 0,
		      "%s: %s", moments[_i].text, line);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("access_log");
	TCase *t = tcase_create("access_log");

	tcase_add_test(t, combined);
	tcase_add_test(t, json);
	tcase_add_test(t, hostile_bytes);
	tcase_add_test(t, escapes);
	tcase_add_loop_test(t, calendar, 0, N_OF(moments));
	suite_add_tcase(suite, t);
	return rig_run(suite);
}
