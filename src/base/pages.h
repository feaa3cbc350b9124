/*
 * pages.h - memory in whole pages, all 0, for what is large and may never be used.
 *
 * What is never touched costs no memory and, under AddressSanitizer, no shadow of it either; there
 * a part that nobody may use at the moment can be marked.
 */
#ifndef BASE_PAGES_H
#define BASE_PAGES_H

#include <stddef.h>

/* NULL when there is none, or `size` is 0. */
void *pages_alloc(size_t size);
/* `size` as it was asked for; NULL is nothing. */
void pages_free(void *pages, size_t size);

/* Whoever reads or writes it ends the program; nothing happens without AddressSanitizer. */
void pages_shut(void *part, size_t size);
void pages_open(void *part, size_t size);

#endif
