/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_tx.h - Datagrams of the guest to the host's sockets, and their errors
 */

#ifndef UDP_TX_H
#define UDP_TX_H

#include "flow.h"
#include "packet.h"
#include "udp_msg.h"

struct udp;

/**
 * struct udp_out - How a run of datagrams leaves
 * @port:	Its port
 * @f:		Its flow, NULL: multicast or broadcast
 * @tap, @host:	Both sides of it
 * @dest:	Destination and source
 */
struct udp_out {
	struct flow *port, *f;
	const struct flowside *tap, *host;
	struct udp_dest dest;
};

unsigned udp_tx_run_len(const struct pkt *p, unsigned n);
void udp_tx_run(struct udp *u, const struct udp_out *o, const struct pkt *pkts,
		unsigned n);
void udp_tx_errors(struct udp *u, struct flow *port);

#endif /* UDP_TX_H */
