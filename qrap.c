/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qrap.c - Start a qemu that can't connect to a UNIX socket by itself
 *
 * Before version 7.2, qemu accepts a connected socket only as the number of a
 * descriptor. qrap connects to passt, leaves the socket open under a number,
 * and becomes qemu:
 *
 *	qrap FD COMMAND ARGS	start COMMAND with these arguments
 *	qrap ARGS		find qemu and add its network options: for programs
 *				that can be told the path of qemu to start
 *
 * In the second form, "-netdev socket,fd=N" or "-net socket,fd=N" names the
 * number. Without either, the first "-netdev TYPE,id=ID" becomes "-netdev
 * socket,fd=5,id=ID", so that the device that refers to ID stays. Without a
 * netdev, a netdev and a device are added.
 *
 * Anyone may have made a socket in /tmp, and would be the guest's network. So qrap talks
 * only to programs of its caller and of root: both the file and the process that listens
 * must be theirs.
 */

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#define FD_DEFAULT	5
#define PATH_FORMAT	"/tmp/passt_%d.socket"
#define PATHS		64
#define ARGS_ADDED	4

static const char usage[] =
	"Usage: qrap FD COMMAND [ARG]...\n"
	"       qrap [ARG of qemu]...\n";

__attribute__((format(printf, 1, 2)))
static _Noreturn void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("qrap: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs("\n", stderr);
	va_end(ap);
	exit(1);
}

static bool is_trusted(uid_t uid)
{
	return !uid || uid == geteuid();
}

/* Connect to a listener of a trusted user; -EPERM if it is of another, or negative errno */
static int connect_trusted(int fd, const struct sockaddr_un *sa)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);
	struct stat st;

	if (stat(sa->sun_path, &st))
		return -errno;
	if (!is_trusted(st.st_uid))
		return -EPERM;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	return is_trusted(cred.uid) ? 0 : -EPERM;
}

static int connect_path(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof(sa.sun_path))
		die("Path too long for a UNIX socket: %s", path);
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		die("Couldn't create a socket: %s", strerror(errno));
	rc = connect_trusted(fd, &sa);
	if (!rc)
		return fd;
	close(fd);
	errno = -rc;
	return -1;
}

/*
 * Is this passt busy with another client? It closes our connection at once,
 * while a free one keeps it and may send frames
 */
static bool is_turned_away(int fd)
{
	struct timeval wait = { .tv_usec = 100000 };
	const struct timeval none = { 0 };
	char byte;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	n = recv(fd, &byte, 1, MSG_PEEK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	return !n || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* Connect to $QRAP_SOCKET, else to the first default socket that accepts us */
static int connect_passt(void)
{
	const char *named = getenv("QRAP_SOCKET");
	char path[sizeof(PATH_FORMAT) + 8];
	int fd, i;

	if (named) {
		fd = connect_path(named);
		if (fd < 0 && errno == EPERM)
			die("%s belongs to another user: ask that user, or root, "
			    "to start this command", named);
		if (fd < 0)
			die("Couldn't connect to %s: %s", named,
			    strerror(errno));
		return fd;
	}
	for (i = 1; i <= PATHS; i++) {
		snprintf(path, sizeof(path), PATH_FORMAT, i);
		fd = connect_path(path);
		if (fd >= 0 && !is_turned_away(fd))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	die("No passt is there to connect to: start it first "
	    "(/tmp/passt_1.socket to /tmp/passt_%d.socket were tried)", PATHS);
}

/*
 * Parse a descriptor number, up to @end or the end of the string; -1: it is
 * none
 */
static int parse_fd(const char *s, const char *end)
{
	char *stop;
	long n;

	if (*s < '0' || *s > '9')
		return -1;
	errno = 0;
	n = strtol(s, &stop, 10);
	if (errno || n > INT_MAX || (end ? stop != end : *stop))
		return -1;
	return (int)n;
}

/*
 * Find the value of NAME= in a list with commas, and its @end; NULL: not there
 */
static const char *list_value(const char *list, const char *name,
			      const char **end)
{
	size_t len = strlen(name);
	const char *p;

	for (p = list; p; p = strchr(p, ','), p = p ? p + 1 : NULL) {
		if (strncmp(p, name, len) || p[len] != '=')
			continue;
		p += len + 1;
		*end = p + strcspn(p, ",");
		return p;
	}
	return NULL;
}

static bool is_net_option(const char *arg)
{
	return !strcmp(arg, "-netdev") || !strcmp(arg, "--netdev") ||
	       !strcmp(arg, "-net") || !strcmp(arg, "--net");
}

/* Find the first number of a descriptor in an argument "socket,fd=N", -1: there is none */
static int find_socket_fd(char *const *argv)
{
	const char *value, *end;
	int fd = -1;

	for (; fd < 0 && argv[0] && argv[1]; argv++) {
		if (!is_net_option(argv[0]) ||
		    strncmp(argv[1], "socket,", 7))
			continue;
		value = list_value(argv[1], "fd", &end);
		if (value)
			fd = parse_fd(value, end);
	}
	return fd;
}

/* Replace the first netdev, of any type, by our socket; false: there is none */
static bool replace_netdev(char **argv)
{
	const char *id, *end;
	size_t size;
	char *arg;

	for (; argv[0] && argv[1]; argv++) {
		if (strcmp(argv[0], "-netdev") && strcmp(argv[0], "--netdev"))
			continue;
		id = list_value(argv[1], "id", &end);
		if (!id)
			continue;
		size = strlen(argv[1]) + 32;
		arg = malloc(size);
		if (!arg)
			die("Out of memory");
		snprintf(arg, size, "socket,fd=%d,id=%.*s", FD_DEFAULT,
			 (int)(end - id), id);
		argv[1] = arg;
		return true;
	}
	return false;
}

/* Copy the arguments for qemu, with options for our socket */
static char **qemu_args(int argc, char **argv, int *fd)
{
	static char netdev[] = "socket,fd=5,id=passt";
	static char device[] = "virtio-net-pci,netdev=passt";
	static char o_netdev[] = "-netdev", o_device[] = "-device";
	char **args = calloc((size_t)argc + ARGS_ADDED + 1, sizeof(*args));
	int n = argc;

	if (!args)
		die("Out of memory");
	memcpy(args, argv, (size_t)argc * sizeof(*args));

	*fd = find_socket_fd(args + 1);
	if (*fd >= 0)
		return args;
	*fd = FD_DEFAULT;
	if (replace_netdev(args + 1))
		return args;
	args[n++] = o_netdev;
	args[n++] = netdev;
	args[n++] = o_device;
	args[n++] = device;
	return args;
}

static _Noreturn void exec_qemu(char **args)
{
	static const char *const names[] = {
		"qemu-kvm", "/usr/libexec/qemu-kvm",
	};
	char native[96] = "qemu-system-x86_64";
	struct utsname u;
	size_t i;

	if (!uname(&u))
		snprintf(native, sizeof(native), "qemu-system-%s", u.machine);
	args[0] = native;
	execvp(native, args);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		args[0] = (char *)names[i];
		execvp(names[i], args);
	}
	die("No qemu found: neither %s nor qemu-kvm", native);
}

int main(int argc, char **argv)
{
	int fd = -1, sock;
	bool given;

	if (argc < 2 || !strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")) {
		fputs(usage, argc < 2 ? stderr : stdout);
		return argc < 2;
	}
	fd = parse_fd(argv[1], NULL);
	given = fd >= 0;
	if (given && argc < 3)
		die("FD %s is given, but no command", argv[1]);
	if (given && fd <= STDERR_FILENO)
		die("FD %d is standard input or output, choose another", fd);

	if (!given)
		argv = qemu_args(argc, argv, &fd);
	sock = connect_passt();
	if (sock != fd) {
		if (dup2(sock, fd) < 0)
			die("Couldn't use descriptor %d: %s", fd,
			    strerror(errno));
		close(sock);
	}
	if (!given)
		exec_qemu(argv);
	execvp(argv[2], argv + 2);
	die("Couldn't run %s: %s", argv[2], strerror(errno));
}
