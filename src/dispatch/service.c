#include "dispatch/service.h"

#include <stdlib.h>

#include "base/hash.h"

/*
 * One hash holds three kinds of keys: an address and a protocol that a service listens to; the same
 * for what a server with affinity speaks as; and every address of any service. What strangers send
 * is only looked up, never stored, so the hash needs no secret.
 */
#define KIND_ASKED 0x000U
#define KIND_SERVER 0x100U
#define KIND_ADDRESS 0x200U

struct place {
	struct ipaddr addr;
	uint16_t kind; /* and protocol */
	bool used;
	uint16_t service, target; /* KIND_SERVER */
	uint32_t first, n;	  /* KIND_ASKED: of claims */
};

/* Ports of an address and protocol that a service claims; in the order of the file. */
struct claim {
	uint16_t lo, hi, service;
};

struct service_table {
	struct place *places;
	size_t mask;
	struct claim *claims;
};

static struct place *place_probe(const struct service_table *t, const struct ipaddr *a,
				 uint16_t kind)
{
	static const struct hash_key key = {.k0 = 0x73657276696365ULL};
	uint64_t words[3] = {a->q[0], a->q[1], kind};
	size_t i = (size_t)hash_words(&key, words, 3) & t->mask;

	while (t->places[i].used &&
	       (t->places[i].kind != kind || !ipaddr_eq(&t->places[i].addr, a)))
		i = (i + 1) & t->mask;
	return &t->places[i];
}

static struct place *place_find(const struct service_table *t, const struct ipaddr *a,
				uint16_t kind)
{
	struct place *p = place_probe(t, a, kind);

	return p->used ? p : NULL;
}

/* *added: it was not there before. */
static struct place *place_get(struct service_table *t, const struct ipaddr *a, unsigned kind,
			       bool *added)
{
	struct place *p = place_probe(t, a, (uint16_t)kind);

	*added = !p->used;
	p->used = true;
	p->addr = *a;
	p->kind = (uint16_t)kind;
	return p;
}

static uint32_t n_claims(const struct service_params *s)
{
	return s->n_ports ? s->n_ports : 1;
}

/* Every address, and how many claims there are on it. */
static void add_addresses(struct service_table *t, const struct service_params *s)
{
	bool added;

	for (uint32_t i = 0; i < s->n_addresses; i++) {
		place_get(t, &s->addresses[i], KIND_ADDRESS, &added);
		place_get(t, &s->addresses[i], KIND_ASKED | s->proto, &added)->n += n_claims(s);
	}
}

/* Give each address its part of the claims, still empty. */
static void cut_claims(struct service_table *t)
{
	uint32_t first = 0;

	for (size_t i = 0; i <= t->mask; i++) {
		t->places[i].first = first;
		first += t->places[i].n;
		t->places[i].n = 0;
	}
}

static void add_claims(struct service_table *t, const struct service_params *s, uint16_t index)
{
	static const struct range any = {.lo = 0, .hi = UINT16_MAX};

	for (uint32_t i = 0; i < s->n_addresses; i++) {
		struct place *p = place_find(t, &s->addresses[i], s->proto);
		for (uint32_t k = 0; k < n_claims(s); k++) {
			const struct range *r = s->n_ports ? &s->ports[k] : &any;
			t->claims[p->first + p->n++] =
				(struct claim){.lo = r->lo, .hi = r->hi, .service = index};
		}
	}
}

static void add_server(struct service_table *t, const struct ipaddr *a, uint8_t proto,
		       uint16_t service, uint16_t target)
{
	bool added;
	struct place *p = place_get(t, a, KIND_SERVER | proto, &added);

	if (!added)
		return;
	p->service = service;
	p->target = target;
}

static void add_target(struct service_table *t, const struct params *params, uint16_t service,
		       uint16_t target)
{
	const struct target_params *x = &params->targets[target];
	uint8_t proto = params->services[service].proto;

	if (x->has_v4)
		add_server(t, &x->v4, proto, service, target);
	if (x->has_v6)
		add_server(t, &x->v6, proto, service, target);
}

/* What the servers of a service speak as when they begin a flow: with l4/2 they have the service's
 * address, with l4/3 one of their own. */
static void add_servers(struct service_table *t, const struct params *params, uint16_t index)
{
	const struct service_params *s = &params->services[index];

	if (!s->affinity || technology_is_l7(s->technology)) /* the node asks, they never do */
		return;
	if (s->technology == TECHNOLOGY_L4_2) {
		for (uint32_t i = 0; i < s->n_addresses; i++)
			add_server(t, &s->addresses[i], s->proto, index, PARAMS_NONE);
		return;
	}
	for (uint32_t i = 0; i < s->targets.n; i++)
		add_target(t, params, index, params->target_lists[s->targets.first + i]);
	if (s->sorry != PARAMS_NONE)
		add_target(t, params, index, s->sorry);
}

struct service_table *service_table_new(const struct params *params)
{
	struct service_table *t = calloc(1, sizeof(*t));
	size_t keys = 0, claims = 0, size = 8;

	if (!t)
		return NULL;
	for (uint32_t i = 0; i < params->n_services; i++) {
		const struct service_params *s = &params->services[i];
		keys += 3 * (size_t)s->n_addresses + 2 * ((size_t)s->targets.n + 1);
		claims += (size_t)s->n_addresses * n_claims(s);
	}
	while (size < 2 * keys)
		size *= 2;
	t->mask = size - 1;
	t->places = calloc(size, sizeof(*t->places));
	t->claims = calloc(claims + 1, sizeof(*t->claims));
	if (!t->places || !t->claims) {
		service_table_free(t);
		return NULL;
	}
	for (uint32_t i = 0; i < params->n_services; i++)
		add_addresses(t, &params->services[i]);
	cut_claims(t);
	for (uint16_t i = 0; i < params->n_services; i++) {
		add_claims(t, &params->services[i], i);
		add_servers(t, params, i);
	}
	return t;
}

void service_table_free(struct service_table *t)
{
	if (!t)
		return;
	free(t->places);
	free(t->claims);
	free(t);
}

uint16_t service_find(const struct service_table *t, const struct ipaddr *dst, uint8_t proto,
		      uint16_t port)
{
	const struct place *p = place_find(t, dst, KIND_ASKED | proto);

	for (uint32_t i = 0; p && i < p->n; i++) {
		const struct claim *c = &t->claims[p->first + i];
		if (port >= c->lo && port <= c->hi)
			return c->service;
	}
	return PARAMS_NONE;
}

bool service_has_address(const struct service_table *t, const struct ipaddr *a)
{
	return place_find(t, a, KIND_ADDRESS) != NULL;
}

uint16_t service_of_server(const struct service_table *t, const struct ipaddr *a, uint8_t proto,
			   uint16_t *target)
{
	const struct place *p = place_find(t, a, (uint16_t)(KIND_SERVER | proto));

	*target = p ? p->target : PARAMS_NONE;
	return p ? p->service : PARAMS_NONE;
}
