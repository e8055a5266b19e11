/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd.c - Decide where a flow goes
 *
 * All translation of addresses is here, as pure functions: no socket, no table, no
 * state. The address that one side dials is dialled on the other side, too, with the
 * exceptions below. Both sides have one family, except for queries to a name server: a
 * DNS message is the same over both families, so a server of the other family will do
 * if there is none of the guest's.
 *
 * Destinations that the guest dials; the first line that fits counts ("DNS" is port 53
 * or 853 over TCP or UDP, a "resolver" is a name server of the host's resolv.conf):
 *
 *	dns_forward, DNS	the first of these that is set:
 *				dns_host;
 *				dns_host of the other family, if that has no
 *				dns_forward of its own;
 *				the first resolver of the family;
 *				dns_host of the other family;
 *				the first resolver of the other family
 *	map_host_loopback, DNS	the first resolver that the guest could not
 *				reach by its own address: on loopback
 *				(127.0.0.53), or at the address that the guest
 *				has, too; else, where that address itself is a
 *				resolver (the gateway often is): as it is
 *	map_host_loopback	127.0.0.1 or ::1; if that address is the
 *				gateway's, our link-local address leads there, too
 *	map_guest_addr		the host's own address
 *	our link-local, and a dns_forward that is link-local
 *				nowhere: nothing is behind them
 *	others			as they are, from outbound_addr
 *
 * Without map_host_loopback the gateway takes its place, unless --no-map-gw is given.
 *
 * Source addresses that the guest sees when a peer dials a forwarded port:
 *
 *	loopback		map_host_loopback, else the gateway, else our
 *				link-local address
 *	the guest's own address, or one that --config-net copied
 *				map_guest_addr, else as loopback
 *	others			as they are
 *
 * Such a flow goes to the target address of the rule. Without one it goes to the known
 * address of the guest (guest.c), link-local for a link-local source, else global. In
 * pasta a flow from loopback bypasses the tap, to the same address. With host_lo_to_ns_lo,
 * or without a tap and an address, it goes to the loopback address that was dialled.
 *
 * A target address may be one behind the guest, in a network that the guest routes to.
 * The bypass is for these flows of rules with a target address:
 *
 *	target on loopback		all: no other way leads there
 *	--splice-only			from loopback
 *	an address of the namespace	from loopback
 *	another, link-local		none
 *	another, global			those that the guest would see from a link-local
 *					IPv6 address: a guest forwards no packet of these
 */

#include "fwd.h"

#include <netinet/in.h>
#include <string.h>

enum { PORT_DNS = 53, PORT_DNS_TLS = 853 };	/* RFC 1035, RFC 7858 */

static const struct hostnet_ip *fwd_family(const struct hostnet *net,
					   const union inany *a)
{
	return inany_is_v4(a) ? &net->ip4 : &net->ip6;
}

static const struct conf_ip *asked(const struct conf *c, const union inany *a)
{
	return inany_is_v4(a) ? &c->ip4 : &c->ip6;
}

static bool is(const union inany *configured, const union inany *a)
{
	return inany_is_set(configured) && inany_equals(configured, a);
}

static union inany loopback(bool v4)
{
	const struct in_addr lo4 = { .s_addr = htonl(INADDR_LOOPBACK) };

	return v4 ? inany_from_v4(lo4) : inany_from_v6(&in6addr_loopback);
}

/* Does @dst stand for the host's loopback? */
static bool reaches_loopback(const struct conf *c, const struct hostnet *net,
			     const union inany *dst)
{
	const struct hostnet_ip *ip = fwd_family(net, dst);

	if (is(&ip->map_host_loopback, dst))
		return true;
	if (inany_is_set(&ip->map_host_loopback)) {
		/* It is the gateway: our link-local address is, too */
		return is(&ip->gw, &ip->map_host_loopback) &&
		       is(&ip->our_ll, dst);
	}
	return !c->no_map_gw && (is(&ip->gw, dst) || is(&ip->our_ll, dst));
}

static bool is_dns(uint8_t proto, uint16_t port)
{
	return (proto == IPPROTO_TCP || proto == IPPROTO_UDP) &&
	       (port == PORT_DNS || port == PORT_DNS_TLS);
}

/**
 * fwd_is_ours() - Do we answer for this address on the tap side?
 * @c:		Configuration
 * @net:	Network of the host
 * @a:		Address on the tap side
 */
bool fwd_is_ours(const struct conf *c, const struct hostnet *net,
		 const union inany *a)
{
	const struct hostnet_ip *ip = fwd_family(net, a);

	return is(&ip->gw, a) || is(&ip->our_ll, a) ||
	       is(&ip->map_host_loopback, a) || is(&ip->map_guest_addr, a) ||
	       is(&asked(c, a)->dns_forward, a);
}

/**
 * fwd_is_guests() - Is this an address of the guest, assigned or known?
 * @net:	Network of the host
 * @g:		Known addresses of the guest
 * @a:		Address on the tap side
 */
bool fwd_is_guests(const struct hostnet *net, const struct guest *g,
		   const union inany *a)
{
	if (is(&fwd_family(net, a)->addr, a))
		return true;
	if (inany_is_v4(a))
		return is(&g->addr4, a);
	return is(&g->addr6, a) || is(&g->addr6_ll, a);
}

/**
 * fwd_is_broadcast() - Is this limited broadcast, or broadcast of the guest's subnet?
 * @net:	Network of the host
 * @a:		Destination on the tap side
 *
 * An address that is assigned to the guest is the address of one host.
 */
bool fwd_is_broadcast(const struct hostnet *net, const union inany *a)
{
	uint32_t addr, own, host_bits;

	if (!inany_is_v4(a))
		return false;
	addr = ntohl(a->v4mapped.a4.s_addr);
	if (addr == INADDR_BROADCAST)
		return true;
	if (!inany_is_set(&net->ip4.addr) || !net->ip4.prefix_len ||
	    net->ip4.prefix_len > 30)	/* RFC 3021: none with 31 bits */
		return false;
	own = ntohl(net->ip4.addr.v4mapped.a4.s_addr);
	host_bits = UINT32_MAX >> net->ip4.prefix_len;
	return addr == (own | host_bits) && addr != own;
}

/* May a single host have this address, so that we can connect to it? */
static bool is_peer(const struct hostnet *net, const union inany *a)
{
	return !inany_is_unspecified(a) && !inany_is_loopback(a) &&
	       !inany_is_multicast(a) && !fwd_is_broadcast(net, a);
}

/* Server for a query to dns_forward, see the table at the top; unset: none */
static const union inany *dns_of_forward(const struct conf *c,
					 const struct hostnet *net,
					 const struct dns *d, bool v4)
{
	const struct conf_ip *ip = v4 ? &c->ip4 : &c->ip6;
	const struct conf_ip *other = v4 ? &c->ip6 : &c->ip4;
	const union inany *host = v4 ? &d->host4 : &d->host6;
	bool spare = (v4 ? &net->ip6 : &net->ip4)->enabled &&
		     inany_is_set(&other->dns_host);

	if (inany_is_set(&ip->dns_host))
		return &ip->dns_host;
	if (spare && !inany_is_set(&other->dns_forward))
		return &other->dns_host;
	if (spare && (!inany_is_set(host) || inany_is_v4(host) != v4))
		return &other->dns_host;
	return host;
}

/* Destination on the host's side for @dst, see the table at the top; unset: none */
static union inany translate(const struct conf *c, const struct hostnet *net,
			     const struct dns *d, bool dns,
			     const union inany *dst)
{
	const struct hostnet_ip *ip = fwd_family(net, dst);
	const union inany unset = { 0 };
	bool v4 = inany_is_v4(dst);

	if (dns && is(&asked(c, dst)->dns_forward, dst))
		return *dns_of_forward(c, net, d, v4);
	if (reaches_loopback(c, net, dst)) {
		const union inany *via = v4 ? &d->via4 : &d->via6;

		return dns && inany_is_set(via) ? *via : loopback(v4);
	}
	if (is(&ip->map_guest_addr, dst))
		return ip->host_addr;
	/* Nothing is behind these, or only a name server */
	if (is(&ip->our_ll, dst) ||
	    (is(&asked(c, dst)->dns_forward, dst) && inany_is_linklocal(dst)))
		return unset;
	return *dst;
}

/* Address to bind to reach @peer; unspecified: the kernel chooses */
static union inany source_for(const struct conf *c, const union inany *peer)
{
	const struct conf_ip *ip = asked(c, peer);
	bool v4 = inany_is_v4(peer);

	if (inany_is_loopback(peer))
		return loopback(v4);
	return inany_is_set(&ip->outbound_addr) ? ip->outbound_addr :
						  inany_unspecified(v4);
}

/**
 * fwd_from_tap() - Host side of a flow that the guest starts
 * @c:		Configuration
 * @net:	Network of the host
 * @d:		Name servers
 * @proto:	IPPROTO_*
 * @tap:	Tap side: the guest is the endpoint, the dialled address is ours
 * @host:	Filled in: the endpoint is the address to connect to, ours the one to
 *		bind. Ours is unspecified if the kernel chooses; its port is the
 *		guest's, as a wish
 *
 * Return: false if this goes nowhere: a family that is off, no single host, a port
 * that can't be dialled. The guest's own loopback never is the host's
 */
bool fwd_from_tap(const struct conf *c, const struct hostnet *net,
		  const struct dns *d, uint8_t proto,
		  const struct flowside *tap, struct flowside *host)
{
	bool ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP;

	if (!fwd_family(net, &tap->oaddr)->enabled ||
	    inany_is_v4(&tap->oaddr) != inany_is_v4(&tap->eaddr) ||
	    !is_peer(net, &tap->oaddr) || !is_peer(net, &tap->eaddr) ||
	    (ports && !tap->oport))
		return false;

	host->eaddr = translate(c, net, d, is_dns(proto, tap->oport),
				&tap->oaddr);
	if (!inany_is_set(&host->eaddr))
		return false;
	host->oaddr = source_for(c, &host->eaddr);
	host->eport = tap->oport;
	host->oport = tap->eport;
	return true;
}

/* fwd_port() - Target port of @port, which @r forwards */
uint16_t fwd_port(const struct fwd_rule *r, uint16_t port)
{
	return r->to + (port - r->first);
}

/* Address of the guest that is not link-local; may be unset */
static union inany known_addr(const struct hostnet *net, const struct guest *g,
			      bool v4)
{
	const union inany *known = v4 ? &g->addr4 : &g->addr6;

	if (inany_is_set(known))
		return *known;
	return v4 ? net->ip4.addr : net->ip6.addr;
}

/* Find the address in the namespace for a connection that bypasses the tap */
static enum pif to_splice(const struct conf *c, const struct hostnet *net,
			  const struct guest *g, const struct fwd_rule *r,
			  const struct flowside *host, struct flowside *tgt)
{
	const struct hostnet_ip *ip = fwd_family(net, &host->eaddr);
	bool v4 = inany_is_v4(&host->eaddr);

	tgt->oaddr = inany_unspecified(v4);
	tgt->oport = 0;
	/* Without a tap, loopback may be the only address */
	if (inany_is_set(&r->to_addr))
		tgt->eaddr = r->to_addr;
	else if (!c->host_lo_to_ns_lo &&
	    !(c->splice_only && !inany_is_set(&ip->addr)))
		tgt->eaddr = known_addr(net, g, v4);
	else if (inany_is_loopback(&host->oaddr) &&
		 inany_is_v4(&host->oaddr) == v4)
		tgt->eaddr = host->oaddr;
	else
		tgt->eaddr = loopback(v4);
	/* In local mode IPv6 has no address: sockets may change the family */
	if (!inany_is_set(&tgt->eaddr) &&
	    (v4 ? &net->ip6 : &net->ip4)->enabled) {
		tgt->eaddr = known_addr(net, g, !v4);
		tgt->oaddr = inany_unspecified(!v4);
	}
	return inany_is_set(&tgt->eaddr) ? PIF_SPLICE : PIF_NONE;
}

/* Does the namespace have @a as a copy of an address of the host? */
static bool is_copied(const struct conf *c, const struct hostnet *net,
		      const union inany *a)
{
	const struct hostnet_ip *ip = fwd_family(net, a);
	unsigned i;

	if (!c->config_net || !conf_copies_addrs(asked(c, a)))
		return false;
	for (i = 0; i < ip->naddrs; i++)
		if (inany_equals(&ip->addrs[i].addr, a))
			return true;
	return false;
}

/* Address by which the guest sees @peer; unset: there is none */
static union inany shown_to_guest(const struct conf *c,
				  const struct hostnet *net,
				  const struct guest *g,
				  const union inany *peer)
{
	const struct hostnet_ip *ip = fwd_family(net, peer);
	bool own = fwd_is_guests(net, g, peer) || is_copied(c, net, peer);

	if (!own && !inany_is_loopback(peer))
		return *peer;
	if (own && inany_is_set(&ip->map_guest_addr))
		return ip->map_guest_addr;
	if (inany_is_set(&ip->map_host_loopback))
		return ip->map_host_loopback;
	return inany_is_set(&ip->gw) ? ip->gw : ip->our_ll;
}

/* Is this an IPv6 address that routers forward no packets from or to? */
static bool stays_on_link(const union inany *a)
{
	return !inany_is_v4(a) && inany_is_linklocal(a);
}

/* Does a flow of a rule bypass the tap if possible? See the table at the top */
static bool wants_bypass(const struct conf *c, const struct hostnet *net,
			 const struct guest *g, const struct fwd_rule *r,
			 const union inany *peer)
{
	const union inany *to = &r->to_addr;
	bool local = inany_is_loopback(peer);
	union inany shown;

	if (!inany_is_set(to) || c->splice_only)
		return local;
	if (inany_is_loopback(to))
		return true;
	if (stays_on_link(to))
		return false;
	if (fwd_is_guests(net, g, to) || is_copied(c, net, to))
		return local;
	shown = shown_to_guest(c, net, g, peer);
	return stays_on_link(&shown);
}

/**
 * fwd_to_guest() - Source address by which the guest sees an unsolicited datagram
 * @c:		Configuration
 * @net:	Network of the host
 * @d:		Name servers
 * @g:		Known addresses of the guest
 * @peer:	Address of the sender
 * @shown:	Filled in
 *
 * A sender on the host is seen by an address that leads back to the host, if there is
 * one.
 *
 * Return: false if the guest is not to get it
 */
bool fwd_to_guest(const struct conf *c, const struct hostnet *net,
		  const struct dns *d, const struct guest *g,
		  const union inany *peer, union inany *shown)
{
	union inany back;

	if (!fwd_family(net, peer)->enabled || c->splice_only ||
	    (!inany_is_loopback(peer) && !is_peer(net, peer)))
		return false;
	*shown = shown_to_guest(c, net, g, peer);
	if (!inany_is_set(shown) || inany_equals(shown, peer))
		return inany_is_set(shown);
	back = translate(c, net, d, false, shown);
	return inany_is_set(&back) && !inany_equals(&back, shown);
}

/* Address of the guest for a flow that it sees coming from @src */
static union inany guest_for(const struct hostnet *net, const struct guest *g,
			     const union inany *src)
{
	bool v4 = inany_is_v4(src);
	union inany known;

	if (!v4 && inany_is_linklocal(src) && inany_is_set(&g->addr6_ll))
		return g->addr6_ll;
	known = known_addr(net, g, v4);
	if (inany_is_set(&known) || v4)
		return known;
	return g->addr6_ll;		/* local mode: there may be no other */
}

/**
 * fwd_from_host() - Other side of a flow that came to a listening socket
 * @c:		Configuration
 * @net:	Network of the host
 * @g:		Known addresses of the guest
 * @bypass:	The namespace can be reached past the tap at the moment
 * @r:		Rule of the socket; its target address is of the peer's family
 * @host:	Host side: the peer is the endpoint, the dialled address is ours, unset
 *		if it is not known
 * @tgt:	Filled in. PIF_TAP: the guest is the endpoint, ours is the address by
 *		which it sees the peer. PIF_SPLICE: the endpoint is the address to
 *		connect to in the namespace, from any address and port
 *
 * Return: interface of @tgt; PIF_NONE if this goes nowhere: a family that is off, an
 * impossible source, no address on the other side
 */
enum pif fwd_from_host(const struct conf *c, const struct hostnet *net,
		       const struct guest *g, bool bypass,
		       const struct fwd_rule *r, const struct flowside *host,
		       struct flowside *tgt)
{
	const union inany *peer = &host->eaddr;
	bool local = inany_is_loopback(peer);

	if (!fwd_family(net, peer)->enabled || !host->eport ||
	    (!local && !is_peer(net, peer)))
		return PIF_NONE;

	tgt->eport = fwd_port(r, host->oport);
	if (c->mode == MODE_PASTA && !c->no_splice && bypass &&
	    wants_bypass(c, net, g, r, peer))
		return to_splice(c, net, g, r, host, tgt);
	if (c->splice_only || inany_is_loopback(&r->to_addr))
		return PIF_NONE;

	tgt->oaddr = shown_to_guest(c, net, g, peer);
	tgt->oport = host->eport;
	if (!inany_is_set(&tgt->oaddr))
		return PIF_NONE;
	tgt->eaddr = inany_is_set(&r->to_addr) ? r->to_addr :
		     guest_for(net, g, &tgt->oaddr);
	return inany_is_set(&tgt->eaddr) ? PIF_TAP : PIF_NONE;
}

/*
 * host_for() - Address on the host for @dialled, an address of the namespace
 *
 * Loopback leads to loopback. Copied addresses are the host's as well, and lead to
 * themselves. So do others that the namespace has: the host may have them at another
 * interface, which we do not know. Where no address was copied, another machine might
 * have this one, and so it is with link-local ones: they lead to the host's own.
 */
static union inany host_for(const struct conf *c, const struct hostnet *net,
			    const union inany *dialled, bool v4)
{
	const struct hostnet_ip *ip = v4 ? &net->ip4 : &net->ip6;

	if (inany_is_loopback(dialled))
		return *dialled;
	if (!inany_is_set(dialled) || inany_is_unspecified(dialled))
		return loopback(v4);
	if (ip->ifindex && !(v4 ? &c->ip4 : &c->ip6)->addr_given &&
	    !inany_is_linklocal(dialled))
		return *dialled;
	return inany_is_set(&ip->host_addr) ? ip->host_addr : loopback(v4);
}

/**
 * fwd_from_ns() - Host side of a flow to a listening socket in the namespace
 * @c:		Configuration
 * @net:	Network of the host
 * @r:		Rule of the socket
 * @ns:		Namespace's side: a program in there is the endpoint, the dialled
 *		address is ours, and may be unset
 * @host:	Filled in: the endpoint is the address to connect to, ours the one to
 *		bind, with any port
 *
 * Return: false if this goes nowhere: a family that is off, no single host
 */
bool fwd_from_ns(const struct conf *c, const struct hostnet *net,
		 const struct fwd_rule *r, const struct flowside *ns,
		 struct flowside *host)
{
	bool v4 = inany_is_v4(&ns->eaddr);

	if (!fwd_family(net, &ns->eaddr)->enabled ||
	    inany_is_multicast(&ns->oaddr) ||
	    fwd_is_broadcast(net, &ns->oaddr) ||
	    (inany_is_set(&ns->oaddr) && inany_is_v4(&ns->oaddr) != v4))
		return false;

	host->eaddr = host_for(c, net, &ns->oaddr, v4);
	host->eport = fwd_port(r, ns->oport);
	host->oaddr = inany_is_loopback(&host->eaddr) ? loopback(v4) :
							inany_unspecified(v4);
	host->oport = 0;
	return true;
}

static bool fwd_past_tap(const struct conf *c, const struct hostnet *net,
			 const struct guest *g, const struct fwd_rule *r,
			 const struct flowside *ini, struct flowside *tgt)
{
	*tgt = (struct flowside){ 0 };
	return r->from_ns ? fwd_from_ns(c, net, r, ini, tgt) :
			    fwd_from_host(c, net, g, true, r, ini, tgt) ==
			    PIF_SPLICE;
}

/**
 * fwd_targets() - Targets to try, one after the other, for a dialled loopback address
 * @c:		Configuration
 * @net:	Network of the host
 * @g:		Known addresses of the guest
 * @r:		Rule of the socket
 * @ini:	Side of the client: PIF_HOST, or PIF_SPLICE by @r
 * @tgt:	Filled in: the target past the tap. If it has no listener, the targets of
 *		127.0.0.1 or ::1 in the same family and in the other one follow
 *
 * A target address of the rule is the only one to try. Else, our socket accepts
 * connections to all loopback addresses of both families, before we
 * know which one the server has. So the client has no reason to try another one.
 *
 * Return: number of targets, 0 if this does not go past the tap
 */
unsigned fwd_targets(const struct conf *c, const struct hostnet *net,
		     const struct guest *g, const struct fwd_rule *r,
		     const struct flowside *ini,
		     struct flowside tgt[FWD_TARGETS])
{
	bool v4 = inany_is_v4(&ini->oaddr);
	struct flowside lo = *ini;
	unsigned n = 1, k;

	if (!fwd_past_tap(c, net, g, r, ini, &tgt[0]))
		return 0;
	if (inany_is_set(&r->to_addr) || !inany_is_loopback(&ini->oaddr) ||
	    !inany_is_loopback(&ini->eaddr))
		return 1;
	for (k = 0; k < 2; k++) {
		lo.oaddr = lo.eaddr = loopback(k ? !v4 : v4);
		if (fwd_past_tap(c, net, g, r, &lo, &tgt[n]) &&
		    !inany_equals(&tgt[n].eaddr, &tgt[0].eaddr))
			n++;
	}
	return n;
}

/**
 * fwd_scope() - Interface that leads to an address on the host's side
 * @net:	Network of the host
 * @d:		Name servers
 * @a:		Address
 *
 * Return: its index for link-local IPv6; 0: the routes decide
 */
unsigned fwd_scope(const struct hostnet *net, const struct dns *d,
		   const union inany *a)
{
	if (inany_is_v4(a) || !inany_is_linklocal(a))
		return 0;
	if (d->scope6 && (is(&d->host6, a) || is(&d->host4, a)))
		return d->scope6;
	return net->ip6.ifindex;
}

/**
 * fwd_error_src() - Source address of an ICMP error for a flow of the guest
 * @net:	Network of the host
 * @g:		Known addresses of the guest
 * @tap, @host:	The two sides of the flow
 * @offender:	Sender of the error on the host side; may be unset
 *
 * An error from the peer gets the address that the guest dialled. An error that the
 * host made itself has the host's address, which may be the guest's, too, or loopback.
 * Such an error gets the address of the gateway, or else the one that was dialled.
 *
 * Return: one of the addresses in the arguments
 */
const union inany *fwd_error_src(const struct hostnet *net,
				 const struct guest *g,
				 const struct flowside *tap,
				 const struct flowside *host,
				 const union inany *offender)
{
	const struct hostnet_ip *ip = fwd_family(net, &tap->oaddr);

	if (inany_equals(offender, &host->eaddr))
		return &tap->oaddr;
	if (inany_is_unicast(offender) && !inany_is_loopback(offender) &&
	    inany_is_v4(offender) == inany_is_v4(&tap->oaddr) &&
	    !fwd_is_guests(net, g, offender))
		return offender;
	if (inany_is_set(&ip->gw))
		return &ip->gw;
	if (inany_is_set(&ip->our_ll))
		return &ip->our_ll;
	return &tap->oaddr;
}
