/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd.c - Where does this flow go
 *
 * Translation of addresses, all of it, as pure functions: no socket, no table,
 * no state. What one side dials stays what is dialled on the other, with the
 * exceptions below. Both sides are of one family, except for queries that go to a name
 * server: a DNS message is the same over both, so a server of the other family does
 * where there is none of the guest's.
 *
 * What the guest dials, the first line that fits ("DNS" is port 53 or 853 over
 * TCP or UDP, "resolver" what the host's resolv.conf says):
 *
 *	dns_forward, DNS	the first of these that there is:
 *				dns_host;
 *				that of the other family, if it serves no dns_forward
 *				of its own;
 *				the first resolver of the family;
 *				dns_host of the other family;
 *				the first resolver of the other family
 *	map_host_loopback, DNS	the first resolver that the guest could not
 *				reach by its own address: on loopback
 *				(127.0.0.53), or at the address that the guest
 *				has, too; else, where that address itself is a
 *				resolver (the gateway often is): as it is
 *	map_host_loopback	127.0.0.1 or ::1; if that address is the
 *				gateway's, so does our link-local one
 *	map_guest_addr		the host's own address
 *	our link-local, and a dns_forward that is link-local
 *				nowhere, nothing is behind them
 *	others			as they are, from outbound_addr
 *
 * Without map_host_loopback the gateway takes its part, unless it may not.
 *
 * Who the guest sees, when the host's side dials a forwarded port:
 *
 *	loopback		map_host_loopback, else the gateway, else our
 *				link-local address
 *	the guest's own address	map_guest_addr, else as loopback
 *	others			as they are
 *
 * and to which of the guest's addresses it goes: to the known one (guest.c), link-
 * local for a link-local source, else global. In pasta what comes from loopback
 * bypasses the tap, to the same address; with host_lo_to_ns_lo, or without a tap and
 * an address, to the loopback address that was dialled.
 */

#include "fwd.h"

#include <netinet/in.h>
#include <string.h>

enum { PORT_DNS = 53, PORT_DNS_TLS = 853 };	/* RFC 1035, RFC 7858 */

static const struct hostnet_ip *family(const struct hostnet *net,
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

static union inany unspecified(bool v4)
{
	const struct in_addr any4 = { .s_addr = htonl(INADDR_ANY) };

	return v4 ? inany_from_v4(any4) : inany_from_v6(&in6addr_any);
}

/* Does the guest mean the host's loopback with @dst? */
static bool reaches_loopback(const struct conf *c, const struct hostnet *net,
			     const union inany *dst)
{
	const struct hostnet_ip *ip = family(net, dst);

	if (is(&ip->map_host_loopback, dst))
		return true;
	if (inany_is_set(&ip->map_host_loopback)) {
		/* The gateway was named: so is its link-local address */
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
 * fwd_is_ours() - Is this an address that we play the owner of?
 * @c:		Configuration
 * @net:	Network of the host
 * @a:		Address on the tap side
 */
bool fwd_is_ours(const struct conf *c, const struct hostnet *net,
		 const union inany *a)
{
	const struct hostnet_ip *ip = family(net, a);

	return is(&ip->gw, a) || is(&ip->our_ll, a) ||
	       is(&ip->map_host_loopback, a) || is(&ip->map_guest_addr, a) ||
	       is(&asked(c, a)->dns_forward, a);
}

/**
 * fwd_is_guests() - Is this an address of the guest, assigned or known?
 * @net:	Network of the host
 * @g:		What is known about the guest
 * @a:		Address on the tap side
 */
bool fwd_is_guests(const struct hostnet *net, const struct guest *g,
		   const union inany *a)
{
	if (is(&family(net, a)->addr, a))
		return true;
	if (inany_is_v4(a))
		return is(&g->addr4, a);
	return is(&g->addr6, a) || is(&g->addr6_ll, a);
}

/**
 * fwd_is_broadcast() - Limited broadcast, or that of the guest's own subnet
 * @net:	Network of the host
 * @a:		Destination on the tap side
 *
 * If the guest was given that address, it is the address of one host.
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

/* One host, that may send, and that a socket of ours may be connected to? */
static bool is_peer(const struct hostnet *net, const union inany *a)
{
	return !inany_is_unspecified(a) && !inany_is_loopback(a) &&
	       !inany_is_multicast(a) && !fwd_is_broadcast(net, a);
}

/* What a query to the stand-in for our loopback is for */
static const union inany *dns_of_loopback(const struct dns *d, bool v4)
{
	return v4 ? &d->via4 : &d->via6;
}

/* What a query to dns_forward is for, as the table at the top says; unset: nobody */
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

/* Addresses of ours that lead nowhere, or only on some ports */
static bool is_dead_end(const struct conf *c, const struct hostnet *net,
			const union inany *dst)
{
	return is(&family(net, dst)->our_ll, dst) ||
	       (is(&asked(c, dst)->dns_forward, dst) &&
		inany_is_linklocal(dst));
}

/* Whom to dial for @dst, as the table at the top says; unset: nobody */
static union inany translate(const struct conf *c, const struct hostnet *net,
			     const struct dns *d, bool dns,
			     const union inany *dst)
{
	const struct hostnet_ip *ip = family(net, dst);
	const union inany unset = { 0 };
	bool v4 = inany_is_v4(dst);

	if (dns && is(&asked(c, dst)->dns_forward, dst))
		return *dns_of_forward(c, net, d, v4);
	if (reaches_loopback(c, net, dst)) {
		const union inany *via = dns_of_loopback(d, v4);

		return dns && inany_is_set(via) ? *via : loopback(v4);
	}
	if (is(&ip->map_guest_addr, dst))
		return ip->host_addr;
	return is_dead_end(c, net, dst) ? unset : *dst;
}

/* What to bind to reach @peer; unspecified: the kernel is to choose */
static union inany source_for(const struct conf *c, const union inany *peer)
{
	const struct conf_ip *ip = asked(c, peer);
	bool v4 = inany_is_v4(peer);

	if (inany_is_loopback(peer))
		return loopback(v4);
	return inany_is_set(&ip->outbound_addr) ? ip->outbound_addr :
						  unspecified(v4);
}

/**
 * fwd_from_tap() - Host side of a flow that the guest starts
 * @c:		Configuration
 * @net:	Network of the host
 * @d:		Name servers
 * @proto:	IPPROTO_*
 * @tap:	Tap side: the guest is the endpoint, what it dialled is ours
 * @host:	Filled in: whom to connect to (endpoint), what to bind (ours: the
 *		address is unspecified where the kernel is to choose it, the port
 *		is the guest's, a wish)
 *
 * Return: false if this goes nowhere: a family that is off, no single host, a
 * port that can't be dialled; the guest's own loopback never is the host's
 */
bool fwd_from_tap(const struct conf *c, const struct hostnet *net,
		  const struct dns *d, uint8_t proto,
		  const struct flowside *tap, struct flowside *host)
{
	bool ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP;

	if (!family(net, &tap->oaddr)->enabled ||
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

/* fwd_port() - The port of @r's target that belongs to @port, one of its own */
uint16_t fwd_port(const struct fwd_rule *r, uint16_t port)
{
	return r->to + (port - r->first);
}

/* Where the guest is reached, by other than link-local addresses */
static union inany known_addr(const struct hostnet *net, const struct guest *g,
			      bool v4)
{
	const union inany *known = v4 ? &g->addr4 : &g->addr6;

	if (inany_is_set(known))
		return *known;
	return v4 ? net->ip4.addr : net->ip6.addr;
}

/* Where in the namespace a connection from our loopback goes */
static enum pif to_splice(const struct conf *c, const struct hostnet *net,
			  const struct guest *g, const struct flowside *host,
			  struct flowside *tgt)
{
	const struct hostnet_ip *ip = family(net, &host->eaddr);
	bool v4 = inany_is_v4(&host->eaddr);

	tgt->oaddr = unspecified(v4);
	tgt->oport = 0;
	/* Without a tap, loopback may be all there is */
	if (!c->host_lo_to_ns_lo &&
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
		tgt->oaddr = unspecified(!v4);
	}
	return inany_is_set(&tgt->eaddr) ? PIF_SPLICE : PIF_NONE;
}

/* What the guest is to take @peer for; unset: there is no address for it */
static union inany shown_to_guest(const struct hostnet *net,
				  const struct guest *g,
				  const union inany *peer)
{
	const struct hostnet_ip *ip = family(net, peer);
	bool own = fwd_is_guests(net, g, peer);

	if (!own && !inany_is_loopback(peer))
		return *peer;
	if (own && inany_is_set(&ip->map_guest_addr))
		return ip->map_guest_addr;
	if (inany_is_set(&ip->map_host_loopback))
		return ip->map_host_loopback;
	return inany_is_set(&ip->gw) ? ip->gw : ip->our_ll;
}

/**
 * fwd_to_guest() - Source to show to the guest for a datagram it did not ask for
 * @c:		Configuration
 * @net:	Network of the host
 * @d:		Name servers
 * @g:		What is known about the guest
 * @peer:	Address of the sender
 * @shown:	Filled in
 *
 * The host's own senders are shown by an address that leads back to the host,
 * if there is one.
 *
 * Return: false if the guest is not to get it
 */
bool fwd_to_guest(const struct conf *c, const struct hostnet *net,
		  const struct dns *d, const struct guest *g,
		  const union inany *peer, union inany *shown)
{
	union inany back;

	if (!family(net, peer)->enabled || c->splice_only ||
	    (!inany_is_loopback(peer) && !is_peer(net, peer)))
		return false;
	*shown = shown_to_guest(net, g, peer);
	if (!inany_is_set(shown) || inany_equals(shown, peer))
		return inany_is_set(shown);
	back = translate(c, net, d, false, shown);
	return inany_is_set(&back) && !inany_equals(&back, shown);
}

/* The guest's address to deliver to, for what seems to come from @src */
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
 * @g:		What is known about the guest
 * @bypass:	The namespace can be reached past the tap at the moment
 * @r:		Rule of the socket
 * @host:	Host side: the peer is the endpoint, what it dialled is ours; that
 *		address may be unset, where it is not known
 * @tgt:	Filled in. PIF_TAP: the guest is the endpoint, ours is whom it
 *		takes the peer for. PIF_SPLICE: whom to connect to (endpoint) in
 *		the namespace, from any address and port
 *
 * Return: where @tgt is; PIF_NONE if this goes nowhere: a family that is off, a
 * source that can't be, no address on the other side
 */
enum pif fwd_from_host(const struct conf *c, const struct hostnet *net,
		       const struct guest *g, bool bypass,
		       const struct fwd_rule *r, const struct flowside *host,
		       struct flowside *tgt)
{
	const union inany *peer = &host->eaddr;
	bool local = inany_is_loopback(peer);

	if (!family(net, peer)->enabled || !host->eport ||
	    (!local && !is_peer(net, peer)))
		return PIF_NONE;

	tgt->eport = fwd_port(r, host->oport);
	if (c->mode == MODE_PASTA && !c->no_splice && bypass && local)
		return to_splice(c, net, g, host, tgt);
	if (c->splice_only)
		return PIF_NONE;

	tgt->oaddr = shown_to_guest(net, g, peer);
	tgt->oport = host->eport;
	if (!inany_is_set(&tgt->oaddr))
		return PIF_NONE;
	tgt->eaddr = guest_for(net, g, &tgt->oaddr);
	return inany_is_set(&tgt->eaddr) ? PIF_TAP : PIF_NONE;
}

/*
 * What the host is to be dialled by for @dialled, an address of the namespace.
 * Its loopback is ours. Others are the host's as well where they were copied;
 * where they were not, a stranger might have them, and so is a link-local one,
 * which never was.
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
 * @ns:		Namespace's side: a program in there is the endpoint, what it
 *		dialled is ours; that address may be unset
 * @host:	Filled in: whom to connect to (endpoint), what to bind (ours, any
 *		port)
 *
 * Return: false if this goes nowhere: a family that is off, no single host
 */
bool fwd_from_ns(const struct conf *c, const struct hostnet *net,
		 const struct fwd_rule *r, const struct flowside *ns,
		 struct flowside *host)
{
	bool v4 = inany_is_v4(&ns->eaddr);

	if (!family(net, &ns->eaddr)->enabled ||
	    inany_is_multicast(&ns->oaddr) ||
	    fwd_is_broadcast(net, &ns->oaddr) ||
	    (inany_is_set(&ns->oaddr) && inany_is_v4(&ns->oaddr) != v4))
		return false;

	host->eaddr = host_for(c, net, &ns->oaddr, v4);
	host->eport = fwd_port(r, ns->oport);
	host->oaddr = inany_is_loopback(&host->eaddr) ? loopback(v4) :
							unspecified(v4);
	host->oport = 0;
	return true;
}

static bool past_tap(const struct conf *c, const struct hostnet *net,
		     const struct guest *g, const struct fwd_rule *r,
		     const struct flowside *ini, struct flowside *tgt)
{
	*tgt = (struct flowside){ 0 };
	return r->from_ns ? fwd_from_ns(c, net, r, ini, tgt) :
			    fwd_from_host(c, net, g, true, r, ini, tgt) ==
			    PIF_SPLICE;
}

/**
 * fwd_targets() - Whom to try, one after the other, where a name for loopback led
 * @c:		Configuration
 * @net:	Network of the host
 * @g:		What is known about the guest
 * @r:		Rule of the socket
 * @ini:	Side of who dialled: PIF_HOST, or PIF_SPLICE by @r
 * @tgt:	Filled in: where it goes, past the tap; then, in case nobody listens
 *		there, where 127.0.0.1 or ::1 of the same and of the other family go
 *
 * Our socket takes connections to all loopback addresses, of both families, before it
 * is known which one the server has; so a client finds no reason to try another one.
 *
 * Return: how many, 0 if this does not go past the tap
 */
unsigned fwd_targets(const struct conf *c, const struct hostnet *net,
		     const struct guest *g, const struct fwd_rule *r,
		     const struct flowside *ini,
		     struct flowside tgt[FWD_TARGETS])
{
	bool v4 = inany_is_v4(&ini->oaddr);
	struct flowside lo = *ini;
	unsigned n = 1, k;

	if (!past_tap(c, net, g, r, ini, &tgt[0]))
		return 0;
	if (!inany_is_loopback(&ini->oaddr) || !inany_is_loopback(&ini->eaddr))
		return 1;
	for (k = 0; k < 2; k++) {
		lo.oaddr = lo.eaddr = loopback(k ? !v4 : v4);
		if (past_tap(c, net, g, r, &lo, &tgt[n]) &&
		    !inany_equals(&tgt[n].eaddr, &tgt[0].eaddr))
			n++;
	}
	return n;
}

/**
 * fwd_scope() - Interface by which an address on the host's side is reached
 * @net:	Network of the host
 * @d:		Name servers
 * @a:		Address
 *
 * Return: its index for link-local IPv6; 0: the routes tell
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
 * fwd_error_src() - Who tells the guest about an error of this flow?
 * @net:	Network of the host
 * @g:		What is known about the guest
 * @tap, @host:	The two sides of the flow
 * @offender:	Who told us, an address on the host side; may be unset
 *
 * An error from the peer comes from whom the guest dialled. One that the host
 * made itself has its own address, which may be the guest's too, or loopback:
 * these come from the gateway, or again from whom the guest dialled.
 *
 * Return: source address for the ICMP error, one of those handed in
 */
const union inany *fwd_error_src(const struct hostnet *net,
				 const struct guest *g,
				 const struct flowside *tap,
				 const struct flowside *host,
				 const union inany *offender)
{
	const struct hostnet_ip *ip = family(net, &tap->oaddr);

	if (inany_equals(offender, &host->eaddr))
		return &tap->oaddr;
	if (!inany_is_unspecified(offender) && !inany_is_loopback(offender) &&
	    inany_is_v4(offender) == inany_is_v4(&tap->oaddr) &&
	    !fwd_is_guests(net, g, offender))
		return offender;
	if (inany_is_set(&ip->gw))
		return &ip->gw;
	if (inany_is_set(&ip->our_ll))
		return &ip->our_ll;
	return &tap->oaddr;
}
