/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: lines, room for output, turns of clients, and limits of time
 */

#include "control.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "tap.h"
#include "util.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE	71		/* since Linux 5.14 */
#endif

#define LATE_MS	70000		/* more than any limit */

static struct loop lp;
static struct control ctl;
static int server;			/* listening socket */
static char heard[1 << 16];		/* requests, each with a slot and a newline */
static enum control_next verdict;	/* of each request */
static bool greets;
static unsigned more_left, closed;
static bool foreign;			/* clients are of another network namespace */

/* Each socket is of a namespace of its own if @foreign is set */
int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	uint64_t cookie = (uint64_t)fd;

	if (!foreign || name != SO_NETNS_COOKIE)
		return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
	memcpy(value, &cookie, sizeof(cookie));
	return 0;
}

static enum control_next greet(void *ctx, struct control_client *c)
{
	(void)ctx;
	if (greets)
		control_put(c, "hail", 4);
	return CONTROL_READ;
}

static enum control_next request(void *ctx, struct control_client *c,
				 const char *line)
{
	size_t len = strlen(heard);

	(void)ctx;
	snprintf(heard + len, sizeof(heard) - len, "%u:%s\n", c->slot, line);
	return verdict;
}

static enum control_next tables(void *ctx, struct control_client *c,
				const uint8_t **data, size_t *len)
{
	(void)ctx;
	(void)c;
	if (!*len)
		return CONTROL_CLOSE;
	if (verdict == CONTROL_LATER)
		return CONTROL_LATER;
	*data += *len;
	*len = 0;
	return CONTROL_READ;
}

/* Answers of several lines, each of them full */
static enum control_next more(void *ctx, struct control_client *c)
{
	static char line[JSONLINE_MAX];

	(void)ctx;
	if (!more_left)
		return CONTROL_READ;
	memset(line, 'x', sizeof(line));
	control_put(c, line, sizeof(line));
	more_left--;
	return CONTROL_MORE;
}

static void on_closed(void *ctx, struct control_client *c)
{
	(void)ctx;
	(void)c;
	closed++;
}

static const struct control_ops ops = {
	.greet = greet, .request = request, .tables = tables, .more = more,
	.closed = on_closed,
};

/* Listen at an abstract name of the kernel's choice */
static void begin(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct conf conf = { .control_fd = -1 };

	control_stop(&ctl);
	memset(&ctl, 0, sizeof(ctl));
	control_open(&ctl, &conf, -1);
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ok(!bind(server, (struct sockaddr *)&sa, sizeof(sa.sun_family)) &&
	   !listen(server, 16), "a socket listens");
	ctl.fd = server;
	ok(!control_watch(&ctl, &lp, &ops, NULL), "and is watched");
	*heard = 0;
	verdict = CONTROL_READ;
	greets = false;
	more_left = closed = 0;
}

static int dial(void)
{
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	getsockname(server, (struct sockaddr *)&sa, &len);
	if (connect(fd, (struct sockaddr *)&sa, len))
		ok(false, "a client can connect");
	return fd;
}

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		ok(false, "a client can send");
}

/* Events and work until nothing is left; return the number of turns with work */
static unsigned turns(void)
{
	struct epoll_event ev[16];
	struct timer *t;
	unsigned n = 0;
	bool busy = true;
	int k, i;

	while (busy) {
		k = epoll_wait(lp.epfd, ev, 16, 0);
		for (i = 0; i < k; i++)
			control_event(&ctl, (union epoll_ref){
				      .u64 = ev[i].data.u64 }, ev[i].events);
		while ((t = wheel_expire(&lp.wheel, lp.now_ms)))
			control_timer(&ctl, t->ref);
		busy = control_run(&ctl) || k > 0;
		n += busy;
	}
	return n;
}

static void wait_ms(unsigned ms)
{
	lp.now_ms += ms;
	turns();
}

/* The output that has come, as a string */
static const char *get(int fd)
{
	static char buf[1 << 17];
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, buf + len, sizeof(buf) - 1 - len, 0)) > 0)
		len += (size_t)n;
	buf[len] = 0;
	return buf;
}

static bool is_closed(int fd)
{
	char c;

	return !recv(fd, &c, 1, 0);
}

static void test_lines(void)
{
	int fd;

	begin();
	fd = dial();
	say(fd, "one\ntw");
	turns();
	ok(!strcmp(heard, "0:one\n"), "a line is taken when it is whole");
	say(fd, "o\n\nthree\n");
	turns();
	ok(!strcmp(heard, "0:one\n0:two\n0:\n0:three\n"), "and so are the next ones");
	verdict = CONTROL_LATER;
	say(fd, "four\nfive\n");
	turns();
	turns();
	ok(strstr(heard, "0:four\n") && !strstr(heard, "five"),
	   "a request that has to wait holds up those behind it");
	verdict = CONTROL_READ;
	*heard = 0;
	control_kick(&ctl);
	turns();
	ok(!strcmp(heard, "0:four\n0:five\n"), "until it is taken");
	verdict = CONTROL_CLOSE;
	say(fd, "last\nmore\n");
	turns();
	ok(is_closed(fd) && closed == 1 && !strstr(heard, "more"),
	   "nothing is taken behind the last one");
	close(fd);
}

static void test_long_line(void)
{
	static char text[3 * CONTROL_IN];
	int fd;

	begin();
	memset(text, 'x', sizeof(text) - 1);
	fd = dial();
	say(fd, text);
	turns();
	ok(strstr(get(fd), "E2BIG") && !*heard, "a line that is too long is refused");
	say(fd, "x\none\n");
	turns();
	ok(!strcmp(heard, "0:one\n"), "and skipped as a whole");
	say(fd, text);
	shutdown(fd, SHUT_WR);
	turns();
	ok(strstr(get(fd), "E2BIG") && is_closed(fd) && closed == 1,
	   "one that never ends ends with the connection");
	close(fd);
}

static void test_output(void)
{
	size_t len;
	int fd;

	begin();
	fd = dial();
	more_left = 1000;		/* 4 MB */
	verdict = CONTROL_MORE;
	say(fd, "much\nnext\n");
	turns();
	ok(more_left && more_left < 1000, "an answer stops when it is not read");
	ok(!strstr(heard, "next"), "and the next request waits");
	verdict = CONTROL_READ;
	for (len = 0; len < 1000 * JSONLINE_MAX; turns()) {
		size_t n = strlen(get(fd));

		if (!n)
			break;
		len += n;
	}
	is(len, 1000 * JSONLINE_MAX, "all of it comes");
	ok(strstr(heard, "next"), "then the next one is taken");
	more_left = 1000;
	verdict = CONTROL_MORE;
	say(fd, "much\n");
	turns();
	wait_ms(59000);
	ok(!closed, "a client may take its time to read");
	while (*get(fd))
		;
	turns();
	wait_ms(59000);
	ok(!closed, "from each time that it reads");
	wait_ms(5000);
	ok(closed == 1, "but after 60 s it is closed");
	close(fd);
	fd = dial();
	more_left = 100000;
	say(fd, "much\n");
	turns();
	close(fd);
	turns();
	ok(!more_left && closed == 2,
	   "the output of a client that has left is dropped");
}

static void test_pauses(void)
{
	int idle, half, table;

	begin();
	idle = dial();
	say(idle, "one\n");
	half = dial();
	say(half, "half");
	table = dial();
	say(table, "\x01");
	turns();
	wait_ms(9900);
	is(closed, 0, "a pause of less than 10 s is no harm");
	say(half, "h");
	turns();
	wait_ms(2000);
	ok(closed == 1 && is_closed(table), "one of 10 s in a table is");
	wait_ms(9900);
	ok(closed == 2 && strstr(get(half), "ETIMEDOUT") && is_closed(half),
	   "and in a line, since its last byte");
	wait_ms(LATE_MS);
	is(closed, 2, "a client between two requests may be silent");
	is(turns(), 0, "and needs no work");
	is(wheel_next(&lp.wheel), -1, "nor any timer");
	close(table);
	table = dial();
	say(table, "\x01");
	verdict = CONTROL_LATER;
	turns();
	wait_ms(LATE_MS);
	verdict = CONTROL_READ;
	control_kick(&ctl);
	turns();
	wait_ms(9900);
	is(closed, 2, "the time that a client waits for others is not its pause");
	wait_ms(2000);
	is(closed, 3, "which begins after that");
	close(idle);
	close(half);
	close(table);
}

static void test_turns(void)
{
	int fd[CONTROL_CLIENTS + 1];
	unsigned i;

	begin();
	greets = true;
	for (i = 0; i <= CONTROL_CLIENTS; i++)
		fd[i] = dial();
	turns();
	is(ctl.clients, CONTROL_CLIENTS, "eight clients are served");
	ok(!strcmp(get(fd[7]), "hail") && !*get(fd[8]), "a ninth one waits");
	for (i = 0; i < 2; i++)
		say(fd[i], "a\nb\n");
	turns();
	ok(strstr(heard, "0:a\n0:b\n") && strstr(heard, "1:a\n1:b\n"),
	   "each in its turn");
	close(fd[2]);
	turns();
	ok(!strcmp(get(fd[8]), "hail"), "the ninth one gets the place of the first that leaves");
	say(fd[8], "c\n");
	turns();
	ok(strstr(heard, "2:c\n"), "and is served");
	control_stop(&ctl);
	get(fd[0]);
	ok(is_closed(fd[0]) && is_closed(fd[8]), "in the end all are closed");
	for (i = 0; i <= CONTROL_CLIENTS; i++)
		close(fd[i]);
}

/* More clients of another network namespace than can be turned away at once */
static void test_foreign(void)
{
	int fd[12];
	unsigned i, shut = 0;

	begin();
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = dial();
	foreign = true;
	ctl.ready = true;
	ok(control_run(&ctl), "foreign clients keep us for some turns");
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		shut += is_closed(fd[i]);
	is(shut, 8, "eight are turned away in each");
	turns();
	for (i = shut = 0; i < ARRAY_SIZE(fd); i++) {
		shut += is_closed(fd[i]);
		close(fd[i]);
	}
	is(shut, ARRAY_SIZE(fd), "and all in the end");
	foreign = false;
	fd[0] = dial();
	turns();
	is(ctl.clients, 1, "another one is served then");
	close(fd[0]);
	turns();
}

/* Clients that can't be watched: without an epoll instance, none can */
static void test_unwatched(void)
{
	int fd[CONTROL_CLIENTS + 2], epfd = lp.epfd;
	unsigned i, shut = 0;

	begin();
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = dial();
	ctl.ready = true;
	lp.epfd = -1;
	while (control_run(&ctl))
		;
	lp.epfd = epfd;
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		shut += is_closed(fd[i]);
		close(fd[i]);
	}
	is(shut, ARRAY_SIZE(fd), "clients that can't be watched are closed");
	is(ctl.clients, 0, "and take no place");
	fd[0] = dial();
	say(fd[0], "one\n");
	turns();
	ok(!strcmp(heard, "0:one\n"), "the next one is served");
	close(fd[0]);
	turns();
}

int main(void)
{
	log_set_level(LOG_L_ERR);
	loop_init(&lp);
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		ctl.client[i].fd = -1;
	ctl.fd = -1;
	ctl.loop = &lp;
	test_lines();
	test_long_line();
	test_output();
	test_pauses();
	test_turns();
	test_foreign();
	test_unwatched();
	return done();
}
