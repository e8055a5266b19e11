/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_sock.c - Host sockets of UDP, and what comes along with a datagram
 *
 * No socket here is connected, and none shares its port: SO_REUSEPORT would let
 * any other process of this user, another instance of this program for one, take
 * part in a port's datagrams. A connected socket would not get answers from
 * another port or address of a server, nor recover when the host's address
 * changes. So each message names its destination, and the kernel chooses its
 * source anew, unless an address was asked for.
 *
 * One socket serves multicast and unicast. It gets no multicast that other
 * processes of the host joined.
 */

#include "udp_sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hostsock.h"

#define DISCARD_MAX	64		/* datagrams thrown away at once */
#define BUFFER		(4 << 20)	/* wish: the host's limit is far below */

#ifndef IP_MULTICAST_ALL
#define IP_MULTICAST_ALL	49		/* Linux 2.6.31 */
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL	29		/* Linux 4.20 */
#endif

/* ---- Options ---- */

/**
 * udp_sock_bulk() - Prepare for more than a question and its answer
 * @fd:		UDP socket
 * @gro:	Several datagrams may come as one message
 */
void udp_sock_bulk(int fd, bool gro)
{
	hostsock_set_int(fd, SOL_SOCKET, SO_RCVBUF, BUFFER);
	hostsock_set_int(fd, SOL_SOCKET, SO_SNDBUF, BUFFER);
	if (gro)
		hostsock_set_int(fd, SOL_UDP, UDP_GRO, 1);
}

/**
 * udp_sock_clear_error() - Take a pending error that is in no queue
 *
 * Otherwise EPOLLERR would stay.
 */
/* #syscalls getsockopt */
void udp_sock_clear_error(int fd)
{
	socklen_t len = sizeof(int);
	int error;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

/**
 * udp_sock_discard() - Throw away some of the datagrams that were received
 *
 * Return: how many
 */
/* #syscalls recvfrom recv */
unsigned udp_sock_discard(int fd)
{
	uint8_t byte;
	unsigned n;

	for (n = 0; n < DISCARD_MAX; n++)
		if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) < 0)
			break;
	return n;
}

/* ---- Sockets ---- */

/* 0 or negative errno */
/* #syscalls bind */
static int bind_to(int fd, const union inany *addr, uint16_t port,
		   unsigned scope)
{
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(addr, port, scope, &sa);

	return bind(fd, &sa.sa, len) ? -errno : 0;
}

/* The socket, or the error after it is closed */
/* #syscalls close */
static int fd_or_error(int fd, int rc)
{
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* Port that a socket is bound to, 0 if that can't be told */
/* #syscalls getsockname */
static uint16_t bound_port(int fd)
{
	union sockaddr_inany sa;
	socklen_t len = sizeof(sa);
	union inany addr;
	uint16_t port;

	if (getsockname(fd, &sa.sa, &len) ||
	    !inany_from_sockaddr(&sa, &addr, &port))
		return 0;
	return port;
}

/**
 * udp_sock_port() - Socket for a port of the guest
 * @c:		Configuration
 * @peer:	First peer: tells the family, and whether it is on this host
 * @addr:	Address to bind, unspecified: any
 * @port:	Port to bind if it is free, 0: any. Set to the one that is bound
 *
 * Return: file descriptor, negative errno on failure
 */
int udp_sock_port(const struct conf *c, const union inany *peer,
		  const union inany *addr, uint16_t *port)
{
	bool v4 = inany_is_v4(peer);
	int fd = hostsock_open(c, peer, SOCK_DGRAM, IPPROTO_UDP), rc;

	if (fd < 0)
		return fd;
	if (v4) {
		hostsock_set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	} else {
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	}
	hostsock_recv_all(fd, v4);
	rc = bind_to(fd, addr, *port, c->ip6.ifindex);
	if (!rc && *port)
		return fd;
	if (rc)
		rc = bind_to(fd, addr, 0, c->ip6.ifindex);
	*port = bound_port(fd);
	return fd_or_error(fd, rc);
}

/**
 * udp_sock_is_own() - Is this an address of this host?
 * @addr:	Address
 * @scope:	Its interface, if it is link-local
 *
 * To its own addresses a host sends from the same one.
 */
/* #syscalls socket connect close */
bool udp_sock_is_own(const union inany *addr, unsigned scope)
{
	union sockaddr_inany sa, own;
	socklen_t len = inany_to_sockaddr(addr, 9, scope, &sa);
	socklen_t own_len = sizeof(own);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union inany from;
	bool same;

	if (fd < 0)
		return false;
	same = !connect(fd, &sa.sa, len) &&
	       !getsockname(fd, &own.sa, &own_len) &&
	       inany_from_sockaddr(&own, &from, NULL) &&
	       inany_equals(&from, addr);
	close(fd);
	return same;
}

/**
 * udp_sock_to_many() - Prepare a socket for sending multicast and broadcast
 * @fd:		UDP socket
 * @v4:		Family
 *
 * This host does not hear them: its answers would come from an address that the
 * guest has, too.
 */
void udp_sock_to_many(int fd, bool v4)
{
	if (v4) {
		hostsock_set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
		hostsock_set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
	} else {
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
	}
}

/**
 * udp_sock_set_many_ttl() - TTL or hop limit of multicast
 */
void udp_sock_set_many_ttl(int fd, bool v4, uint8_t ttl)
{
	if (v4)
		hostsock_set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl);
	else
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl);
}

/* ---- Sockets of others ---- */

/* #syscalls getsockopt */
static uint64_t cookie(int fd)
{
	socklen_t len = sizeof(uint64_t);
	uint64_t number;

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &number, &len))
		return 0;
	return number;
}

/**
 * udp_shared_set() - Take note of a socket
 * @s:		Filled in
 * @fd:		The socket
 */
/* #syscalls getsockopt */
void udp_shared_set(struct udp_shared *s, int fd)
{
	socklen_t len = sizeof(int), v6only_len = sizeof(int);
	int domain = AF_INET, v6only = 0;

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	if (domain == AF_INET6)
		getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only,
			   &v6only_len);
	*s = (struct udp_shared){
		.fd = fd, .cookie = cookie(fd),
		.v4 = domain == AF_INET || !v6only, .v6 = domain == AF_INET6,
	};
}

/* udp_shared_is_there() - Is the descriptor still that socket's? */
bool udp_shared_is_there(const struct udp_shared *s)
{
	return s->cookie && cookie(s->fd) == s->cookie;
}

/**
 * udp_shared_dest() - How to reach the endpoint of a side by such a socket
 * @s:		The socket
 * @side:	The side; its own address is the source of messages
 * @scope:	Interface of a link-local endpoint
 */
struct udp_dest udp_shared_dest(const struct udp_shared *s,
				const struct flowside *side, unsigned scope)
{
	struct udp_dest d = { .src = &side->oaddr };

	if (inany_is_unspecified(&side->oaddr))
		d.src = NULL;
	d.len = inany_to_sockaddr(&side->eaddr, side->eport, scope, &d.sa);
	if (!s->v6 || !inany_is_v4(&side->eaddr))
		return d;
	d.sa = (union sockaddr_inany){
		.sin6 = { .sin6_family = AF_INET6,
			  .sin6_port = htons(side->eport),
			  .sin6_addr = side->eaddr.a6 },
	};
	d.len = sizeof(d.sa.sin6);
	return d;
}

/* ---- Control messages ---- */

/* Address that a datagram was for. A dual-stack socket tells that of IPv4 as a
 * mapped one; IP_PKTINFO knows better for broadcasts: what to answer from */
static void get_dst(struct udp_meta *m, const struct cmsghdr *cm)
{
	union inany to = { 0 };
	struct in6_pktinfo info6;
	struct in_pktinfo info4;

	if (cm->cmsg_level == IPPROTO_IP && cm->cmsg_type == IP_PKTINFO) {
		memcpy(&info4, CMSG_DATA(cm), sizeof(info4));
		m->dst = inany_from_v4(info4.ipi_spec_dst);
		to = inany_from_v4(info4.ipi_addr);
	} else if (cm->cmsg_level == IPPROTO_IPV6 &&
		   cm->cmsg_type == IPV6_PKTINFO) {
		memcpy(&info6, CMSG_DATA(cm), sizeof(info6));
		to = inany_from_v6(&info6.ipi6_addr);
		if (!inany_is_set(&m->dst))
			m->dst = to;
	}
	if (inany_is_multicast(&to))
		m->group = to;
}

/**
 * udp_meta_get() - All about a message that recvmmsg() got
 * @m:		Filled in
 * @mm:		The message
 */
void udp_meta_get(struct udp_meta *m, const struct mmsghdr *mm)
{
	struct msghdr mh = mm->msg_hdr;
	const union sockaddr_inany *sa = mh.msg_name;
	struct cmsghdr *cm;
	int v;

	*m = (struct udp_meta){ .len = mm->msg_len };
	if (sa && mh.msg_namelen &&
	    inany_from_sockaddr(sa, &m->src, &m->sport) &&
	    sa->sa.sa_family == AF_INET6)
		m->scope = sa->sin6.sin6_scope_id;
	for (cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm)) {
		if (cm->cmsg_level == SOL_UDP && cm->cmsg_type == UDP_GRO) {
			v = hostsock_cmsg_int(cm);
			if (v > 0 && (size_t)v < m->len)
				m->gso_size = (uint16_t)v;
		} else if (!hostsock_cmsg_hops(cm, &m->ttl, &m->tos)) {
			get_dst(m, cm);
		}
	}
}

/* Append a control message; @mh->msg_control has room, and zeroed memory */
static void put(struct msghdr *mh, int level, int type, const void *data,
		size_t len)
{
	struct cmsghdr *cm;

	cm = (void *)((uint8_t *)mh->msg_control + mh->msg_controllen);
	mh->msg_controllen += CMSG_SPACE(len);
	cm->cmsg_level = level;
	cm->cmsg_type = type;
	cm->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cm), data, len);
}

/**
 * udp_message_to() - A message without data yet
 * @d:		Where it goes
 * @iov:	For its data
 * @control:	For control messages
 */
struct msghdr udp_message_to(const struct udp_dest *d, struct iovec *iov,
			     void *control)
{
	struct msghdr mh = { .msg_iov = iov, .msg_control = control };

	if (d->len) {
		mh.msg_name = (void *)&d->sa;
		mh.msg_namelen = d->len;
	}
	if (d->src)
		udp_put_source(&mh, d->src, d->ifindex);
	return mh;
}

/**
 * udp_put_segment_size() - A message is to be sent as several datagrams
 * @mh:		The message; msg_control has room behind msg_controllen
 * @size:	Bytes of each
 */
void udp_put_segment_size(struct msghdr *mh, uint16_t size)
{
	put(mh, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
}

/**
 * udp_put_source() - A message is to be sent from this address, this way
 * @mh:		The message; msg_control has room behind msg_controllen
 * @src:	Address of this host, unspecified: the kernel chooses; also for an
 *		IPv6 socket that sends IPv4
 * @ifindex:	Interface, 0: the routes tell
 */
void udp_put_source(struct msghdr *mh, const union inany *src,
		    unsigned ifindex)
{
	struct in6_pktinfo info6 = {
		.ipi6_addr = src->a6, .ipi6_ifindex = ifindex,
	};
	struct in_pktinfo info4 = {
		.ipi_spec_dst = src->v4mapped.a4, .ipi_ifindex = (int)ifindex,
	};

	if (inany_is_v4(src))
		put(mh, IPPROTO_IP, IP_PKTINFO, &info4, sizeof(info4));
	else
		put(mh, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
}
