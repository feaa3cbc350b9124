/*
 * key.h - new cluster keys.
 */
#ifndef CTL_KEY_H
#define CTL_KEY_H

#include <stdio.h>

/* Print one line of a key file: the id and 256 random bits. 0 or negative errno. */
int key_generate(FILE *out, unsigned id);

#endif
