/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * passt-repair.c - Switch the repair mode of TCP sockets for passt
 *
 * Connections of a guest can move to another host with it, if their state can be read
 * and written. This takes TCP_REPAIR, a socket option that needs CAP_NET_ADMIN. passt
 * has no capability, so this program has it in its place, and does nothing else: it
 * connects to a socket of passt, and for each message sets the option on the sockets
 * that come along. repair.c has the protocol.
 *
 * passt is not trusted here. A message that breaks the protocol ends the program, and a
 * filter of system calls leaves no other way to use the capability than setsockopt() on
 * sockets that passt has anyway.
 *
 * Given a directory, the program waits there for the socket of a passt. A file appears
 * before its socket listens, and nothing tells when it does. So a socket that refuses is
 * tried again, in intervals that double from RETRY_MS up to RETRY_LAST_MS, since it may
 * also be left over from a passt that has ended. The watch begins before the first look,
 * so that no socket can appear between them.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define SECCOMP_DENY	SECCOMP_RET_KILL_PROCESS
#include "seccomp.h"

#define FDS_MAX		253		/* of one message: SCM_MAX_FD, unix(7) */
#define NAME_END	".repair"
#define RETRY_MS	10
#define RETRY_LAST_MS	1280

enum { EXIT_END, EXIT_ERROR, EXIT_USAGE };

static const char repair_usage[] =
	"Usage: passt-repair PATH\n"
	"       passt-repair DIRECTORY\n"
	"\n"
	"Connect to passt's socket at PATH, or to the first one named *.repair that\n"
	"appears in DIRECTORY, and switch the repair mode of TCP sockets for passt.\n"
	"This needs CAP_NET_ADMIN.\n";

/* Print a message, with the text of @error unless that is 0, and exit */
/* #syscalls:repair write writev exit exit_group */
__attribute__((format(printf, 2, 3)))
static _Noreturn void fail(int error, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "passt-repair: %s%s%s\n", text, error ? ": " : "",
		error ? strerror(error) : "");
	exit(EXIT_ERROR);
}

/* Connection --------------------------------------------------------------- */

/* Connect to a socket: descriptor, or negative errno */
static int connect_file(const char *path, int flags)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static bool is_repair_name(const char *name)
{
	size_t len = strlen(name), end = strlen(NAME_END);

	return len >= end && !strcmp(name + len - end, NAME_END);
}

/*
 * Connect to any socket of the current directory with such a name; -1: there is none.
 * Set *@refused if one is there that does not listen, or has no room.
 */
static int connect_any(bool *refused)
{
	DIR *dir = opendir(".");
	const struct dirent *e;
	struct stat st;
	int fd = -1;

	if (!dir)
		fail(errno, "Couldn't read the directory");
	while (fd < 0 && (e = readdir(dir))) {
		if (!is_repair_name(e->d_name) || lstat(e->d_name, &st) ||
		    !S_ISSOCK(st.st_mode))
			continue;
		fd = connect_file(e->d_name, SOCK_NONBLOCK);
		*refused |= fd == -ECONNREFUSED || fd == -EAGAIN;
	}
	closedir(dir);
	return fd < 0 ? -1 : fd;
}

/* Read events: has a file with such a name appeared? */
static bool has_appeared(int watch, const char *path)
{
	union {
		struct inotify_event first;
		char buf[4096];
	} u;
	const struct inotify_event *e;
	ssize_t n = read(watch, u.buf, sizeof(u.buf)), at;
	bool found = false;

	for (at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
		e = (const struct inotify_event *)(const void *)(u.buf + at);
		if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT |
			       IN_IGNORED))
			fail(0, "The directory %s is gone", path);
		found |= e->mask & IN_Q_OVERFLOW ||
			 (e->len && is_repair_name(e->name));
	}
	return found;
}

/* Wait until a socket may have appeared, or a refused one is to be tried again */
static void wait_for_file(int watch, const char *path, bool refused,
			  int *retry_ms)
{
	struct pollfd p = { .fd = watch, .events = POLLIN };

	refused &= *retry_ms <= RETRY_LAST_MS;
	do {
		if (!poll(&p, 1, refused ? *retry_ms : -1)) {
			*retry_ms *= 2;
			return;
		}
		if (has_appeared(watch, path)) {
			*retry_ms = RETRY_MS;
			return;
		}
	} while (!refused);
}

/*
 * Wait for a socket in a directory, and connect to it. The current directory is this one
 * only during a look: the kernel tells of the end of a directory that nobody uses.
 */
static int connect_below(const char *path)
{
	int home = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int watch = inotify_init1(IN_CLOEXEC), fd, retry_ms = RETRY_MS;
	bool refused;

	if (home < 0 || watch < 0 ||
	    inotify_add_watch(watch, path, IN_CREATE | IN_MOVED_TO |
			      IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR) < 0)
		fail(errno, "Couldn't watch %s", path);
	for (;;) {
		if (chdir(path))
			fail(errno, "Couldn't enter %s", path);
		refused = false;
		fd = connect_any(&refused);
		if (fchdir(home))
			fail(errno, "Couldn't leave %s", path);
		if (fd >= 0)
			break;
		wait_for_file(watch, path, refused, &retry_ms);
	}
	close(watch);
	close(home);
	if (fcntl(fd, F_SETFL, 0))
		fail(errno, "Couldn't use the socket");
	return fd;
}

static int connect_daemon(const char *path)
{
	struct stat st;
	int fd;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return connect_below(path);
	fd = connect_file(path, 0);
	if (fd < 0)
		fail(-fd, "Couldn't connect to %s", path);
	return fd;
}

/* Rights ------------------------------------------------------------------- */

/* Make sure that no socket becomes standard output, where messages go */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

/* Fail without the capability, before passt relies on us */
static void check_capability(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct cap[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &hdr, cap) ||
	    !(cap[0].effective & 1U << CAP_NET_ADMIN))
		fail(0, "CAP_NET_ADMIN is needed, and not there");
}

/* Give up all but the capability and the system calls that serve_passt() makes */
static void give_up(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct cap[_LINUX_CAPABILITY_U32S_3] = {
		{ .effective = 1U << CAP_NET_ADMIN,
		  .permitted = 1U << CAP_NET_ADMIN },
	};
	/* prctl() only reads the filter, but its type is not const */
	struct sock_fprog filter = {
		.len = sizeof(filter_repair) / sizeof(filter_repair[0]),
		.filter = (struct sock_filter *)(uintptr_t)filter_repair,
	};

	if (syscall(SYS_capset, &hdr, cap) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail(errno, "Couldn't give up rights");
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0))
		fprintf(stderr, "passt-repair: No system call filter: %s\n",
			strerror(errno));
}

/* Service ------------------------------------------------------------------ */

/* Receive a message: the number of sockets in @fds; 0 at the end of the connection */
/* #syscalls:repair recvmsg */
static unsigned receive_sockets(int from, int8_t *mode, int fds[FDS_MAX])
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = mode, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		/* Without padding, which would have room for one more */
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(int) * FDS_MAX),
	};
	const struct cmsghdr *hdr;
	ssize_t n;
	size_t len;

	do
		n = recvmsg(from, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		fail(errno, "Couldn't read from passt");
	if (!n)
		return 0;
	hdr = CMSG_FIRSTHDR(&msg);
	if (!hdr || hdr->cmsg_level != SOL_SOCKET ||
	    hdr->cmsg_type != SCM_RIGHTS)
		fail(0, "A message of passt has no sockets");
	if (msg.msg_flags & MSG_CTRUNC)
		fail(0, "Not all sockets of a message can be open at a time");
	len = hdr->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(hdr), len);
	return (unsigned)(len / sizeof(int));
}

/* Switch the repair mode of sockets for a connection until its end */
/* #syscalls:repair setsockopt close sendto */
static void serve_passt(int daemon_fd)
{
	int fds[FDS_MAX], value;
	unsigned n, i;
	int8_t mode;

	while ((n = receive_sockets(daemon_fd, &mode, fds))) {
		value = (int)mode;
		if (value < -1 || value > 1)
			fail(0, "passt asks for repair mode %d, which is none",
			     value);
		for (i = 0; i < n; i++) {
			if (setsockopt(fds[i], IPPROTO_TCP, TCP_REPAIR, &value,
				       sizeof(value)))
				fail(errno, "Couldn't set repair mode %d of "
				     "socket %u of %u", value, i + 1, n);
			close(fds[i]);
		}
		if (send(daemon_fd, &mode, 1, MSG_NOSIGNAL) != 1)
			fail(errno, "Couldn't answer passt");
	}
}

int main(int argc, char **argv)
{
	const char *arg = argc == 2 ? argv[1] : "";
	int fd;

	fill_standard_fds();
	if (!strcmp(arg, "-h") || !strcmp(arg, "--help")) {
		fputs(repair_usage, stdout);
		return EXIT_END;
	}
	if (!strcmp(arg, "--version")) {
		printf("passt-repair %s\n", VERSION);
		return EXIT_END;
	}
	if (!*arg || *arg == '-') {
		fputs(repair_usage, stderr);
		return EXIT_USAGE;
	}
	check_capability();
	fd = connect_daemon(arg);
	give_up();
	serve_passt(fd);
	return EXIT_END;
}
