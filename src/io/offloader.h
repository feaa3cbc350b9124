/*
 * offloader.h - loads the kernel program of flow offload (io/offload.bpf.c), attaches it to devices
 * and gives it keys.
 *
 * Open it before privileges are given up: loading needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON
 * (without it the verifier wants guards against speculation) and bpf(2). All that comes later works
 * on descriptors that are open by then, and on netlink with CAP_NET_ADMIN.
 *
 * A device is attached to in this order: offloader_attach (TC), then the port's socket with the
 * filter of offloader_filter (port_set_offload, port_attach); and the other way round: port_detach,
 * offloader_detach. So no packet is kept from the daemon that nobody else passes on.
 *
 * In a build without it offloader_open fails and says so.
 */
#ifndef IO_OFFLOADER_H
#define IO_OFFLOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/params.h"
#include "node/offload_map.h"

struct offloader;

/* Room for `n_flows` flows. NULL with text in `err`. */
struct offloader *offloader_open(uint32_t n_flows, char *err, size_t err_size);
/* Detaches from all devices; a device's clsact is removed if it was made here, or by a daemon that
 * has crashed, and nobody else uses it. NULL is fine. */
void offloader_close(struct offloader *o);

/* Memory shared with the kernel program; belongs to the offloader. */
struct offload_slot *offloader_slots(const struct offloader *o);
uint32_t offloader_n_slots(const struct offloader *o);
struct offload_control *offloader_control(const struct offloader *o);

/* The socket filter's descriptor, for port_set_offload. */
int offloader_filter(const struct offloader *o);

/* The program at TC ingress of `ifindex`. 0, or negative errno with text in `err`: -EBUSY when
 * another daemon does that there. Takes the place of what a crashed daemon has left behind. */
int offloader_attach(struct offloader *o, unsigned ifindex, const struct port_params *params,
		     char *err, size_t err_size);
void offloader_detach(struct offloader *o, unsigned ifindex);

/* Have packets with `key` found. 0 or negative errno. */
int offloader_put(struct offloader *o, const struct offload_key *key, uint32_t value);
int offloader_remove(struct offloader *o, const struct offload_key *key);

/* The interface where packets do not reach the program at TC ingress, or 0. Then nothing is passed
 * on anywhere until offloader_mended. */
unsigned offloader_broken(const struct offloader *o);
void offloader_mended(struct offloader *o);

#endif
