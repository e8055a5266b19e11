/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostsock.c - Sockets of flows on the host, with the user's options
 *
 * Every socket of a flow on the host is made here, so that --outbound-if4,
 * --outbound-if6 and --freebind (for addresses that the host doesn't have yet) apply
 * to all protocols.
 *
 * A socket for a peer on this host, at loopback or its own address, is not bound to an
 * interface: answers come from lo, and a bound socket would not get them.
 *
 * Binding to an interface needs no privilege since Linux 5.7. If it is refused, we
 * use IP_UNICAST_IF, which only selects the interface by which packets leave. The
 * socket still accepts packets from other interfaces.
 */

#include "hostsock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inany.h"
#include "log.h"
#include "wire.h"

#ifndef IP_UNICAST_IF
#define IP_UNICAST_IF	50		/* Linux 3.4 */
#endif
#ifndef IPV6_UNICAST_IF
#define IPV6_UNICAST_IF	76		/* Linux 3.4 */
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND	78		/* Linux 4.15 */
#endif

/* Send packets by this interface: 0 or negative errno */
/* #syscalls ioctl setsockopt */
/* #args ioctl 1 SIOCGIFINDEX */
static int leave_by(int fd, bool v4, const char name[IFNAMSIZ])
{
	struct ifreq ifr = { 0 };
	uint32_t index;

	/* The name may have passed to another interface */
	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	if (ioctl(fd, SIOCGIFINDEX, &ifr))
		return -ENODEV;
	index = htonl((uint32_t)ifr.ifr_ifindex);
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

/**
 * hostsock_is_local() - Is this peer on the host, reached without an interface?
 */
bool hostsock_is_local(const struct hostnet *net, const union inany *peer)
{
	const struct hostnet_ip *ip = inany_is_v4(peer) ? &net->ip4 :
							    &net->ip6;

	return inany_is_loopback(peer) ||
	       (inany_is_set(&ip->host_addr) &&
		inany_equals(&ip->host_addr, peer));
}

/**
 * hostsock_open_if() - Socket that uses an interface
 * @c:		Configuration
 * @v4:		Family
 * @type:	SOCK_STREAM or SOCK_DGRAM
 * @protocol:	IPPROTO_*
 * @ifname:	Interface, "": any
 *
 * Return: as hostsock_open()
 */
/* #syscalls socket setsockopt close */
/* #args socket 0 AF_INET AF_INET6 */
int hostsock_open_if(const struct conf *c, bool v4, int type, int protocol,
		     const char ifname[IFNAMSIZ])
{
	int fd, rc;

	fd = socket(v4 ? AF_INET : AF_INET6,
		    type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	if (c->freebind)		/* on failure, bind() fails, too */
		hostsock_set_int(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
				 v4 ? IP_FREEBIND : IPV6_FREEBIND, 1);
	rc = ifname[0] ? bind_to_if(fd, v4, ifname) : 0;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/**
 * hostsock_no_lowat() - Let a TCP socket queue as much as its buffer has room for
 * @fd:		Any TCP socket; sockets that a listener accepts inherit it
 *
 * With a low net.ipv4.tcp_notsent_lowat, a socket refuses data long before its send
 * buffer is full. That suits programs that decide late which data to send, but we relay
 * data that was sent already. The window that the guest sees is the room in the send
 * buffer, so the guest would have to retransmit the data that the socket refuses.
 */
void hostsock_no_lowat(int fd)
{
	hostsock_set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, -1);
}

/**
 * hostsock_stream_options() - Set the options of a TCP socket that carries a flow
 * @fd:		Any TCP socket; sockets that a listener accepts inherit them
 *
 * Segments are sent as the sender makes them, urgent data stays in line, as a peek would
 * skip it, and a peer that has vanished is noticed.
 */
void hostsock_stream_options(int fd)
{
	hostsock_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	hostsock_set_int(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	hostsock_set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

/**
 * hostsock_open() - Socket of a flow on the host, not bound to an address yet
 * @c:		Configuration
 * @peer:	Peer, or the unspecified address of its family for several peers
 * @type:	SOCK_STREAM or SOCK_DGRAM
 * @protocol:	IPPROTO_*
 *
 * Return: file descriptor, non-blocking and close-on-exec; negative errno,
 * -ENODEV if the interface to use is gone
 */
int hostsock_open(const struct conf *c, const struct hostnet *net,
		  const union inany *peer, int type, int protocol)
{
	bool v4 = inany_is_v4(peer);
	const struct conf_ip *ip = v4 ? &c->ip4 : &c->ip6;
	int fd = hostsock_open_if(c, v4, type, protocol,
				  hostsock_is_local(net, peer) ?
				  "" : ip->outbound_if);

	if (fd >= 0 && type == SOCK_STREAM)
		hostsock_stream_options(fd);
	if (fd >= 0 && type == SOCK_STREAM && net->notsent_low)
		hostsock_no_lowat(fd);
	return fd;
}

/**
 * hostsock_set_int() - Set an option that we can do without: no failure is reported
 */
/* #syscalls setsockopt */
void hostsock_set_int(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

/**
 * hostsock_recv_errors() - Have errors of datagrams reported, see icmperr.c
 * @fd:		Datagram socket
 * @v4:		Its family
 */
void hostsock_recv_errors(int fd, bool v4)
{
	if (v4)
		hostsock_set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
	else
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

/**
 * hostsock_recv_hops() - Have TTL and TOS of datagrams reported
 * @fd:		Datagram socket
 * @v4:		Family of the datagrams
 */
void hostsock_recv_hops(int fd, bool v4)
{
	if (v4) {
		hostsock_set_int(fd, IPPROTO_IP, IP_RECVTTL, 1);
		hostsock_set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
	} else {
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	}
}

/**
 * hostsock_recv_all() - Have TTL, TOS and errors of datagrams reported
 * @fd:		Datagram socket
 * @v4:		Family of the datagrams
 */
void hostsock_recv_all(int fd, bool v4)
{
	hostsock_recv_errors(fd, v4);
	hostsock_recv_hops(fd, v4);
}

/**
 * hostsock_cookie() - The number of a socket, which no other socket ever gets
 *
 * Return: the number, 0 if @fd is not a socket
 */
/* #syscalls getsockopt */
uint64_t hostsock_cookie(int fd)
{
	socklen_t len = sizeof(uint64_t);
	uint64_t number;

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &number, &len) ? 0 : number;
}

/**
 * hostsock_set_df() - Set or clear "don't fragment", if it changes
 * @fd:		Datagram socket
 * @v4:		Family of the packets
 * @now:	State of the socket, updated
 * @df:		Don't fragment
 *
 * With "don't fragment", sending a packet larger than the path's MTU is an error.
 * Without it, routers may fragment over IPv4, and this host does over IPv6.
 */
void hostsock_set_df(int fd, bool v4, struct hostsock_hops *now, bool df)
{
	if (now->df == (df ? 1 : 2))
		return;
	if (v4)
		hostsock_set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER,
				 df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
	else
		hostsock_set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
				 df ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_WANT);
	now->df = df ? 1 : 2;
}

/**
 * hostsock_set_hops() - Use the guest's TTL, TOS and "don't fragment", if they change
 * @fd:		Datagram socket
 * @v4:		Its family
 * @now:	State of the socket, zeroed at first, updated
 * @ttl, @tos:	TTL or hop limit, TOS or traffic class
 * @df:		Don't fragment
 */
void hostsock_set_hops(int fd, bool v4, struct hostsock_hops *now, uint8_t ttl,
		       uint8_t tos, bool df)
{
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;

	if (ttl && ttl != (now->ttl ? now->ttl : IP_DEFAULT_TTL)) {
		hostsock_set_int(fd, level, v4 ? IP_TTL : IPV6_UNICAST_HOPS,
				 ttl);
		now->ttl = ttl;
	}
	if (tos != now->tos) {
		hostsock_set_int(fd, level, v4 ? IP_TOS : IPV6_TCLASS, tos);
		now->tos = tos;
	}
	hostsock_set_df(fd, v4, now, df);
}

/**
 * hostsock_cmsg_int() - Value of a control message that is a number
 * @cm:		Control message with an int or, like IP_TOS, a byte
 */
int hostsock_cmsg_int(const struct cmsghdr *cm)
{
	uint8_t byte;
	int v;

	if (cm->cmsg_len >= CMSG_LEN(sizeof(v))) {
		memcpy(&v, CMSG_DATA(cm), sizeof(v));
		return v;
	}
	memcpy(&byte, CMSG_DATA(cm), sizeof(byte));
	return byte;
}

/**
 * hostsock_cmsg_hops() - Get TTL or TOS of a received datagram
 * @cm:		Control message
 * @ttl, @tos:	Set if the message has it
 *
 * Return: false if it has neither
 */
bool hostsock_cmsg_hops(const struct cmsghdr *cm, uint8_t *ttl, uint8_t *tos)
{
	bool v4 = cm->cmsg_level == IPPROTO_IP;

	if (!v4 && cm->cmsg_level != IPPROTO_IPV6)
		return false;
	if (cm->cmsg_type == (v4 ? IP_TTL : IPV6_HOPLIMIT))
		*ttl = (uint8_t)hostsock_cmsg_int(cm);
	else if (cm->cmsg_type == (v4 ? IP_TOS : IPV6_TCLASS))
		*tos = (uint8_t)hostsock_cmsg_int(cm);
	else
		return false;
	return true;
}

/**
 * hostsock_error() - Take the pending error of a socket: a positive errno, 0: none
 */
/* #syscalls getsockopt */
int hostsock_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return errno;
	return error;
}

/**
 * hostsock_reset() - Close a TCP socket so that its peer gets a reset
 * @fd:		Connected socket
 */
/* #syscalls setsockopt close */
void hostsock_reset(int fd)
{
	static const struct linger abort_now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	close(fd);
}
