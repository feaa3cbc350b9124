/*
 * proxy_world_conf.c - configurations for the proxy's world in tests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_world.h"

struct params *world_conf(void)
{
	struct params *p = calloc(1, sizeof(*p));

	p->services = calloc(PARAMS_SERVICES, sizeof(*p->services));
	p->targets = calloc(PARAMS_TARGETS, sizeof(*p->targets));
	p->target_lists = calloc(PARAMS_TARGET_LISTS, sizeof(*p->target_lists));
	p->stack_port = PARAMS_NO_PORT;
	p->l7.max_connections = 1000;
	p->l7.max_head = 16384;
	return p;
}

void world_conf_free(struct params *p)
{
	if (!p)
		return;
	free(p->services);
	free(p->targets);
	free(p->target_lists);
	free(p);
}

uint16_t world_service(struct params *p, const char *name)
{
	uint16_t i = (uint16_t)p->n_services++;
	struct service_params *s = &p->services[i];

	ck_assert_int_lt(i, PARAMS_SERVICES);
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->proto = 6;
	s->n_addresses = 1;
	ck_assert_int_eq(ipaddr_parse(&s->addresses[0], "192.0.2.1"), 0);
	s->n_ports = 1;
	s->ports[0] = (struct range){.lo = 80, .hi = 80};
	s->technology = TECHNOLOGY_L7_3;
	s->targets.first = p->n_target_lists;
	s->sorry = s->route_of = PARAMS_NONE;
#define DEFAULT_TIMEOUT(field, key, def) s->l7.field##_ms = (def);
	L7_TIMEOUT_LIST(DEFAULT_TIMEOUT)
#undef DEFAULT_TIMEOUT
	s->l7.max_idle = s->l7.max_queue = 16;
	return i;
}

uint16_t world_route(struct params *p, uint16_t service, const char *name)
{
	char full[PARAMS_NAME * 2];
	uint16_t i;

	snprintf(full, sizeof(full), "%s/%s", p->services[service].name, name);
	i = world_service(p, full);
	p->services[i].n_addresses = 0;
	p->services[i].route_of = service;
	p->services[i].l7 = p->services[service].l7;
	return i;
}

struct l7_params *world_l7(struct params *p, uint16_t service)
{
	return &p->services[service].l7;
}

static uint16_t target_of_name(struct params *p, const char *name)
{
	struct target_params *t;
	char address[ADDR_TEXT];

	for (uint16_t i = 0; i < p->n_targets; i++)
		if (strcmp(p->targets[i].name, name) == 0)
			return i;
	ck_assert_uint_lt(p->n_targets, PARAMS_TARGETS);
	t = &p->targets[p->n_targets];
	snprintf(t->name, sizeof(t->name), "%s", name);
	/* The same name is at the same address in every configuration. */
	snprintf(address, sizeof(address), "10.%u.%u.%u", (unsigned char)name[0],
		 name[0] ? (unsigned char)name[1] : 0, (unsigned)(strlen(name) & 255));
	t->has_v4 = true;
	ck_assert_int_eq(ipaddr_parse(&t->v4, address), 0);
	t->port = 8080;
	t->member = PARAMS_NONE;
	t->weight = 1;
	return (uint16_t)p->n_targets++;
}

uint16_t world_target(struct params *p, uint16_t service, const char *name)
{
	uint16_t target = target_of_name(p, name);
	struct slice *s = &p->services[service].targets;
	uint32_t at = s->first + s->n;

	memmove(&p->target_lists[at + 1], &p->target_lists[at],
		(p->n_target_lists - at) * sizeof(*p->target_lists));
	p->target_lists[at] = target;
	p->n_target_lists++;
	s->n++;
	for (uint32_t i = 0; i < p->n_services; i++)
		if (i != service && p->services[i].targets.first >= at)
			p->services[i].targets.first++;
	return target;
}

uint16_t world_member(struct params *p, const char *name)
{
	struct member_params *m = &p->members[p->n_members];

	ck_assert_uint_lt(p->n_members, PARAMS_MEMBERS);
	snprintf(m->name, sizeof(m->name), "%s", name);
	m->id = (uint16_t)(p->n_members + 1);
	return (uint16_t)p->n_members++;
}
