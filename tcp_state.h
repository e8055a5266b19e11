/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_state.h - Decisions of TCP: no system call, time is an argument
 */

#ifndef TCP_STATE_H
#define TCP_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TCPS_MSS_DEFAULT4	536	/* RFC 9293, 3.7.1 */
#define TCPS_MSS_DEFAULT6	1220	/* RFC 9293, 3.7.1 */
#define TCPS_MSS_MIN		88	/* less is not worth a connection */
#define TCPS_OUR_WSCALE		8	/* windows up to 16 MiB */

enum tcps_phase {
	TCPS_CONNECTING,		/* guest's SYN seen, socket connecting */
	TCPS_SYN_SENT,			/* our SYN sent, socket accepted */
	TCPS_SYN_RCVD,			/* SYN-ACK sent */
	TCPS_ESTABLISHED,
};

/**
 * struct tcps_syn - Retransmissions of a SYN of ours
 * @linear:	How many come at the first interval (tcp_syn_linear_timeouts)
 * @retries:	How many follow at doubled intervals (tcp_syn_retries)
 */
struct tcps_syn {
	uint8_t linear, retries;
};

/* Guest to peer, in this order and never back */
enum tcps_out {
	OUT_OPEN,
	OUT_FIN_SEEN,			/* guest's FIN is at rcv_nxt - 1 */
	OUT_FIN_PASSED,			/* all data and the FIN given to the socket */
	OUT_FIN_ACKED,			/* FIN acknowledged to the guest */
};

/* Peer to guest, in this order; snd_nxt and snd_una say how far it is */
enum tcps_in {
	IN_OPEN,
	IN_EOF,				/* peer's FIN seen: ours is at snd_eof */
	IN_FIN_ACKED,			/* guest has acknowledged it */
};

/**
 * struct tcps - One connection, as seen from the tap
 * @phase:	Handshake
 * @out, @in:	Both directions, independent of each other
 * @our_ws, @peer_ws:	Window scale of our windows and of the guest's
 * @dupacks:	Duplicate acknowledgements in a row, stops at 3
 * @retries:	Timeouts in a row
 * @probes:	Keep-alive probes without any answer
 * @syn_linear, @syn_retries:	Retransmissions of our SYN, as in struct tcps_syn
 * @syn_hurried: Our SYN was retransmitted ahead of its timer, once in this period
 * @recovering:	A retransmission is under way up to @recover
 * @reset:	The peer has reset the connection: a RST follows its data
 * @reset_fin:	The peer's FIN came before the reset: it follows the data, too
 * @persist:	Data waits for the guest's window, nothing is in flight
 * @v4:	IPv4, for the default of the MSS
 * @mss:	Largest payload of a segment to the guest
 * @rcv_mss:	Largest payload that we told the guest to send
 * @snd_una:	First byte that the guest has not acknowledged
 * @snd_nxt:	Next byte to send
 * @snd_max:	One after the last byte ever sent
 * @snd_wnd:	Guest's window from @snd_una on, bytes
 * @snd_wnd_max: Largest @snd_wnd seen
 * @snd_eof:	Sequence number of our FIN, from IN_EOF on
 * @recover:	@snd_max as recovery began (RFC 6582)
 * @rcv_nxt:	Next byte from the guest
 * @rcv_acked:	Acknowledged to the guest, at most @rcv_nxt
 * @rcv_edge:	Right edge of our window; never moves left
 * @rto_ms:	Current retransmission time-out, ms
 * @rtx_at:	Time to retransmit or to probe a window, ms; 0: never
 * @poll_at:	Time to ask the socket how much the peer acknowledged, ms; 0: never
 * @alive_at:	Time to probe an idle guest, ms; 0: never
 */
struct tcps {
	uint8_t phase, out, in;
	uint8_t our_ws, peer_ws;
	uint8_t dupacks, retries, probes;
	uint8_t syn_retries, syn_linear;
	bool syn_hurried, recovering, persist, v4, reset, reset_fin;
	uint16_t mss, rcv_mss;
	uint32_t snd_una, snd_nxt, snd_max;
	uint32_t snd_wnd, snd_wnd_max;
	uint32_t snd_eof, recover;
	uint32_t rcv_nxt, rcv_acked, rcv_edge;
	uint32_t rto_ms;
	uint64_t rtx_at, poll_at, alive_at;
};

/**
 * struct tcp_seg - A received segment, host order
 * @seq, @ack:	Sequence and acknowledgement number
 * @wnd:	Window as on the wire, not scaled
 * @flags:	TCPF_*
 * @mss, @ws:	Options of a SYN; @mss 0 and @ws -1: absent
 * @len:	Payload bytes
 */
struct tcp_seg {
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
	uint16_t mss;
	int ws;
	uint32_t len;
};

/* Actions, which tcp.c performs */
enum {
	ACT_ACK		= 1 << 0,	/* acknowledge in any case */
	ACT_DATA	= 1 << 1,	/* data or FIN taken: acknowledge if it is new */
	ACT_HOLE	= 1 << 2,	/* with ACT_ACK: data before it is missing */
	ACT_SYN		= 1 << 3,	/* (re)send our SYN, without ACK */
	ACT_SYNACK	= 1 << 4,	/* (re)send our SYN with its options */
	ACT_SEND	= 1 << 5,	/* more may be sent: look into the socket */
	ACT_CONSUME	= 1 << 6,	/* guest acknowledged data */
	ACT_PROBE	= 1 << 7,	/* send an empty segment before snd_una */
	ACT_POLL	= 1 << 8,	/* ask the socket for acknowledgements */
	ACT_RST_TAP	= 1 << 9,	/* RST to the guest */
	ACT_RST_SOCK	= 1 << 10,	/* RST to the peer; the flow ends */
};

/**
 * struct tcp_acts - Result of an event
 * @acts:	ACT_*
 * @skip, @take: Payload that is accepted: @take bytes after @skip
 */
struct tcp_acts {
	unsigned acts;
	uint32_t skip, take;
};

uint32_t tcps_initial_seq(uint32_t hash, uint64_t now_ms);
void tcps_init_passive(struct tcps *s, const struct tcp_seg *syn, uint32_t iss,
		       uint16_t mss_max, bool v4);
void tcps_connected(struct tcps *s, uint64_t now_ms);
void tcps_init_active(struct tcps *s, uint32_t iss, uint16_t mss_max, bool v4,
		      const struct tcps_syn *policy, uint64_t now_ms);
void tcps_segment(struct tcps *s, const struct tcp_seg *g, uint64_t now_ms,
		  struct tcp_acts *a);
void tcps_refused(struct tcps *s, uint32_t bytes);

bool tcps_fin_due(const struct tcps *s);
void tcps_fin_passed(struct tcps *s);
void tcps_acknowledge(struct tcps *s, uint32_t seq);
bool tcps_window(struct tcps *s, uint32_t room, uint32_t size);
uint16_t tcps_window_field(const struct tcps *s, bool syn);

uint32_t tcps_may_send(const struct tcps *s);
void tcps_sent(struct tcps *s, uint32_t bytes, uint64_t now_ms);
void tcps_eof(struct tcps *s);
bool tcps_fin_may_send(const struct tcps *s);
void tcps_fin_sent(struct tcps *s, uint64_t now_ms);
void tcps_blocked(struct tcps *s, uint64_t now_ms);
bool tcps_data_queued(const struct tcps *s);
uint32_t tcps_acked_data(const struct tcps *s);

void tcps_reset_due(struct tcps *s, bool fin, uint64_t now_ms);
bool tcps_reset_now(const struct tcps *s);
void tcps_drain(struct tcps *s, uint64_t poll_at, uint64_t now_ms);

unsigned tcps_timer(struct tcps *s, uint64_t now_ms);
uint64_t tcps_next_timer(const struct tcps *s);
bool tcps_done(const struct tcps *s);
bool tcps_valid(const struct tcps *s, uint64_t now_ms);

void tcps_reset_for(const struct tcp_seg *g, uint32_t *seq, uint32_t *ack,
		    uint8_t *flags);

#endif /* TCP_STATE_H */
