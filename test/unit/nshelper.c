/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets from a helper in another network namespace: they belong there, and
 * are of the kind asked for; pools are refilled; low ports can be bound; the
 * daemon survives the helper's end and its silence
 */

#include "nshelper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fdpass.h"
#include "log.h"
#include "loop.h"
#include "tap.h"

#define MANY	500
#define LIMIT	70			/* open files */
#define LATE_US	100000			/* until a slow helper closes its copies */
#define FLIGHT	100			/* descriptors in flight, more than LIMIT */

static struct loop loop;
static unsigned limit = 1U << 20;
static struct nshelper h;
static pid_t helper;
static bool other_ns, slow;

void __wrap_fdpass_close(struct fdpass *f);
void __real_fdpass_close(struct fdpass *f);

/* In the place of fdpass_close(), here and in the helper */
void __wrap_fdpass_close(struct fdpass *f)
{
	if (slow && f->n)
		usleep(LATE_US);
	__real_fdpass_close(f);
}

/* Start a helper, in a namespace of its own if we may make one */
static void start(void)
{
	int fds[2];
	char c = 'n';

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		abort();
	helper = fork();
	if (!helper) {
		close(fds[0]);
		if (!unshare(CLONE_NEWUSER | CLONE_NEWNET))
			c = 'y';
		if (write(fds[1], &c, 1) != 1)
			_exit(1);
		nshelper_run(fds[1]);
	}
	close(fds[1]);
	if (read(fds[0], &c, 1) != 1)
		abort();
	other_ns = c == 'y';
	ok(!nshelper_start(&h, fds[0], &loop, limit), "the helper starts");
}

static void stop(void)
{
	int kind;

	for (kind = 0; kind < NSSOCK_KINDS; kind++)
		while (h.n[kind])
			close(h.pool[kind][--h.n[kind]]);
	for (kind = 0; kind < 2; kind++)
		if (h.probe[kind] >= 0)
			close(h.probe[kind]);
	wheel_cancel(&loop.wheel, &h.timer);
	if (h.fd >= 0)
		close(h.fd);
	waitpid(helper, NULL, 0);
}

/* Receive all sockets that were asked for */
static void settle(void)
{
	struct pollfd pfd = { .fd = h.fd, .events = POLLIN };
	bool asked;
	int i;

	do {
		asked = false;
		for (i = 0; i < NSSOCK_KINDS; i++)
			asked |= h.asked[i];
		if (asked && poll(&pfd, 1, 5000) == 1)
			nshelper_event(&h);
	} while (asked && pfd.revents);
}

static void timer_fires(void)
{
	wheel_cancel(&loop.wheel, &h.timer);
	nshelper_timer(&h);
	settle();
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	getsockopt(fd, SOL_SOCKET, name, &value, &len);
	return value;
}

static bool is_elsewhere(int fd)
{
	int net = ioctl(fd, SIOCGSKNS);
	struct stat own, of;
	bool differ;

	differ = net >= 0 && !fstat(net, &of) &&
		 !stat("/proc/self/ns/net", &own) && own.st_ino != of.st_ino;
	close(net);
	return differ;
}

static void kinds(void)
{
	static const struct {
		int family, type;
	} want[] = {
		[NSSOCK_TCP4] = { AF_INET, SOCK_STREAM },
		[NSSOCK_TCP6] = { AF_INET6, SOCK_STREAM },
		[NSSOCK_UDP4] = { AF_INET, SOCK_DGRAM },
		[NSSOCK_UDP6] = { AF_INET6, SOCK_DGRAM },
	};
	int i, fd;

	for (i = 0; i < NSSOCK_KINDS; i++) {
		is(h.n[i], 0, "no socket is at hand before the first request");
		fd = nshelper_socket(&h, i);
		if (!ok(fd >= 0, "a socket arrives"))
			continue;
		is(option(fd, SO_DOMAIN), want[i].family,
		   "a socket has the family asked for");
		is(option(fd, SO_TYPE), want[i].type,
		   "a socket has the type asked for");
		ok(fcntl(fd, F_GETFL) & O_NONBLOCK, "a socket does not block");
		ok(fcntl(fd, F_GETFD) & FD_CLOEXEC,
		   "a socket is closed on exec");
		if (other_ns)
			ok(is_elsewhere(fd),
			   "a socket is of the other namespace");
		close(fd);
	}
}

static void many(void)
{
	static int fds[MANY];
	unsigned i, good = 0;

	for (i = 0; i < MANY; i++) {
		fds[i] = nshelper_socket(&h, i % NSSOCK_KINDS);
		good += fds[i] >= 0;
	}
	is(good, MANY, "500 sockets are made at once");
	for (i = 0; i < MANY; i++)
		close(fds[i]);
	settle();
	for (i = 0; i < NSSOCK_KINDS; i++)
		ok(h.n[i] > NSHELPER_POOL / 2 && h.n[i] <= NSHELPER_POOL,
		   "after a burst more than half of the pool is at hand");
}

/* More sockets are asked for when half of a pool is left */
static void refill(void)
{
	unsigned n = h.n[NSSOCK_TCP4];

	while (!h.asked[NSSOCK_TCP4])
		close(nshelper_socket(&h, NSSOCK_TCP4));
	ok(h.n[NSSOCK_TCP4] == NSHELPER_POOL / 2 && n > NSHELPER_POOL / 2,
	   "sockets are asked for when half are left");
	settle();
	is(h.n[NSSOCK_TCP4], NSHELPER_POOL, "an answer fills the pool");
}

static int bound_to(enum nssock kind, const union sockaddr_inany *sa)
{
	int fd = nshelper_socket(&h, kind), rc = nshelper_bind(&h, fd, sa);

	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static void bound(void)
{
	union sockaddr_inany sa = { .sin = {
		.sin_family = AF_INET, .sin_port = htons(80),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	} };
	int a, b;

	a = bound_to(NSSOCK_TCP4, &sa);
	if (!other_ns && a == -EACCES)
		return;
	ok(a >= 0, "a low port can be bound");
	ok(!listen(a, 5), "a bound socket listens");
	b = bound_to(NSSOCK_TCP4, &sa);
	is(b, -EADDRINUSE, "a port can't be bound twice");
	close(a);
	a = bound_to(NSSOCK_UDP4, &sa);
	ok(a >= 0, "a low port of UDP can be bound");
	close(a);
	sa.sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					 .sin6_port = htons(443) };
	a = bound_to(NSSOCK_TCP6, &sa);
	ok(a >= 0, "a low port of IPv6 can be bound");
	close(a);
	a = nshelper_diag(&h);
	is(option(a, SO_DOMAIN), AF_NETLINK, "there is a sock_diag socket");
	close(a);
}

static void interface(int fd, unsigned long request, const char *name,
		      const char *addr)
{
	struct ifreq ifr = { .ifr_flags = IFF_UP };
	union sockaddr_inany sa;
	union inany a;

	strcpy(ifr.ifr_name, name);
	if (addr && inany_pton(addr, &a)) {
		inany_to_sockaddr(&a, 0, 0, &sa);
		memcpy(&ifr.ifr_addr, &sa.sin, sizeof(sa.sin));
	}
	if (ioctl(fd, request, &ifr))
		ok(false, "the namespace of the test is set up");
}

/* Addresses of the namespace, and others that it has a route to */
static void local(void)
{
	static const struct {
		const char *src, *dst;
		bool local;
		const char *name;
	} table[] = {
		{ "127.0.0.1", "192.0.2.1", true, "a loopback source is local" },
		{ "::1", "::1", true, "an IPv6 loopback source is local" },
		{ "198.51.100.1", "198.51.100.1", true,
		  "a source that is the destination is local" },
		{ "192.0.2.1", "127.0.0.1", true,
		  "one of the namespace's addresses is local" },
		{ "192.0.2.77", "192.0.2.1", false, "a neighbour is not local" },
		{ "192.0.2.77", "127.0.0.1", false,
		  "a neighbour that sends to loopback is not local" },
		{ "198.51.100.1", "192.0.2.1", false,
		  "an address without a route is not local" },
		{ "192.0.2.1", "127.0.0.1", true,
		  "an answer does not depend on the last one" },
		{ "2001:db8::1", "2001:db8::2", false,
		  "an IPv6 address of another machine is not local" },
	};
	union inany src, dst;
	unsigned i;
	int fd;

	if (!other_ns)
		return;
	fd = nshelper_socket(&h, NSSOCK_UDP4);
	interface(fd, SIOCSIFFLAGS, "lo", NULL);
	interface(fd, SIOCSIFADDR, "lo:1", "192.0.2.1");
	close(fd);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		inany_pton(table[i].src, &src);
		inany_pton(table[i].dst, &dst);
		is(nshelper_is_local(&h, &src, &dst, 0), table[i].local,
		   table[i].name);
	}
	inany_pton("192.0.2.1", &src);
	ok(!nshelper_is_local(NULL, &src, &dst, 0),
	   "without a helper, an address that needs a question is not local");
}

/* With few descriptors, sockets that don't fit are an error */
static void few_files(void)
{
	struct rlimit rl, old;
	int fds[LIMIT], n = 0, last;

	getrlimit(RLIMIT_NOFILE, &old);
	rl = (struct rlimit){ .rlim_cur = LIMIT, .rlim_max = old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &rl);
	limit = LIMIT;
	stop();
	start();
	do {
		last = nshelper_socket(&h, NSSOCK_TCP4);
		fds[n] = last;
	} while (last >= 0 && ++n < LIMIT);
	is(last, -EMFILE, "too many open files are an error");
	ok(n > LIMIT / 2, "there were many open files before that error");
	while (n)
		close(fds[--n]);
	timer_fires();
	last = nshelper_socket(&h, NSSOCK_TCP4);
	ok(last >= 0, "with free descriptors, there are sockets again");
	close(last);
	setrlimit(RLIMIT_NOFILE, &old);
	limit = 1U << 20;
}

/* Put @n descriptors in flight; 0: receive them */
static void in_flight(int pair[2], unsigned n)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int) * FLIGHT)];
	} control = { .hdr = {
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int) * n),
	} };
	struct iovec iov = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = CMSG_SPACE(sizeof(int) * n) };

	memset(CMSG_DATA(&control.hdr), 0, sizeof(int) * n);
	if (n && sendmsg(pair[0], &msg, 0) != 1)
		ok(false, "descriptors are on their way");
	if (!n && recv(pair[1], control.buf, 1, 0) != 1)
		ok(false, "descriptors have arrived");
}

/* Another process of the user has used up the limit of descriptors in flight */
static void too_many_in_flight(void)
{
	struct rlimit rl, old;
	int pair[2], fd;

	/* A helper without a user namespace of its own may have privileges */
	if (!other_ns || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		return;
	stop();
	getrlimit(RLIMIT_NOFILE, &old);
	rl = (struct rlimit){ .rlim_cur = LIMIT, .rlim_max = old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &rl);
	start();
	setrlimit(RLIMIT_NOFILE, &old);

	close(nshelper_diag(&h));
	in_flight(pair, FLIGHT);
	is(nshelper_socket(&h, NSSOCK_TCP4), -ETOOMANYREFS,
	   "sockets that can't be sent are an error");
	ok(nshelper_error_passes(-ETOOMANYREFS), "this error may pass");
	ok(timer_armed(&h.timer), "after a while the helper is asked again");
	is(nshelper_diag(&h), -ETOOMANYREFS, "the helper still answers");
	is(nshelper_socket(&h, NSSOCK_TCP4), -ETOOMANYREFS,
	   "until then, the last error is the answer");
	ok(!h.asked[NSSOCK_TCP4], "until then, no request is sent");
	timer_fires();
	is(h.wait_ms, 100, "the second interval is twice as long");
	in_flight(pair, 0);
	timer_fires();
	is(h.n[NSSOCK_TCP4], h.max, "after the error, the pool is filled");
	is(h.wait_ms, 0, "after the error, the interval is short again");
	fd = nshelper_diag(&h);
	ok(fd >= 0, "after the error, there is a sock_diag socket");
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static uint64_t now_ms(void)
{
	loop_update_clock(&loop);
	return loop.now_ms;
}

/* A helper does not answer, then it ends */
static void silence(void)
{
	uint64_t start_ms;
	int fd, n;

	stop();
	start();
	close(nshelper_diag(&h));
	kill(helper, SIGSTOP);
	waitpid(helper, NULL, WUNTRACED);
	is(nshelper_socket(&h, NSSOCK_UDP6), -ETIMEDOUT,
	   "a stopped helper is not waited for for ever");
	start_ms = now_ms();
	is(nshelper_diag(&h), -ETIMEDOUT, "a second request times out");
	is(nshelper_socket(&h, NSSOCK_TCP4), -ETIMEDOUT,
	   "a third request times out");
	ok(now_ms() - start_ms < 500, "these time out at once");
	kill(helper, SIGCONT);
	settle();
	fd = nshelper_diag(&h);
	is(option(fd, SO_DOMAIN), AF_NETLINK,
	   "a late answer is not mistaken for another one");
	close(fd);
	fd = nshelper_socket(&h, NSSOCK_UDP6);
	is(option(fd, SO_DOMAIN), AF_INET6,
	   "a helper that answers again is waited for");
	close(fd);
	settle();

	kill(helper, SIGKILL);
	for (n = 0; (fd = nshelper_socket(&h, NSSOCK_UDP6)) >= 0; n++)
		close(fd);
	ok(n > 0, "sockets in a pool outlive the helper");
	is(fd, -ENOTCONN, "without a helper, an empty pool is an error");
	is(nshelper_diag(&h), -ENOTCONN,
	   "without a helper, there is no sock_diag socket");
	stop();
}

/* An answer, as a helper sends it */
struct reply {
	uint32_t seq, op, kind;
	int32_t error;
};

/* start_bad() - Start a helper that does not do what it should */
static void start_bad(void (*run)(int fd))
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		abort();
	helper = fork();
	if (!helper) {
		close(fds[0]);
		run(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	ok(!nshelper_start(&h, fds[0], &loop, limit), "a bad helper starts");
	h.ready = true;
}

/* Answers with other numbers, as fast as they are read */
static void flood(int fd)
{
	const struct reply other = { .seq = 1000 };

	while (send(fd, &other, sizeof(other), MSG_NOSIGNAL) > 0)
		;
}

/* Such an answer every 100 ms */
static void trickle(int fd)
{
	const struct reply other = { .seq = 1000 };

	while (send(fd, &other, sizeof(other), MSG_NOSIGNAL) > 0)
		usleep(100000);
}

static int refusal = -EACCES;

/* Answers each request with an error that does not pass */
static void refuse(int fd)
{
	char request[256];
	struct reply a;

	while (recv(fd, request, sizeof(request), 0) >= (ssize_t)sizeof(a)) {
		memcpy(&a, request, sizeof(a));
		a.error = refusal;
		send(fd, &a, sizeof(a), MSG_NOSIGNAL);
	}
}

/* A wait ends, no matter what the helper sends instead of the answer */
static void other_answers(void)
{
	void (*const bad[])(int fd) = { trickle, flood };
	uint64_t start_ms;
	unsigned i;

	for (i = 0; i < 2; i++) {
		start_bad(bad[i]);
		alarm(30);
		start_ms = now_ms();
		is(nshelper_diag(&h), -ETIMEDOUT,
		   "answers to other requests don't prolong a wait");
		ok(now_ms() - start_ms < 3000, "it takes a second");
		nshelper_event(&h);
		ok(true, "an event ends, too");
		alarm(0);
		kill(helper, SIGKILL);
		stop();
	}
}

/* answered() - Receive the next answer */
static void answered(void)
{
	struct pollfd pfd = { .fd = h.fd, .events = POLLIN };
	uint32_t before = h.answers;

	if (poll(&pfd, 1, 5000) == 1)
		nshelper_event(&h);
	ok(h.answers != before, "an answer is counted");
}

/* Who is told of an error does not ask for ever */
static void refused(void)
{
	start_bad(refuse);
	is(nshelper_take(&h, NSSOCK_TCP4), -EINPROGRESS, "a socket is asked for");
	answered();
	is(nshelper_take(&h, NSSOCK_TCP4), -EACCES,
	   "an error that does not pass is told");
	is(nshelper_take(&h, NSSOCK_TCP4), -EINPROGRESS, "then a socket is asked for again");
	answered();
	is(nshelper_take(&h, NSSOCK_TCP4), -EACCES, "and the error is told again");
	is(nshelper_socket(&h, NSSOCK_TCP4), -EACCES, "who waits has the same error");
	stop();
	refusal = 5;
	start_bad(refuse);
	is(nshelper_diag(&h), -EPROTO, "an error that is none is not taken for a socket");
	is(nshelper_socket(&h, NSSOCK_TCP4), -EPROTO, "not for one of a pool, either");
	stop();
}

/* Requests whose answers are events */
static void without_waiting(void)
{
	union sockaddr_inany sa = { .sin = {
		.sin_family = AF_INET, .sin_port = htons(80),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	} };
	int a, b = -1;

	start();
	is(nshelper_take(&h, NSSOCK_TCP4), -EINPROGRESS,
	   "a socket that is not at hand is on its way");
	answered();
	a = nshelper_take(&h, NSSOCK_TCP4);
	ok(a >= 0, "after the answer it is at hand");
	is(nshelper_bind_start(&h, a, &sa), -EINPROGRESS, "a socket is being bound");
	ok(nshelper_is_binding(&h), "until its answer has come");
	is(nshelper_bind_end(&h, &b), -EINPROGRESS, "there is no result before");
	close(nshelper_diag(&h));
	ok(nshelper_bind_end(&h, &b) != -EINPROGRESS && b == a && !nshelper_is_binding(&h),
	   "the result is not lost to a request that is waited for");

	kill(helper, SIGSTOP);
	waitpid(helper, NULL, WUNTRACED);
	is(nshelper_bind_start(&h, a, &sa), -EINPROGRESS,
	   "a stopped helper is not waited for");
	nshelper_give_up(&h);
	is(nshelper_bind_end(&h, &b), -ETIMEDOUT, "who gives up has a result");
	is(nshelper_bind_start(&h, a, &sa), -ETIMEDOUT,
	   "until the helper answers, others have it at once");
	is(nshelper_take(&h, NSSOCK_UDP6), -ETIMEDOUT, "for sockets, too");
	kill(helper, SIGCONT);
	poll(&(struct pollfd){ .fd = h.fd, .events = POLLIN }, 1, 5000);
	ok(nshelper_event(&h), "the event tells that the helper is awake again");
	settle();
	ok(!nshelper_event(&h), "it tells so once");
	ok(nshelper_bind_start(&h, a, &sa) == -EINPROGRESS,
	   "a helper that is awake is asked again");
	kill(helper, SIGSTOP);
	waitpid(helper, NULL, WUNTRACED);
	is(nshelper_take(&h, NSSOCK_TCP6), -EINPROGRESS, "for sockets, too");
	kill(helper, SIGKILL);
	waitpid(helper, NULL, 0);
	while (h.fd >= 0)
		nshelper_event(&h);
	ok(nshelper_bind_end(&h, &b) != -EINPROGRESS && !nshelper_is_binding(&h),
	   "the end of the helper is a result, too");
	close(a);
	for (; h.n[NSSOCK_TCP4]; close(a))
		a = nshelper_take(&h, NSSOCK_TCP4);
	is(nshelper_take(&h, NSSOCK_TCP4), -ENOTCONN,
	   "without a helper an empty pool is an error at once");
	is(nshelper_take(&h, NSSOCK_TCP6), -ENOTCONN,
	   "even if the helper has ended before it answered");
	stop();
}

static void none(void)
{
	ok(!nshelper_start(&h, -1, &loop, 1024), "having no helper is no error");
	is(nshelper_socket(&h, NSSOCK_TCP4), -ENOTCONN,
	   "without any helper, there is no socket");
	is(nshelper_diag(&h), -ENOTCONN,
	   "without any helper, there is no sock_diag socket");
}

/* The helper still has a copy of a socket that the daemon has bound and closed */
static void copies(void)
{
	union sockaddr_inany sa = { .sin = { .sin_family = AF_INET } };
	socklen_t len = sizeof(sa.sin);
	int fd;

	slow = true;
	start();
	slow = false;
	fd = nshelper_socket(&h, NSSOCK_TCP4);
	ok(!bind(fd, &sa.sa, len) && !getsockname(fd, &sa.sa, &len),
	   "the daemon binds a socket of the helper");
	close(fd);
	nshelper_settle(&h);
	fd = nshelper_socket(&h, NSSOCK_TCP4);
	is(bind(fd, &sa.sa, len), 0,
	   "the port of a closed socket is free once the helper has settled");
	close(fd);
	stop();
}

int main(void)
{
	log_init("test");
	log_set_level(LOG_L_ERR);
	if (loop_init(&loop))
		return 1;
	none();
	start();
	kinds();
	many();
	refill();
	bound();
	local();
	few_files();
	too_many_in_flight();
	silence();
	other_answers();
	refused();
	copies();
	without_waiting();
	close(loop.epfd);
	return done();
}
