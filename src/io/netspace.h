/*
 * netspace.h - a network namespace of this process's own, and a thread in it that makes sockets.
 * Internal to src/io.
 *
 * A socket belongs to the namespace of the thread that made it, for ever and whoever uses it. So
 * one thread enters the new namespace and stays there, and does one thing: it calls socket(2). Some
 * sockets of each family that was ever asked for are kept ready, so asking is taking one out; all
 * that is done with them then (bind, listen, connect) the caller does itself. The thread needs no
 * capability for that and gives all of them up before netspace_new returns.
 *
 * The namespace has no name. It ends with the thread, its sockets and the descriptor kept here:
 * with the process, however that ends.
 */
#ifndef IO_NETSPACE_H
#define IO_NETSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netspace;
struct mnl_socket;

/* Needs CAP_SYS_ADMIN and a writable /proc/sys/net. Inside, only loopback is there and up, and the
 * sysctls are what a server of TCP wants. `user_changes`: this process will change its user, in
 * which the C library takes every thread along; the thread keeps the two capabilities for it until
 * then. NULL with text in `err`. */
struct netspace *netspace_new(bool user_changes, char *err, size_t err_size);
/* NULL is allowed. Sockets taken out live on, and the namespace with them. */
void netspace_free(struct netspace *n);

/* A TCP socket of the namespace, AF_INET or AF_INET6, non-blocking and close-on-exec; or negative
 * errno. */
int netspace_socket(struct netspace *n, int family);

/* Connections that are made from now on get ports from `first` to `last`; at first any above 1023.
 * 0, or negative errno. */
int netspace_set_ports(struct netspace *n, uint16_t first, uint16_t last);

/* Descriptor of the namespace, and a netlink socket in it. Both stay owned by it. */
int netspace_fd(const struct netspace *n);
struct mnl_socket *netspace_netlink(const struct netspace *n);

#endif
