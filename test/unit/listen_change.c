/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes of the rules while connections are served: in slices, whole or in part; rules
 * that wait for a port; sockets that the helper in the namespace has to bind
 */

#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "../../hostsock.h"
#include "bound.h"

#define MANY		1000		/* rules of a change */
#define GROUP		200		/* rules that come and go */
#define CONNECTIONS	2000

static struct rules_clash clash;

/* add() - Add a rule to the table of the test */
static void add(uint8_t proto, uint16_t first, uint16_t last, bool from_ns)
{
	struct fwd_rule r = { .proto = proto, .first = first, .last = last,
			      .to = first, .from_ns = from_ns, .spec = "new" };

	if (rules_add(&rules, &r, NULL, &clash))
		ok(false, "the new rule of the test is valid");
}

/* drop() - Remove the rules of a range of first ports */
static void drop(uint16_t first, uint16_t last)
{
	const struct fwd_rule *r, *next;

	for (r = rules_next(&rules, NULL); r; r = next) {
		next = rules_next(&rules, r);
		if (r->first >= first && r->first <= last)
			rules_remove(&rules, rules_ref(&rules, r));
	}
}

/* result() - Make a change in slices: 0 or negative errno */
static int result(bool partial)
{
	const struct fwd_rule *failed;
	uint16_t port;

	if (listen_start(&l, &rules, partial))
		ok(false, "a change begins");
	step_all();
	return listen_result(&l, &failed, &port);
}

/* A partial change: a rule waits for its port */
static void test_waiting(void)
{
	int other = sock(SOCK_STREAM, "", 5021);
	struct fwd_rule new = { .proto = IPPROTO_TCP, .first = 5020, .last = 5022,
				.to = 5020, .spec = "new" };
	const struct fwd_rule *failed;
	uint16_t port;

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	bind_all();
	rules_add(&rules, &new, NULL, &clash);
	is(listen_start(&l, &rules, false), 0, "a change begins");
	is(listen_start(&l, &rules, false), -EBUSY, "there is one change at a time");
	ok(step_all() > 3, "a change has more than three slices");
	ok(hear_is("Failed to bind port 5021"), "the port of a change that failed is logged");
	ok(listen_result(&l, &failed, &port) == -EADDRINUSE && failed->first == 5020 &&
	   port == 5021, "the result names error, rule and port");
	ok(l.rules.n == 1 && l.count == 1 && !timer_armed(&l.timer),
	   "nothing has changed, and nothing is left to do");

	listen_start(&l, &rules, true);
	step_all();
	is(listen_result(&l, &failed, &port), 0, "a partial change has no error");
	ok(hear_is("Port 5021 can't be bound for now (Address already in use), option "
		   "'-t new' waits for it\n"), "the port that a rule waits for is logged");
	ok(info_of(5000).state == LISTEN_BOUND && info_of(5020).state == LISTEN_WAITING &&
	   info_of(5020).ports == 3 && info_of(5020).bound == 2 &&
	   info_of(5020).error == -EADDRINUSE && info_of(5020).error_port == 5021,
	   "the state of a waiting rule has its ports, and why it waits");
	ok(connects("127.0.0.1", 5022), "the other ports of a waiting rule are served");
	ok(timer_armed(&l.timer) && l.timer.expires_ms - lp.now_ms <= 4000,
	   "it is tried again within four seconds");
	timer_fires();
	ok(info_of(5020).state == LISTEN_WAITING && timer_armed(&l.timer),
	   "a port that is still in use is waited for");
	close(other);
	timer_fires();
	ok(hear_is("All ports of option '-t new' are bound now\n"),
	   "the end of a wait is logged");
	ok(info_of(5020).state == LISTEN_BOUND && connects("127.0.0.1", 5021) &&
	   !timer_armed(&l.timer), "the rule is bound, and the timer is not armed");
	listen_close(&l);
}


/* Nothing is seen of a change before all of its ports are bound */
static void test_invisible(void)
{
	bool hidden = true, served = true;
	unsigned n = 0;

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	rule(IPPROTO_TCP, 5001, 5001, "5001");
	bind_all();
	ok(connects("127.0.0.1", 5000), "a connection waits to be accepted");
	drop(5001, 5001);
	add(IPPROTO_TCP, 5010, 5013, false);
	listen_start(&l, &rules, false);
	while (!listen_has_switched(&l) && listen_step(&l, 0)) {
		if (fd_of(IPPROTO_TCP, 5013) >= 0 && !n++)
			ok(connects("127.0.0.1", 5010),
			   "a port of a new rule is bound during the change");
		served &= event() && event()->port == 5000;
		hidden &= listen_has_switched(&l) || l.rules.e[1].rule.first == 5001;
	}
	ok(n && hidden, "the rules are the old ones meanwhile");
	ok(served, "connections come by the old rules alone");
	step_all();
	ok(l.rules.n == 2 && l.rules.e[1].rule.first == 5010 && is_free(SOCK_STREAM, 5001),
	   "then the rules are the new ones");
	close(accept(event()->fd, NULL, NULL));
	ok(event() && event()->port == 5010,
	   "a connection to a new rule has waited for the end of the change");
	listen_close(&l);
}

/* A change that fails late is undone in slices */
static void test_undo(void)
{
	static struct rules after;
	int other = sock(SOCK_STREAM, "", 5199), tcp, udp;
	unsigned port;

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	rule(IPPROTO_TCP, 5001, 5001, "5001");
	rule(IPPROTO_UDP, 5002, 5002, "5002");
	bind_all();
	tcp = fd_of(IPPROTO_TCP, 5001);
	udp = fd_of(IPPROTO_UDP, 5002);
	ok(connects("127.0.0.1", 5001), "a connection waits to be accepted");
	drop(5001, 5002);
	rules_add(&rules, &(struct fwd_rule){ .proto = IPPROTO_TCP, .first = 5001,
		  .last = 5001, .to = 80, .spec = "new" }, NULL, &clash);
	for (port = 5100; port < 5200; port++)
		add(IPPROTO_TCP, (uint16_t)port, (uint16_t)port, false);
	is(result(false), -EADDRINUSE, "one port of a hundred is in use");
	ok(l.count == 3 && l.rules.n == 3 && fd_of(IPPROTO_TCP, 5001) == tcp &&
	   fd_of(IPPROTO_UDP, 5002) == udp, "the sockets are those of before");
	ok(is_free(SOCK_STREAM, 5150), "the ports of new rules are free again");
	ok(event() && event()->port == 5001 && owner(IPPROTO_TCP, 5001)->to == 5001,
	   "a connection that waits has its old rule");
	rules_copy(&after, &rules);
	rules_copy(&rules, &l.rules);
	add(IPPROTO_TCP, 5099, 5099, false);
	is(result(false), 0, "another change is possible then");
	is(owner(IPPROTO_TCP, 5001)->to, 5001, "it has nothing to do with the one before");
	drop(5099, 5099);
	result(false);
	close(other);
	rules_copy(&rules, &after);
	is(result(false), 0, "the change can be made again");
	ok(l.count == 102 && fd_of(IPPROTO_TCP, 5001) == tcp &&
	   owner(IPPROTO_TCP, 5001)->to == 80, "a socket is handed over to a new rule");
	ok(event() && event()->port == 5001,
	   "a connection that waits is handed over with it");
	hear();
	listen_close(&l);
}

/* Sockets that can't be handed over are closed when all others are bound */
static void test_last(void)
{
	int other = sock(SOCK_STREAM, "", 5199);
	uint64_t cookie;

	begin();
	rule(IPPROTO_UDP, 5000, 5000, "5000");
	rule(IPPROTO_UDP, 5010, 5019, "all")->weak = true;
	bind_all();
	cookie = hostsock_cookie(fd_of(IPPROTO_UDP, 5000));
	drop(5000, 5000);
	add(IPPROTO_UDP, 5000, 5003, false);
	add(IPPROTO_UDP, 5015, 5016, false);
	add(IPPROTO_TCP, 5199, 5199, false);
	listen_start(&l, &rules, false);
	while (listen_step(&l, 0))
		;
	ok(!l.udp_closed && l.count == 11 &&
	   hostsock_cookie(fd_of(IPPROTO_UDP, 5000)) == cookie,
	   "a change that fails closes no UDP socket");
	close(other);
	is(result(false), 0, "the same change, with the port free");
	ok(l.count == 15 && owner(IPPROTO_UDP, 5000)->last == 5003 &&
	   owner(IPPROTO_UDP, 5003)->last == 5003 && !owner(IPPROTO_UDP, 5015)->weak &&
	   fd_of(IPPROTO_TCP, 5199) >= 0, "all ports are bound, each by its rule");
	hear();
	listen_close(&l);
}

static uint64_t cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (unsigned)ts.tv_nsec / 1000;
}

/* longest_us() - Time of processor of the longest slice of a change; *@n: their number */
static uint64_t longest_us(unsigned *n)
{
	uint64_t longest = 0, from, took;
	bool more = true;

	listen_start(&l, &rules, false);
	for (*n = 0; more; ++*n) {
		from = cpu_us();
		more = listen_step(&l, 500);
		took = cpu_us() - from;
		longest = took > longest ? took : longest;
		l.udp_closed = false;
	}
	return longest;
}

/* A thousand rules do not hold up others for long */
static void test_slices(void)
{
	uint64_t longest;
	unsigned n, i;

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	bind_all();
	for (i = 0; i < MANY; i++)
		add(i % 2 ? IPPROTO_UDP : IPPROTO_TCP, (uint16_t)(10000 + i),
		    (uint16_t)(10000 + i), false);
	longest = longest_us(&n);
	printf("# %u rules added: %u slices, the longest took %u us\n", MANY, n,
	       (unsigned)longest);
	is(l.count, MANY + 1, "a thousand rules are bound in one change");
	ok(n >= 5 && longest < 2000, "no slice of that takes more than 2 ms");
	drop(10000, 20000);
	longest = longest_us(&n);
	printf("# %u rules removed: %u slices, the longest took %u us\n", MANY, n,
	       (unsigned)longest);
	ok(l.count == 1 && longest < 2000,
	   "no slice of removing them takes more than 2 ms");
	listen_close(&l);
}

/* Connections to a rule that stays, one after the other; true: one more was served */
static bool serve_one(void)
{
	union inany a = ip("127.0.0.1");
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&a, 5000, 0, &sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0), in = -1;
	const struct listener *at;
	char c = 0;

	if (!connect(fd, &sa.sa, len) && (at = event()) && at->port == 5000)
		in = accept(at->fd, NULL, NULL);
	if (in >= 0 && (write(in, "x", 1) != 1 || read(fd, &c, 1) != 1))
		c = 0;
	close(in);
	close(fd);
	return c == 'x';
}

static void test_connections(void)
{
	unsigned i, port, served = 0, changes = 0;
	bool there = false;

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	bind_all();
	for (i = 0; i < CONNECTIONS; i++) {
		if (!listen_busy(&l)) {
			for (port = 10000; port < 10000 + GROUP && !there; port++)
				add(IPPROTO_TCP, (uint16_t)port, (uint16_t)port,
				    false);
			if (there)
				drop(10000, 20000);
			there = !there;
			changes++;
			listen_start(&l, &rules, false);
		}
		listen_step(&l, 50);
		served += serve_one();
	}
	printf("# %u changes of %u rules\n", changes, GROUP);
	is(served, CONNECTIONS, "2000 connections are served while 200 other rules "
	   "come and go");
	ok(changes > 10, "these have come and gone");
	listen_close(&l);
}

static unsigned drained;
static uint16_t drained_to;

/* Accepts one connection in each call */
static bool accepts(void *ctx, uint32_t index)
{
	const struct listener *at = listen_at(&l, index);
	int fd = accept(at->fd, NULL, NULL);

	(void)ctx;
	if (fd < 0)
		return false;
	close(fd);
	drained++;
	drained_to = listen_rule(&l, at)->to;
	return true;
}

/* Connections in the queue of a rule that is removed */
static void test_drain(void)
{
	unsigned i;

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000")->to = 80;
	bind_all();
	listen_on_drain(&l, accepts, NULL);
	for (i = 0; i < 10; i++)
		if (!connects("127.0.0.1", 5000))
			ok(false, "a connection waits to be accepted");
	drop(5000, 5000);
	rules_add(&rules, &(struct fwd_rule){ .proto = IPPROTO_TCP, .first = 5001,
		  .last = 5001, .to = 81, .spec = "new" }, NULL, &clash);
	drained = 0;
	is(result(false), 0, "a rule with connections in its queue is removed");
	ok(drained == 10 && drained_to == 80,
	   "they are accepted first, and have the rule that is removed");
	ok(!connects("127.0.0.1", 5000), "its port is closed then");
	listen_close(&l);
}

static char events[256];		/* what the handler was told */

static void on_state(void *ctx, const struct fwd_rule *r, bool removed)
{
	struct listen_info info = { 0 };
	char text[32];

	if (!removed)
		listen_info(&l, r, &info);
	snprintf(text, sizeof(text), "%s%u ", removed ? "-" :
		 info.state == LISTEN_WAITING ? "?" : "+", r->first);
	strncat(events, text, sizeof(events) - strlen(events) - 1);
	(void)ctx;
}

static bool told(const char *want)
{
	bool same = !strcmp(events, want);

	if (!same)
		printf("# got '%s', want '%s'\n", events, want);
	*events = 0;
	return same;
}

/* A handler is told of states */
static void test_events(void)
{
	int other = sock(SOCK_STREAM, "", 5003), more[2];

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	rule(IPPROTO_TCP, 5001, 5001, "5001");
	listen_on_state(&l, on_state, NULL);
	bind_all();
	ok(told("+5000 +5001 "), "new rules are told when they are bound");
	add(IPPROTO_TCP, 5003, 5003, false);
	is(result(false), -EADDRINUSE, "a change fails");
	ok(told(""), "nothing is told of a change that failed");
	drop(5001, 5001);
	result(true);
	ok(told("-5001 ?5003 "), "a rule that is removed and one that waits are told");
	timer_fires();
	ok(told(""), "a rule that still waits is not told again");
	close(other);
	listen_retry(&l);
	step_all();
	ok(told("+5003 ") && !timer_armed(&l.timer),
	   "a rule is bound at once when an event says that it may be");

	shutdown(fd_of(IPPROTO_TCP, 5000), SHUT_RDWR);
	listen_lost(&l, (uint32_t)(event() - l.l), -ECONNABORTED);
	ok(told("?5000 "), "a rule whose socket does not listen any more is told");
	ok(info_of(5000).error == -ECONNABORTED && info_of(5000).bound == 0 &&
	   fd_of(IPPROTO_TCP, 5003) >= 0, "it waits, and no other rule is touched");
	timer_fires();
	ok(told("+5000 ") && connects("127.0.0.1", 5000),
	   "it has another socket after a while");

	more[0] = sock(SOCK_STREAM, "", 5010);
	more[1] = sock(SOCK_STREAM, "", 5012);
	add(IPPROTO_TCP, 5010, 5013, false);
	result(true);
	close(more[1]);
	timer_fires();
	timer_fires();
	is(info_of(5010).bound, 3, "each port that a rule lacks is tried in turn");
	close(more[0]);
	timer_fires();
	is(info_of(5010).state, LISTEN_BOUND, "the rule is bound when all are free");
	rules_init(&rules);
	*events = 0;
	result(false);
	ok(told("-5000 -5003 -5010 "), "the end of the last rules is told");
	hear();
	listen_close(&l);
}

/* Flows of UDP have to end before their rule is overwritten */
static void test_udp(void)
{
	unsigned n = 0;

	begin();
	rule(IPPROTO_UDP, 5000, 5000, "5000");
	bind_all();
	drop(5000, 5000);
	rules_add(&rules, &(struct fwd_rule){ .proto = IPPROTO_UDP, .first = 5000,
		  .last = 5000, .to = 80, .spec = "new" }, NULL, &clash);
	listen_start(&l, &rules, false);
	while (n++ < 100 && listen_step(&l, 1000))
		;
	ok(listen_busy(&l) && l.udp_closed && l.rules.e[0].rule.to == 5000,
	   "a change waits for the end of flows of a removed rule for UDP");
	l.udp_closed = false;
	step_all();
	ok(!listen_busy(&l) && owner(IPPROTO_UDP, 5000)->to == 80,
	   "and goes on then");
	listen_close(&l);
}

/* A command has ended in the middle of a change */
static void test_stop(void)
{
	const struct fwd_rule *failed;
	uint16_t port;

	begin();
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	bind_all();
	add(IPPROTO_TCP, 5001, 5009, false);
	listen_start(&l, &rules, false);
	listen_step(&l, 0);
	listen_step(&l, 0);
	listen_close_host(&l, IPPROTO_TCP);
	ok(!listen_step(&l, 1000) && !listen_busy(&l) && !l.count,
	   "a change does not outlive the ports of the host");
	is(result(false), -ECANCELED, "there are no changes any more");
	listen_result(&l, &failed, &port);
	ok(!failed, "no rule is to blame for that");
	listen_close(&l);
}

/* The namespace ------------------------------------------------------------- */

/* answer() - Wait for an answer of the helper, and go on with the change */
static void answer(void)
{
	struct pollfd pfd = { .fd = nsh.fd, .events = POLLIN };

	if (poll(&pfd, 1, 5000) != 1)
		ok(false, "the helper answers");
	nshelper_event(&nsh);
	step_all();
}

static uint64_t now_ms(void)
{
	loop_update_clock(&lp);
	return lp.now_ms;
}

/* Ports below 1024 are bound by the helper alone */
static void drop_low_ports(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d))
		ok(false, "the capabilities are known");
	d[0].effective &= ~(1U << CAP_NET_BIND_SERVICE);
	if (syscall(SYS_capset, &h, d))
		ok(false, "the capability for low ports can be dropped");
}

static void test_helper(void)
{
	unsigned answers = 0;

	begin();
	l.nsh = &nsh;
	rule(IPPROTO_TCP, 5000, 5000, "5000");
	bind_all();
	add(IPPROTO_TCP, 80, 81, true);
	add(IPPROTO_TCP, 8000, 8099, true);
	listen_start(&l, &rules, false);
	step_all();
	ok(listen_busy(&l) && l.rules.n == 1,
	   "a change does not wait for the helper's answer");
	ok(!listen_step(&l, 1000), "there is nothing to do until it answers");
	for (; listen_busy(&l) && answers < 1000; answers++)
		answer();
	ok(answers > 2, "the helper's answers are events");
	ok(l.count == 103 && ns_connects("127.0.0.1", 80) &&
	   ns_connects("127.0.0.1", 8099), "all ports of the namespace are bound");
	ok(!timer_armed(&l.timer), "no timer is left");
	drop(80, 81);
	drop(8000, 8000);
	rules_add(&rules, &(struct fwd_rule){ .proto = IPPROTO_TCP, .first = 80,
		  .last = 89, .to = 80, .from_ns = true, .weak = true, .spec = "new" },
		  NULL, &clash);
	listen_start(&l, &rules, false);
	for (step_all(); listen_busy(&l); )
		answer();
	ok(info_of(80).state == LISTEN_WEAK && info_of(80).bound == 10,
	   "a rule that takes what is free is bound by the helper, too");
	drop(80, 80);
	result(false);
	is(l.count, 1, "they are closed again");
	listen_close(&l);
}

/* A helper that is stopped, or dead, concerns rules of the namespace alone */
static void test_helper_late(void)
{
	uint64_t from;

	begin();
	l.nsh = &nsh;
	nshelper_settle(&nsh);
	bind_all();
	kill(helper, SIGSTOP);
	waitpid(helper, NULL, WUNTRACED);
	add(IPPROTO_TCP, 5000, 5000, false);
	add(IPPROTO_TCP, 80, 81, true);
	add(IPPROTO_UDP, 80, 81, true);
	add(IPPROTO_TCP, 5001, 5001, false);
	from = now_ms();
	listen_start(&l, &rules, true);
	step_all();
	ok(now_ms() - from < 500 && listen_busy(&l),
	   "nobody waits for a helper that is stopped");
	ok(timer_armed(&l.timer) && l.timer.expires_ms - from <= 1100,
	   "its answer has a second");
	timer_fires();
	ok(!listen_busy(&l) && connects("127.0.0.1", 5000) &&
	   connects("127.0.0.1", 5001), "rules of the host are bound without it");
	ok(info_of(80).state == LISTEN_WAITING && info_of(80).error == -ETIMEDOUT,
	   "the rule of the namespace waits");
	timer_fires();
	ok(!listen_busy(&l) && info_of(80).error == -ETIMEDOUT && timer_armed(&l.timer),
	   "a second attempt fails at once");
	kill(helper, SIGCONT);
	answer();
	timer_fires();
	while (listen_busy(&l))
		answer();
	ok(info_of(80).state == LISTEN_BOUND && ns_connects("127.0.0.1", 81),
	   "the rule is bound when the helper is awake again");
	drop(80, 80);
	result(false);

	kill(helper, SIGKILL);
	waitpid(helper, NULL, 0);
	add(IPPROTO_TCP, 82, 82, true);
	result(true);
	if (listen_busy(&l))
		answer();
	ok(!listen_busy(&l) && info_of(82).error == -ENOTCONN &&
	   connects("127.0.0.1", 5001), "a helper that has ended is an error of its "
	   "rule alone");
	hear();
	listen_close(&l);
}

int main(void)
{
	if (!own_start("listen_change"))
		return 0;
	test_waiting();
	test_invisible();
	test_undo();
	test_last();
	test_slices();
	test_connections();
	test_drain();
	test_events();
	test_udp();
	test_stop();
	if (namespaces()) {
		drop_low_ports();
		test_helper();
		test_helper_late();
	}
	return done();
}
