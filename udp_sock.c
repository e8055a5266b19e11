/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_sock.c - Host sockets of UDP
 *
 * No socket here shares its port: with SO_REUSEPORT any other process of this user,
 * another instance of this program for one, could take a port's datagrams. And none is
 * connected: a connected socket does not get answers from another port or address of a
 * server, and does not recover when the host's address changes. So each message names
 * its destination, and the kernel chooses the source of each, unless the user or the
 * peer named an address.
 *
 * One socket serves multicast and unicast. It does not get the multicast of groups that
 * other processes of the host joined.
 */

#include "udp_sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "hostsock.h"

#define DISCARD_MAX	64		/* datagrams dropped at a time */
#define BUFFER		(4 << 20)	/* bytes; the host's limit is far below */

#ifndef IP_MULTICAST_ALL
#define IP_MULTICAST_ALL	49		/* Linux 2.6.31 */
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL	29		/* Linux 4.20 */
#endif

/* Options -------------------------------------------------------------------- */

/**
 * udp_sock_bulk() - Prepare a socket for more than a question and its answer
 * @fd:		UDP socket
 * @gro:	Accept several datagrams in one message
 */
void udp_sock_bulk(int fd, bool gro)
{
	hostsock_set_int(fd, SOL_SOCKET, SO_RCVBUF, BUFFER);
	hostsock_set_int(fd, SOL_SOCKET, SO_SNDBUF, BUFFER);
	if (gro)
		hostsock_set_int(fd, SOL_UDP, UDP_GRO, 1);
}

/**
 * udp_sock_clear_error() - Clear a pending error that is in no queue
 *
 * Otherwise EPOLLERR would be reported again.
 */
/* #syscalls getsockopt */
void udp_sock_clear_error(int fd)
{
	socklen_t len = sizeof(int);
	int error;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

/**
 * udp_sock_discard() - Drop some of the received datagrams
 *
 * Return: their number
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

/* Sockets -------------------------------------------------------------------- */

/* Return: 0 or negative errno */
/* #syscalls bind */
static int bind_to(int fd, const union inany *addr, uint16_t port,
		   unsigned scope)
{
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(addr, port, scope, &sa);

	return bind(fd, &sa.sa, len) ? -errno : 0;
}

/* Get the port that a socket is bound to, 0 if unknown */
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
 * udp_sock_port() - Make a socket for a port of the guest
 * @c:		Configuration
 * @peer:	First peer: gives the family, and may be on this host
 * @addr:	Address to bind, unspecified: any
 * @port:	Port to bind if it is free, 0: any. Set to the port that is bound
 *
 * Return: file descriptor, negative errno on failure
 */
/* #syscalls close */
int udp_sock_port(const struct conf *c, const struct hostnet *net,
		  const union inany *peer, const union inany *addr,
		  uint16_t *port)
{
	bool v4 = inany_is_v4(peer);
	int fd = hostsock_open(c, net, peer, SOCK_DGRAM, IPPROTO_UDP), rc;

	if (fd < 0)
		return fd;
	if (v4) {
		hostsock_set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	} else {
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	}
	hostsock_recv_all(fd, v4);
	rc = bind_to(fd, addr, *port, net->ip6.ifindex);
	if (!rc && *port)
		return fd;
	if (rc)
		rc = bind_to(fd, addr, 0, net->ip6.ifindex);
	*port = bound_port(fd);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/**
 * udp_sock_is_own() - Is this an address of this host?
 * @addr:	Address
 * @scope:	Interface of a link-local address
 *
 * A host sends to its own address from the same address.
 */
/* #syscalls socket connect close */
/* #args socket 0 AF_INET AF_INET6 */
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
 * This host does not receive them: its answers would come from an address that the
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
 * udp_sock_set_many_ttl() - Set the TTL or hop limit of multicast
 */
void udp_sock_set_many_ttl(int fd, bool v4, uint8_t ttl)
{
	if (v4)
		hostsock_set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl);
	else
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl);
}

/* Sockets of others ---------------------------------------------------------- */

/**
 * udp_shared_set() - Remember a socket of another module
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
		.fd = fd, .cookie = hostsock_cookie(fd),
		.v4 = domain == AF_INET || !v6only, .v6 = domain == AF_INET6,
	};
}

/* udp_shared_is_there() - Does the descriptor still refer to that socket? */
bool udp_shared_is_there(const struct udp_shared *s)
{
	return s->cookie && hostsock_cookie(s->fd) == s->cookie;
}

/**
 * udp_shared_dest() - Destination and source of messages to an endpoint
 * @s:		The socket to send by
 * @side:	Side of the endpoint; its own address is the source
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
