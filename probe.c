/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe.c - The search for the interface that is the template of a family
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
 * A family without default route may take an interface that is up and has an
 * address beyond the link.
 */

#include "probe.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

enum {
	DUMP_TRIES	= 3,		/* of a dump that is inconsistent */
	IP6_METRIC_DEFAULT = 1024,
	WIDE_PREFIX_MAX	= 3,		/* 0.0.0.0/1, 2000::/3 */
};

/*
 * Addresses for documentation, which belong to nobody: RFC 5737, RFC 9637, RFC
 * 3849. The second one serves hosts that filter the first.
 */
static const char *const somewhere4[] = { "192.0.2.1", "203.0.113.1" };
static const char *const somewhere6[] = { "3fff::1", "2001:db8::1" };

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
	for (i = 0; i < r.nhops && p->ncands < PROBE_CANDS_MAX; i++) {
		if (p->oif && r.hops[i].oif != p->oif)
			continue;
		p->cands[p->ncands++] = (struct probe_cand){
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
static bool addr_copied(const struct host_addr *a, const struct probe_cand *c)
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
 * The preferred source of the route may be on another interface, often on lo. If
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
static bool cand_better(const struct probe_cand *a, bool a_up,
			const struct probe_cand *b, bool b_up)
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
	p->best = (struct probe_cand){ .oif = hop->oif, .metric = r->r.metric,
				 .gw = hop->gw, .prefsrc = r->r.prefsrc };
	p->has_policy = !r->r.dst_len && r->table != RT_TABLE_MAIN;
	p->policy = r->r;
	route_via(&p->policy, hop, p->family);
	return true;
}

/* probe_policy() - Look for a route before the default one of the main table */
bool probe_policy(struct probe *p)
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
bool probe_main(struct probe *p)
{
	bool found = false, best_up = false, up;
	const struct probe_cand *c;
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
void probe_routes(struct probe *p)
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
static int addr_score(const struct host_addr *a, const struct probe_cand *c)
{
	bool ready = !(a->flags & IFA_F_TENTATIVE) ||
		     a->flags & IFA_F_OPTIMISTIC;
	bool near_gw = inany_prefix_equals(&a->peer, &c->gw, a->prefix_len);
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
				   const struct probe_cand *c)
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
static void addrs_settle(struct hostnet_ip *host, const struct probe_cand *c)
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
void probe_addrs(struct probe *p, bool has_route)
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
bool probe_onlink(struct probe *p, unsigned prefer)
{
	struct ifaddrmsg ifa = { .ifa_family = p->family };
	struct onlink x = { .p = p, .prefer = prefer };
	struct nl_req q;
	int tries = DUMP_TRIES, ret;

	do {
		nl_req_init(&q, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa));
		ret = nl_talk(p->nl, &q, onlink_msg, &x);
	} while (ret == -EAGAIN && --tries);
	p->best = (struct probe_cand){ .oif = x.oif };
	return x.oif;
}

void probe_init(struct probe *p, sa_family_t family, unsigned oif,
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
