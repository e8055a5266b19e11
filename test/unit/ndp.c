/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Solicitations, valid and not, and the contents of the answers */

#include "ndp.h"

#include <stdio.h>
#include <string.h>

#include "net.h"
#include "tap.h"

#define GUEST	"2001:db8::5"
#define GUEST_LL "fe80::5"
#define OUR_LL	"fe80::1"
#define GW	"2001:db8::1"

static const uint8_t guest_mac[6] = { 2, 0, 0, 0, 0, 5 };
static struct conf conf;
static struct hostnet hostnet;
static struct guest guest;
static struct dns dns;
static struct ndp_reply reply;
static uint8_t body[256];

static void setup(void)
{
	conf = (struct conf){ .our_mac = CONF_MAC_DEFAULT };
	hostnet = (struct hostnet){ .mtu = 1500 };
	hostnet.ip6.enabled = true;
	hostnet.ip6.addr = addr(GUEST);
	hostnet.ip6.prefix_len = 64;
	hostnet.ip6.gw = addr(GW);
	hostnet.ip6.our_ll = addr(OUR_LL);
	guest = (struct guest){ .addr6_ll = addr(GUEST_LL) };
}

static struct pkt message(uint8_t type, const char *src, const char *dst)
{
	struct pkt p = {
		.kind = PKT_ICMP6, .src = addr(src), .dst = addr(dst),
		.proto = IPPROTO_ICMPV6, .ttl = 255, .payload = view_of(body, 0),
	};

	memcpy(p.eth.src, guest_mac, 6);
	p.icmp.type = type;
	return p;
}

static struct pkt ns(const char *src, const char *target)
{
	union inany t = addr(target);
	char dst[64] = "ff02::1:ff00:0";
	struct pkt p;

	snprintf(dst, sizeof(dst), "ff02::1:ff%02x:%x", t.a6.s6_addr[13],
		 t.a6.s6_addr[14] << 8 | t.a6.s6_addr[15]);
	p = message(NDP_NS, src, dst);
	memcpy(body, &t.a6, 16);
	p.payload = view_of(body, 16);
	return p;
}

static struct pkt rs(const char *src)
{
	return message(NDP_RS, src, "ff02::2");
}

/* Append an option with a given length field and as many bytes as it has */
static void option(struct pkt *p, uint8_t type, uint8_t len8, size_t bytes)
{
	size_t len = p->payload.len;

	memset(body + len, 0, bytes);
	body[len] = type;
	body[len + 1] = len8;
	p->payload = view_of(body, len + bytes);
}

static bool answered(struct pkt p)
{
	return ndp_reply(&conf, &hostnet, &guest, &dns, &p, &reply);
}

static const struct {
	const char *src, *target;
	bool reply;
	const char *name;
} who[] = {
	{ GUEST_LL, GW, true, "a solicitation of the gateway is answered" },
	{ GUEST, OUR_LL, true,
	  "a solicitation of our link-local address is answered" },
	{ GUEST, "2001:db8::77", true,
	  "a solicitation of any neighbour is answered" },
	{ GUEST_LL, GUEST, false, "the assigned address is the guest's" },
	{ GUEST, GUEST_LL, false, "the address last seen is the guest's" },
	{ "::", GUEST, false, "a probe finds the guest's own address free" },
	{ "::", "fe80::77", false, "a probe finds any other address free" },
	{ "::", OUR_LL, true, "a probe finds our address taken" },
	{ "::", GW, true, "a probe finds the gateway's address taken" },
	{ GUEST, "::", false, "a solicitation of :: gets no answer" },
	{ GUEST, "::1", false, "a solicitation of loopback gets no answer" },
	{ GUEST, "ff02::1", false, "a solicitation of a group gets no answer" },
};

static void test_who(void)
{
	unsigned i;

	for (i = 0; i < sizeof(who) / sizeof(who[0]); i++)
		ok(answered(ns(who[i].src, who[i].target)) == who[i].reply,
		   who[i].name);
}

static void test_ns_checks(void)
{
	struct pkt p = ns(GUEST, GW);

	p.ttl = 254;
	ok(!answered(p), "a message with a hop limit below 255 is dropped");
	p = ns(GUEST, GW);
	p.icmp.code = 1;
	ok(!answered(p), "a message with a code is dropped");
	p = ns(GUEST, GW);
	p.payload = view_of(body, 15);
	ok(!answered(p), "a message with half a target is dropped");
	p = ns(GUEST, GW);
	option(&p, NDP_OPT_SLLA, 1, 8);
	ok(answered(p), "a message with an option is answered");
	option(&p, 200, 2, 16);
	ok(answered(p), "a message with an unknown option is answered");
	option(&p, NDP_OPT_SLLA, 0, 8);
	ok(!answered(p), "a message with an option of length zero is dropped");
	p = ns(GUEST, GW);
	option(&p, NDP_OPT_SLLA, 2, 8);
	ok(!answered(p), "a message with an option cut short is dropped");
	p = ns(GUEST, GW);
	option(&p, NDP_OPT_SLLA, 1, 1);
	ok(!answered(p),
	   "a message with an option of a single byte is dropped");
	p = ns("::", GW);
	option(&p, NDP_OPT_SLLA, 1, 8);
	ok(!answered(p), "a probe with a source link-layer address is dropped");
	p = ns("::", GW);
	p.dst = addr(GW);
	ok(!answered(p), "a probe sent to another group is dropped");
}

static void test_na(void)
{
	union inany gw = addr(GW), all = addr("ff02::1"), from = addr(GUEST);
	static const uint8_t all_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	struct ndp_neigh na;

	answered(ns(GUEST, GW));
	memcpy(&na, reply.msg, sizeof(na));
	is(reply.len, 32, "an NA has a target and a link-layer address");
	is(na.type, NDP_NA, "type");
	is(ntohl(na.flags), 0xe0000000, "router, solicited, override");
	ok(!memcmp(&na.target, &gw.a6, 16) && inany_equals(&reply.src, &gw),
	   "an NA has the target as its source");
	ok(inany_equals(&reply.dst, &from) &&
	   !memcmp(reply.dst_mac, guest_mac, 6),
	   "an NA goes to the sender of the solicitation");
	ok(reply.msg[24] == NDP_OPT_TLLA && reply.msg[25] == 1 &&
	   !memcmp(reply.msg + 26, conf.our_mac, 6),
	   "an NA has our MAC address");

	answered(ns(GUEST, "2001:db8::77"));
	memcpy(&na, reply.msg, sizeof(na));
	is(ntohl(na.flags), 0x60000000, "a neighbour is no router");

	answered(ns("::", GW));
	memcpy(&na, reply.msg, sizeof(na));
	ok(inany_equals(&reply.dst, &all) && !memcmp(reply.dst_mac, all_mac, 6)
	   && !(ntohl(na.flags) & NDP_NA_SOLICITED),
	   "a probe is answered through all nodes");
}

static void check_ra(void)
{
	union inany prefix = addr("2001:db8::"), from = addr(OUR_LL);
	struct ndp_opt_prefix pi;
	struct ndp_opt_mtu mtu;
	struct ndp_ra ra;

	memcpy(&ra, reply.msg, sizeof(ra));
	is(ra.type, NDP_RA, "a router advertises itself");
	is(ntohs(ra.lifetime_s), 65535,
	   "the router's lifetime is the maximum of RFC 8319");
	is(ra.flags, 0xc0, "an RA announces addresses by DHCPv6");
	ok(inany_equals(&reply.src, &from),
	   "an RA comes from our link-local address");
	ok(reply.msg[16] == NDP_OPT_SLLA &&
	   !memcmp(reply.msg + 18, conf.our_mac, 6),
	   "an RA has our MAC address");
	memcpy(&mtu, reply.msg + 24, sizeof(mtu));
	ok(mtu.type == NDP_OPT_MTU && ntohl(mtu.mtu) == 1500,
	   "an RA has the MTU");
	memcpy(&pi, reply.msg + 32, sizeof(pi));
	ok(pi.type == NDP_OPT_PREFIX && pi.len8 == 4 && pi.prefix_len == 64 &&
	   pi.flags == 0xc0 && !memcmp(&pi.prefix, &prefix, 16) &&
	   pi.valid_s == UINT32_MAX && pi.preferred_s == UINT32_MAX,
	   "an RA has the prefix, for ever");
	is(reply.len, 64, "an RA without name servers has no further option");
}

static void test_rs(void)
{
	union inany all = addr("ff02::1");
	struct pkt p;

	ok(answered(rs(GUEST_LL)), "a router solicitation is answered");
	check_ra();
	ok(answered(rs("::")) && inany_equals(&reply.dst, &all),
	   "an RA goes to all nodes if the source is unspecified");
	p = rs("::");
	option(&p, NDP_OPT_SLLA, 1, 8);
	ok(!answered(p),
	   "a solicitation from :: with a MAC address is dropped");
	p = rs(GUEST_LL);
	option(&p, NDP_OPT_SLLA, 0, 8);
	ok(!answered(p), "a solicitation with invalid options is dropped");
	p = rs(GUEST_LL);
	p.ttl = 64;
	ok(!answered(p),
	   "a solicitation with a hop limit below 255 is dropped");
	ok(ndp_advert(&conf, &hostnet, &dns, &reply) == 64 &&
	   inany_equals(&reply.dst, &all),
	   "an unsolicited RA goes to all nodes");
}

static void test_flags(void)
{
	struct ndp_ra ra;

	hostnet.ip6.addr = (union inany){ 0 };
	answered(rs(GUEST_LL));
	memcpy(&ra, reply.msg, sizeof(ra));
	is(ra.flags, 0x40,
	   "without an address an RA announces information alone");
	is(reply.len, 32, "without an address an RA has no prefix");
	setup();
	conf.no_dhcpv6 = true;
	answered(rs(GUEST_LL));
	memcpy(&ra, reply.msg, sizeof(ra));
	is(ra.flags, 0, "with --no-dhcpv6 an RA announces no DHCPv6");
	conf.no_dhcpv6 = false;
}

static void test_dns(void)
{
	static const uint8_t want[] = {
		25, 5, 0, 0, 0, 0, 0xff, 0xff,
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		31, 4, 0, 0, 0, 0, 0xff, 0xff,
		7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0,
		1, 'b', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0,
		0, 0, 0, 0,
	};
	unsigned i;

	dns.n6 = 2;
	dns.ns6[0] = addr("2001:db8::53");
	dns.ns6[1] = addr(OUR_LL);
	dns.nsearch = 3;
	snprintf(dns.search[0], CONF_NAME_LEN, "example");
	snprintf(dns.search[1], CONF_NAME_LEN, "a..b");
	snprintf(dns.search[2], CONF_NAME_LEN, "b.example.");
	answered(rs(GUEST_LL));
	ok(reply.len == 64 + sizeof(want) &&
	   !memcmp(reply.msg + 64, want, sizeof(want)),
	   "an RA has name servers and the valid names of the search list");

	dns.n6 = CONF_DNS_MAX;
	dns.nsearch = CONF_SEARCH_MAX;
	for (i = 0; i < CONF_SEARCH_MAX; i++)
		snprintf(dns.search[i], CONF_NAME_LEN, "%060u.%060u", i, i);
	ok(ndp_advert(&conf, &hostnet, &dns, &reply) > 1100 &&
	   reply.len <= NDP_REPLY_MAX && !(reply.len % 8),
	   "a search list too long for an RA is cut");
	is(reply.msg[64 + 136 + 1] * 8, reply.len - 64 - 136,
	   "the length of a cut search list is right");
	dns = (struct dns){ .n6 = 0 };
}

static void test_off(void)
{
	hostnet.mtu = 0;
	ok(answered(rs(GUEST_LL)) && reply.len == 56,
	   "without an MTU an RA has no option for it");
	conf.no_ra = true;
	ok(!answered(rs(GUEST_LL)) && !ndp_advert(&conf, &hostnet, &dns,
						  &reply),
	   "with --no-ra there is no RA");
	ok(answered(ns(GUEST, GW)),
	   "with --no-ra solicitations of neighbours are answered");
	conf.no_ndp = true;
	ok(!answered(ns(GUEST, GW)), "with --no-ndp nothing is answered");
	conf.no_ndp = false;
	hostnet.ip6.enabled = false;
	ok(!answered(ns(GUEST, GW)), "without IPv6 nothing is answered");
}

int main(void)
{
	setup();
	test_who();
	test_ns_checks();
	test_na();
	test_rs();
	test_flags();
	test_dns();
	test_off();
	ok(!answered(message(143, GUEST_LL, "ff02::16")), "MLD is ignored");
	return done();
}
