/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Behaviour that the sockets shared by UDP flows rest on: no socket binds beside one
 * that was bound plainly; the error queue of a socket that is not connected names
 * the destination of each error, which fails one call, to anybody; SO_COOKIE tells
 * sockets apart whose descriptors are equal; IP_PKTINFO on a dual-stack socket
 * tells the address of IPv4 datagrams, and sets that of answers.
 */
#include "plat.h"

#include <poll.h>

static int udp6(uint16_t *port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof(a);
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0 || bind(s, (void *)&a, len) ||
	    getsockname(s, (void *)&a, &len))
		bail("dual-stack socket");
	*port = ntohs(a.sin6_port);
	return s;
}

/* bind() of the loopback beside a socket, with an option: 0 or errno */
static int binds_beside(uint16_t port, int option)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(port) };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1, rc;

	setsockopt(s, SOL_SOCKET, option, &one, sizeof(one));
	rc = bind(s, (void *)&a, sizeof(a)) ? errno : 0;
	close(s);
	return rc;
}

static void exclusive(void)
{
	uint16_t port;
	int s = udp6(&port);

	ok(binds_beside(port, SO_REUSEPORT) == EADDRINUSE,
	   "SO_REUSEPORT does not let another socket in");
	ok(binds_beside(port, SO_REUSEADDR) == EADDRINUSE,
	   "nor does SO_REUSEADDR");
	close(s);
}

/* A port of the loopback that nobody listens on */
static struct sockaddr_in closed_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (bind(s, (void *)&a, len) || getsockname(s, (void *)&a, &len))
		bail("bind");
	close(s);
	return a;
}

static void errors(void)
{
	struct sockaddr_in to[2] = { closed_port(), closed_port() }, name;
	struct msghdr mh = { .msg_name = &name, .msg_namelen = sizeof(name) };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
	struct pollfd pfd = { .fd = s };

	setsockopt(s, IPPROTO_IP, IP_RECVERR, &one, sizeof(one));
	sendto(s, "x", 1, 0, (void *)&to[0], sizeof(to[0]));
	if (poll(&pfd, 1, 10000) != 1)
		bail("poll");
	ok(sendto(s, "x", 1, 0, (void *)&to[1], sizeof(to[1])) < 0 &&
	   errno == ECONNREFUSED, "an error fails a send to another peer");
	ok(sendto(s, "x", 1, 0, (void *)&to[1], sizeof(to[1])) == 1,
	   "and the next one does not fail");
	ok(recvmsg(s, &mh, MSG_ERRQUEUE) >= 0 &&
	   name.sin_port == to[0].sin_port &&
	   name.sin_addr.s_addr == to[0].sin_addr.s_addr,
	   "the error queue names the destination");
	close(s);
}

static uint64_t cookie(int fd)
{
	uint64_t v = 0;
	socklen_t len = sizeof(v);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &v, &len) ? 0 : v;
}

static void cookies(void)
{
	uint16_t port;
	int s = udp6(&port), t;
	uint64_t v = cookie(s);

	ok(v && cookie(s) == v, "a socket has a cookie");
	close(s);
	t = udp6(&port);
	ok(t == s && cookie(t) != v, "another with its descriptor has another");
	close(t);
}

static void pktinfo(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(0x7f000005) }, from;
	union { struct cmsghdr align; char b[128]; } control;
	struct sockaddr_in6 name;
	struct iovec iov = { (char[4]){ 0 }, 4 };
	struct msghdr mh = { .msg_name = &name, .msg_namelen = sizeof(name),
			     .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	struct in6_pktinfo info6;
	struct in_pktinfo info4 = { 0 };
	struct cmsghdr *cm;
	socklen_t len = sizeof(from);
	uint16_t port;
	int s = udp6(&port), c = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	uint32_t mapped = 0;

	setsockopt(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	to.sin_port = htons(port);
	sendto(c, "x", 1, 0, (void *)&to, sizeof(to));
	if (recvmsg(s, &mh, 0) != 1)
		bail("recvmsg");
	for (cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm))
		if (cm->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, CMSG_DATA(cm), sizeof(info6));
			memcpy(&mapped, &info6.ipi6_addr.s6_addr[12], 4);
		}
	ok(mapped == to.sin_addr.s_addr,
	      "IPV6_RECVPKTINFO tells an IPv4 destination as a mapped one");

	info4.ipi_spec_dst = to.sin_addr;
	mh.msg_controllen = CMSG_SPACE(sizeof(info4));
	cm = CMSG_FIRSTHDR(&mh);
	cm->cmsg_level = IPPROTO_IP;
	cm->cmsg_type = IP_PKTINFO;
	cm->cmsg_len = CMSG_LEN(sizeof(info4));
	memcpy(CMSG_DATA(cm), &info4, sizeof(info4));
	ok(sendmsg(s, &mh, 0) >= 0 &&
	      recvfrom(c, iov.iov_base, 1, 0, (void *)&from, &len) == 1 &&
	      from.sin_addr.s_addr == to.sin_addr.s_addr,
	      "IP_PKTINFO sets the source of an answer by an IPv6 socket");
	close(s);
	close(c);
}

int main(void)
{
	exclusive();
	errors();
	cookies();
	pktinfo();
	return done_testing();
}
