/*
 * Bytes of a stranger who may open the control socket. First byte: size of the pieces they come in.
 *
 * Pure part: however a stream is cut, the splitter finds the same lines. Whole part: a real client
 * on a real socket, with a handler that echoes.
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/fuzz_control.XXXXXX";
static char path[64];
static struct control *ctl;

static void clean_up(void)
{
	control_free(ctl);
	rmdir(dir);
}

static void set_up(void)
{
	char err[256];

	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/sock", dir);
	ctl = control_new(path, "", err, sizeof(err));
	if (!ctl)
		abort();
	atexit(clean_up);
}

/* FNV-1a of all lines, with an end mark each. */
static uint64_t lines_hash(const char *data, size_t size, size_t piece)
{
	static struct control_line line;
	uint64_t h = 0xcbf29ce484222325ULL;

	line.len = 0;
	while (size > 0) {
		size_t n = size < piece ? size : piece, used;
		enum control_split rc = control_split(&line, data, n, &used);

		if (used == 0 || used > n || line.len > sizeof(line.text))
			abort();
		data += used;
		size -= used;
		if (rc == CONTROL_TOO_LONG)
			return h ^ 1;
		if (rc == CONTROL_MORE)
			continue;
		for (size_t i = 0; i < line.len; i++)
			h = (h ^ (uint8_t)line.text[i]) * 0x100000001b3ULL;
		h = (h ^ 0x100) * 0x100000001b3ULL;
		line.len = 0;
	}
	return h;
}

static json_t *echo(void *arg, struct control_client *cl, const json_t *request, bool admin)
{
	(void)arg;
	(void)admin;
	control_push(cl, request);
	return json_pack("{s:i, s:O}", "schema", 1, "echo", request);
}

static int join(struct control_client **cl)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(name.sun_path, path, sizeof(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		abort();
	*cl = control_accept(ctl);
	if (!*cl)
		abort();
	return fd;
}

static bool readable(const struct control_client *cl)
{
	struct pollfd p = {.fd = control_client_fd(cl), .events = POLLIN};

	return control_client_wants_read(cl) && poll(&p, 1, 0) == 1;
}

/* Like the daemon's loop: serve while there is something to do. */
static int turn(struct control_client *cl, int fd)
{
	static char sink[65536];
	int rc = 0;

	while (rc == 0 && (readable(cl) || control_client_wants_write(cl))) {
		if (readable(cl))
			rc = control_read(cl, echo, NULL);
		if (rc == 0 && control_client_wants_write(cl))
			rc = control_write(cl);
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
	}
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_client *cl;
	int fd, rc = 0;
	size_t piece;

	if (!ctl)
		set_up();
	if (size == 0)
		return 0;
	piece = (size_t)data[0] * 16 + 1;
	data++;
	size--;
	if (lines_hash((const char *)data, size, piece) !=
	    lines_hash((const char *)data, size, CONTROL_LINE * 2))
		abort();
	fd = join(&cl);
	while (size > 0 && rc == 0) {
		size_t n = size < piece ? size : piece;

		if (send(fd, data, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		data += n;
		size -= n;
		rc = turn(cl, fd);
	}
	if (rc == 0) {
		shutdown(fd, SHUT_WR);
		if (turn(cl, fd) == 0)
			abort(); /* at the end of input every client is given up */
	}
	control_close(cl);
	close(fd);
	return 0;
}
