/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SO_RCVLOWAT, raised for a moment, makes the receive buffer of a TCP socket
 * larger, without ending the kernel's own sizing as SO_RCVBUF does; and a reader
 * that waits for edges misses none.
 */
#include "plat.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK	72		/* Linux 5.14 */
#endif

#define WANT	(1 << 20)

static uint32_t rcvbuf(int s)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);

	getsockopt(s, SOL_SOCKET, SO_MEMINFO, mem, &len);
	return mem[SK_MEMINFO_RCVBUF];
}

static bool lowat(int s, int bytes)
{
	return !setsockopt(s, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

static void grows(int s)
{
	socklen_t len = sizeof(int);
	uint32_t before = rcvbuf(s);
	int lock = -1;

	ok(lowat(s, WANT) && lowat(s, 1), "it can be raised and taken back");
	ok(rcvbuf(s) > before && rcvbuf(s) >= WANT,
	   "the receive buffer grew from %u to %u", before, rcvbuf(s));
	if (getsockopt(s, SOL_SOCKET, SO_BUF_LOCK, &lock, &len))
		skip("the buffer is not locked", "no SO_BUF_LOCK");
	else
		ok(!lock, "the buffer is not locked");
}

/* Data that comes while it is raised is less than asked for */
static void edges(int from, int to)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, to, &ev))
		bail("epoll");
	lowat(to, WANT);
	send(from, "abc", 3, 0);
	ok(!epoll_wait(ep, &ev, 1, 50), "while it is raised, little is no event");
	lowat(to, 1);
	ok(epoll_wait(ep, &ev, 1, 2000) == 1 && ev.events & EPOLLIN,
	   "once it is taken back, it is");
	close(ep);
}

int main(void)
{
	int s[2];

	if (!tcp_pair(AF_INET, s))
		bail("tcp pair");
	grows(s[1]);
	edges(s[0], s[1]);
	return done_testing();
}
