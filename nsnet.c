/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nsnet.c - Make the network of a namespace like the host's
 *
 * This runs in the target namespace: loopback and tap come up, the tap gets the
 * addresses and routes of the template, or those of options. Lifetimes are
 * never copied, because nothing would renew them. Duplicate address detection
 * is skipped, because there is no other host on this link. An address or route
 * that the kernel refuses, after concessions, is only a warning: some routes
 * only make sense on the host.
 *
 * All of this happens at start, before the sandbox. There is no state between
 * calls: the file-scope variables are scratch space.
 */

#include "nsnet.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "netlink.h"
#include "procfile.h"

enum {
	NS_TXQUEUELEN	= 10000,	/* frames; a full tun drops silently */
	DAD_PATIENCE_MS	= 50,		/* before tentative ones are replaced */
	DAD_WAIT_MS	= 3000,
};

/* Tentative addresses */
struct dad {
	unsigned ifindex, n;
	struct host_addr a[HOSTNET_ADDRS_MAX];
};

/* Scratch: too large for the stack, no state between calls */
static struct nl scratch;
static struct dad scratch_dad;

/* One family being set up */
struct setup {
	struct nl *nl;
	unsigned ifindex;
	sa_family_t family;
	const char *name;		/* "IPv4" or "IPv6" */
	const struct conf_ip *asked;
	const struct hostnet_ip *host;
	bool copy_addrs, copy_routes;
};

static int link_set(struct nl *n, unsigned index, unsigned type,
		    const void *data, size_t len)
{
	struct ifinfomsg ifi = { .ifi_index = (int)index };
	struct nl_req q;

	nl_req_init(&q, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	nl_req_put(&q, type, data, len);
	return nl_talk(n, &q, NULL, NULL);
}

static int link_up(struct nl *n, unsigned index)
{
	struct ifinfomsg ifi = { .ifi_index = (int)index, .ifi_flags = IFF_UP,
				 .ifi_change = IFF_UP };
	struct nl_req q;

	nl_req_init(&q, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	return nl_talk(n, &q, NULL, NULL);
}

/* link_setup() - Set properties of the tap; a failure is a warning */
static void link_setup(struct nl *n, const struct conf *c,
		       const struct hostnet *h, unsigned index,
		       const char *ifname)
{
	uint32_t txqlen = NS_TXQUEUELEN, mtu = h->mtu;
	int ret;

	if (mtu && mtu < CONF_MTU_MIN_IPV6 && h->ip6.enabled)
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
 * sysctl6_set() - Set a sysctl if possible: /proc/sys may be read-only or missing
 *
 * /proc/sys/net shows the caller's network namespace in any mount namespace.
 */
static void sysctl6_set(const char *ifname, const char *key, const char *value)
{
	char path[128];
	int rc;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", ifname,
		 key);
	rc = procfile_write(path, value);
	if (rc)
		debug_rc(rc, "Couldn't set %s", path);
}

static void addr_req(struct nl_req *q, unsigned type, unsigned flags,
		     const struct setup *s, const struct host_addr *a)
{
	struct ifaddrmsg ifa = { .ifa_family = s->family,
				 .ifa_prefixlen = a->prefix_len,
				 .ifa_scope = a->scope,
				 .ifa_index = s->ifindex };

	nl_req_init(q, type, flags, &ifa, sizeof(ifa));
	nl_req_put_addr(q, IFA_LOCAL, &a->addr);
	nl_req_put_addr(q, IFA_ADDRESS, &a->peer);
}

/*
 * addr_add() - Add an address to the tap, with infinite lifetime and without DAD
 *
 * Without IFA_CACHEINFO, lifetimes are infinite. A deprecated address stays
 * deprecated. The prefix route is left out if the host has none, but only if
 * the routes that replace it are copied, too.
 */
static int addr_add(const struct setup *s, const struct host_addr *a)
{
	struct ifa_cacheinfo ci = { .ifa_valid = UINT32_MAX };
	bool v4 = s->family == AF_INET;
	uint32_t flags = 0, brd;
	struct nl_req q;

	if (s->copy_routes)
		flags |= a->flags & IFA_F_NOPREFIXROUTE;
	if (!v4)
		flags |= IFA_F_NODAD;
	addr_req(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, s, a);
	nl_req_put_u32(&q, IFA_FLAGS, flags);
	if (!v4 && a->flags & IFA_F_DEPRECATED)
		nl_req_put(&q, IFA_CACHEINFO, &ci, sizeof(ci));
	if (v4 && a->prefix_len < 31 && inany_equals(&a->addr, &a->peer)) {
		brd = a->addr.v4mapped.a4.s_addr |
		      htonl(0xffffffffu >> a->prefix_len);
		if (brd != a->addr.v4mapped.a4.s_addr)
			nl_req_put_u32(&q, IFA_BROADCAST, brd);
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

/* setup_addrs() - Add all addresses of the template, or the assigned one */
static void setup_addrs(const struct setup *s)
{
	struct host_addr one = {
		.addr = s->host->addr, .peer = s->host->addr,
		.prefix_len = s->host->prefix_len, .scope = RT_SCOPE_UNIVERSE,
	};
	const struct host_addr *a = &one;
	unsigned i, n = inany_is_set(&s->host->addr);
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

static void dad_msg(const struct nlmsghdr *nh, void *arg)
{
	struct dad *d = arg;
	struct host_addr a;
	unsigned ifindex;

	if (nl_parse_addr(nh, AF_INET6, &a, &ifindex) ||
	    ifindex != d->ifindex || !(a.flags & IFA_F_TENTATIVE) ||
	    a.flags & (IFA_F_DADFAILED | IFA_F_OPTIMISTIC))
		return;
	if (d->n < HOSTNET_ADDRS_MAX)
		d->a[d->n++] = a;
}

/* dad_pending() - Find tentative addresses; return their number, or an error */
static int dad_pending(const struct setup *s, struct dad *d)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_INET6 };
	struct nl_req q;
	int ret;

	d->ifindex = s->ifindex;
	d->n = 0;
	nl_req_init(&q, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa));
	ret = nl_talk(s->nl, &q, dad_msg, d);
	return ret && ret != -EAGAIN ? ret : (int)d->n;
}

/* dad_skip() - Replace addresses by the same without DAD */
static void dad_skip(const struct setup *s, const struct dad *d)
{
	struct nl_req q;
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
 * With accept_dad=0 this takes a millisecond: the kernel's work queue has to
 * run. If accept_dad could not be set, or "all" overrides it, the link-local
 * address would take a second or two.
 */
static void setup_dad(const struct setup *s)
{
	const struct timespec ms = { .tv_nsec = 1000 * 1000 };
	struct dad *d = &scratch_dad;
	unsigned t;

	for (t = 0; t < DAD_WAIT_MS && dad_pending(s, d) > 0; t++) {
		if (t == DAD_PATIENCE_MS)
			dad_skip(s, d);
		nanosleep(&ms, NULL);
	}
	if (t == DAD_WAIT_MS)
		warn("IPv6 address(es) in guest are still tentative");
}

/* Concessions, one after the other, for a route that the kernel refuses */
enum route_how { ROUTE_AS_IS, ROUTE_NO_PREFSRC, ROUTE_ONLINK, ROUTE_HOWS };

static int route_add(const struct setup *s, const struct host_route *r,
		     enum route_how how)
{
	struct rtmsg rtm = {
		.rtm_family = s->family, .rtm_dst_len = r->dst_len,
		.rtm_src_len = r->src_len, .rtm_tos = r->tos,
		.rtm_table = RT_TABLE_MAIN, .rtm_protocol = r->protocol,
		.rtm_scope = r->scope, .rtm_type = RTN_UNICAST,
	};
	struct nl_req q;
	int ret;

	if (inany_is_set(&r->gw) && (r->onlink || how == ROUTE_ONLINK))
		rtm.rtm_flags |= RTNH_F_ONLINK;
	nl_req_init(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &rtm,
		 sizeof(rtm));
	if (r->dst_len)
		nl_req_put_addr(&q, RTA_DST, &r->dst);
	if (r->src_len)
		nl_req_put_addr(&q, RTA_SRC, &r->src);
	if (r->metric)
		nl_req_put_u32(&q, RTA_PRIORITY, r->metric);
	if (r->pref)
		nl_req_put(&q, RTA_PREF, &r->pref, sizeof(r->pref));
	if (inany_is_set(&r->prefsrc) && how == ROUTE_AS_IS)
		nl_req_put_addr(&q, RTA_PREFSRC, &r->prefsrc);
	nl_req_put_u32(&q, RTA_OIF, s->ifindex);
	if (inany_is_set(&r->gw))
		nl_req_put_addr(&q, RTA_GATEWAY, &r->gw);
	ret = nl_talk(s->nl, &q, NULL, NULL);
	return ret == -EEXIST ? 0 : ret;	/* made with an address */
}

/*
 * routes_pass() - Try to add all routes that are still missing
 *
 * With a concession, one success ends the pass: other routes may now do
 * without.
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
	char reason[sizeof(s->nl->answer.extack)], buf[INANY_STRLEN] = "default";
	const struct host_route *first = NULL;
	unsigned i, left = 0;
	int ret;

	for (i = 0; i < n; i++) {
		/* Try once more to learn the reason */
		ret = done[i] ? 0 : route_add(s, &r[i], ROUTE_AS_IS);
		if (!ret || left++)
			continue;
		first = &r[i];
		snprintf(reason, sizeof(reason), "%s", nl_reason(s->nl, ret));
	}
	if (!left)
		return;
	if (first->dst_len)
		inany_ntop(&first->dst, buf, sizeof(buf));
	warn("Couldn't set %s route(s) in guest: %s (%u of %u, first: %s/%u)",
	     s->name, reason, left, n, buf, first->dst_len);
}

static bool had_default(const struct hostnet_ip *host)
{
	unsigned i;

	for (i = 0; i < host->nroutes; i++) {
		if (!host->routes[i].dst_len)
			return true;
	}
	return false;
}

/*
 * setup_routes() - Add all routes of the template, or a default route
 *
 * A gateway may be reachable only by another route that comes later. So try all
 * until a pass adds none, then make a concession for one of them and start
 * over.
 */
static void setup_routes(const struct setup *s)
{
	struct host_route one = {
		.gw = s->host->gw, .protocol = RTPROT_BOOT,
		.scope = inany_is_set(&s->host->gw) ? RT_SCOPE_UNIVERSE :
			 RT_SCOPE_LINK,
	};
	const struct host_route *r = &one;
	bool done[HOSTNET_ROUTES_MAX] = { false };
	enum route_how how = ROUTE_AS_IS;
	unsigned n = inany_is_set(&one.gw) || had_default(s->host);

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
	const struct conf_ip *ip = s->asked;

	s->copy_addrs = conf_copies_addrs(ip);
	s->copy_routes = !ip->gw_given && !ip->no_copy_routes &&
			 s->host->ifindex;
	if (s->host->enabled)
		setup_addrs(s);
	if (s->family == AF_INET6)
		setup_dad(s);		/* for the link-local address */
	if (s->host->enabled)
		setup_routes(s);
}

/* configure() - nsnet_configure() with an open socket */
static int configure(struct nl *n, const struct conf *c,
		     const struct hostnet *h, const char *ifname)
{
	struct setup s4 = { .nl = n, .family = AF_INET, .name = "IPv4",
			    .asked = &c->ip4, .host = &h->ip4 };
	struct setup s6 = { .nl = n, .family = AF_INET6, .name = "IPv6",
			    .asked = &c->ip6, .host = &h->ip6 };
	struct nl_link l;
	int ret;

	ret = nl_get_link(n, 0, "lo", &l);
	if (!ret)
		ret = link_up(n, l.index);
	if (ret)
		warn("Couldn't bring up lo: %s", nl_reason(n, ret));

	if (c->splice_only)
		return 0;
	ret = nl_get_link(n, 0, ifname, &l);
	if (ret)
		return ret;
	link_setup(n, c, h, l.index, ifname);
	if (!c->config_net)
		return 0;

	if (h->ip6.enabled)
		sysctl6_set(ifname, "disable_ipv6", "0");
	sysctl6_set(ifname, "accept_dad", "0");
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
 * nsnet_configure() - Configure the tap of a namespace
 * @c:		Configuration
 * @h:		Network of the host
 * @ifname:	The tap device, attached (without carrier IPv6 stays silent)
 *
 * Call this in a process in the target namespace, with CAP_NET_ADMIN there. lo
 * comes up and the tap gets its MTU (if not 0), MAC address (if given) and
 * queue length. Without @c->config_net that is all, and the tap stays down: a
 * DHCP client will do the rest. With it the tap comes up and gets all addresses
 * and routes of the template, unless -a, -n or -g are given. No address is
 * tentative on return. A failure to set an address or a route is a warning.
 *
 * Return: 0, negative errno if there is no such device or it can't come up
 */
int nsnet_configure(const struct conf *c, const struct hostnet *h,
		    const char *ifname)
{
	struct nl *n = &scratch;
	int ret = nl_open(n);

	if (!ret) {
		ret = configure(n, c, h, ifname);
		nl_close(n);
	}
	if (ret)
		err("Couldn't configure %s in namespace: %s", ifname,
		    strerror(-ret));
	return ret;
}
