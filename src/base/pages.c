#include "base/pages.h"

#include <sys/mman.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define PAGES_ASAN
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define PAGES_ASAN
#endif
#ifdef PAGES_ASAN
#include <sanitizer/asan_interface.h>
#endif

void *pages_alloc(size_t size)
{
	void *pages = size == 0 ? MAP_FAILED
				: mmap(NULL, size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

void pages_free(void *pages, size_t size)
{
	if (pages)
		munmap(pages, size);
}

void pages_shut(void *part, size_t size)
{
#ifdef PAGES_ASAN
	__asan_poison_memory_region(part, size);
#else
	(void)part;
	(void)size;
#endif
}

void pages_open(void *part, size_t size)
{
#ifdef PAGES_ASAN
	__asan_unpoison_memory_region(part, size);
#else
	(void)part;
	(void)size;
#endif
}
