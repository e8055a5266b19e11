/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log lines reach standard error, the log file or the system logger, whole and
 * bounded
 *
 * Standard error is a pipe that the test reads; the log file is temporary; the
 * system logger is a socket in a mount namespace of the test.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "tap.h"
#include "util.h"

#define FILE_MAX	4096

static int err_pipe;
static char text[FILE_MAX * 4];

static void capture_stderr(void)
{
	int fds[2];

	if (pipe2(fds, O_NONBLOCK) || dup2(fds[1], STDERR_FILENO) < 0)
		exit(1);
	err_pipe = fds[0];
}

/* Read the lines written to standard error since the last call */
static const char *captured(void)
{
	ssize_t n = read(err_pipe, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static bool captured_is(const char *want)
{
	const char *got = captured();

	if (!strcmp(got, want))
		return true;
	printf("# got \"%s\"\n", got);
	return false;
}

static void levels(void)
{
	info("one %d %s", 1, "two");
	ok(captured_is("one 1 two\n"), "an info line is the line alone");
	debug("hidden");
	ok(captured_is(""), "debug lines are off at first");

	log_set_level(LOG_L_DEBUG);
	debug("seen");
	ok(strstr(captured(), ": seen\n") && strchr(text, '.'),
	   "a debug line carries the time");
	trace("hidden");
	ok(captured_is(""), "trace lines are off with level debug");

	log_set_level(LOG_L_ERR);
	info("hidden");
	warn("warning");
	err("error");
	ok(captured_is("warning\nerror\n"),
	   "quiet silences neither warnings nor errors");
	log_set_level(LOG_L_INFO);
}

static void errno_text(void)
{
	errno = EADDRINUSE;
	err_errno("bind");
	is(errno, EADDRINUSE, "errno survives a line");
	ok(captured_is("bind: Address already in use\n"), "errno is described");
	errno = 4000;
	warn_errno("strange");
	ok(captured_is("strange: error 4000\n"),
	   "an unknown errno is a number");
}

/* A function that returns @rc, and counts its calls */
static int calls;

static int fails(int rc)
{
	calls++;
	errno = EIO;
	return rc;
}

static void code_text(void)
{
	err_rc(-EADDRINUSE, "bind %d", 7);
	ok(captured_is("bind 7: Address already in use\n"),
	   "a negative error code is described");
	warn_rc(EACCES, "open");
	ok(captured_is("open: Permission denied\n"),
	   "a positive error code is described");
	err_rc(0, "nothing");
	ok(captured_is("nothing\n"), "code 0 adds nothing");
	warn_rc(fails(-ENOENT), "look");
	is(errno, EIO, "errno survives a line about a code");
	ok(captured_is("look: No such file or directory\n"),
	   "the code counts, not errno");

	calls = 0;
	debug_rc(fails(-EPERM), "hidden");
	debug_limited_rc(fails(-EPERM), "hidden");
	ok(captured_is("") && !calls,
	   "the code of a line that is not written is not evaluated");
	for (int i = 0; i < 3; i++)
		warn_limited_rc(-EMFILE, "accept");
	ok(!strncmp(captured(), "accept: Too many open files\n", 28),
	   "a limited line describes a code");
}

static void hostile_text(void)
{
	static char big[5000];
	const char *got;

	info("a\nb\x1b[2J\x7f\tc");
	ok(captured_is("a?b?[2J??c\n"), "control characters are replaced");
	memset(big, 'x', sizeof(big) - 1);
	info("%s", big);
	got = captured();
	ok(strlen(got) < 2100 && !strcmp(got + strlen(got) - 5, "x...\n"),
	   "a long line is cut and says so");
	errno = EPERM;
	err_errno("%s", big);
	got = captured();
	ok(strlen(got) < 2100 && !strcmp(got + strlen(got) - 5, "x...\n"),
	   "a long line with errno is cut, too");
}

static void rate_limit(void)
{
	static struct log_limit l;
	unsigned lines = 0;

	for (int i = 0; i < 1000; i++)
		warn_limited("again");
	for (const char *p = captured(); (p = strchr(p, '\n')); p++)
		lines++;
	ok(lines >= 1 && lines <= 2, "a flood of warnings is a line a second");

	l.last_s = 1;			/* long ago */
	l.suppressed = 41;
	if (log_limited(&l))
		warn("more");
	ok(captured_is("more (41 similar messages suppressed)\n"),
	   "the next line tells how many messages were suppressed");
}

static void death(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		errno = ENOENT;
		die_errno("no %s", "way");
	}
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 1, "die() exits with 1");
	ok(captured_is("no way: No such file or directory\n"),
	   "die_errno() describes errno");

	pid = fork();
	if (!pid)
		die_rc(-EBUSY, "no %s", "way");
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
	   captured_is("no way: Device or resource busy\n"),
	   "die_rc() describes its code");
}

/* Read the file into @text, return its size */
static size_t file_text(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0 ? n : 0;
}

/* The lines of the start stay in the file, unless there are too many */
static void started(const char *path)
{
	static struct log_limit limit;
	unsigned i;

	log_use_file(open(path, LOG_FILE_FLAGS | O_CLOEXEC), FILE_MAX);
	info("configuration");
	log_started();
	for (i = 0; i < 2000; i++)
		info("line %u of many", i);
	file_text(path);
	ok(strstr(text, ": configuration\n") && strstr(text, ": line 1999 of"),
	   "the lines of the start stay when the file is cut");
	for (i = 0; i < 18000; i++)
		if (log_limited(&limit))
			info("flood %u", i);
	file_text(path);
	ok(strstr(text, ": configuration\n") && strstr(text, ": line 1999 of"),
	   "18 000 limited messages push out none");

	log_use_file(open(path, LOG_FILE_FLAGS | O_CLOEXEC), FILE_MAX);
	for (i = 0; i < 100; i++)
		info("configuration %u", i);
	log_started();
	for (i = 0; i < 2000; i++)
		info("line %u of many", i);
	file_text(path);
	ok(!strstr(text, "configuration") && strstr(text, ": line 1999 of"),
	   "very many lines of the start don't stay");
}

static void log_file(void)
{
	char path[] = "/tmp/passt-log-XXXXXX", date[64];
	bool bounded = true, last = true;
	struct stat st;
	char want[32];
	const char *since;

	close(mkstemp(path));
	is(log_use_file(-1, FILE_MAX), -EBADF, "a log file that is not open is an error");
	is(log_use_file(open(path, LOG_FILE_FLAGS | O_CLOEXEC), FILE_MAX), 0,
	   "a log file is taken");
	info("first");
	ok(captured_is("first\n"), "standard error goes on until log_detach()");
	log_detach();
	info("second");
	ok(captured_is(""), "standard error is silent after log_detach()");

	file_text(path);
	memcpy(date, text, sizeof(date) - 1);
	date[sizeof(date) - 1] = 0;
	since = strstr(text, ", times in seconds since about 20");
	ok(!strncmp(text, "unit ", 5) && since && since < strchr(text, '\n'),
	   "the first line of the file has the date");
	ok(strstr(text, ": first\n") && strstr(text, ": second\n"),
	   "lines arrive in the file with a time");

	for (unsigned i = 0; i < 2000; i++) {
		info("line %u of many, %.*s", i, (int)(i % 50),
		     "12345678901234567890123456789012345678901234567890");
		if (i % 37)
			continue;
		bounded = bounded && !stat(path, &st) && st.st_size <= FILE_MAX;
		file_text(path);
		snprintf(want, sizeof(want), ": line %u of", i);
		last = last && strstr(text, want);
	}
	ok(bounded, "the file stays within its limit");
	ok(last, "the newest line is always there");
	file_text(path);
	ok(!strncmp(text, date, sizeof(date) - 1),
	   "the date stays when the file is cut");
	ok(!strstr(text, ": line 0 of"), "the oldest lines are cut off");
	ok(strstr(text, "\n") && strtod(strchr(text, '\n') + 1, NULL) >= 0 &&
	   strstr(strchr(text, '\n'), ": line ") - strchr(text, '\n') < 16,
	   "after the date, the file starts with a whole line");
	started(path);
	unlink(path);
	log_use_file(open("/dev/null", LOG_FILE_FLAGS | O_CLOEXEC), FILE_MAX);
	info("into the void");
	ok(captured_is(""), "a device may be the log file");
}

static bool put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && !util_write_all(fd, value, strlen(value));

	close(fd);
	return good;
}

/* In a child, write a line to a /dev/log of our own; 2: no namespaces here */
static int syslog_child(void)
{
	struct sockaddr_un addr = { AF_UNIX, "/dev/log" };
	char buf[128], want[128], uids[32], gids[32];
	ssize_t n;
	int fd;

	snprintf(uids, sizeof(uids), "0 %u 1", getuid());
	snprintf(gids, sizeof(gids), "0 %u 1", getgid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) ||
	    !put("/proc/self/uid_map", uids) ||
	    !put("/proc/self/setgroups", "deny") ||
	    !put("/proc/self/gid_map", gids) ||
	    mount("none", "/dev", "tmpfs", 0, NULL))
		return 2;
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return 2;
	log_connect_syslog();
	log_detach();
	warn("hello");
	n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	buf[n > 0 ? n : 0] = 0;
	snprintf(want, sizeof(want), "<28>unit[%d]: hello", (int)getpid());
	return strcmp(buf, want) ? 1 : 0;
}

static void system_logger(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(syslog_child());
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		ok(true, "a line reaches syslog # SKIP no namespaces here");
	else
		ok(!status, "a line reaches the system logger");
}

int main(void)
{
	capture_stderr();
	log_init("unit");
	levels();
	errno_text();
	code_text();
	hostile_text();
	rate_limit();
	death();
	system_logger();
	log_file();
	return done();
}
