/*
 * fuzz_conf.c - the configuration parser on any text.
 *
 * include() with a pattern is left alone: it would walk this machine's file system.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_port(const struct params *p, uint16_t port)
{
	return port < p->n_ports;
}

static void judge_service(const struct params *p, const struct service_params *s)
{
	bool route = s->route_of != PARAMS_NONE;

	if ((s->n_addresses == 0) != route || s->n_addresses > PARAMS_SERVICE_ADDRS ||
	    s->targets.n == 0 || s->targets.first + s->targets.n > p->n_target_lists ||
	    s->n_ports > PARAMS_SERVICE_RANGES || s->n_sources > PARAMS_SOURCES ||
	    (s->proto != 6 && s->proto != 17) ||
	    (s->sorry != PARAMS_NONE && s->sorry >= p->n_targets))
		abort();
	for (uint32_t i = 0; i < s->targets.n; i++) {
		uint16_t index = p->target_lists[s->targets.first + i];
		if (index >= p->n_targets || index == s->sorry)
			abort();
	}
}

/* Somebody of the service's targets is connected to this node; others only by relay. */
static void judge_remote(const struct params *p, const struct service_params *s)
{
	bool relay = technology_is_l7(s->technology) &&
		     (s->l7.relay == L7_RELAY_CONFIG || s->l7.relay == L7_RELAY_BOTH);
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->targets.n; i++)
		n += p->targets[p->target_lists[s->targets.first + i]].n_via > 0;
	if (n == s->targets.n || (n > 0 && !relay))
		abort();
	if (s->sorry != PARAMS_NONE && p->targets[s->sorry].n_via > 0)
		abort();
}

/* The ports of the private stacks are the last ones. */
static void judge_stacks(const struct params *p, bool l7, bool by_mac)
{
	uint32_t n = p->n_ports;

	if (l7 != (p->stack_port != PARAMS_NO_PORT) || by_mac != (p->legs_port != PARAMS_NO_PORT))
		abort();
	if (by_mac && (p->legs_port != --n || !p->ports[p->legs_port].is_stack))
		abort();
	if (l7 && (p->stack_port != --n || !p->ports[p->stack_port].is_stack))
		abort();
}

/* A route stands behind its service; and whoever serves by L7 has a port for it. */
static void judge_l7(const struct params *p)
{
	bool l7 = false, by_mac = false;

	for (uint32_t i = 0; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];
		bool by_l7 = technology_is_l7(s->technology);

		l7 |= by_l7;
		by_mac |=
			by_l7 && (s->technology == TECHNOLOGY_L7_2 || s->l7.relay != L7_RELAY_NONE);
		if (s->l7.relay != L7_RELAY_NONE &&
		    (!p->cluster.enabled || s->l7.cookie == L7_COOKIE_NONE))
			abort();
		judge_remote(p, s);
		if (s->route_of != PARAMS_NONE && (s->route_of >= i || !by_l7))
			abort();
		if (by_l7 && (s->proto != 6 || s->n_ports == 0 || s->n_sources > 0))
			abort();
		if (by_l7 && s->l7.cookie != L7_COOKIE_NONE && !*s->l7.cookie_name)
			abort();
		for (uint32_t j = 0; by_l7 && j < s->targets.n; j++)
			if (p->targets[p->target_lists[s->targets.first + j]].member != PARAMS_NONE)
				abort();
	}
	judge_stacks(p, l7, by_mac);
}

static void judge_dispatch(const struct params *p)
{
	unsigned n_serving = 0;

	for (uint32_t i = 0; i < p->n_dispatchers; i++) {
		const struct dispatcher_params *d = &p->dispatchers[i];
		n_serving += d->role != DISPATCH_OUTER;
		if (d->firewall_port == PARAMS_NO_PORT
			    ? d->role != DISPATCH_STAGE
			    : !is_port(p, d->firewall_port) || p->n_paths == 0)
			abort();
		if (d->n_ports == 0 || d->n_from > p->n_members)
			abort();
		for (uint32_t j = 0; j < d->n_ports; j++)
			if (!is_port(p, d->ports[j]) || d->ports[j] == d->firewall_port)
				abort();
	}
	if (n_serving > 1 || (p->n_services > 0 && n_serving == 0))
		abort();
	for (uint32_t i = 0; i < p->n_services; i++)
		judge_service(p, &p->services[i]);
	for (uint32_t i = 0; i < p->n_targets; i++) {
		const struct target_params *t = &p->targets[i];
		bool member = t->member != PARAMS_NONE;
		if (member ? t->member >= p->n_members : !t->has_v4 && !t->has_v6 && t->n_via == 0)
			abort();
		if (t->n_via > PARAMS_VIA || (t->n_via > 0 && t->check.kind != CHECK_NONE))
			abort();
		for (uint32_t j = 0; j < t->n_via; j++)
			if (t->via[j] >= p->n_members || t->via[j] == p->self)
				abort();
	}
	for (uint32_t i = 0; i < p->n_paths; i++)
		if (p->paths[i].id == 0 || p->paths[i].n_addresses == 0)
			abort();
}

/* Every accepted configuration is usable as it stands: what others rely on holds. */
static void judge(const struct params *p)
{
	if (p->n_ports == 0 || p->n_ports > PARAMS_PORTS || p->n_members > PARAMS_MEMBERS)
		abort();
	if (p->cluster.enabled && (p->self >= p->n_members || p->node_id == 0))
		abort();
	if (!p->firewall.enabled && p->n_dispatchers == 0)
		abort();
	if (p->firewall.max_half_open > p->firewall.max_flows)
		abort();
	judge_dispatch(p);
	judge_l7(p);
	for (uint32_t i = 0; i < p->firewall.n_rules; i++) {
		const struct rule_params *r = &p->firewall.rules[i];
		if (r->from.first + r->from.n > p->firewall.n_prefixes ||
		    r->dports.first + r->dports.n > p->firewall.n_ranges ||
		    (r->in_port != PARAMS_NO_PORT && r->in_port >= p->n_ports) || !*r->name)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	FILE *errors = fopen("/dev/null", "w");
	unsigned n = 0;

	if (!text || !errors)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (!strstr(text, "include")) {
		struct params *p = conf_parse("fuzz", text, errors, &n);
		if ((p == NULL) != (n > 0))
			abort();
		if (p)
			judge(p);
		conf_free(p);
	}
	fclose(errors);
	free(text);
	return 0;
}
