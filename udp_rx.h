/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_rx.h - Datagrams of the host as frames for the guest
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
 * struct udp_rx_sizes - What sizes a socket gets; zeroed at first
 * @streak:	Datagrams of @size in a row, counted to a few
 * @size:	Bytes of the last one
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
 * @v4:		Set by the caller: family that the frames are for
 * @lend:	Set by the caller: to receive into frames, false: into buffers,
 *		because datagrams for elsewhere are expected
 * @frames:	Lent, NULL: none
 * @n:		Messages to ask for
 * @got:	Messages received
 * @head:	Bytes of each message that go to its place in the frames
 * @pack:	All places are in the first frame, one behind the other; otherwise
 *		each message has a frame of its own
 * @meta:	Facts about each message
 * @side:	Set by the caller for each message: its source as the guest sees it
 *		(ours) and the port of the guest (endpoint); unset endpoint: drop
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
