/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relay that does nothing but the unavoidable system calls: the measure for pasta's
 * bypass. It relays from a port of 127.0.0.1 to the same port there in another network
 * namespace, which takes privileges. It blocks, watches nothing and handles no errors:
 * of no other use.
 *
 *	bare bulk PORT NETNS		splice(), a process for each direction
 *	bare once PORT NETNS [JOBS]	dialogues of crr.c, one by one in each process
 *	bare datagrams PORT NETNS SIZE	those of SIZE bytes, one way, from one socket;
 *					0: as they come (UDP_GRO)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIPE_BYTES	(1 << 20)
#define CHUNK		(256 << 10)
#define BATCH		64		/* datagrams of a call */
#define DATAGRAMS_MAX	65507		/* bytes of them */

static struct sockaddr_in lo = { .sin_family = AF_INET };

static void die(const char *what)
{
	fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void start(int type, const char *port, const char *netns)
{
	int fd, one = 1;

	lo.sin_port = htons(atoi(port));
	lo.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, type, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&lo, sizeof(lo)) ||
	    (type == SOCK_STREAM && listen(fd, 1024)) || dup2(fd, STDIN_FILENO))
		die("listen");
	fd = open(netns, O_RDONLY);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(netns);
}

static int dial(int type)
{
	int fd = socket(AF_INET, type, 0);

	if (connect(fd, (struct sockaddr *)&lo, sizeof(lo)))
		die("connect");
	return fd;
}

static void child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void pump(int from, int to)
{
	ssize_t in, out;
	int p[2];

	child();
	if (pipe(p) || fcntl(p[1], F_SETPIPE_SZ, PIPE_BYTES) < 0)
		die("pipe");
	while ((in = splice(from, NULL, p[1], NULL, CHUNK, SPLICE_F_MOVE)) > 0)
		for (; in > 0; in -= out) {
			out = splice(p[0], NULL, to, NULL, (size_t)in,
				     SPLICE_F_MOVE);
			if (out <= 0)
				_exit(1);
		}
	shutdown(to, SHUT_WR);
	_exit(0);
}

static void bulk(void)
{
	int fd, to;

	signal(SIGCHLD, SIG_IGN);
	while ((fd = accept(STDIN_FILENO, NULL, NULL)) >= 0) {
		to = dial(SOCK_STREAM);
		if (!fork())
			pump(fd, to);
		if (!fork())
			pump(to, fd);
		close(fd);
		close(to);
	}
}

/* relay() - Next bytes, or the end: false */
static int relay(int from, int to)
{
	char buf[4096];
	ssize_t n = recv(from, buf, sizeof(buf), 0);

	return n > 0 && send(to, buf, (size_t)n, MSG_NOSIGNAL) == n;
}

static void once(int jobs)
{
	int fd, to;

	while (--jobs > 0)
		if (!fork()) {
			child();
			break;
		}
	while ((fd = accept(STDIN_FILENO, NULL, NULL)) >= 0) {
		to = dial(SOCK_STREAM);
		while (relay(fd, to) && relay(to, fd))
			;
		shutdown(to, SHUT_WR);
		relay(to, fd);
		close(to);
		close(fd);
	}
}

/* Send @len bytes as datagrams of @size */
static void send_cut(int to, uint8_t *buf, size_t len, uint16_t size)
{
	char control[CMSG_SPACE(sizeof(size))] = { 0 };
	struct iovec iov = { buf, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (len > size) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ CMSG_LEN(sizeof(size)), SOL_UDP,
						       UDP_SEGMENT };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &size, sizeof(size));
	}
	sendmsg(to, &m, 0);
}

/* As many datagrams of @size as have come, received one behind the other */
static void sized(int to, unsigned size)
{
	unsigned most = DATAGRAMS_MAX / size < BATCH ? DATAGRAMS_MAX / size : BATCH, i;
	static uint8_t buf[DATAGRAMS_MAX];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	int n;

	for (i = 0; i < most; i++) {
		iov[i] = (struct iovec){ buf + i * size, size };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	n = recvmmsg(STDIN_FILENO, m, most, MSG_WAITFORONE, NULL);
	if (n > 0)
		send_cut(to, buf, (size_t)n * size, size);
}

/* What the kernel has joined */
static void joined(int to)
{
	static uint8_t buf[DATAGRAMS_MAX];
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(STDIN_FILENO, &m, 0);
	int size = (int)n;

	if (n > 0 && CMSG_FIRSTHDR(&m))
		memcpy(&size, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(size));
	if (n > 0)
		send_cut(to, buf, (size_t)n, (uint16_t)size);
}

static void datagrams(unsigned size)
{
	int to = dial(SOCK_DGRAM), one = 1;

	if (!size)
		setsockopt(STDIN_FILENO, SOL_UDP, UDP_GRO, &one, sizeof(one));
	for (;;)
		if (size)
			sized(to, size);
		else
			joined(to);
}

int main(int argc, char **argv)
{
	int type = argc > 1 && !strcmp(argv[1], "datagrams") ? SOCK_DGRAM : SOCK_STREAM;

	if (argc < 4) {
		fprintf(stderr, "usage: bare bulk|once|datagrams PORT NETNS [N]\n");
		return 2;
	}
	start(type, argv[2], argv[3]);
	if (!strcmp(argv[1], "bulk"))
		bulk();
	else if (type == SOCK_DGRAM)
		datagrams(argc > 4 ? (unsigned)atoi(argv[4]) : 0);
	else
		once(argc > 4 ? atoi(argv[4]) : 1);
	return 1;
}
