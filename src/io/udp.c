/*
 * udp.c - the sockets of the cluster channel.
 *
 * Multicast: socket 0 is bound to the group, so that it gets nothing else; socket 1 to the local
 * address, for what members send to this node alone, and everything leaves by it, so that peers
 * see one source. Unicast: socket 0 does both.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* recvmmsg, sendmmsg */
#endif

#include "io/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sock_diag.h>

#define DATAGRAM_MAX 65507
#define SOCKET_BUFFER (4 << 20)
/* Not a power of two, see PORT_STRIDE in port_backend.h. */
#define STRIDE (65536 + 192)
#define N_SOCKETS 2

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29 /* since Linux 4.20; missing in the C library's headers */
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

union control {
	char room[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
	struct cmsghdr align;
};

struct udp {
	struct cluster_params params;
	struct ipaddr local; /* unspecified = any */
	bool has_local;
	int family[N_SOCKETS];
	int fd[N_SOCKETS];
	unsigned ifindex; /* of the device the sockets are bound to, 0 = none */
	uint64_t tx_errors;
	uint64_t rx_dropped; /* of sockets closed since */
	uint8_t *buffers;
	struct mmsghdr rx_msgs[UDP_BATCH], tx_msgs[UDP_BATCH];
	struct iovec rx_iov[UDP_BATCH], tx_iov[UDP_BATCH];
	union address rx_addr[UDP_BATCH], tx_addr[UDP_BATCH];
	union control rx_control[UDP_BATCH];
};

static bool is_multicast(const struct udp *u)
{
	return u->params.transport == TRANSPORT_MULTICAST;
}

static void init_messages(struct udp *u)
{
	for (unsigned i = 0; i < UDP_BATCH; i++) {
		struct msghdr *rx = &u->rx_msgs[i].msg_hdr;
		u->rx_iov[i].iov_base = u->buffers + (size_t)i * STRIDE;
		u->rx_iov[i].iov_len = DATAGRAM_MAX;
		rx->msg_iov = &u->rx_iov[i];
		rx->msg_iovlen = 1;
		rx->msg_name = &u->rx_addr[i];
		rx->msg_control = &u->rx_control[i];

		struct msghdr *tx = &u->tx_msgs[i].msg_hdr;
		tx->msg_iov = &u->tx_iov[i];
		tx->msg_iovlen = 1;
		tx->msg_name = &u->tx_addr[i];
	}
}

static bool check_params(const struct cluster_params *params, const struct ipaddr *local, char *err,
			 size_t err_size)
{
	char text[ADDR_TEXT];
	if (params->transport != TRANSPORT_MULTICAST)
		return true;
	if (!ipaddr_is_multicast(&params->group)) {
		snprintf(err, err_size, "cluster group \"%s\" is not a multicast address",
			 ipaddr_text(text, &params->group));
		return false;
	}
	if (local && ipaddr_is_v4(local) != ipaddr_is_v4(&params->group)) {
		snprintf(err, err_size,
			 "address \"%s\" of this member is not of the same family as the group",
			 ipaddr_text(text, local));
		return false;
	}
	return true;
}

struct udp *udp_new(const struct cluster_params *params, const struct ipaddr *local, char *err,
		    size_t err_size)
{
	if (!check_params(params, local, err, err_size))
		return NULL;
	struct udp *u = calloc(1, sizeof(*u));
	if (u)
		u->buffers = malloc((size_t)UDP_BATCH * STRIDE);
	if (!u || !u->buffers) {
		snprintf(err, err_size, "no memory for the cluster socket");
		free(u);
		return NULL;
	}
	u->params = *params;
	u->has_local = local != NULL;
	if (local)
		u->local = *local;
	for (unsigned i = 0; i < N_SOCKETS; i++)
		u->fd[i] = -1;
	init_messages(u);
	return u;
}

static uint64_t dropped_by_kernel(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		return 0;
	return info[SK_MEMINFO_DROPS];
}

static void close_sockets(struct udp *u)
{
	u->rx_dropped = udp_rx_dropped(u);
	for (unsigned i = 0; i < N_SOCKETS; i++) {
		if (u->fd[i] >= 0)
			close(u->fd[i]);
		u->fd[i] = -1;
	}
	u->ifindex = 0;
}

void udp_free(struct udp *u)
{
	if (!u)
		return;
	close_sockets(u);
	free(u->buffers);
	free(u);
}

/* `a` for a socket of `family`; an IPv6 socket takes IPv4 addresses in their mapped form. Returns
 * the length, or 0 when the family cannot express it. */
static socklen_t make_address(union address *out, int family, const struct ipaddr *a, uint16_t port,
			      unsigned scope)
{
	memset(out, 0, sizeof(*out));
	if (family == AF_INET6) {
		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_port = htons(port);
		memcpy(&out->in6.sin6_addr, a->b, 16);
		if (ipaddr_is_link_local(a) || ipaddr_is_multicast(a))
			out->in6.sin6_scope_id = scope;
		return sizeof(out->in6);
	}
	if (!ipaddr_is_v4(a) && !ipaddr_is_unspecified(a))
		return 0;
	out->in.sin_family = AF_INET;
	out->in.sin_port = htons(port);
	memcpy(&out->in.sin_addr, a->b + 12, 4);
	return sizeof(out->in);
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Options of all sockets. An IPv6 socket without IPV6_V6ONLY also obeys those of IPv4. */
static int set_common(int fd, int family)
{
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
	(void)set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	if (family == AF_INET)
		return set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	(void)set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	return set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

/* The address may come later than the daemon (DHCP, duplicate address detection): FREEBIND. */
static int bind_to(int fd, int family, const struct ipaddr *a, uint16_t port, unsigned scope)
{
	union address addr;
	socklen_t len = make_address(&addr, family, a, port, scope);
	if (len == 0)
		return -EAFNOSUPPORT;
	if (family == AF_INET)
		(void)set_int(fd, IPPROTO_IP, IP_FREEBIND, 1);
	else
		(void)set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	return bind(fd, &addr.sa, len) < 0 ? -errno : 0;
}

/* A datagram socket with the common options, or negative errno. */
static int open_socket(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	int rc = set_common(fd, family);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

/* Without an own address both families are served, unless the kernel has no IPv6. */
static int attach_unicast(struct udp *u)
{
	static const struct ipaddr any;
	int rc;

	if (u->fd[0] >= 0)
		return 0;
	u->family[0] = u->has_local && ipaddr_is_v4(&u->local) ? AF_INET : AF_INET6;
	u->fd[0] = open_socket(u->family[0]);
	if (u->fd[0] == -EAFNOSUPPORT && !u->has_local) {
		u->family[0] = AF_INET;
		u->fd[0] = open_socket(AF_INET);
	}
	if (u->fd[0] < 0)
		return u->fd[0];
	if (u->family[0] == AF_INET6 &&
	    (rc = set_int(u->fd[0], IPPROTO_IPV6, IPV6_V6ONLY, u->has_local)) < 0)
		return rc;
	unsigned scope = u->params.device[0] ? if_nametoindex(u->params.device) : 0;
	return bind_to(u->fd[0], u->family[0], u->has_local ? &u->local : &any, u->params.udp_port,
		       scope);
}

/* Also leaves first, so that the network hears of the membership again. */
static int join_group(const struct udp *u)
{
	const struct ipaddr *group = &u->params.group;
	int fd = u->fd[0];
	if (u->family[0] == AF_INET) {
		struct ip_mreqn m = {.imr_ifindex = (int)u->ifindex};
		memcpy(&m.imr_multiaddr, group->b + 12, 4);
		(void)setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof(m));
		return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)) < 0 ? -errno
											: 0;
	}
	struct ipv6_mreq m = {.ipv6mr_interface = u->ifindex};
	memcpy(&m.ipv6mr_multiaddr, group->b, 16);
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &m, sizeof(m));
	return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof(m)) < 0 ? -errno : 0;
}

/* How socket 1 sends to the group, and that it takes nothing sent to a group itself. */
static int set_multicast(const struct udp *u)
{
	int fd = u->fd[1], rc;
	if (u->family[1] == AF_INET) {
		struct ip_mreqn m = {.imr_ifindex = (int)u->ifindex};
		if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof(m)) < 0)
			return -errno;
		if ((rc = set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, 1)) < 0)
			return rc;
		if ((rc = set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0)) < 0)
			return rc;
		return set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	}
	if ((rc = set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)u->ifindex)) < 0)
		return rc;
	if ((rc = set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1)) < 0)
		return rc;
	if ((rc = set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0)) < 0)
		return rc;
	return set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
}

static int open_multicast(struct udp *u, unsigned i)
{
	static const struct ipaddr any;
	const struct ipaddr *a = i == 0 ? &u->params.group : u->has_local ? &u->local : &any;
	const char *device = u->params.device;
	int rc;

	u->family[i] = ipaddr_is_v4(&u->params.group) ? AF_INET : AF_INET6;
	u->fd[i] = open_socket(u->family[i]);
	if (u->fd[i] < 0)
		return u->fd[i];
	if (setsockopt(u->fd[i], SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) <
	    0)
		return -errno;
	/* The group and "any" on one port are in each other's way otherwise. */
	if (!u->has_local && (rc = set_int(u->fd[i], SOL_SOCKET, SO_REUSEADDR, 1)) < 0)
		return rc;
	if (u->family[i] == AF_INET6 && (rc = set_int(u->fd[i], IPPROTO_IPV6, IPV6_V6ONLY, 1)) < 0)
		return rc;
	return bind_to(u->fd[i], u->family[i], a, u->params.udp_port, u->ifindex);
}

static int attach_multicast(struct udp *u)
{
	unsigned ifindex = if_nametoindex(u->params.device);
	int rc;

	if (ifindex == 0)
		return -ENODEV;
	if (u->ifindex == ifindex)
		return join_group(u);
	close_sockets(u);
	u->ifindex = ifindex;
	for (unsigned i = 0; i < N_SOCKETS; i++)
		if ((rc = open_multicast(u, i)) < 0)
			return rc;
	if ((rc = set_multicast(u)) < 0)
		return rc;
	return join_group(u);
}

int udp_attach(struct udp *u, char *err, size_t err_size)
{
	int rc = is_multicast(u) ? attach_multicast(u) : attach_unicast(u);
	if (rc == 0)
		return 0;
	close_sockets(u);
	if (u->params.device[0])
		snprintf(err, err_size, "cluster socket: device \"%s\", port %u: %s",
			 u->params.device, u->params.udp_port, strerror(-rc));
	else
		snprintf(err, err_size, "cluster socket: port %u: %s", u->params.udp_port,
			 strerror(-rc));
	return rc;
}

int udp_fd(const struct udp *u, unsigned which)
{
	return which < N_SOCKETS ? u->fd[which] : -1;
}

static void read_address(struct endpoint *out, const union address *a)
{
	memset(out, 0, sizeof(*out));
	if (a->sa.sa_family == AF_INET6) {
		out->addr = ipaddr_v6(&a->in6.sin6_addr);
		out->port = ntohs(a->in6.sin6_port);
	} else {
		out->addr = ipaddr_v4(&a->in.sin_addr);
		out->port = ntohs(a->in.sin_port);
	}
}

/* Whether the destination was a multicast group (on socket 0 of multicast mode: the only one). */
static bool sent_to_group(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct ipaddr dst;
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			dst = ipaddr_v4(&info.ipi_addr);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			dst = ipaddr_v6(&info.ipi6_addr);
		} else {
			continue;
		}
		return ipaddr_is_multicast(&dst);
	}
	return false;
}

int udp_rx(struct udp *u, unsigned which, struct udp_datagram *out, unsigned max)
{
	int fd = udp_fd(u, which);
	if (fd < 0)
		return -ENOTCONN;
	if (max > UDP_BATCH)
		max = UDP_BATCH;
	for (unsigned i = 0; i < max; i++) {
		u->rx_msgs[i].msg_hdr.msg_namelen = sizeof(u->rx_addr[i]);
		u->rx_msgs[i].msg_hdr.msg_controllen = sizeof(u->rx_control[i]);
	}
	int got = recvmmsg(fd, u->rx_msgs, max, MSG_DONTWAIT, NULL);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;

	int n = 0;
	for (unsigned i = 0; i < (unsigned)got; i++) {
		struct msghdr *msg = &u->rx_msgs[i].msg_hdr;
		if (msg->msg_flags & MSG_TRUNC)
			continue;
		out[n] = (struct udp_datagram){.data = u->rx_iov[i].iov_base,
					       .size = u->rx_msgs[i].msg_len,
					       .multicast = sent_to_group(msg)};
		read_address(&out[n].from, &u->rx_addr[i]);
		n++;
	}
	return n;
}

/* Addresses message `slot` for `d`; false when it cannot be sent from this socket. */
static bool fill_message(struct udp *u, unsigned slot, const struct datagram *d, int family)
{
	const struct ipaddr *to = d->multicast ? &u->params.group : &d->to.addr;
	uint16_t port = d->multicast ? u->params.udp_port : d->to.port;
	socklen_t len = 0;

	if (!d->multicast || is_multicast(u))
		len = make_address(&u->tx_addr[slot], family, to, port, u->ifindex);
	u->tx_msgs[slot].msg_hdr.msg_namelen = len;
	u->tx_iov[slot].iov_base = (void *)(uintptr_t)d->data;
	u->tx_iov[slot].iov_len = d->size;
	return len > 0;
}

/* Send the first `n` messages; returns the number accepted. One that is refused is skipped; a full
 * queue is asked once more, then the rest is given up. */
static unsigned send_messages(struct udp *u, int fd, unsigned n)
{
	unsigned accepted = 0, i = 0, n_full = 0;
	while (i < n && n_full < 2) {
		int sent = sendmmsg(fd, u->tx_msgs + i, n - i, MSG_DONTWAIT);
		if (sent > 0) {
			accepted += (unsigned)sent;
			i += (unsigned)sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS)
			n_full++;
		i++;
	}
	return accepted;
}

unsigned udp_tx(struct udp *u, const struct datagram *v, unsigned n)
{
	unsigned which = is_multicast(u) ? 1 : 0;
	int fd = u->fd[which];
	unsigned accepted = 0;

	for (unsigned i = 0; i < n && fd >= 0;) {
		unsigned filled = 0;
		for (; i < n && filled < UDP_BATCH; i++)
			if (fill_message(u, filled, &v[i], u->family[which]))
				filled++;
		accepted += send_messages(u, fd, filled);
	}
	u->tx_errors += n - accepted;
	return accepted;
}

uint64_t udp_tx_errors(const struct udp *u)
{
	return u->tx_errors;
}

uint64_t udp_rx_dropped(const struct udp *u)
{
	return u->rx_dropped + dropped_by_kernel(u->fd[0]) + dropped_by_kernel(u->fd[1]);
}
