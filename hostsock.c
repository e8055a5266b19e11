/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostsock.c - Sockets of flows on the host, as the user wants them
 *
 * Every socket that a flow has on the host is made here, so that what the user
 * said about the way out (--outbound-if4, --outbound-if6) and about addresses
 * that the host doesn't have yet (--freebind) holds for all protocols.
 *
 * A peer on this host, its loopback or its own address, is reached without any
 * interface: what is bound to one does not get the answers, which come from lo.
 *
 * Binding to an interface needs no privilege since Linux 5.7. Where it is refused
 * there is IP_UNICAST_IF, which decides where packets leave, and that alone: what
 * comes in by another interface is taken, too.
 */

#include "hostsock.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inany.h"
#include "log.h"

#ifndef IP_UNICAST_IF
#define IP_UNICAST_IF	50		/* Linux 3.4 */
#endif
#ifndef IPV6_UNICAST_IF
#define IPV6_UNICAST_IF	76		/* Linux 3.4 */
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND	78		/* Linux 4.15 */
#endif

/* Index of an interface, 0 if there is none; names may be given to others */
/* #syscalls ioctl */
static unsigned ifindex(int fd, const char name[IFNAMSIZ])
{
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	return ioctl(fd, SIOCGIFINDEX, &ifr) ? 0 : (unsigned)ifr.ifr_ifindex;
}

/* Packets are to leave by this interface: 0 or negative errno */
/* #syscalls setsockopt */
static int leave_by(int fd, bool v4, const char name[IFNAMSIZ])
{
	uint32_t index = htonl(ifindex(fd, name));

	if (!index)
		return -ENODEV;
	if (setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       v4 ? IP_UNICAST_IF : IPV6_UNICAST_IF, &index,
		       sizeof(index)))
		return -errno;
	return 0;
}

/* #syscalls setsockopt */
static int bind_to_if(int fd, bool v4, const char name[IFNAMSIZ])
{
	if (!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name,
			(socklen_t)strnlen(name, IFNAMSIZ)))
		return 0;
	if (errno != EPERM && errno != EACCES)
		return -errno;
	warn_once("Sockets can't be bound to interface %s: only their packets "
		  "leave by it", name);
	return leave_by(fd, v4, name);
}

static bool is_on_host(const struct conf_ip *ip, const union inany *peer)
{
	return inany_is_loopback(peer) ||
	       (inany_is_set(&ip->host_addr) &&
		inany_equals(&ip->host_addr, peer));
}

/**
 * hostsock_open() - Socket of a flow on the host, not bound to an address yet
 * @c:		Configuration
 * @peer:	Whom it is to reach: says the family; unspecified for several
 * @type:	SOCK_STREAM or SOCK_DGRAM
 * @protocol:	IPPROTO_*
 *
 * Return: file descriptor, non-blocking and close-on-exec; negative errno,
 * -ENODEV if the interface to use is gone
 */
/* #syscalls socket setsockopt close */
int hostsock_open(const struct conf *c, const union inany *peer, int type,
		  int protocol)
{
	bool v4 = inany_is_v4(peer);
	const struct conf_ip *ip = v4 ? &c->ip4 : &c->ip6;
	int fd, rc, on = 1;

	fd = socket(v4 ? AF_INET : AF_INET6,
		    type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	if (c->freebind)		/* without it, bind() says what it misses */
		setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
			   v4 ? IP_FREEBIND : IPV6_FREEBIND, &on, sizeof(on));
	if (!ip->outbound_if[0] || is_on_host(ip, peer))
		return fd;
	rc = bind_to_if(fd, v4, ip->outbound_if);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}
