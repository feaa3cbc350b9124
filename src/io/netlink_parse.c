/*
 * netlink_parse.c - rtnetlink messages to the structures of netlink.h.
 */
#include "io/netlink_parse.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#ifndef IFF_LOWER_UP
#define IFF_LOWER_UP 0x10000 /* in linux/if.h, which quarrels with net/if.h */
#endif

struct attrs {
	const struct nlattr **table;
	uint16_t max;
};

static int store_attr(const struct nlattr *attr, void *data)
{
	struct attrs *a = data;
	uint16_t type = mnl_attr_get_type(attr);
	if (type <= a->max)
		a->table[type] = attr;
	return MNL_CB_OK;
}

/* False when the message is too short for its fixed header of `header` bytes. */
static bool read_attrs(const struct nlmsghdr *nlh, size_t header, const struct nlattr **table,
		       uint16_t max)
{
	struct attrs a = {.table = table, .max = max};
	memset(table, 0, sizeof(*table) * (max + 1u));
	if (mnl_nlmsg_get_payload_len(nlh) < header)
		return false;
	return mnl_attr_parse(nlh, (unsigned)header, store_attr, &a) >= MNL_CB_STOP;
}

static bool read_u32(const struct nlattr *attr, uint32_t *out)
{
	if (!attr || mnl_attr_get_payload_len(attr) != sizeof(*out))
		return false;
	memcpy(out, mnl_attr_get_payload(attr), sizeof(*out));
	return true;
}

/* An address attribute of `family`; false when absent or of another length. */
static bool read_address(const struct nlattr *attr, uint8_t family, struct ipaddr *out)
{
	if (!attr || mnl_attr_get_payload_len(attr) != (family == AF_INET ? 4 : 16))
		return false;
	const void *p = mnl_attr_get_payload(attr);
	*out = family == AF_INET ? ipaddr_v4(p) : ipaddr_v6(p);
	return true;
}

/* False for a family that is not IP, or a length that it does not have. */
static bool prefix_len(uint8_t family, uint8_t bits, uint8_t *out)
{
	if (family == AF_INET && bits <= 32)
		*out = (uint8_t)(96 + bits);
	else if (family == AF_INET6 && bits <= 128)
		*out = bits;
	else
		return false;
	return true;
}

bool netlink_parse_link(struct netlink_link *out, const struct nlmsghdr *nlh)
{
	const struct nlattr *tb[IFLA_MTU + 1];
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	memset(out, 0, sizeof(*out));
	if (!read_attrs(nlh, sizeof(*ifi), tb, IFLA_MTU))
		return false;
	/* Bridges send messages of their own family about their ports. */
	if (ifi->ifi_family != AF_UNSPEC || ifi->ifi_index <= 0)
		return false;
	const struct nlattr *name = tb[IFLA_IFNAME];
	if (!name || mnl_attr_validate(name, MNL_TYPE_NUL_STRING) < 0 ||
	    mnl_attr_get_payload_len(name) > sizeof(out->name))
		return false;
	memcpy(out->name, mnl_attr_get_payload(name), mnl_attr_get_payload_len(name));
	out->ifindex = (unsigned)ifi->ifi_index;
	out->up = (ifi->ifi_flags & IFF_UP) && (ifi->ifi_flags & IFF_LOWER_UP);
	(void)read_u32(tb[IFLA_MTU], &out->mtu);
	const struct nlattr *mac = tb[IFLA_ADDRESS];
	if (mac && mnl_attr_get_payload_len(mac) == sizeof(out->mac.b))
		memcpy(out->mac.b, mnl_attr_get_payload(mac), sizeof(out->mac.b));
	return true;
}

bool netlink_parse_addr(struct netlink_addr *out, const struct nlmsghdr *nlh)
{
	const struct nlattr *tb[IFA_LOCAL + 1];
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);

	memset(out, 0, sizeof(*out));
	if (!read_attrs(nlh, sizeof(*ifa), tb, IFA_LOCAL))
		return false;
	if (!prefix_len(ifa->ifa_family, ifa->ifa_prefixlen, &out->prefix.len))
		return false;
	/* On a point-to-point link IFA_ADDRESS is the peer's. */
	const struct nlattr *own = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	out->ifindex = ifa->ifa_index;
	return read_address(own, ifa->ifa_family, &out->prefix.addr);
}

/* First next hop of a multipath route that is alive and that we can use. */
static bool read_multipath(struct netlink_route *out, const struct nlattr *multipath,
			   uint8_t family)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	size_t left = mnl_attr_get_payload_len(multipath);

	while (left >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= left) {
		const struct nlattr *tb[RTA_VIA + 1] = {NULL};
		struct attrs a = {.table = tb, .max = RTA_VIA};
		size_t step = RTNH_ALIGN(hop->rtnh_len);

		if (mnl_attr_parse_payload(hop + 1, hop->rtnh_len - sizeof(*hop), store_attr, &a) >=
			    MNL_CB_STOP &&
		    !(hop->rtnh_flags & RTNH_F_DEAD) && !tb[RTA_VIA] && hop->rtnh_ifindex > 0) {
			out->ifindex = (unsigned)hop->rtnh_ifindex;
			return !tb[RTA_GATEWAY] || read_address(tb[RTA_GATEWAY], family, &out->via);
		}
		if (step > left)
			return false;
		left -= step;
		hop = (const void *)((const uint8_t *)hop + step);
	}
	return false;
}

/* Table, type and flags that make it one of ours. */
static bool is_wanted(const struct rtmsg *rtm, const struct nlattr **tb)
{
	uint32_t table = rtm->rtm_table;
	(void)read_u32(tb[RTA_TABLE], &table);
	if (table != RT_TABLE_MAIN || rtm->rtm_type != RTN_UNICAST)
		return false;
	if (rtm->rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD))
		return false;
	return rtm->rtm_src_len == 0 && rtm->rtm_tos == 0;
}

bool netlink_parse_route(struct netlink_route *out, const struct nlmsghdr *nlh)
{
	const struct nlattr *tb[RTA_ENCAP + 1];
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	memset(out, 0, sizeof(*out));
	if (!read_attrs(nlh, sizeof(*rtm), tb, RTA_ENCAP) || !is_wanted(rtm, tb))
		return false;
	if (tb[RTA_VIA] || tb[RTA_ENCAP])
		return false;
	uint8_t family = rtm->rtm_family;
	if (!prefix_len(family, rtm->rtm_dst_len, &out->dst.len))
		return false;
	if (family == AF_INET)
		out->dst.addr = ipaddr_v4("\0\0\0\0");
	if (rtm->rtm_dst_len > 0 && !read_address(tb[RTA_DST], family, &out->dst.addr))
		return false;
	/* Every link has fe80::/64, and nobody forwards there. */
	if (family == AF_INET6 && rtm->rtm_dst_len > 0 && ipaddr_is_link_local(&out->dst.addr))
		return false;
	(void)read_u32(tb[RTA_PRIORITY], &out->metric);
	if (tb[RTA_MULTIPATH])
		return read_multipath(out, tb[RTA_MULTIPATH], family);
	if (tb[RTA_GATEWAY] && !read_address(tb[RTA_GATEWAY], family, &out->via))
		return false;
	return read_u32(tb[RTA_OIF], &out->ifindex) && out->ifindex > 0;
}
