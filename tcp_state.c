/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_state.c - Decisions of TCP: no system call, time is an argument
 *
 * The guest speaks TCP with us; the peer's half of the connection is the host
 * kernel's socket. So this is RFC 9293 seen from one side, with these
 * differences:
 *
 * - Nothing is buffered here. Towards the guest, the socket's receive queue is
 *   the retransmission queue: to resend is to set snd_nxt back and peek again.
 *   From the guest, only segments in order are taken; one out of order is
 *   answered with a duplicate ACK, because on this link frames are lost only
 *   together with the next ones.
 * - rcv_acked trails rcv_nxt: data that the peer has not acknowledged is not
 *   acknowledged to the guest either, if the peer is far away.
 * - The right edge of our window, rcv_edge, is promised room in the socket.
 *
 * Phases (RFC 9293, 3.3.2, names of ours in brackets):
 *
 *   event \ phase | CONNECTING       | SYN_RCVD            | ESTABLISHED
 *   --------------+------------------+---------------------+--------------------
 *   SYN           | same: ignored    | same: SYN-ACK again | challenge ACK
 *   ACK           | ignored          | right: ESTABLISHED  | see ack_in()
 *                 |                  | wrong: RST, stays   |
 *   RST           | right: flow ends | right: flow ends    | right: flow ends,
 *                 |                  |                     | near: challenge ACK
 *   connect() ok  | SYN_RCVD         | -                   | -
 *
 * A connection from the host side was accepted by a socket. It begins in SYN_SENT,
 * with our SYN on its way to the guest (RFC 9293, 3.10.7.3):
 *
 *   SYN, right ACK  ESTABLISHED, ACK		RST, right ACK	flow ends
 *   SYN, no ACK     SYN_RCVD, SYN-ACK		RST, other	ignored
 *   wrong ACK       RST, stays; without SYN:	time-out	SYN again, or ends
 *                   our SYN again
 *
 * From ESTABLISHED on, each direction closes on its own: enum tcps_out and enum
 * tcps_in. FIN-WAIT-1 of the RFC is out = OPEN, in = EOF; CLOSE-WAIT is
 * out > OPEN, in = OPEN; CLOSING and LAST-ACK are both; for TIME-WAIT there is
 * timewait.c, as the flow has ended by then.
 *
 * A reset does not overtake data. Natively the receive queue of a connection stays
 * readable after a RST. The guest's kernel keeps its own queue, too, but our socket's
 * queue may have more data. So after tcps_reset_due() data is still sent and
 * retransmitted. tcps_reset_now() is true once the guest has all of it or no longer
 * acknowledges. In the other direction, after tcps_drain(), the socket sends all data
 * that it has. Both end at the latest RESET_WAIT_MS after the last progress.
 */

#include "tcp_state.h"

#include <string.h>

#include "wire.h"

#define RTO_MS			400	/* above any guest's delayed ACK timer */
#define RTO_SYN_MS		1000	/* RFC 6298, 2.1 */
#define RTO_MAX_MS		60000	/* RFC 6298, 2.5 */
#define RTO_MAX_SYN_MS		120000	/* of our SYN, as in the kernel */
#define RETRIES_SYN		6
#define RETRIES_MAX		15	/* over ten minutes */
#define ALIVE_IDLE_MS		(7200 * 1000ULL)	/* RFC 9293, 3.8.4 */
#define ALIVE_HALF_MS		(600 * 1000ULL)	/* one direction is closed */
#define ALIVE_INTERVAL_MS	(75 * 1000ULL)
#define ALIVE_PROBES		9
#define RESET_WAIT_MS		(60 * 1000ULL)	/* without progress, then a RST */
#define RESET_RETRIES		2	/* of the data before a RST */
#define DUPACKS			3	/* RFC 5681, 3.2 */
#define WINDOW_FIELD_MAX	65535U
#define WINDOW_MOST	(WINDOW_FIELD_MAX << TCP_WS_MAX)
#define ISN_TICKS_PER_MS	(1000000 / 64)	/* one tick is 64 ns */

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* syn_options() - Take the options that both SYNs have (RFC 9293 3.7.1, RFC 7323 2.2) */
static void syn_options(struct tcps *s, const struct tcp_seg *syn,
			uint16_t mss_max, bool v4)
{
	uint16_t mss = syn->mss;

	if (!mss)
		mss = v4 ? TCPS_MSS_DEFAULT4 : TCPS_MSS_DEFAULT6;
	if (mss < TCPS_MSS_MIN)
		mss = TCPS_MSS_MIN;

	s->mss = min_u32(mss, mss_max);
	s->rcv_mss = mss_max;
	s->our_ws = s->peer_ws = 0;
	if (syn->ws >= 0) {
		s->our_ws = TCPS_OUR_WSCALE;
		s->peer_ws = min_u32(syn->ws, TCP_WS_MAX);
	}

	s->rcv_nxt = s->rcv_acked = s->rcv_edge = syn->seq + 1;
	s->snd_wnd = s->snd_wnd_max = syn->wnd;	/* a SYN's is not scaled */
}

/**
 * tcps_initial_seq() - Initial sequence number (RFC 6528, 3)
 * @hash:	Keyed hash of the connection's addresses and ports
 * @now_ms:	Time
 *
 * A guest in TIME-WAIT accepts a SYN only if its number is above all numbers of the
 * old connection (RFC 9293, 3.6.1), so the clock has to outrun the data of fast
 * connections. The classic tick of 4 us stands for 250 kB/s; a tick of 64 ns
 * stands for 16 MB/s, as in today's kernels. The numbers then wrap after 274 s,
 * and half of that is still more than the 60 s that TIME-WAIT lasts. For faster
 * connections see timewait_seq().
 */
uint32_t tcps_initial_seq(uint32_t hash, uint64_t now_ms)
{
	return hash + (uint32_t)(now_ms * ISN_TICKS_PER_MS);
}

/**
 * tcps_init_passive() - A SYN came from the guest
 * @s:		State, any content
 * @syn:	The segment
 * @iss:	Our initial sequence number
 * @mss_max:	Payload that fits the MTU of the tap
 * @v4:		IPv4, for the default of the MSS
 */
void tcps_init_passive(struct tcps *s, const struct tcp_seg *syn, uint32_t iss,
		       uint16_t mss_max, bool v4)
{
	memset(s, 0, sizeof(*s));
	s->phase = TCPS_CONNECTING;
	s->v4 = v4;
	s->snd_una = s->snd_nxt = s->snd_max = iss;
	s->rto_ms = RTO_SYN_MS;
	syn_options(s, syn, mss_max, v4);
}

/**
 * tcps_init_active() - Begin with a SYN of ours, to be sent to the guest at once
 * @s:		State, any content
 * @iss:	Our initial sequence number
 * @mss_max:	Payload that fits the MTU of the tap
 * @v4:		IPv4, for the default of the MSS
 * @policy:	How often the SYN is retransmitted
 * @now_ms:	Time
 *
 * Until the guest's sequence numbers are known, tcps_window() sets a right edge that
 * counts from 0.
 */
void tcps_init_active(struct tcps *s, uint32_t iss, uint16_t mss_max, bool v4,
		      const struct tcps_syn *policy, uint64_t now_ms)
{
	*s = (struct tcps){
		.phase = TCPS_SYN_SENT, .v4 = v4,
		.syn_linear = policy->linear, .syn_retries = policy->retries,
		.our_ws = TCPS_OUR_WSCALE, .mss = mss_max, .rcv_mss = mss_max,
		.snd_una = iss, .snd_nxt = iss + 1, .snd_max = iss + 1,
		.rto_ms = RTO_SYN_MS, .rtx_at = now_ms + RTO_SYN_MS,
	};
}

static void rtx_start(struct tcps *s, uint32_t rto_ms, uint64_t now_ms)
{
	s->retries = 0;
	s->rto_ms = rto_ms;
	s->rtx_at = s->snd_una == s->snd_max ? 0 : now_ms + rto_ms;
}

/**
 * tcps_connected() - The socket is connected: our SYN-ACK is to be sent
 */
void tcps_connected(struct tcps *s, uint64_t now_ms)
{
	s->phase = TCPS_SYN_RCVD;
	s->snd_nxt = s->snd_max = s->snd_una + 1;
	rtx_start(s, RTO_SYN_MS, now_ms);
}

/* last_wait() - Let the timer of idle connections end the flow, without a probe */
static void last_wait(struct tcps *s, uint64_t now_ms)
{
	s->probes = ALIVE_PROBES;
	s->alive_at = now_ms + RESET_WAIT_MS;
}

/* alive() - Restart the timer of idle connections: the guest has sent something */
static void alive(struct tcps *s, uint64_t now_ms)
{
	bool half = s->out != OUT_OPEN || s->in != IN_OPEN;

	if (s->reset)
		return;
	s->probes = 0;
	s->alive_at = now_ms + (half ? ALIVE_HALF_MS : ALIVE_IDLE_MS);
}

/*
 * rst_in() - Handle a RST: RFC 9293, 3.10.7.4 first and second, RFC 5961, 3.2
 *
 * Exactly the next sequence number resets; another one in the window gets a challenge
 * ACK. So does the right edge: the next byte of a guest that filled the window is
 * there, even if a part was lost or refused. The number that we acknowledged last
 * resets, too: a guest that has lost the connection takes it from our ACK.
 */
static void rst_in(const struct tcps *s, const struct tcp_seg *g,
		   struct tcp_acts *a)
{
	if (s->phase == TCPS_SYN_SENT) {
		/* RFC 9293, 3.10.7.3: a RST for our SYN acknowledges it */
		if (g->flags & TCPF_ACK && g->ack == s->snd_nxt)
			a->acts |= ACT_RST_SOCK;
		return;
	}
	if (g->seq == s->rcv_nxt || g->seq == s->rcv_acked)
		a->acts |= ACT_RST_SOCK;
	else if (s->phase == TCPS_ESTABLISHED && seq_lt(s->rcv_nxt, g->seq) &&
		 seq_le(g->seq, s->rcv_edge))
		a->acts |= ACT_ACK;
}

/* handshake_done() - The guest has acknowledged our SYN */
static void handshake_done(struct tcps *s, uint64_t now_ms, struct tcp_acts *a)
{
	s->phase = TCPS_ESTABLISHED;
	s->snd_una = s->snd_nxt;
	rtx_start(s, RTO_MS, now_ms);
	a->acts |= ACT_SEND;
}

/*
 * syn_sent_in() - RFC 9293, 3.10.7.3; the guest has to resend the payload of a SYN
 *
 * A wrong ACK without SYN comes from a guest that still has an old connection
 * between these ports, perhaps in TIME-WAIT. Our RST ends the old one, so retransmit
 * the SYN at once. Do so only once in each period of its timer: otherwise a guest
 * that always answers so would keep both sides busy.
 */
static void syn_sent_in(struct tcps *s, const struct tcp_seg *g,
			uint64_t now_ms, struct tcp_acts *a)
{
	uint32_t room = s->rcv_edge;

	if (g->flags & TCPF_ACK && g->ack != s->snd_nxt) {
		a->acts |= ACT_RST_TAP;
		if (!(g->flags & TCPF_SYN) && !s->syn_hurried) {
			a->acts |= ACT_SYN;
			s->syn_hurried = true;
		}
		return;
	}
	if (!(g->flags & TCPF_SYN))
		return;

	syn_options(s, g, s->rcv_mss, s->v4);
	s->rcv_edge += room;
	if (!(g->flags & TCPF_ACK)) {
		s->phase = TCPS_SYN_RCVD;
		a->acts |= ACT_SYNACK;
		return;
	}
	handshake_done(s, now_ms, a);
	a->acts |= ACT_ACK;
	alive(s, now_ms);
}

/* syn_rcvd_in() - Return: true if the handshake is complete */
static bool syn_rcvd_in(struct tcps *s, const struct tcp_seg *g,
			uint64_t now_ms, struct tcp_acts *a)
{
	if (g->flags & TCPF_SYN) {
		if (g->seq + 1 != s->rcv_nxt) {
			a->acts |= ACT_ACK;
		} else if (g->flags & TCPF_ACK && g->ack == s->snd_nxt) {
			/* Both SYNs crossed, this one has seen ours */
			handshake_done(s, now_ms, a);
			a->acts |= ACT_ACK;
			alive(s, now_ms);
		} else {
			a->acts |= ACT_SYNACK;
		}
		return false;
	}
	if (!(g->flags & TCPF_ACK))
		return false;
	if (g->ack != s->snd_nxt) {
		a->acts |= ACT_RST_TAP;	/* RFC 9293, 3.10.7.4 fifth */
		return false;
	}

	handshake_done(s, now_ms, a);
	return true;
}

/* rewind_to_una() - Send everything from snd_una on again */
static void rewind_to_una(struct tcps *s)
{
	s->snd_nxt = s->snd_una;
}

/* window_in() - RFC 9293, 3.10.7.4: take the guest's window */
static void window_in(struct tcps *s, const struct tcp_seg *g, uint64_t now_ms,
		      struct tcp_acts *a)
{
	uint32_t wnd = (uint32_t)g->wnd << s->peer_ws;
	uint32_t before = s->snd_wnd;

	s->snd_wnd = wnd;
	if (wnd > s->snd_wnd_max)
		s->snd_wnd_max = wnd;
	if (wnd > before)
		a->acts |= ACT_SEND;

	if (!wnd) {
		/* Shrunk below the data in flight: that is not lost, only not
		 * wanted yet (RFC 9293, 3.8.6) */
		rewind_to_una(s);
		s->retries = 0;		/* the guest lives: probe for ever */
	} else if (!before || s->persist) {
		s->persist = false;
		rtx_start(s, RTO_MS, now_ms);
	}
}

/* ack_in() - Return: false if the segment is to be dropped */
static bool ack_in(struct tcps *s, const struct tcp_seg *g, uint64_t now_ms,
		   struct tcp_acts *a)
{
	bool dup;

	if (seq_lt(s->snd_max, g->ack)) {
		a->acts |= ACT_ACK;	/* acknowledges data never sent */
		return false;
	}
	if (seq_lt(g->ack, s->snd_una))
		return true;		/* old, but its data may be new */

	if (g->ack != s->snd_una) {
		s->snd_una = g->ack;
		if (seq_lt(s->snd_nxt, s->snd_una))
			s->snd_nxt = s->snd_una;
		if (s->recovering && seq_le(s->recover, s->snd_una))
			s->recovering = false;
		s->dupacks = 0;
		if (s->in == IN_EOF && g->ack == s->snd_eof + 1)
			s->in = IN_FIN_ACKED;
		rtx_start(s, RTO_MS, now_ms);
		if (s->reset)
			last_wait(s, now_ms);
		a->acts |= ACT_CONSUME | ACT_SEND;
		dup = false;
	} else {
		/* RFC 5681, 2: the definition of a duplicate ACK */
		dup = s->snd_max != s->snd_una && !g->len &&
		      !(g->flags & TCPF_FIN) && s->snd_wnd &&
		      (uint32_t)g->wnd << s->peer_ws == s->snd_wnd;
	}

	window_in(s, g, now_ms, a);

	if (dup && !s->recovering && ++s->dupacks == DUPACKS) {
		s->recovering = true;
		s->recover = s->snd_max;
		s->dupacks = 0;
		rewind_to_una(s);
		a->acts |= ACT_SEND;
	}
	return true;
}

/* data_in() - Payload and FIN: in order, inside the window, once */
static void data_in(struct tcps *s, const struct tcp_seg *g, struct tcp_acts *a)
{
	bool fin = g->flags & TCPF_FIN;
	uint32_t old, fresh;

	if (seq_lt(s->rcv_nxt, g->seq)) {
		a->acts |= ACT_ACK | ACT_HOLE;
		return;
	}

	old = s->rcv_nxt - g->seq;
	if (old && old >= g->len + fin) {
		a->acts |= ACT_ACK;	/* duplicate, probe or keep-alive */
		return;
	}
	if (!g->len && !fin)
		return;
	if (s->out != OUT_OPEN) {
		a->acts |= ACT_ACK;	/* nothing follows a FIN */
		return;
	}

	fresh = g->len - min_u32(old, g->len);
	a->skip = g->len - fresh;
	a->take = min_u32(fresh, s->rcv_edge - s->rcv_nxt);
	s->rcv_nxt += a->take;
	if (a->take)
		a->acts |= ACT_DATA;

	if (a->take < fresh) {
		a->acts |= ACT_ACK;	/* over the edge, with the FIN */
	} else if (fin) {
		s->rcv_nxt++;
		s->out = OUT_FIN_SEEN;
		a->acts |= ACT_DATA;
	}
}

/**
 * tcps_segment() - A segment came from the guest
 * @s:		State
 * @g:		The segment
 * @now_ms:	Time
 * @a:		Actions: set by this function
 *
 * rcv_nxt counts @a->take bytes as taken already: tcps_refused() takes them
 * back. (RFC 9293, 3.10.7)
 */
void tcps_segment(struct tcps *s, const struct tcp_seg *g, uint64_t now_ms,
		  struct tcp_acts *a)
{
	*a = (struct tcp_acts){ 0 };

	if (g->flags & TCPF_RST) {
		rst_in(s, g, a);
		return;
	}
	if (s->phase == TCPS_CONNECTING) {
		/* An old SYN was given up, this is a new attempt on the same port */
		if (g->flags & TCPF_SYN && g->seq + 1 != s->rcv_nxt)
			syn_options(s, g, s->rcv_mss, s->v4);
		return;
	}
	if (s->phase == TCPS_SYN_SENT) {
		syn_sent_in(s, g, now_ms, a);
		return;
	}
	if (s->phase == TCPS_SYN_RCVD && !syn_rcvd_in(s, g, now_ms, a))
		return;

	if (g->flags & TCPF_SYN) {
		a->acts |= ACT_ACK;	/* RFC 5961, 4.2 */
		return;
	}
	if (!(g->flags & TCPF_ACK))
		return;			/* RFC 9293, 3.10.7.4 fifth */

	if (ack_in(s, g, now_ms, a))
		data_in(s, g, a);
	alive(s, now_ms);		/* after, as a FIN changes how long */
}

/**
 * tcps_refused() - There was no room for the last @bytes that were taken
 */
void tcps_refused(struct tcps *s, uint32_t bytes)
{
	if (!bytes)
		return;

	if (s->out == OUT_FIN_SEEN) {
		s->out = OUT_OPEN;
		s->rcv_nxt--;
	}
	s->rcv_nxt -= bytes;
}

/* tcps_fin_due() - The guest's FIN is to be passed on, once all data is */
bool tcps_fin_due(const struct tcps *s)
{
	return s->out == OUT_FIN_SEEN;
}

void tcps_fin_passed(struct tcps *s)
{
	s->out = OUT_FIN_PASSED;
}

/**
 * tcps_acknowledge() - Acknowledge to the guest up to @seq
 * @s:		State
 * @seq:	Sequence number; beyond rcv_nxt it counts as rcv_nxt, below rcv_acked it
 *		has no effect
 */
void tcps_acknowledge(struct tcps *s, uint32_t seq)
{
	if (seq_lt(s->rcv_nxt, seq))
		seq = s->rcv_nxt;
	if (seq_lt(s->rcv_acked, seq))
		s->rcv_acked = seq;

	if (s->out == OUT_FIN_PASSED && s->rcv_acked == s->rcv_nxt)
		s->out = OUT_FIN_ACKED;
}

/**
 * tcps_window() - Set the window we advertise
 * @s:		State
 * @room:	Bytes after rcv_nxt that there is room for now
 * @size:	Bytes of the whole buffer: @room if it were empty
 *
 * The right edge never moves left. It moves right only by a whole segment or by half
 * of the buffer (RFC 9293, 3.8.6.2.2), or half of the largest window if the buffer is
 * larger: the guest's segments may be far smaller than the largest that we take.
 *
 * Return: true if the window should be advertised at once
 */
bool tcps_window(struct tcps *s, uint32_t room, uint32_t size)
{
	uint32_t left = s->rcv_edge - s->rcv_nxt;
	uint32_t max = WINDOW_FIELD_MAX << s->our_ws;
	uint32_t held = s->rcv_nxt - s->rcv_acked;
	uint32_t step = min_u32(s->rcv_mss, min_u32(size, max) / 2);

	room = min_u32(room, held < max ? max - held : 0);
	if (room <= left || room - left < step)
		return false;

	s->rcv_edge = s->rcv_nxt + room;
	return left < room / 2;
}

/**
 * tcps_window_field() - Window field of the header, host order
 * @syn:	For a SYN segment: never scaled (RFC 7323, 2.2)
 */
uint16_t tcps_window_field(const struct tcps *s, bool syn)
{
	uint32_t wnd = s->rcv_edge - s->rcv_acked;

	if (seq_lt(s->rcv_edge, s->rcv_acked))
		wnd = 0;		/* a FIN right behind the window */

	return min_u32(syn ? wnd : wnd >> s->our_ws, WINDOW_FIELD_MAX);
}

/**
 * tcps_may_send() - Bytes of data that may go to the guest now
 *
 * Tiny segments are held back while an acknowledgement is under way (RFC 9293,
 * 3.8.6.2.1).
 *
 * Return: bytes, 0 if the window is closed or nothing is left before the FIN
 */
uint32_t tcps_may_send(const struct tcps *s)
{
	uint32_t flight = s->snd_nxt - s->snd_una, usable;

	if (s->phase != TCPS_ESTABLISHED || flight >= s->snd_wnd)
		return 0;

	usable = s->snd_wnd - flight;
	if (flight && usable < min_u32(s->mss, s->snd_wnd_max / 2))
		return 0;
	if (s->in != IN_OPEN) {
		if (!seq_lt(s->snd_nxt, s->snd_eof))
			return 0;
		usable = min_u32(usable, s->snd_eof - s->snd_nxt);
	}

	return usable;
}

/**
 * tcps_sent() - Data from snd_nxt on, or our FIN, is queued on the tap
 */
void tcps_sent(struct tcps *s, uint32_t bytes, uint64_t now_ms)
{
	s->snd_nxt += bytes;
	if (seq_lt(s->snd_max, s->snd_nxt))
		s->snd_max = s->snd_nxt;
	if (!s->rtx_at)
		s->rtx_at = now_ms + s->rto_ms;
	s->persist = false;
}

/**
 * tcps_eof() - The socket has nothing at snd_nxt and never will
 */
void tcps_eof(struct tcps *s)
{
	if (s->in == IN_OPEN && s->snd_nxt == s->snd_max) {
		s->in = IN_EOF;
		s->snd_eof = s->snd_nxt;
	}
}

/* tcps_fin_may_send() - All data is sent, and the FIN is next */
bool tcps_fin_may_send(const struct tcps *s)
{
	return s->phase == TCPS_ESTABLISHED && s->in == IN_EOF &&
	       s->snd_nxt == s->snd_eof && (!s->reset || s->reset_fin) &&
	       (s->snd_una == s->snd_nxt ||
		s->snd_nxt - s->snd_una < s->snd_wnd);
}

void tcps_fin_sent(struct tcps *s, uint64_t now_ms)
{
	tcps_sent(s, 1, now_ms);
}

/**
 * tcps_blocked() - There may be data, but tcps_may_send() forbids it
 *
 * With nothing in flight no acknowledgement would come by itself: probe the
 * window (RFC 9293, 3.8.6.1).
 */
void tcps_blocked(struct tcps *s, uint64_t now_ms)
{
	if (s->snd_nxt != s->snd_una)
		return;
	if (s->in != IN_OPEN && !seq_lt(s->snd_nxt, s->snd_eof))
		return;

	s->persist = true;
	if (!s->rtx_at) {
		s->retries = 0;
		s->rto_ms = RTO_MS;
		s->rtx_at = now_ms + s->rto_ms;
	}
}

/* tcps_data_queued() - The socket surely has data at snd_nxt */
bool tcps_data_queued(const struct tcps *s)
{
	return s->snd_nxt != s->snd_max;
}

/* tcps_acked_data() - One after the last data byte the guest acknowledged */
uint32_t tcps_acked_data(const struct tcps *s)
{
	return s->in == IN_FIN_ACKED ? s->snd_eof : s->snd_una;
}

/**
 * tcps_reset_due() - Note that the peer has reset, or that the socket has failed
 * @s:		State
 * @fin:	The peer's FIN came before the reset
 * @now_ms:	Time
 *
 * Data that the socket still has is sent as before, up to tcps_eof().
 */
void tcps_reset_due(struct tcps *s, bool fin, uint64_t now_ms)
{
	s->reset = true;
	s->reset_fin = fin || s->in != IN_OPEN;
	last_wait(s, now_ms);
}

/**
 * tcps_reset_now() - Is a RST to the guest the next and last thing to send?
 */
bool tcps_reset_now(const struct tcps *s)
{
	uint32_t end = s->snd_eof + s->reset_fin;

	if (!s->reset || s->in == IN_OPEN)
		return false;
	if (s->phase != TCPS_ESTABLISHED)
		return true;
	return s->snd_una == end ||
	       (s->snd_nxt == end && s->retries >= RESET_RETRIES);
}

/**
 * tcps_drain() - The guest has reset the connection, the socket still has data
 * @s:		State
 * @poll_at:	When to look next how much it has, ms
 * @now_ms:	Time: there was progress until now
 *
 * From now on tcps_timer() returns ACT_POLL, and ACT_RST_SOCK at the end.
 */
void tcps_drain(struct tcps *s, uint64_t poll_at, uint64_t now_ms)
{
	s->rtx_at = 0;
	s->poll_at = poll_at;
	last_wait(s, now_ms);
}

/* syn_timer() - Retransmit our SYN as the kernel would, or give up */
static unsigned syn_timer(struct tcps *s, uint64_t now_ms)
{
	if (++s->retries > s->syn_linear + s->syn_retries)
		return ACT_RST_TAP | ACT_RST_SOCK;

	if (s->retries > s->syn_linear)
		s->rto_ms = min_u32(s->rto_ms * 2, RTO_MAX_SYN_MS);
	s->rtx_at = now_ms + s->rto_ms;
	s->syn_hurried = false;
	return ACT_SYN;
}

static unsigned rtx_timer(struct tcps *s, uint64_t now_ms)
{
	bool syn = s->phase == TCPS_SYN_RCVD;
	bool probe = s->persist || !s->snd_wnd;

	s->rtx_at = 0;
	if (s->phase == TCPS_SYN_SENT)
		return syn_timer(s, now_ms);
	if (s->snd_una == s->snd_max && !s->persist)
		return 0;

	if (++s->retries > (syn ? RETRIES_SYN : RETRIES_MAX))
		return ACT_RST_TAP | ACT_RST_SOCK;

	s->rto_ms = min_u32(s->rto_ms * 2, RTO_MAX_MS);
	s->rtx_at = now_ms + s->rto_ms;
	if (syn)
		return ACT_SYNACK;
	if (probe)
		return ACT_PROBE | ACT_SEND;

	s->recovering = true;
	s->recover = s->snd_max;
	s->dupacks = 0;
	rewind_to_una(s);
	return ACT_SEND;
}

/**
 * tcps_timer() - Time has passed
 *
 * Return: ACT_*
 */
unsigned tcps_timer(struct tcps *s, uint64_t now_ms)
{
	unsigned acts = 0;

	if (s->poll_at && s->poll_at <= now_ms) {
		s->poll_at = 0;
		acts |= ACT_POLL;
	}
	if (s->rtx_at && s->rtx_at <= now_ms)
		acts |= rtx_timer(s, now_ms);
	if (s->alive_at && s->alive_at <= now_ms) {
		if (s->probes++ >= ALIVE_PROBES)
			return ACT_RST_TAP | ACT_RST_SOCK;
		s->alive_at = now_ms + ALIVE_INTERVAL_MS;
		acts |= ACT_PROBE;
	}

	return acts;
}

static uint64_t min_set(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/**
 * tcps_next_timer() - When tcps_timer() wants to be called, 0: never
 */
uint64_t tcps_next_timer(const struct tcps *s)
{
	return min_set(min_set(s->rtx_at, s->poll_at), s->alive_at);
}

/* tcps_done() - Both directions are closed, and both sides know */
bool tcps_done(const struct tcps *s)
{
	return s->out == OUT_FIN_ACKED && s->in == IN_FIN_ACKED;
}

/* Is the state of the direction to the guest one that can come about? */
static bool valid_to_guest(const struct tcps *s)
{
	uint32_t flight = s->snd_max - s->snd_una;

	if (flight > WINDOW_MOST || s->snd_nxt - s->snd_una > flight ||
	    s->snd_wnd > s->snd_wnd_max || s->snd_wnd_max > WINDOW_MOST ||
	    s->dupacks >= DUPACKS || s->retries > RETRIES_MAX ||
	    s->rto_ms < 1 || s->rto_ms > RTO_MAX_MS)
		return false;
	if (s->recovering && s->recover - s->snd_una - 1 >= flight)
		return false;
	if (s->mss < TCPS_MSS_MIN || s->mss > s->rcv_mss)
		return false;

	switch (s->in) {
	case IN_OPEN:
		return true;
	case IN_EOF:
		return s->snd_max - s->snd_eof <= 1 &&
		       s->snd_eof - s->snd_una <= flight;
	case IN_FIN_ACKED:
		return !flight && s->snd_una == s->snd_eof + 1;
	default:
		return false;
	}
}

/* Is the state of the direction from the guest one that can come about? */
static bool valid_from_guest(const struct tcps *s)
{
	uint32_t fin = s->out != OUT_OPEN;

	if (s->out > OUT_FIN_ACKED ||
	    s->rcv_nxt - s->rcv_acked > WINDOW_MOST ||
	    s->rcv_edge + fin - s->rcv_nxt > WINDOW_MOST)
		return false;
	return s->out != OUT_FIN_ACKED || s->rcv_acked == s->rcv_nxt;
}

/* Are the times ones that a timer may have been set to, and are all set that must be? */
static bool valid_times(const struct tcps *s, uint64_t now_ms)
{
	if (s->rtx_at > now_ms + RTO_MAX_MS ||
	    s->poll_at > now_ms + RTO_MAX_MS ||
	    s->alive_at > now_ms + ALIVE_IDLE_MS || !s->alive_at ||
	    s->probes > ALIVE_PROBES)
		return false;
	return s->rtx_at || s->snd_una == s->snd_max;
}

/**
 * tcps_valid() - May an established connection have this state?
 * @s:		State, from outside
 * @now_ms:	Time
 *
 * Whatever is accepted here stays within the bounds that the rest of this file relies
 * on. A reset that is due is not accepted.
 */
bool tcps_valid(const struct tcps *s, uint64_t now_ms)
{
	return s->phase == TCPS_ESTABLISHED && !s->reset && !s->reset_fin &&
	       s->our_ws <= TCP_WS_MAX && s->peer_ws <= TCP_WS_MAX &&
	       valid_to_guest(s) && valid_from_guest(s) &&
	       valid_times(s, now_ms);
}

/**
 * tcps_reset_for() - RST that answers a segment without a connection
 * @g:		The segment, not a RST itself
 * @seq, @ack, @flags:	Of the answer (RFC 9293, 3.10.7.1)
 */
void tcps_reset_for(const struct tcp_seg *g, uint32_t *seq, uint32_t *ack,
		    uint8_t *flags)
{
	if (g->flags & TCPF_ACK) {
		*seq = g->ack;
		*ack = 0;
		*flags = TCPF_RST;
		return;
	}

	*seq = 0;
	*ack = g->seq + g->len + !!(g->flags & TCPF_SYN) +
	       !!(g->flags & TCPF_FIN);
	*flags = TCPF_RST | TCPF_ACK;
}
