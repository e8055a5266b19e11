/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * isolation.c - The sandbox: give up rights, more in each stage
 *
 * An attacker who takes over this process by hostile frames or connections
 * should gain nothing. So the process gives up each right where it is no longer
 * needed, all of them before it reads the first hostile byte:
 *
 *  init	standard descriptors are opened if they are closed
 *  inherited	descriptors of the caller are closed, once files named by them are
 *		open
 *  detach	the host's mounts: the root is an empty, read-only tmpfs;
 *		its user, IPC and UTS namespaces, in the background its PID
 *		namespace, too; the identity of root
 *  seal	all capabilities, also those that exec() could give back
 *		(no_new_privs), core dumps and being traced (not dumpable),
 *		and every system call that the sources do not name
 *
 * The needs of each step decide the order in isolation_detach(). Making a mount
 * namespace takes CAP_SYS_ADMIN: outside of a user namespace only root has it,
 * in a new one everybody. Changing the identity takes CAP_SETUID and an
 * identity that is mapped. So it comes before our own user namespace, where no
 * ID is mapped, and none is needed any more. In short:
 *
 *	root, CAP_SYS_ADMIN	mounts and so on; identity; user namespace
 *	root without it		identity; user namespace with the rest
 *	other users		user namespace with the rest
 *
 * A directory descriptor that is left open undoes the empty root, since ".."
 * leads out of it: no module keeps one. A container runtime, a security module
 * or a sysctl may deny namespaces. Then we log a warning and go on with the
 * other stages, which is why they are independent of each other. With --sandbox
 * strict, we end instead: lacking() decides.
 *
 * The helper in the namespace goes through all stages at once, see
 * isolation_nshelper(). So does the follower of resolv.conf, which needs the
 * host's mounts: isolation_follower().
 *
 * The seccomp filter is a table for each kind of process, made at build time by
 * seccomp.sh. A system call that it refuses kills the process. Build with
 * CPPFLAGS=-DSECCOMP_TRAP to have the number of this call printed first, and with
 * CPPFLAGS=-DSECCOMP_LOG to have such calls allowed and logged by the kernel: the
 * reports of sanitizers need some.
 */

#include "isolation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "identity.h"
#include "landlock.h"
#include "log.h"
#include "util.h"

#ifdef SECCOMP_TRAP
#define SECCOMP_DENY	SECCOMP_RET_TRAP
#elif defined(SECCOMP_LOG)
#define SECCOMP_DENY	SECCOMP_RET_LOG
#else
#define SECCOMP_DENY	SECCOMP_RET_KILL_PROCESS
#endif
#include "seccomp.h"

#define FDS_FALLBACK	65536		/* descriptors tried one by one */
#define UNSHARE		(1U << 1)	/* CLOSE_RANGE_UNSHARE, linux/close_range.h */

/*
 * C libraries make these calls on their own: to return from signal handlers, in exit(),
 * and for the clock if the vDSO has none. The variant with 64-bit times is for 32-bit
 * machines.
 */
/* #syscalls rt_sigreturn sigreturn exit_group */
/* #syscalls clock_gettime clock_gettime64 */

/**
 * isolation_init() - Make sure that descriptors 0 to 2 are open
 *
 * To be called first. If one of them is closed, the next file opened gets its
 * number, and messages would go into that file.
 */
void isolation_init(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int close_range_(unsigned first, unsigned last, unsigned flags)
{
#ifdef SYS_close_range
	return syscall(SYS_close_range, first, last, flags);
#else
	(void)first, (void)last, (void)flags;
	errno = ENOSYS;
	return -1;
#endif
}

/* Close a descriptor, unless it is our own: those are all closed on exec */
static void close_if_inherited(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags >= 0 && !(flags & FD_CLOEXEC))
		close(fd);
}

/**
 * isolation_close_inherited() - Close the descriptors inherited from the caller
 * @keep:	Descriptor of --fd, or -1; 0 to 2 stay as well
 *
 * To be called when all files named by inherited descriptors are open. We tell
 * our own descriptors by close-on-exec, which an inherited one can't have.
 */
void isolation_close_inherited(int keep)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	unsigned long fd;

	while (dir && (e = readdir(dir)))
		if (!util_parse_ulong(e->d_name, STDERR_FILENO + 1, INT_MAX,
				      &fd) && (int)fd != keep)
			close_if_inherited((int)fd);
	if (dir) {
		closedir(dir);
		return;
	}
	for (fd = STDERR_FILENO + 1; fd < FDS_FALLBACK; fd++)
		if ((int)fd != keep)
			close_if_inherited((int)fd);
	if (keep < FDS_FALLBACK)
		close_range_(FDS_FALLBACK, ~0U, 0);
}

/* Without close_range(), before Linux 5.9: up to the limit of open files */
static void close_one_by_one(int keep)
{
	struct rlimit rl;
	int fd, max = FDS_FALLBACK;

	if (!getrlimit(RLIMIT_NOFILE, &rl) && rl.rlim_cur < (rlim_t)max)
		max = rl.rlim_cur;
	for (fd = STDERR_FILENO + 1; fd < max; fd++)
		if (fd != keep)
			close(fd);
}

/* Close all descriptors but @keep; 0 to 2 stay as well */
static void close_others(int keep)
{
	unsigned first = STDERR_FILENO + 1;
	int rc = 0;

	if (keep >= (int)first) {
		if (keep > (int)first)
			rc = close_range_(first, keep - 1, 0);
		first = keep + 1;
	}
	if (rc || close_range_(first, ~0U, 0))
		close_one_by_one(keep);
}

/**
 * isolation_own_fds() - End the sharing of descriptors, with a table of our own
 * @keep:	Descriptor to keep; 0 to 2 stay as well
 *
 * In the end, our table has no others. Before Linux 5.9, which lacks close_range(), it has a
 * copy of each of them until then; later kernels leave out those above @keep.
 *
 * Return: 0 or negative errno
 */
int isolation_own_fds(int keep)
{
	if (close_range_(keep + 1, ~0U, UNSHARE) && unshare(CLONE_FILES))
		return -errno;
	close_others(keep);
	return 0;
}

/* Empty the bounding set: no program executed from now on gets a capability */
static void drop_bounding_set(void)
{
	unsigned long cap;

	/* EINVAL: past the last capability. EPERM: without CAP_SETPCAP, we have
	 * no capabilities that matter */
	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return;
}

/* Tell that a part of the sandbox can't be had; with --sandbox strict, end */
static void lacking(const struct conf *c, int rc, const char *part)
{
	if (c->sandbox_strict)
		die_rc(rc, "Not started, --sandbox strict: %s", part);
	warn_rc(rc, "%s", part);
}

/**
 * isolation_become() - Change user and group, and drop the other groups
 * @id:		From identity_choose()
 *
 * Return: 0, also if there is nothing to change, or negative errno
 */
int isolation_become(const struct identity *id)
{
	if (!id->change)
		return 0;

	drop_bounding_set();
	if (setgroups(0, NULL) && errno != EPERM)
		return -errno;
	if (setresgid(id->gid, id->gid, id->gid) ||
	    setresuid(id->uid, id->uid, id->uid))
		return -errno;
	return 0;
}

/**
 * isolation_tell_user() - Log that isolation_become() failed for the user of --runas
 * @id:		From identity_choose()
 * @rc:		Its error
 */
void isolation_tell_user(const struct identity *id, int rc)
{
	err_rc(rc, "Couldn't change to UID %u, GID %u%s", (unsigned)id->uid,
	       (unsigned)id->gid,
	       rc != -EINVAL ? "" : " (not mapped in this user namespace)");
}

/*
 * Make the root a tmpfs with no data blocks and one inode, its own directory.
 * It is mounted on the first of several usual directories. pivot_root() stacks
 * the old root on the same place, and we detach it right after.
 */
static int empty_root(void)
{
	static const char *const places[] = { "/proc", "/tmp", "/dev", "/mnt" };
	unsigned i;

	if (mount("", "/", "", MS_UNBINDABLE | MS_REC, NULL))
		return -errno;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (!mount("", places[i], "tmpfs",
			   MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
			   "nr_inodes=2,nr_blocks=0"))
			break;
	if (i == ARRAY_SIZE(places) || chdir(places[i]))
		return -errno;

	if (syscall(SYS_pivot_root, ".", ".")) {
		/* EINVAL: the old root is the initial ramfs, it must stay */
		if (chroot("."))
			return -errno;
	} else if (umount2(".", MNT_DETACH)) {
		return -errno;
	}
	return chdir("/") ? -errno : 0;
}

/* Enter new namespaces; in a new mount namespace, empty the root. A service manager may
 * deny those of the network alone, which the follower can do without */
static int detach(const struct conf *c, int flags)
{
	int rc;

	if (unshare(flags) &&
	    (c->sandbox_strict || unshare(flags & ~CLONE_NEWNET)))
		return -errno;
	rc = flags & CLONE_NEWNS ? empty_root() : 0;
	if (rc)
		lacking(c, rc, "Couldn't empty the root directory of the sandbox");
	return 0;
}

/* Enter the namespaces @flags and a user namespace, become @id; negative errno, after a
 * message, if the change to the user of --runas fails */
static int leave_host(const struct conf *c, const struct identity *id, int flags)
{
	/* The daemon lacks all that the follower lacks, and tells of it then */
	bool tell = flags & CLONE_NEWNS || c->sandbox_strict;
	bool detached = !detach(c, flags);
	int rc = isolation_become(id);

	if (rc && id->required) {
		if (tell)
			isolation_tell_user(id, rc);
		return rc;
	}
	if (rc && tell)
		lacking(c, rc, "Couldn't change to nobody, going on as root "
			"without capabilities");

	/* The other namespaces don't need this one */
	if (detached && !c->sandbox_strict) {
		if (unshare(CLONE_NEWUSER))
			debug_rc(errno, "No user namespace for the sandbox");
		return 0;
	}
	rc = detach(c, CLONE_NEWUSER | (detached ? 0 : flags));
	if (rc && tell)
		lacking(c, rc, "No namespaces for the sandbox (denied by a "
			"container runtime, security module or sysctl)");
	return 0;
}

/**
 * isolation_detach() - Leave the host's namespaces and root, become @id
 * @c:		foreground: no PID namespace, else the next child is the first process
 *		of a new one; sandbox_strict: end if anything can't be had
 * @id:		From identity_choose()
 *
 * To be called single-threaded, with all files opened, low ports bound and no
 * directory descriptor left.
 *
 * Return: 0, also if namespaces are denied; negative errno, after a message, if
 * the change to the user of --runas fails
 */
int isolation_detach(const struct conf *c, const struct identity *id)
{
	/* The message of isolation_seal() may not reach the caller. So ask for filters now: a
	 * kernel that has them looks at the address */
	if (c->sandbox_strict &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) && errno != EFAULT)
		lacking(c, errno, "No system call filter");
	return leave_host(c, id, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
			  (c->foreground ? 0 : CLONE_NEWPID));
}

/* Drop all capabilities but those in @keep */
static void drop_capabilities(const struct conf *c, uint32_t keep)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct cap[_LINUX_CAPABILITY_U32S_3] = { 0 };

	drop_bounding_set();
	/* On failure, there are no ambient capabilities: Linux before 4.3 */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (keep && syscall(SYS_capget, &hdr, cap))
		keep = 0;
	keep &= cap[0].permitted;
	memset(cap, 0, sizeof(cap));
	cap[0].effective = cap[0].permitted = keep;
	if (syscall(SYS_capset, &hdr, cap))
		lacking(c, errno, "Couldn't drop capabilities");
}

#ifdef SECCOMP_TRAP
/* #syscalls write */
static void trap_handler(int sig, siginfo_t *si, void *context)
{
	char text[] = "seccomp: system call 0000 refused\n";
	char *digit = strchr(text, '0') + 3;
	int nr = si->si_syscall;

	(void)sig, (void)context;
	for (; nr > 0; nr /= 10)
		*digit-- = '0' + nr % 10;
	if (write(STDERR_FILENO, text, sizeof(text) - 1))
		_exit(159);		/* 128 + SIGSYS */
	_exit(159);
}

static void trap_install(void)
{
	struct sigaction sa = {
		.sa_sigaction = trap_handler, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGSYS, &sa, NULL);
}
#else
static void trap_install(void)
{
}
#endif

/* prctl() only reads the filter, but its type is not const: cast once, here */
#define FILTER(f)	((struct sock_fprog){ .len = ARRAY_SIZE(f), \
			 .filter = (struct sock_filter *)(uintptr_t)(f) })

/* Drop capabilities, forbid to gain others, install the system call filter */
static void seal(const struct conf *c, struct sock_fprog filter, uint32_t caps)
{
	drop_capabilities(c, caps);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		lacking(c, errno, "Couldn't forbid core dumps");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		lacking(c, errno, "Couldn't set no_new_privs");

	trap_install();
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0))
		lacking(c, errno, "No system call filter");
}

/**
 * isolation_seal() - Last stage: permit only the system calls of this mode
 * @c:		mode and vhost_user select the filter
 *
 * No memory can be allocated and no file opened from here on. With vhost_user, the
 * memory of guests can be mapped, by descriptor.
 */
void isolation_seal(const struct conf *c)
{
	if (c->mode == MODE_PASTA)
		seal(c, FILTER(filter_pasta), 0);
	else if (c->vhost_user)
		seal(c, FILTER(filter_vhost), 0);
	else
		seal(c, FILTER(filter_passt), 0);
}

/* Detach a process that only serves the daemon from terminal and files */
static void only_descriptor(int keep, int null)
{
	int fd;

	/* So that Ctrl-C reaches the daemon, and not this process */
	if (setsid() < 0)
		debug_rc(errno, "Couldn't start a session for a helper");
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			close(fd);
	close_others(keep);
}

/* Have all capabilities in effect that are permitted, after a change of the user */
static void raise_capabilities(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct cap[_LINUX_CAPABILITY_U32S_3] = { 0 };
	unsigned i;

	if (syscall(SYS_capget, &hdr, cap))
		return;
	for (i = 0; i < ARRAY_SIZE(cap); i++)
		cap[i].effective = cap[i].permitted;
	if (syscall(SYS_capset, &hdr, cap))
		debug_rc(errno, "No capabilities to join the namespace");
}

/**
 * isolation_nshelper_user() - First stage of the helper in the namespace
 * @c:		sandbox_strict
 * @id:		From identity_choose()
 *
 * The helper becomes @id, with the capabilities to join the namespace, while it is in
 * the host's user namespace. In that of a user, @id may not be mapped, and the helper would
 * stay root of the host.
 */
void isolation_nshelper_user(const struct conf *c, const struct identity *id)
{
	int rc;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		debug_rc(errno, "The helper keeps no capabilities");
	rc = isolation_become(id);
	if (rc && c->sandbox_strict)
		lacking(c, rc, "Couldn't change the user of the helper");
	if (rc)
		debug_rc(rc, "The helper stays root without capabilities");
	raise_capabilities();
}

/**
 * isolation_nshelper() - All other stages for the helper, once it has joined
 * @c:		sandbox_strict
 * @keep:	Its socket to the daemon
 * @low_ports:	Let it bind ports below 1024 in the network namespace
 *
 * If its user namespace owns the network namespace, the helper keeps
 * CAP_NET_BIND_SERVICE. So it gets no user namespace of its own.
 */
void isolation_nshelper(const struct conf *c, int keep, bool low_ports)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), rc;

	rc = detach(c, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
	if (rc && c->sandbox_strict)
		lacking(c, rc, "No namespaces for the helper");
	if (rc)
		debug_rc(rc, "No namespaces for the helper");
	only_descriptor(keep, null);
	util_raise_nofile();
	seal(c, FILTER(filter_nshelper),
	     low_ports ? 1U << CAP_NET_BIND_SERVICE : 0);
}

/**
 * isolation_follower() - All stages for the follower of resolv.conf
 * @c:		progname, sandbox_strict
 * @id:		From identity_choose()
 * @keep:	Its socket to the daemon
 *
 * Returns in a child of the caller, which ends: with status 0, or 1 after a message if
 * --sandbox strict can't be had.
 *
 * The follower reads a file of the host, so it stays in the host's mount
 * namespace. It can read only files that everybody can, or that the user can, and pass
 * them only to the daemon. Landlock keeps it from all else, where the kernel has that. It
 * does not tell which files may be read: a link to any other place may come later, and
 * is followed. In its namespaces there is no network and no other process.
 */
void isolation_follower(const struct conf *c, const struct identity *id, int keep)
{
	char name[16];
	pid_t pid;
	int rc;

	if (leave_host(c, id, CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
		       CLONE_NEWPID))
		_exit(EXIT_FAILURE);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		lacking(c, errno, "Couldn't set no_new_privs");
	rc = landlock_only_read();
	if (rc)
		lacking(c, rc, "No Landlock for the follower of resolv.conf");
	pid = fork();			/* the first process of its PID namespace */
	if (pid)
		_exit(pid < 0);
	snprintf(name, sizeof(name), "%s-dns", c->progname);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	only_descriptor(keep, -1);
	seal(c, FILTER(filter_follower), 0);
}
