/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_out.c - TCP, guest to peer: from segments to a socket; acknowledgements
 *
 * The segments of a batch are sorted by flow. Data in order goes to the socket, by
 * one sendmsg() per flow and batch. Data that the socket does not take goes to the
 * overflow pool. Then one ACK is sent. If the peer is near (on this machine or under
 * 1 ms away), it acknowledges the data that the kernel accepted. Otherwise it
 * acknowledges as much as the peer has acknowledged: all data given to the socket,
 * less SIOCOUTQ. No event reports that SIOCOUTQ gets smaller, so a timer polls it.
 * Of a near peer, the answer to a small request is often there within microseconds, and
 * carries the ACK: so that waits for it, for a moment.
 * If flows may move to another machine, the guest's FIN waits for the peer in any case:
 * the flow ends with it, and data that the kernel still has can't move without a flow.
 *
 * The window to the guest is the room in the send buffer. The kernel counts room
 * in truesize, so it is scaled by the share of payload seen in the queue. The
 * kernel lets the buffer grow only after it was seen full. So EPOLLOUT is armed
 * again with EPOLL_CTL_MOD when the queue gets long.
 */

#include "tcp_priv.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "log.h"
#include "util.h"

#define ACK_DOUBT_MAX	7
#define ACK_WAIT_FLOWS	4		/* in one batch */

#ifndef SO_MEMINFO
#define SO_MEMINFO	55
#endif

static void arm_epollout(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);

	if (c->armed)
		return;
	c->armed = true;
	loop_mod(t->loop, c->sock, TCP_SOCK_EVENTS,
		 flow_ref(f, !flow_tap_index(f)));
}

/* tcp_query_room() - How many bytes of payload the socket would take now */
/* #syscalls getsockopt */
uint32_t tcp_query_room(struct tcp *t, struct flow *f, int outq)
{
	struct tcp_conn *c = tcp_conn(f);
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);
	uint32_t queued, size;

	if (getsockopt(c->sock, SOL_SOCKET, SO_MEMINFO, mem, &len))
		return 0;
	queued = mem[SK_MEMINFO_WMEM_QUEUED];
	size = mem[SK_MEMINFO_SNDBUF];

	if (queued) {
		uint64_t ratio = (uint64_t)outq * TCP_RATIO_ONE / queued;

		if (ratio > TCP_RATIO_ONE)
			ratio = TCP_RATIO_ONE;
		if (ratio > TCP_RATIO_ONE / 8)
			c->ratio = ratio;
	}
	if (queued > size / 3 * 2)
		arm_epollout(t, f);

	c->size = (uint64_t)size * c->ratio / TCP_RATIO_ONE;
	if (queued >= size || c->spill.len)
		return 0;
	return (uint64_t)(size - queued) * c->ratio / TCP_RATIO_ONE;
}

/*
 * squeezed() - May the guest be waiting for a larger window, while the queue is
 * too short for the kernel to report when it gets shorter?
 */
static bool squeezed(const struct tcp_conn *c)
{
	return !c->armed && c->s.out == OUT_OPEN &&
	       c->s.rcv_edge - c->s.rcv_nxt < c->s.rcv_mss &&
	       c->s.rcv_edge - c->s.rcv_nxt < c->size / 2;
}

/* Does the acknowledgement of the guest's FIN wait until the peer has all? */
static bool fin_waits(const struct tcp *t, const struct tcp_conn *c)
{
	return t->mobile && c->s.out == OUT_FIN_PASSED && !c->failed;
}

/* Up to where may the guest be told that all has arrived? @outq: SIOCOUTQ, < 0: unknown,
 * which counts a FIN as well */
static uint32_t arrived(const struct tcp *t, const struct tcp_conn *c, int outq)
{
	uint32_t given = c->s.rcv_nxt - tcps_fin_due(&c->s);
	uint32_t queued = outq < 0 ? 0 : outq;

	if (c->near)
		return given - (queued && fin_waits(t, c));
	return given - c->spill.len - queued;
}

/* What the guest should be told */
enum news {
	NEWS_NONE,
	NEWS_ACK,
	NEWS_WINDOW,			/* it may be waiting for that */
};

/*
 * update() - Update acknowledgement and window
 * @look:	Query the room of the socket in any case; else once half of it is used
 */
/* #syscalls ioctl */
/* #args ioctl 1 SIOCOUTQ */
static enum news update(struct tcp *t, struct flow *f, bool look)
{
	struct tcp_conn *c = tcp_conn(f);
	struct tcps *s = &c->s;
	uint32_t before = s->rcv_acked, edge = s->rcv_edge;
	bool opened = false;
	int outq = -1;

	look |= !c->near || s->rcv_edge - s->rcv_nxt <= c->size / 2 ||
		fin_waits(t, c);
	if (look && ioctl(c->sock, SIOCOUTQ, &outq))
		outq = -1;
	tcps_acknowledge(s, arrived(t, c, outq));

	if (outq >= 0 && s->out == OUT_OPEN) {
		uint32_t room = tcp_query_room(t, f, outq);

		opened = tcps_window(s, room, c->size);
	}

	if (s->rcv_acked != before || s->rcv_edge != edge)
		c->poll_now = c->poll_ms;
	/* No event reports that the peer acknowledges more */
	if (!s->poll_at && ((!c->near && s->rcv_acked != s->rcv_nxt) ||
			    (outq > 0 && (squeezed(c) || fin_waits(t, c)))))
		s->poll_at = t->loop->now_ms + c->poll_now;

	return opened ? NEWS_WINDOW : s->rcv_acked != before ? NEWS_ACK : NEWS_NONE;
}

/*
 * tcp_update_ack() - Update acknowledgement and window; send an ACK if the guest needs it
 * @force:	Send an ACK in any case
 * @look:	Query the room of the socket in any case; else once half of it is used
 */
void tcp_update_ack(struct tcp *t, struct flow *f, bool force, bool look)
{
	if (update(t, f, look) || force)
		tcp_send_ack(t, f);
}

/*
 * tcp_ack_batch() - Update acknowledgement and window after a batch
 *
 * If there is news for the guest, the next data carries it, or tcp_ack_last() sends it.
 * The ACK of a request waits for the answer, but not a second one in a row. Nor does any
 * where few flows are busy: then the time goes into sleeping and waking, and a timer
 * that wakes the processor soon costs more than a frame.
 */
void tcp_ack_batch(struct tcp *t, struct flow *f, struct tcp_work *w)
{
	struct tcp_conn *c = tcp_conn(f);
	bool patient = t->works >= ACK_WAIT_FLOWS && c->near && !c->failed &&
		       !c->ack_waits && !c->ack_debt && c->s.in == IN_OPEN &&
		       w->bytes < c->s.rcv_mss && !(w->acts & ACT_ACK);
	enum news news = update(t, f, false);

	c->asked |= !!w->bytes;
	c->asked_ms = t->loop->now_ms;
	if (!news && !(w->acts & ACT_ACK))
		return;
	w->ack_now = !patient || news == NEWS_WINDOW;
	c->ack_waits = true;
}

/* tcp_ack_last() - At the end of a batch: send the ACK that no data has carried, unless
 * it waits for the answer of the peer */
void tcp_ack_last(struct tcp *t, struct flow *f, const struct tcp_work *w)
{
	if (tcp_conn(f)->ack_waits && w->ack_now)
		tcp_send_ack(t, f);
}

/*
 * tcp_ack_waited() - An ACK has waited in vain: send it
 *
 * Each time, more answers have to come in time before the next ACK waits. So a guest
 * that needs the ACK to go on is held up a few times, and not again.
 */
void tcp_ack_waited(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);

	if (c->ack_doubt < ACK_DOUBT_MAX)
		c->ack_doubt++;
	c->ack_debt = 1U << c->ack_doubt;
	tcp_send_ack(t, f);
}

/*
 * tcp_resend_refused() - Make the guest resend refused data, if there is room now
 *
 * The guest resends at once after three duplicate ACKs (RFC 5681, 3.2), else only
 * when its timer expires.
 */
void tcp_resend_refused(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
	int i;

	if (!c->starved || c->spill.len || c->s.rcv_edge == c->s.rcv_nxt)
		return;
	c->starved = false;
	tcps_acknowledge(&c->s, c->s.rcv_nxt);
	for (i = 0; i <= TCP_FAST_DUPACKS; i++)
		tcp_send_ack(t, f);
}

/* tcp_give_way() - Let a connection be evicted: it is no longer established */
void tcp_give_way(struct tcp *t, struct flow *f)
{
	f->last_ms = t->loop->now_ms;
	flow_set_rank(t->flows, f, FLOW_PENDING);
}

/*
 * tcp_socket_failed() - Note an error of the socket; tcp_pump() ends the flow later
 *
 * The kernel reports a reset as EPIPE if a FIN came before it.
 */
/* #syscalls ioctl */
/* #args ioctl 1 SIOCINQ */
void tcp_socket_failed(struct tcp *t, struct flow *f, int error)
{
	struct tcp_conn *c = tcp_conn(f);
	int queued = 0;

	if (c->failed)
		return;
	tcp_trace(t, f, "socket error");
	debug_rc(error, "socket error");
	c->failed = c->readable = c->rdhup = c->near = true;
	tcp_give_way(t, f);
	spill_release(&t->spill, &c->spill);
	tcps_reset_due(&c->s, error == EPIPE, t->loop->now_ms);

	/* Without data to follow, the handshake need not be completed */
	if (c->s.phase != TCPS_ESTABLISHED &&
	    (ioctl(c->sock, SIOCINQ, &queued) || !queued))
		tcps_eof(&c->s);
}

/* tcp_pass_fin() - Pass on the guest's FIN once all its data was sent */
/* #syscalls shutdown */
void tcp_pass_fin(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);

	if (!tcps_fin_due(&c->s) || c->spill.len)
		return;
	shutdown(c->sock, SHUT_WR);
	tcps_fin_passed(&c->s);
	tcp_trace(t, f, "FIN from the guest passed on");
}

/* sock_send() - Send: bytes taken, 0 if the socket is full, or negative errno */
/* #syscalls sendmsg */
static ssize_t sock_send(int sock, struct iovec *iov, unsigned n)
{
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t rc = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (rc >= 0)
		return rc;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ||
	       errno == ENOMEM ? 0 : -errno;
}

/* list_parts() - List pieces of payload from segment *@i on, as many as fit */
static unsigned list_parts(const struct tcp_work *w, unsigned *i,
			   struct iovec *iov, unsigned max)
{
	unsigned n = 0, parts;

	for (; *i < w->count; ++*i, n += parts) {
		parts = view_parts(&w->data[*i], 0, w->data[*i].len, iov + n,
				   max - n);
		if (!parts)
			break;
	}
	return n;
}

/*
 * deliver_some() - Send the payload of some segments of a batch, from *@i on
 * @taken:	Counts bytes that the socket took or the pool keeps
 *
 * Return: false if some bytes were not taken
 */
static bool deliver_some(struct tcp *t, struct flow *f,
			 const struct tcp_work *w, unsigned *i, size_t *taken)
{
	struct iovec iov[TAP_RX_BATCH + VIEW_PARTS_MAX];
	unsigned n = list_parts(w, i, iov, ARRAY_SIZE(iov));
	struct tcp_conn *c = tcp_conn(f);
	struct view v = view_of_iov(iov, n);
	size_t all = v.len, done = 0;
	ssize_t rc;

	if (!c->spill.len) {
		rc = sock_send(c->sock, iov, n);
		if (rc < 0) {
			tcp_socket_failed(t, f, -rc);
			return false;
		}
		done = rc;
		view_skip(&v, done);
	}
	done += spill_append(&t->spill, &c->spill, v);
	*taken += done;
	return done == all;
}

/* tcp_deliver() - Send the payload of a batch; the pool takes the rest */
void tcp_deliver(struct tcp *t, struct flow *f, struct tcp_work *w)
{
	struct tcp_conn *c = tcp_conn(f);
	size_t taken = 0;
	unsigned i = 0;

	while (i < w->count && !c->failed)
		if (!deliver_some(t, f, w, &i, &taken))
			break;
	flow_count(t->flows, f, FROM_GUEST, taken, t->loop->now_ms);
	if (c->failed || (taken == w->bytes && !c->spill.len))
		return;

	if (taken < w->bytes) {
		t->stats.refused_bytes += w->bytes - taken;
		tcps_refused(&c->s, w->bytes - taken);
		c->starved = true;
	}
	arm_epollout(t, f);
}

void tcp_drain_spill(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
	struct iovec iov[16];

	while (c->spill.len) {
		unsigned n = spill_iov(&t->spill, &c->spill, iov, 16);
		ssize_t rc = sock_send(c->sock, iov, n);

		if (rc < 0)
			tcp_socket_failed(t, f, -rc);	/* empties the pool */
		else if (rc)
			spill_consume(&t->spill, &c->spill, rc);
		else
			break;
	}
	if (c->spill.len)
		arm_epollout(t, f);
}

/* tcp_sock_writable() - The socket has reported EPOLLOUT */
void tcp_sock_writable(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);

	c->armed = false;
	tcp_drain_spill(t, f);
	tcp_pass_fin(t, f);
	tcp_update_ack(t, f, false, true);
	tcp_resend_refused(t, f);
}
