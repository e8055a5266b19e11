/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp.c - UDP flows through the tap
 *
 * A flow is one address and port of the guest, and one of a peer. It starts
 * with the first datagram between them, from either side, and has one connected
 * socket (udp_sock.c): the port of the guest shows through where it is free,
 * whatever the destination (RFC 4787, REQ-1); the kernel finds the flow for us,
 * and gives the socket what comes from its peer and nothing else. Two kinds
 * have no such socket:
 *
 *	to many		all multicast and broadcast from one port of the guest.
 *			Answers come from anybody, so anybody may send to this
 *			port until the flow ends. Link-local services that answer
 *			by multicast are not heard, nobody joins groups here. This
 *			host itself does not get these, and DHCP never leaves.
 *	shared		inbound, where there was no descriptor left or the port of
 *			the listening socket is not to be shared: datagrams come
 *			and go through that socket. It may be closed before the
 *			flow ends, so its cookie is compared before it is used.
 *
 * Inbound: a listening socket gets the first datagram of a peer, and those that
 * arrive until the socket of the flow is connected. That one, bound but not yet
 * connected, gets those of other peers: they are handled like those of the
 * listening socket. With both sides hashed, each finds its flow.
 *
 * Guest to host: runs of datagrams of one flow go out with one sendmmsg();
 * unsegmented frames and equal datagrams in a row as one message with
 * UDP_SEGMENT, until the kernel says for what size that does not work. TTL (hop
 * limit), TOS (traffic class) and "don't fragment" are those of the guest. The
 * host is no hop: TTL 1 gets as far as the host's first router, which says so.
 *
 * Host to guest: udp_rx.c. If there is no room in the tap, datagrams stay in
 * the socket.
 *
 * Errors of the network and of the host become ICMP errors for the guest. Those
 * of the guest about what we delivered end here: see icmperr.c.
 *
 * Life (RFC 4787, REQ-5, 6): idle for 60 s, or 180 s once datagrams went both
 * ways; a question to a name server 15 s. The timer is not touched by traffic:
 * when it fires it looks at the time of the last datagram. Where flows or
 * descriptors run out, flow.c says which one ends early.
 */

#include "udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "frame.h"
#include "fwd.h"
#include "hostsock.h"
#include "icmperr.h"
#include "log.h"
#include "loop.h"
#include "udp_rx.h"
#include "udp_sock.h"
#include "udp_splice.h"
#include "wire.h"

#define WANT_MAX	64		/* messages read for one event */
#define ERRORS_MAX	16		/* taken out of the queue for one event */
#define LISTEN_READS	4		/* batches for one event */
#define FRESH_MAX	64		/* new sockets to look at for one event */

#define TIMEOUT_DNS_MS		15000
#define TIMEOUT_ONE_WAY_MS	60000
#define TIMEOUT_MS		180000

/* Which way datagrams went */
enum { SEEN_FROM_HOST = 1, SEEN_FROM_GUEST = 2, SEEN_BOTH = 3 };

/* How a flow's socket is used, see the top of this file */
enum kind { CONNECTED, TO_MANY, SHARED };

/**
 * struct udp_flow - In flow->priv
 * @fd:		Socket; for SHARED ones that of the listener, described in
 * @shared:	here
 * @kind:	enum kind
 * @seen:	SEEN_*
 * @v4:		Family
 * @blocked:	In the list of flows that wait for the tap
 * @hops:	As set on the socket
 * @many_ttl:	As set for multicast, 0: not yet
 * @want:	Messages to read at the next event
 * @full:	Events in a row that had as many
 * @gso_max:	Largest datagram to be sent with UDP_SEGMENT
 * @sizes:	Of what was received
 * @scope:	Interface of a link-local peer
 */
struct udp_flow {
	int fd;
	struct udp_shared shared;
	uint8_t kind, seen;
	bool v4, blocked;
	struct hostsock_hops hops;
	uint8_t many_ttl;
	uint8_t want, full;
	uint16_t gso_max;
	struct udp_rx_sizes sizes;
	unsigned scope;
};
static_assert(sizeof(struct udp_flow) <= FLOW_PRIV, "fits into a flow");

static struct udp_flow *priv(struct flow *f)
{
	return (struct udp_flow *)f->priv;
}

static const struct flowside *tap_side(const struct flow *f)
{
	return &f->side[f->pif[INI] == PIF_TAP ? INI : TGT];
}

static const struct flowside *host_side(const struct flow *f)
{
	return &f->side[f->pif[INI] == PIF_TAP ? TGT : INI];
}

/**
 * udp_init() - No flows
 * @u:		Zeroed
 * @conf, @guest, @dns, @flows, @tap, @loop:	What it works on
 */
void udp_init(struct udp *u, const struct conf *conf,
	      const struct guest *guest, const struct dns *dns,
	      struct flow_table *flows, struct tap *tap, struct loop *loop)
{
	u->conf = conf;
	u->guest = guest;
	u->dns = dns;
	u->flows = flows;
	u->tap = tap;
	u->loop = loop;
	u->blocked = FLOW_NONE;
}

/* ---- Life ---- */

static uint64_t deadline_ms(struct flow *f)
{
	const struct udp_flow *uf = priv(f);

	if (host_side(f)->eport == UDP_PORT_DNS)
		return f->last_ms + TIMEOUT_DNS_MS;
	return f->last_ms +
	       (uf->seen == SEEN_BOTH ? TIMEOUT_MS : TIMEOUT_ONE_WAY_MS);
}

static void touch(const struct udp *u, struct flow *f, uint8_t seen)
{
	priv(f)->seen |= seen;
	f->last_ms = u->loop->now_ms;
	if (priv(f)->seen == SEEN_BOTH)
		flow_set_rank(u->flows, f, FLOW_ANSWERED);
}

static void block(struct udp *u, struct flow *f)
{
	struct udp_flow *uf = priv(f);

	if (uf->blocked)
		return;
	uf->blocked = true;
	f->list_prev = FLOW_NONE;
	f->list_next = u->blocked;
	if (u->blocked != FLOW_NONE)
		flow_at(u->flows, u->blocked)->list_prev =
			flow_index(u->flows, f);
	u->blocked = flow_index(u->flows, f);
	loop_mod(u->loop, uf->fd, 0, flow_ref(u->flows, f, REF_UDP, TGT));
}

static void unblock(struct udp *u, struct flow *f)
{
	if (!priv(f)->blocked)
		return;
	priv(f)->blocked = false;
	if (f->list_prev == FLOW_NONE)
		u->blocked = f->list_next;
	else
		flow_at(u->flows, f->list_prev)->list_next = f->list_next;
	if (f->list_next != FLOW_NONE)
		flow_at(u->flows, f->list_next)->list_prev = f->list_prev;
}

static bool through_tap(const struct flow *f)
{
	return f->proto == IPPROTO_UDP &&
	       (f->pif[INI] == PIF_TAP || f->pif[TGT] == PIF_TAP);
}

/* #syscalls close */
static void udp_close(struct udp *u, struct flow *f)
{
	unblock(u, f);
	if (priv(f)->kind != SHARED)
		close(priv(f)->fd);	/* epoll forgets it, too */
	flow_free(u->flows, u->loop, f);
}

static void udp_end(struct udp *u, struct flow *f, const char *why)
{
	char s[FLOW_STRLEN];

	debug("%s: closed, %s", flow_str(u->flows, f, s), why);
	udp_close(u, f);
}

/**
 * udp_evict() - End a flow
 * @u:		UDP
 * @f:		The flow
 */
void udp_evict(struct udp *u, struct flow *f)
{
	udp_end(u, f, "there are too many");
}

static bool no_descriptors(int error)
{
	return error == EMFILE || error == ENFILE;
}

static bool no_resources(int error)
{
	return no_descriptors(error) || error == ENOBUFS || error == ENOMEM ||
	       error == ENOSPC;
}

/* ---- New flows ---- */

/* Watch the socket, if it is the flow's own; 0 or negative errno */
static int flow_watch(struct udp *u, struct flow *f)
{
	if (priv(f)->kind == SHARED)
		return 0;
	return loop_add(u->loop, priv(f)->fd, EPOLLIN,
			flow_ref(u->flows, f, REF_UDP, TGT));
}

/**
 * flow_start() - A flow of these sides, which may be found from now on
 * @u:		UDP
 * @ini, @ini_pif:	Initiating side
 * @tgt, @tgt_pif:	Target side
 * @uf:		State; its socket is owned by the flow if there is one, unless
 *		that is shared
 *
 * Return: the flow, NULL with @*error set if there can't be one
 */
static struct flow *flow_start(struct udp *u, const struct flowside *ini,
			       enum pif ini_pif, const struct flowside *tgt,
			       enum pif tgt_pif, const struct udp_flow *uf,
			       int *error)
{
	struct flow *f;
	char s[FLOW_STRLEN];
	int rc;

	f = flow_alloc(u->flows, IPPROTO_UDP, FLOW_DATAGRAM,
		       uf->kind != SHARED, u->loop->now_ms);
	*error = ENOSPC;
	if (!f)
		return NULL;
	f->pif[INI] = (uint8_t)ini_pif;
	f->pif[TGT] = (uint8_t)tgt_pif;
	f->side[INI] = *ini;
	f->side[TGT] = *tgt;
	*priv(f) = *uf;
	priv(f)->v4 = inany_is_v4(&ini->eaddr);
	priv(f)->gso_max = UINT16_MAX;
	priv(f)->want = 1;

	rc = flow_watch(u, f);
	if (rc) {
		*error = -rc;
		flow_free(u->flows, u->loop, f);
		return NULL;
	}
	flow_hash_insert(u->flows, f, INI);
	if (tgt_pif == PIF_TAP)
		flow_hash_insert(u->flows, f, TGT);
	f->timer.ref = flow_ref(u->flows, f, REF_UDP, TGT);
	wheel_arm(&u->loop->wheel, &f->timer, deadline_ms(f));
	debug("%s: new", flow_str(u->flows, f, s));
	return f;
}

/* DHCP clients talk to services of ours, not to the host's */
static bool is_for_service(const struct udp *u, const struct flowside *tap,
			   bool to_many)
{
	static const uint16_t ports[] = { 67, 68, 546, 547 };
	unsigned i;

	if (!to_many && !fwd_is_ours(u->conf, &tap->oaddr))
		return false;
	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (tap->oport == ports[i])
			return true;
	return false;
}

/* Is this for no single host? */
static bool is_to_many(const struct conf *c, const union inany *dst)
{
	return inany_is_multicast(dst) || fwd_is_broadcast(c, dst);
}

/* The key of all multicast and broadcast of one port: no address, port 0 */
static struct flowside key_to_many(const struct flowside *tap)
{
	const struct in_addr any4 = { .s_addr = htonl(INADDR_ANY) };
	bool v4 = inany_is_v4(&tap->eaddr);

	return (struct flowside){
		.eaddr = tap->eaddr, .eport = tap->eport,
		.oaddr = v4 ? inany_from_v4(any4) :
			      inany_from_v6(&in6addr_any),
	};
}

/* Multicast that is for the guest's own link, and for no service of ours */
static bool may_leave(const struct udp *u, const struct flowside *tap)
{
	const struct conf_ip *ip = inany_is_v4(&tap->oaddr) ? &u->conf->ip4 :
							      &u->conf->ip6;

	return ip->enabled && tap->oport && !is_for_service(u, tap, true) &&
	       inany_is_v4(&tap->oaddr) == inany_is_v4(&tap->eaddr) &&
	       inany_is_unicast(&tap->eaddr) &&
	       !inany_is_loopback(&tap->eaddr) &&
	       !IN6_IS_ADDR_MC_NODELOCAL(&tap->oaddr.a6);
}

/* The host side of that: what to bind, no peer */
static struct flowside host_to_many(const struct udp *u,
				    const struct flowside *key)
{
	const struct conf_ip *ip = inany_is_v4(&key->eaddr) ? &u->conf->ip4 :
							      &u->conf->ip6;
	struct flowside host = {
		.oaddr = key->oaddr, .oport = key->eport, .eaddr = key->oaddr,
	};

	if (inany_is_set(&ip->outbound_addr))
		host.oaddr = ip->outbound_addr;
	return host;
}

/* The socket for a flow that the guest starts; if need be another flow ends */
static int socket_for_guest(struct udp *u, const struct flowside *host,
			    bool to_many)
{
	unsigned scope = fwd_scope(u->conf, u->dns, &host->eaddr), i;
	int fd = -EMFILE;

	for (i = 0; i < 2; i++) {
		fd = to_many ? udp_sock_to_many(u->conf, host) :
			       udp_sock_outbound(u->conf, host, scope,
						 frame_can_uso(u->tap));
		if (fd >= 0 || !no_descriptors(-fd) ||
		    !flow_evict(u->flows, FLOW_DATAGRAM, u->loop->now_ms))
			break;
	}
	return fd;
}

/* The host says no to the first datagram of a flow */
static void refuse(struct udp *u, const struct flowside *tap,
		   const struct flowside *host, const struct pkt *p, int error)
{
	struct icmperr e;

	if (no_resources(error)) {
		warn_limited("UDP: no resources for a new flow (error %i)",
			     error);
		return;
	}
	if (icmperr_from_errno(error, host, &e))
		icmperr_send_pkt(&e, u->tap, u->conf, u->guest, tap, host, p);
}

/**
 * flow_from_guest() - A new flow
 * @u:		UDP
 * @key:	Its tap side
 * @tap:	What the guest dialled, the same but for TO_MANY
 * @p:		First datagram
 *
 * Return: the flow; NULL if there can't be one, the guest was told where due
 */
/* #syscalls close */
static struct flow *flow_from_guest(struct udp *u, const struct flowside *key,
				    const struct flowside *tap,
				    const struct pkt *p)
{
	bool to_many = is_to_many(u->conf, &tap->oaddr);
	struct udp_flow uf = { .kind = to_many ? TO_MANY : CONNECTED };
	struct flowside host;
	struct flow *f;
	int error;

	if (to_many) {
		if (!may_leave(u, tap))
			return NULL;
		host = host_to_many(u, key);
	} else if (is_for_service(u, tap, false) ||
		   !fwd_from_tap(u->conf, u->dns, IPPROTO_UDP, tap, &host)) {
		return NULL;
	}
	uf.fd = socket_for_guest(u, &host, to_many);
	if (uf.fd < 0) {
		refuse(u, tap, &host, p, -uf.fd);
		return NULL;
	}
	f = flow_start(u, key, PIF_TAP, &host, PIF_HOST, &uf, &error);
	if (!f) {
		close(uf.fd);
		refuse(u, tap, &host, p, error);
	}
	return f;
}

/* ---- Errors ---- */

/* Pass on an error about a datagram that the guest sent */
static void pass_error(struct udp *u, struct flow *f, const struct icmperr *e)
{
	const struct flowside *tap = tap_side(f);
	const struct udp_hdr quoted = {
		.sport = htons(tap->eport), .dport = htons(tap->oport),
		.len = htons((uint16_t)(sizeof(quoted) + e->len)),
	};

	if (priv(f)->kind == CONNECTED)
		icmperr_send(e, u->tap, u->conf, u->guest, tap, host_side(f),
			     IPPROTO_UDP, &quoted, sizeof(quoted));
}

/* Pass on what the error queue holds; return the MTU that a datagram was over,
 * if the host itself says so, else 0 */
static uint32_t read_errors(struct udp *u, struct flow *f)
{
	struct icmperr e;
	uint32_t mtu = 0;
	unsigned n;
	int rc;

	if (priv(f)->kind == SHARED)	/* others' errors are there, too */
		return 0;
	for (n = 0; n < ERRORS_MAX; n++) {
		rc = icmperr_read(priv(f)->fd, priv(f)->v4, &e);
		if (rc == -EAGAIN)
			break;
		if (!rc && !e.local)
			pass_error(u, f, &e);
		else if (!rc && icmperr_is_too_big(&e))
			mtu = e.word;
	}
	if (!n)
		udp_sock_clear_error(priv(f)->fd);
	return mtu;
}

/* ---- Guest to host ---- */

/**
 * struct cursor - Where we are in a run of datagrams of one flow
 * @pkts, @n:	The run
 * @i:		Packet
 * @off:	Offset in its payload, for unsegmented ones
 */
struct cursor {
	const struct pkt *pkts;
	unsigned n, i;
	size_t off;
};

/* Bytes of a datagram: those of a segment for an unsegmented frame */
static size_t datagram_len(const struct pkt *p)
{
	if (p->off.gso_type == VNET_GSO_UDP_L4 && p->len > p->off.gso_size)
		return p->off.gso_size;
	return p->len;
}

/* Add @bytes of the current packet to a message, step over them */
static void take(struct cursor *c, struct msghdr *mh, size_t bytes)
{
	const struct pkt *p = &c->pkts[c->i];

	mh->msg_iov[mh->msg_iovlen++] = (struct iovec){
		(void *)(p->payload + c->off), bytes
	};
	c->off += bytes;
	if (c->off >= p->len) {
		c->off = 0;
		c->i++;
	}
}

/* Following datagrams of @size bytes, and a last shorter one: how many taken */
static unsigned take_equal(struct cursor *c, struct msghdr *mh, size_t size)
{
	size_t total = 0;
	unsigned n = 0;

	while (c->i < c->n && n < UDP_SEGMENTS_MAX) {
		const struct pkt *p = &c->pkts[c->i];
		size_t len = p->len;

		if (!len || len > size || datagram_len(p) != len ||
		    total + len > UDP_MESSAGE_MAX)
			break;
		take(c, mh, len);
		total += len;
		n++;
		if (len < size)
			break;
	}
	return n;
}

/* The next message: one datagram, or as many as one call may carry; true
 * then */
static bool build_message(struct cursor *c, struct msghdr *mh, size_t gso_max)
{
	const struct pkt *p = &c->pkts[c->i];
	size_t size = datagram_len(p), left = p->len - c->off, bytes;
	bool segmented;

	if (size > gso_max || !size) {
		take(c, mh, left < size ? left : size);
		return false;
	}
	if (p->len > size) {
		bytes = size < UDP_MESSAGE_MAX ? UDP_MESSAGE_MAX / size : 1;
		if (bytes > UDP_SEGMENTS_MAX)
			bytes = UDP_SEGMENTS_MAX;
		bytes *= size;
		if (bytes > left)
			bytes = left;
		take(c, mh, bytes);
		segmented = bytes > size;
	} else {
		segmented = take_equal(c, mh, size) > 1;
	}
	if (segmented)
		udp_put_segment_size(mh, (uint16_t)size);
	return segmented;
}

/* Build messages from @c on; @at[k] is where the k-th starts, and the end */
static unsigned build(struct udp_io *io, const struct udp_dest *d,
		      struct cursor c, size_t gso_max,
		      struct cursor at[UDP_TX_MSGS + 1])
{
	const size_t iov_max = sizeof(io->iov) / sizeof(io->iov[0]);
	size_t used = 0;
	unsigned k;

	for (k = 0; k < UDP_TX_MSGS && c.i < c.n; k++) {
		struct msghdr *mh = &io->mm[k].msg_hdr;

		if (used + UDP_SEGMENTS_MAX > iov_max && k)
			break;
		*mh = udp_message_to(d, io->iov + used, io->control[k].buf);
		at[k] = c;
		io->segmented[k] = build_message(&c, mh, gso_max);
		used += mh->msg_iovlen;
	}
	at[k] = c;
	return k;
}

/* Is this about segmentation? Then try smaller ones, or none */
static bool lower_gso(struct udp_flow *uf, size_t size, int error)
{
	switch (error) {
	case EIO:				/* the device can't checksum */
		uf->gso_max = 0;
		return true;
	case EINVAL:				/* unknown, or as below */
		uf->gso_max = (uint16_t)(size / 2);
		return true;
	case EMSGSIZE:				/* over the path's MTU */
		uf->gso_max = (uint16_t)(size - 1);
		return true;
	default:
		return false;
	}
}

/* Over the MTU and not to be fragmented, or another reason: the guest is
 * told */
static void tell_failed(struct udp *u, struct flow *f, const struct pkt *p,
			int error, uint32_t mtu)
{
	const struct flowside *host = host_side(f);
	struct icmperr e;

	if (priv(f)->kind == TO_MANY)
		return;
	if (error != EMSGSIZE) {
		if (!icmperr_from_errno(error, host, &e))
			return;
	} else {
		if (!mtu && priv(f)->kind == CONNECTED)
			mtu = hostsock_mtu(priv(f)->fd, priv(f)->v4);
		if (!mtu || mtu >= p->l3_len)
			return;
		icmperr_set_too_big(host, mtu, &e);
	}
	icmperr_send_pkt(&e, u->tap, u->conf, u->guest, tap_side(f), host, p);
}

/**
 * send_failed() - The first message of a batch was not sent
 * @u:		UDP
 * @f:		The flow
 * @p:		Packet that it starts with
 * @error:	Positive errno
 * @retried:	Whether errors of earlier ones are out of the way; set
 *
 * Return: true to build and send it again, false to skip it
 */
static bool send_failed(struct udp *u, struct flow *f, const struct pkt *p,
			int error, bool *retried)
{
	uint32_t mtu = 0;

	if (u->io.segmented[0] && lower_gso(priv(f), datagram_len(p), error))
		return true;
	if (error == EAGAIN || error == ENOBUFS)
		return false;
	/* It may be about an earlier datagram: once told, it is gone */
	if (!*retried) {
		*retried = true;
		mtu = read_errors(u, f);
		if (error != EMSGSIZE || !mtu)
			return true;
	}
	tell_failed(u, f, p, error, mtu);
	return false;
}

/* #syscalls sendmmsg sendmsg */
static void send_run(struct udp *u, struct flow *f, const struct udp_dest *d,
		     const struct pkt *pkts, unsigned n)
{
	struct cursor at[UDP_TX_MSGS + 1], c = { .pkts = pkts, .n = n };
	struct udp_flow *uf = priv(f);
	bool retried = false;

	while (c.i < c.n) {
		unsigned count = build(&u->io, d, c, uf->gso_max, at);
		int sent = sendmmsg(uf->fd, u->io.mm, count, MSG_NOSIGNAL);
		int error = errno;

		if (sent > 0) {
			c = at[sent];
			retried = false;
		} else if (!send_failed(u, f, &pkts[c.i], error, &retried)) {
			u->dropped++;
			c = at[1];
			/* All datagrams of a frame are as large as the first */
			if (error == EMSGSIZE && c.off)
				c = (struct cursor){ pkts, n, c.i + 1, 0 };
			retried = false;
		}
	}
}

/* Interface for link-local multicast; a socket that is bound to one knows */
static unsigned scope_to_many(const struct conf *c)
{
	return c->ip6.outbound_if[0] ? 0 : c->ip6.ifindex;
}

/* Where these go, if the socket does not know */
static struct udp_dest dest_of(const struct udp *u, struct flow *f,
			       const struct flowside *tap)
{
	const struct udp_flow *uf = priv(f);
	struct udp_dest d = { .len = 0 };

	if (uf->kind == TO_MANY)
		d.len = inany_to_sockaddr(&tap->oaddr, tap->oport,
					  scope_to_many(u->conf), &d.sa);
	else if (uf->kind == SHARED)
		d = udp_shared_dest(&uf->shared, host_side(f), uf->scope);
	return d;
}

/* TTL and TOS as the guest has them; a shared socket is not for us to change */
static void set_hops(struct flow *f, const struct pkt *p)
{
	struct udp_flow *uf = priv(f);

	if (uf->kind == SHARED)
		return;
	hostsock_set_hops(uf->fd, uf->v4, &uf->hops, p->ttl, p->tos, p->df);
	if (uf->kind == TO_MANY && uf->many_ttl != p->ttl) {
		udp_sock_set_many_ttl(uf->fd, uf->v4, p->ttl);
		uf->many_ttl = p->ttl;
	}
}

/* How many packets from the first on are alike: one flow, one way to send */
static unsigned run_len(const struct pkt *p, unsigned n)
{
	unsigned i;

	for (i = 1; i < n; i++) {
		if (p[i].udp.sport != p->udp.sport ||
		    p[i].udp.dport != p->udp.dport ||
		    p[i].ttl != p->ttl || p[i].tos != p->tos ||
		    p[i].df != p->df ||
		    !inany_equals(&p[i].src, &p->src) ||
		    !inany_equals(&p[i].dst, &p->dst))
			break;
	}
	return i;
}

/* A run of datagrams that are alike; how many went nowhere */
static unsigned input_run(struct udp *u, const struct pkt *p, unsigned n)
{
	const struct flowside tap = {
		.oaddr = p->dst, .oport = ntohs(p->udp.dport),
		.eaddr = p->src, .eport = ntohs(p->udp.sport),
	};
	const struct flowside key = is_to_many(u->conf, &p->dst) ?
				    key_to_many(&tap) : tap;
	struct udp_dest d;
	struct flow *f;

	f = flow_lookup(u->flows, IPPROTO_UDP, PIF_TAP, &key, NULL);
	if (f && priv(f)->kind == SHARED &&
	    !udp_shared_is_there(&priv(f)->shared)) {
		udp_end(u, f, "its port is not forwarded any more");
		f = NULL;
	}
	if (f && priv(f)->kind == TO_MANY && !may_leave(u, &tap))
		return n;
	if (!f)
		f = flow_from_guest(u, &key, &tap, p);
	if (!f)
		return n;
	touch(u, f, SEEN_FROM_GUEST);
	set_hops(f, p);
	d = dest_of(u, f, &tap);
	send_run(u, f, &d, p, n);
	return 0;
}

/**
 * udp_tap_input() - Datagrams from the guest
 * @u:		UDP
 * @pkts:	Packets of kind PKT_UDP
 * @n:		How many
 */
void udp_tap_input(struct udp *u, const struct pkt *pkts, unsigned n)
{
	unsigned i, run;

	if (u->conf->no_udp) {
		u->dropped += n;
		return;
	}
	for (i = 0; i < n; i += run) {
		run = run_len(&pkts[i], n - i);
		u->dropped += input_run(u, &pkts[i], run);
	}
}

/* ---- Host to guest ---- */

/* One call for up to *@left messages; false if there is nothing more, or no
 * room */
static bool read_some(struct udp *u, struct flow *f, unsigned *left)
{
	struct udp_flow *uf = priv(f);
	bool more;
	int got;

	got = udp_rx_read(u, uf->fd, tap_side(f), &uf->sizes, *left, &more);
	if (got == -ENOBUFS)
		block(u, f);
	if (got <= 0)
		return false;
	touch(u, f, SEEN_FROM_HOST);
	*left -= (unsigned)got;
	return more;
}

/*
 * The socket is watched level-triggered, so reading less than there is loses
 * nothing, and finding out that there is nothing more costs a call. So ask for
 * as much as there was last time, for more once that was too little twice.
 */
static void read_all(struct udp *u, struct flow *f)
{
	struct udp_flow *uf = priv(f);
	unsigned left = uf->want;

	while (left && read_some(u, f, &left))
		;
	if (left) {
		uf->want = left < uf->want ? (uint8_t)(uf->want - left) : 1;
		uf->full = 0;
	} else if (++uf->full == 2) {
		uf->full = 0;
		if (uf->want < WANT_MAX)
			uf->want *= 2;
	}
}

/* ---- With the sender's address ---- */

/* Receive into buffers of ours, with senders; how many */
/* #syscalls recvmmsg recvmsg */
static unsigned recv_named(struct udp *u, int fd)
{
	struct udp_io *io = &u->io;
	unsigned k;
	int got;

	for (k = 0; k < UDP_RX_MSGS; k++) {
		io->iov[k] = (struct iovec){ io->tail[k], sizeof(io->tail[k]) };
		io->mm[k].msg_hdr = (struct msghdr){
			.msg_name = &io->name[k],
			.msg_namelen = sizeof(io->name[k]),
			.msg_iov = &io->iov[k], .msg_iovlen = 1,
			.msg_control = io->control[k].buf,
			.msg_controllen = sizeof(io->control[k].buf),
		};
	}
	got = recvmmsg(fd, io->mm, UDP_RX_MSGS, MSG_DONTWAIT, NULL);
	return got > 0 ? (unsigned)got : 0;
}

/* Answers to multicast and broadcast, from whom they come */
static void read_from_many(struct udp *u, struct flow *f)
{
	unsigned n = recv_named(u, priv(f)->fd), k;

	for (k = 0; k < n; k++) {
		struct flowside s = *tap_side(f);
		struct udp_meta m;

		udp_meta_get(&m, &u->io.mm[k]);
		if (!inany_is_unicast(&m.src) || inany_is_loopback(&m.src) ||
		    fwd_is_guests(u->conf, u->guest, &m.src) || !m.sport)
			continue;
		s.oaddr = m.src;
		s.oport = m.sport;
		touch(u, f, SEEN_FROM_HOST);
		udp_rx_copy(u, &s, &m, u->io.tail[k]);
	}
}

/**
 * udp_sock_event() - A socket is readable or has an error
 * @u:		UDP
 * @f:		Its flow
 * @events:	EPOLLIN, EPOLLERR
 */
void udp_sock_event(struct udp *u, struct flow *f, uint32_t events)
{
	if (events & EPOLLERR)
		read_errors(u, f);
	if (!(events & EPOLLIN))
		return;
	if (priv(f)->kind == TO_MANY)
		read_from_many(u, f);
	else
		read_all(u, f);
}

/* ---- Inbound flows ---- */

/**
 * struct inbound - A listening socket that is read
 * @fd, @rule, @port:	The socket
 * @last_src, @last_sport:	Who sent the last datagram of a batch
 * @n, @fresh:	Flows started meanwhile, whose sockets may have got datagrams of
 *		others before they were connected
 */
struct inbound {
	int fd;
	const struct fwd_rule *rule;
	uint16_t port, last_sport;
	union inany last_src;
	unsigned n;
	union epoll_ref fresh[FRESH_MAX];
};

/* Own socket for an inbound flow if it can have one, else the listener's */
static void socket_for_peer(struct udp *u, const struct inbound *in,
			    const struct flowside *host, struct udp_flow *uf)
{
	unsigned i;

	udp_shared_set(&uf->shared, in->fd);
	uf->kind = CONNECTED;
	for (i = 0; i < 2 && in->n < FRESH_MAX; i++) {
		uf->fd = udp_sock_inbound(u->conf, host, uf->scope,
					  in->rule->ifname,
					  frame_can_uso(u->tap));
		if (uf->fd >= 0)
			return;
		if (!no_descriptors(-uf->fd) ||
		    !flow_evict(u->flows, FLOW_DATAGRAM, u->loop->now_ms))
			break;
	}
	uf->kind = SHARED;
	uf->fd = in->fd;
}

/**
 * udp_listener_gone() - End the flows of listening sockets that are closed
 * @u:		UDP
 */
void udp_listener_gone(struct udp *u)
{
	struct flow *f;
	uint32_t i;

	for (i = 0; i < u->flows->high; i++) {
		f = flow_at(u->flows, i);
		if (f && f->proto == IPPROTO_UDP && through_tap(f) &&
		    f->pif[INI] == PIF_HOST &&
		    !udp_shared_is_there(&priv(f)->shared))
			udp_end(u, f, "its port is not forwarded any more");
	}
}

/* A flow of the guest's with the same addresses and ports at the tap, or NULL.
 * One that came in by another port ends: the peer uses this one now */
static struct flow *same_at_tap(struct udp *u, const struct flowside *tap)
{
	struct flow *f = flow_lookup(u->flows, IPPROTO_UDP, PIF_TAP, tap, NULL);

	if (!f || f->pif[INI] == PIF_TAP)
		return f;
	udp_end(u, f, "its peer uses another port");
	return NULL;
}

/* #syscalls close */
static struct flow *flow_from_peer(struct udp *u, struct inbound *in,
				   const struct flowside *host,
				   const struct flowside *tap, unsigned scope)
{
	struct udp_flow uf = { .scope = scope };
	struct flow *f = same_at_tap(u, tap);
	int error;

	if (f)
		return f;
	socket_for_peer(u, in, host, &uf);
	f = flow_start(u, host, PIF_HOST, tap, PIF_TAP, &uf, &error);
	if (!f) {
		warn_limited("UDP: no resources for a new flow (error %i)",
			     error);
		if (uf.kind == CONNECTED)
			close(uf.fd);
	} else if (uf.kind == CONNECTED) {
		in->fresh[in->n++] = f->timer.ref;
	}
	return f;
}

/* One that a listening socket got, or that was meant for it */
static void inbound_datagram(struct udp *u, struct inbound *in,
			     const struct udp_meta *m, const uint8_t *data)
{
	const struct flowside host = {
		.oaddr = m->dst, .oport = in->port,
		.eaddr = m->src, .eport = m->sport,
	};
	struct flowside tgt;
	struct flow *f;

	f = flow_lookup(u->flows, IPPROTO_UDP, PIF_HOST, &host, NULL);
	if (f && !through_tap(f)) {
		udp_splice_datagram(u->splice, f, m, data);
		return;
	}
	if (!f) {
		switch (fwd_from_host(u->conf, u->guest, in->rule, &host, &tgt)) {
		case PIF_TAP:
			f = flow_from_peer(u, in, &host, &tgt, m->scope);
			break;
		case PIF_SPLICE:
			if (u->splice)
				udp_splice_from_host(u->splice, in->rule, in->fd,
						     &host, &tgt, m, data);
			return;
		default:
			break;
		}
	}
	if (!f) {
		u->lost++;
		return;
	}
	touch(u, f, SEEN_FROM_HOST);
	udp_rx_copy(u, tap_side(f), m, data);
}

/* The address that a datagram was sent to, if the socket didn't say so */
static void default_dst(struct udp_meta *m, const union inany *dst)
{
	const struct in_addr any4 = { .s_addr = htonl(INADDR_ANY) };

	if (inany_is_set(&m->dst) && !inany_is_multicast(&m->dst))
		return;
	if (inany_is_set(dst))
		m->dst = *dst;
	else if (inany_is_v4(&m->src))
		m->dst = inany_from_v4(any4);
	else
		m->dst = inany_from_v6(&in6addr_any);
}

/* One batch of what is in @fd, sent to @dst unless it says otherwise */
static unsigned inbound_batch(struct udp *u, struct inbound *in, int fd,
			      const union inany *dst)
{
	unsigned n = recv_named(u, fd), k;

	for (k = 0; k < n; k++) {
		struct udp_meta m;

		udp_meta_get(&m, &u->io.mm[k]);
		default_dst(&m, dst);
		inbound_datagram(u, in, &m, u->io.tail[k]);
		in->last_src = m.src;
		in->last_sport = m.sport;
	}
	return n;
}

/* Is there nothing left of others in the socket of a flow? What came in after
 * it was connected, and so behind theirs, is all from its peer */
static bool is_through(const struct inbound *in, const struct flowside *host)
{
	return in->last_sport == host->eport &&
	       inany_equals(&in->last_src, &host->eaddr);
}

/* Sockets of new flows: what they got before they were connected */
static void inbound_fresh(struct udp *u, struct inbound *in)
{
	unsigned i;

	for (i = 0; i < in->n; i++) {
		struct flow *f = flow_from_ref(u->flows, in->fresh[i]);
		struct flowside host;
		unsigned n = UDP_RX_MSGS;

		while (f && n == UDP_RX_MSGS) {
			host = *host_side(f);
			n = inbound_batch(u, in, priv(f)->fd, &host.oaddr);
			if (is_through(in, &host))
				break;
			f = flow_from_ref(u->flows, in->fresh[i]);
		}
	}
}

/**
 * udp_listen_event() - A listening socket has datagrams of peers
 * @u:		UDP
 * @fd:		The socket, bound; with IP_PKTINFO, IPV6_RECVPKTINFO where it is not
 *		to one address; with SO_REUSEPORT set after that
 * @r:		Its rule
 * @port:	What it is bound to, host order
 */
void udp_listen_event(struct udp *u, int fd, const struct fwd_rule *r,
		      uint16_t port)
{
	struct inbound in = { .fd = fd, .rule = r, .port = port };
	unsigned i;

	for (i = 0; i < LISTEN_READS; i++)
		if (inbound_batch(u, &in, fd, &r->addr) < UDP_RX_MSGS)
			break;
	inbound_fresh(u, &in);
}

/**
 * udp_tap_writable() - There is room in the tap again
 * @u:		UDP
 *
 * Sockets that wait are watched again; those with data report it at once.
 */
void udp_tap_writable(struct udp *u)
{
	while (u->blocked != FLOW_NONE) {
		struct flow *f = flow_at(u->flows, u->blocked);

		unblock(u, f);
		loop_mod(u->loop, priv(f)->fd, EPOLLIN,
			 flow_ref(u->flows, f, REF_UDP, TGT));
	}
}

/**
 * udp_timer() - The timer of a flow fired: it ends, unless there was traffic
 * @u:		UDP
 * @f:		The flow
 */
void udp_timer(struct udp *u, struct flow *f)
{
	uint64_t at_ms = deadline_ms(f);

	if (at_ms > u->loop->now_ms)
		wheel_arm(&u->loop->wheel, &f->timer, at_ms);
	else
		udp_end(u, f, "idle");
}
