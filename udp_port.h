/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_port.h - UDP flows through the tap, and the host sockets that they share
 */

#ifndef UDP_PORT_H
#define UDP_PORT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "hostsock.h"
#include "loop.h"
#include "types.h"
#include "udp_rx.h"
#include "udp_sock.h"

struct udp;

/* Directions of the datagrams so far */
enum { SEEN_FROM_HOST = 1, SEEN_FROM_GUEST = 2, SEEN_BOTH = 3 };

/* Kinds of entries in the flow table */
enum udp_kind { UDP_PEER, UDP_PORT };

/**
 * struct udp_life - First part of both kinds of entries
 * @kind:	enum udp_kind
 * @seen:	SEEN_*
 * @dns:	All peers so far are name servers
 */
struct udp_life {
	uint8_t kind, seen;
	bool dns;
};

/**
 * struct udp_flow - UDP_PEER: one port of the guest and one peer
 * @port:	Index of the flow's port
 * @v4:		Family of the host side
 * @gso_max:	Largest datagram for UDP_SEGMENT, bytes
 * @scope:	Interface of a link-local peer
 */
struct udp_flow {
	struct udp_life life;
	uint32_t port;
	bool v4;
	uint16_t gso_max;
	unsigned scope;
};
static_assert(sizeof(struct udp_flow) <= FLOW_PRIV, "fits into a flow");

/**
 * struct udp_port - UDP_PORT: a host socket, not connected
 * @sock:	The socket; a listening one is not closed with this entry
 * @rule:	Rule of a listening socket, set by each event: afterwards it may be removed,
 *		so it is not looked into. NULL: the socket is of a port of the guest
 * @ref:	Number and generation of that rule
 * @watch:	Reference in the socket's events
 * @last:	Flow of the last datagram of a peer, which may have ended
 * @flows:	Flows that use the port
 * @number:	Port that the socket is bound to, host order
 * @bulk:	The socket's buffers were enlarged
 * @many:	Prepared for multicast and broadcast; index: IPv4
 * @many_ttl:	TTL set for multicast, 0: not yet; index: IPv4
 * @hops:	TTL and so on, as set; index: IPv4
 * @gso_many:	Largest multicast datagram for UDP_SEGMENT, bytes
 * @want:	Number of messages to read at the next event
 * @full:	Events in a row that had @want messages
 * @rx_v4:	Family of the last received datagram
 * @past_tap:	The last batch had datagrams that bypass the tap
 * @sizes:	Sizes of received datagrams
 */
struct udp_port {
	struct udp_life life;
	struct udp_shared sock;
	const struct fwd_rule *rule;
	struct rule_ref ref;
	union epoll_ref watch, last;
	struct flow_list flows;
	uint16_t number;
	bool bulk;
	bool many[2];
	uint8_t many_ttl[2];
	struct hostsock_hops hops[2];
	uint16_t gso_many;
	uint8_t want, full;
	bool rx_v4, past_tap;
	struct udp_rx_sizes sizes;
};
static_assert(sizeof(struct udp_port) <= FLOW_PRIV, "fits into a flow");

static inline struct udp_life *udp_life(struct flow *f)
{
	return (struct udp_life *)f->priv;
}

static inline struct udp_flow *udp_flow(struct flow *f)
{
	return (struct udp_flow *)f->priv;
}

static inline struct udp_port *udp_port(struct flow *f)
{
	return (struct udp_port *)f->priv;
}

static inline bool udp_through_tap(const struct flow *f)
{
	return f->timer.ref.kind == REF_UDP;
}

void udp_touch(const struct udp *u, struct flow *port, struct flow *f,
	       uint8_t seen, size_t bytes);
uint64_t udp_deadline(struct flow *f);
void udp_end(struct udp *u, struct flow *f, const char *why);

struct flow *udp_port_get(struct udp *u, const struct flowside *tap,
			  const struct flowside *host, unsigned alt,
			  int *error);
struct flow *udp_port_listener(struct udp *u, int fd, const struct fwd_rule *r,
			       uint16_t port, uint32_t index);
bool udp_port_is_at(struct udp *u, const union inany *addr, unsigned scope,
		    uint16_t number);
struct flow *udp_port_of(struct udp *u, struct flow *f);
void udp_port_block(struct udp *u, struct flow *port);
void udp_port_unblock_all(struct udp *u);

struct flow *udp_flow_start(struct udp *u, struct flow *port,
			    const struct flowside *ini, enum pif ini_pif,
			    const struct flowside *tgt, unsigned scope);
struct flow *udp_flow_by_peer(struct udp *u, struct flow *port,
			      const union inany *dst, const union inany *peer,
			      uint16_t peer_port);

#endif /* UDP_PORT_H */
