/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UDP requests and answers of the tests.
 *
 *	udpx echo ADDR PORT
 *		send every datagram back; a line "from ADDR PORT LENGTH" for each
 *	udpx ask ADDR PORT [-s SIZE] [-n FLOWS] [-c COUNT] [-p SPORT] [-t MS]
 *		COUNT requests of SIZE bytes on each of FLOWS connected sockets, all
 *		open at once, each answer checked; SPORT is the first source port
 *
 *	udpx pace ADDR PORT [-s SIZE] [-c COUNT]
 *		COUNT requests, one each millisecond, without waiting for answers. A line
 *		tells how many came, and the longest time between two of them:
 *		sent=N got=N gap_us=N
 *
 * The last line of "ask" tells: ok=N lost=N bad=N errno=0|ECONNREFUSED... ms=N
 * and the exit status is 0 if each request was answered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct {
	size_t	size;
	int	flows, count, timeout_ms;
	uint16_t sport;
	struct addrinfo *to;
} o = { .size = 1, .flows = 1, .count = 1, .timeout_ms = 5000 };

static uint8_t buf[65536];

static void die(const char *what)
{
	fprintf(stderr, "udpx: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

__attribute__((noreturn))
static void echo(void)
{
	int s = socket(o.to->ai_family, SOCK_DGRAM, 0);
	char host[64], port[16];

	if (s < 0 || bind(s, o.to->ai_addr, o.to->ai_addrlen))
		die("bind");
	for (;;) {
		struct sockaddr_storage a;
		socklen_t al = sizeof(a);
		ssize_t n = recvfrom(s, buf, sizeof(buf), 0, (void *)&a, &al);

		if (n < 0)
			continue;
		getnameinfo((void *)&a, al, host, sizeof(host), port,
			    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
		printf("from %s %s %zd\n", host, port, n);
		fflush(stdout);
		sendto(s, buf, (size_t)n, 0, (void *)&a, al);
	}
}

static int flow_open(int i)
{
	int s = socket(o.to->ai_family, SOCK_DGRAM, 0);

	if (s < 0)
		die("socket");
	if (o.sport) {
		struct sockaddr_in6 a = {
			.sin6_family = (sa_family_t)o.to->ai_family,
			.sin6_port = htons(o.sport + i),
		};

		if (bind(s, (void *)&a, o.to->ai_addrlen))
			die("bind");
	}
	if (connect(s, o.to->ai_addr, o.to->ai_addrlen))
		die("connect");
	return s;
}

/* 0, or why there was no good answer: errno, ETIMEDOUT, EBADMSG */
static int flow_answer(int s, int tag)
{
	struct pollfd p = { .fd = s, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, o.timeout_ms) != 1)
		return ETIMEDOUT;
	n = recv(s, buf, sizeof(buf), 0);
	if (n < 0)
		return errno;
	if ((size_t)n != o.size || (n && buf[n - 1] != (uint8_t)tag))
		return EBADMSG;
	return 0;
}

static int ask(void)
{
	int *s = calloc((size_t)o.flows, sizeof(*s));
	int i, c, good = 0, lost = 0, bad = 0, error = 0;
	int64_t t = now_ms();

	for (i = 0; i < o.flows; i++)
		s[i] = flow_open(i);
	for (c = 0; c < o.count; c++) {
		for (i = 0; i < o.flows; i++) {
			memset(buf, i + c, o.size);
			if (send(s[i], buf, o.size, 0) < 0)
				error = errno;
		}
		for (i = 0; i < o.flows; i++) {
			int e = flow_answer(s[i], i + c);

			good += !e;
			lost += e == ETIMEDOUT;
			bad += e == EBADMSG;
			if (e)
				error = e;
		}
	}
	printf("ok=%d lost=%d bad=%d errno=%s ms=%lld\n", good, lost, bad,
	       error ? strerrorname_np(error) : "0",
	       (long long)(now_ms() - t));
	return good != o.flows * o.count;
}

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Take answers until @until; each one tells how long there was none */
static int take_until(int s, int64_t until, int64_t *last, int64_t *gap)
{
	struct pollfd p = { .fd = s, .events = POLLIN };
	int64_t left;
	int got = 0;

	while ((left = until - now_us()) > 0) {
		const struct timespec ts = { .tv_nsec = left * 1000 };

		if (ppoll(&p, 1, &ts, NULL) != 1 ||
		    recv(s, buf, sizeof(buf), MSG_DONTWAIT) < 0)
			continue;
		got++;
		if (now_us() - *last > *gap)
			*gap = now_us() - *last;
		*last = now_us();
	}
	return got;
}

static int pace(void)
{
	int64_t at = now_us(), last = at, gap = 0;
	int s = flow_open(0), i, sent = 0, got = 0;

	for (i = 0; i < o.count; i++) {
		memset(buf, i, o.size);
		sent += send(s, buf, o.size, 0) == (ssize_t)o.size;
		at += 1000;
		got += take_until(s, at, &last, &gap);
	}
	got += take_until(s, at + 500000, &last, &gap);
	printf("sent=%d got=%d gap_us=%lld\n", sent, got, (long long)gap);
	return got != o.count;
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
				  .ai_flags = AI_NUMERICHOST };
	int c;

	if (argc < 4 || getaddrinfo(argv[2], argv[3], &hints, &o.to))
		die("usage: udpx echo|ask|pace ADDR PORT [OPTION...]");
	optind = 4;
	while ((c = getopt(argc, argv, "s:n:c:p:t:")) != -1)
		switch (c) {
		case 's': o.size = (size_t)atoi(optarg); break;
		case 'n': o.flows = atoi(optarg); break;
		case 'c': o.count = atoi(optarg); break;
		case 'p': o.sport = atoi(optarg); break;
		case 't': o.timeout_ms = atoi(optarg); break;
		default: return 2;
		}
	if (!strcmp(argv[1], "echo"))
		echo();
	return !strcmp(argv[1], "pace") ? pace() : ask();
}
