/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostnet.c - The network of the host, and its image for the guest
 *
 * This module alone writes struct hostnet. It fills in the options of the user,
 * looks for an interface of the host that serves as a template for each family,
 * and derives the rest: mappings and the name of the tap.
 *
 * The template of a family is the interface of -i, else the one of the default
 * route with the lowest metric in the main table. Routes whose interface is up
 * are preferred, and among equals the first one of the kernel's list. Each
 * family is looked at by itself. A multipath route stands for its next hops in
 * their order, a nexthop object for the next hops that RTM_GETNEXTHOP reports.
 *
 * Another table may decide: there are routing rules, and tunnels cover the
 * default route by two routes of half the address space. So we first ask the
 * kernel for the route to an address that belongs to nobody. If that route is
 * in another table, or is not the default route but nearly as wide, its
 * interface is the template. A default route from another table is copied like
 * one from the main table; other routes of other tables are not.
 *
 * A family without default route takes an interface that is up and has an
 * address beyond the link: the other family's template, else the first one. The
 * routes of that interface are copied. A default route by the gateway of local
 * mode brings all other packets to the host. Its kernel refuses them, or has a
 * route by then.
 *
 * A family without any such address is in local mode, even if the other one is
 * not: 169.254.2.1/16 behind 169.254.2.2, or IPv6 link-local alone, behind our
 * link-local address. All that the guest dials is dialled on the host. So a
 * host without network, or without IPv6, is never an error, and one that gets a
 * family later is reached by it at once.
 *
 * All of this happens at start, before the sandbox. There is no state between
 * calls: the file-scope variables are scratch space.
 */

#include "hostnet.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "inany.h"
#include "log.h"
#include "netlink.h"
#include "procfile.h"
#include "util.h"

#define EPHEMERAL_PATH	"/proc/sys/net/ipv4/ip_local_port_range"
#define NOTSENT_LOWAT	"/proc/sys/net/ipv4/tcp_notsent_lowat"

enum {
	DUMP_TRIES	= 3,		/* of a dump that is inconsistent */
	CANDS_MAX	= 16,		/* default routes of one family */
	IP6_METRIC_DEFAULT = 1024,
	IP6_PREFIX_DEFAULT = 64,
	LOCAL_PREFIX4	= 16,
	WIDE_PREFIX_MAX	= 3,		/* 0.0.0.0/1, 2000::/3 */
};

/*
 * Addresses for documentation, which belong to nobody: RFC 5737, RFC 9637, RFC
 * 3849. The second one serves hosts that filter the first.
 */
static const char *const somewhere4[] = { "192.0.2.1", "203.0.113.1" };
static const char *const somewhere6[] = { "3fff::1", "2001:db8::1" };

/* Addresses of IPv4 local mode: RFC 3927 */
#define LOCAL_ADDR4	0xa9fe0201u	/* 169.254.2.1 */
#define LOCAL_GW4	0xa9fe0202u	/* 169.254.2.2 */

/* A candidate: one next hop of a default route */
struct cand {
	unsigned oif;
	uint32_t metric;
	bool dead;
	union inany gw, prefsrc;
};

/* Search for the template of one family */
struct probe {
	struct nl *nl, *nested;		/* nested: for requests during a dump */
	sa_family_t family;
	unsigned oif;			/* interface to look at, 0: any */
	unsigned ncands;
	struct cand cands[CANDS_MAX];
	struct cand best;
	struct nl_link link;		/* of best */
	struct host_route policy;	/* default route of another table */
	bool has_policy;		/* best is from policy */
	struct hostnet_ip *host;
	struct nl_nexthop hop_cache;	/* of hop_cache_id */
	uint32_t hop_cache_id;
};

/* Scratch: too large for the stack, no state between calls */
static struct nl scratch[2];
static struct probe scratch_probe;

/*
 * nexthop_cached() - Get a nexthop object, NULL if it is gone
 *
 * Some tables have very many routes over a few objects.
 */
static const struct nl_nexthop *nexthop_cached(struct probe *p, uint32_t id)
{
	if (id != p->hop_cache_id) {
		p->hop_cache_id = 0;
		if (nl_get_nexthop(p->nested, id, &p->hop_cache))
			return NULL;
		p->hop_cache_id = id;
	}
	return &p->hop_cache;
}

/*
 * route_resolve() - Fill in the next hops of a route that only names an object
 *
 * The kernel leaves them out with net.ipv4.nexthop_compat_mode=0.
 */
static void route_resolve(struct probe *p, struct nl_route *r)
{
	const struct nl_nexthop *x;
	struct nl_nexthop member;
	unsigned i;

	if (r->nhops || !r->nh_id)
		return;
	x = nexthop_cached(p, r->nh_id);
	if (!x)
		return;
	if (x->hop.oif)
		r->hops[r->nhops++] = x->hop;
	for (i = 0; i < x->nids; i++) {
		if (!nl_get_nexthop(p->nested, x->ids[i], &member) &&
		    member.hop.oif)
			r->hops[r->nhops++] = member.hop;
	}
}

/*
 * cand_msg() - Collect default routes
 *
 * The kernel lists the routes of one prefix with the lowest metric first, so a
 * route that finds no room would not have been chosen.
 */
static void cand_msg(const struct nlmsghdr *nh, void *arg)
{
	struct probe *p = arg;
	struct nl_route r;
	unsigned i;

	if (nl_parse_route(nh, p->family, &r) || r.r.dst_len || r.r.tos)
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

/* hop_on() - Get the first next hop over @oif, if possible not a dead one */
static const struct nl_hop *hop_on(const struct nl_route *r, unsigned oif)
{
	const struct nl_hop *found = NULL;
	unsigned i;

	for (i = 0; i < r->nhops; i++) {
		if (r->hops[i].oif == oif && (!found || found->dead))
			found = &r->hops[i];
	}
	return found;
}

/*
 * route_via() - Set the gateway of a route that is to be copied
 *
 * Drop an IPv6 gateway of an IPv4 route: the guest may have no IPv6, and we
 * answer for all of its neighbours anyway.
 */
static void route_via(struct host_route *r, const struct nl_hop *hop,
		      int family)
{
	if (family == AF_INET && inany_is_set(&hop->gw) &&
	    !inany_is_v4(&hop->gw)) {
		r->scope = RT_SCOPE_LINK;
		return;
	}
	r->gw = hop->gw;
	r->onlink = hop->onlink;
}

/* route_msg() - Collect routes over the template; a default route always fits */
static void route_msg(const struct nlmsghdr *nh, void *arg)
{
	struct probe *p = arg;
	struct hostnet_ip *host = p->host;
	const struct nl_hop *hop;
	struct nl_route r;
	unsigned at;

	if (nl_parse_route(nh, p->family, &r))
		return;
	route_resolve(p, &r);
	hop = hop_on(&r, p->best.oif);
	if (!hop)
		return;
	route_via(&r.r, hop, p->family);
	at = host->nroutes;
	if (at == HOSTNET_ROUTES_MAX) {
		host->routes_lost++;
		if (r.r.dst_len)
			return;
		at--;
	} else {
		host->nroutes++;
	}
	host->routes[at] = r.r;
}

/* addr_copied() - Is this address one to copy? */
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
 * The preferred source of the route may be on another interface, often on lo.
 * If
 * @p->best.oif is 0, collect the addresses of all interfaces.
 */
static void addr_msg(const struct nlmsghdr *nh, void *arg)
{
	struct probe *p = arg;
	struct hostnet_ip *host = p->host;
	struct host_addr a;
	unsigned ifindex;

	if (nl_parse_addr(nh, p->family, &a, &ifindex) ||
	    !addr_copied(&a, &p->best))
		return;
	if (p->best.oif && ifindex != p->best.oif &&
	    !inany_equals(&a.addr, &p->best.prefsrc))
		return;
	if (host->naddrs == HOSTNET_ADDRS_MAX)
		host->addrs_lost++;
	else
		host->addrs[host->naddrs++] = a;
}

/*
 * probe_dump() - Dump until the result is consistent, or DUMP_TRIES are over
 *
 * @fn counts in *@count and *@lost, which are reset before each attempt. With
 * strict checking, -ENOENT stands for a table that was never used: it is empty.
 */
static int probe_dump(struct probe *p, struct nl_req *q, nl_msg_fn fn,
		      unsigned *count, unsigned *lost)
{
	int tries = DUMP_TRIES, ret;

	do {
		*count = *lost = 0;
		ret = nl_talk(p->nl, q, fn, p);
	} while (ret == -EAGAIN && --tries);
	return ret == -EAGAIN || ret == -ENOENT ? 0 : ret;
}

static int probe_dump_routes(struct probe *p, nl_msg_fn fn, unsigned *count,
			     unsigned *lost)
{
	struct rtmsg rtm = { .rtm_family = p->family,
			     .rtm_table = RT_TABLE_MAIN };
	struct nl_req q;

	nl_req_init(&q, RTM_GETROUTE, NLM_F_DUMP, &rtm, sizeof(rtm));
	return probe_dump(p, &q, fn, count, lost);
}

static int probe_dump_addrs(struct probe *p)
{
	struct ifaddrmsg ifa = { .ifa_family = p->family };
	struct nl_req q;

	nl_req_init(&q, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa));
	return probe_dump(p, &q, addr_msg, &p->host->naddrs,
			  &p->host->addrs_lost);
}

/* cand_better() - Is @a, up or not, better than @b? Equals keep their order */
static bool cand_better(const struct cand *a, bool a_up, const struct cand *b,
			bool b_up)
{
	return a_up != b_up ? a_up : a->metric < b->metric;
}

struct lookup {
	struct probe *p;
	struct nl_route r;
	bool found;
};

static void lookup_msg(const struct nlmsghdr *nh, void *arg)
{
	struct lookup *x = arg;

	x->found = !nl_parse_route_of_any(nh, x->p->family, &x->r);
}

/* lookup() - Get the route to @to by all rules; false if there is none */
static bool lookup(struct lookup *x, const char *to)
{
	bool v4 = x->p->family == AF_INET;
	struct rtmsg rtm = {
		.rtm_family = x->p->family,
		.rtm_dst_len = v4 ? 32 : 128,
		/* IPv6 reports the table anyway, and refuses the flag */
		.rtm_flags = RTM_F_FIB_MATCH | (v4 ? RTM_F_LOOKUP_TABLE : 0),
	};
	union inany dst;
	struct nl_req q;

	x->found = false;
	if (!inany_pton(to, &dst))
		return false;
	nl_req_init(&q, RTM_GETROUTE, 0, &rtm, sizeof(rtm));
	nl_req_put_addr(&q, RTA_DST, &dst);
	if (x->p->oif)
		nl_req_put_u32(&q, RTA_OIF, x->p->oif);
	if (nl_talk(x->p->nl, &q, lookup_msg, x) || !x->found)
		return false;
	route_resolve(x->p, &x->r);
	return true;
}

/* policy_take() - Make this next hop the best; false if it is not usable */
static bool policy_take(struct probe *p, const struct nl_route *r,
			const struct nl_hop *hop)
{
	if ((p->oif && hop->oif != p->oif) || hop->dead ||
	    nl_get_link(p->nl, hop->oif, NULL, &p->link) ||
	    p->link.flags & IFF_LOOPBACK || !(p->link.flags & IFF_UP))
		return false;
	p->best = (struct cand){ .oif = hop->oif, .metric = r->r.metric,
				 .gw = hop->gw, .prefsrc = r->r.prefsrc };
	p->has_policy = !r->r.dst_len && r->table != RT_TABLE_MAIN;
	p->policy = r->r;
	route_via(&p->policy, hop, p->family);
	return true;
}

/* probe_policy() - Look for a route before the default one of the main table */
static bool probe_policy(struct probe *p)
{
	const char *const *to = p->family == AF_INET ? somewhere4 : somewhere6;
	struct lookup x = { .p = p };
	unsigned i;

	if (!lookup(&x, to[0]) || x.r.r.dst_len > WIDE_PREFIX_MAX) {
		if (!lookup(&x, to[1]) || x.r.r.dst_len > WIDE_PREFIX_MAX)
			return false;
	}
	if (!x.r.r.dst_len && x.r.table == RT_TABLE_MAIN)
		return false;
	for (i = 0; i < x.r.nhops; i++) {
		if (policy_take(p, &x.r, &x.r.hops[i]))
			return true;
	}
	return false;
}

/* probe_main() - Choose @p->best and @p->link among the default routes */
static bool probe_main(struct probe *p)
{
	bool found = false, best_up = false, up;
	const struct cand *c;
	unsigned lost;
	struct nl_link l;

	if (probe_dump_routes(p, cand_msg, &p->ncands, &lost))
		return false;
	for (c = p->cands; c < p->cands + p->ncands; c++) {
		if (nl_get_link(p->nl, c->oif, NULL, &l) ||
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

/* probe_routes() - Collect the routes to copy, the default route in any case */
static void probe_routes(struct probe *p)
{
	struct hostnet_ip *host = p->host;

	probe_dump_routes(p, route_msg, &host->nroutes, &host->routes_lost);
	if (!p->has_policy)
		return;
	if (host->nroutes == HOSTNET_ROUTES_MAX) {
		host->nroutes--;
		host->routes_lost++;
	}
	host->routes[host->nroutes++] = p->policy;
}

/* prefix_equals() - Are the first @len bits equal? IPv4 has 32 of them */
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
 * addr_score() - Rate an address, the higher the better
 *
 * IPv4: the route's preferred source, then global, then in the gateway's
 * network, then primary. IPv6: the route's preferred source, then, in the
 * spirit of RFC 6724, 5, not deprecated (rule 3), global rather than unique
 * local (rule 6, table 2.1), usable now (no duplicate address detection
 * pending), and stable rather than temporary: a temporary address may expire
 * within a day.
 */
static int addr_score(const struct host_addr *a, const struct cand *c)
{
	bool ready = !(a->flags & IFA_F_TENTATIVE) ||
		     a->flags & IFA_F_OPTIMISTIC;
	bool near_gw = prefix_equals(&a->peer, &c->gw, a->prefix_len);
	int score = inany_equals(&a->addr, &c->prefsrc) ? 32 : 0;

	if (inany_is_v4(&a->addr))
		return score + (a->scope == RT_SCOPE_UNIVERSE ? 16 : 0) +
		       (near_gw ? 8 : 0) +
		       (a->flags & IFA_F_SECONDARY ? 0 : 4);
	return score + (a->flags & IFA_F_DEPRECATED ? 0 : 16) +
	       ((a->addr.a6.s6_addr[0] & 0xfe) == 0xfc ? 0 : 8) +
	       (ready ? 4 : 0) + (a->flags & IFA_F_TEMPORARY ? 0 : 2);
}

static struct host_addr *addr_best(struct hostnet_ip *host,
				   const struct cand *c)
{
	struct host_addr *a, *best = NULL;

	for (a = host->addrs; a < host->addrs + host->naddrs; a++) {
		if (!best || addr_score(a, c) > addr_score(best, c))
			best = a;
	}
	return best;
}

/*
 * addrs_settle() - Put the best address first, drop temporary ones after it
 *
 * Temporary addresses change on the host every few hours; the copies would
 * stay.
 */
static void addrs_settle(struct hostnet_ip *host, const struct cand *c)
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
 * The interface of a default route may have no address of its own: the kernel
 * then uses one of another interface, and so do we.
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

struct onlink {
	struct probe *p;
	unsigned prefer;		/* interface, 0: none */
	unsigned oif;			/* best one so far, 0: none */
};

/* onlink_better() - Is interface @a better than @b? */
static bool onlink_better(const struct onlink *x, unsigned a, unsigned b)
{
	if (!b || a == x->prefer)
		return true;
	return b != x->prefer && a < b;
}

/* onlink_msg() - Look for an interface with an address beyond the link */
static void onlink_msg(const struct nlmsghdr *nh, void *arg)
{
	struct onlink *x = arg;
	struct host_addr a;
	struct nl_link l;
	unsigned oif;

	if (nl_parse_addr(nh, x->p->family, &a, &oif) ||
	    a.scope >= RT_SCOPE_LINK || inany_is_linklocal(&a.addr) ||
	    inany_is_loopback(&a.addr) || a.flags & IFA_F_DADFAILED ||
	    !onlink_better(x, oif, x->oif))
		return;
	if (!nl_get_link(x->p->nested, oif, NULL, &l) &&
	    !(l.flags & IFF_LOOPBACK) && l.flags & IFF_UP &&
	    l.flags & IFF_RUNNING) {
		x->oif = oif;
		x->p->link = l;
	}
}

/* probe_onlink() - Set @p->best and @p->link without a default route */
static bool probe_onlink(struct probe *p, unsigned prefer)
{
	struct ifaddrmsg ifa = { .ifa_family = p->family };
	struct onlink x = { .p = p, .prefer = prefer };
	struct nl_req q;
	int tries = DUMP_TRIES, ret;

	do {
		nl_req_init(&q, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa));
		ret = nl_talk(p->nl, &q, onlink_msg, &x);
	} while (ret == -EAGAIN && --tries);
	p->best = (struct cand){ .oif = x.oif };
	return x.oif;
}

/* prefix_guess() - Guess a prefix length: of the host's network, else by class */
static uint8_t prefix_guess(const union inany *addr,
			    const struct hostnet_ip *host)
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
	/* RFC 791, 3.2; superseded by RFC 4632, but still expected */
	a4 = ntohl(addr->v4mapped.a4.s_addr);
	return a4 >> 31 == 0 ? 8 : a4 >> 30 == 2 ? 16 : a4 >> 29 == 6 ? 24 : 32;
}

static void probe_init(struct probe *p, sa_family_t family, unsigned oif,
		       struct hostnet_ip *host)
{
	p->family = family;
	p->oif = oif;
	p->host = host;
	p->hop_cache_id = 0;
	p->has_policy = false;
	memset(&p->best, 0, sizeof(p->best));
	host->naddrs = host->nroutes = 0;
	host->addrs_lost = host->routes_lost = 0;
}

/*
 * probe_copy() - Take @p->best as the template
 *
 * Return: false if it has no address, and none was given
 */
static bool probe_copy(struct probe *p, const struct conf_ip *ip,
		       bool has_route)
{
	struct hostnet_ip *host = p->host;

	probe_addrs(p, has_route);
	if (!host->naddrs && !ip->addr_given)
		return false;

	host->ifindex = p->link.index;
	memcpy(host->ifname, p->link.name, sizeof(host->ifname));
	if (!ip->addr_given)
		host->addr = host->addrs[0].addr;
	if (!ip->prefix_given && ip->addr_given)
		host->prefix_len = prefix_guess(&ip->addr, host);
	else if (!ip->prefix_given)
		host->prefix_len = host->addrs[0].prefix_len;
	if (!ip->gw_given && inany_is_set(&p->best.gw) &&
	    inany_is_v4(&p->best.gw) == (p->family == AF_INET))
		host->gw = p->best.gw;
	probe_routes(p);
	return true;
}

/**
 * probe_family() - Find the template of one family, fill in missing options
 * @p:		Sockets set up; overwritten
 * @ip:		Options
 * @family:	AF_INET or AF_INET6
 * @opt:	Interface by option -i, NULL if none
 * @host:	Filled if there is a template
 *
 * Return: true if there is a template: @opt, or the interface of a default route
 */
static bool probe_family(struct probe *p, const struct conf_ip *ip,
			 sa_family_t family, const struct nl_link *opt,
			 struct hostnet_ip *host)
{
	bool has_route;

	probe_init(p, family, opt ? opt->index : 0, host);
	if (opt)		/* -i comes before routing rules */
		has_route = probe_main(p) || probe_policy(p);
	else
		has_route = probe_policy(p) || probe_main(p);
	if (!has_route && !opt)
		return false;
	if (!has_route) {
		p->best.oif = opt->index;
		p->link = *opt;
	}
	return probe_copy(p, ip, has_route);
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

static union inany local_gw(const struct hostnet_ip *host, bool v4)
{
	return v4 ? inany_from_v4_host(LOCAL_GW4) : host->our_ll;
}

/* add_local_route() - Add a default route by the gateway of local mode */
static void add_local_route(const struct conf_ip *ip, bool v4,
			    struct hostnet_ip *host)
{
	if (ip->gw_given)
		return;
	host->gw = local_gw(host, v4);
	if (host->nroutes == HOSTNET_ROUTES_MAX) {
		host->nroutes--;
		host->routes_lost++;
	}
	host->routes[host->nroutes++] = (struct host_route){
		.gw = host->gw, .protocol = RTPROT_BOOT, .onlink = true,
	};
}

/**
 * probe_family_onlink() - Find a template for a family without default route
 * @prefer:	Template of the other family, 0: none
 *
 * With an address by option there is no template.
 */
static bool probe_family_onlink(struct probe *p, const struct conf_ip *ip,
				sa_family_t family, unsigned prefer,
				struct hostnet_ip *host)
{
	probe_init(p, family, 0, host);
	if (ip->addr_given || !probe_onlink(p, prefer) ||
	    !probe_copy(p, ip, false))
		return false;
	host->onlink = true;
	add_local_route(ip, family == AF_INET, host);
	return true;
}

/* local_mode() - Fill in missing options of a family without template */
static void local_mode(const struct conf_ip *ip, bool v4,
		       struct hostnet_ip *host)
{
	host->naddrs = host->nroutes = 0;
	host->addrs_lost = host->routes_lost = 0;
	if (v4 && !ip->addr_given)
		host->addr = inany_from_v4_host(LOCAL_ADDR4);
	if (!ip->prefix_given && inany_is_set(&host->addr))
		host->prefix_len = v4 && !ip->addr_given ? LOCAL_PREFIX4 :
				   prefix_guess(&host->addr, host);
	if (!ip->gw_given)
		host->gw = local_gw(host, v4);
	info("%s: no external interface as template, use local mode",
	     v4 ? "IPv4" : "IPv6");
}

/* have_ipv6() - Does the kernel have IPv6? Not with ipv6.disable=1 */
static bool have_ipv6(void)
{
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return errno != EAFNOSUPPORT;
	close(s);
	return true;
}

static void lost_warn(const struct hostnet_ip *host, const char *name)
{
	if (host->addrs_lost || host->routes_lost)
		warn("%s: %u addresses, %u routes of the host too many to copy",
		     name, host->addrs_lost, host->routes_lost);
}

struct addr_search {
	const union inany *addr;
	bool found;
};

static void addr_search_msg(const struct nlmsghdr *nh, void *arg)
{
	struct addr_search *x = arg;
	struct host_addr a;
	unsigned ifindex;

	if (!nl_parse_addr(nh, inany_is_v4(x->addr) ? AF_INET : AF_INET6, &a,
			   &ifindex) && inany_equals(&a.addr, x->addr))
		x->found = true;
}

/* host_has() - Does any interface of the host have an address? */
static bool host_has(struct nl *nl, const union inany *addr)
{
	struct ifaddrmsg ifa = {
		.ifa_family = inany_is_v4(addr) ? AF_INET : AF_INET6 };
	struct addr_search x = { .addr = addr };
	struct nl_req q;

	nl_req_init(&q, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa));
	nl_talk(nl, &q, addr_search_msg, &x);
	return x.found;
}

/* host_addr_find() - Set the host's own address: the guest's if it is shared */
static void host_addr_find(struct nl *nl, const struct conf_ip *ip,
			   struct hostnet_ip *host)
{
	if (host->naddrs)
		host->host_addr = host->addrs[0].addr;
	if (ip->addr_given && host_has(nl, &ip->addr))
		host->host_addr = ip->addr;
}

/* outbound_check() - Check that the interface and address of --outbound exist */
static int outbound_check(struct nl *nl, const struct conf *c,
			  const struct conf_ip *ip)
{
	char buf[INANY_STRLEN];
	struct nl_link l;

	if (*ip->outbound_if && nl_get_link(nl, 0, ip->outbound_if, &l)) {
		err("Outbound interface not usable: %s does not exist",
		    ip->outbound_if);
		return -ENODEV;
	}
	if (inany_is_set(&ip->outbound_addr) && !c->freebind &&
	    !inany_is_loopback(&ip->outbound_addr) &&
	    !host_has(nl, &ip->outbound_addr))
		warn("Outbound address %s is not an address of the host",
		     inany_ntop(&ip->outbound_addr, buf, sizeof(buf)));
	return 0;
}

/* template_probe() - Find the templates of both families, with open sockets */
static int template_probe(struct probe *p, const struct conf *c,
			  struct hostnet *h, bool *have4, bool *have6)
{
	const struct nl_link *opt = NULL;
	struct nl_link l;
	int ret;

	ret = h->ip4.enabled ? outbound_check(p->nl, c, &c->ip4) : 0;
	if (!ret && h->ip6.enabled)
		ret = outbound_check(p->nl, c, &c->ip6);
	if (ret)
		return ret;
	if (*c->ifname_opt) {
		if (nl_get_link(p->nl, 0, c->ifname_opt, &l)) {
			err("External interface not usable: %s does not exist",
			    c->ifname_opt);
			return -ENODEV;
		}
		opt = &l;
	}
	if (h->ip4.enabled)
		*have4 = probe_family(p, &c->ip4, AF_INET, opt, &h->ip4);
	if (h->ip6.enabled)
		*have6 = probe_family(p, &c->ip6, AF_INET6, opt, &h->ip6);
	if (opt && !*have4 && !*have6) {
		err("External interface not usable: %s has no address",
		    c->ifname_opt);
		return -EADDRNOTAVAIL;
	}
	if (!opt && h->ip4.enabled && !*have4)
		*have4 = probe_family_onlink(p, &c->ip4, AF_INET,
					     h->ip6.ifindex, &h->ip4);
	if (!opt && h->ip6.enabled && !*have6)
		*have6 = probe_family_onlink(p, &c->ip6, AF_INET6,
					     h->ip4.ifindex, &h->ip6);
	host_addr_find(p->nl, &c->ip4, &h->ip4);
	host_addr_find(p->nl, &c->ip6, &h->ip6);
	return 0;
}

/* templates_find() - Find the templates, fill in missing options */
static int templates_find(struct hostnet *h, const struct conf *c)
{
	struct probe *p = &scratch_probe;
	bool have4 = false, have6 = false;
	int ret;

	p->nl = &scratch[0];
	p->nested = &scratch[1];
	if (h->ip6.enabled && !have_ipv6()) {
		if (c->ip6.addr_given || !c->ip4.enabled)
			warn("IPv6: not supported by this kernel, disabled");
		h->ip6.enabled = false;
	}
	if (h->ip6.enabled)
		h->ip6.our_ll = eui64_linklocal(c->our_mac);

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
	if (h->ip4.enabled && !have4)
		local_mode(&c->ip4, true, &h->ip4);
	if (h->ip6.enabled && !have6)
		local_mode(&c->ip6, false, &h->ip6);
	lost_warn(&h->ip4, "IPv4");
	lost_warn(&h->ip6, "IPv6");
	return 0;
}

/* options_copy() - Copy the options of one family */
static void options_copy(struct hostnet_ip *host, const struct conf_ip *ip)
{
	host->enabled = ip->enabled;
	host->addr = ip->addr;
	host->prefix_len = ip->prefix_len;
	host->gw = ip->gw;
	host->map_host_loopback = ip->map_host_loopback;
	host->map_guest_addr = ip->map_guest_addr;
}

/* tap_name() - Get a template's name, if possible of one with a default route */
static const char *tap_name(const struct hostnet *h)
{
	const struct hostnet_ip *const ips[] = { &h->ip4, &h->ip6 };
	unsigned onlink, i;

	for (onlink = 0; onlink < 2; onlink++)
		for (i = 0; i < ARRAY_SIZE(ips); i++)
			if (ips[i]->ifindex && ips[i]->onlink == onlink)
				return ips[i]->ifname;
	return "tap0";
}

/* values_derive() - Set values that follow from options and templates */
static void values_derive(struct hostnet *h, const struct conf *c)
{
	if (!c->ip4.map_given && !c->no_map_gw)
		h->ip4.map_host_loopback = h->ip4.gw;
	if (!c->ip6.map_given && !c->no_map_gw)
		h->ip6.map_host_loopback = h->ip6.gw;
	util_strcpy(h->ns_ifname, IFNAMSIZ,
		    *c->ns_ifname ? c->ns_ifname : tap_name(h));
}

/**
 * hostnet_ephemeral() - Get the ports that the host's kernel assigns to clients
 * @first, @last:	Set, to the default of the kernel if it can't be read
 */
void hostnet_ephemeral(uint16_t *first, uint16_t *last)
{
	unsigned from, to;
	char text[32];

	*first = EPHEMERAL_FIRST;
	*last = EPHEMERAL_LAST;
	procfile_read(EPHEMERAL_PATH, text, sizeof(text));
	if (sscanf(text, "%u %u", &from, &to) == 2 && from && from <= to &&
	    to <= UINT16_MAX) {
		*first = from;
		*last = to;
	}
}

/**
 * hostnet_init() - Look at the host, and decide on the image for the guest
 * @h:		Written completely. addr, prefix_len and gw of each family are as
 *		given, else as found. gw stays unset if the default route has none
 *		(point to point); addr stays unset in IPv6 local mode
 * @c:		Configuration
 *
 * To be called in the host's network namespace. Logs its errors.
 *
 * Return: 0, also without any network; -ENODEV or -EADDRNOTAVAIL if an
 *	   interface of -i, --outbound-if4 or --outbound-if6 can't be used
 */
int hostnet_init(struct hostnet *h, const struct conf *c)
{
	int ret;

	memset(h, 0, sizeof(*h));
	options_copy(&h->ip4, &c->ip4);
	options_copy(&h->ip6, &c->ip6);
	h->mtu = c->mtu;
	h->notsent_low = procfile_number(NOTSENT_LOWAT, UINT32_MAX,
					 UINT32_MAX) < INT32_MAX;
	hostnet_ephemeral(&h->ephemeral_first, &h->ephemeral_last);
	/* Without a tap, the namespace only has its loopback */
	ret = c->splice_only ? 0 : templates_find(h, c);
	if (!ret)
		values_derive(h, c);
	return ret;
}
