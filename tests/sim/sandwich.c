#include "sandwich.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/takeover.h"
#include "packet/checksum.h"

#define TEXT 16384

const struct service_model services[SERVICES] = {
	[WEB] = {IPPROTO_NUM_TCP, 80, false},	[NAT] = {IPPROTO_NUM_TCP, 800, false},
	[TLS] = {IPPROTO_NUM_TCP, 443, true},	[DNS] = {IPPROTO_NUM_UDP, 53, true},
	[NTP] = {IPPROTO_NUM_UDP, 123, false},	[LOGS] = {IPPROTO_NUM_UDP, 514, true},
	[SHOP] = {IPPROTO_NUM_TCP, 8080, true}, [DESK] = {IPPROTO_NUM_TCP, 8081, false},
};

/* --- addresses -----------------------------------------------------------------------------------
 */

static struct ipaddr address(const char *text)
{
	struct ipaddr a;

	if (ipaddr_parse(&a, text) < 0)
		abort();
	return a;
}

static struct ipaddr numbered(const char *v4, const char *v6, unsigned n, bool is_v6)
{
	char text[64];

	if (is_v6)
		snprintf(text, sizeof(text), "%s%x", v6, n);
	else
		snprintf(text, sizeof(text), "%s%u", v4, n);
	return address(text);
}

struct ipaddr sandwich_vip(bool v6)
{
	return address(v6 ? "2001:db8:51::80" : "198.51.100.80");
}

struct ipaddr sandwich_host(unsigned host, bool v6)
{
	return numbered("10.4.0.", "fd00:4::", 11 + host, v6);
}

struct ipaddr sandwich_client(unsigned n, bool v6)
{
	return numbered("203.0.113.", "2001:db8:c::", n, v6);
}

static bool in_network(const struct ipaddr *a, const char *v4, const char *v6)
{
	struct ipaddr base = address(ipaddr_is_v4(a) ? v4 : v6);

	return memcmp(a->b, base.b, ipaddr_is_v4(a) ? 15 : 8) == 0;
}

static bool is_farm(const struct ipaddr *a)
{
	return in_network(a, "10.4.0.0", "fd00:4::");
}

static bool is_vip(const struct ipaddr *a)
{
	struct ipaddr vip = sandwich_vip(!ipaddr_is_v4(a));

	return ipaddr_eq(a, &vip);
}

static const struct macaddr *node_mac(const struct net_node *node, enum segment segment)
{
	for (unsigned i = 0; i < node->n_nics; i++)
		if (node->nics[i]->segment == segment)
			return &node->nics[i]->mac;
	abort();
}

static const struct macaddr *gateway(const struct sandwich *s, enum segment segment)
{
	if (s->plan.twins)
		return &s->gateways[segment];
	return node_mac(segment == OUTSIDE || segment == FRONT ? s->outer : s->inner, segment);
}

/* A claim of an address in an ARP message or a neighbour advertisement. */
static bool claimed(const struct pkt *pkt, struct ipaddr *a, struct macaddr *mac)
{
	struct arp arp;
	struct nd nd;

	if (pkt->kind == PKT_ARP && arp_parse(&arp, pkt->frame, pkt->l3) == DROP_NONE) {
		*a = arp.sender_ip;
		*mac = arp.sender_mac;
		return true;
	}
	if (pkt->kind != PKT_ND || nd_parse(&nd, pkt) != DROP_NONE || nd.type != 136 || !nd.has_mac)
		return false;
	*a = nd.target;
	*mac = nd.mac;
	return true;
}

static void hear_claim(struct sandwich *s, const struct net_nic *nic, const struct pkt *pkt)
{
	static const char *const names[STACK_STAGE][2] = {
		[OUTSIDE] = {"198.51.100.254", "2001:db8:51::fe"},
		[FRONT] = {"10.2.0.254", "fd00:2::fe"},
		[BACK] = {"10.3.0.254", "fd00:3::fe"},
		[FARM] = {"10.4.0.254", "fd00:4::fe"},
		[STAGE] = {"10.5.0.254", "fd00:5::fe"}};
	struct ipaddr a;
	struct macaddr mac;

	if (!s->plan.twins || nic->segment >= STACK_STAGE || !claimed(pkt, &a, &mac))
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct ipaddr own = address(names[nic->segment][i]);
		if (ipaddr_eq(&own, &a))
			s->gateways[nic->segment] = mac;
	}
}

/* --- configurations
 * -------------------------------------------------------------------------------- */

struct text {
	char s[TEXT];
	size_t len;
};

#define add(t, ...)                                                                                \
	((t)->len += (size_t)snprintf((t)->s + (t)->len, sizeof((t)->s) - (t)->len, __VA_ARGS__))

static void text_port(struct text *t, const char *name, unsigned net, unsigned host,
		      const char *more)
{
	add(t,
	    "port \"%s\" { device = \"%s\" addresses = {\"10.%u.0.%u/24\", \"fd00:%u::%x/64\"} "
	    "%s }\n",
	    name, name, net, host, net, host, more);
}

static void text_outside(struct text *t)
{
	add(t, "port \"outside\" { device = \"o\" addresses = {\"198.51.100.254/24\", "
	       "\"2001:db8:51::fe/64\"} answer-for = {\"198.51.100.80\", \"2001:db8:51::80\"} }\n"
	       "route \"0.0.0.0/0\" { via = \"198.51.100.1\" port = \"outside\" }\n"
	       "route \"::/0\" { via = \"2001:db8:51::1\" port = \"outside\" }\n");
}

static void text_common(struct text *t, const struct plan *p, bool cluster)
{
	static const unsigned ids[FIREWALLS] = {7, 300, 65535};

	for (unsigned i = 0; i < FIREWALLS; i++)
		add(t,
		    "path \"fw%u\" { id = %u addresses = {\"10.2.0.%u\", \"10.3.0.%u\", "
		    "\"fd00:2::%u\", \"fd00:3::%u\"} weight = %u }\n",
		    i + 1, ids[i], i + 1, i + 1, i + 1, i + 1, i == 2 ? 2u : 1u);
	add(t, "firewall { max-flows = 1024 }\n");
	if (!cluster)
		return;
	add(t,
	    "cluster { id = 2 device = \"c\" key-file = \"/none\" max-forwards = 1024 "
	    "max-queries = 512 %s }\n",
	    p->twins ? "hello-interval = \"100ms\" dead-after = \"500ms\""
		     : "hello-interval = \"500ms\" dead-after = \"1500ms\"");
	if (p->twins)
		add(t, "member \"outer\" { id = 4 address = \"10.9.0.4\" }\n");
	add(t, "member \"inner\" { id = 1 address = \"10.9.0.1\" }\n"
	       "member \"stage-a\" { id = 2 address = \"10.9.0.2\" }\n"
	       "member \"stage-b\" { id = 3 address = \"10.9.0.3\" }\n");
}

static void text_dispatcher(struct text *t, const struct plan *p, const char *role,
			    const char *firewall_port, const char *ports, const char *algorithm,
			    const char *probe)
{
	add(t,
	    "dispatcher \"%s\" { role = \"%.5s\" firewall-port = \"%s\" ports = {%s} "
	    "algorithm = \"%s\" learn = %s unknown = \"%s\" on-path-down = \"%s\" hash-seed = 9 "
	    "max-flows = 1024 max-affinities = 256 max-fragments = 64 ",
	    role, role, firewall_port, ports, algorithm, p->learn ? "true" : "false", p->unknown,
	    p->path_down);
	if (p->probe)
		add(t, "probe = \"%s\" %s", probe,
		    p->twins ? "probe-interval = \"100ms\" probe-timeout = \"50ms\" " : "");
	if (strncmp(role, "stage", 5) == 0)
		add(t, "from = {\"inner\"%s} bypass = %s ", p->twins ? ", \"outer\"" : "",
		    p->bypass ? "true" : "false");
	else if (p->twins)
		add(t, "nodes = {\"%s\", \"%s\"} %s ", role,
		    strcmp(role, "outer") == 0 ? "inner" : "outer", p->take_back);
	add(t, "}\n");
}

static void text_service(struct text *t, const struct plan *p, const char *name,
			 enum service_index i, const char *technology, const char *targets)
{
	const struct service_model *m = &services[i];

	add(t,
	    "service \"%s\" { addresses = {\"198.51.100.80\", \"2001:db8:51::80\"} "
	    "protocol = \"%s\" ports = {\"%u\"} technology = \"%s\" algorithm = \"%s\" "
	    "on-target-down = \"%s\" affinity = \"%s\" targets = {%s} }\n",
	    name, m->proto == IPPROTO_NUM_TCP ? "tcp" : "udp", m->port, technology,
	    p->algorithms[i % 4], p->target_down, p->affinity && i == WEB ? "source" : "none",
	    targets);
}

static void text_target(struct text *t, const char *name, unsigned host, const char *more)
{
	add(t, "target \"%s\" { addresses = {\"10.4.0.%u\", \"fd00:4::%x\"} weight = %u %s }\n",
	    name, 11 + host, 11 + host, 1 + host % 2, more);
}

static void text_inner_services(struct text *t, const struct plan *p)
{
	const char *check = "check = \"tcp\" check-port = 80 check-rise = 1 check-fall = 1";

	text_service(t, p, "web", WEB, "l4/2",
		     p->more ? "\"web1\", \"web2\", \"web7\"" : "\"web1\", \"web2\"");
	text_service(t, p, "nat", NAT, "l4/3", "\"nat1\", \"nat2\"");
	text_service(t, p, "tls", TLS, "l4/2", "\"stage-a\", \"stage-b\", \"web1\"");
	text_service(t, p, "dns", DNS, "l4/3", "\"stage-b\"");
	text_service(t, p, "ntp", NTP, "l4/2", p->more ? "\"web2\", \"web7\"" : "\"web2\"");
	text_service(t, p, "logs", LOGS, "l4/2", "\"stage-a\"");
	text_service(t, p, "shop", SHOP, "l4/2", "\"stage-a\"");
	if (!p->twins)
		text_service(t, p, "desk", DESK, "l7/3", "\"nat1\"");
	if (p->more)
		text_target(t, "web7", 6, "");
	text_target(t, "web1", 0, check);
	text_target(t, "web2", 1, "");
	text_target(t, "nat1", 0, "port = 8080");
	text_target(t, "nat2", 1, "");
	add(t, "target \"stage-a\" { member = \"stage-a\" weight = 2 }\n"
	       "target \"stage-b\" { member = \"stage-b\" }\n");
}

static void text_outer(struct text *t, const struct plan *p)
{
	text_outside(t);
	text_port(t, "front", 2, 254, "");
	text_dispatcher(t, p, "outer", "front", "\"outside\"", p->outer_algorithm, "10.3.0.254");
}

static void text_inner(struct text *t, const struct plan *p, const char *node)
{
	t->len = 0;
	add(t, "node = \"%s\"\n", node);
	if (p->one_box || p->twins)
		text_outer(t, p);
	text_port(t, "back", 3, 254, "");
	text_port(t, "farm", 4, 254, "");
	text_port(t, "stage", 5, 254, "");
	text_common(t, p, true);
	text_dispatcher(t, p, "inner", "back", "\"farm\", \"stage\"", p->inner_algorithm,
			"10.2.0.254");
	text_inner_services(t, p);
}

static void text_stage(struct text *t, const struct plan *p, unsigned stage)
{
	const char *name = stage ? "stage-b" : "stage-a";
	const char *answer = "answer-for = {\"10.4.0.152\", \"10.4.0.153\", \"fd00:4::152\"}";

	t->len = 0;
	add(t, "node = \"%s\"\n", name);
	text_port(t, "back", 3, 101 + stage, "");
	text_port(t, "farm", 4, 101 + stage, stage ? answer : "");
	text_port(t, "stage", 5, 101 + stage, "");
	text_common(t, p, true);
	text_dispatcher(t, p, name, "back", "\"farm\", \"stage\"", p->inner_algorithm,
			"10.2.0.254");
	if (stage == 0) {
		text_service(t, p, "tls", TLS, "l4/2", "\"web3\", \"web4\"");
		text_service(t, p, "logs", LOGS, "l4/2", "\"web3\", \"web4\"");
		text_service(t, p, "shop", SHOP, "l7/3", "\"web3\", \"web4\"");
		text_target(t, "web3", 2, "");
		text_target(t, "web4", 3, "");
		return;
	}
	text_service(t, p, "tls", TLS, "l4/3",
		     "\"web5\", \"web6\"} sources = {\"10.4.0.152\", \"10.4.0.153\", "
		     "\"fd00:4::152\"");
	text_service(t, p, "dns", DNS, "l4/3", "\"dns5\", \"dns6\"");
	text_target(t, "web5", 4, "port = 8443");
	text_target(t, "web6", 5, "port = 8443");
	text_target(t, "dns5", 4, "port = 5353");
	text_target(t, "dns6", 5, "");
}

/* --- firewalls
 * ------------------------------------------------------------------------------------- */

static bool stock_holds(const struct net_nic *nic, const struct ipaddr *a)
{
	unsigned number = nic->mac.b[4], net = nic->segment == FRONT ? 2 : 3;
	char v4[32], v6[32];
	struct ipaddr own;

	snprintf(v4, sizeof(v4), "10.%u.0.", net);
	snprintf(v6, sizeof(v6), "fd00:%u::", net);
	own = numbered(v4, v6, number, !ipaddr_is_v4(a));
	return ipaddr_eq(&own, a);
}

static bool flow_known(const struct stock *w, const struct flow_key *key)
{
	for (unsigned i = 0; i < w->n_flows; i++)
		if (flow_key_eq(&w->flows[i], key))
			return true;
	return false;
}

/* The policy: anything may begin whose destination port is a well-known one. */
static bool may_begin(const struct pkt *pkt)
{
	switch (pkt->tuple.proto) {
	case IPPROTO_NUM_TCP:
		return (pkt->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
	case IPPROTO_NUM_UDP:
		return pkt->tuple.dport < 1024;
	default:
		return pkt->icmp_type == (pkt->version == 4 ? 8 : 128);
	}
}

static bool same_datagram(const struct frag_key *k, const struct pkt *pkt)
{
	return k->id == pkt->frag_id && ipaddr_eq(&k->src, &pkt->tuple.src) &&
	       ipaddr_eq(&k->dst, &pkt->tuple.dst);
}

static bool stock_admits(struct stock *w, const struct pkt *pkt)
{
	struct flow_key key;

	if (pkt->fragment && pkt->frag_offset > 0) {
		for (unsigned i = 0; i < w->n_frags; i++)
			if (same_datagram(&w->frags[i], pkt))
				return true;
		return false;
	}
	flow_key_make(&key, pkt->icmp_error ? &pkt->inner : &pkt->tuple, pkt->version);
	if (!flow_known(w, &key)) {
		if (pkt->icmp_error || !may_begin(pkt))
			return false;
		w->flows[w->n_flows++ % FIREWALL_FLOWS] = key;
	}
	if (pkt->fragment)
		w->frags[w->n_frags++ % FIREWALL_FLOWS] = (struct frag_key){
			.src = pkt->tuple.src, .dst = pkt->tuple.dst, .id = pkt->frag_id};
	return true;
}

/* Next hop; *segment on which side. */
static const struct macaddr *stock_route(const struct sandwich *s, const struct ipaddr *dst,
					 enum segment *segment)
{
	static const char *const names[2][2] = {{"10.3.0.101", "fd00:3::65"},
						{"10.3.0.102", "fd00:3::66"}};

	*segment = BACK;
	for (unsigned i = 0; i < 2; i++) {
		struct ipaddr a = address(names[i][!ipaddr_is_v4(dst)]);
		if (ipaddr_eq(&a, dst))
			return node_mac(s->stage[i], BACK);
	}
	if (is_vip(dst) || is_farm(dst) || in_network(dst, "10.3.0.0", "fd00:3::"))
		return gateway(s, BACK);
	*segment = FRONT;
	return gateway(s, FRONT);
}

static void age(uint8_t *ip)
{
	uint16_t sum;

	if (ip[0] >> 4 == 6) {
		ip[7]--;
		return;
	}
	ip[8]--;
	memset(ip + 10, 0, 2);
	sum = csum_fold(csum_add(0, ip, (size_t)(ip[0] & 15) * 4));
	memcpy(ip + 10, &sum, 2);
}

static void stock_receive(struct net *n, struct net_nic *nic, struct frame *frame)
{
	struct sandwich *s = n->arg;
	unsigned number = nic->mac.b[4] - 1u;
	struct stock *w = &s->firewalls[number];
	const struct macaddr *next;
	enum segment segment;
	struct pkt pkt;

	if (pkt_decode(&pkt, frame) != DROP_NONE)
		return;
	hear_claim(s, nic, &pkt);
	if (!w->dead && net_answer(n, nic, &pkt, stock_holds))
		return;
	if (pkt.kind != PKT_IP || !macaddr_eq(&pkt.eth_dst, &nic->mac))
		return;
	next = stock_route(s, &pkt.tuple.dst, &segment);
	if (w->dead) {
		s->crossing(s, number, &pkt, FATE_LOST);
	} else if (segment == nic->segment) {
		s->crossing(s, number, &pkt, FATE_U_TURN);
	} else if (!stock_admits(w, &pkt)) {
		s->crossing(s, number, &pkt, FATE_UNKNOWN);
	} else {
		s->crossing(s, number, &pkt, FATE_PASSED);
		age(frame->data + pkt.l3);
		net_send_ip(n, w->nics[segment == BACK], next, frame->data + pkt.l3, pkt.ip_len, 0);
	}
}

void sandwich_firewall(struct sandwich *s, unsigned firewall, bool dead)
{
	struct stock *w = &s->firewalls[firewall];

	w->dead = dead;
	w->n_flows = w->n_frags = 0;
}

/* --- hosts
 * ------------------------------------------------------------------------------------------- */

static unsigned host_number(const struct net_nic *nic)
{
	return nic->mac.b[4] - 1u;
}

static bool host_holds(const struct net_nic *nic, const struct ipaddr *a)
{
	unsigned i = host_number(nic);
	bool v6 = !ipaddr_is_v4(a);
	struct ipaddr own = i == HOST_WORLD ? address(v6 ? "2001:db8:51::1" : "198.51.100.1")
					    : sandwich_host(i, v6);

	return ipaddr_eq(&own, a);
}

static bool host_accepts(const struct net_nic *nic, const struct ipaddr *a)
{
	unsigned i = host_number(nic);

	if (i > HOST_WORLD)
		return is_vip(a);
	if (i == HOST_WORLD)
		return in_network(a, "203.0.113.0", "2001:db8:c::");
	return host_holds(nic, a) || (i != HOST_INSIDE && is_vip(a));
}

static void host_receive(struct net *n, struct net_nic *nic, struct frame *frame)
{
	struct sandwich *s = n->arg;
	struct pkt pkt;

	if (host_number(nic) > HOST_WORLD && frame->data[0] & 1)
		abort(); /* nobody there is to be asked for anything */
	if (pkt_decode(&pkt, frame) != DROP_NONE)
		return;
	hear_claim(s, nic, &pkt);
	if (net_answer(n, nic, &pkt, host_holds))
		return;
	if (macaddr_eq(&pkt.eth_dst, &nic->mac) && host_accepts(nic, &pkt.tuple.dst))
		s->arrival(s, host_number(nic), &pkt);
}

/* web3 and web4 are behind stage-a, web5 and web6 behind stage-b; that one's translated sources are
 * neighbours. */
void sandwich_send(struct sandwich *s, unsigned host, const uint8_t *ip, size_t size,
		   const struct ipaddr *dst, uint64_t delay_ns)
{
	const struct macaddr *next;

	if (host == HOST_WORLD)
		next = gateway(s, OUTSIDE);
	else if (host == HOST_STACK_STAGE)
		next = node_mac(s->stage[0], STACK_STAGE);
	else if (host == HOST_STACK_INNER)
		next = node_mac(s->inner, STACK_INNER);
	else if (is_farm(dst))
		next = node_mac(s->stage[1], FARM);
	else if (host == 2 || host == 3)
		next = node_mac(s->stage[0], FARM);
	else if (host == 4 || host == 5)
		next = node_mac(s->stage[1], FARM);
	else
		next = gateway(s, FARM);
	net_send_ip(s->net, s->hosts[host], next, ip, size, delay_ns);
}

/* --- the whole
 * --------------------------------------------------------------------------------------- */

static void add_models(struct sandwich *s)
{
	for (uint8_t i = 0; i < FIREWALLS; i++) {
		for (uint8_t side = 0; side < 2; side++) {
			struct macaddr mac = {{2, 0, 0, 0xf0, (uint8_t)(i + 1), side}};
			s->firewalls[i].nics[side] =
				net_nic_add(s->net, side ? BACK : FRONT, &mac, stock_receive, NULL);
		}
	}
	for (uint8_t i = 0; i < HOSTS_ALL; i++) {
		struct macaddr mac = {{2, 0, 0, 0xee, (uint8_t)(i + 1), 0}};
		unsigned segment = i == HOST_WORLD	   ? OUTSIDE
				   : i == HOST_STACK_STAGE ? STACK_STAGE
				   : i == HOST_STACK_INNER ? STACK_INNER
							   : FARM;
		s->hosts[i] = net_nic_add(s->net, segment, &mac, host_receive, NULL);
	}
}

static void add_nodes(struct sandwich *s)
{
	static const unsigned outer[] = {OUTSIDE, FRONT};
	static const unsigned both[] = {OUTSIDE, FRONT, BACK, FARM, STAGE, STACK_INNER};
	static const unsigned stages[] = {BACK, FARM, STAGE, STACK_STAGE};
	static const char *const names[2] = {"stage-a", "stage-b"};
	struct text *t = malloc(sizeof(*t));

	if (!t)
		abort();
	text_inner(t, &s->plan, "inner");
	s->inner = net_node_add(s->net, "inner", t->s,
				s->plan.one_box || s->plan.twins ? both : both + 2, 1);
	for (unsigned i = 0; i < 2; i++) {
		text_stage(t, &s->plan, i);
		s->stage[i] = net_node_add(s->net, names[i], t->s, stages, i + 2);
	}
	s->outer = s->inner;
	if (s->plan.twins) {
		text_inner(t, &s->plan, "outer");
		s->outer = net_node_add(s->net, "outer", t->s, both, 4);
	} else if (!s->plan.one_box) {
		t->len = 0;
		add(t, "node = \"outer\"\n");
		text_outer(t, &s->plan);
		text_common(t, &s->plan, false);
		s->outer = net_node_add(s->net, "outer", t->s, outer, 0);
	}
	free(t);
}

struct sandwich *sandwich_new(uint64_t seed, const struct plan *plan, struct actions *actions)
{
	struct sandwich *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->plan = *plan;
	s->net = net_new(seed, actions);
	s->net->arg = s;
	add_models(s);
	add_nodes(s);
	sandwich_health(s, true);
	return s;
}

void sandwich_free(struct sandwich *s)
{
	net_free(s->net);
	free(s);
}

void sandwich_reload_inner(struct sandwich *s)
{
	struct text *t = malloc(sizeof(*t));

	if (!t)
		abort();
	text_inner(t, &s->plan, "inner");
	net_node_reload(s->net, s->inner, t->s);
	if (s->plan.twins) {
		text_inner(t, &s->plan, "outer");
		net_node_reload(s->net, s->outer, t->s);
	}
	free(t);
}

static void node_health(struct sandwich *s, struct net_node *node, bool up)
{
	const struct params *p = node->params[node->n_params - 1];

	for (uint16_t i = 0; node->engine && i < p->n_targets; i++) {
		if (strcmp(p->targets[i].name, "web1") != 0)
			continue;
		engine_target_health(node->engine, i, up, "checked", s->net->now_ns,
				     s->net->actions);
		net_carry_out(s->net, node);
	}
}

void sandwich_health(struct sandwich *s, bool up)
{
	node_health(s, s->inner, up);
	if (s->plan.twins)
		node_health(s, s->outer, up);
}

struct net_node *sandwich_active(const struct sandwich *s, const char *dispatcher, unsigned *n)
{
	struct net_node *const nodes[2] = {s->outer, s->inner}, *found = NULL;

	*n = 0;
	for (unsigned i = 0; i < 2; i++) {
		const struct params *p = nodes[i]->params[nodes[i]->n_params - 1];
		for (uint16_t d = 0; nodes[i]->engine && d < p->n_dispatchers; d++) {
			if (strcmp(p->dispatchers[d].name, dispatcher) != 0 ||
			    !takeover_is_active(&nodes[i]->engine->dispatch, d))
				continue;
			found = nodes[i];
			++*n;
		}
	}
	return found;
}
