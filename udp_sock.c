/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_sock.c - Sockets of UDP flows, and what comes along with a datagram
 *
 * Three kinds of sockets on the host:
 *
 *	outbound	connected to whom the guest dialled, bound to the guest's
 *			own port where that is free
 *	inbound		connected to who sent to a listening socket of ours, bound
 *			to the address and port it sent to: so answers come from
 *			there, and only its datagrams come here
 *	to many		for multicast and broadcast, not connected, because answers
 *			come from anybody
 *
 * All have SO_REUSEPORT set before they are bound. Outbound ones share the port
 * of the guest between its destinations. Inbound ones share that of the
 * listening socket, which got SO_REUSEPORT after its bind, so that nobody but
 * us (the kernel compares users) could bind beside it.
 *
 * Between bind() and connect() a socket takes what comes from anybody. For an
 * outbound one that is thrown away; what an inbound one holds was for the
 * listening socket, and the caller has to look at it.
 */

#include "udp_sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hostsock.h"

#define BUFFER		(4 << 20)	/* wish: the host's limit is far below */
#define DRAIN_MAX	32		/* datagrams of strangers thrown away */

/* ---- Options ---- */

static void common_options(int fd, bool v4)
{
	hostsock_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!v4)
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	hostsock_recv_all(fd, v4);
}

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

/* #syscalls connect */
static int connect_to(int fd, const struct flowside *host, unsigned scope)
{
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&host->eaddr, host->eport, scope, &sa);

	return connect(fd, &sa.sa, len) ? -errno : 0;
}

/* Datagrams of others may have come in before connect(): not for this flow */
/* #syscalls recvfrom recv */
static void drain(int fd)
{
	uint8_t byte;
	unsigned i;

	for (i = 0; i < DRAIN_MAX; i++)
		if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) < 0)
			break;
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

/* Bound to @port, or to any if it is 0 or taken, and connected */
static int outbound(const struct conf *c, const struct flowside *host,
		    uint16_t port, unsigned scope, bool gro)
{
	int fd = hostsock_open(c, &host->eaddr, SOCK_DGRAM, IPPROTO_UDP), rc;

	if (fd < 0)
		return fd;
	common_options(fd, inany_is_v4(&host->eaddr));
	if (host->eport != UDP_PORT_DNS)
		udp_sock_bulk(fd, gro);

	rc = bind_to(fd, &host->oaddr, port, scope);
	if (rc)
		rc = bind_to(fd, &host->oaddr, 0, scope);
	if (!rc)
		rc = connect_to(fd, host, scope);
	if (!rc)
		drain(fd);
	return fd_or_error(fd, rc);
}

/* Is the socket connected to itself? Guest's port and destination's are equal,
 * and the destination is an address of this host */
/* #syscalls getsockname */
static bool is_own_peer(int fd, const struct flowside *host)
{
	union sockaddr_inany sa;
	socklen_t len = sizeof(sa);
	union inany addr;
	uint16_t port;

	if (getsockname(fd, &sa.sa, &len) ||
	    !inany_from_sockaddr(&sa, &addr, &port))
		return false;
	return port == host->eport && inany_equals(&addr, &host->eaddr);
}

/**
 * udp_sock_outbound() - Connected socket of a flow that the guest starts
 * @c:		Configuration
 * @host:	Whom to connect to, what to bind; the port is a wish
 * @scope:	Interface of a link-local peer
 * @gro:	Several datagrams may come as one message
 *
 * Return: file descriptor, negative errno on failure
 */
/* #syscalls close */
int udp_sock_outbound(const struct conf *c, const struct flowside *host,
		      unsigned scope, bool gro)
{
	int fd = outbound(c, host, host->oport, scope, gro);

	if (fd >= 0 && host->oport == host->eport && is_own_peer(fd, host)) {
		close(fd);
		fd = outbound(c, host, 0, scope, gro);
	}
	return fd;
}

/**
 * udp_sock_between() - Bind and connect a socket beside a listening one
 * @fd:		New socket
 * @side:	What to bind (ours), whom to connect to (endpoint)
 * @scope:	Interface of a link-local peer
 *
 * Return: 0 or negative errno
 */
int udp_sock_between(int fd, const struct flowside *side, unsigned scope)
{
	int rc;

	hostsock_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!inany_is_v4(&side->eaddr))
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	rc = bind_to(fd, &side->oaddr, side->oport, scope);
	return rc ? rc : connect_to(fd, side, scope);
}

/**
 * udp_sock_inbound() - Connected socket of a flow that came to a listening one
 * @c:		Configuration
 * @host:	Whom to connect to; address and port that it sent to
 * @scope:	Interface of a link-local peer
 * @ifname:	What the listening socket is bound to, "": any interface
 * @gro:	Several datagrams may come as one message
 *
 * The socket may hold datagrams of others that came in before it was connected.
 *
 * Return: file descriptor, negative errno on failure: -EADDRINUSE where the
 * listening socket does not share its port
 */
int udp_sock_inbound(const struct conf *c, const struct flowside *host,
		     unsigned scope, const char ifname[IFNAMSIZ], bool gro)
{
	bool v4 = inany_is_v4(&host->eaddr);
	int fd = hostsock_open_if(c, v4, SOCK_DGRAM, IPPROTO_UDP, ifname), rc;

	if (fd < 0)
		return fd;
	udp_sock_bulk(fd, gro);
	hostsock_recv_all(fd, v4);
	rc = udp_sock_between(fd, host, scope);
	return fd_or_error(fd, rc);
}

/* Where multicast and limited broadcast leave */
/* #syscalls setsockopt */
static void leave_by(int fd, bool v4, unsigned ifindex)
{
	const struct ip_mreqn mreq = { .imr_ifindex = (int)ifindex };

	if (!v4) {
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF,
				 (int)ifindex);
		return;
	}
	setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &mreq, sizeof(mreq));
	hostsock_set_int(fd, IPPROTO_IP, IP_UNICAST_IF, (int)htonl(ifindex));
}

/**
 * udp_sock_to_many() - Socket for multicast and broadcast of one guest port
 * @c:		Configuration
 * @host:	What to bind; the peer is unspecified and says the family
 *
 * They leave by the interface that the user chose, else by the template one.
 * This host does not hear them: its answers would come from an address that the
 * guest has, too.
 *
 * Return: file descriptor, negative errno on failure
 */
int udp_sock_to_many(const struct conf *c, const struct flowside *host)
{
	bool v4 = inany_is_v4(&host->eaddr);
	const struct conf_ip *ip = v4 ? &c->ip4 : &c->ip6;
	int fd = hostsock_open(c, &host->eaddr, SOCK_DGRAM, IPPROTO_UDP), rc;

	if (fd < 0)
		return fd;
	common_options(fd, v4);
	if (v4) {
		hostsock_set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
		hostsock_set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
	} else {
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
	}
	if (!ip->outbound_if[0] && ip->ifindex)
		leave_by(fd, v4, ip->ifindex);

	rc = bind_to(fd, &host->oaddr, host->oport, ip->ifindex);
	if (rc)
		rc = bind_to(fd, &host->oaddr, 0, ip->ifindex);
	return fd_or_error(fd, rc);
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
	socklen_t len = sizeof(int);
	int domain = AF_INET;

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	*s = (struct udp_shared){ .fd = fd, .dual = domain == AF_INET6,
				  .cookie = cookie(fd) };
}

/* udp_shared_is_there() - Is the descriptor still that socket's? */
bool udp_shared_is_there(const struct udp_shared *s)
{
	return s->cookie && cookie(s->fd) == s->cookie;
}

/**
 * udp_shared_dest() - How to reach the endpoint of a side by such a socket
 * @s:		The socket
 * @side:	The side; its own address is what messages will come from
 * @scope:	Interface of a link-local endpoint
 */
struct udp_dest udp_shared_dest(const struct udp_shared *s,
				const struct flowside *side, unsigned scope)
{
	struct udp_dest d = { .src = &side->oaddr };

	if (inany_is_unspecified(&side->oaddr))
		d.src = NULL;
	d.len = inany_to_sockaddr(&side->eaddr, side->eport, scope, &d.sa);
	if (!s->dual || !inany_is_v4(&side->eaddr))
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
	struct in6_pktinfo info6;
	struct in_pktinfo info4;

	if (cm->cmsg_level == IPPROTO_IP && cm->cmsg_type == IP_PKTINFO) {
		memcpy(&info4, CMSG_DATA(cm), sizeof(info4));
		m->dst = inany_from_v4(info4.ipi_spec_dst);
	} else if (cm->cmsg_level == IPPROTO_IPV6 &&
		   cm->cmsg_type == IPV6_PKTINFO && !inany_is_set(&m->dst)) {
		memcpy(&info6, CMSG_DATA(cm), sizeof(info6));
		m->dst = inany_from_v6(&info6.ipi6_addr);
	}
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
		udp_put_source(&mh, d->src);
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
 * udp_put_source() - A message is to be sent from this address
 * @mh:		The message; msg_control has room behind msg_controllen
 * @src:	Address of this host; also for an IPv6 socket that sends IPv4
 */
void udp_put_source(struct msghdr *mh, const union inany *src)
{
	struct in6_pktinfo info6 = { .ipi6_addr = src->a6 };
	struct in_pktinfo info4 = { .ipi_spec_dst = src->v4mapped.a4 };

	if (inany_is_v4(src))
		put(mh, IPPROTO_IP, IP_PKTINFO, &info4, sizeof(info4));
	else
		put(mh, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
}
