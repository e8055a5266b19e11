/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp.c - UDP flows through the tap
 *
 * A flow is one address and port of the guest, and one of a peer. It starts with the
 * first datagram between them, from either side. Flows have no sockets of their own: all
 * flows of a port of the guest share one (udp_port.c), and flows to a forwarded port use
 * the listening socket.
 *
 * Any peer may send to a port of the guest (RFC 4787, 5: endpoint-independent
 * filtering), as on a host: servers answer from another port (TFTP) or another of their
 * addresses. Such a datagram keeps its source address, and starts a flow only if that
 * address has to be translated.
 *
 * Multicast and broadcast are sent by the same sockets, and need no flow. The guest
 * receives multicast to forwarded ports, in the groups that listen.c joins. This host
 * does not receive the guest's multicast, and DHCP never leaves.
 *
 * A guest may reach one peer by two addresses, for instance a name server by its own
 * address and by that of --dns-forward. When the peer answers, two flows of one port
 * can't be told apart: so the second flow gets a port of its own.
 *
 * Datagrams to an address of this host never come back by a socket of one of the guest's
 * own ports: if the port that the guest dials has such a socket, no other program can be
 * bound there, so the datagram is refused.
 *
 * Guest to host: udp_tx.c. Host to guest: udp_rx.c. If there is no room in the tap,
 * datagrams stay in the socket, even those behind them that would bypass the tap.
 *
 * Errors of the network and of the host become ICMP errors for the guest. The guest's
 * errors about delivered datagrams are not passed on: see icmperr.c.
 */

#include "udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>

#include "counters.h"
#include "fwd.h"
#include "hostsock.h"
#include "icmperr.h"
#include "log.h"
#include "loop.h"
#include "udp_port.h"
#include "udp_rx.h"
#include "udp_sock.h"
#include "udp_splice.h"
#include "udp_tx.h"
#include "wire.h"

#define WANT_MAX	64		/* messages read for one event */
#define ALTS_MAX	8		/* addresses that the guest may have for a peer */
#define NAMES_MAX	16		/* ports to try for a peer that is mapped */

/**
 * udp_init() - Start without flows
 * @u:		Zeroed
 * @conf, @guest, @dns, @flows, @tap, @loop, @io:	Kept
 * @splice, @listen:	Kept, NULL: none; may be initialised later
 */
void udp_init(struct udp *u, const struct conf *conf, const struct hostnet *net,
	      const struct guest *guest, const struct dns *dns,
	      struct flow_table *flows, struct tap *tap, struct loop *loop,
	      struct udp_io *io, struct udp_splice *splice,
	      const struct listen *listen)
{
	u->conf = conf;
	u->net = net;
	u->guest = guest;
	u->dns = dns;
	u->flows = flows;
	u->tap = tap;
	u->loop = loop;
	u->io = io;
	u->rx = (struct udp_rx){
		.conf = conf, .guest = guest, .tap = tap, .io = io,
	};
	u->splice = splice;
	u->listen = listen;
	flow_list_init(&u->blocked);
}

/* Guest to host -------------------------------------------------------------- */

static bool no_resources(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	       error == ENOMEM || error == ENOSPC;
}

/* Is this for our own services? DHCP clients get answers from us, not from the host */
static bool is_for_service(const struct udp *u, const struct flowside *tap,
			   bool to_many)
{
	switch (tap->oport) {
	case DHCP_PORT_SERVER: case DHCP_PORT_CLIENT:
	case DHCPV6_PORT_CLIENT: case DHCPV6_PORT_SERVER:
		return to_many || fwd_is_ours(u->conf, u->net, &tap->oaddr);
	default:
		return false;
	}
}

/* May this multicast or broadcast datagram leave? Not if a service of ours answers it or
 * its scope is node-local */
static bool may_leave(const struct udp *u, const struct flowside *tap)
{
	return (inany_is_v4(&tap->oaddr) ? u->net->ip4.enabled :
					   u->net->ip6.enabled) &&
	       tap->oport && !is_for_service(u, tap, true) &&
	       inany_is_v4(&tap->oaddr) == inany_is_v4(&tap->eaddr) &&
	       inany_is_unicast(&tap->eaddr) &&
	       !inany_is_loopback(&tap->eaddr) &&
	       !IN6_IS_ADDR_MC_NODELOCAL(&tap->oaddr.a6);
}

/* Tell the guest that the host refuses the first datagram of a flow */
static void udp_refuse(struct udp *u, const struct flowside *tap,
		   const struct flowside *host, const struct pkt *p, int error)
{
	struct icmperr e;

	if (no_resources(error)) {
		warn_limited_rc(error, "UDP: no resources for a new flow");
		return;
	}
	if (icmperr_from_errno(error, host, &e))
		icmperr_send_pkt(&e, u->tap, u->conf, u->net, u->guest, tap,
				 host, p);
}

/* Host side of a flow that uses a port: with the address that the datagrams of the peer
 * are sent to, if that is known */
static struct flowside side_at_port(struct flow *port,
				    const struct flowside *host)
{
	struct flowside s = *host;

	s.oport = udp_port(port)->number;
	if (!udp_port(port)->rule)
		s.oaddr = flow_host_side(port)->oaddr;
	return s;
}

/**
 * udp_flow_from_guest() - Start a flow by a datagram of the guest
 * @u:		UDP
 * @tap:	Tap side of the flow
 * @p:		First datagram
 *
 * Return: the flow; NULL on failure, after an ICMP error to the guest if one is due
 */
static struct flow *udp_flow_from_guest(struct udp *u, const struct flowside *tap,
				    const struct pkt *p)
{
	struct flow *f = NULL, *port;
	struct flowside host, side;
	int error = ECONNREFUSED;
	unsigned alt, scope;

	if (is_for_service(u, tap, false) ||
	    !fwd_from_tap(u->conf, u->net, u->dns, IPPROTO_UDP, tap, &host))
		return NULL;
	scope = fwd_scope(u->net, u->dns, &host.eaddr);
	alt = udp_port_is_at(u, &host.eaddr, scope, host.eport) ? ALTS_MAX : 0;
	for (; alt < ALTS_MAX; alt++) {
		port = udp_port_get(u, tap, &host, alt, &error);
		if (!port)
			break;
		if (udp_port(port)->number == host.eport &&
		    udp_port_is_at(u, &host.eaddr, scope, host.eport)) {
			udp_end(u, port, "the guest would dial itself");
			error = ECONNREFUSED;
			break;
		}
		side = side_at_port(port, &host);
		if (udp_flow_by_peer(u, port, &side.oaddr, &host.eaddr,
				     host.eport))
			continue;
		f = udp_flow_start(u, port, tap, PIF_TAP, &side, scope);
		error = ENOSPC;
		break;
	}
	if (!f)
		udp_refuse(u, tap, &host, p, error);
	return f;
}

/* Find or start the flow of a run, and fill in its way to the host; false if it can't
 * be sent */
static bool out_to_one(struct udp *u, const struct flowside *tap,
		       const struct pkt *p, struct udp_out *o)
{
	o->f = flow_lookup(u->flows, IPPROTO_UDP, PIF_TAP, tap, NULL);
	if (o->f && udp_life(o->f)->kind != UDP_PEER)
		return false;
	if (!o->f)
		o->f = udp_flow_from_guest(u, tap, p);
	if (!o->f)
		return false;
	o->port = udp_port_of(u, o->f);
	o->host = flow_host_side(o->f);
	o->dest = udp_shared_dest(&udp_port(o->port)->sock, o->host,
				  udp_flow(o->f)->scope);
	if (!udp_port(o->port)->rule)
		o->dest.src = NULL;	/* the socket is bound to that address */
	return true;
}

/* Fill in the way of multicast or broadcast to the host; false if it can't be sent. It
 * leaves by the interface that the user chose, to which the socket is bound, else by the
 * template interface */
static bool out_to_many(struct udp *u, const struct flowside *tap,
			struct flowside *host, struct udp_out *o)
{
	bool v4 = inany_is_v4(&tap->eaddr);
	const struct conf_ip *ip = v4 ? &u->conf->ip4 : &u->conf->ip6;
	const union inany any = inany_unspecified(v4);
	struct udp_port *port;
	unsigned ifindex;
	int error;

	if (!may_leave(u, tap))
		return false;
	*host = (struct flowside){
		.oaddr = inany_is_set(&ip->outbound_addr) ? ip->outbound_addr :
							    any,
		.eaddr = any,
	};
	o->port = udp_port_get(u, tap, host, 0, &error);
	if (!o->port)
		return false;
	port = udp_port(o->port);
	if (!port->many[v4])
		udp_sock_to_many(port->sock.fd, v4);
	port->many[v4] = true;

	host->eaddr = tap->oaddr;
	host->eport = tap->oport;
	o->host = host;
	ifindex = ip->outbound_if[0] ? 0 : v4 ? u->net->ip4.ifindex :
						u->net->ip6.ifindex;
	o->dest = udp_shared_dest(&port->sock, host, ifindex);
	o->dest.src = &host->oaddr;
	o->dest.ifindex = ifindex;
	return true;
}

/* Set TTL, TOS and "don't fragment" of the guest, for the family of @host */
static void set_hops(struct udp_port *port, const struct pkt *p,
		     const struct flowside *host, bool to_many)
{
	bool v4 = inany_is_v4(&host->eaddr);

	hostsock_set_hops(port->sock.fd, v4, &port->hops[v4], p->ttl, p->tos,
			  p->df);
	if (to_many && port->many_ttl[v4] != p->ttl) {
		udp_sock_set_many_ttl(port->sock.fd, v4, p->ttl);
		port->many_ttl[v4] = p->ttl;
	}
}

/* Send a run of datagrams. Return: how many were dropped */
static unsigned udp_input_run(struct udp *u, const struct pkt *p, unsigned n)
{
	const struct flowside tap = {
		.oaddr = p->dst, .oport = ntohs(p->udp.dport),
		.eaddr = p->src, .eport = ntohs(p->udp.sport),
	};
	bool to_many = inany_is_multicast(&p->dst) ||
		       fwd_is_broadcast(u->net, &p->dst);
	struct udp_out o = { .tap = &tap };
	struct flowside host;
	size_t bytes = 0;
	unsigned i;

	if (to_many ? !out_to_many(u, &tap, &host, &o) :
		      !out_to_one(u, &tap, p, &o))
		return n;
	for (i = 0; i < n; i++)
		bytes += p[i].payload.len;
	udp_touch(u, o.port, o.f, SEEN_FROM_GUEST, bytes);
	set_hops(udp_port(o.port), p, o.host, to_many);
	udp_tx_run(u, &o, p, n);
	return 0;
}

/**
 * udp_tap_input() - Send datagrams of the guest
 * @u:		UDP
 * @pkts:	Packets of kind PKT_UDP
 * @n:		Number of packets, at most TAP_RX_BATCH
 */
void udp_tap_input(struct udp *u, const struct pkt *pkts, unsigned n)
{
	unsigned i, run;

	if (u->conf->no_udp) {
		u->dropped += n;
		return;
	}
	for (i = 0; i < n; i += run) {
		run = udp_tx_run_len(&pkts[i], n - i);
		u->dropped += udp_input_run(u, &pkts[i], run);
	}
}

/* Host to guest -------------------------------------------------------------- */

/* Start a flow that leads back to a peer whose address is translated. False if the guest
 * already has a flow with another peer by that address and port: it would take this peer
 * for the other */
static bool udp_flow_from_stranger(struct udp *u, struct flow *port,
			       const struct udp_meta *m,
			       const struct flowside *tap)
{
	const struct flowside host = {
		.eaddr = m->src, .eport = m->sport,
	};
	struct flowside side = side_at_port(port, &host);
	struct flow *f;

	f = flow_lookup(u->flows, IPPROTO_UDP, PIF_TAP, tap, NULL);
	if (f)
		return inany_equals(&flow_host_side(f)->eaddr, &m->src);
	udp_flow_start(u, port, &side, PIF_HOST, tap, m->scope);
	return true;
}

/**
 * struct rx_run - Received messages in a row from one sender to one address
 * @m, @n:	The messages
 * @bytes:	Payload of all
 */
struct rx_run {
	const struct udp_meta *m;
	unsigned n;
	size_t bytes;
};

/* The run that begins with the @k-th message */
static struct rx_run run_at(const struct udp_rx_batch *b, unsigned k)
{
	struct rx_run r = { .m = &b->meta[k],
			    .n = udp_meta_run(&b->meta[k], b->got - k) };
	unsigned i;

	for (i = 0; i < r.n; i++)
		r.bytes += r.m[i].len;
	return r;
}

/* Set the tap side of a run to a port of the guest */
static void to_guest_port(struct udp *u, struct flow *port,
			  const struct rx_run *r, struct flowside *tap)
{
	const struct flowside *guest = flow_tap_side(port);
	const struct udp_meta *m = r->m;
	struct flow *f = udp_flow_by_peer(u, port, NULL, &m->src, m->sport);

	if (f) {
		*tap = *flow_tap_side(f);
	} else {
		if (!m->sport ||
		    udp_port_is_at(u, &m->src, m->scope, m->sport) ||
		    !fwd_to_guest(u->conf, u->net, u->dns, u->guest, &m->src,
				  &tap->oaddr) ||
		    inany_is_v4(&tap->oaddr) != inany_is_v4(&guest->eaddr)) {
			u->lost += r->n;
			return;
		}
		tap->oport = m->sport;
		tap->eaddr = guest->eaddr;
		tap->eport = guest->eport;
		if (!inany_equals(&tap->oaddr, &m->src) &&
		    !udp_flow_from_stranger(u, port, m, tap)) {
			tap->eaddr = (union inany){ 0 };
			u->lost += r->n;
			return;
		}
	}
	udp_touch(u, port, f, SEEN_FROM_HOST, r->bytes);
}

/* Is this the address of the flow's peer? */
static bool has_peer(const struct flow *f, const union inany *peer)
{
	return inany_equals(&flow_host_side(f)->eaddr, peer);
}

/* Set *@f to the flow with the same addresses and ports at the tap, and the same peer; or
 * to NULL. A flow by another listening socket ends: the peer uses this socket now. A flow
 * that the guest started by another socket stays: its answers will take it. If another
 * peer has this address and port at the tap, *@tap gets another port, as a NAT would
 * choose (RFC 4787, 4.2.1); false if none is free */
static bool same_at_tap(struct udp *u, const union inany *peer,
			struct flowside *tap, struct flow **f)
{
	unsigned low = tap->oport < 1024 ? 512 : 1024, tries;
	unsigned count = low == 512 ? 512 : 65536 - 1024;

	for (tries = 0; tries < NAMES_MAX; tries++) {
		*f = flow_lookup(u->flows, IPPROTO_UDP, PIF_TAP, tap, NULL);
		if (!*f)
			return true;
		if (has_peer(*f, peer) && (*f)->pif[INI] != PIF_TAP) {
			udp_end(u, *f, "its peer uses another port");
			*f = NULL;
			return true;
		}
		if (has_peer(*f, peer))
			return true;
		tap->oport = (uint16_t)(low + (tap->oport * 31421U + 6927) %
					      count);
	}
	*f = NULL;
	return false;
}

/* Hand over a run that bypasses the tap, from the @k-th message on */
static void hand_to_bypass(struct udp *u, struct flow *port,
			   const struct flowside *host,
			   const struct flowside *tgt,
			   const struct udp_rx_batch *b, unsigned k, unsigned n)
{
	const struct udp_port *p = udp_port(port);
	struct udp_data data[UDP_RX_MSGS];
	unsigned i;

	udp_port(port)->past_tap = true;
	udp_touch(u, port, NULL, SEEN_FROM_HOST, 0);
	for (i = 0; i < n; i++)
		data[i] = udp_data_of(&b->meta[k + i],
				      udp_rx_data(&u->rx, b, k + i));
	if (u->splice)
		udp_splice_from_host(u->splice, port, p->rule, p->ref,
				     p->sock.fd, host, tgt, b->meta[k].scope,
				     data, n);
}

/* Set the tap side of a run to a multicast group. It starts no flow: the guest's
 * answer does. Our own sockets don't receive each other's multicast. A rule with a target
 * address is for unicast alone */
static void to_group(struct udp *u, struct flow *port, const struct rx_run *r,
		     struct flowside *tap)
{
	const struct udp_port *p = udp_port(port);

	if (!r->m->sport || inany_is_set(&p->rule->to_addr) ||
	    !fwd_to_guest(u->conf, u->net, u->dns, u->guest, &r->m->src,
			  &tap->oaddr)) {
		u->lost += r->n;
		return;
	}
	tap->oport = r->m->sport;
	tap->eaddr = r->m->group;
	tap->eport = fwd_port(p->rule, p->number);
	udp_touch(u, port, NULL, SEEN_FROM_HOST, r->bytes);
}

/* Set the tap side of a run, from the @k-th message on, to a forwarded port, or hand it
 * over if it bypasses the tap */
static void to_forwarded(struct udp *u, struct flow *port,
			 struct udp_rx_batch *b, unsigned k,
			 const struct rx_run *r)
{
	const struct udp_port *p = udp_port(port);
	const struct udp_meta *m = r->m;
	const struct flowside host = {
		.oaddr = m->dst, .oport = p->number,
		.eaddr = m->src, .eport = m->sport,
	};
	struct flowside tgt;
	enum pif pif;
	struct flow *f;

	if (inany_is_set(&m->group)) {
		to_group(u, port, r, &b->side[k]);
		return;
	}
	f = udp_flow_by_peer(u, port, &m->dst, &m->src, m->sport);
	if (!f) {
		pif = fwd_from_host(u->conf, u->net, u->guest,
				    udp_splice_works(u->splice), p->rule,
				    &host, &tgt);
		if (pif == PIF_SPLICE) {
			hand_to_bypass(u, port, &host, &tgt, b, k, r->n);
			return;
		}
		if (pif == PIF_TAP && same_at_tap(u, &m->src, &tgt, &f) && !f)
			f = udp_flow_start(u, port, &host, PIF_HOST, &tgt,
					   m->scope);
	}
	if (!f) {
		u->lost += r->n;
		return;
	}
	b->side[k] = *flow_tap_side(f);
	udp_touch(u, port, f, SEEN_FROM_HOST, r->bytes);
}

/* Set the tap sides of received messages; messages in a row from one sender share it */
static void find_sides(struct udp *u, struct flow *port, struct udp_rx_batch *b)
{
	struct udp_port *p = udp_port(port);
	struct rx_run r;
	unsigned k, i;

	memset(b->side, 0, sizeof(b->side[0]) * b->got);
	for (k = 0; p->rule && k < b->got; k++)
		udp_meta_default_dst(&b->meta[k], &p->rule->addr);
	p->past_tap = false;
	for (k = 0; k < b->got; k += r.n) {
		r = run_at(b, k);
		if (p->rule)
			to_forwarded(u, port, b, k, &r);
		else
			to_guest_port(u, port, &r, &b->side[k]);
		for (i = 1; i < r.n; i++)
			b->side[k + i] = b->side[k];
	}
	for (k = b->got; k-- > 0; ) {
		if (inany_is_set(&b->side[k].eaddr)) {
			p->rx_v4 = inany_is_v4(&b->side[k].eaddr);
			break;
		}
	}
}

/* Read up to *@left messages by one call; false if there are no more, or no room */
static bool read_some(struct udp *u, struct flow *port, unsigned *left)
{
	struct udp_port *p = udp_port(port);
	struct udp_rx_batch b;
	int got;

	b.v4 = p->rx_v4;
	b.lend = !p->past_tap && !u->conf->splice_only;
	got = udp_rx_read(&u->rx, p->sock.fd, &p->sizes, *left, &b);
	if (got == -ENOBUFS)
		udp_port_block(u, port);
	else if (got < 0 && (got != -EAGAIN || p->rule))
		udp_tx_errors(u, port);
	if (got <= 0)
		return false;
	find_sides(u, port, &b);
	u->lost += udp_rx_deliver(&u->rx, &p->sizes, &b);
	*left -= (unsigned)got;
	return b.got == b.n;
}

/*
 * Read the messages of a port. Epoll is level-triggered, so leaving some unread loses
 * nothing, while a call that finds the queue empty is a waste. So ask for as many as there
 * were last time, and for more once that was too few twice.
 */
static void read_all(struct udp *u, struct flow *port)
{
	struct udp_port *p = udp_port(port);
	unsigned left = p->want;

	while (left && read_some(u, port, &left))
		;
	if (left) {
		p->want = left < p->want ? (uint8_t)(p->want - left) : 1;
		p->full = 0;
	} else if (++p->full == 2) {
		p->full = 0;
		if (p->want < WANT_MAX)
			p->want *= 2;
	}
}

/**
 * udp_sock_event() - Handle events of a socket
 * @u:		UDP
 * @port:	Port of the socket
 * @events:	EPOLLIN, EPOLLERR
 */
void udp_sock_event(void *ctx, struct flow *port, unsigned side,
		    uint32_t events)
{
	struct udp *u = ctx;

	(void)side;
	if (events & EPOLLERR)
		udp_tx_errors(u, port);
	if (events & EPOLLIN)
		read_all(u, port);
}

/**
 * udp_listen_event() - Handle datagrams or an error of a listening socket
 * @u:		UDP
 * @fd:		The socket; with IP_PKTINFO and IPV6_RECVPKTINFO, unless it is bound to
 *		one address
 * @r:		Rule of the socket
 * @number:	Port that the socket is bound to, host order
 * @index:	Index in the table of listening sockets
 */
void udp_listen_event(struct udp *u, int fd, const struct fwd_rule *r,
		      uint16_t number, uint32_t index)
{
	struct flow *port = udp_port_listener(u, fd, r, number, index);

	if (!port)
		u->lost += udp_sock_discard(fd);
	else if (port->list)	/* only an error can be why */
		udp_tx_errors(u, port);
	else
		read_all(u, port);
}

/**
 * udp_listener_gone() - End the flows of listening sockets that are closed
 * @u:		UDP
 */
void udp_listener_gone(struct udp *u)
{
	struct flow *f = NULL;

	while ((f = flow_next(u->flows, f)))
		if (udp_through_tap(f) && udp_life(f)->kind == UDP_PORT &&
		    udp_port(f)->rule && !udp_shared_is_there(&udp_port(f)->sock))
			udp_end(u, f, "it is not forwarded any more");
}

/**
 * udp_tap_writable() - Read again, since there is room in the tap
 * @u:		UDP
 */
void udp_tap_writable(struct udp *u)
{
	udp_port_unblock_all(u);
}

/**
 * udp_evict() - End a flow or a port to make room for others
 * @ctx:	UDP
 * @f:		The entry
 */
void udp_evict(void *ctx, struct flow *f)
{
	udp_end(ctx, f, "gives way to others");
}

/**
 * udp_kill() - End a flow on request
 * @ctx:	UDP
 * @f:		The flow, not a port
 *
 * If the guest has sent datagrams, it learns by ICMP that the port is unreachable. Its
 * next datagram begins another flow.
 *
 * Return: 0
 */
int udp_kill(void *ctx, struct flow *f)
{
	if (udp_life(f)->seen & SEEN_FROM_GUEST)
		udp_tx_refused(ctx, f);
	udp_end(ctx, f, "killed");
	return 0;
}

/**
 * udp_timer() - End an entry whose timer fired, unless there was traffic
 * @ctx:	UDP
 * @f:		The flow or port
 */
void udp_timer(void *ctx, struct flow *f)
{
	struct udp *u = ctx;
	uint64_t at_ms = udp_deadline(f);

	if (at_ms > u->loop->now_ms)
		wheel_arm(&u->loop->wheel, &f->timer, at_ms);
	else
		udp_end(u, f, "idle");
}

/**
 * udp_counters() - Datagrams that were not delivered, for --stats
 */
void udp_counters(const void *ctx, struct counters *c)
{
	const struct udp *u = ctx;

	c->title = "UDP";
	counters_add(c, "dropped from the guest", u->dropped);
	counters_add(c, "lost to it", u->lost);
}
