/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams between a guest made of frames and real sockets on the loopback
 *
 * The guest dials the gateway, which stands for the host's loopback; its
 * frames are made by frame.c and parsed again, a fake tap keeps those to it.
 */

#include "udp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_tap.h"
#include "frag.h"
#include "frame.h"
#include "net.h"
#include "own_net.h"
#include "tap.h"
#include "udp_port.h"

#define GPORT	33333
#define LONG_MS	5000			/* something is to come */
#define SHORT_MS	20		/* nothing is to come any more */

static struct udp udp;
static struct udp_io io;
static struct conf conf;
static struct hostnet hostnet;
static struct dns dns;
static struct guest guest;
static struct flow_table flows;
static struct loop loop;
static struct fake_tap fake, wire;
static struct frag_pool frags;
static uint8_t data[65535], buf[65535];
static bool v4;

static const char *gateway(void)
{
	return v4 ? "198.51.100.1" : "2001:db8::1";
}

static void setup(unsigned caps, unsigned mtu)
{
	static const uint64_t key[2] = { 1, 2 };

	conf = (struct conf){ .our_mac = CONF_MAC_DEFAULT };
	hostnet = both_families();
	memset(&flows, 0, sizeof(flows));
	flow_init(&flows, key);
	loop_init(&loop);
	fake_tap_init(&fake, caps, mtu);
	memset(&udp, 0, sizeof(udp));
	udp_init(&udp, &conf, &hostnet, &guest, &dns, &flows, &fake.tap, &loop,
		 &io, NULL, NULL);
}

static void teardown(void)
{
	uint32_t i;

	loop.now_ms += 1000000;
	for (i = 0; i < flows.high; i++)
		if (flow_at(&flows, i))
			udp_timer(&udp, flow_at(&flows, i));
	close(loop.epfd);
}

/* Flows with a peer, without the ports that they use */
static unsigned peers(void)
{
	unsigned n = 0;
	uint32_t i;

	for (i = 0; i < flows.high; i++) {
		struct flow *f = flow_at(&flows, i);

		n += f && udp_life(f)->kind == UDP_PEER;
	}
	return n;
}

/* A socket of the host on its loopback; @port is set where it is 0 */
static int server(uint16_t *port)
{
	union inany lo = addr(v4 ? "127.0.0.1" : "::1");
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&lo, *port, 0, &sa);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int size = 1 << 22;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, &sa.sa, len) || getsockname(fd, &sa.sa, &len))
		perror("# bind");
	*port = ntohs(sa.sin.sin_port);
	return fd;
}

/* Bytes received, -1 if there are none yet; @from gets the sender */
static ssize_t get_now(int fd, uint16_t *from)
{
	union sockaddr_inany sa;
	socklen_t len = sizeof(sa);
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, &sa.sa, &len);

	if (n >= 0)
		*from = ntohs(sa.sin.sin_port);
	return n;
}

static bool wait_in(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, LONG_MS) > 0;
}

/* Wait for a datagram, as get_now() */
static ssize_t get(int fd, uint16_t *from)
{
	wait_in(fd);
	return get_now(fd, from);
}

static bool put(int fd, uint16_t to, size_t len)
{
	union inany lo = addr(v4 ? "127.0.0.1" : "::1");
	union sockaddr_inany sa;
	socklen_t salen = inany_to_sockaddr(&lo, to, 0, &sa);

	return sendto(fd, data, len, 0, &sa.sa, salen) == (ssize_t)len;
}

/* A packet of the guest; @k: where it is kept */
static struct pkt packet(unsigned k, const char *dst, uint16_t sport,
			 uint16_t dport, size_t len, uint16_t gso_size)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 5 };
	union inany from = v4 ? hostnet.ip4.addr : hostnet.ip6.addr, to = addr(dst);
	struct frame_addr a = { .src_mac = mac, .dst_mac = conf.our_mac,
				.src = &from, .dst = &to };
	struct rx_offload off;
	struct txframe *f;
	unsigned n = 1;
	struct pkt p;

	if (!k)
		fake_tap_init(&wire, TAP_CSUM | TAP_USO | TAP_JUMBO, 65520);
	f = tap_reserve(&wire.tap, &n, frame_l3_hdrlen(v4) + 8, len);
	memcpy(f->payload.p, data, len);
	f->len = len;
	frame_fill_udp(&wire.tap, f, &a, sport, dport, gso_size);
	tap_commit(&wire.tap, 1);
	off = fake_offload(&wire.sent[k]);
	if (fake_parse(&p, wire.sent[k].b, wire.sent[k].len, &off))
		printf("# packet is refused\n");
	return p;
}

static void guest_sends(const char *dst, uint16_t sport, uint16_t dport,
			size_t len)
{
	struct pkt p = packet(0, dst, sport, dport, len, 0);

	udp_tap_input(&udp, &p, 1);
}

/* Datagrams or fragments that the guest was sent */
static unsigned sent_count(void)
{
	unsigned i, n = 0;

	for (i = 0; i < fake.n; i++) {
		const struct fake_frame *f = &fake.sent[i];
		size_t len = f->len - frame_l3_hdrlen(v4) - 8;

		n += f->gso_type ? (len + f->gso_size - 1) / f->gso_size : 1;
	}
	return n;
}

/* Handle events until there are none. As long as the guest was sent less than @n
 * datagrams or fragments, the next one is waited for */
static void turn(unsigned n)
{
	struct epoll_event ev[8];
	int i, got;

	while ((got = epoll_wait(loop.epfd, ev, 8, sent_count() < n ?
				 LONG_MS : SHORT_MS)) > 0) {
		for (i = 0; i < got; i++) {
			union epoll_ref ref = { .u64 = ev[i].data.u64 };
			struct flow *f = flow_from_ref(&flows, ref);

			if (f)
				udp_sock_event(&udp, f, ref.side,
					       ev[i].events);
		}
	}
}

/* Parse a frame that the tap was given */
static bool sent(unsigned i, struct pkt *p)
{
	struct rx_offload off = fake_offload(&fake.sent[i]);

	return i < fake.n &&
	       !fake_parse(p, fake.sent[i].b, fake.sent[i].len, &off);
}

/* Is it a datagram from the gateway to the guest? */
static bool is_reply(const struct pkt *p, uint16_t sport, size_t len)
{
	union inany gw = addr(gateway());

	return p->kind == PKT_UDP && inany_equals(&p->src, &gw) &&
	       inany_equals(&p->dst,
			    v4 ? &hostnet.ip4.addr : &hostnet.ip6.addr) &&
	       ntohs(p->udp.sport) == sport && ntohs(p->udp.dport) == GPORT &&
	       p->payload.len == len;
}

/* The first flow, not a port */
static struct flow *flow_that_is_one(void)
{
	struct flow *f = NULL;

	while ((f = flow_next(&flows, f)))
		if (!f->shared)
			return f;
	return NULL;
}

static void test_both_ways(void)
{
	static const size_t sizes[] = { 1, 0, 1200, 65000 };
	uint16_t port = 0, from = 0;
	struct flow *f;
	struct pkt p;
	unsigned i;
	int s;

	setup(TAP_CSUM | TAP_JUMBO, 1500);
	s = server(&port);
	for (i = 0; i < 4; i++) {
		guest_sends(gateway(), GPORT, port, sizes[i]);
		is(get(s, &from), sizes[i], "a datagram comes out");
		ok(!memcmp(buf, data, sizes[i]),
		   "a datagram has the guest's bytes");
		is(from, GPORT, "a datagram comes from the guest's port");
		fake.n = 0;
		put(s, from, sizes[i]);
		turn(1);
		ok(fake.n == 1 && sent(0, &p) && is_reply(&p, port, sizes[i]) &&
		   !memcmp(p.payload.p, data, sizes[i]), "the answer comes back");
	}
	guest_sends(gateway(), GPORT, port, v4 ? 65507 : 65527);
	is(get(s, &from), v4 ? 65507 : 65527, "the largest datagram comes out");
	is(get_now(s, &from), -1, "the largest datagram comes out once");
	is(peers(), 1, "all datagrams to a peer are one flow");
	f = flow_that_is_one();
	is(f->bytes[FROM_GUEST], 1 + 1200 + 65000 + (v4 ? 65507 : 65527),
	   "bytes of the guest are counted");
	is(f->bytes[TO_GUEST], 1 + 1200 + 65000, "bytes of the peer are counted");
	ok(!f->rule_gen, "a flow that the guest began has no rule");
	is(flows.live[FLOW_DATAGRAM][FLOW_TAP], 1,
	   "the socket of the guest's port is no flow");
	is(flows.pool[FLOW_FDS].held[FLOW_DATAGRAM], 1,
	   "all datagrams of a port take one descriptor");
	close(s);
	teardown();
}

static void test_segments(void)
{
	uint16_t port = 0, from = 0;
	struct pkt p[6];
	unsigned i;
	int s;

	setup(TAP_CSUM | TAP_JUMBO, 1500);
	s = server(&port);
	p[0] = packet(0, gateway(), GPORT, port, 64900, 1000);
	udp_tap_input(&udp, p, 1);
	for (i = 0; i < 64; i++)
		if (get(s, &from) != 1000 || memcmp(buf, data + i * 1000, 1000))
			break;
	is(i, 64, "an unsegmented frame comes out as datagrams");
	is(get(s, &from), 900, "the last datagram of a frame is shorter");
	is(get_now(s, &from), -1, "no datagram follows the last one of a frame");

	for (i = 0; i < 6; i++)
		p[i] = packet(i, gateway(), GPORT, port,
			      (const size_t[]){ 9, 9, 5, 0, 9, 12 }[i], 0);
	udp_tap_input(&udp, p, 6);
	for (i = 0; i < 6; i++)
		is(get(s, &from), ((const int[]){ 9, 9, 5, 0, 9, 12 })[i],
		   "sizes of datagrams in a row are kept");

	for (i = 0; i < 6; i++)
		p[i] = packet(i, gateway(), GPORT, port, 30000, 0);
	udp_tap_input(&udp, p, 6);
	for (i = 0; i < 6; i++)
		is(get(s, &from), 30000, "sizes of large datagrams are kept");
	close(s);
	teardown();
}

static void test_refused(void)
{
	uint16_t port = 0;
	struct udp_hdr h;
	struct pkt p;

	setup(TAP_CSUM | TAP_JUMBO, 1500);
	close(server(&port));
	guest_sends(gateway(), GPORT, port, 100);
	turn(1);
	ok(fake.n == 1 && sent(0, &p) && p.kind == (v4 ? PKT_ICMP4 : PKT_ICMP6),
	   "a closed port is an ICMP error");
	is(p.icmp.type << 8 | p.icmp.code, v4 ? 0x0303 : 0x0104,
	   "a closed port is told as port unreachable");
	memcpy(&h, p.payload.p + (v4 ? 20 : 40), sizeof(h));
	ok(ntohs(h.sport) == GPORT && ntohs(h.dport) == port,
	   "the ICMP error quotes the guest's datagram");
	ok(!memcmp(p.payload.p + (v4 ? 12 : 8), wire.sent[0].b + (v4 ? 26 : 22),
		   v4 ? 8 : 32),
		   "the ICMP error has the addresses that the guest used");

	fake.n = 0;
	guest_sends(gateway(), GPORT, port, 100);
	turn(1);
	ok(fake.n == 1 && sent(0, &p) && p.kind != PKT_UDP,
	   "each datagram to a closed port gets an ICMP error");

	fake.n = 0;
	guest_sends(gateway(), port, port, 100);
	turn(1);
	ok(fake.n == 1 && sent(0, &p) && p.kind != PKT_UDP,
	   "no socket is its own peer, even if ports are the same");
	teardown();
}

/* Three datagrams of the host over the MTU and one within arrive at the guest */
static void test_fragments(void)
{
	static const size_t sizes[] = { 3000, 100, 65000, 2000 };
	uint16_t port = 0, from = 0;
	unsigned i, next = 0;
	struct pkt p;
	int s;

	setup(0, 1280);
	s = server(&port);
	guest_sends(gateway(), GPORT, port, 1);
	get(s, &from);
	for (i = 0; i < 4; i++)
		put(s, from, sizes[i]);
	turn(v4 ? 58 : 59);
	for (i = 0; i < fake.n; i++) {
		const struct pkt *q = &p;

		if (!sent(i, &p))
			continue;
		if (p.kind == PKT_FRAGMENT)
			q = frag_add(&frags, &p, 0);
		if (q && next < 4 && is_reply(q, port, sizes[next]) &&
		    !memcmp(q->payload.p, data, q->payload.len))
			next++;
	}
	ok(fake.n > 4, "without large frames there are fragments");
	is(next, 4, "fragments make all datagrams, in order");
	close(s);
	teardown();
}

/* Datagrams with a device that takes unsegmented frames: sizes as they come */
static void test_pack(void)
{
	static const uint16_t sizes[] = {
		700, 700, 700, 700, 700, 700, 700, 700, 700, 300,
		700, 0, 700, 65000, 700, 800, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
	};
	const unsigned n = sizeof(sizes) / sizeof(sizes[0]);
	uint16_t port = 0, from = 0;
	unsigned round, i, frames = 0;
	bool good = true;
	int s;

	setup(TAP_CSUM | TAP_USO | TAP_JUMBO, 1500);
	s = server(&port);
	guest_sends(gateway(), GPORT, port, 1);
	get(s, &from);
	for (round = 0; round < 20; round++) {
		unsigned next = 0;
		struct pkt p;

		for (i = 0; i < n; i++)
			put(s, from, sizes[i]);
		fake.n = 0;
		turn(n);
		frames += fake.n;
		for (i = 0; i < fake.n; i++) {
			size_t size, off = 0;

			if (!sent(i, &p) || !is_reply(&p, port, p.payload.len))
				break;
			size = p.off.gso_type ? p.off.gso_size : p.payload.len;
			do {
				size_t left = p.payload.len - off;
				size_t len = left < size ? left : size;

				good &= next < n && sizes[next++] == len &&
					!memcmp(p.payload.p + off, data, len);
				off += len;
			} while (off < p.payload.len);
		}
		good &= next == n;
	}
	ok(good, "datagrams keep their sizes and their order");
	ok(frames < 20 * n, "some datagrams travel together");
	close(s);
	teardown();
}

static void test_no_room(void)
{
	uint16_t port = 0, from = 0;
	struct epoll_event ev;
	struct pkt p;
	int s;

	setup(0, 1500);
	s = server(&port);
	guest_sends(gateway(), GPORT, port, 1);
	get(s, &from);
	fake.room = 0;
	put(s, from, 10);
	put(s, from, 20);
	wait_in(loop.epfd);
	turn(0);
	is(fake.n, 0, "without room no datagram goes");
	is(epoll_wait(loop.epfd, &ev, 1, 0), 0, "without room no event spins");
	fake.room = FAKE_FRAMES;
	udp_tap_writable(&udp);
	turn(2);
	ok(fake.n == 2 && sent(0, &p) && p.payload.len == 10 && sent(1, &p) &&
	   p.payload.len == 20, "once there is room, no datagram is lost");
	close(s);
	teardown();
}

static unsigned flows_after(uint64_t ms)
{
	struct timer *t;

	loop.now_ms += ms;
	while ((t = wheel_expire(&loop.wheel, loop.now_ms)))
		udp_timer(&udp, flow_from_ref(&flows, t->ref));
	return peers();
}

static void test_time(void)
{
	uint16_t port = 0, from = 0;
	int s;

	setup(TAP_JUMBO, 1500);
	s = server(&port);
	guest_sends(gateway(), GPORT, port, 1);
	is(flows_after(50000), 1, "a flow lives without answers");
	guest_sends(gateway(), GPORT, port, 1);
	is(flows_after(50000), 1, "a flow lives longer if it is used");
	is(flows_after(80000), 0, "a flow ends if it is not used");

	guest_sends(gateway(), GPORT, port, 1);
	get(s, &from);
	while (get_now(s, &from) >= 0)
		;
	put(s, from, 1);
	turn(1);
	is(flows_after(170000), 1,
	   "a flow lives longer once there was an answer");
	is(flows_after(40000), 0,
	   "a flow with an answer does not live for ever");

	guest_sends(gateway(), GPORT, 53, 1);
	is(flows_after(10000), 1, "a question to a name server is a flow");
	is(flows_after(10000), 0,
	   "a question to a name server does not keep its port for long");
	close(s);
	teardown();
}

static void test_nowhere(void)
{
	setup(TAP_JUMBO, 1500);
	guest_sends(v4 ? "224.0.0.251" : "ff02::fb", GPORT, 67, 1);
	guest_sends(v4 ? "224.0.0.251" : "ff02::1:2", GPORT, 547, 1);
	guest_sends(v4 ? "224.0.0.251" : "ff01::1", GPORT, v4 ? 0 : 9, 1);
	guest_sends(gateway(), 68, 67, 1);
	guest_sends(gateway(), 546, 547, 1);
	guest_sends(gateway(), GPORT, 0, 1);
	if (v4)
		guest_sends("198.51.100.255", 68, 67, 1);
	conf.no_udp = true;
	guest_sends(gateway(), GPORT, 9, 1);
	turn(0);
	is(flows.count, 0, "no flow for DHCP, port 0, a node's own groups, or "
	   "with --no-udp");
	is(udp.dropped, v4 ? 8 : 7,
	   "each datagram that goes nowhere is counted");
	is(fake.n, 0, "datagrams that go nowhere are not answered");
	teardown();
}

/* ---- Inbound ---- */

/* A socket that peers send to, as it is for forwarded ports */
static int listener(bool dual, uint16_t *port)
{
	union sockaddr_inany sa = { .sin6.sin6_family = AF_INET6 };
	socklen_t len = sizeof(sa.sin6);
	int fd, on = 1;

	if (!dual) {
		const union inany any = addr(v4 ? "0.0.0.0" : "::");

		len = inany_to_sockaddr(&any, 0, 0, &sa);
	}
	fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (bind(fd, &sa.sa, len) || getsockname(fd, &sa.sa, &len))
		perror("# bind");
	*port = ntohs(sa.sin.sin_port);
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	if (sa.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	return fd;
}

/* The guest answers to the last datagram that it got, with @len bytes */
static void guest_answers(size_t len)
{
	char to[INANY_STRLEN];
	struct pkt p;

	if (!sent(fake.n - 1, &p))
		return;
	inany_ntop(&p.src, to, sizeof(to));
	guest_sends(to, ntohs(p.udp.dport), ntohs(p.udp.sport), len);
}

/* Is this the datagram of peer @port to port 7777 of the guest, @len bytes? */
static bool is_inbound(unsigned i, uint16_t port, size_t len)
{
	union inany gw = addr(gateway());
	struct pkt p;

	return sent(i, &p) && p.kind == PKT_UDP && p.payload.len == len &&
	       inany_equals(&p.src, &gw) && ntohs(p.udp.sport) == port &&
	       inany_equals(&p.dst,
			    v4 ? &hostnet.ip4.addr : &hostnet.ip6.addr) &&
	       ntohs(p.udp.dport) == 7777;
}

/* Handle datagrams of a listening socket until the guest was sent @n */
static void turn_listener(int fd, const struct fwd_rule *r, uint16_t port,
			  unsigned n)
{
	while (sent_count() < n && wait_in(fd))
		udp_listen_event(&udp, fd, r, port, 0);
}

static struct fwd_rule rule_for(uint16_t port)
{
	return (struct fwd_rule){ .proto = IPPROTO_UDP, .first = port,
				  .last = port, .to = 7777 };
}

static void test_inbound(bool dual)
{
	uint16_t port, pport[2] = { 0 }, from = 0;
	struct fwd_rule r;
	int l, s[2];
	unsigned i;

	setup(TAP_CSUM | TAP_JUMBO, 1500);
	guest.addr4 = hostnet.ip4.addr;
	guest.addr6 = hostnet.ip6.addr;
	l = listener(dual, &port);
	r = rule_for(port);
	for (i = 0; i < 2; i++)
		s[i] = server(&pport[i]);

	put(s[0], port, 10);
	put(s[1], port, 0);
	put(s[0], port, 3000);
	turn_listener(l, &r, port, 3);
	is(fake.n, 3, "datagrams to a forwarded port go to the guest");
	ok(is_inbound(0, pport[0], 10) && is_inbound(1, pport[1], 0) &&
	   is_inbound(2, pport[0], 3000),
	   "forwarded datagrams have the guest's port and the gateway's address, in order");
	is(peers(), 2, "each peer of a forwarded port has one flow");
	is(flows.pool[FLOW_FDS].held[FLOW_DATAGRAM], 0,
	   "flows of a listening socket hold no descriptor");

	guest_answers(100);
	is(get(s[0], &from), 100, "an answer goes back to the peer");
	is(from, port, "an answer comes from the port that was dialled");
	is(get_now(s[1], &from), -1, "an answer goes to its peer alone");

	fake.n = 0;
	put(s[0], port, 20);
	turn_listener(l, &r, port, 1);
	ok(fake.n == 1 && is_inbound(0, pport[0], 20),
	   "more datagrams of a peer get to the guest");
	is(flows_after(170000), 1, "the flow with an answer lives longer");
	is(flows_after(40000), 0, "the flow with an answer ends, too");

	close(s[0]);
	close(s[1]);
	close(l);
	teardown();
}

/* The descriptor of a listener may be something else by the time */
static void test_listener_gone(void)
{
	uint16_t port, pport = 0, other = 0, from = 0;
	struct fwd_rule r;
	int l, s, o;

	setup(TAP_CSUM | TAP_JUMBO, 1500);
	guest.addr4 = hostnet.ip4.addr;
	guest.addr6 = hostnet.ip6.addr;
	l = listener(true, &port);
	r = rule_for(port);
	s = server(&pport);
	put(s, port, 10);
	turn_listener(l, &r, port, 1);
	o = server(&other);
	dup2(o, l);
	udp_listener_gone(&udp);
	guest_answers(5);
	is(get(s, &from) == 5 && from == other, 0,
	   "no datagram leaves by a descriptor that is another socket now");
	close(o);
	close(l);
	close(s);
	teardown();
}

/* The guest asks from the port that is forwarded: one flow, not two */
static void test_inbound_same(void)
{
	uint16_t port, pport = 0, from = 0;
	struct fwd_rule r;
	int l, s;

	setup(TAP_CSUM | TAP_JUMBO, 1500);
	guest.addr4 = hostnet.ip4.addr;
	guest.addr6 = hostnet.ip6.addr;
	l = listener(true, &port);
	r = rule_for(port);
	s = server(&pport);
	guest_sends(gateway(), 7777, pport, 1);
	get(s, &from);
	put(s, port, 33);
	turn_listener(l, &r, port, 1);
	ok(fake.n == 1 && is_inbound(0, pport, 33),
	   "a peer that the guest talks to may use the forwarded port, too");
	is(peers(), 1, "a peer that uses both ports stays one flow");
	close(l);
	close(s);
	teardown();
}

/* Two peers of the host's loopback, with one port: the guest sees one address */
static void test_same_name(void)
{
	const struct sockaddr_in other = {
		.sin_family = AF_INET, .sin_addr = { htonl(0x7f000002) },
	};
	struct sockaddr_in sa = other;
	uint16_t port, pport = 0, from = 0;
	struct fwd_rule r;
	struct pkt p;
	int l, s[2];

	if (!v4)
		return;
	setup(TAP_CSUM | TAP_JUMBO, 1500);
	guest.addr4 = hostnet.ip4.addr;
	l = listener(true, &port);
	r = rule_for(port);
	s[0] = server(&pport);
	s[1] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	sa.sin_port = htons(pport);
	if (bind(s[1], (struct sockaddr *)&sa, sizeof(sa)))
		perror("# bind");
	put(s[0], port, 10);
	put(s[1], port, 20);
	turn_listener(l, &r, port, 2);
	ok(fake.n == 2 && is_inbound(0, pport, 10) && sent(1, &p) &&
	   p.payload.len == 20 && ntohs(p.udp.sport) != pport,
	   "a second peer that is shown by the same address gets another port");
	guest_answers(100);
	is(get(s[1], &from), 100, "an answer to the second peer reaches it");
	is(get_now(s[0], &from), -1,
	   "an answer to the second peer does not reach the first");
	close(l);
	close(s[0]);
	close(s[1]);
	teardown();
}

static void test_killed(void)
{
	uint16_t port = 0, from = 0;
	struct udp_hdr h;
	struct pkt p;
	int s;

	setup(TAP_CSUM | TAP_JUMBO, 1500);
	s = server(&port);
	guest_sends(gateway(), GPORT, port, 100);
	get(s, &from);
	udp_kill(&udp, flow_that_is_one());
	is(peers(), 0, "a killed flow ends");
	ok(fake.n == 1 && sent(0, &p) && p.kind == (v4 ? PKT_ICMP4 : PKT_ICMP6) &&
	   (p.icmp.type << 8 | p.icmp.code) == (v4 ? 0x0303 : 0x0104),
	   "the guest of a killed flow is told that the port is unreachable");
	memcpy(&h, p.payload.p + (v4 ? 20 : 40), sizeof(h));
	ok(ntohs(h.sport) == GPORT && ntohs(h.dport) == port,
	   "the error about a killed flow quotes its ports");
	ok(!memcmp(p.payload.p + (v4 ? 12 : 8), wire.sent[0].b + (v4 ? 26 : 22),
		   v4 ? 8 : 32),
	   "the error about a killed flow has the addresses that the guest used");
	guest_sends(gateway(), GPORT, port, 5);
	is(get(s, &from), 5, "the next datagram begins another flow");
	is(peers(), 1, "another flow follows a killed one");
	close(s);
	teardown();
}

static const struct flow_ops ops[REF_FLOW_KINDS] = {
	[REF_UDP] = { &udp, .evict = udp_evict },
};

static void test_many_flows(void)
{
	uint16_t port = 0, from = 0;
	unsigned i;
	int s;

	setup(TAP_JUMBO, 1500);
	flows.ops = ops;
	flow_limit_fds(&flows, 8);
	s = server(&port);
	guest_sends(gateway(), GPORT, port, 1);
	get(s, &from);
	put(s, from, 1);
	turn(1);
	for (i = 0; i < 30; i++) {
		loop.now_ms++;
		guest_sends(gateway(), (uint16_t)(GPORT + 1 + i), port, 1);
		get(s, &from);
	}
	is(flows.pool[FLOW_FDS].held[FLOW_DATAGRAM], 8,
	   "there are never more sockets than there may be");
	is(from, GPORT + 30, "a new flow always finds room");
	fake.n = 0;
	put(s, GPORT, 7);
	turn(1);
	ok(fake.n == 1, "a flow in use is not evicted");
	close(s);
	teardown();
}

/* Each port of the guest has two peers, and there is room for three ports */
static void test_evicted_port(void)
{
	uint16_t port[2] = { 0, 0 }, from;
	unsigned i, k;
	int s[2];

	setup(TAP_JUMBO, 1500);
	flows.ops = ops;
	flow_limit_fds(&flows, 3);
	for (k = 0; k < 2; k++)
		s[k] = server(&port[k]);
	for (i = 0; i < 4; i++) {
		loop.now_ms += 2000;
		for (k = 0; k < 2; k++) {
			guest_sends(gateway(), (uint16_t)(GPORT + i), port[k], 1);
			get(s[k], &from);
		}
	}
	is(flows.pool[FLOW_FDS].held[FLOW_DATAGRAM], 3,
	   "the oldest of four ports gives way where there is room for three");
	is(peers(), 6, "the flows of an evicted port end with it");
	loop.now_ms += 2000;
	guest_sends(gateway(), GPORT, port[0], 1);
	is(get(s[0], &from) == 1 && from == GPORT, 1,
	   "the guest can use a port again that was evicted");
	is(peers(), 5, "a port that is used again has no flow of before");
	for (k = 0; k < 2; k++)
		close(s[k]);
	teardown();
	is(flows.count, 0, "no entry is left in the end");
}

int main(void)
{
	unsigned i;

	own_net();
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	for (i = 0; i < 2; i++) {
		v4 = !i;
		printf("# IPv%c\n", v4 ? '4' : '6');
		test_both_ways();
		test_segments();
		test_refused();
		test_fragments();
		test_pack();
		test_no_room();
		test_time();
		test_nowhere();
		test_inbound(false);
		test_inbound(true);
		test_inbound_same();
		test_same_name();
		test_listener_gone();
		test_killed();
		test_many_flows();
		test_evicted_port();
	}
	return done();
}
