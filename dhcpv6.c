/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcpv6.c - DHCPv6 server: a pure function
 */

#include "dhcpv6.h"

/* dhcpv6_reply() - Nothing is answered yet */
size_t dhcpv6_reply(const struct conf *c, const struct dns *d,
		    const struct pkt *p, struct datagram *r)
{
	(void)c;
	(void)d;
	(void)p;
	r->len = 0;
	return 0;
}
