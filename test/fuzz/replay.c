/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run a fuzz target over known inputs, without a fuzzer
 *
 * Linked with one target. Arguments are files, and directories of files. Each input is
 * a test. An input that the target does not survive ends the program before the plan is
 * printed.
 *
 * usage: TARGET-replay FILE|DIRECTORY...
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count, failed;

static void result(const char *path, const char *problem)
{
	printf("%sok %d - survives %s\n", problem ? "not " : "", ++count, path);
	if (problem)
		printf("# %s\n", problem);
	fflush(stdout);
	failed += !!problem;
}

/* load() - Contents of a file in memory of exactly its size, NULL with errno */
static uint8_t *load(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;
	uint8_t *data = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st)) {
		*size = (size_t)st.st_size;
		data = malloc(*size ? *size : 1);
	}
	if (data && read(fd, data, *size) != (ssize_t)*size) {
		free(data);
		data = NULL;
		errno = EIO;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return data;
}

static void replay_file(const char *path)
{
	uint8_t *data;
	size_t size;

	printf("# %s\n", path);	/* names the input of a crash */
	fflush(stdout);
	data = load(path, &size);
	if (!data) {
		result(path, strerror(errno));
		return;
	}
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	result(path, NULL);
}

static int not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void replay(const char *path)
{
	struct dirent **names;
	char file[4096];
	struct stat st;
	int i, n;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	n = scandir(path, &names, not_hidden, alphasort);
	if (n < 0)
		result(path, strerror(errno));
	for (i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		replay_file(file);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		replay(argv[i]);
	printf("1..%d\n", count);
	return !!failed;
}
