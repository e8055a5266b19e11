/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcpv6.h - DHCPv6 server: a pure function
 */

#ifndef DHCPV6_H
#define DHCPV6_H

#include <stddef.h>

#include "packet.h"
#include "types.h"

size_t dhcpv6_reply(const struct conf *c, const struct hostnet *net,
		    const struct dns *d, const struct pkt *p,
		    struct datagram *r);

#endif /* DHCPV6_H */
