/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * icmp.c - Echo through ping sockets
 *
 * The host's kernel lets ordinary users send echo requests and get the replies
 * through SOCK_DGRAM sockets, one identifier each, if net.ipv4.ping_group_range
 * has their group. A flow is one identifier of the guest, to any number of
 * destinations: its socket is not connected (connect() would not filter
 * replies), and replies carry their source. Destinations on the host itself
 * are a flow of their own, since its socket uses no interface.
 *
 * The socket is bound to the guest's identifier if that is free. SO_REUSEADDR has
 * to be off: ping sockets start with it on, and two sockets with the same identifier
 * get each other's replies. If the identifier is in use, the kernel chooses another
 * one, and replies are translated back here.
 *
 * TTL (hop limit), TOS (traffic class) and "don't fragment" of the guest are set on
 * our requests. The host is no hop: the first router that answers to a small TTL is
 * the host's router. If a request with "don't fragment" exceeds the MTU of the way
 * out, the guest is told that MTU. The request is sent nevertheless, in fragments:
 * the guest's kernel sets "don't fragment" by the MTU that it knows (see udp_tx.c).
 * Other errors from the network come through the error queue, see icmperr.c.
 *
 * Idle flows end after 60 s (RFC 5508, REQ-2).
 */

#include "icmp.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "checksum.h"
#include "counters.h"
#include "frame.h"
#include "fwd.h"
#include "guest.h"
#include "hostsock.h"
#include "icmperr.h"
#include "log.h"
#include "loop.h"
#include "wire.h"

#define TIMEOUT_MS	60000
#define READS_MAX	16		/* replies and errors for one event */

/**
 * struct icmp_flow - In flow->priv
 * @fd:		Ping socket
 * @v4:		Family
 * @hops:	TTL, TOS and "don't fragment" as set on the socket
 * @id:		Identifier that the guest knows
 * @real, @asked:	An address of the host, and the address that the guest uses for
 *		it; unset: none
 */
struct icmp_flow {
	int fd;
	bool v4;
	struct hostsock_hops hops;
	be16 id;
	union inany real, asked;
};
static_assert(sizeof(struct icmp_flow) <= FLOW_PRIV, "fits into a flow");

static struct icmp_flow *icmp_flow(struct flow *f)
{
	return (struct icmp_flow *)f->priv;
}

static uint8_t icmp_proto(bool v4)
{
	return v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

/**
 * icmp_init() - Start without flows
 * @m:		Zeroed
 * @conf, @guest, @dns, @flows, @tap, @loop:	Modules and data that it uses
 */
void icmp_init(struct icmp *m, const struct conf *conf,
	       const struct hostnet *net, const struct guest *guest,
	       const struct dns *dns, struct flow_table *flows,
	       struct tap *tap, struct loop *loop)
{
	m->conf = conf;
	m->net = net;
	m->guest = guest;
	m->dns = dns;
	m->flows = flows;
	m->tap = tap;
	m->loop = loop;
}

/* Open a ping socket with identifier @id, or any if that is in use: descriptor or
 * negative errno */
/* #syscalls bind close */
static int echo_socket(const struct icmp *m, const struct flowside *host,
		       be16 id)
{
	bool v4 = inany_is_v4(&host->eaddr);
	union sockaddr_inany sa;
	socklen_t len;
	int fd, error;

	fd = hostsock_open(m->conf, m->net, &host->eaddr, SOCK_DGRAM,
			   icmp_proto(v4));
	if (fd < 0)
		return fd;
	hostsock_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	hostsock_recv_all(fd, v4);

	len = inany_to_sockaddr(&host->oaddr, ntohs(id),
				fwd_scope(m->net, m->dns, &host->oaddr), &sa);
	if (!bind(fd, &sa.sa, len))
		return fd;
	sa.sin.sin_port = 0;		/* stands where sin6_port does */
	if (!bind(fd, &sa.sa, len))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static void echo_complain(struct icmp *m, int error)
{
	if (error != EACCES && error != EPERM) {
		warn_limited_rc(error, "ICMP: no socket for a new flow");
		return;
	}
	if (m->warned)
		return;
	m->warned = true;
	warn("Echo requests can't be forwarded: the host allows ping sockets "
	     "to the groups in sysctl net.ipv4.ping_group_range only");
}

/* #syscalls close */
static struct flow *echo_start(struct icmp *m, const struct flowside *key,
			       const struct flowside *host, be16 id, int *error)
{
	bool v4 = inany_is_v4(&key->eaddr);
	int fd = echo_socket(m, host, id), rc;
	struct icmp_flow *mf;
	struct flow *f;

	if ((fd == -EMFILE || fd == -ENFILE) &&
	    flow_evict(m->flows, FLOW_ECHO, m->loop->now_ms))
		fd = echo_socket(m, host, id);
	*error = fd < 0 ? -fd : ENOSPC;
	if (fd < 0)
		return NULL;
	f = flow_start(m->flows, &(struct flow_spec){
		.kind = REF_ICMP, .proto = icmp_proto(v4), .class = FLOW_ECHO,
		.fds = 1, .pif = { PIF_TAP, PIF_HOST }, .side[INI] = *key,
		.side[TGT] = { .eaddr = host->eaddr, .oaddr = key->oaddr },
		.find = FLOW_INI,
	}, m->loop->now_ms);
	if (!f)
		goto fail;

	mf = icmp_flow(f);
	mf->fd = fd;
	mf->v4 = v4;
	mf->id = id;
	rc = loop_add(m->loop, fd, EPOLLIN, flow_ref(f, TGT));
	if (rc) {
		*error = -rc;
		flow_free(m->flows, m->loop, f);
		goto fail;
	}
	wheel_arm(&m->loop->wheel, &f->timer, f->last_ms + TIMEOUT_MS);
	return f;

fail:
	close(fd);
	return NULL;
}

/* The flow of a guest's address and identifier, for all destinations that are reached
 * from the same address of the host */
static struct flow *echo_flow(struct icmp *m, const struct pkt *p,
			      const struct flowside *host, int *error)
{
	const struct flowside key = {
		.eaddr = p->src, .eport = ntohs(p->icmp.echo.id),
		.oaddr = host->oaddr,
		.oport = hostsock_is_local(m->net, &host->eaddr),
	};
	uint8_t proto = icmp_proto(inany_is_v4(&p->src));
	struct flow *f;

	f = flow_lookup(m->flows, proto, PIF_TAP, &key, NULL);
	return f ? f : echo_start(m, &key, host, p->icmp.echo.id, error);
}

/* Echo header of a packet of ours that was quoted, as the guest sent it: with
 * its identifier, the sum adjusted (RFC 1624, 3) */
static struct icmp_hdr original_header(const struct icmp_flow *mf,
				       const uint8_t *quoted)
{
	struct icmp_hdr h;
	uint32_t sum;

	memcpy(&h, quoted, sizeof(h));
	sum = (uint32_t)(uint16_t)~h.csum + (uint16_t)~h.echo.id + mf->id;
	h.csum = csum_fold(sum);
	h.echo.id = mf->id;
	return h;
}

/* Translate an address of the host side to the one that the guest uses for it */
static union inany guest_name(const struct icmp_flow *mf, const union inany *a)
{
	return inany_equals(a, &mf->real) ? mf->asked : *a;
}

static void echo_pass_error(struct icmp *m, struct flow *f, struct icmperr *e)
{
	const struct icmp_flow *mf = icmp_flow(f);
	const struct flowside host = { .eaddr = e->dst };
	const struct flowside tap = {
		.eaddr = f->side[INI].eaddr, .oaddr = guest_name(mf, &e->dst),
	};
	struct icmp_hdr h;

	if (e->len < sizeof(h) || inany_is_unspecified(&e->dst))
		return;
	h = original_header(mf, e->data);
	e->len -= sizeof(h);
	memmove(e->data, e->data + sizeof(h), e->len);
	icmperr_send(e, m->tap, m->conf, m->net, m->guest, &tap, &host,
		     icmp_proto(mf->v4), &h, sizeof(h));
}

/* Pass on the errors in the queue. Return the MTU that a request exceeded, if the host
 * itself reports that, else 0 */
/* #syscalls getsockopt */
static uint32_t echo_read_errors(struct icmp *m, struct flow *f)
{
	struct icmp_flow *mf = icmp_flow(f);
	socklen_t len = sizeof(int);
	struct icmperr e;
	uint32_t mtu = 0;
	unsigned n;
	int error;

	for (n = 0; n < READS_MAX; n++) {
		int rc = icmperr_read(mf->fd, mf->v4, &e);

		if (rc == -EAGAIN)
			break;
		if (!rc && !e.local)
			echo_pass_error(m, f, &e);
		else if (!rc && icmperr_is_too_big(&e))
			mtu = e.word;
	}
	/* Clear an error without an entry, or EPOLLERR would stay */
	if (!n)
		getsockopt(mf->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return mtu;
}

/**
 * echo_send() - Send one echo request
 * @m:		ICMP
 * @f:		The flow
 * @p:		Packet of the guest
 * @host:	Host side: the destination is the endpoint
 * @mtu:	Set on failure: the MTU that the request exceeds, 0: none is known
 *
 * A failure may be the error of an earlier request, so try twice.
 *
 * Return: 0 or a positive errno
 */
/* #syscalls sendmsg */
static int echo_send(struct icmp *m, struct flow *f, const struct pkt *p,
		     const struct flowside *host, uint32_t *mtu)
{
	struct icmp_hdr h = p->icmp;
	struct iovec iov[1 + VIEW_PARTS_MAX] = { { &h, sizeof(h) } };
	unsigned scope = fwd_scope(m->net, m->dns, &host->eaddr), i;
	union sockaddr_inany sa;
	struct msghdr mh = {
		.msg_name = &sa, .msg_iov = iov,
	};
	int error = 0;

	mh.msg_iovlen = 1 + view_parts(&p->payload, 0, p->payload.len, iov + 1,
				      VIEW_PARTS_MAX);
	mh.msg_namelen = inany_to_sockaddr(&host->eaddr, 0, scope, &sa);
	for (i = 0; i < 2; i++) {
		if (sendmsg(icmp_flow(f)->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		error = errno;
		if (error == EAGAIN)
			break;
		*mtu = echo_read_errors(m, f);
		if (error == EMSGSIZE && *mtu)
			break;
	}
	return error;
}

static bool echo_is_request(const struct pkt *p)
{
	return p->icmp.type == (p->kind == PKT_ICMP4 ? ICMP4_ECHO : ICMP6_ECHO)
	       && !p->icmp.code;
}

/* Report to the guest why a request was not sent, unless the reason is our own */
static void echo_refuse(struct icmp *m, const struct pkt *p,
			const struct flowside *host, int error, uint32_t mtu)
{
	const struct flowside tap = { .eaddr = p->src, .oaddr = p->dst };
	struct icmperr e;

	if (error == EMSGSIZE && mtu && mtu < p->l3.len)
		icmperr_set_too_big(host, mtu, &e);
	else if (!icmperr_from_errno(error, host, &e))
		return;
	icmperr_send_pkt(&e, m->tap, m->conf, m->net, m->guest, &tap, host, p);
}

/* Send a request that exceeds the MTU, in fragments: 0 or a positive errno */
static int echo_send_fragmented(struct icmp *m, struct flow *f,
				const struct pkt *p,
				const struct flowside *host)
{
	struct icmp_flow *mf = icmp_flow(f);
	uint32_t mtu = 0;
	int error;

	hostsock_set_df(mf->fd, mf->v4, &mf->hops, false);
	error = echo_send(m, f, p, host, &mtu);
	hostsock_set_df(mf->fd, mf->v4, &mf->hops, p->df);
	return error;
}

static bool echo_forward(struct icmp *m, const struct pkt *p)
{
	const struct flowside tap = { .eaddr = p->src, .oaddr = p->dst };
	struct flowside host;
	uint32_t mtu = 0;
	struct flow *f;
	int error;

	if (!fwd_from_tap(m->conf, m->net, m->dns, IPPROTO_ICMP, &tap, &host))
		return false;
	f = echo_flow(m, p, &host, &error);
	if (!f) {
		echo_complain(m, error);
	} else {
		struct icmp_flow *mf = icmp_flow(f);

		hostsock_set_hops(mf->fd, mf->v4, &mf->hops, p->ttl, p->tos,
				  p->df);
		if (!inany_equals(&host.eaddr, &p->dst)) {
			mf->real = host.eaddr;
			mf->asked = p->dst;
		}
		f->side[TGT].eaddr = host.eaddr;
		flow_count(m->flows, f, FROM_GUEST, p->payload.len,
			   m->loop->now_ms);
		error = echo_send(m, f, p, &host, &mtu);
		if (!error)
			return true;
	}
	echo_refuse(m, p, &host, error, mtu);
	return f && error == EMSGSIZE && mtu && p->df &&
	       !echo_send_fragmented(m, f, p, &host);
}

/**
 * icmp_tap_input() - Echo requests from the guest
 * @m:		ICMP
 * @pkts:	Packets of kind PKT_ICMP4 or PKT_ICMP6, other types are ignored
 * @n:		How many
 */
void icmp_tap_input(struct icmp *m, const struct pkt *pkts, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (echo_is_request(&pkts[i]) &&
		    (m->conf->no_icmp || !echo_forward(m, &pkts[i])))
			m->dropped++;
}

/* Hand over one reply; false if there is none */
/* #syscalls recvmsg */
static bool read_reply(struct icmp *m, struct flow *f)
{
	struct icmp_flow *mf = icmp_flow(f);
	union { size_t align; uint8_t buf[128]; } control;
	union sockaddr_inany sa = { .sa.sa_family = AF_UNSPEC };
	struct iovec iov = { m->buf, sizeof(m->buf) };
	struct msghdr mh = {
		.msg_name = &sa, .msg_namelen = sizeof(sa),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	const union inany *to = &f->side[INI].eaddr;
	struct frame_addr a = {
		.dst_mac = guest_mac(m->guest, to),
		.src_mac = m->conf->our_mac, .dst = to,
	};
	struct cmsghdr *cm;
	union inany from;
	struct icmp_hdr h;
	ssize_t len;

	len = recvmsg(mf->fd, &mh, MSG_DONTWAIT);
	if (len < 0)
		return false;
	if ((size_t)len < sizeof(h) || !inany_from_sockaddr(&sa, &from, NULL))
		return true;
	memcpy(&h, m->buf, sizeof(h));
	if (h.type != (mf->v4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY_))
		return true;

	h.echo.id = mf->id;
	memcpy(m->buf, &h, sizeof(h));
	from = guest_name(mf, &from);
	a.src = &from;
	for (cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm))
		hostsock_cmsg_hops(cm, &a.ttl, &a.tos);
	flow_count(m->flows, f, TO_GUEST, (size_t)len - sizeof(h),
		   m->loop->now_ms);
	m->lost += !frame_send_l4(m->tap, &a, icmp_proto(mf->v4), m->buf,
				  (size_t)len, offsetof(struct icmp_hdr, csum));
	return true;
}

/**
 * icmp_sock_event() - A socket has a reply or an error
 * @ctx:	ICMP
 * @f:		Its flow
 * @events:	EPOLLIN, EPOLLERR
 */
void icmp_sock_event(void *ctx, struct flow *f, unsigned side, uint32_t events)
{
	struct icmp *m = ctx;
	unsigned n;

	(void)side;
	if (events & EPOLLERR)
		echo_read_errors(m, f);
	if (events & EPOLLIN)
		for (n = 0; n < READS_MAX && read_reply(m, f); n++)
			;
}

/**
 * icmp_evict() - End a flow, because it is idle or others need the room
 * @ctx:	ICMP
 * @f:		The flow
 */
/* #syscalls close */
void icmp_evict(void *ctx, struct flow *f)
{
	struct icmp *m = ctx;

	close(icmp_flow(f)->fd);		/* epoll forgets it, too */
	flow_free(m->flows, m->loop, f);
}

/**
 * icmp_kill() - End a flow on request; the next request begins another one
 * @ctx:	ICMP
 * @f:		The flow
 *
 * Return: 0
 */
int icmp_kill(void *ctx, struct flow *f)
{
	icmp_evict(ctx, f);
	return 0;
}

/**
 * icmp_state() - Tell the last destination of a flow, by the guest's address for it
 * @f:		The flow
 * @s:		Set
 */
void icmp_state(const struct flow *f, struct flow_state *s)
{
	s->dst = guest_name((const void *)f->priv, &f->side[TGT].eaddr);
}

/**
 * icmp_timer() - The timer of a flow fired: it ends, unless there was traffic
 * @ctx:	ICMP
 * @f:		The flow
 */
void icmp_timer(void *ctx, struct flow *f)
{
	struct icmp *m = ctx;
	uint64_t at_ms = f->last_ms + TIMEOUT_MS;

	if (at_ms > m->loop->now_ms)
		wheel_arm(&m->loop->wheel, &f->timer, at_ms);
	else
		icmp_evict(m, f);
}

/**
 * icmp_counters() - Requests and replies that were not delivered, for --stats
 */
void icmp_counters(const void *ctx, struct counters *c)
{
	const struct icmp *m = ctx;

	c->title = "echo";
	counters_add(c, "requests dropped", m->dropped);
	counters_add(c, "replies lost", m->lost);
}
