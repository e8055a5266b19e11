/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pidfd becomes readable when the process dies, at once, also for a process
 * of another user and one that is no child; it needs no poll in intervals.
 */
#include "plat.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int readable(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, timeout_ms) == 1;
}

/* A process that ends when the pipe it reads does */
static pid_t sleeper(int p[2], uid_t uid)
{
	pid_t pid;

	if (pipe(p))
		bail("pipe");
	pid = fork();
	if (!pid) {
		char c;

		close(p[1]);
		if (uid && setuid(uid))
			_exit(1);
		_exit(read(p[0], &c, 1) != 0);
	}
	close(p[0]);
	return pid;
}

int main(void)
{
	int p[2], fd;
	pid_t pid = sleeper(p, 0);
	int64_t t;

	fd = pidfd(pid);
	if (fd < 0 && errno == ENOSYS) {
		printf("1..0 # SKIP no pidfd_open()\n");
		return 0;
	}
	ok(fd >= 0, "a pidfd is to be had");
	ok(!readable(fd, 0), "it is silent while the process lives");
	t = now_ms();
	close(p[1]);
	ok(readable(fd, 10000), "it is readable once the process died");
	ok(now_ms() - t < 500, "at once");
	waitpid(pid, NULL, 0);
	ok(pidfd(pid) < 0 && errno == ESRCH, "a process gone is ESRCH");

	if (geteuid()) {
		skip("process of another user", "needs root");
	} else {
		int st;

		pid = sleeper(p, 65533);
		if (!fork())
			_exit(setuid(65534) || (fd = pidfd(pid)) < 0 ||
			      readable(fd, 0) || close(p[1]) ||
			      !readable(fd, 10000));
		close(p[1]);
		while (wait(&st) == pid)
			;
		ok(!st, "it works for a process of another user");
	}
	return done_testing();
}
