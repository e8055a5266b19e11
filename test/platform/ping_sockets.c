/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ping sockets (SOCK_DGRAM, IPPROTO_ICMP): they start with SO_REUSEADDR on, so
 * two may bind one identifier, and the answer goes to the wrong one; with it off
 * the second bind() says EADDRINUSE.  connect() does not filter replies.  The
 * kernel wants our group within ping_group_range.
 */
#include "plat.h"

#include <netinet/ip_icmp.h>
#include <poll.h>

static int ping_bind(int reuse, int id)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(id) };
	int s = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);

	if (s < 0)
		return -errno;
	if (reuse >= 0)
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
	if (bind(s, (void *)&a, sizeof(a)))
		return -errno;
	return s;
}

static int echo(int s, const char *to)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct pollfd pfd = { .fd = s, .events = POLLIN };
	struct icmphdr ih = { .type = ICMP_ECHO,
			      .un.echo = { .id = 1, .sequence = htons(77) } };
	int got = -1;

	inet_pton(AF_INET, to, &a.sin_addr);
	sendto(s, &ih, sizeof(ih), 0, (void *)&a, sizeof(a));
	if (poll(&pfd, 1, 10000) == 1 &&
	    recv(s, &ih, sizeof(ih), 0) == sizeof(ih) &&
	    ih.type == ICMP_ECHOREPLY && ntohs(ih.un.echo.sequence) == 77)
		got = ntohs(ih.un.echo.id);
	return got;
}

int main(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t sl = sizeof(int);
	int s, v = -1;

	fresh_namespaces(CLONE_NEWNET);
	link_flags("lo", IFF_UP);

	try_file("/proc/sys/net/ipv4/ping_group_range", "1 0");
	s = ping_bind(0, 7);
	ok(s == -EACCES, "a closed ping_group_range is EACCES");
	put_file("/proc/sys/net/ipv4/ping_group_range", "0 0");
	ok(true, "in a map of one id \"0 0\" can be written");

	s = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, &sl);
	ok(v == 1, "SO_REUSEADDR is on from the start");
	close(s);

	s = ping_bind(0, 7);
	ok(s >= 0, "an identifier of our choice is bound");
	ok(echo(s, "127.0.0.1") == 7,
	   "the request carries it, whatever the header said");
	ok(ping_bind(0, 7) == -EADDRINUSE,
	   "with SO_REUSEADDR off it can be bound once");
	ok(ping_bind(0, 0) >= 0, "0 lets the kernel choose");

	inet_pton(AF_INET, "127.0.0.2", &a.sin_addr);
	ok(!connect(s, (void *)&a, sizeof(a)) && echo(s, "127.0.0.3") == 7,
	   "a connected socket takes the reply of another address");
	return done_testing();
}
