/*
 * sticky.c - clients that stay with their server by a cookie (HD-17).
 */
#include "proxy/session.h"

#define DAY_S 86400 /* that cookies are right for which end with the browser */
#define NS_PER_S UINT64_C(1000000000)

static struct text cookie_name(const struct l7_params *l7)
{
	return (struct text){l7->cookie_name, strlen(l7->cookie_name)};
}

static uint32_t wall_s(const struct proxy *p)
{
	return (uint32_t)(p->world.wall_ms(p->world.arg) / 1000);
}

static uint32_t age_s(const struct l7_params *l7)
{
	return l7->cookie_age_s ? l7->cookie_age_s : DAY_S;
}

static bool serves(const struct proxy *p, uint16_t service, uint16_t target)
{
	const struct slice *t = &proxy_service_params(p, service)->targets;

	for (uint32_t i = 0; i < t->n; i++)
		if (p->params->target_lists[t->first + i] == target)
			return true;
	return false;
}

static uint16_t target_by_name(const struct proxy *p, struct text name)
{
	for (uint16_t i = 0; i < p->params->n_targets; i++) {
		const char *known = p->params->targets[i].name;

		if (text_eq(name, (struct text){known, strlen(known)}))
			return i;
	}
	return PARAMS_NONE;
}

static bool is_own(const struct proxy *p, uint16_t target)
{
	return target != PARAMS_NONE && p->params->targets[target].n_via == 0;
}

/* What a cookie says. */
struct named {
	uint16_t target; /* of the configuration, or PARAMS_NONE */
	uint32_t server; /* its name's id */
};

/* One value of the server's own cookie. */
static enum cookie_verdict judge_value(const struct proxy *p, const struct session *s,
				       struct text value, struct named *n)
{
	char text[PARAMS_NAME];
	struct text name;

	if (!cookie_pattern_match(&p->services[s->service].pattern, value, &name))
		return COOKIE_FORGED;
	n->target = target_by_name(p, name);
	if (is_own(p, n->target))
		return COOKIE_VALID;
	if (!relay_may_seek(p, s) || name.size == 0 || name.size >= sizeof(text))
		return n->target != PARAMS_NONE ? COOKIE_VALID : COOKIE_FORGED;
	memcpy(text, name.p, name.size);
	text[name.size] = 0;
	n->server = proxy_name_id(text);
	return COOKIE_VALID;
}

/* The server's own cookie: valid when it names any target; one of this node's goes first. */
static enum cookie_verdict judge_own(const struct proxy *p, const struct session *s,
				     const struct http_head *h, struct named *n)
{
	struct cookie_walk walk = cookie_walk(h, cookie_name(session_rules(p, s)));
	enum cookie_verdict v = COOKIE_ABSENT;
	struct text value;

	for (unsigned i = 0; i < COOKIE_CANDIDATES && cookie_walk_next(&walk, &value); i++) {
		struct named one = {.target = PARAMS_NONE};
		enum cookie_verdict of_one = judge_value(p, s, value, &one);

		if (v != COOKIE_VALID || (of_one == COOKIE_VALID && is_own(p, one.target))) {
			v = of_one;
			*n = one;
		}
		if (is_own(p, n->target))
			break;
	}
	return v;
}

static enum cookie_verdict judge_token(struct proxy *p, struct session *s,
				       const struct http_head *h, struct named *n)
{
	const struct l7_params *l7 = session_rules(p, s);
	uint32_t now = wall_s(p);
	struct cookie_token t;
	enum cookie_verdict v = cookie_judge(&t, &p->services[s->service].keys, h, cookie_name(l7),
					     l7->cookie == L7_COOKIE_PREFIX, now);

	if (v == COOKIE_VALID) {
		n->target = proxy_target_by_id(p, t.server);
		n->server = t.server;
		s->x.renew = t.expires_s - now < age_s(l7) / 2;
	}
	return v;
}

/* Whether the client of a cookie may stay with its target. */
static bool stays(struct proxy *p, const struct session *s, uint16_t target)
{
	uint64_t since = 0;

	if (target == PARAMS_NONE || (!l7_is_relay(target) && !serves(p, s->pool, target)))
		return false;
	switch (p->world.standing(p->world.arg, target, &since)) {
	case L7_TARGET_TAKES:
		return true;
	case L7_TARGET_DRAINED:
		return p->now_ns < since + session_rules(p, s)->cookie_drain_s * NS_PER_S;
	default:
		return false;
	}
}

/* A cookie of a client that also uses another route of the service, with targets of its own: it is
 * left as it is, or going to and fro would cost the client its server each time. */
static bool is_of_another_route(struct proxy *p, const struct session *s, uint16_t target)
{
	uint64_t since;

	if (target == PARAMS_NONE || l7_is_relay(target) || serves(p, s->pool, target))
		return false;
	/* What others are connected to never stands here. */
	if (is_own(p, target) && p->world.standing(p->world.arg, target, &since) == L7_TARGET_DOWN)
		return false;
	for (uint16_t i = s->service; i < p->params->n_services; i++) {
		if (i != s->service && proxy_service_params(p, i)->route_of != s->service)
			break; /* routes follow their service */
		if (serves(p, i, target))
			return true;
	}
	return false;
}

static void count(struct proxy *p, struct session *s, enum cookie_verdict v)
{
	switch (v) {
	case COOKIE_ABSENT:
		session_count(p, s, cookie_absent, 1);
		break;
	case COOKIE_FORGED:
		session_count(p, s, cookie_forged, 1);
		break;
	case COOKIE_UNKNOWN:
		session_count(p, s, cookie_unknown, 1);
		break;
	case COOKIE_EXPIRED:
		session_count(p, s, cookie_expired, 1);
		break;
	default:
		session_count(p, s, cookie_valid, 1);
	}
}

static void judged(struct proxy *p, struct session *s, enum cookie_verdict v)
{
	count(p, s, v);
	s->x.cookie = cookie_verdict_name(v);
}

/* A right one. */
static void stick(struct proxy *p, struct session *s, uint16_t target)
{
	judged(p, s, COOKIE_VALID);
	if (stays(p, s, target))
		s->x.stick = target;
	else if (is_of_another_route(p, s, target))
		s->x.leave = true;
	else
		session_count(p, s, cookie_moved, 1);
}

void sticky_found(struct proxy *p, struct session *s, uint16_t target)
{
	if (target != PARAMS_NONE)
		stick(p, s, target);
	else
		judged(p, s, COOKIE_UNKNOWN);
}

bool sticky_judge(struct proxy *p, struct session *s, const struct http_head *h)
{
	const struct l7_params *l7 = session_rules(p, s);
	struct named n = {.target = PARAMS_NONE};
	enum cookie_verdict v;

	if (l7->cookie == L7_COOKIE_NONE)
		return true;
	v = l7->cookie == L7_COOKIE_OWN ? judge_own(p, s, h, &n) : judge_token(p, s, h, &n);
	if (v != COOKIE_VALID)
		judged(p, s, v);
	else if (is_own(p, n.target) || !relay_may_seek(p, s) ||
		 is_of_another_route(p, s, n.target))
		stick(p, s, n.target);
	else
		return relay_seek(p, s, n.server);
	return true;
}

/* --- the cookie that the client gets ---------------------------------------------------------- */

static bool sets_cookie(const struct http_head *h, struct text name)
{
	const struct http_field *f;
	unsigned at = 0;

	while ((f = http_field_next(h, FIELD_SET_COOKIE, &at)))
		if (text_eq(cookie_set_pair(http_text(h, f->value)).name, name))
			return true;
	return false;
}

static void token_make(struct proxy *p, const struct session *s, uint16_t target,
		       char token[COOKIE_TOKEN + 1])
{
	struct cookie_token t = {.server = p->target_ids[target],
				 .expires_s = wall_s(p) + age_s(session_rules(p, s)),
				 .salt = p->salt++};

	cookie_token_make(token, &p->services[s->service].keys, &t);
}

static void insert(struct proxy *p, struct session *s, uint16_t target,
		   struct http_response_edit *e, struct sticky *room)
{
	const struct l7_params *l7 = session_rules(p, s);
	struct wcur w = wcur_init(room->lines, sizeof(room->lines));
	struct http_set_cookie c = {.name = cookie_name(l7),
				    .max_age_s = l7->cookie_age_s,
				    .domain = {l7->cookie_domain, strlen(l7->cookie_domain)},
				    .secure = l7->cookie_secure};

	token_make(p, s, target, room->token);
	c.value = (struct text){room->token, COOKIE_TOKEN};
	http_write_set_cookie(&w, &c);
	if (!wcur_ok(&w))
		return;
	e->lines = (struct text){room->lines, wcur_size(&w)};
	session_count(p, s, cookie_made, 1);
}

void sticky_edit(struct proxy *p, struct session *s, const struct http_head *h,
		 struct http_response_edit *e, struct sticky *room)
{
	const struct l7_params *l7 = session_rules(p, s);
	uint16_t target = s->x.next != PARAMS_NONE ? s->x.next : s->target;

	/* The sorry server keeps nobody. */
	if (s->service == PARAMS_NONE || s->pool == PARAMS_NONE || target == PARAMS_NONE ||
	    l7_is_relay(target) || p->services[s->service].keys.n == 0 ||
	    !serves(p, s->pool, target))
		return;
	if (l7->cookie == L7_COOKIE_INSERT && !s->x.leave && (s->x.stick != target || s->x.renew))
		insert(p, s, target, e, room);
	if (l7->cookie == L7_COOKIE_PREFIX && sets_cookie(h, cookie_name(l7))) {
		token_make(p, s, target, room->token);
		e->prefix_name = cookie_name(l7);
		e->prefix_token = (struct text){room->token, COOKIE_TOKEN};
		session_count(p, s, cookie_made, 1);
	}
}
