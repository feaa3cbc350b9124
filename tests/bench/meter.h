/*
 * meter.h - clock, instructions and medians, for the benchmarks of the engine.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/perf_event.h>

/* For the function that makes the measured calls: neither inlined nor cloned, since callgrind
 * switches on and off there (--toggle-collect=measured). */
#ifdef __clang__
#define MEASURED __attribute__((noinline))
#else
#define MEASURED __attribute__((noipa))
#endif

/* Instructions of this process in user mode; always 0 where the machine does not count them. */
struct meter {
	int fd;
};

static inline struct meter meter_open(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_HW_INSTRUCTIONS,
				       .exclude_kernel = 1,
				       .exclude_hv = 1};

	return (struct meter){.fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0)};
}

static inline void meter_close(const struct meter *m)
{
	if (m->fd >= 0)
		close(m->fd);
}

static inline uint64_t meter_instructions(const struct meter *m)
{
	uint64_t v = 0;

	if (m->fd >= 0 && read(m->fd, &v, sizeof(v)) != sizeof(v))
		v = 0;
	return v;
}

static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static inline int compare_doubles(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

static inline double median(double *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), compare_doubles);
	return n ? v[n / 2] : 0;
}

#endif
