/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections: connect, ask with one byte, read the answer of one byte, close. One
 * after the other, or by several processes at the same time.
 *
 *	crr serve ADDR PORT [JOBS]	the client closes first
 *	crr answer ADDR PORT [JOBS]	the server closes first, after one answer
 *	crr ask ADDR PORT COUNT [JOBS]	prints connections per second, of all
 *	crr soak ADDR PORT SECONDS [JOBS [LIMIT]]
 *
 * soak looks for operations (connect, ask, read the answer up to the end of the
 * stream, close) that take longer than LIMIT ms, 50 if not given. It reads to the
 * end of the stream if the server closes first, and finds that out itself. It
 * prints:
 *
 *	ops=N per_s=N slow=N slowest_ms=N failed=N starved=N
 *
 * where @slow is how many took longer, @failed how many ended in an error, and
 * @starved how often this kernel had no source port left and the tool waited.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
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

static void serve(long jobs, int once)
{
	int fd, lfd = new_socket();
	char byte;

	if (bind(lfd, to->ai_addr, to->ai_addrlen) || listen(lfd, 1024))
		die("listen");
	fork_jobs(jobs);
	while ((fd = accept(lfd, NULL, NULL)) >= 0) {
		while (read(fd, &byte, 1) == 1)
			if (write(fd, &byte, 1) != 1 || once)
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

struct soak {
	unsigned long ops, slow, failed, starved;
	double worst;
};

/* connect_retry() - Wait for a source port, which is not the other side's fault */
static int connect_retry(struct soak *k, double *start)
{
	for (;;) {
		int fd = new_socket();

		*start = now();
		if (!connect(fd, to->ai_addr, to->ai_addrlen))
			return fd;
		close(fd);
		if (errno != EADDRNOTAVAIL)
			return -1;
		k->starved++;
		poll(NULL, 0, 1);
	}
}

/* operation() - One connection; -1 if it failed */
static int operation(struct soak *k, double *start, int *to_end)
{
	int fd = connect_retry(k, start), rc = -1;
	char byte = 'x';

	if (fd < 0)
		return -1;
	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		goto out;
	if (*to_end < 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		*to_end = poll(&p, 1, 200);
	}
	rc = *to_end ? (int)read(fd, &byte, 1) : 0;
out:
	if (rc)
		fprintf(stderr, "crr: failed after %.1f ms: %s\n",
			(now() - *start) * 1e3, strerror(errno));
	close(fd);
	return rc;
}

static void soak(double seconds, long jobs, double limit)
{
	struct soak *all = mmap(NULL, (size_t)jobs * sizeof(*all),
				PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct soak sum = { 0 }, *k = all;
	double begun, start, ms;
	pid_t first = getpid();
	int to_end = -1;
	long i;

	if (all == MAP_FAILED)
		die("mmap");
	if (operation(k, &start, &to_end))	/* to learn which side closes */
		die("first operation");
	begun = now();
	for (i = 1; i < jobs && getpid() == first; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			k = &all[i];
		}
	}
	while (now() - begun < seconds) {
		if (operation(k, &start, &to_end))
			k->failed++;
		ms = (now() - start) * 1e3;
		k->ops++;
		k->slow += ms > limit;
		if (ms > k->worst)
			k->worst = ms;
	}
	if (getpid() != first)
		_exit(0);
	while (wait(NULL) > 0)
		;
	for (i = 0; i < jobs; i++) {
		sum.ops += all[i].ops;
		sum.slow += all[i].slow;
		sum.failed += all[i].failed;
		sum.starved += all[i].starved;
		if (all[i].worst > sum.worst)
			sum.worst = all[i].worst;
	}
	printf("ops=%lu per_s=%.0f slow=%lu slowest_ms=%.1f failed=%lu starved=%lu\n",
	       sum.ops, (double)sum.ops / (now() - begun), sum.slow, sum.worst,
	       sum.failed, sum.starved);
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST,
	};

	if (argc < 4 || getaddrinfo(argv[2], argv[3], &hints, &to)) {
		fprintf(stderr, "usage: crr serve ADDR PORT [JOBS]\n"
				"       crr answer ADDR PORT [JOBS]\n"
				"       crr ask ADDR PORT COUNT [JOBS]\n"
				"       crr soak ADDR PORT SECONDS [JOBS [LIMIT]]\n");
		return 2;
	}
	if (!strcmp(argv[1], "serve") || !strcmp(argv[1], "answer"))
		serve(argc > 4 ? atol(argv[4]) : 1, argv[1][0] == 'a');
	if (!strcmp(argv[1], "soak")) {
		soak(argc > 4 ? atof(argv[4]) : 1, argc > 5 ? atol(argv[5]) : 1,
		     argc > 6 ? atof(argv[6]) : 50);
		return 0;
	}
	ask(argc > 4 ? atol(argv[4]) : 1, argc > 5 ? atol(argv[5]) : 1);
	return 0;
}
