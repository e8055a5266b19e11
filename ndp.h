/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ndp.h - Neighbour and router discovery for IPv6
 */

#ifndef NDP_H
#define NDP_H

#include <stddef.h>

#include "packet.h"
#include "types.h"
#include "wire.h"

/* Lifetime of the router after its last advertisement: the maximum, RFC 8319, 4 */
#define NDP_ROUTER_LIFETIME_S	65535

/* Bytes of a message that fits the minimum MTU of IPv6: RFC 8200, 5 */
#define NDP_REPLY_MAX	(1280 - 40 - 8)

/**
 * struct ndp_reply - An ICMPv6 message and where it goes
 * @src, @dst:	IPv6 addresses
 * @dst_mac:	Ethernet destination
 * @msg:	The message from its ICMPv6 header on, checksum not filled in
 * @len:	Bytes in @msg
 *
 * The message needs the hop limit NDP_HOP_LIMIT.
 */
struct ndp_reply {
	union inany src, dst;
	uint8_t dst_mac[MAC_LEN];
	size_t len;
	uint8_t msg[NDP_REPLY_MAX] __attribute__((aligned(4)));
};

size_t ndp_reply(const struct conf *c, const struct hostnet *net,
		 const struct guest *g, const struct dns *d,
		 const struct pkt *p, struct ndp_reply *r);
bool ndp_is_router(const struct conf *c, const struct hostnet *net);
size_t ndp_advert(const struct conf *c, const struct hostnet *net,
		  const struct dns *d, struct ndp_reply *r);
size_t ndp_solicit(const struct conf *c, const struct hostnet *net,
		   const union inany *target, struct ndp_reply *r);

#endif /* NDP_H */
