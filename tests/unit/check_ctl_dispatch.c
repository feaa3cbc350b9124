/*
 * fwclusterctl: words, filters and tables for dispatchers.
 *
 * proves: HD-24
 */
#define _GNU_SOURCE 1

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/filter.h"
#include "ctl/grammar.h"
#include "ctl/render.h"

static char *text;
static size_t text_size;
static char err[512];

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

/* --- words ------------------------------------------------------------------------------------ */

/* Splits `line` at blanks; the words live until the next call. */
static int split(const char *line, char ***out)
{
	static char buf[256];
	static char *words[24];
	int n = 0;

	snprintf(buf, sizeof(buf), "%s", line);
	for (char *w = strtok(buf, " "); w; w = strtok(NULL, " "))
		words[n++] = w;
	*out = words;
	return n;
}

static int parse(struct command *c, const char *line)
{
	char **words;
	int n = split(line, &words);

	return grammar_parse(c, n, words, err, sizeof(err));
}

static const struct {
	const char *line;
	enum verb verb;
	const char *target;
	unsigned weight;
} commands[] = {
	{"weight web1 0", VERB_WEIGHT, "web1", 0}, {"weight web1 256", VERB_WEIGHT, "web1", 256},
	{"w show 7", VERB_WEIGHT, "show", 7},	   {"drain web1", VERB_DRAIN, "web1", 0},
	{"dr drain", VERB_DRAIN, "drain", 0},	   {"undrain web1", VERB_UNDRAIN, "web1", 0},
	{"und web1", VERB_UNDRAIN, "web1", 0},
};

START_TEST(grammar_takes_targets)
{
	struct command c;

	ck_assert_int_eq(parse(&c, commands[_i].line), 0);
	ck_assert_int_eq(c.verb, commands[_i].verb);
	ck_assert_str_eq(c.target, commands[_i].target);
	ck_assert_uint_eq(c.weight, commands[_i].weight);
}
END_TEST

static const struct {
	const char *line, *error;
} mistakes[] = {
	{"weight", "which target? see \"show targets\""},
	{"drain", "which target, or \"node\" for this one? see \"show targets\""},
	{"undrain", "which target, or \"node\" for this one? see \"show targets\""},
	{"weight web1", "a weight is a number from 0 to 256"},
	{"weight web1 257", "a weight is a number from 0 to 256 \"257\""},
	{"weight web1 -1", "a weight is a number from 0 to 256 \"-1\""},
	{"weight web1 1x", "a weight is a number from 0 to 256 \"1x\""},
	{"weight web1 99999999999999999999",
	 "a weight is a number from 0 to 256 \"99999999999999999999\""},
	{"weight web1 1 2", "nothing may follow, but found \"2\""},
	{"drain web1 now", "nothing may follow, but found \"now\""},
	{"undrain web1 4", "nothing may follow, but found \"4\""},
	{"show targets path fw1", "\"path\" is not known here; one of state, service, target"},
	{"show services target", "target what? it takes NAME"},
	{"show d", "\"d\" could be drops, dispatchers"},
	{"show m", "\"m\" could be members, matching"},
	{"show r", "\"r\" could be rules, routes, relays"},
	{"show relays proto tcp", "\"proto\" is not known here; one of state, home, target"},
};

START_TEST(grammar_refuses)
{
	struct command c;

	ck_assert_int_eq(parse(&c, mistakes[_i].line), -EINVAL);
	ck_assert_str_eq(err, mistakes[_i].error);
}
END_TEST

START_TEST(grammar_takes_tables_and_groups)
{
	struct command c;

	ck_assert_int_eq(parse(&c, "sh di path fw1"), 0);
	ck_assert_str_eq(c.what, "dispatchers");
	ck_assert_int_eq(c.filter.terms[0].kind, FILTER_PATH);
	ck_assert_int_eq(parse(&c, "sh se service web target web1"), 0);
	ck_assert_str_eq(c.what, "services");
	ck_assert_uint_eq(c.filter.n, 2);
	ck_assert_int_eq(parse(&c, "sh t state down"), 0);
	ck_assert_str_eq(c.what, "targets");
	ck_assert_int_eq(parse(&c, "sh rel home b target web3 state up"), 0);
	ck_assert_str_eq(c.what, "relays");
	ck_assert_int_eq(parse(&c, "sh ma host 198.51.100.7 service web target web1 home b"), 0);
	ck_assert_str_eq(c.what, "matching");
	ck_assert_uint_eq(c.filter.n, 4);
	ck_assert_int_eq(parse(&c, "sh fl path fw1 service web target web1 proto tcp"), 0);
	ck_assert_uint_eq(c.filter.n, 4);
	ck_assert_int_eq(parse(&c, "mon health dispatch target web1"), 0);
	ck_assert_uint_eq(c.n_groups, 2);
	ck_assert_str_eq(c.groups[0], "health");
	ck_assert_str_eq(c.groups[1], "dispatch");
}
END_TEST

static const struct {
	const char *line;	   /* its last word has been begun */
	const char *words, *names; /* what the tool knows, and in which table the daemon does */
} completions[] = {
	{"w", "weight\n", NULL},
	{"d", "drain\n", NULL},
	{"show d", "drops\ndispatchers\n", NULL},
	{"show targets s", "state\nservice\n", NULL},
	{"show re", "relays\n", NULL},
	{"show matching service w", "", "services"},
	{"monitor he", "health\n", NULL},
	{"weight w", "", "targets"},
	{"drain w", "", "targets"},
	{"undrain w", "", "targets"},
	{"drain n", "node\n", "targets"},
	{"undrain no", "node\n", "targets"},
	{"weight web1 1", "", NULL},
	{"drain web1 x", "", NULL},
	{"show flows target w", "", "targets"},
	{"show flows proto tcp service w", "", "services"},
	{"monitor path f", "", "dispatchers"},
	{"show flows state s", "", NULL},
	{"flush flows", "flows\n", NULL},
	{"",
	 "show\nstatus\nmonitor\nflush\nweight\ndrain\nundrain\ntakeover\nreload\nlog\nkey\nhelp\n",
	 NULL},
};

START_TEST(completion)
{
	char **words;
	int n = split(completions[_i].line, &words);
	const char *names = grammar_names(n, words);
	FILE *f = begin();

	grammar_complete(f, n, words);
	ck_assert_str_eq(end(f), completions[_i].words);
	if (completions[_i].names)
		ck_assert_str_eq(names, completions[_i].names);
	else
		ck_assert_ptr_null(names);
}
END_TEST

/* --- filters ---------------------------------------------------------------------------------- */

static const char flow_l42[] =
	"{\"proto\":\"udp\",\"src\":\"198.51.100.7\",\"sport\":5000,\"dst\":\"198.51.100.80\","
	"\"dport\":53,\"dispatcher\":\"inner\",\"path\":\"fw1\",\"path_by\":\"learnt\","
	"\"service\":\"dns\",\"technology\":\"l4/2\",\"target\":\"web3\","
	"\"target_by\":\"algorithm\",\"server\":null,\"upstream\":null,\"state\":\"open\","
	"\"in\":\"back\",\"age_s\":1.2,\"idle_s\":0.4,\"expires_s\":179.6,\"packets\":[3,2],"
	"\"bytes\":[300,200],\"by\":\"daemon\"}";
static const char flow_l43[] =
	"{\"proto\":\"tcp\",\"src\":\"198.51.100.7\",\"sport\":5001,\"dst\":\"198.51.100.80\","
	"\"dport\":80,\"dispatcher\":\"stage-b\",\"path\":\"fw2\",\"path_by\":\"stamp\","
	"\"service\":\"web\",\"technology\":\"l4/3\",\"target\":\"web1\","
	"\"target_by\":\"affinity\",\"server\":{\"src\":\"10.4.0.250\",\"sport\":33000,"
	"\"dst\":\"10.4.0.11\",\"dport\":8080},\"upstream\":\"inner\",\"state\":\"opening\","
	"\"in\":\"farm\",\"age_s\":0.1,\"idle_s\":0,\"expires_s\":30,\"packets\":[1,0],"
	"\"bytes\":[60,0],\"by\":\"kernel\"}";
static const char flow_out[] =
	"{\"proto\":\"tcp\",\"src\":\"10.1.0.9\",\"sport\":1,\"dst\":\"192.0.2.80\",\"dport\":80,"
	"\"dispatcher\":\"inner\",\"path\":\"fw2\",\"path_by\":\"moved\",\"service\":null,"
	"\"technology\":null,\"target\":null,\"target_by\":null,\"server\":null,"
	"\"upstream\":null,\"state\":\"closing\",\"in\":\"farm\",\"age_s\":60,\"idle_s\":10,"
	"\"expires_s\":110,\"packets\":[1,1],\"bytes\":[60,60],\"by\":\"daemon\"}";
static const char flow_firewall[] =
	"{\"proto\":\"udp\",\"src\":\"10.1.0.9\",\"sport\":1234,\"dst\":\"192.0.2.80\",\"dport\":"
	"53,\"state\":\"stream\",\"in\":\"lan\",\"out\":\"wan\",\"rule\":\"all\",\"age_s\":1.2,"
	"\"expires_s\":170,\"packets\":[1,1],\"bytes\":[60,60],\"home\":\"box\",\"askers\":[],"
	"\"by\":\"daemon\"}";
static const char services[] =
	"{\"service\":\"web\",\"proto\":\"tcp\",\"addresses\":[\"198.51.100.80\"],"
	"\"ports\":[\"80\",\"8000-8010\"],\"technology\":\"l4/3\",\"algorithm\":\"source\","
	"\"affinity_s\":90,\"flows_total\":40,\"refused\":2,\"packets\":[100,90],"
	"\"bytes\":[6000,90000],\"targets\":[{\"target\":\"web1\",\"state\":\"up\",\"sorry\":"
	"false},{\"target\":\"web2\",\"state\":\"down\",\"sorry\":false},{\"target\":\"s1\","
	"\"state\":\"drained\",\"sorry\":true}]},"
	"{\"service\":\"dns\",\"proto\":\"udp\",\"addresses\":[\"198.51.100.80\",\"2001:db8::80\"]"
	",\"ports\":[],\"technology\":\"l4/2\",\"algorithm\":\"static\",\"affinity_s\":null,"
	"\"flows_total\":1,\"refused\":0,\"packets\":[1,1],\"bytes\":[60,60],\"targets\":[]}";
static const char target_web1[] =
	"{\"target\":\"web1\",\"configured\":4,\"weight\":4,\"load\":75,\"effective\":3,"
	"\"drained\":false,\"set_by\":null,\"addresses\":[\"10.4.0.11\",\"fd00:4::11\"],"
	"\"member\":null,\"port\":8080,\"out\":\"farm\",\"state\":\"up\",\"since_s\":60,"
	"\"why\":\"connected\",\"check\":\"tcp\",\"flows\":6,\"flows_total\":66,\"rate\":12,"
	"\"packets\":[3,0],\"bytes\":[300,0],\"services\":[\"web\",\"tls\"]}";
static const char event_target[] =
	"{\"schema\":1,\"event\":\"target-down\",\"time\":\"2026-11-22T10:00:00.123456Z\","
	"\"node\":\"in\",\"target\":\"web1\",\"detail\":\"connection refused\"}";

static const struct {
	const char *words[5];
	const char *record;
	bool matches;
} filters[] = {
	{{"path", "fw1"}, flow_l42, true},
	{{"path", "FW1"}, flow_l42, true},
	{{"path", "fw1"}, flow_l43, false},
	{{"path", "fw1"}, flow_firewall, false},
	{{"service", "dns"}, flow_l42, true},
	{{"service", "dns"}, flow_l43, false},
	{{"service", "dns"}, flow_out, false},
	{{"target", "web1"}, flow_l43, true},
	{{"target", "web1", "service", "dns"}, flow_l43, false},
	{{"target", "web1", "service", "web"}, flow_l43, true},
	/* The server's side of a rewritten flow counts, too. */
	{{"host", "10.4.0.11"}, flow_l43, true},
	{{"dst", "10.4.0.0/24"}, flow_l43, true},
	{{"dst", "198.51.100.80"}, flow_l43, true},
	{{"src", "10.4.0.11"}, flow_l43, false},
	{{"port", "8080"}, flow_l43, true},
	{{"dport", "8080"}, flow_l42, false},
	{{"proto", "tcp"}, flow_l43, true},
	{{"state", "opening"}, flow_l43, true},
	{{"service", "tls"}, target_web1, true},
	{{"service", "dns"}, target_web1, false},
	{{"target", "web1"}, target_web1, true},
	{{"state", "up"}, target_web1, true},
	{{"target", "web1"}, event_target, true},
	{{"target", "web2"}, event_target, false},
	{{"path", "fw1"}, event_target, false},
	{{"path", "fw2"},
	 "{\"dispatcher\":\"x\",\"paths\":[{\"path\":\"fw1\"},{\"path\":\"fw2\"}]}",
	 true},
	{{"path", "fw3"},
	 "{\"dispatcher\":\"x\",\"paths\":[{\"path\":\"fw1\"},{\"path\":\"fw2\"}]}",
	 false},
	{{"target", "s1"}, "{\"service\":\"x\",\"targets\":[{\"target\":\"s1\"},7,null]}", true},
	{{"service", "s1"}, "{\"services\":[7,null,{\"service\":4}]}", false},
	{{"target", "s1"}, "{\"targets\":\"s1\"}", false},
};

START_TEST(filter_terms)
{
	json_t *record = json_loads(filters[_i].record, 0, NULL);
	struct filter f = {0};

	ck_assert_ptr_nonnull(record);
	for (unsigned i = 0; filters[_i].words[i]; i += 2) {
		unsigned k = 0;

		while (strcmp(filter_word((enum filter_kind)k), filters[_i].words[i]) != 0)
			k++;
		ck_assert_int_eq(filter_add(&f, (enum filter_kind)k, filters[_i].words[i + 1]), 0);
	}
	ck_assert_int_eq(filter_match(&f, record), filters[_i].matches);
	json_decref(record);
}
END_TEST

START_TEST(filter_refuses_no_name)
{
	struct filter f = {0};

	ck_assert_int_eq(filter_add(&f, FILTER_PATH, ""), -EINVAL);
	ck_assert_int_eq(filter_add(&f, FILTER_SERVICE, ""), -EINVAL);
	ck_assert_int_eq(filter_add(&f, FILTER_TARGET, ""), -EINVAL);
}
END_TEST

/* --- tables ----------------------------------------------------------------------------------- */

static bool render(const char *what, enum render_format format, const char *first,
		   const char *second)
{
	const struct render_style style = {.format = format};
	const char *const pages[] = {first, second};
	FILE *f = begin();
	struct render *r = render_new(f, what, &style);
	bool ok;

	for (unsigned i = 0; i < 2 && pages[i]; i++) {
		json_t *answer;
		char *page;

		ck_assert_int_gt(asprintf(&page, "{\"schema\":1,\"node\":\"n\",\"%s\":[%s]}", what,
					  pages[i]),
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

static const char dispatcher[] =
	"{\"dispatcher\":\"out\",\"takeover\":{\"state\":\"standby\",\"active\":\"fw-b\"},"
	"\"role\":\"outer\",\"firewall_port\":\"front\",\"ports\":[\"net\"]"
	",\"algorithm\":\"static\",\"learn\":true,\"unknown\":\"drop\",\"on_path_down\":\"move\","
	"\"probe\":\"10.3.0.254\",\"flows\":12,\"paths\":[{\"path\":\"fw1\",\"id\":1,\"address\":"
	"\"10.2.0.1\",\"mac\":\"02:00:00:00:00:11\",\"state\":\"up\",\"since_s\":60,\"weight\":1,"
	"\"why\":null,\"flows\":7,\"flows_total\":99,\"rate\":900,\"packets\":[10,8],"
	"\"bytes\":[1000,7000000000],\"probe\":{\"state\":\"answered\",\"age_s\":0.25,"
	"\"answered\":4,\"missed\":0}},{\"path\":\"fw2\",\"id\":2,\"address\":\"10.2.0.2\","
	"\"mac\":null,\"state\":\"down\",\"since_s\":1.5,\"weight\":3,\"why\":\"port down\","
	"\"flows\":5,\"packets\":[1,0],\"bytes\":[60,0],\"probe\":null}]}";

static const char l7_service[] =
	"{\"service\":\"web\",\"addresses\":[\"198.51.100.80\"],\"ports\":[\"80\",\"8080\"],"
	"\"technology\":\"l7/3\",\"algorithm\":\"static\",\"affinity_s\":null,\"targets\":"
	"[{\"target\":\"web1\",\"state\":\"up\"},{\"target\":\"web9\",\"state\":\"remote\"}],"
	"\"l7\":{"
	"\"content\":\"http\",\"relay\":\"both\","
	"\"connections_open\":3,\"requests\":1002,\"requests_open\":2,\"status_4xx\":5,"
	"\"status_5xx\":6,\"server_errors\":7,\"unrouted\":8,\"retries\":9,\"queued\":10,"
	"\"us_first_byte\":1300000,\"us_total\":25000000,\"bytes_in\":11,"
	"\"bytes_out\":2500000}}";
static const char l7_route[] =
	"{\"service\":\"web/img\",\"addresses\":[],\"ports\":[],\"technology\":\"l7/3\","
	"\"targets\":[],\"l7\":{\"requests\":1,\"requests_open\":1}}";

static const char relay_both[] =
	"{\"member\":\"b\",\"state\":\"up\",\"reached\":true,\"targets\":[\"web3\",\"web4\"],"
	"\"asked\":2,\"to\":{\"connections_opened\":9,\"connections_open\":4,"
	"\"connections_idle\":3,\"connections_reused\":90,\"connections_failed\":5,"
	"\"requests\":100,\"requests_open\":1,\"requests_waiting\":0,\"errors\":2,"
	"\"status_5xx\":6,\"bytes_in\":10,\"bytes_out\":20},\"from\":{\"connections\":11,"
	"\"connections_open\":7,\"requests\":70,\"requests_open\":2,\"errors\":8,"
	"\"bytes_in\":30,\"bytes_out\":40}}";
static const char leg_from[] =
	"{\"kind\":\"from\",\"proto\":\"tcp\",\"src\":\"198.51.100.7\",\"sport\":2048,"
	"\"dst\":\"203.0.113.80\",\"dport\":80,\"service\":\"web\",\"member\":\"b\","
	"\"target\":\"web1\",\"mac\":\"02:00:00:00:00:0b\",\"port\":\"farm\","
	"\"state\":\"open\",\"age_s\":60,\"packets\":[10,8],\"bytes\":[1000,9000]}";

static const struct {
	const char *what, *record, *table;
} tables[] = {
	{"services", l7_service,
	 "SERVICE  ADDRESSES      PORTS    TECHNOLOGY  CONTENT  RELAY  ALGORITHM  AFFINITY  CL"
	 "IENTS  REQUESTS  OPEN  4XX  5XX  ERRORS  UNROUTED  RETRIES  QUEUED  FIRST  TOTAL    "
	 " BYTES  TARGETS\n"
	 "web      198.51.100.80  80,8080  l7/3        http     both   static            -    "
	 "    3      1002     2    5    6       7         8        9      10  1.3ms   25ms  11"
	 "/2.50M  web1 web9(remote)\n"},
	{"services", l7_route,
	 "SERVICE  ADDRESSES  PORTS  TECHNOLOGY  CONTENT  RELAY  ALGORITHM  AFFINITY  CLIENTS "
	 " REQUESTS  OPEN  4XX  5XX  ERRORS  UNROUTED  RETRIES  QUEUED  FIRST  TOTAL  BYTES  T"
	 "ARGETS\n"
	 "web/img  -          -      l7/3        -        -      -                 -        0 "
	 "        1     1    0    0       0         0        0       0      -      -    0/0  -\n"},
	{"targets",
	 "{\"target\":\"web1\",\"state\":\"up\",\"since_s\":60,\"addresses\":[\"10.4.0.11\"],"
	 "\"port\":8080,\"weight\":4,\"effective\":4,\"set_by\":null,\"check\":\"http\","
	 "\"services\":[\"web\"],\"why\":\"200\",\"l7\":{\"connections_open\":5,"
	 "\"connections_idle\":4,\"requests_waiting\":3,\"requests\":100,\"requests_open\":1,"
	 "\"connections_reused\":90,\"errors\":2,\"status_5xx\":6,\"connections_failed\":7,"
	 "\"bytes_in\":10,\"bytes_out\":20}}",
	 "TARGET  STATE  SINCE  ADDRESS              WEIGHT  SET-BY  OPEN  IDLE  WAITING  REQUESTS"
	 "  UNDER-WAY  REUSED  ERRORS  5XX  FAILED  BYTES  CHECK  SERVICES  WHY\n"
	 "web1    up     1m00s  10.4.0.11 port 8080       4  -          5     4        3       100"
	 "          1      90       2    6       7  10/20  http   web       200\n"},
	{"cookies",
	 "{\"service\":\"web\",\"kind\":\"insert\",\"name\":\"SRV\",\"made\":1,\"valid\":2,"
	 "\"absent\":3,\"forged\":4,\"unknown\":5,\"expired\":6,\"moved\":7}",
	 "SERVICE  KIND    NAME  MADE  VALID  ABSENT  FORGED  UNKNOWN  EXPIRED  MOVED\n"
	 "web      insert  SRV      1      2       3       4        5        6      7\n"},
	{"targets",
	 "{\"target\":\"web9\",\"state\":\"remote\",\"since_s\":60,\"addresses\":[],\"via\":"
	 "[\"b\",\"c\"],\"weight\":4,\"effective\":4,\"services\":[\"web\"],\"l7\":{}}",
	 "TARGET  STATE   SINCE  ADDRESS  WEIGHT  SET-BY  OPEN  IDLE  WAITING  REQUESTS  UNDER"
	 "-WAY  REUSED  ERRORS  5XX  FAILED  BYTES  CHECK  SERVICES  WHY\n"
	 "web9    remote  1m00s  via b,c       4  -          0     0        0         0       "
	 "   0       0       0    0       0    0/0  -      web       -\n"},
	{"relays", relay_both,
	 "MEMBER  STATE  FOUND               REQUESTS  UNDER-WAY  OPEN  IDLE  OPENED  FAILED  "
	 "ERRORS  BYTES  FROM-OPEN  FROM-REQUESTS  FROM-ERRORS  FROM-BYTES\n"
	 "b       up     web3,web4, 2 asked       100          1     4     3       9       5  "
	 "     2  10/20          7             70            8       30/40\n"},
	{"relays",
	 "{\"member\":\"c\",\"state\":\"up\",\"reached\":false,\"targets\":[],\"asked\":0,"
	 "\"to\":{},\"from\":{}}",
	 "MEMBER  STATE      FOUND  REQUESTS  UNDER-WAY  OPEN  IDLE  OPENED  FAILED  ERRORS  B"
	 "YTES  FROM-OPEN  FROM-REQUESTS  FROM-ERRORS  FROM-BYTES\n"
	 "c       unreached  -             0          0     0     0       0       0       0   "
	 " 0/0          0              0            0         0/0\n"},
	{"relays",
	 "{\"member\":\"d\",\"state\":\"down\",\"reached\":false,\"targets\":[],\"asked\":3}",
	 "MEMBER  STATE  FOUND    REQUESTS  UNDER-WAY  OPEN  IDLE  OPENED  FAILED  ERRORS  BYT"
	 "ES  FROM-OPEN  FROM-REQUESTS  FROM-ERRORS  FROM-BYTES\n"
	 "d       down   3 asked         0          0     0     0       0       0       0    0"
	 "/0          0              0            0         0/0\n"},
	{"matching", leg_from,
	 "KIND  CLIENT             ADDRESS          SERVICE  MEMBER  TARGET  MAC              "
	 "  PORT  STATE    AGE  PACKETS      BYTES\n"
	 "from  198.51.100.7:2048  203.0.113.80:80  web      b       web1    02:00:00:00:00:0b"
	 "  farm  open   1m00s     10/8  1000/9000\n"},
	{"matching", "{\"kind\":\"server\",\"member\":null}",
	 "KIND    CLIENT  ADDRESS  SERVICE  MEMBER  TARGET  MAC  PORT  STATE  AGE  PACKETS  BY"
	 "TES\n"
	 "server  -       -        -        -       -       -    -     -        -        -    "
	 "  -\n"},
	{"dispatchers", dispatcher,
	 "DISPATCHER  ROLE   HERE              PORT   ALGORITHM  PATH  ID  ADDRESS   MAC           "
	 "     STATE      "
	 "SINCE  WEIGHT  FLOWS  PACKETS       BYTES  PROBE              WHY\n"
	 "out         outer  standby for fw-b  front  static     -      -  -         -             "
	 "     1 of 2 up    "
	 "  -       -     12        -           -  -                  -\n"
	 "out         outer  standby for fw-b  front  static     fw1    1  10.2.0.1  "
	 "02:00:00:00:00:11  up         "
	 "1m00s       1      7     10/8  1000/7.00G  answered 0.2s ago  -\n"
	 "out         outer  standby for fw-b  front  static     fw2    2  10.2.0.2  -             "
	 "     down        "
	 "1.5s       3      5      1/0        60/0  -                  port down\n"},
	{"services", services,
	 "SERVICE  PROTO  ADDRESSES                   PORTS         TECHNOLOGY  ALGORITHM  "
	 "AFFINITY  FLOWS  REFUSED  PACKETS       BYTES  TARGETS\n"
	 "web      tcp    198.51.100.80               80,8000-8010  l4/3        source     "
	 "   1m30s     40        2   100/90  6000/90000  web1 web2(down) s1(sorry)(drained)\n"
	 "dns      udp    198.51.100.80,2001:db8::80  all           l4/2        static     "
	 "       -      1        0      1/1       60/60  -\n"},
	{"targets", target_web1,
	 "TARGET  STATE  SINCE  ADDRESS                         OUT   WEIGHT  SET-BY  FLOWS  TOTAL"
	 "  RATE  PACKETS  BYTES  CHECK  SERVICES  WHY\n"
	 "web1    up     1m00s  10.4.0.11,fd00:4::11 port 8080  farm     3/4  -           6     66"
	 "    12      3/0  300/0  tcp    web,tls   connected\n"},
	{"targets",
	 "{\"target\":\"a\",\"state\":\"down\",\"since_s\":2,\"member\":\"stage-a\",\"addresses\":"
	 "[],\"port\":null,\"weight\":1,\"effective\":1,\"set_by\":\"in\",\"services\":[]}",
	 "TARGET  STATE  SINCE  ADDRESS         OUT  WEIGHT  SET-BY  FLOWS  TOTAL  RATE  PACKETS  "
	 "BYTES  CHECK  SERVICES  WHY\n"
	 "a       down    2.0s  member stage-a  -         1  in          0      0     0        -  "
	 "    -  -      -         -\n"},
	{"ports",
	 "{\"name\":\"net\",\"addresses\":[\"10.1.0.1/24\",\"10.1.0.10/24\"],\"answers\":"
	 "[\"198.51.100.80\"],\"taken\":[\"10.1.0.1\",\"198.51.100.80\"]}",
	 "NAME  DEVICE  STATE  BACKEND  MAC  MTU  SEGMENT  RX-FRAMES  RX-BYTES  RX-LOST  TX-FRAMES"
	 "  TX-BYTES  TX-LOST  ADDRESSES\n"
	 "net   -       -      -        -      -  -                0         0        0          0"
	 "         0        0  !10.1.0.1/24,10.1.0.10/24,!198.51.100.80\n"},
	/* What the daemon does not send is a dash, never a crash. */
	{"dispatchers", "{\"paths\":[7,{\"probe\":[]}]}",
	 "DISPATCHER  ROLE  HERE   PORT  ALGORITHM  PATH  ID  ADDRESS  MAC  STATE      SINCE  "
	 "WEIGHT  "
	 "FLOWS  PACKETS  BYTES  PROBE  WHY\n"
	 "-           -     alone  -     -          -      -  -        -    0 of 2 up      -       "
	 "-  "
	 "    0        -      -  -      -\n"
	 "-           -     alone  -     -          -      -  -        -    -              -       "
	 "-  "
	 "    0        -      -  -      -\n"
	 "-           -     alone  -     -          -      -  -        -    -              -       "
	 "-  "
	 "    0        -      -  -      -\n"},
	{"services", "{\"targets\":[7,{}],\"ports\":8}",
	 "SERVICE  PROTO  ADDRESSES  PORTS  TECHNOLOGY  ALGORITHM  AFFINITY  FLOWS  REFUSED  "
	 "PACKETS  BYTES  TARGETS\n"
	 "-        -      -          all    -           -                 -      0        0  "
	 "      -      -  -(-) -(-)\n"},
	{"ports", "{\"addresses\":[7],\"taken\":[null]}",
	 "NAME  DEVICE  STATE  BACKEND  MAC  MTU  SEGMENT  RX-FRAMES  RX-BYTES  RX-LOST  TX-FRAMES"
	 "  TX-BYTES  TX-LOST  ADDRESSES\n"
	 "-     -       -      -        -      -  -                0         0        0          0"
	 "         0        0  !-\n"},
};

START_TEST(tables_look_like_this)
{
	ck_assert(render(tables[_i].what, RENDER_TABLE, tables[_i].record, NULL));
	ck_assert_str_eq(text, tables[_i].table);
}
END_TEST

START_TEST(flows_of_dispatchers_have_columns_of_their_own)
{
	char *all;

	ck_assert_int_gt(asprintf(&all, "%s,%s,%s", flow_l42, flow_l43, flow_out), 0);
	ck_assert(render("flows", RENDER_TABLE, all, NULL));
	free(all);
	ck_assert_str_eq(text, "PROTO  SOURCE             DESTINATION       STATE    DISPATCHER  "
			       "PATH                SERVICE  TECHNOLOGY  TARGET            SERVER  "
			       "          AGE  IDLE  PACKETS    BYTES  BY\n"
			       "udp    198.51.100.7:5000  198.51.100.80:53  open     inner       "
			       "fw1 (learnt)        dns      l4/2        web3 (algorithm)  -       "
			       "         1.2s  0.4s      3/2  300/200  daemon\n"
			       "tcp    198.51.100.7:5001  198.51.100.80:80  opening  stage-b     "
			       "fw2 (stamp, inner)  web      l4/3        web1 (affinity)   "
			       "10.4.0.11:8080   0.1s  0.0s      1/0     60/0  kernel\n"
			       "tcp    10.1.0.9:1         192.0.2.80:80     closing  inner       "
			       "fw2 (moved)         -        -           -                 -       "
			       "        1m00s   10s      1/1    60/60  daemon\n");
}
END_TEST

/* First the firewall's flows, then the dispatchers', each under its own heads; also when the change
 * falls between two pages, and when there are none of the first kind. */
START_TEST(both_kinds_of_flows)
{
	const char *second;
	char *both, *one;

	ck_assert_int_gt(asprintf(&both, "%s,%s", flow_firewall, flow_l42), 0);
	ck_assert(render("flows", RENDER_TABLE, both, NULL));
	one = strdup(text);
	free(both);
	ck_assert(strncmp(one, "PROTO  SOURCE         DESTINATION    STATE   IN   OUT  RULE", 58) ==
		  0);
	second = strstr(one, "\n\nPROTO  SOURCE");
	ck_assert_ptr_nonnull(second);
	ck_assert_ptr_nonnull(strstr(second, "SERVER"));
	ck_assert_ptr_nonnull(strstr(second, "web3 (algorithm)"));
	ck_assert(render("flows", RENDER_TABLE, flow_firewall, flow_l42));
	ck_assert_str_eq(text, one);
	free(one);
	ck_assert(render("flows", RENDER_TABLE, flow_l42, flow_l42));
	ck_assert_ptr_null(strstr(text, "RULE"));
	ck_assert_ptr_null(strstr(text, "\n\n"));
	ck_assert(render("flows", RENDER_JSON, flow_firewall, flow_l42));
	ck_assert_ptr_null(strchr(text, '\n')[1] ? text : NULL);
}
END_TEST

/* A table for those by L4, another for those by L7. */
START_TEST(both_kinds_of_services)
{
	const char *second;

	ck_assert(render("services", RENDER_TABLE, services, l7_service));
	second = strstr(text, "\n\nSERVICE");
	ck_assert_ptr_nonnull(second);
	ck_assert_ptr_nonnull(strstr(second, "CLIENTS"));
	ck_assert_ptr_null(strstr(second, "REFUSED"));
}
END_TEST

START_TEST(lines_number_what_a_record_has_several_of)
{
	ck_assert(render(
		"dispatchers", RENDER_LINES,
		"{\"dispatcher\":\"out\",\"ports\":[\"a\",\"b\"],\"paths\":[{\"path\":\"fw1\","
		"\"packets\":[1,2],\"probe\":{\"state\":\"missed\"}},{\"path\":\"fw2\"}]}",
		NULL));
	ck_assert_str_eq(text, "dispatcher=out ports=a,b paths.0.path=fw1 paths.0.packets=1,2 "
			       "paths.0.probe.state=missed paths.1.path=fw2\n");
	ck_assert(render("dispatchers", RENDER_LINES, "{\"paths\":[]}", NULL));
	ck_assert_str_eq(text, "paths=-\n");
}
END_TEST

static const char status[] =
	"{\"node\":\"in\",\"id\":1,\"version\":\"1.0\",\"uptime_s\":60,\"cluster\":false,"
	"\"members_up\":1,\"members\":1,\"flows\":0,\"max_flows\":1024,\"forwards\":0,"
	"\"queries_open\":0,\"held\":0,\"frames_in\":1,\"frames_out\":1,\"drops\":0,"
	"\"dispatchers\":[{\"dispatcher\":\"out\",\"role\":\"outer\",\"paths_up\":2,\"paths\":3,"
	"\"targets_up\":0,\"targets\":0,\"flows\":120},{\"dispatcher\":\"last\",\"role\":\"stage\""
	",\"paths_up\":0,\"paths\":0,\"targets_up\":4,\"targets\":4,\"flows\":7}],"
	"\"health\":\"%s\",\"problems\":[%s]}";

START_TEST(status_has_a_line_per_dispatcher)
{
	char record[1200];

	snprintf(record, sizeof(record), status, "degraded",
		 "\"path \\\"fw3\\\" of dispatcher \\\"out\\\" is down\"");
	ck_assert(!render("status", RENDER_TABLE, record, NULL));
	ck_assert_ptr_nonnull(strstr(text, "health    degraded\n"
					   "problem   path \"fw3\" of dispatcher \"out\" is down\n"
					   "dispatch  out (outer), 2 of 3 firewalls up, 120 flows\n"
					   "dispatch  last (stage), 4 of 4 targets up, 7 flows\n"
					   "cluster   none, this node is alone\n"));
	snprintf(record, sizeof(record), status, "ok", "");
	ck_assert(render("status", RENDER_TABLE, record, NULL));
}
END_TEST

/* Its tables would be empty ones of 1024 places. */
START_TEST(status_without_a_firewall)
{
	ck_assert(render(
		"status", RENDER_TABLE,
		"{\"node\":\"b\",\"id\":1,\"version\":\"1\",\"uptime_s\":60,\"cluster\":"
		"false,\"firewall\":false,\"flows\":0,\"max_flows\":1024,\"forwards\":0,"
		"\"queries_open\":0,\"held\":3,\"frames_in\":1,\"frames_out\":1,\"drops\":0,"
		"\"dispatchers\":[{\"dispatcher\":\"last\",\"role\":\"stage\",\"targets_up\":4"
		",\"targets\":4,\"flows\":7,\"max_flows\":2048}],\"health\":\"ok\","
		"\"problems\":[]}",
		NULL));
	ck_assert_str_eq(text, "node      b (id 1), version 1, up 1m00s\n"
			       "health    ok\n"
			       "dispatch  last (stage), 4 of 4 targets up, 7 of 2048 flows\n"
			       "cluster   none, this node is alone\n"
			       "held      3 packets\n"
			       "frames    1 in, 1 out, 0 dropped\n");
}
END_TEST

static const struct {
	const char *event, *line;
} events[] = {
	{event_target, "10:00:00.123456 in \033[31mtarget-down     \033[0m  target web1"
		       "  connection refused\n"},
	{"{\"event\":\"path-up\",\"time\":\"T1Z\",\"node\":\"n\",\"port\":\"front\",\"path\":"
	 "\"fw1\"}",
	 "1 n \033[32mpath-up         \033[0m  port front  path fw1\n"},
	{"{\"event\":\"path-down\",\"time\":\"T1Z\",\"node\":\"n\",\"path\":\"fw1\"}",
	 "1 n \033[31mpath-down       \033[0m  path fw1\n"},
	{"{\"event\":\"target-up\",\"time\":\"T1Z\",\"node\":\"n\",\"target\":\"a\"}",
	 "1 n \033[32mtarget-up       \033[0m  target a\n"},
	{"{\"event\":\"address-taken\",\"time\":\"T1Z\",\"node\":\"n\",\"port\":\"net\","
	 "\"address\":"
	 "\"10.0.0.1\"}",
	 "1 n \033[31maddress-taken   \033[0m  port net  address 10.0.0.1\n"},
	{"{\"event\":\"dispatched\",\"time\":\"T1Z\",\"node\":\"n\",\"flow\":{\"proto\":\"tcp\","
	 "\"src\":\"10.0.0.1\",\"sport\":1,\"dst\":\"10.0.0.2\",\"dport\":2},\"path\":\"fw1\","
	 "\"service\":\"web\",\"target\":\"web1\",\"detail\":\"affinity\"}",
	 "1 n dispatched      \033[0m tcp 10.0.0.1:1 > 10.0.0.2:2  path fw1  service web  target "
	 "web1"
	 "  affinity\n"},
};

START_TEST(events_name_whom_they_are_about)
{
	const struct render_style style = {.format = RENDER_TABLE, .colour = true};
	json_t *e = json_loads(events[_i].event, 0, NULL);
	FILE *f = begin();

	ck_assert_ptr_nonnull(e);
	render_event(f, e, &style);
	json_decref(e);
	ck_assert_str_eq(end(f), events[_i].line);
}
END_TEST

#define LOOP(tc, test, table)                                                                      \
	tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

static Suite *suite(void)
{
	Suite *s = suite_create("ctl_dispatch");
	TCase *tc = tcase_create("ctl_dispatch");

	tcase_add_checked_fixture(tc, NULL, teardown);
	LOOP(tc, grammar_takes_targets, commands);
	LOOP(tc, grammar_refuses, mistakes);
	tcase_add_test(tc, grammar_takes_tables_and_groups);
	LOOP(tc, completion, completions);
	LOOP(tc, filter_terms, filters);
	tcase_add_test(tc, filter_refuses_no_name);
	LOOP(tc, tables_look_like_this, tables);
	tcase_add_test(tc, flows_of_dispatchers_have_columns_of_their_own);
	tcase_add_test(tc, both_kinds_of_flows);
	tcase_add_test(tc, both_kinds_of_services);
	tcase_add_test(tc, lines_number_what_a_record_has_several_of);
	tcase_add_test(tc, status_without_a_firewall);
	tcase_add_test(tc, status_has_a_line_per_dispatcher);
	LOOP(tc, events_name_whom_they_are_about, events);
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
