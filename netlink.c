/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink.c - rtnetlink by hand (RFC 3549, netlink(7), rtnetlink(7))
 *
 * From bottom to top:
 *
 *   attrs_*, nl_walk     one datagram, no system call: all bounds are checked
 *                        here, and a message that is shorter than it claims is
 *                        refused
 *   nl_parse_*           one message -> plain data, no system call either
 *   nl_talk              request and replies, matched by sequence and port
 *   nl_get_*             requests with one answer
 *
 * NLMSG_DONE ends a dump, in a datagram of its own or behind data (Linux 6.9).
 * Replies to earlier requests, which timed out, are skipped. Datagrams that do
 * not fit are refused. No call waits longer than NL_TIMEOUT_MS for the next
 * datagram.
 */

#include "netlink.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK	270
#endif

enum {
	NL_TIMEOUT_MS	= 2000,
	ATTRS_MAX	= 32,		/* higher types are ignored */
};

struct attrs {
	const struct rtattr *a[ATTRS_MAX];	/* by type, NULL: absent */
};

/* One datagram: no system call ---------------------------------------------- */

/**
 * attrs_parse() - Index attributes by type, check their lengths
 * @t:		Filled; the last one of a type counts
 * @buf:	First attribute, aligned to 4
 * @rem:	Bytes there
 *
 * Return: 0, or -EBADMSG if any length is less than its header or beyond @rem
 */
static int attrs_parse(struct attrs *t, const void *buf, size_t rem)
{
	const uint8_t *p = buf;

	memset(t, 0, sizeof(*t));
	while (rem) {
		const struct rtattr *a = (const struct rtattr *)p;
		size_t step;

		if (rem < sizeof(*a) || a->rta_len < sizeof(*a) ||
		    a->rta_len > rem)
			return -EBADMSG;
		if ((a->rta_type & NLA_TYPE_MASK) < ATTRS_MAX)
			t->a[a->rta_type & NLA_TYPE_MASK] = a;
		step = RTA_ALIGN(a->rta_len);
		if (step > rem)		/* the last one needs no padding */
			step = rem;
		p += step;
		rem -= step;
	}
	return 0;
}

static size_t attr_len(const struct rtattr *a)
{
	return a->rta_len - sizeof(*a);
}

static const void *attr_data(const struct rtattr *a)
{
	return (const uint8_t *)a + sizeof(*a);
}

/* attr_u32() - Value in host order; @fallback if absent or of another size */
static uint32_t attr_u32(const struct rtattr *a, uint32_t fallback)
{
	uint32_t v;

	if (!a || attr_len(a) != sizeof(v))
		return fallback;
	memcpy(&v, attr_data(a), sizeof(v));
	return v;
}

/*
 * addr_read() - Read an address of @family; false for a wrong length
 *
 * Refuse IPv4-mapped addresses: no link has them, and we would take them for
 * IPv4.
 */
static bool addr_read(int family, const void *p, size_t len, union inany *out)
{
	struct in6_addr a6;
	struct in_addr a4;

	if (family == AF_INET && len == sizeof(a4)) {
		memcpy(&a4, p, sizeof(a4));
		*out = inany_from_v4(a4);
		return true;
	}
	if (family == AF_INET6 && len == sizeof(a6)) {
		memcpy(&a6, p, sizeof(a6));
		if (IN6_IS_ADDR_V4MAPPED(&a6))
			return false;
		*out = inany_from_v6(&a6);
		return true;
	}
	return false;
}

static bool attr_addr(const struct rtattr *a, int family, union inany *out)
{
	return a && addr_read(family, attr_data(a), attr_len(a), out);
}

/* attr_via() - RTA_VIA: a gateway of another family than the route's */
static bool attr_via(const struct rtattr *a, union inany *out)
{
	const size_t skip = offsetof(struct rtvia, rtvia_addr);
	uint16_t family;

	if (!a || attr_len(a) < skip)
		return false;
	memcpy(&family, attr_data(a), sizeof(family));
	return addr_read(family, (const uint8_t *)attr_data(a) + skip,
			 attr_len(a) - skip, out);
}

/* extack_read() - Keep the kernel's explanation, printable characters only */
static void extack_read(struct nl_answer *n, const void *tlvs, size_t len)
{
	const struct rtattr *a;
	struct attrs t;
	const char *s;
	size_t i;

	if (attrs_parse(&t, tlvs, len) || !t.a[NLMSGERR_ATTR_MSG])
		return;
	a = t.a[NLMSGERR_ATTR_MSG];
	s = attr_data(a);
	for (i = 0; i < attr_len(a) && i < sizeof(n->extack) - 1 && s[i]; i++)
		n->extack[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
	n->extack[i] = '\0';
}

/* msg_len() - Bytes behind the netlink header, which has been checked */
static size_t msg_len(const struct nlmsghdr *nh)
{
	return nh->nlmsg_len - sizeof(*nh);
}

static const void *msg_data(const struct nlmsghdr *nh)
{
	return (const uint8_t *)nh + sizeof(*nh);
}

/**
 * msg_error() - Read the result in an NLMSG_ERROR or NLMSG_DONE message
 * @n:		extack is set to the text of the extended acknowledgement, if any
 * @nh:		The message, its length checked
 *
 * NLMSG_ERROR holds the error, then the header of the request, then, unless
 * NLM_F_CAPPED, the rest of the request; NLMSG_DONE the error, or nothing.
 * With NLM_F_ACK_TLVS attributes follow.
 *
 * Return: 0, or a negative errno as the kernel gave it, -EBADMSG if malformed
 */
static int msg_error(struct nl_answer *n, const struct nlmsghdr *nh)
{
	const uint8_t *p = msg_data(nh);
	size_t len = msg_len(nh), skip;
	struct nlmsghdr orig;
	int32_t error;

	if (nh->nlmsg_type == NLMSG_DONE && len < sizeof(error))
		return 0;
	skip = nh->nlmsg_type == NLMSG_DONE ? sizeof(error) :
		sizeof(struct nlmsgerr);
	if (len < skip)
		return -EBADMSG;
	memcpy(&error, p, sizeof(error));
	if (error > 0 || error < -4095)	/* not an errno: MAX_ERRNO */
		return -EBADMSG;
	if (nh->nlmsg_type == NLMSG_ERROR &&
	    !(nh->nlmsg_flags & NLM_F_CAPPED)) {
		memcpy(&orig, p + sizeof(error), sizeof(orig));
		if (orig.nlmsg_len > sizeof(orig))
			skip += NLMSG_ALIGN(orig.nlmsg_len - sizeof(orig));
	}
	if (nh->nlmsg_flags & NLM_F_ACK_TLVS && skip < len)
		extack_read(n, p + skip, len - skip);
	return error;
}

/**
 * nl_walk() - Call a function for each message of one datagram
 * @a:		Has sequence number and port; interrupted and extack are set
 * @buf:	The datagram, aligned to NLMSG_ALIGNTO
 * @rem:	Its bytes
 * @fn:		Called for each message with data, its length checked; or NULL
 * @arg:	For @fn
 *
 * Return: 1 if more is to come, 0 if the request is answered, negative errno as
 *	   the kernel told it, -EBADMSG if malformed
 */
int nl_walk(struct nl_answer *a, const void *buf, size_t rem, nl_msg_fn fn,
	    void *arg)
{
	const uint8_t *p = buf;

	while (rem) {
		const struct nlmsghdr *nh = (const struct nlmsghdr *)p;
		size_t step;

		if (rem < sizeof(*nh) || nh->nlmsg_len < sizeof(*nh) ||
		    nh->nlmsg_len > rem)
			return -EBADMSG;
		step = NLMSG_ALIGN(nh->nlmsg_len);
		if (step > rem)
			step = rem;
		p += step;
		rem -= step;

		/* An answer to an earlier request or another socket */
		if (nh->nlmsg_seq != a->seq ||
		    (a->portid && nh->nlmsg_pid != a->portid))
			continue;
		if (nh->nlmsg_flags & NLM_F_DUMP_INTR)
			a->interrupted = true;
		if (nh->nlmsg_type == NLMSG_DONE ||
		    nh->nlmsg_type == NLMSG_ERROR)
			return msg_error(a, nh);
		if (nh->nlmsg_type == NLMSG_OVERRUN)
			return -ENOBUFS;
		if (nh->nlmsg_type >= NLMSG_MIN_TYPE && fn)
			fn(nh, arg);
	}
	return 1;
}

/**
 * msg_attrs() - Check the fixed header of a message, index its attributes
 * @nh:		Message, its length checked
 * @hdrlen:	Size of the fixed header
 * @t:		Filled
 *
 * Return: the fixed header, NULL if the message is malformed
 */
static const void *msg_attrs(const struct nlmsghdr *nh, size_t hdrlen,
			     struct attrs *t)
{
	const uint8_t *p = msg_data(nh);
	size_t len = msg_len(nh), skip = NLMSG_ALIGN(hdrlen);

	if (len < hdrlen)
		return NULL;
	if (skip > len)
		skip = len;
	return attrs_parse(t, p + skip, len - skip) ? NULL : p;
}

/**
 * nl_parse_link() - RTM_NEWLINK to plain data
 * @nh:		Message
 * @l:		Filled
 *
 * Return: 0, -EBADMSG
 */
int nl_parse_link(const struct nlmsghdr *nh, struct nl_link *l)
{
	const struct ifinfomsg *ifi;
	const struct rtattr *a;
	struct attrs t;

	memset(l, 0, sizeof(*l));
	ifi = msg_attrs(nh, sizeof(*ifi), &t);
	if (nh->nlmsg_type != RTM_NEWLINK || !ifi || ifi->ifi_index <= 0)
		return -EBADMSG;
	l->index = (unsigned)ifi->ifi_index;
	l->flags = ifi->ifi_flags;
	a = t.a[IFLA_IFNAME];
	if (!a || !attr_len(a) || attr_len(a) > sizeof(l->name))
		return -EBADMSG;
	memcpy(l->name, attr_data(a), attr_len(a));
	l->name[sizeof(l->name) - 1] = '\0';
	a = t.a[IFLA_ADDRESS];
	l->has_mac = a && attr_len(a) == MAC_LEN;
	if (l->has_mac)
		memcpy(l->mac, attr_data(a), MAC_LEN);
	return 0;
}

/**
 * nl_parse_addr() - RTM_NEWADDR to plain data
 * @nh:		Message
 * @family:	Expected family; a kernel without IPv6 answers with others
 * @a:		Filled
 * @ifindex:	Set to the interface
 *
 * IFA_ADDRESS is the address, or the other end if there is IFA_LOCAL, too.
 *
 * Return: 0, -ESRCH for another family, -EBADMSG
 */
int nl_parse_addr(const struct nlmsghdr *nh, int family, struct host_addr *a,
		  unsigned *ifindex)
{
	const struct ifaddrmsg *ifa;
	struct attrs t;

	memset(a, 0, sizeof(*a));
	ifa = msg_attrs(nh, sizeof(*ifa), &t);
	if (nh->nlmsg_type != RTM_NEWADDR || !ifa)
		return -EBADMSG;
	if (ifa->ifa_family != family)
		return -ESRCH;
	if (ifa->ifa_prefixlen > (family == AF_INET ? 32 : 128))
		return -EBADMSG;
	if (!attr_addr(t.a[IFA_LOCAL], family, &a->addr) &&
	    !attr_addr(t.a[IFA_ADDRESS], family, &a->addr))
		return -EBADMSG;
	if (!attr_addr(t.a[IFA_ADDRESS], family, &a->peer))
		a->peer = a->addr;
	a->flags = attr_u32(t.a[IFA_FLAGS], ifa->ifa_flags);
	a->prefix_len = ifa->ifa_prefixlen;
	a->scope = ifa->ifa_scope;
	*ifindex = ifa->ifa_index;
	return 0;
}

/* hop_read() - Read the next hop in a route or in a struct rtnexthop */
static void hop_read(struct nl_hop *h, const struct attrs *t, int family,
		     unsigned oif, unsigned flags)
{
	memset(h, 0, sizeof(*h));
	h->oif = oif;
	h->onlink = flags & RTNH_F_ONLINK;
	h->dead = flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);
	if (!attr_addr(t->a[RTA_GATEWAY], family, &h->gw))
		attr_via(t->a[RTA_VIA], &h->gw);
}

/* hops_parse() - Read RTA_MULTIPATH: many struct rtnexthop with attributes */
static int hops_parse(struct nl_route *r, const struct rtattr *mp, int family)
{
	const uint8_t *p = attr_data(mp);
	size_t rem = attr_len(mp);

	while (rem) {
		const struct rtnexthop *nh = (const struct rtnexthop *)p;
		struct attrs t;
		size_t step;

		if (rem < sizeof(*nh) || nh->rtnh_len < sizeof(*nh) ||
		    nh->rtnh_len > rem ||
		    attrs_parse(&t, p + sizeof(*nh),
				nh->rtnh_len - sizeof(*nh)))
			return -EBADMSG;
		if (r->nhops < NL_HOPS_MAX && nh->rtnh_ifindex > 0)
			hop_read(&r->hops[r->nhops++], &t, family,
				 (unsigned)nh->rtnh_ifindex, nh->rtnh_flags);
		step = RTNH_ALIGN(nh->rtnh_len);
		if (step > rem)
			step = rem;
		p += step;
		rem -= step;
	}
	return 0;
}

/* prefix_read() - Read a prefix, which may be absent if its length is 0 */
static int prefix_read(const struct rtattr *a, int family, unsigned len,
		       union inany *out)
{
	if (len > (family == AF_INET ? 32u : 128u))
		return -EBADMSG;
	if (!attr_addr(a, family, out) && (a || len))
		return -EBADMSG;
	return 0;
}

/**
 * nl_parse_route_of_any() - RTM_NEWROUTE of any table to plain data
 * @nh:		Message
 * @family:	Expected family
 * @r:		Filled. A route without next hops has an nh_id, or no way out
 *
 * RTA_METRICS, RTA_CACHEINFO (lifetimes), RTA_EXPIRES, RTA_ENCAP and the like
 * are ignored: they are not about our link.
 *
 * Return: 0, -ESRCH for a route that is of no interest, -EBADMSG
 */
int nl_parse_route_of_any(const struct nlmsghdr *nh, int family,
			  struct nl_route *r)
{
	const struct rtmsg *rtm;
	struct attrs t;
	unsigned oif;

	memset(r, 0, sizeof(*r));
	rtm = msg_attrs(nh, sizeof(*rtm), &t);
	if (nh->nlmsg_type != RTM_NEWROUTE || !rtm)
		return -EBADMSG;
	/* Unicast, and no cache entry */
	if (rtm->rtm_family != family || rtm->rtm_type != RTN_UNICAST ||
	    rtm->rtm_flags & RTM_F_CLONED ||
	    rtm->rtm_protocol == RTPROT_REDIRECT)
		return -ESRCH;
	r->r = (struct host_route){
		.dst_len = rtm->rtm_dst_len, .src_len = rtm->rtm_src_len,
		.tos = rtm->rtm_tos, .scope = rtm->rtm_scope,
		.protocol = rtm->rtm_protocol,
		.metric = attr_u32(t.a[RTA_PRIORITY], 0),
	};
	if (prefix_read(t.a[RTA_DST], family, r->r.dst_len, &r->r.dst) ||
	    prefix_read(t.a[RTA_SRC], family, r->r.src_len, &r->r.src))
		return -EBADMSG;
	attr_addr(t.a[RTA_PREFSRC], family, &r->r.prefsrc);
	if (t.a[RTA_PREF] && attr_len(t.a[RTA_PREF]) == 1)
		r->r.pref = *(const uint8_t *)attr_data(t.a[RTA_PREF]);

	r->table = attr_u32(t.a[RTA_TABLE], rtm->rtm_table);
	r->nh_id = attr_u32(t.a[RTA_NH_ID], 0);
	if (t.a[RTA_MULTIPATH])
		return hops_parse(r, t.a[RTA_MULTIPATH], family);
	oif = attr_u32(t.a[RTA_OIF], 0);
	if (oif)
		hop_read(&r->hops[r->nhops++], &t, family, oif, rtm->rtm_flags);
	return 0;
}

/* nl_parse_route() - RTM_NEWROUTE of the main table; -ESRCH for others */
int nl_parse_route(const struct nlmsghdr *nh, int family,
		   struct nl_route *r)
{
	int ret = nl_parse_route_of_any(nh, family, r);

	return ret || r->table == RT_TABLE_MAIN ? ret : -ESRCH;
}

/**
 * nl_parse_nexthop() - RTM_NEWNEXTHOP: a next hop or a group of them
 * @nh:		Message
 * @x:		Filled: a hop with an interface, or ids of a group, or, for a
 *		blackhole, neither
 *
 * Return: 0, -EBADMSG
 */
int nl_parse_nexthop(const struct nlmsghdr *nh, struct nl_nexthop *x)
{
	const struct nexthop_grp *g;
	const struct nhmsg *nhm;
	struct attrs t;
	size_t i;

	memset(x, 0, sizeof(*x));
	nhm = msg_attrs(nh, sizeof(*nhm), &t);
	if (nh->nlmsg_type != RTM_NEWNEXTHOP || !nhm)
		return -EBADMSG;
	if (t.a[NHA_GROUP]) {
		g = attr_data(t.a[NHA_GROUP]);
		for (i = 0; i < attr_len(t.a[NHA_GROUP]) / sizeof(*g) &&
			    i < NL_HOPS_MAX; i++)
			memcpy(&x->ids[x->nids++], &g[i].id, sizeof(g->id));
		return 0;
	}
	if (t.a[NHA_BLACKHOLE])
		return 0;
	x->hop.oif = attr_u32(t.a[NHA_OIF], 0);
	x->hop.onlink = nhm->nh_flags & RTNH_F_ONLINK;
	x->hop.dead = nhm->nh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);
	attr_addr(t.a[NHA_GATEWAY], nhm->nh_family, &x->hop.gw);
	return 0;
}

/* Requests ------------------------------------------------------------------ */

/**
 * nl_req_init() - Start a request
 * @q:		Request
 * @type:	RTM_*
 * @flags:	NLM_F_*, in addition to NLM_F_REQUEST
 * @hdr:	Fixed header of the family, such as struct rtmsg
 * @len:	Its bytes
 */
void nl_req_init(struct nl_req *q, unsigned type, unsigned flags,
		 const void *hdr, size_t len)
{
	assert(NLMSG_ALIGN(len) <= sizeof(q->body));
	memset(q, 0, sizeof(*q));
	q->nh.nlmsg_type = type;
	q->nh.nlmsg_flags = NLM_F_REQUEST | flags;
	q->nh.nlmsg_len = (uint32_t)(sizeof(q->nh) + NLMSG_ALIGN(len));
	memcpy(q->body, hdr, len);
}

/**
 * nl_req_put() - Add an attribute
 * @q:		Request; all of ours fit into it
 * @type:	Type of the attribute
 * @data:	Content
 * @len:	Its bytes
 */
void nl_req_put(struct nl_req *q, unsigned type, const void *data,
		size_t len)
{
	size_t off = q->nh.nlmsg_len - sizeof(q->nh);
	struct rtattr a = { .rta_len = sizeof(a) + len,
			    .rta_type = type };

	assert(off + RTA_ALIGN(a.rta_len) <= sizeof(q->body));
	memcpy(q->body + off, &a, sizeof(a));
	memcpy(q->body + off + sizeof(a), data, len);
	q->nh.nlmsg_len += RTA_ALIGN(a.rta_len);
}

void nl_req_put_u32(struct nl_req *q, unsigned type, uint32_t v)
{
	nl_req_put(q, type, &v, sizeof(v));
}

void nl_req_put_addr(struct nl_req *q, unsigned type, const union inany *a)
{
	if (inany_is_v4(a))
		nl_req_put(q, type, &a->v4mapped.a4, sizeof(a->v4mapped.a4));
	else
		nl_req_put(q, type, &a->a6, sizeof(a->a6));
}

void nl_close(struct nl *n)
{
	close(n->fd);
	n->fd = -1;
}

/**
 * nl_open() - Open an rtnetlink socket in the current network namespace
 * @n:		Initialised; nl_close() after use
 *
 * Return: 0, negative errno
 */
int nl_open(struct nl *n)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	struct timeval tv = { .tv_sec = NL_TIMEOUT_MS / 1000,
			      .tv_usec = NL_TIMEOUT_MS % 1000 * 1000 };
	socklen_t salen = sizeof(sa);
	int one = 1, ret;

	n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (n->fd < 0)
		return -errno;
	if (bind(n->fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    getsockname(n->fd, (struct sockaddr *)&sa, &salen) ||
	    setsockopt(n->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv))) {
		ret = -errno;
		nl_close(n);
		return ret;
	}
	n->answer.portid = sa.nl_pid;
	n->answer.seq = 0;

	/* Best effort: newer kernels say more and filter dumps */
	setsockopt(n->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(n->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(n->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one,
		   sizeof(one));
	return 0;
}

/**
 * nl_recv() - Receive a datagram from the kernel
 * @n:		Socket and buffer
 *
 * Return: bytes in @n->buf, 0 if it is not from the kernel, -ETIMEDOUT,
 *	   -EMSGSIZE if it was cut short, other negative errno
 */
static ssize_t nl_recv(struct nl *n)
{
	struct sockaddr_nl from = { 0 };
	socklen_t len = sizeof(from);
	ssize_t got;

	do {
		got = recvfrom(n->fd, n->buf, sizeof(n->buf), MSG_TRUNC,
			       (struct sockaddr *)&from, &len);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if ((size_t)got > sizeof(n->buf))
		return -EMSGSIZE;
	return from.nl_pid ? 0 : got;
}

/**
 * nl_talk() - Send a request, receive the answer to its end
 * @n:		Socket
 * @q:		Request; unless it is a dump, an acknowledgement is requested
 * @fn:		Called for each message of the answer, may be NULL
 * @arg:	For @fn
 *
 * Return: 0, -EAGAIN for a dump that changed meanwhile, negative errno
 */
int nl_talk(struct nl *n, struct nl_req *q, nl_msg_fn fn, void *arg)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	ssize_t got;
	int ret;

	if ((q->nh.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		q->nh.nlmsg_flags |= NLM_F_ACK;
	q->nh.nlmsg_seq = ++n->answer.seq;
	n->answer.interrupted = false;
	n->answer.extack[0] = '\0';
	if (sendto(n->fd, q, q->nh.nlmsg_len, 0, (struct sockaddr *)&to,
		   sizeof(to)) < 0)
		return -errno;
	do {
		got = nl_recv(n);
		if (got < 0)
			return (int)got;
		ret = nl_walk(&n->answer, n->buf, (size_t)got, fn, arg);
	} while (ret > 0);
	return !ret && n->answer.interrupted ? -EAGAIN : ret;
}

/* nl_reason() - Get the text of @ret, the error of the last nl_talk() */
const char *nl_reason(const struct nl *n, int ret)
{
	return n->answer.extack[0] ? n->answer.extack : strerror(-ret);
}

struct link_arg {
	struct nl_link *link;
	int ret;
};

static void link_msg(const struct nlmsghdr *nh, void *arg)
{
	struct link_arg *x = arg;

	x->ret = nl_parse_link(nh, x->link);
}

/**
 * nl_get_link() - Ask for one interface
 * @n:		Socket
 * @index:	Index, 0: by @name
 * @name:	Name
 * @l:		Filled
 *
 * Return: 0, -ENODEV if there is none, other negative errno
 */
int nl_get_link(struct nl *n, unsigned index, const char *name,
		struct nl_link *l)
{
	struct ifinfomsg ifi = { .ifi_index = (int)index };
	struct link_arg arg = { .link = l, .ret = -ENODEV };
	struct nl_req q;
	int ret;

	if (!index && (!*name || strlen(name) >= IFNAMSIZ))
		return -ENODEV;
	nl_req_init(&q, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	if (!index)
		nl_req_put(&q, IFLA_IFNAME, name, strlen(name) + 1);
	ret = nl_talk(n, &q, link_msg, &arg);
	return ret ? ret : arg.ret;
}

struct nexthop_arg {
	struct nl_nexthop *nexthop;
	int ret;
};

static void nexthop_msg(const struct nlmsghdr *nh, void *arg)
{
	struct nexthop_arg *x = arg;

	x->ret = nl_parse_nexthop(nh, x->nexthop);
}

/**
 * nl_get_nexthop() - Ask for one nexthop object
 * @n:		Socket
 * @id:		ID of the object
 * @x:		Filled
 *
 * Return: 0, -ENOENT if there is none, other negative errno
 */
int nl_get_nexthop(struct nl *n, uint32_t id, struct nl_nexthop *x)
{
	struct nexthop_arg arg = { .nexthop = x, .ret = -ENOENT };
	struct nhmsg nhm = { .nh_family = AF_UNSPEC };
	struct nl_req q;
	int ret;

	nl_req_init(&q, RTM_GETNEXTHOP, 0, &nhm, sizeof(nhm));
	nl_req_put_u32(&q, NHA_ID, id);
	ret = nl_talk(n, &q, nexthop_msg, &arg);
	return ret ? ret : arg.ret;
}
