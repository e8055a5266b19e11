/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inbound.c - Connections and datagrams at listening sockets
 *
 * A connection is accepted at once and handed to the module that carries it: tcp.c
 * through the tap, or tcp_splice.c past it. The kernel completed the handshake before
 * we know about it. So a connection that leads nowhere ends with a reset, not with a
 * FIN, as if a server had answered.
 *
 * One turn accepts a limited number of connections from each socket. Events are
 * level-triggered, so the others follow in the next turn, and flows get their events
 * in between. Without room for another flow, or without descriptors, a listener is
 * paused for a while and connections wait in its backlog: polling it again and again
 * would take all our time. Whose connection it is shows only after accept(): if a peer
 * has more than others already, see flow_share.c, it gets a reset.
 *
 * Connections that wait at the socket of a removed rule are accepted before it is closed.
 */

#include "inbound.h"

#include <errno.h>
#include <sys/socket.h>

#include "counters.h"
#include "fwd.h"
#include "hostsock.h"
#include "input.h"
#include "listen_change.h"
#include "log.h"
#include "nshelper.h"
#include "tcp.h"
#include "tcp_splice.h"
#include "udp.h"
#include "udp_splice.h"

enum {
	ACCEPT_BATCH	= 32,		/* connections of a socket in one turn */
	PAUSE_MS	= 100,		/* for a listener, without descriptors */
	CONNECTION_FDS	= 2,		/* descriptors of a connection, at most */
};

static void inbound_refuse(struct inbound *b, int fd)
{
	hostsock_reset(fd);
	b->refused++;
}

/*
 * inbound_is_inside() - Did a program of the namespace itself connect?
 *
 * Listeners in the namespace lead to services on the host's loopback. Others that
 * can reach the namespace, like containers behind a bridge in there, may not use them.
 */
static bool inbound_is_inside(const struct inbound *b,
			      const struct flowside *ini,
			      const union sockaddr_inany *peer)
{
	unsigned scope = peer->sa.sa_family == AF_INET6 ?
			 peer->sin6.sin6_scope_id : 0;

	return nshelper_is_local(b->listen->nsh, &ini->eaddr, &ini->oaddr,
				 scope);
}

/* inbound_past_tap() - Hand a connection to tcp_splice.c */
static void inbound_past_tap(struct inbound *b, int fd,
			     const struct fwd_rule *r, struct rule_ref ref,
			     const struct flowside *ini)
{
	union inany other[FWD_TARGETS - 1] = { 0 };
	struct flowside tgt[FWD_TARGETS];
	unsigned n = fwd_targets(b->conf, b->net, b->guest, r, ini, tgt), i;

	if (!n) {
		inbound_refuse(b, fd);
		return;
	}
	for (i = 1; i < n; i++)
		other[i - 1] = tgt[i].eaddr;
	b->accepted++;
	tcp_splice_accepted(b->to.tcp_splice, fd, ref, r->from_ns, ini, &tgt[0],
			    other);
}

/* connection() - Decide where an accepted connection goes */
/* #syscalls getsockname */
static void connection(struct inbound *b, int fd, const struct listener *l,
		       const union sockaddr_inany *peer)
{
	const struct fwd_rule *r = listen_rule(b->listen, l);
	struct rule_ref ref = listen_rule_ref(b->listen, l);
	struct flowside ini, tgt = { 0 };
	union sockaddr_inany own;
	socklen_t len = sizeof(own);
	enum pif pif;

	if (getsockname(fd, &own.sa, &len) ||
	    !inany_from_sockaddr(&own, &ini.oaddr, &ini.oport) ||
	    !inany_from_sockaddr(peer, &ini.eaddr, &ini.eport)) {
		inbound_refuse(b, fd);
		return;
	}
	if (r->from_ns)
		pif = inbound_is_inside(b, &ini, peer) ? PIF_SPLICE : PIF_NONE;
	else
		pif = fwd_from_host(b->conf, b->net, b->guest,
				    nshelper_works(b->listen->nsh), r, &ini,
				    &tgt);

	if (pif == PIF_SPLICE) {
		inbound_past_tap(b, fd, r, ref, &ini);
	} else if (pif == PIF_TAP) {
		b->accepted++;
		/* If the answer is late, the retransmitted SYN gets through */
		if (!b->guest->mac_known)
			input_solicit_guest(b->to.input);
		tcp_accepted(b->to.tcp, fd, ref, &ini, &tgt);
	} else {
		b->foreign += r->from_ns;
		inbound_refuse(b, fd);
	}
}

/* Is this an error of one connection or its network, not of the listener? accept(2) */
static bool is_passing(int error)
{
	switch (error) {
	case EINTR: case ECONNABORTED: case EPERM: case EPROTO: case ENETDOWN:
	case ENOPROTOOPT: case EHOSTDOWN: case ENONET: case EHOSTUNREACH:
	case EOPNOTSUPP: case ENETUNREACH:
		return true;
	}
	return false;
}

static void pause_listener(struct inbound *b, uint32_t index, int error)
{
	warn_limited_rc(error, "Connections can't be accepted for now");
	listen_pause(b->listen, index);
	b->paused++;
	if (!timer_armed(&b->timer))
		wheel_arm(&b->loop->wheel, &b->timer,
			  b->loop->now_ms + PAUSE_MS);
}

/*
 * Connections can't be accepted because of @error. If the socket does not listen any
 * more, its rule waits for another one.
 */
static void accept_failed(struct inbound *b, uint32_t index, int error)
{
	int why = error != EINVAL ? 0 :
		  hostsock_error(listen_at(b->listen, index)->fd);

	if (error == EINVAL)
		listen_lost(b->listen, index, -(why ? why : error));
	else
		pause_listener(b, index, error);
}

/* Accept connections of a listening socket; true if there may be more */
/* #syscalls accept4 accept */
static bool accept_some(struct inbound *b, uint32_t index,
			const struct listener *l)
{
	bool from_ns = listen_rule(b->listen, l)->from_ns;
	unsigned i;

	for (i = 0; i < ACCEPT_BATCH; i++) {
		union sockaddr_inany peer = { .sa.sa_family = AF_UNSPEC };
		socklen_t len = sizeof(peer);
		int fd;

		if (!flow_admits(b->flows, FLOW_STREAM, !from_ns, CONNECTION_FDS,
				 b->loop->now_ms)) {
			/* Only the first connection is certain to be there */
			if (i)
				return true;
			pause_listener(b, index, EMFILE);
			return false;
		}
		fd = accept4(l->fd, &peer.sa, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			connection(b, fd, l, &peer);
			continue;
		}
		if (errno == EAGAIN)
			return false;
		if (!is_passing(errno)) {
			accept_failed(b, index, errno);
			return false;
		}
	}
	return true;
}

/* Accept connections of a socket that is about to be closed; true: there may be more */
static bool inbound_drain(void *ctx, uint32_t index)
{
	struct inbound *b = ctx;

	return accept_some(b, index, listen_at(b->listen, index));
}

/**
 * inbound_event() - A listening socket is readable
 * @b:		Inbound connections
 * @index:	Index of the socket
 */
void inbound_event(struct inbound *b, uint32_t index)
{
	const struct listener *l = listen_at(b->listen, index);
	const struct fwd_rule *r;

	if (!l || l->staged)
		return;			/* closed in this turn */
	r = listen_rule(b->listen, l);
	if (r->proto == IPPROTO_TCP)
		accept_some(b, index, l);
	else if (r->from_ns)
		udp_splice_listen_event(b->to.udp_splice, l->fd, r,
					listen_rule_ref(b->listen, l), l->port);
	else
		udp_listen_event(b->to.udp, l->fd, r, l->port, index);
}

/* inbound_timer() - End the pause of listeners: there may be descriptors again */
void inbound_timer(struct inbound *b)
{
	listen_resume(b->listen);
}

/**
 * inbound_init() - Start without connections
 * @b:		All zero
 * @listen:	Listening sockets
 * @flows:	Table that needs room for a connection
 * @to:		Modules that take connections and datagrams
 */
void inbound_init(struct inbound *b, const struct conf *conf,
		  const struct hostnet *net, const struct guest *guest,
		  struct listen *listen, struct flow_table *flows,
		  struct loop *loop, const struct inbound_to *to)
{
	b->conf = conf;
	b->net = net;
	b->guest = guest;
	b->listen = listen;
	b->flows = flows;
	b->loop = loop;
	b->to = *to;
	b->timer.ref = (union epoll_ref){ .kind = REF_LISTEN };
	listen_on_drain(listen, inbound_drain, b);
}

/**
 * inbound_counters() - Connections to listening sockets, for --stats
 */
void inbound_counters(const void *ctx, struct counters *c)
{
	const struct inbound *b = ctx;

	c->title = "forwarded ports";
	counters_add(c, "connections accepted", b->accepted);
	counters_add(c, "refused", b->refused);
	counters_add_if(c, "of these not from the namespace", b->foreign);
	counters_add_if(c, "times without a flow or descriptor", b->paused);
}
