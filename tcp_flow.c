/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_flow.c - A TCP flow as a whole: segments without payload, timer, end
 */

#include "tcp_priv.h"

#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "guest.h"
#include "inany.h"
#include "log.h"
#include "wire.h"

/* Segments without payload ----------------------------------------------- */

struct frame_addr tcp_frame_addr(const struct tcp *t,
				 const struct flowside *tap)
{
	return (struct frame_addr){
		.dst_mac = guest_mac(t->guest, &tap->eaddr),
		.src_mac = t->conf->our_mac,
		.src = &tap->oaddr, .dst = &tap->eaddr,
	};
}

/* tcp_send_ctl() - Send a segment without payload; false if there was no frame */
bool tcp_send_ctl(struct tcp *t, const struct flowside *tap, uint8_t flags,
		  uint32_t seq, uint32_t ack, uint16_t wnd,
		  const uint8_t *opts, size_t opts_len)
{
	struct frame_addr a = tcp_frame_addr(t, tap);
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

bool tcp_send_ack(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);

	c->ack_due = !tcp_send_ctl(t, flow_tap_side(f), TCPF_ACK, c->s.snd_nxt,
				   c->s.rcv_acked, tcps_window_field(&c->s, false),
				   NULL, 0);
	c->ack_waits = false;
	if (c->ack_due)
		flow_list_push(t->flows, &t->blocked, f);
	return !c->ack_due;
}

/* tcp_ack_carried() - Data or a FIN for the guest was queued, with our acknowledgement */
void tcp_ack_carried(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);

	if (c->ack_waits && c->ack_doubt)
		c->ack_doubt--;
	if (c->asked && c->ack_debt && tcp_asked_lately(t, c))
		c->ack_debt--;
	c->ack_waits = c->asked = false;
}

/* tcp_send_syn() - Send our SYN with its options, with or without ACK in @flags */
void tcp_send_syn(struct tcp *t, struct flow *f, uint8_t flags)
{
	const struct tcps *s = &tcp_conn(f)->s;
	uint8_t opts[8] = {
		TCPOPT_MSS, TCPOPT_MSS_LEN, s->rcv_mss >> 8, s->rcv_mss & 0xff,
		TCPOPT_NOP_, TCPOPT_WS, TCPOPT_WS_LEN, s->our_ws,
	};
	size_t len = s->our_ws ? 8 : 4;

	tcp_send_ctl(t, flow_tap_side(f), TCPF_SYN | flags, s->snd_una,
		     flags & TCPF_ACK ? s->rcv_nxt : 0, tcps_window_field(s, true),
		     opts, len);
}

/* tcp_send_probe() - Send a segment before the window: the guest has to answer */
void tcp_send_probe(struct tcp *t, struct flow *f)
{
	const struct tcps *s = &tcp_conn(f)->s;

	tcp_send_ctl(t, flow_tap_side(f), TCPF_ACK, s->snd_una - 1, s->rcv_acked,
		     tcps_window_field(s, false), NULL, 0);
}

/* tcp_send_rst() - Send a RST to the guest; false if there was no frame */
bool tcp_send_rst(struct tcp *t, struct flow *f)
{
	const struct tcps *s = &tcp_conn(f)->s;

	t->stats.resets_sent++;
	if (s->phase == TCPS_SYN_SENT)	/* its answer may have been lost */
		return tcp_send_ctl(t, flow_tap_side(f), TCPF_RST, s->snd_max, 0, 0,
				    NULL, 0);

	/* Data after snd_nxt never arrived if the window is closed; it may have
	 * arrived if it is being retransmitted */
	return tcp_send_ctl(t, flow_tap_side(f), TCPF_RST | TCPF_ACK,
			    s->snd_wnd ? s->snd_max : s->snd_nxt, s->rcv_nxt, 0,
			    NULL, 0);
}

void tcp_answer_rst(struct tcp *t, const struct flowside *tap,
		    const struct tcp_seg *g)
{
	uint32_t seq, ack;
	uint8_t flags;

	if (g->flags & TCPF_RST)
		return;
	t->stats.resets_sent++;
	tcps_reset_for(g, &seq, &ack, &flags);
	tcp_send_ctl(t, tap, flags, seq, ack, 0, NULL, 0);
}

/* Timer and end ---------------------------------------------------------- */

void tcp_trace(const struct tcp *t, const struct flow *f, const char *what)
{
	char buf[FLOW_STRLEN];

	debug("%s: %s", flow_str(t->flows, f, buf), what);
}

/* tcp_end() - Close the socket, with a RST if @rst, and free the flow */
/* #syscalls close setsockopt */
void tcp_end(struct tcp *t, struct flow *f, bool rst, const char *why)
{
	static const struct linger abort_now = { .l_onoff = 1 };
	struct tcp_conn *c = tcp_conn(f);

	tcp_trace(t, f, why);
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
 * tcp_evict() - Evict a connection
 * @ctx:	TCP
 * @f:		The flow; it stays if it is moving to another machine with the guest
 *
 * A peer that connected to the guest gets a reset, and the guest, too, if it knows of the
 * connection. A guest that connects gets no answer: it retransmits its SYN, and there may
 * be room by then. If the peer has reset the connection, the guest gets the RST without
 * the rest of the data.
 */
void tcp_evict(void *ctx, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
	struct tcp *t = ctx;

	if (c->held && c->held != TCP_GONE)
		return;
	if (c->failed || c->dying || f->rank == FLOW_KEPT)
		tcp_send_rst(t, f);
	tcp_end(t, f, true, "gives way to others");
}

void tcp_rearm(struct tcp *t, struct flow *f)
{
	const struct tcp_conn *c = tcp_conn(f);
	uint64_t next = tcps_next_timer(&c->s);

	if (c->ack_waits && (!next || tcp_ack_at(t, c) < next))
		next = tcp_ack_at(t, c);

	/* A timer that is armed for an earlier time comes here again when it
	 * expires: cheaper than moving it with every segment */
	if (next && (!timer_armed(&f->timer) || next < f->timer.expires_ms))
		wheel_arm(&t->loop->wheel, &f->timer, next);
}

/* tcp_reset() - Reset both sides; the guest's RST waits if there is no frame */
void tcp_reset(struct tcp *t, struct flow *f, const char *why)
{
	tcp_conn(f)->dying = !tcp_send_rst(t, f);
	if (tcp_conn(f)->dying)
		flow_list_push(t->flows, &t->blocked, f);
	else
		tcp_end(t, f, true, why);
}
