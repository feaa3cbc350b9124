#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE 1024
#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SYSLOG_SOCKET "/dev/log"

static struct {
	enum log_target target;
	enum log_level level;
	int socket;    /* datagram socket to journald or syslogd, -1 = none */
	uint64_t lost; /* lines that their reader was too slow for */
	uint64_t told; /* of those, so many have been spoken of */
	char ident[PARAMS_NAME];
} sink = {
	.target = LOG_TARGET_STDERR,
	.level = LOG_LVL_NOTICE,
	.socket = -1,
	.ident = "fwclusterd",
};

/* The same numbers in syslog and in the journal. */
static int priority(enum log_level level)
{
	static const int map[] = {
		[LOG_LVL_ERROR] = LOG_ERR,     [LOG_LVL_WARNING] = LOG_WARNING,
		[LOG_LVL_NOTICE] = LOG_NOTICE, [LOG_LVL_INFO] = LOG_INFO,
		[LOG_LVL_DEBUG] = LOG_DEBUG,
	};

	return map[level];
}

static const char *socket_path(void)
{
	return sink.target == LOG_TARGET_SYSLOG ? SYSLOG_SOCKET : JOURNAL_SOCKET;
}

static int connect_to(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void log_init(enum log_target target, enum log_level level, const char *ident)
{
	if (sink.socket >= 0)
		close(sink.socket);
	/* Connected now: later the process may have no right to. */
	sink.target = target;
	sink.socket = target == LOG_TARGET_STDERR ? -1 : connect_to(socket_path());
	if (target == LOG_TARGET_SYSLOG)
		tzset(); /* reads a file */
	sink.level = level;
	snprintf(sink.ident, sizeof(sink.ident), "%s", ident);
}

uint64_t log_lost(void)
{
	return sink.lost;
}

void log_set_level(enum log_level level)
{
	sink.level = level;
}

enum log_level log_get_level(void)
{
	return sink.level;
}

/* Whether stderr takes a line now. A pipe with any room at all has a page of it, so that a write of
 * a line does not wait; a stream socket is written to without waiting. */
static bool stderr_takes(const char *line, size_t size)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	ssize_t n;

	n = send(STDERR_FILENO, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 || errno != ENOTSOCK)
		return n >= 0;
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return false;
	/* One write, so that lines of several processes do not mix. */
	return write(STDERR_FILENO, line, size) >= 0;
}

static bool to_stderr(enum log_level level, const char *line)
{
	static const char *const words[] = {
		[LOG_LVL_ERROR] = "error: ", [LOG_LVL_WARNING] = "warning: ", [LOG_LVL_NOTICE] = "",
		[LOG_LVL_INFO] = "",	     [LOG_LVL_DEBUG] = "debug: ",
	};
	char out[LINE + PARAMS_NAME + 16];
	int n = snprintf(out, sizeof(out), "%s: %s%s\n", sink.ident, words[level], line);

	return n > 0 && stderr_takes(out, (size_t)n);
}

/* Who reads may have been started anew, under another socket of the same name. */
static bool to_socket(const char *data, int n, size_t size)
{
	if (n <= 0 || (size_t)n >= size)
		return false;
	if (sink.socket >= 0 && send(sink.socket, data, (size_t)n, MSG_NOSIGNAL) == n)
		return true;
	if (sink.socket >= 0 && errno != ECONNREFUSED && errno != ENOTCONN)
		return false;
	if (sink.socket >= 0)
		close(sink.socket);
	sink.socket = connect_to(socket_path());
	return sink.socket >= 0 && send(sink.socket, data, (size_t)n, MSG_NOSIGNAL) == n;
}

/* One journal entry: lines of NAME=value. */
static bool to_journal(enum log_level level, const char *fields, const char *line)
{
	char out[2 * LINE];
	int n = snprintf(out, sizeof(out), "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n%s%s",
			 priority(level), sink.ident, line, fields ? fields : "",
			 fields ? "\n" : "");

	return to_socket(out, n, sizeof(out)) || to_stderr(level, line);
}

/* As RFC 3164 section 4.1 has it. syslog(3) would wait for a reader that does not read. */
static bool to_syslog(enum log_level level, const char *line)
{
	char out[2 * LINE], stamp[32] = "";
	time_t now = time(NULL);
	struct tm tm;
	int n;

	if (localtime_r(&now, &tm))
		strftime(stamp, sizeof(stamp), "%b %e %T ", &tm);
	n = snprintf(out, sizeof(out), "<%d>%s%s[%d]: %s", LOG_DAEMON | priority(level), stamp,
		     sink.ident, (int)getpid(), line);
	return to_socket(out, n, sizeof(out)) || to_stderr(level, line);
}

static bool deliver(enum log_level level, const char *fields, const char *line)
{
	switch (sink.target) {
	case LOG_TARGET_SYSLOG:
		return to_syslog(level, line);
	case LOG_TARGET_JOURNAL:
		return to_journal(level, fields, line);
	case LOG_TARGET_STDERR:
		break;
	}
	return to_stderr(level, line);
}

/* Before the next line: that there is a gap. */
static void tell_lost(void)
{
	char line[LINE];

	if (sink.lost == sink.told)
		return;
	snprintf(line, sizeof(line), "log: %llu lines lost, since nobody read them",
		 (unsigned long long)(sink.lost - sink.told));
	if (deliver(LOG_LVL_WARNING, NULL, line))
		sink.told = sink.lost;
}

/* Names may come from the network or from a file: what could forge a line is made visible. */
static void make_printable(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

static void __attribute__((format(printf, 3, 0)))
emit(enum log_level level, const char *fields, const char *fmt, va_list args)
{
	char line[LINE];
	int saved = errno;

	if (level > sink.level)
		return;
	vsnprintf(line, sizeof(line), fmt, args);
	make_printable(line);
	tell_lost();
	if (!deliver(level, fields, line))
		sink.lost++;
	errno = saved;
}

void log_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	emit(LOG_LVL_ERROR, NULL, fmt, args);
	va_end(args);
}

void log_warning(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	emit(LOG_LVL_WARNING, NULL, fmt, args);
	va_end(args);
}

void log_notice(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	emit(LOG_LVL_NOTICE, NULL, fmt, args);
	va_end(args);
}

void log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	emit(LOG_LVL_INFO, NULL, fmt, args);
	va_end(args);
}

void log_debug(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	emit(LOG_LVL_DEBUG, NULL, fmt, args);
	va_end(args);
}

void log_event(enum log_level level, const char *fields, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	emit(level, fields, fmt, args);
	va_end(args);
}
