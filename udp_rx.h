/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_rx.h - Datagrams of the host as frames for the guest
 */

#ifndef UDP_RX_H
#define UDP_RX_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "udp_sock.h"

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

int udp_rx_read(struct udp *u, int fd, const struct flowside *s,
		struct udp_rx_sizes *sizes, unsigned want, bool *more);
void udp_rx_copy(struct udp *u, const struct flowside *s,
		 const struct udp_meta *m, const uint8_t *data);

#endif /* UDP_RX_H */
