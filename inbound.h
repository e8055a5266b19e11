/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inbound.h - Connections and datagrams at listening sockets
 */

#ifndef INBOUND_H
#define INBOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "loop.h"
#include "types.h"

struct counters;
struct input;
struct listen;
struct tcp;
struct tcp_splice;
struct udp;
struct udp_splice;

/**
 * struct inbound_to - Modules that connections and datagrams are handed to
 * @input:	Asks for the guest's MAC address
 * @tcp, @udp:	Through the tap
 * @tcp_splice, @udp_splice:	Past it
 */
struct inbound_to {
	struct input *input;
	struct tcp *tcp;
	struct tcp_splice *tcp_splice;
	struct udp *udp;
	struct udp_splice *udp_splice;
};

/**
 * struct inbound - Accepts connections and decides where they go
 * @to:		Modules that take them
 * @timer:	Ends the pause of listeners for which there were no descriptors
 * @accepted, @refused:	Numbers of connections
 * @foreign:	Refused ones that came from outside the namespace, to it
 * @paused:	How often a listener paused
 */
struct inbound {
	const struct conf *conf;
	const struct hostnet *net;
	const struct guest *guest;
	struct listen *listen;
	struct flow_table *flows;
	struct loop *loop;
	struct inbound_to to;
	struct timer timer;
	uint64_t accepted, refused, foreign, paused;
};

void inbound_init(struct inbound *b, const struct conf *conf,
		  const struct hostnet *net, const struct guest *guest,
		  struct listen *listen, struct flow_table *flows,
		  struct loop *loop, const struct inbound_to *to);
void inbound_event(struct inbound *b, uint32_t index);
void inbound_timer(struct inbound *b);
void inbound_counters(const void *ctx, struct counters *c);

#endif /* INBOUND_H */
