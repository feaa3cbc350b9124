/* Rules by host, path, method, field and cookie: the first that fits. */
/* proves: HD-8 HD-11 */
#include "l7/http_route.h"
#include "l7_rig.h"

static const struct http_route_rule rules[] = {
	{.host = "www.example.org", .path = "/app", .pool = 1},
	{.host = "WWW.example.org", .pool = 2},
	{.host = "*.example.org", .method = "POST", .pool = 3},
	{.host = "*.example.org", .pool = 4},
	{.host = "tls.example.net", .pool = 5},
	{.path = "/static/", .pool = 6},
	{.header = "X-Beta", .header_value = "yes", .pool = 7},
	{.header = "X-Canary", .pool = 8},
	{.cookie = "beta", .pool = 9},
	{.host = "[2001:db8::1]", .pool = 10},
	{.path = "/", .method = "PUT", .pool = 11},
};

#define N_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

static struct http_head h;

struct sample {
	const char *text;
	uint32_t pool; /* 0: none fits */
};

#define HOST(name) " HTTP/1.1\r\nHost: " name "\r\n"

static const struct sample samples[] = {
	{"GET /app" HOST("www.example.org") "\r\n", 1},
	{"GET /app/" HOST("WWW.EXAMPLE.ORG.:80") "\r\n", 1},
	{"GET /app/x?y" HOST("www.example.org") "\r\n", 1},
	{"GET /app?y" HOST("www.example.org") "\r\n", 1},
	{"GET /apple" HOST("www.example.org") "\r\n", 2},
	{"GET /App" HOST("www.example.org") "\r\n", 2},
	{"GET /x/../app" HOST("www.example.org") "\r\n", 1},
	{"GET /%61p%70/" HOST("www.example.org") "\r\n", 1},
	{"GET //app" HOST("www.example.org") "\r\n", 1},
	{"GET /app/%2e%2E/x" HOST("www.example.org") "\r\n", 2},
	{"GET /app%2fx" HOST("www.example.org") "\r\n", 2},
	{"POST /" HOST("a.b.example.org") "\r\n", 3},
	{"GET /" HOST("a.example.org") "\r\n", 4},
	{"GET /" HOST("example.org") "\r\n", 0},
	{"GET /" HOST("xexample.org") "\r\n", 0},
	{"GET /static" HOST("a") "\r\n", 0},
	{"GET /static/" HOST("a") "\r\n", 6},
	{"GET /static/x" HOST("a") "\r\n", 6},
	{"GET http://a/static/x" HOST("a") "\r\n", 6},
	{"GET /" HOST("a") "x-bEta: yes\r\n\r\n", 7},
	{"GET /" HOST("a") "X-Beta: Yes\r\n\r\n", 0},
	{"GET /" HOST("a") "X-Beta: no\r\nX-Beta: yes\r\n\r\n", 7},
	{"GET /" HOST("a") "X-Canary:\r\n\r\n", 8},
	{"GET /" HOST("a") "Cookie: a=b; beta=\r\n\r\n", 9},
	{"GET /" HOST("a") "Cookie: Beta=1\r\n\r\n", 0},
	{"GET /" HOST("[2001:db8::1]:8080") "\r\n", 10},
	{"PUT http://a" HOST("a") "\r\n", 11},
	{"GET / HTTP/1.0\r\n\r\n", 0},
	{"GET /static/ HTTP/1.0\r\n\r\n", 6},
	{"OPTIONS *" HOST("a") "\r\n", 0},
	{"CONNECT a:1" HOST("a:1") "\r\n", 0},
};

START_TEST(routes)
{
	const struct sample *s = &samples[_i];
	const struct http_route_rule *found;
	struct http_route *r;
	size_t bad;

	rig_right(&h, NULL, s->text);
	r = http_route_new(rules, N_OF(rules), &bad);
	ck_assert_ptr_nonnull(r);
	found = http_route_find(r, &h);
	ck_assert_msg((found ? found->pool : 0) == s->pool, "%s: %u", s->text,
		      found ? found->pool : 0);
	http_route_free(r);
}
END_TEST

START_TEST(by_name)
{
	size_t bad;
	struct http_route *r = http_route_new(rules, N_OF(rules), &bad);

	ck_assert_uint_eq(http_route_find_name(r, TEXT("www.example.org"))->pool, 2);
	ck_assert_uint_eq(http_route_find_name(r, TEXT("a.example.org"))->pool, 4);
	ck_assert_uint_eq(http_route_find_name(r, TEXT("tls.example.net"))->pool, 5);
	ck_assert_ptr_null(http_route_find_name(r, TEXT("example.net")));
	ck_assert_ptr_null(http_route_find_name(r, TEXT("")));
	http_route_free(r);
	r = http_route_new(&(struct http_route_rule){.pool = 12}, 1, &bad);
	ck_assert_uint_eq(http_route_find_name(r, TEXT(""))->pool, 12);
	http_route_free(r);
	http_route_free(NULL);
}
END_TEST

/* The rules are the table's own: what they were made from may go. */
START_TEST(copies)
{
	char host[] = "a.example", path[] = "/x";
	struct http_route_rule rule = {.host = host, .path = path, .pool = 1};
	size_t bad;
	struct http_route *r = http_route_new(&rule, 1, &bad);

	ck_assert_ptr_nonnull(r);
	memset(host, '-', sizeof(host) - 1);
	memset(path, '-', sizeof(path) - 1);
	rig_right(&h, NULL, "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n");
	ck_assert_ptr_nonnull(http_route_find(r, &h));
	http_route_free(r);
	r = http_route_new(NULL, 0, &bad);
	ck_assert_ptr_nonnull(r);
	ck_assert_ptr_null(http_route_find(r, &h));
	http_route_free(r);
}
END_TEST

START_TEST(rules_refused)
{
	static const struct http_route_rule bad_rules[] = {
		{.host = ""},	       {.host = "a b"},	  {.host = "*"},     {.host = "*."},
		{.host = "a.*.b"},     {.host = ".a"},	  {.host = "a."},    {.host = "[::1"},
		{.path = ""},	       {.path = "app"},	  {.path = "/a b"},  {.path = "/a#b"},
		{.method = ""},	       {.method = "G T"}, {.header = ""},    {.header = "a:"},
		{.header_value = "a"}, {.cookie = ""},	  {.cookie = "a=b"},
	};
	struct http_route_rule two[2] = {{.host = "a"}, {.host = NULL}};
	size_t bad;

	for (int i = 0; i < N_OF(bad_rules); i++) {
		two[1] = bad_rules[i];
		ck_assert_msg(http_route_new(two, 2, &bad) == NULL, "%d", i);
		ck_assert_uint_eq(bad, 1);
	}
}
END_TEST

struct path {
	const char *path, *want;
};

static const struct path paths[] = {
	{"/", "/"},
	{"*", "*"},
	{"", ""},
	{"/a/b", "/a/b"},
	{"/a/./b", "/a/b"},
	{"/a/../b", "/b"},
	{"/../../a", "/a"},
	{"/a/b/..", "/a/"},
	{"/a/b/.", "/a/b/"},
	{"/..", "/"},
	{"/.", "/"},
	{"/...", "/..."},
	{"/.a/..b/c.", "/.a/..b/c."},
	{"//a///b//", "/a/b/"},
	{"/a//../b", "/b"},
	{"/%41%7e%2D", "/A~-"},
	{"/%2f%25%3F%20", "/%2f%25%3F%20"},
	{"/a/%2e%2e/b", "/b"},
	{"/a/.%2e/%2e/b", "/b"},
	{"/a%", "/a%"},
	{"/a%4", "/a%4"},
	{"/a%4g", "/a%4g"},
};

START_TEST(paths_undone)
{
	const struct path *p = &paths[_i];
	size_t size = strlen(p->path), most = size > 0 ? size : 1;
	uint8_t *path = guard_copy(p->path, size), *out = guard_copy(NULL, most);
	struct text in = {(const char *)path, size};

	RIG_TEXT(http_route_path(in, (char *)out, most), p->want);
	for (size_t n = 0; n < strlen(p->want); n++) {
		struct text t = http_route_path(in, (char *)out + most - n, n);

		ck_assert(!t.p || t.p == in.p);
	}
	guard_free(path, size);
	guard_free(out, most);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_route");
	TCase *t = tcase_create("http_route");

	tcase_add_loop_test(t, routes, 0, N_OF(samples));
	tcase_add_test(t, by_name);
	tcase_add_test(t, copies);
	tcase_add_test(t, rules_refused);
	tcase_add_loop_test(t, paths_undone, 0, N_OF(paths));
	suite_add_tcase(suite, t);
	return rig_run(suite);
}
