/*
 * slice.h - parts of the arrays that the configuration consists of.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdint.h>

/* `n` elements from `first` on. */
struct slice {
	uint32_t first, n;
};

/* Both ends belong to it. */
struct range {
	uint16_t lo, hi;
};

#endif
