/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames that we make, read back by the parser */

#include "frame.h"

#include <arpa/inet.h>
#include <string.h>

#include "checksum.h"
#include "fake_tap.h"
#include "packet.h"
#include "tap.h"

#define ALL	(TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_USO | TAP_JUMBO)

static struct fake_tap fake;
static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t mac_b[6] = { 2, 0, 0, 0, 0, 2 };
static union inany src4, dst4, src6, dst6;
static uint8_t data[65536], joined[70000];

static struct frame_addr addr(bool v4)
{
	return (struct frame_addr){
		.dst_mac = mac_b, .src_mac = mac_a,
		.src = v4 ? &src4 : &src6, .dst = v4 ? &dst4 : &dst6,
	};
}

static bool parse(struct pkt *p, const struct fake_frame *f)
{
	struct rx_offload off = fake_offload(f);

	return !fake_parse(p, f->b, f->len, &off);
}

/* Complete a partial checksum, as a device does */
static void complete(struct fake_frame *f)
{
	uint8_t *l4 = f->b + f->csum_start;
	uint16_t csum = csum_fold(csum_add(0, l4, f->len - f->csum_start));

	memcpy(l4 + f->csum_offset, &csum, 2);
	f->csum_partial = false;
	f->gso_type = VNET_GSO_NONE;
}

static struct fake_frame *tcp(bool v4, unsigned caps, size_t len, uint16_t mss)
{
	static const uint8_t opts[4] = { 2, 4, 5, 0xb4 };
	struct tcp_hdr th = { htons(1000), htons(80), htonl(1), htonl(2), 0xff,
			      TCPF_ACK, htons(777), 0xffff, 0 };
	struct frame_addr a = addr(v4);
	unsigned n = 1;
	struct txframe *f;

	fake_tap_init(&fake, caps, 1500);
	f = tap_reserve(&fake.tap, &n, frame_l3_hdrlen(v4) + 24, len);
	memcpy(f->payload.p, data, len);
	f->len = len;
	frame_fill_tcp(&fake.tap, f, &a, &th, opts, sizeof(opts), mss);
	tap_commit(&fake.tap, 1);
	return &fake.sent[0];
}

static void tcp_frames(bool v4)
{
	struct fake_frame *f = tcp(v4, TAP_JUMBO, 1001, 1400);
	struct pkt p;

	ok(parse(&p, f) && p.kind == PKT_TCP && p.payload.len == 1001 &&
	   p.opts_len == 4 && !memcmp(p.payload.p, data, 1001) && !f->gso_type &&
	   !f->csum_partial, v4 ? "TCP over IPv4 has a complete checksum"
				: "TCP over IPv6 has a complete checksum");
	ok(p.ttl == 64 && p.tos == 0 && p.df,
	   "TCP has the default TTL, and DF");

	f = tcp(v4, ALL, 1001, 1400);
	ok(f->csum_partial && !f->gso_type && parse(&p, f),
	   "TCP has a partial checksum with checksum offload");
	complete(f);
	ok(parse(&p, f) && p.payload.len == 1001,
	   "a device can complete the checksum of TCP");

	f = tcp(v4, ALL, 60000, 1400);
	ok(parse(&p, f) && p.off.gso_size == 1400 && f->csum_partial &&
	   f->gso_type == (v4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6) && p.df,
	   "a frame over the MSS is left to the device to segment");
	complete(f);
	ok(parse(&p, f) && p.payload.len == 60000,
	   "the checksum of an unsegmented frame is right as a whole");

	f = tcp(v4, ALL & ~(unsigned)(v4 ? TAP_TSO4 : TAP_TSO6), 60000, 1400);
	ok(!f->gso_type && parse(&p, f),
	   "a frame is not left to a device that can't segment it");
	f = tcp(v4, ALL, 0, 0);
	ok(!f->gso_type && parse(&p, f) && !p.payload.len,
	   "a TCP segment may have no payload");
}

static struct fake_frame *udp(bool v4, unsigned caps, size_t len, uint16_t gso)
{
	struct frame_addr a = addr(v4);
	unsigned n = 1;
	struct txframe *f;

	fake_tap_init(&fake, caps, 1500);
	f = tap_reserve(&fake.tap, &n, frame_l3_hdrlen(v4) + 8, len);
	memcpy(f->payload.p, data, len);
	f->len = len;
	frame_fill_udp(&fake.tap, f, &a, 53, 5000, gso);
	tap_commit(&fake.tap, 1);
	return &fake.sent[0];
}

static void udp_frames(bool v4)
{
	struct fake_frame *f = udp(v4, TAP_JUMBO, 1001, 0);
	struct pkt p;

	ok(parse(&p, f) && p.kind == PKT_UDP && p.payload.len == 1001 && p.df &&
	   ntohs(p.udp.sport) == 53 && ntohs(p.udp.dport) == 5000 &&
	   !memcmp(p.payload.p, data, 1001),
	   v4 ? "UDP over IPv4 has a complete checksum"
	      : "UDP over IPv6 has a complete checksum");
	f = udp(v4, ALL, 1001, 0);
	ok(f->csum_partial && !f->gso_type,
	   "UDP has a partial checksum with checksum offload");
	complete(f);
	ok(parse(&p, f), "a device can complete the checksum of UDP");

	f = udp(v4, ALL, 5000, 1000);
	ok(f->gso_type == VNET_GSO_UDP_L4 && f->gso_size == 1000 &&
	   parse(&p, f) && p.payload.len == 5000 && p.df,
	   "five datagrams go into one frame");
	f = udp(v4, ALL, 1000, 1000);
	ok(!f->gso_type && parse(&p, f), "one datagram is no series");
	f = udp(v4, ALL, 20000, 0);
	ok(parse(&p, f) && p.payload.len == 20000,
	   "a datagram over the MTU is one frame");
	ok(!v4 || (!p.df && (f->b[18] || f->b[19])),
	   "a datagram over the MTU has no DF, and an identification");
}

static void sum_of_zero(bool v4)
{
	struct frame_addr a = addr(v4);
	bool never = true, seen = false;
	unsigned i;

	fake_tap_init(&fake, 0, 1500);
	for (i = 0; i < 65536; i++) {
		uint8_t d[2] = { (uint8_t)(i >> 8), (uint8_t)i };
		const uint8_t *csum = fake.sent[0].b + (v4 ? 40 : 60);

		fake.n = 0;
		frame_send_udp(&fake.tap, &a, 1, 2, d, 2);
		never &= csum[0] || csum[1];
		seen |= csum[0] == 0xff && csum[1] == 0xff;
	}
	ok(never && seen, "a UDP checksum of 0 is sent as 0xffff");
}

/* Join all fragments sent, as a receiver does; 0 if something is wrong */
static size_t join(struct pkt *p, bool v4)
{
	size_t end = 0;
	unsigned i;

	for (i = 0; i < fake.n; i++) {
		const struct fake_frame *f = &fake.sent[i];
		bool more = i + 1 < fake.n;

		if (!parse(p, f) || p->kind != PKT_FRAGMENT ||
		    f->len > 14 + fake.tap.mtu || p->frag_more != more ||
		    p->frag_off != end || p->df == v4 ||
		    p->frag_id != (fake.tap.frag_id & (v4 ? 0xffff : ~0U)))
			return 0;
		memcpy(joined + end, p->payload.p, p->payload.len);
		end += p->payload.len;
	}
	return end;
}

static void fragments(bool v4)
{
	static const struct { unsigned mtu; size_t len; } t[] = {
		{ 1500, 1473 }, { 1500, 1480 }, { 1500, 1500 }, { 1280, 3000 },
		{ 1281, 9000 }, { 1500, 65507 }, { 1287, 2464 },
	};
	struct frame_addr a = addr(v4);
	struct view l4;
	struct pkt p;
	unsigned i;
	size_t len;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		fake_tap_init(&fake, 0, t[i].mtu);
		fake.tap.frag_id = 0xdeadbeef;
		ok(frame_send_udp(&fake.tap, &a, 53, 7, data, t[i].len) &&
		   fake.n > 1, "a message over the MTU is fragmented");
		len = join(&p, v4);
		is(len, t[i].len + 8,
		   "fragments add up to the length of the message");
		l4 = view_of(joined, len);
		ok(!pkt_parse_l4(&p, &l4) && p.kind == PKT_UDP &&
		   p.payload.len == t[i].len &&
		   !memcmp(p.payload.p, data, t[i].len),
		   "fragments reassemble to the datagram");
	}

	fake_tap_init(&fake, 0, 1500);
	ok(frame_send_udp(&fake.tap, &a, 53, 7, data, v4 ? 1472 : 1452) &&
	   fake.n == 1, "a datagram of exactly the MTU is not fragmented");
	fake_tap_init(&fake, TAP_JUMBO, 1500);
	ok(frame_send_udp(&fake.tap, &a, 53, 7, data, 60000) && fake.n == 1 &&
	   parse(&p, &fake.sent[0]) && p.payload.len == 60000,
	   "a datagram is not fragmented if the device takes it whole");
	fake_tap_init(&fake, 0, 1500);
	fake.room = 3;
	ok(!frame_send_udp(&fake.tap, &a, 53, 7, data, 60000) && !fake.n,
	   "a message is lost if there is no room for all fragments");
	ok(!frame_send_udp(&fake.tap, &a, 53, 7, data, v4 ? 65508 : 65528),
	   "a datagram over 65535 bytes is not sent");
	fake.room = 0;
	ok(!frame_send_udp(&fake.tap, &a, 53, 7, data, 5),
	   "no room for a datagram is reported");
}

static void icmp_errors(bool v4)
{
	struct frame_addr a = addr(v4);
	struct view quoted = view_of(data, 40000);
	size_t max = v4 ? 576 : 1280;
	struct pkt p;

	a.ttl = 255;
	fake_tap_init(&fake, ALL, 65520);
	ok(frame_send_icmp_error(&fake.tap, &a, v4 ? 3 : 2, 4, 1300,
				 &quoted), "an ICMP error is sent");
	ok(parse(&p, &fake.sent[0]) && fake.sent[0].len == max + 14 &&
	   p.kind == (v4 ? PKT_ICMP4 : PKT_ICMP6) && p.ttl == 255 &&
	   ntohl(p.icmp.word) == 1300 && p.icmp.code == 4 &&
	   !memcmp(p.payload.p, data, p.payload.len),
	   "an ICMP error quotes as much as the RFC wants");
	ok(!fake.sent[0].csum_partial, "an ICMP error has a complete checksum");
	fake.n = 0;
	view_cut(&quoted, 28);
	frame_send_icmp_error(&fake.tap, &a, 3, 4, 0, &quoted);
	ok(parse(&p, &fake.sent[0]) && p.payload.len == 28,
	   "an ICMP error quotes all of a short packet");

	fake.n = 0;
	ok(frame_send_l4(&fake.tap, &a, 253, data, 9, (size_t)-1) &&
	   parse(&p, &fake.sent[0]) && p.kind == PKT_OTHER_L4 && p.payload.len == 9 &&
	   !memcmp(p.payload.p, data, 9),
	   "a message without a checksum field is sent");
}

int main(void)
{
	unsigned i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 % 251);
	inany_pton("198.51.100.1", &src4);
	inany_pton("203.0.113.2", &dst4);
	inany_pton("2001:db8::1", &src6);
	inany_pton("2001:db8:1::2", &dst6);
	for (i = 0; i < 2; i++) {
		tcp_frames(i);
		udp_frames(i);
		sum_of_zero(i);
		fragments(i);
		icmp_errors(i);
	}
	return done();
}
