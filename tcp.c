/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp.c - TCP flows: segments of the guest on one side, a socket on the other
 *
 * tcp_state.c decides, this file performs: it owns sockets, frames, the overflow
 * pool and the timers of flows.
 *
 * Guest to peer. The segments of a batch are sorted by flow; what is in order
 * goes to the socket with one sendmsg() per flow and batch, what the socket does
 * not take to the overflow pool. Then one ACK: of what the kernel accepted, if
 * the peer is near (on this machine or under 1 ms away); else of what the peer
 * acknowledged, that is all given to the socket less SIOCOUTQ. While the latter
 * lags behind, a timer polls it, as the kernel tells nobody.
 *
 * The window to the guest is the room in the send buffer. The kernel counts room
 * in truesize, so it is scaled by the share of payload seen in the queue. The
 * kernel lets the buffer grow only once it was seen full: so EPOLLOUT is armed
 * anew with EPOLL_CTL_MOD when the queue gets long.
 *
 * Peer to guest. Data is peeked at from the socket straight into frames; the
 * receive queue keeps it until the guest acknowledges, then it is discarded:
 *
 *     snd_base          snd_una          snd_nxt            end of queue
 *        |  acknowledged,  |   in flight    |   not sent yet     |
 *        |  not discarded  |                |                    |
 *        +---- peek offset: snd_nxt - snd_base ----> peek here
 *
 * Resets. A peer's reset, like any error of the socket, leaves its receive queue
 * readable: @failed sockets are read to the end, the guest gets all of it, and then
 * a RST. What the guest sends meanwhile is acknowledged and dropped: a guest that
 * waits for its upload to end before it reads would never get there. After a reset
 * by the guest, the socket first sends what it and the pool still have: such a flow
 * is @draining, the guest no longer has a part in it, and what the peer sends is
 * dropped.
 *
 * Sockets are watched edge-triggered. @readable remembers an edge until a read
 * comes back short; a flow that used up its turn is put on the ready list, one
 * that got no frame from the tap on the blocked list.
 */

#include "tcp.h"

#include <errno.h>
#include <limits.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "fwd.h"
#include "guest.h"
#include "hostsock.h"
#include "icmperr.h"
#include "inany.h"
#include "log.h"
#include "procfile.h"
#include "tcp_state.h"
#include "util.h"
#include "wire.h"

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF	42
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO	55
#endif

#define IP_PACKET_MAX	65535U
#define TURN_BYTES	(512U * 1024)	/* to the guest, per flow and turn */
#define CONSUME_LAZY	(512U * 1024)	/* acknowledged, kept while more flows */
#define NEAR_RTT_US	1000
#define FAST_DUPACKS	3		/* make the guest resend, RFC 5681, 3.2 */
#define POLL_MAX_MS	10
#define POLL_IDLE_MS	200		/* while the peer acknowledges nothing */
#define NO_OFFSET_MAX	(256U * 1024)	/* in flight without SO_PEEK_OFF */
#define RATIO_ONE	256U		/* payload per truesize, fixed point */

/* Of one peek: NO_OFFSET_MAX bytes to skip, and frames, of which one always fits */
#define PEEK_IOVS	(4 + TAP_TX_BATCH + VIEW_PARTS_MAX)

#define SOURCE_TRIES	64		/* ports for a mapped peer */
#define SYSCTL		"/proc/sys/net/ipv4/"

#define SOCK_EVENTS	(EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/**
 * struct tcp_conn - What tcp.c keeps about a flow
 * @s:		State
 * @spill:	Data that the socket did not take yet
 * @sock:	Socket
 * @snd_base:	Sequence number of the first byte in the receive queue
 * @peek_pos:	Offset that the kernel has for MSG_PEEK
 * @ratio:	Payload per truesize in the send queue, of RATIO_ONE
 * @poll_ms:	How often to ask what the peer acknowledged, @poll_now: at present
 * @in_bytes:	Taken from the receive queue since @in_start, ms
 * @in_space:	Most of it in a round trip so far
 * @rtt_ms:	Round trip to the peer as the handshake took
 * @size:	Send buffer as last seen, payload bytes
 * @work:	Index + 1 into tcp->work during a batch, else 0
 * @near:	The peer is on this machine or under 1 ms away
 * @peek_off:	The socket knows SO_PEEK_OFF
 * @readable:	An edge told of data, and no short read came since
 * @rdhup:	The peer's FIN has arrived
 * @urgent:	So has urgent data: reads stop at its mark
 * @armed:	EPOLLOUT will come
 * @starved:	Data was refused: tell the guest when there is room
 * @failed:	The socket has an error: a RST follows the data that it still has
 * @draining:	The guest has reset the connection: the peer gets a RST after the
 *		data that the socket still has, @in_space bytes when last seen
 * @ack_due:	An ACK found no frame
 * @dying:	A RST found no frame, nothing else is left to do
 */
struct tcp_conn {
	struct tcps s;
	struct spill spill;
	int sock;
	uint32_t snd_base, peek_pos;
	uint32_t size;
	uint32_t in_bytes, in_space, rtt_ms;
	uint64_t in_start;
	uint16_t ratio, poll_ms, poll_now;
	uint8_t work;
	bool near, peek_off, readable, rdhup, urgent, armed, starved, failed,
	     draining, ack_due, dying;
};
static_assert(sizeof(struct tcp_conn) <= FLOW_PRIV, "state of a flow");

static struct tcp_conn *conn(struct flow *f)
{
	return (struct tcp_conn *)(void *)f->priv;
}

static bool flow_is_v4(const struct flow *f)
{
	return inany_is_v4(&flow_tap_side(f)->eaddr);
}

/* Frames towards the guest */

static struct frame_addr frame_addr_of(const struct tcp *t,
				       const struct flowside *tap)
{
	return (struct frame_addr){
		.dst_mac = guest_mac(t->guest, &tap->eaddr),
		.src_mac = t->conf->our_mac,
		.src = &tap->oaddr, .dst = &tap->eaddr,
	};
}

/* send_ctl() - One segment without payload; false if there was no frame */
static bool send_ctl(struct tcp *t, const struct flowside *tap, uint8_t flags,
		     uint32_t seq, uint32_t ack, uint16_t wnd,
		     const uint8_t *opts, size_t opts_len)
{
	struct frame_addr a = frame_addr_of(t, tap);
	bool v4 = inany_is_v4(&tap->eaddr);
	struct tcp_hdr th = {
		.sport = htons(tap->oport), .dport = htons(tap->eport),
		.seq = htonl(seq), .ack = htonl(ack), .flags = flags,
		.doff = (sizeof(th) + opts_len) / 4 << 4, .wnd = htons(wnd),
	};
	struct txframe *fr;
	unsigned n = 1;

	fr = tap_reserve(t->tap, &n, frame_l3_hdrlen(v4) + sizeof(th) +
			 opts_len, 0);
	if (!n)
		return false;

	fr->len = 0;
	frame_fill_tcp(t->tap, fr, &a, &th, opts, opts_len, 0);
	return tap_commit(t->tap, 1);
}

static bool send_ack(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);

	c->ack_due = !send_ctl(t, flow_tap_side(f), TCPF_ACK, c->s.snd_nxt,
			       c->s.rcv_acked, tcps_window_field(&c->s, false),
			       NULL, 0);
	if (c->ack_due)
		flow_list_push(t->flows, &t->blocked, f);
	return !c->ack_due;
}

/* send_syn() - Our SYN, with or without ACK in @flags, and its options */
static void send_syn(struct tcp *t, struct flow *f, uint8_t flags)
{
	const struct tcps *s = &conn(f)->s;
	uint8_t opts[8] = {
		TCPOPT_MSS, TCPOPT_MSS_LEN, s->rcv_mss >> 8, s->rcv_mss & 0xff,
		TCPOPT_NOP_, TCPOPT_WS, TCPOPT_WS_LEN, s->our_ws,
	};
	size_t len = s->our_ws ? 8 : 4;

	send_ctl(t, flow_tap_side(f), TCPF_SYN | flags, s->snd_una,
		 flags & TCPF_ACK ? s->rcv_nxt : 0, tcps_window_field(s, true),
		 opts, len);
}

/* send_probe() - A segment before the window: makes the guest answer */
static void send_probe(struct tcp *t, struct flow *f)
{
	const struct tcps *s = &conn(f)->s;

	send_ctl(t, flow_tap_side(f), TCPF_ACK, s->snd_una - 1, s->rcv_acked,
		 tcps_window_field(s, false), NULL, 0);
}

/* send_rst() - False if there was no frame */
static bool send_rst(struct tcp *t, struct flow *f)
{
	const struct tcps *s = &conn(f)->s;

	t->stats.resets_sent++;
	if (s->phase == TCPS_SYN_SENT)	/* it may have answered, and that was lost */
		return send_ctl(t, flow_tap_side(f), TCPF_RST, s->snd_max, 0, 0,
				NULL, 0);

	/* What was taken back because of a closed window never arrived; what
	 * was taken back to be sent again may have */
	return send_ctl(t, flow_tap_side(f), TCPF_RST | TCPF_ACK,
			s->snd_wnd ? s->snd_max : s->snd_nxt, s->rcv_nxt, 0,
			NULL, 0);
}

static void answer_rst(struct tcp *t, const struct flowside *tap,
		       const struct tcp_seg *g)
{
	uint32_t seq, ack;
	uint8_t flags;

	if (g->flags & TCPF_RST)
		return;
	t->stats.resets_sent++;
	tcps_reset_for(g, &seq, &ack, &flags);
	send_ctl(t, tap, flags, seq, ack, 0, NULL, 0);
}

/* The flow as a whole */

static void trace_flow(const struct tcp *t, const struct flow *f,
		       const char *what)
{
	char buf[FLOW_STRLEN];

	debug("%s: %s", flow_str(t->flows, f, buf), what);
}

/* end_flow() - Close the socket, by RST if so, and forget the flow */
/* #syscalls close setsockopt */
static void end_flow(struct tcp *t, struct flow *f, bool rst, const char *why)
{
	static const struct linger abort_now = { .l_onoff = 1 };
	struct tcp_conn *c = conn(f);

	trace_flow(t, f, why);
	if (rst)
		setsockopt(c->sock, SOL_SOCKET, SO_LINGER, &abort_now,
			   sizeof(abort_now));
	close(c->sock);
	spill_release(&t->spill, &c->spill);
	if (c->work)
		t->work[c->work - 1].flow = NULL;
	flow_free(t->flows, t->loop, f);
}

/**
 * tcp_evict() - End a connection that is not established, or not any more
 * @t:		TCP
 * @f:		The flow
 *
 * A peer that dialled gets a reset. A guest that did gets nothing: it repeats its
 * SYN, for which there may be room then. If the peer has reset the connection, the
 * guest learns that without the rest of the data.
 */
void tcp_evict(void *ctx, struct flow *f)
{
	struct tcp *t = ctx;

	if (conn(f)->failed)
		send_rst(t, f);
	end_flow(t, f, true, "gives way to others");
}

static void rearm_timer(struct tcp *t, struct flow *f)
{
	uint64_t next = tcps_next_timer(&conn(f)->s);

	/* One that is armed for earlier will come here again: cheaper than
	 * moving it with every segment */
	if (next && (!timer_armed(&f->timer) || next < f->timer.expires_ms))
		wheel_arm(&t->loop->wheel, &f->timer, next);
}

/* reset_flow() - Reset both sides; if there is no frame now, the guest's later */
static void reset_flow(struct tcp *t, struct flow *f)
{
	conn(f)->dying = !send_rst(t, f);
	if (conn(f)->dying)
		flow_list_push(t->flows, &t->blocked, f);
	else
		end_flow(t, f, true, "socket error, reset");
}

/* Guest to peer */

static void arm_epollout(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);

	if (c->armed)
		return;
	c->armed = true;
	loop_mod(t->loop, c->sock, SOCK_EVENTS,
		 flow_ref(f, !flow_tap_index(f)));
}

/* query_room() - How many bytes of payload the socket would take now */
/* #syscalls getsockopt ioctl */
static uint32_t query_room(struct tcp *t, struct flow *f, int outq)
{
	struct tcp_conn *c = conn(f);
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);
	uint32_t queued, size;

	if (getsockopt(c->sock, SOL_SOCKET, SO_MEMINFO, mem, &len))
		return 0;
	queued = mem[SK_MEMINFO_WMEM_QUEUED];
	size = mem[SK_MEMINFO_SNDBUF];

	if (queued) {
		uint64_t ratio = (uint64_t)outq * RATIO_ONE / queued;

		if (ratio > RATIO_ONE)
			ratio = RATIO_ONE;
		if (ratio > RATIO_ONE / 8)
			c->ratio = ratio;
	}
	if (queued > size / 3 * 2)
		arm_epollout(t, f);

	c->size = (uint64_t)size * c->ratio / RATIO_ONE;
	if (queued >= size || c->spill.len)
		return 0;
	return (uint64_t)(size - queued) * c->ratio / RATIO_ONE;
}

static uint16_t next_poll(uint16_t ms)
{
	return ms < POLL_IDLE_MS / 2 ? ms * 2 : POLL_IDLE_MS;
}

/* behind() - The peer will acknowledge more, but nothing will tell */
static bool behind(const struct tcp_conn *c)
{
	return !c->near && c->s.rcv_acked != c->s.rcv_nxt;
}

/*
 * squeezed() - The guest may be waiting for a larger window, while the queue is
 * too short for the kernel to report when it gets shorter
 */
static bool squeezed(const struct tcp_conn *c)
{
	return !c->armed && c->s.out == OUT_OPEN &&
	       c->s.rcv_edge - c->s.rcv_nxt < c->s.rcv_mss &&
	       c->s.rcv_edge - c->s.rcv_nxt < c->size / 2;
}

/*
 * update_ack() - Bring acknowledgement and window up to date, send if news
 * @force:	Send in any case
 * @look:	Look for room in any case; else once half of it is used
 */
static void update_ack(struct tcp *t, struct flow *f, bool force, bool look)
{
	struct tcp_conn *c = conn(f);
	struct tcps *s = &c->s;
	uint32_t before = s->rcv_acked, edge = s->rcv_edge, given = s->rcv_nxt;
	bool opened = false;
	int outq = -1;

	if (tcps_fin_due(s))
		given--;
	look |= !c->near || s->rcv_edge - s->rcv_nxt <= c->size / 2;
	if (look && ioctl(c->sock, SIOCOUTQ, &outq))
		outq = -1;
	tcps_acknowledge(s, c->near ? given : given - c->spill.len -
			 (outq < 0 ? 0 : outq));

	if (outq >= 0 && s->out == OUT_OPEN) {
		uint32_t room = query_room(t, f, outq);

		opened = tcps_window(s, room, c->size);
	}

	if (s->rcv_acked != before || s->rcv_edge != edge)
		c->poll_now = c->poll_ms;
	if (!s->poll_at && (behind(c) || (outq > 0 && squeezed(c))))
		s->poll_at = t->loop->now_ms + c->poll_now;

	if (force || opened || s->rcv_acked != before)
		send_ack(t, f);
}

/*
 * resend_refused() - Have the guest resend what was refused, if there is room
 *
 * It does so at once after three duplicates (RFC 5681, 3.2), else only after its
 * timer.
 */
static void resend_refused(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);
	int i;

	if (!c->starved || c->spill.len || c->s.rcv_edge == c->s.rcv_nxt)
		return;
	c->starved = false;
	tcps_acknowledge(&c->s, c->s.rcv_nxt);
	for (i = 0; i <= FAST_DUPACKS; i++)
		send_ack(t, f);
}

/* give_way() - What is left of a connection may end early, if others need the room */
static void give_way(struct tcp *t, struct flow *f)
{
	f->last_ms = t->loop->now_ms;
	flow_set_rank(t->flows, f, FLOW_PENDING);
}

/*
 * socket_failed() - The socket has an error, a reset or another: pump() ends the flow
 *
 * EPIPE, for a reset, is the kernel's way to say that a FIN had come before.
 */
/* #syscalls ioctl */
static void socket_failed(struct tcp *t, struct flow *f, int error)
{
	struct tcp_conn *c = conn(f);
	int queued = 0;

	if (c->failed)
		return;
	trace_flow(t, f, "socket error");
	debug("socket error %d", error);
	c->failed = c->readable = c->rdhup = c->near = true;
	give_way(t, f);
	spill_release(&t->spill, &c->spill);
	tcps_reset_due(&c->s, error == EPIPE, t->loop->now_ms);

	/* The handshake need not be finished if nothing is to follow */
	if (c->s.phase != TCPS_ESTABLISHED &&
	    (ioctl(c->sock, SIOCINQ, &queued) || !queued))
		tcps_eof(&c->s);
}

/* pass_fin() - The guest's FIN, behind all its data */
/* #syscalls shutdown */
static void pass_fin(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);

	if (!tcps_fin_due(&c->s) || c->spill.len)
		return;
	shutdown(c->sock, SHUT_WR);
	tcps_fin_passed(&c->s);
	trace_flow(t, f, "FIN from the guest passed on");
}

/* sock_send() - Bytes taken, negative errno on errors but a full socket */
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

/* list_parts() - Pieces of the payload of a batch from *@i on, as far as they fit */
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
 * deliver_some() - Payload of some segments of a batch from *@i on
 * @taken:	Counts bytes that the socket took or the pool keeps
 *
 * Return: false if these are not all
 */
static bool deliver_some(struct tcp *t, struct flow *f,
			 const struct tcp_work *w, unsigned *i, size_t *taken)
{
	struct iovec iov[TAP_RX_BATCH + VIEW_PARTS_MAX];
	unsigned n = list_parts(w, i, iov, ARRAY_SIZE(iov));
	struct tcp_conn *c = conn(f);
	struct view v = view_of_iov(iov, n);
	size_t all = v.len, done = 0;
	ssize_t rc;

	if (!c->spill.len) {
		rc = sock_send(c->sock, iov, n);
		if (rc < 0) {
			socket_failed(t, f, -rc);
			return false;
		}
		done = rc;
		view_skip(&v, done);
	}
	done += spill_append(&t->spill, &c->spill, v);
	*taken += done;
	return done == all;
}

/*
 * deliver() - Payload of a batch to the socket, the rest to the pool
 */
static void deliver(struct tcp *t, struct flow *f, struct tcp_work *w)
{
	struct tcp_conn *c = conn(f);
	size_t taken = 0;
	unsigned i = 0;

	while (i < w->count && !c->failed)
		if (!deliver_some(t, f, w, &i, &taken))
			break;
	if (c->failed || (taken == w->bytes && !c->spill.len))
		return;

	if (taken < w->bytes) {
		t->stats.refused_bytes += w->bytes - taken;
		tcps_refused(&c->s, w->bytes - taken);
		c->starved = true;
	}
	arm_epollout(t, f);
}

static void drain_spill(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);
	struct iovec iov[16];

	while (c->spill.len) {
		unsigned n = spill_iov(&t->spill, &c->spill, iov, 16);
		ssize_t rc = sock_send(c->sock, iov, n);

		if (rc < 0)
			socket_failed(t, f, -rc);	/* empties the pool */
		else if (rc)
			spill_consume(&t->spill, &c->spill, rc);
		else
			break;
	}
	if (c->spill.len)
		arm_epollout(t, f);
}

/* sock_writable() - EPOLLOUT */
static void sock_writable(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);

	c->armed = false;
	drain_spill(t, f);
	pass_fin(t, f);
	update_ack(t, f, false, true);
	resend_refused(t, f);
}

/* Peer to guest */

/*
 * grow_rcvbuf() - Let the receive buffer of a far peer grow as natively
 *
 * The kernel sizes it by what was taken from the queue in a round trip, less what
 * is still in it (tcp_rcv_space_adjust()), and measures at the first recv() of the
 * next: which is a peek, with a burst in the queue, so that the buffer may never
 * grow. So measure here, and ask for room by SO_RCVLOWAT, which since 4.18 makes
 * it, within tcp_rmem, and leaves the kernel's own sizing as it is. Four times
 * what came in the last round trip is room for a slow start.
 */
static void grow_rcvbuf(struct tcp *t, struct tcp_conn *c, uint32_t bytes)
{
	static const int one = 1;
	int want;

	if (c->near)
		return;
	c->in_bytes += bytes;
	if (t->loop->now_ms < c->in_start + c->rtt_ms)
		return;

	if (c->in_bytes > c->in_space && c->in_bytes < INT_MAX / 4) {
		c->in_space = c->in_bytes;
		want = c->in_bytes * 4;
		setsockopt(c->sock, SOL_SOCKET, SO_RCVLOWAT, &want,
			   sizeof(want));
		setsockopt(c->sock, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	}
	c->in_start = t->loop->now_ms;
	c->in_bytes = 0;
}

/*
 * consume() - Discard from the receive queue what the guest acknowledged
 *
 * While more is in flight that can wait, unless each peek has to copy it again.
 */
/* #syscalls recvfrom recv */
static void consume(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);
	uint32_t bytes = tcps_acked_data(&c->s) - c->snd_base;
	uint32_t keep = c->peek_off ? CONSUME_LAZY : 0;
	ssize_t rc;

	if (!bytes || (bytes < keep && c->s.snd_una != c->s.snd_max))
		return;

	rc = recv(c->sock, NULL, bytes, MSG_TRUNC | MSG_DONTWAIT);
	if (rc <= 0)
		return;
	c->snd_base += rc;
	c->peek_pos = c->peek_pos > rc ? c->peek_pos - rc : 0;
	grow_rcvbuf(t, c, rc);
}

/*
 * peek_prepare() - Make the next MSG_PEEK begin at snd_nxt
 *
 * Return: parts of @iov used up for what is to be skipped; negative errno
 */
static int peek_prepare(struct tcp *t, struct flow *f, struct iovec *iov,
			uint32_t *skip)
{
	struct tcp_conn *c = conn(f);
	uint32_t want = c->s.snd_nxt - c->snd_base;
	int n = 0, off = want;

	*skip = 0;
	if (c->peek_off) {
		if (c->peek_pos != want &&
		    setsockopt(c->sock, SOL_SOCKET, SO_PEEK_OFF, &off,
			       sizeof(off)))
			return -errno;
		c->peek_pos = want;
		return 0;
	}

	if (want > NO_OFFSET_MAX)
		return -EAGAIN;
	*skip = want;
	while (want) {
		uint32_t part = want < sizeof(t->discard) ? want :
				sizeof(t->discard);

		iov[n++] = (struct iovec){ t->discard, part };
		want -= part;
	}
	return n;
}

/* frame_payload_max() - Payload bytes of one frame: whole segments */
static uint32_t frame_payload_max(const struct tcp *t, bool v4, uint16_t mss)
{
	uint32_t hdr = sizeof(struct tcp_hdr) +
		       (v4 ? sizeof(struct ip4_hdr) : sizeof(struct ip6_hdr));

	if (!frame_can_tso(t->tap, v4))
		return mss;
	return (IP_PACKET_MAX - hdr) / mss * mss;
}

/*
 * fill_frames() - Headers for @len bytes peeked into @n frames; frames used
 *
 * The last has PSH. The queue may be at its end although the frames are full, and
 * without PSH some guests keep what came from their application for a while (RFC
 * 9293, 3.9.1.2: it must be in the last segment).
 */
static unsigned fill_frames(struct tcp *t, struct flow *f, struct txframe *fr,
			    unsigned n, size_t len)
{
	const struct tcps *s = &conn(f)->s;
	struct frame_addr a = frame_addr_of(t, flow_tap_side(f));
	struct tcp_hdr th = {
		.sport = htons(flow_tap_side(f)->oport),
		.dport = htons(flow_tap_side(f)->eport),
		.ack = htonl(s->rcv_acked), .doff = sizeof(th) / 4 << 4,
		.wnd = htons(tcps_window_field(s, false)),
	};
	uint32_t seq = s->snd_nxt;
	unsigned i;

	for (i = 0; i < n && len; i++) {
		if (fr[i].len > len)
			fr[i].len = len;
		len -= fr[i].len;
		th.seq = htonl(seq);
		th.flags = TCPF_ACK | (!len ? TCPF_PSH : 0);
		frame_fill_tcp(t->tap, &fr[i], &a, &th, NULL, 0, s->mss);
		seq += fr[i].len;
	}
	return i;
}

/* list_rooms() - Where up to @can bytes go, as far as they fit into @iov; sets the
 * lengths of the frames, and @n to how many are used */
static unsigned list_rooms(struct txframe *fr, unsigned *n, uint32_t can,
			   uint32_t per_frame, struct iovec *iov, unsigned max)
{
	unsigned parts = 0, i, k;

	for (i = 0; i < *n && can; i++, parts += k) {
		fr[i].len = per_frame < can ? per_frame : can;
		k = view_parts(&fr[i].payload, 0, fr[i].len, iov + parts,
			       max - parts);
		if (!k)
			break;
		can -= fr[i].len;
	}
	*n = i;
	return parts;
}

/* commit_frames() - Bytes queued for certain */
static uint32_t commit_frames(struct tcp *t, struct flow *f,
			      const struct txframe *fr, unsigned n)
{
	uint32_t len[TAP_TX_BATCH], bytes = 0;
	unsigned i, queued;

	for (i = 0; i < n; i++)
		len[i] = fr[i].len;
	queued = tap_commit(t->tap, n);
	for (i = 0; i < queued && i < n; i++)
		bytes += len[i];
	if (queued < n)
		flow_list_push(t->flows, &t->blocked, f);
	return bytes;
}

/*
 * move_data() - One MSG_PEEK into frames
 * @can:	Bytes that the window allows
 *
 * Return: bytes sent; 0 if there is nothing now, -ENOBUFS without frames, other
 * negative errno if the socket failed
 */
/* #syscalls recvmsg */
static ssize_t move_data(struct tcp *t, struct flow *f, uint32_t can)
{
	struct iovec iov[PEEK_IOVS];
	struct tcp_conn *c = conn(f);
	bool v4 = flow_is_v4(f);
	uint32_t max = frame_payload_max(t, v4, c->s.mss), skip, want = 0;
	unsigned n = (can + max - 1) / max, i;
	struct msghdr mh = { .msg_iov = iov };
	struct txframe *fr;
	ssize_t rc, peeked;
	int parts;

	if (n > TAP_TX_BATCH)
		n = TAP_TX_BATCH;
	if (max > c->s.mss)
		n = 1;
	fr = tap_reserve(t->tap, &n, frame_l3_hdrlen(v4) +
			 sizeof(struct tcp_hdr), max < can ? max : can);
	if (!n) {
		flow_list_push(t->flows, &t->blocked, f);
		return -ENOBUFS;
	}

	parts = peek_prepare(t, f, iov, &skip);
	if (parts < 0)
		return parts == -EAGAIN ? 0 : parts;
	mh.msg_iovlen = parts + list_rooms(fr, &n, can, max, iov + parts,
					   PEEK_IOVS - parts);
	for (i = 0; i < n; i++)
		want += fr[i].len;

	rc = recvmsg(c->sock, &mh, MSG_PEEK | MSG_DONTWAIT);
	if (rc < 0) {
		if (errno == EAGAIN)
			c->readable = false;
		if (c->failed && errno != EINTR)
			tcps_eof(&c->s);	/* told once more: nothing is left */
		return errno == EAGAIN || errno == EINTR || c->failed ? 0 :
		       -errno;
	}
	c->peek_pos += rc;
	rc -= skip;
	if (rc <= 0) {
		/* A read that has to skip ends at urgent data, too: there is more
		 * once the guest has acknowledged what is before */
		c->readable = skip && c->urgent;
		if (!skip || (c->rdhup && !c->urgent))
			tcps_eof(&c->s);
		return 0;
	}

	if (rc < want && !c->rdhup && !c->urgent)
		c->readable = false;
	peeked = rc;
	n = fill_frames(t, f, fr, n, peeked);
	rc = commit_frames(t, f, fr, n);
	if (rc < peeked)
		c->readable = true;
	tcps_sent(&c->s, rc, t->loop->now_ms);
	return rc;
}

static void send_fin(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);

	if (!tcps_fin_may_send(&c->s))
		return;
	if (!send_ctl(t, flow_tap_side(f), TCPF_FIN | TCPF_ACK, c->s.snd_nxt,
		      c->s.rcv_acked, tcps_window_field(&c->s, false), NULL, 0)) {
		flow_list_push(t->flows, &t->blocked, f);
		return;
	}
	tcps_fin_sent(&c->s, t->loop->now_ms);
	trace_flow(t, f, "FIN to the guest");
}

/*
 * pump() - Data and FIN of the peer to the guest, one turn's worth
 *
 * Return: false if the flow ended
 */
static bool pump(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);
	struct tcps *s = &c->s;
	uint32_t done = 0;

	while (c->readable || tcps_data_queued(s)) {
		uint32_t can = tcps_may_send(s);
		ssize_t rc;

		if (!can) {
			tcps_blocked(s, t->loop->now_ms);
			break;
		}
		if (done >= TURN_BYTES) {
			flow_list_push(t->flows, &t->ready, f);
			break;
		}
		rc = move_data(t, f, can);
		if (rc == -ENOBUFS)
			break;
		if (rc < 0 && !c->failed) {
			socket_failed(t, f, -rc);
			continue;
		}
		if (rc <= 0)
			break;
		done += rc;
	}
	send_fin(t, f);
	if (!c->failed || tcps_done(s))
		return true;
	if (tcps_reset_now(s)) {
		reset_flow(t, f);
		return false;
	}
	if (s->phase == TCPS_ESTABLISHED) {
		/* The guest may have to finish its upload before it reads */
		update_ack(t, f, false, true);
		resend_refused(t, f);
	}
	return true;
}

/* New flows */

static uint32_t tap_hash(const struct tcp *t, const struct flowside *tap)
{
	return flow_hash(t->flows, IPPROTO_TCP, PIF_TAP, tap);
}

/* initial_seq() - For a connection between these addresses and ports, RFC 6528 */
static uint32_t initial_seq(const struct tcp *t, const struct flowside *tap)
{
	uint32_t hash = flowside_hash(t->iss_key, IPPROTO_TCP, PIF_TAP, tap);

	return timewait_seq(&t->timewait, tap_hash(t, tap), tap,
			    tcps_initial_seq(hash, t->loop->now_ms));
}

static uint16_t tap_mss(const struct tcp *t, bool v4)
{
	unsigned hdr = sizeof(struct tcp_hdr) +
		       (v4 ? sizeof(struct ip4_hdr) : sizeof(struct ip6_hdr));

	return t->tap->mtu > hdr + TCPS_MSS_MIN ? t->tap->mtu - hdr : TCPS_MSS_MIN;
}

/* unreachable() - Tell by ICMP why the guest's SYN got no further, if one can */
static bool unreachable(struct tcp *t, struct flow *f, int error)
{
	const struct flowside *tap = flow_tap_side(f), *host = flow_host_side(f);
	const struct tcp_hdr syn = {
		.sport = htons(tap->eport), .dport = htons(tap->oport),
		.seq = htonl(conn(f)->s.rcv_nxt - 1),
		.flags = TCPF_SYN, .doff = sizeof(syn) / 4 << 4,
	};
	struct icmperr e;

	if (!icmperr_from_errno(error, host, &e))
		return false;
	icmperr_send(&e, t->tap, t->conf, t->net, t->guest, tap, host,
		     IPPROTO_TCP, &syn, sizeof(syn));
	return true;
}

/* Is this error about our own resources, and may it pass? */
static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	       error == ENOMEM || error == ENOSPC;
}

/*
 * connect_failed() - Tell the guest what a native connect() would have told
 *
 * Stay silent on ETIMEDOUT: the guest's own SYN timer reports it. Likewise without
 * resources: the guest retransmits its SYN, and there may be some by then.
 */
static void connect_failed(struct tcp *t, struct flow *f, int error)
{
	bool silent = error == ETIMEDOUT || is_shortage(error);

	if (error == ECONNREFUSED || (!silent && !unreachable(t, f, error)))
		send_rst(t, f);
	end_flow(t, f, true, "connection failed");
}

/* look_at_path() - How far the peer of a connected socket is, and the first window */
static void look_at_path(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	uint32_t room;

	c->near = inany_is_loopback(&flow_host_side(f)->eaddr);
	if (!getsockopt(c->sock, IPPROTO_TCP, TCP_INFO, &info, &len))
		c->near |= info.tcpi_min_rtt < NEAR_RTT_US;
	c->rtt_ms = info.tcpi_rtt / 1000;
	c->poll_ms = c->rtt_ms < 4 ? 1 : c->rtt_ms / 4;
	if (c->poll_ms > POLL_MAX_MS)
		c->poll_ms = POLL_MAX_MS;
	c->poll_now = c->poll_ms;

	c->snd_base = c->s.snd_una + 1;
	room = query_room(t, f, 0);
	tcps_window(&c->s, room, c->size);
}

/* connected() - The peer answered: so do we */
static void connected(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);

	tcps_connected(&c->s, t->loop->now_ms);
	look_at_path(t, f);
	send_syn(t, f, TCPF_ACK);
	trace_flow(t, f, c->near ? "connected, near" : "connected");
}

/* set_options() - What every socket of a flow has */
static void set_options(struct tcp *t, struct flow *f)
{
	static const int one = 1, zero = 0;
	struct tcp_conn *c = conn(f);

	/* Segments as the guest makes them; urgent data where it stands, as a
	 * peek would pass over it; a peer that vanished is noticed */
	setsockopt(c->sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->sock, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
	setsockopt(c->sock, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	c->peek_off = !t->conf->no_peek_off &&
		      !setsockopt(c->sock, SOL_SOCKET, SO_PEEK_OFF, &zero,
				  sizeof(zero));
}

static int watch_socket(struct tcp *t, struct flow *f)
{
	return loop_add(t->loop, conn(f)->sock, SOCK_EVENTS,
			flow_ref(f, !flow_tap_index(f)));
}

/* bind_source() - Where the user said what address to come from */
static int bind_source(struct tcp *t, struct flow *f)
{
	static const int one = 1;
	const union inany *a = &flow_host_side(f)->oaddr;
	int sock = conn(f)->sock;
	union sockaddr_inany sa;
	socklen_t len;

	/* To loopback the kernel takes the right one by itself */
	if (inany_is_unspecified(a) || inany_is_loopback(a))
		return 0;
	len = inany_to_sockaddr(a, 0, fwd_scope(t->net, t->dns, a), &sa);
	setsockopt(sock, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(sock, &sa.sa, len) ? -errno : 0;
}

/* open_socket() - Socket and connect(); 0, or negative errno */
/* #syscalls connect bind setsockopt */
static int open_socket(struct tcp *t, struct flow *f)
{
	const struct flowside *host = flow_host_side(f);
	struct tcp_conn *c = conn(f);
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&host->eaddr, host->eport,
					  fwd_scope(t->net, t->dns,
						    &host->eaddr), &sa);
	int rc;

	c->sock = hostsock_open(t->conf, t->net, &host->eaddr, SOCK_STREAM,
				IPPROTO_TCP);
	if (c->sock < 0)
		return c->sock;
	rc = bind_source(t, f);
	if (rc)
		return rc;
	set_options(t, f);
	if (connect(c->sock, &sa.sa, len) && errno != EINPROGRESS)
		return -errno;
	return watch_socket(t, f);
}

static void parse_syn_options(const struct pkt *p, struct tcp_seg *g)
{
	const uint8_t *o = p->opts;
	unsigned left = p->opts_len;

	while (left && *o != TCPOPT_EOL_) {
		unsigned len = 1;

		if (*o != TCPOPT_NOP_) {
			if (left < 2 || o[1] < 2 || o[1] > left)
				return;
			len = o[1];
		}
		if (*o == TCPOPT_MSS && len == TCPOPT_MSS_LEN)
			g->mss = o[2] << 8 | o[3];
		else if (*o == TCPOPT_WS && len == TCPOPT_WS_LEN)
			g->ws = o[2];
		o += len;
		left -= len;
	}
}

static void segment_of(const struct pkt *p, struct tcp_seg *g)
{
	*g = (struct tcp_seg){
		.seq = ntohl(p->tcp.seq), .ack = ntohl(p->tcp.ack),
		.wnd = ntohs(p->tcp.wnd), .flags = p->tcp.flags,
		.ws = -1, .len = p->payload.len,
	};
	if (g->flags & TCPF_SYN)
		parse_syn_options(p, g);
}

/*
 * start_flow() - A flow between tap and host, which its tap side finds
 * @sock:	Its socket, -1: not yet
 * @ini_pif, @ini, @tgt:	Initiating side, and the other
 *
 * Return: the flow, NULL if there is no room
 */
static struct flow *start_flow(struct tcp *t, int sock, enum pif ini_pif,
			       const struct flowside *ini,
			       const struct flowside *tgt)
{
	bool out = ini_pif == PIF_TAP;
	struct flow *f = flow_start(t->flows, &(struct flow_spec){
		.kind = REF_TCP, .proto = IPPROTO_TCP, .class = FLOW_STREAM,
		.fds = 1, .pif = { ini_pif, out ? PIF_HOST : PIF_TAP },
		.side = { *ini, *tgt }, .find = out ? FLOW_INI : FLOW_TGT,
	}, t->loop->now_ms);

	if (!f)
		return NULL;
	conn(f)->sock = sock;
	conn(f)->ratio = RATIO_ONE / 2;
	return f;
}

/* new_flow() - A SYN without a flow */
static void new_flow(struct tcp *t, const struct flowside *tap,
		     const struct tcp_seg *g)
{
	bool v4 = inany_is_v4(&tap->eaddr);
	char buf[UTIL_ERROR_STRLEN];
	struct flowside host;
	struct tcp_conn *c;
	struct flow *f;
	int rc;

	if (!fwd_from_tap(t->conf, t->net, t->dns, IPPROTO_TCP, tap, &host)) {
		answer_rst(t, tap, g);
		return;
	}
	f = start_flow(t, -1, PIF_TAP, tap, &host);
	if (!f) {
		/* Without an answer the guest repeats its SYN: RFC 9293, 3.8.1 */
		t->stats.refused_table++;
		warn_limited("Too many connections, SYN dropped");
		return;
	}

	c = conn(f);
	tcps_init_passive(&c->s, g, initial_seq(t, tap), tap_mss(t, v4), v4);
	t->stats.opened++;
	trace_flow(t, f, "new");

	rc = open_socket(t, f);
	if (!rc)
		return;
	if (c->sock < 0) {
		t->stats.refused_fd++;
		warn_limited("No socket for a new connection: %s",
			     util_strerror(rc, buf));
		/* The retransmitted SYN may find one */
		if (rc == -EMFILE || rc == -ENFILE)
			flow_evict(t->flows, FLOW_STREAM, t->loop->now_ms);
	}
	connect_failed(t, f, -rc);
}

/* Connections that the host side starts */

/* reset_stale() - End a flow whose socket the kernel no longer has */
static void reset_stale(struct tcp *t, struct flow *f)
{
	send_rst(t, f);
	end_flow(t, f, true, "its peer has begun a new connection");
}

/*
 * free_port() - Make the guest's view of a connection unlike all others
 *
 * Several connections may look the same to the guest: from peers whose address is
 * mapped to one, or from one port of a peer to two forwarded ports. Another source
 * port is taken then, as a NAT would (RFC 4787, 4.2.1: from the same range). But a
 * peer that the guest itself is connected to, at this address and port, is refused.
 *
 * A flow between the same four addresses and ports on the host has ended there,
 * else the kernel would not have accepted this connection: its error or its event
 * is just not handled yet, or the guest has yet to take its data.
 *
 * Return: false if nothing can be had
 */
static bool free_port(struct tcp *t, const struct flowside *host,
		      struct flowside *tap)
{
	unsigned low = tap->oport < 1024 ? 512 : 1024, tries;
	unsigned count = low == 512 ? 512 : 65536 - 1024;
	uint32_t step = t->iss_key[0] ^ t->stats.accepted;

	for (tries = 0; tries < SOURCE_TRIES; tries++) {
		struct flow *f = flow_lookup(t->flows, IPPROTO_TCP, PIF_TAP,
					     tap, NULL);

		if (f && f->pif[INI] == PIF_HOST &&
		    flowside_equals(flow_host_side(f), host)) {
			reset_stale(t, f);
			f = NULL;
		}
		if (!f)
			return true;
		if (f->pif[INI] == PIF_TAP &&
		    inany_equals(&host->eaddr, &tap->oaddr))
			return false;
		step = step * 1664525 + 1013904223;
		tap->oport = low + (step >> 8) % count;
	}
	return false;
}

/**
 * tcp_accepted() - A peer has connected to a forwarded port
 * @t:		TCP
 * @fd:		Connected socket, non-blocking: is ours from now on
 * @host:	Host side: the peer is the endpoint
 * @tap:	Tap side: the guest is the endpoint, ours is what it is to see as
 *		the peer; another port is chosen if that is taken, see free_port()
 *
 * The peer's connection is complete, so it learns by a reset if the guest
 * refuses or never answers. What it sends in the meantime stays in the socket.
 */
void tcp_accepted(struct tcp *t, int fd, const struct flowside *host,
		  const struct flowside *tap)
{
	bool v4 = inany_is_v4(&tap->eaddr);
	struct flowside seen = *tap;
	struct flow *f;

	t->stats.accepted++;
	if (!free_port(t, host, &seen)) {
		t->stats.refused_ports++;
		warn_limited("No source port for a connection to the guest");
		hostsock_reset(fd);
		return;
	}
	f = start_flow(t, fd, PIF_HOST, host, &seen);
	if (!f) {
		t->stats.refused_table++;
		warn_limited("Too many connections, one is refused");
		hostsock_reset(fd);
		return;
	}
	set_options(t, f);
	tcps_init_active(&conn(f)->s, initial_seq(t, &seen), tap_mss(t, v4), v4,
			 &t->syn, t->loop->now_ms);
	look_at_path(t, f);
	if (watch_socket(t, f)) {
		end_flow(t, f, true, "can't be watched");
		return;
	}
	send_syn(t, f, 0);
	rearm_timer(t, f);
	trace_flow(t, f, "accepted");
}

/* Batches of segments */

static struct tcp_work *work_for(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);
	struct tcp_work *w;

	if (c->work)
		return &t->work[c->work - 1];

	w = &t->work[t->works++];
	c->work = t->works;
	w->flow = f;
	w->acts = 0;
	w->holes = 0;
	w->count = 0;
	w->bytes = 0;
	return w;
}

/*
 * undelivered() - Bytes of the guest that were never sent to the peer
 *
 * A kernel sends its RST behind what is in flight, too, and does not wait until
 * that is acknowledged.
 */
/* #syscalls ioctl */
static uint32_t undelivered(struct flow *f)
{
	struct tcp_conn *c = conn(f);
	int unsent = 0;

	if (c->failed || c->s.phase != TCPS_ESTABLISHED ||
	    ioctl(c->sock, SIOCOUTQNSD, &unsent) || unsent < 0)
		return 0;
	return c->spill.len + unsent;
}

/* drain() - The next step towards the peer's RST */
static void drain(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);
	uint64_t now = t->loop->now_ms;
	uint32_t left;

	drain_spill(t, f);
	left = undelivered(f);
	if (!left) {
		end_flow(t, f, true, "reset by the guest");
		return;
	}
	if (left < c->in_space) {
		c->in_space = left;
		tcps_drain(&c->s, now + c->poll_now, now);
	} else {
		c->poll_now = next_poll(c->poll_now);
		c->s.poll_at = now + c->poll_now;
	}
	rearm_timer(t, f);
}

/* guest_reset() - A RST from the guest: the peer gets one, behind the data */
static void guest_reset(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = conn(f);

	if (!undelivered(f)) {
		end_flow(t, f, true, "reset by the guest");
		return;
	}
	trace_flow(t, f, "reset by the guest, data is left");
	c->draining = true;
	c->ack_due = false;
	c->in_space = UINT32_MAX;
	c->poll_now = c->poll_ms;
	flow_list_remove(t->flows, f);
	flow_unhash(t->flows, f);
	give_way(t, f);
	drain(t, f);
}

/* segment() - Let the state decide, collect what is to be done */
static void segment(struct tcp *t, struct flow *f, const struct pkt *p,
		    const struct tcp_seg *g)
{
	struct tcp_conn *c = conn(f);
	struct tcp_acts a;
	struct tcp_work *w;

	tcps_segment(&c->s, g, t->loop->now_ms, &a);
	if (c->s.phase == TCPS_ESTABLISHED && !c->failed)
		flow_set_rank(t->flows, f, FLOW_KEPT);

	if (a.acts & ACT_RST_SOCK) {
		guest_reset(t, f);
		return;
	}
	if (a.acts & ACT_RST_TAP)
		answer_rst(t, flow_tap_side(f), g);
	if (a.acts & (ACT_SYN | ACT_SYNACK))
		send_syn(t, f, a.acts & ACT_SYN ? 0 : TCPF_ACK);
	if (!a.acts)
		return;

	w = work_for(t, f);
	w->acts |= a.acts;
	w->holes += !!(a.acts & ACT_HOLE);
	if (a.take) {
		w->data[w->count++] = view_at(p->payload, a.skip, a.take);
		w->bytes += a.take;
	}
}

/*
 * close_if_done() - Once both directions are, and the guest has been told
 *
 * Return: true if the flow ended
 */
static bool close_if_done(struct tcp *t, struct flow *f)
{
	const struct flowside *tap = flow_tap_side(f);
	struct tcp_conn *c = conn(f);

	if (!tcps_done(&c->s) || c->ack_due || c->dying)
		return false;
	timewait_add(&t->timewait, tap_hash(t, tap), tap, &c->s);
	end_flow(t, f, false, "closed");
	return true;
}

/* run_work() - What the segments of a flow in this batch came to */
static void run_work(struct tcp *t, struct tcp_work *w)
{
	struct flow *f = w->flow;
	unsigned i;

	if (!f)
		return;
	w->flow = NULL;
	conn(f)->work = 0;

	if (w->acts & ACT_CONSUME)
		consume(t, f);
	if (w->bytes)
		deliver(t, f, w);
	pass_fin(t, f);
	if (w->acts & (ACT_DATA | ACT_ACK))
		update_ack(t, f, w->acts & ACT_ACK, false);
	for (i = 1; i < w->holes && i < FAST_DUPACKS; i++)
		send_ack(t, f);
	if ((w->acts & ACT_SEND || conn(f)->failed) && !pump(t, f))
		return;
	if (!close_if_done(t, f))
		rearm_timer(t, f);
}

/* no_flow() - A segment, not a SYN, that belongs to no flow, or no more */
static void no_flow(struct tcp *t, const struct flowside *tap,
		    const struct tcp_seg *g)
{
	uint32_t ack;

	switch (timewait_input(&t->timewait, tap_hash(t, tap), tap, g, &ack)) {
	case TIMEWAIT_UNKNOWN:
		answer_rst(t, tap, g);
		break;
	case TIMEWAIT_SILENCE:
		break;
	case TIMEWAIT_ACK:
		send_ctl(t, tap, TCPF_ACK, g->ack, ack, 0, NULL, 0);
		break;
	}
}

/**
 * tcp_tap_input() - Segments from the guest
 * @t:		TCP
 * @pkts:	Packets, all PKT_TCP
 * @n:		How many, at most TAP_RX_BATCH
 */
void tcp_tap_input(struct tcp *t, const struct pkt *pkts, unsigned n)
{
	unsigned i;

	if (t->conf->no_tcp)
		return;

	t->works = 0;
	for (i = 0; i < n; i++) {
		const struct pkt *p = &pkts[i];
		struct flowside tap = {
			.oaddr = p->dst, .oport = ntohs(p->tcp.dport),
			.eaddr = p->src, .eport = ntohs(p->tcp.sport),
		};
		struct tcp_seg g;
		struct flow *f;

		segment_of(p, &g);
		f = flow_lookup(t->flows, IPPROTO_TCP, PIF_TAP, &tap, NULL);
		if (f && g.flags & (TCPF_SYN | TCPF_RST) && conn(f)->work) {
			/* What came before may be the end of the flow, or be
			 * data that a RST must not overtake */
			run_work(t, &t->work[conn(f)->work - 1]);
			f = flow_lookup(t->flows, IPPROTO_TCP, PIF_TAP, &tap,
					NULL);
		}
		if (f)
			segment(t, f, p, &g);
		else if (!inany_is_unicast(&p->src) || !inany_is_unicast(&p->dst))
			continue;	/* RFC 9293, 3.9.2.3 */
		else if ((g.flags & (TCPF_SYN | TCPF_ACK | TCPF_RST)) == TCPF_SYN)
			new_flow(t, &tap, &g);
		else
			no_flow(t, &tap, &g);
	}
	for (i = 0; i < t->works; i++)
		run_work(t, &t->work[i]);
}

/**
 * tcp_tap_unreachable() - Somebody behind the tap refuses a connection by ICMP
 * @t:		TCP
 * @q:		Quoted segment
 *
 * For errors that will not pass. They end a connection that is being set up, if
 * the quoted segment is its SYN; one that is established is left alone: RFC 5927,
 * 5.2, RFC 5461.
 */
void tcp_tap_unreachable(struct tcp *t, const struct pkt_quote *q)
{
	const struct flowside tap = {
		.oaddr = q->src, .oport = q->sport,
		.eaddr = q->dst, .eport = q->dport,
	};
	struct flow *f = flow_lookup(t->flows, IPPROTO_TCP, PIF_TAP, &tap, NULL);

	if (f && conn(f)->s.phase == TCPS_SYN_SENT && !conn(f)->dying &&
	    q->seq == conn(f)->s.snd_una)
		end_flow(t, f, true, "refused by ICMP");
}

static int sock_error(int sock)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(sock, SOL_SOCKET, SO_ERROR, &error, &len))
		return errno;
	return error;
}

/* drain_event() - The peer's data is for nobody, but lets the peer read ours */
/* #syscalls recvfrom recv */
static void drain_event(struct tcp *t, struct flow *f, uint32_t events)
{
	struct tcp_conn *c = conn(f);

	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP))
		recv(c->sock, NULL, INT_MAX, MSG_TRUNC | MSG_DONTWAIT);
	if (events & EPOLLOUT)
		c->armed = false;
	drain(t, f);
}

/**
 * tcp_sock_event() - epoll reported something on a flow's socket
 */
void tcp_sock_event(void *ctx, struct flow *f, unsigned side, uint32_t events)
{
	struct tcp *t = ctx;
	struct tcp_conn *c = conn(f);
	int error = 0;

	(void)side;
	if (c->dying)
		return;
	if (events & (EPOLLERR | EPOLLHUP))
		error = sock_error(c->sock);
	if (c->draining) {
		if (error)
			end_flow(t, f, true, "reset by both");
		else
			drain_event(t, f, events);
		return;
	}

	if (c->s.phase == TCPS_CONNECTING) {
		if (error) {
			connect_failed(t, f, error);
			return;
		}
		if (!(events & EPOLLOUT))
			return;
		connected(t, f);
	}

	if (error)
		socket_failed(t, f, error);
	c->rdhup |= !!(events & EPOLLRDHUP);
	c->urgent |= !!(events & EPOLLPRI);
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP))
		c->readable = true;
	if ((events & EPOLLOUT) && c->armed && !c->failed)
		sock_writable(t, f);
	if (!pump(t, f))
		return;
	if (!close_if_done(t, f))
		rearm_timer(t, f);
}

/**
 * tcp_timer() - The wheel reported a flow's timer
 */
void tcp_timer(void *ctx, struct flow *f)
{
	struct tcp *t = ctx;
	struct tcp_conn *c = conn(f);
	unsigned acts = tcps_timer(&c->s, t->loop->now_ms);

	if (acts & ACT_RST_TAP && !c->draining)
		send_rst(t, f);
	if (acts & ACT_RST_SOCK) {
		end_flow(t, f, !tcps_done(&c->s), "timed out");
		return;
	}
	if (c->draining) {
		drain(t, f);
		return;
	}
	if (acts & (ACT_SYN | ACT_SYNACK))
		send_syn(t, f, acts & ACT_SYN ? 0 : TCPF_ACK);
	if (acts & ACT_PROBE)
		send_probe(t, f);
	if (acts & ACT_POLL) {
		c->poll_now = next_poll(c->poll_now);
		update_ack(t, f, false, true);
	}
	if (acts & ACT_SEND && !pump(t, f))
		return;
	if (!close_if_done(t, f))
		rearm_timer(t, f);
}

/* run_list() - Each flow of a list gets a turn; it may queue itself again */
static void run_list(struct tcp *t, struct flow_list *l)
{
	uint32_t n = l->count;
	struct flow *f;

	while (n-- && (f = flow_list_pop(t->flows, l))) {
		if (conn(f)->dying) {
			reset_flow(t, f);
			continue;
		}
		if (conn(f)->ack_due && !send_ack(t, f))
			continue;
		if (pump(t, f) && !close_if_done(t, f))
			rearm_timer(t, f);
	}
}

/**
 * tcp_tap_writable() - The tap has room again
 */
void tcp_tap_writable(struct tcp *t)
{
	run_list(t, &t->blocked);
}

/**
 * tcp_run_ready() - A turn for every flow with work left
 *
 * Return: true if there is still work: do not sleep
 */
bool tcp_run_ready(struct tcp *t)
{
	run_list(t, &t->ready);
	return t->ready.count;
}

/**
 * tcp_init() - Start without flows
 * @key:	Random, for initial sequence numbers
 */
void tcp_init(struct tcp *t, const struct conf *conf, const struct hostnet *net,
	      const struct guest *guest, const struct dns *dns,
	      struct flow_table *flows, struct tap *tap, struct loop *loop,
	      const uint64_t key[2])
{
	t->conf = conf;
	t->net = net;
	t->guest = guest;
	t->dns = dns;
	t->flows = flows;
	t->tap = tap;
	t->loop = loop;
	t->iss_key[0] = key[0];
	t->iss_key[1] = key[1];
	flow_list_init(&t->ready);
	flow_list_init(&t->blocked);
	t->syn.retries = procfile_number(SYSCTL "tcp_syn_retries", 127, 6);
	t->syn.linear = procfile_number(SYSCTL "tcp_syn_linear_timeouts", 127,
					0);
}

/**
 * tcp_unfinished() - Has the guest sent data or a FIN that is still to be delivered?
 *
 * Only an established connection can have any.
 */
bool tcp_unfinished(const struct flow *f)
{
	const struct tcp_conn *c = (const void *)f->priv;

	return c->s.phase == TCPS_ESTABLISHED &&
	       (c->draining || c->s.out < OUT_FIN_PASSED);
}
