#define _GNU_SOURCE 1 /* explicit_bzero */

#include "ctl/key.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#define KEY_SIZE 32

int key_generate(FILE *out, unsigned id)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t key[KEY_SIZE];
	char hex[2 * KEY_SIZE + 1] = "";

	/* Up to 256 bytes come whole, once the kernel's source is initialised. */
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -EIO;
	for (size_t i = 0; i < sizeof(key); i++) {
		hex[2 * i] = digits[key[i] >> 4];
		hex[2 * i + 1] = digits[key[i] & 15];
	}
	fprintf(out, "%u %s\n", id, hex);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(hex, sizeof(hex));
	return 0;
}
