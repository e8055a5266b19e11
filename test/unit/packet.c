/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames as others make them, right and wrong, and the parser's verdict */

#include "packet.h"

#include <arpa/inet.h>
#include <string.h>

#include "checksum.h"
#include "fake_tap.h"
#include "frame.h"
#include "tap.h"

static struct fake_tap fake;
static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t mac_b[6] = { 2, 0, 0, 0, 0, 2 };
static union inany src4, dst4, src6, dst6;
static const char data[] = "nothing but bytes, an odd number of them";
#define DATA_LEN	39

static struct frame_addr addr(bool v4)
{
	return (struct frame_addr){
		.dst_mac = mac_b, .src_mac = mac_a,
		.src = v4 ? &src4 : &src6, .dst = v4 ? &dst4 : &dst6,
		.ttl = 33, .tos = 0x28,
	};
}

static struct fake_frame *tcp(bool v4, unsigned caps)
{
	static const uint8_t opts[8] = { 2, 4, 5, 0xb4, 1, 3, 3, 7 };
	struct tcp_hdr th = { htons(1000), htons(80), htonl(1), htonl(2), 0,
			      TCPF_SYN, htons(777), 0, 0 };
	struct frame_addr a = addr(v4);
	unsigned n = 1;
	struct txframe *f;

	fake_tap_init(&fake, caps, 65520);
	f = tap_reserve(&fake.tap, &n, frame_l3_hdrlen(v4) + 28, 100);
	memcpy(f->payload.p, data, DATA_LEN);
	f->len = DATA_LEN;
	frame_fill_tcp(&fake.tap, f, &a, &th, opts, sizeof(opts), 1000);
	tap_commit(&fake.tap, 1);
	return &fake.sent[0];
}

static struct fake_frame *udp(bool v4, size_t len)
{
	struct frame_addr a = addr(v4);

	fake_tap_init(&fake, 0, 65520);
	frame_send_udp(&fake.tap, &a, 5000, 53, data, len);
	return &fake.sent[0];
}

static struct fake_frame *echo(bool v4)
{
	struct frame_addr a = addr(v4);
	uint8_t l4[8 + DATA_LEN] = { v4 ? 8 : 128, 0, 0, 0, 1, 2, 3, 4 };

	fake_tap_init(&fake, 0, 65520);
	memcpy(l4 + 8, data, DATA_LEN);
	frame_send_l4(&fake.tap, &a, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, l4,
		      sizeof(l4), 2);
	return &fake.sent[0];
}

static enum pkt_error parse(struct pkt *p, const struct fake_frame *f)
{
	struct rx_offload off = fake_offload(f);

	return fake_parse(p, f->b, f->len, &off);
}

/* Set the header checksum of an IPv4 frame anew */
static void ip4_fix(struct fake_frame *f)
{
	size_t hlen = (f->b[14] & 0xf) * 4U;
	uint16_t csum;

	memset(f->b + 24, 0, 2);
	csum = csum_fold(csum_add(0, f->b + 14, hlen));
	memcpy(f->b + 24, &csum, 2);
}

/* The same of the TCP, UDP or ICMPv6 header at the end of a frame */
static void l4_fix(struct fake_frame *f, bool v4, uint8_t proto, size_t at,
		   size_t field)
{
	union inany s, d;
	uint32_t sum = 0;
	uint16_t csum;

	if (v4) {
		struct in_addr s4, d4;

		memcpy(&s4, f->b + 26, 4);
		memcpy(&d4, f->b + 30, 4);
		s = inany_from_v4(s4);
		d = inany_from_v4(d4);
	} else {
		memcpy(&s, f->b + 22, 16);
		memcpy(&d, f->b + 38, 16);
	}
	memset(f->b + at + field, 0, 2);
	/* A mapped address is no reason to sum up anything else */
	if (!v4)
		sum = csum_add(csum_add(0, &s, 16), &d, 16);
	else
		sum = csum_add(csum_add(0, &s.v4mapped.a4, 4), &d.v4mapped.a4,
			       4);
	sum += htons(proto);
	sum += htons((uint16_t)(f->len - at));
	csum = csum_fold(csum_add(sum, f->b + at, f->len - at));
	memcpy(f->b + at + field, &csum, 2);
}

static void whole_tcp(bool v4)
{
	struct fake_frame *f = tcp(v4, 0);
	struct pkt p;

	is(parse(&p, f), PKT_OK,
	   v4 ? "TCP over IPv4 is parsed" : "TCP over IPv6 is parsed");
	ok(p.kind == PKT_TCP && p.proto == IPPROTO_TCP && p.ttl == 33 &&
	   p.tos == 0x28 && p.df, "protocol, TTL, TOS and DF are copied");
	ok(inany_equals(&p.src, v4 ? &src4 : &src6) &&
	   inany_equals(&p.dst, v4 ? &dst4 : &dst6),
	   "both IP addresses are copied");
	ok(ntohs(p.tcp.sport) == 1000 && ntohs(p.tcp.dport) == 80 &&
	   ntohl(p.tcp.seq) == 1 && p.tcp.flags == TCPF_SYN,
	   "the TCP header is copied");
	ok(p.opts_len == 8 && p.opts[0] == 2 && p.opts[7] == 7,
	   "TCP options are copied");
	ok(p.payload.len == DATA_LEN && !memcmp(p.payload.p, data, DATA_LEN),
	   "payload of TCP begins after the options");
	ok(p.l3.p == f->b + 14 && p.l3.len == f->len - 14,
	   "the packet to be quoted begins with its IP header");
	ok(!memcmp(p.eth.src, mac_a, 6), "the Ethernet source is copied");

	f->len += 7;
	ok(parse(&p, f) == PKT_OK && p.payload.len == DATA_LEN,
	   "padding is not payload");
	f->b[14 + (v4 ? 20 : 40) + 30]++;
	is(parse(&p, f), PKT_E_CSUM,
	   "a changed byte makes the checksum of TCP wrong");
	f->csum_partial = true;
	is(parse(&p, f), PKT_OK, "a partial checksum is not verified");
}

static void whole_others(bool v4)
{
	struct fake_frame *f = udp(v4, DATA_LEN);
	struct pkt p;

	ok(parse(&p, f) == PKT_OK && p.kind == PKT_UDP &&
	   p.payload.len == DATA_LEN &&
	   ntohs(p.udp.sport) == 5000 && ntohs(p.udp.dport) == 53 &&
	   !memcmp(p.payload.p, data, DATA_LEN),
	   v4 ? "UDP over IPv4 is parsed" : "UDP over IPv6 is parsed");
	f->b[f->len - 1] ^= 4;
	is(parse(&p, f), PKT_E_CSUM, "the checksum of UDP is verified");

	f = udp(v4, 0);
	ok(parse(&p, f) == PKT_OK && !p.payload.len,
	   "an empty datagram is parsed");

	f = echo(v4);
	ok(parse(&p, f) == PKT_OK && p.payload.len == DATA_LEN &&
	   p.kind == (v4 ? PKT_ICMP4 : PKT_ICMP6) &&
	   ntohs(p.icmp.echo.id) == 0x102 && ntohs(p.icmp.echo.seq) == 0x304,
	   v4 ? "an ICMP echo request is parsed" : "an ICMPv6 echo request is parsed");
	f->b[f->len - 1] ^= 4;
	is(parse(&p, f), PKT_E_CSUM, "the checksum of ICMP is verified");
}

static void cut_short(bool v4)
{
	struct fake_frame *f[3];
	unsigned accepted = 0, i;
	struct pkt p;
	size_t len;

	for (i = 0; i < 3; i++) {
		f[i] = i == 0 ? tcp(v4, 0) : i == 1 ? udp(v4, 5) : echo(v4);
		for (len = 0; len < f[i]->len; len++)
			accepted += !fake_parse(&p, f[i]->b, len, NULL);
	}
	is(accepted, 0, v4 ? "no IPv4 frame that is cut short is accepted"
			   : "no IPv6 frame that is cut short is accepted");
}

static void bad_ip4(void)
{
	unsigned accepted = 0, i;
	struct fake_frame *f;
	struct pkt p;

	f = tcp(true, 0);
	for (i = 14 * 8; i < 34 * 8; i++) {
		f->b[i / 8] ^= (uint8_t)(1 << i % 8);
		accepted += !parse(&p, f);
		f->b[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	is(accepted, 0, "a change of any bit of the IPv4 header is noticed");

	f->b[14] = 0x44;
	ip4_fix(f);
	is(parse(&p, f), PKT_E_LENGTH,
	   "an IPv4 header under 20 bytes is refused");
	f->b[14] = 0x55;
	is(parse(&p, f), PKT_E_VERSION, "an IP version of 5 is refused");

	f = tcp(true, 0);
	f->b[17]++;
	ip4_fix(f);
	is(parse(&p, f), PKT_E_LENGTH,
	   "an IPv4 total length over the frame is refused");
	f->b[16] = 0;
	f->b[17] = 19;
	ip4_fix(f);
	is(parse(&p, f), PKT_E_LENGTH,
	   "an IPv4 total length under the header is refused");

	f = tcp(true, 0);
	f->b[14 + 20 + 12] = 0x40;
	l4_fix(f, true, IPPROTO_TCP, 34, 16);
	is(parse(&p, f), PKT_E_LENGTH,
	   "a TCP header under 20 bytes is refused");
	f->b[14 + 20 + 12] = 0xf0;
	f->b[17] = 20 + 56;
	f->len = 14 + 20 + 56;
	ip4_fix(f);
	is(parse(&p, f), PKT_E_LENGTH,
	   "a TCP header over the packet is refused");

	f = udp(true, 4);
	memmove(f->b + 38, f->b + 34, f->len - 34);
	memset(f->b + 34, 1, 4);		/* four NOPs */
	f->len += 4;
	f->b[14] = 0x46;
	f->b[17] += 4;
	ip4_fix(f);
	ok(parse(&p, f) == PKT_OK && p.payload.len == 4 && p.kind == PKT_UDP,
	   "IPv4 options are skipped");
}

static void bad_udp(void)
{
	struct fake_frame *f = udp(true, 4);
	struct pkt p;

	memset(f->b + 40, 0, 2);
	is(parse(&p, f), PKT_OK, "UDP over IPv4 may have no checksum");
	f->b[39] = 13;
	is(parse(&p, f), PKT_E_LENGTH,
	   "a UDP length over the packet is refused");
	f->b[39] = 7;
	is(parse(&p, f), PKT_E_LENGTH,
	   "a UDP length under the header is refused");
	f->b[39] = 10;
	ok(parse(&p, f) == PKT_OK && p.payload.len == 2,
	   "a UDP length under that of the packet cuts the payload");

	f = udp(false, 4);
	memset(f->b + 60, 0, 2);
	is(parse(&p, f), PKT_E_CSUM, "UDP over IPv6 must have a checksum");
}

static void addresses(void)
{
	static const struct {
		bool v4, src;
		const char *addr;
		enum pkt_error e;
	} t[] = {
		{ true, true, "127.0.0.1", PKT_E_SRC },
		{ true, true, "224.0.0.1", PKT_E_SRC },
		{ true, true, "255.255.255.255", PKT_E_SRC },
		{ true, true, "0.0.0.0", PKT_E_SRC },
		{ true, true, "0.0.0.1", PKT_E_SRC },
		{ true, true, "203.0.113.1", PKT_OK },
		{ true, false, "127.0.0.1", PKT_E_DST },
		{ true, false, "0.0.0.0", PKT_E_DST },
		{ true, false, "224.0.0.1", PKT_OK },
		{ true, false, "255.255.255.255", PKT_OK },
		{ false, true, "::1", PKT_E_SRC },
		{ false, true, "::", PKT_E_SRC },
		{ false, true, "ff02::1", PKT_E_SRC },
		{ false, true, "::ffff:203.0.113.1", PKT_E_SRC },
		{ false, true, "fe80::1", PKT_OK },
		{ false, false, "::1", PKT_E_DST },
		{ false, false, "::", PKT_E_DST },
		{ false, false, "::ffff:203.0.113.1", PKT_E_DST },
		{ false, false, "ff02::1", PKT_OK },
	};
	struct fake_frame *f;
	char name[80];
	union inany a;
	struct pkt p;
	unsigned i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		bool v4 = t[i].v4;

		f = tcp(v4, 0);
		inany_pton(t[i].addr, &a);
		if (v4)
			memcpy(f->b + (t[i].src ? 26 : 30), &a.v4mapped.a4, 4);
		else
			memcpy(f->b + (t[i].src ? 22 : 38), &a, 16);
		if (v4)
			ip4_fix(f);
		l4_fix(f, v4, IPPROTO_TCP, v4 ? 34 : 54, 16);
		snprintf(name, sizeof(name), "TCP %s %s is %s",
			 t[i].src ? "from" : "to", t[i].addr,
			 t[i].e ? "refused" : "accepted");
		is(parse(&p, f), t[i].e, name);
	}

	f = udp(true, 4);
	memset(f->b + 26, 0, 4);
	memset(f->b + 40, 0, 2);
	ip4_fix(f);
	is(parse(&p, f), PKT_OK,
	   "UDP from 0.0.0.0 is accepted, as DHCP needs it");
	f = echo(false);
	memset(f->b + 22, 0, 16);
	l4_fix(f, false, IPPROTO_ICMPV6, 54, 2);
	is(parse(&p, f), PKT_OK,
	   "ICMPv6 from :: is accepted, as duplicate address detection needs it");
	f = tcp(true, 0);
	f->b[6] |= 1;
	is(parse(&p, f), PKT_E_SRC,
	   "a group address as Ethernet source is refused");
	f = tcp(true, 0);
	f->b[12] = 0x81;
	is(parse(&p, f), PKT_E_ETHERTYPE, "a frame with a VLAN tag is refused");
}

/* An IPv6 frame: @ext, then a UDP datagram of 4 bytes */
static struct fake_frame *ip6_ext(uint8_t first, const void *ext, size_t len)
{
	struct fake_frame *f = udp(false, 4);

	memmove(f->b + 54 + len, f->b + 54, 12);
	memcpy(f->b + 54, ext, len);
	f->b[20] = first;
	f->b[19] = (uint8_t)(12 + len);
	f->len += len;
	return f;
}

static void extension_headers(void)
{
	static const struct {
		const char *name;
		uint8_t first, len, b[72];
		enum pkt_error e;
	} t[] = {
		{ "a hop-by-hop header", 0, 8, { 17, 0, 1, 4 }, PKT_OK },
		{ "a router alert", 0, 8, { 17, 0, 5, 2, 0, 0, 1, 0 }, PKT_OK },
		{ "a destination header", 60, 8, { 17, 0, 1, 4 }, PKT_OK },
		{ "a destination header with Pad1 only", 60, 8, { 17, 0 }, PKT_OK },
		{ "a hop-by-hop and a destination header", 0, 16,
		  { 60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4 }, PKT_OK },
		{ "a used up routing header", 43, 8, { 17, 0, 4, 0 }, PKT_OK },
		{ "a routing header in use", 43, 8, { 17, 0, 4, 1 }, PKT_E_EXTHDR },
		{ "a hop-by-hop header behind another", 60, 16,
		  { 0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4 }, PKT_E_EXTHDR },
		{ "a jumbo payload option", 0, 8, { 17, 0, 0xc2, 4, 0, 1, 0, 0 },
		  PKT_E_EXTHDR },
		{ "a home address option", 60, 8, { 17, 0, 0xc9, 4 }, PKT_E_EXTHDR },
		{ "an option longer than its header", 60, 8, { 17, 0, 1, 5 },
		  PKT_E_EXTHDR },
		{ "an extension header over the packet", 60, 8,
		  { 17, 200, 1, 4 }, PKT_E_EXTHDR },
		{ "a packet with eight extension headers", 60, 64,
		  { 60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0,
		    60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0,
		    60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0,
		    60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0 },
		  PKT_E_EXTHDR },
		{ "an atomic fragment", 44, 8, { 17, 0, 0, 0, 1, 2, 3, 4 },
		  PKT_OK },
		{ "a fragment inside an atomic fragment", 44, 16,
		  { 44, 0, 0, 0, 1, 2, 3, 4, 17, 0, 0, 0, 1, 2, 3, 4 },
		  PKT_E_EXTHDR },
	};
	struct fake_frame *f;
	char name[80];
	struct pkt p;
	unsigned i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		f = ip6_ext(t[i].first, t[i].b, t[i].len);
		snprintf(name, sizeof(name), "%s is %s", t[i].name,
			 t[i].e ? "refused" : "accepted");
		is(parse(&p, f), t[i].e, name);
		if (!t[i].e)
			ok(p.kind == PKT_UDP && p.payload.len == 4,
			   "UDP after the extension header is parsed");
	}

	f = udp(false, 4);
	f->b[18] = f->b[19] = 0;
	is(parse(&p, f), PKT_E_SHORT, "an IPv6 payload length of 0 is refused");
	f = udp(false, 4);
	f->b[19]++;
	is(parse(&p, f), PKT_E_LENGTH,
	   "an IPv6 payload length over the frame is refused");
	f = udp(false, 4);
	f->b[20] = 59;
	ok(parse(&p, f) == PKT_OK && p.kind == PKT_OTHER_L4,
	   "IPv6 without a next header is a protocol that we do not translate");
	f->b[20] = IPPROTO_ICMP;
	ok(parse(&p, f) == PKT_OK && p.kind == PKT_OTHER_L4,
	   "ICMP of IPv4 over IPv6 is a protocol that we do not translate");
}

static void fragments(void)
{
	static const uint8_t fh[8] = { 17, 0, 0x01, 0x29, 1, 2, 3, 4 };
	static const uint8_t last[8] = { 17, 0, 0x01, 0x28, 1, 2, 3, 4 };
	static const uint8_t over[8] = { 17, 0, 0xff, 0xf8, 1, 2, 3, 4 };
	struct fake_frame *f = udp(true, 8);
	struct view l4;
	struct pkt p;

	f->b[18] = 0xab;
	f->b[19] = 0xcd;
	f->b[20] = 0x20;
	f->b[21] = 0x25;
	ip4_fix(f);
	is(parse(&p, f), PKT_OK, "a fragment of IPv4 is parsed");
	ok(p.kind == PKT_FRAGMENT && p.frag_more && p.frag_off == 0x25 * 8 &&
	   p.frag_id == 0xabcd && p.proto == IPPROTO_UDP && p.payload.len == 16 &&
	   p.payload.p == f->b + 34,
	   "offset and identification of an IPv4 fragment are copied");
	f->b[17]--;
	ip4_fix(f);
	is(parse(&p, f), PKT_E_LENGTH,
	   "an IPv4 fragment that is not the last needs a multiple of 8 bytes");
	f->b[20] = 0x1f;
	f->b[21] = 0xff;
	ip4_fix(f);
	is(parse(&p, f), PKT_E_LENGTH,
	   "an IPv4 fragment beyond 65535 bytes is refused");

	f = ip6_ext(44, fh, 8);
	is(parse(&p, f), PKT_E_LENGTH,
	   "an IPv6 fragment that is not the last needs a multiple of 8 bytes");
	f = ip6_ext(44, over, 8);
	is(parse(&p, f), PKT_E_LENGTH,
	   "an IPv6 fragment beyond 65535 bytes is refused");
	f = ip6_ext(44, last, 8);
	is(parse(&p, f), PKT_OK, "a fragment of IPv6 is parsed");
	ok(p.kind == PKT_FRAGMENT && !p.frag_more && p.frag_off == 0x128 &&
	   p.frag_id == 0x01020304 && p.proto == IPPROTO_UDP &&
	   p.payload.len == 12,
	   "offset and identification of an IPv6 fragment are copied");

	/* Parse the data of all fragments, as the reassembler does */
	f = udp(false, 4);
	p.off = (struct rx_offload){ 0 };
	l4 = view_of(f->b + 54, 12);
	ok(pkt_parse_l4(&p, &l4) == PKT_OK && p.kind == PKT_UDP &&
	   p.payload.len == 4, "a reassembled datagram is parsed");
	f->b[60]++;
	is(pkt_parse_l4(&p, &l4), PKT_E_CSUM,
	   "the checksum of a reassembled datagram is verified");
}

/* One more byte than there may be datagrams in a frame */
static void gso_many(void)
{
	static const uint8_t many[129];
	struct fake_frame *f = &fake.sent[0];
	struct frame_addr a = addr(true);
	struct pkt p;

	fake_tap_init(&fake, 0, 65520);
	frame_send_udp(&fake.tap, &a, 5000, 53, many, sizeof(many));
	f->gso_type = VNET_GSO_UDP_L4;
	f->gso_size = 1;
	is(parse(&p, f), PKT_E_GSO,
	   "an unsegmented frame of 129 datagrams is refused");
	f->gso_size = 2;
	is(parse(&p, f), PKT_OK,
	   "an unsegmented frame of 128 datagrams is accepted");
}

static void gso(void)
{
	struct fake_frame *f = tcp(true, TAP_CSUM);
	struct pkt p;

	f->gso_type = VNET_GSO_TCPV4;
	f->gso_size = 10;
	ok(parse(&p, f) == PKT_OK && p.off.gso_size == 10,
	   "an unsegmented frame of TCP is parsed");
	f->gso_size = 0;
	is(parse(&p, f), PKT_E_GSO, "segments without a size are refused");
	f->gso_size = 10;
	f->gso_type = VNET_GSO_TCPV6;
	is(parse(&p, f), PKT_E_GSO,
	   "segmentation of the other family is refused");
	f->gso_type = VNET_GSO_UDP_L4;
	is(parse(&p, f), PKT_E_GSO,
	   "segmentation of another protocol is refused");
	f->gso_type = VNET_GSO_UDP;
	is(parse(&p, f), PKT_E_GSO,
	   "a kind of segmentation that we do not offer is refused");
	f = udp(true, DATA_LEN);
	f->gso_type = VNET_GSO_UDP_L4;
	f->gso_size = 10;
	ok(parse(&p, f) == PKT_OK && p.payload.len == DATA_LEN,
	   "an unsegmented frame of UDP is parsed");
	gso_many();
}

static void arp(void)
{
	uint8_t b[60] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6,
			  0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2 };
	struct pkt p;

	ok(!fake_parse(&p, b, 60, NULL) && p.kind == PKT_ARP &&
	   ntohs(p.arp.op) == ARP_OP_REQUEST && p.arp.sha[5] == 2,
	   "an ARP request with padding is parsed");
	ok(!fake_parse(&p, b, 42, NULL),
	   "an ARP request without padding is parsed");
	is(fake_parse(&p, b, 41, NULL), PKT_E_SHORT,
	   "an ARP request that is cut short is refused");
	b[19] = 16;
	is(fake_parse(&p, b, 60, NULL), PKT_E_VERSION,
	   "an ARP request for another protocol is refused");
}

static void errors_have_names(void)
{
	bool good = true;
	unsigned i;

	for (i = 0; i < PKT_E_MAX; i++)
		good &= strlen(pkt_strerror(i)) > 5;
	ok(good && !strcmp(pkt_strerror(PKT_E_MAX), "?"),
	   "every error has a text");
}

int main(void)
{
	inany_pton("198.51.100.1", &src4);
	inany_pton("203.0.113.2", &dst4);
	inany_pton("2001:db8::1", &src6);
	inany_pton("2001:db8:1::2", &dst6);
	whole_tcp(true);
	whole_tcp(false);
	whole_others(true);
	whole_others(false);
	cut_short(true);
	cut_short(false);
	bad_ip4();
	bad_udp();
	addresses();
	extension_headers();
	fragments();
	gso();
	arp();
	errors_have_names();
	return done();
}
