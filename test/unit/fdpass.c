/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors in messages: all arrive, none leaks */

#include "fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

static int pair[2];

/* Get the next free descriptor: the same as before if none has leaked */
static int next_fd(void)
{
	int fd = dup(pair[0]);

	close(fd);
	return fd;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static void arrive(unsigned n)
{
	struct fdpass out = { .n = n }, in;
	uint32_t sent = 0x12345678 + n, got = 0;
	int before = next_fd();
	bool good = true;
	unsigned i;

	for (i = 0; i < n; i++)
		out.fd[i] = pair[i % 2];
	ok(!fdpass_send(pair[0], &sent, sizeof(sent), &out, 0) &&
	   !fdpass_receive(pair[1], &got, sizeof(got), &in, MSG_DONTWAIT) &&
	   got == sent && in.n == n, n ? "descriptors come with a datagram" :
					 "a datagram comes without descriptors");
	for (i = 0; i < in.n; i++)
		good &= same_file(in.fd[i], pair[i % 2]) &&
			fcntl(in.fd[i], F_GETFD) == FD_CLOEXEC;
	ok(good, "descriptors arrive in order, close-on-exec");
	fdpass_close(&in);
	ok(!in.n && next_fd() == before, "descriptors are closed together");
}

static void no_room(void)
{
	struct fdpass out = { .n = 8 }, in;
	int before = next_fd(), i;
	struct rlimit old, few;
	char c = 'x';

	for (i = 0; i < 8; i++)
		out.fd[i] = pair[0];
	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ .rlim_cur = (rlim_t)before + 3,
			       .rlim_max = old.rlim_max };
	fdpass_send(pair[0], &c, 1, &out, 0);
	setrlimit(RLIMIT_NOFILE, &few);
	ok(!fdpass_receive(pair[1], &c, 1, &in, MSG_DONTWAIT) && in.n == 3,
	   "descriptors beyond the limit of open files are left out");
	fdpass_close(&in);
	setrlimit(RLIMIT_NOFILE, &old);
	is(next_fd(), before,
	   "none of a message with too many descriptors stays open");
}

/* A socket that somebody else has made may have any options */
static void with_credentials(void)
{
	struct fdpass out = { .n = 2, .fd = { pair[0], pair[1] } }, in;
	int before = next_fd(), on = 1;
	char c = 'x';

	setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	fdpass_send(pair[0], &c, 1, &out, 0);
	ok(!fdpass_receive(pair[1], &c, 1, &in, MSG_DONTWAIT) && in.n == 2,
	   "descriptors are found after credentials");
	fdpass_close(&in);
	is(next_fd(), before, "and none stays open");
	on = 0;
	setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

static void wrong_length(void)
{
	struct fdpass out = { .n = 2, .fd = { pair[0], pair[1] } }, in;
	int before = next_fd();
	char buf[8] = "";

	fdpass_send(pair[0], buf, 3, &out, 0);
	is(fdpass_receive(pair[1], buf, 4, &in, MSG_DONTWAIT), -EPIPE,
	   "a datagram of another length is refused");
	ok(!in.n && next_fd() == before,
	   "the descriptors of a refused datagram are closed");
	is(fdpass_receive(pair[1], buf, 4, &in, MSG_DONTWAIT), -EAGAIN,
	   "without a datagram, the call does not wait");
	close(pair[1]);
	is(fdpass_receive(pair[0], buf, 4, &in, 0), -EPIPE,
	   "a closed peer is -EPIPE to a receiver");
	is(fdpass_send(pair[0], buf, 4, &out, 0), -EBADF,
	   "a closed descriptor is not sent");
	out.n = 1;
	is(fdpass_send(pair[0], buf, 4, &out, 0), -EPIPE,
	   "a closed peer is -EPIPE to a sender");
}

int main(void)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return 1;
	arrive(0);
	arrive(1);
	arrive(FDPASS_MAX);
	no_room();
	with_credentials();
	wrong_length();
	return done();
}
