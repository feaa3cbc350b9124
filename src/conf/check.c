#include <string.h>
#include <sys/un.h>

#include "conf/reader.h"
#include "config.h"

static bool same_text(const char *a, const char *b)
{
	return *a && strcmp(a, b) == 0;
}

static unsigned line_of(const struct reader *r, cfg_t *section)
{
	return reader_section_pos(r, section).line;
}

const struct port_params *reader_own_address(const struct params *p, const struct ipaddr *a)
{
	for (uint32_t i = 0; i < p->n_ports; i++)
		for (uint32_t j = 0; j < p->ports[i].n_addresses; j++)
			if (ipaddr_eq(&p->ports[i].addresses[j].addr, a))
				return &p->ports[i];
	return NULL;
}

static void check_port_backend(struct reader *r, uint32_t i)
{
	const struct port_params *p = &r->params->ports[i];
	cfg_t *s = r->port_section[i];
	bool files = *p->file_in || *p->file_out;

	if (p->backend == BACKEND_FILE && !files)
		reader_error(
			r, reader_option_pos(r, s, "backend"), s, NULL,
			"backend \"file\" has no file; give \"file-in\", \"file-out\" or both");
	if (p->backend != BACKEND_FILE && files)
		reader_error(r, reader_option_pos(r, s, *p->file_in ? "file-in" : "file-out"), s,
			     *p->file_in ? "file-in" : "file-out",
			     "goes with backend = \"file\" only");
	/* an interface without IPv6's minimum may do for IPv4, one below IPv4's for nothing */
	if (p->mtu != 0 && p->mtu < 576)
		reader_error(r, reader_option_pos(r, s, "mtu"), s, "mtu",
			     "%u is too small; allowed is 0 (the device's own) or 576..65535",
			     p->mtu);
	if (p->backend != BACKEND_FILE && !*p->device && !reader_value(s, "device", 0))
		reader_error(r, reader_section_pos(r, s), s, NULL,
			     "option \"device\" is missing; only backend \"file\" goes without");
}

#ifdef HAVE_OFFLOAD
#define OFFLOAD_BUILT true
#else
#define OFFLOAD_BUILT false
#endif

static void check_port_offload(struct reader *r, uint32_t i)
{
	const struct port_params *p = &r->params->ports[i];
	cfg_t *s = r->port_section[i];
	const char *wrong = NULL;

	if (p->backend != BACKEND_PACKET)
		wrong = "goes with backend = \"packet\" only";
	else if (p->vlan != 0)
		wrong = "goes without \"vlan\" only; give the VLAN a device of its own";
	else if (!OFFLOAD_BUILT)
		wrong = "this build has no offload; allowed is false";
	if (p->offload && wrong)
		reader_error(r, reader_option_pos(r, s, "offload"), s, "offload", "%s", wrong);
}

/* Whatever two ports may not share. */
static void check_port_pair(struct reader *r, uint32_t i, uint32_t j)
{
	const struct port_params *a = &r->params->ports[j], *b = &r->params->ports[i];
	cfg_t *s = r->port_section[i];

	if (same_text(a->device, b->device) && a->vlan == b->vlan)
		reader_error(r, reader_option_pos(r, s, "device"), s, "device",
			     "\"%s\" is the device of port \"%s\" in line %u; ports on one device "
			     "need different \"vlan\"",
			     b->device, a->name, line_of(r, r->port_section[j]));
	if (same_text(a->device, b->device) && a->has_mac && b->has_mac &&
	    macaddr_eq(&a->mac, &b->mac))
		reader_error(r, reader_option_pos(r, s, "mac"), s, "mac",
			     "the MAC address of port \"%s\" in line %u, on the same device; they "
			     "must differ",
			     a->name, line_of(r, r->port_section[j]));
	if (same_text(a->segment, b->segment))
		reader_error(
			r, reader_option_pos(r, s, "segment"), s, "segment",
			"\"%s\" is the segment of port \"%s\" in line %u; each port has its own",
			b->segment, a->name, line_of(r, r->port_section[j]));
	for (uint32_t x = 0; x < a->n_addresses; x++)
		for (uint32_t y = 0; y < b->n_addresses; y++)
			if (ipaddr_eq(&a->addresses[x].addr, &b->addresses[y].addr))
				reader_error(
					r, reader_option_pos(r, s, "addresses"), s, "addresses",
					"an address of port \"%s\" in line %u comes again; once "
					"is allowed",
					a->name, line_of(r, r->port_section[j]));
}

/* The node is the host of its virtual addresses, and of none of those it answers for. */
static void check_port_answers(struct reader *r, uint32_t i)
{
	const struct port_params *p = &r->params->ports[i];
	cfg_t *s = r->port_section[i];

	for (uint32_t a = 0; a < p->n_answers; a++) {
		const struct port_params *own = reader_own_address(r->params, &p->answers[a]);
		char text[ADDR_TEXT];

		if (own)
			reader_error(r, reader_host_pos(r, s, "answer-for", &p->answers[a]), s,
				     "answer-for",
				     "%s is one of the addresses of port \"%s\", answered for "
				     "anyway; allowed are those of others",
				     ipaddr_text(text, &p->answers[a]), own->name);
	}
}

static void check_ports(struct reader *r)
{
	const struct params *p = r->params;

	for (uint32_t i = 0; i < p->n_ports; i++) {
		check_port_backend(r, i);
		check_port_offload(r, i);
		check_port_answers(r, i);
		for (uint32_t j = 0; j < i; j++)
			check_port_pair(r, i, j);
	}
	if (p->n_ports == 0)
		report_error(r->report, scan_end(r->scan),
			     "no port; give at least one port \"name\" { device = \"...\" }");
}

static void check_routes(struct reader *r)
{
	const struct params *p = r->params;

	for (uint32_t i = 0; i < p->n_routes; i++) {
		const struct route_params *a = &p->routes[i];
		cfg_t *s = r->route_section[i];
		bool v4 = a->dst.len >= 96 && ipaddr_is_v4(&a->dst.addr);
		if (!ipaddr_is_unspecified(&a->via) && ipaddr_is_v4(&a->via) != v4)
			reader_error(r, reader_option_pos(r, s, "via"), s, "via",
				     "of another address family than the destination; both must be "
				     "IPv4 or both IPv6");
		if (ipaddr_is_multicast(&a->via) || ipaddr_is_loopback(&a->via))
			reader_error(r, reader_option_pos(r, s, "via"), s, "via",
				     "no address of a router; allowed is a unicast address");
		for (uint32_t j = 0; j < i; j++)
			if (a->dst.len == p->routes[j].dst.len &&
			    ipaddr_eq(&a->dst.addr, &p->routes[j].dst.addr))
				reader_error(r, reader_section_pos(r, s), s, NULL,
					     "same destination as in line %u; once is allowed",
					     line_of(r, r->route_section[j]));
	}
}

static uint16_t member_port(const struct params *p, const struct member_params *m)
{
	return m->udp_port ? m->udp_port : p->cluster.udp_port;
}

static void check_member_pair(struct reader *r, uint32_t i, uint32_t j)
{
	const struct params *p = r->params;
	const struct member_params *a = &p->members[j], *b = &p->members[i];
	cfg_t *s = r->member_section[i];

	if (b->id != 0 && a->id == b->id)
		reader_error(r, reader_option_pos(r, s, "id"), s, "id",
			     "%u is the id of member \"%s\" in line %u; ids must differ", b->id,
			     a->name, line_of(r, r->member_section[j]));
	if (a->has_address && b->has_address && ipaddr_eq(&a->address, &b->address) &&
	    member_port(p, a) == member_port(p, b))
		reader_error(r, reader_option_pos(r, s, "address"), s, "address",
			     "address and udp-port of member \"%s\" in line %u; they must differ",
			     a->name, line_of(r, r->member_section[j]));
}

/* Members are spoken to from one socket, which has one address family. */
static void check_member_family(struct reader *r, uint32_t i, bool v4, const char *other)
{
	const struct member_params *m = &r->params->members[i];
	cfg_t *s = r->member_section[i];

	if (m->has_address && ipaddr_is_v4(&m->address) != v4)
		reader_error(r, reader_option_pos(r, s, "address"), s, "address",
			     "of another address family than %s; all must be IPv4 or all IPv6",
			     other);
}

/* An empty one is none. */
static void check_member_address(struct reader *r, uint32_t i, bool unicast)
{
	cfg_t *s = r->member_section[i];
	const struct kept_value *v = reader_value(s, "address", 0);

	if (unicast && (!v || !*v->text))
		reader_error(r, reader_option_pos(r, s, "address"), s, NULL,
			     "option \"address\" is missing; transport \"unicast\" needs it of "
			     "every member");
}

static void check_members(struct reader *r)
{
	const struct params *p = r->params;
	bool unicast = p->cluster.transport == TRANSPORT_UNICAST;

	for (uint32_t i = 0; i < p->n_members; i++) {
		for (uint32_t j = 0; j < i; j++)
			check_member_pair(r, i, j);
		check_member_address(r, i, unicast);
		if (!unicast)
			check_member_family(r, i, ipaddr_is_v4(&p->cluster.group),
					    "the cluster's group");
		else if (i > 0 && p->members[0].has_address)
			check_member_family(r, i, ipaddr_is_v4(&p->members[0].address),
					    "the first member's");
	}
}

static void check_self(struct reader *r)
{
	struct params *p = r->params;

	for (uint32_t i = 0; i < p->n_members; i++)
		if (same_text(p->members[i].name, p->node)) {
			p->self = i;
			p->node_id = p->members[i].id;
			return;
		}
	reader_error(r, reader_option_pos(r, r->root, "node"), NULL, "node",
		     "no member \"%s\"; it must be the name of one of the member sections",
		     p->node);
}

static void check_cluster(struct reader *r)
{
	const struct cluster_params *c = &r->params->cluster;
	cfg_t *s = reader_section(r->root, "cluster");
	bool multicast = c->transport == TRANSPORT_MULTICAST;

	if (multicast && !*c->device && !reader_value(s, "device", 0))
		reader_error(r, reader_section_pos(r, s), s, NULL,
			     "option \"device\" is missing; transport \"multicast\" needs the "
			     "interface of the cluster link");
	if (multicast && !ipaddr_is_multicast(&c->group))
		reader_error(r, reader_option_pos(r, s, "group"), s, "group",
			     "no multicast group; allowed is such as 239.255.70.67 or ff12::7067");
	if (c->dead_ms <= 2 * c->hello_ms)
		reader_error(r, reader_option_pos(r, s, "dead-after"), s, "dead-after",
			     "%ums would lose members over one lost hello; it must be more than "
			     "twice hello-interval (%ums)",
			     c->dead_ms, c->hello_ms);
	if (c->mtu != 0 && c->mtu < 576)
		reader_error(r, reader_option_pos(r, s, "mtu"), s, "mtu",
			     "%u is too small; allowed is 0 (the device's own) or 576..65535",
			     c->mtu);
}

static void check_firewall(struct reader *r)
{
	const struct firewall_params *f = &r->params->firewall;
	cfg_t *s = reader_section(r->root, "firewall");

	if (!s) {
		if (cfg_size(r->root, "dispatcher") == 0)
			report_error(r->report, scan_end(r->scan),
				     "section \"firewall\" is missing; without it or a section "
				     "\"dispatcher\" the node has no role");
		return;
	}
	if (f->max_half_open > f->max_flows)
		reader_error(r, reader_option_pos(r, s, "max-half-open"), s, "max-half-open",
			     "%u is more than max-flows; allowed is 0 (half of it) to %u",
			     f->max_half_open, f->max_flows);
	if (f->max_per_source > f->max_flows)
		reader_error(r, reader_option_pos(r, s, "max-per-source"), s, "max-per-source",
			     "%u is more than max-flows; allowed is 0 (no limit) to %u",
			     f->max_per_source, f->max_flows);
}

void reader_check(struct reader *r)
{
	const struct params *p = r->params;
	cfg_t *control = reader_section(r->root, "control");

	check_ports(r);
	check_routes(r);
	check_firewall(r);
	if (strlen(p->control_socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		reader_error(r, reader_option_pos(r, control, "socket"), control, "socket",
			     "the path is too long for a socket; allowed are %zu characters",
			     sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	if (p->cluster.enabled) {
		check_cluster(r);
		check_members(r);
		check_self(r);
	} else if (p->n_members > 0) {
		reader_error(r, reader_section_pos(r, r->member_section[0]), r->member_section[0],
			     NULL, "there is no cluster; add a section cluster { }, or remove it");
	}
	reader_check_dispatchers(r);
	reader_check_services(r);
	reader_check_l7_node(r);
}
