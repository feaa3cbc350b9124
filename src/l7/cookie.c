#include "l7/cookie.h"

#include <errno.h>

bool cookie_next(struct text *rest, struct cookie_pair *pair)
{
	while (rest->size > 0) {
		size_t end = text_find(*rest, ';'), equals;
		struct text whole = text_trim(text_first(*rest, end));

		*rest = text_after(*rest, end + 1);
		if (whole.size == 0)
			continue;
		equals = text_find(whole, '=');
		if (equals == whole.size) {
			*pair = (struct cookie_pair){text_first(whole, 0), whole, whole};
			return true;
		}
		pair->name = text_trim(text_first(whole, equals));
		pair->value = text_trim(text_after(whole, equals + 1));
		pair->whole = whole;
		return true;
	}
	return false;
}

struct cookie_walk cookie_walk(const struct http_head *h, struct text name)
{
	return (struct cookie_walk){.head = h, .name = name};
}

bool cookie_walk_next(struct cookie_walk *w, struct text *value)
{
	const struct http_field *f;
	struct cookie_pair pair;

	for (;;) {
		while (cookie_next(&w->rest, &pair)) {
			if (!text_eq(pair.name, w->name))
				continue;
			*value = pair.value;
			return true;
		}
		f = http_field_next(w->head, FIELD_COOKIE, &w->field);
		if (!f)
			return false;
		w->rest = http_text(w->head, f->value);
	}
}

bool cookie_present(const struct http_head *h, struct text name)
{
	struct cookie_walk w = cookie_walk(h, name);
	struct text value;

	return cookie_walk_next(&w, &value);
}

struct cookie_pair cookie_set_pair(struct text value)
{
	struct text rest = text_first(value, text_find(value, ';'));
	struct text none = text_first(value, 0);
	struct cookie_pair pair = {none, none, none};

	(void)cookie_next(&rest, &pair);
	return pair;
}

bool cookie_is_token(struct text t)
{
	return t.size == COOKIE_TOKEN && text_all(t, TEXT_HOST) && text_find(t, '.') == t.size;
}

struct text cookie_prefix(struct text value)
{
	struct text token = text_first(value, COOKIE_TOKEN);

	if (value.size > COOKIE_TOKEN && value.p[COOKIE_TOKEN] == COOKIE_SEPARATOR &&
	    cookie_is_token(token))
		return token;
	return text_first(value, 0);
}

enum cookie_verdict cookie_judge(struct cookie_token *t, const struct cookie_keys *k,
				 const struct http_head *h, struct text name, bool prefixed,
				 uint32_t now_s)
{
	struct cookie_walk w = cookie_walk(h, name);
	enum cookie_verdict best = COOKIE_ABSENT;
	struct text value;

	for (unsigned i = 0; i < COOKIE_CANDIDATES && cookie_walk_next(&w, &value); i++) {
		struct cookie_token token;
		enum cookie_verdict v;

		/* A server's cookie without a token is as it was before there was a dispatcher. */
		if (prefixed && cookie_prefix(value).size == 0)
			continue;
		v = cookie_token_read(&token, k, prefixed ? cookie_prefix(value) : value, now_s);
		if (v <= best)
			continue;
		best = v;
		if (v >= COOKIE_EXPIRED)
			*t = token;
		if (v == COOKIE_VALID)
			break;
	}
	return best;
}

/* --- patterns --------------------------------------------------------------------------------- */

static struct text literal_of(const struct cookie_pattern *p, unsigned i)
{
	return (struct text){p->literal[i], p->size[i]};
}

static int compile_mark(struct cookie_pattern *p, char c, unsigned *part, bool *percent)
{
	bool *seen = c == '%' ? percent : &p->star;

	if (*seen || (*part == 1 && p->size[1] == 0))
		return -EINVAL;
	if (c == '*')
		p->star_first = !*percent;
	*seen = true;
	++*part;
	return 0;
}

int cookie_pattern_compile(struct cookie_pattern *p, struct text text)
{
	unsigned part = 0;
	bool percent = false;
	int r;

	*p = (struct cookie_pattern){.star = false};
	for (size_t i = 0; i < text.size; i++) {
		char c = text.p[i];

		if (c == '%' || c == '*') {
			r = compile_mark(p, c, &part, &percent);
			if (r < 0)
				return r;
			continue;
		}
		if (p->size[part] == COOKIE_PATTERN_MAX)
			return -E2BIG;
		p->literal[part][p->size[part]++] = c;
	}
	return percent ? 0 : -EINVAL;
}

/* Offset of the first or the last place of `what` in `t`; t.size + 1 when there is none. */
static size_t place_of(struct text t, struct text what, bool last)
{
	size_t found = t.size + 1;

	for (size_t i = 0; i + what.size <= t.size; i++) {
		if (memcmp(t.p + i, what.p, what.size) != 0)
			continue;
		found = i;
		if (!last)
			break;
	}
	return found;
}

static bool is_server_name(struct text t)
{
	return t.size > 0 && text_all(t, TEXT_HOST);
}

bool cookie_pattern_match(const struct cookie_pattern *p, struct text value, struct text *server)
{
	struct text before = literal_of(p, 0), between = literal_of(p, 1);
	struct text behind = literal_of(p, p->star ? 2 : 1), middle;
	size_t at;

	if (value.size < before.size + behind.size || !text_starts(value, before) ||
	    !text_eq(text_after(value, value.size - behind.size), behind))
		return false;
	middle = text_after(text_first(value, value.size - behind.size), before.size);
	*server = middle;
	if (p->star) {
		at = place_of(middle, between, p->star_first);
		if (at > middle.size)
			return false;
		*server = p->star_first ? text_after(middle, at + between.size)
					: text_first(middle, at);
	}
	return is_server_name(*server);
}
