/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_rx.h - Datagrams from host sockets to frames for the guest
 */

#ifndef UDP_RX_H
#define UDP_RX_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "udp_msg.h"

struct conf;
struct guest;
struct tap;

/**
 * struct udp_rx_sizes - Sizes of the datagrams of a socket; zeroed at first
 * @streak:	Datagrams of @size in a row, counted up to PACK_AFTER
 * @size:	Length of the last datagram, bytes
 */
struct udp_rx_sizes {
	uint8_t streak;
	uint16_t size;
};

/**
 * struct udp_rx - The way to the guest
 * @io:		Arrays for system calls
 */
struct udp_rx {
	const struct conf *conf;
	const struct guest *guest;
	struct tap *tap;
	struct udp_io *io;
};

/**
 * struct udp_rx_batch - Messages of one recvmmsg() into lent frames
 * @v4:		Family that the frames have room for; set by the caller
 * @lend:	Receive into frames; false: into buffers, because datagrams that bypass
 *		the tap are expected; set by the caller
 * @frames:	Lent frames, NULL: none
 * @n:		Messages to ask for
 * @got:	Messages received
 * @head:	Room for each message in its frame, bytes
 * @pack:	All messages are received back to back into the first frame; otherwise
 *		each message has a frame of its own
 * @meta:	Sender and so on of each message
 * @side:	Source of each message as the guest sees it (ours), and the port of the
 *		guest (endpoint); unset endpoint: drop. Set by the caller
 */
struct udp_rx_batch {
	bool v4, lend;
	struct txframe *frames;
	unsigned n, got;
	size_t head;
	bool pack;
	struct udp_meta meta[UDP_RX_MSGS];
	struct flowside side[UDP_RX_MSGS];
};

int udp_rx_read(const struct udp_rx *rx, int fd,
		const struct udp_rx_sizes *sizes, unsigned want,
		struct udp_rx_batch *b);
const uint8_t *udp_rx_data(const struct udp_rx *rx,
			   const struct udp_rx_batch *b, unsigned k);
unsigned udp_rx_deliver(const struct udp_rx *rx, struct udp_rx_sizes *sizes,
			struct udp_rx_batch *b);

#endif /* UDP_RX_H */
