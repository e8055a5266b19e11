/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * util_open() opens files that are named by a path or by a descriptor
 */

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

#define WRITE	(O_WRONLY | O_CREAT | O_TRUNC)

static const struct {
	const char *path;
	int fd;
} named[] = {
	{ "/dev/stdin", 0 }, { "/dev/stdout", 1 }, { "/dev/stderr", 2 },
	{ "/dev/fd/0", 0 }, { "/dev/fd/63", 63 }, { "/proc/self/fd/7", 7 },
	{ "/proc/thread-self/fd/7", 7 }, { "/dev/fd/", -1 },
	{ "/dev/fd/7x", -1 }, { "/dev/fd/-1", -1 }, { "/dev/fd/7/x", -1 },
	{ "/dev/fd/99999999999999999999", -1 }, { "/dev/stdin2", -1 },
	{ "/proc/1/fd/7", -1 }, { "dev/fd/7", -1 }, { "7", -1 }, { "", -1 },
};

static int open_fd(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	return util_open(path, flags);
}

/* Do bytes written to @fd arrive at the start of the file of @file? */
static bool is_written(int fd, int file)
{
	char buf[8] = "";

	return write(fd, "new", 3) == 3 &&
	       pread(file, buf, sizeof(buf) - 1, 0) == 3 && !strcmp(buf, "new");
}

static void test_file(void)
{
	int file = memfd_create("file", 0), fd;

	if (file < 0 || write(file, "older", 5) != 5)
		exit(1);
	fd = open_fd(file, WRITE);
	ok(fd > 2 && is_written(fd, file), "a file without a name is emptied and written");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC,
	   "a file's descriptor is closed on exec");
	close(fd);
	fcntl(file, F_SETFD, FD_CLOEXEC);
	is(open_fd(file, WRITE), -EBADF,
	   "a descriptor that is closed on exec is not the caller's");
	close(file);
	is(open_fd(file, WRITE), -EBADF, "a closed descriptor names nothing");
}

static void test_socket(void)
{
	char buf[8] = "";
	int pair[2], fd;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		exit(1);
	fd = open_fd(pair[0], WRITE);
	ok(fd > 2 && fd != pair[0] && write(fd, "1\n", 2) == 2 &&
	   read(pair[1], buf, sizeof(buf)) == 2 && !strcmp(buf, "1\n"),
	   "a socket can be written to");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC,
	   "a duplicate of a socket is closed on exec");
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

/* The file may not be opened for writing, but its descriptor can be used */
static void test_forbidden(void)
{
	char name[] = "/tmp/util-XXXXXX", path[32];
	int file = mkstemp(name), ro, fd;

	if (file < 0 || unlink(name) || write(file, "older", 5) != 5 ||
	    fchmod(file, 0400) || (!geteuid() && seteuid(65534)))
		exit(1);
	fd = open_fd(file, WRITE);
	ok(fd > 2 && is_written(fd, file),
	   "a descriptor for writing is enough, with any mode of the file");
	close(fd);
	fd = open_fd(file, O_RDWR | O_CREAT | O_TRUNC);
	ok(fd > 2 && is_written(fd, file),
	   "a descriptor can be opened for reading and writing");
	close(fd);
	if (!getuid() && seteuid(0))
		exit(1);
	snprintf(path, sizeof(path), "/dev/fd/%d", file);
	ro = open(path, O_RDONLY);
	if (!getuid() && seteuid(65534))
		exit(1);
	is(open_fd(ro, WRITE), -EACCES,
	   "a descriptor for reading can't be written to");
	if (!getuid() && seteuid(0))
		exit(1);
	close(ro);
	close(file);
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		is(util_named_fd(named[i].path), named[i].fd, named[i].path);
	test_file();
	test_socket();
	test_forbidden();
	is(util_open("/nonexistent/file", WRITE), -ENOENT,
	   "any other path is opened as it is");
	return done();
}
