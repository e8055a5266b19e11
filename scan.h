/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan.h - Search for listeners that rules with "auto" forward to
 */

#ifndef SCAN_H
#define SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "listen.h"
#include "loop.h"
#include "portmap.h"
#include "rules.h"
#include "sockdiag.h"
#include "types.h"

struct flow_table;
struct nshelper;

/**
 * struct scan - Search for listeners
 * @nsh:	Makes sockets of the namespace, NULL: there are none
 * @flows:	Table of flows, whose sockets are no listeners; NULL: no flows
 * @listen:	Binds the ports that are found
 * @diag:	sock_diag sockets of the host and of the namespace, -1: not needed
 * @diag_missing:	The socket of the namespace is still to be had
 * @seq:	Sequence number of the last request
 * @round:	Number of searches
 * @timer:	Starts the next search
 * @found:	Ports with a listener of another program, by the side and protocol
 *		of that listener
 * @want, @failed:	Ports to be bound for rules, and ports that can't be
 */
struct scan {
	const struct conf *conf;
	const struct hostnet *net;
	struct loop *loop;
	struct nshelper *nsh;
	const struct flow_table *flows;
	struct listen *listen;
	int diag[2];
	bool diag_missing;
	uint32_t seq;
	unsigned round;
	struct timer timer;
	struct portmap found[RULE_KINDS];
	struct portmap want, failed[RULE_KINDS];
	uint64_t diag_buf[SOCKDIAG_BUF / sizeof(uint64_t)];
};

void scan_init(struct scan *s, const struct conf *conf,
	       const struct hostnet *net, struct loop *loop,
	       struct nshelper *nsh, const struct flow_table *flows,
	       struct listen *listen);
bool scan_needed(const struct scan *s, bool in_ns);
void scan_start(struct scan *s, int diag_host, int diag_ns);
void scan_now(struct scan *s);
void scan_resume(struct scan *s);
void scan_stop(struct scan *s);

#endif /* SCAN_H */
