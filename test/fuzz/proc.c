/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Read any file of /proc: names in them are chosen by other programs. The line of a mount
 * is found wherever the kernel cuts what it gives, and numbers are within their bounds
 *
 * Input: a byte with the largest piece of a read, the begin of the line up to a newline,
 * then the file. No file is used: open(), read() and pread() are replaced.
 */

#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>

#define netns_init	included_netns_init
#define netns_open	included_netns_open
#define netns_join	included_netns_join
#define netns_close	included_netns_close
#define netns_watch	included_netns_watch
#define netns_gone	included_netns_gone
#define netns_user_rules_ours	included_netns_user_rules_ours
#include "../../netns.c"

#include "input.h"

#define FILE_FD		100000		/* a number that no descriptor has */
#define WANT_MAX	200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *file;
static size_t file_len, file_at, piece;

static ssize_t file_read(void *buf, size_t n, size_t at)
{
	if (at >= file_len)
		return 0;
	if (n > file_len - at)
		n = file_len - at;
	if (n > piece)
		n = piece;
	memcpy(buf, file + at, n);
	return (ssize_t)n;
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
	assert(fd == FILE_FD);
	return file_read(buf, n, (size_t)at);
}

ssize_t read(int fd, void *buf, size_t n)
{
	ssize_t got;

	if (fd != FILE_FD)
		return syscall(SYS_read, fd, buf, n);
	got = file_read(buf, n, file_at);
	file_at += (size_t)got;
	return got;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	if (strncmp(path, "/proc/any", 9))
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	file_at = 0;
	return FILE_FD;
}

int close(int fd)
{
	return fd == FILE_FD ? 0 : (int)syscall(SYS_close, fd);
}

/* The first whole line with that begin; NULL: there is none */
static const uint8_t *line_of(const char *want, size_t *len)
{
	const uint8_t *p = file, *end = file + file_len, *nl;
	size_t n = strlen(want);

	for (; p < end && (nl = memchr(p, '\n', (size_t)(end - p))); p = nl + 1) {
		*len = (size_t)(nl - p);
		if (*len >= n && !memcmp(p, want, n))
			return p;
	}
	return NULL;
}

static void check_mounts(const char *want)
{
	char line[NETNS_MOUNT_LEN] = "";
	const uint8_t *p;
	size_t len = 0;
	bool found = mount_find(FILE_FD, want, line, sizeof(line));

	p = line_of(want, &len);
	assert(found == !!p);
	if (!p || !len || memchr(p, 0, len))
		return;
	if (len >= sizeof(line))
		len = sizeof(line) - 1;
	assert(strlen(line) == len && !memcmp(line, p, len));
}

static void check_numbers(void)
{
	const struct netns n = { .pidfd = -1, .stat_fd = FILE_FD };
	char s[64];
	ssize_t len = procfile_read("/proc/any", s, sizeof(s));

	assert(len >= 0 && len < (ssize_t)sizeof(s) && !s[len]);
	assert(procfile_number("/proc/any", 1000, 7) <= 1000);
	procfile_is("/proc/any", "0");
	process_gone((struct netns *)&n, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char want[WANT_MAX + 1];
	size_t n = 0;
	uint8_t c;

	input_set(data, size);
	piece = byte() * 16U + 1;
	while (n < WANT_MAX && left && (c = byte()) != '\n')
		if (c)
			want[n++] = (char)c;
	want[n] = 0;
	file = in;
	file_len = left;
	check_mounts(want);
	check_numbers();
	return 0;
}
