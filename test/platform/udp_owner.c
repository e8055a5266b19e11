/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What sockets of UDP flows rest on: a listener that was made by another user can
 * be given away by fchown(), so that sockets can be bound beside it; SO_COOKIE
 * tells sockets apart whose descriptors are equal; IP_PKTINFO on a dual-stack
 * socket tells the address of IPv4 datagrams, and sets that of answers.
 */
#include "plat.h"

#include <poll.h>
#include <sys/wait.h>

static int udp6(uint16_t *port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof(a);
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	if (s < 0 || bind(s, (void *)&a, len) ||
	    getsockname(s, (void *)&a, &len))
		bail("dual-stack socket");
	setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	*port = ntohs(a.sin6_port);
	return s;
}

/* Another user binds beside a listener: 0 or errno */
static int other_binds(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(port) };
	int st;

	if (!fork()) {
		int s, one = 1;

		if (setuid(65534))
			_exit(255);
		s = socket(AF_INET, SOCK_DGRAM, 0);
		setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
		_exit(bind(s, (void *)&a, sizeof(a)) ? errno : 0);
	}
	wait(&st);
	return WEXITSTATUS(st);
}

static void owner(void)
{
	uint16_t port;
	int s = udp6(&port);

	if (geteuid()) {
		skip("a listener changes hands", "not root");
	} else {
		ok(other_binds(port) == EADDRINUSE,
		      "a port of one user is not to be shared by another");
		ok(!fchown(s, 65534, (gid_t)-1), "fchown() of a socket");
		ok(!other_binds(port), "its new owner shares it");
	}
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
	owner();
	cookies();
	pktinfo();
	return done_testing();
}
