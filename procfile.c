/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * procfile.c - Read or write a small text file, such as those of /proc and /sys
 *
 * A sysctl, an ID map or resolv.conf fits into a buffer of its reader. It is
 * opened, read and closed in one call, so that no descriptor stays behind. Most
 * of these files are optional: they may be missing in a container, or /proc may
 * not be mounted. Callers therefore get an error code or a default, and no
 * message.
 *
 * The kernel takes the value of a sysctl or an ID map from a single write().
 *
 * All of this works before the sandbox alone, which has no files. The follower
 * of resolv.conf stays outside of it, so its filter allows reading.
 */

#include "procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

/**
 * procfile_read() - Read a file into a string
 * @path:	Path
 * @buf:	Set to the begin of the file and a final NUL, empty on failure
 * @size:	Bytes of @buf
 *
 * Return: length of the string, @size - 1 if the file may be longer; negative
 * errno
 */
/* #syscalls:follower open openat read close fcntl */
/* #args:follower open 1 O_RDONLY|O_CLOEXEC|O_NONBLOCK O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_LARGEFILE */
/* #args:follower openat 2 O_RDONLY|O_CLOEXEC|O_NONBLOCK O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_LARGEFILE */
/* #args:follower fcntl 1 F_SETFD */
ssize_t procfile_read(const char *path, char *buf, size_t size)
{
	/* Never wait: in place of the file there may be a FIFO */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = 0;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	if (n < 0) {
		n = -errno;
		len = 0;
	}
	close(fd);
	buf[len] = '\0';
	return n < 0 ? n : (ssize_t)len;
}

/* Read a file up to its first newline, without it; false if the file is empty, does
 * not fit or can't be read */
static bool read_line(const char *path, char *buf, size_t size)
{
	ssize_t n = procfile_read(path, buf, size);

	buf[strcspn(buf, "\n")] = '\0';
	return n > 0 && (size_t)n < size - 1;
}

/**
 * procfile_is() - Is this the first line of a file?
 * @path:	Path
 * @value:	Line without its newline; the whole file may have up to 30 bytes
 */
bool procfile_is(const char *path, const char *value)
{
	char buf[32];

	return read_line(path, buf, sizeof(buf)) && !strcmp(buf, value);
}

/**
 * procfile_number() - Read a file that holds one decimal number
 * @path:	Path
 * @max:	Largest number that makes sense
 * @otherwise:	Result if there is no such file or number
 */
unsigned long procfile_number(const char *path, unsigned long max,
			      unsigned long otherwise)
{
	unsigned long v;
	char buf[24];

	if (!read_line(path, buf, sizeof(buf)) ||
	    util_parse_ulong(buf, 0, max, &v))
		return otherwise;
	return v;
}

/**
 * procfile_write() - Write a string to a file that exists
 * @path:	Path
 * @text:	String, written by one system call
 *
 * Return: 0 or negative errno
 */
int procfile_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n != (ssize_t)len)
		rc = n < 0 ? -errno : -EIO;
	close(fd);
	return rc;
}
