/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors about flows whose two sides are of different families, as the guest gets them
 */

#include "icmperr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "checksum.h"
#include "fake_tap.h"
#include "net.h"
#include "packet.h"
#include "tap.h"
#include "wire.h"

static struct fake_tap fake;
static struct conf conf;
static struct hostnet hostnet;
static struct guest guest;

static void setup(void)
{
	memset(&conf, 0, sizeof(conf));
	hostnet = both_families();
	fake_tap_init(&fake, 0, 1500);
}

/* A query of the guest, by IPv4 if @v4, to a server of the other family */
static struct flowside tap_of(bool v4)
{
	return (struct flowside){
		.eaddr = addr(v4 ? "198.51.100.5" : "2001:db8::5"),
		.eport = 33000,
		.oaddr = addr(v4 ? "169.254.1.1" : "2001:db8::53"),
		.oport = 53,
	};
}

static struct flowside host_of(bool tap_v4)
{
	return (struct flowside){
		.oaddr = addr(tap_v4 ? "2001:db8:1::2" : "203.0.113.2"),
		.oport = 33000,
		.eaddr = addr(tap_v4 ? "2001:db8:9::53" : "203.0.113.53"),
		.eport = 53,
	};
}

/* Errors from the host's side, and those that the guest is to get: the tables of RFC
 * 7915, 4.2 and 5.2. Type 0: none */
static const struct {
	bool tap_v4;
	uint8_t type, code;
	uint32_t word;
	uint8_t to_type, to_code;
	uint32_t to_word;
	const char *name;
} errors[] = {
	{ true, 1, 4, 0, 3, 3, 0, "ICMPv6 port unreachable" },
	{ true, 1, 0, 0, 3, 1, 0, "ICMPv6 no route" },
	{ true, 1, 1, 0, 3, 10, 0, "ICMPv6 prohibited" },
	{ true, 1, 3, 0, 3, 1, 0, "ICMPv6 address unreachable" },
	{ true, 1, 5, 0, 3, 10, 0, "ICMPv6 source address policy" },
	{ true, 1, 6, 0, 3, 10, 0, "ICMPv6 reject route" },
	{ true, 1, 2, 0, 3, 1, 0, "ICMPv6 beyond scope of source" },
	{ true, 1, 7, 0, 0, 0, 0, "ICMPv6 unreachable, unknown code" },
	{ true, 2, 0, 1400, 3, 4, 1380, "ICMPv6 packet too big" },
	{ true, 2, 0, 50, 3, 4, 68, "ICMPv6 too big, absurd MTU" },
	{ true, 3, 0, 0, 11, 0, 0, "ICMPv6 hop limit" },
	{ true, 3, 1, 0, 11, 1, 0, "ICMPv6 reassembly" },
	{ true, 4, 1, 6, 3, 2, 0, "ICMPv6 unrecognized next header" },
	{ false, 3, 0, 0, 1, 0, 0, "ICMP network unreachable" },
	{ false, 3, 1, 0, 1, 0, 0, "ICMP host unreachable" },
	{ false, 3, 2, 0, 4, 1, 6, "ICMP protocol unreachable" },
	{ false, 3, 3, 0, 1, 4, 0, "ICMP port unreachable" },
	{ false, 3, 4, 1400, 2, 0, 1420, "ICMP fragmentation needed" },
	{ false, 3, 4, 0, 2, 0, 1280, "ICMP fragmentation needed, no MTU" },
	{ false, 3, 5, 0, 1, 0, 0, "ICMP source route failed" },
	{ false, 3, 6, 0, 1, 0, 0, "ICMP network unknown" },
	{ false, 3, 7, 0, 1, 0, 0, "ICMP host unknown" },
	{ false, 3, 8, 0, 1, 0, 0, "ICMP source host isolated" },
	{ false, 3, 9, 0, 1, 1, 0, "ICMP network prohibited" },
	{ false, 3, 10, 0, 1, 1, 0, "ICMP host prohibited" },
	{ false, 3, 11, 0, 1, 0, 0, "ICMP network unreachable for TOS" },
	{ false, 3, 12, 0, 1, 0, 0, "ICMP host unreachable for TOS" },
	{ false, 3, 13, 0, 1, 1, 0, "ICMP communication prohibited" },
	{ false, 3, 14, 0, 0, 0, 0, "ICMP host precedence violation" },
	{ false, 3, 15, 0, 1, 1, 0, "ICMP precedence cutoff" },
	{ false, 3, 16, 0, 0, 0, 0, "ICMP unreachable, unknown code" },
	{ false, 11, 0, 0, 3, 0, 0, "ICMP time exceeded" },
	{ false, 11, 1, 0, 3, 1, 0, "ICMP reassembly" },
};

/* Is the quoted IP header right for a packet of @len bytes: checksum, length, TTL? */
static bool has_ip_header(const struct pkt *p, size_t len)
{
	struct ip4_hdr ip4;
	struct ip6_hdr ip6;

	if (p->kind == PKT_ICMP4)
		return view_copy(p->payload, 0, &ip4, sizeof(ip4)) &&
		       !csum_fold(csum_add(0, &ip4, sizeof(ip4))) &&
		       ntohs(ip4.tot_len) == len && ip4.ttl == 1 &&
		       ntohs(ip4.frag) == IP4_DF;
	return view_copy(p->payload, 0, &ip6, sizeof(ip6)) &&
	       ntohs(ip6.payload_len) == len - sizeof(ip6) &&
	       ip6.hop_limit == 1;
}

/* The packet in the error is the guest's own: addresses, ports, length, data */
static bool quotes(const struct pkt *p, const struct flowside *tap, size_t len)
{
	struct pkt_quote q;

	return pkt_quoted(p, &q) && q.proto == IPPROTO_UDP &&
	       inany_equals(&q.src, &tap->eaddr) &&
	       inany_equals(&q.dst, &tap->oaddr) && q.sport == tap->eport &&
	       q.dport == tap->oport &&
	       has_ip_header(p, p->payload.len) &&
	       p->payload.len == (inany_is_v4(&tap->eaddr) ? 20U : 40U) + 8 + len;
}

static void test_error(unsigned i)
{
	bool v4 = errors[i].tap_v4;
	struct flowside tap = tap_of(v4), host = host_of(v4);
	struct icmperr e = {
		.v4 = !v4, .type = errors[i].type, .code = errors[i].code,
		.word = errors[i].word, .offender = host.eaddr,
		.len = 40,
	};
	const struct udp_hdr l4 = {
		.sport = htons(tap.eport), .dport = htons(tap.oport),
		.len = htons(48),
	};
	struct pkt p;

	setup();
	icmperr_send(&e, &fake.tap, &conf, &hostnet, &guest, &tap, &host,
		     IPPROTO_UDP, &l4, sizeof(l4));
	if (!errors[i].to_type) {
		is(fake.n, 0, errors[i].name);
		return;
	}
	ok(fake.n == 1 &&
	   !fake_parse(&p, fake.sent[0].b, fake.sent[0].len, NULL) &&
	   p.kind == (v4 ? PKT_ICMP4 : PKT_ICMP6) &&
	   p.icmp.type == errors[i].to_type &&
	   p.icmp.code == errors[i].to_code &&
	   ntohl(p.icmp.word) == errors[i].to_word, errors[i].name);
	ok(inany_equals(&p.src, &tap.oaddr) && inany_equals(&p.dst, &tap.eaddr) &&
	   quotes(&p, &tap, 40), "an error quotes the guest's packet");
}

/* Errors that another host reports, or that are made of an errno */
static void test_source(void)
{
	struct flowside tap = tap_of(true), host = host_of(true);
	struct icmperr e;
	struct pkt p;

	setup();
	ok(icmperr_from_errno(ENETUNREACH, &host, &e) && !e.v4,
	   "the error of a failed call has the addresses of the host's side");
	icmperr_send(&e, &fake.tap, &conf, &hostnet, &guest, &tap, &host,
		     IPPROTO_UDP, "12345678", 8);
	ok(fake.n == 1 && !fake_parse(&p, fake.sent[0].b, fake.sent[0].len,
				      NULL) && p.kind == PKT_ICMP4 &&
	   p.icmp.type == 3 && inany_equals(&p.src, &hostnet.ip4.gw),
	   "the guest's error has the addresses of its own side");
	e.offender = addr("2001:db8:7::7");
	icmperr_send(&e, &fake.tap, &conf, &hostnet, &guest, &tap, &host,
		     IPPROTO_UDP, "12345678", 8);
	ok(fake.n == 2 &&
	   !fake_parse(&p, fake.sent[1].b, fake.sent[1].len, NULL) &&
	   inany_equals(&p.src, &hostnet.ip4.gw),
	   "a router of the other family is shown as the gateway");
}

int main(void)
{
	unsigned i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		test_error(i);
	test_source();
	return done();
}
