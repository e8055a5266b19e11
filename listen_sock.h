/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen_sock.h - One bound socket of a forwarding rule
 */

#ifndef LISTEN_SOCK_H
#define LISTEN_SOCK_H

#include <stdint.h>

#include "rules.h"

struct listen;

int listen_sock_open(const struct listen *s, const struct fwd_rule *r,
		     uint16_t port);
int listen_sock_finish(const struct listen *s, const struct fwd_rule *r);
void listen_sock_join(const struct listen *s, const struct fwd_rule *r, int fd,
		      uint16_t port);
int listen_sock_group(const struct listen *s, const struct fwd_rule *r,
		      uint16_t port, unsigned *next);

#endif /* LISTEN_SOCK_H */
