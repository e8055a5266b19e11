/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sockdiag.h - Find listening sockets of a network namespace by sock_diag(7)
 */

#ifndef SOCKDIAG_H
#define SOCKDIAG_H

#include <stddef.h>
#include <stdint.h>

#include "inany.h"

#define SOCKDIAG_BUF	32768		/* bytes, as much as the kernel sends */

/**
 * struct sockdiag_entry - A socket
 * @addr:	Bound to; unspecified of either family: all
 * @port:	Bound to, host order, never 0
 * @cookie:	Value of SO_COOKIE
 */
struct sockdiag_entry {
	union inany addr;
	uint16_t port;
	uint64_t cookie;
};

typedef void (*sockdiag_fn)(const struct sockdiag_entry *e, void *arg);

int sockdiag_open(void);
int sockdiag_walk(const void *buf, size_t len, uint32_t seq, sockdiag_fn fn,
		  void *arg);
int sockdiag_dump(int fd, uint8_t proto, sa_family_t family, uint32_t seq,
		  void *buf, sockdiag_fn fn, void *arg);

#endif /* SOCKDIAG_H */
