/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bypassed connections, with real sockets on loopback: a client, an accepted
 * socket and one dialled by tcp_splice.c, a server; this file is the event loop
 *
 * Defects that hurt users of such programs, and the tests that exclude them:
 *
 *   13  RST turned into FIN               resets
 *   17  one bad flow ends the daemon      no_descriptors
 *   18  busy while blocked                slow_reader: no events, no ready list
 *   19  stalls with pipes                 one_byte_writes, half_close,
 *                                         slow_reader, without_pipes
 */

#include "tcp_splice.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "hostsock.h"
#include "loop.h"
#include "nshelper.h"
#include "own_net.h"
#include "tap.h"

static struct conf conf;
static struct hostnet hostnet;
static struct dns dns;
static struct flow_table flows;
static struct loop loop;
static struct tcp_splice splice_;
static struct tcp_splice *const s = &splice_;

/* One connection: our ends of it */
struct pair {
	int client, server;
};

static int front, back;			/* listening sockets */
static uint16_t back_port;
static bool v6;

static union inany lo(void)
{
	const struct in_addr a4 = { htonl(INADDR_LOOPBACK) };

	return v6 ? inany_from_v6(&in6addr_loopback) : inany_from_v4(a4);
}

static int listener(uint16_t *port)
{
	union inany a = lo();
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&a, 0, 0, &sa);
	int fd = socket(sa.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, &sa.sa, len) || listen(fd, 1024) ||
	    getsockname(fd, &sa.sa, &len))
		return -1;
	hostsock_stream_options(fd);
	inany_from_sockaddr(&sa, &a, port);
	return fd;
}

static uint64_t skip_ms;		/* time that was skipped */

/* turn() - Wait for events up to @ms and handle them; false if there was nothing */
static bool turn(int ms)
{
	struct epoll_event ev[64];
	bool busy = tcp_splice_run_ready(s);
	struct timer *tm;
	int i, n = epoll_wait(loop.epfd, ev, 64, busy ? 0 : ms);

	for (i = 0; i < n; i++) {
		union epoll_ref ref = { .u64 = ev[i].data.u64 };
		struct flow *f = flow_from_ref(&flows, ref);

		if (f)
			tcp_splice_event(s, f, ref.side, ev[i].events);
	}
	loop_update_clock(&loop);
	loop.now_ms += skip_ms;
	while ((tm = wheel_expire(&loop.wheel, loop.now_ms))) {
		struct flow *f = flow_from_ref(&flows, tm->ref);

		if (f)
			tcp_splice_timer(s, f);
	}
	return n > 0 || busy;
}

static void settle(void)
{
	while (turn(5))
		;
}

/* Handle events until there are no more; a connection that spins never gets there */
static bool quiet(void)
{
	int i;

	for (i = 0; i < 40; i++)
		if (!turn(50))
			return true;
	return false;
}

/* client_of() - The client's end of a connection to a listening socket */
static int client_of(int listening)
{
	union sockaddr_inany sa;
	socklen_t len = sizeof(sa);
	int fd;

	getsockname(listening, &sa.sa, &len);
	fd = socket(sa.sa.sa_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, &sa.sa, len))
		return -1;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static bool from_ns = true;	/* for the next hand_over(): where it comes from */
static union inany other[FWD_TARGETS - 1];	/* of the next hand_over() */

/* hand_over() - Start a connection for a client, to a server at @port */
static void hand_over(uint16_t port)
{
	struct flowside ini = { .oaddr = lo(), .eaddr = lo(), .oport = 80,
				.eport = 1234 };
	struct flowside tgt = { .eaddr = lo(), .eport = port };
	int peer = accept4(front, NULL, NULL, SOCK_NONBLOCK);

	tcp_splice_accepted(s, peer, (struct rule_ref){ 7, 3 }, from_ns, &ini,
			    &tgt, other);
}

/* dial() - The client's end; its other end is handed over */
static int dial(uint16_t port)
{
	int fd = client_of(front);

	if (fd >= 0)
		hand_over(port);
	return fd;
}

static struct pair connected(void)
{
	struct pair p;

	p.client = dial(back_port);
	settle();
	p.server = accept4(back, NULL, NULL, SOCK_NONBLOCK);
	return p;
}

static void finish(struct pair p)
{
	if (p.client >= 0)
		close(p.client);
	if (p.server >= 0)
		close(p.server);
	settle();
	is(flows.count, 0, "no flow and no pipe is left");
}

static uint8_t byte_at(size_t i)
{
	return i * 7 + (i >> 8) * 13 + (i >> 16);
}

/*
 * transfer() - @bytes from @from to @to in writes and reads of some size, with
 * turns in between: all right and in order?
 */
static bool transfer(int from, int to, size_t bytes, size_t wr, size_t rd)
{
	static uint8_t buf[1 << 20];
	size_t sent = 0, got = 0, i;
	unsigned idle = 0;
	ssize_t n;

	while (got < bytes && idle < 100) {
		size_t want = bytes - sent < wr ? bytes - sent : wr;

		for (i = 0; i < want; i++)
			buf[i] = byte_at(sent + i);
		n = want ? send(from, buf, want, MSG_NOSIGNAL) : 0;
		sent += n > 0 ? n : 0;
		idle = turn(idle) || n > 0 ? 0 : idle + 1;
		n = recv(to, buf, rd, 0);
		for (i = 0; n > 0 && i < (size_t)n; i++)
			if (buf[i] != byte_at(got + i))
				return false;
		got += n > 0 ? n : 0;
		idle = n > 0 ? 0 : idle;
	}
	return got == bytes;
}

static int read_error(int fd)
{
	char c;

	settle();
	return recv(fd, &c, 1, 0) < 0 ? errno : 0;
}

static bool at_end(int fd)
{
	char c;

	settle();
	return recv(fd, &c, 1, 0) == 0;
}

static void both_ways(void)
{
	struct pair p = connected();

	ok(p.server >= 0, "the server is reached");
	is(flows.count, 1, "one flow reaches the server");
	ok(transfer(p.client, p.server, 1, 1, 1), "a byte gets to the server");
	ok(transfer(p.server, p.client, 1, 1, 1),
	   "a byte gets back to the client");
	ok(transfer(p.client, p.server, 3000000, 100000, 70000),
	   "a long message gets to the server");
	ok(transfer(p.server, p.client, 3000000, 1000000, 1000000),
	   "long messages go both ways");
	is(s->pipes, s->nspare, "an idle connection holds no pipe");
	finish(p);
}

static void one_byte_writes(void)
{
	struct pair p = connected();

	ok(transfer(p.client, p.server, 3000, 1, 1),
	   "single bytes get to the server");
	ok(transfer(p.server, p.client, 3000, 1, 100000),
	   "single bytes get back to the client");
	ok(transfer(p.client, p.server, 20000, 5000, 1),
	   "single bytes are read one by one");
	finish(p);
}

/* fill() - Write until nothing goes any more; the bytes */
static size_t fill(int fd)
{
	static uint8_t buf[65536];
	size_t sum = 0, i;
	ssize_t n;

	do {
		for (i = 0; i < sizeof(buf); i++)
			buf[i] = byte_at(sum + i);
		n = send(fd, buf, sizeof(buf), MSG_NOSIGNAL);
		sum += n > 0 ? n : 0;
	} while (turn(n > 0 ? 0 : 5) || n > 0);
	return sum;
}

static void counters(void)
{
	struct pair p = connected();
	struct flow *f = flow_next(&flows, NULL);

	ok(f && f->rule == 7 && f->rule_gen == 3,
	   "a connection has the rule of its port");
	transfer(p.client, p.server, 3000000, 100000, 70000);
	transfer(p.server, p.client, 2000, 10, 1000);
	/* The client is in the namespace */
	is(f->bytes[FROM_GUEST], 3000000, "bytes of the client are counted");
	is(f->bytes[TO_GUEST], 2000, "bytes of the server are counted");
	finish(p);
}

static const char *state_of(const struct flow *f)
{
	struct flow_state st = { .sock = -1 };

	tcp_splice_state(f, &st);
	return st.name;
}

static void killed(void)
{
	struct pair p = connected();
	struct flow *f = flow_next(&flows, NULL);

	ok(!strcmp(state_of(f), "ESTABLISHED"),
	   "a connection with both sides is established");
	tcp_splice_kill(s, f);
	is(flows.count, 0, "a killed connection has no flow");
	is(read_error(p.client), ECONNRESET, "a killed client gets a reset");
	is(read_error(p.server), ECONNRESET, "a killed server gets a reset");
	finish(p);

	p = connected();
	f = flow_next(&flows, NULL);
	shutdown(p.client, SHUT_WR);
	fill(p.server);
	ok(!strcmp(state_of(f), "CLOSING"),
	   "a connection that one side has ended is closing");
	tcp_splice_kill(s, f);
	settle();
	/* Behind the FIN, Linux reports a reset as EPIPE */
	is(send(p.server, "", 1, MSG_NOSIGNAL) < 0 ? errno : 0, EPIPE,
	   "a connection with data under way is reset, too");
	finish(p);
	is(s->pipes, s->nspare, "a killed connection keeps no pipe");
}

/* empty() - Read @bytes in small portions; true if they are right */
static bool empty(int fd, size_t bytes, size_t rd)
{
	static uint8_t buf[1 << 20];
	size_t got = 0, i;
	unsigned idle = 0;
	ssize_t n;

	while (got < bytes && idle < 100) {
		n = recv(fd, buf, rd, 0);
		for (i = 0; n > 0 && i < (size_t)n; i++)
			if (buf[i] != byte_at(got + i))
				return false;
		got += n > 0 ? n : 0;
		idle = turn(idle) || n > 0 ? 0 : idle + 1;
	}
	return got == bytes;
}

static void slow_reader(void)
{
	struct pair p = connected();
	size_t bytes = fill(p.client);

	ok(bytes > 100000, "a client can write until all is full");
	is(s->pipes - s->nspare, 1,
	   "the data that the server does not read is in a pipe");
	ok(quiet(), "a full connection has no events until the server reads");
	is(s->ready.count, 0, "a full connection is not tried again and again");
	ok(transfer(p.server, p.client, 100000, 1000, 1000),
	   "the other direction of a full connection goes on");
	shutdown(p.client, SHUT_WR);
	settle();
	ok(empty(p.server, bytes, 10000),
	   "all data of a full connection arrives");
	ok(at_end(p.server), "the end arrives behind the data");
	is(s->pipes, s->nspare, "the pipe is given back after the data");
	finish(p);

	p = connected();
	fill(p.client);
	close(p.client);
	p.client = -1;
	finish(p);
	is(s->pipes, s->nspare, "a pipe with data in it is not used again");
}

/* without_pipes() - As if all pipes were lent */
static void without_pipes(void)
{
	unsigned pipes = s->pipes, spare = s->nspare;
	struct pair p = connected();
	size_t bytes;

	s->pipes = TCP_SPLICE_PIPES;
	s->nspare = 0;
	ok(transfer(p.client, p.server, 3000000, 100000, 70000),
	   "without pipes data goes all the same");
	ok(transfer(p.server, p.client, 5000, 1, 1),
	   "without pipes single bytes go, too");
	bytes = fill(p.client);
	ok(quiet(), "without pipes data waits in its socket");
	ok(empty(p.server, bytes, 10000),
	   "data in its socket goes on once the server reads");
	bytes = fill(p.client);
	shutdown(p.client, SHUT_WR);
	settle();
	ok(empty(p.server, bytes, 100000),
	   "without pipes data goes up to the end");
	ok(at_end(p.server), "without pipes the end arrives");
	ok(s->stats.no_pipe, "connections without pipes are counted");
	s->pipes = pipes;
	s->nspare = spare;
	finish(p);
}

static void half_close(void)
{
	struct pair p = connected();

	shutdown(p.client, SHUT_WR);
	ok(at_end(p.server), "the end of the client's stream arrives");
	ok(transfer(p.server, p.client, 1000000, 50000, 50000),
	   "the server sends after the client's end");
	is(flows.count, 1, "a half-closed connection lasts for any time");
	shutdown(p.server, SHUT_WR);
	ok(at_end(p.client),
	   "a half-closed connection ends with the server's end");
	is(flows.count, 0, "a connection with both ends is freed");
	finish(p);

	p = connected();
	send(p.server, "bye", 3, 0);
	close(p.server);
	p.server = -1;
	ok(transfer(p.client, p.client, 0, 1, 1) && !read_error(p.client),
	   "data that a server sends last arrives");
	finish(p);
}

static void reset(int fd)
{
	const struct linger abort_now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	close(fd);
}

static void resets(void)
{
	struct pair p = connected();

	reset(p.client);
	is(read_error(p.server), ECONNRESET, "a client's reset is passed on");
	p.client = -1;
	finish(p);

	p = connected();
	reset(p.server);
	is(read_error(p.client), ECONNRESET, "a server's reset is passed on");
	p.server = -1;
	finish(p);

	p = connected();
	shutdown(p.client, SHUT_WR);
	settle();
	reset(p.server);
	is(read_error(p.client), ECONNRESET,
	   "a server's reset after the client's end is passed on");
	p.server = -1;
	finish(p);

	p = connected();
	fill(p.client);
	reset(p.server);
	settle();
	is(read_error(p.client), ECONNRESET,
	   "a client's reset with data on the way is passed on");
	p.server = -1;
	finish(p);

	p = connected();
	close(p.server);
	p.server = -1;
	settle();
	send(p.client, "x", 1, MSG_NOSIGNAL);
	settle();
	send(p.client, "x", 1, MSG_NOSIGNAL);
	settle();
	ok(send(p.client, "x", 1, MSG_NOSIGNAL) < 0,
	   "a client that writes to an ended server gets a reset");
	finish(p);
}

/* unsent() - Bytes in the send queue of a socket */
static size_t unsent(int fd)
{
	int v = 0;

	ioctl(fd, SIOCOUTQ, &v);
	return (size_t)v;
}

/* read_all() - Up to an error or the end: the bytes, and errno in @error */
static size_t read_all(int fd, int *error)
{
	static uint8_t buf[65536];
	size_t sum = 0;
	ssize_t n;
	int tries;

	for (tries = 0; tries < 200;) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n > 0) {
			sum += (size_t)n;
			tries = 0;
		} else if (n < 0 && errno == EAGAIN) {
			turn(20);
			tries++;
		} else {
			*error = n < 0 ? errno : 0;
			return sum;
		}
	}
	*error = EAGAIN;
	return sum;
}

/*
 * answer_then_reset() - @from answers and resets, while @to still writes
 * @big:	More than the buffers of @to take
 */
static void answer_then_reset(bool client_answers, bool big)
{
	struct pair p = connected();
	int from = client_answers ? p.client : p.server, error;
	int to = client_answers ? p.server : p.client;
	size_t sent = 6, got;

	fill(to);
	if (big) {
		sent = fill(from);
		sent -= unsent(from);
	} else {
		send(from, "answer", 6, 0);
	}
	reset(from);
	send(to, "more", 4, MSG_NOSIGNAL);
	if (!big)
		settle();
	got = read_all(to, &error);
	ok(got >= sent, big ? "a large answer comes whole before the reset" :
	   "an answer comes before the reset");
	if (got < sent)
		printf("# %zu of %zu\n", got, sent);
	is(error, ECONNRESET, "the reset comes behind the answer");
	close(to);
	settle();
	is(flows.count, 0, "no flow is left behind the reset");
}

/* silent_reader() - A reset waits for a reader, but not for ever */
static void silent_reader(void)
{
	struct pair p = connected();
	int i;

	fill(p.server);
	reset(p.server);
	for (i = 0; i < 10; i++)
		turn(5);
	is(flows.count, 1, "the reset waits behind data that is not read");
	skip_ms = 59000;
	turn(5);
	is(flows.count, 1, "the reset waits for most of a minute");
	/* The kernel may still make room now and then, which counts as progress */
	for (i = 0; i < 10 && flows.count; i++) {
		skip_ms += 62000;
		turn(5);
	}
	is(flows.count, 0, "the reset waits no longer than a minute");
	skip_ms = 0;
	close(p.client);
	loop_update_clock(&loop);
	wheel_init(&loop.wheel, loop.now_ms);
}

static void answers(void)
{
	answer_then_reset(false, false);
	answer_then_reset(true, false);
	answer_then_reset(false, true);
	answer_then_reset(true, true);
	silent_reader();
}

static void refused(void)
{
	uint16_t port;
	int fd = listener(&port);
	struct pair p = { .server = -1 };

	close(fd);
	p.client = dial(port);
	is(read_error(p.client), ECONNRESET, "a refused connection is reset");
	finish(p);
}

/* other_family() - The server has the other one; @late: and the first is slow */
static void other_family(bool late)
{
	struct pair p = { .server = -1 };
	int i, full = -1, gone = -1, fd;
	uint16_t port;
	char buf[20];

	inany_pton("127.0.0.9", &other[0]);	/* nobody there */
	v6 = !v6;
	fd = listener(&port);
	other[1] = lo();
	v6 = !v6;
	if (late) {		/* a queue that takes nobody, and then is no more */
		union inany a = lo();
		union sockaddr_inany sa;
		socklen_t len = inany_to_sockaddr(&a, port, 0, &sa);

		gone = socket(sa.sa.sa_family, SOCK_STREAM, 0);
		bind(gone, &sa.sa, len);
		listen(gone, 0);
		full = client_of(gone);
	}
	p.client = client_of(front);
	send(p.client, "request", 7, 0);
	hand_over(port);
	settle();
	if (late)
		close(gone);
	for (i = 0; i < 40 && p.server < 0; i++) {
		p.server = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
		if (p.server < 0)
			turn(200);
	}
	settle();
	is(recv(p.server, buf, sizeof(buf), 0), 7, late ?
	   "after a server has ended, the other family is tried" :
	   "a server of the other family is found");
	ok(transfer(p.client, p.server, 100000, 1000, 1000) &&
	   transfer(p.server, p.client, 100000, 1000, 1000),
	   "a server of the other family is served");
	finish(p);
	close(fd);
	close(full);

	p.client = dial(port);
	p.server = -1;
	is(read_error(p.client), ECONNRESET,
	   "a connection refused in both families is reset");
	finish(p);
	memset(other, 0, sizeof(other));
}

static void end_before_connect(void)
{
	struct pair p;

	p.client = dial(back_port);
	send(p.client, "early", 5, 0);
	shutdown(p.client, SHUT_WR);
	settle();
	p.server = accept4(back, NULL, NULL, SOCK_NONBLOCK);
	ok(transfer(p.client, p.server, 0, 1, 1),
	   "a connection with early data reaches the server");
	is(recv(p.server, s->buf, 100, 0), 5, "early data is not lost");
	ok(at_end(p.server), "the end behind early data is not lost");
	finish(p);
}

/* early_data() - Data that came before the connection was accepted */
static void early_data(void)
{
	struct pair p = { .client = client_of(front) };
	char buf[20];

	send(p.client, "request", 7, 0);
	hand_over(back_port);
	p.server = accept4(back, NULL, NULL, SOCK_NONBLOCK);
	is(recv(p.server, buf, sizeof(buf), 0), 7,
	   "a request is there with the connection, before any event");
	is(flow_at(&flows, 0)->rank, FLOW_KEPT,
	   "a connection that was established at once is not evicted for others");
	ok(transfer(p.client, p.server, 100000, 1000, 1000) &&
	   transfer(p.server, p.client, 100000, 1000, 1000),
	   "a connection that was not evicted goes on");
	finish(p);

	p.client = client_of(front);
	send(p.client, "last words", 10, 0);
	reset(p.client);
	p.client = -1;
	hand_over(back_port);
	settle();
	p.server = accept4(back, NULL, NULL, SOCK_NONBLOCK);
	is(recv(p.server, buf, sizeof(buf), 0), 10,
	   "data sent just before a reset arrives");
	is(read_error(p.server), ECONNRESET,
	   "the reset comes behind the data sent before it");
	finish(p);

	p.client = client_of(front);
	close(p.client);
	p.client = -1;
	hand_over(back_port);
	settle();
	p.server = accept4(back, NULL, NULL, SOCK_NONBLOCK);
	ok(at_end(p.server), "an end that came before the reset is passed on");
	finish(p);
}

/* early_waits() - The same, while the server's queue takes nobody */
static void early_waits(size_t bytes)
{
	struct pair p = { .server = -1 };
	uint16_t port;
	int i, first[2], fd = listener(&port);
	char buf[20] = "request";

	listen(fd, 0);
	first[0] = client_of(fd);
	p.client = client_of(front);
	send(p.client, buf, bytes, 0);
	shutdown(p.client, SHUT_WR);
	hand_over(port);
	settle();
	is(flows.count, 1,
	   "a connection that the server has not accepted waits");
	first[1] = accept(fd, NULL, NULL);
	for (i = 0; i < 40 && p.server < 0; i++) {
		turn(200);	/* the kernel sends its SYN again after 1 s */
		p.server = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
	}
	settle();
	ok(p.server >= 0, "a connection that waited is accepted");
	is(bytes ? recv(p.server, buf, sizeof(buf), 0) : 0, bytes,
	   "all data of a connection that waited arrives");
	ok(at_end(p.server), "the end of a connection that waited arrives");
	send(p.server, "answer", 6, 0);
	settle();
	is(recv(p.client, buf, sizeof(buf), 0), 6,
	   "the answer to a connection that waited arrives");
	close(first[0]);
	close(first[1]);
	close(fd);
	finish(p);
}

static void urgent_data(void)
{
	struct pair p = connected();
	char buf[20];

	send(p.client, "before", 6, 0);
	settle();
	send(p.client, "!", 1, MSG_OOB);
	send(p.client, "after", 5, 0);
	settle();
	is(recv(p.server, buf, sizeof(buf), 0), 12, "urgent data stays in line");
	ok(!memcmp(buf, "before!after", 12), "urgent data keeps its place");
	ok(transfer(p.client, p.server, 1000000, 50000, 50000),
	   "much data may follow urgent data");
	finish(p);
}

/* urgent_end() - Urgent data and the end, told by an event from before them */
static void urgent_end(void)
{
	static char buf[300000];
	struct pair p = connected();
	struct flow *f = flows.flow;
	size_t got = 0, i;
	ssize_t n = 1;
	int on = 1;

	while (f->proto != IPPROTO_TCP)
		f++;
	setsockopt(p.server, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	send(p.client, buf, sizeof(buf), 0);
	send(p.client, "!", 1, MSG_OOB);
	shutdown(p.client, SHUT_WR);
	tcp_splice_event(s, f, INI, EPOLLIN);
	for (i = 0; i < 100 && n; i++) {
		settle();
		n = recv(p.server, buf, sizeof(buf), 0);
		got += n > 0 ? (size_t)n : 0;
	}
	is(got, sizeof(buf) + 1, "urgent data just before the end is no end");
	finish(p);
}

static void many(void)
{
	static struct pair p[500];
	struct rlimit rl = { 4096, 4096 };
	unsigned i, right = 0;

	setrlimit(RLIMIT_NOFILE, &rl);
	for (i = 0; i < 500; i++) {
		p[i].client = dial(back_port);
		turn(0);
	}
	settle();
	for (i = 0; i < 500; i++)
		p[i].server = accept4(back, NULL, NULL, SOCK_NONBLOCK);
	is(flows.count, 500, "500 connections at once");
	for (i = 0; i < 500; i++)
		right += transfer(p[i].client, p[i].server, 1000, 500, 500);
	is(right, 500, "each of 500 connections has its own data");
	s->pipes += TCP_SPLICE_PIPES - 10;
	for (i = 0; i < 15; i++)
		fill(p[i].client);
	is(s->pipes, TCP_SPLICE_PIPES, "pipes are lent up to the limit");
	s->pipes -= TCP_SPLICE_PIPES - 10;
	ok(transfer(p[200].client, p[200].server, 100000, 1000, 1000),
	   "a server that does not read holds up no other");
	for (i = 0; i < 500; i++) {
		close(p[i].client);
		close(p[i].server);
	}
	settle();
	is(flows.count, 0, "all 500 connections end");
	ok(s->pipes == s->nspare && s->pipes <= TCP_SPLICE_SPARE,
	   "few pipes are kept");
}

static void no_descriptors(void)
{
	struct rlimit rl, low;
	struct pair p = { -1, -1 };
	int fd;

	getrlimit(RLIMIT_NOFILE, &rl);
	fd = dup(0);
	close(fd);
	low = rl;
	low.rlim_cur = fd + 2;		/* for the client and the accepted socket */
	setrlimit(RLIMIT_NOFILE, &low);
	p.client = dial(back_port);
	setrlimit(RLIMIT_NOFILE, &rl);
	ok(p.client >= 0,
	   "without a descriptor for the other side there is no connection");
	is(read_error(p.client), ECONNRESET,
	   "without a descriptor for the other side the client is reset");
	is(s->stats.refused, 1, "a connection without a descriptor is counted");
	finish(p);
}

/* The namespace has no sockets to give, for an error that may pass */
static void sockets_run_out(void)
{
	static struct nshelper nsh;
	struct pair p[2];
	uint16_t port;
	unsigned i;
	int helper[2];

	front = listener(&port);
	back = listener(&back_port);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, helper))
		ok(false, "there are sockets to a helper");
	nshelper_start(&nsh, helper[0], &loop, 1024);	/* which never answers */
	nsh.late = true;
	nsh.error[NSSOCK_TCP4] = -ETOOMANYREFS;
	wheel_arm(&loop.wheel, &nsh.timer, loop.now_ms + 3600000);
	tcp_splice_init(s, &conf, &hostnet, &dns, &flows, &loop, &nsh);
	s->stats.refused = 0;
	from_ns = false;

	for (i = 0; i < 2; i++) {
		p[i].client = dial(back_port);
		if (send(p[i].client, "hello", 5, 0) != 5)
			ok(false, "a client can send before it is served");
	}
	settle();
	is(flows.count, 2, "connections wait for a socket");
	is(recv(p[0].client, &port, 1, 0) < 0 ? errno : 0, EAGAIN,
	   "connections that wait for a socket are not reset");
	tcp_splice_retry(s);
	is(s->waiting, 2, "connections wait as long as there is no socket");

	nsh.pool[NSSOCK_TCP4][nsh.n[NSSOCK_TCP4]++] =
		socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	tcp_splice_retry(s);
	settle();
	p[0].server = accept4(back, NULL, NULL, SOCK_NONBLOCK);
	ok(p[0].server >= 0,
	   "one of the waiting connections gets the first socket");
	is(s->waiting, 1, "the other connection waits on");
	p[1].server = -1;
	for (i = 0; i < flows.high; i++) {
		if (timer_armed(&flows.flow[i].timer))
			tcp_splice_timer(s, &flows.flow[i]);
	}
	is(s->waiting, 0, "a connection does not wait for a socket for ever");
	is(flows.count, 1, "a connection without a socket ends in time");
	is(s->stats.refused, 1,
	   "a connection without a socket is counted as refused");
	is((recv(p[0].client, &port, 1, 0) < 0 && errno == ECONNRESET) +
	   (recv(p[1].client, &port, 1, 0) < 0 && errno == ECONNRESET), 1,
	   "a connection without a socket is reset");
	finish(p[0]);
	close(p[1].client);

	nsh.error[NSSOCK_TCP4] = -EAFNOSUPPORT;
	p[0] = (struct pair){ dial(back_port), -1 };
	is(read_error(p[0].client), ECONNRESET,
	   "an error that does not pass resets the client at once");
	finish(p[0]);
	wheel_cancel(&loop.wheel, &nsh.timer);
	close(helper[0]);
	close(helper[1]);
	from_ns = true;
	close(front);
	close(back);
}

static void all(void)
{
	uint16_t port;

	front = listener(&port);
	back = listener(&back_port);
	if (front < 0 || back < 0) {
		ok(v6, "loopback can be used");
		return;
	}
	both_ways();
	one_byte_writes();
	slow_reader();
	without_pipes();
	half_close();
	resets();
	answers();
	refused();
	other_family(false);
	other_family(true);
	end_before_connect();
	early_data();
	early_waits(7);
	early_waits(0);
	counters();
	killed();
	urgent_data();
	urgent_end();
	close(front);
	close(back);
}

int main(void)
{
	const uint64_t key[2] = { 1, 2 };
	uint16_t port;

	setbuf(stdout, NULL);
	signal(SIGPIPE, SIG_IGN);	/* as the daemon does */
	own_net();
	loop_init(&loop);
	flow_init(&flows, key);
	tcp_splice_init(s, &conf, &hostnet, &dns, &flows, &loop, NULL);
	all();
	v6 = true;
	all();
	v6 = false;
	front = listener(&port);
	back = listener(&back_port);
	no_descriptors();
	many();
	sockets_run_out();
	return done();
}
