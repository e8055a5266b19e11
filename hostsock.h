/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostsock.h - Sockets of flows on the host, as the user wants them
 */

#ifndef HOSTSOCK_H
#define HOSTSOCK_H

#include <stdbool.h>

#include "types.h"

int hostsock_open(const struct conf *c, const union inany *peer, int type,
		  int protocol);

#endif /* HOSTSOCK_H */
