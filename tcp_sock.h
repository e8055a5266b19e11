/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_sock.h - State of the kernel's TCP sockets, read and written in repair mode
 */

#ifndef TCP_SOCK_H
#define TCP_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow.h"

#define TCP_SOCK_QUEUE_MAX	(64U << 20)	/* bytes of one queue */

/* Options that both ends agreed on, as in TCP_INFO */
enum {
	TCP_SOCK_TIMESTAMPS	= 1 << 0,
	TCP_SOCK_SACK		= 1 << 1,
	TCP_SOCK_WSCALE		= 1 << 2,
};

/**
 * struct tcp_sock - A connection, but for the bytes in its queues
 * @at:		Our address and port, and the peer's
 * @rcv_seq:	Sequence number of the first byte in the receive queue; one more if the
 *		peer's FIN follows that queue, since a restored socket gets no FIN
 * @rcv_len:	Bytes in the receive queue
 * @snd_seq:	Sequence number of the first byte in the send queue
 * @sent, @unsent:	Bytes in the send queue that were sent, and that follow those
 * @wl1, @wnd, @wnd_max:	Peer's window: number of the segment that told it; bytes
 * @rcv_wnd, @rcv_wup:	Our window as last told, bytes from this number on
 * @mss:	Largest segment that the peer takes
 * @timestamp:	Our clock for timestamps
 * @peer_ws, @our_ws:	Window scales of the peer and of ours
 * @options:	TCP_SOCK_*
 * @fin_in:	The peer's FIN has come
 * @fin_sent:	Our FIN was sent, perhaps acknowledged
 * @fin_unsent:	Our FIN follows the unsent bytes
 */
struct tcp_sock {
	struct flowside at;
	uint32_t rcv_seq, rcv_len;
	uint32_t snd_seq, sent, unsent;
	uint32_t wl1, wnd, wnd_max, rcv_wnd, rcv_wup;
	uint32_t mss, timestamp;
	uint8_t peer_ws, our_ws, options;
	bool fin_in, fin_sent, fin_unsent;
};

enum tcp_sock_queue { TCP_SOCK_RECEIVED, TCP_SOCK_SENT };

/* Any socket */
int tcp_sock_deafen(int fd);
void tcp_sock_hear(int fd);
bool tcp_sock_stuck(int fd);

/* A socket in repair mode */
int tcp_sock_get(int fd, struct tcp_sock *s);
int tcp_sock_peek(int fd, const struct tcp_sock *s, enum tcp_sock_queue queue,
		  uint32_t off, void *to, uint32_t len);
bool tcp_sock_valid(const struct tcp_sock *s);
int tcp_sock_restore(int fd, const struct tcp_sock *s, unsigned scope);
int tcp_sock_fill(int fd, enum tcp_sock_queue queue, const void *from,
		  uint32_t len);
int tcp_sock_finish(int fd, const struct tcp_sock *s);

#endif /* TCP_SOCK_H */
