/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen_sock.c - One bound socket of a forwarding rule
 *
 * A rule without an address has one socket for both families. "::" and "0.0.0.0" are
 * all addresses of one family, and two rules may use both for the same port. Sockets
 * of the namespace are made by its helper (nshelper.c).
 *
 * mDNS, SSDP, WS-Discovery and LLMNR find services by multicast. If a rule names one
 * of their ports, its socket joins the groups, on the rule's interface or the template
 * interface. Programs of the host share such a port with SO_REUSEADDR, and if we
 * shared it, too, we might get their unicast datagrams. In that case we bind to the
 * groups alone: such sockets get a copy of multicast, take nothing from others, and
 * send from that port.
 *
 * No other UDP socket shares its port, or another process could take part in its
 * datagrams. Flows use the listening socket itself.
 */

#include "listen_sock.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostsock.h"
#include "listen.h"
#include "log.h"
#include "nshelper.h"
#include "util.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND	78		/* linux/in6.h, Linux 4.15 */
#endif

enum {
	BACKLOG		= 4096,
	LO_IFINDEX	= 1,		/* LOOPBACK_IFINDEX of the kernel */
};

/* #syscalls setsockopt */
static void set_on(int fd, int level, int option)
{
	int on = 1;

	setsockopt(fd, level, option, &on, sizeof(on));
}

/* Metadata we need with each datagram; every supported kernel has these options */
static void set_udp_options(int fd, bool v6)
{
	int size = 4 << 20;	/* for first datagrams of many peers, as far as allowed */

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	hostsock_recv_hops(fd, true);
	if (!v6) {
		set_on(fd, IPPROTO_IP, IP_PKTINFO);
		return;
	}
	set_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);	/* of IPv4, too */
	hostsock_recv_hops(fd, false);
}

/* Index of a rule's interface, 0 if there is none */
static unsigned named_ifindex(const struct fwd_rule *r)
{
	int index = util_ifindex(r->ifname);

	return index < 0 ? 0 : index;
}

/* Scope of a link-local address: the rule's interface or the template interface */
static unsigned rule_scope(const struct listen *s, const struct fwd_rule *r)
{
	if (!inany_is_linklocal(&r->addr) || inany_is_v4(&r->addr))
		return 0;
	return r->ifname[0] ? named_ifindex(r) : s->net->ip6.ifindex;
}

/*
 * set_own_filter() - Take only datagrams that the namespace sends to itself
 *
 * Such datagrams arrive by lo, which has index 1 in every namespace. Their source
 * address is no proof: the kernel accepts IPv6 packets from elsewhere with a forged
 * address of its own.
 */
/* #syscalls setsockopt */
static void set_own_filter(int fd)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_IFINDEX),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LO_IFINDEX, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	static const struct sock_fprog filter = { ARRAY_SIZE(code), code };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
		       sizeof(filter)))
		debug_limited_rc(errno,
				 "No filter for a socket of the namespace");
}

/*
 * sock_options() - Set the options that have to be set before bind()
 * @only:	With @v6: for IPv6 alone
 *
 * Return: 0, negative errno
 */
/* #syscalls setsockopt */
static int sock_options(const struct listen *s, const struct fwd_rule *r, int fd,
			bool v6, bool only)
{
	int v6only = only;

	if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only,
			     sizeof(v6only)))
		return -errno;
	if (r->proto == IPPROTO_TCP) {
		set_on(fd, SOL_SOCKET, SO_REUSEADDR);
		hostsock_no_lowat(fd);		/* accepted sockets inherit them */
		hostsock_stream_options(fd);
	} else {
		set_udp_options(fd, v6);
		if (r->from_ns)
			set_own_filter(fd);
	}
	if (s->conf->freebind)
		set_on(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		       v6 ? IPV6_FREEBIND : IP_FREEBIND);
	if (r->ifname[0] &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, r->ifname,
		       (socklen_t)strnlen(r->ifname, IFNAMSIZ)))
		return -errno;
	return 0;
}

/* #syscalls bind */
static int sock_bind_to(const struct listen *s, const struct fwd_rule *r,
			int fd, const union sockaddr_inany *sa, socklen_t len)
{
	if (!bind(fd, &sa->sa, len))
		return 0;
	if (errno != EACCES || !r->from_ns)
		return -errno;
	/* It may bind low ports */
	return s->change.nowait ? nshelper_bind_start(s->nsh, fd, sa) :
				  nshelper_bind(s->nsh, fd, sa);
}

/* #syscalls listen */
static int sock_listen(const struct fwd_rule *r, int fd)
{
	if (r->proto == IPPROTO_UDP)
		return 0;
	return listen(fd, BACKLOG) ? -errno : 0;
}

static int sock_bind(const struct listen *s, const struct fwd_rule *r, int fd,
		     bool v6, uint16_t port)
{
	static const union inany any6, any4 = {
		.v4mapped = { .one = { 0xff, 0xff } } };
	const union inany *a = inany_is_set(&r->addr) ? &r->addr :
			       v6 ? &any6 : &any4;
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(a, port, rule_scope(s, r), &sa);
	int rc = sock_bind_to(s, r, fd, &sa, len);

	return rc ? rc : sock_listen(r, fd);
}

/* #syscalls socket */
/* #args socket 0 AF_INET AF_INET6 */
static int sock_new(const struct listen *s, const struct fwd_rule *r, bool v6)
{
	bool tcp = r->proto == IPPROTO_TCP;
	enum nssock kind = tcp ? v6 ? NSSOCK_TCP6 : NSSOCK_TCP4 :
				 v6 ? NSSOCK_UDP6 : NSSOCK_UDP4;
	int fd;

	if (r->from_ns)
		return s->change.nowait ? nshelper_take(s->nsh, kind) :
					  nshelper_socket(s->nsh, kind);
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_NONBLOCK | SOCK_CLOEXEC |
		    (tcp ? SOCK_STREAM : SOCK_DGRAM), 0);
	return fd < 0 ? -errno : fd;
}

/*
 * port_open_family() - Open a socket for a port
 * @v6:		For IPv6
 * @only:	With @v6: for IPv6 alone
 *
 * Return: descriptor, negative errno
 */
/* #syscalls close */
static int port_open_family(const struct listen *s, const struct fwd_rule *r,
			    uint16_t port, bool v6, bool only)
{
	int fd = sock_new(s, r, v6), rc;

	if (fd < 0)
		return fd;
	rc = sock_options(s, r, fd, v6, only);
	if (!rc)
		rc = sock_bind(s, r, fd, v6, port);
	if (!rc)
		return fd;
	if (rc != -EINPROGRESS)		/* else the helper has it */
		close(fd);
	return rc;
}

/**
 * listen_sock_open() - Open a socket for a port of a rule, bound and listening
 * @s:		Listening sockets
 * @r:		Rule
 * @port:	Port
 *
 * Return: descriptor; -EINPROGRESS: if nshelper_is_binding() then, listen_sock_finish()
 * goes on after the helper's next answer, else call again; other negative errno
 */
int listen_sock_open(const struct listen *s, const struct fwd_rule *r,
		     uint16_t port)
{
	bool v4 = s->net->ip4.enabled, v6 = s->net->ip6.enabled;
	int fd;

	if (inany_is_set(&r->addr) || r->only6) {
		v6 = !inany_is_v4(&r->addr);
		return port_open_family(s, r, port, v6, true);
	}
	if (!v6)
		return port_open_family(s, r, port, false, false);
	fd = port_open_family(s, r, port, true, !v4);
	if (fd == -EAFNOSUPPORT && v4)
		fd = port_open_family(s, r, port, false, false);
	return fd;
}

/**
 * listen_sock_finish() - Go on with a socket that the helper had to bind
 * @s:		Listening sockets
 * @r:		Rule
 *
 * Return: as of listen_sock_open()
 */
/* #syscalls close */
int listen_sock_finish(const struct listen *s, const struct fwd_rule *r)
{
	int fd = -1, rc = nshelper_bind_end(s->nsh, &fd);

	if (rc == -EINPROGRESS)
		return rc;
	if (!rc)
		rc = sock_listen(r, fd);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* Groups of protocols that find services by multicast */
static const struct {
	uint16_t port;
	const char *group;
} groups[] = {
	{ 5353, "224.0.0.251" }, { 5353, "ff02::fb" },		/* RFC 6762 */
	{ 1900, "239.255.255.250" }, { 1900, "ff02::c" },	/* UPnP 2.0 */
	{ 1900, "ff05::c" },
	{ 3702, "239.255.255.250" }, { 3702, "ff02::c" },	/* WS-Discovery */
	{ 5355, "224.0.0.252" }, { 5355, "ff02::1:3" },		/* RFC 4795 */
};

/* Index of the interface that joins groups, 0: none */
static unsigned group_ifindex(const struct listen *s, const struct fwd_rule *r,
			      bool v4)
{
	if (r->ifname[0])
		return named_ifindex(r);
	return v4 ? s->net->ip4.ifindex : s->net->ip6.ifindex;
}

/* #syscalls setsockopt */
static void group_join(const struct listen *s, const struct fwd_rule *r,
		       int fd, const union inany *group)
{
	struct ip_mreqn m4 = { .imr_multiaddr = group->v4mapped.a4 };
	struct ipv6_mreq m6 = { .ipv6mr_multiaddr = group->a6 };
	char spec[RULES_SPEC];
	bool v4 = inany_is_v4(group);
	unsigned ifindex = group_ifindex(s, r, v4);

	m4.imr_ifindex = (int)ifindex;
	m6.ipv6mr_interface = ifindex;
	if (ifindex &&
	    setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       v4 ? IP_ADD_MEMBERSHIP : IPV6_JOIN_GROUP,
		       v4 ? (void *)&m4 : (void *)&m6,
		       v4 ? sizeof(m4) : sizeof(m6)))
		debug_rc(errno, "A multicast group of option '-u %s' can't be "
			 "joined", rules_shown(r, spec));
}

/* Does a rule name its UDP ports, and lead to the guest, not to one address? */
static bool wants_groups(const struct fwd_rule *r)
{
	return r->proto == IPPROTO_UDP && !r->from_ns && !r->scan && !r->weak &&
	       !inany_is_set(&r->to_addr);
}

/**
 * listen_sock_join() - Join the multicast groups of a port's protocol, if it has any
 * @s:		Listening sockets
 * @r:		Rule
 * @fd:		Socket
 * @port:	Port
 */
void listen_sock_join(const struct listen *s, const struct fwd_rule *r, int fd,
		      uint16_t port)
{
	union inany group;
	unsigned i;

	for (i = 0; wants_groups(r) && i < ARRAY_SIZE(groups); i++)
		if (groups[i].port == port && inany_pton(groups[i].group, &group))
			group_join(s, r, fd, &group);
}

/* Open a socket that is bound to a group alone: descriptor or negative errno */
/* #syscalls socket setsockopt bind close */
/* #args socket 0 AF_INET AF_INET6 */
static int group_open(const struct listen *s, const struct fwd_rule *r,
		      const char *text, uint16_t port)
{
	union sockaddr_inany sa;
	union inany group = { 0 };
	socklen_t len;
	int fd, rc;
	bool v4;

	inany_pton(text, &group);
	v4 = inany_is_v4(&group);
	if (!(v4 ? s->net->ip4.enabled : s->net->ip6.enabled) ||
	    ((inany_is_set(&r->addr) || r->only6) &&
	     inany_is_v4(&r->addr) != v4))
		return -EAFNOSUPPORT;
	fd = sock_new(s, r, !v4);
	if (fd < 0)
		return fd;
	len = inany_to_sockaddr(&group, port, 0, &sa);
	if (!v4 && IN6_IS_ADDR_MC_LINKLOCAL(&group.a6))
		sa.sin6.sin6_scope_id = group_ifindex(s, r, v4);
	rc = sock_options(s, r, fd, !v4, true);
	set_on(fd, SOL_SOCKET, SO_REUSEADDR);
	if (!rc && bind(fd, &sa.sa, len))
		rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	group_join(s, r, fd, &group);
	return fd;
}

/**
 * listen_sock_group() - Open a socket for the next group of a port's protocol
 * @s:		Listening sockets
 * @r:		Rule
 * @port:	Port, which programs of the host share
 * @next:	0 for the first group, moves on
 *
 * Return: descriptor, bound to the group alone; -ENOENT: there is no other group;
 * other negative errno: try the next one
 */
int listen_sock_group(const struct listen *s, const struct fwd_rule *r,
		      uint16_t port, unsigned *next)
{
	while (wants_groups(r) && *next < ARRAY_SIZE(groups)) {
		unsigned i = (*next)++;

		if (groups[i].port == port)
			return group_open(s, r, groups[i].group, port);
	}
	return -ENOENT;
}
