/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relay that does nothing but the unavoidable system calls: the measure for pasta's
 * bypass. From a port of 127.0.0.1 to the same port
 * there in another network namespace, which takes privileges. It blocks, watches
 * nothing and handles no errors: of no other use.
 *
 *	bare bulk PORT NETNS		splice(), a process for each direction
 *	bare once PORT NETNS [JOBS]	dialogues of crr.c, one by one in each process
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_BYTES	(1 << 20)
#define CHUNK		(256 << 10)

static struct sockaddr_in lo = { .sin_family = AF_INET };

static void die(const char *what)
{
	fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void start(const char *port, const char *netns)
{
	int fd, one = 1;

	lo.sin_port = htons(atoi(port));
	lo.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&lo, sizeof(lo)) || listen(fd, 1024) ||
	    dup2(fd, STDIN_FILENO))
		die("listen");
	fd = open(netns, O_RDONLY);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(netns);
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

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
		to = dial();
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
		to = dial();
		while (relay(fd, to) && relay(to, fd))
			;
		shutdown(to, SHUT_WR);
		relay(to, fd);
		close(to);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: bare bulk|once PORT NETNS [JOBS]\n");
		return 2;
	}
	start(argv[2], argv[3]);
	if (!strcmp(argv[1], "bulk"))
		bulk();
	else
		once(argc > 4 ? atoi(argv[4]) : 1);
	return 1;
}
