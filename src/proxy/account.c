/*
 * account.c - what is counted of requests, and their records in the log.
 */
#include "proxy/session.h"

#define NS_PER_US 1000

static uint32_t us_between(uint64_t from_ns, uint64_t to_ns)
{
	uint64_t us = to_ns > from_ns ? (to_ns - from_ns) / NS_PER_US : 0;

	return us < ACCESS_LOG_UNKNOWN ? (uint32_t)us : ACCESS_LOG_UNKNOWN - 1;
}

uint32_t account_us(const struct proxy *p, const struct session *s)
{
	return us_between(s->x.began_ns, p->now_ns);
}

void account_connection(struct proxy *p, struct session *s, bool begins)
{
	struct l7_service_counts *c;

	session_count_relay(p, s, connections, begins);
	session_count_relay(p, s, connections_open, begins ? 1 : -1);
	if (s->service == PARAMS_NONE)
		return;
	c = p->world.service_counts(p->world.arg, s->service);
	c->connections += begins;
	c->connections_open += begins ? 1 : UINT64_MAX;
}

void account_begin(struct proxy *p, struct session *s)
{
	s->x.open = true;
	session_count(p, s, requests, 1);
	session_count(p, s, requests_open, 1);
	session_count_relay(p, s, requests, 1);
	session_count_relay(p, s, requests_open, 1);
}

void account_flow(struct proxy *p, struct session *s, bool begins)
{
	if (s->x.flows == begins)
		return;
	s->x.flows = begins;
	if (s->relayed)
		p->world.serves(p->world.arg, &s->from, &s->to, begins ? s->target : PARAMS_NONE);
	if (s->target == PARAMS_NONE)
		return;
	session_count_target(p, s, requests, begins);
	session_count_target(p, s, requests_open, begins ? 1 : -1);
	p->world.flow(p->world.arg, s->target, begins);
}

/* A connection that was opened for this request took its time; before that, or for one that others
 * had, the request was in line. */
void account_granted(struct proxy *p, struct session *s)
{
	const struct server_conn *c = s->wish.conn;
	uint64_t asked = s->wish.asked_ns, began = c->began_ns;

	if (c->requests > 0)
		began = p->now_ns;
	else if (began < asked)
		began = asked;
	s->x.queue_us = us_between(asked, began);
	s->x.connect_us = us_between(began, p->now_ns);
	session_count(p, s, us_queue, s->x.queue_us);
	session_count(p, s, us_connect, s->x.connect_us);
}

void account_status(struct proxy *p, struct session *s, unsigned status)
{
	switch (status / 100) {
	case 1:
		session_count(p, s, status_1xx, 1);
		break;
	case 2:
		session_count(p, s, status_2xx, 1);
		break;
	case 3:
		session_count(p, s, status_3xx, 1);
		break;
	case 4:
		session_count(p, s, status_4xx, 1);
		break;
	default:
		session_count(p, s, status_5xx, 1);
		break;
	}
	if (status >= 200 || status == 101)
		s->x.status = (uint16_t)status;
}

void account_server_error(struct proxy *p, struct session *s)
{
	session_count(p, s, server_errors, 1);
	session_count_target(p, s, errors, 1);
}

static struct text text_at(const struct session *s, struct span at)
{
	if (at.size == 0)
		return (struct text){NULL, 0};
	return text_of(s->texts ? s->texts : (const char *)s->in->bytes, at);
}

static struct text name_of(const char *name)
{
	return (struct text){name, strlen(name)};
}

/* A relay has that of the dispatcher. */
static const char *target_name(const struct proxy *p, uint16_t target)
{
	return l7_is_relay(target) ? p->params->members[l7_relay_member(target)].name
				   : p->params->targets[target].name;
}

static void log_record(struct proxy *p, struct session *s)
{
	const struct exchange *x = &s->x;
	uint16_t service = s->pool != PARAMS_NONE ? s->pool : s->service;
	struct access_record r = {
		.time_ms = x->wall_ms,
		.client = s->from,
		.method = text_at(s, x->method_name),
		.target = text_at(s, x->target),
		.host = text_at(s, x->host),
		.referer = text_at(s, x->referer),
		.user_agent = text_at(s, x->agent),
		.minor = x->minor,
		.status = x->status,
		.received = s->up.body.content,
		.sent = s->down.body.content,
		.cookie = x->cookie,
		.reason = x->reason,
		.queue_us = x->queue_us,
		.connect_us = x->connect_us,
		.first_byte_us = x->first_byte_us,
		.total_us = account_us(p, s),
	};

	if (s->hello)
		r.host = (struct text){s->hello->name, s->hello->name_size};
	if (service != PARAMS_NONE)
		r.service = name_of(proxy_service_params(p, service)->name);
	if (s->target != PARAMS_NONE)
		r.server = name_of(target_name(p, s->target));
	p->world.log(p->world.arg, service, &r);
}

static void relay_end(struct proxy *p, struct session *s, bool whole)
{
	unsigned status = s->x.status;

	session_count_relay(p, s, requests_open, -1);
	session_count_relay(p, s, bytes_in, s->up.body.content);
	session_count_relay(p, s, bytes_out, s->down.body.content);
	if (!whole || (status >= 502 && status <= 504))
		session_count_relay(p, s, errors, 1);
}

void account_end(struct proxy *p, struct session *s, bool whole)
{
	if (!s->x.open)
		return;
	s->x.open = false;
	session_count(p, s, requests_open, -1);
	session_count(p, s, bytes_in, s->up.body.content);
	session_count(p, s, bytes_out, s->down.body.content);
	session_count_target(p, s, bytes_in, s->up.body.content);
	session_count_target(p, s, bytes_out, s->down.body.content);
	relay_end(p, s, whole);
	session_count(p, s, us_total, account_us(p, s));
	account_flow(p, s, false);
	log_record(p, s);
}
