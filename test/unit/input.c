/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of a guest reach the protocol they belong to, and addresses are learned
 *
 * Frames are made by frame.c, parsed, and handed over; a fake tap keeps the replies.
 * Echo requests go through real ping sockets to the loopback, if the system allows
 * these.
 */

#include "input.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_tap.h"
#include "frame.h"
#include "icmp.h"
#include "ndp.h"
#include "net.h"
#include "own_net.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"

static struct input in;
static struct tcp tcp;
static struct udp udp;
static struct udp_io io;
static struct icmp icmp;
static struct conf conf;
static struct hostnet hostnet;
static struct dns dns;
static struct guest guest;
static struct flow_table flows;
static struct loop loop;
static struct fake_tap fake, wire;
static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 5 };
static uint8_t mac_now = 5;

static bool is_addr(const union inany *a, const char *s)
{
	union inany b = addr(s);

	return inany_equals(a, &b);
}

static void setup(void)
{
	static const uint64_t key[2] = { 1, 2 };

	conf = (struct conf){ .our_mac = CONF_MAC_DEFAULT };
	hostnet = both_families();
	flow_init(&flows, key);
	loop_init(&loop);
	fake_tap_init(&fake, 0, 1500);
	fake_tap_init(&wire, 0, 1500);
	udp_init(&udp, &conf, &hostnet, &guest, &dns, &flows, &fake.tap, &loop,
		 &io, NULL, NULL);
	icmp_init(&icmp, &conf, &hostnet, &guest, &dns, &flows, &fake.tap,
		  &loop);
	input_init(&in, &conf, &hostnet, &guest, &dns, &fake.tap, &loop, &tcp,
		   &udp, &icmp);
}

/* Make a packet of the guest in @wire */
static void make(const char *src, const char *dst, uint8_t proto, void *l4,
		 size_t len, uint8_t ttl)
{
	union inany from = addr(src), to = addr(dst);
	struct frame_addr a = { .src_mac = mac, .dst_mac = conf.our_mac,
				.src = &from, .dst = &to, .ttl = ttl };

	frame_send_l4(&wire.tap, &a, proto, l4, len,
		      proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 ? 2 :
		      (size_t)-1);
}

static void make_udp(const char *src, const char *dst, uint16_t dport,
		     size_t len)
{
	static uint8_t data[3000];
	union inany from = addr(src), to = addr(dst);
	struct frame_addr a = { .src_mac = mac, .dst_mac = conf.our_mac,
				.src = &from, .dst = &to };

	frame_send_udp(&wire.tap, &a, 33333, dport, data, len);
}

static void make_arp(const char *sender, const char *target)
{
	struct { struct eth_hdr eth; struct arp_msg arp; } f = {
		.eth.type = htons(ETHERTYPE_ARPV4),
		.arp = { .htype = htons(1), .ptype = htons(0x0800), .hlen = 6,
			 .plen = 4, .op = htons(1) },
	};

	memcpy(f.eth.src, mac, 6);
	memset(f.eth.dst, 0xff, 6);
	memcpy(f.arp.sha, mac, 6);
	inet_pton(AF_INET, sender, f.arp.spa);
	inet_pton(AF_INET, target, f.arp.tpa);
	tap_send_one(&wire.tap, &f, sizeof(f));
}

static void make_echo(const char *src, const char *dst, uint16_t id, size_t len)
{
	static uint8_t b[65000];
	struct icmp_hdr h = { .echo.id = htons(id), .echo.seq = htons(7) };
	bool v4 = strchr(src, '.');

	h.type = v4 ? ICMP4_ECHO : ICMP6_ECHO;
	memcpy(b, &h, sizeof(h));
	make(src, dst, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, b, sizeof(h) + len,
	     64);
}

/* Hand over all frames that were made, in one batch; forget earlier replies */
static void deliver(void)
{
	static struct pkt p[FAKE_FRAMES];
	unsigned i;

	for (i = 0; i < wire.n; i++) {
		wire.sent[i].b[11] = mac_now;
		if (fake_parse(&p[i], wire.sent[i].b, wire.sent[i].len, NULL))
			printf("# packet %u is refused\n", i);
	}
	fake.n = 0;
	input_batch(&in, p, wire.n);
	wire.n = 0;
}

static bool sent(unsigned i, struct pkt *p)
{
	return i < fake.n &&
	       !fake_parse(p, fake.sent[i].b, fake.sent[i].len, NULL);
}

static void test_learn(void)
{
	static const uint8_t broadcast[6] = MAC_BROADCAST;

	ok(!guest.mac_known && !memcmp(guest.mac, broadcast, 6),
	   "a guest that never spoke is reached by broadcast");
	ok(is_addr(&guest.addr4, "198.51.100.5"),
	   "a guest that never spoke has the assigned address");

	make_arp("198.51.100.7", "198.51.100.1");
	deliver();
	ok(guest.mac_known && !memcmp(guest.mac, mac, 6),
	   "the MAC address is learned from ARP");
	ok(is_addr(&guest.addr4, "198.51.100.7"),
	   "the IPv4 address is learned from ARP");
	mac_now = 9;
	make_udp("fe80::5", "ff02::fb", 5353, 1);
	make_udp("2001:db8::6", "ff02::fb", 5353, 1);
	make_udp("198.51.100.8", "224.0.0.251", 5353, 1);
	make_udp("0.0.0.0", "255.255.255.255", 67, 1);
	deliver();
	ok(is_addr(&guest.addr6_ll, "fe80::5") &&
	   is_addr(&guest.addr6, "2001:db8::6"), "IPv6 addresses are learned");
	ok(is_addr(&guest.addr4, "198.51.100.7"),
	   "a second IPv4 address does not replace the first");
	mac_now = 5;
}

static void make_ns(const char *src, const char *target)
{
	struct { struct icmp_hdr h; struct in6_addr target; } ns = {
		.h.type = NDP_NS, .target = addr(target).a6,
	};

	make(src, "ff02::1:ff00:1", IPPROTO_ICMPV6, &ns, sizeof(ns), 255);
}

/* Let @ms go by, with requests for addresses: how many, for the last one @p */
static unsigned asked(uint64_t ms, struct pkt *p)
{
	uint64_t end = loop.now_ms + ms;
	struct timer *t;
	unsigned n = 0;

	while (loop.now_ms < end) {
		loop.now_ms += 100;
		fake.n = 0;
		while ((t = wheel_expire(&loop.wheel, loop.now_ms)))
			if (t->ref.kind == REF_INPUT)
				input_timer(&in, t->ref);
			else
				udp_timer(&udp, flow_from_ref(&flows, t->ref));
		if (fake.n && sent(0, p) && (p->kind == PKT_ARP ||
					     p->icmp.type == NDP_NS))
			n++;
	}
	return n;
}

static void test_asked(void)
{
	struct pkt p;

	make_arp("198.51.100.7", "198.51.100.1");
	make_udp("203.0.113.5", "224.0.0.251", 5353, 1);
	deliver();
	ok(asked(500, &p) == 1 && p.kind == PKT_ARP &&
	   !memcmp(p.arp.tpa, &guest.addr4.v4mapped.a4, 4),
	   "a stray source has the known address asked for by ARP");
	make_arp("198.51.100.7", "198.51.100.1");
	deliver();
	is(asked(9000, &p), 0,
	   "a frame from the known address answers the request");
	make_udp("2001:db8::8", "ff02::fb", 5353, 1);
	deliver();
	ok(asked(500, &p) == 1 && p.kind == PKT_ICMP6 &&
	   !memcmp(p.payload.p, &guest.addr6.a6, 16),
	   "a stray IPv6 source has the known address asked for by NS");
	is(asked(9000, &p), 2,
	   "a known address that is silent is asked for three times");
	ok(is_addr(&guest.addr6, "2001:db8::8"),
	   "after three requests the other address is known");
	make_ns("::", "2001:db8::5");
	deliver();
	ok(is_addr(&guest.addr6, "2001:db8::5"),
	   "duplicate address detection announces an address");
	make_ns("fe80::5", "2001:db8::9");
	deliver();
	is(asked(9000, &p), 0,
	   "a neighbour solicitation does not announce its target");
}

static void test_not_learned(void)
{
	uint64_t dropped = in.dropped;
	unsigned before = flows.count;

	make_udp("198.51.100.1", "203.0.113.9", 9, 1);
	make_udp("fe80::1", "2001:db8:9::9", 9, 1);
	make_arp("198.51.100.1", "198.51.100.9");
	deliver();
	is(in.dropped, dropped + 3,
	   "frames with the address of the gateway are dropped");
	ok(is_addr(&guest.addr4, "198.51.100.7") &&
	   is_addr(&guest.addr6_ll, "fe80::5"),
	   "the address of the gateway is not learned");
	is(flows.count, before,
	   "frames with the address of the gateway start no flow");
	mac_now = 0x55;
	make_arp("0.0.0.0", "198.51.100.1");
	deliver();
	is(fake.n, 1, "an ARP probe is answered");
	ok(is_addr(&guest.addr4, "198.51.100.7"),
	   "the sender of an ARP probe is not learned");
	mac_now = 5;
}

static void test_link(void)
{
	struct { struct icmp_hdr h; struct in6_addr target; } ns = {
		.h.type = NDP_NS,
	};
	struct icmp_hdr rs = { .type = NDP_RS }, mld = { .type = 143 };
	struct pkt p;

	ns.target = addr("2001:db8::1").a6;
	make_arp("198.51.100.5", "198.51.100.1");
	make("2001:db8::5", "ff02::1:ff00:1", IPPROTO_ICMPV6, &ns, sizeof(ns),
	     255);
	make("fe80::5", "ff02::2", IPPROTO_ICMPV6, &rs, sizeof(rs), 255);
	make("fe80::5", "ff02::16", IPPROTO_ICMPV6, &mld, sizeof(mld), 1);
	deliver();
	is(fake.n, 3, "requests about the link are answered, reports are not");
	ok(sent(0, &p) && p.kind == PKT_ARP &&
	   !memcmp(p.eth.dst, mac, 6) && !memcmp(p.eth.src, conf.our_mac, 6) &&
	   p.arp.op == htons(2), "ARP is answered by ARP");
	ok(sent(1, &p) && p.kind == PKT_ICMP6 && p.icmp.type == NDP_NA &&
	   p.ttl == 255, "NS is answered by NA");
	ok(sent(2, &p) && p.kind == PKT_ICMP6 && p.icmp.type == NDP_RA &&
	   p.ttl == 255, "RS is answered by RA");
	fake.n = 0;
}

/* --- services ------------------------------------------------------------- */

static void make_datagram(const char *src, const char *dst, uint16_t dport,
			  const void *data, size_t len)
{
	union inany from = addr(src), to = addr(dst);
	struct frame_addr a = { .src_mac = mac, .dst_mac = conf.our_mac,
				.src = &from, .dst = &to };

	frame_send_udp(&wire.tap, &a, 546, dport, data, len);
}

static void test_dhcpv6(void)
{
	static const uint8_t ask[] = { DHCP6_INFO_REQUEST, 1, 2, 3 };
	uint64_t dropped = in.dhcpv6_dropped;
	unsigned before = flows.count;
	struct pkt p;

	make_datagram("fe80::5", "ff02::1:2", 547, ask, sizeof(ask));
	deliver();
	ok(fake.n == 1 && sent(0, &p) && p.kind == PKT_UDP &&
	   p.udp.sport == htons(547) && p.udp.dport == htons(546) &&
	   is_addr(&p.src, "fe80::1") && is_addr(&p.dst, "fe80::5") &&
	   !memcmp(p.eth.dst, mac, 6), "an information request is answered");
	make_datagram("fe80::5", "ff02::1:2", 547, "x", 1);
	make_datagram("fe80::5", "fe80::1", 547, ask, sizeof(ask));
	make_datagram("2001:db8::5", "2001:db8::1", 547, ask, sizeof(ask));
	deliver();
	is(in.dhcpv6_dropped, dropped + 3,
	   "other DHCPv6 messages are dropped and counted");
	conf.no_dhcpv6 = true;
	make_datagram("fe80::5", "ff02::1:2", 547, ask, sizeof(ask));
	deliver();
	conf.no_dhcpv6 = false;
	is(in.dhcpv6_dropped, dropped + 4,
	   "--no-dhcpv6: an information request is dropped and counted");
	is(fake.n, 0, "--no-dhcpv6: nothing is sent");
	is(flows.count, before, "DHCPv6 messages start no flow");
}

static void test_dhcp(void)
{
	static const char *const to[] = {
		"255.255.255.255", "198.51.100.255", "198.51.100.1" };
	uint64_t dropped = in.dhcp_dropped;
	unsigned i, before = flows.count;

	for (i = 0; i < 6; i++) {
		conf.no_dhcp = i >= 3;
		make_datagram(i % 3 < 2 ? "0.0.0.0" : "198.51.100.7", to[i % 3],
			      67, "x", 1);
		deliver();
	}
	conf.no_dhcp = false;
	is(in.dhcp_dropped, dropped + 6,
	   "malformed DHCP requests are dropped and counted, with --no-dhcp all");
	is(flows.count, before, "DHCP requests start no flow");
	ok(is_addr(&guest.addr4, "198.51.100.5"), "0.0.0.0 is not learned");
}

/* Datagrams between DHCP requests are handed on, in one batch */
static void test_between(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), n = 0;
	struct pollfd pfd = { .fd = s, .events = POLLIN };
	uint64_t dropped = in.dhcp_dropped;
	char b[8];

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(s, (struct sockaddr *)&sa, len) ||
	    getsockname(s, (struct sockaddr *)&sa, &len))
		perror("# bind");
	make_udp("198.51.100.7", "198.51.100.1", ntohs(sa.sin_port), 1);
	make_udp("198.51.100.7", "198.51.100.1", ntohs(sa.sin_port), 2);
	make_udp("198.51.100.7", "198.51.100.1", 67, 1);
	make_udp("198.51.100.7", "198.51.100.1", ntohs(sa.sin_port), 3);
	make_udp("198.51.100.7", "198.51.100.1", 67, 1);
	deliver();
	do
		poll(&pfd, 1, n < 3 ? 5000 : 0);
	while (recv(s, b, sizeof(b), 0) == n + 1 && ++n);
	is(n, 3, "datagrams between requests arrive, in order");
	is(in.dhcp_dropped, dropped + 2,
	   "DHCP requests between datagrams reach the service");
	close(s);
}

/* --- unsolicited advertisements ---------------------------------------------- */

static struct input ra_in;
static struct loop ra_loop;
static struct guest ra_guest;

static void ra_setup(void)
{
	memset(&ra_in, 0, sizeof(ra_in));
	memset(&ra_loop, 0, sizeof(ra_loop));
	ra_loop.now_ms = 1000000;
	wheel_init(&ra_loop.wheel, ra_loop.now_ms);
	input_init(&ra_in, &conf, &hostnet, &ra_guest, &dns, &fake.tap,
		   &ra_loop, &tcp, &udp, &icmp);
	fake.n = 0;
}

/* Let @ms go by. Return: how many advertisements went out */
static unsigned ra_after(uint64_t ms)
{
	uint64_t end = ra_loop.now_ms + ms;
	struct timer *t;
	unsigned n = 0;

	while (wheel_next(&ra_loop.wheel) >= 0 &&
	       (uint64_t)wheel_next(&ra_loop.wheel) <= end) {
		ra_loop.now_ms = (uint64_t)wheel_next(&ra_loop.wheel);
		while ((t = wheel_expire(&ra_loop.wheel, ra_loop.now_ms))) {
			if (t->ref.kind == REF_INPUT)
				input_timer(&ra_in, t->ref);
			n += fake.n;
			fake.n = 0;
		}
	}
	ra_loop.now_ms = end;
	wheel_expire(&ra_loop.wheel, end);	/* none, but as loop_wait() does */
	return n;
}

static void ra_frame(uint8_t last)
{
	struct pkt p;

	make_arp("198.51.100.5", "198.51.100.9");
	wire.sent[0].b[11] = last;
	if (!fake_parse(&p, wire.sent[0].b, wire.sent[0].len, NULL))
		input_batch(&ra_in, &p, 1);
	wire.n = fake.n = 0;
}

static void test_ra_times(void)
{
	unsigned i;

	ra_setup();
	is(ra_after(100), 1,
	   "a router advertises itself to all nodes at start");
	is(ra_after(40000), 2, "two more advertisements follow within 40 s");
	is(ra_after(3600000), 6,
	   "advertisements become less frequent in the next hour");
	ra_after(100000000);
	for (i = 0; i < 10; i++)
		if (!ra_after(65535000 / 2))
			break;
	is(i, 10, "an advertisement is sent in each half of the lifetime");
	ok(ra_after(65535000) <= 3,
	   "at most three advertisements are sent in one lifetime");
	input_advertise_router(&ra_in);
	is(ra_after(100), 1, "a change is advertised at once");
	is(ra_after(40000), 2, "a change is advertised twice more");
}

static void test_ra_guests(void)
{
	unsigned i, n;

	ra_setup();
	ra_after(1000000);
	ra_frame(1);
	is(ra_after(100), 1, "a new guest gets an advertisement at once");
	ra_frame(2);
	is(ra_after(100), 0, "the next new guest gets none at once");
	is(ra_after(3000), 1,
	   "the next new guest gets one after three seconds");
	ra_after(1000000);
	for (i = n = 0; i < 20; i++) {
		ra_frame(1 + i % 2);
		n += ra_after(4000);
	}
	ok(n <= 1, "guests that were there before cause no advertisement");
}

static void test_ra_off(void)
{
	conf.no_ra = true;
	ra_setup();
	is(wheel_next(&ra_loop.wheel), -1,
	   "--no-ra: no timer is armed at start");
	ra_frame(1);
	input_advertise_router(&ra_in);
	is(wheel_next(&ra_loop.wheel), -1,
	   "--no-ra: new guests and changes arm no timer");
	conf.no_ra = false;
}

static void test_other(void)
{
	uint8_t gre[8] = { 0 };
	struct pkt p;

	loop.now_ms += 1000;
	make("198.51.100.5", "203.0.113.9", IPPROTO_GRE, gre, sizeof(gre), 64);
	make("198.51.100.5", "203.0.113.9", IPPROTO_GRE, gre, sizeof(gre), 64);
	deliver();
	ok(fake.n == 1 && sent(0, &p) && p.kind == PKT_ICMP4 &&
	   p.icmp.type == ICMP4_UNREACH &&
	   p.icmp.code == ICMP4_UNREACH_PROTO &&
	   is_addr(&p.src, "203.0.113.9"),
	   "an unknown protocol gets one ICMP error within the interval");
	loop.now_ms += 1000;
	make("2001:db8::5", "2001:db8:9::9", IPPROTO_GRE, gre, sizeof(gre), 64);
	deliver();
	ok(fake.n == 1 && sent(0, &p) && p.kind == PKT_ICMP6 &&
	   p.icmp.type == ICMP6_UNREACH,
	   "an unknown protocol over IPv6 gets an ICMPv6 error");
	loop.now_ms += 1000;
	make("198.51.100.5", "224.0.0.1", IPPROTO_IGMP, gre, sizeof(gre), 1);
	deliver();
	is(fake.n, 0, "an unknown protocol to a group gets no error");
}

/* A datagram in two fragments reaches a socket as one */
static void test_fragments(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct pollfd pfd = { .fd = s, .events = POLLIN };
	static uint8_t buf[4000];

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(s, (struct sockaddr *)&sa, len) ||
	    getsockname(s, (struct sockaddr *)&sa, &len))
		perror("# bind");
	make_udp("198.51.100.5", "198.51.100.1", ntohs(sa.sin_port), 2500);
	is(wire.n, 2, "a large datagram is two fragments");
	deliver();
	poll(&pfd, 1, 5000);
	is(recv(s, buf, sizeof(buf), 0), 2500,
	   "a fragmented datagram leaves as one");
	close(s);
}

/* Handle events until the guest was sent a frame, and there are no more */
static void turn(void)
{
	struct epoll_event ev[8];
	int i, n;

	while ((n = epoll_wait(loop.epfd, ev, 8, fake.n ? 20 : 5000)) > 0) {
		for (i = 0; i < n; i++) {
			union epoll_ref ref = { .u64 = ev[i].data.u64 };
			struct flow *f = flow_from_ref(&flows, ref);

			if (f && ref.kind == REF_ICMP)
				icmp_sock_event(&icmp, f, ref.side,
						ev[i].events);
		}
	}
}

static void echo(const char *src, const char *gw, uint16_t id, size_t size)
{
	bool v4 = strchr(src, '.');
	struct pkt p;

	make_echo(src, gw, id, size);
	deliver();
	turn();
	if (!sent(0, &p)) {
		ok(false, "an echo request is answered");
		return;
	}
	ok(p.kind == (v4 ? PKT_ICMP4 : PKT_ICMP6) &&
	   p.icmp.type == (v4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY_) &&
	   p.payload.len == size, "an echo request is answered");
	ok(is_addr(&p.src, gw) && is_addr(&p.dst, src),
	   "an echo reply comes from the pinged address");
	ok(ntohs(p.icmp.echo.id) == id && ntohs(p.icmp.echo.seq) == 7,
	   "an echo reply has identifier and sequence");
}

static unsigned flows_after(uint64_t ms)
{
	struct timer *t;

	loop.now_ms += ms;
	while ((t = wheel_expire(&loop.wheel, loop.now_ms))) {
		struct flow *f = flow_from_ref(&flows, t->ref);

		if (t->ref.kind == REF_INPUT)
			input_timer(&in, t->ref);
		else if (t->ref.kind == REF_ICMP)
			icmp_timer(&icmp, f);
		else
			udp_timer(&udp, f);
	}
	return flows.count;
}

static void test_echo(void)
{
	int s = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);

	flows_after(1000000);
	if (s < 0) {
		make_echo("198.51.100.5", "198.51.100.1", 77, 56);
		deliver();
		ok(icmp.warned, "a closed ping_group_range is logged");
		is(fake.n, 1,
		   "a closed ping_group_range is reported to the guest");
		printf("ok %d - echo # SKIP no ping sockets here\n",
		       ++tap_count);
		return;
	}
	close(s);
	echo("198.51.100.5", "198.51.100.1", 77, 56);
	echo("198.51.100.5", "198.51.100.1", 77, 1400);
	is(flows.count, 1, "echo requests of one identifier are one flow");
	echo("198.51.100.6", "198.51.100.1", 77, 56);
	is(flows.count, 2, "an identifier of another address is another flow");
	echo("2001:db8::5", "2001:db8::1", 77, 56);
	echo("2001:db8::5", "2001:db8::1", 0, 0);
	is(flows_after(50000), 4, "echo flows live for 50 s");
	is(flows_after(30000), 0, "echo flows end after a minute");
	conf.no_icmp = true;
	make_echo("198.51.100.5", "198.51.100.1", 77, 56);
	deliver();
	ok(!fake.n && !flows.count, "--no-icmp: echo requests are dropped");
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		printf("# %s: not written\n", path);
	close(fd);
}

/* A network namespace of our own, if we may, where ping sockets are allowed */
static void own_network(void)
{
	gid_t gid = getgid();
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", (unsigned)getuid());
	if (!own_net())
		return;
	put_file("/proc/self/uid_map", map);
	put_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
	put_file("/proc/self/gid_map", map);
	put_file("/proc/sys/net/ipv4/ping_group_range", "0 0");
}

int main(void)
{
	own_network();
	setup();
	test_learn();
	test_asked();
	test_not_learned();
	test_link();
	test_dhcpv6();
	test_dhcp();
	test_between();
	test_ra_times();
	test_ra_guests();
	test_ra_off();
	test_other();
	test_fragments();
	test_echo();
	return done();
}
