#define _GNU_SOURCE 1 /* asprintf */

#include "conf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Read up to `size` bytes of a file that may grow meanwhile; the length, or -1. */
static ssize_t read_all(int fd, char *out, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t got = read(fd, out + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

static char *read_regular(int fd, const char **why)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		*why = "it is no regular file";
		return NULL;
	}
	if (st.st_size < 0 || st.st_size > SOURCE_MAX) {
		*why = "it is larger than 16 MiB";
		return NULL;
	}
	text = malloc((size_t)st.st_size + 1);
	if (!text) {
		*why = "memory does not suffice";
		return NULL;
	}
	ssize_t n = read_all(fd, text, (size_t)st.st_size);
	if (n < 0) {
		*why = strerror(errno);
	} else if (memchr(text, '\0', (size_t)n)) {
		*why = "it is no text: it holds a zero byte";
	} else {
		text[n] = '\0';
		return text;
	}
	free(text);
	return NULL;
}

char *source_read(const char *path, const char **why)
{
	/* O_NONBLOCK: opening a pipe by mistake must not hang the daemon */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text;

	if (fd < 0) {
		*why = strerror(errno);
		return NULL;
	}
	text = read_regular(fd, why);
	close(fd);
	return text;
}

char *source_path(const char *from, const char *name)
{
	const char *slash = strrchr(from, '/');
	char *path;

	if (name[0] == '/' || !slash)
		return strdup(name);
	if (asprintf(&path, "%.*s/%s", (int)(slash - from), from, name) < 0)
		return NULL;
	return path;
}
