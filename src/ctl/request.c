#define _GNU_SOURCE 1

#include "ctl/request.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ctl/text.h"

#define FIRST 65536

struct request {
	int fd;
	char *buf; /* bytes [pos, len) have been received and not yet used */
	size_t pos, len, cap;
};

static void explain(const char *path, int error, char *err, size_t err_size)
{
	const char *advice;

	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		advice = "is fwclusterd running? start it with \"systemctl start fwclusterd\", "
			 "or name its socket with -s";
		break;
	case EACCES:
	case EPERM:
		advice = "be root, or a member of the group that \"control\" names in the "
			 "configuration";
		break;
	default:
		advice = "name the daemon's socket with -s";
		break;
	}
	snprintf(err, err_size, "cannot reach the daemon at \"%s\": %s; %s", path, strerror(error),
		 advice);
}

struct request *request_open(const char *path, char *err, size_t err_size)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct request *r;
	int fd;

	if (strlen(path) >= sizeof(name.sun_path)) {
		explain(path, ENAMETOOLONG, err, err_size);
		return NULL;
	}
	memcpy(name.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0) {
		explain(path, errno, err, err_size);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	r = text_realloc(NULL, sizeof(*r));
	*r = (struct request){.fd = fd, .buf = text_realloc(NULL, FIRST), .cap = FIRST};
	return r;
}

void request_close(struct request *r)
{
	if (!r)
		return;
	close(r->fd);
	free(r->buf);
	free(r);
}

static int send_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

int request_send(struct request *r, const json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);
	int rc;

	if (!text)
		return -ENOMEM;
	rc = send_all(r->fd, text, strlen(text));
	if (rc == 0)
		rc = send_all(r->fd, "\n", 1);
	free(text);
	return rc;
}

static int room(struct request *r)
{
	if (r->pos > 0) {
		memmove(r->buf, r->buf + r->pos, r->len - r->pos);
		r->len -= r->pos;
		r->pos = 0;
	}
	if (r->len < r->cap)
		return 0;
	if (r->cap >= REQUEST_LINE)
		return -EMSGSIZE;
	r->cap *= 2;
	r->buf = text_realloc(r->buf, r->cap);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* More bytes, until `deadline_ms` (negative = for ever). 0 or negative errno. */
static int fill(struct request *r, int64_t deadline_ms)
{
	struct pollfd p = {.fd = r->fd, .events = POLLIN};
	int64_t left = deadline_ms < 0 ? -1 : deadline_ms - now_ms();
	ssize_t n;
	int rc = room(r);

	if (rc < 0)
		return rc;
	if (deadline_ms >= 0 && left <= 0)
		return -ETIMEDOUT;
	rc = poll(&p, 1, (int)left);
	if (rc < 0)
		return errno == EINTR ? 0 : -errno;
	if (rc == 0)
		return -ETIMEDOUT;
	n = recv(r->fd, r->buf + r->len, r->cap - r->len, 0);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	r->len += (size_t)n;
	return 0;
}

static void why_not(int error, char *err, size_t err_size)
{
	if (error == ETIMEDOUT)
		snprintf(err, err_size, "the daemon does not answer");
	else if (error == ECONNRESET)
		snprintf(err, err_size, "the daemon closed the connection");
	else
		snprintf(err, err_size, "connection to the daemon: %s", strerror(error));
}

static json_t *parse(const char *text, size_t size, char *err, size_t err_size)
{
	json_error_t why;
	json_t *line = json_loadb(text, size, 0, &why);

	if (json_is_object(line))
		return line;
	json_decref(line);
	snprintf(err, err_size, "the daemon's answer is no JSON object%s%s", line ? "" : ": ",
		 line ? "" : why.text);
	return NULL;
}

json_t *request_receive(struct request *r, int timeout_s, char *err, size_t err_size)
{
	int64_t deadline_ms = timeout_s > 0 ? now_ms() + (int64_t)timeout_s * 1000 : -1;
	size_t seen = r->pos;

	for (;;) {
		char *end = memchr(r->buf + seen, '\n', r->len - seen);
		int rc;

		if (end) {
			json_t *line = parse(r->buf + r->pos, (size_t)(end - r->buf) - r->pos, err,
					     err_size);
			r->pos = (size_t)(end - r->buf) + 1;
			return line;
		}
		seen = r->len - r->pos; /* fill() moves the rest to the front */
		rc = fill(r, deadline_ms);
		if (rc < 0) {
			why_not(-rc, err, err_size);
			return NULL;
		}
	}
}
