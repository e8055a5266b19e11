/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pasta.c - The namespaces of pasta: make or join them
 *
 * The daemon stays in the host's network namespace. A child does the work in
 * the other one. It shares our table of descriptors until it has opened the tap
 * device, so that the daemon has the device, too. Its number comes over a
 * socket:
 *
 *	COMMAND		   daemon			    child
 *		make it in new namespaces ------->
 *		write its ID maps ---------------->
 *						   tap device, link set up
 *						   its own descriptors from here on
 *				<------------ number of the tap device
 *		sandbox, event loop: "go" -------->
 *						   the command, see command.c
 *
 *	PATH, PID make it ------------------------> join, tap device, link set up
 *				<------------ number of the tap device, the end
 *		netns.c tells the end
 *
 * Where ports are forwarded, another child joins the namespace and stays, to
 * make sockets in there: see nshelper.c. It does not join the PID namespace, so
 * that processes in there don't see it.
 *
 * While the table is shared, the socket to the daemon does not end with the
 * daemon. Until the child has a table of its own, it dies by the signal for the
 * death of a parent.
 *
 * IDs: for a user, the namespace has a single ID, root. For root, each ID that
 * it has is mapped to itself. An identity map must be written by a privileged
 * process outside; a map of one ID may be. With --netns-only there is no map:
 * the command stays in the user namespace of the caller.
 */

#include "pasta.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "fdpass.h"
#include "isolation.h"
#include "log.h"
#include "nshelper.h"
#include "nsnet.h"
#include "procfile.h"
#include "rules.h"
#include "util.h"

#define CHILD_STACK	(128 << 10)	/* bytes */
#define PATH_LEN	64		/* of a path in /proc */
#define HELPER_START_MS	10000		/* with --sandbox strict */
#define MAP_LEN		4096		/* of an ID map: the kernel's limit */

/**
 * struct child - Arguments of a child in the other namespace
 * @c, @h:	For setting up the link
 * @ctl:	Its end of the socket to the daemon
 * @daemon_ctl:	The other end
 * @daemon_pid:	pidfd of the daemon, -1: unknown before Linux 5.3
 * @cmd:	The command, NULL: we join the namespaces of somebody else
 * @n:		Namespaces to join
 */
struct child {
	const struct conf *c;
	const struct hostnet *h;
	int ctl, daemon_ctl, daemon_pid;
	const struct command *cmd;
	struct netns *n;
};

/**
 * struct tap_message - Message of a child: the tap device is there
 * @fd:		Number of its descriptor in the shared table
 * @info:	Capabilities of the device
 */
struct tap_message {
	int fd;
	struct tap_tun_info info;
};

/* Find out why the kernel denies a user namespace, and name a remedy */
static const char *userns_remedy(void)
{
	static const struct {
		const char *path, *value, *remedy;
	} why[] = {
		{ "/proc/sys/user/max_user_namespaces", "0",
		  "sysctl user.max_user_namespaces is 0, raise it" },
		{ "/proc/sys/kernel/unprivileged_userns_clone", "0",
		  "set sysctl kernel.unprivileged_userns_clone to 1" },
		{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
		  "AppArmor denies it, a profile with 'userns,' or sysctl "
		  "kernel.apparmor_restrict_unprivileged_userns=0 helps" },
	};
	const char *remedy = NULL;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(why) && !remedy; i++)
		if (procfile_is(why[i].path, why[i].value))
			remedy = why[i].remedy;
	if (remedy)
		return remedy;
	return "a container's system call filter, a security module or sysctl "
	       "user.max_user_namespaces may deny it";
}

/* Explain why a tap device can't be opened, and name a remedy */
static void tun_error(int rc, const char *ifname)
{
	switch (-rc) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		err_rc(rc, "No tap device without /dev/net/tun (modprobe tun; "
		       "in a container: --device /dev/net/tun)");
		break;
	case EISDIR:
	case ENOTTY:
		err_rc(rc, "No tap device, /dev/net/tun is something else "
		       "(in a container: --device /dev/net/tun)");
		break;
	case EACCES:
		err_rc(rc, "No tap device, /dev/net/tun is not for this user "
		       "(as root: chmod 0666 /dev/net/tun)");
		break;
	case EPERM:
		err_rc(rc, "No tap device, /dev/net/tun is denied "
		       "(in a container: --device /dev/net/tun; else %s)",
		       userns_remedy());
		break;
	case EBUSY:
		err_rc(rc, "No tap device, the namespace has an interface '%s' "
		       "already (-I NAME chooses another name)", ifname);
		break;
	default:
		err_rc(rc, "Couldn't make a tap device '%s'", ifname);
	}
}

/* In the child ------------------------------------------------------------- */

/* Send the number of the tap's descriptor and its capabilities to the daemon */
static int child_send_tap(const struct child *ch, int fd,
			  const struct tap_tun_info *info)
{
	const struct tap_message m = { .fd = fd, .info = *info };

	return send(ch->ctl, &m, sizeof(m), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/*
 * child_setup() - Make the tap device and set up the link
 *
 * Return: descriptor of the tap, or negative errno after a message
 */
static int child_setup(const struct child *ch, struct tap_tun_info *info)
{
	int fd, rc;

	if (ch->c->splice_only) {
		/* Instead of a tap, something else that keeps the namespace */
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			fd = -errno;
	} else {
		fd = tap_tun_open(ch->c, ch->h->ns_ifname, info);
	}
	if (fd < 0) {
		tun_error(fd, ch->h->ns_ifname);
		return fd;
	}
	rc = nsnet_configure(ch->c, ch->h, info->ifname);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* Get a table of descriptors of our own, without the daemon's ones */
static int child_own_files(const struct child *ch)
{
	int rc = isolation_own_fds(ch->ctl);

	if (rc)
		err_rc(rc, "Couldn't unshare the descriptors of the namespace's "
		       "first process");
	else
		prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	return rc;
}

/* Wait for a message of the daemon; false if the daemon has ended */
static bool child_wait(const struct child *ch)
{
	char c;

	return read(ch->ctl, &c, 1) == 1;
}

/*
 * Wait for the daemon to write the ID maps; false if it ended before
 *
 * Its end is the death of our parent, but the daemon may have ended before we
 * asked for that signal. getppid() is 0 in a new PID namespace and can't tell.
 */
static bool child_wait_maps(const struct child *ch)
{
	struct pollfd pfd[2] = {
		{ .fd = ch->ctl, .events = POLLIN },
		{ .fd = ch->daemon_pid, .events = POLLIN },
	};

	while (poll(pfd, ARRAY_SIZE(pfd), -1) < 0 && errno == EINTR)
		;
	return !pfd[1].revents && child_wait(ch);
}

/* The child in new namespaces, see clone(2) */
static int child_main(void *arg)
{
	const struct child *ch = arg;
	struct tap_tun_info info = { 0 };
	int fd;

	/* The other end of the socket is open here, too: there is no EOF */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (!child_wait_maps(ch))
		_exit(EXIT_FAILURE);
	fd = child_setup(ch, &info);
	if (fd < 0 || child_own_files(ch) ||
	    child_send_tap(ch, fd, &info) || !child_wait(ch))
		_exit(EXIT_FAILURE);
	command_run(ch->cmd, ch->c, ch->ctl);
}

/* The child that joins an existing namespace, for the time of its set-up */
static int child_join(void *arg)
{
	const struct child *ch = arg;
	struct tap_tun_info info = { 0 };
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* Root of that namespace could trace us otherwise */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);

	if (netns_join(ch->n))
		_exit(EXIT_FAILURE);
	fd = child_setup(ch, &info);
	_exit(fd < 0 || child_send_tap(ch, fd, &info) ? EXIT_FAILURE :
							EXIT_SUCCESS);
}

/* The child that joins a namespace and makes sockets there: see nshelper.c */
static _Noreturn void child_helper(const struct child *ch,
				   const struct identity *id)
{
	const struct fdpass none = { .n = 0 };
	/* Where it could bind ports of the host, it must know whose a socket is. A kernel
	 * before Linux 5.14 can't tell */
	bool low_ports = nshelper_checks() || !netns_user_rules_ours(ch->n);

	close(ch->daemon_ctl);
	isolation_nshelper_user(ch->c, id);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (netns_join(ch->n))
		_exit(EXIT_FAILURE);
	prctl(PR_SET_NAME, "pasta-ns", 0, 0, 0);
	isolation_nshelper(ch->c, ch->ctl, low_ports);
	/* In its sandbox, the only call that sends is sendmsg() */
	if (ch->c->sandbox_strict && fdpass_send(ch->ctl, "r", 1, &none, 0))
		_exit(EXIT_FAILURE);
	nshelper_run(ch->ctl);
}

/* ID maps ------------------------------------------------------------------ */

/* Build a map of all IDs of our own namespace, each to itself */
static int map_identity(const char *own, char *map, size_t size)
{
	unsigned long in, out, count;
	char buf[MAP_LEN] = "";
	const char *line = buf;
	size_t len = 0;
	ssize_t n = procfile_read(own, buf, sizeof(buf));

	if (n < 0)
		return n;
	for (; line && *line; line = strchr(line, '\n'), line += !!line) {
		if (sscanf(line, "%lu %lu %lu", &in, &out, &count) != 3)
			break;
		len += snprintf(map + len, size - len, "%lu %lu %lu\n", in, in,
				count);
		if (len >= size)
			return -E2BIG;
	}
	return len ? 0 : -ENOENT;
}

static int map_single(pid_t pid, const char *which, unsigned long id)
{
	char path[PATH_LEN], map[PATH_LEN];

	if (!strcmp(which, "gid_map")) {
		/* Linux 3.19: else no group map without privileges */
		snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
		procfile_write(path, "deny");
	}
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, which);
	snprintf(map, sizeof(map), "0 %lu 1", id);
	return procfile_write(path, map);
}

/* Map all IDs; without CAP_SETUID, even root can map only itself */
static int map_all_or_single(pid_t pid, const char *which, unsigned long id)
{
	char own[PATH_LEN], path[PATH_LEN], map[MAP_LEN];
	int rc;

	snprintf(own, sizeof(own), "/proc/self/%s", which);
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, which);
	rc = map_identity(own, map, sizeof(map));
	if (!rc)
		rc = procfile_write(path, map);
	return rc ? map_single(pid, which, id) : 0;
}

static int write_maps(pid_t pid)
{
	int rc;

	if (geteuid()) {
		rc = map_single(pid, "uid_map", geteuid());
		return rc ? rc : map_single(pid, "gid_map", getegid());
	}
	rc = map_all_or_single(pid, "uid_map", geteuid());
	return rc ? rc : map_all_or_single(pid, "gid_map", getegid());
}

/* Making and joining ------------------------------------------------------- */

static int control_socket(struct child *ch)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	ch->daemon_ctl = fds[0];
	ch->ctl = fds[1];
	ch->daemon_pid = -1;
	return 0;
}

/* Close, in the daemon, the descriptors that are for the child */
static void child_close(const struct child *ch)
{
	close(ch->ctl);
	if (ch->daemon_pid >= 0)
		close(ch->daemon_pid);
}

/*
 * child_clone() - Start a child that shares our table of descriptors
 *
 * The daemon has each descriptor that the child opens. To send it in a message
 * (SCM_RIGHTS) would be less reliable: the kernel limits such descriptors per
 * user, and any other process of the user can use up the limit. Memory is not
 * shared, so the stack on our stack is the child's own copy.
 *
 * Return: PID or negative errno
 */
static pid_t child_clone(int (*fn)(void *), int flags, struct child *ch)
{
	char stack[CHILD_STACK] __attribute__((aligned(64)));
	pid_t pid = clone(fn, stack + sizeof(stack),
			  CLONE_FILES | SIGCHLD | flags, ch);

	return pid < 0 ? -errno : pid;
}

/* Start the child in new namespaces: PID or negative errno */
static pid_t child_new(struct child *ch, bool userns)
{
	int flags = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC |
		    CLONE_NEWUTS | (userns ? CLONE_NEWUSER : 0);
	pid_t pid;
	int rc;

	rc = control_socket(ch);
	if (rc)
		return rc;
#ifdef SYS_pidfd_open
	ch->daemon_pid = syscall(SYS_pidfd_open, getpid(), 0);
#endif
	pid = child_clone(child_main, flags, ch);
	rc = pid < 0 ? pid : 0;
	if (!rc && userns)
		rc = write_maps(pid);
	if (!rc && write(ch->daemon_ctl, "m", 1) != 1)
		rc = -errno;
	if (!rc)
		return pid;

	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(ch->daemon_ctl);
	child_close(ch);
	return rc;
}

/* Has a child ended? Does not reap it; logs a signal that killed it */
static bool child_ended(pid_t pid)
{
	siginfo_t si = { .si_pid = 0 };

	if (waitid(P_PID, pid, &si, WEXITED | WNOHANG | WNOWAIT))
		return true;
	if (si.si_pid != pid)
		return false;
	if (si.si_code != CLD_EXITED)
		err("The process that sets up the namespace was killed by "
		    "signal %d", si.si_status);
	return true;
}

/*
 * wait_tap() - Wait until child @pid has made the tap device, or has ended
 *
 * There is no EOF if the child ends: as long as the table of descriptors is
 * shared, the child's end of the socket is open here, too.
 *
 * Return: descriptor; -ECHILD if the child failed, after its message
 */
static int wait_tap(const struct child *ch, pid_t pid, int sigchld,
		    struct tap_tun_info *info)
{
	struct pollfd pfd[2] = {
		{ .fd = ch->daemon_ctl, .events = POLLIN },
		{ .fd = sigchld, .events = POLLIN },
	};
	struct signalfd_siginfo si;
	struct tap_message m;
	bool ended;

	for (;;) {
		ended = child_ended(pid);
		if (recv(ch->daemon_ctl, &m, sizeof(m), MSG_DONTWAIT) ==
		    sizeof(m)) {
			*info = m.info;
			return m.fd;
		}
		if (ended)
			return -ECHILD;
		poll(pfd, ARRAY_SIZE(pfd), -1);
		if (pfd[1].revents && read(sigchld, &si, sizeof(si)) < 0)
			debug_rc(errno, "No signal to read");
	}
}

/* Receive the tap device of child @pid, then close the child's descriptors */
static int receive_tap(struct child *ch, pid_t pid, struct tap_tun_info *info)
{
	sigset_t set, saved;
	int sigchld, fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &saved);
	sigchld = signalfd(-1, &set, SFD_CLOEXEC);
	if (sigchld < 0) {
		fd = -errno;
		err_errno("Couldn't watch the process that sets up the "
			  "namespace");
	} else {
		fd = wait_tap(ch, pid, sigchld, info);
		close(sigchld);
	}
	sigprocmask(SIG_SETMASK, &saved, NULL);
	child_close(ch);
	return fd;
}

/* Start the child in new namespaces: PID, or negative errno after a message */
static pid_t spawn_child(struct child *ch)
{
	pid_t pid = child_new(ch, !ch->c->netns_only);
	int rc = pid < 0 ? pid : 0;

	if (pid >= 0)
		return pid;
	if (ch->c->netns_only) {
		err_rc(rc, "Couldn't make a network namespace%s",
		       rc == -EPERM ? " (--netns-only with a command needs "
		       "CAP_SYS_ADMIN in the user namespace of the caller)" :
		       "");
		return rc;
	}
	if (!geteuid()) {
		debug_rc(rc, "No user namespace, trying without");
		pid = child_new(ch, false);
		if (pid >= 0)
			return pid;
	}
	err_rc(rc, "Couldn't make a user namespace (%s)", userns_remedy());
	return rc;
}

static int spawn(struct pasta *ns, struct child *ch,
		 struct tap_tun_info *info)
{
	pid_t pid;

	command_prepare(&ns->command);
	ch->cmd = &ns->command;
	/* Without read permission for our binary, we are not dumpable, and root
	 * owns the ID maps in /proc */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);

	pid = spawn_child(ch);
	if (pid < 0)
		return pid;
	command_adopt(&ns->command, pid, ch->daemon_ctl);
	return receive_tap(ch, pid, info);
}

static int join(struct child *ch, struct tap_tun_info *info)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	int rc = control_socket(ch);
	pid_t joiner;

	if (rc) {
		err_rc(rc, "Couldn't create a pair of sockets");
		return rc;
	}
	sigaction(SIGCHLD, &dfl, NULL);
	joiner = child_clone(child_join, 0, ch);
	if (joiner < 0) {
		err_rc(joiner, "Couldn't start a process to join network "
		       "namespace %s", ch->n->name);
		child_close(ch);
		rc = joiner;
	} else {
		rc = receive_tap(ch, joiner, info);
		waitpid(joiner, NULL, 0);
	}
	close(ch->daemon_ctl);
	return rc;
}

/* Does any rule need sockets of the namespace, or may one be added that does? */
static bool helper_needed(const struct conf *c, const struct rules *rules)
{
	const struct fwd_rule *r = NULL;

	if (c->conf_path || c->control_fd >= 0)
		return true;
	while ((r = rules_next(rules, r)))
		if (!c->no_splice || r->from_ns || r->scan)
			return true;
	return false;
}

/* For a namespace we created, ask the tap descriptor: works without /proc */
static int namespaces_of_tap(struct netns *n, int tap_fd)
{
	n->name = "of the command";
	n->net = ioctl(tap_fd, SIOCGSKNS);
	if (n->net < 0)
		return -errno;
	n->user = ioctl(n->net, NS_GET_USERNS);
	return 0;
}

/* With --sandbox strict, wait until the helper has all of its sandbox, or has ended */
static int helper_wait(const struct child *ch)
{
	struct pollfd pfd = { .fd = ch->daemon_ctl, .events = POLLIN };
	char c;
	int rc;

	if (!ch->c->sandbox_strict)
		return 0;
	while ((rc = poll(&pfd, 1, HELPER_START_MS)) < 0 && errno == EINTR)
		;
	if (!rc)
		err("Not started, --sandbox strict: no sign of pasta-ns for %d s",
		    HELPER_START_MS / 1000);
	else if (recv(ch->daemon_ctl, &c, 1, 0) == 1)
		return 0;
	close(ch->daemon_ctl);
	return -ECHILD;
}

/* Start the helper; returns the socket to it, or negative errno, -ECHILD after a message */
static int helper_start(struct child *ch, const struct identity *id, int tap_fd)
{
	int rc = ch->n->net < 0 ? namespaces_of_tap(ch->n, tap_fd) : 0;
	pid_t pid;

	if (!rc)
		rc = control_socket(ch);
	if (rc)
		return rc;
	pid = fork();
	if (!pid)
		child_helper(ch, id);
	rc = pid < 0 ? -errno : 0;
	child_close(ch);
	if (pid < 0)
		close(ch->daemon_ctl);
	else
		rc = helper_wait(ch);
	return rc ? rc : ch->daemon_ctl;
}

/**
 * pasta_init() - No namespace
 */
void pasta_init(struct pasta *ns)
{
	*ns = (struct pasta){ .command.ctl = -1, .helper = -1 };
	netns_init(&ns->netns);
}

/**
 * pasta_find() - Open the namespace to join, unless we make a new one
 * @ns:		From pasta_init()
 * @c:		netns_kind
 *
 * To be called while inherited descriptors are open: one may name the
 * namespace.
 *
 * Return: 0, or negative errno after a message
 */
int pasta_find(struct pasta *ns, const struct conf *c)
{
	if (c->netns_kind != NETNS_PID && c->netns_kind != NETNS_PATH)
		return 0;
	return netns_open(&ns->netns, c);
}

/**
 * pasta_open() - Get a tap device in the namespace that @c names
 * @ns:		After pasta_find()
 * @c:		netns_kind NETNS_SPAWN, NETNS_PID or NETNS_PATH
 * @rules:	Forwarding rules
 * @h:		The host's network
 * @id:		User and group of the helper
 * @info:	Set to the capabilities of the tap device
 *
 * The command waits for command_start(). To be called single-threaded,
 * before signals are changed and privileges dropped.
 *
 * Return: descriptor of the tap device, with --splice-only of a socket in its
 * place; negative errno after a message
 */
int pasta_open(struct pasta *ns, const struct conf *c,
	       const struct rules *rules, const struct hostnet *h,
	       const struct identity *id, struct tap_tun_info *info)
{
	struct child ch = { .c = c, .h = h, .n = &ns->netns };
	int fd;

	if (c->netns_kind == NETNS_SPAWN)
		fd = spawn(ns, &ch, info);
	else
		fd = join(&ch, info);
	if (fd >= 0 && helper_needed(c, rules)) {
		ns->helper = helper_start(&ch, id, fd);
		if (ns->helper == -ECHILD)
			fd = -ECHILD;
		else if (ns->helper < 0)
			warn_rc(ns->helper,
				"No process to make sockets in the namespace (no "
				"ports are bound there, local connections go "
				"over the tap)");
	}
	netns_close(&ns->netns);
	return fd;
}

/**
 * pasta_close() - End the command, if there is one
 * @ns:		From pasta_open()
 * @tap_fd:	The tap device, about to be closed by the end of this process
 *
 * When a tap device is closed, the kernel deletes it, and waits about 30 ms for
 * its last users. A persistent one is deleted with its namespace, in the
 * background.
 */
/* #syscalls:pasta ioctl */
/* #args:pasta ioctl 1 TUNSETPERSIST */
void pasta_close(struct pasta *ns, int tap_fd)
{
	if (!ns->command.init)
		return;
	ioctl(tap_fd, TUNSETPERSIST, 1);
	command_end(&ns->command);
}
