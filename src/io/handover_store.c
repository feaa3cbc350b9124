#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif

#include "io/handover_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

int handover_store_memory(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? -errno : fd;
}

int handover_store_file(const char *path)
{
	int fd;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int handover_store_put(void *arg, const void *data, size_t size)
{
	const int *fd = arg;
	const uint8_t *p = data;

	while (size > 0) {
		ssize_t n = write(*fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int handover_store_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0 ? -errno : 0;
}

static int map(int fd, off_t size, struct handover_bytes *b)
{
	void *p;

	if (size <= 0)
		return -ENODATA;
	p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*b = (struct handover_bytes){.data = p, .size = (size_t)size};
	return 0;
}

int handover_store_map_memory(int fd, struct handover_bytes *b)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPERM;
	return fstat(fd, &st) < 0 ? -errno : map(fd, st.st_size, b);
}

/* In a directory that others can write to anything may lie under that name. */
static bool is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && (st->st_mode & 077) == 0 && st->st_uid == geteuid() &&
	       st->st_nlink <= 1;
}

int handover_store_take_file(const char *path, struct handover_bytes *b)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), rc;
	struct stat st;

	if (fd < 0 && errno == ELOOP)
		return unlink(path) < 0 ? -errno : -EPERM;
	if (fd < 0)
		return -errno;
	if (unlink(path) < 0)
		rc = -errno;
	else if (fstat(fd, &st) < 0)
		rc = -errno;
	else
		rc = is_ours(&st) ? map(fd, st.st_size, b) : -EPERM;
	close(fd);
	return rc;
}

void handover_store_unmap(struct handover_bytes *b)
{
	if (b->data)
		munmap((void *)(uintptr_t)b->data, b->size);
	*b = (struct handover_bytes){0};
}
