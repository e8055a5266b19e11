/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_splice.c - UDP between the two loopbacks, past the tap
 *
 * A flow is one peer of a listening socket, and has two connected sockets, one
 * on the host and one in the namespace (made by nshelper.c). Who listens is the
 * initiating side, on either. The code is the same for both directions: what
 * one socket gets, the other one sends.
 *
 *	peer -> [INI: bound to what the peer dialled] [TGT: any port] -> target
 *
 * So answers have the address and port that the peer dialled. The INI socket is
 * bound beside the listening one (udp_sock.c); where that can't be, datagrams
 * come and go through the listening socket. It may have got datagrams of other
 * peers before it was connected: until one of its own peer is seen last, each
 * is looked at, and handled as if the listening socket had got it.
 *
 * Datagrams that came as one message leave as one message, and equal ones in a
 * row do, too (UDP_GRO, UDP_SEGMENT): on loopback they are never taken apart in
 * between, unless the receiver wants that.
 *
 * A full receive queue drops, as it would without us. Nobody tells a peer that
 * its target has no such port: on the host that takes a privilege.
 *
 * Life: as for flows through the tap (udp.c), 60 s idle, 180 s once datagrams
 * went both ways. An eighth of the descriptors may be flows of this kind, two
 * each; above that the longest idle of some ends.
 */

#include "udp_splice.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fwd.h"
#include "hostsock.h"
#include "log.h"
#include "loop.h"
#include "nshelper.h"

#define READS_MAX	4		/* batches for one event */

#define TIMEOUT_ONE_WAY_MS	60000
#define TIMEOUT_MS		180000

/**
 * struct udp_splice_flow - In flow->priv
 * @fd:		Sockets of both sides; -1 for INI: datagrams go through @listener
 * @listener:	Listening socket
 * @rule:	Its rule
 * @port:	Its port
 * @fresh:	The INI socket may hold datagrams of others
 * @seen:	Bit per side: something came from there
 * @whole:	Bit per side: the socket doesn't take several datagrams at once
 */
struct udp_splice_flow {
	int fd[2];
	struct udp_shared listener;
	const struct fwd_rule *rule;
	uint16_t port;
	unsigned scope;
	bool fresh;
	uint8_t seen, whole;
};
static_assert(sizeof(struct udp_splice_flow) <= FLOW_PRIV, "fits into a flow");

static struct udp_splice_flow *priv(struct flow *f)
{
	return (struct udp_splice_flow *)f->priv;
}

static bool is_ours(const struct flow *f)
{
	return f->proto == IPPROTO_UDP &&
	       (f->pif[INI] == PIF_SPLICE || f->pif[TGT] == PIF_SPLICE);
}

/**
 * udp_splice_init() - No flows
 * @s:		Zeroed
 * @conf, @guest, @flows, @loop:	What it works on
 * @nsh:	Makes sockets of the namespace; NULL: nothing is bypassed
 */
void udp_splice_init(struct udp_splice *s, const struct conf *conf,
		     const struct guest *guest, struct flow_table *flows,
		     struct loop *loop, struct nshelper *nsh)
{
	s->conf = conf;
	s->guest = guest;
	s->flows = flows;
	s->loop = loop;
	s->nsh = nsh;
}

/* ---- Life ---- */

static uint64_t deadline_ms(struct flow *f)
{
	return f->last_ms +
	       (priv(f)->seen == 3 ? TIMEOUT_MS : TIMEOUT_ONE_WAY_MS);
}

/* #syscalls:pasta close */
static void end(struct udp_splice *s, struct flow *f, const char *why)
{
	char str[FLOW_STRLEN];
	unsigned side;

	debug("%s: closed, %s", flow_str(s->flows, f, str), why);
	for (side = 0; side < 2; side++)
		if (priv(f)->fd[side] >= 0)
			close(priv(f)->fd[side]);
	flow_free(s->flows, s->loop, f);
}

/**
 * udp_splice_listener_gone() - End the flows of listening sockets that are closed
 * @s:		Bypass
 *
 * Their sockets would keep the port from whoever wants it next: us, for instance.
 */
void udp_splice_listener_gone(struct udp_splice *s)
{
	struct flow *f;
	uint32_t i;

	for (i = 0; i < s->flows->high; i++) {
		f = flow_at(s->flows, i);
		if (f && is_ours(f) && !udp_shared_is_there(&priv(f)->listener))
			end(s, f, "nobody listens any more");
	}
}

/**
 * udp_splice_evict() - End a flow
 * @s:		Bypass
 * @f:		The flow
 */
void udp_splice_evict(struct udp_splice *s, struct flow *f)
{
	end(s, f, "there are too many");
}

/* ---- Sockets ---- */

static int ns_socket(struct udp_splice *s, bool v4)
{
	if (!s->nsh)
		return -ENOTCONN;
	return nshelper_socket(s->nsh, v4 ? NSSOCK_UDP4 : NSSOCK_UDP6);
}

/* Socket of the listening side; -1 if the listening one has to do */
/* #syscalls:pasta close */
static int socket_ini(struct udp_splice *s, struct flow *f,
		      const struct fwd_rule *r)
{
	const struct flowside *side = &f->side[INI];
	bool v4 = inany_is_v4(&side->eaddr);
	int fd;

	if (f->pif[INI] == PIF_SPLICE)
		fd = ns_socket(s, v4);
	else
		fd = hostsock_open_if(s->conf, v4, SOCK_DGRAM, IPPROTO_UDP,
				      r->ifname);
	if (fd < 0)
		return -1;
	udp_sock_bulk(fd, true);
	if (!udp_sock_between(fd, side, priv(f)->scope))
		return fd;
	close(fd);
	return -1;
}

/* Socket of the other side, or negative errno */
/* #syscalls:pasta close bind connect */
static int socket_tgt(struct udp_splice *s, const struct flow *f)
{
	const struct flowside *side = &f->side[TGT];
	union sockaddr_inany sa;
	int fd, rc = 0;
	socklen_t len;

	if (f->pif[TGT] == PIF_SPLICE)
		fd = ns_socket(s, inany_is_v4(&side->eaddr));
	else
		fd = hostsock_open(s->conf, &side->eaddr, SOCK_DGRAM,
				   IPPROTO_UDP);
	if (fd < 0)
		return fd;
	udp_sock_bulk(fd, true);
	if (!inany_is_unspecified(&side->oaddr)) {
		len = inany_to_sockaddr(&side->oaddr, 0, 0, &sa);
		rc = bind(fd, &sa.sa, len) ? -errno : 0;
	}
	len = inany_to_sockaddr(&side->eaddr, side->eport, 0, &sa);
	if (!rc && connect(fd, &sa.sa, len))
		rc = -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* ---- New flows ---- */

/* Watch the sockets; 0 or negative errno */
static int watch(struct udp_splice *s, struct flow *f)
{
	unsigned side;
	int rc = 0;

	for (side = 0; side < 2 && !rc; side++)
		if (priv(f)->fd[side] >= 0)
			rc = loop_add(s->loop, priv(f)->fd[side], EPOLLIN,
				      flow_ref(s->flows, f, REF_UDP_SPLICE,
					       side));
	return rc;
}

/* Listening socket that a datagram came to, or was meant for; -1 if it is
 * closed */
struct origin {
	int fd;
	const struct fwd_rule *rule;
	uint16_t port;
	unsigned scope;
};

static struct flow *flow_new(struct udp_splice *s, const struct origin *o,
			     const struct flowside *ini,
			     const struct flowside *tgt)
{
	char str[FLOW_STRLEN];
	struct flow *f;
	int rc;

	f = flow_alloc(s->flows, IPPROTO_UDP, FLOW_DATAGRAM, 2,
		       s->loop->now_ms);
	if (!f)
		return NULL;
	f->side[INI] = *ini;
	f->side[TGT] = *tgt;
	f->pif[INI] = o->rule->from_ns ? PIF_SPLICE : PIF_HOST;
	f->pif[TGT] = o->rule->from_ns ? PIF_HOST : PIF_SPLICE;
	*priv(f) = (struct udp_splice_flow){
		.rule = o->rule, .port = o->port, .scope = o->scope,
		.fresh = true,
	};
	udp_shared_set(&priv(f)->listener, o->fd);
	priv(f)->fd[INI] = socket_ini(s, f, o->rule);
	priv(f)->fd[TGT] = rc = socket_tgt(s, f);
	if (rc >= 0)
		rc = watch(s, f);
	if (rc < 0) {
		debug_limited("UDP: no bypass for a flow (error %i)", -rc);
		end(s, f, "it has no sockets");
		return NULL;
	}
	flow_hash_insert(s->flows, f, INI);
	f->timer.ref = flow_ref(s->flows, f, REF_UDP_SPLICE, TGT);
	wheel_arm(&s->loop->wheel, &f->timer, deadline_ms(f));
	debug("%s: new", flow_str(s->flows, f, str));
	return f;
}

/* ---- Sending ---- */

/**
 * struct batch - Received messages that are to be sent
 * @meta, @data, @n:	The messages
 * @k, @off:	Where we are: message, offset in it
 */
struct batch {
	const struct udp_meta *meta;
	const uint8_t *const *data;
	unsigned n, k;
	size_t off;
};

/* Add @bytes of the current message, step over them */
static void take(struct batch *b, struct msghdr *mh, size_t bytes)
{
	mh->msg_iov[mh->msg_iovlen++] = (struct iovec){
		(void *)(b->data[b->k] + b->off), bytes
	};
	b->off += bytes;
	if (b->off >= b->meta[b->k].len) {
		b->off = 0;
		b->k++;
	}
}

/* The next message to send; several datagrams in one, if @join */
static bool next_message(struct batch *b, struct msghdr *mh, bool join)
{
	const struct udp_meta *m = &b->meta[b->k];
	size_t size = m->gso_size ? m->gso_size : m->len, total;
	unsigned n = 1;

	if (m->gso_size) {
		size_t left = m->len - b->off;

		total = join || left < size ? left : size;
		take(b, mh, total);
		n = total > size ? 2 : 1;
	} else {
		take(b, mh, total = size);
	}
	while (join && !m->gso_size && size && b->k < b->n &&
	       n < UDP_SPLICE_MSGS) {
		const struct udp_meta *next = &b->meta[b->k];
		size_t len = next->len;

		if (next->gso_size || !len || len > size ||
		    total + len > UDP_MESSAGE_MAX)
			break;
		take(b, mh, len);
		total += len;
		n++;
		if (len < size)
			break;
	}
	if (n > 1)
		udp_put_segment_size(mh, (uint16_t)size);
	return n > 1;
}

/* Build messages from @b on; @at[i] is where the i-th starts, and the end.
 * Return how many; @first_joined tells whether the first is several
 * datagrams */
static unsigned build(struct udp_splice *s, const struct udp_dest *d,
		      struct batch b, bool join,
		      struct batch at[UDP_SPLICE_MSGS + 1], bool *first_joined)
{
	struct iovec *iov = s->tx_iov;
	unsigned i;

	for (i = 0; i < UDP_SPLICE_MSGS && b.k < b.n; i++) {
		struct msghdr *mh = &s->tx[i].msg_hdr;
		bool joined;

		*mh = udp_message_to(d, iov, s->tx_control[i].buf);
		at[i] = b;
		joined = next_message(&b, mh, join);
		if (!i)
			*first_joined = joined;
		iov += mh->msg_iovlen;
	}
	at[i] = b;
	return i;
}

/* Socket to send to a side by, and how; -1 if there is none any more */
static int sender(struct flow *f, unsigned side, struct udp_dest *d)
{
	struct udp_splice_flow *sf = priv(f);

	*d = (struct udp_dest){ .len = 0 };
	if (sf->fd[side] >= 0)
		return sf->fd[side];
	if (!udp_shared_is_there(&sf->listener))
		return -1;
	*d = udp_shared_dest(&sf->listener, &f->side[side], sf->scope);
	return sf->listener.fd;
}

/**
 * forward() - Send what came from one side to the other
 * @s:		Bypass
 * @f:		The flow
 * @from:	Side that it came from
 * @b:		What came
 */
/* #syscalls:pasta sendmmsg sendmsg */
static void forward(struct udp_splice *s, struct flow *f, unsigned from,
		    struct batch b)
{
	struct batch at[UDP_SPLICE_MSGS + 1];
	struct udp_splice_flow *sf = priv(f);
	uint8_t bit = (uint8_t)(1U << !from);
	bool retried = false, joined = false;
	struct udp_dest d;
	int fd = sender(f, !from, &d), sent;

	sf->seen |= (uint8_t)(1U << from);
	f->last_ms = s->loop->now_ms;
	if (sf->seen == 3)
		flow_set_rank(s->flows, f, FLOW_ANSWERED);
	while (fd >= 0 && b.k < b.n) {
		unsigned n = build(s, &d, b, !(sf->whole & bit), at, &joined);

		sent = sendmmsg(fd, s->tx, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent > 0) {
			b = at[sent];
			retried = false;
		} else if (joined && errno != EAGAIN && errno != ECONNREFUSED) {
			sf->whole |= bit;
		} else if (!retried && errno != EAGAIN) {
			retried = true;		/* it was about an earlier one */
		} else {
			s->dropped++;
			b = at[1];
			retried = false;
		}
	}
}

/* One datagram or message that is in a buffer */
static void forward_one(struct udp_splice *s, struct flow *f, unsigned from,
			const struct udp_meta *m, const uint8_t *data)
{
	forward(s, f, from, (struct batch){ .meta = m, .data = &data, .n = 1 });
}

/* ---- Receiving ---- */

/* Receive from @fd, with senders; @meta and @data describe what came */
/* #syscalls:pasta recvmmsg recvmsg */
static unsigned receive(struct udp_splice *s, int fd, struct udp_meta *meta,
			const uint8_t **data)
{
	unsigned k;
	int got;

	for (k = 0; k < UDP_SPLICE_MSGS; k++) {
		data[k] = s->buf[k];
		s->iov[k] = (struct iovec){ s->buf[k], sizeof(s->buf[k]) };
		s->mm[k].msg_hdr = (struct msghdr){
			.msg_name = &s->name[k],
			.msg_namelen = sizeof(s->name[k]),
			.msg_iov = &s->iov[k], .msg_iovlen = 1,
			.msg_control = s->control[k].buf,
			.msg_controllen = sizeof(s->control[k].buf),
		};
	}
	got = recvmmsg(fd, s->mm, UDP_SPLICE_MSGS, MSG_DONTWAIT, NULL);
	for (k = 0; got > 0 && k < (unsigned)got; k++)
		udp_meta_get(&meta[k], &s->mm[k]);
	return got > 0 ? (unsigned)got : 0;
}

/* Where does this go that a listening socket got? False if nowhere, past the
 * tap */
static bool target(struct udp_splice *s, const struct fwd_rule *r,
		   unsigned scope, const struct flowside *ini,
		   struct flowside *tgt)
{
	if (r->from_ns)		/* the host's loopback is not for others in there */
		return nshelper_is_local(s->nsh, &ini->eaddr, &ini->oaddr,
					 scope) &&
		       fwd_from_ns(s->conf, r, ini, tgt);
	return fwd_from_host(s->conf, s->guest, r, ini, tgt) == PIF_SPLICE;
}

/* One that a listening socket got, or that was meant for it */
static void from_listener(struct udp_splice *s, const struct origin *o,
			  const struct udp_meta *m, const uint8_t *data)
{
	const struct flowside ini = {
		.oaddr = m->dst, .oport = o->port,
		.eaddr = m->src, .eport = m->sport,
	};
	uint8_t pif = o->rule->from_ns ? PIF_SPLICE : PIF_HOST;
	struct flowside tgt;
	struct flow *f;

	f = flow_lookup(s->flows, IPPROTO_UDP, pif, &ini, NULL);
	if (!f && m->sport && target(s, o->rule, m->scope, &ini, &tgt)) {
		struct origin from = *o;

		from.scope = m->scope;
		f = flow_new(s, &from, &ini, &tgt);
	}
	if (f && is_ours(f))
		forward_one(s, f, INI, m, data);
	else
		s->dropped++;
}

/* Was this sent by the peer of a flow? */
static bool is_peers(const struct flow *f, const struct udp_meta *m)
{
	return m->sport == f->side[INI].eport &&
	       inany_equals(&m->src, &f->side[INI].eaddr);
}

/* First reads of an INI socket: those of others are as if to the listening
 * one */
static void read_fresh(struct udp_splice *s, struct flow *f,
		       struct udp_meta *meta, const uint8_t **data)
{
	const struct udp_shared *l = &priv(f)->listener;
	const struct origin o = { udp_shared_is_there(l) ? l->fd : -1,
				  priv(f)->rule, priv(f)->port, 0 };
	const union inany dst = f->side[INI].oaddr;
	const union epoll_ref ref = f->timer.ref;
	unsigned n = receive(s, priv(f)->fd[INI], meta, data), k;

	/* Behind one of its peer there is none of others: it is connected */
	if (n && is_peers(f, &meta[n - 1]))
		priv(f)->fresh = false;
	for (k = 0; k < n && f; k++) {
		meta[k].dst = dst;
		from_listener(s, &o, &meta[k], data[k]);
		f = flow_from_ref(s->flows, ref);
	}
}

/* What came to the socket of one side */
static void read_side(struct udp_splice *s, struct flow *f, unsigned side)
{
	struct udp_meta meta[UDP_SPLICE_MSGS];
	const uint8_t *data[UDP_SPLICE_MSGS];
	unsigned i, n = UDP_SPLICE_MSGS;

	if (side == INI && priv(f)->fresh) {
		read_fresh(s, f, meta, data);
		return;
	}
	for (i = 0; i < READS_MAX && n == UDP_SPLICE_MSGS; i++) {
		n = receive(s, priv(f)->fd[side], meta, data);
		if (n)
			forward(s, f, side, (struct batch){
				.meta = meta, .data = data, .n = n });
	}
}

/* ---- Events ---- */

/**
 * udp_splice_sock_event() - A socket of a flow is readable or has an error
 * @s:		Bypass
 * @f:		The flow
 * @side:	Whose socket
 * @events:	EPOLLIN, EPOLLERR
 */
void udp_splice_sock_event(struct udp_splice *s, struct flow *f, unsigned side,
			   uint32_t events)
{
	if (events & EPOLLERR)
		udp_sock_clear_error(priv(f)->fd[side]);
	if (events & EPOLLIN)
		read_side(s, f, side);
}

/**
 * udp_splice_from_host() - First datagram of a flow, from a socket of the host's
 * @s:		Bypass
 * @r:		Rule of the socket
 * @fd:		Listening socket
 * @host:	Its side
 * @tgt:	Side in the namespace, by fwd_from_host()
 * @m:		About the datagram
 * @data:	Its bytes
 */
void udp_splice_from_host(struct udp_splice *s, const struct fwd_rule *r,
			  int fd, const struct flowside *host,
			  const struct flowside *tgt, const struct udp_meta *m,
			  const uint8_t *data)
{
	const struct origin o = { fd, r, host->oport, 0 };
	struct flow *f = flow_new(s, &o, host, tgt);

	if (f)
		forward_one(s, f, INI, m, data);
	else
		s->dropped++;
}

/**
 * udp_splice_datagram() - A listening socket got one for a flow that is there
 * @s:		Bypass
 * @f:		The flow
 * @m:		About the datagram
 * @data:	Its bytes
 */
void udp_splice_datagram(struct udp_splice *s, struct flow *f,
			 const struct udp_meta *m, const uint8_t *data)
{
	forward_one(s, f, INI, m, data);
}

/**
 * udp_splice_listen_event() - A socket in the namespace has datagrams of peers
 * @s:		Bypass
 * @fd:		The socket, as for udp_listen_event()
 * @r:		Its rule
 * @port:	What it is bound to, host order
 */
void udp_splice_listen_event(struct udp_splice *s, int fd,
			     const struct fwd_rule *r, uint16_t port)
{
	const struct origin o = { fd, r, port, 0 };
	struct udp_meta meta[UDP_SPLICE_MSGS];
	const uint8_t *data[UDP_SPLICE_MSGS];
	unsigned i, k, n = UDP_SPLICE_MSGS;

	for (i = 0; i < READS_MAX && n == UDP_SPLICE_MSGS; i++) {
		n = receive(s, fd, meta, data);
		for (k = 0; k < n; k++) {
			if (!inany_is_set(&meta[k].dst))
				meta[k].dst = r->addr;
			from_listener(s, &o, &meta[k], data[k]);
		}
	}
}

/**
 * udp_splice_timer() - The timer of a flow fired: it ends, unless there was traffic
 * @s:		Bypass
 * @f:		The flow
 */
void udp_splice_timer(struct udp_splice *s, struct flow *f)
{
	uint64_t at_ms = deadline_ms(f);

	if (at_ms > s->loop->now_ms)
		wheel_arm(&s->loop->wheel, &f->timer, at_ms);
	else
		end(s, f, "idle");
}
