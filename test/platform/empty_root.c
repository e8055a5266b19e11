/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An empty root for an unprivileged process: "/" recursively unbindable, a tmpfs
 * of no blocks on a folder that exists, pivot_root(".", ".") in it, and the old
 * root detached.  A directory descriptor that is still open undoes all of it.
 */
#include "plat.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/syscall.h>

static int entries(void)
{
	DIR *d = opendir("/");
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

int main(void)
{
	int dir, fd;

	fresh_namespaces(CLONE_NEWNS);
	dir = open("/etc", O_RDONLY | O_DIRECTORY);

	ok(!mount("", "/", "", MS_UNBINDABLE | MS_REC, NULL),
	   "all mounts are made unbindable");
	ok(!mount("", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC |
		  MS_RDONLY, "nr_inodes=2,nr_blocks=0"), "a tmpfs is mounted");
	if (chdir("/tmp"))
		bail("chdir");
	ok(!syscall(SYS_pivot_root, ".", "."), "it becomes the root");
	ok(!umount2(".", MNT_DETACH), "the old root is detached");
	if (chdir("/"))
		bail("chdir");
	ok(entries() == 2, "nothing is in it");
	ok(open("/x", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS,
	   "nothing can be put in it");
	fd = openat(dir, "../etc/passwd", O_RDONLY);
	ok(fd >= 0, "a directory descriptor kept open leads out of it");
	close(dir);
	ok(open("/proc/self/status", O_RDONLY) < 0, "no /proc");
	return done_testing();
}
