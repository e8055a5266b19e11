/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where flows of the guest go, as a table, and where errors come from */

#include "fwd.h"

#include <stdio.h>

#include "tap.h"

static struct conf conf;
static struct dns dns;

static union inany addr(const char *s)
{
	union inany a = { 0 };

	if (s && !inany_pton(s, &a))
		printf("# bad address %s\n", s);
	return a;
}

static void setup(void)
{
	conf = (struct conf){ 0 };
	conf.ip4.enabled = conf.ip6.enabled = true;
	conf.ip4.addr = addr("198.51.100.5");
	conf.ip4.prefix_len = 24;
	conf.ip4.gw = addr("198.51.100.1");
	conf.ip6.addr = addr("2001:db8::5");
	conf.ip6.gw = addr("2001:db8::1");
	conf.ip6.our_ll = addr("fe80::1");
}

/* Fields that matter: what is dialled, with which protocol, and what comes out;
 * NULL: refused */
static const struct {
	const char *dial;
	uint8_t proto;
	uint16_t port;
	const char *to, *from, *name;
} table[] = {
	{ "203.0.113.9", 6, 80, "203.0.113.9", "0.0.0.0", "a stranger, IPv4" },
	{ "2001:db8:9::9", 17, 53, "2001:db8:9::9", "::", "a stranger, IPv6" },
	{ "198.51.100.1", 6, 80, "127.0.0.1", "127.0.0.1",
	  "the gateway is the host's loopback, IPv4" },
	{ "2001:db8::1", 6, 80, "::1", "::1",
	  "the gateway is the host's loopback, IPv6" },
	{ "fe80::1", 17, 80, "::1", "::1", "so is our link-local address" },
	{ "fe80::2", 17, 80, "fe80::2", "::", "another link-local one is not" },
	{ "0.0.0.0", 6, 80, NULL, NULL, "0.0.0.0 is nobody" },
	{ "::", 6, 80, NULL, NULL, ":: is nobody" },
	{ "127.0.0.1", 6, 80, NULL, NULL, "our loopback is not the guest's" },
	{ "::1", 6, 80, NULL, NULL, "nor is it with IPv6" },
	{ "224.0.0.251", 17, 5353, NULL, NULL, "no flow to a group, IPv4" },
	{ "ff02::fb", 17, 5353, NULL, NULL, "no flow to a group, IPv6" },
	{ "255.255.255.255", 17, 67, NULL, NULL, "no flow to broadcast" },
	{ "198.51.100.255", 17, 9, NULL, NULL, "nor to that of the subnet" },
	{ "198.51.101.255", 17, 9, "198.51.101.255", "0.0.0.0",
	  "what may be that of another subnet is a host" },
	{ "203.0.113.9", 6, 0, NULL, NULL, "port 0 can't be dialled" },
	{ "203.0.113.9", 1, 0, "203.0.113.9", "0.0.0.0", "ICMP has no port" },
};

static bool dial(const char *to, uint8_t proto, uint16_t port,
		 struct flowside *host)
{
	struct flowside tap = {
		.oaddr = addr(to), .oport = port, .eport = 33000,
	};

	tap.eaddr = addr(inany_is_v4(&tap.oaddr) ? "198.51.100.5" :
						   "2001:db8::5");
	return fwd_from_tap(&conf, &dns, proto, &tap, host);
}

static bool goes_to(const char *to, const char *want)
{
	union inany a = addr(want);
	struct flowside host;

	return dial(to, 6, 80, &host) && inany_equals(&host.eaddr, &a);
}

static void test_table(void)
{
	unsigned i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		union inany to = addr(table[i].to), from = addr(table[i].from);
		struct flowside host = { 0 };
		bool ok = dial(table[i].dial, table[i].proto, table[i].port,
			       &host);

		if (!table[i].to)
			ok(!ok, table[i].name);
		else
			ok(ok && inany_equals(&host.eaddr, &to) &&
			   inany_equals(&host.oaddr, &from) &&
			   host.eport == table[i].port && host.oport == 33000,
			   table[i].name);
	}
}

static void test_map(void)
{
	struct flowside host;

	conf.no_map_gw = true;
	ok(goes_to("198.51.100.1", "198.51.100.1"),
	   "without mapping the gateway is the gateway");
	ok(!dial("fe80::1", 6, 80, &host), "and our own address leads nowhere");

	conf.no_map_gw = false;
	conf.ip4.map_host_loopback = addr("192.0.2.1");
	ok(goes_to("192.0.2.1", "127.0.0.1"), "another address may be mapped");
	ok(goes_to("198.51.100.1", "198.51.100.1"),
	   "then the gateway is not");

	conf.ip6.map_host_loopback = conf.ip6.gw;
	ok(goes_to("fe80::1", "::1"),
	   "our link-local address goes with the gateway's");
	conf.ip4.enabled = false;
	ok(!dial("203.0.113.9", 6, 80, &host), "a family that is off is refused");
}

static const union inany *error_src(const char *dialled, const char *offender)
{
	static struct flowside tap, host;
	static union inany from;
	struct guest g = { 0 };

	tap = (struct flowside){ .oaddr = addr(dialled), .oport = 1 };
	tap.eaddr = conf.ip4.addr;
	from = addr(offender);
	if (!fwd_from_tap(&conf, &dns, 17, &tap, &host))
		return NULL;
	return fwd_error_src(&conf, &g, &tap, &host, &from);
}

static bool error_from(const char *dialled, const char *offender,
		       const char *want)
{
	const union inany *src = error_src(dialled, offender);
	union inany a = addr(want);

	return src && inany_equals(src, &a);
}

static void test_errors(void)
{
	ok(error_from("203.0.113.9", "203.0.113.9", "203.0.113.9"),
	   "what the peer reports comes from the peer");
	ok(error_from("203.0.113.9", "192.0.2.77", "192.0.2.77"),
	   "what a router reports comes from the router");
	ok(error_from("198.51.100.1", "127.0.0.1", "198.51.100.1"),
	   "what the loopback reports comes from the gateway");
	ok(error_from("203.0.113.9", "198.51.100.5", "198.51.100.1"),
	   "nothing comes from the guest's own address");
	ok(error_from("203.0.113.9", NULL, "198.51.100.1"),
	   "what nobody reports comes from the gateway");
	conf.ip4.gw = addr(NULL);
	ok(error_from("203.0.113.9", NULL, "203.0.113.9"),
	   "or, without one, from the peer");
}

int main(void)
{
	setup();
	test_table();
	test_map();
	setup();
	test_errors();
	return done();
}
