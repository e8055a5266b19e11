/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen.c - Forwarding rules to bound sockets
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
 * Those also leave descriptors for the flows. Rules that scan (auto) are left to scan.c.
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
	LO_IFINDEX	= 1,		/* LOOPBACK_IFINDEX of the kernel */
};

/* listen_kind() - Which of the kinds of sockets a rule has */
unsigned listen_kind(const struct fwd_rule *r)
{
	return (r->from_ns ? LISTEN_NS_TCP : LISTEN_HOST_TCP) +
	       (r->proto == IPPROTO_UDP);
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
	unsigned kind = listen_kind(&s->conf->rules[rule]);
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

/* listen_has() - Has a port a socket already, for the addresses of this rule? */
bool listen_has(const struct listen *s, const struct fwd_rule *r,
		     unsigned port)
{
	uint32_t i;

	for (i = s->head[listen_kind(r)][port]; i; i = s->l[i - 1].next) {
		const struct fwd_rule *o = &s->conf->rules[s->l[i - 1].rule];

		if (fwd_rule_same_addr(o, r) &&
		    !strcmp(o->ifname, r->ifname))
			return true;
	}
	return false;
}

/* listen_is_own() - Is a socket of a kind and port, by its cookie, one of these? */
bool listen_is_own(const struct listen *s, unsigned kind, uint16_t port,
		   uint32_t cookie)
{
	uint32_t i;

	for (i = s->head[kind][port]; i; i = s->l[i - 1].next) {
		if (s->l[i - 1].cookie == cookie)
			return true;
	}
	return false;
}

/* listen_unbind() - Close a socket that scanning bound */
/* #syscalls close */
void listen_unbind(struct listen *s, uint32_t i)
{
	struct listener *l = &s->l[i];
	uint32_t *head = &s->head[listen_kind(&s->conf->rules[l->rule])][l->port];
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
	uint32_t i = after == LISTEN_MAX ? s->head[listen_kind(r)][port] :
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

/* listen_bind() - Bind a port of a rule: 0 or negative errno */
/* #syscalls close */
int listen_bind(struct listen *s, uint16_t rule, uint16_t port)
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
bool listen_is_exhausted(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM ||
	       rc == -ENOBUFS || rc == -ENOSPC;
}

char listen_letter(const struct fwd_rule *r)
{
	return "tuTU"[(r->from_ns ? 2 : 0) + (r->proto == IPPROTO_UDP)];
}

/* rule_port_must() - The same, but wait for a port that is in use */
static int rule_port_must(struct listen *s, uint16_t rule, uint16_t port)
{
	const struct timespec step = { .tv_nsec = RETRY_STEP_MS * 1000000L };
	int rc;

	while ((rc = listen_bind(s, rule, port)) == -EADDRINUSE &&
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
			    port, util_strerror(rc, buf), listen_letter(r),
			    r->spec);
			return rc;
		}
	}
	return 0;
}

/* listen_full_note() - No more ports for a rule: said once, with how many there are */
void listen_full_note(struct listen *s, const struct fwd_rule *r, int rc)
{
	if (s->full)
		return;
	s->full = r;
	s->full_error = rc;
}

void listen_full_warn(struct listen *s)
{
	char buf[UTIL_ERROR_STRLEN];

	if (!s->full || s->full_told)
		return;
	s->full_told = true;
	warn("Only %u ports are bound, too few for option '-%c %s': %s",
	     s->count, listen_letter(s->full), s->full->spec,
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
		if (listen_has(s, r, port))
			continue;
		rc = *room ? listen_bind(s, rule, (uint16_t)port) : -EMFILE;
		if (listen_is_exhausted(rc) || (rc && nshelper_error_passes(rc))) {
			listen_full_note(s, r, rc);
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
bool listen_is_off(const struct listen *s, const struct fwd_rule *r)
{
	return (r->proto == IPPROTO_TCP ? s->conf->no_tcp : s->conf->no_udp) ||
	       (!s->nsh && (r->from_ns || r->scan));
}

static bool is_weak(const struct listen *s, const struct fwd_rule *r,
		    unsigned kind)
{
	return !r->scan && r->weak && listen_kind(r) == kind &&
	       !listen_is_off(s, r);
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
	s->retry_ms = RETRY_MS;
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
		if (r[i].scan || r[i].weak || listen_is_off(s, &r[i]))
			continue;
		rc = rule_open_strict(s, (uint16_t)i);
		if (rc)
			return rc;
	}
	open_weak(s);
	listen_full_warn(s);
	return 0;
}

/**
 * listen_close_host() - Close those of a protocol on the host
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 *
 * For the end of a command: what it has sent may still wait in the others.
 */
void listen_close_host(struct listen *s, uint8_t proto)
{
	const struct fwd_rule *r;
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		r = &s->conf->rules[s->l[i].rule];
		if (s->l[i].fd >= 0 && !r->from_ns && r->proto == proto)
			listen_unbind(s, i);
	}
}

/**
 * listen_close() - Close all sockets at once
 *
 * For the end of the namespace: the ports are free for a successor then.
 */
/* #syscalls close */
void listen_close(struct listen *s)
{
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		if (s->l[i].fd >= 0)
			close(s->l[i].fd);
	}
	memset(s->head, 0, sizeof(s->head));
	s->n = s->free = s->count = 0;
}
