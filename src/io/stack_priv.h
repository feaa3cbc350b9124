/*
 * stack_priv.h - between the files of the private stack. Internal to src/io.
 */
#ifndef IO_STACK_PRIV_H
#define IO_STACK_PRIV_H

#include "io/netspace.h"
#include "io/stack.h"

struct netspace *stack_space(struct stack *s);
/* Of the sockets that are made, STACK_CONGESTION bytes; "" = the namespace's. */
char *stack_congestion(struct stack *s);
#define STACK_CONGESTION 16 /* TCP_CA_NAME_MAX of the kernel */

#endif
