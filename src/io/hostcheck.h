/*
 * hostcheck.h - what in the host's set-up breaks forwarding, each with the command that mends it.
 *
 * Looked for: the kernel forwarding by itself on a port's device (every packet would leave twice),
 * virtual addresses that the kernel also holds (it would answer for them, with resets), no IPv6
 * default route (it would answer for what it has no route to), offloads that a port's backend
 * cannot handle, a configured MTU above the device's. Not looked for: rp_filter, nftables rules and
 * ICMP redirect settings. They act behind the point where ports take their frames, on the kernel's
 * own copy, and do not touch forwarding.
 *
 * What cannot be read (no /proc/sys in a sandbox, a device that is missing) is no problem here.
 */
#ifndef IO_HOSTCHECK_H
#define IO_HOSTCHECK_H

#include "base/params.h"

/* Calls `say` once for each problem; returns their number. */
unsigned hostcheck_run(const struct params *params,
		       void (*say)(void *arg, const char *problem, const char *mend), void *arg);

#endif
