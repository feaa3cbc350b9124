/*
 * kernel.h - what the kernel program (src/io/offload.bpf.c) does with the flows that an engine
 * leaves to it, as a model for simulations.
 */
#ifndef SIM_KERNEL_H
#define SIM_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

#define KERNEL_SLOTS 64
#define KERNEL_AFTER 2 /* packets of a side */

struct kernel {
	struct offload_slot slots[KERNEL_SLOTS];
	struct offload_control control;
	struct offload_change keys[2 * KERNEL_SLOTS];
	unsigned n_keys;
	uint64_t passed;
};

/* Of an engine that has just been made. Ports are interfaces 1, 2, ... */
struct kernel *kernel_new(struct engine *e);
void kernel_free(struct kernel *k);

/* Carry out the engine's changes. */
void kernel_apply(struct kernel *k, struct engine *e);

/* True: the frame has been rewritten and leaves by the port in frame->port; the engine does not see
 * it. */
bool kernel_pass(struct kernel *k, struct frame *frame, uint64_t now_ns);

#endif
