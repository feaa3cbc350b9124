/*
 * offload_object.h - the compiled kernel program (an ELF file), embedded.
 */
#ifndef IO_OFFLOAD_OBJECT_H
#define IO_OFFLOAD_OBJECT_H

extern const char offload_object[] __attribute__((visibility("hidden")));
extern const char offload_object_end[] __attribute__((visibility("hidden")));

#endif
