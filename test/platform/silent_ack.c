/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No event tells that the peer has acknowledged data: an edge-triggered epoll that
 * watches a TCP socket for everything stays silent while SIOCOUTQ falls to 0. So it has
 * to be asked again and again.
 */
#include "plat.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>

int main(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLPRI | EPOLLOUT |
					    EPOLLRDHUP | EPOLLET };
	int64_t end = now_ms() + 5000;
	int s[2], ep = epoll_create1(0), n = -1;

	if (!tcp_pair(AF_INET, s))
		bail("tcp pair");
	epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &ev);
	ok(epoll_wait(ep, &ev, 1, 10000) == 1 && ev.events == EPOLLOUT,
	   "a new connection is writable");

	if (send(s[0], "hello", 5, 0) != 5)
		bail("send");
	while ((ioctl(s[0], SIOCOUTQ, &n) || n) && now_ms() < end)
		poll(NULL, 0, 1);
	ok(!n, "the peer acknowledges the data");
	ok(!epoll_wait(ep, &ev, 1, 100), "no event tells of that");

	if (send(s[1], "x", 1, 0) != 1)
		bail("send");
	ok(epoll_wait(ep, &ev, 1, 10000) == 1 && ev.events & EPOLLIN,
	   "data of the peer is an event");
	return done_testing();
}
