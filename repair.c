/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * repair.c - The connection to passt-repair, which sets TCP_REPAIR for us
 *
 * In repair mode, the state of a TCP socket can be read and written, so that a
 * connection can move to another host with the guest. To switch it takes
 * CAP_NET_ADMIN, which the daemon does not have. A small program that has it,
 * passt-repair, connects to a UNIX socket of the daemon:
 *
 *	daemon					passt-repair
 *	mode, one byte, and 1 to 253 sockets ->
 *						setsockopt(), each
 *					     <- the same byte
 *
 * Either side closes the connection on any error. There is one helper at a time: a
 * second one is accepted and closed at once.
 *
 * The daemon waits for each answer. The guest stands still during a migration, so
 * there is nothing else to do, and a deadline bounds the wait.
 *
 * One connection at most waits to be accepted, by the backlog. So each event of the
 * listening socket is one connection. It is watched for edges: without free
 * descriptors the connection waits, and its event does not come back at once.
 */

#include "repair.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fdpass.h"
#include "log.h"
#include "loop.h"
#include "sockpath.h"

#define BACKLOG		0		/* the kernel lets one more wait */
#define ANSWER_MS	1000		/* for all sockets of one message */
#define SUFFIX		".repair"

/**
 * repair_listen() - Create the socket for the helper
 * @r:		Set
 * @c:		repair_path: path, NULL: the default; no_repair; vhost_user; socket_mode
 * @sock:	Path of passt's own socket, the default is beside it; "": none
 *
 * To be called with the user's rights, before the sandbox. If the default path can't
 * be used, we warn and go on without.
 *
 * Return: 0, or negative errno after a message
 */
int repair_listen(struct repair *r, const struct conf *c, const char *sock)
{
	const char *given = c->repair_path;
	char path[SOCKPATH_LEN + sizeof(SUFFIX)];
	int fd;

	r->fd = r->helper = -1;
	if (!c->vhost_user || c->no_repair || (!given && !*sock))
		return 0;
	snprintf(path, sizeof(path), "%s%s", given ? given : sock,
		 given ? "" : SUFFIX);
	fd = sockpath_listen(path, BACKLOG, c->socket_mode);
	if (fd >= 0) {
		info("passt-repair may connect to %s", path);
		r->fd = fd;
		return 0;
	}
	if (given) {
		err_rc(fd, "Couldn't bind --repair-path %s", path);
		return fd;
	}
	warn_rc(fd, "Couldn't bind %s: connections can't migrate", path);
	return 0;
}

/**
 * repair_watch() - Report connections of helpers as events
 * @r:		From repair_listen()
 * @l:		Gets events of kind REF_REPAIR
 *
 * Return: 0 or negative errno
 */
int repair_watch(struct repair *r, struct loop *l)
{
	const union epoll_ref ref = {
		.kind = REF_REPAIR, .index = REPAIR_EV_LISTENER,
	};

	r->loop = l;
	return r->fd < 0 ? 0 : loop_add(l, r->fd, EPOLLIN | EPOLLET, ref);
}

/* #syscalls:vhost close */
static void drop_helper(struct repair *r)
{
	close(r->helper);
	r->helper = -1;
}

/* Accept a helper, or turn it away */
static void take_helper(struct repair *r)
{
	const union epoll_ref ref = {
		.kind = REF_REPAIR, .index = REPAIR_EV_HELPER,
	};
	struct sockpath_peer peer;
	char name[SOCKPATH_PEERLEN];
	int fd = sockpath_accept(r->fd, &peer), rc;

	if (fd == -EAGAIN || fd == -ECONNABORTED || fd == -EINTR)
		return;
	if (fd < 0) {
		warn_limited_rc(fd, "Couldn't accept passt-repair for now");
		return;
	}
	if (r->helper >= 0) {
		warn_limited("%s was turned away, there is a passt-repair "
			     "already", sockpath_peer_str(&peer, name));
		close(fd);
		return;
	}
	rc = loop_add(r->loop, fd, EPOLLIN, ref);
	if (rc) {
		warn_limited_rc(rc, "Couldn't take passt-repair");
		close(fd);
		return;
	}
	info_limited("passt-repair connected, %s",
		     sockpath_peer_str(&peer, name));
	r->helper = fd;
}

/* Drop the helper if it has left, or says something that it was not asked for */
/* #syscalls:vhost recvfrom */
static void check_helper(struct repair *r)
{
	char c;
	ssize_t n = recv(r->helper, &c, 1, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		warn_limited("passt-repair sent data that it was not asked for,"
			     " closing the connection");
	else
		info_limited("passt-repair has left");
	drop_helper(r);
}

/**
 * repair_event() - Handle an event of kind REF_REPAIR
 * @r:		From repair_watch()
 * @which:	Index of the event's reference, REPAIR_EV_*
 */
void repair_event(struct repair *r, unsigned which)
{
	if (which == REPAIR_EV_LISTENER)
		take_helper(r);
	else if (r->helper >= 0)
		check_helper(r);
}

/* Wait until @fd is readable: 0 or negative errno */
/* #syscalls:vhost poll ppoll */
static int wait_readable(int fd, unsigned ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int rc;

	do
		rc = poll(&p, 1, (int)ms);
	while (rc < 0 && errno == EINTR);
	return rc > 0 ? 0 : rc ? -errno : -ETIMEDOUT;
}

/**
 * repair_wait() - Wait for a helper to connect, unless there is one
 * @r:		From repair_watch()
 * @ms:		Longest wait
 *
 * Return: 0 if there is a helper; -ENOTCONN if none may connect, or other negative errno
 */
int repair_wait(struct repair *r, unsigned ms)
{
	int rc;

	if (r->helper >= 0)
		check_helper(r);
	if (r->helper >= 0)
		return 0;
	if (r->fd < 0)
		return -ENOTCONN;
	rc = wait_readable(r->fd, ms);
	if (rc)
		return rc;
	take_helper(r);
	return r->helper < 0 ? -ENOTCONN : 0;
}

/* Send one message and wait for its answer: 0 or negative errno */
static int ask(int helper, const int *fds, unsigned n, int8_t mode)
{
	int8_t answer[2];
	int rc = fdpass_send_many(helper, &mode, 1, fds, n, 0);
	ssize_t len;

	if (!rc)
		rc = wait_readable(helper, ANSWER_MS);
	if (rc)
		return rc;
	len = recv(helper, answer, sizeof(answer), 0);
	if (len < 0)
		return -errno;
	if (!len)
		return -EPIPE;
	return len == 1 && answer[0] == mode ? 0 : -EPROTO;
}

/**
 * repair_set() - Switch the repair mode of sockets
 * @r:		From repair_watch()
 * @fds:	Connected TCP sockets
 * @n:		Number of sockets
 * @mode:	The mode
 *
 * Blocks until the helper has answered, up to ANSWER_MS for each FDPASS_MOST sockets.
 * On any error the helper is closed, and some sockets may have the new mode.
 *
 * Return: 0 or negative errno: -ENOTCONN without a helper, -ETIMEDOUT, -EPIPE if the
 * helper failed, -EPROTO after a wrong answer
 */
int repair_set(struct repair *r, const int *fds, unsigned n,
	       enum repair_mode mode)
{
	unsigned done, part;
	int rc = 0;

	if (r->helper < 0)
		return -ENOTCONN;
	for (done = 0; !rc && done < n; done += part) {
		part = n - done < FDPASS_MOST ? n - done : FDPASS_MOST;
		rc = ask(r->helper, fds + done, part, (int8_t)mode);
	}
	if (rc) {
		warn_limited_rc(rc, "passt-repair didn't switch the repair mode"
				" of sockets");
		drop_helper(r);
	}
	return rc;
}
