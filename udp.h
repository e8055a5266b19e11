/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp.h - UDP flows: one connected socket each
 */

#ifndef UDP_H
#define UDP_H

#include "flow.h"
#include "packet.h"
#include "tap.h"
#include "types.h"

struct udp {
	const struct conf *conf;
	const struct guest *guest;
	struct flow_table *flows;
	struct tap *tap;
	struct loop *loop;
};

void udp_init(struct udp *u, const struct conf *conf, const struct guest *guest,
	      struct flow_table *flows, struct tap *tap, struct loop *loop);
void udp_tap_input(struct udp *u, const struct pkt *pkts, unsigned n);
void udp_sock_event(struct udp *u, struct flow *f, uint32_t events);
void udp_timer(struct udp *u, struct flow *f);

#endif /* UDP_H */
