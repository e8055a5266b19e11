/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink.h - What the host's network looks like, and making one like it
 *
 * Two calls at start: nl_template() in the namespace of the host, then, for
 * pasta, nl_ns_configure() in a process inside the target namespace. Between
 * them struct hostnet carries what is to be copied; it is plain data and may
 * cross a fork or a socket.
 */

#ifndef NETLINK_H
#define NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "inany.h"
#include "types.h"

/* An address of the template interface, as RTM_NEWADDR told it */
struct host_addr {
	union inany addr;		/* the host's own */
	union inany peer;		/* point to point: the other end, else addr */
	uint32_t flags;			/* IFA_F_* */
	uint8_t prefix_len;		/* of peer, for IPv4 0..32 */
	uint8_t scope;			/* RT_SCOPE_* */
};

/* A unicast route of the main table over the template interface */
struct host_route {
	union inany dst, src;		/* for all-zero lengths: all-zero */
	union inany gw;			/* unset: on link; may be of family IPv6 */
	union inany prefsrc;		/* unset: any */
	uint32_t metric;		/* as told: 0 is 1024 for IPv6 */
	uint8_t dst_len, src_len;	/* for IPv4 0..32 */
	uint8_t tos, scope, protocol;
	uint8_t pref;			/* RFC 4191, IPv6 only */
	bool onlink;
};

/* One family of the template interface */
struct host_ip {
	unsigned naddrs, nroutes;
	unsigned addrs_lost, routes_lost;	/* more than there is room for */
	struct host_addr addrs[CONF_ADDRS_MAX];
	struct host_route routes[CONF_ROUTES_MAX];
};

struct hostnet {
	struct host_ip v4, v6;
};

int nl_template(struct conf *c, struct hostnet *h);
int nl_ns_configure(const struct conf *c, const struct hostnet *h,
		    const char *ifname);

int nl_link_index(const char *name);
int nl_link_mac(const char *name, uint8_t mac[6]);

#endif /* NETLINK_H */
