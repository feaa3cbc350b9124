/*
 * stack_socket.c - listening and connecting sockets of a private stack, or of the host's own.
 *
 * Only the socket itself has to be made inside. All that is done with it works from any thread.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/sockaddr.h"
#include "io/stack.h"
#include "io/stack_priv.h"

/* Connections that were given up while they waited, passed over in one call. */
#define ABORTED_MAX 64

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int make(struct stack *s, int family)
{
	if (s)
		return netspace_socket(stack_space(s), family);
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int set_transparent(int fd, int family)
{
	if (family == AF_INET)
		return set_int(fd, SOL_IP, IP_TRANSPARENT, 1);
	return set_int(fd, SOL_IPV6, IPV6_TRANSPARENT, 1);
}

static int set_congestion(int fd, const char *name)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) < 0
		       ? -errno
		       : 0;
}

static int set_options(int fd, int family, const struct stack_socket_request *r)
{
	int rc = set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);

	if (rc == 0 && family == AF_INET6)
		rc = set_int(fd, SOL_IPV6, IPV6_V6ONLY, 1);
	if (rc == 0 && r->transparent)
		rc = set_transparent(fd, family);
	if (rc == 0 && r->unsent_low)
		rc = set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)r->unsent_low);
	return rc;
}

static int bind_to(int fd, int family, struct endpoint e)
{
	union sockaddr_any a;
	socklen_t size;

	/* "any address" is one of the socket's family, however it was written */
	if (ipaddr_is_unspecified(&e.addr))
		e.addr = family == AF_INET ? ipaddr_v4("\0\0\0") : (struct ipaddr){0};
	size = sockaddr_from(&a, &e);
	return bind(fd, &a.sa, size) < 0 ? -errno : 0;
}

static int start_listening(int fd, int family, const struct stack_socket_request *r)
{
	int rc = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (rc == 0 && r->defer_accept_s)
		rc = set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, (int)r->defer_accept_s);
	if (rc == 0)
		rc = bind_to(fd, family, r->local);
	if (rc == 0 && listen(fd, r->backlog) < 0)
		rc = -errno;
	return rc;
}

/* A port that is chosen when the remote is known need only be free towards that remote; chosen at
 * bind, it would be taken for all, and 64,000 connections from one address were the end. */
static int start_connecting(int fd, int family, const struct stack_socket_request *r)
{
	union sockaddr_any a;
	socklen_t size = sockaddr_from(&a, &r->remote);
	int rc = 0;

	if (r->local.port)
		rc = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	else
		rc = set_int(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (rc == 0 && (r->local.port || !ipaddr_is_unspecified(&r->local.addr)))
		rc = bind_to(fd, family, r->local);
	if (rc == 0 && connect(fd, &a.sa, size) < 0 && errno != EINPROGRESS)
		rc = -errno;
	return rc;
}

int stack_socket(struct stack *s, const struct stack_socket_request *r)
{
	bool listens = r->kind == STACK_LISTEN;
	int family = sockaddr_family(listens ? &r->local.addr : &r->remote.addr);
	int fd = make(s, family);
	int rc;

	if (fd < 0)
		return fd;
	rc = set_options(fd, family, r);
	if (rc == 0 && s && *stack_congestion(s))
		rc = set_congestion(fd, stack_congestion(s));
	if (rc == 0)
		rc = listens ? start_listening(fd, family, r) : start_connecting(fd, family, r);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

int stack_set_congestion(struct stack *s, const char *name)
{
	int fd, rc;

	if (strlen(name) >= STACK_CONGESTION)
		return -ENOENT;
	fd = make(s, AF_INET);
	if (fd < 0)
		return fd;
	rc = set_congestion(fd, name);
	close(fd);
	if (rc == 0)
		memcpy(stack_congestion(s), name, strlen(name) + 1);
	return rc;
}

int stack_near_end(int fd, struct endpoint *local)
{
	union sockaddr_any a;
	socklen_t size = sizeof(a);

	if (getsockname(fd, &a.sa, &size) < 0)
		return -errno;
	*local = sockaddr_endpoint(&a);
	return 0;
}

/* accept(2) tells errors of the waiting connection, too, as if they were its own. */
static bool is_connections_own(int error)
{
	switch (error) {
	case ECONNABORTED:
	case EINTR:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case EOPNOTSUPP:
		return true;
	default:
		return false;
	}
}

int stack_accept(int listener, struct endpoint *from, struct endpoint *to)
{
	union sockaddr_any a;
	socklen_t size = sizeof(a);
	int fd = -1, rc;

	for (unsigned i = 0; fd < 0 && i < ABORTED_MAX; i++) {
		size = sizeof(a);
		fd = accept4(listener, &a.sa, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && !is_connections_own(errno))
			return -errno;
	}
	if (fd < 0)
		return -EAGAIN;
	*from = sockaddr_endpoint(&a);
	rc = stack_near_end(fd, to);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}
