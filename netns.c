/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netns.c - An existing network namespace: find it, notice its end
 *
 * A namespace has no name of its own. The user points at a process, a file or a
 * descriptor that refers to it. The namespace itself lives on while our tap
 * device is in it, so we end with the reference, even if other processes still
 * use the namespace:
 *
 *	reference		ends by			noticed by
 *	process: PID, or	its end			pidfd, or a look at its
 *	/proc/PID/ns/net				its stat each second
 *	file: mounted there	umount			change of the mounts
 *				unlink, rename, or of	inotify on its folder
 *				the folder
 *	file: symbolic link	as for its target, and as for any other file
 *	descriptor, as		never: we keep the namespace, and can't know its
 *	/proc/self/fd/N		other users. The end of the process proves nothing,
 *				as it may have passed the descriptor on
 *
 * Inotify on the file itself would be silent: no event changes the inode of the
 * namespace. The kernel reports that some mount changed, and no more, so we
 * search the list of mounts each time. We look for the number of the mount
 * together with the inode of the namespace: the kernel soon assigns the number
 * again, but not the inode while we are in the namespace.
 *
 * None of these descriptors is a directory, and the sandbox permits no system
 * call that could open a file by them. /proc/self/mountinfo keeps showing the
 * mount namespace in which it was opened.
 *
 * User namespaces: the right to join a network namespace, and to make devices
 * in it, comes from the user namespace that owns it. The kernel tells us the
 * owner only if it is our user namespace or below: otherwise we have no right
 * to join.
 */

#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "log.h"
#include "procfile.h"
#include "util.h"

#define PROC_LEN	64		/* of paths in /proc */
#define POLL_MS		1000		/* without pidfd */
#define MOUNT_FIELDS	4		/* number, parent, device, inode */
#define REREAD_MAX	16		/* if it changes while we read */
#define LINKS_MAX	8		/* symbolic links that lead to each other */

enum { WATCH_FOLDER, WATCH_MOUNTS };	/* index of REF_NETNS_PATH */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/**
 * netns_init() - No namespace
 */
void netns_init(struct netns *n)
{
	*n = (struct netns){ .net = -1, .user = -1, .pidfd = -1, .stat_fd = -1,
			     .folder = -1, .mounts = -1 };
}

/* The process -------------------------------------------------------------- */

static int watch_stat(struct netns *n, const char *path)
{
	n->stat_fd = open(path, O_RDONLY | O_CLOEXEC);
	return n->stat_fd >= 0 ? 0 : errno == ENOENT ? -ESRCH : -errno;
}

/*
 * Watch a process: a pidfd, else its stat. To be done before we use its number
 */
static int watch_process(struct netns *n, int pid)
{
	char path[PROC_LEN];

#ifdef SYS_pidfd_open
	n->pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (n->pidfd >= 0)
		return 0;
	if (errno == ESRCH)
		return -ESRCH;
	debug_rc(errno, "No pidfd, looking once a second");
#endif
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return watch_stat(n, path);
}

/* #syscalls:pasta poll ppoll pread64 */
static bool process_gone(struct netns *n, struct loop *l)
{
	struct pollfd pfd = { .fd = n->pidfd, .events = POLLIN };
	const char *state;
	char buf[128];
	ssize_t len;

	if (n->pidfd >= 0)
		return poll(&pfd, 1, 0) == 1;
	if (n->stat_fd < 0)
		return false;

	/* ESRCH once it is reaped; a zombie before: proc(5), /proc/PID/stat */
	len = pread(n->stat_fd, buf, sizeof(buf) - 1, 0);
	if (len <= 0)
		return true;
	buf[len] = '\0';
	state = strrchr(buf, ')');
	if (state && (!strncmp(state, ") Z", 3) || !strncmp(state, ") X", 3)))
		return true;
	if (l)
		wheel_arm(&l->wheel, &n->poll, l->now_ms + POLL_MS);
	return false;
}

/* The directory of the file ------------------------------------------------ */

/* Split "dir/file" into directory, with its slash, and file */
static int split(const char *path, char dir[PATH_MAX], const char **file)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 0;

	if (!slash || !slash[1] || len >= PATH_MAX)
		return -EINVAL;
	memcpy(dir, path, len);
	dir[len] = '\0';
	*file = slash + 1;
	return 0;
}

static bool in_procfs(const char *dir)
{
	struct statfs fs;

	return !statfs(dir, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

static void watch_folder(struct netns *n, const char *path)
{
	const uint32_t events = IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF |
				IN_MOVE_SELF | IN_ONLYDIR;
	char dir[PATH_MAX];
	const char *file;

	if (split(path, dir, &file) || in_procfs(dir) ||
	    util_strcpy(n->file, sizeof(n->file), file))
		return;
	n->folder = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (n->folder < 0 || inotify_add_watch(n->folder, dir, events) < 0) {
		debug_rc(errno, "Can't watch the folder of the namespace");
		close_fd(&n->folder);
	}
}

/* Read all events: of several, ours may be the last */
/* #syscalls:pasta read */
static bool folder_gone(const struct netns *n)
{
	const uint32_t of_folder = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT |
				   IN_IGNORED;
	char buf[4096];
	struct inotify_event e;
	ssize_t len, at;

	while ((len = read(n->folder, buf, sizeof(buf))) > 0) {
		for (at = 0; at < len; at += sizeof(e) + e.len) {
			memcpy(&e, buf + at, sizeof(e));
			if (e.mask & of_folder ||
			    (e.mask & (IN_DELETE | IN_MOVED_FROM) && e.len &&
			     !strcmp(buf + at + sizeof(e), n->file)))
				return true;
		}
	}
	return false;
}

/* The mount on the file ---------------------------------------------------- */

/**
 * mount_find() - Look for a line of /proc/self/mountinfo
 * @fd:		The file
 * @want:	Begin of the line
 * @line:	Set to the begin of the line, cut to @size; may be NULL
 * @size:	Bytes of @line
 */
static bool mount_find(int fd, const char *want, char *line, size_t size)
{
	static char buf[4096];
	size_t len = strlen(want), col = 0;
	bool match = true;
	ssize_t n, i;
	off_t at;

	for (at = 0; (n = pread(fd, buf, sizeof(buf), at)) > 0; at += n) {
		for (i = 0; i < n; i++) {
			if (buf[i] == '\n') {
				if (match && col >= len)
					return true;
				match = true;
				col = 0;
				continue;
			}
			if (col < len && buf[i] != want[col])
				match = false;
			if (match && line && col + 1 < size) {
				line[col] = buf[i];
				line[col + 1] = '\0';
			}
			col++;
		}
	}
	return false;
}

/*
 * Get the number of the mount that a file is on, -1: unknown; proc(5), fdinfo
 */
static int mount_number(int fd)
{
	char path[PROC_LEN], buf[256];
	const char *id;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	procfile_read(path, buf, sizeof(buf));
	id = strstr(buf, "mnt_id:");
	return id ? atoi(id + strlen("mnt_id:")) : -1;
}

/* Find the namespace's mount in the list, which was opened before */
static void watch_mount(struct netns *n)
{
	char number[16], line[NETNS_MOUNT_LEN] = "";
	unsigned field, len = 0;

	snprintf(number, sizeof(number), "%d ", mount_number(n->net));
	if (n->mounts < 0 ||
	    !mount_find(n->mounts, number, line, sizeof(line))) {
		close_fd(&n->mounts);
		return;
	}
	for (field = 0; field < MOUNT_FIELDS; field++) {
		len += strcspn(line + len, " ");
		len += !!line[len];
	}
	line[len] = '\0';
	memcpy(n->mount, line, sizeof(line));
}

/* Is the mount gone? A change while we read the list may hide its line */
static bool mount_gone(const struct netns *n)
{
	struct pollfd pfd = { .fd = n->mounts, .events = POLLPRI };
	int i;

	for (i = 0; i < REREAD_MAX; i++) {
		if (mount_find(n->mounts, n->mount, NULL, 0))
			return false;
		if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLPRI))
			return true;
	}
	return false;			/* look again after the next change */
}

/* Opening ------------------------------------------------------------------ */

/* Log that the namespace can't be opened; callers look for this wording */
static int netns_refuse(const char *path, const char *why)
{
	err("Couldn't open network namespace %s: %s", path, why);
	return -EINVAL;
}

static int netns_refuse_rc(const char *path, int rc, const char *hint)
{
	char reason[UTIL_ERROR_STRLEN];

	err("Couldn't open network namespace %s: %s%s", path,
	    util_strerror(rc, reason), hint);
	return rc;
}

/* Open a file of /proc/PID/ns, without waiting if it is some other file */
static int open_ns(const char *path)
{
	return util_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

/* Get the kind of a namespace, CLONE_NEW*; 0: not a namespace */
static int kind_of(int fd)
{
	struct statfs fs;
	int kind;

	if (fstatfs(fd, &fs) || fs.f_type != NSFS_MAGIC)
		return 0;
	kind = ioctl(fd, NS_GET_NSTYPE);
	return kind < 0 ? 0 : kind;
}

/* Is this namespace the one that we are in? */
static bool is_own(int fd, const char *path)
{
	struct stat own, other;

	return !stat(path, &own) && !fstat(fd, &other) &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

static int open_net(struct netns *n)
{
	int kind;

	n->net = open_ns(n->name);
	if (n->net < 0)
		return netns_refuse_rc(n->name, n->net,
				 n->net == -EACCES && n->pid_path[0] ?
				 " (the process is not yours)" : "");
	kind = kind_of(n->net);
	if (!kind)
		return netns_refuse(n->name, "It is no namespace");
	if (kind != CLONE_NEWNET)
		return netns_refuse(n->name, "It is another kind of namespace");
	if (is_own(n->net, "/proc/self/ns/net"))
		return netns_refuse(n->name, "It is our own, nothing to do");
	return 0;
}

static int open_user_path(struct netns *n, const char *path)
{
	n->user = open_ns(path);
	if (n->user < 0) {
		err_rc(n->user, "Couldn't open user namespace %s", path);
		return n->user;
	}
	if (kind_of(n->user) != CLONE_NEWUSER) {
		err("Couldn't open user namespace %s: It is none", path);
		return -EINVAL;
	}
	return 0;
}

static int open_user(struct netns *n, const struct conf *c)
{
	int rc = 0;

	if (c->netns_only)		/* overrides --userns */
		return 0;
	if (c->userns_path)
		rc = open_user_path(n, c->userns_path);
	else
		n->user = ioctl(n->net, NS_GET_USERNS);
	if (rc)
		return rc;
	if (n->user < 0)
		return netns_refuse_rc(n->name, -errno, " (its owner is not below "
				 "our user namespace)");
	if (is_own(n->user, "/proc/self/ns/user"))
		close_fd(&n->user);
	return 0;
}

/* Follow a symbolic link, in place; those of /proc don't hold paths */
static bool link_follow(char path[PATH_MAX])
{
	char target[PATH_MAX], dir[PATH_MAX];
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	const char *file;

	if (len <= 0 || split(path, dir, &file) || in_procfs(dir))
		return false;
	target[len] = '\0';
	if (target[0] == '/')
		return !util_strcpy(path, PATH_MAX, target);
	if (strlen(dir) + (size_t)len >= PATH_MAX)
		return false;
	memcpy(dir + strlen(dir), target, (size_t)len + 1);
	return !util_strcpy(path, PATH_MAX, dir);
}

/*
 * procfs_folder() - Is the namespace named by a file of a process?
 * @path:	Path as the user wrote it
 * @dir:	Set to the directory of that file, without links
 *
 * Return: last part of @dir, "ns" or "fd"; NULL if it is no file of a process
 */
static const char *procfs_folder(const char *path, char dir[PATH_MAX])
{
	char end[PATH_MAX], name[PATH_MAX];
	const char *file, *slash;
	unsigned i;

	if (util_strcpy(end, sizeof(end), path))
		return NULL;
	for (i = 0; i < LINKS_MAX && link_follow(end); i++)
		;
	if (split(end, name, &file) || !in_procfs(name) || !realpath(name, dir))
		return NULL;
	slash = strrchr(dir, '/');
	return slash ? slash + 1 : NULL;
}

/* Watch the path before it is opened, so that no change is missed */
static int watch_path(struct netns *n, const char *path)
{
	char dir[PATH_MAX];
	const char *folder;
	int pid, len = 0;

	/* Links of /dev lead to descriptors, and are never removed */
	if (strncmp(path, "/dev/", strlen("/dev/")))
		watch_folder(n, path);
	folder = procfs_folder(path, dir);
	if (!folder) {
		n->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
		return 0;
	}
	n->by_descriptor = !strcmp(folder, "fd");
	if (n->by_descriptor)
		return 0;
	if (sscanf(dir, "/proc/%d/ns%n", &pid, &len) == 1 && len && !dir[len])
		return watch_process(n, pid);

	/* A thread, or another /proc: its numbers are not our PIDs */
	if (strlen(dir) + sizeof("/../stat") > sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir + strlen(dir), "/../stat", sizeof("/../stat"));
	return watch_stat(n, dir);
}

/* Tell the user if we won't notice the end of this namespace */
static void tell_unwatched(const struct netns *n)
{
	if (n->pidfd >= 0 || n->stat_fd >= 0 || n->folder >= 0 ||
	    n->mounts >= 0)
		return;
	if (n->by_descriptor)
		info("Namespace %s is a descriptor: serving it until SIGTERM",
		     n->name);
	else
		warn("The end of %s can't be noticed", n->name);
}

static int open_path(struct netns *n, const struct conf *c)
{
	int rc;

	n->name = c->netns_path;
	rc = watch_path(n, c->netns_path);
	/* If there is no such file, opening it gives the better message */
	if (rc)
		debug_rc(rc, "Can't watch the process of %s", n->name);
	rc = open_net(n);
	if (!rc)
		rc = open_user(n, c);
	if (rc)
		return rc;

	watch_mount(n);
	if (!c->no_netns_quit)
		tell_unwatched(n);
	return 0;
}

static int open_pid(struct netns *n, const struct conf *c)
{
	int rc;

	snprintf(n->pid_path, sizeof(n->pid_path), "/proc/%d/ns/net",
		 (int)c->netns_pid);
	n->name = n->pid_path;
	rc = watch_process(n, c->netns_pid);
	if (rc && rc != -ESRCH) {
		debug_rc(rc, "Can't watch the process");
		rc = 0;
	}
	/* The process may be a zombie, or have ended and its PID be reused */
	if (!rc && !process_gone(n, NULL))
		rc = open_net(n);
	if (!rc)
		rc = open_user(n, c);
	if (rc == -ESRCH || process_gone(n, NULL)) {
		err("No process with PID %d: has it ended?", (int)c->netns_pid);
		return -ESRCH;
	}
	return rc;
}

/**
 * netns_open() - Open the namespace, and watch its process or file
 * @n:		From netns_init()
 * @c:		netns_kind NETNS_PID or NETNS_PATH
 *
 * To be called before the sandbox, in the caller's mount namespace.
 *
 * Return: 0, or negative errno after a message
 */
int netns_open(struct netns *n, const struct conf *c)
{
	int rc = c->netns_kind == NETNS_PID ? open_pid(n, c) : open_path(n, c);

	if (rc || c->no_netns_quit) {
		close_fd(&n->pidfd);
		close_fd(&n->stat_fd);
		close_fd(&n->folder);
		close_fd(&n->mounts);
	}
	return rc;
}

/* Is the user namespace @fd, which is closed, the same as @user or below it? */
static bool is_below(int fd, int user)
{
	struct stat st, other;
	bool same = false;
	int parent;

	while (fd >= 0 && !same) {
		same = !fstat(fd, &st) && !fstat(user, &other) &&
		       st.st_dev == other.st_dev && st.st_ino == other.st_ino;
		parent = ioctl(fd, NS_GET_PARENT);
		close(fd);
		fd = parent;
	}
	close_fd(&fd);
	return same;
}

/**
 * netns_user_rules_ours() - Would a capability in there count in our own network namespace?
 * @n:		From netns_open(), or with the descriptors to join
 *
 * To be called before netns_join(). A capability counts in the network namespaces that the
 * user namespace of the process owns, or one below it. Here this is the one of @n, or else our
 * own. EPERM: the owner of our network is not in our own user namespace or below, but above.
 */
bool netns_user_rules_ours(const struct netns *n)
{
	int net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int owner = ioctl(net, NS_GET_USERNS);
	bool above = owner < 0 && errno == EPERM;

	close_fd(&net);
	if (owner < 0)			/* others: without /proc, nobody knows */
		return !above;
	if (n->user >= 0)
		return is_below(owner, n->user);
	close(owner);
	return true;
}

/**
 * netns_join() - Join the namespace and the user namespace that owns it
 * @n:		From netns_open(), or with the descriptors to join
 *
 * To be called single-threaded.
 *
 * Return: 0, or negative errno after a message
 */
int netns_join(const struct netns *n)
{
	/* EINVAL: it is our own */
	if (n->user >= 0 && setns(n->user, CLONE_NEWUSER) && errno != EINVAL)
		return netns_refuse_rc(n->name, -errno, " (to join its user "
				 "namespace; is it yours?)");
	if (setns(n->net, CLONE_NEWNET))
		return netns_refuse_rc(n->name, -errno, n->user >= 0 ?
				 " (is it yours?)" :
				 " (its owner is this user namespace: "
				 "root is needed)");
	return 0;
}

/**
 * netns_close() - Close the namespaces, but go on watching
 */
void netns_close(struct netns *n)
{
	close_fd(&n->net);
	close_fd(&n->user);
}

/* Watching ----------------------------------------------------------------- */

static int watch_fd(struct loop *l, int fd, uint32_t events,
		    enum ref_kind kind, unsigned index)
{
	const union epoll_ref ref = { .kind = kind, .index = index };

	return fd < 0 ? 0 : loop_add(l, fd, events, ref);
}

/**
 * netns_watch() - Report when the namespace may have ended
 * @n:		From netns_open(); or from netns_init(), and there are no reports
 * @l:		Gets events, or a timer if there is no pidfd, of kind
 *		REF_NETNS_PID and REF_NETNS_PATH
 *
 * Return: 0 or negative errno
 */
int netns_watch(struct netns *n, struct loop *l)
{
	int rc;

	if (n->stat_fd >= 0) {
		n->poll.ref = (union epoll_ref){ .kind = REF_NETNS_PID };
		wheel_arm(&l->wheel, &n->poll, l->now_ms + POLL_MS);
	}
	rc = watch_fd(l, n->pidfd, EPOLLIN, REF_NETNS_PID, 0);
	if (!rc)
		rc = watch_fd(l, n->folder, EPOLLIN, REF_NETNS_PATH,
			      WATCH_FOLDER);
	if (!rc)
		rc = watch_fd(l, n->mounts, EPOLLPRI, REF_NETNS_PATH,
			      WATCH_MOUNTS);
	return rc;
}

/**
 * netns_gone() - After an event: has the process or file of the namespace
 * ended?
 * @n:		From netns_open()
 * @ref:	Reference of the event or timer
 * @l:		Loop of the event
 */
bool netns_gone(struct netns *n, union epoll_ref ref, struct loop *l)
{
	if (ref.kind == REF_NETNS_PID)
		return process_gone(n, l);
	return ref.index == WATCH_FOLDER ? folder_gone(n) : mount_gone(n);
}
