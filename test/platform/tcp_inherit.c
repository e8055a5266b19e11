/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A socket that accept() returns has the options of its listener. Without a wire in
 * between, a connection is established when connect() returns EINPROGRESS.
 */
#include "plat.h"

#include <netinet/tcp.h>

static void check_option(int fd, int level, int option, const char *name)
{
	socklen_t len = sizeof(int);
	int v = 0;

	getsockopt(fd, level, option, &v, &len);
	ok(v, "an accepted socket has %s of its listener", name);
}

int main(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int l = socket(AF_INET, SOCK_STREAM, 0), one = 1, c, s;
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(a);

	setsockopt(l, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(l, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
	setsockopt(l, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	if (bind(l, (struct sockaddr *)&a, len) || listen(l, 1) ||
	    getsockname(l, (struct sockaddr *)&a, &len))
		return 2;
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ok(connect(c, (struct sockaddr *)&a, len) && errno == EINPROGRESS,
	   "connect() does not wait");
	len = sizeof(info);
	getsockopt(c, IPPROTO_TCP, TCP_INFO, &info, &len);
	ok(info.tcpi_state == TCP_ESTABLISHED, "the handshake is complete by then");

	s = accept(l, NULL, NULL);
	check_option(s, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY");
	check_option(s, SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE");
	check_option(s, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
	return done_testing();
}
