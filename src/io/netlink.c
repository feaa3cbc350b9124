/*
 * netlink.c - following links, addresses and routes of the kernel.
 *
 * One socket carries notifications and the answers to our dumps. The kernel runs one dump per
 * socket at a time, so what has to be dumped is noted in `stale` and taken up one by one; what
 * changes meanwhile is noted again.
 */
#include "io/netlink.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/rtnetlink.h>

#include "io/netlink_parse.h"

#define READ_SIZE 65536
#define READS_PER_CALL 16 /* datagrams taken in by one netlink_read */
#define SOCKET_BUFFER (4 << 20)
#define LIST_MAX (1u << 20) /* entries of one list */
#define FIRST_DUMP_MS 10000

#ifndef RTNLGRP_NEXTHOP
#define RTNLGRP_NEXTHOP 32
#endif

enum dump { DUMP_LINKS, DUMP_ADDRS, DUMP_ROUTES4, DUMP_ROUTES6, DUMP_NONE };
#define BIT(dump) (1u << (dump))
/* Routes are dumped with DUMP_ROUTES4 first, and DUMP_ROUTES6 follows by itself. */
#define STALE_ALL (BIT(DUMP_LINKS) | BIT(DUMP_ADDRS) | BIT(DUMP_ROUTES4))

struct list {
	void *items;
	size_t count;
	size_t room; /* bytes, since `fresh` holds items of one kind, then of another */
};

struct link_entry {
	struct netlink_link link;
	bool changed, gone, seen;
};

struct netlink {
	struct netlink_events events;
	struct mnl_socket *socket;
	unsigned stale;	   /* BIT()s of the dumps that are due */
	enum dump running; /* DUMP_NONE = idle */
	bool broken;	   /* the running dump missed something */
	int error;	   /* the kernel refused a dump: negative errno, told by netlink_read */
	uint32_t seq;
	struct list links;	   /* of struct link_entry */
	struct list addrs, routes; /* what the owner sees */
	struct list fresh;	   /* what the running dump has brought */
	bool addrs_changed, routes_changed;
	_Alignas(struct nlmsghdr) uint8_t buffer[READ_SIZE];
};

/* Room for one more item at the end, zeroed; NULL without memory or beyond the limit. */
static void *list_add(struct list *l, size_t item_size)
{
	if (l->room - l->count * item_size < item_size) {
		size_t room = l->room ? l->room * 2 : 64 * item_size;
		void *items = l->count < LIST_MAX ? realloc(l->items, room) : NULL;
		if (!items)
			return NULL;
		l->items = items;
		l->room = room;
	}
	return memset((uint8_t *)l->items + l->count++ * item_size, 0, item_size);
}

/* Make `fresh` the list; returns whether anything differs. Items were zeroed before they were
 * filled, so padding does not matter. */
static bool list_replace(struct list *l, struct list *fresh, size_t item_size)
{
	bool differs = l->count != fresh->count ||
		       (l->count > 0 && memcmp(l->items, fresh->items, l->count * item_size) != 0);
	struct list old = *l;
	*l = *fresh;
	*fresh = old;
	fresh->count = 0;
	return differs;
}

static struct link_entry *link_at(const struct netlink *n, size_t i)
{
	return (struct link_entry *)n->links.items + i;
}

static struct link_entry *link_by_index(const struct netlink *n, unsigned ifindex)
{
	for (size_t i = 0; i < n->links.count; i++)
		if (link_at(n, i)->link.ifindex == ifindex && !link_at(n, i)->gone)
			return link_at(n, i);
	return NULL;
}

static void lost(struct netlink *n)
{
	n->stale = STALE_ALL;
	n->broken = true;
}

static void mark_gone(struct netlink *n, struct link_entry *e)
{
	e->gone = e->changed = true;
	n->stale |= BIT(DUMP_ADDRS) | BIT(DUMP_ROUTES4);
}

static void take_link(struct netlink *n, const struct nlmsghdr *nlh)
{
	struct netlink_link link;
	if (!netlink_parse_link(&link, nlh))
		return;
	struct link_entry *e = link_by_index(n, link.ifindex);
	if (nlh->nlmsg_type == RTM_DELLINK) {
		if (e)
			mark_gone(n, e);
		return;
	}
	/* A renamed link is told as one that went and one that came. */
	if (e && strcmp(e->link.name, link.name) != 0) {
		mark_gone(n, e);
		e = NULL;
	}
	if (!e) {
		e = list_add(&n->links, sizeof(*e));
		if (!e) {
			lost(n);
			return;
		}
	}
	e->seen = true;
	if (memcmp(&e->link, &link, sizeof(link)) == 0)
		return;
	e->link = link;
	e->changed = true;
	n->stale |= BIT(DUMP_ROUTES4);
}

static void take_fresh(struct netlink *n, const void *item, size_t size)
{
	void *room = list_add(&n->fresh, size);
	if (room)
		memcpy(room, item, size);
	else
		n->broken = true;
}

/* A message of the dump that runs. */
static void take_dumped(struct netlink *n, const struct nlmsghdr *nlh)
{
	struct netlink_addr addr;
	struct netlink_route route;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
		take_link(n, nlh);
		break;
	case RTM_NEWADDR:
		if (n->running == DUMP_ADDRS && netlink_parse_addr(&addr, nlh))
			take_fresh(n, &addr, sizeof(addr));
		break;
	case RTM_NEWROUTE:
		if (n->running >= DUMP_ROUTES4 && netlink_parse_route(&route, nlh))
			take_fresh(n, &route, sizeof(route));
		break;
	default:
		break;
	}
}

static void take_event(struct netlink *n, const struct nlmsghdr *nlh)
{
	struct netlink_route route;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		take_link(n, nlh);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		n->stale |= BIT(DUMP_ADDRS) | BIT(DUMP_ROUTES4);
		break;
	case RTM_NEWROUTE:
		/* One that replaces another may be of a kind that we leave out. */
		if (nlh->nlmsg_flags & NLM_F_REPLACE || netlink_parse_route(&route, nlh))
			n->stale |= BIT(DUMP_ROUTES4);
		break;
	case RTM_DELROUTE:
		if (netlink_parse_route(&route, nlh))
			n->stale |= BIT(DUMP_ROUTES4);
		break;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		n->stale |= BIT(DUMP_ROUTES4);
		break;
	default:
		break;
	}
}

static int send_dump(struct netlink *n, enum dump which)
{
	static const struct {
		uint16_t type;
		uint8_t family;
	} requests[] = {
		[DUMP_LINKS] = {RTM_GETLINK, AF_UNSPEC},
		[DUMP_ADDRS] = {RTM_GETADDR, AF_UNSPEC},
		[DUMP_ROUTES4] = {RTM_GETROUTE, AF_INET},
		[DUMP_ROUTES6] = {RTM_GETROUTE, AF_INET6},
	};
	_Alignas(struct nlmsghdr) uint8_t room[NLMSG_SPACE(sizeof(struct ifinfomsg))];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);

	nlh->nlmsg_type = requests[which].type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++n->seq;
	/* The longest of the fixed headers; in all of them the family comes first. */
	struct ifinfomsg *body = mnl_nlmsg_put_extra_header(nlh, sizeof(*body));
	body->ifi_family = requests[which].family;
	if (mnl_socket_sendto(n->socket, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	n->running = which;
	return 0;
}

static int start_dump(struct netlink *n, enum dump which)
{
	n->broken = false;
	n->fresh.count = 0;
	if (which == DUMP_LINKS)
		for (size_t i = 0; i < n->links.count; i++)
			link_at(n, i)->seen = false;
	int rc = send_dump(n, which);
	if (rc == 0)
		n->stale &= ~BIT(which);
	return rc;
}

/* Begin what is due, if nothing runs. */
static int next_dump(struct netlink *n)
{
	if (n->running != DUMP_NONE)
		return 0;
	for (enum dump d = DUMP_LINKS; d <= DUMP_ROUTES4; d++)
		if (n->stale & BIT(d))
			return start_dump(n, d);
	return 0;
}

/* `error`: what the kernel says about the whole dump. What was known stays then, and the dump is
 * due again with the next message. */
static void finish_dump(struct netlink *n, int error)
{
	enum dump done = n->running;
	n->running = DUMP_NONE;
	if (n->broken || error < 0) {
		n->stale |= BIT(done == DUMP_ROUTES6 ? DUMP_ROUTES4 : done);
		n->error = error;
		return;
	}
	switch (done) {
	case DUMP_LINKS:
		for (size_t i = 0; i < n->links.count; i++)
			if (!link_at(n, i)->seen && !link_at(n, i)->gone)
				mark_gone(n, link_at(n, i));
		break;
	case DUMP_ADDRS:
		if (list_replace(&n->addrs, &n->fresh, sizeof(struct netlink_addr)))
			n->addrs_changed = true;
		break;
	case DUMP_ROUTES4:
		if (send_dump(n, DUMP_ROUTES6) < 0)
			n->stale |= BIT(DUMP_ROUTES4);
		break;
	case DUMP_ROUTES6:
		if (list_replace(&n->routes, &n->fresh, sizeof(struct netlink_route)))
			n->routes_changed = true;
		break;
	case DUMP_NONE:
		break;
	}
}

/* The result in NLMSG_DONE or NLMSG_ERROR; a family that the kernel lacks is an empty answer. */
static int result_of(const struct nlmsghdr *nlh)
{
	int32_t error = 0;
	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	return error == -EAFNOSUPPORT || error == -EOPNOTSUPP ? 0 : error;
}

static void take_message(struct netlink *n, const struct nlmsghdr *nlh)
{
	bool ours = n->running != DUMP_NONE && nlh->nlmsg_seq == n->seq &&
		    nlh->nlmsg_pid == mnl_socket_get_portid(n->socket);
	if (!ours) {
		take_event(n, nlh);
		return;
	}
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		n->broken = true;
	if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
		finish_dump(n, result_of(nlh));
	else
		take_dumped(n, nlh);
}

/* One datagram. 1, 0 when none waits, or negative errno. */
static int receive(struct netlink *n)
{
	struct sockaddr_nl from = {0};
	socklen_t len = sizeof(from);
	ssize_t got = recvfrom(mnl_socket_get_fd(n->socket), n->buffer, sizeof(n->buffer),
			       MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	if (got < 0) {
		if (errno == EAGAIN)
			return 0;
		if (errno == EINTR)
			return 1;
		if (errno != ENOBUFS)
			return -errno;
		lost(n);
		return 1;
	}
	if (from.nl_pid != 0)
		return 1; /* not the kernel */
	int left = (int)got;
	for (const struct nlmsghdr *nlh = (const void *)n->buffer; mnl_nlmsg_ok(nlh, left);
	     nlh = mnl_nlmsg_next(nlh, &left))
		take_message(n, nlh);
	return 1;
}

/* Forget links that are gone. */
static void sweep_links(struct netlink *n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n->links.count; i++)
		if (!link_at(n, i)->gone)
			*link_at(n, kept++) = *link_at(n, i);
	n->links.count = kept;
}

/* Those that went before those that came: a name may have moved from one to the other. */
static void tell_links(struct netlink *n)
{
	bool swept = false;
	for (size_t i = 0; i < n->links.count; i++) {
		struct link_entry *e = link_at(n, i);
		if (e->gone && n->events.link)
			n->events.link(n->events.arg, &e->link, true);
		swept = swept || e->gone;
	}
	if (swept)
		sweep_links(n);
	for (size_t i = 0; i < n->links.count; i++) {
		struct link_entry *e = link_at(n, i);
		if (e->changed && n->events.link)
			n->events.link(n->events.arg, &e->link, false);
		e->changed = false;
	}
}

static void tell(struct netlink *n)
{
	tell_links(n);
	if (n->addrs_changed && n->events.addresses)
		n->events.addresses(n->events.arg);
	if (n->routes_changed && n->events.routes)
		n->events.routes(n->events.arg);
	n->addrs_changed = n->routes_changed = false;
}

static bool more_waits(const struct netlink *n)
{
	struct pollfd pfd = {.fd = mnl_socket_get_fd(n->socket), .events = POLLIN};
	return poll(&pfd, 1, 0) > 0;
}

int netlink_read(struct netlink *n)
{
	int rc = 1;
	n->error = 0;
	for (unsigned i = 0; i < READS_PER_CALL && rc > 0; i++)
		rc = receive(n);
	/* Only with the socket read empty: then many changes cost one dump. When more waits, the
	 * owner calls again; when nothing does, nobody would. */
	if (rc > 0 && !more_waits(n))
		rc = 0;
	if (rc == 0 && n->error == 0)
		rc = next_dump(n);
	tell(n);
	return rc < 0 ? rc : n->error;
}

static int open_socket(struct netlink *n)
{
	static const int groups[] = {RTNLGRP_LINK,	 RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				     RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_NEXTHOP};
	int size = SOCKET_BUFFER;

	n->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!n->socket || mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	int fd = mnl_socket_get_fd(n->socket);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		int group = groups[i];
		if (mnl_socket_setsockopt(n->socket, NETLINK_ADD_MEMBERSHIP, &group,
					  sizeof(group)) < 0 &&
		    group != RTNLGRP_NEXTHOP)
			return -errno;
	}
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Run all dumps to their end. */
static int first_picture(struct netlink *n)
{
	int64_t deadline = now_ms() + FIRST_DUMP_MS;
	struct netlink_events events = n->events;

	n->stale = STALE_ALL;
	n->events = (struct netlink_events){0};
	for (;;) {
		int rc = netlink_read(n);
		if (rc < 0)
			return rc;
		if (n->stale == 0 && n->running == DUMP_NONE)
			break;
		struct pollfd pfd = {.fd = mnl_socket_get_fd(n->socket), .events = POLLIN};
		int64_t left = deadline - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
	}
	n->events = events;
	return 0;
}

struct netlink *netlink_open(const struct netlink_events *events, char *err, size_t err_size)
{
	struct netlink *n = calloc(1, sizeof(*n));
	if (!n) {
		snprintf(err, err_size, "no memory for the netlink socket");
		return NULL;
	}
	n->events = *events;
	n->running = DUMP_NONE;
	int rc = open_socket(n);
	if (rc == 0)
		rc = first_picture(n);
	if (rc < 0) {
		snprintf(err, err_size, "netlink: cannot read links, addresses and routes: %s",
			 strerror(-rc));
		netlink_close(n);
		return NULL;
	}
	return n;
}

void netlink_close(struct netlink *n)
{
	if (!n)
		return;
	if (n->socket)
		mnl_socket_close(n->socket);
	free(n->links.items);
	free(n->addrs.items);
	free(n->routes.items);
	free(n->fresh.items);
	free(n);
}

int netlink_fd(const struct netlink *n)
{
	return mnl_socket_get_fd(n->socket);
}

const struct netlink_link *netlink_link_by_name(const struct netlink *n, const char *name)
{
	for (size_t i = 0; i < n->links.count; i++) {
		const struct link_entry *e = link_at(n, i);
		if (!e->gone && strcmp(e->link.name, name) == 0)
			return &e->link;
	}
	return NULL;
}

const struct netlink_addr *netlink_addresses(const struct netlink *n, size_t *count)
{
	*count = n->addrs.count;
	return n->addrs.items;
}

const struct netlink_route *netlink_routes(const struct netlink *n, size_t *count)
{
	*count = n->routes.count;
	return n->routes.items;
}
