/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_splice.c - UDP between the two loopbacks, past the tap
 *
 * A flow is one peer of a listening socket. The listening socket, on the host or in the
 * namespace, is on the initiating side; answers are sent by it, from the address that the
 * peer dialled. On the target side each flow has a socket of its own, with any port. The
 * code is the same for both directions. nshelper.c makes the sockets of the namespace.
 *
 *	peer -> [INI: the listening socket] [TGT: any port] -> target
 *
 * The target may answer from another port (TFTP). That starts a second flow, which
 * shares the TGT socket of the first flow. The second flow has an INI socket of its own,
 * bound to that port, so that the peer sees the port and its answers go back there:
 *
 *	peer <- [INI: the target's other port] [TGT: of the first flow] <- target
 *
 * If the port is in use on that side, these answers are lost.
 *
 * Datagrams that arrive as one message are sent as one message, and so are equal ones in
 * a row (UDP_GRO, UDP_SEGMENT): on loopback they are never taken apart on the way, unless
 * the receiver wants that.
 *
 * A full receive queue drops datagrams, as it would without us. A peer gets no error if
 * its target has no such port: on the host, sending ICMP takes a privilege. But a refused
 * datagram is sent to the next possible target (fwd_targets()). If the refusal is reported
 * late, the datagram is lost, and the next one is sent there.
 *
 * Flows expire like those through the tap (udp_port.c): after 60 s without datagrams,
 * 180 s once datagrams went both ways. flow.c may evict them earlier.
 */

#include "udp_splice.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "counters.h"
#include "fwd.h"
#include "hostsock.h"
#include "icmperr.h"
#include "log.h"
#include "loop.h"
#include "nshelper.h"
#include "udp_sock.h"

#define READS_MAX	4		/* batches for one event */
#define ERRORS_MAX	16		/* read from the queue for one event */

#define TRY_MS			100	/* between two tries of all targets */
#define TIMEOUT_ONE_WAY_MS	60000
#define TIMEOUT_MS		180000

/**
 * struct udp_splice_flow - In flow->priv
 * @fd:		Socket of the target side; of a second flow: of the initiating side;
 *		-1: none yet
 * @second:	This is a second flow, see the top of this file
 * @first:	Reference of the first flow of a second one
 * @listener:	Listening socket
 * @scope:	Interface of a link-local peer
 * @seen:	Sides that have sent datagrams, bits
 * @whole:	Sides whose socket refuses UDP_SEGMENT, bits
 * @tried_ms:	Time at which all targets had refused, 0: never
 */
struct udp_splice_flow {
	int fd;
	bool second;
	union epoll_ref first;
	struct udp_shared listener;
	unsigned scope;
	uint8_t seen, whole;
	uint64_t tried_ms;
};
static_assert(sizeof(struct udp_splice_flow) <= FLOW_PRIV, "fits into a flow");

static struct udp_splice_flow *udp_splice_flow(struct flow *f)
{
	return (struct udp_splice_flow *)f->priv;
}

static bool is_ours(const struct flow *f)
{
	return f->timer.ref.kind == REF_UDP_SPLICE;
}

/* udp_splice_works() - Can datagrams bypass the tap at the moment? */
bool udp_splice_works(const struct udp_splice *s)
{
	return s && nshelper_works(s->nsh);
}

/**
 * udp_splice_init() - Start without flows
 * @s:		Zeroed
 * @conf, @net, @guest, @flows, @loop, @io:	Kept
 * @rules:	Rules in force, kept
 * @nsh:	Makes sockets of the namespace; NULL: nothing is bypassed
 */
void udp_splice_init(struct udp_splice *s, const struct conf *conf,
		     const struct hostnet *net, const struct guest *guest,
		     const struct rules *rules, struct flow_table *flows,
		     struct loop *loop, struct nshelper *nsh,
		     struct udp_io *io)
{
	s->conf = conf;
	s->net = net;
	s->guest = guest;
	s->rules = rules;
	s->flows = flows;
	s->loop = loop;
	s->nsh = nsh;
	s->io = io;
}

/* Life ----------------------------------------------------------------------- */

static uint64_t deadline_ms(struct flow *f)
{
	return f->last_ms +
	       (udp_splice_flow(f)->seen == 3 ? TIMEOUT_MS : TIMEOUT_ONE_WAY_MS);
}

/* Close a socket. Another process may hold it, too: the one that made it for us. Without
 * loop_del() it would then report events for ever */
/* #syscalls:pasta close epoll_ctl */
static void udp_splice_close(struct udp_splice *s, int fd)
{
	loop_del(s->loop, fd);
	close(fd);
}

static void udp_splice_end(struct udp_splice *s, struct flow *f, const char *why)
{
	char str[FLOW_STRLEN];

	debug("%s: closed, %s", flow_str(s->flows, f, str), why);
	if (udp_splice_flow(f)->fd >= 0)
		udp_splice_close(s, udp_splice_flow(f)->fd);
	flow_free(s->flows, s->loop, f);
}

/**
 * udp_splice_kill() - End a flow on request
 * @ctx:	Bypass
 * @f:		The flow
 *
 * Its next datagram begins another flow.
 *
 * Return: 0
 */
int udp_splice_kill(void *ctx, struct flow *f)
{
	struct udp_splice *s = ctx;

	udp_splice_end(s, f, "killed");
	return 0;
}

/**
 * udp_splice_listener_gone() - End the flows of listening sockets that are closed
 * @s:		Bypass
 */
void udp_splice_listener_gone(struct udp_splice *s)
{
	struct flow *f = NULL;

	while ((f = flow_next(s->flows, f)))
		if (is_ours(f) && !udp_shared_is_there(&udp_splice_flow(f)->listener))
			udp_splice_end(s, f, "nobody listens any more");
}

/**
 * udp_splice_evict() - End a flow
 * @ctx:	Bypass
 * @f:		The flow
 */
void udp_splice_evict(void *ctx, struct flow *f)
{
	udp_splice_end(ctx, f, "there are too many");
}

/* Sockets -------------------------------------------------------------------- */

/* Make a bound socket on a side. The kernel chooses an unspecified address, or port 0.
 * Return: descriptor or negative errno */
/* #syscalls:pasta close bind */
static int socket_on(struct udp_splice *s, const struct flow *f, unsigned side,
		     unsigned scope)
{
	const struct flowside *fs = &f->side[side];
	uint16_t port = side == INI ? fs->oport : 0;
	union sockaddr_inany sa;
	int fd, rc = 0;
	socklen_t len;

	if (f->pif[side] == PIF_SPLICE)
		fd = !s->nsh ? -ENOTCONN :
		     nshelper_socket(s->nsh, inany_is_v4(&fs->eaddr) ?
					     NSSOCK_UDP4 : NSSOCK_UDP6);
	else
		fd = hostsock_open(s->conf, s->net, &fs->eaddr, SOCK_DGRAM,
				   IPPROTO_UDP);
	if (fd < 0)
		return fd;
	udp_sock_bulk(fd, true);
	if (side == TGT)		/* to learn of refusals: it is not connected */
		hostsock_recv_errors(fd, inany_is_v4(&fs->eaddr));
	if (port || !inany_is_unspecified(&fs->oaddr)) {
		len = inany_to_sockaddr(&fs->oaddr, port, scope, &sa);
		rc = bind(fd, &sa.sa, len) ? -errno : 0;
	}
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* New flows ------------------------------------------------------------------ */

/* An entry with these sides, found by those in @find, which still has no socket;
 * NULL: there is no room. @keep is not evicted for it, NULL: nothing to keep */
static struct flow *udp_splice_entry(struct udp_splice *s, bool from_ns,
			      struct rule_ref rule, const struct flowside *ini,
			      const struct flowside *tgt, unsigned find,
			      struct flow *keep)
{
	const struct flow_spec spec = {
		.kind = REF_UDP_SPLICE, .proto = IPPROTO_UDP,
		.class = FLOW_DATAGRAM, .fds = 1,
		.pif = { from_ns ? PIF_SPLICE : PIF_HOST,
			 from_ns ? PIF_HOST : PIF_SPLICE },
		.side = { *ini, *tgt }, .find = find, .keep = keep,
		.rule = rule,
	};
	struct flow *f = flow_start(s->flows, &spec, s->loop->now_ms);

	if (f)
		udp_splice_flow(f)->fd = -1;
	return f;
}

/* Give a flow its socket on a side; NULL if it can't be */
static struct flow *udp_splice_start(struct udp_splice *s, struct flow *f,
				unsigned side)
{
	char str[FLOW_STRLEN];
	int rc;

	udp_splice_flow(f)->fd = rc = socket_on(s, f, side, udp_splice_flow(f)->scope);
	if (rc >= 0)
		rc = loop_add(s->loop, rc, EPOLLIN, flow_ref(f, side));
	if (rc < 0) {
		debug_limited_rc(rc, "UDP: no bypass for a flow");
		udp_splice_end(s, f, "it has no socket");
		return NULL;
	}
	wheel_arm(&s->loop->wheel, &f->timer, deadline_ms(f));
	debug("%s: new", flow_str(s->flows, f, str));
	return f;
}

/* Start a flow of the listening socket @fd. @keep is not evicted for it, NULL: nothing to
 * keep. NULL on failure */
static struct flow *udp_splice_new(struct udp_splice *s, struct flow *keep,
			     const struct fwd_rule *r, struct rule_ref ref,
			     int fd, const struct flowside *ini,
			     const struct flowside *tgt, unsigned scope)
{
	struct flow *f = udp_splice_entry(s, r->from_ns, ref, ini, tgt,
					  FLOW_INI, keep);

	if (!f)
		return NULL;
	udp_splice_flow(f)->scope = scope;
	udp_shared_set(&udp_splice_flow(f)->listener, fd);
	if (r->from_ns)			/* udp_port.c does that on the host */
		udp_sock_bulk(fd, true);
	return udp_splice_start(s, f, TGT);
}

/* Find or start the second flow for a datagram that the target of @f sent from another
 * port; NULL on failure. Its TGT side has the first flow in place of our address */
static struct flow *udp_splice_second(struct udp_splice *s, struct flow *f,
				const struct udp_meta *m)
{
	const struct udp_splice_flow *first = udp_splice_flow(f);
	const union epoll_ref ref = f->timer.ref;
	struct flowside ini = f->side[INI];
	struct flowside tgt = { .eaddr = m->src, .eport = m->sport };
	bool from_ns = f->pif[INI] == PIF_SPLICE;
	struct flow *g;

	ini.oport = m->sport;
	tgt.oaddr.u64[0] = UINT64_MAX;
	tgt.oaddr.u64[1] = ref.u64;
	g = flow_lookup(s->flows, IPPROTO_UDP, f->pif[TGT], &tgt, NULL);
	if (g || !m->sport || !inany_equals(&m->src, &f->side[TGT].eaddr))
		return g;
	g = udp_splice_entry(s, from_ns, flow_rule(f), &ini, &tgt, FLOW_TGT, f);
	if (!g)
		return NULL;
	udp_splice_flow(g)->second = true;
	g->bound = FLOW_INI;
	udp_splice_flow(g)->first = ref;
	udp_splice_flow(g)->scope = first->scope;
	udp_splice_flow(g)->listener = first->listener;
	return udp_splice_start(s, g, INI);
}

/* Is this a refusal by the target of a flow? */
static bool is_targets(const struct flow *f, const struct icmperr *e)
{
	uint8_t type = e->v4 ? ICMP4_UNREACH : ICMP6_UNREACH;
	uint8_t code = e->v4 ? ICMP4_UNREACH_PORT : ICMP6_UNREACH_PORT;

	return e->type == type && e->code == code &&
	       e->dport == f->side[TGT].eport &&
	       inany_equals(&e->dst, &f->side[TGT].eaddr);
}

/* Read the errors of a flow's socket, so that EPOLLERR ends. Return: the target has
 * refused a datagram */
static bool take_errors(struct flow *f)
{
	bool v4 = inany_is_v4(&f->side[TGT].eaddr), refused = false;
	struct icmperr e;
	unsigned i;
	int rc;

	for (i = 0; !udp_splice_flow(f)->second && i < ERRORS_MAX; i++) {
		rc = icmperr_read(udp_splice_flow(f)->fd, v4, &e);
		if (rc == -EAGAIN)
			break;
		refused |= !rc && is_targets(f, &e);
	}
	if (!i)
		udp_sock_clear_error(udp_splice_flow(f)->fd);
	return refused;
}

/* Change the target of a flow to @tgt; false on failure */
/* #syscalls:pasta close */
static bool change_target(struct udp_splice *s, struct flow *f,
			  const struct flowside *tgt)
{
	struct flowside before = f->side[TGT];
	int fd, old = udp_splice_flow(f)->fd;

	f->side[TGT] = *tgt;
	fd = socket_on(s, f, TGT, udp_splice_flow(f)->scope);
	if (fd >= 0 && !loop_add(s->loop, fd, EPOLLIN, flow_ref(f, TGT))) {
		udp_splice_flow(f)->fd = fd;
		udp_splice_close(s, old);
		return true;
	}
	if (fd >= 0)
		close(fd);
	f->side[TGT] = before;
	return false;
}

/* Possible targets of a flow; none after its rule was removed, as the number may be
 * another rule's by then. Return: their number */
static unsigned targets_of(const struct udp_splice *s, const struct flow *f,
			   struct flowside tgt[FWD_TARGETS])
{
	const struct fwd_rule *r = rules_at(s->rules, flow_rule(f));

	return r ? fwd_targets(s->conf, s->net, s->guest, r, &f->side[INI],
			       tgt) : 0;
}

/* Change to the next target after a refusal, and after the last to the first again, where
 * a program may listen later. All targets are tried in a row, but not too often. Return:
 * true if the new target was not tried yet */
static bool try_next(struct udp_splice *s, struct flow *f)
{
	struct udp_splice_flow *sf = udp_splice_flow(f);
	struct flowside tgt[FWD_TARGETS];
	unsigned n = targets_of(s, f, tgt), i, next;

	sf->seen &= (uint8_t)~(1U << TGT);
	for (i = 0; i < n; i++)
		if (inany_equals(&tgt[i].eaddr, &f->side[TGT].eaddr))
			break;
	next = i + 1 < n ? i + 1 : 0;
	if (n < 2 || (next == 1 && sf->tried_ms &&
		      s->loop->now_ms < sf->tried_ms + TRY_MS))
		return false;
	if (!next)
		sf->tried_ms = s->loop->now_ms;
	return change_target(s, f, &tgt[next]) && next;
}

/* Sending -------------------------------------------------------------------- */

/* Get the socket that sends to a side, and the destination; -1: the socket has gone */
static int sender(struct udp_splice *s, struct flow *f, unsigned side,
		  struct udp_dest *d)
{
	struct udp_splice_flow *sf = udp_splice_flow(f);
	const struct flowside *fs = &f->side[side];
	struct flow *first;

	*d = (struct udp_dest){ .len = 0 };
	if (side == INI && !sf->second) {
		if (!udp_shared_is_there(&sf->listener))
			return -1;
		*d = udp_shared_dest(&sf->listener, fs, sf->scope);
		return sf->listener.fd;
	}
	d->len = inany_to_sockaddr(&fs->eaddr, fs->eport, sf->scope, &d->sa);
	if (side == INI || !sf->second)
		return sf->fd;
	first = flow_from_ref(s->flows, sf->first);
	if (!first)
		return -1;
	first->last_ms = s->loop->now_ms;
	return udp_splice_flow(first)->fd;
}

/* Was the datagram that was just sent refused? On loopback a refusal is reported at once.
 * Not asked once the target has answered */
static bool is_refused(struct flow *f, unsigned from)
{
	return from == INI && !udp_splice_flow(f)->second &&
	       !(udp_splice_flow(f)->seen & 1U << TGT) && take_errors(f);
}

static void count_data(struct udp_splice *s, struct flow *f, unsigned from,
		       const struct udp_data *d, unsigned n)
{
	size_t bytes = 0;
	unsigned i;

	for (i = 0; i < n; i++)
		bytes += d[i].bytes.len;
	flow_count(s->flows, f, f->pif[from] == PIF_HOST ? TO_GUEST : FROM_GUEST,
		   bytes, s->loop->now_ms);
}

/**
 * udp_splice_forward() - Send datagrams of one side to the other
 * @s:		Bypass
 * @f:		The flow
 * @from:	Side that sent them
 * @d, @n:	The datagrams
 */
/* #syscalls:pasta sendmmsg sendmsg */
static void udp_splice_forward(struct udp_splice *s, struct flow *f, unsigned from,
		    const struct udp_data *d, unsigned n)
{
	struct udp_cursor at[UDP_TX_MSGS + 1], c = { .d = d, .n = n };
	struct udp_splice_flow *sf = udp_splice_flow(f);
	uint8_t bit = (uint8_t)(1U << !from);
	bool retried = false;
	struct udp_dest dest;
	int fd = sender(s, f, !from, &dest), sent;

	count_data(s, f, from, d, n);

	sf->seen |= (uint8_t)(1U << from);
	f->last_ms = s->loop->now_ms;
	if (sf->seen == 3)
		flow_set_rank(s->flows, f, FLOW_ANSWERED);
	while (fd >= 0 && c.i < c.n) {
		unsigned count = udp_msg_build(s->io, &dest, c,
					       sf->whole & bit ? 0 : UINT16_MAX,
					       at);

		sent = sendmmsg(fd, s->io->mm, count, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent > 0 && is_refused(f, from)) {
			if (!try_next(s, f))
				c = at[sent];
			fd = sender(s, f, !from, &dest);
		} else if (sent > 0) {
			c = at[sent];
			retried = false;
		} else if (!retried && errno != EAGAIN) {
			retried = true;		/* it may be about an earlier one */
		} else if (s->io->segmented[0] && errno != EAGAIN) {
			sf->whole |= bit;
			retried = false;
		} else {
			s->dropped++;
			c = at[1];
			retried = false;
		}
	}
}

/* Receiving ------------------------------------------------------------------ */

/* Receive messages; @meta and @data are filled in. Return: their number */
/* #syscalls:pasta recvmmsg recvmsg */
static unsigned udp_splice_receive(struct udp_splice *s, int fd,
				   struct udp_meta *meta,
			struct udp_data *data)
{
	unsigned k;
	int got;

	for (k = 0; k < UDP_RX_MSGS; k++)
		udp_msg_expect(s->io, k, &s->io->iov[k], 0, 0);
	got = recvmmsg(fd, s->io->mm, UDP_RX_MSGS, MSG_DONTWAIT, NULL);
	for (k = 0; got > 0 && k < (unsigned)got; k++) {
		udp_meta_get(&meta[k], &s->io->mm[k]);
		data[k] = udp_data_of(&meta[k], s->io->buf[k]);
	}
	return got > 0 ? (unsigned)got : 0;
}

/* Forward datagrams of one peer of a listening socket. Without a flow one is started, to
 * @tgt, and @keep is not evicted for it */
static void from_listener(struct udp_splice *s, struct flow *keep,
			  const struct fwd_rule *r, struct rule_ref ref, int fd,
			  const struct flowside *ini,
			  const struct flowside *tgt, unsigned scope,
			  const struct udp_data *d, unsigned n)
{
	uint8_t pif = r->from_ns ? PIF_SPLICE : PIF_HOST;
	struct flow *f;

	f = flow_lookup(s->flows, IPPROTO_UDP, pif, ini, NULL);
	if (f && !is_ours(f))
		f = NULL;
	else if (!f)
		f = udp_splice_new(s, keep, r, ref, fd, ini, tgt, scope);
	if (f)
		udp_splice_forward(s, f, INI, d, n);
	else
		s->dropped += n;
}

/* Forward messages of one sender to the socket of a flow */
static void from_sender(struct udp_splice *s, struct flow *f,
			const struct udp_meta *m, const struct udp_data *d,
			unsigned n)
{
	unsigned side = udp_splice_flow(f)->second ? INI : TGT;
	struct flow *g = f;

	if (m->sport != f->side[side].eport ||
	    !inany_equals(&m->src, &f->side[side].eaddr))
		g = side == TGT ? udp_splice_second(s, f, m) : NULL;
	if (g != f)
		f->last_ms = s->loop->now_ms;	/* its socket serves both */
	if (g)
		udp_splice_forward(s, g, side, d, n);
	else
		s->dropped += n;
}

/* Forward messages to the socket of a flow */
static void read_socket(struct udp_splice *s, struct flow *f)
{
	struct udp_meta meta[UDP_RX_MSGS];
	struct udp_data data[UDP_RX_MSGS];
	const union epoll_ref ref = f->timer.ref;
	unsigned i, k, n = UDP_RX_MSGS, len;

	for (i = 0; i < READS_MAX && n == UDP_RX_MSGS && f; i++) {
		n = udp_splice_receive(s, udp_splice_flow(f)->fd, meta, data);
		for (k = 0; k < n && f; k += len) {
			len = udp_meta_run(&meta[k], n - k);
			from_sender(s, f, &meta[k], &data[k], len);
			/* The flow may have been evicted for a new one */
			f = flow_from_ref(s->flows, ref);
		}
	}
}

/* Events --------------------------------------------------------------------- */

/**
 * udp_splice_sock_event() - Handle events of the socket of a flow
 * @s:		Bypass
 * @f:		The flow
 * @events:	EPOLLIN, EPOLLERR
 */
void udp_splice_sock_event(void *ctx, struct flow *f, unsigned side,
			   uint32_t events)
{
	struct udp_splice *s = ctx;
	const union epoll_ref ref = f->timer.ref;
	bool refused = events & EPOLLERR && take_errors(f);

	(void)side;
	if (events & EPOLLIN)
		read_socket(s, f);
	if (refused && (f = flow_from_ref(s->flows, ref)))
		try_next(s, f);
}

/**
 * udp_splice_from_host() - Forward datagrams of one peer to a socket of the host
 * @s:		Bypass
 * @port:	Entry of the socket in the flow table, which is not evicted
 * @r, @ref:	Rule of the socket, and its number and generation
 * @fd:		Listening socket
 * @host:	Host side
 * @tgt:	Side in the namespace, by fwd_from_host()
 * @scope:	Interface of a link-local peer
 * @data, @n:	The datagrams
 */
void udp_splice_from_host(struct udp_splice *s, struct flow *port,
			  const struct fwd_rule *r, struct rule_ref ref,
			  int fd, const struct flowside *host,
			  const struct flowside *tgt, unsigned scope,
			  const struct udp_data *data, unsigned n)
{
	from_listener(s, port, r, ref, fd, host, tgt, scope, data, n);
}

/* Was this sent by a program of the namespace itself? The host's loopback is for these
 * alone */
static bool udp_splice_is_inside(struct udp_splice *s, const struct flowside *ini,
			   unsigned scope)
{
	return flow_lookup(s->flows, IPPROTO_UDP, PIF_SPLICE, ini, NULL) ||
	       nshelper_is_local(s->nsh, &ini->eaddr, &ini->oaddr, scope);
}

/* Forward messages of one peer to a listening socket in the namespace, but no multicast:
 * @m->dst is another address then */
static void from_ns(struct udp_splice *s, const struct fwd_rule *r,
		    struct rule_ref ref, int fd, uint16_t port,
		    const struct udp_meta *m,
		    const struct udp_data *d, unsigned n)
{
	const struct flowside ini = {
		.oaddr = m->dst, .oport = port,
		.eaddr = m->src, .eport = m->sport,
	};
	struct flowside tgt;

	if (m->sport && !inany_is_set(&m->group) &&
	    udp_splice_is_inside(s, &ini, m->scope) &&
	    fwd_from_ns(s->conf, s->net, r, &ini, &tgt))
		from_listener(s, NULL, r, ref, fd, &ini, &tgt, m->scope, d, n);
	else
		s->dropped += n;
}

/**
 * udp_splice_listen_event() - Forward datagrams to a listening socket of the namespace
 * @s:		Bypass
 * @fd:		The socket, as for udp_listen_event()
 * @r, @ref:	Rule of the socket, and its number and generation
 * @port:	Port that the socket is bound to, host order
 */
void udp_splice_listen_event(struct udp_splice *s, int fd,
			     const struct fwd_rule *r, struct rule_ref ref,
			     uint16_t port)
{
	struct udp_meta meta[UDP_RX_MSGS];
	struct udp_data data[UDP_RX_MSGS];
	unsigned i, k, n = UDP_RX_MSGS, len;

	for (i = 0; i < READS_MAX && n == UDP_RX_MSGS; i++) {
		n = udp_splice_receive(s, fd, meta, data);
		for (k = 0; k < n; k++)
			udp_meta_default_dst(&meta[k], &r->addr);
		for (k = 0; k < n; k += len) {
			len = udp_meta_run(&meta[k], n - k);
			from_ns(s, r, ref, fd, port, &meta[k], &data[k], len);
		}
	}
}

/**
 * udp_splice_timer() - End a flow whose timer fired, unless there was traffic
 * @ctx:	Bypass
 * @f:		The flow
 */
void udp_splice_timer(void *ctx, struct flow *f)
{
	struct udp_splice *s = ctx;
	uint64_t at_ms = deadline_ms(f);

	if (at_ms > s->loop->now_ms)
		wheel_arm(&s->loop->wheel, &f->timer, at_ms);
	else
		udp_splice_end(s, f, "idle");
}

/**
 * udp_splice_counters() - Datagrams that were not delivered, for --stats
 */
void udp_splice_counters(const void *ctx, struct counters *c)
{
	c->title = "UDP past the tap";
	counters_add(c, "dropped", ((const struct udp_splice *)ctx)->dropped);
}
