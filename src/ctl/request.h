/*
 * request.h - the tool's end of the control socket: one JSON object per line, both ways.
 */
#ifndef CTL_REQUEST_H
#define CTL_REQUEST_H

#include <stddef.h>

#include <jansson.h>

/* An answer line longer than this is no answer. */
#define REQUEST_LINE (64u << 20)
/* A living daemon answers at once; one that is stopped or stuck does not. */
#define REQUEST_TIMEOUT_S 10

struct request;

/* Connect. NULL with what is wrong and what to do about it in `err`. */
struct request *request_open(const char *path, char *err, size_t err_size);
void request_close(struct request *r);

/* Send one line. 0 or negative errno. */
int request_send(struct request *r, const json_t *line);
/* Receive one line as an object (new reference), waiting at most `timeout_s` (0 = for ever). NULL
 * with text in `err`. */
json_t *request_receive(struct request *r, int timeout_s, char *err, size_t err_size);

#endif
