/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * icmp.h - Echo through ping sockets
 */

#ifndef ICMP_H
#define ICMP_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "packet.h"
#include "tap.h"
#include "types.h"

struct counters;

/**
 * struct icmp - All of ICMP and ICMPv6 echo
 * @warned:	The warning that the host allows no ping sockets was printed
 * @dropped:	Requests that were not sent
 * @lost:	Replies that did not fit into the tap
 * @buf:	Room for one reply, not used between calls
 */
struct icmp {
	const struct conf *conf;
	const struct hostnet *net;
	const struct guest *guest;
	const struct dns *dns;
	struct flow_table *flows;
	struct tap *tap;
	struct loop *loop;
	bool warned;
	uint64_t dropped, lost;
	uint8_t buf[65536];
};

void icmp_init(struct icmp *m, const struct conf *conf,
	       const struct hostnet *net, const struct guest *guest,
	       const struct dns *dns, struct flow_table *flows,
	       struct tap *tap, struct loop *loop);
void icmp_tap_input(struct icmp *m, const struct pkt *pkts, unsigned n);
void icmp_sock_event(void *ctx, struct flow *f, unsigned side, uint32_t events);
void icmp_evict(void *ctx, struct flow *f);
int icmp_kill(void *ctx, struct flow *f);
void icmp_state(const struct flow *f, struct flow_state *s);
void icmp_timer(void *ctx, struct flow *f);
void icmp_counters(const void *ctx, struct counters *c);

#endif /* ICMP_H */
