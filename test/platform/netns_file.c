/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of a network namespace, as ip-netns(8) makes it: inotify on it is
 * silent when it goes, on its folder it tells unlink but not umount; the mount
 * has the number that fdinfo tells of an open file, and as its root the inode of
 * the namespace; unlink where it is not mounted unmounts it where it is.
 */
#include "plat.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FILE_OF_IT	"/tmp/ns"

static void text_of(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY);

	while (fd >= 0 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(fd);
}

static bool event(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, 0) == 1;
}

/* A new namespace, mounted at the file */
static void make(void)
{
	int status;

	close(open(FILE_OF_IT, O_CREAT | O_WRONLY, 0600));
	if (!fork())
		_exit(unshare(CLONE_NEWNET) ||
		      mount("/proc/thread-self/ns/net", FILE_OF_IT, "", MS_BIND,
			    NULL));
	wait(&status);
	if (status)
		bail("mount");
}

static int watch(const char *path)
{
	int fd = inotify_init1(IN_NONBLOCK);

	inotify_add_watch(fd, path, IN_DELETE | IN_DELETE_SELF | IN_MOVED_FROM |
			  IN_MOVE_SELF);
	return fd;
}

/* The line of the file's mount, by its number */
static void check_mount(void)
{
	static char mounts[1 << 20];
	char path[64], info[1024], want[64];
	const char *line, *root;
	struct stat st;
	int fd = open(FILE_OF_IT, O_RDONLY);

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	text_of(path, info, sizeof(info));
	text_of("/proc/self/mountinfo", mounts, sizeof(mounts));
	line = strstr(info, "mnt_id:");
	snprintf(want, sizeof(want), "\n%d ", line ? atoi(line + 7) : -1);
	line = strstr(mounts, want);
	ok(line != NULL, "the mount of an open file has the number in fdinfo");
	fstat(fd, &st);
	snprintf(want, sizeof(want), " net:[%lu] " FILE_OF_IT " ",
		 (unsigned long)st.st_ino);
	root = line ? strstr(line, want) : NULL;
	ok(root && root < strchr(line + 1, '\n'),
	   "its root is the inode of the namespace");
	close(fd);
}

/* As a process that does not have it mounted */
static int unlink_elsewhere(void)
{
	int status;

	if (!fork())
		_exit(unshare(CLONE_NEWNS) || umount2(FILE_OF_IT, MNT_DETACH) ||
		      unlink(FILE_OF_IT));
	wait(&status);
	return status;
}

int main(void)
{
	int file, folder, mounts;

	fresh_namespaces(CLONE_NEWNS);
	if (mount("", "/", "", MS_PRIVATE | MS_REC, NULL) ||
	    mount("x", "/tmp", "tmpfs", 0, NULL))
		bail("mount");
	make();
	check_mount();
	file = watch(FILE_OF_IT);
	folder = watch("/tmp");
	umount2(FILE_OF_IT, MNT_DETACH);
	ok(!event(folder, POLLIN), "its folder does not tell of an umount");
	ok(!event(file, POLLIN), "nor does the file");

	make();
	file = watch(FILE_OF_IT);
	mounts = open("/proc/self/mountinfo", O_RDONLY);
	ok(unlink(FILE_OF_IT) && errno == EBUSY, "mounted here it is busy");
	ok(!unlink_elsewhere(), "elsewhere it is not");
	ok(event(folder, POLLIN), "its folder tells");
	ok(event(mounts, POLLPRI), "so do the mounts: it is unmounted here");
	ok(!event(file, POLLIN), "the file says nothing");
	return done_testing();
}
