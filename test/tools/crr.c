/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections one after the other: connect, ask with one byte, read the answer of
 * one byte, close.
 *
 *	crr serve ADDR PORT
 *	crr ask ADDR PORT COUNT		prints connections per second
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

static void serve(void)
{
	int fd, lfd = new_socket();
	char byte;

	if (bind(lfd, to->ai_addr, to->ai_addrlen) || listen(lfd, 1024))
		die("listen");
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

static void ask(long count)
{
	double start = now();
	char byte = 'x';
	long i;

	for (i = 0; i < count; i++) {
		int fd = new_socket();

		if (connect(fd, to->ai_addr, to->ai_addrlen))
			die("connect");
		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			die("answer");
		close(fd);
	}
	printf("%.0f\n", (double)count / (now() - start));
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST,
	};

	if (argc < 4 || getaddrinfo(argv[2], argv[3], &hints, &to)) {
		fprintf(stderr, "usage: crr serve|ask ADDR PORT [COUNT]\n");
		return 2;
	}
	if (!strcmp(argv[1], "serve"))
		serve();
	ask(argc > 4 ? atol(argv[4]) : 1);
	return 0;
}
