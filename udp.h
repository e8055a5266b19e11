/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp.h - UDP flows through the tap
 */

#ifndef UDP_H
#define UDP_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "packet.h"
#include "rules.h"
#include "types.h"
#include "udp_msg.h"
#include "udp_rx.h"

struct counters;
struct listen;
struct tap;
struct udp_splice;

/**
 * struct udp - All of UDP
 * @io:		Arrays for system calls, shared with the bypass
 * @splice:	The bypass, NULL: nothing bypasses the tap
 * @listen:	Listening sockets, NULL: there are none
 * @blocked:	Ports that wait for room in the tap
 * @dropped:	Datagrams from the guest that were not sent
 * @lost:	Datagrams for the guest that had no flow, or no room in the tap
 */
struct udp {
	const struct conf *conf;
	const struct hostnet *net;
	const struct guest *guest;
	const struct dns *dns;
	struct flow_table *flows;
	struct tap *tap;
	struct loop *loop;
	struct udp_io *io;
	struct udp_rx rx;
	struct udp_splice *splice;
	const struct listen *listen;
	struct flow_list blocked;
	uint64_t dropped, lost;
};

void udp_init(struct udp *u, const struct conf *conf, const struct hostnet *net,
	      const struct guest *guest, const struct dns *dns,
	      struct flow_table *flows, struct tap *tap, struct loop *loop,
	      struct udp_io *io, struct udp_splice *splice,
	      const struct listen *listen);
void udp_tap_input(struct udp *u, const struct pkt *pkts, unsigned n);
void udp_tap_writable(struct udp *u);
void udp_sock_event(void *ctx, struct flow *port, unsigned side,
		    uint32_t events);
void udp_listen_event(struct udp *u, int fd, const struct fwd_rule *r,
		      uint16_t number, uint32_t index);
void udp_listener_gone(struct udp *u);
void udp_evict(void *ctx, struct flow *f);
int udp_kill(void *ctx, struct flow *f);
void udp_timer(void *ctx, struct flow *f);
void udp_counters(const void *ctx, struct counters *c);

#endif /* UDP_H */
