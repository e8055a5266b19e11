/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen.c - Forwarding rules to bound sockets; the search for listeners
 *
 * Each port of a rule is one socket, on the host (-t, -u) or in the namespace
 * (-T, -U). Without an address it is one for both families; "::" and "0.0.0.0" are
 * all addresses of one, and may both have the same port. What arrives there is
 * not our business: events carry REF_LISTEN and the index of the socket.
 *
 * Rules that name their ports are bound once, at start, while we still have the
 * rights of whoever started us. A port that is in use then may belong to an
 * instance that is about to end: it gets half a second. What can't be bound after
 * that is an error, or, for rules that mean "what you can get" (weak), left out.
 * Those also leave descriptors for the flows.
 *
 * Rules that scan (auto) have a port bound as long as somebody listens on its
 * target. Nothing tells of a new listener, so the kernel is asked once a second
 * who listens (sockdiag.c), but not at all without such a rule. Left out are
 *
 *  our own sockets	known by their cookie. Else the two directions would
 *			forward each other's sockets
 *  sockets of flows	of UDP: bound to the guest's port, not connected
 *  loopback		of the namespace, where connections don't get there
 *  multicast		datagrams to our address would not be for that socket
 *  UDP: ports that the kernel gives to clients, which look like listeners;
 *	 67, 68, 546, 547, which clients of DHCP need for themselves
 *
 * What TCP found counts for UDP, too: there are protocols that open the UDP
 * socket only after they spoke TCP. Ports bound because of a rule that names
 * them stay as they are. A port that can't be bound is tried again every few
 * seconds. On the host, ports below 1024 need a privilege that only the first
 * search has.
 *
 * Ports of protocols that find services by multicast (mDNS, SSDP, WS-Discovery,
 * LLMNR) join their groups, on the template interface or that of the rule, if a
 * rule names them. Programs of the host share such a port with SO_REUSEADDR; who
 * shares it, too, may get their unicast datagrams. Then there are sockets bound to
 * the groups alone: these get a copy of multicast, take nothing from anybody, and
 * send from that port.
 *
 * No other UDP socket shares its port, or another process could take part in its
 * datagrams: flows use the listening socket itself.
 */

#include "listen.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "flow.h"
#include "hostsock.h"
#include "log.h"
#include "nshelper.h"
#include "util.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND	78		/* linux/in6.h, Linux 4.15 */
#endif

enum {
	BACKLOG		= 4096,
	RETRY_MS	= 500,		/* for ports in use, all together */
	RETRY_STEP_MS	= 20,
	FDS_RESERVED	= 64,		/* for flows, at least; else 1/4 */
	SCAN_MS		= 999,		/* at most, see scan_arm() */
	SCAN_SLOT_MS	= 64,
	RETRY_ROUNDS	= 4,		/* until a port is tried again */
	LO_IFINDEX	= 1,		/* LOOPBACK_IFINDEX of the kernel */
};

static unsigned listen_kind(uint8_t proto, bool in_ns)
{
	return (in_ns ? LISTEN_NS_TCP : LISTEN_HOST_TCP) +
	       (proto == IPPROTO_UDP);
}

static unsigned rule_kind(const struct fwd_rule *r)
{
	return listen_kind(r->proto, r->from_ns);
}

static bool map_has(const struct portmap *m, uint16_t port)
{
	return m->word[port / 64] >> port % 64 & 1;
}

static void map_add(struct portmap *m, uint16_t port)
{
	m->word[port / 64] |= 1ULL << port % 64;
}

static void map_remove(struct portmap *m, uint16_t port)
{
	m->word[port / 64] &= ~(1ULL << port % 64);
}

/* map_next() - First port from @port on, LISTEN_PORTS if there is none */
static unsigned map_next(const struct portmap *m, unsigned port)
{
	uint64_t bits;

	while (port < LISTEN_PORTS) {
		bits = m->word[port / 64] >> port % 64;
		if (bits)
			return port + (unsigned)__builtin_ctzll(bits);
		port = (port / 64 + 1) * 64;
	}
	return LISTEN_PORTS;
}

/* The table of sockets -------------------------------------------------------- */

/* #syscalls getsockopt */
static uint32_t sock_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return (uint32_t)cookie;
}

static union epoll_ref listener_ref(uint32_t index)
{
	return (union epoll_ref){ .kind = REF_LISTEN, .index = index };
}

/*
 * listener_add() - Watch a bound socket
 *
 * Return: 0, negative errno; @fd is still the caller's then
 */
static int listener_add(struct listen *s, int fd, uint16_t rule, uint16_t port)
{
	unsigned kind = rule_kind(&s->conf->rules[rule]);
	uint32_t i = s->free ? s->free - 1 : s->n;
	int rc;

	if (i == LISTEN_MAX)
		return -ENFILE;
	rc = loop_add(s->loop, fd, EPOLLIN, listener_ref(i));
	if (rc)
		return rc;
	if (s->free)
		s->free = s->l[i].next;
	else
		s->n++;
	s->count++;
	s->l[i] = (struct listener){
		.fd = fd, .rule = rule, .port = port,
		.next = s->head[kind][port], .cookie = sock_cookie(fd),
	};
	s->head[kind][port] = i + 1;
	return 0;
}

/* is_bound() - Has a port a socket already, for the addresses of this rule? */
static bool is_bound(const struct listen *s, const struct fwd_rule *r,
		     unsigned port)
{
	uint32_t i;

	for (i = s->head[rule_kind(r)][port]; i; i = s->l[i - 1].next) {
		const struct fwd_rule *o = &s->conf->rules[s->l[i - 1].rule];

		if (fwd_rule_same_addr(o, r) &&
		    !strcmp(o->ifname, r->ifname))
			return true;
	}
	return false;
}

/* listener_remove() - Close a socket that scanning bound */
/* #syscalls close */
static void listener_remove(struct listen *s, uint32_t i)
{
	struct listener *l = &s->l[i];
	uint32_t *head = &s->head[rule_kind(&s->conf->rules[l->rule])][l->port];
	uint32_t at;

	if (*head == i + 1) {
		*head = l->next;
	} else {
		for (at = *head; s->l[at - 1].next != i + 1; )
			at = s->l[at - 1].next;
		s->l[at - 1].next = l->next;
	}
	s->udp_closed |= s->conf->rules[l->rule].proto == IPPROTO_UDP;
	loop_del(s->loop, l->fd);
	close(l->fd);
	s->count--;
	*l = (struct listener){ .fd = -1, .next = s->free };
	s->free = i + 1;
}

/**
 * listen_at() - Socket that an event is about
 *
 * Return: NULL if it was closed
 */
const struct listener *listen_at(const struct listen *s, uint32_t index)
{
	return index < s->n && s->l[index].fd >= 0 ? &s->l[index] : NULL;
}

/**
 * listen_find() - Socket of a rule and a port of it
 * @s:		Listening sockets
 * @r:		Rule
 * @port:	Port
 * @after:	Index of the last one that was found, LISTEN_MAX for the first
 *
 * Return: its index, LISTEN_MAX if there is none
 */
uint32_t listen_find(const struct listen *s, const struct fwd_rule *r,
		     uint16_t port, uint32_t after)
{
	uint32_t i = after == LISTEN_MAX ? s->head[rule_kind(r)][port] :
					   s->l[after].next;

	for (; i; i = s->l[i - 1].next)
		if (&s->conf->rules[s->l[i - 1].rule] == r)
			return i - 1;
	return LISTEN_MAX;
}

/**
 * listen_pause() - Hear no more of a socket until listen_resume()
 *
 * For want of descriptors: what arrives waits in the kernel.
 */
void listen_pause(struct listen *s, uint32_t index)
{
	struct listener *l = &s->l[index];

	if (!l->paused && !loop_mod(s->loop, l->fd, 0, listener_ref(index)))
		l->paused = 1;
}

/* listen_resume() - After listen_pause(), for all of them */
void listen_resume(struct listen *s)
{
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		if (!s->l[i].paused)
			continue;
		s->l[i].paused = 0;
		loop_mod(s->loop, s->l[i].fd, EPOLLIN, listener_ref(i));
	}
}

/* One socket ------------------------------------------------------------------ */

/* #syscalls setsockopt */
static void set_on(int fd, int level, int option)
{
	int on = 1;

	setsockopt(fd, level, option, &on, sizeof(on));
}

/* What datagrams are to tell; the kernel has all of it since long */
static void set_udp_options(int fd, bool v6)
{
	int size = 4 << 20;	/* first datagrams of many peers: what is allowed */

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	set_on(fd, IPPROTO_IP, IP_RECVTOS);
	set_on(fd, IPPROTO_IP, IP_RECVTTL);
	if (!v6) {
		set_on(fd, IPPROTO_IP, IP_PKTINFO);
		return;
	}
	set_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);	/* of IPv4, too */
	set_on(fd, IPPROTO_IPV6, IPV6_RECVTCLASS);
	set_on(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT);
}

/* Scope of a link-local address: the rule's interface, or the template's */
/* #syscalls socket ioctl close */
static unsigned rule_scope(const struct listen *s, const struct fwd_rule *r)
{
	if (!inany_is_linklocal(&r->addr) || inany_is_v4(&r->addr))
		return 0;
	return r->ifname[0] ? if_nametoindex(r->ifname) : s->conf->ip6.ifindex;
}

/*
 * set_own_filter() - Take only datagrams that the namespace sends to itself
 *
 * These come by lo, whose index is 1 in every namespace, whatever address they have.
 * A source address is no proof: the kernel takes IPv6 packets from elsewhere that
 * forge one of its own.
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
 * sock_options() - What has to be set before bind()
 * @only:	With @v6: not IPv4 as well
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
		hostsock_no_lowat(fd);		/* for those that it accepts */
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
	return nshelper_bind(s->nsh, fd, sa);	/* who may have low ports */
}

/* #syscalls listen */
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

	if (rc)
		return rc;
	if (r->proto == IPPROTO_UDP)
		return 0;
	return listen(fd, BACKLOG) ? -errno : 0;
}

/* #syscalls socket */
static int sock_new(struct listen *s, const struct fwd_rule *r, bool v6)
{
	bool tcp = r->proto == IPPROTO_TCP;
	int fd;

	if (r->from_ns)
		return nshelper_socket(s->nsh, tcp ?
				       v6 ? NSSOCK_TCP6 : NSSOCK_TCP4 :
				       v6 ? NSSOCK_UDP6 : NSSOCK_UDP4);
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_NONBLOCK | SOCK_CLOEXEC |
		    (tcp ? SOCK_STREAM : SOCK_DGRAM), 0);
	return fd < 0 ? -errno : fd;
}

/*
 * port_open_family() - Socket of a port
 * @v6:		For an IPv6 address, or all of them
 * @only:	Not for those of IPv4 as well
 *
 * Return: descriptor, negative errno
 */
/* #syscalls close */
static int port_open_family(struct listen *s, const struct fwd_rule *r,
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
	close(fd);
	return rc;
}

static int port_open(struct listen *s, const struct fwd_rule *r, uint16_t port)
{
	bool v4 = s->conf->ip4.enabled, v6 = s->conf->ip6.enabled;
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

/* Interface that groups are joined on, 0: none */
static unsigned group_ifindex(const struct listen *s, const struct fwd_rule *r,
			      bool v4)
{
	if (r->ifname[0])
		return if_nametoindex(r->ifname);
	return v4 ? s->conf->ip4.ifindex : s->conf->ip6.ifindex;
}

/* #syscalls setsockopt */
static void group_join(const struct listen *s, const struct fwd_rule *r,
		       int fd, const union inany *group)
{
	struct ip_mreqn m4 = { .imr_multiaddr = group->v4mapped.a4 };
	struct ipv6_mreq m6 = { .ipv6mr_multiaddr = group->a6 };
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
			 "joined", r->spec);
}

/* Is this a rule that names the port, for the guest? */
static bool wants_groups(const struct fwd_rule *r)
{
	return r->proto == IPPROTO_UDP && !r->from_ns && !r->scan && !r->weak;
}

/* Join the groups of the protocol that a port is of, if any */
static void groups_join(const struct listen *s, const struct fwd_rule *r,
			int fd, uint16_t port)
{
	union inany group;
	unsigned i;

	for (i = 0; wants_groups(r) && i < ARRAY_SIZE(groups); i++)
		if (groups[i].port == port && inany_pton(groups[i].group, &group))
			group_join(s, r, fd, &group);
}

/* Bind to a group alone, beside programs that share the port: 0 or negative
 * errno */
/* #syscalls socket setsockopt bind close */
static int group_add(struct listen *s, uint16_t rule, const char *text,
		     uint16_t port)
{
	const struct fwd_rule *r = &s->conf->rules[rule];
	union sockaddr_inany sa;
	union inany group = { 0 };
	socklen_t len;
	int fd, rc;
	bool v4;

	inany_pton(text, &group);
	v4 = inany_is_v4(&group);
	if (!(v4 ? s->conf->ip4.enabled : s->conf->ip6.enabled) ||
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
	if (!rc) {
		group_join(s, r, fd, &group);
		rc = listener_add(s, fd, rule, port);
	}
	if (rc)
		close(fd);
	return rc;
}

/* Bind to the groups of a port that programs of the host share: 0 or negative
 * errno if there are none, or they do not share it */
static int groups_add(struct listen *s, uint16_t rule, uint16_t port)
{
	const struct fwd_rule *r = &s->conf->rules[rule];
	unsigned i, n = 0;
	int rc;

	for (i = 0; wants_groups(r) && i < ARRAY_SIZE(groups); i++) {
		if (groups[i].port != port)
			continue;
		rc = group_add(s, rule, groups[i].group, port);
		if (rc == -EADDRINUSE)
			return rc;
		n += !rc;
	}
	if (!n)
		return -EADDRINUSE;
	warn("UDP port %u is in use on the host, and shared: option '-u %s' "
	     "forwards multicast only, other datagrams to that port stay with "
	     "the program of the host", port, r->spec);
	return 0;
}

/* rule_port_add() - Bind a port of a rule: 0 or negative errno */
/* #syscalls close */
static int rule_port_add(struct listen *s, uint16_t rule, uint16_t port)
{
	const struct fwd_rule *r = &s->conf->rules[rule];
	int fd = port_open(s, r, port), rc;

	if (fd < 0)
		return fd;
	rc = fd >= s->fd_max && (r->weak || r->scan) ? -EMFILE :
	     listener_add(s, fd, rule, port);
	if (rc)
		close(fd);
	else
		groups_join(s, r, fd, port);
	return rc;
}

/* Rules that name their ports -------------------------------------------------- */

/* Is there no use in trying another port? */
static bool is_exhausted(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM ||
	       rc == -ENOBUFS || rc == -ENOSPC;
}

static char rule_letter(const struct fwd_rule *r)
{
	return "tuTU"[(r->from_ns ? 2 : 0) + (r->proto == IPPROTO_UDP)];
}

/* rule_port_must() - The same, but wait for a port that is in use */
static int rule_port_must(struct listen *s, uint16_t rule, uint16_t port)
{
	const struct timespec step = { .tv_nsec = RETRY_STEP_MS * 1000000L };
	int rc;

	while ((rc = rule_port_add(s, rule, port)) == -EADDRINUSE &&
	       (rc = groups_add(s, rule, port)) == -EADDRINUSE &&
	       s->retry_ms) {
		nanosleep(&step, NULL);
		s->retry_ms -= RETRY_STEP_MS;
	}
	return rc;
}

static int rule_open_strict(struct listen *s, uint16_t rule)
{
	const struct fwd_rule *r = &s->conf->rules[rule];
	char buf[UTIL_ERROR_STRLEN];
	unsigned port;
	int rc;

	for (port = r->first; port <= r->last; port++) {
		rc = rule_port_must(s, rule, (uint16_t)port);
		if (rc) {
			err("Failed to bind port %u (%s) for option '-%c %s'",
			    port, util_strerror(rc, buf), rule_letter(r),
			    r->spec);
			return rc;
		}
	}
	return 0;
}

/* full_note() - No more ports for a rule: said once, with how many there are */
static void full_note(struct listen *s, const struct fwd_rule *r, int rc)
{
	if (s->full)
		return;
	s->full = r;
	s->full_error = rc;
}

static void full_warn(struct listen *s)
{
	char buf[UTIL_ERROR_STRLEN];

	if (!s->full || s->full_told)
		return;
	s->full_told = true;
	warn("Only %u ports are bound, too few for option '-%c %s': %s",
	     s->count, rule_letter(s->full), s->full->spec,
	     util_strerror(s->full_error, buf));
}

/* rule_open_weak() - What can be had, up to *@room ports, which it counts down */
static void rule_open_weak(struct listen *s, uint16_t rule, unsigned *room)
{
	const struct fwd_rule *r = &s->conf->rules[rule];
	char buf[UTIL_ERROR_STRLEN];
	unsigned port;
	int rc;

	for (port = r->first; port <= r->last; port++) {
		if (is_bound(s, r, port))
			continue;
		rc = *room ? rule_port_add(s, rule, (uint16_t)port) : -EMFILE;
		if (is_exhausted(rc) || (rc && nshelper_error_passes(rc))) {
			full_note(s, r, rc);
			return;
		}
		if (rc)
			debug("Port %u can't be bound: %s", port,
			      util_strerror(rc, buf));
		else
			--*room;
	}
}

/* Rules of a protocol that is off, or for a namespace that can't be had */
static bool rule_is_off(const struct listen *s, const struct fwd_rule *r)
{
	return (r->proto == IPPROTO_TCP ? s->conf->no_tcp : s->conf->no_udp) ||
	       (!s->nsh && (r->from_ns || r->scan));
}

static bool is_weak(const struct listen *s, const struct fwd_rule *r,
		    unsigned kind)
{
	return !r->scan && r->weak && rule_kind(r) == kind &&
	       !rule_is_off(s, r);
}

static unsigned weak_ports(const struct listen *s, unsigned kind)
{
	const struct fwd_rule *r = s->conf->rules, *end = r + s->conf->nrules;
	unsigned n = 0;

	for (; r < end; r++) {
		if (is_weak(s, r, kind))
			n += r->last - r->first + 1U;
	}
	return n;
}

/* descriptors_left() - How many weak rules may have */
static unsigned descriptors_left(const struct listen *s)
{
	unsigned used = util_fds_used(s->loop->epfd);

	return used < (unsigned)s->fd_max ? (unsigned)s->fd_max - used : 0;
}

/* open_weak() - A part of what is left for TCP, one for UDP, by what they want */
static void open_weak(struct listen *s)
{
	unsigned left = descriptors_left(s), total = 0, kind, i, wanted, room;

	for (kind = 0; kind < LISTEN_KINDS; kind++)
		total += weak_ports(s, kind);
	for (kind = 0; kind < LISTEN_KINDS; kind++) {
		wanted = weak_ports(s, kind);
		room = left >= total ? wanted :
		       (unsigned)((uint64_t)wanted * left / total);
		for (i = 0; i < s->conf->nrules; i++) {
			if (is_weak(s, &s->conf->rules[i], kind))
				rule_open_weak(s, (uint16_t)i, &room);
		}
	}
}

/* First descriptor that weak rules leave to flows, of @limit */
static int fd_max_of(unsigned limit)
{
	unsigned reserved = limit / 4 > FDS_RESERVED ? limit / 4 : FDS_RESERVED;

	return limit > reserved ? (int)(limit - reserved) : 0;
}

/**
 * listen_init() - No socket yet
 * @s:		All zero
 * @conf:	Rules, complete
 * @loop:	Where sockets are watched
 * @nsh:	Makes sockets in the namespace; NULL: rules for it are left out, and
 *		those that scan
 * @fds:	Limit of descriptors, of which weak rules leave a quarter to flows
 */
void listen_init(struct listen *s, const struct conf *conf, struct loop *loop,
		 struct nshelper *nsh, unsigned fds)
{
	s->conf = conf;
	s->loop = loop;
	s->nsh = nsh;
	s->diag[0] = s->diag[1] = -1;
	s->retry_ms = RETRY_MS;
	s->timer.ref = (union epoll_ref){ .kind = REF_SCAN };
	s->fd_max = fd_max_of(fds);
}

/**
 * listen_open() - Bind what the rules name; those that scan are left for later
 *
 * To be called while we still have privileges. Those that are weak come last, so
 * that they leave their ports to the others. Logs its errors.
 *
 * Return: 0, negative errno if a port can't be bound that has to be
 */
int listen_open(struct listen *s)
{
	const struct fwd_rule *r = s->conf->rules;
	unsigned i;
	int rc;

	for (i = 0; i < s->conf->nrules; i++) {
		if (r[i].scan || r[i].weak || rule_is_off(s, &r[i]))
			continue;
		rc = rule_open_strict(s, (uint16_t)i);
		if (rc)
			return rc;
	}
	open_weak(s);
	full_warn(s);
	return 0;
}

/**
 * listen_close_host() - Close those of a protocol on the host, and search no more
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 *
 * For the end of a command: what it has sent may still wait in the others.
 */
void listen_close_host(struct listen *s, uint8_t proto)
{
	const struct fwd_rule *r;
	uint32_t i;

	wheel_cancel(&s->loop->wheel, &s->timer);
	for (i = 0; i < s->n; i++) {
		r = &s->conf->rules[s->l[i].rule];
		if (s->l[i].fd >= 0 && !r->from_ns && r->proto == proto)
			listener_remove(s, i);
	}
}

/**
 * listen_close() - Close all sockets at once, and search no more
 *
 * For the end of the namespace: the ports are free for a successor then.
 */
/* #syscalls close */
void listen_close(struct listen *s)
{
	uint32_t i;

	wheel_cancel(&s->loop->wheel, &s->timer);
	for (i = 0; i < s->n; i++) {
		if (s->l[i].fd >= 0)
			close(s->l[i].fd);
	}
	for (i = 0; i < 2; i++) {
		if (s->diag[i] >= 0)
			close(s->diag[i]);
		s->diag[i] = -1;
	}
	memset(s->head, 0, sizeof(s->head));
	s->n = s->free = s->count = 0;
}

/* The search -------------------------------------------------------------------- */

/* What one dump is about */
struct scan_dump {
	struct listen *s;
	unsigned kind;
};

static bool is_own_socket(const struct listen *s, unsigned kind,
			  const struct sockdiag_entry *e)
{
	uint32_t i;

	for (i = s->head[kind][e->port]; i; i = s->l[i - 1].next) {
		if (s->l[i - 1].cookie == (uint32_t)e->cookie)
			return true;
	}
	return false;
}

/*
 * is_ephemeral() - Is it a client's? In the namespace the range is taken for that
 * which all start with, whatever the host has
 */
static bool is_ephemeral(const struct conf *c, bool in_ns, uint16_t port)
{
	if (in_ns)
		return port >= EPHEMERAL_FIRST && port <= EPHEMERAL_LAST;
	return port >= c->ephemeral_first && port <= c->ephemeral_last;
}

/* entry_counts() - Is a socket one to forward to? See the top of this file */
static bool entry_counts(const struct listen *s, unsigned kind,
			 const struct sockdiag_entry *e)
{
	const struct conf *c = s->conf;
	bool in_ns = kind == LISTEN_NS_TCP || kind == LISTEN_NS_UDP;
	bool udp = kind == LISTEN_HOST_UDP || kind == LISTEN_NS_UDP;

	if (udp && (is_ephemeral(c, in_ns, e->port) || inany_is_multicast(&e->addr)))
		return false;
	if (in_ns && inany_is_loopback(&e->addr) && !c->host_lo_to_ns_lo &&
	    !c->splice_only)
		return false;
	return !is_own_socket(s, kind, e);
}

static void entry_found(const struct sockdiag_entry *e, void *arg)
{
	const struct scan_dump *d = arg;

	if (entry_counts(d->s, d->kind, e))
		map_add(&d->s->found[d->kind], e->port);
}

/* remove_flows() - Ports of the sockets of our UDP flows on one side */
static void remove_flows(const struct listen *s, enum pif pif,
			 struct portmap *found)
{
	const struct flow *f, *end;
	unsigned side;

	if (!s->flows)
		return;
	end = s->flows->flow + s->flows->high;
	for (f = s->flows->flow; f < end; f++) {
		if (f->proto != IPPROTO_UDP)
			continue;
		for (side = INI; side <= TGT; side++) {
			if (f->pif[side] == pif && f->bound & 1U << side)
				map_remove(found, f->side[side].oport);
		}
	}
}

/* scan_kind() - Ports of a kind that are in use: false if it can't be told */
static bool scan_kind(struct listen *s, unsigned kind)
{
	static const sa_family_t families[] = { AF_INET, AF_INET6 };
	struct scan_dump d = { .s = s, .kind = kind };
	bool in_ns = kind == LISTEN_NS_TCP || kind == LISTEN_NS_UDP;
	bool udp = kind == LISTEN_HOST_UDP || kind == LISTEN_NS_UDP;
	unsigned i;
	int rc;

	memset(&s->found[kind], 0, sizeof(s->found[kind]));
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		rc = sockdiag_dump(s->diag[in_ns], udp ? IPPROTO_UDP : IPPROTO_TCP,
				   families[i], ++s->seq, s->diag_buf,
				   entry_found, &d);
		if (rc) {
			debug_limited_rc(rc, "Can't tell who listens");
			return false;
		}
	}
	if (udp)
		remove_flows(s, in_ns ? PIF_SPLICE : PIF_HOST, &s->found[kind]);
	return true;
}

/* Where the listeners are that a rule of some kind looks for */
static unsigned target_kind(unsigned kind)
{
	return kind ^ LISTEN_NS_TCP;
}

static bool rule_scans(const struct listen *s, const struct fwd_rule *r,
		       unsigned kind)
{
	return r->scan && rule_kind(r) == kind && !rule_is_off(s, r);
}

static bool kind_scans(const struct listen *s, unsigned kind)
{
	unsigned i;

	for (i = 0; i < s->conf->nrules; i++) {
		if (rule_scans(s, &s->conf->rules[i], kind))
			return true;
	}
	return false;
}

/**
 * listen_scan_needed() - Does any rule ask who listens?
 * @in_ns:	In the namespace, else on the host
 */
bool listen_scan_needed(const struct listen *s, bool in_ns)
{
	unsigned kind = in_ns ? LISTEN_HOST_TCP : LISTEN_NS_TCP;

	return kind_scans(s, kind) || kind_scans(s, kind + 1);
}

/* rule_next() - Next port of a rule with a listener from @port on, else 0 */
static unsigned rule_next(const struct fwd_rule *r, const struct portmap *found,
			  unsigned port)
{
	unsigned to;

	if (port > r->last)
		return 0;
	to = map_next(found, port - r->first + r->to);
	if (to == LISTEN_PORTS || to - r->to > (unsigned)(r->last - r->first))
		return 0;
	return to - r->to + r->first;
}

static void rule_want(struct portmap *want, const struct fwd_rule *r,
		      const struct portmap *found)
{
	unsigned port = rule_next(r, found, r->first);

	for (; port; port = rule_next(r, found, port + 1))
		map_add(want, (uint16_t)port);
}

/* rule_open_found() - Bind what has a listener: false if no more is possible */
static bool rule_open_found(struct listen *s, uint16_t rule,
			    const struct portmap *found)
{
	const struct fwd_rule *r = &s->conf->rules[rule];
	unsigned kind = rule_kind(r), port = rule_next(r, found, r->first);
	char buf[UTIL_ERROR_STRLEN];
	int rc;

	for (; port; port = rule_next(r, found, port + 1)) {
		if (is_bound(s, r, port) ||
		    (map_has(&s->failed[kind], (uint16_t)port) &&
		     s->round % RETRY_ROUNDS))
			continue;
		rc = rule_port_add(s, rule, (uint16_t)port);
		if (is_exhausted(rc)) {
			full_note(s, r, rc);
			return false;
		}
		if (rc && nshelper_error_passes(rc))
			return true;		/* with the next search */
		if (!rc) {
			debug("Port %u is in use, bound for -%c", port,
			      rule_letter(r));
			map_remove(&s->failed[kind], (uint16_t)port);
		} else if (!map_has(&s->failed[kind], (uint16_t)port)) {
			debug("Port %u is in use, can't be bound for -%c: %s",
			      port, rule_letter(r), util_strerror(rc, buf));
			map_add(&s->failed[kind], (uint16_t)port);
		}
	}
	return true;
}

/* close_unwanted() - Sockets of rules that scan, whose listener is gone */
static void close_unwanted(struct listen *s, unsigned kind)
{
	const struct fwd_rule *r;
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		if (s->l[i].fd < 0)
			continue;
		r = &s->conf->rules[s->l[i].rule];
		if (!rule_scans(s, r, kind) ||
		    map_has(&s->want, s->l[i].port))
			continue;
		debug("Port %u is no longer in use, closed for -%c",
		      s->l[i].port, rule_letter(r));
		listener_remove(s, i);
	}
}

/* apply() - Have bound what rules of a kind want, given who listens */
static void apply(struct listen *s, unsigned kind, const struct portmap *found)
{
	const struct conf *c = s->conf;
	unsigned i;

	memset(&s->want, 0, sizeof(s->want));
	for (i = 0; i < c->nrules; i++) {
		if (rule_scans(s, &c->rules[i], kind))
			rule_want(&s->want, &c->rules[i], found);
	}
	for (i = 0; i < ARRAY_SIZE(s->want.word); i++)
		s->failed[kind].word[i] &= s->want.word[i];
	close_unwanted(s, kind);
	for (i = 0; i < c->nrules; i++) {
		if (rule_scans(s, &c->rules[i], kind) &&
		    !rule_open_found(s, (uint16_t)i, found))
			return;
	}
}

static void map_join(struct portmap *m, const struct portmap *other)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(m->word); i++)
		m->word[i] |= other->word[i];
}

/* remove_dhcp() - The ports of RFC 2131 and RFC 8415 */
static void remove_dhcp(struct portmap *udp)
{
	static const uint16_t ports[] = { 67, 68, 546, 547 };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ports); i++)
		map_remove(udp, ports[i]);
}

/*
 * scan_direction() - From the host to the namespace, or the other way
 * @tcp:	Kind of the sockets for TCP, that for UDP follows
 *
 * Where the kernel does not tell, everything stays as it is.
 */
static void scan_direction(struct listen *s, unsigned tcp)
{
	unsigned udp = tcp + 1, tcp_to = target_kind(tcp),
		 udp_to = target_kind(udp);
	bool have_tcp = kind_scans(s, tcp);

	if (s->diag[tcp_to >= LISTEN_NS_TCP] < 0)
		return;
	if (have_tcp && !scan_kind(s, tcp_to))
		return;
	if (have_tcp)
		apply(s, tcp, &s->found[tcp_to]);
	if (!kind_scans(s, udp) || !scan_kind(s, udp_to))
		return;
	if (have_tcp)
		map_join(&s->found[udp_to], &s->found[tcp_to]);
	remove_dhcp(&s->found[udp_to]);
	apply(s, udp, &s->found[udp_to]);
}

/*
 * scan_arm() - Once a second, never later
 *
 * For such a delay the wheel has slots of 64 ms and rounds up to them.
 */
static void scan_arm(struct listen *s)
{
	uint64_t at = s->loop->now_ms + SCAN_MS;

	wheel_arm(&s->loop->wheel, &s->timer, at - at % SCAN_SLOT_MS);
}

/*
 * diag_retry() - A socket to ask in the namespace, if there was none at start
 *
 * Errors that don't pass have been told; others are no reason to give up.
 */
static void diag_retry(struct listen *s)
{
	if (!s->diag_missing)
		return;
	s->diag[1] = nshelper_diag(s->nsh);
	s->diag_missing = s->diag[1] < 0 && nshelper_error_passes(s->diag[1]);
	if (s->diag[1] >= 0)
		info("Listeners of the namespace can be told from now on");
}

/**
 * listen_scan() - Look who listens, once more; when the timer of REF_SCAN fires
 */
void listen_scan(struct listen *s)
{
	s->udp_closed = false;
	diag_retry(s);
	scan_direction(s, LISTEN_HOST_TCP);
	scan_direction(s, LISTEN_NS_TCP);
	full_warn(s);
	s->round++;
	scan_arm(s);
}

/**
 * listen_scan_start() - Start to search, with a first look right now
 * @diag_host:	From sockdiag_open() on the host; kept. Negative errno: there is
 *		none, a warning if it would be needed
 * @diag_ns:	The same in the namespace
 *
 * After listen_open(), before the sandbox: ports that clients get in the
 * namespace are taken to be the same as on the host.
 */
void listen_scan_start(struct listen *s, int diag_host, int diag_ns)
{
	char buf[UTIL_ERROR_STRLEN];

	if (diag_host < 0 && listen_scan_needed(s, false))
		warn("Can't tell who listens on the host: %s",
		     util_strerror(diag_host, buf));
	if (diag_ns < 0 && listen_scan_needed(s, true)) {
		s->diag_missing = nshelper_error_passes(diag_ns);
		warn("Can't tell who listens in the namespace%s: %s",
		     s->diag_missing ? " for now" : "",
		     util_strerror(diag_ns, buf));
	}
	s->diag[0] = diag_host;
	s->diag[1] = diag_ns;
	if (diag_host < 0 && diag_ns < 0 && !s->diag_missing)
		return;
	listen_scan(s);
}
