/*
 * l7_log.c - the access log: lines gathered and written in one go, to a file or to the daemon's own
 * log.
 *
 * A log that cannot be written (the disk is full) loses lines, which is said once a minute with
 * their number; requests are served all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/l7.h"

#define LOG_BUFFER 65536
#define LOG_SAY_NS 60000000000ULL

struct l7_log_file {
	int fd; /* -1: to the daemon's own log */
	enum access_format format;
	char file[sizeof(((struct l7_node_params *)0)->log_file)];
	uint64_t said_ns, lost;
	size_t used;
	char lines[LOG_BUFFER];
};

/* Made by root, it is given to the daemon's user, who has to open it anew at a reload. */
static int file_open(const char *file, const char *user)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	const struct passwd *pw = fd >= 0 && user[0] && geteuid() == 0 ? getpwnam(user) : NULL;

	if (fd < 0)
		log_error("access log \"%s\": %s", file, strerror(errno));
	else if (pw && fchown(fd, pw->pw_uid, pw->pw_gid) < 0)
		log_warning("access log \"%s\": cannot be given to user \"%s\": %s", file, user,
			    strerror(errno));
	return fd;
}

struct l7_log_file *l7_log_open(const struct params *params)
{
	const struct l7_node_params *p = &params->l7;
	struct l7_log_file *g;

	if (p->log == L7_LOG_NONE)
		return NULL;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->format = p->log == L7_LOG_JSON ? ACCESS_JSON : ACCESS_COMBINED;
	memcpy(g->file, p->log_file, sizeof(g->file));
	g->fd = g->file[0] ? file_open(g->file, params->user) : -1;
	if (g->file[0] && g->fd < 0) {
		free(g);
		return NULL;
	}
	return g;
}

static void log_gave_up(struct l7_log_file *g, size_t done, int error)
{
	uint64_t now = daemon_now_ns();

	for (size_t i = done; i < g->used; i++)
		g->lost += g->lines[i] == '\n';
	if (g->said_ns != 0 && now < g->said_ns + LOG_SAY_NS)
		return;
	log_error("access log \"%s\": %s; %llu lines lost", g->file, strerror(error),
		  (unsigned long long)g->lost);
	g->said_ns = now;
	g->lost = 0;
}

void l7_log_flush(struct l7_log_file *g)
{
	size_t done = 0;

	if (!g || g->used == 0)
		return;
	while (done < g->used) {
		ssize_t n = write(g->fd, g->lines + done, g->used - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_gave_up(g, done, n < 0 ? errno : EIO);
			break;
		}
		done += (size_t)n;
	}
	g->used = 0;
}

void l7_log_close(struct l7_log_file *g)
{
	if (!g)
		return;
	l7_log_flush(g);
	if (g->fd >= 0)
		close(g->fd);
	free(g);
}

struct l7_log_file *l7_log_reopen(struct l7_log_file *g, const struct params *p)
{
	struct l7_log_file *new = l7_log_open(p);

	if (!new && p->l7.log != L7_LOG_NONE) {
		if (g)
			log_error("access log: the old one stays");
		return g;
	}
	l7_log_close(g);
	return new;
}

void l7_log_record(struct l7_log_file *g, const struct access_record *r)
{
	char line[ACCESS_LOG_LINE_MAX];
	size_t n;

	if (!g)
		return;
	n = access_log_write(line, g->format, r);
	if (g->fd < 0) {
		log_notice("%.*s", (int)(n - 1), line);
		return;
	}
	if (g->used + n > sizeof(g->lines))
		l7_log_flush(g);
	memcpy(g->lines + g->used, line, n);
	g->used += n;
}
