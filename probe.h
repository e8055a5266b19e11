/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe.h - The search for the interface that is the template of a family
 */

#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "inany.h"
#include "netlink.h"
#include "types.h"

#define PROBE_CANDS_MAX	16		/* default routes of one family */

/* A candidate: one next hop of a default route */
struct probe_cand {
	unsigned oif;
	uint32_t metric;
	bool dead;
	union inany gw, prefsrc;
};

/* Search for the template of one family */
struct probe {
	struct nl *nl, *nested;		/* nested: for requests during a dump */
	sa_family_t family;
	unsigned oif;			/* interface to look at, 0: any */
	unsigned ncands;
	struct probe_cand cands[PROBE_CANDS_MAX];
	struct probe_cand best;
	struct nl_link link;		/* of best */
	struct host_route policy;	/* default route of another table */
	bool has_policy;		/* best is from policy */
	struct hostnet_ip *host;
	struct nl_nexthop hop_cache;	/* of hop_cache_id */
	uint32_t hop_cache_id;
};

void probe_init(struct probe *p, sa_family_t family, unsigned oif,
		struct hostnet_ip *host);
bool probe_policy(struct probe *p);
bool probe_main(struct probe *p);
bool probe_onlink(struct probe *p, unsigned prefer);
void probe_addrs(struct probe *p, bool has_route);
void probe_routes(struct probe *p);

#endif /* PROBE_H */
