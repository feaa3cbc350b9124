/*
 * rtnl.c - rtnetlink requests with libmnl.
 */
#include "io/rtnl.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#define REQUEST_SIZE 1024
#define ANSWER_SIZE 32768 /* the kernel fills datagrams of a dump up to this */

struct request {
	_Alignas(struct nlmsghdr) uint8_t room[REQUEST_SIZE];
	struct nlmsghdr *nlh;
};

/* --- sockets, requests and answers ------------------------------------------------------------ */

int rtnl_open(struct mnl_socket **out)
{
	*out = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!*out || mnl_socket_bind(*out, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	return 0;
}

void rtnl_close(struct mnl_socket *nl)
{
	if (nl)
		mnl_socket_close(nl);
}

/* The fixed header, zeroed. */
static void *begin(struct request *r, uint16_t type, uint16_t flags, size_t size)
{
	r->nlh = mnl_nlmsg_put_header(r->room);
	r->nlh->nlmsg_type = type;
	r->nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	r->nlh->nlmsg_seq = 1;
	return mnl_nlmsg_put_extra_header(r->nlh, size);
}

static void put_address(struct request *r, uint16_t type, const struct ipaddr *a)
{
	if (ipaddr_is_v4(a))
		mnl_attr_put(r->nlh, type, 4, a->b + 12);
	else
		mnl_attr_put(r->nlh, type, 16, a->b);
}

static uint8_t family_of(const struct ipaddr *a)
{
	return ipaddr_is_v4(a) ? AF_INET : AF_INET6;
}

static uint8_t length_of(const struct ipaddr *a)
{
	return ipaddr_is_v4(a) ? 32 : 128;
}

/* Send and take the answers until the last; `fn` gets each message of a dump. */
static int talk(struct mnl_socket *nl, struct request *r, mnl_cb_t fn, void *arg)
{
	_Alignas(struct nlmsghdr) uint8_t answer[ANSWER_SIZE];
	unsigned portid = mnl_socket_get_portid(nl);
	int rc = MNL_CB_OK;

	if (mnl_socket_sendto(nl, r->nlh, r->nlh->nlmsg_len) < 0)
		return -errno;
	while (rc > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(nl, answer, sizeof(answer));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		rc = mnl_cb_run(answer, (size_t)n, r->nlh->nlmsg_seq, portid, fn, arg);
	}
	return rc < 0 ? -errno : 0;
}

static int ask(struct mnl_socket *nl, struct request *r)
{
	r->nlh->nlmsg_flags |= NLM_F_ACK;
	return talk(nl, r, NULL, NULL);
}

/* --- links ------------------------------------------------------------------------------------ */

struct links {
	void (*fn)(void *arg, const struct rtnl_link *link);
	void *arg;
};

static void copy_text(char *out, size_t size, const struct nlattr *attr)
{
	size_t n = mnl_attr_get_payload_len(attr);

	if (n >= size)
		n = size - 1;
	memcpy(out, mnl_attr_get_payload(attr), n);
	out[n] = '\0';
}

static int on_info(const struct nlattr *attr, void *arg)
{
	struct rtnl_link *link = arg;

	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		copy_text(link->kind, sizeof(link->kind), attr);
	return MNL_CB_OK;
}

static int on_attr(const struct nlattr *attr, void *arg)
{
	struct rtnl_link *link = arg;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		copy_text(link->name, sizeof(link->name), attr);
		break;
	case IFLA_IFALIAS:
		copy_text(link->alias, sizeof(link->alias), attr);
		break;
	case IFLA_LINKINFO:
		return mnl_attr_parse_nested(attr, on_info, link);
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == sizeof(link->mac.b))
			memcpy(link->mac.b, mnl_attr_get_payload(attr), sizeof(link->mac.b));
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct links *links = arg;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct rtnl_link link = {0};

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return MNL_CB_OK;
	link.ifindex = (unsigned)ifi->ifi_index;
	if (mnl_attr_parse(nlh, sizeof(*ifi), on_attr, &link) >= MNL_CB_STOP)
		links->fn(links->arg, &link);
	return MNL_CB_OK;
}

int rtnl_links(struct mnl_socket *nl, void (*fn)(void *arg, const struct rtnl_link *link),
	       void *arg)
{
	struct links links = {.fn = fn, .arg = arg};
	struct request r;

	begin(&r, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	return talk(nl, &r, on_link, &links);
}

static void put_end(struct request *r, const char *name, const struct macaddr *mac,
		    const struct rtnl_pair *p)
{
	mnl_attr_put_strz(r->nlh, IFLA_IFNAME, name);
	mnl_attr_put(r->nlh, IFLA_ADDRESS, sizeof(mac->b), mac->b);
	mnl_attr_put_u32(r->nlh, IFLA_MTU, p->mtu);
	mnl_attr_put_u32(r->nlh, IFLA_TXQLEN, p->queue);
}

int rtnl_pair_add(struct mnl_socket *nl, const struct rtnl_pair *p)
{
	struct nlattr *info, *data, *peer;
	struct request r;

	begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	put_end(&r, p->name, &p->mac, p);
	info = mnl_attr_nest_start(r.nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(r.nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(r.nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(r.nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(r.nlh, sizeof(struct ifinfomsg));
	put_end(&r, p->peer_name, &p->peer_mac, p);
	mnl_attr_put_u32(r.nlh, IFLA_NET_NS_FD, (uint32_t)p->peer_ns);
	mnl_attr_nest_end(r.nlh, peer);
	mnl_attr_nest_end(r.nlh, data);
	mnl_attr_nest_end(r.nlh, info);
	return ask(nl, &r);
}

int rtnl_link_delete(struct mnl_socket *nl, unsigned ifindex)
{
	struct request r;
	struct ifinfomsg *ifi = begin(&r, RTM_DELLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	return ask(nl, &r);
}

int rtnl_link_up(struct mnl_socket *nl, unsigned ifindex)
{
	struct request r;
	struct ifinfomsg *ifi = begin(&r, RTM_NEWLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	return ask(nl, &r);
}

int rtnl_link_alias(struct mnl_socket *nl, unsigned ifindex, const char *alias)
{
	struct request r;
	struct ifinfomsg *ifi = begin(&r, RTM_NEWLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	mnl_attr_put_str(r.nlh, IFLA_IFALIAS, alias);
	return ask(nl, &r);
}

int rtnl_link_no_address(struct mnl_socket *nl, unsigned ifindex)
{
	struct request r;
	struct ifinfomsg *ifi = begin(&r, RTM_NEWLINK, 0, sizeof(*ifi));
	struct nlattr *spec, *inet6;

	ifi->ifi_index = (int)ifindex;
	spec = mnl_attr_nest_start(r.nlh, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(r.nlh, AF_INET6);
	mnl_attr_put_u8(r.nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(r.nlh, inet6);
	mnl_attr_nest_end(r.nlh, spec);
	return ask(nl, &r);
}

/* --- addresses, neighbours, routes, rules ----------------------------------------------------- */

static int change_address(struct mnl_socket *nl, uint16_t type, uint16_t flags, unsigned ifindex,
			  const struct ipaddr *a)
{
	struct request r;
	struct ifaddrmsg *ifa = begin(&r, type, flags, sizeof(*ifa));

	ifa->ifa_family = family_of(a);
	ifa->ifa_prefixlen = length_of(a);
	ifa->ifa_index = ifindex;
	put_address(&r, IFA_LOCAL, a);
	put_address(&r, IFA_ADDRESS, a);
	mnl_attr_put_u32(r.nlh, IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
	return ask(nl, &r);
}

int rtnl_address_add(struct mnl_socket *nl, unsigned ifindex, const struct ipaddr *a)
{
	return change_address(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, a);
}

int rtnl_address_delete(struct mnl_socket *nl, unsigned ifindex, const struct ipaddr *a)
{
	return change_address(nl, RTM_DELADDR, 0, ifindex, a);
}

int rtnl_neighbour_set(struct mnl_socket *nl, unsigned ifindex, const struct ipaddr *a,
		       const struct macaddr *mac)
{
	struct request r;
	struct ndmsg *nd = begin(&r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*nd));

	nd->ndm_family = family_of(a);
	nd->ndm_ifindex = (int)ifindex;
	nd->ndm_state = NUD_PERMANENT;
	put_address(&r, NDA_DST, a);
	mnl_attr_put(r.nlh, NDA_LLADDR, sizeof(mac->b), mac->b);
	return ask(nl, &r);
}

int rtnl_default_set(struct mnl_socket *nl, unsigned ifindex, const struct ipaddr *gateway)
{
	struct request r;
	struct rtmsg *rt = begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*rt));

	rt->rtm_family = family_of(gateway);
	rt->rtm_table = RT_TABLE_MAIN;
	rt->rtm_protocol = RTPROT_STATIC;
	rt->rtm_scope = RT_SCOPE_UNIVERSE;
	rt->rtm_type = RTN_UNICAST;
	rt->rtm_flags = RTNH_F_ONLINK;
	put_address(&r, RTA_GATEWAY, gateway);
	mnl_attr_put_u32(r.nlh, RTA_OIF, ifindex);
	return ask(nl, &r);
}

int rtnl_all_local_set(struct mnl_socket *nl, int family, unsigned ifindex, unsigned table)
{
	struct request r;
	struct rtmsg *rt = begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*rt));

	rt->rtm_family = (uint8_t)family;
	rt->rtm_protocol = RTPROT_STATIC;
	rt->rtm_scope = RT_SCOPE_HOST;
	rt->rtm_type = RTN_LOCAL;
	mnl_attr_put_u32(r.nlh, RTA_TABLE, table);
	mnl_attr_put_u32(r.nlh, RTA_OIF, ifindex);
	return ask(nl, &r);
}

int rtnl_rule_add(struct mnl_socket *nl, int family, const char *name, unsigned table)
{
	struct request r;
	struct fib_rule_hdr *rule =
		begin(&r, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*rule));

	rule->family = (uint8_t)family;
	rule->action = FR_ACT_TO_TBL;
	mnl_attr_put_strz(r.nlh, FRA_IIFNAME, name);
	mnl_attr_put_u32(r.nlh, FRA_TABLE, table);
	return ask(nl, &r);
}
