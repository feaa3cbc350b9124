/*
 * offload_tc.h - the traffic control side of flow offload: a classifier at a device's ingress.
 *
 * It stands at a priority and handle of its own, in front of everybody else's, whom it leaves all
 * packets that are not its business.
 */
#ifndef IO_OFFLOAD_TC_H
#define IO_OFFLOAD_TC_H

#include <stdbool.h>
#include <stddef.h>

/* Attach the program `fd`. `*ours`: the clsact was made here, or had been by a daemon that crashed.
 * 0, or negative errno with the failing step in `*what`. */
int offload_tc_attach(unsigned ifindex, int fd, bool *ours, const char **what);
/* Remove it, and the clsact, too, if it is `ours` and nobody else has filters there. A device that
 * is gone is no error. */
void offload_tc_detach(unsigned ifindex, bool ours);

#endif
