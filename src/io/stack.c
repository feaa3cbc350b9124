/*
 * stack.c - the veth pair of a private stack, what leads through it, and its leftovers.
 */
#include "io/stack.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/hash.h"
#include "io/netspace.h"
#include "io/rtnl.h"
#include "io/stack_priv.h"

#define NAME_MAX_LEN 64
#define INNER "inner"
#define LOOPBACK 1 /* the first device of every namespace */
#define TABLE_ANY 100
#define DEFAULT_MTU 1500
#define QUEUE 10000 /* frames, for who puts a queueing discipline there */

struct stack {
	struct netspace *space;
	struct mnl_socket *host; /* in the namespace that the outer device is in */
	char node[NAME_MAX_LEN + 1], name[NAME_MAX_LEN + 1];
	char device[STACK_DEVICE];
	unsigned ifindex, mtu;
	bool any;
	struct macaddr outer, inner, gateway;
	struct ipaddr *addresses;
	unsigned n_addresses;
	char congestion[STACK_CONGESTION];
};

/* --- names ------------------------------------------------------------------------------------ */

static uint64_t name_hash(uint64_t what, const char *node, const char *name)
{
	struct hash_key key = {.k0 = 0x6677636c75737465ULL, .k1 = what};
	union {
		char text[2][NAME_MAX_LEN + 8];
		uint64_t words[2 * (NAME_MAX_LEN + 8) / 8];
	} in;

	memset(&in, 0, sizeof(in));
	snprintf(in.text[0], sizeof(in.text[0]), "%s", node);
	snprintf(in.text[1], sizeof(in.text[1]), "%s", name);
	return hash_words(&key, in.words, sizeof(in.words) / 8);
}

void stack_device_name(char out[STACK_DEVICE], const char *node, const char *name)
{
	snprintf(out, STACK_DEVICE, "fwc-%08" PRIx32, (uint32_t)name_hash(0, node, name));
}

/* Locally administered, and the same at every start. */
static struct macaddr make_mac(const struct stack *s, uint64_t which)
{
	uint64_t hash = name_hash(which, s->node, s->name);
	struct macaddr mac;

	memcpy(mac.b, &hash, sizeof(mac.b));
	mac.b[0] = (uint8_t)((mac.b[0] & 0xfc) | 0x02);
	return mac;
}

/* The beginning of the alias that marks an outer device. */
static void make_mark(char *out, size_t size, const struct stack *s)
{
	snprintf(out, size, "fwclusterd stack \"%s\" of node \"%s\", process ", s->name, s->node);
}

/* --- processes -------------------------------------------------------------------------------- */

/* When a process began, in ticks since the machine did; 0 when it is dead or cannot be read. */
static uint64_t process_start(long pid)
{
	char path[64], text[1024];
	unsigned long long start = 0;
	char state = 0;
	const char *p;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	/* The second field is the program's name, which may hold anything. */
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1,
			 " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			 "%*d %*d %*d %llu",
			 &state, &start) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : start;
}

/* `text` is what follows the mark: "PID begun START". */
static bool owner_lives(const char *text)
{
	long pid = 0;
	unsigned long long start = 0;

	if (sscanf(text, "%ld begun %llu", &pid, &start) != 2 || pid <= 0)
		return false;
	if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
		return false;
	uint64_t now = process_start(pid);
	return now == start || (now == 0 && access("/proc/self/stat", R_OK) < 0);
}

/* --- leftovers -------------------------------------------------------------------------------- */

#define LEFTOVERS 16

struct leftovers {
	const struct stack *stack;
	char mark[256];
	unsigned ifindexes[LEFTOVERS], n;
	bool taken; /* our name is another's */
	long owner; /* the device is of a living process */
};

/* An outer device is made with our MAC address and marked by the next message: one that has the
 * name and the address, but no mark, was left in between. */
static void on_link(void *arg, const struct rtnl_link *link)
{
	struct leftovers *l = arg;
	const struct stack *s = l->stack;
	size_t n = strlen(l->mark);
	bool marked = strncmp(link->alias, l->mark, n) == 0;
	bool named = strcmp(link->name, s->device) == 0;

	marked = marked && strcmp(link->kind, "veth") == 0;
	if (marked && owner_lives(link->alias + n))
		l->owner = strtol(link->alias + n, NULL, 10);
	else if (marked || (named && strcmp(link->kind, "veth") == 0 && link->alias[0] == '\0' &&
			    macaddr_eq(&link->mac, &s->outer))) {
		if (l->n < LEFTOVERS)
			l->ifindexes[l->n++] = link->ifindex;
	} else if (named)
		l->taken = true;
}

static int clean(const struct stack *s, char *err, size_t err_size)
{
	struct leftovers l = {.stack = s};
	int rc;

	make_mark(l.mark, sizeof(l.mark), s);
	rc = rtnl_links(s->host, on_link, &l);
	if (rc < 0) {
		snprintf(err, err_size, "cannot list devices: %s", strerror(-rc));
		return rc;
	}
	if (l.owner) {
		snprintf(err, err_size, "process %ld has this stack and is alive", l.owner);
		return -EBUSY;
	}
	if (l.taken) {
		snprintf(err, err_size, "device \"%s\" exists and is not this daemon's", s->device);
		return -EEXIST;
	}
	for (unsigned i = 0; i < l.n; i++) {
		rc = rtnl_link_delete(s->host, l.ifindexes[i]);
		/* The kernel may have been faster. */
		if (rc < 0 && rc != -ENODEV) {
			snprintf(err, err_size, "cannot remove a device of an earlier run: %s",
				 strerror(-rc));
			return rc;
		}
	}
	return 0;
}

/* --- the pair --------------------------------------------------------------------------------- */

static int make_pair(struct stack *s, const char **what)
{
	struct rtnl_pair pair = {.name = s->device,
				 .peer_name = INNER,
				 .mac = s->outer,
				 .peer_mac = s->inner,
				 .mtu = s->mtu,
				 .queue = QUEUE,
				 .peer_ns = netspace_fd(s->space)};
	char alias[256];
	size_t n;
	int rc;

	*what = "make a veth pair";
	rc = rtnl_pair_add(s->host, &pair);
	if (rc < 0)
		return rc;
	s->ifindex = if_nametoindex(s->device);
	make_mark(alias, sizeof(alias), s);
	n = strlen(alias);
	snprintf(alias + n, sizeof(alias) - n, "%ld begun %" PRIu64, (long)getpid(),
		 process_start((long)getpid()));
	*what = "mark the outer device";
	rc = rtnl_link_alias(s->host, s->ifindex, alias);
	if (rc == 0) {
		*what = "keep the outer device from having an address";
		rc = rtnl_link_no_address(s->host, s->ifindex);
		rc = rc == -EAFNOSUPPORT ? 0 : rc;
	}
	return rc;
}

/* Inside, all ways lead to the gateway. A kernel without IPv6 has one family. */
static int make_ways(struct mnl_socket *nl, unsigned inner, const struct macaddr *mac)
{
	static const char *const gateways[] = {"169.254.0.1", "fe80::1"};
	int rc = 0;

	for (unsigned i = 0; i < 2 && rc == 0; i++) {
		struct ipaddr gateway;

		ipaddr_parse(&gateway, gateways[i]);
		rc = rtnl_neighbour_set(nl, inner, &gateway, mac);
		if (rc == 0)
			rc = rtnl_default_set(nl, inner, &gateway);
		if (i == 1 && (rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP))
			rc = 0;
	}
	return rc;
}

struct search {
	const char *name;
	unsigned ifindex;
};

static void on_search(void *arg, const struct rtnl_link *link)
{
	struct search *search = arg;

	if (strcmp(link->name, search->name) == 0)
		search->ifindex = link->ifindex;
}

static int join(struct stack *s, const char **what)
{
	struct mnl_socket *nl = netspace_netlink(s->space);
	struct search search = {.name = INNER};
	int rc = make_pair(s, what);

	if (rc < 0)
		return rc;
	*what = "set up the devices";
	rc = rtnl_links(nl, on_search, &search);
	if (rc == 0)
		rc = rtnl_link_up(nl, search.ifindex);
	if (rc == 0)
		rc = rtnl_link_up(s->host, s->ifindex);
	if (rc == 0) {
		*what = "set up the routes inside";
		rc = make_ways(nl, search.ifindex, &s->gateway);
	}
	return rc;
}

/* What does not go with the devices. */
static int make_any(struct stack *s, const char **what)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct mnl_socket *nl = netspace_netlink(s->space);
	int rc = 0;

	*what = "make every address local inside";
	for (unsigned i = 0; s->any && i < 2 && rc == 0; i++) {
		rc = rtnl_all_local_set(nl, families[i], LOOPBACK, TABLE_ANY);
		if (rc == 0)
			rc = rtnl_rule_add(nl, families[i], INNER, TABLE_ANY);
		if (i == 1 && (rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP))
			rc = 0;
	}
	return rc;
}

/* --- life ------------------------------------------------------------------------------------- */

static struct stack *prepare(const struct stack_params *p)
{
	struct stack *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	snprintf(s->node, sizeof(s->node), "%s", p->node);
	snprintf(s->name, sizeof(s->name), "%s", p->name);
	snprintf(s->device, sizeof(s->device), "%s", p->device);
	if (!s->device[0])
		stack_device_name(s->device, p->node, p->name);
	s->mtu = p->mtu ? p->mtu : DEFAULT_MTU;
	s->any = p->any;
	s->outer = make_mac(s, 1);
	s->inner = make_mac(s, 2);
	s->gateway = make_mac(s, 3);
	return s;
}

static int build(struct stack *s, const struct stack_params *p, char *err, size_t err_size)
{
	const char *what = "open a netlink socket";
	int rc = rtnl_open(&s->host);

	if (rc == 0) {
		rc = clean(s, err, err_size);
		if (rc < 0)
			return rc;
		s->space = netspace_new(p->user_changes, err, err_size);
		if (!s->space)
			return -EPERM;
		rc = join(s, &what);
	}
	if (rc == 0)
		rc = make_any(s, &what);
	if (rc == 0 && p->first_port) {
		what = "set the range of ports";
		rc = stack_set_ports(s, p->first_port, p->last_port);
	}
	if (rc < 0) {
		snprintf(err, err_size, "cannot %s: %s", what, strerror(-rc));
		return rc;
	}
	return stack_set_addresses(s, p->addresses, p->n_addresses, err, err_size);
}

struct stack *stack_new(const struct stack_params *p, char *err, size_t err_size)
{
	struct stack *s = prepare(p);
	char why[256] = "out of memory";

	if (s && build(s, p, why, sizeof(why)) == 0)
		return s;
	snprintf(err, err_size, "private stack \"%s\": %s", p->name, why);
	stack_free(s);
	return NULL;
}

void stack_free(struct stack *s)
{
	if (!s)
		return;
	/* Without the capability for it, the kernel does it with the namespace. */
	if (s->ifindex)
		(void)rtnl_link_delete(s->host, s->ifindex);
	netspace_free(s->space);
	rtnl_close(s->host);
	free(s->addresses);
	free(s);
}

int stack_repair(struct stack *s, char *err, size_t err_size)
{
	struct mnl_socket *nl = netspace_netlink(s->space);
	struct search inner = {.name = INNER};
	const char *what;
	int rc;

	if (s->ifindex && if_nametoindex(s->device) == s->ifindex)
		return 0;
	/* Wherever its other end has got to. */
	rc = rtnl_links(nl, on_search, &inner);
	if (rc == 0 && inner.ifindex)
		(void)rtnl_link_delete(nl, inner.ifindex);
	s->ifindex = 0;
	rc = join(s, &what);
	if (rc < 0) {
		snprintf(err, err_size, "private stack \"%s\": cannot %s: %s", s->name, what,
			 strerror(-rc));
		if (s->ifindex)
			(void)rtnl_link_delete(s->host, s->ifindex);
		s->ifindex = 0;
		return rc;
	}
	return 1;
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool has(const struct ipaddr *list, unsigned n, const struct ipaddr *a)
{
	for (unsigned i = 0; i < n; i++)
		if (ipaddr_eq(&list[i], a))
			return true;
	return false;
}

static int address_failed(const char *what, const struct ipaddr *a, int rc, char *err,
			  size_t err_size)
{
	char text[ADDR_TEXT];

	snprintf(err, err_size, "cannot %s address %s: %s", what, ipaddr_text(text, a),
		 strerror(-rc));
	return rc;
}

/* They are on lo, where they outlive the inner device. */
int stack_set_addresses(struct stack *s, const struct ipaddr *addresses, unsigned n, char *err,
			size_t err_size)
{
	struct mnl_socket *nl = netspace_netlink(s->space);
	struct ipaddr *list = calloc((size_t)n + s->n_addresses + 1, sizeof(*list));
	unsigned n_list = 0;
	int result = 0, rc;

	if (!list) {
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	for (unsigned i = 0; i < s->n_addresses; i++) {
		const struct ipaddr *a = &s->addresses[i];

		rc = has(addresses, n, a) ? 1 : rtnl_address_delete(nl, LOOPBACK, a);
		if (rc < 0 && rc != -EADDRNOTAVAIL)
			result = address_failed("remove", a, rc, err, err_size);
		if (rc == 1 || (rc < 0 && rc != -EADDRNOTAVAIL))
			list[n_list++] = *a;
	}
	for (unsigned i = 0; i < n; i++) {
		if (has(list, n_list, &addresses[i]))
			continue;
		rc = rtnl_address_add(nl, LOOPBACK, &addresses[i]);
		if (rc < 0 && rc != -EEXIST)
			result = address_failed("add", &addresses[i], rc, err, err_size);
		else
			list[n_list++] = addresses[i];
	}
	free(s->addresses);
	s->addresses = list;
	s->n_addresses = n_list;
	return result;
}

/* --- what others see -------------------------------------------------------------------------- */

const char *stack_device(const struct stack *s)
{
	return s->device;
}

unsigned stack_ifindex(const struct stack *s)
{
	return s->ifindex;
}

struct macaddr stack_mac(const struct stack *s)
{
	return s->inner;
}

struct macaddr stack_gateway_mac(const struct stack *s)
{
	return s->gateway;
}

char *stack_congestion(struct stack *s)
{
	return s->congestion;
}

struct netspace *stack_space(struct stack *s)
{
	return s->space;
}

int stack_set_ports(struct stack *s, uint16_t first, uint16_t last)
{
	return netspace_set_ports(s->space, first, last);
}
