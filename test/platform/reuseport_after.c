/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connected UDP sockets of flows on the port of a listener, without loss or
 * theft: bind the listener plainly, set SO_REUSEPORT on it after the bind, then
 * bind flow sockets with SO_REUSEPORT and connect them.  The kernel gives each
 * datagram to the most specific socket; another user can't take part, because
 * SO_REUSEPORT groups are per user, nor can one who uses SO_REUSEADDR.
 */
#include "plat.h"

#include <poll.h>
#include <sys/wait.h>

static struct sockaddr_in at(const char *addr, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port) };

	inet_pton(AF_INET, addr, &a.sin_addr);
	return a;
}

static int udp(int opt, struct sockaddr_in a)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	if (opt)
		setsockopt(s, SOL_SOCKET, opt, &one, sizeof(one));
	if (bind(s, (void *)&a, sizeof(a))) {
		int e = errno;

		close(s);
		return -e;
	}
	return s;
}

static bool gets(int s, const char *text)
{
	struct pollfd pfd = { .fd = s, .events = POLLIN };
	char b[16] = "";

	return poll(&pfd, 1, 10000) == 1 && recv(s, b, sizeof(b) - 1, 0) > 0 &&
	       !strcmp(b, text);
}

static void tell(int s, const char *text, struct sockaddr_in to)
{
	sendto(s, text, strlen(text), 0, (void *)&to, sizeof(to));
}

/* bind() by another user with an option: 0 or errno */
static int other_user_binds(int opt, struct sockaddr_in a)
{
	int st;

	if (!fork()) {
		int s;

		if (setuid(65534))
			_exit(255);
		s = udp(opt, a);
		_exit(s < 0 ? -s : 0);
	}
	wait(&st);
	return WEXITSTATUS(st);
}

int main(void)
{
	struct sockaddr_in any = at("0.0.0.0", 7000), lo = at("127.0.0.1", 7000);
	struct sockaddr_in from = at("127.0.0.1", 7001);
	int l, flow, c1, c2, one = 1;
	bool root = !geteuid();

	/* No user namespace: the test of the other user needs a real one */
	if (!root)
		fresh_namespaces(CLONE_NEWNET);
	else if (unshare(CLONE_NEWNET))
		bail("unshare");
	link_flags("lo", IFF_UP);

	l = udp(0, any);
	ok(l >= 0, "the listener binds plainly");
	ok(udp(SO_REUSEPORT, lo) == -EADDRINUSE,
	   "nothing binds beside it before SO_REUSEPORT is set");
	setsockopt(l, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	flow = udp(SO_REUSEPORT, lo);
	ok(flow >= 0, "a flow socket binds beside it afterwards");
	ok(!connect(flow, (void *)&from, sizeof(from)), "and connects");

	c1 = udp(0, from);
	c2 = udp(0, at("127.0.0.1", 7002));
	tell(c1, "one", lo);
	ok(gets(flow, "one"), "its own peer reaches the flow socket");
	tell(c2, "two", lo);
	ok(gets(l, "two"), "any other reaches the listener");

	ok(udp(SO_REUSEADDR, at("127.0.0.1", 7000)) == -EADDRINUSE,
	   "SO_REUSEADDR does not let another socket in");
	if (!root) {
		skip("another user is kept out", "needs root");
	} else {
		int e = other_user_binds(SO_REUSEPORT, lo);

		ok(e == EADDRINUSE, "another user is kept out (%s)",
		   strerror(e));
	}
	return done_testing();
}
