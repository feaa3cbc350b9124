#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define LINE 1024
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static struct {
	enum log_target target;
	enum log_level level;
	int journal; /* datagram socket to journald, -1 = none */
	char ident[PARAMS_NAME];
} sink = {
	.target = LOG_TARGET_STDERR,
	.level = LOG_LVL_NOTICE,
	.journal = -1,
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

static int journal_connect(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void log_init(enum log_target target, enum log_level level, const char *ident)
{
	if (sink.journal >= 0)
		close(sink.journal);
	if (sink.target == LOG_TARGET_SYSLOG)
		closelog();
	sink.journal = target == LOG_TARGET_JOURNAL ? journal_connect() : -1;
	sink.target = target;
	sink.level = level;
	snprintf(sink.ident, sizeof(sink.ident), "%s", ident);
	/* Connected now: later the process may have no right to. */
	if (target == LOG_TARGET_SYSLOG)
		openlog(sink.ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_set_level(enum log_level level)
{
	sink.level = level;
}

enum log_level log_get_level(void)
{
	return sink.level;
}

static void to_stderr(enum log_level level, const char *line)
{
	static const char *const words[] = {
		[LOG_LVL_ERROR] = "error: ", [LOG_LVL_WARNING] = "warning: ", [LOG_LVL_NOTICE] = "",
		[LOG_LVL_INFO] = "",	     [LOG_LVL_DEBUG] = "debug: ",
	};
	char out[LINE + PARAMS_NAME + 16];
	int n = snprintf(out, sizeof(out), "%s: %s%s\n", sink.ident, words[level], line);

	/* One write, so that lines of several processes do not mix; there is nobody to tell when
	 * it fails. */
	if (n > 0 && write(STDERR_FILENO, out, (size_t)n) < 0)
		return;
}

/* One journal entry: lines of NAME=value. */
static void to_journal(enum log_level level, const char *fields, const char *line)
{
	char out[2 * LINE];
	int n = snprintf(out, sizeof(out), "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n%s%s",
			 priority(level), sink.ident, line, fields ? fields : "",
			 fields ? "\n" : "");

	if (n < 0 || (size_t)n >= sizeof(out) || sink.journal < 0 ||
	    send(sink.journal, out, (size_t)n, MSG_NOSIGNAL) != n)
		to_stderr(level, line);
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
	if (sink.target == LOG_TARGET_SYSLOG)
		syslog(priority(level), "%s", line);
	else if (sink.target == LOG_TARGET_JOURNAL)
		to_journal(level, fields, line);
	else
		to_stderr(level, line);
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
