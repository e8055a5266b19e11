/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SO_PEEK_OFF on TCP: IPv4 from Linux 6.9, IPv6 later, so each family is probed.
 * Peeking advances the offset, consuming moves it back by the same amount, and
 * a peek at the end of the stream returns 0.  Elsewhere a leading iovec that is
 * thrown away has to do: MSG_PEEK with data already seen.
 */
#include "plat.h"

#include <poll.h>

static bool wait_in(int s)
{
	struct pollfd pfd = { .fd = s, .events = POLLIN };

	return poll(&pfd, 1, 10000) == 1;
}

static int peek_off(int s)
{
	socklen_t sl = sizeof(int);
	int v = -2;

	getsockopt(s, SOL_SOCKET, SO_PEEK_OFF, &v, &sl);
	return v;
}

static void test_option(int s[2], const char *fam)
{
	int zero = 0;
	char b[16];

	if (setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero))) {
		skip(fam, "no SO_PEEK_OFF on TCP: %s", strerror(errno));
		return;
	}
	send(s[0], "abcdefgh", 8, 0);
	wait_in(s[1]);
	ok(recv(s[1], b, 3, MSG_PEEK) == 3 && !memcmp(b, "abc", 3) &&
	   recv(s[1], b, 3, MSG_PEEK) == 3 && !memcmp(b, "def", 3),
	   "%s: a second peek goes on where the first ended", fam);
	ok(peek_off(s[1]) == 6, "%s: the offset is what was peeked", fam);
	ok(recv(s[1], NULL, 4, MSG_TRUNC) == 4 && peek_off(s[1]) == 2,
	   "%s: discarding 4 bytes moves the offset back by 4", fam);
	ok(recv(s[1], b, sizeof(b), MSG_PEEK) == 2 && !memcmp(b, "gh", 2),
	   "%s: the rest is peeked", fam);
	ok(recv(s[1], b, sizeof(b), MSG_PEEK | MSG_DONTWAIT) < 0 &&
	   errno == EAGAIN, "%s: nothing more is EAGAIN", fam);
	setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero));
	ok(recv(s[1], b, sizeof(b), MSG_PEEK) == 4 && !memcmp(b, "efgh", 4),
	   "%s: an offset of 0 rewinds to what was not consumed", fam);
	shutdown(s[0], SHUT_WR);
	while (recv(s[1], b, sizeof(b), MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       errno == EAGAIN)
		poll(NULL, 0, 1);
	ok(!recv(s[1], b, sizeof(b), MSG_PEEK),
	   "%s: a peek behind the last byte returns 0 at the end", fam);
}

/* The fallback needs nothing of the kernel but scatter */
static void test_discard_iov(int s[2], const char *fam)
{
	char head[5], b[16];
	struct iovec iov[2] = { { head, sizeof(head) }, { b, sizeof(b) } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	send(s[0], "abcdefgh", 8, 0);
	wait_in(s[1]);
	ok(recvmsg(s[1], &mh, MSG_PEEK) == 8 && !memcmp(b, "fgh", 3),
	   "%s: a leading iovec skips what was seen", fam);
}

static void test_family(int af, const char *fam)
{
	int s[2];

	if (!tcp_pair(af, s)) {
		skip(fam, "no such family: %s", strerror(errno));
		return;
	}
	test_option(s, fam);
	close(s[0]);
	close(s[1]);
	tcp_pair(af, s);
	test_discard_iov(s, fam);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	test_family(AF_INET, "IPv4");
	test_family(AF_INET6, "IPv6");
	return done_testing();
}
