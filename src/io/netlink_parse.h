/*
 * netlink_parse.h - rtnetlink messages to the structures of netlink.h. Internal to src/io.
 *
 * Each function returns false for a message that is malformed or of no interest. `size` limits are
 * those of the message header, which the caller has checked against the bytes received.
 */
#ifndef IO_NETLINK_PARSE_H
#define IO_NETLINK_PARSE_H

#include <libmnl/libmnl.h>

#include "io/netlink.h"

/* RTM_NEWLINK and RTM_DELLINK. */
bool netlink_parse_link(struct netlink_link *out, const struct nlmsghdr *nlh);
/* RTM_NEWADDR. */
bool netlink_parse_addr(struct netlink_addr *out, const struct nlmsghdr *nlh);
/* RTM_NEWROUTE. Only unicast routes of the main table, and of several next hops the first that is
 * alive; false for all others, among them those with a source prefix, a type of service, an
 * encapsulation or a gateway of the other family. */
bool netlink_parse_route(struct netlink_route *out, const struct nlmsghdr *nlh);

#endif
