/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Load for the benchmarks: bytes, exchanges and datagrams at full rate. The side that
 * receives measures, once all connections or flows are there and WARM_UP has passed.
 *
 *	load listen|connect ADDR PORT send|receive [OPTION...]
 *		one way over TCP, with a thread for each connection. The receiver ends,
 *		the sender follows. Printed: gbps=N min=N max=N gap_ms=N
 *		@min and @max are the rates of single connections in Gb/s, @gap_ms is the
 *		longest time that all of them together received nothing
 *	load serve ADDR PORT
 *		send back what comes on any number of connections
 *	load rr ADDR PORT [OPTION...]
 *		one byte there and back at a time on each connection. Printed:
 *		ops=N p50_us=N p99_us=N max_us=N
 *	load hold ADDR PORT [OPTION...]
 *	load hold-udp ADDR PORT [OPTION...]
 *		open connections or flows, say "ready", and keep them
 *	load echo ADDR PORT
 *		send each datagram back
 *	load sink ADDR PORT [OPTION...]
 *		count datagrams. Printed: gbps=N pps=N
 *	load flood ADDR PORT [OPTION...]
 *		send datagrams until the measurement is over
 *	load source ADDR PORT [OPTION...]
 *		flood all who have asked, once there are enough
 *	load ask ADDR PORT [OPTION...]
 *		ask for datagrams, and count them as "sink" does
 *
 *	-n N		connections or flows (default 1)
 *	-t SECONDS	time of the measurement (default 1)
 *	-l BYTES	size of a datagram (default 1472)
 *	-g		let the kernel cut and join datagrams: UDP_SEGMENT, UDP_GRO
 *	-b GBPS		send no faster than this
 *	-w SECONDS	time before the measurement (default 0.2)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK		(128u << 10)	/* bytes of a call over TCP */
#define FLOWS_MAX	16384
#define DATAGRAMS_MAX	65507		/* bytes that UDP_SEGMENT can cut */
#define SEGMENTS_MAX	64
#define SAMPLES_MAX	(4u << 20)

static struct {
	int n;
	double seconds, gbps, warm_up;
	unsigned size;
	bool gso;
} o = { .n = 1, .seconds = 1, .size = 1472, .warm_up = 0.2 };

static struct sockaddr_in addr = { .sin_family = AF_INET };
static int socks[FLOWS_MAX];
static uint64_t counts[FLOWS_MAX];	/* bytes received by each */
static uint64_t before[FLOWS_MAX], after[FLOWS_MAX];
static volatile uint64_t last_us, gap_us;
static volatile bool measuring;

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now_us(void) { return now_ns() / 1000; }

static void sleep_us(uint64_t us)
{
	const struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000 * 1000) };

	nanosleep(&t, NULL);
}

static int new_socket(int type)
{
	int fd = socket(AF_INET, type, 0), one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

static int bound(int type)
{
	int fd = new_socket(type);

	if (bind(fd, (void *)&addr, sizeof(addr)) ||
	    (type == SOCK_STREAM && listen(fd, 1024)))
		die("bind");
	return fd;
}

static int connected(int type)
{
	int fd = new_socket(type);

	if (connect(fd, (void *)&addr, sizeof(addr)))
		die("connect");
	return fd;
}

/* --- one way over TCP ------------------------------------------------------------- */

static void *sender(void *arg)
{
	uint64_t sent = 0, start = now_us(), due;
	int fd = *(int *)arg;
	char *buf = calloc(1, CHUNK);
	ssize_t n;

	while ((n = send(fd, buf, CHUNK, MSG_NOSIGNAL)) > 0) {
		sent += (uint64_t)n;
		if (o.gbps <= 0)
			continue;
		due = start + (uint64_t)((double)sent * 8 * o.n / o.gbps / 1e3);
		if (due > now_us())
			sleep_us(due - now_us());
	}
	return NULL;
}

static void *receiver(void *arg)
{
	uint64_t *count = counts + ((int *)arg - socks), now;
	char *buf = malloc(CHUNK);
	ssize_t n;

	while ((n = recv(*(int *)arg, buf, CHUNK, 0)) > 0) {
		*(volatile uint64_t *)count += (uint64_t)n;
		now = now_us();
		if (measuring && now > last_us && now - last_us > gap_us)
			gap_us = now - last_us;
		last_us = now;
	}
	return NULL;
}

/* note() - Copy what has been received by now, without being interrupted for long */
static uint64_t note(uint64_t *to)
{
	uint64_t start;

	do {
		start = now_us();
		memcpy(to, counts, (size_t)o.n * sizeof(*to));
	} while (now_us() - start > 1000);
	return start;
}

static void report_tcp(void)
{
	uint64_t start, all = 0, least = UINT64_MAX, most = 0, n;
	double s;
	int i;

	sleep_us((uint64_t)(o.warm_up * 1e6));
	start = last_us = note(before);
	measuring = true;
	sleep_us((uint64_t)(o.seconds * 1e6));
	s = (double)(note(after) - start) / 8e-3;
	for (i = 0; i < o.n; i++) {
		n = after[i] - before[i];
		all += n;
		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	if (now_us() - last_us > gap_us)
		gap_us = now_us() - last_us;
	printf("gbps=%.3f min=%.3f max=%.3f gap_ms=%.1f\n", (double)all / s,
	       (double)least / s, (double)most / s, (double)gap_us / 1e3);
}

static void tcp(bool server, bool send)
{
	int i, lfd = server ? bound(SOCK_STREAM) : -1;
	pthread_t t = 0;

	for (i = 0; i < o.n; i++) {
		socks[i] = server ? accept(lfd, NULL, NULL) : connected(SOCK_STREAM);
		if (pthread_create(&t, NULL, send ? sender : receiver, &socks[i]))
			die("thread");
	}
	if (send)
		pthread_join(t, NULL);
	else
		report_tcp();
}

/* --- exchanges of one byte ---------------------------------------------------------- */

static int poller;

static void watch(int fd, int i)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = (uint32_t)i };
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e))
		die("epoll");
}

static void serve(void)
{
	int lfd = bound(SOCK_STREAM), n, i;
	struct epoll_event e[64];
	char buf[4096];
	ssize_t len;

	poller = epoll_create1(0);
	watch(lfd, lfd);
	for (;;) {
		n = epoll_wait(poller, e, 64, -1);
		for (i = 0; i < n; i++) {
			int fd = (int)e[i].data.u32;

			if (fd == lfd) {
				fd = accept(lfd, NULL, NULL);
				watch(fd, fd);
				continue;
			}
			len = recv(fd, buf, sizeof(buf), 0);
			if (len <= 0 || send(fd, buf, (size_t)len, MSG_NOSIGNAL) != len)
				close(fd);
		}
	}
}

static uint32_t *samples;		/* of exchanges, in ns */
static unsigned n_samples;

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void report_rr(uint64_t ops, double s)
{
	if (!n_samples)
		die("no answers");
	qsort(samples, n_samples, sizeof(*samples), by_value);
	printf("ops=%.0f p50_us=%.1f p99_us=%.1f max_us=%.1f\n", (double)ops / s,
	       samples[n_samples / 2] / 1e3, samples[(uint64_t)n_samples * 99 / 100] / 1e3,
	       samples[n_samples - 1] / 1e3);
}

/* Send a byte on each connection, and again whenever its answer is there */
static void rr(void)
{
	static uint64_t asked[FLOWS_MAX];
	uint64_t begin, end, now = 0, ops = 0;
	struct epoll_event e[64];
	char byte = 'x';
	int i, n;

	samples = malloc(SAMPLES_MAX * sizeof(*samples));
	poller = epoll_create1(0);
	for (i = 0; i < o.n; i++)
		watch(socks[i] = connected(SOCK_STREAM), i);
	begin = now_ns() + (uint64_t)(o.warm_up * 1e9);
	end = begin + (uint64_t)(o.seconds * 1e9);
	for (i = 0; i < o.n; i++) {
		asked[i] = now_ns();
		send(socks[i], &byte, 1, MSG_NOSIGNAL);
	}
	while (now < end) {
		n = epoll_wait(poller, e, o.n == 1 ? 1 : 64, 5000);
		if (n <= 0)
			die("an answer");
		for (i = 0; i < n; i++) {
			uint32_t k = e[i].data.u32;

			if (recv(socks[k], &byte, 1, 0) != 1)
				die("an answer");
			now = now_ns();
			if (now >= begin && ++ops && n_samples < SAMPLES_MAX)
				samples[n_samples++] = (uint32_t)(now - asked[k]);
			asked[k] = now;
			send(socks[k], &byte, 1, MSG_NOSIGNAL);
		}
	}
	report_rr(ops, (double)(now - begin) / 1e9);
}

/* --- datagrams ------------------------------------------------------------------------ */

static void roomy(int fd)
{
	int room = 4 << 20, one = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (o.gso)
		setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
}

/* Count what comes to the sockets that @poller watches, from the first datagram on */
static void count_datagrams(void)
{
	uint64_t bytes = 0, begin = 0, end = UINT64_MAX, now = 0;
	static char buf[65536];
	struct epoll_event e[64];
	int i, n, k;

	while (now < end) {
		n = epoll_wait(poller, e, 64, begin ? 100 : 5000);
		if (n <= 0 && !begin)
			die("no datagrams");
		now = now_ns();
		if (!begin) {
			begin = now + (uint64_t)(o.warm_up * 1e9);
			end = begin + (uint64_t)(o.seconds * 1e9);
		}
		for (i = 0; i < n; i++)
			for (k = 0; k < 64; k++) {
				ssize_t len = recv((int)e[i].data.u32, buf, sizeof(buf),
						   MSG_DONTWAIT);

				if (len < 0)
					break;
				if (now >= begin)
					bytes += (uint64_t)len;
			}
	}
	printf("gbps=%.3f pps=%.0f\n", (double)bytes * 8 / (double)(now - begin),
	       (double)bytes / o.size / ((double)(now - begin) / 1e9));
}

/* Send to the address of @to that is next, or on the socket that is next */
static void send_datagrams(const struct sockaddr_in *to, uint64_t us)
{
	static char buf[DATAGRAMS_MAX];
	unsigned many = DATAGRAMS_MAX / o.size, len = o.size, segment = o.size, i;
	uint64_t end = now_us() + us;

	if (many > SEGMENTS_MAX)
		many = SEGMENTS_MAX;
	for (i = 0; o.gso && i < (unsigned)(to ? 1 : o.n); i++)
		if (setsockopt(socks[i], SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)))
			die("UDP_SEGMENT");
	if (o.gso)
		len = many * o.size;
	for (i = 0; i % 64 || now_us() < end; i++) {
		unsigned k = i % (unsigned)o.n;

		if (to)
			sendto(socks[0], buf, len, 0, (const void *)&to[k], sizeof(to[k]));
		else
			send(socks[k], buf, len, 0);
	}
}

static uint64_t flood_us(void) { return (uint64_t)((o.seconds + o.warm_up + 0.3) * 1e6); }

static void source(void)
{
	static struct sockaddr_in from[FLOWS_MAX];
	socklen_t len = sizeof(*from);
	char byte;
	int i;

	socks[0] = bound(SOCK_DGRAM);
	for (i = 0; i < o.n; i++)
		if (recvfrom(socks[0], &byte, 1, 0, (void *)&from[i], &len) < 0)
			die("a request");
	send_datagrams(from, flood_us());
}

static void datagrams(const char *mode)
{
	int i;

	poller = epoll_create1(0);
	if (!strcmp(mode, "sink")) {
		socks[0] = bound(SOCK_DGRAM);
		roomy(socks[0]);
		watch(socks[0], socks[0]);
		count_datagrams();
		return;
	}
	for (i = 0; i < o.n; i++) {
		socks[i] = connected(SOCK_DGRAM);
		roomy(socks[i]);
		watch(socks[i], socks[i]);
	}
	if (!strcmp(mode, "flood")) {
		send_datagrams(NULL, flood_us());
		return;
	}
	for (i = 0; i < o.n; i++)
		send(socks[i], "?", 1, 0);
	count_datagrams();
}

/* --- idle flows -------------------------------------------------------------------------- */

/* Each has been answered, so that it is there on the whole way */
static void hold(int type)
{
	char byte = 'x';
	int i;

	for (i = 0; i < o.n; i++) {
		struct pollfd p = { .fd = socks[i] = connected(type), .events = POLLIN };
		int tries = 0;

		while (tries++ < 5 && send(p.fd, &byte, 1, MSG_NOSIGNAL) == 1 &&
		       poll(&p, 1, 1000) != 1)
			;
		if (recv(p.fd, &byte, 1, MSG_DONTWAIT) != 1)
			die("an answer");
	}
	puts("ready");
	fflush(stdout);
	pause();
}

static void echo(void)
{
	int fd = bound(SOCK_DGRAM);
	struct sockaddr_in from;
	static char buf[65536];
	socklen_t len;
	ssize_t n;

	for (;;) {
		len = sizeof(from);
		n = recvfrom(fd, buf, sizeof(buf), 0, (void *)&from, &len);
		if (n >= 0)
			sendto(fd, buf, (size_t)n, 0, (void *)&from, len);
	}
}

/* --------------------------------------------------------------------------------------- */

static void options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:t:l:gb:w:")) >= 0)
		switch (c) {
		case 'n': o.n = atoi(optarg); break;
		case 't': o.seconds = atof(optarg); break;
		case 'l': o.size = (unsigned)atoi(optarg); break;
		case 'g': o.gso = true; break;
		case 'b': o.gbps = atof(optarg); break;
		case 'w': o.warm_up = atof(optarg); break;
		default: exit(2);
		}
	if (o.n < 1 || o.n > FLOWS_MAX || !o.size || o.size > DATAGRAMS_MAX)
		die("options");
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	bool server = !strcmp(mode, "listen"), send = argc > 4 && !strcmp(argv[4], "send");

	if (argc < 4 || inet_pton(AF_INET, argv[2], &addr.sin_addr) != 1) {
		fprintf(stderr, "usage: load MODE ADDR PORT [OPTION...], see the source\n");
		return 2;
	}
	addr.sin_port = htons((uint16_t)atoi(argv[3]));
	options(argc - 3, argv + 3);
	if (server || !strcmp(mode, "connect"))
		tcp(server, send);
	else if (!strcmp(mode, "serve"))
		serve();
	else if (!strcmp(mode, "rr"))
		rr();
	else if (!strcmp(mode, "hold") || !strcmp(mode, "hold-udp"))
		hold(mode[4] ? SOCK_DGRAM : SOCK_STREAM);
	else if (!strcmp(mode, "echo"))
		echo();
	else if (!strcmp(mode, "source"))
		source();
	else
		datagrams(mode);
	return 0;
}
