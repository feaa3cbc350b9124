/*
 * rtnl.h - the changes to links, addresses, routes and rules that a private stack is made of, each
 * one message to the kernel and its answer. Internal to src/io; netlink.h watches, this changes.
 *
 * A socket acts in the network namespace in which it was opened, whichever thread uses it. All
 * calls need CAP_NET_ADMIN there. They return 0 or the kernel's negative errno.
 */
#ifndef IO_RTNL_H
#define IO_RTNL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"

struct mnl_socket;

int rtnl_open(struct mnl_socket **out);
/* NULL is allowed. */
void rtnl_close(struct mnl_socket *nl);

struct rtnl_link {
	unsigned ifindex;
	char name[16];
	char kind[16]; /* "veth"; "" = none told */
	char alias[256];
	struct macaddr mac;
};

/* Calls `fn` for every link; it may not use the same socket. */
int rtnl_links(struct mnl_socket *nl, void (*fn)(void *arg, const struct rtnl_link *link),
	       void *arg);

/* A veth pair: `name` here, `peer_name` in the namespace that `peer_ns` is a descriptor of. Both
 * are down. With their MAC addresses given they are left alone by programs that assign such. */
struct rtnl_pair {
	const char *name, *peer_name;
	struct macaddr mac, peer_mac;
	unsigned mtu, queue;
	int peer_ns;
};
int rtnl_pair_add(struct mnl_socket *nl, const struct rtnl_pair *p);
int rtnl_link_delete(struct mnl_socket *nl, unsigned ifindex);
int rtnl_link_up(struct mnl_socket *nl, unsigned ifindex);
int rtnl_link_alias(struct mnl_socket *nl, unsigned ifindex, const char *alias);
/* No IPv6 address of the kernel's own making. -EAFNOSUPPORT without IPv6. */
int rtnl_link_no_address(struct mnl_socket *nl, unsigned ifindex);

/* One address (/32, /128), usable at once. */
int rtnl_address_add(struct mnl_socket *nl, unsigned ifindex, const struct ipaddr *a);
int rtnl_address_delete(struct mnl_socket *nl, unsigned ifindex, const struct ipaddr *a);
/* A neighbour that is never asked for. */
int rtnl_neighbour_set(struct mnl_socket *nl, unsigned ifindex, const struct ipaddr *a,
		       const struct macaddr *mac);
/* The default route, through a gateway that needs no route itself. */
int rtnl_default_set(struct mnl_socket *nl, unsigned ifindex, const struct ipaddr *gateway);
/* In `table`, every address of the gateway's family is local to device `ifindex`. */
int rtnl_all_local_set(struct mnl_socket *nl, int family, unsigned ifindex, unsigned table);
/* What comes in by the device `name` is looked up in `table`. */
int rtnl_rule_add(struct mnl_socket *nl, int family, const char *name, unsigned table);

#endif
