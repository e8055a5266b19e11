/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd.c - Where does this flow go
 *
 * Translation of addresses, all of it, as pure functions: no socket, no table,
 * no state. What the guest dials stays what is dialled on the host, with one
 * exception: the address that stands for the host's loopback (the gateway,
 * unless configured otherwise) becomes 127.0.0.1 or ::1.
 */

#include "fwd.h"

#include <netinet/in.h>
#include <string.h>

static const struct conf_ip *family(const struct conf *c, const union inany *a)
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
static bool reaches_loopback(const struct conf *c, const union inany *dst)
{
	const struct conf_ip *ip = family(c, dst);

	if (is(&ip->map_host_loopback, dst))
		return true;
	if (inany_is_set(&ip->map_host_loopback)) {
		/* The gateway was named: so is its link-local address */
		return is(&ip->gw, &ip->map_host_loopback) &&
		       is(&ip->our_ll, dst);
	}
	return !c->no_map_gw && (is(&ip->gw, dst) || is(&ip->our_ll, dst));
}

/**
 * fwd_is_ours() - Is this an address that we play the owner of?
 * @c:		Configuration
 * @a:		Address on the tap side
 */
bool fwd_is_ours(const struct conf *c, const union inany *a)
{
	const struct conf_ip *ip = family(c, a);

	return is(&ip->gw, a) || is(&ip->our_ll, a) ||
	       is(&ip->map_host_loopback, a);
}

/**
 * fwd_is_guests() - Is this an address of the guest, assigned or seen?
 * @c:		Configuration
 * @g:		What is known about the guest
 * @a:		Address on the tap side
 */
bool fwd_is_guests(const struct conf *c, const struct guest *g,
		   const union inany *a)
{
	if (is(&family(c, a)->addr, a))
		return true;
	if (inany_is_v4(a))
		return is(&g->addr4, a);
	return is(&g->addr6, a) || is(&g->addr6_ll, a);
}

/**
 * fwd_is_broadcast() - Limited broadcast, or that of the guest's own subnet
 * @c:		Configuration
 * @a:		Destination on the tap side
 */
bool fwd_is_broadcast(const struct conf *c, const union inany *a)
{
	uint32_t addr, own, host_bits;

	if (!inany_is_v4(a))
		return false;
	addr = ntohl(a->v4mapped.a4.s_addr);
	if (addr == INADDR_BROADCAST)
		return true;
	if (!inany_is_set(&c->ip4.addr) || !c->ip4.prefix_len ||
	    c->ip4.prefix_len > 30)	/* RFC 3021: none with 31 bits */
		return false;
	own = ntohl(c->ip4.addr.v4mapped.a4.s_addr);
	host_bits = UINT32_MAX >> c->ip4.prefix_len;
	return addr == (own | host_bits);
}

/* One host, that may send, and that a socket of ours may be connected to? */
static bool is_peer(const struct conf *c, const union inany *a)
{
	return !inany_is_unspecified(a) && !inany_is_loopback(a) &&
	       !inany_is_multicast(a) && !fwd_is_broadcast(c, a);
}

/**
 * fwd_from_tap() - Host side of a flow that the guest starts
 * @c:		Configuration
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
bool fwd_from_tap(const struct conf *c, const struct dns *d, uint8_t proto,
		  const struct flowside *tap, struct flowside *host)
{
	bool v4 = inany_is_v4(&tap->oaddr);
	bool ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP;

	(void)d;
	if (!family(c, &tap->oaddr)->enabled ||
	    v4 != inany_is_v4(&tap->eaddr) || !is_peer(c, &tap->oaddr) ||
	    !is_peer(c, &tap->eaddr) ||
	    (ports && !tap->oport))
		return false;

	host->eport = tap->oport;
	host->oport = tap->eport;
	if (reaches_loopback(c, &tap->oaddr)) {
		host->eaddr = host->oaddr = loopback(v4);
		return true;
	}
	if (is(&c->ip6.our_ll, &tap->oaddr))
		return false;		/* ours, and nothing behind it */

	host->eaddr = tap->oaddr;
	host->oaddr = unspecified(v4);
	return true;
}

/**
 * fwd_error_src() - Who tells the guest about an error of this flow?
 * @c:		Configuration
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
const union inany *fwd_error_src(const struct conf *c, const struct guest *g,
				 const struct flowside *tap,
				 const struct flowside *host,
				 const union inany *offender)
{
	const struct conf_ip *ip = family(c, &tap->oaddr);

	if (inany_equals(offender, &host->eaddr))
		return &tap->oaddr;
	if (!inany_is_unspecified(offender) && !inany_is_loopback(offender) &&
	    inany_is_v4(offender) == inany_is_v4(&tap->oaddr) &&
	    !fwd_is_guests(c, g, offender))
		return offender;
	if (inany_is_set(&ip->gw))
		return &ip->gw;
	if (inany_is_set(&ip->our_ll))
		return &ip->our_ll;
	return &tap->oaddr;
}
