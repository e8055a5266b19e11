/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hold a random conversation with tcp_state.c: any segments of the guest, any amounts
 * that the socket takes and gives, timers in order
 *
 * Input: 8 bytes of initial sequence numbers (guest's, ours), 2 of MSS, 1 of
 * window scale (over 15: none; bit 6: we begin), 1 of MSS of the tap; then steps of 8 bytes: the
 * event, flags, two numbers of 16 bits, window of 16 bits. The results are handled as in
 * tcp.c, with a model of the socket.
 *
 * Properties: see check(), after_segment() and pump(); and in the end a guest that
 * behaves, and a peer that closes, always get to tcps_done(), or to a reset if either
 * side has reset the connection.
 */

#include <assert.h>
#include <string.h>

#include "../../tcp_state.h"
#include "../../wire.h"

#define STEP	8U
#define SIZE	(1U << 20)		/* of the socket's buffer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The flow, as tcp.c has it */
struct model {
	struct tcps s;
	uint64_t now;
	uint32_t unread;		/* bytes of the peer behind snd_max */
	uint32_t kept;			/* bytes of the guest that the socket has */
	bool eof;			/* of the peer, behind @unread */
	bool failed;			/* the socket: @eof is set as well */
	bool draining;			/* the guest has reset the connection, */
	uint32_t left;			/* the socket had so much left */
	bool ended;
	uint32_t last_edge;
	bool edge_known;
};

static int32_t diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static void check(struct model *m)
{
	const struct tcps *s = &m->s;
	uint32_t fin = s->out != OUT_OPEN;

	assert(diff(s->rcv_acked, s->rcv_nxt) <= 0);
	assert(diff(s->rcv_nxt, s->rcv_edge + fin) <= 0);
	assert(diff(s->snd_una, s->snd_nxt) <= 0);
	assert(diff(s->snd_nxt, s->snd_max) <= 0);
	if (s->in != IN_OPEN) {
		assert(diff(s->snd_max, s->snd_eof + 1) <= 0);
		assert(diff(tcps_acked_data(s), s->snd_eof) <= 0);
	}
	if (s->in == IN_FIN_ACKED)
		assert(s->snd_una == s->snd_eof + 1);

	if (m->edge_known)
		assert(diff(s->rcv_edge, m->last_edge) >= 0);
	m->edge_known = s->phase != TCPS_CONNECTING &&
			s->phase != TCPS_SYN_SENT;
	m->last_edge = s->rcv_edge;
	assert((uint32_t)tcps_window_field(s, false) << s->our_ws <=
	       (diff(s->rcv_edge, s->rcv_acked) > 0 ?
		s->rcv_edge - s->rcv_acked : 0));

	/* What is in flight is watched, and so is a guest that may be gone */
	if (s->phase != TCPS_CONNECTING && s->snd_una != s->snd_max &&
	    !m->draining)
		assert(s->rtx_at);
	if (s->phase == TCPS_ESTABLISHED)
		assert(s->alive_at && tcps_next_timer(s));
	assert(!s->rtx_at || s->rtx_at <= m->now +
	       (s->syn_retries ? 120000 : 60000));
	if (s->phase == TCPS_SYN_SENT)
		assert(s->rtx_at && !s->rcv_nxt && !tcps_may_send(s));
	assert(s->mss && s->mss <= s->rcv_mss);
}

/* end() - The flow is over: nothing may happen any more */
static void end(struct model *m)
{
	m->ended = true;
}

/* pump() - As in tcp.c; @limit: bytes that the tap takes */
static void pump(struct model *m, uint32_t limit)
{
	struct tcps *s = &m->s;
	bool more = true;

	while (more && (m->unread || m->eof || tcps_data_queued(s))) {
		uint32_t can = tcps_may_send(s), old = s->snd_max - s->snd_nxt;
		uint32_t have;

		if (!can) {
			tcps_blocked(s, m->now);
			break;
		}
		assert(s->phase == TCPS_ESTABLISHED);
		assert(s->snd_nxt - s->snd_una + can <= s->snd_wnd);
		if (s->in != IN_OPEN)
			assert(diff(s->snd_nxt + can, s->snd_eof) <= 0);

		have = old + m->unread;
		if (have > can)
			have = can;
		if (!have) {
			if (m->eof)
				tcps_eof(s);
			break;
		}
		if (have > limit) {
			have = limit;
			more = false;
		}
		limit -= have;
		if (have > old)
			m->unread -= have - old;
		tcps_sent(s, have, m->now);
	}
	/* Held back by a closed window: something must look again */
	if (s->phase == TCPS_ESTABLISHED && m->unread && !s->snd_wnd)
		assert(s->rtx_at);
	if (limit && tcps_fin_may_send(s)) {
		assert(s->snd_nxt == s->snd_eof && !m->unread);
		tcps_fin_sent(s, m->now);
	}
	if (m->failed && tcps_reset_now(s)) {
		/* A reset does not overtake data */
		assert(!m->unread);
		assert(s->phase != TCPS_ESTABLISHED || s->snd_nxt == s->snd_max);
		end(m);
	}
}

/* drain() - As tcp_drain() in tcp.c, after a reset of the guest; @left: what the socket has */
static void drain(struct model *m, uint32_t left)
{
	struct tcps *s = &m->s;
	unsigned acts;

	if (!left) {
		end(m);
		return;
	}
	if (left < m->left)
		tcps_drain(s, m->now + 10, m->now);
	else
		s->poll_at = m->now + 10;
	if (left < m->left)
		m->left = left;
	assert(tcps_next_timer(s) && tcps_next_timer(s) <= m->now + 60000);
	if (tcps_next_timer(s) > m->now)
		m->now = tcps_next_timer(s);
	acts = tcps_timer(s, m->now);
	assert(acts & (ACT_POLL | ACT_RST_SOCK));
	if (acts & ACT_RST_SOCK)
		end(m);
}

/* fail() - The socket has an error, behind what it still has to be read */
static void fail(struct model *m, bool fin)
{
	if (m->failed || m->s.phase == TCPS_CONNECTING)
		return;
	m->failed = m->eof = true;
	tcps_reset_due(&m->s, fin, m->now);
	if (m->s.phase != TCPS_ESTABLISHED && !m->unread)
		tcps_eof(&m->s);
	pump(m, UINT32_MAX);
}

static void update_ack(struct model *m, uint32_t behind, uint32_t room)
{
	struct tcps *s = &m->s;
	uint32_t given = s->rcv_nxt - tcps_fin_due(s);

	tcps_acknowledge(s, given - behind);
	if (s->out == OUT_OPEN)
		tcps_window(s, room, SIZE);
}

static void after_segment(struct model *m, const struct tcp_seg *g,
			  const struct tcps *old, const struct tcp_acts *a,
			  uint32_t refuse, uint32_t behind)
{
	assert(a->skip + a->take <= g->len);
	assert(!a->take || g->flags & TCPF_ACK);
	assert(a->take <= (uint32_t)diff(old->rcv_edge, old->rcv_nxt) ||
	       !a->take);
	assert(!a->take || g->seq + a->skip == old->rcv_nxt);
	assert(!a->take || old->out == OUT_OPEN);

	if (a->acts & ACT_RST_SOCK) {
		assert(g->flags & TCPF_RST);
		if (old->phase == TCPS_ESTABLISHED && !m->failed && g->wnd) {
			m->draining = true;
			m->left = UINT32_MAX;
			drain(m, g->wnd);
		} else {
			end(m);
		}
		return;
	}
	if (old->phase == TCPS_CONNECTING) {
		m->edge_known = false;
		return;
	}
	if (old->phase == TCPS_SYN_SENT) {
		m->edge_known = false;
		assert(!a->take);
	}
	tcps_refused(&m->s, refuse < a->take ? refuse : a->take);
	if (tcps_fin_due(&m->s) && !(behind & 1))
		tcps_fin_passed(&m->s);
	if (a->acts & (ACT_DATA | ACT_ACK))
		update_ack(m, behind >> 1, SIZE);
	if (a->acts & ACT_SEND)
		pump(m, UINT32_MAX);
	if (tcps_done(&m->s))
		end(m);
}

static void segment(struct model *m, const struct tcp_seg *g, uint32_t refuse,
		    uint32_t behind)
{
	const struct tcps old = m->s;
	struct tcp_acts a;

	tcps_segment(&m->s, g, m->now, &a);
	after_segment(m, g, &old, &a, refuse, behind);
}

static void timer(struct model *m)
{
	uint64_t next = tcps_next_timer(&m->s);
	unsigned acts;

	if (!next)
		return;
	if (next > m->now)
		m->now = next;
	acts = tcps_timer(&m->s, m->now);
	if (acts & ACT_RST_SOCK) {
		assert(acts & ACT_RST_TAP);
		end(m);
		return;
	}
	if (acts & ACT_SEND)
		pump(m, UINT32_MAX);
	next = tcps_next_timer(&m->s);
	assert(!next || next > m->now);
}

/* step() - One step of 8 bytes: event, flags, x, y, window */
static void step(struct model *m, const uint8_t *b)
{
	uint32_t x = b[2] | b[3] << 8, y = b[4] | b[5] << 8;
	struct tcps *s = &m->s;
	struct tcp_seg g = {
		.flags = b[1], .wnd = b[6] | b[7] << 8, .len = x, .ws = -1,
		.seq = s->rcv_nxt, .ack = s->snd_max,
	};

	if (m->draining) {
		drain(m, x);
		return;
	}
	switch (b[0] % 12) {
	case 0:					/* data in order */
		g.flags |= TCPF_ACK;
		g.flags &= ~(TCPF_RST | TCPF_SYN);
		segment(m, &g, 0, b[0] / 12);
		break;
	case 1:					/* in order, not all taken */
		g.flags |= TCPF_ACK;
		g.flags &= ~(TCPF_RST | TCPF_SYN);
		segment(m, &g, y, b[0] / 12);
		break;
	case 2:					/* anywhere near */
		g.seq += (int16_t)y;
		g.ack = s->snd_una + (int16_t)(y * 31);
		segment(m, &g, 0, 0);
		break;
	case 3:					/* ACK of a part */
		g.len = 0;
		g.flags = TCPF_ACK | (b[1] & TCPF_FIN);
		if (s->snd_max != s->snd_una)
			g.ack = s->snd_una + x % (s->snd_max - s->snd_una + 1);
		segment(m, &g, 0, 0);
		break;
	case 4:					/* far away */
		g.seq = x << 16 | y;
		g.ack = y << 16 | x;
		segment(m, &g, 0, 0);
		break;
	case 5:
		tcps_connected(s, m->now);
		if (s->phase == TCPS_SYN_RCVD)
			tcps_window(s, y, SIZE);
		break;
	case 6:					/* the peer sends, or ends */
		if (m->eof)
			break;
		m->unread += x;
		m->eof = b[1] & 1;
		pump(m, b[1] & 2 ? y : UINT32_MAX);
		break;
	case 7:					/* room in the socket */
		if (s->phase == TCPS_SYN_RCVD || s->phase == TCPS_ESTABLISHED)
			update_ack(m, x, y * 16);
		break;
	case 8:
		if (b[1] & 128)			/* the socket fails */
			fail(m, b[1] & 1);
		else if (tcps_fin_due(s))
			tcps_fin_passed(s);
		break;
	case 9:
		m->now += x;
		if (tcps_next_timer(s) && tcps_next_timer(s) <= m->now)
			timer(m);
		break;
	case 10:
		timer(m);
		break;
	case 11:				/* duplicate ACK */
		g.len = 0;
		g.flags = TCPF_ACK;
		g.ack = s->snd_una;
		g.wnd = s->snd_wnd >> s->peer_ws;
		segment(m, &g, 0, 0);
		break;
	}
}

/* finish() - Let both sides behave: the flow must come to its end */
static void finish(struct model *m)
{
	struct tcps *s = &m->s;
	unsigned i;

	/* Unless the peer takes what is left: then there is no progress */
	for (i = 0; m->draining && !m->ended; i++) {
		assert(i < 10000);
		drain(m, m->left);
	}
	if (m->ended)
		return;
	if (s->phase == TCPS_CONNECTING)
		tcps_connected(s, m->now);
	m->eof = true;
	for (i = 0; i < 3000 && !m->ended; i++) {
		struct tcp_seg g = {
			.flags = TCPF_ACK, .wnd = 65535, .ws = -1,
			.seq = s->rcv_nxt, .ack = s->snd_nxt,
		};

		/* The guest acknowledges everything up to snd_nxt, and repeats its FIN */
		if (s->phase == TCPS_SYN_SENT) {
			g.flags |= TCPF_SYN;
			g.seq = 4711;
		} else if (s->phase == TCPS_ESTABLISHED) {
			g.flags |= TCPF_FIN;
			g.seq -= s->out != OUT_OPEN;
		}
		segment(m, &g, 0, 0);
		check(m);
		if (m->ended)
			break;
		if (tcps_fin_due(s))
			tcps_fin_passed(s);
		update_ack(m, 0, SIZE);
		pump(m, UINT32_MAX);
		if (tcps_done(s))
			end(m);
		if (i % 8 == 7)
			timer(m);
		check(m);
	}
	assert(m->ended);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tcp_seg syn = { .flags = TCPF_SYN, .wnd = 1000 };
	struct model m = { .now = 1000 };
	uint32_t iss;
	size_t i;

	if (size < 12 || size > 8192)
		return 0;
	memcpy(&syn.seq, data, 4);
	memcpy(&iss, data + 4, 4);
	syn.mss = data[8] | data[9] << 8;
	syn.ws = data[10] > 15 ? -1 : data[10];
	if (data[10] & 64)
		tcps_init_active(&m.s, iss, 1000 + data[11] * 250, data[11] & 1,
				 &(struct tcps_syn){ 4, 6 }, m.now);
	else
		tcps_init_passive(&m.s, &syn, iss, 1000 + data[11] * 250,
				  data[11] & 1);

	for (i = 12; i + STEP <= size && !m.ended; i += STEP) {
		if (data[i] % 12 == 5 && m.s.phase != TCPS_CONNECTING)
			continue;
		step(&m, data + i);
		if (!m.ended)
			check(&m);
	}
	if (!m.ended)
		finish(&m);
	return 0;
}
