/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_in.c - TCP, peer to guest: from a socket to segments
 *
 * Data is peeked from the socket straight into frames. The receive queue keeps it
 * until the guest has acknowledged it; then it is discarded:
 *
 *     snd_base          snd_una          snd_nxt            end of queue
 *        |  acknowledged,  |   in flight    |   not sent yet     |
 *        |  not discarded  |                |                    |
 *        +---- peek offset: snd_nxt - snd_base ----> peek here
 */

#include "tcp_priv.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

#include "frame.h"
#include "inany.h"
#include "wire.h"

#define IP_PACKET_MAX	65535U
#define TURN_BYTES	(512U * 1024)	/* to the guest, per flow and turn */
#define CONSUME_LAZY	(512U * 1024)	/* acknowledged, kept while more is in flight */
#define NO_OFFSET_MAX	(256U * 1024)	/* in flight without SO_PEEK_OFF */

/* Pieces of one peek, as many as the kernel takes: NO_OFFSET_MAX bytes to skip, then
 * frames */
#define PEEK_IOVS	1024
static_assert(PEEK_IOVS >= 4 + TAP_TX_BATCH + VIEW_PARTS_MAX,
	      "segments of one piece, or one frame, always fit");

/*
 * grow_rcvbuf() - Let the receive buffer of a far peer grow as natively
 *
 * The kernel sizes the buffer by the bytes taken from the queue in one round trip,
 * less the bytes still queued (tcp_rcv_space_adjust()). It measures at the first
 * recv() of the next round trip. Ours is a peek, with a burst in the queue, so the
 * buffer might never grow. So measure here, and ask for room by SO_RCVLOWAT. Since
 * Linux 4.18 that enlarges the buffer, within tcp_rmem, and leaves the kernel's own
 * sizing alone. Four times the bytes of the last round trip leave room for slow start.
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
 * tcp_consume() - Discard acknowledged data from the receive queue
 *
 * This can wait while more is in flight, unless each peek copies the acknowledged
 * data again (without SO_PEEK_OFF).
 */
/* #syscalls recvfrom recv */
void tcp_consume(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
	uint32_t bytes = tcps_acked_data(&c->s) - c->snd_base;
	uint32_t keep = c->no_peek_off ? 0 : CONSUME_LAZY;
	ssize_t rc;

	if (!bytes || (bytes < keep && c->s.snd_una != c->s.snd_max))
		return;

	rc = recv(c->sock, NULL, bytes, MSG_TRUNC | MSG_DONTWAIT);
	if (rc < 0 && errno != EAGAIN)
		flow_list_push(t->flows, &t->ready, f);	/* no more ACK may come */
	if (rc <= 0)
		return;
	c->snd_base += rc;
	c->peek_pos = c->peek_pos > (size_t)rc ? c->peek_pos - rc : 0;
	grow_rcvbuf(t, c, rc);
}

/* offset_set() - Have peeks begin at @off: 0, -EOPNOTSUPP if the socket can't, or another
 * negative errno */
/* #syscalls setsockopt */
static int offset_set(struct tcp_conn *c, int off)
{
	if (c->no_peek_off)
		return -EOPNOTSUPP;
	if (setsockopt(c->sock, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off))) {
		if (c->peek_off)
			return -errno;
		c->no_peek_off = true;
		return -EOPNOTSUPP;
	}
	c->peek_off = true;
	c->peek_pos = off;
	return 0;
}

/*
 * peek_prepare() - Make the next MSG_PEEK begin at snd_nxt
 *
 * A socket begins at the start by itself, so one that answers once needs no offset.
 *
 * Return: parts of @iov used up for bytes to be skipped; negative errno
 */
static int peek_prepare(struct tcp *t, struct flow *f, struct iovec *iov,
			uint32_t *skip)
{
	struct tcp_conn *c = tcp_conn(f);
	uint32_t want = c->s.snd_nxt - c->snd_base;
	int n = 0, rc;

	*skip = 0;
	if (want == (c->peek_off ? c->peek_pos : 0))
		return 0;
	rc = offset_set(c, want);
	if (rc != -EOPNOTSUPP)
		return rc;

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
 * fill_frames() - Write headers for @len bytes in @n frames; return the frames used
 *
 * Set PSH in the last one, even if all frames are full: the queue may end there.
 * Without PSH some guests withhold the data from their application for a while (RFC
 * 9293, 3.9.1.2: PSH must be set in the last segment).
 */
static unsigned fill_frames(struct tcp *t, struct flow *f, struct txframe *fr,
			    unsigned n, size_t len)
{
	const struct tcps *s = &tcp_conn(f)->s;
	struct frame_addr a = tcp_frame_addr(t, flow_tap_side(f));
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

/* list_rooms() - List the rooms for up to @can bytes in @iov, as many as fit; set the
 * length of each frame, and *@n to the number of frames used */
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

/* commit_frames() - Queue frames; return the payload bytes that were queued */
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

/* Note that @bytes were sent, with our acknowledgement; data that is sent again counts
 * once */
static void note_sent(struct tcp *t, struct flow *f, uint32_t bytes)
{
	struct tcps *s = &tcp_conn(f)->s;
	uint32_t before = s->snd_max;

	if (bytes)
		tcp_ack_carried(t, f);
	tcps_sent(s, bytes, t->loop->now_ms);
	flow_count(t->flows, f, TO_GUEST, s->snd_max - before, t->loop->now_ms);
}

/* peek_failed() - Note the error of a peek: 0, or negative errno if the socket failed */
static int peek_failed(struct tcp *t, struct flow *f, int error)
{
	struct tcp_conn *c = tcp_conn(f);

	if (error == EAGAIN)
		c->readable = false;
	if (error == EINTR || error == ENOMEM || error == ENOBUFS) {
		flow_list_push(t->flows, &t->ready, f);
		return 0;
	}
	if (c->failed)
		tcps_eof(&c->s);	/* the error again: nothing is left */
	return error == EAGAIN || c->failed ? 0 : -error;
}

/*
 * move_data() - Peek once into frames, and send them
 * @can:	Bytes that the window allows
 *
 * Return: bytes sent; 0 if there is nothing now, -ENOBUFS without frames, other
 * negative errno if the socket failed
 */
/* #syscalls recvmsg */
static ssize_t move_data(struct tcp *t, struct flow *f, uint32_t can)
{
	struct iovec iov[PEEK_IOVS];
	struct tcp_conn *c = tcp_conn(f);
	bool v4 = inany_is_v4(&flow_tap_side(f)->eaddr);
	uint32_t max = frame_payload_max(t, v4, c->s.mss), skip, want = 0;
	unsigned n = (can + max - 1) / max, i;
	struct msghdr mh = { .msg_iov = iov };
	struct txframe *fr;
	ssize_t rc, peeked;
	int parts;

	if (n > TAP_TX_BATCH)
		n = TAP_TX_BATCH;
	if (max > c->s.mss && n > t->tap->burst / max)
		n = t->tap->burst > max ? t->tap->burst / max : 1;
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
	if (rc < 0)
		return peek_failed(t, f, errno);
	c->peek_pos += rc;
	rc -= skip;
	if (rc <= 0) {
		/* A read that has to skip ends at urgent data, too: there is more
		 * once the guest has acknowledged the data before it */
		c->readable = skip && c->urgent;
		if (!skip || (c->rdhup && !c->urgent))
			tcps_eof(&c->s);
		return 0;
	}

	if ((size_t)rc < want && !c->rdhup && !c->urgent)
		c->readable = false;
	peeked = rc;
	n = fill_frames(t, f, fr, n, peeked);
	rc = commit_frames(t, f, fr, n);
	if (rc < peeked)
		c->readable = true;
	note_sent(t, f, rc);
	return rc;
}

static void send_fin(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);

	if (!tcps_fin_may_send(&c->s))
		return;
	if (!tcp_send_ctl(t, flow_tap_side(f), TCPF_FIN | TCPF_ACK, c->s.snd_nxt,
			  c->s.rcv_acked, tcps_window_field(&c->s, false), NULL, 0)) {
		flow_list_push(t->flows, &t->blocked, f);
		return;
	}
	tcp_ack_carried(t, f);
	tcps_fin_sent(&c->s, t->loop->now_ms);
	tcp_trace(t, f, "FIN to the guest");
}

/*
 * tcp_pump() - Send the peer's data and FIN to the guest, one turn's worth
 *
 * Return: false if the flow ended
 */
bool tcp_pump(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
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
			tcp_socket_failed(t, f, -rc);
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
		tcp_reset(t, f, "socket error, reset");
		return false;
	}
	if (s->phase == TCPS_ESTABLISHED) {
		/* The guest may have to finish its upload before it reads */
		tcp_update_ack(t, f, false, true);
		tcp_resend_refused(t, f);
	}
	return true;
}
