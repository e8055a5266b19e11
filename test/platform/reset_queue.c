/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reset leaves the receive queue readable, by recv(), peeks at an offset and
 * splice(): the error comes after the data. Once SO_ERROR or a failed send() has
 * reported the error, a read at the end gives 0. EPIPE instead of ECONNRESET says
 * that a FIN had come before the reset. SIOCINQ counts bytes left, SIOCOUTQNSD
 * bytes never sent. An accepted socket inherits TCP_NOTSENT_LOWAT.
 */
#include "plat.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF	42
#endif

/* reset_pair() - A socket that has received "0123456789" and then a reset */
static int reset_pair(bool fin)
{
	static const struct linger now = { .l_onoff = 1 };
	struct pollfd p = { .events = 0 };
	int s[2], zero = 0;

	if (!tcp_pair(AF_INET, s))
		bail("tcp pair");
	setsockopt(s[0], SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero));
	if (send(s[1], "0123456789", 10, 0) != 10)
		bail("send");
	if (fin)
		shutdown(s[1], SHUT_WR);
	setsockopt(s[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(s[1]);
	p.fd = s[0];
	poll(&p, 1, 5000);
	return s[0];
}

static int queued(int fd)
{
	int n = -1;

	return ioctl(fd, SIOCINQ, &n) ? -1 : n;
}

static int pending(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

static void reads(void)
{
	char buf[20];
	int fd = reset_pair(false);

	ok(queued(fd) == 10, "SIOCINQ counts the data before a reset");
	ok(recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == 10, "recv() gets it");
	ok(recv(fd, buf, sizeof(buf), 0) < 0 && errno == ECONNRESET,
	   "then ECONNRESET");
	ok(!recv(fd, buf, sizeof(buf), 0), "told once: then the end");
	close(fd);

	fd = reset_pair(false);
	ok(pending(fd) == ECONNRESET, "SO_ERROR tells the reset");
	ok(recv(fd, NULL, 4, MSG_TRUNC | MSG_DONTWAIT) == 4 && queued(fd) == 6,
	   "data can be discarded after that");
	ok(recv(fd, buf, sizeof(buf), 0) == 6, "and the rest read");
	ok(!recv(fd, buf, sizeof(buf), 0), "then the end, no error");
	close(fd);

	fd = reset_pair(false);
	ok(send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == ECONNRESET,
	   "send() tells the reset");
	ok(send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "then EPIPE");
	ok(recv(fd, buf, sizeof(buf), 0) == 10, "data can still be read");
	ok(!recv(fd, buf, sizeof(buf), 0), "then the end");
	close(fd);
}

static void peeks(void)
{
	int fd = reset_pair(false), off = 4;
	char buf[20];

	pending(fd);
	if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off))) {
		printf("# no SO_PEEK_OFF\n");
		close(fd);
		return;
	}
	ok(recv(fd, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT) == 6,
	   "a peek at an offset after the reset");
	ok(!recv(fd, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT),
	   "the next is at the end");
	ok(recv(fd, buf, sizeof(buf), 0) == 10, "all is still there");
	close(fd);
}

static void splices(void)
{
	int fd = reset_pair(false), p[2];

	if (pipe(p))
		bail("pipe");
	ok(splice(fd, NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK) == 10,
	   "splice() gets the data first");
	ok(splice(fd, NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK) < 0 &&
	   errno == ECONNRESET, "then ECONNRESET");
	close(fd);
}

static void fin_first(void)
{
	int fd = reset_pair(true);
	char buf[20];

	ok(pending(fd) == EPIPE, "a reset after a FIN is EPIPE");
	ok(recv(fd, buf, sizeof(buf), 0) == 10 && !recv(fd, buf, sizeof(buf), 0),
	   "data and end can be read");
	close(fd);
}

static int unsent(int fd)
{
	int n = -1;

	return ioctl(fd, SIOCOUTQNSD, &n) ? -1 : n;
}

static void send_queue(void)
{
	static char b[65536];
	int64_t end = now_ms() + 10000;
	int s[2];

	if (!tcp_pair(AF_INET, s))
		bail("tcp pair");
	send(s[0], b, 100, 0);
	while (unsent(s[0]) && now_ms() < end)
		poll(NULL, 0, 1);
	ok(!unsent(s[0]), "100 bytes are sent, read or not");
	while (send(s[0], b, sizeof(b), MSG_DONTWAIT) > 0)
		;
	poll(NULL, 0, 20);
	ok(unsent(s[0]) > 0, "more than the peer's window is unsent");
	while (unsent(s[0]) && now_ms() < end)
		if (recv(s[1], NULL, 1 << 20, MSG_TRUNC | MSG_DONTWAIT) < 0)
			poll(NULL, 0, 1);
	ok(!unsent(s[0]), "until the peer has read");
	close(s[0]);
	close(s[1]);
}

static void inherited(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int l = socket(AF_INET, SOCK_STREAM, 0), c, s, v = -1;
	socklen_t len = sizeof(a), vlen = sizeof(v);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(l, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &v, sizeof(v));
	c = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(l, (void *)&a, len) || listen(l, 1) ||
	    getsockname(l, (void *)&a, &len) || connect(c, (void *)&a, len))
		bail("connect");
	s = accept(l, NULL, NULL);
	v = 0;
	getsockopt(s, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &v, &vlen);
	ok(v == -1, "an accepted socket has its listener's TCP_NOTSENT_LOWAT");
	v = 0;
	getsockopt(c, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &v, &vlen);
	ok(!v, "one that was never set is 0: the sysctl counts");
	close(c);
	close(s);
	close(l);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	reads();
	peeks();
	splices();
	fin_first();
	send_queue();
	inherited();
	return done_testing();
}
