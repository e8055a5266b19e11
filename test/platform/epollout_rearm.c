/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * EPOLLOUT on a TCP socket whose buffer is full.  Edge-triggered interest that is
 * set once fires only after the kernel noted that somebody wanted room
 * (SOCK_NOSPACE): an EAGAIN, or a poll while the buffer is full, which
 * EPOLL_CTL_MOD performs.  So MOD is a way to re-arm without sending.
 */
#include "plat.h"

#include <poll.h>
#include <sys/epoll.h>

static int epoll_one(int ep, int timeout_ms)
{
	struct epoll_event ev;

	return epoll_wait(ep, &ev, 1, timeout_ms) == 1 &&
	       (ev.events & EPOLLOUT);
}

static void fill(int s)
{
	static char b[65536];

	while (send(s, b, sizeof(b), MSG_DONTWAIT) > 0)
		;
}

static void drain(int s)
{
	static char b[1 << 20];
	int64_t end = now_ms() + 200;

	while (now_ms() < end)
		if (recv(s, b, sizeof(b), MSG_DONTWAIT) < 0)
			poll(NULL, 0, 1);
}

int main(void)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	int s[2], ep = epoll_create1(0);

	if (!tcp_pair(AF_INET, s))
		bail("tcp pair");
	epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &ev);
	ok(epoll_one(ep, 10000), "an empty socket is writable at once");
	ok(!epoll_one(ep, 0), "the edge is reported once");

	epoll_ctl(ep, EPOLL_CTL_MOD, s[0], &ev);
	ok(epoll_one(ep, 0), "EPOLL_CTL_MOD reports a level that is set");

	fill(s[0]);
	epoll_ctl(ep, EPOLL_CTL_MOD, s[0], &ev);
	ok(!epoll_one(ep, 0), "a full socket is not writable after MOD");
	drain(s[1]);
	ok(epoll_one(ep, 10000), "after MOD on a full socket room is an event");
	return done_testing();
}
