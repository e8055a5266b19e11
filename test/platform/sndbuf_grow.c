/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel lets the send buffer of a TCP socket grow only if a sender found it full:
 * send() failed with EAGAIN, or the socket was polled for room while it had none. A
 * sender that keeps to the room it knows keeps the buffer as small as it was. A size
 * that was set by SO_SNDBUF never grows.
 */
#include "plat.h"

#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO	55
#endif

#define BYTES	(8U << 20)

enum way { CAREFUL, GREEDY, REARMED, FIXED };

static char buf[16384];

/* Buffer size, and bytes of it in use, in truesize */
static uint32_t sndbuf(int s, uint32_t *used)
{
	uint32_t mem[SK_MEMINFO_VARS];
	socklen_t sl = sizeof(mem);

	if (getsockopt(s, SOL_SOCKET, SO_MEMINFO, mem, &sl))
		bail("SO_MEMINFO");
	*used = mem[SK_MEMINFO_WMEM_QUEUED];
	return mem[SK_MEMINFO_SNDBUF];
}

/* Send once; a careful sender does so only with most of the buffer empty */
static size_t send_some(int s, enum way way)
{
	uint32_t used, size = sndbuf(s, &used);
	ssize_t n;

	if (way != GREEDY && used > size / 4)
		return 0;
	n = send(s, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);
	return n > 0 ? (size_t)n : 0;
}

/* Fill the buffer as far as it goes without a refusal, then ask for room */
static size_t send_rearmed(int s, int ep)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	uint32_t used, size = sndbuf(s, &used);
	size_t sum = 0;

	while (used < size) {
		ssize_t n = send(s, buf, 512, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sum += (size_t)n;
		size = sndbuf(s, &used);
	}
	epoll_ctl(ep, EPOLL_CTL_MOD, s, &ev);
	return sum;
}

/*
 * transfer() - Send BYTES over loopback, in this thread alone
 * @before:	Set to the size of the buffer before
 *
 * Return: size of the buffer after it
 */
static uint32_t transfer(enum way way, uint32_t *before)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	int s[2], ep = epoll_create1(0), fixed;
	size_t sent = 0, got = 0;
	int64_t end = now_ms() + 20000;
	uint32_t used, size;

	if (!tcp_pair(AF_INET, s))
		bail("tcp pair");
	epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &ev);
	*before = sndbuf(s[0], &used);
	fixed = (int)*before / 2;	/* the kernel doubles it */
	if (way == FIXED &&
	    setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &fixed, sizeof(fixed)))
		bail("SO_SNDBUF");

	while ((sent < BYTES || got < sent) && now_ms() < end) {
		size_t n = 0;
		ssize_t r;

		if (sent < BYTES)
			n = way == REARMED ? send_rearmed(s[0], ep) :
			    send_some(s[0], way == FIXED ? GREEDY : way);
		sent += n;
		if (n && way != CAREFUL)
			continue;	/* the peer reads once it is full */
		while ((r = recv(s[1], buf, sizeof(buf), MSG_DONTWAIT)) > 0)
			got += (size_t)r;
	}
	if (got < sent || sent < BYTES)
		bail("transfer");
	size = sndbuf(s[0], &used);
	close(s[0]);
	close(s[1]);
	close(ep);
	return size;
}

int main(void)
{
	uint32_t before, after;

	fresh_namespaces(CLONE_NEWNET);
	link_mtu("lo", 1500);	/* small segments: the first buffer is small */
	link_flags("lo", IFF_UP);

	after = transfer(CAREFUL, &before);
	ok(after == before,
	   "a sender that never fills the buffer keeps its size (%u, then %u)",
	   before, after);
	after = transfer(GREEDY, &before);
	ok(after > before, "with EAGAIN it grows (%u, then %u)", before, after);
	after = transfer(REARMED, &before);
	ok(after > before,
	   "with EPOLL_CTL_MOD on a full socket it grows (%u, then %u)",
	   before, after);
	after = transfer(FIXED, &before);
	ok(after <= before,
	   "a size set by SO_SNDBUF stays, even with EAGAIN (%u, then %u)",
	   before, after);
	return done_testing();
}
