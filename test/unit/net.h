/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * net.h - Addresses, and the network of a host as unit tests have it
 */

#ifndef TEST_NET_H
#define TEST_NET_H

#include "hostnet.h"
#include "inany.h"
#include "tap.h"

/* addr() - The address in @s; unset if @s is NULL or empty */
static inline union inany addr(const char *s)
{
	union inany a = { 0 };

	if (s && *s && !inany_pton(s, &a))
		ok(false, "an address of the test is valid");
	return a;
}

/* both_families() - A host with an address and a gateway of each family */
static inline struct hostnet both_families(void)
{
	return (struct hostnet){
		.mtu = 1500,
		.ip4 = { .enabled = true, .addr = addr("198.51.100.5"),
			 .prefix_len = 24, .gw = addr("198.51.100.1") },
		.ip6 = { .enabled = true, .addr = addr("2001:db8::5"),
			 .prefix_len = 64, .gw = addr("2001:db8::1"),
			 .our_ll = addr("fe80::1") },
	};
}

#endif /* TEST_NET_H */
