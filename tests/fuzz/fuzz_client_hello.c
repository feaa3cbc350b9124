/*
 * fuzz_client_hello.c - the first bytes of a TLS client, whole and byte by byte.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l7/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum l7_answer show(struct client_hello *c, const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	enum l7_answer answer;

	if (!copy)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	answer = client_hello_read(c, copy, size);
	free(copy);
	return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_hello c, pieces;
	struct text name;

	client_hello_init(&c);
	show(&c, data, size);
	client_hello_init(&pieces);
	for (size_t n = 0; n <= size && pieces.answer == L7_MORE; n += n < 600 ? 1 : 61)
		show(&pieces, data, n);
	show(&pieces, data, size);
	if (c.answer != pieces.answer || c.reason != pieces.reason ||
	    strcmp(c.name, pieces.name) != 0 || c.alpn_size != pieces.alpn_size ||
	    memcmp(c.alpn, pieces.alpn, c.alpn_size) != 0)
		abort();
	name = (struct text){c.name, c.name_size};
	if (strlen(c.name) != c.name_size || !text_all(name, TEXT_HOST) ||
	    (c.answer != L7_MATCH && c.name_size > 0) ||
	    (size >= CLIENT_HELLO_MAX && c.answer == L7_MORE))
		abort();
	(void)client_hello_speaks(&c, TEXT("h2"));
	return 0;
}
