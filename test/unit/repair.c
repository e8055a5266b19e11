/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection to passt-repair: sockets arrive in order, and a helper that fails is
 * closed in time
 */

#include "repair.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fdpass.h"
#include "log.h"
#include "loop.h"
#include "sockpath.h"
#include "tap.h"

#define MANY	600			/* sockets: two full messages and a part */

static struct loop loop;
static struct repair repair;
static char dir[] = "/tmp/repair.XXXXXX", path[64];
static int fds[MANY];

static int dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		ok(false, "a helper can connect");
	return fd;
}

/* Handle the events that are there now; return their number */
static int turn(void)
{
	struct epoll_event ev[8];
	int i, n = epoll_wait(loop.epfd, ev, 8, 0);

	for (i = 0; i < n; i++) {
		union epoll_ref ref = { .u64 = ev[i].data.u64 };

		if (ref.kind == REF_REPAIR)
			repair_event(&repair, ref.index);
	}
	return n;
}

/* Has the other end closed the connection? */
static bool is_closed(int fd)
{
	char c;

	return !recv(fd, &c, 1, MSG_DONTWAIT);
}

/* Receive a message: return the number of descriptors, which are closed; -1 at the end */
static int receive(int fd, int8_t *mode, struct stat *first)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int) * FDPASS_MOST)];
	} control;
	struct iovec iov = { .iov_base = mode, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int i, n, got;

	if (recvmsg(fd, &msg, 0) != 1)
		return -1;
	if (!CMSG_FIRSTHDR(&msg))
		return 0;
	n = (int)((control.hdr.cmsg_len - CMSG_LEN(0)) / sizeof(int));
	for (i = 0; i < n; i++) {
		memcpy(&got, CMSG_DATA(&control.hdr) + sizeof(int) * (size_t)i,
		       sizeof(got));
		if (!i)
			fstat(got, first);
		close(got);
	}
	return n;
}

/* Ways of a helper to answer */
enum manner { HONEST, DIES, DIES_LATER, WRONG, TWICE, SILENT };

/* Answer messages; exit with status 0 if they were those of @mode with all of fds[] */
static _Noreturn void play(int fd, enum manner how, int8_t mode)
{
	int8_t got, answer[2];
	int n, total = 0;
	struct stat first, want;
	bool good = true;

	if (how == DIES)
		_exit(1);
	while ((n = receive(fd, &got, &first)) >= 0) {
		fstat(fds[total], &want);
		good &= got == mode && n && first.st_ino == want.st_ino;
		total += n;
		if (how == DIES_LATER && total == MANY)
			_exit(1);
		if (how == SILENT)
			continue;
		answer[0] = answer[1] = how == WRONG ? (int8_t)(got + 1) : got;
		if (write(fd, answer, how == TWICE ? 2 : 1) < 0)
			_exit(2);
	}
	_exit(good && total == MANY ? 0 : 3);
}

/* Start a helper in a process of its own and let it connect */
static pid_t start(enum manner how, int8_t mode)
{
	int fd = dial();
	pid_t pid;

	turn();
	pid = fork();
	if (!pid) {
		close(repair.helper);
		play(fd, how, mode);
	}
	close(fd);
	return pid;
}

/* Close our side, and return the exit status of a helper */
static int end(pid_t pid)
{
	int status = -1;

	if (repair.helper >= 0)
		close(repair.helper);
	repair.helper = -1;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void test_modes(void)
{
	static const char *const names[] = {
		"sockets of three messages are switched off without a probe",
		"sockets of three messages are switched off",
		"sockets of three messages are switched on",
	};
	pid_t pid;
	int mode;

	for (mode = -1; mode <= 1; mode++) {
		pid = start(HONEST, (int8_t)mode);
		is(repair_set(&repair, fds, MANY, mode), 0, names[mode + 1]);
		is(end(pid), 0, "the helper gets each socket once, in order");
	}
	is(repair_set(&repair, fds, 1, REPAIR_ON), -ENOTCONN,
	   "without a helper, no socket is switched");
}

static void test_failures(void)
{
	static const struct {
		enum manner how;
		int rc;
		const char *name;
	} cases[] = {
		{ DIES, -EPIPE, "a helper that dies at once is an error" },
		{ DIES_LATER, -EPIPE, "a helper that dies at the last message is one" },
		{ WRONG, -EPROTO, "a helper that answers another byte is one" },
		{ TWICE, -EPROTO, "a helper that answers twice is one" },
		{ SILENT, -ETIMEDOUT, "a helper that is silent is one" },
	};
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pid_t pid = start(cases[i].how, REPAIR_ON);
		int rc;

		if (cases[i].how == DIES)
			waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT);
		rc = repair_set(&repair, fds, MANY, REPAIR_ON);
		/* With data unread, the kernel reports a reset */
		is(rc == -ECONNRESET ? -EPIPE : rc, cases[i].rc, cases[i].name);
		ok(!repair_ready(&repair), "and its connection is closed");
		end(pid);
	}
}

static void test_presence(void)
{
	int first, second;

	ok(!repair_ready(&repair) && repair_wait(&repair, 1) == -ETIMEDOUT,
	   "without a helper, a wait ends");
	first = dial();
	ok(turn() && repair_ready(&repair), "a helper is accepted");
	second = dial();
	ok(turn() && is_closed(second), "a second helper is turned away");
	ok(!is_closed(first) && repair_ready(&repair), "the first one stays");
	is(repair_wait(&repair, 0), 0, "with a helper, there is no wait");
	close(first);
	close(second);
	ok(turn() && !repair_ready(&repair), "the end of a helper is noticed");
	is(turn(), 0, "and its event does not come back");

	first = dial();
	is(repair_wait(&repair, 0), 0, "a wait accepts a helper that has connected");
	turn();
	ok(repair_ready(&repair), "and the event that comes later changes nothing");
	close(first);
	is(repair_wait(&repair, 1), -ETIMEDOUT, "a wait notices that a helper has left");

	first = dial();
	turn();
	ok(write(first, "", 1) == 1 && turn() && is_closed(first) &&
	   !repair_ready(&repair), "a helper that speaks without being asked is closed");
	close(first);
}

static void test_limit(void)
{
	struct rlimit old, few;
	int fd = dial();

	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ .rlim_cur = 3, .rlim_max = old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &few);
	turn();
	ok(!repair_ready(&repair) && !is_closed(fd) && !turn(),
	   "without descriptors, a helper waits, and its event does not come back");
	setrlimit(RLIMIT_NOFILE, &old);
	is(repair_wait(&repair, 0), 0, "with descriptors, it is accepted");
	close(fd);
	turn();
}

static void test_paths(void)
{
	struct repair r;
	struct conf c = { .vhost_user = true, .repair_path = path };
	char longest[SOCKPATH_LEN];

	log_set_level(LOG_L_ERR);
	ok(repair_listen(&r, &c, "") == -EADDRINUSE && r.fd < 0,
	   "a path in use is an error");
	c.no_repair = true;
	ok(!repair_listen(&r, &c, "/tmp/x") && r.fd < 0, "with 'none', there is no socket");
	is(repair_watch(&r, &loop), 0, "without a socket, there is nothing to watch");
	is(repair_wait(&r, 1000), -ENOTCONN, "and nothing to wait for");
	c = (struct conf){ .vhost_user = true };
	ok(!repair_listen(&r, &c, "") && r.fd < 0, "without a path, there is no socket");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	ok(!repair_listen(&r, &c, longest) && r.fd < 0,
	   "a default path that is too long is no error");
	c.vhost_user = false;
	c.repair_path = path;
	ok(!repair_listen(&r, &c, "") && r.fd < 0,
	   "without --vhost-user, there is no socket");
}

int main(void)
{
	struct conf c = { .vhost_user = true };
	char sock[32];
	int i;

	signal(SIGPIPE, SIG_IGN);
	log_init("test");
	log_set_level(LOG_L_ERR);
	if (!mkdtemp(dir) || loop_init(&loop))
		return 1;
	snprintf(sock, sizeof(sock), "%s/sock", dir);
	snprintf(path, sizeof(path), "%s.repair", sock);
	for (i = 0; i < MANY; i++)
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ok(fds[MANY - 1] >= 0 && !repair_listen(&repair, &c, sock) &&
	   !repair_watch(&repair, &loop) && !access(path, F_OK),
	   "the default path is beside the socket of passt");
	test_presence();
	test_limit();
	test_modes();
	test_failures();
	test_paths();
	unlink(path);
	rmdir(dir);
	return done();
}
