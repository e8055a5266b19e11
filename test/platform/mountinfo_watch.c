/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc/self/mountinfo opened before unshare(CLONE_NEWNS) reports the umounts of
 * the namespace it was opened in by EPOLLPRI, and stays readable after the empty
 * root is in place: it tells when a file of a namespace is unmounted.
 */
#include "plat.h"

#include <poll.h>
#include <sys/mount.h>
#include <sys/wait.h>

static bool event(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLPRI };

	return poll(&pfd, 1, timeout_ms) == 1 && pfd.revents & POLLPRI;
}

int main(void)
{
	static char b[1 << 20];
	size_t n;
	ssize_t got;
	int fd, p[2];
	pid_t pid;

	fresh_namespaces(CLONE_NEWNS);
	if (mount("", "/", "", MS_PRIVATE | MS_REC, NULL) ||
	    mount("x", "/tmp", "tmpfs", 0, NULL) || pipe(p))
		bail("mount");
	pid = fork();
	if (!pid) {			/* stays in the outer mount namespace */
		char c;

		close(p[1]);
		if (read(p[0], &c, 1) < 1)
			_exit(1);
		_exit(umount2("/tmp", MNT_DETACH) ? 1 : 0);
	}

	fd = open("/proc/self/mountinfo", O_RDONLY);
	while (read(fd, b, sizeof(b)) > 0)
		;
	event(fd, 0);
	if (unshare(CLONE_NEWNS))
		bail("unshare");
	ok(!event(fd, 0), "no event before anything happens");
	if (write(p[1], "x", 1) != 1)
		bail("write");
	ok(event(fd, 10000), "an umount outside is an event");
	waitpid(pid, NULL, 0);
	memset(b, 0, sizeof(b));
	lseek(fd, 0, SEEK_SET);
	for (n = 0; (got = read(fd, b + n, sizeof(b) - 1 - n)) > 0;
	     n += (size_t)got)
		;
	ok(n && !strstr(b, " - tmpfs x "), "and the list can still be read");
	return done_testing();
}
