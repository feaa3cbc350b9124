/*
 * netlink.h - what the kernel knows: links, addresses, routes (libmnl, rtnetlink).
 *
 * One socket, non-blocking after the first dump. The owner reads it when readable; every change is
 * told through the callbacks of struct netlink_events after the batch has been taken in. On
 * ENOBUFS (messages lost) everything is dumped again.
 *
 * Links are followed message by message. Addresses and routes are dumped again after any change,
 * without blocking: the kernel removes IPv4 routes of a device that goes down, or of an address
 * that goes away, without saying so.
 */
#ifndef IO_NETLINK_H
#define IO_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct netlink_link {
	char name[32];
	unsigned ifindex;
	bool up; /* administratively up and carrier */
	uint32_t mtu;
	struct macaddr mac;
};

struct netlink_addr {
	unsigned ifindex;
	struct prefix prefix; /* host bits kept */
};

struct netlink_route {
	struct prefix dst;
	struct ipaddr via; /* unspecified = on link */
	unsigned ifindex;
	uint32_t metric;
};

struct netlink_events {
	void *arg;
	void (*link)(void *arg, const struct netlink_link *link, bool gone);
	void (*addresses)(void *arg); /* read the list with netlink_addresses */
	void (*routes)(void *arg);    /* read the list with netlink_routes */
};

struct netlink;

/* Opens the socket and takes the first full picture (no callback is called for it). NULL with text
 * in `err`. */
struct netlink *netlink_open(const struct netlink_events *events, char *err, size_t err_size);
void netlink_close(struct netlink *n);
int netlink_fd(const struct netlink *n);
/* Read what has come; 0 or negative errno. */
int netlink_read(struct netlink *n);

/* Valid until the next netlink_read. */
const struct netlink_link *netlink_link_by_name(const struct netlink *n, const char *name);
const struct netlink_addr *netlink_addresses(const struct netlink *n, size_t *count);
/* Unicast routes of the main table, both families, without the kernel's own for local addresses. */
const struct netlink_route *netlink_routes(const struct netlink *n, size_t *count);

#endif
