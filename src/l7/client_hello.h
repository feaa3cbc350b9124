/*
 * client_hello.h - server name and application protocols of a TLS client, read from its first
 * message without taking part in TLS (RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC
 * 7301).
 *
 * The message may come in any pieces and in several records. The caller keeps all bytes from the
 * start of the connection and asks again when there are more; the bytes are passed on untouched to
 * whatever server is chosen. What was seen of the records before is not looked at again.
 *
 * The name is what the client says in the clear: with encrypted ClientHello, the outer name.
 */
#ifndef L7_CLIENT_HELLO_H
#define L7_CLIENT_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l7/answer.h"
#include "l7/text.h"

#define CLIENT_HELLO_MAX 18432	/* bytes, record headers included; longer is refused */
#define CLIENT_HELLO_RECORDS 32 /* so many records are looked at */
#define CLIENT_HELLO_ALPN 128	/* bytes of the protocol list that are kept */

/* X(symbol, name, text) */
#define HELLO_REASON_LIST(X)                                                                       \
	X(NONE, "none", "not refused")                                                             \
	X(NOT_TLS, "not-tls", "does not begin with a TLS handshake record")                        \
	X(RECORD, "record", "record of a wrong type, version or length")                           \
	X(MESSAGE, "message", "handshake message other than ClientHello")                          \
	X(LONG, "long", "ClientHello too long, or in too many records")                            \
	X(MALFORMED, "malformed", "lengths inside the ClientHello disagree")                       \
	X(NAME, "name", "server name that is no host name, or two of them")

#define HELLO_REASON_ENUM(sym, name, text) HELLO_REASON_##sym,
enum hello_reason { HELLO_REASON_LIST(HELLO_REASON_ENUM) HELLO_REASON_COUNT };
#undef HELLO_REASON_ENUM

struct client_hello {
	/* results, at L7_MATCH */
	char name[256]; /* lower case, ended by a zero, no final dot; empty: not said */
	uint8_t name_size;
	uint8_t alpn[CLIENT_HELLO_ALPN]; /* names, each behind a byte with its length */
	uint8_t alpn_size;		 /* whole names only */
	bool tls13;			 /* offers TLS 1.3 or later */
	uint8_t reason;			 /* enum hello_reason, at L7_NO */

	/* how far the records have been read */
	uint32_t size;	  /* of the records seen whole, or in part, so far */
	uint32_t message; /* handshake bytes in them */
	uint32_t want;	  /* handshake bytes of the whole message; 0: not known yet */
	uint32_t records;
	uint8_t answer; /* enum l7_answer */
};

void client_hello_init(struct client_hello *c);

/* `data` holds all bytes from the start of the connection. L7_NO: c->reason. */
enum l7_answer client_hello_read(struct client_hello *c, const void *data, size_t size);

/* Does the client speak that protocol ("h2", "http/1.1")? */
bool client_hello_speaks(const struct client_hello *c, struct text protocol);

const char *hello_reason_name(enum hello_reason r);
const char *hello_reason_text(enum hello_reason r);

#endif
