/*
 * offload_object.c - the compiled kernel program, as it lies in the daemon's own file.
 */
#include "io/offload_object.h"

/* OFFLOAD_OBJECT is the path of what the build has made of io/offload.bpf.c. */
__asm__(".pushsection .rodata\n"
	".balign 16\n"
	".globl offload_object\n"
	".hidden offload_object\n"
	"offload_object:\n"
	".incbin \"" OFFLOAD_OBJECT "\"\n"
	".globl offload_object_end\n"
	".hidden offload_object_end\n"
	"offload_object_end:\n"
	".byte 0\n"
	".popsection\n");
