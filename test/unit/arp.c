/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests for all kinds of addresses, and whether they get a reply */

#include "arp.h"

#include <stdio.h>
#include <string.h>

#include "tap.h"

static const struct {
	const char *sender, *target;
	uint16_t op;
	bool reply;
	const char *name;
} table[] = {
	{ "198.51.100.5", "198.51.100.1", 1, true,
	  "a request for the gateway is answered" },
	{ "198.51.100.5", "198.51.100.77", 1, true,
	  "a request for any neighbour is answered" },
	{ "198.51.100.5", "203.0.113.1", 1, true,
	  "a request for an address off the subnet is answered" },
	{ "198.51.100.5", "198.51.100.5", 1, false,
	  "an announcement gets no reply" },
	{ "198.51.100.6", "198.51.100.5", 1, false,
	  "the assigned address is the guest's" },
	{ "198.51.100.5", "198.51.100.6", 1, false,
	  "the address last seen is the guest's" },
	{ "0.0.0.0", "198.51.100.5", 1, false,
	  "a probe finds the guest's own address free" },
	{ "0.0.0.0", "198.51.100.77", 1, false,
	  "a probe finds any other address free" },
	{ "0.0.0.0", "198.51.100.1", 1, true,
	  "a probe finds our address taken" },
	{ "198.51.100.5", "198.51.100.1", 2, false, "a reply gets no reply" },
	{ "198.51.100.5", "255.255.255.255", 1, false,
	  "a request for broadcast gets no reply" },
	{ "198.51.100.5", "198.51.100.255", 1, false,
	  "a request for the subnet's broadcast gets no reply" },
	{ "198.51.100.5", "224.0.0.1", 1, false,
	  "a request for a group gets no reply" },
	{ "198.51.100.5", "0.0.0.0", 1, false,
	  "a request for 0.0.0.0 gets no reply" },
	{ "198.51.100.5", "0.0.0.7", 1, false,
	  "a request for another address of 0.0.0.0/8 gets no reply" },
};

static const uint8_t guest_mac[6] = { 2, 0, 0, 0, 0, 5 };

static struct arp_msg message(const char *sender, const char *target,
			      uint16_t op)
{
	struct arp_msg m = {
		.htype = htons(1), .ptype = htons(0x0800), .hlen = 6, .plen = 4,
		.op = htons(op),
	};

	memcpy(m.sha, guest_mac, 6);
	inet_pton(AF_INET, sender, m.spa);
	inet_pton(AF_INET, target, m.tpa);
	return m;
}

int main(void)
{
	struct conf c = { .our_mac = CONF_MAC_DEFAULT };
	static struct hostnet net;
	struct guest g = { 0 };
	struct arp_msg q, r;
	unsigned i;

	net.ip4.enabled = true;
	net.ip4.prefix_len = 24;
	inany_pton("198.51.100.5", &net.ip4.addr);
	inany_pton("198.51.100.1", &net.ip4.gw);
	inany_pton("198.51.100.6", &g.addr4);

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		q = message(table[i].sender, table[i].target, table[i].op);
		ok(arp_reply(&c, &net, &g, &q, &r) == table[i].reply,
		   table[i].name);
	}

	q = message("198.51.100.5", "198.51.100.1", 1);
	ok(arp_reply(&c, &net, &g, &q, &r) && r.op == htons(2) &&
	   !memcmp(r.sha, c.our_mac, 6) && !memcmp(r.spa, q.tpa, 4) &&
	   !memcmp(r.tha, guest_mac, 6) && !memcmp(r.tpa, q.spa, 4),
	   "the reply has our MAC address and goes to the sender");
	net.ip4.enabled = false;
	ok(!arp_reply(&c, &net, &g, &q, &r), "without IPv4 there is no reply");
	return done();
}
