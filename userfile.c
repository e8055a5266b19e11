/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * userfile.c - Files that the user named: log, PID file, capture
 *
 * Root may name a file in a folder of other users, such as /tmp. These must not be
 * able to turn root's rights on a file of their choice, by a symbolic link, or to stop
 * the start, by a FIFO that nobody reads. So a program that root started opens
 *
 *	a descriptor (/dev/stdout, /dev/fd/N)	as it is: the caller has opened it
 *	a file in root's own places		as root
 *	any other				as the user that the daemon becomes
 *
 * A file is in root's own places if root owns it and all folders and symbolic links
 * on the way, and if nobody but root and the folder's group may add files to the last
 * folder. In a sticky folder like /tmp, the file itself must exist. It must have no other
 * name (hard link), which may be one that root did not mean. Symbolic links of others than
 * root and that user are not followed.
 *
 * A FIFO is opened when it has a reader, and one that root, the caller or the user of
 * --runas owns is waited for. If anybody else owns it, its descriptor stays non-blocking.
 * Anything else that is opened as another user has LIMIT_MS, as a filesystem may never answer.
 *
 * Links below /proc are followed by the kernel: their text is not always a path.
 */

#include "userfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fdpass.h"
#include "identity.h"
#include "isolation.h"
#include "log.h"
#include "util.h"

#define LINKS_MAX	40		/* as in the kernel, path_resolution(7) */
#define LIMIT_MS	10000

/**
 * struct way - The way to a file, folder by folder
 * @user:	Symbolic links of this user are followed, and those of root
 * @dir:	Folder reached so far, as O_PATH
 * @dir_mode:	Its mode
 * @rest:	Path from there on
 * @name:	First part of it, in the end the file's name
 * @links:	Symbolic links followed so far
 * @by_root:	So far, all folders and links are root's, and nobody else can replace them
 * @by_kernel:	The file is a link below /proc
 * @exists:	There is such a file: @file describes it
 */
struct way {
	uid_t user;
	int dir;
	mode_t dir_mode;
	char rest[PATH_MAX];
	char name[NAME_MAX + 1];
	unsigned links;
	bool by_root, by_kernel, exists;
	struct stat file;
};

/* Go on from a folder, which is ours to close */
static int way_enter(struct way *w, int fd)
{
	struct stat st;

	if (fd < 0)
		return -errno;
	if (w->dir >= 0)
		close(w->dir);
	w->dir = fd;
	if (fstat(fd, &st))
		return -errno;
	w->dir_mode = st.st_mode;
	if (st.st_uid || ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)))
		w->by_root = false;
	return 0;
}

/* Put the text of the link @fd before the rest of the path */
static int way_link(struct way *w, int fd)
{
	char path[sizeof(w->rest)];
	ssize_t n = readlinkat(fd, "", path, sizeof(path) - 1);
	size_t rest = strlen(w->rest);

	if (n < 0)
		return -errno;
	if (n + 1 + rest >= sizeof(path))
		return -ENAMETOOLONG;
	memmove(w->rest + n + 1, w->rest, rest + 1);
	w->rest[n] = '/';
	memcpy(w->rest, path, n);
	if (path[0] != '/')
		return 0;
	return way_enter(w, open("/", O_PATH | O_CLOEXEC));
}

/* Is the rest of the path one name, that of the file? */
static bool is_last(const struct way *w)
{
	return !w->rest[strspn(w->rest, "/")];
}

/* Take a part of the path, which @fd is: a folder, a link, or the file */
static int way_take(struct way *w, int fd)
{
	struct statfs fs;
	int rc;

	if (fstat(fd, &w->file))
		rc = -errno;
	else if (!S_ISLNK(w->file.st_mode) && is_last(w))
		w->exists = true, rc = 0;
	else if (!S_ISLNK(w->file.st_mode))
		return way_enter(w, fd);
	else if (++w->links > LINKS_MAX ||
		 (w->file.st_uid && w->file.st_uid != w->user))
		rc = -ELOOP;
	else if (fstatfs(fd, &fs) || fs.f_type != PROC_SUPER_MAGIC)
		rc = way_link(w, fd);
	else if (is_last(w))
		w->exists = w->by_kernel = true, rc = 0;
	else
		rc = way_enter(w, openat(w->dir, w->name, O_PATH | O_CLOEXEC));
	if (S_ISLNK(w->file.st_mode) && w->file.st_uid)
		w->by_root = false;
	close(fd);
	return rc;
}

/* Go the next part of the path; 1: it was the file's name */
static int way_step(struct way *w)
{
	const char *part = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(part, "/");
	int fd, rc;

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(w->name, part, len);
	w->name[len] = 0;
	memmove(w->rest, part + len, strlen(part + len) + 1);
	fd = openat(w->dir, len ? w->name : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && is_last(w) ? 1 : -errno;
	rc = way_take(w, fd);
	return rc ? rc : w->exists;
}

/* Go to the file at @path, following links of @user and root; negative errno */
static int way_find(struct way *w, const char *path, uid_t user)
{
	int rc;

	*w = (struct way){ .user = user, .dir = -1, .by_root = true };
	rc = util_strcpy(w->rest, sizeof(w->rest), path);
	if (!rc)
		rc = way_enter(w, open(*path == '/' ? "/" : ".",
					O_PATH | O_CLOEXEC));
	if (!rc && !*path)
		rc = -ENOENT;
	while (!rc)
		rc = way_step(w);
	return rc < 0 ? rc : 0;
}

/* Is the file in root's own places? */
static bool is_roots(const struct way *w)
{
	bool own = !(w->dir_mode & S_IWOTH);

	if (!w->by_root || !w->exists)
		return w->by_root && own;
	return !w->file.st_uid &&
	       (S_ISREG(w->file.st_mode) ? w->file.st_nlink == 1 : own);
}

/* Is this a FIFO of somebody else? */
static bool is_foreign_fifo(const struct stat *st, uid_t user)
{
	return S_ISFIFO(st->st_mode) && st->st_uid && st->st_uid != user;
}

/*
 * Open a file without waiting for the reader of a FIFO of others than root and @user; the
 * descriptor of such a FIFO stays non-blocking
 */
static int open_at(int dir, const char *name, int flags, uid_t user)
{
	struct stat st;
	int fd = openat(dir, name, flags | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd < 0 && errno == ENXIO) {
		if (fstatat(dir, name, &st, 0) || !S_ISFIFO(st.st_mode) ||
		    is_foreign_fifo(&st, user))
			return -ENXIO;
		fd = openat(dir, name, flags | O_CLOEXEC, 0600);
	}
	if (fd >= 0 && !fstat(fd, &st) && !is_foreign_fifo(&st, user))
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Open the file that was reached */
static int way_open(const struct way *w, int flags, uid_t user)
{
	if (w->exists)
		flags &= ~O_CREAT;
	else if (flags & O_CREAT)
		flags |= O_EXCL;
	if (!w->by_kernel)
		flags |= O_NOFOLLOW;
	return open_at(w->dir, w->name[0] ? w->name : ".", flags, user);
}

/* Open a file as this process; negative errno */
static int open_walking(const char *path, int flags, uid_t user)
{
	struct way w;
	int rc = way_find(&w, path, geteuid());

	if (!rc)
		rc = way_open(&w, flags, user);
	close(w.dir);
	return rc;
}

/* The process that opens a file as @id, and sends it to us by @to */
static _Noreturn void opener(const char *path, int flags,
			     const struct identity *id, uid_t user, int to)
{
	struct fdpass f = { .n = 0 };
	int rc = isolation_become(id);

	if (rc && id->required) {
		isolation_tell_user(id, rc);
		rc = -ECHILD;
	} else {
		rc = open_walking(path, flags, user);
	}
	if (rc >= 0)
		f.fd[f.n++] = rc;
	fdpass_send(to, &rc, sizeof(rc), &f, 0);
	_exit(0);
}

/* Receive the result of the opener, for @limit_ms at most; -1: without a limit */
static int opened(int from, int limit_ms)
{
	struct pollfd pfd = { .fd = from, .events = POLLIN };
	struct fdpass f = { .n = 0 };
	int result, rc;

	while ((rc = poll(&pfd, 1, limit_ms)) < 0 && errno == EINTR)
		;
	if (!rc)
		return -ETIMEDOUT;
	rc = fdpass_receive(from, &result, sizeof(result), &f, 0);
	if (rc || result < 0)
		return rc ? rc : result;
	return f.n ? f.fd[0] : -EMFILE;
}

/* Open a file as the user that we become, within @limit_ms; negative errno */
static int open_as(const char *path, int flags, const struct identity *id,
		   uid_t user, int limit_ms)
{
	int pair[2], rc;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	pid = fork();
	if (!pid)
		opener(path, flags, id, user, pair[1]);
	rc = pid < 0 ? -errno : 0;
	close(pair[1]);
	if (!rc)
		rc = opened(pair[0], limit_ms);
	close(pair[0]);
	if (rc == -ETIMEDOUT)		/* it may be beyond the reach of signals, too */
		kill(pid, SIGKILL);
	else
		while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	return rc;
}

/* Open a file for a program that root started, see above; negative errno */
static int open_by_root(const char *path, int flags, const struct identity *id,
			uid_t user)
{
	int limit_ms = id->required ? -1 : LIMIT_MS;
	struct way w;
	int rc = way_find(&w, path, 0);

	if (w.exists && S_ISFIFO(w.file.st_mode))
		limit_ms = -1;
	if (!rc && (is_roots(&w) || !id->change))
		rc = way_open(&w, flags, user);
	else if (id->change)
		rc = open_as(path, flags, id, user, limit_ms);
	close(w.dir);
	return rc;
}

/**
 * userfile_open() - Open a file that the user named, for writing
 * @path:	Path, as the caller of the program sees it
 * @flags:	Flags of open(), see util_open()
 * @id:		From identity_choose()
 *
 * To be called before inherited descriptors are closed, and before privileges are
 * dropped and the root is changed.
 *
 * Return: descriptor above 2, closed on exec; negative errno: -ELOOP also for a
 * symbolic link of another user, -ENXIO for a FIFO of another user without a reader,
 * -ECHILD after a message: the user of --runas can't be had
 */
int userfile_open(const char *path, int flags, const struct identity *id)
{
	uid_t user = id->required ? id->uid : geteuid();
	int rc;

	if (util_named_fd(path) >= 0)
		return util_open(path, flags);
	if (!id->by_root)
		return open_at(AT_FDCWD, path, flags, user);
	rc = open_by_root(path, flags, id, user);
	if (rc == -EEXIST)		/* another process made the file meanwhile */
		rc = open_by_root(path, flags, id, user);
	return rc;
}
