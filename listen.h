/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen.h - Forwarding rules to bound sockets; the search for listeners
 */

#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

struct loop;
struct nshelper;

#define LISTEN_MAX	(1U << 18)	/* sockets */

/**
 * struct listener - One bound socket
 * @fd:		Listening (TCP) or bound (UDP); -1: free
 * @rule:	Index into conf->rules
 * @port:	Bound, host order
 */
struct listener {
	int fd;
	uint16_t rule, port;
};

/**
 * struct listen - All of them
 * @n:		Entries ever used; the rest of @l was never touched
 * @nsh:	Makes sockets of the namespace, NULL: there are none
 */
struct listen {
	const struct conf *conf;
	struct loop *loop;
	struct nshelper *nsh;
	uint32_t n;
	struct listener l[LISTEN_MAX];
};

void listen_init(struct listen *s, const struct conf *conf, struct loop *loop,
		 struct nshelper *nsh);
int listen_open(struct listen *s);
int listen_scan_start(struct listen *s, int diag_host, int diag_ns);
void listen_scan(struct listen *s);
const struct listener *listen_at(const struct listen *s, uint32_t index);
bool listen_is_ours(const struct listen *s, uint8_t proto, bool in_ns,
		    uint16_t port);
void listen_close(struct listen *s);

#endif /* LISTEN_H */
