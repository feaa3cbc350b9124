/*
 * control.c - the control socket.
 *
 * Requests are looked at in the kernel's buffer first (MSG_PEEK) and only taken up to the end of
 * one line: a client that sends a thousand requests at once gets one answer per turn of the loop,
 * and nothing is left in here that no descriptor would announce.
 */
#define _GNU_SOURCE 1 /* accept4, struct ucred */

#include "io/control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

#define CHUNK 16384
#define OUT_FIRST 16384
/* Above this much unread output a client is not asked for more requests. One answer always fits in
 * what remains. */
#define OUT_BUSY (CONTROL_OUT / 4)
/* 12 digits: 61.2, not 61.200000000000003. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(12))

struct control_client {
	struct control *owner;
	unsigned slot;
	int fd;
	bool admin;
	bool eof; /* the peer sends no more, but may still read */
	unsigned mask;
	json_int_t lost;
	char *out; /* bytes [out_pos, out_len) wait to be written */
	size_t out_pos, out_len, out_cap;
	struct control_line line;
};

struct control {
	int fd;
	struct sockaddr_un name;
	dev_t dev; /* of the socket in the file system: unlink only our own */
	ino_t ino;
	struct control_client *clients[CONTROL_CLIENTS];
};

static int listen_at(struct control *c, const char *group, char *err, size_t err_size);
static int append(struct control_client *cl, const json_t *line);
static int serve(struct control_client *cl, control_handler *handler, void *arg);

struct control *control_new(const char *path, const char *group, char *err, size_t err_size)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c) {
		snprintf(err, err_size, "out of memory");
		return NULL;
	}
	c->fd = -1;
	c->name.sun_family = AF_UNIX;
	if (path[0] != '/' || strlen(path) >= sizeof(c->name.sun_path)) {
		snprintf(err, err_size,
			 "control socket must be an absolute path of at most %zu bytes, not \"%s\"",
			 sizeof(c->name.sun_path) - 1, path);
		free(c);
		return NULL;
	}
	memcpy(c->name.sun_path, path, strlen(path) + 1);
	if (listen_at(c, group, err, err_size) < 0) {
		control_free(c);
		return NULL;
	}
	return c;
}

void control_free(struct control *c)
{
	struct stat st;

	if (!c)
		return;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		control_close(c->clients[i]);
	if (c->fd >= 0)
		close(c->fd);
	if (c->ino && lstat(c->name.sun_path, &st) == 0 && st.st_dev == c->dev &&
	    st.st_ino == c->ino)
		unlink(c->name.sun_path);
	free(c);
}

int control_fd(const struct control *c)
{
	return c->fd;
}

/* The path is free to bind: nothing there, or a socket that nobody listens on (removed here). */
static int make_way(const struct control *c, char *err, size_t err_size)
{
	const char *path = c->name.sun_path;
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err, err_size, "control socket \"%s\": a file is in the way", path);
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)&c->name, sizeof(c->name)) < 0 ? errno : 0;
	close(fd);
	if (rc == ENOENT)
		return 0;
	if (rc != ECONNREFUSED) {
		snprintf(err, err_size, "control socket \"%s\": another daemon uses it", path);
		return -EADDRINUSE;
	}
	if (unlink(path) < 0 && errno != ENOENT) {
		snprintf(err, err_size, "control socket \"%s\": cannot remove the old one: %s",
			 path, strerror(errno));
		return -EACCES;
	}
	return 0;
}

/* /run is empty after a boot; without a service manager nobody has made the directory yet. */
static void make_parent(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');
	size_t len = (size_t)(slash - path);

	if (len == 0)
		return;
	memcpy(dir, path, len);
	dir[len] = '\0';
	(void)mkdir(dir, 0755); /* when it fails, bind says why */
}

static int share(const char *path, const char *group, char *err, size_t err_size)
{
	const struct group *gr;

	if (group[0] == '\0')
		return 0;
	gr = getgrnam(group);
	if (!gr) {
		snprintf(err, err_size, "control socket: no group \"%s\" on this host", group);
		return -ENOENT;
	}
	if (lchown(path, (uid_t)-1, gr->gr_gid) < 0 || chmod(path, 0660) < 0) {
		snprintf(err, err_size, "control socket \"%s\": cannot give it to group \"%s\": %s",
			 path, group, strerror(errno));
		return -EPERM;
	}
	return 0;
}

static int listen_at(struct control *c, const char *group, char *err, size_t err_size)
{
	const char *path = c->name.sun_path;
	struct stat st;

	err[0] = '\0';
	make_parent(path);
	if (make_way(c, err, err_size) < 0)
		goto fail;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode of the descriptor becomes that of the file, so there is no moment at which the
	 * socket is open to others; and before listen() nobody can connect. */
	if (c->fd < 0 || fchmod(c->fd, 0600) < 0 ||
	    bind(c->fd, (const struct sockaddr *)&c->name, sizeof(c->name)) < 0)
		goto fail;
	if (lstat(path, &st) == 0) {
		c->dev = st.st_dev;
		c->ino = st.st_ino;
	}
	if (share(path, group, err, err_size) < 0)
		return -EPERM;
	if (listen(c->fd, CONTROL_CLIENTS) < 0)
		goto fail;
	return 0;
fail:
	if (err[0] == '\0')
		snprintf(err, err_size, "control socket \"%s\": %s", path, strerror(errno));
	return -EIO;
}

static bool peer_is_admin(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static json_t *error_answer(const char *code, const char *text)
{
	return json_pack("{s:i, s:s, s:s}", "schema", 1, "error", text, "code", code);
}

static void turn_away(int fd)
{
	static const char text[] =
		"{\"schema\":1,\"error\":\"too many clients\",\"code\":\"refused\"}\n";

	(void)!send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	log_warning("control: more than %d clients, one turned away", CONTROL_CLIENTS);
}

struct control_client *control_accept(struct control *c)
{
	struct control_client *cl = NULL;
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	unsigned slot = 0;

	if (fd < 0)
		return NULL;
	while (slot < CONTROL_CLIENTS && c->clients[slot])
		slot++;
	if (slot < CONTROL_CLIENTS)
		cl = calloc(1, sizeof(*cl));
	if (!cl) {
		turn_away(fd);
		return NULL;
	}
	cl->owner = c;
	cl->slot = slot;
	cl->fd = fd;
	cl->admin = peer_is_admin(fd);
	c->clients[slot] = cl;
	return cl;
}

void control_close(struct control_client *cl)
{
	if (!cl)
		return;
	cl->owner->clients[cl->slot] = NULL;
	close(cl->fd);
	free(cl->out);
	free(cl);
}

int control_client_fd(const struct control_client *cl)
{
	return cl->fd;
}

bool control_client_wants_read(const struct control_client *cl)
{
	return !cl->eof && cl->out_len - cl->out_pos < OUT_BUSY;
}

bool control_client_wants_write(const struct control_client *cl)
{
	return cl->out_len > cl->out_pos;
}

enum control_split control_split(struct control_line *line, const char *data, size_t size,
				 size_t *used)
{
	const char *end = memchr(data, '\n', size);
	size_t n = end ? (size_t)(end - data) : size;

	*used = end ? n + 1 : n;
	/* A full buffer is too long, end in sight or not: the cut must not decide. */
	if (n >= sizeof(line->text) - line->len)
		return CONTROL_TOO_LONG;
	memcpy(line->text + line->len, data, n);
	line->len += n;
	if (!end)
		return CONTROL_MORE;
	if (line->len > 0 && line->text[line->len - 1] == '\r')
		line->len--;
	return CONTROL_READY;
}

/* Answer with an error and give the client up: the rest of what it says cannot be understood. */
static int refuse_line(struct control_client *cl)
{
	json_t *answer = error_answer("usage", "line too long");

	if (append(cl, answer) == 0)
		(void)control_write(cl);
	json_decref(answer);
	return -EMSGSIZE;
}

static int end_of_input(struct control_client *cl, control_handler *handler, void *arg)
{
	int rc = 0;

	cl->eof = true;
	if (cl->line.len > 0) /* the last line may lack its newline */
		rc = serve(cl, handler, arg);
	if (rc == 0 && !control_client_wants_write(cl))
		rc = -EPIPE;
	return rc;
}

int control_read(struct control_client *cl, control_handler *handler, void *arg)
{
	char chunk[CHUNK];
	size_t used;

	while (control_client_wants_read(cl)) {
		ssize_t n = recv(cl->fd, chunk, sizeof(chunk), MSG_PEEK | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return end_of_input(cl, handler, arg);
		enum control_split got = control_split(&cl->line, chunk, (size_t)n, &used);
		if (recv(cl->fd, chunk, used, MSG_DONTWAIT) != (ssize_t)used)
			return -EIO;
		if (got == CONTROL_TOO_LONG)
			return refuse_line(cl);
		if (got == CONTROL_READY)
			return serve(cl, handler, arg);
	}
	return 0;
}

static bool blank(const struct control_line *line)
{
	for (size_t i = 0; i < line->len; i++)
		if (line->text[i] != ' ' && line->text[i] != '\t')
			return false;
	return true;
}

static json_t *answer_to(struct control_client *cl, control_handler *handler, void *arg)
{
	json_error_t why;
	json_t *answer;
	json_t *request = json_loadb(cl->line.text, cl->line.len, JSON_REJECT_DUPLICATES, &why);

	if (json_is_object(request))
		answer = handler(arg, cl, request, cl->admin);
	else
		answer = error_answer("usage", request ? "request is not a JSON object" : why.text);
	json_decref(request);
	return answer;
}

/* One line has been read: answer it, and begin to write. */
static int serve(struct control_client *cl, control_handler *handler, void *arg)
{
	json_t *answer;
	int rc;

	if (blank(&cl->line)) {
		cl->line.len = 0;
		return 0;
	}
	answer = answer_to(cl, handler, arg);
	cl->line.len = 0;
	if (!answer)
		return -ENOMEM;
	rc = append(cl, answer);
	json_decref(answer);
	return rc < 0 ? rc : control_write(cl);
}

static int out_room(struct control_client *cl, size_t size)
{
	size_t cap = cl->out_cap ? cl->out_cap : OUT_FIRST;
	char *p;

	if (cl->out_pos > 0) { /* what has been written need not be kept */
		memmove(cl->out, cl->out + cl->out_pos, cl->out_len - cl->out_pos);
		cl->out_len -= cl->out_pos;
		cl->out_pos = 0;
	}
	if (size > CONTROL_OUT - cl->out_len)
		return -ENOBUFS;
	while (cap - cl->out_len < size)
		cap *= 2;
	if (cap == cl->out_cap)
		return 0;
	p = realloc(cl->out, cap);
	if (!p)
		return -ENOMEM;
	cl->out = p;
	cl->out_cap = cap;
	return 0;
}

static int append_bytes(const char *data, size_t size, void *arg)
{
	struct control_client *cl = arg;

	if (cl->out_cap - cl->out_len < size && out_room(cl, size) < 0)
		return -1;
	memcpy(cl->out + cl->out_len, data, size);
	cl->out_len += size;
	return 0;
}

/* Queue a whole line or nothing of it. */
static int append(struct control_client *cl, const json_t *line)
{
	size_t waiting = cl->out_len - cl->out_pos;

	if (json_dump_callback(line, append_bytes, cl, DUMP_FLAGS) == 0 &&
	    append_bytes("\n", 1, cl) == 0)
		return 0;
	cl->out_len = cl->out_pos + waiting;
	return -ENOBUFS;
}

static bool report_lost(struct control_client *cl)
{
	json_t *line;
	int rc;

	if (cl->lost == 0)
		return true;
	line = json_pack("{s:i, s:s, s:I}", "schema", 1, "event", "lost", "lost", cl->lost);
	rc = line ? append(cl, line) : -ENOMEM;
	json_decref(line);
	if (rc == 0)
		cl->lost = 0;
	return rc == 0;
}

void control_push(struct control_client *cl, const json_t *line)
{
	/* Once events were lost, none follows before the report, so the gap keeps its place; and
	 * the report waits for an empty buffer, or every other event would be one. */
	if (cl->lost > 0 && !control_client_wants_write(cl))
		(void)report_lost(cl);
	if (cl->lost > 0 || append(cl, line) < 0)
		cl->lost++;
}

int control_write(struct control_client *cl)
{
	while (control_client_wants_write(cl)) {
		ssize_t n = send(cl->fd, cl->out + cl->out_pos, cl->out_len - cl->out_pos,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		cl->out_pos += (size_t)n;
		if (control_client_wants_write(cl))
			continue;
		free(cl->out); /* idle clients hold no memory */
		cl->out = NULL;
		cl->out_pos = cl->out_len = cl->out_cap = 0;
		(void)report_lost(cl);
	}
	return cl->eof ? -EPIPE : 0;
}

void control_set_mask(struct control_client *cl, unsigned mask)
{
	cl->mask = mask;
}

unsigned control_mask(const struct control_client *cl)
{
	return cl->mask;
}

struct control_client *control_next(struct control *c, struct control_client *prev)
{
	for (unsigned i = prev ? prev->slot + 1 : 0; i < CONTROL_CLIENTS; i++)
		if (c->clients[i])
			return c->clients[i];
	return NULL;
}
