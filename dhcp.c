/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcp.c - DHCP and BOOTP server: a pure function
 */

#include "dhcp.h"

/* dhcp_reply() - Nothing is answered yet */
size_t dhcp_reply(const struct conf *c, const struct dns *d,
		  const struct pkt *p, struct datagram *r)
{
	(void)c;
	(void)d;
	(void)p;
	r->len = 0;
	return 0;
}
