/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * icmp.h - Echo through ping sockets
 */

#ifndef ICMP_H
#define ICMP_H

#include "flow.h"
#include "packet.h"
#include "tap.h"
#include "types.h"

struct icmp {
	const struct conf *conf;
	const struct guest *guest;
	struct flow_table *flows;
	struct tap *tap;
	struct loop *loop;
};

void icmp_init(struct icmp *m, const struct conf *conf, const struct guest *guest,
	       struct flow_table *flows, struct tap *tap, struct loop *loop);
void icmp_tap_input(struct icmp *m, const struct pkt *pkts, unsigned n);
void icmp_sock_event(struct icmp *m, struct flow *f, uint32_t events);
void icmp_timer(struct icmp *m, struct flow *f);

#endif /* ICMP_H */
