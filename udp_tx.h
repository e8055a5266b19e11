/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_tx.h - Datagrams from the guest to host sockets, and their errors
 */

#ifndef UDP_TX_H
#define UDP_TX_H

#include "flow.h"
#include "packet.h"
#include "udp_msg.h"

struct udp;

/**
 * struct udp_out - Way of a run of datagrams to the host
 * @port:	Port to send by
 * @f:		Flow, NULL: multicast or broadcast
 * @tap, @host:	Sides of the flow
 * @dest:	Destination and source of messages
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
void udp_tx_refused(struct udp *u, struct flow *f);

#endif /* UDP_TX_H */
