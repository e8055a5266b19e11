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

struct udp;

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
 * struct udp_rx - Messages of one recvmmsg() into lent frames
 * @v4:		Set by the caller: family that the frames are for
 * @lend:	Set by the caller: to receive into frames, false: into buffers,
 *		because datagrams for elsewhere are expected
 * @frames:	Lent, NULL: none
 * @n:		Messages to ask for
 * @got:	Messages received
 * @head:	Bytes of each message that go to its place in the frames
 * @pack:	All places are in the first frame, one behind the other; otherwise
 *		each message has a frame of its own
 * @meta:	What is known about each message
 * @side:	Set by the caller for each message: its source as the guest sees it
 *		(ours) and the port of the guest (endpoint); unset endpoint: drop
 */
struct udp_rx {
	bool v4, lend;
	struct txframe *frames;
	unsigned n, got;
	size_t head;
	bool pack;
	struct udp_meta meta[UDP_RX_MSGS];
	struct flowside side[UDP_RX_MSGS];
};

int udp_rx_read(struct udp *u, int fd, const struct udp_rx_sizes *sizes,
		unsigned want, struct udp_rx *r);
const uint8_t *udp_rx_data(struct udp *u, const struct udp_rx *r, unsigned k);
void udp_rx_deliver(struct udp *u, struct udp_rx_sizes *sizes,
		    struct udp_rx *r);

#endif /* UDP_RX_H */
