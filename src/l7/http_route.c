#include "l7/http_route.h"

#include <stdlib.h>

#include "l7/cookie.h"

struct http_route {
	size_t n;
	struct http_route_rule *rules; /* their texts are copies in `texts` */
	char *texts;
};

static struct text text_from(const char *s)
{
	return (struct text){s, s ? strlen(s) : 0};
}

/* --- paths ------------------------------------------------------------------------------------ */

static bool is_unreserved(char c)
{
	return (text_is((uint8_t)c, TEXT_HOST)) || c == '~';
}

/* One character of a path, an escape of an unreserved one undone; advances `*at`. */
static char next_char(struct text path, size_t *at)
{
	char c = path.p[(*at)++];
	int high, low;

	if (c != '%' || path.size - *at < 2)
		return c;
	high = text_hex(path.p[*at]);
	low = text_hex(path.p[*at + 1]);
	if (high < 0 || low < 0 || !is_unreserved((char)(high << 4 | low)))
		return c;
	*at += 2;
	return (char)(high << 4 | low);
}

/* The segment that `out` ends with is whole: "." and ".." go, the latter with the one before it.
 * Returns the new size; out[0] is '/'. */
static size_t end_segment(const char *out, size_t size)
{
	size_t begin = size;

	while (out[begin - 1] != '/')
		begin--;
	if (size - begin == 1 && out[begin] == '.')
		return begin;
	if (size - begin != 2 || out[begin] != '.' || out[begin + 1] != '.')
		return size;
	if (begin == 1)
		return begin;
	begin--;
	while (out[begin - 1] != '/')
		begin--;
	return begin;
}

static bool needs_undoing(struct text path)
{
	for (size_t i = 0; i < path.size; i++)
		if (path.p[i] == '%' || (path.p[i] == '/' && i + 1 < path.size &&
					 (path.p[i + 1] == '.' || path.p[i + 1] == '/')))
			return true;
	return false;
}

struct text http_route_path(struct text path, char *out, size_t size)
{
	size_t at = 0, n = 0;

	if (path.size == 0 || path.p[0] != '/' || !needs_undoing(path))
		return path;
	while (at < path.size) {
		char c = next_char(path, &at);

		if (c == '/' && n > 0)
			n = end_segment(out, n);
		if (c == '/' && n > 0 && out[n - 1] == '/')
			continue;
		if (n == size)
			return (struct text){NULL, 0};
		out[n++] = c;
	}
	return (struct text){out, end_segment(out, n)};
}

/* --- rules ------------------------------------------------------------------------------------ */

static bool host_fits(struct text rule, struct text host)
{
	if (rule.size == 0 || rule.p[0] != '*')
		return text_eq_nocase(rule, host);
	rule = text_after(rule, 1);
	return host.size > rule.size &&
	       text_eq_nocase(text_after(host, host.size - rule.size), rule);
}

/* A prefix of whole segments. */
static bool path_fits(struct text rule, struct text path)
{
	if (!text_starts(path, rule))
		return false;
	return path.size == rule.size || rule.p[rule.size - 1] == '/' || path.p[rule.size] == '/';
}

static bool header_fits(const struct http_route_rule *rule, const struct http_head *h)
{
	struct text name = text_from(rule->header), value = text_from(rule->header_value);

	for (unsigned i = 0; i < h->n_fields; i++)
		if (text_eq_nocase(http_text(h, h->fields[i].name), name) &&
		    (!rule->header_value || text_eq(http_text(h, h->fields[i].value), value)))
			return true;
	return false;
}

static bool rule_fits(const struct http_route_rule *rule, const struct http_head *h,
		      struct text path)
{
	if (rule->host && !host_fits(text_from(rule->host), http_text(h, h->host)))
		return false;
	if (rule->path && !path_fits(text_from(rule->path), path))
		return false;
	if (rule->method && !text_eq(text_from(rule->method), http_text(h, h->method_name)))
		return false;
	if (rule->header && !header_fits(rule, h))
		return false;
	return !rule->cookie || cookie_present(h, text_from(rule->cookie));
}

const struct http_route_rule *http_route_find(const struct http_route *r, const struct http_head *h)
{
	char undone[HTTP_ROUTE_PATH_MAX];
	struct text path = http_route_path(http_text(h, h->path), undone, sizeof(undone));

	/* "http://host" asks for the same as "http://host/" (RFC 9110 section 4.2.3). */
	if (h->form == FORM_ABSOLUTE && h->path.size == 0)
		path = TEXT("/");
	for (size_t i = 0; i < r->n; i++)
		if (rule_fits(&r->rules[i], h, path))
			return &r->rules[i];
	return NULL;
}

static bool only_host(const struct http_route_rule *rule)
{
	return !rule->path && !rule->method && !rule->header && !rule->cookie;
}

const struct http_route_rule *http_route_find_name(const struct http_route *r, struct text name)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct http_route_rule *rule = &r->rules[i];

		if (only_host(rule) && (!rule->host || host_fits(text_from(rule->host), name)))
			return rule;
	}
	return NULL;
}

/* --- making ----------------------------------------------------------------------------------- */

static bool host_can_be(struct text host)
{
	if (host.size > 2 && host.p[0] == '*' && host.p[1] == '.')
		host = text_after(host, 2);
	if (host.size > 0 && host.p[0] == '[')
		return host.p[host.size - 1] == ']';
	return host.size > 0 && host.size <= HTTP_HOST_MAX && text_all(host, TEXT_HOST) &&
	       host.p[0] != '.' && host.p[host.size - 1] != '.';
}

static bool name_can_be(const char *name)
{
	return !name || (name[0] != '\0' && text_all(text_from(name), TEXT_TOKEN));
}

static bool can_be(const struct http_route_rule *rule)
{
	if (rule->host && !host_can_be(text_from(rule->host)))
		return false;
	if (rule->path && (rule->path[0] != '/' || !text_all(text_from(rule->path), TEXT_TARGET)))
		return false;
	if (rule->header_value && !rule->header)
		return false;
	return name_can_be(rule->method) && name_can_be(rule->header) && name_can_be(rule->cookie);
}

/* The six texts of a rule, to be sized and copied alike. */
#define N_TEXTS 6
static void texts_of(struct http_route_rule *rule, const char **out[N_TEXTS])
{
	out[0] = &rule->host;
	out[1] = &rule->path;
	out[2] = &rule->method;
	out[3] = &rule->header;
	out[4] = &rule->header_value;
	out[5] = &rule->cookie;
}

static size_t texts_size(const struct http_route_rule *rules, size_t n)
{
	size_t size = 1;

	for (size_t i = 0; i < n; i++) {
		struct http_route_rule rule = rules[i];
		const char **texts[N_TEXTS];

		texts_of(&rule, texts);
		for (unsigned j = 0; j < N_TEXTS; j++)
			size += *texts[j] ? strlen(*texts[j]) + 1 : 0;
	}
	return size;
}

static void copy_texts(struct http_route *r)
{
	char *to = r->texts;

	for (size_t i = 0; i < r->n; i++) {
		const char **texts[N_TEXTS];

		texts_of(&r->rules[i], texts);
		for (unsigned j = 0; j < N_TEXTS; j++) {
			size_t size = *texts[j] ? strlen(*texts[j]) + 1 : 0;

			if (size == 0)
				continue;
			memcpy(to, *texts[j], size);
			*texts[j] = to;
			to += size;
		}
	}
}

struct http_route *http_route_new(const struct http_route_rule *rules, size_t n, size_t *bad)
{
	struct http_route *r;

	*bad = n;
	for (size_t i = 0; i < n; i++) {
		if (!can_be(&rules[i])) {
			*bad = i;
			return NULL;
		}
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->n = n;
	r->rules = calloc(n > 0 ? n : 1, sizeof(*r->rules));
	r->texts = malloc(texts_size(rules, n));
	if (!r->rules || !r->texts) {
		http_route_free(r);
		return NULL;
	}
	if (n > 0)
		memcpy(r->rules, rules, n * sizeof(*rules));
	copy_texts(r);
	return r;
}

void http_route_free(struct http_route *r)
{
	if (!r)
		return;
	free(r->rules);
	free(r->texts);
	free(r);
}
