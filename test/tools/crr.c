/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections: connect, ask with one byte, read the answer of one byte, close. One
 * after the other, or by several processes at the same time.
 *
 *	crr serve ADDR PORT [JOBS]
 *	crr ask ADDR PORT COUNT [JOBS]	prints connections per second, of all
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct addrinfo *to;

static void die(const char *what)
{
	fprintf(stderr, "crr: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int new_socket(void)
{
	int fd = socket(to->ai_family, SOCK_STREAM, 0), one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

/* fork_jobs() - @jobs - 1 more processes like this one, which end with it */
static void fork_jobs(long jobs)
{
	pid_t first = getpid();

	while (--jobs > 0) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != first)
			_exit(2);
		return;
	}
}

static void serve(long jobs)
{
	int fd, lfd = new_socket();
	char byte;

	if (bind(lfd, to->ai_addr, to->ai_addrlen) || listen(lfd, 1024))
		die("listen");
	fork_jobs(jobs);
	while ((fd = accept(lfd, NULL, NULL)) >= 0) {
		while (read(fd, &byte, 1) == 1)
			if (write(fd, &byte, 1) != 1)
				break;
		close(fd);
	}
	die("accept");
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ask(long count, long jobs)
{
	double start = now();
	pid_t first = getpid();
	char byte = 'x';
	long i;
	int status;

	fork_jobs(jobs);
	for (i = 0; i < count / jobs; i++) {
		int fd = new_socket();

		if (connect(fd, to->ai_addr, to->ai_addrlen))
			die("connect");
		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			die("answer");
		close(fd);
	}
	if (getpid() != first)
		_exit(0);
	while (wait(&status) > 0)
		if (status)
			exit(2);	/* it said why */
	printf("%.0f\n", (double)(count / jobs * jobs) / (now() - start));
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST,
	};

	if (argc < 4 || getaddrinfo(argv[2], argv[3], &hints, &to)) {
		fprintf(stderr, "usage: crr serve ADDR PORT [JOBS]\n"
				"       crr ask ADDR PORT COUNT [JOBS]\n");
		return 2;
	}
	if (!strcmp(argv[1], "serve"))
		serve(argc > 4 ? atol(argv[4]) : 1);
	ask(argc > 4 ? atol(argv[4]) : 1, argc > 5 ? atol(argv[5]) : 1);
	return 0;
}
