/*
 * replay.c - runs a fuzz target once on each of the files, and on each file in the directories,
 * that are named; for `make check`, where no fuzzing compiler is needed.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static unsigned long n_files;

static void fail(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

/* The input lies in memory of exactly its size, so that a sanitizer sees one byte too far. */
static void run_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(size > 0 ? size : 1);

	if (!f || !data || fread(data, 1, size, f) != size)
		fail(path);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	n_files++;
}

static void run(const char *path);

static void run_directory(const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort);

	if (n < 0)
		fail(path);
	for (int i = 0; i < n; i++) {
		char below[PATH_MAX];

		if (names[i]->d_name[0] != '.') {
			snprintf(below, sizeof(below), "%s/%s", path, names[i]->d_name);
			run(below);
		}
		free(names[i]);
	}
	free(names);
}

static void run(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		fail(path);
	if (S_ISDIR(st.st_mode))
		run_directory(path);
	else
		run_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	printf("%lu inputs\n", n_files);
	return n_files > 0 ? 0 : 1;
}
