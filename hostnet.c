/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostnet.c - The network of the host, and its image for the guest
 *
 * This module writes struct hostnet. It fills in the options of the user, has
 * probe.c search for the interface of the host that is the template of a family and
 * collect its addresses and routes, and derives the rest: mappings and the name of
 * the tap.
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
#include "probe.h"
#include "procfile.h"
#include "util.h"

#define EPHEMERAL_PATH	"/proc/sys/net/ipv4/ip_local_port_range"
#define NOTSENT_LOWAT	"/proc/sys/net/ipv4/tcp_notsent_lowat"

enum {
	IP6_PREFIX_DEFAULT = 64,
	LOCAL_PREFIX4	= 16,
};

/* Addresses of IPv4 local mode: RFC 3927 */
#define LOCAL_ADDR4	0xa9fe0201u	/* 169.254.2.1 */
#define LOCAL_GW4	0xa9fe0202u	/* 169.254.2.2 */

/* Scratch: too large for the stack, no state between calls */
static struct nl scratch[2];
static struct probe scratch_probe;

/* prefix_guess() - Guess a prefix length: of the host's network, else by class */
static uint8_t prefix_guess(const union inany *addr,
			    const struct hostnet_ip *host)
{
	uint32_t a4;
	unsigned i;

	if (!inany_is_v4(addr))
		return IP6_PREFIX_DEFAULT;
	for (i = 0; i < host->naddrs; i++) {
		if (inany_prefix_equals(addr, &host->addrs[i].addr,
				  host->addrs[i].prefix_len))
			return host->addrs[i].prefix_len;
	}
	/* RFC 791, 3.2; superseded by RFC 4632, but still expected */
	a4 = ntohl(addr->v4mapped.a4.s_addr);
	return a4 >> 31 == 0 ? 8 : a4 >> 30 == 2 ? 16 : a4 >> 29 == 6 ? 24 : 32;
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

/* Get the ports that the host's kernel assigns to clients, its default if they can't be
 * read */
static void ephemeral_find(struct hostnet *h)
{
	unsigned first, last;
	char text[32];

	h->ephemeral_first = EPHEMERAL_FIRST;
	h->ephemeral_last = EPHEMERAL_LAST;
	procfile_read(EPHEMERAL_PATH, text, sizeof(text));
	if (sscanf(text, "%u %u", &first, &last) == 2 && first &&
	    first <= last && last <= UINT16_MAX) {
		h->ephemeral_first = first;
		h->ephemeral_last = last;
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
	ephemeral_find(h);
	/* Without a tap, the namespace only has its loopback */
	ret = c->splice_only ? 0 : templates_find(h, c);
	if (!ret)
		values_derive(h, c);
	return ret;
}
