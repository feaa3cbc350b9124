/*
 * fwclusterctl: grammar, filters and renderers as pure functions.
 */
#define _GNU_SOURCE 1

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/filter.h"
#include "ctl/grammar.h"
#include "ctl/key.h"
#include "ctl/render.h"
#include "ctl/text.h"

static char *text;
static size_t text_size;

static FILE *begin(void)
{
	free(text);
	return open_memstream(&text, &text_size);
}

static const char *end(FILE *f)
{
	fclose(f);
	return text;
}

static void teardown(void)
{
	free(text);
	text = NULL;
}

static const struct {
	uint64_t n;
	const char *text;
} counts[] = {
	{0, "0"},
	{99999, "99999"},
	{100000, "100k"},
	{123456, "123k"},
	{999499, "999k"},
	{999500, "1.00M"},
	{9912345678, "9.91G"},
	{99951000, "100M"},
	{34567890, "34.6M"},
	{UINT64_MAX, "18.4E"},
};

START_TEST(counts_are_short)
{
	char buf[TEXT_ROOM];

	ck_assert_str_eq(text_count(buf, counts[_i].n), counts[_i].text);
}
END_TEST

static const struct {
	double s;
	const char *text;
} durations[] = {
	{-1, "0.0s"},	 {0, "0.0s"},	      {1.26, "1.2s"},	  {9.99, "9.9s"},
	{10, "10s"},	 {59.9, "59s"},	      {60, "1m00s"},	  {3599, "59m59s"},
	{3600, "1h00m"}, {86399.9, "23h59m"}, {90000.0, "1d01h"}, {1e300, "11574074d01h"},
};

START_TEST(durations_are_short)
{
	char buf[TEXT_ROOM];

	ck_assert_str_eq(text_duration(buf, durations[_i].s), durations[_i].text);
}
END_TEST

START_TEST(terminal_is_never_commanded)
{
	char buf[TEXT_ROOM], longer[TEXT_ROOM * 2];

	ck_assert_str_eq(text_safe(buf, "a\033[2Jb\r\n\x7f\xc2\x9b-\xc3\xa4"),
			 "a?[2Jb?\x3f?\x3f-\xc3\xa4");
	ck_assert_uint_eq(text_width("-\xc3\xa4"), 2);
	/* Cut between characters, not inside one. */
	memset(longer, 'x', sizeof(longer));
	longer[TEXT_ROOM - 2] = '\xc3';
	longer[TEXT_ROOM - 1] = '\xa4';
	longer[sizeof(longer) - 1] = '\0';
	text_safe(buf, longer);
	ck_assert_uint_eq(strlen(buf), TEXT_ROOM - 2);
}
END_TEST

static const char flow_a[] =
	"{\"proto\":\"tcp\",\"src\":\"10.1.0.9\",\"sport\":1234,\"dst\":\"192.0.2.80\",\"dport\":"
	"80,"
	"\"state\":\"established\",\"in\":\"inside\",\"out\":\"outside\",\"rule\":\"web\","
	"\"age_s\":1.2,\"expires_s\":7199.0,\"packets\":[12,10],\"bytes\":[123456,34567890],"
	"\"home\":\"fw1\",\"askers\":[\"fw2\",\"fw3\"],\"backup\":\"fw3\",\"by\":\"kernel\"}";
static const char flow_b[] =
	"{\"proto\":\"udp\",\"src\":\"2001:db8::1\",\"sport\":53,\"dst\":\"2001:db8::2\","
	"\"dport\":5353,\"state\":\"stream\",\"in\":\"inside\",\"out\":\"outside\",\"rule\":\"a "
	"b\","
	"\"age_s\":61.2,\"expires_s\":100,\"packets\":[1,0],\"bytes\":[60,0],\"home\":\"fw1\","
	"\"askers\":[],\"backup\":null,\"by\":\"daemon\"}";
static const char event_a[] =
	"{\"schema\":1,\"event\":\"drop\",\"time\":\"2026-11-22T10:00:00.123456Z\",\"node\":"
	"\"fw2\","
	"\"flow\":{\"proto\":\"tcp\",\"src\":\"10.1.0.9\",\"sport\":1234,\"dst\":\"192.0.2.80\","
	"\"dport\":80},\"member\":\"fw1\",\"port\":\"outside\",\"reason\":\"policy\","
	"\"query\":\"9f00aa1122334455\",\"detail\":\"no answer\"}";
static const char event_b[] =
	"{\"schema\":1,\"event\":\"member-up\",\"time\":\"2026-11-22T10:00:01.000001Z\","
	"\"node\":\"fw2\",\"member\":\"fw1\"}";

static const struct {
	const char *words[5];
	bool a, b, event, other;
} filters[] = {
	{{NULL}, true, true, true, true},
	{{"src", "10.0.0.0/8"}, true, false, true, false},
	{{"src", "192.0.2.80"}, false, false, false, false},
	{{"dst", "192.0.2.0/24"}, true, false, true, false},
	{{"host", "192.0.2.80"}, true, false, true, false},
	{{"host", "10.1.0.9", "host", "192.0.2.80"}, true, false, true, false},
	{{"host", "2001:db8::/32"}, false, true, false, false},
	{{"host", "::/0"}, false, true, false, false},
	{{"sport", "1234"}, true, false, true, false},
	{{"dport", "1234"}, false, false, false, false},
	{{"dport", "5353"}, false, true, false, false},
	{{"port", "80"}, true, false, true, false},
	{{"port", "53"}, false, true, false, false},
	{{"proto", "TCP"}, true, false, true, false},
	{{"state", "stream"}, false, true, false, false},
	{{"home", "fw1"}, true, true, true, true},
	{{"home", "fw2"}, false, false, false, false},
	{{"reason", "policy"}, false, false, true, false},
	{{"event", "member-up"}, false, false, false, true},
	{{"proto", "tcp", "port", "53"}, false, false, false, false},
};

static enum filter_kind kind_of(const char *word)
{
	unsigned k = 0;

	while (k < FILTER_COUNT && strcmp(filter_word((enum filter_kind)k), word) != 0)
		k++;
	ck_assert_uint_lt(k, FILTER_COUNT);
	return (enum filter_kind)k;
}

static bool matches(const struct filter *f, const char *record)
{
	json_t *r = json_loads(record, 0, NULL);
	bool rc;

	ck_assert_ptr_nonnull(r);
	rc = filter_match(f, r);
	json_decref(r);
	return rc;
}

START_TEST(filter_terms)
{
	struct filter f = {0};

	for (unsigned i = 0; filters[_i].words[i]; i += 2)
		ck_assert_int_eq(
			filter_add(&f, kind_of(filters[_i].words[i]), filters[_i].words[i + 1]), 0);
	ck_assert_int_eq(matches(&f, flow_a), filters[_i].a);
	ck_assert_int_eq(matches(&f, flow_b), filters[_i].b);
	ck_assert_int_eq(matches(&f, event_a), filters[_i].event);
	ck_assert_int_eq(matches(&f, event_b), filters[_i].other);
}
END_TEST

START_TEST(filter_refuses_nonsense)
{
	struct filter f = {0};

	ck_assert_int_eq(filter_add(&f, FILTER_SRC, "10.0.0.0/33"), -EINVAL);
	ck_assert_int_eq(filter_add(&f, FILTER_HOST, "fw1"), -EINVAL);
	ck_assert_int_eq(filter_add(&f, FILTER_PORT, "65536"), -EINVAL);
	ck_assert_int_eq(filter_add(&f, FILTER_PORT, "-1"), -EINVAL);
	ck_assert_int_eq(filter_add(&f, FILTER_SPORT, ""), -EINVAL);
	ck_assert_int_eq(filter_add(&f, FILTER_DPORT, "080808"), -EINVAL);
	ck_assert_int_eq(filter_add(&f, FILTER_REASON, "weather"), -EINVAL);
	ck_assert_int_eq(filter_add(&f, FILTER_STATE, ""), -EINVAL);
	ck_assert_uint_eq(f.n, 0);
	for (unsigned i = 0; i < FILTER_TERMS; i++)
		ck_assert_int_eq(filter_add(&f, FILTER_PORT, "65535"), 0);
	ck_assert_int_eq(filter_add(&f, FILTER_PORT, "1"), -E2BIG);
}
END_TEST

static char err[512];

/* Splits `line` at blanks; the words live until the next call. */
static int parse(struct command *c, const char *line)
{
	static char buf[256];
	static char *words[24];
	int n = 0;

	snprintf(buf, sizeof(buf), "%s", line);
	for (char *w = strtok(buf, " "); w; w = strtok(NULL, " "))
		words[n++] = w;
	return grammar_parse(c, n, words, err, sizeof(err));
}

START_TEST(grammar_takes)
{
	struct command c;

	ck_assert_int_eq(parse(&c, "show flows"), 0);
	ck_assert_int_eq(c.verb, VERB_SHOW);
	ck_assert_str_eq(c.what, "flows");
	ck_assert_uint_eq(c.filter.n, 0);
	ck_assert_int_eq(parse(&c, "sh fl dp 443 src 10.0.0.0/8 proto tcp"), 0);
	ck_assert_str_eq(c.what, "flows");
	ck_assert_uint_eq(c.filter.n, 3);
	ck_assert_int_eq(c.filter.terms[0].kind, FILTER_DPORT);
	ck_assert_uint_eq(c.filter.terms[0].port, 443);
	ck_assert_int_eq(parse(&c, "status"), 0);
	ck_assert_int_eq(c.verb, VERB_SHOW);
	ck_assert_str_eq(c.what, "status");
	ck_assert_int_eq(parse(&c, "mon"), 0);
	ck_assert_int_eq(c.verb, VERB_MONITOR);
	ck_assert_uint_eq(c.n_groups, 7);
	ck_assert_uint_eq(c.count, 0);
	ck_assert_int_eq(parse(&c, "monitor drops flows drops reason policy count 3"), 0);
	ck_assert_uint_eq(c.n_groups, 2);
	ck_assert_str_eq(c.groups[0], "drops");
	ck_assert_uint_eq(c.count, 3);
	ck_assert_uint_eq(c.filter.n, 1);
	ck_assert_int_eq(parse(&c, "monitor port 80 ports"), 0); /* whole word wins */
	ck_assert_uint_eq(c.n_groups, 1);
	ck_assert_int_eq(c.filter.terms[0].kind, FILTER_PORT);
	ck_assert_int_eq(parse(&c, "flush neg"), 0);
	ck_assert_str_eq(c.what, "negative");
	ck_assert_int_eq(parse(&c, "reload"), 0);
	ck_assert_int_eq(c.verb, VERB_RELOAD);
	ck_assert_int_eq(parse(&c, "log d"), 0);
	ck_assert_str_eq(c.level, "debug");
	ck_assert_int_eq(parse(&c, "key generate"), 0);
	ck_assert_uint_eq(c.key_id, 1);
	ck_assert_int_eq(parse(&c, "key gen 255"), 0);
	ck_assert_uint_eq(c.key_id, 255);
	ck_assert_int_eq(parse(&c, "help"), 0);
	ck_assert_int_eq(c.topic, VERB_COUNT);
	ck_assert_int_eq(parse(&c, "help mon"), 0);
	ck_assert_int_eq(c.topic, VERB_MONITOR);
}
END_TEST

static const struct {
	const char *line, *error;
} mistakes[] = {
	{"", "a verb is missing; one of: show, status, monitor, flush, weight, drain, undrain, "
	     "takeover, reload, log, key, help"},
	{"dance",
	 "\"dance\" is not known here; one of show, status, monitor, flush, weight, drain, "
	 "undrain, takeover, reload, log, key, help"},
	{"s flows", "\"s\" could be show, status"},
	{"show f", "\"f\" could be flows, forwards"},
	{"show", "show what? one of: status, members, flows, forwards, queries, drops, counters, "
		 "ports, rules, neighbours, routes, dispatchers, services, targets, cookies, "
		 "relays, matching, config, "
		 "version"},
	{"show flows src", "src what? it takes PREFIX"},
	{"show flows src fw1", "src takes PREFIX, not \"fw1\""},
	{"show flows s 1", "\"s\" could be src, sport, state, service"},
	{"show flows reason policy", "\"reason\" is not known here; one of src, dst, host, sport, "
				     "dport, port, proto, state, home, path, service, target"},
	{"show rules web", "nothing may follow, but found \"web\""},
	{"status x", "nothing may follow, but found \"x\""},
	{"monitor count 0", "count takes a number above 0 \"0\""},
	{"monitor count", "count takes a number above 0"},
	{"monitor count 3x", "count takes a number above 0 \"3x\""},
	{"flush", "flush what? one of: flows, forwards, negative"},
	{"reload now", "nothing may follow, but found \"now\""},
	{"log", "log takes a level, one of: error, warning, notice, info, debug"},
	{"log loud", "\"loud\" is not known here; one of error, warning, notice, info, debug"},
	{"key", "key what? one of: generate"},
	{"key generate 256", "a key id is a number from 1 to 255 \"256\""},
	{"key generate 0", "a key id is a number from 1 to 255 \"0\""},
	{"key generate 1 2", "nothing may follow, but found \"2\""},
};

START_TEST(grammar_refuses)
{
	struct command c;

	ck_assert_int_eq(parse(&c, mistakes[_i].line), -EINVAL);
	ck_assert_str_eq(err, mistakes[_i].error);
}
END_TEST

static const struct {
	const char *words[6];
	const char *found;
} completions[] = {
	{{NULL},
	 "show\nstatus\nmonitor\nflush\nweight\ndrain\nundrain\ntakeover\nreload\nlog\nkey\nhelp"
	 "\n"},
	{{"s"}, "show\nstatus\n"},
	{{"show", "f"}, "flows\nforwards\n"},
	{{"sh", "fl", "s"}, "src\nsport\nstate\nservice\n"},
	{{"show", "flows", "proto", "i"}, "icmp\nicmp6\n"},
	{{"show", "flows", "proto", "tcp", "h"}, "host\nhome\n"},
	{{"show", "flows", "src", ""}, ""},
	{{"show", "rules", ""}, ""},
	{{"show", "drops", "reason", "tcp-"}, "tcp-flags\ntcp-state\ntcp-window\ntcp-reset\n"},
	{{"monitor", "p"}, "ports\nport\nproto\npath\n"},
	{{"monitor", "drops", "co"}, "count\n"},
	{{"monitor", "count", ""}, ""},
	{{"flush", ""}, "flows\nforwards\nnegative\n"},
	{{"flush", "flows", ""}, ""},
	{{"log", "e"}, "error\n"},
	{{"reload", ""}, ""},
	{{"help", "r"}, "reload\n"},
	{{"nonsense", ""}, ""},
};

START_TEST(grammar_completes)
{
	int n = 0;
	FILE *f = begin();

	while (n < 6 && completions[_i].words[n])
		n++;
	grammar_complete(f, n, (char *const *)completions[_i].words);
	ck_assert_str_eq(end(f), completions[_i].found);
}
END_TEST

START_TEST(every_verb_has_help)
{
	for (unsigned v = 0; v <= VERB_COUNT; v++) {
		FILE *f = begin();
		grammar_help(f, (enum verb)v);
		ck_assert_uint_gt(strlen(end(f)), 20);
		ck_assert_ptr_null(strstr(text, "(null)"));
	}
}
END_TEST

/* One page per string of `pages`, the records of `what`. */
static bool render(const char *what, const struct render_style *style, const char *const *pages)
{
	FILE *f = begin();
	struct render *r = render_new(f, what, style);
	bool ok;

	for (; *pages; pages++) {
		char *page;
		json_t *answer;

		ck_assert_int_gt(asprintf(&page, "{\"schema\":1,\"node\":\"fw1\",\"%s\":[%s]}",
					  what, *pages),
				 0);
		answer = json_loads(page, 0, NULL);
		ck_assert_msg(answer != NULL, "%s", page);
		ck_assert_int_eq(render_page(r, answer), 0);
		json_decref(answer);
		free(page);
	}
	ok = render_end(r);
	render_free(r);
	end(f);
	return ok;
}

static const struct render_style plain = {.format = RENDER_TABLE};

START_TEST(table_of_flows)
{
	const char *const pages[] = {flow_a, flow_b, NULL};

	ck_assert(render("flows", &plain, pages));
	ck_assert_str_eq(
		text,
		"PROTO  SOURCE         DESTINATION    STATE        IN      OUT      RULE   AGE  "
		"EXPIRES  PACKETS       BYTES  HOME  ASKERS   BACKUP  BY\n"
		"tcp    10.1.0.9:1234  192.0.2.80:80  established  inside  outside  web   1.2s  "
		"  1h59m    12/10  123k/34.6M  fw1   fw2,fw3  fw3     kernel\n"
		"udp    [2001:db8::1]:53  [2001:db8::2]:5353  stream       inside  outside  a b   "
		"1m01s    1m40s      1/0        60/0  fw1   -        -       daemon\n");
}
END_TEST

static const struct {
	const char *what, *record, *table;
} tables[] = {
	{"members",
	 "{\"name\":\"fw1\",\"id\":1,\"self\":true,\"state\":\"self\",\"address\":null,"
	 "\"since_s\":11523,\"heard_ms\":null,\"flows\":1234,\"path\":\"multicast\",\"config\":"
	 "\"same\","
	 "\"segments\":[{\"segment\":\"inside\",\"mac\":\"02:00:00:00:00:01\",\"port\":\"inside\"}"
	 "]},{\"name\":\"fw2\",\"id\":2,\"self\":false,\"state\":\"up\","
	 "\"address\":\"10.9.0.2:7067\",\"since_s\":300.5,\"heard_ms\":120,\"flows\":7,"
	 "\"path\":\"multicast\",\"config\":\"differs\",\"segments\":[{\"segment\":"
	 "\"cbf29ce484222325\","
	 "\"mac\":\"02:00:00:00:00:22\",\"port\":null}]}",
	 "NAME  ID  STATE  ADDRESS        SINCE  HEARD  FLOWS  PATH       CONFIG   SEGMENTS\n"
	 "fw1    1  self   -              3h12m      -   1234  multicast  same     "
	 "inside=02:00:00:00:00:01\n"
	 "fw2    2  up     10.9.0.2:7067  5m00s  120ms      7  multicast  differs  "
	 "(cbf29ce484222325=02:00:00:00:00:22)\n"},
	{"forwards",
	 "{\"proto\":\"tcp\",\"src\":\"192.0.2.80\",\"sport\":80,\"dst\":\"10.1.0.9\","
	 "\"dport\":1234,\"home\":\"fw2\",\"via\":\"l2\",\"age_s\":3.1,\"expires_s\":29.9,"
	 "\"packets\":44}",
	 "PROTO  SOURCE         DESTINATION    HOME  VIA   AGE  EXPIRES  PACKETS\n"
	 "tcp    192.0.2.80:80  10.1.0.9:1234  fw2   l2   3.1s      29s       44\n"},
	{"queries",
	 "{\"id\":\"9f00aa1122334455\",\"proto\":\"icmp\",\"src\":\"192.0.2.80\",\"sport\":7,"
	 "\"dst\":\"10.1.0.9\",\"dport\":7,\"age_ms\":12,\"tries\":1,\"held\":2,"
	 "\"mode\":\"carry\"}",
	 "QUERY             PROTO  SOURCE        DESTINATION  MODE   AGE-MS  TRIES  HELD\n"
	 "9f00aa1122334455  icmp   192.0.2.80:7  10.1.0.9:7   carry      12      1     2\n"},
	{"counters", "{\"name\":\"frames-in\",\"value\":123456,\"text\":\"frames received\"}",
	 "COUNTER     VALUE  MEANING\nframes-in  123456  frames received\n"},
	{"ports",
	 "{\"name\":\"inside\",\"device\":\"eth0\",\"backend\":\"packet\",\"state\":\"up\","
	 "\"mac\":\"02:00:00:00:00:01\",\"mtu\":1500,\"segment\":\"lan\",\"rx_frames\":1234567,"
	 "\"rx_bytes\":9912345678,\"tx_frames\":1,\"tx_bytes\":60,\"rx_dropped\":1,"
	 "\"rx_truncated\":2,\"tx_full\":4,\"tx_size\":5,\"tx_errors\":6,"
	 "\"addresses\":[\"10.1.0.1/24\",\"2001:db8::1/64\"]}",
	 "NAME    DEVICE  STATE  BACKEND  MAC                 MTU  SEGMENT  RX-FRAMES  RX-BYTES"
	 "  RX-LOST  TX-FRAMES  TX-BYTES  TX-LOST  ADDRESSES\n"
	 "inside  eth0    up     packet   02:00:00:00:00:01  1500  lan          1.23M     9.91G"
	 "        3          1        60       15  10.1.0.1/24,2001:db8::1/64\n"},
	{"rules", "{\"rule\":\"web\",\"action\":\"pass\",\"line\":12,\"packets\":5,\"bytes\":300}",
	 "RULE  ACTION  LINE  PACKETS  BYTES\nweb   pass      12        5    300\n"},
	{"neighbours",
	 "{\"address\":\"10.1.0.9\",\"port\":\"inside\",\"mac\":null,\"state\":\"incomplete\","
	 "\"age_s\":0.2,\"waiting\":3}",
	 "ADDRESS   PORT    MAC  STATE        AGE  WAITING\n"
	 "10.1.0.9  inside  -    incomplete  0.2s        3\n"},
	{"routes",
	 "{\"prefix\":\"10.0.0.0/8\",\"via\":null,\"port\":\"inside\",\"from\":\"config\","
	 "\"metric\":0}",
	 "PREFIX      VIA  PORT    FROM    METRIC\n10.0.0.0/8  -    inside  config       0\n"},
	{"config", "{\"key\":\"cluster.query\",\"value\":\"carry\"}",
	 "SETTING        VALUE\ncluster.query  carry\n"},
	{"version", "{\"version\":\"1.0\",\"libraries\":{\"libsodium\":\"1.0.18\"}}",
	 "fwclusterd    1.0\nlibsodium     1.0.18\n"},
	/* What the daemon does not send is a dash, never a crash. */
	{"neighbours", "{}",
	 "ADDRESS  PORT  MAC  STATE  AGE  WAITING\n-        -     -    -        -  "
	 "      0\n"},
	{"flows", "{\"packets\":[1],\"src\":7}",
	 "PROTO  SOURCE  DESTINATION  STATE  IN  OUT  RULE  AGE  EXPIRES  PACKETS  BYTES  HOME  "
	 "ASKERS  BACKUP  BY\n"
	 "-      -       -            -      -   -    -       -        -        -      -  -     "
	 "-       -       -\n"},
};

START_TEST(tables_look_like_this)
{
	const char *const pages[] = {tables[_i].record, NULL};

	ck_assert(render(tables[_i].what, &plain, pages));
	ck_assert_str_eq(text, tables[_i].table);
}
END_TEST

static const char status[] =
	"{\"node\":\"fw1\",\"id\":1,\"version\":\"1.0\",\"uptime_s\":11523.4,\"cluster\":%s,"
	"\"members_up\":2,\"members\":3,\"flows\":1234,\"max_flows\":262144,\"forwards\":12,"
	"\"queries_open\":0,\"held\":0,\"frames_in\":123456,\"frames_out\":123400,\"drops\":56,"
	"\"health\":\"%s\",\"problems\":[%s]}";

START_TEST(status_says_how_it_is)
{
	char record[600];
	const char *const pages[] = {record, NULL};

	snprintf(record, sizeof(record), status, "true", "ok", "");
	ck_assert(render("status", &plain, pages));
	ck_assert_str_eq(text, "node      fw1 (id 1), version 1.0, up 3h12m\n"
			       "health    ok\n"
			       "cluster   2 of 3 members up\n"
			       "flows     1234 of 262144 (0.5%)\n"
			       "forwards  12\n"
			       "queries   0 open, 0 packets held\n"
			       "frames    123k in, 123k out, 56 dropped\n");
	*strrchr(record, '}') = '\0';
	strcat(record, ",\"drained_s\":90.5}");
	ck_assert(render("status", &plain, pages));
	ck_assert_ptr_nonnull(strstr(text, "health    ok\ndrained   for 1m30s: "));
	snprintf(record, sizeof(record), status, "false", "degraded", "\"port down\",\"late\"");
	ck_assert(!render("status", &plain, pages));
	ck_assert_ptr_nonnull(strstr(text, "health    degraded\nproblem   port down\n"
					   "problem   late\ncluster   none"));
	const struct render_style json = {.format = RENDER_JSON};
	ck_assert(!render("status", &json, pages)); /* in every format */
}
END_TEST

START_TEST(drops_hide_what_never_happened)
{
	const char *const pages[] = {"{\"reason\":\"arp\",\"class\":\"info\",\"packets\":0,"
				     "\"text\":\"x\"},{\"reason\":\"land\",\"class\":\"attack\","
				     "\"packets\":123456789,\"text\":\"y\"}",
				     NULL};
	const struct render_style all = {.format = RENDER_TABLE, .all = true};
	const struct render_style json = {.format = RENDER_JSON};

	ck_assert(render("drops", &plain, pages));
	ck_assert_str_eq(text, "REASON  CLASS     PACKETS  MEANING\n"
			       "land    attack  123456789  y\n");
	ck_assert(render("drops", &all, pages));
	ck_assert_str_eq(text, "REASON  CLASS     PACKETS  MEANING\n"
			       "arp     info            0  x\n"
			       "land    attack  123456789  y\n");
	ck_assert(render("drops", &json, pages));
	ck_assert_ptr_nonnull(strstr(text, "\"arp\""));
}
END_TEST

START_TEST(pages_make_one_json_object)
{
	const struct render_style json = {.format = RENDER_JSON};
	const char *const pages[] = {"{\"a\":61.2},{\"b\":2}", "", "{\"c\":[]}", NULL};
	const char *const none[] = {"", NULL};

	ck_assert(render("flows", &json, pages));
	ck_assert_str_eq(text, "{\"schema\":1,\"node\":\"fw1\",\"flows\":[{\"a\":61.2},{\"b\":2},"
			       "{\"c\":[]}]}\n");
	ck_assert(render("flows", &json, none));
	ck_assert_str_eq(text, "{\"schema\":1,\"node\":\"fw1\",\"flows\":[]}\n");
}
END_TEST

START_TEST(lines_are_words)
{
	const struct render_style lines = {.format = RENDER_LINES};
	const char *const pages[] = {"{\"a\":\"x y\",\"b\":{\"c\":1,\"d\":null},\"e\":[1,\"z\"],"
				     "\"f\":\"\",\"g\":\"q\\\"\\\\\",\"h\":true,\"i\":0.25}",
				     "{\"j\":\"\\u001b[2J\"}", NULL};

	ck_assert(render("flows", &lines, pages));
	ck_assert_str_eq(text, "a=\"x y\" b.c=1 b.d=- e=1,z f=\"\" g=\"q\\\"\\\\\" h=true i=0.25\n"
			       "j=?[2J\n");
}
END_TEST

START_TEST(filters_hold_in_every_format)
{
	struct filter f = {0};
	struct render_style style = {.filter = &f};
	const char *const pages[] = {flow_a, flow_b, NULL};

	ck_assert_int_eq(filter_add(&f, FILTER_PROTO, "udp"), 0);
	for (style.format = RENDER_TABLE; style.format <= RENDER_LINES; style.format++) {
		ck_assert(render("flows", &style, pages));
		ck_assert_ptr_nonnull(strstr(text, "2001:db8::1"));
		ck_assert_ptr_null(strstr(text, "10.1.0.9"));
	}
}
END_TEST

START_TEST(answer_without_its_array_is_refused)
{
	FILE *f = begin();
	struct render *r = render_new(f, "flows", &plain);
	json_t *answer = json_pack("{s:i, s:{}}", "schema", 1, "flows");

	ck_assert_int_eq(render_page(r, answer), -EPROTO);
	json_object_del(answer, "flows");
	ck_assert_int_eq(render_page(r, answer), -EPROTO);
	json_decref(answer);
	render_free(r);
	end(f);
}
END_TEST

static const char *event(const char *line, enum render_format format, bool colour)
{
	const struct render_style style = {.format = format, .colour = colour};
	json_t *e = json_loads(line, 0, NULL);
	FILE *f = begin();

	ck_assert_ptr_nonnull(e);
	render_event(f, e, &style);
	json_decref(e);
	return end(f);
}

START_TEST(events_are_one_line)
{
	ck_assert_str_eq(event(event_a, RENDER_TABLE, false),
			 "10:00:00.123456 fw2 drop             tcp 10.1.0.9:1234 > 192.0.2.80:80"
			 "  member fw1  port outside  reason policy  query 9f00aa1122334455"
			 "  no answer\n");
	ck_assert_str_eq(event(event_b, RENDER_TABLE, false),
			 "10:00:01.000001 fw2 member-up         member fw1\n");
	ck_assert_str_eq(event(event_b, RENDER_TABLE, true),
			 "10:00:01.000001 fw2 \033[32mmember-up       \033[0m  member fw1\n");
	ck_assert_str_eq(event(event_b, RENDER_LINES, false),
			 "schema=1 event=member-up time=2026-11-22T10:00:01.000001Z node=fw2 "
			 "member=fw1\n");
	ck_assert_str_eq(event("{\"schema\":1,\"event\":\"lost\",\"lost\":4}", RENDER_TABLE, false),
			 "4 events lost, they came faster than they were read\n");
	ck_assert_str_eq(event("{\"schema\":1,\"event\":\"lost\",\"lost\":4}", RENDER_JSON, false),
			 "{\"schema\":1,\"event\":\"lost\",\"lost\":4}\n");
	ck_assert_str_eq(event("{}", RENDER_TABLE, false), "--:--:--.------ - -               \n");
}
END_TEST

START_TEST(colour_does_not_disturb_columns)
{
	const struct render_style colour = {.format = RENDER_TABLE, .colour = true};
	const char *const pages[] = {"{\"name\":\"a\",\"state\":\"down\",\"id\":1}", NULL};
	char bare[1024];
	size_t n = 0;

	ck_assert(render("members", &colour, pages));
	ck_assert_ptr_nonnull(strstr(text, "\033[31mdown\033[0m"));
	for (const char *p = text; *p; p++) {
		if (*p == '\033')
			p = strchr(p, 'm');
		else
			bare[n++] = *p;
	}
	bare[n] = '\0';
	ck_assert(render("members", &plain, pages));
	ck_assert_str_eq(bare, text);
}
END_TEST

START_TEST(keys_are_random_lines)
{
	char first[128];
	FILE *f = begin();

	ck_assert_int_eq(key_generate(f, 7), 0);
	strcpy(first, end(f));
	ck_assert_uint_eq(strlen(first), 2 + 64 + 1);
	ck_assert_int_eq(strncmp(first, "7 ", 2), 0);
	ck_assert_uint_eq(strspn(first + 2, "0123456789abcdef"), 64);
	f = begin();
	ck_assert_int_eq(key_generate(f, 7), 0);
	ck_assert_str_ne(end(f), first);
}
END_TEST

#define LOOP(tc, test, table)                                                                      \
	tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

static Suite *suite(void)
{
	Suite *s = suite_create("ctl");
	TCase *tc = tcase_create("ctl");

	tcase_add_checked_fixture(tc, NULL, teardown);
	LOOP(tc, counts_are_short, counts);
	LOOP(tc, durations_are_short, durations);
	tcase_add_test(tc, terminal_is_never_commanded);
	LOOP(tc, filter_terms, filters);
	tcase_add_test(tc, filter_refuses_nonsense);
	tcase_add_test(tc, grammar_takes);
	LOOP(tc, grammar_refuses, mistakes);
	LOOP(tc, grammar_completes, completions);
	tcase_add_test(tc, every_verb_has_help);
	tcase_add_test(tc, table_of_flows);
	LOOP(tc, tables_look_like_this, tables);
	tcase_add_test(tc, status_says_how_it_is);
	tcase_add_test(tc, drops_hide_what_never_happened);
	tcase_add_test(tc, pages_make_one_json_object);
	tcase_add_test(tc, lines_are_words);
	tcase_add_test(tc, filters_hold_in_every_format);
	tcase_add_test(tc, answer_without_its_array_is_refused);
	tcase_add_test(tc, events_are_one_line);
	tcase_add_test(tc, colour_does_not_disturb_columns);
	tcase_add_test(tc, keys_are_random_lines);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
