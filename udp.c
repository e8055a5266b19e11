/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp.c - UDP flows: one connected socket each
 *
 * A flow starts with the first datagram of the guest to a destination. Its
 * socket is bound to the guest's own source port where that is free, shared by
 * all flows of that port (SO_REUSEPORT): so the port shows through, and the
 * mapping does not depend on the destination (RFC 4787, REQ-1). Being connected,
 * it gets what comes from the destination and nothing else, and the kernel finds
 * the flow for us.
 *
 * Guest to host: runs of datagrams of one flow go out with one sendmmsg();
 * unsegmented frames and equal datagrams in a row as one message with
 * UDP_SEGMENT, until the kernel says for what size that does not work.
 *
 * Host to guest: datagrams are received into lent frames. With UDP_GRO, what the
 * kernel has put together becomes one unsegmented frame. What it has not, if one
 * size comes in a row, we put together: the next ones are received one behind
 * the other, as if they had that size, and where one has not, it is moved. If
 * there is no room in the tap, datagrams stay in the socket.
 *
 * Life (RFC 4787, REQ-5, 6): idle for 60 s, or 180 s once there was an answer; a
 * question to a name server 15 s. The timer is not touched by traffic: when it
 * fires it looks at the time of the last datagram.
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
#include "icmperr.h"
#include "log.h"
#include "loop.h"
#include "wire.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103		/* Linux 4.18 */
#endif
#ifndef UDP_GRO
#define UDP_GRO		104		/* Linux 5.0 */
#endif
#ifndef SOL_UDP
#define SOL_UDP		IPPROTO_UDP
#endif

#define SEGMENTS_MAX	64		/* of one message: udp(7) */
#define MESSAGE_MAX	65507		/* bytes of it, IPv4 */
#define WANT_MAX	64		/* messages read for one event */
#define ERRORS_MAX	16		/* taken out of the queue for one event */
#define PACK_AFTER	4		/* datagrams of one size in a row */
#define PORT_DNS	53
#define BUFFER		(4 << 20)	/* wish: the host's limit is far below */

#define TIMEOUT_DNS_MS		15000
#define TIMEOUT_ONE_WAY_MS	60000
#define TIMEOUT_MS		180000

/**
 * struct udp_flow - In flow->priv
 * @fd:		Connected socket
 * @v4:		Family
 * @replied:	Something came back
 * @blocked:	In the list of flows that wait for the tap
 * @ttl, @tos:	As set on the socket, 0: the host's default
 * @streak:	Datagrams of @size received in a row, counted to PACK_AFTER
 * @want:	Messages to read at the next event
 * @full:	Events in a row that had as many
 * @size:	Bytes of the last received datagram
 * @gso_max:	Largest datagram to be sent with UDP_SEGMENT
 * @last_ms:	Time of the last datagram, either way
 */
struct udp_flow {
	int fd;
	bool v4, replied, blocked;
	uint8_t ttl, tos;
	uint8_t streak, want, full;
	uint16_t size, gso_max;
	uint64_t last_ms;
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

/* ---- Sockets ---- */

static void set_int(int fd, int level, int option, int value)
{
	/* All of these are improvements: where one fails we do without */
	setsockopt(fd, level, option, &value, sizeof(value));
}

/* #syscalls setsockopt */
static void socket_options(int fd, bool v4)
{
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (v4) {
		set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
		set_int(fd, IPPROTO_IP, IP_RECVTTL, 1);
		set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
	} else {
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
		set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	}
}

/* For more than a question and its answer */
/* #syscalls setsockopt */
static void socket_bulk_options(int fd, bool gro)
{
	set_int(fd, SOL_SOCKET, SO_RCVBUF, BUFFER);
	set_int(fd, SOL_SOCKET, SO_SNDBUF, BUFFER);
	if (gro)
		set_int(fd, SOL_UDP, UDP_GRO, 1);
}

/* Is the socket connected to itself? Guest's port and destination's are equal,
 * and the destination is an address of this host */
/* #syscalls getsockname */
static bool socket_is_own_peer(int fd, const struct flowside *host)
{
	union sockaddr_inany sa;
	socklen_t len = sizeof(sa);
	union inany addr;
	uint16_t port;

	if (getsockname(fd, &sa.sa, &len) ||
	    !inany_from_sockaddr(&sa, &addr, &port))
		return false;
	return port == host->eport && inany_equals(&addr, &host->eaddr);
}

/* Datagrams of others may have come in before connect(): not for this flow */
/* #syscalls recvfrom recv */
static void socket_drain(int fd)
{
	uint8_t byte;
	unsigned i;

	for (i = 0; i < UDP_RX_MSGS; i++)
		if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) < 0)
			break;
}

/* Bind to @port, or to any if 0, and connect; negative errno on failure */
/* #syscalls socket bind connect close */
static int socket_connected(const struct flowside *host, uint16_t port,
			    unsigned scope, bool gro)
{
	bool v4 = inany_is_v4(&host->eaddr);
	union sockaddr_inany sa;
	socklen_t len;
	int fd, error;

	fd = socket(v4 ? AF_INET : AF_INET6,
		    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	socket_options(fd, v4);
	if (host->eport != PORT_DNS)
		socket_bulk_options(fd, gro);

	len = inany_to_sockaddr(&host->oaddr, port, scope, &sa);
	if (bind(fd, &sa.sa, len)) {
		len = inany_to_sockaddr(&host->oaddr, 0, scope, &sa);
		if (bind(fd, &sa.sa, len))
			goto fail;
	}
	len = inany_to_sockaddr(&host->eaddr, host->eport, scope, &sa);
	if (connect(fd, &sa.sa, len))
		goto fail;
	socket_drain(fd);
	return fd;

fail:
	error = errno;
	close(fd);
	return -error;
}

static int socket_new(const struct udp *u, const struct flowside *host)
{
	unsigned scope = inany_is_linklocal(&host->eaddr) ?
			 u->conf->ip6.ifindex : 0;
	bool gro = frame_can_uso(u->tap);
	int fd = socket_connected(host, host->oport, scope, gro);

	if (fd >= 0 && host->oport == host->eport &&
	    socket_is_own_peer(fd, host)) {
		close(fd);
		fd = socket_connected(host, 0, scope, gro);
	}
	return fd;
}

/* ---- Flows ---- */

static uint64_t deadline_ms(struct flow *f)
{
	const struct udp_flow *uf = priv(f);

	if (tap_side(f)->oport == PORT_DNS)
		return uf->last_ms + TIMEOUT_DNS_MS;
	return uf->last_ms + (uf->replied ? TIMEOUT_MS : TIMEOUT_ONE_WAY_MS);
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

/* #syscalls close */
static void udp_close(struct udp *u, struct flow *f)
{
	char s[FLOW_STRLEN];

	debug("%s: closed", flow_str(u->flows, f, s));
	unblock(u, f);
	close(priv(f)->fd);		/* epoll forgets it, too */
	flow_free(u->flows, u->loop, f);
}

static int flow_start(struct udp *u, struct flow *f, int fd)
{
	struct udp_flow *uf = priv(f);
	int rc;

	uf->fd = fd;
	uf->v4 = inany_is_v4(&host_side(f)->eaddr);
	uf->gso_max = UINT16_MAX;
	uf->want = 1;
	uf->last_ms = u->loop->now_ms;
	rc = loop_add(u->loop, fd, EPOLLIN,
		      flow_ref(u->flows, f, REF_UDP, TGT));
	if (rc) {
		flow_free(u->flows, u->loop, f);
		return rc;
	}
	flow_hash_insert(u->flows, f, INI);
	f->timer.ref = flow_ref(u->flows, f, REF_UDP, TGT);
	wheel_arm(&u->loop->wheel, &f->timer, deadline_ms(f));
	return 0;
}

/* The host says no to the first datagram of a flow */
static void refuse(struct udp *u, const struct flowside *tap,
		   const struct flowside *host, const struct pkt *p, int error)
{
	struct icmperr e;

	if (error == EMFILE || error == ENFILE || error == ENOBUFS ||
	    error == ENOMEM || error == ENOSPC) {
		warn_limited("UDP: no resources for a new flow (error %i)",
			     error);
		return;
	}
	if (icmperr_from_errno(error, host, &e))
		icmperr_send_pkt(&e, u->tap, u->conf, u->guest, tap, host, p);
}

/* DHCP clients talk to services of ours, not to the host's */
static bool is_for_service(const struct udp *u, const struct flowside *tap)
{
	static const uint16_t ports[] = { 67, 68, 546, 547 };
	unsigned i;

	if (!fwd_is_ours(u->conf, &tap->oaddr))
		return false;
	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (tap->oport == ports[i])
			return true;
	return false;
}

/* #syscalls close */
static struct flow *flow_new(struct udp *u, const struct flowside *tap,
			     const struct pkt *p)
{
	struct flowside host;
	char s[FLOW_STRLEN];
	struct flow *f;
	int fd, rc;

	if (is_for_service(u, tap) ||
	    !fwd_from_tap(u->conf, u->dns, IPPROTO_UDP, tap, &host))
		return NULL;
	fd = socket_new(u, &host);
	if (fd < 0) {
		refuse(u, tap, &host, p, -fd);
		return NULL;
	}
	f = flow_alloc(u->flows, IPPROTO_UDP);
	if (!f) {
		close(fd);
		refuse(u, tap, &host, p, ENOSPC);
		return NULL;
	}
	f->pif[INI] = PIF_TAP;
	f->pif[TGT] = PIF_HOST;
	f->side[INI] = *tap;
	f->side[TGT] = host;
	rc = flow_start(u, f, fd);
	if (rc) {
		close(fd);
		refuse(u, tap, &host, p, -rc);
		return NULL;
	}
	debug("%s: new", flow_str(u->flows, f, s));
	return f;
}

/* ---- Errors ---- */

/* Pass on what the error queue holds; how many were taken */
/* #syscalls getsockopt */
static unsigned read_errors(struct udp *u, struct flow *f)
{
	const struct flowside *tap = tap_side(f);
	const struct udp_hdr h = {
		.sport = htons(tap->eport), .dport = htons(tap->oport),
	};
	socklen_t len = sizeof(int);
	struct icmperr e;
	unsigned n;
	int error;

	for (n = 0; n < ERRORS_MAX; n++) {
		struct udp_hdr quoted = h;
		int rc = icmperr_read(priv(f)->fd, priv(f)->v4, &e);

		if (rc == -EAGAIN)
			break;
		if (rc)
			continue;
		quoted.len = htons((uint16_t)(sizeof(h) + e.len));
		icmperr_send(&e, u->tap, u->conf, u->guest, tap, host_side(f),
			     IPPROTO_UDP, &quoted, sizeof(quoted));
	}
	/* An error without an entry, or EPOLLERR would stay */
	if (!n)
		getsockopt(priv(f)->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return n;
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

	while (c->i < c->n && n < SEGMENTS_MAX) {
		const struct pkt *p = &c->pkts[c->i];
		size_t len = p->len;

		if (!len || len > size || datagram_len(p) != len ||
		    total + len > MESSAGE_MAX)
			break;
		take(c, mh, len);
		total += len;
		n++;
		if (len < size)
			break;
	}
	return n;
}

static void put_segment_size(struct msghdr *mh, void *control, uint16_t size)
{
	struct cmsghdr *cm;

	mh->msg_control = control;
	mh->msg_controllen = CMSG_SPACE(sizeof(size));
	cm = CMSG_FIRSTHDR(mh);
	cm->cmsg_level = SOL_UDP;
	cm->cmsg_type = UDP_SEGMENT;
	cm->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(cm), &size, sizeof(size));
}

/* The next message: one datagram, or as many as one call may carry */
static void build_message(struct cursor *c, struct msghdr *mh, void *control,
			  size_t gso_max)
{
	const struct pkt *p = &c->pkts[c->i];
	size_t size = datagram_len(p), left = p->len - c->off, bytes;
	bool segmented;

	if (size > gso_max || !size) {
		take(c, mh, left < size ? left : size);
		return;
	}
	if (p->len > size) {
		bytes = size < MESSAGE_MAX ? MESSAGE_MAX / size : 1;
		if (bytes > SEGMENTS_MAX)
			bytes = SEGMENTS_MAX;
		bytes *= size;
		if (bytes > left)
			bytes = left;
		take(c, mh, bytes);
		segmented = bytes > size;
	} else {
		segmented = take_equal(c, mh, size) > 1;
	}
	if (segmented)
		put_segment_size(mh, control, (uint16_t)size);
}

/* Build messages from @c on; @at[k] is where the k-th starts, and the end */
static unsigned build(struct udp_io *io, struct cursor c, size_t gso_max,
		      struct cursor at[UDP_TX_MSGS + 1])
{
	const size_t iov_max = sizeof(io->iov) / sizeof(io->iov[0]);
	size_t used = 0;
	unsigned k;

	for (k = 0; k < UDP_TX_MSGS && c.i < c.n; k++) {
		struct msghdr *mh = &io->mm[k].msg_hdr;

		if (used + SEGMENTS_MAX > iov_max && k)
			break;
		*mh = (struct msghdr){ .msg_iov = io->iov + used };
		at[k] = c;
		build_message(&c, mh, io->control[k].buf, gso_max);
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
	struct icmperr e;

	if (u->io.mm[0].msg_hdr.msg_controllen &&
	    lower_gso(priv(f), datagram_len(p), error))
		return true;
	if (error == EAGAIN || error == ENOBUFS)
		return false;
	/* It may be about an earlier datagram: once told, it is gone */
	if (!*retried) {
		*retried = true;
		read_errors(u, f);
		return true;
	}
	if (icmperr_from_errno(error, host_side(f), &e))
		icmperr_send_pkt(&e, u->tap, u->conf, u->guest, tap_side(f),
				 host_side(f), p);
	return false;
}

/* #syscalls sendmmsg sendmsg */
static void send_run(struct udp *u, struct flow *f, const struct pkt *pkts,
		     unsigned n)
{
	struct cursor at[UDP_TX_MSGS + 1], c = { .pkts = pkts, .n = n };
	struct udp_flow *uf = priv(f);
	bool retried = false;

	while (c.i < c.n) {
		unsigned count = build(&u->io, c, uf->gso_max, at);
		int sent = sendmmsg(uf->fd, u->io.mm, count, MSG_NOSIGNAL);

		if (sent > 0) {
			c = at[sent];
			retried = false;
		} else if (!send_failed(u, f, &pkts[c.i], errno, &retried)) {
			u->dropped++;
			c = at[1];
			retried = false;
		}
	}
}

/* Hop limit and traffic class of the guest, where they changed */
/* #syscalls setsockopt */
static void set_hops(struct udp_flow *uf, const struct pkt *p)
{
	int level = uf->v4 ? IPPROTO_IP : IPPROTO_IPV6;

	if (p->ttl != (uf->ttl ? uf->ttl : IP_DEFAULT_TTL)) {
		set_int(uf->fd, level, uf->v4 ? IP_TTL : IPV6_UNICAST_HOPS,
			p->ttl);
		uf->ttl = p->ttl;
	}
	if (p->tos != uf->tos) {
		set_int(uf->fd, level, uf->v4 ? IP_TOS : IPV6_TCLASS, p->tos);
		uf->tos = p->tos;
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
		    !inany_equals(&p[i].src, &p->src) ||
		    !inany_equals(&p[i].dst, &p->dst))
			break;
	}
	return i;
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
		const struct pkt *p = &pkts[i];
		const struct flowside tap = {
			.oaddr = p->dst, .oport = ntohs(p->udp.dport),
			.eaddr = p->src, .eport = ntohs(p->udp.sport),
		};
		struct flow *f;

		run = run_len(p, n - i);
		f = flow_lookup(u->flows, IPPROTO_UDP, PIF_TAP, &tap, NULL);
		if (!f)
			f = flow_new(u, &tap, p);
		if (!f) {
			u->dropped += run;
			continue;
		}
		priv(f)->last_ms = u->loop->now_ms;
		set_hops(priv(f), p);
		send_run(u, f, p, run);
	}
}

/* ---- Host to guest ---- */

/**
 * struct rx - One recvmmsg() into lent frames
 * @frames:	Lent
 * @n:		Messages to ask for
 * @head:	Bytes of each message that go to its place in the frames
 * @pack:	All places are in the first frame, one behind the other; otherwise
 *		each message has a frame of its own
 * @got:	Messages received, with what is known about each:
 * @len, @gso_size:	Bytes, and bytes of a datagram if they are several
 * @ttl, @tos:	0 if unknown
 */
struct rx {
	struct txframe *frames;
	unsigned n, got;
	size_t head;
	bool pack;
	struct rx_meta {
		size_t len;
		uint16_t gso_size;
		uint8_t ttl, tos;
	} meta[UDP_RX_MSGS];
};

static uint8_t *rx_place(const struct rx *r, unsigned k)
{
	return r->pack ? r->frames[0].payload + k * r->head :
			 r->frames[k].payload;
}

/* Largest datagram that is one packet of the tap's MTU */
static size_t mtu_payload(const struct udp *u, bool v4)
{
	size_t hdrlen = frame_l3_hdrlen(v4) - sizeof(struct eth_hdr) +
			sizeof(struct udp_hdr);
	size_t len = u->tap->mtu - hdrlen;

	return len < UDP_LEN_MAX ? len : UDP_LEN_MAX;
}

/* How to receive, and frames for it; false if the tap has no room */
static bool rx_prepare(struct udp *u, const struct udp_flow *uf, unsigned want,
		       struct rx *r)
{
	size_t hdrlen = frame_l3_hdrlen(uf->v4) + sizeof(struct udp_hdr);
	size_t whole = mtu_payload(u, uf->v4);
	unsigned lent;

	r->n = lent = want < UDP_RX_MSGS ? want : UDP_RX_MSGS;
	r->pack = uf->streak == PACK_AFTER && frame_can_uso(u->tap) &&
		  uf->size <= whole;
	if (r->pack) {
		r->head = uf->size;
		if (r->n > MESSAGE_MAX / r->head)
			r->n = (unsigned)(MESSAGE_MAX / r->head);
		lent = 1;
		r->frames = tap_reserve(u->tap, &lent, hdrlen, r->n * r->head);
		return lent;
	}
	r->head = frame_can_jumbo(u->tap) ? UDP_LEN_MAX : whole;
	r->frames = tap_reserve(u->tap, &lent, hdrlen, r->head);
	if (r->n > lent)
		r->n = lent;
	return lent;
}

static void rx_messages(struct udp_io *io, const struct rx *r)
{
	unsigned k;

	for (k = 0; k < r->n; k++) {
		struct iovec *iov = &io->iov[2 * k];

		iov[0] = (struct iovec){ rx_place(r, k), r->head };
		iov[1] = (struct iovec){ io->tail[k] + r->head,
					 sizeof(io->tail[k]) - r->head };
		io->mm[k].msg_hdr = (struct msghdr){
			.msg_iov = iov, .msg_iovlen = 2,
			.msg_control = io->control[k].buf,
			.msg_controllen = sizeof(io->control[k].buf),
		};
	}
}

/* Value of a control message, an int or, for IP_TOS, a byte */
static int cmsg_value(const struct cmsghdr *cm)
{
	uint8_t byte;
	int v;

	if (cm->cmsg_len >= CMSG_LEN(sizeof(v))) {
		memcpy(&v, CMSG_DATA(cm), sizeof(v));
		return v;
	}
	memcpy(&byte, CMSG_DATA(cm), sizeof(byte));
	return byte;
}

static void rx_meta(struct rx_meta *m, struct mmsghdr *mm)
{
	struct msghdr *mh = &mm->msg_hdr;
	struct cmsghdr *cm;

	*m = (struct rx_meta){ .len = mm->msg_len };
	for (cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		int v = cmsg_value(cm);

		if (cm->cmsg_level == SOL_UDP && cm->cmsg_type == UDP_GRO) {
			if (v > 0 && (size_t)v < m->len)
				m->gso_size = (uint16_t)v;
		} else if (cm->cmsg_level == IPPROTO_IP) {
			if (cm->cmsg_type == IP_TTL)
				m->ttl = (uint8_t)v;
			else if (cm->cmsg_type == IP_TOS)
				m->tos = (uint8_t)v;
		} else if (cm->cmsg_level == IPPROTO_IPV6) {
			if (cm->cmsg_type == IPV6_HOPLIMIT)
				m->ttl = (uint8_t)v;
			else if (cm->cmsg_type == IPV6_TCLASS)
				m->tos = (uint8_t)v;
		}
	}
}

static void fill(struct udp *u, const struct flow *f, struct txframe *tf,
		 const struct rx_meta *m, size_t len, size_t gso_size)
{
	const struct flowside *s = tap_side(f);
	const struct frame_addr a = {
		.dst_mac = u->guest->mac, .src_mac = u->conf->our_mac,
		.src = &s->oaddr, .dst = &s->eaddr,
		.ttl = m->ttl, .tos = m->tos,
	};

	tf->len = len;
	frame_fill_udp(u->tap, tf, &a, s->oport, s->eport, (uint16_t)gso_size);
}

/* Messages at the beginning that are in place; their frames are filled */
static unsigned rx_in_place(struct udp *u, const struct flow *f, struct rx *r)
{
	size_t total = 0;
	unsigned k;

	for (k = 0; k < r->got; k++) {
		const struct rx_meta *m = &r->meta[k], *first = &r->meta[0];

		if (m->len > r->head)
			break;
		if (!r->pack) {
			fill(u, f, &r->frames[k], m, m->len, m->gso_size);
			continue;
		}
		if (!m->len || m->gso_size || total % r->head ||
		    m->ttl != first->ttl || m->tos != first->tos)
			break;
		total += m->len;
	}
	if (r->pack && k)
		fill(u, f, &r->frames[0], &r->meta[0], total, r->head);
	return k;
}

/* A message that was moved to a buffer of ours */
static void send_copy(struct udp *u, struct flow *f, const struct rx_meta *m,
		      const uint8_t *data)
{
	size_t hdrlen = frame_l3_hdrlen(priv(f)->v4) +
			sizeof(struct udp_hdr);
	const struct flowside *s = tap_side(f);
	const struct frame_addr a = {
		.dst_mac = u->guest->mac, .src_mac = u->conf->our_mac,
		.src = &s->oaddr, .dst = &s->eaddr,
		.ttl = m->ttl, .tos = m->tos,
	};
	struct txframe *tf;
	unsigned n = 1;

	if (!m->gso_size) {
		u->lost += !frame_send_udp(u->tap, &a, s->oport, s->eport,
					   data, m->len);
		return;
	}
	tf = tap_reserve(u->tap, &n, hdrlen, m->len);
	if (!n) {
		u->lost++;
		return;
	}
	memcpy(tf->payload, data, m->len);
	fill(u, f, tf, m, m->len, m->gso_size);
	u->lost += !tap_commit(u->tap, 1);
}

/* Hand over what was received. Frames end with the commit, so what is not in
 * place is moved before */
static void rx_deliver(struct udp *u, struct flow *f, struct rx *r)
{
	unsigned ready = rx_in_place(u, f, r), frames, k;

	for (k = ready; k < r->got; k++) {
		size_t len = r->meta[k].len < r->head ? r->meta[k].len : r->head;

		memcpy(u->io.tail[k], rx_place(r, k), len);
	}
	frames = r->pack && ready ? 1 : ready;
	if (frames)
		u->lost += frames - tap_commit(u->tap, frames);
	for (k = ready; k < r->got; k++)
		send_copy(u, f, &r->meta[k], u->io.tail[k]);
}

/* What sizes come: the base for receiving into one frame */
static void rx_learn(struct udp_flow *uf, const struct rx *r)
{
	unsigned k;

	for (k = 0; k < r->got; k++) {
		const struct rx_meta *m = &r->meta[k];

		if (m->gso_size || m->len != uf->size || !m->len)
			uf->streak = 0;
		else if (uf->streak < PACK_AFTER)
			uf->streak++;
		uf->size = (uint16_t)m->len;
	}
}

/* One recvmmsg() of up to *@left; false if there is nothing more, or no room */
/* #syscalls recvmmsg recvmsg */
static bool read_some(struct udp *u, struct flow *f, unsigned *left)
{
	struct udp_flow *uf = priv(f);
	struct rx r;
	unsigned k;
	int got;

	if (!rx_prepare(u, uf, *left, &r)) {
		block(u, f);
		return false;
	}
	rx_messages(&u->io, &r);
	got = recvmmsg(uf->fd, u->io.mm, r.n, MSG_DONTWAIT, NULL);
	if (got <= 0)
		return false;

	r.got = (unsigned)got;
	for (k = 0; k < r.got; k++)
		rx_meta(&r.meta[k], &u->io.mm[k]);
	uf->replied = true;
	uf->last_ms = u->loop->now_ms;
	rx_deliver(u, f, &r);
	rx_learn(uf, &r);
	*left -= r.got;
	return r.got == r.n;
}

/*
 * The socket is watched level-triggered, so reading less than there is loses
 * nothing, and finding out that there is nothing more costs a call. So ask for as
 * much as there was last time, for more once that was too little twice.
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
	if (events & EPOLLIN)
		read_all(u, f);
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
		udp_close(u, f);
}
