/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small text files: whole, cut or missing, and numbers in them
 */

#include "procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

static char path[] = "/tmp/passt-procfile-XXXXXX";

static void put(const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		ok(false, "the test's file can be written");
	close(fd);
}

static void reading(void)
{
	char buf[16] = "old";

	is(procfile_read("/nowhere/file", buf, sizeof(buf)), -ENOENT,
	   "a missing file is an error");
	is(buf[0], 0, "a missing file gives an empty string");
	strcpy(buf, "old");
	is(procfile_read("/", buf, sizeof(buf)), -EISDIR,
	   "a directory is an error");
	is(buf[0], 0, "an unreadable file gives an empty string");

	put("0 0 1\n");
	is(procfile_read(path, buf, sizeof(buf)), 6, "a file is read whole");
	ok(!strcmp(buf, "0 0 1\n"), "a file is read as it is");
	put("");
	is(procfile_read(path, buf, sizeof(buf)), 0, "an empty file is no error");
	put("0123456789abcdefgh");
	is(procfile_read(path, buf, sizeof(buf)), 15,
	   "a long file is cut to the room there is");
	ok(!strcmp(buf, "0123456789abcde"), "a long file ends with a NUL");
	ok(procfile_read("/proc/self/status", buf, sizeof(buf)) == 15 &&
	   !strncmp(buf, "Name:\t", 6), "a file of /proc can be read");
}

static void never_waits(void)
{
	char fifo[] = "/tmp/passt-procfile-XXXXXX", buf[16];

	close(mkstemp(fifo));
	unlink(fifo);
	if (mkfifo(fifo, 0600))
		ok(false, "the test's FIFO can be made");
	alarm(5);
	is(procfile_read(fifo, buf, sizeof(buf)), 0,
	   "a FIFO without a writer is empty, without waiting");
	alarm(0);
	unlink(fifo);
}

static void comparing(void)
{
	put("1\n");
	ok(procfile_is(path, "1"), "a line compares without its newline");
	ok(!procfile_is(path, "10") && !procfile_is(path, ""),
	   "a line does not compare with its begin, nor with a longer one");
	put("1");
	ok(procfile_is(path, "1"), "the newline may be missing");
	ok(!procfile_is("/nowhere/file", "") && !procfile_is("/nowhere/file", "1"),
	   "a missing file is equal to nothing");
}

static void numbers(void)
{
	static const struct {
		const char *text;
		unsigned long want;
		const char *name;
	} t[] = {
		{ "4\n", 4, "a number is read" },
		{ "127", 127, "the largest number is read" },
		{ "128\n", 6, "a number out of bounds gives the default" },
		{ "-1\n", 6, "a negative number gives the default" },
		{ "4 5\n", 6, "two numbers give the default" },
		{ "", 6, "an empty file gives the default" },
		{ "000000000000000000000000000004", 6,
		  "a number that does not fit gives the default" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(t[i].text);
		is(procfile_number(path, 127, 6), t[i].want, t[i].name);
	}
	is(procfile_number("/nowhere/file", 127, 6), 6,
	   "a missing file gives the default");
}

static void writing(void)
{
	char buf[16];

	put("");
	is(procfile_write(path, "0 7"), 0, "a file can be written");
	ok(procfile_read(path, buf, sizeof(buf)) == 3 && !strcmp(buf, "0 7"),
	   "a file is written as it should be");
	is(procfile_write("/nowhere/file", "1"), -ENOENT,
	   "writing a missing file is an error");
	is(procfile_write("/dev/full", "1"), -ENOSPC,
	   "the kernel's refusal is an error");
	unlink(path);
	is(procfile_write(path, "1"), -ENOENT, "no file is created");
}

int main(void)
{
	close(mkstemp(path));
	reading();
	never_waits();
	comparing();
	numbers();
	writing();
	unlink(path);
	return done();
}
