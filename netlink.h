/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink.h - What the host's network looks like, and making one like it
 *
 * Two calls at start: nl_template() in the namespace of the host, then, for
 * pasta, nl_ns_configure() in a process inside the target namespace. Between
 * them struct hostnet carries what is to be copied; it is plain data and may
 * cross a fork.
 */

#ifndef NETLINK_H
#define NETLINK_H

#include <stdint.h>

#include "rtnl.h"
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

/* netlink.c */
int nl_template(struct conf *c, struct hostnet *h);

/* netlink_ns.c */
int nl_ns_configure(const struct conf *c, const struct hostnet *h,
		    const char *ifname);

#endif /* NETLINK_H */
