/*
 * stack_priv.h - between the files of the private stack. Internal to src/io.
 */
#ifndef IO_STACK_PRIV_H
#define IO_STACK_PRIV_H

#include "io/netspace.h"
#include "io/stack.h"

struct netspace *stack_space(struct stack *s);
/* "" = the namespace's */
const char *stack_congestion(const struct stack *s);
/* Whether a socket of the stack can have it: 0 or negative errno. */
int stack_try_congestion(struct stack *s, const char *name);

#endif
