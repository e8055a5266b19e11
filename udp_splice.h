/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_splice.h - UDP between the two loopbacks, past the tap
 */

#ifndef UDP_SPLICE_H
#define UDP_SPLICE_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "rules.h"
#include "types.h"
#include "udp_msg.h"

struct counters;
struct loop;
struct nshelper;

/**
 * struct udp_splice - All of the UDP bypass
 * @rules:	Rules in force
 * @nsh:	Makes sockets of the namespace, NULL: nothing can be bypassed
 * @io:		Arrays for system calls, shared with UDP through the tap
 * @dropped:	Datagrams that were not sent
 */
struct udp_splice {
	const struct conf *conf;
	const struct hostnet *net;
	const struct guest *guest;
	const struct rules *rules;
	struct flow_table *flows;
	struct loop *loop;
	struct nshelper *nsh;
	struct udp_io *io;
	uint64_t dropped;
};

void udp_splice_init(struct udp_splice *s, const struct conf *conf,
		     const struct hostnet *net, const struct guest *guest,
		     const struct rules *rules, struct flow_table *flows,
		     struct loop *loop, struct nshelper *nsh,
		     struct udp_io *io);
bool udp_splice_works(const struct udp_splice *s);
void udp_splice_listen_event(struct udp_splice *s, int fd,
			     const struct fwd_rule *r, struct rule_ref ref,
			     uint16_t port);
void udp_splice_from_host(struct udp_splice *s, struct flow *port,
			  const struct fwd_rule *r, struct rule_ref ref,
			  int fd, const struct flowside *host,
			  const struct flowside *tgt, unsigned scope,
			  const struct udp_data *data, unsigned n);
void udp_splice_sock_event(void *ctx, struct flow *f, unsigned side,
			   uint32_t events);
void udp_splice_listener_gone(struct udp_splice *s);
void udp_splice_evict(void *ctx, struct flow *f);
int udp_splice_kill(void *ctx, struct flow *f);
void udp_splice_timer(void *ctx, struct flow *f);
void udp_splice_counters(const void *ctx, struct counters *c);

#endif /* UDP_SPLICE_H */
