/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink.c - rtnetlink by hand (RFC 3549, rtnetlink(7))
 *
 * From bottom to top:
 *
 *   attrs_*, msg_walk   one datagram, no system call: everything in it is
 *                       bounds-checked here, and a message that does not hold
 *                       what it says is refused, not guessed at
 *   *_parse             one message -> plain data, no system call either
 *   nl_talk             request and replies, matched by sequence and port
 *   probe_*             the host's interface, addresses and routes that serve
 *                       as template for a family
 *   nl_ns_configure     the same, written into another namespace
 *
 * A dump ends where NLMSG_DONE is, be it a datagram of its own or packed behind
 * data (Linux 6.9). Replies to earlier requests, that timed out, are skipped.
 * Nothing waits for longer than NL_TIMEOUT_MS for the next datagram.
 *
 * Which interface is the template: -i, else the one of the default route with
 * the lowest metric in the main table, each family by itself, among routes whose
 * interface is up, if there are any. Kernel order decides between equals. A
 * multipath route stands for its next hops in their order, a nexthop object for
 * what RTM_GETNEXTHOP says about it.
 *
 * What becomes of a family F without template (no default route, or no address):
 *
 *   address given by -a                stays enabled, see local mode
 *   the other family has a template    disabled
 *   else                               local mode: 169.254.2.1/16 behind
 *                                      169.254.2.2, or IPv6 link-local alone
 *
 * So a host without network, or without IPv6, is never an error.
 *
 * All of this happens at start, before the sandbox. There is no state between
 * calls: the file-scope variables are scratch space.
 */

#include "netlink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/nexthop.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "wire.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK	270
#endif
#ifndef IFF_LOWER_UP
#define IFF_LOWER_UP	(1 << 16)	/* linux/if.h, clashes with net/if.h */
#endif

enum {
	NL_BUF_SIZE	= 65536,	/* the kernel's largest dump datagram: 32k */
	NL_REQ_SIZE	= 256,		/* largest request of ours is under 200 */
	NL_TIMEOUT_MS	= 2000,
	NL_TRIES	= 3,		/* of a dump that changed under our eyes */
	ATTRS_MAX	= 32,		/* types above are not looked at */
	HOPS_MAX	= 16,		/* of one multipath route */
	CANDS_MAX	= 16,		/* default routes of one family */
	IP6_METRIC_DEFAULT = 1024,
	IP6_PREFIX_DEFAULT = 64,
	NS_TXQUEUELEN	= 10000,	/* frames; beyond it a tun drops silently */
	DAD_PATIENCE_MS	= 50,		/* before we take DAD away */
	DAD_WAIT_MS	= 3000,
};

/* In IPv4 local mode: RFC 3927 addresses */
#define LOCAL_ADDR4	0xa9fe0201u	/* 169.254.2.1 */
#define LOCAL_GW4	0xa9fe0202u	/* 169.254.2.2 */
#define LOCAL_PREFIX4	16

/* One socket in one namespace, see nl_open() */
struct nl {
	int fd;
	uint32_t seq;
	uint32_t portid;
	bool interrupted;		/* NLM_F_DUMP_INTR seen in this dump */
	char extack[128];		/* the kernel's words on the last error */
	uint8_t buf[NL_BUF_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

struct req {
	struct nlmsghdr nh;
	uint8_t body[NL_REQ_SIZE];
};

struct attrs {
	const struct rtattr *a[ATTRS_MAX];	/* by type, NULL: not there */
};

struct link {
	unsigned index, flags;		/* IFF_* */
	char name[IFNAMSIZ];
	uint8_t mac[MAC_LEN];
	bool has_mac;
};

struct hop {
	unsigned oif;			/* 0: not told */
	union inany gw;			/* unset: on link */
	bool onlink, dead;		/* dead: or without carrier */
};

struct route {
	struct host_route r;		/* without gw and onlink */
	uint32_t nh_id;			/* 0: no nexthop object */
	unsigned nhops;
	struct hop hops[HOPS_MAX];
};

struct nexthop {
	struct hop hop;
	unsigned nids;			/* of a group: its members */
	uint32_t ids[HOPS_MAX];
};

/* Somebody's default route over some interface */
struct cand {
	unsigned oif;
	uint32_t metric;
	bool dead;
	union inany gw, prefsrc;
};

/* Search for the template of one family */
struct probe {
	struct nl *nl, *nested;		/* nested: while a dump is under way */
	sa_family_t family;
	unsigned oif;			/* look at this one only, 0: any */
	unsigned ncands;
	struct cand cands[CANDS_MAX];
	struct cand best;
	struct link link;		/* of best */
	struct host_ip *host;
	struct nexthop hop_cache;	/* of hop_cache_id */
	uint32_t hop_cache_id;
};

typedef void (*msg_fn)(const struct nlmsghdr *nh, void *arg);

/*
 * One datagram: no system calls up to and including nexthop_parse()
 */

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

/* addr_read() - Bytes of an address of @family, false for a wrong length */
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
static void extack_read(struct nl *n, const void *tlvs, size_t len)
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
 * msg_error() - Result in an NLMSG_ERROR or NLMSG_DONE message
 * @n:		Gets the text of the extended acknowledgement, if there is one
 * @nh:		The message, its length checked
 *
 * NLMSG_ERROR holds the error, then the header of the request, then, unless
 * NLM_F_CAPPED, the rest of the request; NLMSG_DONE the error, or nothing.
 * With NLM_F_ACK_TLVS attributes follow.
 *
 * Return: 0, or a negative errno as the kernel gave it, -EBADMSG if malformed
 */
static int msg_error(struct nl *n, const struct nlmsghdr *nh)
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
 * msg_walk() - Hand on the messages of one datagram
 * @n:		For sequence and port; gets interrupted, extack
 * @buf:	The datagram, aligned to NLMSG_ALIGNTO
 * @rem:	Its bytes
 * @fn:		Called for each message with data, its length checked; or NULL
 * @arg:	For @fn
 *
 * Return: 1 if more is to come, 0 if the request is answered, negative errno as
 *	   the kernel told it, -EBADMSG if malformed
 */
static int msg_walk(struct nl *n, const void *buf, size_t rem, msg_fn fn,
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

		/* An answer to an earlier request, or to somebody else's */
		if (nh->nlmsg_seq != n->seq || nh->nlmsg_pid != n->portid)
			continue;
		if (nh->nlmsg_flags & NLM_F_DUMP_INTR)
			n->interrupted = true;
		if (nh->nlmsg_type == NLMSG_DONE ||
		    nh->nlmsg_type == NLMSG_ERROR)
			return msg_error(n, nh);
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

/* link_parse() - RTM_NEWLINK to @l, 0 or -EBADMSG */
static int link_parse(const struct nlmsghdr *nh, struct link *l)
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
 * addr_parse() - RTM_NEWADDR to plain data
 * @nh:		Message
 * @family:	Wanted; a kernel without IPv6 answers with other families
 * @a:		Filled
 * @ifindex:	Set to the interface
 *
 * IFA_ADDRESS is the address, or the other end where IFA_LOCAL is there too.
 *
 * Return: 0, -ESRCH for another family, -EBADMSG
 */
static int addr_parse(const struct nlmsghdr *nh, int family,
		      struct host_addr *a, unsigned *ifindex)
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

/* hop_read() - Next hop from the attributes of a route or of a struct rtnexthop */
static void hop_read(struct hop *h, const struct attrs *t, int family,
		     unsigned oif, unsigned flags)
{
	memset(h, 0, sizeof(*h));
	h->oif = oif;
	h->onlink = flags & RTNH_F_ONLINK;
	h->dead = flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);
	if (!attr_addr(t->a[RTA_GATEWAY], family, &h->gw))
		attr_via(t->a[RTA_VIA], &h->gw);
}

/* hops_parse() - RTA_MULTIPATH: a list of struct rtnexthop with attributes */
static int hops_parse(struct route *r, const struct rtattr *mp, int family)
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
		if (r->nhops < HOPS_MAX && nh->rtnh_ifindex > 0)
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

/* route_wanted() - Unicast and main table, not a cache entry */
static bool route_wanted(const struct rtmsg *rtm, const struct attrs *t)
{
	return attr_u32(t->a[RTA_TABLE], rtm->rtm_table) == RT_TABLE_MAIN &&
	       rtm->rtm_type == RTN_UNICAST &&
	       !(rtm->rtm_flags & RTM_F_CLONED) &&
	       rtm->rtm_protocol != RTPROT_REDIRECT;
}

/* prefix_read() - Destination or source prefix, absent only with length 0 */
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
 * route_parse() - RTM_NEWROUTE to plain data
 * @nh:		Message
 * @family:	Wanted
 * @r:		Filled. Without next hops of its own it has @r->nh_id, or none
 *
 * RTA_METRICS, RTA_CACHEINFO (lifetimes), RTA_EXPIRES, RTA_ENCAP and the like
 * are left out by not being read: none of them is about our link.
 *
 * Return: 0, -ESRCH for a route that is of no interest, -EBADMSG
 */
static int route_parse(const struct nlmsghdr *nh, int family, struct route *r)
{
	const struct rtmsg *rtm;
	struct attrs t;
	unsigned oif;

	memset(r, 0, sizeof(*r));
	rtm = msg_attrs(nh, sizeof(*rtm), &t);
	if (nh->nlmsg_type != RTM_NEWROUTE || !rtm)
		return -EBADMSG;
	if (rtm->rtm_family != family || !route_wanted(rtm, &t))
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

	r->nh_id = attr_u32(t.a[RTA_NH_ID], 0);
	if (t.a[RTA_MULTIPATH])
		return hops_parse(r, t.a[RTA_MULTIPATH], family);
	oif = attr_u32(t.a[RTA_OIF], 0);
	if (oif)
		hop_read(&r->hops[r->nhops++], &t, family, oif, rtm->rtm_flags);
	return 0;
}

/* nexthop_parse() - RTM_NEWNEXTHOP: a next hop or a group of them */
static int nexthop_parse(const struct nlmsghdr *nh, struct nexthop *x)
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
			    i < HOPS_MAX; i++)
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

/*
 * Requests
 */

/* Scratch: too large for a stack, and nothing is kept in it between calls */
static struct nl scratch[2];
static struct probe scratch_probe;

static void req_init(struct req *q, unsigned type, unsigned flags,
		     const void *hdr, size_t len)
{
	assert(NLMSG_ALIGN(len) <= sizeof(q->body));
	memset(q, 0, sizeof(*q));
	q->nh.nlmsg_type = (uint16_t)type;
	q->nh.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	q->nh.nlmsg_len = (uint32_t)(sizeof(q->nh) + NLMSG_ALIGN(len));
	memcpy(q->body, hdr, len);
}

static void req_put(struct req *q, unsigned type, const void *data, size_t len)
{
	size_t off = q->nh.nlmsg_len - sizeof(q->nh);
	struct rtattr a = { .rta_len = (uint16_t)(sizeof(a) + len),
			    .rta_type = (uint16_t)type };

	assert(off + RTA_ALIGN(a.rta_len) <= sizeof(q->body));
	memcpy(q->body + off, &a, sizeof(a));
	memcpy(q->body + off + sizeof(a), data, len);
	q->nh.nlmsg_len += RTA_ALIGN(a.rta_len);
}

static void req_put_u32(struct req *q, unsigned type, uint32_t v)
{
	req_put(q, type, &v, sizeof(v));
}

static void req_put_addr(struct req *q, unsigned type, const union inany *a)
{
	if (inany_is_v4(a))
		req_put(q, type, &a->v4mapped.a4, sizeof(a->v4mapped.a4));
	else
		req_put(q, type, &a->a6, sizeof(a->a6));
}

static void nl_close(struct nl *n)
{
	close(n->fd);
	n->fd = -1;
}

/**
 * nl_open() - rtnetlink socket in the current network namespace
 * @n:		Initialised; nl_close() after use
 *
 * Return: 0, negative errno
 */
static int nl_open(struct nl *n)
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
	n->portid = sa.nl_pid;
	n->seq = 0;

	/* Best effort: newer kernels say more and filter dumps */
	setsockopt(n->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(n->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(n->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one,
		   sizeof(one));
	return 0;
}

/**
 * nl_recv() - Receive a datagram of the kernel's
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
 * nl_talk() - Send a request, hand its answers on until they are complete
 * @n:		Socket
 * @q:		Request; a dump, or it is acknowledged
 * @fn:		Called for each message that comes, may be NULL
 * @arg:	For @fn
 *
 * Return: 0, -EAGAIN for a dump that changed meanwhile, negative errno
 */
static int nl_talk(struct nl *n, struct req *q, msg_fn fn, void *arg)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	ssize_t got;
	int ret;

	if ((q->nh.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		q->nh.nlmsg_flags |= NLM_F_ACK;
	q->nh.nlmsg_seq = ++n->seq;
	n->interrupted = false;
	n->extack[0] = '\0';
	if (sendto(n->fd, q, q->nh.nlmsg_len, 0, (struct sockaddr *)&to,
		   sizeof(to)) < 0)
		return -errno;
	do {
		got = nl_recv(n);
		if (got < 0)
			return (int)got;
		ret = msg_walk(n, n->buf, (size_t)got, fn, arg);
	} while (ret > 0);
	return !ret && n->interrupted ? -EAGAIN : ret;
}

/* nl_reason() - Words for an error of nl_talk() */
static const char *nl_reason(const struct nl *n, int ret)
{
	return n->extack[0] ? n->extack : strerror(-ret);
}

struct link_arg {
	struct link *link;
	int ret;
};

static void link_msg(const struct nlmsghdr *nh, void *arg)
{
	struct link_arg *x = arg;

	x->ret = link_parse(nh, x->link);
}

/* link_get() - Interface by @index, or by @name if that is 0 */
static int link_get(struct nl *n, unsigned index, const char *name,
		    struct link *l)
{
	struct ifinfomsg ifi = { .ifi_index = (int)index };
	struct link_arg arg = { .link = l, .ret = -ENODEV };
	struct req q;
	int ret;

	if (!index && (!*name || strlen(name) >= IFNAMSIZ))
		return -ENODEV;
	req_init(&q, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	if (!index)
		req_put(&q, IFLA_IFNAME, name, strlen(name) + 1);
	ret = nl_talk(n, &q, link_msg, &arg);
	return ret ? ret : arg.ret;
}

static int link_get_by_name(const char *name, struct link *l)
{
	struct nl *n = &scratch[0];
	int ret = nl_open(n);

	if (ret)
		return ret;
	ret = link_get(n, 0, name, l);
	nl_close(n);
	return ret;
}

/**
 * nl_link_index() - Index of an interface of the current namespace
 * @name:	Its name
 *
 * Return: index, or negative errno, -ENODEV if there is none
 */
int nl_link_index(const char *name)
{
	struct link l;
	int ret = link_get_by_name(name, &l);

	return ret ? ret : (int)l.index;
}

/**
 * nl_link_mac() - MAC address of an interface of the current namespace
 * @name:	Its name
 * @mac:	Set on success
 *
 * Return: 0, -EADDRNOTAVAIL if it has none of six bytes, negative errno
 */
int nl_link_mac(const char *name, uint8_t mac[6])
{
	struct link l;
	int ret = link_get_by_name(name, &l);

	if (ret)
		return ret;
	if (!l.has_mac)
		return -EADDRNOTAVAIL;
	memcpy(mac, l.mac, MAC_LEN);
	return 0;
}

/*
 * The host's side: find the template
 */

struct nexthop_arg {
	struct nexthop *nexthop;
	int ret;
};

static void nexthop_msg(const struct nlmsghdr *nh, void *arg)
{
	struct nexthop_arg *x = arg;

	x->ret = nexthop_parse(nh, x->nexthop);
}

static int nexthop_get(struct nl *n, uint32_t id, struct nexthop *x)
{
	struct nexthop_arg arg = { .nexthop = x, .ret = -ENOENT };
	struct nhmsg nhm = { .nh_family = AF_UNSPEC };
	struct req q;
	int ret;

	req_init(&q, RTM_GETNEXTHOP, 0, &nhm, sizeof(nhm));
	req_put_u32(&q, NHA_ID, id);
	ret = nl_talk(n, &q, nexthop_msg, &arg);
	return ret ? ret : arg.ret;
}

/* nexthop_cached() - Same, in tables with very many routes over a few objects */
static const struct nexthop *nexthop_cached(struct probe *p, uint32_t id)
{
	if (id != p->hop_cache_id) {
		p->hop_cache_id = 0;
		if (nexthop_get(p->nested, id, &p->hop_cache))
			return NULL;
		p->hop_cache_id = id;
	}
	return &p->hop_cache;
}

/*
 * route_resolve() - Next hops of a route that has but the id of an object
 *
 * So with net.ipv4.nexthop_compat_mode=0; else the kernel gives them as well.
 */
static void route_resolve(struct probe *p, struct route *r)
{
	const struct nexthop *x;
	struct nexthop member;
	unsigned i;

	if (r->nhops || !r->nh_id)
		return;
	x = nexthop_cached(p, r->nh_id);
	if (!x)
		return;
	if (x->hop.oif)
		r->hops[r->nhops++] = x->hop;
	for (i = 0; i < x->nids; i++) {
		if (!nexthop_get(p->nested, x->ids[i], &member) &&
		    member.hop.oif)
			r->hops[r->nhops++] = member.hop;
	}
}

/*
 * cand_msg() - Collect default routes
 *
 * The kernel lists the routes of one prefix with the lowest metric first, so
 * those which find no room any more would not have been chosen.
 */
static void cand_msg(const struct nlmsghdr *nh, void *arg)
{
	struct probe *p = arg;
	struct route r;
	unsigned i;

	if (route_parse(nh, p->family, &r) || r.r.dst_len || r.r.tos)
		return;
	route_resolve(p, &r);
	if (p->family == AF_INET6 && !r.r.metric)
		r.r.metric = IP6_METRIC_DEFAULT;
	for (i = 0; i < r.nhops && p->ncands < CANDS_MAX; i++) {
		if (p->oif && r.hops[i].oif != p->oif)
			continue;
		p->cands[p->ncands++] = (struct cand){
			.oif = r.hops[i].oif, .metric = r.r.metric,
			.dead = r.hops[i].dead, .gw = r.hops[i].gw,
			.prefsrc = r.r.prefsrc,
		};
	}
}

/* hop_on() - The first next hop over @oif, if possible not a dead one */
static const struct hop *hop_on(const struct route *r, unsigned oif)
{
	const struct hop *found = NULL;
	unsigned i;

	for (i = 0; i < r->nhops; i++) {
		if (r->hops[i].oif == oif && (!found || found->dead))
			found = &r->hops[i];
	}
	return found;
}

/* route_msg() - Collect routes over the template; a default always has room */
static void route_msg(const struct nlmsghdr *nh, void *arg)
{
	struct probe *p = arg;
	struct host_ip *host = p->host;
	const struct hop *hop;
	struct route r;
	unsigned at;

	if (route_parse(nh, p->family, &r))
		return;
	route_resolve(p, &r);
	hop = hop_on(&r, p->best.oif);
	if (!hop)
		return;
	r.r.gw = hop->gw;
	r.r.onlink = hop->onlink;
	at = host->nroutes;
	if (at == CONF_ROUTES_MAX) {
		host->routes_lost++;
		if (r.r.dst_len)
			return;
		at--;
	} else {
		host->nroutes++;
	}
	host->routes[at] = r.r;
}

/* addr_copied() - Is an address one of those that the other side gets? */
static bool addr_copied(const struct host_addr *a, const struct cand *c)
{
	if (inany_equals(&a->addr, &c->prefsrc))
		return true;
	if (inany_is_v4(&a->addr))
		return a->scope < RT_SCOPE_HOST;
	return a->scope < RT_SCOPE_LINK && !(a->flags & IFA_F_DADFAILED);
}

/*
 * addr_msg() - Collect addresses of the template interface
 *
 * The preferred source of the route may be on another one, often on lo. Without
 * @p->best.oif addresses of all interfaces are taken.
 */
static void addr_msg(const struct nlmsghdr *nh, void *arg)
{
	struct probe *p = arg;
	struct host_ip *host = p->host;
	struct host_addr a;
	unsigned ifindex;

	if (addr_parse(nh, p->family, &a, &ifindex) ||
	    !addr_copied(&a, &p->best))
		return;
	if (p->best.oif && ifindex != p->best.oif &&
	    !inany_equals(&a.addr, &p->best.prefsrc))
		return;
	if (host->naddrs == CONF_ADDRS_MAX)
		host->addrs_lost++;
	else
		host->addrs[host->naddrs++] = a;
}

/*
 * probe_dump() - Dump until it is consistent, or as good as it gets
 *
 * *@count and *@lost are what @fn collects, set to 0 before each attempt. With
 * strict checking a table that was never used is -ENOENT: that is, empty.
 */
static int probe_dump(struct probe *p, struct req *q, msg_fn fn,
		      unsigned *count, unsigned *lost)
{
	int tries = NL_TRIES, ret;

	do {
		*count = *lost = 0;
		ret = nl_talk(p->nl, q, fn, p);
	} while (ret == -EAGAIN && --tries);
	return ret == -EAGAIN || ret == -ENOENT ? 0 : ret;
}

static int probe_dump_routes(struct probe *p, msg_fn fn, unsigned *count,
			     unsigned *lost)
{
	struct rtmsg rtm = { .rtm_family = (uint8_t)p->family,
			     .rtm_table = RT_TABLE_MAIN };
	struct req q;

	req_init(&q, RTM_GETROUTE, NLM_F_DUMP, &rtm, sizeof(rtm));
	return probe_dump(p, &q, fn, count, lost);
}

static int probe_dump_addrs(struct probe *p)
{
	struct ifaddrmsg ifa = { .ifa_family = (uint8_t)p->family };
	struct req q;

	req_init(&q, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa));
	return probe_dump(p, &q, addr_msg, &p->host->naddrs,
			  &p->host->addrs_lost);
}

/* cand_better() - Up before down, then by metric; equals keep their order */
static bool cand_better(const struct cand *a, bool a_up, const struct cand *b,
			bool b_up)
{
	return a_up != b_up ? a_up : a->metric < b->metric;
}

/* probe_route() - Choose among the default routes: @p->best, @p->link */
static bool probe_route(struct probe *p)
{
	bool found = false, best_up = false, up;
	const struct cand *c;
	unsigned lost;
	struct link l;

	if (probe_dump_routes(p, cand_msg, &p->ncands, &lost))
		return false;
	for (c = p->cands; c < p->cands + p->ncands; c++) {
		if (link_get(p->nl, c->oif, NULL, &l) ||
		    l.flags & IFF_LOOPBACK)
			continue;
		up = !c->dead && l.flags & IFF_UP && l.flags & IFF_RUNNING;
		if (found && !cand_better(c, up, &p->best, best_up))
			continue;
		p->best = *c;
		p->link = l;
		best_up = up;
		found = true;
	}
	return found;
}

/* prefix_equals() - First @len bits, which count from the family's own start */
static bool prefix_equals(const union inany *a, const union inany *b,
			  unsigned len)
{
	unsigned bytes, bits;

	if (inany_is_v4(a) != inany_is_v4(b))
		return false;
	len += inany_is_v4(a) ? 96 : 0;
	bytes = len / 8;
	bits = len % 8;
	return !memcmp(a->a6.s6_addr, b->a6.s6_addr, bytes) &&
	       (!bits || !((a->a6.s6_addr[bytes] ^ b->a6.s6_addr[bytes]) >>
			   (8 - bits)));
}

/*
 * addr_score() - Which address is the best to have, the higher
 *
 * IPv4: the route's own idea, then global, then next to the gateway, then
 * primary. IPv6: as above, then, in the spirit of RFC 6724, 5: usable now (no
 * duplicate address detection pending), not deprecated (rule 3), global rather
 * than unique local (rule 6, table 2.1), and stable rather than temporary: it
 * outlives the day.
 */
static int addr_score(const struct host_addr *a, const struct cand *c)
{
	bool ready = !(a->flags & IFA_F_TENTATIVE) ||
		     a->flags & IFA_F_OPTIMISTIC;
	int score = inany_equals(&a->addr, &c->prefsrc) ? 32 : 0;

	if (inany_is_v4(&a->addr))
		return score + (a->scope == RT_SCOPE_UNIVERSE ? 16 : 0) +
		       (prefix_equals(&a->peer, &c->gw, a->prefix_len) ? 8 : 0) +
		       (a->flags & IFA_F_SECONDARY ? 0 : 4);
	return score + (ready ? 16 : 0) +
	       (a->flags & IFA_F_DEPRECATED ? 0 : 8) +
	       ((a->addr.a6.s6_addr[0] & 0xfe) == 0xfc ? 0 : 4) +
	       (a->flags & IFA_F_TEMPORARY ? 0 : 2);
}

static struct host_addr *addr_best(struct host_ip *host, const struct cand *c)
{
	struct host_addr *a, *best = NULL;

	for (a = host->addrs; a < host->addrs + host->naddrs; a++) {
		if (!best || addr_score(a, c) > addr_score(best, c))
			best = a;
	}
	return best;
}

/*
 * addrs_settle() - The best address first, no temporary ones after it
 *
 * Those come and go on the host every few hours; here they would stay.
 */
static void addrs_settle(struct host_ip *host, const struct cand *c)
{
	struct host_addr *best = addr_best(host, c), first;
	unsigned i, to = 1;

	if (!best)
		return;
	first = *best;
	*best = host->addrs[0];
	for (i = 1; i < host->naddrs; i++) {
		if (inany_is_v4(&first.addr) ||
		    !(host->addrs[i].flags & IFA_F_TEMPORARY))
			host->addrs[to++] = host->addrs[i];
	}
	host->addrs[0] = first;
	host->naddrs = to;
}

/*
 * probe_addrs() - Collect addresses, the best one first
 *
 * The interface of a default route needs none of its own: the kernel then takes
 * one of another interface, and so do we.
 */
static void probe_addrs(struct probe *p, bool has_route)
{
	unsigned oif = p->best.oif;

	if (probe_dump_addrs(p))
		return;
	if (!p->host->naddrs && has_route) {
		p->best.oif = 0;
		probe_dump_addrs(p);
		p->best.oif = oif;
		addrs_settle(p->host, &p->best);
		if (p->host->naddrs > 1)
			p->host->naddrs = 1;
		return;
	}
	addrs_settle(p->host, &p->best);
}

/* prefix_guess() - Length for an address without: the host's, else by class */
static uint8_t prefix_guess(const union inany *addr, const struct host_ip *host)
{
	uint32_t a4;
	unsigned i;

	if (!inany_is_v4(addr))
		return IP6_PREFIX_DEFAULT;
	for (i = 0; i < host->naddrs; i++) {
		if (prefix_equals(addr, &host->addrs[i].addr,
				  host->addrs[i].prefix_len))
			return host->addrs[i].prefix_len;
	}
	/* RFC 791, 3.2; superseded by RFC 4632, but what everybody expects */
	a4 = ntohl(addr->v4mapped.a4.s_addr);
	return a4 >> 31 == 0 ? 8 : a4 >> 30 == 2 ? 16 : a4 >> 29 == 6 ? 24 : 32;
}

/**
 * probe_family() - Find the template of one family, fill in what was not given
 * @p:		Sockets set up; overwritten
 * @ip:		What the user gave; filled if there is a template
 * @family:	AF_INET or AF_INET6
 * @opt:	Interface by option -i, NULL if none
 * @host:	Filled
 *
 * Return: true if there is one
 */
static bool probe_family(struct probe *p, struct conf_ip *ip,
			 sa_family_t family, const struct link *opt,
			 struct host_ip *host)
{
	bool has_route;

	p->family = family;
	p->oif = opt ? opt->index : 0;
	p->host = host;
	p->hop_cache_id = 0;
	memset(&p->best, 0, sizeof(p->best));

	has_route = probe_route(p);
	if (!has_route && !opt)
		return false;
	if (!has_route) {
		p->best.oif = opt->index;
		p->link = *opt;
	}
	probe_addrs(p, has_route);
	if (!host->naddrs && !ip->addr_given)
		return false;

	ip->ifindex = p->link.index;
	memcpy(ip->ifname, p->link.name, sizeof(ip->ifname));
	if (!ip->addr_given)
		ip->addr = host->addrs[0].addr;
	if (!ip->prefix_given)
		ip->prefix_len = ip->addr_given ? prefix_guess(&ip->addr, host) :
				 host->addrs[0].prefix_len;
	if (!ip->gw_given && inany_is_set(&p->best.gw) &&
	    inany_is_v4(&p->best.gw) == (family == AF_INET))
		ip->gw = p->best.gw;
	probe_dump_routes(p, route_msg, &host->nroutes, &host->routes_lost);
	return true;
}

/* eui64_linklocal() - RFC 4291, 2.5.6 and Appendix A */
static union inany eui64_linklocal(const uint8_t mac[MAC_LEN])
{
	struct in6_addr a = { .s6_addr = {
		0xfe, 0x80, 0, 0, 0, 0, 0, 0,
		mac[0] ^ 0x02, mac[1], mac[2], 0xff,
		0xfe, mac[3], mac[4], mac[5],
	} };

	return inany_from_v6(&a);
}

static union inany inany_from_v4_host(uint32_t a)
{
	return inany_from_v4((struct in_addr){ .s_addr = htonl(a) });
}

/* local_mode() - No template: fill what was not given */
static void local_mode(struct conf_ip *ip, bool v4, const struct host_ip *host)
{
	ip->ifindex = 0;
	ip->ifname[0] = '\0';
	if (v4 && !ip->addr_given)
		ip->addr = inany_from_v4_host(LOCAL_ADDR4);
	if (!ip->prefix_given && inany_is_set(&ip->addr))
		ip->prefix_len = v4 && !ip->addr_given ? LOCAL_PREFIX4 :
				 prefix_guess(&ip->addr, host);
	if (!ip->gw_given)
		ip->gw = v4 ? inany_from_v4_host(LOCAL_GW4) : ip->our_ll;
	info("%s: no external interface as template, use local mode",
	     v4 ? "IPv4" : "IPv6");
}

/* no_template() - See the table at the top of this file */
static void no_template(struct conf_ip *ip, bool v4, bool other,
			struct host_ip *host)
{
	memset(host, 0, sizeof(*host));
	if (ip->addr_given || !other) {
		local_mode(ip, v4, host);
		return;
	}
	ip->enabled = false;
	debug("%s: nothing on the host to take as a template, disabled",
	      v4 ? "IPv4" : "IPv6");
}

/* have_ipv6() - False with ipv6.disable=1, and where IPv6 is not built in */
static bool have_ipv6(void)
{
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return errno != EAFNOSUPPORT;
	close(s);
	return true;
}

static void lost_warn(const struct host_ip *host, const char *name)
{
	if (host->addrs_lost || host->routes_lost)
		warn("%s: %u addresses and %u routes of the host are too many to copy",
		     name, host->addrs_lost, host->routes_lost);
}

/* template_probe() - Both families, given open sockets */
static int template_probe(struct probe *p, struct conf *c, struct hostnet *h,
			  bool *have4, bool *have6)
{
	const struct link *opt = NULL;
	struct link l;

	if (*c->ifname_opt) {
		if (link_get(p->nl, 0, c->ifname_opt, &l)) {
			err("External interface not usable: %s does not exist",
			    c->ifname_opt);
			return -ENODEV;
		}
		opt = &l;
	}
	if (c->ip4.enabled)
		*have4 = probe_family(p, &c->ip4, AF_INET, opt, &h->v4);
	if (c->ip6.enabled)
		*have6 = probe_family(p, &c->ip6, AF_INET6, opt, &h->v6);
	if (opt && !*have4 && !*have6) {
		err("External interface not usable: %s has no address",
		    c->ifname_opt);
		return -EADDRNOTAVAIL;
	}
	return 0;
}

/**
 * nl_template() - Find the host's interfaces to copy, fill in the configuration
 * @c:		ip4 and ip6: @enabled and everything marked as given must be
 *		set, as well as @ifname_opt and @our_mac. Of each family that
 *		stays enabled, set here: ifindex, ifname (0 and "" in local
 *		mode), our_ll, and unless given addr, prefix_len, gw. gw stays
 *		unset if the default route has none (point to point); addr stays
 *		unset in IPv6 local mode. A family without template may get
 *		disabled, see the table at the top of this file
 * @h:		Set to what nl_ns_configure() copies
 *
 * To be called in the host's network namespace. Logs its errors.
 *
 * Return: 0, also without any network; -ENODEV or -EADDRNOTAVAIL if the
 *	   interface asked for by -i can't be used
 */
int nl_template(struct conf *c, struct hostnet *h)
{
	struct probe *p = &scratch_probe;
	bool have4 = false, have6 = false;
	int ret;

	memset(h, 0, sizeof(*h));
	p->nl = &scratch[0];
	p->nested = &scratch[1];
	if (c->ip6.enabled && !have_ipv6()) {
		if (c->ip6.addr_given || !c->ip4.enabled)
			warn("IPv6: not supported by this kernel, disabled");
		c->ip6.enabled = false;
	}
	if (c->ip6.enabled)
		c->ip6.our_ll = eui64_linklocal(c->our_mac);

	ret = nl_open(p->nl);
	if (!ret) {
		ret = nl_open(p->nested);
		if (ret)
			nl_close(p->nl);
	}
	if (ret) {
		warn("Couldn't open netlink socket: %s", strerror(-ret));
	} else {
		ret = template_probe(p, c, h, &have4, &have6);
		nl_close(p->nested);
		nl_close(p->nl);
		if (ret)
			return ret;
	}
	if (c->ip4.enabled && !have4)
		no_template(&c->ip4, true, have6, &h->v4);
	if (c->ip6.enabled && !have6)
		no_template(&c->ip6, false, have4, &h->v6);
	lost_warn(&h->v4, "IPv4");
	lost_warn(&h->v6, "IPv6");
	return 0;
}

/*
 * The namespace's side: make it so
 */

/* One family being set up */
struct setup {
	struct nl *nl;
	unsigned ifindex;
	sa_family_t family;
	const char *name;		/* "IPv4" or "IPv6" */
	const struct conf_ip *ip;
	const struct host_ip *host;
	bool copy_addrs, copy_routes;
};

static int link_set(struct nl *n, unsigned index, unsigned type,
		    const void *data, size_t len)
{
	struct ifinfomsg ifi = { .ifi_index = (int)index };
	struct req q;

	req_init(&q, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	req_put(&q, type, data, len);
	return nl_talk(n, &q, NULL, NULL);
}

static int link_up(struct nl *n, unsigned index)
{
	struct ifinfomsg ifi = { .ifi_index = (int)index, .ifi_flags = IFF_UP,
				 .ifi_change = IFF_UP };
	struct req q;

	req_init(&q, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	return nl_talk(n, &q, NULL, NULL);
}

/* link_setup() - Properties of the tap; what fails is a warning */
static void link_setup(struct nl *n, const struct conf *c, unsigned index,
		       const char *ifname)
{
	uint32_t txqlen = NS_TXQUEUELEN, mtu = c->mtu;
	int ret;

	if (mtu && mtu < CONF_MTU_MIN_IPV6 && c->ip6.enabled)
		mtu = CONF_MTU_MIN_IPV6;	/* RFC 8200, 5 */
	ret = mtu ? link_set(n, index, IFLA_MTU, &mtu, sizeof(mtu)) : 0;
	if (ret)
		warn("Couldn't set MTU of %s to %u: %s", ifname, mtu,
		     nl_reason(n, ret));
	ret = c->ns_mac_given ? link_set(n, index, IFLA_ADDRESS, c->ns_mac,
					 sizeof(c->ns_mac)) : 0;
	if (ret)
		warn("Couldn't set MAC address of %s: %s", ifname,
		     nl_reason(n, ret));
	ret = link_set(n, index, IFLA_TXQLEN, &txqlen, sizeof(txqlen));
	if (ret)
		warn("Couldn't set queue length of %s: %s", ifname,
		     nl_reason(n, ret));
}

/*
 * sysctl6_set() - Best effort: /proc/sys may be read-only, or not be there
 *
 * /proc/sys/net is that of the caller's network namespace, whoever mounted it.
 */
static void sysctl6_set(const char *ifname, const char *key, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", ifname,
		 key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		debug("Couldn't set %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void addr_req(struct req *q, unsigned type, unsigned flags,
		     const struct setup *s, const struct host_addr *a)
{
	struct ifaddrmsg ifa = { .ifa_family = (uint8_t)s->family,
				 .ifa_prefixlen = a->prefix_len,
				 .ifa_scope = a->scope,
				 .ifa_index = s->ifindex };

	req_init(q, type, flags, &ifa, sizeof(ifa));
	req_put_addr(q, IFA_LOCAL, &a->addr);
	req_put_addr(q, IFA_ADDRESS, &a->peer);
}

/*
 * addr_add() - Give the tap an address, for ever and at once
 *
 * Without IFA_CACHEINFO lifetimes are infinite. A deprecated address stays, and
 * stays deprecated. The prefix route is left out as it was on the host, but only
 * if its replacement is copied, too.
 */
static int addr_add(const struct setup *s, const struct host_addr *a)
{
	struct ifa_cacheinfo ci = { .ifa_valid = UINT32_MAX };
	bool v4 = s->family == AF_INET;
	uint32_t flags = 0, brd;
	struct req q;

	if (s->copy_routes)
		flags |= a->flags & IFA_F_NOPREFIXROUTE;
	if (!v4)
		flags |= IFA_F_NODAD;
	addr_req(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, s, a);
	req_put_u32(&q, IFA_FLAGS, flags);
	if (!v4 && a->flags & IFA_F_DEPRECATED)
		req_put(&q, IFA_CACHEINFO, &ci, sizeof(ci));
	if (v4 && a->prefix_len < 31 && inany_equals(&a->addr, &a->peer)) {
		brd = a->addr.v4mapped.a4.s_addr |
		      htonl(0xffffffffu >> a->prefix_len);
		req_put_u32(&q, IFA_BROADCAST, brd);
	}
	return nl_talk(s->nl, &q, NULL, NULL);
}

static void addr_warn(const struct setup *s, const struct host_addr *a, int ret)
{
	char buf[INANY_STRLEN];

	warn("Couldn't set %s address(es) in guest: %s (%s/%u)", s->name,
	     nl_reason(s->nl, ret), inany_ntop(&a->addr, buf, sizeof(buf)),
	     a->prefix_len);
}

/* setup_addrs() - All of the template's, or the only one there is */
static void setup_addrs(const struct setup *s)
{
	struct host_addr one = {
		.addr = s->ip->addr, .peer = s->ip->addr,
		.prefix_len = s->ip->prefix_len, .scope = RT_SCOPE_UNIVERSE,
	};
	const struct host_addr *a = &one;
	unsigned i, n = inany_is_set(&s->ip->addr);
	int ret;

	if (s->copy_addrs && s->host->naddrs) {
		a = s->host->addrs;
		n = s->host->naddrs;
	}
	for (i = 0; i < n; i++) {
		ret = addr_add(s, &a[i]);
		if (ret)
			addr_warn(s, &a[i], ret);
	}
}

/* Addresses that are not usable yet */
struct dad {
	unsigned ifindex, n, lost;
	struct host_addr a[CONF_ADDRS_MAX];
};

static void dad_msg(const struct nlmsghdr *nh, void *arg)
{
	struct dad *d = arg;
	struct host_addr a;
	unsigned ifindex;

	if (addr_parse(nh, AF_INET6, &a, &ifindex) || ifindex != d->ifindex ||
	    !(a.flags & IFA_F_TENTATIVE) ||
	    a.flags & (IFA_F_DADFAILED | IFA_F_OPTIMISTIC))
		return;
	if (d->n < CONF_ADDRS_MAX)
		d->a[d->n++] = a;
}

/* dad_pending() - Number of tentative addresses, in @d; negative errno */
static int dad_pending(const struct setup *s, struct dad *d)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_INET6 };
	struct req q;
	int ret;

	d->ifindex = s->ifindex;
	d->n = 0;
	req_init(&q, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa));
	ret = nl_talk(s->nl, &q, dad_msg, d);
	return ret && ret != -EAGAIN ? ret : (int)d->n;
}

/* dad_skip() - Replace addresses by the same without detection of duplicates */
static void dad_skip(const struct setup *s, const struct dad *d)
{
	struct req q;
	unsigned i;

	for (i = 0; i < d->n; i++) {
		addr_req(&q, RTM_DELADDR, 0, s, &d->a[i]);
		if (!nl_talk(s->nl, &q, NULL, NULL))
			addr_add(s, &d->a[i]);
	}
}

/*
 * setup_dad() - Wait until no address is tentative
 *
 * With accept_dad=0 that is within a millisecond, as soon as the kernel's work
 * queue has run. If that could not be set, or "all" overrides it, the link-local
 * address would take a second or two.
 */
static void setup_dad(const struct setup *s)
{
	const struct timespec ms = { .tv_nsec = 1000 * 1000 };
	static struct dad d;
	unsigned t;

	for (t = 0; t < DAD_WAIT_MS && dad_pending(s, &d) > 0; t++) {
		if (t == DAD_PATIENCE_MS)
			dad_skip(s, &d);
		nanosleep(&ms, NULL);
	}
	if (t == DAD_WAIT_MS)
		warn("IPv6 address(es) in guest are still tentative");
}

/* What is given up, in turn, for a route that the kernel does not take */
enum route_how { ROUTE_AS_IS, ROUTE_NO_PREFSRC, ROUTE_ONLINK, ROUTE_HOWS };

/* route_put_gw() - RTA_GATEWAY, or RTA_VIA for one of the other family */
static void route_put_gw(struct req *q, sa_family_t family,
			 const union inany *gw)
{
	struct { uint16_t family; struct in6_addr a6; } via;

	if (!inany_is_set(gw))
		return;
	if (inany_is_v4(gw) == (family == AF_INET)) {
		req_put_addr(q, RTA_GATEWAY, gw);
	} else if (family == AF_INET) {
		via.family = AF_INET6;
		via.a6 = gw->a6;
		req_put(q, RTA_VIA, &via, sizeof(via));
	}
}

static int route_add(const struct setup *s, const struct host_route *r,
		     enum route_how how)
{
	struct rtmsg rtm = {
		.rtm_family = (uint8_t)s->family, .rtm_dst_len = r->dst_len,
		.rtm_src_len = r->src_len, .rtm_tos = r->tos,
		.rtm_table = RT_TABLE_MAIN, .rtm_protocol = r->protocol,
		.rtm_scope = r->scope, .rtm_type = RTN_UNICAST,
	};
	struct req q;
	int ret;

	if (inany_is_set(&r->gw) && (r->onlink || how == ROUTE_ONLINK))
		rtm.rtm_flags |= RTNH_F_ONLINK;
	req_init(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &rtm,
		 sizeof(rtm));
	if (r->dst_len)
		req_put_addr(&q, RTA_DST, &r->dst);
	if (r->src_len)
		req_put_addr(&q, RTA_SRC, &r->src);
	if (r->metric)
		req_put_u32(&q, RTA_PRIORITY, r->metric);
	if (r->pref)
		req_put(&q, RTA_PREF, &r->pref, sizeof(r->pref));
	if (inany_is_set(&r->prefsrc) && how == ROUTE_AS_IS)
		req_put_addr(&q, RTA_PREFSRC, &r->prefsrc);
	req_put_u32(&q, RTA_OIF, s->ifindex);
	route_put_gw(&q, s->family, &r->gw);
	ret = nl_talk(s->nl, &q, NULL, NULL);
	return ret == -EEXIST ? 0 : ret;	/* the kernel's, of an address */
}

/*
 * routes_pass() - Try all routes that are not there yet
 *
 * With concessions one success ends the pass: others may do without now.
 *
 * Return: number of routes added
 */
static unsigned routes_pass(const struct setup *s, const struct host_route *r,
			    unsigned n, bool *done, enum route_how how)
{
	unsigned i, added = 0;

	for (i = 0; i < n && !(added && how != ROUTE_AS_IS); i++) {
		if (done[i] || route_add(s, &r[i], how))
			continue;
		done[i] = true;
		added++;
	}
	return added;
}

static void routes_warn(const struct setup *s, const struct host_route *r,
			unsigned n, const bool *done)
{
	unsigned i, first = n, left = 0;
	char buf[INANY_STRLEN];
	int ret;

	for (i = 0; i < n; i++) {
		if (done[i])
			continue;
		left++;
		if (first == n)
			first = i;
	}
	if (!left)
		return;
	r += first;
	ret = route_add(s, r, ROUTE_AS_IS);	/* once more, for the reason */
	warn("Couldn't set %s route(s) in guest: %s (%u of %u, first: %s/%u)",
	     s->name, nl_reason(s->nl, ret), left, n,
	     r->dst_len ? inany_ntop(&r->dst, buf, sizeof(buf)) : "default",
	     r->dst_len);
}

/*
 * setup_routes() - All of the template's, or a default one
 *
 * Gateways may be reachable by other routes only, in any order: try all until a
 * pass adds none, then make a concession for one of them and start over.
 */
static void setup_routes(const struct setup *s)
{
	struct host_route one = {
		.gw = s->ip->gw, .protocol = RTPROT_BOOT,
		.scope = inany_is_set(&s->ip->gw) ? RT_SCOPE_UNIVERSE :
			 RT_SCOPE_LINK,
	};
	const struct host_route *r = &one;
	bool done[CONF_ROUTES_MAX] = { false };
	enum route_how how = ROUTE_AS_IS;
	unsigned n = 1;

	if (s->copy_routes) {
		r = s->host->routes;
		n = s->host->nroutes;
	}
	while (how < ROUTE_HOWS) {
		if (routes_pass(s, r, n, done, how))
			how = ROUTE_AS_IS;
		else
			how++;
	}
	routes_warn(s, r, n, done);
}

static void setup_family(struct setup *s)
{
	const struct conf_ip *ip = s->ip;

	if (!ip->enabled)
		return;
	s->copy_addrs = !ip->addr_given && !ip->prefix_given &&
			!ip->no_copy_addrs;
	s->copy_routes = !ip->gw_given && !ip->no_copy_routes && ip->ifindex;
	setup_addrs(s);
	if (s->family == AF_INET6)
		setup_dad(s);
	setup_routes(s);
}

/* ns_configure() - nl_ns_configure() with an open socket */
static int ns_configure(struct nl *n, const struct conf *c,
			const struct hostnet *h, const char *ifname)
{
	struct setup s4 = { .nl = n, .family = AF_INET, .name = "IPv4",
			    .ip = &c->ip4, .host = &h->v4 };
	struct setup s6 = { .nl = n, .family = AF_INET6, .name = "IPv6",
			    .ip = &c->ip6, .host = &h->v6 };
	struct link l;
	int ret;

	ret = link_get(n, 0, "lo", &l);
	if (!ret)
		ret = link_up(n, l.index);
	if (ret)
		warn("Couldn't bring up lo: %s", nl_reason(n, ret));

	ret = link_get(n, 0, ifname, &l);
	if (ret)
		return ret;
	link_setup(n, c, l.index, ifname);
	if (!c->config_net)
		return 0;

	if (c->ip6.enabled) {
		sysctl6_set(ifname, "disable_ipv6", "0");
		sysctl6_set(ifname, "accept_dad", "0");
	}
	sysctl6_set(ifname, "accept_ra", "0");
	ret = link_up(n, l.index);
	if (ret)
		return ret;
	s4.ifindex = s6.ifindex = l.index;
	setup_family(&s4);
	setup_family(&s6);
	return 0;
}

/**
 * nl_ns_configure() - Configure the tap of a namespace
 * @c:		Configuration, after nl_template()
 * @h:		From nl_template()
 * @ifname:	The tap device, attached (without carrier IPv6 stays silent)
 *
 * To be called by a process in the target namespace, with CAP_NET_ADMIN there.
 * lo comes up and the tap gets MTU (if not 0), MAC address (if given) and queue
 * length. That is all without @c->config_net, and the tap stays down: a DHCP
 * client will do the rest. With it the tap comes up and gets addresses and
 * routes: all of the template's, unless -a, -n or -g say otherwise. No address
 * is tentative on return. An address or a route that can't be set is a warning.
 *
 * Return: 0, negative errno if there is no such device or it can't be brought up
 */
int nl_ns_configure(const struct conf *c, const struct hostnet *h,
		    const char *ifname)
{
	struct nl *n = &scratch[0];
	int ret = nl_open(n);

	if (!ret) {
		ret = ns_configure(n, c, h, ifname);
		nl_close(n);
	}
	if (ret)
		err("Couldn't configure %s in namespace: %s", ifname,
		    strerror(-ret));
	return ret;
}
