/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcp.h - DHCP and BOOTP server: a pure function
 */

#ifndef DHCP_H
#define DHCP_H

#include <stddef.h>

#include "packet.h"
#include "types.h"

union inany dhcp_server(const struct hostnet *net);
size_t dhcp_reply(const struct conf *c, const struct hostnet *net,
		  const struct dns *d, const struct pkt *p, struct datagram *r);

#endif /* DHCP_H */
