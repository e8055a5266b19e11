/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_port.c - UDP flows through the tap, and the host sockets that they share
 *
 * UDP has two kinds of entries in the flow table:
 *
 *	port	a host socket that is not connected: either of one address and port
 *		of the guest, bound to the same port number if that is free, or a
 *		listening socket of a forwarding rule
 *	peer	one address and port of the guest and one peer, using a port
 *
 * So the source port is the same for all destinations (RFC 4787, REQ-1), and flows hold
 * no descriptors. Datagrams of the guest from a port that a rule leads to are sent by the
 * listening socket of that rule.
 *
 * The tap side of a port's entry has no address of ours; in place of our port it has the
 * class of the socket. Sockets of another class are bound to another address or
 * interface, or are of another family than the guest's address (name servers, see
 * fwd.c). The host side has no peer. The entry of a listening socket has the descriptor
 * in place of the peer, and is found by it.
 *
 * A port has a list of its flows. Whatever ends the port ends them with it, so the port
 * of a flow is always there.
 *
 * Entries expire (RFC 4787, REQ-5, 6) after 60 s without datagrams, or 180 s once
 * datagrams went both ways; a question to a name server after 15 s. Traffic does not
 * touch the timer: when it fires, the time of the last datagram decides. A port lives as
 * long as any of its flows. If entries or descriptors run out, flow.c chooses the entry to
 * evict.
 */

#include "udp_port.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "frame.h"
#include "fwd.h"
#include "listen.h"
#include "log.h"
#include "udp.h"

#define TIMEOUT_DNS_MS		15000
#define TIMEOUT_ONE_WAY_MS	60000
#define TIMEOUT_MS		180000

/* Classes of sockets, bits; from CLASS_ALT on: a number */
enum { CLASS_LOCAL = 1, CLASS_LOOPBACK = 2, CLASS_FAMILY = 4, CLASS_ALT = 8 };

static const struct conf_ip *udp_family(const struct udp *u, bool v4)
{
	return v4 ? &u->conf->ip4 : &u->conf->ip6;
}

/* Life ----------------------------------------------------------------------- */

/* udp_deadline() - Time at which an entry expires without further datagrams, ms */
uint64_t udp_deadline(struct flow *f)
{
	const struct udp_life *l = udp_life(f);

	if (l->dns)
		return f->last_ms + TIMEOUT_DNS_MS;
	return f->last_ms +
	       (l->seen == SEEN_BOTH ? TIMEOUT_MS : TIMEOUT_ONE_WAY_MS);
}

static void touch(const struct udp *u, struct flow *f, uint8_t seen)
{
	struct udp_life *l = udp_life(f);

	f->last_ms = u->loop->now_ms;
	l->seen |= seen;
	if (l->seen == SEEN_BOTH)
		flow_set_rank(u->flows, f, FLOW_ANSWERED);
}

/**
 * udp_touch() - Note and count datagrams in a row between the same two ends
 * @u:		UDP
 * @port:	Port of the datagrams
 * @f:		Flow of the datagrams, NULL: none
 * @seen:	SEEN_FROM_HOST or SEEN_FROM_GUEST
 * @bytes:	Payload
 */
void udp_touch(const struct udp *u, struct flow *port, struct flow *f,
	       uint8_t seen, size_t bytes)
{
	unsigned dir = seen == SEEN_FROM_HOST ? TO_GUEST : FROM_GUEST;

	touch(u, port, seen);
	if (!f) {
		u->flows->bytes[dir] += bytes;
		return;
	}
	touch(u, f, seen);
	flow_count(u->flows, f, dir, bytes, u->loop->now_ms);
}

/**
 * udp_port_block() - Do not read from a port until there is room in the tap
 */
void udp_port_block(struct udp *u, struct flow *port)
{
	struct udp_port *p = udp_port(port);

	if (port->list)
		return;
	flow_list_push(u->flows, &u->blocked, port);
	loop_mod(u->loop, p->sock.fd, 0, p->watch);
}

/**
 * udp_port_unblock_all() - Read again, since there is room in the tap
 *
 * Sockets that have data report that at once.
 */
void udp_port_unblock_all(struct udp *u)
{
	struct flow *port;

	while ((port = flow_list_pop(u->flows, &u->blocked)))
		loop_mod(u->loop, udp_port(port)->sock.fd, EPOLLIN,
			 udp_port(port)->watch);
}

/* Close a port without flows. A listening socket stays open, and is watched again */
/* #syscalls close */
static void port_close(struct udp *u, struct flow *port)
{
	struct udp_port *p = udp_port(port);

	if (!p->rule)
		close(p->sock.fd);	/* which removes it from epoll */
	else if (port->list && udp_shared_is_there(&p->sock))
		loop_mod(u->loop, p->sock.fd, EPOLLIN, p->watch);
	flow_free(u->flows, u->loop, port);
}

static void peer_end(struct udp *u, struct flow *f, const char *why)
{
	char s[FLOW_STRLEN];

	debug("%s: closed, %s", flow_str(u->flows, f, s), why);
	flow_free(u->flows, u->loop, f);
}

/**
 * udp_end() - End a flow, or a port and its flows
 * @u:		UDP
 * @f:		The entry
 * @why:	Reason, for the log
 */
void udp_end(struct udp *u, struct flow *f, const char *why)
{
	struct flow *its;

	if (udp_life(f)->kind == UDP_PEER) {
		peer_end(u, f, why);
		return;
	}
	while ((its = flow_list_pop(u->flows, &udp_port(f)->flows)))
		peer_end(u, its, "its port ends");
	debug("UDP: port %u: closed, %s", udp_port(f)->number, why);
	port_close(u, f);
}

/* Entries -------------------------------------------------------------------- */

/* Arm the timer of a new entry */
static void udp_entry_start(struct udp *u, struct flow *f)
{
	char s[FLOW_STRLEN];

	wheel_arm(&u->loop->wheel, &f->timer, udp_deadline(f));
	if (udp_life(f)->kind == UDP_PEER)
		debug("%s: new", flow_str(u->flows, f, s));
}

/* Ports ---------------------------------------------------------------------- */

static uint16_t port_class(const struct udp *u, const struct flowside *tap,
			   const struct flowside *host, unsigned alt)
{
	const struct conf_ip *ip = udp_family(u, inany_is_v4(&host->eaddr));
	unsigned class = alt * CLASS_ALT;

	if (ip->outbound_if[0] && hostsock_is_local(u->net, &host->eaddr))
		class |= CLASS_LOCAL;
	if (inany_is_set(&ip->outbound_addr) && inany_is_loopback(&host->oaddr))
		class |= CLASS_LOOPBACK;
	if (inany_is_v4(&tap->eaddr) != inany_is_v4(&host->eaddr))
		class |= CLASS_FAMILY;
	return (uint16_t)class;
}

/* Make a socket for a port of the guest; evict another port if descriptors run out */
static int port_socket(struct udp *u, const struct flowside *host,
		      const union inany *addr, uint16_t *port)
{
	uint16_t wish = *port;
	int fd;

	if (!flow_make_room(u->flows, FLOW_DATAGRAM, 1, u->loop->now_ms))
		return -ENOSPC;
	fd = udp_sock_port(u->conf, u->net, &host->eaddr, addr, port);
	if (fd >= 0 || (fd != -EMFILE && fd != -ENFILE) ||
	    !flow_evict(u->flows, FLOW_DATAGRAM, u->loop->now_ms))
		return fd;
	*port = wish;
	return udp_sock_port(u->conf, u->net, &host->eaddr, addr, port);
}

static void port_set(struct flow *f, int fd, uint16_t number)
{
	struct udp_port *p = udp_port(f);

	p->life.kind = UDP_PORT;
	udp_shared_set(&p->sock, fd);
	flow_list_init(&p->flows);
	p->number = number;
	p->want = 1;
	p->gso_many = UINT16_MAX;
}

/* #syscalls close */
static struct flow *port_new(struct udp *u, const struct flowside *key,
			     const struct flowside *host, bool alt, int *error)
{
	const union inany any = inany_unspecified(inany_is_v4(&host->eaddr));
	const struct conf_ip *ip = udp_family(u, inany_is_v4(&host->eaddr));
	struct flow_spec spec = {
		.kind = REF_UDP, .proto = IPPROTO_UDP, .class = FLOW_DATAGRAM,
		.fds = 1, .pif = { PIF_TAP, PIF_HOST }, .side[INI] = *key,
		.side[TGT] = {
			.oaddr = inany_is_set(&ip->outbound_addr) ? host->oaddr :
								    any,
			.oport = alt ? 0 : key->eport,
			.eaddr = any,
		},
		.find = FLOW_INI | FLOW_TGT, .shared = true,
	};
	struct flowside *side = &spec.side[TGT];
	int fd = port_socket(u, host, &side->oaddr, &side->oport), rc;
	struct flow *f = NULL;
	struct udp_port *p;

	if (fd >= 0)
		f = flow_start(u->flows, &spec, u->loop->now_ms);
	*error = fd < 0 ? -fd : ENOSPC;
	if (!f) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	port_set(f, fd, side->oport);
	p = udp_port(f);
	p->life.dns = host->eport == UDP_PORT_DNS;
	p->rx_v4 = inany_is_v4(&key->eaddr);
	f->bound = FLOW_TGT;
	p->watch = flow_ref(f, TGT);
	rc = loop_add(u->loop, fd, EPOLLIN, p->watch);
	if (rc) {
		*error = -rc;
		port_close(u, f);
		return NULL;
	}
	udp_entry_start(u, f);
	return f;
}

/**
 * udp_port_is_at() - Is a socket of one of the guest's ports bound to this address?
 * @u:		UDP
 * @addr:	Address
 * @scope:	Interface of a link-local address
 * @number:	Port
 */
bool udp_port_is_at(struct udp *u, const union inany *addr, unsigned scope,
		    uint16_t number)
{
	struct flowside side = {
		.oaddr = inany_unspecified(inany_is_v4(addr)), .oport = number,
		.eaddr = inany_unspecified(inany_is_v4(addr)),
	};
	bool bound = flow_lookup(u->flows, IPPROTO_UDP, PIF_HOST, &side, NULL);

	if (!bound) {
		side.oaddr = *addr;
		bound = flow_lookup(u->flows, IPPROTO_UDP, PIF_HOST, &side,
				    NULL);
	}
	return bound && udp_sock_is_own(addr, scope);
}

/* Can a listening socket of this rule reach the peer? */
static bool listener_reaches(const struct udp *u, const struct fwd_rule *r,
			     const struct flowside *host)
{
	const struct conf_ip *ip = udp_family(u, inany_is_v4(&host->eaddr));
	bool local = hostsock_is_local(u->net, &host->eaddr);

	if (strcmp(r->ifname, local ? "" : ip->outbound_if))
		return false;
	if (!inany_is_set(&r->addr))
		return true;
	if (inany_is_v4(&r->addr) != inany_is_v4(&host->eaddr))
		return false;
	if (!inany_is_unspecified(&host->oaddr))
		return inany_equals(&r->addr, &host->oaddr);
	return !inany_is_loopback(&r->addr);
}

/* Find the listening socket of a rule and a port, for a family; NULL: none */
static struct flow *listener_of(struct udp *u, const struct fwd_rule *r,
				uint16_t port, bool v4)
{
	uint32_t i = LISTEN_MAX;
	struct flow *f;

	while ((i = listen_find(u->listen, r, port, i)) != LISTEN_MAX) {
		f = udp_port_listener(u, listen_at(u->listen, i)->fd, r, port,
				      i);
		if (f && (v4 ? udp_port(f)->sock.v4 : udp_port(f)->sock.v6))
			return f;
	}
	return NULL;
}

/* Does a rule lead to this port of the guest, and from which one of the host? */
static bool leads_to(const struct udp *u, const struct fwd_rule *r,
		     const struct flowside *tap, uint16_t *port)
{
	*port = (uint16_t)(r->first + (tap->eport - r->to));
	return r->proto == IPPROTO_UDP && !r->from_ns && tap->eport >= r->to &&
	       *port >= r->first && *port <= r->last &&
	       (inany_is_set(&r->to_addr) ?
		inany_equals(&r->to_addr, &tap->eaddr) :
		fwd_is_guests(u->net, u->guest, &tap->eaddr));
}

/* Find the listening socket of a rule that leads to the guest's port, NULL: none */
static struct flow *port_of_rule(struct udp *u, const struct flowside *tap,
				 const struct flowside *host)
{
	const struct fwd_rule *r = NULL;
	struct flow *f = NULL;
	uint16_t port;

	while (u->listen && !f && (r = rules_next(&u->listen->rules, r))) {
		if (leads_to(u, r, tap, &port) && listener_reaches(u, r, host))
			f = listener_of(u, r, port, inany_is_v4(&host->eaddr));
	}
	return f;
}

/**
 * udp_port_get() - Get the port to send the guest's datagrams by
 * @u:		UDP
 * @tap:	Tap side: the guest is the endpoint
 * @host:	Host side, by fwd_from_tap(); the peer is unspecified for multicast
 *		and broadcast
 * @alt:	0: the port with the guest's number; else one more port of any number
 * @error:	Set to a positive errno on failure
 *
 * Return: the port, NULL on failure
 */
struct flow *udp_port_get(struct udp *u, const struct flowside *tap,
			  const struct flowside *host, unsigned alt,
			  int *error)
{
	const struct flowside key = {
		.oaddr = inany_unspecified(inany_is_v4(&tap->eaddr)),
		.oport = port_class(u, tap, host, alt),
		.eaddr = tap->eaddr, .eport = tap->eport,
	};
	struct flow *f;

	f = flow_lookup(u->flows, IPPROTO_UDP, PIF_TAP, &key, NULL);
	if (!f && !alt)
		f = port_of_rule(u, tap, host);
	if (!f)
		f = port_new(u, &key, host, alt, error);
	if (f && !udp_port(f)->bulk && host->eport != UDP_PORT_DNS) {
		udp_port(f)->bulk = true;
		udp_life(f)->dns = false;
		udp_sock_bulk(udp_port(f)->sock.fd, frame_can_uso(u->tap));
	}
	return f;
}

/* Set the rule of a listening socket: it can pass from a rule to the next one */
static void port_set_rule(const struct udp *u, struct flow *port,
			  const struct fwd_rule *r, uint32_t index)
{
	const struct listener *l = u->listen ? listen_at(u->listen, index) : NULL;

	udp_port(port)->rule = r;
	if (l)
		udp_port(port)->ref = listen_rule_ref(u->listen, l);
}

/**
 * udp_port_listener() - Get the port of a listening socket
 * @u:		UDP
 * @fd:		The socket
 * @r:		Rule of the socket
 * @port:	Port number that the socket is bound to
 * @index:	Index in the table of listening sockets
 *
 * Return: the port, NULL if there is no room for one
 */
struct flow *udp_port_listener(struct udp *u, int fd, const struct fwd_rule *r,
			       uint16_t port, uint32_t index)
{
	struct flow_spec spec = {
		.kind = REF_UDP, .proto = IPPROTO_UDP, .class = FLOW_DATAGRAM,
		.pif = { PIF_HOST, PIF_TAP }, .side[INI] = {
			/* No address of a peer starts with these bytes */
			.eaddr.u64 = { UINT64_MAX, (uint64_t)fd }, .eport = 1,
			.oaddr = r->addr, .oport = port,
		},
		.find = FLOW_INI, .shared = true,
	};
	struct udp_port *p;
	struct flow *f;

	f = flow_lookup(u->flows, IPPROTO_UDP, PIF_HOST, &spec.side[INI], NULL);
	if (f) {
		port_set_rule(u, f, r, index);
		return f;
	}
	f = flow_start(u->flows, &spec, u->loop->now_ms);
	if (!f)
		return NULL;
	port_set(f, fd, port);
	port_set_rule(u, f, r, index);
	p = udp_port(f);
	p->watch = (union epoll_ref){ .kind = REF_LISTEN, .index = index };
	p->bulk = true;
	p->want = UDP_RX_MSGS;
	p->rx_v4 = !p->sock.v6;
	udp_sock_bulk(fd, frame_can_uso(u->tap));
	if (p->sock.v4)
		hostsock_recv_all(fd, true);
	if (p->sock.v6)
		hostsock_recv_all(fd, false);
	udp_entry_start(u, f);
	return f;
}

/* Flows ---------------------------------------------------------------------- */

/* udp_port_of() - Get the port of a flow */
struct flow *udp_port_of(struct udp *u, struct flow *f)
{
	return flow_at(u->flows, udp_flow(f)->port);
}

/**
 * udp_flow_start() - Start a flow
 * @u:		UDP
 * @port:	Port of the flow
 * @ini, @ini_pif:	Initiating side: PIF_TAP or PIF_HOST
 * @tgt:	Target side
 * @scope:	Interface of a link-local peer
 *
 * Return: the flow, NULL if there is no room
 */
struct flow *udp_flow_start(struct udp *u, struct flow *port,
			    const struct flowside *ini, enum pif ini_pif,
			    const struct flowside *tgt, unsigned scope)
{
	struct flow *f = flow_start(u->flows, &(struct flow_spec){
		.kind = REF_UDP, .proto = IPPROTO_UDP, .class = FLOW_DATAGRAM,
		.pif = { ini_pif, ini_pif == PIF_TAP ? PIF_HOST : PIF_TAP },
		.side = { *ini, *tgt }, .find = FLOW_INI | FLOW_TGT,
		.keep = port,
		.rule = ini_pif == PIF_HOST ? udp_port(port)->ref :
					      (struct rule_ref){ 0 },
	}, u->loop->now_ms);

	if (!f)
		return NULL;
	*udp_flow(f) = (struct udp_flow){
		.life = { .kind = UDP_PEER,
			  .dns = flow_host_side(f)->eport == UDP_PORT_DNS },
		.port = port->timer.ref.index,
		.v4 = inany_is_v4(&flow_host_side(f)->eaddr), .gso_max = UINT16_MAX,
		.scope = scope,
	};
	flow_list_push(u->flows, &udp_port(port)->flows, f);
	udp_life(port)->dns &= udp_life(f)->dns;
	udp_entry_start(u, f);
	return f;
}

/* Find the flow of a host side, if it uses this port */
static struct flow *by_host_side(struct udp *u, struct flow *port,
				 const struct flowside *host)
{
	struct flow *f;

	f = flow_lookup(u->flows, IPPROTO_UDP, PIF_HOST, host, NULL);
	if (!f || !udp_through_tap(f) || udp_life(f)->kind != UDP_PEER)
		return NULL;
	return udp_port_of(u, f) == port ? f : NULL;
}

/**
 * udp_flow_by_peer() - Find the flow of a port and a peer
 * @u:		UDP
 * @port:	The port
 * @dst:	Our address, NULL or unset: unknown
 * @peer, @peer_port:	The peer
 *
 * Return: the flow, NULL if there is none
 */
struct flow *udp_flow_by_peer(struct udp *u, struct flow *port,
			      const union inany *dst, const union inany *peer,
			      uint16_t peer_port)
{
	struct udp_port *p = udp_port(port);
	struct flowside host = {
		.oport = p->number, .eaddr = *peer, .eport = peer_port,
	};
	bool exact = !p->rule || (dst && inany_is_set(dst));
	struct flow *f = NULL;

	if (exact) {
		host.oaddr = p->rule ? *dst : flow_host_side(port)->oaddr;
		f = flow_from_ref(u->flows, p->last);
		if (!f || !flowside_equals(flow_host_side(f), &host))
			f = by_host_side(u, port, &host);
	}
	if (!f && p->rule) {
		host.oaddr = inany_unspecified(inany_is_v4(peer));
		f = by_host_side(u, port, &host);
	}
	if (f)
		p->last = flow_ref(f, INI);
	return f;
}
