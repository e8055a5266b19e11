/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp.h - TCP flows: segments of the guest on one side, a socket on the other
 */

#ifndef TCP_H
#define TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "packet.h"
#include "spill.h"
#include "tap.h"
#include "tcp_state.h"
#include "timewait.h"
#include "types.h"
#include "view.h"

struct counters;

/**
 * struct tcp_work - Segments of one batch for one flow
 * @flow:	The flow, NULL: it ended in this batch
 * @acts:	ACT_*, of all its segments
 * @holes:	Number of segments beyond the next expected one
 * @ack_now:	The ACK of this batch is sent at its end, if no data carries it
 * @data, @count, @bytes:	Payload taken, of one segment each
 */
struct tcp_work {
	struct flow *flow;
	unsigned acts, holes;
	bool ack_now;
	unsigned count;
	uint32_t bytes;
	struct view data[TAP_RX_BATCH];
};

struct tcp_stats {
	uint64_t opened, refused_table, refused_fd, resets_sent, refused_bytes;
	uint64_t accepted, refused_ports;
};

struct tcp {
	const struct conf *conf;
	const struct hostnet *net;
	const struct guest *guest;
	const struct dns *dns;
	struct flow_table *flows;
	struct tap *tap;
	struct loop *loop;
	struct tcps_syn syn;		/* how the host retransmits a SYN */
	uint64_t iss_key[2], port_key;
	struct flow_list ready, blocked;	/* work left; waits for the tap */
	bool mobile;			/* flows may move: tcp_migrate.c */
	struct tcp_stats stats;
	unsigned works;
	struct tcp_work work[TAP_RX_BATCH];
	struct spill_pool spill;
	struct timewait timewait;
	uint8_t discard[65536];		/* bytes skipped without SO_PEEK_OFF */
};

void tcp_init(struct tcp *t, const struct conf *conf, const struct hostnet *net,
	      const struct guest *guest, const struct dns *dns,
	      struct flow_table *flows, struct tap *tap, struct loop *loop,
	      const uint64_t key[3]);
void tcp_tap_input(struct tcp *t, const struct pkt *pkts, unsigned n);
void tcp_accepted(struct tcp *t, int fd, struct rule_ref rule,
		  const struct flowside *host, const struct flowside *tap);
void tcp_tap_unreachable(struct tcp *t, const struct pkt_quote *q);
void tcp_sock_event(void *ctx, struct flow *f, unsigned side, uint32_t events);
void tcp_evict(void *ctx, struct flow *f);
void tcp_timer(void *ctx, struct flow *f);
void tcp_tap_writable(struct tcp *t);
bool tcp_run_ready(struct tcp *t);
bool tcp_unfinished(const struct flow *f);
int tcp_kill(void *ctx, struct flow *f);
void tcp_flow_state(const struct flow *f, struct flow_state *s);
void tcp_counters(const void *ctx, struct counters *c);

#endif /* TCP_H */
