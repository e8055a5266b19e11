/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules to bound sockets, in a network namespace of our own; and the scan, with the
 * kernel's real answers in there
 */

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/resource.h>

#include "../../flow.h"
#include "../../scan.h"
#include "bound.h"

static struct scan sc;

/* ours() - Is there a socket on a port, of any address? */
static bool ours(uint8_t proto, bool in_ns, uint16_t port)
{
	uint32_t i;

	for (i = 0; i < l.n; i++) {
		const struct listener *at = listen_at(&l, i);
		const struct fwd_rule *r = at ? listen_rule(&l, at) : NULL;

		if (r && r->proto == proto && r->from_ns == in_ns &&
		    at->port == port)
			return true;
	}
	return false;
}

static void test_plain(void)
{
	struct fwd_rule *r;

	begin();
	rule(IPPROTO_TCP, 5000, 5002, "5000-5002");
	r = rule(IPPROTO_TCP, 5010, 5010, "127.0.0.1/5010");
	r->addr = ip("127.0.0.1");
	r = rule(IPPROTO_TCP, 5011, 5011, "::1/5011");
	r->addr = ip("::1");
	rule(IPPROTO_UDP, 5000, 5000, "5000");
	is(bind_all(), 0, "four rules are bound");
	is(l.count, 6, "one socket for each port");
	ok(connects("127.0.0.1", 5001), "IPv4 is served");
	ok(event() && event()->port == 5001 && event()->rule == 0,
	   "the event says which port and rule");
	listen_pause(&l, (uint32_t)(event() - l.l));
	ok(!event(), "a paused socket is silent");
	listen_resume(&l);
	ok(event(), "a resumed socket is watched again");
	ok(connects("::1", 5002), "IPv6 is served by the same rule");
	ok(connects("127.0.0.1", 5010) && !connects("127.0.0.2", 5010) &&
	   !connects("::1", 5010),
	   "a rule with an IPv4 address binds that address alone");
	ok(connects("::1", 5011) && !connects("127.0.0.1", 5011),
	   "a rule with an IPv6 address binds that address alone");
	ok(ours(IPPROTO_TCP, false, 5001) && ours(IPPROTO_UDP, false, 5000) &&
	   !ours(IPPROTO_UDP, false, 5001),
	   "sockets have the protocol of their rule");
	listen_close(&l);
	ok(is_free(SOCK_STREAM, 5001) && is_free(SOCK_DGRAM, 5000),
	   "closed ports are free at once");
}

/* Connections that linger keep nobody from the port */
static void test_linger(void)
{
	union inany a = ip("127.0.0.1");
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&a, 5000, 0, &sa);
	int client, server;

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	is(bind_all(), 0, "a port is bound");
	client = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(client, &sa.sa, len))
		ok(false, "a connection can be made");
	server = accept(l.l[0].fd, NULL, NULL);
	close(server);
	close(client);
	listen_close(&l);

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	is(bind_all(), 0, "a port can be bound again after a connection");
	is(l.retry_ms, 500, "a lingering connection costs no waiting");
	listen_close(&l);
}

static void test_families(void)
{
	begin();
	hostnet.ip6.enabled = false;
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	is(bind_all(), 0, "IPv4 alone is bound");
	ok(connects("127.0.0.1", 5000) && !connects("::1", 5000),
	   "without IPv6 a socket does not take IPv6 connections");
	listen_close(&l);

	begin();
	hostnet.ip4.enabled = false;
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	is(bind_all(), 0, "IPv6 alone is bound");
	ok(!connects("127.0.0.1", 5000) && connects("::1", 5000),
	   "without IPv4 a socket does not take IPv4 connections");
	listen_close(&l);

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "[::]/5000")->only6 = true;
	rule(IPPROTO_UDP, 5000, 5000, "[::]/5000")->only6 = true;
	is(bind_all(), 0, "all addresses of IPv6 are bound");
	ok(!connects("127.0.0.1", 5000) && connects("::1", 5000),
	   "[::] does not bind IPv4");
	listen_close(&l);

	begin();
	for (unsigned i = 0; i < 4; i++) {
		struct fwd_rule *r = rule(i & 2 ? IPPROTO_UDP : IPPROTO_TCP,
					  5000, 5000, "");

		r->only6 = i & 1;
		r->addr = ip(i & 1 ? "" : "0.0.0.0");
	}
	is(bind_all(), 0, "both families may have the same port each");
	is(l.count, 4, "each family has a socket of its own");
	ok(connects("127.0.0.1", 5000) && connects("::1", 5000),
	   "both sockets take connections");
	listen_close(&l);

	begin();
	conf.no_udp = true;
	rule(IPPROTO_UDP, 5000, 5000, "5000");
	is(bind_all(), 0, "a protocol may be off");
	is(l.count, 0, "rules of a protocol that is off bind nothing");
}

/* Nobody, of this user either, takes part in the datagrams of a port */
static void test_udp_exclusive(void)
{
	static const int options[] = { SO_REUSEPORT, SO_REUSEADDR };
	union inany a = ip("127.0.0.1");
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&a, 5000, 0, &sa);
	int other, on = 1;
	unsigned i;

	begin();
	rule(IPPROTO_UDP, 5000, 5000, "5000");
	is(bind_all(), 0, "a forwarded UDP port is bound");
	for (i = 0; i < 2; i++) {
		other = socket(AF_INET, SOCK_DGRAM, 0);
		setsockopt(other, SOL_SOCKET, options[i], &on, sizeof(on));
		is(bind(other, &sa.sa, len), -1, "nobody binds a forwarded UDP "
		   "port beside us, whatever option it sets");
		close(other);
	}
	is(listen_find(&l, listen_rule(&l, &l.l[0]), 5000, LISTEN_MAX), 0,
	   "the socket of a rule is found by its port");
	is(listen_find(&l, listen_rule(&l, &l.l[0]), 5001, LISTEN_MAX), LISTEN_MAX,
	   "no socket is found for a port that is not bound");
	listen_close(&l);
}

/* A port for multicast that programs of the host share, or one has alone */
static void test_udp_groups(void)
{
	union inany any = ip("0.0.0.0");
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&any, 5353, 0, &sa);
	int other = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

	setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	is(bind(other, &sa.sa, len), 0, "a responder shares its port");
	begin();
	hostnet.ip6.enabled = false;
	rule(IPPROTO_UDP, 5353, 5353, "5353");
	is(bind_all(), 0, "a port that a responder shares is no error");
	ok(hear_is("UDP port 5353 is in use on the host, and shared: option "
		   "'-u 5353' forwards multicast only, other datagrams to that "
		   "port stay with the program of the host\n"),
	   "a warning says what is not forwarded");
	is(l.count, 1, "one socket is bound to the group");
	len = sizeof(sa);
	ok(!getsockname(l.l[0].fd, &sa.sa, &len) &&
	   sa.sin.sin_addr.s_addr == htonl(0xe00000fb),
	   "the socket of a group is bound to its address alone");
	listen_close(&l);
	close(other);

	other = sock(SOCK_DGRAM, "0.0.0.0", 5353);
	begin();
	rule(IPPROTO_UDP, 5353, 5353, "5353");
	is(bind_all(), -EADDRINUSE,
	   "a port that a responder does not share is an error");
	ok(hear_is("Failed to bind port 5353 (Address already in use) for"
		   " option '-u 5353'\n"),
		   "the error of an exclusive port is logged");
	listen_close(&l);
	close(other);
}

static void test_errors(void)
{
	struct fwd_rule *r;
	int other = sock(SOCK_STREAM, "127.0.0.1", 5001);

	begin();
	rule(IPPROTO_TCP, 5000, 5002, "5000-5002");
	is(bind_all(), -EADDRINUSE, "a port in use is an error");
	ok(hear_is("Failed to bind port 5001 (Address already in use) for"
		   " option '-t 5000-5002'\n"),
		   "the error names port, reason and option");
	ok(strchr(said, '\n') == strrchr(said, '\n'), "the error is one line");
	is(l.retry_ms, 0, "a port in use is waited for");
	listen_close(&l);

	begin();
	rule(IPPROTO_TCP, 5000, 5002, "all")->weak = true;
	is(bind_all(), 0, "a port in use is no error for a weak rule");
	is(l.count, 2, "a weak rule binds its other ports");
	is(l.retry_ms, 500, "a weak rule does not wait for ports in use");
	listen_close(&l);
	close(other);

	begin();
	r = rule(IPPROTO_UDP, 5000, 5000, "%nope0/5000");
	strcpy(r->ifname, "nope0");
	is(bind_all(), -ENODEV, "an interface that does not exist is an error");
	ok(hear_is("Failed to bind port 5000 (No such device) for option"
		   " '-u %nope0/5000'"), "the error names the interface");
	listen_close(&l);

	begin();
	r = rule(IPPROTO_TCP, 5000, 5000, "%lo/5000");
	strcpy(r->ifname, "lo");
	is(bind_all(), 0, "a socket is bound to an interface");
	ok(connects("::1", 5000),
	   "a socket that is bound to an interface takes connections");
	listen_close(&l);

	begin();
	r = rule(IPPROTO_TCP, 5000, 5000, "198.51.100.7/5000");
	r->addr = ip("198.51.100.7");
	is(bind_all(), -EADDRNOTAVAIL,
	   "an address of somebody else is an error");
	hear();
	listen_close(&l);
	begin();
	conf.freebind = true;
	rule(IPPROTO_TCP, 5000, 5000, "x")->addr = ip("198.51.100.7");
	rule(IPPROTO_TCP, 5000, 5000, "x")->addr = ip("2001:db8::7");
	is(bind_all(), 0, "with --freebind any address can be bound");
	listen_close(&l);
}

static struct fwd_rule *named(unsigned number)
{
	return &rules.e[number].rule;
}

/* change() - Remove a rule of the table, and add another one; 0: none */
static int change(uint16_t removed, uint8_t proto, uint16_t first, uint16_t last)
{
	struct rules_clash clash;
	const struct fwd_rule *r = NULL, *next;
	struct fwd_rule new = { .proto = proto, .first = first, .last = last,
				.to = first, .spec = "new" };

	for (r = rules_next(&rules, NULL); r; r = next) {
		next = rules_next(&rules, r);
		if (r->first == removed && r->proto == proto)
			rules_remove(&rules, rules_ref(&rules, r));
	}
	if (first && rules_add(&rules, &new, NULL, &clash))
		ok(false, "the new rule of the test is valid");
	return listen_apply(&l, &rules);
}

static void test_apply(void)
{
	struct rule_ref old;
	int tcp, udp;

	begin();
	rule(IPPROTO_TCP, 5000, 5001, "5000-5001");
	rule(IPPROTO_TCP, 5010, 5010, "5010");
	rule(IPPROTO_UDP, 5000, 5000, "5000");
	is(bind_all(), 0, "three rules are bound");
	tcp = fd_of(IPPROTO_TCP, 5000);
	udp = fd_of(IPPROTO_UDP, 5000);
	old = rules_ref(&rules, named(1));
	ok(connects("127.0.0.1", 5000), "a connection waits to be accepted");

	is(change(5010, IPPROTO_TCP, 5020, 5021), 0,
	   "one rule gives way to another");
	ok(event() && event()->port == 5000,
	   "an unchanged rule keeps connections that wait");
	ok(is_free(SOCK_STREAM, 5010), "the port of a removed rule is free");
	ok(connects("127.0.0.1", 5020) && connects("127.0.0.1", 5021),
	   "the ports of a new rule are bound");
	ok(fd_of(IPPROTO_TCP, 5000) == tcp && fd_of(IPPROTO_UDP, 5000) == udp,
	   "an unchanged rule keeps its descriptors");
	ok(!rules_at(&l.rules, old) && named(1)->first == 5020,
	   "the new rule has the old one's number, and another generation");
	ok(!l.udp_closed, "no flow of UDP has lost its socket");

	is(change(5000, IPPROTO_UDP, 0, 0), 0, "a rule for UDP is removed");
	ok(l.udp_closed, "flows of a removed UDP socket have to be told");
	ok(is_free(SOCK_DGRAM, 5000), "the removed UDP port is free");
	is(fd_of(IPPROTO_TCP, 5000), tcp,
	   "the TCP rule for the same port keeps its descriptor");
	is(listen_apply(&l, &rules), 0, "the same table may be applied again");
	ok(l.count == 4 && fd_of(IPPROTO_TCP, 5000) == tcp,
	   "the same table changes nothing");
	rules_init(&rules);
	is(listen_apply(&l, &rules), 0, "an empty table may be applied");
	is(l.count, 0, "an empty table closes all sockets");
	listen_close(&l);
}

/* A new rule can't be bound while others are in use */
static void test_apply_failure(void)
{
	int other = sock(SOCK_STREAM, "", 5021), tcp;

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	bind_all();
	tcp = fd_of(IPPROTO_TCP, 5000);
	is(change(0, IPPROTO_TCP, 5020, 5022), -EADDRINUSE,
	   "a new rule with a port in use is an error");
	ok(hear_is("Failed to bind port 5021 (Address already in use) for "
		   "option '-t new'\n"), "the message names the port");
	is(l.retry_ms, 0, "later calls do not wait for ports in use");
	ok(l.count == 1 && fd_of(IPPROTO_TCP, 5000) == tcp,
	   "the failed rule has no socket, others keep theirs");
	close(other);
	is(listen_apply(&l, &rules), 0, "the next call tries it again");
	ok(l.count == 4 && fd_of(IPPROTO_TCP, 5000) == tcp,
	   "all of its ports are bound then");
	listen_close(&l);
}

/* replace() - Remove all rules from port @removed on, and add some */
static int replace(uint16_t removed, const struct fwd_rule *new, unsigned n)
{
	const struct fwd_rule *r, *next;
	struct rules_clash clash;
	unsigned i;

	for (r = rules_next(&rules, NULL); r; r = next) {
		next = rules_next(&rules, r);
		if (r->first >= removed && !r->weak)
			rules_remove(&rules, rules_ref(&rules, r));
	}
	for (i = 0; i < n; i++)
		if (rules_add(&rules, &new[i], NULL, &clash))
			ok(false, "the new rules of the test are valid");
	return listen_apply(&l, &rules);
}

/* A port gets another target: the same socket, with those that wait */
static void test_take_over(void)
{
	struct fwd_rule new[] = { tcp_to(5000, 81, ""),
				  tcp_to(5001, 5001, "127.0.0.1") };
	struct fwd_rule wide = tcp_to(5001, 82, "0.0.0.0");
	int tcp;

	begin();
	rule(IPPROTO_TCP, 5000, 5001, "5000-5001");
	bind_all();
	tcp = fd_of(IPPROTO_TCP, 5000);
	ok(connects("127.0.0.1", 5000), "a connection waits to be accepted");
	is(replace(5000, new, 2), 0, "ports of a removed rule may be bound again");
	is(fd_of(IPPROTO_TCP, 5000), tcp, "a port that changes its target keeps its socket");
	ok(event() && event()->port == 5000 &&
	   listen_rule(&l, event())->to == 81,
	   "a connection that waits gets the new target");
	is(l.count, 2, "no other socket is left");
	ok(!is_free(SOCK_STREAM, 5001) && connects("127.0.0.1", 5001),
	   "a port of a removed rule may be bound to one address");
	is(replace(5001, &wide, 1), 0, "and to more addresses again");
	ok(owner(IPPROTO_TCP, 5001) && owner(IPPROTO_TCP, 5001)->to == 82 &&
	   l.count == 2, "the narrow socket is closed");
	listen_close(&l);
}

/* A change that fails leaves all as it was */
static void test_undo(void)
{
	int other = sock(SOCK_STREAM, "", 5021), tcp;
	struct fwd_rule new[] = {
		tcp_to(5000, 81, ""), tcp_to(5001, 82, "127.0.0.1"),
		{ .proto = IPPROTO_UDP, .first = 5002, .last = 5002, .to = 83,
		  .spec = "new" },
		tcp_to(5020, 80, ""), tcp_to(5021, 80, ""),
	};
	static struct rules before;

	begin();
	rule(IPPROTO_TCP, 5000, 5001, "5000-5001");
	rule(IPPROTO_UDP, 5002, 5002, "5002");
	bind_all();
	tcp = fd_of(IPPROTO_TCP, 5000);
	ok(connects("127.0.0.1", 5000), "a connection waits to be accepted");
	rules_copy(&before, &l.rules);
	is(replace(5000, new, 5), -EADDRINUSE,
	   "a port in use is an error of the whole change");
	ok(hear_is("Failed to bind port 5021 (Address already in use) for "
		   "option '-t new'\n"), "the message names it");
	ok(!memcmp(&before, &l.rules, offsetof(struct rules, e)) &&
	   !memcmp(before.e, l.rules.e, before.used * sizeof(before.e[0])),
	   "the rules are those of before");
	is(fd_of(IPPROTO_TCP, 5000), tcp, "a port that was taken over is given back");
	ok(event() && event()->port == 5000 && listen_rule(&l, event())->to == 5000,
	   "a connection that waits is still there");
	ok(is_free(SOCK_STREAM, 5020), "the ports of new rules are free");
	ok(owner(IPPROTO_TCP, 5001) && owner(IPPROTO_TCP, 5001)->first == 5000 &&
	   connects("127.0.0.2", 5001),
	   "a port that was bound to fewer addresses is bound to all again");
	ok(owner(IPPROTO_UDP, 5002) && owner(IPPROTO_UDP, 5002)->to == 5002,
	   "a UDP port has its rule again");
	is(l.count, 3, "no other socket is left");
	close(other);
	is(listen_apply(&l, &rules), 0, "the same change may be tried again");
	ok(fd_of(IPPROTO_TCP, 5000) == tcp && owner(IPPROTO_TCP, 5000)->to == 81 &&
	   owner(IPPROTO_UDP, 5002)->to == 83 && l.count == 5,
	   "all of its ports are bound then");
	listen_close(&l);
}

/* A rule for all ports lends ports to rules that name them */
static void test_weak_lends(void)
{
	struct fwd_rule new = tcp_to(5003, 80, ""), narrow = tcp_to(5004, 80, "127.0.0.1");
	int tcp;

	begin();
	rule(IPPROTO_TCP, 5000, 5009, "all")->weak = true;
	bind_all();
	tcp = fd_of(IPPROTO_TCP, 5003);
	is(replace(5000, &new, 1), 0, "a rule may name a port that \"all\" has bound");
	ok(fd_of(IPPROTO_TCP, 5003) == tcp && owner(IPPROTO_TCP, 5003)->to == 80,
	   "the named port is its own");
	is(replace(5000, &narrow, 1), 0, "a rule may name one address of a port");
	ok(owner(IPPROTO_TCP, 5004)->to == 80 && l.count == 10 &&
	   owner(IPPROTO_TCP, 5003)->weak,
	   "\"all\" has the port of the removed rule again");
	is(replace(5000, NULL, 0), 0, "the last named rule is removed");
	ok(owner(IPPROTO_TCP, 5004)->weak && l.count == 10,
	   "\"all\" has all ports again");
	listen_close(&l);
}

/* Somebody holds the port, for a moment */
static void test_retry(void)
{
	int other = sock(SOCK_STREAM, "", 5000), ends[2];
	char c;
	pid_t pid;

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	if (pipe(ends))
		return;
	pid = fork();
	if (!pid) {
		/* It ends once we wait */
		while (read(ends[0], &c, 1) != 1)
			;
		usleep(100000);
		_exit(0);
	}
	close(other);
	if (write(ends[1], "", 1) != 1)
		return;
	is(bind_all(), 0, "a port that gets free soon is waited for");
	ok(l.retry_ms < 500, "the port was not free at first");
	listen_close(&l);
	close(ends[0]);
	close(ends[1]);
}

static void test_limit(void)
{
	struct rlimit low = { .rlim_cur = 100, .rlim_max = 200 };
	unsigned i, weak = 0;

	setrlimit(RLIMIT_NOFILE, &low);
	begin();
	rule(IPPROTO_TCP, 10000, 11000, "all")->weak = true;
	rule(IPPROTO_TCP, 5000, 5009, "5000-5009");
	is(bind_all(), 0, "too many ports are no error");
	for (i = 0; i < l.n; i++)
		weak += l.l[i].rule == 0;
	ok(weak >= 100 && weak <= 136, "the soft limit is raised, "
	   "and descriptors are left for flows");
	is(l.count, weak + 10, "ports that were named come first");
	ok(hear_is("ports are bound, too few for option '-t all': "
		   "Too many open files"),
		   "a warning says how many ports are bound");
	listen_close(&l);

	begin();
	rule(IPPROTO_TCP, 10000, 12999, "all")->weak = true;
	rule(IPPROTO_UDP, 10000, 10999, "all")->weak = true;
	is(bind_all(), 0, "too many ports of two protocols are no error");
	for (i = 0, weak = 0; i < l.n; i++)
		weak += l.l[i].rule == 0;
	/* By how many descriptors the test inherits, the division leaves a rest */
	ok(weak > 60 && abs((int)weak - 3 * (int)(l.count - weak)) <= 3,
	   "TCP and UDP share the descriptors in proportion to their ports");
	hear();
	listen_close(&l);

	begin();
	rule(IPPROTO_TCP, 10000, 11000, "10000-11000");
	is(bind_all(), -EMFILE, "named ports beyond the limit are an error");
	ok(hear_is("(Too many open files) for option '-t 10000-11000'"),
	   "the error names the limit and the option");
	listen_close(&l);
}

/* The search ------------------------------------------------------------------ */

/* begin_ns() - With the namespace */
static void begin_ns(void)
{
	l.nsh = &nsh;
	memset(&sc, 0, sizeof(sc));
	scan_init(&sc, &conf, &hostnet, &lp, &nsh, NULL, &l);
}

/* stop() - Close all, also in the helper, which closes its copy of a socket late */
static void stop(void)
{
	scan_stop(&sc);
	listen_close(&l);
	nshelper_settle(&nsh);
}

/* begin_scan() - All four directions for ports @first to @last */
static void begin_scan(uint16_t first, uint16_t last)
{
	unsigned i;

	begin();
	begin_ns();
	hostnet.ephemeral_first = 32768;
	hostnet.ephemeral_last = 60999;
	for (i = 0; i < 4; i++) {
		struct fwd_rule *r = rule(i % 2 ? IPPROTO_UDP : IPPROTO_TCP,
					  first, last, "auto");

		r->scan = r->weak = true;
		r->from_ns = i / 2;
	}
}

static void start_scan(void)
{
	int diag_ns;

	enter(net_ns);
	diag_ns = sockdiag_open();
	enter(net_host);
	scan_start(&sc, sockdiag_open(), diag_ns);
}

static void test_scan(void)
{
	int tcp = ns_sock(SOCK_STREAM, "", 7000), client, client4, group,
	    host = sock(SOCK_STREAM, "127.0.0.1", 7001),
	    udp = ns_sock(SOCK_DGRAM, "", 7002), udp6, both, mdns;
	static struct flow_table flows;
	uint32_t cookie;
	struct flow *f;

	flow_init(&flows, (uint64_t[2]){ 1, 2 });

	begin_scan(1, 65535);
	is(bind_all(), 0, "rules that scan bind nothing themselves");
	is(l.count, 0, "before the first scan no port is bound");
	ok(scan_needed(&sc, true) && scan_needed(&sc, false),
	   "rules of both sides need scans of both");
	start_scan();
	ok(ours(IPPROTO_TCP, false, 7000) && connects("127.0.0.1", 7000),
	   "a TCP port of the namespace is bound on the host at once");
	ok(ours(IPPROTO_UDP, false, 7000),
	   "a TCP listener has its number bound for UDP, too");
	ok(ours(IPPROTO_TCP, true, 7001) && ns_connects("127.0.0.1", 7001),
	   "a port of the host is bound in the namespace");
	ok(ours(IPPROTO_UDP, false, 7002),
	   "a UDP port of the namespace is bound on the host");
	is(l.count, 5, "no other port is bound");
	ok(timer_armed(&sc.timer) &&
	   sc.timer.expires_ms - lp.now_ms <= 1000 &&
	   sc.timer.expires_ms - lp.now_ms > 900,
	   "the next search is in a second");
	cookie = l.l[0].cookie;
	scan_now(&sc);
	scan_now(&sc);
	is(l.l[0].cookie, cookie,
	   "sockets stay while their target has a listener");
	is(l.count, 5, "our own sockets are not forwarded back");

	close(tcp);
	both = ns_sock(SOCK_STREAM, "", 7003);
	udp6 = ns_sock(SOCK_DGRAM, "::1", 7004);
	client = ns_sock(SOCK_DGRAM, "", 68);
	client4 = ns_sock(SOCK_DGRAM, "", 40000);
	group = ns_sock(SOCK_DGRAM, "224.0.0.251", 7006);
	scan_now(&sc);
	ok(!ours(IPPROTO_TCP, false, 7000) && !ours(IPPROTO_UDP, false, 7000) &&
	   is_free(SOCK_STREAM, 7000),
	   "the port is free again after its listener is closed");
	ok(ours(IPPROTO_TCP, false, 7003),
	   "the port of a new listener is bound");
	ok(!ours(IPPROTO_UDP, false, 7004),
	   "a listener on the namespace's loopback is left out");
	ok(!ours(IPPROTO_UDP, false, 68),
	   "the port of DHCP clients is left out");
	ok(!ours(IPPROTO_UDP, false, 40000),
	   "UDP ports of clients are left out");
	ok(!ours(IPPROTO_UDP, false, 7006),
	   "a socket bound to a multicast group is left out");
	is(l.n, 5, "entries of closed sockets are used again");

	conf.host_lo_to_ns_lo = true;
	scan_now(&sc);
	ok(ours(IPPROTO_UDP, false, 7004),
	   "with --host-lo-to-ns-lo loopback listeners count");

	mdns = sock(SOCK_DGRAM, "0.0.0.0", 5353);
	scan_now(&sc);
	ok(ours(IPPROTO_UDP, true, 5353),
	   "a UDP socket of another program on the host is found");
	f = flow_start(&flows, &(struct flow_spec){
		.proto = IPPROTO_UDP, .class = FLOW_DATAGRAM,
		.pif[TGT] = PIF_HOST, .side[TGT].oport = 5353,
	}, 0);
	f->bound = FLOW_TGT;
	sc.flows = &flows;
	scan_now(&sc);
	ok(!ours(IPPROTO_UDP, true, 5353),
	   "a UDP socket of one of our flows is left out");
	close(mdns);

	close(host);
	scan_now(&sc);
	ok(!ours(IPPROTO_TCP, true, 7001),
	   "ports bound in the namespace are closed, too");
	stop();
	ok(!timer_armed(&sc.timer), "after the end there is no search");
	close(udp);
	close(udp6);
	close(both);
	close(client);
	close(client4);
	close(group);
}

static void test_scan_conflicts(void)
{
	int ns = ns_sock(SOCK_STREAM, "", 7000),
	    named = ns_sock(SOCK_STREAM, "", 7010),
	    host = sock(SOCK_STREAM, "127.0.0.1", 7000);
	unsigned i;

	begin_scan(7000, 7005);
	rule(IPPROTO_TCP, 7010, 7010, "7010");
	is(bind_all(), 0, "a rule may name a port beside rules that scan");
	start_scan();
	ok(!ours(IPPROTO_TCP, false, 7000),
	   "a port in use on the host is left alone");
	ok(!ours(IPPROTO_TCP, true, 7000),
	   "a port in use in the namespace is left alone");
	ok(ours(IPPROTO_TCP, false, 7010), "a named port stays bound");
	close(host);
	for (i = 0; i < 4; i++)
		scan_now(&sc);
	ok(ours(IPPROTO_TCP, false, 7000),
	   "a port in use is bound once it is free");
	is(l.count, 3, "ports outside the range of a rule are not bound");
	close(named);
	scan_now(&sc);
	ok(ours(IPPROTO_TCP, false, 7010),
	   "a named port stays bound without a listener");
	stop();
	close(ns);
}

static void test_scan_moved(void)
{
	int ns = ns_sock(SOCK_STREAM, "", 8001);

	begin();
	rule(IPPROTO_TCP, 7000, 7005, "7000-7005:8000-8005")->to = 8000;
	list[0].scan = true;
	bind_all();
	memset(&sc, 0, sizeof(sc));
	scan_init(&sc, &conf, &hostnet, &lp, NULL, NULL, &l);
	ok(!scan_needed(&sc, true), "without a namespace no search is needed");
	begin_ns();
	ok(!scan_needed(&sc, false),
	   "a rule needs a search on its target's side alone");
	bind_all();
	scan_start(&sc, -1, -EPERM);
	ok(hear_is("Can't tell who listens in the namespace: "
		   "Operation not permitted"),
	   "a warning says that the namespace can't be searched");
	ok(!strstr(said, "on the host"),
	   "there is no warning for a side that needs no search");
	start_scan();
	ok(ours(IPPROTO_TCP, false, 7001),
	   "a rule that scans may change the port");
	is(l.count, 1, "no other port is bound for that rule");
	close(ns);
	scan_now(&sc);
	is(l.count, 0, "the changed port is closed, too");
	stop();
}

static void rule_at(const char *addr, unsigned first, unsigned last, bool scan)
{
	struct fwd_rule *r = rule(IPPROTO_TCP, first, last, addr);

	r->scan = scan;
	r->weak = true;
	r->addr = ip(addr);
}

/* Each address has its own socket, also of best-effort rules */
static void test_scan_addresses(void)
{
	int ns = ns_sock(SOCK_STREAM, "", 7000);

	begin();
	begin_ns();
	rule_at("127.0.0.1", 1, 20000, true);
	rule_at("::1", 1, 20000, true);
	is(bind_all(), 0, "rules that scan may have two addresses");
	start_scan();
	ok(connects("127.0.0.1", 7000), "auto binds its first address");
	ok(connects("::1", 7000), "auto binds its second address");
	close(ns);
	scan_now(&sc);
	is(l.count, 0, "both addresses are closed");
	stop();

	begin();
	rule_at("127.0.0.1", 7000, 7010, false);
	rule_at("::1", 7000, 7010, false);
	is(bind_all(), 0, "rules for all ports may have two addresses");
	ok(connects("127.0.0.1", 7000), "all binds its first address");
	ok(connects("::1", 7000), "all binds its second address");
	stop();
}

/* Answers of the kernel, valid and not ------------------------------------- */

static uint32_t part[1024];
static size_t part_len;
static unsigned entries;
static struct sockdiag_entry last;

static void seen(const struct sockdiag_entry *e, void *arg)
{
	(void)arg;
	entries++;
	last = *e;
}

static void *message(uint16_t type, uint32_t seq, size_t len)
{
	struct nlmsghdr *nh = (void *)((char *)part + part_len);

	*nh = (struct nlmsghdr){ .nlmsg_type = type, .nlmsg_seq = seq,
				 .nlmsg_len = (uint32_t)(sizeof(*nh) + len) };
	memset(nh + 1, 0, len);
	part_len += NLMSG_ALIGN(sizeof(*nh) + len);
	return nh + 1;
}

static struct inet_diag_msg *socket_message(uint32_t seq, uint16_t port)
{
	struct inet_diag_msg *m = message(SOCK_DIAG_BY_FAMILY, seq, sizeof(*m));

	m->idiag_family = AF_INET;
	m->id.idiag_sport = htons(port);
	m->id.idiag_src[0] = htonl(INADDR_LOOPBACK);
	m->id.idiag_cookie[0] = 0x89abcdef;
	m->id.idiag_cookie[1] = 0x01234567;
	return m;
}

static int *error_message(uint32_t seq)
{
	return message(NLMSG_ERROR, seq, sizeof(struct nlmsgerr));
}

static int walk(void)
{
	int rc = sockdiag_walk(part, part_len, 5, seen, NULL);

	part_len = 0;
	return rc;
}

static void test_dump(void)
{
	static const union inany lo = { .v4mapped = { .one = { 0xff, 0xff },
		.a4 = { .s_addr = 0x0100007f } } };
	struct nlmsghdr *nh = (struct nlmsghdr *)part;
	size_t len;

	socket_message(5, 80);
	is(walk(), 1, "a part without an end is not the last");
	ok(entries == 1 && last.port == 80 &&
	   last.cookie == 0x0123456789abcdefULL, "a socket is read");
	ok(htonl(INADDR_LOOPBACK) != 0x0100007f ||
	   inany_equals(&last.addr, &lo), "the address of a socket is read");
	entries = 0;
	socket_message(4, 80);
	socket_message(5, 0);
	socket_message(5, 80)->idiag_family = AF_UNIX;
	message(NLMSG_DONE, 4, 4);
	message(NLMSG_DONE, 5, 4);
	is(walk(), 0, "the last part of a dump is known by its end");
	is(entries, 0, "old, unbound and unknown entries are ignored");

	*error_message(5) = -EPERM;
	is(walk(), -EPERM, "an error in a dump is returned");
	*error_message(5) = -ENOENT;
	is(walk(), 0, "an unknown family has no sockets");
	*error_message(5) = 3;
	is(walk(), -EBADMSG, "a positive error is refused");
	message(NLMSG_ERROR, 5, 2);
	is(walk(), -EBADMSG, "an error without a number is refused");
	message(NLMSG_OVERRUN, 5, 0);
	is(walk(), -ENOBUFS, "an overrun is an error");

	message(SOCK_DIAG_BY_FAMILY, 5, sizeof(struct inet_diag_msg) - 4);
	is(walk(), -EBADMSG, "a short message is refused");
	for (len = 1; len < sizeof(*nh) + sizeof(struct inet_diag_msg); len++) {
		socket_message(5, 80);
		part_len = len;
		if (walk() != -EBADMSG)
			break;
	}
	is(len, sizeof(*nh) + sizeof(struct inet_diag_msg),
	   "a message that is cut short anywhere is refused");
	socket_message(5, 80);
	nh->nlmsg_len = 15;
	is(walk(), -EBADMSG, "a message shorter than its header is refused");
	is(entries, 0, "no entry is read from refused messages");
}

int main(void)
{
	if (!own_start("listen"))
		return 0;
	test_plain();
	test_linger();
	test_families();
	test_udp_exclusive();
	test_udp_groups();
	test_errors();
	test_apply();
	test_apply_failure();
	test_take_over();
	test_undo();
	test_weak_lends();
	test_retry();
	test_limit();
	test_dump();
	if (namespaces()) {
		test_scan();
		test_scan_conflicts();
		test_scan_moved();
		test_scan_addresses();
	}
	return done();
}
