/*
 * control.h - the control socket: one JSON object per line, request and answer.
 *
 * A Unix stream socket. The owner of the loop watches the descriptors; this file reads, splits
 * lines, parses (jansson), checks who asks (SO_PEERCRED) and writes, all non-blocking and bounded:
 * a request line of at most CONTROL_LINE bytes, CONTROL_CLIENTS clients, an output buffer of
 * CONTROL_OUT bytes per client (a monitor that does not read loses events, and is told how many).
 */
#ifndef IO_CONTROL_H
#define IO_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define CONTROL_LINE 65536
#define CONTROL_CLIENTS 32
#define CONTROL_OUT (8u << 20)

struct control;
struct control_client;

/* Listen at `path`, mode 0660, group `group` ("" = root only, 0600). A stale socket is replaced; a
 * living daemon's is not. NULL with text in `err`. */
struct control *control_new(const char *path, const char *group, char *err, size_t err_size);
void control_free(struct control *c); /* closes (all clients too), unlinks */
int control_fd(const struct control *c);

/* A new client, or NULL (none waits, or too many: that one has been told and closed). */
struct control_client *control_accept(struct control *c);
void control_close(struct control_client *cl);
int control_client_fd(const struct control_client *cl);
/* What to watch the descriptor for (level-triggered). Reading stops while a client has not taken
 * its answers, so one that only asks cannot grow the buffer. */
bool control_client_wants_read(const struct control_client *cl);
bool control_client_wants_write(const struct control_client *cl);

/* What to do with one request. The answer is a new reference, never NULL. `admin`: the peer is root
 * or this daemon's user. `cl` lets a "monitor" request subscribe. */
typedef json_t *control_handler(void *arg, struct control_client *cl, const json_t *request,
				bool admin);
/* Descriptor is readable / writable. 0, or negative: close the client. One call serves at most one
 * request; what follows stays in the kernel's buffer, so the descriptor remains readable. A line
 * that is no JSON object is answered with {"schema":1,"error":"...","code":"usage"}. */
int control_read(struct control_client *cl, control_handler *handler, void *arg);
int control_write(struct control_client *cl);

/* Queue one line for a subscribed client (steals nothing). Lines that did not fit are reported to
 * it, as soon as there is room, by {"schema":1,"event":"lost","lost":12}. */
void control_push(struct control_client *cl, const json_t *line);

/* Word of the owner, for subscriptions. */
void control_set_mask(struct control_client *cl, unsigned mask);
unsigned control_mask(const struct control_client *cl);
/* All clients: NULL begins, NULL ends. `prev` must still be open. */
struct control_client *control_next(struct control *c, struct control_client *prev);

/* The line splitter: bytes go in as they arrive, one line at a time comes out. */
enum control_split { CONTROL_MORE, CONTROL_READY, CONTROL_TOO_LONG };
struct control_line {
	size_t len;
	char text[CONTROL_LINE];
};
/* Takes bytes up to and including the first newline; `*used` says how many. CONTROL_READY: text[]
 * holds `len` bytes of a line without its end ("\n" or "\r\n"); the caller sets len to 0. */
enum control_split control_split(struct control_line *line, const char *data, size_t size,
				 size_t *used);

#endif
