/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * serve.c - The peers of a hostile guest
 *
 * Servers that echo, read, send without end, do neither, end or reset connections at once,
 * and clients of the ports that lead to the guest. A socket that errs is closed. There
 * are at most SOCKS of them: a new one takes the place of another.
 */

#include "hostile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define SOCKS		8192U
#define DIAL_MS		10

static struct sock {
	int	fd;			/* 0: free */
	uint16_t port;			/* of the server, 0: a client */
	bool	listens, udp;
} socks[SOCKS];
static unsigned fixed;			/* the first ones stay */
static int epfd;

static void sock_close(struct sock *s)
{
	close(s->fd);
	s->fd = 0;
}

static struct sock *sock_add(int fd, uint16_t port, uint32_t events)
{
	static unsigned next;
	struct sock *s;
	struct epoll_event ev = { .events = events };

	if (next < fixed || next >= SOCKS)
		next = fixed;
	s = &socks[next++];
	if (s->fd)
		sock_close(s);
	*s = (struct sock){ .fd = fd, .port = port };
	ev.data.u32 = (uint32_t)(s - socks);
	epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
	return s;
}

/* A server at all addresses of both families */
static void serve_port(uint16_t port, bool udp)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	int zero = 0, one = 1;
	struct sock *s;

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)) ||
	    (!udp && listen(fd, port == PORT_FULL ? 0 : 4096)))
		die("server");
	s = sock_add(fd, port, port == PORT_FULL ? 0 : EPOLLIN);
	s->listens = !udp;
	s->udp = udp;
	fixed++;
}

static void set_reset(int fd)
{
	const struct linger l = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static void accept_one(const struct sock *server)
{
	int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (server->port == PORT_RESET)
		set_reset(fd);
	if (server->port == PORT_RESET || server->port == PORT_CLOSE) {
		close(fd);
		return;
	}
	if (server->port == PORT_HALF)
		shutdown(fd, SHUT_WR);
	sock_add(fd, server->port, server->port == PORT_DEAF ? 0 :
		 server->port == PORT_ENDLESS ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Answer from the address that a datagram was sent to, which comes along with it */
static void udp_event(const struct sock *s)
{
	static uint8_t b[65536];
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct sockaddr_in6 from;
	struct iovec iov = { b, sizeof(b) };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov,
			    .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	unsigned i, n = s->port == PORT_BURST ? 4 : 1;
	ssize_t got = recvmsg(s->fd, &m, 0);

	if (got < 0 || !s->port)
		return;
	for (i = 0; i < n; i++) {
		iov.iov_len = n > 1 ? below(9000) : (size_t)got;
		sendmsg(s->fd, &m, 0);
	}
}

/* A connection: true if it goes on */
static bool tcp_event(const struct sock *s, uint32_t events)
{
	static uint8_t b[65536];
	ssize_t n = 0;

	if (events & EPOLLIN || events & (EPOLLERR | EPOLLHUP))
		n = recv(s->fd, b, sizeof(b), 0);
	if (events & EPOLLIN && !n)
		return false;
	if (n < 0)
		return errno == EAGAIN && !(events & (EPOLLERR | EPOLLHUP));
	if (s->port == PORT_ECHO || !s->port)
		return send(s->fd, b, (size_t)n, 0) >= 0 || errno == EAGAIN;
	if (events & EPOLLOUT)
		send(s->fd, b, 1 + below(sizeof(b) - 1), 0);
	return !chance(1);
}

/* A client of a forwarded port: a connection, or some datagrams */
static void dial(const char *text)
{
	struct addr to = addr_of(text);
	uint16_t port = (uint16_t)(PORT_IN_FIRST + below(PORT_IN_LAST - PORT_IN_FIRST + 1));
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	bool udp = chance(40);
	int fd = socket(to.v6 ? AF_INET6 : AF_INET,
			(udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	uint8_t b[1400] = { 0 };
	unsigned i;

	if (fd < 0)
		return;
	memcpy(&a6.sin6_addr, to.b, 16);
	memcpy(&a4.sin_addr, to.b, 4);
	if (connect(fd, to.v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4,
		    to.v6 ? sizeof(a6) : sizeof(a4)) && errno != EINPROGRESS) {
		close(fd);
		return;
	}
	if (chance(50))
		set_reset(fd);
	for (i = below(4); udp && i; i--)
		send(fd, b, below(sizeof(b)), 0);
	sock_add(fd, 0, EPOLLIN)->udp = udp;
	if (!udp && chance(30))
		shutdown(fd, SHUT_WR);
}

static void event(struct sock *s, uint32_t events)
{
	if (!s->fd)
		return;
	if (s->udp)
		udp_event(s);
	else if (s->listens)
		accept_one(s);
	else if (!tcp_event(s, events))
		sock_close(s);
}

/* Serve, and dial the addresses of @to, until killed */
void serve(char *const *to)
{
	static const uint16_t tcp[] = { PORT_ECHO, PORT_DISCARD, PORT_CLOSE, PORT_RESET,
					PORT_ENDLESS, PORT_DEAF, PORT_FULL, PORT_HALF, PORT_DNS };
	static const uint16_t udp[] = { PORT_ECHO, PORT_BURST, PORT_DNS };
	struct epoll_event ev[64];
	struct rlimit files;
	uint64_t next = 0;
	unsigned i, n;
	int rc;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < sizeof(tcp) / sizeof(*tcp); i++)
		serve_port(tcp[i], false);
	for (i = 0; i < sizeof(udp) / sizeof(*udp); i++)
		serve_port(udp[i], true);
	for (n = 0; to[n]; n++)
		;
	for (;;) {
		rc = epoll_wait(epfd, ev, 64, n ? DIAL_MS : -1);
		for (i = 0; rc > 0 && i < (unsigned)rc; i++)
			event(&socks[ev[i].data.u32], ev[i].events);
		if (n && now_ms() >= next) {
			dial(to[below(n)]);
			next = now_ms() + DIAL_MS;
		}
	}
}
