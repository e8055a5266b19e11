/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_tx.c - Datagrams from the guest to host sockets, and their errors
 *
 * Runs of datagrams of one flow are sent by one sendmmsg(). Unsegmented frames and
 * equal datagrams in a row become one message with UDP_SEGMENT; if the kernel refuses
 * that for a size, the limit of the flow is lowered. TTL (hop limit), TOS (traffic
 * class) and "don't fragment" are those of the guest. The host is no hop: TTL 1 gets as
 * far as the host's first router, which reports it.
 *
 * The guest's kernel believes in the MTU of the tap. It sets "don't fragment" to learn
 * the MTU of the path, not to have the datagram dropped. So a datagram that the host
 * refuses for its size is sent again in fragments, and the guest is told the MTU.
 *
 * Flows share a socket, and its error queue has the errors of all of them. Each becomes
 * an ICMP error for the flow of its destination, see icmperr.c. An error of one flow
 * fails the next call for any flow: that call is tried again.
 */

#include "udp_tx.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "hostsock.h"
#include "icmperr.h"
#include "udp.h"
#include "udp_port.h"
#include "wire.h"

#define ERRORS_MAX	16		/* read from the queue for one event */
#define RETRIES_MAX	8		/* calls that failed by errors of other flows */

/* Errors --------------------------------------------------------------------- */

/* Send the guest an error about a datagram of a flow */
static void flow_error(struct udp *u, struct flow *f, const struct icmperr *e)
{
	const struct flowside *tap = flow_tap_side(f);
	const struct udp_hdr quoted = {
		.sport = htons(tap->eport), .dport = htons(tap->oport),
		.len = htons((uint16_t)(sizeof(quoted) + e->len)),
	};

	icmperr_send(e, u->tap, u->conf, u->net, u->guest, tap,
		     flow_host_side(f), IPPROTO_UDP, &quoted, sizeof(quoted));
}

/* Pass on an error about a datagram that the guest sent */
static void udp_pass_error(struct udp *u, struct flow *port,
		       const struct icmperr *e)
{
	struct flow *f = udp_flow_by_peer(u, port, &e->src, &e->dst, e->dport);

	if (f)
		flow_error(u, f, e);
}

/* udp_tx_refused() - Tell the guest that the peer of a flow has no such port */
void udp_tx_refused(struct udp *u, struct flow *f)
{
	struct icmperr e;

	if (icmperr_from_errno(ECONNREFUSED, flow_host_side(f), &e))
		flow_error(u, f, &e);
}

/* Pass on the errors of the queue. Set *@mtu to the MTU, if the host itself reports a
 * datagram over it. Return: number of errors */
static unsigned udp_read_errors(struct udp *u, struct flow *port, uint32_t *mtu)
{
	const struct udp_port *p = udp_port(port);
	struct icmperr e;
	unsigned n;
	int rc;

	for (n = 0; n < ERRORS_MAX; n++) {
		rc = icmperr_read(p->sock.fd, p->sock.v4, &e);
		if (rc == -EAGAIN)
			break;
		if (!rc && !e.local)
			udp_pass_error(u, port, &e);
		else if (!rc && icmperr_is_too_big(&e))
			*mtu = e.word;
	}
	if (!n)
		udp_sock_clear_error(p->sock.fd);
	return n;
}

/**
 * udp_tx_errors() - Pass on the errors of a port's socket
 */
void udp_tx_errors(struct udp *u, struct flow *port)
{
	uint32_t mtu;

	udp_read_errors(u, port, &mtu);
}

/* Sending -------------------------------------------------------------------- */

/**
 * struct run - A run of datagrams that is being sent
 * @u, @o:	UDP; way of the run
 * @pkts:	The packets
 * @gso_max:	Largest datagram for UDP_SEGMENT, bytes
 * @errors:	Failed calls since the last message that was sent
 */
struct run {
	struct udp *u;
	const struct udp_out *o;
	const struct pkt *pkts;
	uint16_t *gso_max;
	unsigned errors;
};

/* Length of a packet's datagrams: of a segment in an unsegmented frame */
static size_t datagram_len(const struct pkt *p)
{
	if (p->off.gso_type == VNET_GSO_UDP_L4 &&
	    p->payload.len > p->off.gso_size)
		return p->off.gso_size;
	return p->payload.len;
}

/* Lower the limit of UDP_SEGMENT, if @error is about that */
static bool lower_gso(uint16_t *gso_max, size_t size, int error)
{
	switch (error) {
	case EIO:				/* the device can't checksum */
		*gso_max = 0;
		return true;
	case EINVAL:				/* not supported, or as below */
		*gso_max = (uint16_t)(size / 2);
		return true;
	case EMSGSIZE:				/* over the path's MTU */
		*gso_max = (uint16_t)(size - 1);
		return true;
	default:
		return false;
	}
}

/* Send the guest an error: a packet is over the MTU, or can't be sent */
static void tell_failed(const struct run *r, const struct pkt *p, int error,
			uint32_t mtu)
{
	const struct udp_out *o = r->o;
	struct icmperr e;

	if (!o->f)
		return;
	if (error != EMSGSIZE) {
		if (!icmperr_from_errno(error, o->host, &e))
			return;
	} else {
		if (!mtu || icmperr_mtu(inany_is_v4(&o->host->eaddr),
					inany_is_v4(&p->src), mtu) >= p->l3.len)
			return;
		icmperr_set_too_big(o->host, mtu, &e);
	}
	icmperr_send_pkt(&e, r->u->tap, r->u->conf, r->u->net, r->u->guest,
			 o->tap, o->host, p);
}

/**
 * send_failed() - Decide if the first message of a batch, which failed, is sent again
 * @r:		The run
 * @p:		First packet of the message
 * @error:	Positive errno
 * @mtu:	Set to the MTU if the message is over it, else 0
 *
 * Return: true to build and send it again, false if it can't be sent like this
 */
static bool send_failed(struct run *r, const struct pkt *p, int error,
			uint32_t *mtu)
{
	unsigned n;

	*mtu = 0;
	if (r->u->io->segmented[0] &&
	    lower_gso(r->gso_max, datagram_len(p), error))
		return true;
	if (error == EAGAIN || error == ENOBUFS)
		return false;
	/* The error may be about an earlier datagram, of another flow: then the
	 * next call succeeds. An error without an entry in the queue is about this
	 * message, if it is reported twice */
	n = udp_read_errors(r->u, r->o->port, mtu);
	if (error == EMSGSIZE && *mtu)
		return false;
	return r->errors++ < (n ? RETRIES_MAX : 1);
}

/* #syscalls sendmmsg sendmsg */
static int send_batch(const struct run *r, struct udp_cursor c, size_t gso_max,
		      struct udp_cursor at[UDP_TX_MSGS + 1])
{
	unsigned count = udp_msg_build(r->u->io, &r->o->dest, c, gso_max, at);
	int sent = sendmmsg(udp_port(r->o->port)->sock.fd, r->u->io->mm, count,
			    MSG_NOSIGNAL);

	return sent > 0 ? sent : -errno;
}

/* Send the rest of the packet at *@c in fragments, since it is over the MTU. All
 * datagrams of a packet are as large as the first, but for the last */
static void udp_send_fragmented(struct run *r, struct udp_cursor *c)
{
	struct udp_cursor at[UDP_TX_MSGS + 1], rest = *c;
	struct udp_port *port = udp_port(r->o->port);
	bool v4 = inany_is_v4(&r->o->host->eaddr);
	const struct pkt *p = &r->pkts[c->i];
	uint32_t mtu;

	rest.n = c->i + 1;
	hostsock_set_df(port->sock.fd, v4, &port->hops[v4], false);
	while (rest.i < rest.n) {
		int sent = send_batch(r, rest, 0, at);

		if (sent < 0 && send_failed(r, p, -sent, &mtu))
			continue;
		r->u->dropped += sent < 0;
		r->errors = 0;
		rest = at[sent > 0 ? sent : 1];
	}
	hostsock_set_df(port->sock.fd, v4, &port->hops[v4], p->df);
	*c = (struct udp_cursor){ c->d, c->n, c->i + 1, 0 };
}

/**
 * udp_tx_run_len() - Count packets at the start that one udp_tx_run() may send
 * @p:		Packets of kind PKT_UDP
 * @n:		Number of packets, not 0
 *
 * They are of one flow, with the same TTL, TOS and "don't fragment".
 */
unsigned udp_tx_run_len(const struct pkt *p, unsigned n)
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

/**
 * udp_tx_run() - Send a run of datagrams
 * @u:		UDP
 * @o:		Way to the host
 * @pkts:	Packets, see udp_tx_run_len()
 * @n:		Number of packets, at most TAP_RX_BATCH
 */
void udp_tx_run(struct udp *u, const struct udp_out *o, const struct pkt *pkts,
		unsigned n)
{
	struct udp_cursor at[UDP_TX_MSGS + 1], c = { .n = n };
	struct udp_data d[TAP_RX_BATCH];
	struct run r = {
		.u = u, .o = o, .pkts = pkts,
		.gso_max = o->f ? &udp_flow(o->f)->gso_max :
				  &udp_port(o->port)->gso_many,
	};
	uint32_t mtu;
	unsigned i;

	assert(n <= TAP_RX_BATCH);
	for (i = 0; i < n; i++)
		d[i] = (struct udp_data){ pkts[i].payload,
					  datagram_len(&pkts[i]) };
	c.d = d;
	while (c.i < c.n) {
		const struct pkt *p = &pkts[c.i];
		int sent = send_batch(&r, c, *r.gso_max, at);

		if (sent > 0) {
			c = at[sent];
			r.errors = 0;
			continue;
		}
		if (send_failed(&r, p, -sent, &mtu))
			continue;
		tell_failed(&r, p, -sent, mtu);
		r.errors = 0;
		if (sent == -EMSGSIZE && mtu) {
			udp_send_fragmented(&r, &c);
		} else {
			u->dropped++;
			c = at[1];
		}
	}
}
