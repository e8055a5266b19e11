/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SIOCGSKNS gets the network namespace of a tap device, and from that its owner: so the
 * creator of the namespace gets there without /proc. bind() needs the rights of the
 * process that calls it, not of the one that made the socket.
 */
#include "plat.h"

#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <sys/stat.h>
#include <sys/wait.h>

static ino_t inode(int fd, const char *path)
{
	struct stat st;

	if (path ? stat(path, &st) : fstat(fd, &st))
		return 0;
	return st.st_ino;
}

/* 0 or errno */
static int bind_low(int fd)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = htons(81),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return bind(fd, (struct sockaddr *)&sin, sizeof(sin)) ? errno : 0;
}

/* The other process sends its tap device and a socket */
static void receive(int from, int fds[2])
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(2 * sizeof(int))];
	} c;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = &c,
			      .msg_controllen = sizeof(c) };

	if (recvmsg(from, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		bail("recvmsg");
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), 2 * sizeof(int));
}

static void send_fds(int to, int a, int b)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(2 * sizeof(int))];
	} c = { .hdr = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
			 .cmsg_len = CMSG_LEN(2 * sizeof(int)) } };
	struct iovec iov = { .iov_base = (char[]){ "x" }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = &c,
			      .msg_controllen = sizeof(c) };

	memcpy(CMSG_DATA(&c.hdr), (int[]){ a, b }, 2 * sizeof(int));
	if (sendmsg(to, &msg, 0) != 1)
		bail("sendmsg");
}

/* In namespaces of its own, until the socket ends */
static void other(int fd)
{
	char c;

	fresh_namespaces(CLONE_NEWNET);
	send_fds(fd, tap_try(IFF_NO_PI), socket(AF_INET, SOCK_STREAM, 0));
	if (read(fd, &c, 1) < 0)
		_exit(1);
	_exit(0);
}

int main(void)
{
	int pair[2], fds[2], net, user;
	char path[64];
	pid_t pid;

	fresh_namespaces(0);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		bail("socketpair");
	pid = fork();
	if (!pid) {
		close(pair[0]);
		other(pair[1]);
	}
	close(pair[1]);
	receive(pair[0], fds);

	net = ioctl(fds[0], SIOCGSKNS);
	ok(net >= 0, "the tap device tells its namespace");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	ok(inode(net, NULL) == inode(-1, path), "it is that of its maker");
	user = ioctl(net, NS_GET_USERNS);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	ok(inode(user, NULL) == inode(-1, path), "and so is its owner");

	if (!fork()) {
		int pair_rc = setns(user, CLONE_NEWUSER) ? errno : 0;

		_exit(pair_rc || setns(net, CLONE_NEWNET));
	}
	wait(&pid);
	ok(pid == 0, "who owns that may join both");
	if (!fork()) {
		/* In a user namespace beside it there are no rights over it */
		_exit(unshare(CLONE_NEWUSER) ? 99 : bind_low(fds[1]));
	}
	wait(&pid);
	ok(WEXITSTATUS(pid) == EACCES,
	   "without rights a socket of it can't have a low port");
	ok(bind_low(fds[1]) == 0, "with them it can, whoever made it");
	close(pair[0]);
	return done_testing();
}
