/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections to listening sockets: where they go, how many are accepted at a time, and
 * how they wait for descriptors
 */

#include "../../inbound.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../fwd.h"
#include "../../input.h"
#include "../../listen_change.h"
#include "../../log.h"
#include "../../nshelper.h"
#include "../../tcp.h"
#include "../../tcp_splice.h"
#include "../../udp.h"
#include "own_net.h"
#include "tap.h"

enum { CLIENTS = 40 };

static struct conf conf;
static struct hostnet hostnet;
static struct rules rules;
static struct fwd_rule list[3];
static unsigned nlist;
static struct guest guest;
static struct listen l;
static struct loop lp;
static struct flow_table flows;
static struct inbound b;
static struct nshelper nsh;
static int clients[CLIENTS], nclients;

/* Arguments of the functions that the linker replaces, see the Makefile */
static struct {
	unsigned tap, splice, datagrams, solicited;
	bool from_ns;
	struct rule_ref ref;
	struct flowside ini, tgt;
	union inany other[FWD_TARGETS - 1];
	uint16_t port;
	int fd;
} got;

void __wrap_input_solicit_guest(struct input *in);
void __wrap_tcp_accepted(struct tcp *t, int fd, struct rule_ref ref,
			 const struct flowside *host, const struct flowside *tap);
void __wrap_tcp_splice_accepted(struct tcp_splice *s, int fd, struct rule_ref ref,
				bool from_ns, const struct flowside *ini,
				const struct flowside *tgt,
				const union inany *other);
void __wrap_udp_listen_event(struct udp *u, int fd, const struct fwd_rule *r,
			     uint16_t port, uint32_t index);

void __wrap_input_solicit_guest(struct input *in)
{
	(void)in;
	got.solicited++;
}

void __wrap_tcp_accepted(struct tcp *t, int fd, struct rule_ref ref,
			 const struct flowside *host, const struct flowside *tap)
{
	(void)t;
	got.ref = ref;
	got.tap++;
	got.ini = *host;
	got.tgt = *tap;
	got.fd = fcntl(fd, F_GETFL) & O_NONBLOCK ? fd : -1;
	close(fd);
}

void __wrap_tcp_splice_accepted(struct tcp_splice *s, int fd, struct rule_ref ref,
				bool from_ns, const struct flowside *ini,
				const struct flowside *tgt,
				const union inany *other)
{
	(void)s;
	got.ref = ref;
	memcpy(got.other, other, sizeof(got.other));
	got.splice++;
	got.from_ns = from_ns;
	got.ini = *ini;
	got.tgt = *tgt;
	close(fd);
}

void __wrap_udp_listen_event(struct udp *u, int fd, const struct fwd_rule *r,
			     uint16_t port, uint32_t index)
{
	char c;

	(void)u;
	(void)r;
	(void)index;
	got.datagrams++;
	got.port = port;
	if (recv(fd, &c, 1, 0) != 1)
		ok(false, "there is a datagram");
}

static union inany ip(const char *text)
{
	union inany a = { 0 };

	if (!inany_pton(text, &a))
		ok(false, "an address of the test is valid");
	return a;
}

static struct fwd_rule *rule(uint8_t proto, uint16_t port, uint16_t to)
{
	struct fwd_rule *r = &list[nlist++];

	*r = (struct fwd_rule){ .proto = proto, .first = port, .last = port,
				.to = to, .spec = "test" };
	return r;
}

/* turn_for() - Wait for events, handle them once as the loop does; number of events */
static int turn_for(int ms)
{
	struct epoll_event ev[8];
	int i, n = epoll_wait(lp.epfd, ev, 8, ms);

	for (i = 0; i < n; i++) {
		union epoll_ref ref = { .u64 = ev[i].data.u64 };

		if (ref.kind == REF_LISTEN)
			inbound_event(&b, ref.index);
	}
	return n;
}

/* turn() - The same, if something is to come */
static int turn(void)
{
	return turn_for(5000);
}

static int dial(int type, const char *addr, uint16_t port)
{
	union inany a = ip(addr);
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&a, port, 0, &sa);
	int fd = socket(sa.sa.sa_family, type, 0);

	if (connect(fd, &sa.sa, len))
		ok(false, "a connection can be made");
	return clients[nclients++] = fd;
}

static void hang_up(void)
{
	while (nclients)
		close(clients[--nclients]);
	memset(&got, 0, sizeof(got));
}

static void test_where(void)
{
	union inany lo4 = ip("127.0.0.1"), host4 = ip("198.51.100.1"),
		    lo6 = ip("::1");
	int fd;

	conf.no_splice = true;
	dial(SOCK_STREAM, "198.51.100.1", 5000);
	is(turn(), 1, "one socket has something");
	is(got.tap, 1, "a connection goes to the guest");
	ok(inany_equals(&got.ini.eaddr, &host4) &&
	   inany_equals(&got.ini.oaddr, &host4) && got.ini.oport == 5000 &&
	   got.ini.eport, "the host side has both addresses as IPv4");
	ok(inany_equals(&got.tgt.eaddr, &guest.addr4) &&
	   got.tgt.eport == 80,
	   "the tap side has the guest's address and the target port");
	ok(got.fd >= 0, "the socket does not block");
	ok(got.ref.gen && rules_at(&l.rules, got.ref) &&
	   rules_at(&l.rules, got.ref)->first == 5000,
	   "a connection to the guest comes with its rule");
	is(got.solicited, 1, "an unknown guest is asked for its MAC address");
	is(turn_for(0), 0, "one connection is one event");
	hang_up();
	guest.mac_known = true;
	dial(SOCK_STREAM, "198.51.100.1", 5000);
	turn();
	ok(got.tap == 1 && !got.solicited, "a known guest is not asked again");
	hang_up();

	conf.no_splice = false;
	dial(SOCK_STREAM, "127.0.0.1", 5000);
	turn();
	is(got.splice, 1, "a local connection bypasses the tap");
	ok(got.ref.gen && rules_at(&l.rules, got.ref) &&
	   rules_at(&l.rules, got.ref)->first == 5000,
	   "a bypassed connection comes with its rule");
	ok(!got.from_ns && inany_equals(&got.ini.oaddr, &lo4) &&
	   got.tgt.eport == 80, "a bypassed connection has both sides");
	ok(inany_equals(&got.other[0], &guest.addr6) &&
	   !inany_is_set(&got.other[1]),
	   "a connection past the tap has a target of the other family");
	hang_up();
	dial(SOCK_STREAM, "::1", 5000);
	turn();
	ok(got.splice == 1 && inany_equals(&got.ini.oaddr, &lo6),
	   "a local IPv6 connection comes by the same socket");
	ok(inany_equals(&got.other[0], &guest.addr4),
	   "an IPv6 connection has the IPv4 address as an alternative");
	hang_up();

	hostnet.ip4.enabled = false;
	fd = dial(SOCK_STREAM, "127.0.0.1", 5000);
	turn();
	is(got.splice + got.tap, 0,
	   "a connection that leads nowhere is not handed on");
	ok(recv(fd, &got, 1, 0) < 0 && errno == ECONNRESET,
	   "a connection that leads nowhere gets a reset");
	ok(b.refused == 1 && !b.foreign,
	   "a connection that leads nowhere is counted as refused");
	hostnet.ip4.enabled = true;
	hang_up();

	if (send(dial(SOCK_DGRAM, "127.0.0.1", 5000), "x", 1, 0) != 1)
		ok(false, "a datagram can be sent");
	turn();
	ok(got.datagrams == 1 && got.port == 5000, "UDP is told of datagrams");
	hang_up();
}

/* dial_from() - With a source address that is chosen */
static int dial_from(const char *source, const char *addr, uint16_t port)
{
	union inany a = ip(addr), b4 = ip(source);
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&b4, 0, 0, &sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, &sa.sa, len))
		ok(false, "a source address can be chosen");
	len = inany_to_sockaddr(&a, port, 0, &sa);
	if (connect(fd, &sa.sa, len))
		ok(false, "a connection can be made");
	return clients[nclients++] = fd;
}

/* Which sources may use a socket of the namespace? On the loopback device, addresses of
 * its subnet arrive as well, like those of strangers elsewhere */
static void test_from_ns(void)
{
	int fd;

	b.refused = 0;
	dial(SOCK_STREAM, "127.0.0.1", 5001);
	turn();
	ok(got.splice == 1 && got.from_ns, "a loopback source may pass");
	hang_up();
	dial(SOCK_STREAM, "198.51.100.1", 5001);
	turn();
	is(got.splice, 1, "an address that dials itself may pass");
	hang_up();
	dial_from("198.51.100.1", "127.0.0.1", 5001);
	turn();
	is(got.splice, 1, "another address of the namespace may pass");
	hang_up();
	fd = dial_from("198.51.100.77", "127.0.0.1", 5001);
	turn();
	is(got.splice, 0, "an address of somebody else may not pass");
	ok(b.refused == 1 && b.foreign == 1,
	   "the connection of somebody else is counted as refused, and as foreign");
	ok(recv(fd, &got, 1, 0) < 0 && errno == ECONNRESET,
	   "a refused connection gets a reset");
	hang_up();
}

static void test_batch(void)
{
	unsigned i;

	for (i = 0; i < CLIENTS; i++)
		dial(SOCK_STREAM, "127.0.0.1", 5000);
	turn();
	is(got.splice, 32, "one turn accepts 32 connections of a socket");
	is(turn(), 1, "other connections wait for the next turn");
	is(got.splice, CLIENTS, "the next turn accepts the others");
	hang_up();
}

/* The rule for port 5000 is removed while connections wait */
static void test_removed(void)
{
	const struct fwd_rule *r = rules_next(&rules, NULL);
	struct rules_clash clash;
	unsigned i;

	for (i = 0; i < CLIENTS; i++)
		dial(SOCK_STREAM, "127.0.0.1", 5000);
	rules_remove(&rules, rules_ref(&rules, r));
	is(listen_apply(&l, &rules), 0, "a rule is removed");
	is(got.splice, CLIENTS, "all connections that wait for it are accepted before");
	hang_up();
	rules_add(&rules, &list[0], NULL, &clash);
	is(listen_apply(&l, &rules), 0, "the rule is added again");
}

/* A socket does not listen any more */
static void test_dead(void)
{
	uint32_t i = listen_find(&l, rules_at(&l.rules, rules_ref(&rules,
			rules_next(&rules, rules_next(&rules, rules_next(&rules, NULL))))),
			5000, LISTEN_MAX);

	shutdown(listen_at(&l, i)->fd, SHUT_RDWR);
	turn();
	is(l.waiting, 1, "a rule whose socket does not listen any more waits");
	is(turn_for(0), 0, "the socket is not polled again and again");
	listen_retry(&l);
	while (listen_step(&l, 1000))
		;
	dial(SOCK_STREAM, "127.0.0.1", 5000);
	turn();
	is(got.splice, 1, "it has another socket then");
	hang_up();
}

static void test_no_room(void)
{
	dial(SOCK_STREAM, "127.0.0.1", 5000);
	flow_limit_fds(&flows, 1);
	turn();
	is(got.splice, 0, "with no room for a flow, no connection is accepted");
	is(turn_for(0), 0, "without room, the listener is paused");
	is(b.paused, 1, "a pause is counted");
	flow_limit_fds(&flows, UINT32_MAX);
	inbound_timer(&b);
	is(turn(), 1, "once there is room, the connection is still there");
	is(got.splice, 1, "with room again, the connection is accepted");
	hang_up();
}

static void test_no_descriptors(void)
{
	struct rlimit old, low;
	int fd;

	getrlimit(RLIMIT_NOFILE, &old);
	dial(SOCK_STREAM, "127.0.0.1", 5000);
	fd = dup(0);
	close(fd);
	low = (struct rlimit){ .rlim_cur = (rlim_t)fd, .rlim_max = old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &low);
	turn();
	setrlimit(RLIMIT_NOFILE, &old);
	is(got.splice, 0, "without descriptors no connection is accepted");
	is(turn_for(0), 0, "without descriptors the listener is paused");
	ok(timer_armed(&b.timer), "a timer ends the pause");
	inbound_timer(&b);
	is(turn(), 1, "after the pause the connection is still there");
	is(got.splice, 1, "after the pause the connection is accepted");
	hang_up();

	inbound_event(&b, 1000);
	ok(true, "an event of a closed socket is ignored");
}

static int interface(const char *name, int request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), rc;

	strcpy(ifr->ifr_name, name);
	rc = ioctl(fd, (unsigned long)request, ifr);
	close(fd);
	return rc;
}

/* stage() - A namespace where lo has another address, too */
static bool stage(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_UP };
	union inany a = ip("198.51.100.1");
	union sockaddr_inany sa;

	if (own_unshare(CLONE_NEWNET) ||
	    interface("lo", SIOCSIFFLAGS, &ifr))
		return false;
	memset(&ifr, 0, sizeof(ifr));
	inany_to_sockaddr(&a, 0, 0, &sa);
	memcpy(&ifr.ifr_addr, &sa.sin, sizeof(sa.sin));
	return !interface("lo:1", SIOCSIFADDR, &ifr);
}

/* helper_start() - One that makes sockets in this same namespace */
static void helper_start(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		ok(false, "there is a socket for a helper");
	if (!fork()) {
		close(fds[0]);
		nshelper_run(fds[1]);
	}
	close(fds[1]);
	nshelper_start(&nsh, fds[0], &lp, 1024);
}

int main(void)
{
	struct rules_clash clash;
	unsigned i;

	if (!stage()) {
		printf("1..0 # SKIP no namespaces for this user\n");
		return 0;
	}
	log_init("inbound");
	log_set_level(LOG_L_ERR);
	conf.mode = MODE_PASTA;
	hostnet.ip4.enabled = hostnet.ip6.enabled = true;
	hostnet.ip4.addr = guest.addr4 = ip("203.0.113.9");
	hostnet.ip6.addr = guest.addr6 = ip("2001:db8::9");
	hostnet.ip4.gw = hostnet.ip4.map_host_loopback = ip("203.0.113.1");
	loop_init(&lp);
	helper_start();
	listen_init(&l, &conf, &hostnet, &lp, &nsh, 1024);
	rule(IPPROTO_TCP, 5000, 80);
	rule(IPPROTO_UDP, 5000, 80);
	rule(IPPROTO_TCP, 5001, 80)->from_ns = true;
	for (i = 0; i < nlist; i++)
		rules_add(&rules, &list[i], NULL, &clash);
	is(listen_apply(&l, &rules), 0, "ports are bound");
	flow_init(&flows, (uint64_t[2]){ 1, 2 });
	inbound_init(&b, &conf, &hostnet, &guest, &l, &flows, &lp,
		     &(struct inbound_to){ 0 });

	test_where();
	test_from_ns();
	test_batch();
	test_removed();
	test_dead();
	test_no_room();
	test_no_descriptors();
	listen_close(&l);
	return done();
}
