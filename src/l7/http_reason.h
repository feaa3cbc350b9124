/*
 * http_reason.h - every way in which a message is refused, in one list, as base/drop.h has the drop
 * reasons.
 *
 * The status is what a client gets for a request that is refused so; a server's response that is
 * refused gives the client 502 whatever the reason. After a refusal the connection is closed: where
 * the next message begins is not known (RFC 9112 section 2.2, 6.3).
 */
#ifndef L7_HTTP_REASON_H
#define L7_HTTP_REASON_H

/* X(symbol, name, status, text) */
#define HTTP_REASON_LIST(X)                                                                        \
	X(NONE, "none", 200, "not refused")                                                        \
	X(START, "start", 400, "does not begin as an HTTP message does")                           \
	X(TLS, "tls", 400, "TLS on a port for plain HTTP")                                         \
	X(NUL, "nul", 400, "byte of value zero")                                                   \
	X(CONTROL, "control", 400, "control byte")                                                 \
	X(BARE_LF, "bare-lf", 400, "line feed without a carriage return")                          \
	X(BARE_CR, "bare-cr", 400, "carriage return without a line feed")                          \
	X(METHOD_BAD, "method-bad", 400, "method is no token")                                     \
	X(METHOD_UNKNOWN, "method-unknown", 501, "method not known here")                          \
	X(TARGET_BYTE, "target-byte", 400, "byte that a request target cannot hold")               \
	X(TARGET_EMPTY, "target-empty", 400, "request line without a target")                      \
	X(TARGET_LONG, "target-long", 414, "request target too long")                              \
	X(TARGET_FORM, "target-form", 400, "request target in no form that fits the method")       \
	X(TARGET_ESCAPE, "target-escape", 400, "wrong percent-encoding in the path")               \
	X(HTTP09, "http09", 505, "request of HTTP/0.9")                                            \
	X(VERSION_BAD, "version-bad", 400, "no HTTP version where one belongs")                    \
	X(VERSION_UNKNOWN, "version-unknown", 505, "HTTP version not spoken here")                 \
	X(STATUS_BAD, "status-bad", 502, "status code is not 100 to 599")                          \
	X(OBS_FOLD, "obs-fold", 400, "line that begins with white space")                          \
	X(FIELD_NAME, "field-name", 400, "field name is no token")                                 \
	X(SPACE_BEFORE_COLON, "space-before-colon", 400, "white space behind a field name")        \
	X(NO_COLON, "no-colon", 400, "field line without a colon")                                 \
	X(FIELDS_MANY, "fields-many", 431, "too many fields")                                      \
	X(HEAD_LONG, "head-long", 431, "head too long")                                            \
	X(HOST_MISSING, "host-missing", 400, "HTTP/1.1 without Host")                              \
	X(HOST_MANY, "host-many", 400, "more than one Host")                                       \
	X(HOST_BAD, "host-bad", 400, "Host is no name or address")                                 \
	X(HOST_MISMATCH, "host-mismatch", 400, "Host differs from the target's authority")         \
	X(LENGTH_BAD, "length-bad", 400, "Content-Length is no number")                            \
	X(LENGTH_MANY, "length-many", 400, "more than one Content-Length")                         \
	X(LENGTH_CODING, "length-coding", 400, "Content-Length with Transfer-Encoding")            \
	X(CODING_BAD, "coding-bad", 400, "chunked is not the last transfer coding, once")          \
	X(CODING_UNKNOWN, "coding-unknown", 501, "transfer coding other than chunked")             \
	X(CODING_OLD, "coding-old", 400, "Transfer-Encoding for or from HTTP/1.0")                 \
	X(BODY_UNEXPECTED, "body-unexpected", 400, "body where the message can have none")         \
	X(CONNECTION_BAD, "connection-bad", 400, "Connection names what must not be removed")      \
	X(EXPECT_UNKNOWN, "expect-unknown", 417, "expectation other than 100-continue")            \
	X(SWITCH_UNASKED, "switch-unasked", 502, "protocol switched without being asked to")       \
	X(DISAGREE, "disagree", 400, "two parsers read the head differently")                      \
	X(CHUNK_SIZE, "chunk-size", 400, "chunk size is no hexadecimal number, or too large")      \
	X(CHUNK_EXTENSION, "chunk-extension", 400, "malformed chunk extension")                    \
	X(CHUNK_EXTENSION_LONG, "chunk-extension-long", 400, "chunk extensions too long")          \
	X(CHUNK_END, "chunk-end", 400, "chunk longer than its size")                               \
	X(TRAILER_FIELD, "trailer-field", 400, "field that may not be in a trailer")               \
	X(TRAILER_LONG, "trailer-long", 431, "trailer too long")

#define HTTP_REASON_ENUM(sym, name, status, text) HTTP_REASON_##sym,
enum http_reason { HTTP_REASON_LIST(HTTP_REASON_ENUM) HTTP_REASON_COUNT };
#undef HTTP_REASON_ENUM

/* Name, explanation, and the status code that answers such a request. `r` is one of the list. */
const char *http_reason_name(enum http_reason r);
const char *http_reason_text(enum http_reason r);
unsigned http_reason_status(enum http_reason r);

#endif
