/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * isolation.c - What the process can reach, less in each stage
 *
 * Whoever controls the frames or the connections that we read should gain
 * nothing by taking over this process. So it gives up, at the point where it is
 * needed no longer and before the first hostile byte:
 *
 *  init	closed standard descriptors, which others would take the place of
 *  inherited	descriptors of the caller, once files named by them are open
 *  detach	the host's mounts: the root is an empty, read-only tmpfs;
 *		its user, IPC and UTS namespaces, in the background that of
 *		PIDs, too; the identity of root
 *  seal	all capabilities, also those that exec() could give back
 *		(no_new_privs), core dumps and being traced (not dumpable),
 *		and every system call that the sources do not name
 *
 * The order in detach() comes from what each step needs. Making a mount
 * namespace takes CAP_SYS_ADMIN, which only root has outside of a user
 * namespace and anybody has in a new one. Changing the identity takes
 * CAP_SETUID and an identity that is mapped, so it comes before our own user
 * namespace, where nothing is mapped: nothing that we do later needs a name for
 * our user. In short:
 *
 *	root, CAP_SYS_ADMIN	mounts and so on; identity; user namespace
 *	root without it		identity; user namespace with the rest
 *	other users		user namespace with the rest
 *
 * A directory descriptor that is left open undoes the empty root, since ".."
 * leads out of it: nobody keeps one. Namespaces may be denied, by a container
 * runtime, a security module or a sysctl: then we say so and go on with what is
 * left. The stages are independent of each other for that reason.
 *
 * The process in the namespace that makes sockets for the daemon goes through
 * the same in one go: isolation_nshelper(). So does the one that reads resolv.conf,
 * which needs the host's mounts: isolation_follower().
 *
 * The filter is a table for each mode, made at build time by seccomp.sh. A
 * call it refuses kills the process. To see which one it was, build with
 * CPPFLAGS=-DSECCOMP_TRAP, then its number is printed first.
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
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "identity.h"
#include "log.h"
#include "util.h"

#ifdef SECCOMP_TRAP
#define SECCOMP_DENY	SECCOMP_RET_TRAP
#else
#define SECCOMP_DENY	SECCOMP_RET_KILL_PROCESS
#endif
#include "seccomp.h"

#define FDS_FALLBACK	65536		/* descriptors tried one by one */

/*
 * What C libraries call on their own: returning from signal handlers and
 * interrupted sleeps, exit(), the clock where the vDSO has none. The variant
 * with 64-bit times is for 32-bit machines.
 */
/* #syscalls rt_sigreturn sigreturn restart_syscall exit exit_group */
/* #syscalls clock_gettime clock_gettime64 gettimeofday */

/**
 * isolation_init() - Before anything else: have descriptors 0 to 2
 *
 * Where one of them is closed, the next file opened would get its number, and
 * messages would go into it.
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

static int close_range_(unsigned first, unsigned last)
{
#ifdef SYS_close_range
	return syscall(SYS_close_range, first, last, 0);
#else
	(void)first, (void)last;
	errno = ENOSYS;
	return -1;
#endif
}

/* Descriptors that the kernel would have closed on exec are ours */
static void close_if_inherited(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags >= 0 && !(flags & FD_CLOEXEC))
		close(fd);
}

/**
 * isolation_close_inherited() - Close descriptors of the caller that are left
 * @keep:	The one that we were told to use, or -1; 0 to 2 stay as well
 *
 * To be called when all that was named by such a descriptor is open. Everything
 * that we open ourselves is closed on exec, and nothing that outlived an exec is.
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
		close_range_(FDS_FALLBACK, ~0U);
}

/* Before Linux 5.9: one by one, up to the limit that holds for new ones */
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

/**
 * isolation_close_fds() - Close all descriptors but one
 * @keep:	That one, or -1; 0 to 2 stay as well
 */
void isolation_close_fds(int keep)
{
	unsigned first = STDERR_FILENO + 1;
	int rc = 0;

	if (keep >= (int)first) {
		if (keep > (int)first)
			rc = close_range_(first, keep - 1);
		first = keep + 1;
	}
	if (rc || close_range_(first, ~0U))
		close_one_by_one(keep);
}

/* Nothing executed from now on can have a capability */
static void drop_bounding_set(void)
{
	unsigned long cap;

	/* EINVAL: past the last one; EPERM: no CAP_SETPCAP, nothing to lose */
	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return;
}

static int identity_change(const struct identity *id)
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

/*
 * The new root: of no blocks and only the inode of its own folder. It is
 * mounted on whatever folder there is, with the folder as both new root and the
 * place for the old one, which is detached right after.
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

/* New namespaces, with the root emptied; negative errno: nothing happened */
static int detach(int flags)
{
	int rc;

	if (unshare(flags))
		return -errno;
	rc = empty_root();
	if (rc)
		warn_rc(rc, "Couldn't empty the root directory of the sandbox");
	return 0;
}

/**
 * isolation_detach() - Leave the host's namespaces and root, become @id
 * @id:		From identity_choose()
 * @pid_ns:	The next child is to be the first of a new PID namespace
 *
 * To be called single-threaded, with all files opened, low ports bound and no
 * directory descriptor left.
 *
 * Return: 0, also if namespaces are denied; negative errno if the user asked
 * for an identity that can't be had, after saying so
 */
int isolation_detach(const struct identity *id, bool pid_ns)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
		    (pid_ns ? CLONE_NEWPID : 0);
	bool detached = !detach(flags);
	int rc = identity_change(id);

	if (rc && id->required) {
		err_rc(rc, "Couldn't change to UID %u, GID %u%s",
		       (unsigned)id->uid, (unsigned)id->gid,
		       rc != -EINVAL ? "" :
		       " (not mapped in this user namespace)");
		return rc;
	}
	if (rc)
		warn_rc(rc, "Couldn't change to nobody, going on as root "
			"without capabilities");

	/* The sandbox is as good without this one if it has the others */
	if (detached) {
		if (unshare(CLONE_NEWUSER))
			debug_rc(errno, "No user namespace for the sandbox");
		return 0;
	}
	rc = detach(CLONE_NEWUSER | flags);
	if (rc)
		warn_rc(rc, "No namespaces for the sandbox (denied by a "
			"container runtime, security module or sysctl)");
	return 0;
}

/* All but those in @keep, which stay if we have them */
static void drop_capabilities(uint32_t keep)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct cap[_LINUX_CAPABILITY_U32S_3] = { 0 };

	drop_bounding_set();
	/* Unknown before Linux 4.3, or forbidden: then there are none */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (keep && syscall(SYS_capget, &hdr, cap))
		keep = 0;
	keep &= cap[0].permitted;
	memset(cap, 0, sizeof(cap));
	cap[0].effective = cap[0].permitted = keep;
	if (syscall(SYS_capset, &hdr, cap))
		warn_errno("Couldn't drop capabilities");
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

/* prctl() wants a pointer to what it only reads: cast away const once, here */
#define FILTER(f)	((struct sock_fprog){ .len = ARRAY_SIZE(f), \
			 .filter = (struct sock_filter *)(uintptr_t)(f) })

/* Nothing can be gained from here on, and little be called */
static void seal(struct sock_fprog filter, uint32_t caps)
{
	drop_capabilities(caps);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		warn_errno("Couldn't forbid core dumps");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		warn_errno("Couldn't set no_new_privs");

	trap_install();
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0))
		warn_errno("No system call filter, going on without");
}

/**
 * isolation_seal() - Last stage: from here on only the calls that sources name
 * @mode:	Whose calls
 *
 * No memory can be had from here on, no file opened.
 */
void isolation_seal(enum mode mode)
{
	seal(mode == MODE_PASTA ? FILTER(filter_pasta) : FILTER(filter_passt),
	     0);
}

/* A process that only serves the daemon: no terminal, no files but a socket */
static void only_descriptor(int keep, int null)
{
	int fd;

	/* So that Ctrl-C doesn't end it before the daemon does */
	if (setsid() < 0)
		debug_rc(errno, "No session for a helper");
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			close(fd);
	isolation_close_fds(keep);
}

/**
 * isolation_nshelper() - All stages for the process that stays in the namespace
 * @id:		From identity_choose()
 * @keep:	The one descriptor that it needs
 *
 * Ports below 1024 are its business: where its user namespace owns the network
 * namespace, it keeps CAP_NET_BIND_SERVICE. So it has no user namespace for
 * itself, and becomes @id only if that is somebody there.
 */
void isolation_nshelper(const struct identity *id, int keep)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), rc;

	rc = detach(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
	if (rc)
		debug_rc(rc, "No namespaces for the helper");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		debug_rc(errno, "The helper keeps no capabilities");
	rc = identity_change(id);
	if (rc)
		debug_rc(rc, "The helper stays root without capabilities");
	only_descriptor(keep, null);
	util_raise_nofile();
	seal(FILTER(filter_nshelper), 1U << CAP_NET_BIND_SERVICE);
}

/**
 * isolation_follower() - All stages for the process that follows resolv.conf
 * @id:		From identity_choose()
 * @keep:	The one descriptor that it needs
 *
 * It reads files of the host, so it stays in its mount namespace. What it sees
 * there is what anybody sees, and it has no call to pass it on but to us.
 */
void isolation_follower(const struct identity *id, int keep)
{
	int rc = identity_change(id);

	if (rc)
		debug_rc(rc, "The follower stays root without capabilities");
	only_descriptor(keep, -1);
	seal(FILTER(filter_follower), 0);
}
