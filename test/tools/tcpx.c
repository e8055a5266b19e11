/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP client and server of the tests: send a known pattern, check the one that
 * comes, and close in the way the test is about.
 *
 *	tcpx listen|connect ADDR PORT [OPTION...]
 *	  -s N		bytes to send, then the sending side is closed (k, m, g)
 *	  -r N		bytes expected before the end of the stream
 *	  -n N		connections, all open at once (default 1)
 *	  -p AT:SECS	after AT bytes read nothing for SECS seconds
 *	  -p AT:/FILE	after AT bytes read nothing until this file is there
 *	  -B N		receive buffer of a server
 *	  -w		send only after the peer ended its side
 *	  -R		when all is sent and received, reset instead of closing
 *	  -c N		at most N bytes in a write (default 256k), sent at once
 *	  -q		do not check the pattern
 *	  -l		a server starts over, and prints no line
 *	  -b PORT	source port of a client
 *
 * One line tells the outcome, summed over connections; errno is the first error:
 *	sent=N received=N bad=N eof=N conns=N errno=0|ECONNRESET... ms=N rtx=N
 *	from=ADDR,PORT
 * where @from is the client of the first connection, as either side sees it.
 * The exit status is 0 if all was sent, received, right and without error.
 *
 * A thread a connection, each with a poll() loop over both directions.  The
 * pattern has a prime period, so a byte that is lost or doubled shows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PERIOD		1048573u	/* prime */
#define CHUNK		262144u

struct conn {
	pthread_t thread;
	int	fd;			/* -1: none yet */
	uint64_t sent, received, rtx;
	bool	bad, eof;
	int	error;
};

static struct {
	bool	listen, wait, reset, quiet, again;
	uint64_t send, expect, pause_at, rcvbuf;
	double	pause_s;
	const char *pause_file;
	unsigned n;
	size_t chunk;
	uint16_t sport;
	struct addrinfo *to;
} o = { .n = 1, .chunk = CHUNK };

static uint8_t pattern[PERIOD];
static pthread_barrier_t all_open;
static const struct conn *first;
static char client[INET6_ADDRSTRLEN + 32] = "none";

static void die(const char *what)
{
	fprintf(stderr, "tcpx: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void fill_pattern(void)
{
	uint32_t x = 2463534242u, i;

	for (i = 0; i < PERIOD; i++) {	/* xorshift */
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		pattern[i] = x >> 11;
	}
}

static bool pattern_at(uint64_t off, const uint8_t *p, size_t len)
{
	while (len) {
		size_t at = off % PERIOD, n = PERIOD - at < len ? PERIOD - at : len;

		if (memcmp(pattern + at, p, n))
			return false;
		off += n;
		p += n;
		len -= n;
	}
	return true;
}

static uint64_t number(const char *s)
{
	char *end;
	uint64_t v = strtoull(s, &end, 10);

	switch (*end) {
	case 'g':
		v <<= 10;		/* fall through */
	case 'm':
		v <<= 10;		/* fall through */
	case 'k':
		v <<= 10;
	}
	return v;
}

/* 0, -1 on error or when nothing is left to send */
static int send_some(struct conn *c)
{
	size_t at = c->sent % PERIOD, n = PERIOD - at;
	ssize_t rc;

	n = n < o.chunk ? n : o.chunk;
	n = n < o.send - c->sent ? n : (size_t)(o.send - c->sent);
	rc = send(c->fd, pattern + at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (rc < 0)
		return errno == EAGAIN ? 0 : (c->error = errno, -1);
	c->sent += (uint64_t)rc;
	if (c->sent == o.send && !o.reset)
		shutdown(c->fd, SHUT_WR);
	return 0;
}

static void pause_now(void)
{
	poll(NULL, 0, (int)(o.pause_s * 1000));
	while (o.pause_file && access(o.pause_file, F_OK))
		poll(NULL, 0, 50);
}

static int receive_some(struct conn *c, uint8_t *buf)
{
	bool pause = (o.pause_s > 0 || o.pause_file) && c->received < o.pause_at;
	size_t n = pause && o.pause_at - c->received < CHUNK ?
		   (size_t)(o.pause_at - c->received) : CHUNK;
	ssize_t rc = recv(c->fd, buf, n, MSG_DONTWAIT);

	if (rc < 0)
		return errno == EAGAIN ? 0 : (c->error = errno, -1);
	if (!rc)
		c->eof = true;
	if (!o.quiet && !pattern_at(c->received, buf, (size_t)rc))
		c->bad = true;
	c->received += (uint64_t)rc;
	if (pause && c->received == o.pause_at)
		pause_now();
	return 0;
}

static bool finished(const struct conn *c)
{
	if (c->sent < o.send)
		return false;
	return c->eof || (o.reset && c->received >= o.expect);
}

static void note_retransmissions(struct conn *c)
{
	struct tcp_info ti = { .tcpi_state = 0 };
	socklen_t sl = sizeof(ti);

	getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &ti, &sl);
	c->rtx = ti.tcpi_total_retrans;
}

/* The client's address of the first connection: a server's peer, or ourselves */
static void note_client(const struct conn *c)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char host[INET6_ADDRSTRLEN + 20], port[8];
	int rc = o.listen ? getpeername(c->fd, (void *)&sa, &len) :
			    getsockname(c->fd, (void *)&sa, &len);

	if (!rc && !getnameinfo((void *)&sa, len, host, sizeof(host), port,
				sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(client, sizeof(client), "%s,%s", host, port);
}

static void transfer(struct conn *c)
{
	uint8_t *buf = malloc(CHUNK);
	/* Wait for acknowledgements: unacknowledged data ends with the namespace,
	 * if we were its last process */
	struct linger lin = { .l_onoff = 1, .l_linger = o.reset ? 0 : 10 };
	int one = 1;

	if (o.chunk < CHUNK)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!o.send && !o.expect && !o.reset)
		shutdown(c->fd, SHUT_WR);
	while (!finished(c)) {
		bool out = c->sent < o.send && (!o.wait || c->eof);
		struct pollfd p = { .fd = c->fd };

		p.events = (short)((c->eof ? 0 : POLLIN) | (out ? POLLOUT : 0));
		if (poll(&p, 1, -1) < 0)
			break;
		if (out && p.revents & (POLLOUT | POLLERR) && send_some(c))
			break;
		if (p.revents & ~POLLOUT && !c->eof && receive_some(c, buf))
			break;
	}
	note_retransmissions(c);
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &lin, sizeof(lin));
	free(buf);
	close(c->fd);
}

static void open_client(struct conn *c)
{
	int one = 1;

	c->fd = socket(o.to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	if (o.sport) {
		struct sockaddr_in6 a = { .sin6_port = htons(o.sport) };

		a.sin6_family = (sa_family_t)o.to->ai_family;
		setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(c->fd, (void *)&a, o.to->ai_addrlen))
			die("bind");
	}
	if (connect(c->fd, o.to->ai_addr, o.to->ai_addrlen))
		c->error = errno;
}

static void *conn_thread(void *arg)
{
	struct conn *c = arg;

	if (c->fd < 0)
		open_client(c);
	if (c == first && !c->error)
		note_client(c);
	pthread_barrier_wait(&all_open);
	if (!c->error)
		transfer(c);
	return NULL;
}

static int listener(void)
{
	int s = socket(o.to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (s < 0)
		die("socket");
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (o.rcvbuf)
		setsockopt(s, SOL_SOCKET, SO_RCVBUF, &(int){ (int)o.rcvbuf },
			   sizeof(int));
	if (bind(s, o.to->ai_addr, o.to->ai_addrlen) || listen(s, 512))
		die("listen");
	return s;
}

static void options(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICHOST };
	int c;

	if (argc < 4 || getaddrinfo(argv[2], argv[3], &hints, &o.to))
		die("usage: tcpx listen|connect ADDR PORT [OPTION...]");
	o.listen = !strcmp(argv[1], "listen");
	optind = 4;
	while ((c = getopt(argc, argv, "s:r:n:p:c:wRqlb:B:")) != -1)
		switch (c) {
		case 's': o.send = number(optarg); break;
		case 'r': o.expect = number(optarg); break;
		case 'n': o.n = (unsigned)number(optarg); break;
		case 'c': o.chunk = number(optarg); break;
		case 'B': o.rcvbuf = number(optarg); break;
		case 'w': o.wait = true; break;
		case 'R': o.reset = true; break;
		case 'q': o.quiet = true; break;
		case 'l': o.again = true; break;
		case 'b': o.sport = number(optarg); break;
		case 'p':
			o.pause_at = number(optarg);
			if (strchr(optarg, '/'))
				o.pause_file = strchr(optarg, '/');
			else if (strchr(optarg, ':'))
				o.pause_s = strtod(strchr(optarg, ':') + 1, NULL);
			break;
		default:
			exit(2);
		}
}

static int report(const struct conn *c, uint64_t us)
{
	struct conn sum = { .fd = -1 };
	unsigned i, bad = 0, eof = 0;

	for (i = 0; i < o.n; i++) {
		sum.sent += c[i].sent;
		sum.received += c[i].received;
		sum.rtx += c[i].rtx;
		bad += c[i].bad;
		eof += c[i].eof;
		if (!sum.error)
			sum.error = c[i].error;
	}
	printf("sent=%llu received=%llu bad=%u eof=%u conns=%u errno=%s ms=%llu "
	       "rtx=%llu from=%s\n", (unsigned long long)sum.sent,
	       (unsigned long long)sum.received, bad, eof, o.n,
	       sum.error ? strerrorname_np(sum.error) : "0",
	       (unsigned long long)us / 1000, (unsigned long long)sum.rtx,
	       client);
	return sum.error || bad || sum.sent != o.send * o.n ||
	       sum.received != o.expect * o.n;
}

/* Accept or make all connections, and wait until they have ended; @l: listener, or -1 */
static uint64_t run(struct conn *conns, int l)
{
	uint64_t t = now_us();
	unsigned i;

	for (i = 0; i < o.n; i++) {
		conns[i] = (struct conn){ .fd = l < 0 ? -1 : accept(l, NULL, NULL) };
		if (!i && o.listen)
			t = now_us();
		if (pthread_create(&conns[i].thread, NULL, conn_thread, conns + i))
			die("thread");
	}
	if (l >= 0 && !o.again)
		close(l);
	for (i = 0; i < o.n; i++)
		pthread_join(conns[i].thread, NULL);
	return now_us() - t;
}

int main(int argc, char **argv)
{
	struct conn *conns;
	uint64_t us;
	int l = -1;

	signal(SIGPIPE, SIG_IGN);
	options(argc, argv);
	fill_pattern();
	conns = calloc(o.n, sizeof(*conns));
	first = conns;
	pthread_barrier_init(&all_open, NULL, o.n);
	if (o.listen)
		l = listener();
	do
		us = run(conns, l);
	while (o.again);
	return report(conns, us);
}
