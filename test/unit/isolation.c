/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filters of system calls at work: with --vhost-user, memory of a file can be mapped, all
 * other memory can't; no socket but those of IP is made, nothing is typed into a terminal
 */

#include "isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "identity.h"
#include "tap.h"
#include "types.h"

#ifdef SYS_mmap2
#define MMAP	SYS_mmap2
#else
#define MMAP	SYS_mmap
#endif
#define SIZE	65536

static int fd;

/* Map in a process that is sealed. Return: its status as from waitpid() */
static int map_sealed(bool vhost, int prot, int flags, int from)
{
	const struct conf c = { .mode = MODE_PASST, .vhost_user = vhost };
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		isolation_seal(&c);
		syscall(MMAP, flags & MAP_FIXED ? (void *)&fd : NULL, SIZE, prot,
			flags, from, 0);
		syscall(SYS_exit_group, 7);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* Make a call in a sealed process. Return: its status as from waitpid() */
static int call_sealed(enum mode mode, long nr, long a, long b, long c)
{
	const struct conf conf = { .mode = mode };
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		isolation_seal(&conf);
		syscall(nr, a, b, c);
		syscall(SYS_exit_group, 7);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* Open a file of the host in a follower of resolv.conf: its status as from waitpid() is 7 if
 * it can be read, 8 if that is denied. It is that of a child of a child */
static int follower_opens(const char *path)
{
	const struct conf conf = { .mode = MODE_PASST, .progname = "passt" };
	const struct identity id = { .change = false };
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
	char result = 0;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		return -1;
	pid = fork();
	if (!pid) {
		isolation_follower(&conf, &id, pair[1]);
		result = open(path, flags) >= 0 ? 7 : errno == EACCES ? 8 : 9;
		send(pair[1], &result, 1, 0);
		syscall(SYS_exit_group, 0);
	}
	close(pair[1]);
	waitpid(pid, NULL, 0);
	if (recv(pair[0], &result, 1, 0) != 1)
		result = -1;
	close(pair[0]);
	return result;
}

static bool is_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE;

	if (prctl(PR_GET_SECCOMP) < 0) {	/* in an emulator */
		printf("1..0 # SKIP no filter of system calls\n");
		return 0;
	}
	fd = memfd_create("guest", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, SIZE))
		return 1;
	is(WEXITSTATUS(map_sealed(true, rw, MAP_SHARED, fd)), 7,
	   "with vhost-user, a file is mapped");
	ok(is_killed(map_sealed(true, rw | PROT_EXEC, MAP_SHARED, fd)),
	   "executable memory kills the process");
	ok(is_killed(map_sealed(true, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1)),
	   "memory of no file kills it");
	ok(is_killed(map_sealed(true, rw, MAP_SHARED | MAP_FIXED, fd)),
	   "a fixed address kills it");
	ok(is_killed(map_sealed(false, rw, MAP_SHARED, fd)),
	   "without vhost-user, all of mmap() kills it");

#ifdef SYS_socket
	ok(is_killed(call_sealed(MODE_PASST, SYS_socket, AF_UNIX, SOCK_STREAM, 0)) &&
	   is_killed(call_sealed(MODE_PASTA, SYS_socket, AF_UNIX, SOCK_STREAM, 0)),
	   "a UNIX socket kills");
	is(WEXITSTATUS(call_sealed(MODE_PASTA, SYS_socket, AF_INET, SOCK_STREAM, 0)), 7,
	   "a socket of IP does not");
#endif
	is(follower_opens("/etc/passwd"), 7, "the follower of resolv.conf reads files");
#ifdef SYS_landlock_create_ruleset
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1)
		is(follower_opens("/etc"), 8, "and lists no directory: Landlock");
#endif
	ok(is_killed(call_sealed(MODE_PASST, SYS_ioctl, 0, TIOCSTI, (long)"x")) &&
	   is_killed(call_sealed(MODE_PASTA, SYS_ioctl, 0, TIOCSTI, (long)"x")),
	   "typing into a terminal kills");
	close(fd);
	return done();
}
