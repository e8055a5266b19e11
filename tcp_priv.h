/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_priv.h - State of a TCP flow, shared by the files that TCP is made of
 *
 * Calls point down: tcp.c, tcp_start.c, tcp_in.c, tcp_out.c, tcp_flow.c.
 */

#ifndef TCP_PRIV_H
#define TCP_PRIV_H

#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "flow.h"
#include "frame.h"
#include "spill.h"
#include "tcp.h"
#include "tcp_state.h"

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF	42
#endif

#define TCP_RATIO_ONE	256U		/* payload per truesize, fixed point */
#define TCP_FAST_DUPACKS	3	/* make the guest resend, RFC 5681, 3.2 */
#define TCP_ACK_WAIT_MS	2		/* at most; by this clock 1 ms at least */
#define TCP_POLL_IDLE_MS	200	/* while the peer acknowledges nothing */
#define TCP_SOCK_EVENTS	(EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* A flow that is held takes no part in anything: tcp_migrate.c */
enum tcp_held {
	TCP_LIVE,
	TCP_FROZEN,			/* may move with the guest, or go on here */
	TCP_ARRIVED,			/* has moved here, the guest not yet */
	TCP_GONE,			/* has moved with the guest */
};

/**
 * struct tcp_conn - Private state of a flow
 * @s:		State
 * @spill:	Data that the socket did not take yet
 * @sock:	Socket
 * @snd_base:	Sequence number of the first byte in the receive queue
 * @peek_pos:	Offset that the kernel has for MSG_PEEK, if @peek_off
 * @ratio:	Payload per truesize in the send queue, of TCP_RATIO_ONE
 * @poll_ms:	Shortest interval of asking how much the peer acknowledged, ms
 * @poll_now:	Present interval, ms
 * @in_bytes:	Bytes taken from the receive queue since @in_start, ms
 * @in_space:	Largest @in_bytes seen in one round trip
 * @rtt_ms:	Round-trip time measured during the handshake, ms
 * @size:	Send buffer as last seen, payload bytes
 * @work:	Index + 1 into tcp->work during a batch, else 0
 * @near:	The peer is on this machine or under 1 ms away
 * @peek_off:	SO_PEEK_OFF is set: each peek begins behind the one before
 * @no_peek_off: The socket does not know it
 * @readable:	EPOLLIN was reported, and no short read came since
 * @rdhup:	The peer's FIN has arrived
 * @urgent:	Urgent data has arrived: reads stop at its mark
 * @armed:	EPOLLOUT is armed
 * @starved:	Data of the guest was refused: send ACKs when there is room
 * @failed:	The socket has an error: a RST follows the data that it still has
 * @draining:	The guest has reset the connection: the peer gets a RST after the
 *		data that the socket still has, @in_space bytes when last seen
 * @ack_due:	An ACK is due that found no frame
 * @ack_waits:	An ACK is due that any segment may carry, TCP_ACK_WAIT_MS after @asked_ms
 * @asked:	The guest has sent data, and got none since
 * @asked_ms:	When it sent data or a FIN: low bits of the time, ms
 * @ack_doubt:	How often an ACK waited in vain; less how often it did not
 * @ack_debt:	Answers that have to come in time before an ACK waits again
 * @dying:	A RST is due that found no frame; the flow ends after it
 * @held:	enum tcp_held
 */
struct tcp_conn {
	struct tcps s;
	struct spill spill;
	int sock;
	uint32_t snd_base, peek_pos;
	uint32_t size;
	uint32_t in_bytes, in_space, rtt_ms;
	uint64_t in_start;
	uint16_t ratio, poll_ms, poll_now, asked_ms;
	uint8_t work, held, ack_doubt, ack_debt;
	bool near : 1, peek_off : 1, readable : 1, rdhup : 1, urgent : 1, armed : 1,
	     starved : 1, failed : 1, draining : 1, dying : 1;
	bool ack_due : 1, ack_waits : 1, asked : 1, no_peek_off : 1;
};
static_assert(sizeof(struct tcp_conn) <= FLOW_PRIV, "state of a flow");

static inline struct tcp_conn *tcp_conn(struct flow *f)
{
	return (struct tcp_conn *)(void *)f->priv;
}

/* tcp_next_poll() - Interval after one of @ms without progress */
static inline uint16_t tcp_next_poll(uint16_t ms)
{
	return ms < TCP_POLL_IDLE_MS / 2 ? ms * 2 : TCP_POLL_IDLE_MS;
}

/* tcp_asked_lately() - Did the guest's last data come within the time that an ACK waits? */
static inline bool tcp_asked_lately(const struct tcp *t, const struct tcp_conn *c)
{
	return (uint16_t)(t->loop->now_ms - c->asked_ms) < TCP_ACK_WAIT_MS;
}

/* tcp_ack_at() - Time at which an ACK that waits is sent, ms */
static inline uint64_t tcp_ack_at(const struct tcp *t, const struct tcp_conn *c)
{
	return t->loop->now_ms + TCP_ACK_WAIT_MS -
	       (uint16_t)(t->loop->now_ms - c->asked_ms);
}

static inline uint32_t tcp_tap_hash(const struct tcp *t,
				    const struct flowside *tap)
{
	return flow_hash(t->flows, IPPROTO_TCP, PIF_TAP, tap);
}

/* A flow as a whole: tcp_flow.c */
struct frame_addr tcp_frame_addr(const struct tcp *t,
				 const struct flowside *tap);
bool tcp_send_ctl(struct tcp *t, const struct flowside *tap, uint8_t flags,
		  uint32_t seq, uint32_t ack, uint16_t wnd,
		  const uint8_t *opts, size_t opts_len);
bool tcp_send_ack(struct tcp *t, struct flow *f);
void tcp_ack_carried(struct tcp *t, struct flow *f);
void tcp_send_syn(struct tcp *t, struct flow *f, uint8_t flags);
void tcp_send_probe(struct tcp *t, struct flow *f);
bool tcp_send_rst(struct tcp *t, struct flow *f);
void tcp_answer_rst(struct tcp *t, const struct flowside *tap,
		    const struct tcp_seg *g);
void tcp_trace(const struct tcp *t, const struct flow *f, const char *what);
void tcp_end(struct tcp *t, struct flow *f, bool rst, const char *why);
void tcp_rearm(struct tcp *t, struct flow *f);
void tcp_reset(struct tcp *t, struct flow *f, const char *why);

/* Guest to peer: tcp_out.c */
uint32_t tcp_query_room(struct tcp *t, struct flow *f, int outq);
void tcp_update_ack(struct tcp *t, struct flow *f, bool force, bool look);
void tcp_ack_batch(struct tcp *t, struct flow *f, struct tcp_work *w);
void tcp_ack_last(struct tcp *t, struct flow *f, const struct tcp_work *w);
void tcp_ack_waited(struct tcp *t, struct flow *f);
void tcp_resend_refused(struct tcp *t, struct flow *f);
void tcp_give_way(struct tcp *t, struct flow *f);
void tcp_socket_failed(struct tcp *t, struct flow *f, int error);
void tcp_pass_fin(struct tcp *t, struct flow *f);
void tcp_deliver(struct tcp *t, struct flow *f, struct tcp_work *w);
void tcp_drain_spill(struct tcp *t, struct flow *f);
void tcp_sock_writable(struct tcp *t, struct flow *f);

/* Peer to guest: tcp_in.c */
void tcp_consume(struct tcp *t, struct flow *f);
bool tcp_pump(struct tcp *t, struct flow *f);

/* New flows: tcp_start.c */
void tcp_connect_failed(struct tcp *t, struct flow *f, int error);
void tcp_connected(struct tcp *t, struct flow *f);
uint16_t tcp_mss_max(const struct tcp *t, bool v4);
int tcp_watch_socket(struct tcp *t, struct flow *f, bool out);
struct flow *tcp_start_flow(struct tcp *t, int sock, struct rule_ref rule,
			    enum pif ini_pif, const struct flowside *ini,
			    const struct flowside *tgt);
void tcp_new_flow(struct tcp *t, const struct flowside *tap,
		  const struct tcp_seg *g);

#endif /* TCP_PRIV_H */
