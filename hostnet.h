/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostnet.h - What the host's network looks like
 *
 * Two calls at start: hostnet_find() in the namespace of the host, then, for
 * pasta, nsnet_configure() in a process inside the target namespace. Between
 * them struct hostnet carries what is to be copied; it is plain data and may
 * cross a fork.
 */

#ifndef HOSTNET_H
#define HOSTNET_H

#include <stdint.h>

#include "netlink.h"
#include "types.h"

/* One family of the template interface */
struct host_ip {
	unsigned naddrs, nroutes;
	unsigned addrs_lost, routes_lost;	/* no room for these */
	struct host_addr addrs[CONF_ADDRS_MAX];	/* the best first */
	struct host_route routes[CONF_ROUTES_MAX];
};

struct hostnet {
	struct host_ip v4, v6;
};

int hostnet_find(struct conf *c, struct hostnet *h);

#endif /* HOSTNET_H */
