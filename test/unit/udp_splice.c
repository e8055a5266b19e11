/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams past the tap, between real sockets on the loopback: both namespaces
 * are this one, and the helper that would make sockets there has some at hand.
 */

#include "udp_splice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fwd.h"
#include "loop.h"
#include "nshelper.h"
#include "own_net.h"
#include "tap.h"

#define LONG_MS		5000		/* something is to come */
#define SHORT_MS	20		/* nothing is to come any more */

static struct udp_splice splice;
static struct udp_io io;
static struct conf conf;
static struct hostnet hostnet;
static struct flow_table flows;
static struct guest guest;
static struct rules rules;
static struct loop loop;
static struct nshelper nsh;
static const struct rule_ref its_rule = { 7, 3 };
static uint8_t data[65536], buf[65536];
static bool v4, from_ns;

static union inany lo(void)
{
	union inany a;

	inany_pton(v4 ? "127.0.0.1" : "::1", &a);
	return a;
}

static void setup(void)
{
	static const uint64_t key[2] = { 1, 2 };
	unsigned i;

	conf = (struct conf){ .mode = MODE_PASTA, .host_lo_to_ns_lo = true };
	hostnet = (struct hostnet){ 0 };
	hostnet.ip4.enabled = hostnet.ip6.enabled = true;
	memset(&flows, 0, sizeof(flows));
	flow_init(&flows, key);
	loop_init(&loop);
	memset(&splice, 0, sizeof(splice));
	nsh = (struct nshelper){ .fd = -1 };
	for (i = 0; i < NSHELPER_POOL; i++) {
		nsh.pool[NSSOCK_UDP4][i] = socket(AF_INET, SOCK_DGRAM |
						  SOCK_NONBLOCK, 0);
		nsh.pool[NSSOCK_UDP6][i] = socket(AF_INET6, SOCK_DGRAM |
						  SOCK_NONBLOCK, 0);
	}
	nsh.n[NSSOCK_UDP4] = nsh.n[NSSOCK_UDP6] = NSHELPER_POOL;
	udp_splice_init(&splice, &conf, &hostnet, &guest, &rules, &flows,
			&loop, &nsh, &io);
}

static unsigned flows_after(uint64_t ms)
{
	struct timer *t;

	loop.now_ms += ms;
	while ((t = wheel_expire(&loop.wheel, loop.now_ms)))
		udp_splice_timer(&splice, flow_from_ref(&flows, t->ref));
	return flows.count;
}

static void teardown(void)
{
	unsigned k;

	is(flows_after(1000000), 0, "all flows end");
	for (k = NSSOCK_UDP4; k <= NSSOCK_UDP6; k++)
		while (nsh.n[k])
			close(nsh.pool[k][--nsh.n[k]]);
	close(loop.epfd);
}

/* A socket on the loopback, or for all addresses and both families */
static int bound(bool dual, uint16_t *port)
{
	union sockaddr_inany sa = { .sin6.sin6_family = AF_INET6 };
	socklen_t len = sizeof(sa.sin6);
	const union inany a = lo();
	int fd, size = 1 << 22;

	if (!dual)
		len = inany_to_sockaddr(&a, *port, 0, &sa);
	fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, &sa.sa, len) || getsockname(fd, &sa.sa, &len))
		perror("# bind");
	*port = ntohs(sa.sin.sin_port);
	return fd;
}

static int listener(uint16_t *port)
{
	int fd = bound(true, port), on = 1;

	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	return fd;
}

/* Pass datagrams of a listening socket past the tap; on the host, udp.c reads them */
static void listen_event(int fd, const struct fwd_rule *r, uint16_t port)
{
	static uint8_t in[UDP_RX_MSGS][65536];
	static struct udp_meta m[UDP_RX_MSGS];
	struct udp_data in_data[UDP_RX_MSGS];
	struct flowside host = { .oport = port }, tgt;
	const struct guest nobody = { 0 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct mmsghdr mm = { 0 };
	unsigned n;

	poll(&p, 1, LONG_MS);
	if (from_ns) {
		udp_splice_listen_event(&splice, fd, r, its_rule, port);
		return;
	}
	for (n = 0; n < UDP_RX_MSGS; n++) {
		union sockaddr_inany sa;
		char control[128];
		struct iovec iov = { in[n], sizeof(in[n]) };
		ssize_t len;

		mm.msg_hdr = (struct msghdr){
			.msg_name = &sa, .msg_namelen = sizeof(sa),
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		len = recvmsg(fd, &mm.msg_hdr, MSG_DONTWAIT);
		if (len < 0)
			break;
		mm.msg_len = (unsigned)len;
		udp_meta_get(&m[n], &mm);
		in_data[n] = udp_data_of(&m[n], in[n]);
	}
	if (!n)
		return;
	host.oaddr = m->dst;
	host.eaddr = m->src;
	host.eport = m->sport;
	if (fwd_from_host(&conf, &hostnet, &nobody, true, r, &host,
			  &tgt) == PIF_SPLICE)
		udp_splice_from_host(&splice, NULL, r, its_rule, fd, &host,
				     &tgt, m->scope, in_data, n);
}

/* The rule of a test is in force */
static struct fwd_rule rule(uint16_t port, uint16_t to)
{
	struct rules_entry *e = &rules.e[its_rule.number];

	rules.used = its_rule.number + 1;
	e->gen = its_rule.gen;
	e->rule = (struct fwd_rule){ .proto = IPPROTO_UDP, .from_ns = from_ns,
				     .first = port, .last = port, .to = to };
	return e->rule;
}

static void put(int fd, uint16_t to, size_t len)
{
	const union inany a = lo();
	union sockaddr_inany sa;
	socklen_t salen = inany_to_sockaddr(&a, to, 0, &sa);

	if (sendto(fd, data, len, 0, &sa.sa, salen) != (ssize_t)len)
		perror("# sendto");
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

/* Handle events until there are none */
static void turn(void)
{
	struct epoll_event ev[8];
	int i, n;

	while ((n = epoll_wait(loop.epfd, ev, 8, SHORT_MS)) > 0)
		for (i = 0; i < n; i++) {
			union epoll_ref ref = { .u64 = ev[i].data.u64 };
			struct flow *f = flow_from_ref(&flows, ref);

			if (f)
				udp_splice_sock_event(&splice, f, ref.side,
						      ev[i].events);
		}
}

/* Handle events until there is a datagram, as get_now() */
static ssize_t get(int fd, uint16_t *from)
{
	unsigned tries = LONG_MS / SHORT_MS;
	ssize_t n;

	while ((n = get_now(fd, from)) < 0 && tries--)
		turn();
	return n;
}

static void test_both_ways(void)
{
	static const size_t sizes[] = { 1, 0, 1200, 65000 };
	uint16_t port = 0, to = 0, ours[2] = { 0 }, from, mapped;
	int l = listener(&port), server = bound(false, &to), c[2];
	struct fwd_rule r = rule(port, to);
	struct flow *f;
	unsigned i;

	setup();
	c[0] = bound(false, &ours[0]);
	c[1] = bound(false, &ours[1]);
	for (i = 0; i < 4; i++) {
		put(c[0], port, sizes[i]);
		listen_event(l, &r, port);
		turn();
		is(get(server, &mapped), sizes[i], "a datagram arrives");
		ok(!memcmp(buf, data, sizes[i]),
		   "a datagram arrives with its bytes");
		put(server, mapped, sizes[i]);
		turn();
		is(get(c[0], &from), sizes[i], "the answer arrives");
		is(from, port, "the answer comes from the port that was asked");
	}
	put(c[1], port, 5);
	listen_event(l, &r, port);
	turn();
	is(get(server, &from), 5, "a second client is heard");
	ok(from != mapped, "a second client has another port for the target");
	put(server, from, 6);
	turn();
	is(get(c[1], &from), 6, "a second client is answered");
	is(get_now(c[0], &from), -1,
	   "the answer to the second client goes to it alone");
	is(flows.count, 2, "each client has one flow");
	f = flow_next(&flows, NULL);
	is(f->bytes[from_ns ? FROM_GUEST : TO_GUEST], 66201,
	   "bytes of a client are counted");
	is(f->bytes[from_ns ? TO_GUEST : FROM_GUEST], 66201,
	   "bytes of the target are counted");
	ok(f->rule == 7 && f->rule_gen == 3, "a flow has the rule of its port");
	is(rulestat_of(&flows.rulestat, its_rule).conns, 2,
	   "the rule has both flows");
	udp_splice_kill(&splice, f);
	is(flows.count, 1, "a flow can be killed");
	put(c[0], port, 3);
	listen_event(l, &r, port);
	is(get(server, &from), 3, "the next datagram begins another flow");
	is(flows.count, 2, "the client of a killed flow has another one");

	close(c[0]);
	close(c[1]);
	close(server);
	close(l);
	teardown();
}

/* Sizes and order of many datagrams, joined on the way where they are equal */
static void test_many(void)
{
	static const uint16_t sizes[] = {
		700, 700, 700, 700, 700, 300, 700, 0, 700, 9000, 9000, 9000,
		9000, 9000, 9000, 9000, 9000, 5, 5, 5, 6, 6, 1400, 1400,
	};
	const unsigned n = sizeof(sizes) / sizeof(sizes[0]);
	uint16_t port = 0, to = 0, our = 0, from = 0;
	int l = listener(&port), server = bound(false, &to);
	struct fwd_rule r = rule(port, to);
	int c = bound(false, &our);
	unsigned i, round;
	bool good = true;

	setup();
	for (round = 0; round < 5; round++) {
		for (i = 0; i < n; i++)
			put(c, port, sizes[i]);
		listen_event(l, &r, port);
		turn();
		for (i = 0; i < n; i++)
			good &= get(server, &from) == sizes[i] &&
				!memcmp(buf, data, sizes[i]);
		good &= get_now(server, &from) == -1;
		for (i = 0; i < n; i++)
			put(server, from, sizes[i]);
		turn();
		for (i = 0; i < n; i++)
			good &= get(c, &from) == sizes[i];
		good &= get_now(c, &from) == -1;
		put(c, port, 1);
		listen_event(l, &r, port);
		turn();
		get(server, &from);
	}
	ok(good, "datagrams keep sizes and order");
	close(c);
	close(server);
	close(l);
	teardown();
}

/* A message of several datagrams comes out as that */
static void test_segments(void)
{
	uint16_t port = 0, to = 0, our = 0, from = 0;
	int l = listener(&port), server = bound(false, &to);
	struct fwd_rule r = rule(port, to);
	int c = bound(false, &our), size = 1000;
	unsigned i;

	setup();
	put(c, port, 1);
	listen_event(l, &r, port);
	turn();
	get(server, &from);
	setsockopt(c, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
	put(c, port, 20300);
	listen_event(l, &r, port);
	turn();
	for (i = 0; i < 20; i++)
		if (get(server, &from) != 1000 ||
		    memcmp(buf, data + i * 1000, 1000))
			break;
	is(i, 20, "segments arrive as datagrams");
	is(get(server, &from), 300, "the last segment is shorter");
	close(c);
	close(server);
	close(l);
	teardown();
}

static const struct flow_ops ops[REF_FLOW_KINDS] = {
	[REF_UDP_SPLICE] = { &splice, .evict = udp_splice_evict },
};

/* The target answers from a port that is in use on the other side: both are one
 * namespace here */
static void test_other_port(void)
{
	uint16_t port = 0, to = 0, other = 0, our = 0, mapped = 0, from = 0;
	int l = listener(&port), server = bound(false, &to), t, c;
	struct fwd_rule r = rule(port, to);

	setup();
	c = bound(false, &our);
	t = bound(false, &other);
	put(c, port, 3);
	listen_event(l, &r, port);
	turn();
	is(get(server, &mapped), 3, "a question arrives at a server");
	put(t, mapped, 30);
	turn();
	is(flows.count, 1, "an answer from a port that can't be bound on the "
	   "other side starts no flow");
	is(get_now(c, &from), -1,
	   "an answer from a port that can't be bound is lost");
	put(server, mapped, 7);
	turn();
	is(get(c, &from), 7, "after such an answer the flow goes on");
	close(t);
	close(c);
	close(server);
	close(l);
	teardown();
}

static void test_ends(void)
{
	uint16_t port = 0, to = 0, our = 0, from = 0;
	int l = listener(&port), server = bound(false, &to);
	struct fwd_rule r = rule(port, to);
	int c = bound(false, &our);
	unsigned i;

	setup();
	put(c, port, 1);
	listen_event(l, &r, port);
	is(flows_after(50000), 1, "a flow lives without an answer");
	is(flows_after(30000), 0, "a flow without an answer ends soon");

	put(c, port, 1);
	listen_event(l, &r, port);
	get(server, &from);
	while (get_now(server, &from) >= 0)
		;
	put(server, from, 1);
	turn();
	is(flows_after(170000), 1, "a flow with an answer lives longer");

	flows.ops = ops;
	flow_limit_fds(&flows, 3);
	for (i = 0; i < 8; i++) {
		uint16_t any = 0;
		int s = bound(false, &any);

		loop.now_ms++;
		put(s, port, 1);
		listen_event(l, &r, port);
		close(s);
	}
	is(flows.count, 3, "there are never too many flows");
	nsh.n[NSSOCK_UDP4] = nsh.n[NSSOCK_UDP6] = 0;
	our = 0;
	close(c);
	c = bound(false, &our);
	put(c, port, 1);
	listen_event(l, &r, port);
	is(!!splice.dropped, !from_ns, "without sockets of the namespace, "
	   "nothing bypasses the tap into it");
	close(c);
	close(server);
	close(l);
	teardown();
}

static void test_closed_port(void)
{
	uint16_t port = 0, to = 0, our = 0, from = 0;
	int l = listener(&port), server = bound(false, &to);
	struct fwd_rule r = rule(port, to);
	int c = bound(false, &our);
	struct epoll_event ev;

	setup();
	close(server);
	put(c, port, 1);
	listen_event(l, &r, port);
	turn();
	is(epoll_wait(loop.epfd, &ev, 1, 0), 0, "a closed port is no busy loop");
	server = bound(false, &to);
	put(c, port, 7);
	listen_event(l, &r, port);
	turn();
	is(get(server, &from), 7, "a closed port may be opened later");
	close(c);
	close(server);
	close(l);
	teardown();
}

/* The server has one family, then the other one */
static void test_other_target(void)
{
	uint16_t port = 0, to = 0, our = 0, from = 0;
	int l = listener(&port), c, server;
	struct fwd_rule r;

	v4 = !v4;
	server = bound(false, &to);
	v4 = !v4;
	r = rule(port, to);
	c = bound(false, &our);
	setup();
	put(c, port, 5);
	listen_event(l, &r, port);
	turn();
	is(get(server, &from), 5,
	   "a datagram that is refused goes to the other family");
	v4 = !v4;
	put(server, from, 7);
	v4 = !v4;
	turn();
	is(get(c, &from), 7, "the answer comes back");
	is(from, port,
	   "the answer of the other family comes from the port that was asked");

	close(server);
	server = bound(false, &to);
	put(c, port, 8);
	listen_event(l, &r, port);
	turn();
	put(c, port, 9);
	listen_event(l, &r, port);
	turn();
	is(get(server, &from), 9,
	   "a datagram goes back to the first family after another refusal");
	close(c);
	close(server);
	close(l);
	teardown();
}

/* A server of a family that the test does not have otherwise */
static int other_server(uint16_t *port)
{
	int fd;

	v4 = !v4;
	fd = bound(false, port);
	v4 = !v4;
	return fd;
}

/* The rule of a flow is removed, and another one gets its number */
static void test_rule_gone(void)
{
	uint16_t port = 0, to = 0, new_to = 0, our = 0, from = 0;
	struct rules_entry *e = &rules.e[its_rule.number];
	int l = listener(&port), server = bound(false, &to), old, new, c;

	old = other_server(&to);
	new = other_server(&new_to);
	rule(port, to);
	c = bound(false, &our);
	setup();
	put(c, port, 5);
	listen_event(l, &e->rule, port);
	is(get(server, &from), 5, "a rule leads to a target");
	close(server);
	e->gen++;
	e->rule.to = new_to;
	put(c, port, 8);
	listen_event(l, &e->rule, port);
	turn();
	put(c, port, 9);
	listen_event(l, &e->rule, port);
	turn();
	is(get_now(new, &from), -1,
	   "a flow is not led to the targets of a rule that has the number of its own");
	is(get_now(old, &from), -1,
	   "a flow whose rule was removed is not led to another target");
	close(c);
	close(new);
	close(old);
	close(l);
	teardown();
}

/* A program of the namespace sends to a group that another one has joined. Its loopback
 * has no route to groups of IPv6 */
static void test_group(void)
{
	const struct sockaddr_in sa = {
		.sin_family = AF_INET, .sin_addr = { htonl(0xef010203) },
	};
	const struct ip_mreqn on_lo = {
		.imr_multiaddr = sa.sin_addr, .imr_ifindex = 1,
	};
	uint16_t port = 0, to = 0, our = 0, from;
	int l = listener(&port), server = bound(false, &to);
	struct fwd_rule r = rule(port, to);
	int c = bound(false, &our);
	struct sockaddr_in group = sa;

	setup();
	group.sin_port = htons(port);
	setsockopt(l, IPPROTO_IP, IP_ADD_MEMBERSHIP, &on_lo, sizeof(on_lo));
	setsockopt(c, IPPROTO_IP, IP_MULTICAST_IF, &on_lo, sizeof(on_lo));
	is(sendto(c, data, 5, 0, (struct sockaddr *)&group, sizeof(group)), 5,
	   "a datagram is sent to a group");
	listen_event(l, &r, port);
	turn();
	is(splice.dropped, 1, "a datagram to a group is received, and dropped");
	is(flows.count, 0, "a datagram to a group starts no flow");
	is(get_now(server, &from), -1,
	   "a datagram to a group does not leave the namespace");
	close(c);
	close(server);
	close(l);
	teardown();
}

int main(void)
{
	unsigned i;

	own_net();
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	for (i = 0; i < 4; i++) {
		v4 = i % 2;
		from_ns = i / 2;
		printf("# IPv%c, %s\n", v4 ? '4' : '6',
		       from_ns ? "out of the namespace" : "into the namespace");
		test_both_ways();
		test_many();
		test_segments();
		test_other_port();
		test_ends();
		test_closed_port();
		test_other_target();
		test_rule_gone();
		if (v4 && from_ns)
			test_group();
	}
	return done();
}
