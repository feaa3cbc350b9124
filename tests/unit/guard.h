/*
 * guard.h - test inputs that end at an unreadable page, so that reading one byte too far crashes.
 */
#ifndef TESTS_GUARD_H
#define TESTS_GUARD_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Bytes of readable pages in front of the guard page; one page at least, also for size 0. */
static inline size_t guard_span(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return size == 0 ? page : (size + page - 1) / page * page;
}

/* A copy of `size` bytes that ends exactly at an unreadable page. Never NULL. `data` may be NULL
 * for a copy that starts as zeros. Free with guard_free and the same size. */
static inline uint8_t *guard_copy(const void *data, size_t size)
{
	size_t span = guard_span(size);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *map =
		mmap(NULL, span + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || mprotect(map + span, page, PROT_NONE) != 0)
		abort();
	if (data && size > 0)
		memcpy(map + span - size, data, size);
	return map + span - size;
}

static inline void guard_free(uint8_t *p, size_t size)
{
	size_t span = guard_span(size);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	munmap(p + size - span, span + page);
}

#endif
