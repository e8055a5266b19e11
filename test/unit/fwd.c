/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where flows of each side go, as tables, and where errors come from */

#include "fwd.h"

#include <stdio.h>
#include <string.h>

#include "net.h"
#include "tap.h"

static struct conf conf;
static struct hostnet hostnet;
static struct dns dns;

static void setup(void)
{
	conf = (struct conf){ 0 };
	hostnet = both_families();
}

/* Dialled address and protocol, and the expected destination; NULL if refused */
static const struct {
	const char *dial;
	uint8_t proto;
	uint16_t port;
	const char *to, *from, *name;
} table[] = {
	{ "203.0.113.9", 6, 80, "203.0.113.9", "0.0.0.0",
	  "another host keeps its address, IPv4" },
	{ "2001:db8:9::9", 17, 53, "2001:db8:9::9", "::",
	  "another host keeps its address, IPv6" },
	{ "198.51.100.1", 6, 80, "127.0.0.1", "127.0.0.1",
	  "the gateway is the host's loopback, IPv4" },
	{ "2001:db8::1", 6, 80, "::1", "::1",
	  "the gateway is the host's loopback, IPv6" },
	{ "fe80::1", 17, 80, "::1", "::1",
	  "our link-local address is the host's loopback" },
	{ "fe80::2", 17, 80, "fe80::2", "::",
	  "another link-local address keeps its address" },
	{ "0.0.0.0", 6, 80, NULL, NULL, "0.0.0.0 can't be dialled" },
	{ "::", 6, 80, NULL, NULL, ":: can't be dialled" },
	{ "127.0.0.1", 6, 80, NULL, NULL, "127.0.0.1 can't be dialled" },
	{ "::1", 6, 80, NULL, NULL, "::1 can't be dialled" },
	{ "224.0.0.251", 17, 5353, NULL, NULL,
	  "an IPv4 group can't be dialled" },
	{ "ff02::fb", 17, 5353, NULL, NULL, "an IPv6 group can't be dialled" },
	{ "255.255.255.255", 17, 67, NULL, NULL, "broadcast can't be dialled" },
	{ "198.51.100.255", 17, 9, NULL, NULL,
	  "broadcast of the guest's subnet can't be dialled" },
	{ "198.51.101.255", 17, 9, "198.51.101.255", "0.0.0.0",
	  "the last address of another subnet may be a host" },
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
	return fwd_from_tap(&conf, &hostnet, &dns, proto, &tap, host);
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

/* -a may give the guest the last address of its network */
static void test_broadcast_as_address(void)
{
	union inany last = addr("198.51.100.255"), own = hostnet.ip4.addr;

	ok(fwd_is_broadcast(&hostnet, &last),
	   "the last address of the guest's network is a broadcast");
	hostnet.ip4.addr = last;
	ok(!fwd_is_broadcast(&hostnet, &last),
	   "the guest's own address is no broadcast");
	hostnet.ip4.addr = own;
}

static void test_map(void)
{
	struct flowside host;

	conf.no_map_gw = true;
	ok(goes_to("198.51.100.1", "198.51.100.1"),
	   "with --no-map-gw the gateway keeps its address");
	ok(!dial("fe80::1", 6, 80, &host),
	   "with --no-map-gw our link-local address leads nowhere");

	conf.no_map_gw = false;
	hostnet.ip4.map_host_loopback = addr("192.0.2.1");
	ok(goes_to("192.0.2.1", "127.0.0.1"),
	   "--map-host-loopback maps another address");
	ok(goes_to("198.51.100.1", "198.51.100.1"),
	   "with --map-host-loopback the gateway keeps its address");

	hostnet.ip6.map_host_loopback = hostnet.ip6.gw;
	ok(goes_to("fe80::1", "::1"),
	   "our link-local address is mapped with the gateway's");
	hostnet.ip4.enabled = false;
	ok(!dial("203.0.113.9", 6, 80, &host),
	   "a family that is off is refused");
}

static const union inany *error_src(const char *dialled, const char *offender)
{
	static struct flowside tap, host;
	static union inany from;
	struct guest g = { 0 };

	tap = (struct flowside){ .oaddr = addr(dialled), .oport = 1 };
	tap.eaddr = hostnet.ip4.addr;
	from = addr(offender);
	if (!fwd_from_tap(&conf, &hostnet, &dns, 17, &tap, &host))
		return NULL;
	return fwd_error_src(&hostnet, &g, &tap, &host, &from);
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
	   "an error from the peer has the peer's address");
	ok(error_from("203.0.113.9", "192.0.2.77", "192.0.2.77"),
	   "an error from a router has the router's address");
	ok(error_from("198.51.100.1", "127.0.0.1", "198.51.100.1"),
	   "an error from loopback has the gateway's address");
	ok(error_from("203.0.113.9", "198.51.100.5", "198.51.100.1"),
	   "an error from the guest's own address has the gateway's");
	ok(error_from("203.0.113.9", NULL, "198.51.100.1"),
	   "an error without a sender has the gateway's address");
	hostnet.ip4.gw = addr(NULL);
	ok(error_from("203.0.113.9", NULL, "203.0.113.9"),
	   "without a gateway, such an error has the dialled address");
}

/* Names: configuration, dialled address, and expected destination */
enum {
	FORWARD = 1, HOST = 2, LOCAL_RESOLVER = 4, GW_RESOLVER = 8,
	MAP_GUEST = 16, NO_MAP = 32, OTHER_FORWARD = 64, RESOLVER4 = 128,
	FORWARD6 = 256, IP6_OFF = 512, RESOLVER6 = 1024, VIA6 = 2048,
};

static const struct {
	unsigned set;
	const char *dial;
	uint8_t proto;
	uint16_t port;
	const char *to, *from, *name;
} names[] = {
	{ FORWARD, "169.254.1.1", 17, 53, "203.0.113.53", "0.0.0.0",
	  "dns_forward is the first resolver, over UDP" },
	{ FORWARD, "169.254.1.1", 6, 53, "203.0.113.53", "0.0.0.0",
	  "dns_forward is the first resolver, over TCP" },
	{ FORWARD, "169.254.1.1", 6, 853, "203.0.113.53", "0.0.0.0",
	  "dns_forward is the first resolver, over TLS" },
	{ FORWARD, "2001:db8::53", 17, 853, "2001:db8:9::53", "::",
	  "dns_forward is the first resolver, over IPv6" },
	{ FORWARD, "169.254.1.1", 17, 80, NULL, NULL,
	  "other ports of a link-local dns_forward lead nowhere" },
	{ FORWARD, "169.254.1.1", 1, 53, NULL, NULL,
	  "a ping to a link-local dns_forward leads nowhere" },
	{ FORWARD, "2001:db8::53", 6, 443, "2001:db8::53", "::",
	  "other ports of a global dns_forward lead to that address" },
	{ FORWARD | HOST, "169.254.1.1", 17, 53, "203.0.113.54", "0.0.0.0",
	  "dns_host comes before the resolver" },
	{ OTHER_FORWARD | HOST, "169.254.1.1", 17, 53, "2001:db8:9::54", "::",
	  "dns_host of the other family will do" },
	{ OTHER_FORWARD | HOST | RESOLVER4, "169.254.1.1", 6, 53,
	  "2001:db8:9::54", "::",
	   "dns_host of the other family comes before a resolver" },
	{ OTHER_FORWARD | HOST | RESOLVER4 | FORWARD6, "169.254.1.1", 6, 853,
	  "203.0.113.53", "0.0.0.0",
	   "a resolver comes before dns_host of a family with dns_forward" },
	{ OTHER_FORWARD | HOST | FORWARD6, "169.254.1.1", 17, 53,
	  "2001:db8:9::54", "::",
	"dns_host of a family with dns_forward will do without a resolver" },
	{ OTHER_FORWARD | HOST | IP6_OFF, "169.254.1.1", 17, 53, NULL, NULL,
	  "dns_host of a family that is off will not do" },
	{ OTHER_FORWARD | RESOLVER6, "169.254.1.1", 17, 53, "2001:db8:9::53",
	  "::", "a resolver of the other family will do" },
	{ OTHER_FORWARD | RESOLVER6, "169.254.1.1", 17, 80, NULL, NULL,
	  "a resolver of the other family is for DNS ports alone" },
	{ OTHER_FORWARD, "169.254.1.1", 17, 53, NULL, NULL,
	  "dns_forward without a server leads nowhere" },
	{ VIA6, "198.51.100.1", 17, 53, "::1", "::1",
	  "the IPv4 gateway may stand for a resolver on ::1" },
	{ FORWARD | LOCAL_RESOLVER, "169.254.1.1", 17, 53, "127.0.0.53",
	  "127.0.0.1", "a resolver on loopback is dialled from there" },
	{ LOCAL_RESOLVER, "198.51.100.1", 17, 53, "127.0.0.53", "127.0.0.1",
	  "the gateway stands for the resolver on loopback" },
	{ LOCAL_RESOLVER, "198.51.100.1", 6, 80, "127.0.0.1", "127.0.0.1",
	  "the gateway stands for 127.0.0.1 on other ports" },
	{ LOCAL_RESOLVER, "198.51.100.1", 1, 53, "127.0.0.1", "127.0.0.1",
	  "the gateway stands for 127.0.0.1 for a ping" },
	{ LOCAL_RESOLVER | NO_MAP, "198.51.100.1", 17, 53, "198.51.100.1",
	  "0.0.0.0",
	   "with --no-map-gw a query to the gateway goes to the gateway" },
	{ GW_RESOLVER, "198.51.100.1", 17, 53, "198.51.100.1", "0.0.0.0",
	  "a query to a gateway that is a resolver goes to the gateway" },
	{ GW_RESOLVER, "198.51.100.1", 17, 80, "127.0.0.1", "127.0.0.1",
	  "such a gateway stands for loopback on other ports" },
	{ FORWARD, "203.0.113.53", 17, 53, "203.0.113.53", "0.0.0.0",
	  "a query to the resolver's own address goes there" },
	{ 0, "198.51.100.1", 17, 53, "127.0.0.1", "127.0.0.1",
	  "without a resolver a query to the gateway goes to loopback" },
	{ MAP_GUEST, "192.0.2.9", 6, 80, "198.51.100.5", "0.0.0.0",
	  "map_guest_addr is the host's address" },
	{ MAP_GUEST, "192.0.2.9", 1, 0, "198.51.100.5", "0.0.0.0",
	  "map_guest_addr is the host's address for a ping" },
	{ MAP_GUEST, "2001:db8::9", 17, 53, NULL, NULL,
	  "map_guest_addr leads nowhere if the host has no address" },
};

static bool is_ours(const char *s)
{
	union inany a = addr(s);

	return fwd_is_ours(&conf, &hostnet, &a);
}

static void to_be_ours(void)
{
	ok(is_ours("169.254.1.1") && is_ours("2001:db8::53"),
	   "dns_forward is ours");
	ok(is_ours("192.0.2.9"), "map_guest_addr is ours");
	ok(!is_ours("203.0.113.53"), "the address of the resolver is not ours");
}

static void set_names(unsigned set)
{
	setup();
	dns = (struct dns){ 0 };
	if (set & (FORWARD | OTHER_FORWARD))
		conf.ip4.dns_forward = addr("169.254.1.1");
	if (set & FORWARD) {
		conf.ip6.dns_forward = addr("2001:db8::53");
		dns.host4 = addr("203.0.113.53");
		dns.host6 = addr("2001:db8:9::53");
	}
	if (set & HOST && set & FORWARD)
		conf.ip4.dns_host = addr("203.0.113.54");
	if (set & HOST && set & OTHER_FORWARD)
		conf.ip6.dns_host = addr("2001:db8:9::54");
	if (set & FORWARD6)
		conf.ip6.dns_forward = addr("2001:db8::53");
	if (set & RESOLVER4)
		dns.host4 = dns.host6 = addr("203.0.113.53");
	if (set & RESOLVER6)
		dns.host4 = dns.host6 = addr("2001:db8:9::53");
	if (set & VIA6)
		dns.via4 = addr("::1");
	hostnet.ip6.enabled = !(set & IP6_OFF);
	if (set & LOCAL_RESOLVER)
		dns.host4 = dns.via4 = addr("127.0.0.53");
	if (set & GW_RESOLVER)
		dns.host4 = dns.via4 = hostnet.ip4.gw;
	conf.no_map_gw = set & NO_MAP;
	if (set & MAP_GUEST) {
		hostnet.ip4.map_guest_addr = addr("192.0.2.9");
		hostnet.ip4.host_addr = addr("198.51.100.5");
		hostnet.ip6.map_guest_addr = addr("2001:db8::9");
	}
}

static void test_names(void)
{
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		union inany to = addr(names[i].to), from = addr(names[i].from);
		struct flowside host = { 0 };
		bool ok;

		set_names(names[i].set);
		ok = dial(names[i].dial, names[i].proto, names[i].port, &host);
		if (!names[i].to)
			ok(!ok, names[i].name);
		else
			ok(ok && inany_equals(&host.eaddr, &to) &&
			   inany_equals(&host.oaddr, &from) &&
			   host.eport == names[i].port, names[i].name);
	}
	set_names(FORWARD | MAP_GUEST);
	to_be_ours();
}

static void test_outbound(void)
{
	union inany out = addr("198.51.100.77"), any = addr("::");
	struct flowside host;

	setup();
	conf.ip4.outbound_addr = out;
	ok(dial("203.0.113.9", 6, 80, &host) && inany_equals(&host.oaddr, &out),
	   "sockets are bound to the outbound address");
	ok(dial("2001:db8:9::9", 6, 80, &host) &&
	   inany_equals(&host.oaddr, &any),
	   "sockets of the other family are not bound to it");
	ok(dial("198.51.100.1", 6, 80, &host) &&
	   inany_is_loopback(&host.oaddr),
	   "sockets on loopback are not bound to it");
}

/* Inbound: known addresses and options, source, and expected destination */
enum {
	SEEN = 1, SEEN_LL = 2, PASST = 4, NO_SPLICE = 8, SPLICE_ONLY = 16,
	LO_TO_LO = 32, MAPS = 64, NO_ADDR = 128, NO_GW = 256, GW_LL = 512,
	OFF6 = 1024, LOCAL6 = 2048, NO4 = 4096, SECOND = 8192, OTHER = 16384,
};

static const struct {
	unsigned set;
	const char *from;
	enum pif pif;
	const char *seen_from, *to, *name;
} inbound[] = {
	{ 0, "203.0.113.9", PIF_TAP, "203.0.113.9", "198.51.100.5",
	  "a peer is seen by its address, IPv4" },
	{ 0, "2001:db8:9::9", PIF_TAP, "2001:db8:9::9", "2001:db8::5",
	  "a peer is seen by its address, IPv6" },
	{ SEEN, "203.0.113.9", PIF_TAP, "203.0.113.9", "198.51.100.6",
	  "a connection goes to the known address, IPv4" },
	{ SEEN, "2001:db8:9::9", PIF_TAP, "2001:db8:9::9", "2001:db8::6",
	  "a connection goes to the known address, IPv6" },
	{ SEEN | SEEN_LL, "fe80::99", PIF_TAP, "fe80::99", "fe80::6",
	  "a link-local source goes to the link-local address" },
	{ SEEN, "fe80::99", PIF_TAP, "fe80::99", "2001:db8::6",
	  "without one, a link-local source goes to the global address" },
	{ 0, "127.0.0.1", PIF_SPLICE, "0.0.0.0", "198.51.100.5",
	  "loopback bypasses the tap, IPv4" },
	{ 0, "::1", PIF_SPLICE, "::", "2001:db8::5",
	  "loopback bypasses the tap, IPv6" },
	{ SEEN, "127.0.0.1", PIF_SPLICE, "0.0.0.0", "198.51.100.6",
	  "past the tap a connection goes to the known address, IPv4" },
	{ SEEN, "::1", PIF_SPLICE, "::", "2001:db8::6",
	  "past the tap a connection goes to the known address, IPv6" },
	{ SEEN | NO_ADDR, "127.0.0.1", PIF_SPLICE, "0.0.0.0", "198.51.100.6",
	  "past the tap the known address counts without an assigned one" },
	{ NO_ADDR, "127.0.0.1", PIF_NONE, NULL, NULL,
	  "without an address loopback leads nowhere" },
	{ LO_TO_LO, "127.0.0.1", PIF_SPLICE, "0.0.0.0", "127.0.0.1",
	  "with --host-lo-to-ns-lo loopback goes to loopback" },
	{ SPLICE_ONLY | NO_ADDR, "::1", PIF_SPLICE, "::", "::1",
	  "without a tap and an address loopback goes to loopback" },
	{ SPLICE_ONLY, "203.0.113.9", PIF_NONE, NULL, NULL,
	  "without a tap connections of other hosts lead nowhere" },
	{ NO_SPLICE, "127.0.0.1", PIF_TAP, "198.51.100.1", "198.51.100.5",
	  "without the bypass, loopback is the gateway, IPv4" },
	{ NO_SPLICE, "::1", PIF_TAP, "2001:db8::1", "2001:db8::5",
	  "without the bypass, loopback is the gateway, IPv6" },
	{ PASST, "127.0.0.1", PIF_TAP, "198.51.100.1", "198.51.100.5",
	  "loopback is the gateway for a virtual machine" },
	{ PASST | GW_LL | SEEN | SEEN_LL, "::1", PIF_TAP, "fe80::ff",
	  "fe80::6", "a link-local gateway talks to the link-local address" },
	{ PASST | NO_GW, "::1", PIF_TAP, "fe80::1", "2001:db8::5",
	  "without a gateway loopback is our link-local address" },
	{ PASST | NO_GW, "127.0.0.1", PIF_NONE, NULL, NULL,
	  "without a gateway IPv4 loopback leads nowhere" },
	{ PASST | MAPS, "127.0.0.1", PIF_TAP, "192.0.2.1", "198.51.100.5",
	  "map_host_loopback comes before the gateway" },
	{ MAPS, "198.51.100.5", PIF_TAP, "192.0.2.2", "198.51.100.5",
	  "the guest's own address is seen as map_guest_addr" },
	{ 0, "198.51.100.5", PIF_TAP, "198.51.100.1", "198.51.100.5",
	  "without map_guest_addr the guest's own address is as loopback" },
	{ SEEN, "198.51.100.6", PIF_TAP, "198.51.100.1", "198.51.100.6",
	  "a known address of the guest is as loopback" },
	{ SECOND, "198.51.100.7", PIF_TAP, "198.51.100.1", "198.51.100.5",
	  "another address that was copied is as loopback" },
	{ SECOND | MAPS, "198.51.100.7", PIF_TAP, "192.0.2.2", "198.51.100.5",
	  "another address that was copied is seen as map_guest_addr" },
	{ SECOND | OTHER, "198.51.100.7", PIF_TAP, "198.51.100.7",
	  "198.51.100.5", "an address that was not copied is seen as it is" },
	{ NO_ADDR, "203.0.113.9", PIF_NONE, NULL, NULL,
	  "without an address of the guest a connection leads nowhere" },
	{ OFF6, "2001:db8:9::9", PIF_NONE, NULL, NULL,
	  "a peer of a family that is off leads nowhere" },
	{ OFF6, "::1", PIF_NONE, NULL, NULL,
	  "loopback of a family that is off leads nowhere" },
	{ LOCAL6, "::1", PIF_SPLICE, "0.0.0.0", "198.51.100.5",
	  "in local mode IPv6 loopback goes to the IPv4 address" },
	{ LOCAL6 | NO4, "::1", PIF_NONE, NULL, NULL,
	  "in local mode without IPv4, IPv6 loopback leads nowhere" },
	{ LOCAL6 | SEEN_LL, "2001:db8:9::9", PIF_TAP, "2001:db8:9::9", "fe80::6",
	  "in local mode a peer goes to the known link-local address" },
	{ LOCAL6, "2001:db8:9::9", PIF_NONE, NULL, NULL,
	  "in local mode without a known address a peer leads nowhere" },
	{ 0, "0.0.0.0", PIF_NONE, NULL, NULL,
	  "an unspecified source leads nowhere" },
	{ 0, "224.0.0.1", PIF_NONE, NULL, NULL,
	  "a group as source leads nowhere" },
	{ 0, "198.51.100.255", PIF_NONE, NULL, NULL,
	  "broadcast as source leads nowhere" },
};

static void set_inbound(unsigned set, struct guest *g)
{
	const union inany unset = { 0 };

	setup();
	*g = (struct guest){ 0 };
	if (set & SEEN) {
		g->addr4 = addr("198.51.100.6");
		g->addr6 = addr("2001:db8::6");
	}
	if (set & SEEN_LL)
		g->addr6_ll = addr("fe80::6");
	conf.mode = set & PASST ? MODE_PASST : MODE_PASTA;
	conf.no_splice = set & NO_SPLICE;
	conf.splice_only = set & SPLICE_ONLY;
	conf.host_lo_to_ns_lo = set & LO_TO_LO;
	if (set & MAPS) {
		hostnet.ip4.map_host_loopback = addr("192.0.2.1");
		hostnet.ip4.map_guest_addr = addr("192.0.2.2");
	}
	if (set & SECOND) {
		conf.config_net = true;
		hostnet.ip4.naddrs = 2;
		hostnet.ip4.addrs[0].addr = hostnet.ip4.addr;
		hostnet.ip4.addrs[1].addr = addr("198.51.100.7");
	}
	conf.ip4.addr_given = set & OTHER;
	if (set & NO_ADDR)
		hostnet.ip4.addr = hostnet.ip6.addr = unset;
	if (set & NO_GW)
		hostnet.ip4.gw = hostnet.ip6.gw = unset;
	if (set & GW_LL)
		hostnet.ip6.gw = addr("fe80::ff");
	if (set & LOCAL6)
		hostnet.ip6.addr = unset;
	hostnet.ip6.enabled = !(set & OFF6);
	hostnet.ip4.enabled = !(set & NO4);
}

static void test_inbound(void)
{
	const struct fwd_rule r = { .first = 8000, .last = 8010, .to = 80 };
	unsigned i;

	for (i = 0; i < sizeof(inbound) / sizeof(inbound[0]); i++) {
		struct flowside host = {
			.eaddr = addr(inbound[i].from), .eport = 33000,
			.oport = 8003,
		}, tgt = { 0 };
		union inany from = addr(inbound[i].seen_from);
		union inany to = addr(inbound[i].to);
		struct guest g;
		enum pif pif;

		set_inbound(inbound[i].set, &g);
		pif = fwd_from_host(&conf, &hostnet, &g, true, &r, &host, &tgt);
		if (inbound[i].pif == PIF_NONE)
			ok(pif == PIF_NONE, inbound[i].name);
		else
			ok(pif == inbound[i].pif && tgt.eport == 83 &&
			   inany_equals(&tgt.oaddr, &from) &&
			   inany_equals(&tgt.eaddr, &to) &&
			   tgt.oport == (pif == PIF_TAP ? 33000 : 0),
			   inbound[i].name);
	}
}

static void test_no_bypass(void)
{
	const struct fwd_rule r = { .first = 80, .last = 80, .to = 80 };
	const struct flowside host = {
		.eaddr = addr("127.0.0.1"), .eport = 33000,
		.oaddr = addr("127.0.0.1"), .oport = 80,
	};
	struct flowside tgt;
	struct guest g;

	set_inbound(0, &g);
	is(fwd_from_host(&conf, &hostnet, &g, true, &r, &host, &tgt),
	   PIF_SPLICE, "a local connection bypasses the tap");
	is(fwd_from_host(&conf, &hostnet, &g, false, &r, &host, &tgt),
	   PIF_TAP, "while the namespace has no helper, it uses the tap");
}

/* From the namespace to the host: dialled address, and expected target */
enum { GIVEN = 1, LOCAL_MODE = 2, OFF4 = 4, NO_HOST = 8 };

static const struct {
	unsigned set;
	const char *dialled, *to, *name;
} outbound[] = {
	{ 0, "127.0.0.1", "127.0.0.1",
	  "from the namespace 127.0.0.1 is the host's 127.0.0.1" },
	{ 0, "127.0.0.53", "127.0.0.53",
	  "from the namespace each loopback address is itself" },
	{ 0, "::1", "::1", "from the namespace ::1 is the host's ::1" },
	{ 0, "198.51.100.5", "198.51.100.5",
	  "from the namespace an address of the host is itself" },
	{ 0, "198.51.100.8", "198.51.100.8",
	  "from the namespace a further address of the host is itself" },
	{ GIVEN, "198.51.100.5", "203.0.113.2",
	  "an assigned address that is not the host's is the host's address" },
	{ GIVEN | NO_HOST, "198.51.100.5", "127.0.0.1",
	  "without an address of the host it is the host's loopback" },
	{ LOCAL_MODE | NO_HOST, "198.51.100.5", "127.0.0.1",
	  "in local mode it is the host's loopback" },
	{ 0, "fe80::5", "2001:db8::2",
	  "from the namespace a link-local address is the host's address" },
	{ 0, NULL, "127.0.0.1",
	  "from the namespace an unknown address is loopback" },
	{ 0, "224.0.0.1", NULL, "from the namespace a group leads nowhere" },
	{ 0, "198.51.100.255", NULL,
	  "from the namespace broadcast leads nowhere" },
	{ OFF4, "127.0.0.1", NULL,
	  "from the namespace a family that is off leads nowhere" },
};

static void set_outbound(unsigned set)
{
	setup();
	hostnet.ip4.ifindex = hostnet.ip6.ifindex = set & LOCAL_MODE ? 0 : 2;
	conf.ip4.addr_given = conf.ip6.addr_given = set & GIVEN;
	hostnet.ip4.enabled = !(set & OFF4);
	if (set & NO_HOST)
		return;
	hostnet.ip4.host_addr = addr("203.0.113.2");
	hostnet.ip6.host_addr = addr("2001:db8::2");
}

static void test_from_ns(void)
{
	const struct fwd_rule r = { .first = 80, .last = 90, .to = 8080 };
	unsigned i;

	for (i = 0; i < sizeof(outbound) / sizeof(outbound[0]); i++) {
		struct flowside host = { 0 }, ns = {
			.oaddr = addr(outbound[i].dialled), .oport = 81,
			.eaddr = addr("198.51.100.5"), .eport = 33000,
		};
		union inany to = addr(outbound[i].to);
		bool ok;

		if (outbound[i].dialled && !inany_is_v4(&ns.oaddr))
			ns.eaddr = addr("2001:db8::5");
		set_outbound(outbound[i].set);
		ok = fwd_from_ns(&conf, &hostnet, &r, &ns, &host);
		if (!outbound[i].to)
			ok(!ok, outbound[i].name);
		else
			ok(ok && inany_equals(&host.eaddr, &to) &&
			   host.eport == 8081 && !host.oport &&
			   inany_is_loopback(&host.oaddr) ==
			   inany_is_loopback(&to), outbound[i].name);
	}
}

/* With a target address, as in the table before */
static const struct {
	unsigned set;
	const char *target, *from;
	enum pif pif;
	const char *seen_from, *name;
} addressed[] = {
	{ 0, "192.0.2.80", "203.0.113.9", PIF_TAP, "203.0.113.9",
	  "a peer gets to the target address, IPv4" },
	{ 0, "2001:db8:80::80", "2001:db8:9::9", PIF_TAP, "2001:db8:9::9",
	  "a peer gets to the target address, IPv6" },
	{ PASST | SEEN, "192.0.2.80", "203.0.113.9", PIF_TAP, "203.0.113.9",
	  "the target address comes before the known address" },
	{ 0, "192.0.2.80", "127.0.0.1", PIF_TAP, "198.51.100.1",
	  "loopback goes over the tap to an address that is not the guest's" },
	{ 0, "2001:db8:80::80", "::1", PIF_TAP, "2001:db8::1",
	  "loopback goes over the tap to an address that is not the guest's, "
	  "IPv6" },
	{ LO_TO_LO, "192.0.2.80", "127.0.0.1", PIF_TAP, "198.51.100.1",
	  "--host-lo-to-ns-lo is not for a target address" },
	{ MAPS, "192.0.2.80", "127.0.0.1", PIF_TAP, "192.0.2.1",
	  "the target sees loopback as map_host_loopback" },
	{ MAPS, "192.0.2.80", "198.51.100.5", PIF_TAP, "192.0.2.2",
	  "the target sees the guest's own address as map_guest_addr" },
	{ NO_ADDR, "192.0.2.80", "203.0.113.9", PIF_TAP, "203.0.113.9",
	  "a target address works without an address of the guest" },
	{ 0, "198.51.100.5", "127.0.0.1", PIF_SPLICE, "0.0.0.0",
	  "loopback bypasses the tap to the guest's address" },
	{ SECOND, "198.51.100.7", "127.0.0.1", PIF_SPLICE, "0.0.0.0",
	  "loopback bypasses the tap to another address of the guest" },
	{ SECOND | OTHER, "198.51.100.7", "127.0.0.1", PIF_TAP, "198.51.100.1",
	  "an address that was not copied is not the guest's" },
	{ 0, "198.51.100.5", "203.0.113.9", PIF_TAP, "203.0.113.9",
	  "a peer gets to the guest's address over the tap" },
	{ NO_SPLICE, "198.51.100.5", "127.0.0.1", PIF_TAP, "198.51.100.1",
	  "without the bypass, loopback gets to the guest's address, too" },
	{ 0, "fe80::80", "::1", PIF_TAP, "2001:db8::1",
	  "no bypass leads to a link-local address" },
	{ GW_LL, "2001:db8:80::80", "::1", PIF_SPLICE, "::",
	  "loopback that would be seen as link-local bypasses the tap" },
	{ 0, "2001:db8:80::80", "fe80::99", PIF_SPLICE, "::",
	  "a link-local peer bypasses the tap to an address behind the guest" },
	{ GW_LL | NO_SPLICE, "2001:db8:80::80", "::1", PIF_TAP, "fe80::ff",
	  "without the bypass it is seen as link-local" },
	{ 0, "127.0.0.9", "127.0.0.1", PIF_SPLICE, "0.0.0.0",
	  "loopback gets to a loopback address" },
	{ 0, "::1", "2001:db8:9::9", PIF_SPLICE, "::",
	  "a peer gets to a loopback address past the tap" },
	{ SPLICE_ONLY, "127.0.0.9", "203.0.113.9", PIF_NONE, NULL,
	  "with --splice-only a peer gets to no loopback address" },
	{ SPLICE_ONLY, "192.0.2.80", "127.0.0.1", PIF_SPLICE, "0.0.0.0",
	  "with --splice-only loopback gets to any target address" },
	{ NO_SPLICE, "127.0.0.9", "127.0.0.1", PIF_NONE, NULL,
	  "without the bypass no connection gets to a loopback address" },
};

static void test_target_addresses(void)
{
	unsigned i;

	for (i = 0; i < sizeof(addressed) / sizeof(addressed[0]); i++) {
		struct fwd_rule r = { .first = 8000, .last = 8010, .to = 80,
				      .to_addr = addr(addressed[i].target) };
		struct flowside host = {
			.eaddr = addr(addressed[i].from), .eport = 33000,
			.oport = 8003,
		}, tgt = { 0 }, many[FWD_TARGETS];
		union inany from = addr(addressed[i].seen_from);
		struct guest g;
		enum pif pif;

		set_inbound(addressed[i].set, &g);
		host.oaddr = host.eaddr;
		pif = fwd_from_host(&conf, &hostnet, &g, true, &r, &host, &tgt);
		ok(pif == addressed[i].pif &&
		   (pif == PIF_NONE ||
		    (tgt.eport == 83 && inany_equals(&tgt.oaddr, &from) &&
		     inany_equals(&tgt.eaddr, &r.to_addr))),
		   addressed[i].name);
		is(fwd_targets(&conf, &hostnet, &g, &r, &host, many),
		   pif == PIF_SPLICE,
		   "a target address is the only one to try");
	}
	set_inbound(0, &(struct guest){ 0 });
}

/* Past the tap: source, dialled address, and expected targets in their order */
enum { FROM_NS = 1, LO = 2, NO_TAP = 4, NO_IP6 = 8 };

static const struct {
	unsigned set;
	const char *from, *dialled, *to[FWD_TARGETS], *name;
} targets[] = {
	{ 0, "127.0.0.1", "127.0.0.1", { "198.51.100.5", "2001:db8::5" },
	  "loopback has the known address of each family as targets" },
	{ 0, "127.0.0.1", "127.0.0.7", { "198.51.100.5", "2001:db8::5" },
	  "each loopback address has the known addresses as targets" },
	{ 0, "::1", "::1", { "2001:db8::5", "198.51.100.5" },
	  "the targets of ::1 begin with IPv6" },
	{ LO, "127.0.0.1", "127.0.0.7", { "127.0.0.7", "127.0.0.1", "::1" },
	  "the first target of loopback is the address that was dialled" },
	{ LO, "127.0.0.1", "127.0.0.1", { "127.0.0.1", "::1" },
	  "no target stands twice" },
	{ LO, "::1", "::1", { "::1", "127.0.0.1" },
	  "the targets of ::1 begin with ::1" },
	{ LO, "127.0.0.1", NULL, { "127.0.0.1" },
	  "without a known address the target is 127.0.0.1" },
	{ LO, "127.0.0.5", "198.51.100.5", { "127.0.0.1" },
	  "for another dialled address the target is 127.0.0.1" },
	{ LO | NO_IP6, "127.0.0.1", "127.0.0.7", { "127.0.0.7", "127.0.0.1" },
	  "no target is of a family that is off" },
	{ NO_TAP, "127.0.0.1", "127.0.0.7",
	  { "127.0.0.7", "127.0.0.1", "::1" },
	  "without a tap and an address the targets are loopback" },
	{ FROM_NS, "127.0.0.1", "127.0.0.7",
	  { "127.0.0.7", "127.0.0.1", "::1" },
	  "from the namespace the first target is the dialled address" },
	{ FROM_NS, "::1", "::1", { "::1", "127.0.0.1" },
	  "from the namespace the targets of ::1 begin with ::1" },
	{ FROM_NS, "198.51.100.5", "198.51.100.5", { "198.51.100.5" },
	  "an address of the host is tried alone" },
	{ 0, "203.0.113.9", "198.51.100.5", { NULL },
	  "a connection through the tap has no targets" },
};

static void test_targets(void)
{
	struct flowside t[FWD_TARGETS];
	unsigned i, k, n;

	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct fwd_rule r = {
			.from_ns = targets[i].set & FROM_NS,
			.first = 80, .last = 90, .to = 8080,
		};
		struct flowside ini = {
			.eaddr = addr(targets[i].from), .eport = 33000,
			.oaddr = addr(targets[i].dialled), .oport = 81,
		};
		struct guest g = { 0 };
		bool same = true;

		set_inbound(targets[i].set & LO ? LO_TO_LO : 0, &g);
		hostnet.ip4.ifindex = hostnet.ip6.ifindex = 2;
		hostnet.ip6.enabled = !(targets[i].set & NO_IP6);
		if (targets[i].set & NO_TAP) {
			conf.splice_only = true;
			hostnet.ip4.addr = hostnet.ip6.addr = addr(NULL);
		}
		n = fwd_targets(&conf, &hostnet, &g, &r, &ini, t);
		for (k = 0; k < FWD_TARGETS && targets[i].to[k]; k++) {
			union inany to = addr(targets[i].to[k]);

			same &= k < n && inany_equals(&t[k].eaddr, &to) &&
				t[k].eport == 8081 &&
				inany_is_v4(&t[k].oaddr) == inany_is_v4(&to);
		}
		ok(same && n == k, targets[i].name);
	}
}

static unsigned scope_of(const char *s)
{
	union inany a = addr(s);

	return fwd_scope(&hostnet, &dns, &a);
}

static void test_scope(void)
{
	setup();
	hostnet.ip6.ifindex = 2;
	dns = (struct dns){ .host6 = addr("fe80::53"), .scope6 = 7 };
	ok(!scope_of("2001:db8::9"), "global addresses have no scope");
	ok(!scope_of("169.254.1.1"), "IPv4 addresses have no scope");
	ok(scope_of("fe80::9") == 2,
	   "link-local addresses have the template interface");
	ok(scope_of("fe80::53") == 7,
	   "a link-local name server has its own interface");
	dns.scope6 = 0;
	ok(scope_of("fe80::53") == 2,
	   "without one, a name server has the template interface");
}

/* Source that the guest sees of an unasked datagram; NULL if it gets none */
static const char *shown_as(const char *from)
{
	static const struct guest nobody;
	static char buf[INANY_STRLEN];
	union inany peer = addr(from), shown;

	if (!fwd_to_guest(&conf, &hostnet, &dns, &nobody, &peer, &shown))
		return NULL;
	return inany_ntop(&shown, buf, sizeof(buf));
}

static bool is_shown_as(const char *from, const char *as)
{
	const char *got = shown_as(from);

	return got && as ? !strcmp(got, as) : got == as;
}

static void test_unasked(void)
{
	setup();
	ok(is_shown_as("203.0.113.9", "203.0.113.9"),
	   "a datagram of any peer is shown as it is");
	ok(is_shown_as("2001:db8:9::9", "2001:db8:9::9"),
	   "a datagram of any peer is shown as it is, IPv6");
	ok(is_shown_as("127.0.0.1", "198.51.100.1"),
	   "a datagram of the host's loopback is shown as the gateway's");
	ok(is_shown_as("198.51.100.5", "198.51.100.1"),
	   "a datagram of the guest's own address is shown as the gateway's");
	ok(is_shown_as("224.0.0.1", NULL), "no datagram comes from a group");
	conf.no_map_gw = true;
	ok(is_shown_as("127.0.0.1", NULL),
	   "without a way to the host's loopback, nothing comes from there");
	hostnet.ip4.map_host_loopback = addr("198.51.100.9");
	ok(is_shown_as("127.0.0.1", "198.51.100.9"),
	   "--map-host-loopback is shown for the loopback");
	conf.splice_only = true;
	ok(is_shown_as("203.0.113.9", NULL),
	   "with --splice-only nothing comes through the tap");
	setup();
}

int main(void)
{
	setup();
	test_table();
	test_broadcast_as_address();
	test_map();
	setup();
	test_errors();
	test_names();
	test_outbound();
	test_inbound();
	test_no_bypass();
	test_target_addresses();
	test_from_ns();
	test_targets();
	test_scope();
	test_unasked();
	return done();
}
