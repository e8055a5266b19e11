/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket that virtual machines connect to: one client at a time; without
 * free descriptors, a client waits, and the loop does not spin
 */

#include "../../client.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "sockpath.h"
#include "tap.h"
#include "tap_stream.h"

#define LIMIT	64			/* open files */

static struct loop loop;
static struct client client;
static struct tap_stream stream;
static struct conf conf;
static struct sockaddr_un sa = { .sun_family = AF_UNIX };

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		ok(false, "a client can connect");
	return fd;
}

/* Count the events of the socket, now or within @ms */
static int events(int ms)
{
	struct epoll_event ev[8];
	int i, n = epoll_wait(loop.epfd, ev, 8, ms), found = 0;

	for (i = 0; i < n; i++)
		found += ((union epoll_ref){ .u64 = ev[i].data.u64 }).kind ==
			 REF_CLIENT;
	return found;
}

/* Did the other end close it? */
static bool is_closed(int fd)
{
	char c;

	return !recv(fd, &c, 1, MSG_DONTWAIT);
}

/* Sleep until a timer is due */
static struct timer *due(void)
{
	struct epoll_event ev[8];
	struct timer *t;

	while (!(t = wheel_expire(&loop.wheel, loop.now_ms)))
		loop_wait(&loop, ev, 8, false);
	return t;
}

static bool is_named(pid_t pid, uid_t uid, const char *want)
{
	struct sockpath_peer peer = { .pid = pid, .uid = uid };
	char buf[SOCKPATH_PEERLEN];

	return !strcmp(sockpath_peer_str(&peer, buf), want);
}

static void peers(void)
{
	ok(is_named(12, 1000, "PID 12"), "a client has a PID");
	ok(is_named(0, 1000, "UID 1000"),
	   "a client of another PID namespace has a UID");
	ok(is_named(0, 4294967294, "UID 4294967294"), "a UID may be long");
	ok(is_named(0, 65534, "an unknown process"),
	   "a user without a UID here is unknown");
}

static void one_at_a_time(void)
{
	int first = dial(), second;

	is(events(0), 1, "a client is an event");
	ok(client_accept(&client, &stream.tap), "a client is accepted");
	second = dial();
	ok(events(0) && !client_accept(&client, &stream.tap) && is_closed(second),
	   "a second client is turned away");
	ok(!is_closed(first) && !events(0), "the first client stays");
	close(first);
	close(second);
	stream.tap.ops->event(&stream.tap, 0, EPOLLIN);
	is(stream.fd, -1, "a client can leave");
}

static void no_descriptors(void)
{
	struct rlimit old, few;
	int fds[LIMIT], n = 0, fd = dial();

	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ .rlim_cur = LIMIT, .rlim_max = old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &few);
	while (n < LIMIT && (fds[n] = dup(fd)) >= 0)
		n++;
	is(events(0), 1, "without descriptors, a client is an event");
	ok(!client_accept(&client, &stream.tap),
	   "without descriptors, a client can't be accepted");
	is(events(0), 0, "without descriptors, the event does not come back");
	ok(!is_closed(fd), "without descriptors, a client waits");
	while (n)
		close(fds[--n]);
	ok(due() == &client.timer, "a timer ends the pause");
	client_timer(&client);
	is(events(0), 1, "after the pause, the waiting client is an event");
	ok(client_accept(&client, &stream.tap),
	   "after the pause, the waiting client is accepted");
	setrlimit(RLIMIT_NOFILE, &old);
	close(fd);
}

int main(void)
{
	char dir[] = "/tmp/client.XXXXXX", path[64];

	log_init("test");
	log_set_level(LOG_L_ERR);
	if (!mkdtemp(dir) || loop_init(&loop) ||
	    tap_stream_init(&stream, -1, 1500, &loop))
		return 1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	strcpy(sa.sun_path, path);
	conf.sock_path = path;
	ok(!client_listen(&client, &conf) && !client_watch(&client, &loop),
	   "the socket is created");
	peers();
	one_at_a_time();
	no_descriptors();
	unlink(path);
	rmdir(dir);
	return done();
}
