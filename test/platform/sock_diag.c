/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sock_diag(7) lists the listeners of the namespace that its socket was opened in, for
 * any user and from any namespace. Established connections are neither listed nor
 * visited. SO_COOKIE identifies a socket.
 */
#include "plat.h"

#include "../../netlink.c"
#include "../../sockdiag.c"

enum { CONNS = 200 };

static uint32_t buf[SOCKDIAG_BUF / sizeof(uint32_t)];
static struct sockdiag_entry list[64];
static unsigned listed;
static uint32_t seq;

static void seen(const struct sockdiag_entry *e, void *arg)
{
	(void)arg;
	if (listed < 64)
		list[listed++] = *e;
}

static unsigned ask(int diag, uint8_t proto, sa_family_t family)
{
	listed = 0;
	if (sockdiag_dump(diag, proto, family, ++seq, buf, seen, NULL))
		return 0;
	return listed;
}

static int bound(int type, int af, uint16_t port)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
				     .sin6_port = htons(port) };
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(port) };
	int s = socket(af, type | SOCK_CLOEXEC, 0);

	if (af == AF_INET ? bind(s, (void *)&sin, sizeof(sin)) :
			    bind(s, (void *)&sin6, sizeof(sin6)))
		bail("bind");
	if (type == SOCK_STREAM && listen(s, 5))
		bail("listen");
	return s;
}

int main(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(9) };
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int diag, tcp, udp, pair[2], i;

	fresh_namespaces(CLONE_NEWNET);
	link_flags("lo", IFF_UP);
	diag = sockdiag_open();
	ok(diag >= 0, "a socket for questions can be had");

	tcp = bound(SOCK_STREAM, AF_INET6, 7000);
	bound(SOCK_STREAM, AF_INET, 7001);
	ok(ask(diag, IPPROTO_TCP, AF_INET) == 1 && list[0].port == 7001,
	   "a listener is told by its family");
	ok(ask(diag, IPPROTO_TCP, AF_INET6) == 1 && list[0].port == 7000,
	   "one of both families is told as IPv6");
	getsockopt(tcp, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	ok(cookie && list[0].cookie == cookie, "by the name that it has itself");

	for (i = 0; i < CONNS; i++) {
		if (!tcp_pair(AF_INET, pair))
			bail("connection");
	}
	ok(ask(diag, IPPROTO_TCP, AF_INET) == 1, "connections are not told");

	udp = bound(SOCK_DGRAM, AF_INET, 7002);
	ok(ask(diag, IPPROTO_UDP, AF_INET) == 1 && list[0].port == 7002,
	   "a UDP socket is told when it is bound");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(udp, (void *)&to, sizeof(to)))
		bail("connect");
	ok(!ask(diag, IPPROTO_UDP, AF_INET), "and not while it is connected");

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		bail("unshare");
	ok(ask(diag, IPPROTO_TCP, AF_INET6) == 1 && list[0].port == 7000,
	   "from another namespace the answer is the same");
	ok(!ask(sockdiag_open(), IPPROTO_TCP, AF_INET6),
	   "which has none of its own");
	return done_testing();
}
