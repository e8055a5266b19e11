/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timewait.c - Answers to segments of connections that have ended
 *
 * If the guest's FIN comes last, our ACK of it is the last segment. If that ACK is
 * lost, the guest retransmits its FIN, perhaps with data before it. A RST in answer
 * would report an error to its application although all went well. TIME-WAIT is there
 * for this (RFC 9293, 3.6), but a flow and its timer are too much for one ACK. So the
 * connection's sequence numbers go to a table of fixed size, where a newer connection
 * replaces an older one with the same hash.
 *
 * An entry has no time-out. It repeats our last ACK, only for a segment that
 * acknowledges exactly up to our FIN. A new connection between the same ports has other
 * numbers, and a flow, which is looked up first. A guest restored from an earlier
 * state has other numbers, too, and is reset: it would answer our ACK of data that it
 * has not sent yet with an ACK (RFC 9293, 3.10.7.4, fifth), and so on. For the same
 * reason a segment without data and FIN is never answered by an ACK.
 *
 * A guest that closed first is in TIME-WAIT itself. From the table timewait_seq() knows
 * which sequence numbers it accepts for a new connection between the same ports.
 */

#include "timewait.h"

#include "wire.h"

#define OLD_MAX		(1U << 24)	/* our largest window: TCPS_OUR_WSCALE */
#define SEQ_GAP		(1U << 16)	/* between two connections */

/**
 * timewait_add() - Remember a connection that ended in order
 * @w:		The table, zeroed before first use
 * @hash:	Keyed hash of @tap
 * @tap:	Its side on the tap
 * @s:		Its state: tcps_done()
 */
void timewait_add(struct timewait *w, uint32_t hash, const struct flowside *tap,
		  const struct tcps *s)
{
	w->slot[hash % TIMEWAIT_SLOTS] = (struct timewait_slot){
		.tap = *tap, .snd_nxt = s->snd_nxt, .rcv_nxt = s->rcv_nxt,
	};
}

/**
 * timewait_seq() - Initial sequence number that a guest in TIME-WAIT accepts
 * @w:		The table
 * @hash, @tap:	As for timewait_add()
 * @seq:	Initial sequence number for a new connection
 *
 * Return: @seq, or a later number if an old connection got as far as @seq, as it was
 * faster than the clock of initial sequence numbers (RFC 9293, 3.6.1)
 */
uint32_t timewait_seq(const struct timewait *w, uint32_t hash,
		      const struct flowside *tap, uint32_t seq)
{
	const struct timewait_slot *s = &w->slot[hash % TIMEWAIT_SLOTS];

	if (!flowside_equals(&s->tap, tap) || (int32_t)(seq - s->snd_nxt) > 0)
		return seq;
	return s->snd_nxt + SEQ_GAP;
}

/**
 * timewait_input() - Decide how to answer a segment without a flow
 * @w:		The table
 * @hash, @tap:	As for timewait_add()
 * @g:		The segment
 * @ack:	For TIMEWAIT_ACK: acknowledgement number of the answer; its sequence
 *		number is the acknowledgement number of @g (RFC 9293, 3.10.7.4)
 */
enum timewait_answer timewait_input(const struct timewait *w, uint32_t hash,
				    const struct flowside *tap,
				    const struct tcp_seg *g, uint32_t *ack)
{
	const struct timewait_slot *s = &w->slot[hash % TIMEWAIT_SLOTS];
	uint32_t end = g->seq + g->len + !!(g->flags & TCPF_FIN);

	if ((g->flags & (TCPF_SYN | TCPF_RST | TCPF_ACK)) != TCPF_ACK ||
	    !flowside_equals(&s->tap, tap) || g->ack != s->snd_nxt ||
	    s->rcv_nxt - end > OLD_MAX)
		return TIMEWAIT_UNKNOWN;

	if (g->seq == end)
		return TIMEWAIT_SILENCE;
	*ack = s->rcv_nxt;
	return TIMEWAIT_ACK;
}
