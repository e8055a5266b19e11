/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_splice.h - TCP between the host and the namespace without a tap
 */

#ifndef TCP_SPLICE_H
#define TCP_SPLICE_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "types.h"

struct counters;
struct loop;
struct nshelper;

#define TCP_SPLICE_PIPES	128	/* at a time, for all flows */
#define TCP_SPLICE_SPARE	16	/* kept for the next connections */
#define TCP_SPLICE_PIPE_BYTES	(256U << 10)	/* of each */
#define TCP_SPLICE_BUF		(64U << 10)

/* A pipe, empty or with data that a socket did not take */
struct splice_pipe {
	int rd, wr;
};

/**
 * struct tcp_splice_stats - Counters
 * @opened:	Connections that were bypassed
 * @refused:	Connections refused without a free flow or descriptor
 * @no_pipe:	Reads that had to do without a pipe
 */
struct tcp_splice_stats {
	uint64_t opened, refused, no_pipe;
};

/**
 * struct tcp_splice - All bypassed connections
 * @nsh:	Makes sockets of the namespace, NULL: there are none
 * @ready:	Flows with work left
 * @waiting:	Flows that wait for a socket of the namespace
 * @pipes:	Number of pipes, lent ones and @spare
 * @nspare:	Entries of @spare
 * @buf:	Small data on its way, not used between calls
 */
struct tcp_splice {
	const struct conf *conf;
	const struct hostnet *net;
	const struct dns *dns;
	struct flow_table *flows;
	struct loop *loop;
	struct nshelper *nsh;
	struct flow_list ready;
	unsigned waiting, pipes, nspare;
	struct splice_pipe spare[TCP_SPLICE_SPARE];
	struct tcp_splice_stats stats;
	uint8_t buf[TCP_SPLICE_BUF];
};

void tcp_splice_init(struct tcp_splice *s, const struct conf *conf,
		     const struct hostnet *net, const struct dns *dns,
		     struct flow_table *flows, struct loop *loop,
		     struct nshelper *nsh);
void tcp_splice_accepted(struct tcp_splice *s, int fd, struct rule_ref rule,
			 bool from_ns, const struct flowside *ini,
			 const struct flowside *tgt,
			 const union inany *other);
void tcp_splice_event(void *ctx, struct flow *f, unsigned side, uint32_t events);
void tcp_splice_evict(void *ctx, struct flow *f);
void tcp_splice_retry(struct tcp_splice *s);
void tcp_splice_timer(void *ctx, struct flow *f);
bool tcp_splice_run_ready(struct tcp_splice *s);
bool tcp_splice_unfinished(const struct flow *f);
int tcp_splice_kill(void *ctx, struct flow *f);
void tcp_splice_state(const struct flow *f, struct flow_state *s);
void tcp_splice_counters(const void *ctx, struct counters *c);

#endif /* TCP_SPLICE_H */
