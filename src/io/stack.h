/*
 * stack.h - a private stack: the kernel's TCP in a network namespace of the daemon's own, joined to
 * the host by a veth pair.
 *
 *	  host                                  private namespace
 *	  port (AF_PACKET) -- outer device ===== inner device -- TCP -- sockets of this process
 *	  answers for "gateway MAC"              "stack MAC"; virtual addresses on lo
 *
 * The outer device is an ordinary one, and a port of backend `packet` sits on it. What the engine
 * sends to stack_mac() there is received inside; what is sent inside, to whatever address, comes
 *out for stack_gateway_mac(), which the port must have as its `mac`. It is not the outer device's
 *own address, so the host's kernel takes those frames for another's and drops them at once. No ARP
 *and no neighbour discovery is needed or answered on either side.
 *
 * A process may have several. One with `any` accepts packets to every address: in it sockets are
 * bound to addresses that are not this host's (`transparent`), and get the answers to them.
 *
 * What a daemon leaves behind when it is killed, the kernel removes with the namespace, but only
 * after the last of its connections. stack_new finds such leftovers of the same node and stack by
 * the alias of the outer device, sees that their process is dead, and removes them. It never
 * touches a device that is not marked as the stack's own, nor one of a living process.
 *
 * Not for several threads at once.
 */
#ifndef IO_STACK_H
#define IO_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define STACK_DEVICE 16 /* room for a device's name */

struct stack_params {
	const char *node;		/* whose stack; borrowed for the call, at most 64 bytes */
	const char *name;		/* which of the node's, for instance "clients"; likewise */
	char device[STACK_DEVICE];	/* of the outer end; "" = stack_device_name */
	uint32_t mtu;			/* of both ends; 0 = 1500 */
	bool any;			/* every address is local for what comes in */
	bool user_changes;		/* the process will change its user after this */
	uint16_t first_port, last_port; /* that connections out of it have; 0 = the kernel's */
	const struct ipaddr *addresses; /* virtual addresses; borrowed for the call */
	unsigned n_addresses;
};

struct stack;

/* TCP's congestion control of all sockets that are made from now on, "cubic" for instance: 0, or
 * negative errno (the kernel has none of that name), and they keep that of a new namespace. */
int stack_set_congestion(struct stack *s, const char *name);

/* The default name of the outer device, "fwc-" and 8 hexadecimal digits made of both names. */
void stack_device_name(char out[STACK_DEVICE], const char *node, const char *name);

/* Needs CAP_SYS_ADMIN, CAP_NET_ADMIN and a writable /proc/sys/net; later only CAP_NET_ADMIN, and
 * CAP_NET_RAW for transparent sockets. NULL with text in `err`. */
struct stack *stack_new(const struct stack_params *p, char *err, size_t err_size);
/* Removes both devices. Connections that are still open stay where they are, with nobody to talk
 * to, until they are closed. NULL is allowed. */
void stack_free(struct stack *s);

/* Make the devices again if somebody has removed the outer one: 1 = made, 0 = it was there, or
 * negative errno with text in `err`. Connections live on. */
int stack_repair(struct stack *s, char *err, size_t err_size);
/* Make these the addresses inside, and no others. 0, or the negative errno of the last that could
 * not be added or removed, with text in `err`; the rest is done. */
int stack_set_addresses(struct stack *s, const struct ipaddr *addresses, unsigned n, char *err,
			size_t err_size);

/* Connections out of it that are made from now on have ports from `first` to `last`. 0, or negative
 * errno. Needs CAP_NET_ADMIN. */
int stack_set_ports(struct stack *s, uint16_t first, uint16_t last);

const char *stack_device(const struct stack *s);
unsigned stack_ifindex(const struct stack *s); /* of the outer device */
struct macaddr stack_mac(const struct stack *s);
struct macaddr stack_gateway_mac(const struct stack *s);

enum stack_socket_kind { STACK_LISTEN, STACK_CONNECT };

struct stack_socket_request {
	enum stack_socket_kind kind;
	/* Listening: where. Connecting: from where; unspecified = as the kernel chooses, port 0 =
	 * any that is free towards this remote. */
	struct endpoint local;
	struct endpoint remote;	 /* connecting only */
	bool transparent;	 /* `local` need not be an address of the stack */
	int backlog;		 /* listening: connections not yet accepted, at least 1 */
	uint32_t defer_accept_s; /* listening: accept only with data; 0 = at once */
	uint32_t unsent_low;	 /* writable only with less than this unsent; 0 = the kernel's */
};

/* A non-blocking TCP socket that listens or is connecting (writable means that the outcome is
 * known: connect_result of io/connect.h), close-on-exec, without Nagle's delay, which accepted ones
 * inherit; or negative errno. With `s` NULL of the host's own stack. A stack keeps sockets ready
 * for this, 8 of a family that is asked for, up to 512 where many are asked for quickly: leave room
 * in the limit of open files. */
int stack_socket(struct stack *s, const struct stack_socket_request *r);

/* The near end of a socket that stack_socket has made. 0, or negative errno. */
int stack_near_end(int fd, struct endpoint *local);

/* The next connection of a listening socket, non-blocking, with both its ends: `to` is the address
 * the client asked for. -EAGAIN when none waits; other negative errno when one could not be taken:
 * -EMFILE and -ENFILE mean that it still waits. */
int stack_accept(int listener, struct endpoint *from, struct endpoint *to);

#endif
