/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ndp.c - Neighbour and router discovery: pure functions
 *
 * As with ARP, the guest sees one neighbour that owns every address but the guest's
 * own. An answer overrides the entry in the guest's neighbour cache: nobody else is
 * on this link (RFC 4861, 7.2.8, is about proxies that stand in for a node).
 *
 *	source of NS	target			reply
 *	::		ours (gateway, our_ll)	NA to all nodes: it is taken
 *	::		other			none: the guest may take it
 *	other		the guest's own		none
 *	other		another machine's	none: that one answers, see guest.c
 *	other		other			NA to the source
 *
 * We are also the router. An advertisement has everything that a guest needs, since
 * many guests have no client but their kernel: the prefix of the configured address
 * for SLAAC (RFC 4862), the MTU, name servers and the search list (RFC 8106). But only
 * DHCPv6 gives a guest exactly the configured address. So the M flag is set while
 * DHCPv6 serves one: networkd, dhcpcd and NetworkManager start their DHCPv6 clients on
 * it and then have both addresses, the kernel ignores it. Without a configured address
 * the O flag is set alone, for stateless clients. A prefix without the A flag would
 * also lead to one address, but would leave the kernel with none.
 *
 * The prefix and addresses made from it hold for ever. Name servers hold as long as
 * the router, so that a guest forgets one that is no longer advertised.
 */

#include "ndp.h"

#include <string.h>

#include "domain.h"
#include "fwd.h"
#include "guest.h"

#define LIFETIME_FOREVER	0xffffffffU	/* RFC 4861, 4.6.2 */

static const struct in6_addr all_nodes = { { {
	0xff, 0x02, [15] = 0x01 } } };		/* RFC 4291, 2.7.1 */

/* RFC 4861, 6.1 and 7.1: options fill the message, and none has a length of zero.
 * @src_ll: set if one is a source link-layer address */
static bool ndp_options_valid(struct view options, bool *src_ll)
{
	struct { uint8_t type, len8; } h;

	*src_ll = false;
	while (options.len) {
		if (!view_take(&options, &h, sizeof(h)) || !h.len8 ||
		    !view_skip(&options, h.len8 * 8U - sizeof(h)))
			return false;
		if (h.type == NDP_OPT_SLLA)
			*src_ll = true;
	}
	return true;
}

/* RFC 4291, 2.7.1: ff02::1:ffXX:XXXX of a unicast address */
static bool is_solicited_node(const union inany *a, const struct in6_addr *of)
{
	static const uint8_t prefix[13] = {
		0xff, 0x02, [11] = 0x01, [12] = 0xff };

	return !memcmp(a->a6.s6_addr, prefix, sizeof(prefix)) &&
	       !memcmp(a->a6.s6_addr + 13, of->s6_addr + 13, 3);
}

static void set_multicast_mac(uint8_t mac[MAC_LEN], const struct in6_addr *a)
{
	mac[0] = mac[1] = 0x33;			/* RFC 2464, 7 */
	memcpy(mac + 2, a->s6_addr + 12, 4);
}

/* Address the reply to the source or, if it has no address yet, to all nodes */
static void ndp_set_destination(struct ndp_reply *r, const struct pkt *p)
{
	if (inany_is_unspecified(&p->src)) {
		r->dst = inany_from_v6(&all_nodes);
		set_multicast_mac(r->dst_mac, &all_nodes);
		return;
	}
	r->dst = p->src;
	memcpy(r->dst_mac, p->eth.src, MAC_LEN);
}

/* ndp_put() - Append @len bytes. Only put_dnssl() could run out of room, and checks;
 * see the assertion in put_router_advert() */
static void ndp_put(struct ndp_reply *r, const void *data, size_t len)
{
	memcpy(r->msg + r->len, data, len);
	r->len += len;
}

static void put_link_layer(struct ndp_reply *r, uint8_t type,
			   const uint8_t mac[MAC_LEN])
{
	struct ndp_opt_ll opt = { .type = type, .len8 = sizeof(opt) / 8 };

	memcpy(opt.mac, mac, MAC_LEN);
	ndp_put(r, &opt, sizeof(opt));
}

/* Check the rules of RFC 4861, 7.1.1 that pkt_parse() does not check */
static bool ns_valid(const struct pkt *p, union inany *target)
{
	struct view options = p->payload;
	struct in6_addr t;
	bool src_ll;

	if (!view_take(&options, &t, sizeof(t)))
		return false;
	*target = inany_from_v6(&t);
	if (inany_is_multicast(target) || inany_is_v4(target) ||
	    !ndp_options_valid(options, &src_ll))
		return false;
	if (!inany_is_unspecified(&p->src))
		return true;
	return !src_ll && is_solicited_node(&p->dst, &t);
}

static bool ns_answered(const struct conf *c, const struct hostnet *net,
			const struct guest *g, const struct pkt *p,
			 const union inany *target)
{
	if (fwd_is_ours(c, net, target))
		return true;
	return !inany_is_unspecified(&p->src) && !inany_is_unspecified(target) &&
	       !inany_is_loopback(target) && !fwd_is_guests(net, g, target) &&
	       !guest_is_other(g, target, p->eth.src);
}

static size_t neighbour_advert(const struct conf *c, const struct hostnet *net,
			       const struct guest *g,
			       const struct pkt *p, struct ndp_reply *r)
{
	struct ndp_neigh na = { .type = NDP_NA };
	uint32_t flags = NDP_NA_OVERRIDE;
	union inany target;

	if (!ns_valid(p, &target) || !ns_answered(c, net, g, p, &target))
		return 0;

	/* RFC 4861, 7.2.4 */
	if (fwd_is_ours(c, net, &target))
		flags |= NDP_NA_ROUTER;
	if (!inany_is_unspecified(&p->src))
		flags |= NDP_NA_SOLICITED;
	na.flags = htonl(flags);
	na.target = target.a6;

	ndp_set_destination(r, p);
	r->src = target;
	ndp_put(r, &na, sizeof(na));
	put_link_layer(r, NDP_OPT_TLLA, c->our_mac);
	return r->len;
}

static void put_prefix(struct ndp_reply *r, const struct hostnet_ip *ip6)
{
	struct ndp_opt_prefix opt = {
		.type = NDP_OPT_PREFIX,
		.len8 = sizeof(opt) / 8,
		.prefix_len = 64,		/* RFC 4862, 5.5.3 d */
		.flags = NDP_PREFIX_ONLINK | NDP_PREFIX_AUTO,
		.valid_s = htonl(LIFETIME_FOREVER),
		.preferred_s = htonl(LIFETIME_FOREVER),
	};

	memcpy(&opt.prefix, &ip6->addr.a6, 8);
	ndp_put(r, &opt, sizeof(opt));
}

static void put_mtu(struct ndp_reply *r, unsigned mtu)
{
	struct ndp_opt_mtu opt = {
		.type = NDP_OPT_MTU,
		.len8 = sizeof(opt) / 8,
		.mtu = htonl(mtu),
	};

	ndp_put(r, &opt, sizeof(opt));
}

/* RFC 8106, 5.1 */
static void put_rdnss(struct ndp_reply *r, const struct dns *d)
{
	struct ndp_opt_rdnss opt = {
		.type = NDP_OPT_RDNSS,
		.len8 = 1 + 2 * d->n6,
		.lifetime_s = htonl(NDP_ROUTER_LIFETIME_S),
	};
	unsigned i;

	if (!d->n6)
		return;
	ndp_put(r, &opt, sizeof(opt));
	for (i = 0; i < d->n6; i++)
		ndp_put(r, &d->ns6[i].a6, sizeof(d->ns6[i].a6));
}

/* RFC 8106, 5.2: as many domains as fit, padded with zeroes to 8 bytes */
static void put_dnssl(struct ndp_reply *r, const struct dns *d)
{
	struct ndp_opt_dnssl opt = {
		.type = NDP_OPT_DNSSL,
		.lifetime_s = htonl(NDP_ROUTER_LIFETIME_S),
	};
	size_t max = (sizeof(r->msg) - r->len) & ~(size_t)7, len = sizeof(opt);
	uint8_t list[NDP_REPLY_MAX] = { 0 };
	unsigned i;

	if (max < len)
		return;
	for (i = 0; i < d->nsearch; i++)
		len += domain_encode(d->search[i], list + len, max - len);
	if (len == sizeof(opt))
		return;
	len = (len + 7) & ~(size_t)7;
	opt.len8 = len / 8;
	memcpy(list, &opt, sizeof(opt));
	ndp_put(r, list, len);
}

/* Does DHCPv6 serve an address (M), or at least information (O)? */
static uint8_t router_flags(const struct conf *c, const struct hostnet *net)
{
	if (c->no_dhcpv6)
		return 0;
	if (inany_is_set(&net->ip6.addr))
		return NDP_RA_MANAGED | NDP_RA_OTHER;
	return NDP_RA_OTHER;
}

static void put_router_advert(const struct conf *c, const struct hostnet *net,
			      const struct dns *d, struct ndp_reply *r)
{
	struct ndp_ra ra = {
		.type = NDP_RA,
		.hop_limit = IP_DEFAULT_TTL,
		.flags = router_flags(c, net),
		.lifetime_s = htons(NDP_ROUTER_LIFETIME_S),
	};

	static_assert(sizeof(ra) + sizeof(struct ndp_opt_ll) +
		      sizeof(struct ndp_opt_mtu) +
		      sizeof(struct ndp_opt_prefix) +
		      sizeof(struct ndp_opt_rdnss) +
		      CONF_DNS_MAX * sizeof(struct in6_addr) <= NDP_REPLY_MAX,
		      "all but the search list fits");
	ndp_put(r, &ra, sizeof(ra));
	put_link_layer(r, NDP_OPT_SLLA, c->our_mac);
	if (net->mtu >= CONF_MTU_MIN_IPV6)
		put_mtu(r, net->mtu);
	if (inany_is_set(&net->ip6.addr) &&
	    !inany_is_unspecified(&net->ip6.addr))
		put_prefix(r, &net->ip6);
	put_rdnss(r, d);
	put_dnssl(r, d);
}

/* Check the rules of RFC 4861, 6.1.1 that pkt_parse() does not check */
static bool rs_valid(const struct pkt *p)
{
	bool src_ll;

	return ndp_options_valid(p->payload, &src_ll) &&
	       !(src_ll && inany_is_unspecified(&p->src));
}

/**
 * ndp_is_router() - Do we send router advertisements?
 * @c:		Configuration
 * @net:	Network of the host
 *
 * An advertisement comes from a link-local address: RFC 4861, 6.1.2.
 */
bool ndp_is_router(const struct conf *c, const struct hostnet *net)
{
	return net->ip6.enabled && !c->no_ndp && !c->no_ra &&
	       inany_is_set(&net->ip6.our_ll);
}

/**
 * ndp_reply() - Reply to one ICMPv6 message, if it is a valid solicitation
 * @c:		Configuration
 * @net:	Network of the host
 * @g:		Known addresses of the guest
 * @d:		Name servers and search list
 * @p:		Packet of kind PKT_ICMP6, of any type
 * @r:		Filled in where there is a reply
 *
 * Return: bytes of the reply, 0 if there is none
 */
size_t ndp_reply(const struct conf *c, const struct hostnet *net,
		 const struct guest *g, const struct dns *d,
		 const struct pkt *p, struct ndp_reply *r)
{
	r->len = 0;
	if (!net->ip6.enabled || c->no_ndp || p->ttl != NDP_HOP_LIMIT ||
	    p->icmp.code)
		return 0;

	if (p->icmp.type == NDP_NS)
		return neighbour_advert(c, net, g, p, r);
	if (p->icmp.type != NDP_RS || !ndp_is_router(c, net) || !rs_valid(p))
		return 0;

	ndp_set_destination(r, p);
	r->src = net->ip6.our_ll;
	put_router_advert(c, net, d, r);
	return r->len;
}

/**
 * ndp_advert() - An unsolicited router advertisement, to all nodes
 * @c:		Configuration
 * @net:	Network of the host
 * @d:		Name servers and search list
 * @r:		Filled in
 *
 * Return: bytes of the message, 0 if none is to be sent
 */
size_t ndp_advert(const struct conf *c, const struct hostnet *net,
		  const struct dns *d, struct ndp_reply *r)
{
	r->len = 0;
	if (!ndp_is_router(c, net))
		return 0;

	r->dst = inany_from_v6(&all_nodes);
	set_multicast_mac(r->dst_mac, &all_nodes);
	r->src = net->ip6.our_ll;
	put_router_advert(c, net, d, r);
	return r->len;
}

/**
 * ndp_solicit() - A neighbour solicitation, RFC 4861, 4.3
 * @c:		Configuration
 * @net:	Network of the host
 * @target:	Address of the guest to ask for
 * @r:		Filled in
 *
 * Return: bytes of the message, 0 if none is to be sent
 */
size_t ndp_solicit(const struct conf *c, const struct hostnet *net,
		   const union inany *target, struct ndp_reply *r)
{
	static const uint8_t prefix[13] = {
		0xff, 0x02, [11] = 0x01, [12] = 0xff };
	struct ndp_neigh ns = { .type = NDP_NS, .target = target->a6 };
	struct in6_addr group = target->a6;

	r->len = 0;
	if (c->no_ndp || !inany_is_set(&net->ip6.our_ll))
		return 0;

	memcpy(group.s6_addr, prefix, sizeof(prefix));
	r->dst = inany_from_v6(&group);
	set_multicast_mac(r->dst_mac, &group);
	r->src = net->ip6.our_ll;
	ndp_put(r, &ns, sizeof(ns));
	put_link_layer(r, NDP_OPT_SLLA, c->our_mac);
	return r->len;
}
